"""What a selection leaves out has the derivative 0, however steep it is there: both modes, two orders, all backends.

The first element is where the inner function has no finite slope. It is left out by each of the selections, so that
only the second element has a derivative.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.request import BACKENDS

STEEP = {
    "log": np.log,
    "sqrt": np.sqrt,
    "reciprocal": lambda x: 1 / x,
    "power": lambda x: x**0.5,
}
"""Functions of x > 0 whose slope at 0 is infinite."""

X = np.array([0.0, 2.0])
FIRST = np.array([True, False])
BOUND = np.array([9.0, -9.0])


def written(y: Any, index: Any, value: Any = 1.0) -> Any:
    y = y.copy()
    y[index] = value
    return y


def over(y: Any) -> Any:
    """``y`` with the infinity of 1/0 below all bounds."""
    return np.where(y > 100, -y, y)


SELECTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "where": lambda y, x: np.where(x > 0, y, 0.0),
    "select": lambda y, x: np.select([x <= 0, x > 5], [3.0, 4.0], y),
    "choose": lambda y, x: np.choose((x > 0) * 1, [BOUND, y]),
    "piecewise": lambda y, x: np.piecewise(y, [FIRST], [1.0, lambda t: t * t]),
    "maximum": lambda y, x: np.maximum(over(y), BOUND),
    "maximum of two": lambda y, x: np.maximum(over(y), BOUND + 0 * x),
    "minimum": lambda y, x: np.minimum(-over(y), -BOUND),
    "fmax": lambda y, x: np.fmax(over(y), BOUND),
    "fmin": lambda y, x: np.fmin(-over(y), -BOUND),
    "clip": lambda y, x: np.clip(over(y), BOUND, 100.0),
    "clip above": lambda y, x: np.clip(-over(y), None, -BOUND),
    "max": lambda y, x: np.max(np.stack([over(y), BOUND]), axis=0),
    "min": lambda y, x: np.min(np.stack([-over(y), -BOUND]), axis=0),
    "max of all": lambda y, x: np.max(over(y) - 20 * FIRST),
    "nanmax": lambda y, x: np.nanmax(over(y) - 20 * FIRST),
    "max where": lambda y, x: np.max(over(y), where=x > 0, initial=-50.0),
    "reduce": lambda y, x: np.maximum.reduce(over(y) - 20 * FIRST),
    "sum where": lambda y, x: np.sum(y, where=x > 0),
    "masked sum": lambda y, x: y[x > 0].sum(),
    "masked write": lambda y, x: written(y, x <= 0),
    "static write": lambda y, x: written(y, 0),
    "sliced write": lambda y, x: written(y, slice(0, 1)),
    "indexed write": lambda y, x: written(y, np.array([0])),
    "putmask": lambda y, x: written(y, FIRST, 2.0),
    "slice": lambda y, x: y[1:],
    "element": lambda y, x: y[1] * y[-1],
    "indices": lambda y, x: y[np.array([1, 1])],
    "take": lambda y, x: np.take(y, x.argmax()),
    "take along": lambda y, x: np.take_along_axis(y, np.argmax(x, axis=0, keepdims=True), 0),
    "sort": lambda y, x: np.sort(over(y) - 20 * FIRST)[-1],
    "partition": lambda y, x: np.partition(over(y) - 20 * FIRST, 1)[1:],
    "median": lambda y, x: np.median(np.stack([over(y) - 20 * FIRST, BOUND, BOUND + 30])[:, :1]) + y[1],
    "quantile": lambda y, x: np.quantile(over(y) - 20 * FIRST, 1.0),
    "compress": lambda y, x: np.compress([False, True], y),
    "mask that is known": lambda y, x: y[~FIRST],
    "logaddexp": lambda y, x: np.maximum(np.logaddexp(over(y), -1e3 * FIRST), BOUND),
}  # fmt: skip


def composed(select: str, steep: str) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        return np.sum(SELECTIONS[select](STEEP[steep](x), x))

    return function


def away(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The function of the second element alone, the first one held where everything is smooth."""
    return lambda t: function(np.stack([np.array(1e-3), t]))


CASES = list(itertools.product(SELECTIONS, STEEP))


@pytest.mark.parametrize(("select", "steep"), CASES, ids=[f"{a}-{b}" for a, b in CASES])
def test_what_is_left_out_has_no_slope(select: str, steep: str) -> None:
    function = composed(select, steep)
    slope = gradc.grad(away(function), backend="reference")(2.0)
    curve = gradc.grad(gradc.grad(away(function)), backend="reference")(2.0)
    for backend in BACKENDS:
        np.testing.assert_allclose(gradc.grad(function, backend=backend)(X), [0, slope], rtol=1e-14)
        forward = gradc.Function(function, derivative="jvp", backend=backend)
        np.testing.assert_allclose(forward(X, tangents=(np.array([1.0, 0.0]),))[1], 0, atol=0)
        np.testing.assert_allclose(forward(X, tangents=(np.array([3.0, 1.0]),))[1], slope, rtol=1e-14)
        np.testing.assert_allclose(
            gradc.hessian(function, backend=backend)(X), [[0, 0], [0, curve]], rtol=1e-13, atol=1e-300
        )


@pytest.mark.parametrize("steep", STEEP)
def test_a_steep_function_of_what_a_bound_holds_does_not_move(steep: str) -> None:
    def function(x: Any) -> Any:
        return np.sum(STEEP[steep](np.maximum(x, 0.0)) * np.array([0.0, 1.0]))

    x = np.array([-1.0, 2.0])
    slope = gradc.grad(lambda t: STEEP[steep](t))(2.0)
    for backend in BACKENDS:
        np.testing.assert_allclose(gradc.grad(function, backend=backend)(x), [0, slope], rtol=1e-14)
        moved = gradc.Function(function, derivative="jvp", backend=backend)(x, tangents=(np.ones(2),))[1]
        np.testing.assert_allclose(moved, slope, rtol=1e-14)


def test_what_meets_finite_slopes_takes_no_selects() -> None:
    def loss(w: Any, x: Any) -> Any:
        hidden = np.maximum(w["in"] * x, 0.0)
        return np.sum(np.sin(w["out"] * hidden)[1:])

    x = np.array([1.0, -2.0, 3.0])
    kernel = gradc.Function(loss, derivative="grad", wrt="w").compile({"in": x, "out": x}, x)
    assert [node.op.name for node in kernel.graph.nodes].count("select") == 1  # that of maximum itself


READ_IN_PARTS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "differences": (lambda y: np.sum((y[1:] - y[:-1]) ** 2), 0),
    "even and odd": (lambda y: np.sum(y[::2] * y[1::2]), 0),
    "parts of parts": (lambda y: np.sum(y[:6][1:] ** 2) + y[0] * y[5:][::-1][1], 1),  # the last is left out
    "all but one": (lambda y: np.sum(y[:3] ** 2) + np.sum(y[4:] ** 2), 1),
    "whole and a part": (lambda y: np.sum(y) * y[2], 0),
}


@pytest.mark.parametrize(("function", "selects"), READ_IN_PARTS.values(), ids=list(READ_IN_PARTS))
def test_parts_that_cover_an_array_leave_nothing_out(function: Callable[[Any], Any], selects: int) -> None:
    x = np.arange(1.0, 9.0)
    kernel = gradc.grad(lambda x: function(np.log(x))).compile(x)
    assert [node.op.name for node in kernel.graph.nodes].count("select") == selects
    step = 1e-30
    shifted = [np.log(x + 1j * step * unit) for unit in np.eye(8)]
    np.testing.assert_allclose(kernel(x), [function(y).imag / step for y in shifted], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("function", "selects"), READ_IN_PARTS.values(), ids=list(READ_IN_PARTS))
def test_they_do_so_for_any_number_of_rows(function: Callable[[Any], Any], selects: int) -> None:
    kernel = gradc.grad(lambda x: np.sum(function(np.log(x).T))).compile(gradc.aval("f64[batch,8]"))
    assert [node.op.name for node in kernel.graph.nodes].count("select") == selects
    for rows in (0, 1, 3):
        x = np.arange(1.0, 9.0) + np.arange(rows)[:, None]
        one_by_one = gradc.grad(lambda x: np.sum(function(np.log(x).T)))(x) if rows else x
        np.testing.assert_allclose(kernel(x), one_by_one, rtol=1e-14)


def test_a_part_of_a_symbolic_axis_covers_nothing() -> None:
    kernel = gradc.grad(lambda x: np.sum(np.log(x)[:1] ** 2) + np.sum(np.log(x)[1:] ** 2)).compile(
        gradc.aval("f64[batch,2]")
    )
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    np.testing.assert_allclose(kernel(x), 2 * np.log(x) / x, rtol=1e-14)
