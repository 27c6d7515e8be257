//! Firmware on emulated boards: instructions, cycles, stack and flash, counted.
