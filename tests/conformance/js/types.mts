// What the types of the package allow, and what they must not; the compiler of TypeScript reads it, nothing runs it.

import { Network, RasboraError, dequantise, quantise } from "rasbora";
import type { Elements, Reason, TensorInfo } from "rasbora";

const network: Network = await Network.load(new Uint8Array(16));
await Network.load(new ArrayBuffer(16));
const [scores]: Elements[] = network.run(new Int8Array(64), new Float32Array(1));
const input: TensorInfo = network.inputs[0];
const dtype: "int8" | "uint8" | "float32" | "int32" | "int16" = input.dtype;
const real: number = dequantise(network.outputs[0], scores[0]);
network.input(0)[0] = quantise(input, real + input.scale + input.zeroPoint + input.shape[0] + input.length);
const done: boolean = network.step(50_000);
network.reset();

/** A refusal with every reason that there is. */
export function text(error: unknown): string {
  if (!(error instanceof RasboraError)) {
    return `${dtype} ${done} ${network.output(0).length}`;
  }
  const reason: Reason = error.reason;
  switch (reason) {
    case "memory":
    case "format":
    case "version":
    case "truncated":
    case "damaged":
    case "kernel":
    case "layout":
    case "parameters":
    case "operands":
    case "other":
      return `${error.message} ${error.code} ${error.detail}`;
  }
}

// @ts-expect-error: a network is loaded, not made.
new Network();
// @ts-expect-error: a plain array has no type.
network.run([1, 2, 3]);
// @ts-expect-error: 64-bit elements are no tensor's.
network.run(new Float64Array(64));
// @ts-expect-error: loading takes time.
Network.load(new Uint8Array(16)).run();
// @ts-expect-error: a name is no file.
await Network.load("digits.rasbora");
// @ts-expect-error: what a network is does not change.
network.inputs[0].scale = 1;
// @ts-expect-error: nor does its list of inputs.
network.inputs.push(input);
// @ts-expect-error: a budget is needed.
network.step();
// @ts-expect-error: the tensor comes first.
quantise(1.5, input);
