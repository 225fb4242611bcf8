"""The functions that have a formula, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gradc.backends.math import expansions
from gradc.backends.math.arc import arccos, arcsin, arctan, arctan2
from gradc.backends.math.error import erf, erfc
from gradc.backends.math.exponential import exp, exp2, exp_unit, expm1
from gradc.backends.math.gamma import digamma, gammaln
from gradc.backends.math.hyperbolic import cosh, sinh, tanh
from gradc.backends.math.inverse_hyperbolic import arccosh, arcsinh, arctanh
from gradc.backends.math.logarithm import log, log1p, log1p_unit, log2, log10
from gradc.backends.math.power import power
from gradc.backends.math.root import cbrt, hypot
from gradc.backends.math.term import Term
from gradc.backends.math.trigonometric import cos, sin, tan

SHORT: Final[dict[str, Callable[..., Term]]] = {
    function.__name__: function
    for function in (
        *(arccos, arcsin, arctan, cbrt, cosh, exp, exp2, exp_unit, expm1),
        *(hypot, log, log10, log1p, log1p_unit, log2, sinh, tanh),
    )
}
"""Functions of few operations."""

LONG: Final[dict[str, Callable[..., Term]]] = {
    "arccosh": arccosh,
    "arcsinh": arcsinh,
    "arctan2": arctan2,
    "arctanh": arctanh,
    "cos": cos,
    "digamma": digamma,
    "erf": erf,
    "erfc": erfc,
    "gammaln": gammaln,
    "pow": power,
    "sin": sin,
    "tan": tan,
}
"""The others."""

EXPANSIONS: Final[dict[str, Callable[..., Term]]] = {
    function.__name__: function
    for function in (
        *(expansions.area_series, expansions.stirling, expansions.log_gamma_bend),
        *(expansions.gamma_series, expansions.gamma_fraction, expansions.gamma_complement, expansions.gamma_middle),
        *(expansions.beta_fraction, expansions.beta_middle),
    )
}
"""Parts of functions, which have no bound of their own."""

PARAMETERS: Final = ("x", "y", "z", "w")
"""What the parameters of a function are called."""
