"""Canonical forms: one way to write what can be written in many.

The laws of this table hold for every number, NaN and the infinities included, with three liberties that are the
whole of its licence: the sign of a result that is zero is not kept (``x + 0 -> x``), a product with a power of two
may be finite where a factor of it overflowed or underflowed on the way, and a sum of n equal numbers is n times the
number and ``x**-1`` is ``1/x``, rounded once. Complex numbers take the laws that hold for each part: a law that puts
in a product where none was is for real ones alone, for a complex product makes NaN of infinities, and ``x * 1 -> x``
keeps an infinite ``x``. They keep the signs of zeros, which say on which side of a branch cut a number is. ``0 * x``,
``x - x`` and ``x / x`` are not among them: they would lose a NaN.

The measure by which the set ends: no law makes a graph dearer by ``Op.cost`` where the left side has no other user;
those that keep the cost move negations towards the outputs and selects, broadcasts and conversions towards the
inputs, or shorten a chain of movements. No law moves a select through arithmetic.

1 identities   2 signs   3 powers and doubles   4 masks and selection   (here)
5 movement   6 broadcasts after arithmetic   7 reductions   (``movement.py``)   8 constants (``fold.py``)
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from gradc.ir.graph import Builder, Value
from gradc.ir.op import Op
from gradc.passes.pattern import ANY, Apply, Match, Number, holds, operation, variables
from gradc.passes.rewrite import REAL, Law, equality, only_for, procedure

a, b, c, m, x, y = variables("a b c m x y")
absolute, maximum, minimum, power, select = map(operation, ("abs", "maximum", "minimum", "pow", "select"))
both, either, differ, negated = map(operation, ("logical_and", "logical_or", "logical_xor", "logical_not"))
YES, NO = Number(True), Number(False)


IDENTITIES: Final = (
    *only_for(REAL, equality("add-zero", x + 0, x)),
    *only_for(REAL, equality("subtract-zero", x - 0, x)),
    *only_for(REAL, equality("zero-minus", 0 - x, -x)),
    *equality("multiply-by-one", x * 1, x),
    *equality("multiply-by-minus-one", x * -1, -x),
    *equality("divide-by-one", x / 1, x),
    *equality("divide-by-minus-one", x / -1, -x),
    *equality("extreme-of-one", maximum(x, x), x),
    *equality("extreme-of-one", minimum(x, x), x),
)

UNSIGNED: Final = (
    "add-zero", "subtract-zero", "zero-minus", "negated-difference", "negative-minus", "sum-of-negative",
    "common-power-of-two", "added-to-slice", "added-to-zeros",
)  # fmt: skip
"""The laws that do not keep the sign of a result that is zero."""

SIGNS: Final = (
    *equality("double-negation", -Apply("neg", (x,)), x),
    *only_for(REAL, equality("negated-difference", -(a - b), b - a)),
    *equality("add-negative", a + (-b), a - b),
    *equality("subtract-negative", a - (-b), a + b),
    *only_for(REAL, equality("negative-minus", (-a) - b, -(a + b))),
    *equality("negatives-multiply", (-a) * (-b), a * b),
    *only_for(REAL, equality("negative-factor", (-a) * b, -(a * b))),
    *equality("negatives-divide", (-a) / (-b), a / b),
    *only_for(REAL, equality("negative-numerator", (-a) / b, -(a / b))),
    *equality("negative-denominator", a / (-b), -(a / b)),
    *only_for("fi", equality("absolute-of-negative", absolute(-x), absolute(x))),
    *equality("absolute-twice", absolute(absolute(x)), absolute(x)),
)


def _scalar(builder: Builder, node_id: int) -> Any:
    number = builder.scalar(Value(builder, node_id))
    return None if number is None or number.dtype.kind == "b" else number


def _factor(builder: Builder, op: str, ids: tuple[int, ...]) -> tuple[Any, int] | None:
    """The constant c and the other operand x where a node is ``c * x``, or ``x / c`` with c a power of two."""
    if op == "mul":
        for k in (0, 1):
            number = _scalar(builder, ids[k])
            if number is not None:
                return number, ids[1 - k]
    elif op == "div":
        number = _scalar(builder, ids[1])
        if number is not None and _is_power_of_two(number):
            return 1 / number, ids[0]
    return None


def _is_power_of_two(number: Any) -> bool:
    return number.dtype.kind == "f" and bool(np.isfinite(number)) and abs(math.frexp(float(number))[0]) == 0.5


@procedure("negative-constant", "-(-c * x) -> c * x", "neg", "mul")
def _negative_constant(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    node = builder.nodes[ids[0]]
    factor = _factor(builder, "mul", node.operands)
    if factor is None or factor[0].dtype.kind != "f" or not np.signbit(factor[0]):
        return None
    return builder.full(-factor[0], node.aval) * Value(builder, factor[1])


@procedure("negative-constant", "a - (-c * x) -> a + c * x", "sub", ANY, "mul")
def _subtracted_negative(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    node = builder.nodes[ids[1]]
    factor = _factor(builder, "mul", node.operands)
    if factor is None or factor[0].dtype.kind != "f" or not np.signbit(factor[0]):
        return None
    return Value(builder, ids[0]) + builder.full(-factor[0], node.aval) * Value(builder, factor[1])


@procedure("power-of-two", "c1 * (c2 * x) -> (c1*c2) * x for powers of two", "mul div", ANY, ANY)
def _power_of_two(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    outer = _factor(builder, op.name, ids)
    if outer is None:
        return None
    node = builder.nodes[outer[1]]
    inner = _factor(builder, node.op.name, node.operands)
    if inner is None or not (_is_power_of_two(outer[0]) or _is_power_of_two(inner[0])):
        return None
    with np.errstate(all="ignore"):
        joined = outer[0] * inner[0]
    if not np.isfinite(joined) or abs(joined) < np.finfo(joined.dtype).tiny:
        return None
    return builder.full(joined, node.aval) * Value(builder, inner[1])


@procedure(
    "common-power-of-two", "c*a + c*b -> c * (a + b), c*a - c*b -> c * (a - b) for a power of two c above 1",
    "add sub", "mul", "mul",
)  # fmt: skip
def _common_power(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    """Halves are not taken out: the sum may overflow where that of halves does not."""
    left, right = (_factor(builder, "mul", builder.nodes[k].operands) for k in ids)
    if left is None or right is None or left[0] != right[0] or not _is_power_of_two(left[0]) or abs(left[0]) <= 1:
        return None
    terms = left[1], right[1]
    avals = [builder.nodes[k].aval for k in (*ids, *terms)]
    if any(aval != avals[0] for aval in avals):
        return None
    return builder.full(left[0], avals[0]) * builder.apply_ids(op, terms, params)


DOUBLES: Final = (
    *only_for("fiu", equality("double", x + x, 2 * x)),
    *equality("square", power(x, 2), x * x),
    *equality("first-power", power(x, 1), x),
    *equality("reciprocal-power", power(x, -1), 1 / x, when=lambda builder, found: _is_float(builder, found["x"])),
    *_negative_constant,
    *_power_of_two,
    *_common_power,
    *_subtracted_negative,
)


def _is_float(builder: Builder, node_id: int) -> bool:
    return builder.nodes[node_id].aval.is_float


def _never_selected(builder: Builder, found: Match) -> bool:
    """A mask holds no NaN, and one in a branch that is never taken is not in the result."""
    return True


@procedure("known-mask", "select(True, a, b) -> a, select(False, a, b) -> b", "select", "constant")
def _known_mask(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    for value, branch in ((True, 1), (False, 2)):
        if holds(builder, ids[0], value):
            return Value(builder, ids[branch])
    return None


def _known(value: bool) -> Any:
    def attempt(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        for k in (0, 1):
            if holds(builder, ids[k], value):
                return Value(builder, ids[k])
        return None

    return attempt


def _excluded(value: bool) -> Any:
    """``m & ~m`` and ``m | ~m``."""

    def attempt(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        for k in (0, 1):
            node = builder.nodes[ids[k]]
            if node.op.name == "logical_not" and node.operands[0] == ids[1 - k]:
                return builder.full(value, node.aval)
        return None

    return attempt


MASKS: Final = (
    *_known_mask,
    *equality("equal-branches", select(m, a, a), a, when=_never_selected),
    *equality("negated-mask", select(negated(m), a, b), select(m, b, a)),
    *equality("mask-twice", select(m, select(m, a, b), c), select(m, a, c), when=_never_selected),
    *equality("mask-twice", select(m, a, select(m, b, c)), select(m, a, c), when=_never_selected),
    *equality("not-twice", negated(negated(m)), m),
    *equality("and-true", both(m, YES), m),
    *equality("or-false", either(m, NO), m),
    *equality("xor-false", differ(m, NO), m),
    *equality("xor-true", differ(m, YES), negated(m)),
    *equality("and-itself", both(m, m), m),
    *equality("or-itself", either(m, m), m),
    *equality("absorption", both(m, either(m, x)), m, when=_never_selected),
    *equality("absorption", either(m, both(m, x)), m, when=_never_selected),
    *equality("and-repeated", both(m, both(m, x)), both(m, x)),
    *equality("or-repeated", either(m, either(m, x)), either(m, x)),
    *procedure("and-false", "m & False -> False", "logical_and")(_known(False)),
    *procedure("or-true", "m | True -> True", "logical_or")(_known(True)),
    *procedure("contradiction", "m & ~m -> False", "logical_and")(_excluded(False)),
    *procedure("excluded-middle", "m | ~m -> True", "logical_or")(_excluded(True)),
)

ARITHMETIC: Final[tuple[Law, ...]] = (*IDENTITIES, *SIGNS, *DOUBLES, *MASKS)
