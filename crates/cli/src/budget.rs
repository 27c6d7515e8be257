//! Memory that a model must fit into: sizes on the command line, targets by name, and whether it fits.

use std::str::FromStr;

use rasbora_compiler::program::Program;
use rasbora_compiler::target::{TARGETS, Target};
use serde::Serialize;

use crate::estimate::{self, CODE_MODEL, STACK_MODEL};
use crate::failure::Failure;
use crate::screen;

/// What the budget of `--flash` and `--ram` is called where no target is named.
pub const BUDGET: &str = "budget";

/// A number of bytes, written `256K`, `1M` or `65536`; K = 1,024.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim();
        let digits = word.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = match word[digits.len()..].to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "K" | "KB" | "KIB" => 1 << 10,
            "M" | "MB" | "MIB" => 1 << 20,
            _ => return Err("a size is a number of bytes, or of K (1,024) or M (1,048,576): 65536, 256K, 1M".into()),
        };
        let count: u64 =
            digits.parse().map_err(|_| "a size is a whole number of bytes, K or M: 65536, 256K, 1M".to_owned())?;
        let size = count.checked_mul(unit).filter(|&size| size <= 1 << 32);
        size.filter(|&size| size > 0)
            .map(Self)
            .ok_or_else(|| "a size is more than 0 and at most 4096M, what 32 bits address".into())
    }
}

/// `--flash` and `--ram`.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Budget {
    /// Flash that code and constants may take, such as 256K
    #[arg(long, value_name = "SIZE")]
    pub flash: Option<Size>,
    /// RAM that arena and stack may take, such as 64K
    #[arg(long, value_name = "SIZE")]
    pub ram: Option<Size>,
}

/// The target of that name.
///
/// # Errors
/// Where there is none: the nearest name is suggested.
pub fn target(name: &str) -> Result<&'static Target, Failure> {
    let wanted = name.to_lowercase();
    if let Some(target) = TARGETS.iter().find(|target| target.name == wanted) {
        return Ok(target);
    }
    let closeness = |target: &&Target| strsim::jaro_winkler(target.name, &wanted);
    let nearest = TARGETS.iter().max_by(|a, b| closeness(a).total_cmp(&closeness(b)));
    let help = match nearest.filter(|target| closeness(target) > 0.7) {
        Some(target) => format!("did you mean '{}'? rasbora targets lists them all", target.name),
        None => "rasbora targets lists them".into(),
    };
    Err(Failure::usage(format!("there is no target '{name}'")).help(help))
}

/// Whether a model fits, and by what figures.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    /// The target, or [`BUDGET`].
    pub name: String,
    /// Whether it fits.
    pub fits: bool,
    /// Code and constants.
    pub flash_bytes: u64,
    /// What there is; none where nobody said.
    pub flash_available_bytes: Option<u64>,
    /// Arena and stack.
    pub ram_bytes: u64,
    /// What there is; none where nobody said.
    pub ram_available_bytes: Option<u64>,
    /// Why it does not fit.
    pub reasons: Vec<String>,
}

/// Holds programs that are together in one firmware against a target's memories, a budget, or both, whichever is smaller.
pub fn fit(programs: &[&Program], target: Option<&Target>, budget: &Budget) -> Fit {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    let flash = least(target.map(|target| u64::from(target.flash_bytes())), budget.flash.map(|size| size.0));
    let ram = least(target.map(|target| u64::from(target.ram.bytes)), budget.ram.map(|size| size.0));
    let (flash_bytes, ram_bytes) = (estimate::flash_bytes(programs, target), estimate::ram_bytes(programs));
    let mut reasons = Vec::new();
    for (memory, needed, available) in [("flash", flash_bytes, flash), ("RAM", ram_bytes, ram)] {
        if let Some(available) = available.filter(|&available| needed > available) {
            let (needed_words, over) = (screen::bytes(needed), screen::bytes(needed - available));
            reasons.push(format!("{memory}: {needed_words} of {}, {over} too many", screen::bytes(available)));
        }
    }
    Fit {
        name: target.map_or(BUDGET, |target| target.name).into(),
        fits: reasons.is_empty(),
        flash_bytes,
        flash_available_bytes: flash,
        ram_bytes,
        ram_available_bytes: ram,
        reasons,
    }
}

/// Where the figures of [`Fit`] come from, as pairs for `sources`.
pub fn sources() -> [(&'static str, String); 4] {
    [
        ("targets.flash_bytes", format!("modelled: {CODE_MODEL}")),
        ("targets.flash_available_bytes", "datasheet".into()),
        ("targets.ram_bytes", format!("modelled: {STACK_MODEL}")),
        ("targets.ram_available_bytes", "datasheet".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bytes_k_or_m() {
        for (text, bytes) in [("65536", 65_536), ("256K", 262_144), ("64k", 65_536), ("1M", 1 << 20), ("2KiB", 2048)] {
            assert_eq!(text.parse(), Ok(Size(bytes)), "{text}");
        }
        for text in ["", "K", "1.5M", "-1", "0", "5G", "99999999999999999999", "99999M"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_nearest_target_is_suggested() {
        assert_eq!(target("Cortex-M4").unwrap().name, "cortex-m4");
        assert!(target("cortexm4").unwrap_err().help.unwrap().contains("'cortex-m4'"));
        assert!(!target("zzzz").unwrap_err().help.unwrap().contains("did you mean"));
    }
}
