"""Patterns: expressions over variables and ops that read like mathematics, ``1 / (1 + exp(z))``.

A variable matches any value, the same one wherever it stands twice. A number matches a constant of any numeric
dtype that holds it everywhere, seen through broadcasts. Commutative ops match both ways: the variants are written
out when the rule set is made, so that matching itself never backtracks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from gradc.errors import GradcError
from gradc.ir.graph import CONSTANT, Builder, Value
from gradc.ir.op import REGISTRY, Op
from gradc.ops.shape import broadcast_to, dim_value

Match = dict[str, int]
"""The node that each variable stands for."""

ANY = "*"
"""The kind of an operand that may be anything."""


class Pattern:
    """Base of the three kinds of pattern, with arithmetic."""

    __slots__ = ()

    def __add__(self, other: Pattern | float) -> Apply:
        return Apply("add", (self, lifted(other)))

    def __radd__(self, other: float) -> Apply:
        return Apply("add", (lifted(other), self))

    def __sub__(self, other: Pattern | float) -> Apply:
        return Apply("sub", (self, lifted(other)))

    def __rsub__(self, other: float) -> Apply:
        return Apply("sub", (lifted(other), self))

    def __mul__(self, other: Pattern | float) -> Apply:
        return Apply("mul", (self, lifted(other)))

    def __rmul__(self, other: float) -> Apply:
        return Apply("mul", (lifted(other), self))

    def __truediv__(self, other: Pattern | float) -> Apply:
        return Apply("div", (self, lifted(other)))

    def __rtruediv__(self, other: float) -> Apply:
        return Apply("div", (lifted(other), self))

    def __neg__(self) -> Apply:
        return Apply("neg", (self,))


@dataclass(frozen=True, slots=True)
class Variable(Pattern):
    """Any value."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Number(Pattern):
    """A constant that holds this number everywhere. ``True`` and ``False`` match masks only."""

    value: float | bool

    def __str__(self) -> str:
        return f"{self.value:g}" if not isinstance(self.value, bool) else str(self.value)


@dataclass(frozen=True, slots=True)
class Apply(Pattern):
    """An elementwise op applied to patterns."""

    op: str
    operands: tuple[Pattern, ...]

    def __str__(self) -> str:
        return infix(self.op, [str(p) for p in self.operands])


def variables(names: str) -> tuple[Variable, ...]:
    """Variables of these names, separated by spaces."""
    return tuple(Variable(name) for name in names.split())


def operation(name: str) -> Any:
    """A function that makes patterns of the op of this name."""
    if name not in REGISTRY:
        raise GradcError(f"no op is named {name!r}")
    return lambda *operands: Apply(name, tuple(lifted(p) for p in operands))


def lifted(pattern: Pattern | float) -> Pattern:
    """A number as a pattern."""
    return pattern if isinstance(pattern, Pattern) else Number(pattern)


def variables_of(pattern: Pattern) -> set[str]:
    """The names of the variables of a pattern."""
    if isinstance(pattern, Variable):
        return {pattern.name}
    if isinstance(pattern, Apply):
        return {name for operand in pattern.operands for name in variables_of(operand)}
    return set()


def variants(pattern: Pattern) -> Iterator[Pattern]:
    """The pattern with the operands of its commutative ops in both orders, each form once."""
    seen = set()
    for variant in _variants(pattern):
        if variant not in seen:
            seen.add(variant)
            yield variant


def _variants(pattern: Pattern) -> Iterator[Pattern]:
    if not isinstance(pattern, Apply):
        yield pattern
        return
    for operands in product(*(tuple(variants(p)) for p in pattern.operands)):
        yield Apply(pattern.op, operands)
        if REGISTRY[pattern.op].commutative:
            yield Apply(pattern.op, operands[::-1])


def kind_of_pattern(pattern: Pattern) -> str:
    """What the rule set sorts an operand pattern by: an op's name, ``constant``, or ANY."""
    if isinstance(pattern, Apply):
        return pattern.op
    return "constant" if isinstance(pattern, Number) else ANY


def kind(builder: Builder, node_id: int) -> str:
    """What the rule set sorts an operand by: ``constant`` for constants and their broadcasts, else the op's name."""
    nodes = builder.nodes
    node = nodes[node_id]
    if node.op is broadcast_to:
        inner = node
        while inner.op is broadcast_to:
            inner = nodes[inner.operands[0]]
        if inner.op is CONSTANT:
            return "constant"
    return node.op.name


def match(builder: Builder, pattern: Pattern, node_id: int, found: Match) -> bool:
    """Whether the node has the form of the pattern; enters what the variables stand for into ``found``."""
    if isinstance(pattern, Variable):
        return found.setdefault(pattern.name, node_id) == node_id
    if isinstance(pattern, Number):
        return holds(builder, node_id, pattern.value)
    assert isinstance(pattern, Apply)
    node = builder.nodes[node_id]
    return node.op.name == pattern.op and match_operands(builder, pattern, node.operands, found)


def match_operands(builder: Builder, pattern: Apply, ids: tuple[int, ...], found: Match) -> bool:
    """``match`` for a node that is about to be made."""
    return all(match(builder, p, i, found) for p, i in zip(pattern.operands, ids, strict=True))


def holds(builder: Builder, node_id: int, value: float | bool) -> bool:
    """Whether a node is a constant that equals ``value`` everywhere. Masks equal truth values alone."""
    number = builder.scalar(Value(builder, node_id))
    if number is None or (number.dtype.kind == "b") is not isinstance(value, bool):
        return False
    return bool(number == value)


def build(builder: Builder, pattern: Pattern, found: Mapping[str, int]) -> Value:
    """The value of a pattern for given variables. Numbers take the aval of the operand beside them."""
    if isinstance(pattern, Variable):
        return Value(builder, found[pattern.name])
    if not isinstance(pattern, Apply):
        raise GradcError(f"the pattern {pattern} has no value beside it that says its dtype")
    made = [None if isinstance(p, Number) else build(builder, p, found) for p in pattern.operands]
    like = next(value for value in made if value is not None)
    operands = [
        builder.full(p.value, like.aval) if isinstance(p, Number) else value
        for p, value in zip(pattern.operands, made, strict=True)
    ]
    return builder.apply(REGISTRY[pattern.op], *[v for v in operands if v is not None])


_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}


def infix(op: str, operands: list[str]) -> str:
    """An application in the words of a formula, operands in parentheses where they are sums or products."""
    if op in _INFIX and len(operands) == 2:
        left, right = (f"({text})" if " " in text and not _enclosed(text) else text for text in operands)
        return f"{left} {_INFIX[op]} {right}"
    if op == "neg":
        text = operands[0]
        return f"-({text})" if " " in text and not _enclosed(text) else f"-{text}"
    return f"{op}({', '.join(operands)})"


def _enclosed(text: str) -> bool:
    """Whether every space of the text stands inside parentheses or brackets."""
    depth = 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == " " and depth == 0:
            return False
    return True


def described(builder: Builder, op: Op, ids: tuple[int, ...], params: dict[str, Any], depth: int = 5) -> str:
    """The formula of a node that may not exist yet, in the user's names; ``...`` below ``depth``."""
    if op is broadcast_to:
        return formula(builder, ids[0], depth)
    if op is dim_value:
        return str(params["dim"])
    texts = [formula(builder, i, depth - 1) for i in ids]
    if "axes" in params and op.name != "transpose":
        texts.append(f"axes={params['axes']}")
    return infix(op.name, texts)


def formula(builder: Builder, node_id: int, depth: int = 5) -> str:
    """The formula of a node in the user's names; ``...`` below ``depth``."""
    name = builder.tables.names.get(node_id)
    if name is not None:
        return name
    node = builder.nodes[node_id]
    if node.op.name == "input":
        return str(node.params["name"])
    number = builder.scalar(Value(builder, node_id))
    if number is not None:
        return str(number)
    if depth <= 0 or node.op.name == "constant":
        return "..."
    return described(builder, node.op, node.operands, node.params, depth)
