"""Functions of small arrays: computed for all elements at once, and no exponential twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest

import gradc
from gradc.ir.aval import aval
from gradc.ir.graph import Builder
from gradc.loops.language.program import SEQUENTIAL, Accumulate, Apply, Constant, For, Statement, walk
from gradc.loops.language.traversal import expressions_of, statements_of
from gradc.loops.lowering.flat import flat_nodes
from gradc.ops.elementwise import exp
from gradc.ops.reduce import reduce_sum
from tests.backends.c.conftest import COMPILERS, check_program

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "softplus": lambda z: np.log(1 + np.exp(z)),
    "swish": lambda z: z / (1 + np.exp(-z)),
    "gauss": lambda z: np.exp(-z * z),
}
SIZES = [(2, 2, 2, 2), (3, 3, 1, 1), (3, 3, 2, 3), (3, 4, 2, 2), (1, 2, 3, 7), (2, 5, 1, 8), (4, 1, 2, 3)]


def network(activation: str, *, bias: bool = False) -> Callable[..., Any]:
    function = ACTIVATIONS[activation]

    def loss(w1: Any, w2: Any, b: Any, x: Any, y: Any) -> Any:
        z = w1 @ x
        return np.mean((w2 @ function(z + b[:, None] if bias else z) - y) ** 2)

    return loss


def arrays(inputs: int, hidden: int, outputs: int, batch: int, dtype: str = "f8") -> list[np.ndarray]:
    rng = np.random.default_rng([inputs, hidden, outputs, batch])
    shapes = [(hidden, inputs), (outputs, hidden), (hidden,), (inputs, batch), (outputs, batch)]
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def kernel(activation: str, given: list[np.ndarray], *, bias: bool = False, backend: str = "llvm") -> gradc.Kernel:
    function = gradc.value_and_grad(network(activation, bias=bias), ("w1", "w2", "b"), backend=backend, threads=1)
    return function.compile(*given)


def applied(block: tuple[Statement, ...], primitive: str) -> int:
    """How often the statements of a block apply a function, counted in the text."""
    parts = [part for s in statements_of(block) for part in walk(*expressions_of(s))]
    return sum(isinstance(part, Apply) and part.primitive == primitive for part in parts)


def evaluations(made: gradc.Kernel, primitive: str) -> int:
    return applied(made._compiled.program.body, primitive)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("activation", ["sigmoid", "softplus", "swish"])
def test_the_reverse_sweep_takes_the_exponentials_of_the_forward_one(activation: str, sizes: tuple[int, ...]) -> None:
    assert evaluations(kernel(activation, arrays(*sizes)), "exp_unit") == 1


@pytest.mark.parametrize(("activation", "primitive"), [("sigmoid", "exp_unit"), ("tanh", "tanh"), ("gauss", "exp")])
@pytest.mark.parametrize("bias", [False, True])
def test_all_elements_of_a_small_batch_are_computed_at_once(activation: str, primitive: str, bias: bool) -> None:
    made = kernel(activation, arrays(3, 4, 2, 2), bias=bias)
    loops = [s for s in statements_of(made._compiled.program.body) if isinstance(s, For) and s.mode == "vector"]
    found = [s for s in loops if applied(s.body, primitive)]
    assert [s.hi.value for s in found if isinstance(s.hi, Constant)] == [8], made.loops
    assert evaluations(made, primitive) == 1


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", SIZES)
def test_networks_are_right(activation: str, sizes: tuple[int, ...], bias: bool, dtype: str) -> None:
    given = arrays(*sizes, dtype=dtype)
    value, gradients = kernel(activation, given, bias=bias)(*given)
    wide = [a.astype("f8") for a in given]
    expected, slopes = kernel(activation, wide, bias=bias, backend="reference")(*wide)
    tolerance = {"rtol": 1e-12, "atol": 1e-14} if dtype == "f8" else {"rtol": 2e-4, "atol": 1e-5}
    np.testing.assert_allclose(value, expected, **tolerance)
    for ours, theirs in zip(gradients, slopes, strict=True):
        np.testing.assert_allclose(ours, theirs, **tolerance)


@pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(3, 4, 2, 2), (3, 3, 2, 3), (3, 3, 1, 1)])
def test_c_has_the_same_bits(activation: str, sizes: tuple[int, ...], tmp_path: Path) -> None:
    given = arrays(*sizes)
    check_program(kernel(activation, given, bias=True)._compiled.program, given, tmp_path, COMPILERS[:1])


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, 0.0, -0.0, 800.0, -800.0])
def test_the_shared_exponential_has_the_bits_of_the_one_of_minus_z(number: float) -> None:
    def both(x: Any) -> Any:
        z = np.sum(x, axis=2)
        return np.tanh(z), 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(z)), np.log(1 + np.exp(z)), np.log(1 + np.exp(-z))

    x = np.random.default_rng(3).normal(size=(3, 3, 1)) * 5
    x[1, 1] = number
    x = np.concatenate([x, np.zeros_like(x)], 2)
    small = gradc.jit(both)(x)
    large = gradc.jit(both)(np.tile(x, (1, 500, 1)))
    for few, many in zip(small, large, strict=True):
        np.testing.assert_array_equal(few, many[:, :3])
        assert few.tobytes() == np.ascontiguousarray(many[:, :3]).tobytes()


def test_derivatives_of_activations_are_computed_with_them() -> None:
    """The reverse sweep of one sample reads them: it has no quotient of its own."""
    made = kernel("sigmoid", arrays(3, 3, 1, 1))
    vector = [
        s for s in statements_of(made._compiled.program.body) if isinstance(s, For) and applied(s.body, "exp_unit")
    ]
    assert [applied(s.body, "div") for s in vector] == [2]
    assert evaluations(made, "div") <= 3  # the mean's too


@pytest.mark.parametrize("rows", [4, 5, 7])
def test_short_sums_down_columns_add_up_rows(rows: int) -> None:
    made = gradc.jit(lambda v, w: v @ np.maximum(w, 0), threads=1).compile(
        gradc.aval(f"f64[{rows}]"), gradc.aval(f"f64[{rows},3]")
    )
    sums = [s for s in statements_of(made._compiled.program.body) if isinstance(s, Accumulate)]
    assert [s.order for s in sums] == [SEQUENTIAL]
    assert [len(s.index) for s in sums] == [1], made.loops
    v, w = np.random.default_rng(rows).normal(size=(2, rows, 3))
    np.testing.assert_allclose(made(v[:, 0].copy(), w), v[:, 0] @ np.maximum(w, 0), rtol=1e-14, atol=1e-15)


def test_single_numbers_share_exponentials_of_both_signs() -> None:
    def loss(w: Any, v: Any, x: Any, y: Any) -> Any:
        return (v / (1 + np.exp(-w * x)) - y) ** 2

    made = gradc.value_and_grad(loss, ("w", "v")).compile(*[gradc.aval("f64[]")] * 4)
    assert evaluations(made, "exp_unit") == 1
    value, (d_w, d_v) = made(0.3, 0.7, 1.1, 0.2)
    s = 1 / (1 + np.exp(-0.33))
    np.testing.assert_allclose([value, d_w, d_v], [
        (0.7 * s - 0.2) ** 2, 2 * (0.7 * s - 0.2) * 0.7 * s * (1 - s) * 1.1, 2 * (0.7 * s - 0.2) * s,
    ], rtol=1e-14)  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "found"), [((4, 2), True), ((8,), True), ((9, 7), True), ((4, 8), False), ((10, 7), False), ((1,), False)]
)
def test_which_arrays_are_small(shape: tuple[int, ...], found: bool) -> None:
    builder = Builder()
    x = builder.input("x", aval(f"f64[{','.join(map(str, (*shape, 3)))}]"))
    result = exp(reduce_sum(x, axes=(len(shape),), keepdims=False))
    graph = builder.freeze([result])
    assert (graph.outputs[0] in flat_nodes(graph).nodes) is found


def test_functions_of_arguments_alone_stay_where_they_are_used() -> None:
    made = gradc.jit(lambda x, y: np.exp(x) * y).compile(gradc.aval("f64[4,2]"), gradc.aval("f64[4,2]"))
    assert made.loops.count("for ") == 2
    np.testing.assert_allclose(made(np.ones((4, 2)), np.ones((4, 2))), np.full((4, 2), np.e), rtol=1e-15)


def test_slopes_of_sigmoids_keep_their_digits() -> None:
    """``s(z) s(-z)`` is found of ``exp(-abs(z))`` alone, by one quotient, and nothing cancels at either end."""
    slopes = gradc.grad(lambda z: np.sum(1 / (1 + np.exp(-z)))).compile(gradc.aval("f64[9]"))
    z = np.array([-700.0, -40.0, -1.0, -1e-9, 0.0, 1e-9, 1.0, 40.0, 700.0])
    with mpmath.workprec(200):
        exact = [float(1 / (2 + mpmath.exp(x) + mpmath.exp(-x))) for x in map(mpmath.mpf, z.tolist())]
    np.testing.assert_allclose(slopes(z), exact, rtol=1e-15)
    assert evaluations(slopes, "div") == 1
