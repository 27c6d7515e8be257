//! The most stack that a function can take, read off the machine code of a linked image.
//!
//! For each function the depth of the stack is followed along its branches, from the instructions that move the stack
//! pointer (push, store with write-back, subtraction); the bound is the deepest point, or a call's depth and the callee's
//! own bound, whichever is more. Recursion, calls through pointers and frames of a size known at run time have no bound.
//! What is not exact errs upwards: a branch to where a register or a table says stays in its function and may go to
//! whatever nothing else reaches, and where the stack pointer is aligned it moves by the most that this takes. Interrupts
//! come on top.

mod riscv;
mod thumb;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use object::read::elf::ElfFile32;
use object::{Architecture, Endianness, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use thiserror::Error;

/// Most bytes that aligning the stack pointer takes: a vector of 16 bytes where 4 are sure.
const ALIGNING: i64 = 12;

/// A deeper stack than this is a loop that pushes.
const DEEPEST: i64 = 1 << 24;

/// Why there is no bound.
#[derive(Debug, Error, Clone, PartialEq)]
pub enum Unbounded {
    /// The image has no such function.
    #[error("there is no function '{0}'")]
    Missing(String),
    /// A function calls itself, if by way of others.
    #[error("'{0}' is recursive")]
    Recursive(String),
    /// A function calls what an address in memory says.
    #[error("'{0}' calls through a pointer")]
    Pointer(String),
    /// A function takes as much stack as is known at run time.
    #[error("'{0}' takes stack by a size that is known at run time")]
    Dynamic(String),
    /// A function jumps to where no function starts.
    #[error("'{0}' jumps to {1:#x}, where no function starts")]
    Jump(String, u32),
    /// The image is of a kind that is not read.
    #[error("the image is not of a 32-bit Arm or RISC-V processor: {0}")]
    Image(String),
}

/// What an instruction does with the stack pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stack {
    /// Nothing.
    Keep,
    /// The stack grows by so many bytes, or shrinks where they are negative.
    Grow(i64),
    /// The stack pointer is set from a register: back to where it was, or down to a multiple.
    Set,
    /// The stack grows by what a register holds.
    Dynamic,
}

/// Where the processor goes after an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// To the next.
    Next,
    /// Elsewhere.
    Jump(u32),
    /// Elsewhere or to the next.
    Branch(u32),
    /// Into a function and back.
    Call(u32),
    /// Into a function that a register names, and back.
    CallPointer,
    /// Where a register or a table says, within the function.
    Table,
    /// Out of the function.
    Return,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    bytes: u32,
    stack: Stack,
    flow: Flow,
}

impl Instruction {
    const fn plain(bytes: u32) -> Self {
        Self { bytes, stack: Stack::Keep, flow: Flow::Next }
    }

    const fn stack(bytes: u32, stack: Stack) -> Self {
        Self { bytes, stack, flow: Flow::Next }
    }

    const fn flow(bytes: u32, flow: Flow) -> Self {
        Self { bytes, stack: Stack::Keep, flow }
    }
}

/// Decodes the instructions of one function, in the order of their addresses.
type Decode = fn(&Code<'_>, u32, u32) -> BTreeMap<u32, Instruction>;

struct Function {
    name: String,
    end: u32,
}

/// The code of an image.
struct Code<'a> {
    sections: Vec<(u32, &'a [u8])>,
    functions: BTreeMap<u32, Function>,
    /// Names and where they are: functions of the same code are one function of several names.
    names: Vec<(String, u32)>,
    /// Where data start within code, and where code starts again.
    marks: BTreeMap<u32, bool>,
    decode: Decode,
    known: HashMap<u32, Option<i64>>,
}

/// The most bytes of stack that one of the functions `names` (demangled, or a suffix after `::`) takes, its own frame
/// included.
///
/// # Errors
/// [`Unbounded`] where there is no bound or the file cannot be read.
pub fn stack_bound(elf: &Path, names: &[&str]) -> Result<u32, Unbounded> {
    let bytes = std::fs::read(elf).map_err(|error| Unbounded::Image(format!("{}: {error}", elf.display())))?;
    let file = ElfFile32::<Endianness>::parse(&*bytes).map_err(|error| Unbounded::Image(error.to_string()))?;
    let mut code = Code::read(&file)?;
    let mut most = 0;
    for &name in names {
        let is = |known: &str| known == name || known.ends_with(&format!("::{name}"));
        let found = code.names.iter().find(|(known, _)| is(known));
        let start = found.ok_or_else(|| Unbounded::Missing(name.to_owned()))?.1;
        most = most.max(code.bound(start)?);
    }
    Ok(u32::try_from(most).unwrap_or(u32::MAX))
}

impl<'a> Code<'a> {
    fn read(elf: &ElfFile32<'a, Endianness>) -> Result<Self, Unbounded> {
        let decode: Decode = match elf.architecture() {
            Architecture::Arm => thumb::decode,
            Architecture::Riscv32 => riscv::decode,
            other => return Err(Unbounded::Image(format!("{other:?}"))),
        };
        let text = |section: &object::read::elf::ElfSection32<'a, '_, Endianness>| section.kind() == SectionKind::Text;
        let sections: Vec<(u32, &[u8])> = elf
            .sections()
            .filter(text)
            .filter_map(|section| Some((section.address() as u32, section.data().ok()?)))
            .collect();
        let (mut functions, mut names, mut marks) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        for symbol in elf.symbols() {
            let (name, address) = (symbol.name().unwrap_or_default(), symbol.address() as u32);
            match name.get(..2) {
                Some("$d") => _ = marks.insert(address, true),
                Some("$t" | "$x") => _ = marks.insert(address, false),
                _ if symbol.kind() == SymbolKind::Text => {
                    // The lowest bit of an address says that the code is Thumb.
                    let (start, name) = (address & !1, format!("{:#}", rustc_demangle::demangle(name)));
                    names.push((name.clone(), start));
                    functions.insert(start, Function { name, end: start.saturating_add(symbol.size() as u32) });
                }
                _ => (),
            }
        }
        let starts: Vec<u32> = functions.keys().copied().collect();
        for (at, start) in starts.iter().enumerate() {
            let section = sections.iter().find(|(first, bytes)| (*first..*first + bytes.len() as u32).contains(start));
            let section_end = section.map_or(*start, |(first, bytes)| first + bytes.len() as u32);
            let next = starts.get(at + 1).copied().unwrap_or(section_end).min(section_end);
            if let Some(function) = functions.get_mut(start).filter(|function| function.end == *start) {
                function.end = next;
            }
        }
        Ok(Self { sections, functions, names, marks, decode, known: HashMap::new() })
    }

    /// `N` bytes of code at `address`.
    fn bytes<const N: usize>(&self, address: u32) -> Option<[u8; N]> {
        self.sections.iter().find_map(|(start, bytes)| {
            let at = address.checked_sub(*start)? as usize;
            bytes.get(at..)?.first_chunk().copied()
        })
    }

    fn half(&self, address: u32) -> Option<u16> {
        self.bytes(address).map(u16::from_le_bytes)
    }

    fn word(&self, address: u32) -> Option<u32> {
        self.bytes(address).map(u32::from_le_bytes)
    }

    /// Whether a mark says that there are data at `address`.
    fn is_data(&self, address: u32) -> bool {
        self.marks.range(..=address).next_back().is_some_and(|(_, data)| *data)
    }

    fn bound(&mut self, start: u32) -> Result<i64, Unbounded> {
        let Some(Function { name, end }) = self.functions.get(&start) else {
            return Err(Unbounded::Missing(format!("{start:#x}")));
        };
        let (name, end) = (name.clone(), *end);
        match self.known.get(&start) {
            Some(Some(bound)) => return Ok(*bound),
            Some(None) => return Err(Unbounded::Recursive(name)),
            None => _ = self.known.insert(start, None),
        }
        let depths = depths(&(self.decode)(self, start, end), start, &name)?;
        let mut most = 0;
        for (instruction, before, after) in depths {
            most = most.max(after);
            let callee = match instruction.flow {
                Flow::Call(target) if target == start || !(start..end).contains(&target) => target,
                Flow::Jump(target) | Flow::Branch(target) if !(start..end).contains(&target) => target,
                Flow::CallPointer => return Err(Unbounded::Pointer(name)),
                _ => continue,
            };
            if !self.functions.contains_key(&callee) {
                return Err(Unbounded::Jump(name, callee));
            }
            most = most.max(before + self.bound(callee)?);
        }
        self.known.insert(start, Some(most));
        Ok(most)
    }
}

/// The instructions of a function that are reached, each with the depth of the stack before and after it.
fn depths(
    code: &BTreeMap<u32, Instruction>,
    start: u32,
    name: &str,
) -> Result<Vec<(Instruction, i64, i64)>, Unbounded> {
    let mut reached: BTreeMap<u32, (Instruction, i64, i64)> = BTreeMap::new();
    let mut table: Option<i64> = None;
    let mut open = vec![(start, 0)];
    loop {
        while let Some((at, before)) = open.pop() {
            let Some(&instruction) = code.get(&at) else { continue };
            if reached.get(&at).is_some_and(|(_, known, _)| *known >= before) {
                continue;
            }
            let after = match instruction.stack {
                Stack::Keep => before,
                Stack::Grow(bytes) => (before + bytes).max(0),
                Stack::Set => before + ALIGNING,
                Stack::Dynamic => return Err(Unbounded::Dynamic(name.to_owned())),
            };
            if after > DEEPEST {
                return Err(Unbounded::Dynamic(name.to_owned()));
            }
            reached.insert(at, (instruction, before, after));
            let next = at + instruction.bytes;
            match instruction.flow {
                // Armv6-M has no other far jump than a call whose return address is not used.
                Flow::Call(target) if target != start && code.contains_key(&target) => open.push((target, after)),
                Flow::Next | Flow::Call(_) | Flow::CallPointer => open.push((next, after)),
                Flow::Jump(target) => open.push((target, after)),
                Flow::Branch(target) => open.extend([(next, after), (target, after)]),
                Flow::Table => table = table.max(Some(after)),
                Flow::Return => (),
            }
        }
        // What nothing else reaches is where tables lead.
        let rest = code.keys().find(|at| !reached.contains_key(at));
        match table.zip(rest) {
            Some((depth, &at)) => open.push((at, depth)),
            None => return Ok(reached.into_values().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(instructions: &[Instruction]) -> BTreeMap<u32, Instruction> {
        (0..).step_by(4).zip(instructions.iter().copied()).collect()
    }

    const fn grow(bytes: i64) -> Instruction {
        Instruction::stack(4, Stack::Grow(bytes))
    }

    fn deepest(instructions: &[Instruction]) -> Result<i64, Unbounded> {
        Ok(depths(&at(instructions), 0, "f")?.into_iter().map(|(_, _, after)| after).max().unwrap_or(0))
    }

    #[test]
    fn branches_are_followed() {
        let to = |flow| Instruction::flow(4, flow);
        let early = [grow(8), to(Flow::Branch(16)), grow(16), to(Flow::Return), grow(-8), to(Flow::Return)];
        assert_eq!(deepest(&early), Ok(24));
        let table = [grow(8), to(Flow::Table), grow(4), to(Flow::Return), grow(40), to(Flow::Return)];
        assert_eq!(deepest(&table), Ok(48));
    }

    #[test]
    fn a_loop_that_pushes_has_no_bound() {
        assert_eq!(deepest(&[grow(8), Instruction::flow(4, Flow::Jump(0))]), Err(Unbounded::Dynamic("f".into())));
    }
}
