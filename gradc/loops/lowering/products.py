"""Contractions as loops that add up in a stated order.

What a backend's kernels of contractions do, element by element: another backend that writes it out gets the same bits.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gradc.ir.aval import Dim, size_of
from gradc.ir.target import Target
from gradc.loops.language.epilogue import finish_of
from gradc.loops.language.expressions import load_from
from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Buffer,
    Call,
    Constant,
    Contraction,
    Expression,
    For,
    If,
    Let,
    Local,
    LoopProgram,
    Statement,
    Store,
    View,
    b,
    constant,
    size,
    variable,
)
from gradc.loops.language.traversal import declared_names
from gradc.loops.lowering.partial_sums import LISTED, cleared, folded, pairwise
from gradc.loops.lowering.sums import SumOrder, cut
from gradc.loops.shaping.expand import unused_name

COLUMNS: Final = 128
"""Elements of a row of the result that are summed side by side where that is all of them."""

TILE: Final = 64
"""The same of a longer row."""

OrderOf = Callable[[Call], SumOrder | None]
"""The order of a contraction; None where it stays."""


def with_products(program: LoopProgram, target: Target, order_of: OrderOf) -> LoopProgram:
    """The program with every contraction that has an order as loops in its place."""

    def block(statements: Sequence[Statement], names: frozenset[str]) -> tuple[Statement, ...]:
        names |= _directly(statements)
        result: list[Statement] = []
        for statement in statements:
            new = replaced(statement, names)
            names |= _directly(new)
            result += new
        return tuple(result)

    def replaced(statement: Statement, names: frozenset[str]) -> Sequence[Statement]:
        match statement:
            case For(var=var, body=body):
                return [replace(statement, body=block(body, names | {var}))]
            case If(then=then, otherwise=otherwise):
                return [replace(statement, then=block(then, names), otherwise=block(otherwise, names))]
            case Call(callee=Contraction()) if (order := order_of(statement)) is not None:
                return _Product(program, statement, order, target, set(names)).statements()
        return [statement]

    outer = frozenset(program.buffer)
    functions = tuple(
        replace(f, body=block(f.body, outer | {p.name for p in f.parameters} | set(f.scalars)))
        for f in program.functions
    )
    return replace(program, body=block(program.body, outer), functions=functions)


def _directly(statements: Sequence[Statement]) -> set[str]:
    """The names that a block declares for what comes after."""
    found: set[str] = set()
    for statement in statements:
        match statement:
            case Let(name=name):
                found.add(name)
            case Local(buffer=local):
                found.add(local.name)
            case For(carry=carry):
                found |= {name for carried in carry for name in (carried.now, carried.next)}
    return found


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis that is summed: its length, and the strides in both operands."""

    length: Dim
    left: int
    right: int


class _Product:
    """The loops of one contraction; ``taken`` are the names around it."""

    def __init__(self, program: LoopProgram, call: Call, order: SumOrder, target: Target, taken: set[str]) -> None:
        contraction = call.callee
        assert isinstance(contraction, Contraction), "a product is a contraction"
        self.contraction = contraction
        self.order = order
        self.fused = target.fma
        self.sizes = dict(contraction.sizes)
        self.lhs, self.rhs, self.out = call.views[:3]
        self.epilogue = call.epilogue
        self.keeps = call.epilogue is None or self.out not in _stores(call, program)
        if call.epilogue is not None:
            taken |= {call.epilogue.element, *call.epilogue.index, *declared_names(call.epilogue.body)}
        self.taken = taken
        self.index = self._indices()

    def _indices(self) -> dict[str, Expression]:
        """Where each letter of the result is: the epilogue's variable, another one, or 0 where the length is 1."""
        out = self.contraction.out
        if self.epilogue is not None:
            return {letter: variable(name) for letter, name in zip(out, self.epilogue.index, strict=True)}
        sizes = self.sizes
        return {x: ZERO if sizes[x] == 1 else variable(unused_name(x, self.taken)) for x in out}

    def statements(self) -> list[Statement]:
        """The nest."""
        summed = [letter for letter, n in self.sizes.items() if letter not in self.contraction.out and n != 1]
        self.axes = self._joined(summed)
        self.depth: Dim = size_of(tuple(self.sizes[letter] for letter in summed))
        self.k = variable(unused_name(summed[-1] if summed else "k", self.taken))
        kept = [letter for letter in self.contraction.out if self.sizes[letter] != 1 or self.epilogue is not None]
        if not summed:
            return self._nest(kept, self._finish(b.mul(*self._factors(()))))
        if self.order.lanes * self.order.vectors > 1:
            return self._nest(kept, self._dot())
        return self._rows(kept)

    # Elements.

    def _operands(self) -> tuple[tuple[View, str], tuple[View, str]]:
        return (self.lhs, self.contraction.lhs), (self.rhs, self.contraction.rhs)

    def _joined(self, summed: Sequence[str]) -> list[_Axis]:
        """What is summed, from the outermost in, as the kernels go through it; letters that strides join are one axis.

        Those of symbolic lengths are joined always: a contraction with an order has no others.
        """
        (lhs, left), (rhs, right) = self._operands()
        found = [_Axis(self.sizes[x], _step(lhs, left, x), _step(rhs, right, x)) for x in summed]
        axes: list[_Axis] = []
        for axis in sorted(found, key=lambda a: (a.left, a.right), reverse=True):
            if axes and (axes[-1].left, axes[-1].right) == (axis.left * axis.length, axis.right * axis.length):
                axis = replace(axis, length=axes.pop().length * axis.length)
            axes.append(axis)
        return axes

    def _factors(self, ks: Sequence[Expression]) -> tuple[Expression, Expression]:
        """The elements of both operands for a term, by its place on each axis that is summed."""
        (lhs, left), (rhs, right) = self._operands()
        return (
            self._element(lhs, left, list(zip(ks, [axis.left for axis in self.axes], strict=True))),
            self._element(rhs, right, list(zip(ks, [axis.right for axis in self.axes], strict=True))),
        )

    def _element(self, view: View, word: str, ks: Sequence[tuple[Expression, int]] = ()) -> Expression:
        return load_from(view.buffer, self.contraction.dtype, self._place(view, word, ks))

    def _place(self, view: View, word: str, ks: Sequence[tuple[Expression, int]] = ()) -> tuple[Expression, ...]:
        """The index of an element, the longest strides first."""
        strides = {letter: _step(view, word, letter) for letter in word if letter in self.index}
        terms = [(stride, b.mul(self.index[letter], size(stride))) for letter, stride in strides.items()]
        terms += [(step, b.mul(k, size(step))) for k, step in ks]
        place = view.offset
        for _, term in sorted(terms, key=lambda item: item[0], reverse=True):
            place = b.add(place, term)
        return (place,)

    def _added(self, total: Expression, *ks: Expression) -> Expression:
        """A term added to a sum."""
        left, right = self._factors(ks)
        return b.fma(left, right, total) if self.fused else b.add(total, b.mul(left, right))

    def _nest(self, letters: Sequence[str], body: list[Statement]) -> list[Statement]:
        """``body`` for each element along some letters of the result."""
        for letter in reversed(letters):
            body = [For(str(self.index[letter]), ZERO, size(self.sizes[letter]), tuple(body))]
        return body

    def _finish(self, total: Expression) -> list[Statement]:
        """What becomes of the sum of an element, all its terms in one block."""
        place = self._place(self.out, self.contraction.out)
        if self.epilogue is None:
            return (
                [Accumulate("add", self.out.buffer, place, total)]
                if self.contraction.accumulate
                else [Store(self.out.buffer, place, total)]
            )
        if self.contraction.accumulate:
            total = b.add(load_from(self.out.buffer, self.contraction.dtype, place), total)
        element = Let(self.epilogue.element, total)
        kept = [Store(self.out.buffer, place, element.variable)] if self.keeps else []
        return [element, *kept, *self.epilogue.body]

    def _later(self, total: Expression, start: Expression) -> list[Statement]:
        """The sum of the block from ``start`` on goes to the element."""
        place = self._place(self.out, self.contraction.out)
        add = Accumulate("add", self.out.buffer, place, total)
        if self.contraction.accumulate:
            return [add]
        return [If(b.eq(start, 0), (Store(self.out.buffer, place, total),), (add,))]

    def _rest(self) -> list[Statement]:
        """The epilogue, where the result has its sums from blocks."""
        if self.epilogue is None:
            return []
        whole = self._element(self.out, self.contraction.out)
        return [Let(self.epilogue.element, whole), *self.epilogue.body]

    # Blocks.

    def _block_length(self) -> tuple[list[Statement], Expression | None]:
        """How many terms a block has, after some lets; None where all terms are one block."""
        depth, blocks, longer = self.depth, self.order.blocks, self.order.longer
        if isinstance(depth, int) and depth <= blocks.length and longer is None:
            return [], None
        length = size(blocks.length)
        if longer is not None:
            dim, least, others = longer
            length = b.select(b.ge(size(dim), least), others.length, length)
        if blocks.even:
            terms = b.maximum(size(depth), 1)
            count = b.floor_div(b.sub(b.add(terms, length), 1), length)
            length = b.floor_div(b.sub(b.add(terms, count), 1), count)
        if isinstance(length, Constant):
            return [], length
        let = Let(unused_name(f"{self.k}_block", self.taken), length)
        return [let], let.variable

    def _over_blocks(
        self, length: Expression, body: Callable[[Expression, Expression], list[Statement]]
    ) -> list[Statement]:
        """``body`` for the start and the end of each block; once where there are no terms."""
        start, end = (variable(unused_name(f"{self.k}_{word}", self.taken)) for word in ("start", "end"))
        stop = Let(str(end), b.minimum(b.add(start, length), size(self.depth)))
        if isinstance(length, Constant):
            return [For(str(start), ZERO, size(self.depth), (stop, *body(start, end)), int(length.value))]
        number = variable(unused_name("block", self.taken))
        terms = b.maximum(size(self.depth), 1)
        count = b.floor_div(b.sub(b.add(terms, length), 1), length)
        begin = Let(str(start), b.mul(number, length))
        return [For(str(number), ZERO, count, (begin, stop, *body(start, end)))]

    # One sum after the other, some columns side by side.

    def _rows(self, kept: list[str]) -> list[Statement]:
        long = [letter for letter in kept if self.sizes[letter] != 1]
        dense = [letter for letter in long if _step(self.out, self.contraction.out, letter) == 1]
        lets, block = self._block_length()
        if not long:
            return [*lets, *self._nest(kept, self._columns("", ZERO, ZERO, (), block))]
        n = (dense or long)[-1]
        outer = [letter for letter in kept if letter != n]
        length, index = self.sizes[n], self.index[n]
        if isinstance(length, int) and length <= COLUMNS:
            return [*lets, *self._nest(outer, self._columns(str(index), ZERO, size(length), (length,), block))]
        lo, hi = (variable(unused_name(f"{index}_{word}", self.taken)) for word in ("start", "end"))
        stop = Let(str(hi), b.minimum(b.add(lo, TILE), size(length)))
        tile = self._columns(str(index), lo, hi, (TILE,), block)
        return [*lets, *self._nest(outer, [For(str(lo), ZERO, size(length), (stop, *tile), TILE)])]

    def _columns(
        self, var: str, lo: Expression, hi: Expression, shape: tuple[int, ...], block: Expression | None = None
    ) -> list[Statement]:
        """The elements from ``lo`` to ``hi`` of a row, or the one that there is."""
        sums = Buffer(unused_name("sums" if shape else "sum", self.taken), self.contraction.dtype, shape, "local")
        place = (b.sub(variable(var), lo),) if shape else ()
        total = b.load(sums, place)

        def each(*body: Statement) -> list[Statement]:
            return [For(var, lo, hi, body, mode="vector")] if shape else list(body)

        def added(start: Expression, end: Expression) -> list[Statement]:
            clear = cleared(sums, self.taken)
            add = each(Store(sums.name, place, self._added(total, self.k)))
            return [Local(sums), *clear, For(str(self.k), start, end, tuple(add))]

        if len(self.axes) > 1:
            return self._nested(sums, place, each)
        if block is None:
            return [*added(ZERO, size(self.depth)), *each(*self._finish(total))]
        blocks = self._over_blocks(block, lambda start, end: [*added(start, end), *each(*self._later(total, start))])
        return [*blocks, *(each(*self._rest()) if self.epilogue else [])]

    def _nested(
        self, sums: Buffer, place: tuple[Expression, ...], each: Callable[..., list[Statement]]
    ) -> list[Statement]:
        """Some columns, whose sums have their ``place`` in a local, where several axes are summed."""
        total = b.load(sums, place)
        around = self.axes[0].length
        known = isinstance(around, int)
        lengths = [int(axis.length) for axis in self.axes[not known :]]
        level, part = cut(lengths, self.order.blocks.length)
        blocks = [variable(unused_name("block", self.taken)) for _ in lengths[:level]]
        parts = [part, *lengths[level + 1 :]]
        inner = [variable(unused_name(str(self.k), self.taken)) if n > 1 else ZERO for n in parts]
        ks: list[Expression] = [*blocks, *inner]
        counts = lengths[:level]
        if part < lengths[level]:
            number = variable(unused_name("block", self.taken))
            ks[level] = b.add(b.mul(number, part), inner[0])
            blocks, counts = [*blocks, number], [*counts, lengths[level] // part]
        outermost = [] if known else [variable(unused_name("block", self.taken))]
        blocks, ks, lengths_of_blocks = [*outermost, *blocks], [*outermost, *ks], [around] * (not known) + counts
        body = each(Store(sums.name, place, self._added(total, *ks)))
        for k, length in reversed(list(zip(inner, parts, strict=True))):
            body = [For(str(k), ZERO, size(length), tuple(body))] if length > 1 else body
        body = [Local(sums), *cleared(sums, self.taken), *body]
        if not blocks:
            return [*body, *each(*self._finish(total))]
        start = functools.reduce(b.add, blocks)
        body += each(*self._later(total, start))
        for number, count in reversed(list(zip(blocks, lengths_of_blocks, strict=True))):
            body = [For(str(number), ZERO, size(count), tuple(body))]
        return [*self._nothing(around, each), *body, *(each(*self._rest()) if self.epilogue else [])]

    def _nothing(self, length: Dim, each: Callable[..., list[Statement]]) -> list[Statement]:
        """The elements as sums of nothing, where the call tells that there are no terms."""
        if isinstance(length, int) or self.contraction.accumulate:
            return []
        zero = Store(self.out.buffer, self._place(self.out, self.contraction.out), constant(0, self.contraction.dtype))
        return [If(b.eq(size(length), 0), tuple(each(zero)))]

    # Sums in lanes.

    def _dot(self) -> list[Statement]:
        """One element, its terms in lanes."""
        lanes, count = self.order.lanes, self.order.lanes * self.order.vectors
        sums = Buffer(unused_name("sums", self.taken), self.contraction.dtype, (count,), "local")
        lane = variable(unused_name("lane", self.taken))
        total = b.load(sums, (lane,))

        def added(start: Expression, end: Expression) -> list[Statement]:
            rest = b.mod(b.sub(end, start), count)
            whole = b.sub(end, rest)
            group = Store(sums.name, (lane,), self._added(total, b.add(self.k, lane)))
            last = Store(sums.name, (lane,), self._added(total, b.add(whole, lane)))
            return [
                Local(sums),
                *cleared(sums, self.taken),
                For(str(self.k), start, whole, (For(str(lane), ZERO, size(count), (group,), mode="vector"),), count),
                For(str(lane), ZERO, rest, (last,), mode="vector"),
                *folded(sums, lanes, lane),
            ]

        result = pairwise([b.load(sums, (k,)) for k in range(min(lanes, LISTED))])
        lets, block = self._block_length()
        if block is None:
            return [*added(ZERO, size(self.depth)), *self._finish(result)]
        blocks = self._over_blocks(block, lambda start, end: [*added(start, end), *self._later(result, start)])
        return [*lets, *blocks, *self._rest()]


def _step(view: View, word: str, letter: str) -> int:
    """The stride of a letter in a view; a contraction with an order has numbers there."""
    stride = view.strides[word.index(letter)]
    assert isinstance(stride, int), "only strides that are known have an order"
    return stride


def _stores(call: Call, program: LoopProgram) -> Sequence[View]:
    """The views that the epilogue of a contraction writes."""
    finish = finish_of(call, program.buffer)
    return finish.stores if finish is not None else ()
