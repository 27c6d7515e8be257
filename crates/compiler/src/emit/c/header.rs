//! The header of a network: plain C99, and C++.

use std::fmt::Write;

use super::{ARENA_ALIGN, Network};
use crate::graph::{DType, Quantisation};
use crate::program::Port;

/// The header of `network`; `platform` says in words what its library runs on.
pub fn header(network: &Network<'_>, platform: &str) -> String {
    let (name, upper) = (network.name, network.name.to_ascii_uppercase());
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = write_header(&mut text, network, name, &upper, platform);
    text
}

fn write_header(w: &mut String, network: &Network<'_>, name: &str, upper: &str, platform: &str) -> std::fmt::Result {
    let program = network.program;
    let (inputs, outputs) = (program.inputs.len(), program.outputs.len());
    writeln!(w, "/* The network `{name}`, compiled by Rasbora {} for {platform}.", env!("CARGO_PKG_VERSION"))?;
    w.push_str(&HEAD.replace("NAME", upper).replace("name_", &format!("{name}_")));
    writeln!(
        w,
        "/* Bytes of working memory, network inputs and outputs included, and what its address is a multiple of. */"
    )?;
    writeln!(w, "#define {upper}_ARENA_BYTES {}", network.arena_bytes())?;
    writeln!(w, "#define {upper}_ARENA_ALIGN {ARENA_ALIGN}\n")?;
    if let Some(bytes) = network.stack_bytes {
        w.push_str(STACK);
        writeln!(w, "#define {upper}_STACK_BYTES {bytes}\n")?;
    }
    writeln!(
        w,
        "/* SHA-256 of the model's file: {name}_model_hash() returns it where library and header belong together. */"
    )?;
    writeln!(w, "#define {upper}_MODEL_HASH \"{}\"\n", network.sha256)?;
    writeln!(w, "/* Network inputs and outputs, numbered in the file's order. */")?;
    writeln!(w, "#define {upper}_INPUTS {inputs}\n#define {upper}_OUTPUTS {outputs}\n")?;
    w.push_str(&DTYPES.replace("NAME", upper));
    for (kind, index, port) in network.ports() {
        write_constants(w, &format!("{upper}_{}_{index}", kind.to_ascii_uppercase()), upper, port)?;
    }
    for text in [CODES, FUNCTIONS] {
        w.push_str(&text.replace("NAME", upper).replace("name_", &format!("{name}_")));
    }
    for (kind, index, port) in network.ports() {
        write_functions(w, name, kind, index, port)?;
    }
    writeln!(w, "\n#ifdef __cplusplus\n}}\n#endif\n\n#endif")
}

const HEAD: &str = "
   One inference: fill the inputs, name_run(), read the outputs. The caller owns the memory:

       static _Alignas(NAME_ARENA_ALIGN) unsigned char arena[NAME_ARENA_BYTES];
       name_memory memory = { arena, sizeof arena };
       name_init(&memory);

   The arena may be another network's between two inferences, where the network keeps no state: fill its inputs then,
   and read its outputs before the other one runs. The functions of one network are not to be called at the same time. */

#ifndef RASBORA_NAME_H
#define RASBORA_NAME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {
#endif

";

const STACK: &str = "\
/* Most bytes of stack that a function of the network takes below its caller: the deepest way through the machine code,
   memcpy, memmove and memset taken for Rust's own. Interrupts come on top. */
";

const DTYPES: &str = "\
/* Types of elements. */
#define NAME_INT8 1
#define NAME_UINT8 2
#define NAME_FLOAT32 3
#define NAME_INT32 4
#define NAME_INT16 5
";

const CODES: &str = "
/* What the functions return. */
#define NAME_DONE 0 /* it is done */
#define NAME_PENDING 1 /* the inference is not at its end: call name_step again */
#define NAME_ERROR_NO_MEMORY (-1) /* a null pointer instead of a memory or an arena */
#define NAME_ERROR_ARENA_MISALIGNED (-2) /* the arena's address is no multiple of NAME_ARENA_ALIGN */
#define NAME_ERROR_ARENA_SMALL (-3) /* the arena has less than NAME_ARENA_BYTES */
#define NAME_ERROR_NOT_READY (-4) /* the init function has not succeeded yet */
";

const FUNCTIONS: &str = "
/* The memory that the network works in. */
typedef struct {
    void *arena; /* address, a multiple of NAME_ARENA_ALIGN */
    size_t arena_bytes; /* size, NAME_ARENA_BYTES or more */
} name_memory;

/* Takes the arena, which stays lent until name_init is called again, and sets the network's state to its initial values.
   Returns NAME_DONE, or what is wrong; after an error no function works before name_init succeeds. */
int name_init(const name_memory *memory);

/* Where input `index` lies, row-major, to be filled before name_run; NULL where there is no such input, or before
   name_init. The place stays the same, so that a DMA may write there. The contents do not last over an inference. */
void *name_input(size_t index);

/* One inference. Returns NAME_DONE or NAME_ERROR_NOT_READY. */
int name_run(void);

/* A part of an inference, of about `budget` instructions: no more, unless one row of one layer takes more. Call it until
   it returns NAME_DONE; leave the inputs alone until then. The first call after that begins the next inference.
   name_run and name_init give up an inference that is begun. */
int name_step(uint32_t budget);

/* Where output `index` lies, row-major, valid after an inference; NULL where there is no such output, or before
   name_init. */
const void *name_output(size_t index);

/* SHA-256 of the model's file, as NAME_MODEL_HASH has it. */
const char *name_model_hash(void);
";

fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "int8_t",
        DType::U8 => "uint8_t",
        DType::F32 => "float",
        DType::I32 => "int32_t",
        DType::I16 => "int16_t",
    }
}

fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::I8 => "INT8",
        DType::U8 => "UINT8",
        DType::F32 => "FLOAT32",
        DType::I32 => "INT32",
        DType::I16 => "INT16",
    }
}

/// Scale and zero point of an 8-bit port that has one scale for all its elements.
fn quantisation(port: &Port) -> Option<(f32, i32)> {
    let byte = matches!(port.dtype, DType::I8 | DType::U8);
    port.quantisation.as_ref().and_then(Quantisation::single).filter(|(scale, _)| byte && *scale > 0.0)
}

fn write_constants(w: &mut String, prefix: &str, upper: &str, port: &Port) -> std::fmt::Result {
    let shape: Vec<String> = port.shape.iter().map(usize::to_string).collect();
    let sizes = if shape.is_empty() { "1".into() } else { shape.join(", ") };
    writeln!(w, "\n#define {prefix}_NAME \"{}\"", c_text(&port.name))?;
    writeln!(w, "#define {prefix}_DTYPE {upper}_{}", dtype_name(port.dtype))?;
    writeln!(w, "#define {prefix}_RANK {}", shape.len())?;
    writeln!(w, "#define {prefix}_SHAPE {{{sizes}}}")?;
    writeln!(w, "#define {prefix}_ELEMENTS {}", port.shape.iter().product::<usize>())?;
    writeln!(w, "#define {prefix}_BYTES {}", port.bytes)?;
    if let Some((scale, zero_point)) = quantisation(port) {
        writeln!(w, "#define {prefix}_SCALE {scale:?}f")?;
        writeln!(w, "#define {prefix}_ZERO_POINT ({zero_point})")?;
    }
    Ok(())
}

/// A string as it stands between quotes in C: what is not plain ASCII by its octal code.
fn c_text(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'"' | b'\\' => format!("\\{}", char::from(byte)),
        // A question mark could begin a trigraph.
        b' '..=b'~' if byte != b'?' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    };
    text.bytes().map(escape).collect()
}

fn write_functions(w: &mut String, name: &str, kind: &str, index: usize, port: &Port) -> std::fmt::Result {
    let dtype = c_type(port.dtype);
    let (constant, role) = if kind == "input" { ("", "to be filled") } else { ("const ", "valid after an inference") };
    writeln!(
        w,
        "\n/* {}{} {index}, typed: {} elements, {role}. */",
        kind[..1].to_ascii_uppercase(),
        &kind[1..],
        port.shape.iter().product::<usize>()
    )?;
    writeln!(w, "static inline {constant}{dtype} *{name}_{kind}_{index}(void)\n{{")?;
    writeln!(w, "    return ({constant}{dtype} *){name}_{kind}({index});\n}}")?;
    let Some((scale, zero_point)) = quantisation(port) else { return Ok(()) };
    let (least, most) = if port.dtype == DType::U8 { (0, 255) } else { (-128, 127) };
    let text = QUANTISE
        .replace("int8_t", dtype)
        .replace("SCALE", &format!("{scale:?}f"))
        .replace("ZERO_POINT", &format!("({zero_point})"))
        .replace("LEAST", &format!("({least})"))
        .replace("MOST", &most.to_string())
        .replace("name_port", &format!("{name}_{kind}_{index}"));
    w.push_str(&text);
    Ok(())
}

/// The division comes first and the sum is exact, so that the integer is that of TFLite's QUANTIZE.
const QUANTISE: &str = "
/* The integer for a real number: rounded half away from zero, saturated; what is not a number becomes zero. */
static inline int8_t name_port_quantise(float real)
{
    const float steps = real / SCALE;
    int32_t whole;
    float rest;
    if (steps > 512.0f) {
        return MOST;
    }
    if (steps < -512.0f) {
        return LEAST;
    }
    whole = steps == steps ? (int32_t)steps : 0;
    rest = steps - (float)whole;
    whole += (rest >= 0.5f) - (rest <= -0.5f) + ZERO_POINT;
    return (int8_t)(whole < LEAST ? LEAST : whole > MOST ? MOST : whole);
}

/* The real number that an integer means. */
static inline float name_port_dequantise(int8_t integer)
{
    return SCALE * (float)((int32_t)integer - ZERO_POINT);
}
";
