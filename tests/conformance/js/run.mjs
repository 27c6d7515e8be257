// Runs the networks that jobs.json lists and writes what comes out: `node run.mjs`, in a folder with the package and the job.

import { readFileSync, writeFileSync } from "node:fs";
import { Network } from "rasbora";

const ARRAYS = { int8: Int8Array, uint8: Uint8Array, float32: Float32Array, int32: Int32Array, int16: Int16Array };

for (const { name, calls } of JSON.parse(readFileSync("jobs.json"))) {
  const network = await Network.load(readFileSync(`${name}.rasbora`));
  for (let call = 0; call < calls; call++) {
    const inputs = network.inputs.map(({ dtype }, index) => {
      const bytes = readFileSync(`${name}_${call}_${index}.in`);
      return new ARRAYS[dtype](bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    });
    let outputs;
    if (call % 2 === 0) {
      outputs = network.run(...inputs);
    } else {
      inputs.forEach((elements, index) => network.input(index).set(elements));
      while (!network.step(50_000));
      outputs = network.outputs.map((_, index) => network.output(index));
    }
    outputs.forEach((elements, index) => {
      const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
      writeFileSync(`${name}_${call}_${index}.out`, bytes);
    });
  }
}
