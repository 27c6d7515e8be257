//! The real binary, as a user runs it: what it prints, what it writes, how it exits.
//!
//! The model is the digit recogniser of `examples/digits`.

mod answers;
mod boards;
mod data;
mod failures;
mod interpreter;
mod mlperf_tiny;
mod ran;
