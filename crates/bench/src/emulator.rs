//! Runs an image on an emulated board, with the counting plugin, under a time limit.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rasbora_compiler::target::{Board, Target};

use crate::doctor::emulator_line;
use crate::error::{BenchError, file};
use crate::image::Image;
use crate::plugin;
use crate::toolchain::{Compiler, in_path};

/// The file, in the working folder, to which the plugin writes its counts.
pub(crate) const COUNTS: &str = "counts";
/// The file, in the working folder, that holds what the emulator prints.
pub(crate) const LOG: &str = "emulator.log";

/// Whether emulators are to end now.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Ends the emulator that runs, and every later one as soon as it starts: for a process that a signal is to end, which
/// would otherwise leave it behind. What runs one then returns an error.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

/// Whether [`interrupt`] was called.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// An image that is to run.
pub(crate) struct Job<'a> {
    pub(crate) target: &'a Target,
    pub(crate) board: Board,
    pub(crate) elf: &'a Path,
    pub(crate) image: Image,
    pub(crate) timeout: Duration,
}

impl Job<'_> {
    /// Runs the image in `folder`, where its input files lie and its output files come; returns what was printed.
    pub(crate) fn run(&self, folder: &Path, compiler: &Compiler) -> Result<String, BenchError> {
        let log = folder.join(LOG);
        let out = File::create(&log).map_err(file("create", &log))?;
        let error = out.try_clone().map_err(file("write", &log))?;
        let mut command = self.command(folder, compiler)?;
        command.args(["-serial", "none"]).stdin(Stdio::null()).stdout(out).stderr(error);
        let emulator = self.board.emulator;
        let child = command.spawn().map_err(file("start", emulator))?;
        let status = wait(child, self.timeout).map_err(file("wait for", emulator))?;
        let output = fs::read(&log).map_err(file("read", &log))?;
        let output = String::from_utf8_lossy(&output).into_owned();
        let machine = self.board.machine.to_owned();
        match status {
            Some(status) if status.success() => Ok(output),
            Some(status) => Err(BenchError::Guest { machine, status: status.to_string(), output }),
            None => Err(BenchError::Timeout { machine, limit: self.timeout, output }),
        }
    }

    /// Starts the image in `folder` with its first serial port on the emulator's own input and output.
    pub(crate) fn start(&self, folder: &Path, compiler: &Compiler) -> Result<Child, BenchError> {
        let log = folder.join(LOG);
        let error = File::create(&log).map_err(file("create", &log))?;
        let mut command = self.command(folder, compiler)?;
        command.args(["-chardev", "stdio,id=uart,signal=off", "-serial", "chardev:uart"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(error);
        command.spawn().map_err(file("start", self.board.emulator))
    }

    /// The emulator with the image and the plugin.
    fn command(&self, folder: &Path, compiler: &Compiler) -> Result<Command, BenchError> {
        let emulator = in_path(self.board.emulator).ok_or_else(|| BenchError::NotInstalled {
            program: self.board.emulator.to_owned(),
            help: format!("install it with: {}", emulator_line(self.board.emulator)),
        })?;
        let plugin = plugin::build(&emulator, compiler)?;
        let mut command = Command::new(&emulator);
        command.current_dir(folder);
        command.args(["-M", self.board.machine]).args(self.board.arguments);
        command.args(["-display", "none", "-monitor", "none"]);
        command.args(["-semihosting-config", "enable=on,target=native"]);
        command.arg("-plugin").arg(self.plugin_argument(&plugin)).arg("-kernel").arg(self.elf);
        Ok(command)
    }

    fn plugin_argument(&self, plugin: &Path) -> String {
        // QEMU splits its options at commas; a doubled comma stands for one.
        let path = plugin.display().to_string().replace(',', ",,");
        let model = self.target.cycles.map_or("none", |model| model.name());
        let Image { begin, end, clock, .. } = self.image;
        format!("{path},begin={begin:x},end={end:x},clock={clock:x},model={model},out={COUNTS}")
    }
}

/// Waits for `child`, and kills it after `limit` or when interrupted: then there is no status.
fn wait(mut child: Child, limit: Duration) -> std::io::Result<Option<ExitStatus>> {
    const LONGEST_PAUSE: Duration = Duration::from_millis(50);
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit || interrupted() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}
