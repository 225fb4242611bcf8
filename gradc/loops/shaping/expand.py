"""Expanding what is stated into what is done: reductions in lanes, and contractions.

Backends expand before they emit, so that the order of every sum is the same for all of them. A backend may keep
contractions for which it has something better than loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from gradc.ir.aval import Dim
from gradc.ir.target import Target
from gradc.loops.language.epilogue import unfused
from gradc.loops.language.expressions import apply
from gradc.loops.language.program import (
    SEQUENTIAL,
    ZERO,
    Accumulate,
    Apply,
    Buffer,
    Call,
    Constant,
    Contraction,
    Expression,
    For,
    Function,
    If,
    Lanes,
    Let,
    Local,
    LoopProgram,
    Mode,
    Reduction,
    Statement,
    Store,
    View,
    b,
    constant,
    size,
    variable,
    walk,
)
from gradc.loops.language.traversal import buffers_in, declared_names, expressions_of, statements_of
from gradc.loops.shaping.matmul import contraction_function

_LISTED: Final = 8
"""Partial results that are combined one by one; more are combined in loops first."""

_LIGHT: Final = 64
"""Parts of expressions in the body of a loop that is written twice."""

Keeps = Callable[[Call, Mapping[str, Buffer]], bool]
"""Whether a backend does a contraction on these buffers, with its epilogue if it has one, by its own means."""


def expand(program: LoopProgram, target: Target, keeps: Keeps | None = None) -> LoopProgram:
    """The program with every reduction in lanes, and every contraction that is not kept, written out as loops."""
    contractions = _Contractions(target, {f.name for f in program.functions}, keeps, program.buffer)
    body = contractions.block(program.body)
    inside = [replace(contractions, buffers=buffers_in(f, program)) for f in program.functions]
    functions = [replace(f, body=own.block(f.body)) for own, f in zip(inside, program.functions, strict=True)]
    functions = [*contractions.made.values(), *functions]
    outer = set(program.buffer)
    return replace(
        program,
        body=_LaneLoops(outer | declared_names(program.body), target.fma).block(body),
        functions=tuple(replace(f, body=_LaneLoops(outer | _names_of(f), target.fma).block(f.body)) for f in functions),
    )


@dataclass
class _Contractions:
    """Replaces each contraction by a call of a function, one for each signature."""

    target: Target
    taken: set[str]
    keeps: Keeps | None
    buffers: Mapping[str, Buffer]
    made: dict[tuple[Contraction, tuple[tuple[Dim, ...], ...]], Function] = field(default_factory=dict)

    def block(self, block: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple(new for s in block for new in self._statement(s))

    def _statement(self, statement: Statement) -> tuple[Statement, ...]:
        match statement:
            case For(body=body):
                return (replace(statement, body=self.block(body)),)
            case If(then=then, otherwise=otherwise):
                return (replace(statement, then=self.block(then), otherwise=self.block(otherwise)),)
            case Call(callee=Contraction() as contraction, views=views):
                if self.keeps is not None and self.keeps(statement, self.buffers):
                    return (statement,)
                if statement.epilogue is not None:
                    return self.block(unfused(statement))
                function = self._function(contraction, tuple(v.strides for v in views[:3]))
                return (Call(function.name, tuple(View(v.buffer, (1,), v.offset) for v in views[:3])),)
        return (statement,)

    def _function(self, contraction: Contraction, strides: tuple[tuple[Dim, ...], ...]) -> Function:
        key = contraction, strides
        if key not in self.made:
            name = unused_name(f"contract_{contraction.lhs}_{contraction.rhs}_{contraction.out}", self.taken)
            self.made[key] = contraction_function(name, contraction, strides, self.target)
        return self.made[key]


@dataclass
class _LaneLoops:
    """Rewrites loops over which something is accumulated in lanes; ``fuses`` products with the sums that take them."""

    taken: set[str]
    fuses: bool

    def block(self, block: Iterable[Statement]) -> tuple[Statement, ...]:
        return tuple(new for statement in block for new in self._statement(statement))

    def _statement(self, statement: Statement) -> tuple[Statement, ...]:
        match statement:
            case For():
                targets = _targets(statement)
                if targets:
                    return self.block(self._chunked(statement, targets))
                return (replace(statement, body=self.block(statement.body)),)
            case If(then=then, otherwise=otherwise):
                return (replace(statement, then=self.block(then), otherwise=self.block(otherwise)),)
        return (statement,)

    def _chunked(self, loop: For, targets: list[Accumulate]) -> list[Statement]:
        """The loop in chunks of the stated block, each with its partial results."""
        order = targets[0].order
        assert isinstance(order, Lanes)
        partials = [self._partial(t, order.lanes) for t in targets]
        declared: list[Statement] = [Local(p) for p in partials]
        length = b.sub(loop.hi, loop.lo)
        rest = b.constant(0) if _divides(order.lanes, length) else b.mod(length, order.lanes)
        whole = b.sub(loop.hi, rest)
        if not order.block or (isinstance(length, Constant) and int(length.value) <= order.block):
            return [*declared, *self._chunk(loop, loop.lo, whole, rest, targets, partials)]
        start = variable(unused_name(f"{loop.var}_block", self.taken))
        end = start + order.block
        if (isinstance(length, Constant) and _is_light(loop.body)) or _divides(order.block, length):
            blocked = b.sub(loop.hi, length % order.block) if isinstance(length, Constant) else loop.hi
            block = self._chunk(loop, start, end, b.constant(0), targets, partials)
            statements = [*declared, For(str(start), loop.lo, blocked, tuple(block), order.block)]
            return statements + (
                self._chunk(loop, blocked, whole, rest, targets, partials) if blocked is not loop.hi else []
            )
        rests = self._rest(loop, whole, rest, targets, partials)
        last = [If(b.ge(end, loop.hi), tuple(rests))] if rests else []
        groups = self._groups(loop, start, b.minimum(end, whole), targets, partials)
        block = [*self._set(targets, partials), *groups, *last, *self._combine(targets, partials)]
        return [*declared, For(str(start), loop.lo, loop.hi, tuple(block), order.block)]

    def _chunk(
        self, loop: For, lo: Expression, whole: Expression, rest: Expression, targets: list[Accumulate],
        partials: list[Buffer],
    ) -> list[Statement]:  # fmt: skip
        """The terms from ``lo`` to ``whole``, in groups, and the rest."""
        groups = self._groups(loop, lo, whole, targets, partials)
        rests = self._rest(loop, whole, rest, targets, partials)
        return [*self._set(targets, partials), *groups, *rests, *self._combine(targets, partials)]

    def _set(self, targets: list[Accumulate], partials: list[Buffer]) -> list[Statement]:
        """The partial results from their start."""
        lane = variable(unused_name("lane", self.taken))
        stores = tuple(
            Store(partial.name, (lane,), constant(neutral(target.op, partial.dtype), partial.dtype))
            for target, partial in zip(targets, partials, strict=True)
        )
        return [For(str(lane), ZERO, size(partials[0].shape[0]), stores, mode="vector")]

    def _groups(
        self, loop: For, lo: Expression, hi: Expression, targets: list[Accumulate], partials: list[Buffer]
    ) -> list[Statement]:
        """Groups of as many terms as there are lanes."""
        if isinstance(lo, Constant) and isinstance(hi, Constant) and lo.value == hi.value:
            return []
        lanes = int(partials[0].shape[0])
        group = variable(unused_name(f"{loop.var}_group", self.taken))
        inner = self._lane_loop(loop, group, b.constant(lanes), targets, partials)
        return [For(str(group), lo, hi, (inner,), lanes)]

    def _rest(
        self, loop: For, whole: Expression, rest: Expression, targets: list[Accumulate], partials: list[Buffer]
    ) -> list[Statement]:
        """The terms that are left, fewer than there are lanes."""
        if isinstance(rest, Constant) and not rest.value:
            return []
        return [self._lane_loop(loop, whole, rest, targets, partials)]

    def _lane_loop(
        self, loop: For, start: Expression, count: Expression, targets: list[Accumulate], partials: list[Buffer]
    ) -> For:
        """The terms from ``start`` on, one in each lane."""
        lane = variable(unused_name("lane", self.taken))
        mode: Mode = "vector" if loop.mode == "vector" or _only_accumulates(loop.body) else "seq"
        body = _in_lane(loop.body, loop.var, lane, targets, partials, fuses=self.fuses)
        return For(str(lane), ZERO, count, (Let(loop.var, b.add(start, lane)), *body), mode=mode)

    def _combine(self, targets: list[Accumulate], partials: list[Buffer]) -> list[Statement]:
        """The partial results combined pairwise, halves first, and with the element."""
        statements: list[Statement] = []
        for target, partial in zip(targets, partials, strict=True):
            half = int(partial.shape[0]) // 2
            while half >= _LISTED:
                lane = variable(unused_name("lane", self.taken))
                fold = Accumulate(target.op, partial.name, (lane,), b.load(partial, (lane + half,)))
                statements.append(For(str(lane), ZERO, size(half), (fold,), mode="vector"))
                half //= 2
            total = _pairwise(target.op, [b.load(partial, (k,)) for k in range(2 * half or 1)])
            statements.append(Accumulate(target.op, target.buffer, target.index, total, SEQUENTIAL))
        return statements

    def _partial(self, target: Accumulate, lanes: int) -> Buffer:
        name = unused_name(f"{target.buffer}_partial", self.taken)
        return Buffer(name, target.value.dtype, (lanes,), "local")


def neutral(op: Reduction, dtype: np.dtype) -> bool | int | float:
    """The value that an accumulation starts from and that changes nothing."""
    if op in ("logical_and", "logical_or"):
        return op == "logical_and"
    if op in ("add", "mul"):
        return op == "mul" if dtype.kind == "b" else int(op == "mul")
    if dtype.kind == "f":
        return float("inf") if op == "minimum" else float("-inf")
    if dtype.kind == "b":
        return op == "minimum"
    limits = np.iinfo(dtype)
    return int(limits.max if op == "minimum" else limits.min)


def _is_light(block: tuple[Statement, ...]) -> bool:
    """Whether a body is small enough to stand in a program twice, for whole blocks and for what is left of one."""
    return sum(1 for s in statements_of(block) for _ in walk(*expressions_of(s))) <= _LIGHT


def _divides(count: int, value: Expression) -> bool:
    """Whether the form of an integer shows that it is a multiple of ``count``."""
    match value:
        case Constant(value=number):
            return int(number) % count == 0
        case Apply(primitive="mul", arguments=arguments):
            return any(_divides(count, a) for a in arguments)
        case Apply(primitive="add" | "sub" | "minimum" | "maximum", arguments=arguments):
            return all(_divides(count, a) for a in arguments)
    return False


def _targets(loop: For) -> list[Accumulate]:
    """What is accumulated in lanes of the loop, each element once."""
    found: dict[tuple[str, str, tuple[Expression, ...]], Accumulate] = {}
    for statement in statements_of(loop.body):
        if (
            isinstance(statement, Accumulate)
            and isinstance(statement.order, Lanes)
            and statement.order.over == loop.var
        ):
            found.setdefault(_element(statement), statement)
    return list(found.values())


def _element(statement: Accumulate) -> tuple[str, str, tuple[Expression, ...]]:
    return statement.op, statement.buffer, statement.index


def _in_lane(
    block: tuple[Statement, ...], var: str, lane: Expression, targets: list[Accumulate], partials: list[Buffer],
    *, fuses: bool,
) -> tuple[Statement, ...]:  # fmt: skip
    """The block with the accumulations over ``var`` going to the lane's partial results."""
    partial = {_element(t): p for t, p in zip(targets, partials, strict=True)}

    def moved(statement: Statement) -> Statement:
        match statement:
            case Accumulate(order=Lanes(over=over)) if over == var:
                return _in_one_lane(statement, partial[_element(statement)], lane, fuses=fuses)
            case For(body=body):
                return replace(statement, body=tuple(moved(s) for s in body))
            case If(then=then, otherwise=otherwise):
                return replace(
                    statement, then=tuple(moved(s) for s in then), otherwise=tuple(moved(s) for s in otherwise)
                )
        return statement

    return tuple(moved(s) for s in block)


def _in_one_lane(statement: Accumulate, partial: Buffer, lane: Expression, *, fuses: bool) -> Statement:
    """A term added to the partial result of a lane; a product of floats is fused with it where the machine can."""
    match statement.op, statement.value:
        case "add", Apply(primitive="mul", arguments=(x, y), dtype=dtype) if dtype.kind == "f" and fuses:
            return Store(partial.name, (lane,), b.fma(x, y, b.load(partial, (lane,))))
    return Accumulate(statement.op, partial.name, (lane,), statement.value, SEQUENTIAL)


def _only_accumulates(block: tuple[Statement, ...]) -> bool:
    """Whether a loop body does nothing but sums in lanes, so that its lanes are independent."""
    return all(
        isinstance(s, Let) or (isinstance(s, Accumulate) and isinstance(s.order, Lanes)) for s in statements_of(block)
    )


def _pairwise(op: Reduction, values: list[Expression]) -> Expression:
    while len(values) > 1:
        half = len(values) // 2
        values = [apply(op, (values[k], values[k + half]), values[k].dtype) for k in range(half)]
    return values[0]


def _names_of(function: Function) -> set[str]:
    """The names that a function declares."""
    return declared_names(function.body) | {p.name for p in function.parameters} | set(function.scalars)


def unused_name(name: str, taken: set[str]) -> str:
    """``name``, or with a number after it where it is taken; taken from now on."""
    chosen, count = name, 1
    while chosen in taken:
        count += 1
        chosen = f"{name}_{count}"
    taken.add(chosen)
    return chosen
