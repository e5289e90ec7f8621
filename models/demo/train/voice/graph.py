"""A small way to write ONNX graphs: each operator is a method call that gives the name of its result."""

import itertools

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Nodes and constants, in the order of their making. `graph.Add(x, 1.0)` adds a node; numbers become constants:
    of Python, float32 or int64; of numpy, as they are but for float64, which becomes float32."""

    def __init__(self):
        self._nodes, self._constants, self._cache = [], [], {}
        self._names = itertools.count()

    def __getattr__(self, operator):
        if not operator[0].isupper():
            raise AttributeError(operator)

        def node(*inputs, **attributes):
            name = f"{operator.lower()}{next(self._names)}"
            inputs = [value if isinstance(value, str) else self.constant(value) for value in inputs]
            self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
            return name

        return node

    def constant(self, value):
        """The name of a constant; equal ones are stored once."""
        value = np.asarray(value)
        if value.dtype == np.float64:
            value = value.astype(np.float32)
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._cache:
            self._cache[key] = f"constant{len(self._constants)}"
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), self._cache[key]))
        return self._cache[key]

    def double(self, value):
        """A constant of 64 bits."""
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, np.float64), name))
        return name

    def weight(self, value):
        """Trained weights: stored in half precision, which nobody hears, and widened when the graph loads."""
        return self.cast(np.asarray(value, np.float16), np.float32)

    def cast(self, x, kind):
        """`x` as another type of numpy's."""
        return self.Cast(x, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def slice(self, x, start, end, axis):
        """`x[start:end]` along `axis`; an `end` of None is the end."""
        last = np.iinfo(np.int64).max if end is None else end
        return self.Slice(x, np.array([start]), np.array([last]), np.array([axis]))

    def vector(self, x):
        """`x` in one dimension."""
        return self.Reshape(x, np.array([-1]))

    def column(self, x):
        """A vector as [N, 1], to stand against rows."""
        return self.Unsqueeze(x, np.array([1]))

    def row(self, x):
        """A vector as [1, N]."""
        return self.Unsqueeze(x, np.array([0]))

    def sum(self, x, axis):
        """The sum along `axis`, which is gone."""
        return self.ReduceSum(x, np.array([axis]), keepdims=0)

    def count(self, x):
        """The length of the first dimension, int64 []."""
        return self.Squeeze(self.Shape(x, start=0, end=1))

    def each(self, body, *stacks):
        """`body`'s result for each place along the first dimension of `stacks` (float32), which all have the same length,
        one after the other and stacked again. What `body` holds meanwhile, it holds for one place alone."""
        inputs = [f"place{next(self._names)}" for _ in stacks]
        outer, self._nodes = self._nodes, []
        result = body(*inputs)
        inner, self._nodes = self._nodes, outer
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (*inputs, result)]
        inner = helper.make_graph(inner, "each", infos[:-1], infos[-1:])
        return self.Scan(*stacks, body=inner, num_scan_inputs=len(stacks))

    def model(self, name, inputs, output, result):
        """The checked model. `inputs` are (name, numpy type, shape), `result` is the value that becomes `output`."""
        self._nodes.append(helper.make_node("Identity", [result], [output[0]]))
        kinds = {np.int64: TensorProto.INT64, np.float32: TensorProto.FLOAT}
        infos = [helper.make_tensor_value_info(each, kinds[kind], shape) for each, kind, shape in (*inputs, output)]
        graph = helper.make_graph(self._nodes, name, infos[:-1], infos[-1:], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        model.producer_name = "elio"
        onnx.checker.check_model(model, full_check=True)
        return model
