//! Finds orders of the steps in which little memory is needed at once.
//!
//! The measure is the peak over the steps of the memory that must exist while a step runs, which is a lower bound of
//! the arena: `Σ live + Σ writes + scratch − most that the overlap rules can share`. What is live depends on which
//! steps were done and not on their order, so a best-first search over sets of done steps is exact; where it takes too
//! long, a beam search stands in.

use super::PlanError;
use super::problem::{Problem, Units, most_shared};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Looks at steps that the exact search may take: about a tenth of a second on a slow machine.
const EXACT_WORK: usize = 2_000_000;
/// What a new set of done steps costs, in looks; it bounds the memory that the search takes.
const CHILD_WORK: usize = 8;
/// Looks at steps that the beam search may take.
const BEAM_WORK: usize = 8_000_000;
const WIDEST_BEAM: usize = 32;

/// A set of steps.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Done(Box<[u64]>);

impl Done {
    fn contains(&self, step: usize) -> bool {
        self.0[step / 64] >> (step % 64) & 1 == 1
    }

    fn with(&self, step: usize) -> Self {
        let mut next = self.clone();
        next.0[step / 64] |= 1 << (step % 64);
        next
    }
}

/// Where a search stands after some steps.
#[derive(Clone)]
struct Front {
    done: Done,
    count: usize,
    /// Memory that is needed between this step and the next.
    live: Units,
    /// The most that was needed up to now.
    peak: Units,
    /// Index into the trail of steps taken; the way back to the start.
    trail: Option<usize>,
}

/// Steps taken, each with the one before it.
type Trail = Vec<(usize, Option<usize>)>;

/// The order of the file, repaired where a step stands before what it needs.
pub(super) fn file_order(problem: &Problem) -> Result<Vec<usize>, PlanError> {
    let mut waits: Vec<usize> = problem.steps.iter().map(|s| s.after.len()).collect();
    let mut followers = vec![vec![]; problem.steps.len()];
    for (step, used) in problem.steps.iter().enumerate() {
        used.after.iter().for_each(|&before| followers[before].push(step));
    }
    let mut ready: BinaryHeap<_> = (0..waits.len()).filter(|&s| waits[s] == 0).map(Reverse).collect();
    let mut order = Vec::with_capacity(waits.len());
    while let Some(Reverse(step)) = ready.pop() {
        order.push(step);
        for &follower in &followers[step] {
            waits[follower] -= 1;
            if waits[follower] == 0 {
                ready.push(Reverse(follower));
            }
        }
    }
    match waits.iter().position(|&w| w > 0) {
        Some(step) => Err(PlanError::Cycle { step }),
        None => Ok(order),
    }
}

/// The most memory that must exist at once in this order: a lower bound of its arena.
pub(super) fn peak(problem: &Problem, order: &[usize]) -> Units {
    let mut front = start(problem);
    for &step in order {
        front = advance(problem, &front, step);
    }
    front.peak
}

/// An order with a lower peak than `file`, if one was found.
pub(super) fn better(problem: &Problem, file: &[usize]) -> Option<Vec<usize>> {
    let limit = peak(problem, file);
    if limit <= unavoidable(problem) {
        return None;
    }
    match best_first(problem, limit) {
        Search::Finished(order) => order,
        Search::OutOfWork => beam(problem, limit),
    }
}

/// No order needs less: each step needs what it touches, and the start needs the inputs.
fn unavoidable(problem: &Problem) -> Units {
    let touched = problem.steps.iter().map(|step| {
        let tensors = step.touched().map(|&t| problem.sizes[t]).sum::<Units>();
        problem.state_units + tensors + step.scratch - most_shared(step.pairs.iter(), &problem.sizes)
    });
    touched.chain([start(problem).peak]).max().unwrap_or(0)
}

fn start(problem: &Problem) -> Front {
    let inputs = |used: bool| {
        let wanted = problem.inputs.iter().filter(|&&t| is_used(problem, t) == used);
        wanted.map(|&t| problem.sizes[t]).sum::<Units>()
    };
    let live = problem.state_units + inputs(true);
    let done = Done(vec![0; problem.steps.len().div_ceil(64)].into());
    Front { done, count: 0, live, peak: live + inputs(false), trail: None }
}

fn is_used(problem: &Problem, tensor: usize) -> bool {
    problem.kept[tensor] || !problem.users[tensor].is_empty()
}

fn advance(problem: &Problem, front: &Front, step: usize) -> Front {
    let used = &problem.steps[step];
    let first_write = |tensor: usize| !problem.writers[tensor].iter().any(|&s| front.done.contains(s));
    let last_use = |tensor: usize| {
        !problem.kept[tensor] && problem.users[tensor].iter().all(|&s| s == step || front.done.contains(s))
    };
    let units = |tensors: &mut dyn Iterator<Item = &usize>| tensors.map(|&t| problem.sizes[t]).sum::<Units>();
    // Inputs that nobody reads are there when the first step begins.
    let unread =
        if front.count == 0 { units(&mut problem.inputs.iter().filter(|&&t| !is_used(problem, t))) } else { 0 };
    let shared = most_shared(used.pairs.iter().filter(|p| last_use(p.read)), &problem.sizes);
    let born = units(&mut used.writes.iter().filter(|&&t| first_write(t)));
    let during = front.live + unread + born + used.scratch - shared;
    let freed = units(&mut used.touched().filter(|&&t| last_use(t)));
    Front {
        done: front.done.with(step),
        count: front.count + 1,
        live: front.live + born - freed,
        peak: front.peak.max(during),
        trail: front.trail,
    }
}

/// The steps that may come next, with where they lead. A step that needs no more than was needed before and leaves no
/// more behind can come at once: moving it to the front of any order lowers what is live after it and raises nothing.
fn expand(problem: &Problem, front: &Front, limit: Units) -> Vec<(usize, Front)> {
    let mut next = vec![];
    for (step, used) in problem.steps.iter().enumerate() {
        if front.done.contains(step) || !used.after.iter().all(|&s| front.done.contains(s)) {
            continue;
        }
        let after = advance(problem, front, step);
        if after.peak == front.peak && after.live <= front.live {
            return vec![(step, after)];
        }
        if after.peak < limit {
            next.push((step, after));
        }
    }
    next
}

enum Search {
    /// The best order, or none below the limit.
    Finished(Option<Vec<usize>>),
    OutOfWork,
}

fn best_first(problem: &Problem, limit: Units) -> Search {
    let steps = problem.steps.len();
    let mut trail: Trail = vec![];
    let mut fronts = vec![start(problem)];
    let mut seen: HashMap<Done, Units> = HashMap::new();
    // Lowest peak first, then the furthest, then the least live, then the oldest.
    let mut heap = BinaryHeap::from([Reverse((fronts[0].peak, steps, fronts[0].live, 0))]);
    let mut work = 0;
    while let Some(Reverse((peak, left, _, index))) = heap.pop() {
        let front = fronts[index].clone();
        if left == 0 {
            return Search::Finished(Some(walk(&trail, front.trail)));
        }
        if seen.get(&front.done).is_some_and(|&known| known < peak) {
            continue;
        }
        let next = expand(problem, &front, limit);
        work += steps + CHILD_WORK * next.len();
        if work > EXACT_WORK {
            return Search::OutOfWork;
        }
        for (step, mut after) in next {
            if seen.get(&after.done).is_some_and(|&known| known <= after.peak) {
                continue;
            }
            seen.insert(after.done.clone(), after.peak);
            trail.push((step, front.trail));
            after.trail = Some(trail.len() - 1);
            heap.push(Reverse((after.peak, steps - after.count, after.live, fronts.len())));
            fronts.push(after);
        }
    }
    Search::Finished(None)
}

/// Keeps the most promising sets of done steps of each size; of equals, the one that is nearest to the order of the
/// file.
fn beam(problem: &Problem, limit: Units) -> Option<Vec<usize>> {
    let steps = problem.steps.len();
    let width = (BEAM_WORK / (steps * steps).max(1)).clamp(1, WIDEST_BEAM);
    let mut trail: Trail = vec![];
    let mut fronts = vec![start(problem)];
    for _ in 0..steps {
        let mut next: Vec<(usize, Front)> = vec![];
        for front in &fronts {
            next.extend(expand(problem, front, limit));
        }
        next.sort_by_key(|(step, front)| (front.peak, front.live, *step));
        let mut seen = HashSet::new();
        next.retain(|(_, front)| seen.len() < width && seen.insert(front.done.clone()));
        fronts.clear();
        for (step, mut front) in next {
            trail.push((step, front.trail));
            front.trail = Some(trail.len() - 1);
            fronts.push(front);
        }
    }
    fronts.first().map(|front| walk(&trail, front.trail))
}

fn walk(trail: &Trail, mut at: Option<usize>) -> Vec<usize> {
    let mut order = vec![];
    while let Some(index) = at {
        order.push(trail[index].0);
        at = trail[index].1;
    }
    order.reverse();
    order
}
