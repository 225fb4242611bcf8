"""``fmod``: the exact remainder of a division that is rounded to zero, with the sign of the dividend.

A quotient rounded to an integer n, right to 1, leaves ``x - n y``, which is exact and at most y in size. Where the
quotient has more bits than a number, the same steps with multiples ``2**(k WINDOW) y``, from the largest to y itself.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final

from gradc.backends.llvm.math.ir import IrFormula
from gradc.backends.llvm.types import number
from gradc.backends.math.formats import Format
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Term

_FAR: Final = """
define internal {t} @gradc.fmod.far.{s}({t} %x, {t} %y) #2 {{
entry:
  %size = call {t} @llvm.fabs.{s}({t} %x)
  %divisor = call {t} @llvm.fabs.{s}({t} %y)
  %finite = fcmp olt {t} %size, {infinity}
  %nonzero = fcmp ogt {t} %divisor, 0.0
  %defined = and i1 %finite, %nonzero
  br i1 %defined, label %grow, label %undefined
grow:
  %multiple = phi {t} [ %divisor, %entry ], [ %grown, %grow ]
  %grown = fmul {t} %multiple, {up}
  %fits = fcmp ole {t} %grown, %size
  br i1 %fits, label %grow, label %shrink
shrink:
  %left = phi {t} [ %size, %grow ], [ %rest, %shrink ]
  %part = phi {t} [ %multiple, %grow ], [ %smaller, %shrink ]
  %rest = call {t} @gradc.fmod.step.{s}({t} %left, {t} %part)
  %smaller = fmul {t} %part, {down}
  %last = fcmp oeq {t} %part, %divisor
  br i1 %last, label %exit, label %shrink
exit:
  %result = call {t} @llvm.copysign.{s}({t} %rest, {t} %x)
  ret {t} %result
undefined:
  %product = fmul {t} %x, %y
  %nan = fdiv {t} %product, %product
  ret {t} %nan
}}
declare {t} @llvm.fabs.{s}({t})
declare {t} @llvm.copysign.{s}({t}, {t})"""


def _window(form: Format) -> int:
    """The bits of a quotient that one step takes: two fewer than rounding to an integer has."""
    return form.mantissa - 3


@cache
def definitions(name: str, form: Format, fused: bool) -> list[str]:
    """The function of numbers, and what it calls."""
    step = IrFormula(f"gradc.{name}.step.{form.name}", form, fused, ("x", "y"))
    values = {"infinity": math.inf, "up": 2.0 ** _window(form), "down": 2.0 ** -_window(form)}
    texts = {key: number(value, form.dtype) for key, value in values.items()}
    return [
        step.text_apart(_step(step, *step.arguments)),
        _FAR.format(t=form.type, s=form.name, **texts),
        definition(name, form, fused, 1),
    ]


@cache
def definition(name: str, form: Format, fused: bool, lanes: int) -> str:
    """The function of numbers or of vectors. Where the quotient is large, a more general one is called."""
    own = f"gradc.{name}.{form.name}"
    f = IrFormula(own + (f".x{lanes}" if lanes > 1 else ""), form, fused, ("x", "y"), lanes)
    x, y = f.arguments
    size, divisor = f.abs(x), f.abs(y)
    near = size < divisor * 2.0 ** _window(form)
    rest = _step(f, size, divisor)
    result = f.copysign(rest, x)
    return f.text_with_fallback(result, near, own if lanes > 1 else f"gradc.{name}.far.{form.name}", form)


def _step(f: Formula, size: Term, divisor: Term) -> Term:
    """The remainder of positive numbers whose quotient rounding makes an integer."""
    form = f.form
    given, below = size, divisor
    if not f.fused:
        f.comment("scaled where the halves of a product would leave the range")
        huge = divisor > 2.0 ** (form.bias * 4 // 5)
        scale = f.select(huge, 2.0 ** -(form.bias // 5), f.number(1.0))
        size, divisor = size * scale, divisor * scale
    quotient = size / divisor
    whole = (quotient + form.rounder) - form.rounder
    rest = f.rest(size, whole, divisor)
    rest = f.select(rest < 0.0, rest + divisor, rest)
    if not f.fused:
        rest = rest * f.select(huge, 2.0 ** (form.bias // 5), f.number(1.0))
    return f.select(given < below, given, rest)
