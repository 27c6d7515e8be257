//! A request in the form that the planners work on: sizes in units of the alignment, and who must run before whom.
//!
//! Parts have no place of their own: who reads or writes one uses the outermost whole that it lies in, which is alive from
//! the first write to the last use of any of them. Only who waits for whom is still told by the parts.
//!
//! In whole units, two tensors at aligned offsets are apart exactly where their blocks are, so sums of blocks are true
//! bounds.

use super::{Overlap, PlanError, Request, StepUse, TensorIndex};

/// A size, an offset or a difference of offsets, in units of the alignment.
pub(super) type Units = i64;

/// Which way a step walks over its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Backward,
}

/// The shifts `d = write − read` that may share bytes when the step runs in one direction: `{0 if same} ∪ {d on the far
/// side of bound}`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Shifts {
    pub same: bool,
    /// Forward: `d ≤ bound`. Backward: `d ≥ bound`.
    pub bound: Option<Units>,
}

impl Shifts {
    pub fn any(&self) -> bool {
        self.same || self.bound.is_some()
    }
}

/// A read and a write of one step that may share memory once the read is the last.
#[derive(Clone, Debug)]
pub(super) struct Pair {
    pub read: TensorIndex,
    pub write: TensorIndex,
    pub forward: Shifts,
    pub backward: Shifts,
    /// The most units that the two can share.
    pub saving: Units,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    /// Distinct, without state, wholes for parts.
    pub reads: Vec<TensorIndex>,
    /// Likewise.
    pub writes: Vec<TensorIndex>,
    pub scratch: Units,
    pub pairs: Vec<Pair>,
    /// Steps that must run before.
    pub after: Vec<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub sizes: Vec<Units>,
    pub steps: Vec<Step>,
    /// Steps that write each tensor: several where it has parts.
    pub writers: Vec<Vec<usize>>,
    /// Steps that read or write each tensor.
    pub users: Vec<Vec<usize>>,
    /// Tensors to keep to the end.
    pub kept: Vec<bool>,
    /// Network inputs that are not state.
    pub inputs: Vec<TensorIndex>,
    pub is_state: Vec<bool>,
    /// State in order, each once.
    pub state: Vec<TensorIndex>,
    pub state_units: Units,
}

impl Step {
    /// What is read or written, each once.
    pub fn touched(&self) -> impl Iterator<Item = &TensorIndex> {
        union(&self.reads, &self.writes)
    }
}

impl Problem {
    pub fn new(request: &Request) -> Result<Self, PlanError> {
        request.check()?;
        let tensors = request.tensors.len();
        let units =
            |bytes: usize| Units::try_from(bytes.div_ceil(request.align)).map_err(|_| PlanError::TooLarge { bytes });
        let sizes = request.tensors.iter().map(|&b| units(b)).collect::<Result<Vec<_>, _>>()?;
        let mut is_state = vec![false; tensors];
        let state = distinct(&request.state);
        state.iter().for_each(|&t| is_state[t] = true);
        let mut kept = is_state.clone();
        request.outputs.iter().for_each(|&t| kept[t] = true);
        let outermost = outermost(request);
        let after = predecessors(request, &is_state);
        let mut steps = Vec::with_capacity(request.steps.len());
        let (mut writers, mut users) = (vec![vec![]; tensors], vec![vec![]; tensors]);
        for (index, (used, after)) in request.steps.iter().zip(after).enumerate() {
            let places = |list: &[TensorIndex]| {
                let places: Vec<_> = list.iter().filter(|&&t| !is_state[t]).map(|&t| outermost[t]).collect();
                distinct(&places)
            };
            let (reads, writes) = (places(&used.reads), places(&used.writes));
            writes.iter().for_each(|&t| writers[t].push(index));
            union(&reads, &writes).for_each(|&t| users[t].push(index));
            let pairs = pairs(request, used, &kept, &outermost);
            steps.push(Step { pairs, reads, writes, scratch: units(used.scratch_bytes)?, after });
        }
        let inputs = distinct(&request.inputs).into_iter().filter(|&t| !is_state[t]).collect();
        let state_units = state.iter().map(|&t| sizes[t]).sum();
        Ok(Self { sizes, steps, writers, users, kept, inputs, is_state, state, state_units })
    }

    /// First and last position at which each tensor is needed, in this order of the steps.
    pub fn lifetimes(&self, order: &[usize]) -> Vec<Option<(usize, usize)>> {
        let end = order.len().saturating_sub(1);
        let mut lives: Vec<Option<(usize, usize)>> = vec![None; self.sizes.len()];
        self.inputs.iter().for_each(|&t| lives[t] = Some((0, 0)));
        for (position, &step) in order.iter().enumerate() {
            for &tensor in self.steps[step].touched() {
                lives[tensor].get_or_insert((position, position)).1 = position;
            }
        }
        for (tensor, life) in lives.iter_mut().enumerate() {
            if self.is_state[tensor] {
                *life = Some((0, end));
            } else if let (true, Some(life)) = (self.kept[tensor], life) {
                life.1 = end;
            }
        }
        lives
    }
}

fn distinct(list: &[TensorIndex]) -> Vec<TensorIndex> {
    let mut seen = std::collections::HashSet::new();
    list.iter().copied().filter(|&t| seen.insert(t)).collect()
}

/// The elements of two lists of distinct elements, each once.
fn union<'a>(one: &'a [TensorIndex], other: &'a [TensorIndex]) -> impl Iterator<Item = &'a TensorIndex> {
    one.iter().chain(other.iter().filter(|&t| !one.contains(t)))
}

/// For each tensor what it lies in that lies in nothing else.
fn outermost(request: &Request) -> Vec<TensorIndex> {
    let mut outermost: Vec<TensorIndex> = (0..request.tensors.len()).collect();
    request.places().for_each(|(part, whole, _)| outermost[part] = whole);
    outermost
}

/// The steps that write each tensor or a part of it.
fn writers(request: &Request) -> Vec<Vec<usize>> {
    let mut whole = vec![None; request.tensors.len()];
    request.parts.iter().for_each(|part| whole[part.tensor] = Some(part.whole));
    let mut writers = vec![vec![]; request.tensors.len()];
    for (index, step) in request.steps.iter().enumerate() {
        for &tensor in &step.writes {
            std::iter::successors(Some(tensor), |&t| whole[t]).for_each(|t| writers[t].push(index));
        }
    }
    writers
}

/// Who must run before each step: the writers of what it reads, and for state every earlier access that is not read
/// after read.
fn predecessors(request: &Request, is_state: &[bool]) -> Vec<Vec<usize>> {
    let writers = writers(request);
    let mut last_write: Vec<Option<usize>> = vec![None; request.tensors.len()];
    let mut reads_since: Vec<Vec<usize>> = vec![vec![]; request.tensors.len()];
    let mut all = Vec::with_capacity(request.steps.len());
    for (index, step) in request.steps.iter().enumerate() {
        let mut before = vec![];
        for &tensor in &step.reads {
            if is_state[tensor] {
                before.extend(last_write[tensor]);
            } else {
                before.extend(&writers[tensor]);
            }
            reads_since[tensor].push(index);
        }
        for &tensor in step.writes.iter().filter(|&&t| is_state[t]) {
            before.extend(last_write[tensor].replace(index));
            before.extend(reads_since[tensor].drain(..).filter(|&s| s != index));
        }
        before.sort_unstable();
        before.dedup();
        all.push(before);
    }
    all
}

/// What a step reads may be written over where no part of it is read besides; what lies in a whole, or is one, is not
/// written over anything.
fn pairs(request: &Request, step: &StepUse, kept: &[bool], outermost: &[TensorIndex]) -> Vec<Pair> {
    let mut pairs = vec![];
    let alone = |read: &TensorIndex| step.reads.iter().all(|t| (outermost[*t] == *read) == (t == read));
    let is_tied = |write: TensorIndex| request.parts.iter().any(|part| part.tensor == write || part.whole == write);
    for read in distinct(&step.reads).into_iter().filter(|t| !kept[*t] && alone(t)) {
        for (position, &write) in step.writes.iter().enumerate().filter(|(_, write)| !is_tied(**write)) {
            let find = |direction| shifts(request, step, read, position, direction);
            let (forward, backward) = (find(Direction::Forward), find(Direction::Backward));
            if forward.any() || backward.any() {
                let units = |t: TensorIndex| request.tensors[t].div_ceil(request.align) as Units;
                let saving = saving(units(read), units(write), forward, backward);
                pairs.push(Pair { read, write, forward, backward, saving });
            }
        }
    }
    // State as an output stays at the front of the arena, so it shares with nobody.
    pairs.retain(|p| !request.state.contains(&p.write));
    pairs
}

/// What every read of `read` by the step allows, for one direction.
fn shifts(request: &Request, step: &StepUse, read: TensorIndex, write: usize, direction: Direction) -> Shifts {
    let signed = |bytes: usize| bytes as Units;
    let (read_bytes, write_bytes) = (request.tensors[read], request.tensors[step.writes[write]]);
    let align = signed(request.align);
    let ceil = |bytes: Units| -(-bytes).div_euclid(align);
    let mut all: Option<Shifts> = None;
    for (position, _) in step.reads.iter().enumerate().filter(|&(_, &t)| t == read) {
        let mut here = Shifts::default();
        for rule in step.overlap.iter().filter(|r| r.read == position && r.write == write) {
            match (rule.kind, direction) {
                (Overlap::SameOffset, Direction::Forward) => here.same |= write_bytes <= read_bytes,
                (Overlap::SameOffset, Direction::Backward) => here.same |= write_bytes == read_bytes,
                // With a lead of the whole output, the two share nothing.
                (Overlap::RowsForward { lead_bytes }, Direction::Forward) if lead_bytes < write_bytes => {
                    here.bound = here.bound.max(Some(-ceil(signed(lead_bytes))));
                }
                (Overlap::RowsBackward { lead_bytes }, Direction::Backward) if lead_bytes < write_bytes => {
                    let least = ceil(signed(read_bytes) + signed(lead_bytes) - signed(write_bytes));
                    here.bound = Some(here.bound.map_or(least, |b| b.min(least)));
                }
                _ => {}
            }
        }
        here.same |= here.bound.is_some_and(|b| if direction == Direction::Forward { b >= 0 } else { b <= 0 });
        all = Some(all.map_or(here, |before| {
            Shifts {
                same: before.same && here.same,
                bound: before
                    .bound
                    .zip(here.bound)
                    .map(|(a, b)| if direction == Direction::Forward { a.min(b) } else { a.max(b) }),
            }
        }));
    }
    all.unwrap_or_default()
}

fn saving(read: Units, write: Units, forward: Shifts, backward: Shifts) -> Units {
    let same = if forward.same || backward.same { read.min(write) } else { 0 };
    let ahead = forward.bound.map_or(0, |d| read.min(write + d));
    let behind = backward.bound.map_or(0, |d| write.min(read - d.max(0)));
    same.max(ahead).max(behind).clamp(0, read.min(write))
}

/// At most this many units are shared between the inputs and outputs that `pairs` name: no input and no output can give
/// more than itself.
pub(super) fn most_shared<'a>(pairs: impl Iterator<Item = &'a Pair>, sizes: &[Units]) -> Units {
    let (mut by_read, mut by_write) = (vec![], vec![]);
    for pair in pairs {
        add(&mut by_read, pair.read, pair.saving);
        add(&mut by_write, pair.write, pair.saving);
    }
    let total = |sums: Vec<(TensorIndex, Units)>| sums.into_iter().map(|(t, sum)| sum.min(sizes[t])).sum::<Units>();
    total(by_read).min(total(by_write))
}

fn add(sums: &mut Vec<(TensorIndex, Units)>, tensor: TensorIndex, saving: Units) {
    match sums.iter_mut().find(|(t, _)| *t == tensor) {
        Some((_, sum)) => *sum = sum.saturating_add(saving),
        None => sums.push((tensor, saving)),
    }
}
