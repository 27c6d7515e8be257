//! Golden tests of the passes: `tests/ir/<pass>/*.ir` hold a graph, a line `---`, and what the pass makes of it.
//!
//! Besides the text, each case is held to this: both graphs are accepted by the verifier and compute the same bytes on
//! random inputs, call after call, the pass tells truly whether it changed something, and finds nothing to do when it runs again. In each
//! folder some file named `not_….ir` shows where the pass must not fire.

use std::fs;
use std::path::{Path, PathBuf};

use rasbora_compiler::graph::text::parse;
use rasbora_compiler::graph::verify::verify;
use rasbora_compiler::graph::{DType, Graph};
use rasbora_compiler::host::{Host, HostInterpreter, fill_inputs, outputs};
use rasbora_compiler::passes::{self, Changed};
use rasbora_compiler::pipeline::{PASSES, Pass};
use rasbora_compiler::program::Program;
use similar::TextDiff;

const BLESS: &str = "BLESS=1 cargo test -p rasbora-compiler --test passes";

#[test]
fn passes_make_what_their_files_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ir");
    let mut failures = Vec::new();
    for Pass { name: pass, run } in PASSES {
        let cases = files(&root.join(pass));
        assert!(!cases.is_empty(), "pass {pass} has no cases");
        assert!(
            cases.iter().any(|case| stem(case).starts_with("not_")),
            "pass {pass} needs a case where it must not fire"
        );
        for path in cases {
            if let Err(reason) = check(*run, &path) {
                failures.push(format!("{}: {reason}", path.strip_prefix(&root).unwrap_or(&path).display()));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}\nto accept what the passes make: {BLESS}\n", failures.join("\n"));
}

#[test]
fn every_folder_is_of_a_pass() {
    for folder in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ir")) {
        assert!(PASSES.iter().any(|pass| pass.name == stem(&folder)), "{} is of no pass", folder.display());
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn check(run: fn(&mut Graph) -> Changed, path: &Path) -> Result<(), String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let (input, expected) = text.split_once("\n---\n").unwrap_or((text.trim_end(), ""));
    let before = parse(input, None).map_err(|error| error.to_string())?;
    verify(&before).map_err(|error| error.to_string())?;
    let mut after = before.clone();
    let Changed(changed) = run(&mut after);
    verify(&after).map_err(|error| format!("what the pass makes is refused: {error}"))?;
    if changed != (after != before) {
        return Err(format!("the pass says {changed} for whether it changed the graph"));
    }
    if changed == stem(path).starts_with("not_") {
        return Err("a pass fires unless the case is named not_…".into());
    }
    if run(&mut after.clone()).0 {
        return Err("the pass has more to do when it runs again".into());
    }
    same_bytes(&before, &after)?;
    let found = after.to_string();
    if found == expected {
        return Ok(());
    }
    if std::env::var_os("BLESS").is_some() {
        return fs::write(path, format!("{input}\n---\n{found}")).map_err(|error| error.to_string());
    }
    Err(format!("\n{}", TextDiff::from_lines(expected, &found).unified_diff().header("expected", "found")))
}

/// Whether both graphs compute the same bytes; float outputs may differ by 1e-6 of themselves.
fn same_bytes(before: &Graph, after: &Graph) -> Result<(), String> {
    let ports = |graph: &Graph| {
        let port = |&id| (graph[id].name.clone(), graph[id].shape.clone(), graph[id].dtype);
        (graph.inputs.iter().map(port).collect::<Vec<_>>(), graph.outputs.iter().map(port).collect::<Vec<_>>())
    };
    if ports(before) != ports(after) {
        return Err("the pass changes the network's inputs or outputs".into());
    }
    let program = |graph: &Graph| {
        let mut graph = graph.clone();
        let _ = passes::fold_zero_points(&mut graph);
        let _ = passes::settle_states(&mut graph);
        Program::new(&graph, rasbora_compiler::target::InstructionSet::Portable).map_err(|error| error.to_string())
    };
    let (before_program, after_program) = (program(before)?, program(after)?);
    let mut hosts = [Host::new(&before_program), Host::new(&after_program)];
    let [before_host, after_host] = &mut hosts;
    let start = |host| Host::start(host).map_err(|error| error.to_string());
    let (mut before_host, mut after_host) = (start(before_host)?, start(after_host)?);
    for seed in 1..=5 {
        let inputs: Vec<Vec<u8>> =
            before.inputs.iter().map(|&id| random(before[id].dtype, before[id].bytes(), seed)).collect();
        let run = |host: &mut HostInterpreter<'_>| {
            fill_inputs(host, &inputs).map_err(|error| error.to_string())?;
            host.run();
            Ok::<_, String>(outputs(host))
        };
        let (expected, found) = (run(&mut before_host)?, run(&mut after_host)?);
        for ((&id, expected), found) in before.outputs.iter().zip(&expected).zip(&found) {
            if !agree(before[id].dtype, expected, found) {
                return Err(format!("output '{}' was {expected:?} and is {found:?}", before[id].name));
            }
        }
    }
    Ok(())
}

fn agree(dtype: DType, expected: &[u8], found: &[u8]) -> bool {
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes.chunks_exact(4).map(|chunk| f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]])).collect()
    };
    match dtype {
        DType::F32 => floats(expected).iter().zip(&floats(found)).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs()),
        _ => expected == found,
    }
}

/// Random elements: any bytes of integers, floats in −8..8.
fn random(dtype: DType, bytes: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as u8
    };
    match dtype {
        DType::F32 => (0..bytes / 4).flat_map(|_| (f32::from(next()) / 16.0 - 8.0).to_le_bytes()).collect(),
        _ => (0..bytes).map(|_| next()).collect(),
    }
}
