"""Factors of matrices, and systems of equations with triangular ones. Axes before the last two are a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from string import ascii_uppercase
from typing import Any

import numpy as np

from gradc.errors import DtypeError, MatrixError, ShapeError
from gradc.ir.aval import Aval, Dim, SymbolicDim, size_of
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, JvpContext, Op, VjpContext, register
from gradc.ops.complex import conj, conjugated, is_complex, make_complex, real
from gradc.ops.contraction import contract
from gradc.ops.elementwise import convert, select
from gradc.ops.reduce import reduce_any
from gradc.ops.shape import broadcast, reshaped, spread_over_batch, transpose

# What the ops on matrices share.


def require_square(name: str, a: Aval) -> None:
    """Raises ShapeError, DtypeError for what is no stack of square matrices of floats with a fixed size."""
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name}: {a} is not a square matrix")
    if isinstance(a.shape[-1], SymbolicDim):
        raise ShapeError(f"{name}: {a} has a symbolic size; compile with a fixed one")
    require_floating(name, a)


def require_floating(name: str, a: Aval) -> None:
    """Raises DtypeError for what is neither of f32 or f64 nor of complex numbers."""
    if a.dtype.kind not in "fc" or a.dtype.itemsize < 4:
        raise DtypeError(f"{name}: {a} is not of f32, f64, c64 or c128")


def require_sides(name: str, a: Aval, b: Aval) -> None:
    """Raises ShapeError for right-hand sides that do not fit: columns for each matrix, or a vector for a single one."""
    vector = a.ndim == 2 and b.ndim == 1
    if b.dtype != a.dtype or (b.ndim != a.ndim and not vector) or b.shape[: a.ndim - 1] != a.shape[:-1]:
        raise ShapeError(f"{name}: the right-hand side {b} does not fit {a}")


def transposed_text(aval: Aval) -> str:
    """NumPy's text for the exchange of the last two axes."""
    return "{0}.T" if aval.ndim == 2 else "np.swapaxes({0}, -1, -2)"


def swapped(x: Value) -> Value:
    """The last two axes exchanged: each matrix transposed."""
    ndim = x.aval.ndim
    return transpose(x, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


def stacked(x: Value) -> Value:
    """The matrices with one axis before their own."""
    shape = x.aval.shape
    return reshaped(x, (size_of(shape[:-2]), *shape[-2:]))


def product(a: Value, b: Value, letters: str) -> Value:
    """A contraction of matrices in a batch, ``letters`` as in ``ik,kj->ij``."""
    lhs, rhs, out = letters.replace("->", ",").split(",")
    batch = ascii_uppercase[: a.aval.ndim - len(lhs)]
    return contract(a, b, lhs=batch + lhs, rhs=batch + rhs, out=batch + out)


def lower_part(x: Value, diagonal: int = 0) -> Value:
    """The elements on and below a diagonal, 0 above."""
    rows, columns = (int(d) for d in x.aval.shape[-2:])
    mask = x.builder.constant(np.tri(rows, columns, diagonal, dtype=bool))
    return select(broadcast(mask, x.aval.shape), x, x.builder.full(0.0, x.aval))


def like(x: Value, other: Value) -> Value:
    """``x`` in the dtype of ``other``: a real array as a complex one where that is."""
    return x if x.aval.dtype == other.aval.dtype else convert(x, dtype=other.aval.dtype)


def of_real_diagonal(x: Value) -> Value:
    """The diagonal of matrices, without imaginary parts, and 0 elsewhere."""
    diagonal = lower_part(x) - lower_part(x, -1)
    if not is_complex(x):
        return diagonal
    kept = real(diagonal)
    return make_complex(kept, x.builder.full(0.0, kept.aval))


def hermitian(x: Value) -> Value:
    """The matrix with this lower triangle that is its own conjugate transpose; symmetric where it is real."""
    below = lower_part(x, -1)
    if not is_complex(x):
        return lower_part(x) + swapped(below)
    return of_real_diagonal(x) + below + swapped(conj(below))


def in_lower(slope: Value) -> Value:
    """A slope by the whole of a hermitian matrix as one by its lower triangle: an element stands for its mirror too."""
    if not is_complex(slope):
        return lower_part(slope) + lower_part(swapped(slope), -1)
    return of_real_diagonal(slope) + lower_part(slope, -1) + lower_part(swapped(conj(slope)), -1)


def live_everywhere(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    """Every element of a result may depend upon every element of the matrix."""
    (a,) = context.operands
    last = (a.aval.ndim - 2, a.aval.ndim - 1)
    alive = reduce_any(mask, axes=last, keepdims=True)
    return [broadcast(alive, a.aval.shape)]


def live_columns(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    """The columns of the right-hand side are systems of their own, with one matrix."""
    a, b = context.operands
    if b.aval.ndim == 1:
        anywhere = reduce_any(mask, axes=(0,), keepdims=True)
        return [broadcast(broadcast(anywhere, (1, 1)), a.aval.shape), broadcast(anywhere, b.aval.shape)]
    rows, columns = a.aval.ndim - 2, a.aval.ndim - 1
    alive = reduce_any(mask, axes=(rows,), keepdims=True)
    anywhere = reduce_any(alive, axes=(columns,), keepdims=True)
    return [broadcast(anywhere, a.aval.shape), broadcast(alive, b.aval.shape)]


def reach_everywhere(mask: Value, k: int, context: JvpContext) -> Value:
    """A live element of a matrix reaches every element of the result, a matrix or a number."""
    ndim, shape = mask.aval.ndim, context.result.aval.shape
    return broadcast(reduce_any(mask, axes=(ndim - 2, ndim - 1), keepdims=len(shape) == ndim), shape)


def reach_columns(mask: Value, k: int, context: JvpContext) -> Value:
    """The columns of the right-hand side are systems of their own, with one matrix."""
    shape = context.result.aval.shape
    if len(shape) == 1:
        return broadcast(reduce_any(mask, axes=tuple(range(mask.aval.ndim)), keepdims=False), shape)
    rows, columns = len(shape) - 2, len(shape) - 1
    return broadcast(reduce_any(mask, axes=(rows,) if k else (rows, columns), keepdims=True), shape)


def batched_system(system: Op, c: BatchContext) -> Value:
    """A batch of systems; with one matrix for all, the right-hand sides are columns of one system."""
    if c.batched[0] or c.avals[0].ndim > 2:
        a, b = spread_over_batch(c)
        column = c.avals[1].ndim == 1
        return reshaped(system(a, reshaped(b, (*b.aval.shape, 1)) if column else b, **c.params), b.aval.shape)
    b, lead = c.operands[1], len(c.lead)
    own = b.aval.ndim - lead
    turned = transpose(b, axes=(*range(lead, b.aval.ndim), *range(lead)))
    columns = reshaped(turned, (turned.aval.shape[0], size_of(turned.aval.shape[1:])))
    solved = reshaped(system(c.operands[0], columns, **c.params), turned.aval.shape)
    return transpose(solved, axes=(*range(own, b.aval.ndim), *range(own)))


def cubed(a: Aval, share: int) -> Dim:
    """The cube of the size of a matrix, divided by ``share``, for each one of a stack."""
    size: Dim = a.size
    return size * int(a.shape[-1]) // share


# Cholesky factors.


def _infer_cholesky(a: Aval) -> Aval:
    require_square("cholesky", a)
    return Aval(a.shape, a.dtype)


def _evaluate_cholesky(a: np.ndarray) -> Any:
    try:
        return np.linalg.cholesky(a)
    except np.linalg.LinAlgError:
        raise MatrixError("cholesky: the matrix is not positive definite") from None


def _cholesky_vjp(context: VjpContext) -> Sequence[Any]:
    """Only the lower triangle of the matrix is read: an element below the diagonal stands for its mirror too."""
    factor = context.result
    halved = _lower_with_half_diagonal(product(factor, lower_part(context.ct), "ki,kj->ij"))
    left = triangular_solve(factor, halved, transposed=True)
    both = triangular_solve(conjugated(factor), swapped(left), transposed=True)
    return [conjugated(in_lower(both))]  # which is the slope by the whole matrix, transposed


def _lower_with_half_diagonal(x: Value) -> Value:
    half = x * 0.5
    return lower_part(x, -1) + (lower_part(half) - lower_part(half, -1))


def _cholesky_jvp(context: JvpContext) -> Value | None:
    """``L * Phi(inverse(L) * da * inverse(L).H)``, where Phi takes the lower triangle and half of the diagonal.

    (Murray, Differentiation of the Cholesky decomposition, 2016, equation 8.)
    """
    factor, (tangent,) = context.result, context.tangents
    assert tangent is not None
    left = triangular_solve(factor, hermitian(tangent), transposed=False)
    both = triangular_solve(factor, swapped(conjugated(left)), transposed=False)
    return product(factor, _lower_with_half_diagonal(both), "ik,kj->ij")


cholesky: Op = register(
    Op(
        "cholesky",
        _infer_cholesky,
        _evaluate_cholesky,
        "np.linalg.cholesky({0})",
        vjp=_cholesky_vjp,
        jvp=_cholesky_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: cholesky(c.operands[0]),
        flops=lambda result, a: cubed(a, 3),
        latex=r"\operatorname{{chol}} {0}",
        text="cholesky({0})",
    )
)
"""The lower triangular factor of a positive definite matrix, of which only the lower triangle is read.

Of complex numbers the matrix is hermitian, and the imaginary parts of its diagonal are not read.
"""


# Triangular systems.


def _infer_triangular_solve(factor: Aval, b: Aval, *, transposed: bool) -> Aval:
    require_square("triangular_solve", factor)
    require_sides("triangular_solve", factor, b)
    return Aval(b.shape, b.dtype)


def _evaluate_triangular_solve(factor: np.ndarray, b: np.ndarray, *, transposed: bool) -> Any:
    lower = np.tril(factor)
    return _solved(np.swapaxes(lower, -1, -2) if transposed else lower, b)


def _solved(a: np.ndarray, b: np.ndarray) -> Any:
    return np.linalg.solve(a, b[:, None])[:, 0] if b.ndim == 1 else np.linalg.solve(a, b)


def _numpy_triangular_solve(params: dict[str, Any], result: Aval, factor: Aval, b: Aval) -> str:
    lower = "np.tril({0})"
    matrix = transposed_text(factor).format(lower) if params["transposed"] else lower
    return f"np.linalg.solve({matrix}, {{1}})"


def _triangular_solve_vjp(context: VjpContext) -> Sequence[Any]:
    factor, b = context.operands
    transposed = context.params["transposed"]
    by_b = triangular_solve(factor, context.ct, transposed=not transposed)
    rows, columns = (context.result, by_b) if transposed else (by_b, context.result)
    letters = "i,j->ij" if b.aval.ndim == 1 else "ik,jk->ij"
    by_factor = lower_part(-product(rows, columns, letters)) if context.active[0] else None
    return [by_factor, by_b if context.active[1] else None]


def system_jvp(system: Op, context: JvpContext, part: Callable[[Value], Value]) -> Value | None:
    """``inverse(a) * (db - da * x)`` for a system that reads ``part`` of its matrix."""
    of_a, right = context.tangents
    if of_a is not None:
        letters = "k->i" if context.result.aval.ndim == 1 else "kj->ij"
        matrix = "ki" if context.params["transposed"] else "ik"
        moved = product(part(of_a), context.result, f"{matrix},{letters}")
        right = -moved if right is None else right - moved
    return None if right is None else system(context.operands[0], right, **context.params)


triangular_solve: Op = register(
    Op(
        "triangular_solve",
        _infer_triangular_solve,
        _evaluate_triangular_solve,
        _numpy_triangular_solve,
        vjp=_triangular_solve_vjp,
        jvp=lambda context: system_jvp(triangular_solve, context, lower_part),
        live=live_columns,
        reach=reach_columns,
        batch=lambda c: batched_system(triangular_solve, c),
        flops=lambda result, factor, b, transposed: b.size * factor.shape[-1],
        latex=lambda params: r"{0}^{{-\mathsf T}} {1}" if params["transposed"] else r"{0}^{{-1}} {1}",
        text=lambda params: "solve({0}ᵀ, {1})" if params["transposed"] else "solve({0}, {1})",
    )
)
"""``inverse(L) @ b`` with the lower triangle L of a matrix, or its transpose where ``transposed``."""
