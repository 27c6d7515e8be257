//! Winograd's convolution: which layers it can compute, and their constants.
//!
//! `256 · y` is exact modulo 2³², so the sums are those of [`paired`](super::paired), and so is the proof of their requantisation.
//! Nothing else can be out of range: inputs and filters fit into 16 bits whatever they are
//! ([`rasbora_device::isa::winograd`]).

use rasbora_device::isa::paired::{FINE_SHIFT, SCALE};
use rasbora_device::isa::winograd::{OFFSET, PLACES, filter_word, halves, lanes, transformed};
use rasbora_device::ops::WinogradConv2d;

use super::Conv2d;
use super::paired::{Layer, filters, fit};
use crate::graph::{DType, Tensor, bytes_of};
use crate::lower::{LowerError, Site, Value};

/// The kernel for a convolution, in bands of one group; `None` where it cannot compute such a layer.
pub fn kernel(op: &Conv2d, inputs: &[&Tensor], output: &Tensor) -> Option<WinogradConv2d> {
    let [input, weights, _] = inputs else { return None };
    let &[o, kh @ 3, kw @ 3, i] = weights.shape.as_slice() else { return None };
    let sliding = &op.sliding;
    if input.dtype != DType::I8
        || input.shape.get(3) != Some(&i)
        || o < 2
        || [sliding.stride, sliding.dilation] != [[1; 2]; 2]
    {
        return None;
    }
    let kernel = WinogradConv2d {
        window: sliding.window(&input.shape, [kh, kw], &output.shape),
        inputs: i as u32,
        outputs: o as u32,
        groups: 1,
        padding_value: op.padding_value as i8,
        transformed: 0,
        zero: 0,
    };
    rasbora_device::ops::Kernel::valid(&kernel).then_some(kernel)
}

/// Adds the step of `kernel` where its bytes are proven to be TFLite's; says whether they are.
///
/// # Errors
/// Where scales are missing or sizes out of range.
pub fn lower(op: &Conv2d, kernel: WinogradConv2d, site: &mut Site<'_>) -> Result<bool, LowerError> {
    let requantise = op.activation.requantise(site.output(0)).map_err(|reason| site.refuse(reason))?;
    let Some(weights) = site.input(1).values::<i8>() else { return Ok(false) };
    let Some(outputs) = site.fitted(&weights, requantise, numbers)? else { return Ok(false) };
    let kernel = WinogradConv2d { zero: outputs.zero, ..kernel };
    let scratch = Value::Scratch { bytes: kernel.scratch_bytes() as usize };
    let stream = bytes_of(stream(&kernel, &weights, &outputs.numbers).into_iter().map(u32::cast_signed));
    let operands = [site.read(0), site.constant(stream), scratch, site.write(0)];
    site.step(kernel, &operands).map(|()| true)
}

/// How sums become outputs: of each output bias, multiplier and correction.
struct Outputs {
    numbers: Vec<[i32; 3]>,
    zero: i32,
}

/// `None` where no proof is found or the sums leave 32 bits.
fn numbers(layer: Layer<'_>) -> Option<Outputs> {
    let filters = filters(layer)?;
    let fitted = fit(layer, &filters, &[FINE_SHIFT])?;
    let number = |(filter, chosen): (&&[i8], &super::paired::Chosen)| {
        // What the offset of the inputs adds.
        let more: i32 = filter.iter().map(|&weight| i32::from(weight)).sum::<i32>().wrapping_mul(OFFSET * SCALE as i32);
        let correction = if fitted.signed { chosen.correction } else { 0 };
        [chosen.bias.wrapping_sub(more), chosen.multiplier, correction]
    };
    Some(Outputs { numbers: filters.iter().zip(&fitted.outputs).map(number).collect(), zero: fitted.zero })
}

/// The `filters` of [`WinogradConv2d`] for weights `[o, 3, 3, i]`.
fn stream(kernel: &WinogradConv2d, weights: &[i8], numbers: &[[i32; 3]]) -> Vec<u32> {
    let (inputs, steps) = (kernel.inputs as usize, kernel.steps());
    let filter = |o: usize| weights.chunks_exact(9 * inputs).nth(o).unwrap_or_default();
    // Channels beyond the last have weights of 0.
    let weight = |o: usize, tap: usize, channel: u32| {
        let tap = filter(o).chunks_exact(inputs).nth(tap).unwrap_or_default();
        tap.get(channel as usize).copied().unwrap_or_default()
    };
    let mut words = Vec::new();
    for pair in 0..kernel.pairs() as usize {
        let first = (2 * pair).min(numbers.len().saturating_sub(2));
        let outputs = first..first + 2;
        words.extend(numbers.get(outputs.clone()).into_iter().flatten().flatten().map(|number| number.cast_unsigned()));
        if pair >= kernel.transformed as usize {
            let filters = (0..steps / 2).flat_map(|quad| outputs.clone().map(move |o| (quad, o)));
            let taps = filters.flat_map(|(quad, o)| (0..9).map(move |tap| (quad, o, tap)));
            let word = |(quad, o, tap)| [0, 1, 2, 3].map(|i| weight(o, tap, 4 * quad + i).cast_unsigned());
            words.extend(taps.map(word).map(u32::from_le_bytes));
            continue;
        }
        let mut filters = vec![0; 2 * PLACES * steps as usize];
        for (step, output) in (0..steps).flat_map(|step| (0..2).map(move |output| (step, output))) {
            let lanes = lanes(step).map(|channel| {
                let of = |y: usize, x: usize| weight(first + output, 3 * y + x, channel).into();
                transformed(std::array::from_fn(|y| std::array::from_fn(|x| of(y, x))))
            });
            let [low, high] = lanes.each_ref().map(|lane| lane.as_flattened());
            for (place, (&low, &high)) in low.iter().zip(high).enumerate() {
                if let Some(word) = filters.get_mut(filter_word(steps, place, step, output)) {
                    *word = halves([low, high]);
                }
            }
        }
        words.extend(filters);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, Node, Quantisation};
    use crate::host;
    use crate::ops::testing::tensor;
    use crate::ops::{Activation, Operation, Sliding};
    use crate::optimise::{Goal, Optimise, SPEED_CONSTANTS_BYTES, speed_arena_bytes};
    use crate::program::Program;
    use crate::target::InstructionSet;

    /// A convolution of an image, whose weights are `weight(i)` and whose output is as wide as its input.
    fn layer([size, inputs, outputs]: [usize; 3], activation: Activation, weight: impl Fn(usize) -> i8) -> Graph {
        let (mut graph, count) = (Graph::default(), outputs * 9 * inputs);
        let scaled = |shape: &[usize], dtype, scale, bytes| Tensor {
            dtype,
            quantisation: Some(Quantisation::per_tensor(scale, 0)),
            constant: Some(bytes),
            ..tensor(shape)
        };
        let input = graph.add(tensor(&[1, size, size, inputs]));
        let weights = bytes_of((0..count).map(weight)).into();
        let weights = graph.add(scaled(&[outputs, 3, 3, inputs], DType::I8, 0.002, weights));
        let bias = bytes_of((0..outputs as i32).map(|o| 1000 * o - 5000)).into();
        let bias = graph.add(scaled(&[outputs], DType::I32, 0.001, bias));
        let sliding = Sliding { padding: [[1; 2]; 2], ..Sliding::PLAIN };
        let op = Conv2d { sliding, activation, input_offset: 0, padding_value: 3 };
        let tensors = [input, weights, bias];
        let shape = op.infer(&tensors.map(|id| &graph[id])).expect("a shape").remove(0);
        let zero_point = if activation == Activation::Relu { -128 } else { 3 };
        let quantisation = Some(Quantisation::per_tensor(0.5, zero_point));
        let output = graph.add(Tensor { quantisation, ..tensor(&shape) });
        (graph.inputs, graph.outputs) = (vec![input], vec![output]);
        let (name, inputs, outputs) = ("node".into(), tensors.to_vec(), vec![output]);
        graph.nodes.push(Node { name, op: op.into(), inputs, outputs, sources: vec![], model_macs: 0 });
        graph
    }

    /// A weight in −125..=125.
    fn any(i: usize) -> i8 {
        ((i * 89 % 251) as i32 - 125) as i8
    }

    #[test]
    fn extremes_give_the_bytes_of_the_portable_kernel() {
        let extremes: [fn(usize) -> i8; 4] = [|_| -128, |_| 127, |i| if i % 2 == 0 { -127 } else { 127 }, any];
        for (number, weight) in extremes.into_iter().enumerate() {
            for activation in [Activation::None, Activation::Relu] {
                let graph = layer([48, 7, 3], activation, weight);
                let speed =
                    Program::new(&graph, Goal::new(InstructionSet::Armv7em, Optimise::Speed)).expect("a program");
                assert_eq!(speed.steps[0].kernel.name(), "WinogradConv2d", "{number}");
                let portable = Program::new(&graph, InstructionSet::Portable).expect("a program");
                for input in extremes {
                    let input = bytes_of((0..48 * 48 * 7).map(input));
                    let run = |program| host::run(program, std::slice::from_ref(&input)).expect("a run");
                    assert_eq!(run(&speed), run(&portable), "weights {number}, {activation:?}");
                }
            }
        }
    }

    #[test]
    fn speed_adds_what_it_may() {
        for sizes in [[32, 16, 16], [8, 64, 64], [8, 142, 160]] {
            let graph = layer(sizes, Activation::Relu, any);
            let of = |optimise| Program::new(&graph, Goal::new(InstructionSet::Armv7em, optimise)).expect("a program");
            let [balanced, speed] = [Optimise::Balanced, Optimise::Speed].map(of);
            assert!(speed.arena_bytes <= speed_arena_bytes(balanced.arena_bytes), "{sizes:?}");
            assert!(speed.constants.len() <= balanced.constants.len() + SPEED_CONSTANTS_BYTES, "{sizes:?}");
        }
    }

    #[test]
    fn memory_for_scratch_may_be_all_that_counts() {
        let graph = layer([32, 16, 16], Activation::Relu, any);
        let of = |optimise| Program::new(&graph, Goal::new(InstructionSet::Armv7em, optimise)).expect("a program");
        assert!(of(Optimise::Ram).arena_bytes < of(Optimise::Balanced).arena_bytes);
        assert_eq!(of(Optimise::Size).isa, InstructionSet::Portable);
    }
}
