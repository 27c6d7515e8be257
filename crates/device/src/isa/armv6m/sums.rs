//! Sums of products of bytes, rounded once.
//!
//! By the M0 model a tap of four filters takes 19 cycles for its 4 products: five loads, which take two each, as bytes with a
//! sign are only loaded by two registers; four multiplications and additions; the index. A tap of four channels takes 26: no
//! two products have an input in common. An output then takes 40 more: the upper word of a product is made of four products
//! of halves, as the core's multiplication gives the lower word alone.

use core::arch::naked_asm;

use crate::isa::layer::Call;

/// Saves registers, and the call where `sp` points to.
macro_rules! enter {
    () => {
        "push {{r4-r7, lr}}
         mov r4, r8
         mov r5, r9
         mov r6, r10
         mov r7, r11
         push {{r0, r4-r7}}"
    };
}

/// Starts a block. The last of outputs that are no multiple of four goes back by `r6` to overlap the one before.
macro_rules! back {
    ($($own:literal),*) => {
        concat!(
            "10:
             ldr r7, [sp]
             ldr r5, [r7, #20]
             movs r6, #4
             subs r6, r6, r5
             ble 11f
             ldr r5, [r7, #8]
             lsls r4, r6, #2
             subs r5, r5, r4
             str r5, [r7, #8]
             ldr r5, [r7, #12]
             ldr r4, [r7, #40]
             muls r4, r6, r4
             subs r5, r5, r4
             str r5, [r7, #12]
             ldr r5, [r7, #16]
             subs r5, r5, r6
             str r5, [r7, #16]
             movs r5, #4
             str r5, [r7, #20]
            ",
            $($own, "\n",)*
            "11:"
        )
    };
}

/// Rounds the four sums in r8–r11, goes on with the next block, and returns.
///
/// r0–r3 the pointers, r4–r7 sum, multiplier and their halves, r8 where the sums end, r9 `zero`, r10 `shift`, r11 from a
/// multiplier to the next, r12 the bits that negative sums have mirrored, lr the sum's lower half.
macro_rules! round {
    () => {
        "ldr r7, [sp]
         mov r3, r8
         mov r4, r9
         mov r5, r10
         mov r6, r11
         mov r0, r7
         adds r0, #48
         stm r0!, {{r3-r6}}
         mov r8, r0
         subs r0, #16
         ldr r1, [r7, #8]
         ldr r2, [r7, #12]
         ldr r3, [r7, #32]
         mov r9, r3
         ldr r3, [r7, #36]
         mov r10, r3
         ldr r3, [r7, #40]
         mov r11, r3
         ldr r3, [r7, #16]
         ldr r4, [r7, #44]
         mov r12, r4
         cmp r4, #0
         bne 32f
         30:
         ldm r0!, {{r4}}
         lsls r4, r4, #8
         ldm r1!, {{r5}}
         adds r4, r4, r5
         31:
         ldr r5, [r2]
         add r2, r11
         uxth r6, r5
         asrs r5, r5, #16
         uxth r7, r4
         asrs r4, r4, #16
         mov lr, r7
         muls r7, r6, r7
         lsrs r7, r7, #16
         muls r6, r4, r6
         adds r6, r6, r7
         muls r4, r5, r4
         mov r7, lr
         muls r5, r7, r5
         uxth r7, r6
         adds r5, r5, r7
         asrs r6, r6, #16
         asrs r5, r5, #16
         adds r4, r4, r6
         adds r4, r4, r5
         add r4, r9
         mov r7, r10
         asrs r4, r7
         sxtb r7, r4
         cmp r7, r4
         bne 34f
         33:
         strb r7, [r3]
         adds r3, #1
         cmp r0, r8
         beq 35f
         mov r7, r12
         cmp r7, #0
         beq 30b
         32:
         ldm r0!, {{r4}}
         lsls r4, r4, #8
         ldm r1!, {{r5}}
         adds r4, r4, r5
         cmp r4, #0
         bge 31b
         mov r5, r12
         eors r4, r5
         subs r4, r4, r5
         b 31b
         34:
         movs r6, #127
         asrs r7, r4, #31
         eors r7, r6
         b 33b
         35:
         ldr r7, [sp]
         str r1, [r7, #8]
         str r2, [r7, #12]
         str r3, [r7, #16]
         ldr r6, [r7, #20]
         subs r6, #4
         str r6, [r7, #20]
         beq 36f
         b 10b
         36:
         pop {{r0, r4-r7}}
         mov r8, r4
         mov r9, r5
         mov r10, r6
         mov r11, r7
         pop {{r4-r7, pc}}
         .purgem products"
    };
}

/// All outputs of a column. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// r0 the column, r1–r4 the filters, r5 the tap, r6 an input, r7 a weight, r8–r11 the sums, r12 the taps in whole turns of the
/// loop, lr all taps.
///
/// # Safety
/// There must be an input for each tap, a weight for each tap of each output, a bias and an element of the output for each, and
/// multipliers as their step says; at least four outputs, and a tap.
#[unsafe(naked)]
pub unsafe extern "C" fn column<const UNUSED: u32>(call: *mut Call) {
    naked_asm!(
        ".macro products",
        "ldrsb r6, [r0, r5]",
        "ldrsb r7, [r1, r5]",
        "muls r7, r6, r7",
        "add r8, r7",
        "ldrsb r7, [r2, r5]",
        "muls r7, r6, r7",
        "add r9, r7",
        "ldrsb r7, [r3, r5]",
        "muls r7, r6, r7",
        "add r10, r7",
        "ldrsb r7, [r4, r5]",
        "muls r7, r6, r7",
        "add r11, r7",
        "adds r5, #1",
        ".endm",
        enter!(),
        back!("ldr r5, [r7, #4]", "ldr r4, [r7, #24]", "muls r4, r6, r4", "subs r5, r5, r4", "str r5, [r7, #4]"),
        "ldr r0, [r7]",
        "ldr r1, [r7, #4]",
        "ldr r6, [r7, #24]",
        "mov lr, r6",
        "adds r2, r1, r6",
        "adds r3, r2, r6",
        "adds r4, r3, r6",
        "movs r5, #3",
        "bics r6, r5",
        "mov r12, r6",
        "movs r5, #0",
        "mov r8, r5",
        "mov r9, r5",
        "mov r10, r5",
        "mov r11, r5",
        "cmp r5, r12",
        "beq 21f",
        "20:",
        "products",
        "products",
        "products",
        "products",
        "cmp r5, r12",
        "bne 20b",
        "21:",
        "cmp r5, lr",
        "beq 23f",
        "22:",
        "products",
        "cmp r5, lr",
        "bne 22b",
        "23:",
        // The filters of the next block follow the last.
        "adds r4, r4, r5",
        "ldr r7, [sp]",
        "str r4, [r7, #4]",
        round!(),
    )
}

/// All channels of a window. The parameter does nothing: it keeps the function out of objects that do not use it.
///
/// r0 the input, r1 the weights, r2–r5 the numbers from 0 to 3, r6 an input, r7 a weight, r8–r11 the sums, r12 from tap to tap,
/// lr where the weights end.
///
/// # Safety
/// There must be an input and a weight for each tap of each channel, a bias and an element of the output
/// for each channel, and multipliers as their step says; at least four channels, and a tap.
#[unsafe(naked)]
pub unsafe extern "C" fn channels<const UNUSED: u32>(call: *mut Call) {
    naked_asm!(
        ".macro products",
        "ldrsb r6, [r0, r2]",
        "ldrsb r7, [r1, r2]",
        "muls r7, r6, r7",
        "add r8, r7",
        "ldrsb r6, [r0, r3]",
        "ldrsb r7, [r1, r3]",
        "muls r7, r6, r7",
        "add r9, r7",
        "ldrsb r6, [r0, r4]",
        "ldrsb r7, [r1, r4]",
        "muls r7, r6, r7",
        "add r10, r7",
        "ldrsb r6, [r0, r5]",
        "ldrsb r7, [r1, r5]",
        "muls r7, r6, r7",
        "add r11, r7",
        "add r1, r12",
        "add r0, r12",
        ".endm",
        enter!(),
        back!(
            "ldr r5, [r7]",
            "subs r5, r5, r6",
            "str r5, [r7]",
            "ldr r5, [r7, #4]",
            "subs r5, r5, r6",
            "str r5, [r7, #4]"
        ),
        "ldr r0, [r7]",
        "adds r1, r0, #4",
        "str r1, [r7]",
        "ldr r1, [r7, #4]",
        "adds r6, r1, #4",
        "str r6, [r7, #4]",
        "ldr r5, [r7, #28]",
        "mov r12, r5",
        "ldr r6, [r7, #24]",
        "lsrs r6, r6, #2",
        "lsls r6, r6, #2",
        "muls r6, r5, r6",
        "adds r6, r6, r1",
        "mov lr, r6",
        "movs r2, #0",
        "movs r3, #1",
        "movs r4, #2",
        "movs r5, #3",
        "mov r8, r2",
        "mov r9, r2",
        "mov r10, r2",
        "mov r11, r2",
        "cmp r1, lr",
        "beq 21f",
        "20:",
        "products",
        "products",
        "products",
        "products",
        "cmp r1, lr",
        "bne 20b",
        "21:",
        "ldr r7, [sp]",
        "ldr r6, [r7, #24]",
        "ands r6, r5",
        "beq 23f",
        "mov r7, r12",
        "muls r6, r7, r6",
        "add lr, r6",
        "22:",
        "products",
        "cmp r1, lr",
        "bne 22b",
        "23:",
        round!(),
    )
}
