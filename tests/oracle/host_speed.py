"""Times models by our host program and by LiteRT's optimised built-in kernels, in turn, on one thread each.

    host_speed.py PROGRAM MODEL...

Each gives the least of many short rounds: what else runs on the machine only adds to a round, and some are short enough to be left alone.
"""

import pathlib
import subprocess
import sys
import time

import numpy
from ai_edge_litert.interpreter import Interpreter, OpResolverType

ROUNDS = 400
SECONDS = 0.003


class Ours:
    """The host program, in a process that runs as many inferences as it is told."""

    def __init__(self, program, model):
        self.process = subprocess.Popen([program, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def seconds(self, count):
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


class LiteRt:
    """LiteRT without delegates: the kernels that it optimises for x86-64 and AArch64, by ruy and gemmlowp."""

    def __init__(self, model):
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = Interpreter(model_path=model, experimental_op_resolver_type=resolver, num_threads=1)
        self.interpreter.allocate_tensors()
        random = numpy.random.default_rng(1)
        for detail in self.interpreter.get_input_details():
            self.interpreter.set_tensor(detail["index"], random.integers(-128, 128, detail["shape"]).astype(detail["dtype"]))

    def seconds(self, count):
        start = time.perf_counter()
        for _ in range(count):
            self.interpreter.invoke()
        return (time.perf_counter() - start) / count


def main(program, models):
    print(f"{'model':<24} {'ours':>10} {'LiteRT':>10}  ratio")
    for model in models:
        runners = [Ours(program, model), LiteRt(model)]
        counts = [max(1, round(SECONDS / min(runner.seconds(1) for _ in range(5)))) for runner in runners]
        rounds = [[runner.seconds(count) for runner, count in zip(runners, counts)] for _ in range(ROUNDS)]
        ours, theirs = (min(times) for times in zip(*rounds))
        print(f"{pathlib.Path(model).stem:<24} {1e3 * ours:>7.3f} ms {1e3 * theirs:>7.3f} ms  {ours / theirs:.2f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
