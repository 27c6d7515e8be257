//! MLPerf Tiny's serial protocol, as the device under test speaks it: bytes in, lines out.
//!
//! Plain Rust that knows of no board, so that the text that runs on boards is tested and fuzzed on the host as well.
//! Nothing in here panics.

/// A command's longest text; what comes beyond replaces its last byte.
pub const COMMAND_BYTES: usize = 80;
/// The largest input: 96 × 96 pixels of three colours.
pub const BUFFER_BYTES: usize = 96 * 96 * 3;
/// What ends a command.
pub const END_OF_COMMAND: u8 = b'%';
/// The line that ends a reply.
pub const READY: &str = "m-ready";

/// Warm-up inferences where the command names none.
const WARM_UP: u32 = 10;
/// Bytes of a line of `db print`.
const PRINTED_BYTES: usize = 8;
/// Values of a line of activations.
const PRINTED_VALUES: usize = 16;
/// The firmware that the rules know; runners read the benchmark and not this.
const PROFILE: &[u8] = b"ULPMark for tinyML Firmware V0.0.1";
const HELP: &[u8] = b"name: the device's name\r\n\
    profile: the benchmark\r\n\
    timestamp: the time in microseconds\r\n\
    db load N: expect an input of N bytes\r\n\
    db HH..: the next bytes of the input, in hexadecimal\r\n\
    db print: the input\r\n\
    infer N [W=10]: N inferences after W to warm up\r\n\
    results: the results of the last inference\r\n\
    start, stop: listen for the wake word, where that is the benchmark\r\n";

/// What the protocol asks of a board and its network.
pub trait Device {
    /// The name that `name` gives.
    const NAME: &'static str;
    /// The benchmark, `kws01` for one.
    const BENCHMARK: &'static str;
    /// Sends bytes to the runner.
    fn send(&mut self, bytes: &[u8]);
    /// The time.
    fn microseconds(&mut self) -> u64;
    /// Makes the bytes that the runner sent the network's input, unless their number is wrong.
    fn load(&mut self, sent: &[u8]) -> bool;
    /// One inference.
    fn infer(&mut self);
    /// Value `index` of the results; `sent` is as for [`Device::load`].
    fn result(&self, sent: &[u8], index: usize) -> Option<f32>;
    /// Begins to listen from the start, where it can.
    fn listen(&mut self) -> bool {
        false
    }
    /// Hears what there is to hear and listens no longer; `false` where it did not listen.
    fn hear(&mut self) -> bool {
        false
    }
    /// The activation of a frame that it heard.
    fn activation(&self, frame: usize) -> Option<i8> {
        let _ = frame;
        None
    }
}

/// The state between two bytes.
pub struct Protocol {
    command: [u8; COMMAND_BYTES],
    length: usize,
    buffer: [u8; BUFFER_BYTES],
    expected: usize,
    filled: usize,
}

impl Protocol {
    /// Before the first command.
    #[expect(clippy::new_without_default, reason = "a static needs a constant")]
    pub const fn new() -> Self {
        Self { command: [0; COMMAND_BYTES], length: 0, buffer: [0; BUFFER_BYTES], expected: 0, filled: 0 }
    }

    /// Says that the device has started.
    pub fn start(&mut self, device: &mut impl Device) {
        line(device, &[b"m-timestamp-mode-performance"]);
        timestamp(device);
        line(device, &[b"m-init-done"]);
        line(device, &[READY.as_bytes()]);
    }

    /// Takes a byte, and answers where it ends a command. Line ends are skipped, for people at a terminal.
    pub fn receive(&mut self, byte: u8, device: &mut impl Device) {
        match byte {
            END_OF_COMMAND => {
                let (command, length) = (self.command, self.length);
                self.length = 0;
                self.answer(command.get(..length).unwrap_or_default(), device);
                line(device, &[READY.as_bytes()]);
            }
            b'\r' | b'\n' => {}
            byte => {
                let place = self.length.min(COMMAND_BYTES - 1);
                if let Some(slot) = self.command.get_mut(place) {
                    *slot = byte;
                }
                self.length = place + 1;
            }
        }
    }

    fn answer<D: Device>(&mut self, command: &[u8], device: &mut D) {
        let mut words = command.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
        match words.next().unwrap_or_default() {
            b"name" => line(device, &[b"m-name-dut-[", D::NAME.as_bytes(), b"]"]),
            b"profile" => {
                line(device, &[b"m-profile-[", PROFILE, b"]"]);
                line(device, &[b"m-model-[", D::BENCHMARK.as_bytes(), b"]"]);
            }
            b"timestamp" => timestamp(device),
            b"help" => device.send(HELP),
            b"db" => match words.next().unwrap_or_default() {
                b"load" => self.expect(words.next().map_or(0, number), device),
                b"print" => self.print(device),
                digits => self.append(digits, device),
            },
            b"infer" => self.infer(words.next().map_or(1, number), words.next().map_or(WARM_UP, number), device),
            b"results" => self.results(device),
            b"start" if device.listen() => {
                line(device, &[b"Listening for I2S data ... "]);
                line(device, &[b"DMA receive initiated."]);
            }
            b"stop" if device.hear() => {
                line(device, &[b"Streaming stopped."]);
                activations(device);
            }
            _ => {
                device.send(b"e-[Unknown command: ");
                for byte in command {
                    device.send(&[if byte.is_ascii_graphic() || *byte == b' ' { *byte } else { b'?' }]);
                }
                line(device, &[b"]"]);
            }
        }
    }

    fn expect(&mut self, bytes: u32, device: &mut impl Device) {
        (self.expected, self.filled) = (0, 0);
        if bytes == 0 || bytes as usize > BUFFER_BYTES {
            return line(device, &[b"e-[The size must be 1 to ", Digits::of(BUFFER_BYTES as u64).text(), b"]"]);
        }
        self.expected = bytes as usize;
        line(device, &[b"m-[Expecting ", Digits::of(bytes.into()).text(), b" bytes]"]);
    }

    fn append(&mut self, digits: &[u8], device: &mut impl Device) {
        if self.expected == 0 {
            return line(device, &[b"e-[No bytes are expected: db load N comes first]"]);
        }
        if digits.is_empty()
            || !digits.len().is_multiple_of(2)
            || digits.iter().any(|&digit| hexadecimal(digit).is_none())
        {
            return line(device, &[b"e-[Bytes are two hexadecimal digits each]"]);
        }
        for pair in digits.chunks(2) {
            let byte = pair.iter().fold(0u8, |byte, &digit| (byte << 4) | hexadecimal(digit).unwrap_or(0));
            if self.filled < self.expected {
                if let Some(place) = self.buffer.get_mut(self.filled) {
                    *place = byte;
                }
                self.filled += 1;
            }
        }
        if self.filled == self.expected {
            line(device, &[b"m-load-done"]);
        }
    }

    /// What the runner has sent of the input.
    fn sent(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or_default()
    }

    fn print(&self, device: &mut impl Device) {
        for bytes in self.sent().chunks(PRINTED_BYTES) {
            device.send(b"m-buffer");
            for byte in bytes {
                let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
                device.send(&[b'-', digit(byte >> 4), digit(byte & 15)]);
            }
            line(device, &[]);
        }
    }

    fn infer(&self, inferences: u32, warm_up: u32, device: &mut impl Device) {
        if inferences == 0 {
            return line(device, &[b"e-[Inference iterations must be >0]"]);
        }
        let sent = self.sent();
        if !device.load(sent) {
            let bytes = Digits::of(sent.len() as u64);
            return line(device, &[b"e-[The input is not what the network takes: ", bytes.text(), b" bytes]"]);
        }
        line(device, &[b"m-warmup-start-", Digits::of(warm_up.into()).text()]);
        for _ in 0..warm_up {
            device.infer();
        }
        line(device, &[b"m-warmup-done"]);
        line(device, &[b"m-infer-start-", Digits::of(inferences.into()).text()]);
        timestamp(device);
        for _ in 0..inferences {
            device.infer();
        }
        timestamp(device);
        line(device, &[b"m-infer-done"]);
        self.results(device);
    }

    fn results(&self, device: &mut impl Device) {
        device.send(b"m-results-[");
        let mut index = 0;
        while let Some(value) = device.result(self.sent(), index) {
            if index > 0 {
                device.send(b",");
            }
            device.send(Digits::of_real(value).text());
            index += 1;
        }
        line(device, &[b"]"]);
    }
}

/// What was made of each frame.
fn activations(device: &mut impl Device) {
    line(device, &[b"target activations: "]);
    device.send(b"[");
    let mut frame = 0;
    while let Some(value) = device.activation(frame) {
        let separator: &[u8] = match frame {
            0 => b"",
            frame if frame.is_multiple_of(PRINTED_VALUES) => b", \r\n",
            _ => b", ",
        };
        device.send(separator);
        device.send(if value < 0 { b"-" } else { b"" });
        device.send(Digits::of(value.unsigned_abs().into()).text());
        frame += 1;
    }
    line(device, &[b" \r\n]"]);
}

/// Sends a line of these parts.
fn line(device: &mut impl Device, parts: &[&[u8]]) {
    for part in parts {
        device.send(part);
    }
    device.send(b"\r\n");
}

fn timestamp(device: &mut impl Device) {
    let now = device.microseconds();
    line(device, &[b"m-lap-us-", Digits::of(now).text()]);
}

/// The number that a word begins with, 0 where it begins with none.
fn number(word: &[u8]) -> u32 {
    let digits = word.iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |value: u32, byte| value.saturating_mul(10).saturating_add(u32::from(byte & 15)))
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The decimal digits of a number, which stand at the end.
pub struct Digits {
    text: [u8; Self::MOST],
    start: usize,
}

impl Digits {
    /// Digits of the largest number, a point and a sign.
    const MOST: usize = 22;

    /// A whole number.
    pub fn of(value: u64) -> Self {
        Self::with_point(value, 0)
    }

    /// A real number, rounded to three decimals.
    pub fn of_real(value: f32) -> Self {
        let thousandths = (f64::from(value) * 1000.0 + if value < 0.0 { -0.5 } else { 0.5 }) as i64;
        let mut digits = Self::with_point(thousandths.unsigned_abs(), 3);
        if thousandths < 0 {
            digits.push(b'-');
        }
        digits
    }

    fn with_point(mut value: u64, decimals: u32) -> Self {
        let mut digits = Self { text: [b'0'; Self::MOST], start: Self::MOST };
        let mut written = 0;
        while value > 0 || written <= decimals {
            digits.push(b'0' + (value % 10) as u8);
            value /= 10;
            written += 1;
            if written == decimals {
                digits.push(b'.');
            }
        }
        digits
    }

    fn push(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(place) = self.text.get_mut(self.start) {
            *place = byte;
        }
    }

    /// The digits as text.
    pub fn text(&self) -> &[u8] {
        self.text.get(self.start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A board whose network adds up its input, and whose inferences take a second.
    #[derive(Default)]
    struct Board {
        said: Vec<u8>,
        seconds: u64,
        loaded: Vec<u8>,
        sum: f32,
    }

    impl Device for Board {
        const NAME: &'static str = "test";
        const BENCHMARK: &'static str = "kws01";

        fn send(&mut self, bytes: &[u8]) {
            self.said.extend(bytes);
        }
        fn microseconds(&mut self) -> u64 {
            self.seconds * 1_000_000
        }
        fn load(&mut self, sent: &[u8]) -> bool {
            self.loaded = sent.to_vec();
            sent.len() == 3
        }
        fn infer(&mut self) {
            self.seconds += 1;
            self.sum = self.loaded.iter().map(|&byte| f32::from(byte)).sum();
        }
        fn result(&self, sent: &[u8], index: usize) -> Option<f32> {
            [self.sum / 1000.0, sent.len() as f32].get(index).copied()
        }
    }

    /// What the board says to each command of `text`, without the line that ends each reply.
    fn replies(protocol: &mut Protocol, text: &[u8]) -> Vec<String> {
        let mut board = Board::default();
        text.iter().for_each(|&byte| protocol.receive(byte, &mut board));
        let said = String::from_utf8(board.said).unwrap();
        assert!(said.is_empty() || said.ends_with("m-ready\r\n"), "{said}");
        said.split("m-ready\r\n").map(|reply| reply.replace("\r\n", "|")).collect()
    }

    #[test]
    fn a_session_to_the_byte() {
        let mut board = Board::default();
        let mut protocol = Protocol::new();
        protocol.start(&mut board);
        let start = "m-timestamp-mode-performance\r\nm-lap-us-0\r\nm-init-done\r\nm-ready\r\n";
        assert_eq!(String::from_utf8_lossy(&board.said), start);
        let session = b"name%profile%db load 3%db 0a0B%db fF00%db print%infer 2 1%results%timestamp%";
        assert_eq!(
            replies(&mut protocol, session),
            [
                "m-name-dut-[test]|",
                "m-profile-[ULPMark for tinyML Firmware V0.0.1]|m-model-[kws01]|",
                "m-[Expecting 3 bytes]|",
                "",
                "m-load-done|",
                "m-buffer-0a-0b-ff|",
                "m-warmup-start-1|m-warmup-done|m-infer-start-2|m-lap-us-1000000|m-lap-us-3000000|m-infer-done|\
                 m-results-[0.276,3.000]|",
                "m-results-[0.276,3.000]|",
                "m-lap-us-3000000|",
                "",
            ]
        );
    }

    /// A board that hears eighteen frames.
    #[derive(Default)]
    struct Listener(Board, bool);

    impl Device for Listener {
        const NAME: &'static str = "test";
        const BENCHMARK: &'static str = "sww01";

        fn send(&mut self, bytes: &[u8]) {
            self.0.send(bytes);
        }
        fn microseconds(&mut self) -> u64 {
            0
        }
        fn load(&mut self, _: &[u8]) -> bool {
            false
        }
        fn infer(&mut self) {}
        fn result(&self, _: &[u8], _: usize) -> Option<f32> {
            None
        }
        fn listen(&mut self) -> bool {
            self.1 = true;
            true
        }
        fn hear(&mut self) -> bool {
            std::mem::take(&mut self.1)
        }
        fn activation(&self, frame: usize) -> Option<i8> {
            (frame < 18).then_some((frame as i32 * 14 - 119) as i8)
        }
    }

    #[test]
    fn what_is_heard_is_told_when_it_stops() {
        let (mut board, mut protocol) = (Listener::default(), Protocol::new());
        b"start%stop%stop%".iter().for_each(|&byte| protocol.receive(byte, &mut board));
        let wanted = "Listening for I2S data ... \r\nDMA receive initiated.\r\nm-ready\r\n\
            Streaming stopped.\r\ntarget activations: \r\n\
            [-119, -105, -91, -77, -63, -49, -35, -21, -7, 7, 21, 35, 49, 63, 77, 91, \r\n105, 119 \r\n]\r\nm-ready\r\n\
            e-[Unknown command: stop]\r\nm-ready\r\n";
        assert_eq!(String::from_utf8_lossy(&board.0.said), wanted);
    }

    #[test]
    fn rubbish_is_an_error_and_the_next_command_is_answered() {
        let mut protocol = Protocol::new();
        let endless = [b'x'; 3 * COMMAND_BYTES];
        let commands: [(&[u8], &str); 11] = [
            (b"", "e-[Unknown command: ]|"),
            (b"nam\xff", "e-[Unknown command: nam?]|"),
            (&endless, "e-[Unknown command: xxxx"),
            (b"db", "e-[No bytes are expected: db load N comes first]|"),
            (b"db load", "e-[The size must be 1 to 27648]|"),
            (b"db load 27649", "e-[The size must be 1 to 27648]|"),
            (b"db load 99999999999999999999", "e-[The size must be 1 to 27648]|"),
            (b"db load 2", "m-[Expecting 2 bytes]|"),
            (b"db 0", "e-[Bytes are two hexadecimal digits each]|"),
            (b"db 0g", "e-[Bytes are two hexadecimal digits each]|"),
            (b"infer 1 0", "e-[The input is not what the network takes: 0 bytes]|"),
        ];
        for (command, reply) in commands {
            let text = [command, b"%\r\nname%"].concat();
            let found = replies(&mut protocol, &text);
            assert!(found[0].starts_with(reply), "{found:?}");
            assert_eq!(found[1..], ["m-name-dut-[test]|", ""], "after {}", String::from_utf8_lossy(command));
        }
        assert_eq!(replies(&mut protocol, b"infer x%infer -1%")[..2], ["e-[Inference iterations must be >0]|"; 2]);
        // What comes beyond a command's size replaces its last byte.
        let long = [b"name ".as_slice(), &endless, b"%"].concat();
        assert_eq!(replies(&mut protocol, &long)[0], "m-name-dut-[test]|");
    }

    #[test]
    fn numbers() {
        let of = |value| String::from_utf8(Digits::of(value).text().to_vec()).unwrap();
        assert_eq!([of(0), of(10), of(u64::MAX)], ["0", "10", "18446744073709551615"]);
        let real = |value| String::from_utf8(Digits::of_real(value).text().to_vec()).unwrap();
        let values = [0.0, 1.0 / 256.0, 0.99609375, -0.0625, 12.3456, f32::NAN, 1e30];
        let texts = ["0.000", "0.004", "0.996", "-0.063", "12.346", "0.000", "9223372036854775.807"];
        assert_eq!(values.map(real), texts);
    }

    #[test]
    fn any_bytes_leave_it_in_order() {
        let mut state = 1u32;
        let mut protocol = Protocol::new();
        let mut board = Board::default();
        for _ in 0..100_000 {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let words: [&[u8]; 8] = [b"db ", b"load ", b"infer ", b"7", b"0f", b"%", b" ", b"print"];
            let one = [state as u8 | 0x80];
            let bytes = if state & 0x700 == 0 { one.as_slice() } else { words[state as usize >> 29] };
            bytes.iter().for_each(|&byte| protocol.receive(byte, &mut board));
            board.said.clear();
        }
        assert_eq!(replies(&mut protocol, b"%name%")[1..], ["m-name-dut-[test]|", ""]);
    }
}
