"""Runs a `.tflite` file by TFLM and by LiteRT's reference kernels, each in a process of its own.

Both may abort on a file that they do not like; what they print then is the reason that is reported.
"""

import multiprocessing
import os
import tempfile

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from tflite_micro import runtime as tflm_runtime

TFLM_ARENA_BYTES = 1 << 22


class Refused(Exception):
    """The oracle gives no outputs; the text says why."""


def litert(model, calls, every_tensor=False):
    """The outputs of each call by LiteRT's reference kernels; with `every_tensor` the values of all tensors by index instead."""
    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, experimental_preserve_all_tensors=every_tensor, num_threads=1,
    )
    interpreter.allocate_tensors()
    results = []
    for inputs in calls:
        for detail, values in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], values)
        interpreter.invoke()
        details = interpreter.get_tensor_details() if every_tensor else interpreter.get_output_details()
        found = {detail["index"]: interpreter.get_tensor(detail["index"]).copy() for detail in details if detail["name"]}
        results.append(found if every_tensor else [found[detail["index"]] for detail in details])
    return results


def tflm(model, calls, outputs):
    """The values of the `outputs` outputs of each call by TFLM's reference kernels."""
    interpreter = tflm_runtime.Interpreter.from_bytes(model, arena_size=TFLM_ARENA_BYTES)
    results = []
    for inputs in calls:
        for index, values in enumerate(inputs):
            interpreter.set_input(values, index)
        interpreter.invoke()
        results.append([interpreter.get_output(index).copy() for index in range(outputs)])
    return results


def guarded(function, *arguments, seconds=60):
    """`function(*arguments)` in a forked process. Raises `Refused` if it raises, crashes or takes too long."""
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    with tempfile.TemporaryFile() as log:
        process = fork.Process(target=report, args=(sender, log, function, arguments))
        process.start()
        sender.close()
        try:
            if not receiver.poll(seconds):
                raise Refused(f"no answer in {seconds} s")
            succeeded, result = receiver.recv()
        except EOFError:
            process.join()
            succeeded, result = False, f"exit code {process.exitcode}"
        finally:
            process.kill()
            process.join()
            receiver.close()
        log.seek(0)
        printed = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip() and not line.startswith("INFO")]
    if not succeeded:
        raise Refused("; ".join(printed[-3:] + [result]))
    return result


def report(sender, log, function, arguments):
    """The forked process: sends whether it succeeded, and the result or the error's text."""
    os.dup2(log.fileno(), 2)
    try:
        answer = (True, function(*arguments))
    except Exception as error:
        answer = (False, f"{type(error).__name__}: {error}".splitlines()[0])
    sender.send(answer)
    sender.close()
    os._exit(0)
