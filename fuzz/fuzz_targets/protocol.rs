//! Any bytes to the device of MLPerf Tiny's protocol: every command is answered, and so is the next.
#![no_main]

#[allow(dead_code)]
#[path = "../../crates/bench/firmware/protocol.rs"]
mod protocol;

use libfuzzer_sys::fuzz_target;
use protocol::{Device, END_OF_COMMAND, Protocol};

/// A board that remembers what it said.
#[derive(Default)]
struct Board {
    said: Vec<u8>,
    loaded: Option<u8>,
    listens: bool,
}

impl Device for Board {
    const NAME: &'static str = "fuzz";
    const BENCHMARK: &'static str = "kws01";

    fn send(&mut self, bytes: &[u8]) {
        self.said.extend(bytes);
    }
    fn microseconds(&mut self) -> u64 {
        self.said.len() as u64
    }
    fn load(&mut self, sent: &[u8]) -> bool {
        self.loaded = sent.first().copied();
        self.loaded.is_some()
    }
    fn infer(&mut self) {
        self.loaded = self.loaded.map(|byte| byte.wrapping_add(1));
    }
    fn result(&self, sent: &[u8], index: usize) -> Option<f32> {
        sent.get(index).filter(|_| index < 4).map(|&bits| f32::from_bits(u32::from(bits) << 23))
    }
    fn listen(&mut self) -> bool {
        self.listens = true;
        true
    }
    fn hear(&mut self) -> bool {
        std::mem::take(&mut self.listens)
    }
    fn activation(&self, frame: usize) -> Option<i8> {
        (frame < 40).then_some((frame as u8).wrapping_mul(53).cast_signed())
    }
}

fuzz_target!(|bytes: &[u8]| {
    // Thousands of inferences say no more than a few, and take their time.
    if bytes.windows(5).any(|window| window.iter().all(u8::is_ascii_digit)) {
        return;
    }
    let (mut protocol, mut board) = (Protocol::new(), Board::default());
    for &byte in bytes {
        let before = board.said.len();
        protocol.receive(byte, &mut board);
        assert_eq!(board.said.len() > before, byte == END_OF_COMMAND);
        assert!(board.said.is_empty() || board.said.ends_with(b"m-ready\r\n"));
    }
    board.said.clear();
    b"%name%".iter().for_each(|&byte| protocol.receive(byte, &mut board));
    assert!(board.said.ends_with(b"m-ready\r\nm-name-dut-[fuzz]\r\nm-ready\r\n"));
});
