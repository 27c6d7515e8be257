//! The cases of the conformance suite: real models with the bytes that TFLM and LiteRT give for them.
//!
//! The cases are data; each file in `tests/` is one way to run them all. The models are not part of the repository: where
//! the corpus is absent the tests print so and pass.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use npyz::npz::NpzArchive;
use rasbora_compiler::emit::rust::{Named, emit};
use rasbora_compiler::graph::DType;
use rasbora_compiler::import::tflite;
use rasbora_compiler::optimise::Goal;
use rasbora_compiler::program::{Port, Program};
use rasbora_compiler::target::InstructionSet;

/// The folder with models and golden outputs: `$RASBORA_CORPUS`, or `../shared/corpus` beside the checkout. Prints why
/// where there is none.
pub fn corpus() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("RASBORA_CORPUS").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no corpus at {} (set RASBORA_CORPUS to the folder that holds it)", folder.display());
    None
}

/// A model with what it must compute.
pub struct Case {
    /// Path of the model below the corpus's `tflite/`, without the ending.
    pub name: String,
    /// The model's bytes.
    pub model: Vec<u8>,
    /// One call after another, state kept.
    pub calls: Vec<Call>,
}

/// The inputs of one inference and the outputs that it must give, as bytes, in the model's order.
#[derive(Default)]
pub struct Call {
    /// Bytes of each input.
    pub inputs: Vec<Vec<u8>>,
    /// Bytes of each output: TFLM's where it runs the model, else those of LiteRT's reference kernels.
    pub outputs: Vec<Vec<u8>>,
}

/// Models of the corpus whose ops and dtypes are supported. A change is a promise kept or broken: change it knowingly.
pub const SUPPORTED: usize = 204;

/// The eight models of the figures: name in the tables, and path below the corpus's `tflite/`.
pub const FIGURES: [(&str, &str); 8] = [
    ("kws", "mlperf_tiny_ref/kws_ref_model"),
    ("vww", "mlperf_tiny_ref/vww_96_int8"),
    ("ic", "mlperf_tiny_ref/pretrainedResnet_quant"),
    ("ad", "mlperf_tiny_ref/ad01_int8"),
    ("sww", "mlperf_tiny_ref/str_ww_ref_model"),
    ("ic_large", "mlperf_tiny_ref/pretrainedResnet_large_int8"),
    ("person", "tflite-micro/person_detect"),
    ("micro_speech", "tflite-micro/micro_speech_quantized"),
];

/// Models of int16 of different operators: name, and path below the corpus's `tflite/`.
pub const INT16: [(&str, &str); 6] = [
    ("conv0", "tflite-micro/tensorflow__lite__micro__kernels__integration_tests__seanet__conv__conv0"),
    ("conv10", "tflite-micro/tensorflow__lite__micro__kernels__integration_tests__seanet__conv__conv10"),
    ("pad0", "tflite-micro/tensorflow__lite__micro__integration_tests__seanet__pad__pad0"),
    ("sub0", "tflite-micro/tensorflow__lite__micro__integration_tests__seanet__sub__sub0"),
    ("quantize0", "tflite-micro/tensorflow__lite__micro__integration_tests__seanet__quantize__quantize0"),
    ("add", "LiteRT/litert__test__testdata__single_add_default_a16w8_recipe_quantized"),
];

/// All models of the corpus, as paths below its `tflite/` without the ending, sorted.
pub fn models(corpus: &Path) -> Vec<String> {
    let root = corpus.join("tflite");
    let mut names = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(name) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                names.extend(name.strip_suffix(".tflite").map(str::to_owned));
            }
        }
    }
    names.sort();
    names
}

/// The case of the model `name`.
pub fn case(corpus: &Path, name: &str) -> Case {
    let model = corpus.join("tflite").join(format!("{name}.tflite"));
    let model = std::fs::read(&model).unwrap_or_else(|error| panic!("{}: {error}", model.display()));
    Case { name: name.into(), model, calls: calls(&corpus.join("golden").join(format!("{name}.npz"))) }
}

/// The names under which a file may hold outputs: what comes first counts.
const OUTPUTS: [&str; 3] = ["out", "tflm", "ref"];

/// The calls of a file of arrays `in_<call>_<i>` with `tflm_<call>_<i>`, `ref_<call>_<i>` or `out_<call>_<i>`.
pub fn calls(path: &Path) -> Vec<Call> {
    let arrays = arrays(path);
    let of = |kind: &str, call: usize| -> Vec<Vec<u8>> {
        (0..).map_while(|i| arrays.get(&format!("{kind}_{call}_{i}")).cloned()).collect()
    };
    (0..)
        .map(|call| {
            let outputs = OUTPUTS.iter().map(|kind| of(kind, call)).find(|outputs| !outputs.is_empty());
            Call { inputs: of("in", call), outputs: outputs.unwrap_or_default() }
        })
        .take_while(|call| !call.outputs.is_empty())
        .collect()
}

/// The arrays of an `.npz` as their bytes.
fn arrays(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = NpzArchive::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let names: Vec<String> = archive.array_names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| {
            let array = archive.by_name(&name).expect("a readable archive").expect("an array of that name");
            let bytes = raw(array);
            (name, bytes)
        })
        .collect()
}

/// The elements of an array as they are in memory, little-endian and row-major.
fn raw(array: npyz::NpyFile<impl Read>) -> Vec<u8> {
    let text = array.dtype().descr();
    let width = text.trim_matches('\'').get(2..).and_then(|width| width.parse::<usize>().ok());
    let mut bytes = Vec::new();
    match (text.trim_matches('\'').get(1..2), width) {
        (Some("i"), Some(1)) => bytes.extend(read::<i8>(array).into_iter().map(i8::cast_unsigned)),
        (Some("u"), Some(1)) => bytes = read::<u8>(array),
        (Some("i"), Some(2)) => bytes.extend(read::<i16>(array).into_iter().flat_map(i16::to_le_bytes)),
        (Some("i"), Some(4)) => bytes.extend(read::<i32>(array).into_iter().flat_map(i32::to_le_bytes)),
        (Some("i"), Some(8)) => bytes.extend(read::<i64>(array).into_iter().flat_map(i64::to_le_bytes)),
        (Some("f"), Some(4)) => bytes.extend(read::<f32>(array).into_iter().flat_map(f32::to_le_bytes)),
        (Some("f"), Some(8)) => bytes.extend(read::<f64>(array).into_iter().flat_map(f64::to_le_bytes)),
        (Some("b"), _) => bytes.extend(read::<bool>(array).into_iter().map(u8::from)),
        _ => panic!("no array of numbers: {text}"),
    }
    bytes
}

fn read<T: npyz::Deserialize>(array: npyz::NpyFile<impl Read>) -> Vec<T> {
    array.into_vec().expect("an array of its type")
}

/// The program of a model for `goal`, or why there is none.
///
/// # Errors
/// The reason in one text.
pub fn compile(model: &[u8], goal: impl Into<Goal>) -> Result<Program, String> {
    let imported = tflite::read(model).map_err(|error| error.to_string())?;
    let compiled = rasbora_compiler::pipeline::compile(imported.graph, goal).map_err(|error| error.to_string())?;
    Ok(compiled.program)
}

/// Writes the crate of `program`, whose module is `network`, into `folder`.
///
/// # Errors
/// Where a file cannot be written.
pub fn write_crate(program: &Program, isa: InstructionSet, folder: &Path) -> Result<(), String> {
    let network = Named { name: "network", program, isa: isa.type_name() };
    for (path, content) in emit(&[network]).map_err(|error| error.to_string())? {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(|error| error.to_string())?;
        std::fs::write(path, content).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Whether `found` is what must come out of `ports`: the same bytes, and for floats within 1e-5 of the largest output.
///
/// # Errors
/// Where and by how much they differ.
pub fn compare(ports: &[Port], expected: &[Vec<u8>], found: &[Vec<u8>]) -> Result<(), String> {
    if expected.len() != found.len() {
        return Err(format!("{} outputs instead of {}", found.len(), expected.len()));
    }
    for ((port, expected), found) in ports.iter().zip(expected).zip(found) {
        if expected.len() != found.len() {
            return Err(format!("'{}' has {} bytes instead of {}", port.name, found.len(), expected.len()));
        }
        match port.dtype {
            DType::F32 => compare_floats(&port.name, &floats(expected), &floats(found))?,
            _ => compare_bytes(&port.name, expected, found)?,
        }
    }
    Ok(())
}

fn compare_bytes(name: &str, expected: &[u8], found: &[u8]) -> Result<(), String> {
    let wrong: Vec<usize> = (0..expected.len()).filter(|&i| expected[i] != found[i]).collect();
    match wrong.first() {
        None => Ok(()),
        Some(&first) => Err(format!(
            "'{name}' differs in {} of {} bytes, first at {first}: {} instead of {}",
            wrong.len(),
            expected.len(),
            found[first].cast_signed(),
            expected[first].cast_signed()
        )),
    }
}

fn compare_floats(name: &str, expected: &[f32], found: &[f32]) -> Result<(), String> {
    let largest = expected.iter().filter(|x| x.is_finite()).fold(0f32, |largest, x| largest.max(x.abs()));
    let close = |a: f32, b: f32| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * largest.max(1e-30);
    match expected.iter().zip(found).position(|(&a, &b)| !close(a, b)) {
        None => Ok(()),
        Some(i) => Err(format!("'{name}' at {i}: {} instead of {}, largest {largest}", found[i], expected[i])),
    }
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|&chunk| f32::from_le_bytes(chunk)).collect()
}

/// Random numbers from a seed that is not zero: xorshift64*.
pub struct Random(pub u64);

impl Random {
    /// A number in `0..limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * u64::from(limit)) >> 32) as u32
    }

    /// Any bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.below(256) as u8).collect()
    }
}
