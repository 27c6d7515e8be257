//! Plain Rust, for any core, and the reference that every other instruction set is held to.

use super::Isa;
use crate::memory::View;

/// Plain Rust.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

impl Isa for Portable {
    #[inline(always)]
    fn dot(input: View<'_, i8>, weights: &[i8]) -> i32 {
        input.iter().zip(weights).fold(0i32, |sum, (x, &w)| sum.wrapping_add(i32::from(x) * i32::from(w)))
    }

    #[inline(always)]
    fn dot4(input: View<'_, i8>, [w0, w1, w2, w3]: [&[i8]; 4]) -> [i32; 4] {
        let weights = w0.iter().zip(w1).zip(w2).zip(w3);
        input.iter().zip(weights).fold([0i32; 4], |[s0, s1, s2, s3], (x, (((w0, w1), w2), w3))| {
            let x = i32::from(x);
            [
                s0.wrapping_add(x * i32::from(*w0)),
                s1.wrapping_add(x * i32::from(*w1)),
                s2.wrapping_add(x * i32::from(*w2)),
                s3.wrapping_add(x * i32::from(*w3)),
            ]
        })
    }
}
