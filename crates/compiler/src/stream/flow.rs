//! What each op makes of tensors whose rows move with the window: an op on single rows, where there is one.
//!
//! Apart from the networks that it is used on, so that a rule is read beside its op and nowhere else.

use crate::graph::Tensor;
use crate::ops::{Binary, Concatenation, Conv2d, DepthwiseConv2d, FullyConnected, Mean, Op, Pad, Pool2d};
use crate::ops::{Reshape, Sliding, StridedSlice, Transpose};

/// How the rows of a tensor move with the window: row `i` of all, in run `n`, is the one row that is computed in run
/// `n − lag − distance · (rows − 1 − i)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// The axis of the rows.
    pub axis: usize,
    /// Runs between two rows.
    pub distance: usize,
    /// Runs since the last row.
    pub lag: usize,
}

/// Rows that are read: the one of `lag` runs ago and those of every `distance` runs before, `count` in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rows {
    /// How many.
    pub count: usize,
    /// Runs from one to the next.
    pub distance: usize,
    /// Runs since the last.
    pub lag: usize,
}

impl Rows {
    /// The row of this run.
    pub const NEWEST: Self = Self { count: 1, distance: 1, lag: 0 };

    /// `count` rows, the last of them this run's.
    fn last(count: usize, distance: usize) -> Self {
        if count == 1 { Self::NEWEST } else { Self { count, distance, lag: 0 } }
    }

    /// Runs since the first of them.
    pub fn oldest(&self) -> usize {
        self.lag + self.distance * (self.count - 1)
    }
}

impl Flow {
    /// The last row of all.
    pub fn last(&self) -> Rows {
        Rows { lag: self.lag, ..Rows::NEWEST }
    }

    /// The same of a tensor that may have one row alone, which has no distance to another.
    pub fn of(self, tensor: &Tensor) -> Self {
        if tensor.shape.get(self.axis) == Some(&1) { Self { distance: 1, ..self } } else { self }
    }
}

/// A tensor that a node reads.
#[derive(Clone, Copy)]
pub struct Read<'a> {
    /// As the network given has it.
    pub tensor: &'a Tensor,
    /// How it flows; none of constants and of what is whole in each run.
    pub flow: Option<Flow>,
}

impl Read<'_> {
    /// All of its rows.
    pub fn all(&self) -> Rows {
        let all = |Flow { axis, distance, lag }: Flow| Rows { count: self.tensor.shape[axis].max(1), distance, lag };
        self.flow.map_or(Rows::NEWEST, all)
    }
}

/// A node on single rows.
pub struct Made {
    /// Its op.
    pub op: Op,
    /// The rows that it reads of each input.
    pub reads: Vec<Rows>,
    /// How its outputs flow.
    pub flow: Flow,
}

/// Whether an op moves elements, or means them otherwise, and computes nothing.
pub fn moves(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshape(_)
            | Op::Transpose(_)
            | Op::StridedSlice(_)
            | Op::Concatenation(_)
            | Op::Pad(_)
            | Op::Quantise(_)
            | Op::Dequantise(_)
    )
}

/// What `op` becomes on single rows of `reads`, of which one at least flows; none where it needs all rows at once.
///
/// # Errors
/// Where it pads along time: the rows at the window's edges are then others than those between.
pub fn made(op: &Op, reads: &[Read<'_>]) -> Result<Option<Made>, String> {
    let Some((first, flow)) = reads.first().and_then(|read| Some((read.tensor, read.flow?))) else {
        return Ok(joined(op, reads));
    };
    let shape = first.shape.as_slice();
    let one = |op: Op, axis: Option<usize>| axis.map(|axis| row(op, reads, Flow { axis, ..flow }));
    let kernel = |axis: usize| reads.get(1).and_then(|weights| weights.tensor.shape.get(axis)).copied();
    Ok(match op {
        Op::Conv2d(conv) => slid(conv.sliding, flow, shape, |side| kernel(1 + side))?
            .map(|slid| slid.made(reads, |sliding| Conv2d { sliding, ..conv.clone() }.into())),
        Op::DepthwiseConv2d(conv) => slid(conv.sliding, flow, shape, |side| kernel(1 + side))?
            .map(|slid| slid.made(reads, |sliding| DepthwiseConv2d { sliding, ..conv.clone() }.into())),
        Op::Pool2d(pool) => slid(pool.sliding, flow, shape, |side| Some(pool.kernel[side]))?
            .map(|slid| slid.made(reads, |sliding| Pool2d { sliding, ..pool.clone() }.into())),
        Op::Pad(Pad { padding, .. }) if padding.get(flow.axis) != Some(&[0, 0]) => return Err(PADS.into()),
        Op::Unary(_) | Op::Quantise(_) | Op::Dequantise(_) | Op::Pad(_) => one(op.clone(), Some(flow.axis)),
        Op::Softmax(_) => one(op.clone(), Some(flow.axis).filter(|axis| axis + 1 < shape.len())),
        Op::FullyConnected(layer) => one(op.clone(), connected(layer, shape, kernel(1), flow.axis)),
        Op::Mean(Mean { axes, keep_dims }) => one(op.clone(), averaged(axes, *keep_dims, flow.axis)),
        Op::Transpose(Transpose { permutation }) => {
            one(op.clone(), permutation.iter().position(|&axis| axis == flow.axis))
        }
        Op::Reshape(Reshape { shape: to }) => reshaped(shape, to, flow.axis).map(|axis| {
            let mut to = to.clone();
            to[axis] = 1;
            row(Reshape { shape: to }.into(), reads, Flow { axis, ..flow })
        }),
        Op::StridedSlice(slice) => cut(slice, shape, flow).map(|(slice, flow)| row(slice.into(), reads, flow)),
        Op::Binary(_) | Op::Concatenation(_) => joined(op, reads),
        Op::Shift(_) | Op::Peak(_) | Op::Mfcc(_) | Op::LogMel(_) => None,
    })
}

/// Why padding is refused.
const PADS: &str =
    "pads along time, so that its rows do not move with the window; take a network without padding there";

/// A node that reads the newest row of its input.
fn row(op: Op, reads: &[Read<'_>], flow: Flow) -> Made {
    Made { op, reads: vec![Rows::NEWEST; reads.len()], flow }
}

/// A window that slides along time.
struct Slid {
    sliding: Sliding,
    rows: Rows,
    flow: Flow,
}

impl Slid {
    fn made(self, reads: &[Read<'_>], op: impl FnOnce(Sliding) -> Op) -> Made {
        let constants = reads.len() - 1;
        let reads = std::iter::once(self.rows).chain(std::iter::repeat_n(Rows::NEWEST, constants)).collect();
        Made { op: op(self.sliding), reads, flow: self.flow }
    }
}

/// A window over an image whose height or width is time: its taps are rows that are read, close together. Along the batch
/// nothing slides.
fn slid(
    mut sliding: Sliding,
    flow: Flow,
    shape: &[usize],
    taps: impl Fn(usize) -> Option<usize>,
) -> Result<Option<Slid>, String> {
    let side = match flow.axis {
        0 => return Ok(Some(Slid { sliding, rows: Rows::NEWEST, flow })),
        1 | 2 => flow.axis - 1,
        _ => return Ok(None),
    };
    if sliding.padding[side] != [0, 0] {
        return Err(PADS.into());
    }
    let (stride, dilation) = (sliding.stride[side], sliding.dilation[side]);
    let Some(count) = taps(side) else { return Ok(None) };
    let over = (shape[flow.axis] - ((count - 1) * dilation + 1)) % stride;
    let flow = Flow { distance: flow.distance * stride, lag: flow.lag + flow.distance * over, ..flow };
    let rows = Rows::last(count, flow.distance / stride * dilation);
    (sliding.stride[side], sliding.dilation[side]) = (1, 1);
    Ok(Some(Slid { sliding, rows, flow }))
}

/// The axis of time after a fully connected layer: every row of features is one of time.
fn connected(layer: &FullyConnected, shape: &[usize], inputs: Option<usize>, axis: usize) -> Option<usize> {
    let (&last, leading) = shape.split_last()?;
    if axis >= leading.len() {
        None
    } else if layer.keep_num_dims {
        Some(axis)
    } else {
        (Some(last) == inputs && leading.iter().product::<usize>() == leading[axis]).then_some(0)
    }
}

/// The axis of time after a mean over others.
fn averaged(axes: &[usize], keep_dims: bool, axis: usize) -> Option<usize> {
    let gone = (0..axis).filter(|before| !keep_dims && axes.contains(before)).count();
    (!axes.contains(&axis)).then_some(axis - gone)
}

/// The axis of time under another shape: of the same length, with as many elements before it.
fn reshaped(from: &[usize], to: &[usize], axis: usize) -> Option<usize> {
    let before = |shape: &[usize], axis: usize| shape[..axis].iter().product::<usize>();
    (0..to.len()).find(|&new| to[new] == from[axis] && before(to, new) == before(from, axis))
}

/// Some of the rows: which they are is a matter of lag and distance, and nothing of the rows themselves.
fn cut(slice: &StridedSlice, shape: &[usize], flow: Flow) -> Option<(StridedSlice, Flow)> {
    let Flow { axis, distance, lag } = flow;
    let begin = usize::try_from(slice.begin[axis]).ok()?;
    let stride = usize::try_from(slice.stride[axis]).ok().filter(|&stride| stride > 0)?;
    let last = begin + slice.size[axis].checked_sub(1)? * stride;
    let mut one = slice.clone();
    (one.begin[axis], one.stride[axis], one.size[axis]) = (0, 1, 1);
    Some((one, Flow { axis, distance: distance * stride, lag: lag + distance * (shape[axis] - 1 - last) }))
}

/// Tensors that are joined, row with row: of those that lag more, earlier rows are read. A constant must be the same for
/// each row.
fn joined(op: &Op, reads: &[Read<'_>]) -> Option<Made> {
    let rank = reads.iter().map(|read| read.tensor.shape.len()).max()?;
    let shift = |read: &Read<'_>| rank - read.tensor.shape.len();
    let flowing: Vec<(Flow, usize)> = reads
        .iter()
        .filter_map(|read| {
            let flow = read.flow?;
            Some((Flow { axis: flow.axis + shift(read), ..flow }, read.tensor.shape[flow.axis]))
        })
        .collect();
    let &(Flow { axis, distance, .. }, count) = flowing.first()?;
    let alike = flowing.iter().all(|(flow, rows)| (flow.axis, flow.distance, *rows) == (axis, distance, count));
    let constant = |read: &Read<'_>| {
        let size = axis.checked_sub(shift(read)).map_or(1, |axis| read.tensor.shape[axis]);
        read.tensor.constant.is_some() && size == 1
    };
    let fits = match op {
        Op::Binary(Binary { .. }) => reads.iter().all(|read| read.flow.is_some() || constant(read)),
        Op::Concatenation(Concatenation { axis: along }) => *along != axis && flowing.len() == reads.len(),
        _ => false,
    };
    let lag = flowing.iter().map(|(flow, _)| flow.lag).min()?;
    let earlier = |read: &Read<'_>| read.flow.map_or(Rows::NEWEST, |flow| Rows { lag: flow.lag - lag, ..Rows::NEWEST });
    (alike && fits).then(|| Made {
        op: op.clone(),
        reads: reads.iter().map(earlier).collect(),
        flow: Flow { axis, distance, lag },
    })
}
