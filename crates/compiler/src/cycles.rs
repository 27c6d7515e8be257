//! What a kernel is expected to take on a Cortex-M4: cycles by the model, for choosing between kernels that give the same bytes.
//!
//! Each formula is the kernel's own sizes with the cycles of its blocks, which its assembly tells, and of what is around them,
//! fitted to cycles counted under emulation. They are right in the mean, where [`cost`](crate::cost) is an upper bound:
//! `tests/conformance/tests/cycles.rs` holds them to what layers take.

use rasbora_device::isa::Paired;
use rasbora_device::isa::paired::CHUNK;
use rasbora_device::isa::winograd::{PLACES, TILES};
use rasbora_device::ops::{
    PairedConv2d, PairedFullyConnected, PlaneDepthwiseConv2d, QuadDepthwiseConv2d, WinogradConv2d,
};

use crate::lower::AnyKernel;

/// The cycles of a whole layer; `None` for kernels without a formula.
pub fn expected(kernel: &dyn AnyKernel) -> Option<f64> {
    let kernel = kernel.any();
    let cycles = kernel.downcast_ref().map(paired_conv2d);
    let cycles = cycles.or_else(|| kernel.downcast_ref().map(winograd_conv2d));
    let cycles = cycles.or_else(|| kernel.downcast_ref().map(plane_depthwise_conv2d));
    let cycles = cycles.or_else(|| kernel.downcast_ref().map(quad_depthwise_conv2d));
    cycles.or_else(|| kernel.downcast_ref().map(paired_fully_connected))
}

/// Blocks of four outputs, and of three, and two columns.
fn paired_conv2d(kernel: &PairedConv2d) -> f64 {
    let (w, layer) = (&kernel.window, kernel.paired());
    let steps = layer.steps();
    let [fours, threes] = Paired::blocks(kernel.outputs).map(f64::from);
    let chunks = f64::from(steps.div_ceil(CHUNK));
    // Ten steps of a chunk have their inputs in registers.
    let slow = (0..steps).filter(|step| step % CHUNK >= 10).count() as f64;
    let steps = f64::from(steps);
    let signed = if kernel.signed { 10.0 } else { 0.0 };
    let block = 29.0 * steps + 3.0 * slow + 52.0 + signed + 50.0 * (chunks - 1.0);
    let block_of_three = 24.0 * steps + 60.0;
    let expansion = 87.0 + 7.7 * steps + if steps <= 8.0 { 0.0 } else { 150.0 * chunks };
    let rows = if w.kernel == [1, 1] && w.stride == [1, 1] && w.padding == [0, 0] { 1 } else { w.rows() };
    let pairs = (w.rows() * w.output[1]).div_ceil(2);
    1_700.0 + 2_200.0 * f64::from(rows) + f64::from(pairs) * (expansion + fours * block + threes * block_of_three)
}

/// Transforms of tiles, and for pairs of outputs transforms of filters, products and transforms of these.
fn winograd_conv2d(kernel: &WinogradConv2d) -> f64 {
    let [tiles, pairs, steps, groups] =
        [kernel.tiles(), kernel.pairs(), kernel.steps(), kernel.tiles().div_ceil(TILES as u32)].map(f64::from);
    let bands = (groups / f64::from(kernel.groups)).ceil();
    let filters = 378.0 * bands * (pairs - f64::from(kernel.transformed)) * steps;
    let blocks = (steps / 16.0).ceil();
    let product = 16.0 * steps + 24.0 + 20.0 * (blocks - 1.0);
    let products = PLACES as f64 * pairs * (bands * 33.0 + groups * product);
    let inputs = tiles * (448.0 * steps + 500.0);
    1_000.0 + inputs + filters + products + 340.0 * 2.0 * tiles * pairs + 250.0 * pairs * (bands + groups)
}

/// Planes of input, and pairs of cells of each channel.
fn plane_depthwise_conv2d(kernel: &PlaneDepthwiseConv2d) -> f64 {
    let w = &kernel.window;
    let [height, width] = w.output;
    let quads = f64::from(kernel.channels.div_ceil(4));
    let strips = (0..height).step_by(kernel.strip.max(1) as usize).map(|first| kernel.strip.min(height - first));
    let strip = |rows: u32| {
        let stride = w.stride[0];
        let spread = 5.0 * f64::from((rows.saturating_sub(1) * stride + 3) * (width.saturating_sub(1) * stride + 3));
        let pairs = f64::from(rows.div_ceil(2));
        let cells = match stride {
            1 => 36.7 * pairs * f64::from(width),
            _ => 107.0 * pairs * f64::from(width.div_ceil(2)),
        };
        quads * (100.0 + spread + 4.0 * (140.0 + cells))
    };
    3_400.0 + f64::from(w.batch) * strips.map(strip).sum::<f64>()
}

/// Taps of four channels.
fn quad_depthwise_conv2d(kernel: &QuadDepthwiseConv2d) -> f64 {
    let (w, quads) = (&kernel.window, f64::from(kernel.channels.div_ceil(4)));
    let cells = quads * f64::from(w.output[1]);
    let taps = cells * f64::from(w.kernel[0]) * f64::from(w.kernel[1]);
    500.0 + f64::from(w.rows()) * (156.0 + 45.0 * quads + 42.0 * cells + 11.3 * taps)
}

/// Four inputs of an output at a time.
fn paired_fully_connected(kernel: &PairedFullyConnected) -> f64 {
    let words = f64::from(kernel.inputs / 4);
    f64::from(kernel.batch) * (300.0 + 8.0 * words + f64::from(kernel.outputs) * (5.15 * words + 15.5))
}
