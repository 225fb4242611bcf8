"""Epilogues of products whose depth or rows the call tells: with the last block, and the bits of a nest after it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import runs_epilogue
from gradc.loops.language.epilogue import unfused
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Call, LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.shaping.attach import with_epilogues

SIZES = (0, 1, 2, 7, 33, 1000, 1024, 1025, 2500)
"""No products, a block, and several."""

BODIES = {
    "decay": "y[i, k] = 0.5_{t} * other[i, k] + z",
    "bias and relu": "y[i, k] = maximum(z + bias[k], 0.0_{t})",
    "by row": "y[i, k] = (z - row[i]) * scalar[]",
    "in place": "c[i, k] = minimum(neg(z), bias[k])",
    "two results": "let t = z * 0.5_{t} + bias[k]\n    w[i, k] = t\n    y[i, k] = abs(t)",
}


def program_of(i: int, k: int, t: str, body: str, assign: str = "=") -> LoopProgram:
    """A product of depth ``n`` into a result that begins as ``other``."""
    return verify(
        parse_program(f"""\
program product
input a: {t}[n,{i}]
input b: {t}[n,{k}]
input bias: {t}[{k}]
input row: {t}[{i}]
input other: {t}[{i},{k}]
input scalar: {t}[]
output c: {t}[{i},{k}]
output y: {t}[{i},{k}]
output w: {t}[{i},{k}]

begin
  for i in 0 to {i}:
    for k in 0 to {k} vector:
      c[i, k] = other[i, k]
      y[i, k] = 0.0_{t}
      w[i, k] = 0.0_{t}
  c{{0; {k}, 1}} {assign} contract ji,jk->ik [j=n, i={i}, k={k}] {t} (a{{0; {i}, 1}}, b{{0; {k}, 1}}) then z of i, k:
    {body.format(t=t)}
""")
    )


def last_call(program: LoopProgram) -> Call:
    call = program.body[-1]
    assert isinstance(call, Call)
    return call


def assert_same_bits(program: LoopProgram) -> None:
    call = last_call(program)
    assert runs_epilogue(call, program.buffer, host())
    apart = verify(dataclasses.replace(program, body=(*program.body[:-1], *unfused(call))))
    fused, expected = (load(emit(each, host()), each) for each in (program, apart))
    rng = np.random.default_rng(0)
    for size in SIZES:
        shapes = [tuple(length if isinstance(length, int) else size for length in x.shape) for x in program.inputs]
        arrays = [rng.standard_normal(shape).astype(program.inputs[0].dtype) for shape in shapes]
        for ours, theirs in zip(fused(arrays), expected(arrays), strict=True):
            assert np.isfinite(theirs).all()
            assert ours.tobytes() == theirs.tobytes(), size


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("t", ["f32", "f64"])
def test_every_body(name: str, t: str) -> None:
    assert_same_bits(program_of(13, 45, t, BODIES[name]))


@pytest.mark.parametrize(("i", "k"), [(1, 100), (3, 700), (4, 64), (100, 10)])
def test_one_row_few_and_many(i: int, k: int) -> None:
    """With few rows, a large right operand is read along its rows, in many blocks."""
    assert_same_bits(program_of(i, k, "f64", BODIES["decay"]))


def test_a_result_that_is_added_to() -> None:
    assert_same_bits(program_of(9, 33, "f64", BODIES["bias and relu"], "+="))


def test_products_that_pack_whole_blocks_have_a_nest() -> None:
    program = program_of(700, 530, "f32", BODIES["decay"])
    assert not runs_epilogue(last_call(program), program.buffer, host())


def product_of_rows(depth: int, k: int, t: str, body: str) -> LoopProgram:
    """A product of ``n`` rows into a result that begins as 0."""
    return verify(
        parse_program(f"""\
program product
input a: {t}[n,{depth}]
input b: {t}[{depth},{k}]
input bias: {t}[{k}]
input row: {t}[n]
input other: {t}[n,{k}]
input scalar: {t}[]
output c: {t}[n,{k}]
output y: {t}[n,{k}]
output w: {t}[n,{k}]

begin
  for i in 0 to {{n}}:
    for k in 0 to {k} vector:
      c[i, k] = 0.0_{t}
      y[i, k] = 0.0_{t}
      w[i, k] = 0.0_{t}
  c{{0; {k}, 1}} = contract ij,jk->ik [i=n, j={depth}, k={k}] {t} (a{{0; {depth}, 1}}, b{{0; {k}, 1}}) then z of i, k:
    {body.format(t=t)}
""")
    )


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("t", ["f32", "f64"])
@pytest.mark.parametrize(("depth", "k"), [(3, 5), (40, 45), (1, 8), (784, 40)])
def test_rows_that_the_call_tells(name: str, t: str, depth: int, k: int) -> None:
    """Where panels of a large right operand are copied from some number of rows on, below it and above."""
    assert_same_bits(product_of_rows(depth, k, t, BODIES[name]))


ARENA = """\
program layer
input x: f64[n,6]
input m: f64[n,5]
output y: f64[6,5]
arena z: f64[6,5] at {z}
arena q: f64[6,5] at {q}
arena 64*((n + 7) // 8) + 64*((m + 7) // 8) + 1024 bytes

begin
  for i in 0 to 6:
    for j in 0 to 5:
      q[i, j] = 2.0
  z{{0; 5, 1}} = contract ki,kj->ij [k=n, i=6, j=5] f64 (x{{0; 6, 1}}, m{{0; 5, 1}})
  for i in 0 to 6:
    for j in 0 to 5 vector:
      y[i, j] = z[i, j] + q[i, j]
"""


@pytest.mark.parametrize(
    ("z", "q", "fuses"),
    [
        ("0", "256", True),
        ("64*((n + 7) // 8)", "64*((n + 7) // 8) + 256", True),
        ("64*((n + 7) // 8) + 256", "0", True),
        ("64*((n + 7) // 8)", "64*((n + 7) // 8) + 128", False),  # in the memory of the result
        ("64*((n + 7) // 8)", "0", False),  # for few rows
        ("64*((n + 7) // 8)", "64*((m + 7) // 8) + 256", False),  # for some sizes
    ],
)
def test_memory_lies_apart_only_where_its_form_tells(z: str, q: str, fuses: bool) -> None:
    program = parse_program(ARENA.format(z=z, q=q).replace("output y", "input unused: f64[m]\noutput y"))
    made = with_epilogues(program, lambda call: True)
    assert (" then total" in str(made)) is fuses


def test_a_regulariser_is_added_as_the_gradient_is_stored() -> None:
    def loss(w, x, y):
        z = x @ w
        return np.mean(np.log1p(np.exp(z)) - z * y) + 0.01 * np.sum(w * w)

    step = gradc.value_and_grad(loss)
    kernel = step.compile(gradc.aval("f64[100]"), gradc.aval("f64[n,100]"), gradc.aval("f64[n]"))
    assert kernel.loops.count(" then total") == 1
    expected = gradc.value_and_grad(loss, backend="numpy")
    rng = np.random.default_rng(0)
    for size in SIZES[1:]:
        arrays = rng.standard_normal(100) / 10, rng.standard_normal((size, 100)), rng.standard_normal(size)
        (value, grad), (wanted, wanted_grad) = kernel(*arrays), expected(*arrays)
        np.testing.assert_allclose(value, wanted, rtol=1e-12)
        np.testing.assert_allclose(grad, wanted_grad, rtol=1e-11, atol=1e-13)
