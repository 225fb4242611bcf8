"""The steps of random programs: each kind draws one over the values there are, in functions NumPy and JAX share.

``order`` has the positions of the values in the order in which they are preferred as operands. Constants are random, so
that they do not tie, and functions are kept from where they are not smooth or grow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

Function = Callable[..., Any]

Draw = Iterator[tuple[str, Function, Sequence[int]]]
"""A kind of step yields what it draws, (text, function, positions of operands), or nothing where nothing fits."""

UNARY: dict[str, Function] = {
    "sin({0})": lambda xp, x: xp.sin(x),
    "cos({0})": lambda xp, x: xp.cos(x),
    "tanh({0})": lambda xp, x: xp.tanh(x),
    "arctan({0})": lambda xp, x: xp.arctan(x),
    "arcsinh({0})": lambda xp, x: xp.arcsinh(x),
    "exp(sin({0}))": lambda xp, x: xp.exp(xp.sin(x)),
    "log1p({0}**2)": lambda xp, x: xp.log1p(x**2),
    "sqrt(1 + {0}*{0})": lambda xp, x: xp.sqrt(1 + x * x),
    "1 / (1 + exp(-{0}))": lambda xp, x: 1 / (1 + xp.exp(-x)),
    "log(1 + exp({0}))": lambda xp, x: xp.log(1 + xp.exp(x)),
    "{0} / (1 + abs({0}))": lambda xp, x: x / (1 + xp.abs(x)),
    "(0.5 + cos({0})**2) ** 1.7": lambda xp, x: (0.5 + xp.cos(x) ** 2) ** 1.7,
    "sinc({0})": lambda xp, x: xp.sinc(x),
    "expm1(-abs({0}))": lambda xp, x: xp.expm1(-xp.abs(x)),
    "cbrt(2 + sin({0}))": lambda xp, x: xp.cbrt(2 + xp.sin(x)),
    "exp2(sin({0}))": lambda xp, x: xp.exp2(xp.sin(x)),
    "log2(2 + cos({0}))": lambda xp, x: xp.log2(2 + xp.cos(x)),
    "arctanh(0.9 * sin({0}))": lambda xp, x: xp.arctanh(0.9 * xp.sin(x)),
    "arccos(0.9 * cos({0}))": lambda xp, x: xp.arccos(0.9 * xp.cos(x)),
    "tan(sin({0}))": lambda xp, x: xp.tan(xp.sin(x)),
    "sinh(sin({0}))": lambda xp, x: xp.sinh(xp.sin(x)),
    "arccosh(1.5 + {0}**2)": lambda xp, x: xp.arccosh(1.5 + x**2),
    "nan_to_num({0})": lambda xp, x: xp.nan_to_num(x),
    "deg2rad({0} * 30)": lambda xp, x: xp.deg2rad(x * 30),
    "reciprocal(2 + sin({0}))": lambda xp, x: xp.reciprocal(2 + xp.sin(x)),
    "polyval([0.1, -0.3, 0.7], {0})": lambda xp, x: xp.polyval(xp.asarray([0.1, -0.3, 0.7]), x),
    "{0} - {0}**3 / 6": lambda xp, x: x - x**3 / 6,
}


def unary(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    text = list(UNARY)[rng.integers(len(UNARY))]
    yield text, UNARY[text], order[:1]


BINARY: dict[str, Function] = {
    "{0} + {1}": lambda xp, x, y: x + y,
    "{0} - {1}": lambda xp, x, y: x - y,
    "{0} * {1}": lambda xp, x, y: x * y,
    "{0} / (2 + cos({1}))": lambda xp, x, y: x / (2 + xp.cos(y)),
    "maximum({0}, {1})": lambda xp, x, y: xp.maximum(x, y),
    "minimum({0}, {1})": lambda xp, x, y: xp.minimum(x, y),
    "hypot(1 + abs({0}), {1})": lambda xp, x, y: xp.hypot(1 + xp.abs(x), y),
    "arctan2({0}, 1 + {1}**2)": lambda xp, x, y: xp.arctan2(x, 1 + y**2),
    "logaddexp({0}, {1})": lambda xp, x, y: xp.logaddexp(x, y),
    "(1.5 + sin({0})) ** {1}": lambda xp, x, y: (1.5 + xp.sin(x)) ** xp.tanh(y),
    "where({0} > {1}, {0} * {1}, {1} - {0})": lambda xp, x, y: xp.where(x > y, x * y, y - x),
    "float_power(2 + cos({0}), sin({1}))": lambda xp, x, y: xp.float_power(2 + xp.cos(x), xp.sin(y)),
    "logaddexp2({0}, {1})": lambda xp, x, y: xp.logaddexp2(x, y),
    "copysign({0}, {1})": lambda xp, x, y: xp.copysign(x, y),
}


def _fit(a: np.ndarray, b: np.ndarray) -> bool:
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return True


def _partner(values: list[np.ndarray], order: list[int], fits: Callable[[np.ndarray], bool]) -> int | None:
    return next((k for k in order if fits(values[k])), None)


def binary(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    text = list(BINARY)[rng.integers(len(BINARY))]
    other = _partner(values, order[1:], lambda v: _fit(values[order[0]], v))
    if other is not None:
        yield text, BINARY[text], (order[0], other)


REDUCTIONS = ("sum", "mean", "max", "min", "prod", "var", "std", "cumsum", "cumprod", "logsumexp", "norm")


def reduced(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    x = values[order[0]]
    name = str(rng.choice(REDUCTIONS))
    axis: Any = int(rng.integers(-x.ndim, x.ndim)) if x.ndim else None
    if axis is not None and name in ("var", "std", "norm") and x.shape[axis] < 2:
        return
    if x.ndim == 0 and name in ("var", "std", "cumsum", "cumprod", "norm"):
        return
    keep = bool(rng.integers(2))
    if name in ("cumsum", "cumprod"):
        yield f"{name}({{0}}, axis={axis})", lambda xp, x: getattr(xp, name)(x, axis=axis), order[:1]
    elif name == "logsumexp":
        yield (
            f"log(sum(exp({{0}}), axis={axis}, keepdims={keep}))",
            lambda xp, x: xp.log(xp.sum(xp.exp(x), axis=axis, keepdims=keep)),
            order[:1],
        )
    elif name == "std":  # of values that are apart: the root has no slope at 0
        apart = np.asarray(rng.normal(size=x.shape))
        yield (
            f"std({{0}} + {apart.tolist()}, axis={axis}, keepdims={keep})",
            lambda xp, x: xp.std(x + apart, axis=axis, keepdims=keep),
            order[:1],
        )
    elif name == "norm":
        yield (
            f"linalg.norm(2 + {{0}}, axis={axis}, keepdims={keep})",
            lambda xp, x: xp.linalg.norm(2 + x, axis=axis, keepdims=keep),
            order[:1],
        )
    else:
        if x.ndim > 1 and rng.uniform() < 0.3:
            axis = tuple(int(k) for k in rng.permutation(x.ndim)[:2])
        yield (
            f"{name}({{0}}, axis={axis}, keepdims={keep})",
            lambda xp, x: getattr(xp, name)(x, axis=axis, keepdims=keep),
            order[:1],
        )


def moved(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    x = values[order[0]]
    if not x.ndim:
        shape = tuple(int(d) for d in rng.choice([1, 2, 3], 2))
        yield f"broadcast_to({{0}}, {shape})", lambda xp, x: xp.broadcast_to(x, shape), order[:1]
        return
    axes = tuple(int(k) for k in rng.permutation(x.ndim))
    axis, count = int(rng.integers(x.ndim)), int(rng.integers(1, 3))
    widths = [(int(a), int(b)) for a, b in rng.integers(0, 3, (x.ndim, 2))]
    mode = str(rng.choice(["constant", "edge", "wrap", "reflect", "symmetric"]))
    flat = [d for d in (2, 3, 4) if x.size % d == 0]
    moves: list[tuple[str, Function]] = [
        (f"transpose({{0}}, {axes})", lambda xp, x: xp.transpose(x, axes)),
        (f"flip({{0}}, {axis})", lambda xp, x: xp.flip(x, axis)),
        (f"roll({{0}}, {count}, {axis})", lambda xp, x: xp.roll(x, count, axis)),
        (f"repeat({{0}}, {count}, {axis})", lambda xp, x: xp.repeat(x, count, axis)),
        (f"tile({{0}}, {count})", lambda xp, x: xp.tile(x, count)),
        (f"expand_dims({{0}}, {axis})", lambda xp, x: xp.expand_dims(x, axis)),
        ("{0}.ravel()", lambda xp, x: x.ravel()),
        (f"pad({{0}}, {widths}, {mode!r})", lambda xp, x: xp.pad(x, widths, mode=mode)),
        (f"swapaxes({{0}}, 0, {axis})", lambda xp, x: xp.swapaxes(x, 0, axis)),
        (f"diff({{0}}, axis={axis}, prepend=0.3)", lambda xp, x: xp.diff(x, axis=axis, prepend=0.3)),
    ]
    if flat:
        moves.append((f"{{0}}.reshape({flat[-1]}, -1)", lambda xp, x: x.reshape(flat[-1], -1)))
    if x.ndim >= 2:
        k = int(rng.integers(-1, 2))
        moves += [
            (f"triu({{0}}, {k})", lambda xp, x: xp.triu(x, k)),
            (f"tril({{0}}, {k})", lambda xp, x: xp.tril(x, k)),
            ("diagonal({0})", lambda xp, x: xp.diagonal(x)),
            ("trace({0})", lambda xp, x: xp.trace(x)),
            ("rot90({0})", lambda xp, x: xp.rot90(x)),
        ]
    text, function = moves[rng.integers(len(moves))]
    yield text, function, order[:1]


def _index(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """An index of any form: slices, integers, new axes, integer arrays, a mask."""
    if shape and rng.uniform() < 0.15:
        mask = rng.uniform(size=shape) < 0.6
        if mask.any():
            return mask
    found: list[Any] = []
    for size in shape:
        form = rng.integers(6)
        if form == 0:
            found.append(int(rng.integers(-size, size)))
        elif form == 1:
            found.append(slice(None, None, -1))
        elif form == 2:
            found.append(slice(int(rng.integers(0, size)), None, int(rng.integers(1, 3))))
        elif form == 3:
            found.append(rng.integers(-size, size, 3))
        elif form == 4:
            found.append(slice(None))
        else:
            found.append(slice(-size, size))
    if rng.uniform() < 0.3:
        found.insert(int(rng.integers(len(found) + 1)), None)
    if found and rng.uniform() < 0.3:
        found[int(rng.integers(len(found))) :] = [Ellipsis]
    return tuple(found)


def indexed(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    index = _index(rng, values[order[0]].shape)
    yield f"{{0}}[{_told(index)}]", lambda xp, x: x[index], order[:1]


def written(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    """A write in place, on a copy; in JAX the update of an array."""
    x = values[order[0]]
    index = _index(rng, x.shape)
    part = x[index]
    scale = float(rng.normal())
    other = _partner(values, order[1:], lambda v: v.shape == part.shape or v.ndim == 0)
    if other is None or part.size == 0:
        return
    if _repeats(index, x.shape):  # the last of several writes to one place counts in NumPy alone
        yield f"add.at({{0}}, {_told(index)}, {{1}})", lambda xp, x, v: _added(xp, x, index, v), (order[0], other)
        return

    def write(xp: Any, x: Any, v: Any) -> Any:
        if xp is not np:
            return xp.asarray(x).at[index].set(v * scale)
        x = np.array(x)
        x[index] = v * scale
        return x

    yield f"{{0}} with [{_told(index)}] = {scale} * {{1}}", write, (order[0], other)


def _added(xp: Any, x: Any, index: Any, v: Any) -> Any:
    if xp is not np:
        return xp.asarray(x).at[index].add(v)
    x = np.array(x)
    np.add.at(x, index, v)
    return x


def _repeats(index: Any, shape: tuple[int, ...]) -> bool:
    """Whether an index names a place more than once."""
    places = np.arange(int(np.prod(shape))).reshape(shape)[index].ravel()
    return bool(len(np.unique(places)) != len(places))


def _told(index: Any) -> str:
    if not isinstance(index, tuple):
        return repr(index.tolist())
    return repr(tuple(i.tolist() if isinstance(i, np.ndarray) else i for i in index))[1:-1].replace("{", "{{")


def joined(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    x = values[order[0]]
    other = _partner(values, order[1:], lambda v: v.shape == x.shape)
    if other is None:
        return
    axis = int(rng.integers(0, x.ndim + 1))
    if axis < x.ndim and rng.integers(2):
        yield f"concatenate([{{0}}, {{1}}], {axis})", lambda xp, x, y: xp.concatenate([x, y], axis), (order[0], other)
    else:
        yield f"stack([{{0}}, {{1}}], {axis})", lambda xp, x, y: xp.stack([x, y], axis), (order[0], other)


def _multiply(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether ``a @ b`` fits."""
    if b.ndim == 0 or b.shape[max(-2, -b.ndim)] != a.shape[-1]:
        return False
    return a.ndim < 3 or b.ndim < 3 or _fit(a[..., 0, 0], b[..., 0, 0])


def contracted(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    x = values[order[0]]
    if not x.ndim:
        return
    form = rng.integers(6)
    if form == 0:
        other = _partner(values, order, lambda v: _multiply(x, v))
        if other is not None:
            yield "{0} @ {1}", lambda xp, x, y: x @ y, (order[0], other)
    elif form == 1:
        other = _partner(values, order, lambda v: v.ndim > 0 and v.shape[0] == x.shape[-1])
        if other is not None:
            yield "tensordot({0}, {1}, 1)", lambda xp, x, y: xp.tensordot(x, y, 1), (order[0], other)
    elif form == 2:
        other = _partner(values, order, lambda v: v.ndim > 0 and v.shape[-1] == x.shape[-1])
        if other is not None:
            yield "inner({0}, {1})", lambda xp, x, y: xp.inner(x, y), (order[0], other)
    elif form == 3:
        letters = "abcd"[: x.ndim]
        other = _partner(values, order, lambda v: v.ndim == x.ndim and v.shape == x.shape)
        out = "".join(rng.permutation(list(letters))[: rng.integers(0, x.ndim + 1)])
        spec = f"{letters},{letters}->{out}"
        if other is not None:
            yield f"einsum({spec!r}, {{0}}, {{1}})", lambda xp, x, y: xp.einsum(spec, x, y), (order[0], other)
    elif form == 4:
        yield "kron({0}, {1})", lambda xp, x, y: xp.kron(x, y), order[:2]
    elif x.ndim == 1:
        mode = str(rng.choice(["full", "same", "valid"]))
        other = _partner(values, order, lambda v: v.ndim == 1)
        if other is not None:
            yield f"convolve({{0}}, {{1}}, {mode!r})", lambda xp, x, y: xp.convolve(x, y, mode), (order[0], other)


def ordered(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    x = values[order[0]]
    if not x.ndim:
        return
    axis, q = int(rng.integers(x.ndim)), float(rng.uniform(0.1, 0.9))
    forms: list[tuple[str, Function]] = [
        (f"sort({{0}}, {axis})", lambda xp, x: xp.sort(x, axis)),
        (f"median({{0}}, {axis})", lambda xp, x: xp.median(x, axis)),
        (f"quantile({{0}}, {q}, {axis})", lambda xp, x: xp.quantile(x, q, axis)),
        (
            f"take_along_axis({{0}}, argsort({{0}}, {axis})[::-1], {axis})",
            lambda xp, x: xp.take_along_axis(x, xp.flip(xp.argsort(x, axis), axis), axis),
        ),
        (f"clip({{0}}, {-q}, {q})", lambda xp, x: xp.clip(x, -q, q)),
        (f"interp({{0}}, [-1, 0.2, 2], [{q}, -0.4, 1])", lambda xp, x: xp.interp(x, *_line(xp, q))),
    ]
    text, function = forms[rng.integers(len(forms))]
    yield text, function, order[:1]


def _line(xp: Any, q: float) -> tuple[Any, Any]:
    return xp.asarray([-1.0, 0.2, 2.0]), xp.asarray([q, -0.4, 1.0])


def chosen(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    x = values[order[0]]
    a, b = sorted(float(v) for v in rng.normal(size=2))
    yield (
        f"select([{{0}} < {a}, {{0}} < {b}], [sin({{0}}), {{0}}*{{0}}], {{0}} / 2)",
        lambda xp, x: xp.select([x < a, x < b], [xp.sin(x), x * x], x / 2),
        order[:1],
    )
    if x.ndim == 1 and x.size > 1:
        yield "{0}[argmax({0})] * {0}", lambda xp, x: x[xp.argmax(x)] * x, order[:1]


def scanned(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    """A recurrence that a Python loop writes out, over rows or on one state."""
    x = values[order[0]]
    steps = int(rng.integers(2, 9))
    decay = float(rng.uniform(0.3, 0.9))
    if x.ndim >= 2 and rng.integers(2):

        def rows(xp: Any, x: Any) -> Any:
            state, seen = x[0], []
            for row in range(x.shape[0]):
                state = xp.tanh(decay * state + x[row])
                seen.append(state)
            return xp.stack(seen)

        yield f"stack of h = tanh({decay} * h + row) for rows of {{0}}", rows, order[:1]
        return

    def loop(xp: Any, x: Any) -> Any:
        state = x
        for step in range(steps):
            state = state + 0.1 * xp.sin(decay * step + state) * x
        return state

    yield f"{steps} times h = h + 0.1 * sin({decay} * k + h) * {{0}}", loop, order[:1]


def factored(rng: np.random.Generator, values: list[np.ndarray], order: list[int]) -> Draw:
    """Linear algebra with a matrix made well-conditioned by a diagonal D, and Fourier transforms.

    D has no number twice: where singular values or eigenvalues repeat there is no second derivative.
    """
    square = _partner(values, order, lambda v: v.ndim >= 2 and v.shape[-1] == v.shape[-2] and v.shape[-1] > 1)
    if square is None or rng.integers(3) == 0:
        if values[order[0]].ndim:
            yield "abs(fft.rfft(ravel({0})))**2", lambda xp, x: xp.abs(xp.fft.rfft(xp.ravel(x))) ** 2, order[:1]
        return

    def regular(xp: Any, x: Any) -> Any:
        return xp.diag(3.0 + xp.arange(x.shape[-1])) + xp.tanh(x) / x.shape[-1]

    def positive(xp: Any, x: Any) -> Any:
        return xp.diag(1.0 + xp.arange(x.shape[-1])) + x @ xp.swapaxes(x, -1, -2)

    forms: dict[str, Function] = {
        "linalg.inv(D + tanh({0}) / n)": lambda xp, x: xp.linalg.inv(regular(xp, x)),
        "linalg.solve(D + tanh({0}) / n, {0})": lambda xp, x: xp.linalg.solve(regular(xp, x), x),
        "log(linalg.det(D + tanh({0}) / n))": lambda xp, x: xp.log(xp.linalg.det(regular(xp, x))),
        "linalg.slogdet(D + tanh({0}) / n)[1]": lambda xp, x: xp.linalg.slogdet(regular(xp, x))[1],
        "linalg.cholesky(D + {0} {0}.T)": lambda xp, x: xp.linalg.cholesky(positive(xp, x)),
        "linalg.eigvalsh(D + {0} {0}.T)": lambda xp, x: xp.linalg.eigvalsh(positive(xp, x)),
        "linalg.svd(D + tanh({0}) / n)[1]": lambda xp, x: xp.linalg.svd(regular(xp, x), compute_uv=False),
        "linalg.matrix_power(tanh({0}), 3)": lambda xp, x: xp.linalg.matrix_power(xp.tanh(x), 3),
    }
    text = list(forms)[rng.integers(len(forms))]
    yield text, forms[text], [square]


KINDS = (unary, binary, reduced, moved, indexed, written, joined, contracted, ordered, chosen, scanned)
