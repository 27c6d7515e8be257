//! Any bytes as a packed program, as they are and with the hash made right: refused, or run without a fault.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rasbora_compiler::host::Host;
use rasbora_device::params::Field;
use rasbora_device::program::{HASHED_FROM, Header, hash};

/// A small arena, so that no accepted program runs long.
const ARENA_BYTES: usize = 1 << 14;

fuzz_target!(|bytes: &[u8]| {
    run(bytes);
    let mut repaired = bytes.to_vec();
    if let Some(header) = Header::decode(bytes) {
        let end = (header.bytes as usize).min(repaired.len());
        let header = Header { hash: hash(repaired.get(HASHED_FROM..end).unwrap_or_default()), ..header };
        header.encode(&mut repaired);
        run(&repaired);
    }
});

fn run(packed: &[u8]) {
    if let Ok(mut interpreter) = Host::of_packed(packed, ARENA_BYTES).start() {
        interpreter.run();
    }
}
