//! Operators on variables, which keep their value from one run to the next: they become [`State`]s of the graph.
//!
//! Along the file's order, each variable has the value that was assigned to it last. What is read before the first
//! assignment is a tensor of the graph that nothing writes, and the last value assigned is what it becomes.

use std::collections::HashMap;
use std::sync::Arc;

use super::schema::tflite::BuiltinOptionsRef;
use super::site::{Importer, Refusal, Site, unsupported};
use super::source::{Contents, SourceOperator, SourceTensor};
use crate::graph::{Quantisation, State, Tensor, TensorId};

/// Container and name: handles that agree in both are of one variable.
type Key<'a> = (&'a str, &'a str);

/// The variables of a file, and the tensors that are handles of them.
#[derive(Default)]
pub(super) struct Variables<'a> {
    list: Vec<Variable<'a>>,
    by_key: HashMap<Key<'a>, usize>,
    /// The variable for each tensor of the file that is a handle.
    handles: HashMap<usize, usize>,
}

#[derive(Default)]
struct Variable<'a> {
    name: &'a str,
    /// The elements that `CALL_ONCE` assigns, with the tensor's shape and type.
    initial: Option<(Value, &'a [u8])>,
    /// What reads before the first assignment read, and its first elements.
    first: Option<(TensorId, Arc<[u8]>)>,
    /// What was read or assigned last.
    current: Option<TensorId>,
}

/// What must agree between values of one variable.
#[derive(PartialEq)]
struct Value {
    dtype: String,
    shape: Vec<usize>,
}

impl Value {
    fn of(tensor: &SourceTensor<'_>) -> Self {
        Self { dtype: tensor.element.name(), shape: tensor.shape.clone() }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)
    }
}

impl<'a> Variables<'a> {
    fn find(&mut self, key: Key<'a>) -> usize {
        let next = self.list.len();
        let index = *self.by_key.entry(key).or_insert(next);
        if index == next {
            self.list.push(Variable { name: key.1, ..Variable::default() });
        }
        index
    }
}

impl Importer<'_> {
    /// Adds what the variables leave to the next run, once all operators are imported.
    pub(super) fn add_states(&mut self) {
        for variable in &self.variables.list {
            if let (Some((tensor, initial)), Some(next)) = (&variable.first, variable.current) {
                self.graph.states.push(State { tensor: *tensor, next, initial: initial.clone() });
            }
        }
    }
}

/// Container and name in the options of a `VAR_HANDLE`.
fn key<'a>(operator: &SourceOperator<'a>) -> Result<Option<Key<'a>>, Refusal> {
    let Some(BuiltinOptionsRef::VarHandle(options)) = operator.table.builtin_options()? else { return Ok(None) };
    Ok(Some((options.container()?.unwrap_or_default(), options.shared_name()?.unwrap_or_default())))
}

/// `VAR_HANDLE`.
pub(super) fn var_handle(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(key) = key(site.operator)? else { return site.without_options() };
    let output = site.output_index()?;
    let variables = &mut site.importer.variables;
    let index = variables.find(key);
    variables.handles.insert(output, index);
    Ok(())
}

/// The variable whose handle is input 0.
fn variable(site: &Site<'_, '_>) -> Result<usize, Refusal> {
    let handle = site.required(0)?;
    match site.importer.variables.handles.get(&handle) {
        Some(&index) => Ok(index),
        None => {
            let name = &site.importer.file_tensor(handle).name;
            site.malformed(format!("has handle '{name}', which no VAR_HANDLE makes"))
        }
    }
}

/// `READ_VARIABLE`.
pub(super) fn read_variable(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let index = variable(site)?;
    let output = site.output_index()?;
    let id = site.importer.tensor(output)?;
    match site.importer.variables.list[index].current {
        Some(current) => {
            agree(site, index, current, id)?;
            site.importer.alias(output, current);
        }
        None => {
            let initial = initial(site, index, output, id)?;
            let variable = &mut site.importer.variables.list[index];
            variable.first = Some((id, initial));
            variable.current = Some(id);
        }
    }
    Ok(())
}

/// `ASSIGN_VARIABLE`.
pub(super) fn assign_variable(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let index = variable(site)?;
    let value = site.input(1)?;
    if let Some(current) = site.importer.variables.list[index].current {
        agree(site, index, current, value)?;
    }
    site.importer.variables.list[index].current = Some(value);
    Ok(())
}

/// All values of a variable are of one type and shape, and mean the same.
fn agree(site: &Site<'_, '_>, index: usize, one: TensorId, other: TensorId) -> Result<(), Refusal> {
    let [one, other] = [one, other].map(|id| &site.importer.graph[id]);
    let means = |tensor: &Tensor| tensor.quantisation.as_ref().and_then(Quantisation::single);
    if (one.dtype, &one.shape, means(one)) == (other.dtype, &other.shape, means(other)) {
        return Ok(());
    }
    unsupported(format!(
        "gives variable '{}' the value '{}', which has another type, shape or quantisation than '{}'",
        site.importer.variables.list[index].name, other.name, one.name
    ))
}

/// The elements that the variable `index` has at first: those of `CALL_ONCE`, or what stands for zero, as TFLM has it.
fn initial(site: &Site<'_, '_>, index: usize, output: usize, id: TensorId) -> Result<Arc<[u8]>, Refusal> {
    let (tensor, wanted) = (&site.importer.graph[id], Value::of(site.importer.file_tensor(output)));
    let variable = &site.importer.variables.list[index];
    site.importer.budget.spend(tensor.bytes(), 1)?;
    match &variable.initial {
        Some((value, bytes)) if *value == wanted && bytes.len() == tensor.bytes() => Ok((*bytes).into()),
        Some((value, _)) => {
            unsupported(format!("reads variable '{}' as {wanted}, but it is set up with {value}", variable.name))
        }
        None => {
            let zero_point = tensor.affine().map_or(0, |(_, zero_point)| zero_point) as u8;
            let zero = if tensor.dtype.bytes() == 1 { zero_point } else { 0 };
            Ok(vec![zero; tensor.bytes()].into())
        }
    }
}

/// `CALL_ONCE`: a subgraph that assigns constants to variables, before anything is read of them.
pub(super) fn call_once(site: &mut Site<'_, '_>) -> Result<(), Refusal> {
    let Some(BuiltinOptionsRef::CallOnce(options)) = site.options()? else { return site.without_options() };
    let number = options.init_subgraph_index()?;
    let Some(setup) = site.importer.source.setup(number, site.importer.budget)? else {
        return site.malformed(format!("calls subgraph {number}, which the file lacks"));
    };
    let mut handles = HashMap::new();
    for operator in &setup.operators {
        match (operator.op.as_str(), operator.inputs.as_slice(), operator.outputs.as_slice()) {
            ("VAR_HANDLE", _, &[output]) => {
                let Some(key) = key(operator)? else { return site.without_options() };
                handles.insert(output, site.importer.variables.find(key));
            }
            ("ASSIGN_VARIABLE", &[Some(handle), Some(value)], _) => {
                let Some(&index) = handles.get(&handle) else {
                    return site.malformed(format!("calls subgraph {number}, which assigns to what is no variable"));
                };
                assign_initial(site, index, &setup.tensors[value])?;
            }
            (op, ..) => {
                return unsupported(format!(
                    "calls subgraph {number}, whose operator {} is {op}; supported are VAR_HANDLE and ASSIGN_VARIABLE",
                    operator.index
                ));
            }
        }
    }
    Ok(())
}

fn assign_initial<'a>(site: &mut Site<'_, 'a>, index: usize, value: &SourceTensor<'a>) -> Result<(), Refusal> {
    let Contents::Constant { bytes, .. } = value.contents else {
        return unsupported(format!("sets a variable to '{}', but constants alone are supported", value.name));
    };
    let variable = &mut site.importer.variables.list[index];
    if variable.current.is_some() {
        return unsupported(format!("sets up variable '{}' after it was read or assigned", variable.name));
    }
    variable.initial = Some((Value::of(value), bytes));
    Ok(())
}
