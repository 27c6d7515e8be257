//! What a kernel is expected to take on a Cortex-M4: cycles by the model, for choosing between kernels that give the same bytes.
//!
//! Each formula is the kernel's own sizes with the cycles of its blocks, which its assembly tells, and of what is around them,
//! fitted to cycles counted under emulation. They are right in the mean, where [`cost`](crate::cost) is an upper bound:
//! `tests/conformance/tests/cycles.rs` holds them to what layers take.

use rasbora_device::isa::Paired;
use rasbora_device::isa::paired::{CHUNK, FINE_SHIFT};
use rasbora_device::isa::winograd::{PLACES, TILES};
use rasbora_device::ops::{
    Conv2d, Corrections, DepthwiseConv2d, FullyConnected, PairedConv2d, PairedFullyConnected, PlaneConv2d,
    PlaneDepthwiseConv2d, QuadDepthwiseConv2d, Window, WinogradConv2d,
};

use crate::lower::AnyKernel;

/// The cycles of a whole layer; `None` for kernels without a formula.
pub fn expected(kernel: &dyn AnyKernel) -> Option<f64> {
    /// What `formula` says, if it is for this kernel.
    fn by<K: 'static>(kernel: &dyn AnyKernel, formula: fn(&K) -> f64) -> Option<f64> {
        kernel.any().downcast_ref().map(formula)
    }
    by(kernel, paired_conv2d)
        .or_else(|| by(kernel, winograd_conv2d))
        .or_else(|| by(kernel, plane_conv2d))
        .or_else(|| by(kernel, plane_depthwise_conv2d))
        .or_else(|| by(kernel, quad_depthwise_conv2d))
        .or_else(|| by(kernel, paired_fully_connected))
        .or_else(|| by(kernel, conv2d))
        .or_else(|| by(kernel, depthwise_conv2d))
        .or_else(|| by(kernel, fully_connected))
}

/// Blocks of four outputs, and of three, and two columns.
fn paired_conv2d(kernel: &PairedConv2d) -> f64 {
    let (w, layer) = (&kernel.window, kernel.paired());
    let steps = layer.steps();
    let [fours, threes] = Paired::blocks(kernel.outputs).map(f64::from);
    let chunks = f64::from(steps.div_ceil(CHUNK));
    // Ten steps of a chunk have their inputs in registers.
    let slow = (0..steps).filter(|step| step % CHUNK >= 10).count() as f64;
    let few = f64::from(u8::from(steps <= 8));
    let [signed, coarse] = [kernel.signed, kernel.shift != FINE_SHIFT as u8].map(|is| f64::from(u8::from(is)));
    let steps = f64::from(steps);
    let block = 25.7 * steps + 13.8 * slow + 40.0 + 47.4 * (chunks - 1.0) + 52.8 * signed + 28.2 * coarse + 10.1 * few;
    let block_of_three = 40.7 * steps + 71.5;
    let expansion = (21.6 + 27.2 * few) * steps;
    let lines = if w.is_pointwise() { 1 } else { w.rows() };
    let pairs = (w.rows() * w.output[1]).div_ceil(2);
    let around = 1_680.0 + 78.4 * f64::from(lines) + 273.0 * f64::from(kernel.copied_rows());
    around + f64::from(pairs) * (expansion + fours * block + threes * block_of_three)
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

/// The plane of input, and pairs of cells on both axes for each output.
fn plane_conv2d(kernel: &PlaneConv2d) -> f64 {
    let (w, outputs) = (&kernel.window, f64::from(kernel.outputs));
    let cells = if w.stride[0] == 1 { 64.6 } else { 80.8 };
    let strip = |rows: u32| {
        let pairs = f64::from(rows.div_ceil(2));
        let plane = covered(2 * rows.div_ceil(2), w) * covered(2 * w.output[1].div_ceil(2), w);
        1_350.0 + 8.51 * plane + outputs * pairs * (60.9 + cells * f64::from(w.output[1].div_ceil(2)))
    };
    strips(w, kernel.strip, strip)
}

/// Planes of four channels, and pairs of cells on both axes for each channel.
fn plane_depthwise_conv2d(kernel: &PlaneDepthwiseConv2d) -> f64 {
    let (w, quads) = (&kernel.window, f64::from(kernel.channels.div_ceil(4)));
    let signed = if kernel.signed { 23.6 } else { 0.0 };
    let cells = signed + if w.stride[0] == 1 { 66.7 } else { 92.4 };
    let strip = |rows: u32| {
        let pairs = f64::from(rows.div_ceil(2)) * f64::from(w.output[1].div_ceil(2));
        quads * (536.0 + 10.6 * covered(rows, w) * covered(w.output[1], w) + 4.0 * cells * pairs)
    };
    559.0 + strips(w, kernel.strip, strip)
}

/// Rows or columns of input under `outputs` of a window of three.
fn covered(outputs: u32, window: &Window) -> f64 {
    f64::from(outputs.saturating_sub(1) * window.stride[0] + 3)
}

/// What all strips of a layer take, each of `rows` rows or of what is left.
fn strips(window: &Window, rows: u32, strip: impl Fn(u32) -> f64) -> f64 {
    let (height, rows) = (window.output[0], rows.max(1));
    let left = height % rows;
    let of_image = f64::from(height / rows) * strip(rows) + if left > 0 { strip(left) } else { 0.0 };
    f64::from(window.batch) * of_image
}

/// Taps of four channels, three of them in a turn of the loop, and rows that are copied with the padding around them.
fn quad_depthwise_conv2d(kernel: &QuadDepthwiseConv2d) -> f64 {
    let (w, quads) = (&kernel.window, f64::from(kernel.channels.div_ceil(4)));
    let (rows, columns, scratch) = (f64::from(w.rows()), f64::from(w.output[1]), kernel.scratch_bytes() as f64);
    let [lines, threes, ones] = match w.kernel {
        [height, 3] => [1, height, 0],
        [height, 1] => [1, height / 3, height % 3],
        [height, width] => [height, width / 3, width % 3],
    }
    .map(f64::from);
    let quad = 67.2 + lines * (37.5 * threes + 14.0 * ones) + 22.6 * (lines - 1.0);
    let quad = match kernel.corrections {
        Corrections::None => quad,
        Corrections::Bytes | Corrections::Words => quad + 18.0,
    };
    let quad = if kernel.shift == FINE_SHIFT as u8 { quad } else { quad + 10.0 };
    let copied = if scratch > 0.0 { 104.0 * f64::from(w.kernel[0]) + 0.98 * scratch } else { 0.0 };
    545.0 + 1.14 * scratch + rows * (157.0 + copied + columns * (15.1 + quads * quad))
}

/// Four inputs of an output at a time.
fn paired_fully_connected(kernel: &PairedFullyConnected) -> f64 {
    let words = f64::from(kernel.inputs / 4);
    f64::from(kernel.batch) * (300.0 + 8.0 * words + f64::from(kernel.outputs) * (5.15 * words + 15.5))
}

/// Inputs under a row of windows, cells, outputs and products, one at a time.
fn conv2d(kernel: &Conv2d) -> f64 {
    let (w, rows) = (&kernel.window, f64::from(kernel.window.rows()));
    let cells = rows * f64::from(w.output[1]);
    let outputs = cells * f64::from(kernel.outputs);
    let products = outputs * f64::from(w.kernel[0]) * f64::from(w.kernel[1]) * f64::from(kernel.inputs);
    let moved = rows * f64::from(w.kernel[0]) * f64::from(w.input[1]) * f64::from(kernel.inputs);
    679.0 * rows + 233.0 * cells + 43.1 * outputs + 5.67 * products + 9.24 * moved
}

/// Cells, outputs and products, one at a time.
fn depthwise_conv2d(kernel: &DepthwiseConv2d) -> f64 {
    let w = &kernel.window;
    let cells = f64::from(w.rows()) * f64::from(w.output[1]);
    let outputs = cells * f64::from(kernel.channels);
    2_140.0 + 302.0 * cells + 59.2 * outputs + 9.48 * outputs * f64::from(w.kernel[0]) * f64::from(w.kernel[1])
}

/// Outputs and products, one at a time.
fn fully_connected(kernel: &FullyConnected) -> f64 {
    let outputs = f64::from(kernel.outputs);
    f64::from(kernel.batch) * (775.0 + 51.6 * outputs + 5.72 * outputs * f64::from(kernel.inputs))
}
