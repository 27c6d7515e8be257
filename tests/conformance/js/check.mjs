// Holds the wrapper to its types: `node check.mjs`, in a folder with the package, the packed digits model, and damaged ones
// of the same length in one file.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Network, RasboraError, dequantise, quantise } from "rasbora";

const program = readFileSync("digits.rasbora");
const damagedBy = (change) => {
  const bytes = new Uint8Array(program);
  change(bytes);
  return bytes;
};
const refuses = async (bytes, reason) => {
  await assert.rejects(Network.load(bytes), (error) => error instanceof RasboraError && error.reason === reason);
};

const network = await Network.load(program);
const [input] = network.inputs;
assert.deepEqual([input.dtype, input.length, network.outputs[0].length], ["int8", 64, 10]);
assert.equal(input.shape.reduce((product, size) => product * size, 1), input.length);
const image = Int8Array.from({ length: 64 }, (_, index) => (index * 37) % 251 - 125);
const [scores] = network.run(image);
assert.ok(scores instanceof Int8Array && scores.length === 10);

// In steps, and by another network at the same time, from an array buffer: the same bytes, each in memory of its own.
const other = await Network.load(new Uint8Array(program).buffer);
network.input(0).set(image);
let steps = 1;
while (!network.step(1)) {
  other.run(new Int8Array(64));
  steps++;
}
assert.ok(steps > 10);
assert.deepEqual(network.output(0), scores);
network.input(0).set(image);
network.step(1);
network.reset();
assert.deepEqual(network.run(image)[0], scores);

assert.throws(() => network.run(new Float32Array(64)), TypeError);
assert.throws(() => network.run(new Int8Array(63)), TypeError);
assert.throws(() => network.input(1), RangeError);
assert.throws(() => network.output(-1), RangeError);
for (const real of [0, 0.25, 0.5, 1, -3, 7]) {
  const integer = quantise(input, real);
  assert.ok(integer >= -128 && integer <= 127);
  if (real >= 0 && real < 1) {
    assert.ok(Math.abs(dequantise(input, integer) - real) <= input.scale / 2);
  }
}

await refuses(new Uint8Array(0), "truncated");
await refuses(new TextEncoder().encode("not a program, but of more than forty bytes"), "format");
await refuses(damagedBy((bytes) => (bytes[4] ^= 64)), "version");
await refuses(damagedBy((bytes) => (bytes[100] ^= 1)), "damaged");
await refuses(new Uint8Array(program).subarray(0, program.length - 1), "truncated");

// Damaged programs: refused or run, and never a trap.
const damaged = readFileSync("damaged");
let accepted = 0;
for (let start = 0; start < damaged.length; start += program.length) {
  try {
    const network = await Network.load(damaged.subarray(start, start + program.length));
    network.run();
    while (!network.step(100_000));
    accepted++;
  } catch (error) {
    assert.ok(error instanceof RasboraError, String(error));
  }
}
console.log(`${damaged.length / program.length} damaged programs, ${accepted} of them run`);
assert.ok(accepted > 0);
