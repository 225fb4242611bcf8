"""Orthogonal polynomials of ``scipy.special`` of known orders, by their recurrences (DLMF, 18.9.1), in f64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.frontend.numpy_api.notation import composed
from gradc.frontend.numpy_api.special_bessel import known_order

Step = Callable[..., Any]
"""``step(k, x, now, before, *parameters)``: the polynomial of order k + 1 by those of k and of k - 1."""


_ALWAYS_ONE: Final = ("eval_legendre", "eval_sh_legendre", "eval_jacobi")
"""Those of which order 0 is 1 for NaN too, as in SciPy."""


def _at_order(name: str, n: Any, x: Any, parameters: tuple[Any, ...], first: Any, step: Step, zeroth: float) -> Any:
    order = known_order(name, n)
    x, *others = np.broadcast_arrays(*[given.astype(np.float64) for given in (x, *parameters)])
    before: Any = np.where(np.isnan(x) & (name not in _ALWAYS_ONE), x, zeroth)
    if not order:
        return before
    now = first(x, *others)
    for k in range(1, order):
        now, before = step(float(k), x, now, before, *others), now
    return now


def _of_one(name: str, first: Any, step: Step, *, zeroth: float = 1.0, argument: Any = None) -> None:
    """A polynomial of ``argument`` of x, which is x by default."""

    @composed(f"scipy.special:{name}", arrays=("x",), keeps_weak=True)
    def function(n: Any, x: Any) -> Any:
        """The polynomial of an order that is an int up to 100. Raises TraceError for other orders."""
        return _at_order(name, n, x if argument is None else argument(x), (), first, step, zeroth)


def _shifted(x: Any) -> Any:
    return 2.0 * x - 1.0


def _legendre(k: float, x: Any, now: Any, before: Any) -> Any:
    return ((2.0 * k + 1.0) * x * now - k * before) / (k + 1.0)


def _chebyshev(k: float, x: Any, now: Any, before: Any) -> Any:
    return 2.0 * x * now - before


_of_one("eval_legendre", lambda x: x, _legendre)
_of_one("eval_sh_legendre", lambda x: x, _legendre, argument=_shifted)
_of_one("eval_chebyt", lambda x: x, _chebyshev)
_of_one("eval_sh_chebyt", lambda x: x, _chebyshev, argument=_shifted)
_of_one("eval_chebyu", lambda x: 2.0 * x, _chebyshev)
_of_one("eval_sh_chebyu", lambda x: 2.0 * x, _chebyshev, argument=_shifted)
_of_one("eval_chebyc", lambda x: x, lambda k, x, now, before: x * now - before, zeroth=2.0)
_of_one("eval_chebys", lambda x: x, lambda k, x, now, before: x * now - before)
_of_one("eval_hermite", lambda x: 2.0 * x, lambda k, x, now, before: 2.0 * (x * now - k * before))
_of_one("eval_hermitenorm", lambda x: x, lambda k, x, now, before: x * now - k * before)
_of_one(
    "eval_laguerre",
    lambda x: 1.0 - x,
    lambda k, x, now, before: ((2.0 * k + 1.0 - x) * now - k * before) / (k + 1.0),
)


@composed("scipy.special:eval_genlaguerre", arrays=("alpha", "x"), keeps_weak=True)
def eval_genlaguerre(n: Any, alpha: Any, x: Any) -> Any:
    """The polynomial of an order that is an int up to 100; NaN unless alpha is above -1."""
    found = _at_order(
        "eval_genlaguerre", n, x, (alpha,), lambda x, a: 1.0 + a - x,
        lambda k, x, now, before, a: ((2.0 * k + 1.0 + a - x) * now - (k + a) * before) / (k + 1.0), 1.0,
    )  # fmt: skip
    return np.where(alpha > -1.0, found, np.nan)


@composed("scipy.special:eval_gegenbauer", arrays=("alpha", "x"), keeps_weak=True)
def eval_gegenbauer(n: Any, alpha: Any, x: Any) -> Any:
    """The polynomial of an order that is an int up to 100; NaN of some for negative whole 2 alpha, as in SciPy."""
    found = _at_order(
        "eval_gegenbauer", n, x, (alpha,), lambda x, a: 2.0 * a * x,
        lambda k, x, now, before, a: (2.0 * (k + a) * x * now - (k + 2.0 * a - 1.0) * before) / (k + 1.0), 1.0,
    )  # fmt: skip
    return _with_poles(found, 2.0 * alpha) if known_order("eval_gegenbauer", n) > 1 else found


def _with_poles(found: Any, at: Any) -> Any:
    """NaN where a number is a negative whole one, of which SciPy's recurrence has a pole."""
    return np.where((at < 0.0) & (np.floor(at) == at), np.nan, found)


def _jacobi(k: float, x: Any, now: Any, before: Any, a: Any, b: Any) -> Any:
    twice = 2.0 * k + a + b
    rising = (twice + 1.0) * ((twice + 2.0) * twice * x + a * a - b * b) * now
    falling = 2.0 * (k + a) * (k + b) * (twice + 2.0) * before
    return (rising - falling) / (2.0 * (k + 1.0) * (k + a + b + 1.0) * twice)


@composed("scipy.special:eval_jacobi", arrays=("alpha", "beta", "x"), keeps_weak=True)
def eval_jacobi(n: Any, alpha: Any, beta: Any, x: Any) -> Any:
    """The polynomial of an order that is an int up to 100; NaN of some for negative whole alpha, as in SciPy."""
    found = _at_order(
        "eval_jacobi", n, x, (alpha, beta), lambda x, a, b: a + 1.0 + (a + b + 2.0) * (x - 1.0) * 0.5, _jacobi, 1.0
    )
    return _with_poles(found, alpha) if known_order("eval_jacobi", n) > 1 else found
