"""NumPy's functions in tables, defaults, partials and arguments: called in a trace they mean what they mean by name.

Nothing of the first call is in the second, whose numbers are others, and everything stands again after a trace.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import gradc

X = np.arange(6.0).reshape(2, 3) + 1
TABLE = {"array": np.array, "sum": np.sum, "zeros": np.zeros}
LISTED = [np.array, np.mean]
ROW = (np.array, np.sum, (np.zeros, "zeros"))
NESTED: dict[str, Any] = {"of": {"making": (np.asarray, np.full)}}
MADE = functools.partial(np.array, dtype=np.float32)
SHAPED = (functools.partial(np.zeros, 3),)


def with_default(x: Any, make: Any = np.array) -> Any:
    return make([x[0, 0], 2.0])


def with_named_default(x: Any, *, make: Any = np.zeros) -> Any:
    y = make(2)
    y[1] = x[0, 1]
    return y


def by_variables(x: Any) -> Any:
    return [TABLE[name]([x[0, 0], 1.0]) for name in ("array", "sum")] + [ROW[k]([x[1, 1], 2.0]) for k in range(2)]


def filled(x: Any) -> Any:
    y, z = ROW[2][0](2), SHAPED[0]()
    y[0], z[1] = x[0, 0], x[1, 1]
    return y, z


class Layer:
    table = (np.array, np.stack)
    kinds: ClassVar = {"make": np.ones}

    def __init__(self) -> None:
        self.own = {"make": np.full}
        self.pair = (np.array, 1)

    def __call__(self, x: Any) -> Any:
        y = self.kinds["make"](2)
        y[:] = x[0, :2]
        return y, self.table[0]([x[0, 0], 2.0]), self.own["make"](2, x[0, 1]), self.pair[0]([x[1, 0]])


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "dict": lambda x: TABLE["array"]([x[0, 0], 1.0]),
    "list": lambda x: (LISTED[0]([x[0, 0], 1.0]), LISTED[-1]([x[0, 0], 1.0])),
    "tuple": lambda x: (ROW[0]([x[0, 0], 1.0]), ROW[1]([x[0, 0], x[1, 1]])),
    "nested": lambda x: NESTED["of"]["making"][1]((2,), x[0, 0]) + NESTED["of"]["making"][0]([x[0, 0], 1.0]),
    "variables": by_variables,
    "arrays to write": filled,
    "default": with_default,
    "default of a helper": lambda x: with_default(x[::-1]),
    "named default": with_named_default,
    "named default of a helper": lambda x: with_named_default(x + 1),
    "partial": lambda x: MADE([x[0, 0], 1.0]),
    "object": Layer(),
    "map": lambda x: (list(map(np.array, [[x[0, 0], 1.0], [x[1, 1]]])), [*map(np.asarray, x)]),
    "map of two": lambda x: [y * 2 for y in map(np.full, [2, 3], x[0])],
    "map in a table": lambda x: list(map(TABLE["array"], [[x[0, 0], 1.0]])),
    "map of others": lambda x: (list(map(np.sin, x)), list(map(lambda a, b: a * b, x[0], x[1])), isinstance(x, map)),
}


def flat(x: Any) -> list[Any]:
    return [part for item in x for part in flat(item)] if isinstance(x, (list, tuple)) else [x]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_they_are_those_of_numpy(name: str) -> None:
    function = FUNCTIONS[name]
    compiled = gradc.jit(function)
    for x in (X, X * X - 3):
        found, expected = flat(compiled(x)), flat(function(x))
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name != "map of others"])
def test_they_are_differentiated(name: str) -> None:
    def total(x: Any) -> Any:
        return sum(np.sum(part * part) for part in flat(FUNCTIONS[name](x)))

    gradient, h = gradc.grad(total)(X), 1e-2 if name == "partial" else 1e-6
    for k in np.ndindex(*X.shape):
        step = np.zeros_like(X)
        step[k] = h
        np.testing.assert_allclose(gradient[k], (total(X + step) - total(X - step)) / (2 * h), rtol=1e-5, atol=1e-6)


def test_functions_as_arguments() -> None:
    def function(x: Any, make: Any, others: Any, named: Any) -> Any:
        assert make is np.array
        return make([x[0, 0], 1.0]), others[0]([x[0, 0], x[1, 1]]), named["zeros"](2) + x[0, 0]

    given = (np.array, (np.sum,), {"zeros": np.zeros})
    for x in (X, -X):
        for a, b in zip(gradc.jit(function)(x, *given), function(x, *given), strict=True):
            np.testing.assert_array_equal(a, b)


def test_everything_stands_again() -> None:
    before = (dict(TABLE), list(LISTED), ROW, with_default.__defaults__, MADE, SHAPED, Layer.table)
    for function in FUNCTIONS.values():
        gradc.jit(function)(X)
    after = (TABLE, LISTED, ROW, with_default.__defaults__, MADE, SHAPED, Layer.table)
    assert before[:2] == after[:2]
    assert all(a is b for a, b in zip(before[2:], after[2:], strict=True))
    assert (with_named_default.__kwdefaults__ or {})["make"] is np.zeros
    assert "map" not in globals()


def test_an_error_leaves_nothing() -> None:
    def failing(x: Any) -> Any:
        ROW[0]([x[0, 0]])
        raise RuntimeError("here")

    before = ROW
    with pytest.raises(RuntimeError, match="here"):
        gradc.jit(failing)(X)
    assert ROW is before
    assert ROW[0] is np.array


def test_traces_inside_of_traces() -> None:
    def inner(x: Any) -> Any:
        return np.sum(ROW[0]([x[0, 0], x[1, 1]]) ** 2) + np.sum(with_default(x))

    found = gradc.jit(lambda x: (gradc.grad(inner)(x), ROW[1]([x[0, 0], 1.0])))(X)
    expected = np.zeros_like(X)
    expected[0, 0], expected[1, 1] = 2 * X[0, 0] + 1, 2 * X[1, 1]
    np.testing.assert_array_equal(found[0], expected)
    assert found[1] == X[0, 0] + 1


def test_where_it_cannot_be_known_it_is_refused() -> None:
    """An expression that cannot be read again tells nothing of who calls."""
    with pytest.raises(gradc.errors.TraceError, match="a traced value is needed as a plain array"):
        gradc.jit(lambda x: [np.array][int(False)]([x[0, 0], 1.0]))(X)
