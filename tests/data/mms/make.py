"""Makes the tiny networks beside it: what an MMS-TTS voice looks like from outside, one tone for each character.

`exported.onnx` has the inputs that Hugging Face's exporters write, `sherpa.onnx` those of sherpa-onnx; `fragile.onnx`
is the first one, and fails on a text of two characters.
Needs the Python packages onnx and numpy. The output does not depend on the machine.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHARACTERS = "k' abcdefghijlmnopqrstuvwxyzéèàç-"
RATE, SAMPLES = 16000, 800
HERE = pathlib.Path(__file__).parent


def voice(name, ids, others, scale, fragile=False):
    # The id 0 is the blank: it is silent.
    tones = np.array([0.0] + [150.0 + 25 * i for i in range(1, len(CHARACTERS))], np.float32)
    constants = {
        "tones": tones,
        "flat": np.array([-1], np.int64),
        "column": np.array([1], np.int64),
        "zero": np.array(0, np.int64),
        "one": np.array(1, np.int64),
        "batch": np.array([0], np.int64),
        "samples": np.array([SAMPLES], np.float32),
        "turn": np.array(2 * np.pi / RATE, np.float32),
        "loud": np.array(0.2, np.float32),
        "unscaled": np.array([1.0], np.float32),
    }
    node = helper.make_node
    nodes = [
        node("Reshape", [ids, "flat"], ["list"]),
        node("Gather", ["tones", "list"], ["tone"]),
        node("Unsqueeze", ["tone", "column"], ["tone_column"]),
        node("Mul", ["samples", scale or "unscaled"], ["each_float"]),
        node("Cast", ["each_float"], ["each"], to=TensorProto.INT64),
        node("Concat", ["column", "each"], ["row"], axis=0),
        node("Expand", ["tone_column", "row"], ["grid"]),
        node("Reshape", ["grid", "flat"], ["track"]),
        node("Size", ["track"], ["length"]),
        node("Range", ["zero", "length", "one"], ["steps"]),
        node("Cast", ["steps"], ["time"], to=TensorProto.FLOAT),
        node("Mul", ["time", "track"], ["angle"]),
        node("Mul", ["angle", "turn"], ["phase"]),
        node("Sin", ["phase"], ["wave"]),
        node("Mul", ["wave", "loud"], ["quiet"]),
        node("Unsqueeze", ["quiet", "batch"], ["y" if scale else "waveform"]),
    ]
    if fragile:
        # Two characters are five ids with their blanks: then the index is past the end of a list of one.
        constants |= {"five": np.array(5, np.int64), "alone": np.array([0], np.int64)}
        nodes[1:1] = [
            node("Size", ["list"], ["count"]),
            node("Equal", ["count", "five"], ["breaks"]),
            node("Cast", ["breaks"], ["index"], to=TensorProto.INT64),
            node("Gather", ["alone", "index"], ["nothing"]),
            node("Add", ["list", "nothing"], ["checked"]),
        ]
        nodes[6] = node("Gather", ["tones", "checked"], ["tone"])
    inputs = [helper.make_tensor_value_info(ids, TensorProto.INT64, [1, "T"])]
    inputs += [helper.make_tensor_value_info(other, kind, shape) for other, kind, shape in others]
    output = helper.make_tensor_value_info("y" if scale else "waveform", TensorProto.FLOAT, [1, "N"])
    initializers = [numpy_helper.from_array(value, key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, [output], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, HERE / f"{name}.onnx")


voice("exported", "input_ids", [("attention_mask", TensorProto.INT64, [1, "T"])], None)
voice("fragile", "input_ids", [("attention_mask", TensorProto.INT64, [1, "T"])], None, fragile=True)
FLOATS = [(name, TensorProto.FLOAT, [1]) for name in ("noise_scale", "length_scale", "noise_scale_w")]
voice("sherpa", "x", [("x_length", TensorProto.INT64, [1]), *FLOATS], "length_scale")
VOCAB = {character: number for number, character in enumerate(CHARACTERS)}
for name in ("exported", "fragile"):
    (HERE / f"{name}.json").write_text(json.dumps(VOCAB, ensure_ascii=False) + "\n")
(HERE / "sherpa.json").write_text(json.dumps({"vocab": VOCAB, "sampling_rate": RATE}, ensure_ascii=False) + "\n")
