//! Surrounds a tensor by one value, and writes each element once, from the first on: the output may lie over its input.
//!
//! The output is `lead` elements of the value, then runs of the input, behind each of which the value stands again, as often
//! as the axes say that end there. What lies where it belongs already is not copied.

use core::ops::Range;

use super::axes::{AXES, for_each_run};
use super::window::{count, product};
use super::{Effort, Kernel, Need, Overlap, Role};
use crate::isa::Isa;
use crate::memory::{Element, Memory, Operand, ViewMut, rolled};

crate::params! {
    /// Surrounds a tensor by one value.
    pub struct Pad {
        /// Bytes of an element: 1, 2 or 4.
        pub element_bytes: u8,
        /// Elements of the input along each axis, of the last perhaps none. Rows are the first axis, runs the last.
        pub dims: [u32; 6],
        /// Elements of the value for each time that an axis ends: those behind it and those before it.
        pub gaps: [u32; 6],
        /// Elements of the value before the input, which those of the end are less for.
        pub lead: u32,
        /// The value's bits, in the low bytes.
        pub value: u32,
    }
}

impl Pad {
    /// Elements of the output from one step to the next along each axis, and all of them; `u32::MAX` for more.
    #[inline(never)]
    fn strides(&self) -> ([u32; AXES], u32) {
        let (mut strides, mut elements) = ([1; AXES], 1u32);
        for axis in (0..AXES).rev() {
            if let (Some(stride), Some(&size), Some(&gap)) =
                (strides.get_mut(axis), self.dims.get(axis), self.gaps.get(axis))
            {
                *stride = elements;
                elements = elements.saturating_mul(size).saturating_add(gap);
                rolled();
            }
        }
        (strides, elements)
    }

    /// Elements of the output behind the last one of the input.
    fn end(&self) -> u32 {
        self.gaps.iter().fold(0, |all: u32, &gap| all.saturating_add(gap)).saturating_sub(self.lead)
    }
}

/// The output, as elements of each width, and what is around the input.
struct Around<'a> {
    bytes: ViewMut<'a, i8>,
    halves: ViewMut<'a, i16>,
    words: ViewMut<'a, i32>,
    element_bytes: u8,
    value: u32,
}

impl Around<'_> {
    #[inline(always)]
    fn fill(&self, range: Range<u32>) {
        match self.element_bytes {
            1 => set(self.bytes, range, self.value as i8),
            2 => set(self.halves, range, self.value as i16),
            _ => set(self.words, range, self.value as i32),
        }
    }
}

/// Sets elements to one value.
#[inline(always)]
fn set<T: Element>(out: ViewMut<'_, T>, range: Range<u32>, value: T) {
    let len = range.end.wrapping_sub(range.start);
    out.slice(range.start as usize, len as usize).iter().for_each(|out| out.set(value));
}

impl Kernel for Pad {
    const OPCODE: u16 = 32;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        let [outer @ .., _] = &self.dims;
        // No more runs than elements, so that no parameters keep the kernel busy for long.
        matches!(self.element_bytes, 1 | 2 | 4)
            && outer.iter().all(|&size| size > 0)
            && count(outer) <= self.strides().1
    }

    fn rows(&self) -> u32 {
        let [rows, ..] = self.dims;
        rows
    }

    fn effort(&self) -> Effort {
        let [_, d1, d2, d3, d4, _] = self.dims;
        let ([row, ..], _) = self.strides();
        let [around, ..] = self.gaps;
        let call = u64::from(around) + u64::from(self.lead);
        Effort { call, ..Effort::of_row(&[product(&[d1, d2, d3, d4]), row.into()]) }
    }

    fn needs(&self) -> [Need; 2] {
        let need = |role, elements| Need::of(role, self.element_bytes, &[elements]);
        [need(Role::Read, count(&self.dims)), need(Role::Write, self.strides().1)]
    }

    fn overlap(&self, _: usize) -> Overlap {
        // Elements move towards the end, the last one the farthest.
        let elements = self.strides().1.saturating_sub(count(&self.dims)).saturating_sub(self.end());
        Overlap::Forward { lead: elements.saturating_mul(self.element_bytes.into()) }
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, output]: &[Operand; 2]) {
        let Self { element_bytes, value, .. } = *self;
        let (input, bytes) = (memory.view::<i8>(input), memory.view_mut::<i8>(output));
        let (halves, words) = (memory.view_mut(output), memory.view_mut(output));
        // One loop nest for all widths: flash is dearer than the choice for each run.
        let around = Around { bytes, halves, words, element_bytes, value };
        let (strides, elements) = self.strides();
        let start = |row: u32| self.lead.wrapping_add(row.wrapping_mul(strides[0]));
        let (Range { start: first, end: last }, [.., len]) = (rows.clone(), self.dims);
        let in_bytes = |elements: u32| (elements as usize).wrapping_mul(self.element_bytes.into());
        let run = in_bytes(len);
        let [_, inner @ ..] = &self.dims;
        let mut from = in_bytes(first.wrapping_mul(count(inner)));
        let mut filled = if first == 0 { 0 } else { start(first) };
        for_each_run(rows, &self.dims, [self.lead], [strides], |[at]| {
            around.fill(filled..at);
            let (read, written) = (input.slice(from, run), bytes.slice(in_bytes(at), run));
            if read.as_ptr().cast_mut() != written.as_mut_ptr() {
                I::copy(read, written);
            }
            from = from.wrapping_add(run);
            filled = at.wrapping_add(len);
        });
        around.fill(filled..if last == self.rows() { elements } else { start(last) });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Draw, Random, reads, run};
    use super::*;
    use crate::isa::Portable;
    use crate::memory::Aligned;
    use std::vec;
    use std::vec::Vec;

    /// The output by its definition: element by element, each where its indices along the axes say.
    fn padded(kernel: &Pad, input: &[u8]) -> Vec<u8> {
        let (width, (strides, elements)) = (usize::from(kernel.element_bytes), kernel.strides());
        let mut wanted = kernel.value.to_le_bytes()[..width].repeat(elements as usize);
        for (flat, element) in input.chunks(width).enumerate() {
            let (mut rest, mut at) = (flat as u32, kernel.lead);
            for (size, stride) in kernel.dims.iter().zip(strides).rev() {
                at += rest % size * stride;
                rest /= size;
            }
            wanted[at as usize * width..][..width].copy_from_slice(element);
        }
        wanted
    }

    #[test]
    fn elements_keep_their_places_and_the_value_is_around_them() {
        let mut random = Random(32);
        for _ in 0..500 {
            let kernel = Pad::draw(&mut random);
            let reads = reads(&kernel, &mut random);
            assert_eq!(run(&kernel, &reads), padded(&kernel, &reads[0]), "{kernel:?}");
        }
    }

    #[test]
    fn an_output_closer_to_its_input_overwrites_it() {
        let mut random = Random(33);
        let mut held = 0;
        for _ in 0..200 {
            let kernel = Pad { element_bytes: 1, value: 7, ..Pad::draw(&mut random) };
            let Overlap::Forward { lead } = kernel.overlap(0) else { panic!("rows run forward") };
            let [input, output] = kernel.needs().map(|need| need.bytes());
            let Some(closer) = lead.checked_sub(1).filter(|_| input > 0) else { continue };
            let right = [lead, closer].map(|lead| {
                let mut arena = vec![9; output.max(lead + input) as usize];
                let operands = [Operand::arena(lead, input), Operand::arena(0, output)];
                kernel.run::<Portable>(0..kernel.rows(), Memory::new(&[], &mut arena), &operands);
                arena[..output as usize] == padded(&kernel, &vec![9; input as usize])
            });
            assert_eq!(right, [true, false], "{kernel:?}");
            held += 1;
        }
        assert!(held > 100, "{held}");
    }

    #[test]
    fn what_lies_where_it_belongs_stays() {
        let kernel = Pad { element_bytes: 1, dims: [1, 1, 1, 1, 1, 5], gaps: [0, 0, 0, 0, 0, 5], lead: 3, value: 0xfe };
        let mut arena = Aligned([1, 1, 1, 2, 3, 4, 5, 6, 1, 1, 8]);
        kernel.run::<Portable>(0..1, Memory::new(&[], &mut arena.0), &[Operand::arena(3, 5), Operand::arena(0, 10)]);
        assert_eq!(arena.0, [0xfe, 0xfe, 0xfe, 2, 3, 4, 5, 6, 0xfe, 0xfe, 8]);
    }

    #[test]
    fn nothing_is_written_outside() {
        let kernel = Pad { element_bytes: 2, dims: [2, 1, 1, 1, 1, 4], gaps: [9; 6], lead: u32::MAX, value: 5 };
        let mut arena = Aligned([3; 32]);
        kernel.run::<Portable>(0..2, Memory::new(&[], &mut arena.0), &[Operand::arena(0, 16), Operand::arena(16, 8)]);
        assert_eq!(arena.0[24..], [3; 8]);
        assert_eq!(arena.0[..16], [3; 16]);
    }

    #[test]
    fn more_runs_than_elements_are_refused() {
        let kernel = Pad { element_bytes: 1, dims: [1, 1, 1, 1, 3, 0], gaps: [0, 0, 0, 0, 0, 1], lead: 0, value: 0 };
        assert!(kernel.valid());
        assert!(!Pad { gaps: [0; 6], ..kernel }.valid());
        assert!(!Pad { dims: [u32::MAX, 1, 1, 1, 0, 1], ..kernel }.valid());
        assert!(!Pad { element_bytes: 3, ..kernel }.valid());
    }
}
