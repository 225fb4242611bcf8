"""The Fourier transform of pairs in contractions: small lengths by their matrix, products of lengths in two steps.

For ``n = a b`` (J. W. Cooley and J. W. Tukey, Math. Comp. 19 (1965) 297) with ``j = j1 b + j2`` and ``k = k1 + a k2``

    X[k1 + a k2] = sum over j2 of w_b**(j2 k2) * w_n**(j2 k1) * sum over j1 of w_a**(j1 k1) * x[j1 b + j2]

where ``w_n = exp(-2 pi i / n)``: transforms of length a, a product, transforms of length b. A long prime length is a
convolution with a chirp (L. I. Bluestein, IEEE Trans. AU-18 (1970) 451), by transforms of a power of 2.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.errors import CompileError
from gradc.ir.aval import Dim, SymbolicDim, size_of
from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ops.contraction import contract
from gradc.ops.fourier import scale_of
from gradc.ops.shape import broadcast, concatenate, reshaped, slice_, transpose
from gradc.passes.complex_functions import Pair, product

_DENSE: Final = 64
"""Up to this length a transform is one contraction with its matrix."""

_DENSE_PRIME: Final = 256
"""Up to this length a prime one is."""

_RADIX: Final = 32
"""The largest factor that is split off at once."""


def transform(node: Node, x: Pair) -> Pair:
    """The op ``fft``. Raises CompileError for a symbolic length."""
    axis, sign = node.params["axis"], 1 if node.params["inverse"] else -1
    shape = x.re.aval.shape
    length = shape[axis]
    if isinstance(length, SymbolicDim):
        raise CompileError(
            f"fft: the length {length} of the transform of {node.aval} is symbolic; compile with a fixed one, "
            "or choose backend='numpy'"
        )
    is_last = axis == len(shape) - 1
    order = (*(k for k in range(len(shape)) if k != axis), axis)
    moved = tuple(shape[k] for k in order)
    turned = x if is_last else _transposed(x, order)
    rows = size_of(moved[:-1])
    summed = _rows(_shaped(turned, (rows, length)), int(length), sign)
    scale = scale_of(int(length), node.params["inverse"], node.params["norm"])
    found = _shaped(summed if scale == 1 else Pair(*[part * scale for part in summed]), moved)
    if is_last:
        return found
    return _transposed(found, tuple(sorted(range(len(order)), key=order.__getitem__)))


def _rows(x: Pair, n: int, sign: int) -> Pair:
    """The transform of each row of a matrix with n columns."""
    if n == 1:
        return x
    factor = _factor(n)
    if n <= _DENSE or (factor == n and n <= _DENSE_PRIME):
        return _by_matrix(x, n, sign, "mj", "mk")
    if factor == n:
        return _by_chirp(x, n, sign)
    a, b = factor, n // factor
    rows = x.re.aval.shape[0]
    if a <= _DENSE_PRIME:
        inner = _by_matrix(_shaped(x, (rows, a, b)), a, sign, "mji", "mki")
    else:
        columns = _transposed(_shaped(x, (rows, a, b)), (0, 2, 1))
        inner = _transposed(_shaped(_rows(_shaped(columns, (rows * b, a)), a, sign), (rows, b, a)), (0, 2, 1))
    twiddles = root_powers(np.outer(np.arange(a), np.arange(b)), n, sign)
    outer = _rows(_shaped(product(inner, _constant(x, twiddles, inner.re.aval.shape)), (rows * a, b)), b, sign)
    return _shaped(_transposed(_shaped(outer, (rows, a, b)), (0, 2, 1)), (rows, n))


def _factor(n: int) -> int:
    """What is split off n: its largest divisor up to the radix, else its smallest prime; n where that is prime."""
    divisors = [d for d in range(2, _RADIX + 1) if n % d == 0 and d < n]
    if divisors:
        return divisors[-1]
    return next((d for d in range(_RADIX + 1, int(n**0.5) + 1) if n % d == 0), n)


def root_powers(exponents: np.ndarray, n: int, sign: int) -> np.ndarray:
    """``exp(sign 2 pi i e / n)`` for whole e, the same to the last bit in each eighth of a turn: whole numbers reduce
    the angles."""
    eighths, rest = np.divmod(8 * (exponents % n), n)  # the angle is (eighths + rest / n) / 8 of a turn
    odd = eighths % 2 == 1
    angle = np.where(odd, n - rest, rest) * (np.pi / (4 * n))
    diagonal = odd & (rest == 0)
    cos, sin = (np.where(diagonal, np.sqrt(0.5), function(angle)) for function in (np.cos, np.sin))
    quarter = (eighths + odd) // 2 % 4  # the nearest quarter of a turn, from which the angle is taken back where odd
    sin = np.where(odd, -sin, sin)
    re = np.choose(quarter, [cos, -sin, -cos, sin])
    im = np.choose(quarter, [sin, cos, -sin, -cos])
    return np.asarray(re + 1j * sign * im)


def _by_matrix(x: Pair, n: int, sign: int, lhs: str, out: str) -> Pair:
    matrix = root_powers(np.outer(np.arange(n), np.arange(n)), n, sign)
    re, im = (x.re.builder.constant(part.astype(x.re.aval.dtype)) for part in (matrix.real, matrix.imag))

    def times(part: Value, by: Value) -> Value:
        return contract(part, by, lhs=lhs, rhs="jk", out=out)

    if x.im.builder.scalar(x.im) == 0:
        return Pair(times(x.re, re), times(x.re, im))
    return Pair(times(x.re, re) - times(x.im, im), times(x.re, im) + times(x.im, re))


def _by_chirp(x: Pair, n: int, sign: int) -> Pair:
    """``k j = (k**2 + j**2 - (k - j)**2) / 2``: a convolution, in a circle long enough for it."""
    rows = x.re.aval.shape[0]
    around = 1 << (2 * n - 2).bit_length()
    steps = np.arange(n)
    chirp = root_powers(steps * steps % (2 * n), 2 * n, sign)
    kernel = np.zeros(around, np.complex128)
    kernel[:n] = np.conj(chirp)
    kernel[around - n + 1 :] = np.conj(chirp[1:])[::-1]
    filtered = np.fft.fft(kernel) / around
    weighted = product(x, _constant(x, chirp, (rows, n)))
    zeros = x.re.builder.full(0.0, x.re.aval.with_shape((rows, around - n)))
    padded = Pair(*[concatenate(part, zeros, axis=1) for part in weighted])
    convolved = product(_rows(padded, around, -1), _constant(x, filtered, (rows, around)))
    back = _rows(convolved, around, 1)
    first = Pair(*[slice_(part, starts=(0, 0), sizes=(rows, n), steps=(1, 1)) for part in back])
    return product(first, _constant(x, chirp, (rows, n)))


def _constant(like: Pair, values: np.ndarray, shape: tuple[Dim, ...]) -> Pair:
    """The same constant in each row."""
    parts = (values.real.astype(like.re.aval.dtype), values.imag.astype(like.re.aval.dtype))
    return Pair(*[broadcast(like.re.builder.constant(part), shape) for part in parts])


def _shaped(x: Pair, shape: tuple[Any, ...]) -> Pair:
    return Pair(*[reshaped(part, shape) for part in x])


def _transposed(x: Pair, axes: tuple[int, ...]) -> Pair:
    return Pair(*[transpose(part, axes=axes) for part in x])
