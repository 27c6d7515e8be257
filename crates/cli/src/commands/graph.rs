//! `rasbora graph`: the network as text, as the file has it, after a pass, or lowered to kernels.

use std::fmt::Write as _;
use std::path::PathBuf;

use rasbora_compiler::graph::text;
use rasbora_compiler::pipeline::{PASSES, compile, optimise};
use rasbora_compiler::program::Program;
use rasbora_device::memory::{Operand, Space};
use serde::Serialize;

use crate::aim::Aim;
use crate::budget;
use crate::failure::Failure;
use crate::model::{Adaptation, ModelFile, Named};
use crate::output::Answer;

/// The command's name.
pub const NAME: &str = "graph";

/// Arguments of `rasbora graph`.
#[derive(Debug, clap::Args)]
pub struct Graph {
    /// A .tflite file
    model: PathBuf,
    /// Print it after this pass
    #[arg(long, value_name = "PASS", conflicts_with = "lowered", long_help = passes())]
    after: Option<String>,
    /// Print the steps of the program: kernels, parameters, and where their operands lie
    #[arg(long)]
    lowered: bool,
    /// The target whose program it is, instead of this machine's
    #[arg(long, value_name = "TARGET", requires = "lowered")]
    target: Option<String>,
    #[command(flatten)]
    aim: Aim,
    #[command(flatten)]
    adaptation: Adaptation,
}

#[derive(Serialize)]
struct Body {
    model: Named,
    text: String,
}

fn passes() -> String {
    let names: Vec<&str> = PASSES.iter().map(|pass| pass.name).collect();
    format!("Print it after this pass, which is one of, in their order: {}", names.join(", "))
}

impl Graph {
    /// Does it.
    pub fn run(&self) -> Result<Answer, Failure> {
        let target = self.target.as_deref().map(budget::target).transpose()?;
        let file = ModelFile::read(&self.model)?;
        let mut graph = self.adaptation.applied(file.import()?.graph)?;
        let text = if self.lowered {
            steps(&compile(graph, self.aim.goal(target))?.program)
        } else {
            if let Some(pass) = &self.after {
                optimise(&mut graph, Some(pass))?;
            }
            text::print(&graph)
        };
        let body = Body { model: file.named(), text };
        Ok(Answer::new(NAME, body.text.clone(), &body))
    }
}

/// The steps of a program, two lines and more each.
fn steps(program: &Program) -> String {
    let mut text = format!(
        "arena {} bytes, constants {} bytes, state {} bytes\n",
        program.arena_bytes,
        program.constants.len(),
        program.state.len()
    );
    for (index, step) in program.steps.iter().enumerate() {
        let operands: Vec<String> = step.operands.iter().map(operand).collect();
        let _ = writeln!(text, "\n{index} {} '{}'\n  {}", step.op, step.name, operands.join(", "));
        let _ = writeln!(text, "  {:?}", step.kernel);
    }
    text
}

fn operand(operand: &Operand) -> String {
    let space = match operand.space() {
        Space::Arena => "arena",
        Space::Constants => "constants",
    };
    format!("{space}[{}..{}]", operand.offset(), u64::from(operand.offset()) + u64::from(operand.bytes))
}
