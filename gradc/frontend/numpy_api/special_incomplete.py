"""Incomplete gamma and beta functions of ``scipy.special``, and the distribution functions that they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.frontend.numpy_api.special_notation import applied, of_scipy, operands_of
from gradc.ops import incomplete, incomplete_beta


@of_scipy("gammainc", "a", "x")
def gammainc(a: Any, x: Any) -> Any:
    """The lower incomplete gamma function, regularized. Raises DerivativeError where it is differentiated by ``a``."""
    return applied(incomplete.gammainc, a, x)


@of_scipy("gammaincc", "a", "x")
def gammaincc(a: Any, x: Any) -> Any:
    """The upper one, ``1 - gammainc(a, x)``. Raises DerivativeError where it is differentiated by ``a``."""
    return applied(incomplete.gammaincc, a, x)


@of_scipy("chdtr", "v", "x")
def chdtr(v: Any, x: Any) -> Any:
    """The distribution function of chi-square with ``v`` degrees of freedom. As ``gammainc`` by ``v``."""
    v, x = operands_of("chdtr", v, x)
    return gammainc(v * 0.5, x * 0.5)


@of_scipy("chdtrc", "v", "x")
def chdtrc(v: Any, x: Any) -> Any:
    """``1 - chdtr(v, x)``."""
    v, x = operands_of("chdtrc", v, x)
    return gammaincc(v * 0.5, x * 0.5)


@of_scipy("gdtr", "a", "b", "x")
def gdtr(a: Any, b: Any, x: Any) -> Any:
    """The distribution function of the gamma distribution with rate ``a`` and shape ``b``. As ``gammainc`` by ``b``."""
    a, b, x = operands_of("gdtr", a, b, x)
    return gammainc(b, a * x)


@of_scipy("gdtrc", "a", "b", "x")
def gdtrc(a: Any, b: Any, x: Any) -> Any:
    """``1 - gdtr(a, b, x)``."""
    a, b, x = operands_of("gdtrc", a, b, x)
    return gammaincc(b, a * x)


@of_scipy("pdtr", "k", "m")
def pdtr(k: Any, m: Any) -> Any:
    """The distribution function of Poisson's distribution with mean ``m``."""
    k, m = operands_of("pdtr", k, m)
    return gammaincc(np.floor(k) + 1.0, m)


@of_scipy("pdtrc", "k", "m")
def pdtrc(k: Any, m: Any) -> Any:
    """``1 - pdtr(k, m)``."""
    k, m = operands_of("pdtrc", k, m)
    return gammainc(np.floor(k) + 1.0, m)


@of_scipy("betainc", "a", "b", "x")
def betainc(a: Any, b: Any, x: Any) -> Any:
    """The incomplete beta function, regularized. Raises DerivativeError where it is differentiated by a or b."""
    return applied(incomplete_beta.betainc, a, b, x)


@of_scipy("betaincc", "a", "b", "x")
def betaincc(a: Any, b: Any, x: Any) -> Any:
    """``1 - betainc(a, b, x)``. Raises DerivativeError where it is differentiated by a or b."""
    return applied(incomplete_beta.betaincc, a, b, x)
