//! Raw bytes, little-endian, without a header: the input's own type, just as long as the input.

use super::{Array, Signature, Values};
use rasbora_compiler::graph::DType;

/// Takes the bytes as elements of `wanted`; the length decides whether they fit.
pub fn read(bytes: &[u8], wanted: &Signature) -> Result<Array, String> {
    let length = wanted.elements() * wanted.dtype.bytes() as usize;
    if bytes.len() != length {
        return Err(format!("{wanted} is {length} bytes, but the file has {}", bytes.len()));
    }
    let words = || bytes.as_chunks::<4>().0.iter();
    let values = match wanted.dtype {
        DType::I8 => Values::I8(bytes.iter().map(|byte| byte.cast_signed()).collect()),
        DType::U8 => Values::U8(bytes.to_vec()),
        DType::I32 => Values::I32(words().map(|&word| i32::from_le_bytes(word)).collect()),
        DType::I16 => Values::I16(bytes.as_chunks().0.iter().map(|&half| i16::from_le_bytes(half)).collect()),
        DType::F32 => Values::F32(words().map(|&word| f32::from_le_bytes(word)).collect()),
    };
    Ok(Array { shape: None, values })
}
