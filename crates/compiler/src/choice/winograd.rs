//! Which convolutions are computed by Winograd's kernel, where cycles are what counts.
//!
//! Each layer takes the kernel that is expected to be the cheapest ([`cycles`](crate::cycles)) with the scratch memory that the
//! plan has left beside it. Filters that are transformed for each band cost no constants; those that are constants cost eight times the
//! bytes, so the layers that gain most a byte get them first.

use std::collections::HashMap;

use rasbora_device::ops::{Role, WinogradConv2d};

use crate::cycles::expected;
use crate::graph::Graph;
use crate::lower::{AnyKernel, Lowered};
use crate::ops::{Op, winograd};
use crate::place::{Placed, PlacedNode};
use crate::plan::ALIGN;

/// For nodes, by their index, the kernel that computes them instead of the usual one. Its zero is not known yet.
pub type Choices = HashMap<usize, WinogradConv2d>;

/// A kernel for a layer.
#[derive(Clone, Copy)]
struct Candidate {
    kernel: WinogradConv2d,
    cycles: f64,
    /// Constants that it has more than the usual kernel.
    bytes: usize,
}

/// A layer and its kernel with filters that are all transformed already.
struct Upgrade {
    node: usize,
    to: Candidate,
    /// What it takes without, and its kernel where that is Winograd's already.
    cycles: f64,
    from: Option<Candidate>,
}

impl Upgrade {
    fn bytes(&self) -> usize {
        self.to.bytes.saturating_sub(self.from.map_or(0, |from| from.bytes))
    }

    /// The kernel with as many filters that are transformed already as `bytes` more have room for, and what these take.
    fn within(&self, bytes: usize) -> Option<(WinogradConv2d, usize)> {
        if self.bytes() <= bytes {
            return Some((self.to.kernel, self.bytes()));
        }
        let kernel = self.from?.kernel;
        let each = self.bytes() / kernel.pairs().max(1) as usize;
        let pairs = bytes.checked_div(each)?;
        Some((WinogradConv2d { transformed: pairs as u32, ..kernel }, pairs * each))
    }
}

/// The kernels that are cheaper than those of `lowered`, where the arena has `arena_bytes` and constants may grow by
/// `constants_bytes`.
pub fn choices(
    graph: &Graph,
    lowered: &Lowered,
    placed: &Placed,
    arena_bytes: usize,
    constants_bytes: usize,
) -> Choices {
    let (mut choices, mut upgrades, mut left) = (Choices::new(), Vec::new(), constants_bytes);
    for (planned, PlacedNode { node: index, steps, way }) in placed.nodes.iter().enumerate() {
        let node = &graph.nodes[*index];
        let (Op::Conv2d(op), &[step]) = (&node.op, steps.as_slice()) else { continue };
        let step = &lowered.steps[step];
        let taken = step.ways[*way].kernel.as_ref();
        let inputs: Vec<_> = node.inputs.iter().map(|&id| &graph[id]).collect();
        let Some(kernel) = winograd::kernel(op, &inputs, &graph[node.outputs[0]]) else { continue };
        let Some(usual) = expected(taken) else { continue };
        let scratch = placed.plan.scratch[planned].map_or(0, |slot| slot.bytes);
        let tensors = placed.plan.live_bytes(&placed.parts, planned).saturating_sub(scratch);
        let room = arena_bytes.saturating_sub(tensors) / ALIGN * ALIGN;
        let candidate = |transformed: u32, least: f64| {
            let kernel = WinogradConv2d { transformed, ..kernel }.in_bands(room.min(1 << 24) as u32)?;
            let bytes = constant_bytes(&kernel).saturating_sub(constant_bytes(taken));
            Some(Candidate { kernel, cycles: expected(&kernel)?, bytes }).filter(|it| it.cycles < least)
        };
        let from = candidate(0, usual).filter(|it| it.bytes <= left);
        if let Some(Candidate { kernel, bytes, .. }) = from {
            left -= bytes;
            choices.insert(*index, kernel);
        }
        let cycles = from.map_or(usual, |from| from.cycles);
        upgrades.extend(candidate(kernel.pairs(), cycles).map(|to| Upgrade { node: *index, to, cycles, from }));
    }
    let a_byte = |upgrade: &Upgrade| (upgrade.cycles - upgrade.to.cycles) / upgrade.bytes().max(1) as f64;
    upgrades.sort_by(|a, b| a_byte(b).total_cmp(&a_byte(a)));
    for upgrade in upgrades {
        if let Some((kernel, bytes)) = upgrade.within(left) {
            left -= bytes;
            choices.insert(upgrade.node, kernel);
        }
    }
    choices
}

/// Bytes of the constants that a kernel reads.
fn constant_bytes(kernel: &dyn AnyKernel) -> usize {
    kernel.needs().iter().filter(|need| need.role == Role::Constant).map(|need| need.bytes() as usize).sum()
}
