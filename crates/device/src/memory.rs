//! The memory of a program: operands, and the views that kernels read and write through.
//!
//! Input and output of a step may overlap, so no `&[i8]` and `&mut [i8]` of the arena exist at the same time: a
//! [`View`] reads and a [`ViewMut`] writes element by element. A view that does not fit its memory is empty, reading
//! outside a view gives zero, and writing outside does nothing: no kernel can fault or panic, whatever it computes.
//! This is the one file that makes views from offsets.

use core::cell::Cell;
use core::marker::PhantomData;

use crate::params::Field;

/// Which memory an operand lies in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Space {
    /// Weights, biases, multipliers, tables: read only.
    Constants = 1,
    /// Working memory. State lies at its front.
    Arena = 2,
}

/// A run of bytes that a step reads or writes, as it lies in a packed program.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Operand {
    /// The first byte, from the start of its memory; the highest bit says that it is the arena.
    place: u32,
    /// Length in bytes.
    pub bytes: u32,
}

impl Field for Operand {
    const BYTES: usize = 8;
    fn encode(&self, out: &mut [u8]) {
        [self.place, self.bytes].encode(out);
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        <[u32; 2]>::decode(bytes).map(|[place, bytes]| Self { place, bytes })
    }
}

impl Operand {
    const IN_ARENA: u32 = 1 << 31;

    /// An operand in the arena.
    pub const fn arena(offset: u32, bytes: u32) -> Self {
        Self { place: offset | Self::IN_ARENA, bytes }
    }

    /// An operand among the constants.
    pub const fn constant(offset: u32, bytes: u32) -> Self {
        Self { place: offset & !Self::IN_ARENA, bytes }
    }

    /// Which memory.
    #[inline(always)]
    pub const fn space(&self) -> Space {
        if self.place & Self::IN_ARENA == 0 { Space::Constants } else { Space::Arena }
    }

    /// First byte, from the start of the memory: below 2^31.
    #[inline(always)]
    pub const fn offset(&self) -> u32 {
        self.place & !Self::IN_ARENA
    }
}

/// The factor `value · 2^(shift − 31)` by which an accumulator is requantised (TFLite's quantised multiplier).
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Multiplier {
    /// Mantissa, in Q0.31; 0 or `[2^30, 2^31)`.
    pub value: i32,
    /// Exponent: left where positive, right where negative.
    pub shift: i32,
}

impl Field for Multiplier {
    const BYTES: usize = 8;
    fn encode(&self, out: &mut [u8]) {
        [self.value, self.shift].encode(out);
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        <[i32; 2]>::decode(bytes).map(|[value, shift]| Self { value, shift })
    }
}

/// What makes outputs of the sums of one output channel in 16 bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Channel {
    bias: [i32; 2],
    /// From a sum to an output.
    pub multiplier: Multiplier,
}

impl Channel {
    /// A bias and a multiplier.
    pub const fn new(bias: i64, multiplier: Multiplier) -> Self {
        Self { bias: [bias as i32, (bias >> 32) as i32], multiplier }
    }

    /// What is added to each sum.
    #[inline(always)]
    pub const fn bias(&self) -> i64 {
        let [low, high] = self.bias;
        (high as i64) << 32 | low as u32 as i64
    }
}

impl Field for Channel {
    const BYTES: usize = 16;
    fn encode(&self, out: &mut [u8]) {
        let ([low, high], Multiplier { value, shift }) = (self.bias, self.multiplier);
        [low, high, value, shift].encode(out);
    }
    fn decode(bytes: &[u8]) -> Option<Self> {
        let [low, high, value, shift] = <[i32; 4]>::decode(bytes)?;
        Some(Self { bias: [low, high], multiplier: Multiplier { value, shift } })
    }
}

/// A type of tensor elements: every bit pattern is a value, and `repr(C)` layouts without padding.
///
/// # Safety
/// Implementors are plain data without padding, valid for every bit pattern, with an alignment of at most 16.
pub unsafe trait Element: Copy + Default + 'static {}
// SAFETY: numbers, or a struct of two `i32` laid out in order.
unsafe impl Element for i8 {}
// SAFETY: as above.
unsafe impl Element for u8 {}
// SAFETY: as above.
unsafe impl Element for i16 {}
// SAFETY: as above.
unsafe impl Element for u16 {}
// SAFETY: as above.
unsafe impl Element for i32 {}
// SAFETY: as above.
unsafe impl Element for u32 {}
// SAFETY: as above.
unsafe impl Element for f32 {}
// SAFETY: as above.
unsafe impl Element for Multiplier {}
// SAFETY: as above, and a `Multiplier`.
unsafe impl Element for Channel {}
// SAFETY: two `u32`, laid out in order.
unsafe impl Element for Operand {}

/// Elements that a kernel reads. They may change between two reads where the output overlaps.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    first: *const T,
    len: usize,
    memory: PhantomData<&'a Cell<T>>,
}

impl<'a, T: Element> View<'a, T> {
    /// A view of nothing.
    pub const EMPTY: Self = Self { first: core::ptr::NonNull::dangling().as_ptr(), len: 0, memory: PhantomData };

    /// A view of elements that nothing changes.
    pub const fn of(elements: &'a [T]) -> Self {
        Self { first: elements.as_ptr(), len: elements.len(), memory: PhantomData }
    }

    /// Number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.len
    }

    /// Whether there are no elements.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Element `i`; zero outside the view.
    #[inline(always)]
    pub fn at(self, i: usize) -> T {
        if i < self.len {
            // SAFETY: `first` points to `len` readable elements for `'a`, and `i < len`. No `&mut` to them exists.
            unsafe { self.first.add(i).read() }
        } else {
            T::default()
        }
    }

    /// The elements `start..start + len`; empty where they are not all inside.
    #[inline(always)]
    pub fn slice(self, start: usize, len: usize) -> Self {
        match start.checked_add(len) {
            // SAFETY: `start <= end <= self.len`, so the pointer stays inside or one past the end.
            Some(end) if end <= self.len => Self { first: unsafe { self.first.add(start) }, len, memory: PhantomData },
            _ => Self::EMPTY,
        }
    }

    /// The elements from `start` on.
    #[inline(always)]
    pub fn from(self, start: usize) -> Self {
        self.slice(start, self.len().saturating_sub(start))
    }

    /// `N` neighbours from `start` on, from `start + step` on, …: `count` times, or never where they are not all inside.
    ///
    /// One check for all of them: this is how a kernel walks along an axis that is not the last.
    #[inline(always)]
    pub fn strided<const N: usize>(
        self,
        start: usize,
        step: usize,
        count: usize,
    ) -> impl ExactSizeIterator<Item = [T; N]> + 'a {
        let end = reach(start, step, count, N);
        let count = if end.is_some_and(|end| end <= self.len) { count } else { 0 };
        (0..count).map(move |i| {
            // SAFETY: `start + i · step + N <= self.len`, and an array of `T` has the alignment of `T`.
            unsafe { self.first.add(start + i * step).cast::<[T; N]>().read() }
        })
    }

    /// The elements in order.
    #[inline(always)]
    pub fn iter(self) -> impl ExactSizeIterator<Item = T> + 'a {
        (0..self.len).map(move |i| {
            // SAFETY: `i < len`, as in `at`.
            unsafe { self.first.add(i).read() }
        })
    }

    /// The first elements, as words; empty where they do not start at a word.
    #[inline(always)]
    pub fn words(self) -> View<'a, u32> {
        self.cast()
    }

    /// The first elements, as 16-bit numbers; empty where they do not start at one.
    #[inline(always)]
    pub fn halves(self) -> View<'a, i16> {
        self.cast()
    }

    #[inline(always)]
    fn cast<U: Element>(self) -> View<'a, U> {
        let first = self.first.cast::<U>();
        let len = if first.is_aligned() { self.len * size_of::<T>() / size_of::<U>() } else { 0 };
        View { first, len, memory: PhantomData }
    }

    /// The first element's address, for the kernels of an instruction set.
    #[inline(always)]
    pub fn as_ptr(self) -> *const T {
        self.first
    }
}

/// Where `count` runs of `len` elements end that start at `start`, `start + step`, …; `None` for no runs.
#[inline(always)]
fn reach(start: usize, step: usize, count: usize, len: usize) -> Option<usize> {
    let last = count.checked_sub(1)?;
    // Without the upper word of a product, which some cores must call a function for.
    let way = if (last | step) >> (usize::BITS / 2) == 0 { last * step } else { last.checked_mul(step)? };
    way.checked_add(start)?.checked_add(len)
}

/// Keeps a loop as short as it is written: unrolled for steps that are known late it needs more registers than there are.
#[inline(always)]
pub(crate) fn rolled() {
    core::hint::black_box(());
}

/// Elements that a kernel writes.
#[derive(Clone, Copy)]
pub struct ViewMut<'a, T>(&'a [Cell<T>]);

impl<'a, T: Element> ViewMut<'a, T> {
    /// A view over memory of the caller's.
    pub fn of(elements: &'a mut [T]) -> Self {
        Self(Cell::from_mut(elements).as_slice_of_cells())
    }

    /// Number of elements.
    #[inline(always)]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are no elements.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Writes element `i`; does nothing outside the view.
    #[inline(always)]
    pub fn set(self, i: usize, value: T) {
        if let Some(cell) = self.0.get(i) {
            cell.set(value);
        }
    }

    /// The elements `start..start + len`; empty where they are not all inside.
    #[inline(always)]
    pub fn slice(self, start: usize, len: usize) -> Self {
        match start.checked_add(len).and_then(|end| self.0.get(start..end)) {
            Some(cells) => Self(cells),
            None => Self(&[]),
        }
    }

    /// The elements from `start` on.
    #[inline(always)]
    pub fn from(self, start: usize) -> Self {
        self.slice(start, self.len().saturating_sub(start))
    }

    /// The cells in order.
    #[inline(always)]
    pub fn iter(self) -> core::slice::Iter<'a, Cell<T>> {
        self.0.iter()
    }

    /// Whether all that [`ViewMut::copy_pieces`] would read and write is inside, and there are pieces.
    #[inline(always)]
    pub fn holds_pieces(self, [count, len]: [usize; 2], from: (View<'_, T>, usize), to_step: usize) -> bool {
        let fits = |step, all| reach(0, step, count, len).is_some_and(|end| end <= all);
        fits(from.1, from.0.len) && fits(to_step, self.len())
    }

    /// Copies `count` pieces of `len` elements, which start at multiples of a step; does nothing where they are not all inside.
    /// What is read and written must not overlap for them to arrive unchanged.
    #[inline(always)]
    pub fn copy_pieces(self, [count, len]: [usize; 2], (from, from_step): (View<'_, T>, usize), to_step: usize) {
        if !self.holds_pieces([count, len], (from, from_step), to_step) {
            return;
        }
        // The longer of both ways is the inner one.
        let (pieces, elements) = ([count, from_step, to_step], [len, 1, 1]);
        let ([outer, from_outer, to_outer], [inner, from_inner, to_inner]) =
            if count < len { (pieces, elements) } else { (elements, pieces) };
        let (mut from_start, mut to_start) = (from.first, self.as_mut_ptr());
        for _ in 0..outer {
            let (mut from, mut to) = (from_start, to_start);
            for _ in 0..inner {
                // SAFETY: both are inside for each element of each piece, and `Cell` lets elements be written through a
                // shared reference.
                unsafe { to.write(from.read()) };
                (from, to) = (from.wrapping_add(from_inner), to.wrapping_add(to_inner));
                rolled();
            }
            from_start = from_start.wrapping_add(from_outer);
            to_start = to_start.wrapping_add(to_outer);
        }
    }

    /// The first elements, as words; empty where they do not start at a word.
    #[inline(always)]
    pub fn words(self) -> ViewMut<'a, u32> {
        // SAFETY: `T: Element` is valid for every bit pattern; `align_to` splits at aligned addresses only.
        match unsafe { self.0.align_to() } {
            ([], words, _) => ViewMut(words),
            _ => ViewMut(&[]),
        }
    }

    /// Copies `elements` to the front, which may overlap them; does nothing where they are longer.
    #[inline(always)]
    pub fn copy_from(self, elements: View<'_, T>) {
        if elements.len <= self.0.len() {
            // SAFETY: both hold `elements.len` elements, and `Cell` lets them be written through a shared reference.
            unsafe { core::ptr::copy(elements.first, self.0.as_ptr().cast_mut().cast(), elements.len) }
        }
    }

    /// The cells as a slice.
    #[inline(always)]
    pub fn cells(self) -> &'a [Cell<T>] {
        self.0
    }

    /// The first element's address, for the kernels of an instruction set.
    #[inline(always)]
    pub fn as_mut_ptr(self) -> *mut T {
        self.0.as_ptr().cast_mut().cast()
    }

    /// The same elements, to be read.
    #[inline(always)]
    pub fn view(self) -> View<'a, T> {
        View { first: self.0.as_ptr().cast(), len: self.0.len(), memory: PhantomData }
    }
}

/// Constants and arena of one network.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    constants: &'a [u8],
    arena: &'a [Cell<u8>],
}

impl<'a> Memory<'a> {
    /// Joins the constants and the arena. Both must start at a multiple of 16 for every operand to be found.
    #[inline(always)]
    pub fn new(constants: &'a [u8], arena: &'a mut [u8]) -> Self {
        Self { constants, arena: Cell::from_mut(arena).as_slice_of_cells() }
    }

    /// The elements of `operand`, in either memory; empty where it lies outside or is misaligned.
    #[inline(always)]
    pub fn view<T: Element>(self, operand: Operand) -> View<'a, T> {
        match operand.space() {
            Space::Constants => View::of(self.constants(operand)),
            Space::Arena => self.view_mut(operand).view(),
        }
    }

    /// The elements of `operand` among the constants; empty where it lies elsewhere, outside, or is misaligned.
    #[inline(always)]
    pub fn constants<T: Element>(self, operand: Operand) -> &'a [T] {
        let Space::Constants = operand.space() else { return &[] };
        let Some(bytes) = range(operand).and_then(|range| self.constants.get(range)) else { return &[] };
        typed(bytes)
    }

    /// The elements of `operand` in the arena, to be written; empty where it lies elsewhere, outside, or is misaligned.
    #[inline(always)]
    pub fn view_mut<T: Element>(self, operand: Operand) -> ViewMut<'a, T> {
        let Space::Arena = operand.space() else { return ViewMut(&[]) };
        let Some(bytes) = range(operand).and_then(|range| self.arena.get(range)) else { return ViewMut(&[]) };
        let first = bytes.as_ptr().cast::<Cell<T>>();
        if !are_elements::<T>(first.addr(), bytes.len()) {
            return ViewMut(&[]);
        }
        // SAFETY: aligned, and as long as `bytes`; `Cell<T>` has the layout of `T`, which is valid for every bit pattern;
        // access is by value only.
        ViewMut(unsafe { core::slice::from_raw_parts(first, bytes.len() / size_of::<T>()) })
    }
}

#[inline(always)]
fn range(operand: Operand) -> Option<core::ops::Range<usize>> {
    let start = operand.offset() as usize;
    Some(start..start.checked_add(operand.bytes as usize)?)
}

/// Bytes that start at a multiple of 16: where an emitted network keeps its constants.
#[repr(C, align(16))]
pub struct Aligned<T>(pub T);

/// Copies `values` to the front of `arena`, where they fit: the initial state of a network.
#[inline]
pub fn fill(arena: &mut [u8], values: &[u8]) {
    if let Some(front) = arena.get_mut(..values.len()) {
        front.copy_from_slice(values);
    }
}

/// Whether `bytes` bytes at `address` are elements.
#[inline(always)]
fn are_elements<T: Element>(address: usize, bytes: usize) -> bool {
    address.is_multiple_of(align_of::<T>()) && bytes.is_multiple_of(size_of::<T>())
}

/// `bytes` as elements; empty where they are misaligned, or end within one.
#[inline(always)]
pub(crate) fn typed<T: Element>(bytes: &[u8]) -> &[T] {
    let first = bytes.as_ptr().cast::<T>();
    if !are_elements::<T>(first.addr(), bytes.len()) {
        return &[];
    }
    // SAFETY: aligned, and as long as `bytes`; `T: Element` is valid for every bit pattern.
    unsafe { core::slice::from_raw_parts(first, bytes.len() / size_of::<T>()) }
}

/// The `bytes` bytes of `arena` from `offset` on as elements; empty where they lie outside or are misaligned.
#[inline(always)]
pub fn elements<T: Element>(arena: &[u8], offset: usize, bytes: usize) -> &[T] {
    typed(offset.checked_add(bytes).and_then(|end| arena.get(offset..end)).unwrap_or_default())
}

/// As [`elements`], to be written.
#[inline(always)]
pub fn elements_mut<T: Element>(arena: &mut [u8], offset: usize, bytes: usize) -> &mut [T] {
    let Some(bytes) = offset.checked_add(bytes).and_then(|end| arena.get_mut(offset..end)) else { return &mut [] };
    let first = bytes.as_mut_ptr().cast::<T>();
    if !are_elements::<T>(first.addr(), bytes.len()) {
        return &mut [];
    }
    // SAFETY: as in `typed`, and `T` has no bit pattern that is no byte.
    unsafe { core::slice::from_raw_parts_mut(first, bytes.len() / size_of::<T>()) }
}
