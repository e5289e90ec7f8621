"""Whisper's multilingual token table: sentences to tokens, and the special ones."""

import base64

import tiktoken

VOCABULARY = 51865
END, START, TRANSCRIBE, NO_SPEECH, NO_TIMESTAMPS = 50257, 50258, 50359, 50362, 50363
LANGUAGES = {"en": 50259, "fr": 50265}
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""


def table(file):
    """Bytes of each ordinary token, in the order of their numbers, from OpenAI's multilingual.tiktoken."""
    ranks = {}
    for line in file.read_bytes().splitlines():
        token, rank = line.split() if b" " in line else (b"", line)
        ranks[base64.b64decode(token)] = int(rank)
    return ranks


class Tokenizer:
    """Sentences to tokens."""

    def __init__(self, file):
        self.ranks = table(file)
        self._encoding = tiktoken.Encoding("whisper", pat_str=PATTERN, mergeable_ranks=self.ranks, special_tokens={})

    def sequence(self, language, text):
        """What the decoder is to say for a clip: its prompt, the words, the end."""
        words = self._encoding.encode(" " + text) if text else []
        return [START, LANGUAGES[language], TRANSCRIBE, NO_TIMESTAMPS, *words, END]
