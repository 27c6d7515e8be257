//! `remove_constant_channels`: a channel that says nothing is removed with its weights.
//!
//! ```text
//! x[…, i] = c for every input and at every place  ⇒  bias[o] += Σ_taps w[o, tap, i] · c,  channel i goes
//! w[o, tap, i] = 0 for every o and tap            ⇒  channel i goes
//! ```
//!
//! A channel is an index of a tensor's last axis. Its values are bounded through the integer arithmetic ([`ranges`]), so
//! what is removed changes no bit of any output. A tap outside the image has the layer's padding value: a constant is
//! folded only where the channel has the same value under that tap in every window.
//!
//! Elementwise ops, poolings, depthwise convolutions and their like tie the channels of what they read to those of what
//! they write ([`manner`]): tied channels stay or go together, so a residual connection loses a channel on both sides or
//! on none. A channel stays where a channel that stays needs it ([`needs`]). Network inputs and outputs keep theirs, and
//! each tensor keeps one.
//!
//! The numbers that remain are the file's, under fewer channels: a tensor that lost some has no `source` any more.

mod layer;
mod manner;
mod needs;
mod ranges;
mod shrink;

#[cfg(test)]
mod tests;

use super::Changed;
use crate::graph::Graph;
use layer::Layer;

/// Most channels of all tensors together, so that a hostile file does not fill the memory: a larger network stays as it
/// is.
const MAX_CHANNELS: usize = 1 << 20;

/// Removes channels that are constant or that nothing reads.
pub fn remove_constant_channels(graph: &mut Graph) -> Changed {
    if graph.tensors.iter().map(ranges::channels).fold(0, usize::saturating_add) > MAX_CHANNELS {
        return Changed(false);
    }
    let mut changed = Changed(false);
    // Another round finds more only where a depthwise layer is left with one input channel, for its outputs are free then.
    while round(graph) {
        changed = Changed(true);
    }
    changed
}

fn round(graph: &mut Graph) -> bool {
    let layers: Vec<_> = graph.nodes.iter().map(|node| Layer::of(graph, node)).collect();
    let ranges = ranges::of_graph(graph, &layers);
    let kept = needs::kept(graph, &layers, &ranges);
    if let Some(kept) = &kept {
        shrink::shrink(graph, &layers, &ranges, kept);
    }
    kept.is_some()
}
