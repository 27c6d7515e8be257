//! The importer over real models: what is taken, what is refused and why, and that damaged files are never a panic.
//!
//! The models are not part of the repository. They are looked for in the folder that `RASBORA_CORPUS` names, else in
//! `../shared/corpus` beside the workspace; the tests say so and pass where there is none.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rasbora_compiler::graph::verify::verify;
use rasbora_compiler::import::tflite::{ImportError, Unsupported, read};

/// Models in the corpus that the compiler takes.
const IMPORTED: usize = 204;
/// Models that it refuses, the ten of `tflite_unsupported` included.
const REFUSED: usize = 61;
/// Damaged copies of each model that is not larger than [`SMALL`].
const DAMAGED: usize = 24;
/// Largest model of which damaged copies are made.
const SMALL: usize = 400_000;

/// Each file that is refused, with the operator and the words that its reasons must hold.
const EXPECTED: &str = include_str!("import/refused.tsv");

fn corpus() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let folder = std::env::var_os("RASBORA_CORPUS").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no corpus in {}; set RASBORA_CORPUS to its folder", folder.display());
    None
}

/// All .tflite files below `folder`, named relative to `root`, in order.
fn models(root: &Path, folder: &Path, found: &mut Vec<(String, PathBuf)>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            models(root, &entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "tflite") {
            found.push((entry.strip_prefix(root).unwrap().to_string_lossy().replace('\\', "/"), entry));
        }
    }
}

fn all(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for folder in ["tflite", "tflite_unsupported"] {
        models(root, &root.join(folder), &mut found);
    }
    found
}

/// What is wrong with how `name` was imported; `None` where it is as expected.
fn judge(bytes: &[u8], expected: Option<&(&str, &str)>) -> Result<bool, String> {
    match (read(bytes), expected) {
        (Ok(imported), None) => verify(&imported.graph).map(|()| true).map_err(|error| error.to_string()),
        (Ok(_), Some((op, _))) => Err(format!("imported, but {op} should be refused")),
        (Err(error), None) => Err(error.to_string()),
        (Err(ImportError::Unsupported { reasons, .. }), Some((op, words))) => {
            let given = |reason: &Unsupported| reason.op == *op && reason.reason.contains(words);
            let texts = || reasons.iter().map(|reason| format!("\n    {reason}")).collect::<String>();
            if reasons.iter().any(given) { Ok(false) } else { Err(format!("lacks '{op} … {words}' in:{}", texts())) }
        }
        (Err(error), Some(_)) => Err(error.to_string()),
    }
}

#[test]
fn models_are_imported_or_refused_for_the_expected_reason() {
    let Some(root) = corpus() else { return };
    let rows = EXPECTED.lines().filter(|line| !line.starts_with('#'));
    let mut expected: HashMap<&str, (&str, &str)> = rows
        .map(|row| {
            let fields: Vec<&str> = row.split('\t').collect();
            let [file, op, words] = fields.as_slice() else { panic!("{row}") };
            (*file, (*op, *words))
        })
        .collect();
    let (mut imported, mut refused, mut wrong) = (0, 0, Vec::new());
    for (name, path) in all(&root) {
        match judge(&fs::read(path).unwrap(), expected.remove(name.as_str()).as_ref()) {
            Ok(true) => imported += 1,
            Ok(false) => refused += 1,
            Err(reason) => wrong.push(format!("{name}: {reason}")),
        }
    }
    println!("imported {imported}, refused {refused}, wrong {}", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((imported, refused), (IMPORTED, REFUSED));
    assert!(expected.is_empty(), "not in the corpus: {expected:?}");
}

/// A generator of the same numbers on every run (xorshift64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Cuts or flips. Most flips hit the tables, which lie at both ends of a file with its weights between.
fn damage(random: &mut Seeded, bytes: &mut Vec<u8>) {
    if random.below(4) == 0 {
        bytes.truncate(random.below(bytes.len()));
        return;
    }
    for _ in 0..1 + random.below(8) {
        let near = random.below(bytes.len().min(4096));
        let at = match random.below(3) {
            0 => near,
            1 => bytes.len() - 1 - near,
            _ => random.below(bytes.len()),
        };
        bytes[at] = match random.below(3) {
            0 => 0xFF,
            1 => 0x7F,
            _ => bytes[at] ^ 1 << random.below(8),
        };
    }
}

/// Imports `copies` damaged copies of the model `bytes`.
fn import_damaged(name: &str, bytes: &[u8], copies: usize) {
    let mut random = Seeded(0x9E37_79B9_7F4A_7C15 ^ bytes.len() as u64);
    for _ in 0..copies {
        let mut copy = bytes.to_vec();
        damage(&mut random, &mut copy);
        if let Ok(imported) = read(&copy) {
            assert_eq!(verify(&imported.graph), Ok(()), "{name}");
        }
    }
}

#[test]
fn damaged_models_are_never_a_panic() {
    let Some(root) = corpus() else { return };
    for (name, path) in all(&root) {
        let bytes = fs::read(path).unwrap();
        import_damaged(&name, &bytes, if bytes.len() > SMALL { 2 } else { DAMAGED });
    }
}

/// The model that ships in the repository.
const DIGITS: &[u8] = include_bytes!("../../../examples/digits/digits.tflite");

#[test]
fn the_digit_recogniser_is_imported() {
    let imported = read(DIGITS).unwrap();
    assert_eq!(verify(&imported.graph), Ok(()));
    let ports = [&imported.graph.inputs, &imported.graph.outputs].map(|ports| &imported.graph[ports[0]].shape);
    assert_eq!(ports, [&vec![1, 8, 8, 1], &vec![1, 10]]);
    assert!(imported.file.parameters > 0);
    import_damaged("digits", DIGITS, 2000);
}
