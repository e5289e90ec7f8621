"""What the files of this recipe agree on: folders, rates, the shape of the features."""

from pathlib import Path

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[4]
MODELS = REPOSITORY / "models/demo"
WORK = REPOSITORY / "target/demo-models/voice"

SAMPLE_RATE = 16_000  # Hz, of the voice
HOP = 80  # samples from frame to frame: 5 ms, so that a burst of noise stays a burst
FRAMES_PER_SECOND = SAMPLE_RATE // HOP

# espeak-ng's voices and pace. Its library has no `fr-fr`, which its command line knows as another name of `fr`.
ESPEAK_VOICE = {"en": "en-us", "fr": "fr"}
SPEED = 150  # words a minute

# The spectral envelope is sampled at the harmonics of the pitch at which espeak-ng is made to speak.
TEACHER_PITCH = 80  # on espeak-ng's scale of 0 to 99: about 125 Hz
HARMONICS = 62
# The noise is measured in bins of 100 Hz (frames of 10 ms), and the bins are gathered into bands.
NOISE_FRAME = 2 * HOP
NOISE_BINS = NOISE_FRAME // 2 + 1
NOISE_EDGES = np.array([1, 3, 5, 7, 9, 11, 13, 15, 18, 21, 24, 27, 30, 33, 37, 41, 45, 50, 55, 60, 66, 73, 80])
NOISE_BANDS = len(NOISE_EDGES) - 1
FEATURES = HARMONICS + NOISE_BANDS
# Amplitudes are logarithms; what is fainter than this (of full scale) is silence.
FLOOR = 1e-4

# Symbols that make no sound of their own: a stress says how the next vowel is spoken, a mark is a pause.
STRESSES = "ˈˌ"
MARKS = ",;:.!?"
SILENT = " " + STRESSES
# Frames of pause after a clause inside a text. Most pauses are the program's, which speaks sentence by sentence.
PAUSES = {mark: 38 for mark in ",;:"} | {mark: 64 for mark in ".!?"}
END = "$"
# Frames of fading sound after the last phoneme, which the symbol `$` stands for.
END_FRAMES = 8
