//! What the audio front ends share: mel bands, and the tables of their fixed-point arithmetic.
//!
//! Bands are triangles between centres that are evenly spaced in `mel(f) = 1127 · ln(1 + f / 700)`, as TensorFlow's
//! `linear_to_mel_weight_matrix` makes them. Between two centres a bin is a part `w` of the upper band and `1 − w` of the
//! lower one, so one weight a bin says all.

use std::f64::consts::PI;

use rasbora_device::spectrum::{LOGARITHMS, ROOTS, halvings};

/// Mel bands over the bins of a transform.
pub struct Bands {
    /// First bin that a band has a part of.
    pub first: u32,
    /// Number of bins from the lower edge to the first centre, between two centres, and to the upper edge.
    pub counts: Vec<u8>,
    /// The part of each bin that the upper band has, in Q31.
    pub weights: Vec<i32>,
}

fn mel(hertz: f64) -> f64 {
    1127.0 * (hertz / 700.0).ln_1p()
}

impl Bands {
    /// `bands` bands from `low` to `high` Hz, over a transform of `points` samples at `rate` Hz.
    ///
    /// # Errors
    /// Where there are no bands, or more bins between two centres than the kernels count to.
    pub fn new(bands: usize, [low, high]: [f32; 2], rate: u32, points: u32) -> Result<Self, String> {
        let (low, high) = (mel(low.into()), mel(high.into()));
        let possible = (1..256).contains(&bands) && low.is_finite() && high.is_finite() && low < high && rate > 0;
        if !possible {
            return Err(format!(
                "wants {bands} bands between {low} and {high} mel at {rate} Hz: 1 to 255 are possible"
            ));
        }
        let width = (high - low) / (bands + 1) as f64;
        let mut made = Self { first: 0, counts: vec![0; bands + 1], weights: Vec::new() };
        for bin in 1..points / 2 {
            let place = (mel(f64::from(bin) * f64::from(rate) / f64::from(points)) - low) / width;
            if !(0.0..(bands + 1) as f64).contains(&place) {
                continue;
            }
            if made.first == 0 {
                made.first = bin;
            }
            let count = &mut made.counts[(place as usize).min(bands)];
            *count = count.checked_add(1).ok_or("has more than 255 bins between two centres of bands")?;
            made.weights.push(fixed(place.fract(), 31));
        }
        Ok(made)
    }
}

/// `x` with `bits` bits behind the point, saturated.
pub fn fixed(x: f64, bits: i32) -> i32 {
    (x * 2f64.powi(bits)).round() as i32
}

/// `e^(−2πi · j / points)` in Q31.
pub fn turn(j: usize, points: usize) -> [i32; 2] {
    let angle = -2.0 * PI * j as f64 / points as f64;
    [angle.cos(), angle.sin()].map(|x| fixed(x, 31))
}

/// The twiddle factors of the transform of 256 points: `[w, w², w³]` of each butterfly of each stage.
pub fn twiddles() -> Vec<i32> {
    let scaled = |points: usize, x: i32| x >> (halvings(points / 4) - 1);
    let of_stage = |points: usize| {
        let of_butterfly = move |j: usize| [1, 2, 3].map(|factor| turn(factor * j, points).map(|x| scaled(points, x)));
        (0..points / 4).flat_map(of_butterfly)
    };
    [16, 64, 256].into_iter().flat_map(of_stage).flatten().collect()
}

/// The table of moduli.
pub fn roots() -> [i32; ROOTS] {
    let value = |i: usize| (i as f64).sqrt() * 2f64.powf(26.5);
    std::array::from_fn(|i| {
        let slope = ((value(i + 1) - value(i)) / 32768.0).round();
        let upper = ((value(i) - slope) / 65536.0).round();
        // Before 2²⁸ there are no squares.
        if i < 32 { 0 } else { ((65536.0 * upper + slope) as u32).cast_signed() }
    })
}

/// The table of logarithms.
pub fn logarithms() -> [i32; LOGARITHMS] {
    let value = |i: usize| (65536.0 * (1.0 + i as f64 / 128.0).log2()) as u32;
    std::array::from_fn(|i| (value(i) << 16 | (value(i + 1) - value(i)) & 0xFFFF).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bin_is_in_one_or_two_bands() {
        let bands = Bands::new(40, [20.0, 4000.0], 16000, 512).unwrap();
        assert_eq!((bands.first, bands.weights.len()), (1, 127));
        assert_eq!(bands.counts.iter().map(|&count| usize::from(count)).sum::<usize>(), 127);
        let wide = Bands::new(40, [0.0, 8000.0], 16000, 1024).unwrap();
        assert_eq!((wide.first, wide.weights.len()), (1, 511));
        assert!(Bands::new(0, [20.0, 4000.0], 16000, 512).is_err());
        assert!(Bands::new(40, [4000.0, 20.0], 16000, 512).is_err());
        assert!(Bands::new(40, [20.0, f32::NAN], 16000, 512).is_err());
    }
}
