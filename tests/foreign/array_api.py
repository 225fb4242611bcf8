"""Calls of every function of the Python array API standard (2024.12), with arguments drawn by hypothesis.

A case is a name, the function over NumPy, and the strategy of its array arguments and of what is static.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

BOOLS = ("?",)
INTEGERS = tuple("bBhHiIqQ")
REALS = ("f4", "f8")
COMPLEX = ("c8", "c16")
NUMBERS = (*INTEGERS, *REALS, *COMPLEX)
EVERY = (*BOOLS, *NUMBERS)

Case = tuple[Callable[..., Any], tuple[np.ndarray, ...]]
"""A function of arrays alone, and the arrays."""

CASES: dict[str, st.SearchStrategy[Case]] = {}

SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def arrays(kinds: tuple[str, ...], shapes: Any = SHAPES, **elements: Any) -> st.SearchStrategy[np.ndarray]:
    """Arrays of any of some dtypes, with the extremes, infinities, NaN and negative zeros that the dtype has."""
    return st.sampled_from(kinds).flatmap(
        lambda kind: hnp.arrays(kind, shapes, elements=hnp.from_dtype(np.dtype(kind), **elements))
    )


def tame(kinds: tuple[str, ...], shapes: Any = SHAPES) -> st.SearchStrategy[np.ndarray]:
    """Arrays of small whole numbers, whose sums and products are exact in every order."""
    return st.sampled_from(kinds).flatmap(
        lambda kind: hnp.arrays(np.int8, shapes, elements=st.integers(0 if kind[0] in "BHIQ" else -4, 4)).map(
            lambda array: array.astype(kind)
        )
    )


def _simple(function: Callable[..., Any], *operands: Any) -> st.SearchStrategy[Case]:
    return st.tuples(st.just(function), st.tuples(*operands))


def _pairs(draw: Any, kinds: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays that broadcast, of dtypes that may be mixed within NumPy's rules."""
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3)).input_shapes
    one = draw(st.sampled_from(kinds))
    two = draw(st.sampled_from(kinds)) if draw(st.integers(0, 3)) == 0 else one
    a, b = (
        draw(hnp.arrays(k, s, elements=hnp.from_dtype(np.dtype(k)))) for k, s in zip((one, two), shapes, strict=True)
    )
    return a, b


# Element by element

_UNARY = {
    "abs": NUMBERS, "acos": (*REALS, *COMPLEX), "acosh": REALS, "asin": (*REALS, *COMPLEX), "asinh": REALS,
    "atan": (*REALS, *COMPLEX), "atanh": REALS, "bitwise_invert": (*BOOLS, *INTEGERS), "ceil": (*INTEGERS, *REALS),
    "conj": COMPLEX, "cos": (*REALS, *COMPLEX), "cosh": (*REALS, *COMPLEX), "exp": (*REALS, *COMPLEX),
    "expm1": REALS, "floor": (*INTEGERS, *REALS), "imag": COMPLEX, "isfinite": NUMBERS, "isinf": NUMBERS,
    "isnan": NUMBERS, "log": (*REALS, *COMPLEX), "log1p": REALS, "log2": REALS, "log10": REALS, "logical_not": BOOLS,
    "negative": NUMBERS, "positive": NUMBERS, "real": COMPLEX, "reciprocal": (*REALS, *COMPLEX),
    "round": NUMBERS, "sign": NUMBERS, "signbit": REALS, "sin": (*REALS, *COMPLEX), "sinh": (*REALS, *COMPLEX),
    "sqrt": (*REALS, *COMPLEX), "square": NUMBERS, "tan": (*REALS, *COMPLEX), "tanh": (*REALS, *COMPLEX),
    "trunc": (*INTEGERS, *REALS),
}  # fmt: skip
_BINARY = {
    "add": NUMBERS, "atan2": REALS, "bitwise_and": (*BOOLS, *INTEGERS), "bitwise_or": (*BOOLS, *INTEGERS),
    "bitwise_xor": (*BOOLS, *INTEGERS), "copysign": REALS, "divide": (*REALS, *COMPLEX), "equal": EVERY,
    "floor_divide": (*INTEGERS, *REALS), "greater": (*INTEGERS, *REALS), "greater_equal": (*INTEGERS, *REALS),
    "hypot": REALS, "less": (*INTEGERS, *REALS), "less_equal": (*INTEGERS, *REALS), "logaddexp": REALS,
    "logical_and": BOOLS, "logical_or": BOOLS, "logical_xor": BOOLS, "maximum": (*INTEGERS, *REALS),
    "minimum": (*INTEGERS, *REALS), "multiply": NUMBERS, "nextafter": REALS, "not_equal": EVERY,
    "pow": REALS, "remainder": (*INTEGERS, *REALS), "subtract": NUMBERS,
}  # fmt: skip


@st.composite
def _binary(draw: Any, function: Callable[..., Any], kinds: tuple[str, ...]) -> Case:
    return function, _pairs(draw, kinds)


for _name, _kinds in _UNARY.items():
    CASES[_name] = _simple(getattr(np, _name), arrays(_kinds))
for _name, _kinds in _BINARY.items():
    CASES[_name] = _binary(getattr(np, _name), _kinds)
for _name in ("bitwise_left_shift", "bitwise_right_shift"):
    CASES[_name] = _simple(
        getattr(np, _name), arrays(INTEGERS, st.just((3, 2))), hnp.arrays(np.int8, (2,), elements=st.integers(0, 7))
    )


@st.composite
def _clip(draw: Any) -> Case:
    x = draw(arrays((*INTEGERS, *REALS), allow_nan=False))
    low, high = sorted(draw(st.tuples(st.integers(0, 9), st.integers(0, 9))))
    return lambda x: np.clip(x, low, high), (x,)


CASES["clip"] = _clip()


# Over axes


@st.composite
def _reduced(draw: Any, function: Callable[..., Any], operand: Any, *, several: bool = True, **options: Any) -> Case:
    x = draw(operand)
    axis: Any = None
    if x.ndim and draw(st.booleans()):
        axis = draw(st.integers(-x.ndim, x.ndim - 1))
        if several and draw(st.booleans()):
            axis = tuple(draw(st.permutations(range(x.ndim)))[: draw(st.integers(0, x.ndim))])
    keepdims = draw(st.booleans())
    return lambda x: function(x, axis=axis, keepdims=keepdims, **options), (x,)


FILLED = hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3)

for _name in ("sum", "prod"):
    CASES[_name] = _reduced(getattr(np, _name), tame(NUMBERS))
for _name in ("max", "min"):
    CASES[_name] = _reduced(getattr(np, _name), arrays((*INTEGERS, *REALS), FILLED))
for _name in ("argmax", "argmin"):
    CASES[_name] = _reduced(getattr(np, _name), arrays((*INTEGERS, *REALS), FILLED), several=False)
CASES["mean"] = _reduced(np.mean, tame((*REALS, *COMPLEX), FILLED))
CASES["std"], CASES["var"] = (_reduced(f, tame(REALS, FILLED)) for f in (np.std, np.var))
CASES["all"], CASES["any"] = (_reduced(f, arrays(EVERY)) for f in (np.all, np.any))
CASES["count_nonzero"] = _reduced(np.count_nonzero, arrays(EVERY))
CASES["linalg.vector_norm"] = _reduced(np.linalg.vector_norm, tame((*REALS, *COMPLEX)))


@st.composite
def _along(draw: Any, function: Callable[..., Any], operand: Any, **options: Any) -> Case:
    x = draw(operand)
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    return lambda x: function(x, axis=axis, **options), (x,)


LONG = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)

CASES["cumulative_sum"] = st.booleans().flatmap(
    lambda initial: _along(np.cumulative_sum, tame(NUMBERS, LONG), include_initial=initial)
)
CASES["cumulative_prod"] = st.booleans().flatmap(
    lambda initial: _along(np.cumulative_prod, tame(NUMBERS, LONG), include_initial=initial)
)
CASES["diff"] = _along(np.diff, tame(NUMBERS, LONG))
CASES["sort"], CASES["argsort"] = (
    _along(f, arrays((*INTEGERS, *REALS), LONG), stable=True) for f in (np.sort, np.argsort)
)
CASES["flip"] = _along(np.flip, arrays(EVERY, LONG))
CASES["unstack"] = _along(np.unstack, arrays(EVERY, LONG))
CASES["roll"] = st.integers(-3, 3).flatmap(lambda shift: _along(np.roll, arrays(EVERY, LONG), shift=shift))
CASES["repeat"] = st.integers(0, 3).flatmap(lambda count: _along(np.repeat, arrays(EVERY, LONG), repeats=count))
CASES["expand_dims"] = _along(np.expand_dims, arrays(EVERY, LONG))


# Movement


@st.composite
def _moved(draw: Any, name: str) -> Case:
    x = draw(arrays(EVERY, FILLED))
    axes = tuple(draw(st.permutations(range(x.ndim))))
    k = draw(st.integers(-2, 2))
    functions: dict[str, Callable[..., Any]] = {
        "permute_dims": lambda x: np.permute_dims(x, axes),
        "moveaxis": lambda x: np.moveaxis(x, axes[:1], axes[-1:]),
        "reshape": lambda x: np.reshape(x, (-1, x.shape[-1]) if x.ndim else (1,)),
        "broadcast_to": lambda x: np.broadcast_to(x, (2, *x.shape)),
        "squeeze": lambda x: np.squeeze(x, tuple(a for a, size in enumerate(x.shape) if size == 1)),
        "tile": lambda x: np.tile(x, (2, 1)),
        "tril": lambda x: np.tril(x, k=k) if x.ndim > 1 else x,
        "triu": lambda x: np.triu(x, k=k) if x.ndim > 1 else x,
        "matrix_transpose": lambda x: np.matrix_transpose(x) if x.ndim > 1 else x,
        "linalg.diagonal": lambda x: np.linalg.diagonal(x, offset=k) if x.ndim > 1 else x,
        "zeros_like": lambda x: np.zeros_like(x) + x,
        "ones_like": lambda x: np.ones_like(x),
        "full_like": lambda x: np.full_like(x, 1),
        "meshgrid": lambda x: np.meshgrid(x.ravel(), x.ravel()),
    }
    return functions[name], (x,)


for _name in (
    "permute_dims", "moveaxis", "reshape", "broadcast_to", "squeeze", "tile", "tril", "triu", "matrix_transpose",
    "linalg.diagonal", "zeros_like", "ones_like", "full_like", "meshgrid",
):  # fmt: skip
    CASES[_name] = _moved(_name)


@st.composite
def _joined(draw: Any, function: Callable[..., Any], new: int) -> Case:
    a = draw(arrays(EVERY, LONG))
    b = draw(hnp.arrays(draw(st.sampled_from((a.dtype.str, "f8"))), a.shape))
    axis = draw(st.integers(0, a.ndim - 1 + new))
    return lambda a, b: function([a, b], axis=axis), (a, b)


CASES["concat"], CASES["stack"] = _joined(np.concat, 0), _joined(np.stack, 1)
CASES["astype"] = st.sampled_from(EVERY).flatmap(
    lambda kind: _simple(lambda x: np.astype(x, np.dtype(kind)), tame((*BOOLS, *INTEGERS, *REALS)))
)


@st.composite
def _broadcast_arrays(draw: Any) -> Case:
    return lambda a, b: np.broadcast_arrays(a, b), _pairs(draw, EVERY)


@st.composite
def _where(draw: Any) -> Case:
    a, b = _pairs(draw, EVERY)
    shape = np.broadcast_shapes(a.shape, b.shape)
    return np.where, (draw(hnp.arrays(bool, shape)), a, b)


@st.composite
def _take(draw: Any) -> Case:
    x = draw(arrays(EVERY, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    axis = draw(st.integers(0, x.ndim - 1))
    places = draw(hnp.arrays(np.int64, 3, elements=st.integers(-x.shape[axis], x.shape[axis] - 1)))
    return lambda x, places: np.take(x, places, axis=axis), (x, places)


@st.composite
def _take_along_axis(draw: Any) -> Case:
    x = draw(arrays(EVERY, hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)))
    axis = draw(st.integers(0, x.ndim - 1))
    places = draw(hnp.arrays(np.int64, x.shape, elements=st.integers(0, x.shape[axis] - 1)))
    return lambda x, places: np.take_along_axis(x, places, axis=axis), (x, places)


@st.composite
def _searchsorted(draw: Any) -> Case:
    x = np.sort(draw(arrays(REALS, st.just((5,)), allow_nan=False)))
    side = draw(st.sampled_from(("left", "right")))
    return lambda x, v: np.searchsorted(x, v, side=side), (x, draw(arrays((x.dtype.str,), FILLED)))


CASES |= {
    "broadcast_arrays": _broadcast_arrays(), "where": _where(), "take": _take(), "take_along_axis": _take_along_axis(),
    "searchsorted": _searchsorted(),
}  # fmt: skip


# Linear algebra and Fourier transforms

FLOATS = (*REALS, *COMPLEX)


def _normal(draw: Any, shape: tuple[int, ...], kind: str) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind in COMPLEX else 0)
    return made.astype(kind)


@st.composite
def _products(draw: Any, name: str) -> Case:
    m, k, n = draw(st.tuples(*[st.integers(0, 3)] * 3))
    kind = draw(st.sampled_from(NUMBERS))
    batch = draw(st.sampled_from(((), (2,), (1, 2))))
    left, right = (draw(tame((kind,), st.just(shape))) for shape in ((*batch, m, k), (*batch, k, n)))
    if name == "vecdot":
        return np.vecdot, (left, draw(tame((kind,), st.just((*batch, m, k)))))
    if name == "tensordot":
        return lambda a, b: np.tensordot(a, b, axes=((a.ndim - 1,), (b.ndim - 2,))), (left, right)
    if name == "linalg.outer":
        return np.linalg.outer, (left.ravel(), right.ravel())
    if name == "linalg.cross":
        a, b = (draw(tame((kind,), st.just((*batch, 3)))) for _ in range(2))
        return np.linalg.cross, (a, b)
    return np.matmul, (left, right)


@st.composite
def _matrices(draw: Any, name: str, kinds: tuple[str, ...]) -> Case:
    kind, size = draw(st.sampled_from(kinds)), draw(st.integers(1, 4))
    batch = draw(st.sampled_from(((), (2,), (0,))))
    square = _normal(draw, (*batch, size, size), kind) + 4 * np.eye(size, dtype=kind)
    tall = _normal(draw, (*batch, size + draw(st.integers(-1, 2)), size), kind)
    definite = square @ np.conj(np.swapaxes(square, -1, -2))
    power = draw(st.integers(0 if kind in COMPLEX else -2, 4))
    order = draw(st.sampled_from(("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)))
    functions: dict[str, Case] = {
        "linalg.cholesky": (np.linalg.cholesky, (definite,)),
        "linalg.det": (np.linalg.det, (square,)),
        "linalg.eigh": (lambda a: np.linalg.eigh(a)[0], (definite,)),
        "linalg.eigvalsh": (np.linalg.eigvalsh, (definite,)),
        "linalg.inv": (np.linalg.inv, (square,)),
        "linalg.matrix_norm": (lambda a: np.linalg.matrix_norm(a, ord=order), (square,)),
        "linalg.matrix_power": (lambda a: np.linalg.matrix_power(a, power), (square,)),
        "linalg.matrix_rank": (np.linalg.matrix_rank, (square,)),
        "linalg.pinv": (np.linalg.pinv, (square,)),
        "linalg.qr": (lambda a: np.abs(np.linalg.qr(a)[1]), (tall,)),
        "linalg.slogdet": (lambda a: tuple(np.linalg.slogdet(a)), (square,)),
        "linalg.solve": (np.linalg.solve, (square, definite[..., : draw(st.integers(1, size))])),
        "linalg.svd": (lambda a: np.linalg.svd(a)[1], (tall,)),
        "linalg.svdvals": (np.linalg.svdvals, (tall,)),
        "linalg.trace": (np.linalg.trace, (square,)),
    }  # fmt: skip
    return functions[name]


for _name in ("matmul", "vecdot", "tensordot", "linalg.outer", "linalg.cross"):
    CASES[_name] = _products(_name)
for _name in (
    "cholesky", "det", "eigh", "eigvalsh", "inv", "matrix_norm", "matrix_power", "matrix_rank", "pinv", "qr", "slogdet",
    "solve", "svd", "svdvals", "trace",
):  # fmt: skip
    CASES[f"linalg.{_name}"] = _matrices(f"linalg.{_name}", FLOATS)


@st.composite
def _transformed(draw: Any, name: str) -> Case:
    function = getattr(np.fft, name)
    kind = draw(st.sampled_from(REALS if name in ("rfft", "rfftn", "ihfft") else COMPLEX))
    x = _normal(draw, draw(hnp.array_shapes(min_dims=1, max_dims=2, min_side=2, max_side=6)), kind)
    if name.endswith("shift"):
        return function, (x,)
    norm = draw(st.sampled_from(("backward", "ortho", "forward")))
    return lambda x: function(x, norm=norm), (x,)


for _name in (
    "fft", "ifft", "fftn", "ifftn", "rfft", "irfft", "rfftn", "irfftn", "hfft", "ihfft", "fftshift", "ifftshift",
):  # fmt: skip
    CASES[f"fft.{_name}"] = _transformed(_name)
