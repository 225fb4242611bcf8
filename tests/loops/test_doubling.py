"""Twice a product that is there is that product doubled, wherever it is seen; other multiples are products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder
from gradc.loops.language.program import Buffer, Let, Local, LoopProgram, Store, b, constant
from gradc.loops.lowering.doubling import with_doublings
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
