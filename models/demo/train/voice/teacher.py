"""espeak-ng as a teacher: the same sentence once without its noise and once without its voice.

Two variants of a voice, written beside links to espeak-ng's own data, set the strength of the noises (`consonants`) or
of the formants (`voicing`) to nothing, and the wavering of the pitch (`flutter`) with them. Their sum is, sample for
sample, the whole speech, so harmonics and noise need not be told apart by analysis.
"""

import os
import subprocess
import sys

import numpy as np

from .settings import ESPEAK_VOICE, REPOSITORY, SPEED, TEACHER_PITCH, WORK

_VARIANTS = {"harmonic": "flutter 0\nconsonants 0 0\n", "noise": "flutter 0\nvoicing 0\n", "whole": "flutter 0\n"}


def _data_folder():
    version = subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout
    own = version.split("Data at:")[1].strip()
    folder = WORK / "espeak/espeak-ng-data"
    (folder / "voices/!v").mkdir(parents=True, exist_ok=True)
    for name in os.listdir(own):
        link = folder / name
        if name != "voices" and not link.is_symlink():
            link.symlink_to(os.path.join(own, name))
    for name, lines in _VARIANTS.items():
        (folder / "voices/!v" / f"elio-{name}").write_text(f"language variant\nname elio-{name}\n{lines}")
    return folder.parent


# Read once, when the library is loaded.
os.environ["ESPEAK_DATA_PATH"] = str(_data_folder())
sys.path.insert(0, str(REPOSITORY / "models/demo/train"))
import espeak  # noqa: E402

RATE = espeak.SAMPLE_RATE


def speak(text, language):
    """`text` at one steady pitch: harmonics and noise, float64 [N] each at RATE, of full scale 1, and the phonemes
    [(begin in s, IPA)]; `None` where the two renderings differ in time, as they rarely do."""

    def render(variant):
        sound, _, events = espeak.say(text, f"{ESPEAK_VOICE[language]}+elio-{variant}", SPEED, TEACHER_PITCH, 0)
        return sound / 32768, events

    # What was said before shifts the first rendering: it is said once more.
    render("harmonic")
    (harmonic, events), (noise, others) = render("harmonic"), render("noise")
    return (harmonic, noise, events) if events == others and len(harmonic) == len(noise) else None


def pitch():
    """The pitch of the teacher, in Hz: that whose first ten harmonics are strongest in a sentence without hisses."""
    harmonic, _, _ = speak("we were away a year ago, where were you?", "en")
    size = 1 << 18
    spectrum = np.abs(np.fft.rfft(harmonic * np.hanning(len(harmonic)), size))
    candidates = np.arange(90, 180, 0.05)
    strength = [spectrum[np.round(hertz * np.arange(1, 11) * size / RATE).astype(int)].sum() for hertz in candidates]
    return float(candidates[int(np.argmax(strength))])
