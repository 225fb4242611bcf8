"""scipy.fft over Values: the transforms of numpy.fft, and of cosines and sines, which are told in them.

``overwrite_x``, ``workers`` and ``plan`` change no result and are taken.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError, ShapeError, TraceError
from gradc.frontend.numpy_api import fourier
from gradc.frontend.numpy_api.axes import one_axis
from gradc.frontend.numpy_api.fourier import SWAPPED, axes_of, fitted, length_of, norm_of
from gradc.frontend.numpy_api.notation import composed, filled
from gradc.ops.complex import is_complex

Transform = Callable[..., Any]


def _one(name: str, transform: Transform, says: str) -> None:
    @composed(f"scipy.fft:{name}", arrays=("x",))
    def function(
        x: Any,
        n: Any = None,
        axis: Any = -1,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        return transform(f"scipy.fft.{name}", x, n, axis, norm)

    function.__doc__ = says


_one("fft", functools.partial(fourier.transformed, inverse=False), "As ``np.fft.fft``.")
_one("ifft", functools.partial(fourier.transformed, inverse=True), "As ``np.fft.ifft``.")
_one("rfft", fourier.of_real, "As ``np.fft.rfft``.")
_one("irfft", fourier.to_real, "As ``np.fft.irfft``.")
_one(
    "hfft", lambda name, x, n, axis, norm: fourier.to_real(name, np.conj(x), n, axis, SWAPPED[norm_of(name, norm)]),
    "As ``np.fft.hfft``.",
)  # fmt: skip
_one(
    "ihfft", lambda name, x, n, axis, norm: np.conj(fourier.of_real(name, x, n, axis, SWAPPED[norm_of(name, norm)])),
    "As ``np.fft.ihfft``.",
)  # fmt: skip


def _hfftn(name: str, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    return fourier.irfftn(name, np.conj(x), s, axes, SWAPPED[norm_of(name, norm)])


def _ihfftn(name: str, x: Any, s: Any, axes: Any, norm: Any) -> Any:
    return np.conj(fourier.rfftn(name, x, s, axes, SWAPPED[norm_of(name, norm)]))


def _several(stem: str, transform: Transform, says: str) -> None:
    """Enter the transform along any axes, and the one along the last two."""
    for ending, default in (("n", None), ("2", (-2, -1))):
        _entered(f"{stem}{ending}", transform, says, default)


def _entered(name: str, transform: Transform, says: str, default: Any) -> None:
    @composed(f"scipy.fft:{name}", arrays=("x",))
    def function(
        x: Any,
        s: Any = None,
        axes: Any = default,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        plan: Any = None,
    ) -> Any:
        return transform(f"scipy.fft.{name}", x, s, axes, norm)

    function.__doc__ = says


_several("fft", fourier.fftn, "As NumPy's of this name.")
_several("ifft", fourier.ifftn, "As NumPy's of this name.")
_several("rfft", fourier.rfftn, "As NumPy's of this name.")
_several("irfft", fourier.irfftn, "As NumPy's of this name.")
_several("hfft", _hfftn, "``hfft`` along the last of several axes, ``fft`` along the others.")
_several("ihfft", _ihfftn, "The inverse of ``hfft`` along several axes.")


# Cosines and sines (Britanak, Yip, Rao, Discrete Cosine and Sine Transforms, 2007; SciPy's scale).


def _waves(x: Any, kind: int, odd: bool) -> Any:
    """The sums of a type along the last axis, ``2 x[j] cos(...)`` or ``sin``, by the terms of Fourier transforms."""
    n = int(x.shape[-1])
    if kind == 1:
        ends = [filled(x[..., :1], 0.0)] if odd else []
        whole = np.concatenate([*ends, x, *ends, (-x if odd else x[..., 1:-1])[..., ::-1]], axis=-1)
        found = np.fft.fft(whole)
        return -np.imag(found)[..., 1 : n + 1] if odd else np.real(found)[..., :n]
    places = np.arange(n)
    if odd:  # as cosines: sin(a (n - m)) with the sign of every other term
        reverse = _waves(x * (-1.0) ** places if kind in (2, 4) else x[..., ::-1], kind, False)
        return reverse[..., ::-1] if kind in (2, 4) else reverse * (-1.0) ** places
    turn = _turns(math.pi / (2 * n) * places, x)
    if kind == 2:
        return np.real(np.fft.fft(np.concatenate([x, x[..., ::-1]], axis=-1))[..., :n] * turn)
    found = np.fft.fft(x * turn, 2 * n)[..., :n]
    if kind == 3:
        return 2.0 * np.real(found) - x[..., :1]
    return 2.0 * np.real(found * _turns(math.pi / (4 * n) * (2 * places + 1), x))


def _turns(angles: Any, x: Any) -> Any:
    """``exp(-i angle)`` in the precision of ``x``."""
    return np.exp(-1j * angles).astype(np.result_type(x.dtype, np.complex64))


_HALF: Final = math.sqrt(0.5)


def _weighted(x: Any, ends: tuple[int, ...], factor: float) -> Any:
    weights = np.ones(int(x.shape[-1]), x.dtype)
    for end in ends:
        weights[end] *= factor
    return x * weights


def _trigonometric(
    name: str, x: Any, kind: Any, n: Any, axis: Any, norm: Any, orthogonalize: Any, *, odd: bool, inverse: bool
) -> Any:
    if kind not in (1, 2, 3, 4):
        raise TraceError(f"{name}: type={kind!r} is none of 1, 2, 3, 4")
    if is_complex(x.value):
        raise DtypeError(f"{name}: of complex numbers ({x.value.aval}) is not supported; transform .real and .imag")
    x = x if x.is_float else x.astype(np.float64)
    if x.dtype.itemsize < 4:
        raise DtypeError(f"{name}: of half precision ({x.value.aval}) is not supported; convert it to float32")
    k = one_axis(name, axis, x.ndim, str(x.value.aval))
    count = length_of(name, x, n, k)
    if kind == 1 and not odd and count < 2:
        raise ShapeError(f"{name}: type 1 needs at least 2 elements, got {count}")
    x = np.moveaxis(fitted(name, x, count, k), k, -1)
    mode = norm_of(name, norm)
    straight = (mode == "ortho") if orthogonalize is None else bool(orthogonalize)
    if inverse:
        kind, mode = {2: 3, 3: 2}.get(kind, kind), SWAPPED[mode]
    period = 2 * (count + (0 if kind != 1 else 1 if odd else -1))
    scale = {"backward": 1.0, "ortho": math.sqrt(1.0 / period), "forward": 1.0 / period}[mode]
    end = -1 if odd else 0
    if straight and kind in (1, 3) and not (odd and kind == 1):
        x = _weighted(x, (end,) if kind == 3 else (0, -1), 1.0 / _HALF)
    found = _waves(x, kind, odd) * x.dtype.type(scale)
    if straight and kind in (1, 2) and not (odd and kind == 1):
        found = _weighted(found, (end,) if kind == 2 else (0, -1), _HALF)
    return np.moveaxis(found, -1, k)


def _family(name: str, *, odd: bool, inverse: bool) -> None:
    @composed(f"scipy.fft:{name}", arrays=("x",))
    def along_one(
        x: Any,
        type: Any = 2,
        n: Any = None,
        axis: Any = -1,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        orthogonalize: Any = None,
    ) -> Any:
        return _trigonometric(f"scipy.fft.{name}", x, type, n, axis, norm, orthogonalize, odd=odd, inverse=inverse)

    @composed(f"scipy.fft:{name}n", arrays=("x",))
    def along_several(
        x: Any,
        type: Any = 2,
        s: Any = None,
        axes: Any = None,
        norm: Any = None,
        overwrite_x: Any = False,
        workers: Any = None,
        *,
        orthogonalize: Any = None,
    ) -> Any:
        whole = f"scipy.fft.{name}n"
        for axis, size in axes_of(whole, x, s, axes):
            x = _trigonometric(whole, x, type, size, axis, norm, orthogonalize, odd=odd, inverse=inverse)
        return x

    what = f"{'inverse ' if inverse else ''}transform of {'sines' if odd else 'cosines'}"
    along_one.__doc__ = f"The {what} of type 1 to 4 along an axis."
    along_several.__doc__ = f"The {what} of type 1 to 4 along several axes."


_family("dct", odd=False, inverse=False)
_family("idct", odd=False, inverse=True)
_family("dst", odd=True, inverse=False)
_family("idst", odd=True, inverse=True)
