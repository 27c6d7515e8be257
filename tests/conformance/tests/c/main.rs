//! The C library: built as `rasbora compile --emit c` builds it, used by programs in C as a user would.

/// A test of each emulated board, which calls `$board` with the target and the linker script of its memories.
macro_rules! on_every_board {
    ($board:ident) => {
        on_every_board! { $board,
            cortex_m0: "cortex-m0", "mps2.ld";
            cortex_m3: "cortex-m3", "mps2.ld";
            cortex_m4: "cortex-m4", "mps2.ld";
            cortex_m7: "cortex-m7", "mps2.ld";
            cortex_m33: "cortex-m33", "mps2-an505.ld";
            cortex_m55: "cortex-m55", "mps3-an547.ld";
            rv32imac: "rv32imac", "riscv-virt.ld";
        }
    };
    ($board:ident, $($test:ident: $target:literal, $memories:literal;)*) => {$(
        #[test]
        fn $test() {
            $board($target, $memories);
        }
    )*};
}

mod boards;
mod footprint;
mod header;
mod host;
mod interpreter;
mod library;
mod packages;
