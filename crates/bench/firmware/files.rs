//! Files of the host, read and written in order; what cannot be read or written ends the emulation.

use core::ffi::CStr;

use crate::semihosting::{self, Mode};

/// A file that is read from its start.
pub struct Reader(usize);

impl Reader {
    /// Opens a file that the host has prepared.
    pub fn open(path: &'static CStr) -> Self {
        Self(opened(path, Mode::Read))
    }

    /// The next word.
    pub fn word(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    /// Bytes preceded by their number, which must be that of `buffer`.
    pub fn fill_sized(&mut self, buffer: &mut [u8]) {
        let given = self.word();
        if given as usize != buffer.len() {
            semihosting::print(c"an input has the wrong size: bytes given, then bytes expected, in hexadecimal");
            semihosting::print_hexadecimal(given);
            semihosting::print_hexadecimal(buffer.len() as u32);
            semihosting::exit(2);
        }
        self.fill(buffer);
    }

    /// The next `buffer.len()` bytes.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        if semihosting::read(self.0, buffer) != 0 {
            semihosting::print(c"an input file ended too early");
            semihosting::exit(2);
        }
    }
}

/// A new file.
pub struct Writer(usize);

impl Writer {
    /// Creates a file, or empties it.
    pub fn create(path: &'static CStr) -> Self {
        Self(opened(path, Mode::Write))
    }

    /// Writes a word.
    pub fn word(&mut self, word: u32) {
        self.bytes(&word.to_le_bytes());
    }

    /// Writes bytes preceded by their number.
    pub fn sized(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u32);
        self.bytes(bytes);
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if semihosting::write(self.0, bytes) != 0 {
            semihosting::print(c"an output file could not be written");
            semihosting::exit(2);
        }
    }
}

fn opened(path: &'static CStr, mode: Mode) -> usize {
    match semihosting::open(path, mode) {
        Some(handle) => handle,
        None => {
            semihosting::print(c"a file could not be opened:");
            semihosting::print(path);
            semihosting::exit(2)
        }
    }
}
