"""What integer expressions can be: intervals, from loop bounds and the conditions around a statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.loops.language.program import Apply, Constant, Expression, Size, Variable

Interval = tuple[int, int]
"""Both ends belong to it; one whose first end is larger is empty."""

_MIRROR: Final = {"lt": "gt", "le": "ge", "gt": "lt", "ge": "le", "eq": "eq"}
_OPPOSITE: Final = {"lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


class Ranges:
    """The intervals of expressions at one place of a program.

    ``variables`` maps names to their intervals. A narrower place is made by ``inside`` (a loop, a let) and by
    ``where`` (a condition).
    """

    def __init__(self) -> None:
        self._variables: dict[str, Interval] = {}
        self._facts: dict[Expression, Interval] = {}
        self._known: dict[Expression, Interval] = {}

    def inside(self, name: str, interval: Interval) -> Ranges:
        """Where a variable has this interval."""
        narrower = Ranges()
        narrower._variables = {**self._variables, name: interval}
        narrower._facts = self._facts
        return narrower

    def where(self, condition: Expression, holds: bool = True) -> Ranges:
        """Where a condition holds, or does not."""
        facts = dict(self._facts)
        for left, comparison, right in _comparisons(condition, holds):
            for expression, word, bound in ((left, comparison, right), (right, _MIRROR[comparison], left)):
                lo, hi = self.of(bound)
                allowed = {
                    "lt": (-(2**63), hi - 1), "le": (-(2**63), hi),
                    "gt": (lo + 1, 2**63 - 1), "ge": (lo, 2**63 - 1),
                    "eq": (lo, hi),
                }[word]  # fmt: skip
                facts[expression] = _both(allowed, facts.get(expression, allowed))
        narrower = Ranges()
        narrower._variables, narrower._facts = self._variables, facts
        return narrower

    def of(self, expression: Expression) -> Interval:
        """An interval that holds every value the integer expression can have."""
        if expression not in self._known:
            found = self._structural(expression)
            if expression in self._facts:
                found = _both(found, self._facts[expression])
            self._known[expression] = found
        return self._known[expression]

    def of_loop(self, lo: Expression, hi: Expression, step: int) -> Interval:
        """The interval of a loop's variable."""
        first, last = self.of(lo), self.of(hi)[1] - 1
        start = first[0] if first[0] == first[1] else _remainder(lo, step)
        if start is not None and first != limits(lo.dtype):
            last -= (last - start) % step
        return first[0], last

    def _structural(self, expression: Expression) -> Interval:
        widest = limits(expression.dtype)
        match expression:
            case Constant(value=value):
                return int(value), int(value)
            case Size():
                return 0, widest[1]
            case Variable(name=name):
                return self._variables.get(name, widest)
            case Apply(primitive="select", arguments=(mask, left, right)):
                return _either(self.where(mask).of(left), self.where(mask, False).of(right))
            case Apply(primitive="convert", arguments=(operand,)) if operand.dtype.kind in "iub":
                return _within(self.of(operand), widest)
            case Apply(primitive=primitive, arguments=(left, right)) if primitive in _RULES:
                return _within(_RULES[primitive](self.of(left), self.of(right)), widest)
        return widest


def limits(dtype: np.dtype) -> Interval:
    """All values of an integer type or bool; of i64 for others."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind not in "iu":
        return -(2**63), 2**63 - 1
    information = np.iinfo(dtype)
    return int(information.min), int(information.max)


def _remainder(expression: Expression, modulus: int) -> int | None:
    """What is left of an integer expression after whole multiples of ``modulus``; None where that is not known."""
    match expression:
        case Constant(value=value):
            return int(value) % modulus
        case Apply(primitive=("add" | "mul") as word, arguments=(left, right)):
            one, other = _remainder(left, modulus), _remainder(right, modulus)
            if word == "mul" and 0 in (one, other):
                return 0
            if one is not None and other is not None:
                return (one + other if word == "add" else one * other) % modulus
    return None


def _comparisons(condition: Expression, holds: bool) -> list[tuple[Expression, str, Expression]]:
    """Integer comparisons that must be true for the condition to hold (or fail)."""
    match condition:
        case Apply(primitive="logical_not", arguments=(inner,)):
            return _comparisons(inner, not holds)
        case Apply(primitive=("logical_and" | "logical_or") as word, arguments=(left, right)):
            if (word == "logical_and") == holds:
                return _comparisons(left, holds) + _comparisons(right, holds)
        case Apply(primitive=word, arguments=(left, right)) if left.dtype.kind in "iu":
            if holds and word in _MIRROR:
                return [(left, word, right)]
            if not holds and word in _OPPOSITE:
                return [(left, _OPPOSITE[word], right)]
    return []


def _both(left: Interval, right: Interval) -> Interval:
    return max(left[0], right[0]), min(left[1], right[1])


def _either(left: Interval, right: Interval) -> Interval:
    if left[0] > left[1]:
        return right
    if right[0] > right[1]:
        return left
    return min(left[0], right[0]), max(left[1], right[1])


def _within(interval: Interval, widest: Interval) -> Interval:
    """The interval, or everything where it may wrap."""
    return interval if widest[0] <= interval[0] and interval[1] <= widest[1] else widest


def _corners(operation: Callable[[int, int], int]) -> Callable[[Interval, Interval], Interval]:
    """The rule of an operation that is monotone in each operand."""

    def rule(left: Interval, right: Interval) -> Interval:
        values = [operation(x, y) for x in left for y in right]
        return min(values), max(values)

    return rule


def _floor_div(left: Interval, right: Interval) -> Interval:
    if right[0] <= 0:
        return -(2**63), 2**63 - 1
    return _corners(lambda x, y: x // y)(left, right)


def _mod(left: Interval, right: Interval) -> Interval:
    if right[0] <= 0:
        return -(2**63), 2**63 - 1
    if 0 <= left[0] and left[1] < right[0]:
        return left
    return 0, right[1] - 1


_RULES: Final[dict[str, Callable[[Interval, Interval], Interval]]] = {
    "add": lambda x, y: (x[0] + y[0], x[1] + y[1]),
    "sub": lambda x, y: (x[0] - y[1], x[1] - y[0]),
    "mul": _corners(lambda x, y: x * y),
    "minimum": lambda x, y: (min(x[0], y[0]), min(x[1], y[1])),
    "maximum": lambda x, y: (max(x[0], y[0]), max(x[1], y[1])),
    "floor_div": _floor_div,
    "mod": _mod,
}
