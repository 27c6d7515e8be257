//! Sets all elements of a tensor to one value: what lies around the input of a padding.

use core::ops::Range;

use super::axes::span;
use super::{Effort, Kernel, Need, Role};
use crate::isa::Isa;
use crate::memory::{Element, Memory, Operand};

crate::params! {
    /// Sets each element to one value.
    pub struct Fill {
        /// Bytes of an element: 1, 2 or 4.
        pub element_bytes: u8,
        /// Rows of the output.
        pub rows: u32,
        /// Elements of a row.
        pub row: u32,
        /// The element's bits, in the low bytes.
        pub value: u32,
    }
}

impl Fill {
    #[inline(always)]
    fn fill<T: Element>(&self, rows: Range<u32>, memory: Memory<'_>, &[out]: &[Operand; 1], value: T) {
        let (start, len) = span(rows, self.row);
        for out in memory.view_mut::<T>(out).slice(start, len).iter() {
            out.set(value);
        }
    }
}

impl Kernel for Fill {
    const OPCODE: u16 = 15;
    type Operands = [Operand; 1];

    fn valid(&self) -> bool {
        matches!(self.element_bytes, 1 | 2 | 4)
    }

    fn rows(&self) -> u32 {
        self.rows
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[self.row.into()])
    }

    fn needs(&self) -> [Need; 1] {
        let shape = &[self.rows, self.row];
        [Need::of(Role::Write, self.element_bytes, shape)]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 1]) {
        match self.element_bytes {
            1 => self.fill(rows, memory, operands, self.value as u8),
            2 => self.fill(rows, memory, operands, self.value as i16),
            _ => self.fill(rows, memory, operands, self.value as i32),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;

    #[test]
    fn every_element_gets_the_value() {
        let fill = |element_bytes| Fill { element_bytes, rows: 3, row: 5, value: 0x8040_20f0 };
        assert_eq!(run(&fill(1), &[]), [0xf0; 15]);
        assert_eq!(run(&fill(2), &[]), [0xf0, 0x20].repeat(15));
        assert_eq!(run(&fill(4), &[]), [0xf0, 0x20, 0x40, 0x80].repeat(15));
        assert!(!fill(3).valid());
    }
}
