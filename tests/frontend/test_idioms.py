"""Programs as people write them in NumPy: what they give untraced they give traced, with the derivatives of it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc

BACKENDS = ("numpy", "llvm", "reference")
RNG = np.random.default_rng(11)
X, V, W = RNG.normal(size=(3, 4)), RNG.normal(size=5), RNG.normal(size=5)
MASK = X > 0.2

PROGRAMS: list[tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = []


def program(*inputs: np.ndarray) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS.append((function, inputs))
        return function

    return enter


# Lists of numbers where NumPy takes arrays.


@program(V)
def reductions_of_lists(v):
    a, b, c = v[0], v[1] * v[2], v[3] ** 2
    return (
        np.mean([a, b, c]), np.sum((a, b, 2.0)), np.prod([a, b]), np.max([a, b, c]), np.min([a, b]), np.var([a, b, c]),
        np.std([a, b, c]), np.median((a, b, c)), np.linalg.norm([a, b]), np.linalg.norm(x=(a, c)),
        np.sum([[a, b], [c, 1.0]], axis=(0,)),
    )  # fmt: skip


@program(V)
def vectors_from_lists(v):
    a, b = v[0] * v[1], v[2]
    best = v[np.argmax([a, b, 0.1])] * v[np.argmin([a, b])]
    return (
        np.dot([a, b], [b, 2.0]),
        np.append([[a, b]], [[1.0, b]], axis=0),
        np.cumsum([a, b, a]),
        np.sort((b, a)),
        best,
    )


# Writing in place.


@program(V, W)
def elements_one_by_one(v, w):
    out = np.zeros(5)
    for i in range(5):
        out[i] = v[i] * w[4 - i]
    return out


@program(V)
def a_recurrence(v):
    out = np.empty_like(v)
    out[0] = v[0]
    for i in range(1, len(v)):
        out[i] = 0.5 * out[i - 1] + np.sin(v[i])
    return out


@program(X, V)
def views_alias(x, v):
    a = x.copy()
    row, column = a[1], a[:, 2]
    row[:] = v[:4]
    column += 1.0
    a[::2, 1:3] *= v[0]
    b = a[1:][:, ::-1][0]
    b[1] = v[4]
    return a, row * 2, b


@program(X)
def static_masks(x):
    y = x.copy()
    y[MASK] = 0.0
    y[~MASK] *= 3.0
    return y, x[MASK] ** 2


@program(X)
def traced_masks(x):
    y = np.array(x)
    y[y < 0] = 0.1
    y[x > 1] *= 2.0
    m = x < -0.5
    y[m] = np.sqrt(-x[m]) + x[m] ** 2
    np.putmask(y, x > 0.5, x**2)
    positive = x[x > 0]
    return y, positive.sum(), np.log(positive).mean(), positive.max(), np.sum(x[x < 0] ** 2), positive.std(ddof=1)


@program(np.array(0.5), np.array(2.0))
def masks_of_one_number(a, b):
    y, z = np.array(a), np.zeros(3)
    y[a < 1] = np.log(a[a < 1]) * 2
    z[b > 1] = 1.5
    return y, z * b, b[b > 1].sum()


@program(V, W)
def writers(v, w):
    a = np.zeros((3, 3))
    np.fill_diagonal(a, v[:3])
    np.put(a, [1, -2], w)
    np.place(a, a == 0, w[:2])
    np.copyto(a[0], v[2:], where=v[2:] > 0)
    order = np.argsort(a, axis=1)
    np.put_along_axis(a, order[:, :1], 7.0, axis=1)
    return a


@program(V, W)
def ufuncs_write(v, w):
    a = np.ones(5)
    np.multiply(v, w, out=a)
    np.add.at(a, [0, 0, 3], v[:3])
    np.subtract.at(a, np.array([1, 1]), 2.0)
    np.multiply.at(a, [2, 2, 4], w[:3])
    np.negative.at(a, [0, 1])
    np.exp(a, out=a, where=a < 1)
    return a


@program(X)
def augmented(x):
    total = 0.0
    for row in x:
        total += row.sum()
    y = x.copy()
    y += x
    y -= 1
    y *= 2
    y /= 3.0
    y **= 2
    return y, total


# Indexing.


@program(X)
def every_index(x):
    return (
        x[..., None], x[None, 1], x[-1], x[1, -2], x[[0, 2]], x[[0, 2], [1, 3]], x[:, [1, 1]], x[1:, [0, 2]],
        x[np.array([[0, 1]]), :2], x[np.ix_([0, 2], [1, 3])], x[..., 1::2], x[:, ::-1][::2], x[MASK], x[:, MASK[0]],
        x[np.arange(3), np.arange(3)], x.T[2], x[()], x[np.newaxis, ..., 0], x.flat[5], x.ravel()[3:7],
    )  # fmt: skip


@program(X)
def indices_that_are_data(x):
    best = np.argmax(x, axis=1)
    order = np.argsort(x[:, 0])
    return x[np.arange(3), best], x[order], np.take_along_axis(x, x.argsort(axis=1), axis=1)


# Python around arrays.


@program(X, V)
def python_around(x, v):
    a, b, *rest = v
    pairs = sum(p * q for p, q in zip(v, v[::-1], strict=True))
    largest = functools.reduce(np.maximum, [a, b, *rest])
    rows = [row @ row for row in x]
    total = sum(rows)
    return (
        pairs,
        largest,
        np.array(rows),
        np.asarray([a, [b][0]]),
        total,
        abs(v),
        round(v[0], 2),
        divmod(v[1], 0.3),
        len(x),
    )


@program(V)
def comparison_chains(v):
    inside = (v > -1) & (v < 1) | (v == 2)
    return np.where(inside, v**2, 2 * abs(v) - 1), inside.sum(), (~inside).mean()


@program(V, W)
def concatenations(v, w):
    columns = np.c_[v, w], np.r_["0,2", v, w]
    return np.r_[v, 1.0, w[:2]], columns, np.r_[0:3, v], np.hstack((v, 3.0)), np.append(v, w[0])


@program(X)
def methods(x):
    return (
        x.sum(axis=0), x.mean(), x.std(ddof=1), x.max(axis=1), x.argmin(), x.T @ x, x.dot(x.T), x.reshape(4, 3),
        x.ravel(), x.flatten(), x.clip(-1, 1), x.cumsum(axis=1), x.cumprod(), x.trace(), x.diagonal(), x.repeat(2),
        x.swapaxes(0, 1), x.squeeze(), x.astype(np.float32), x.round(1) * 0, x.all(), x.any(), x.prod(), x.var(),
        x.take([1, 2]), x.min(), x.argsort(), x.conj(), x.real, x.imag, x.copy(), x.size, x.ndim, x.nbytes, x.view(),
        np.sort(x[0]).searchsorted(0.5), x.compress([True, False, True], axis=0), x.mT, x.flat[3],
        list(x.flat)[2], x.argmax(0),
    )  # fmt: skip


@program(V)
def sorted_in_place(v):
    a = v.copy()
    a.sort()
    a.flat[1:3] = v[0]
    b = v.copy()
    b.partition(2)
    return a, b[2]


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass(frozen=True)
class Layer:
    weight: Any
    bias: Any = 0.5

    def __call__(self, x: Any, *, scale: float = 2.0) -> Any:
        return scale * np.tanh(self.weight @ x + self.bias)


def doubled(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return 2 * function(*args, **kwargs)

    return wrapper


@program(X, V)
def classes_and_closures(x, v):
    layers = [Layer(x), Layer(weight=x.T, bias=v[:4])]
    h = v[:4]
    for layer in layers:
        h = layer(h, scale=0.5)

    @doubled
    def energy(z, power=2, *, offset=1.0):
        return np.sum(z**power) + offset

    pair = Pair(energy(h), energy(h, 3, offset=v[0]))
    return pair, {"h": h, "nested": [pair.first, (h[0],)]}


# Functions of functions.


@program(X, V)
def functions_of_functions(x, v):
    return (
        np.apply_along_axis(lambda row: row / np.linalg.norm(row), 1, x),
        np.apply_along_axis(np.outer, 0, x, v[:2]),
        np.apply_over_axes(np.sum, x, [0, 1]),
        np.piecewise(v, [v < 0, v >= 0.5], [lambda z: -z, np.sqrt, 0.25]),
        np.vectorize(lambda a, b=2.0: a * b + 1)(v),
        np.vectorize(lambda a, b: (a + b, a * b))(x, v[:4]),
    )


@program(V, W)
def methods_of_ufuncs(v, w):
    return (
        np.add.reduce(v), np.multiply.accumulate(v), np.maximum.reduce(v), np.minimum.accumulate(v),
        np.logaddexp.reduce(v), np.subtract.outer(v, w[:2]), np.add.reduceat(v, [0, 3, 1]), np.hypot.reduce(v),
        np.subtract.accumulate(v), np.logaddexp.accumulate(v), np.hypot.reduce(v, keepdims=True),
    )  # fmt: skip


@program(V)
def the_array_api(v):
    xp = v.__array_namespace__()
    return xp.sum(xp.exp(v)), xp.asarray(v) * 2, xp.zeros((2,), like=v), xp.permute_dims(v[None], (1, 0))


def plain(function: Callable[..., Any], inputs: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    return flat(function(*[np.array(x) for x in inputs]))


def flat(result: Any) -> list[np.ndarray]:
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        return [part for item in result for part in flat(item)]
    return [np.asarray(result)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("function", "inputs"), PROGRAMS, ids=lambda f: getattr(f, "__name__", ""))
def test_value(function: Callable[..., Any], inputs: tuple[np.ndarray, ...], backend: str) -> None:
    actual, expected = flat(gradc.jit(function, backend=backend)(*inputs)), plain(function, inputs)
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        assert (a.dtype, a.shape) == (e.dtype, e.shape)
        np.testing.assert_allclose(a, e, rtol=1e-6 if e.dtype == np.float32 else 1e-12, atol=1e-13)


@pytest.mark.parametrize(("function", "inputs"), PROGRAMS, ids=lambda f: getattr(f, "__name__", ""))
def test_gradient(function: Callable[..., Any], inputs: tuple[np.ndarray, ...]) -> None:
    """Of the sum of all floats, each with a weight of its own, against central differences along a direction."""
    rng = np.random.default_rng(5)
    chosen = [k for k, part in enumerate(plain(function, inputs)) if part.dtype == np.float64]
    weights = [rng.normal(size=part.shape) for part in plain(function, inputs)]
    directions = [rng.normal(size=x.shape) for x in inputs]

    def total(*given: Any) -> Any:
        result = function(*given)
        parts = list(leaves(result))
        return sum(np.sum(weights[k] * parts[k]) for k in chosen)

    cts = gradc.grad(total, wrt=tuple(range(len(inputs))), backend="llvm")(*inputs)
    pulled = sum(np.sum(ct * d) for ct, d in zip(cts, directions, strict=True))

    def moved(t: float) -> float:
        return float(total(*[x + t * d for x, d in zip(inputs, directions, strict=True)]))

    slopes = [(moved(h) - moved(-h)) / (2 * h) for h in (1e-4, 5e-5)]
    np.testing.assert_allclose(pulled, (4 * slopes[1] - slopes[0]) / 3, rtol=1e-7, atol=1e-7)


def leaves(result: Any) -> Any:
    if isinstance(result, dict):
        result = list(result.values())
    if isinstance(result, (tuple, list)):
        for item in result:
            yield from leaves(item)
    else:
        yield result


def test_elements_chosen_by_a_mask_of_rows_are_not_written_as_if_they_were_whole() -> None:
    def function(x, y):
        x = x.copy()
        x[y > 0] = y[y > 0]
        return x

    with pytest.raises(gradc.errors.TraceError, match=r"the traced mask bool\[3\] depends on data"):
        gradc.jit(function)(np.ones((3, 3)), np.array([1.0, -1.0, 2.0]))
