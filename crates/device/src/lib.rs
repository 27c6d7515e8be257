//! Everything of Rasbora that runs on the chip: kernels, the packed format and its interpreter.
//!
//! Layers, from the bottom: [`arithmetic`] is TFLite's fixed-point arithmetic to the bit; [`memory`] turns operands
//! (space, offset, bytes) into views that can neither leave their memory nor panic; [`mod@params`] makes structs of
//! parameters that encode, decode and print themselves; [`isa`] is the list of primitives that an instruction set
//! speeds up; [`ops`] holds one file an op: its parameters and its kernel; [`program`] is the packed format, checked
//! once; [`interpreter`] runs it. Emitted Rust calls [`ops`] directly and implements [`network::Network`].
//!
//! `no_std`, no allocation, and nothing panics: a kernel reads and writes through views whose misuse reads zero and
//! writes nowhere, and [`interpreter::Interpreter::new`] refuses what is inconsistent before anything runs.
#![no_std]

#[cfg(test)]
extern crate self as rasbora_device;
#[cfg(test)]
extern crate std;

pub mod arithmetic;
pub mod cepstrum;
pub mod interpreter;
pub mod isa;
pub mod memory;
pub mod network;
pub mod ops;
pub mod params;
pub mod program;
pub mod spectrum;
