"""Splits loops where their indices are split, so that ``//`` and ``%`` vanish.

A loop over the rows of an array that is also read as one of more axes finds its place there by ``i // 676`` and
``i // 26 % 13``. Where these divisors divide each other and the loop's length, the loop becomes a nest over the digits
of its variable in the mixed base that they make: the finest factors that the shapes on both sides of the reshape have
in common. The iterations keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, pairwise
from typing import Final

from gradc.ir.aval import Dim
from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Apply,
    Constant,
    Expression,
    For,
    If,
    Lanes,
    Size,
    Statement,
    Variable,
    b,
    size,
    variable,
    walk,
)
from gradc.loops.language.traversal import declared_names, expressions_of, statements_of, with_expressions

SHORTEST: Final = 8
"""The least iterations of an innermost loop that is split off: shorter ones make no vectors."""


def split(
    block: tuple[Statement, ...], name: Callable[[int], str], around: frozenset[str] = frozenset()
) -> tuple[Statement, ...]:
    """The block with loops split. ``name`` gives names of loops, counted from 0; ``around`` are those of outer ones."""
    return tuple([_split(statement, name, around) for statement in block])


def _split(statement: Statement, name: Callable[[int], str], around: frozenset[str]) -> Statement:
    match statement:
        case If(then=then, otherwise=otherwise):
            return replace(statement, then=split(then, name, around), otherwise=split(otherwise, name, around))
        case For(body=body):
            loop = replace(statement, body=split(body, name, around | {statement.var}))
            digits = _digits(loop, name, around)
            return _nest(loop, digits) if digits else loop
    return statement


@dataclass(frozen=True, slots=True)
class _Digit:
    """A part of a loop's variable: ``var`` runs from 0 to ``extent - 1`` and counts ``stride`` iterations."""

    var: Expression
    extent: Dim
    stride: int


def _digits(loop: For, name: Callable[[int], str], around: frozenset[str]) -> list[_Digit]:
    """The digits of a loop's variable, outermost first; none where it stays whole."""
    strides = sorted({1, *_strides(loop)})
    length = _length(loop)
    divides = all(inner and outer % inner == 0 for inner, outer in pairwise(strides))
    if len(strides) == 1 or not divides or length is None or length // strides[-1] * strides[-1] != length:
        return []
    has_loops = any(isinstance(s, For) for s in loop.body)
    if not has_loops and strides[1] < SHORTEST:
        return []
    extents = [*(outer // inner for inner, outer in pairwise(strides)), length // strides[-1]]
    taken = declared_names(loop.body) | around | {loop.var}
    free = (found for number in count() if (found := name(number)) not in taken)
    own = [loop.var, *(next(free) for _ in strides[1:])]
    parts = zip(own, reversed(extents), reversed(strides), strict=True)
    return [_Digit(variable(var), extent, stride) for var, extent, stride in parts]


def _length(loop: For) -> Dim | None:
    """The iterations of a loop that can be split; None for others, those with sums in lanes among them."""
    if loop.lo is not ZERO or loop.step != 1 or loop.carry or loop.mode == "parallel":
        return None
    for statement in statements_of(loop.body):
        order = statement.order if isinstance(statement, Accumulate) else None
        if isinstance(order, Lanes) and order.over == loop.var:
            return None
    if isinstance(loop.hi, Size):
        return loop.hi.dim
    return int(loop.hi.value) if isinstance(loop.hi, Constant) else None


def _strides(loop: For) -> Iterator[int]:
    """Where the indices of a loop's body split its variable: ``i // 52 % 13`` does at 52 and 676."""
    length = _length(loop)
    for part in _parts(loop):
        by = _divisor(part, loop.var)
        if by is not None:
            start, stop = by
            yield start
            if stop and stop != length:
                yield stop


def _parts(loop: For) -> Iterator[Expression]:
    for statement in statements_of(loop.body):
        yield from walk(*expressions_of(statement))


def _divisor(part: Expression, var: str) -> tuple[int, int] | None:
    """The strides from which and below which an expression takes the digits of a variable; 0 for all above."""
    match part:
        case Apply(primitive="floor_div", arguments=(Variable(name=name), Constant(value=by))) if name == var:
            return int(by), 0
        case Apply(primitive="mod", arguments=(Variable(name=name), Constant(value=by))) if name == var:
            return 1, int(by)
        case Apply(primitive="mod", arguments=(quotient, Constant(value=by))):
            inner = _divisor(quotient, var)
            return (inner[0], inner[0] * int(by)) if inner is not None and not inner[1] else None
    return None


def _nest(loop: For, digits: Sequence[_Digit]) -> For:
    replaced: dict[Expression, Expression] = {variable(loop.var): _joined(digits, 1, 0)}
    for part in _parts(loop):
        by = _divisor(part, loop.var)
        if by is not None:
            replaced[part] = _joined(digits, *by)
    body = tuple([with_expressions(statement, replaced) for statement in loop.body])
    for position, digit in enumerate(reversed(digits)):
        mode = loop.mode if position == 0 else "seq"
        assert isinstance(digit.var, Variable)
        body = (For(digit.var.name, ZERO, size(digit.extent), body, mode=mode),)
    nest = body[0]
    assert isinstance(nest, For), "there are at least two digits"
    return nest


def _joined(digits: Sequence[_Digit], start: int, stop: int) -> Expression:
    """The number that the digits from stride ``start`` to below ``stop`` are."""
    number: Expression = ZERO
    for digit in digits:
        if start <= digit.stride and (not stop or digit.stride < stop):
            number = b.add(number, b.mul(digit.var, digit.stride // start))
    return number
