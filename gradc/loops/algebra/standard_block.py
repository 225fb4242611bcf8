"""A block of two rows on the diagonal of a real Schur form, brought to its standard form by a rotation.

Either its lower element becomes 0, and the diagonal has two real eigenvalues, or the elements on the diagonal become
equal, and those beside it have opposite signs: two conjugate eigenvalues. (Bai and Demmel, On swapping diagonal blocks
in real Schur form, 1993, section 2.)
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import Rows
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.language.program import Buffer, Expression, If, Local, Statement, b, variable


class StandardBlock:
    """The block of ``h`` in the rows ``p`` and ``m = p + 1``; ``z`` is turned with it."""

    def __init__(
        self, h: Rows, z: Rows | None, size: int, m: Expression, p: Expression, end: Expression, values: tuple[int, int]
    ) -> None:
        self.h, self.z, self.size, self.m, self.p, self.end, self.values = h, z, size, m, p, end, values
        self.dtype = h.w.dtype
        self.elements = [Buffer(f"h_{word}", self.dtype, (), "local") for word in ("a", "b", "c", "d")]
        self.cosine, self.sine = (Buffer(word, self.dtype, (), "local") for word in ("cosine", "sine"))
        self.zero, self.one = b.constant(0.0, self.dtype), b.constant(1.0, self.dtype)

    def statements(self) -> tuple[Statement, ...]:
        """The rotation, the block, and its eigenvalues."""
        m, p = self.m, self.p
        places = [(p, p), (p, m), (m, p), (m, m)]
        upper, lower = b.load(self.elements[1]), b.load(self.elements[2])
        real, imaginary = self.values
        width = let("width", b.mul(b.sqrt(b.abs(upper)), b.sqrt(b.abs(lower))))
        part = let("part", b.select(b.eq(lower, self.zero), self.zero, width[1]))
        w = self.h.w
        return (
            *(Local(buffer) for buffer in (*self.elements, self.cosine, self.sine)),
            *(store(buffer, (), self.h.at(*at)[0]) for buffer, at in zip(self.elements, places, strict=True)),
            store(self.cosine, (), self.one),
            store(self.sine, (), self.zero),
            *self._standard(),
            *(self.h.put(*at, (b.load(buffer),))[0] for buffer, at in zip(self.elements, places, strict=True)),
            width[0],
            part[0],
            store(w, (real, p), b.load(self.elements[0])),
            store(w, (real, m), b.load(self.elements[3])),
            store(w, (imaginary, p), part[1]),
            store(w, (imaginary, m), b.sub(self.zero, part[1])),
            *self._rotated(),
        )

    def _set(self, word: str, *values: Expression) -> tuple[Statement, ...]:
        """The four elements, the cosine and the sine."""
        buffers = (*self.elements, self.cosine, self.sine)
        lets = [let(f"{word}_{buffer.name}", value) for buffer, value in zip(buffers, values, strict=True)]
        return (
            *(statement for statement, _ in lets),
            *(store(buffer, (), x) for buffer, (_, x) in zip(buffers, lets, strict=True)),
        )

    def _standard(self) -> tuple[Statement, ...]:
        top, upper, lower, bottom = (b.load(buffer) for buffer in self.elements)
        exchanged = self._set("exchanged", bottom, b.neg(lower), self.zero, top, self.zero, self.one)
        opposite = b.logical_xor(b.lt(upper, self.zero), b.lt(lower, self.zero))
        is_standard = b.logical_and(b.eq(top, bottom), opposite)
        return (
            If(
                b.ne(lower, self.zero),
                (
                    If(
                        b.eq(upper, self.zero),
                        exchanged,
                        (If(b.logical_not(is_standard), self._general()),),
                    ),
                ),
            ),
        )

    def _general(self) -> tuple[Statement, ...]:
        """Real eigenvalues that are apart, or else a diagonal of equal elements first."""
        top, upper, lower, bottom = (b.load(buffer) for buffer in self.elements)
        half = let("half_gap", b.mul(b.sub(top, bottom), 0.5))
        large = let("larger", b.maximum(b.abs(upper), b.abs(lower)))
        sign = b.mul(b.copysign(self.one, upper), b.copysign(self.one, lower))
        small = let("smaller", b.mul(b.minimum(b.abs(upper), b.abs(lower)), sign))
        scale = let("scale", b.maximum(b.abs(half[1]), large[1]))
        over = b.mul(b.div(large[1], scale[1]), small[1])
        inside = let("inside", b.fma(b.div(half[1], scale[1]), half[1], over))
        # The eigenvalues are (a + d) / 2 +- root.
        root = let("root", b.mul(b.sqrt(scale[1]), b.sqrt(inside[1])))
        z = let("z", b.add(half[1], b.copysign(root[1], half[1])))
        measured, length = _length("length", lower, z[1])
        real = (
            root[0],
            z[0],
            *measured,
            *self._set(
                "real",
                b.add(bottom, z[1]),
                b.sub(upper, lower),
                self.zero,
                b.sub(bottom, b.mul(b.div(large[1], z[1]), small[1])),
                b.div(z[1], length),
                b.div(lower, length),
            ),
        )
        apart = b.ge(inside[1], b.mul(scale[1], 4 * float(np.finfo(self.dtype).eps)))
        return (
            half[0],
            large[0],
            small[0],
            scale[0],
            inside[0],
            If(apart, real, self._equal_diagonal(half[1])),
        )

    def _equal_diagonal(self, half: Expression) -> tuple[Statement, ...]:
        """Equal elements on the diagonal; then two real eigenvalues where those beside it have one sign."""
        top, upper, lower, bottom = (b.load(buffer) for buffer in self.elements)
        both, gap = let("both", b.add(upper, lower)), let("gap", b.sub(top, bottom))
        measured, length = _length("length", both[1], gap[1])
        ratio = b.div(b.abs(both[1]), length)
        c = let("c", b.sqrt(b.mul(b.add(ratio, self.one), 0.5)))
        s = let("s", b.neg(b.mul(b.div(half, b.mul(length, c[1])), b.copysign(self.one, both[1]))))
        left = [
            let("left_a", b.add(b.mul(top, c[1]), b.mul(upper, s[1]))),
            let("left_b", b.sub(b.mul(upper, c[1]), b.mul(top, s[1]))),
            let("left_c", b.add(b.mul(lower, c[1]), b.mul(bottom, s[1]))),
            let("left_d", b.sub(b.mul(bottom, c[1]), b.mul(lower, s[1]))),
        ]
        la, lb, lc, ld = (x for _, x in left)
        mean = let("mean", b.mul(b.add(b.add(b.mul(la, c[1]), b.mul(lc, s[1])),
                                       b.sub(b.mul(ld, c[1]), b.mul(lb, s[1]))), 0.5))  # fmt: skip
        turned = self._set(
            "equal",
            mean[1],
            b.add(b.mul(lb, c[1]), b.mul(ld, s[1])),
            b.sub(b.mul(lc, c[1]), b.mul(la, s[1])),
            mean[1],
            c[1],
            s[1],
        )
        named = [c, s, *left, mean]
        same = b.logical_not(b.logical_xor(b.lt(upper, self.zero), b.lt(lower, self.zero)))
        vanishing = self._set(
            "exchanged", top, b.neg(lower), self.zero, top, b.neg(b.load(self.sine)), b.load(self.cosine)
        )
        return (
            both[0],
            gap[0],
            *measured,
            *(statement for statement, _ in named),
            *turned,
            If(
                b.ne(lower, self.zero),
                (If(b.eq(upper, self.zero), vanishing, (If(same, self._two_real(mean[1])),)),),
            ),
        )

    def _two_real(self, mean: Expression) -> tuple[Statement, ...]:
        """Two real eigenvalues beside a diagonal of equal elements."""
        _, upper, lower, _ = (b.load(buffer) for buffer in self.elements)
        c, s = b.load(self.cosine), b.load(self.sine)
        above, below = let("above", b.sqrt(b.abs(upper))), let("below", b.sqrt(b.abs(lower)))
        apart = let("apart", b.copysign(b.mul(above[1], below[1]), lower))
        span = let("ratio", b.div(self.one, b.sqrt(b.abs(b.add(upper, lower)))))
        c1, s1 = let("c_1", b.mul(above[1], span[1])), let("s_1", b.mul(below[1], span[1]))
        return (
            *(statement for statement, _ in (above, below, apart, span, c1, s1)),
            *self._set(
                "apart",
                b.add(mean, apart[1]),
                b.sub(upper, lower),
                self.zero,
                b.sub(mean, apart[1]),
                b.sub(b.mul(c, c1[1]), b.mul(s, s1[1])),
                b.add(b.mul(c, s1[1]), b.mul(s, c1[1])),
            ),
        )

    def _rotated(self) -> tuple[Statement, ...]:
        """The rest of the rows and columns, and ``z``."""
        m, p = self.m, self.p
        i, j = variable("i"), variable("j")
        after = b.add(m, 1)
        turned = [
            loop("j", after, self.end, *self._turned(self.h, (p, j), (m, j)), mode="vector"),
            loop("i", 0, p, *self._turned(self.h, (i, p), (i, m))),
        ]
        if self.z is not None:
            turned.append(loop("j", 0, self.size, *self._turned(self.z, (p, j), (m, j)), mode="vector"))
        return tuple(turned)

    def _turned(
        self, m: Rows, one: tuple[Expression, Expression], other: tuple[Expression, Expression]
    ) -> tuple[Statement, ...]:
        c, s = b.load(self.cosine), b.load(self.sine)
        x, y = let("x", m.at(*one)[0]), let("y", m.at(*other)[0])
        return (
            x[0],
            y[0],
            m.put(*one, (b.fma(c, x[1], b.mul(s, y[1])),))[0],
            m.put(*other, (b.fma(c, y[1], b.neg(b.mul(s, x[1]))),))[0],
        )


def _length(name: str, x: Expression, y: Expression) -> tuple[tuple[Statement, ...], Expression]:
    """The length of two numbers that are not both 0, without squares that leave the range."""
    unit = let(f"{name}_unit", b.maximum(b.abs(x), b.abs(y)))
    first, second = (let(f"{name}_{n}", b.div(each, unit[1])) for n, each in enumerate((x, y)))
    found = let(name, b.mul(unit[1], b.sqrt(b.fma(first[1], first[1], b.mul(second[1], second[1])))))
    return tuple(statement for statement, _ in (unit, first, second, found)), found[1]
