"""Eigenvalues and right eigenvectors of a matrix of any kind, as an internal function.

The matrix is balanced, brought to 0 below the elements under its diagonal, and to its Schur form: a real one by double
shifts in real numbers, so that conjugate values and vectors are exactly conjugate, a complex one by single shifts.
"""

from __future__ import annotations

import numpy as np

from gradc.loops.algebra.arithmetic import Rows, element, largest_part, over, squares
from gradc.loops.algebra.balance import Balance
from gradc.loops.algebra.complex_schur import ComplexSchur
from gradc.loops.algebra.factors import let, loop, store
from gradc.loops.algebra.francis import Francis
from gradc.loops.algebra.hessenberg import Hessenberg
from gradc.loops.algebra.triangular_vectors import TriangularVectors, multiplied
from gradc.loops.language.program import Accumulate, Buffer, Function, If, Local, Statement, b, variable
from gradc.ops.general_spectra import EXTRA

VALUES, ORDER, SCALES, STATE = (0, 1), 2, 3, 4
"""The rows after the matrices."""


def matrices(parts: int, *, vectors: bool) -> int:
    """How many matrices there are in the work array."""
    return parts * (3 if vectors else 1)


def vector_rows(parts: int, size: int) -> tuple[int, int]:
    """Where the real and the imaginary parts of the vectors begin."""
    return (size, 2 * size) if parts == 1 else (0, size)


def spectrum_function(name: str, size: int, parts: int, dtype: np.dtype, *, vectors: bool) -> Function:
    """``w`` holds the matrix, in the first rows each part of it, and becomes its spectrum.

    After the matrices come the two parts of the eigenvalues, and in the last row the state, 1, or 0 where an element
    is not finite or the iteration did not end. The vectors are rows of length 1 (``vector_rows``).
    """
    count = matrices(parts, vectors=vectors) * size
    w = Buffer("w", dtype, (count + EXTRA, size), "parameter", writable=True)
    blocks = [Rows(w, [(parts * block + part) * size for part in range(parts)]) for block in range(3)]
    h, z, x = blocks if vectors else (blocks[0], None, None)
    values = (count + VALUES[0], count + VALUES[1])
    state = (count + STATE, 0)
    scale = Buffer("span", dtype, (), "local")
    balance = Balance(h, size, count + ORDER, count + SCALES)
    schur = (Francis if parts == 1 else ComplexSchur)(h, z, size, values)
    body = [
        *in_range(h, size, scale, state),
        *balance.statements(),
        *Hessenberg(h, z, size).statements(),
        *schur.statements((store(w, state, b.constant(0.0, dtype)),)),
    ]
    if z is not None and x is not None:
        found = Rows(w, vector_rows(parts, size))
        body += [
            *TriangularVectors(h, x, size, values).statements(),
            *multiplied(x, z, h, size),
            *(_apart(h, found, size, values[1]) if parts == 1 else ()),
            *balance.undone(found),
            *_normalised(found, size, keeps_sign=parts == 1),
        ]
    k = variable("k")
    body += [loop("k", 0, size, *(store(w, (row, k), b.mul(element(w, row, k), b.load(scale))) for row in values))]
    return Function(name, (w,), (), tuple(body))


def in_range(h: Rows, size: int, scale: Buffer, state: tuple[int, int]) -> tuple[Statement, ...]:
    """The matrix, divided by its largest part where products may leave the range; 0 where it is not finite."""
    i, j = variable("i"), variable("j")
    dtype = h.w.dtype
    zero, one = b.constant(0.0, dtype), b.constant(1.0, dtype)
    largest = b.load(scale)
    root = float(np.finfo(dtype).tiny) ** 0.125
    far = b.logical_or(b.lt(largest, root), b.gt(largest, 1 / root))
    useful = b.logical_and(far, b.gt(largest, zero))
    is_finite = b.gt(element(h.w, *state), zero)
    divided = h.put(i, j, tuple(b.select(is_finite, b.div(each, largest), zero) for each in h.at(i, j)))
    return (
        Local(scale),
        store(scale, (), zero),
        loop("i", 0, size, loop("j", 0, size, Accumulate("maximum", scale.name, (), largest_part(h.at(i, j))))),
        store(h.w, state, b.select(b.isfinite(largest), one, zero)),
        store(scale, (), b.select(b.logical_and(useful, b.isfinite(largest)), largest, one)),
        loop("i", 0, size, loop("j", 0, size, *divided)),
    )


def _apart(packed: Rows, found: Rows, size: int, imaginary: int) -> tuple[Statement, ...]:
    """The parts of vectors, of which two conjugate ones share two rows."""
    k, j = variable("k"), variable("j")
    part = element(packed.w, imaginary, k)
    zero = b.constant(0.0, packed.w.dtype)
    after = b.minimum(b.add(k, 1), size - 1)
    one, other = packed.at(k, j)[0], packed.at(after, j)[0]
    single = found.put(k, j, (one, zero))
    both = (*found.put(k, j, (one, other)), *found.put(after, j, (one, b.neg(other))))
    return (
        loop(
            "k",
            0,
            size,
            If(b.eq(part, zero), (loop("j", 0, size, *single),)),
            If(b.gt(part, zero), (loop("j", 0, size, *both),)),
        ),
    )


def _normalised(v: Rows, size: int, *, keeps_sign: bool) -> tuple[Statement, ...]:
    """Rows of length 1 whose largest elements are real, as LAPACK has them: positive unless ``keeps_sign``."""
    k, j = variable("k"), variable("j")
    dtype = v.w.dtype
    zero = b.constant(0.0, dtype)
    peak, total, best = (Buffer(word, dtype, (), "local") for word in ("peak_of_row", "total_of_row", "best"))
    place = Buffer("place", np.dtype(np.int64), (), "local")
    entry = v.at(k, j)
    length = let("length", b.mul(b.load(peak), b.sqrt(b.load(total))))
    larger = b.gt(squares(entry), b.load(best))
    at = let("at", b.clamp(b.load(place), size))
    top = v.at(k, at[1])
    extent = let("extent", b.sqrt(squares(top)))
    signed = b.copysign(extent[1], top[0]) if keeps_sign else extent[1]
    cosine, sine = let("cosine_of_row", b.div(top[0], signed)), let("sine_of_row", b.div(top[1], signed))
    re, im = let("re", entry[0]), let("im", entry[1])
    turned = (
        b.fma(cosine[1], re[1], b.mul(sine[1], im[1])),
        b.fma(cosine[1], im[1], b.neg(b.mul(sine[1], re[1]))),
    )
    clean = b.select(b.logical_or(b.eq(j, at[1]), b.eq(turned[1], zero)), zero, turned[1])
    return (
        *(Local(buffer) for buffer in (peak, total, best, place)),
        loop(
            "k",
            0,
            size,
            store(peak, (), zero),
            store(total, (), zero),
            store(best, (), zero),
            store(place, (), b.constant(0)),
            loop("j", 0, size, Accumulate("maximum", peak.name, (), largest_part(entry))),
            loop("j", 0, size, Accumulate("add", total.name, (), squares(over(entry, b.load(peak))))),
            length[0],
            loop("j", 0, size, *v.put(k, j, over(entry, length[1]))),
            loop("j", 0, size, If(larger, (store(best, (), squares(entry)), store(place, (), j)))),
            at[0],
            extent[0],
            cosine[0],
            sine[0],
            loop("j", 0, size, re[0], im[0], *v.put(k, j, (turned[0], clean))),
        ),
    )
