//! Files made by the generated builders, sound and hostile ones.

use planus::Builder;

use super::schema::tflite::{
    BuiltinOptions, CallOnceOptions, Conv2DOptions, Model, Operator, OperatorCode, QuantizationParameters,
    StridedSliceOptions, SubGraph, Tensor, VarHandleOptions,
};
use super::*;
use crate::graph::verify::verify;
use crate::ops::{Op, Pad, StridedSlice};

const INT8: i8 = 9;
const INT64: i8 = 4;
const INT32: i8 = 2;
const FLOAT16: i8 = 1;
const FLOAT32: i8 = 0;
const CONV_2D: i32 = 3;
const DEQUANTIZE: i32 = 6;
const RESHAPE: i32 = 22;
const CUSTOM: i32 = 32;
const PAD: i32 = 34;
const STRIDED_SLICE: i32 = 45;
const PADV2: i32 = 60;

fn tensor(name: &str, shape: &[i32], dtype: i8, buffer: u32, zero_point: i64) -> Tensor {
    Tensor {
        shape: Some(shape.to_vec()),
        dtype,
        buffer,
        name: Some(name.to_owned()),
        quantization: Some(Box::new(QuantizationParameters {
            scale: Some(vec![0.5]),
            zero_point: Some(vec![zero_point]),
            ..QuantizationParameters::default()
        })),
        ..Tensor::default()
    }
}

fn buffer(bytes: &[u8]) -> super::schema::tflite::Buffer {
    super::schema::tflite::Buffer { data: Some(bytes.to_vec()), ..Default::default() }
}

fn operator(opcode_index: u32, inputs: &[i32], outputs: &[i32]) -> Operator {
    let options = Conv2DOptions { stride_w: 1, stride_h: 2, fused_activation_function: 1, ..Conv2DOptions::default() };
    Operator {
        opcode_index,
        inputs: Some(inputs.to_vec()),
        outputs: Some(outputs.to_vec()),
        builtin_options: Some(BuiltinOptions::Conv2D(Box::new(options))),
    }
}

/// `[1, 5, 4, 2] ∗ [3, 3, 3, 2] → [1, 3, 4, 3]`, SAME, without a bias.
fn convolution() -> Model {
    let code = |builtin_code, custom: Option<&str>| OperatorCode {
        deprecated_builtin_code: builtin_code as i8,
        custom_code: custom.map(str::to_owned),
        builtin_code,
        ..OperatorCode::default()
    };
    Model {
        version: 3,
        operator_codes: Some(vec![code(CONV_2D, None), code(CUSTOM, Some("Strange"))]),
        subgraphs: Some(vec![SubGraph {
            tensors: Some(vec![
                tensor("x", &[1, 5, 4, 2], INT8, 0, 7),
                tensor("w", &[3, 3, 3, 2], INT8, 1, 0),
                tensor("y", &[1, 3, 4, 3], INT8, 0, -3),
            ]),
            inputs: Some(vec![0]),
            outputs: Some(vec![2]),
            operators: Some(vec![operator(0, &[0, 1, -1], &[2])]),
        }]),
        description: Some("made by a test".to_owned()),
        buffers: Some(vec![buffer(&[]), buffer(&[1; 54])]),
    }
}

fn bytes(model: &Model) -> Vec<u8> {
    marked(Builder::new().finish(model, None))
}

/// `unmarked` with the mark at byte 4, where FlatBuffers have it; planus 1.3 would write it at byte 0. Moving all else
/// by 16 keeps it aligned.
fn marked(unmarked: &[u8]) -> Vec<u8> {
    let (&root, rest) = unmarked.split_first_chunk().unwrap();
    let root = u32::from_le_bytes(root) + 16;
    [&root.to_le_bytes(), b"TFL3".as_slice(), &[0; 12], rest].concat()
}

fn subgraph(model: &mut Model) -> &mut SubGraph {
    &mut model.subgraphs.as_mut().unwrap()[0]
}

fn tensors(model: &mut Model) -> &mut Vec<Tensor> {
    subgraph(model).tensors.as_mut().unwrap()
}

fn operators(model: &mut Model) -> &mut Vec<Operator> {
    subgraph(model).operators.as_mut().unwrap()
}

fn changed(change: impl FnOnce(&mut Model)) -> Result<Imported, ImportError> {
    let mut model = convolution();
    change(&mut model);
    read(&bytes(&model))
}

#[track_caller]
fn assert_malformed(change: impl FnOnce(&mut Model), words: &str) {
    match changed(change) {
        Err(error @ ImportError::Malformed { .. }) => assert!(error.to_string().contains(words), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_unsupported(change: impl FnOnce(&mut Model), words: &[&str]) {
    match changed(change) {
        Err(ImportError::Unsupported { reasons, .. }) => {
            let texts: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            assert_eq!(texts.len(), words.len(), "{texts:?}");
            texts.iter().zip(words).for_each(|(text, words)| assert!(text.contains(words), "{text}"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_convolution_is_imported() {
    let imported = read(&bytes(&convolution())).unwrap();
    verify(&imported.graph).unwrap();
    let [node] = imported.graph.nodes.as_slice() else { panic!("{:?}", imported.graph.nodes) };
    let Op::Conv2d(op) = &node.op else { panic!("{:?}", node.op) };
    assert_eq!((op.input_offset, op.padding_value), (-7, 7));
    assert_eq!(op.sliding.padding, [[1, 1], [1, 1]]);
    assert_eq!((node.name.as_str(), node.sources.as_slice(), node.model_macs), ("y", [0].as_slice(), 12 * 3 * 18));
    let bias = &imported.graph[node.inputs[2]];
    assert_eq!((bias.shape.as_slice(), bias.constant.as_deref()), ([3].as_slice(), Some([0; 12].as_slice())));
    assert_eq!(imported.file.parameters, 54);
    assert_eq!(imported.file.operators[0].op, "CONV_2D");
    assert_eq!(imported.file.description, "made by a test");
}

#[test]
fn an_open_output_shape_is_inferred() {
    let imported = changed(|model| tensors(model)[2].shape = None).unwrap();
    assert_eq!(imported.graph[imported.graph.outputs[0]].shape, [1, 3, 4, 3]);
}

#[test]
fn names_become_unique() {
    let imported = changed(|model| tensors(model).iter_mut().for_each(|tensor| tensor.name = None)).unwrap();
    verify(&imported.graph).unwrap();
}

#[test]
fn contradictions_are_malformed() {
    assert_malformed(|model| tensors(model)[2].shape = Some(vec![1, 3, 4, 4]), "what it reads makes [1, 3, 4, 3]");
    assert_malformed(|model| tensors(model)[1].buffer = 9, "buffer 9, which the file lacks");
    assert_malformed(|model| tensors(model)[1].shape = Some(vec![3, 3, 3, 1]), "needs 27 bytes, but has 54");
    assert_malformed(|model| tensors(model)[0].shape = Some(vec![1, -5, 4, 2]), "negative");
    assert_malformed(|model| operators(model)[0].opcode_index = 5, "code beyond the 2");
    assert_malformed(|model| operators(model)[0].inputs = Some(vec![0, 1, 77]), "names tensor 77 of 3");
    assert_malformed(|model| operators(model)[0].outputs = Some(vec![0]), "by the caller and by operator 0");
    assert_malformed(|model| operators(model)[0].outputs = Some(vec![1]), "by the file itself and by operator 0");
    assert_malformed(|model| operators(model)[0].inputs = Some(vec![2, 1]), "nothing before it writes");
    assert_malformed(|model| operators(model)[0].builtin_options = None, "lacks the options");
    assert_malformed(|model| operators(model).clear(), "is written by no operator");
    assert_malformed(|model| subgraph(model).inputs = Some(vec![0, 0]), "is written twice");
    assert_malformed(|model| subgraph(model).outputs = None, "no outputs");
    assert_malformed(|model| model.version = 4, "says version 4");
    assert_malformed(|model| model.subgraphs = None, "no subgraph");
    let second = operator(0, &[0, 1], &[2]);
    assert_malformed(|model| operators(model).push(second), "by operator 0 and by operator 1");
}

#[test]
fn all_that_is_not_supported_is_named_at_once() {
    assert_unsupported(
        |model| {
            tensors(model).extend([tensor("z", &[1], INT8, 0, 0), tensor("v", &[1, 3, 4, 3], INT64, 0, 0)]);
            operators(model).extend([operator(1, &[2], &[3]), operator(0, &[2, 1], &[4])]);
        },
        &[
            "CUSTOM:Strange version 1 'z' (operator 1, int8 → int8) is not supported; supported are ",
            "CONV_2D version 1 'v' (operator 2, int8, int8 → int64) has tensor 'v' of type int64; it takes int8 with",
        ],
    );
    assert_unsupported(|model| tensors(model)[0].is_variable = true, &["a variable", "a variable"]);
    assert_unsupported(|model| tensors(model)[1].quantization.as_mut().unwrap().zero_point = Some(vec![1]), &["symm"]);
    assert_unsupported(|model| tensors(model)[1].quantization.as_mut().unwrap().details_type = 2, &["blockwise"]);
    assert_unsupported(|model| model.buffers.as_mut().unwrap()[1].offset = 99, &["behind the FlatBuffer"]);
    assert_malformed(|model| subgraph(model).inputs = Some(vec![0, 1]), "by the file itself and by the caller");
}

#[test]
fn huge_tensors_are_refused_before_they_are_made() {
    let change = |model: &mut Model| tensors(model)[0].shape = Some(vec![i32::MAX; 4]);
    assert!(matches!(changed(change), Err(ImportError::TooLarge { .. })));
}

#[test]
fn a_file_that_repeats_itself_is_refused() {
    // Each of 20,000 operators reads the same 20,000 inputs by pointing to one list.
    let mut builder = Builder::new();
    let inputs = builder_list(&mut builder);
    let operators: Vec<_> = (0..20_000).map(|_| shared_operator(&mut builder, inputs)).collect();
    let tensor = tensor("x", &[1], INT8, 0, 0);
    let subgraph = SubGraph::builder()
        .tensors([tensor].as_slice())
        .inputs([0].as_slice())
        .outputs([0].as_slice())
        .operators(operators.as_slice())
        .finish(&mut builder);
    let model = Model::builder()
        .version(3)
        .operator_codes([OperatorCode::default()].as_slice())
        .subgraphs([subgraph].as_slice())
        .description_as_null()
        .buffers_as_null()
        .finish(&mut builder);
    let error = read(&marked(builder.finish(model, None))).unwrap_err();
    assert!(error.to_string().contains("parts of it overlap"), "{error}");
}

fn builder_list(builder: &mut Builder) -> planus::Offset<[i32]> {
    planus::WriteAsOffset::prepare(&vec![0; 20_000], builder)
}

fn shared_operator(builder: &mut Builder, inputs: planus::Offset<[i32]>) -> planus::Offset<Operator> {
    Operator::builder().opcode_index(0).inputs(inputs).outputs_as_null().builtin_options_as_null().finish(builder)
}

/// A model of one operator: inputs with their buffers, then the output; buffer 1 and up hold `buffers`.
fn single(
    builtin_code: i32,
    options: Option<BuiltinOptions>,
    tensors: Vec<Tensor>,
    buffers: &[&[u8]],
) -> Result<Imported, ImportError> {
    let output = tensors.len() as i32 - 1;
    let computed = |place: &i32| tensors[*place as usize].buffer == 0;
    let subgraph = SubGraph {
        inputs: Some((0..output).filter(computed).collect()),
        outputs: Some(vec![output]),
        operators: Some(vec![Operator {
            inputs: Some((0..output).collect()),
            outputs: Some(vec![output]),
            builtin_options: options,
            ..Operator::default()
        }]),
        tensors: Some(tensors),
    };
    let model = Model {
        version: 3,
        operator_codes: Some(vec![OperatorCode { builtin_code, ..OperatorCode::default() }]),
        subgraphs: Some(vec![subgraph]),
        buffers: Some([b"".as_slice()].iter().chain(buffers).map(|bytes| buffer(bytes)).collect()),
        ..Model::default()
    };
    read(&bytes(&model))
}

fn words(integers: &[i32]) -> Vec<u8> {
    integers.iter().flat_map(|integer| integer.to_le_bytes()).collect()
}

fn integers(buffer: u32, count: i32) -> Tensor {
    Tensor { quantization: None, ..tensor("integers", &[count], INT32, buffer, 0) }
}

/// The slices that `STRIDED_SLICE` makes of `[4, 5, 6]`, and the output's shape.
fn slice(lists: [&[i32]; 3], options: StridedSliceOptions, output: &[i32]) -> Result<StridedSlice, ImportError> {
    let count = lists[0].len() as i32;
    let tensors = vec![
        tensor("x", &[4, 5, 6], INT8, 0, 0),
        integers(1, count),
        integers(2, count),
        integers(3, count),
        tensor("y", output, INT8, 0, 0),
    ];
    let options = BuiltinOptions::StridedSlice(Box::new(options));
    let [begin, end, stride] = lists.map(words);
    let imported = single(STRIDED_SLICE, Some(options), tensors, &[&begin, &end, &stride])?;
    verify(&imported.graph).unwrap();
    match &imported.graph.nodes[0].op {
        Op::StridedSlice(op) => Ok(op.clone()),
        op => panic!("{op:?}"),
    }
}

#[test]
fn the_masks_of_slices_are_resolved() {
    let plain = StridedSliceOptions::default;
    // x[1:-1:2, ::-1] by a mask of begins and ends.
    let reversed = StridedSliceOptions { begin_mask: 2, end_mask: 2, ..plain() };
    let made = slice([&[1, 9], &[-1, 9], &[2, -1]], reversed, &[1, 5, 6]).unwrap();
    assert_eq!(made, StridedSlice { begin: vec![1, 4, 0], stride: vec![2, -1, 1], size: vec![1, 5, 6] });
    // x[-1, ..., 2:4] loses the first axis.
    let ellipsis = StridedSliceOptions { ellipsis_mask: 2, shrink_axis_mask: 1, ..plain() };
    let made = slice([&[-1, 0, 2], &[0, 0, 4], &[1, 1, 1]], ellipsis, &[5, 2]).unwrap();
    assert_eq!(made, StridedSlice { begin: vec![3, 0, 2], stride: vec![1, 1, 1], size: vec![1, 5, 2] });
    // x[newaxis, 1:1+2], the end counted from the begin.
    let added = StridedSliceOptions { new_axis_mask: 1, offset: true, ..plain() };
    let made = slice([&[0, 1], &[0, 2], &[1, 1]], added, &[1, 2, 5, 6]).unwrap();
    assert_eq!(made, StridedSlice { begin: vec![1, 0, 0], stride: vec![1, 1, 1], size: vec![2, 5, 6] });
}

#[test]
fn slices_that_make_no_sense_are_refused() {
    let plain = StridedSliceOptions::default;
    let refused = |lists, options| slice(lists, options, &[]).unwrap_err().to_string();
    assert!(refused([&[0], &[1], &[0]], plain()).contains("stride 0"));
    assert!(refused([&[2], &[2], &[1]], plain()).contains("no elements"));
    assert!(refused([&[0; 4], &[1; 4], &[1; 4]], plain()).contains("slices 4 axes"));
    let shrink = StridedSliceOptions { shrink_axis_mask: 1, ..plain() };
    assert!(refused([&[7], &[8], &[1]], shrink).contains("index 7 of an axis of size 4"));
}

#[test]
fn open_sizes_of_reshapes_are_filled_in() {
    let reshape = |shape: &[i32]| {
        let tensors =
            vec![tensor("x", &[2, 6], INT8, 0, 0), integers(1, shape.len() as i32), tensor("y", &[], INT8, 0, 0)];
        let imported = single(RESHAPE, None, tensors, &[&words(shape)])?;
        Ok::<_, ImportError>(imported.graph[imported.graph.outputs[0]].shape.clone())
    };
    assert_eq!(reshape(&[3, -1]), Ok(vec![3, 4]));
    assert_eq!(reshape(&[12]), Ok(vec![12]));
    for wrong in [[-1, -1], [5, -1], [3, 5], [0, -1], [-2, -6], [i32::MAX, i32::MAX]] {
        assert!(reshape(&wrong).is_err_and(|error| error.to_string().contains("makes shape")), "{wrong:?}");
    }
}

#[test]
fn float16_constants_become_floats_without_a_node() {
    let half = Tensor { quantization: None, ..tensor("half", &[2], FLOAT16, 1, 0) };
    let float = Tensor { quantization: None, ..tensor("float", &[2], FLOAT32, 0, 0) };
    let imported = single(DEQUANTIZE, None, vec![half, float], &[&[0x00, 0x3C, 0x00, 0xC1]]).unwrap();
    assert!(imported.graph.nodes.is_empty());
    assert_eq!(imported.graph[imported.graph.outputs[0]].values::<f32>(), Some(vec![1.0, -2.5]));
}

#[test]
fn padding_is_the_zero_point_or_the_given_value() {
    let pad = |code, value: &[u8]| {
        let mut tensors = vec![tensor("x", &[2], INT8, 0, 7), Tensor { shape: Some(vec![1, 2]), ..integers(1, 2) }];
        tensors.extend((!value.is_empty()).then(|| tensor("value", &[], INT8, 2, 7)));
        tensors.push(tensor("y", &[5], INT8, 0, 7));
        let imported = single(code, None, tensors, &[&words(&[1, 2]), value]).unwrap();
        let Op::Pad(op) = &imported.graph.nodes[0].op else { panic!("{:?}", imported.graph) };
        op.clone()
    };
    assert_eq!(pad(PAD, &[]), Pad { padding: vec![[1, 2]], value: 7.0 });
    assert_eq!(pad(PADV2, &[0xFD]), Pad { padding: vec![[1, 2]], value: -3.0 });
}

const VAR_HANDLE: i32 = 142;
const RESOURCE: i8 = 13;

/// A model that puts off its input by one call, and the subgraph that sets up the variable.
fn delayed() -> Model {
    let code = |builtin_code| OperatorCode { builtin_code, ..OperatorCode::default() };
    let call_once = CallOnceOptions { init_subgraph_index: 1 };
    let named = || {
        let options = VarHandleOptions { container: None, shared_name: Some("v".to_owned()) };
        Some(BuiltinOptions::VarHandle(Box::new(options)))
    };
    let operator = |opcode_index, inputs: &[i32], outputs: &[i32], builtin_options| Operator {
        opcode_index,
        inputs: Some(inputs.to_vec()),
        outputs: Some(outputs.to_vec()),
        builtin_options,
    };
    let handle = || Tensor { quantization: None, ..tensor("handle", &[], RESOURCE, 0, 0) };
    let main = SubGraph {
        tensors: Some(vec![tensor("x", &[2], INT8, 0, 3), handle(), tensor("y", &[2], INT8, 0, 3)]),
        inputs: Some(vec![0]),
        outputs: Some(vec![2]),
        operators: Some(vec![
            operator(0, &[], &[], Some(BuiltinOptions::CallOnce(Box::new(call_once)))),
            operator(1, &[], &[1], named()),
            operator(2, &[1], &[2], None),
            operator(3, &[1, 0], &[], None),
        ]),
    };
    let setup = SubGraph {
        tensors: Some(vec![handle(), tensor("initial", &[2], INT8, 1, 3)]),
        inputs: None,
        outputs: None,
        operators: Some(vec![operator(1, &[], &[0], named()), operator(3, &[0, 1], &[], None)]),
    };
    Model {
        version: 3,
        operator_codes: Some([129, VAR_HANDLE, 143, 144].map(code).to_vec()),
        subgraphs: Some(vec![main, setup]),
        buffers: Some(vec![buffer(&[]), buffer(&[8, 9])]),
        ..Model::default()
    }
}

/// What becomes of [`delayed`] after `change` of its subgraphs.
fn variable(change: impl FnOnce(&mut SubGraph, &mut SubGraph)) -> Result<Imported, ImportError> {
    let mut model = delayed();
    let [main, setup] = model.subgraphs.as_mut().unwrap().as_mut_slice() else { panic!() };
    change(main, setup);
    read(&bytes(&model))
}

#[test]
fn variables_become_states() {
    let imported = variable(|_, _| ()).unwrap();
    verify(&imported.graph).unwrap();
    let [state] = imported.graph.states.as_slice() else { panic!("{:?}", imported.graph.states) };
    assert_eq!((&imported.graph[state.tensor].name, &imported.graph[state.next].name), (&"y".into(), &"x".into()));
    assert_eq!(*state.initial, [8, 9]);
    // Without a value of the file's, a variable is what stands for zero.
    let unset = variable(|_, setup| setup.operators = None).unwrap();
    assert_eq!(*unset.graph.states[0].initial, [3, 3]);
}

#[test]
fn variables_that_make_no_sense_are_refused() {
    fn operators(graph: &mut SubGraph) -> &mut Vec<Operator> {
        graph.operators.as_mut().unwrap()
    }
    fn shape(graph: &mut SubGraph, tensor: usize, shape: &[i32]) {
        graph.tensors.as_mut().unwrap()[tensor].shape = Some(shape.to_vec());
    }
    let call = |subgraph| {
        move |main: &mut SubGraph, _: &mut SubGraph| {
            let options = CallOnceOptions { init_subgraph_index: subgraph };
            operators(main)[0].builtin_options = Some(BuiltinOptions::CallOnce(Box::new(options)));
        }
    };
    let refused = |result: Result<Imported, ImportError>, words: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    };
    refused(variable(call(2)), "calls subgraph 2, which the file lacks");
    refused(variable(call(-1)), "calls subgraph -1, which the file lacks");
    refused(variable(call(0)), "whose operator 0 is CALL_ONCE; supported are");
    refused(variable(|main, _| operators(main)[0].builtin_options = None), "lacks the options");
    refused(variable(|main, _| operators(main)[1].builtin_options = None), "lacks the options");
    refused(variable(|_, setup| operators(setup).swap(0, 1)), "assigns to what is no variable");
    refused(variable(|_, setup| setup.tensors.as_mut().unwrap()[1].buffer = 0), "constants alone are supported");
    refused(variable(|main, _| operators(main).swap(0, 2)), "which nothing before it writes");
    refused(variable(|main, _| operators(main).swap(0, 3)), "which nothing before it writes");
    refused(variable(|main, _| operators(main)[2].inputs = Some(vec![0])), "has handle 'x', which no VAR_HANDLE makes");
    refused(variable(|main, _| operators(main)[2].inputs = None), "lacks its input 0");
    refused(variable(|main, _| shape(main, 0, &[3])), "another type, shape or quantisation");
    refused(variable(|main, _| (0..3).for_each(|tensor| shape(main, tensor, &[3]))), "it is set up with int8[2]");
    refused(variable(|_, setup| shape(setup, 1, &[1])), "it is set up with int8[1]");
    let late = |main: &mut SubGraph, _: &mut SubGraph| operators(main).rotate_left(1);
    refused(variable(late), "sets up variable 'v' after it was read or assigned");
}

#[test]
fn splits_are_slices() {
    let split = |sizes: &[i32], axis: i32, outputs: &[&[i32]]| {
        let mut tensors = vec![tensor("x", &[4, 6], INT8, 0, 0), integers(1, sizes.len() as i32), integers(2, 1)];
        tensors.extend(outputs.iter().map(|shape| tensor("y", shape, INT8, 0, 0)));
        let written: Vec<i32> = (3..3 + outputs.len() as i32).collect();
        let operators = vec![operator(0, &[0, 1, 2], &written)];
        let subgraph = SubGraph {
            tensors: Some(tensors),
            inputs: Some(vec![0]),
            outputs: Some(written),
            operators: Some(operators),
        };
        let model = Model {
            version: 3,
            operator_codes: Some(vec![OperatorCode { builtin_code: 102, ..OperatorCode::default() }]),
            subgraphs: Some(vec![subgraph]),
            buffers: Some([&[], words(sizes).as_slice(), &words(&[axis])].map(buffer).to_vec()),
            ..Model::default()
        };
        let imported = read(&bytes(&model))?;
        verify(&imported.graph).unwrap();
        let begin = |node: &crate::graph::Node| match &node.op {
            Op::StridedSlice(op) => op.begin.clone(),
            op => panic!("{op:?}"),
        };
        Ok::<_, ImportError>(imported.graph.nodes.iter().map(begin).collect::<Vec<_>>())
    };
    assert_eq!(split(&[1, -1, 2], 1, &[&[4, 1], &[4, 3], &[4, 2]]).unwrap(), [[0, 0], [0, 1], [0, 4]]);
    assert_eq!(split(&[3, 1], -2, &[&[3, 6], &[1, 6]]).unwrap(), [[0, 0], [3, 0]]);
    for sizes in [[1, 2], [-1, -1], [5, -1], [-2, 6], [i32::MAX, i32::MAX]] {
        assert!(split(&sizes, 0, &[&[1, 6], &[3, 6]]).unwrap_err().to_string().contains("into 2 outputs"), "{sizes:?}");
    }
    assert!(split(&[1, 3], 2, &[&[1, 6], &[3, 6]]).is_err());
    assert!(split(&[4], 0, &[&[1, 6], &[3, 6]]).is_err());
}
