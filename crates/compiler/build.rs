//! Generates the readers of model files from the schemas beside the importers.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    const SCHEMA: &str = "src/import/tflite/schema.fbs";
    println!("cargo::rerun-if-changed={SCHEMA}");
    let declarations = planus_translation::translate_files(&[SCHEMA]).ok_or("the schema has errors, see above")?;
    let code = planus_codegen::generate_rust(&declarations, false)?;
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    fs::write(out.join("tflite.rs"), code)?;
    Ok(())
}
