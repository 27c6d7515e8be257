//! Copies elements between tensors along strides: what concatenation, slicing and transposition are made of.

use core::ops::Range;

use super::axes::for_each_run;
use super::window::{count, product};
use super::{Effort, Kernel, Need, Role};
use crate::isa::Isa;
use crate::memory::{Element, Memory, Operand, View, ViewMut};

crate::params! {
    /// A walk over the elements of a tensor.
    pub struct Walk {
        /// Elements of the tensor.
        pub count: u32,
        /// The first element.
        pub offset: i32,
        /// Elements from one step to the next along each axis.
        pub strides: [i32; 6],
    }

    /// Copies one element at each step of two walks. What is not walked over keeps its value.
    pub struct Copy {
        /// Bytes of an element: 1, 2 or 4.
        pub element_bytes: u8,
        /// Steps along each axis, at least 1. Rows are the first axis.
        pub dims: [u32; 6],
        /// Where elements come from.
        pub input: Walk,
        /// Where they go.
        pub output: Walk,
    }
}

impl Walk {
    fn need(&self, role: Role, element_bytes: u8) -> Need {
        Need::of(role, element_bytes, &[self.count])
    }
}

/// Copies `len` elements along the innermost axis, whose strides in input and output are `strides`.
// Inlined, what each kind of run needs would be computed for all of them before the first.
#[inline(never)]
fn copy_run<T: Element>(
    (input, output): (View<'_, T>, ViewMut<'_, T>),
    [mut from, mut to]: [u32; 2],
    len: u32,
    [from_stride, to_stride]: [i32; 2],
) {
    for _ in 0..len {
        output.set(to as usize, input.at(from as usize));
        from = from.wrapping_add(from_stride as u32);
        to = to.wrapping_add(to_stride as u32);
    }
}

impl Kernel for Copy {
    const OPCODE: u16 = 14;
    type Operands = [Operand; 2];

    fn valid(&self) -> bool {
        // No more steps than elements, so that no parameters keep the kernel busy for long.
        matches!(self.element_bytes, 1 | 2 | 4)
            && self.dims.iter().all(|&size| size > 0)
            && count(&self.dims) <= self.output.count
    }

    fn rows(&self) -> u32 {
        let [rows, ..] = self.dims;
        rows
    }

    fn effort(&self) -> Effort {
        let [_, d1, d2, d3, d4, _] = self.dims;
        Effort::of_row(&[product(&[d1, d2, d3, d4]), product(&self.dims) / u64::from(self.dims[0].max(1))])
    }

    fn needs(&self) -> [Need; 2] {
        [self.input.need(Role::Read, self.element_bytes), self.output.need(Role::Write, self.element_bytes)]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, &[input, output]: &[Operand; 2]) {
        // One loop nest for all widths: flash is dearer than the choice in each run.
        let bytes = (memory.view::<i8>(input), memory.view_mut::<i8>(output));
        let halves = (memory.view::<i16>(input), memory.view_mut(output));
        let words = (memory.view::<i32>(input), memory.view_mut(output));
        let [.., len] = self.dims;
        let ([.., from_stride], [.., to_stride]) = (self.input.strides, self.output.strides);
        let last = [from_stride, to_stride];
        let starts = [self.input.offset as u32, self.output.offset as u32];
        let strides = [self.input.strides, self.output.strides].map(|strides| strides.map(|stride| stride as u32));
        let element = usize::from(self.element_bytes);
        for_each_run(rows, &self.dims, starts, strides, |at| match self.element_bytes {
            _ if last == [1, 1] => {
                let [from, to] = at.map(|at| (at as usize).wrapping_mul(element));
                let len = (len as usize).wrapping_mul(element);
                I::copy(bytes.0.slice(from, len), bytes.1.slice(to, len));
            }
            1 => copy_run(bytes, at, len, last),
            2 => copy_run(halves, at, len, last),
            _ => copy_run(words, at, len, last),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Random, run};
    use super::*;
    use crate::isa::Portable;
    use crate::memory::Aligned;
    use std::vec;

    /// A walk with random strides, that stays inside its tensor.
    fn anywhere(random: &mut Random, dims: &[u32; 6], last_stride: i32) -> Walk {
        let mut strides: [i32; 6] = core::array::from_fn(|_| random.between(-30, 30));
        strides[5] = last_stride;
        let reach = dims.iter().zip(strides).map(|(&size, stride)| (size as i32 - 1) * stride);
        let back: i32 = reach.clone().map(|reach| reach.min(0)).sum();
        let forth: i32 = reach.map(|reach| reach.max(0)).sum();
        Walk { count: (forth - back) as u32 + 1, offset: -back, strides }
    }

    /// A walk over each element once, along the axes in any order and direction.
    fn everywhere(random: &mut Random, dims: &[u32; 6], last_first: bool) -> Walk {
        let mut walk = Walk { count: 1, offset: 0, strides: [0; 6] };
        let turn = if last_first { 5 } else { random.below(6) as usize };
        for axis in (0..6).map(|axis| (axis + turn) % 6) {
            let back = !(last_first && axis == 5) && random.below(2) == 1;
            let step = walk.count as i32;
            walk.strides[axis] = if back { -step } else { step };
            walk.offset += if back { (dims[axis] as i32 - 1) * step } else { 0 };
            walk.count *= dims[axis];
        }
        walk
    }

    #[test]
    fn elements_go_where_the_walks_say() {
        let mut random = Random(14);
        for case in 0..300 {
            let element_bytes = [1u8, 2, 4][case % 3];
            let dims: [u32; 6] = core::array::from_fn(|_| random.between(1, 4) as u32);
            let (last_stride, last_first) = [(1, true), (1, false), (-2, true), (0, false)][case % 4];
            let input = anywhere(&mut random, &dims, last_stride);
            let output = everywhere(&mut random, &dims, last_first);
            let kernel = Copy { element_bytes, dims, input, output };
            let width = element_bytes as usize;
            let elements = random.bytes(input.count as usize * width);
            let mut wanted = vec![0; output.count as usize * width];
            for flat in 0..output.count {
                let at = |walk: &Walk| {
                    let (mut rest, mut at) = (flat, walk.offset);
                    for (size, stride) in dims.iter().zip(walk.strides).rev() {
                        at += (rest % size) as i32 * stride;
                        rest /= size;
                    }
                    at as usize * width..(at as usize + 1) * width
                };
                wanted[at(&output)].copy_from_slice(&elements[at(&input)]);
            }
            assert_eq!(run(&kernel, &[elements]), wanted, "{kernel:?}");
        }
    }

    #[test]
    fn walks_that_leave_their_tensor_write_nowhere() {
        for last in [1, 7] {
            let walk = Walk { count: 8, offset: i32::MIN, strides: [i32::MAX, -5, 1 << 20, 3, i32::MIN, last] };
            let kernel = Copy { element_bytes: 2, dims: [1, 1, 2, 1, 1, 4], input: walk, output: walk };
            let mut arena = Aligned([3; 32]);
            let operands = [Operand::arena(0, 16), Operand::arena(16, 16)];
            kernel.run::<Portable>(0..1, Memory::new(&[], &mut arena.0), &operands);
            assert_eq!(arena.0, [3; 32]);
        }
    }

    #[test]
    fn more_steps_than_elements_are_refused() {
        let walk = Walk { count: 8, offset: 0, strides: [0; 6] };
        let kernel = Copy { element_bytes: 1, dims: [1, 1, 1, 1, 2, 4], input: walk, output: walk };
        assert!(kernel.valid());
        assert!(!Copy { dims: [1, 1, 1, 1, 3, 3], ..kernel }.valid());
        assert!(!Copy { dims: [u32::MAX; 6], ..kernel }.valid());
        assert!(!Copy { dims: [u32::MAX, 1, 1, 1, 1, 0], ..kernel }.valid());
        assert!(!Copy { element_bytes: 3, ..kernel }.valid());
    }
}
