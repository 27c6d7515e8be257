//! Passes: each rewrites a graph to one that computes the same with less.
//!
//! A pass is one file and one function, with its rule as a formula at the top. It takes a graph that
//! [`verify`](crate::graph::verify::verify) accepts and leaves one, keeps the names, types and number of the network's
//! inputs and outputs, and runs until its rule fits nowhere. What it no longer mentions, `remove_dead` drops.

mod connect_single_windows;
mod fold_constants;
mod fold_zero_points;
mod fuse_activation;
mod fuse_padding;
mod pad_slices;
mod remove_constant_channels;
mod remove_dead;
mod remove_identities;
mod settle_states;

use crate::graph::{Graph, Node, Quantisation, Tensor, TensorId};
use crate::ops::Op;

pub use connect_single_windows::connect_single_windows;
pub use fold_constants::fold_constants;
pub use fold_zero_points::fold_zero_points;
pub use fuse_activation::fuse_activation;
pub use fuse_padding::fuse_padding;
pub use pad_slices::pad_slices;
pub use remove_constant_channels::remove_constant_channels;
pub use remove_dead::remove_dead;
pub use remove_identities::remove_identities;
pub use settle_states::settle_states;

/// Whether a pass changed the graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Changed(pub bool);

impl Graph {
    /// Lets every node and state that reads `from` read `to`; the caller's outputs stay.
    fn replace_reads(&mut self, from: TensorId, to: TensorId) {
        let of_nodes = self.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        let of_states = self.states.iter_mut().map(|state| &mut state.next);
        for read in of_nodes.chain(of_states).filter(|read| **read == from) {
            *read = to;
        }
    }

    /// Puts one node in the place of `second`, which reads what `first` writes, and removes `first`. The new node stands
    /// for both.
    fn fuse(&mut self, [first, second]: [usize; 2], op: Op, inputs: Vec<TensorId>) {
        let mut fused = self.nodes[first].clone();
        fused.absorb(&self.nodes[second]);
        let outputs = std::mem::take(&mut self.nodes[second].outputs);
        self.nodes[second] = Node { op, inputs, outputs, ..fused };
        self.nodes.remove(first);
    }
}

impl Node {
    /// Stands for `next`, which follows, too.
    fn absorb(&mut self, next: &Node) {
        self.name = format!("{}+{}", self.name, next.name);
        for source in &next.sources {
            if !self.sources.contains(source) {
                self.sources.push(*source);
            }
        }
        self.model_macs = self.model_macs.saturating_add(next.model_macs);
    }
}

/// Whether equal elements mean equal numbers in `a` and `b`.
fn same_meaning(a: &Tensor, b: &Tensor) -> bool {
    let bits = |quantisation: &Option<Quantisation>| {
        quantisation.as_ref().map(|Quantisation { scales, zero_points, axis }| {
            let scales: Vec<u32> = scales.iter().map(|scale| scale.to_bits()).collect();
            // The axis says nothing where there is one scale.
            let axis = if scales.len() > 1 { *axis } else { 0 };
            (scales, zero_points.clone(), axis)
        })
    };
    a.dtype == b.dtype && bits(&a.quantisation) == bits(&b.quantisation)
}
