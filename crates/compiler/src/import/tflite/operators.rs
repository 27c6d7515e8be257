//! The table of operators that are imported.
//!
//! To add one: a row, and a function that reads the operator's options and makes nodes of it.

use super::layers;
use super::site::Import;

/// One operator of the format.
pub(super) struct Row {
    /// Its name.
    pub(super) op: &'static str,
    /// What makes nodes of it.
    pub(super) import: Import,
    /// The types that it may have, for messages.
    pub(super) types: &'static str,
}

const WEIGHTED: &str = "int8 with int8 weights and int32 bias, or float32 throughout";

macro_rules! table {
    ($($op:literal $import:path, $types:expr;)*) => {
        &[$(Row { op: $op, import: $import, types: $types }),*]
    };
}

const TABLE: &[Row] = table! {
    "CONV_2D" layers::conv_2d, WEIGHTED;
    "DEPTHWISE_CONV_2D" layers::depthwise_conv_2d, WEIGHTED;
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
