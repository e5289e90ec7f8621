"""Writes the voice of phonemes: voice-demo.onnx, with Piper's interface, and its JSON."""

import argparse
import json
from pathlib import Path

import numpy as np
import onnx

from . import acoustic, intonation, synthesizer
from .graph import Graph
from .settings import END, SAMPLE_RATE, WORK

# Sounds of other languages' words, as the nearest that the voice knows.
_NEAREST = {"r": "ɹ", "ɒ": "ɑ", "x": "k", "ɬ": "l", "β": "v", "ʏ": "y"}


def load():
    """The trained network: (weights, alphabet, reference pitch in Hz)."""
    stored = dict(np.load(WORK / "network.npz"))
    return stored, str(stored.pop("alphabet")), float(stored.pop("pitch"))


def identifiers(alphabet):
    """Piper's numbers of the symbols: `_`, `^` and `$` first."""
    known = ["_", "^", END, *[symbol for symbol in alphabet if symbol != END]]
    return {symbol: number for number, symbol in enumerate(known)}


def speech(graph, symbols, pace, weights, alphabet, reference):
    """Samples from `symbols`, indices into `alphabet` that end with END: what both voices share."""
    states, timing = acoustic.encode(graph, weights, symbols, alphabet, pace)
    drawn = acoustic.features(graph, weights, states, timing)
    pitch = intonation.pitch(graph, symbols, alphabet, timing)
    return synthesizer.sound(graph, drawn, pitch, reference)


def export(folder):
    """Writes voice-demo.onnx and voice-demo.onnx.json."""
    weights, alphabet, reference = load()
    ids = identifiers(alphabet)
    # Pads and the begin are dropped: the network was trained without.
    own = np.array([alphabet.find(symbol) for symbol in ids])
    graph = Graph()
    numbers = graph.vector("input")
    numbers = graph.Compress(numbers, graph.Gather(own >= 0, numbers), axis=0)
    symbols = graph.Gather(np.maximum(own, 0), numbers)
    samples = speech(graph, symbols, graph.slice("scales", 1, 2, 0), weights, alphabet, reference)
    model = graph.model(
        "elio-voice-demo",
        [("input", np.int64, [1, "T"]), ("input_lengths", np.int64, [1]), ("scales", np.float32, [3])],
        ("output", np.float32, [1, 1, 1, "N"]),
        graph.Reshape(samples, np.array([1, 1, 1, -1])),
    )
    onnx.save(model, folder / "voice-demo.onnx")
    table = {
        "audio": {"sample_rate": SAMPLE_RATE, "quality": "demo"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "phoneme_type": "espeak",
        "phoneme_map": {strange: [near] for strange, near in _NEAREST.items() if strange not in ids},
        "phoneme_id_map": {symbol: [number] for symbol, number in ids.items()},
        "num_symbols": len(ids),
        "num_speakers": 1,
        "speaker_id_map": {},
    }
    (folder / "voice-demo.onnx.json").write_text(json.dumps(table, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    export(arguments.folder)
