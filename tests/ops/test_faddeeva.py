"""The error function of complex numbers, Faddeeva's and Voigt's: the distance to mpmath, and their derivatives."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc
from gradc.request import BACKENDS

mp = mpmath.mp
_DRAW = np.random.default_rng(3)
_ANGLES = np.exp(2j * np.pi * _DRAW.uniform(size=60))
POINTS = np.concatenate(
    [
        10 ** _DRAW.uniform(-3, 0.8, 60) * _ANGLES,
        [0.0, 1.0, 1j, -1j, 0.999, 3.0, 5j, -4.0, 1e-300j, 2 + 1e-9j, -0.0 + 0.5j],
    ]
)


def exact(name: str, z: Any) -> Any:
    if name == "wofz":
        return mp.exp(-z * z) * mp.erfc(-1j * z)
    return getattr(mp, name)(z)


def slope(name: str, z: Any) -> Any:
    if name == "wofz":
        return -2 * z * exact(name, z) + 2j / mp.sqrt(mp.pi)
    return (1 if name == "erf" else -1) * 2 / mp.sqrt(mp.pi) * mp.exp(-z * z)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["erf", "erfc", "wofz"])
def test_it_is_within_1e_13_of_its_size(name: str, backend: str) -> None:
    of = getattr(scipy.special, name)
    run = gradc.jit(lambda z, t: gradc.jvp(lambda z: of(z), (z,), (t,)), backend=backend)
    found, slopes = run(POINTS, np.ones_like(POINTS))
    with mpmath.workdps(40):
        for got, steep, point in zip(found, slopes, POINTS, strict=True):
            z = mp.mpmathify(complex(point))
            wanted, expected = exact(name, z), slope(name, z)
            rounded = (1 + abs(z) ** 2) * 1e-15  # of z * z in its exponential
            assert abs(mp.mpmathify(complex(got)) - wanted) <= (1e-13 + rounded) * abs(wanted), (point, got)
            scale = abs(expected) + (abs(wanted) if name == "wofz" else abs(z) * abs(exact("erfc", abs(z.real))))
            assert abs(mp.mpmathify(complex(steep)) - expected) <= (3e-12 + rounded) * scale, (point, steep)


def test_dtypes() -> None:
    z = POINTS[:5].astype(np.complex64)
    for of in (scipy.special.erf, scipy.special.erfc, scipy.special.wofz):
        found = gradc.jit(lambda z, of=of: of(z))(z)
        assert found.dtype == np.complex64
        np.testing.assert_allclose(found, of(z), rtol=1e-6)
    assert gradc.jit(lambda x: scipy.special.wofz(x))(np.array([0.5])).dtype == np.complex128


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_profile_and_its_slopes(backend: str) -> None:
    x = np.array([0.0, 0.3, -2.0, 7.0, 0.3, 0.3, 2.0, 0.5])
    sigma = np.array([1.0, 0.5, 2.0, 1.0, 0.7, 0.0, 0.1, 1.0])
    gamma = np.array([0.4, 1.5, 0.2, 3.0, 0.0, 0.5, 1e-3, 2.0])
    expected = scipy.special.voigt_profile(x, sigma, gamma)
    found = gradc.jit(lambda x, s, g: scipy.special.voigt_profile(x, s, g), backend=backend)(x, sigma, gamma)
    peak = 1 / np.sqrt(2 * np.pi) / np.where(sigma == 0, 1.0, sigma)
    assert np.all(np.abs(found - expected) <= 3e-14 * expected + 1e-13 * peak)

    total = lambda x, s, g: np.sum(scipy.special.voigt_profile(x, s, g))  # noqa: E731
    slopes = gradc.grad(total, (0, 1, 2), backend=backend)(x, sigma, gamma)
    with mpmath.workdps(30):
        for k in range(len(x)):
            given = [mp.mpf(float(part[k])) for part in (x, sigma, gamma)]
            for position, by in enumerate(slopes):
                if sigma[k] == 0 and position == 1:
                    assert by[k] == 0
                    continue
                orders = tuple(int(position == j) for j in range(3))
                wanted = mp.diff(profile, given, orders)
                assert by[k] == pytest.approx(float(wanted), rel=1e-9, abs=1e-12), (k, position)


def profile(x: Any, sigma: Any, gamma: Any) -> Any:
    if sigma == 0:
        return gamma / mp.pi / (x * x + gamma * gamma)
    z = (x + 1j * gamma) / (sigma * mp.sqrt(2))
    return mp.re(exact("wofz", z)) / (sigma * mp.sqrt(2 * mp.pi))
