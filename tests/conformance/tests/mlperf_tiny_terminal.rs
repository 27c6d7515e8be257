//! MLPerf Tiny's board on a pseudo-terminal, driven as the official runner drives a serial port.
//!
//! A process of its own: what ends the board ends every board of the process. Skipped, with the reason printed, where the
//! corpus or an emulator is not there.
#![cfg(unix)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use conformance::{compile, corpus};
use rasbora_bench::BenchError;
use rasbora_bench::mlperf_tiny::{Image, Task, Ticks, find, serve};
use rasbora_compiler::target;

/// The runner's end.
struct Port(File);

impl Port {
    fn open(path: &Path) -> Self {
        Self(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    fn send(&mut self, command: &str) {
        self.0.write_all(format!("{command}%").as_bytes()).unwrap();
    }

    fn command(&mut self, command: &str) -> Vec<String> {
        self.send(command);
        let (mut lines, mut line) = (Vec::new(), Vec::new());
        loop {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            line.extend(byte);
            if byte == *b"\n" {
                let text = String::from_utf8(std::mem::take(&mut line)).unwrap();
                assert!(text.ends_with("\r\n"), "{text:?}");
                lines.push(text.trim_end().to_owned());
                if text.contains("m-ready") {
                    return lines;
                }
            }
        }
    }
}

fn image(corpus: &Path) -> Result<Image, BenchError> {
    let target = target::find("cortex-m4").unwrap();
    let model = fs::read(corpus.join("tflite/mlperf_tiny_ref/kws_ref_model.tflite")).unwrap();
    let program = compile(&model, target.isa).unwrap();
    let task = Task::new(find("kws01").unwrap(), &program)?;
    Image::build(target, Ticks::of(target, None), task, &program)
}

#[test]
fn a_runner_drives_the_board_and_another_after_it() {
    let Some(corpus) = corpus() else { return };
    let image = match image(&corpus) {
        Ok(image) => image,
        Err(error @ (BenchError::NoToolchain { .. } | BenchError::NoLinker { .. })) => {
            return println!("skipped: {error}");
        }
        Err(error) => panic!("{error}"),
    };
    let (sender, paths) = channel::<PathBuf>();
    let name = format!("m-name-dut-[{}]", image.name());
    let board =
        thread::spawn(move || serve(&image, Duration::from_secs(120), |path| sender.send(path.to_owned()).unwrap()));
    let path = paths.recv().unwrap();
    let mut port = Port::open(&path);
    assert_eq!(port.command("name"), [&name, "m-ready"]);
    assert_eq!(port.command("no such thing"), ["e-[Unknown command: no such thing]", "m-ready"]);
    let mut files: Vec<_> =
        fs::read_dir(corpus.join("data/kws01_mfcc")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let input = fs::read(&files[0]).unwrap();
    port.command(&format!("db load {}", input.len()));
    for bytes in input.chunks(31) {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        port.command(&format!("db {digits}"));
    }
    let start = Instant::now();
    let reply = port.command("infer 2 0");
    assert!(start.elapsed() >= Duration::from_secs(2), "five windows must take ten seconds of the runner's clock");
    assert_eq!(reply.iter().filter(|line| line.starts_with("m-lap-us-")).count(), 2, "{reply:?}");
    // What one runner leaves unread does not reach the next.
    port.send("help");
    thread::sleep(Duration::from_millis(500));
    drop(port);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(Port::open(&path).command("name"), [&name, "m-ready"]);
    rasbora_bench::interrupt();
    board.join().unwrap().unwrap();
}
