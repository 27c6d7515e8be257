//! A plan as text, for the command line.
//!
//! One line a slot in the order of first use, with a bar over the steps where these are few enough to fit a terminal.

use super::{Plan, Slot, TensorIndex};
use std::fmt::Write;

/// Steps that a bar has room for.
const WIDEST_BAR: usize = 60;

impl Plan {
    /// Draws the plan as a table; `name` says what to call a tensor. Bytes and offsets are static: they follow from the
    /// model alone.
    pub fn draw(&self, name: impl Fn(TensorIndex) -> String) -> String {
        let tensors = self.slots.iter().enumerate().filter_map(|(t, slot)| slot.map(|s| (name(t), s)));
        let scratch =
            self.scratch.iter().enumerate().filter_map(|(s, slot)| slot.map(|p| (format!("scratch of step {s}"), p)));
        let mut rows: Vec<(String, Slot)> = tensors.chain(scratch).collect();
        rows.sort_by_key(|(_, slot)| (slot.first, slot.last, slot.offset));
        let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max("tensor".len());
        let mut text = self.headline();
        let _ = writeln!(text, "{:<width$} {:>9} {:>9} {:>5} {:>5}", "tensor", "offset", "bytes", "first", "last");
        for (name, slot) in &rows {
            let Slot { offset, bytes, first, last } = slot;
            let line = format!("{name:<width$} {offset:>9} {bytes:>9} {first:>5} {last:>5}  {}", self.bar(slot));
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }

    fn headline(&self) -> String {
        let order = if self.order.is_sorted() { "steps in the order of the file" } else { "steps reordered" };
        let proof = if self.exact { "no smaller arena exists for this order" } else { "a smaller arena may exist" };
        let Self { arena_bytes, bound_bytes, heuristic, .. } = self;
        format!("arena {arena_bytes} bytes, lower bound {bound_bytes}; {order}; placed by: {heuristic}; {proof}\n")
    }

    fn bar(&self, slot: &Slot) -> String {
        let steps = self.order.len();
        if steps > WIDEST_BAR {
            return String::new();
        }
        (0..steps).map(|p| if (slot.first..=slot.last).contains(&p) { '#' } else { '.' }).collect()
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.draw(|tensor| format!("t{tensor}")))
    }
}
