//! Links the objects of a static library into one: what the public functions reach, and nothing else visible.
//!
//! A section is kept if a kept section refers to it. A symbol keeps its name and becomes local, but for the public
//! functions, and for the few functions of C that every C program has, which stay undefined.

use std::collections::{BTreeSet, HashMap};

use object::elf;

use super::object::{Object, Relocation, Section, Symbol};

/// The symbol that the panic handler of `interface/lib.rs` refers to.
const PANICS: &str = "rasbora_code_that_panics";

/// Sections that say how a processor's code was made; they are wanted as they are.
const ATTRIBUTES: [u32; 2] = [elf::SHT_ARM_ATTRIBUTES, elf::SHT_RISCV_ATTRIBUTES];

/// The section by which an object says that no code of it runs from the stack. Linux asks; where nobody does, GNU's
/// linker complains of all objects that have none as soon as one has it.
const STACK_NOTE: &[u8] = b".note.GNU-stack";

/// A symbol or section of one of the objects: the object's index, then its own.
type Place = (usize, usize);

/// One object with all that `public` reaches in `objects`; symbols named in `left` are undefined in it.
pub(super) fn link(objects: &[Object], public: &[String], left: &[&str]) -> Result<Object, String> {
    if objects.is_empty() {
        return Err("it was not compiled to ELF; name a target, or compile for this machine on Linux".into());
    }
    let names = Names::new(objects, left);
    let mut roots = Vec::new();
    for name in public {
        let place = names.defined.get(name.as_bytes());
        roots.push(*place.ok_or_else(|| format!("the function '{name}' is missing from the compiled code"))?);
    }
    let kept = reached(objects, &names, &roots)?;
    let first = roots.first().map_or(0, |&(object, _)| object);
    let main = objects.get(first).ok_or("the compiled code holds no object")?;
    let mut merged = Merged::new(objects, &names, main);
    merged.add_sections(first, &kept);
    merged.add_symbols(&kept, &roots);
    merged.relocate(&kept)?;
    Ok(merged.object)
}

/// What C calls the function that LLVM calls by another name on Arm; both take the same arguments.
fn name_in_c(name: &[u8]) -> &[u8] {
    match name {
        b"__aeabi_memcpy" | b"__aeabi_memcpy4" | b"__aeabi_memcpy8" => b"memcpy",
        b"__aeabi_memmove" | b"__aeabi_memmove4" | b"__aeabi_memmove8" => b"memmove",
        name => name,
    }
}

/// Which definition each name stands for.
struct Names<'a> {
    defined: HashMap<&'a [u8], Place>,
    left: &'a [&'a str],
}

impl<'a> Names<'a> {
    fn new(objects: &'a [Object], left: &'a [&'a str]) -> Self {
        let mut defined: HashMap<&[u8], Place> = HashMap::new();
        for (object, content) in objects.iter().enumerate() {
            for (index, symbol) in content.symbols.iter().enumerate() {
                if symbol.section.is_none() || symbol.binding() == elf::STB_LOCAL {
                    continue;
                }
                // The first definition counts, but a weak one only until there is another.
                let weak = |&(object, index): &Place| objects[object].symbols[index].binding() == elf::STB_WEAK;
                let known = defined.get(symbol.name.as_slice());
                if known.is_none_or(|known| weak(known) && symbol.binding() != elf::STB_WEAK) {
                    defined.insert(&symbol.name, (object, index));
                }
            }
        }
        Self { defined, left }
    }

    /// What symbol `place` stands for: a symbol with a section, or none where it is left to the C library.
    fn resolve(&self, objects: &[Object], place: Place) -> Result<Option<Place>, String> {
        let symbol = &objects[place.0].symbols[place.1];
        let name = String::from_utf8_lossy(name_in_c(&symbol.name));
        if symbol.binding() == elf::STB_LOCAL {
            return Ok(Some(place));
        }
        if self.left.contains(&name.as_ref()) {
            return Ok(None);
        }
        match self.defined.get(symbol.name.as_slice()) {
            Some(&place) => Ok(Some(place)),
            None if name == PANICS => {
                Err("it holds code that panics; this is a fault of Rasbora: please report it".into())
            }
            None => Err(format!(
                "it needs '{name}', which a C program need not have; this is a fault of Rasbora: please report it"
            )),
        }
    }
}

/// The sections that can be reached from `roots`, in order.
fn reached(objects: &[Object], names: &Names<'_>, roots: &[Place]) -> Result<BTreeSet<Place>, String> {
    let section_of = |(object, index): Place| objects[object].symbols[index].section.map(|section| (object, section));
    let mut kept = BTreeSet::new();
    let mut waiting: Vec<Place> = roots.iter().filter_map(|&root| section_of(root)).collect();
    while let Some((object, section)) = waiting.pop() {
        if !kept.insert((object, section)) {
            continue;
        }
        for relocation in &objects[object].sections[section].relocations {
            let Some(symbol) = relocation.symbol else { continue };
            let target = names.resolve(objects, (object, symbol))?;
            waiting.extend(target.and_then(section_of));
        }
    }
    Ok(kept)
}

/// The object that is being made.
struct Merged<'a> {
    objects: &'a [Object],
    names: &'a Names<'a>,
    object: Object,
    sections: HashMap<Place, usize>,
    symbols: HashMap<Place, usize>,
    undefined: HashMap<Vec<u8>, usize>,
}

impl<'a> Merged<'a> {
    fn new(objects: &'a [Object], names: &'a Names<'a>, main: &Object) -> Self {
        let object = Object { format: main.format, sections: Vec::new(), symbols: Vec::new() };
        Self { objects, names, object, sections: HashMap::new(), symbols: HashMap::new(), undefined: HashMap::new() }
    }

    fn add_sections(&mut self, main: usize, kept: &BTreeSet<Place>) {
        let asks = !matches!(self.object.format.machine, elf::EM_ARM | elf::EM_RISCV);
        let is_note = |section: &&Section| ATTRIBUTES.contains(&section.kind) || (asks && section.name == STACK_NOTE);
        self.object.sections.extend(self.objects[main].sections.iter().filter(is_note).cloned());
        for &(object, index) in kept {
            let mut section = Section { relocations: Vec::new(), ..self.objects[object].sections[index].clone() };
            // Groups and orders name sections that are not here any more.
            section.flags &= !u64::from(elf::SHF_GROUP | elf::SHF_LINK_ORDER);
            self.sections.insert((object, index), self.object.sections.len());
            self.object.sections.push(section);
        }
    }

    /// Adds the symbols of kept sections: local ones, then those of C, then the public ones.
    fn add_symbols(&mut self, kept: &BTreeSet<Place>, roots: &[Place]) {
        for (object, content) in self.objects.iter().enumerate() {
            for (index, symbol) in content.symbols.iter().enumerate() {
                let Some(section) = symbol.section else { continue };
                if kept.contains(&(object, section)) && !roots.contains(&(object, index)) {
                    let info = (elf::STB_LOCAL << 4) | symbol.kind();
                    self.add_symbol((object, index), Symbol { info, ..symbol.clone() });
                }
            }
        }
        for &(object, section) in kept {
            for relocation in &self.objects[object].sections[section].relocations {
                let Some(symbol) = relocation.symbol.map(|index| &self.objects[object].symbols[index]) else {
                    continue;
                };
                let name = name_in_c(&symbol.name);
                let left = self.names.left.iter().any(|left| left.as_bytes() == name);
                if left && symbol.binding() != elf::STB_LOCAL && !self.undefined.contains_key(name) {
                    self.undefined.insert(name.to_vec(), self.object.symbols.len());
                    self.object.symbols.push(undefined(name));
                }
            }
        }
        for &(object, index) in roots {
            let symbol = &self.objects[object].symbols[index];
            let info = (elf::STB_GLOBAL << 4) | symbol.kind();
            self.add_symbol((object, index), Symbol { info, ..symbol.clone() });
        }
    }

    fn add_symbol(&mut self, place: Place, symbol: Symbol) {
        let section = symbol.section.and_then(|index| self.sections.get(&(place.0, index)).copied());
        // The two lowest bits are the visibility, which is the default one.
        let other = symbol.other & !3;
        self.symbols.insert(place, self.object.symbols.len());
        self.object.symbols.push(Symbol { section, other, ..symbol });
    }

    fn relocate(&mut self, kept: &BTreeSet<Place>) -> Result<(), String> {
        for &(object, index) in kept {
            let mut relocations = Vec::new();
            for relocation in &self.objects[object].sections[index].relocations {
                let symbol = match relocation.symbol {
                    None => None,
                    Some(symbol) => Some(self.symbol((object, symbol))?),
                };
                relocations.push(Relocation { symbol, ..relocation.clone() });
            }
            self.object.sections[self.sections[&(object, index)]].relocations = relocations;
        }
        Ok(())
    }

    fn symbol(&self, place: Place) -> Result<usize, String> {
        let found = match self.names.resolve(self.objects, place)? {
            Some(place) => self.symbols.get(&place),
            None => self.undefined.get(name_in_c(&self.objects[place.0].symbols[place.1].name)),
        };
        found.copied().ok_or_else(|| "a relocation refers to a symbol that was left out".into())
    }
}

fn undefined(name: &[u8]) -> Symbol {
    Symbol {
        name: name.to_vec(),
        section: None,
        special: elf::SHN_UNDEF,
        info: (elf::STB_GLOBAL << 4) | elf::STT_NOTYPE,
        other: 0,
        value: 0,
        bytes: 0,
    }
}
