//! Data of every format, right and wrong, into a network and out of it.

use std::fs;
use std::path::Path;

use npyz::WriterBuilder;

use crate::ran::{Ran, digits, rasbora};

fn run(input: &Path, more: &[&str]) -> Ran {
    let model = digits("digits.tflite");
    rasbora(&[&["run", &model, "--json", "--input", input.to_str().unwrap()], more].concat())
}

/// The first test digit as quantised by the model.
fn quantised() -> Vec<i8> {
    let text = fs::read_to_string(digits("test/00.csv")).unwrap();
    let reals = text.split([',', '\n']).filter(|field| !field.is_empty()).map(|field| field.parse::<f32>().unwrap());
    reals.map(|real| ((real / 0.003_921_569).round() - 128.0) as i8).collect()
}

fn npy<T: npyz::AutoSerialize + Copy>(path: &Path, shape: &[u64], values: &[T]) {
    let file = fs::File::create(path).unwrap();
    let mut writer = npyz::WriteOptions::<T>::new().default_dtype().shape(shape).writer(file).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
}

#[test]
fn every_format_gives_the_same_output() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = run(Path::new(&digits("test/00.csv")), &[]).object()["outputs"].clone();
    let path = |name: &str| folder.path().join(name);
    let values = quantised();
    let bytes: Vec<u8> = values.iter().map(|value| value.cast_unsigned()).collect();
    let words: Vec<String> = values.iter().map(i8::to_string).collect();
    npy(&path("int8.npy"), &[1, 8, 8, 1], &values);
    npy(&path("no_batch.npy"), &[8, 8, 1], &values);
    let reals: Vec<f64> = values.iter().map(|&value| (f64::from(value) + 128.0) / 255.0).collect();
    npy(&path("float64.npy"), &[1, 8, 8, 1], &reals);
    fs::write(path("raw.bin"), &bytes).unwrap();
    fs::write(path("whole.csv"), words.join(",")).unwrap();
    let pixels: Vec<u8> = values.iter().map(|&value| (i16::from(value) + 128) as u8).collect();
    image::GrayImage::from_raw(8, 8, pixels).unwrap().save(path("digit.png")).unwrap();
    for name in ["int8.npy", "no_batch.npy", "float64.npy", "raw.bin", "whole.csv", "digit.png"] {
        let ran = run(&path(name), &[]);
        assert_eq!(ran.object()["outputs"], wanted, "{name}: {}", ran.err);
        assert!(ran.err.contains(name), "what was done is told: {}", ran.err);
    }
}

#[test]
fn data_that_do_not_fit_say_what_would() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    npy(&path("shape.npy"), &[64], &quantised());
    npy(&path("uint8.npy"), &[1, 8, 8, 1], &[0u8; 64]);
    npy(&path("int64.npy"), &[1, 8, 8, 1], &[0i64; 64]);
    fs::write(path("short.bin"), [0; 63]).unwrap();
    fs::write(path("few.csv"), "1,2,3").unwrap();
    fs::write(path("large.csv"), vec!["300"; 64].join(",")).unwrap();
    fs::write(path("words.csv"), "ink\n1").unwrap();
    fs::write(path("broken.npy"), "NUMPY").unwrap();
    fs::write(path("broken.png"), "PNG").unwrap();
    fs::write(path("data.txt"), "1").unwrap();
    image::RgbImage::new(4, 4).save(path("small.png")).unwrap();
    for (name, exit, code, words) in [
        ("shape.npy", 3, "wrong_shape", "wants int8 [1, 8, 8, 1], but"),
        ("uint8.npy", 3, "wrong_dtype", "holds uint8"),
        ("int64.npy", 3, "wrong_dtype", "astype(np.int8)"),
        ("short.bin", 3, "malformed", "is 64 bytes, but the file has 63"),
        ("few.csv", 3, "wrong_shape", "holds 3 numbers"),
        ("large.csv", 3, "wrong_value", "has 300 as value 0"),
        ("words.csv", 3, "malformed", "line 1: 'ink' is not a number"),
        ("broken.npy", 3, "malformed", "not a readable NumPy file"),
        ("broken.png", 3, "malformed", "not a readable picture file"),
        ("small.png", 3, "wrong_shape", "--resize"),
        ("data.txt", 2, "usage", "does not end in .npy"),
        ("missing.npy", 3, "not_found", "cannot be read"),
    ] {
        let ran = run(&path(name), &[]);
        assert_eq!(ran.failed(), (Some(exit), code.into()), "{name}");
        assert!(ran.out.contains(words), "{name}: {}", ran.out);
    }
    assert_eq!(run(&path("small.png"), &["--resize"]).code, Some(0));
}

#[test]
fn outputs_keep_their_type_or_become_floats() {
    let folder = tempfile::tempdir().unwrap();
    let input = digits("test/00.csv");
    let path = folder.path().join("out.npy");
    let place = path.to_str().unwrap();
    let object = run(Path::new(&input), &["--output", place]).object();
    let file = npyz::NpyFile::new(fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(file.shape(), [1, 10]);
    let values: Vec<i8> = file.into_vec().unwrap();
    assert_eq!(object["outputs"][0]["values"], serde_json::json!(values));

    let object = run(Path::new(&input), &["--output", place, "--dequantise"]).object();
    let file = npyz::NpyFile::new(fs::File::open(&path).unwrap()).unwrap();
    let values: Vec<f32> = file.into_vec().unwrap();
    assert_eq!(object["outputs"][0]["dequantised"], serde_json::json!(values));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing temporary stays");
}

#[test]
fn labels_must_fit_the_classes() {
    let folder = tempfile::tempdir().unwrap();
    let labels = folder.path().join("labels.txt");
    fs::write(&labels, "a\nb\n").unwrap();
    let ran = run(Path::new(&digits("test/00.csv")), &["--labels", labels.to_str().unwrap()]);
    assert_eq!(ran.failed(), (Some(2), "usage".into()));
    assert!(ran.err.contains("2 lines") && ran.err.contains("10 classes"), "{}", ran.err);
}

#[test]
fn inputs_go_by_name() {
    let model = digits("digits.tflite");
    let name = rasbora(&["check", &model, "--json"]).object()["inputs"][0]["name"].as_str().unwrap().to_owned();
    let input = digits("test/00.csv");
    assert_eq!(rasbora(&["run", &model, "--input", &format!("{name}={input}")]).code, Some(0));
    let other = rasbora(&["run", &model, "--input", &format!("nothing={input}")]);
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains(&name), "{}", other.err);
    let two = rasbora(&["run", &model, "--input", &input, &input]);
    assert_eq!(two.code, Some(2), "{}", two.err);
}
