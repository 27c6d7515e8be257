"""Draws operators at random: each function adds one to a network, on an operand that fits, with options likelier to be odd than a converter's.

`OPERATORS` lists them with the operands that they accept.
"""

import math

import numpy as np

from network import Network, Scale, Tensor

ACTIVATIONS = ["NONE", "NONE", "NONE", "RELU", "RELU", "RELU6", "RELU6", "RELU_N1_TO_1"]
INTEGERS = ("int8", "int16")
SOFTMAX_SCALE, TANH_SCALE = {"int8": (1 / 256, -128), "int16": (1 / 32768, 0)}, {"int8": (1 / 128, 0), "int16": (1 / 32768, 0)}
LARGEST = 6000


class Drawing:
    """A network, the tensors that later operators may read, and the source of chance."""

    def __init__(self, seed, dtype):
        self.random = np.random.default_rng(seed)
        self.network, self.dtype, self.values = Network(), dtype, []

    def chance(self, probability):
        return self.random.random() < probability

    def pick(self, *choices):
        return choices[self.random.integers(len(choices))]

    def between(self, low, high):
        return int(self.random.integers(low, high + 1))

    def scale(self, dtype, fixed=None):
        """A scale for a tensor of this dtype; the margin saturates a little now and then."""
        if dtype not in ("int8", "uint8", "int16"):
            return None
        return Scale(fixed and fixed[dtype], float(self.random.choice([0.7, 0.9, 1.0, 1.0, 1.0, 1.3])), dtype == "int16")

    def normal(self, shape):
        return self.random.normal(0, 1, tuple(shape)).astype(np.float32)

    def input(self, shape, dtype=None):
        """A new network input; at times it comes in another dtype and is converted at the edge."""
        dtype = dtype or self.dtype
        others = {"int8": ("uint8", "float32"), "int16": ("int8", "float32"), "float32": ("uint8", "int8")}[dtype]
        edge = self.random.choice([dtype, *others], p=[0.7, 0.16, 0.14])
        tensor = value = Tensor(tuple(shape), str(edge), self.scale(edge))
        self.network.inputs.append(tensor)
        if edge != dtype:
            value = Tensor(tuple(shape), dtype, self.scale(dtype))
            if edge == "uint8" and dtype == "int8" and self.chance(0.7):
                value.scale = tensor.scale
            self.network.add("QUANTIZE" if dtype in INTEGERS else "DEQUANTIZE", [tensor], value, {f"{edge}_to_{dtype}"})
        self.values.append(value)
        return value

    def output(self, value):
        """Makes `value` a network output, at times converted at the edge."""
        edges = {"int8": ["int8", "uint8", "float32"], "int16": ["int16", "int8", "float32"], "float32": ["float32", "int16", "int8"]}[value.dtype]
        edge = str(self.random.choice(edges, p=[0.72, 0.14, 0.14] if value.dtype in INTEGERS else [0.9, 0.04, 0.06]))
        if edge != value.dtype:
            source, value = value, Tensor(value.shape, edge, self.scale(edge))
            if edge == "uint8" and source.dtype == "int8" and self.chance(0.7):
                value.scale = source.scale
            self.network.add("DEQUANTIZE" if edge == "float32" else "QUANTIZE", [source], value, {f"{source.dtype}_to_{edge}"})
        self.network.outputs.append(value)

    def constant(self, shape, dtype, spread=1.0):
        values = self.normal(shape) * np.float32(spread)
        return Tensor(tuple(shape), dtype, self.scale(dtype), values)

    def integers(self, values):
        values = np.asarray(values, np.int32)
        return Tensor(values.shape, "int32", None, values)

    def add(self, name, inputs, shape, labels=(), fixed=None, tied=False, dtype=None, **options):
        """A node over `inputs`; its output has a scale of its own, or with `tied` that of the first input."""
        dtype = dtype or inputs[0].dtype
        output = Tensor(tuple(int(size) for size in shape), dtype, inputs[0].scale if tied else self.scale(dtype, fixed))
        self.values.append(output)
        return self.network.add(name, inputs, output, labels, **options)

    def shape(self, rank):
        """Sizes for a tensor of this rank, as a rule with a batch of 1."""
        if rank == 4:
            return (self.pick(1, 1, 1, 2, 3), self.between(1, 11), self.between(1, 11), self.between(1, 9))
        sizes = [self.between(1, {1: 40, 2: 20, 3: 9}.get(rank, 5)) for _ in range(rank)]
        return (1 if rank > 1 and self.chance(0.6) else sizes[0], *sizes[1:])

    def activation(self):
        name = self.pick(*ACTIVATIONS)
        return {"fusedActivationFunction": name}, {name.lower()} - {"none"}


def weights(d, shape, axis, fan_in, dtype):
    """Weights, their tensor in the file, and labels. Channels differ in size; in a float network they are at times stored as float16."""
    spread = np.exp2(d.random.uniform(-2, 1, shape[axis])) / math.sqrt(fan_in)
    spread[d.random.random(shape[axis]) < 0.03] = 0
    values = (d.normal(shape) * np.moveaxis(np.broadcast_to(spread, np.moveaxis(np.empty(shape), axis, -1).shape), -1, axis)).astype(np.float32)
    if dtype in INTEGERS:
        per_channel = d.chance(0.7)
        return Tensor(tuple(shape), "int8", None, values, axis if per_channel else None, symmetric=True), {"per_channel" if per_channel else "per_tensor"}
    stored = d.pick("float32", "float16", "float16", "int8") if d.chance(0.5) else "float32"
    if stored == "float32":
        return Tensor(tuple(shape), dtype, None, values), set()
    values = values.astype(np.float16).astype(np.float32)
    source = Tensor(tuple(shape), stored, None, values, symmetric=stored == "int8")
    expanded = Tensor(tuple(shape), "float32")
    d.network.add("DEQUANTIZE", [source], expanded, {f"{stored}_constant"})
    return expanded, {f"{stored}_weights"}


def bias(d, x, w, size, labels, narrow=True):
    """A bias, or nothing at times. With int16 inputs it has 64 bits, or 32 where that is `narrow` enough for the operator."""
    if d.chance(0.15):
        labels.add("no_bias")
        return None
    values = d.normal([size]) * np.float32(0.5)
    dtype = {"int8": "int32", "int16": "int32" if narrow and d.chance(0.3) else "int64", "float32": "float32"}[x.dtype]
    labels |= {"narrow_bias"} if (x.dtype, dtype) == ("int16", "int32") else set()
    return Tensor((size,), dtype, None, values, bias_of=(x, w) if x.dtype in INTEGERS else None)


def window(d, x, largest, dilate):
    """Output height and width, options and labels of a sliding window."""
    padding, out, labels, sizes = d.pick("SAME", "VALID"), [], set(), []
    for size in x.shape[1:3]:
        dilation = d.pick(2, 2, 3) if dilate and d.chance(0.25) else 1
        stride = d.pick(2, 2, 3, 4) if d.chance(0.4) else 1
        kernel = d.between(1, largest if padding == "SAME" else min(largest, (size - 1) // dilation + 1))
        covered = (kernel - 1) * dilation + 1
        out.append(-(-size // stride) if padding == "SAME" else (size - covered) // stride + 1)
        sizes.append((kernel, stride, dilation))
        labels |= {label for label, present in (("stride", stride > 1), ("dilation", dilation > 1)) if present}
    labels |= {padding.lower()} | ({"rectangular"} if sizes[0] != sizes[1] else set())
    (kh, sh, dh), (kw, sw, dw) = sizes
    return out, (kh, kw), {"padding": padding, "strideH": sh, "strideW": sw}, {"dilationHFactor": dh, "dilationWFactor": dw}, labels


def conv_2d(d, x):
    out, (kh, kw), strides, dilations, labels = window(d, x, 5, True)
    channels, filters = x.shape[3], d.between(1, 13)
    if d.chance(0.2):
        kh = kw = 1
        out = [-(-size // strides[stride]) for size, stride in zip(x.shape[1:3], ("strideH", "strideW"))]
        labels.add("pointwise")
    w, more = weights(d, (filters, kh, kw, channels), 0, kh * kw * channels, x.dtype)
    activation, fused = d.activation()
    labels |= more | fused
    b = bias(d, x, w, filters, labels)
    return d.add("CONV_2D", [x, w] + [b] * (b is not None), (x.shape[0], *out, filters), labels, **strides, **dilations, **activation)


def depthwise_conv_2d(d, x):
    out, (kh, kw), strides, dilations, labels = window(d, x, 5, True)
    multiplier = d.pick(2, 3, 4) if d.chance(0.3) else 1
    filters = x.shape[3] * multiplier
    w, more = weights(d, (1, kh, kw, filters), 3, kh * kw, x.dtype)
    activation, fused = d.activation()
    labels |= more | fused | ({"multiplier"} if multiplier > 1 else set())
    b = bias(d, x, w, filters, labels, narrow=False)
    inputs = [x, w] + [b] * (b is not None)
    return d.add("DEPTHWISE_CONV_2D", inputs, (x.shape[0], *out, filters), labels, depthMultiplier=multiplier, **strides, **dilations, **activation)


def fully_connected(d, x):
    outer = d.chance(0.4)
    features = x.shape[-1] if outer or x.shape[0] > 4 else math.prod(x.shape[1:]) if len(x.shape) > 1 else x.shape[0]
    rows, outputs = math.prod(x.shape) // features, d.between(1, 20)
    keep = features == x.shape[-1] and d.chance(0.5)
    w, labels = weights(d, (outputs, features), 0, features, x.dtype)
    activation, fused = d.activation()
    labels |= fused | ({"keep_num_dims"} if keep else set()) | ({"rows"} if rows > 1 else set()) | {f"rank{len(x.shape)}"}
    b = bias(d, x, w, outputs, labels)
    inputs = [x, w, b] if b is not None or d.chance(0.5) else [x, w]
    return d.add("FULLY_CONNECTED", inputs, (*x.shape[:-1], outputs) if keep else (rows, outputs), labels, keepNumDims=keep, **activation)


def pool(name):
    def draw(d, x):
        out, kernel, strides, _, labels = window(d, x, 4, False)
        if d.chance(0.2):
            kernel, out, labels = x.shape[1:3], (1, 1), {"whole", "valid"}
            strides["padding"] = "VALID"
        activation, fused = d.activation()
        options = {"filterHeight": kernel[0], "filterWidth": kernel[1], **strides, **activation}
        return d.add(name, [x], (x.shape[0], *out, x.shape[3]), labels | fused, tied=True, **options)
    return draw


def operand(d, x):
    """The other operand of an elementwise operator, and labels: x itself, an earlier value, a constant or a new network input, often to be broadcast."""
    fits = [value for value in d.values if value.dtype == x.dtype and broadcast(value.shape, x.shape)]
    if fits and d.chance(0.45):
        other = fits[d.random.integers(len(fits))]
        return other, {"itself"} if other is x else {"values"}
    if d.chance(0.5) and len(x.shape) > 1:
        shape = [size if d.chance(0.6) else d.between(1, 4) if size == 1 else 1 for size in x.shape][0 if d.chance(0.8) else 1:]
    else:
        shape = d.pick((), (1,), x.shape[-1:], x.shape[-1:], x.shape)
    if len(d.network.inputs) < 4 and shape and d.chance(0.4):
        return d.input(shape, x.dtype), {"network_input"}
    return d.constant(shape, x.dtype, d.pick(0.3, 1, 3)), {"constant"}


def broadcast(one, two):
    """The shape of two operands together, or None."""
    try:
        shape = np.broadcast_shapes(one, two)
    except ValueError:
        return None
    return shape if math.prod(shape) <= LARGEST else None


def elementwise(name):
    def draw(d, x):
        other, labels = operand(d, x)
        shape = broadcast(x.shape, other.shape)
        if shape is None:
            return None
        labels |= {"broadcast"} if x.shape != other.shape else set()
        labels |= {"broadcast_both"} if tuple(shape) not in (x.shape, other.shape) else set()
        operands = [x, other]
        if d.chance(0.35):
            operands.reverse()
            labels.add("swapped")
        activation, fused = d.activation()
        return d.add(name, operands, shape, labels | fused, **activation)
    return draw


def pad(d, x, given=False):
    rank, spatial = len(x.shape), len(x.shape) == 4 and d.chance(0.6)
    amounts = np.array([[0 if d.chance(0.3) or (spatial and axis in (0, 3)) else d.between(0, 3) for _ in range(2)] for axis in range(rank)])
    shape = [size + sum(amount) for size, amount in zip(x.shape, amounts)]
    labels = {"spatial" if spatial else f"rank{rank}"}
    if math.prod(shape) > LARGEST:
        return None
    if given:
        value = d.constant(d.pick((), (1,)), x.dtype, 2)
        value.scale = x.scale
        return d.add("PADV2", [x, d.integers(amounts), value], shape, labels, tied=True)
    return d.add("PAD", [x, d.integers(amounts)], shape, labels, tied=True)


def mean(d, x):
    rank = len(x.shape)
    axes = [1, 2] if rank == 4 and d.chance(0.5) else sorted(d.random.choice(rank, d.between(1, rank), replace=False))
    keep = d.chance(0.5)
    shape = [1 if axis in axes else size for axis, size in enumerate(x.shape) if keep or axis not in axes]
    if not shape:
        keep, shape = True, [1] * rank
    labels = {"spatial" if rank == 4 and list(axes) == [1, 2] else f"rank{rank}"} | ({"keep_dims"} if keep else set())
    written = [int(axis) - rank if d.chance(0.25) else int(axis) for axis in axes]
    return d.add("MEAN", [x, d.integers(written)], shape, labels, tied=d.chance(0.3), keepDims=keep)


def factored(d, count, rank):
    """A shape of `count` elements."""
    shape = []
    for _ in range(rank - 1):
        size = d.pick(*[size for size in range(1, 13) if count % size == 0])
        shape.append(size)
        count //= size
    shape.insert(d.between(0, len(shape)), count)
    return shape


def reshape(d, x):
    shape = factored(d, math.prod(x.shape), d.pick(1, 2, 2, 3, 4, 4, 4, 5))
    written, labels = list(shape), {f"rank{len(x.shape)}to{len(shape)}"}
    if d.chance(0.4):
        written[d.between(0, len(shape) - 1)] = -1
        labels.add("inferred")
    if d.chance(0.25):
        return d.add("RESHAPE", [x], shape, labels | {"option_only"}, tied=True, newShape=written)
    return d.add("RESHAPE", [x, d.integers(written)], shape, labels, tied=True, newShape=written)


def squeeze(d, x):
    ones = [axis for axis, size in enumerate(x.shape) if size == 1]
    if not ones:
        return None
    every = d.chance(0.3)
    gone = ones if every else sorted(int(axis) for axis in d.random.choice(ones, d.between(1, len(ones)), replace=False))
    shape = [size for axis, size in enumerate(x.shape) if axis not in gone]
    written = [] if every else [axis - len(x.shape) if d.chance(0.3) else axis for axis in gone]
    return d.add("SQUEEZE", [x], shape, {"every" if every else "listed"}, tied=True, squeezeDims=written) if shape else None


def expand_dims(d, x):
    axis = d.between(0, len(x.shape))
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    negative = d.chance(0.4)
    written = d.integers([axis - len(shape) if negative else axis] if d.chance(0.5) else (axis - len(shape) if negative else axis))
    return d.add("EXPAND_DIMS", [x, written], shape, {"negative" if negative else "positive"}, tied=True)


def softmax(d, x):
    beta = d.pick(1.0, 1.0, 0.5, 2.0, 0.1)
    labels = {f"rank{len(x.shape)}"} | ({"beta"} if beta != 1 else set())
    return d.add("SOFTMAX", [x], x.shape, labels, fixed=SOFTMAX_SCALE, beta=beta)


def unary(name, fixed=None, tied=False):
    return lambda d, x: d.add(name, [x], x.shape, {f"rank{len(x.shape)}"}, fixed=fixed, tied=tied)


def concatenation(d, x):
    axis = d.between(0, len(x.shape) - 1)
    fits = [v for v in d.values if v.dtype == x.dtype and len(v.shape) == len(x.shape) and all(a == b or i == axis for i, (a, b) in enumerate(zip(v.shape, x.shape)))]
    parts, labels = [x], set()
    for _ in range(d.between(1, 4)):
        shape = [d.between(1, 5) if i == axis else size for i, size in enumerate(x.shape)]
        kind = d.pick("value", "value", "constant", "network_input" if len(d.network.inputs) < 4 else "value")
        part = fits[d.random.integers(len(fits))] if kind == "value" else d.constant(shape, x.dtype) if kind == "constant" else d.input(shape, x.dtype)
        parts.insert(d.between(0, len(parts)), part)
        labels.add(kind)
    shape = [sum(part.shape[axis] for part in parts) if i == axis else size for i, size in enumerate(x.shape)]
    if math.prod(shape) > LARGEST:
        return None
    if x.dtype in INTEGERS:
        for i in range(1, len(parts)):
            if not parts[0].scale.tie(parts[i].scale):
                parts[i] = d.add("QUANTIZE", [parts[i]], parts[i].shape, {f"{x.dtype}_to_{x.dtype}"})
                parts[0].scale.tie(parts[i].scale)
    labels |= {f"axis{axis}of{len(x.shape)}"}
    return d.add("CONCATENATION", parts, shape, labels, tied=True, axis=axis - len(x.shape) if d.chance(0.4) else axis)


def transpose(d, x):
    order = d.random.permutation(len(x.shape))
    return d.add("TRANSPOSE", [x, d.integers(order)], [x.shape[axis] for axis in order], {f"rank{len(order)}"}, tied=True)


def strided_slice(d, x):
    ends, shape, labels = [], [], {f"rank{len(x.shape)}"}
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    for axis, size in enumerate(x.shape):
        if d.chance(0.15):
            first = d.between(0, size - 1)
            masks["shrinkAxisMask"] |= 1 << axis
            labels.add("shrink")
            ends.append((first - size * d.chance(0.3), first + 1, 1))
            continue
        first, last, step, masked = span(d, size)
        for name, label, present in zip(("beginMask", "endMask"), ("begin_mask", "end_mask"), masked):
            masks[name] |= present << axis
            labels |= {label} if present else set()
        labels |= {"negative_stride"} if step < 0 else {"stride"} if step > 1 else set()
        shape.append(len(range(first, last, step)))
        ends.append((first - size * d.chance(0.2), last - size * (last < 0 or (last < size and d.chance(0.2))), step))
    operands = [d.integers(column) for column in zip(*ends)]
    return d.add("STRIDED_SLICE", [x, *operands], shape, labels, tied=True, **masks) if shape else None


def span(d, size):
    """A range that is not empty: first index, end (excluded), step, and which of the two ends is masked."""
    step = d.pick(1, 1, 1, 2, 3, -1, -2)
    low, high = sorted((d.between(0, size - 1), d.between(0, size - 1)))
    first, last = (low, high + 1) if step > 0 else (high, low - 1)
    begin_masked, end_masked = d.chance(0.25), d.chance(0.25)
    if begin_masked:
        first = 0 if step > 0 else size - 1
    if end_masked:
        last = size if step > 0 else -1
    return first, last, step, (begin_masked, end_masked)


def quantize(d, x):
    """To int8 or int16, from integers with another scale or from float32."""
    dtype = d.pick("int8", "int16") if x.dtype == "int16" or d.chance(0.2) else "int8"
    return d.add("QUANTIZE", [x], x.shape, {f"{x.dtype}_to_{dtype}"}, dtype=dtype)


def dequantize(d, x):
    return d.add("DEQUANTIZE", [x], x.shape, {f"{x.dtype}_to_float32"}, dtype="float32")


SPATIAL, ANY, WIDE = (4,), (1, 2, 3, 4), (1, 2, 3, 4, 5)
# How it is drawn, the ranks of its operand, and how often it stands in a chain.
OPERATORS = {
    "CONV_2D": (conv_2d, SPATIAL, 4), "DEPTHWISE_CONV_2D": (depthwise_conv_2d, SPATIAL, 4), "FULLY_CONNECTED": (fully_connected, WIDE, 2),
    "ADD": (elementwise("ADD"), WIDE, 2), "MUL": (elementwise("MUL"), WIDE, 2), "SUB": (elementwise("SUB"), WIDE, 2),
    "AVERAGE_POOL_2D": (pool("AVERAGE_POOL_2D"), SPATIAL, 1.5), "MAX_POOL_2D": (pool("MAX_POOL_2D"), SPATIAL, 1.5), "PAD": (pad, ANY, 1.5),
    "PADV2": (lambda d, x: pad(d, x, True), ANY, 1), "MEAN": (mean, ANY, 1), "RESHAPE": (reshape, WIDE, 1), "SQUEEZE": (squeeze, WIDE, 1.5),
    "EXPAND_DIMS": (expand_dims, ANY, 1), "SOFTMAX": (softmax, ANY, 1), "LOGISTIC": (unary("LOGISTIC", SOFTMAX_SCALE), WIDE, 1),
    "TANH": (unary("TANH", TANH_SCALE), WIDE, 1), "RELU": (unary("RELU"), WIDE, 1), "RELU6": (unary("RELU6", tied=True), WIDE, 1),
    "CONCATENATION": (concatenation, WIDE, 1.5), "QUANTIZE": (quantize, ANY, 0.7), "DEQUANTIZE": (dequantize, ANY, 0.7),
    "TRANSPOSE": (transpose, WIDE, 1), "STRIDED_SLICE": (strided_slice, WIDE, 1.5),
}


def draw(d, name, x):
    """Adds the operator `name` on `x`; None, and nothing added, where it does not fit."""
    function, ranks, _ = OPERATORS[name]
    if len(x.shape) not in ranks or (name == "DEQUANTIZE" and x.dtype not in INTEGERS):
        return None
    lists = (d.network.nodes, d.network.inputs, d.values)
    lengths = [len(entries) for entries in lists]
    result = function(d, x)
    if result is None:
        for entries, length in zip(lists, lengths):
            del entries[length:]
    return result
