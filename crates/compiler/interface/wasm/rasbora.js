// Networks that Rasbora has packed, run by its interpreter in WebAssembly. See rasbora.d.ts.

const TYPES = {
  1: { dtype: "int8", array: Int8Array, least: -128, most: 127 },
  2: { dtype: "uint8", array: Uint8Array, least: 0, most: 255 },
  3: { dtype: "float32", array: Float32Array },
  4: { dtype: "int32", array: Int32Array, least: -2147483648, most: 2147483647 },
  5: { dtype: "int16", array: Int16Array, least: -32768, most: 32767 },
};

const REASONS = {
  "-1": ["memory", (bytes) => `there is no memory for it${bytes ? `: it needs ${bytes} bytes of arena` : ""}`],
  "-3": ["memory", (bytes) => `it needs ${bytes} bytes of arena`],
  "-7": ["format", () => "these bytes are no packed program"],
  "-8": ["version", () => "it is of a version of the format that this build lacks; pack it again"],
  "-9": ["truncated", () => "it ends too early, or points outside itself or its arena"],
  "-10": ["damaged", () => "its content does not match its hash"],
  "-11": ["kernel", (opcode) => `it needs kernel ${opcode}, which this build lacks`],
  "-12": ["layout", (step) => `the constants of step ${step} are packed in a layout that this build lacks`],
  "-13": ["parameters", (step) => `the parameters of step ${step} contradict each other`],
  "-14": ["operands", (step) => `the operands of step ${step} do not fit its parameters`],
};

export class RasboraError extends Error {
  constructor(code, detail) {
    const [reason, text] = REASONS[code] ?? ["other", () => `the code is ${code}`];
    super(`the program is refused: ${text(detail)}`);
    this.name = "RasboraError";
    this.reason = reason;
    this.code = code;
    this.detail = detail;
  }
}

let compiling;

async function compile() {
  const url = new URL("./rasbora.wasm", import.meta.url);
  if (url.protocol === "file:") {
    const { readFile } = await import("node:fs/promises");
    return WebAssembly.compile(await readFile(url));
  }
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`${url} cannot be loaded: ${response.status} ${response.statusText}`);
  }
  return WebAssembly.compile(await response.arrayBuffer());
}

function compiled() {
  // What fails is tried again by the next call.
  compiling ??= compile().catch((error) => {
    compiling = undefined;
    throw error;
  });
  return compiling;
}

function describe(field) {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setUint32(0, field(9));
  const type = TYPES[field(0)];
  const shape = Array.from({ length: field(1) }, (_, axis) => field(2 + axis) >>> 0);
  const length = (field(8) >>> 0) / type.array.BYTES_PER_ELEMENT;
  return Object.freeze({
    dtype: type.dtype,
    shape: Object.freeze(shape),
    length,
    scale: bits.getFloat32(0),
    zeroPoint: field(10) | 0,
  });
}

function typeOf(info) {
  return Object.values(TYPES).find((type) => type.dtype === info.dtype);
}

export class Network {
  #exports;

  constructor(exports) {
    this.#exports = exports;
    const all = (count, field) =>
      Object.freeze(Array.from({ length: count }, (_, index) => describe((number) => field(index, number))));
    this.inputs = all(exports.inputs(), exports.input_field);
    this.outputs = all(exports.outputs(), exports.output_field);
  }

  static async load(program) {
    const bytes = ArrayBuffer.isView(program)
      ? new Uint8Array(program.buffer, program.byteOffset, program.byteLength)
      : new Uint8Array(program);
    const { exports } = await WebAssembly.instantiate(await compiled());
    const place = exports.reserve(bytes.length) >>> 0;
    if (place === 0) {
      throw new RasboraError(-1, 0);
    }
    new Uint8Array(exports.memory.buffer).set(bytes, place);
    const code = exports.start(bytes.length);
    if (code !== 0) {
      throw new RasboraError(code, exports.detail() >>> 0);
    }
    return new Network(exports);
  }

  #elements(info, place) {
    return new (typeOf(info).array)(this.#exports.memory.buffer, place >>> 0, info.length);
  }

  input(index) {
    const info = this.inputs[index];
    if (info === undefined) {
      throw new RangeError(`there is no input ${index}: the network has ${this.inputs.length}`);
    }
    return this.#elements(info, this.#exports.input(index));
  }

  output(index) {
    const info = this.outputs[index];
    if (info === undefined) {
      throw new RangeError(`there is no output ${index}: the network has ${this.outputs.length}`);
    }
    return this.#elements(info, this.#exports.output(index));
  }

  run(...inputs) {
    inputs.forEach((elements, index) => {
      const place = this.input(index);
      if (elements?.constructor !== place.constructor || elements.length !== place.length) {
        const found = `${elements?.constructor?.name ?? elements} of ${elements?.length}`;
        throw new TypeError(`input ${index} needs ${place.constructor.name} of ${place.length}, not ${found}`);
      }
      place.set(elements);
    });
    this.#exports.run();
    return this.outputs.map((_, index) => this.output(index).slice());
  }

  step(budget) {
    return this.#exports.step(budget) === 0;
  }

  reset() {
    this.#exports.reset();
  }
}

export function quantise(info, real) {
  const { least, most } = typeOf(info);
  const steps = real / info.scale;
  const rounded = Math.sign(steps) * Math.floor(Math.abs(steps) + 0.5) + info.zeroPoint;
  return Number.isNaN(rounded) ? info.zeroPoint : Math.min(Math.max(rounded, least), most);
}

export function dequantise(info, integer) {
  return info.scale * (integer - info.zeroPoint);
}
