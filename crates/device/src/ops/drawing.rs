//! Layers at random: seeded numbers, the layers that they draw, and operands of these, extremes included.
//!
//! The tests of the formulas draw from here, and so does firmware that holds each instruction set to the portable kernels.
//! It takes this file as it is, which therefore needs no allocation and names the crate from outside.
#![allow(dead_code, reason = "each of its users takes a part")]

use core::ops::Range;
use core::slice::IterMut;

use rasbora_device::arithmetic::{Requantise, narrowed};
use rasbora_device::isa::paired::{self, FINE_SHIFT, SHIFT, pair};
use rasbora_device::isa::planes::{CHANNELS, FACTORS, taps};
use rasbora_device::isa::quads::{self, lanes};
use rasbora_device::isa::stacks::{COLUMNS, ROWS};
use rasbora_device::isa::{Paired, PairedColumn, paired_column, winograd};
use rasbora_device::memory::{Channel, Multiplier};
use rasbora_device::ops::{
    AveragePool, Conv2d, Conv2dI16, Corrections, DepthwiseConv2d, DepthwiseConv2dI16, FullyConnected,
    FullyConnectedI16, Kernel, LogMel, Mfcc, Pad, PairedConv2d, PairedFullyConnected, PlaneConv2d,
    PlaneDepthwiseConv2d, QuadDepthwiseConv2d, Rounding16, Scaling, Scaling16, StackDepthwiseConv2d, Window,
    WinogradConv2d, mfcc,
};
use rasbora_device::params::Field;

/// Random numbers from a seed that is not zero: xorshift64*.
pub struct Random(pub u64);

impl Random {
    /// Numbers that differ much for seeds that differ little.
    pub fn of_seed(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Any word.
    pub fn word(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        ((u64::from(self.word()) * u64::from(limit)) >> 32) as u32
    }

    /// A number in `range`.
    pub fn in_range(&mut self, range: Range<u32>) -> u32 {
        range.start + self.below(range.end - range.start)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1) as u32) as i32
    }

    /// True in one of `count` cases.
    pub fn one_in(&mut self, count: u32) -> bool {
        self.below(count) == 0
    }

    /// One of `choices`.
    pub fn one_of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[self.below(N as u32) as usize]
    }

    /// A number of so many bits and a sign.
    fn of_bits(&mut self, bits: u32) -> i32 {
        self.word().cast_signed() >> (31 - bits.min(31))
    }

    /// Any element.
    fn i8(&mut self) -> i8 {
        self.word() as i8
    }

    /// A zero point and a range around it.
    pub fn requantise(&mut self) -> Requantise {
        let zero_point = self.below(256) as i32 - 128;
        Requantise { zero_point, min: -128 + self.below(20) as i8, max: 127 - self.below(20) as i8 }
    }

    /// See [`Paired::zero`]: there is one for half of the layers.
    fn zero(&mut self) -> i32 {
        if self.one_in(2) { 0 } else { self.between(-1 << 16, 1 << 16) }
    }

    /// A small window on one image: most padded at random on all sides, some that never leave it, some
    /// of a single tap or of 3×3.
    pub fn window(&mut self) -> Window {
        self.window_of(|_| ())
    }

    /// As [`Random::window`], once `change` was made.
    fn window_of(&mut self, change: impl Fn(&mut Window)) -> Window {
        loop {
            let mut pair = |range: Range<u32>| [self.in_range(range.clone()), self.in_range(range)];
            let (input, kernel, stride) = (pair(1..8), pair(1..5), pair(1..4));
            let (dilation, padding, mut end) = (pair(1..3), pair(0..4), pair(0..4));
            let mut window = Window { batch: 1, input, output: input, kernel, stride, dilation, padding };
            let kind = self.below(8);
            if kind < 3 {
                (window.padding, end) = ([0; 2], [0; 2]);
            }
            match kind {
                0 => (window.kernel, window.stride) = ([1; 2], [1; 2]),
                1 | 7 => window.kernel = [3; 2],
                _ => {}
            }
            change(&mut window);
            let Window { input, kernel, stride, dilation, padding, .. } = window;
            let span = |axis: usize| (kernel[axis] - 1) * dilation[axis] + 1;
            let free = |axis: usize| (input[axis] + padding[axis] + end[axis]).checked_sub(span(axis));
            if let (Some(h), Some(w)) = (free(0), free(1)) {
                window.output = [h / stride[0] + 1, w / stride[1] + 1];
                return window;
            }
        }
    }

    /// As [`Random::window_of`], on one or two images.
    fn windows_of(&mut self, change: impl Fn(&mut Window)) -> Window {
        Window { batch: self.in_range(1..3), ..self.window_of(change) }
    }
}

/// What 8-bit numbers are.
#[derive(Clone, Copy)]
enum Values {
    Any,
    Small,
    Extreme,
    Same(i8),
}

impl Values {
    fn draw(random: &mut Random) -> Self {
        match random.below(8) {
            0 => Self::Small,
            1 => Self::Extreme,
            2 => Self::Same(random.one_of([-128, -127, -1, 0, 127])),
            _ => Self::Any,
        }
    }

    fn next(self, random: &mut Random) -> i8 {
        match self {
            Self::Any => random.i8(),
            Self::Small => random.i8() % 4,
            Self::Extreme => random.one_of([-128, -127, 127]),
            Self::Same(value) => value,
        }
    }

    /// Bits of their size.
    fn bits(self) -> u32 {
        match self {
            Self::Small => 1,
            Self::Any | Self::Extreme | Self::Same(_) => 6,
        }
    }
}

/// A kernel whose layers can be drawn.
pub trait Draw: Kernel {
    /// Whether what is left in scratch memory depends on the layer alone.
    const LEAVES_SCRATCH: bool = false;

    /// A layer.
    fn draw(random: &mut Random) -> Self;

    /// Fills operand `operand`, which is constant.
    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        let _ = operand;
        fill(random, bytes);
    }
}

/// Fills an input with 8-bit numbers.
pub fn fill(random: &mut Random, bytes: &mut [u8]) {
    let values = Values::draw(random);
    match values {
        Values::Any => bytes.chunks_mut(4).for_each(|bytes| {
            let word = random.word().to_le_bytes();
            bytes.iter_mut().zip(word).for_each(|(byte, any)| *byte = any);
        }),
        _ => bytes.iter_mut().for_each(|byte| *byte = values.next(random).cast_unsigned()),
    }
}

/// A stream of weights and numbers of outputs, written word by word.
struct Stream<'a> {
    random: &'a mut Random,
    words: IterMut<'a, [u8; 4]>,
    weights: Values,
    /// Bits of the size of sums, and of the multipliers that bring them into the range of int8.
    sum_bits: u32,
    multiplier_bits: i32,
    /// Whether numbers are the least and the largest that there are.
    extreme: bool,
}

impl<'a> Stream<'a> {
    /// A stream of sums over `taps`, scaled by `scale` and shifted by `shift`.
    fn new(random: &'a mut Random, bytes: &'a mut [u8], [taps, scale, shift]: [u32; 3]) -> Self {
        let weights = Values::draw(random);
        // Inputs have 6 bits, and half of the bits of `taps` is what sums of either sign grow by.
        let sum_bits = scale.max(1).ilog2() + weights.bits() + 6 + taps.max(1).ilog2() / 2;
        let multiplier_bits = (32 + shift + 5) as i32 - sum_bits as i32;
        let extreme = random.one_in(8);
        Self { words: bytes.as_chunks_mut().0.iter_mut(), random, weights, sum_bits, multiplier_bits, extreme }
    }

    fn push(&mut self, word: u32) {
        if let Some(place) = self.words.next() {
            *place = word.to_le_bytes();
        }
    }

    fn weights<const N: usize>(&mut self) -> [i8; N] {
        core::array::from_fn(|_| self.weights.next(self.random))
    }

    /// What is added to a sum.
    fn term(&mut self, bits: u32) -> u32 {
        match self.extreme {
            true => self.random.one_of([i32::MIN, i32::MAX, -1, 0, 1]).cast_unsigned(),
            false => self.random.of_bits(bits).cast_unsigned(),
        }
    }

    fn bias(&mut self) {
        let bias = self.term(self.sum_bits);
        self.push(bias);
    }

    fn correction(&mut self) {
        let correction = self.term(self.sum_bits.saturating_sub(3));
        self.push(correction);
    }

    fn multiplier(&mut self) {
        let multiplier = match self.extreme {
            true => self.random.one_of([i32::MIN, i32::MAX, -1, 0, 1]).cast_unsigned(),
            false => {
                let bits = (self.multiplier_bits + self.random.between(-3, 3)).clamp(0, 30);
                (1 << bits) | self.random.below(1 << bits)
            }
        };
        self.push(multiplier);
    }
}

/// How sums become outputs: rounded twice as TFLite does, or once.
fn scaling(random: &mut Random, outputs: u32) -> Scaling {
    let scaling = once(random, outputs);
    if random.one_in(4) { Scaling::twice(scaling.requantise, scaling.multipliers) } else { scaling }
}

/// How sums that are rounded once become outputs.
fn once(random: &mut Random, outputs: u32) -> Scaling {
    let multipliers = random.one_of([1, outputs]);
    let twice = Scaling::twice(random.requantise(), multipliers);
    let (signed, shift) = (random.one_in(2), random.one_of([SHIFT, FINE_SHIFT]));
    Scaling { once: true, signed, shift, zero: random.zero(), ..twice }
}

/// Fills weights, biases or multipliers of sums over `taps`.
fn constant(scaling: &Scaling, taps: u32, operand: usize, random: &mut Random, bytes: &mut [u8]) {
    if operand == 1 {
        return fill(random, bytes);
    }
    let scale = if scaling.once { 256 } else { 1 };
    let words = bytes.len() / 4;
    let mut stream = Stream::new(random, bytes, [taps, scale, scaling.shift]);
    match operand {
        2 => (0..words).for_each(|_| stream.bias()),
        _ if scaling.once => (0..words).for_each(|_| stream.multiplier()),
        _ => (0..words / 2).for_each(|_| {
            let value = stream.random.in_range(1 << 30..1 << 31);
            stream.push(value);
            let shift = stream.random.between(-14, 1);
            stream.push(shift.cast_unsigned());
        }),
    }
}

impl Draw for Conv2d {
    fn draw(random: &mut Random) -> Self {
        let groups = if random.one_in(4) { random.in_range(2..4) } else { 1 };
        let outputs = groups * if random.one_in(16) { random.in_range(8..24) } else { random.in_range(1..9) };
        Self {
            window: random.windows_of(|_| ()),
            inputs: if random.one_in(8) { random.in_range(8..40) } else { random.in_range(1..9) },
            outputs,
            groups,
            padding_value: random.i8(),
            band: random.below(3),
            scaling: scaling(random, outputs),
        }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        let [height, width] = self.window.kernel;
        constant(&self.scaling, height * width * self.inputs, operand, random, bytes);
    }
}

impl Draw for DepthwiseConv2d {
    fn draw(random: &mut Random) -> Self {
        let channels = random.in_range(4..19);
        Self {
            window: random.windows_of(|_| ()),
            channels,
            padding_value: random.i8(),
            scaling: scaling(random, channels),
        }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        let [height, width] = self.window.kernel;
        constant(&self.scaling, height * width, operand, random, bytes);
    }
}

impl Draw for FullyConnected {
    fn draw(random: &mut Random) -> Self {
        let outputs = random.in_range(1..24);
        Self {
            batch: random.in_range(1..4),
            inputs: if random.one_in(8) { random.in_range(14..300) } else { random.in_range(1..40) },
            outputs,
            scaling: scaling(random, outputs),
        }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        constant(&self.scaling, self.inputs, operand, random, bytes);
    }
}

/// How sums become 16-bit outputs.
fn scaling16(random: &mut Random) -> Scaling16 {
    let [low, high] = [0; 2].map(|_| random.below(2_000) as i16);
    let rounding = random.one_of([Rounding16::Twice, Rounding16::Once, Rounding16::Word]);
    let some = (i16::MIN + low, i16::MAX - high);
    let (min, max) = random.one_of([some, (i16::MIN, i16::MAX), (0, i16::MAX)]);
    Scaling16 { rounding, min, max }
}

/// Fills weights or channels of sums over `taps`, of inputs of 14 bits.
fn constant16(scaling: &Scaling16, taps: u32, operand: usize, random: &mut Random, bytes: &mut [u8]) {
    if operand == 1 {
        return fill(random, bytes);
    }
    let sum_bits = 20 + taps.max(1).ilog2().div_ceil(2);
    let wide = scaling.rounding != Rounding16::Twice;
    let extreme = random.one_in(8);
    for bytes in bytes.chunks_exact_mut(Channel::BYTES) {
        let down = (sum_bits - 14) as i32 + random.between(-3, 3);
        let (value, shift) = match extreme {
            true => (random.one_of([0, 1 << 30, i32::MAX]), random.between(-31, if wide { 7 } else { 30 })),
            false => (random.in_range(1 << 30..1 << 31) as i32, -down),
        };
        let bias = match (extreme, wide) {
            (true, true) => random.one_of([-1i64 << 46, 1 << 46, -1, 0]),
            (true, false) => random.one_of([i32::MIN, i32::MAX, -1, 0]).into(),
            (false, _) => random.of_bits(sum_bits).into(),
        };
        let multiplier = Multiplier { value, shift };
        Channel::new(bias, if wide { narrowed(multiplier) } else { multiplier }).encode(bytes);
    }
}

impl Draw for Conv2dI16 {
    fn draw(random: &mut Random) -> Self {
        let groups = if random.one_in(4) { random.in_range(2..10) } else { 1 };
        let outputs = if random.one_in(16) { random.in_range(8..24) } else { random.in_range(1..9) };
        // Sums of several chunks, now and then.
        let inputs = match random.below(32) {
            0 => random.in_range(120..300),
            1..4 => random.in_range(8..40),
            _ => random.in_range(1..9),
        };
        let outputs = if groups > 1 { groups * random.in_range(1..3) } else { outputs };
        Self { window: random.windows_of(|_| ()), inputs, outputs, groups, scaling: scaling16(random) }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        let [height, width] = self.window.kernel;
        constant16(&self.scaling, height * width * self.inputs, operand, random, bytes);
    }
}

impl Draw for DepthwiseConv2dI16 {
    fn draw(random: &mut Random) -> Self {
        // Sums of as many products as have 32 bits, now and then.
        let window = match random.below(32) {
            0 => random.windows_of(|w| (w.input, w.kernel, w.dilation) = ([5, 140], [4, 124], [1; 2])),
            1..4 => random.windows_of(|w| (w.input, w.kernel) = ([12, 13], [6, 7])),
            _ => random.windows_of(|_| ()),
        };
        Self { window, channels: random.in_range(4..19), scaling: scaling16(random) }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        let [height, width] = self.window.kernel;
        if operand > 1 {
            return constant16(&self.scaling, height * width, operand, random, bytes);
        }
        let values = Values::draw(random);
        for bytes in bytes.as_chunks_mut().0 {
            *bytes = i16::from(values.next(random)).to_le_bytes();
        }
    }
}

impl Draw for FullyConnectedI16 {
    fn draw(random: &mut Random) -> Self {
        let inputs = match random.below(16) {
            0 => random.in_range(480..1_600),
            1..4 => random.in_range(14..300),
            _ => random.in_range(1..40),
        };
        Self { batch: random.in_range(1..4), inputs, outputs: random.in_range(1..14), scaling: scaling16(random) }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        constant16(&self.scaling, self.inputs, operand, random, bytes);
    }
}

impl Draw for AveragePool {
    fn draw(random: &mut Random) -> Self {
        // More taps than 16 bits have room for, now and then.
        let window = match random.one_in(32) {
            true => random.windows_of(|w| (w.input, w.kernel, w.dilation) = ([3, 130], [3, 130], [1; 2])),
            false => random.windows_of(|_| ()),
        };
        let Requantise { min, max, .. } = random.requantise();
        Self { window, channels: random.in_range(1..11), min, max }
    }
}

/// What a word of a stream of paired weights is, and of which output.
#[derive(Clone, Copy)]
pub enum Word {
    /// Bias.
    Bias(usize),
    /// Lanes of a step.
    Lanes(usize, u32),
    /// Correction for negative sums.
    Correction(usize),
    /// Multiplier.
    Multiplier(usize),
}

/// The words of a layer's stream, in order.
pub fn paired_words(paired: Paired) -> impl Iterator<Item = Word> {
    let steps = paired.steps();
    Paired::chunks(steps).flat_map(move |chunk| {
        let mut output = 0;
        Paired::widths(paired.outputs).flat_map(move |width| {
            let block = output..output + width;
            output += width;
            let (first, last) = (chunk.start == 0, chunk.end == steps);
            let of_each = |word: fn(usize) -> Word, there: bool| block.clone().filter(move |_| there).map(word);
            let (biases, multipliers) = (of_each(Word::Bias, first), of_each(Word::Multiplier, last));
            let corrections = of_each(Word::Correction, last && paired.signed);
            let lanes = chunk.clone().flat_map(move |step| block.clone().map(move |o| Word::Lanes(o, step)));
            biases.chain(lanes).chain(corrections).chain(multipliers)
        })
    })
}

impl Draw for PairedConv2d {
    fn draw(random: &mut Random) -> Self {
        let window = random.windows_of(|w| {
            if w.kernel[1] > 1 {
                w.dilation[1] = 1;
            }
        });
        // Columns of many chunks, those of first layers, and many blocks.
        let inputs = match random.below(8) {
            0 => random.in_range(14..72),
            1 => random.one_of([1, 3]),
            _ => random.in_range(1..14),
        };
        let any = random.in_range(paired::SHIFTS);
        let outputs = if random.one_in(16) { random.in_range(14..42) } else { random.in_range(2..14) };
        Self {
            window,
            inputs,
            outputs,
            strip: random.in_range(1..4) as u16,
            band: random.below(3) as u16,
            padding_value: random.i8(),
            signed: random.one_in(2),
            zero: random.zero(),
            shift: random.one_of([SHIFT, FINE_SHIFT, any]) as u8,
        }
    }

    fn constant(&self, _: usize, random: &mut Random, bytes: &mut [u8]) {
        let paired = self.paired();
        let (unit, steps) = (paired.unit(), paired.unit().div_ceil(4));
        let mut stream = Stream::new(random, bytes, [4 * paired.steps(), 256, self.shift.into()]);
        for word in paired_words(paired) {
            match word {
                Word::Bias(_) => stream.bias(),
                Word::Lanes(_, step) => {
                    let mut weights = stream.weights();
                    // Beyond the weights there are zeros.
                    let there = unit.saturating_sub(4 * (step % steps)) as usize;
                    weights.iter_mut().skip(there).for_each(|weight| *weight = 0);
                    stream.push(pair(weights));
                }
                Word::Correction(_) => stream.correction(),
                Word::Multiplier(_) => stream.multiplier(),
            }
        }
    }
}

impl Draw for PairedFullyConnected {
    fn draw(random: &mut Random) -> Self {
        let (most, bits) = (if random.one_in(8) { 70 } else { 14 }, random.in_range(18..28));
        let multiplier = match random.below(8) {
            0..4 => 0,
            4 => random.one_of([i32::MIN, i32::MAX, -1, 1]),
            _ => 1 + random.below(1 << bits) as i32,
        };
        Self {
            batch: random.in_range(1..4),
            inputs: 4 * random.in_range(1..most),
            outputs: random.in_range(1..17),
            multiplier,
            correction: random.of_bits(16),
            zero: random.zero(),
        }
    }

    fn constant(&self, _: usize, random: &mut Random, bytes: &mut [u8]) {
        let mut stream = Stream::new(random, bytes, [self.inputs, 256, SHIFT]);
        let (blocks, singles) = PairedColumn::blocks(self.outputs);
        let widths = [(paired_column::BLOCK, blocks), (1, singles)];
        for width in widths.into_iter().flat_map(|(width, count)| core::iter::repeat_n(width, count as usize)) {
            (0..width).for_each(|_| stream.bias());
            for _ in 0..width * (self.inputs / 4) {
                let weights = stream.weights();
                stream.push(pair(weights));
            }
            if self.multiplier == 0 {
                (0..width).for_each(|_| stream.correction());
                (0..width).for_each(|_| stream.multiplier());
            }
        }
    }
}

impl Draw for QuadDepthwiseConv2d {
    fn draw(random: &mut Random) -> Self {
        let any = random.in_range(quads::SHIFTS);
        Self {
            window: random.windows_of(|_| ()),
            channels: random.in_range(4..14),
            padding_value: random.i8(),
            corrections: random.one_of([Corrections::None, Corrections::Bytes, Corrections::Words]),
            zero: random.zero(),
            shift: random.one_of([FINE_SHIFT, any]) as u8,
        }
    }

    fn constant(&self, _: usize, random: &mut Random, bytes: &mut [u8]) {
        let taps = self.window.kernel[0] * self.window.kernel[1];
        let mut stream = Stream::new(random, bytes, [taps, 256, self.shift.into()]);
        for _ in 0..self.channels.div_ceil(4) {
            (0..4).for_each(|_| stream.bias());
            for _ in 0..taps {
                let weights = stream.weights();
                stream.push(lanes(weights));
            }
            match self.corrections {
                Corrections::None => {}
                Corrections::Bytes => {
                    let corrections: [i8; 4] = core::array::from_fn(|_| stream.random.i8());
                    stream.push(u32::from_le_bytes(corrections.map(i8::cast_unsigned)));
                }
                Corrections::Words => (0..4).for_each(|_| stream.correction()),
            }
            (0..4).for_each(|_| stream.multiplier());
        }
    }
}

impl Draw for PlaneDepthwiseConv2d {
    fn draw(random: &mut Random) -> Self {
        let (stride, signed) = (random.in_range(1..3), random.one_in(2));
        Self {
            window: random.windows_of(|w| (w.kernel, w.dilation, w.stride) = ([3, 3], [1, 1], [stride, stride])),
            channels: random.in_range(4..11),
            strip: random.in_range(1..6),
            padding_value: random.i8(),
            signed,
            zero: if signed { random.zero() } else { 0 },
            factor: random.one_of(FACTORS),
        }
    }

    fn constant(&self, _: usize, random: &mut Random, bytes: &mut [u8]) {
        planes(self.channels.next_multiple_of(CHANNELS as u32), (self.factor, self.signed), random, bytes);
    }
}

impl Draw for PlaneConv2d {
    fn draw(random: &mut Random) -> Self {
        let PlaneDepthwiseConv2d { window, strip, padding_value, signed, zero, factor, .. } = Draw::draw(random);
        Self { window, outputs: random.in_range(1..11), strip, padding_value, signed, zero, factor }
    }

    fn constant(&self, _: usize, random: &mut Random, bytes: &mut [u8]) {
        planes(self.outputs, (self.factor, self.signed), random, bytes);
    }
}

/// The stream of `channels` channels over planes.
fn planes(channels: u32, (factor, signed): (u8, bool), random: &mut Random, bytes: &mut [u8]) {
    let mut stream = Stream::new(random, bytes, [9, 256 * u32::from(factor), FINE_SHIFT]);
    for _ in 0..channels {
        for _ in 0..3 {
            let weights = stream.weights();
            stream.push(taps(weights));
        }
        stream.bias();
        stream.multiplier();
        if signed {
            stream.correction();
        }
    }
}

impl Draw for StackDepthwiseConv2d {
    fn draw(random: &mut Random) -> Self {
        let channels = random.in_range(4..36);
        let kernel = [random.in_range(1..ROWS as u32 + 1), random.in_range(1..COLUMNS as u32 + 1)];
        Self {
            window: random.windows_of(|w| w.kernel = kernel),
            channels,
            padding_value: random.i8(),
            scaling: once(random, channels),
        }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        let [height, width] = self.window.kernel;
        constant(&self.scaling, height * width, operand, random, bytes);
        if operand == 1 {
            bytes.as_chunks_mut::<ROWS>().0.iter_mut().for_each(|column| column[height as usize..].fill(0));
        }
    }
}

impl Draw for WinogradConv2d {
    fn draw(random: &mut Random) -> Self {
        let mut window = random.windows_of(|w| (w.kernel, w.stride, w.dilation) = ([3; 2], [1; 2], [1; 2]));
        // Tiles that never leave the image, now and then.
        if random.one_in(4) {
            window.input = [random.in_range(8..14), random.in_range(8..14)];
            window.output = [0, 1].map(|axis| window.input[axis] + window.padding[axis] - 2);
        }
        let wide = random.one_in(8);
        let outputs = if random.one_in(16) { random.in_range(8..20) } else { random.in_range(2..8) };
        let pairs = outputs.div_ceil(2);
        let some = random.below(pairs + 1);
        Self {
            window,
            inputs: if wide { random.in_range(24..80) } else { random.in_range(1..20) },
            outputs,
            groups: if wide { 1 } else { random.in_range(1..4) },
            padding_value: random.i8(),
            transformed: random.one_of([0, some, pairs]),
            zero: random.zero(),
        }
    }

    fn constant(&self, _: usize, random: &mut Random, bytes: &mut [u8]) {
        let mut stream = Stream::new(random, bytes, [9 * self.inputs, 256, FINE_SHIFT]);
        let corrected = stream.random.one_in(2);
        for pair in 0..self.pairs() {
            for _ in 0..2 {
                stream.bias();
                stream.multiplier();
                if corrected { stream.correction() } else { stream.push(0) }
            }
            for _ in winograd::NUMBERS as u32..self.pair_words(pair) {
                let word = match pair < self.transformed {
                    // Any product of 16 bits is one that sums may wrap with.
                    true => stream.random.word(),
                    false => u32::from_le_bytes(stream.weights().map(i8::cast_unsigned)),
                };
                stream.push(word);
            }
        }
    }
}

impl Draw for Pad {
    fn draw(random: &mut Random) -> Self {
        // As many axes as tensors have, runs of some words, and what lies before and behind them along some axes.
        let (axes, longest) = (random.in_range(1..7) as usize, random.one_of([2, 5, 40]));
        let mut kernel =
            Self { element_bytes: random.one_of([1, 2, 4]), dims: [1; 6], gaps: [0; 6], lead: 0, value: 0 };
        kernel.value = random.word();
        let mut elements = 1;
        for axis in (6 - axes..6).rev().map(|axis| if axis + axes == 6 && axes > 1 { 0 } else { axis }) {
            let [before, after] = [0; 2].map(|_| if random.one_in(2) { random.below(4) } else { 0 });
            let size =
                random.in_range(if axis == 5 { u32::from(axes > 1 || before + after == 0)..longest } else { 1..4 });
            kernel.dims[axis] = size;
            kernel.gaps[axis] = (before + after) * elements;
            kernel.lead += before * elements;
            elements *= size + before + after;
        }
        kernel
    }
}

impl Draw for Mfcc {
    const LEAVES_SCRATCH: bool = true;

    fn draw(random: &mut Random) -> Self {
        let (frames, stride) = (random.in_range(1..3), random.in_range(0..300));
        let first = random.in_range(1..200);
        Self {
            frames,
            samples: (frames - 1) * stride + mfcc::FRAME + random.below(4),
            stride,
            first,
            bins: random.in_range(0..257 - first),
            bands: 2 * random.in_range(1..10),
            coefficients: random.in_range(1..14),
            zero_point: random.i8().into(),
        }
    }

    fn constant(&self, operand: usize, random: &mut Random, bytes: &mut [u8]) {
        if operand != 4 {
            return fill(random, bytes);
        }
        let mut left = self.bins;
        for count in bytes {
            let some = random.below(left.min(60) + 1);
            left -= some;
            *count = some as u8;
        }
    }
}

impl Draw for LogMel {
    const LEAVES_SCRATCH: bool = true;

    fn draw(random: &mut Random) -> Self {
        let first = random.in_range(1..400);
        Self {
            first,
            bins: random.in_range(0..513 - first),
            bands: random.in_range(1..30),
            scale: random.of_bits(28),
            offset: random.of_bits(22),
        }
    }
}
