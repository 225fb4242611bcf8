"""The functions there are, as IR. A module carries those that it uses."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np

from gradc.backends.llvm.math.error import erf
from gradc.backends.llvm.math.exponential import exp, expm1
from gradc.backends.llvm.math.formula import Formula, Term, format_of
from gradc.backends.llvm.math.hyperbolic import tanh
from gradc.backends.llvm.math.logarithm import log, log1p
from gradc.backends.llvm.math.power import power

FUNCTIONS: Final[dict[str, Callable[..., Term]]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "tanh": tanh,
    "pow": power,
    "erf": erf,
}

PARAMETERS: Final = {"pow": ("x", "y")}


def symbol(name: str, dtype: np.dtype) -> str:
    """The global of a function, without ``@``."""
    return f"gradc.{name}.{format_of(dtype).name}"


@cache
def definition(name: str, dtype: np.dtype, fused: bool) -> str:
    """A function as IR, and the declarations of what it calls. ``fused``: the target has fused multiply-adds."""
    formula = Formula(symbol(name, dtype), format_of(dtype), fused, PARAMETERS.get(name, ("x",)))
    return formula.text(FUNCTIONS[name](formula, *formula.arguments))
