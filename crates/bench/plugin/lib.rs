//! A QEMU plugin that counts the instructions, and by a stated model the cycles, of marked regions.
//!
//! It is built by the host's `rustc` on the machine that runs QEMU, because the plugin interface differs
//! between QEMU versions: `--cfg plugin_api="1"` (QEMU below 9.0), `"2"` (9.0) or `"3"` (9.1 and later).
//!
//! Arguments: `begin=ADDRESS,end=ADDRESS,clock=ADDRESS` (hexadecimal, of the marker functions),
//! `model=cortex-m0|cortex-m0plus|cortex-m3|cortex-m4|none`, `out=FILE`. A line `instructions cycles` is
//! appended to FILE each time a region ends; `cycles` is `-` without a model. Each time the clock's marker runs, the
//! region's cycles so far, or instructions without a model, are appended as a little-endian word of 64 bits.

mod block;
mod model;
mod qemu;
mod thumb;
