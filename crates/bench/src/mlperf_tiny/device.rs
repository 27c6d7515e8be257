//! The device under test: its firmware, and a session with it on an emulated board.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rasbora_compiler::emit::rust::{self, Named};
use rasbora_compiler::graph::bytes_of;
use rasbora_compiler::program::Program;
use rasbora_compiler::target::{TARGETS, Target};
use tempfile::TempDir;

use super::benchmarks::{Element, Task};
use super::data::Sample;
use super::protocol::{END_OF_COMMAND, READY};
use super::tensors::{Affine, Sent, Told};
use crate::emulator::{self, COUNTS, Job, LOG};
use crate::error::{BenchError, file};
use crate::firmware::{self, Content, Flavour};
use crate::sources::Sources;
use crate::{Measurement, Mode, OptLevel, Options, Toolchain, image, no_board};

/// The clock of a target whose board has none of its own.
const NOMINAL_HZ: u32 = 25_000_000;
/// The module of the network in its crate.
const MODULE: &str = "network";
/// The file that the firmware hears.
const AUDIO: &str = "audio";
/// How many bytes of an input go into one command.
const BYTES_OF_A_COMMAND: usize = 31;

/// What the device's clock ticks by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticks {
    /// The core whose cycles are modelled; an instruction is a tick where there is none.
    pub model: Option<&'static str>,
    /// Ticks of a second.
    pub hz: u32,
}

impl Ticks {
    /// The ticks of a target, at its own clock or at another.
    pub fn of(target: &Target, hz: Option<u32>) -> Self {
        let hz = hz.or(target.clock_hz).unwrap_or(NOMINAL_HZ).max(1);
        Self { model: target.cycles.map(|model| model.name()), hz }
    }

    /// What a tick is called: `cycles` or `instructions`.
    pub fn unit(&self) -> &'static str {
        if self.model.is_some() { "cycles" } else { "instructions" }
    }
}

/// Firmware of the device under test.
#[derive(Debug)]
pub struct Image {
    target: &'static Target,
    toolchain: Toolchain,
    sources: Sources,
    elf: PathBuf,
    /// What its clock ticks by.
    pub ticks: Ticks,
    /// What it runs.
    pub task: Task,
}

impl Image {
    /// Builds the firmware around `program`, or finds it in the cache.
    ///
    /// # Errors
    /// Where the target has no board with a serial port that is known, something is not installed, or the image does not
    /// build or fit.
    pub fn build(target: &'static Target, ticks: Ticks, task: Task, program: &Program) -> Result<Self, BenchError> {
        let board = target.board.ok_or_else(|| no_board(target))?;
        let uart = board.uart.ok_or_else(|| no_serial_port(target))?;
        let named = Named { name: MODULE, program, isa: target.isa.type_name() };
        let files = rust::emit(&[named])
            .map_err(|error| BenchError::Emitted { path: MODULE.into(), reason: error.to_string() })?;
        let toolchain = Toolchain::find(target.triple)?;
        let flavour = Flavour { target, toolchain: &toolchain, opt_level: OptLevel::Speed, mode: Mode::Total };
        let constants = format!(
            "use crate::tensors::{{Affine, Sent, Told}};\npub use model::{MODULE}::{{Arena, Model}};\n\n\
             pub const NAME: &str = {:?};\npub const BENCHMARK: &str = {:?};\npub const CLOCK_HZ: u64 = {};\n\
             pub const UART: usize = {uart:#x};\npub const SENT: Sent = {};\npub const TOLD: Told = {};\n\
             pub const LISTENS: bool = {};\n",
            device_name(target, ticks),
            task.benchmark.id,
            ticks.hz,
            sent(task.sent),
            told(task.told),
            task.benchmark.element == Element::Sample,
        );
        let sources = Sources::emitted(&files);
        let elf = firmware::build(flavour, &sources, Content::DeviceUnderTest(&constants))?;
        Ok(Self { target, toolchain, sources, elf, ticks, task })
    }

    /// The name of its target.
    pub fn target_name(&self) -> &'static str {
        self.target.name
    }

    /// What the device calls itself.
    pub fn name(&self) -> String {
        device_name(self.target, self.ticks)
    }

    /// The ELF file.
    pub fn elf(&self) -> &Path {
        &self.elf
    }

    /// What `rasbora profile` measures of the same network, for these of the runner's inputs.
    ///
    /// # Errors
    /// As [`crate::run`].
    pub fn profile(&self, samples: &[Sample]) -> Result<Measurement, BenchError> {
        let inputs = samples.iter().filter_map(|sample| Some(vec![self.task.input(&sample.bytes)?]));
        let calls: Vec<Vec<Vec<u8>>> = inputs.collect();
        crate::measure(self.target, &self.sources, Content::Emitted(MODULE), None, &calls, &Options::default())
    }
}

fn no_serial_port(target: &Target) -> BenchError {
    let has_one = |target: &&Target| target.board.is_some_and(|board| board.uart.is_some());
    let boards: Vec<&str> = TARGETS.iter().filter(has_one).map(|target| target.name).collect();
    BenchError::NoSerialPort { target: target.name.to_owned(), boards: boards.join(", ") }
}

/// What the device calls itself: what its times mean is part of it.
fn device_name(target: &Target, ticks: Ticks) -> String {
    let mhz = f64::from(ticks.hz) / 1e6;
    match ticks.model {
        Some(model) => format!("rasbora {}: modelled cycles of {model} at {mhz} MHz", target.name),
        None => format!("rasbora {}: instructions at {mhz} MHz", target.name),
    }
}

fn affine(Affine { scale, zero_point }: Affine) -> String {
    format!("Affine {{ scale: f32::from_bits({:#x}), zero_point: {zero_point} }}", scale.to_bits())
}

fn sent(sent: Sent) -> String {
    match sent {
        Sent::Quantised => "Sent::Quantised".into(),
        Sent::Pixels => "Sent::Pixels".into(),
        Sent::Floats(quantisation) => format!("Sent::Floats({})", affine(quantisation)),
    }
}

fn told(told: Told) -> String {
    match told {
        Told::Values(quantisation) => format!("Told::Values({})", affine(quantisation)),
        Told::Error(quantisation) => format!("Told::Error({})", affine(quantisation)),
    }
}

/// A board that runs the firmware; it ends with the value.
pub struct Device {
    machine: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Vec<u8>>,
    folder: TempDir,
    quiet: Duration,
    /// When it last said something, or was asked.
    heard: Instant,
    said: Vec<String>,
}

/// How often an interruption is looked for.
const SLICE: Duration = Duration::from_millis(100);

/// How many of the lines that a board said are shown where something is wrong.
const SHOWN_LINES: usize = 20;

impl Device {
    /// Starts a board and waits until it is ready. It may be quiet for `quiet` before it is taken to hang.
    ///
    /// # Errors
    /// Where it cannot be started or does not get ready.
    pub fn start(image: &Image, quiet: Duration) -> Result<Self, BenchError> {
        let board = image.target.board.ok_or_else(|| no_board(image.target))?;
        let folder = tempfile::tempdir().map_err(file("create", std::env::temp_dir()))?;
        let parsed = image::Image::read(&image.elf)?;
        let job = Job { target: image.target, board, elf: &image.elf, image: parsed, timeout: quiet };
        let mut child = job.start(folder.path(), &image.toolchain.compiler())?;
        let input = child.stdin.take();
        let (sender, lines) = channel();
        let output = child.stdout.take();
        std::thread::spawn(move || {
            let Some(mut output) = output.map(BufReader::new) else { return };
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        let machine = board.machine.to_owned();
        let mut device = Self { machine, child, input, lines, folder, quiet, heard: Instant::now(), said: Vec::new() };
        device.reply("power on")?;
        Ok(device)
    }

    /// Sends a command, without its end, and returns the lines of the reply, without the last, `m-ready`.
    ///
    /// # Errors
    /// Where the board is quiet for too long, or ends.
    pub fn command(&mut self, command: &str) -> Result<Vec<String>, BenchError> {
        let mut bytes = command.as_bytes().to_vec();
        bytes.push(END_OF_COMMAND);
        self.send(&bytes).map_err(file("write to", "the board"))?;
        self.reply(command)
    }

    /// Sends bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(input) = &mut self.input else { return Ok(()) };
        self.heard = Instant::now();
        input.write_all(bytes)?;
        input.flush()
    }

    fn reply(&mut self, command: &str) -> Result<Vec<String>, BenchError> {
        let mut reply = Vec::new();
        loop {
            let Some(line) = self.poll_line(command, SLICE)? else { continue };
            if line.contains(READY) {
                return Ok(reply);
            }
            reply.push(line);
        }
    }

    /// The next line, if it comes within `limit`.
    pub(crate) fn poll_line(&mut self, command: &str, limit: Duration) -> Result<Option<String>, BenchError> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => {
                let line = String::from_utf8_lossy(&line).trim_matches(['\r', '\n', '\0']).to_owned();
                self.heard = Instant::now();
                self.said.push(line.clone());
                if self.said.len() > 2 * SHOWN_LINES {
                    self.said.drain(..SHOWN_LINES);
                }
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Disconnected) => Err(self.ended()),
            Err(RecvTimeoutError::Timeout) if self.heard.elapsed() < self.quiet && !emulator::interrupted() => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(BenchError::Silent {
                machine: self.machine.clone(),
                command: command.to_owned(),
                limit: self.quiet,
                output: self.output(),
            }),
        }
    }

    fn ended(&mut self) -> BenchError {
        match self.child.wait() {
            Ok(status) => {
                BenchError::Guest { machine: self.machine.clone(), status: status.to_string(), output: self.output() }
            }
            Err(error) => file("wait for", &self.machine)(error),
        }
    }

    /// What the board and its emulator said last.
    fn output(&self) -> String {
        let said = self.said.iter().rev().take(SHOWN_LINES).rev();
        let log = fs::read(self.folder.path().join(LOG)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        said.map(|line| format!("{line}\n")).chain([log]).collect()
    }

    /// An answer that is not what the protocol says.
    pub(crate) fn wrong(&self, command: &str, reason: impl Into<String>) -> BenchError {
        let (machine, command) = (self.machine.clone(), command.to_owned());
        BenchError::Reply { machine, command, reason: reason.into(), output: self.output() }
    }

    /// Sends an input as the official runner does, 31 bytes a command.
    ///
    /// # Errors
    /// As [`Device::command`], and where the board has not got all of it.
    pub fn load(&mut self, sent: &[u8]) -> Result<(), BenchError> {
        let command = format!("db load {}", sent.len());
        let mut reply = self.command(&command)?;
        for bytes in sent.chunks(BYTES_OF_A_COMMAND) {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            reply = self.command(&format!("db {digits}"))?;
        }
        if reply.iter().any(|line| line == "m-load-done") {
            Ok(())
        } else {
            Err(self.wrong(&command, "m-load-done did not come"))
        }
    }

    /// Puts a recording before the microphone.
    pub(crate) fn play(&self, samples: &[i16]) -> Result<(), BenchError> {
        let path = self.folder.path().join(AUDIO);
        fs::write(&path, bytes_of(samples.iter().copied())).map_err(file("write", &path))
    }

    /// The ticks at each time that the device asked for, in order.
    pub(crate) fn clock(&self) -> Result<Vec<u64>, BenchError> {
        let path = self.folder.path().join(COUNTS);
        let bytes = fs::read(&path).map_err(file("read", &path))?;
        Ok(bytes.chunks_exact(8).filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?))).collect())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        // A board that has ended already cannot be killed, and that is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
