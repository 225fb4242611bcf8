"""What a function changes beside its result: arguments, attributes, globals, variables of functions around it."""

from __future__ import annotations

import array
import collections
import contextvars
import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import TraceError
from gradc.frontend.tracing import trace
from gradc.frontend.tree import flatten

X = np.arange(1.0, 4.0)
COUNT = 0
TABLE = np.ones(3)


@dataclass
class State:
    mean: Any
    steps: float = 0.0


def assigned(state: Any) -> Any:
    state["t"] = state["t"] + 1
    return state["w"] * state["t"]


def augmented(state: Any) -> Any:
    state["w"] = 0.9 * state["w"]
    return state["w"] * 2


def new_key(state: Any) -> Any:
    state["norm"] = np.sum(state["w"])
    return state["norm"]


def removed(state: Any) -> Any:
    return state.pop("w") * 2


def appended(rows: Any) -> Any:
    rows.append(rows[0] * 2)
    return rows[-1]


def swapped(rows: Any) -> Any:
    rows[0], rows[1] = rows[1], rows[0]
    return rows[0] - 2 * rows[1]


def nested(state: Any) -> Any:
    state["inner"][0]["w"] = state["inner"][0]["w"] + 1
    return state["inner"][0]["w"]


def attribute(state: Any) -> Any:
    state.mean = state.mean * 0.5
    return state.mean


W: dict[str, Any] = {"w": X, "t": 1.0}
ARGUMENTS: list[tuple[Callable[..., Any], Any, str]] = [
    (assigned, W, "state['t']"),
    (augmented, W, "state['w']"),
    (new_key, W, "state['norm']"),
    (removed, W, "state['w']"),
    (appended, [X], "rows[1]"),
    (swapped, [X, X + 1], "rows[0]"),
    (nested, {"inner": [{"w": X}]}, "state['inner'][0]['w']"),
    (attribute, State(X), "state.mean"),
]


@pytest.mark.parametrize(("function", "argument", "path"), ARGUMENTS, ids=lambda x: getattr(x, "__name__", None))
def test_an_argument_that_is_changed_is_refused(function: Callable[..., Any], argument: Any, path: str) -> None:
    with pytest.raises(TraceError) as caught:
        gradc.jit(function)(copy.deepcopy(argument))
    name = function.__code__.co_varnames[0]
    place = f"test_effects.py:{function.__code__.co_firstlineno}: def {function.__name__}({name}: Any) -> Any:"
    assert str(caught.value) == (
        f"the function changes {path} of its argument, and that of the caller would stay; copy it first, as in "
        f"{name} = copy.deepcopy({name}), and return it ({place})"
    )


@pytest.mark.parametrize(("function", "argument", "path"), ARGUMENTS, ids=lambda x: getattr(x, "__name__", None))
def test_a_copy_can_be_changed(function: Callable[..., Any], argument: Any, path: str) -> None:
    def copied(given: Any) -> Any:
        given = copy.deepcopy(given)
        return function(given), given

    result, new = gradc.jit(copied)(argument)
    expected = copy.deepcopy(argument)
    np.testing.assert_array_equal(result, function(expected))
    (found, tree), (wanted, structure) = flatten(new), flatten(expected)
    assert tree == structure
    for leaf, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(leaf, other)


def test_shallow_copies_and_what_python_copies_itself() -> None:
    def shallow(state: Any, *rest: Any, **options: Any) -> Any:
        state = dict(state)
        state["w"] = state["w"] * options.pop("scale")
        return state, list(rest)[::-1][0]

    state, last = gradc.jit(shallow)(W, X, X * 2, scale=3.0)
    np.testing.assert_array_equal(state["w"], X * 3)
    np.testing.assert_array_equal(last, X * 2)
    new = gradc.jit(lambda s: replace(s, mean=s.mean + 1))(State(X))
    np.testing.assert_array_equal(new.mean, X + 1)


def test_a_default_that_is_a_cache() -> None:
    def powers(x: Any, known: Any = {}) -> Any:  # noqa: B006 - as people write it
        if "two" not in known:
            known["two"] = np.full(3, 2.0)
        return x ** known["two"]

    for _ in range(2):
        np.testing.assert_array_equal(gradc.jit(powers)(X), X**2)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, known={}: known.setdefault("y", x * 2) + x,
        lambda x, known={}: known.update(calls=known.get("calls", 0) + 1) or x * known["calls"],
        lambda x, rows=[]: rows.append(np.ones(3)) or x * len(rows),
    ],
)
def test_a_default_that_keeps_something_else(function: Callable[..., Any]) -> None:
    with pytest.raises(TraceError, match=r"and that of the caller would stay|and return its new value"):
        gradc.jit(function)(X)


class Momentum:
    """An optimizer that keeps its state, as classes do."""

    def __init__(self) -> None:
        self.steps = 0
        self.mean: Any = np.zeros(3)
        self.calls: list[Any] = []
        self.last: Any = None

    def count(self, g: Any) -> Any:
        self.steps += 1
        return g / self.steps

    def average(self, g: Any) -> Any:
        self.mean = 0.9 * self.mean + g
        return self.mean

    def in_place(self, g: Any) -> Any:
        self.mean += 1.0
        return g * self.mean

    def listed(self, g: Any) -> Any:
        before = self.calls[-1] if self.calls else 0.0
        self.calls.append(g)
        return g + before

    def first(self, g: Any) -> Any:
        if self.last is None:
            self.last = g
        return g - self.last


def counted(x: Any) -> Any:
    global COUNT
    COUNT += 1
    return x * COUNT


def table_written(x: Any) -> Any:
    TABLE[0] += 1.0
    return x * TABLE


SEEN: set[str] = set()
TICKS = bytearray(1)
CELLS = array.array("d", [0.0])
RECENT = collections.OrderedDict(a=1.0, b=2.0)
ROWS = (np.zeros(3), "rows")
DEPTH: contextvars.ContextVar[int] = contextvars.ContextVar("depth", default=0)


def remembered(x: Any) -> Any:
    if "called" in SEEN:
        return x * 3
    SEEN.add("called")
    return x


def ticked(x: Any) -> Any:
    TICKS[0] += 1
    return x * TICKS[0]


def celled(x: Any) -> Any:
    CELLS[0] += 1
    return x * CELLS[0]


def reordered(x: Any) -> Any:
    RECENT.move_to_end(next(iter(RECENT)))
    return x * next(iter(RECENT.values()))


def row_written(x: Any) -> Any:
    ROWS[0][0] += 1
    return x * ROWS[0]


def deeper(x: Any) -> Any:
    DEPTH.set(DEPTH.get() + 1)
    return x * DEPTH.get()


def in_closure() -> Callable[[Any], Any]:
    total, queue, source = 0, collections.deque([1.0, 2.0]), iter([1.0, 2.0, 3.0])

    def add(x: Any) -> Any:
        nonlocal total
        total += 1
        return x + total

    def rotated(x: Any) -> Any:
        queue.rotate()
        return x * queue[0]

    def drawn(x: Any) -> Any:
        return x * next(source)

    return lambda x, which: {"add": add, "rotated": rotated, "drawn": drawn}[which](x)


CLOSURE = in_closure()
STATEFUL: dict[str, tuple[Callable[[Any], Any], str]] = {
    "count": (Momentum().count, "Momentum.steps"),
    "average": (Momentum().average, "Momentum.mean"),
    "in_place": (Momentum().in_place, "Momentum.mean"),
    "listed": (Momentum().listed, "what is kept in a list"),
    "first": (Momentum().first, "Momentum.last"),
    "global": (counted, "the global COUNT"),
    "array": (table_written, "the global TABLE"),
    "nonlocal": (lambda x: CLOSURE(x, "add"), "a variable of the function around it"),
    "deque": (lambda x: CLOSURE(x, "rotated"), "the item 0 of a deque"),
    "iterator": (lambda x: CLOSURE(x, "drawn"), "a variable of the function around it"),
    "set": (remembered, "what is kept in a set"),
    "bytearray": (ticked, "the global TICKS"),
    "array of Python's": (celled, "the global CELLS"),
    "order of a dict": (reordered, "what is kept in an OrderedDict"),
    "array in a tuple": (row_written, "an object of type ndarray"),
    "context variable": (deeper, "the context variable depth"),
}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_result_that_depends_on_what_the_function_changes_is_refused(name: str) -> None:
    function, place = STATEFUL[name]
    with pytest.raises(
        TraceError, match=r"pass it as an argument and return its new value \(test_effects\.py:\d+: "
    ) as e:
        gradc.jit(function)(X)
    assert place in str(e.value)


def test_a_refusal_leaves_what_is_no_dict_or_list_as_it_was() -> None:
    for function in (remembered, ticked, celled, reordered, row_written, deeper):
        with pytest.raises(TraceError, match="pass it as an argument"):
            gradc.jit(function)(X)
    assert (SEEN, TICKS, CELLS.tolist(), list(RECENT)) == (set(), bytearray(1), [0.0], ["a", "b"])
    assert (ROWS[0].tolist(), DEPTH.get()) == ([0.0, 0.0, 0.0], 0)


def test_keys_and_elements_are_put_back_as_the_first_trace_left_them() -> None:
    newest, groups = {0: "first"}, {1}

    def step(x: Any) -> Any:
        (key,) = newest
        del newest[key]
        newest[key + 1] = "next"
        groups.symmetric_difference_update({1, len(groups) + 1})
        return x * 2

    np.testing.assert_array_equal(gradc.jit(step)(X), X * 2)
    assert (newest, groups) == ({1: "next"}, {2})


def test_a_refusal_leaves_everything_as_it_was() -> None:
    optimizer, before = Momentum(), TABLE.copy()
    for function in (optimizer.count, optimizer.average, optimizer.listed, optimizer.first, counted, table_written):
        with pytest.raises(TraceError, match="pass it as an argument"):
            gradc.jit(function)(X)
    assert (optimizer.steps, optimizer.calls, optimizer.last, COUNT) == (0, [], None, 0)
    assert optimizer.mean.tolist() == [0.0, 0.0, 0.0]
    np.testing.assert_array_equal(TABLE, before)
    assert [(counted(X) / X)[0], (counted(X) / X)[0]] == [1.0, 2.0]


class Net:
    """Keeps what nothing is made of: sizes, intermediate results, how often it was called."""

    def __init__(self) -> None:
        self.calls = 0
        self.size = 0
        self.x: Any = None
        self.table: Any = None
        self.log: list[Any] = []

    def __call__(self, x: Any) -> Any:
        self.calls += 1
        self.size = len(x)
        self.x = x
        if self.table is None:
            self.table = np.cos(np.arange(3.0) / 7)
        self.log.append(self.size)
        return self.x * self.table[: self.size] + self.size


def test_what_the_result_does_not_depend_on_may_change() -> None:
    net, plain = Net(), Net()
    step = gradc.jit(lambda x: net(x))
    for x in (X, X[:2], X * 2):
        np.testing.assert_array_equal(step(x), plain(x))
    assert (net.size, net.log, net.calls) == (2, [3, 2], 2)
    assert type(net.table) is np.ndarray
    trace(lambda x: net(x), (X,))
    assert (net.size, net.log) == (3, [3, 2, 3])
