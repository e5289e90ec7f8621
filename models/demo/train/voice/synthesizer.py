"""Features and a pitch into sound, in ONNX: harmonics as sums of sines, noise as shaped spectra, frame by frame.

Frames stand HOP samples apart. Between two frames amplitudes follow a straight line, and noise overlaps under half
sines, so that nothing begins with a click.
"""

import numpy as np

from .features import band_gains
from .settings import FLOOR, HARMONICS, HOP, NOISE_BANDS, NOISE_BINS, NOISE_FRAME, SAMPLE_RATE

# Enough for 7 kHz at the lowest pitch that intonation.py makes.
VOICES = 76
HIGHEST = 7_600  # Hz
# Frames whose harmonics are made at once: some 0.4 MB for each step of it, which stays in a processor's cache.
BLOCK = 16
LEVEL = 0.95  # peaks of half of full scale and some more


def sound(graph, log_amplitudes, pitch, reference):
    """Samples [frames * HOP]. `pitch` in Hz [frames]; `reference` is the pitch whose harmonics the features sample."""
    frames = graph.count(log_amplitudes)
    # The first frame is silent, so that the sound begins with a slope of 5 ms instead of a step.
    after = graph.Concat(np.array([0]), graph.Reshape(graph.Sub(frames, np.int64(1)), np.array([1])), axis=0)
    hush = graph.Pad(np.array([20.0], np.float32), after)
    log_amplitudes = graph.Sub(log_amplitudes, graph.column(hush))
    harmonic = _harmonics(graph, graph.slice(log_amplitudes, 0, HARMONICS, 1), pitch, reference)
    noise = _noise(graph, graph.slice(log_amplitudes, HARMONICS, HARMONICS + NOISE_BANDS, 1), frames)
    mixed = graph.Mul(graph.Add(harmonic, noise), LEVEL)
    return graph.Clip(mixed, np.float32(-1), np.float32(1))


def _amplitude(graph, log_amplitude):
    """Amplitudes; what is at the floor is nothing at all."""
    return graph.Max(graph.Sub(graph.Exp(log_amplitude), 1.5 * FLOOR), 0.0)


def _harmonics(graph, log_amplitude, pitch, reference):
    order = np.arange(1, VOICES + 1, dtype=np.float32)
    # Where each harmonic of this pitch lies among those that the features sample; the ends are held.
    frequency = graph.Mul(graph.column(pitch), order[None])
    place = graph.Clip(graph.Sub(graph.Div(frequency, reference), 1.0), np.float32(0), np.float32(HARMONICS - 1.001))
    below = graph.Floor(place)
    share = graph.Sub(place, below)
    below = graph.cast(below, np.int64)
    above = graph.Add(below, np.int64(1))

    def between(values):
        low, high = (graph.GatherElements(values, index, axis=1) for index in (below, above))
        return graph.Add(low, graph.Mul(graph.Sub(high, low), share))

    # A lower pitch has more harmonics in a formant: each is weaker, so that the loudness stays.
    loudness = graph.Sqrt(graph.Div(graph.column(pitch), reference))
    heard = graph.cast(graph.Less(frequency, float(HIGHEST)), np.float32)
    amplitude = graph.Mul(_amplitude(graph, between(log_amplitude)), graph.Mul(loudness, heard))
    # The phases of the envelope's minimum-phase filter: pulses that ring as a throat does, instead of one sharp spike.
    phase = between(graph.MatMul(log_amplitude, _minimum_phase()))
    sine = graph.Mul(amplitude, graph.Cos(phase))
    cosine = graph.Mul(amplitude, graph.Sin(phase))
    both = graph.Concat(sine, cosine, axis=1)

    # Each frame's samples are HOP values of a straight line from its pitch to the next, and so are its amplitudes.
    steps = (np.arange(HOP, dtype=np.float32) / HOP)[None]
    turn = graph.Div(_lines(graph, pitch, steps), float(SAMPLE_RATE))
    turns = graph.CumSum(graph.cast(graph.vector(turn), np.float64), np.int64(0))
    angle = graph.Mul(graph.cast(graph.Mod(turns, graph.double([1.0]), fmod=1), np.float32), 2 * np.pi)
    ends = graph.Concat(
        graph.Unsqueeze(both, np.array([2])), graph.Unsqueeze(_next(graph, both), np.array([2])), axis=2
    )
    ramps = np.stack([1 - steps[0], steps[0]], 1)[None]

    def block(angle, ends):
        """Samples [BLOCK * HOP] of the angles [BLOCK, HOP, 1] of the first harmonic and of all amplitudes at both ends."""
        angles = graph.Mul(angle, order)
        sines = graph.MatMul(graph.Sin(angles), graph.slice(ends, 0, VOICES, 1))
        cosines = graph.MatMul(graph.Cos(angles), graph.slice(ends, VOICES, None, 1))
        return graph.vector(graph.sum(graph.Mul(graph.Add(sines, cosines), ramps), 2))

    # Every sample of every harmonic at once would be some 30 MB for each second of sound.
    angles = _blocks(graph, graph.Reshape(angle, np.array([-1, HOP, 1])), [HOP, 1])
    samples = graph.vector(graph.each(block, angles, _blocks(graph, ends, [2 * VOICES, 2])))
    return graph.Slice(samples, np.array([0]), graph.Shape(angle))


def _blocks(graph, x, rest):
    """Frames [frames, *rest] as [blocks, BLOCK, *rest]; the last block is filled up with silence."""
    frames = graph.Shape(x, start=0, end=1)
    missing = graph.Mod(graph.Neg(frames), np.array([BLOCK]))
    padding = graph.Concat(np.zeros(len(rest) + 1, np.int64), missing, np.zeros(len(rest), np.int64), axis=0)
    return graph.Reshape(graph.Pad(x, padding), np.array([-1, BLOCK, *rest]))


def _next(graph, x):
    """Each row's next row; the last is its own."""
    return graph.Concat(graph.slice(x, 1, None, 0), graph.slice(x, -1, None, 0), axis=0)


def _lines(graph, x, steps):
    """Straight lines from each value of a vector to the next: [frames, HOP]."""
    slope = graph.Sub(_next(graph, x), x)
    return graph.Add(graph.column(x), graph.Mul(graph.column(slope), steps))


def _minimum_phase():
    """[HARMONICS, HARMONICS]: the log amplitudes' cepstrum, made causal, as phases (a Hilbert transform)."""
    size = 2 * (HARMONICS + 1)
    bins = np.arange(1, HARMONICS + 1)
    index = np.arange(1, HARMONICS + 1)[:, None]
    # Log amplitudes at the bins ±k of `size`; the two ends take their neighbours' values.
    weight = np.cos(2 * np.pi * index * bins / size) * 2
    weight[:, 0] += 1
    weight[:, -1] += np.cos(np.pi * index[:, 0])
    cepstrum = weight / size
    return (-2 * np.sin(2 * np.pi * np.outer(bins, index) / size) @ cepstrum).T


def _noise(graph, log_amplitude, frames):
    shape = graph.Concat(graph.row(frames), np.array([2 * NOISE_BINS]), axis=0)
    random = graph.RandomNormalLike(graph.ConstantOfShape(shape), dtype=1)
    gain = graph.MatMul(_amplitude(graph, log_amplitude), np.tile(band_gains(), (1, 2)))
    # The real and imaginary parts of a spectrum, through an inverse transform under half a sine.
    time = np.arange(NOISE_FRAME)
    angle = 2 * np.pi * np.outer(np.arange(NOISE_BINS), time) / NOISE_FRAME
    inverse = np.concatenate([np.cos(angle), -np.sin(angle)]) / np.sqrt(NOISE_FRAME / 2)
    inverse[[0, NOISE_BINS - 1, NOISE_BINS, 2 * NOISE_BINS - 1]] *= np.sqrt(0.5)
    window = np.sin(np.pi * (time + 0.5) / NOISE_FRAME)
    grains = graph.MatMul(graph.Mul(random, gain), inverse * window)
    # Grain i is centred on the first sample of frame i: its second half sounds there, with the next one's first half.
    late, early = graph.slice(grains, HOP, None, 1), graph.slice(grains, 0, HOP, 1)
    following = graph.Pad(graph.slice(early, 1, None, 0), np.array([0, 0, 1, 0]))
    return graph.vector(graph.Add(late, following))
