//! Which file is for which input: `[NAME=]FILE…`, in the model's order where no name is given.

use std::path::{Path, PathBuf};

use super::{Content, Keyed, Pixels, Signature, TensorError, convert, image, read};
use crate::failure::Failure;

/// Where an input's data come from, and what was done to them.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// Little-endian elements, row-major.
    pub bytes: Vec<u8>,
    /// The file, and the key where it holds several arrays.
    pub file: String,
    /// What was done to the data.
    pub done: String,
}

/// One argument of `--input`, split where its beginning names an input.
struct Given {
    input: Option<usize>,
    path: PathBuf,
}

/// The data of every input.
///
/// # Errors
/// Where a file cannot be read or does not fit, or inputs are left without data.
pub fn inputs(arguments: &[String], wanted: &[Signature], pixels: &Pixels) -> Result<Vec<Input>, Failure> {
    let mut filled: Vec<Option<Input>> = vec![None; wanted.len()];
    for argument in arguments {
        let given = split(argument, wanted)?;
        let next = filled.iter().position(Option::is_none);
        let first = given.input.or(next).ok_or_else(|| surplus(argument, wanted))?;
        let Some(signature) = wanted.get(first) else { return Err(surplus(argument, wanted)) };
        let file = given.path.display().to_string();
        match read(&given.path, signature)? {
            Content::Picture(picture) => {
                let fitted = image::fit(&picture, &file, signature, pixels).map_err(TensorError::from)?;
                fill(&mut filled, wanted, first, Input { bytes: fitted.bytes, file, done: fitted.done })?;
            }
            Content::Arrays(arrays) => {
                for (index, keyed) in choose(arrays, &given, first, &filled, wanted)? {
                    let Some(signature) = wanted.get(index) else { continue };
                    let file = match &keyed.key {
                        Some(key) => format!("{file}[{key}]"),
                        None => file.clone(),
                    };
                    let fitted = convert::fit(&keyed.array, &file, signature).map_err(TensorError::from)?;
                    fill(&mut filled, wanted, index, Input { bytes: fitted.bytes, file, done: fitted.done })?;
                }
            }
        }
    }
    complete(filled, wanted)
}

fn fill(filled: &mut [Option<Input>], wanted: &[Signature], index: usize, input: Input) -> Result<(), Failure> {
    match filled.get_mut(index) {
        Some(slot) if slot.is_none() => {
            *slot = Some(input);
            Ok(())
        }
        _ => {
            let name = wanted.get(index).map_or("", |signature| &signature.name);
            Err(Failure::usage(format!("input '{name}' is given twice, the second time by '{}'", input.file)))
        }
    }
}

fn complete(filled: Vec<Option<Input>>, wanted: &[Signature]) -> Result<Vec<Input>, Failure> {
    let missing: Vec<String> = (filled.iter().zip(wanted))
        .filter(|(slot, _)| slot.is_none())
        .map(|(_, signature)| format!("'{}' ({signature})", signature.name))
        .collect();
    if missing.is_empty() {
        return Ok(filled.into_iter().flatten().collect());
    }
    Err(Failure::usage(format!("no data for input {}", missing.join(", ")))
        .help("give a file for each input, --input FILE FILE… in the model's order or --input NAME=FILE"))
}

fn surplus(argument: &str, wanted: &[Signature]) -> Failure {
    let inputs = match wanted.len() {
        1 => "1 input".into(),
        count => format!("{count} inputs"),
    };
    Failure::usage(format!("'{argument}' is one file too many: the model has {inputs}, {}", names(wanted)))
}

fn names(wanted: &[Signature]) -> String {
    let names: Vec<String> = wanted.iter().map(|signature| format!("'{}'", signature.name)).collect();
    names.join(", ")
}

/// `NAME=FILE` where `NAME` is an input; otherwise all of it is a file. Names and files may hold `=` themselves.
fn split(argument: &str, wanted: &[Signature]) -> Result<Given, Failure> {
    for (position, _) in argument.match_indices('=') {
        let (name, path) = (&argument[..position], &argument[position + 1..]);
        if let Some(input) = wanted.iter().position(|signature| signature.name == name) {
            return Ok(Given { input: Some(input), path: path.into() });
        }
    }
    if let Some((name, _)) = argument.split_once('=').filter(|_| !Path::new(argument).exists()) {
        return Err(Failure::usage(format!("the model has no input '{name}': its inputs are {}", names(wanted))));
    }
    Ok(Given { input: None, path: argument.into() })
}

/// The arrays of a file with the inputs that they are for: by key where keys name inputs, else in order.
fn choose(
    mut arrays: Vec<Keyed>,
    given: &Given,
    first: usize,
    filled: &[Option<Input>],
    wanted: &[Signature],
) -> Result<Vec<(usize, Keyed)>, Failure> {
    let keys: Vec<String> = arrays.iter().filter_map(|keyed| keyed.key.clone()).collect();
    if arrays.len() == 1 && (given.input.is_some() || wanted.len() - filled.iter().flatten().count() == 1) {
        return Ok(arrays.pop().map(|keyed| (first, keyed)).into_iter().collect());
    }
    let inputs: Vec<usize> = match given.input {
        Some(input) => vec![input],
        None => (0..wanted.len()).filter(|&index| filled.get(index).is_some_and(Option::is_none)).collect(),
    };
    let mut chosen = Vec::new();
    for index in inputs {
        let name = wanted.get(index).map_or("", |signature| &signature.name);
        let known = [name.to_owned(), format!("input_{index}"), format!("in_0_{index}"), format!("arr_{index}")];
        let found = known.iter().find_map(|key| arrays.iter().position(|keyed| keyed.key.as_ref() == Some(key)));
        if let Some(position) = found {
            chosen.push((index, arrays.swap_remove(position)));
        }
    }
    if chosen.is_empty() && arrays.len() == 1 && given.input.is_none() {
        return Ok(arrays.pop().map(|keyed| (first, keyed)).into_iter().collect());
    }
    if chosen.is_empty() {
        let message =
            format!("no array of '{}' is for an input: its keys are {}", given.path.display(), keys.join(", "));
        let help = format!("name the arrays as the inputs ({}) or input_0, input_1…", names(wanted));
        return Err(Failure::failed("no_such_array", message).help(help));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rasbora_compiler::graph::DType;

    use super::*;

    fn wanted() -> Vec<Signature> {
        ["a", "b=c"]
            .map(|name| Signature { name: name.into(), shape: vec![1, 2], dtype: DType::I8, quantisation: None })
            .into()
    }

    fn assigned(arguments: &[&str]) -> Result<Vec<Vec<u8>>, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("one.csv", "1,2"), ("two.csv", "3,4"), ("x=y.csv", "5,6")] {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let place = |argument: &&str| argument.replace('@', &format!("{}/", folder.path().display()));
        let arguments: Vec<String> = arguments.iter().map(place).collect();
        match inputs(&arguments, &wanted(), &Pixels::default()) {
            Ok(inputs) => Ok(inputs.into_iter().map(|input| input.bytes).collect()),
            Err(failure) => Err(failure.message),
        }
    }

    #[test]
    fn files_go_by_order_or_name() {
        assert_eq!(assigned(&["@one.csv", "@two.csv"]), Ok(vec![vec![1, 2], vec![3, 4]]));
        assert_eq!(assigned(&["b=c=@one.csv", "@two.csv"]), Ok(vec![vec![3, 4], vec![1, 2]]));
        assert_eq!(assigned(&["@one.csv", "@x=y.csv"]), Ok(vec![vec![1, 2], vec![5, 6]]));
    }

    #[test]
    fn missing_and_surplus_files_are_refused() {
        assert_eq!(assigned(&["@one.csv"]), Err("no data for input 'b=c' (int8 [1, 2])".into()));
        let surplus = assigned(&["@one.csv", "@two.csv", "@x=y.csv"]).unwrap_err();
        assert!(surplus.contains("one file too many"), "{surplus}");
        let unknown = assigned(&["z=@one.csv"]).unwrap_err();
        assert!(unknown.contains("no input 'z'"), "{unknown}");
        let twice = assigned(&["a=@one.csv", "a=@two.csv"]).unwrap_err();
        assert!(twice.contains("given twice"), "{twice}");
    }
}
