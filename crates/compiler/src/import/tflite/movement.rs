//! Operators that move elements without computing with them. What the file says by masks, negative axes and −1 becomes
//! plain sizes here.

use super::schema::tflite::{BuiltinOptionsRef, StridedSliceOptionsRef};
use super::site::{Refusal, Site, unsupported};
use crate::graph::{DType, Shape, TensorId};
use crate::ops::{Concatenation, Pad, Reshape, StridedSlice, Transpose};

/// `axis` of `rank` axes, counted from the end where it is negative.
pub(super) fn axis_of(site: &Site<'_, '_>, axis: i64, rank: usize) -> Result<usize, Refusal> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    match usize::try_from(counted) {
        Ok(counted) if counted < rank => Ok(counted),
        _ => site.malformed(format!("names axis {axis} of a tensor of rank {rank}")),
    }
}

/// `RESHAPE`: the shape is input 1, or in the options; one size may be −1.
pub(super) fn reshape(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let wanted: Vec<i64> = match (site.optional(1), site.options()?) {
        (Some(_), _) => site.integers(1)?,
        (None, Some(BuiltinOptionsRef::Reshape(options))) => {
            options.new_shape()?.into_iter().flatten().map(i64::from).collect()
        }
        (None, _) => return site.without_options(),
    };
    // Old files say a scalar so.
    let wanted = if wanted == [0] { Vec::new() } else { wanted };
    let elements = site.importer.graph[input].elements() as i64;
    let known = wanted.iter().filter(|&&size| size != -1).try_fold(1, |product: i64, &size| product.checked_mul(size));
    let rest = known.filter(|&known| known > 0 && elements % known == 0).map(|known| elements / known);
    let open = wanted.iter().filter(|&&size| size == -1).count();
    let shape: Option<Shape> = match rest {
        Some(rest) if open == 1 || (open == 0 && rest == 1) => {
            wanted.iter().map(|&size| usize::try_from(if size == -1 { rest } else { size }).ok()).collect()
        }
        _ => None,
    };
    match shape {
        Some(shape) => site.node(Reshape { shape }, vec![input]),
        None => site.malformed(format!("makes shape {wanted:?} of {elements} elements")),
    }
}

/// `SQUEEZE`: removes axes of size 1, all of them where none is named.
pub(super) fn squeeze(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let mut shape = site.shape(input);
    let mut axes = Vec::new();
    if let Some(BuiltinOptionsRef::Squeeze(options)) = site.options()? {
        for axis in options.squeeze_dims()?.into_iter().flatten() {
            axes.push(axis_of(site, axis.into(), shape.len())?);
        }
    }
    if let Some(axis) = axes.iter().find(|&&axis| shape[axis] != 1) {
        return site.malformed(format!("removes axis {axis} of shape {shape:?}, which is not 1"));
    }
    let mut axis = 0;
    shape.retain(|&size| {
        axis += 1;
        if axes.is_empty() { size != 1 } else { !axes.contains(&(axis - 1)) }
    });
    site.node(Reshape { shape }, vec![input])
}

/// `EXPAND_DIMS`: inserts an axis of size 1 where input 1 says.
pub(super) fn expand_dims(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let mut shape = site.shape(input);
    let &[axis] = site.integers(1)?.as_slice() else { return site.malformed("must name one axis") };
    let axis = axis_of(site, axis, shape.len() + 1)?;
    shape.insert(axis, 1);
    site.node(Reshape { shape }, vec![input])
}

/// `CONCATENATION`.
pub(super) fn concatenation(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::Concatenation(options)) = site.options()? else { return site.without_options() };
    if options.fused_activation_function()? != 0 {
        return unsupported("has a fused activation; only NONE is supported");
    }
    let mut inputs = Vec::with_capacity(site.operator.inputs.len());
    for place in 0..site.operator.inputs.len() {
        inputs.push(site.input(place)?);
    }
    let Some(&first) = inputs.first() else { return site.malformed("has no inputs") };
    let axis = axis_of(site, options.axis()?.into(), site.shape(first).len())?;
    site.node(Concatenation { axis }, inputs)
}

/// `TRANSPOSE`: axis `i` of the output is axis `permutation[i]` of the input.
pub(super) fn transpose(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let rank = site.shape(input).len();
    let axes = site.integers(1)?;
    let permutation = axes.into_iter().map(|axis| axis_of(site, axis, rank)).collect::<Result<Vec<usize>, _>>()?;
    site.node(Transpose { permutation }, vec![input])
}

/// The cells before and after each axis, from input 1, `[rank, 2]`.
fn paddings(site: &Site<'_, '_>, input: TensorId) -> Result<Vec<[usize; 2]>, Refusal> {
    let rank = site.shape(input).len();
    let sizes = site.integers(1)?;
    if sizes.len() != 2 * rank {
        return site.malformed(format!("has {} paddings for {rank} axes", sizes.len()));
    }
    let size = |size: i64| match usize::try_from(size) {
        Ok(size) if size <= i32::MAX as usize => Ok(size),
        _ => site.malformed(format!("has padding {size}")),
    };
    sizes.as_chunks::<2>().0.iter().map(|&[before, after]| Ok([size(before)?, size(after)?])).collect()
}

/// `PAD`: with zeros, which the zero point stands for.
pub(super) fn pad(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let padding = paddings(site, input)?;
    let value = site.importer.graph[input].affine().map_or(0.0, |(_, zero_point)| zero_point.into());
    site.node(Pad { padding, value }, vec![input])
}

/// `PADV2`: with the constant of input 2, which has the type and quantisation of the input.
pub(super) fn pad_v2(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let padding = paddings(site, input)?;
    let constant = site.input(2)?;
    let [tensor, value] = [input, constant].map(|id| &site.importer.graph[id]);
    if value.constant.is_none() || value.elements() != 1 {
        return unsupported(format!("pads with '{}', but one constant value is supported", value.name));
    }
    if value.dtype != tensor.dtype || value.affine() != tensor.affine() {
        return unsupported(format!(
            "pads with '{}', which has another type or quantisation than its input",
            value.name
        ));
    }
    let value = match value.dtype {
        DType::F32 => value.values::<f32>().and_then(|values| values.first().map(|&value| value.into())),
        DType::I8 => value.values::<i8>().and_then(|values| values.first().map(|&value| value.into())),
        DType::U8 => value.values::<u8>().and_then(|values| values.first().map(|&value| value.into())),
        DType::I16 => value.values::<i16>().and_then(|values| values.first().map(|&value| value.into())),
        DType::I32 => value.values::<i32>().and_then(|values| values.first().map(|&value| value.into())),
    };
    site.node(Pad { padding, value: value.unwrap_or_default() }, vec![input])
}

/// `SPLIT`: the axis is input 0, and the outputs are of one size.
pub(super) fn split(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let &[axis] = site.integers(0)?.as_slice() else { return site.malformed("must name one axis") };
    let input = site.input(1)?;
    let shape = site.shape(input);
    let axis = axis_of(site, axis, shape.len())?;
    let count = site.operator.outputs.len();
    match shape[axis].checked_div(count) {
        Some(size) if size * count == shape[axis] => split_to(site, input, axis, &vec![size; count]),
        _ => site.malformed(format!("splits axis {axis} of shape {shape:?} into {count} equal parts")),
    }
}

/// `SPLIT_V`: the sizes are input 1, of which one may be −1, and the axis is input 2.
pub(super) fn split_v(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let input = site.input(0)?;
    let shape = site.shape(input);
    let sizes = site.integers(1)?;
    let &[axis] = site.integers(2)?.as_slice() else { return site.malformed("must name one axis") };
    let axis = axis_of(site, axis, shape.len())?;
    let known = sizes.iter().filter(|&&size| size != -1).try_fold(0, |sum: i64, &size| sum.checked_add(size));
    let rest = known.and_then(|known| (shape[axis] as i64).checked_sub(known));
    let open = sizes.iter().filter(|&&size| size == -1).count();
    let parts: Option<Vec<usize>> = match rest {
        Some(rest) if open == 1 || open == 0 && rest == 0 => {
            sizes.iter().map(|&size| usize::try_from(if size == -1 { rest } else { size }).ok()).collect()
        }
        _ => None,
    };
    match parts {
        Some(parts) if parts.len() == site.operator.outputs.len() => split_to(site, input, axis, &parts),
        _ => {
            let count = site.operator.outputs.len();
            site.malformed(format!("splits axis {axis} of shape {shape:?} into {count} outputs of sizes {sizes:?}"))
        }
    }
}

/// Each output is a slice of `input`, `sizes` long, one after the other along `axis`.
fn split_to(site: &mut Site<'_, '_>, input: TensorId, axis: usize, sizes: &[usize]) -> Result<(), Refusal> {
    let shape = site.shape(input);
    let mut begin = vec![0; shape.len()];
    for (&size, &output) in sizes.iter().zip(&site.operator.outputs) {
        let mut part = shape.clone();
        part[axis] = size;
        let op = StridedSlice { begin: begin.clone(), stride: vec![1; shape.len()], size: part };
        site.node_of(output, op, vec![input])?;
        begin[axis] += size as i64;
    }
    Ok(())
}

/// What a slice takes of the input's axes, and the shape in which the file wants it.
#[derive(Default)]
struct Slice {
    begin: Vec<i64>,
    stride: Vec<i64>,
    size: Vec<usize>,
    shape: Shape,
}

/// The constant inputs and options of a `STRIDED_SLICE`; bit `i` of a mask is about place `i` of the lists.
struct SliceSpec {
    begin: Vec<i64>,
    end: Vec<i64>,
    stride: Vec<i64>,
    begin_mask: i32,
    end_mask: i32,
    ellipsis_mask: i32,
    new_axis_mask: i32,
    shrink_axis_mask: i32,
    /// Whether `end` counts from `begin`.
    offset: bool,
}

/// `STRIDED_SLICE`: a slice of every axis, then a reshape where axes are added or removed.
pub(super) fn strided_slice(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::StridedSlice(options)) = site.options()? else { return site.without_options() };
    let input = site.input(0)?;
    let spec = SliceSpec::new(site, &options)?;
    let slice = spec.of(site, &site.shape(input))?;
    let plain = slice.size == slice.shape;
    let (shape, op) = (slice.shape, StridedSlice { begin: slice.begin, stride: slice.stride, size: slice.size });
    if plain {
        return site.node(op, vec![input]);
    }
    let sliced = site.inner(op, input)?;
    site.node(Reshape { shape }, vec![sliced])
}

impl SliceSpec {
    fn new(site: &Site<'_, '_>, options: &StridedSliceOptionsRef<'_>) -> Result<Self, Refusal> {
        let (begin, end, stride) = (site.integers(1)?, site.integers(2)?, site.integers(3)?);
        if begin.len() != end.len() || begin.len() != stride.len() || begin.len() > 31 {
            let lengths = [begin.len(), end.len(), stride.len()];
            return site.malformed(format!("has lists of {lengths:?} begins, ends and strides"));
        }
        Ok(Self {
            begin,
            end,
            stride,
            begin_mask: options.begin_mask()?,
            end_mask: options.end_mask()?,
            ellipsis_mask: options.ellipsis_mask()?,
            new_axis_mask: options.new_axis_mask()?,
            shrink_axis_mask: options.shrink_axis_mask()?,
            offset: options.offset()?,
        })
    }

    /// Follows the places of the lists along the axes of `shape`. An ellipsis stands for all axes that no other place
    /// is about; axes after the last place are taken whole.
    fn of(&self, site: &Site<'_, '_>, shape: &[usize]) -> Result<Slice, Refusal> {
        let bit = |mask: i32, place: usize| mask >> place & 1 == 1;
        let places = 0..self.begin.len();
        let about_one =
            places.clone().filter(|&at| !bit(self.ellipsis_mask, at) && !bit(self.new_axis_mask, at)).count();
        let Some(hidden) = shape.len().checked_sub(about_one) else {
            return site.malformed(format!("slices {about_one} axes of a tensor of shape {shape:?}"));
        };
        let mut slice = Slice::default();
        let mut axes = shape.iter().copied();
        let mut seen_ellipsis = false;
        for place in places {
            if bit(self.ellipsis_mask, place) {
                if std::mem::replace(&mut seen_ellipsis, true) {
                    return site.malformed("has two ellipses");
                }
                axes.by_ref().take(hidden).for_each(|size| slice.whole(size));
            } else if bit(self.new_axis_mask, place) {
                slice.shape.push(1);
            } else if let Some(size) = axes.next() {
                self.axis(site, &mut slice, place, size as i64)?;
            }
        }
        axes.for_each(|size| slice.whole(size));
        Ok(slice)
    }

    /// Adds the slice of one axis of `size` (TFLite's `StartForAxis` and `EndForAxis`).
    fn axis(&self, site: &Site<'_, '_>, slice: &mut Slice, place: usize, size: i64) -> Result<(), Refusal> {
        let bit = |mask: i32| mask >> place & 1 == 1;
        let stride = self.stride[place];
        if stride == 0 || i32::try_from(stride).is_err() {
            return site.malformed(format!("has stride {stride}"));
        }
        let counted = |index: i64| if index < 0 { index.saturating_add(size) } else { index };
        let (least, most) = if stride > 0 { (0, size) } else { (-1, size - 1) };
        let (first, last) = if stride > 0 { (0, size) } else { (size - 1, -1) };
        let begin = if bit(self.begin_mask) { first } else { counted(self.begin[place]).clamp(least, most) };
        if bit(self.shrink_axis_mask) {
            if !(0..size).contains(&begin) {
                return site.malformed(format!("takes index {} of an axis of size {size}", self.begin[place]));
            }
            slice.push(begin, 1, 1);
            return Ok(());
        }
        let end = self.end[place].saturating_add(if self.offset { begin } else { 0 });
        let end = if bit(self.end_mask) { last } else { counted(end).clamp(least, most) };
        let count = (end - begin + stride - stride.signum()) / stride;
        let count = usize::try_from(count).unwrap_or(0);
        slice.push(begin, stride, count);
        slice.shape.push(count);
        Ok(())
    }
}

impl Slice {
    fn push(&mut self, begin: i64, stride: i64, size: usize) {
        self.begin.push(begin);
        self.stride.push(stride);
        self.size.push(size);
    }

    fn whole(&mut self, size: usize) {
        self.push(0, 1, size);
        self.shape.push(size);
    }
}
