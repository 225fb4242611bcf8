"""Results that the caller gives with ``out=``, on every backend, through Python and natively."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, TraceError


class Pair(NamedTuple):
    a: Any
    b: Any


BACKENDS = ["llvm", "numpy", "reference"]
W = {"hidden": np.arange(6.0).reshape(2, 3), "rest": [np.array([1.0, -2.0, 0.5])]}
X = np.array([0.25, -1.5])


def loss(w, x, scale=2.0):
    h = np.tanh(x @ w["hidden"] + w["rest"][0])
    return np.sum(h * h) * scale + np.sum(x)


def step(backend: str) -> gradc.Function:
    return gradc.value_and_grad(loss, wrt=("w", "x"), backend=backend)


def like(result: Any, *, fill: float = np.nan) -> Any:
    """Arrays for a result."""
    if isinstance(result, dict):
        return {key: like(value) for key, value in result.items()}
    if isinstance(result, (list, tuple)):
        return type(result)(map(like, result))
    return np.full(np.shape(result), fill, result.dtype)


def leaves(result: Any) -> list[Any]:
    if isinstance(result, dict):
        return [leaf for value in result.values() for leaf in leaves(value)]
    if isinstance(result, (list, tuple)):
        return [leaf for value in result for leaf in leaves(value)]
    return [result]


def assert_equal(found: Any, expected: Any) -> None:
    for one, other in zip(leaves(found), leaves(expected), strict=True):
        assert (one.shape, one.dtype, one.tobytes()) == (other.shape, other.dtype, other.tobytes())


@pytest.mark.parametrize("backend", BACKENDS)
def test_arrays_for_all_results_are_returned_as_given(backend: str) -> None:
    function = step(backend)
    kernel = function.compile(W, X)
    expected = function(W, X)
    for called in (function, kernel):
        for _ in range(4):
            out = like(expected)
            given = leaves(out)
            assert called(W, X, out=out) is out
            assert all(a is b for a, b in zip(leaves(out), given, strict=True))
            assert_equal(out, expected)
            out = like(expected)
            assert called(x=X, out=out, w=W) is out
            assert_equal(out, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_none_asks_for_new_arrays(backend: str) -> None:
    function = step(backend)
    expected = function(W, X)
    hidden = np.empty((2, 3))
    for _ in range(4):
        for out in (
            (None, ({"hidden": hidden, "rest": None}, None)),
            (None, ({"hidden": hidden, "rest": [None]}, None)),
            (None, ({"rest": None, "hidden": hidden}, None)),
        ):
            hidden[:] = np.nan
            result = function(W, X, out=out)
            assert result[1][0]["hidden"] is hidden
            assert list(result[1][0]) == ["hidden", "rest"]
            assert type(result[0]) is np.float64
            assert result[1][1] is not expected[1][1]
            assert_equal(result, expected)
        assert_equal(function(W, X, out=None), expected)
        assert_equal(function(W, X, out=(None, (None, None))), expected)
        whole = np.empty(())
        assert function(W, X, out=(whole, None))[0] is whole
        assert whole == expected[0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_result(backend: str) -> None:
    function = gradc.grad(lambda x: np.sum(x * x), backend=backend)
    for _ in range(4):
        out = np.empty(3)
        assert function(np.arange(3.0), out=out) is out
        assert out.tolist() == [0.0, 2.0, 4.0]
    scalar = gradc.jit(lambda x: np.sum(x), backend=backend)
    for _ in range(4):
        place = np.empty(())
        assert scalar(np.arange(3.0), out=place) is place
        assert place == 3.0


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_argument_as_the_result(backend: str) -> None:
    """The result is what it would be if the memory were not shared."""
    turn = gradc.jit(lambda x, y: x[::-1] + y, backend=backend)
    for _ in range(4):
        x, y = np.arange(5.0), np.ones(5)
        assert turn(x, y, out=x) is x
        assert x.tolist() == [5.0, 4.0, 3.0, 2.0, 1.0]
        both = np.arange(7.0)
        turn(both[:5], y, out=both[2:])
        assert both.tolist() == [0.0, 1.0, 5.0, 4.0, 3.0, 2.0, 1.0]
        descent = {"x": np.ones(2)}
        update = gradc.grad(lambda w: np.sum(w["x"] ** 2), backend=backend)
        assert update(descent, out=descent) is descent
        assert descent["x"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_layouts_that_are_not_contiguous(backend: str, tmp_path) -> None:
    function = gradc.jit(lambda x: x * 2.0, backend=backend)
    x = np.arange(6.0).reshape(2, 3)
    room = np.zeros((4, 6))
    unaligned = np.zeros(49, np.uint8)[1:].view(np.float64).reshape(2, 3)
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(2, 3))
    for _ in range(4):
        for out in (room[::2, ::2], room[1:3, :3], np.empty((3, 2)).T, room[::-1, ::-1][:2, :3], unaligned, mapped):
            out[:] = np.nan
            assert function(x, out=out) is out
            np.testing.assert_array_equal(out, x * 2.0)
    pair = gradc.jit(lambda x: (x, x + 1.0), backend=backend)
    columns = np.zeros((3, 2))
    for _ in range(4):
        pair(np.arange(3.0), out=(columns[:, 0], columns[:, 1]))
        assert columns.tolist() == [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]


@pytest.mark.parametrize("shape", [(0,), (2, 0), (1, 1)])
def test_arrays_without_elements_and_of_one(shape: tuple[int, ...]) -> None:
    function = gradc.jit(lambda x: (x, x * 2.0))
    for _ in range(4):
        x = np.ones(shape)
        out = (np.empty(shape), np.empty(shape))
        assert function(x, out=out) is out
        assert_equal(out, (x, x * 2.0))
        if not x.size:
            assert function(x, out=(x, x)) == (x, x)


READ_ONLY = np.empty(3)
READ_ONLY.setflags(write=False)
SHARED = np.empty(4)
REFUSED: dict[str, tuple[Any, str]] = {
    "another dtype": ((np.empty(3, "f4"), None), r"out\[0\] is f32\[3\] and the result is f64\[3\]; pass an array"),
    "another shape": ((np.empty((3, 1)), None), r"out\[0\] is f64\[3,1\] and the result is f64\[3\]"),
    "a shape that broadcasts": ((None, {"s": np.empty(1)}), r"out\[1\]\['s'\] is f64\[1\] and the result is f64\[\]"),
    "another byte order": ((np.empty(3, ">f8"), None), r"out\[0\] is f64\[3\] in the other byte order and the result"),
    "read-only": ((READ_ONLY, None), r"out\[0\] is read-only"),
    "one array twice": ((SHARED[:3], {"s": SHARED[2:3].reshape(())}), r"out\[0\] and out\[1\]\['s'\] share memory"),
    "elements in one place": (
        (np.lib.stride_tricks.as_strided(SHARED, (3,), (0,)), None), r"out\[0\] has several elements in one place",
    ),
    "a number": ((1.0, None), r"out\[0\] is a float and results are written into arrays"),
    "a NumPy scalar": ((None, {"s": np.float64(1)}), r"out\[1\]\['s'\] is a float64 and results are written"),
    "a masked array": ((np.ma.zeros(3), None), r"out\[0\] is a MaskedArray and results are written"),
    "a list": ([np.empty(3), None], "out is a list of 2 where the result has a tuple of 2; nest it as the result is"),
    "too long": ((None, None, None), "out is a tuple of 3 where the result has a tuple of 2"),
    "another key": ((None, {"t": None}), r"out\[1\] is a dict of 1 \('t'\) where the result has a dict of 1 \('s'\)"),
    "an array": (np.empty(3), "out is one array where the result has a tuple of 2"),
    "a container": ((None, {"s": [None]}), r"out\[1\]\['s'\] is a list of 1 where the result has one array"),
    "an ordered dict": ((None, OrderedDict(s=None)), r"out\[1\] is a OrderedDict of 1 \('s'\) where the result has"),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("out", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_written_into(out, message: str, backend: str) -> None:
    """Nothing is written, first, and after calls that were answered natively."""
    function = gradc.jit(lambda x: (x * 2.0, {"s": np.sum(x)}), backend=backend)
    kernel = function.compile(np.ones(3))
    for called in (function, kernel):
        for _ in range(4):
            with pytest.raises(ArgumentError, match=message):
                called(np.ones(3), out=out)
            called(np.ones(3), out=(np.empty(3), {"s": np.empty(())}))
            called(np.ones(3), out=(np.empty(3), None))


def test_nothing_is_written_where_something_is_refused() -> None:
    function = gradc.jit(lambda x: (x * 2.0, x + 1.0))
    first = np.full(3, 7.0)
    for _ in range(4):
        with pytest.raises(ArgumentError):
            function(np.ones(3), out=(first, READ_ONLY))
        assert first.tolist() == [7.0] * 3


def test_a_function_with_a_parameter_named_out() -> None:
    def scaled(x, out=3.0):
        return x * out

    function = gradc.jit(scaled)
    kernel = function.compile(np.ones(2))
    for called in (function, kernel):
        for _ in range(4):
            place = np.empty(2)
            assert called(np.ones(2), results=place) is place
            assert place.tolist() == [3.0, 3.0]
    assert function(np.ones(2), out=4.0, results=place) is place
    assert place.tolist() == [4.0, 4.0]


def test_signatures_are_those_of_the_function() -> None:
    function = step("llvm")
    assert str(inspect.signature(function)) == "(w, x, scale=2.0)"
    expected = step("llvm")(W, X, 3.0)
    for _ in range(4):
        out = like(expected)
        assert_equal(function(W, X, scale=3.0, out=out), expected)
        assert_equal(function(W, out=out, x=X, scale=3.0), expected)
        assert_equal(function(W, X, 3.0, out=out), expected)
    with pytest.raises(ArgumentError, match="unexpected keyword argument 'output'"):
        function(W, X, output=out)


def test_the_results_of_a_pullback() -> None:
    x = np.array([1.0, 2.0])
    _, pullback = gradc.vjp(lambda x: x * x, x)
    for _ in range(4):
        out = (np.empty(2),)
        assert pullback(np.array([1.0, 10.0]), out=out) is out
        assert out[0].tolist() == [2.0, 40.0]


def test_containers_of_the_users_own() -> None:
    function = gradc.jit(lambda x: Pair(x, x + 1.0))
    for _ in range(4):
        out = Pair(np.empty(2), np.empty(2))
        assert function(np.ones(2), out=out) is out
        assert out.b.tolist() == [2.0, 2.0]
        mixed = function(np.ones(2), out=Pair(None, out.b))
        assert (type(mixed), mixed.b is out.b) == (Pair, True)


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_symbolic_sizes(backend: str) -> None:
    kernel = gradc.jit(lambda x: np.concatenate([x, x])).compile(gradc.aval("f64[batch]"), backend=backend)
    for _ in range(4):
        for size in (3, 0, 5):
            out = np.empty(2 * size)
            assert kernel(np.ones(size), out=out) is out
            assert out.tolist() == [1.0] * 2 * size
        with pytest.raises(ArgumentError, match=r"out is f64\[10\] and the result is f64\[8\]"):
            kernel(np.ones(4), out=out)
        both = np.arange(6.0)
        assert kernel(both[:3], out=both).tolist() == [0.0, 1.0, 2.0, 0.0, 1.0, 2.0]


def test_a_traced_call_writes_nothing() -> None:
    inner = gradc.jit(lambda x: x * 2.0)
    buffer = np.zeros(2)
    with pytest.raises(TraceError, match=r"a call that is traced writes no out=; use what it returns \(test_out.py"):
        gradc.jit(lambda x: inner(x, out=buffer))(np.ones(2))
    assert gradc.jit(lambda x: inner(x, out=None))(np.ones(2)).tolist() == [2.0, 2.0]


def test_many_results_that_share_memory() -> None:
    count = 20
    function = gradc.jit(lambda *xs: tuple(x + 1.0 for x in xs))
    xs = [np.full(3, float(k)) for k in range(count)]
    expected = [[k + 1.0] * 3 for k in range(count)]
    for _ in range(4):
        room = np.zeros((count, 3))
        function(*xs, out=tuple(room))
        assert room.tolist() == expected
        for place in (0, 7, 8, 19):
            with pytest.raises(ArgumentError, match="share memory"):
                function(*xs, out=(*room[:place], room[19 - place], *room[place + 1 :]))
            held = [x.copy() for x in xs]
            function(*held, out=(*room[:place], held[19 - place], *room[place + 1 :]))
            assert held[19 - place].tolist() == expected[place]
            assert [*room[:place].tolist(), *room[place + 1 :].tolist()] == expected[:place] + expected[place + 1 :]
