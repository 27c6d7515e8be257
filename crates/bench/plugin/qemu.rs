//! The part of QEMU's plugin interface that is used here, declared by hand, and its entry points.
//!
//! Counting is by translated block: what a block costs is computed when QEMU translates it, and its
//! execution adds two numbers.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fs::{File, OpenOptions};

use crate::block::{Block, Counter, Mark};
use crate::model::Model;
use crate::thumb;

/// The interface version this plugin speaks; QEMU refuses one outside of its own range.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = if cfg!(plugin_api = "3") {
    3
} else if cfg!(plugin_api = "2") {
    2
} else {
    1
};

#[repr(C)]
struct TranslatedBlock {
    _opaque: [u8; 0],
}

#[repr(C)]
struct TranslatedInstruction {
    _opaque: [u8; 0],
}

/// `QEMU_PLUGIN_CB_NO_REGS`: the callback touches no guest register.
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, callback: extern "C" fn(u64, *mut TranslatedBlock));
    fn qemu_plugin_register_vcpu_tb_exec_cb(
        block: *mut TranslatedBlock,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_tb_n_insns(block: *const TranslatedBlock) -> usize;
    fn qemu_plugin_tb_vaddr(block: *const TranslatedBlock) -> u64;
    fn qemu_plugin_tb_get_insn(block: *const TranslatedBlock, index: usize) -> *mut TranslatedInstruction;
    fn qemu_plugin_insn_vaddr(instruction: *const TranslatedInstruction) -> u64;
    fn qemu_plugin_insn_size(instruction: *const TranslatedInstruction) -> usize;
    #[cfg(not(plugin_api = "3"))]
    fn qemu_plugin_insn_data(instruction: *const TranslatedInstruction) -> *const c_void;
    #[cfg(plugin_api = "3")]
    fn qemu_plugin_insn_data(instruction: *const TranslatedInstruction, out: *mut c_void, bytes: usize) -> usize;
}

struct Plugin {
    markers: [(u64, Mark); 3],
    model: Option<Model>,
    counter: Counter<File>,
}

/// Set once by `qemu_plugin_install`, before the guest starts.
static mut PLUGIN: Option<Plugin> = None;

fn plugin() -> Option<&'static mut Plugin> {
    // SAFETY: QEMU calls back from the thread of the one virtual processor that the emulated boards have,
    // and no reference outlives the callback that took it.
    unsafe { (&raw mut PLUGIN).as_mut() }.and_then(Option::as_mut)
}

/// Called by QEMU when it loads the plugin; 0 means that counting is set up.
///
/// # Safety
/// `arguments` points to `count` C strings, as QEMU's plugin interface says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    _info: *const c_void,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    let arguments = (0..usize::try_from(count).unwrap_or(0)).map(|index| {
        // SAFETY: the caller gives `count` valid C strings.
        unsafe { CStr::from_ptr(*arguments.add(index)) }.to_string_lossy().into_owned()
    });
    match configure(arguments) {
        Ok(configured) => {
            // SAFETY: no callback is registered yet, so nothing else looks at it.
            unsafe { (&raw mut PLUGIN).write(Some(configured)) };
            // SAFETY: `id` is the one that QEMU gave.
            unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate) };
            0
        }
        Err(message) => {
            eprintln!("rasbora counting plugin: {message}");
            1
        }
    }
}

fn configure(arguments: impl Iterator<Item = String>) -> Result<Plugin, String> {
    let (mut begin, mut end, mut clock, mut model, mut out) = (None, None, None, None, None);
    for argument in arguments {
        let (key, value) = argument.split_once('=').ok_or_else(|| format!("{argument:?} is not KEY=VALUE"))?;
        let address = || {
            u64::from_str_radix(value.trim_start_matches("0x"), 16)
                .map_err(|_| format!("{key}={value} is not a hexadecimal address"))
        };
        match key {
            // Bit 0 of a Thumb function's symbol says that it is Thumb; addresses of blocks leave it out.
            "begin" => begin = Some(address()? & !1),
            "end" => end = Some(address()? & !1),
            "clock" => clock = Some(address()? & !1),
            "model" => model = Some(Model::parse(value)?),
            "out" => {
                let file = OpenOptions::new().create(true).append(true).open(value);
                out = Some(file.map_err(|error| format!("cannot write {value}: {error}"))?);
            }
            _ => return Err(format!("unknown argument {key}")),
        }
    }
    Ok(Plugin {
        markers: [
            (begin.ok_or("begin= is missing")?, Mark::Begin),
            (end.ok_or("end= is missing")?, Mark::End),
            (clock.ok_or("clock= is missing")?, Mark::Clock),
        ],
        model: model.ok_or("model= is missing")?,
        counter: Counter::new(out.ok_or("out= is missing")?),
    })
}

extern "C" fn on_translate(_id: u64, translated: *mut TranslatedBlock) {
    let Some(plugin) = plugin() else { return };
    // SAFETY: QEMU gives a block that is valid during this call.
    let (address, count) = unsafe { (qemu_plugin_tb_vaddr(translated), qemu_plugin_tb_n_insns(translated)) };
    let mut instructions = Vec::new();
    let mut fall_through = address;
    for index in 0..count {
        // SAFETY: `index` is below the block's number of instructions.
        let instruction = unsafe { qemu_plugin_tb_get_insn(translated, index) };
        if plugin.model.is_some() {
            let [first, second] = halves(instruction);
            // The size that QEMU tells is no help: it peeks past the last instruction before a page ends.
            // SAFETY: the instruction belongs to the block, so it is valid as long.
            fall_through = unsafe { qemu_plugin_insn_vaddr(instruction) } + thumb::bytes(first);
            instructions.push(thumb::decode(first, second));
        }
    }
    let block = match plugin.model {
        Some(model) => Block::modelled(address, fall_through, &instructions, model),
        None => Block::unmodelled(address, count),
    };
    let block = block.marked(plugin.markers.iter().find(|(marker, _)| *marker == address).map(|&(_, mark)| mark));
    // Blocks live as long as QEMU does: it never says when it drops one.
    let data = Box::into_raw(Box::new(block)).cast();
    // SAFETY: `translated` is valid during this call, and `data` for ever.
    unsafe { qemu_plugin_register_vcpu_tb_exec_cb(translated, on_execute, NO_REGISTERS, data) };
}

fn halves(instruction: *const TranslatedInstruction) -> [u16; 2] {
    let mut code = [0u8; 4];
    // SAFETY: the instruction is valid, and at most its own size is read of its data.
    unsafe {
        let bytes = qemu_plugin_insn_size(instruction).min(code.len());
        #[cfg(not(plugin_api = "3"))]
        std::ptr::copy_nonoverlapping(qemu_plugin_insn_data(instruction).cast(), code.as_mut_ptr(), bytes);
        #[cfg(plugin_api = "3")]
        qemu_plugin_insn_data(instruction, code.as_mut_ptr().cast(), bytes);
    }
    let [a, b, c, d] = code;
    [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])]
}

extern "C" fn on_execute(_processor: c_uint, data: *mut c_void) {
    let Some(plugin) = plugin() else { return };
    // SAFETY: `on_translate` registered a block that lives for ever and that nothing writes to.
    let block: &'static Block = unsafe { &*data.cast::<Block>() };
    plugin.counter.enter(block);
}
