#!/usr/bin/env python3
"""Writes small random `.tflite` networks, and what TFLM and LiteRT's reference kernels make of them.

Conformance holds for shapes, options and combinations that no trained model happens to have only if something draws them. Half of the networks hold one operator
each, in turn; the other half are chains of 3 to 8, with branches. The same seed gives the same files.

`OUT/0000.tflite` goes with `OUT/0000.npz`: `in_<call>_<i>`, `out_<call>_<i>`, and `litert_<call>_<i>` where LiteRT's bytes differ from TFLM's. `out` is TFLM's
where TFLM runs the network, else LiteRT's. `OUT/index.json` lists for each file the oracle, operators, dtypes of inputs and outputs, and the largest difference.
"""

import argparse
import collections
import concurrent.futures
import functools
import json
import multiprocessing
import os
import pathlib
import re

import numpy as np

from draw import OPERATORS, Drawing, draw
from oracles import Refused, guarded, litert, tflm

CALLS = 3
ATTEMPTS = 40
# How often a network is of int8, of int16 and of float32.
DTYPES = (0.45, 0.25, 0.3)
LINEAR = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "SUB", "MUL")


class Unfit(Exception):
    """The drawn network is of no use; another is drawn."""


def single(d, name):
    """One operator."""
    ranks = [rank for rank in OPERATORS[name][1] if rank < 5 or d.chance(0.3)]
    shape = list(d.shape(int(d.random.choice(ranks))))
    if name == "SQUEEZE":
        shape[d.between(0, len(shape) - 1)] = 1
    if name == "DEQUANTIZE" and d.dtype == "float32":
        d.dtype = "int8"
    return draw(d, name, d.input(shape)) is not None


def chain(d):
    """Several operators, each as a rule on what came last."""
    for _ in range(2 if d.chance(0.15) else 1):
        x = d.input(d.shape(d.pick(4, 4, 4, 4, 3, 2, 1)))
    length = d.between(3, 8)
    name = None
    for _ in range(200):
        if len(d.network.nodes) >= length:
            return True
        if d.chance(0.04):
            d.values.append(d.constant(x.shape, x.dtype))
        operand = x if d.chance(0.8) else d.values[d.random.integers(len(d.values))]
        name = following(d, name)
        x = draw(d, name, operand) or x
    return False


def following(d, previous):
    """The next operator; those that compilers fuse follow each other more often."""
    if previous in ("PAD", "PADV2") and d.chance(0.6):
        return d.pick("CONV_2D", "DEPTHWISE_CONV_2D", "AVERAGE_POOL_2D")
    if previous in LINEAR and d.chance(0.2):
        return d.pick("RELU", "RELU6", "ADD", "MUL")
    names = list(OPERATORS)
    frequencies = np.array([OPERATORS[name][2] for name in names])
    return str(d.random.choice(names, p=frequencies / frequencies.sum()))


def finish(d):
    """Chooses the network outputs: what nothing reads, and at times a tensor in the middle. Inputs that nothing reads go."""
    read = {id(tensor) for node in d.network.nodes for tensor in node.inputs}
    d.network.inputs = [tensor for tensor in d.network.inputs if id(tensor) in read]
    outputs = d.network.sinks()
    inner = [node.output for node in d.network.nodes if node.output not in outputs and node.output.values is None and node.output.shape]
    if inner and d.chance(0.12):
        outputs.append(inner[d.random.integers(len(inner))])
    for value in outputs:
        d.output(value)


def samples(d):
    """Real values for every network input and call, each input about a mean of its own."""
    moments = [(d.random.normal(0, 1), d.random.uniform(0.3, 3)) for _ in d.network.inputs]
    return [[(d.random.normal(mean, spread, tensor.shape)).astype(np.float32) for tensor, (mean, spread) in zip(d.network.inputs, moments)] for _ in range(CALLS)]


def feed(d, reals):
    """The inputs of each call in the file's dtypes; the last call has every code of an integer dtype with the same chance."""
    calls = [[tensor.quantise(values) for tensor, values in zip(d.network.inputs, call)] for call in reals]
    for i, tensor in enumerate(d.network.inputs):
        if tensor.dtype in ("int8", "uint8", "int16"):
            limits = np.iinfo(tensor.dtype)
            calls[-1][i] = d.random.integers(limits.min, limits.max + 1, tensor.shape).astype(tensor.dtype)
    return calls


def attempt(seed, index, number):
    """Draws the `number`-th try of a network and runs it; raises `Unfit` or `Refused`."""
    d = Drawing([seed, index, number], str(np.random.default_rng([seed, index]).choice(["int8", "int16", "float32"], p=DTYPES)))
    names = list(OPERATORS)
    family = "chain" if index % 2 else "single"
    if not (chain(d) if index % 2 else single(d, names[index // 2 % len(names)])):
        raise Unfit("does not fit")
    finish(d)
    reals = samples(d)
    d.network.calibrate(reals)
    model, _ = d.network.encode()
    calls = feed(d, reals)
    entry = {
        "family": family, "ops": [node.name for node in d.network.nodes], "inputs": [tensor.dtype for tensor in d.network.inputs],
        "outputs": [tensor.dtype for tensor in d.network.outputs],
    }
    arrays = {f"in_{call}_{i}": values for call, inputs in enumerate(calls) for i, values in enumerate(inputs)}
    results = judge(model, calls, len(d.network.outputs))
    if isinstance(results[0], str) and any("narrow_bias" in node.labels for node in d.network.nodes):
        raise Unfit("LiteRT takes a bias of 32 bits for one of 64")
    record(entry, arrays, *results)
    return model, arrays, entry, [(node.name, node.inputs[0].dtype, sorted(node.labels)) for node in d.network.nodes]


def judge(model, calls, outputs):
    """What TFLM and LiteRT give, or why they give nothing; raises `Refused` if neither gives finite values."""
    results = []
    for function, arguments in ((tflm, (model, calls, outputs)), (litert, (model, calls))):
        try:
            results.append(guarded(function, *arguments))
        except Refused as reason:
            results.append(str(reason))
    if all(isinstance(result, str) for result in results):
        raise Refused(results[1])
    for result in results:
        if not isinstance(result, str) and not all(np.all(np.isfinite(values)) for call in result for values in call):
            raise Unfit("not finite")
    return results


def record(entry, arrays, by_tflm, by_litert):
    """Writes the outputs into `arrays`, and who gave them into `entry`."""
    entry["oracle"] = "litert" if isinstance(by_tflm, str) else "tflm"
    for name, result in (("tflm", by_tflm), ("litert", by_litert)):
        if isinstance(result, str):
            entry[f"{name}_refused"] = result
    chosen = by_litert if isinstance(by_tflm, str) else by_tflm
    arrays.update({f"out_{call}_{i}": values for call, outputs in enumerate(chosen) for i, values in enumerate(outputs)})
    if isinstance(by_tflm, str) or isinstance(by_litert, str):
        return
    pairs = {(call, i): (ours, theirs) for call in range(CALLS) for i, (ours, theirs) in enumerate(zip(by_tflm[call], by_litert[call]))}
    entry["difference"] = max(distance(*pair) for pair in pairs.values())
    arrays.update({f"litert_{call}_{i}": pair[1] for (call, i), pair in pairs.items() if pair[0].tobytes() != pair[1].tobytes()})


def distance(one, two):
    """The largest difference: in codes for 8-bit values, relative to the largest value for floats."""
    if one.shape != two.shape:
        return float("inf")
    gap = float(np.max(np.abs(one.astype(np.float64) - two.astype(np.float64)), initial=0))
    return gap / max(float(np.max(np.abs(two), initial=0)), 1e-30) if one.dtype == np.float32 else gap


def network(seed, folder, index):
    """Draws until a network is of use, and writes it."""
    reasons = []
    for number in range(ATTEMPTS):
        try:
            model, arrays, entry, drawn = attempt(seed, index, number)
        except (Unfit, Refused) as reason:
            reasons.append(str(reason))
            continue
        (folder / f"{index:04}.tflite").write_bytes(model)
        np.savez(folder / f"{index:04}.npz", **arrays)
        return {"file": f"{index:04}.tflite", **entry}, drawn, reasons
    raise RuntimeError(f"network {index} of seed {seed}: {ATTEMPTS} tries failed, the last: {reasons[-1]}")


def report(entries, drawn, reasons):
    """Prints what was covered."""
    totals, labelled = collections.Counter(), collections.defaultdict(collections.Counter)
    for name, dtype, labels in drawn:
        totals[name, dtype] += 1
        labelled[name].update(labels)
    kinds = ("int8", "int16", "float32")
    print(f"{'operator':18} {'int8':>5} {'int16':>5} {'float':>5} {'other':>5}  options")
    for name in OPERATORS:
        counts = [totals[name, kind] for kind in kinds] + [sum(n for (op, dtype), n in totals.items() if op == name and dtype not in kinds)]
        print(f"{name:18} " + " ".join(f"{count:5}" for count in counts) + "  " + " ".join(f"{label}:{n}" for label, n in sorted(labelled[name].items())))
    print("oracle:", dict(collections.Counter(entry["oracle"] for entry in entries)))
    differing = [entry for entry in entries if entry.get("difference")]
    print(f"TFLM and LiteRT differ in {len(differing)} of {sum('difference' in entry for entry in entries)} networks that both run")
    for title, texts in (("TFLM refused", [entry["tflm_refused"] for entry in entries if "tflm_refused" in entry]), ("drawn again", reasons)):
        print(f"{title}: {len(texts)}")
        for text, count in collections.Counter(re.sub(r"[Nn]umber \d+", "number …", text) for text in texts).most_common(12):
            print(f"  {count:4} {text[:180]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    entries, drawn, reasons = [], [], []
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("fork")) as pool:
        for entry, nodes, failed in pool.map(functools.partial(network, arguments.seed, arguments.out), range(arguments.count), chunksize=8):
            entries.append(entry)
            drawn += nodes
            reasons += failed
    (arguments.out / "index.json").write_text(json.dumps(entries, indent=1) + "\n")
    report(entries, drawn, reasons)


if __name__ == "__main__":
    main()
