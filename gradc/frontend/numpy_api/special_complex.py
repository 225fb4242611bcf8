"""The error function of complex numbers, by Faddeeva's ``w(z) = exp(-z**2) erfc(-i z)``, and what is made of it.

In the upper half-plane w is J. A. C. Weideman's rational function of 40 terms (SIAM Journal on Numerical Analysis 31,
1994), within 1e-13 of its size; symmetries give the rest. In complex128, of whatever dtype the numbers are.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.frontend.numpy_api.special_notation import of_scipy, operands_of
from gradc.ir.graph import Value
from gradc.ops.complex import complex_dtype

_TERMS: Final = 40
_SERIES: Final = 22
"""How many terms the series of erf has, up to a size of 1."""
_WIDTH: Final = math.sqrt(_TERMS / math.sqrt(2.0))


@functools.cache
def _coefficients() -> list[float]:
    """Of the polynomial, its highest power first: a Fourier transform of ``exp(-t**2) (L**2 + t**2)``."""
    count = 2 * _TERMS
    t = _WIDTH * np.tan(np.arange(1 - count, count) * (math.pi / (2 * count)))
    values = np.concatenate([[0.0], np.exp(-t * t) * (_WIDTH**2 + t * t)])
    found = np.fft.fft(np.fft.fftshift(values)).real / (2 * count)
    return [float(x) for x in found[_TERMS:0:-1]]


def _upper(z: Any) -> Any:
    """``w(z)`` where the imaginary part is not negative."""
    below = 1.0 / (_WIDTH - 1j * z)
    place = (_WIDTH + 1j * z) * below
    total: Any = 0.0
    for coefficient in _coefficients():
        total = total * place + coefficient
    return (2.0 * total * below + 1.0 / math.sqrt(math.pi)) * below


def _wofz(z: Any) -> Any:
    is_upper = np.imag(z) >= 0
    upper = _upper(np.where(is_upper, z, -z))
    return np.where(is_upper, upper, 2.0 * np.exp(-z * z) - upper)


def _erfc(z: Any) -> Any:
    is_right = np.real(z) >= 0
    side = np.where(is_right, z, -z)
    found = np.exp(-side * side) * _upper(1j * side)
    return np.where(is_right, found, 2.0 - found)


def _erf(z: Any) -> Any:
    is_near = np.abs(z) < 1.0
    low = np.where(is_near, z, 0.0)
    square = low * low
    total: Any = 0.0
    for k in range(_SERIES, -1, -1):
        total = total * square + (-1) ** k / (math.factorial(k) * (2 * k + 1))
    return np.where(is_near, low * total * (2.0 / math.sqrt(math.pi)), 1.0 - _erfc(np.where(is_near, 1.0, z)))


_FUNCTIONS: Final = {"erf": _erf, "erfc": _erfc, "wofz": _wofz}


def of_complex(name: str, z: Value) -> Value:
    """``erf``, ``erfc`` or ``wofz`` of complex numbers: where ``exp(-z**2)`` overflows NaN, for infinite parts too."""
    found: Any = _FUNCTIONS[name](Array(z).astype(np.complex128))
    value: Value = found.astype(z.aval.dtype).value
    return value


@composed("scipy.special:wofz", arrays=("z",))
def wofz(z: Any) -> Any:
    """Faddeeva's function ``exp(-z**2) erfc(-i z)``, complex of real numbers too."""
    if z.dtype.kind not in "fc" or z.dtype == np.float16:
        raise DtypeError(f"scipy.special.wofz: {z.value.aval} is not of a complex dtype; convert it first")
    is_real = z.dtype.kind == "f"
    return Array(of_complex("wofz", z.astype(complex_dtype(z.dtype)).value if is_real else z.value))


@of_scipy("voigt_profile", "x", "sigma", "gamma")
def voigt_profile(x: Any, sigma: Any, gamma: Any) -> Any:
    """The convolution of a normal density of width ``sigma`` with Cauchy's of width ``gamma``, to 1e-13 of a peak.

    Where ``sigma`` is 0 it is Cauchy's, whose slope by it is 0; with both 0 it is infinite at 0.
    """
    x, sigma, gamma = operands_of("voigt_profile", x, sigma, gamma)
    kind = x.dtype
    x, sigma, gamma = (operand.astype(np.float64) for operand in (x, sigma, gamma))
    no_sigma = sigma == 0
    width = np.where(no_sigma, 1.0, sigma) * math.sqrt(2.0)
    found = np.real(_wofz(x / width + 1j * (gamma / width))) / (width * math.sqrt(math.pi))
    square = x * x + gamma * gamma
    cauchy = np.where(square == 0, math.inf, gamma / math.pi / np.where(square == 0, 1.0, square))
    return np.where(no_sigma, cauchy, found).astype(kind)
