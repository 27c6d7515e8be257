//! NumPy's `.npy` and `.npz`: arrays with their type and shape.
//!
//! A `.npy` is a magic number, a version, the length of a header, the header (a Python dictionary of `descr`,
//! `fortran_order` and `shape`) and the elements; an `.npz` is a ZIP archive of such files. Source: `numpy.lib.format`.

use std::io::{Cursor, Read, Write};

use rasbora_compiler::graph::DType;
use zip::write::SimpleFileOptions;

use super::{Array, Values};
use crate::screen;

/// How every `.npy` begins.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The elements begin at a multiple of this.
const ALIGN: usize = 64;

/// Most bytes that one array of an `.npz` may unfold to.
const MAX_BYTES: u64 = 1 << 30;

/// What the header says.
struct Header<'a> {
    /// Byte order, kind and size of an element: `<f4`; none for records.
    element: Option<&'a str>,
    columns: bool,
    shape: Vec<usize>,
}

/// Reads a `.npy`.
pub fn read(bytes: &[u8]) -> Result<Array, String> {
    let (header, data) = split(bytes)?;
    let Header { element, columns, shape } = header;
    let Some((order, kind, size)) = element.and_then(element_type) else {
        return Ok(Array { shape: Some(shape), values: Values::Foreign(foreign(element)) });
    };
    let count = shape.iter().try_fold(1usize, |count, &size| count.checked_mul(size));
    let length = count.and_then(|count| count.checked_mul(size));
    let data = length.and_then(|length| data.get(..length)).ok_or("it ends too early")?;
    let swap = order == '>';
    let values = match (kind, size) {
        ('i', 1) => Values::I8(elements(data, false, columns, &shape, i8::from_le_bytes)),
        ('u', 1) => Values::U8(elements(data, false, columns, &shape, u8::from_le_bytes)),
        ('i', 2) => Values::I16(elements(data, swap, columns, &shape, i16::from_le_bytes)),
        ('i', 4) => Values::I32(elements(data, swap, columns, &shape, i32::from_le_bytes)),
        ('f', 4) => Values::F32(elements(data, swap, columns, &shape, f32::from_le_bytes)),
        ('f', 8) => Values::F64(elements(data, swap, columns, &shape, f64::from_le_bytes)),
        _ => Values::Foreign(foreign(element)),
    };
    Ok(Array { shape: Some(shape), values })
}

/// Header and elements.
fn split(bytes: &[u8]) -> Result<(Header<'_>, &[u8]), String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or("it does not begin as NumPy's files do")?;
    let early = || "it ends too early".to_owned();
    let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(early)?;
    let (length, rest) = if major == 1 {
        let (length, rest) = rest.split_first_chunk().ok_or_else(early)?;
        (usize::from(u16::from_le_bytes(*length)), rest)
    } else {
        let (length, rest) = rest.split_first_chunk().ok_or_else(early)?;
        (u32::from_le_bytes(*length) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(early)?;
    let header = str::from_utf8(header).ok().and_then(parse).ok_or("its header cannot be read")?;
    Ok((header, data))
}

fn parse(text: &str) -> Option<Header<'_>> {
    let after = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
    let element = after("descr")?.strip_prefix('\'').and_then(|rest| Some(rest.split_once('\'')?.0));
    let columns = after("fortran_order")?.starts_with("True");
    let sizes = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
    Some(Header { element, columns, shape: sizes.map(|size| size.parse().ok()).collect::<Option<_>>()? })
}

/// Byte order, kind and bytes of an element.
fn element_type(text: &str) -> Option<(char, char, usize)> {
    let mut letters = text.chars();
    Some((letters.next()?, letters.next()?, letters.as_str().parse().ok()?))
}

/// The name of a type that no network takes.
fn foreign(element: Option<&str>) -> String {
    let Some((_, kind, size)) = element.and_then(element_type) else { return "records".into() };
    let bits = size.saturating_mul(8);
    match kind {
        'i' => format!("int{bits}"),
        'u' => format!("uint{bits}"),
        'f' => format!("float{bits}"),
        'c' => format!("complex{bits}"),
        'b' => "bool".into(),
        _ => format!("NumPy's type {}", screen::shortened(element.unwrap_or_default(), 16)),
    }
}

/// The elements, row-major whatever the order in the file.
fn elements<T: Copy, const N: usize>(
    data: &[u8],
    swap: bool,
    columns: bool,
    shape: &[usize],
    value: fn([u8; N]) -> T,
) -> Vec<T> {
    let ordered = |&chunk: &[u8; N]| {
        let mut chunk = chunk;
        if swap {
            chunk.reverse();
        }
        value(chunk)
    };
    let values: Vec<T> = data.as_chunks::<N>().0.iter().map(ordered).collect();
    if !columns {
        return values;
    }
    let place = |mut index: usize| {
        let (mut place, mut stride) = (0, values.len());
        for size in shape.iter().rev() {
            stride /= size;
            place += index % size * stride;
            index /= size;
        }
        place
    };
    (0..values.len()).filter_map(|index| values.get(place(index)).copied()).collect()
}

/// Reads an `.npz`: its arrays with their keys.
pub fn read_archive(bytes: &[u8]) -> Result<Vec<(String, Array)>, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let mut arrays = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?;
        let Some(key) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
        let mut content = Vec::new();
        entry.take(MAX_BYTES + 1).read_to_end(&mut content).map_err(|error| format!("'{key}': {error}"))?;
        if content.len() as u64 > MAX_BYTES {
            return Err(format!("'{key}' is larger than {MAX_BYTES} bytes"));
        }
        arrays.push((key.clone(), read(&content).map_err(|reason| format!("'{key}': {reason}"))?));
    }
    Ok(arrays)
}

/// The bytes of a `.npy` around little-endian, row-major elements.
pub fn write(dtype: DType, shape: &[usize], data: &[u8]) -> Vec<u8> {
    const VERSION: [u8; 2] = [1, 0];
    let element = match dtype {
        DType::I8 => "|i1",
        DType::U8 => "|u1",
        DType::I32 => "<i4",
        DType::I16 => "<i2",
        DType::F32 => "<f4",
    };
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header = format!("{{'descr': '{element}', 'fortran_order': False, 'shape': ({}), }}", sizes.trim_end());
    let before = MAGIC.len() + VERSION.len() + size_of::<u16>();
    let blanks = (before + header.len() + 1).next_multiple_of(ALIGN) - (before + header.len() + 1);
    header += &format!("{:blanks$}\n", "");
    // A tensor has at most six axes, so the header is far shorter than 64 KiB.
    [MAGIC, &VERSION, &(header.len() as u16).to_le_bytes(), header.as_bytes(), data].concat()
}

/// The bytes of an `.npz` of `.npy` files with these keys.
pub fn write_archive(arrays: &[(String, Vec<u8>)]) -> std::io::Result<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (key, content) in arrays {
        archive.start_file(format!("{key}.npy"), stored)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16 + 1).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.push(b'\n');
        bytes.extend(data);
        bytes
    }

    #[test]
    fn columns_become_rows() {
        let file = npy("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", &[1, 4, 2, 5, 3, 6]);
        let array = read(&file).unwrap();
        assert_eq!(array, Array { shape: Some(vec![2, 3]), values: Values::I8(vec![1, 2, 3, 4, 5, 6]) });
    }

    #[test]
    fn other_types_keep_their_name() {
        let file = npy("{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }", &[0; 8]);
        assert_eq!(read(&file).unwrap().values, Values::Foreign("int64".into()));
    }

    #[test]
    fn big_endian_floats_are_read() {
        let file = npy("{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", &1.5f32.to_be_bytes());
        assert_eq!(read(&file).unwrap().values, Values::F32(vec![1.5]));
    }

    #[test]
    fn halves_are_read() {
        let file = npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", &[1, 2, 0xff, 0xff]);
        assert_eq!(read(&file).unwrap().values, Values::I16(vec![0x201, -1]));
    }

    #[test]
    fn an_empty_axis_leaves_no_elements() {
        let file = npy("{'descr': '|i1', 'fortran_order': True, 'shape': (3, 0), }", &[]);
        assert_eq!(read(&file).unwrap(), Array { shape: Some(vec![3, 0]), values: Values::I8(vec![]) });
    }

    #[test]
    fn what_is_written_is_what_numpy_writes() {
        let wanted = npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1, ), }}{:57}", ""), &[0; 8]);
        let file = write(DType::F32, &[2, 1], &[0; 8]);
        assert_eq!(file.len() % 64, 8);
        assert_eq!(read(&file), read(&wanted));
    }

    #[test]
    fn sizes_beyond_the_file_are_refused() {
        for shape in ["(4,)", "(99999999999, 99999999999)"] {
            let file = npy(&format!("{{'descr': '|i1', 'fortran_order': False, 'shape': {shape}, }}"), &[1, 2, 3]);
            assert_eq!(read(&file).unwrap_err(), "it ends too early");
        }
        assert!(read(b"\x93NUMPY").is_err());
        assert!(read(b"not numpy at all").is_err());
        assert!(read_archive(b"PK").is_err());
        assert!(read(&npy("{'descr': '|i1', 'shape': (1,)}", &[1])).is_err());
    }
}
