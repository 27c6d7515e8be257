//! `rasbora doctor`: what is installed, what is missing and how to get it.

use std::fmt::Write as _;

use rasbora_bench::{Need, doctor};
use serde::Serialize;

use crate::output::Answer;
use crate::screen::{BAD, BOLD, DIM, GOOD, styled};

/// The command's name.
pub const NAME: &str = "doctor";

/// Arguments of `rasbora doctor`.
#[derive(Debug, clap::Args)]
pub struct Doctor {}

#[derive(Serialize)]
struct Body {
    complete: bool,
    needs: Vec<Need>,
}

/// Looks, and changes nothing.
pub fn answer() -> Answer {
    let needs = doctor();
    let body = Body { complete: needs.iter().all(|need| need.found.is_some() || need.optional), needs };
    Answer::new(NAME, text(&body), &body).decided(body.complete)
}

fn text(body: &Body) -> String {
    let mut text = String::from("check, run, compile to Rust and graph need nothing but rasbora itself.\n\n");
    for need in &body.needs {
        let name = styled(&need.what, BOLD);
        match &need.found {
            Some(found) => {
                let _ = writeln!(text, "  {} {name}  {}", styled("✓", GOOD), styled(found, DIM));
            }
            None => {
                let mark = if need.optional { styled("–", DIM) } else { styled("✗", BAD) };
                let _ = writeln!(text, "  {mark} {name}  is missing: {} needs it", need.needed_for);
                for line in &need.how_to_get {
                    let _ = writeln!(text, "      {line}");
                }
            }
        }
    }
    text.push('\n');
    text += if body.complete {
        "  Everything is there: run --on, profile and diff work on every emulated board.\n"
    } else {
        "  For what is missing, run one of the lines below its name.\n"
    };
    text
}
