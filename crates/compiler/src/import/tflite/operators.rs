//! The table of operators that are imported.
//!
//! To add one: a row, and a function that reads the operator's options and makes nodes of it.

use super::site::Import;
use super::{elementwise, layers, movement, variables};

/// One operator of the format.
pub(super) struct Row {
    /// Its name.
    pub(super) op: &'static str,
    /// What makes nodes of it.
    pub(super) import: Import,
    /// The types that it may have, for messages.
    pub(super) types: &'static str,
}

const WEIGHTED: &str =
    "int8 with int8 weights and int32 bias, int16 with int8 weights and int64 or int32 bias, or float32 throughout";
const REAL: &str = "int8, int16 or float32";
const ANY: &str = "int8, uint8, int16, int32 or float32";

macro_rules! table {
    ($($op:literal $import:path, $types:expr;)*) => {
        &[$(Row { op: $op, import: $import, types: $types }),*]
    };
}

const TABLE: &[Row] = table! {
    "CONV_2D" layers::conv_2d, WEIGHTED;
    "DEPTHWISE_CONV_2D" layers::depthwise_conv_2d, WEIGHTED;
    "FULLY_CONNECTED" layers::fully_connected, WEIGHTED;
    "AVERAGE_POOL_2D" layers::average_pool_2d, REAL;
    "MAX_POOL_2D" layers::max_pool_2d, REAL;
    "MEAN" elementwise::mean, REAL;
    "SOFTMAX" elementwise::softmax, REAL;
    "ADD" elementwise::add, REAL;
    "SUB" elementwise::sub, REAL;
    "MUL" elementwise::mul, REAL;
    "LOGISTIC" elementwise::logistic, REAL;
    "TANH" elementwise::tanh, REAL;
    "RELU" elementwise::relu, REAL;
    "RELU6" elementwise::relu6, REAL;
    "RELU_N1_TO_1" elementwise::relu_n1_to_1, REAL;
    "QUANTIZE" elementwise::quantize, "float32, int8, uint8, int16 or int32, and makes int8, uint8, int16 or int32";
    "DEQUANTIZE" elementwise::dequantize, "int8, uint8, int16 or constant float16, and makes float32";
    "PAD" movement::pad, ANY;
    "PADV2" movement::pad_v2, ANY;
    "RESHAPE" movement::reshape, ANY;
    "SQUEEZE" movement::squeeze, ANY;
    "EXPAND_DIMS" movement::expand_dims, ANY;
    "CONCATENATION" movement::concatenation, ANY;
    "TRANSPOSE" movement::transpose, ANY;
    "STRIDED_SLICE" movement::strided_slice, ANY;
    "SPLIT" movement::split, ANY;
    "SPLIT_V" movement::split_v, ANY;
    "CALL_ONCE" variables::call_once, ANY;
    "VAR_HANDLE" variables::var_handle, "resource";
    "READ_VARIABLE" variables::read_variable, ANY;
    "ASSIGN_VARIABLE" variables::assign_variable, ANY;
};

/// The row of the operator `op`.
pub(super) fn row(op: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.op == op)
}

/// The names of all operators that are imported.
pub(super) fn supported() -> String {
    let names: Vec<&str> = TABLE.iter().map(|row| row.op).collect();
    names.join(", ")
}
