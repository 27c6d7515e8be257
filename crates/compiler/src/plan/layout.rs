//! What must lie apart for a given order of the steps, and the offsets that fast rules find for it.
//!
//! For two blocks that are needed at once, the allowed differences of their offsets are `{0 if same} ∪ {d ≤ at_most} ∪
//! {d ≥ at_least}`, which says "apart" and each kind of overlap alike: so overlaps, and chains of them, need no case of
//! their own.

use super::Heuristic;
use super::error::Item;
use super::problem::{Direction, Pair, Problem, Shifts, Units};
use std::cmp::Reverse;

/// Something to be placed.
#[derive(Clone, Debug)]
pub(super) struct Block {
    pub item: Item,
    pub size: Units,
    pub first: usize,
    pub last: usize,
    /// The most that is live at once in its lifetime, overlaps left aside.
    pressure: Units,
}

/// Allowed values of `this offset − other offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gap {
    pub same: bool,
    pub at_most: Units,
    pub at_least: Units,
}

impl Gap {
    pub fn allows(&self, shift: Units) -> bool {
        shift <= self.at_most || shift >= self.at_least || (self.same && shift == 0)
    }

    fn mirrored(self) -> Self {
        Self { same: self.same, at_most: -self.at_least, at_least: -self.at_most }
    }
}

/// All blocks, and what each one demands of the others.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub blocks: Vec<Block>,
    /// For each block, the others that are needed at the same time.
    pub near: Vec<Vec<(usize, Gap)>>,
    /// The first free offset, behind the state.
    pub base: Units,
    /// Whether a step has overlaps in both directions, of which only the preferred one was taken.
    pub restricted: bool,
}

impl Layout {
    pub fn new(problem: &Problem, order: &[usize], preferred: Direction) -> Self {
        let mut blocks = collect(problem, order);
        let mut live = vec![0; order.len().max(1)];
        for block in &blocks {
            live[block.first..=block.last].iter_mut().for_each(|sum| *sum += block.size);
        }
        for block in &mut blocks {
            block.pressure = live[block.first..=block.last].iter().copied().max().unwrap_or(0);
        }
        let mut near = vec![vec![]; blocks.len()];
        let mut restricted = false;
        for one in 0..blocks.len() {
            for other in 0..one {
                let (a, b) = (&blocks[one], &blocks[other]);
                if a.first > b.last || b.first > a.last {
                    continue;
                }
                let gap = gap(problem, order, a, b, preferred, &mut restricted);
                near[one].push((other, gap));
                near[other].push((one, gap.mirrored()));
            }
        }
        Self { blocks, near, base: problem.state_units, restricted }
    }

    /// The end of the highest block.
    pub fn height(&self, offsets: &[Units]) -> Units {
        self.blocks.iter().zip(offsets).map(|(b, o)| o + b.size).max().unwrap_or(0).max(self.base)
    }

    /// How many looks one placement of all blocks takes.
    fn work(&self) -> usize {
        self.blocks.len() + self.near.iter().map(Vec::len).sum::<usize>()
    }
}

fn collect(problem: &Problem, order: &[usize]) -> Vec<Block> {
    let mut blocks = vec![];
    let mut push = |item, size, first, last| {
        if size > 0 {
            blocks.push(Block { item, size, first, last, pressure: 0 });
        }
    };
    for (tensor, life) in problem.lifetimes(order).into_iter().enumerate() {
        if let (Some((first, last)), false) = (life, problem.is_state[tensor]) {
            push(Item::Tensor(tensor), problem.sizes[tensor], first, last);
        }
    }
    for (position, &step) in order.iter().enumerate() {
        push(Item::Scratch(step), problem.steps[step].scratch, position, position);
    }
    blocks
}

/// What the step that reads one and writes the other allows, or "apart".
fn gap(problem: &Problem, order: &[usize], a: &Block, b: &Block, preferred: Direction, restricted: &mut bool) -> Gap {
    let apart = Gap { same: false, at_most: -a.size, at_least: b.size };
    let (Item::Tensor(ta), Item::Tensor(tb)) = (a.item, b.item) else { return apart };
    let (read, write) = if a.last == b.first {
        (ta, tb)
    } else if b.last == a.first {
        (tb, ta)
    } else {
        return apart;
    };
    let Some(&step) = order.get(a.last.min(b.last)) else { return apart };
    let pairs = &problem.steps[step].pairs;
    let find = |read, write| pairs.iter().find(|p| p.read == read && p.write == write);
    // Both live at this position alone: either may be the one that is read.
    let Some(pair) = find(read, write).or_else(|| find(write, read).filter(|_| a.first == b.last && a.last == b.first))
    else {
        return apart;
    };
    let (mut forward, mut backward) = (pair.forward, pair.backward);
    if both_directions(pairs) {
        *restricted = true;
        match preferred {
            Direction::Forward => backward = Shifts::default(),
            Direction::Backward => forward = Shifts::default(),
        }
    }
    let (read_size, write_size) = (problem.sizes[pair.read], problem.sizes[pair.write]);
    let of_write = Gap {
        same: forward.same || backward.same,
        at_most: forward.bound.map_or(-write_size, |d| d.max(-write_size)),
        at_least: backward.bound.map_or(read_size, |d| d.min(read_size)),
    };
    if pair.write == ta { of_write } else { of_write.mirrored() }
}

/// Whether the overlaps of a step, taken together, could ask it to run in both directions.
fn both_directions(pairs: &[Pair]) -> bool {
    let differs =
        |p: &Pair| p.forward.bound.is_some() || p.backward.bound.is_some() || p.forward.same != p.backward.same;
    let forward = pairs.iter().any(|p| p.forward.any());
    let backward = pairs.iter().any(|p| p.backward.any());
    pairs.len() > 1 && forward && backward && pairs.iter().any(differs)
}

/// How a place is chosen for the next block.
#[derive(Clone, Copy)]
enum Fit {
    /// The lowest place that is free.
    First,
    /// The narrowest free place below others, which a shared place always is; else the lowest.
    Best,
}

/// A rule by which blocks are sorted; small keys are placed first.
type Key = fn(&Block) -> [Reverse<i128>; 3];

/// The sorting rules; each is tried with both fits.
const KEYS: [(Heuristic, Key); 6] = [
    (Heuristic::Largest, |b| descending([b.size.into(), span(b), -i128::from(b.size)])),
    (Heuristic::Longest, |b| descending([span(b), b.size.into(), 0])),
    (Heuristic::FirstUsed, |b| descending([-(b.first as i128), b.size.into(), 0])),
    (Heuristic::LastUsed, |b| descending([b.last as i128, b.size.into(), 0])),
    (Heuristic::LargestArea, |b| descending([i128::from(b.size) * span(b), b.size.into(), 0])),
    (Heuristic::Busiest, |b| descending([b.pressure.into(), b.size.into(), span(b)])),
];

fn descending(key: [i128; 3]) -> [Reverse<i128>; 3] {
    key.map(Reverse)
}

fn span(block: &Block) -> i128 {
    (block.last - block.first + 1) as i128
}

/// Looks that promoting may take.
const PROMOTE_WORK: usize = 2_000_000;
const PROMOTE_ROUNDS: usize = 100;

/// Offsets and who found them.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub offsets: Vec<Units>,
    pub height: Units,
    pub heuristic: Heuristic,
}

/// The best that the fast rules find; stops at `floor`.
pub(super) fn place(layout: &Layout, floor: Units) -> Placed {
    let mut best: Option<Placed> = None;
    let mut keep = |offsets: Vec<Units>, heuristic| {
        let height = layout.height(&offsets);
        if best.as_ref().is_none_or(|b| height < b.height) {
            best = Some(Placed { offsets, height, heuristic });
        }
        best.as_ref().is_some_and(|b| b.height <= floor)
    };
    let mut queue: Vec<usize> = (0..layout.blocks.len()).collect();
    for (heuristic, key) in KEYS {
        queue.sort_by_key(|&i| (key(&layout.blocks[i]), i));
        if [Fit::First, Fit::Best].into_iter().any(|fit| keep(in_turn(layout, &queue, fit), heuristic)) {
            break;
        }
    }
    queue.sort_by_key(|&i| (descending([layout.blocks[i].size.into(), span(&layout.blocks[i]), 0]), i));
    let rounds = (PROMOTE_WORK / (2 * layout.work()).max(1)).min(PROMOTE_ROUNDS);
    'rounds: for _ in 0..rounds {
        let mut highest = vec![];
        for fit in [Fit::First, Fit::Best] {
            let offsets = in_turn(layout, &queue, fit);
            let height = layout.height(&offsets);
            highest = (0..queue.len()).filter(|&i| offsets[i] + layout.blocks[i].size == height).collect();
            if keep(offsets, Heuristic::Promoted) {
                break 'rounds;
            }
        }
        // Stable: those at the top come first, and everything else keeps its turn.
        queue.sort_by_key(|i| !highest.contains(i));
    }
    best.unwrap_or(Placed { offsets: vec![], height: layout.base, heuristic: Heuristic::Largest })
}

/// Places the blocks one after the other.
fn in_turn(layout: &Layout, queue: &[usize], fit: Fit) -> Vec<Units> {
    let mut offsets: Vec<Option<Units>> = vec![None; queue.len()];
    let mut taken = vec![];
    for &index in queue {
        taken.clear();
        for &(other, gap) in &layout.near[index] {
            let Some(at) = offsets[other] else { continue };
            let (low, high) = (at + gap.at_most + 1, at + gap.at_least - 1);
            if gap.same && low <= at && at <= high {
                taken.extend([(low, at - 1), (at + 1, high)]);
            } else {
                taken.push((low, high));
            }
        }
        taken.retain(|(low, high)| low <= high);
        taken.sort_unstable();
        offsets[index] = Some(choose(&taken, layout.base, fit));
    }
    offsets.into_iter().map(|o| o.unwrap_or(layout.base)).collect()
}

/// A start outside all the ranges `taken` (both ends included, sorted).
fn choose(taken: &[(Units, Units)], base: Units, fit: Fit) -> Units {
    let mut next = base;
    let mut best: Option<(Units, Units)> = None;
    for &(low, high) in taken {
        if low > next {
            let room = low - next;
            match fit {
                Fit::First => return next,
                Fit::Best if best.is_none_or(|(narrowest, _)| room < narrowest) => best = Some((room, next)),
                Fit::Best => {}
            }
        }
        next = next.max(high + 1);
    }
    best.map_or(next, |(_, start)| start)
}
