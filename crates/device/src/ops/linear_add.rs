//! 8-bit sum of two tensors of one shape by one product each: `out = saturate((a · f₀ + b · f₁ + constant) >> shift)`.
//!
//! TFLite scales each input and then their sum, and rounds each time. There are only 65,536 pairs of inputs, so the compiler
//! tries them all, and chooses this kernel where it gives the same byte for each of them; else it is
//! [`AddI8`](super::AddI8).

use core::ops::Range;

use super::{Effort, Kernel, Need, Overlap};
use crate::isa::Isa;
use crate::memory::{Memory, Operand};

/// Elements of a row, of which the last may have fewer.
const ROW: u32 = 256;

crate::params! {
    /// 8-bit sum by one product an input.
    pub struct LinearAdd {
        /// Elements of each input and of the output.
        pub elements: u32,
        /// What each input is multiplied by.
        pub factors: [i32; 2],
        /// What is added to the products.
        pub constant: i32,
        /// Bits by which the sum is shifted, at most 31.
        pub shift: u32,
    }
}

impl LinearAdd {
    /// The sum of two elements.
    #[inline(always)]
    pub const fn sum(&self, a: i8, b: i8) -> i8 {
        let products = (a as i32).wrapping_mul(self.factors[0]).wrapping_add((b as i32).wrapping_mul(self.factors[1]));
        let value = products.wrapping_add(self.constant) >> (self.shift & 31);
        if value < -128 {
            -128
        } else if value > 127 {
            127
        } else {
            value as i8
        }
    }
}

impl Kernel for LinearAdd {
    const OPCODE: u16 = 27;
    type Operands = [Operand; 3];

    fn valid(&self) -> bool {
        self.elements > 0 && self.elements <= 1 << 30 && self.shift < 32
    }

    fn rows(&self) -> u32 {
        self.elements.div_ceil(ROW)
    }

    fn effort(&self) -> Effort {
        Effort::of_row(&[ROW.min(self.elements).into()])
    }

    fn needs(&self) -> [Need; 3] {
        let shape = &[self.elements];
        [Need::read::<i8>(shape), Need::read::<i8>(shape), Need::write::<i8>(shape)]
    }

    fn overlap(&self, _read: usize) -> Overlap {
        Overlap::SameOffset
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[a, b, out]: &[Operand; 3]) {
        let (a, b, out) = (memory.view::<i8>(a), memory.view::<i8>(b), memory.view_mut::<i8>(out));
        let start = (rows.start * ROW) as usize;
        let len = (rows.end * ROW).min(self.elements) as usize - start.min(self.elements as usize);
        let sums = *self;
        let pairs = a.slice(start, len).iter().zip(b.slice(start, len).iter());
        for (out, (a, b)) in out.slice(start, len).iter().zip(pairs) {
            out.set(sums.sum(a, b));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::ops::testing::{Random, bytes, run, run_in_place, values};

    #[test]
    fn is_the_formula_also_in_place() {
        let mut random = Random(9);
        for _ in 0..50 {
            let elements = random.in_range(1..700);
            let kernel = LinearAdd {
                elements,
                factors: [random.between(-1 << 21, 1 << 21), random.between(-1 << 21, 1 << 21)],
                constant: random.between(-1 << 25, 1 << 25),
                shift: 20,
            };
            let [a, b] = [0, 1].map(|_| random.i8s(elements as usize));
            let exact = |(&a, &b): (&i8, &i8)| {
                let [f0, f1] = kernel.factors.map(f64::from);
                let sum = f64::from(a) * f0 + f64::from(b) * f1 + f64::from(kernel.constant);
                (sum / f64::from(1 << 20)).floor().clamp(-128.0, 127.0) as i8
            };
            let expected: Vec<i8> = a.iter().zip(&b).map(exact).collect();
            let inputs = [bytes(&a), bytes(&b)];
            assert_eq!(values::<i8>(&run(&kernel, &inputs)), expected, "{kernel:?}");
            assert_eq!(values::<i8>(&run_in_place(&kernel, &inputs)), expected, "{kernel:?}");
        }
    }
}
