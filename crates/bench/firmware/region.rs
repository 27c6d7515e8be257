//! The regions between which the plugin counts, and the stack that they take.

use crate::{semihosting, stack};

/// What is counted apart.
#[allow(dead_code)]
pub enum Counted {
    /// Each inference.
    Total,
    /// Each kernel.
    Steps,
    /// Each step of an inference that yields.
    Yielding,
}

unsafe extern "C" {
    fn rasbora_run_begin();
    fn rasbora_run_end();
}

/// Runs `work` between the markers and returns the bytes of stack that it took.
#[inline(never)]
pub fn measure<M>(model: &mut M, work: impl FnOnce(&mut M)) -> u32 {
    let painted = stack::paint();
    // SAFETY: the markers only return.
    unsafe { rasbora_run_begin() };
    work(model);
    // SAFETY: as above.
    unsafe { rasbora_run_end() };
    painted.depth()
}

/// Ends a region and begins the next.
#[allow(dead_code)]
pub fn cut() {
    // SAFETY: the markers only return.
    unsafe {
        rasbora_run_end();
        rasbora_run_begin();
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    // The message is left out: formatting it would put more code into the image than it is worth.
    semihosting::print(c"the firmware panicked");
    semihosting::exit(101)
}
