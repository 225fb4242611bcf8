"""Fits the polynomials of Bessel and Airy functions and of integrals: writes the tables of gradc/ops.

    python tools/fit_special.py

A development tool, apart from the package because it needs mpmath. Each polynomial interpolates its function at the
Chebyshev nodes of the interval, in 60 digits (L. N. Trefethen, Approximation Theory and Approximation Practice,
chapter 16), and is written in powers of t, which runs from -1 to 1 over the interval. What is known exactly, the value
at 0, the logarithm and the pole, is taken out before; beyond the middle the waves are taken out (DLMF 10.17).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpmath import mp, mpf

FOLDER = Path(__file__).parents[1] / "gradc" / "ops"
DIGITS = 60
MIDDLE = mpf(4)
"""Where the waves of J and Y begin."""
MIDDLE_OF_K = mpf(1)
MIDDLE_OF_EI = mpf(10)
CENTRE = 2
"""The number that is 0 in ``(x - 2) / (x + 2)``, by which E1 is a polynomial from 1 on."""


@dataclass(frozen=True)
class Fit:
    """A polynomial for ``function`` of a number from 0 to 1."""

    meaning: str
    function: Callable[[Any], Any]
    degree: int


def near(function: Callable[[Any], Any], middle: Any) -> Callable[[Any], Any]:
    """A function of x as one of ``(x / middle)**2``."""
    return lambda z: function(middle * mp.sqrt(z))


def wave(order: int, *, imaginary: bool) -> Callable[[Any], Any]:
    """``P`` or ``x Q`` in ``(4 / x)**2``: Hankel's function over its asymptotic wave is ``P + i Q``."""

    def function(z: Any) -> Any:
        x = MIDDLE / mp.sqrt(z)
        phase = x - (2 * order + 1) * mp.pi / 4
        found = mp.hankel1(order, x) * mp.exp(mp.mpc(0, -phase)) * mp.sqrt(mp.pi * x / 2)
        return found.imag * x if imaginary else found.real

    return function


def rest_of_y(order: int) -> Callable[[Any], Any]:
    """Y without its logarithm and its pole, over x for order 1."""

    def function(x: Any) -> Any:
        regular = mp.bessely(order, x) - 2 / mp.pi * mp.log(x) * mp.besselj(order, x)
        return (regular + 2 / (mp.pi * x)) / x if order else regular

    return function


def rest_of_k(order: int) -> Callable[[Any], Any]:
    """The same of K."""

    def function(x: Any) -> Any:
        if order:
            return (mp.besselk(1, x) - mp.log(x / 2) * mp.besseli(1, x) - 1 / x) / x
        return mp.besselk(0, x) + mp.log(x / 2) * mp.besseli(0, x)

    return function


def decay(order: int) -> Callable[[Any], Any]:
    """``sqrt(x) exp(x) K(x)`` in ``1 / x``."""

    def function(z: Any) -> Any:
        x = MIDDLE_OF_K / z
        return mp.sqrt(x) * mp.exp(x) * mp.besselk(order, x)

    return function


def rest_of_ei(sign: int, middle: Any) -> Callable[[Any], Any]:
    """``sum(sign**(k + 1) x**(k - 1) / (k k!))`` in ``x / middle``: Ei, or for sign -1 -E1, without its logarithm."""

    def function(z: Any) -> Any:
        x = middle * z
        value = mp.ei(x) if sign > 0 else -mp.e1(x)
        return (value - mp.euler - mp.log(x)) * sign / x

    return function


def decay_of_e1(z: Any) -> Any:
    """``x exp(x) E1(x)``, whose number runs from 1 to infinity."""
    lowest = mpf(1 - CENTRE) / (1 + CENTRE)
    place = lowest + (1 - lowest) * z
    x = CENTRE * (1 + place) / (1 - place)
    return x * mp.exp(x) * mp.e1(x)


AIRY_LEFT, MIDDLE_OF_AI, MIDDLE_OF_BI = mpf(3), mpf(2), mpf(4)
"""Where the waves of Airy's functions begin, and the asymptotic forms of Ai and Bi."""


def airy(kind: str, slope: int, x: Any) -> Any:
    return (mp.airyai if kind == "ai" else mp.airybi)(x, derivative=slope)


def airy_left(kind: str, slope: int) -> Callable[[Any], Any]:
    """In ``-x / 3``."""
    return lambda z: airy(kind, slope, -AIRY_LEFT * z)


def airy_near(slope: int) -> Callable[[Any], Any]:
    """Ai without its exponential in ``sqrt(x / 2)``, in which it is an entire function."""

    def function(z: Any) -> Any:
        x = MIDDLE_OF_AI * z * z
        return airy("ai", slope, x) * mp.exp(phase_of_airy(x))

    return function


def airy_far(kind: str, slope: int) -> Callable[[Any], Any]:
    """Without its exponential and root in ``(middle / x)**1.5``."""
    middle, sign = (MIDDLE_OF_AI, 1) if kind == "ai" else (MIDDLE_OF_BI, -1)

    def function(z: Any) -> Any:
        x = middle / z ** (mpf(2) / 3)
        root = x ** (mpf(-1) / 4 if slope else mpf(1) / 4)
        return airy(kind, slope, x) * mp.exp(sign * phase_of_airy(x)) * root

    return function


def phase_of_airy(x: Any) -> Any:
    return 2 * x * mp.sqrt(x) / 3


def wave_of_airy(slope: int, *, imaginary: bool) -> Callable[[Any], Any]:
    """``Ai + i Bi`` of -x, or -i times its slope, over its wave in ``(3 / x)**3``; the imaginary part over its root."""

    def function(z: Any) -> Any:
        x = AIRY_LEFT / z ** (mpf(1) / 3)
        turn = mp.exp(mp.mpc(0, phase_of_airy(x) - mp.pi / 4)) * (mp.mpc(0, -1) if slope else 1)
        found = mp.mpc(airy("ai", slope, -x), airy("bi", slope, -x)) * turn
        found *= mp.sqrt(mp.pi) * x ** (mpf(-1) / 4 if slope else mpf(1) / 4)
        return found.imag / mp.sqrt(z) if imaginary else found.real

    return function


def growth_of_ei(z: Any) -> Any:
    """``x exp(-x) Ei(x)`` in ``10 / x``."""
    x = MIDDLE_OF_EI / z
    return x * mp.exp(-x) * mp.ei(x)


MIDDLE_OF_DAWSON, MIDDLE_OF_SI, MIDDLE_OF_FRESNEL = mpf(4), mpf(4), mpf("1.5")
"""From where on Dawson's function is its asymptotic form, and the others are a limit and waves."""


def dawson(x: Any) -> Any:
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


def waves_of_si(x: Any) -> tuple[Any, Any]:
    """The auxiliary functions f and g (DLMF 6.2.17, 6.2.18) times x and its square."""
    rest, other = mp.pi / 2 - mp.si(x), mp.ci(x)
    f, g = other * mp.sin(x) + rest * mp.cos(x), rest * mp.sin(x) - other * mp.cos(x)
    return x * f, x * x * g


def waves_of_fresnel(x: Any) -> tuple[Any, Any]:
    """The auxiliary functions (DLMF 7.2.10, 7.2.11) times ``pi x`` and ``pi**2 x**3``."""
    rest_s, rest_c, phase = mpf(1) / 2 - mp.fresnels(x), mpf(1) / 2 - mp.fresnelc(x), mp.pi * x * x / 2
    f = rest_s * mp.cos(phase) - rest_c * mp.sin(phase)
    g = rest_c * mp.cos(phase) + rest_s * mp.sin(phase)
    return mp.pi * x * f, mp.pi**2 * x**3 * g


def by_power(function: Callable[[Any], Any], middle: Any, power: int) -> Callable[[Any], Any]:
    """A function of x as one of ``(x / middle)**power``; of ``(middle / x)**-power`` for a negative one."""
    return lambda z: function(middle * z ** (mpf(1) / power))


def mapped(function: Callable[[Any], Any], middle: Any, power: int) -> Callable[[Any], Any]:
    """A function of x from ``middle`` on as one of ``(v - 2) / (v + 2)``, where v is ``(x / middle)**power``."""
    lowest = mpf(1 - CENTRE) / (1 + CENTRE)

    def of(z: Any) -> Any:
        place = lowest + (1 - lowest) * z
        return function(middle * (CENTRE * (1 + place) / (1 - place)) ** (mpf(1) / power))

    return of


BESSEL = {
    "J0": Fit("(J0(x) - 1) / x**2 in (x / 4)**2", near(lambda x: (mp.besselj(0, x) - 1) / x**2, MIDDLE), 10),
    "J1": Fit("(J1(x) / x - 1/2) / x**2", near(lambda x: (mp.besselj(1, x) / x - mpf(1) / 2) / x**2, MIDDLE), 10),
    "Y0": Fit("Y0(x) - 2/pi log(x) J0(x)", near(rest_of_y(0), MIDDLE), 11),
    "Y1": Fit("(Y1(x) - 2/pi log(x) J1(x) + 2 / (pi x)) / x", near(rest_of_y(1), MIDDLE), 11),
    "P0": Fit("sqrt(pi x / 2) (J0 + i Y0) exp(i pi/4 - i x), real, in (4 / x)**2", wave(0, imaginary=False), 22),
    "Q0": Fit("the imaginary part, times x", wave(0, imaginary=True), 21),
    "P1": Fit("sqrt(pi x / 2) (J1 + i Y1) exp(3 i pi/4 - i x), real", wave(1, imaginary=False), 22),
    "Q1": Fit("the imaginary part, times x", wave(1, imaginary=True), 21),
    "K0": Fit("K0(x) + log(x / 2) I0(x) in x**2", near(rest_of_k(0), MIDDLE_OF_K), 7),
    "K1": Fit("(K1(x) - log(x / 2) I1(x) - 1 / x) / x", near(rest_of_k(1), MIDDLE_OF_K), 7),
    "K0E": Fit("sqrt(x) exp(x) K0(x) in 1 / x", decay(0), 31),
    "K1E": Fit("sqrt(x) exp(x) K1(x)", decay(1), 32),
}  # fmt: skip

AIRY = {
    "AI_LEFT": Fit("Ai(-x) in x / 3", airy_left("ai", 0), 22),
    "AI_SLOPE_LEFT": Fit("Ai'(-x)", airy_left("ai", 1), 22),
    "BI_LEFT": Fit("Bi(-x)", airy_left("bi", 0), 22),
    "BI_SLOPE_LEFT": Fit("Bi'(-x)", airy_left("bi", 1), 22),
    "P": Fit("(Ai + i Bi)(-x) over its wave, real, in (3 / x)**3", wave_of_airy(0, imaginary=False), 24),
    "Q": Fit("the imaginary part, over (3 / x)**1.5", wave_of_airy(0, imaginary=True), 28),
    "R": Fit("(Bi' - i Ai')(-x) over its wave, real", wave_of_airy(1, imaginary=False), 24),
    "S": Fit("the imaginary part, over (3 / x)**1.5", wave_of_airy(1, imaginary=True), 28),
    "AI_NEAR": Fit("exp(zeta) Ai(x) in sqrt(x / 2)", airy_near(0), 24),
    "AI_SLOPE_NEAR": Fit("exp(zeta) Ai'(x)", airy_near(1), 24),
    "AI_FAR": Fit("x**(1/4) exp(zeta) Ai(x) in (2 / x)**1.5", airy_far("ai", 0), 22),
    "AI_SLOPE_FAR": Fit("x**(-1/4) exp(zeta) Ai'(x)", airy_far("ai", 1), 22),
    "BI_FAR": Fit("x**(1/4) exp(-zeta) Bi(x) in (4 / x)**1.5", airy_far("bi", 0), 30),
    "BI_SLOPE_FAR": Fit("x**(-1/4) exp(-zeta) Bi'(x)", airy_far("bi", 1), 30),
}  # fmt: skip

INTEGRALS = {
    "E1": Fit("(E1(x) + gamma + log(x)) / x from 0 to 1", rest_of_ei(-1, mpf(1)), 12),
    "E1_FAR": Fit("x exp(x) E1(x) in (x - 2) / (x + 2), from -1/3 to 1", decay_of_e1, 28),
    "EI": Fit("(Ei(x) - gamma - log(x)) / x from 0 to 10", rest_of_ei(1, MIDDLE_OF_EI), 28),
    "EI_FAR": Fit("x exp(-x) Ei(x) in 10 / x", growth_of_ei, 37),
}
AUXILIARY = {
    "DAWSON": Fit(
        "(1 + 2 x**2) D(x) / x in (x / 4)**2",
        by_power(lambda x: (1 + 2 * x * x) * dawson(x) / x, MIDDLE_OF_DAWSON, 2),
        31,
    ),
    "DAWSON_FAR": Fit("2 x D(x) in (4 / x)**2", by_power(lambda x: 2 * x * dawson(x), MIDDLE_OF_DAWSON, -2), 29),
    "SI": Fit("Si(x) / x in (x / 4)**2", by_power(lambda x: mp.si(x) / x, MIDDLE_OF_SI, 2), 11),
    "CI": Fit(
        "(Ci(x) - gamma - log(x)) / x**2",
        by_power(lambda x: (mp.ci(x) - mp.euler - mp.log(x)) / (x * x), MIDDLE_OF_SI, 2),
        10,
    ),
    "F_OF_SI": Fit("x f(x) in (v - 2) / (v + 2), v = x / 4", mapped(lambda x: waves_of_si(x)[0], MIDDLE_OF_SI, 1), 26),
    "G_OF_SI": Fit("x**2 g(x)", mapped(lambda x: waves_of_si(x)[1], MIDDLE_OF_SI, 1), 26),
    "S": Fit("S(x) / x**3 in (2 x / 3)**4", by_power(lambda x: mp.fresnels(x) / x**3, MIDDLE_OF_FRESNEL, 4), 11),
    "C": Fit("C(x) / x", by_power(lambda x: mp.fresnelc(x) / x, MIDDLE_OF_FRESNEL, 4), 11),
    "F": Fit(
        "pi x f(x) in (v - 2) / (v + 2), v = (2 x / 3)**2",
        mapped(lambda x: waves_of_fresnel(x)[0], MIDDLE_OF_FRESNEL, 2),
        27,
    ),
    "G": Fit("pi**2 x**3 g(x)", mapped(lambda x: waves_of_fresnel(x)[1], MIDDLE_OF_FRESNEL, 2), 26),
}
INCOMPLETE = {
    "LGAMMA1P": Fit(
        "(log(gamma(1 + a)) / a + gamma) / a, a from 0 to 1",
        lambda a: (mp.loggamma(1 + a) / a + mp.euler) / a if a else mp.zeta(2) / 2,
        21,
    )
}
FILES = {
    "airy_tables": ("Airy's functions", AIRY),
    "auxiliary_tables": ("Dawson's function, sine, cosine and Fresnel integrals", AUXILIARY),
    "bessel_tables": ("Bessel functions", BESSEL),
    "integral_tables": ("exponential integrals", INTEGRALS),
    "incomplete_tables": ("the incomplete gamma functions", INCOMPLETE),
}


ORDERS, LOWEST_A, WIDEST = 9, 30, mpf("0.65")
"""Of Temme's expansion: how many powers of 1 / a, from which a on, and up to which eta."""


def temme() -> list[list[Any]]:
    """The powers of eta in the coefficients of ``a**-k`` (DLMF 8.12.9 to 8.12.13), as far as they count."""
    size = 4 * ORDERS + 20
    alpha = [mpf(0), mpf(1)]
    for n in range(2, size):
        rest = sum(j * alpha[j] * alpha[n - j + 1] for j in range(2, n))
        alpha.append((alpha[n - 1] - rest) / (n + 1))
    stirling = [mp.sqrt(mpf(1) / 2)]
    for k in range(1, 2 * ORDERS):
        rest = sum(stirling[j] * stirling[k - j] / (j + 1) for j in range(1, k))
        stirling.append((stirling[k - 1] / k - rest) / (stirling[0] * (1 + mpf(1) / (k + 1))))
    rows = [[mpf(-1) / 3, *((n + 2) * alpha[n + 2] for n in range(1, size - 2))]]
    for k in range(1, ORDERS):
        weight = (-1) ** k * mp.sqrt(2) * mp.rf(mpf(1) / 2, k) * stirling[2 * k]
        before = rows[-1]
        rows.append([weight * rows[0][n] + (n + 2) * before[n + 2] for n in range(len(before) - 2)])
    return [
        row[: max(n for n, c in enumerate(row) if abs(c) * WIDEST**n > mpf(10) ** -18 * LOWEST_A**k) + 1]
        for k, row in enumerate(rows)
    ]


def coefficients(fit: Fit) -> list[Any]:
    """The powers of ``t = 2 z - 1``, the lowest first."""
    count = fit.degree + 1
    angles = [mp.pi * (2 * k + 1) / (2 * count) for k in range(count)]
    values = [fit.function((mp.cos(a) + 1) / 2) for a in angles]
    series = [2 * sum(v * mp.cos(n * a) for v, a in zip(values, angles, strict=True)) / count for n in range(count)]
    series[0] /= 2
    return powers(series)


def powers(series: list[Any]) -> list[Any]:
    """A sum of Chebyshev polynomials in powers."""
    total = [mpf(0)] * len(series)
    before, here = [mpf(1)], [mpf(0), mpf(1)]
    for factor in series:
        for k, c in enumerate(before):
            total[k] += factor * c
        doubled = [mpf(0), *(2 * c for c in here)]
        after = [c - (before[k] if k < len(before) else 0) for k, c in enumerate(doubled)]
        before, here = here, after
    return total


def error(fit: Fit, found: list[Any]) -> Any:
    """The largest distance to the function, at 300 places."""
    places = [mpf(2 * k + 1) / 600 for k in range(300)]
    return max(abs(fit.function(z) - mp.polyval(found[::-1], 2 * z - 1)) for z in places)


def text(of: str, fits: dict[str, Fit]) -> str:
    """A file of tables."""
    head = (
        f'"""Polynomials of {of}, by ``tools/fit_special.py``. Do not edit.\n\n'
        'In powers of t, which runs from -1 to 1 over the interval, the highest first."""\n\n'
        "from __future__ import annotations\n\nfrom typing import Final\n\n# fmt: off\n"
    )
    parts = [head]
    for name, fit in fits.items():
        found = coefficients(fit)
        listed = _listed([float(c) for c in reversed(found)], 4)
        parts.append(
            f"\n{name}: Final = (\n"
            + listed
            + f')\n"""{fit.meaning}; the error is {mp.nstr(error(fit, found), 2)}."""\n'
        )
    if fits is INCOMPLETE:
        rows = ["    (\n" + _listed([float(c) for c in reversed(row)], 8) + "    ),\n" for row in temme()]
        parts.append(
            "\nTEMME: Final = (\n"
            + "".join(rows)
            + f')\n"""The powers of eta for each power of 1 / a, from a = {LOWEST_A} on."""\n'
        )
    return "".join(parts)


def _listed(numbers: list[float], indent: int) -> str:
    words = [repr(x) for x in numbers]
    return "".join(f"{' ' * indent}{', '.join(words[k : k + 4])},\n" for k in range(0, len(words), 4))


if __name__ == "__main__":
    with mp.workdps(DIGITS):
        for name, told in FILES.items():
            (FOLDER / f"{name}.py").write_text(text(*told), encoding="utf-8")
