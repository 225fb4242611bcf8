"""Polynomials and convolutions of NumPy and SciPy, over Values. Coefficients begin with that of the highest power."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.axes import require_size
from gradc.frontend.numpy_api.notation import composed, filled

_EACH = "its coefficients are gone through one by one"


def _vector(name: str, x: Any) -> Any:
    flat = x.reshape(1) if x.ndim == 0 else x
    if flat.ndim != 1:
        raise ShapeError(f"{name}: {x.value.aval} must have one axis")
    return flat


@composed(np.polyval, arrays=("p", "x"))
def polyval(p: Any, x: Any) -> Any:
    """The polynomial at ``x``, by Horner's rule."""
    coefficients = np.atleast_1d(p)
    total: Any = filled(x, 0)
    for k in range(require_size("np.polyval", coefficients.shape[0], _EACH)):
        total = total * x + coefficients[k]
    return total


def _padded(a: Any, size: int) -> Any:
    missing = size - int(a.shape[0])
    return a if missing == 0 else np.concatenate([np.zeros(missing, a.dtype), a])


def _sum_of_two(name: str, a1: Any, a2: Any, sign: int) -> Any:
    first, second = (_vector(name, np.atleast_1d(a)) for a in (a1, a2))
    size = max(require_size(name, a.shape[0], _EACH) for a in (first, second))
    left, right = _padded(first, size), _padded(second, size)
    return left + right if sign > 0 else left - right


@composed(np.polyadd, arrays=("a1", "a2"))
def polyadd(a1: Any, a2: Any) -> Any:
    """The sum of two polynomials."""
    return _sum_of_two("np.polyadd", a1, a2, 1)


@composed(np.polysub, arrays=("a1", "a2"))
def polysub(a1: Any, a2: Any) -> Any:
    """The difference of two polynomials."""
    return _sum_of_two("np.polysub", a1, a2, -1)


@composed(np.polymul, arrays=("a1", "a2"))
def polymul(a1: Any, a2: Any) -> Any:
    """The product of two polynomials, whose highest coefficients are not 0 (NumPy drops those that are)."""
    return np.convolve(_vector("np.polymul", a1), _vector("np.polymul", a2))


@composed(np.polydiv, arrays=("u", "v"))
def polydiv(u: Any, v: Any) -> Any:
    """The quotient and the remainder, of one coefficient less than ``v`` (NumPy drops the highest that are 0)."""
    rest, divisor = _vector("np.polydiv", u) + 0.0, _vector("np.polydiv", v) + 0.0
    kind = np.result_type(rest.dtype, divisor.dtype)
    rest, divisor = rest.astype(kind), divisor.astype(kind)
    m, n = (require_size("np.polydiv", x.shape[0], _EACH) - 1 for x in (rest, divisor))
    if m < n:
        return np.zeros(1, kind), rest
    quotient = []
    for k in range(m - n + 1):
        factor = rest[0] / divisor[0]
        quotient.append(factor)
        taken = np.concatenate([factor * divisor[1:], np.zeros(m - n - k, kind)])
        rest = rest[1:] - taken
    return np.stack(quotient), rest if n else np.zeros(1, kind)


@composed(np.polyder, arrays=("p",))
def polyder(p: Any, m: Any = 1) -> Any:
    """The derivative of order ``m``."""
    if operator.index(m) < 0:
        raise TraceError(f"np.polyder: the order m must not be negative, not {m}")
    q = _vector("np.polyder", p)
    for _ in range(operator.index(m)):
        n = require_size("np.polyder", q.shape[0], _EACH) - 1
        q = q[:-1] * np.arange(n, 0, -1)
    return q


@composed(np.polyint, arrays=("p", "k"))
def polyint(p: Any, m: Any = 1, k: Any = None) -> Any:
    """The antiderivative of order ``m``, with the constants ``k``."""
    order = operator.index(m)
    if order < 0:
        raise TraceError(f"np.polyint: the order m must not be negative, not {m}")
    constants: Any = np.zeros(order) if k is None else np.broadcast_to(np.atleast_1d(k), (order,))
    q = _vector("np.polyint", p)
    for step in range(order):
        n = require_size("np.polyint", q.shape[0], _EACH)
        q = np.concatenate([q / np.arange(n, 0, -1), constants[step : step + 1]])
    return q


@composed(np.roots, arrays=("p",))
def roots(p: Any) -> Any:
    """The zeros of a polynomial, the eigenvalues of its companion matrix: always complex, one less than coefficients.

    NumPy drops a first coefficient that is 0: here there would be an infinite zero, and MatrixError is raised when it
    runs for one.
    """
    q = _vector("np.roots", p) + 0.0
    n = require_size("np.roots", q.shape[0], _EACH) - 1
    if n < 1:
        return np.zeros(0)
    top = -q[1:] / q[0]
    return np.linalg.eigvals(np.concatenate([top[None], np.eye(n, dtype=q.dtype)[: n - 1]]))


@composed(np.vander, arrays=("x",))
def vander(x: Any, N: Any = None, increasing: Any = False) -> Any:
    """The powers of each element as rows, the highest first unless ``increasing``."""
    if x.ndim != 1:
        raise ShapeError(f"np.vander: {x.value.aval} must have one axis")
    count = require_size("np.vander", x.shape[0], "columns are counted") if N is None else operator.index(N)
    kind = np.promote_types(x.dtype, int)
    columns: list[Any] = [filled(x, 1, kind)]
    while len(columns) < count:
        columns.append(columns[-1] * x)
    listed = columns[:count] if increasing else columns[:count][::-1]
    return np.stack(listed, axis=1) if listed else np.zeros((x.shape[0], 0), kind)


@composed(np.poly, arrays=("seq_of_zeros",))
def poly(seq_of_zeros: Any) -> Any:
    """The polynomial with these zeros, or the characteristic one of a matrix; its highest coefficient is 1."""
    if seq_of_zeros.ndim == 2 and seq_of_zeros.shape[0] == seq_of_zeros.shape[1] and seq_of_zeros.shape[0] != 0:
        whole = poly(np.linalg.eigvals(seq_of_zeros))
        return whole if seq_of_zeros.dtype.kind == "c" else np.real(whole)
    if seq_of_zeros.ndim != 1:
        raise ShapeError(f"np.poly: {seq_of_zeros.value.aval} is neither a vector of zeros nor a square matrix")
    kind = np.result_type(seq_of_zeros.dtype, np.float64 if seq_of_zeros.dtype.kind in "iub" else seq_of_zeros.dtype)
    zeros = seq_of_zeros.astype(kind)
    found: Any = np.ones(1, kind)
    for k in range(require_size("np.poly", zeros.shape[0], _EACH)):
        nothing = np.zeros(1, kind)
        found = np.concatenate([found, nothing]) - zeros[k] * np.concatenate([nothing, found])
    return found


@composed(np.polyfit, arrays=("x", "y", "w"))
def polyfit(x: Any, y: Any, deg: Any, rcond: Any = None, *, w: Any = None) -> Any:
    """The coefficients of the polynomial of degree ``deg`` nearest to the points, by least squares of scaled powers."""
    order = operator.index(deg)
    if order < 0 or x.ndim != 1 or y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise ShapeError(f"np.polyfit: {x.value.aval} and {y.value.aval} are no points for a degree of {order}")
    left, right = vander(x.astype(np.result_type(x.dtype, np.float64)), order + 1), y + 0.0
    if w is not None:
        if w.shape != x.shape:
            raise ShapeError(f"np.polyfit: {w.value.aval} does not give a weight for each of {x.value.aval}")
        left, right = left * w[:, None], right * (w if y.ndim == 1 else w[:, None])
    scale = np.sqrt(np.sum(left * left, axis=0))
    found = np.linalg.lstsq(left / scale, right, rcond=rcond)[0]
    return found / (scale if y.ndim == 1 else scale[:, None])


# Convolutions.


def _windows(x: Any, sizes: Sequence[int]) -> Any:
    """All parts of the last axes that have these sizes: the axes of places, then those of the parts."""
    return np.lib.stride_tricks.sliding_window_view(x, tuple(sizes))


def _convolved(a: Any, v: Any) -> Any:
    """The full convolution of arrays with the same number of axes."""
    sizes = [int(d) for d in v.shape]
    around = np.pad(a, [(n - 1, n - 1) for n in sizes])
    turned = v[tuple(slice(None, None, -1) for _ in sizes)]
    letters = "abcdefgh"[: 2 * len(sizes)]
    return np.einsum(f"{letters},{letters[len(sizes) :]}->{letters[: len(sizes)]}", _windows(around, sizes), turned)


def _centred(full: Any, sizes: Sequence[int]) -> Any:
    starts = [(int(d) - n) // 2 for d, n in zip(full.shape, sizes, strict=True)]
    return full[tuple(slice(start, start + n) for start, n in zip(starts, sizes, strict=True))]


def _sizes(name: str, *arrays: Any) -> list[list[int]]:
    found = []
    for x in arrays:
        if 0 in x.shape:
            raise ShapeError(f"{name}: {x.value.aval} has no elements")
        found.append([require_size(name, d, "places are counted along it") for d in x.shape])
    return found


_MODES = {0: "valid", 1: "same", 2: "full", "valid": "valid", "same": "same", "full": "full"}


def _mode(name: str, mode: Any) -> str:
    if mode not in _MODES:
        raise TraceError(f"{name}: mode={mode!r} is none of 'full', 'same', 'valid'")
    return _MODES[mode]


def _of_vectors(name: str, a: Any, v: Any, mode: str) -> Any:
    """NumPy's convolution: 'same' has the size of the longer one."""
    (n,), (m,) = _sizes(name, _vector(name, a), _vector(name, v))
    a, v = (np.atleast_1d(x) for x in ((a, v) if n >= m else (v, a)))
    full = _convolved(a, v)
    if mode == "full":
        return full
    if mode == "valid":
        return full[min(n, m) - 1 : max(n, m)]
    start = (min(n, m) - 1) // 2
    return full[start : start + max(n, m)]


@composed(np.convolve, arrays=("a", "v"))
def convolve(a: Any, v: Any, mode: Any = "full") -> Any:
    """The sums of products with the second vector reversed, at every place where both overlap."""
    return _of_vectors("np.convolve", a, v, _mode("np.convolve", mode))


@composed(np.correlate, arrays=("a", "v"))
def correlate(a: Any, v: Any, mode: Any = "valid") -> Any:
    """The sums of products at every place where both overlap."""
    word = _mode("np.correlate", mode)
    first, second = _vector("np.correlate", a), _vector("np.correlate", v)
    (n,), (m,) = _sizes("np.correlate", first, second)
    full = np.convolve(first, second[::-1])
    if word == "full":
        return full
    if word == "valid":
        return full[min(n, m) - 1 : max(n, m)]
    start = (min(n, m) - 1) // 2 if n >= m else n // 2
    return full[start : start + max(n, m)]


def _of_arrays(name: str, in1: Any, in2: Any, mode: Any) -> Any:
    """SciPy's convolution: 'same' has the shape of the first."""
    word = _mode(name, mode) if isinstance(mode, str) else _mode(name, "")
    if in1.ndim != in2.ndim:
        raise ShapeError(f"{name}: {in1.value.aval} and {in2.value.aval} differ in the number of axes")
    if in1.ndim == 0:
        return in1 * in2
    if in1.ndim > 4:
        raise TraceError(f"{name}: {in1.value.aval} has more than 4 axes, which is not supported on traced arrays")
    first, second = _sizes(name, in1, in2)
    full = _convolved(in1, in2)
    if word == "full":
        return full
    if word == "same":
        return _centred(full, first)
    apart = [a - b for a, b in zip(first, second, strict=True)]
    if min(apart) < 0 < max(apart):
        raise ShapeError(
            f"{name}: in mode 'valid' one of {in1.value.aval} and {in2.value.aval} must fit into the other"
        )
    return _centred(full, [abs(difference) + 1 for difference in apart])


def _turned(x: Any) -> Any:
    return x[(slice(None, None, -1),) * x.ndim]


def _zeros_around(name: str, boundary: Any, fillvalue: Any) -> None:
    if boundary not in ("fill", 0) or fillvalue != 0:
        raise TraceError(
            f"{name}: only boundary='fill' with fillvalue=0 is supported on traced arrays; use np.pad first"
        )


@composed("scipy.signal:convolve", "scipy.signal:fftconvolve", "scipy.signal:oaconvolve", arrays=("in1", "in2"))
def scipy_convolve(in1: Any, in2: Any, mode: Any = "full", method: Any = "auto") -> Any:
    """The sums of products with the second array reversed, computed directly whatever the method."""
    return _of_arrays("scipy.signal.convolve", in1, in2, mode)


@composed("scipy.signal:correlate", arrays=("in1", "in2"))
def scipy_correlate(in1: Any, in2: Any, mode: Any = "full", method: Any = "auto") -> Any:
    """The sums of products at every place, computed directly whatever the method."""
    if in1.ndim == 0 or in1.ndim != in2.ndim:
        return _of_arrays("scipy.signal.correlate", in1, in2, mode)
    return _of_arrays("scipy.signal.correlate", in1, _turned(in2), mode)


@composed("scipy.signal:convolve2d", arrays=("in1", "in2"))
def convolve2d(in1: Any, in2: Any, mode: Any = "full", boundary: Any = "fill", fillvalue: Any = 0) -> Any:
    """The convolution of matrices."""
    _zeros_around("scipy.signal.convolve2d", boundary, fillvalue)
    return _of_arrays("scipy.signal.convolve2d", in1, in2, mode)


@composed("scipy.signal:correlate2d", arrays=("in1", "in2"))
def correlate2d(in1: Any, in2: Any, mode: Any = "full", boundary: Any = "fill", fillvalue: Any = 0) -> Any:
    """The correlation of matrices."""
    _zeros_around("scipy.signal.correlate2d", boundary, fillvalue)
    return _of_arrays("scipy.signal.correlate2d", in1, _turned(in2), mode)
