/** Elements of a tensor, row-major: the array's type is the tensor's. */
export type Elements = Int8Array | Uint8Array | Float32Array | Int32Array | Int16Array;

/** What an input or output of a network is. */
export interface TensorInfo {
  /** Type of the elements. */
  readonly dtype: "int8" | "uint8" | "float32" | "int32" | "int16";
  /** Sizes of the axes, row-major. */
  readonly shape: readonly number[];
  /** Number of elements. */
  readonly length: number;
  /** Real value of one step of the integer; 0 where the tensor is not quantised. */
  readonly scale: number;
  /** The integer that means zero. */
  readonly zeroPoint: number;
}

/** Why a program is refused. */
export type Reason =
  | "memory"
  | "format"
  | "version"
  | "truncated"
  | "damaged"
  | "kernel"
  | "layout"
  | "parameters"
  | "operands"
  | "other";

/** A program that is refused. */
export class RasboraError extends Error {
  /** What is wrong. */
  readonly reason: Reason;
  /** The same as a number, as `rasbora.h` lists them. */
  readonly code: number;
  /** What it is about: the bytes, the kernel or the step; else 0. */
  readonly detail: number;
}

/** A network, ready to run. Each has memory of its own. */
export class Network {
  private constructor();

  /**
   * Checks a packed program and takes memory for it.
   * @throws {RasboraError} where the program is refused.
   */
  static load(program: ArrayBuffer | ArrayBufferView): Promise<Network>;

  /** The network inputs, in the file's order. */
  readonly inputs: readonly TensorInfo[];
  /** The network outputs, in the file's order. */
  readonly outputs: readonly TensorInfo[];

  /**
   * One inference: the elements of each input in, new arrays with those of each output out. Inputs that are left out keep
   * what was written to {@link Network.input}.
   * @throws {TypeError} where an array has the wrong type or length.
   */
  run(...inputs: Elements[]): Elements[];

  /** Where input `index` lies, to be filled before {@link Network.step}. */
  input(index: number): Elements;

  /** Where output `index` lies, valid after an inference; the next one writes there again. */
  output(index: number): Elements;

  /**
   * A part of an inference, of about `budget` instructions of a small core: true once it is at its end. The next call then
   * begins another. Leave the inputs alone until then.
   */
  step(budget: number): boolean;

  /** Sets the network's state to its initial values, and gives up an inference that is begun. */
  reset(): void;
}

/** The integer for a real number: rounded half away from zero, saturated. */
export function quantise(info: TensorInfo, real: number): number;

/** The real number that an integer means. */
export function dequantise(info: TensorInfo, integer: number): number;
