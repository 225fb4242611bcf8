"""Loading and calling kernels."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import Entry, assembly, load, optimised_ir
from gradc.backends.llvm.machine import host
from gradc.errors import ArgumentError
from gradc.ir.aval import dim_value, maximum_dim, minimum_dim, symbol
from gradc.ir.target import GENERIC
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Buffer, LoopProgram, Store, b, size

SQUARES = """program squares
input x: f64[1000]
output y: f64[]
arena t: f64[1000] at 64
arena 8064 bytes

begin
  for i in 0 to 1000 vector:
    t[i] = x[i] * x[i]
  y[] = 0.0
  for i in 0 to 1000:
    y[] += t[i] in 8 lanes of i
"""

SCALAR = """program scalar
input x: f64[]
output y: f64[]

begin
  y[] = x[] * {factor}
"""


def loaded(text: str) -> Entry:
    program = parse_program(text)
    return load(emit(program, host()), program)


def test_ten_threads_calling_one_kernel_get_ten_right_answers() -> None:
    entry = loaded(SQUARES)
    right = [0] * 10

    def work(number: int) -> None:
        x = np.full(1000, float(number))
        right[number] = sum(float(entry([x])[0]) == 1000.0 * number * number for _ in range(300))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [300] * 10


def test_kernels_of_one_name_do_not_meet_and_may_die_in_any_order() -> None:
    entries = [loaded(SCALAR.format(factor=float(k))) for k in range(40)]
    one = np.array(1.0)
    assert [float(e([one])[0]) for e in entries] == [float(k) for k in range(40)]
    del entries[::2]
    gc.collect()
    assert [float(e([one])[0]) for e in entries] == [float(k) for k in range(1, 40, 2)]


@pytest.mark.parametrize("name", ["tanh", "memset", "main", "exp"])
def test_a_kernel_may_be_called_as_a_function_of_the_c_library(name: str) -> None:
    text = SCALAR.replace("program scalar", f"program {name}").replace("x[] * {factor}", "tanh(x[]) + exp(x[])")
    assert loaded(text)([np.array(0.5)])[0] == pytest.approx(np.tanh(0.5) + np.exp(0.5), rel=1e-15)


def test_results_are_new_arrays_on_every_call() -> None:
    entry = loaded(SQUARES)
    x = np.ones(1000)
    first, second = entry([x])[0], entry([x])[0]
    assert not np.shares_memory(first, second)
    assert not np.shares_memory(first, x)


@pytest.mark.parametrize(
    ("array", "got"),
    [
        (np.zeros(999), "f64[999]"),
        (np.zeros(1000, np.float32), "f32[1000]"),
        (np.zeros(2000)[::2], "f64[1000], not contiguous and aligned"),
        (np.zeros(8001, np.uint8)[1:].view(np.float64), "f64[1000], not contiguous and aligned"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(array: np.ndarray, got: str) -> None:
    entry = loaded(SQUARES)
    with pytest.raises(ArgumentError) as caught:
        entry([array])
    assert str(caught.value) == f"x: expected f64[1000], got {got}"
    assert entry([np.ones(1000)])[0] == 1000


def test_the_number_of_arrays_is_checked() -> None:
    with pytest.raises(ArgumentError, match="squares takes 1 arrays, got 2"):
        loaded(SQUARES)([np.ones(1000), np.ones(1000)])


def test_large_constants_are_linked_and_live_as_long_as_the_entry() -> None:
    data = np.random.default_rng(0).standard_normal(5000)
    constant = Buffer("table", data.dtype, (5000,), "constant", data=data.tobytes())
    place, y = Buffer("place", np.dtype("i8"), (), "input"), Buffer("y", data.dtype, (), "output")
    read = b.load(constant, (b.clamp(b.load(place), 5000),))
    program = LoopProgram("table_lookup", (place, y, constant), (Store("y", (), read),))
    ir = emit(program, host())
    assert len(ir) < 2000
    entry = load(ir, program)
    del constant, program
    gc.collect()
    assert [float(entry([np.array(k)])[0]) for k in (0, 17, 4999)] == data[[0, 17, 4999]].tolist()


def test_emission_is_deterministic_and_names_what_the_user_named() -> None:
    program = parse_program(SQUARES.replace("  y[] = 0.0", "  # y (model.py:3)\n  y[] = 0.0"))
    ir = emit(program, host())
    assert ir == emit(program, host())
    assert "; y (model.py:3)" in ir
    assert "%t = getelementptr" in ir


def test_optimised_ir_and_assembly_are_texts_of_fresh_modules() -> None:
    ir = emit(parse_program(SQUARES), host())
    assert assembly(ir, host()) == assembly(ir, host())
    assert "squares" in assembly(ir, host())
    assert "define" in optimised_ir(ir, host())


def test_a_generic_target_has_no_fused_multiply_add() -> None:
    text = """program product
input a: f32[40,40]
input c: f32[40,40]
output y: f32[40,40]

begin
  y{0; 40, 1} = contract ij,jk->ik [i=40, j=40, k=40] f32 (a{0; 40, 1}, c{0; 40, 1})
"""
    assert "llvm.fma" not in emit(parse_program(text), GENERIC)


def test_sizes_are_numbers_of_the_call(run: Callable[..., list[np.ndarray]]) -> None:
    batch, width = symbol("batch"), symbol("width")
    f8, i8 = np.dtype("f8"), np.dtype("i8")
    dims = [batch * width * 2 - 3, (batch - 9) // width, (batch - 9) % 4, batch // 8, minimum_dim(batch, width)]
    dims += [maximum_dim(batch, width), (width - width) // batch, batch * batch % (width - 9), (batch + 1) % width]
    x, y = Buffer("x", f8, (width, batch), "input"), Buffer("y", i8, (len(dims),), "output")
    program = LoopProgram("sizes", (x, y), tuple(Store("y", (size(k),), size(d)) for k, d in enumerate(dims)))
    for sizes in ({"batch": 7, "width": 3}, {"batch": 2, "width": 5}, {"batch": 40, "width": 8}):
        (got,) = run(program, np.zeros((sizes["width"], sizes["batch"])))
        assert got.tolist() == [dim_value(dim, sizes) for dim in dims]


def test_a_division_by_a_size_of_0(run: Callable[..., list[np.ndarray]]) -> None:
    batch = symbol("batch")
    x, y = Buffer("x", np.dtype("f8"), (batch,), "input"), Buffer("y", np.dtype("i8"), (2,), "output")
    stores = (Store("y", (size(0),), size(5 // batch)), Store("y", (size(1),), size(5 % batch)))
    (got,) = run(LoopProgram("division", (x, y), stores), np.zeros(0))
    assert got.tolist() == [0, 5]


SHORT_OF_MEMORY = """
import resource
import numpy as np
import gradc

def function(x, k):
    return np.sum(np.sin(x) * np.cos(x @ x)) * k

x = np.eye(3)
expected = gradc.grad(lambda x: function(x, 0.5))(x)
held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
refused = 0
for extra in range(0, 12 * 2**20, 2**19):
    resource.setrlimit(resource.RLIMIT_AS, (held + extra, -1))
    try:
        gradc.grad(lambda x: function(x, extra))(x)
    except MemoryError:
        refused += 1
resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
assert refused
assert (gradc.grad(lambda x: function(x, 0.5))(x) == expected).all()
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads how much memory the process has")
def test_a_compilation_that_gets_no_memory_raises() -> None:
    """LLVM ends the process where it gets none."""
    done = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
