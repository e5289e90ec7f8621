"""Trains the network on the corpus: durations and features, each by plain regression."""

import argparse
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import network
from .settings import FEATURES, MARKS, SILENT, WORK

SEED = 0
BATCH = 16
# Frames of a crop that count; as many more as the network sees stand on each side.
CROP = 256
LENGTH = CROP + 2 * network.CONTEXT
# Symbols that a crop takes along: those that it sounds, and those that the encoder sees around them.
SYMBOLS = 64
SYMBOL_CONTEXT = network.ENCODER_LAYERS * (network.ENCODER_WIDTH // 2) + 1


class Corpus:
    """The utterances of corpus.npz, in memory."""

    def __init__(self):
        stored = np.load(WORK / "corpus.npz")
        self.pitch = float(stored["pitch"])
        texts, shares, features = list(stored["symbols"]), stored["shares"], stored["features"]
        self.alphabet = sorted({symbol for text in texts for symbol in text} | set(MARKS + SILENT))
        number = {symbol: index for index, symbol in enumerate(self.alphabet)}
        self.mean = features.mean(0, dtype=np.float64).astype(np.float32)
        self.deviation = features.std(0, dtype=np.float64).astype(np.float32) + 0.2
        self.utterances, symbol_at, frame_at = [], 0, 0
        for text in texts:
            share = shares[symbol_at : symbol_at + len(text)]
            frames = int(share.sum())
            numbers = np.array([number[symbol] for symbol in text])
            self.utterances.append((numbers, share, features[frame_at : frame_at + frames]))
            symbol_at, frame_at = symbol_at + len(text), frame_at + frames

    def batch(self, indices, random):
        """Random crops of some utterances, as arrays of one shape."""
        count = len(indices)
        symbols = np.zeros((count, SYMBOLS), np.int32)
        present = np.zeros((count, SYMBOLS), np.float32)
        share = np.zeros((count, SYMBOLS), np.float32)
        owner, begin = np.zeros((count, LENGTH), np.int32), np.zeros((count, LENGTH), np.float32)
        length, frame = np.ones((count, LENGTH), np.float32), np.zeros((count, LENGTH), np.float32)
        drawn = np.zeros((count, LENGTH, FEATURES), np.float32)
        inside, counted = np.zeros((count, LENGTH), np.float32), np.zeros((count, LENGTH), np.float32)
        for row, index in enumerate(indices):
            numbers, shares, features = self.utterances[index]
            owners = np.repeat(np.arange(len(numbers)), shares)
            first = random.integers(-network.CONTEXT, max(len(owners) - CROP - network.CONTEXT, 0) + 1)
            low, high = max(first, 0), min(first + LENGTH, len(owners))
            there = slice(low - first, high - first)
            left = max(owners[low] - SYMBOL_CONTEXT, 0)
            taken = slice(left, left + SYMBOLS)
            symbols[row, : len(numbers[taken])] = numbers[taken]
            present[row, : len(numbers[taken])] = 1
            whole = slice(owners[low], min(owners[high - 1] + 1, left + SYMBOLS - SYMBOL_CONTEXT))
            share[row, whole.start - left : whole.stop - left] = shares[whole]
            owner[row, there] = np.minimum(owners[low:high] - left, SYMBOLS - 1)
            begin[row, there] = (np.cumsum(shares) - shares)[owners[low:high]]
            length[row, there] = shares[owners[low:high]]
            frame[row, there] = np.arange(low, high)
            drawn[row, there] = (features[low:high].astype(np.float32) - self.mean) / self.deviation
            inside[row, there] = 1
            counted[row, network.CONTEXT : network.CONTEXT + CROP] = 1
        return symbols, present, share, owner, network.places(begin, length, frame), drawn, inside, counted * inside


def loss(weights, batch):
    """The mean error of the features, and of the logarithms of the durations."""
    symbols, present, share, owner, place, drawn, inside, counted = batch
    states, log_frames = network.encode(weights, symbols, present)
    error = jnp.abs(network.decode(weights, states, owner, place, inside) - drawn).mean(-1)
    timed = present * (share > 0)
    duration = (jnp.abs(log_frames - jnp.log(jnp.maximum(share, 1))) * timed).sum() / timed.sum()
    feature = (error * counted).sum() / counted.sum()
    return feature + 0.2 * duration, (feature, duration)


def train(steps):
    """Trains for `steps` steps and writes WORK/network.npz."""
    corpus = Corpus()
    random = np.random.default_rng(SEED)
    held_out = corpus.utterances[-64:]
    corpus.utterances = corpus.utterances[:-64]
    print(f"{len(corpus.utterances)} utterances, {len(corpus.alphabet)} symbols: {''.join(corpus.alphabet)}")
    weights = network.initial(jax.random.PRNGKey(SEED), len(corpus.alphabet))
    schedule = optax.warmup_cosine_decay_schedule(1e-4, 2.5e-3, 100, steps, 2e-5)
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=1e-4))
    state = optimizer.init(weights)

    @jax.jit
    def step(weights, state, batch):
        (_, errors), gradient = jax.value_and_grad(loss, has_aux=True)(weights, batch)
        updates, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, updates), state, errors

    measure = jax.jit(lambda weights, batch: loss(weights, batch)[1])
    begun, errors = time.time(), []
    for count in range(1, steps + 1):
        batch = corpus.batch(random.integers(0, len(corpus.utterances), BATCH), random)
        weights, state, error = step(weights, state, batch)
        errors.append(error)
        if count % 250 == 0 or count == steps:
            feature, duration = np.array(errors).mean(0)
            seconds = time.time() - begun
            print(f"step {count}: features {feature:.4f} durations {duration:.4f}, {seconds:.0f} s", flush=True)
            errors = []
    corpus.utterances = held_out
    fixed = np.random.default_rng(1)
    batches = [corpus.batch(range(at, at + BATCH), fixed) for at in range(0, 64, BATCH)]
    feature, duration = np.array([measure(weights, batch) for batch in batches]).mean(0)
    print(f"64 utterances held out: features {feature:.4f} durations {duration:.4f}", flush=True)
    np.savez(
        WORK / "network.npz",
        alphabet="".join(corpus.alphabet),
        pitch=corpus.pitch,
        mean=corpus.mean,
        deviation=corpus.deviation,
        **{name: np.asarray(value) for name, value in weights.items()},
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2500)
    train(parser.parse_args().steps)
