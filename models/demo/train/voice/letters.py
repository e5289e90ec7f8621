"""Which sounds each letter stands for: the texts' letters aligned with espeak-ng's phonemes.

A letter stands for a chunk of up to four symbols, often for none. How likely each chunk is for a letter is found by
aligning dictionary words, counting, and aligning again; whole texts are then cut by what was counted.
"""

import math
import random
from collections import Counter, defaultdict

from .phonemes import phonemes
from .settings import MARKS, STRESSES
from .texts import texts, words

LETTERS = " '-" + MARKS + "abcdefghijklmnopqrstuvwxyzàâäæçèéêëîïôöùûüÿœ"
LONGEST = 4
ROUNDS = 3
WORDS = 2500  # that are aligned, of each language
# What belongs to the sound before it: no chunk begins with these.
_FOLLOWERS = "ː\u0303\u0329-"
# No path leads further from the diagonal than this many symbols.
BAND = 12
_RARE = -12.0
_VOWELS = set("aeiouyàâäæèéêëîïôöùûüÿœ")
_VOWEL_SOUNDS = set("aeiouyæøœɐɑɔəɚɛɜɪʊʌᵻ")


def _first_guess(letter, chunk):
    """Log weight of a chunk before anything is counted."""
    if letter in MARKS or (chunk and set(chunk) & set(MARKS)):
        return 0.0 if letter == chunk else 4 * _RARE
    if letter == " " or " " in chunk:
        return 0.0 if letter == " " and chunk in ("", " ") else 2 * _RARE
    sounds = [symbol for symbol in chunk if symbol not in STRESSES + _FOLLOWERS]
    if not sounds:
        return -2.0 if not chunk else _RARE
    alike = letter in sounds
    kind = any((sound in _VOWEL_SOUNDS) != (letter in _VOWELS) for sound in sounds)
    return -0.2 * alike - 1.5 * (not alike) - 3.0 * kind - 1.0 * (len(sounds) - 1)


def align(letters, symbols, weight):
    """The best chunk for each letter, [str], or `None` where none fits; `weight(letter, chunk)` is a log weight."""
    count, size = len(letters), len(symbols)
    best = {0: (0.0, None)}
    rows = [best]
    for index, letter in enumerate(letters):
        middle = (index + 1) * size / count
        row = {}
        for at, (score, _) in best.items():
            for length in range(min(LONGEST, size - at) + 1):
                until = at + length
                if abs(until - middle) > BAND or (until < size and symbols[until] in _FOLLOWERS):
                    continue
                total = score + weight(letter, symbols[at:until])
                if until not in row or total > row[until][0]:
                    row[until] = (total, at)
        best = row
        rows.append(row)
    if size not in best:
        return None
    chunks, at = [], size
    for index in range(count, 0, -1):
        before = rows[index][at][1]
        chunks.append(symbols[before:at])
        at = before
    return chunks[::-1]


def _learnt(counts):
    """The weights of what was counted, smoothed by the first guess."""
    totals = {letter: sum(row.values()) for letter, row in counts.items()}

    def weight(letter, chunk):
        seen = counts[letter][chunk]
        if not seen:
            return _RARE + _first_guess(letter, chunk)
        return math.log(seen / totals[letter])

    return weight


def readings(count, seed):
    """`count` texts cut into letters and chunks: [(letters, [chunk of each letter])]."""
    source = random.Random(seed)
    weights = {}
    for language in ("en", "fr"):
        chosen = source.sample(words(language), WORDS)
        pairs = list(zip(chosen, phonemes(chosen, language)))
        weight = _first_guess
        for _ in range(ROUNDS):
            counts = defaultdict(Counter)
            for word, ipa in pairs:
                for letter, chunk in zip(word, align(word, ipa, weight) or []):
                    counts[letter][chunk] += 1
            weight = _learnt(counts)
        weights[language] = weight
    made = [(language, _plain(text)) for language, text in texts(count, seed)]
    found = []
    for language in ("en", "fr"):
        chosen = [text for each, text in made if each == language]
        for text, ipa in zip(chosen, phonemes(chosen, language)):
            chunks = align(text, ipa, weights[language]) if ipa else None
            if chunks:
                found.append((text, chunks))
    source.shuffle(found)
    return found


def _plain(text):
    """A text of LETTERS alone, as the program hands it to a voice of characters."""
    text = text.lower().replace("’", "'").replace("\u202f", " ").replace("\xa0", " ")
    return " ".join("".join(letter for letter in text if letter in LETTERS).split())
