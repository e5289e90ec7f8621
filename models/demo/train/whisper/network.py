"""Whisper's architecture in JAX, as small as the demo needs it: the names and shapes of the tensors are OpenAI's.

Only the tokens in use are trained; the rest of the embedding is zero in the model file, which makes their logits zero: the
loss counts them, so the softmax at run time is the one trained.
"""

import jax
import jax.numpy as jnp
import numpy as np

WIDTH, HEADS, ENCODER_LAYERS, DECODER_LAYERS = 128, 4, 4, 2
BANDS, AUDIO_CONTEXT, TEXT_CONTEXT = 80, 1500, 448


def positions():
    """The encoder's sinusoids, float32 [1500, WIDTH]."""
    scale = np.log(10000) / (WIDTH // 2 - 1)
    angles = np.arange(AUDIO_CONTEXT)[:, None] * np.exp(-scale * np.arange(WIDTH // 2))[None]
    return np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(np.float32)


POSITIONS = positions()


def init(seed, tokens, phonemes):
    """Fresh parameters by name. `tokens`: how many are in use; `phonemes`: how many the encoder learns to tell apart
    (that head stays behind when the model is written)."""
    rng = np.random.default_rng(seed)
    parameters = {}

    def linear(name, inputs, outputs, bias=True, scale=1.0):
        parameters[f"{name}.weight"] = rng.normal(size=(outputs, inputs)) * inputs**-0.5 * scale
        if bias:
            parameters[f"{name}.bias"] = np.zeros(outputs)

    def norm(name):
        parameters[f"{name}.weight"], parameters[f"{name}.bias"] = np.ones(WIDTH), np.zeros(WIDTH)

    def convolution(name, inputs):
        parameters[f"{name}.weight"] = rng.normal(size=(WIDTH, inputs, 3)) * (inputs * 3) ** -0.5
        parameters[f"{name}.bias"] = np.zeros(WIDTH)

    def attention(name):
        linear(f"{name}.query", WIDTH, WIDTH)
        linear(f"{name}.key", WIDTH, WIDTH, bias=False)
        linear(f"{name}.value", WIDTH, WIDTH)
        linear(f"{name}.out", WIDTH, WIDTH, scale=0.5)
        norm(f"{name}_ln")

    convolution("encoder.conv1", BANDS)
    convolution("encoder.conv2", WIDTH)
    for side, layers in (("encoder", ENCODER_LAYERS), ("decoder", DECODER_LAYERS)):
        for layer in range(layers):
            block = f"{side}.blocks.{layer}"
            attention(f"{block}.attn")
            if side == "decoder":
                attention(f"{block}.cross_attn")
            linear(f"{block}.mlp.0", WIDTH, 4 * WIDTH)
            linear(f"{block}.mlp.2", 4 * WIDTH, WIDTH, scale=0.5)
            norm(f"{block}.mlp_ln")
    norm("encoder.ln_post")
    norm("decoder.ln")
    parameters["decoder.positional_embedding"] = rng.normal(size=(TEXT_CONTEXT, WIDTH)) * 0.02
    parameters["tokens"] = rng.normal(size=(tokens, WIDTH)) * 0.05
    linear("phonemes", WIDTH, phonemes)
    return {name: jnp.asarray(value, jnp.float32) for name, value in parameters.items()}


def _norm(p, name, x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(variance + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]


def _linear(p, name, x):
    y = x @ p[f"{name}.weight"].T
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def _attention(p, name, x, memory, mask=None):
    batch, length, _ = x.shape

    def heads(y):
        return y.reshape(batch, y.shape[1], HEADS, -1)

    query, key = heads(_linear(p, f"{name}.query", x)), heads(_linear(p, f"{name}.key", memory))
    value = heads(_linear(p, f"{name}.value", memory))
    scores = jnp.einsum("bthd,bshd->bhts", query, key) * (WIDTH // HEADS) ** -0.5
    weights = jax.nn.softmax(scores if mask is None else scores + mask, -1)
    return _linear(p, f"{name}.out", jnp.einsum("bhts,bshd->bthd", weights, value).reshape(batch, length, WIDTH))


def _feed_forward(p, block, x):
    # ggml's GELU is the approximation by tanh.
    hidden = jax.nn.gelu(_linear(p, f"{block}.mlp.0", _norm(p, f"{block}.mlp_ln", x)), approximate=True)
    return _linear(p, f"{block}.mlp.2", hidden)


def encode(p, mel):
    """mel [B, 80, 2 * context] to [B, context, WIDTH]."""
    x = mel
    for name, stride in (("encoder.conv1", 1), ("encoder.conv2", 2)):
        x = jax.lax.conv_general_dilated(
            x, p[f"{name}.weight"], (stride,), [(1, 1)], dimension_numbers=("NCH", "OIH", "NCH")
        )
        x = jax.nn.gelu(x + p[f"{name}.bias"][None, :, None], approximate=True)
    x = x.transpose(0, 2, 1)
    x = x + POSITIONS[: x.shape[1]]
    for layer in range(ENCODER_LAYERS):
        block = f"encoder.blocks.{layer}"
        y = _norm(p, f"{block}.attn_ln", x)
        x = x + _attention(p, f"{block}.attn", y, y)
        x = x + _feed_forward(p, block, x)
    return _norm(p, "encoder.ln_post", x)


def decode(p, tokens, memory):
    """Tokens [B, T] (numbers among those in use) and the encoder's output to logits [B, T, tokens in use]."""
    length = tokens.shape[1]
    x = p["tokens"][tokens] + p["decoder.positional_embedding"][:length]
    causal = jnp.where(jnp.tril(jnp.ones((length, length))) > 0, 0.0, -1e9)
    for layer in range(DECODER_LAYERS):
        block = f"decoder.blocks.{layer}"
        y = _norm(p, f"{block}.attn_ln", x)
        x = x + _attention(p, f"{block}.attn", y, y, causal)
        x = x + _attention(p, f"{block}.cross_attn", _norm(p, f"{block}.cross_attn_ln", x), memory)
        x = x + _feed_forward(p, block, x)
    return _norm(p, "decoder.ln", x) @ p["tokens"].T


def phonemes(p, memory):
    """Log-probabilities of the phoneme at each position, [B, context, phonemes]."""
    return jax.nn.log_softmax(_linear(p, "phonemes", memory), -1)
