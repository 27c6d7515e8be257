//! Ten thousand damaged packed programs of the digits model, half of them with the hash made right again: refused or
//! harmless, on a Cortex-M4 that guards all memory outside the arena, and on this machine under a sanitizer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use conformance::compile;
use rasbora_bench::{guard_holds, run_damaged, run_damaged_sanitized};
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{InstructionSet, find};

const SEEDS: std::ops::Range<u32> = 0..10_000;

fn digits(isa: InstructionSet) -> Program {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/digits/digits.tflite");
    compile(&std::fs::read(path).expect("the example's model"), isa).expect("a supported model")
}

#[test]
fn no_damage_faults_under_the_memory_protection_unit() {
    let target = find("cortex-m4").expect("a target of the table");
    assert!(guard_holds(target, &digits(target.isa)).unwrap_or_else(|error| panic!("{error}")), "nothing is guarded");
    let codes = run_damaged(target, &digits(target.isa), SEEDS, Duration::from_secs(300));
    hold(&codes.unwrap_or_else(|error| panic!("{error}")));
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the sanitizer's library is looked for on Linux alone")]
fn no_damage_is_seen_by_the_sanitizer() {
    let codes = [InstructionSet::Portable, InstructionSet::Armv7em].map(digits);
    for program in codes {
        hold(&run_damaged_sanitized(&program, SEEDS).unwrap_or_else(|error| panic!("{error}")));
    }
}

/// Whether damage of every kind was met, and no test is empty.
fn hold(codes: &[i32]) {
    let mut counts = BTreeMap::new();
    for code in codes {
        *counts.entry(*code).or_insert(0) += 1;
    }
    println!("how often each code: {counts:?}");
    assert_eq!(codes.len(), SEEDS.len());
    let even_accepted = codes.iter().step_by(2).filter(|code| **code == 0).count();
    let odd_accepted = codes.iter().skip(1).step_by(2).filter(|code| **code == 0).count();
    println!("accepted: {even_accepted} with the hash damaged too, {odd_accepted} with the hash made right");
    // Damage may undo itself, or lie in padding that is not hashed; with the hash right much must get as far as the kernels.
    assert!(even_accepted < 100 && odd_accepted > 200);
}
