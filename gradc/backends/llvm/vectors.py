"""Loops of independent iterations as vector instructions: several iterations at once.

What an iteration computes is told apart by its pace, how much it changes from one iteration to the next. Integers with
a pace stay scalars, of the first iteration of a batch; where it is 0 they are the same for all. The rest is computed
in vectors, by the same primitives as single numbers and so with the same bits. A batch may have fewer iterations than
its vectors have lanes: memory is only touched for those that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from gradc.backends.llvm.batches import Batch, Paces, at_most, is_crowded, registers
from gradc.backends.llvm.primitives import emit_primitive
from gradc.backends.llvm.types import constant_operand, memory_type, scalar_type, vector_type
from gradc.backends.llvm.values import ValueEmitter, is_number
from gradc.ir.aval import Dim
from gradc.loops.language.program import (
    Accumulate,
    Apply,
    Check,
    Constant,
    Expression,
    For,
    Let,
    Load,
    Store,
    Variable,
    b,
    contiguous_strides,
    walk,
)
from gradc.loops.language.traversal import buffers_named, expressions_of

LONGEST: Final = 4
"""Registers of a value that is computed at once in a short loop, which needs no branch then."""

MASKED: Final = 512
"""Registers of this many bits come with masks (AVX-512), by which a loop of unknown length ends in one more batch."""

MASKED_NUMBERS: Final = 256
"""Registers of this many bits come with masks for numbers of 4 and 8 bytes (AVX)."""


class VectorEmitter(ValueEmitter):
    """Emits loops whose iterations can run at once."""

    def _batches(self, loop: For) -> For | None:
        """The loop in batches; what is left of it, where its length is not known."""
        target = self.writer.module.target
        elements, factor = registers(loop.body, target)
        dense = self._is_dense(loop)
        lanes, longest = (elements * factor, elements * LONGEST) if dense else (elements, elements)
        masks = dense and self._has_masks(loop)
        most = at_most(loop)
        if masks and most is not None and most <= longest:
            lo, hi = self._expressions(loop.lo, loop.hi)
            self._masked(loop, lo, hi, _lanes_of(most))
            return None
        if not isinstance(loop.lo, Constant) or not isinstance(loop.hi, Constant):
            length = b.maximum(b.sub(loop.hi, loop.lo), 0)
            end = b.add(loop.lo, b.sub(length, b.mod(length, lanes)))
            first, last = self._expressions(loop.lo, end)
            self._counted(loop.var, first, last, lanes, lambda first: self._batch(loop, first, lanes, lanes))
            if not masks:
                return For(loop.var, end, loop.hi, loop.body)
            (hi,) = self._expressions(loop.hi)
            self._masked(loop, last, hi, lanes)
            return None
        start, count = int(loop.lo.value), int(loop.hi.value) - int(loop.lo.value)
        if count <= 0:
            return None
        if count <= longest:
            each = elements if count % elements == 0 and is_crowded(loop.body, count // elements, target) else count
            for begin in range(start, start + count, each):
                self._batch(loop, str(begin), _lanes_of(each), each)
            return None
        rest = count % lanes
        stop = str(start + count - rest)
        if stop != str(start):
            self._counted(loop.var, str(start), stop, lanes, lambda first: self._batch(loop, first, lanes, lanes))
        if rest:
            self._batch(loop, stop, _lanes_of(rest), rest)
        return None

    def _is_dense(self, loop: For) -> bool:
        """Whether all that a loop touches lies element by element, or is the same for all iterations."""
        paces = Paces(loop.var)
        for statement in loop.body:
            places = [(p.buffer, p.index) for p in walk(*expressions_of(statement)) if isinstance(p, Load)]
            if isinstance(statement, (Store, Accumulate)):
                places.append((statement.buffer, statement.index))
            if isinstance(statement, Let):
                paces.name(statement)
            if any(paces.step(index, self._strides(name, index)) not in (0, 1) for name, index in places):
                return False
        return True

    def _has_masks(self, loop: For) -> bool:
        """Whether all that a loop touches can be read and written under a mask."""
        bits = self.writer.module.target.vector_bits
        sizes = [self._buffers[name].dtype.itemsize for name in buffers_named(loop.body)]
        return bits >= MASKED or (bits >= MASKED_NUMBERS and min(sizes, default=0) >= 4)

    def _masked(self, loop: For, first: str, hi: str, lanes: int) -> None:
        """The iterations from ``first`` to ``hi``, less than a batch, if there are some."""
        writer = self.writer
        rest, after = writer.name(f"{loop.var}.rest"), writer.name(f"{loop.var}.after")
        some = writer.value(f"icmp slt i64 {first}, {hi}")
        writer.line(f"br i1 {some}, label %{rest}, label %{after}")
        writer.label(rest)
        count = self._spread(writer.value(f"sub i64 {hi}, {first}"), "i64", 0, lanes)
        numbers = ", ".join(f"i64 {lane}" for lane in range(lanes))
        mask = writer.value(f"icmp slt {vector_type('i64', lanes)} <{numbers}>, {count}")
        self._batch(loop, first, lanes, lanes, mask)
        writer.line(f"br label %{after}")
        writer.label(after)

    def _counted(self, var: str, lo: str, hi: str, step: int, body: Callable[[str], None]) -> None:
        """A loop over batches."""
        writer = self.writer
        index, label, after = (writer.name(f"{var}{part}") for part in ("", ".body", ".end"))
        before = writer.block
        if is_number(lo) and is_number(hi):
            writer.line(f"br label %{label}")
        else:
            runs = writer.value(f"icmp slt i64 {lo}, {hi}")
            writer.line(f"br i1 {runs}, label %{label}, label %{after}")
        writer.label(label)
        head = len(writer.lines)
        body(f"%{index}")
        writer.line(f"%{index}.step = add nsw i64 %{index}, {step}")
        again = writer.value(f"icmp slt i64 %{index}.step, {hi}")
        writer.lines.insert(head, f"  %{index} = phi i64 [ {lo}, %{before} ], [ %{index}.step, %{writer.block} ]")
        writer.line(f"br i1 {again}, label %{label}, label %{after}")
        writer.label(after)

    def _batch(self, loop: For, first: str, lanes: int, count: int, mask: str = "") -> None:
        """The iterations from ``first`` on."""
        self._scalars[loop.var] = first
        self._memo.append({})
        written = frozenset(s.buffer for s in loop.body if isinstance(s, (Store, Accumulate)))
        batch = Batch(Paces(loop.var), lanes, count, written, mask)
        for statement in loop.body:
            match statement:
                case Let(name=name, value=value):
                    if batch.paces.name(statement) is not None:
                        self._let(name, value)
                    else:
                        batch.names[name] = self.writer.rename(self._in_lanes(batch, value)[0], name)
                        if value in batch.known:
                            batch.known[value] = batch.names[name]
                case Store(buffer=buffer, index=index, value=value):
                    *places, stored = self._in_lanes(batch, *self._varying(batch, index), value)
                    self._put(batch, buffer, index, places, stored)
                case Accumulate(op=op, buffer=buffer, index=index, value=value):
                    *places, term = self._in_lanes(batch, *self._varying(batch, index), value)
                    before = self._get(batch, buffer, index, places)
                    with self.writer.in_lanes(lanes):
                        after = emit_primitive(self.writer, op, value.dtype, value.dtype, (before, term))
                    self._put(batch, buffer, index, places, after)
                case Check():
                    self._check_lanes(batch, statement)
        self._memo.pop()

    def _check_lanes(self, batch: Batch, check: Check) -> None:
        """Of the iterations that fail a check, the largest status is kept."""
        writer, i64, bools = self.writer, np.dtype(np.int64), np.dtype(np.bool_)
        holds, told = self._in_lanes(batch, check.condition, check.value)
        with writer.in_lanes(batch.lanes):
            t, mask, zero = writer.type(i64), writer.type(bools), writer.number("0", i64)
            status, holds = self._status(check.code, told), holds if holds[0] == "%" else writer.number(holds, bools)
            status = status if status[0] == "%" else writer.number(status, i64)
            failed = writer.value(f"select {mask} {holds}, {t} {zero}, {t} {status}")
            there = batch.mask or f"<{', '.join(f'i1 {lane < batch.count}'.lower() for lane in range(batch.lanes))}>"
            failed = writer.value(f"select {mask} {there}, {t} {failed}, {t} {zero}")
            symbol = f"@llvm.vector.reduce.umax.{writer.suffix(i64)}"
        writer.module.declare(f"declare i64 {symbol}({t})")
        self._raise_status(writer.value(f"call i64 {symbol}({t} {failed})"))

    # Expressions

    def _in_lanes(self, batch: Batch, *roots: Expression) -> list[str]:
        """The vectors of expressions, each distinct part computed once; a number stands for itself."""
        known: dict[Expression, str] = {}
        for part in walk(*roots):
            if batch.paces.of(part) is None:
                known[part] = self._found_in_lanes(batch, part) or self._computed_in_lanes(batch, part, known)
        return [self._operand(batch, root, known) for root in roots]

    def _found_in_lanes(self, batch: Batch, part: Expression) -> str | None:
        return batch.names.get(part.name) if isinstance(part, Variable) else batch.known.get(part)

    def _computed_in_lanes(self, batch: Batch, part: Expression, known: dict[Expression, str]) -> str:
        if isinstance(part, Load):
            places = [self._operand(batch, i, known) for i in self._varying(batch, part.index)]
            value = self._get(batch, part.buffer, part.index, places)
            stable = part.buffer not in batch.written
        else:
            assert isinstance(part, Apply), "constants, sizes and variables of other loops have the pace 0"
            operands = tuple([self._operand(batch, operand, known) for operand in part.arguments])
            with self.writer.in_lanes(batch.lanes):
                value = emit_primitive(self.writer, part.primitive, part.arguments[-1].dtype, part.dtype, operands)
            stable = True
        if stable and all(self._holds(batch, operand) for operand in part.operands):
            batch.known[part] = value
        return value

    def _holds(self, batch: Batch, part: Expression) -> bool:
        return batch.paces.of(part) is not None or self._found_in_lanes(batch, part) is not None

    def _operand(self, batch: Batch, part: Expression, known: dict[Expression, str]) -> str:
        """A part as a vector, or as the number that it is."""
        pace = batch.paces.of(part)
        if pace is None:
            return known[part]
        if isinstance(part, Constant):
            return constant_operand(part)
        (scalar,) = self._expressions(part)
        kind = scalar_type(part.dtype)
        key = scalar, kind, pace
        if key not in batch.spread:
            batch.spread[key] = self._spread(scalar, kind, pace, batch.lanes)
        return batch.spread[key]

    def _spread(self, scalar: str, kind: str, pace: int, lanes: int) -> str:
        """A scalar in every lane, ``pace`` more in each."""
        writer, t = self.writer, vector_type(kind, lanes)
        first = writer.value(f"insertelement {t} poison, {kind} {scalar}, i64 0")
        value = writer.value(f"shufflevector {t} {first}, {t} poison, <{lanes} x i32> zeroinitializer")
        if not pace:
            return value
        steps = ", ".join(f"{kind} {pace * lane}" for lane in range(lanes))
        return writer.value(f"add {t} {value}, <{steps}>")

    # Memory

    def _varying(self, batch: Batch, index: Sequence[Expression]) -> list[Expression]:
        """The indices that have no pace."""
        return [i for i in index if batch.paces.of(i) is None]

    def _places(
        self, batch: Batch, name: str, index: Sequence[Expression], varying: Sequence[str]
    ) -> tuple[str, int | None, str]:
        """The pointer of the first iteration, the step to the next one's; where there is none, places in a vector."""
        strides = self._strides(name, index)
        step = batch.paces.step(index, strides)
        fixed = [i if batch.paces.of(i) is not None else b.constant(0) for i in index]
        pointer = self._address(name, self._expressions(*fixed))
        if step is not None:
            return pointer, step, ""
        t, places, rest = vector_type("i64", batch.lanes), "", iter(varying)
        terms: list[tuple[str, str]] = []
        for i, stride in zip(index, strides, strict=True):
            pace = batch.paces.of(i)
            if pace != 0:
                steps = ", ".join(f"i64 {(pace or 0) * lane}" for lane in range(batch.lanes))
                terms.append((next(rest) if pace is None else f"<{steps}>", self._dims.operand(stride)))
        key = tuple(terms)
        if key not in batch.places:
            for term, by in terms:
                if by != "1":
                    term = self.writer.value(f"mul {t} {term}, {self._spread(by, 'i64', 0, batch.lanes)}")
                places = self.writer.value(f"add {t} {places}, {term}") if places else term
            batch.places[key] = places
        return pointer, None, batch.places[key]

    def _strides(self, name: str, index: Sequence[Expression]) -> Sequence[Dim]:
        """The distances between elements of a buffer along the axes that an index has."""
        shape = self._buffers[name].shape
        return contiguous_strides(shape) if len(index) == len(shape) else (1,)

    def _lane(self, batch: Batch, element: str, pointer: str, step: int | None, places: str, lane: int) -> str:
        """The pointer of one iteration."""
        writer = self.writer
        if step is not None:
            return writer.value(f"getelementptr inbounds {element}, ptr {pointer}, i64 {step * lane}")
        if (places, lane) not in batch.extracted:
            t = vector_type("i64", batch.lanes)
            batch.extracted[places, lane] = writer.value(f"extractelement {t} {places}, i64 {lane}")
        place = batch.extracted[places, lane]
        return writer.value(f"getelementptr inbounds {element}, ptr {pointer}, i64 {place}")

    def _get(self, batch: Batch, name: str, index: Sequence[Expression], varying: Sequence[str]) -> str:
        """The elements of a buffer for the iterations of a batch."""
        writer, dtype = self.writer, self._buffers[name].dtype
        element = memory_type(dtype)
        t = vector_type(element, batch.lanes)
        pointer, step, places = self._places(batch, name, index, varying)
        if batch.mask and self._holds_all(batch, name, index):
            value = writer.value(f"load {t}, ptr {pointer}, align {dtype.itemsize}")
        elif batch.mask:
            symbol = f"@llvm.masked.load.{self._masked_suffix(batch, element)}"
            masks = vector_type("i1", batch.lanes)
            writer.module.declare(f"declare {t} {symbol}(ptr, i32, {masks}, {t})")
            known = f"ptr {pointer}, i32 {dtype.itemsize}, {masks} {batch.mask}"
            value = writer.value(f"call {t} {symbol}({known}, {t} zeroinitializer)")
        elif step == 1 and batch.count > 1:
            part = vector_type(element, batch.count)
            value = writer.value(f"load {part}, ptr {pointer}, align {dtype.itemsize}")
            if batch.count < batch.lanes:
                lanes = ", ".join(f"i32 {min(lane, batch.count)}" for lane in range(batch.lanes))
                other = f"{part} zeroinitializer"
                value = writer.value(f"shufflevector {part} {value}, {other}, <{batch.lanes} x i32> <{lanes}>")
        else:
            value = "poison" if batch.count == batch.lanes else "zeroinitializer"
            for lane in range(batch.count):
                place = self._lane(batch, element, pointer, step, places, lane)
                loaded = writer.value(f"load {element}, ptr {place}, align {dtype.itemsize}")
                value = writer.value(f"insertelement {t} {value}, {element} {loaded}, i64 {lane}")
        return writer.value(f"icmp ne {t} {value}, zeroinitializer") if dtype.kind == "b" else value

    def _put(self, batch: Batch, name: str, index: Sequence[Expression], varying: Sequence[str], value: str) -> None:
        """Write the elements of the iterations of a batch."""
        writer, dtype = self.writer, self._buffers[name].dtype
        element = memory_type(dtype)
        t = vector_type(element, batch.lanes)
        if is_number(value):
            with writer.in_lanes(batch.lanes):
                value = writer.number(value, dtype)
        if dtype.kind == "b":
            value = writer.value(f"zext {vector_type('i1', batch.lanes)} {value} to {t}")
        pointer, step, places = self._places(batch, name, index, varying)
        if batch.mask and self._holds_all(batch, name, index):
            before = writer.value(f"load {t}, ptr {pointer}, align {dtype.itemsize}")
            after = writer.value(f"select {vector_type('i1', batch.lanes)} {batch.mask}, {t} {value}, {t} {before}")
            writer.line(f"store {t} {after}, ptr {pointer}, align {dtype.itemsize}")
            return
        if batch.mask:
            symbol = f"@llvm.masked.store.{self._masked_suffix(batch, element)}"
            masks = vector_type("i1", batch.lanes)
            writer.module.declare(f"declare void {symbol}({t}, ptr, i32, {masks})")
            known = f"ptr {pointer}, i32 {dtype.itemsize}, {masks} {batch.mask}"
            writer.line(f"call void {symbol}({t} {value}, {known})")
            return
        if step != 1 or batch.count == 1:
            for lane in range(batch.count):
                place = self._lane(batch, element, pointer, step, places, lane)
                one = writer.value(f"extractelement {t} {value}, i64 {lane}")
                writer.line(f"store {element} {one}, ptr {place}, align {dtype.itemsize}")
            return
        part = vector_type(element, batch.count)
        if batch.count < batch.lanes:
            lanes = ", ".join(f"i32 {lane}" for lane in range(batch.count))
            value = writer.value(f"shufflevector {t} {value}, {t} poison, <{batch.count} x i32> <{lanes}>")
        writer.line(f"store {part} {value}, ptr {pointer}, align {dtype.itemsize}")

    def _holds_all(self, batch: Batch, name: str, index: Sequence[Expression]) -> bool:
        """Whether a small buffer of one axis has an element for every lane of a batch that starts with its first.

        All of it is then read and written, with or without an iteration, so that it can live in registers.
        """
        buffer = self._buffers[name]
        if buffer.kind != "local" or buffer.shape != (batch.lanes,) or batch.paces.of(index[0]) != 1:
            return False
        return self._expressions(index[0]) == ["0"]

    def _masked_suffix(self, batch: Batch, element: str) -> str:
        kind = {"float": "f32", "double": "f64"}.get(element, element)
        return f"v{batch.lanes}{kind}.p0"


def _lanes_of(count: int) -> int:
    """The lanes of vectors for ``count`` iterations."""
    return max(2, 1 << (count - 1).bit_length())
