//! Audio front ends put before a network, so that its program takes samples instead of features.
//!
//! A front end is ops like any other; what it keeps from one run to the next is state. So every way to run a program runs
//! it, and no firmware has to match features to a model by hand.

use thiserror::Error;

use crate::graph::{DType, Graph, Node, Quantisation, State, Tensor, TensorId};
use crate::ops::{LogMel, Mfcc, Op, Operation, Peak, Reshape, Shift};

/// Samples a second of all front ends.
pub const RATE: u32 = 16_000;
/// Samples of a frame of the wake word, and of what comes anew with each run.
const WAKE_WORD: [usize; 2] = [1024, 512];

/// Features that a network may be trained on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrontEnd {
    /// MLPerf Tiny's keyword spotting: 49 × 10 cepstral coefficients of one second.
    Kws,
    /// MLPerf Tiny's streaming wake word: each run takes 512 samples, makes 40 features of the last 1024, and gives the
    /// network as many frames as it wants.
    Sww,
}

/// Why a front end does not fit a network.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("the front end makes {made}, but the network {found}; leave it out, or take the model that it was made for")]
pub struct FrontEndError {
    made: &'static str,
    found: String,
}

impl FrontEnd {
    /// What a front end makes, in words.
    fn made(self) -> &'static str {
        match self {
            Self::Kws => "int8 [1, 49, 10, 1]",
            Self::Sww => "int8 [1, frames, 1, 40]",
        }
    }

    fn fits(self, shape: &[usize]) -> bool {
        match self {
            Self::Kws => shape == [1, 49, 10, 1],
            Self::Sww => matches!(shape, &[1, frames, 1, 40] if frames > 0),
        }
    }

    /// Puts the front end before the one input of `graph`, which becomes int16 samples.
    ///
    /// # Errors
    /// Where the input is not such features.
    pub fn put_before(self, graph: &mut Graph) -> Result<(), FrontEndError> {
        let error = |found| FrontEndError { made: self.made(), found };
        let &[input] = graph.inputs.as_slice() else {
            return Err(error(format!("has {} inputs", graph.inputs.len())));
        };
        let Tensor { dtype, shape, quantisation, name, .. } = &graph[input];
        let quantisation =
            quantisation.clone().filter(|quantisation| quantisation.single().is_some_and(|(s, _)| s > 0.0));
        let Some(quantisation) = quantisation.filter(|_| *dtype == DType::I8 && self.fits(shape)) else {
            let dtype = crate::graph::dtype_name(*dtype);
            return Err(error(format!("takes {dtype} {shape:?} as '{name}'")));
        };
        let mut maker = Maker { graph, nodes: Vec::new(), quantisation };
        let audio = match self {
            Self::Kws => maker.keywords(input),
            Self::Sww => maker.wake_word(input),
        };
        let mut nodes = maker.nodes;
        nodes.append(&mut graph.nodes);
        graph.nodes = nodes;
        graph.inputs = vec![audio];
        Ok(())
    }
}

/// The front end while it is made.
struct Maker<'a> {
    graph: &'a mut Graph,
    nodes: Vec<Node>,
    /// That of the features.
    quantisation: Quantisation,
}

impl Maker<'_> {
    fn tensor(&mut self, name: &str, dtype: DType, shape: &[usize]) -> TensorId {
        let quantisation = (dtype == DType::I8).then(|| self.quantisation.clone());
        let name = name.to_owned();
        self.graph.add(Tensor { name, shape: shape.to_vec(), dtype, quantisation, constant: None, source: None })
    }

    fn node(&mut self, op: impl Into<Op>, inputs: &[TensorId], output: TensorId) {
        let (op, name) = (op.into(), self.graph[output].name.clone());
        let model_macs = op.macs(&self.graph.tensors_of(inputs), &self.graph.tensors_of(&[output]));
        let (inputs, outputs) = (inputs.to_vec(), vec![output]);
        self.nodes.push(Node { name, op, inputs, outputs, sources: Vec::new(), model_macs });
    }

    fn keywords(&mut self, features: TensorId) -> TensorId {
        let audio = self.tensor("audio", DType::I16, &[RATE as usize]);
        let peak = self.tensor("audio/peak", DType::I32, &[1]);
        let coefficients = self.tensor("audio/mfcc", DType::I8, &[49, 10]);
        self.node(Peak {}, &[audio], peak);
        let mfcc = Mfcc { rate: RATE, window: 480, stride: 320, bands: 40, low: 20.0, high: 4000.0, coefficients: 10 };
        self.node(mfcc, &[audio, peak], coefficients);
        self.reshape(coefficients, features);
        audio
    }

    fn wake_word(&mut self, features: TensorId) -> TensorId {
        let [frame, stride] = WAKE_WORD;
        let audio = self.tensor("audio", DType::I16, &[stride]);
        let samples = self.ring("audio/samples", audio, frame + 1 - stride, 0);
        let bands = self.tensor("audio/log_mel", DType::I8, &[40]);
        let high = RATE as f32 / 2.0;
        self.node(LogMel { rate: RATE, bands: 40, low: 0.0, high }, &[samples], bands);
        let frames = self.graph[features].shape.get(1).copied().unwrap_or(1);
        // Before the first sample there was silence, of which the features are the least.
        let all = if frames > 1 { self.ring("audio/frames", bands, 40 * (frames - 1), i8::MIN as u8) } else { bands };
        self.reshape(all, features);
        audio
    }

    fn reshape(&mut self, from: TensorId, to: TensorId) {
        let shape = self.graph[to].shape.clone();
        self.node(Reshape { shape }, &[from], to);
    }

    /// The last `kept` elements of earlier runs, of bytes `initial` at first, and then the new ones.
    fn ring(&mut self, name: &str, new: TensorId, kept: usize, initial: u8) -> TensorId {
        let (dtype, count) = (self.graph[new].dtype, self.graph[new].elements());
        let [before, all] = ["/before", ""].map(|what| self.tensor(&format!("{name}{what}"), dtype, &[kept + count]));
        self.node(Shift { axis: 0 }, &[before, new], all);
        let initial = vec![initial; (kept + count) * dtype.bytes() as usize].into();
        self.graph.states.push(State { tensor: before, next: all, initial });
        all
    }
}
