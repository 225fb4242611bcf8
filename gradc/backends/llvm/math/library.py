"""The functions there are, and what a module carries of them.

A loop vectorises where the function in it is inlined, or where the function has forms for vectors, which LLVM's
vectoriser finds by an attribute of the call (LLVM language reference, ``vector-function-abi-variant``). Short
functions are inlined; where there are many calls, and for long functions, it is the forms, which are compiled once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np

from gradc.backends.llvm.math import trigonometric
from gradc.backends.llvm.math.arc import arccos, arcsin, arctan, arctan2
from gradc.backends.llvm.math.error import erf, erfc
from gradc.backends.llvm.math.exponential import exp, exp2, expm1
from gradc.backends.llvm.math.formats import Format, format_of
from gradc.backends.llvm.math.formula import Formula, Term
from gradc.backends.llvm.math.hyperbolic import cosh, sinh, tanh
from gradc.backends.llvm.math.inverse_hyperbolic import arccosh, arcsinh, arctanh
from gradc.backends.llvm.math.logarithm import log, log1p, log2, log10
from gradc.backends.llvm.math.power import power
from gradc.backends.llvm.math.root import cbrt, hypot
from gradc.ir.target import Target
from gradc.loops.expressions import PRIMITIVES

SHORT: Final[dict[str, Callable[..., Term]]] = {
    function.__name__: function
    for function in (arccos, arcsin, arctan, cbrt, cosh, exp, exp2, expm1, hypot, log, log10, log1p, log2, sinh, tanh)
}
LONG: Final[dict[str, Callable[..., Term]]] = {
    "arccosh": arccosh,
    "arcsinh": arcsinh,
    "arctan2": arctan2,
    "arctanh": arctanh,
    "erf": erf,
    "erfc": erfc,
    "pow": power,
}
TRIGONOMETRIC: Final = ("cos", "sin", "tan")
NAMES: Final = frozenset((*SHORT, *LONG, *TRIGONOMETRIC))

INLINED: Final = 24
"""Calls of short functions that are inlined. Each one takes some milliseconds to compile."""

GROUPS: Final = 3
"""The first attribute group of calls; 1 and 2 are those of short and other functions."""


class Library:
    """The math functions that a module for ``target`` calls."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._short_calls = 0
        self._called: dict[tuple[str, Format], int] = {}
        self._looped: set[tuple[str, Format]] = set()
        self._packed: dict[tuple[str, Format], set[int]] = {}

    def call(self, name: str, dtype: np.dtype, operands: Sequence[str], in_loop: bool) -> str:
        """The instruction that applies a function to numbers."""
        form = format_of(dtype)
        arguments = ", ".join(f"{form.type} {operand}" for operand in operands)
        group = self._called.setdefault((name, form), GROUPS + len(self._called))
        self._short_calls += name in SHORT
        if in_loop:
            self._looped.add((name, form))
        return f"call {form.type} @{symbol(name, form)}({arguments}){f' #{group}' if in_loop else ''}"

    def call_on_vectors(self, name: str, dtype: np.dtype, operands: Sequence[str], lanes: int) -> str:
        """The instruction that applies a function to vectors; the function is compiled once."""
        form = format_of(dtype)
        self._called.setdefault((name, form), GROUPS + len(self._called))
        self._packed.setdefault((name, form), set()).add(lanes)
        kind = f"<{lanes} x {form.type}>"
        arguments = ", ".join(f"{kind} {operand}" for operand in operands)
        return f"call {kind} @{symbol(name, form, lanes)}({arguments}) noinline"

    def definitions(self) -> list[str]:
        """The functions, each with the declarations of what it calls."""
        fused = self._target.fma
        found: list[str] = []
        for name, form in self._called:
            if name in TRIGONOMETRIC:
                found += trigonometric.definitions(name, form, fused)
            else:
                found.append(_definition(name, form, fused, 1))
            for lanes in sorted({*self._lanes(name, form), *self._packed.get((name, form), ())}):
                if name in TRIGONOMETRIC:
                    found.append(trigonometric.definition(name, form, fused, lanes))
                else:
                    found.append(_definition(name, form, fused, lanes))
        return found

    def attributes(self) -> list[str]:
        """The attribute groups of the functions and their calls, and the forms for LLVM to keep until it needs them."""
        plain = "nounwind willreturn memory(none)"
        found: list[str] = []
        if any(name in SHORT for name, _ in self._called):
            found.append(f"attributes #1 = {{ {'alwaysinline' if self._inlines else 'noinline'} {plain} }}")
        if any(name not in SHORT for name, _ in self._called):
            found.append(f"attributes #2 = {{ noinline {plain} }}")
        kept: list[str] = []
        for (name, form), group in self._called.items():
            if (name, form) not in self._looped:
                continue
            own = symbol(name, form)
            vectors = [(lanes, symbol(name, form, lanes)) for lanes in self._lanes(name, form)]
            kept += [f"ptr @{vector}" for _, vector in vectors]
            arguments = "v" * PRIMITIVES[name].arity
            variants = ",".join(f"_ZGV_LLVM_N{lanes}{arguments}_{own}({vector})" for lanes, vector in vectors)
            known = f'"vector-function-abi-variant"="{variants}"' if variants else "nounwind"
            found.append(f"attributes #{group} = {{ {known} }}")
        if kept:
            listed = f'[{len(kept)} x ptr] [{", ".join(kept)}], section "llvm.metadata"'
            found.append(f"@llvm.compiler.used = appending global {listed}")
        return found

    @property
    def _inlines(self) -> bool:
        return self._short_calls <= INLINED

    def _lanes(self, name: str, form: Format) -> tuple[int, ...]:
        """The vectors that a function has a form for: a loop takes as many elements as its widest type allows."""
        if (name, form) not in self._looped or (name in SHORT and self._inlines):
            return ()
        return tuple(sorted({self._target.lanes(size) for size in (form.bits // 8, 8)} - {1}))


def symbol(name: str, form: Format, lanes: int = 1) -> str:
    """The global of a function, without ``@``."""
    return f"gradc.{name}.{form.name}" + (f".x{lanes}" if lanes > 1 else "")


@cache
def _definition(name: str, form: Format, fused: bool, lanes: int) -> str:
    formula = Formula(symbol(name, form, lanes), form, fused, ("x", "y")[: PRIMITIVES[name].arity], lanes)
    result = (SHORT | LONG)[name](formula, *formula.arguments)
    return formula.text(result) if name in SHORT else formula.text_apart(result)
