//! Relocatable ELF objects as plain data: read from an archive, written again.

use object::elf;
use object::read::elf::{FileHeader, Rela, SectionHeader, Sym};
use object::read::{FileKind, archive::ArchiveFile};
use object::write::StringId;
use object::write::elf as write;
use object::{Endianness, SymbolIndex};

/// What an object's header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub(super) endian: Endianness,
    pub(super) is_64: bool,
    pub(super) os_abi: u8,
    pub(super) machine: u16,
    pub(super) flags: u32,
}

/// An object.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) format: Format,
    pub(super) sections: Vec<Section>,
    pub(super) symbols: Vec<Symbol>,
}

/// A section and what the linker changes in it.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) align: u64,
    pub(super) entry_bytes: u64,
    /// Length, also of sections that are all zeros and have no data.
    pub(super) bytes: u64,
    pub(super) data: Vec<u8>,
    pub(super) relocations: Vec<Relocation>,
    /// Whether relocations carry their addends, which else stand in the data.
    pub(super) addends: bool,
}

impl Section {
    fn is_stored(&self) -> bool {
        self.flags & u64::from(elf::SHF_ALLOC) != 0 && self.kind != elf::SHT_NOBITS
    }
}

/// A place that the linker fills in.
#[derive(Clone, Debug)]
pub(super) struct Relocation {
    pub(super) offset: u64,
    /// Index into the object's symbols; none for a relocation that is a mere mark.
    pub(super) symbol: Option<usize>,
    pub(super) kind: u32,
    pub(super) addend: i64,
}

/// A name for a place in a section, or for a place elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Symbol {
    pub(super) name: Vec<u8>,
    /// Index into the object's sections.
    pub(super) section: Option<usize>,
    /// What stands for a section where there is none: undefined, absolute.
    pub(super) special: u16,
    pub(super) info: u8,
    pub(super) other: u8,
    pub(super) value: u64,
    pub(super) bytes: u64,
}

impl Symbol {
    pub(super) fn binding(&self) -> u8 {
        self.info >> 4
    }

    pub(super) fn kind(&self) -> u8 {
        self.info & 0xf
    }
}

impl Object {
    /// Bytes of the sections that are stored in flash.
    pub(super) fn stored_bytes(&self) -> u64 {
        let sections = self.sections.iter().filter(|section| section.is_stored());
        sections.map(|section| section.bytes).sum()
    }

    /// Bytes of the data in flash whose symbols' names are like `is_wanted`.
    pub(super) fn data_bytes(&self, is_wanted: impl Fn(&str) -> bool) -> u64 {
        let stored = |symbol: &&Symbol| symbol.section.is_some_and(|index| self.sections[index].is_stored());
        let data = self.symbols.iter().filter(|symbol| symbol.kind() == elf::STT_OBJECT).filter(stored);
        data.filter(|symbol| is_wanted(&String::from_utf8_lossy(&symbol.name))).map(|symbol| symbol.bytes).sum()
    }
}

/// The objects of a static library; members that are no ELF objects are passed over.
pub(super) fn read_archive(bytes: &[u8]) -> Result<Vec<Object>, String> {
    let archive = ArchiveFile::parse(bytes).map_err(|error| error.to_string())?;
    let mut objects = Vec::new();
    for member in archive.members() {
        let data = member.and_then(|member| member.data(bytes)).map_err(|error| error.to_string())?;
        let object = match FileKind::parse(data) {
            Ok(FileKind::Elf32) => read::<elf::FileHeader32<Endianness>>(data),
            Ok(FileKind::Elf64) => read::<elf::FileHeader64<Endianness>>(data),
            _ => continue,
        };
        objects.push(object.map_err(|error| error.to_string())?);
    }
    Ok(objects)
}

fn read<H: FileHeader<Endian = Endianness>>(data: &[u8]) -> object::read::Result<Object> {
    let header = H::parse(data)?;
    let endian = header.endian()?;
    let format = Format {
        endian,
        is_64: header.is_type_64(),
        os_abi: header.e_ident().os_abi,
        machine: header.e_machine(endian),
        flags: header.e_flags(endian),
    };
    let table = header.sections(endian, data)?;
    let symbols = table.symbols(endian, data, elf::SHT_SYMTAB)?;
    let mut sections = Vec::new();
    for header in table.iter() {
        let stored = if header.sh_type(endian) == elf::SHT_NOBITS { &[][..] } else { header.data(endian, data)? };
        sections.push(Section {
            name: table.section_name(endian, header)?.to_vec(),
            kind: header.sh_type(endian),
            flags: header.sh_flags(endian).into(),
            align: header.sh_addralign(endian).into(),
            entry_bytes: header.sh_entsize(endian).into(),
            bytes: header.sh_size(endian).into(),
            data: stored.to_vec(),
            relocations: Vec::new(),
            addends: false,
        });
    }
    for header in table.iter() {
        let (relocations, addends): (Vec<H::Rela>, bool) = if let Some((found, _)) = header.rela(endian, data)? {
            (found.to_vec(), true)
        } else if let Some((found, _)) = header.rel(endian, data)? {
            (found.iter().map(|&it| it.into()).collect(), false)
        } else {
            continue;
        };
        let Some(section) = sections.get_mut(header.sh_info(endian) as usize) else { continue };
        section.addends = addends;
        section.relocations.extend(relocations.iter().map(|it| Relocation {
            offset: it.r_offset(endian).into(),
            symbol: it.symbol(endian, false).map(|SymbolIndex(index)| index),
            kind: it.r_type(endian, false),
            addend: it.r_addend(endian).into(),
        }));
    }
    let mut named = Vec::new();
    for (index, symbol) in symbols.enumerate() {
        named.push(Symbol {
            name: symbols.symbol_name(endian, symbol)?.to_vec(),
            section: symbols.symbol_section(endian, symbol, index)?.map(|index| index.0),
            special: symbol.st_shndx(endian),
            info: symbol.st_info(),
            other: symbol.st_other(),
            value: symbol.st_value(endian).into(),
            bytes: symbol.st_size(endian).into(),
        });
    }
    Ok(Object { format, sections, symbols: named })
}

/// The file of an object whose local symbols stand before the others.
pub(super) fn write(object: &Object) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let mut layout = Layout::new(object, &mut file);
    layout.reserve();
    layout.write().map_err(|error| error.to_string())?;
    Ok(file)
}

/// Where everything goes in the file.
struct Layout<'a> {
    object: &'a Object,
    writer: write::Writer<'a>,
    names: Vec<StringId>,
    relocation_names: Vec<Option<StringId>>,
    symbol_names: Vec<Option<StringId>>,
    indices: Vec<write::SectionIndex>,
    offsets: Vec<usize>,
    relocation_offsets: Vec<usize>,
}

impl<'a> Layout<'a> {
    fn new(object: &'a Object, file: &'a mut Vec<u8>) -> Self {
        Self {
            object,
            writer: write::Writer::new(object.format.endian, object.format.is_64, file),
            names: Vec::new(),
            relocation_names: Vec::new(),
            symbol_names: Vec::new(),
            indices: Vec::new(),
            offsets: Vec::new(),
            relocation_offsets: Vec::new(),
        }
    }

    fn reserve(&mut self) {
        let writer = &mut self.writer;
        let object: &'a Object = self.object;
        writer.reserve_file_header();
        writer.reserve_null_section_index();
        for section in &object.sections {
            self.names.push(writer.add_section_name(&section.name));
            self.indices.push(writer.reserve_section_index());
        }
        for section in &object.sections {
            let name = relocation_section_name(section);
            self.relocation_names.push(name.map(|name| writer.add_section_name(name)));
            if name.is_some() {
                writer.reserve_section_index();
            }
        }
        writer.reserve_symtab_section_index();
        writer.reserve_null_symbol_index();
        for symbol in &object.symbols {
            self.symbol_names.push((!symbol.name.is_empty()).then(|| writer.add_string(&symbol.name)));
            writer.reserve_symbol_index(symbol.section.map(|index| self.indices[index]));
        }
        if writer.symtab_shndx_needed() {
            writer.reserve_symtab_shndx_section_index();
        }
        writer.reserve_strtab_section_index();
        writer.reserve_shstrtab_section_index();
        for section in &object.sections {
            self.offsets.push(match section.data.len() {
                0 => 0,
                bytes => writer.reserve(bytes, section.align.max(1) as usize),
            });
        }
        for section in &object.sections {
            self.relocation_offsets.push(match section.relocations.len() {
                0 => 0,
                count => writer.reserve_relocations(count, section.addends),
            });
        }
        writer.reserve_symtab();
        writer.reserve_symtab_shndx();
        writer.reserve_strtab();
        writer.reserve_shstrtab();
        writer.reserve_section_headers();
    }

    fn write(mut self) -> object::write::Result<()> {
        let format = self.object.format;
        self.writer.write_file_header(&write::FileHeader {
            os_abi: format.os_abi,
            abi_version: 0,
            e_type: elf::ET_REL,
            e_machine: format.machine,
            e_entry: 0,
            e_flags: format.flags,
        })?;
        for section in self.object.sections.iter().filter(|section| !section.data.is_empty()) {
            self.writer.write_align(section.align.max(1) as usize);
            self.writer.write(&section.data);
        }
        for section in self.object.sections.iter().filter(|section| !section.relocations.is_empty()) {
            self.writer.write_align_relocation();
            for it in &section.relocations {
                let relocation = write::Rel {
                    r_offset: it.offset,
                    // The null symbol comes first in the file.
                    r_sym: it.symbol.map_or(0, |index| index as u32 + 1),
                    r_type: it.kind,
                    r_addend: it.addend,
                };
                self.writer.write_relocation(section.addends, &relocation);
            }
        }
        self.write_symbols();
        self.writer.write_symtab_shndx();
        self.writer.write_strtab();
        self.writer.write_shstrtab();
        self.write_section_headers();
        Ok(())
    }

    fn write_symbols(&mut self) {
        self.writer.write_null_symbol();
        for (symbol, &name) in self.object.symbols.iter().zip(&self.symbol_names) {
            self.writer.write_symbol(&write::Sym {
                name,
                section: symbol.section.map(|index| self.indices[index]),
                st_info: symbol.info,
                st_other: symbol.other,
                st_shndx: symbol.special,
                st_value: symbol.value,
                st_size: symbol.bytes,
            });
        }
    }

    fn write_section_headers(&mut self) {
        let symbols = self.writer.symtab_index();
        self.writer.write_null_section_header();
        for (index, section) in self.object.sections.iter().enumerate() {
            self.writer.write_section_header(&write::SectionHeader {
                name: Some(self.names[index]),
                sh_type: section.kind,
                sh_flags: section.flags,
                sh_addr: 0,
                sh_offset: self.offsets[index] as u64,
                sh_size: section.bytes,
                sh_link: 0,
                sh_info: 0,
                sh_addralign: section.align,
                sh_entsize: section.entry_bytes,
            });
        }
        for (index, section) in self.object.sections.iter().enumerate() {
            let Some(name) = self.relocation_names[index] else { continue };
            self.writer.write_relocation_section_header(
                name,
                self.indices[index],
                symbols,
                self.relocation_offsets[index],
                section.relocations.len(),
                section.addends,
            );
        }
        let locals = self.object.symbols.iter().filter(|symbol| symbol.binding() == elf::STB_LOCAL).count();
        self.writer.write_symtab_section_header(locals as u32 + 1);
        self.writer.write_symtab_shndx_section_header();
        self.writer.write_strtab_section_header();
        self.writer.write_shstrtab_section_header();
    }
}

fn relocation_section_name(section: &Section) -> Option<&'static [u8]> {
    if section.relocations.is_empty() {
        None
    } else if section.addends {
        Some(b".rela")
    } else {
        Some(b".rel")
    }
}
