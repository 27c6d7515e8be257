//! Calls to the host that runs the emulator (Arm semihosting 2.0; RISC-V uses the same operations).

use core::ffi::CStr;

use crate::machine::call;

const OPEN: usize = 0x01;
const WRITE0: usize = 0x04;
const WRITE: usize = 0x05;
const READ: usize = 0x06;
const EXIT_EXTENDED: usize = 0x20;
/// The reason of an exit that the application asked for.
const APPLICATION_EXIT: usize = 0x20026;

/// How a file is opened: the index of C's `fopen` mode.
#[derive(Clone, Copy)]
pub enum Mode {
    /// `rb`.
    Read = 1,
    /// `wb`.
    Write = 5,
}

/// Opens a file of the emulator's working directory; none where that fails.
pub fn open(path: &CStr, mode: Mode) -> Option<usize> {
    let handle = call(OPEN, &[path.as_ptr() as usize, mode as usize, path.to_bytes().len()]);
    (handle != usize::MAX).then_some(handle)
}

/// Fills `buffer`; returns the number of bytes that the file did not have.
pub fn read(handle: usize, buffer: &mut [u8]) -> usize {
    call(READ, &[handle, buffer.as_mut_ptr() as usize, buffer.len()])
}

/// Writes `bytes`; returns the number of bytes that were not written.
pub fn write(handle: usize, bytes: &[u8]) -> usize {
    call(WRITE, &[handle, bytes.as_ptr() as usize, bytes.len()])
}

/// Prints a line on the emulator's console.
pub fn print(text: &CStr) {
    // The one operation whose parameter is the text itself.
    crate::machine::call_with(WRITE0, text.as_ptr() as usize);
    crate::machine::call_with(WRITE0, c"\n".as_ptr() as usize);
}

/// Prints a number as eight hexadecimal digits and a line end.
pub fn print_hexadecimal(value: u32) {
    let mut text = [0u8; 11];
    for (index, place) in text.iter_mut().take(10).enumerate() {
        *place = match index {
            0 => b'0',
            1 => b'x',
            _ => {
                let digit = (value >> (4 * (9 - index))) as u8 & 15;
                if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
            }
        };
    }
    if let Ok(text) = CStr::from_bytes_until_nul(&text) {
        print(text);
    }
}

/// Ends the emulation with an exit status.
pub fn exit(status: usize) -> ! {
    loop {
        call(EXIT_EXTENDED, &[APPLICATION_EXIT, status]);
    }
}
