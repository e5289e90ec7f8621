"""The voice of letters, as MMS-TTS's are: letters -> phonemes by a small network, then the voice of phonemes.

Each letter chooses the chunk of phonemes that it stands for, from its neighbours and from the whole text, which tells
the language. The chunks, one after the other, are the symbols that the acoustic network was trained on.
"""

import argparse
import json
import time
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import optax

from .export import load, speech
from .graph import Graph
from .letters import LETTERS, LONGEST, readings
from .network import convolve
from .settings import END, SAMPLE_RATE, WORK

SEED = 5
CHANNELS = 128
WIDTH = 5
LAYERS = 5
# After this layer each letter hears the mean of all of them.
WHOLE_AFTER = 2
BATCH = 48
LENGTH = 72  # letters of a text in training
RAREST = 4  # a chunk seen less often is not learnt


def initial(key, chunks):
    """Weights: {name: [width, in, out] or [out]}; letter 0 is the end of the text and the blank."""
    weights = {}
    sizes = {f"layer.{index}": (WIDTH, CHANNELS, CHANNELS) for index in range(LAYERS)}
    sizes |= {"whole": (1, CHANNELS, CHANNELS), "out": (1, CHANNELS, chunks)}
    for name, (width, inputs, outputs) in sizes.items():
        key, used = jax.random.split(key)
        weights[name + ".weight"] = jax.random.normal(used, (width, inputs, outputs)) * (width * inputs) ** -0.5
        weights[name + ".bias"] = jnp.zeros(outputs)
    weights["embedding"] = jax.random.normal(key, (len(LETTERS) + 1, CHANNELS)) * 0.3
    return weights


def read(weights, letters, mask):
    """Scores of the chunks [batch, letters, chunks] for letters [batch, letters]."""
    x = weights["embedding"][letters] * mask[..., None]
    for index in range(LAYERS):
        x = (x + jax.nn.relu(convolve(x, weights, f"layer.{index}"))) * mask[..., None]
        if index == WHOLE_AFTER:
            mean = x.sum(1, keepdims=True) / mask.sum(1)[:, None, None]
            x = (x + convolve(mean, weights, "whole")) * mask[..., None]
    return convolve(x, weights, "out")


def train(count, steps):
    """Trains on `count` texts and writes WORK/letters.npz."""
    found = [reading for reading in readings(count, SEED) if len(reading[0]) <= LENGTH]
    seen = Counter(chunk for _, chunks in found for chunk in chunks)
    chunks = [chunk for chunk, times in sorted(seen.items()) if times >= RAREST]
    number = {chunk: index for index, chunk in enumerate(chunks)}
    letters = np.zeros((len(found), LENGTH), np.int32)
    answers = np.full((len(found), LENGTH), -1, np.int32)
    for row, (text, parts) in enumerate(found):
        letters[row, : len(text)] = [LETTERS.index(letter) + 1 for letter in text]
        answers[row, : len(text)] = [number.get(part, -1) for part in parts]
    held_out = len(found) // 20
    print(f"{len(found)} texts, {len(chunks)} chunks of {len(seen)}", flush=True)

    def loss(weights, letters, answers):
        scores = read(weights, letters, (letters > 0).astype(jnp.float32))
        counted = answers >= 0
        each = optax.softmax_cross_entropy_with_integer_labels(scores, jnp.maximum(answers, 0))
        right = (scores.argmax(-1) == answers) & counted
        return (each * counted).sum() / counted.sum(), right.sum() / counted.sum()

    weights = initial(jax.random.PRNGKey(SEED), len(chunks))
    optimizer = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(optax.warmup_cosine_decay_schedule(1e-4, 3e-3, 100, steps, 2e-5), b2=0.98, weight_decay=1e-3),
    )
    state = optimizer.init(weights)

    @jax.jit
    def step(weights, state, letters, answers):
        (_, right), gradient = jax.value_and_grad(loss, has_aux=True)(weights, letters, answers)
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, right

    random, begun, rights = np.random.default_rng(SEED), time.time(), []
    for at in range(1, steps + 1):
        chosen = random.integers(held_out, len(found), BATCH)
        weights, state, right = step(weights, state, letters[chosen], answers[chosen])
        rights.append(right)
        if at % 250 == 0 or at == steps:
            print(f"step {at}: {np.mean(rights):.2%} of letters right, {time.time() - begun:.0f} s", flush=True)
            rights = []
    right = loss(weights, letters[:held_out], answers[:held_out])[1]
    print(f"{held_out} texts held out: {right:.2%} of letters right", flush=True)
    np.savez(WORK / "letters.npz", chunks=chunks, **{name: np.asarray(value) for name, value in weights.items()})


def _symbols(graph, weights, chunks, alphabet):
    """Indices into `alphabet` for the letters of the input `x`, with END after them."""
    letters = graph.vector("x")
    letters = graph.Compress(letters, graph.Greater(letters, np.int64(0)), axis=0)
    # A text without a letter is a space.
    spaces = graph.Reshape(graph.cast(graph.Equal(graph.count(letters), np.int64(0)), np.int64), np.array([1]))
    space = graph.Slice(np.array([LETTERS.index(" ") + 1]), np.array([0]), spaces)
    letters = graph.Concat(letters, space, axis=0)

    def layer(x, name):
        weight = weights[name + ".weight"].transpose(2, 1, 0)
        reach = weight.shape[2] // 2
        return graph.Conv(x, graph.weight(weight), graph.constant(weights[name + ".bias"]), pads=[reach, reach])

    x = graph.row(graph.Transpose(graph.Gather(graph.weight(weights["embedding"]), letters), perm=[1, 0]))
    for index in range(LAYERS):
        x = graph.Add(x, graph.Relu(layer(x, f"layer.{index}")))
        if index == WHOLE_AFTER:
            x = graph.Add(x, layer(graph.ReduceMean(x, axes=[2]), "whole"))
    chosen = graph.vector(graph.ArgMax(layer(x, "out"), axis=1, keepdims=0))
    table = np.full((len(chunks), LONGEST), -1)
    for row, chunk in enumerate(chunks):
        table[row, : len(chunk)] = [alphabet.index(symbol) for symbol in chunk]
    symbols = graph.vector(graph.Gather(table, chosen))
    symbols = graph.Compress(symbols, graph.GreaterOrEqual(symbols, np.int64(0)), axis=0)
    return graph.Concat(symbols, np.array([alphabet.index(END)]), axis=0)


def export(folder):
    """Writes voice-demo-mms.onnx and voice-demo-mms.json, with the interface of sherpa-onnx's exporter."""
    stored = dict(np.load(WORK / "letters.npz"))
    chunks = [str(chunk) for chunk in stored.pop("chunks")]
    weights, alphabet, reference = load()
    graph = Graph()
    symbols = _symbols(graph, stored, chunks, alphabet)
    samples = speech(graph, symbols, "length_scale", weights, alphabet, reference)
    one = [("noise_scale", np.float32, [1]), ("length_scale", np.float32, [1]), ("noise_scale_w", np.float32, [1])]
    model = graph.model(
        "elio-voice-demo-mms",
        [("x", np.int64, [1, "T"]), ("x_length", np.int64, [1]), *one],
        ("y", np.float32, [1, 1, "N"]),
        graph.Reshape(samples, np.array([1, 1, -1])),
    )
    onnx.save(model, folder / "voice-demo-mms.onnx")
    vocab = {"<blank>": 0} | {letter: index + 1 for index, letter in enumerate(LETTERS)}
    table = {"vocab": vocab, "sampling_rate": SAMPLE_RATE, "add_blank": True}
    (folder / "voice-demo-mms.json").write_text(json.dumps(table, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the voice is written")
    parser.add_argument("--texts", type=int, default=12000)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--export-only", action="store_true")
    arguments = parser.parse_args()
    if not arguments.export_only:
        train(arguments.texts, arguments.steps)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    export(arguments.folder)
