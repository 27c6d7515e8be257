//! A trained network in, a verified [`Program`](program::Program) for one target out.
//!
//! ```text
//! import ─▶ Graph ─▶ passes ─▶ lower (kernels) ─▶ Plan (order, memory) ─▶ Program ─▶ emit | run
//! ```
//!
//! Each stage is a module and reads only what the stage before it made. [`pipeline`] is the whole of it in one
//! function. An op's meaning (shapes, cost, lowering) is one file in [`ops`], beside the kernel of the same name in
//! `rasbora_device::ops`.

pub mod choice;
pub mod cost;
pub mod cycles;
pub mod emit;
pub mod front_end;
pub mod graph;
pub mod host;
pub mod import;
pub mod lower;
pub mod ops;
pub mod optimise;
pub mod passes;
pub mod pipeline;
mod place;
pub mod plan;
pub mod program;
mod sharing;
pub mod stream;
pub mod target;
