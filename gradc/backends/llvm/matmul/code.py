"""Instructions on vectors of one dtype, loops that carry values in registers, and the functions they stand in."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from gradc.backends.llvm.math.library import attributes_of
from gradc.backends.llvm.matmul.ways import Part, parts
from gradc.backends.llvm.types import scalar_type, suffix, symbol_name
from gradc.backends.llvm.writer import Module, Writer
from gradc.ir.target import Target

LINE: Final = 64
"""Bytes of a cache line."""

ZMM: Final = 64
"""Bytes of a vector of AVX-512."""

Index = int | str
"""A number that is known now, or the name of an i64."""


@dataclass(slots=True)
class Loop:
    """Inside a loop: its index and the values that it carries; set ``following`` to what the next iteration gets.

    After the loop, ``following`` holds the results.
    """

    index: Index
    values: list[str]
    following: list[str] = field(default_factory=list)


class Library:
    """Internal functions of a module, each defined when it is first asked for."""

    def __init__(self, module: Module, prefix: str, target: Target) -> None:
        self.module = module
        self.target = target
        self._prefix = prefix
        self._symbols: dict[Hashable, str] = {}

    def function(
        self,
        key: Hashable,
        dtype: np.dtype,
        lanes: int,
        parameters: Sequence[str],
        body: Callable[[Code], str],
    ) -> str:
        """The symbol of the function of this key. ``body`` emits its instructions and gives a line about it."""
        key = key, dtype, lanes
        if key not in self._symbols:
            symbol = self._symbols[key] = symbol_name(f"{self._prefix}.matmul.{len(self._symbols) + 1}")
            code = Code(self, dtype, lanes)
            for parameter in parameters:
                code.writer.name(parameter.rpartition("%")[2])
            remark = body(code)
            attributes = f"noinline {attributes_of(self.target, code.writer.lines)}"
            head = f"define internal void {symbol}({', '.join(parameters)}) {attributes} {{"
            lines = [f"; {remark}", head, ".entry:", *code.writer.entry, *code.writer.lines, "  ret void", "}"]
            self.module.functions.append("\n".join(lines))
        return self._symbols[key]

    def call(
        self,
        key: Hashable,
        dtype: np.dtype,
        lanes: int,
        arguments: Mapping[str, str],
        scalars: Sequence[str],
        body: Callable[[Code], str],
    ) -> str:
        """The instruction that calls the function of this key.

        ``arguments`` are by parameter (``ptr noalias %left``); the parameters of ``scalars``, which are of the dtype,
        are called ``%scalar.0`` and so on.
        """
        element = scalar_type(dtype)
        parameters = [*arguments, *(f"{element} %scalar.{position}" for position in range(len(scalars)))]
        symbol = self.function(key, dtype, lanes, parameters, body)
        typed = [f"{parameter.split()[0]} {value}" for parameter, value in arguments.items()]
        typed += [f"{element} {scalar}" for scalar in scalars]
        return f"call void {symbol}({', '.join(typed)})"


class Code:
    """The body of one function. ``lanes`` elements make a vector; ``count`` of a vector are real where it is ragged."""

    def __init__(self, library: Library, dtype: np.dtype, lanes: int, writer: Writer | None = None) -> None:
        self.library = library
        self.dtype = dtype
        self.writer = writer or Writer(library.module)
        self.lanes = lanes
        self.fused = library.target.fma
        self.bytes = dtype.itemsize
        self.element = scalar_type(dtype)
        self.vector = f"<{lanes} x {self.element}>"
        self._suffix = f"v{lanes}{suffix(dtype)}"

    def narrowed(self, count: int) -> Code:
        """The same function, in the narrowest vectors that hold ``count`` elements."""
        lanes = self.lanes
        while lanes >= max(2 * count, 4):
            lanes //= 2
        return self if lanes == self.lanes else Code(self.library, self.dtype, lanes, self.writer)

    def call(
        self, key: Hashable, arguments: Mapping[str, str], body: Callable[[Code], str], scalars: Sequence[str] = ()
    ) -> None:
        """Call the library's function of this key; ``arguments`` are by parameter (``ptr noalias %left``)."""
        self.writer.line(self.library.call(key, self.dtype, self.lanes, arguments, scalars, body))

    # Addresses

    def add(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self.writer.value(f"add nsw i64 {a}, {b}")

    def scale(self, a: Index, factor: Index) -> Index:
        if isinstance(a, int) and isinstance(factor, int):
            return a * factor
        if a == 0 or factor == 0:
            return 0
        if factor == 1:
            return a
        return self.writer.value(f"mul nsw i64 {a}, {factor}")

    def pointer(self, base: str, offset: Index, hint: str = "") -> str:
        """The address of the element ``offset`` after ``base``."""
        if offset == 0:
            return base
        found = self.writer.value(f"getelementptr inbounds {self.element}, ptr {base}, i64 {offset}")
        return self.writer.rename(found, hint) if hint else found

    # Memory

    def load(self, place: str, count: int | None = None) -> str:
        """A vector; of a ragged one the first ``count`` elements, the rest 0."""
        if self._is_whole(count):
            return self.writer.value(f"load {self.vector}, ptr {place}, align {self.bytes}")
        masks = f"<{self.lanes} x i1>"
        name = f"@llvm.masked.load.{self._suffix}.p0"
        self.writer.module.declare(f"declare {self.vector} {name}(ptr, i32, {masks}, {self.vector})")
        return self.writer.value(
            f"call {self.vector} {name}(ptr {place}, i32 {self.bytes}, {masks} {self._mask(count)}, "
            f"{self.vector} zeroinitializer)"
        )

    def store(self, value: str, place: str, count: int | None = None) -> None:
        """Write a vector; of a ragged one the first ``count`` elements."""
        if self._is_whole(count):
            self.writer.line(f"store {self.vector} {value}, ptr {place}, align {self.bytes}")
            return
        masks = f"<{self.lanes} x i1>"
        name = f"@llvm.masked.store.{self._suffix}.p0"
        self.writer.module.declare(f"declare void {name}({self.vector}, ptr, i32, {masks})")
        self.writer.line(
            f"call void {name}({self.vector} {value}, ptr {place}, i32 {self.bytes}, {masks} {self._mask(count)})"
        )

    def spread(self, place: str) -> str:
        """The element at ``place`` in all lanes."""
        single = f"<1 x {self.element}>"
        one = self.writer.value(f"load {single}, ptr {place}, align {self.bytes}")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.writer.value(f"shufflevector {single} {one}, {single} poison, {zeros}")

    @property
    def spreads_aside(self) -> bool:
        """Whether elements spread without what multiplies, adds and shuffles, as in vectors of AVX-512."""
        return self.lanes * self.bytes == ZMM and self.library.target.triple.startswith("x86_64")

    def spread_aside(self, place: str) -> str:
        """The element at ``place`` in all lanes, by the instruction for integers.

        On Zen 4 that is a load alone, where the one for floating point takes units that shuffle, one of which
        multiplies and adds too. LLVM has the latter before multiply-adds, whatever it is given, so this is written out.
        """
        name = {4: "vpbroadcastd", 8: "vpbroadcastq"}[self.bytes]
        return self.writer.value(
            f'call {self.vector} asm "{name} $1, $0", "=v,*m"(ptr elementtype({self.element}) {place}) '
            "memory(argmem: read) nounwind willreturn"
        )

    def broadcast(self, value: str) -> str:
        """A number in all lanes."""
        one = self.writer.value(f"insertelement {self.vector} poison, {self.element} {value}, i64 0")
        zeros = f"<{self.lanes} x i32> zeroinitializer"
        return self.writer.value(f"shufflevector {self.vector} {one}, {self.vector} poison, {zeros}")

    def prefetch(self, place: str) -> None:
        """Ask for a cache line that will be written soon."""
        self._prefetch(place, 1)

    def fetch_ahead(self, place: str, ahead: int, count: int) -> None:
        """Ask for the lines of the ``count`` elements ``ahead`` elements after a place, be they the buffer's or not."""
        for start in range(0, count, LINE // self.bytes):
            address = f"getelementptr {self.element}, ptr {place}, i64 {ahead + start}"
            self._prefetch(self.writer.value(address), 0)

    def _prefetch(self, place: str, writes: int) -> None:
        self.writer.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
        self.writer.line(f"call void @llvm.prefetch.p0(ptr {place}, i32 {writes}, i32 3, i32 1)")

    def local(self, elements: int, hint: str) -> str:
        """Memory of this call."""
        name = f"%{self.writer.name(hint)}"
        self.writer.entry.append(f"  {name} = alloca [{elements} x {self.element}], align 64")
        return name

    def _is_whole(self, count: int | None) -> bool:
        return count is None or count >= self.lanes

    def _mask(self, count: int | None) -> str:
        return f"<{', '.join(f'i1 {str(lane < (count or 0)).lower()}' for lane in range(self.lanes))}>"

    # Arithmetic

    def multiply(self, a: str, b: str) -> str:
        return self.writer.value(f"fmul {self.vector} {a}, {b}")

    def sum(self, a: str, b: str) -> str:
        return self.writer.value(f"fadd {self.vector} {a}, {b}")

    def multiply_add(self, a: str, b: str, c: str) -> str:
        """``a * b + c``, rounded once where the target can."""
        if not self.fused:
            return self.sum(self.multiply(a, b), c)
        name = f"@llvm.fma.{self._suffix}"
        self.writer.module.declare(f"declare {self.vector} {name}({', '.join([self.vector] * 3)})")
        return self.writer.value(f"call {self.vector} {name}({self.vector} {a}, {self.vector} {b}, {self.vector} {c})")

    def shuffle(self, a: str, b: str, lanes: Sequence[int]) -> str:
        """The elements ``lanes`` of two vectors one after the other."""
        order = ", ".join(f"i32 {lane}" for lane in lanes)
        return self.writer.value(f"shufflevector {self.vector} {a}, {self.vector} {b}, <{len(lanes)} x i32> <{order}>")

    def piece(self, vector: str, part: Code, start: int) -> str:
        """The lanes from ``start`` on as a vector of ``part``."""
        if part.lanes == self.lanes:
            return vector
        order = ", ".join(f"i32 {start + lane}" for lane in range(part.lanes))
        lanes = f"<{part.lanes} x i32> <{order}>"
        return self.writer.value(f"shufflevector {self.vector} {vector}, {self.vector} poison, {lanes}")

    # Numbers of the call

    def minus(self, a: Index, b: Index) -> Index:
        if b == 0:
            return a
        return a - b if isinstance(a, int) and isinstance(b, int) else self.writer.value(f"sub nsw i64 {a}, {b}")

    def smaller(self, a: Index, b: Index) -> Index:
        """The smaller of two numbers that are not negative."""
        return self._extremum("umin", a, b)

    def larger(self, a: Index, b: Index) -> Index:
        """The larger of two numbers that are not negative."""
        return self._extremum("umax", a, b)

    def _extremum(self, which: str, a: Index, b: Index) -> str:
        self.writer.module.declare(f"declare i64 @llvm.{which}.i64(i64, i64)")
        return self.writer.value(f"call i64 @llvm.{which}.i64(i64 {a}, i64 {b})")

    def even(self, length: Index, limit: Index) -> Index:
        """The length of equal blocks of at most ``limit``; at least 1. One block is found without divisions."""
        writer = self.writer
        single = self.larger(length, 1)
        divide, divided = (writer.name(label) for label in ("divide", "divided"))
        fits, before = writer.value(f"icmp ule i64 {single}, {limit}"), writer.block
        writer.line(f"br i1 {fits}, label %{divided}, label %{divide}")
        writer.label(divide)
        blocks = writer.value(f"udiv i64 {self.minus(self.add(single, limit), 1)}, {limit}")
        each = writer.value(f"udiv i64 {self.minus(self.add(single, blocks), 1)}, {blocks}")
        writer.line(f"br label %{divided}")
        writer.label(divided)
        return writer.value(f"phi i64 [ {single}, %{before} ], [ {each}, %{divide} ]")

    def parts(self, length: Index, step: int) -> Iterator[Part]:
        """The range up to ``length`` in whole steps, and what is left: of a number of the call in steps 4, 2, 1."""
        if isinstance(length, int):
            yield from parts(length, step)
            return
        start: Index = 0
        while step:
            left = self.minus(length, start)
            stop = self.minus(length, self.writer.value(f"urem i64 {left}, {step}"))
            yield Part(start, stop, step)
            start, step = stop, (1 << (step - 1).bit_length()) // 2 if step > 1 else 0

    # Ways and loops

    @contextmanager
    def either(self, condition: str) -> Iterator[Callable[[], None]]:
        """What is emitted first runs where a condition holds, and what follows a call of what this gives elsewhere."""
        writer = self.writer
        first, other, after = (writer.name(label) for label in ("holds", "other", "joined"))
        writer.line(f"br i1 {writer.value(condition)}, label %{first}, label %{other}")
        writer.label(first)

        def otherwise() -> None:
            writer.line(f"br label %{after}")
            writer.label(other)

        yield otherwise
        writer.line(f"br label %{after}")
        writer.label(after)

    @contextmanager
    def loop(
        self, hint: str, start: Index, stop: Index, step: Index = 1, carried: Sequence[tuple[str, str]] = ()
    ) -> Iterator[Loop]:
        """A loop. ``carried`` are types and first values. Between numbers that are known it runs at least once."""
        first = [value for _, value in carried]
        known = isinstance(start, int) and isinstance(stop, int)
        if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int) and start + step >= stop:
            yield Loop(start, first)
            return
        writer = self.writer
        name, body, after = (writer.name(f"{hint}{part}") for part in ("", ".body", ".end"))
        before = writer.block
        if known:
            writer.line(f"br label %{body}")
        else:
            runs = writer.value(f"icmp slt i64 {start}, {stop}")
            writer.line(f"br i1 {runs}, label %{body}, label %{after}")
        writer.label(body)
        head = len(writer.lines)
        values = [f"%{writer.name(f'{name}.{position}')}" for position in range(len(carried))]
        loop = Loop(f"%{name}", values)
        yield loop
        writer.line(f"%{name}.next = add nuw nsw i64 %{name}, {step}")
        again = writer.value(f"icmp slt i64 %{name}.next, {stop}")
        last = writer.block
        writer.line(f"br i1 {again}, label %{body}, label %{after}")
        writer.label(after)
        phis = [f"  %{name} = phi i64 [ {start}, %{before} ], [ %{name}.next, %{last} ]"]
        for (kind, value), now, following in zip(carried, values, loop.following, strict=True):
            phis.append(f"  {now} = phi {kind} [ {value}, %{before} ], [ {following}, %{last} ]")
        writer.lines[head:head] = phis
        if not known:
            loop.following = [
                writer.value(f"phi {kind} [ {value}, %{before} ], [ {following}, %{last} ]")
                for (kind, value), following in zip(carried, loop.following, strict=True)
            ]
