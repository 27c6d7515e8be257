//! `settle_states`: each state can be overwritten where it lies by what it becomes.
//!
//! ```text
//! state x becomes y       ⇒  z = all of y, written last; state x becomes z
//! state x, read outside   ⇒  x = all of w, read first; state w
//! ```
//!
//! The first fires where `y` is written while `x` is still to be read, or is a view, an input, a constant, an output or
//! shared by two states. Where `y` is itself a state, or a view of one, which is overwritten in its turn, it is copied
//! twice: as soon as it is there, and last. The rule that must hold is [`Graph::settled`].

use super::Changed;
use crate::graph::{Graph, Node, Tensor, TensorId};
use crate::ops::StridedSlice;

/// Copies what states become, where it must be.
pub fn settle_states(graph: &mut Graph) -> Changed {
    let mut changed = Changed(false);
    let roots = graph.roots();
    for index in 0..graph.states.len() {
        let tensor = graph.states[index].tensor;
        if graph.outputs.iter().any(|output| roots[output.0] == tensor) {
            let read = like(graph, tensor);
            graph.nodes.insert(0, copy(graph, read, tensor));
            graph.states[index].tensor = read;
            changed = Changed(true);
        }
    }
    let roots = graph.roots();
    let settled = graph.settled(&roots);
    let mut is_state = vec![false; graph.tensors.len()];
    graph.states.iter().for_each(|state| is_state[state.tensor.0] = true);
    for (index, _) in settled.iter().enumerate().filter(|(_, settled)| !**settled) {
        let next = graph.states[index].next;
        if is_state[roots[next.0].0] {
            let soon = graph.producer(next).map_or(0, |producer| producer + 1);
            become_copy(graph, index, soon);
        }
        become_copy(graph, index, graph.nodes.len());
        changed = Changed(true);
    }
    changed
}

/// Lets the state `index` become a copy of what it becomes, made by a node at `place`.
fn become_copy(graph: &mut Graph, index: usize, place: usize) {
    let next = graph.states[index].next;
    let copied = like(graph, next);
    graph.nodes.insert(place, copy(graph, next, copied));
    graph.states[index].next = copied;
}

/// A tensor of the type and shape of `id`, which nothing writes yet.
fn like(graph: &mut Graph, id: TensorId) -> TensorId {
    let tensor =
        Tensor { name: format!("{}/state", graph[id].name), constant: None, source: None, ..graph[id].clone() };
    graph.add(tensor)
}

/// The node that copies.
fn copy(graph: &Graph, from: TensorId, to: TensorId) -> Node {
    let size = graph[from].shape.clone();
    let op = StridedSlice { begin: vec![0; size.len()], stride: vec![1; size.len()], size };
    let name = graph[to].name.clone();
    Node { name, op: op.into(), inputs: vec![from], outputs: vec![to], sources: Vec::new(), model_macs: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text::parse;
    use crate::graph::verify::verify;
    use crate::host::{Host, fill_inputs, outputs};
    use crate::program::Program;
    use crate::target::InstructionSet;

    /// What the first output of the network `text` is, call after call.
    fn run(text: &str, inputs: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut graph = parse(text, None).unwrap();
        verify(&graph).unwrap();
        assert!(Program::new(&graph, InstructionSet::Portable).is_err());
        assert_eq!(settle_states(&mut graph), Changed(true));
        assert_eq!(settle_states(&mut graph.clone()), Changed(false));
        verify(&graph).unwrap();
        let program = Program::new(&graph, InstructionSet::Portable).unwrap();
        let mut host = Host::new(&program);
        let mut interpreter = host.start().unwrap();
        let mut all = Vec::new();
        for _ in 0..2 {
            let mut call = |input: &&[u8]| {
                fill_inputs(&mut interpreter, &[input.to_vec()]).unwrap();
                interpreter.run();
                outputs(&interpreter).remove(0)
            };
            let found: Vec<Vec<u8>> = inputs.iter().map(&mut call).collect();
            assert!(all.is_empty() || all == found, "reset does not restore the state");
            all = found;
            interpreter.reset();
        }
        all
    }

    #[test]
    fn a_line_of_delays_delays() {
        let text = r#"graph {
            input %0 "x" int8[2] scale 0.5 zero 0
            state %1 "a" int8[2] scale 0.5 zero 0 = [1, 2] becomes %0
            state %2 "b" int8[2] scale 0.5 zero 0 = [3, 4] becomes %1
            %3 "y" int8[2] scale 0.5 zero 0 = Concatenation(axis: 0)(%2)
            output %3
        }"#;
        assert_eq!(run(text, &[&[5, 6], &[7, 8], &[9, 9]]), [[3, 4], [1, 2], [5, 6]]);
    }

    #[test]
    fn two_states_change_places() {
        let text = r#"graph {
            input %0 "x" int8[1] scale 0.5 zero 0
            state %1 "a" int8[1] scale 0.5 zero 0 = [1] becomes %2
            state %2 "b" int8[1] scale 0.5 zero 0 = [2] becomes %1
            %3 "y" int8[3] scale 0.5 zero 0 = Concatenation(axis: 0)(%1, %2, %0)
            output %3
        }"#;
        assert_eq!(run(text, &[&[5], &[6], &[7]]), [[1, 2, 5], [2, 1, 6], [1, 2, 7]]);
    }

    #[test]
    fn what_is_read_late_or_by_the_caller_is_the_old_value() {
        let late = r#"graph {
            input %0 "x" int8[1] scale 0.5 zero 0
            state %1 "s" int8[1] scale 0.5 zero 0 = [1] becomes %2
            %2 "t" int8[1] scale 0.5 zero 0 = Concatenation(axis: 0)(%0)
            %3 "y" int8[2] scale 0.5 zero 0 = Concatenation(axis: 0)(%2, %1)
            output %3
        }"#;
        assert_eq!(run(late, &[&[5], &[6]]), [[5, 1], [6, 5]]);
        let caller = r#"graph {
            input %0 "x" int8[1] scale 0.5 zero 0
            state %1 "s" int8[1] scale 0.5 zero 0 = [1] becomes %0
            output %1
        }"#;
        assert_eq!(run(caller, &[&[5], &[6]]), [[1], [5]]);
        let view = r#"graph {
            input %0 "x" int8[1] scale 0.5 zero 0
            state %1 "s" int8[1] scale 0.5 zero 0 = [1] becomes %2
            %2 "t" int8[1] scale 0.5 zero 0 = Concatenation(axis: 0)(%0)
            %3 "y" int8[1, 1] scale 0.5 zero 0 = Reshape(shape: [1, 1])(%1)
            output %3
        }"#;
        assert_eq!(run(view, &[&[5], &[6]]), [[1], [5]]);
    }
}
