//! The whole of the compiler in one place: the passes in their order, and from graph to program.

use thiserror::Error;

use crate::graph::Graph;
use crate::graph::verify::{VerifyError, verify};
use crate::optimise::Goal;
use crate::passes::{
    Changed, connect_single_windows, fold_constants, fold_zero_points, fuse_activation, fuse_padding, pad_slices,
    remove_constant_channels, remove_dead, remove_identities, settle_states,
};
use crate::program::{Program, ProgramError};
use crate::target::InstructionSet;

/// A named rewriting of the graph.
pub struct Pass {
    /// The name, as `rasbora graph --after` takes it.
    pub name: &'static str,
    /// The rewriting.
    pub run: fn(&mut Graph) -> Changed,
}

macro_rules! passes {
    ($($pass:ident),* $(,)?) => {
        &[$(Pass { name: stringify!($pass), run: $pass }),*]
    };
}

/// All passes, in the order in which they run.
pub const PASSES: &[Pass] = passes![
    fold_constants,
    pad_slices,
    remove_identities,
    fuse_padding,
    fuse_activation,
    connect_single_windows,
    fold_zero_points,
    remove_dead,
    remove_constant_channels,
    settle_states,
];

/// Passes without which a graph cannot be lowered: they change its form and nothing that it computes.
const LEGALISE: &[Pass] = passes![fold_constants, fold_zero_points, remove_dead, settle_states];

/// Why a graph does not become a program.
#[derive(Debug, Error)]
pub enum CompileError {
    /// A rule of the graph is broken, before or after a pass.
    #[error("the graph is not valid {when}: {error}")]
    Verify {
        /// Before or after which pass.
        when: String,
        /// The broken rule.
        error: VerifyError,
    },
    /// No program computes it.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// There is no such pass.
    #[error("there is no pass '{name}': the passes are {known}")]
    UnknownPass {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
}

/// A network ready to be emitted or run.
#[derive(Debug)]
pub struct Compiled {
    /// The graph after all passes.
    pub graph: Graph,
    /// The program.
    pub program: Program,
}

/// Runs all passes, or those up to and including `after`, verifying after each.
///
/// # Errors
/// Where the graph is not valid, or there is no pass of that name.
pub fn optimise(graph: &mut Graph, after: Option<&str>) -> Result<(), CompileError> {
    let end = match after {
        None => PASSES.len(),
        Some(name) => PASSES.iter().position(|pass| pass.name == name).map(|index| index + 1).ok_or_else(|| {
            let known: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
            CompileError::UnknownPass { name: name.into(), known: known.join(", ") }
        })?,
    };
    run(graph, &PASSES[..end])
}

fn run(graph: &mut Graph, passes: &[Pass]) -> Result<(), CompileError> {
    let check = |graph: &Graph, when: String| verify(graph).map_err(|error| CompileError::Verify { when, error });
    check(graph, "before the passes".into())?;
    for pass in passes {
        if (pass.run)(graph).0 {
            check(graph, format!("after {}", pass.name))?;
        }
    }
    Ok(())
}

/// All of it: passes, lowering to kernels for `goal`, plan, program.
///
/// # Errors
/// Where a stage refuses the network.
pub fn compile(mut graph: Graph, goal: impl Into<Goal>) -> Result<Compiled, CompileError> {
    optimise(&mut graph, None)?;
    let program = Program::new(&graph, goal)?;
    Ok(Compiled { graph, program })
}

/// The network as the file has it, by the portable kernels, a step or more for each of its operators: what `rasbora diff`
/// holds other programs against.
///
/// # Errors
/// Where a stage refuses the network.
pub fn compile_plainly(mut graph: Graph) -> Result<Compiled, CompileError> {
    run(&mut graph, LEGALISE)?;
    let program = Program::new(&graph, InstructionSet::Portable)?;
    Ok(Compiled { graph, program })
}
