"""Draws one sentence in each language, the voice above espeak-ng: spectrogram-en.png and spectrogram-fr.png."""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from .evaluate import espeak_says
from .say import Voice
from .settings import SAMPLE_RATE

SENTENCES = {
    "en": "Is it a quarter past nine? Take a light jacket, the sky stays cloudy.",
    "fr": "Quelle heure est-il ? Il fait beau, prenez une veste pour sortir à midi.",
}
# 5 ms of Hann window: a burst is a line, a voice its single pulses.
WINDOW, STEP = 128, 16


def decibels(samples):
    """Levels [frequency, time] in dB of full scale."""
    window = np.hanning(WINDOW)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP] * window
    return 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)).T * 2 / window.sum() + 1e-6)


def draw(voice, language, file):
    """Writes the picture of one language's sentence."""
    text = SENTENCES[language]
    pictures = [("the demo voice", voice.say(text, language)), ("espeak-ng", espeak_says(text, language))]
    figure, axes = plt.subplots(2, 1, figsize=(11, 6), layout="constrained")
    for axis, (name, samples) in zip(axes, pictures):
        length = len(samples) / SAMPLE_RATE
        extent = (0, length, 0, SAMPLE_RATE / 2000)
        axis.imshow(decibels(samples), origin="lower", aspect="auto", cmap="gray_r", vmin=-85, vmax=-25, extent=extent)
        axis.set_title(f"{name}: {text}", fontsize=9, loc="left")
        axis.set_ylabel("kHz")
    axes[1].set_xlabel("s")
    figure.savefig(file, dpi=64, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the voice is, and the pictures go")
    folder = parser.parse_args().folder
    voice = Voice(folder / "voice-demo.onnx", folder / "voice-demo.onnx.json")
    for language in SENTENCES:
        draw(voice, language, folder / f"spectrogram-{language}.png")
