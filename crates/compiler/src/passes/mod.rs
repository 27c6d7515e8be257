//! Passes: each rewrites a graph to one that computes the same with less.
//!
//! A pass is one file and one function, with its rule as a formula at the top. It takes a graph that
//! [`verify`](crate::graph::verify::verify) accepts and leaves one, keeps the names, types and number of the network's
//! inputs and outputs, and runs until its rule fits nowhere. What it no longer mentions, `remove_dead` drops.

mod fold_constants;
mod fold_zero_points;
mod remove_dead;

pub use fold_constants::fold_constants;
pub use fold_zero_points::fold_zero_points;
pub use remove_dead::remove_dead;

/// Whether a pass changed the graph.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub struct Changed(pub bool);
