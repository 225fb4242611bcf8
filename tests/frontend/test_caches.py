"""Caches, the library's and hand-written ones: what a trace leaves in them is what NumPy would have left."""

from __future__ import annotations

import collections
import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import TraceError
from gradc.frontend.tracing import trace

Same = Callable[..., Any]
X = np.arange(1.0, 4.0)
ENDED = "^a traced value is used outside of its trace, after the end of that .* \\(test_caches.py:"

KEPT: dict[Any, Any] = {}
LAZY: Any = None
CALLS: list[Any] = []


@pytest.fixture(autouse=True)
def empty_caches() -> None:
    global LAZY
    LAZY = None
    KEPT.clear()
    CALLS.clear()
    for cached in (grid, window, weights, legendre, Model.table, vars(Model)["scaled"].__func__):
        cached.cache_clear()


@functools.lru_cache(maxsize=8)
def grid(n: int) -> Any:
    return np.linspace(0, 1, n)


@functools.cache
def window(n: int, *, shift: float = 0.5) -> Any:
    made = np.zeros(n)
    made[0] = shift
    return made, made[1:]


@functools.cache
def weights() -> dict[str, Any]:
    return {"w": np.ones(3)}


@functools.cache
def legendre(n: int, x: Any) -> Any:
    CALLS.append(n)
    if n == 0:
        return 1.0
    return x if n == 1 else ((2 * n - 1) * x * legendre(n - 1, x) - (n - 1) * legendre(n - 2, x)) / n


class Model:
    def __init__(self) -> None:
        self.row = functools.lru_cache(self.make_row)

    def make_row(self, n: int) -> Any:
        return np.eye(n)[0]

    @functools.lru_cache  # noqa: B019 - as people write it
    def table(self, n: int) -> Any:
        return np.arange(n) * 2.0

    @staticmethod
    @functools.cache
    def scaled(n: int) -> Any:
        return np.full(n, 3.0)

    @functools.cached_property
    def mask(self) -> Any:
        return np.tri(3)[1]


MODEL = Model()


def by_key(n: Any) -> Any:
    if n not in KEPT:
        nodes = np.linspace(0, 1, n)
        KEPT[n] = nodes, np.ones(n) / n, nodes[1:]
    return KEPT[n]


def lazily() -> Any:
    global LAZY
    if LAZY is None:
        LAZY = np.array([1.0, 2.0, 3.0])
    return LAZY


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    known: dict[Any, Any] = {}

    def wrapper(*args: Any) -> Any:
        if args not in known:
            known[args] = function(*args)
        return known[args]

    return wrapper


@remembered
def basis(n: int, kind: str) -> Any:
    return np.eye(n)[1] if kind == "row" else np.eye(n)[:, 2]


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "lru_cache": (lambda x: x * grid(3), (X,)),
    "with a traced integer": (lambda x, n: x * grid(n)[:3] + grid(5)[1], (X, 5)),
    "with a keyword": (lambda x: x * window(3, shift=2.0)[0] + window(3)[1][0], (X,)),
    "of a method": (lambda x: x * MODEL.table(3) + MODEL.row(3) + MODEL.scaled(3), (X,)),
    "of a property": (lambda x: x * MODEL.mask, (X,)),
    "in a dict": (lambda x: x * by_key(3)[0] + by_key(3)[1], (X,)),
    "in a dict by a traced integer": (lambda x, n: x * by_key(n)[1][:3], (X, 4)),
    "in a global": (lambda x: x * lazily(), (X,)),
    "in a closure": (lambda x, n: x[:n] * basis(n, "row") + basis(3, "column")[:n], (X, 3)),
    "of a traced number": (lambda x: legendre(6, x[0]) + legendre(5, x[0] * 0.5), (X,)),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_cache_holds_what_numpy_leaves(program: str, same: Same) -> None:
    function, arguments = PROGRAMS[program]
    same(function, *arguments)
    expected = function(*arguments)
    assert isinstance(expected, (np.ndarray, np.float64))
    assert type(expected) in (np.ndarray, np.float64)
    same(function, *arguments)
    np.testing.assert_array_equal(gradc.jit(function)(*arguments), expected)


def test_what_stands_in_a_cache_is_given_again() -> None:
    weights()["w"][:] = [5.0, 6.0, 7.0]
    np.testing.assert_array_equal(gradc.jit(lambda x: x * weights()["w"])(X), X * [5.0, 6.0, 7.0])
    gradc.jit(lambda x: x * grid(4)[:3])(X)
    assert grid.cache_info()[:2] == (0, 1)
    assert type(grid(4)) is np.ndarray
    assert grid.cache_info()[:2] == (1, 1)


def test_results_of_traced_numbers_are_kept_for_the_trace() -> None:
    slope = gradc.grad(lambda x: legendre(20, x))
    value = 0.3
    found = slope(value)
    assert CALLS == list(range(20, -1, -1))
    assert legendre.cache_info().currsize == 0
    series = np.polynomial.Legendre.basis(20).deriv()
    np.testing.assert_allclose(found, series(value), rtol=1e-13)


def test_an_array_is_no_key(same: Same) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        legendre(3, X)
    with pytest.raises(TraceError, match=r"cannot be a key of a dict .* \(test_caches\.py:\d+: trace"):
        trace(lambda x: legendre(3, x), (X,))


def test_a_cached_function_that_uses_a_traced_value_is_refused() -> None:
    held: dict[str, Any] = {}

    @functools.cache
    def scaled(n: int) -> Any:
        return held["x"] * n

    def function(x: Any) -> Any:
        held["x"] = x
        return scaled(3)

    with pytest.raises(
        TraceError,
        match=r"scaled keeps its results, and this one would depend on a traced value that is not among its "
        r"arguments; pass it as an argument, or take functools\.cache off \(test_caches\.py:\d+: return held",
    ):
        trace(function, (X,))
    assert scaled.cache_info().currsize == 0


def test_views_in_a_cache_share_their_memory() -> None:
    trace(lambda x: x * by_key(3)[0], (X,))
    nodes, parts, rest = KEPT[3]
    rest[0] = 9.0
    assert nodes.tolist() == [0.0, 9.0, 1.0]
    assert not np.shares_memory(nodes, parts)
    assert [*KEPT] == [3]


def test_keys_are_numbers_in_their_order() -> None:
    KEPT[9] = KEPT["last"] = ()
    gradc.jit(lambda x, n: x * by_key(n)[0][0])(X, 2)
    assert [*KEPT] == [9, "last", 2]
    assert [type(key) for key in KEPT] == [int, str, int]


def test_numbers_and_classes_keep_what_they_are_given() -> None:
    class Holder:
        largest: Any = None

    holder = Holder()

    def function(x: Any) -> Any:
        table = np.arange(3.0)
        Holder.largest = table.max()
        holder.__dict__["rows"] = [table[1], np.array(2.0)]
        return x * table

    trace(function, (X,))
    assert (type(Holder.largest), Holder.largest) == (np.float64, 2.0)
    assert [type(row) for row in vars(holder)["rows"]] == [np.float64, np.ndarray]


def test_attributes_of_functions_slots_and_namespaces() -> None:
    class Slotted:
        __slots__ = ("table",)

    def function(x: Any) -> Any:
        if not hasattr(slotted, "table"):
            slotted.table = np.arange(3.0)
            function.table = namespace.table = np.ones(3)  # type: ignore[attr-defined]
            queue.append((np.zeros(2), "last"))
        return x * slotted.table + function.table  # type: ignore[attr-defined]

    slotted, namespace, queue = Slotted(), types.SimpleNamespace(), collections.deque[Any]()
    expected = gradc.jit(function)(X)
    kept = [slotted.table, vars(function)["table"], namespace.table, queue[0][0]]
    assert [type(array) for array in kept] == [np.ndarray] * 4
    assert namespace.table is vars(function)["table"]
    np.testing.assert_array_equal(function(X), expected)


def test_a_trace_that_fails_leaves_arrays() -> None:
    def function(x: Any) -> Any:
        return float(x[0] * by_key(2)[0][0])

    with pytest.raises(TraceError, match="float"):
        trace(function, (X,))
    assert [type(part) for part in KEPT[2]] == [np.ndarray] * 3


def test_a_cache_of_what_depends_on_an_argument_is_refused() -> None:
    def function(x: Any) -> Any:
        if "y" not in KEPT:
            KEPT["y"] = x * 2
        return KEPT["y"] + x

    with pytest.raises(
        TraceError,
        match=r"^the function changes what is kept in a dict, and what it does when it is called again depends on "
        r"that; pass it as an argument and return its new value \(test_caches\.py:\d+: return KEPT",
    ):
        gradc.jit(function)(X)
    assert KEPT == {}
    np.testing.assert_array_equal(function(X), X * 3)


def test_what_depends_on_an_argument_and_is_only_left_is_refused_when_it_is_used() -> None:
    def function(x: Any) -> Any:
        KEPT["y"] = x * 2
        return KEPT["y"] + x

    np.testing.assert_array_equal(gradc.jit(function)(X), X * 3)
    with pytest.raises(TraceError, match=ENDED):
        KEPT["y"] + 1
    np.testing.assert_array_equal(function(X), X * 3)


def test_a_number_that_may_change_stays_traced() -> None:
    def function(x: Any, n: Any) -> Any:
        KEPT["n"] = n * 2
        return x * n

    step = gradc.jit(function)
    for n in (2, 3):
        np.testing.assert_array_equal(step(X, n), X * n)
    with pytest.raises(TraceError, match=ENDED):
        KEPT["n"] + 1


def test_traces_in_traces() -> None:
    def function(x: Any) -> Any:
        inner = gradc.grad(lambda u: np.sum(u**2 * by_key(3)[0] * x))
        return inner(x) * by_key(3)[0] + grid(3)

    nodes = np.linspace(0, 1, 3)
    np.testing.assert_array_equal(gradc.jit(function)(X), 2 * X * nodes * X * nodes + nodes)
    assert type(KEPT[3][0]) is np.ndarray
