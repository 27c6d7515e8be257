//! What MLPerf Tiny's runner sends made a network's input, and the network's output made what the runner is told.
//!
//! Plain Rust, the same on the board and on the host, so that both tell the same results.

/// What the runner sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sent {
    /// The network's own bytes.
    Quantised,
    /// Colours of pixels, unsigned; the network takes them less 128.
    Pixels,
    /// Little-endian floats of 32 bits, to be quantised.
    Floats(Affine),
}

/// What the runner is told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    /// Each value of the output.
    Values(Affine),
    /// The mean square of the difference between output and input.
    Error(Affine),
}

/// `real = (integer - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// The step.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

impl Affine {
    fn real(self, byte: u8) -> f32 {
        (i32::from(byte.cast_signed()) - self.zero_point) as f32 * self.scale
    }

    /// Halves go away from zero, as C's `round` has them.
    fn integer(self, real: f32) -> u8 {
        let steps = f64::from(real / self.scale);
        let rounded = (steps + if steps < 0.0 { -0.5 } else { 0.5 }) as i32;
        (rounded.saturating_add(self.zero_point).clamp(-128, 127) as i8).cast_unsigned()
    }
}

impl Sent {
    /// The bytes that the runner sends for an input of `elements`.
    pub const fn bytes(self, elements: usize) -> usize {
        match self {
            Self::Quantised | Self::Pixels => elements,
            Self::Floats(_) => 4 * elements,
        }
    }

    /// Fills the network's input, unless the number of bytes is wrong.
    pub fn fill(self, sent: &[u8], input: &mut [u8]) -> bool {
        if sent.len() != self.bytes(input.len()) {
            return false;
        }
        match self {
            Self::Quantised => sent.iter().zip(input).for_each(|(&byte, place)| *place = byte),
            Self::Pixels => sent.iter().zip(input).for_each(|(&byte, place)| *place = byte ^ 0x80),
            Self::Floats(affine) => floats(sent).zip(input).for_each(|(real, place)| *place = affine.integer(real)),
        }
        true
    }
}

impl Told {
    /// Value `index` of what the runner is told.
    pub fn value(self, sent: &[u8], output: &[u8], index: usize) -> Option<f32> {
        match self {
            Self::Values(affine) => output.get(index).map(|&byte| affine.real(byte)),
            Self::Error(affine) if index == 0 => {
                let differences = floats(sent).zip(output).map(|(real, &byte)| affine.real(byte) - real);
                Some(differences.map(|difference| difference * difference).sum::<f32>() / output.len() as f32)
            }
            Self::Error(_) => None,
        }
    }
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|bytes| {
        let word = bytes.iter().rev().fold(0, |word, &byte| (word << 8) | u32::from(byte));
        f32::from_bits(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: Affine = Affine { scale: 0.5, zero_point: 3 };

    #[test]
    fn what_is_sent_becomes_the_input() {
        let mut input = [0; 3];
        assert!(Sent::Quantised.fill(&[1, 2, 255], &mut input));
        assert_eq!(input, [1, 2, 255]);
        assert!(Sent::Pixels.fill(&[0, 128, 255], &mut input));
        assert_eq!(input.map(u8::cast_signed), [-128, 0, 127]);
        let floats = [0.25f32, -0.25, 1e9].map(f32::to_le_bytes).concat();
        assert!(Sent::Floats(STEPS).fill(&floats, &mut input));
        assert_eq!(input.map(u8::cast_signed), [4, 2, 127]);
        assert!(!Sent::Floats(STEPS).fill(&floats[1..], &mut input) && !Sent::Pixels.fill(&[0; 2], &mut input));
    }

    #[test]
    fn what_is_told_is_real() {
        let output = [3, 5, 1];
        let told = |told: Told, sent: &[u8]| -> Vec<f32> {
            (0..).map_while(|index| told.value(sent, &output, index)).collect()
        };
        assert_eq!(told(Told::Values(STEPS), &[]), [0.0, 1.0, -1.0]);
        let sent = [0.0f32, 0.0, 1.0].map(f32::to_le_bytes).concat();
        assert_eq!(told(Told::Error(STEPS), &sent), [5.0 / 3.0]);
    }
}
