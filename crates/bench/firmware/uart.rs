//! The board's first serial port, polled: Arm's CMSDK UART, whose registers are words, or RISC-V boards' 16550.

use crate::selected::UART;

#[cfg(target_arch = "arm")]
mod port {
    pub type Word = u32;
    pub const DATA: usize = 0;
    const STATE: usize = 4;
    const CONTROL: usize = 8;
    const DIVIDER: usize = 16;
    /// Transmitter and receiver on, at the least divider that the port takes.
    pub const START: [(usize, Word); 2] = [(DIVIDER, 16), (CONTROL, 0b11)];
    /// Register, bits and their value where a byte has come.
    pub const COME: (usize, Word, Word) = (STATE, 2, 2);
    /// The same where a byte can go.
    pub const FREE: (usize, Word, Word) = (STATE, 1, 0);
}

#[cfg(target_arch = "riscv32")]
mod port {
    pub type Word = u8;
    pub const DATA: usize = 0;
    const LINE_STATUS: usize = 5;
    /// The port is on after reset, and its divider is not emulated.
    pub const START: [(usize, Word); 0] = [];
    /// Register, bits and their value where a byte has come.
    pub const COME: (usize, Word, Word) = (LINE_STATUS, 1, 1);
    /// The same where a byte can go.
    pub const FREE: (usize, Word, Word) = (LINE_STATUS, 0x20, 0x20);
}

/// The port.
pub struct Uart(());

impl Uart {
    /// Turns the port on.
    pub fn start() -> Self {
        for (register, value) in port::START {
            write(register, value);
        }
        Self(())
    }

    /// Waits for a byte.
    pub fn receive(&mut self) -> u8 {
        wait(port::COME);
        read(port::DATA) as u8
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            wait(port::FREE);
            write(port::DATA, byte.into());
        }
    }
}

fn wait((register, bits, value): (usize, port::Word, port::Word)) {
    while read(register) & bits != value {}
}

fn read(register: usize) -> port::Word {
    // SAFETY: the board has this register at this address.
    unsafe { ((UART + register) as *const port::Word).read_volatile() }
}

fn write(register: usize, value: port::Word) {
    // SAFETY: as in `read`.
    unsafe { ((UART + register) as *mut port::Word).write_volatile(value) }
}
