"""Eigenvalues and right eigenvectors of any square matrices, in one node for a matrix; see ``algebra.spectrum``."""

from __future__ import annotations

from typing import Any, Final

from gradc.loops.algebra.factors import loop
from gradc.loops.algebra.spectrum import STATE, matrices, spectrum_function
from gradc.loops.language.program import Check, Expression, Statement, b, variable
from gradc.ops.general_spectra import NOT_CONVERGED, general_spectrum

PRIVATE: Final = (general_spectrum,)


def spectrum_statements(whole: Any, one: Expression) -> tuple[Statement, ...]:
    """One matrix, copied in its parts, and a check that the iteration came to its end."""
    size, dtype, parts, vectors = whole.size, whole.out.dtype, len(whole.read), whole.params["vectors"]
    row, column = variable(whole.names[1]), variable(whole.names[2])
    copied = [
        loop(
            whole.names[1],
            0,
            size,
            loop(
                whole.names[2],
                0,
                size,
                whole.put((one, b.add(row, part * size), column), read(one, row, column)),
                mode="vector",
            ),
        )
        for part, read in enumerate(whole.read)
    ]
    words = ["spectrum" if vectors else "values", *(["complex"] if parts == 2 else []), str(size)]
    call = whole.call(
        "_".join(words), lambda name: spectrum_function(name, size, parts, dtype, vectors=vectors), one, whole.out
    )
    last = matrices(parts, vectors=vectors) * size + STATE
    state = b.load(whole.out, (one, b.constant(last), b.constant(0)))
    return (*copied, call, Check(b.ne(state, whole.number(0.0)), whole.code(NOT_CONVERGED)))
