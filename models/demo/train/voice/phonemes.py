"""Phonemes as the program makes them (src/tts/phonemes.rs): clause by clause, from espeak-ng's command line.

Training on the very strings that the voice will get, stress and liaison included, leaves nothing to differ later.
"""

import re
import subprocess

from .settings import ESPEAK_VOICE

# A line of phonemes that no text contains: its answer ends the answer of a clause.
_BELL = "[[ZZ]]"
_LANGUAGE_MARK = re.compile(r"\([a-z-]+\)")
_CLAUSE = re.compile(r"([^,;:.!?]+)([,;:.!?]?)[,;:.!?]*(?:\s+|$)")


def clauses(text):
    """Splits plain text into [(words, mark or "")]. The texts of this recipe hold no abbreviations and no digits with
    marks, so this is simpler than what the program needs."""
    return [(words.strip(), mark) for words, mark in _CLAUSE.findall(text) if words.strip()]


def phonemes(texts, language):
    """The phonemes of each text, with the marks that espeak-ng drops put back: [str], as Piper's voices want them."""
    split = [clauses(text) for text in texts]
    lines = [line for text in split for words, _ in text for line in (words, _BELL)]
    command = ["espeak-ng", "-q", "--ipa", "-b", "1", "-v", ESPEAK_VOICE[language]]
    told = subprocess.run(command, input="\n".join([_BELL, *lines]) + "\n", capture_output=True, text=True, check=True)
    answers = told.stdout.split("\n")
    bell = answers[0]
    spoken = iter(" ".join(part).strip() for part in _parts(answers[1:], bell))
    result = []
    for text in split:
        pieces = [(_LANGUAGE_MARK.sub("", next(spoken)), mark) for _, mark in text]
        result.append(" ".join(piece + mark for piece, mark in pieces if piece))
    return result


def _parts(lines, end):
    part = []
    for line in lines:
        if line == end:
            yield part
            part = []
        else:
            part.append(line.strip())
