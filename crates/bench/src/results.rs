//! The files that host and firmware exchange (their formats are described in `firmware/main.rs`).

use std::fs;
use std::path::Path;

use crate::emulator::COUNTS;
use crate::error::{BenchError, file};
use crate::{ArenaRange, Count, Mode, Options};

/// Writes what the firmware reads.
pub(crate) fn write_inputs(
    folder: &Path,
    program: Option<&[u8]>,
    calls: &[Vec<Vec<u8>>],
    options: &Options,
) -> Result<(), BenchError> {
    let trace = &options.trace;
    let mut input = word(calls.len()).to_vec();
    for bytes in calls.iter().flatten() {
        input.extend(word(bytes.len()));
        input.extend(bytes);
    }
    let mut ranges = word(trace.len()).to_vec();
    for index in by_step(trace) {
        let ArenaRange { step, offset, bytes } = trace[index];
        ranges.extend([step, offset, bytes].into_iter().flat_map(u32::to_le_bytes));
    }
    let budget = if let Mode::Yielding(budget) = options.mode { budget } else { 0 };
    let program = program.map(|program| ("program", [&word(program.len()), program].concat()));
    let files = [("input", input), ("ranges", ranges), ("budget", budget.to_le_bytes().to_vec())];
    for (name, content) in files.into_iter().chain(program) {
        let path = folder.join(name);
        fs::write(&path, content).map_err(file("write", &path))?;
    }
    Ok(())
}

fn word(value: usize) -> [u8; 4] {
    // Inputs of four gigabytes fit no microcontroller; the firmware refuses the size that this saturates to.
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

/// The indices of the ranges in the order in which the firmware writes them.
fn by_step(trace: &[ArenaRange]) -> Vec<usize> {
    let mut order: Vec<_> = (0..trace.len()).collect();
    order.sort_by_key(|&index| trace[index].step);
    order
}

/// What a run left behind.
pub(crate) struct Results<'a> {
    /// The working folder.
    pub(crate) folder: &'a Path,
    /// What the emulator printed.
    pub(crate) output: String,
}

impl Results<'_> {
    fn wrong(&self, file: &'static str, reason: impl Into<String>) -> BenchError {
        BenchError::Results { file, reason: reason.into(), output: self.output.clone() }
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, BenchError> {
        fs::read(self.folder.join(name)).map_err(|error| self.wrong(name, error.to_string()))
    }

    /// The counted regions, in order.
    pub(crate) fn counts(&self) -> Result<Vec<Count>, BenchError> {
        let text = String::from_utf8_lossy(&self.bytes(COUNTS)?).into_owned();
        let lines = text.lines().map(|line| {
            let (instructions, cycles) = line.split_once(' ')?;
            let cycles = if cycles == "-" { None } else { Some(cycles.parse().ok()?) };
            Some(Count { instructions: instructions.parse().ok()?, cycles })
        });
        lines.collect::<Option<Vec<_>>>().ok_or_else(|| self.wrong(COUNTS, "a line is not two numbers"))
    }

    /// The outputs of each call.
    pub(crate) fn outputs(&self, calls: usize) -> Result<Vec<Vec<Vec<u8>>>, BenchError> {
        const NAME: &str = "output";
        let bytes = self.bytes(NAME)?;
        let mut rest = bytes.as_slice();
        let mut outputs = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = u32::from_le_bytes(*length) as usize;
            let output = after.get(..length).ok_or_else(|| self.wrong(NAME, "it ends too early"))?;
            outputs.push(output.to_vec());
            rest = &after[length..];
        }
        if calls == 0 {
            return Ok(Vec::new());
        }
        if outputs.len() % calls != 0 {
            return Err(self.wrong(NAME, format!("it holds {} outputs of {calls} calls", outputs.len())));
        }
        let each = outputs.len() / calls;
        let mut outputs = outputs.into_iter();
        Ok((0..calls).map(|_| outputs.by_ref().take(each).collect()).collect())
    }

    /// The deepest stack.
    pub(crate) fn stack(&self) -> Result<u32, BenchError> {
        const NAME: &str = "stack";
        let bytes = self.bytes(NAME)?;
        let word = bytes.try_into().map_err(|_| self.wrong(NAME, "it is not four bytes long"))?;
        Ok(u32::from_le_bytes(word))
    }

    /// The bytes of each range of `trace`.
    pub(crate) fn trace(&self, trace: &[ArenaRange]) -> Result<Vec<Vec<u8>>, BenchError> {
        const NAME: &str = "trace";
        let mut parts = vec![Vec::new(); trace.len()];
        if trace.is_empty() {
            return Ok(parts);
        }
        let bytes = self.bytes(NAME)?;
        let mut rest = bytes.as_slice();
        for index in by_step(trace) {
            let length = trace[index].bytes as usize;
            let part = rest.get(..length);
            parts[index] = part.ok_or_else(|| self.wrong(NAME, "a range's step was never run"))?.to_vec();
            rest = &rest[length..];
        }
        Ok(parts)
    }
}

/// The counts of each call: its own region, or the sum of its steps.
pub(crate) fn per_call(counts: &[Count], calls: usize, mode: Mode) -> Vec<Count> {
    let steps = match mode {
        Mode::Total => 1,
        Mode::Steps | Mode::Yielding(_) => counts.len().checked_div(calls).unwrap_or(0).max(1),
    };
    let sum = |steps: &[Count]| Count {
        instructions: steps.iter().map(|it| it.instructions).sum(),
        cycles: steps.iter().map(|it| it.cycles).sum(),
    };
    counts.chunks(steps).map(sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_summed_by_call() {
        let count = |instructions| Count { instructions, cycles: Some(2 * instructions) };
        let counts = [1, 2, 3, 4].map(count);
        assert_eq!(per_call(&counts, 2, Mode::Steps), [count(3), count(7)]);
        assert_eq!(per_call(&counts, 4, Mode::Total), counts);
        let uncounted = Count { instructions: 1, cycles: None };
        assert_eq!(per_call(&[uncounted; 2], 1, Mode::Steps), [Count { instructions: 2, cycles: None }]);
    }

    #[test]
    fn ranges_come_back_in_the_order_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let range = |step, bytes| ArenaRange { step, offset: 0, bytes };
        let trace = [range(2, 1), range(0, 2), range(2, 3)];
        write_inputs(folder.path(), None, &[], &Options { trace: trace.to_vec(), ..Options::default() }).unwrap();
        fs::write(folder.path().join("trace"), [1, 2, 3, 4, 5, 6]).unwrap();
        let results = Results { folder: folder.path(), output: String::new() };
        assert_eq!(results.trace(&trace).unwrap(), [vec![3], vec![1, 2], vec![4, 5, 6]]);
        fs::write(folder.path().join("trace"), [1, 2]).unwrap();
        assert!(matches!(results.trace(&trace), Err(BenchError::Results { .. })));
    }
}
