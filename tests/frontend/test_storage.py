"""In-place code has NumPy's meaning: writes, views, aliases, copies; what cannot be kept is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.errors import DtypeError, ShapeError, TraceError
from gradc.frontend.tracing import trace

Same = Callable[..., Any]
X = np.arange(1.0, 7.0).reshape(2, 3)


def elements(x: Any) -> Any:
    buf = np.zeros(3)
    buf[0] = x[0, 1]
    buf[-1] = x[1, 2] * 2
    buf[1] += x[0, 0]
    return buf


def slices(x: Any) -> Any:
    buf = np.empty((2, 3))
    buf[:] = 0
    buf[:, 0] = x[:, 1]
    buf[0] += x[0]
    buf[::-1, 1:] = x[:, :2]
    buf[1:] *= 2
    return buf


def integer_arrays(x: Any) -> Any:
    buf = np.ones((2, 3))
    buf[[0, 1], [1, 2]] = x[:, 0]
    buf[[0, 0]] += 1
    buf[np.array([1])] = x[:1]
    return buf


def masks(x: Any) -> Any:
    buf = x.copy()
    buf[buf > 4] = 0
    buf[np.array([True, False])] = x[1] + 1
    return buf


def letters(x: Any) -> Any:
    buf = np.stack([x[0], x[1], x[0] + x[1]])
    np.einsum("ii->i", buf)[:] = x[0]
    np.einsum("ij->ji", buf)[0, 1:] += 1
    np.einsum(buf, [0, 1], [1, 0])[2, 0] = 9
    np.einsum("...j->j...", buf)[1, 2] = 8
    np.einsum("ij->i", buf[:, :1])[0] = 100
    np.reshape(buf, -1, copy=True)[0] = 200
    buf[0, 1] = np.nan
    same = np.nan_to_num(buf[0], copy=False, nan=3.0)
    same += 1
    return buf, np.nan_to_num(buf)


def views(x: Any) -> Any:
    buf = np.zeros((2, 3))
    row, column, transposed, flat = buf[1], buf[:, 0], buf.T, buf.reshape(-1)
    row[0] = x[0, 0]
    column[0] = 5
    transposed[2, 1] = x[1, 1]
    flat[1] = x[0, 2]
    buf += 1
    inner = row[1:][::-1]
    inner[0] = -1
    return buf, row, column, transposed, flat, inner


def chains(x: Any) -> Any:
    buf = np.zeros((2, 3))
    np.swapaxes(buf, 0, 1)[1] = x[:, 0]
    np.expand_dims(buf, 0)[0, 0, 0] = 7
    left, right = np.split(np.zeros(4), 2)
    left[0] = x[0, 0]
    halves = np.zeros(4)
    first, second = np.split(halves, 2)
    first += x[0, :2]
    second[1] = 9
    np.squeeze(buf[1:])[2] = x[0, 1]
    return buf, left, right, halves, first, second


def aliases(x: Any) -> Any:
    h = x * 2
    g = h
    h += 1
    h[0, 0] = 3
    k = np.asarray(g)
    k[1, 1] = 4
    copied = np.array(g)
    copied[0] = 0
    return h, g, k, copied


def rebinding(x: Any) -> Any:
    h = x * 2
    before = h
    h = h + 1
    return before, h


def numbers_are_immutable(x: Any) -> Any:
    s = x.sum()
    t = s
    s += 1
    v = x[0, 0]
    w = v
    v *= 2
    return s, t, v, w


def elements_are_copies(x: Any) -> Any:
    buf = np.zeros(3)
    kept, view = buf[0], buf[0, ...]
    buf[0] = x[0, 0]
    view += 1
    return kept, view, buf


def arrays_without_axes(x: Any) -> Any:
    total = np.zeros(())
    alias = total
    total += x[0, 0]
    total[...] = total * 2
    return total, alias


def fancy_results_are_copies(x: Any) -> Any:
    buf = np.zeros(3)
    picked = buf[[0, 1]]
    buf[0] = x[0, 0]
    picked[1] = 9
    return buf, picked


def copies_by_layout(x: Any) -> Any:
    buf = np.zeros((2, 3))
    copied = buf.T.reshape(-1)
    copied[0] = 7
    joined = buf.reshape(3, 2)
    joined[0, 1] = x[0, 0]
    flat = buf.flatten()
    flat[0] = 8
    return buf, copied, joined, flat


def ravel_copies_what_is_not_in_order(x: Any) -> Any:
    buf = np.zeros((2, 3))
    flipped, strided, ordered = np.flip(buf).ravel(), buf.reshape(-1)[::2].ravel(), buf[1].ravel()
    viewed = np.flip(buf).reshape(-1)
    buf[0, 1] = x[0, 1]
    buf[1] += x[1]
    return buf, flipped, strided, ordered, viewed


def copies_keep_the_order(x: Any) -> Any:
    buf = np.zeros((2, 3))
    results = []
    for copied in (np.array(buf.T), np.copy(buf.T), np.zeros_like(buf.T), buf.T.copy()):
        flat = copied.reshape(-1).copy()
        flat[0] = x[0, 0]
        results += [copied, flat]
    joined = buf.T.copy()
    view = joined.reshape(-1)
    view[1] = x[0, 1]
    return buf, results, joined, view


def a_base_that_is_gone(x: Any) -> Any:
    h = (x * 2).reshape(-1)
    h[0] = 1
    h += 1
    return h


def out(x: Any) -> Any:
    buf = np.empty((2, 3))
    same = np.exp(x, out=buf)
    same += 1
    np.add(buf, 1, out=buf[:, ::-1])
    np.sum(x, axis=0, out=buf[0])
    np.add(x, 1, buf)
    np.multiply(x, 2, out=buf, where=x > 2)
    return buf, same


def writers(x: Any) -> Any:
    buf = np.zeros(3)
    np.add.at(buf, [0, 0, 2], x[0])
    np.subtract.at(buf, 1, x[1, 0])
    np.copyto(buf[1:], x[0, 1:])
    np.put(buf, [0], x[1, 1])
    other = np.ones(2)
    other.fill(x[0, 0])
    np.copyto(other, 0, where=np.array([True, False]))
    return buf, other


def dtypes(x: Any) -> Any:
    small = np.zeros(3, dtype=np.float32)
    small[:] = x[0]
    small += x[1]
    whole = np.zeros(2, dtype=int)
    whole[0] = x[1, 2] / 4
    flags = np.zeros(3, dtype=bool)
    flags[1:] = x[0, 1:]
    return small, whole, flags


def broadcasts(x: Any) -> Any:
    buf = np.zeros((2, 3))
    buf[...] = x[0]
    buf[0] = x[0, 0]
    buf[:, 1:2] = x[:, :1]
    buf[1] = x[:1]
    return buf


def a_loop(x: Any) -> Any:
    h = np.zeros(3)
    rows = []
    for row in x:
        h += row
        rows.append(h.copy())
    return h, rows


CASES = [
    elements, slices, integer_arrays, masks, letters, views, chains, aliases, rebinding, numbers_are_immutable,
    elements_are_copies, arrays_without_axes, fancy_results_are_copies, copies_by_layout,
    ravel_copies_what_is_not_in_order, copies_keep_the_order, a_base_that_is_gone, out,
    writers, dtypes, broadcasts, a_loop,
]  # fmt: skip


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_in_place_code_means_what_numpy_means(function: Callable[..., Any], same: Same) -> None:
    same(function, X)


OUTSIDE = np.zeros((2, 3))


def into_argument(x: Any) -> Any:
    x[0, 0] = 1
    return x


def into_view_of_argument(x: Any) -> Any:
    row = x.T.reshape(-1)
    row[0] = 1
    return x


def argument_plus(x: Any) -> Any:
    x += 1
    return x


def into_leaf(x: Any) -> Any:
    def inner(w: Any) -> Any:
        w["a"][0] *= 2
        return w["a"]

    return inner({"a": x})


ARGUMENT = (
    r"^this writes into the argument x, which is the caller's; copy it first: x = x\.copy\(\) \(test_storage\.py:\d+: "
)


@pytest.mark.parametrize("function", [into_argument, into_view_of_argument, argument_plus, into_leaf])
def test_writing_into_an_argument_is_refused(function: Callable[..., Any]) -> None:
    with pytest.raises(TraceError, match=ARGUMENT):
        trace(function, (X,))


def store(x: Any) -> Any:
    OUTSIDE[0, 0] = x[0, 0]
    return x


def store_row(x: Any) -> Any:
    OUTSIDE[0] = x[0]
    return x


def plus(x: Any) -> Any:
    buf = OUTSIDE
    buf += x
    return buf


def by_out(x: Any) -> Any:
    return np.exp(x, out=OUTSIDE)


def by_sum_out(x: Any) -> Any:
    return np.sum(x, axis=0, out=OUTSIDE[0])


def by_copyto(x: Any) -> Any:
    np.copyto(OUTSIDE, x)
    return x


def by_put(x: Any) -> Any:
    np.put(OUTSIDE, [0], x[0, 0])
    return x


def by_add_at(x: Any) -> Any:
    np.add.at(OUTSIDE, 0, x[0])
    return x


def by_place(x: Any) -> Any:
    np.place(OUTSIDE, OUTSIDE == 0, x[0])
    return x


PLAIN = "this writes a traced value into a plain array, made outside the function or by a call that is not traced"


@pytest.mark.parametrize(
    "function",
    [store, store_row, plus, by_out, by_sum_out, by_copyto, by_put, by_add_at, by_place],
    ids=lambda f: f.__name__,
)
def test_writing_into_an_array_from_outside_is_refused_and_leaves_it_alone(function: Callable[..., Any]) -> None:
    with pytest.raises(TraceError, match=PLAIN) as caught:
        trace(function, (X,))
    assert "(test_storage.py:" in str(caught.value)
    assert not OUTSIDE.any()


def test_where_the_layout_decides_the_write_is_refused() -> None:
    def f(x: Any) -> Any:
        h = x * 2
        flat = h.reshape(-1)
        flat[0] = 1
        return h

    with pytest.raises(TraceError, match="may share memory with another one that is still in use"):
        trace(f, (X,))


def test_a_broadcast_is_read_only() -> None:
    def f(x: Any) -> Any:
        wide = np.broadcast_to(np.zeros(3), (2, 3))
        wide[0, 0] = x[0, 0]
        return wide

    with pytest.raises(TraceError, match=r"np\.broadcast_to is read-only, as in NumPy"):
        trace(f, (X,))


def test_writes_that_numpy_refuses_are_refused() -> None:
    def shape(x: Any) -> Any:
        h = np.zeros(3)
        h += x
        return h

    def kind(x: Any) -> Any:
        h = np.zeros(3, dtype=int)
        h += x[0]
        return h

    def number(x: Any) -> Any:
        s = x.sum()
        s[...] = 1
        return s

    with pytest.raises(ShapeError, match=r"^a result f64\[2,3\] does not fit the array f64\[3\]"):
        trace(shape, (X,))
    with pytest.raises(DtypeError, match=r"^a result f64\[3\] cannot be written into i64\[3\]"):
        trace(kind, (X,))
    with pytest.raises(TraceError, match="a NumPy number cannot be written into"):
        trace(number, (X,))


def test_adding_into_a_view_writes_once() -> None:
    def f(x: Any) -> Any:
        buf = np.zeros((2, 3))
        buf[0] += x[0]
        return buf

    ops = [n.op.name for n in trace(f, (X,)).graph.nodes]
    assert ops.count("update_slice") == 1
