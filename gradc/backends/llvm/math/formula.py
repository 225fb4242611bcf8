"""Writing one function of the module, of single numbers or of vectors.

The functions call nothing: they are written for single numbers and for vectors of any length, on any target, and every
element gets the same result. A branch leads to a longer path where one of the elements needs it. Nothing is reordered
or contracted: a fused multiply-add stands where ``fma`` is written, and is a product and a sum on a target that has no
such instruction.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from typing import Final

from gradc.backends.llvm.math import tables
from gradc.backends.llvm.math.formats import F32, F64, Format
from gradc.backends.llvm.math.term import Number, Term
from gradc.backends.llvm.types import number

OFTEN: Final = '!prof !{!"branch_weights", i32 2000, i32 1}'
"""Tells that a branch goes to its first label, so that registers are given to what stands there."""


class Formula:
    """The function ``name`` of numbers of the format ``form``, or of vectors of ``lanes`` such numbers.

    ``fused`` says whether the target has fused multiply-adds, ``wide`` whether it has the instructions of AVX-512F.
    """

    def __init__(
        self,
        name: str,
        form: Format,
        fused: bool,
        parameters: Sequence[str] = ("x",),
        lanes: int = 1,
        wide: bool = False,
    ) -> None:
        self.name = name
        self.form = form
        self.fused = fused
        self.lanes = lanes
        self._wide = wide
        self._parameters = list(parameters)
        self._lines: list[str] = []
        self._declared: dict[str, None] = {}
        self._used: dict[str, int] = dict.fromkeys(parameters, 1)
        self._numbers = itertools.count(1)
        self._tables: dict[str, None] = {}

    def within(self, form: Format) -> Formula:
        """The same function, going on in numbers of another format."""
        other = copy.copy(self)
        other.form = form
        return other

    @property
    def arguments(self) -> list[Term]:
        """The parameters of the function."""
        return [Term(self, f"%{name}", self.form.type) for name in self._parameters]

    def text(self, result: Term) -> str:
        """The function that gives ``result``, with the declarations of what it calls."""
        return self._definition(1, [f"  ret {result.type} {result.operand}"])

    def text_apart(self, result: Term) -> str:
        """The same, never inlined."""
        return self._definition(2, [f"  ret {result.type} {result.operand}"])

    @property
    def tables(self) -> list[str]:
        """The constants that the function looks numbers up in, as globals."""
        return list(self._tables)

    def done_if(self, holds: Term, result: Term) -> None:
        """``result`` is that of the function if ``holds`` for all elements; what follows is for other cases.

        Where it holds for some elements, they must get the same from what follows.
        """
        label = f"more.{next(self._numbers)}"
        condition = self._all(holds)
        self._lines += [
            f"  br i1 {condition}, label %{label}.done, label %{label}, {OFTEN}",
            f"{label}.done:",
            f"  ret {result.type} {result.operand}",
            f"{label}:",
        ]

    def _all(self, holds: Term) -> str:
        """Whether a condition holds for all elements."""
        if self.lanes == 1:
            return holds.operand
        symbol = f"@llvm.vector.reduce.and.v{self.lanes}i1"
        self._declared[f"declare i1 {symbol}({holds.type})"] = None
        return self._result(f"call i1 {symbol}({holds.type} {holds.operand})")

    def text_with_fallback(self, result: Term, holds: Term, fallback: str, form: Format) -> str:
        """The same, where ``holds``; else ``fallback``, a function of numbers of ``form``, is called for each element.

        It is a function of its own, so that a loop stays one without branches.
        """
        t, element = result.type, self.form.type
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
        return self._definition(2, [f"  ret {t} {total}"])

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

    def number(self, value: float) -> Term:
        """A floating-point constant."""
        return Term(self, self.operand(value, self.form.type), self.form.type)

    def call(self, name: str, *arguments: Term) -> Term:
        """An intrinsic that is an instruction everywhere."""
        kind, t = arguments[0].kind, arguments[0].type
        lanes = "" if self.lanes == 1 else f"v{self.lanes}"
        symbol = f"@llvm.{name}.{lanes}{'f64' if kind == 'double' else 'f32'}"
        self._declared[f"declare {t} {symbol}({', '.join([t] * len(arguments))})"] = None
        return self.emit(f"call {t} {symbol}({', '.join(f'{t} {a.operand}' for a in arguments)})", kind)

    def fma(self, x: Term, y: Term | float, z: Term | float) -> Term:
        """``x * y + z``, rounded once where the target can; else twice."""
        if not self.fused:
            return x * y + z
        return self.call("fma", x, self._lift(y, x), self._lift(z, x))

    def convert(self, x: Term, form: Format) -> Term:
        """``x`` in another format."""
        if x.kind == form.type:
            return x
        return self.cast("fpext" if form.bits == 64 else "fptrunc", x, form.type)

    def cast(self, instruction: str, x: Term, kind: str) -> Term:
        """``x`` as another type."""
        return self.emit(f"{instruction} {x.type} {x.operand} to {self.vector(kind)}", kind)

    def abs(self, x: Term) -> Term:
        return self.call("fabs", x)

    def copysign(self, magnitude: Term, sign: Term) -> Term:
        return self.call("copysign", magnitude, sign)

    def select(self, mask: Term, x: Term | float, y: Term | float) -> Term:
        """``x`` where ``mask`` holds, else ``y``."""
        kind = x.kind if isinstance(x, Term) else y.kind if isinstance(y, Term) else self.form.type
        left, right = self.operand(x, kind), self.operand(y, kind)
        t = self.vector(kind)
        return self.emit(f"select {mask.type} {mask.operand}, {t} {left}, {t} {right}", kind)

    def is_nan(self, x: Term) -> Term:
        return self.emit(f"fcmp uno {x.type} {x.operand}, {x.operand}", "i1")

    def clamp(self, x: Term, low: float, high: float) -> Term:
        """``x`` moved into the bounds; NaN stays."""
        below = self.select(x > high, high, x)
        return self.select(below < low, low, below)

    def bits(self, x: Term) -> Term:
        """The bit pattern of a number, as an integer."""
        return self.cast("bitcast", x, "i64" if x.kind == "double" else "i32")

    def from_bits(self, x: Term) -> Term:
        """The number of a bit pattern."""
        return self.cast("bitcast", x, "double" if x.kind == "i64" else "float")

    def polynomial(self, coefficients: Sequence[float], x: Term) -> Term:
        """``c[0] + c[1] x + c[2] x**2 + ...``: Horner's rule in ``x**2`` for the even and the odd powers.

        That is one product more than Horner's rule in x, and a chain of half the length for the pipelines.
        """
        square = x * x
        even, odd = self.horner(coefficients[::2], square), self.horner(coefficients[1::2], square)
        return self.fma(odd, x, even)

    def horner(self, coefficients: Sequence[float], x: Term) -> Term:
        """The same by Horner's rule in x, whose sums do not cancel where signs alternate."""
        *rest, last = coefficients
        total = self._lift(last, x)
        for coefficient in reversed(rest):
            total = self.fma(total, x, coefficient)
        return total

    # Exponents, where the machine has instructions for them.

    @property
    def has_exponents(self) -> bool:
        """Whether ``exponent``, ``significand`` and ``times_power`` are instructions."""
        return self._wide and self.lanes * self.form.bits % 512 == 0

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

    def lookup(self, name: str, table: Sequence[float], index: Term) -> Term:
        """The number of ``table`` at the last bits of ``index``. There are a power of two of them."""
        kind, count = self.form.type, len(table)
        texts = [f"{kind} {number(value, self.form.dtype)}" for value in table]
        register = 512 // self.form.bits
        if self._wide and self.lanes % register == 0 and count in (register, 2 * register):
            return self._permuted(texts, index, register)
        constant = f"gradc.{name}.{self.form.name}"
        self._tables[
            f"@{constant} = private unnamed_addr constant [{count} x {kind}] [{', '.join(texts)}], align 64"
        ] = None
        place = index & (count - 1)
        pointers = self.vector("ptr")
        pointer = self._result(f"getelementptr inbounds {kind}, ptr @{constant}, {place.type} {place.operand}")
        t = self.vector(kind)
        if self.lanes == 1:
            return self.emit(f"load {kind}, ptr {pointer}", kind)
        symbol = f"@llvm.masked.gather.v{self.lanes}{self.form.name}.v{self.lanes}p0"
        masks = self.vector("i1")
        self._declared[f"declare {t} {symbol}({pointers}, i32, {masks}, {t})"] = None
        known = f"{pointers} {pointer}, i32 {self.form.bits // 8}, {masks} splat (i1 true), {t} poison"
        return self.emit(f"call {t} {symbol}({known})", kind)

    def row(self, table: str, index: Term, columns: int) -> list[Term]:
        """The numbers of a row of the table of 2 / pi, in a function of f64; of a row that there is not, any."""
        numbers = tables.TWO_OVER_PI["f64"]
        count = 1 << (len(numbers) - 1).bit_length()
        padded = (*numbers, *[0.0] * (count - len(numbers)))
        return [self.lookup(table.rpartition(".")[2], padded, index * columns + k) for k in range(columns)]

    def _permuted(self, texts: Sequence[str], index: Term, register: int) -> Term:
        """The same, of a table that stands in one or two registers."""
        t, places = f"<{register} x {self.form.type}>", f"<{register} x {index.kind}>"
        halves = [f"<{', '.join(texts[k : k + register])}>" for k in range(0, len(texts), register)]
        letter = "d" if self.form.bits == 64 else "s"
        parts = []
        for first in range(0, self.lanes, register):
            at = f"{places} {self._shuffled(index.type, index.operand, 'poison', range(first, first + register))}"
            if len(halves) == 1:
                symbol, arguments = f"@llvm.x86.avx512.permvar.{letter}f.512", f"{t} {halves[0]}, {at}"
                kinds = f"{t}, {places}"
            else:
                symbol = f"@llvm.x86.avx512.vpermi2var.p{letter}.512"
                arguments, kinds = f"{t} {halves[0]}, {at}, {t} {halves[1]}", f"{t}, {places}, {t}"
            self._declared[f"declare {t} {symbol}({kinds})"] = None
            parts.append(self._result(f"call {t} {symbol}({arguments})"))
        return self._joined(parts, register)

    def times_power(self, x: Term, n: Term) -> Term:
        """``x * 2**n`` of a whole n, rounded once."""
        return self._avx512("scalef", x, n)

    def _avx512(self, name: str, *operands: Term, more: str = "") -> Term:
        """An instruction on registers of 512 bits, for each register of the operands."""
        count = 512 // self.form.bits
        t, mask = f"<{count} x {self.form.type}>", f"i{count}"
        symbol = f"@llvm.x86.avx512.mask.{name}.{'pd' if self.form.bits == 64 else 'ps'}.512"
        kinds = ", ".join([t] * len(operands)) + (", i32" if more else "")
        self._declared[f"declare {t} {symbol}({kinds}, {t}, {mask}, i32)"] = None
        parts = []
        for first in range(0, self.lanes, count):
            registers = [self._shuffled(x.type, x.operand, "poison", range(first, first + count)) for x in operands]
            listed = ", ".join(f"{t} {register}" for register in registers)
            parts.append(self._result(f"call {t} {symbol}({listed}, {more}{t} zeroinitializer, {mask} -1, i32 4)"))
        return self._joined(parts, count)

    def _joined(self, parts: list[str], count: int) -> Term:
        """The vector of parts of ``count`` elements."""
        while len(parts) > 1:
            t, pairs = f"<{count} x {self.form.type}>", zip(parts[::2], parts[1::2], strict=True)
            parts = [self._shuffled(t, left, right, range(2 * count)) for left, right in pairs]
            count *= 2
        return Term(self, parts[0], self.form.type)

    def _shuffled(self, t: str, left: str, right: str, lanes: range) -> str:
        """Some lanes of two vectors."""
        if len(lanes) == self.lanes and right == "poison":
            return left
        listed = ", ".join(f"i32 {lane}" for lane in lanes)
        return self._result(f"shufflevector {t} {left}, {t} {right}, <{len(lanes)} x i32> <{listed}>")

    # Sums and products with their rounding errors (T. J. Dekker, Numer. Math. 18, 1971).

    def sum_with_error(self, x: Term | float, y: Term) -> tuple[Term, Term]:
        """``x + y`` and what rounding took from it; ``abs(x) >= abs(y)``, or x is 0."""
        total = y.__radd__(x) if not isinstance(x, Term) else x + y
        return total, y - (total - x)

    def two_sum(self, x: Term, y: Term) -> tuple[Term, Term]:
        """``x + y`` and what rounding took from it, whichever is larger (D. E. Knuth, TAOCP 2, 4.2.2)."""
        total = x + y
        part = total - x
        return total, (x - (total - part)) + (y - part)

    def product_with_error(self, x: Term, y: Term) -> tuple[Term, Term]:
        """``x * y`` and what rounding took from it."""
        product = x * y
        if self.fused:
            return product, self.fma(x, y, -product)
        (x_high, x_low), (y_high, y_low) = self._halves(x), self._halves(y)
        error = (x_high * y_high - product) + x_high * y_low + x_low * y_high
        return product, error + x_low * y_low

    def add_product(self, z: Term, x: Term, y: Term) -> tuple[Term, Term]:
        """``z + x * y`` and what rounding took from it; ``abs(z) >= abs(x * y)``, or z is 0."""
        if self.fused:
            total = self.fma(x, y, z)
            return total, self.fma(x, y, z - total)
        product, error = self.product_with_error(x, y)
        total, more = self.sum_with_error(z, product)
        return total, error + more

    def rest(self, z: Term, x: Term, y: Term) -> Term:
        """``z - x * y``, where the product is so near to z that the difference is exact, but for its last rounding."""
        if self.fused:
            return self.fma(-x, y, z)
        product, error = self.product_with_error(x, y)
        return (z - product) - error

    def _halves(self, x: Term) -> tuple[Term, Term]:
        """A number as a sum of two of half its bits."""
        scaled = x * (2.0 ** ((self.form.mantissa + 2) // 2) + 1.0)
        high = scaled - (scaled - x)
        return high, x - high

    def _lift(self, value: Term | float, like: Term) -> Term:
        return value if isinstance(value, Term) else Term(self, self.operand(value, like.kind), like.kind)
