//! MLPerf Tiny on emulated boards: the device under test, the runner that drives it, scores and files of a submission.
//!
//! The device is firmware of ours around a compiled network that speaks the official serial protocol; its clock is the
//! counting plugin, so that a window of ten seconds is ten seconds of the target's clock and not of this machine's.

mod accuracy;
mod benchmarks;
mod data;
mod device;
mod fetch;
#[cfg(unix)]
mod pty;
mod runner;
mod score;
mod submission;
mod wake_word;

// The firmware's own text: what boards run is tested here, and what they are told is told alike.
#[path = "../../firmware/protocol.rs"]
pub mod protocol;
#[path = "../../firmware/tensors.rs"]
pub mod tensors;

pub use accuracy::{Accuracy, Scores, accuracy};
pub use benchmarks::{BENCHMARKS, Benchmark, Element, Floor, Task, find};
pub use data::{Data, Sample, pseudo_random};
pub use device::{Device, Image, Ticks};
pub use fetch::{REFERENCE, fetch};
#[cfg(unix)]
pub use pty::serve;
pub use runner::{Performance, WINDOW_COUNT, Window, performance};
pub use score::{area_under_curve, macro_area_under_curve, top1};
pub use submission::{Files, accuracy_files, meaning, performance_files, wake_word_files};
pub use wake_word::{Found, Heard, Recording, listen};
