"""Fused multiply-adds: where the rule finds them, and that equal products are rounded alike."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.machine import host
from gradc.backends.reference import evaluate
from gradc.ir.target import GENERIC
from gradc.loops.language.parse import parse_program
from gradc.loops.lowering.lower import lower
from gradc.loops.lowering.multiply_add import with_multiply_adds

LENGTH = 37
RNG = np.random.default_rng(0)
A, B, C, D = (RNG.normal(size=LENGTH) for _ in range(4))


def kernel(function: Callable[..., Any], *arrays: np.ndarray) -> gradc.Kernel:
    return gradc.jit(function).compile(*arrays)


def fused(function: Callable[..., Any], *arrays: np.ndarray) -> int:
    """How many multiply-adds the loops of a function have; the graph with them still means the same."""
    graph = kernel(function, *arrays).graph
    changed = with_multiply_adds(graph)
    for mine, expected in zip(evaluate(changed, list(arrays)), evaluate(graph, list(arrays)), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-14, atol=1e-14)
    count = sum(node.op.name == "multiply_add" for node in changed.nodes)
    assert count or changed is graph
    text = str(lower(graph))
    assert ("fma(" in text) == (count > 0)
    assert str(parse_program(text)) == text
    return count


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (lambda x, y, z: x * y + z, lambda x, y, z: x * y + z),
        (lambda x, y, z: x * y - z, lambda x, y, z: x * y - z),
        (lambda x, y, z: z - x * y, lambda x, y, z: z - x * y),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_product_and_a_sum_are_rounded_once(function: Any, exact: Any, dtype: Any) -> None:
    arrays = [x.astype(dtype) for x in (A, B, C)]
    assert fused(function, *arrays) == 1
    got = kernel(function, *arrays)(*arrays)
    for result, row in zip(got, zip(*arrays, strict=True), strict=True):
        if host().fma:
            error = Fraction(float(result)) - exact(*map(Fraction, map(float, row)))
            assert abs(error) <= Fraction(float(np.spacing(abs(result)))) / 2
        else:
            assert result == function(*row)


def test_equal_products_cancel() -> None:
    def differences(x: Any, y: Any, z: Any) -> Any:
        return x * x - y * y, (x * x + z) - y * y, 3.0 * x * x - 3.0 * y * y, np.sum(x * x) - np.sum(y * y)

    for result in kernel(differences, A, A, A)(A, A.copy(), 0.0 * A):
        assert not np.any(result)
    assert fused(differences, A, A, A) == 0


def test_a_result_that_is_also_a_product_changes_nothing() -> None:
    alone = kernel(lambda a, b, c, d: a * b - c * d, A, B, C, D)(A, B, C, D)
    beside, _ = kernel(lambda a, b, c, d: (a * b - c * d, a * b), A, B, C, D)(A, B, C, D)
    assert alone.tobytes() == beside.tobytes() == (A * B - C * D).tobytes()


@pytest.mark.parametrize(
    ("function", "count"),
    [
        (lambda a, b, c: (a * b + c, a * b), 0),
        (lambda a, b, c: a * b + b * c + c * a, 0),
        (lambda a, b, c: a * b + np.exp(c), 1),
        (lambda a, b, c: a * b + np.exp(b * c), 1),
        (lambda a, b, c: a * b + np.maximum(b * c, 0.0), 0),
        (lambda a, b, c: a * b + b * c / 2.0, 0),
        (lambda a, b, c: a * b + b**3, 0),
        (lambda a, b, c: a * b + np.sum(b * c), 0),
        (lambda a, b, c: a * b - c[::-1], 1),
        (lambda a, b, c: 2.0 * a - b * c, 1),
        (lambda a, b, c: 0.5 * a - b * c, 0),
        (lambda a, b, c: 1.0 + a * (0.5 + a * (0.25 + a * b)), 3),
    ],
)
def test_which_products_are_fused(function: Any, count: int) -> None:
    assert fused(function, A, B, C) == count


def test_exact_products_are_none_for_the_rule() -> None:
    """Loops fuse them where they are at hand (``doubling``), which changes no bits."""
    graph = kernel(lambda a, b, c: (2.0 * a + b, 2.0 * a + b * c), A, B, C).graph
    assert sum(node.op.name == "multiply_add" for node in with_multiply_adds(graph).nodes) == 1
    got = kernel(lambda a, b: 2.0 * a + b, A, B)(A, B)
    assert got.tobytes() == (2.0 * A + B).tobytes()


def test_every_length_has_the_same_bits() -> None:
    """In vectors, in what is left of them, and one by one."""
    step = gradc.jit(lambda a, b, c: a * b + c)
    together = step(A, B, C)
    for k in range(LENGTH):
        assert step(A[:k], B[:k], C[:k]).tobytes() == together[:k].tobytes()


def test_machines_without_the_instruction_call_no_library() -> None:
    graph = kernel(lambda a, b, c: a * b + c, A, B, C).graph
    text = emit(lower(graph), GENERIC)
    assert "@llvm.fmuladd." in text
    assert "@llvm.fma." not in text
