"""The trained network (network.py) as ONNX: symbols -> frames of each symbol and features of each frame."""

from dataclasses import dataclass

import numpy as np

from . import network
from .settings import END, END_FRAMES, MARKS, PAUSES, SILENT

# How fast the sound fades in a pause: to less than a hundredth in 10 frames.
FADING = 0.5


@dataclass
class Timing:
    """When each symbol sounds. Over symbols: `frames` and `begin` (float32, in frames), and `pause`, 1 for a mark; over
    frames: `owner`, the symbol that sounds (int64), and `frame`, 0, 1, 2… (float32)."""

    frames: str
    begin: str
    owner: str
    frame: str
    pause: str


def encode(graph, weights, symbols, alphabet, pace):
    """States [1, CHANNELS, symbols] and the Timing of `symbols`, a vector of indices into `alphabet`, the last of them
    END. `pace` stretches every duration."""
    x = graph.Gather(graph.weight(weights["embedding"]), symbols)
    x = graph.row(graph.Transpose(x, perm=[1, 0]))
    for index in range(network.ENCODER_LAYERS):
        x = graph.Add(x, graph.Relu(_convolve(graph, weights, x, f"encoder.{index}")))
    duration = graph.Relu(_convolve(graph, weights, x, "duration.0"))
    frames = graph.Exp(graph.vector(_convolve(graph, weights, duration, "duration.1")))
    pause = graph.Gather(np.array([PAUSES.get(symbol, 0) for symbol in alphabet], np.float32), symbols)
    pauses = graph.Greater(pause, 0.0)
    frames = graph.Where(pauses, pause, frames)
    frames = graph.Max(graph.Round(graph.Mul(frames, pace)), 1.0)

    sounding = np.array([symbol not in SILENT + END for symbol in alphabet], np.float32)
    mark = np.array([symbol in MARKS for symbol in alphabet], np.float32)
    ending = np.array([END_FRAMES * (symbol == END) for symbol in alphabet], np.float32)
    # The pause of a mark that ends the text is the program's to make.
    last = graph.Pad(graph.slice(graph.Gather(ending, symbols), 1, None, 0), np.array([0, 1]))
    ends_text = graph.Mul(graph.Gather(mark, symbols), graph.Min(last, 1.0))
    frames = graph.Mul(graph.Mul(frames, graph.Gather(sounding, symbols)), graph.Sub(1.0, ends_text))
    frames = graph.Add(frames, graph.Gather(ending, symbols))

    until = graph.CumSum(frames, np.int64(0))
    total = graph.cast(graph.ReduceMax(until, keepdims=0), np.int64)
    frame = graph.cast(graph.Range(np.int64(0), total, np.int64(1)), np.float32)
    passed = graph.GreaterOrEqual(graph.column(frame), graph.row(until))
    owner = graph.sum(graph.cast(passed, np.int64), 1)
    return x, Timing(frames, graph.Sub(until, frames), owner, frame, graph.cast(pauses, np.float32))


def features(graph, weights, states, timing):
    """Log amplitudes [frames, FEATURES]."""
    length, begin = graph.Gather(timing.frames, timing.owner), graph.Gather(timing.begin, timing.owner)
    since = graph.Add(graph.Sub(timing.frame, begin), 0.5)
    left = graph.Sub(length, since)
    place = [
        graph.Div(since, length),
        graph.Div(graph.Min(since, 20.0), 10.0),
        graph.Div(graph.Min(left, 20.0), 10.0),
        graph.Div(graph.Min(length, 60.0), 20.0),
    ]
    place = graph.row(graph.Concat(*[graph.row(each) for each in place], axis=0))
    x = _convolve(graph, weights, graph.Concat(graph.Gather(states, timing.owner, axis=2), place, axis=1), "decoder.in")
    for index, dilation in enumerate(network.DILATIONS):
        x = graph.Add(x, graph.Relu(_convolve(graph, weights, x, f"decoder.{index}", dilation)))
    x = graph.Transpose(graph.Squeeze(_convolve(graph, weights, x, "decoder.out"), np.array([0])), perm=[1, 0])
    drawn = graph.Add(graph.Mul(x, weights["deviation"]), weights["mean"])
    # What still sounds when a pause begins fades, and stays silent however long the pause.
    fading = graph.Mul(graph.Mul(since, graph.Gather(timing.pause, timing.owner)), FADING)
    return graph.Sub(drawn, graph.column(fading))


def _convolve(graph, weights, x, name, dilation=1):
    """`x` [1, inputs, time] through one of the network's convolutions."""
    weight = graph.weight(weights[name + ".weight"].transpose(2, 1, 0))
    reach = (weights[name + ".weight"].shape[0] // 2) * dilation
    return graph.Conv(x, weight, graph.constant(weights[name + ".bias"]), pads=[reach, reach], dilations=[dilation])
