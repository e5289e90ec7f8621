"""What the network learns to draw, frame by frame: the strength of each harmonic and of each band of noise."""

import numpy as np
from scipy.signal import resample_poly

from .settings import FLOOR, HARMONICS, HOP, NOISE_BINS, NOISE_EDGES, NOISE_FRAME, SAMPLE_RATE

_NOISE_WINDOW = np.hanning(NOISE_FRAME + 1)[:-1]


def features(harmonic, noise, rate, pitch):
    """Log amplitudes, float32 [frames, FEATURES], a frame each HOP, frame `i` centred on sample `i * HOP`. `harmonic`
    and `noise` are [N] at `rate` Hz; `pitch` is the harmonics' own, in Hz."""
    frames = int(len(harmonic) / rate * SAMPLE_RATE / HOP)
    parts = [_harmonics(harmonic, frames, rate, pitch), _noise(noise, frames, rate)]
    return np.log(np.maximum(np.concatenate(parts, 1), FLOOR)).astype(np.float32)


def _harmonics(sound, frames, rate, pitch):
    """Amplitudes [frames, HARMONICS]. A Hann window of two periods has its zeros at all other harmonics."""
    half = round(rate / pitch)
    time = np.arange(-half, half + 1) / rate
    window = 0.5 + 0.5 * np.cos(np.pi * np.arange(-half, half + 1) / half)
    waves = np.exp(-2j * np.pi * pitch * np.outer(time, np.arange(1, HARMONICS + 1))) * window[:, None]
    centres = np.round(np.arange(frames) * HOP * rate / SAMPLE_RATE).astype(int)
    cut = np.lib.stride_tricks.sliding_window_view(np.pad(sound, half), 2 * half + 1)[centres]
    return np.abs(cut @ waves) * 2 / window.sum()


def _noise(sound, frames, rate):
    """For each band, the deviation that white noise of this loudness would have: [frames, NOISE_BANDS]."""
    common = np.gcd(rate, SAMPLE_RATE)
    sound = resample_poly(sound, SAMPLE_RATE // common, rate // common)
    padded = np.pad(sound, (NOISE_FRAME // 2, NOISE_FRAME + HOP))
    cut = np.lib.stride_tricks.sliding_window_view(padded, NOISE_FRAME)[: frames * HOP : HOP]
    power = np.abs(np.fft.rfft(cut * _NOISE_WINDOW, axis=1)) ** 2 / (_NOISE_WINDOW**2).sum()
    return np.sqrt(np.stack([power[:, low:high].mean(1) for low, high in zip(NOISE_EDGES, NOISE_EDGES[1:])], 1))


def band_gains():
    """How strongly each bin sounds for each band, [NOISE_BANDS, NOISE_BINS]: straight lines between their centres."""
    centres = (NOISE_EDGES[:-1] + NOISE_EDGES[1:] - 1) / 2
    gains = [np.interp(np.arange(NOISE_BINS), centres, row) for row in np.eye(len(centres))]
    gains = np.array(gains)
    gains[:, 0] = 0
    return gains
