//! Which tensors lie in the memory of others, so that no step need copy them: views, slices, and what is joined or padded.
//!
//! Lowering gives every slice a step that copies it, and every tensor that is joined to others. Where the bytes of a slice
//! follow each other in the tensor that it is cut from, they can be read there; where those of a tensor follow each other
//! in what it is joined to, they can be written there at once. Whether that makes the arena smaller or larger is for the
//! plan to say.

use std::collections::HashMap;

use crate::graph::{Graph, TensorId};
use crate::lower::{Lowered, LoweredStep, Run, Value};
use crate::plan::Part;
use crate::program::ProgramError;

/// Where a tensor lies in the memory of another, or of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Whose memory it is.
    pub root: TensorId,
    /// The tensor's first byte in it.
    pub offset: usize,
}

/// Who lies where, and which steps are not needed for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// For each tensor where it lies.
    pub homes: Vec<Home>,
    /// What is written where it is joined to others; the joined tensors have memory of their own.
    pub parts: Vec<Part>,
    /// For each step, in [`Lowered::steps`], whether what it copies lies where it belongs: nothing is left to do for it, or to
    /// fill what is around.
    pub idle: Vec<bool>,
    /// For each tensor whether its memory is read by the caller.
    returned: Vec<bool>,
    /// For each tensor whether its memory outlives a run, or is constant.
    lasting: Vec<bool>,
    /// For each tensor whether it is in [`Self::parts`] or an input of the network.
    bound: Vec<bool>,
    /// For each tensor a number of bytes whose multiple its address must be, for the kernels that use it or what lies in it.
    align: Vec<usize>,
}

impl Sharing {
    /// Views share the memory of what they view, and what a state becomes that of the state.
    ///
    /// # Errors
    /// Where a state is not settled.
    pub fn of_views(graph: &Graph, lowered: &Lowered) -> Result<Self, ProgramError> {
        let mut roots = graph.roots();
        if let Some((state, _)) = graph.states.iter().zip(graph.settled(&roots)).find(|(_, settled)| !settled) {
            return Err(ProgramError::Unsettled { tensor: graph[state.tensor].name.clone() });
        }
        let becomes: HashMap<TensorId, TensorId> =
            graph.states.iter().map(|state| (state.next, state.tensor)).collect();
        for root in &mut roots {
            *root = becomes.get(root).copied().unwrap_or(*root);
        }
        let mut returned = vec![false; roots.len()];
        graph.outputs.iter().for_each(|output| returned[roots[output.0].0] = true);
        let mut lasting: Vec<bool> = graph.tensors.iter().map(|tensor| tensor.constant.is_some()).collect();
        graph.states.iter().for_each(|state| lasting[state.tensor.0] = true);
        let mut bound = vec![false; roots.len()];
        graph.inputs.iter().for_each(|input| bound[input.0] = true);
        let align = alignments(lowered, &roots);
        let homes = roots.into_iter().map(|root| Home { root, offset: 0 }).collect();
        Ok(Self { homes, parts: Vec::new(), idle: vec![false; lowered.steps.len()], returned, lasting, bound, align })
    }

    /// Copies that `allowed` names for their steps are left out, where they may be: slices and what is joined lie where they
    /// belong.
    #[must_use]
    pub fn without_copies(self, graph: &Graph, lowered: &Lowered, allowed: &[bool]) -> Self {
        self.with_slices(graph, lowered, allowed).with_joins(graph, lowered, allowed)
    }

    /// Slices, too, lie where they are cut from. What the caller reads is copied, as it is promised to be aligned, and so is
    /// what is cut from state, which may be overwritten before the slice is read, and what is cut from constants.
    fn with_slices(mut self, graph: &Graph, lowered: &Lowered, allowed: &[bool]) -> Self {
        let mut index = 0;
        for steps in lowered.steps.chunk_by(|a, b| a.node == b.node) {
            if let [step] = steps
                && let Some((run, from, to)) = copied(step)
                && allowed[index]
                && run.bytes == graph[to].bytes()
                && self.is_root(to)
                && !self.returned[to.0]
                && let Home { root, offset } = self.homes[from.0]
                && !self.lasting[root.0]
                && self.is_aligned(to, offset + run.from)
            {
                self.idle[index] = true;
                self.move_all(to, Home { root, offset: offset + run.from });
                self.align[root.0] = self.align[root.0].max(self.align[to.0]);
            }
            index += steps.len();
        }
        self
    }

    /// What is joined is written where it belongs, if a node of this network computes it and it is joined once. What the
    /// caller reads is copied, as it is promised to be aligned.
    fn with_joins(mut self, graph: &Graph, lowered: &Lowered, allowed: &[bool]) -> Self {
        let mut index = 0;
        for steps in lowered.steps.chunk_by(|a, b| a.node == b.node) {
            let copies: Vec<_> = steps.iter().map_while(copied).collect();
            for (step, &(run, from, to)) in copies.iter().enumerate() {
                let (Home { root, offset }, step) = (self.homes[from.0], index + step);
                let is_all = offset == 0 && run.from == 0 && run.bytes == graph[root].bytes();
                let times = copies.iter().filter(|(_, other, _)| self.homes[other.0].root == root).count();
                let may_join = allowed[step] && !self.idle[step] && copies.len() == steps.len() && times == 1;
                if may_join && is_all && self.is_free(root) && self.is_root(to) && self.is_aligned(root, run.to) {
                    self.idle[step] = true;
                    self.bound[root.0] = true;
                    self.align[to.0] = self.align[to.0].max(self.align[root.0]);
                    self.parts.push(Part { tensor: root.0, whole: to.0, offset: run.to });
                }
            }
            index += steps.len();
        }
        self
    }

    /// Whether `tensor` may start at byte `offset` of another one.
    fn is_aligned(&self, tensor: TensorId, offset: usize) -> bool {
        offset.is_multiple_of(self.align[tensor.0])
    }

    /// Whether `tensor` may lie in another one.
    fn is_free(&self, tensor: TensorId) -> bool {
        self.is_root(tensor) && !self.returned[tensor.0] && !self.bound[tensor.0]
    }

    /// Whether the memory of `tensor` is its own.
    fn is_root(&self, tensor: TensorId) -> bool {
        self.homes[tensor.0].root == tensor && !self.lasting[tensor.0]
    }

    /// Lets all that lies in `tensor` lie from `to` on.
    fn move_all(&mut self, tensor: TensorId, to: Home) {
        for home in self.homes.iter_mut().filter(|home| home.root == tensor) {
            *home = Home { root: to.root, offset: home.offset + to.offset };
        }
    }
}

/// For each root a number of bytes whose multiple its address must be, as far as kernels need it.
fn alignments(lowered: &Lowered, roots: &[TensorId]) -> Vec<usize> {
    let mut align = vec![1; roots.len()];
    for way in lowered.steps.iter().flat_map(|step| &step.ways) {
        for (need, operand) in way.kernel.needs().iter().zip(&way.operands) {
            if let Value::Tensor(id) = *operand {
                let align = &mut align[roots[id.0].0];
                *align = usize::from(need.element_bytes).min(4).max(*align);
            }
        }
    }
    align
}

/// What a step copies, from which tensor to which, where it does no more than that.
fn copied(step: &LoweredStep) -> Option<(Run, TensorId, TensorId)> {
    match (step.run, step.ways.first()?.operands.as_slice()) {
        (Some(run), &[Value::Tensor(from), Value::Tensor(to)]) => Some((run, from, to)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::graph::text::parse;
    use crate::graph::verify::verify;
    use crate::host;
    use crate::program::{Program, Step};
    use crate::target::InstructionSet;

    /// The program of the network with these lines.
    fn program(lines: &str) -> Program {
        let typed = lines.replace("] =", "] scale 0.5 zero 0 =").replace("]\n", "] scale 0.5 zero 0\n");
        let graph = parse(&format!("graph {{\n{typed}\n}}"), None).unwrap();
        verify(&graph).unwrap();
        Program::new(&graph, InstructionSet::Portable).unwrap()
    }

    /// The kernels that the network with these lines runs, what its outputs are, and its arena.
    fn run(lines: &str, inputs: &[&[u8]]) -> (Vec<&'static str>, Vec<Vec<u8>>, usize) {
        let program = program(lines);
        let inputs: Vec<Vec<u8>> = inputs.iter().map(|input| input.to_vec()).collect();
        let outputs = host::run(&program, &inputs).unwrap();
        (program.steps.iter().map(|step| step.kernel.name()).collect(), outputs, program.arena_bytes)
    }

    #[test]
    fn slices_without_gaps_are_read_where_they_are_cut_from() {
        let lines = r#"input %0 "x" int8[1, 3, 2]
            %1 "row" int8[1, 1, 2] = StridedSlice(begin: [0, 1, 0], stride: [1, 1, 1], size: [1, 1, 2])(%0)
            %2 "flat" int8[2] = Reshape(shape: [2])(%1)
            %3 "last" int8[1] = StridedSlice(begin: [1], stride: [1], size: [1])(%2)
            %4 "column" int8[1, 3, 1] = StridedSlice(begin: [0, 0, 1], stride: [1, 1, 1], size: [1, 3, 1])(%0)
            %5 "y" int8[1, 3, 1] = Binary(function: Add, activation: None)(%4, %3)
            %6 "z" int8[2] = Unary(function: Relu)(%2)
            output %5
            output %6"#;
        let (kernels, outputs, _) = run(lines, &[&[1, 2, 253, 4, 5, 6]]);
        assert_eq!(kernels.iter().filter(|kernel| **kernel == "Copy").count(), 1);
        assert_eq!((kernels.len(), outputs), (3, vec![vec![6, 8, 10], vec![0, 4]]));
    }

    #[test]
    fn slices_that_the_caller_reads_are_copied() {
        let lines = r#"input %0 "x" int8[4]
            %1 "y" int8[2] = StridedSlice(begin: [1], stride: [1], size: [2])(%0)
            %2 "z" int8[1] = StridedSlice(begin: [2], stride: [1], size: [1])(%0)
            %3 "w" int8[1, 1] = Reshape(shape: [1, 1])(%2)
            output %1
            output %3"#;
        assert_eq!(run(lines, &[&[1, 2, 3, 4]]).0, ["Copy"; 2]);
    }

    #[test]
    fn no_output_lies_over_an_input_that_is_a_slice() {
        let lines = r#"input %0 "x" int8[32]
            %1 "a" int8[16] = StridedSlice(begin: [0], stride: [1], size: [16])(%0)
            %2 "b" int8[16] = StridedSlice(begin: [16], stride: [1], size: [16])(%0)
            %3 "c" int8[16] = Unary(function: Relu)(%1)
            %4 "y" int8[16] = Binary(function: Add, activation: None)(%3, %2)
            output %4"#;
        let input: Vec<u8> = (0..32).collect();
        let (kernels, outputs, arena_bytes) = run(lines, &[&input]);
        assert!(!kernels.contains(&"Copy"));
        assert_eq!((outputs, arena_bytes), (vec![(0..16).map(|i| 16 + 2 * i).collect()], 48));
    }

    #[test]
    fn slices_are_copied_where_that_takes_less_memory() {
        let lines = r#"input %0 "x" int8[64]
            %1 "a" int8[16] = StridedSlice(begin: [48], stride: [1], size: [16])(%0)
            %2 "b" int8[1, 16] = Reshape(shape: [1, 16])(%1)
            const %3 "ones" int8[4, 1] = [1, 1, 1, 1] // added to each row
            %4 "c" int8[4, 16] = Binary(function: Add, activation: None)(%2, %3)
            output %4"#;
        let input: Vec<u8> = (0..64).collect();
        let (kernels, outputs, arena_bytes) = run(lines, &[&input]);
        assert_eq!((kernels[0], arena_bytes), ("Copy", 80));
        assert_eq!(outputs[0][..16], (49..65).collect::<Vec<u8>>());
    }

    #[test]
    fn what_is_cut_from_a_state_is_its_old_value() {
        let lines = r#"input %0 "x" int8[2]
            state %1 "s" int8[2] scale 0.5 zero 0 = [1, 2] becomes %3
            %2 "a" int8[1] = StridedSlice(begin: [1], stride: [1], size: [1])(%1)
            %3 "t" int8[2] = Unary(function: Relu)(%0)
            %4 "y" int8[1] = Unary(function: Relu)(%2)
            output %4"#;
        let (kernels, outputs, _) = run(lines, &[&[7, 8]]);
        assert_eq!((kernels.len(), outputs), (3, vec![vec![2]]));
    }

    const ADD: &str = "Binary(function: Add, activation: None)";
    const RELU: &str = "Unary(function: Relu)";

    #[test]
    fn what_is_joined_is_written_where_it_belongs() {
        let lines = format!(
            r#"input %0 "x" int8[1, 2]
            %1 "a" int8[1, 2] = {RELU}(%0)
            %2 "b" int8[1, 2] = {ADD}(%1, %0)
            %3 "ab" int8[1, 4] = Concatenation(axis: 1)(%1, %2)
            %4 "c" int8[1, 4] = {ADD}(%3, %3)
            %5 "abc" int8[1, 8] = Concatenation(axis: 1)(%3, %4)
            %6 "y" int8[1, 8] = {ADD}(%5, %5)
            output %6"#
        );
        let (kernels, outputs, arena_bytes) = run(&lines, &[&[1, 2]]);
        assert!(!kernels.contains(&"Copy"), "{kernels:?}");
        assert_eq!((outputs, arena_bytes), (vec![vec![2, 4, 4, 8, 4, 8, 8, 16]], 32));
    }

    #[test]
    fn what_is_joined_is_complete_with_its_last_part() {
        let program = program(&format!(
            r#"input %0 "x" int8[1, 2]
            %1 "a" int8[1, 2] = {RELU}(%0)
            %2 "b" int8[1, 2] = {ADD}(%1, %0)
            %3 "ab" int8[1, 4] = Concatenation(axis: 1)(%1, %2)
            %4 "c" int8[1, 4] = {ADD}(%3, %3)
            %5 "xabc" int8[1, 10] = Concatenation(axis: 1)(%0, %3, %4)
            %6 "y" int8[1, 10] = {ADD}(%5, %5)
            output %6"#
        ));
        let trace = host::trace(&program, &[vec![1, 2]]).unwrap();
        let written = program.steps.iter().zip(trace).flat_map(|(step, bytes)| step.written.iter().zip(bytes));
        let written: Vec<(&str, &str, Vec<u8>)> =
            written.map(|(written, bytes)| (written.op, written.port.name.as_str(), bytes)).collect();
        assert!(written.contains(&("Concatenation", "ab", vec![1, 2, 2, 4])), "{written:?}");
        assert!(written.contains(&("Concatenation", "xabc", vec![1, 2, 1, 2, 2, 4, 2, 4, 4, 8])), "{written:?}");
    }

    #[test]
    fn a_reshaped_tensor_is_joined_in_the_output_of_the_network() {
        let lines = format!(
            r#"input %0 "x" int8[2]
            %1 "a" int8[2] = {RELU}(%0)
            %2 "b" int8[2] = {ADD}(%1, %1)
            %3 "row" int8[1, 2] = Reshape(shape: [1, 2])(%2)
            %4 "row2" int8[1, 2] = Reshape(shape: [1, 2])(%1)
            %5 "y" int8[2, 2] = Concatenation(axis: 0)(%3, %4)
            output %5"#
        );
        let (kernels, outputs, _) = run(&lines, &[&[1, 2]]);
        assert!(!kernels.contains(&"Copy"), "{kernels:?}");
        assert_eq!(outputs, [[2, 4, 1, 2]]);
    }

    #[test]
    fn what_lies_elsewhere_or_twice_is_copied_when_it_is_joined() {
        let lines = format!(
            r#"input %0 "x" int8[2]
            state %1 "s" int8[2] scale 0.5 zero 0 = [8, 9] becomes %7
            const %2 "k" int8[2] = [6, 7] // constant
            %3 "a" int8[2] = {ADD}(%0, %0)
            %4 "b" int8[2] = {ADD}(%3, %0)
            %5 "c" int8[2] = {ADD}(%4, %0)
            %6 "y" int8[14] = Concatenation(axis: 0)(%0, %1, %2, %3, %4, %4, %5)
            %7 "t" int8[2] = {RELU}(%0)
            output %3
            output %6"#
        );
        let (kernels, outputs, _) = run(&lines, &[&[1, 2]]);
        assert_eq!(kernels.iter().filter(|kernel| **kernel == "Copy").count(), 6);
        assert_eq!(outputs[1], [1, 2, 8, 9, 6, 7, 2, 4, 3, 6, 3, 6, 4, 8]);
    }

    #[test]
    fn what_two_tensors_hold_lies_in_one_of_them() {
        let lines = format!(
            r#"input %0 "x" int8[2]
            %1 "a" int8[2] = {RELU}(%0)
            %2 "b" int8[2] = {ADD}(%1, %0)
            %3 "y" int8[4] = Concatenation(axis: 0)(%1, %2)
            %4 "z" int8[4] = Concatenation(axis: 0)(%2, %1)
            output %3
            output %4"#
        );
        let (kernels, outputs, _) = run(&lines, &[&[1, 2]]);
        assert_eq!(kernels.iter().filter(|kernel| **kernel == "Copy").count(), 2);
        assert_eq!(outputs, [[1, 2, 2, 4], [2, 4, 1, 2]]);
    }

    #[test]
    fn columns_are_copied() {
        let lines = format!(
            r#"input %0 "x" int8[2, 1]
            %1 "a" int8[2, 1] = {RELU}(%0)
            %2 "b" int8[2, 1] = {ADD}(%1, %0)
            %3 "y" int8[2, 2] = Concatenation(axis: 1)(%1, %2)
            output %3"#
        );
        let (kernels, outputs, _) = run(&lines, &[&[1, 2]]);
        assert_eq!(kernels.iter().filter(|kernel| **kernel == "Copy").count(), 2);
        assert_eq!(outputs, [[1, 2, 2, 4]]);
    }

    /// Bytes from the start of the output of each padding of the network with these lines to that of its input, the outputs
    /// of the network, and its arena.
    fn padded(lines: &str, input: &[u8]) -> (Vec<i64>, Vec<Vec<u8>>, usize) {
        let program = program(lines);
        let pads = program.steps.iter().filter(|step| step.kernel.name() == "Pad");
        let lead = |step: &Step| i64::from(step.operands[0].offset()) - i64::from(step.operands[1].offset());
        (pads.map(lead).collect(), host::run(&program, &[input.to_vec()]).unwrap(), program.arena_bytes)
    }

    #[test]
    fn padded_rows_lie_where_they_belong_unless_the_arena_would_grow() {
        let lines = format!(
            r#"input %0 "x" int8[1, 2, 3]
            %1 "a" int8[1, 2, 3] = {ADD}(%0, %0)
            %2 "p" int8[1, 4, 3] = Pad(padding: [(0, 0), (1, 1), (0, 0)], value: 7.0)(%1)
            %3 "b" int8[1, 4, 3] = {ADD}(%2, %2)
            %4 "q" int8[1, 6, 3] = Pad(padding: [(0, 0), (2, 0), (0, 0)], value: 9.0)(%3)
            output %4"#
        );
        let (leads, outputs, arena_bytes) = padded(&lines, &[1, 2, 3, 4, 5, 6]);
        let wanted = [9, 9, 9, 9, 9, 9, 14, 14, 14, 4, 8, 12, 16, 20, 24, 14, 14, 14];
        // The second would take 16 bytes more in place.
        assert_eq!((leads, outputs, arena_bytes), (vec![3, 16], vec![wanted.to_vec()], 32));
    }

    #[test]
    fn padded_columns_and_what_comes_from_outside_move_within_the_output() {
        let lines = r#"input %0 "x" int8[2, 20]
            %1 "y" int8[3, 20] = Pad(padding: [(1, 0), (0, 0)], value: 7.0)(%0)
            output %1"#;
        let input: Vec<u8> = (1..41).collect();
        let (leads, outputs, arena_bytes) = padded(lines, &input);
        assert_eq!((leads, arena_bytes), (vec![32], 80));
        assert_eq!(outputs[0], [vec![7; 20], input.clone()].concat());
        let lines = r#"input %0 "x" int8[20, 2]
            %1 "y" int8[20, 3] = Pad(padding: [(0, 0), (0, 1)], value: 7.0)(%0)
            output %1"#;
        let (leads, outputs, arena_bytes) = padded(lines, &input);
        assert_eq!((leads, arena_bytes), (vec![32], 80));
        assert_eq!(outputs[0], input.chunks(2).flat_map(|pair| [pair[0], pair[1], 7]).collect::<Vec<u8>>());
    }

    #[test]
    fn what_the_caller_reads_besides_its_padding_is_copied() {
        let lines = format!(
            r#"input %0 "x" int8[1, 2]
            %1 "a" int8[1, 2] = {ADD}(%0, %0)
            %2 "y" int8[2, 2] = Pad(padding: [(1, 0), (0, 0)], value: 7.0)(%1)
            output %1
            output %2"#
        );
        assert_eq!(padded(&lines, &[1, 2]).1, [vec![2, 4], vec![7, 7, 2, 4]]);
    }
}
