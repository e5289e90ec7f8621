"""Whisper's front end: 80 mel bands of 25 ms windows each 10 ms, as the decades below the loudest.

The filters and the formula are those of OpenAI's implementation; whisper.cpp reads the filters from the model file.
"""

import numpy as np
from scipy.fft import rfft

RATE = 16000
HOP = 160
WINDOW = 400
BANDS = 80
# whisper.cpp's window is periodic.
_HANN = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


def log_mel(sound, filters):
    """`sound` float32 [N] at 16 kHz, full scale 1; `filters` [80, 201]. Gives float32 [N // 160 + 2, 80]: the clip and the
    frames that its end reaches into. What follows in the encoder's context is silence, `floor` of this."""
    frames = len(sound) // HOP + 2
    padded = np.pad(np.pad(sound, (WINDOW // 2, 0), mode="reflect"), (0, (frames + 2) * HOP))
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:frames] * _HANN
    power = np.abs(rfft(windows, axis=1)) ** 2
    mel = np.log10(np.maximum(power.astype(np.float32) @ filters.T, 1e-10))
    return (np.maximum(mel, mel.max() - 8) + 4) / 4


def floor(mel):
    """What digital silence after the clip becomes."""
    return max(mel.max() - 2.0, -1.5)
