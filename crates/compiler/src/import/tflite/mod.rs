//! TensorFlow Lite's .tflite files: FlatBuffers of schema version 3.
//!
//! The readers of the format are generated at build time by planus from `schema.fbs`, which holds just the fields that
//! are read. `operators.rs` holds the table of what is supported. Nothing that a file says makes the importer panic or
//! hang, or use more memory than a fixed multiple of the file's size.

mod budget;
mod elementwise;
mod layers;
mod movement;
mod names;
mod operators;
mod site;
mod source;
mod variables;

/// What planus makes of `schema.fbs`.
#[allow(missing_docs, dead_code, unused_imports, clippy::all, clippy::undocumented_unsafe_blocks, rustdoc::all)]
mod schema {
    include!(concat!(env!("OUT_DIR"), "/tflite.rs"));
}

use std::collections::HashSet;

use budget::Budget;
use operators::{Row, row, supported};
use site::{Importer, Refusal, Site};
use source::{Source, SourceOperator, SourceTensor};

use crate::graph::{Graph, TensorId};

pub use super::{File, FileOperator, FileTensor, ImportError, Imported, Unsupported};

/// Most reasons that are given for one file.
const MAX_REASONS: usize = 1024;

/// Reads a .tflite file. Of several subgraphs the first is the network.
///
/// # Errors
/// Where the file is malformed, has tensors beyond all memory, or needs what is not supported: then all the reasons, at
/// most 1,024.
pub fn read(bytes: &[u8]) -> Result<Imported, ImportError> {
    let budget = Budget::new(bytes.len());
    let source = source::read(bytes, &budget)?;
    let mut importer = Importer::new(&source, &budget);
    let mut reasons = Vec::new();
    // A file that is not supported may look broken after what was left out, so that reason comes first.
    let mut broken = None;
    import_ports(&mut importer, &mut reasons, "INPUT")?;
    for operator in &source.operators {
        match import_operator(&mut importer, operator) {
            Ok(()) => (),
            Err(Refusal::Unsupported(reason)) => reasons.push(operator.unsupported(&source, reason)),
            Err(Refusal::File(error)) => broken = broken.or(Some(error)),
        }
        if reasons.len() >= MAX_REASONS {
            break;
        }
    }
    if reasons.is_empty() && broken.is_none() {
        importer.add_states();
        import_ports(&mut importer, &mut reasons, "OUTPUT")?;
    }
    if !reasons.is_empty() {
        return Err(ImportError::Unsupported { reasons, file: Box::new(source.file(0, &budget)) });
    }
    match broken {
        Some(error) => Err(error),
        None => {
            Ok(Imported { file: source.file(parameters(&importer.graph, &source), &budget), graph: importer.graph })
        }
    }
}

fn import_operator<'a>(importer: &mut Importer<'a>, operator: &'a SourceOperator<'a>) -> Result<(), Refusal> {
    let Some(Row { import, types, .. }) = row(&operator.op) else {
        return Err(Refusal::Unsupported(format!("is not supported; supported are {}", supported())));
    };
    import(&mut Site { importer, operator, types })
}

/// Makes the network inputs or outputs.
fn import_ports(
    importer: &mut Importer<'_>,
    reasons: &mut Vec<Unsupported>,
    op: &'static str,
) -> Result<(), ImportError> {
    let source = importer.source;
    let ports = if op == "INPUT" { &source.inputs } else { &source.outputs };
    for (index, &port) in ports.iter().enumerate() {
        let refusal = match importer.tensor(port) {
            Ok(id) => {
                if op == "INPUT" {
                    importer.graph.inputs.push(id)
                } else {
                    importer.graph.outputs.push(id)
                }
                continue;
            }
            Err(refusal) => refusal,
        };
        let tensor = &source.tensors[port];
        match refusal {
            Refusal::File(error) => return Err(error),
            Refusal::Unsupported(reason) => reasons.push(Unsupported {
                node: tensor.name.clone(),
                index,
                op: op.to_owned(),
                version: 1,
                dtypes: vec![tensor.element.name()],
                inputs: usize::from(op == "OUTPUT"),
                reason: format!("{reason}; supported are int8, uint8, int16, int32 and float32"),
            }),
        }
    }
    Ok(())
}

/// Elements of the file's constants that nodes read.
fn parameters(graph: &Graph, source: &Source<'_>) -> u64 {
    let read: HashSet<TensorId> = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied()).collect();
    let constants = read.into_iter().map(|id| &graph[id]).filter(|tensor| tensor.constant.is_some());
    let elements = |index: usize| source.tensors[index].shape.iter().product::<usize>() as u64;
    constants.filter_map(|tensor| tensor.source).map(elements).sum()
}

impl SourceOperator<'_> {
    fn unsupported(&self, source: &Source<'_>, reason: String) -> Unsupported {
        let dtype = |&index: &usize| source.tensors[index].element.name();
        let mut dtypes: Vec<String> = self.inputs.iter().flatten().map(dtype).collect();
        let inputs = dtypes.len();
        dtypes.extend(self.outputs.iter().map(dtype));
        let node = self.outputs.first().map_or_else(String::new, |&output| source.tensors[output].name.clone());
        Unsupported { node, index: self.index, op: self.op.clone(), version: self.version, dtypes, inputs, reason }
    }
}

impl Source<'_> {
    /// What reports say of the file.
    fn file(&self, parameters: u64, budget: &Budget) -> File {
        let tensor = |tensor: &SourceTensor<'_>| FileTensor {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            dtype: tensor.element.name(),
            affine: tensor.quantisation(budget).ok().flatten().and_then(|quantisation| quantisation.single()),
        };
        let operator = |operator: &SourceOperator<'_>| FileOperator {
            index: operator.index,
            op: operator.op.clone(),
            version: operator.version,
            outputs: operator.outputs.clone(),
        };
        File {
            tensors: self.tensors.iter().map(tensor).collect(),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            operators: self.operators.iter().map(operator).collect(),
            parameters,
            description: self.description.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
