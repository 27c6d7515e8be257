"""Fits, from above, what the rows of kernels cost: the table of crates/compiler/src/cost.rs.

    RASBORA_MODELS=DIR cargo test --release -p conformance --test costs -- --ignored --nocapture > counts.txt
    fit_costs.py counts.txt

where DIR holds networks of random_networks.py, for shapes that the corpus lacks. For every kernel a linear programme finds
the smallest coefficients, not negative, with which no count is above `call + rows * row`; a tenth is added.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from scipy.optimize import linprog

MARGIN = 1.1
# Below so many counts a kernel has those of the other column.
FEW = 20
# A call is no larger than this, lest one odd count hides in it; calls and rows are no smaller than these.
MOST_OF_CALL, LEAST_OF_CALL, LEAST_OF_ROW = 6000, 300, 50
# Coefficients of sizes that the counts hardly vary in: kernel, place in `Effort::row`, least value.
LEAST = {
    "MaxPool": {2: 10, 3: 5}, "AveragePool": {2: 10, 3: 5}, "MaxPoolF32": {3: 5}, "AveragePoolF32": {3: 5},
    "DepthwiseConv2d": {1: 20, 3: 5}, "DepthwiseConv2dF32": {3: 6}, "Table": {0: 5},
    "AddI8": {0: 60}, "MulI8": {0: 60}, "BinaryF32": {0: 60}, "Mean": {1: 10, 2: 3}, "MeanF32": {0: 100, 1: 10},
    "Conv2dF32": {1: 100, 3: 6}, "PairedConv2d": {0: 100, 1: 50}, "QuadDepthwiseConv2d": {0: 100},
}


def read(path):
    counts = defaultdict(list)
    for line in Path(path).read_text().splitlines():
        if line.startswith("count "):
            _, isa, kernel, rows, call, row, whole, dearest = line.split()
            sizes = [1.0, float(call), 1.0, *map(float, row.split(","))]
            counts[kernel, isa].append((int(rows), sizes, int(whole), int(dearest)))
    return counts


def fit(kernel, counts):
    wanted, limits = [], []
    for rows, sizes, whole, dearest in counts:
        sizes = np.array(sizes)
        if rows > 0:
            wanted.append(sizes / dearest)
        limits.append(np.concatenate([sizes[:2], rows * sizes[2:]]) / whole)
    matrix = np.array(wanted + limits)
    least = np.zeros(matrix.shape[1])
    least[0], least[2] = LEAST_OF_CALL, LEAST_OF_ROW
    for place, value in LEAST.get(kernel, {}).items():
        least[3 + place] = value
    bounds = [(value, MOST_OF_CALL if place == 0 else None) for place, value in enumerate(least)]
    found = linprog(matrix.sum(axis=0) + 1e-9, A_ub=-matrix, b_ub=-np.ones(len(matrix)), bounds=bounds)
    excess = matrix @ (found.x * MARGIN)
    print(f"{kernel}: {len(counts)} counts, median {np.median(excess):.2f}, most {excess.max():.2f}", file=sys.stderr)
    unused = ~matrix.any(axis=0)
    return np.where(unused, 0, found.x * MARGIN)


def literal(values):
    rounded = [float(f"{value:.3g}") for value in np.ceil(values * 100) / 100]
    call, row = rounded[:2], rounded[2:]
    while row and row[-1] == 0:
        row.pop()
    text = ["[" + ", ".join(f"{value:_}" for value in part) + "]" for part in (call, row)]
    return f"fitted({text[0]}, &{text[1]})"


def main():
    counts = read(sys.argv[1])
    table = (Path(__file__).parents[2] / "crates/device/src/ops/mod.rs").read_text()
    for kernel in re.findall(r"^ +\d+ => (\w+),", table, re.M):
        columns = []
        for isa in ("portable", "armv7em"):
            own = counts[kernel, isa]
            other = counts[kernel, "armv7em" if isa == "portable" else "portable"]
            columns.append(literal(fit(kernel, own if len(own) >= FEW or len(other) < FEW else other)))
        print(f"    ({kernel}::OPCODE, [{', '.join(columns)}]),")


if __name__ == "__main__":
    main()
