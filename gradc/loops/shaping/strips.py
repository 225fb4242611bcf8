"""A large matrix that meets narrow operands twice is read once, strip of rows by strip.

A linear model multiplies its data by the weights, and its gradient sums over the same rows: two contractions with one
operand that no cache holds, and between them statements that work on one row after the other. All of it runs for a
strip of rows before the next, so that the second contraction finds the strip in the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

from gradc.ir.aval import Dim, size_of
from gradc.loops.language.accesses import meet, reads_of, writes_of
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Comment,
    Contraction,
    Expression,
    For,
    If,
    Load,
    LoopProgram,
    Statement,
    Store,
    View,
    b,
    constant,
    contiguous_strides,
    size,
    variable,
    walk,
    whole,
)
from gradc.loops.language.traversal import declared_names, expressions_of, statements_of
from gradc.loops.shaping.expand import unused_name

LARGE: Final = 1024 * 1024
"""The bytes from which a matrix is worth reading once: about what a second cache holds."""

LEAST_ROW: Final = 1024
"""The same for a row, where their number is symbolic: a choice between strips and none leaves no epilogue."""

NARROW: Final = 16
"""The most columns of what it meets: a wider product takes more time than reading the matrix does."""

STRIP_BYTES: Final = 28 * 1024
STRIP_MULTIPLE: Final = 8
"""A strip of the matrix has at most so many bytes, less than a first cache, and a multiple of so many rows."""


def in_strips(program: LoopProgram) -> LoopProgram:
    """The program with such pairs of contractions in strips; itself where there are none.

    Where the number of rows is symbolic, the kernel decides when it is called.
    """
    body = program.body
    start = 0
    while start < len(body):
        for end in range(start + 1, len(body)) if _has_rows(program, body[start], summed=False) else ():
            if not _has_rows(program, body[end], summed=True):
                continue
            found = _group(program, body[start : end + 1])
            if found is not None:
                names = set(program.buffer) | declared_names(body)
                if isinstance(found.length, int):
                    body = (*body[:start], *found.statements(names), *body[end + 1 :])
                    start += len(found.before)
                else:
                    body = (*body[:start], found.choice(body[start : end + 1], names), *body[end + 1 :])
                break
        start += 1
    return program if body is program.body else replace(program, body=body)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A contraction whose letter ``letter`` counts the rows of its operand ``view``."""

    call: Call
    contraction: Contraction
    view: View
    letter: str
    stride: int


@dataclass(slots=True)
class _Group:
    """Statements that run strip by strip, and those that run before and after all strips."""

    first: _Rows
    last: _Rows
    length: Dim
    strip: int
    result: Buffer
    inside: list[Statement] = field(default_factory=list)
    before: list[Statement] = field(default_factory=list)
    after: list[Statement] = field(default_factory=list)

    def statements(self, names: set[str]) -> list[Statement]:
        """What takes the place of the statements; the result of the last contraction is added up from zero."""
        start = variable(unused_name("strip", names))
        whole_strips = self.length // self.strip * self.strip
        found = list(self.before)
        if not self.last.contraction.accumulate:
            found.append(_zeros(self.result, names))
        found.append(For(str(start), size(0), size(whole_strips), tuple(self._strip(start, self.strip)), self.strip))
        if whole_strips != self.length:
            found += self._strip(size(whole_strips), self.length % self.strip)
        return [*found, *self.after]

    def choice(self, plain: tuple[Statement, ...], names: set[str]) -> Statement:
        """Strips where the rows turn out to be many enough, else the statements as they were."""
        row = self.first.stride * self.first.contraction.dtype.itemsize
        many = b.ge(size(self.length), size(max(-(-LARGE // row), 2 * self.strip)))
        return If(many, tuple(self.statements(names)), plain)

    def _strip(self, start: Expression, rows: Dim) -> list[Statement]:
        statements: list[Statement] = [_part_of(self.first, start, rows, accumulate=self.first.contraction.accumulate)]
        for statement in self.inside:
            assert isinstance(statement, For), "what lies between the contractions are loops over rows"
            statements.append(replace(statement, lo=start, hi=b.add(start, size(rows))))
        return [*statements, _part_of(self.last, start, rows, accumulate=True)]


def _part_of(rows: _Rows, start: Expression, count: Dim, *, accumulate: bool) -> Call:
    """The contraction for ``count`` rows from ``start`` on."""
    contraction = rows.contraction
    sizes = tuple((letter, count if letter == rows.letter else length) for letter, length in contraction.sizes)
    views = []
    for word, view in zip((contraction.lhs, contraction.rhs, contraction.out), rows.call.views, strict=True):
        if rows.letter in word:
            step = view.strides[word.index(rows.letter)]
            view = replace(view, offset=b.add(view.offset, b.mul(start, size(step))))
        views.append(view)
    return Call(replace(contraction, sizes=sizes, accumulate=accumulate), tuple(views))


def _zeros(buffer: Buffer, names: set[str]) -> Statement:
    place = [variable(unused_name("place", names)) for _ in buffer.shape]
    statement: Statement = Store(buffer.name, tuple(place), constant(0, buffer.dtype))
    for level, (index, length) in enumerate(zip(reversed(place), reversed(buffer.shape), strict=True)):
        statement = For(str(index), size(0), size(length), (statement,), mode="vector" if level == 0 else "seq")
    return statement


def _group(program: LoopProgram, block: tuple[Statement, ...]) -> _Group | None:
    """The statements as a group whose first and last are its contractions; None where they are not one."""
    first, last = block[0], block[-1]
    if not (isinstance(first, Call) and isinstance(last, Call)):
        return None
    group = _pair(program, first, last)
    if group is None:
        return None
    buffers = program.buffer
    (out,) = writes_of(first)
    by_row = {out: _row_bytes(buffers[out])}
    reads, writes, totals = reads_of(first), {out}, set[str]()
    later_reads, later_writes = set[str](), set[str]()
    remarks: list[Statement] = []
    for statement in block[1:]:
        if isinstance(statement, Comment):
            remarks.append(statement)
            continue
        read, written = reads_of(statement), writes_of(statement)
        waits = meet(read | written, later_writes, buffers) or meet(written, later_reads, buffers)
        if statement is last:
            if waits or meet(read, totals, buffers) or meet(written, reads | writes, buffers):
                return None
            break
        needs_group = meet(read | written, writes, buffers)
        rows = _by_row(statement, group.length, by_row, writes, buffers) if needs_group and not waits else None
        if rows is not None and not meet(read, totals, buffers):
            by_row |= rows
            totals |= {name for name in written - rows.keys() if name in buffers or name in _accumulated(statement)}
            reads, writes = reads | read, writes | written
            group.inside.append(statement)
            remarks = []
        elif needs_group or waits or meet(written, reads, buffers):
            group.after += [*remarks, statement]
            later_reads, later_writes, remarks = later_reads | read, later_writes | written, []
        else:
            group.before += [*remarks, statement]
            remarks = []
    if not _rows_apart(by_row, buffers) or not _enters_by_row(group.last, by_row, writes, buffers):
        return None
    return group


def _pair(program: LoopProgram, first: Call, last: Call) -> _Group | None:
    """The two contractions, where they share the rows of a large matrix and all else of theirs is narrow."""
    for one in _rows_of(program, first, summed=False):
        for other in _rows_of(program, last, summed=True):
            length = dict(one.contraction.sizes)[one.letter]
            same = one.view == other.view and one.stride == other.stride
            if not same or length != dict(other.contraction.sizes)[other.letter]:
                continue
            out, result = (program.buffer[call.views[2].buffer] for call in (first, last))
            if first.views[2] != whole(out) or not _fills(last, result):
                continue
            limit = max(STRIP_BYTES // (one.stride * one.contraction.dtype.itemsize), STRIP_MULTIPLE)
            if not isinstance(length, int) or length >= 2 * limit:
                return _Group(one, other, length, _strip_of(length, limit), result)
    return None


def _fills(call: Call, buffer: Buffer) -> bool:
    """Whether the result of a contraction is all of a buffer, perhaps in another shape."""
    contraction = call.callee
    assert isinstance(contraction, Contraction), "only contractions are divided into strips"
    sizes = dict(contraction.sizes)
    shape = tuple(sizes[letter] for letter in contraction.out)
    same_size = size_of(shape) == size_of(buffer.shape)
    return same_size and call.views[2] == View(buffer.name, contiguous_strides(shape))


def _has_rows(program: LoopProgram, statement: Statement, *, summed: bool) -> bool:
    """Whether a statement may be the first or the last of a group."""
    return isinstance(statement, Call) and bool(_rows_of(program, statement, summed=summed))


def _rows_of(program: LoopProgram, call: Call, *, summed: bool) -> list[_Rows]:
    """The ways to see a contraction as one over the rows of a large matrix, which are summed over or kept."""
    contraction = call.callee
    found: list[_Rows] = []
    if not isinstance(contraction, Contraction) or len(call.views) != 3:
        return found
    sizes = dict(contraction.sizes)
    words = (contraction.lhs, contraction.rhs)
    for word, other, view in zip(words, reversed(words), call.views[:2], strict=True):
        strides = dict(zip(word, view.strides, strict=True))
        if not all(isinstance(number, int) for number in strides.values()):
            continue
        letter = max(word, key=lambda x: int(strides[x]), default="")
        if not all(isinstance(length, int) for x, length in sizes.items() if x != letter):
            continue
        narrow = math.prod(int(sizes[x]) for x in other if x not in word) <= NARROW
        stays = letter in contraction.out
        own = letter and (letter in other) == summed and stays != summed
        first_axis = summed or contraction.out[:1] == letter
        row_bytes = math.prod(int(sizes[x]) for x in word if x != letter) * contraction.dtype.itemsize
        large = letter and _may_be_large(sizes[letter], row_bytes)
        if own and narrow and first_axis and large and int(strides[letter]) > 1:
            found.append(_Rows(call, contraction, view, letter, int(strides[letter])))
    return found


def _may_be_large(rows: Dim, row_bytes: int) -> bool:
    return rows * row_bytes >= LARGE if isinstance(rows, int) else row_bytes >= LEAST_ROW


def _strip_of(length: Dim, limit: int) -> int:
    """How many rows: a divisor of their number if there is one of about the limit."""
    limit -= limit % STRIP_MULTIPLE
    for rows in range(limit, limit // 2, -STRIP_MULTIPLE) if isinstance(length, int) else ():
        if length % rows == 0:
            return rows
    return limit


def _by_row(
    statement: Statement, length: Dim, by_row: dict[str, int], writes: set[str], buffers: dict[str, Buffer]
) -> dict[str, int] | None:
    """The buffers that a loop over all rows writes one row of in each iteration; None where it is no such loop.

    What the group has written is read in the same row alone; anything else that it writes is added up over rows.
    """
    if not isinstance(statement, For) or statement.carry or statement.step != 1:
        return None
    if statement.lo != size(0) or statement.hi != size(length):
        return None
    written = [buffers[name] for name in writes_of(statement) if name in buffers]
    if not all(isinstance(width, int) for buffer in written for width in buffer.shape[1:]):
        return None
    row = variable(statement.var)
    found: dict[str, int] = {}
    for inner in statements_of(statement.body):
        if isinstance(inner, Call):
            return None
        for part in walk(*expressions_of(inner)):
            if (
                isinstance(part, Load)
                and part.buffer in writes
                and (part.buffer not in by_row or part.index[:1] != (row,))
            ):
                return None
            if isinstance(part, Load) and part.buffer not in writes and meet({part.buffer}, writes, buffers):
                return None
        if isinstance(inner, (Store, Accumulate)) and inner.buffer in buffers:
            if inner.index[:1] == (row,) and len(inner.index) == len(buffers[inner.buffer].shape):
                found[inner.buffer] = _row_bytes(buffers[inner.buffer])
            elif not isinstance(inner, Accumulate):
                return None
    inside = declared_names(statement.body)
    total = {s.buffer for s in statements_of(statement.body) if isinstance(s, Accumulate)} - inside - found.keys()
    stored = {s.buffer for s in statements_of(statement.body) if isinstance(s, Store)} - inside - found.keys()
    loaded = {p.buffer for s in statements_of(statement.body) for p in walk(*expressions_of(s)) if isinstance(p, Load)}
    return None if stored or total & loaded else found


def _accumulated(statement: Statement) -> set[str]:
    return {s.buffer for s in statements_of((statement,)) if isinstance(s, Accumulate)}


def _row_bytes(buffer: Buffer) -> int:
    return math.prod(int(length) for length in buffer.shape[1:]) * buffer.dtype.itemsize


def _rows_apart(by_row: dict[str, int], buffers: dict[str, Buffer]) -> bool:
    """Whether buffers that share memory share it row by row, so that a strip touches its own rows alone."""
    names = list(by_row)
    return all(
        not meet({one}, {other}, buffers)
        or (buffers[one].offset == buffers[other].offset and by_row[one] == by_row[other])
        for position, one in enumerate(names)
        for other in names[:position]
    )


def _enters_by_row(last: _Rows, by_row: dict[str, int], writes: set[str], buffers: dict[str, Buffer]) -> bool:
    """Whether the last contraction reads what the group wrote row by row, and nothing else of the group's."""
    contraction = last.contraction
    for word, view in zip((contraction.lhs, contraction.rhs), last.call.views[:2], strict=True):
        if view is last.view or not meet({view.buffer}, writes, buffers):
            continue
        if view.buffer not in by_row or view != whole(buffers[view.buffer]) or word[:1] != last.letter:
            return False
    return True
