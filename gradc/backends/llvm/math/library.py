"""The functions there are, as IR. A module carries those that it uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np

from gradc.backends.llvm.math import trigonometric
from gradc.backends.llvm.math.error import erf
from gradc.backends.llvm.math.exponential import exp, expm1
from gradc.backends.llvm.math.formula import Format, Formula, Term, format_of
from gradc.backends.llvm.math.hyperbolic import tanh
from gradc.backends.llvm.math.logarithm import log, log1p
from gradc.backends.llvm.math.power import power

if TYPE_CHECKING:
    from gradc.backends.llvm.writer import Module

FUNCTIONS: Final[dict[str, Callable[..., Term]]] = {
    "exp": exp,
    "expm1": expm1,
    "log": log,
    "log1p": log1p,
    "tanh": tanh,
    "pow": power,
    "erf": erf,
}

TRIGONOMETRIC: Final = ("cos", "sin")
"""Functions with a rare path: they are not inlined, and have forms for vectors."""

NAMES: Final = frozenset((*FUNCTIONS, *TRIGONOMETRIC))


def emit_call(module: Module, name: str, dtype: np.dtype, operands: Sequence[str]) -> str:
    """The instruction that applies a function to numbers; the module carries the function."""
    form, target = format_of(dtype), module.target
    symbol = f"gradc.{name}.{form.name}"
    arguments = ", ".join(f"{form.type} {operand}" for operand in operands)
    call = f"call {form.type} @{symbol}({arguments})"
    if name not in TRIGONOMETRIC:
        module.carry(_definition(name, form, target.fma))
        module.inlined += 1
        return call
    # A loop takes as many elements at once as vectors of its widest elements have.
    lanes = tuple(sorted({target.lanes(size) for size in (dtype.itemsize, 8)} - {1}))
    for text in trigonometric.definitions(name, form, target.fma, lanes):
        module.carry(text)
    vectors = {count: f"{symbol}.x{count}" for count in lanes}
    if not vectors:
        return call
    for vector in vectors.values():
        module.keep(vector)
    variants = ",".join(f"_ZGV_LLVM_N{count}v_{symbol}({vector})" for count, vector in vectors.items())
    return f'{call} "vector-function-abi-variant"="{variants}"'


@cache
def _definition(name: str, form: Format, fused: bool) -> str:
    """A function as IR, and the declarations of what it calls."""
    formula = Formula(f"gradc.{name}.{form.name}", form, fused, ("x", "y") if name == "pow" else ("x",))
    return formula.text(FUNCTIONS[name](formula, *formula.arguments))
