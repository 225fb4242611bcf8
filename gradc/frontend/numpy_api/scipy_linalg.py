"""Functions of ``scipy.linalg``, recognised by their place: SciPy is never imported.

``overwrite_a``, ``overwrite_b`` are hints that change no result, and nothing is checked for NaN and infinities:
``check_finite`` is taken and not acted upon.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.linalg import System, matrices, solved, systems_of
from gradc.frontend.numpy_api.promote import astype
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import determinants, systems
from gradc.ops import linalg as factors
from gradc.ops.complex import conjugated, is_complex
from gradc.ops.elementwise import select
from gradc.ops.linalg import swapped
from gradc.ops.shape import broadcast


@implements("scipy.linalg:cholesky", arrays=("a",))
def cholesky(a: Value, lower: Any = False, overwrite_a: Any = False, check_finite: Any = True) -> Value:
    """The triangular factor, the upper one by default; only that triangle of the matrix is read."""
    a = matrices("scipy.linalg.cholesky", a)
    return factors.cholesky(a) if lower else swapped(factors.cholesky(swapped(a)))


@implements("scipy.linalg:cho_factor", arrays=("a",))
def cho_factor(a: Value, lower: Any = False, overwrite_a: Any = False, check_finite: Any = True) -> tuple[Value, bool]:
    """The factor and which one it is, for ``cho_solve``. The other triangle, undefined in SciPy, is 0."""
    return cholesky(a, lower), bool(lower)


@implements("scipy.linalg:cho_solve", sequences=("c_and_lower",), arrays=("b",))
def cho_solve(c_and_lower: Any, b: Value, overwrite_b: Any = False, check_finite: Any = True) -> Value:
    """The solution of ``a @ x = b`` with the factor of ``a`` that ``cho_factor`` gives."""
    c, which = c_and_lower
    lower = c.builder.scalar(which)
    if lower is None:
        raise TraceError("scipy.linalg.cho_solve: whether the factor is the lower one has to be known while tracing")
    factor = matrices("scipy.linalg.cho_solve", c)
    return with_factor("scipy.linalg.cho_solve", factor if lower else swapped(conjugated(factor)), b)


@implements("scipy.linalg:solve_triangular", arrays=("a", "b"))
def solve_triangular(
    a: Value,
    b: Value,
    trans: Any = 0,
    lower: Any = False,
    unit_diagonal: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
) -> Value:
    """The solution with one triangle of a matrix, the upper one by default, or with its transpose."""
    name = "scipy.linalg.solve_triangular"
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise TraceError(f"{name}: trans={trans!r} is none of 0, 1, 2, 'N', 'T', 'C'")
    a = matrices(name, a)
    if unit_diagonal:
        diagonal = a.builder.constant(np.eye(int(a.aval.shape[-1]), dtype=bool))
        a = select(broadcast(diagonal, a.aval.shape), a.builder.full(1.0, a.aval), a)
    transposed = trans not in (0, "N")
    if trans in (2, "C"):
        a = conjugated(a)
    triangle = a if lower else swapped(a)
    return _single(name, a, b, _triangular(triangle, transposed == bool(lower)))


@implements("scipy.linalg:solve", arrays=("a", "b"))
def solve(
    a: Value,
    b: Value,
    lower: Any = False,
    overwrite_a: Any = False,
    overwrite_b: Any = False,
    check_finite: Any = True,
    assume_a: Any = None,
    transposed: Any = False,
) -> Value:
    """The solution of ``a @ x = b``. Raises TraceError for a structure that is not known here.

    ``assume_a`` may be None, "gen" or "pos" (one triangle of a positive definite matrix is read). There is no warning
    for a matrix that is nearly singular.
    """
    name = "scipy.linalg.solve"
    if assume_a in (None, "gen", "general"):
        matrix = matrices(name, a)
        if transposed and is_complex(matrix):
            raise TraceError(f"{name}: transposed=True is not supported for complex numbers, {a.aval}; give a.T")
        return _single(name, a, b, systems_of(swapped(matrix) if transposed else matrix))
    if assume_a in ("pos", "positive definite"):
        factor = swapped(conjugated(cholesky(a))) if not lower else cholesky(a, lower=True)
        return with_factor(name, factor, b)
    raise TraceError(f"{name}: assume_a={assume_a!r} is not supported on traced arrays; use 'gen' or 'pos'")


@implements("scipy.linalg:inv", arrays=("a",))
def inv(a: Value, overwrite_a: Any = False, check_finite: Any = True) -> Value:
    """The inverse of each matrix. Raises MatrixError when it runs for a singular one."""
    return systems.inverse(matrices("scipy.linalg.inv", a), strict=True)


@implements("scipy.linalg:det", arrays=("a",))
def det(a: Value, overwrite_a: Any = False, check_finite: Any = True) -> Value:
    """The determinant of each matrix, in f64 or c128 whatever the matrix has."""
    a = matrices("scipy.linalg.det", a)
    a = astype(a, np.complex128 if is_complex(a) else np.float64)
    return determinants.det(a) if a.aval.shape[-1] else a.builder.full(1.0, a.aval.with_shape(a.aval.shape[:-2]))


def with_factor(name: str, factor: Value, b: Value) -> Value:
    """The solution with ``L @ L.H``, of which ``factor`` is L."""
    forward = _single(name, factor, b, _triangular(factor, False))
    other = conjugated(factor)
    return _single(name, other, forward, _triangular(other, True))


def _triangular(lower: Value, transposed: bool) -> System:
    """A lower triangle as a system, or its transpose."""
    return System(lower, factors.triangular_solve, transposed)


def _single(name: str, a: Value, b: Value, system: System) -> Value:
    """The solution for one matrix; SciPy's versions differ in what they make of stacks. Raises ShapeError."""
    if a.aval.ndim != 2 or b.aval.ndim not in (1, 2):
        raise ShapeError(
            f"{name}: {a.aval} and {b.aval} are not one matrix and a vector or columns; use np.linalg.solve"
        )
    return solved(name, a, b, system)
