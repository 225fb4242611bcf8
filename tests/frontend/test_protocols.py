"""What Python and NumPy do with an array beside arithmetic: text, copies, pickles, keys, iterators, attributes.

Each gives what NumPy gives, or is refused with the line and a remedy.
"""

from __future__ import annotations

import collections
import concurrent.futures
import copy
import inspect
import io
import logging
import pickle
import pprint
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import GradcError, TraceError
from gradc.frontend.tracing import trace

Same = Callable[..., Any]
X = np.arange(1.0, 4.0)
A = np.arange(6.0).reshape(2, 3)
ENDED = "<a traced value of a trace that has ended>"

WORKS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}
REFUSED: list[tuple[Callable[..., Any], int, str]] = []


def works(*inputs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        WORKS[function.__name__] = function, inputs
        return function

    return enter


def refused(message: str, line: int = 1) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        REFUSED.append((function, line, message))
        return function

    return enter


# Text


@works(X, 3)
def names_by_number(x, n):
    table = {"layer_3": x, "layer_003": x * 2, "3": x * 3, "3.50": x * 4}
    return [table[f"layer_{n}"], table[f"layer_{n:03d}"], table[str(n)], table[f"{n + 0.5:.2f}"], table["%d" % n]]  # noqa: UP031


@works(X)
def text_of_constants(x):
    numbers = np.arange(3) / 4
    text = [str(numbers), repr(numbers), f"{numbers[1]:.3f} {numbers}", str(numbers[2]), repr(numbers[2]), f"{[1.5]}"]
    return x * np.array([len(part) for part in text])[:, None]


@refused(
    "str() or print() needs the number behind a traced f64[3], unknown while tracing; return it and print it after"
)
def string(x):
    return x * len(str(x))


@refused("str() or print() needs the number behind a traced f64[3]")
def printed(x):
    print(x)  # noqa: T201
    return x


@refused("repr() needs the number behind a traced f64[]")
def printed_list(x):
    print([x[0]])  # noqa: T201
    return x


@refused("formatting needs the number behind a traced f64[]")
def formatted(x):
    return x * len(f"{x[0]}")


@refused("str() or print() needs the number behind a traced f64[]")
def joined(x):
    return x * len(", ".join(map(str, x)))


@refused("np.array2string: print after the function has returned")
def array_to_string(x):
    return x * len(np.array2string(x))


def test_tools_show_what_a_traced_value_is(caplog: pytest.LogCaptureFixture) -> None:
    shown = []

    def function(x: Any, n: Any) -> Any:
        logging.getLogger("model").warning("x is %s, n is %r", x, n)
        shown.append(pprint.pformat([x, n]))
        return x * n

    assert trace(function, (X, 3)).guards == {}
    assert caplog.text.rstrip().endswith("x is <traced f64[3]>, n is <traced ~i64[]>")
    assert set(caplog.messages) == {f"x is {ENDED}, n is {ENDED}"}
    assert shown == ["[<traced f64[3]>, <traced ~i64[]>]"]


def test_a_value_that_has_ended_says_so() -> None:
    kept: list[Any] = []
    trace(lambda x: kept.append(x) or x, (X,))
    assert repr(kept) == f"[{ENDED}]"
    with pytest.raises(TraceError, match="a traced value is used outside of its trace"):
        str(kept[0])


# Copies and files


@works(X)
def copies(x):
    y = copy.copy(x)
    y[0] = 5
    z = copy.deepcopy(y)
    z[1] = 7
    both = copy.deepcopy({"a": y, "b": [y, x[0]]})
    both["a"][2] = 9
    return x, y, z, both["b"][0], both["b"][1] * 2, copy.copy(x[1])


@works(X)
def pickled_constants(x):
    return x * pickle.loads(pickle.dumps(np.arange(3) * 2.0)), x * pickle.loads(pickle.dumps(np.arange(3)[1]))  # noqa: S301


@refused(
    "pickling needs the number behind a traced f64[3], unknown while tracing; return the array, and pickle it after"
)
def pickled(x):
    return pickle.loads(pickle.dumps(x))  # noqa: S301


@refused("np.save: return the array, and save it after the call")
def saved(x):
    np.save(io.BytesIO(), x)
    return x


@refused("np.savetxt: return the array, and save it after the call")
def saved_as_text(x):
    np.savetxt(io.StringIO(), x)
    return x


@refused("ndarray.tobytes is not supported on a traced array; return the array, and store it after the call")
def bytes_of(x):
    return np.frombuffer(x.tobytes())


@refused("bytes() needs the number behind a traced f64[3], unknown while tracing; return the array, and take its bytes")
def converted_to_bytes(x):
    return np.frombuffer(bytes(x))


# Keys and membership


@works(X, 2)
def keys(x, n):
    table = {2: x, (2, "row"): x * 2, 1: x * 3, 0.5: x * 4}
    counted = collections.Counter([1, 1, n])
    places = {id(x): x}
    return [
        table[n],
        table[n, "row"],
        table[np.arange(3)[1]],
        table[np.arange(3)[1] / 2],
        counted[n] * x,
        places[id(x)],
    ]


@works(X, 2)
def membership(x, n):
    a, b = x * 2, x * 3
    kept = [a, b]
    return (a in kept) * x + kept.index(a) + (n in [1, 2]) * x + (n in {1, 3}) * b + (n in range(3)) * 2.0


@refused(
    "a traced value cannot be a key of a dict or a member of a set: it is unknown while tracing; use a position in"
)
def key(x):
    return {x[0]: x}[x[0]]


@refused("a truth value (if, while, assert, and, or, not) needs the number behind a traced bool[]")
def number_in_list(x):
    return x * (x[0] in [1.0, 2.0])


@refused("`in` needs the numbers behind a traced array; use np.any(x == item), which stays traced")
def number_in_array(x):
    return x * (2.0 in x)


# Iterators


@works(A)
def enumerated(a):
    total, out = 0.0, np.zeros_like(a)
    for (i, j), element in np.ndenumerate(a):
        total += element * (i + 2 * j)
        out[i, j] = element**2
    for index, element in np.ndenumerate(out):
        out[index[0], -1] += element
    first = next(iter(np.ndenumerate(a[:, 1])))
    return total, out, first[1], [k for k, _ in np.ndenumerate(np.eye(2))][3][0] * a


@works(A)
def indices(a):
    return sum(a[i] * i[1] for i in np.ndindex(a.shape)), sum(a[i, j] for i, j in np.ndindex(2, 2))


@works(A)
def flat_and_rows(a):
    return [v * k for k, v in enumerate(a.flat)], [row[::-1] for row in a], list(zip(*a, strict=True))[1][0]


@refused("np.nditer walks in the order of memory, which a trace does not know; use x.flat, np.ndenumerate(x) or")
def iterated(x):
    return sum(v * v for v in np.nditer(x))


@refused("np.nditer walks in the order of memory")
def written_by_iterator(x):
    with np.nditer(x * 2, op_flags=["readwrite"]) as it:
        for v in it:
            v[...] = 0
    return x


@refused("np.broadcast holds plain arrays; use np.broadcast_arrays(x, y), or np.broadcast_shapes(x.shape, y.shape)")
def broadcast(x):
    return np.zeros(np.broadcast(x, x[:, None]).shape)


@refused("np.lib.stride_tricks.as_strided reads memory by strides, which a trace does not know; use np.lib.stride_tri")
def strided(x):
    return np.lib.stride_tricks.as_strided(x, (2, 2), (8, 8))


def test_iterators_of_plain_arrays_are_numpys(same: Same) -> None:
    def function(x: Any) -> Any:
        assert issubclass(np.nditer, np.nditer)
        it = np.nditer(PLAIN, flags=["multi_index"])
        assert isinstance(it, np.nditer)
        total = 0.0
        while not it.finished:
            total += float(it[0]) * it.multi_index[0]
            it.iternext()
        windows = np.lib.stride_tricks.as_strided(PLAIN, (2, 2), (8, 8))
        return x * total * np.broadcast(PLAIN, PLAIN[0]).size + windows[1, 0]

    same(function, X)


PLAIN = np.arange(6.0).reshape(2, 3)


# Numbers out of arrays


@works(A, X.astype(np.float32), np.arange(3, dtype=np.int8))
def items(a, f, i):
    assert type(a.item(2)) is float
    numbers = a.item(4), a.item(0, 1), a.item((1, 2)), (a.sum() * 2).item(), a[0, 0].item(), f.item(1), i.item(2)
    return [*numbers, f * a.item(1), i.item(1) + f, f[1].item() * f, a[:, 1].item(-1)]


@works(A)
def lists(a):
    rows = a.tolist()
    assert type(rows) is list
    assert type(rows[0][0]) is float
    return sum(sum(row) for row in rows), [max(len(row) for row in rows) * rows[1][2]], a[0, 1].tolist()


def test_numbers_out_of_arrays_have_gradients() -> None:
    slopes = gradc.grad(lambda a: a[1, 0].item() * a.item(1) + sum(a[0].tolist()) ** 2)(A)
    np.testing.assert_array_equal(slopes, [[6.0, 9.0, 6.0], [1.0, 0.0, 0.0]])


@refused("item() needs an index where an array has not one element, and this is f64[3]")
def item_of_many(x):
    return x.item()


@refused("a traced value is used outside of its trace, after the end of that or in another thread; return it from", 2)
def in_threads(x):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda v: v * 2, list(x)))


# Attributes


@works(X)
def attributes_that_are_set(x):
    y = x * 2
    view = y[:]
    y.shape = (3, 1)
    y[1, 0] = 7
    z = np.zeros((2, 2))
    z.flat = x
    z.flat[3] = x[2]
    assert y.shape == (3, 1)
    assert view.shape == (3,)
    return y, view, y @ x[None], z


@refused("x.shape = ... is for arrays that the function made, in order; use x.reshape, which gives a view")
def shape_of_an_argument(x):
    x.shape = (3, 1)
    return x


@refused("x.imag = ... is not supported on a traced array; write x = x.real + 1j * y", 2)
def imaginary_part(x):
    y = x * 1j
    y.imag = x
    return y


@refused(
    "ndarray.strides is not supported on a traced array; a trace does not know how an array lies in memory; np.asc"
)
def strides(x):
    return x * x.strides[0]


@refused("ndarray.base is not supported on a traced array; np.shares_memory(x, y) says whether two arrays share memory")
def base(x):
    return x * (x.base is None)


@pytest.mark.parametrize("name", WORKS)
def test_what_works(name: str, same: Same) -> None:
    function, inputs = WORKS[name]
    same(function, *inputs)


@pytest.mark.parametrize(("function", "line", "message"), REFUSED, ids=lambda c: getattr(c, "__name__", None))
def test_what_is_refused(function: Callable[..., Any], line: int, message: str) -> None:
    lines, start = inspect.getsourcelines(function)
    line += next(k for k, text in enumerate(lines) if text.startswith("def "))
    with pytest.raises(GradcError) as caught:
        trace(function, (X,))
    assert str(caught.value).startswith(message)
    assert caught.value.line == f"test_protocols.py:{start + line}: {lines[line].strip()}"
