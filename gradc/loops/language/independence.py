"""Whether the iterations of a loop touch different memory.

Every access is a linear form of its address in bytes, ``constant + sum of coefficient * term``, where a term is a
variable or an expression that is not linear. Two accesses of different iterations cannot meet if the loop's variable
has the same coefficient in both and everything else moves the addresses by less than one iteration does, or by more
than all of them together: by its range, because it moves them by whole rows, or by the form of symbolic sizes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gradc.ir.aval import Dim, is_nonnegative, size_of
from gradc.loops.language.epilogue import unfused
from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Apply,
    Buffer,
    Call,
    Carry,
    Constant,
    Contraction,
    Epilogue,
    Expression,
    For,
    If,
    Lanes,
    Let,
    Load,
    Local,
    Size,
    Statement,
    Store,
    Variable,
    View,
    b,
    contiguous_strides,
    variable,
    walk,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.traversal import expressions_of

Form = dict[Expression | None, int]
"""Coefficients by term; None is the constant."""


@dataclass(frozen=True, slots=True)
class Access:
    """A read or write of bytes ``form`` to ``form + extent - 1`` of ``memory``, in a buffer at bytes ``block``."""

    buffer: str
    memory: str
    block: range
    form: Form
    extent: int
    writes: bool
    ranges: Ranges
    inner: frozenset[str]


def conflict(loop: For, buffers: Mapping[str, Buffer], lets: Mapping[str, Expression], ranges: Ranges) -> str:
    """What two iterations of the loop may both touch, one writing; empty where there is none.

    ``lets`` holds the integer lets around the loop, ``ranges`` the intervals before it. Symbolic shapes are not judged.
    """
    return next((access.memory for _, access in _met(loop, buffers, lets, ranges, reduced=loop.var)), "")


def meetings(
    loop: For, buffers: Mapping[str, Buffer], lets: Mapping[str, Expression], ranges: Ranges
) -> Iterator[tuple[Access, Access]]:
    """The pairs of accesses, one writing, that may touch the same memory in two iterations; sums in lanes count too."""
    return _met(loop, buffers, lets, ranges, reduced="")


def may_run_as_one(first: For, second: For, buffers: Mapping[str, Buffer], ranges: Ranges) -> bool:
    """Whether two loops over the same range, one after the other, may become one that runs both bodies.

    No iteration of the second may touch what a later one of the first does, one of them writing; where iterations are
    independent, nor what an earlier one does. Symbolic shapes are not judged.
    """
    interval = ranges.of_loop(first.lo, first.hi, first.step)
    inside, span = ranges.inside(first.var, interval), interval[1] - interval[0]
    if span < first.step:
        return True
    loops = (first, second)
    ours, theirs = (list(_Accesses(dict(buffers), {}, "").block(loop.body, inside, frozenset())) for loop in loops)
    var, step = variable(first.var), first.step
    for one in ours:
        for other in theirs:
            meets = (one.writes or other.writes) and one.memory == other.memory and _overlap(one.block, other.block)
            if not meets or _apart(one, other, var, step, span):
                continue
            if first.mode != "seq" or not _ahead(one, other, var, step, span):
                return False
    return True


def _met(
    loop: For, buffers: Mapping[str, Buffer], lets: Mapping[str, Expression], ranges: Ranges, *, reduced: str
) -> Iterator[tuple[Access, Access]]:
    """The pairs of accesses that may meet; not those of sums in lanes of the loop ``reduced``."""
    walker = _Accesses(dict(buffers), dict(lets), reduced)
    interval = ranges.of_loop(loop.lo, loop.hi, loop.step)
    if interval[1] - interval[0] < loop.step:
        return
    accesses = list(walker.block(loop.body, ranges.inside(loop.var, interval), frozenset()))
    span = (interval[1] - interval[0]) // loop.step * loop.step
    last = _last(loop)
    for written in accesses:
        for access in accesses:
            same_memory = written.writes and access.memory == written.memory and _overlap(written.block, access.block)
            if same_memory and not (
                _apart(written, access, variable(loop.var), loop.step, span)
                or _beyond(written, access, variable(loop.var), last)
            ):
                yield written, access


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _apart(left: Access, right: Access, var: Expression, step: int, span: int) -> bool:
    """Whether no two different iterations make the accesses meet."""
    difference = _difference(left, right, var)
    if difference is None:
        return False
    pace, lo, hi, row = difference
    # The accesses are extents of bytes: they meet where the difference of their starts is within these.
    pace, extent = abs(pace), max(left.extent, right.extent)
    if row >= pace * span + extent and pace * step >= extent:
        return True
    lo, hi = lo - (right.extent - 1), hi + (left.extent - 1)
    return max(abs(lo), abs(hi)) < pace * step or lo > pace * span or hi < -pace * span


def _ahead(left: Access, right: Access, var: Expression, step: int, span: int) -> bool:
    """Whether no later iteration of the left access meets an earlier one of the right."""
    difference = _difference(left, right, var)
    if difference is None:
        return False
    pace, lo, hi, _ = difference
    lo, hi = lo + min(pace * step, pace * span), hi + max(pace * step, pace * span)
    return lo > right.extent - 1 or hi < -(left.extent - 1)


def _difference(left: Access, right: Access, var: Expression) -> tuple[int, int, int, int] | None:
    """How far apart two accesses start: the pace of both in ``var``, and what all else adds, left less right.

    That lies between two ends and is a multiple of the last number. None where the paces differ or are 0.
    """
    pace = left.form.get(var, 0)
    if pace == 0 or right.form.get(var, 0) != pace:
        return None
    lo = left.form.get(None, 0) - right.form.get(None, 0)
    hi = row = lo
    for term in (left.form.keys() | right.form.keys()) - {var, None}:
        if term is None:
            continue
        mine, theirs = left.form.get(term, 0), right.form.get(term, 0)
        if _varies(term, var, left.inner | right.inner):
            if any(part is var for part in walk(term)):
                return None
            ends = [(mine, *left.ranges.of(term)), (-theirs, *right.ranges.of(term))]
        else:
            ends = [(mine - theirs, *left.ranges.of(term))]
        for coefficient, low, high in ends:
            lo += min(coefficient * low, coefficient * high)
            hi += max(coefficient * low, coefficient * high)
            row = math.gcd(row, coefficient)
    return pace, lo, hi, row


def _last(loop: For) -> Dim | None:
    """The largest value of the variable of a loop from 0 up to a size."""
    if loop.lo is not ZERO or not isinstance(loop.hi, (Size, Constant)):
        return None
    return loop.hi.dim - 1 if isinstance(loop.hi, Size) else int(loop.hi.value) - 1


def _beyond(left: Access, right: Access, var: Expression, last: Dim | None) -> bool:
    """Whether symbolic sizes move the addresses apart by more than all iterations together, up to the last one."""
    if last is None:
        return False
    distance: Dim = 0
    lo = hi = left.form.get(None, 0) - right.form.get(None, 0)
    for term in (left.form.keys() | right.form.keys()) - {None}:
        mine, theirs = left.form.get(term, 0), right.form.get(term, 0)
        if isinstance(term, Size):
            distance = distance + (mine - theirs) * term.dim
        elif term is not var and term is not None:
            for coefficient, (low, high) in ((mine, left.ranges.of(term)), (-theirs, right.ranges.of(term))):
                lo += min(coefficient * low, coefficient * high)
                hi += max(coefficient * low, coefficient * high)
    pace = left.form.get(var, 0)
    reach = abs(pace) * last + max(left.extent, right.extent)
    same_pace = right.form.get(var, 0) == pace
    return same_pace and (is_nonnegative(lo + distance - reach) or is_nonnegative(-hi - distance - reach))


def _varies(term: Expression, var: Expression, inner: frozenset[str]) -> bool:
    """Whether a term can differ between two iterations: it has inner variables, the loop's own, or memory in it."""
    return any(
        isinstance(part, Load) or part is var or (isinstance(part, Variable) and part.name in inner)
        for part in walk(term)
    )


class _Accesses:
    """The accesses of a loop's body to memory that is not its own; not those of sums in lanes of ``reduced``."""

    def __init__(self, buffers: dict[str, Buffer], lets: dict[str, Expression], reduced: str) -> None:
        self._reduced = reduced
        self._buffers = buffers
        self._lets = lets
        self._own: set[str] = set()

    def block(self, block: tuple[Statement, ...], ranges: Ranges, inner: frozenset[str]) -> Iterator[Access]:
        for statement in block:
            for expression in expressions_of(statement):
                for part in walk(expression):
                    if isinstance(part, Load):
                        yield from self._access(part.buffer, part.index, False, ranges, inner)
            match statement:
                case Accumulate(order=Lanes(over=over)) if over == self._reduced:
                    pass
                case Store(buffer=name, index=index) | Accumulate(buffer=name, index=index):
                    yield from self._access(name, index, True, ranges, inner)
                case Let(name=name, value=value):
                    if value.dtype.kind in "iub":
                        ranges = ranges.inside(name, ranges.of(value))
                        self._lets[name] = value
                    inner = inner | {name}
                case Local(buffer=local):
                    self._own.add(local.name)
                case If(condition=condition, then=then, otherwise=otherwise):
                    yield from self.block(then, ranges.where(condition), inner)
                    yield from self.block(otherwise, ranges.where(condition, False), inner)
                case For(var=var, body=body, carry=carry):
                    interval = ranges.of_loop(statement.lo, statement.hi, statement.step)
                    self._carry(carry)
                    self._lets.pop(var, None)
                    if interval[0] <= interval[1]:
                        inside = ranges.inside(var, interval)
                        span = self._span(statement)
                        if span is not None:
                            counted = f"{var} from its start"
                            self._lets[var] = b.add(statement.lo, variable(counted))
                            inside, inner = inside.inside(counted, (0, span)), inner | {counted}
                        yield from self.block(body, inside, inner | {var})
                case Call(epilogue=Epilogue()):
                    yield from self.block(unfused(statement), ranges, inner)
                case Call(callee=callee, views=views):
                    for position, view in enumerate(views):
                        writes = position >= 2 if isinstance(callee, Contraction) else True
                        yield from self._view(callee, position, view, writes, ranges, inner)

    def _span(self, loop: For) -> int | None:
        """How far a loop that starts at a variable place runs at most; None where it starts at a fixed one."""
        if isinstance(loop.lo, Constant):
            return None
        ends = loop.hi.operands if isinstance(loop.hi, Apply) and loop.hi.primitive == "minimum" else (loop.hi,)
        for end in ends:
            form: Form = {}
            self._add(form, end, 1)
            self._add(form, loop.lo, -1)
            if not any(form[term] for term in form if term is not None):
                return (form.get(None, 0) - 1) // loop.step * loop.step
        return None

    def _carry(self, carry: tuple[Carry, ...]) -> None:
        for state in carry:
            for name in (state.now, state.next):
                self._buffers[name] = self._buffers[state.first]

    def _access(
        self, name: str, index: tuple[Expression, ...], writes: bool, ranges: Ranges, inner: frozenset[str]
    ) -> Iterator[Access]:
        if name in self._own:
            return
        buffer = self._buffers[name]
        strides = contiguous_strides(buffer.shape) if len(index) == len(buffer.shape) else (1,)
        terms = [(position, stride) for position, stride in zip(index, strides, strict=True)]
        yield from self._made(name, buffer, terms, 1, writes, ranges, inner)

    def _view(
        self, callee: Contraction | str, position: int, view: View, writes: bool, ranges: Ranges, inner: frozenset[str]
    ) -> Iterator[Access]:
        if view.buffer in self._own:
            return
        buffer = self._buffers[view.buffer]
        reach: Dim = size_of(buffer.shape)
        if isinstance(callee, Contraction) and position < 3:
            sizes = dict(callee.sizes)
            word = (callee.lhs, callee.rhs, callee.out)[position]
            reach = 1
            for letter, stride in zip(word, view.strides, strict=True):
                reach = reach + (sizes[letter] - 1) * stride
        yield from self._made(view.buffer, buffer, [(view.offset, 1)], reach, writes, ranges, inner)

    def _made(
        self,
        name: str,
        buffer: Buffer,
        terms: list[tuple[Expression, Dim]],
        reach: Dim,
        writes: bool,
        ranges: Ranges,
        inner: frozenset[str],
    ) -> Iterator[Access]:
        sizes = (reach, buffer.offset, *(stride for _, stride in terms))
        if not isinstance(reach, int) or not all(isinstance(size, int) for size in sizes):
            return
        width = buffer.dtype.itemsize
        form: Form = {None: int(buffer.offset)}
        for expression, stride in terms:
            self._add(form, expression, int(stride) * width)
        memory = "the arena" if buffer.kind == "arena" else buffer.name
        size = buffer.bytes
        end = int(buffer.offset) + (size if isinstance(size, int) else 2**62)
        yield Access(name, memory, range(int(buffer.offset), end), form, reach * width, writes, ranges, inner)

    def _add(self, form: Form, expression: Expression, scale: int) -> None:
        """Add ``scale * expression`` to a form."""
        match expression:
            case Constant(value=value):
                form[None] = form.get(None, 0) + scale * int(value)
            case Variable(name=name) if name in self._lets:
                self._add(form, self._lets[name], scale)
            case Apply(primitive="add", arguments=(left, right)):
                self._add(form, left, scale)
                self._add(form, right, scale)
            case Apply(primitive="sub", arguments=(left, right)):
                self._add(form, left, scale)
                self._add(form, right, -scale)
            case Apply(primitive="mul", arguments=(left, Constant(value=value))):
                self._add(form, left, scale * int(value))
            case _:
                form[expression] = form.get(expression, 0) + scale
