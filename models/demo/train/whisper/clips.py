"""The clips that teach: sentences spoken, cut, interrupted, salted with other sentences, in rooms and noise, as mel frames.

    python -m whisper.clips OUT --assets FOLDER [--share 1.0]

Everything that a turn brings is in them: the silence before and after, words said up to where the microphone was asked, a
pause in the sentence, no words at all. Several cuts of one recording cost a recording only once.
"""

import argparse
import itertools
import multiprocessing
import pathlib
import pickle
import random
import time

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import oaconvolve, resample_poly

from . import features, sentences, voices

RATE = features.RATE
SEED = 20261
RECORDINGS = 4  # of each sentence
SALADS = 0.15  # of the recordings say the begin of one sentence and the end of another
NOTHING = 0.04  # of the clips hold no word
LONGEST = 9.5  # seconds


def salad(language, rng, train):
    """Half of one sentence and half of another: words in an order that nobody can guess."""
    first, second = rng.choice(train[language]).rstrip("?!. ").split(), rng.choice(train[language]).split()
    head = first[: rng.randint(1, max(1, len(first) - 1))]
    tail = second[rng.randint(1, max(1, len(second) - 1)) :] or second
    return " ".join([*head, *tail])[:90]


class Recording:
    """One sentence by one voice, at 16 kHz, with what is known of its times."""

    def __init__(self, voice, language, text, rng):
        spoken = voices.speak(voice, text, rng)
        # Played a little slower or faster, a voice has another throat: more speakers than there are synthesizers.
        factor = rng.choice([1.0, 1.0, rng.uniform(0.88, 1.14)])
        sound = resample_poly(spoken.sound.astype(np.float32) / 32768, round(320 * factor), round(320 * spoken.rate / RATE))
        loud = np.nonzero(np.abs(sound) > 0.01)[0]
        if not len(loud):
            raise ValueError(f"{voice} says nothing: {text}")
        begin, end = loud[0] / RATE, loud[-1] / RATE
        self.language, self.text = language, text
        self.sound = sound[loud[0] : loud[-1] + 1]
        place = lambda second: min(max(second * factor - begin, 0.0), end - begin)  # noqa: E731
        self.ends = [(characters, place(second)) for characters, second in spoken.ends]
        self.phonemes = [(place(second), name) for second, name in spoken.phonemes]

    def __len__(self):
        return len(self.sound)


def fade(sound, begin=True, end=True, seconds=0.012):
    """The same sound without a click where it was cut."""
    sound, n = sound.copy(), min(int(seconds * RATE), len(sound) // 2)
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    if n and begin:
        sound[:n] *= ramp
    if n and end:
        sound[-n:] *= ramp[::-1]
    return sound


def cut(recording, rng):
    """The recording up to somewhere inside it: (sound, text up to the last complete word, phonemes), or None."""
    inner = [(c, s) for c, s in recording.ends[:-1] if s > 0.15]
    if not inner:
        return None
    which = rng.randrange(len(inner))
    characters, end = inner[which]
    following = recording.ends[recording.ends.index(inner[which]) + 1][1]
    torn = rng.random() < 0.4
    stop = end + (following - end) * rng.uniform(0.1, 0.6) if torn else end
    sound = fade(recording.sound[: int(stop * RATE)], begin=False, seconds=0.02)
    text = recording.text[:characters].rstrip(" ,.!?")
    return sound, text, [(s, p) for s, p in recording.phonemes if s < stop], torn


def paused(recording, rng):
    """The recording with a pause at the end of a word: (sound, phonemes), or None."""
    inner = [s for _, s in recording.ends[:-1] if s > 0.15]
    if not inner:
        return None
    at, gap = rng.choice(inner), rng.uniform(0.15, 0.9)
    split = int(at * RATE)
    silence = np.zeros(int(gap * RATE), np.float32)
    sound = np.concatenate([fade(recording.sound[:split], begin=False), silence, fade(recording.sound[split:], end=False)])
    phonemes = [(s, p) for s, p in recording.phonemes if s < at] + [(at, "")]
    return sound, phonemes + [(s + gap, p) for s, p in recording.phonemes if s >= at]


def noise(length, rng, generator):
    """Noise of one of several colours, RMS 1."""
    fast = next_fast_len(length, real=True)
    white = generator.standard_normal(fast, np.float32)
    kind = rng.choice(["white", "pink", "brown", "hum"])
    if kind == "hum":
        base, t = rng.choice([50, 60, 100, 120]), np.arange(fast, dtype=np.float32) / RATE
        sound = sum(np.sin(2 * np.pi * base * k * t + k) / k for k in range(1, 8)) + 0.3 * white
    elif kind == "white":
        sound = white
    else:
        spectrum = rfft(white)
        frequency = np.maximum(np.arange(len(spectrum), dtype=np.float32) * RATE / fast, 40)
        sound = irfft(spectrum / frequency ** (0.5 if kind == "pink" else 1.0), fast)
    sound = sound[:length]
    return (sound / np.sqrt(np.mean(sound**2) + 1e-12)).astype(np.float32)


def room(sound, rng, generator):
    """The same sound in a small room."""
    length = int(rng.uniform(0.12, 0.45) * RATE)
    tail = generator.standard_normal(length, np.float32) * np.exp(-np.arange(length) * 6.9 / length) * rng.uniform(0.03, 0.15)
    tail[0] = 1.0
    tail[1 : int(0.002 * RATE)] = 0
    return oaconvolve(sound, tail)[: len(sound) + length // 2].astype(np.float32)


def placed(sound, rng, generator, after):
    """The sound as a microphone gives it: silence around it, a room, noise, a level. (clip, begin of the sound in s)"""
    if rng.random() < 0.35:
        sound = room(sound, rng, generator)
    lead = rng.choice([rng.uniform(0.0, 0.1), rng.uniform(0.1, 0.2), rng.uniform(0.0, 0.8)])
    clip = np.concatenate([np.zeros(int(lead * RATE), np.float32), sound, np.zeros(int(after * RATE), np.float32)])
    level = np.sqrt(np.mean(sound**2) + 1e-9)
    # One in three is clean but for a converter's floor, the others from 5 dB on.
    snr = rng.uniform(45, 70) if rng.random() < 0.35 else rng.uniform(5, 45)
    clip = clip + noise(len(clip), rng, generator) * level * 10 ** (-snr / 20)
    if rng.random() < 0.15:  # a small microphone
        clip = np.convolve(clip, np.array([0.25, 0.5, 0.25], np.float32), "same")
    clip = clip * 10 ** rng.uniform(-1.5, 0) / (np.abs(clip).max() + 1e-6)
    return clip.astype(np.float32), lead


def frame_phonemes(phonemes, lead, positions, inventory):
    """Number of the phoneme at each encoder position (20 ms), 0 where there is none, -1 where nobody knows."""
    if not phonemes:
        return np.full(positions, -1, np.int16)
    numbers = np.zeros(positions, np.int16)
    bounds = [min(positions, max(0, round((s + lead) * 50))) for s, _ in phonemes] + [positions]
    for (_, name), begin, end in zip(phonemes, bounds, bounds[1:]):
        numbers[begin:end] = inventory.setdefault(name.strip("ˈˌ-"), len(inventory)) if name else 0
    return numbers


def silence_after(rng):
    return rng.choice([0.0, rng.uniform(0.0, 0.3), rng.uniform(0.2, 0.3), rng.uniform(0.1, 1.0)])


def clips_of(recording, rng, generator):
    """(clip, lead, text, phonemes, language) of every use of one recording."""
    whole = recording.text, recording.phonemes
    uses = [(recording.sound, *whole, rng.uniform(0.05, 0.4))]
    if rng.random() < 0.5:
        uses.append((recording.sound, *whole, silence_after(rng)))
    if len(recording.ends) > 1 and (part := cut(recording, rng)):
        sound, text, phonemes, torn = part
        # A torn word ends where the microphone was asked; after a whole one the person may be thinking.
        uses.append((sound, text, phonemes, 0.0 if torn else silence_after(rng)))
    if len(recording.ends) > 1 and rng.random() < 0.35 and (with_pause := paused(recording, rng)):
        uses.append((with_pause[0], recording.text, with_pause[1], silence_after(rng)))
    for sound, text, phonemes, after in uses:
        if len(sound) < LONGEST * RATE:
            clip, lead = placed(sound, rng, generator, after)
            ends = [*phonemes, (len(sound) / RATE, "")] if phonemes else []
            yield clip, lead, text, ends, recording.language


def nothing(rng, generator):
    """A clip in which nobody speaks."""
    length = int(rng.uniform(0.3, 5) * RATE)
    clip = np.zeros(length, np.float32)
    if rng.random() < 0.9:
        clip = noise(length, rng, generator) * 10 ** rng.uniform(-5, -0.8)
    if rng.random() < 0.4:  # knocks and clicks
        for _ in range(rng.randint(1, 4)):
            at, ring = rng.randrange(length), int(rng.uniform(0.002, 0.08) * RATE)
            knock = generator.standard_normal(ring) * np.exp(-np.arange(ring) * 6 / ring) * 10 ** rng.uniform(-2, 0)
            clip[at : at + ring] += knock[: length - at].astype(np.float32)
    return np.clip(clip, -1, 1), rng.choice(["en", "fr"])


def work(job):
    """One process's share: clips as [(mel float16 [T, 80], language, text, phoneme names)]."""
    number, tasks, filters = job
    rng, generator = random.Random(f"{SEED} {number}"), np.random.default_rng([SEED, number])
    made, inventory = [], {"": 0}
    for language, text, voice in tasks:
        if voice is None:
            clip, language = nothing(rng, generator)
            produced = [(clip, 0.0, "", [], language)]
        else:
            try:
                produced = list(clips_of(Recording(voice, language, text, rng), rng, generator))
            except ValueError:
                continue  # a voice that cannot say it (an espeak-ng variant that is too soft)
        for clip, lead, text_, phonemes, language_ in produced:
            mel = features.log_mel(clip, filters)
            numbers = frame_phonemes(phonemes, lead, (len(mel) + 1) // 2, inventory)
            made.append((mel.astype(np.float16), language_, text_, numbers))
    return made, list(inventory)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--assets", type=pathlib.Path, required=True, help="folder of OpenAI's mel_filters.npz")
    parser.add_argument("--share", type=float, default=1.0, help="of the recordings, to try something quickly")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    filters = np.load(options.assets / "mel_filters.npz")["mel_80"].astype(np.float32)
    rng, begun = random.Random(SEED), time.monotonic()
    train = {language: sentences.split(language)[0] for language in sentences.GRAMMARS}
    tasks = []
    for language, texts in train.items():
        for text in itertools.chain.from_iterable([texts] * RECORDINGS):
            said = salad(language, rng, train) if rng.random() < SALADS else text
            tasks.append((language, said, voices.train_voice(language, rng)))
    tasks += [("en", "", None)] * int(len(tasks) * 2.5 * NOTHING)
    rng.shuffle(tasks)
    tasks = tasks[: int(len(tasks) * options.share)]
    share = 250
    jobs = [(n, tasks[n * share : (n + 1) * share], filters) for n in range(-(-len(tasks) // share))]
    clips, inventory = [], {"": 0}
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for done, (made, names) in enumerate(pool.imap(work, jobs), 1):
            # Each process numbers the phonemes in the order that it meets them.
            numbers = np.array([inventory.setdefault(name, len(inventory)) for name in names] + [-1], np.int16)
            clips += [(mel, language, text, numbers[phonemes]) for mel, language, text, phonemes in made]
            print(f"\rclips: {done} of {len(jobs)} shares, {len(clips)} clips", end="", flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with options.out.open("wb") as file:
        pickle.dump((clips, list(inventory)), file, protocol=5)
    hours = sum(len(mel) for mel, *_ in clips) / 360000
    print(f"\n{len(clips)} clips, {hours:.1f} h, {len(inventory)} phonemes, {time.monotonic() - begun:.0f} s")


if __name__ == "__main__":
    main()
