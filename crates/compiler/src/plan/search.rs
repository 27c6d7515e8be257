//! Finds the smallest arena for a given order of the steps, or proves that there is no smaller one.
//!
//! Branch and bound over the pairs of blocks: each pair chooses one of its allowed ways (above, below, same offset),
//! and each way is a linear constraint `x_i ≥ x_j + c`. The least solution of the chosen constraints gives lower
//! limits, the height to beat gives upper limits, and a way that fits between no limits any more is dropped. Only pairs
//! that the least solution violates are branched on.

use super::layout::{Gap, Layout};
use super::problem::Units;

/// Looks at pairs that one search may take: a fraction of a second, and the same number on all machines.
const WORK: usize = 20_000_000;
/// The same for more than [`FEW_BLOCKS`], where a search that does not end soon hardly ever ends.
const WORK_ON_MANY: usize = 3_000_000;
const FEW_BLOCKS: usize = 50;
/// With more pairs than this, no search in that time comes far.
const MOST_PAIRS: usize = 2_000;

const ABOVE: u8 = 1;
const BELOW: u8 = 2;
const SAME: u8 = 4;

/// What a search found.
#[derive(Debug)]
pub(super) struct Found {
    /// Offsets below the height to beat, if any.
    pub offsets: Option<Vec<Units>>,
    /// Whether nothing smaller exists.
    pub exact: bool,
}

struct Pair {
    one: usize,
    other: usize,
    gap: Gap,
}

#[derive(Clone)]
struct Node {
    low: Vec<Units>,
    high: Vec<Units>,
    ways: Vec<u8>,
}

struct Searcher<'a> {
    layout: &'a Layout,
    pairs: Vec<Pair>,
    /// The height that a solution must not exceed.
    cap: Units,
    floor: Units,
    work: usize,
    best: Option<Vec<Units>>,
}

/// Why a branch of the search ended.
enum End {
    /// Everything below was looked at.
    Exhausted,
    /// The floor is reached, or there is no work left.
    Stop,
}

/// Looks for offsets that end below `height`; nothing can end below `floor`.
pub(super) fn search(layout: &Layout, height: Units, floor: Units) -> Found {
    if height <= floor {
        return Found { offsets: None, exact: true };
    }
    let mut pairs = vec![];
    for (one, near) in layout.near.iter().enumerate() {
        let open = near.iter().filter(|(other, gap)| *other < one && gap.at_least > gap.at_most + 1);
        pairs.extend(open.map(|&(other, gap)| Pair { one, other, gap }));
    }
    if pairs.len() > MOST_PAIRS {
        return Found { offsets: None, exact: false };
    }
    let work = if layout.blocks.len() <= FEW_BLOCKS { WORK } else { WORK_ON_MANY };
    let mut searcher = Searcher { layout, pairs, cap: floor, floor, work: work / 2, best: None };
    // Most often the floor can be reached, and aiming at it cuts the most; so that first.
    searcher.run();
    if searcher.best.is_none() && height - 1 > floor {
        searcher.cap = height - 1;
        searcher.work += work / 2;
        searcher.run();
    }
    let reached = searcher.best.as_ref().is_some_and(|b| layout.height(b) <= floor);
    Found { exact: reached || searcher.work > 0, offsets: searcher.best }
}

impl Searcher<'_> {
    fn run(&mut self) {
        let blocks = self.layout.blocks.len();
        let ways = |gap: &Gap| ABOVE | BELOW | if gap.same { SAME } else { 0 };
        let root = Node {
            low: vec![self.layout.base; blocks],
            high: vec![Units::MAX; blocks],
            ways: self.pairs.iter().map(|p| ways(&p.gap)).collect(),
        };
        self.explore(root);
    }

    fn explore(&mut self, mut node: Node) -> End {
        if !self.propagate(&mut node) {
            return if self.work == 0 { End::Stop } else { End::Exhausted };
        }
        let Some(index) = self.violated(&node) else {
            let height = self.layout.height(&node.low);
            self.best = Some(node.low);
            self.cap = height - 1;
            return if height <= self.floor { End::Stop } else { End::Exhausted };
        };
        for way in self.preference(index, &node) {
            if node.ways[index] & way == 0 {
                continue;
            }
            let mut child = node.clone();
            child.ways[index] = way;
            if let End::Stop = self.explore(child) {
                return End::Stop;
            }
        }
        End::Exhausted
    }

    /// Tightens all limits until nothing changes; false where no solution is left, or no work.
    fn propagate(&mut self, node: &mut Node) -> bool {
        for (high, block) in node.high.iter_mut().zip(&self.layout.blocks) {
            *high = (*high).min(self.cap - block.size);
        }
        if node.low.iter().zip(&node.high).any(|(low, high)| low > high) {
            return false;
        }
        loop {
            if self.work < self.pairs.len() {
                self.work = 0;
                return false;
            }
            self.work -= self.pairs.len();
            let mut changed = false;
            for (pair, ways) in self.pairs.iter().zip(&mut node.ways) {
                if !tighten(pair, ways, &mut node.low, &mut node.high, &mut changed) {
                    return false;
                }
            }
            if !changed {
                return true;
            }
        }
    }

    /// The violated pair with the least freedom.
    fn violated(&self, node: &Node) -> Option<usize> {
        let freedom = |i: usize| node.high[i] - node.low[i];
        let broken = self.pairs.iter().enumerate().filter(|(_, p)| !p.gap.allows(node.low[p.one] - node.low[p.other]));
        broken.min_by_key(|(_, p)| freedom(p.one) + freedom(p.other)).map(|(index, _)| index)
    }

    /// Sharing first, then the way that pushes its block less.
    fn preference(&self, index: usize, node: &Node) -> [u8; 3] {
        let Pair { one, other, gap } = &self.pairs[index];
        let push_one = node.low[*other] + gap.at_least - node.low[*one];
        let push_other = node.low[*one] - gap.at_most - node.low[*other];
        if push_one <= push_other { [SAME, ABOVE, BELOW] } else { [SAME, BELOW, ABOVE] }
    }
}

/// Drops the ways of one pair that do not fit, and applies the one that is left; false where none is.
fn tighten(pair: &Pair, ways: &mut u8, low: &mut [Units], high: &mut [Units], changed: &mut bool) -> bool {
    let &Pair { one, other, gap } = pair;
    if low[other] + gap.at_least > high[one] {
        *ways &= !ABOVE;
    }
    if low[one] - gap.at_most > high[other] {
        *ways &= !BELOW;
    }
    if low[one].max(low[other]) > high[one].min(high[other]) {
        *ways &= !SAME;
    }
    let mut at_least = |upper: usize, lower: usize, by: Units| {
        if low[lower] + by > low[upper] {
            low[upper] = low[lower] + by;
            *changed = true;
        }
        if high[upper] - by < high[lower] {
            high[lower] = high[upper] - by;
            *changed = true;
        }
        low[upper] <= high[upper] && low[lower] <= high[lower]
    };
    match *ways {
        0 => false,
        ABOVE => at_least(one, other, gap.at_least),
        BELOW => at_least(other, one, -gap.at_most),
        SAME => at_least(one, other, 0) && at_least(other, one, 0),
        _ => true,
    }
}
