"""The values of a formula: terms that read as mathematics, one instruction each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradc.backends.math.formula import Formula

Number = int | float


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A value of the function: ``operand`` is what its writer calls it, ``kind`` its type."""

    formula: Formula
    operand: str
    kind: str

    def __add__(self, other: Term | Number) -> Term:
        return self._arithmetic("add", self, other)

    def __radd__(self, other: Number) -> Term:
        return self._arithmetic("add", other, self)

    def __sub__(self, other: Term | Number) -> Term:
        return self._arithmetic("sub", self, other)

    def __rsub__(self, other: Number) -> Term:
        return self._arithmetic("sub", other, self)

    def __mul__(self, other: Term | Number) -> Term:
        return self._arithmetic("mul", self, other)

    def __rmul__(self, other: Number) -> Term:
        return self._arithmetic("mul", other, self)

    def __truediv__(self, other: Term | Number) -> Term:
        return self._binary("fdiv", self, other)

    def __rtruediv__(self, other: Number) -> Term:
        return self._binary("fdiv", other, self)

    def __floordiv__(self, other: int) -> Term:
        """The quotient of an integer that is not negative."""
        return self._binary("udiv", self, other)

    def __neg__(self) -> Term:
        return self.formula.apply("fneg", (self,), self.kind, self.kind)

    def __and__(self, other: Term | Number) -> Term:
        return self._binary("and", self, other)

    def __or__(self, other: Term | Number) -> Term:
        return self._binary("or", self, other)

    def __xor__(self, other: Term | Number) -> Term:
        return self._binary("xor", self, other)

    def __lshift__(self, other: int) -> Term:
        return self._binary("shl", self, other)

    def __rshift__(self, other: int) -> Term:
        """The bits moved down; zeros come in."""
        return self._binary("lshr", self, other)

    def __lt__(self, other: Term | Number) -> Term:
        return self._compare("olt", other)

    def __le__(self, other: Term | Number) -> Term:
        return self._compare("ole", other)

    def __gt__(self, other: Term | Number) -> Term:
        return self._compare("ogt", other)

    def __ge__(self, other: Term | Number) -> Term:
        return self._compare("oge", other)

    def equals(self, other: Term | Number) -> Term:
        """Whether two numbers are equal: false of NaN."""
        return self._compare("oeq", other)

    def negated(self) -> Term:
        """Whether a condition does not hold."""
        return self ^ 1

    def named(self, name: str) -> Term:
        """The same value, under a name of its own in the text."""
        return self.formula.rename(self, name)

    @property
    def is_float(self) -> bool:
        return self.kind in ("float", "double")

    def _arithmetic(self, operation: str, left: Term | Number, right: Term | Number) -> Term:
        return self._binary(f"f{operation}" if self.is_float else operation, left, right)

    def _binary(self, operation: str, left: Term | Number, right: Term | Number) -> Term:
        return self.formula.apply(operation, (left, right), self.kind, self.kind)

    def _compare(self, predicate: str, other: Term | Number) -> Term:
        return self.formula.apply(predicate, (self, other), self.kind, "i1")
