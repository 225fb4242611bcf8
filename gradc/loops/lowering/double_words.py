"""Rules that compute f32 in f64, told in f32 alone for machines without f64: as sums of two numbers.

A number is ``high + low`` with low at most half a unit of high in the last place: 48 bits, in the range of f32. Sums,
products, quotients and roots are those of double words (T. J. Dekker, Numer. Math. 18, 1971; M. Joldes, J.-M. Muller
and V. Popescu, ACM TOMS 44, 2017); they take fused multiply-adds. Functions such as exp are those of f32 at high, and
take low by their slopes, so they are right to f32 alone; series and continued fractions are those of f32 at high.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradc.loops.language.builder import b
from gradc.loops.language.expressions import EXPANSIONS, Apply, Constant, Expression, apply, constant, walk

F32: Final = np.dtype(np.float32)
F64: Final = np.dtype(np.float64)
MOST: Final = float(np.finfo(np.float32).max)
LEAST: Final = float(np.finfo(np.float32).tiny)
_SLOPE_OF_ERF: Final = 2.0 / math.sqrt(math.pi)


LONGEST: Final = 600
"""A rule of more f64 parts stays in f64: each one takes some ten in f32."""


class _UnknownError(Exception):
    """A part has no form in f32."""


@dataclass(frozen=True)
class _Pair:
    high: Expression
    low: Expression | None = None
    """None where it is 0."""
    is_bound: bool = False
    """Whether it stands for a constant beyond the range of f32, to which numbers can only be compared."""


def without_doubles(rule: Expression) -> Expression:
    """An expression whose f64 parts are all computed from f32, in f32; as it is where that cannot be told, or takes
    too many steps."""
    parts = walk(rule)
    if rule.dtype == F64 or not 0 < sum(part.dtype == F64 for part in parts) <= LONGEST:
        return rule
    pairs: dict[Expression, _Pair] = {}
    plain: dict[Expression, Expression] = {}
    try:
        for part in parts:
            if part.dtype == F64:
                pairs[part] = _wide(part, pairs, plain)
            elif any(operand.dtype == F64 for operand in part.operands):
                plain[part] = _narrow(part, pairs)
            elif isinstance(part, Apply):
                plain[part] = apply(part.primitive, tuple([plain[x] for x in part.operands]), part.dtype)
            else:
                plain[part] = part
    except _UnknownError:
        return rule
    return plain[rule]


def _wide(part: Expression, pairs: dict[Expression, _Pair], plain: dict[Expression, Expression]) -> _Pair:
    if isinstance(part, Constant):
        return _constant(float(part.value))
    if not isinstance(part, Apply):
        raise _UnknownError
    if part.primitive == "convert":
        (x,) = part.operands
        if x.dtype == F32:
            return _Pair(plain[x])
        if x.dtype.kind == "b":
            return _Pair(b.convert(plain[x], F32))
        raise _UnknownError
    if part.primitive == "select":
        mask, x, y = part.operands
        if _is_bounded((pairs[x], pairs[y])):
            raise _UnknownError
        return _select(plain[mask], pairs[x], pairs[y])
    operands = [pairs[operand] for operand in part.operands]
    if part.primitive in EXPANSIONS:
        return _Pair(apply(part.primitive, tuple([operand.high for operand in operands]), F32))
    if part.primitive not in _RULES or (_is_bounded(operands) and part.primitive not in ("minimum", "maximum")):
        raise _UnknownError
    return _RULES[part.primitive](*operands)


def _narrow(part: Expression, pairs: dict[Expression, _Pair]) -> Expression:
    if not isinstance(part, Apply):
        raise _UnknownError
    operands = [pairs[operand] for operand in part.operands]
    if part.primitive == "convert" and part.dtype == F32:
        return operands[0].high
    if part.primitive in ("isnan", "isfinite"):
        return apply(part.primitive, (operands[0].high,), part.dtype)
    if part.primitive in ("eq", "ne", "lt", "le", "gt", "ge"):
        return _compared(part.primitive, *operands)
    raise _UnknownError


def _is_bounded(operands: Sequence[_Pair]) -> bool:
    return any(operand.is_bound for operand in operands)


def _constant(value: float) -> _Pair:
    if not (value == 0 or LEAST <= abs(value) <= MOST or not math.isfinite(value)):
        return _Pair(constant(math.copysign(LEAST if abs(value) < LEAST else MOST, value), F32), is_bound=True)
    high = constant(value, F32)
    rest = value - float(high.value) if math.isfinite(value) else 0.0
    return _Pair(high, constant(rest, F32) if rest else None)


def _normal(high: Expression, excess: Expression) -> _Pair:
    """``high - excess``, of which high is the larger: so -0.0 stays when nothing is in excess.

    Infinities and NaN have no rest, which would be NaN.
    """
    total = b.sub(high, excess)
    finite = b.lt(b.abs(total), math.inf)
    return _Pair(b.select(finite, total, high), b.select(finite, b.sub(b.sub(high, total), excess), 0.0))


def _add(x: _Pair, y: _Pair) -> _Pair:
    total = b.add(x.high, y.high)
    part = b.sub(total, x.high)
    excess = b.add(b.sub(b.sub(total, part), x.high), b.sub(part, y.high))
    for low in (x.low, y.low):
        excess = excess if low is None else b.sub(excess, low)
    return _normal(total, excess)


def _neg(x: _Pair) -> _Pair:
    return _Pair(b.neg(x.high), None if x.low is None else b.neg(x.low))


def _sub(x: _Pair, y: _Pair) -> _Pair:
    return _add(x, _neg(y))


def _is_power(x: _Pair) -> bool:
    """Whether products with it are exact, up to underflow."""
    return x.low is None and isinstance(x.high, Constant) and math.frexp(abs(float(x.high.value)))[0] == 0.5


def _mul(x: _Pair, y: _Pair) -> _Pair:
    product = b.mul(x.high, y.high)
    for one, other in ((x, y), (y, x)):
        if _is_power(one):
            return _Pair(product, None if other.low is None else b.mul(other.low, one.high))
    excess = b.fma(b.neg(x.high), y.high, product)
    if y.low is not None:
        excess = b.fma(b.neg(x.high), y.low, excess)
    if x.low is not None:
        excess = b.fma(b.neg(x.low), y.high, excess)
    return _normal(product, excess)


def _div(x: _Pair, y: _Pair) -> _Pair:
    quotient = b.div(x.high, y.high)
    excess = b.fma(quotient, y.high, b.neg(x.high))
    if y.low is not None:
        excess = b.fma(quotient, y.low, excess)
    if x.low is not None:
        excess = b.sub(excess, x.low)
    holds = b.logical_and(b.lt(b.abs(y.high), math.inf), b.ne(quotient, 0.0))
    return _normal(quotient, b.select(holds, b.div(excess, y.high), 0.0))


def _sqrt(x: _Pair) -> _Pair:
    root = b.sqrt(x.high)
    excess = b.fma(root, root, b.neg(x.high))
    if x.low is not None:
        excess = b.sub(excess, x.low)
    return _normal(root, b.select(b.gt(root, 0.0), b.div(excess, b.add(root, root)), 0.0))


def _select(mask: Expression, x: _Pair, y: _Pair) -> _Pair:
    high = b.select(mask, x.high, y.high)
    if x.low is None and y.low is None:
        return _Pair(high)
    zero = constant(0.0, F32)
    return _Pair(high, b.select(mask, zero if x.low is None else x.low, zero if y.low is None else y.low))


def _flipped(x: _Pair, high: Expression) -> _Pair:
    """``x`` with the sign that ``high``, of its size, has."""
    return _Pair(high, None if x.low is None else b.select(b.eq(high, x.high), x.low, b.neg(x.low)))


def _abs(x: _Pair) -> _Pair:
    return _flipped(x, b.abs(x.high))


def _copysign(x: _Pair, y: _Pair) -> _Pair:
    return _flipped(x, b.copysign(x.high, y.high))


def _compared(primitive: str, x: _Pair, y: _Pair) -> Expression:
    if x.low is None and y.low is None:
        return apply(primitive, (x.high, y.high), np.dtype(np.bool_))
    zero = constant(0.0, F32)
    low = apply(primitive, (zero if x.low is None else x.low, zero if y.low is None else y.low), np.dtype(np.bool_))
    same = b.eq(x.high, y.high)
    if primitive == "eq":
        return b.logical_and(same, low)
    if primitive == "ne":
        return b.logical_or(b.logical_not(same), low)
    strict = b.lt(x.high, y.high) if primitive in ("lt", "le") else b.gt(x.high, y.high)
    return b.logical_or(strict, b.logical_and(same, low))


def _minimum(x: _Pair, y: _Pair) -> _Pair:
    return _chosen(b.minimum(x.high, y.high), "lt", x, y)


def _maximum(x: _Pair, y: _Pair) -> _Pair:
    return _chosen(b.maximum(x.high, y.high), "gt", x, y)


def _chosen(high: Expression, primitive: str, x: _Pair, y: _Pair) -> _Pair:
    if x.low is None and y.low is None:
        return _Pair(high)
    return _Pair(high, _select(_compared(primitive, x, y), x, y).low)


def _floor(x: _Pair) -> _Pair:
    whole = b.floor(x.high)
    if x.low is None:
        return _Pair(whole)
    return _normal(whole, b.select(b.eq(whole, x.high), b.sub(0.0, b.floor(x.low)), 0.0))


def _function(name: str, slope: Callable[[Expression, Expression], Expression]) -> Callable[[_Pair], _Pair]:
    """A function of f32, and its slope by the number and the result."""

    def rule(x: _Pair) -> _Pair:
        result: Expression = getattr(b, name)(x.high)
        return _Pair(result) if x.low is None else _normal(result, b.sub(0.0, b.mul(slope(x.high, result), x.low)))

    return rule


def _turned(name: str, other: str, sign: float) -> Callable[[_Pair], _Pair]:
    """Sine or cosine, by the sum of two angles: low is up to a sixteenth where high is a million."""

    def rule(x: _Pair) -> _Pair:
        result: Expression = getattr(b, name)(x.high)
        if x.low is None:
            return _Pair(result)
        square = b.mul(x.low, x.low)
        rest = b.mul(x.low, b.sub(1.0, b.mul(square, 1.0 / 6.0)))
        less = b.mul(square, b.sub(0.5, b.mul(square, 1.0 / 24.0)))
        slope = b.mul(sign, getattr(b, other)(x.high))
        return _normal(result, b.sub(b.mul(result, less), b.mul(slope, rest)))

    return rule


def _pow(x: _Pair, y: _Pair) -> _Pair:
    result = b.pow(x.high, y.high)
    parts = [] if x.low is None else [b.mul(y.high, b.div(x.low, x.high))]
    parts += [] if y.low is None else [b.mul(b.log(x.high), y.low)]
    excess: Expression = constant(0.0, F32)
    for part in parts:
        excess = b.sub(excess, b.mul(part, result))
    return _normal(result, excess) if parts else _Pair(result)


def _slope_of_gammaln(x: Expression, _: Expression) -> Expression:
    """To a tenth from 1/2 on: numbers nearer to poles are sums that leave no error."""
    size = b.maximum(x, 0.5)
    return b.sub(b.log(size), b.div(0.5, size))


def _bell(x: Expression) -> Expression:
    return b.mul(_SLOPE_OF_ERF, b.exp(b.neg(b.mul(x, x))))


_RULES: Final[dict[str, Callable[..., _Pair]]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "abs": _abs,
    "sqrt": _sqrt,
    "copysign": _copysign,
    "minimum": _minimum,
    "maximum": _maximum,
    "floor": _floor,
    "exp": _function("exp", lambda x, y: y),
    "exp_unit": _function("exp_unit", lambda x, y: y),
    "log": _function("log", lambda x, y: b.div(1.0, x)),
    "expm1": _function("expm1", lambda x, y: b.add(y, 1.0)),
    "pow": _pow,
    "gammaln": _function("gammaln", _slope_of_gammaln),
    "log1p": _function("log1p", lambda x, y: b.div(1.0, b.add(x, 1.0))),
    "erf": _function("erf", lambda x, y: _bell(x)),
    "erfc": _function("erfc", lambda x, y: b.neg(_bell(x))),
    "sin": _turned("sin", "cos", 1.0),
    "cos": _turned("cos", "sin", -1.0),
    "tan": _function("tan", lambda x, y: b.add(b.mul(y, y), 1.0)),
}
