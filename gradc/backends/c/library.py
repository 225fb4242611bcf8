"""The mathematical functions that a C file can carry with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from gradc.backends.c.formula import CFormula
from gradc.backends.c.layout import wrapped
from gradc.backends.c.types import c_type, comment, literal
from gradc.backends.math import trigonometric
from gradc.backends.math.formats import F32, F64, Format
from gradc.backends.math.functions import EXPANSIONS, LONG, PARAMETERS, SHORT
from gradc.backends.math.term import Term
from gradc.loops.language.expressions import PRIMITIVES

_FUNCTIONS: Final[dict[str, Callable[..., Term]]] = {**SHORT, **LONG, **EXPANSIONS}
_ANGLES: Final = ("sin", "cos", "tan")
_FAR: Final = "_far"
_FORMATS: Final = {"f32": F32, "f64": F64}


class Text(NamedTuple):
    """A function, and the tables that it reads, by name."""

    function: str
    tables: dict[str, str]


@cache
def function_text(helper: str, suffix: str, fused: bool, doubles: bool, tables: bool) -> Text | None:
    """The C function ``helper`` on numbers of f32 or f64; None where there is no formula for it."""
    form = _FORMATS.get(suffix)
    if form is None:
        return None
    name = f"{helper}_{suffix}"
    if helper.removesuffix(_FAR) in _ANGLES:
        return _angle(helper, CFormula(name, form, fused, doubles=doubles))
    function = _FUNCTIONS.get(helper)
    if function is None:
        return None
    formula = CFormula(name, form, fused, PARAMETERS[: PRIMITIVES[helper].arity], doubles, tables)
    told = (function.__doc__ or "").strip().splitlines()[0].replace("``", "")
    return _text(formula, told, function(formula, *formula.arguments))


def _angle(helper: str, formula: CFormula) -> Text:
    """A function of angles. Large ones take a function of their own."""
    name = helper.removesuffix(_FAR)
    (x,) = formula.arguments
    if helper != name:
        start = trigonometric.NEAR if formula.form is F64 else trigonometric.NEAR_F32
        told = f"{name}(x) of x from 2**{start} on, infinity and NaN."
        return _text(formula, told, trigonometric.of_large(formula, x, name))
    result, near = trigonometric.of_small(formula, x, name)
    formula.done_if(near, result)
    far = formula.form is F64 or trigonometric.is_alone(formula)
    other = f"{name}_far_{formula.form.name}(x)" if far else f"(float){name}_f64((double)x)"
    return _text(formula, f"{name}(x).", other)


def _text(formula: CFormula, told: str, result: Term | str) -> Text:
    function = formula.text(result)
    return Text(f"{comment(told)}\n{function}", {n: _table(n, t) for n, t in formula.looked_up.items()})


def _table(name: str, numbers: Sequence[float]) -> str:
    form: Format = _FORMATS[name.rpartition("_")[2]]
    rows = wrapped(
        [f"    {', '.join(literal(x, form.dtype) for x in numbers[k : k + 4])}," for k in range(0, len(numbers), 4)]
    )
    return "\n".join([f"static const {c_type(np.dtype(form.dtype))} {name}[{len(numbers)}] = {{", *rows, "};"])
