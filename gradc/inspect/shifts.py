"""The maximum that is subtracted before exp: it guards against overflow and changes nothing, so it has no slope.

``p = e / sum(e)`` with ``e = exp(z - max(z))`` does not depend on what is subtracted. Where a value ``z - max(z)``, or
its exp, is used in such a quotient (or in its logarithm) alone, the maximum counts as a constant.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradc.inspect.expression import (
    Add,
    Apply,
    Expr,
    Symbol,
    add,
    divide,
    narrow,
    negative,
    substituted,
)
from gradc.inspect.functions import apply
from gradc.inspect.laws import Reason
from gradc.inspect.reading import Definition


def without_shift(definition: Definition, wrt: Symbol, users: Sequence[Definition]) -> tuple[Expr, Reason] | None:
    """The definition with the subtracted maximum of ``wrt`` as a constant, and the reason; None where it is not one.

    ``users`` are the definitions in which the defined value occurs.
    """
    symbol, expression = definition.symbol, definition.expression
    exponential = isinstance(expression, Apply) and expression.function == "exp"
    shifted = expression.args[0] if isinstance(expression, Apply) and exponential else expression
    largest = _subtracted_maximum(shifted, wrt)
    if largest is None:
        return None
    weights: Expr = symbol if exponential else apply("exp", symbol)
    total = Apply("reduce_sum", (weights,), largest.shape, largest.params)
    harmless = [divide(weights, total)]
    if not exponential:
        harmless.append(add(symbol, negative(apply("log", total))))
    if not users or any(user.expression not in harmless for user in users):
        return None
    constant = Symbol(f"max {wrt.name}", largest.shape, "constant array")
    parts = (users[0].symbol, wrt)
    reason = Reason("shift", "{0} does not change with max({1})", parts, r"${0}$ does not change with $\max {1}$")
    return substituted(expression, {largest: constant}), reason


def _subtracted_maximum(shifted: Expr, wrt: Symbol) -> Apply | None:
    """``max(z)`` in ``z - max(z)``, where it is one number for what it is subtracted from."""
    if not isinstance(shifted, Add) or len(shifted.terms) != 2 or shifted.terms[0] != wrt:
        return None
    largest = narrow(negative(shifted.terms[1]))
    if not isinstance(largest, Apply) or largest.function != "reduce_max" or largest.args != (wrt,):
        return None
    return largest if largest.param("keepdims") or not largest.shape else None
