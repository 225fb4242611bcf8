"""Fits the polynomials of gradc's math functions, and writes coefficients.py, gamma_coefficients.py
and tables.py in gradc/backends/math/.

    python tools/fit_polynomials.py [--check]

A development tool, apart from the package because it needs mpmath. Each polynomial interpolates its function at the
Chebyshev nodes of the interval, in 120 digits: within a small factor of the minimax error (L. N. Trefethen,
Approximation Theory and Approximation Practice, chapter 16), and the same on every machine. What a formula has
exactly (the 1 + r of exp) is taken out before the fit and the rest divided by its leading power, so that the error
is small beside the whole. The choice of formulas follows J.-M. Muller, Elementary Functions, 3rd edition.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cells import CELL, cell_range, cells, fine_cells
from interpolation import Fit, cut, nearest, polynomial, tangent
from mpmath import mp, mpf

FOLDER = Path(__file__).parents[1] / "gradc" / "backends" / "math"
GAMMA = ("GAMMALN", "STIRLING", "DIGAMMA", "SIN_PI", "COT_PI", "ONE_LESS_EULER", "LOG_PI", "HALF_LOG_TAU")  # starts
DIGITS = 120
TABLES = ("TWO_OVER_PI", "LOG_FACTORS", "LOG_CELLS", "LOG2_FACTORS", "LOG2_CELL", "LOG10_CELL", "SIXTEENTHS", "CUBE")
PARTS = 4  # numbers in a row of TWO_OVER_PI
WINDOW = {"f64": 26, "f32": 8}  # binades of an argument that share a row
NEAR = {"f64": (20, 52, 1023), "f32": (17, 23, 127)}  # the exponent of the first one, mantissas, the largest exponent
CENTRE = mpf("3.75")  # where the argument of the polynomial of erfc is 0


def fits() -> dict[str, Fit]:
    """The polynomials by name."""
    half = mp.log(2) / 2 * (1 + mpf(2) ** -10)
    around_1 = -mpf(1) / 4, mpf(1) / 2
    low, high = mp.sqrt(mpf(1) / 2) - 1, mp.sqrt(2) - 1
    ratio = (high / (high + 2)) ** 2 * (1 + mpf(2) ** -20)
    most = (mpf("0.7") * mp.log(2)) ** 2 * (1 + mpf(2) ** -10)
    eighth = (mp.pi / 4) ** 2 * (1 + mpf(2) ** -10)

    def odd(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """``(function(x) / x - 1) / x**2`` as a function of ``x**2``."""
        return lambda z: (function(mp.sqrt(z)) / mp.sqrt(z) - 1) / z

    def to_base(base: int, bits: int = 24) -> tuple[str, Callable[[Any], Any]]:
        """The logarithm of ``1 + f`` over f, without the factor of which that many bits hold the most."""
        factor = 1 / mp.log(base)
        short = mpf(cut(factor, bits))
        return (
            f"log(1 + f) / (f log({base})) - {float(short)!r}",
            lambda f: mp.log1p(f) / f * factor - short,
        )

    def ratio_to_base(base: int) -> tuple[str, Callable[[Any], Any]]:
        return (
            f"(log((1 + s) / (1 - s)) - 2 s) / (s**3 log({base})) in s**2",
            lambda z: 2 * odd(mp.atanh)(z) / mp.log(base),
        )

    return {
        "EXP": Fit("(exp(r) - 1 - r) / r**2", lambda r: (mp.expm1(r) - r) / r**2, -half, half, {"f64": 9, "f32": 4}),
        "EXP_DOUBLE": Fit(
            "(exp(2 r) - 1 - 2 r) / (2 r**2)",
            lambda r: (mp.expm1(2 * r) - 2 * r) / (2 * r**2),
            -half / 2,
            half / 2,
            {"f32": 4},
        ),
        "LOG": Fit(
            "(log(1 + f) - f + f**2 / 2) / f**3",
            lambda f: (mp.log1p(f) - f + f * f / 2) / f**3,
            *around_1,
            {"f32": 8},
        ),
        "LOG_RATIO": Fit(
            "(log((1 + s) / (1 - s)) - 2 s) / s**3 in s**2",
            lambda z: 2 * odd(mp.atanh)(z),
            mpf(0),
            ratio,
            {"f64": 7},
        ),
        "LOG_RATIO_WIDE": Fit(
            "the same",
            lambda z: 2 * odd(mp.atanh)(z),
            mpf(0),
            mpf(1) / 9,
            {"f64": 10, "f32": 4},
        ),
        "LOG_RATIO_FOR_F32": Fit(
            "the same, to 1e-14, for results in f32",
            lambda z: 2 * odd(mp.atanh)(z),
            mpf(0),
            mpf(1) / 25 * (1 + mpf(2) ** -20),
            {"f64": 5},
        ),
        "LOG_CUBE": Fit("(log(1 + r) - r + r**2 / 2) / r**3", log_cube, *cell_range(), {"f64": 9, "f32": 3}),
        "EXP_SIXTEENTH": Fit(
            "(exp(r) - 1 - r) / r**2", lambda r: (mp.expm1(r) - r) / r**2, -half / 16, half / 16, {"f64": 5}
        ),
        "EXP2": Fit("(2**r - 1) / r", lambda r: (mpf(2) ** r - 1) / r, -mpf(1) / 2, mpf(1) / 2, {"f64": 11, "f32": 5}),
        "LOG2": Fit(*to_base(2), low, high, {"f32": 9}),
        "LOG2_RATIO": Fit(*ratio_to_base(2), mpf(0), ratio, {"f64": 7}),
        "LOG2_CELL_F64": Fit(*to_base(2, 53), *CELL["f64"], {"f64": 9}),
        "LOG2_CELL_F32": Fit(*to_base(2), *CELL["f32"], {"f32": 3}),
        "LOG10": Fit(*to_base(10), low, high, {"f32": 9}),
        "LOG10_CELL": Fit(*to_base(10), *CELL["f32"], {"f32": 3}),
        "LOG10_RATIO": Fit(*ratio_to_base(10), mpf(0), ratio, {"f64": 7}),
        "CBRT": Fit("m**(-1/3)", lambda m: mp.cbrt(1 / m), mpf(1), mpf(2), {"f64": 3}),
        "CBRT_SQUARED": Fit("m**(-2/3)", lambda m: mp.cbrt(1 / m) ** 2, mpf(1), mpf(2), {"f32": 5}),
        "SINH": Fit("(sinh(r) - r) / r**3 in r**2", odd(mp.sinh), mpf(0), most, {"f64": 5, "f32": 2}),
        "COSH": Fit(
            "(cosh(r) - 1) / r**2 in r**2", lambda z: (mp.cosh(mp.sqrt(z)) - 1) / z, mpf(0), most, {"f64": 5, "f32": 2}
        ),
        "TANH": Fit("(tanh(r) - r) / r**3 in r**2", odd(mp.tanh), mpf(0), mpf("0.2556") ** 2, {"f64": 6}),
        "ARCTAN": Fit("(arctan(t) - t) / t**3 in t**2", odd(mp.atan), mpf(0), mpf(1) / 4, {"f64": 12, "f32": 5}),
        "ARCTAN_WIDE": Fit("the same", odd(mp.atan), mpf(0), mpf(1), {"f32": 8}),
        "ARCSIN": Fit("(arcsin(t) - t) / t**3 in t**2", odd(mp.asin), mpf(0), mpf(1) / 4, {"f64": 12, "f32": 5}),
        "SIN": Fit("(sin(r) - r) / r**3 in r**2", odd(mp.sin), mpf(0), eighth, {"f64": 5, "f32": 2}),
        "TAN": Fit("(tan(r) - r) / r**3 in r**2", odd(mp.tan), mpf(0), eighth, {"f32": 6}),
        "COS": Fit(
            "(cos(r) - 1 + r**2 / 2) / r**4 in r**2",
            lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2,
            mpf(0),
            eighth,
            {"f64": 5, "f32": 2},
        ),
        "ERF_NEAR": Fit(
            "erf(x) / x - 1 in x**2",
            lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1,
            mpf(0),
            mpf(1),
            {"f64": 13, "f32": 7},
        ),
        "ERFC": Fit(
            f"(1 + 2 x) exp(x**2) erfc(x) in (x - {CENTRE}) / (x + {CENTRE})",
            scaled_erfc,
            -mpf(1),
            (mpf(28) - CENTRE) / (mpf(28) + CENTRE),
            {"f64": 24, "f32": 12},
        ),
        "GAMMALN": Fit("(gammaln(2 + u) / u - 1 + gamma) / u", gammaln_rest, -mpf(1) / 2, mpf(1) / 2, {"f64": 16}),
        "GAMMALN_FOR_F32": Fit(
            "the same, to 1e-14, for results in f32", gammaln_rest, -mpf(1) / 2, mpf(1) / 2, {"f64": 13}
        ),
        "GAMMALN_SHORT": Fit("the same, for f32 without f64", gammaln_rest, -mpf(1) / 2, mpf(1) / 2, {"f64": 7}),
        "STIRLING": Fit(
            "the rest of Stirling's formula, by x, in 1 / x**2", stirling, mpf(0), mpf(4) / 25, {"f64": 12}
        ),
        "STIRLING_FOR_F32": Fit("the same, to 1e-14, for results in f32", stirling, mpf(0), mpf(4) / 25, {"f64": 10}),
        "STIRLING_SHORT": Fit("the same, for f32 without f64", stirling, mpf(0), mpf(4) / 25, {"f64": 4}),
        "DIGAMMA": Fit("digamma(3 / 2 + u) / (3 / 2 + u - root)", digamma_rest, -mpf(1) / 2, mpf(1) / 2, {"f64": 22}),
        "DIGAMMA_FOR_F32": Fit(
            "the same, to 1e-14, for results in f32", digamma_rest, -mpf(1) / 2, mpf(1) / 2, {"f64": 18}
        ),
        "DIGAMMA_SHORT": Fit("the same, for f32 without f64", digamma_rest, -mpf(1) / 2, mpf(1) / 2, {"f64": 10}),
        "DIGAMMA_SERIES": Fit(
            "(log(x) - 1 / (2 x) - digamma(x)) x**2 in 1 / x**2", digamma_series, mpf(0), mpf(1) / 4, {"f64": 15}
        ),
        "DIGAMMA_SERIES_FOR_F32": Fit(
            "the same, to 1e-14, for results in f32", digamma_series, mpf(0), mpf(1) / 4, {"f64": 13}
        ),
        "DIGAMMA_SERIES_SHORT": Fit("the same, for f32 without f64", digamma_series, mpf(0), mpf(1) / 4, {"f64": 6}),
        "SIN_PI": Fit("(sin(pi x) - pi x) / x**3 in x**2", sine_rest, mpf(0), mpf(1) / 4, {"f64": 8}),
        "SIN_PI_FOR_F32": Fit(
            "the same over pi, to 1e-14, for results in f32",
            lambda z: sine_rest(z) / mp.pi,
            mpf(0),
            mpf(1) / 4,
            {"f64": 6},
        ),
        "COT_PI_FOR_F32": Fit(
            "(1 / x - pi cot(pi x)) / x in x**2, to 1e-14, for results in f32",
            cotangent_rest,
            mpf(0),
            mpf(1) / 4,
            {"f64": 11},
        ),
        "ERF_FAR_F32": Fit("log(erfc(x)) in x - 1", lambda u: mp.log(mp.erfc(u + 1)), mpf(0), mpf(3), {"f32": 9}),
        "ERF_FAR_F64": Fit("log(erfc(x)) in x - 1", lambda u: mp.log(mp.erfc(u + 1)), mpf(0), mpf(5), {"f64": 24}),
    }


def log_cube(r: Any) -> Any:
    return (mp.log1p(r) - r + r * r / 2) / r**3


def gammaln_rest(u: Any) -> Any:
    return (mp.loggamma(2 + u) / u - (1 - mp.euler)) / u


def stirling(z: Any) -> Any:
    """``x (gammaln(x) - (x - 1 / 2) log(x) + x - log(2 pi) / 2)`` of ``x = z**(-1 / 2)``, which is large near z = 0."""
    x = 1 / mp.sqrt(z)
    return x * (mp.loggamma(x) - (x - mpf(1) / 2) * mp.log(x) + x - mp.log(2 * mp.pi) / 2)


def digamma_series(z: Any) -> Any:
    x = 1 / mp.sqrt(z)
    return (mp.log(x) - 1 / (2 * x) - mp.digamma(x)) * x**2


def digamma_rest(u: Any) -> Any:
    x = mpf(3) / 2 + u
    return mp.digamma(x) / (x - digamma_root())


def digamma_root() -> Any:
    """The zero of the digamma function."""
    return mp.findroot(mp.digamma, mpf("1.4616321449683623"))


def sine_rest(z: Any) -> Any:
    x = mp.sqrt(z)
    return (mp.sin(mp.pi * x) - mp.pi * x) / x**3


def cotangent_rest(z: Any) -> Any:
    x = mp.sqrt(z)
    return (1 / x - mp.pi * mp.cot(mp.pi * x)) / x


def scaled_erfc(t: Any) -> Any:
    """``(1 + 2 x) exp(x**2) erfc(x)`` of ``x = CENTRE (1 + t) / (1 - t)``."""
    x = CENTRE * (1 + t) / (1 - t)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def constants() -> dict[str, tuple[str, dict[str, tuple[float, ...]]]]:
    """Numbers in several parts, each the nearest to what the parts before it leave."""
    found: dict[str, tuple[str, dict[str, tuple[float, ...]]]] = {}

    def split(name: str, meaning: str, value: Any, bits: dict[str, tuple[int, ...]]) -> None:
        parts: dict[str, tuple[float, ...]] = {}
        for dtype, widths in bits.items():
            rest, listed = value, []
            for width in widths:
                listed.append(cut(rest, width))
                rest -= mpf(listed[-1])
            parts[dtype] = (*listed, nearest(rest, dtype))
        found[name] = (f"{meaning}, as a sum", parts)

    split("LN2", "log(2), whose first part has bits to spare for a factor", mp.log(2), {"f64": (40,), "f32": (14,)})
    split(
        "HALF_PI",
        "pi / 2, whose first parts have bits to spare for a factor",
        mp.pi / 2,
        {"f64": (33, 33, 33)},
    )
    for letter, name, numbers in zip("AB", ("TAN_ABOVE", "TAN_BELOW"), tangent(3, 4), strict=True):
        meaning = f"{letter} of tan(r) = r (1 + z A(z)) / (1 - z / 2 + z**2 B(z)), z = r**2, to pi / 4"
        found[name] = (meaning, {"f64": tuple(map(float, numbers))})
    split("HALF_PI_FUSED", "pi / 2", mp.pi / 2, {"f64": (53, 53), "f32": (24, 24)})
    split("LN2_SIXTEENTH", "log(2) / 16, like LN2", mp.log(2) / 16, {"f64": (38,)})
    split("HALF_PI_PAIR", "pi / 2", mp.pi / 2, {"f64": (53,), "f32": (24,)})
    split("LOG2_E", "log2(e)", 1 / mp.log(2), {"f64": (53,), "f32": (24,)})
    split("LOG10_E", "log10(e)", 1 / mp.log(10), {"f64": (53,), "f32": (24,)})
    split(
        "LOG10_2",
        "log10(2), whose first part has bits to spare for a factor",
        mp.log(2, 10),
        {"f64": (40,), "f32": (14,)},
    )
    split("ONE_LESS_EULER", "1 - gamma", 1 - mp.euler, {"f64": (53,)})
    split("LOG_PI", "log(pi)", mp.log(mp.pi), {"f64": (53,)})
    split("HALF_LOG_TAU", "log(2 pi) / 2", mp.log(2 * mp.pi) / 2, {"f64": (53,)})
    split("DIGAMMA_ROOT", "the zero of digamma, less 1", digamma_root() - 1, {"f64": (53,)})
    found["LOG_FACTORS"] = (
        "c of the intervals from 1 to 3/2 and from 3/4 to 1, by the leading bits of m, for which m c - 1 is exact",
        {dtype: tuple(factor for _, _, factor in cells(dtype)) for dtype in ("f64", "f32")},
    )
    logs = {dtype: [-mp.log(factor) for _, _, factor in cells(dtype)] for dtype in ("f64", "f32")}
    bits = {"f64": 40, "f32": 16}
    heads = {dtype: [float(mp.nint(v * 2 ** bits[dtype]) / 2 ** bits[dtype]) for v in logs[dtype]] for dtype in logs}
    found["LOG_CELLS"] = (
        "-log(c) of LOG_FACTORS, with bits to spare for a sum",
        {dtype: tuple(heads[dtype]) for dtype in logs},
    )
    found["LOG_CELLS_LOW"] = (
        "what is left of them",
        {d: tuple(nearest(v - h, d) for v, h in zip(logs[d], heads[d], strict=True)) for d in logs},
    )
    fine = {dtype: fine_cells(dtype) for dtype in ("f64", "f32")}
    found["LOG2_FACTORS"] = (
        "c of the intervals from 1 to 3/2 and from 3/4 to 1, by the leading bits of m, for which log2(c) has few bits",
        {dtype: tuple(factors) for dtype, (factors, _) in fine.items()},
    )
    found["LOG2_CELLS"] = ("-log2(c) of LOG2_FACTORS", {dtype: tuple(found) for dtype, (_, found) in fine.items()})
    rests = {"f64": [0, 1, *[0] * 5, -1], "f32": [0, 1, *[0] * 13, -1]}
    found["CUBE_POWERS"] = ("2**k of k = 0, 1 and, at the end, -1", {d: tuple(2.0**k for k in rests[d]) for d in rests})
    thirds = {"f64": mpf(1) / 3, "f32": mpf(2) / 3}
    found["CUBE_ROOTS"] = (
        "2**(-k / 3) of them, in f32 its square",
        {d: tuple(nearest(mpf(2) ** (-k * third), d) for k in rests[d]) for d, third in thirds.items()},
    )
    powers = [mpf(2) ** (mpf(k) / 16) for k in range(16)]
    found["SIXTEENTHS"] = ("2**(k / 16)", {"f64": tuple(float(p) for p in powers)})
    found["SIXTEENTHS_LOW"] = ("what is left of them", {"f64": tuple(float(p - mpf(float(p))) for p in powers)})
    found["TWO_OVER_PI"] = (
        f"2 / pi times 2**({WINDOW['f64']} g) or 2**({WINDOW['f32']} g), without multiples of 4, in {PARTS} numbers",
        {dtype: tuple(itertools.chain(*two_over_pi(dtype))) for dtype in WINDOW},
    )
    return found


def two_over_pi(dtype: str) -> list[list[float]]:
    """What large arguments are multiplied by: see ``gradc/backends/math/trigonometric.py``."""
    near, mantissa, largest = NEAR[dtype]
    rows = []
    for first in range(0, largest - near + 1, WINDOW[dtype]):
        with mp.workprec(2000):
            # An argument of this row is a multiple of 2**(near - mantissa + first).
            exponent = max(0, first - (mantissa - near + 2))
            rest = mp.ldexp(mp.frac(mp.ldexp(2 / mp.pi, exponent)), first - exponent)
            parts = []
            for _ in range(PARTS):
                parts.append(nearest(rest, dtype))
                rest -= mpf(parts[-1])
            rows.append(parts)
    return rows


def render() -> dict[Path, str]:
    """The text of each file."""
    mp.dps = DIGITS
    tables = constant_tables() | polynomial_tables()
    gamma = {name: lines for name, lines in tables.items() if name.startswith(GAMMA)}
    looked_up = {name: lines for name, lines in tables.items() if name.startswith(TABLES)}
    others = {name: lines for name, lines in tables.items() if name not in gamma and name not in looked_up}
    files = {"coefficients.py": others, "gamma_coefficients.py": gamma, "tables.py": looked_up}
    return {FOLDER / name: module(content) for name, content in files.items()}


def module(tables: dict[str, list[str]]) -> str:
    lines = [
        '"""Polynomials and split constants of the math functions, by ``tools/fit_polynomials.py``. Do not edit."""',
        "",
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "# fmt: off",
    ]
    return "\n".join([*lines, *itertools.chain.from_iterable(tables.values())]) + "\n"


def constant_tables() -> dict[str, list[str]]:
    return {name: table(name, meaning, parts) for name, (meaning, parts) in constants().items()}


def polynomial_tables() -> dict[str, list[str]]:
    found = {}
    for name, fit in fits().items():
        rows = {d: tuple(nearest(c, d) for c in polynomial(fit, degree)) for d, degree in fit.degree.items()}
        bounds = f"{mp.nstr(fit.low, 4)} to {mp.nstr(fit.high, 4)}"
        found[name] = table(name, f"{fit.meaning}, from {bounds}", rows)
    return found


def table(name: str, meaning: str, columns: dict[str, tuple[float, ...]]) -> list[str]:
    lines = ["", f"{name}: Final[dict[str, tuple[float, ...]]] = {{"]
    for dtype, numbers in columns.items():
        rows = [numbers[k : k + 4] for k in range(0, len(numbers), 4)]
        lines += [f'    "{dtype}": (', *[f"        {', '.join(map(repr, row))}," for row in rows], "    ),"]
    return [*lines, "}", f'"""{meaning}."""']


def main() -> int:
    """Write the files, or with ``--check`` tell whether they are as this script writes them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file differs")
    arguments = parser.parse_args()
    texts = render()
    if arguments.check:
        return int(any(file.read_text(encoding="utf-8") != text for file, text in texts.items()))
    for file, text in texts.items():
        file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
