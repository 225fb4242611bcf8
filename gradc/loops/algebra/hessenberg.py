"""A matrix of any kind brought to 0 below the elements under the diagonal, by reflections; real or complex.

Reflection k is ``H = I - tau v v.H`` with ``v[k + 1] = 1`` and 0 before; its conjugate transpose brings column k to a
real number there and 0 below. (Golub and Van Loan, Matrix Computations, 7.4; signs as in LAPACK.)
"""

from __future__ import annotations

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    Rows,
    conjugate,
    largest_part,
    let_parts,
    multiply_add,
    negative,
    over,
    squares,
    times,
)
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.reflections import dot_order
from gradc.loops.language.program import Accumulate, Buffer, Expression, If, Local, Statement, b, variable


class Hessenberg:
    """``h`` becomes ``Q.H @ h @ Q``; ``z`` becomes the transpose of Q where it is given."""

    def __init__(self, h: Rows, z: Rows | None, size: int) -> None:
        self.h, self.z, self.size, self.parts = h, z, size, h.parts
        w = h.w
        self.v, self.sums = (Array(word, w.dtype, (size,), self.parts) for word in ("reflector", "sums"))
        self.dot = Array("product", w.dtype, (), self.parts)
        self.below, self.squares = (Buffer(word, w.dtype, (), "local") for word in ("beneath", "squared"))
        self.number = b.constant(0.0, w.dtype)

    def statements(self) -> tuple[Statement, ...]:
        """All columns."""
        i, j, size = variable("i"), variable("j"), self.size
        identity: tuple[Statement, ...] = ()
        if self.z is not None:
            unit = tuple(b.select(b.eq(i, j), x, y) for x, y in zip(self.h.one(), self.h.zero(), strict=True))
            identity = (loop("i", 0, size, loop("j", 0, size, *self.z.put(i, j, unit), mode="vector")),)
        if size < 3:
            return identity
        return (
            *identity,
            *self.v.locals,
            *self.sums.locals,
            *self.dot.locals,
            Local(self.below),
            Local(self.squares),
            loop("k", 0, size - 2, *self._column()),
        )

    def _column(self) -> tuple[Statement, ...]:
        """The reflection of column k, where there is something to reflect."""
        k, i, size = variable("k"), variable("i"), self.size
        first = b.add(k, 1)
        alpha, x = self.h.at(first, k), self.h.at(i, k)
        below = b.load(self.below)
        needed = b.ne(below, self.number)
        if self.parts == 2:
            needed = b.logical_or(needed, b.ne(alpha[1], self.number))
        scaling, unit = let("unit", b.maximum(below, largest_part(alpha)))
        length, norm = let("norm", b.mul(unit, b.sqrt(b.load(self.squares))))
        signed, beta = let("beta", b.select(b.lt(alpha[0], self.number), norm, b.neg(norm)))
        share = (b.div(b.sub(beta, alpha[0]), beta), *(b.div(b.neg(each), beta) for each in alpha[1:]))
        names, tau = let_parts("tau", share)
        divided, inverse = self._inverse((b.sub(alpha[0], beta), *alpha[1:]), unit)
        return (
            store(self.below, (), self.number),
            loop("i", b.add(k, 2), size, Accumulate("maximum", self.below.name, (), largest_part(x))),
            If(
                needed,
                (
                    scaling,
                    store(self.squares, (), self.number),
                    loop("i", first, size, Accumulate("add", self.squares.name, (), squares(over(x, unit)))),
                    length,
                    signed,
                    *names,
                    *divided,
                    *self.v.put((first,), self.h.one()),
                    loop("i", b.add(k, 2), size, *self.v.put((i,), times(over(x, unit), inverse))),
                    *self.h.put(first, k, (beta, *self.h.zero()[1:])),
                    loop("i", b.add(k, 2), size, *self.h.put(i, k, self.h.zero())),
                    *self._before(self.h, conjugate(self.v.at(i)), conjugate(tau), self.v.at(i), first),
                    *self._after(tau),
                    *(() if self.z is None else self._before(self.z, self.v.at(i), tau, conjugate(self.v.at(i)), 1)),
                ),
            ),
        )

    def _inverse(self, divisor: Number, unit: Expression) -> tuple[tuple[Statement, ...], Number]:
        """``unit / divisor``, whose size is at least that of the unit: no square leaves the range."""
        names, d = let_parts("divisor", over(divisor, unit))
        if self.parts == 1:
            found, inverse = let("inverse", b.div(b.constant(1.0, unit.dtype), d[0]))
            return (*names, found), (inverse,)
        sized, size = let("size", squares(d))
        made, inverted = let_parts("inverse", over(conjugate(d), size))
        return (*names, sized, *made), inverted

    def _before(self, m: Rows, dual: Number, tau: Number, v: Number, start: Expression | int) -> tuple[Statement, ...]:
        """``m - tau * outer(v, dual @ m)``, of the columns from ``start`` on; ``v`` and ``dual`` are elements i."""
        k, i, j, size = variable("k"), variable("i"), variable("j"), self.size
        first = b.add(k, 1)
        read, entry = let_parts("entry", dual)
        told, multiple = let_parts("multiple", negative(times(tau, v)))
        summed = self.sums.put((j,), multiply_add(entry, m.at(i, j), self.sums.at(j)))
        less = m.put(i, j, multiply_add(multiple, self.sums.at(j), m.at(i, j)))
        return (
            loop("j", start, size, *self.sums.put((j,), m.zero()), mode="vector"),
            loop("i", first, size, *read, loop("j", start, size, *summed, mode="vector")),
            loop("i", first, size, *told, loop("j", start, size, *less, mode="vector")),
        )

    def _after(self, tau: Number) -> tuple[Statement, ...]:
        """``h - tau * outer(h @ v, v.H)``."""
        k, i, j, size = variable("k"), variable("i"), variable("j"), self.size
        first = b.add(k, 1)
        products = times(self.h.at(i, j), self.v.at(j))
        sums = [
            Accumulate("add", buffer.name, (), x, dot_order("j", size))
            for buffer, x in zip(self.dot.buffers, products, strict=True)
        ]
        told, multiple = let_parts("multiple", negative(times(tau, self.dot.at())))
        less = self.h.put(i, j, multiply_add(multiple, conjugate(self.v.at(j)), self.h.at(i, j)))
        return (
            loop(
                "i",
                0,
                size,
                *self.dot.put((), self.h.zero()),
                loop("j", first, size, *sums),
                *told,
                loop("j", first, size, *less, mode="vector"),
            ),
        )
