"""A network in the making, and its quantisation.

A network is drawn over real numbers. Its float form is run by LiteRT to learn the range of each tensor, and scales follow from the ranges, so that outputs are
neither saturated nor all zero.
"""

import dataclasses

import numpy as np

from oracles import guarded, litert
from tflite_writer import Writer

ALIASES = ("QUANTIZE", "DEQUANTIZE")


class Scale:
    """The quantisation that one or more tensors share: `fixed` by an operator, or made from the range that is observed. `wide` for int16."""

    def __init__(self, fixed=None, margin=1.0, wide=False):
        self.fixed, self.margin, self.parent, self.low, self.high, self.wide = fixed, margin, None, 0.0, 0.0, wide

    def root(self):
        return self if self.parent is None else self.parent.root()

    def tie(self, other):
        """Makes both the same; False if both are fixed and differ."""
        one, two = self.root(), other.root()
        if one is two:
            return True
        if one.fixed and two.fixed and one.fixed != two.fixed:
            return False
        one.fixed, one.margin, two.parent = one.fixed or two.fixed, max(one.margin, two.margin), one
        return True

    def observe(self, values):
        root = self.root()
        if np.size(values):
            root.low, root.high = min(root.low, float(np.min(values))), max(root.high, float(np.max(values)))

    def parameters(self):
        """(scale, zero point) for int8, or for int16."""
        root = self.root()
        if root.fixed:
            return root.fixed
        low, high = root.low * root.margin, root.high * root.margin
        if root.wide:
            # A sum's scale must not be far below its inputs': TFLM aborts.
            return float(np.float32(max(-low, high, 0.05) / 32767)), 0
        scale = float(np.float32(max(high - low, 1e-3) / 255))
        return scale, int(np.clip(round(-128 - low / scale), -128, 127))


@dataclasses.dataclass(eq=False)
class Tensor:
    """`values` are the real numbers of a constant, or its integers for an index operand (`dtype` int32 with no scale)."""

    shape: tuple
    dtype: str
    scale: Scale | None = None
    values: np.ndarray | None = None
    channel_axis: int | None = None
    symmetric: bool = False
    bias_of: tuple | None = None

    def quantisation(self):
        """(scales, zero points, axis) as the file states them; None where it states none."""
        if self.dtype not in ("int8", "uint8", "int16", "int32", "int64") or (self.scale is None and not self.symmetric and self.bias_of is None):
            return None
        if self.bias_of is not None:
            source, weights = self.bias_of
            scales = [source.quantisation()[0][0] * scale for scale in weights.quantisation()[0]]
            return scales, [0] * len(scales), 0
        if self.symmetric:
            axes = None if self.channel_axis is None else tuple(i for i in range(len(self.shape)) if i != self.channel_axis)
            scales = np.float32(np.maximum(np.max(np.abs(self.values), axis=axes), 1e-3) / 127)
            scales = [float(scale) for scale in np.atleast_1d(scales)]
            return scales, [0] * len(scales), self.channel_axis or 0
        scale, zero = self.scale.parameters()
        return [scale], [zero + 128 if self.dtype == "uint8" else zero], 0

    def quantise(self, values):
        """Real `values` as the file holds them."""
        found = self.quantisation()
        if found is None:
            return np.asarray(values, self.dtype)
        scales, zeros, axis = found
        shape = [1] * len(self.shape)
        if len(scales) > 1:
            shape[axis] = len(scales)
        codes = np.round(np.asarray(values, np.float64) / np.reshape(scales, shape if len(scales) > 1 else ())) + zeros[0]
        if self.dtype == "int64":
            return codes.astype(np.int64)
        limits = np.iinfo(self.dtype)
        low, high = limits.min, limits.max
        return np.clip(codes, -127 if self.symmetric else low, high).astype(self.dtype)


@dataclasses.dataclass(eq=False)
class Node:
    name: str
    inputs: list
    output: Tensor
    options: dict
    labels: set


class Network:
    """Nodes in the order in which they run, network inputs and outputs."""

    def __init__(self):
        self.nodes, self.inputs, self.outputs = [], [], []

    def add(self, name, inputs, output, labels=(), **options):
        self.nodes.append(Node(name, inputs, output, options, set(labels)))
        return output

    def sinks(self):
        """The outputs of nodes that no node reads."""
        read = {id(tensor) for node in self.nodes for tensor in node.inputs if tensor is not None}
        return [node.output for node in self.nodes if id(node.output) not in read]

    def encode(self, real=False):
        """The file's bytes, and each tensor's index by its id. With `real` the float form: quantisation is left out, and so are the operators that
        change it; a CONV_2D has a bias, without which LiteRT refuses it."""
        writer, indices = Writer(), {}

        def index(tensor):
            if tensor is None:
                return -1
            if id(tensor) not in indices:
                indices[id(tensor)] = self.write_tensor(writer, tensor, f"t{len(indices)}", real)
            return indices[id(tensor)]

        inputs = [index(tensor) for tensor in self.inputs]
        for node in self.nodes:
            if real and node.name in ALIASES:
                indices[id(node.output)] = index(node.inputs[0])
                continue
            operands = [index(tensor) for tensor in node.inputs]
            if real and node.name == "CONV_2D" and len(operands) == 2:
                filters = node.output.shape[3]
                operands.append(writer.tensor("zeros", [filters], "float32", np.zeros(filters)))
            writer.operator(node.name, operands, [index(node.output)], 1 if real else version(node), **node.options)
        outputs = [index(tensor) for tensor in (self.sinks() if real else self.outputs)]
        return writer.bytes(inputs, list(dict.fromkeys(outputs)) if real else outputs), indices

    @staticmethod
    def write_tensor(writer, tensor, name, real):
        integers = tensor.dtype == "int32" and tensor.bias_of is None
        if real and not integers:
            return writer.tensor(name, tensor.shape, "float32", tensor.values)
        data = None if tensor.values is None else tensor.values if integers else tensor.quantise(tensor.values)
        scales, zeros, axis = tensor.quantisation() or (None, None, 0)
        return writer.tensor(name, tensor.shape, tensor.dtype, data, scales, zeros, axis)

    def calibrate(self, samples):
        """Runs the float form on `samples` (one list of arrays a call), so that each tensor's scale is known."""
        for tensor, *values in zip(self.inputs, *samples, strict=True):
            if tensor.scale:
                tensor.scale.observe(values)
        tensors = [tensor for node in self.nodes for tensor in [*node.inputs, node.output] if tensor is not None]
        for tensor in tensors:
            if tensor.scale and tensor.values is not None:
                tensor.scale.observe(tensor.values)
        if all(node.name in ALIASES for node in self.nodes):
            return
        model, indices = self.encode(real=True)
        for found in guarded(litert, model, samples, True):
            for tensor in tensors:
                values = found.get(indices.get(id(tensor)))
                if values is None:
                    continue
                if values.shape != tuple(tensor.shape):
                    raise ValueError(f"drawn as {tensor.shape}, LiteRT finds {values.shape}")
                if tensor.scale:
                    tensor.scale.observe(values)


def version(node):
    """The operator's version, as TFLite's own writer would choose it for these dtypes and options."""
    dtype, options = node.inputs[0].dtype, node.options
    int8 = dtype == "int8"
    dilated = options.get("dilationWFactor", 1) > 1 or options.get("dilationHFactor", 1) > 1
    per_channel = len(node.inputs) > 1 and node.inputs[1] is not None and node.inputs[1].channel_axis is not None
    if dtype == "int16":
        return {"CONV_2D": 4, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 7, "QUANTIZE": 2, "RESHAPE": 1, "SQUEEZE": 1, "EXPAND_DIMS": 1}.get(node.name, 3)
    if node.name in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return 3 if int8 else 2 if dilated and node.name == "DEPTHWISE_CONV_2D" else 1
    if node.name == "FULLY_CONNECTED":
        if int8 and per_channel:
            return 12
        return 6 if len(node.inputs) == 2 or node.inputs[2] is None else 5 if options["keepNumDims"] else 4 if int8 else 1
    if node.name == "QUANTIZE":
        return 1 if dtype == "float32" else 2
    if node.name == "DEQUANTIZE":
        return {"float16": 3, "int8": 2}.get(dtype, 1)
    if node.name in ("RESHAPE", "SQUEEZE", "EXPAND_DIMS"):
        return 1
    return 2 if int8 else 1
