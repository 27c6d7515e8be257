//! Which way each step takes, and where the tensors lie: the graph's memory as the planner's request.
//!
//! A kernel may have slower ways that take less memory, such as rows from the last to the first, so that a wider output lies
//! over its input. A step takes one of them only where the arena would be larger otherwise.

use std::collections::HashMap;
use std::ops::Range;

use rasbora_device::ops::{Overlap as KernelOverlap, Role};

use crate::graph::{Graph, Tensor, TensorId};
use crate::lower::{Lowered, LoweredStep, Value, Way};
use crate::plan::{Overlap, OverlapRule, Plan, PlanError, Request, Slot, StepUse};
use crate::program::ProgramError;

/// Where everything lies, and the ways that the steps take.
#[derive(Debug)]
pub struct Placed {
    /// For each tensor the one whose memory it shares.
    pub roots: Vec<TensorId>,
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
    /// Its steps, in [`Lowered::steps`].
    pub steps: Range<usize>,
    /// The way that they take, in [`LoweredStep::ways`].
    pub way: usize,
}

impl Placed {
    /// Where `tensor` lies.
    pub fn slot(&self, tensor: TensorId) -> Option<Slot> {
        self.plan.slots[self.roots[tensor.0].0]
    }
}

/// Chooses ways with which the arena is as small as can be, the fastest of those.
///
/// # Errors
/// Where a state cannot be settled or the memory not be laid out.
pub fn place(graph: &Graph, lowered: &Lowered) -> Result<Placed, ProgramError> {
    let roots = roots(graph)?;
    let mut nodes = nodes(lowered);
    let in_arena = |id: TensorId| graph[roots[id.0]].constant.is_none().then_some(roots[id.0].0);
    let uses: Vec<Vec<StepUse>> =
        nodes.iter().map(|node| uses(&lowered.steps[node.steps.clone()], &in_arena)).collect();
    let mut request = request(graph, &roots);
    let plan = choose(&mut request, &uses, &mut nodes)?;
    Ok(Placed { roots, state: request.state, nodes, plan })
}

/// Plans with the fastest ways, and with those that take the least memory. Where these give a smaller arena, each step that
/// does not bind it goes back to the fastest way that keeps it.
fn choose(request: &mut Request, uses: &[Vec<StepUse>], nodes: &mut [PlacedNode]) -> Result<Plan, PlanError> {
    let mut plan = |nodes: &[PlacedNode]| {
        request.steps = uses.iter().zip(nodes).map(|(ways, node)| ways[node.way].clone()).collect();
        Plan::new(request)
    };
    let fastest = plan(nodes)?;
    if uses.iter().all(|ways| ways.len() == 1) {
        return Ok(fastest);
    }
    let mut chosen = nodes.to_vec();
    chosen.iter_mut().zip(uses).for_each(|(node, ways)| node.way = ways.len() - 1);
    let mut best = plan(&chosen)?;
    if best.arena_bytes >= fastest.arena_bytes {
        return Ok(fastest);
    }
    let arena_bytes = best.arena_bytes;
    let mut keep = |with: Vec<PlacedNode>, chosen: &mut Vec<PlacedNode>| -> Result<bool, PlanError> {
        let found = plan(&with)?;
        let kept = found.arena_bytes <= arena_bytes;
        if kept {
            (best, *chosen) = (found, with);
        }
        Ok(kept)
    };
    // All at once that have room without sharing, then one by one.
    let mut roomy = chosen.clone();
    let has_room = |step: usize| fastest.live_bytes(step) <= arena_bytes;
    roomy.iter_mut().enumerate().filter(|(step, _)| has_room(*step)).for_each(|(_, node)| node.way = 0);
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

/// For each tensor the one whose memory it shares: that of what it views, and of the state that it becomes.
fn roots(graph: &Graph) -> Result<Vec<TensorId>, ProgramError> {
    let mut roots = graph.roots();
    if let Some((state, _)) = graph.states.iter().zip(graph.settled(&roots)).find(|(_, settled)| !settled) {
        return Err(ProgramError::Unsettled { tensor: graph[state.tensor].name.clone() });
    }
    let becomes: HashMap<TensorId, TensorId> = graph.states.iter().map(|state| (state.next, state.tensor)).collect();
    for root in &mut roots {
        *root = becomes.get(root).copied().unwrap_or(*root);
    }
    Ok(roots)
}

/// The nodes that have steps, by their fastest ways.
fn nodes(lowered: &Lowered) -> Vec<PlacedNode> {
    let mut start = 0;
    let of_chunk = |chunk: &[LoweredStep]| {
        let steps = start..start + chunk.len();
        start = steps.end;
        PlacedNode { node: chunk[0].node, steps, way: 0 }
    };
    lowered.steps.chunk_by(|a, b| a.node == b.node).map(of_chunk).collect()
}

/// What the planner must know of the graph, without steps.
fn request(graph: &Graph, roots: &[TensorId]) -> Request {
    let mut request = Request { tensors: graph.tensors.iter().map(Tensor::bytes).collect(), ..Request::default() };
    request.inputs = graph.inputs.iter().map(|id| id.0).collect();
    for id in &graph.outputs {
        // A constant that the caller reads is state that nobody writes.
        let root = roots[id.0];
        let list = if graph[root].constant.is_some() { &mut request.state } else { &mut request.outputs };
        if !list.contains(&root.0) {
            list.push(root.0);
        }
    }
    request.state.extend(graph.states.iter().map(|state| state.tensor.0));
    request
}

/// What each way of a node uses. A node of several steps has one way: its steps write one tensor together.
fn uses(steps: &[LoweredStep], in_arena: &impl Fn(TensorId) -> Option<usize>) -> Vec<StepUse> {
    match steps {
        [step] => step.ways.iter().map(|way| step_use(&[way], in_arena)).collect(),
        steps => vec![step_use(&steps.iter().map(|step| &step.ways[0]).collect::<Vec<_>>(), in_arena)],
    }
}

fn step_use(steps: &[&Way], in_arena: &impl Fn(TensorId) -> Option<usize>) -> StepUse {
    let mut used = StepUse::default();
    for step in steps {
        let mut scratch = 0;
        for (need, operand) in step.kernel.needs().iter().zip(&step.operands) {
            match *operand {
                Value::Tensor(id) => {
                    let list = if need.role == Role::Write { &mut used.writes } else { &mut used.reads };
                    if let Some(tensor) = in_arena(id).filter(|tensor| !list.contains(tensor)) {
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
        used.overlap = overlaps(way, &used, in_arena);
    }
    used
}

fn overlaps(way: &Way, used: &StepUse, in_arena: &impl Fn(TensorId) -> Option<usize>) -> Vec<OverlapRule> {
    let mut rules = Vec::new();
    for (read, &tensor) in used.reads.iter().enumerate() {
        let of_tensor = |i: &usize| matches!(way.operands[*i], Value::Tensor(id) if in_arena(id) == Some(tensor));
        let mut kinds = (0..way.operands.len()).filter(of_tensor).map(|i| way.kernel.overlap(i));
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
        let (inputs, outputs) = (vec![0], vec![sizes.len() - 1]);
        let mut request = Request { tensors: sizes.into(), inputs, outputs, ..Request::default() };
        let ways = |(step, over): (usize, &Option<Overlap>)| {
            let apart = StepUse { reads: vec![step], writes: vec![step + 1], ..StepUse::default() };
            let rule = |kind| OverlapRule { read: 0, write: 0, kind };
            let over = over.map(|kind| StepUse { overlap: vec![rule(kind)], ..apart.clone() });
            [Some(apart), over].into_iter().flatten().collect()
        };
        let uses: Vec<Vec<StepUse>> = slower.iter().enumerate().map(ways).collect();
        let node = |step| PlacedNode { node: step, steps: step..step + 1, way: 0 };
        let mut nodes: Vec<PlacedNode> = (0..uses.len()).map(node).collect();
        let plan = choose(&mut request, &uses, &mut nodes).expect("a plan");
        (nodes.into_iter().map(|node| node.way).collect(), plan.arena_bytes)
    }

    #[test]
    fn a_slower_way_is_taken_where_the_arena_is_smaller_for_it() {
        assert_eq!(chosen(&[1600, 3200, 16], &[BACKWARD, None]), (vec![1, 0], 3216));
        assert_eq!(chosen(&[1600, 3200, 16], &[None, None]), (vec![0, 0], 4800));
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
