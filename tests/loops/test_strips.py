"""Pairs of contractions that share a large matrix run strip of rows by strip, where nothing needs all rows before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.ir.target import Target
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Call, For, LoopProgram
from gradc.loops.language.traversal import statements_of
from gradc.loops.language.verify import verify
from gradc.loops.shaping.strips import in_strips

AVX512 = Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 512, 32, True)

MODEL = """\
program model
input x: f64[{n},90]
input w: f64[90]
input y: f64[{n}]
output loss: f64[]
output d_w: f64[90]
arena z: f64[{n}] at 0
arena d_z: f64[{n}] at {where}
arena {bytes} bytes

begin
  z{{0; 1}} = contract ij,j->i [i={n}, j=90] f64 (x{{0; 90, 1}}, w{{0; 1}})
  loss[] = 0.0
  for i in 0 to {n}:
    let r = z[i] - y[i]
    d_z[i] = 2.0 * r
    loss[] += r * r in 8 lanes of i, blocks of 1024
  d_w{{0; 1}} = contract i,ij->j [i={n}, j=90] f64 (d_z{{0; 1}}, x{{0; 90, 1}})
"""


def model(n: int = 2003, *, in_place: bool = False) -> LoopProgram:
    aligned = -(-8 * n // 64) * 64
    where = 0 if in_place else aligned
    return verify(parse_program(MODEL.format(n=n, where=where, bytes=where + aligned)))


def strips_of(program: LoopProgram) -> list[For]:
    """The loops around contractions."""
    loops = [s for s in statements_of(program.body) if isinstance(s, For)]
    return [loop for loop in loops if any(isinstance(inner, Call) for inner in loop.body)]


@pytest.mark.parametrize("n", [2000, 2003])
@pytest.mark.parametrize("in_place", [False, True])
def test_a_linear_model_reads_its_data_once(n: int, in_place: bool) -> None:
    program = model(n, in_place=in_place)
    striped = verify(in_strips(program))
    assert len(strips_of(striped)) == 1
    assert parse_program(str(striped)) == striped
    rng = np.random.default_rng(0)
    x, w, y = rng.standard_normal((n, 90)), rng.standard_normal(90), rng.standard_normal(n)
    loss, d_w = load(emit(striped, host()), striped)([x, w, y])
    r = x @ w - y
    np.testing.assert_allclose(loss, r @ r, rtol=1e-13)
    np.testing.assert_allclose(d_w, 2 * r @ x, rtol=1e-10, atol=1e-11)


def test_a_strip_is_a_divisor_of_the_rows_where_there_is_one() -> None:
    for rows, expected in ((2048, 32), (2040, 24), (2003, 32)):
        (loop,) = strips_of(in_strips(model(rows)))
        assert loop.step == expected


def test_a_symbolic_number_of_rows_is_looked_at_when_the_kernel_runs() -> None:
    """656 rows of 200 numbers are the first of more than 1 MB."""

    def sum_of_squares(w: Any, x: Any, y: Any) -> Any:
        return np.sum((x @ w - y) ** 2)

    step = gradc.value_and_grad(sum_of_squares)
    kernel = step.compile(gradc.aval("f64[200]"), gradc.aval("f64[n,200]"), gradc.aval("f64[n]"))
    assert "if {n} >= 656:" in str(kernel.loops)
    assert "step 16:" in str(kernel.loops)
    rng = np.random.default_rng(0)
    for n in (0, 1, 33, 655, 656, 672, 1003):
        w, x, y = rng.standard_normal(200), rng.standard_normal((n, 200)), rng.standard_normal(n)
        loss, d_w = kernel(w, x, y)
        r = x @ w - y
        np.testing.assert_allclose(loss, r @ r, rtol=1e-13)
        np.testing.assert_allclose(d_w, 2 * r @ x, rtol=1e-10, atol=1e-11)
        fixed = step(w, x, y)
        np.testing.assert_allclose(loss, fixed[0], rtol=1e-14)
        np.testing.assert_allclose(d_w, fixed[1], rtol=1e-12, atol=1e-12)


def test_rows_of_symbolic_width_are_left_whole() -> None:
    def loss(w: Any, x: Any, y: Any) -> Any:
        return np.sum((x @ w) ** 2)

    kernel = gradc.grad(loss).compile(gradc.aval("f64[m]"), gradc.aval("f64[n,m]"), gradc.aval("f64[n]"))
    assert "step" not in str(kernel.loops)
    w, x = np.arange(3.0), np.arange(12.0).reshape(4, 3)
    np.testing.assert_allclose(kernel(w, x, np.ones(4)), 2 * x.T @ (x @ w), rtol=1e-14)


def test_each_product_fetches_half_of_the_next_strip() -> None:
    """Which lies a strip of 32 rows of 90 elements ahead. What has no next strip fetches nothing."""
    functions = emit(in_strips(model(2048)), AVX512).split("\ndefine ")
    fetching = [f for f in functions if "call void @llvm.prefetch" in f]
    assert [("sums of 90 products in lanes" in f, "i64 2880" in f) for f in fetching] == [(True, True), (False, True)]
    assert "prefetch" not in emit(model(2048), AVX512)


def test_small_matrices_stay_as_they_are() -> None:
    program = model(500)
    assert in_strips(program) is program


def test_rows_that_share_memory_with_other_rows_stay_as_they_are() -> None:
    """d_z begins in the middle of z: a strip of it would be written over by the next strip of z."""
    text = MODEL.format(n=2048, where=8192, bytes=8192 + 8 * 2048)
    program = parse_program(text)
    assert in_strips(program) is program


BETWEEN = {
    "least squares": lambda x, w, y: np.sum((x @ w - y) ** 2),
    "logistic": lambda x, w, y: np.mean(np.logaddexp(0, -y * (x @ w))) + w @ w,
    "all rows before the gradient": lambda x, w, y: np.log(np.sum(np.exp(x @ w - y))),
    "a mean that is taken away": lambda x, w, y: np.sum((x @ w - np.mean(x @ w)) ** 2 * y),
    "rows out of order": lambda x, w, y: np.sum((x @ w)[::-1] * np.tanh(x @ w) * y),
    "neighbours": lambda x, w, y: np.sum(np.diff(x @ w) ** 2) + y[0],
    "running": lambda x, w, y: np.sum(np.tanh((x @ w) * y)) * np.sum(np.cos(x @ w)),
}


@pytest.mark.parametrize("name", BETWEEN)
def test_gradients_are_those_of_numpy_source(name: str) -> None:
    """Whatever lies between the contractions."""
    loss: Any = BETWEEN[name]
    rng = np.random.default_rng(1)
    x, w, y = rng.standard_normal((3001, 48)), rng.standard_normal(48) / 7, rng.standard_normal(3001)
    value, grad = gradc.value_and_grad(loss, wrt="w")(x, w, y)
    expected = gradc.value_and_grad(loss, wrt="w", backend="numpy")(x, w, y)
    np.testing.assert_allclose(value, expected[0], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(grad, expected[1], rtol=1e-9, atol=1e-11 * np.abs(expected[1]).max())


@pytest.mark.parametrize(("name", "expected"), [("logistic", 1), ("all rows before the gradient", 0)])
def test_what_is_in_strips(name: str, expected: int) -> None:
    loss: Any = BETWEEN[name]
    specs = gradc.aval("f64[3001,48]"), gradc.aval("f64[48]"), gradc.aval("f64[3001]")
    kernel = gradc.value_and_grad(loss, wrt="w").compile(*specs)
    assert len(strips_of(parse_program(kernel.loops))) == expected


def test_a_gradient_in_another_shape_is_added_up_in_strips() -> None:
    def loss(w: np.ndarray, x: np.ndarray) -> np.ndarray:
        return np.sum((x @ np.reshape(w, (90, 2))) ** 2)

    rng = np.random.default_rng(0)
    w, x = rng.normal(size=(9, 10, 2)), rng.normal(size=(3000, 90))
    kernel = gradc.grad(loss).compile(w, x)
    assert "for strip" in kernel.loops
    np.testing.assert_allclose(kernel(w, x), (2 * x.T @ (x @ w.reshape(90, 2))).reshape(w.shape), rtol=1e-11)
