//! How deep the stack grew: it is painted before the work, and what kept its paint was not reached.

/// What the stack is painted with.
const PAINT: u32 = 0xA5A5_5A5A;
/// At most so many bytes below the stack's top are painted, which keeps boards with large memories quick.
const PAINTED_BYTES: usize = 256 * 1024;

unsafe extern "C" {
    /// Fills the words from `from` to the stack pointer, which it returns.
    fn rasbora_paint(from: *mut u32, paint: u32) -> *const u32;
    static mut __stack_limit: u32;
    static __stack_top: u32;
}

/// A painted stretch of the stack.
pub struct Painted {
    bottom: *const u32,
    top: *const u32,
}

/// Paints the free stack below the caller's frame.
#[inline(always)]
pub fn paint() -> Painted {
    let limit = &raw mut __stack_limit;
    let low = (&raw const __stack_top as usize).saturating_sub(PAINTED_BYTES);
    let bottom = if low > limit as usize { low as *mut u32 } else { limit };
    // SAFETY: between the linker script's limit and the stack pointer nothing is in use.
    let top = unsafe { rasbora_paint(bottom, PAINT) };
    Painted { bottom, top }
}

impl Painted {
    /// Bytes of stack that were written since; ends the emulation if the whole stretch was.
    #[inline(always)]
    pub fn depth(self) -> u32 {
        let mut word = self.bottom;
        // SAFETY: the stretch is plain memory, and the loop stays within it.
        while word < self.top && unsafe { word.read_volatile() } == PAINT {
            word = word.wrapping_add(1);
        }
        if word == self.bottom {
            crate::semihosting::print(c"the stack overflowed");
            crate::semihosting::exit(3);
        }
        (self.top as usize - word as usize) as u32
    }
}
