"""Makes the tiny network beside it: what Smart Turn v3 looks like from outside, with the sigmoid of the features' mean for
the probability that the speaker has finished.

Needs the Python package onnx. The output does not depend on the machine.
"""

import pathlib

import onnx
from onnx import TensorProto, helper

nodes = [
    helper.make_node("ReduceMean", ["input_features"], ["mean"], axes=[1, 2], keepdims=0),
    helper.make_node("Sigmoid", ["mean"], ["flat"]),
    helper.make_node("Reshape", ["flat", "column"], ["logits"]),
]
graph = helper.make_graph(
    nodes,
    "turn",
    [helper.make_tensor_value_info("input_features", TensorProto.FLOAT, ["batch", 80, 800])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1])],
    [helper.make_tensor("column", TensorProto.INT64, [2], [-1, 1])],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
onnx.checker.check_model(model)
pathlib.Path(__file__).with_name("mean.onnx").write_bytes(model.SerializeToString(deterministic=True))
