//! Which kernel computes each layer, of those that give the same bytes: the one that is expected to be the fastest
//! ([`cycles`](crate::cycles)).
//!
//! A kernel that is linked takes code, once for all layers. A set of kernels `S` is best where
//! `Σ min(cycles of a layer by a kernel of S) + price · Σ code(S)` is least; the price of a byte is in [`Optimise`].

mod winograd;

use rasbora_device::ops::{
    FullyConnected, Kernel, Overlap, PairedConv2d, PairedFullyConnected, PlaneConv2d, PlaneDepthwiseConv2d,
    QuadDepthwiseConv2d,
};

pub use winograd::{Choices, choices};

use crate::cycles::expected;
use crate::lower::{LoweredStep, Value, Way};
use crate::optimise::Optimise;

/// A way that takes more than so many times the cycles of the fastest is none, however little memory it takes.
const SLOWEST: f64 = 3.0;

/// Bytes of code that a kernel takes on Armv7E-M with what it calls, read off the symbols of linked programs. What several kernels
/// share is counted for each.
fn code_bytes(opcode: u16) -> f64 {
    match opcode {
        PairedConv2d::OPCODE => 8_300.0,
        PairedFullyConnected::OPCODE => 1_450.0,
        PlaneConv2d::OPCODE => 3_500.0,
        PlaneDepthwiseConv2d::OPCODE => 4_000.0,
        QuadDepthwiseConv2d::OPCODE => 3_150.0,
        FullyConnected::OPCODE => 2_950.0,
        // The portable convolutions.
        _ => 5_500.0,
    }
}

/// Of the ways of each step those by kernels that are worth their code, from the fastest to the one that takes the least memory.
pub fn choose(steps: &mut [LoweredStep], optimise: Optimise) {
    let linked = worth_linking(steps, optimise);
    for step in steps.iter_mut().filter(|step| cycles(step).is_some()) {
        step.ways.retain(|way| linked.contains(&way.kernel.opcode()));
        sort(&mut step.ways);
    }
}

/// Leaves each step one way: that by the kernel named `kernel`, or the fastest where it has none.
pub fn prefer(steps: &mut [LoweredStep], kernel: &str) {
    for step in steps.iter_mut().filter(|step| cycles(step).is_some()) {
        let named = step.ways.iter().position(|way| way.kernel.name() == kernel);
        match named {
            Some(way) => step.ways.swap(0, way),
            None => sort(&mut step.ways),
        }
        step.ways.truncate(1);
    }
}

/// The opcodes of the best set of kernels.
fn worth_linking(steps: &[LoweredStep], optimise: Optimise) -> Vec<u16> {
    let layers: Vec<Vec<(u16, f64)>> = steps.iter().filter_map(cycles).collect();
    let (mut linked, mut kernels) = (Vec::new(), Vec::new());
    for layer in &layers {
        // Where there is no choice, the code is taken anyway.
        let list = if layer.iter().all(|(kernel, _)| *kernel == layer[0].0) { &mut linked } else { &mut kernels };
        list.extend(layer.iter().map(|(kernel, _)| *kernel));
    }
    for list in [&mut linked, &mut kernels] {
        list.sort_unstable();
        list.dedup();
    }
    kernels.retain(|kernel| !linked.contains(kernel));
    let with = |set: u32| {
        let chosen = kernels.iter().enumerate().filter(move |(index, _)| set >> index & 1 == 1);
        chosen.map(|(_, kernel)| *kernel).chain(linked.iter().copied()).collect::<Vec<u16>>()
    };
    let fastest = |layer: &[(u16, f64)], set: &[u16]| {
        let allowed = layer.iter().filter(|(kernel, _)| set.contains(kernel));
        allowed.map(|(_, cycles)| *cycles).fold(f64::INFINITY, f64::min)
    };
    let total = |set: &[u16]| layers.iter().map(|layer| fastest(layer, set)).sum::<f64>();
    let all = with(u32::MAX);
    let price = optimise.code_price() * total(&all);
    let cost = |set: &[u16]| total(set) + price * set.iter().map(|&kernel| code_bytes(kernel)).sum::<f64>();
    // Where code costs nothing, the first is kept: a kernel that is never the fastest may take less memory.
    let sets = (0..1 << kernels.len()).rev().map(with);
    sets.min_by(|a, b| cost(a).total_cmp(&cost(b))).unwrap_or(all)
}

/// For each way of a step its kernel and what it takes; `None` where it is not known of all.
fn cycles(step: &LoweredStep) -> Option<Vec<(u16, f64)>> {
    let of_way = |way: &Way| Some((way.kernel.opcode(), expected(way.kernel.as_ref())?));
    step.ways.iter().map(of_way).collect()
}

/// The ways from the fastest on, without those that take no less memory than a faster one, and those that take too long.
fn sort(ways: &mut Vec<Way>) {
    let cycles = |way: &Way| expected(way.kernel.as_ref()).unwrap_or(f64::INFINITY);
    ways.sort_by(|a, b| cycles(a).total_cmp(&cycles(b)));
    let mut kept: Vec<Way> = Vec::new();
    for way in ways.drain(..) {
        let too_slow = kept.first().is_some_and(|first| cycles(&way) > SLOWEST * cycles(first));
        if !too_slow && !kept.iter().any(|faster| needs_no_more(faster, &way)) {
            kept.push(way);
        }
    }
    *ways = kept;
}

/// Whether `way` can do wherever `other` can: with no more scratch memory, and its output as close to its input.
fn needs_no_more(way: &Way, other: &Way) -> bool {
    let scratch = |way: &Way| {
        let bytes = |value: &Value| if let Value::Scratch { bytes } = *value { bytes } else { 0 };
        way.operands.iter().map(bytes).sum::<usize>()
    };
    let as_close = |read: usize| match (way.kernel.overlap(read), other.kernel.overlap(read)) {
        (_, Overlap::None) => true,
        (Overlap::Forward { lead }, Overlap::Forward { lead: other })
        | (Overlap::Backward { lead }, Overlap::Backward { lead: other }) => lead <= other,
        (one, other) => one == other,
    };
    scratch(way) <= scratch(other) && (0..way.operands.len().max(other.operands.len())).all(as_close)
}

#[cfg(test)]
mod tests {
    use crate::graph::Graph;
    use crate::graph::text::parse;
    use crate::graph::verify::verify;
    use crate::optimise::{Goal, Optimise};
    use crate::program::Program;
    use crate::target::InstructionSet;

    const SLIDING: &str = "sliding: (stride: (1, 1), dilation: (1, 1), padding: ((0, 0), (0, 0)))";
    const LAYER: &str = "activation: None, input_offset: 0";

    fn numbers(count: usize) -> String {
        let numbers: Vec<String> = (0..count).map(|i| (i * 37 % 200) as i32 - 100).map(|i| i.to_string()).collect();
        numbers.join(", ")
    }

    /// A convolution of 1×1 over `side`² cells, if there is a side, and a fully connected layer after its first cell.
    fn network(side: usize) -> Graph {
        let conv = format!(
            r#"input %0 "x" int8[1, {side}, {side}, 8] scale 0.5 zero 0
            const %1 "w" int8[8, 1, 1, 8] scale 0.01 zero 0 = [{}]
            const %2 "b" int32[8] = [{}]
            %3 "y" int8[1, {side}, {side}, 8] scale 0.5 zero 0 = Conv2d({SLIDING}, {LAYER}, padding_value: 0)(%0, %1, %2)
            %4 "c" int8[1, 1, 1, 8] scale 0.5 zero 0 = StridedSlice(begin: [0, 0, 0, 0], stride: [1, 1, 1, 1], size: [1, 1, 1, 8])(%3)"#,
            numbers(64),
            numbers(8)
        );
        let input = r#"input %0 "x" int8[1, 8] scale 0.5 zero 0"#;
        let [input, x] = if side > 0 { [conv.as_str(), "4"] } else { [input, "0"] };
        let [v, d, z] = if side > 0 { [5, 6, 7] } else { [1, 2, 3] };
        let text = format!(
            r#"graph {{
            {input}
            const %{v} "v" int8[6, 8] scale 0.01 zero 0 = [{}]
            const %{d} "d" int32[6] = [{}]
            %{z} "z" int8[1, 6] scale 0.5 zero 0 = FullyConnected({LAYER}, keep_num_dims: false)(%{x}, %{v}, %{d})
            output %{z}
            }}"#,
            numbers(48),
            numbers(6)
        );
        let graph = parse(&text, None).unwrap_or_else(|error| panic!("{error}"));
        verify(&graph).unwrap();
        graph
    }

    /// The kernel of the last layer of [`network`].
    fn kernel(side: usize, optimise: Optimise) -> &'static str {
        let program = Program::new(&network(side), Goal::new(InstructionSet::Armv7em, optimise)).unwrap();
        program.steps.last().unwrap().kernel.name()
    }

    #[test]
    fn a_layer_is_computed_by_what_is_linked_where_another_kernel_saves_less_than_its_code() {
        assert_eq!(kernel(96, Optimise::Balanced), "PairedConv2d");
        assert_eq!(kernel(96, Optimise::Speed), "PairedFullyConnected");
        assert_eq!(kernel(96, Optimise::Size), "Conv2d");
    }

    #[test]
    fn what_it_saves_counts_beside_the_other_layers() {
        assert_eq!(kernel(1, Optimise::Balanced), "PairedFullyConnected");
        assert_eq!(kernel(0, Optimise::Balanced), "PairedFullyConnected");
        assert_eq!(kernel(0, Optimise::Size), "FullyConnected");
    }
}
