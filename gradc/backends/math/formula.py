"""Formulas of functions: what is computed, for any writer.

A function is told in terms (``gradc.backends.math.term``) and the steps of this class. Nothing is reordered or
contracted: a fused multiply-add stands where ``fma`` is written, and is a product and a sum on a target that has no
such instruction. So whoever writes it, in vectors or in another language, computes the same bits. A branch leads to a
longer path for seldom arguments.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

from gradc.backends.math.formats import Format
from gradc.backends.math.term import Number, Term


class Formula(ABC):
    """The function ``name`` of numbers of the format ``form``.

    ``fused`` says whether there are fused multiply-adds, ``doubles`` whether f32 may go on in f64, ``tables`` whether
    formulas are chosen that look up many numbers, for registers hold 32 of f32.

    Types of values are called as in LLVM: ``double``, ``float``, ``i64``, ``i32``, ``i1``.
    """

    def __init__(self, name: str, form: Format, fused: bool, doubles: bool = True, tables: bool = False) -> None:
        self.name = name
        self.form = form
        self.fused = fused
        self.doubles = doubles
        self.tables = tables

    def within(self, form: Format) -> Self:
        """The same function, going on in numbers of another format."""
        other = copy.copy(self)
        other.form = form
        return other

    # What a writer writes.

    @property
    @abstractmethod
    def arguments(self) -> list[Term]:
        """The parameters of the function."""

    @abstractmethod
    def apply(self, operation: str, operands: Sequence[Term | Number], kind: str, result: str) -> Term:
        """An operation of LLVM's on operands of the type ``kind``: arithmetic, ``fneg``, or a comparison (``olt``)."""

    @abstractmethod
    def call(self, name: str, *arguments: Term) -> Term:
        """A function that is an instruction everywhere: ``fma``, ``fabs``, ``copysign``, ``sqrt``."""

    @abstractmethod
    def cast(self, instruction: str, x: Term, kind: str) -> Term:
        """``x`` as another type."""

    @abstractmethod
    def select(self, mask: Term, x: Term | float, y: Term | float) -> Term:
        """``x`` where ``mask`` holds, else ``y``."""

    @abstractmethod
    def operand(self, value: Term | Number, kind: str) -> str:
        """An operand of the type ``kind``: a number is rounded to it."""

    @abstractmethod
    def lookup(self, name: str, table: Sequence[float], index: Term) -> Term:
        """The number of ``table`` at the last bits of ``index``. There are a power of two of them."""

    @abstractmethod
    def row(self, table: str, index: Term, columns: int) -> list[Term]:
        """The numbers of a row of a table."""

    @abstractmethod
    def done_if(self, holds: Term, result: Term) -> None:
        """``result`` is that of the function if ``holds`` for all elements; what follows is for other cases.

        Where it holds for some elements, they must get the same from what follows.
        """

    @abstractmethod
    def repeat(self, count: int, first: Sequence[Term], step: Callable[..., Sequence[Term]]) -> list[Term]:
        """What ``count`` steps, written once, make of some numbers.

        ``step`` gets the number of steps that are left, this one among them, and the numbers; it gives the next ones.
        """

    @abstractmethod
    def comment(self, text: str) -> None:
        """A line for the reader."""

    @abstractmethod
    def rename(self, term: Term, name: str) -> Term:
        """Give the result of the last step a name, made unique; an older value keeps its own."""

    # What is made of it.

    def number(self, value: float) -> Term:
        """A floating-point constant."""
        return Term(self, self.operand(value, self.form.type), self.form.type)

    def fma(self, x: Term, y: Term | float, z: Term | float) -> Term:
        """``x * y + z``, rounded once where the target can; else twice."""
        if not self.fused:
            return x * y + z
        return self.call("fma", x, self._lift(y, x), self._lift(z, x))

    def select_until_done(self, holds: Term, x: Term, y: Term) -> Term:
        """``x`` where ``holds``, else ``y``, which ``done_if`` of ``holds`` follows: a path that ends there is of x."""
        return self.select(holds, x, y)

    def convert(self, x: Term, form: Format) -> Term:
        """``x`` in another format."""
        if x.kind == form.type:
            return x
        return self.cast("fpext" if form.bits == 64 else "fptrunc", x, form.type)

    def abs(self, x: Term) -> Term:
        return self.call("fabs", x)

    def copysign(self, magnitude: Term, sign: Term) -> Term:
        return self.call("copysign", magnitude, sign)

    def is_nan(self, x: Term) -> Term:
        return self.apply("uno", (x, x), x.kind, "i1")

    def is_odd(self, n: Term) -> Term:
        """Whether an integer is odd that stands in the last bits of a positive number."""
        return self.cast("trunc", n, "i1")

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
        """Whether the exponent, the significands and ``times_power`` are instructions."""
        return False

    def exponent(self, x: Term) -> Term:
        """The exponent as a number, of subnormal numbers too: -infinity of 0, infinity of infinity, NaN of NaN."""
        raise NotImplementedError

    def significand(self, x: Term) -> Term:
        """x over the power of two that leaves 1 to 2: 1 of 0, -0 and infinity, NaN of negative numbers."""
        raise NotImplementedError

    def significand_around_1(self, x: Term) -> Term:
        """The same, of 3/4 to 3/2."""
        raise NotImplementedError

    def significand_of_size(self, x: Term) -> Term:
        """The same of the size of x, of 1 to 2."""
        raise NotImplementedError

    def times_power(self, x: Term, n: Term) -> Term:
        """``x * 2**n`` of a whole n, rounded once."""
        raise NotImplementedError

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
