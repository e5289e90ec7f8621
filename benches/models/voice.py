"""A voice with Piper's interface and the layers of a medium one, with random weights: ONNX and JSON.

The network is VITS as Piper exports it: text encoder with relative attention, duration predictor, flow, HiFi-GAN
decoder, all at full size. What differs from a published voice:
  - one text at a time, so without masks;
  - the duration predictor has its layers but not its splines: a plain step in their place; it gives 2 or 3 frames an id
    (a phoneme or mark of stress, and the blank after each), so that 12 words last some 4 s, as in speech;
  - layer norms are one ONNX node each, where older exports have several.
"""

import json
import os
import zlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

RATE = 22050
SYMBOLS = 256
HIDDEN, FILTER, HEADS, ENCODER_LAYERS, WINDOW = 192, 768, 2, 6, 4
DURATION_LAYERS, DURATION_FLOWS, DURATION_BINS = 3, 3, 10
FLOWS, FLOW_LAYERS, FLOW_KERNEL = 4, 4, 5
CHANNELS, UPSAMPLE = 256, ((8, 16), (8, 16), (4, 8))
RESBLOCKS = ((3, (1, 2)), (5, (2, 6)), (7, (3, 12)))
# Frames for each id, rounded up: this times exp(-0.4) to exp(0.4).
FRAMES = 1.7
# Brings the sound of these very weights to the level of speech: RMS of about 0.1.
LOUDNESS = 0.45


class Graph:
    """Nodes and weights; each method adds nodes and gives the name of what comes out. Signals are [1, channels, time]."""

    def __init__(self, seed):
        self.seed, self.nodes, self.weights, self.count = seed, [], {}, 0

    def add(self, op, *inputs, outputs=1, **attributes):
        names = [f"{op}_{self.count}_{index}" for index in range(outputs)]
        self.count += 1
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def constant(self, values, dtype=np.float32):
        values = np.asarray(values, dtype)
        name = f"c_{zlib.crc32(values.tobytes() + str((values.shape, values.dtype)).encode()):08x}"
        self.weights[name] = values
        return name

    def draw(self, name, shape, deviation):
        random = np.random.default_rng((self.seed, zlib.crc32(name.encode())))
        self.weights[name] = random.standard_normal(shape, np.float32) * np.float32(deviation)
        return name

    def conv(self, x, name, inputs, outputs, kernel=1, dilation=1, groups=1, gain=1.0, bias=True):
        fan_in = inputs // groups * kernel
        weights = [self.draw(f"{name}.weight", (outputs, inputs // groups, kernel), gain * fan_in**-0.5)]
        if bias:
            weights.append(self.constant(np.zeros(outputs)))
        pads = [(kernel - 1) * dilation // 2] * 2
        return self.add("Conv", x, *weights, dilations=[dilation], group=groups, kernel_shape=[kernel], pads=pads)

    def upsample(self, x, name, inputs, outputs, stride, kernel):
        weight = self.draw(f"{name}.weight", (inputs, outputs, kernel), (inputs * kernel / stride) ** -0.5)
        pads = [(kernel - stride) // 2] * 2
        bias = self.constant(np.zeros(outputs))
        return self.add("ConvTranspose", x, weight, bias, kernel_shape=[kernel], strides=[stride], pads=pads)

    def norm(self, x):
        """Over the channels."""
        scale, bias = self.constant(np.ones(HIDDEN)), self.constant(np.zeros(HIDDEN))
        x = self.add("LayerNormalization", self.turn(x), scale, bias, epsilon=1e-5)
        return self.turn(x)

    def turn(self, x):
        return self.add("Transpose", x, perm=[0, 2, 1])

    def gelu(self, x):
        erf = self.add("Erf", self.add("Mul", x, self.constant(0.5**0.5)))
        return self.add("Mul", self.add("Mul", x, self.add("Add", erf, self.constant(1))), self.constant(0.5))

    def split(self, x, *sizes):
        return self.add("Split", x, self.constant(sizes, np.int64), outputs=len(sizes), axis=1)


def attention(g, x, name, distances, near):
    """Self-attention that knows the distance of two places up to WINDOW, as VITS has it.

    distances: [1, H, T, T], key place less query place, as a row of the padded table of keys.
    near: [1, H, T, 2 * WINDOW + 1], the places around each place, in a row of scores padded by WINDOW on both sides.
    """
    head = HIDDEN // HEADS
    split = g.constant([1, HEADS, head, -1], np.int64)

    def heads(part):
        y = g.add("Reshape", g.conv(x, f"{name}.{part}", HIDDEN, HIDDEN), split)
        return g.add("Transpose", y, perm=[0, 1, 3, 2])

    q = g.add("Mul", heads("query"), g.constant(head**-0.5))
    k, v = g.add("Transpose", heads("key"), perm=[0, 1, 3, 2]), heads("value")
    # Beyond the window the table is 0: one row of zeros on each side.
    table = g.weights[g.draw(f"{name}.near_keys", (2 * WINDOW + 1, head), head**-0.5)]
    g.weights[f"{name}.near_keys"] = np.pad(table, ((1, 1), (0, 0))).T.copy()
    by_distance = g.add("GatherElements", g.add("MatMul", q, f"{name}.near_keys"), distances, axis=3)
    p = g.add("Softmax", g.add("Add", g.add("MatMul", q, k), by_distance), axis=-1)
    padded = g.add("Pad", p, g.constant([0, 0, 0, WINDOW, 0, 0, 0, WINDOW], np.int64))
    around = g.add("GatherElements", padded, near, axis=3)
    values = g.draw(f"{name}.near_values", (2 * WINDOW + 1, head), head**-0.5)
    y = g.add("Add", g.add("MatMul", p, v), g.add("MatMul", around, values))
    y = g.add("Transpose", y, perm=[0, 1, 3, 2])
    y = g.add("Reshape", y, g.constant([1, HIDDEN, -1], np.int64))
    return g.conv(y, f"{name}.out", HIDDEN, HIDDEN)


def encoder(g, ids):
    """Ids [1, T] to what the durations are told from, mean and log deviation, each [1, HIDDEN, T]."""
    table = g.draw("encoder.embedding", (SYMBOLS, HIDDEN), 1.0)
    x = g.turn(g.add("Gather", table, ids))
    length = g.add("Shape", ids, start=1, end=2)
    places = g.add("Range", g.constant(0, np.int64), g.add("Squeeze", length), g.constant(1, np.int64))
    column = g.add("Unsqueeze", places, g.constant([1], np.int64))
    clipped = g.add("Clip", g.add("Sub", places, column), *(g.constant(s * (WINDOW + 1), np.int64) for s in (-1, 1)))

    def every_head(indices, width):
        return g.add("Expand", indices, g.add("Concat", g.constant([1, HEADS], np.int64), length, width, axis=0))

    distances = every_head(g.add("Add", clipped, g.constant(WINDOW + 1, np.int64)), length)
    offsets = g.constant(np.arange(2 * WINDOW + 1), np.int64)
    near = every_head(g.add("Add", column, offsets), g.constant([2 * WINDOW + 1], np.int64))
    for layer in range(ENCODER_LAYERS):
        name = f"encoder.{layer}"
        x = g.norm(g.add("Add", x, attention(g, x, f"{name}.attention", distances, near)))
        y = g.add("Relu", g.conv(x, f"{name}.ffn.0", HIDDEN, FILTER, 3))
        x = g.norm(g.add("Add", x, g.conv(y, f"{name}.ffn.1", FILTER, HIDDEN, 3)))
    # Little deviation: a trained voice's is about exp(-1).
    mean, deviation = g.split(g.conv(x, "encoder.proj", HIDDEN, 2 * HIDDEN, gain=0.3), HIDDEN, HIDDEN)
    return x, mean, g.add("Sub", deviation, g.constant(1))


def dilated(g, x, name):
    """The stack of dilated, depth-wise separable convolutions of the duration predictor."""
    for layer in range(DURATION_LAYERS):
        y = g.conv(x, f"{name}.{layer}.each", HIDDEN, HIDDEN, 3, 3**layer, groups=HIDDEN)
        y = g.conv(g.gelu(g.norm(y)), f"{name}.{layer}.all", HIDDEN, HIDDEN)
        x = g.add("Add", x, g.gelu(g.norm(y)))
    return x


def durations(g, x, length_scale, noise_scale):
    """Whole frames of each id, [1, 1, T]."""
    x = dilated(g, g.conv(x, "duration.pre", HIDDEN, HIDDEN), "duration.convs")
    x = g.conv(x, "duration.proj", HIDDEN, HIDDEN)
    noise = g.add("RandomNormalLike", g.add("ReduceMean", x, axes=[1]), dtype=TensorProto.FLOAT)
    z = [g.add("Mul", noise, noise_scale) for _ in range(2)]
    for flow in range(DURATION_FLOWS):
        name = f"duration.flow.{flow}"
        y = g.add("Add", g.conv(z[0], f"{name}.pre", 1, HIDDEN), x)
        y = g.conv(dilated(g, y, name), f"{name}.proj", HIDDEN, 3 * DURATION_BINS - 1)
        z = [g.add("Add", z[1], g.add("ReduceMean", y, axes=[1])), z[0]]
    logs = g.add("Mul", g.add("Tanh", z[0]), g.constant(0.4))
    frames = g.add("Mul", g.add("Exp", logs), g.constant(FRAMES))
    return g.add("Ceil", g.add("Mul", frames, length_scale))


def stretched(g, frames, *signals):
    """Each signal with every id as long as its frames: the product with a path of 0 and 1, as VITS does it."""
    end = g.add("CumSum", frames, g.constant(2, np.int64))
    begin, whole = g.add("Sub", end, frames), g.add("ReduceMax", end, keepdims=0)
    times = g.add("Range", g.constant(0), whole, g.constant(1))
    begin, end = g.turn(begin), g.turn(end)
    path = g.add("And", g.add("GreaterOrEqual", times, begin), g.add("Less", times, end))
    path = g.add("Cast", path, to=TensorProto.FLOAT)
    return [g.add("MatMul", signal, path) for signal in signals]


def coupling(g, z, name):
    """One step of the flow, backwards: a WaveNet on one half of the channels says what to take from the other."""
    half = HIDDEN // 2
    kept, changed = g.split(z, half, half)
    x, skipped = g.conv(kept, f"{name}.pre", half, HIDDEN), None
    for layer in range(FLOW_LAYERS):
        y = g.conv(x, f"{name}.{layer}.in", HIDDEN, 2 * HIDDEN, FLOW_KERNEL)
        a, b = g.split(y, HIDDEN, HIDDEN)
        y = g.add("Mul", g.add("Tanh", a), g.add("Sigmoid", b))
        last = layer == FLOW_LAYERS - 1
        y = g.conv(y, f"{name}.{layer}.out", HIDDEN, HIDDEN if last else 2 * HIDDEN)
        if not last:
            residual, y = g.split(y, HIDDEN, HIDDEN)
            x = g.add("Add", x, residual)
        skipped = g.add("Add", skipped, y) if skipped else y
    changed = g.add("Sub", changed, g.conv(skipped, f"{name}.post", HIDDEN, half))
    return g.add("Concat", kept, changed, axis=1)


def flipped(g, z):
    """The channels in reverse."""
    return g.add("Gather", z, g.constant(np.arange(HIDDEN)[::-1], np.int64), axis=1)


def decoder(g, z):
    """HiFi-GAN: [1, HIDDEN, frames] to [1, 1, samples], 256 for each frame."""
    x, channels = g.conv(z, "decoder.pre", HIDDEN, CHANNELS, 7), CHANNELS
    for stage, (stride, kernel) in enumerate(UPSAMPLE):
        x = g.add("LeakyRelu", x, alpha=0.1)
        x = g.upsample(x, f"decoder.up.{stage}", channels, channels // 2, stride, kernel)
        channels //= 2
        found = []
        for size, dilations in RESBLOCKS:
            y = x
            for dilation in dilations:
                name = f"decoder.{stage}.{size}.{dilation}"
                step = g.conv(g.add("LeakyRelu", y, alpha=0.1), name, channels, channels, size, dilation)
                y = g.add("Add", y, step)
            found.append(y)
        x = g.add("Div", g.add("Add", g.add("Add", found[0], found[1]), found[2]), g.constant(3))
    x = g.conv(g.add("LeakyRelu", x, alpha=0.01), "decoder.post", channels, 1, 7, gain=LOUDNESS, bias=False)
    return g.add("Tanh", x)


def network(seed):
    g = Graph(seed)
    noise_scale, length_scale, duration_noise = (
        g.add("Slice", "scales", g.constant([i], np.int64), g.constant([i + 1], np.int64)) for i in range(3)
    )
    x, mean, deviation = encoder(g, "input")
    mean, deviation = stretched(g, durations(g, x, length_scale, duration_noise), mean, deviation)
    noise = g.add("Mul", g.add("RandomNormalLike", mean, dtype=TensorProto.FLOAT), noise_scale)
    z = g.add("Add", mean, g.add("Mul", noise, g.add("Exp", deviation)))
    for flow in range(FLOWS):
        z = coupling(g, flipped(g, z), f"flow.{flow}")
    sound = g.add("Unsqueeze", decoder(g, z), g.constant([1], np.int64))
    g.nodes.append(helper.make_node("Identity", [sound], ["output"]))
    inputs = [
        helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"]),
        helper.make_tensor_value_info("input_lengths", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("scales", TensorProto.FLOAT, [3]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "samples"])
    weights = [numpy_helper.from_array(values, name) for name, values in g.weights.items()]
    graph = helper.make_graph(g.nodes, "voice-medium", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write(onnx, like, seed):
    """Writes the network, and beside it the JSON: the table of phonemes is that of the voice whose JSON is `like`."""
    model = network(seed)
    checker.check_model(model, full_check=True)
    part = f"{onnx}.part"
    try:
        with open(part, "wb") as file:
            file.write(model.SerializeToString())
        os.replace(part, onnx)
    finally:
        if os.path.exists(part):
            os.remove(part)
    with open(like, encoding="utf-8") as file:
        table = json.load(file)
    table |= {"audio": {"sample_rate": RATE, "quality": "medium"}, "num_symbols": SYMBOLS}
    with open(f"{onnx}.json", "w", encoding="utf-8") as file:
        json.dump(table, file, ensure_ascii=False, indent=1)
