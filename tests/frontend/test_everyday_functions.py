"""Everyday NumPy: functions, generators, loops, branches on what is known, and functions of functions."""

from __future__ import annotations

import contextlib
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


@PROGRAMS.enter(V, W, complex_step=True)
def generator_pipeline(v, w):
    def pairs():
        for a, b in zip(v, w):
            yield a * b
            yield a - b

    def scaled(items, factor):
        return (factor * item for item in items)

    total = sum(scaled(pairs(), 0.5))
    first, *rest = pairs()
    return total, first, rest[-1], max(len(rest), 3) * total


@PROGRAMS.enter(V, complex_step=True)
def coroutine_like_generator(v):
    def accumulator():
        total = 0.0
        while True:
            received = yield total
            if received is None:
                return
            total = total + received**2

    acc = accumulator()
    next(acc)
    out = [acc.send(x) for x in v]
    return out


@PROGRAMS.enter(V, complex_step=True)
def recursion(v):
    def pairwise(a):
        if len(a) == 1:
            return a[0]
        m = len(a) // 2
        return pairwise(a[:m]) + pairwise(a[m:]) * 0.5

    def power(x, n):
        if n == 0:
            return 1.0
        half = power(x, n // 2)
        return half * half * (x if n % 2 else 1.0)

    return pairwise(v), power(v[0], 13), power(v, 3)


@PROGRAMS.enter(V, complex_step=True)
def early_returns(v, kind="soft"):
    def f(z, kind):
        if z.ndim == 0:
            return z
        if kind is None:
            return z.sum()
        if len(z) > 3 and kind != "hard":
            return np.tanh(z[:3])
        return z

    return f(v, "soft"), f(v, "hard"), f(v[0], 1), f(v, None)


@PROGRAMS.enter(V, complex_step=True)
def while_loops(v):
    i, total, stride = 0, 0.0, 1
    while True:
        if i >= v.shape[0]:
            break
        if i == 2:
            i += 1
            continue
        total = total * 0.9 + v[i]
        i += stride
        stride = 3 - stride
    else:
        total = 0.0
    k = v.size
    while k > 1:
        k //= 2
        total = total + v[k]
    return total


@PROGRAMS.enter(V, W, complex_step=True)
def partials(v, w):
    f = functools.partial(np.clip, a_min=-1.0, a_max=1.0)
    g = functools.partial(np.where, v > 0)
    h = functools.partial(operator.mul, w)
    m = operator.methodcaller("reshape", 2, 3)
    return f(v), g(v, w), h(v), m(v).T, operator.itemgetter(1, slice(2, 4))(v)[1], operator.attrgetter("T")(m(w))


@PROGRAMS.enter(V, complex_step=True)
def reductions(v):
    return (
        functools.reduce(np.add, v),
        functools.reduce(lambda a, b: a * b + 1, v, 1.0),
        functools.reduce(np.dot, [v[None], np.outer(v, v), v[:, None]]),
        list(itertools.accumulate(v))[-1],
        list(itertools.accumulate(v, lambda a, b: a * 0.5 + b))[2],
        math.prod(v),
        sum(v, start=v[0]),
    )


@PROGRAMS.enter(V, complex_step=True)
def sorted_statics(v):
    names = {"b": v[0], "a": v[1] * 2, "c": v[2]}
    order = sorted(names)
    pairs = sorted(names.items(), key=lambda kv: kv[0], reverse=True)
    by = sorted(range(6), key=lambda i: -((i * 5) % 7))
    groups = {k: [v[i] for i in g] for k, g in itertools.groupby(range(6), key=lambda i: i // 2)}
    return [names[k] for k in order], pairs[0][1] * 3, v[by], [sum(g) for g in groups.values()]


@PROGRAMS.enter(V, complex_step=True)
def closures_and_nonlocal(v):
    count, total = 0, 0.0

    def add(z):
        nonlocal count, total
        count += 1
        total = total + z * count
        return total

    made = [lambda z, k=k: z**k for k in range(1, 4)]
    late = [lambda z: z * k for k in range(3)]
    for z in v:
        add(z)
    return total / count, sum(f(v) for f in made), late[0](v)


def momentum(p, g, state, lr=0.1):
    state["m"] = 0.9 * state.get("m", 0.0) + g
    return {k: p[k] - lr * state["m"] for k in p}


@PROGRAMS.enter(V, W, complex_step=True)
def dicts_of_arrays(v, w):
    params = {"w": v, "b": w}
    state = {}
    for step in range(3):
        params = momentum(params, params["w"] * 0.1, state)
    flat = np.concatenate([params[k].ravel() for k in sorted(params)])
    merged = {**params, "c": flat[:2]} | {"d": flat.sum()}
    del merged["w"]
    out = merged.pop("d")
    return flat, out, dict(zip("xy", v))["y"], merged, {k: i for i, k in enumerate(merged)}["b"] * out


@PROGRAMS.enter(V, complex_step=True)
def lists_of_arrays(v):
    rows = []
    for i in range(3):
        rows.append(v * i)
        rows.extend([v[i], v[i] ** 2][i % 2 :])
    rows.insert(0, v[::-1])
    last = rows.pop()
    rows[1:2] = []
    mat = np.vstack([r for r in rows if np.ndim(r) == 1])
    return (
        mat,
        last,
        np.array([r for r in rows if np.ndim(r) == 0]),
        len(rows) * last,
        np.column_stack([v, v]),
        np.stack([v, v], axis=-1),
    )


@PROGRAMS.enter(V)
def enums_and_match(v):
    def run(mode, z):
        match mode:
            case {"axis": axis}:
                return z[None].sum(axis=axis)
            case [a, b]:
                return a * b
            case np.ndarray():
                return mode * z
            case int() | float():
                return mode + z
            case _:
                return z * 0

    return run({"axis": 0}, v), run([v[0], v[1]], v), run(v, v), run(v[0], v), run(3, v), run("q", v)


@contextlib.contextmanager
def scaled(z, k):
    yield z * k


@PROGRAMS.enter(V, complex_step=True)
def contexts(v):
    with scaled(v, 2) as a, scaled(a, 3) as b:
        c = a + b
    with contextlib.ExitStack() as stack:
        d = stack.enter_context(scaled(c, 0.5))
    try:
        e = d[0] / 1
    finally:
        c = c + 1
    return c, d, e


@PROGRAMS.enter(V, complex_step=True)
def decorators(v):
    def twice(f):
        @functools.wraps(f)
        def inner(*a, **k):
            return f(f(*a, **k), **k)

        return inner

    def scale(k):
        return lambda f: lambda z: k * f(z)

    @twice
    @scale(3.0)
    def g(z):
        return np.sin(z)

    return g(v), g.__name__ == "inner"


@PROGRAMS.enter(V, complex_step=True)
def walrus_and_ternaries(v):
    if (n := len(v)) > 3:
        a = v[: n // 2]
    else:
        a = v
    b = a if a.ndim else a[None]
    c = [y for x in v if (y := x * 2) is not None]
    d = v[0] if n == 6 and not n % 2 else v[1]
    e = all(s > 0 for s in v.shape) and any([n == 2, n == 6])
    return (
        b,
        sum(c),
        d,
        e * v,
        [[i * j * v[i] for i in range(2)] for j in range(2)][1][1],
        {k: v[k] for k in range(3)}[2],
        v[None if n < 3 else 0],
    )


@PROGRAMS.enter(V, complex_step=True)
def yield_from_and_trees(v):
    def leaves(tree):
        if isinstance(tree, (list, tuple)):
            for t in tree:
                yield from leaves(t)
        elif isinstance(tree, dict):
            for k in sorted(tree):
                yield from leaves(tree[k])
        elif tree is not None:
            yield tree

    tree = {"b": [v[0], (v[1:3], None)], "a": {"c": v * 2}}

    def tmap(f, t):
        if isinstance(t, dict):
            return {k: tmap(f, s) for k, s in t.items()}
        if isinstance(t, (list, tuple)):
            return type(t)(tmap(f, s) for s in t)
        return t if t is None else f(t)

    mapped = tmap(np.sin, tree)
    return (
        sum(np.sum(z) for z in leaves(tree)),
        mapped["b"][1][0],
        np.concatenate([np.ravel(z) for z in leaves(mapped)]),
    )


def helper(z, /, *, k=1):
    return z**k


@PROGRAMS.enter(V, complex_step=True)
def dispatch_tables(v):
    ops = {"relu": lambda z: np.maximum(z, 0), "tanh": np.tanh, "id": lambda z: z}
    names = ["relu", "tanh", "id"]
    h = v
    for n in names:
        h = ops[n](h) + np.cos(h)
    f = globals()["helper"]
    return f(h, k=2), f(*[h], k=3), (lambda *a, **k: a[0] * k["s"])(h, s=2), [op(v) for op in map(ops.get, names)][0]


def shape_poly(z, *, degree=3, basis=None, _cache={}):
    basis = basis or (lambda z, d: z**d)
    return sum(basis(z, d) * (d + 1) for d in range(degree))


@PROGRAMS.enter(V, complex_step=True)
def defaults_and_keywords(v):
    return shape_poly(v), shape_poly(v, degree=2), shape_poly(v, basis=lambda z, d: np.cos(d * z))


@PROGRAMS.enter(V, complex_step=True)
def custom_exceptions(v):
    class Stop(Exception):
        def __init__(self, value):
            self.value = value

    def search(z, depth):
        if depth == 3:
            raise Stop(z * 2)
        search(z + 1, depth + 1)

    try:
        search(v, 0)
    except Stop as e:
        r = e.value
    else:
        r = v
    try:
        d = {"a": v}
        s = d["b"]
    except KeyError:
        s = d["a"] * 3
    finally:
        s = s + 1
    try:
        v[17]
    except IndexError:
        s = s + 2
    try:
        v @ np.ones((4, 4))
    except ValueError:
        s = s * 2
    return r, s


@PROGRAMS.enter(V, complex_step=True)
def sets_and_strings(v):
    seen = set()
    out = []
    for i, k in enumerate("abacab"):
        if k in seen:
            continue
        seen.add(k)
        out.append(v[i] * ord(k))
    e = {c: i for i, c in enumerate(sorted(seen))}
    spec = "ij,j->i"
    lhs, rhs = spec.split("->")
    return (
        out,
        v[e["c"]],
        np.einsum(spec, np.outer(v, v), v),
        f"{len(out):d}" == "3",
        getattr(v, "su" + "m")(),
        v.__mul__(2),
        operator.methodcaller("mean")(v),
        v.__class__.__name__ == "ndarray",
    )


@PROGRAMS.enter(V, complex_step=True)
def frozen_lambda_defaults(v, scale=2.0, *, fns=(np.sin, np.cos)):
    return sum(f(v) * scale for f in fns), (lambda z, k=2.5: z * k)(v)


test_value, test_gradient = PROGRAMS.tests()
