"""Twice a product that is there is that product doubled, wherever it is seen; sums of such take a step less."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder
from gradc.loops.language.program import Buffer, Let, Local, LoopProgram, Store, b, constant, variable
from gradc.loops.lowering.doubling import with_doublings
from gradc.loops.lowering.lower import lower
from gradc.ops.elementwise import exp

Checker = Callable[..., LoopProgram]
X = np.random.default_rng(0).normal(size=9)


@pytest.mark.parametrize(("first", "second", "doubled"), [
    (100.0, 200.0, True),
    (-0.75, -1.5, True),
    (1e-308, 2e-308, True),
    (100.0, -200.0, False),
    (200.0, 100.0, False),
    (100.0, 300.0, False),
])  # fmt: skip
@pytest.mark.parametrize("x", [X[0].reshape(()), X], ids=["number", "array"])
def test_two_multiples_of_one_value(first: float, second: float, doubled: bool, x: np.ndarray, check: Checker) -> None:
    builder = Builder()
    r = exp(builder.input("x", aval_of(x)))
    text = str(check(builder.freeze([exp(first * r) + exp(second * r)]), [x]))
    assert ("exp(2.0 * " in text, str(second) in text) == (doubled, not doubled)


def test_a_product_of_a_loop_is_not_seen_outside_of_it(check: Checker) -> None:
    builder = Builder()
    x, y = builder.input("x", aval_of(X)), builder.input("y", aval_of(np.array(2.0)))
    check(builder.freeze([exp(3.0 * x), exp(6.0 * y), exp(3.0 * y)]), [X, np.array(2.0)])


def test_what_is_read_of_memory_may_have_changed() -> None:
    total = Buffer("total", np.dtype("f8"), (), "local")
    body = (
        Local(total),
        Store("total", (), constant(1.0, "f8")),
        Let("once", b.mul(100.0, b.load(total))),
        Store("total", (), constant(2.0, "f8")),
        Let("twice", b.mul(200.0, b.load(total))),
    )
    assert with_doublings(body) == body


SPECIAL = np.array([0.0, -0.0, 1.5, -1.5, 1e308, -1e308, 5e-324, 3e-308, np.inf, -np.inf, np.nan])
PAIRS = [x.ravel() for x in np.meshgrid(SPECIAL, SPECIAL)]


@pytest.mark.parametrize(("function", "text"), [
    (lambda x, y: 2.0 * x + 2.0 * y, "2.0 * ("),
    (lambda x, y: 2.0 * x - 2.0 * y, "2.0 * ("),
    (lambda x, y: -(2.0 * x) + 2.0 * y, "2.0 * ("),
    (lambda x, y: 2.0 * x + -(2.0 * y), "2.0 * ("),
    (lambda x, y: -(2.0 * x) - 2.0 * y, "fma(-2.0, "),
    (lambda x, y: 4.0 * x + 2.0 * y, "fma(2.0, "),
    (lambda x, y: x - 8.0 * y, "fma(-8.0, "),
    (lambda x, y: 2.0 * x - y, "fma(2.0, "),
    (lambda x, y: -(2.0 * x) - y, "fma(-2.0, "),
    (lambda x, y: y - -(2.0 * x), "fma(2.0, "),
])  # fmt: skip
def test_sums_with_exact_products(function: Callable[..., Any], text: str, run: Callable[..., Any]) -> None:
    """The bits are those of doubling first, but that a sum of which only that overflows is right."""
    builder = Builder()
    x, y = (builder.input(name, aval_of(PAIRS[0])) for name in "xy")
    graph = builder.freeze([function(x, y)])
    assert text in str(lower(graph))
    with np.errstate(all="ignore"):
        plain = function(*PAIRS)
        expected = function(*(x.astype(np.longdouble) for x in PAIRS)).astype(np.float64)
    (got,) = run(graph, PAIRS)
    overflows = np.isnan(plain) & ~np.isnan(expected)
    same = (got == expected) & (np.signbit(got) == np.signbit(expected)) | (np.isnan(got) & np.isnan(expected))
    assert (same | (overflows & ~np.isfinite(got))).all()
    if text == "2.0 * (":
        assert same.all()


@pytest.mark.parametrize("function", [
    lambda x, y: (exp(2.0 * x) + exp(y), x - y),
    lambda x, y: (exp(2.0 * x), 2.0 * x + y),
])  # fmt: skip
def test_other_sums_stay(function: Callable[..., Any], run: Callable[..., Any]) -> None:
    """Doubled values that more than one reads, and products that are rounded or smaller."""
    builder = Builder()
    x, y = (builder.input(name, aval_of(X)) for name in "xy")
    graph = builder.freeze(list(function(x, y)))
    text = str(lower(graph))
    assert "2.0 * (" not in text
    assert "fma(" not in text
    for got, expected in zip(run(graph, [X, X[::-1].copy()]), evaluate(graph, [X, X[::-1].copy()]), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-14)


def test_a_doubled_read_stays_where_it_is() -> None:
    """What is read of memory between may have changed."""
    total = Buffer("total", np.dtype("f8"), (), "local")
    body = (
        Local(total),
        Store("total", (), constant(1.0, "f8")),
        Let("once", b.mul(2.0, b.load(total))),
        Store("total", (), constant(2.0, "f8")),
        Let("sum", b.add(variable("once", "f8"), variable("other", "f8"))),
        Store("total", (), variable("sum", "f8")),
    )
    assert with_doublings(body) == body
