"""Whisper at its published sizes, with random weights, as files of whisper.cpp.

The mel filters and the token table are the demo Whisper's. Weights are drawn as before a training (normal, the square
root of the inputs as divisor; norms 1, biases 0), but for what makes a search go on to its last token and Elio show its
text: no step can end the text, the decoder's positions are wide, so that it does not turn in circles, and its last norm
is wide, so that it is sure of each token.
"""

import importlib.util
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

DEMO = Path(__file__).resolve().parents[2] / "models/demo"
FORMAT = DEMO / "train/whisper/ggml.py"
WHISPER_DEMO = DEMO / "whisper-demo-q5_1.bin"

COMMON = {"n_vocab": 51865, "n_audio_ctx": 1500, "n_text_ctx": 448, "n_mels": 80}
# Width, heads and layers (as many in the encoder as in the decoder).
SIZES = {"tiny": (384, 6, 4), "base": (512, 8, 6), "small": (768, 12, 12)}
END_OF_TEXT = 50257
WIDE_POSITIONS, WIDE_NORM = 3, 8


def load_format():
    """The project's writer of ggml files, which stands with the trainer of the demo Whisper."""
    spec = importlib.util.spec_from_file_location("ggml", FORMAT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Weights(Mapping):
    """Each tensor is drawn when it is asked for, from the seed and its name: one at a time is in memory."""

    def __init__(self, shapes, seed):
        self.shapes, self.seed = shapes, seed

    def __iter__(self):
        return iter(self.shapes)

    def __len__(self):
        return len(self.shapes)

    def __getitem__(self, name):
        shape = self.shapes[name]
        if len(shape) == 1:
            norm = name.endswith("weight")
            return np.full(shape, (WIDE_NORM if name == "decoder.ln.weight" else 1) if norm else 0, np.float32)
        if name == "encoder.positional_embedding":
            return sinusoids(*shape)
        random = np.random.default_rng((self.seed, zlib.crc32(name.encode())))
        wide = name == "decoder.positional_embedding"
        deviation = WIDE_POSITIONS if wide else np.prod(shape[1:]) ** -0.5
        values = random.standard_normal(shape, np.float32) * np.float32(deviation)
        if name == "decoder.token_embedding.weight":
            values[END_OF_TEXT] = 0
        return values


def sinusoids(length, width):
    """Whisper's positions of the encoder."""
    rates = np.exp(-np.log(10000) / (width // 2 - 1) * np.arange(width // 2))
    angles = np.arange(length)[:, None] * rates
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)


def write(path, size, kind, seed):
    ggml = load_format()
    _, mel_filters, tokens = ggml.read_head(WHISPER_DEMO)
    hparams, (width, heads, layers) = dict(COMMON), SIZES[size]
    for side in ("audio", "text"):
        hparams |= {f"n_{side}_state": width, f"n_{side}_head": heads, f"n_{side}_layer": layers}
    ggml.write(path, hparams, mel_filters, tokens, Weights(ggml.shapes(hparams), seed), kind)
