//! What hears, as a microphone's DMA has it: one half of the samples is filled while the other is worked on.
//!
//! The microphone is the file `audio`, which the host prepares. The clock is asked before and after each frame.

use crate::semihosting::{self, Mode};

/// Samples of a half, which are new in each frame, as bytes.
const HALF_BYTES: usize = 2 * 512;
/// Most frames that are remembered: 35 minutes.
const MOST_FRAMES: usize = 1 << 16;

/// Halves, and what was made of each frame.
pub struct Ear {
    file: Option<usize>,
    halves: [[u8; HALF_BYTES]; 2],
    filled: usize,
    activations: [i8; MOST_FRAMES],
    heard: usize,
}

impl Ear {
    /// Does not listen.
    pub const fn new() -> Self {
        Self { file: None, halves: [[0; HALF_BYTES]; 2], filled: 0, activations: [0; MOST_FRAMES], heard: 0 }
    }

    /// Begins to listen, where there is a microphone.
    pub fn listen(&mut self) -> bool {
        (self.file, self.heard) = (semihosting::open(c"audio", Mode::Read), 0);
        self.file.is_some()
    }

    /// Whether it listened, which it does no longer.
    pub fn stop(&mut self) -> bool {
        self.file.take().is_some()
    }

    /// The half that is full now, until the recording ends.
    pub fn next(&mut self) -> Option<&[u8; HALF_BYTES]> {
        self.filled ^= 1;
        let half = self.halves.get_mut(self.filled)?;
        (semihosting::read(self.file?, half) == 0).then_some(half)
    }

    /// Remembers what was made of a frame.
    pub fn remember(&mut self, activation: i8) {
        if let Some(place) = self.activations.get_mut(self.heard) {
            *place = activation;
            self.heard += 1;
        }
    }

    /// What was made of a frame.
    pub fn activation(&self, frame: usize) -> Option<i8> {
        self.activations.get(..self.heard)?.get(frame).copied()
    }
}
