//! What the compiler expects kernels to take on a Cortex-M4, by which it chooses between them, beside what they take under emulation.

use std::path::Path;

use conformance::{FIGURES, case, compile, corpus, write_crate};
use rasbora_bench::{Emitted, Mode, Options, run};
use rasbora_compiler::cycles::expected;
use rasbora_compiler::optimise::{Goal, Optimise};
use rasbora_compiler::program::Step;
use rasbora_compiler::target::find;

/// Models, and what they are optimised for: each after the same balanced.
const MODELS: [(&str, Optimise); 9] = [
    ("kws", Optimise::Balanced),
    ("vww", Optimise::Balanced),
    ("ic", Optimise::Balanced),
    ("ic", Optimise::Speed),
    ("ad", Optimise::Balanced),
    ("sww", Optimise::Balanced),
    ("ic_large", Optimise::Balanced),
    ("ic_large", Optimise::Speed),
    ("person", Optimise::Balanced),
];

/// By how much the mean layer may be expected wrongly, and a whole model.
const MEAN_ERROR: f64 = 0.05;
const MODEL_ERROR: f64 = 0.05;

/// A layer: what it is expected to take, and what it takes.
struct Layer {
    name: String,
    expected: f64,
    counted: f64,
}

impl Layer {
    fn error(&self) -> f64 {
        (self.expected - self.counted).abs() / self.counted
    }
}

/// The layers of a model that have an expectation.
fn layers(corpus: &Path, name: &str, optimise: Optimise) -> Vec<Layer> {
    let target = find("cortex-m4").expect("a target of the table");
    let (_, path) = FIGURES.into_iter().find(|(known, _)| *known == name).expect("a model of the figures");
    let mut case = case(corpus, path);
    case.calls.truncate(1);
    let program = compile(&case.model, Goal::new(target.isa, optimise)).expect("a program");
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(&program, target.isa, folder.path()).expect("a crate");
    let inputs: Vec<Vec<Vec<u8>>> = case.calls.into_iter().map(|call| call.inputs).collect();
    let emitted = Emitted { dir: folder.path(), module: "network" };
    let options = Options { mode: Mode::Steps, ..Options::default() };
    let measured = run(target, &emitted, &inputs, &options).expect("a board");
    let layer = |(step, count): (&Step, &rasbora_bench::Count)| {
        let (expected, counted) = (expected(step.kernel.as_ref())?, count.cycles? as f64);
        let upper = f64::from(step.work.call) + f64::from(step.work.rows) * f64::from(step.work.row);
        assert!(
            upper >= count.instructions as f64,
            "{:?} takes {}, more than {upper}",
            step.kernel,
            count.instructions
        );
        let kernel = step.kernel.name();
        println!(
            "{name} {optimise:?} {kernel}: {expected:.0} expected, {counted} counted ({:+.1} %)",
            100.0 * (expected / counted - 1.0)
        );
        Some(Layer { name: step.name.clone(), expected, counted })
    };
    program.steps.iter().zip(&measured.layers).filter_map(layer).collect()
}

#[test]
fn layers_take_what_is_expected() {
    let Some(corpus) = corpus() else { return };
    let mut all: Vec<Layer> = Vec::new();
    for (name, optimise) in MODELS {
        let layers = layers(&corpus, name, optimise);
        let sum = |of: fn(&Layer) -> f64| layers.iter().map(of).sum::<f64>();
        let whole =
            Layer { name: name.into(), expected: sum(|layer| layer.expected), counted: sum(|layer| layer.counted) };
        println!("{name} {optimise:?}: {:.0} expected, {} counted", whole.expected, whole.counted);
        assert!(whole.error() <= MODEL_ERROR, "{name}: {:.3}", whole.error());
        if optimise == Optimise::Speed {
            for layer in &layers {
                let usual = all.iter().find(|usual| usual.name == layer.name).expect("a layer of the balanced program");
                assert!(layer.counted <= 1.01 * usual.counted, "'{}' was chosen wrongly", layer.name);
            }
        }
        all.extend(layers);
    }
    let mean = all.iter().map(Layer::error).sum::<f64>() / all.len() as f64;
    println!("{} layers, mean error {:.1} %", all.len(), 100.0 * mean);
    assert!(mean <= MEAN_ERROR, "{mean}");
}
