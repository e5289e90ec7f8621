"""The network: symbols -> frames of each and, frame by frame, the log amplitudes of harmonics and noise.

Convolutions alone, so that the ONNX graph (acoustic.py) is the same few lines. Arrays are [batch, time, channels].
"""

import jax
import jax.numpy as jnp

from .settings import FEATURES

CHANNELS = 128
ENCODER_LAYERS = 3
ENCODER_WIDTH = 5
# Frames see 16 frames to each side, 80 ms: a consonant hears its neighbours.
DILATIONS = (1, 2, 4, 8, 1)
CONTEXT = sum(DILATIONS)
# Where a frame stands in its symbol: share done, frames since its begin and to its end, and the symbol's length.
PLACES = 4


def initial(key, symbols):
    """Weights for an alphabet of `symbols` symbols: {name: [width, in, out] or [out]}."""
    weights = {"embedding": jax.random.normal(key, (symbols, CHANNELS)) * 0.3}

    def layer(name, width, inputs, outputs):
        nonlocal key
        key, used = jax.random.split(key)
        weights[name + ".weight"] = jax.random.normal(used, (width, inputs, outputs)) * (width * inputs) ** -0.5
        weights[name + ".bias"] = jnp.zeros(outputs)

    for index in range(ENCODER_LAYERS):
        layer(f"encoder.{index}", ENCODER_WIDTH, CHANNELS, CHANNELS)
    layer("duration.0", 3, CHANNELS, CHANNELS)
    layer("duration.1", 1, CHANNELS, 1)
    layer("decoder.in", 1, CHANNELS + PLACES, CHANNELS)
    for index in range(len(DILATIONS)):
        layer(f"decoder.{index}", 3, CHANNELS, CHANNELS)
    layer("decoder.out", 1, CHANNELS, FEATURES)
    return weights


def convolve(x, weights, name, dilation=1):
    """A convolution that keeps the length; a sum of products is the form that a CPU trains fastest."""
    weight = weights[name + ".weight"]
    width, time = weight.shape[0], x.shape[1]
    reach = (width // 2) * dilation
    padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
    taps = [padded[:, tap * dilation : tap * dilation + time] @ weight[tap] for tap in range(width)]
    return sum(taps) + weights[name + ".bias"]


def encode(weights, symbols, mask):
    """States [batch, symbols, CHANNELS] and log frames [batch, symbols] of symbols [batch, symbols]."""
    x = weights["embedding"][symbols] * mask[..., None]
    for index in range(ENCODER_LAYERS):
        x = (x + jax.nn.relu(convolve(x, weights, f"encoder.{index}"))) * mask[..., None]
    duration = jax.nn.relu(convolve(x, weights, "duration.0"))
    return x, convolve(duration, weights, "duration.1")[..., 0]


def places(begin, length, frame):
    """The PLACES of frames in their symbols, which begin at `begin` and last `length` frames; as in acoustic.py."""
    since = frame - begin + 0.5
    left = length - since
    return jnp.stack(
        [since / length, jnp.minimum(since, 20) / 10, jnp.minimum(left, 20) / 10, jnp.minimum(length, 60) / 20], -1
    )


def decode(weights, states, owner, place, mask):
    """Normalised features [batch, frames, FEATURES]. `owner` [batch, frames] is each frame's symbol."""
    x = jnp.take_along_axis(states, owner[..., None], 1)
    x = convolve(jnp.concatenate([x, place], -1), weights, "decoder.in") * mask[..., None]
    for index, dilation in enumerate(DILATIONS):
        x = (x + jax.nn.relu(convolve(x, weights, f"decoder.{index}", dilation))) * mask[..., None]
    return convolve(x, weights, "decoder.out")
