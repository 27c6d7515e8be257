//! Which way each step takes, and where the tensors lie: the graph's memory as the planner's request.
//!
//! A kernel may have slower ways that take less memory, such as rows from the last to the first, so that a wider output lies
//! over its input. A step takes one of them only where the arena would be larger otherwise. Slices lie where they
//! are cut from, and what is joined lies there from the beginning, unless the arena would be larger for that.

use rasbora_device::ops::{Overlap as KernelOverlap, Role};

use crate::graph::{Graph, Tensor, TensorId};
use crate::lower::{Lowered, LoweredStep, Value, Way};
use crate::plan::{Overlap, OverlapRule, Part, Plan, PlanError, Request, StepUse};
use crate::program::ProgramError;
use crate::sharing::{Home, Sharing};

/// Where everything lies, and the ways that the steps take.
#[derive(Debug)]
pub struct Placed {
    /// For each tensor whose memory it lies in.
    pub homes: Vec<Home>,
    /// What lies in others that have memory of their own.
    pub parts: Vec<Part>,
    /// State in the order in which it lies, as indices of tensors.
    pub state: Vec<usize>,
    /// What the plan's steps are.
    pub nodes: Vec<PlacedNode>,
    /// The plan, over the graph's tensors.
    pub plan: Plan,
}

/// A node that has steps: one step of the plan.
#[derive(Clone, Debug)]
pub struct PlacedNode {
    /// The node: an index in [`Graph::nodes`].
    pub node: usize,
    /// Its steps that run, in [`Lowered::steps`].
    pub steps: Vec<usize>,
    /// The way that they take, in [`LoweredStep::ways`].
    pub way: usize,
}

impl Placed {
    /// The first byte of `tensor` in the arena, where it lies there.
    pub fn offset(&self, tensor: TensorId) -> Option<usize> {
        let Home { root, offset } = self.homes[tensor.0];
        self.plan.slots[root.0].map(|slot| slot.offset + offset)
    }
}

/// How many choices of what shares memory are tried.
const MOST_TRIES: usize = 64;

/// Chooses ways with which the arena is as small as can be, or no larger than `room`, the fastest of those, and leaves out the
/// copies that it does not grow without: all, or where it would grow, those of each half that it does not grow for, and so on.
///
/// # Errors
/// Where a state cannot be settled or the memory not be laid out.
pub fn place(graph: &Graph, lowered: &Lowered, room: usize) -> Result<Placed, ProgramError> {
    let views = Sharing::of_views(graph, lowered)?;
    let mut best = place_shared(graph, lowered, &views, room)?;
    let mut left_out = vec![false; lowered.steps.len()];
    let shared = views.clone().without_copies(graph, lowered, &vec![true; lowered.steps.len()]);
    let mut groups = vec![(0..lowered.steps.len()).filter(|&step| shared.idle[step]).collect::<Vec<_>>()];
    for _ in 0..MOST_TRIES {
        let Some(group) = groups.pop() else { break };
        if group.is_empty() {
            continue;
        }
        let mut more = left_out.clone();
        group.iter().for_each(|&step| more[step] = true);
        let placed = place_shared(graph, lowered, &views.clone().without_copies(graph, lowered, &more), room)?;
        if placed.plan.arena_bytes <= best.plan.arena_bytes.max(room) {
            (best, left_out) = (placed, more);
        } else if group.len() > 1 {
            let (first, second) = group.split_at(group.len() / 2);
            groups.extend([second.to_vec(), first.to_vec()]);
        }
    }
    Ok(best)
}

/// Chooses ways as [`place`] does, with what lies where `sharing` says.
fn place_shared(graph: &Graph, lowered: &Lowered, sharing: &Sharing, room: usize) -> Result<Placed, PlanError> {
    let mut nodes = nodes(lowered, &sharing.idle);
    let memory = Memory { graph, homes: &sharing.homes };
    let uses: Vec<Vec<StepUse>> = nodes.iter().map(|node| uses(lowered, node, &memory)).collect();
    let mut request = request(graph, sharing);
    let plan = choose(&mut request, &uses, &mut nodes, room)?;
    Ok(Placed { homes: sharing.homes.clone(), parts: request.parts, state: request.state, nodes, plan })
}

/// Plans with the fastest ways, and with those that take the least memory. Where these give a smaller arena, each step that
/// does not bind it goes back to the fastest way that keeps it, or keeps it below `room`.
fn choose(
    request: &mut Request,
    uses: &[Vec<StepUse>],
    nodes: &mut [PlacedNode],
    room: usize,
) -> Result<Plan, PlanError> {
    let plan = |request: &mut Request, nodes: &[PlacedNode]| {
        request.steps = uses.iter().zip(nodes).map(|(ways, node)| ways[node.way].clone()).collect();
        Plan::new(request)
    };
    let fastest = plan(request, nodes)?;
    if fastest.arena_bytes <= room || uses.iter().all(|ways| ways.len() == 1) {
        return Ok(fastest);
    }
    let mut chosen = nodes.to_vec();
    chosen.iter_mut().zip(uses).for_each(|(node, ways)| node.way = ways.len() - 1);
    let mut best = plan(request, &chosen)?;
    if best.arena_bytes >= fastest.arena_bytes {
        return Ok(fastest);
    }
    let arena_bytes = best.arena_bytes.max(room);
    let mut roomy = chosen.clone();
    let has_room = |step: usize| fastest.live_bytes(&request.parts, step) <= arena_bytes;
    roomy.iter_mut().enumerate().filter(|(step, _)| has_room(*step)).for_each(|(_, node)| node.way = 0);
    let mut keep = |with: Vec<PlacedNode>, chosen: &mut Vec<PlacedNode>| -> Result<bool, PlanError> {
        let found = plan(request, &with)?;
        let kept = found.arena_bytes <= arena_bytes;
        if kept {
            (best, *chosen) = (found, with);
        }
        Ok(kept)
    };
    // All at once that have room without sharing, then one by one.
    keep(roomy, &mut chosen)?;
    for step in 0..chosen.len() {
        for way in 0..chosen[step].way {
            let mut with = chosen.clone();
            with[step].way = way;
            if keep(with, &mut chosen)? {
                break;
            }
        }
    }
    nodes.clone_from_slice(&chosen);
    Ok(best)
}

/// The nodes that have steps to run, by their fastest ways.
fn nodes(lowered: &Lowered, idle: &[bool]) -> Vec<PlacedNode> {
    let mut nodes: Vec<PlacedNode> = Vec::new();
    let runs = |(index, step): &(usize, &LoweredStep)| !idle[*index] || step.run.is_some_and(|run| !run.alone);
    for (index, step) in lowered.steps.iter().enumerate().filter(runs) {
        match nodes.last_mut() {
            Some(last) if last.node == step.node => last.steps.push(index),
            _ => nodes.push(PlacedNode { node: step.node, steps: vec![index], way: 0 }),
        }
    }
    nodes
}

/// What the planner must know of the graph, without steps.
fn request(graph: &Graph, sharing: &Sharing) -> Request {
    let mut request = Request { tensors: graph.tensors.iter().map(Tensor::bytes).collect(), ..Request::default() };
    request.parts.clone_from(&sharing.parts);
    request.inputs = graph.inputs.iter().map(|id| id.0).collect();
    for id in &graph.outputs {
        // A constant that the caller reads is state that nobody writes.
        let root = sharing.homes[id.0].root;
        let list = if graph[root].constant.is_some() { &mut request.state } else { &mut request.outputs };
        if !list.contains(&root.0) {
            list.push(root.0);
        }
    }
    request.state.extend(graph.states.iter().map(|state| state.tensor.0));
    request
}

/// Where the tensors of a graph lie.
struct Memory<'a> {
    graph: &'a Graph,
    homes: &'a [Home],
}

impl Memory<'_> {
    /// The tensor of the plan in which `id` lies.
    fn in_arena(&self, id: TensorId) -> Option<usize> {
        let root = self.homes[id.0].root;
        self.graph[root].constant.is_none().then_some(root.0)
    }

    /// Whether `id` is all of the tensor in which it lies.
    fn is_whole(&self, id: TensorId) -> bool {
        self.graph[id].bytes() == self.graph[self.homes[id.0].root].bytes()
    }
}

/// What each way of a node uses. A node of several steps has one way: its steps write one tensor together.
fn uses(lowered: &Lowered, node: &PlacedNode, memory: &Memory<'_>) -> Vec<StepUse> {
    match node.steps.as_slice() {
        &[step] => lowered.steps[step].ways.iter().map(|way| step_use(&[way], memory)).collect(),
        steps => vec![step_use(&steps.iter().map(|&step| &lowered.steps[step].ways[0]).collect::<Vec<_>>(), memory)],
    }
}

fn step_use(steps: &[&Way], memory: &Memory<'_>) -> StepUse {
    let mut used = StepUse::default();
    for step in steps {
        let mut scratch = 0;
        for (need, operand) in step.kernel.needs().iter().zip(&step.operands) {
            match *operand {
                Value::Tensor(id) => {
                    let list = if need.role == Role::Write { &mut used.writes } else { &mut used.reads };
                    if let Some(tensor) = memory.in_arena(id).filter(|tensor| !list.contains(tensor)) {
                        list.push(tensor);
                    }
                }
                Value::Scratch { bytes } => scratch += bytes.next_multiple_of(16),
                Value::Constant(_) => {}
            }
        }
        used.scratch_bytes = used.scratch_bytes.max(scratch);
    }
    // What one step writes, another step of the node may read: only across nodes do reads decide the order.
    let written = used.writes.clone();
    used.reads.retain(|tensor| !written.contains(tensor));
    if let [way] = steps {
        used.overlap = overlaps(way, &used, memory);
    }
    used
}

/// The rules by which the output of a way may lie over tensors that it reads all of.
fn overlaps(way: &Way, used: &StepUse, memory: &Memory<'_>) -> Vec<OverlapRule> {
    let mut rules = Vec::new();
    for (read, &tensor) in used.reads.iter().enumerate() {
        let kind = |(i, operand): (usize, &Value)| match *operand {
            Value::Tensor(id) if memory.in_arena(id) == Some(tensor) => {
                Some(if memory.is_whole(id) { way.kernel.overlap(i) } else { KernelOverlap::None })
            }
            _ => None,
        };
        let mut kinds = way.operands.iter().enumerate().filter_map(kind);
        // A tensor that is read as several operands may only be overwritten where each of them allows it.
        let Some(first) = kinds.next().filter(|first| kinds.all(|other| other == *first)) else { continue };
        let kind = match first {
            KernelOverlap::None => continue,
            KernelOverlap::SameOffset => Overlap::SameOffset,
            KernelOverlap::Forward { lead } => Overlap::RowsForward { lead_bytes: lead as usize },
            KernelOverlap::Backward { lead } => Overlap::RowsBackward { lead_bytes: lead as usize },
        };
        rules.push(OverlapRule { read, write: 0, kind });
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKWARD: Option<Overlap> = Some(Overlap::RowsBackward { lead_bytes: 1616 });
    const FORWARD: Option<Overlap> = Some(Overlap::RowsForward { lead_bytes: 16 });

    /// Plans a chain of tensors of so many bytes, where the slower way of step `i` lets its output lie over its input by
    /// `slower[i]`: the ways that were chosen, and the arena.
    fn chosen(sizes: &[usize], slower: &[Option<Overlap>]) -> (Vec<usize>, usize) {
        chosen_within(sizes, slower, 0)
    }

    /// As [`chosen`], with an arena of `room` bytes to spend.
    fn chosen_within(sizes: &[usize], slower: &[Option<Overlap>], room: usize) -> (Vec<usize>, usize) {
        let (inputs, outputs) = (vec![0], vec![sizes.len() - 1]);
        let mut request = Request { tensors: sizes.into(), inputs, outputs, ..Request::default() };
        let ways = |(step, over): (usize, &Option<Overlap>)| {
            let apart = StepUse { reads: vec![step], writes: vec![step + 1], ..StepUse::default() };
            let rule = |kind| OverlapRule { read: 0, write: 0, kind };
            let over = over.map(|kind| StepUse { overlap: vec![rule(kind)], ..apart.clone() });
            [Some(apart), over].into_iter().flatten().collect()
        };
        let uses: Vec<Vec<StepUse>> = slower.iter().enumerate().map(ways).collect();
        let node = |step| PlacedNode { node: step, steps: vec![step], way: 0 };
        let mut nodes: Vec<PlacedNode> = (0..uses.len()).map(node).collect();
        let plan = choose(&mut request, &uses, &mut nodes, room).expect("a plan");
        (nodes.into_iter().map(|node| node.way).collect(), plan.arena_bytes)
    }

    #[test]
    fn a_slower_way_is_taken_where_the_arena_is_smaller_for_it() {
        assert_eq!(chosen(&[1600, 3200, 16], &[BACKWARD, None]), (vec![1, 0], 3216));
        assert_eq!(chosen(&[1600, 3200, 16], &[None, None]), (vec![0, 0], 4800));
    }

    #[test]
    fn no_slower_way_is_taken_where_there_is_room() {
        let slower = [BACKWARD, FORWARD, BACKWARD, FORWARD];
        assert_eq!(chosen_within(&[1600, 3200, 1600, 3200, 1600], &slower, 4800), (vec![0; 4], 4800));
    }

    #[test]
    fn no_slower_way_is_taken_where_another_step_needs_as_much() {
        assert_eq!(chosen(&[1600, 3200, 4800], &[BACKWARD, None]), (vec![0, 0], 8000));
        assert_eq!(chosen(&[4800, 4800, 1600, 3200], &[None, None, BACKWARD]), (vec![0, 0, 0], 9600));
    }

    #[test]
    fn steps_that_bind_nothing_stay_fast() {
        let slower = [BACKWARD, FORWARD, BACKWARD, FORWARD];
        assert_eq!(chosen(&[1600, 3200, 1600, 3200, 1600], &slower), (vec![1; 4], 3216));
        assert_eq!(chosen(&[160, 320, 1600, 3200, 16], &slower), (vec![0, 0, 1, 0], 3216));
    }
}
