"""Every op that takes complex operands, one row: value, vjp, jvp and second order on every backend, and in batches.

The value is NumPy's. The tangent is a central difference of the value of sixth order; the cotangent is its transpose
for the pairing ``Re(ct * t)``, which is the whole of the convention (docs/complex.md).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gradc.compiler import compiled_of
from gradc.errors import DtypeError
from gradc.ir.aval import aval, aval_of
from gradc.ir.graph import Builder, Graph
from gradc.ir.op import REGISTRY
from gradc.ir.signature import flat_signature
from gradc.passes.pipeline import simplify
from gradc.request import BACKENDS, Request
from gradc.transforms.adjoint import adjoint
from gradc.transforms.batching import batch
from gradc.transforms.pushforward import pushforward


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Complex numbers of sizes around 1, in all quadrants and away from the axes."""
    rng = np.random.default_rng([seed, *shape])
    signs = rng.choice([-1.0, 1.0], (2, *shape))
    parts = signs * rng.uniform(0.3, 1.5, (2, *shape))
    return parts[0] + 1j * parts[1]


@dataclass(frozen=True, eq=False)
class Row:
    op: str
    inputs: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    has_phases: bool = False
    """Whether a factor of size 1 in each column is arbitrary. Derivatives of what does not depend on it are held
    against those of NumPy in ``tests/frontend/numpy_api/calls.txt``."""
    as_whole: bool = False
    """Whether the derivative is that of another function, of whole matrices, than the value, which reads triangles. It
    is held against that in ``tests/ops/test_systematic.py`` and ``tests/test_matrix_functions.py``."""

    def __str__(self) -> str:
        return f"{self.op}{'-' + self.note if self.note else ''}"


Z, W = numbers(2, 3), numbers(2, 3, seed=1)
M = np.array([[True, False, True], [False, False, True]])
MATRIX = {"lhs": "ij", "rhs": "jk", "out": "ik"}
C128 = np.dtype(np.complex128)
SQUARE, TALL = numbers(2, 3, 3, seed=3) + 2 * np.eye(3), numbers(2, 4, 3, seed=4)
POSITIVE = SQUARE @ np.conj(np.swapaxes(SQUARE, -1, -2)) + np.eye(3)
SIDES = numbers(2, 3, 2, seed=6)
UNLIKE = numbers(2, 3, 3, seed=8) + 2 * np.diag([1, 2j, -1])
"""Matrices whose eigenvectors have one component each that is by far the largest."""
TURNING = np.array([[0.5, 2.0, -0.3], [-1.5, 0.7, 0.4], [0.2, 0.6, -1.1]])
"""A real matrix with two conjugate eigenvalues and a real one."""
TRIANGLES = np.triu(SQUARE)

ROWS = [
    *[Row(name, (Z, W)) for name in ("add", "sub", "mul", "div", "pow")],
    *[Row(name, (Z,)) for name in ("neg", "exp", "log", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh")],
    *[Row(name, (Z,)) for name in ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh")],
    *[Row(name, (Z,)) for name in ("exp2", "log2", "log10", "expm1", "log1p")],
    *[Row(name, (Z,)) for name in ("abs", "conj", "real", "imag", "isfinite", "isnan")],
    Row("pow", (Z, np.full((2, 3), 3.0 + 0j)), note="cube"),
    Row("complex", (Z.real.copy(), W.real.copy())),
    *[Row(name, (Z, np.where(M, Z, W))) for name in ("eq", "ne")],
    Row("select", (M, Z, W)),
    Row("convert", (Z.real.copy(),), {"dtype": C128}, note="real"),
    Row("reduce_sum", (Z,), {"axes": (1,), "keepdims": False}),
    Row("reduce_prod", (numbers(2, 5),), {"axes": (1,), "keepdims": False}),
    Row("cumsum", (Z,), {"axis": 1, "reverse": False}),
    *[Row("cumprod", (numbers(2, 3, 2),), {"axis": axis}, note=f"{axis}") for axis in range(3)],
    Row("cumprod", (numbers(2, 1),), {"axis": 1}, note="one"),
    *[
        Row("recurrence", (numbers(2, 4), numbers(2, 4, seed=1)), {"axis": 1, "reverse": reverse}, note=f"{reverse}")
        for reverse in (False, True)
    ],
    Row("fft", (numbers(2, 6),), {"axis": 1, "inverse": False, "norm": "backward"}),
    Row("fft", (numbers(4, 2),), {"axis": 0, "inverse": True, "norm": "ortho"}, note="inverse"),
    Row("contract", (Z, numbers(3, 2)), MATRIX),
    Row("masked_contract", (Z, M, numbers(3, 2)), MATRIX),
    Row("gather", (numbers(3, 2), np.array([2, 0, 2])), {"axes": (0,)}),
    Row("scatter", (numbers(3, 2), numbers(3, 2, seed=5), np.array([2, 0, 2])), {"axes": (0,), "mode": "add"}),
    Row("broadcast_to", (Z,), {"shape": (2, 2, 3)}),
    Row("reshape", (Z,), {"shape": (3, 2)}),
    Row("transpose", (Z,), {"axes": (1, 0)}),
    Row("slice", (numbers(4, 3),), {"starts": (1, 2), "sizes": (2, 3), "steps": (1, -1)}),
    Row("update_slice", (numbers(4, 3), Z), {"starts": (0, 0), "steps": (2, 1), "mode": "set"}),
    Row("concatenate", (Z, W), {"axis": 1}),
    Row("solve", (SQUARE, SIDES), {"transposed": False}),
    Row("solve", (SQUARE[0], SIDES[0, :, 0]), {"transposed": True}, note="transposed"),
    Row("triangular_solve", (SQUARE, SIDES), {"transposed": False}),
    Row("triangular_solve", (SQUARE[0], SIDES[0, :, 0]), {"transposed": True}, note="transposed"),
    Row("inverse", (SQUARE,), {"strict": True}),
    Row("pseudo_inverse", (TALL,), {"rtol": 1e-15}),
    Row("pseudo_inverse", (np.swapaxes(TALL, 1, 2).copy(),), {"rtol": 1e-15}, note="wide"),
    Row("cholesky", (POSITIVE,)),
    Row("lu_factors", (SQUARE,)),
    *[Row(name, (numbers(2, 5, 5, seed=5),)) for name in ("lu_order", "lu_pivots")],
    *[Row(name, (SQUARE,)) for name in ("det", "det_sign", "log_abs_det")],
    *[Row("det", (SQUARE[:, :n, :n].copy(),), note=f"{n}") for n in (1, 2)],
    Row("det", (numbers(4, 4, seed=8),), note="4"),
    *[Row(name, (TALL,)) for name in ("qr_q", "qr_r", "singular_values")],
    Row("qr_r", (SQUARE,), note="square"),
    Row("eigenvalues", (SQUARE,)),
    Row("eigenvectors", (SQUARE,), has_phases=True),
    *[Row(name, (TALL,), has_phases=True) for name in ("left_vectors", "right_vectors")],
    *[
        Row(name, (a,), note=note, has_phases=True)
        for name in ("schur_form", "schur_vectors")
        for note, a in (("", UNLIKE), ("real", TURNING[None] + [[[0.0]], [[1.0]]]))
    ],
    *[
        Row(
            "sylvester",
            (TRIANGLES, TRIANGLES[::-1] + 1, SQUARE),
            {"transposed": transposed, "below": below},
            note=f"{transposed}-{below}",
            as_whole=True,
        )
        for transposed in (False, True)
        for below in (False, True)
    ],
    Row(
        "sylvester",
        (TRIANGLES, TRIANGLES[:, 1:, 1:].copy(), SIDES),
        {"transposed": False, "below": False},
        note="oblong",
        as_whole=True,
    ),
    Row("triangular_root", (TRIANGLES,), as_whole=True),
    *[Row(f"general_eigen{part}", (UNLIKE,)) for part in ("values", "vectors")],
    *[Row(f"general_eigen{part}", (SQUARE.real.copy(),), note="real") for part in ("values", "vectors")],
    *[Row(f"general_eigen{part}", (TURNING,), note="conjugate") for part in ("values", "vectors")],
]
IN_NUMBERS = [
    r for r in ROWS if r.op not in ("isfinite", "isnan", "eq", "ne", "lu_order", "lu_pivots") and not r.has_phases
]
DIFFERENCES = [r for r in IN_NUMBERS if not r.as_whole]


def run(graph: Graph, backend: str, inputs: list[Any]) -> list[np.ndarray]:
    compiled = compiled_of(graph, graph, flat_signature(graph), Request(backend=backend))  # type: ignore[arg-type]
    return compiled.entry([np.ascontiguousarray(x).reshape(np.shape(x)) for x in inputs])


def moving(row: Row) -> list[int]:
    return [k for k, x in enumerate(row.inputs) if x.dtype.kind in "fc"]


def graphs(row: Row) -> tuple[Graph, Graph, Graph]:
    """The op, its vjp and its jvp."""
    builder = Builder()
    operands = [builder.input(f"x{k}", aval_of(x)) for k, x in enumerate(row.inputs)]
    value = builder.freeze([builder.apply(REGISTRY[row.op], *operands, **row.params)])
    found = []
    for forward in (False, True):
        builder = Builder()
        operands = [builder.input(f"x{k}", aval_of(x)) for k, x in enumerate(row.inputs)]
        (result,) = value.replay(builder, operands)
        wrt = [operands[k] for k in moving(row)]
        if forward:
            seeds = [builder.input(f"t{k}", x.aval) for k, x in enumerate(wrt)]
            derivatives = pushforward(builder, [result], wrt, seeds)
        else:
            derivatives = adjoint(builder, [result], [builder.input("ct", result.aval)], wrt)
        found.append(builder.freeze([d for d in derivatives if d is not None]))
    return value, found[0], found[1]


def tangents(row: Row, seed: int = 7) -> list[Any]:
    drawn = [numbers(*row.inputs[k].shape, seed=seed + k) for k in moving(row)]
    return [t if row.inputs[k].dtype.kind == "c" else t.real.copy() for k, t in zip(moving(row), drawn, strict=True)]


def slope(function: Any, inputs: list[Any], row: Row, along: list[Any]) -> Any:
    """The derivative of ``function`` along tangents: a central difference whose error is of the sixth order."""
    h = 3e-3

    def at(step: float) -> Any:
        moved = list(inputs)
        for k, t in zip(moving(row), along, strict=True):
            moved[k] = moved[k] + step * t
        return function(moved)

    steps = ((1, 45.0), (2, -9.0), (3, 1.0))
    return sum(weight * (at(n * h) - at(-n * h)) for n, weight in steps) / (60 * h)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_value(row: Row, backend: str) -> None:
    (actual,) = run(graphs(row)[0], backend, list(row.inputs))
    expected = np.asarray(REGISTRY[row.op].evaluate(*row.inputs, **row.params))
    assert actual.dtype == expected.dtype
    if row.has_phases and row.op.endswith("vectors"):
        np.testing.assert_allclose(
            np.conj(np.swapaxes(actual, 1, 2)) @ actual,
            np.broadcast_to(np.eye(actual.shape[2]), (2, actual.shape[2], actual.shape[2])),
            atol=4e-15,
        )
    if row.has_phases:
        actual, expected = np.abs(actual), np.abs(expected)
    np.testing.assert_allclose(actual, expected, rtol=4e-15, atol=4e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", DIFFERENCES, ids=str)
def test_jvp_is_a_difference(row: Row, backend: str) -> None:
    value, _, jvp = graphs(row)
    along = tangents(row)
    (actual,) = run(jvp, backend, [*row.inputs, *along])
    expected = slope(lambda inputs: run(value, "reference", inputs)[0], list(row.inputs), row, along)
    assert actual.dtype == value.output_avals[0].dtype
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", IN_NUMBERS, ids=str)
def test_vjp_is_the_transpose_of_the_jvp(row: Row, backend: str) -> None:
    value, vjp, jvp = graphs(row)
    (aval,) = value.output_avals
    ct = numbers(*map(int, aval.shape), seed=9)
    ct = ct if aval.dtype.kind == "c" else ct.real.copy()
    pulled = run(vjp, backend, [*row.inputs, ct])
    for k, got in zip(moving(row), pulled, strict=True):
        assert got.dtype == row.inputs[k].dtype
    for seed in (7, 17, 27):
        along = tangents(row, seed)
        (pushed,) = run(jvp, "reference", [*row.inputs, *along])
        left = np.sum((ct * pushed).real)
        right = sum(np.sum((d * t).real) for d, t in zip(pulled, along, strict=True))
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", DIFFERENCES, ids=str)
def test_second_order_is_a_difference_of_the_first(row: Row, backend: str) -> None:
    _, vjp, _ = graphs(row)
    along = tangents(row)
    out = vjp.input_avals[-1]
    ct = numbers(*map(int, out.shape), seed=9)
    ct = ct if out.dtype.kind == "c" else ct.real.copy()
    builder = Builder()
    inputs = [builder.input(n, a) for n, a in zip(vjp.input_names, vjp.input_avals, strict=True)]
    seeds = [builder.input(f"t{k}", inputs[k].aval) for k in moving(row)]
    found = pushforward(builder, vjp.replay(builder, inputs), [inputs[k] for k in moving(row)], seeds)
    graph = builder.freeze([d for d in found if d is not None])
    actual = iter(run(graph, backend, [*row.inputs, ct, *along]))
    for k, d in enumerate(found):
        expected = slope(lambda x, k=k: run(vjp, "reference", [*x, ct])[k], list(row.inputs), row, along)
        np.testing.assert_allclose(0 * expected if d is None else next(actual), expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_batch(row: Row) -> None:
    graph = graphs(row)[0]
    for flags in itertools.product((False, True), repeat=len(row.inputs)):
        if not any(flags):
            continue
        each = [[np.flip(x) if flag else x for x, flag in zip(row.inputs, flags, strict=True)], list(row.inputs)]
        many = [np.stack(pair) if flag else pair[0] for *pair, flag in zip(*each, flags, strict=True)]
        (actual,) = run(batch(graph, [0 if flag else None for flag in flags], 2, [0]), "reference", many)
        expected = [run(graph, "reference", inputs)[0] for inputs in each]
        np.testing.assert_allclose(actual, np.stack(expected), rtol=1e-13)


@pytest.mark.parametrize("level", ["off", "safe"])
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_laws_keep_the_meaning(row: Row, level: Any) -> None:
    value, vjp, jvp = graphs(row)
    (result,) = run(value, "reference", list(row.inputs))
    ct = numbers(*result.shape, seed=9)
    seeds = [[], [ct if result.dtype.kind == "c" else ct.real.copy()], tangents(row)] if row in IN_NUMBERS else [[]]
    for graph, given in zip((value, vjp, jvp), seeds, strict=False):
        simplified = simplify(graph, stabilize=level, check=True)
        expected = run(graph, "reference", [*row.inputs, *given])
        for one, other in zip(run(simplified, "reference", [*row.inputs, *given]), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-14)


PARTS = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-310, -1e-310, 710.0, -745.0, 1e-160]
)
GRID = np.empty((16, 16), np.complex128)
GRID.real, GRID.imag = PARTS[:, None], PARTS[None, :]


def on_llvm(op: str, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the op gives there, and what NumPy gives."""
    builder = Builder()
    graph = builder.freeze([builder.apply(REGISTRY[op], builder.input("z", aval_of(inputs)))])
    with np.errstate(all="ignore"):
        expected = np.asarray(REGISTRY[op].evaluate(inputs))
    return run(graph, "llvm", [inputs])[0], expected


@pytest.mark.parametrize("op", ["exp", "log", "sqrt", "abs"])
def test_special_values_are_those_of_numpy(op: str) -> None:
    """By part, with the signs of zeros, but for that of the 0 which exp(-inf + i inf) is."""
    inputs = GRID.reshape(-1)
    actual, expected = on_llvm(op, inputs)
    for part in (np.real, np.imag):
        np.testing.assert_allclose(part(actual), part(expected), rtol=1e-13, atol=0)
        signed = ~np.isnan(part(expected)) & ~(np.isinf(inputs.real) & np.isinf(inputs.imag))
        assert np.array_equal(np.signbit(part(actual))[signed], np.signbit(part(expected))[signed])


@pytest.mark.parametrize("op", ["sin", "cos", "sinh", "cosh", "tan", "tanh"])
def test_functions_are_those_of_numpy_at_finite_numbers(op: str) -> None:
    inputs = GRID[np.isfinite(GRID) & (abs(GRID.real) < 1e5) & (abs(GRID.imag) < 1e5)]
    actual, expected = on_llvm(op, inputs)
    known = np.isfinite(expected)
    np.testing.assert_allclose(actual[known], expected[known], rtol=1e-13)
    assert known.sum() > inputs.size // 2


INVERSES = ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh")
CUT = np.array([0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 1e-20, -1e-20, 1e10, -1e10, 1e-300, 40.0, -0.999, 1.001])
NEAR = np.empty((16, 16), np.complex128)
NEAR.real, NEAR.imag = CUT[:, None], CUT[None, :]


@pytest.mark.parametrize("op", INVERSES)
def test_inverse_functions_are_those_of_numpy_on_both_sides_of_their_cuts(op: str) -> None:
    """By part, with the signs of zeros, where NumPy is finite."""
    actual, expected = on_llvm(op, NEAR.reshape(-1))
    known = np.isfinite(expected)
    assert known.sum() >= 252
    for part in (np.real, np.imag):
        mine, numpys = part(actual)[known], part(expected)[known]
        np.testing.assert_allclose(mine, numpys, rtol=4e-15, atol=1e-300)
        assert np.array_equal(np.signbit(mine), np.signbit(numpys))


@pytest.mark.parametrize("op", ["exp2", "log2", "log10", "expm1", "log1p"])
def test_other_logarithms_and_exponentials_are_as_numpy_makes_them(op: str) -> None:
    inputs = NEAR[abs(NEAR.real) < 1e4].reshape(-1)
    actual, expected = on_llvm(op, inputs)
    known = np.isfinite(expected)
    for part in (np.real, np.imag):
        size = np.abs(expected[known]) if op.startswith("exp") else np.abs(part(expected)[known])
        assert np.all(np.abs(part(actual)[known] - part(expected)[known]) <= 8e-16 * size)


def test_products_are_those_of_the_definition_and_quotients_those_of_numpy() -> None:
    builder = Builder()
    x, y = (builder.input(name, aval("c128[1000]")) for name in "xy")
    graph = builder.freeze([x / y, x * y])
    rng = np.random.default_rng(3)
    a, b = (rng.normal(size=1000) * 10.0 ** rng.uniform(-140, 140, 1000) + 1j * rng.normal(size=1000) for _ in "ab")
    quotients, products = run(graph, "llvm", [a, b])
    np.testing.assert_allclose(quotients, a / b, rtol=5e-16)
    assert np.array_equal(products.real, a.real * b.real - a.imag * b.imag)
    assert np.array_equal(products.imag, a.real * b.imag + a.imag * b.real)


REAL_ONLY = [
    "maximum", "minimum", "floor", "lt", "le", "gt", "ge", "mod", "floor_div", "arctan2", "hypot", "erf", "sign",
]  # fmt: skip


@pytest.mark.parametrize("name", REAL_ONLY)
def test_ops_without_a_complex_meaning_refuse(name: str) -> None:
    builder = Builder()
    z = builder.input("z", aval("c128[2]"))
    count = 1 if name in ("floor", "erf", "sign") else 2
    with pytest.raises(DtypeError, match=rf"{name}: c128\[2\] has a dtype for which this op is not defined"):
        builder.apply(REGISTRY[name], *[z] * count)


def test_converting_to_real_numbers_is_refused() -> None:
    builder = Builder()
    z = builder.input("z", aval("c128[2]"))
    with pytest.raises(DtypeError, match="take the real part first"):
        builder.apply(REGISTRY["convert"], z, dtype=np.dtype(float))
