//! Outputs into a file: `.npy` for one, `.npz` for several, `.csv` a line each, `.bin` their bytes.

use std::path::Path;

use rasbora_compiler::graph::{DType, bytes_of};

use super::{Numbers, Signature, npy};
use crate::failure::Failure;
use crate::files;

/// The formats that outputs are kept in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    Npy,
    Npz,
    Csv,
    Bin,
}

/// An output: what it is, and its bytes.
#[derive(Clone, PartialEq, Debug)]
pub struct Output {
    /// Its type and shape.
    pub signature: Signature,
    /// Little-endian elements, row-major.
    pub bytes: Vec<u8>,
}

impl Output {
    /// Its elements as numbers.
    pub fn numbers(&self) -> Numbers {
        Numbers::of(&self.bytes, self.signature.dtype)
    }

    /// The same output in real numbers.
    fn dequantised(&self) -> Self {
        let reals = self.numbers().dequantised(self.signature.quantisation);
        let signature = Signature { dtype: DType::F32, quantisation: None, ..self.signature.clone() };
        Self { signature, bytes: bytes_of(reals) }
    }
}

/// Whether `outputs` many outputs can be kept in the file, by its ending; to be asked before any work is done.
///
/// # Errors
/// Where the ending names no format, or one that holds a single array.
pub fn check(path: &Path, outputs: usize) -> Result<(), Failure> {
    format(path, outputs).map(|_| ())
}

fn format(path: &Path, outputs: usize) -> Result<Format, Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    match ending.as_str() {
        "npy" if outputs > 1 => {
            Err(Failure::usage(format!("'{}' holds one array, but the model has {outputs} outputs", path.display()))
                .help("write a .npz: its arrays are output_0, output_1…"))
        }
        "bin" if outputs > 1 => {
            Err(Failure::usage(format!("'{}' holds one tensor, but the model has {outputs} outputs", path.display()))
                .help("write a .npz: its arrays are output_0, output_1…"))
        }
        "npy" => Ok(Format::Npy),
        "npz" => Ok(Format::Npz),
        "csv" => Ok(Format::Csv),
        "bin" => Ok(Format::Bin),
        _ => Err(Failure::usage(format!("'{}' does not end in .npy, .npz, .csv or .bin", path.display()))
            .help("give the output file the ending of its format")),
    }
}

/// Keeps outputs in a file, in their own types or, where `dequantise` says so, as floats.
///
/// # Errors
/// Where the file cannot be written.
pub fn write(path: &Path, outputs: &[Output], dequantise: bool) -> Result<(), Failure> {
    let reals: Vec<Output>;
    let outputs = if dequantise {
        reals = outputs.iter().map(Output::dequantised).collect();
        &reals
    } else {
        outputs
    };
    let content = match format(path, outputs.len())? {
        Format::Npy => Ok(outputs.first().map(npy).unwrap_or_default()),
        Format::Npz => npz(outputs),
        Format::Csv => Ok(csv(outputs)),
        Format::Bin => Ok(outputs.iter().flat_map(|output| output.bytes.iter().copied()).collect()),
    };
    files::write(path, &content.map_err(|error| Failure::unwritable(path, &error))?)
}

fn npy(output: &Output) -> Vec<u8> {
    npy::write(output.signature.dtype, &output.signature.shape, &output.bytes)
}

fn npz(outputs: &[Output]) -> std::io::Result<Vec<u8>> {
    let arrays: Vec<(String, Vec<u8>)> =
        outputs.iter().enumerate().map(|(index, output)| (format!("output_{index}"), npy(output))).collect();
    npy::write_archive(&arrays)
}

fn csv(outputs: &[Output]) -> Vec<u8> {
    let mut text = String::new();
    for output in outputs {
        let words: Vec<String> = match output.numbers() {
            Numbers::Integers(values) => values.iter().map(i32::to_string).collect(),
            Numbers::Floats(values) => values.iter().map(|value| format!("{value:?}")).collect(),
        };
        text += &words.join(",");
        text.push('\n');
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::{Array, Values};
    use super::*;

    fn output() -> Output {
        let signature =
            Signature { name: "y".into(), shape: vec![1, 2], dtype: DType::I8, quantisation: Some((0.5, 1)) };
        Output { signature, bytes: vec![3, 255] }
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("y.npy");
        write(&path, &[output()], false).unwrap();
        let array = npy::read(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(array, Array { shape: Some(vec![1, 2]), values: Values::I8(vec![3, -1]) });

        let path = folder.path().join("y.npz");
        write(&path, &[output(), output()], true).unwrap();
        let arrays = npy::read_archive(&std::fs::read(&path).unwrap()).unwrap();
        let keys: Vec<&str> = arrays.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["output_0", "output_1"]);
        assert_eq!(arrays[1].1.values, Values::F32(vec![1.0, -1.0]));

        let path = folder.path().join("y.csv");
        write(&path, &[output()], false).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"3,-1\n");
    }

    #[test]
    fn several_outputs_need_a_format_for_several() {
        assert!(check(Path::new("y.npy"), 1).is_ok());
        assert!(check(Path::new("y.npy"), 2).is_err());
        assert!(check(Path::new("y.npz"), 2).is_ok());
        assert!(check(Path::new("y.txt"), 1).is_err());
    }
}
