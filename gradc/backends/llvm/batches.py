"""Which loops can run several iterations at once, how many, and how much things change between iterations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gradc.backends.llvm.primitives import has_lanes
from gradc.ir.aval import Dim
from gradc.ir.target import Target
from gradc.loops.language.program import (
    Accumulate,
    Apply,
    Check,
    Choose,
    Comment,
    Constant,
    Expression,
    For,
    If,
    Let,
    Load,
    Sequential,
    Statement,
    Store,
    Variable,
    walk,
)
from gradc.loops.language.traversal import expressions_of
from gradc.loops.lowering.costs import DEAR

HIDING: Final = 4
"""Registers of a value in a loop with dear functions: their long chains of operations run side by side."""

PAIRED: Final = frozenset(("log10", "log1p"))
"""Dear functions that take two registers where tables stand in some: constants and values of four do not fit beside."""

UNROLLED: Final = 8
WORK: Final = 400
"""Loops of at most so many steps, and so many instructions in all of them, are written out."""

PAIR: Final = 2
SHORTEST: Final = 4
"""Two iterations run at once rather than written out, and so many or more; three would leave a lane empty."""


class Paces:
    """How much expressions change from one iteration of a loop to the next; None where that differs."""

    def __init__(self, var: str) -> None:
        self._names: dict[str, int | None] = {var: 1}
        self._known: dict[Expression, int | None] = {}

    def name(self, let: Let) -> int | None:
        """The pace of a let, whose name has it from now on."""
        self._names[let.name] = self.of(let.value)
        return self._names[let.name]

    def of(self, root: Expression) -> int | None:
        """The pace of an expression."""
        if root not in self._known:
            for part in walk(root):
                if part not in self._known:
                    self._known[part] = self._pace(part)
        return self._known[root]

    def _pace(self, part: Expression) -> int | None:
        if isinstance(part, Variable):
            return self._names.get(part.name, 0)
        paces = [self._known[operand] for operand in part.operands]
        if not any(pace != 0 for pace in paces):
            return 0
        match part:
            case Apply(primitive="add", arguments=(left, _)) if None not in paces and left.dtype.kind == "i":
                return sum(pace for pace in paces if pace)
            case Apply(primitive="sub", arguments=(left, _)) if None not in paces and left.dtype.kind == "i":
                return (paces[0] or 0) - (paces[1] or 0)
            case Apply(primitive="mul", arguments=(left, Constant(value=value))) if left.dtype.kind == "i":
                return None if paces[0] is None else paces[0] * int(value)
        return None

    def step(self, index: Sequence[Expression], strides: Sequence[Dim]) -> int | None:
        """The distance in elements from the place of one iteration to that of the next; None where none is known."""
        total: Dim = 0
        for i, stride in zip(index, strides, strict=True):
            pace = self.of(i)
            if pace is None:
                return None
            total = total + pace * stride
        return total if isinstance(total, int) else None


@dataclass(slots=True)
class Batch:
    """``count`` iterations that run at once, in vectors of ``lanes``.

    ``mask`` says which lanes have an iteration where their number is not known; ``names`` are the vectors of lets,
    ``known`` of expressions that hold to the end of the body, ``spread`` of scalars, ``places`` of sums of products;
    ``extracted`` are elements of vectors.
    """

    paces: Paces
    lanes: int
    count: int
    written: frozenset[str]
    mask: str = ""
    names: dict[str, str] = field(default_factory=dict)
    known: dict[Expression, str] = field(default_factory=dict)
    spread: dict[tuple[str, str, int], str] = field(default_factory=dict)
    places: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict)
    extracted: dict[tuple[str, int], str] = field(default_factory=dict)


def can_batch(loop: For) -> bool:
    """Whether iterations of a loop can run at once: it says so, has no blocks inside, and its primitives have lanes."""
    if loop.mode != "vector" or loop.step != 1:
        return False
    for statement in loop.body:
        if not isinstance(statement, (Let, Store, Accumulate, Check, Comment)):
            return False
        if isinstance(statement, Check) and statement.stops:
            return False
        if isinstance(statement, Accumulate) and not isinstance(statement.order, Sequential):
            return False
        for part in walk(*expressions_of(statement)):
            if isinstance(part, Apply) and not has_lanes(part.primitive, part.arguments[-1].dtype, part.arguments):
                return False
    return True


def few_steps(loop: For) -> range | None:
    """The steps of a loop that is written out: of one, or of few with little to do in each."""
    if loop.carry or not isinstance(loop.lo, Constant) or not isinstance(loop.hi, Constant):
        return None
    steps = range(int(loop.lo.value), int(loop.hi.value), loop.step)
    if len(steps) == 1:
        return steps
    batched = len(steps) == PAIR or len(steps) >= SHORTEST or _is_heavy(loop.body)
    if len(steps) > UNROLLED or (can_batch(loop) and batched):
        return None
    return steps if steps and _work(loop.body) * len(steps) <= WORK else None


def at_most(loop: For) -> int | None:
    """The most iterations of a loop that counts up to the rest of a division; None for other loops."""
    match loop:
        case For(lo=Constant(value=0), hi=Apply(primitive="mod", arguments=(_, Constant(value=by)))):
            return max(int(by) - 1, 1)
    return None


def _work(body: Sequence[Statement]) -> int:
    """Instructions of a body, loops in it written out."""
    total = 0
    for statement in body:
        match statement:
            case For():
                steps = few_steps(statement)
                times = len(steps) if steps is not None else 2 if _is_short(statement) else WORK
                total += _work(statement.body) * times
            case If() | Choose():
                return WORK + 1
            case _:
                total += sum(1 for _ in walk(*expressions_of(statement)))
    return total


def _is_short(loop: For) -> bool:
    """Whether a loop is a batch or two."""
    if not can_batch(loop) or not isinstance(loop.lo, Constant) or not isinstance(loop.hi, Constant):
        return False
    return int(loop.hi.value) - int(loop.lo.value) <= 2 * UNROLLED


def _is_heavy(body: Sequence[Statement]) -> bool:
    parts = (part for statement in body for part in walk(*expressions_of(statement)))
    return any(isinstance(part, Apply) and part.primitive in DEAR for part in parts)


def registers(body: Sequence[Statement], target: Target) -> tuple[int, int]:
    """How many elements fill a register in a loop, and in how many registers its chains of operations are hidden."""
    parts = [part for statement in body for part in walk(*expressions_of(statement))]
    sizes = {part.dtype.itemsize for part in parts if part.dtype.kind == "f"}
    names = {part.primitive for part in parts if isinstance(part, Apply)}
    hiding = 1 if not names & DEAR else HIDING // 2 if target.holds_tables and names & PAIRED else HIDING
    return max(target.lanes(min(sizes, default=8)), 2), hiding


def is_crowded(body: Sequence[Statement], factor: int, target: Target) -> bool:
    """Whether a body that is computed in ``factor`` registers for each of its values wants more than there are.

    Its loads, named values and accumulations are counted. One register after the other then needs fewer at a time; dear
    functions are called for several at once all the same.
    """
    loads = {part for statement in body for part in walk(*expressions_of(statement)) if isinstance(part, Load)}
    kept = sum(isinstance(s, (Let, Accumulate)) and s.value.dtype.kind == "f" for s in body)
    return factor * (len(loads) + kept) > target.registers and not _is_heavy(body)
