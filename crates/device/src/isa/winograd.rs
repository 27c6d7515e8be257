//! Winograd's convolution F(4×4, 3×3) in integers: 36 products for the 16 outputs of a tile, where the sum has 144.
//!
//! With `B`, `G` and `A` of the points 0, ±1, ±2 and ∞, `576 · y = F ⊙ Aᵀ·[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]·A` for a 3×3 filter `g` and the 6×6
//! inputs `d` of a tile: all matrices have integers alone, and `F = f·fᵀ` with `f = (1, 2, 4, 4)`. Inputs are taken as `x + 128`,
//! in 0..=255, so `|Bᵀ·d·B| ≤ 100 · 255` and `|G·g·Gᵀ| ≤ 49 · 128`: both fit into 16 bits. The sums of their products wrap, and so
//! does all that follows: 4/9 of the result, by the inverse of 9 modulo 2³², is `256 · y`, scaled as the sums of
//! [`paired`](super::paired) are, and exact wherever that has 32 bits. Requantisation is theirs, with the fine shift.
//!
//! **Layout.** Four channels are a quad and two steps, each two channels in the halves of a word: 0 and 2, 1 and 3. What is at
//! `(r, c)` of the 6×6 places of a tile lies, in words:
//! - inputs of a group of four tiles: `[r][step][c][tile]`;
//! - filters of two outputs: `[r][quad][c][step of the quad][output]`;
//! - products of a group and two outputs: `[r][c][output][tile]`.
//!
//! Filters that are not transformed yet have `[quad][output][tap]`, a word of four channels each.

use crate::isa::paired::{FINE_SHIFT, Rounding, requantise};
use crate::memory::{View, ViewMut};

/// Tiles of a group.
pub const TILES: usize = 4;
/// Rows and columns of outputs of a tile.
pub const OUTPUTS: usize = 4;
/// Rows and columns of inputs of a tile.
pub const INPUTS: usize = OUTPUTS + 2;
/// Places of a transformed tile.
pub const PLACES: usize = INPUTS * INPUTS;
/// Words of a group's products.
pub const GROUP_PRODUCTS: usize = PLACES * 2 * TILES;
/// Words of a quad of two outputs' filters, transformed.
pub const QUAD_FILTERS: usize = PLACES * 4;
/// Words of a quad of two outputs' filters that are not.
pub const QUAD_WEIGHTS: usize = 2 * 9;
/// Words of two outputs' biases, multipliers and corrections.
pub const NUMBERS: usize = 6;
/// What brings `576 · y` to `256 · y`: `4 · 9⁻¹` modulo 2³².
pub const DESCALE: u32 = 0xe38e_38e4;
/// What is added to each input.
pub const OFFSET: i32 = 128;

/// The inputs of a tile, where they lie.
#[derive(Clone, Copy)]
pub struct Tile<'a> {
    /// From the first input on.
    pub x: View<'a, i8>,
    /// Distances of rows and of columns.
    pub steps: [usize; 2],
}

impl Tile<'_> {
    /// Whether all words of so many steps are inside.
    #[inline(always)]
    pub fn holds(&self, steps: u32) -> bool {
        let last = (self.steps[0] + self.steps[1]).saturating_mul(INPUTS - 1);
        last.saturating_add(2 * steps as usize) <= self.x.len()
    }
}

/// Where the inputs of one tile are written, among those of its group.
#[inline(always)]
pub fn inputs_fit(steps: u32, to: ViewMut<'_, u32>) -> bool {
    steps > 0 && steps.is_multiple_of(2) && to.len() >= steps as usize * PLACES * TILES - (TILES - 1)
}

/// Products of all groups of a band with the filters of two outputs.
#[derive(Clone, Copy)]
pub struct Products<'a> {
    /// Inputs of all groups.
    pub inputs: View<'a, u32>,
    /// Filters.
    pub filters: View<'a, u32>,
    /// Products of all groups.
    pub products: ViewMut<'a, u32>,
    /// Steps of the layer.
    pub steps: u32,
}

impl Products<'_> {
    /// Groups of the band; 0 where the lengths do not fit.
    #[inline(always)]
    pub fn groups(&self) -> usize {
        let (groups, steps) = (self.products.len() / GROUP_PRODUCTS, self.steps as usize);
        let even = steps > 0 && steps.is_multiple_of(2);
        let fits = self.filters.len() / (2 * PLACES) >= steps && self.inputs.len() / (PLACES * TILES) >= groups * steps;
        if even && fits { groups } else { 0 }
    }
}

/// Two outputs of the tiles of a group.
#[derive(Clone, Copy)]
pub struct Outputs<'a> {
    /// The group's products.
    pub products: View<'a, u32>,
    /// Biases, multipliers and corrections.
    pub numbers: &'a [u32; NUMBERS],
    /// See [`Paired::zero`](super::Paired::zero).
    pub zero: i32,
    /// Where the outputs go: two channels of 4×4 cells for each tile.
    pub out: ViewMut<'a, i8>,
    /// The first output of each tile, in `out`.
    pub starts: View<'a, u32>,
    /// Distances of rows and of columns.
    pub steps: [usize; 2],
}

impl Outputs<'_> {
    /// Whether there are the products of a group, and one to four tiles whose outputs are inside.
    #[inline(always)]
    pub fn fit(&self) -> bool {
        let last = (self.steps[0] + self.steps[1]).saturating_mul(OUTPUTS - 1).saturating_add(2);
        let room = self.out.len().checked_sub(last);
        let inside = |start: u32| room.is_some_and(|room| start as usize <= room);
        let tiles = (1..=TILES).contains(&self.starts.len());
        self.products.len() >= GROUP_PRODUCTS && tiles && self.starts.iter().all(inside)
    }
}

/// `Bᵀ·d`.
const fn of_inputs(d: [i32; INPUTS]) -> [i32; INPUTS] {
    let [d0, d1, d2, d3, d4, d5] = d;
    let (even, odd, far, near) = (d4 - 4 * d2, d3 - 4 * d1, d4 - d2, 2 * (d3 - d1));
    [4 * d0 - 5 * d2 + d4, even + odd, even - odd, far + near, far - near, 4 * d1 - 5 * d3 + d5]
}

/// `G·g`.
const fn of_filter([g0, g1, g2]: [i32; 3]) -> [i32; INPUTS] {
    let (near, far) = (g0 + g2, g0 + 4 * g2);
    [g0, near + g1, near - g1, far + 2 * g1, far - 2 * g1, g2]
}

/// `Aᵀ·m`.
const fn of_products(m: [u32; INPUTS]) -> [u32; OUTPUTS] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (near, far) = (m1.wrapping_add(m2), m3.wrapping_add(m4));
    let (near_odd, far_odd) = (m1.wrapping_sub(m2), m3.wrapping_sub(m4));
    [
        far.wrapping_add(m0.wrapping_mul(6)).wrapping_sub(near.wrapping_mul(4)),
        far_odd.wrapping_sub(near_odd.wrapping_mul(2)),
        far.wrapping_sub(near),
        far_odd.wrapping_mul(2).wrapping_sub(near_odd).wrapping_add(m5.wrapping_mul(6)),
    ]
}

/// `f`.
const FACTORS: [u32; OUTPUTS] = [1, 2, 4, 4];

/// `transform` of all columns, then of all rows.
fn both_ways<T: Copy + Default, const N: usize, const M: usize>(
    of: [[T; N]; N],
    transform: impl Fn([T; N]) -> [T; M],
) -> [[T; M]; M] {
    let columns: [[T; M]; N] =
        core::array::from_fn(|c| transform(of.map(|row| row.get(c).copied().unwrap_or_default())));
    core::array::from_fn(|r| transform(columns.map(|column| column.get(r).copied().unwrap_or_default())))
}

/// A filter, transformed.
pub fn transformed(filter: [[i32; 3]; 3]) -> [[i32; INPUTS]; INPUTS] {
    both_ways(filter, of_filter)
}

/// The channels of a quad in the halves of a word of step `step`.
pub const fn lanes(step: u32) -> [u32; 2] {
    let first = 4 * (step / 2) + step % 2;
    [first, first + 2]
}

/// Two numbers of 16 bits as the halves of a word.
pub const fn halves([low, high]: [i32; 2]) -> u32 {
    low as u16 as u32 | (high as u32) << 16
}

/// Transforms the inputs of a tile.
pub fn inputs(steps: u32, tile: Tile<'_>, to: ViewMut<'_, u32>) {
    if !inputs_fit(steps, to) || !tile.holds(steps) {
        return;
    }
    for step in 0..steps {
        let lanes = lanes(step).map(|channel| {
            let input = |y: usize, x: usize| {
                i32::from(tile.x.at(y * tile.steps[0] + x * tile.steps[1] + channel as usize)) + OFFSET
            };
            let d = core::array::from_fn(|y| core::array::from_fn(|x| input(y, x)));
            both_ways(d, of_inputs)
        });
        for place in 0..PLACES {
            let (r, c) = (place / INPUTS, place % INPUTS);
            let at = ((r * steps as usize + step as usize) * INPUTS + c) * TILES;
            to.set(at, halves(lanes.each_ref().map(|lane| at_place(lane, r, c))));
        }
    }
}

fn at_place<T: Copy + Default, const N: usize>(of: &[[T; N]; N], r: usize, c: usize) -> T {
    of.get(r).and_then(|row| row.get(c)).copied().unwrap_or_default()
}

/// Where among the filters of `steps` steps the word of a place, step and output is.
pub const fn filter_word(steps: u32, place: usize, step: u32, output: usize) -> usize {
    let (r, c) = (place / INPUTS, place % INPUTS);
    let quad = r * (steps / 2) as usize + (step / 2) as usize;
    (quad * INPUTS + c) * 4 + 2 * (step % 2) as usize + output
}

/// Transforms the filters of two outputs.
pub fn filters(weights: &[u32], to: ViewMut<'_, u32>) {
    let quads = weights.len() / QUAD_WEIGHTS;
    if to.len() / QUAD_FILTERS < quads {
        return;
    }
    let steps = 2 * quads as u32;
    for step in 0..steps {
        for output in 0..2 {
            let first = QUAD_WEIGHTS * (step / 2) as usize + 9 * output;
            let lanes = lanes(step).map(|channel| {
                let weight = |tap: usize| {
                    let word = weights.get(first + tap).copied().unwrap_or_default();
                    i32::from((word >> (8 * (channel % 4))) as i8)
                };
                transformed(core::array::from_fn(|y| core::array::from_fn(|x| weight(3 * y + x))))
            });
            for place in 0..PLACES {
                let (r, c) = (place / INPUTS, place % INPUTS);
                let word = halves(lanes.each_ref().map(|lane| at_place(lane, r, c)));
                to.set(filter_word(steps, place, step, output), word);
            }
        }
    }
}

/// Both products of halves, added to `sum`.
const fn multiply_add(a: u32, b: u32, sum: u32) -> u32 {
    let low = a as i16 as i32 * b as i16 as i32;
    let high = (a >> 16) as i16 as i32 * (b >> 16) as i16 as i32;
    sum.wrapping_add(low as u32).wrapping_add(high as u32)
}

/// The products of all groups.
pub fn products(call: Products<'_>) {
    for group in 0..call.groups() {
        for place in 0..PLACES {
            let (r, c) = (place / INPUTS, place % INPUTS);
            for (output, tile) in (0..2).flat_map(|output| (0..TILES).map(move |tile| (output, tile))) {
                let at = (group * PLACES + place) * 2 * TILES + output * TILES + tile;
                let product = |sum: u32, step: u32| {
                    let row = (group * INPUTS + r) * call.steps as usize + step as usize;
                    let input = call.inputs.at((row * INPUTS + c) * TILES + tile);
                    multiply_add(input, call.filters.at(filter_word(call.steps, place, step, output)), sum)
                };
                call.products.set(at, (0..call.steps).fold(0, product));
            }
        }
    }
}

/// The outputs of a group's tiles.
pub fn outputs(call: Outputs<'_>) {
    if !call.fit() {
        return;
    }
    let factor = |i: usize| FACTORS.get(i).copied().unwrap_or_default();
    for (tile, start) in call.starts.iter().enumerate() {
        for output in 0..2 {
            let [bias, multiplier, correction] =
                core::array::from_fn(|i| call.numbers.get(3 * output + i).copied().unwrap_or_default().cast_signed());
            let product = |r: usize, c: usize| call.products.at((r * INPUTS + c) * 2 * TILES + output * TILES + tile);
            let m = core::array::from_fn(|r| core::array::from_fn(|c| product(r, c)));
            let y = both_ways::<u32, INPUTS, OUTPUTS>(m, of_products);
            for (row, column) in (0..OUTPUTS).flat_map(|row| (0..OUTPUTS).map(move |column| (row, column))) {
                let scale = DESCALE.wrapping_mul(factor(row) * factor(column));
                let sum = at_place(&y, row, column).wrapping_mul(scale).cast_signed().wrapping_add(bias);
                let rounding = Rounding { zero: call.zero, shift: FINE_SHIFT };
                let at = start as usize + row * call.steps[0] + column * call.steps[1] + output;
                call.out.set(at, requantise(sum, multiplier, correction, rounding));
            }
        }
    }
}
