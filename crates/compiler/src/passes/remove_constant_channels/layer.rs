//! An int8 layer with constant weights, seen as a grouped convolution.
//!
//! Convolution, depthwise convolution and fully connected layers differ in where a weight lies; ranges and folding need
//! only which channel it multiplies, and what that channel may be under its tap.

use rasbora_device::arithmetic::Requantise;
use rasbora_device::memory::Multiplier;

use super::ranges::Range;
use crate::graph::{DType, Graph, Node, Tensor, TensorId};
use crate::ops::quantised::channel_multipliers;
use crate::ops::{Activation, Op, Sliding};

/// Where a tap lies over all windows of a layer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Tap {
    /// In some window it is inside the image.
    inside: bool,
    /// In some window it is outside.
    outside: bool,
}

/// How the weights of a layer lie in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// `[outputs, taps, inputs of a group]`.
    OutputFirst,
    /// `[taps, outputs]`.
    OutputLast,
}

/// An int8 layer: `out[o] = requantise(bias[o] + Σ (x[channel] + offset) · w)` over all taps and the channels of
/// `o`'s group.
pub(super) struct Layer {
    /// The tensor that it reads.
    pub(super) input: TensorId,
    /// The tensor that it writes.
    pub(super) output: TensorId,
    /// Channels of the input.
    pub(super) inputs: usize,
    /// Channels of the output.
    pub(super) outputs: usize,
    /// Groups of channels.
    pub(super) groups: usize,
    /// How the weights lie.
    pub(super) order: Order,
    /// The biases.
    pub(super) bias: Vec<i32>,
    weights: Vec<i8>,
    taps: Vec<Tap>,
    input_offset: i32,
    padding_value: i32,
    multipliers: Vec<Multiplier>,
    requantise: Requantise,
}

/// A weight that is not 0.
pub(super) struct Term {
    /// The weight.
    weight: i64,
    /// The input channel that it multiplies.
    pub(super) channel: usize,
    tap: Tap,
}

/// What the kinds of layers have to say.
struct Attributes {
    activation: Activation,
    input_offset: i32,
    padding_value: i32,
    taps: Vec<Tap>,
    groups: usize,
    order: Order,
}

impl Layer {
    /// The layer that `node` is; `None` where it is none, is not int8, or has more channels than weights.
    pub(super) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let (&[input, weights, bias], &[output]) = (node.inputs.as_slice(), node.outputs.as_slice()) else {
            return None;
        };
        let (x, w, b, y) = (&graph[input], &graph[weights], &graph[bias], &graph[output]);
        if [x.dtype, w.dtype, b.dtype, y.dtype] != [DType::I8, DType::I8, DType::I32, DType::I8] {
            return None;
        }
        let Attributes { activation, input_offset, padding_value, taps, groups, order } = attributes(&node.op, x, w)?;
        let (inputs, outputs) = (*x.shape.last()?, *y.shape.last()?);
        let (weights, bias) = (w.values::<i8>()?, b.values::<i32>()?);
        let fits = groups > 0
            && inputs.is_multiple_of(groups)
            && outputs.is_multiple_of(groups)
            && bias.len() == outputs
            && weights.len() == outputs * taps.len() * (inputs / groups);
        let multipliers = channel_multipliers(x, w, y, outputs).ok()?;
        let requantise = activation.requantise(y).ok()?;
        fits.then_some(Self {
            input,
            output,
            inputs,
            outputs,
            groups,
            order,
            bias,
            weights,
            taps,
            input_offset,
            padding_value,
            multipliers,
            requantise,
        })
    }

    /// Whether each output reads one input channel, of several.
    pub(super) fn is_depthwise(&self) -> bool {
        self.groups == self.inputs && self.groups > 1
    }

    /// The weights of output `o` that are not 0.
    pub(super) fn terms(&self, o: usize) -> impl Iterator<Item = Term> {
        let width = self.inputs / self.groups;
        let first = o / (self.outputs / self.groups).max(1) * width;
        self.taps.iter().enumerate().flat_map(move |(at, &tap)| {
            (0..width).filter_map(move |i| {
                let index = match self.order {
                    Order::OutputFirst => (o * self.taps.len() + at) * width + i,
                    Order::OutputLast => at * self.outputs + o,
                };
                let weight = i64::from(*self.weights.get(index)?);
                (weight != 0).then_some(Term { weight, channel: first + i, tap })
            })
        })
    }

    /// What `x` is under the tap of `term`, where its channel has the range `range`.
    fn under(&self, term: &Term, range: Range) -> Range {
        let padding = Range::point(self.padding_value);
        match term.tap {
            Tap { inside: true, outside: false } => range,
            Tap { inside: true, outside: true } => range.hull(padding),
            Tap { inside: false, .. } => padding,
        }
    }

    /// What `term` adds to the sum where that is the same in every window and for every input.
    pub(super) fn constant_product(&self, term: &Term, range: Range) -> Option<i32> {
        let x = self.under(term, range).constant()?;
        Some(x.wrapping_add(self.input_offset).wrapping_mul(term.weight as i32))
    }

    /// The range of output `o`, given those of the input's channels.
    pub(super) fn range(&self, o: usize, channels: &[Range]) -> Range {
        let clamp = Range { low: self.requantise.min.into(), high: self.requantise.max.into() };
        let bias = i64::from(self.bias.get(o).copied().unwrap_or_default());
        let (mut low, mut high) = (bias, bias);
        for term in self.terms(o) {
            let x = self.under(&term, channels.get(term.channel).copied().unwrap_or(Range::FULL));
            let end = |x: i32| (i64::from(x) + i64::from(self.input_offset)) * term.weight;
            low += end(x.low).min(end(x.high));
            high += end(x.low).max(end(x.high));
        }
        let multiplier = self.multipliers.get(o).or(self.multipliers.first()).copied().unwrap_or_default();
        let Some([a, b]) = self.requantised([low, high], multiplier) else { return clamp };
        Range { low: a.min(b), high: a.max(b) }
    }

    /// The ends of a range of sums, requantised; `None` where something in between might overflow. Otherwise
    /// requantisation is monotone: it is a product and two roundings, each of which is.
    fn requantised(&self, ends: [i64; 2], multiplier: Multiplier) -> Option<[i32; 2]> {
        let shift = multiplier.shift.max(0) as u32;
        let sum = |end: i64| {
            let shifted = end.checked_mul(1i64.checked_shl(shift)?)?;
            i32::try_from(shifted).and_then(|_| i32::try_from(end)).ok()
        };
        let [low, high] = [sum(ends[0])?, sum(ends[1])?];
        let apply = |sum: i32| {
            let product = rasbora_device::arithmetic::multiply(sum, multiplier);
            product.checked_add(self.requantise.zero_point)?;
            Some(i32::from(self.requantise.apply(sum, multiplier)))
        };
        Some([apply(low)?, apply(high)?])
    }
}

fn attributes(op: &Op, input: &Tensor, weights: &Tensor) -> Option<Attributes> {
    let channels = *input.shape.last()?;
    match (op, input.shape.as_slice(), weights.shape.as_slice()) {
        (Op::Conv2d(op), &[_, h, w, c], &[_, kh, kw, i]) => Some(Attributes {
            activation: op.activation,
            input_offset: op.input_offset,
            padding_value: op.padding_value,
            taps: window_taps(op.sliding, [h, w], [kh, kw])?,
            groups: c.checked_div(i)?,
            order: Order::OutputFirst,
        }),
        (Op::DepthwiseConv2d(op), &[_, h, w, c], &[_, kh, kw, _]) => Some(Attributes {
            activation: op.activation,
            input_offset: op.input_offset,
            padding_value: op.padding_value,
            taps: window_taps(op.sliding, [h, w], [kh, kw])?,
            groups: c,
            order: Order::OutputLast,
        }),
        (Op::FullyConnected(op), _, &[_, i]) if channels > 0 && i.is_multiple_of(channels) => Some(Attributes {
            activation: op.activation,
            input_offset: op.input_offset,
            padding_value: 0,
            // Features that follow each other are the channels of one cell after the other.
            taps: vec![Tap { inside: true, outside: false }; i / channels],
            groups: 1,
            order: Order::OutputFirst,
        }),
        _ => None,
    }
}

/// Where the taps of a window of `kernel` cells lie over an image of `input` cells.
fn window_taps(sliding: Sliding, input: [usize; 2], kernel: [usize; 2]) -> Option<Vec<Tap>> {
    let output = sliding.output(input, kernel).ok()?;
    let along = |axis: usize| -> Vec<Tap> {
        (0..kernel[axis])
            .map(|tap| {
                // Cells from the start of the padding, of which the image is `start..start + input`.
                let (first, start) = (tap * sliding.dilation[axis], sliding.padding[axis][0]);
                // Windows whose tap lies before `cell`.
                let before = |cell: usize| cell.saturating_sub(first).div_ceil(sliding.stride[axis]).min(output[axis]);
                let count = before(start + input[axis]) - before(start);
                Tap { inside: count > 0, outside: count < output[axis] }
            })
            .collect()
    };
    let (rows, columns) = (along(0), along(1));
    let tap =
        |row: &Tap, column: &Tap| Tap { inside: row.inside && column.inside, outside: row.outside || column.outside };
    Some(rows.iter().flat_map(|row| columns.iter().map(move |column| tap(row, column))).collect())
}
