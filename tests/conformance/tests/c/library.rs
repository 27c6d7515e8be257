//! Libraries of networks, C programs around them, and their runs by files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::{Call, Case, compare};
use rasbora_bench::{Library, LibrarySources, OptLevel, Platform, library};
use rasbora_compiler::emit::{c, rust};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::InstructionSet;

/// A model with its name in C.
pub struct Model {
    pub name: String,
    pub case: Case,
    pub program: Program,
    /// The kernels that the program was lowered to.
    pub isa: InstructionSet,
}

/// What the runner left.
pub struct Results {
    /// What differs from the golden outputs.
    pub failed: Vec<String>,
    /// The deepest stack of each model.
    pub stacks: Vec<u32>,
}

/// One call of a model: its index, the call's, whether to initialise first, and the budget of a step (0: no steps).
#[derive(Clone, Copy)]
pub struct Turn {
    pub model: usize,
    pub call: usize,
    pub initialise: bool,
    pub budget: u32,
}

/// The folder of the C sources that every run has.
pub fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

/// The folder of start-up code and memory maps of the boards.
pub fn boards() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/boards")
}

/// Writes the library of `models` with its headers into `folder`, as the output folder of `rasbora compile` has it.
pub fn build(folder: &Path, package: &str, models: &[&Model], platform: Platform, opt_level: OptLevel) -> Library {
    let named: Vec<rust::Named<'_>> = (models.iter())
        .map(|model| rust::Named { name: &model.name, program: &model.program, isa: model.isa.type_name() })
        .collect();
    let networks = rust::emit(&named).expect("names of modules");
    let mut described: Vec<c::Network<'_>> = (models.iter())
        .map(|Model { name, program, .. }| c::Network { name, program, sha256: "0123456789abcdef", stack_bytes: None })
        .collect();
    let public: Vec<String> = described.iter().flat_map(c::Network::functions).collect();
    let sources = LibrarySources { networks: &networks, interface: &c::interface(&described), public: &public };
    let built = library(platform, sources, opt_level).unwrap_or_else(|error| panic!("{error}"));
    for network in &mut described {
        network.stack_bytes = built.stack_bytes_of(&network.functions());
    }
    let mut files = c::files(package, &described, platform.name());
    files.push((c::library_file(package), built.archive.clone()));
    for (path, content) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    built
}

/// `networks.h` for `run.c`: the table of the models' functions, and the size of the arena that they share.
pub fn write_table(folder: &Path, models: &[&Model]) {
    let mut text = String::from(TABLE);
    for Model { name, program, .. } in models {
        let upper = name.to_ascii_uppercase();
        let bytes = |kind: &str, count: usize| {
            let sizes: Vec<String> = (0..count).map(|index| format!("{upper}_{kind}_{index}_BYTES")).collect();
            sizes.join(", ")
        };
        let (inputs, outputs) = (bytes("INPUT", program.inputs.len()), bytes("OUTPUT", program.outputs.len()));
        writeln!(text, "#include \"{name}.h\"").expect("a string");
        writeln!(text, "NETWORK({name}, {upper}, ({inputs}), ({outputs}))").expect("a string");
    }
    let names: Vec<String> = models.iter().map(|model| format!("&{}_network", model.name)).collect();
    writeln!(text, "static const struct network *const networks[] = {{{}}};", names.join(", ")).expect("a string");
    let largest = models.iter().map(|model| model.program.arena_bytes.next_multiple_of(16)).max().unwrap_or(16);
    writeln!(text, "#define ARENA_BYTES {largest}").expect("a string");
    std::fs::write(folder.join("networks.h"), text).expect("a file");
}

const TABLE: &str = "\
#include <stddef.h>
#include <stdint.h>

struct network {
    int (*init)(void *arena, size_t bytes);
    void *(*input)(size_t index);
    int (*run)(void);
    int (*step)(uint32_t budget);
    const void *(*output)(size_t index);
    size_t inputs, outputs;
    const size_t *input_bytes, *output_bytes;
};

#define LIST(...) {__VA_ARGS__}
#define NETWORK(name, NAME, ins, outs) \\
    static int name##_start(void *arena, size_t bytes) \\
    { \\
        name##_memory memory; \\
        memory.arena = arena; \\
        memory.arena_bytes = bytes; \\
        return name##_init(&memory); \\
    } \\
    static const size_t name##_ins[] = LIST ins, name##_outs[] = LIST outs; \\
    static const struct network name##_network = {name##_start, name##_input, name##_run, name##_step, name##_output, \\
        NAME##_INPUTS, NAME##_OUTPUTS, name##_ins, name##_outs};

";

/// The file `input` for these turns.
pub fn write_input(folder: &Path, models: &[&Model], turns: &[Turn]) {
    let mut bytes = (turns.len() as u32).to_le_bytes().to_vec();
    for turn in turns {
        for word in [turn.model as u32, turn.initialise.into(), turn.budget] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(call(models, turn).inputs.concat());
    }
    std::fs::write(folder.join("input"), bytes).expect("a file");
}

fn call<'a>(models: &[&'a Model], turn: &Turn) -> &'a Call {
    &models[turn.model].case.calls[turn.call]
}

/// Holds the file `output` to the golden outputs.
pub fn results(folder: &Path, models: &[&Model], turns: &[Turn]) -> Results {
    let output = std::fs::read(folder.join("output")).expect("a file of outputs");
    let mut rest = output.as_slice();
    let mut results = Results { failed: Vec::new(), stacks: vec![0; models.len()] };
    for turn in turns {
        let model = models[turn.model];
        let mut found = Vec::new();
        for port in &model.program.outputs {
            let (bytes, after) = rest.split_at(port.bytes.min(rest.len()));
            found.push(bytes.to_vec());
            rest = after;
        }
        if let Err(reason) = compare(&model.program.outputs, &call(models, turn).outputs, &found) {
            results.failed.push(format!("{} call {} (budget {}): {reason}", model.name, turn.call, turn.budget));
        }
        let (stack, after) = rest.split_first_chunk().expect("the stack of the call");
        results.stacks[turn.model] = results.stacks[turn.model].max(u32::from_le_bytes(*stack));
        rest = after;
    }
    assert!(rest.is_empty(), "{} bytes of output are too many", rest.len());
    results
}

/// Runs a compiler, or anything that must succeed.
pub fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?} ended with {}:\n{text}", output.status);
    text
}
