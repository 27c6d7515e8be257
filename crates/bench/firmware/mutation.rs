//! Damages a packed program: the same damage for the same seed, on every machine.

use rasbora_device::params::Field;
use rasbora_device::program::{HASHED_FROM, Header, hash};

/// Random numbers: xorshift64*.
pub struct Random(u64);

impl Random {
    /// Numbers that depend on `seed` alone.
    pub fn new(seed: u64) -> Self {
        // Seeds that differ little must give numbers that differ much, and the state must not be zero.
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        ((high * u64::from(limit)) >> 32) as u32
    }
}

/// Sizes and offsets that checks are likely to get wrong.
const NUMBERS: [u32; 12] = [0, 1, 2, 15, 16, 0xff, 0x100, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, 0xffff_ffff];

/// Damages `program`, the first `front` bytes of which say how the rest is read, in one to four places; with odd seeds
/// the hash is then made right again.
pub fn damage(program: &mut [u8], front: usize, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..1 + random.below(4) {
        // Most damage goes where the structure is; half of it keeps magic and version.
        let within = if random.below(8) == 0 { program.len() } else { front.min(program.len()) };
        let first = if random.below(2) == 0 { 0 } else { HASHED_FROM.min(within) };
        let at = first + random.below((within - first) as u32) as usize;
        let Some(place) = program.get_mut(at..) else { continue };
        damage_one(place, &mut random);
    }
    if seed & 1 == 1 {
        repair(program);
    }
}

fn damage_one(place: &mut [u8], random: &mut Random) {
    let number = match random.below(3) {
        0 => NUMBERS.get(random.below(NUMBERS.len() as u32) as usize).copied().unwrap_or_default(),
        1 => random.below(64),
        _ => random.below(u32::MAX),
    };
    match random.below(4) {
        0 => {
            if let Some(byte) = place.first_mut() {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => {
            if let Some(byte) = place.first_mut() {
                *byte = number as u8;
            }
        }
        2 => {
            if let Some(bytes) = place.first_chunk_mut() {
                *bytes = number.to_le_bytes();
            }
        }
        // A number that is nearly right.
        _ => {
            if let Some(bytes) = place.first_chunk_mut() {
                *bytes = u32::from_le_bytes(*bytes).wrapping_add(random.below(33)).wrapping_sub(16).to_le_bytes();
            }
        }
    }
}

/// Makes the hash right, as far as the header says what is hashed.
fn repair(program: &mut [u8]) {
    let Some(header) = Header::decode(program) else { return };
    let end = (header.bytes as usize).min(program.len());
    let hash = hash(program.get(HASHED_FROM..end).unwrap_or_default());
    Header { hash, ..header }.encode(program);
}
