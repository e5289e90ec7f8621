"""Trains the demo's Whisper on the clips of clips.py and writes it for whisper.cpp.

    python -m whisper.train CLIPS OUT --assets FOLDER [--steps 6000]

Two losses: the words, as Whisper is trained, and at each encoder position the phoneme that espeak-ng said there. The second
teaches the encoder to listen in minutes, where the words alone need hours; it fades out and its head is not written.
"""

import argparse
import collections
import pathlib
import pickle
import queue
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from . import features, ggml, network
from .tokens import END, LANGUAGES, NO_SPEECH, VOCABULARY, Tokenizer

SEED = 5
MARGIN = 24  # positions that Elio leaves after a clip, at the least
CONTEXTS = [64, 96, 128, 160, 192, 224, 256, 320, 448, 640, 1500]
POSITIONS_IN_BATCH = 4800
PROMPT = 4
DIFFERENT_WORD = 0.08  # of the decoder's own past is replaced, so that it listens instead of reciting


class Clips:
    """The clips by the context that they need, and batches of them."""

    def __init__(self, clips, tokenizer):
        sequences = [tokenizer.sequence(language, text) for _, language, text, _ in clips]
        for sequence in sequences:
            if sequence[PROMPT] == END:
                sequence[1] = NO_SPEECH
        special = {NO_SPEECH, *LANGUAGES.values()}
        self.used = sorted(special.union(*sequences))
        number = {token: n for n, token in enumerate(self.used)}
        self.languages = [number[token] for token in LANGUAGES.values()]
        self.no_speech = number[NO_SPEECH]
        self.sequences = [[number[token] for token in sequence] for sequence in sequences]
        self.mels = [mel for mel, *_ in clips]
        self.phonemes = [phonemes for *_, phonemes in clips]
        self.buckets = collections.defaultdict(list)
        for index, mel in enumerate(self.mels):
            self.buckets[next(c for c in CONTEXTS if c >= (len(mel) + 1) // 2 + MARGIN)].append(index)
        share = np.array([len(self.buckets[c]) * c for c in CONTEXTS], float)
        self.share = share / share.sum()
        # One length of text for each context, so that few shapes are compiled.
        longest = {c: max((len(self.sequences[i]) for i in self.buckets[c]), default=8) for c in CONTEXTS}
        self.text = {c: max(n for d, n in longest.items() if d <= c) for c in CONTEXTS}

    def batch(self, rng):
        """mel [B, 80, 2 * context], past [B, T], next [B, T], weights [B, T], phonemes [B, context]."""
        bucket = rng.choice(len(CONTEXTS), p=self.share)
        # Sometimes more silence after the clip than it needs, rarely all that Whisper knows.
        context = CONTEXTS[min(bucket + int(rng.random() < 0.15), len(CONTEXTS) - 2)] if rng.random() > 0.012 else 1500
        pool = self.buckets[CONTEXTS[bucket]]
        size = max(4, POSITIONS_IN_BATCH // context // 2 * 2)
        chosen = rng.choice(pool, size)
        length = self.text[context]
        mel = np.empty((size, features.BANDS, 2 * context), np.float32)
        tokens = np.zeros((size, length), np.int32)
        weights = np.zeros((size, length), np.float32)
        phonemes = np.full((size, context), -1, np.int32)
        for row, index in enumerate(chosen):
            frames, sequence = self.mels[index].astype(np.float32).T, list(self.sequences[index])
            silence = features.floor(frames)
            room = 2 * context - frames.shape[1]
            mel[row, :, : frames.shape[1]] = self._masked(frames, silence, rng)
            mel[row, :, frames.shape[1] :] = silence
            assert room >= 0
            known = self.phonemes[index]
            phonemes[row, : len(known)] = known
            if known[0] >= 0 or (known >= 0).all():
                phonemes[row, len(known) :] = 0
            tokens[row, : len(sequence)] = sequence
            weights[row, 1] = 1
            weights[row, PROMPT : len(sequence)] = 1
        following = tokens[:, 1:].copy()
        past = tokens[:, :-1].copy()
        # Nobody spoke: the first step says so, and whatever language is asked for nevertheless, nothing follows.
        silent = past[:, 1] == self.no_speech
        past[silent, 1] = rng.choice(self.languages, silent.sum())
        other = (rng.random(past.shape) < DIFFERENT_WORD) & (np.arange(past.shape[1]) >= PROMPT)
        past[other] = rng.integers(0, len(self.used), other.sum())
        return mel, past, following, weights[:, 1:], phonemes

    @staticmethod
    def _masked(frames, silence, rng):
        """Another microphone, and holes in time and frequency."""
        bands = np.arange(features.BANDS, dtype=np.float32) / features.BANDS
        colour = rng.normal() * 0.08 * (bands - 0.5) + rng.normal() * 0.05 * np.cos(bands * rng.uniform(2, 12) + rng.uniform(0, 6))
        frames = np.maximum(frames + colour[:, None], silence)
        if rng.random() < 0.5:
            at, width = rng.integers(0, features.BANDS), rng.integers(1, 12)
            frames[at : at + width] = silence
        for _ in range(rng.integers(0, 3)):
            at, width = rng.integers(0, frames.shape[1]), rng.integers(1, 10)
            frames[:, at : at + width] = silence
        return frames


def loss_of(used):
    """The loss of a batch; `fade` weighs the phonemes."""

    def loss(p, mel, past, following, weights, phonemes, fade):
        memory = network.encode(p, mel)
        logits = network.decode(p, past, memory)
        # The tokens that are not in use have the logit 0.
        total = jnp.logaddexp(jax.nn.logsumexp(logits, -1), jnp.log(VOCABULARY - used))
        right = jnp.take_along_axis(logits, following[..., None], -1)[..., 0]
        words = ((total - right) * weights).sum() / weights.sum()
        known = phonemes >= 0
        heard = jnp.take_along_axis(network.phonemes(p, memory), jnp.maximum(phonemes, 0)[..., None], -1)[..., 0]
        sounds = -(heard * known).sum() / jnp.maximum(known.sum(), 1)
        exact = (((logits.argmax(-1) == following) * weights).sum() / weights.sum())
        return words + fade * sounds, (words, sounds, exact)

    return loss


def write(path, p, used, options, kind):
    """The parameters as a model of whisper.cpp."""
    embedding = np.zeros((VOCABULARY, network.WIDTH), np.float32)
    embedding[used] = p["tokens"]
    tensors = {name: np.asarray(value) for name, value in p.items() if name != "tokens" and not name.startswith("phonemes.")}
    tensors["decoder.token_embedding.weight"] = embedding
    tensors["encoder.positional_embedding"] = network.POSITIONS
    hparams = {
        "n_vocab": VOCABULARY,
        "n_audio_ctx": network.AUDIO_CONTEXT,
        "n_audio_state": network.WIDTH,
        "n_audio_head": network.HEADS,
        "n_audio_layer": network.ENCODER_LAYERS,
        "n_text_ctx": network.TEXT_CONTEXT,
        "n_text_state": network.WIDTH,
        "n_text_head": network.HEADS,
        "n_text_layer": network.DECODER_LAYERS,
        "n_mels": network.BANDS,
    }
    filters = np.load(options.assets / "mel_filters.npz")["mel_80"]
    ranks = Tokenizer(options.assets / "multilingual.tiktoken").ranks
    tokens = [token for token, _ in sorted(ranks.items(), key=lambda item: item[1])]
    ggml.write(path, hparams, filters, tokens, tensors, kind)


def write_all(p, used, options):
    for kind in ("f16", "q5_1"):
        write(options.out / f"whisper-demo-{kind}.bin", p, used, options, kind)
    np.savez(options.out / "whisper-demo.npz", used=used, **p)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--assets", type=pathlib.Path, required=True, help="folder of OpenAI's multilingual.tiktoken and mel_filters.npz")
    parser.add_argument("--steps", type=int, default=6000)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with options.clips.open("rb") as file:
        loaded, inventory = pickle.load(file)
    clips = Clips(loaded, Tokenizer(options.assets / "multilingual.tiktoken"))
    used = len(clips.used)
    print(f"{len(loaded)} clips, {used} tokens, {len(inventory)} phonemes", flush=True)

    parameters = network.init(SEED, used, len(inventory))
    schedule = optax.warmup_cosine_decay_schedule(0, 2.5e-3, min(300, options.steps // 2), options.steps, 2e-5)
    decayed = {name: value.ndim > 1 for name, value in parameters.items()}
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, b2=0.98, weight_decay=0.02, mask=decayed))
    state = optimizer.init(parameters)
    loss = loss_of(used)

    @jax.jit
    def step(p, mean, state, batch, fade, keep):
        (_, told), gradient = jax.value_and_grad(loss, has_aux=True)(p, *batch, fade)
        updates, state = optimizer.update(gradient, state, p)
        p = optax.apply_updates(p, updates)
        return p, jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, mean, p), state, jnp.stack(told)

    batches = queue.Queue(6)

    def feed():
        rng = np.random.default_rng(SEED)
        while True:
            batches.put(clips.batch(rng))

    threading.Thread(target=feed, daemon=True).start()
    # What is written is the mean of the last few hundred steps: it errs less than any one of them.
    mean, told, begun = parameters, [], time.monotonic()
    for number in range(1, options.steps + 1):
        fade = 0.6 * max(0.1, 1 - 1.2 * number / options.steps)
        keep = min(0.996, number / (number + 20))
        parameters, mean, state, figures = step(parameters, mean, state, batches.get(), fade, keep)
        told.append(figures)
        if number % 100 == 0:
            words, sounds, exact = np.mean(np.array(told), 0)
            passed = time.monotonic() - begun
            print(f"{number} words {words:.3f} phonemes {sounds:.3f} exact {exact:.3f} {passed:.0f} s", flush=True)
            told = []
        if number % 1000 == 0 or number == options.steps:
            write_all({name: np.asarray(value) for name, value in mean.items()}, np.array(clips.used), options)


if __name__ == "__main__":
    main()
