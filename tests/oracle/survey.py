#!/usr/bin/env python3
"""Lists the operators, versions and dtypes of every `.tflite` file under a folder.

Tests state for each file of a corpus whether it is supported, and if not why; this prints the facts that such a table is made from, and judges them by the
rule in `SUPPORTED`, apart from Rasbora's own importer.

One TSV line a file: path, subgraphs, network inputs, network outputs, operators. An operator stands as `2xCONV_2D:v3(int8,int8=,int32=)->(int8)`; `=` marks
a constant, `-` an absent operand. With `--judge` there are two columns more: `supported` or `refused`, and the first reason.
"""

import argparse
import collections
import pathlib
import sys

from ai_edge_litert import schema_py_generated as schema

SUPPORTED = """
CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED ADD MUL SUB AVERAGE_POOL_2D MAX_POOL_2D PAD PADV2 MEAN RESHAPE SQUEEZE EXPAND_DIMS SOFTMAX LOGISTIC TANH RELU RELU6
CONCATENATION QUANTIZE DEQUANTIZE TRANSPOSE STRIDED_SLICE
""".split()

# Operands that hold shapes, axes or paddings: constant, int32.
INDEX_OPERANDS = {
    "PAD": [1], "PADV2": [1], "MEAN": [1], "RESHAPE": [1], "EXPAND_DIMS": [1], "TRANSPOSE": [1], "STRIDED_SLICE": [1, 2, 3],
}
WEIGHTED = ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]


def names(enum):
    """The names of a generated enumeration by value."""
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


OPERATORS, DTYPES = names(schema.BuiltinOperator), {value: name.lower() for value, name in names(schema.TensorType).items()}


class Network:
    """One subgraph of a file, with each tensor's dtype and whether it is a constant."""

    def __init__(self, model, subgraph):
        self.model, self.subgraph = model, subgraph
        self.tensors = subgraph.tensors
        self.inputs, self.outputs = ([int(i) for i in side] if side is not None else [] for side in (subgraph.inputs, subgraph.outputs))
        self.produced = {int(i) for op in subgraph.operators or [] for i in op.outputs}
        self.operators = [self.operator(op) for op in subgraph.operators or []]

    def operator(self, op):
        """(name, version, inputs, outputs, options) of an operator."""
        code = self.model.operatorCodes[op.opcodeIndex]
        builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = OPERATORS.get(builtin, f"BUILTIN_{builtin}")
        if name == "CUSTOM":
            name = f"CUSTOM[{(code.customCode or b'').decode(errors='replace')}]"
        inputs = [int(i) for i in op.inputs] if op.inputs is not None else []
        return name, code.version, inputs, [int(i) for i in op.outputs] if op.outputs is not None else [], op.builtinOptions

    def dtype(self, index):
        return DTYPES[self.tensors[index].type] if index >= 0 else "-"

    def constant(self, index):
        """True of a tensor that the file gives bytes for (no operator writes it)."""
        if index < 0 or index in self.produced or index in self.inputs:
            return False
        buffer = self.model.buffers[self.tensors[index].buffer]
        return (buffer.data is not None and len(buffer.data) > 0) or buffer.offset > 1

    def signature(self, operator):
        name, version, inputs, outputs, _ = operator
        sides = (",".join(self.dtype(i) + "=" * self.constant(i) for i in side) for side in (inputs, outputs))
        return "{}:v{}({})->({})".format(name, version, *sides)

    def side(self, indices):
        return " ".join(f"{self.dtype(i)}{shape(self.tensors[i])}" for i in indices)

    def refusal(self):
        """Why the network is outside the supported set; None if it is inside."""
        return next((reason for operator in self.operators if (reason := self.operator_refusal(operator))), None)

    def operator_refusal(self, operator):
        name, _, inputs, outputs, options = operator
        if name not in SUPPORTED:
            return f"operator {name}"
        for position in INDEX_OPERANDS.get(name, []):
            if position >= len(inputs) or inputs[position] < 0:
                continue
            if not self.constant(inputs[position]):
                return f"{name}: operand {position} is not constant"
            if self.dtype(inputs[position]) != "int32":
                return f"{name}: operand {position} is {self.dtype(inputs[position])}"
        data = [i for position, i in enumerate(inputs) if position not in INDEX_OPERANDS.get(name, []) and i >= 0]
        for i in data + outputs:
            if self.tensors[i].sparsity is not None:
                return f"{name}: sparse tensor"
        if name in ("QUANTIZE", "DEQUANTIZE"):
            return self.edge_refusal(name, inputs[0], outputs[0])
        return self.dtype_refusal(name, data, outputs)

    def edge_refusal(self, name, source, target):
        """QUANTIZE and DEQUANTIZE may touch uint8 at the network's edge, DEQUANTIZE constants in float16."""
        signature = f"{name}: {self.dtype(source)} to {self.dtype(target)}"
        integers = ["int8", "uint8", "int16"]
        wanted = {"QUANTIZE": (["float32", "int32", *integers], [*integers, "int32"]), "DEQUANTIZE": ([*integers, "float16"], ["float32"])}[name]
        if self.dtype(source) not in wanted[0] or self.dtype(target) not in wanted[1]:
            return signature
        if self.dtype(source) == "float16" and not self.constant(source):
            return f"{signature}, not constant"
        if self.dtype(source) == "uint8" and source not in self.inputs:
            return f"{signature}, inside the network"
        if self.dtype(target) == "uint8" and target not in self.outputs:
            return f"{signature}, inside the network"
        return None

    def dtype_refusal(self, name, data, outputs):
        """The data of an operator is all int8, all int16 or all float32, but for weights with int16 inputs, which are int8, and the bias of int8 weights."""
        kind = self.dtype(data[0])
        if name in WEIGHTED:
            if kind == "float32" and self.dtype(data[1]) == "int8":
                return f"{name}: hybrid (float32 input, int8 weights)"
            biases = {"int8": ["int32"], "int16": ["int64"] if name == "DEPTHWISE_CONV_2D" else ["int64", "int32"], "float32": ["float32"]}
            if len(data) > 2 and self.dtype(data[2]) not in biases.get(kind, []):
                return f"{name}: {kind} input with {self.dtype(data[2])} bias"
            data = data[:1] if kind == "int16" and self.dtype(data[1]) == "int8" else data[:2]
        for i in data + outputs:
            if self.dtype(i) != kind or kind not in ("int8", "int16", "float32"):
                return "{}: ({}) to ({})".format(name, *(",".join(map(self.dtype, side)) for side in (data, outputs)))
        return None


def shape(tensor):
    return [] if tensor.shape is None else [int(size) for size in tensor.shape]


def read(path):
    """The networks of a file."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    return [Network(model, subgraph) for subgraph in model.subgraphs]


def row(root, path, judge):
    networks = read(path)
    main = networks[0]
    counted = collections.Counter(network.signature(op) for network in networks for op in network.operators)
    fields = [
        str(path.relative_to(root)), str(len(networks)), main.side(main.inputs), main.side(main.outputs),
        " ".join(f"{count}x{signature}" for signature, count in counted.items()),
    ]
    if judge:
        reason = next((reason for network in networks if (reason := network.refusal())), None)
        fields += ["refused" if reason else "supported", reason or ""]
    return "\t".join(fields)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--judge", action="store_true", help="add whether the file is supported, and the first reason why not")
    arguments = parser.parse_args()
    for path in sorted(arguments.folder.rglob("*.tflite")):
        try:
            print(row(arguments.folder, path, arguments.judge))
        except Exception as error:  # a damaged file is a line of the survey
            print(f"{path.relative_to(arguments.folder)}: {type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
