//! The firmware that draws layers of each kernel, and computes each by the target's instruction set and in plain Rust, which
//! must write the same bytes and none beside them.
//!
//! `job`: the first seed and their number. `seed`: the layers that were begun, until all are done.
//! What differs is printed: the smallest of a kernel's layers, so that it is easy to follow.
#![no_std]
#![no_main]

#[path = "device/src/ops/drawing.rs"]
mod drawing;
mod files;
#[cfg_attr(target_arch = "arm", path = "arm.rs")]
#[cfg_attr(target_arch = "riscv32", path = "riscv.rs")]
mod machine;
mod region;
mod semihosting;
mod stack;

// Written for each image: `Isa`, and `KERNELS`, the names of kernels and `hold` of each.
mod selected;

use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ops::Range;

use drawing::{Draw, Random};
use files::{Reader, Writer};
use rasbora_device::isa::Portable;
use rasbora_device::memory::{Aligned, Memory, Operand, Space};
use rasbora_device::ops::{OperandList, Overlap, Role, check};
use region::measure;
use selected::{Isa, KERNELS};

/// Bytes of a memory: a layer that needs more is drawn again.
const BYTES: usize = 64 * 1024;
/// Bytes around an operand that nobody may write.
const GUARD: usize = 32;
/// What the arena holds before the instruction set runs, and before plain Rust does.
const FILLED: [u8; 2] = [0x55, 0xAA];
/// Most operands of a kernel.
const OPERANDS: usize = 8;

/// Constants, and an arena for each of both.
struct Memories {
    constants: Aligned<[u8; BYTES]>,
    arenas: [Aligned<[u8; BYTES]>; 2],
}

struct Owned(UnsafeCell<Memories>);

// SAFETY: there is one thread, and `rasbora_main` takes the memories once.
unsafe impl Sync for Owned {}

static MEMORIES: Owned =
    Owned(UnsafeCell::new(Memories { constants: Aligned([0; BYTES]), arenas: [const { Aligned([0; BYTES]) }; 2] }));

/// [`hold`] of a kernel.
type Hold = fn(&str, Range<u32>, &mut Memories, &mut Writer) -> bool;

/// Called by the start-up code once memory is set up.
#[unsafe(no_mangle)]
extern "C" fn rasbora_main() -> ! {
    let mut job = Reader::open(c"job");
    let first = job.word();
    let seeds = first..first.wrapping_add(job.word());
    let mut begun = Writer::create(c"seed");
    // SAFETY: this runs once, and nothing else refers to the memories.
    let memories = unsafe { &mut *MEMORIES.0.get() };
    let mut equal = true;
    for &(name, hold) in KERNELS {
        equal &= hold(name, seeds.clone(), memories, &mut begun);
    }
    // No layer is left that might fault.
    Writer::create(c"seed");
    // Nothing is counted, but an image has the markers.
    measure(&mut (), |()| ());
    semihosting::exit(if equal { 0 } else { 1 })
}

/// Holds the layers that `seeds` draw to plain Rust, and prints what came of it; whether all are equal.
fn hold<K: Draw>(name: &str, seeds: Range<u32>, memories: &mut Memories, begun: &mut Writer) -> bool {
    let (mut differing, mut smallest) = (0, None);
    let (mut outputs, mut within) = (0u64, 0u64);
    for seed in seeds.clone() {
        begun.word(seed);
        let layer = Layer::<K>::draw(seed, memories);
        match layer.run(memories) {
            Ok(()) => {
                let bytes = layer.output(&memories.arenas[1].0);
                outputs += bytes.len() as u64;
                within += bytes.iter().filter(|&&byte| !matches!(byte as i8, -128 | 127)).count() as u64;
            }
            Err(_) => {
                differing += 1;
                if smallest.is_none_or(|(size, _)| layer.size() < size) {
                    smallest = Some((layer.size(), seed));
                }
            }
        }
    }
    let mut line = Line::new();
    let Some((_, seed)) = smallest else {
        let percent = 100 * within / outputs.max(1);
        // Writing to a line cannot fail.
        let _ = write!(line, "{name}: {} shapes equal, {percent} % of outputs within the range", seeds.len());
        line.print();
        return true;
    };
    let layer = Layer::<K>::draw(seed, memories);
    let difference = layer.run(memories);
    let _ = write!(line, "{name}: {differing} of {} shapes differ; the smallest has seed {seed}, ", seeds.len());
    let (cut, over) = (layer.cut, layer.over);
    let _ = write!(line, "rows up to {cut} before the others, output over operand {over:?}, {:?}: ", layer.kernel);
    let _ = write!(line, "{difference:?}");
    line.print();
    false
}

/// How the instruction set differs from plain Rust.
#[derive(Debug)]
#[allow(dead_code, reason = "printed")]
enum Difference {
    /// The kernel refuses what was drawn.
    Refused,
    /// A byte of an operand is not what it is in plain Rust.
    Byte { operand: usize, at: usize, found: u8, expected: u8 },
    /// A byte of the arena that belongs to none of its operands was written.
    Beside { offset: usize, found: u8, operands: [Operand; OPERANDS] },
}

/// A layer, its operands filled.
struct Layer<K> {
    kernel: K,
    operands: [Operand; OPERANDS],
    /// The operands in plain Rust, where the output lies over none of the others.
    apart: [Operand; OPERANDS],
    count: usize,
    /// The operand that the output lies over, as far as the kernel allows.
    over: Option<usize>,
    /// Bytes of the arena that are in use, guards included.
    arena: usize,
    /// Where its rows are cut into two parts.
    cut: u32,
}

impl<K: Draw> Layer<K> {
    fn draw(seed: u32, memories: &mut Memories) -> Self {
        let mut random = Random::of_seed(u64::from(K::OPCODE) << 32 | u64::from(seed));
        loop {
            let kernel = K::draw(&mut random);
            let operands = [Operand::default(); OPERANDS];
            let mut layer = Self { kernel, operands, apart: operands, count: 0, over: None, arena: 0, cut: 0 };
            if layer.place(&mut random) && (random.one_in(2) || layer.overlay()) {
                layer.cut = if random.one_in(2) { random.below(kernel.rows() + 1) } else { kernel.rows() };
                layer.fill(&mut random, memories);
                return layer;
            }
        }
    }

    /// Gives each operand a place with guards around it, at any address that its elements may have; whether all fit.
    fn place(&mut self, random: &mut Random) -> bool {
        let needs = self.kernel.needs();
        let mut ends = [0usize; 2];
        for need in needs.as_ref() {
            let in_arena = match need.role {
                Role::Constant => false,
                Role::Read => !random.one_in(8),
                Role::Write => true,
            };
            let end = &mut ends[usize::from(in_arena)];
            let grain = usize::from(need.element_bytes).min(4);
            let start = end.next_multiple_of(16) + GUARD + random.below(4) as usize * grain;
            let (offset, bytes) = (start as u32, need.bytes());
            *end = start + bytes as usize + GUARD;
            if *end > BYTES {
                return false;
            }
            self.operands[self.count] =
                if in_arena { Operand::arena(offset, bytes) } else { Operand::constant(offset, bytes) };
            self.count += 1;
        }
        self.arena = ends[1];
        self.apart = self.operands;
        true
    }

    /// Moves an input, and the output as far over it as the kernel allows, behind all others; whether they fit.
    fn overlay(&mut self) -> bool {
        let output = self.count - 1;
        let written = self.operands[output].bytes;
        for index in (0..output).filter(|&index| self.operands[index].space() == Space::Arena) {
            let read = self.operands[index].bytes;
            let [input, out] = match self.kernel.overlap(index) {
                Overlap::SameOffset => [0, 0],
                Overlap::Forward { lead } if lead < written => [lead, 0],
                Overlap::Backward { lead } if lead < written => {
                    let end = written.max(read + lead);
                    [end - lead - read, end - written]
                }
                _ => continue,
            };
            let start = (self.arena.next_multiple_of(16) + GUARD) as u32;
            self.operands[index] = Operand::arena(start + input, read);
            self.operands[output] = Operand::arena(start + out, written);
            self.over = Some(index);
            self.arena = (start + (input + read).max(out + written)) as usize + GUARD;
            return self.arena <= BYTES;
        }
        true
    }

    /// Fills all that the kernel reads, and the rest of the arenas with what nobody writes.
    fn fill(&self, random: &mut Random, memories: &mut Memories) {
        let Memories { constants, arenas: [arena, portable] } = memories;
        arena.0[..self.arena].fill(FILLED[0]);
        portable.0[..self.arena].fill(FILLED[1]);
        let needs = self.kernel.needs();
        for (index, need) in needs.as_ref().iter().enumerate() {
            let (operand, apart) = (self.operands[index], range(self.apart[index]));
            let range = range(operand);
            let bytes = match operand.space() {
                Space::Constants => &mut constants.0[range.clone()],
                Space::Arena => &mut arena.0[range.clone()],
            };
            match need.role {
                Role::Constant => self.kernel.constant(index, random, bytes),
                Role::Read => drawing::fill(random, bytes),
                Role::Write => {}
            }
            if need.role == Role::Read && operand.space() == Space::Arena {
                portable.0[apart].copy_from_slice(&arena.0[range]);
            }
        }
    }

    /// Runs the layer both ways and compares what they leave.
    fn run(&self, memories: &mut Memories) -> Result<(), Difference> {
        let Memories { constants, arenas: [arena, portable] } = memories;
        let (arena, portable) = (&mut arena.0[..self.arena], &mut portable.0[..self.arena]);
        let list = |operands| K::Operands::of(operands).ok_or(Difference::Refused);
        let [operands, apart] = [&self.operands, &self.apart].map(|operands| &operands[..self.count]);
        check(&self.kernel, operands).map_err(|_| Difference::Refused)?;
        for rows in [0..self.cut, self.cut..self.kernel.rows()] {
            self.kernel.run::<Isa>(rows, Memory::new(&constants.0, arena), list(operands)?);
        }
        self.kernel.run::<Portable>(0..self.kernel.rows(), Memory::new(&constants.0, portable), list(apart)?);
        self.compare(arena, portable)
    }

    fn compare(&self, arena: &mut [u8], portable: &[u8]) -> Result<(), Difference> {
        let needs = self.kernel.needs();
        for (index, (need, &operand)) in needs.as_ref().iter().zip(&self.operands).enumerate() {
            if let Space::Constants = operand.space() {
                continue;
            }
            let (range, apart) = (range(operand), range(self.apart[index]));
            let scratch = need.role == Role::Write && index + 1 < self.count;
            let kept = (!scratch || K::LEAVES_SCRATCH) && self.over != Some(index);
            let mut bytes = arena[range].iter().zip(&portable[apart]).enumerate();
            if let Some((at, (&found, &expected))) = bytes.find(|(_, (a, b))| kept && a != b) {
                return Err(Difference::Byte { operand: index, at, found, expected });
            }
        }
        // What is left is what nobody may write.
        for &operand in self.operands[..self.count].iter().filter(|operand| operand.space() == Space::Arena) {
            arena[range(operand)].fill(FILLED[0]);
        }
        match arena.iter().position(|&byte| byte != FILLED[0]) {
            Some(offset) => Err(Difference::Beside { offset, found: arena[offset], operands: self.operands }),
            None => Ok(()),
        }
    }

    /// What the layer wrote to `arena`.
    fn output<'a>(&self, arena: &'a [u8]) -> &'a [u8] {
        &arena[range(self.apart[self.count - 1])]
    }

    /// Bytes of all operands.
    fn size(&self) -> u32 {
        self.operands[..self.count].iter().map(|operand| operand.bytes).sum()
    }
}

fn range(operand: Operand) -> Range<usize> {
    let start = operand.offset() as usize;
    start..start + operand.bytes as usize
}

/// A line of text; what is too long for it is left out.
struct Line {
    text: [u8; 1024],
    used: usize,
}

impl Line {
    fn new() -> Self {
        Self { text: [0; 1024], used: 0 }
    }

    fn print(&self) {
        if let Ok(text) = CStr::from_bytes_until_nul(&self.text) {
            semihosting::print(text);
        }
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // The last byte ends the line.
        let room = &mut self.text[self.used..1023];
        let bytes = room.len().min(text.len());
        room[..bytes].copy_from_slice(&text.as_bytes()[..bytes]);
        self.used += bytes;
        Ok(())
    }
}
