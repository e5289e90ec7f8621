"""How well the voices are understood, beside espeak-ng itself, by recognizers that never heard them; and their speed.

English: PocketSphinx with its own acoustic model and three searches: a grammar whose alternatives are the sentences, a
free loop of their words, and its own language model of general English. French, and English once more: the demo's
Whisper, through `elio transcribe`, where `--elio` names the program; it knows no replies, only what a speaker is told, so
it hears such sentences, of those that its training held out.
"""

import argparse
import json
import re
import subprocess
import wave
from functools import partial
from pathlib import Path

import numpy as np
from pocketsphinx import Decoder
from scipy.signal import resample_poly

from . import teacher
from .say import Voice
from .settings import ESPEAK_VOICE, REPOSITORY, SAMPLE_RATE, SPEED, WORK
from .texts import replies

# Sentences that no text of the training holds.
UNSEEN = [
    "The museum opens at ten o'clock in the morning.",
    "My sister bought a green bicycle last summer.",
    "Please close the window before you go to bed.",
    "There are seven bridges across the river.",
    "The doctor will call you back on Monday.",
    "We had soup and bread for dinner.",
    "The children are playing behind the school.",
    "Nobody knows why the engine stopped.",
    "He wrote a long letter to his brother.",
    "The ship leaves the harbour at midnight.",
    "She is learning to play the piano.",
    "Coffee is cheaper than orange juice.",
]
FIRST_CHUNK = {"en": "It is sunny,", "fr": "Il fait beau,"}
# Speech between silences, at half of its level, is what a recognizer expects.
SILENCE = np.zeros(SAMPLE_RATE // 4)
# A quiet room's noise, -66 dBFS: without any, PocketSphinx loses its way in digital silence, espeak-ng's too.
NOISE = 5e-4


def plain(text):
    """The words of a text, lower case, without marks."""
    text = text.lower().replace("’", "'").replace("-", " ")
    return re.sub(r"[^\w' ]", " ", text).split()


def errors(said, heard):
    """The words to change, add or take away until `heard` is `said`."""
    row = list(range(len(heard) + 1))
    for index, word in enumerate(said, 1):
        above, row[0] = row[:], index
        for at, other in enumerate(heard, 1):
            row[at] = min(above[at] + 1, row[at - 1] + 1, above[at - 1] + (word != other))
    return row[-1]


def espeak_says(text, language):
    """espeak-ng's own speech of a text, with its own intonation, at SAMPLE_RATE."""
    sound, _, _ = teacher.espeak.say(text, ESPEAK_VOICE[language], SPEED)
    common = np.gcd(teacher.RATE, SAMPLE_RATE)
    return resample_poly(sound / 32768, SAMPLE_RATE // common, teacher.RATE // common)


class Sphinx:
    """PocketSphinx with a grammar of sentences, a loop of their words, or its own language model."""

    def __init__(self, search, sentences):
        self.decoder = Decoder(samprate=SAMPLE_RATE, loglevel="FATAL")
        words = {word for sentence in sentences for word in sentence}
        self.unknown = sorted(word for word in words if self.decoder.lookup_word(word) is None)
        self.sentences = [sentence for sentence in sentences if not set(sentence) & set(self.unknown)]
        if search == "grammar":
            choice = " | ".join(dict.fromkeys(" ".join(sentence) for sentence in self.sentences))
            self.decoder.add_jsgf_string("demo", f"#JSGF V1.0; grammar demo; public <demo> = {choice};")
        elif search == "loop":
            self.decoder.add_lm_file("demo", _loop(sorted(words - set(self.unknown))))
        if search != "language model":
            self.decoder.activate_search("demo")

    def hear(self, samples):
        """The words of samples at SAMPLE_RATE."""
        padded = np.concatenate([SILENCE, samples / 2, SILENCE])
        padded += np.random.default_rng(0).normal(scale=NOISE, size=len(padded))
        self.decoder.start_utt()
        self.decoder.process_raw((padded * 32767).astype(np.int16).tobytes(), full_utt=True)
        self.decoder.end_utt()
        found = self.decoder.hyp()
        return plain(found.hypstr) if found else []


def _loop(words):
    """The file of a language model in which any of `words` may follow any other, all as likely."""
    file = WORK / "loop.arpa"
    level = f"{-np.log10(len(words) + 1):.4f}"
    lines = ["\\data\\", f"ngram 1={len(words) + 2}", "", "\\1-grams:", "-99 <s>", f"{level} </s>"]
    file.write_text("\n".join(lines + [f"{level} {word}" for word in words] + ["", "\\end\\", ""]))
    return str(file)


def whisper(words, elio, model, language, samples):
    """The words (as `words` tells them apart) that `elio transcribe` writes for samples at SAMPLE_RATE."""
    file = WORK / "heard.wav"
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes((np.concatenate([SILENCE, samples, SILENCE]) * 32767).astype(np.int16).tobytes())
    command = [elio, "transcribe", "--config", REPOSITORY / "configs/demo.toml", "--json", "--language", language]
    told = subprocess.run([*command, *(["--model", model] if model else []), file], capture_output=True, check=True)
    return words(json.loads(told.stdout)["text"])


def accuracy(speakers, sentences, hear):
    """For each speaker, the share of words that are heard right: [str], in per cent."""
    row = []
    for say in speakers.values():
        wrong = total = 0
        for text, words in sentences:
            wrong += errors(words, hear(say(text)))
            total += len(words)
        row.append(f"{max(0, 1 - wrong / total):.1%}")
    return row


def table(head, rows):
    """Prints a table of Markdown."""
    for row in (head, ["---"] * len(head), *rows):
        print("| " + " | ".join(row) + " |", flush=True)


def speed(voice, language):
    """The real-time factor of a long sentence, the best of 5, and the ms of a first chunk, the median of 21."""
    long = max(replies(language, plain_only=True), key=len)
    runs = [voice.run(voice.ids(long, language)) for _ in range(5)]
    factor = min(seconds / (len(samples) / SAMPLE_RATE) for samples, seconds in runs)
    first = [voice.run(voice.ids(FIRST_CHUNK[language], language)) for _ in range(21)]
    return factor, float(np.median([seconds for _, seconds in first])) * 1e3, len(first[0][0]) / SAMPLE_RATE


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the voices are")
    parser.add_argument("--elio", help="the program, for transcripts by a Whisper")
    parser.add_argument("--model", help="the Whisper: a name or a file")
    parser.add_argument("--sentences", type=int, default=60, help="about this many of the replies' sentences")
    arguments = parser.parse_args()
    voices = {
        "phonemes": Voice(arguments.folder / "voice-demo.onnx", arguments.folder / "voice-demo.onnx.json"),
        "letters": Voice(arguments.folder / "voice-demo-mms.onnx", arguments.folder / "voice-demo-mms.json"),
    }

    def speakers(language):
        made = {name: lambda text, voice=voice: voice.say(text, language) for name, voice in voices.items()}
        return made | {"espeak-ng": lambda text: espeak_says(text, language)}

    print("Real-time factor of a long sentence and time of a first chunk, one core:\n")
    rows = []
    for name, voice in voices.items():
        for language in ("en", "fr"):
            factor, first, length = speed(voice, language)
            rows.append([name, language, f"{factor:.4f}", f"{first:.1f} ms for {length:.2f} s"])
    table(["voice", "language", "real-time factor", f"\"{FIRST_CHUNK['en']}\" / \"{FIRST_CHUNK['fr']}\""], rows)

    print("\nWords understood:\n")
    rows, unknown = [], set()
    every = replies("en", plain_only=True)
    known = every[:: max(1, len(every) // arguments.sentences)]
    for search in ("grammar", "loop", "language model"):
        # The grammar holds every sentence, whatever is spoken of it.
        sphinx = Sphinx(search, [plain(text) for text in (every if search == "grammar" else known) + UNSEEN])
        unknown |= set(sphinx.unknown)
        for name, texts in (("replies", known), ("unseen", UNSEEN)):
            kept = [(text, plain(text)) for text in texts if plain(text) in sphinx.sentences]
            title = f"PocketSphinx, {search}, {len(kept)} {name}, en"
            rows.append([title, *accuracy(speakers("en"), kept, sphinx.hear)])
    print(f"PocketSphinx has no such words, their sentences are left out: {', '.join(sorted(unknown)) or 'none'}\n")
    if arguments.elio:
        # Beside this package; the Whisper's own recipe.
        from whisper.sentences import split, words

        for language in ("en", "fr"):
            # Digits are the program's to put into words.
            held_out = [text for text in split(language)[1] if not re.search(r"\d", text)]
            kept = [(text, words(text)) for text in held_out[:: max(1, len(held_out) // arguments.sentences)]]
            hear = partial(whisper, words, arguments.elio, arguments.model, language)
            rows.append([f"Whisper, {len(kept)} requests, {language}", *accuracy(speakers(language), kept, hear)])
    table(["recognizer", *speakers("en")], rows)


if __name__ == "__main__":
    main()
