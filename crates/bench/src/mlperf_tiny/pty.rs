//! A board on a pseudo-terminal, for the official runner to drive unmodified.
//!
//! The runner waits for one reply a command and counts lines that end one, so that nothing it did not ask for may reach it:
//! the start of the board is read here, and what a runner left unread is dropped when it goes.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, Timespec, open};
use rustix::io::{Errno, read, write};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};

use super::device::{Device, Image};
use super::protocol::{END_OF_COMMAND, READY};
use crate::emulator;
use crate::error::{BenchError, file};

/// How long the runner may see nothing: it gives up after thirty seconds without a line.
const KEPT_ALIVE: Duration = Duration::from_secs(10);
/// What it sees then; it skips lines that it does not know.
const ALIVE: &str = "m-busy";
/// The least time that a command of many inferences takes: the runner wants five of them to take ten seconds of its own
/// clock.
const PACE: Duration = Duration::from_millis(2100);
/// How often an interruption is looked for.
const SLICE: Duration = Duration::from_millis(100);
/// How long the runner may leave its end full before what it does not read is dropped.
const UNREAD: Duration = Duration::from_secs(5);

/// Runs `image` on a pseudo-terminal until interrupted; `ready` is told its path.
///
/// # Errors
/// Where the board or the pseudo-terminal fails.
pub fn serve(image: &Image, quiet: Duration, ready: impl FnOnce(&Path)) -> Result<(), BenchError> {
    let mut device = Device::start(image, quiet)?;
    let mut terminal = Terminal::open().map_err(|error| file("open", "a pseudo-terminal")(error.into()))?;
    ready(&terminal.path);
    let path = terminal.path.clone();
    let mut command = Vec::new();
    while !emulator::interrupted() {
        for byte in terminal.read().map_err(|error| file("use", &path)(error.into()))? {
            device.send(&[byte]).map_err(file("write to", "the board"))?;
            if byte != END_OF_COMMAND {
                command.push(byte);
                continue;
            }
            let text = String::from_utf8_lossy(&command).into_owned();
            command.clear();
            answer(&mut device, &terminal, &text)?;
        }
    }
    Ok(())
}

/// Passes the reply on, as quickly as the runner may see it.
fn answer(device: &mut Device, terminal: &Terminal, command: &str) -> Result<(), BenchError> {
    let failed = |error: Errno| file("use", &terminal.path)(error.into());
    let start = Instant::now();
    let mut words = command.split(' ');
    let many = words.next() == Some("infer") && words.next().is_none_or(|count| count != "1");
    let mut shown = start;
    loop {
        let Some(line) = device.poll_line(command, SLICE)? else {
            if emulator::interrupted() {
                return Ok(());
            }
            if shown.elapsed() >= KEPT_ALIVE {
                terminal.write_line(ALIVE).map_err(failed)?;
                shown = Instant::now();
            }
            continue;
        };
        let last = line.contains(READY);
        if last && many {
            std::thread::sleep(PACE.saturating_sub(start.elapsed()));
        }
        terminal.write_line(&line).map_err(failed)?;
        shown = Instant::now();
        if last {
            return Ok(());
        }
    }
}

/// A pseudo-terminal in raw mode.
struct Terminal {
    own: OwnedFd,
    /// The runner's end, held while no runner does: the mode goes away with the last who holds it.
    held: Option<OwnedFd>,
    path: PathBuf,
}

impl Terminal {
    fn open() -> Result<Self, Errno> {
        let own = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&own)?;
        unlockpt(&own)?;
        let name = ptsname(&own, Vec::new())?;
        let path = PathBuf::from(name.to_string_lossy().into_owned());
        let mut terminal = Self { own, held: None, path };
        terminal.hold()?;
        Ok(terminal)
    }

    /// Takes the runner's end, in raw mode and without what was left unread.
    fn hold(&mut self) -> Result<(), Errno> {
        let end = open(&self.path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        let mut mode = tcgetattr(&end)?;
        mode.make_raw();
        tcsetattr(&end, OptionalActions::Now, &mode)?;
        tcflush(&end, QueueSelector::IFlush)?;
        self.held = Some(end);
        Ok(())
    }

    /// What has come, after a short while nothing. Who writes holds the runner's end; when it is let go, it is taken again.
    fn read(&mut self) -> Result<Vec<u8>, Errno> {
        if !self.wait(PollFlags::IN, SLICE)? {
            return Ok(Vec::new());
        }
        let mut bytes = [0; 1024];
        match read(&self.own, &mut bytes) {
            Ok(count) => {
                self.held = None;
                Ok(bytes[..count].to_vec())
            }
            Err(Errno::IO) => self.hold().map(|()| Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn write_line(&self, line: &str) -> Result<(), Errno> {
        let bytes = format!("{line}\r\n").into_bytes();
        let mut rest = bytes.as_slice();
        // A pseudo-terminal that can be written takes at least one byte without waiting.
        while let Some((first, after)) = rest.split_first() {
            if !self.wait(PollFlags::OUT, UNREAD)? {
                return Ok(());
            }
            match write(&self.own, std::slice::from_ref(first)) {
                // The runner has gone.
                Err(Errno::IO) => return Ok(()),
                written => written?,
            };
            rest = after;
        }
        Ok(())
    }

    fn wait(&self, what: PollFlags, limit: Duration) -> Result<bool, Errno> {
        let mut ends = [PollFd::new(&self.own, what)];
        let limit = Timespec { tv_sec: limit.as_secs().cast_signed(), tv_nsec: limit.subsec_nanos().into() };
        match poll(&mut ends, Some(&limit)) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
