//! Numbers in text, separated by commas and line ends.
//!
//! Text has no types: numbers that are all whole may be integers of the input's type, any other make floats of all.

use super::{Array, Values};

/// Reads the numbers.
pub fn read(bytes: &[u8]) -> Result<Array, String> {
    let mut reader =
        csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(bytes);
    let mut fields = Vec::new();
    for (line, record) in reader.records().enumerate() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(line as u64 + 1, csv::Position::line);
        fields.extend(record.iter().filter(|field| !field.is_empty()).map(|field| (line, field.to_owned())));
    }
    let whole: Option<Vec<i64>> = fields.iter().map(|(_, field)| field.parse().ok()).collect();
    let values = match whole {
        Some(values) => Values::Whole(values),
        None => Values::F64(fields.iter().map(|(line, field)| real(*line, field)).collect::<Result<_, _>>()?),
    };
    Ok(Array { shape: None, values })
}

fn real(line: u64, field: &str) -> Result<f64, String> {
    field.parse().map_err(|_| format!("line {line}: '{}' is not a number", crate::screen::shortened(field, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_and_reals_differ() {
        assert_eq!(read(b"1, -2\n3,\n").unwrap().values, Values::Whole(vec![1, -2, 3]));
        assert_eq!(read(b"1,2.5\n").unwrap().values, Values::F64(vec![1.0, 2.5]));
    }

    #[test]
    fn words_are_refused_with_their_line() {
        assert_eq!(read(b"1,2\n3,label\n").unwrap_err(), "line 2: 'label' is not a number");
    }
}
