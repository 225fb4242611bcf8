"""Operators, methods, ufuncs and functions reach the graph, with NumPy's values, shapes and dtypes."""

from __future__ import annotations

import functools
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.frontend.tracing import trace

Same = Callable[..., Any]
A = np.arange(1.0, 7.0).reshape(2, 3)
PLAIN = np.full((2, 3), 0.5)


def operators(a: Any) -> Any:
    return [
        a + 1, 1 + a, a - PLAIN, PLAIN - a, a * a, 2 * a, a / 2, 2 / a, a // 2, 7 // a, a % 2, 7 % a, a**2, 2**a,
        -a, +a, abs(-a), divmod(a, 2), divmod(7, a), a @ a.T, PLAIN @ a.T, a.T @ PLAIN, np.float64(2) * a,
        np.float32(2) - a, [1.0, 2.0, 3.0] * a, a + np.array(1.0), PLAIN[0] + a,
    ]  # fmt: skip


def comparisons(a: Any) -> Any:
    m = a > 2
    return [a < 2, a <= 2, m, a >= 2, a == 2, a != 2, 2 < a, PLAIN < a, m & (a < 5), m | ~m, m ^ (a > 4), True & m]


def in_place(a: Any) -> Any:
    results = []
    for change in range(8):
        b = a.copy()
        c = b
        if change == 0:
            b += 1
        elif change == 1:
            b -= a
        elif change == 2:
            b *= PLAIN
        elif change == 3:
            b /= 2
        elif change == 4:
            b //= 2
        elif change == 5:
            b %= 2
        elif change == 6:
            b **= 2
        else:
            b = b[:, :2]
            b @= np.ones((2, 2))
        results += [b, c]
    return results


def methods(a: Any) -> Any:
    return [
        a.T, a.mT, a.real, a.imag, a.sum(), a.sum(0), a.sum(axis=1, keepdims=True), a.mean(), a.mean(axis=(0, 1)),
        a.max(), a.max(1), a.min(axis=0), a.prod(), a.var(), a.var(axis=1, ddof=1), a.std(), a.reshape(3, 2),
        a.reshape((3, 2)), a.reshape(-1), a.ravel(), a.flatten(), a.transpose(), a.transpose(1, 0), a.transpose((1, 0)),
        a.transpose(None), a.dot(a.T), a.astype(np.float32), a.astype(int), a.astype(bool), a.astype(float, copy=False),
        a.copy(), a.clip(2, 4), a.clip(min=3), a.clip(max=3), a[:, :1].squeeze(), a[:, :1].squeeze(1), a.swapaxes(0, 1),
        a.take([0, 2], axis=1), a.take(1), a.view(), a.conj(), (a > 2).any(), (a > 2).all(axis=0), a.shape[0], a.size,
        a.ndim, a.itemsize, a.nbytes, len(a), a.dtype == np.float64,
    ]  # fmt: skip


def indexing(a: Any) -> Any:
    rows = np.array([0, 1, 1])
    first, second = a
    x, y, z = first
    return [
        a[0], a[-1, -1], a[..., 1], a[:, None], a[None, 0, 1:], a[::-1], a[1:, ::2], a[:, ::-2], a[rows], a[:, [2, 0]],
        a[rows, [0, 1, 2]], a[0][rows], a[a.shape[0] - 1], a[np.array([True, False])], a[(0, 1)], a[0:0], a[...], a[()],
        first + second, x + y * z, list(a), [r.sum() for r in a], a[rows - 1, ::-1],
    ]  # fmt: skip


def ufuncs(a: Any) -> Any:
    return [
        np.exp(-a), np.log(a), np.log1p(a), np.expm1(a), np.sqrt(a), np.tanh(a), np.sin(a), np.cos(a), np.abs(-a),
        np.sign(a - 2), np.maximum(a, 2), np.minimum(PLAIN, a), np.add(a, 1), np.power(a, 2), np.square(a),
        np.add(a, 1, dtype=np.float32), np.logical_and(a > 1, a < 3), np.logical_not(a > 1), np.isfinite(a),
        np.add.reduce(a), np.add.reduce(a, axis=None), np.maximum.reduce(a, axis=1, keepdims=True),
        np.multiply.reduce(a, 0), np.logical_or.reduce(a > 5), np.multiply.outer(a[0], a[1]),
        np.subtract.outer(a[0], [1.0, 2.0]),
    ]  # fmt: skip


def functions(a: Any) -> Any:
    return [
        np.sum(a), np.sum(a, axis=0), np.mean(a, 1), np.max(a), np.min(a, axis=1), np.prod(a, axis=0),
        np.var(a, ddof=1),
        np.where(a > 2, a, 0.0), np.where(a > 2, PLAIN, a), np.clip(a, 2, 4), np.dot(a, a.T), np.matmul(a, a.T),
        np.einsum("ij,kj->ik", a, PLAIN), np.einsum("ij->j", a), np.einsum("ij,jk,kl", a, a.T, a),
        np.tensordot(a, a, 2),
        np.concatenate([a, PLAIN], axis=1), np.stack([a, a], axis=1), np.vstack([a, PLAIN]), np.hstack([a, a]),
        np.split(a, 3, axis=1), np.expand_dims(a, 0), np.squeeze(a[:, :1]), np.transpose(a), np.reshape(a, (3, 2)),
        np.ravel(a), np.broadcast_to(a[0], (4, 3)), np.moveaxis(a, 0, 1), np.swapaxes(a, 0, 1), np.zeros_like(a),
        np.ones_like(a, dtype=int), np.full_like(a, 3), np.copy(a), np.take(a, [0, 1], axis=1), np.shape(a), np.ndim(a),
        np.size(a), np.size(a, 1), np.any(a > 2), np.all(a > 0, axis=1),
        np.flip(a), np.iscomplexobj(a), np.isrealobj(a),
        np.result_type(a, np.float32) == np.float64, np.may_share_memory(a, a.T), sum(a),
    ]  # fmt: skip


CASES = [operators, comparisons, in_place, methods, indexing, ufuncs, functions]


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_it_gives_what_numpy_gives(function: Callable[..., Any], same: Same) -> None:
    same(function, A)


def test_python_numbers_stay_weak(same: Same) -> None:
    def f(x: Any, s: float, n: int) -> Any:
        return (
            x * s,
            x + n,
            s * 2,
            n / 2,
            n // 2,
            n * s,
            n - 1,
            -n,
            abs(n),
            np.exp(s),
            s**2,
            x**n,
            np.float64(1) * s,
            s == n,
        )

    for dtype in (np.float32, np.float64):
        same(f, A.astype(dtype), 0.5, 2)
    same(lambda x, n: (x + n, x * n, x // n), np.arange(3, dtype=np.int64), 2)


def test_dtypes_promote_as_in_numpy(same: Same) -> None:
    def f(i: Any, b: Any, h: Any, d: Any) -> Any:
        return i + b, i * h, h + d, i / 2, b & b, i + 1.5, h * 2, h * 0.1, i @ i, np.mean(i), b.sum(), b * 1.0, h > 1

    same(f, np.arange(3), np.array([True, False, True]), np.ones(3, np.float32), np.ones(3))


def test_an_untraced_argument_of_a_ufunc_comes_from_either_side(same: Same) -> None:
    same(lambda x: (np.add([1.0, 2.0, 3.0], x), np.add(x, (1, 2, 3)), np.maximum(np.float32(2), x), PLAIN @ x.T), A)


def test_degenerate_shapes(same: Same) -> None:
    def f(x: Any) -> Any:
        return x * 2, x.sum(axis=0), np.concatenate([x, x]), x[:0], x.reshape(-1, 1), x.T, np.zeros_like(x)

    for shape in [(0,), (1,), (0, 3), (3, 0), (1, 1)]:
        same(f, np.ones(shape))


def test_layouts_of_arguments_make_no_difference() -> None:
    wide = np.arange(9.0).reshape(3, 3)
    strided = np.arange(36.0).reshape(6, 6)[::2, ::2]
    layouts = [wide, wide.T, wide[:, ::-1], np.asfortranarray(wide), wide.astype(">f8"), strided]
    for x in layouts:
        x.setflags(write=False)
    graphs = {str(trace(lambda x: (x @ x.T, x.reshape(-1), x[0]), (x,)).graph) for x in layouts}
    assert len(graphs) == 1


def test_one_node_for_equal_work() -> None:
    graph = trace(lambda x: np.exp(x) + np.exp(x), (A,)).graph
    assert [n.op.name for n in graph.nodes] == ["input", "exp", "add"]


def test_constants_are_copied_and_listed() -> None:
    table = np.arange(3.0)
    scale = 2.0

    def f(x: Any) -> Any:
        return x[0] * table * scale + np.array([1.0, 2.0, 3.0])

    traced = trace(f, (A,))
    assert list(traced.constants.values()).count("table") == 1
    (node,) = [i for i, name in traced.constants.items() if name == "table"]
    table[0] = 100
    assert traced.graph.nodes[node].params["value"][0] == 0.0


def test_isinstance_takes_the_branch_it_takes_untraced(same: Same) -> None:
    def kind(x: Any) -> float:
        kinds = [np.ndarray, np.generic, np.floating, np.float64, np.float32, int, float, complex, numbers.Real, tuple]
        return float(sum([2**k for k, kind in enumerate(kinds) if isinstance(x, kind)]))

    def f(x: Any, s: Any, i: Any, n: Any, h: Any) -> Any:
        values = [x, x[0], x[0, 0], x.sum(), s, s + 1, s * x[0], i, i * 2, i / 2, n, n + s, h, h * s, x.T, np.exp(s)]
        return [kind(value) for value in values], [np.isscalar(value) * 1.0 for value in values]

    same(f, A, 0.5, 3, np.float64(2), np.float32(1))


def test_dispatch_by_type(same: Same) -> None:
    @functools.singledispatch
    def double(x: Any) -> Any:
        raise AssertionError(type(x))

    double.register(np.ndarray)(lambda x: x * 2)
    double.register(float)(lambda x: x * 2 + 1)
    same(lambda x, s: (double(x), double(s)), A, 0.5)


def test_static_integers_as_keys(same: Same) -> None:
    traced = same(lambda x, n: x * {1: 2.0, 2: 5.0}[n], A, 2)
    assert traced.guards == {1: 2}
