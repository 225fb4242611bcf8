"""Everyday NumPy: masks, indices, shapes, lists, and numbers that are known."""

from __future__ import annotations

import array
import cmath
import collections
import functools
import itertools
import math
import operator

import numpy as np

from tests.frontend.everyday import Programs

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 5))
V, W = RNG.normal(size=6), RNG.normal(size=6)
S = RNG.normal(size=(3, 3))
P = np.abs(RNG.normal(size=5)) + 0.3

PROGRAMS = Programs()


@PROGRAMS.enter(V, W)
def where_chains(v, w):
    y = np.where(v < -0.5, -v, np.where(v < 0, v * w, np.where(w > 0, np.sqrt(np.abs(w)), v**3)))
    return y, np.select([v < -1, v < 0, w < 0], [v, v * w, np.exp(w)], default=2.0), np.where([True, False] * 3, v, w)


@PROGRAMS.enter(V, complex_step=True)
def masks_combined(v):
    m = (v > -0.5) & ~(v > 1)
    y = v.copy()
    y[m] = 0
    y[~m] += 1
    y[(v > 0) & (v < 0.5)] **= 2
    y[np.isnan(y)] = 0.0
    y[np.abs(y) > 1.5] *= 0.5
    return y, v[m].sum(), m.sum(), np.count_nonzero(m), y[v > 5].sum()


@PROGRAMS.enter(X, complex_step=True)
def open_mesh(x):
    rows, cols = np.array([0, 2]), [1, 3, 4]
    y = x.copy()
    y[np.ix_(rows, cols)] *= 2
    y[np.ix_([True, False, False, True], [0])] = 5
    i, j = np.ogrid[:4, :5]
    a, b = np.mgrid[0:4, 0:5]
    return y, x * (i == j), x[np.ix_(rows, cols)], (x * a).sum() + (x * b).mean(), x[np.indices((2, 2))[0], 1]


@PROGRAMS.enter(V, W, complex_step=True)
def concatenators(v, w):
    return (
        np.r_[v[:2], 0.0, w[::-1]],
        np.c_[v, w, v * w],
        np.r_["-1,2,0", v, w],
        np.r_[-1:1:4j] * v[0],
        np.s_[1:3] == slice(1, 3),
    )


@PROGRAMS.enter(X, complex_step=True)
def fancy_indexing(x):
    idx = np.array([3, 0, 0])
    y = x.copy()
    y[idx] = x[:3] * 2
    y[[1, 2], [0, 4]] += 10
    y[:, [0, 1]] = y[:, [1, 0]]
    y[idx[:, None], [[0, 2]]] *= 0.5
    y[np.arange(4), np.arange(4)] = 0
    y[-1, idx] -= 1
    np.add.at(y, (idx, 1), x[0, :3])
    return y, x[idx, ..., None].sum(), x.take(idx, axis=1), np.take(x, [[0, 1], [2, 3]])


@PROGRAMS.enter(V, complex_step=True)
def bools_and_counts(v):
    m = np.array([True, False, True, False, False, True])
    k = m.sum()
    y = v[m]
    y *= 2
    z = v.copy()
    z[m] = y[::-1]
    z[~m] = range(3)
    z[np.flatnonzero(m)[0]] = 8
    z[np.where(m)[0]] += 1
    z[np.nonzero(m)] -= v[0]
    return (
        y * k,
        z,
        v[np.argwhere(m).ravel()],
        np.cumsum(m) * v,
        v[m.nonzero()[0][-1]],
        np.any(m) * v,
        v.compress(m),
        np.extract(m, v),
        np.unique([3, 1, 3]) * v[0],
        v[np.argsort([2, 0, 1])],
    )


@PROGRAMS.enter(V, complex_step=True)
def static_where(v):
    m = np.array([1, 0, 1, 0, 0, 1]) > 0
    (i,) = np.where(m)
    j = np.where(np.eye(3))[1]
    return v[i], v[j], len(i) * v, v[np.where(m, 0, 1)]


@PROGRAMS.enter(V)
def other_sequences(v):
    y = v + range(6)
    y[1:4] = range(3)
    y[4:] = collections.deque([v[0], 1.0])
    z = np.array(range(6)) * v + np.asarray(collections.deque([1, 2, 3, 4, 5, 6])) + array.array("d", [1.0] * 6)
    return (
        y,
        z,
        np.sum(range(3)) * v,
        np.fromiter((u * u for u in v), float),
        np.fromiter(range(6), float, 6) * v,
        np.array([*v[:2], 3.0]),
    )


@PROGRAMS.enter(X)
def broadcasting(x):
    a = x[:, None, :] - x[None]
    d = np.sqrt((a**2).sum(-1) + 1e-3)
    y = np.zeros((4, 5))
    y += x[0]
    y *= x[:, :1]
    y[...] -= x.mean()
    y[:, 1] = 4
    y[1] += np.arange(5)
    y -= y.max(axis=0)
    return (
        d,
        y,
        x + x[0] * x[:, [0]],
        np.subtract.outer(x[0], x[1]),
        x / np.linalg.norm(x, axis=1)[:, None],
        np.add(x, [[1], [2], [3], [4]]),
    )


@PROGRAMS.enter(X, complex_step=True)
def pooling_and_blocks(x):
    b = np.block([[x[:2, :2], x[:2, 2:4]], [x[2:, :2], np.eye(2)]])
    t = np.tile(x[0, :2], (2, 2))
    r = np.repeat(x[:2], [1, 3], axis=0)
    y = np.delete(x, 1, axis=0)
    z = np.insert(x[0], 2, x[1, 0])
    a = np.append(x, x[:1], axis=0)
    return (
        b,
        t,
        r,
        y,
        z,
        a,
        np.array_split(x.ravel(), 3)[1],
        np.dstack([x, x])[0, 0],
        np.rot90(x),
        np.broadcast_to(x[0], (2, 5)).sum(0),
        np.meshgrid(x[0, :2], x[1, :3])[1],
    )


@PROGRAMS.enter(X)
def array_methods_chain(x):
    return (
        x.T.copy().reshape(2, -1).sum(0).cumsum().clip(-1, 1).astype(np.float32).astype(float).round(3) * 0
        + x.ravel()[:10],
        x.mean(axis=1, keepdims=True).repeat(2, axis=1),
        x.flatten().tolist()[3],
        x.min(initial=0.0),
        x.sum(where=x.T.T > 9),
        x.any() * x[0],
        x.max(0).argsort() * 1.0,
        x.std(axis=0, ddof=1),
        x.dot(x[0]),
        x.transpose(1, 0).squeeze().diagonal(),
    )


@PROGRAMS.enter(X, complex_step=True)
def static_shapes_and_rank(x):
    def flatten(a):
        match a.shape:
            case ():
                return a[None]
            case (n,):
                return a
            case (n, m) if n < m:
                return a.reshape(n * m)
            case (_, *rest):
                return flatten(a[0]) if rest else a

    *lead, last = x.shape
    s = slice(None, None, 2)
    idx = (Ellipsis, s)
    nd = x[np.newaxis]
    return (
        flatten(x),
        flatten(x.T),
        flatten(x[0, 0]),
        x[idx],
        x[tuple(slice(0, d - 1) for d in x.shape)],
        nd.shape[0] * last * x,
        np.ndim(x) * x,
        x.reshape(*lead, last),
        x.reshape(-1, 2),
        np.moveaxis(nd, 0, -1)[..., 0],
        np.squeeze(nd, 0),
        np.shape(x)[0] * x,
        np.size(x, 1) * x,
    )


@PROGRAMS.enter(X)
def cumulative_and_diffs(x):
    return (
        np.cumsum(x, 1)[:, ::2],
        np.cumprod(x[0]),
        np.diff(x, axis=0, prepend=0.0),
        np.ediff1d(x[0]),
        np.maximum.accumulate(x, axis=1),
        np.add.reduceat(x[0], [0, 2]),
        np.logaddexp.reduce(x, axis=0),
        np.trapezoid(x, dx=0.1),
        np.nancumsum(x[1]),
        np.nanmean(np.where(x > 0, x, np.nan), axis=1),
        np.cross(x[0, :3], x[1, :3]),
        np.convolve(x[0], x[1], mode="valid"),
    )


@PROGRAMS.enter(X)
def along_axes(x):
    return (
        np.apply_along_axis(np.sum, 0, x),
        np.apply_along_axis(lambda r: r[::-1] / np.sum(r**2), 1, x),
        np.apply_over_axes(np.sum, x, (0,)),
        np.array([row @ row for row in x]),
        np.array(list(map(np.max, x))),
        np.fromiter((row[0] * row[1] for row in x), dtype=float, count=4),
    )


@PROGRAMS.enter(V, W, complex_step=True)
def vectorized(v, w):
    f = np.vectorize(lambda a, b, c: a * b + c if c > 1 else a - b, excluded={2})

    @np.vectorize
    def g(a):
        return a**2 + 1

    return f(v, w, 2), g(v), f(v, w[0], 0)


@PROGRAMS.enter(V)
def static_asserts(v):
    assert v.ndim == 1, f"{v.ndim} axes"
    assert v.shape == (6,) and v.dtype == np.float64 and v.dtype.kind == "f" and isinstance(v, np.ndarray)
    (n,) = v.shape
    if not isinstance(v, (list, tuple)):
        v = np.asarray(v, dtype=float)
    if np.isscalar(v) or v.size == 0:
        raise ValueError("empty")
    assert len(v) == n and v.itemsize == 8
    return np.atleast_2d(v).T, np.float64(2) * v, v.astype(float, copy=False)


@PROGRAMS.enter(X, S, complex_step=True)
def einsums(x, s):
    y = x[:3, :3]
    return (
        np.einsum("ij,jk->ik", y, s),
        np.einsum("ii", s),
        np.einsum("ij->j", x),
        np.einsum("ij,ij->", y, s),
        np.einsum("i,j->ij", x[0], s[0]),
        np.tensordot(x, x, axes=([0], [0])),
        np.inner(s, y),
        np.einsum("...i,...i", x, x),
    )


@PROGRAMS.enter(V, complex_step=True)
def pure_functions_over_lists(v):
    items = list(v)
    total = functools.reduce(lambda acc, z: (acc[0] + z, acc[1] * (1 + z)), items, (0.0, 1.0))
    windows = list(zip(items, items[1:], items[2:]))
    pairs = [a * b for a, b in itertools.combinations(items[:4], 2)]
    prods = [math.prod(p) for p in itertools.product(items[:2], repeat=2)]
    chunked = [items[i : i + 2] for i in range(0, 6, 2)]
    rev = items[::-1]
    items.reverse()
    items.append(v[0])
    first, *mid, last = items
    return (
        total,
        [a - 2 * b + c for a, b, c in windows],
        sum(pairs),
        prods,
        np.array(chunked),
        rev[0] - first,
        len(mid) * last,
        np.sum(np.stack(mid)),
        list(map(operator.add, v, v[::-1])),
        [*filter(lambda z: z.ndim == 0, v)][2],
        dict(enumerate(v))[3],
        np.mean([u**2 for u in v]),
        np.array(items).shape[0] * v,
    )


@PROGRAMS.enter(V, complex_step=True)
def python_math_on_statics(v):
    n = len(v)
    k = math.ceil(math.log2(n))
    w = math.sqrt(2 * math.pi) * cmath.exp(1j * math.pi).real
    c = math.comb(n, 2) + math.factorial(3) // math.gcd(n, 4)
    theta = [math.sin(i) for i in range(n)]
    e = int(np.ceil(np.log2(n)))
    shape = tuple(int(d) for d in np.array(v.shape) * 2)
    return (
        v * k * w + c,
        v @ theta,
        np.ones(shape)[:n] * v * e,
        v[: n // 2 + n % 2],
        round(n / 4) * v,
        v[int(0.5 * n)],
        v[-(-n // 4)],
        np.zeros(max(n, 3)) + v,
        min(n, 4) * v,
    )


SINGLE = np.linspace(-2, 2, 4, dtype=np.float32)


@PROGRAMS.enter(V, complex_step=True)
def elements_are_numbers(v):
    a = b = np.take(v, 0)
    b += 1
    c = d = v[1].copy()
    d *= 2
    e = f = np.tensordot(v, v, 1)
    f += 1  # of an array without axes there are two names
    return a, b, c, d, e, f, isinstance(a, np.ndarray) * v, isinstance(e, np.ndarray) * v


@PROGRAMS.enter(V)
def comparisons_of_numbers_are_counted(v, c=2.54, n=3):
    above = (c > 1) + (c > 2) + (c > 3)
    flags = (v > 0) + (v > 1), (v[0] > 0) + (v[1] > 0), (c > 1) + (v > 0)  # of NumPy's booleans + is or
    numbers = (n == 3) + (n == 3), -(c > 1), ~(c > 1), (c > 1) / 2, (c > 1) - (c > 9), True + (c > 1), abs(c > 1)
    return (
        above,
        flags,
        numbers,
        SINGLE * above,
        (c > 1) * v,
        sum([c > 1, n == 3]),
        (c > 1) & (n == 4),
        (c > 1) == (c > 2),
    )


@PROGRAMS.enter(V)
def rounded_numbers(v, c=2.54):
    x = v[:4] * 0.0 + 1.26
    return SINGLE * round(c, 1), SINGLE * round(c), SINGLE * round(x[1]), round(x[0], 1) * SINGLE, round(c) / 2, x


test_value, test_gradient = PROGRAMS.tests()
