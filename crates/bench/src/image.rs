//! What a firmware image holds: its sizes in flash, the markers' addresses, and whether anything in it can panic.

use std::path::Path;

use object::read::elf::{ElfFile32, FileHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionFlags, SectionKind, SymbolKind, elf};

use crate::error::{BenchError, file};

/// Sizes of a firmware image, and where its markers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Bytes that are stored in flash.
    pub(crate) stored: u64,
    /// Bytes of these that are objects of the crate `model`.
    pub(crate) constants: u64,
    /// Address of `rasbora_run_begin`.
    pub(crate) begin: u64,
    /// Address of `rasbora_run_end`.
    pub(crate) end: u64,
    /// Address of `rasbora_clock`.
    pub(crate) clock: u64,
}

fn parse<T>(path: &Path, read: impl FnOnce(&ElfFile32<'_, Endianness>) -> Result<T, String>) -> Result<T, BenchError> {
    let bytes = std::fs::read(path).map_err(file("read", path))?;
    let wrong = |reason: String| BenchError::Image { path: path.to_owned(), reason };
    let elf = ElfFile32::<Endianness>::parse(&*bytes).map_err(|error| wrong(error.to_string()))?;
    read(&elf).map_err(wrong)
}

impl Image {
    /// Reads an ELF file.
    pub(crate) fn read(path: &Path) -> Result<Self, BenchError> {
        parse(path, |elf| {
            let marker = |name: &str| {
                let symbol = elf.symbols().find(|symbol| symbol.name() == Ok(name));
                symbol.map(|symbol| symbol.address()).ok_or_else(|| format!("the symbol {name} is missing"))
            };
            let stored = stored(elf);
            let constants = elf.symbols().filter(|symbol| is_constant(elf, symbol)).map(|symbol| symbol.size()).sum();
            let (begin, end) = (marker("rasbora_run_begin")?, marker("rasbora_run_end")?);
            Ok(Self { stored, constants, begin, end, clock: marker("rasbora_clock")? })
        })
    }
}

/// Bytes that an ELF file stores in flash. It may lack the markers: a network without steps leads to none where the linker
/// drops what nothing calls.
pub(crate) fn stored_bytes(path: &Path) -> Result<u64, BenchError> {
    parse(path, |elf| Ok(stored(elf)))
}

fn stored(elf: &ElfFile32<'_, Endianness>) -> u64 {
    elf.sections().filter(is_stored).map(|section| section.size()).sum()
}

fn is_stored<'a>(section: &impl ObjectSection<'a>) -> bool {
    let SectionFlags::Elf { sh_flags } = section.flags() else { return false };
    sh_flags & u64::from(elf::SHF_ALLOC) != 0 && section.kind() != SectionKind::UninitializedData
}

/// Whether a symbol is a datum of the crate `model` that is stored in flash.
fn is_constant<'a, H: FileHeader>(elf: &object::read::elf::ElfFile<'a, H>, symbol: &impl ObjectSymbol<'a>) -> bool {
    let stored = || {
        let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
        section.is_some_and(|section| is_stored(&section))
    };
    let of_model = || symbol.name().is_ok_and(|name| demangled(name).starts_with("model::"));
    symbol.kind() == SymbolKind::Data && of_model() && stored()
}

/// A symbol's path without the hash of its crate.
pub(crate) fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

/// Names of the functions in the image that exist only to panic or to format a message. The harness's own panic
/// handler is left out, so an image that cannot panic gives an empty list.
///
/// # Errors
/// Where the file is not an ELF image of a 32-bit processor.
pub fn panic_symbols(elf: &Path) -> Result<Vec<String>, BenchError> {
    const MARKS: [&str; 7] = [
        "core::panicking",
        "core::fmt",
        "core::option::unwrap_failed",
        "core::option::expect_failed",
        "core::result::unwrap_failed",
        "core::slice::index::slice_",
        "core::str::slice_error",
    ];
    parse(elf, |elf| {
        let names = elf.symbols().filter_map(|symbol| symbol.name().ok().map(demangled));
        let mut found: Vec<_> = names.filter(|name| MARKS.iter().any(|mark| name.contains(mark))).collect();
        found.sort();
        found.dedup();
        Ok(found)
    })
}
