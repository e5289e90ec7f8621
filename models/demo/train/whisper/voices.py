"""The synthesizers that teach the Whisper, and those that only examine it.

A voice is a name "engine:voice"; `speak` says a sentence with it. espeak-ng also tells when its words and phonemes begin.
The demo's own voice is none of them.
"""

import dataclasses
import random
import subprocess
import tempfile
import wave

import numpy as np

import espeak

VARIANTS = (
    "m1 m2 m3 m4 m5 m7 m8 f1 f2 f3 f5 klatt klatt2 klatt4 Andrea Andy Annie Denis Diogo Gene Henrique Hugo Jacky Lee "
    "Mario Mike adam anika antonio belinda benjamin boris caleb david ed edward gustave iven iven3 john linda marcelo "
    "max miguel norbert pablo paul pedro quincy rob robert sandro shelby steph travis victor zac aunty grandma grandpa"
).split()
HELD_OUT_VARIANTS = "m6 f4 klatt3 Alicia Marco Michael edward2 steph2 iven2".split()
ACCENTS = {"en": ["en-us", "en-us", "en", "en-gb-x-rp", "en-gb-scotland"], "fr": ["fr", "fr", "fr-be", "fr-ch"]}

OTHERS = {
    "en": ["flite:kal16", "flite:awb", "flite:slt", "pico:en-GB"],
    "fr": ["pico:fr-FR"],
}
HELD_OUT_OTHERS = {"en": ["flite:rms", "festival:ked_diphone", "pico:en-US"], "fr": []}


@dataclasses.dataclass
class Spoken:
    """A sentence as a voice said it. `ends`: (characters of the text, s) at which each word is complete, and `phonemes`
    (begin in s, IPA); both are empty where the synthesizer does not tell."""

    sound: np.ndarray  # int16 [N]
    rate: int  # Hz
    ends: list
    phonemes: list


def train_voice(language, rng):
    """One of the voices that teach: three in four are espeak-ng's, which alone tell their times."""
    if rng.random() < (0.7 if language == "en" else 0.75):
        variant = rng.choice(["", *VARIANTS])
        return "espeak:" + rng.choice(ACCENTS[language]) + (f"+{variant}" if variant else "")
    return rng.choice(OTHERS[language])


def held_out_voices(language):
    """Every voice that only examines, by name."""
    accents = sorted(set(ACCENTS[language]))
    own = [f"espeak:{accents[i % len(accents)]}+{v}" for i, v in enumerate(HELD_OUT_VARIANTS)]
    return own + HELD_OUT_OTHERS[language]


def speak(voice, text, rng=None):
    """Says `text`. With `rng` at a speed and pitch of its own, without at the voice's usual ones."""
    engine, name = voice.split(":")
    rng = rng or random.Random(text)
    if engine == "espeak":
        sound, begins, phonemes = espeak.say(text, name, rng.randint(120, 200), rng.randint(25, 75), rng.randint(30, 65))
        return Spoken(sound, espeak.SAMPLE_RATE, _word_ends(text, begins, len(sound) / espeak.SAMPLE_RATE), phonemes)
    stretch = rng.uniform(0.85, 1.2)
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/said.wav"
        if engine == "pico":
            line = f"<speed level='{round(100 / stretch)}'><pitch level='{rng.randint(75, 125)}'>{text}</pitch></speed>"
            command = ["pico2wave", "-l", name, "-w", file, line]
        elif engine == "flite":
            command = ["flite", "-voice", name, "--setf", f"duration_stretch={stretch:.2f}", "-t", text, "-o", file]
        else:
            pace = f"(voice_{name}) (Parameter.set 'Duration_Stretch {stretch:.2f})"
            command = ["text2wave", "-eval", pace, "-o", file]
        subprocess.run(command, input=text, text=True, check=True, capture_output=True)
        with wave.open(file) as wav:
            return Spoken(np.frombuffer(wav.readframes(wav.getnframes()), np.int16), wav.getframerate(), [], [])


def _word_ends(text, begins, length):
    """Where each word of the text ends, from the begins of those that espeak-ng tells ("25" is told as two)."""
    at = {position: begin for position, _, begin in begins}
    ends, position = [], 0
    for word in text.split(" "):
        if position in at and position > 0:
            ends.append((position - 1, at[position]))
        position += len(word) + 1
    return [*ends, (len(text), length)]
