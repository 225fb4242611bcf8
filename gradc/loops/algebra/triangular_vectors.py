"""Eigenvectors of a Schur form by substitution, and of the matrix it was made of.

A vector of the form ``T`` solves ``(T - value) x = 0`` with 1 at its end. A divisor that vanishes stands for the least
that rounding leaves of it, and a vector that grows beyond the range is scaled down, as in LAPACK's ``trevc``.
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import (
    Array,
    Number,
    Rows,
    conjugate,
    element,
    extent,
    largest_part,
    let_parts,
    minus,
    multiply_add,
    negative,
    over,
    scaled,
    select,
    squares,
    times,
)
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.reflections import dot_order
from gradc.loops.language.program import Accumulate, Buffer, Expression, If, Local, Statement, b, variable


class TriangularVectors:
    """The rows of ``x`` become the vectors of ``t``, whose eigenvalues are in the rows ``values``.

    Of a real form the vectors of two conjugate values are the real and the imaginary part of the first one's.
    """

    def __init__(self, t: Rows, x: Rows, size: int, values: tuple[int, int]) -> None:
        self.t, self.x, self.size, self.values = t, x, size, values
        self.w, self.dtype = t.w, t.w.dtype
        self.is_real = t.parts == 1
        self.u = Array("u", self.dtype, (size,), 2)
        self.dot, self.rest, self.other = (Array(word, self.dtype, (), 2) for word in ("dot", "rest", "other"))
        self.peak = Buffer("peak", self.dtype, (), "local")
        self.zero, self.one = b.constant(0.0, self.dtype), b.constant(1.0, self.dtype)
        limits = np.finfo(self.dtype)
        self.eps, self.tiny = float(limits.eps), float(limits.tiny) * size / float(limits.eps)
        self.big = float(np.sqrt(limits.max))
        self.k = variable("k")
        self.value = element(self.w, values[0], self.k), element(self.w, values[1], self.k)

    def _wide(self, x: Number) -> Number:
        """In two parts."""
        return x if len(x) == 2 else (x[0], self.zero)

    def statements(self) -> tuple[Statement, ...]:
        """All vectors, the largest part of each being 1."""
        j, size, k = variable("j"), self.size, self.k
        lets, value = let_parts("value", self.value)
        least, small = let("small", b.maximum(b.mul(extent(value), self.eps), self.tiny))
        row, place = let("row", b.maximum(b.sub(b.sub(k, 1), variable("back")), 0))
        one = (
            *lets,
            least,
            loop("j", 0, size, *self.u.put((j,), (self.zero, self.zero)), mode="vector"),
            *self.u.put((k,), (self.one, self.zero)),
            *self._end_of_two(value[1]),
            loop("back", 0, k, row, *self._row(place, value, small)),
            *self._kept(value[1]),
        )
        body = (If(b.ge(self.value[1], self.zero), one),) if self.is_real else one
        cells = (self.u, self.dot, self.rest, self.other)
        return (*(s for c in cells for s in c.locals), Local(self.peak), loop("k", 0, size, *body))

    def _end_of_two(self, part: Expression) -> tuple[Statement, ...]:
        """The last two elements of the vector of two conjugate values."""
        if not self.is_real or self.size == 1:
            return ()
        k, after = self.k, b.minimum(b.add(self.k, 1), self.size - 1)
        upper, lower = self.t.at(k, after)[0], self.t.at(after, k)[0]
        by_upper = (*self.u.put((after,), (self.zero, b.div(part, upper))),)
        by_lower = (
            *self.u.put((k,), (b.neg(b.div(part, lower)), self.zero)),
            *self.u.put((after,), (self.zero, self.one)),
        )
        return (If(b.gt(part, self.zero), (If(b.ge(b.abs(upper), b.abs(lower)), by_upper, by_lower),)),)

    def _row(self, j: Expression, value: Number, small: Expression) -> tuple[Statement, ...]:
        """Element j; of a block of two rows the lower one waits for the upper one."""
        column, size = variable("column"), self.size
        products = times(self.t.at(j, column), self.u.at(column))
        sums = [
            Accumulate("add", buffer.name, (), x, dot_order("column", size))
            for buffer, x in zip(self.dot.buffers, products, strict=True)
        ]
        gathered = (
            *self.dot.put((), (self.zero, self.zero)),
            loop("column", b.add(j, 1), b.minimum(b.add(self.k, 2), size), *sums),
            *self.rest.put((), negative(self.dot.at())),
        )
        told, divisor = let_parts("gap", minus(self._wide(self.t.at(j, j)), value))
        single = (*told, *self._divided("by", j, divisor, small))
        if not self.is_real or size < 3:
            return (*gathered, *single)
        before, after = b.maximum(b.sub(j, 1), 0), b.minimum(b.add(j, 1), size - 1)
        is_lower = b.logical_and(b.gt(j, 0), b.ne(self.t.at(j, before)[0], self.zero))
        is_upper = b.logical_and(b.lt(after, self.k), b.ne(self.t.at(after, j)[0], self.zero))
        waits = self.other.put((), self.rest.at())
        both = self._two_rows(j, after, value, small)
        return (*gathered, If(is_lower, waits, (If(is_upper, both, single),)))

    def _two_rows(self, j: Expression, after: Expression, value: Number, small: Expression) -> tuple[Statement, ...]:
        """By elimination with the larger element of the first column."""
        corner = [let_parts("corner", minus(self._wide(self.t.at(j, j)), value)),
                  let_parts("last", minus(self._wide(self.t.at(after, after)), value))]  # fmt: skip
        upper, lower = let("upper", self.t.at(j, after)[0]), let("lower", self.t.at(after, j)[0])
        wide_upper, wide_lower = (upper[1], self.zero), (lower[1], self.zero)
        exchange = let("exchange", b.gt(b.abs(lower[1]), extent(corner[0][1])))
        pivot = let_parts("pivot", select(exchange[1], wide_lower, corner[0][1]))
        second = let_parts("second", select(exchange[1], corner[1][1], wide_upper))
        third = let_parts("third", select(exchange[1], corner[0][1], wide_lower))
        fourth = let_parts("fourth", select(exchange[1], wide_upper, corner[1][1]))
        rest, other = self.rest.at(), self.other.at()
        top = let_parts("top", select(exchange[1], other, rest))
        bottom = let_parts("bottom", select(exchange[1], rest, other))
        unit = let("pivot_unit", largest_part(pivot[1]))
        size = let("pivot_size", squares(over(pivot[1], unit[1])))
        ratio = let_parts("ratio", over(times(over(third[1], unit[1]), conjugate(over(pivot[1], unit[1]))), size[1]))
        left = let_parts("left", minus(fourth[1], times(ratio[1], second[1])))
        lets = (
            *corner[0][0], *corner[1][0], upper[0], lower[0], exchange[0], *pivot[0], *second[0], *third[0],
            *fourth[0], *top[0], *bottom[0], unit[0], size[0], *ratio[0], *left[0],
        )  # fmt: skip
        return (
            *lets,
            *self.other.put((), top[1]),
            *self.rest.put((), minus(bottom[1], times(ratio[1], top[1]))),
            *self._divided("lower_by", after, left[1], small),
            *self.rest.put((), minus(self.other.at(), times(second[1], self.u.at(after)))),
            *self._divided("upper_by", j, pivot[1], small),
        )

    def _divided(self, word: str, j: Expression, divisor: Number, small: Expression) -> tuple[Statement, ...]:
        """Element j as what is left over a divisor; the vector is scaled down where that is beyond the range."""
        i, size = variable("i"), self.size
        vanishes = b.lt(extent(divisor), small)
        lets, d = let_parts(word, select(vanishes, (small, self.zero), divisor))
        unit = let(f"{word}_unit", largest_part(d))
        rest = let(f"{word}_rest", largest_part(self.rest.at()))
        over_range = b.gt(rest[1], b.mul(unit[1], self.big))
        down = let("down", b.div(b.mul(unit[1], self.big), rest[1]))
        smaller = (
            down[0],
            loop("i", 0, size, *self.u.put((i,), scaled(self.u.at(i), down[1])), mode="vector"),
            *self.rest.put((), scaled(self.rest.at(), down[1])),
            *self.other.put((), scaled(self.other.at(), down[1])),
        )
        shares, e = let_parts(f"{word}_turn", over(d, unit[1]))
        length = let(f"{word}_size", squares(e))
        quotient = over(over(times(self.rest.at(), conjugate(e)), length[1]), unit[1])
        return (
            *lets,
            unit[0],
            rest[0],
            If(over_range, smaller),
            *shares,
            length[0],
            *self.u.put((j,), quotient),
        )

    def _kept(self, part: Expression) -> tuple[Statement, ...]:
        """The vector divided by its largest part."""
        j, k, size = variable("j"), self.k, self.size
        peak = b.load(self.peak)
        unit = over(self.u.at(j), peak)
        found = (
            store(self.peak, (), self.zero),
            loop("j", 0, size, Accumulate("maximum", self.peak.name, (), largest_part(self.u.at(j)))),
        )
        if not self.is_real:
            return (*found, loop("j", 0, size, *self.x.put(k, j, unit), mode="vector"))
        after = b.minimum(b.add(k, 1), size - 1)
        second = (loop("j", 0, size, *self.x.put(after, j, unit[1:]), mode="vector"),) if size > 1 else ()
        return (
            *found,
            loop("j", 0, size, *self.x.put(k, j, unit[:1]), mode="vector"),
            *((If(b.gt(part, self.zero), second),) if second else ()),
        )


def multiplied(x: Rows, z: Rows, v: Rows, size: int) -> tuple[Statement, ...]:
    """``v = x @ z``, where row k of ``x`` has at most ``k + 2`` elements."""
    k, row, j = variable("k"), variable("row"), variable("j")
    read, entry = let_parts("entry", x.at(k, row))
    added = v.put(k, j, multiply_add(entry, z.at(row, j), v.at(k, j)))
    return (
        loop(
            "k",
            0,
            size,
            loop("j", 0, size, *v.put(k, j, v.zero()), mode="vector"),
            loop("row", 0, b.minimum(b.add(k, 2), size), *read, loop("j", 0, size, *added, mode="vector")),
        ),
    )
