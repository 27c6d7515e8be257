"""Writes `.tflite` files, by the schema classes that LiteRT ships.

Random networks need options that no converter would emit, so they are written field by field.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

DTYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8, "uint8": np.uint8, "int16": np.int16, "int32": np.int32, "int64": np.int64}
OPTIONS = {
    "CONV_2D": "Conv2DOptions", "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions", "FULLY_CONNECTED": "FullyConnectedOptions", "ADD": "AddOptions",
    "MUL": "MulOptions", "SUB": "SubOptions", "AVERAGE_POOL_2D": "Pool2DOptions", "MAX_POOL_2D": "Pool2DOptions", "PAD": "PadOptions",
    "PADV2": "PadV2Options", "MEAN": "ReducerOptions", "RESHAPE": "ReshapeOptions", "SQUEEZE": "SqueezeOptions", "EXPAND_DIMS": "ExpandDimsOptions",
    "SOFTMAX": "SoftmaxOptions", "CONCATENATION": "ConcatenationOptions", "QUANTIZE": "QuantizeOptions", "DEQUANTIZE": "DequantizeOptions",
    "TRANSPOSE": "TransposeOptions", "STRIDED_SLICE": "StridedSliceOptions",
}


class Writer:
    """A file in the making: tensors and operators are added in order, `bytes` ends it."""

    def __init__(self):
        self.subgraph = schema.SubGraphT()
        self.subgraph.tensors, self.subgraph.operators = [], []
        self.buffers, self.codes = [schema.BufferT()], {}

    def tensor(self, name, shape, dtype, data=None, scales=None, zeros=None, axis=0):
        """Adds a tensor and returns its index; `data` makes it a constant, `scales` and `zeros` (sequences) quantise it."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name, list(shape), getattr(schema.TensorType, dtype.upper())
        tensor.hasRank = True
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, DTYPES[dtype]).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(scale) for scale in scales]
            tensor.quantization.zeroPoint = [int(zero) for zero in zeros]
            tensor.quantization.quantizedDimension = axis
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def operator(self, name, inputs, outputs, version=1, **options):
        """Adds an operator; an option is named as in the schema's Python classes, an enumeration's value by its name."""
        code = (getattr(schema.BuiltinOperator, name), version)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.setdefault(code, len(self.codes))
        operator.inputs, operator.outputs = list(inputs), list(outputs)
        if name in OPTIONS:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[name])
            operator.builtinOptions = getattr(schema, OPTIONS[name] + "T")()
            for key, value in options.items():
                if not hasattr(operator.builtinOptions, key):
                    raise KeyError(f"{OPTIONS[name]} has no field {key}")
                if isinstance(value, str):
                    value = getattr(schema.Padding if key == "padding" else schema.ActivationFunctionType, value)
                setattr(operator.builtinOptions, key, value)
        self.subgraph.operators.append(operator)

    def bytes(self, inputs, outputs):
        """The finished file."""
        self.subgraph.inputs, self.subgraph.outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version, model.description = 3, "random network"
        model.subgraphs, model.buffers, model.operatorCodes = [self.subgraph], self.buffers, []
        for builtin, version in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), version
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
