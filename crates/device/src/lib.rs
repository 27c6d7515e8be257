//! Kernels, packed format and interpreter of Rasbora: everything that runs on the chip.
#![no_std]
