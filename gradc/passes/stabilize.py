"""Stable forms for formulas as textbooks write them.

The contract of level ``safe``: the right side is within a stated bound of the real value of the left, in value and
gradient, in units in the last place of the sum of the absolute values of its terms (8 for every law here, see the
tests; for shares of 1, such as softmax, and their logarithms, of the 1); it may be finite where the formula as written
overflows; and it is NaN wherever a leaf of the left is, which ``equality`` checks. Level ``aggressive`` adds laws that
may lose a NaN or an infinity.

The measure by which the set ends: each law lowers the number of exp, log, sqrt and div in the graph, or replaces
one of them or a difference by an op of the logistic or softmax family, which no law undoes; the laws that keep that
number move a log towards the inputs, or make a difference into a value that is at hand.

1 logistic
2 log and exp (and ``logarithms.py``)
3 cross entropy (``entropy.py``)
4 softmax (``entropy.py``)
5 roots and quotients
6 adjoints (``adjoints.py``)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.ir.graph import CONSTANT, Builder, Value
from gradc.ir.op import Op
from gradc.ops.shape import broadcast_to
from gradc.passes.adjoints import ADJOINTS
from gradc.passes.entropy import CROSS_ENTROPY, SOFTMAX
from gradc.passes.logarithms import LOGS
from gradc.passes.pattern import Match, holds, operation, variables
from gradc.passes.rewrite import Law, equality, leaves_reach, only_for, procedure

a, b, x, z = variables("a b x z")
absolute, exp, expm1, log, log1p, maximum, power, sqrt, tanh = map(
    operation, ("abs", "exp", "expm1", "log", "log1p", "maximum", "pow", "sqrt", "tanh")
)
logistic, softplus = map(operation, ("logistic", "softplus"))

LOGISTIC: Final = (
    *equality("stable-sigmoid", 1 / (1 + exp(z)), logistic(-z), logged=True),
    *equality("stable-sigmoid", exp(z) / (1 + exp(z)), logistic(z), logged=True),
    *equality("stable-swish", x / (1 + exp(z)), x * logistic(-z), logged=True),
    *equality("sigmoid-of-tanh", 0.5 * (1 + tanh(z)), logistic(2 * z), logged=True),
    *equality("sigmoid-of-tanh", (1 + tanh(z)) / 2, logistic(2 * z), logged=True),
    *equality("sigmoid-of-tanh", 0.5 + 0.5 * tanh(z), logistic(2 * z), logged=True),
    *equality("sigmoid-of-tanh", 0.5 + tanh(z) / 2, logistic(2 * z), logged=True),
    *equality("one-minus-sigmoid", 1 - logistic(z), logistic(-z), logged=True),
    *equality("one-minus-sigmoid", logistic(z) - 1, -logistic(-z), logged=True),
    *equality("odds", logistic(z) / logistic(-z), exp(z), logged=True),
    *equality("odds", logistic(-z) / logistic(z), exp(-z), logged=True),
)

LOGARITHMS: Final = (
    *equality("log-sigmoid", log(logistic(z)), -softplus(-z), logged=True),
    *equality("softplus", log(1 + exp(z)), softplus(z), logged=True),
    *equality("softplus", log1p(exp(z)), softplus(z), logged=True),
    *equality("softplus", maximum(z, 0) + softplus(-absolute(z)), softplus(z), logged=True),
    *equality("softplus-difference", softplus(z) - softplus(-z), z, logged=True),
    *equality("softplus-difference", softplus(-z) - softplus(z), -z, logged=True),
    *equality("log1p", log(1 + x), log1p(x), logged=True),
    *equality("log1p", log(1 - x), log1p(-x), logged=True),
    *equality("expm1", exp(x) - 1, expm1(x), logged=True),
    *equality("expm1", 1 - exp(x), -expm1(x), logged=True),
    *equality("log-of-exp", log(exp(x)), x, logged=True),
    *equality("log-of-exp", log1p(expm1(x)), x, logged=True),
    *equality("reciprocal-exp", 1 / exp(x), exp(-x), logged=True),
)


def _denominator_reaches(builder: Builder, found: Match) -> bool:
    """A NaN in b must be one of a already, else cancelling b would lose it; and a known 0 makes NaN of everything."""
    return leaves_reach(builder, found["b"], found["a"]) and not _is_singular(builder, found["b"])


def _is_singular(builder: Builder, node_id: int) -> bool:
    """Whether a node is a constant with a 0 or an infinity in it."""
    node = builder.nodes[node_id]
    while node.op is broadcast_to:
        node = builder.nodes[node.operands[0]]
    if node.op is not CONSTANT:
        return False
    array = node.params["value"]
    return not bool(np.all(np.isfinite(array) & (array != 0)))


REACHES: Final = "every NaN of b is one of a, and b is not known to be 0 or infinite"

ROOTS: Final = (
    *equality("root-power", power(x, 0.5), sqrt(x), logged=True),
    *equality("root-of-square", sqrt(x * x), absolute(x), logged=True),
    *equality("cancelled-quotient", (a / b) * b, a, when=_denominator_reaches, where=REACHES, logged=True),
    *equality("cancelled-product", (a * b) / b, a, when=_denominator_reaches, where=REACHES, logged=True),
)

SAFE: Final[tuple[Law, ...]] = only_for("f", LOGISTIC, LOGS, LOGARITHMS, CROSS_ENTROPY, SOFTMAX, ROOTS, ADJOINTS)
"""Real numbers only: the ops of the logistic family have no complex form, and a complex log has branches."""


# Level aggressive: laws that lose a NaN or an infinity of what they drop.


def _same_operands(number: float) -> Any:
    def attempt(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
        return builder.full(number, builder.nodes[ids[0]].aval) if ids[0] == ids[1] else None

    return attempt


def _zero_factor(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any]) -> Value | None:
    zero = next((i for i in ids if holds(builder, i, 0)), None)
    return None if zero is None else Value(builder, zero)


AGGRESSIVE: Final[tuple[Law, ...]] = (
    *procedure("itself-minus-itself", "x - x -> 0", "sub", logged=True)(_same_operands(0.0)),
    *procedure("itself-over-itself", "x / x -> 1", "div", logged=True)(_same_operands(1.0)),
    *procedure("zero-factor", "0 * x -> 0", "mul", logged=True)(_zero_factor),
    *equality("exp-of-log", exp(log(x)), x, logged=True),
)
