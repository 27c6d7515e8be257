//! Decides in which order the steps run and where in the arena each tensor lies.
//!
//! Memory is what a microcontroller has least of, so the planner tries several orders and placements, searches exactly
//! where that is quick, and states a lower bound beside what it reached. All limits count work and not time: a plan is
//! the same on every machine.
//!
//! | file | does |
//! |---|---|
//! | `request` | what a planner is told |
//! | `problem` | the request in units of the alignment |
//! | `order` | orders of the steps with a low peak |
//! | `layout` | what must lie apart, and offsets by fast rules |
//! | `search` | offsets by branch and bound |
//! | `verify` | the judge of every plan; shares no code with the planners |
//! | `draw` | the plan as text |
//!
//! Lifetimes are counted in positions of the order. A network input is alive from before the first step (position 0) to
//! its last read: its memory may be used again while the network runs, so it must be written anew before each run. A
//! network output is alive from the step that writes it to the end. State is alive throughout and lies at the front of
//! the arena. A part of another tensor is given the lifetime of the whole, as its memory is the whole's.

mod draw;
mod error;
mod layout;
mod order;
mod problem;
mod request;
mod search;
#[cfg(test)]
mod tests;
mod verify;

pub use error::{Item, PlanError};
pub use request::{ALIGN, Overlap, OverlapRule, Part, Request, StepUse, TensorIndex};

use layout::{Layout, Placed};
use problem::{Direction, Problem, Units};

/// Where something lies in the arena, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Bytes from the start of the arena.
    pub offset: usize,
    /// Size in bytes, without padding.
    pub bytes: usize,
    /// The first position in the order at which it is needed.
    pub first: usize,
    /// The last position in the order at which it is needed.
    pub last: usize,
}

/// The rule that found the offsets of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heuristic {
    /// The largest first.
    Largest,
    /// The longest lifetime first.
    Longest,
    /// In the order of first use.
    FirstUsed,
    /// From the last use backwards.
    LastUsed,
    /// The largest product of size and lifetime first.
    LargestArea,
    /// What is alive at the fullest step first.
    Busiest,
    /// What came to lie at the top was moved to the front of the queue, again and again.
    Promoted,
    /// Branch and bound.
    Search,
}

impl std::fmt::Display for Heuristic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Largest => "largest first",
            Self::Longest => "longest lifetime first",
            Self::FirstUsed => "first used first",
            Self::LastUsed => "last used first",
            Self::LargestArea => "largest area first",
            Self::Busiest => "fullest step first",
            Self::Promoted => "promoting what lies at the top",
            Self::Search => "branch and bound",
        })
    }
}

/// The order of the steps and a place in the arena for everything that they need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Step indices in the order in which they run.
    pub order: Vec<usize>,
    /// A slot for each tensor; none for a tensor that nothing uses.
    pub slots: Vec<Option<Slot>>,
    /// A slot for the scratch memory of each step (by step index, not position).
    pub scratch: Vec<Option<Slot>>,
    /// Size of the arena, scratch included, a multiple of the alignment.
    pub arena_bytes: usize,
    /// No arena for this order is smaller: the most that must be there at once, with all that overlaps can save taken
    /// off.
    pub bound_bytes: usize,
    /// Which rule found the offsets.
    pub heuristic: Heuristic,
    /// Whether it is proven that this order has no smaller arena.
    pub exact: bool,
}

impl Plan {
    /// Plans a network.
    ///
    /// The order of the file is kept unless another one gives a smaller arena. The plan has passed [`Plan::verify`].
    ///
    /// # Errors
    /// If the request contradicts itself, its steps wait for each other or its sizes do not fit the address space.
    pub fn new(request: &Request) -> Result<Self, PlanError> {
        let problem = Problem::new(request)?;
        let file = order::file_order(&problem)?;
        let file_floor = order::peak(&problem, &file);
        let other = order::better(&problem, &file).map(|order| {
            let floor = order::peak(&problem, &order);
            Attempt::new(&problem, order, floor)
        });
        let attempt = match other {
            Some(other) if other.placed.height < file_floor => other,
            other => {
                let kept = Attempt::new(&problem, file, file_floor);
                other.filter(|o| o.placed.height < kept.placed.height).unwrap_or(kept)
            }
        };
        let plan = attempt.into_plan(&problem, request)?;
        plan.verify(request)?;
        Ok(plan)
    }

    /// Bytes of all that is needed while `step` runs, its scratch memory included, as if nothing but `parts` of the request
    /// shared memory.
    pub fn live_bytes(&self, parts: &[Part], step: usize) -> usize {
        let Some(at) = self.order.iter().position(|&other| other == step) else { return 0 };
        let mut slots = self.slots.clone();
        parts.iter().for_each(|part| slots[part.tensor] = None);
        let slots = slots.iter().chain(&self.scratch).flatten();
        slots.filter(|slot| (slot.first..=slot.last).contains(&at)).map(|slot| slot.bytes).sum()
    }
}

/// The best placement for one order.
struct Attempt {
    order: Vec<usize>,
    layout: Layout,
    placed: Placed,
    floor: Units,
    exact: bool,
}

impl Attempt {
    fn new(problem: &Problem, order: Vec<usize>, floor: Units) -> Self {
        let forward = Self::towards(problem, &order, floor, Direction::Forward);
        if forward.placed.height > floor && forward.layout.restricted {
            let backward = Self::towards(problem, &order, floor, Direction::Backward);
            if backward.placed.height < forward.placed.height {
                return backward;
            }
        }
        forward
    }

    /// Places with this direction preferred where the overlaps of a step could ask for both.
    fn towards(problem: &Problem, order: &[usize], floor: Units, direction: Direction) -> Self {
        let layout = Layout::new(problem, order, direction);
        let mut placed = layout::place(&layout, floor);
        let found = search::search(&layout, placed.height, floor);
        if let Some(offsets) = found.offsets {
            placed = Placed { height: layout.height(&offsets), offsets, heuristic: Heuristic::Search };
        }
        let exact = placed.height == floor || (found.exact && !layout.restricted);
        Self { order: order.to_vec(), layout, placed, floor, exact }
    }

    fn into_plan(self, problem: &Problem, request: &Request) -> Result<Plan, PlanError> {
        let bytes = |units: Units| {
            let units = usize::try_from(units).ok();
            units.and_then(|u| u.checked_mul(request.align)).ok_or(PlanError::TooLarge { bytes: usize::MAX })
        };
        let lives = problem.lifetimes(&self.order);
        let slot = |bytes, (first, last)| Slot { offset: 0, bytes, first, last };
        let mut slots: Vec<_> =
            lives.into_iter().zip(&request.tensors).map(|(life, &bytes)| life.map(|l| slot(bytes, l))).collect();
        let mut scratch = vec![None; request.steps.len()];
        for (position, &step) in self.order.iter().enumerate() {
            let needed = request.steps[step].scratch_bytes;
            scratch[step] = (needed > 0).then(|| slot(needed, (position, position)));
        }
        let mut next = 0;
        for &tensor in &problem.state {
            if let Some(slot) = &mut slots[tensor] {
                slot.offset = bytes(next)?;
            }
            next += problem.sizes[tensor];
        }
        for (block, &offset) in self.layout.blocks.iter().zip(&self.placed.offsets) {
            let slot = match block.item {
                Item::Tensor(tensor) => &mut slots[tensor],
                Item::Scratch(step) => &mut scratch[step],
            };
            if let Some(slot) = slot {
                slot.offset = bytes(offset)?;
            }
        }
        for (part, whole, offset) in request.places() {
            let bytes = request.tensors[part];
            slots[part] = slots[whole].map(|slot| Slot { offset: slot.offset + offset, bytes, ..slot });
        }
        Ok(Plan {
            order: self.order,
            slots,
            scratch,
            arena_bytes: bytes(self.placed.height)?,
            bound_bytes: bytes(self.floor)?,
            heuristic: self.placed.heuristic,
            exact: self.exact,
        })
    }
}
