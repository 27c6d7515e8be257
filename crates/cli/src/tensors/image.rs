//! Pictures: what the pixel `p`, 0 to 255, is as a number of the input.
//!
//! A uint8 input takes `p` itself. Elsewhere the real value is `p / 255` where the input is float or its scale is below
//! 0.02, and `p` where its scale is about 1; `(p − mean) / std` where those are given.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageReader, imageops::FilterType};
use rasbora_compiler::graph::{DType, bytes_of};

use super::convert::{Fitted, WRONG_SHAPE, quantised};
use super::{Misfit, Signature};
use crate::screen;

/// Below this scale, 256 steps cover a range of about 0 to 1 or −1 to 1, so pixels must have been divided.
const UNIT_SCALE: f32 = 0.02;

/// Scales that are about 1: 256 steps cover 0 to 255.
const PIXEL_SCALES: std::ops::RangeInclusive<f32> = 0.9..=1.1;

const NO_SCALE: &str = "the input has no scale: give it as .npy";

/// What the user says about pictures.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Pixels {
    /// Whether a picture of other sizes is resized.
    pub resize: bool,
    /// What is taken from each pixel: one number, or one a channel.
    pub mean: Vec<f32>,
    /// What it is then divided by.
    pub std: Vec<f32>,
}

/// Decodes a PNG or JPEG file, upright.
pub fn read(bytes: &[u8]) -> Result<DynamicImage, String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    let orientation = decoder.orientation().map_err(|error| error.to_string())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Makes a picture fit the input.
///
/// # Errors
/// Where the input is no picture, the sizes differ, or the pixels' meaning is not clear.
pub fn fit(picture: &DynamicImage, file: &str, wanted: &Signature, how: &Pixels) -> Result<Fitted, Box<Misfit>> {
    let (height, width, channels) = frame(wanted, picture).ok_or_else(|| {
        let found = format!("is a picture of {}×{} pixels", picture.width(), picture.height());
        let help = "a picture fits an input [1, height, width, 1 or 3]; give other inputs as .npy";
        wanted.misfit(WRONG_SHAPE, file, found, help)
    })?;
    let mut done = Vec::new();
    let mut picture = std::borrow::Cow::Borrowed(picture);
    if (picture.width(), picture.height()) != (width, height) {
        let sizes = format!("{}×{} pixels", picture.width(), picture.height());
        if !how.resize {
            let help = format!("add --resize to have it resized to {width}×{height}");
            return Err(wanted.misfit(WRONG_SHAPE, file, format!("is a picture of {sizes}"), help));
        }
        done.push(format!("{sizes} resized to {width}×{height}, bilinear"));
        picture = std::borrow::Cow::Owned(picture.resize_exact(width, height, FilterType::Triangle));
    }
    if picture.color().channel_count() != channels {
        done.push(format!("{} to {}", colours(picture.color().channel_count()), colours(channels)));
    }
    let pixels = if channels == 1 { picture.to_luma8().into_raw() } else { picture.to_rgb8().into_raw() };
    let (bytes, meaning) = numbers(&pixels, channels.into(), file, wanted, how)?;
    done.push(meaning);
    Ok(Fitted { bytes, done: done.join(", ") })
}

fn colours(channels: u8) -> &'static str {
    match channels {
        1 => "grey",
        2 => "grey with alpha",
        3 => "RGB",
        _ => "RGB with alpha",
    }
}

/// Height, width and channels of the picture that an input takes: `[1, h, w, c]`, `[h, w, c]`, `[1, h, w]`, `[h, w]`,
/// or, flattened, as many elements as this picture has.
fn frame(wanted: &Signature, picture: &DynamicImage) -> Option<(u32, u32, u8)> {
    let size = |size: usize| u32::try_from(size).ok();
    match *wanted.shape.as_slice() {
        [1, h, w, c @ (1 | 3)] | [h, w, c @ (1 | 3)] if h > 1 || w > 1 => Some((size(h)?, size(w)?, c as u8)),
        [1, h, w] | [h, w] if h > 1 => Some((size(h)?, size(w)?, 1)),
        [1, n] | [n] => {
            let pixels = picture.width() as usize * picture.height() as usize;
            let channels = [1u8, 3].into_iter().find(|&channels| pixels * usize::from(channels) == n)?;
            Some((picture.height(), picture.width(), channels))
        }
        _ => None,
    }
}

fn numbers(
    pixels: &[u8],
    channels: usize,
    file: &str,
    wanted: &Signature,
    how: &Pixels,
) -> Result<(Vec<u8>, String), Box<Misfit>> {
    let unclear =
        |help: &str| wanted.misfit("pixels_unclear", file, "has pixels whose meaning there is not clear", help);
    let given = !how.mean.is_empty() || !how.std.is_empty();
    if wanted.dtype == DType::U8 && !given {
        return Ok((pixels.to_vec(), "pixels as they are".into()));
    }
    let (mean, std, meaning) = meaning(wanted, how).map_err(|help| unclear(&help))?;
    for values in [&mean, &std] {
        if values.len() != 1 && values.len() != channels {
            let help = format!("--mean and --std take one number, or {channels} separated by commas");
            return Err(unclear(&help));
        }
    }
    let of = |values: &[f32], index: usize| values.get(index % channels % values.len()).copied().unwrap_or_default();
    let reals: Vec<f32> = (pixels.iter().enumerate())
        .map(|(index, &pixel)| (f32::from(pixel) - of(&mean, index)) / of(&std, index))
        .collect();
    match (wanted.dtype, wanted.quantisation) {
        (DType::F32, _) => Ok((bytes_of(reals), meaning)),
        (DType::I8 | DType::U8 | DType::I16, Some((scale, zero_point))) => {
            let (bytes, saturated) = quantised(&reals, wanted.dtype, scale, zero_point);
            let outside = match saturated {
                0 => String::new(),
                count => format!(" ({} of {} values saturated)", screen::number(count), reals.len()),
            };
            Ok((bytes, format!("{meaning}, quantised with scale {scale}, zero point {zero_point}{outside}")))
        }
        _ => Err(unclear(NO_SCALE)),
    }
}

/// Mean, standard deviation, and in words what a pixel is; or what the user must say.
fn meaning(wanted: &Signature, how: &Pixels) -> Result<(Vec<f32>, Vec<f32>, String), String> {
    if !how.mean.is_empty() || !how.std.is_empty() {
        let or = |values: &[f32], default| if values.is_empty() { vec![default] } else { values.to_vec() };
        let (mean, std) = (or(&how.mean, 0.0), or(&how.std, 1.0));
        let meaning = format!("(pixels − {}) / {}", list(&mean), list(&std));
        return Ok((mean, std, meaning));
    }
    match (wanted.dtype, wanted.quantisation) {
        (DType::F32, _) => Ok((vec![0.0], vec![255.0], "pixels / 255".into())),
        (_, Some((scale, _))) if scale < UNIT_SCALE => Ok((vec![0.0], vec![255.0], "pixels / 255".into())),
        (_, Some((scale, _))) if PIXEL_SCALES.contains(&scale) => Ok((vec![0.0], vec![1.0], "pixels 0 to 255".into())),
        (_, Some((scale, zero_point))) => Err(format!(
            "the input has scale {scale}, zero point {zero_point}: say by --mean and --std what a pixel p, 0 to 255, is \
             there: (p − mean) / std"
        )),
        (_, None) => Err(NO_SCALE.into()),
    }
}

fn list(values: &[f32]) -> String {
    let words: Vec<String> = values.iter().map(f32::to_string).collect();
    if words.len() == 1 { words.concat() } else { format!("[{}]", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{GrayImage, RgbImage};

    fn grey(width: u32, height: u32, pixel: u8) -> DynamicImage {
        DynamicImage::ImageLuma8(GrayImage::from_pixel(width, height, image::Luma([pixel])))
    }

    fn wants(shape: &[usize], dtype: DType, quantisation: Option<(f32, i32)>) -> Signature {
        Signature { name: "x".into(), shape: shape.to_vec(), dtype, quantisation }
    }

    fn first(picture: &DynamicImage, wanted: &Signature, how: &Pixels) -> u8 {
        fit(picture, "p.png", wanted, how).unwrap().bytes[0]
    }

    #[test]
    fn the_scale_decides_what_a_pixel_is() {
        let plain = Pixels::default();
        let shape = [1, 2, 2, 1];
        assert_eq!(first(&grey(2, 2, 200), &wants(&shape, DType::I8, Some((1.0 / 255.0, -128))), &plain), 72);
        assert_eq!(first(&grey(2, 2, 200), &wants(&shape, DType::I8, Some((1.0, -128))), &plain), 72);
        assert_eq!(first(&grey(2, 2, 200), &wants(&shape, DType::U8, Some((0.5, 3))), &plain), 200);
        let unclear = fit(&grey(2, 2, 200), "p.png", &wants(&shape, DType::I8, Some((0.1, 0))), &plain);
        assert_eq!(unclear.unwrap_err().code, "pixels_unclear");
        let float = fit(&grey(2, 2, 255), "p.png", &wants(&shape, DType::F32, None), &plain).unwrap();
        assert_eq!(float.bytes[..4], 1.0f32.to_le_bytes());
    }

    #[test]
    fn mean_and_std_override() {
        let how = Pixels { mean: vec![100.0], std: vec![50.0], ..Pixels::default() };
        assert_eq!(first(&grey(2, 2, 200), &wants(&[1, 2, 2, 1], DType::I8, Some((0.5, 1))), &how), 5);
        let three = Pixels { mean: vec![1.0, 2.0, 3.0], ..Pixels::default() };
        assert!(fit(&grey(2, 2, 200), "p.png", &wants(&[1, 2, 2, 1], DType::I8, Some((0.5, 1))), &three).is_err());
    }

    #[test]
    fn sizes_are_changed_only_when_asked() {
        let wanted = wants(&[1, 2, 2, 3], DType::U8, None);
        let picture = DynamicImage::ImageRgb8(RgbImage::from_pixel(4, 4, image::Rgb([1, 2, 3])));
        let refused = fit(&picture, "p.png", &wanted, &Pixels::default()).unwrap_err().to_string();
        assert_eq!(refused, "input 'x' wants uint8 [1, 2, 2, 3], but 'p.png' is a picture of 4×4 pixels");
        let fitted = fit(&picture, "p.png", &wanted, &Pixels { resize: true, ..Pixels::default() }).unwrap();
        assert_eq!(fitted.bytes, [1, 2, 3].repeat(4));
        assert_eq!(fitted.done, "4×4 pixels resized to 2×2, bilinear, pixels as they are");
    }

    #[test]
    fn channels_are_matched_and_flat_inputs_take_pictures() {
        let fitted = fit(&grey(2, 2, 9), "p.png", &wants(&[1, 2, 2, 3], DType::U8, None), &Pixels::default()).unwrap();
        assert_eq!((fitted.bytes.len(), fitted.done.as_str()), (12, "grey to RGB, pixels as they are"));
        let flat = fit(&grey(2, 2, 9), "p.png", &wants(&[1, 4], DType::U8, None), &Pixels::default()).unwrap();
        assert_eq!(flat.bytes, [9; 4]);
        assert!(fit(&grey(2, 2, 9), "p.png", &wants(&[1, 5], DType::U8, None), &Pixels::default()).is_err());
    }
}
