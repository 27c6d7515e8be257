//! Networks compiled by Rasbora 0.1.0: a module for each.
#![no_std]

pub use rasbora_device::network::{Network, Position, Progress, TensorInfo};

pub mod digits;
