"""Whisper models in whisper.cpp's ggml file format: header, mel filters, token table, tensors.

Which tensors are quantized, and how, is what whisper.cpp's own `quantize` does: matrices but for the positions; biases,
norms and positions stay f32, the kernels of the convolutions f16. Needs numpy.
"""

import os
import struct

import numpy as np

MAGIC = 0x67676D6C
BLOCK = 32
HPARAMS = (
    "n_vocab",
    "n_audio_ctx",
    "n_audio_state",
    "n_audio_head",
    "n_audio_layer",
    "n_text_ctx",
    "n_text_state",
    "n_text_head",
    "n_text_layer",
    "n_mels",
)
# The header's ftype (GGML_FTYPE_MOSTLY_*, plus a thousand for each version of the quantization) and a matrix's own type.
QUANTIZATION_VERSION = 2
FTYPE = {"f16": 1, "q8_0": 7 + 1000 * QUANTIZATION_VERSION, "q5_1": 9 + 1000 * QUANTIZATION_VERSION}
TTYPE = {"f32": 0, "f16": 1, "q5_1": 7, "q8_0": 8}


def shapes(hparams):
    """The name and shape (in PyTorch's order) of every tensor that whisper.cpp wants, in the order of the file."""
    width, vocab = hparams["n_text_state"], hparams["n_vocab"]
    found = {"encoder.positional_embedding": (hparams["n_audio_ctx"], width)}
    found |= {"encoder.conv1.weight": (width, hparams["n_mels"], 3), "encoder.conv1.bias": (width,)}
    found |= {"encoder.conv2.weight": (width, width, 3), "encoder.conv2.bias": (width,)}

    def norm(name):
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    def linear(name, outputs, inputs):
        return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    def attention(name):
        return (
            norm(f"{name}_ln")
            | linear(f"{name}.query", width, width)
            | {f"{name}.key.weight": (width, width)}
            | linear(f"{name}.value", width, width)
            | linear(f"{name}.out", width, width)
        )

    for side, layers in (("encoder", hparams["n_audio_layer"]), ("decoder", hparams["n_text_layer"])):
        if side == "decoder":
            found["decoder.positional_embedding"] = (hparams["n_text_ctx"], width)
            found["decoder.token_embedding.weight"] = (vocab, width)
        for layer in range(layers):
            block = f"{side}.blocks.{layer}"
            found |= attention(f"{block}.attn")
            if side == "decoder":
                found |= attention(f"{block}.cross_attn")
            found |= norm(f"{block}.mlp_ln")
            found |= linear(f"{block}.mlp.0", 4 * width, width) | linear(f"{block}.mlp.2", width, 4 * width)
        found |= norm("encoder.ln_post" if side == "encoder" else "decoder.ln")
    return found


def write(path, hparams, mel_filters, tokens, tensors, kind):
    """Writes a model.

    hparams: HPARAMS by name. mel_filters: [n_mels, 201]. tokens: the bytes of each text token, by its number.
    tensors: float arrays by the names of `shapes`; a mapping that makes each when it is asked for will do.
    kind: "f16", "q5_1" or "q8_0", the type of the matrices.
    A file that was there stays as it is until the new one is complete.
    """
    wanted = shapes(hparams)
    if unknown := sorted(set(tensors) ^ set(wanted)):
        raise ValueError(f"{path}: tensors missing or unknown to whisper.cpp: {', '.join(unknown)}")
    part = f"{path}.part"
    try:
        with open(part, "wb") as file:
            file.write(struct.pack("<i10ii", MAGIC, *(hparams[name] for name in HPARAMS), FTYPE[kind]))
            file.write(struct.pack("<2i", *np.shape(mel_filters)))
            file.write(np.asarray(mel_filters, "<f4").tobytes())
            file.write(struct.pack("<i", len(tokens)))
            for token in tokens:
                file.write(struct.pack("<i", len(token)) + token)
            for name, shape in wanted.items():
                tensor(file, name, shape, tensors[name], kind)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)


def tensor(file, name, shape, values, kind):
    """Writes one tensor: dimensions (the fastest first), name, type, data."""
    values = np.asarray(values, np.float32)
    if values.shape != shape:
        raise ValueError(f"{name}: shape {values.shape}, whisper.cpp wants {shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: a weight that is not a number")
    if len(shape) == 1 or "positional" in name:
        own, data = "f32", values.astype("<f4")
    elif kind == "f16" or len(shape) == 3:
        own, data = "f16", values.astype("<f2")
    else:
        own, data = kind, {"q5_1": q5_1, "q8_0": q8_0}[kind](values)
    if name in ("encoder.conv1.bias", "encoder.conv2.bias"):
        shape = (*shape, 1)
    encoded = name.encode()
    file.write(struct.pack("<3i", len(shape), len(encoded), TTYPE[own]))
    file.write(struct.pack(f"<{len(shape)}i", *reversed(shape)) + encoded)
    file.write(data.tobytes())


def blocks(values, make, size):
    """The blocks of `size` bytes that `make` gives of 32 numbers each; a million at a time, for the memory's sake."""
    if values.shape[-1] % BLOCK:
        raise ValueError(f"rows of {values.shape[-1]} are not whole blocks of {BLOCK}")
    values = np.asarray(values, np.float32).reshape(-1, BLOCK)
    found = np.empty((len(values), size), np.uint8)
    for at in range(0, len(values), 1 << 15):
        found[at : at + (1 << 15)] = make(values[at : at + (1 << 15)])
    return found


def q5_1(values):
    """Blocks of 24 bytes: step f16, least f16, the fifth bits u32, the lower four bits of numbers i and i + 16 in byte i.

    The same bytes as ggml's quantize_row_q5_1_ref.
    """

    def make(x):
        least = x.min(axis=1, keepdims=True)
        step = (x.max(axis=1, keepdims=True) - least) / np.float32(31)
        inverse = np.divide(np.float32(1), step, out=np.zeros_like(step), where=step != 0)
        level = ((x - least) * inverse + np.float32(0.5)).astype(np.uint8)
        fifth = ((level >> 4).astype("<u4") << np.arange(BLOCK, dtype="<u4")).sum(axis=1, keepdims=True, dtype="<u4")
        nibbles = (level[:, :16] & 15) | ((level[:, 16:] & 15) << 4)
        parts = step.astype("<f2").view(np.uint8), least.astype("<f2").view(np.uint8), fifth.view(np.uint8), nibbles
        return np.concatenate(parts, axis=1)

    return blocks(values, make, 24)


def q8_0(values):
    """Blocks of 34 bytes: step f16, then 32 signed levels. The same bytes as ggml's quantize_row_q8_0_ref."""

    def make(x):
        step = np.abs(x).max(axis=1, keepdims=True) / np.float32(127)
        inverse = np.divide(np.float32(1), step, out=np.zeros_like(step), where=step != 0)
        level = x * inverse
        level = np.trunc(level + np.copysign(np.float32(0.5), level)).astype(np.int8)
        return np.concatenate((step.astype("<f2").view(np.uint8), level.view(np.uint8)), axis=1)

    return blocks(values, make, 34)


def read_head(path):
    """What stands before the tensors of a model: (hparams, mel_filters, tokens)."""
    with open(path, "rb") as file:

        def numbers(count):
            return struct.unpack(f"<{count}i", file.read(4 * count))

        magic, *hparams, _ftype = numbers(2 + len(HPARAMS))
        if magic != MAGIC:
            raise ValueError(f"{path}: not a ggml model of whisper.cpp")
        mels, bins = numbers(2)
        filters = np.frombuffer(file.read(4 * mels * bins), "<f4").reshape(mels, bins)
        tokens = [file.read(*numbers(1)) for _ in range(*numbers(1))]
    return dict(zip(HPARAMS, hparams)), filters, tokens
