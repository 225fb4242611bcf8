"""The Schur form of a matrix of any kind and its vectors, as an internal function; complex always."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.loops.algebra.arithmetic import Rows, element, scaled
from gradc.loops.algebra.complex_schur import ComplexSchur
from gradc.loops.algebra.factors import loop, store
from gradc.loops.algebra.hessenberg import Hessenberg
from gradc.loops.algebra.spectrum import in_range
from gradc.loops.language.program import Buffer, Check, Expression, Function, Statement, b, variable
from gradc.ops.schur import EXTRA, NOT_CONVERGED, schur_parts

PRIVATE: Final = (schur_parts,)


def schur_function(name: str, size: int, dtype: np.dtype) -> Function:
    """``w`` holds the parts of the matrix in its first rows, and becomes those of T and of the transpose of Z.

    In the last row is the state, 1, or 0 where an element is not finite or the iteration did not end. The matrix is not
    balanced: what balances it is not unitary.
    """
    w = Buffer("w", dtype, (4 * size + EXTRA, size), "parameter", writable=True)
    h, z = Rows(w, (0, size)), Rows(w, (2 * size, 3 * size))
    values, state = (4 * size, 4 * size + 1), (4 * size + EXTRA - 1, 0)
    scale = Buffer("span", dtype, (), "local")
    i, j = variable("i"), variable("j")
    restored = h.put(i, j, scaled(h.at(i, j), b.load(scale)))
    body = (
        *in_range(h, size, scale, state),
        *Hessenberg(h, z, size).statements(),
        *ComplexSchur(h, z, size, values).statements((store(w, state, b.constant(0.0, dtype)),)),
        loop("i", 0, size, loop("j", 0, size, *restored, mode="vector")),
    )
    return Function(name, (w,), (), body)


def schur_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, copied in its parts, and a check that the iteration came to its end."""
    size, dtype = whole.size, whole.out.dtype
    row, column = variable(whole.names[1]), variable(whole.names[2])
    given = [read(one, row, column) for read in whole.read]
    pair = (*given, whole.number(0.0))[:2]
    copied = tuple(whole.put((one, b.add(row, k * size), column), part) for k, part in enumerate(pair))
    call = whole.call(f"schur_{size}", lambda name: schur_function(name, size, dtype), one, whole.out)
    state = element(whole.out, one, 4 * size + EXTRA - 1, 0)
    return (
        loop(whole.names[1], 0, size, loop(whole.names[2], 0, size, *copied, mode="vector")),
        call,
        Check(b.ne(state, whole.number(0.0)), whole.code(NOT_CONVERGED)),
    )
