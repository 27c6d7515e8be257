//! The interpreter as a C library: packed programs in flash on every emulated board and on this machine, and refusals.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use conformance::{FIGURES, case, compile, corpus, models};
use rasbora_bench::{LibrarySources, OptLevel, Platform, library};
use rasbora_compiler::emit::interpreter::{FUNCTIONS, files, interface, kernels_of, sources};
use rasbora_compiler::target::{InstructionSet, find};

use crate::library::{self, Model, Results, Turn, results, succeed, write_input};
use crate::{boards, host};

on_every_board!(board);

/// Bytes of stack of the C function between the runner and the library.
const WRAPPER: u32 = 16;

/// The package's name.
const PACKAGE: &str = "rasbora";

/// Writes the interpreter with the kernels of `models` into `folder`, as `rasbora interpreter` does.
pub fn build(folder: &Path, models: &[&Model], platform: Platform) -> Option<u32> {
    let isa = match platform {
        Platform::Target(target) => target.isa,
        Platform::Host => InstructionSet::Portable,
    };
    let kernels = kernels_of(models.iter().map(|model| &model.program));
    let public = FUNCTIONS.map(str::to_owned);
    let order = LibrarySources { networks: &sources(), interface: &interface(&kernels, isa), public: &public };
    let built = library(platform, order, OptLevel::Speed).unwrap_or_else(|error| panic!("{error}"));
    let stack_bytes = built.stack_bytes_of(&public);
    let mut all = files(&kernels, platform.name(), stack_bytes);
    all.push(("lib/librasbora.a".into(), built.archive));
    for (path, content) in all {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, content).expect("a file");
    }
    stack_bytes
}

/// `networks.h` for `run.c`: an interpreter for each packed program, which lies among the constants.
fn write_table(folder: &Path, models: &[&Model]) {
    let mut text = String::from(TABLE);
    for Model { name, program, .. } in models {
        let file = folder.join(format!("{name}.rasbora"));
        std::fs::write(&file, program.pack()).expect("a file");
        let bytes = |ports: &[rasbora_compiler::program::Port]| -> String {
            ports.iter().map(|port| format!("{}, ", port.bytes)).collect()
        };
        writeln!(
            text,
            "NETWORK({name}, {:?}, {}, ({}), {}, ({}))",
            file.display().to_string(),
            program.inputs.len(),
            bytes(&program.inputs),
            program.outputs.len(),
            bytes(&program.outputs),
        )
        .expect("a string");
    }
    let names: Vec<String> = models.iter().map(|model| format!("&{}_network", model.name)).collect();
    writeln!(text, "static const struct network *const networks[] = {{{}}};", names.join(", ")).expect("a string");
    let largest = models.iter().map(|model| model.program.arena_bytes).max().unwrap_or(16);
    writeln!(text, "#define ARENA_BYTES {largest}").expect("a string");
    std::fs::write(folder.join("networks.h"), text).expect("a file");
}

const TABLE: &str = "\
#include <stddef.h>
#include <stdint.h>
#include \"rasbora.h\"

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
#define NETWORK(name, file, in_count, ins, out_count, outs) \
    __asm__(\".section .rodata.\" #name \", \\\"a\\\"\\n .balign 16\\n\" #name \"_program:\\n .incbin \\\"\" file \"\\\"\\n\" \
            #name \"_program_end:\\n .previous\\n\"); \
    extern const unsigned char name##_program[], name##_program_end[]; \
    static rasbora_interpreter name##_state; \
    static int name##_init(void *arena, size_t bytes) \
    { \
        return rasbora_init(&name##_state, name##_program, (size_t)(name##_program_end - name##_program), arena, bytes); \
    } \
    static void *name##_input(size_t index) { return rasbora_input(&name##_state, index); } \
    static const void *name##_output(size_t index) { return rasbora_output(&name##_state, index); } \
    static int name##_run(void) { return rasbora_run(&name##_state); } \
    static int name##_step(uint32_t budget) { return rasbora_step(&name##_state, budget); } \
    static const size_t name##_ins[] = LIST ins, name##_outs[] = LIST outs; \
    static const struct network name##_network = {name##_init, name##_input, name##_run, name##_step, name##_output, \
        in_count, out_count, name##_ins, name##_outs};

";

fn board(target: &str, memories: &str) {
    let Some(corpus) = corpus() else { return };
    let target = find(target).expect("a target of the table");
    let load = |(name, path): &(&str, &str)| {
        let case = case(&corpus, path);
        let program = compile(&case.model, target.isa).expect("a supported model");
        Model { name: (*name).to_owned(), case, program, isa: target.isa }
    };
    let loaded: Vec<Model> = FIGURES.iter().map(load).collect();
    let all: Vec<&Model> = loaded.iter().collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let bound = build(folder.path(), &all, Platform::Target(target)).expect("a bound of the stack");
    write_table(folder.path(), &all);
    let turns = boards::turns(&all);
    write_input(folder.path(), &all, &turns);
    boards::run(target, &boards::firmware(target, memories, folder.path(), PACKAGE), folder.path());
    let Results { failed, stacks } = results(folder.path(), &all, &turns);
    let stack = stacks.into_iter().max().unwrap_or(0);
    println!("{}: {} models, {} calls, {} failed", target.name, all.len(), turns.len(), failed.len());
    println!("{}: stack {stack} of at most {bound}", target.name);
    let bounded = stack <= bound + WRAPPER && f64::from(bound) <= boards::LOOSENESS * f64::from(stack);
    assert!(bounded, "on {}: the stack took {stack} bytes, but can take {bound} at most", target.name);
    assert!(failed.is_empty(), "on {}:\n{}", target.name, failed.join("\n"));
}

#[test]
fn every_supported_model_gives_the_golden_bytes() {
    let Some(corpus) = corpus() else { return };
    let mut loaded = Vec::new();
    for name in models(&corpus) {
        let in_c = format!("m{}", loaded.len());
        loaded.extend(host::model(&corpus, &in_c, &name));
    }
    let all: Vec<&Model> = loaded.iter().collect();
    let folder = tempfile::tempdir().expect("a temporary folder");
    build(folder.path(), &all, Platform::Host);
    write_table(folder.path(), &all);
    let calls = |index: usize| (0..all[index].case.calls.len()).map(move |call| (index, call));
    let turn = |(model, call)| Turn { model, call, initialise: call == 0, budget: 50_000 * (call as u32 % 2) };
    let turns: Vec<Turn> = (0..all.len()).flat_map(calls).map(turn).collect();
    write_input(folder.path(), &all, &turns);
    host::run(folder.path(), &[(folder.path(), PACKAGE)]);
    let failed = results(folder.path(), &all, &turns).failed;
    println!("{} models, {} calls, {} failed", all.len(), turns.len(), failed.len());
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
    assert_eq!(all.len(), conformance::SUPPORTED);
}

#[test]
fn what_is_refused_says_why() {
    let digits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.tflite");
    let model = std::fs::read(digits).expect("the example's model");
    let program = compile(&model, InstructionSet::Portable).expect("a supported model");
    let digits = Model {
        name: "digits".into(),
        case: conformance::Case { name: String::new(), model, calls: Vec::new() },
        program,
        isa: InstructionSet::Portable,
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    build(folder.path(), &[&digits], Platform::Host);
    write_table(folder.path(), &[&digits]);
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", "-o"])
        .arg(folder.path().join("refuse"));
    cc.arg(library::sources().join("refuse.c"))
        .arg("-I")
        .arg(folder.path())
        .arg("-I")
        .arg(folder.path().join("include"));
    succeed(cc.arg(folder.path().join("lib/librasbora.a")));
    succeed(&mut Command::new(folder.path().join("refuse")));
}
