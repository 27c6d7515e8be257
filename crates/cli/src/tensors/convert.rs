//! An array made to fit an input: `integer = clamp(round(real / scale) + zero_point)`, rounding half away from zero.
//!
//! Data of the input's type pass as they are; whatever else happens to them is told.

use rasbora_compiler::graph::{DType, bytes_of, dtype_name};

use super::{Array, Misfit, Signature, Values};
use crate::screen;

/// The code of sizes that do not fit.
pub const WRONG_SHAPE: &str = "wrong_shape";

/// The bytes of an input, and what was done to the data, in words.
#[derive(Clone, PartialEq, Debug)]
pub struct Fitted {
    /// Little-endian elements, row-major.
    pub bytes: Vec<u8>,
    /// What was done.
    pub done: String,
}

/// Makes `array` of `file` fit the input.
///
/// # Errors
/// Where shape, type or a value does not fit.
pub fn fit(array: &Array, file: &str, wanted: &Signature) -> Result<Fitted, Box<Misfit>> {
    let axes = check_shape(array, file, wanted)?;
    let (bytes, done) = match (&array.values, wanted.dtype) {
        (Values::I8(values), DType::I8) => (bytes_of(values.iter().copied()), "as it is".into()),
        (Values::U8(values), DType::U8) => (values.clone(), "as it is".into()),
        (Values::I32(values), DType::I32) => (bytes_of(values.iter().copied()), "as it is".into()),
        (Values::I16(values), DType::I16) => (bytes_of(values.iter().copied()), "as it is".into()),
        (Values::F32(values), DType::F32) => (bytes_of(values.iter().copied()), "as it is".into()),
        (Values::F64(values), DType::F32) => {
            (bytes_of(values.iter().map(|&value| value as f32)), "float64 rounded to float32".into())
        }
        (Values::Whole(values), DType::F32) => {
            (bytes_of(values.iter().map(|&value| value as f32)), "numbers taken as float32".into())
        }
        (Values::Whole(values), _) => whole(values, file, wanted)?,
        (Values::F32(values), DType::I8 | DType::U8 | DType::I16) => quantise(values, file, wanted)?,
        (Values::F64(values), DType::I8 | DType::U8 | DType::I16) => {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            quantise(&values, file, wanted)?
        }
        _ => return Err(wrong_dtype(array, file, wanted)),
    };
    let done = if axes.is_empty() { done } else { format!("{done}, {axes}") };
    Ok(Fitted { bytes, done })
}

/// Whether the sizes agree, but for leading axes of size 1; says in words what was done to them.
fn check_shape(array: &Array, file: &str, wanted: &Signature) -> Result<String, Box<Misfit>> {
    let Some(found) = &array.shape else {
        let count = array.values.len().unwrap_or_default();
        let help = format!("give {} numbers, row by row", screen::number(wanted.elements() as u64));
        return if count == wanted.elements() {
            Ok(String::new())
        } else {
            let found = format!("holds {} numbers", screen::number(count as u64));
            Err(wanted.misfit(WRONG_SHAPE, file, found, help))
        };
    };
    if *found == wanted.shape {
        return Ok(String::new());
    }
    if without_ones(found) == without_ones(&wanted.shape) {
        return Ok(format!("{} taken as {}", screen::shape(found), screen::shape(&wanted.shape)));
    }
    let sizes = screen::shape(&wanted.shape);
    let help = if found.iter().product::<usize>() == wanted.elements() {
        format!("the number of elements agrees: save it after .reshape({sizes})")
    } else {
        format!("give an array of shape {sizes}")
    };
    let found = format!("holds {} {}", array.values.dtype(), screen::shape(found));
    Err(wanted.misfit(WRONG_SHAPE, file, found, help))
}

fn without_ones(shape: &[usize]) -> &[usize] {
    let ones = shape.iter().take_while(|&&size| size == 1).count();
    &shape[ones..]
}

fn wrong_dtype(array: &Array, file: &str, wanted: &Signature) -> Box<Misfit> {
    let own = dtype_name(wanted.dtype);
    let help = match (wanted.dtype, wanted.quantisation) {
        (DType::I8 | DType::U8 | DType::I16, Some(_)) => {
            format!(
                "save .astype(np.{own}) for values that are quantised already, or .astype(np.float32) for real values"
            )
        }
        _ => format!("save .astype(np.{own})"),
    };
    wanted.misfit("wrong_dtype", file, format!("holds {}", array.values.dtype()), help)
}

fn wrong_value(wanted: &Signature, file: &str, index: usize, value: &str, help: &str) -> Box<Misfit> {
    wanted.misfit("wrong_value", file, format!("has {value} as value {index}"), help)
}

fn whole(values: &[i64], file: &str, wanted: &Signature) -> Result<(Vec<u8>, String), Box<Misfit>> {
    let range = match wanted.dtype {
        DType::I8 => i64::from(i8::MIN)..=i64::from(i8::MAX),
        DType::U8 => 0..=i64::from(u8::MAX),
        DType::I16 => i64::from(i16::MIN)..=i64::from(i16::MAX),
        DType::I32 | DType::F32 => i64::from(i32::MIN)..=i64::from(i32::MAX),
    };
    if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| !range.contains(value)) {
        let help = "whole numbers are taken as they are; write at least one with a decimal point to have all quantised";
        return Err(wrong_value(wanted, file, index, &value.to_string(), help));
    }
    let size = wanted.dtype.bytes() as usize;
    let bytes = values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(size)).collect();
    Ok((bytes, format!("whole numbers taken as {}", dtype_name(wanted.dtype))))
}

fn quantise(values: &[f32], file: &str, wanted: &Signature) -> Result<(Vec<u8>, String), Box<Misfit>> {
    let Some((scale, zero_point)) = wanted.quantisation else {
        let floats = Array { shape: None, values: Values::F32(Vec::new()) };
        return Err(wrong_dtype(&floats, file, wanted));
    };
    if let Some((index, value)) = values.iter().enumerate().find(|(_, value)| value.is_nan()) {
        return Err(wrong_value(wanted, file, index, &value.to_string(), "a quantised input cannot hold it"));
    }
    let (bytes, saturated) = quantised(values, wanted.dtype, scale, zero_point);
    let mut done = format!("floats quantised with scale {scale}, zero point {zero_point}");
    if saturated > 0 {
        done += &format!(" ({} of {} values out of range, saturated)", screen::number(saturated), values.len());
    }
    Ok((bytes, done))
}

/// The quantised bytes, and how many values were out of range.
pub fn quantised(values: &[f32], dtype: DType, scale: f32, zero_point: i32) -> (Vec<u8>, u64) {
    let (low, high) = match dtype {
        DType::U8 => (0.0, 255.0),
        DType::I16 => (f64::from(i16::MIN), f64::from(i16::MAX)),
        _ => (-128.0, 127.0),
    };
    let mut saturated = 0;
    let bytes = values
        .iter()
        .flat_map(|value| {
            let integer = f64::from((value / scale).round()) + f64::from(zero_point);
            saturated += u64::from(integer < low || integer > high);
            // The low bytes are the element, whatever its sign.
            (integer.clamp(low, high) as i32).to_le_bytes().into_iter().take(dtype.bytes() as usize)
        })
        .collect();
    (bytes, saturated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(dtype: DType, quantisation: Option<(f32, i32)>) -> Signature {
        Signature { name: "x".into(), shape: vec![1, 3], dtype, quantisation }
    }

    fn array(shape: &[usize], values: Values) -> Array {
        Array { shape: Some(shape.to_vec()), values }
    }

    #[test]
    fn halves_round_away_from_zero_and_ends_saturate() {
        let floats = array(&[1, 3], Values::F32(vec![0.25, -0.25, 1000.0]));
        let fitted = fit(&floats, "f", &wants(DType::I8, Some((0.5, 3)))).unwrap();
        assert_eq!(fitted.bytes, [4, 2, 127]);
        assert!(fitted.done.contains("1 of 3 values out of range"), "{}", fitted.done);
        let infinite = array(&[1, 3], Values::F32(vec![f32::INFINITY, f32::NEG_INFINITY, 0.0]));
        assert_eq!(fit(&infinite, "f", &wants(DType::U8, Some((0.5, 3)))).unwrap().bytes, [255, 0, 3]);
        assert_eq!(fit(&infinite, "f", &wants(DType::I16, Some((0.5, 0)))).unwrap().bytes, [255, 127, 0, 128, 0, 0]);
    }

    #[test]
    fn a_missing_batch_axis_is_told() {
        let fitted = fit(&array(&[3], Values::I8(vec![1, 2, 3])), "f", &wants(DType::I8, None)).unwrap();
        assert_eq!(fitted, Fitted { bytes: vec![1, 2, 3], done: "as it is, [3] taken as [1, 3]".into() });
    }

    #[test]
    fn other_shapes_and_types_are_refused() {
        let wanted = wants(DType::I8, Some((0.5, 0)));
        let shape = fit(&array(&[3, 1], Values::I8(vec![1, 2, 3])), "f", &wanted).unwrap_err();
        assert_eq!(shape.to_string(), "input 'x' wants int8 [1, 3], but 'f' holds int8 [3, 1]");
        let dtype = fit(&array(&[1, 3], Values::U8(vec![1, 2, 3])), "f", &wanted).unwrap_err();
        assert_eq!(dtype.to_string(), "input 'x' wants int8 [1, 3], but 'f' holds uint8");
        let foreign = fit(&array(&[1, 3], Values::Foreign("int64".into())), "f", &wanted).unwrap_err();
        assert!(foreign.to_string().contains("int64"));
        let float = fit(&array(&[1, 3], Values::I8(vec![1, 2, 3])), "f", &wants(DType::F32, None));
        assert!(float.is_err());
    }

    #[test]
    fn values_that_do_not_fit_are_refused() {
        let wanted = wants(DType::I8, Some((0.5, 0)));
        let text = Array { shape: None, values: Values::Whole(vec![1, 2, 300]) };
        assert!(fit(&text, "f", &wanted).unwrap_err().to_string().ends_with("'f' has 300 as value 2"));
        let nan = array(&[1, 3], Values::F32(vec![0.0, f32::NAN, 0.0]));
        assert!(fit(&nan, "f", &wanted).unwrap_err().to_string().ends_with("'f' has NaN as value 1"));
        let few = Array { shape: None, values: Values::Whole(vec![1]) };
        assert!(fit(&few, "f", &wanted).unwrap_err().to_string().ends_with("holds 1 numbers"));
    }

    #[test]
    fn whole_numbers_keep_their_sign() {
        let text = Array { shape: None, values: Values::Whole(vec![-1, -128, 127]) };
        assert_eq!(fit(&text, "f", &wants(DType::I8, None)).unwrap().bytes, [255, 128, 127]);
        assert_eq!(fit(&text, "f", &wants(DType::I32, None)).unwrap().bytes.len(), 12);
    }
}
