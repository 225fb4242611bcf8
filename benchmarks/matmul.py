"""How fast contractions run: beside NumPy's OpenBLAS on one thread, and as a share of what the machine can.

    python benchmarks/matmul.py [--dtype f32] [--repeat 40] [--only 64]

A shape is m, n, k, after a batch if there is one; a form says which operands are transposed in memory. gradc's kernel
repeats in a loop of its own; NumPy is called (``np.matmul(a, b, out=c)``), which costs it about half a microsecond. The
peak is that of independent vector multiply-adds. The three take short turns; of each the least time counts, which
is that of a turn in which nothing else ran.
"""

from __future__ import annotations

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported

import argparse
import math
import re
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from machine import multiply_adds
from rich.console import Console
from rich.table import Table

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.loops.language.program import Buffer, Call, Contraction, For, LoopProgram, size, whole
from gradc.loops.shaping.scratch import reserve

CUBES = (16, 32, 64, 100, 128, 256, 512, 1024, 2048)
SHAPES = [(s, s, s) for s in CUBES] + [
    (128, 10, 64), (10, 128, 64), (64, 128, 784), (64, 10, 128), (784, 128, 64), (64, 128, 10),
    (1, 512, 512), (1, 2048, 2048), (512, 1, 512), (2048, 1, 2048), (4, 512, 512),
    (4, 128, 784), (8, 128, 256), (100, 36, 100),
    (64, 16, 16, 16), (16, 64, 64, 64), (16, 128, 32, 128), (8, 128, 10, 64), (4, 256, 256, 256),
]  # fmt: skip
FORMS = {"A B": "ij,jk->ik", "A' B": "ji,jk->ik", "A B'": "ij,kj->ik", "A' B'": "ji,kj->ik"}
TURN = 1e-3
"""Seconds of a turn."""


def kernel(form: str, sizes: dict[str, int], dtype: np.dtype, times: int) -> LoopProgram:
    """``times`` times the same product."""
    lhs, rhs, out = form.replace("->", ",").split(",")
    buffers = [
        Buffer(name, dtype, tuple(sizes[letter] for letter in word), kind)
        for name, word, kind in (("a", lhs, "input"), ("b", rhs, "input"), ("c", out, "output"))
    ]
    contraction = Contraction(lhs, rhs, out, tuple((x, sizes[x]) for x in dict.fromkeys(lhs + rhs)), dtype)
    call = Call(contraction, tuple(whole(buffer) for buffer in buffers))
    program = LoopProgram("product", tuple(buffers), (For("turn", size(0), size(times), (call,)),))
    return reserve(program, lambda call: scratch_elements(call, program.buffer, host()))


def turns(actions: list[Callable[[], object]], repeat: int) -> list[list[float]]:
    """The seconds of processor time of each action in each round; they take turns, forwards and backwards."""
    seconds: list[list[float]] = [[] for _ in actions]
    for action in actions:
        action()
    for number in range(repeat):
        order = range(len(actions)) if number % 2 else reversed(range(len(actions)))
        for position in order:
            start = time.process_time()
            actions[position]()
            seconds[position].append(time.process_time() - start)
    return seconds


def repeated(action: Callable[[], object], times: int) -> Callable[[], None]:
    """An action that does another ``times`` times."""

    def run() -> None:
        for _ in range(times):
            action()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dtype", choices=("f32", "f64"), default="f32")
    parser.add_argument("--repeat", type=int, default=40, help="turns of each")
    parser.add_argument("--only", type=int, help="shapes with this size alone")
    parser.add_argument("--forms", default=",".join(FORMS), help="which transpositions")
    options = parser.parse_args()
    if unknown := set(options.forms.split(",")) - set(FORMS):
        parser.error(f"--forms takes some of {', '.join(FORMS)}; not {', '.join(sorted(unknown))}")
    dtype = np.dtype({"f32": "f4", "f64": "f8"}[options.dtype])
    rng = np.random.default_rng(0)
    at_peak, done_at_peak = multiply_adds(dtype)
    rate = done_at_peak / min(turns([at_peak], 20)[0])
    table = Table("m n k", "form", "us", "of peak", "over OpenBLAS", title=f"{options.dtype}, one thread")
    for column in table.columns[2:]:
        column.justify = "right"
    for *batch, m, n, k in SHAPES:
        if options.only and options.only not in (m, n, k):
            continue
        for label in options.forms.split(","):
            sizes = {"b": math.prod(batch), "i": m, "j": k, "k": n}
            products = math.prod(sizes.values())
            times = max(1, int(TURN / max(2 * products / rate, 1e-7)))
            peaks = max(1, int(TURN / 2 * rate / done_at_peak))
            form = re.sub(r"(\w+)", r"b\1", FORMS[label]) if batch else FORMS[label]
            program = kernel(form, sizes, dtype, times)
            a, b = (rng.standard_normal(tuple(map(int, x.shape))).astype(dtype) for x in program.inputs)
            entry = load(emit(program, host()), program)
            left = a.swapaxes(-1, -2) if "A'" in label else a
            right = b.swapaxes(-1, -2) if "B'" in label else b
            (c,) = entry([a, b])
            roundings = (k + 2) * np.finfo(dtype).eps  # half of them may be NumPy's
            assert np.all(np.abs(c - left @ right) <= roundings * (np.abs(left) @ np.abs(right)))
            numpy = repeated(partial(np.matmul, left, right, out=c), times)
            actions = [partial(entry, [a, b]), numpy, repeated(at_peak, peaks)]
            ours, theirs, bound = map(min, turns(actions, options.repeat))
            share = products * times / ours / (done_at_peak * peaks / bound)
            shape = " ".join(map(str, (*batch, m, n, k)))
            table.add_row(shape, label, f"{ours / times * 1e6:.2f}", f"{share:.0%}", f"{theirs / ours:.2f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
