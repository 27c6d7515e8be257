//! Reads the text form: recursive descent, one function a part of the grammar.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::cursor::Cursor;
use super::{TextError, ron_options, short_hash};
use crate::graph::verify::checked_bytes;
use crate::graph::{DType, Graph, MAX_RANK, Node, Quantisation, Shape, State, Tensor, TensorId, bytes_of, dtype_name};
use crate::ops::Op;

/// What a constant or a state needs.
const NOT_DECLARED: &str = "the declaration of a tensor: index, name, type and shape";

/// The graph of `text`; `constants` is the side file, where the text refers to one.
///
/// The graph is as the text says: whether it makes sense, [`verify`](crate::graph::verify::verify) decides. Memory is at
/// most proportional to the two inputs.
///
/// # Errors
/// [`TextError`] says where the text is no graph.
pub fn parse(text: &str, constants: Option<&[u8]>) -> Result<Graph, TextError> {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        side: Side { bytes: constants, lists: HashMap::new(), taken: 0 },
        tensors: HashMap::new(),
        mentions: Vec::new(),
        graph: Graph::default(),
    };
    parser.graph()?;
    parser.finish()
}

/// The side file, and the lists of it that were read.
struct Side<'t> {
    bytes: Option<&'t [u8]>,
    lists: HashMap<Range<usize>, (String, Arc<[u8]>)>,
    /// Sum of the lengths in `lists`, so that overlapping lists cannot ask for more memory than the file has.
    taken: usize,
}

impl Side<'_> {
    /// The bytes `range`, or what was expected.
    fn list(&mut self, range: Range<usize>, hash: &str) -> Result<Arc<[u8]>, String> {
        if let Some((found, list)) = self.lists.get(&range)
            && found == hash
        {
            return Ok(list.clone());
        }
        let bytes = self.bytes.ok_or("a side file with the constants beside the text")?;
        let list =
            bytes.get(range.clone()).ok_or_else(|| format!("bytes inside the side file, which has {}", bytes.len()))?;
        self.taken += list.len();
        if self.taken > bytes.len() {
            return Err("lists that do not overlap in the side file".into());
        }
        let found = short_hash(list);
        if found != hash {
            return Err(format!("the hash #{found}, which these bytes of the side file have"));
        }
        let list: Arc<[u8]> = list.into();
        self.lists.insert(range, (found, list.clone()));
        Ok(list)
    }
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    side: Side<'t>,
    /// Declared tensors by index.
    tensors: HashMap<usize, Tensor>,
    /// Where an index is mentioned, for the error that it is not declared.
    mentions: Vec<(usize, TensorId)>,
    graph: Graph,
}

impl Parser<'_> {
    fn graph(&mut self) -> Result<(), TextError> {
        self.cursor.expect("graph")?;
        self.cursor.expect("{")?;
        while !self.cursor.eat("}") {
            self.statement()?;
        }
        if self.cursor.at_end() { Ok(()) } else { Err(self.cursor.error("the end of the text after `}`")) }
    }

    fn statement(&mut self) -> Result<(), TextError> {
        if self.cursor.eat("input") {
            let id = self.tensor()?;
            self.graph.inputs.push(id);
            Ok(())
        } else if self.cursor.eat("const") {
            self.constant()
        } else if self.cursor.eat("state") {
            self.state()
        } else if self.cursor.eat("tensor") {
            self.tensor().map(|_| ())
        } else if self.cursor.eat("output") {
            let id = self.id()?;
            self.graph.outputs.push(id);
            Ok(())
        } else {
            self.node()
        }
    }

    /// `%3`
    fn id(&mut self) -> Result<TensorId, TextError> {
        let mark = self.cursor.mark();
        if !self.cursor.eat("%") {
            return Err(self.cursor.error("a tensor such as %0"));
        }
        let id = TensorId(self.cursor.number("the index of a tensor")?);
        self.mentions.push((mark, id));
        Ok(id)
    }

    /// `%3 "y" int8[1, 4] scale 0.5 zero 0 @3`, or `%3` alone.
    fn tensor(&mut self) -> Result<TensorId, TextError> {
        let mark = self.cursor.mark();
        let id = self.id()?;
        let name_at = self.cursor.mark();
        if !self.cursor.eat("\"") {
            return Ok(id);
        }
        self.cursor.reset(name_at);
        let name = self.cursor.string()?;
        let dtype = self.dtype()?;
        let shape = self.shape(dtype)?;
        let quantisation = self.quantisation()?;
        let source =
            if self.cursor.eat("@") { Some(self.cursor.number("the index of a file's tensor")?) } else { None };
        let tensor = Tensor { name, shape, dtype, quantisation, constant: None, source };
        if self.tensors.insert(id.0, tensor).is_some() {
            return Err(self.cursor.error_at(mark, format!("one declaration of {id}, with a second")));
        }
        Ok(id)
    }

    fn dtype(&mut self) -> Result<DType, TextError> {
        let mark = self.cursor.mark();
        let word = self.cursor.word();
        DTYPES.into_iter().find(|&dtype| dtype_name(dtype) == word).ok_or_else(|| {
            self.cursor.error_at(mark, format!("one of the types {}", DTYPES.map(dtype_name).join(", ")))
        })
    }

    fn shape(&mut self, dtype: DType) -> Result<Shape, TextError> {
        let mark = self.cursor.mark();
        self.cursor.expect("[")?;
        let mut shape = Shape::new();
        self.cursor.items("]", |cursor| {
            if shape.len() == MAX_RANK {
                return Err(cursor.error(format!("at most {MAX_RANK} axes")));
            }
            shape.push(cursor.number("the size of an axis")?);
            Ok(())
        })?;
        if checked_bytes(&shape, dtype).is_none() {
            return Err(self.cursor.error_at(mark, "a shape of less than 2^31 bytes"));
        }
        Ok(shape)
    }

    fn quantisation(&mut self) -> Result<Option<Quantisation>, TextError> {
        if self.cursor.eat("scale") {
            let scale = self.cursor.float()?;
            self.cursor.expect("zero")?;
            return Ok(Some(Quantisation::per_tensor(scale, self.cursor.number("a zero point")?)));
        }
        if !self.cursor.eat("scales") {
            return Ok(None);
        }
        let scales = self.cursor.list(Cursor::float)?;
        let zero_points = if self.cursor.eat("zeros") {
            self.cursor.list(|cursor| cursor.number("a zero point"))?
        } else {
            vec![0; scales.len()]
        };
        self.cursor.expect("axis")?;
        let axis = self.cursor.number("an axis")?;
        Ok(Some(Quantisation { scales, zero_points, axis }))
    }

    /// `#9f86d081884c7d65 32 bytes at 0`, where it is next.
    fn reference(&mut self) -> Result<Option<Arc<[u8]>>, TextError> {
        let mark = self.cursor.mark();
        if !self.cursor.eat("#") {
            return Ok(None);
        }
        let hash = self.cursor.word();
        let length: usize = self.cursor.number("a number of bytes")?;
        self.cursor.expect("bytes")?;
        self.cursor.expect("at")?;
        let offset: usize = self.cursor.number("an offset in the side file")?;
        let range = offset..offset.saturating_add(length);
        self.side.list(range, hash).map(Some).map_err(|expected| self.cursor.error_at(mark, expected))
    }

    fn constant(&mut self) -> Result<(), TextError> {
        let mark = self.cursor.mark();
        let id = self.tensor()?;
        self.cursor.expect("=")?;
        let bytes = self.elements_of(mark, id)?;
        match self.tensors.get_mut(&id.0) {
            Some(Tensor { constant: constant @ None, .. }) => *constant = Some(bytes),
            _ => return Err(self.cursor.error_at(mark, NOT_DECLARED)),
        }
        Ok(())
    }

    /// `%0 "s" int8[2] = [1, 2] becomes %3`
    fn state(&mut self) -> Result<(), TextError> {
        let mark = self.cursor.mark();
        let tensor = self.tensor()?;
        self.cursor.expect("=")?;
        let initial = self.elements_of(mark, tensor)?;
        self.cursor.expect("becomes")?;
        let next = self.id()?;
        self.graph.states.push(State { tensor, next, initial });
        Ok(())
    }

    /// The elements of `id`, which was declared at `mark` or before.
    fn elements_of(&mut self, mark: usize, id: TensorId) -> Result<Arc<[u8]>, TextError> {
        let Some(dtype) = self.tensors.get(&id.0).map(|tensor| tensor.dtype) else {
            return Err(self.cursor.error_at(mark, NOT_DECLARED));
        };
        match self.reference()? {
            Some(bytes) => Ok(bytes),
            None => Ok(self.elements(dtype)?.into()),
        }
    }

    fn elements(&mut self, dtype: DType) -> Result<Vec<u8>, TextError> {
        Ok(match dtype {
            DType::I8 => bytes_of(self.cursor.list::<i8>(|cursor| cursor.number("an int8"))?),
            DType::U8 => bytes_of(self.cursor.list::<u8>(|cursor| cursor.number("a uint8"))?),
            DType::I32 => bytes_of(self.cursor.list::<i32>(|cursor| cursor.number("an int32"))?),
            DType::I16 => bytes_of(self.cursor.list::<i16>(|cursor| cursor.number("an int16"))?),
            DType::F32 => bytes_of(self.cursor.list::<f32>(Cursor::float)?),
        })
    }

    /// `%3 "y" int8[1, 4] = Op(…)(%0, %1) named "a+b" from [0, 1] macs 32`
    fn node(&mut self) -> Result<(), TextError> {
        let (outputs, first) = self.node_outputs()?;
        let op = self.op()?;
        self.cursor.expect("(")?;
        let mut inputs = Vec::new();
        if !self.cursor.eat(")") {
            loop {
                inputs.push(self.id()?);
                if self.cursor.eat(")") {
                    break;
                }
                self.cursor.expect(",")?;
            }
        }
        let name = if self.cursor.eat("named") {
            self.cursor.string()?
        } else {
            first.ok_or_else(|| self.cursor.error("`named` and the node's name, as it declares no tensor"))?
        };
        let sources = if self.cursor.eat("from") {
            self.cursor.list(|cursor| cursor.number("the index of a file's operator"))?
        } else {
            Vec::new()
        };
        let model_macs =
            if self.cursor.eat("macs") { self.cursor.number("a number of multiply-accumulates")? } else { 0 };
        self.graph.nodes.push(Node { name, op, inputs, outputs, sources, model_macs });
        Ok(())
    }

    /// The tensors before `=`, and the name of the first where it is declared here.
    fn node_outputs(&mut self) -> Result<(Vec<TensorId>, Option<String>), TextError> {
        if self.cursor.eat("(") {
            self.cursor.expect(")")?;
            self.cursor.expect("=")?;
            return Ok((Vec::new(), None));
        }
        let mark = self.cursor.mark();
        if !self.cursor.eat("%") {
            return Err(self.cursor.error("`input`, `const`, `state`, `tensor`, `output`, a node, or `}`"));
        }
        self.cursor.reset(mark);
        let declared = self.tensors.len();
        let first = self.tensor()?;
        let name =
            self.tensors.get(&first.0).filter(|_| self.tensors.len() > declared).map(|tensor| tensor.name.clone());
        let mut outputs = vec![first];
        loop {
            if self.cursor.eat("=") {
                return Ok((outputs, name));
            }
            if !self.cursor.eat(",") {
                return Err(self.cursor.error("`=` and an op, or `,` and another output"));
            }
            outputs.push(self.tensor()?);
        }
    }

    fn op(&mut self) -> Result<Op, TextError> {
        let mark = self.cursor.mark();
        let text = self.cursor.op()?;
        ron_options().from_str(text).map_err(|error| {
            let place = error.span.start;
            let line_start: usize = text.split_inclusive('\n').take(place.line.saturating_sub(1)).map(str::len).sum();
            let line = text.get(line_start..).unwrap_or_default();
            let column: usize = line.chars().take(place.col.saturating_sub(1)).map(char::len_utf8).sum();
            let expected = format!("an op with its attributes: {}", error.code);
            self.cursor.error_at(mark + line_start + column, expected)
        })
    }

    /// Puts the tensors in the order of their indices.
    fn finish(mut self) -> Result<Graph, TextError> {
        let count = self.tensors.len();
        for &(mark, id) in &self.mentions {
            if !self.tensors.contains_key(&id.0) {
                return Err(self.cursor.error_at(mark, format!("a tensor that is declared, unlike {id}")));
            }
            if id.0 >= count {
                return Err(self.cursor.error_at(mark, format!("indices without a gap: {count} tensors are declared")));
            }
        }
        self.graph.tensors = (0..count).filter_map(|index| self.tensors.remove(&index)).collect();
        Ok(self.graph)
    }
}

/// All types.
const DTYPES: [DType; 5] = [DType::I8, DType::U8, DType::F32, DType::I32, DType::I16];
