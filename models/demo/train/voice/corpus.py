"""The corpus: texts, spoken by the teacher, with each symbol's share of the frames."""

import argparse

import numpy as np

from . import teacher
from .features import features
from .phonemes import phonemes
from .settings import END, END_FRAMES, FRAMES_PER_SECOND, MARKS, SILENT, WORK
from .texts import texts

SEED = 3


def boundaries(symbols, events, end):
    """Where each symbol begins, in s, and where the last one ends: [len(symbols) + 1], or `None` where the library's
    phonemes are not those of the command line. `events` are [(begin in s, IPA)], an empty one is a pause or a glide."""
    sounds = []
    for (begin, ipa), until in zip(events, [begin for begin, _ in events[1:]] + [end]):
        part = (until - begin) / max(len(ipa), 1)
        sounds += [(character, begin + part * index, until) for index, character in enumerate(ipa)]
    begins, ended, used = [], None, 0
    for symbol in symbols:
        if symbol in SILENT:
            begins.append(None)
        elif symbol in MARKS:
            begins.append(ended)
        elif used < len(sounds) and sounds[used][0] == symbol:
            begins.append(sounds[used][1])
            ended = sounds[used][2]
            used += 1
        else:
            return None
    if used == 0 or used < len(sounds):
        return None
    begins.append(ended)
    # A stress or a space takes no time: it begins with what follows.
    for index in range(len(symbols) - 1, -1, -1):
        if begins[index] is None:
            begins[index] = begins[index + 1]
    return begins


def utterance(text, symbols, language, pitch):
    """Symbols, frames of each (int [symbols + 1], the last is END's) and features; `None` where they do not fit."""
    spoken = teacher.speak(text, language)
    if spoken is None:
        return None
    harmonic, noise, events = spoken
    begins = boundaries(symbols, events, len(harmonic) / teacher.RATE)
    if begins is None:
        return None
    frames = np.round(np.array(begins) * FRAMES_PER_SECOND).astype(int)
    shares = np.append(np.diff(frames), END_FRAMES)
    silence = np.zeros(teacher.RATE // 5)
    drawn = features(np.append(harmonic, silence), np.append(noise, silence), teacher.RATE, pitch)
    drawn = drawn[frames[0] : frames[0] + shares.sum()]
    if (shares < 0).any() or len(drawn) < shares.sum():
        return None
    return symbols + END, shares, drawn


def build(count, seed=SEED):
    """Makes `count` utterances less those that do not fit, and writes them to WORK/corpus.npz."""
    made = texts(count, seed)
    pitch = teacher.pitch()
    symbols = [""] * count
    for language in ("en", "fr"):
        chosen = [index for index, text in enumerate(made) if text[0] == language]
        for index, ipa in zip(chosen, phonemes([made[index][1] for index in chosen], language)):
            symbols[index] = ipa
    found = [utterance(text, ipa, language, pitch) for (language, text), ipa in zip(made, symbols) if ipa]
    kept = [each for each in found if each]
    minutes = sum(len(drawn) for *_, drawn in kept) / FRAMES_PER_SECOND / 60
    print(f"{len(kept)} of {count} utterances fit, {minutes:.0f} minutes, pitch {pitch:.2f} Hz", flush=True)
    WORK.mkdir(parents=True, exist_ok=True)
    np.savez(
        WORK / "corpus.npz",
        pitch=pitch,
        symbols=[symbols for symbols, *_ in kept],
        shares=np.concatenate([shares for _, shares, _ in kept]),
        features=np.concatenate([drawn for *_, drawn in kept]).astype(np.float16),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--utterances", type=int, default=2200)
    build(parser.parse_args().utterances)
