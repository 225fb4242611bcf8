"""Eigenvalues and eigenvectors of a symmetric matrix, as an internal function.

Reflections bring the matrix to three diagonals, rotations those to one: implicit QL steps with Wilkinson's shift, at
most ``STEPS`` for an eigenvalue, though two suffice on average. (Golub and Van Loan, Matrix Computations, 8.3.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.loops.algebra.factors import Index, let, loop, store
from gradc.loops.algebra.reflections import Reflector, dot_order, element
from gradc.loops.algebra.selection import in_order
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Expression,
    Function,
    If,
    Local,
    Statement,
    Store,
    b,
    variable,
)

STEPS: Final = 60
"""QL steps for an eigenvalue, after which there is no hope."""

VALUES, BESIDE, STATE, EXTRA = 0, 1, 2, 3
"""The rows after vectors and scratch: the values, the elements beside the diagonal, and the state; and their count."""


def eigen_function(name: str, size: int, dtype: np.dtype) -> Function:
    """``w`` holds the matrix, of which the lower triangle is read, in rows ``size`` to ``2 * size``.

    Its first rows become the eigenvectors, row ``2 * size`` the eigenvalues, ascending. The first element of the last
    row is 1, or 0 where an element is not finite or the iteration did not end.
    """
    w = Buffer("w", dtype, (2 * size + EXTRA, size), "parameter", writable=True)
    work = _Work(w, size)
    body = (*work.scaled(), *work.tridiagonal(), *work.vectors(), *work.diagonal(), *work.ordered())
    return Function(name, (w,), (), body)


class _Work:
    """The array that the function works in, and its parts."""

    def __init__(self, w: Buffer, size: int) -> None:
        self.w, self.size, self.dtype = w, size, w.dtype
        self.zero, self.one = b.constant(0.0, w.dtype), b.constant(1.0, w.dtype)
        self.scale = Buffer("span", w.dtype, (), "local")
        self.v = Buffer("v", w.dtype, (size,), "local")
        self.p = Buffer("p", w.dtype, (size,), "local")
        self.dot = Buffer("dot", w.dtype, (), "local")

    def a(self, i: Index, j: Index) -> Expression:
        """An element of the matrix."""
        return element(self.w, b.add(self._at(i), self.size), j)

    def put_a(self, i: Index, j: Index, value: Expression) -> Store:
        return store(self.w, (b.add(self._at(i), self.size), j), value)

    def d(self, i: Index) -> Expression:
        """An element of the diagonal."""
        return element(self.w, 2 * self.size + VALUES, i)

    def put_d(self, i: Index, value: Expression) -> Store:
        return store(self.w, (2 * self.size + VALUES, i), value)

    def e(self, i: Index) -> Expression:
        """The element beside ``d(i)`` and ``d(i + 1)``."""
        return element(self.w, 2 * self.size + BESIDE, i)

    def put_e(self, i: Index, value: Expression) -> Store:
        return store(self.w, (2 * self.size + BESIDE, i), value)

    def state(self, value: Expression) -> Store:
        return store(self.w, (2 * self.size + STATE, 0), value)

    def _v(self, i: Index) -> Expression:
        """An element of the vector of a reflection."""
        return element(self.v, i)

    def _p(self, i: Index) -> Expression:
        """An element of its product with the matrix, and of what is made of that."""
        return element(self.p, i)

    @staticmethod
    def _at(i: Index) -> Expression:
        return i if isinstance(i, Expression) else b.constant(i)

    def scaled(self) -> tuple[Statement, ...]:
        """Both triangles of the matrix, divided by its largest element where squares may leave the range."""
        i, j, size = variable("i"), variable("j"), self.size
        largest = b.load(self.scale)
        root = float(np.sqrt(np.finfo(self.dtype).tiny)) ** 0.5
        far = b.logical_or(b.lt(largest, root), b.gt(largest, 1 / root))
        useful = b.logical_and(far, b.gt(largest, self.zero))
        divided = self.put_a(i, j, b.div(self.a(i, j), largest))
        return (
            Local(self.scale),
            Local(self.v),
            Local(self.p),
            Local(self.dot),
            store(self.scale, (), self.zero),
            loop("i", 0, size, loop("j", 0, i, self.put_a(j, i, self.a(i, j)))),
            loop("i", 0, size, loop("j", 0, size, Accumulate("maximum", self.scale.name, (), b.abs(self.a(i, j))))),
            self.state(b.select(b.isfinite(largest), self.one, self.zero)),
            store(self.scale, (), b.select(useful, largest, self.one)),
            loop("i", 0, size, loop("j", 0, size, divided, mode="vector")),
        )

    # Three diagonals.

    def tridiagonal(self) -> tuple[Statement, ...]:
        """Row k keeps the vector of reflection k behind the diagonal, whose first element, 1, gives way to tau."""
        k, i, size = variable("k"), variable("i"), self.size
        first = b.add(k, 1)
        if size == 1:
            return (self.put_d(0, self.a(0, 0)), self.put_e(0, self.zero))
        reflector = Reflector(self.dtype, lambda row: self.a(k, row), first, size)
        nothing = (self.put_e(k, self.a(k, first)), self.put_a(k, first, self.zero))
        last = size - 1
        return (
            loop("k", 0, last, *reflector.statements(self._reflected, nothing)),
            loop("i", 0, size, self.put_d(i, self.a(i, i))),
            self.put_e(last, self.zero),
        )

    def _reflected(self, beta: Expression, tau: Expression, scale: Expression) -> tuple[Statement, ...]:
        """``A - outer(v, q) - outer(q, v)`` with ``p = tau * A @ v``, ``q = p - (tau / 2) * (p @ v) * v``."""
        k, i, j, size = variable("k"), variable("i"), variable("j"), self.size
        first = b.add(k, 1)
        read, entry = let("entry", self._v(i))
        share = store(self.p, (j,), b.fma(entry, self.a(i, j), self._p(j)))
        half, middle = let("middle", b.mul(b.mul(tau, b.constant(0.5, self.dtype)), b.load(self.dot)))
        other, partner = let("partner", self._p(i))
        less = b.fma(b.neg(entry), self._p(j), self.a(i, j))
        return (
            self.put_e(k, beta),
            store(self.v, (first,), self.one),
            loop("i", b.add(k, 2), size, store(self.v, (i,), b.div(self.a(k, i), scale)), mode="vector"),
            loop("i", b.add(k, 2), size, self.put_a(k, i, self._v(i)), mode="vector"),
            self.put_a(k, first, tau),
            loop("j", first, size, store(self.p, (j,), self.zero), mode="vector"),
            loop("i", first, size, read, loop("j", first, size, share, mode="vector")),
            loop("j", first, size, store(self.p, (j,), b.mul(tau, self._p(j))), mode="vector"),
            store(self.dot, (), self.zero),
            loop(
                "j",
                first,
                size,
                Accumulate("add", self.dot.name, (), b.mul(self._p(j), self._v(j)), dot_order("j", size)),
            ),
            half,
            loop("j", first, size, store(self.p, (j,), b.fma(b.neg(middle), self._v(j), self._p(j))), mode="vector"),
            loop(
                "i",
                first,
                size,
                read,
                other,
                loop("j", first, size, self.put_a(i, j, b.fma(b.neg(partner), self._v(j), less)), mode="vector"),
            ),
        )

    def vectors(self) -> tuple[Statement, ...]:
        """The transpose of the product of the reflections: the last one first, from the right."""
        i, j, turn, size = variable("i"), variable("j"), variable("turn"), self.size
        unit = b.select(b.eq(i, j), self.one, self.zero)
        k = b.sub(b.constant(size - 2), turn)
        first = b.add(k, 1)
        named, tau = let("tau", self.a(k, first))
        multiplied, multiple = let("multiple", b.neg(b.mul(tau, b.load(self.dot))))
        identity = loop("i", 0, size, loop("j", 0, size, store(self.w, (i, j), unit), mode="vector"))
        if size < 3:
            return (identity,)
        return (
            identity,
            loop(
                "turn",
                0,
                size - 1,
                named,
                store(self.v, (first,), self.one),
                loop("j", b.add(k, 2), size, store(self.v, (j,), self.a(k, j)), mode="vector"),
                loop(
                    "i",
                    first,
                    size,
                    store(self.dot, (), self.zero),
                    loop(
                        "j",
                        first,
                        size,
                        Accumulate(
                            "add", self.dot.name, (), b.mul(element(self.w, i, j), self._v(j)), dot_order("j", size)
                        ),
                    ),
                    multiplied,
                    loop(
                        "j",
                        first,
                        size,
                        store(self.w, (i, j), b.fma(multiple, self._v(j), element(self.w, i, j))),
                        mode="vector",
                    ),
                ),
            ),
        )

    # One diagonal.

    def diagonal(self) -> tuple[Statement, ...]:
        """QL steps on the part from row l to the next element beside the diagonal that is negligible."""
        size = self.size
        end, done = (Buffer(word, np.dtype(np.int64), (), "local") for word in ("end", "done"))
        l, t = variable("l"), variable("t")  # noqa: E741 - the field's letter
        m = b.sub(b.constant(size - 2), t)
        eps, tiny = float(np.finfo(self.dtype).eps), float(np.finfo(self.dtype).tiny)
        around = b.add(b.abs(self.d(m)), b.abs(self.d(b.add(m, 1))))
        negligible = b.le(b.abs(self.e(m)), b.add(b.mul(around, eps), tiny))
        found, stop = let("stop", b.clamp(b.load(end), size))
        step = (
            store(end, (), b.constant(size - 1)),
            loop("t", 0, size - 1, If(b.logical_and(b.ge(m, l), negligible), (store(end, (), m),))),
            found,
            If(b.eq(stop, l), (store(done, (), b.constant(1)),), self._step(stop)),
        )
        return (
            Local(end),
            Local(done),
            loop(
                "l",
                0,
                size,
                store(done, (), b.constant(0)),
                loop("count", 0, STEPS, If(b.eq(b.load(done), 0), step)),
                If(b.eq(b.load(done), 0), (self.state(self.zero),)),
            ),
        )

    def _step(self, m: Expression) -> tuple[Statement, ...]:
        """A QL step on rows l to m: rotations of neighbours, from the last pair up, that chase one element out."""
        size, dtype = self.size, self.dtype
        l, turn, k = variable("l"), variable("turn"), variable("k")  # noqa: E741 - the field's letter
        sine, cosine, part, chased = (Buffer(word, dtype, (), "local") for word in ("sine", "cosine", "part", "chased"))
        broken = Buffer("broken", np.dtype(np.int64), (), "local")
        following = b.minimum(b.add(l, 1), size - 1)
        two = b.constant(2.0, dtype)
        slope, g = let("slope", b.div(b.sub(self.d(following), self.d(l)), b.mul(two, self.e(l))))
        length, r = let("length", b.sqrt(b.fma(g, g, self.one)))
        signed = b.add(g, b.select(b.lt(g, self.zero), b.neg(r), r))
        shifted = b.add(b.sub(self.d(m), self.d(l)), b.div(self.e(l), signed))
        i = b.sub(b.constant(size - 2), turn)
        after = b.add(i, 1)
        named = [
            let("outside", b.mul(b.load(sine), self.e(i))),
            let("inside", b.mul(b.load(cosine), self.e(i))),
        ]
        f, inside = named[0][1], named[1][1]
        norm, height = let("height", b.sqrt(b.fma(f, f, b.mul(b.load(chased), b.load(chased)))))
        turned = [let("s", b.div(f, height)), let("c", b.div(b.load(chased), height))]
        s, c = turned[0][1], turned[1][1]
        lowered, base = let("base", b.sub(self.d(after), b.load(part)))
        mixed, mix = let("mix", b.fma(b.sub(self.d(i), base), s, b.mul(b.mul(two, c), inside)))
        above, upper = let("upper", element(self.w, i, k))
        beneath, lower = let("lower", element(self.w, after, k))
        rotated = (
            above,
            beneath,
            store(self.w, (after, k), b.fma(s, upper, b.mul(c, lower))),
            store(self.w, (i, k), b.fma(c, upper, b.neg(b.mul(s, lower)))),
        )
        rotation = (
            turned[0][0],
            turned[1][0],
            lowered,
            mixed,
            store(part, (), b.mul(s, mix)),
            self.put_d(after, b.add(base, b.load(part))),
            store(chased, (), b.fma(c, mix, b.neg(inside))),
            store(sine, (), s),
            store(cosine, (), c),
            loop("k", 0, size, *rotated, mode="vector"),
        )
        nothing: tuple[Statement, ...] = (
            self.put_d(after, b.sub(self.d(after), b.load(part))),
            self.put_e(m, self.zero),
            store(broken, (), b.constant(1)),
        )
        one_pair: tuple[Statement, ...] = (
            *(statement for statement, _ in named),
            norm,
            self.put_e(after, height),
            If(b.eq(height, self.zero), nothing, rotation),
        )
        here = b.logical_and(b.eq(b.load(broken), 0), b.in_range(i, l, m))
        ended = (
            self.put_d(l, b.sub(self.d(l), b.load(part))),
            self.put_e(l, b.load(chased)),
            self.put_e(m, self.zero),
        )
        return (
            *(Local(buffer) for buffer in (sine, cosine, part, chased, broken)),
            slope,
            length,
            store(sine, (), self.one),
            store(cosine, (), self.one),
            store(part, (), self.zero),
            store(chased, (), shifted),
            store(broken, (), b.constant(0)),
            loop("turn", 0, size - 1, If(here, one_pair)),
            If(b.eq(b.load(broken), 0), ended),
        )

    # Order.

    def ordered(self) -> tuple[Statement, ...]:
        """Ascending values with their vectors, by selection, in the matrix's own scale."""
        return in_order(self.w, self.size, 2 * self.size + VALUES, self.scale, b.lt, {"this": 0})
