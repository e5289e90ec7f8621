"""The pitch of a sentence, by rule, in ONNX: each clause sinks a little, its stressed vowels stand out, and the last
carries the tune that the mark asks for.

Everything is in semitones from BASE until the end. A clause is what stands between two marks.
"""

import numpy as np

from .phonemes import phonemes
from .settings import END, HOP, MARKS, SAMPLE_RATE, SILENT, STRESSES

BASE = 118.0  # Hz
# The tune from the last stressed vowel (r = 0) to the end of the clause (r = 1): a + b r + c r².
TUNES = {
    "": (0.5, -1.0, 0.5),  # a chunk that a sentence goes on from: level
    ",": (1.5, -5.5, 6.0),  # a dip, and a rise that promises more
    ".": (2.0, -4.0, -2.5),
    "!": (4.0, -6.0, -2.5),
    "?": (-1.5, 1.0, 7.0),  # a question for yes or no
    "wh": (4.5, -7.0, -1.0),  # one that begins with its question word falls
}
DECLINATION = (1.8, -3.2)  # at the begin and the end of a clause
PRIMARY, SECONDARY = 1.6, 0.5
SMOOTHING = 0.09  # s
_QUESTION_WORDS = {
    "en": "what what's who who's whose which when where why how how's".split(),
    "fr": """qui que quoi quel quelle quels quelles quand comment combien où pourquoi lequel laquelle
    qu'est-ce""".split(),
}
_LONGEST_OPENING = 4
_VOWELS = "aeiouyæøœɐɑɒɔəɚɛɜɪʊʌᵻ"
_UNHEARD = SILENT + MARKS + END + "ː\u0303\u0329-"


def pitch(graph, symbols, alphabet, timing):
    """The pitch of each frame in Hz [frames]; `symbols` are indices into `alphabet`."""
    size = len(alphabet)

    def flags(characters):
        table = np.array([symbol in characters for symbol in alphabet], np.float32)
        return graph.Gather(table, symbols)

    mark = flags(MARKS)
    # Symbols of one clause share the number of marks before them.
    clause = graph.CumSum(mark, np.int64(0), exclusive=1)
    same = graph.cast(graph.Equal(graph.column(clause), graph.row(clause)), np.float32)

    def of_clause(values, reduce):
        """The sum or the maximum of `values` in each symbol's clause; 0 where all are 0."""
        spread = graph.Mul(same, graph.row(values))
        return graph.sum(spread, 1) if reduce == "sum" else graph.ReduceMax(spread, axes=[1], keepdims=0)

    # The last stressed vowel of each clause; its place counts from 1, so that 0 is "none".
    vowel = flags(_VOWELS)
    primary = graph.Mul(vowel, _shifted(graph, flags(STRESSES[0])))
    secondary = graph.Mul(vowel, _shifted(graph, flags(STRESSES[1])))
    place = graph.CumSum(graph.Add(graph.Mul(mark, 0.0), 1.0), np.int64(0))
    stressed = of_clause(graph.Mul(primary, place), "max")
    spoken = of_clause(graph.Mul(vowel, place), "max")
    nucleus = graph.Where(graph.Greater(stressed, 0.0), stressed, spoken)
    is_nucleus = graph.cast(graph.Equal(place, nucleus), np.float32)

    # Times, in frames, of the clause and of its nucleus.
    end = of_clause(graph.Mul(graph.Sub(1.0, mark), graph.Add(timing.begin, timing.frames)), "max")
    first = of_clause(graph.Mul(graph.Sub(1.0, mark), timing.frames), "sum")
    begin = graph.Sub(end, first)
    begin_of_nucleus = of_clause(graph.Mul(is_nucleus, timing.begin), "sum")

    names = list(TUNES)
    kinds = np.zeros(size, np.float32)
    for index, symbol in enumerate(alphabet):
        if symbol in MARKS:
            kinds[index] = names.index(symbol if symbol in ".!?" else ",")
    kind = of_clause(graph.Gather(kinds, symbols), "max")
    falling = graph.Mul(_opens_with_question_word(graph, symbols, alphabet, same, clause), float(names.index("wh")))
    kind = graph.Where(graph.Equal(kind, float(names.index("?"))), graph.Max(kind, falling), kind)
    tune = graph.Gather(np.array(list(TUNES.values()), np.float32), graph.cast(kind, np.int64))

    before = graph.cast(graph.Less(place, nucleus), np.float32)
    accent = graph.Mul(before, graph.Add(graph.Mul(primary, PRIMARY), graph.Mul(secondary, SECONDARY)))

    def frames(values):
        return graph.Gather(values, timing.owner)

    def share(start):
        """How much of the way from `start` to the end of the clause is done, 0 to 1."""
        way = graph.Max(graph.Sub(frames(end), frames(start)), 1.0)
        return graph.Clip(graph.Div(graph.Sub(timing.frame, frames(start)), way), np.float32(0), np.float32(1))

    sinking = graph.Add(graph.Mul(share(begin), DECLINATION[1]), DECLINATION[0])
    done = share(begin_of_nucleus)
    powers = graph.Concat(
        graph.Add(graph.Mul(graph.column(done), 0.0), 1.0),
        graph.column(done),
        graph.column(graph.Mul(done, done)),
        axis=1,
    )
    after = graph.cast(graph.GreaterOrEqual(timing.frame, frames(begin_of_nucleus)), np.float32)
    turning = graph.Mul(graph.sum(graph.Mul(powers, frames(tune)), 1), after)
    contour = graph.Add(graph.Add(sinking, turning), frames(accent))

    # Slow waves of a tenth of a semitone keep long vowels alive.
    seconds = graph.Mul(timing.frame, HOP / SAMPLE_RATE)
    waves = [graph.Mul(graph.Sin(graph.Mul(seconds, 2 * np.pi * hertz)), 0.12) for hertz in (2.3, 5.1)]
    contour = graph.Add(contour, graph.Add(*waves))
    smooth = _smoothed(graph, contour)
    return graph.Mul(graph.Exp(graph.Mul(smooth, np.log(2) / 12)), BASE)


def _shifted(graph, x):
    """A vector one place later: what stood before each symbol."""
    return graph.slice(graph.Pad(x, np.array([1, 0])), 0, -1, 0)


def _smoothed(graph, contour):
    """A vector over frames, under a Hann window; its ends are held."""
    reach = round(SMOOTHING / 2 * SAMPLE_RATE / HOP)
    window = np.hanning(2 * reach + 3)[1:-1]
    held = graph.Pad(contour, np.array([reach, reach]), mode="edge")
    shaped = graph.Reshape(held, np.array([1, 1, -1]))
    return graph.vector(graph.Conv(shaped, (window / window.sum()).astype(np.float32)[None, None]))


def _opens_with_question_word(graph, symbols, alphabet, same, clause):
    """1 for the symbols of a clause whose first sounds are those of a question word."""
    size = len(alphabet)
    heard = np.array([symbol not in _UNHEARD for symbol in alphabet], np.float32)
    is_heard = graph.Gather(heard, symbols)
    # The rank of each sound in its clause: sounds so far, less those of the clauses before.
    earlier = graph.cast(graph.Less(graph.row(clause), graph.column(clause)), np.float32)
    before = graph.sum(graph.Mul(earlier, graph.row(is_heard)), 1)
    rank = graph.Sub(graph.CumSum(is_heard, np.int64(0), exclusive=1), before)
    result = None
    for length, openings in _openings(alphabet).items():
        code = None
        for position in range(length):
            here = graph.Mul(graph.cast(graph.Equal(rank, float(position)), np.float32), is_heard)
            digit = graph.cast(graph.Mul(here, graph.cast(symbols, np.float32)), np.float64)
            worth = graph.Mul(digit, graph.double(float(size ** (length - 1 - position))))
            code = worth if code is None else graph.Add(code, worth)
        of_clause = graph.MatMul(graph.cast(same, np.float64), graph.Unsqueeze(code, np.array([1])))
        matches = graph.cast(graph.Equal(of_clause, graph.double([openings])), np.float32)
        found = graph.ReduceMax(matches, axes=[1], keepdims=0)
        result = found if result is None else graph.Max(result, found)
    return result


def _openings(alphabet):
    """The sounds that open a question word, as numbers to the base of the alphabet's size, by how many they are."""
    found = {}
    for language, words in _QUESTION_WORDS.items():
        for ipa in phonemes(words, language):
            sounds = [symbol for symbol in ipa if symbol not in _UNHEARD][:_LONGEST_OPENING]
            code = 0
            for sound in sounds:
                code = code * len(alphabet) + alphabet.index(sound)
            found.setdefault(len(sounds), set()).add(code)
    return {length: sorted(codes) for length, codes in found.items()}
