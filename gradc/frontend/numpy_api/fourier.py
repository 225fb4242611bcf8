"""numpy.fft over Values: every transform is told in the complex one along an axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError, ShapeError, TraceError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.ops import fourier
from gradc.ops.complex import complex_dtype, is_complex

SWAPPED: Final = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def norm_of(name: str, norm: Any) -> str:
    chosen = "backward" if norm is None else norm
    if chosen not in fourier.NORMS:
        raise TraceError(f"{name}: norm={norm!r} is none of {', '.join(map(repr, fourier.NORMS))}")
    return str(chosen)


def length_of(name: str, a: Any, n: Any, axis: int, default: Any = None) -> int:
    """How many elements are transformed. Raises ShapeError for none."""
    if n is None:
        size = require_size(name, a.shape[axis], "its transform has as many terms")
        n = size if default is None else default(size)
    length = operator.index(n)
    if length < 1:
        raise ShapeError(f"{name}: invalid number of data points ({length}) of {a.value.aval}; it has to be at least 1")
    return length


def fitted(name: str, a: Any, length: int, axis: int) -> Any:
    """The first elements along an axis, with zeros behind them where there are fewer."""
    size = require_size(name, a.shape[axis], "it is cut or padded to the length of the transform")
    if size > length:
        return a[(slice(None),) * axis + (slice(0, length),)]
    return np.pad(a, [(0, length - size if k == axis else 0) for k in range(a.ndim)]) if size < length else a


def _as_complex(name: str, a: Any) -> Any:
    if is_complex(a.value):
        return a
    kind = a.dtype if a.is_float else np.dtype(np.float64)
    if kind.itemsize < 4:
        raise DtypeError(f"{name}: of half precision ({a.value.aval}) is not supported; convert it to float32")
    return a.astype(complex_dtype(kind))


def transformed(name: str, a: Any, n: Any, axis: Any, norm: Any, inverse: bool) -> Any:
    k = one_axis(name, axis, a.ndim, str(a.value.aval))
    x = _as_complex(name, fitted(name, a, length_of(name, a, n, k), k))
    return Array(fourier.fft(x.value, axis=k, inverse=inverse, norm=norm_of(name, norm)))


def of_real(name: str, a: Any, n: Any, axis: Any, norm: Any) -> Any:
    """The first half of the terms; the others are their conjugates."""
    if is_complex(a.value):
        raise DtypeError(f"{name}: of complex numbers ({a.value.aval}) is not supported; take .real, or use np.fft.fft")
    k = one_axis(name, axis, a.ndim, str(a.value.aval))
    whole = transformed(name, a, n, axis, norm, False)
    return whole[(slice(None),) * k + (slice(0, int(whole.shape[k]) // 2 + 1),)]


def to_real(name: str, a: Any, n: Any, axis: Any, norm: Any) -> Any:
    """The real numbers whose first terms these are. The imaginary parts of the first, and of the middle one, count for
    nothing."""
    k = one_axis(name, axis, a.ndim, str(a.value.aval))
    length = length_of(name, a, n, k, lambda size: 2 * (size - 1))
    lead = (slice(None),) * k
    half = _as_complex(name, fitted(name, a, length // 2 + 1, k))
    mirrored = np.conj(half[(*lead, slice(1, (length + 1) // 2))])[(*lead, slice(None, None, -1))]
    whole = np.concatenate([half, mirrored], axis=k)
    return np.real(transformed(name, whole, length, k, norm, True))


@composed(np.fft.fft, arrays=("a",))
def fft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The discrete Fourier transform along an axis, of the first ``n`` elements."""
    return transformed("np.fft.fft", a, n, axis, norm, False)


@composed(np.fft.ifft, arrays=("a",))
def ifft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The inverse of ``fft``."""
    return transformed("np.fft.ifft", a, n, axis, norm, True)


@composed(np.fft.rfft, arrays=("a",))
def rfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The transform of real numbers: its terms of non-negative frequency."""
    return of_real("np.fft.rfft", a, n, axis, norm)


@composed(np.fft.irfft, arrays=("a",))
def irfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The inverse of ``rfft``; ``n`` results, by default an even number."""
    return to_real("np.fft.irfft", a, n, axis, norm)


@composed(np.fft.hfft, arrays=("a",))
def hfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The transform of numbers that are conjugate to themselves in reverse, given by their first half: real."""
    return to_real("np.fft.hfft", np.conj(a), n, axis, SWAPPED[norm_of("np.fft.hfft", norm)])


@composed(np.fft.ihfft, arrays=("a",))
def ihfft(a: Any, n: Any = None, axis: Any = -1, norm: Any = None) -> Any:
    """The inverse of ``hfft``."""
    return np.conj(of_real("np.fft.ihfft", a, n, axis, SWAPPED[norm_of("np.fft.ihfft", norm)]))


# Along several axes.


def axes_of(name: str, a: Any, s: Any, axes: Any) -> list[tuple[int, Any]]:
    """Each axis with its length, None for the array's own (-1 says the same)."""
    if axes is None:
        axes = range(a.ndim) if s is None else range(-len(s), 0)
    listed = [one_axis(name, axis, a.ndim, str(a.value.aval)) for axis in axes]
    sizes = [None] * len(listed) if s is None else [None if size == -1 else size for size in s]
    if len(sizes) != len(listed):
        raise ShapeError(f"{name}: s={s!r} and axes={tuple(axes)!r} differ in length")
    if not listed:
        raise ShapeError(f"{name}: there is no axis to transform in {a.value.aval}")
    return list(zip(listed, sizes, strict=True))


def _along(name: str, a: Any, axes: Sequence[tuple[int, Any]], norm: Any, inverse: bool) -> Any:
    for axis, size in axes:
        a = transformed(name, a, size, axis, norm, inverse)
    return a


def fftn(name: str, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    return _along(name, a, axes_of(name, a, s, axes)[::-1], norm, False)


def ifftn(name: str, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    return _along(name, a, axes_of(name, a, s, axes)[::-1], norm, True)


def rfftn(name: str, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    *others, (last, size) = axes_of(name, a, s, axes)
    return _along(name, of_real(name, a, size, last, norm), others[::-1], norm, False)


def irfftn(name: str, a: Any, s: Any, axes: Any, norm: Any) -> Any:
    *others, (last, size) = axes_of(name, a, s, axes)
    return to_real(name, _along(name, a, others, norm, True), size, last, norm)


def _several(transform: Any, stem: str, says: str) -> None:
    """Enter the transform along any axes, and the one along the last two."""
    for ending, default in (("n", None), ("2", (-2, -1))):
        function = _named(transform, f"{stem}{ending}", default)
        function.__doc__ = says
        composed(getattr(np.fft, function.__name__), arrays=("a",))(function)


def _named(transform: Any, name: str, default: Any) -> Any:
    def function(a: Any, s: Any = None, axes: Any = default, norm: Any = None) -> Any:
        return transform(f"np.fft.{name}", a, s, axes, norm)

    function.__name__ = name
    return function


_several(fftn, "fft", "``fft`` along several axes, each of the first elements that ``s`` says.")
_several(ifftn, "ifft", "``ifft`` along several axes.")
_several(rfftn, "rfft", "``rfft`` along the last of several axes, ``fft`` along the others.")
_several(irfftn, "irfft", "``ifft`` along several axes but the last, then ``irfft``.")


# Orders of the terms.


def _shifted(name: str, x: Any, axes: Any, sign: int) -> Any:
    listed = range(x.ndim) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    moved = [one_axis(name, axis, x.ndim, str(x.value.aval)) for axis in listed]
    halves = [sign * (require_size(name, x.shape[k], "it is turned by half of it") // 2) for k in moved]
    return np.roll(x, tuple(halves), tuple(moved)) if moved else x


@composed(np.fft.fftshift, arrays=("x",))
def fftshift(x: Any, axes: Any = None) -> Any:
    """The term of frequency 0 in the middle."""
    return _shifted("np.fft.fftshift", x, axes, 1)


@composed(np.fft.ifftshift, arrays=("x",))
def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of ``fftshift``."""
    return _shifted("np.fft.ifftshift", x, axes, -1)
