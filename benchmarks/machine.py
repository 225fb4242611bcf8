"""What this machine can do at most, measured: multiply-adds, memory, exponentials."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import numpy as np

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import link, load
from gradc.backends.llvm.machine import host, parse, target_machine
from gradc.loops.language.program import Buffer, For, LoopProgram, Store, b, size, variable

CHAINS, STEPS = 12, 20_000
TRIADS = (24 << 10, 600 << 10, 8 << 20, 192 << 20)
"""Bytes of the three arrays of a triad: in the first, second and third cache, and beyond."""


def least(action: Callable[[], object], repeat: int = 5) -> float:
    """The least processor time of an action, after one run that is not counted."""
    action()
    seconds = []
    for _ in range(repeat):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def multiply_adds(dtype: np.dtype) -> tuple[Callable[[], None], int]:
    """A function that does multiply-adds in independent chains of vector registers, and how many it does."""
    target = host()
    lanes = target.lanes(dtype.itemsize)
    element, word = ("float", "f32") if dtype.itemsize == 4 else ("double", "f64")
    vector = f"<{lanes} x {element}>"
    fma = f"call {vector} @llvm.fma.v{lanes}{word}"
    lines = [
        f"declare {vector} @llvm.fma.v{lanes}{word}({vector}, {vector}, {vector})",
        f'define {element} @peak({element} %x) "prefer-vector-width"="{target.vector_bits}" {{\nentry:',
        f"  %one = insertelement {vector} poison, {element} %x, i64 0",
        f"  %v = shufflevector {vector} %one, {vector} poison, <{lanes} x i32> zeroinitializer",
        "  br label %body\nbody:",
        "  %i = phi i64 [ 0, %entry ], [ %next, %body ]",
        *[f"  %s{c} = phi {vector} [ %v, %entry ], [ %t{c}, %body ]" for c in range(CHAINS)],
        *[f"  %t{c} = {fma}({vector} %s{c}, {vector} %v, {vector} %v)" for c in range(CHAINS)],
        f"  %next = add i64 %i, 1\n  %more = icmp ult i64 %next, {STEPS}",
        "  br i1 %more, label %body, label %end\nend:",
        f"  %sum0 = fadd {vector} %t0, %t1",
        *[f"  %sum{c} = fadd {vector} %sum{c - 1}, %t{c + 1}" for c in range(1, CHAINS - 1)],
        f"  %r = extractelement {vector} %sum{CHAINS - 2}, i64 0\n  ret {element} %r\n}}",
    ]
    code = bytes(target_machine(target).emit_object(parse("\n".join(lines), target)))
    library = link(code, {}, ["peak"], "peak")
    kind = ctypes.c_float if dtype.itemsize == 4 else ctypes.c_double
    function = ctypes.CFUNCTYPE(kind, kind)(library["peak"])

    def run() -> None:
        assert library, "the code lives as long as its library"
        function(0.5)

    return run, CHAINS * STEPS * lanes


def peak(dtype: np.dtype) -> float:
    """Multiply-adds a second of one core."""
    run, count = multiply_adds(dtype)
    return count / least(run, 20)


def bandwidth(size_in_bytes: int) -> float:
    """Bytes a second of ``a[i] = b[i] + 3 * c[i]`` over arrays of so many bytes together, on one core."""
    count = size_in_bytes // 24
    times = max(1, (32 << 20) // size_in_bytes)
    double = np.dtype(np.float64)
    left, right = Buffer("left", double, (count,), "input"), Buffer("right", double, (count,), "input")
    i = variable("i")
    value = b.add(b.load(left, (i,)), b.mul(b.load(right, (i,)), b.constant(3.0, double)))
    body = For("i", size(0), size(count), (Store("sum", (i,), value),), mode="vector")
    turns = For("turn", size(0), size(times), (body,))
    program = LoopProgram("triad", (left, right, Buffer("sum", double, (count,), "output")), (turns,))
    entry = load(emit(program, host()), program)
    arrays = [np.ones(count) for _ in range(3)]
    pointers = [a.ctypes.data for a in arrays]
    return 24 * count * times / least(lambda: entry._call(*pointers, 0), 8)


def exponential(dtype: np.dtype) -> float:
    """Seconds an element of NumPy's ``exp``, in the first cache."""
    x = np.linspace(-3.0, 3.0, 2048).astype(dtype)
    out = np.empty_like(x)

    def many() -> None:
        for _ in range(500):
            np.exp(x, out=out)

    return least(many) / (500 * x.size)
