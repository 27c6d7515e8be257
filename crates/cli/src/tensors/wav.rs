//! Audio in `.wav` files: 16-bit samples of one channel at the rate of the front ends. Of several channels the first is
//! heard, as the benchmarks do.

use std::io::Cursor;

use hound::{SampleFormat, WavReader};
use rasbora_compiler::front_end::RATE;

/// Longest recording that is read: an hour.
const MAX_SAMPLES: u32 = 3600 * RATE;

/// The samples of a file.
pub fn samples(bytes: &[u8]) -> Result<Vec<i16>, String> {
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let spec = reader.spec();
    if (spec.sample_rate, spec.bits_per_sample, spec.sample_format) != (RATE, 16, SampleFormat::Int) {
        let (rate, bits) = (spec.sample_rate, spec.bits_per_sample);
        return Err(format!(
            "it has {bits} bits at {rate} Hz, but 16-bit integers at {RATE} Hz are wanted; convert it, for example by \
             `sox IN -r {RATE} -b 16 OUT`"
        ));
    }
    if reader.duration() > MAX_SAMPLES {
        return Err(format!("it is longer than an hour ({MAX_SAMPLES} samples)"));
    }
    let channels = usize::from(spec.channels.max(1));
    reader.samples::<i16>().step_by(channels).map(|sample| sample.map_err(|error| error.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one channel or two.
    fn file(channels: u16, rate: u32, samples: &[i16]) -> Vec<u8> {
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut bytes = b"RIFF".to_vec();
        bytes.extend((36 + data.len() as u32).to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend(16u32.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        bytes.extend((rate * u32::from(channels) * 2).to_le_bytes());
        bytes.extend((channels * 2).to_le_bytes());
        bytes.extend(16u16.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn the_first_channel_is_heard() {
        assert_eq!(samples(&file(1, 16000, &[1, -2, 3])), Ok(vec![1, -2, 3]));
        assert_eq!(samples(&file(2, 16000, &[1, 9, -2, 9])), Ok(vec![1, -2]));
    }

    #[test]
    fn other_files_are_refused() {
        assert!(samples(&file(1, 44100, &[1])).unwrap_err().contains("44100 Hz"));
        assert!(samples(b"RIFFnothing").is_err());
        let whole = file(1, 16000, &[1, 2, 3, 4]);
        assert!(samples(&whole[..whole.len() - 3]).is_err());
    }
}
