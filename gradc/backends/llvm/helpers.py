"""Scalar functions that a module carries with it, as IR templates: ``{t}`` is the type, ``{s}`` its suffix.

Integers round to minus infinity, a divisor 0 gives 0 and the one overflow (the least integer by -1) wraps.
"""

from __future__ import annotations

from typing import Final

SIGNED_FLOOR_DIV: Final = """
define internal {t} @gradc.floor_div.s{s}({t} %a, {t} %b) #0 {{
  %by_zero = icmp eq {t} %b, 0
  %by_minus_one = icmp eq {t} %b, -1
  %special = or i1 %by_zero, %by_minus_one
  %divisor = select i1 %special, {t} 1, {t} %b
  %quotient = sdiv {t} %a, %divisor
  %remainder = srem {t} %a, %divisor
  %nonzero = icmp ne {t} %remainder, 0
  %signs = xor {t} %remainder, %divisor
  %differs = icmp slt {t} %signs, 0
  %round_down = and i1 %nonzero, %differs
  %lower = sub {t} %quotient, 1
  %rounded = select i1 %round_down, {t} %lower, {t} %quotient
  %negated = sub {t} 0, %a
  %general = select i1 %by_minus_one, {t} %negated, {t} %rounded
  %result = select i1 %by_zero, {t} 0, {t} %general
  ret {t} %result
}}
"""

SIGNED_MOD: Final = """
define internal {t} @gradc.mod.s{s}({t} %a, {t} %b) #0 {{
  %by_zero = icmp eq {t} %b, 0
  %by_minus_one = icmp eq {t} %b, -1
  %special = or i1 %by_zero, %by_minus_one
  %divisor = select i1 %special, {t} 1, {t} %b
  %remainder = srem {t} %a, %divisor
  %nonzero = icmp ne {t} %remainder, 0
  %signs = xor {t} %remainder, %divisor
  %differs = icmp slt {t} %signs, 0
  %shift = and i1 %nonzero, %differs
  %shifted = add {t} %remainder, %divisor
  %result = select i1 %shift, {t} %shifted, {t} %remainder
  ret {t} %result
}}
"""

UNSIGNED_DIV: Final = """
define internal {t} @gradc.floor_div.u{s}({t} %a, {t} %b) #0 {{
  %by_zero = icmp eq {t} %b, 0
  %divisor = select i1 %by_zero, {t} 1, {t} %b
  %quotient = udiv {t} %a, %divisor
  %result = select i1 %by_zero, {t} 0, {t} %quotient
  ret {t} %result
}}
"""

UNSIGNED_MOD: Final = """
define internal {t} @gradc.mod.u{s}({t} %a, {t} %b) #0 {{
  %by_zero = icmp eq {t} %b, 0
  %divisor = select i1 %by_zero, {t} 1, {t} %b
  %result = urem {t} %a, %divisor
  ret {t} %result
}}
"""

_SQUARING: Final = """loop:
  %result = phi {t} [ FIRST, %entry ], [ %product, %step ]
  %square = phi {t} [ %base, %entry ], [ %squared, %step ]
  %left = phi {t} [ MAGNITUDE, %entry ], [ %half, %step ]
  %more = icmp ne {t} %left, 0
  br i1 %more, label %step, label %exit
step:
  %bit = and {t} %left, 1
  %odd = icmp ne {t} %bit, 0
  %factor = select i1 %odd, {t} %square, {t} 1
  %product = mul {t} %result, %factor
  %squared = mul {t} %square, %square
  %half = lshr {t} %left, 1
  br label %loop
exit:
  ret {t} %result
}}
"""


def _by_squaring(first: str, magnitude: str) -> str:
    """The rest of an integer power: multiplies ``first`` by the squares of the base that ``magnitude`` asks for."""
    return _SQUARING.replace("FIRST", first).replace("MAGNITUDE", magnitude)


SIGNED_POW: Final = """
define internal {t} @gradc.pow.s{s}({t} %base, {t} %exponent) #0 {{
entry:
  %negative = icmp slt {t} %exponent, 0
  %is_one = icmp eq {t} %base, 1
  %is_minus_one = icmp eq {t} %base, -1
  %is_unit = or i1 %is_one, %is_minus_one
  %start = select i1 %is_unit, {t} 1, {t} 0
  %first = select i1 %negative, {t} %start, {t} 1
  %flipped = sub {t} 0, %exponent
  %magnitude = select i1 %negative, {t} %flipped, {t} %exponent
  br label %loop
""" + _by_squaring("%first", "%magnitude")

UNSIGNED_POW: Final = """
define internal {t} @gradc.pow.u{s}({t} %base, {t} %exponent) #0 {{
entry:
  br label %loop
""" + _by_squaring("1", "%exponent")
