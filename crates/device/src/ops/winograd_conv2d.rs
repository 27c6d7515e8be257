//! 8-bit convolution of 3×3 windows by Winograd's F(4×4, 3×3): `out[n, y, x, o] = requantise(bias[o] + Σ input · weights)`.
//!
//! It takes a quarter of the products, and transforms inputs, filters and products for it.
//! [`isa::winograd`](crate::isa::winograd) says how; the compiler chooses this kernel where it has proven that it gives the same
//! bytes, and that it is cheaper. Filters are constants that are transformed already, or are transformed for each band: that takes
//! cycles, but no memory for constants.

use core::ops::Range;

use super::window::product;
use super::{Effort, Kernel, Need, Window};
use crate::isa::Isa;
use crate::isa::winograd::{
    GROUP_PRODUCTS, INPUTS, NUMBERS, OUTPUTS, Outputs, PLACES, Products, QUAD_FILTERS, QUAD_WEIGHTS, TILES, Tile,
};
use crate::memory::{Memory, Operand, View, ViewMut};

crate::params! {
    /// 8-bit convolution of 3×3 windows by Winograd's F(4×4, 3×3).
    pub struct WinogradConv2d {
        /// The window's sizes: 3×3, stride and dilation 1.
        pub window: Window,
        /// Input channels.
        pub inputs: u32,
        /// Output channels, at least 2.
        pub outputs: u32,
        /// Groups of four tiles of a band: what is transformed at a time.
        pub groups: u32,
        /// Value of the input outside the image.
        pub padding_value: i8,
        /// Pairs of outputs whose filters are transformed already: the first ones.
        pub transformed: u32,
        /// See [`Paired::zero`](crate::isa::Paired::zero).
        pub zero: i32,
    }
}

/// Where a tile lies: its image, and its first row and column of outputs.
#[derive(Clone, Copy)]
struct Place {
    image: u32,
    y: u32,
    x: u32,
}

/// The start of a tile some of whose outputs are outside.
const OUTSIDE: u32 = u32::MAX;

/// A band's scratch memory.
struct Scratch<'a> {
    inputs: ViewMut<'a, u32>,
    products: ViewMut<'a, u32>,
    filters: ViewMut<'a, u32>,
    /// Where the outputs of tiles start, or [`OUTSIDE`].
    starts: ViewMut<'a, u32>,
    /// The inputs of a tile that leaves the image, where products and filters will be.
    patch: ViewMut<'a, i8>,
}

impl WinogradConv2d {
    /// Words that hold the inputs of a tile: two channels each.
    pub fn steps(&self) -> u32 {
        self.quads() * 2
    }

    fn quads(&self) -> u32 {
        self.inputs.div_ceil(4)
    }

    /// Pairs of outputs: the last of an odd number shares one with those before.
    pub fn pairs(&self) -> u32 {
        self.outputs.div_ceil(2)
    }

    /// Tiles of all images.
    pub fn tiles(&self) -> u32 {
        let [height, width] = self.window.output.map(|size| size.div_ceil(OUTPUTS as u32));
        self.window.batch.saturating_mul(height).saturating_mul(width)
    }

    fn band(&self) -> u32 {
        self.groups * TILES as u32
    }

    /// Words of `filters` for a pair of outputs.
    #[inline(always)]
    pub fn pair_words(&self, pair: u32) -> u32 {
        let quad = if pair < self.transformed { QUAD_FILTERS } else { QUAD_WEIGHTS };
        NUMBERS as u32 + self.quads() * quad as u32
    }

    /// Words of `filters`.
    fn filter_words(&self) -> u32 {
        let further = self.transformed.saturating_mul(self.quads() * (QUAD_FILTERS - QUAD_WEIGHTS) as u32);
        self.pairs().saturating_mul(self.pair_words(u32::MAX)).saturating_add(further)
    }

    /// Words of scratch memory: starts of tiles, transformed inputs, products, and filters that are not transformed yet.
    #[inline(never)]
    fn scratch_words(&self) -> [u32; 4] {
        let filters = if self.transformed == self.pairs() { 0 } else { self.quads() * QUAD_FILTERS as u32 };
        let inputs = self.groups.saturating_mul(self.steps() * (PLACES * TILES) as u32);
        let [starts, products] = [TILES, GROUP_PRODUCTS].map(|words| self.groups.saturating_mul(words as u32));
        [starts, inputs, products, filters]
    }

    /// Bytes of a tile's inputs, and what the last word reads beyond them.
    fn patch_bytes(&self) -> u32 {
        ((PLACES - 1) as u32 * self.inputs + 4 * self.quads()).next_multiple_of(4)
    }

    /// Bytes of scratch memory.
    #[inline(never)]
    pub fn scratch_bytes(&self) -> u32 {
        let [starts, inputs, products, filters] = self.scratch_words().map(|words| words.saturating_mul(4));
        (starts + inputs).saturating_add(products.saturating_add(filters).max(self.patch_bytes()))
    }

    /// The kernel with the longest bands that take no more than `bytes` of scratch memory; `None` where one group takes more.
    /// All bands of a layer are of one length, or nearly so.
    pub fn in_bands(self, bytes: u32) -> Option<Self> {
        let all = self.tiles().div_ceil(TILES as u32);
        let of = |groups: u32| Self { groups, ..self };
        let most = (1..=all).take_while(|&groups| of(groups).scratch_bytes() <= bytes).last()?;
        Some(of(all.div_ceil(all.div_ceil(most))))
    }

    fn scratch<'a>(&self, memory: Memory<'a>, scratch: Operand) -> Scratch<'a> {
        let [starts, inputs, products, filters] = self.scratch_words().map(|words| words * 4);
        let part = |from: u32, bytes: u32| Operand::arena(scratch.offset().wrapping_add(from), bytes);
        let end = starts + inputs;
        Scratch {
            starts: memory.view_mut(part(0, starts)),
            inputs: memory.view_mut(part(starts, inputs)),
            products: memory.view_mut(part(end, products)),
            filters: memory.view_mut(part(end + products, filters)),
            patch: memory.view_mut(part(end, self.patch_bytes())),
        }
    }

    fn place(&self, tile: u32) -> Place {
        let [height, width] = self.window.output.map(|size| size.div_ceil(OUTPUTS as u32));
        let row = tile.checked_div(width).unwrap_or(0);
        let image = row.checked_div(height).unwrap_or(0);
        Place { image, y: (row - image * height) * OUTPUTS as u32, x: (tile - row * width) * OUTPUTS as u32 }
    }

    fn after(&self, Place { image, y, x }: Place) -> Place {
        let (right, below) = (x + OUTPUTS as u32, y + OUTPUTS as u32);
        let [height, width] = self.window.output;
        if right < width {
            Place { image, y, x: right }
        } else if below < height {
            Place { image, y: below, x: 0 }
        } else {
            Place { image: image + 1, y: 0, x: 0 }
        }
    }

    /// The number of a tile's first output cell.
    fn cell(&self, Place { image, y, x }: Place) -> usize {
        let [height, width] = self.window.output;
        ((image * height + y) * width + x) as usize
    }

    /// Whether outputs of a tile are outside.
    fn leaves(&self, Place { y, x, .. }: Place) -> bool {
        let [height, width] = self.window.output;
        y + OUTPUTS as u32 > height || x + OUTPUTS as u32 > width
    }

    /// The inputs of a tile: where they lie, or copied with their padding.
    #[inline(always)]
    fn tile<'a, I: Isa>(&self, place: Place, input: View<'a, i8>, patch: ViewMut<'a, i8>) -> Tile<'a> {
        let w = &self.window;
        let channels = self.inputs as usize;
        let [height, width] = w.input.map(|size| size as i32);
        let (top, left) = (place.y as i32 - w.padding[0] as i32, place.x as i32 - w.padding[1] as i32);
        let image = (place.image * w.input[0]) as i32;
        let cell = |y: i32, x: i32| ((image + y) * width + x) as usize * channels;
        let last = (height - INPUTS as i32, width - INPUTS as i32);
        if top >= 0 && left >= 0 && top <= last.0 && left <= last.1 {
            let start = cell(top, left);
            let tile = Tile { x: input.from(start), steps: [width as usize * channels, channels] };
            if tile.holds(self.steps()) {
                return tile;
            }
        }
        patch.iter().for_each(|byte| byte.set(self.padding_value));
        let (from, to) = (left.max(0), (left + INPUTS as i32).min(width));
        for row in 0..INPUTS as i32 {
            let y = top + row;
            if y >= 0 && y < height && from < to {
                let inside = (to - from) as usize * channels;
                let at = (row * INPUTS as i32 + from - left) as usize * channels;
                I::copy(input.slice(cell(y, from), inside), patch.slice(at, inside));
            }
        }
        Tile { x: patch.view(), steps: [INPUTS * channels, channels] }
    }

    /// The products of all groups of a band with the filters of two outputs.
    #[inline(always)]
    fn multiply<I: Isa>(&self, transformed: bool, filters: &[u32], scratch: &Scratch<'_>) {
        let filters = if transformed {
            View::of(filters)
        } else {
            I::winograd_filters(filters, scratch.filters);
            scratch.filters.view()
        };
        let (inputs, products) = (scratch.inputs.view(), scratch.products);
        I::winograd_products(Products { inputs, filters, products, steps: self.steps() });
    }

    /// Two outputs, `first` and the next, of all tiles of a band.
    #[inline(always)]
    fn write<I: Isa>(&self, numbers: &[u32; NUMBERS], scratch: &Scratch<'_>, band: &Band<'_>, first: usize) {
        let channels = self.outputs as usize;
        let steps = [self.window.output[1] as usize * channels, channels];
        let (zero, out, products) = (self.zero, band.out.from(first), scratch.products.view());
        for group in 0..(band.tiles as usize).div_ceil(TILES) {
            let (products, tile) = (products.from(group * GROUP_PRODUCTS), group * TILES);
            let starts = scratch.starts.view().slice(tile, (band.tiles as usize - tile).min(TILES));
            if starts.iter().any(|start| start == OUTSIDE) {
                let group = Band { first: band.first + tile as u32, tiles: starts.len() as u32, out: band.out };
                self.write_inside::<I>(numbers, products, &group, first);
            } else {
                I::winograd_outputs(Outputs { products, numbers, zero, out, starts, steps });
            }
        }
    }

    /// Two outputs of the tiles of a group some of whose outputs are outside.
    #[inline(never)]
    fn write_inside<I: Isa>(&self, numbers: &[u32; NUMBERS], products: View<'_, u32>, group: &Band<'_>, first: usize) {
        const TILE: usize = 2 * OUTPUTS * OUTPUTS;
        const STARTS: [u32; TILES] = [0, TILE as u32, 2 * TILE as u32, 3 * TILE as u32];
        let mut written = [0i8; TILES * TILE];
        let out = ViewMut::of(&mut written);
        let (zero, starts) = (self.zero, View::of(&STARTS).slice(0, group.tiles as usize));
        I::winograd_outputs(Outputs { products, numbers, zero, out, starts, steps: [2 * OUTPUTS, 2] });
        let mut place = self.place(group.first);
        for start in starts.iter() {
            self.crop(place, out.view().from(start as usize), group.out, first);
            place = self.after(place);
        }
    }

    /// Copies the outputs of a tile that are inside.
    fn crop(&self, Place { image, y, x }: Place, from: View<'_, i8>, out: ViewMut<'_, i8>, first: usize) {
        let [height, width] = self.window.output;
        for row in 0..(height - y).min(OUTPUTS as u32) {
            for column in 0..(width - x).min(OUTPUTS as u32) {
                let cell = self.cell(Place { image, y: y + row, x: x + column });
                let at = 2 * (row * OUTPUTS as u32 + column) as usize;
                (0..2).for_each(|i| out.set(cell * self.outputs as usize + first + i, from.at(at + i)));
            }
        }
    }
}

/// What is computed at a time.
struct Band<'a> {
    first: u32,
    tiles: u32,
    out: ViewMut<'a, i8>,
}

impl Kernel for WinogradConv2d {
    const OPCODE: u16 = 30;
    type Operands = [Operand; 4];

    fn valid(&self) -> bool {
        let w = &self.window;
        w.valid()
            && [w.kernel, w.stride, w.dilation] == [[3; 2], [1; 2], [1; 2]]
            && self.inputs.wrapping_sub(1) < 1 << 16
            && self.outputs.wrapping_sub(2) < 1 << 16
            && self.groups.wrapping_sub(1) < 1 << 16
            && self.transformed <= self.pairs()
            && self.scratch_bytes() <= 1 << 26
    }

    /// Bands.
    fn rows(&self) -> u32 {
        self.tiles().div_ceil(self.band())
    }

    fn effort(&self) -> Effort {
        let (groups, pairs, steps) = (self.groups, self.pairs(), self.steps());
        let tiles = product(&[groups, TILES as u32]);
        let filters = product(&[pairs - self.transformed, steps]);
        let row = [
            tiles,
            product(&[groups, TILES as u32, steps]),
            product(&[groups, TILES as u32, self.inputs]),
            pairs.into(),
            filters,
            product(&[groups, pairs]),
            product(&[groups, pairs, steps]),
        ];
        Effort::of_row(&row)
    }

    fn needs(&self) -> [Need; 4] {
        let w = &self.window;
        [
            Need::read::<i8>(&w.input_shape(self.inputs)),
            Need::constant::<u32>(&[self.filter_words()]),
            Need::write::<u32>(&[self.scratch_bytes() / 4]),
            Need::write::<i8>(&w.output_shape(self.outputs)),
        ]
    }

    #[inline(never)]
    fn run<I: Isa>(&self, rows: Range<u32>, memory: Memory<'_>, operands: &[Operand; 4]) {
        let [input, filters, scratch, out] = *operands;
        let input = memory.view::<i8>(input);
        let filters = memory.constants::<u32>(filters);
        let scratch = self.scratch(memory, scratch);
        let out = memory.view_mut::<i8>(out);
        let steps = self.steps();
        for row in rows {
            let first = row * self.band();
            let tiles = self.tiles().saturating_sub(first).min(self.band());
            let band = Band { first, tiles, out };
            let mut place = self.place(first);
            for tile in 0..tiles as usize {
                let group = tile / TILES * (steps as usize * PLACES * TILES);
                let to = scratch.inputs.from(group + tile % TILES);
                I::winograd_inputs(steps, self.tile::<I>(place, input, scratch.patch), to);
                let start = if self.leaves(place) { OUTSIDE } else { self.cell(place) as u32 * self.outputs };
                scratch.starts.set(tile, start);
                place = self.after(place);
            }
            let mut rest = filters;
            for pair in 0..self.pairs() {
                let Some((stream, others)) = rest.split_at_checked(self.pair_words(pair) as usize) else { return };
                let Some((numbers, filters)) = stream.split_first_chunk() else { return };
                self.multiply::<I>(pair < self.transformed, filters, &scratch);
                let first = (2 * pair).min(self.outputs - 2) as usize;
                self.write::<I>(numbers, &scratch, &band, first);
                rest = others;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::isa::paired::{FINE_SHIFT, Rounding, requantise};
    use crate::isa::winograd::{OFFSET, filter_word, halves, lanes, transformed};
    use crate::ops::testing::{Draw, Random, bytes, run, values};

    /// The stream of a layer.
    fn stream(kernel: &WinogradConv2d, weights: &[Vec<i8>], numbers: &[[i32; 3]]) -> Vec<i32> {
        let (inputs, steps) = (kernel.inputs as usize, kernel.steps());
        let weight = |o: usize, tap: usize, channel: u32| match (channel as usize) < inputs {
            true => weights[o][tap * inputs + channel as usize],
            false => 0,
        };
        let mut words: Vec<u32> = Vec::new();
        for pair in 0..kernel.pairs() as usize {
            let first = (2 * pair).min(kernel.outputs as usize - 2);
            for o in first..first + 2 {
                let sum: i32 = weights[o].iter().map(|&w| i32::from(w)).sum();
                let [bias, multiplier, correction] = numbers[o];
                words.extend([bias - 256 * OFFSET * sum, multiplier, correction].map(i32::cast_unsigned));
            }
            if pair >= kernel.transformed as usize {
                for (quad, o) in (0..steps / 2).flat_map(|quad| (first..first + 2).map(move |o| (quad, o))) {
                    words.extend((0..9).map(|tap| {
                        u32::from_le_bytes([0, 1, 2, 3].map(|i| weight(o, tap, 4 * quad + i).cast_unsigned()))
                    }));
                }
                continue;
            }
            let mut filters = vec![0; steps as usize * 2 * PLACES];
            for (step, output) in (0..steps).flat_map(|step| (0..2).map(move |output| (step, output))) {
                let lanes = lanes(step).map(|channel| {
                    let of = |y: usize, x: usize| i32::from(weight(first + output, 3 * y + x, channel));
                    transformed(core::array::from_fn(|y| core::array::from_fn(|x| of(y, x))))
                });
                for place in 0..PLACES {
                    let word = halves([0, 1].map(|i| lanes[i][place / INPUTS][place % INPUTS]));
                    filters[filter_word(steps, place, step, output)] = word;
                }
            }
            words.extend(filters);
        }
        words.into_iter().map(u32::cast_signed).collect()
    }

    #[test]
    fn is_the_formula() {
        let mut random = Random(5);
        for _ in 0..300 {
            let kernel = WinogradConv2d::draw(&mut random);
            let WinogradConv2d { window, inputs, outputs, .. } = kernel;
            let extreme = random.one_in(3);
            let mut some = |count: usize| match extreme {
                true => (0..count).map(|_| random.one_of([-128, -127, 127])).collect(),
                false => random.i8s(count),
            };
            let input = some(product(&window.input_shape(1)) as usize * inputs as usize);
            let weights: Vec<Vec<i8>> = (0..outputs).map(|_| some(9 * inputs as usize)).collect();
            let mut number = |_| {
                let correction = if random.one_in(2) { random.between(-1024, 256) } else { 0 };
                [random.between(-1 << 20, 1 << 20), random.between(1 << 20, 1 << 26), correction]
            };
            let numbers: Vec<[i32; 3]> = (0..outputs).map(&mut number).collect();
            let filters = stream(&kernel, &weights, &numbers);
            let rounding = Rounding { zero: kernel.zero, shift: FINE_SHIFT };
            let mut expected = Vec::new();
            for cell in 0..product(&window.output_shape(1)) as u32 {
                let (row, column) = (cell / window.output[1], cell % window.output[1]);
                let (image, y) = (row / window.output[0], row % window.output[0]);
                for o in 0..outputs as usize {
                    let mut sum = 0;
                    for (i, &weight) in weights[o].iter().enumerate() {
                        let (tap, channel) = (i as u32 / inputs, i % inputs as usize);
                        let [y, x] = [(0, y + tap / 3), (1, column + tap % 3)].map(|(axis, at)| {
                            at.checked_sub(window.padding[axis]).filter(|&at| at < window.input[axis])
                        });
                        let value = y.zip(x).map_or(kernel.padding_value, |(y, x)| {
                            let cell = (image * window.input[0] + y) * window.input[1] + x;
                            input[cell as usize * inputs as usize + channel]
                        });
                        sum += i32::from(value) * i32::from(weight);
                    }
                    let [bias, multiplier, correction] = numbers[o];
                    expected.push(requantise(256 * sum + bias, multiplier, correction, rounding));
                }
            }
            let found = run(&kernel, &[bytes(&input), bytes(&filters)]);
            assert_eq!(values::<i8>(&found), expected, "{kernel:?}");
        }
    }
}
