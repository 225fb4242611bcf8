"""The real Schur form of a real matrix that has 0 below the elements under the diagonal: Francis's double shifts.

Implicit steps with the two eigenvalues of the last two rows, both in real numbers, by reflections of three rows that
chase a bulge down. What stays are single eigenvalues and blocks of two conjugate ones, with equal elements on their
diagonal. (Golub and Van Loan, Matrix Computations, 7.5; the blocks by Bai and Demmel, On swapping diagonal blocks in
real Schur form, 1993, section 2.)
"""

from __future__ import annotations

from collections.abc import Sequence

from gradc.loops.algebra.arithmetic import Rows
from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.algebra.schur import Schur, Trial
from gradc.loops.algebra.standard_block import StandardBlock
from gradc.loops.language.program import Buffer, Expression, If, Local, Statement, b, variable


class Francis(Schur):
    """Single eigenvalues and blocks of two conjugate ones."""

    def __init__(self, h: Rows, z: Rows | None, size: int, values: tuple[int, int]) -> None:
        super().__init__(h, z, size, values)
        self.chased = [Buffer(f"bulge_{k}", self.dtype, (), "local") for k in range(3)]

    def a(self, i: Index, j: Index) -> Expression:
        """An element of the matrix."""
        return self.h.at(i, j)[0]

    def put(self, i: Index, j: Index, value: Expression) -> Statement:
        return self.h.put(i, j, (value,))[0]

    def bulge(self) -> tuple[Statement, ...]:
        return tuple(map(Local, self.chased))

    def attempt(self, first: Expression) -> tuple[Statement, ...]:
        real, imaginary = self.values
        single = (
            store(self.w, (real, self.m), self.a(self.m, self.m)),
            store(self.w, (imaginary, self.m), self.zero),
            *self.search.finished(),
        )
        if self.size == 1:
            return single
        block = StandardBlock(self.h, self.z, self.size, self.m, self.before, self.end, self.values)
        pair = (*block.statements(), *self.search.finished(both=True))
        longer = self._step(first) if self.size > 2 else ()
        return (If(b.eq(first, self.m), single, (If(b.eq(first, b.sub(self.m, 1)), pair, longer),)),)

    # Steps.

    def _step(self, first: Expression) -> tuple[Statement, ...]:
        """One sweep of the bulge through rows ``first`` to ``m``."""
        shifts, re, im = self._shifts(first)
        k, last = variable("k"), self.before
        chase = (
            If(b.gt(k, b.load(self.begin)), tuple(self._read(k, 3))),
            *self._reflection(k, 3, first),
        )
        return (
            *shifts,
            *self._start(first, re, im),
            loop("k", 0, b.sub(self.m, 1), If(b.ge(k, b.load(self.begin)), chase)),
            If(b.gt(last, b.load(self.begin)), tuple(self._read(last, 2))),
            store(self.chased[2], (), self.zero),
            *self._reflection(last, 2, first),
        )

    def _shifts(self, first: Expression) -> tuple[tuple[Statement, ...], Expression, Expression]:
        """The real part of both shifts, and the imaginary part of the first one.

        Of two real ones the one nearer to the last element serves as both.
        """
        m, p, size = self.m, self.before, self.size
        q = b.maximum(b.sub(m, 2), 0)
        second, third = (b.minimum(b.add(first, n), size - 1) for n in (1, 2))
        at_top, at_bottom = self.search.unusual()
        top = let("top", b.add(b.abs(self.a(second, first)), b.abs(self.a(third, second))))
        bottom = let("bottom", b.add(b.abs(self.a(m, p)), b.abs(self.a(p, q))))
        step = b.select(at_top, top[1], bottom[1])
        corner = b.select(at_top, self.a(first, first), self.a(m, m))
        is_unusual = b.logical_or(at_top, at_bottom)

        def chosen(name: str, unusual: Expression, usual: Expression) -> tuple[Statement, Expression]:
            return let(name, b.select(is_unusual, unusual, usual))

        # The shifts of EISPACK's hqr, Numer. Math. 14 (1970) 219: eigenvalues of a block made of sizes below.
        diagonal = chosen("upper", b.fma(step, b.constant(0.75, self.dtype), corner), self.a(p, p))
        lower = chosen("lower", b.fma(step, b.constant(0.75, self.dtype), corner), self.a(m, m))
        above = chosen("above", b.mul(step, -0.4375), self.a(p, m))
        below = chosen("below", step, self.a(m, p))
        four = [diagonal, above, below, lower]
        total = b.add(b.add(b.abs(diagonal[1]), b.abs(above[1])), b.add(b.abs(below[1]), b.abs(lower[1])))
        span = let("reach", b.select(b.eq(total, self.zero), b.constant(1.0, self.dtype), total))
        scaled = [let(f"of_{k}", b.div(x, span[1])) for k, (_, x) in enumerate(four)]
        h11, h12, h21, h22 = (x for _, x in scaled)
        half = let("half", b.mul(b.add(h11, h22), 0.5))
        product = b.mul(b.sub(h11, half[1]), b.sub(h22, half[1]))
        det = let("det", b.sub(product, b.mul(h12, h21)))
        root = let("root", b.sqrt(b.abs(det[1])))
        high, low = b.add(half[1], root[1]), b.sub(half[1], root[1])
        near = b.select(b.le(b.abs(b.sub(high, h22)), b.abs(b.sub(low, h22))), high, low)
        conjugate = b.ge(det[1], self.zero)
        re = let("shift", b.mul(b.select(conjugate, half[1], near), span[1]))
        im = let("shift_im", b.mul(b.select(conjugate, root[1], self.zero), span[1]))
        lets = [top, bottom, *four, span, *scaled, half, det, root, re, im]
        return tuple(statement for statement, _ in lets), re[1], im[1]

    def _start(self, first: Expression, re: Expression, im: Expression) -> tuple[Statement, ...]:
        """The last row at which two small elements in a row let the bulge begin, and its first column there."""
        named, k = let("row", b.maximum(b.sub(b.sub(self.m, 2), variable("back")), 0))
        k = b.minimum(k, self.size - 3)
        after, second = b.add(k, 1), b.add(k, 2)
        x = let("x", b.sub(self.a(k, k), re))
        below = let("below_x", self.a(after, k))
        span = let("span_x", b.add(b.add(b.abs(x[1]), b.abs(im)), b.abs(below[1])))
        ratio = let("ratio", b.div(below[1], span[1]))
        squares = b.add(b.mul(x[1], b.div(x[1], span[1])), b.mul(im, b.div(im, span[1])))
        v0 = let("v0", b.fma(ratio[1], self.a(k, after), squares))
        v1 = let("v1", b.mul(ratio[1], b.add(x[1], b.sub(self.a(after, after), re))))
        v2 = let("v2", b.mul(ratio[1], self.a(second, after)))
        total = let("total", b.add(b.add(b.abs(v0[1]), b.abs(v1[1])), b.abs(v2[1])))
        previous = b.maximum(b.sub(k, 1), 0)
        around = b.add(b.add(b.abs(self.a(previous, previous)), b.abs(self.a(k, k))), b.abs(self.a(after, after)))
        lost = b.mul(b.abs(self.a(k, previous)), b.add(b.abs(v1[1]), b.abs(v2[1])))
        small = b.le(lost, b.mul(b.mul(b.abs(v0[1]), around), self.search.eps))
        kept = tuple(
            store(buffer, (), b.div(x, total[1])) for buffer, (_, x) in zip(self.chased, (v0, v1, v2), strict=True)
        )
        lets = tuple(statement for statement, _ in (x, below, span, ratio, v0, v1, v2, total))
        return self.begun(named, k, b.sub(self.m, 1), first, Trial(lets, small, kept))

    def _read(self, k: Expression, count: int) -> list[Statement]:
        """The column that reflection k shortens."""
        column = b.maximum(b.sub(k, 1), 0)
        return [store(buffer, (), self.a(b.add(k, n), column)) for n, buffer in enumerate(self.chased[:count])]

    def _reflection(self, k: Expression, count: int, first: Expression) -> tuple[Statement, ...]:
        """Reflect rows and columns k to ``k + count``, so that the bulge becomes its first element."""
        x, *rest = (b.load(buffer) for buffer in self.chased[:count])
        beyond = b.abs(rest[0]) if count == 2 else b.maximum(b.abs(rest[0]), b.abs(rest[1]))
        unit = let("unit", b.maximum(beyond, b.abs(x)))
        parts = [let(f"part_{n}", b.div(each, unit[1])) for n, each in enumerate((x, *rest))]
        squares = b.mul(parts[0][1], parts[0][1])
        for _, each in parts[1:]:
            squares = b.fma(each, each, squares)
        length = let("length", b.mul(unit[1], b.sqrt(squares)))
        beta = let("beta", b.select(b.lt(x, self.zero), length[1], b.neg(length[1])))
        tau = let("tau", b.div(b.sub(beta[1], x), beta[1]))
        v = [let(f"v_{n}", b.div(each, b.sub(x, beta[1]))) for n, each in enumerate(rest)]
        by = [tau, *(let(f"t_{n}", b.mul(tau[1], each)) for n, (_, each) in enumerate(v))]
        column = b.maximum(b.sub(k, 1), 0)
        shortened = (
            self.put(k, column, beta[1]),
            *(self.put(b.add(k, n + 1), column, self.zero) for n in range(count - 1)),
        )
        kept = self.put(k, column, b.mul(self.a(k, column), b.sub(self.one, tau[1])))
        weights, shares = [each for _, each in v], [each for _, each in by]

        def reflected(m: Rows, places: Sequence[tuple[Index, Index]]) -> tuple[Statement, ...]:
            return self._reflected(m, places, weights, shares)

        last = b.minimum(b.add(k, 4), b.add(self.m, 1))
        turned = self.turned(k, count, last, reflected, reflected)
        lets = [unit, *parts, length, beta, tau, *v, *by[1:]]
        inner = b.gt(k, b.load(self.begin))
        return (
            If(
                b.ne(beyond, self.zero),
                (
                    *(statement for statement, _ in lets),
                    If(inner, shortened, (If(b.gt(k, first), (kept,)),)),
                    *turned,
                ),
            ),
        )

    @staticmethod
    def _reflected(
        m: Rows, places: Sequence[tuple[Index, Index]], weights: list[Expression], shares: list[Expression]
    ) -> tuple[Statement, ...]:
        """``x - shares * (x[0] + weights @ x[1:])`` of the elements x at some places."""
        lets = [let(f"x_{n}", m.at(*place)[0]) for n, place in enumerate(places)]
        total = lets[0][1]
        for weight, (_, each) in zip(weights, lets[1:], strict=True):
            total = b.fma(weight, each, total)
        summed = let("sum", total)
        put = [
            m.put(*place, (b.fma(b.neg(share), summed[1], each),))[0]
            for place, share, (_, each) in zip(places, shares, lets, strict=True)
        ]
        return (*(statement for statement, _ in lets), summed[0], *put)
