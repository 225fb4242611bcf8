"""Formulas as functions of a module, of single numbers or of vectors.

The functions call nothing, but for seldom arguments: they are written for single numbers and for vectors of any length,
on any target, and every element gets the same result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final, Literal

from gradc.backends.llvm.types import number
from gradc.backends.math import tables
from gradc.backends.math.formats import F32, F64, Format
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Number, Term

OFTEN: Final = '!prof !{!"branch_weights", i32 2000, i32 1}'
"""Tells that a branch goes to its first label, so that registers are given to what stands there."""


class IrFormula(Formula):
    """The function ``name`` of numbers of the format ``form``, or of vectors of ``lanes`` such numbers, as IR.

    ``fused`` says whether the target has fused multiply-adds, ``wide`` whether it has the instructions of AVX-512F,
    ``narrow`` whether it has them for shorter registers, too (AVX-512VL).
    Where the formula has a second path, ``part`` is ``near`` for the first one, which calls the other part for the
    rest, ``far`` for that, and ``whole`` for both.
    """

    def __init__(
        self,
        name: str,
        form: Format,
        fused: bool,
        parameters: Sequence[str] = ("x",),
        lanes: int = 1,
        wide: bool = False,
        doubles: bool = True,
        tables: bool = False,
        part: Literal["whole", "near", "far"] = "whole",
        narrow: bool = False,
    ) -> None:
        super().__init__(f"{name}.far" if part == "far" else name, form, fused, doubles, tables)
        self.lanes = lanes
        self._wide = wide
        self._narrow = narrow
        self._parameters = list(parameters)
        self._lines: list[str] = []
        self._declared: dict[str, None] = {}
        self._used: dict[str, int] = dict.fromkeys(parameters, 1)
        self._numbers = itertools.count(1)
        self._tables: dict[str, None] = {}
        self._block = ".entry"
        self._part = part
        self._near: list[str] = []

    @property
    def arguments(self) -> list[Term]:
        """The parameters of the function."""
        return [Term(self, f"%{name}", self.form.type) for name in self._parameters]

    def text(self, result: Term, attributes: int) -> str:
        """The function that gives ``result``, with the declarations of what it calls."""
        if self._near:
            self._lines = self._near
            return self._definition(attributes, [])
        return self._definition(attributes, [f"  ret {self.vector(result.kind)} {result.operand}"])

    def text_apart(self, result: Term) -> str:
        """The same, never inlined."""
        return self.text(result, self._apart)

    @property
    def _apart(self) -> int:
        """The attributes of functions that are never inlined, of numbers or of vectors (``Library.attributes``)."""
        return 2 if self.lanes == 1 else 3

    @property
    def has_far(self) -> bool:
        """Whether this near part calls a far one."""
        return bool(self._near)

    @property
    def looked_up(self) -> list[str]:
        """The constants that the function looks numbers up in, as globals."""
        return list(self._tables)

    def done_if(self, holds: Term, result: Term) -> None:
        """``result`` is that of the function if ``holds`` for all elements; what follows is for other cases.

        Where it holds for some elements, they must get the same from what follows.
        """
        if self._part == "far" and self._block == ".entry":
            self._block = ".far"  # another path may follow
            self._lines += ["  br label %.far", ".far:"]
            return
        label = f"more.{next(self._numbers)}"
        condition = self._all(holds)
        self._lines += [
            f"  br i1 {condition}, label %{label}.done, label %{label}, {OFTEN}",
            f"{label}.done:",
            f"  ret {self.vector(result.kind)} {result.operand}",
            f"{label}:",
        ]
        self._block = label
        if self._part == "near" and not self._near:
            t = self.vector(self.form.type)
            found = f"call {t} @{self.name}.far({', '.join(f'{t} %{name}' for name in self._parameters)})"
            self._near = [*self._lines, f"  %far = {found}", f"  ret {t} %far"]

    def select_until_done(self, holds: Term, x: Term, y: Term) -> Term:
        """Without a select in the near part, which is left where ``holds`` is not true of all elements."""
        return x if self._part == "near" else self.select(holds, x, y)

    def repeat(self, count: int, first: Sequence[Term], step: Callable[..., Sequence[Term]]) -> list[Term]:
        """What ``count`` steps make of some numbers: a loop that counts down."""
        label, before, kind = f"loop.{next(self._numbers)}", self._block, self.form.type
        left = Term(self, f"%{label}.left", kind)
        state = [Term(self, f"%{label}.x{k}", x.kind) for k, x in enumerate(first)]
        self._lines += [f"  br label %{label}", f"{label}:"]
        self._block, head = label, len(self._lines)
        found = step(left, *state)
        pairs = [(left, self.operand(float(count), kind), (left - 1.0).operand)]
        pairs += [(x, one.operand, other.operand) for x, one, other in zip(state, first, found, strict=True)]
        steps = self._result(f"add i64 %{label}.steps, -1")
        again = self._result(f"icmp ne i64 {steps}, 0")
        phis = [f"%{label}.steps = phi i64 [ {count}, %{before} ], [ {steps}, %{self._block} ]"]
        for term, one, other in pairs:
            phis.append(
                f"{term.operand} = phi {self.vector(term.kind)} [ {one}, %{before} ], [ {other}, %{self._block} ]"
            )
        self._lines[head:head] = [f"  {phi}" for phi in phis]
        self._block = f"{label}.done"
        self._lines += [f"  br i1 {again}, label %{label}, label %{self._block}", f"{self._block}:"]
        return list(found)

    def _all(self, holds: Term) -> str:
        """Whether a condition holds for all elements."""
        if self.lanes == 1:
            return holds.operand
        symbol = f"@llvm.vector.reduce.and.v{self.lanes}i1"
        self._declared[f"declare i1 {symbol}({self.vector(holds.kind)})"] = None
        return self._result(f"call i1 {symbol}({self.vector(holds.kind)} {holds.operand})")

    def text_with_fallback(self, result: Term, holds: Term, fallback: str, form: Format) -> str:
        """The same, where ``holds``; else ``fallback``, a function of numbers of ``form``, is called for each element.

        It is a function of its own, so that a loop stays one without branches.
        """
        t, element = self.vector(result.kind), self.form.type
        condition = self._all(holds)
        lines = [f"  br i1 {condition}, label %near, label %far", "near:", f"  ret {t} {result.operand}", "far:"]
        self._lines += lines
        total = "poison"
        for lane in range(self.lanes):
            arguments = [self._lane(f"%{parameter}", lane, form) for parameter in self._parameters]
            listed = ", ".join(f"{form.type} {x}" for x in arguments)
            value = self._result(f"call {form.type} @{fallback}({listed})")
            if form is not self.form:
                value = self._result(f"fptrunc {form.type} {value} to {element}")
            total = (
                self._result(f"insertelement {t} {total}, {element} {value}, i64 {lane}") if self.lanes > 1 else value
            )
        return self._definition(self._apart, [f"  ret {t} {total}"])

    def _lane(self, operand: str, lane: int, form: Format) -> str:
        """An element of a parameter, in the format ``form``."""
        t, element = self.vector(self.form.type), self.form.type
        x = operand if self.lanes == 1 else self._result(f"extractelement {t} {operand}, i64 {lane}")
        return x if form is self.form else self._result(f"fpext {element} {x} to {form.type}")

    def _definition(self, attributes: int, end: list[str]) -> str:
        t = self.vector(self.form.type)
        parameters = ", ".join(f"{t} %{name}" for name in self._parameters)
        head = f"define internal {t} @{self.name}({parameters}) #{attributes} {{"
        return "\n".join([head, ".entry:", *self._lines, *end, "}", *self._declared])

    def vector(self, kind: str) -> str:
        """The IR type of a value with elements of the type ``kind``."""
        return kind if self.lanes == 1 else f"<{self.lanes} x {kind}>"

    def comment(self, text: str) -> None:
        """A line for the reader."""
        self._lines.append(f"  ; {text}")

    def apply(self, operation: str, operands: Sequence[Term | Number], kind: str, result: str) -> Term:
        """An instruction on operands of the type ``kind``."""
        listed = ", ".join(self.operand(operand, kind) for operand in operands)
        word = operation if result == kind else f"icmp {operation}" if kind[0] == "i" else f"fcmp {operation}"
        return self.emit(f"{word} {self.vector(kind)} {listed}", result)

    def emit(self, instruction: str, kind: str) -> Term:
        """An instruction and its result."""
        return Term(self, self._result(instruction), kind)

    def _result(self, instruction: str) -> str:
        name = f"%.{next(self._numbers)}"
        self._lines.append(f"  {name} = {instruction}")
        return name

    def rename(self, term: Term, name: str) -> Term:
        """Give the result of the last instruction a name, made unique; an older value keeps its own."""
        head = f"  {term.operand} = "
        if not self._lines or not self._lines[-1].startswith(head) or not term.operand.startswith("%."):
            return term
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        operand = f"%{name}.{count}" if count else f"%{name}"
        self._lines[-1] = f"  {operand} = {self._lines[-1][len(head) :]}"
        return Term(self, operand, term.kind)

    def operand(self, value: Term | Number, kind: str) -> str:
        """An operand of the type ``kind``: a number is rounded to it."""
        if isinstance(value, Term):
            return value.operand
        if kind in ("float", "double"):
            form = F64 if kind == "double" else F32
            text = number(float(form.dtype.type(value)), form.dtype)
        else:
            text = str(int(value))
        return text if self.lanes == 1 else f"splat ({kind} {text})"

    def call(self, name: str, *arguments: Term) -> Term:
        """An intrinsic that is an instruction everywhere."""
        kind, t = arguments[0].kind, self.vector(arguments[0].kind)
        lanes = "" if self.lanes == 1 else f"v{self.lanes}"
        symbol = f"@llvm.{name}.{lanes}{'f64' if kind == 'double' else 'f32'}"
        self._declared[f"declare {t} {symbol}({', '.join([t] * len(arguments))})"] = None
        return self.emit(f"call {t} {symbol}({', '.join(f'{t} {a.operand}' for a in arguments)})", kind)

    def cast(self, instruction: str, x: Term, kind: str) -> Term:
        """``x`` as another type."""
        return self.emit(f"{instruction} {self.vector(x.kind)} {x.operand} to {self.vector(kind)}", kind)

    def select(self, mask: Term, x: Term | float, y: Term | float) -> Term:
        """``x`` where ``mask`` holds, else ``y``."""
        kind = x.kind if isinstance(x, Term) else y.kind if isinstance(y, Term) else self.form.type
        left, right = self.operand(x, kind), self.operand(y, kind)
        t = self.vector(kind)
        return self.emit(f"select {self.vector(mask.kind)} {mask.operand}, {t} {left}, {t} {right}", kind)

    def is_odd(self, n: Term) -> Term:
        """Where a test of bits is one instruction, by it: LLVM, which would shift, does not know that the sign is 0."""
        if not self._wide:
            return super().is_odd(n)
        bits = n & (1 << (int(n.kind[1:]) - 1) | 1)
        return self.apply("ne", (bits, 0), bits.kind, "i1")

    # Exponents, where the machine has instructions for them.

    @property
    def has_exponents(self) -> bool:
        """Whether ``exponent``, ``significand`` and ``times_power`` are instructions."""
        width = self.lanes * self.form.bits
        return self._wide and (self.lanes == 1 or width % 512 == 0 or (self._narrow and width in (128, 256)))

    def exponent(self, x: Term) -> Term:
        """The exponent as a number, of subnormal numbers too: -infinity of 0, infinity of infinity, NaN of NaN."""
        return self._avx512("getexp", x)

    def significand(self, x: Term) -> Term:
        """x over the power of two that leaves 1 to 2: 1 of 0, -0 and infinity, NaN of negative numbers."""
        return self._avx512("getmant", x, more=f"i32 {0b1100}, ")

    def significand_around_1(self, x: Term) -> Term:
        """The same, of 3/4 to 3/2."""
        return self._avx512("getmant", x, more=f"i32 {0b1111}, ")

    def significand_of_size(self, x: Term) -> Term:
        """The same of the size of x, of 1 to 2."""
        return self._avx512("getmant", x, more=f"i32 {0b0100}, ")

    def times_power(self, x: Term, n: Term) -> Term:
        """``x * 2**n`` of a whole n, rounded once."""
        return self._avx512("scalef", x, n)

    def lookup(self, name: str, table: Sequence[float], index: Term) -> Term:
        """The number of ``table`` at the last bits of ``index``. There are a power of two of them."""
        kind, count = self.form.type, len(table)
        texts = [f"{kind} {number(value, self.form.dtype)}" for value in table]
        register = 512 // self.form.bits
        if self._wide and self.lanes > 1 and count in (register, 2 * register):
            return self._permuted(texts, index, register)
        constant = f"gradc.{name}.{self.form.name}"
        self._tables[
            f"@{constant} = private unnamed_addr constant [{count} x {kind}] [{', '.join(texts)}], align 64"
        ] = None
        place = index & (count - 1)
        pointers = self.vector("ptr")
        at = f"{self.vector(place.kind)} {place.operand}"
        pointer = self._result(f"getelementptr inbounds {kind}, ptr @{constant}, {at}")
        t = self.vector(kind)
        if self.lanes == 1:
            return self.emit(f"load {kind}, ptr {pointer}", kind)
        symbol = f"@llvm.masked.gather.v{self.lanes}{self.form.name}.v{self.lanes}p0"
        masks = self.vector("i1")
        self._declared[f"declare {t} {symbol}({pointers}, i32, {masks}, {t})"] = None
        known = f"{pointers} {pointer}, i32 {self.form.bits // 8}, {masks} splat (i1 true), {t} poison"
        return self.emit(f"call {t} {symbol}({known})", kind)

    def row(self, table: str, index: Term, columns: int) -> list[Term]:
        """The numbers of a row of the table of 2 / pi; of a row that there is not, any."""
        numbers = tables.TWO_OVER_PI[self.form.name]
        count = 1 << (len(numbers) - 1).bit_length()
        padded = (*numbers, *[0.0] * (count - len(numbers)))
        return [self.lookup(table, padded, index * columns + k) for k in range(columns)]

    def _permuted(self, texts: Sequence[str], index: Term, register: int) -> Term:
        """The same, of a table that stands in one or two registers; a shorter vector is part of one."""
        t, places = f"<{register} x {self.form.type}>", f"<{register} x {index.kind}>"
        halves = [f"<{', '.join(texts[k : k + register])}>" for k in range(0, len(texts), register)]
        letter = "d" if self.form.bits == 64 else "s"
        parts = []
        for first in range(0, self.lanes, register):
            lanes = [f"i32 {k if k < self.lanes else 'poison'}" for k in range(first, first + register)]
            given = f"{self.vector(index.kind)} {index.operand}, {self.vector(index.kind)} poison"
            place = self._result(f"shufflevector {given}, <{register} x i32> <{', '.join(lanes)}>")
            at = f"{places} {place}"
            if len(halves) == 1:
                symbol, arguments = f"@llvm.x86.avx512.permvar.{letter}f.512", f"{t} {halves[0]}, {at}"
                kinds = f"{t}, {places}"
            else:
                symbol = f"@llvm.x86.avx512.vpermi2var.p{letter}.512"
                arguments, kinds = f"{t} {halves[0]}, {at}, {t} {halves[1]}", f"{t}, {places}, {t}"
            self._declared[f"declare {t} {symbol}({kinds})"] = None
            parts.append(self._result(f"call {t} {symbol}({arguments})"))
        if self.lanes < register:
            return Term(self, self._shuffled(t, parts[0], "poison", range(self.lanes)), self.form.type)
        return self._joined(parts, register)

    def _avx512(self, name: str, *operands: Term, more: str = "") -> Term:
        """An instruction on a single number, on a short register, or on each register of 512 bits of the operands."""
        if self.lanes == 1:
            return self._avx512_single(name, *operands, more=more)
        width = min(self.lanes * self.form.bits, 512)
        count = width // self.form.bits
        t, mask, rounding = f"<{count} x {self.form.type}>", f"i{max(count, 8)}", ", i32" if width == 512 else ""
        symbol = f"@llvm.x86.avx512.mask.{name}.{'pd' if self.form.bits == 64 else 'ps'}.{width}"
        kinds = ", ".join([t] * len(operands)) + (", i32" if more else "")
        self._declared[f"declare {t} {symbol}({kinds}, {t}, {mask}{rounding})"] = None
        rest = f"{more}{t} zeroinitializer, {mask} -1{rounding and f'{rounding} 4'}"
        parts = []
        for first in range(0, self.lanes, count):
            lanes = range(first, first + count)
            registers = [self._shuffled(self.vector(x.kind), x.operand, "poison", lanes) for x in operands]
            listed = ", ".join(f"{t} {register}" for register in registers)
            parts.append(self._result(f"call {t} {symbol}({listed}, {rest})"))
        return self._joined(parts, count)

    def _avx512_single(self, name: str, *operands: Term, more: str = "") -> Term:
        """The same on the first numbers of registers of 128 bits; the others are any."""
        count, kind = 128 // self.form.bits, self.form.type
        t = f"<{count} x {kind}>"
        symbol = f"@llvm.x86.avx512.mask.{name}.{'sd' if self.form.bits == 64 else 'ss'}"
        self._declared[f"declare {t} {symbol}({t}, {t}{', i32' if more else ''}, {t}, i8, i32)"] = None
        registers = [self._result(f"insertelement {t} poison, {kind} {x.operand}, i64 0") for x in operands]
        first, second = registers if len(registers) == 2 else (registers[0], registers[0])
        found = self._result(f"call {t} {symbol}({t} {first}, {t} {second}, {more}{t} zeroinitializer, i8 -1, i32 4)")
        return self.emit(f"extractelement {t} {found}, i64 0", kind)

    def _joined(self, parts: list[str], count: int) -> Term:
        """The vector of parts of ``count`` elements."""
        while len(parts) > 1:
            t, pairs = f"<{count} x {self.form.type}>", zip(parts[::2], parts[1::2], strict=True)
            parts = [self._shuffled(t, left, right, range(2 * count)) for left, right in pairs]
            count *= 2
        return Term(self, parts[0], self.form.type)

    def _shuffled(self, t: str, left: str, right: str, lanes: range) -> str:
        """Some lanes of two vectors."""
        if t.startswith(f"<{len(lanes)} x ") and right == "poison":
            return left
        listed = ", ".join(f"i32 {lane}" for lane in lanes)
        return self._result(f"shufflevector {t} {left}, {t} {right}, <{len(lanes)} x i32> <{listed}>")
