//! The table of targets: processors, their memories, and the emulated boards that stand for them.
//!
//! A target is data. To add one, add a row to [`TARGETS`]; nothing else knows targets by name. An instruction set
//! with kernels of its own is a variant of [`InstructionSet`] named like its type in `rasbora_device::isa`, and the
//! rows of the parts that have it then say so.

/// A processor with its memories.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What the command line calls it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub description: &'static str,
    /// Rust's name for the architecture and ABI.
    pub triple: &'static str,
    /// The processor, as `rustc -C target-cpu` calls it.
    pub cpu: &'static str,
    /// The kernels that run on it.
    pub isa: InstructionSet,
    /// Memory that code and constants are stored in.
    pub flash: Memory,
    /// Memory that the arena, the stack and variables share.
    pub ram: Memory,
    /// The highest core clock, in Hz; none where an emulated board has no clock of its own.
    pub clock_hz: Option<u32>,
    /// The emulated board, where there is one.
    pub board: Option<Board>,
    /// The model that gives cycles for counted instructions, where there is one.
    pub cycles: Option<CycleModel>,
    /// Where the figures of this row come from.
    pub source: &'static str,
}

/// A range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// The first address.
    pub origin: u32,
    /// Its size.
    pub bytes: u32,
}

/// A board that QEMU emulates.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// The program that emulates it.
    pub emulator: &'static str,
    /// QEMU's name of the board.
    pub machine: &'static str,
    /// Further arguments of the emulator.
    pub arguments: &'static [&'static str],
    /// Memory that constants go to, on boards whose flash at the reset address is small.
    pub constants: Option<Memory>,
    /// The address of the first serial port: Arm's CMSDK UART, or a 16550 on RISC-V; none where it is another.
    pub uart: Option<u32>,
}

/// The instruction sets that have kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InstructionSet {
    /// Plain Rust, for every processor.
    Portable,
    /// Armv6-M.
    Armv6m,
    /// Armv7-M.
    Armv7m,
    /// RISC-V with 32 registers and multiplication.
    Rv32im,
    /// Armv7E-M, or Armv8-M with the DSP extension.
    Armv7em,
    /// Armv8.1-M with vectors of integers.
    Helium,
}

impl InstructionSet {
    /// The name of its type in `rasbora_device::isa`.
    pub const fn type_name(self) -> &'static str {
        match self {
            Self::Portable => "Portable",
            Self::Armv6m => "Armv6m",
            Self::Armv7m => "Armv7m",
            Self::Rv32im => "Rv32im",
            Self::Armv7em => "Armv7em",
            Self::Helium => "Helium",
        }
    }
}

/// The cores whose cycles are modelled; on the others instructions alone are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CycleModel {
    /// Cortex-M0, with the single-cycle multiplier.
    CortexM0,
    /// Cortex-M0+, with the single-cycle multiplier.
    CortexM0Plus,
    /// Cortex-M3.
    CortexM3,
    /// Cortex-M4, with or without its floating-point unit.
    CortexM4,
}

impl CycleModel {
    /// The model's name, as reports cite it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexM0 => "cortex-m0",
            Self::CortexM0Plus => "cortex-m0plus",
            Self::CortexM3 => "cortex-m3",
            Self::CortexM4 => "cortex-m4",
        }
    }
}

impl Target {
    /// Bytes that code and constants together may take.
    pub fn flash_bytes(&self) -> u32 {
        let apart = self.board.and_then(|board| board.constants);
        self.flash.bytes + apart.map_or(0, |memory| memory.bytes)
    }

    /// The options by which gcc makes C code that links with code for this target.
    pub fn gcc_options(&self) -> String {
        match self.triple {
            RV32IMAC => "-march=rv32imac -mabi=ilp32".into(),
            triple => {
                let floats = if triple.ends_with("hf") { "hard" } else { "soft" };
                format!("-mcpu={} -mthumb -mfloat-abi={floats}", self.cpu)
            }
        }
    }
}

const KIB: u32 = 1024;
const MIB: u32 = 1024 * KIB;
const MHZ: u32 = 1_000_000;

const V6M: &str = "thumbv6m-none-eabi";
const V7M: &str = "thumbv7m-none-eabi";
const V7EM: &str = "thumbv7em-none-eabihf";
const V8M: &str = "thumbv8m.main-none-eabihf";
const RV32IMAC: &str = "riscv32imac-unknown-none-elf";

const MPS2_FLASH: Memory = memory(0, 4 * MIB);
const MPS2_RAM: Memory = memory(0x2000_0000, 4 * MIB);

const fn memory(origin: u32, bytes: u32) -> Memory {
    Memory { origin, bytes }
}

/// UART0 of the MPS2 images for cores without TrustZone.
const MPS2_UART: u32 = 0x4000_4000;

const fn arm(machine: &'static str, uart: Option<u32>) -> Option<Board> {
    Some(Board { emulator: "qemu-system-arm", machine, arguments: &[], constants: None, uart })
}

/// Every target: emulated boards first, then parts that are known by their datasheets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "cortex-m0",
        description: "Cortex-M0, emulated (QEMU mps2-an385)",
        triple: V6M,
        cpu: "cortex-m0",
        isa: InstructionSet::Armv6m,
        flash: MPS2_FLASH,
        ram: MPS2_RAM,
        clock_hz: Some(25 * MHZ),
        board: arm("mps2-an385", Some(MPS2_UART)),
        cycles: Some(CycleModel::CortexM0),
        source: "Arm DAI 0385 (memory map of the MPS2 image); the board's own core is an M3, which runs Armv6-M code",
    },
    Target {
        name: "cortex-m0plus",
        description: "Cortex-M0+, emulated (QEMU mps2-an385)",
        triple: V6M,
        cpu: "cortex-m0plus",
        isa: InstructionSet::Armv6m,
        flash: MPS2_FLASH,
        ram: MPS2_RAM,
        clock_hz: Some(25 * MHZ),
        board: arm("mps2-an385", Some(MPS2_UART)),
        cycles: Some(CycleModel::CortexM0Plus),
        source: "Arm DAI 0385 (memory map of the MPS2 image); the board's own core is an M3, which runs Armv6-M code",
    },
    Target {
        name: "cortex-m3",
        description: "Cortex-M3, emulated (QEMU mps2-an385)",
        triple: V7M,
        cpu: "cortex-m3",
        isa: InstructionSet::Armv7m,
        flash: MPS2_FLASH,
        ram: MPS2_RAM,
        clock_hz: Some(25 * MHZ),
        board: arm("mps2-an385", Some(MPS2_UART)),
        cycles: Some(CycleModel::CortexM3),
        source: "Arm DAI 0385 (memory map of the MPS2 image)",
    },
    Target {
        name: "cortex-m4",
        description: "Cortex-M4 with FPU, emulated (QEMU mps2-an386)",
        triple: V7EM,
        cpu: "cortex-m4",
        isa: InstructionSet::Armv7em,
        flash: MPS2_FLASH,
        ram: MPS2_RAM,
        clock_hz: Some(25 * MHZ),
        board: arm("mps2-an386", Some(MPS2_UART)),
        cycles: Some(CycleModel::CortexM4),
        source: "Arm DAI 0386 (memory map of the MPS2 image)",
    },
    Target {
        name: "cortex-m7",
        description: "Cortex-M7, emulated (QEMU mps2-an500)",
        triple: V7EM,
        cpu: "cortex-m7",
        isa: InstructionSet::Armv7em,
        flash: MPS2_FLASH,
        ram: MPS2_RAM,
        clock_hz: Some(25 * MHZ),
        board: arm("mps2-an500", Some(MPS2_UART)),
        cycles: None,
        source: "Arm DAI 0500 (memory map of the MPS2 image)",
    },
    Target {
        name: "cortex-m33",
        description: "Cortex-M33 with DSP and FPU, emulated (QEMU mps2-an505)",
        triple: V8M,
        cpu: "cortex-m33",
        isa: InstructionSet::Armv7em,
        flash: memory(0x1000_0000, 4 * MIB),
        ram: memory(0x3800_0000, 4 * MIB),
        clock_hz: Some(20 * MHZ),
        board: arm("mps2-an505", Some(0x5020_0000)),
        cycles: None,
        source: "Arm DAI 0505 (memory map of the MPS2+ image, secure aliases)",
    },
    Target {
        name: "cortex-m55",
        description: "Cortex-M55 with Helium, emulated (QEMU mps3-an547)",
        triple: V8M,
        cpu: "cortex-m55",
        isa: InstructionSet::Helium,
        flash: memory(0, 512 * KIB),
        ram: memory(0x2100_0000, 2 * MIB),
        clock_hz: Some(32 * MHZ),
        board: Some(Board {
            emulator: "qemu-system-arm",
            machine: "mps3-an547",
            arguments: &[],
            constants: Some(memory(0x6000_0000, 16 * MIB)),
            uart: Some(0x5930_3000),
        }),
        cycles: None,
        source: "Arm DAI 0547 (memory map of the MPS3 image): code in the ITCM, constants in DDR, RAM in the SRAM",
    },
    Target {
        name: "rv32imac",
        description: "RISC-V RV32IMAC, emulated (QEMU virt)",
        triple: RV32IMAC,
        cpu: "generic-rv32",
        isa: InstructionSet::Rv32im,
        flash: memory(0x8000_0000, 4 * MIB),
        ram: memory(0x8040_0000, 4 * MIB),
        clock_hz: None,
        board: Some(Board {
            emulator: "qemu-system-riscv32",
            machine: "virt",
            arguments: &["-bios", "none", "-cpu", "rv32"],
            constants: None,
            uart: Some(0x1000_0000),
        }),
        cycles: None,
        source: "QEMU's virt machine has RAM alone, at 0x80000000; it is divided here",
    },
    Target {
        name: "microbit",
        description: "BBC micro:bit v1 (nRF51822, Cortex-M0), emulated (QEMU microbit)",
        triple: V6M,
        cpu: "cortex-m0",
        isa: InstructionSet::Armv6m,
        flash: memory(0, 256 * KIB),
        ram: memory(0x2000_0000, 16 * KIB),
        clock_hz: Some(16 * MHZ),
        board: arm("microbit", None),
        cycles: Some(CycleModel::CortexM0),
        source: "Nordic nRF51822 Product Specification v3.4 (variant QFAA)",
    },
    Target {
        name: "nrf52832",
        description: "Nordic nRF52832, Cortex-M4F",
        triple: V7EM,
        cpu: "cortex-m4",
        isa: InstructionSet::Armv7em,
        flash: memory(0, 512 * KIB),
        ram: memory(0x2000_0000, 64 * KIB),
        clock_hz: Some(64 * MHZ),
        board: None,
        cycles: Some(CycleModel::CortexM4),
        source: "Nordic nRF52832 Product Specification v1.8 (variant QFAA)",
    },
    Target {
        name: "nrf52840",
        description: "Nordic nRF52840, Cortex-M4F",
        triple: V7EM,
        cpu: "cortex-m4",
        isa: InstructionSet::Armv7em,
        flash: memory(0, MIB),
        ram: memory(0x2000_0000, 256 * KIB),
        clock_hz: Some(64 * MHZ),
        board: None,
        cycles: Some(CycleModel::CortexM4),
        source: "Nordic nRF52840 Product Specification v1.7",
    },
    Target {
        name: "stm32l4r5",
        description: "ST STM32L4R5xI, Cortex-M4F",
        triple: V7EM,
        cpu: "cortex-m4",
        isa: InstructionSet::Armv7em,
        flash: memory(0x0800_0000, 2 * MIB),
        ram: memory(0x2000_0000, 640 * KIB),
        clock_hz: Some(120 * MHZ),
        board: None,
        cycles: Some(CycleModel::CortexM4),
        source: "ST DS12023 (SRAM1, SRAM2 and SRAM3 lie in a row)",
    },
    Target {
        name: "stm32f746",
        description: "ST STM32F746xG, Cortex-M7",
        triple: V7EM,
        cpu: "cortex-m7",
        isa: InstructionSet::Armv7em,
        flash: memory(0x0800_0000, MIB),
        ram: memory(0x2000_0000, 320 * KIB),
        clock_hz: Some(216 * MHZ),
        board: None,
        cycles: None,
        source: "ST DS10916 (DTCM, SRAM1 and SRAM2 lie in a row)",
    },
    Target {
        name: "stm32u575",
        description: "ST STM32U575xI, Cortex-M33",
        triple: V8M,
        cpu: "cortex-m33",
        isa: InstructionSet::Armv7em,
        flash: memory(0x0800_0000, 2 * MIB),
        ram: memory(0x2000_0000, 768 * KIB),
        clock_hz: Some(160 * MHZ),
        board: None,
        cycles: None,
        source: "ST DS13737 (SRAM1, SRAM2 and SRAM3 lie in a row; SRAM4 is left out)",
    },
    Target {
        name: "rp2040",
        description: "Raspberry Pi RP2040 on a Pico, Cortex-M0+",
        triple: V6M,
        cpu: "cortex-m0plus",
        isa: InstructionSet::Armv6m,
        flash: memory(0x1000_0000, 2 * MIB),
        ram: memory(0x2000_0000, 264 * KIB),
        clock_hz: Some(133 * MHZ),
        board: None,
        cycles: Some(CycleModel::CortexM0Plus),
        source: "Raspberry Pi RP2040 Datasheet (RAM, clock); Raspberry Pi Pico Datasheet (2 MB external flash)",
    },
];

/// The target called `name`.
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// The target whose name is most like `name`, if any is like it: what an error suggests.
pub fn nearest(name: &str) -> Option<&'static Target> {
    /// Similarity (0 to 1, Jaro-Winkler) from which a name is taken for a slip.
    const ALIKE: f64 = 0.8;
    let name = name.to_ascii_lowercase();
    let scored = TARGETS.iter().map(|target| (strsim::jaro_winkler(&name, target.name), target));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score >= ALIKE).map(|(_, target)| target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for (index, target) in TARGETS.iter().enumerate() {
            assert_eq!(TARGETS.iter().position(|other| other.name == target.name), Some(index));
            assert_eq!(find(target.name).unwrap().description, target.description);
            assert!(!target.source.is_empty());
        }
        assert!(find("cortex-m5").is_none());
    }

    #[test]
    fn a_slip_is_corrected() {
        assert_eq!(nearest("cortex-m44").unwrap().name, "cortex-m4");
        assert_eq!(nearest("nRF52840").unwrap().name, "nrf52840");
        assert_eq!(nearest("rv32").unwrap().name, "rv32imac");
        assert!(nearest("toaster").is_none());
    }

    #[test]
    fn memories_do_not_overlap() {
        for target in TARGETS {
            let range = |memory: Memory| u64::from(memory.origin)..u64::from(memory.origin) + u64::from(memory.bytes);
            let (flash, ram) = (range(target.flash), range(target.ram));
            assert!(flash.end <= ram.start || ram.end <= flash.start, "{}", target.name);
        }
    }
}
