//! The firmware that damages a packed program in many ways and runs what the interpreter accepts, while the memory
//! protection unit of an Armv7-M core lets it write into the arena and its stack alone, and read these, the program and
//! flash.
//!
//! `program`: length and bytes. `job`: the first seed, their number, bytes of the program's front, bytes of arena, and
//! whether to write beside the arena first, which must fault.
//! `output`: a word for each seed, 0 where the program ran to its end, else the fault's code.
#![no_std]
#![no_main]

mod files;
#[path = "arm.rs"]
mod machine;
mod mutation;
mod region;
mod semihosting;
mod stack;

// Written for each image: `Kernels` and `Isa`, what is linked.
mod selected;

use files::{Reader, Writer};
use rasbora_device::interpreter::Interpreter;
use rasbora_device::network::Progress;
use region::measure;
use selected::{Isa, Kernels};

/// What a region of the memory protection unit allows: `RASR.AP`, and `XN` in the bit above it.
#[derive(Clone, Copy)]
#[repr(u32)]
enum Access {
    Execute = 0b0110,
    Read = 0b1_0110,
    Write = 0b1_0011,
}

/// The memory protection unit's registers, from `MPU_CTRL` on.
const MPU: *mut u32 = 0xE000_ED94 as *mut u32;
/// A region for the program, and one for the arena: each as large, each at a multiple of its size.
const PROGRAM: usize = 0x2010_0000;
const ARENA: usize = 0x2020_0000;
const REGION_BITS: u32 = 16;
const REGION_BYTES: usize = 1 << REGION_BITS;

unsafe extern "C" {
    static __stack_top: u8;
}

fn set_region(number: u32, base: usize, bits: u32, access: Access) {
    // SAFETY: the unit is off; RNR, RBAR and RASR of a region that is aligned to its size.
    unsafe {
        MPU.add(1).write_volatile(number);
        MPU.add(2).write_volatile(base as u32);
        MPU.add(3).write_volatile((access as u32) << 24 | (bits - 1) << 1 | 1);
    }
}

fn protect(on: bool) {
    // SAFETY: the regions are set; without a background region, nothing else may be touched.
    unsafe {
        MPU.write_volatile(on.into());
        core::arch::asm!("dsb", "isb");
    }
}

/// `bytes` bytes of a region: at its end, or at its start.
fn place(region: usize, bytes: usize, at_end: bool) -> &'static mut [u8] {
    let start = if at_end { (region + REGION_BYTES - bytes) & !15 } else { region };
    // SAFETY: memory that nothing else uses; the slice of the turn before is gone.
    unsafe { core::slice::from_raw_parts_mut(start as *mut u8, bytes) }
}

struct Job {
    program: usize,
    front: usize,
    arena: usize,
    probe: bool,
}

/// Called by the start-up code once memory is set up.
#[unsafe(no_mangle)]
extern "C" fn rasbora_main() -> ! {
    let mut job = Reader::open(c"job");
    let (first, count) = (job.word(), job.word());
    let mut file = Reader::open(c"program");
    let [front, arena, probe] = [job.word(), job.word(), job.word()];
    let program = file.word() as usize;
    let mut job = Job { program, front: front as usize, arena: arena as usize, probe: probe != 0 };
    // The original lies between the variables and the regions.
    let original = place(PROGRAM - REGION_BYTES, job.program, false);
    if job.program > REGION_BYTES || job.arena > REGION_BYTES {
        semihosting::print(c"the program or its arena is larger than a region");
        semihosting::exit(2);
    }
    file.fill(original);
    set_region(0, 0, 22, Access::Execute);
    set_region(1, PROGRAM, REGION_BITS, Access::Read);
    set_region(2, ARENA, REGION_BITS, Access::Write);
    set_region(3, &raw const __stack_top as usize - REGION_BYTES, REGION_BITS, Access::Write);
    let mut output = Writer::create(c"output");
    measure(&mut job, |job| {
        for seed in first..first.wrapping_add(count) {
            output.word(turn(job, original, seed).cast_unsigned());
        }
    });
    semihosting::exit(0)
}

/// Runs the program as the seed damages it; returns 0 or the fault's code.
fn turn(job: &Job, original: &[u8], seed: u32) -> i32 {
    let program = place(PROGRAM, job.program, true);
    program.copy_from_slice(original);
    mutation::damage(program, job.front, seed.into());
    // What lies before and after the arena is guarded by turns.
    let arena = place(ARENA, job.arena, seed & 2 == 0);
    protect(true);
    if job.probe {
        // SAFETY: none: the byte behind the arena's region is forbidden, and that is the point.
        unsafe { ((ARENA + REGION_BYTES) as *mut u8).write_volatile(1) };
    }
    let code = run(program, arena, seed);
    protect(false);
    code
}

#[inline(never)]
fn run(program: &'static [u8], arena: &'static mut [u8], seed: u32) -> i32 {
    match Interpreter::<Kernels, Isa>::new(program, arena) {
        Ok(mut interpreter) => {
            for index in 0..interpreter.program().inputs() {
                interpreter.input_mut(index).fill(seed as u8);
            }
            if seed & 4 == 0 {
                interpreter.run();
            } else {
                while interpreter.step(10_000) == Progress::Pending {}
            }
            0
        }
        Err(fault) => fault.code(),
    }
}
