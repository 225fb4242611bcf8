"""Eigenvalues and right eigenvectors of square matrices of any kind; complex, whatever the matrix holds.

Axes before the last two are a batch. Vectors have length 1, and the largest component of each is real, as LAPACK's
``geev`` has them. With ``P = inverse(V) @ da @ V``: ``dw = diag(P)`` and ``dV = V @ (F * P + D)``, where ``F[i, j]`` is
``1 / (w[j] - w[i])`` and 0 on the diagonal (M. Giles, An extended collection of matrix derivative results, 2008,
section 3.1). The diagonal D keeps the lengths and the phases: with ``U = V @ (F * P)`` and m the place of the real
component of column j, ``Re D[j] = -Re(V[:, j].H @ U[:, j])`` and ``Im D[j] = -Im(U[m, j] / V[m, j])``. Values are
differentiated without F; vectors of an eigenvalue that is repeated have no derivative, and F is infinite there. A
defective matrix has no derivative at all: it is NaN where two values coincide and V is nearly singular.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn

import numpy as np

from gradc.errors import CompileError, MatrixError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, VjpContext, register
from gradc.ops.complex import complex_dtype, conj, imag, is_complex, make_complex, real
from gradc.ops.elementwise import absolute, convert, div, equal, greater, less_equal, logical_and, select
from gradc.ops.linalg import cubed, like, live_everywhere, product, reach_everywhere, require_square
from gradc.ops.reduce import reduce_any, reduce_max, total
from gradc.ops.shape import broadcast
from gradc.ops.spectra import (
    as_columns,
    as_rows,
    diagonal_alone,
    differences,
    live_numbers,
    off_diagonal,
    reach_numbers,
)
from gradc.ops.systems import inverse

NOT_CONVERGED = "eig: the matrix is not finite, or the iteration for the eigenvalues did not converge"


def complex_of(dtype: np.dtype) -> np.dtype:
    """The complex dtype of a matrix's eigenvalues."""
    return dtype if dtype.kind == "c" else complex_dtype(dtype)


def _evaluate(a: np.ndarray, part: int) -> Any:
    try:
        with np.errstate(all="ignore"):
            found = np.linalg.eig(a)[part] if part else np.linalg.eigvals(a)
    except np.linalg.LinAlgError:
        raise MatrixError(NOT_CONVERGED) from None
    return found.astype(complex_of(a.dtype))


def complex_text(call: str, result: Aval) -> str:
    """NumPy's expression for what may be real by chance."""
    return f"{call}.astype(np.{result.dtype.name})"


def _inverse(vectors: Value, a: Value) -> Value:
    """``inverse(V)``; NaN where the matrix is defective: two values are the same but for rounding, two vectors nearly.

    Of equal values without vectors of their own a symmetric function may have a derivative, but not by this way.
    """
    inverted, w = inverse(vectors, strict=False), general_eigenvalues(a)
    shape = vectors.aval.shape
    eps, ndim = float(np.finfo(vectors.aval.dtype).eps), vectors.aval.ndim
    sizes = absolute(w)
    rounding = (as_columns(sizes, shape) + as_rows(sizes, shape)) * (eps * int(shape[-1]))
    gaps = off_diagonal(absolute(as_columns(w, shape) - as_rows(w, shape)), np.inf)
    is_large = greater(absolute(inverted), inverted.builder.full(eps**-0.5, sizes.aval.with_shape(shape)))
    meet, large = (
        reduce_any(mask, axes=(ndim - 2, ndim - 1), keepdims=True) for mask in (less_equal(gaps, rounding), is_large)
    )
    defective = broadcast(logical_and(meet, large), shape)
    return select(defective, inverted.builder.full(np.nan, inverted.aval), inverted)


def _back(context: VjpContext, inside: Value, vectors: Value) -> Value:
    """``inverse(V).T @ inside @ V.T``, the cotangent of the matrix by that of P; of a real one its real part."""
    (a,) = context.operands
    inverted = _inverse(vectors, a)
    found = product(product(inverted, inside, "ki,kj->ij"), vectors, "ik,jk->ij")
    return found if is_complex(a) else real(found)


def _inside(context: JvpContext, vectors: Value) -> Value:
    """P."""
    (a,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    moved = product(like(tangent, vectors), vectors, "ik,kj->ij")
    return product(_inverse(vectors, a), moved, "ik,kj->ij")


# Values.


def _infer_values(a: Aval) -> Aval:
    require_square("general_eigenvalues", a)
    return Aval(a.shape[:-1], complex_of(a.dtype))


def _values_vjp(context: VjpContext) -> Sequence[Any]:
    vectors = general_eigenvectors(context.operands[0])
    return [_back(context, diagonal_alone(as_columns(context.ct, vectors.aval.shape)), vectors)]


def _values_jvp(context: JvpContext) -> Value | None:
    inside = _inside(context, general_eigenvectors(context.operands[0]))
    return total(diagonal_alone(inside), axes=(inside.aval.ndim - 2,), keepdims=False)


general_eigenvalues: Op = register(
    Op(
        "general_eigenvalues",
        _infer_values,
        lambda a: _evaluate(a, 0),
        lambda params, result, a: complex_text("np.linalg.eigvals({0})", result),
        vjp=_values_vjp,
        jvp=_values_jvp,
        live=live_numbers,
        reach=reach_numbers,
        batch=lambda c: general_eigenvalues(c.operands[0]),
        flops=lambda result, a: cubed(a, 1) * 10,
        latex=r"\operatorname{{eigenvalues}} {0}",
        text="eigvals({0})",
    )
)
"""The eigenvalues, in no order that means something. An error where the iteration does not converge."""


# Vectors.


def _infer_vectors(a: Aval) -> Aval:
    require_square("general_eigenvectors", a)
    return Aval(a.shape, complex_of(a.dtype))


def _over_gaps(context: Context, x: Value) -> Value:
    """``F * x``."""
    return off_diagonal(x / differences(general_eigenvalues(context.operands[0])), 0.0)


def _phases(vectors: Value) -> Value:
    """``1 / V[m, j]`` in the place m of column j, 0 elsewhere; shared evenly among components of one size."""
    zero = vectors.builder.full(0.0, real(vectors).aval)
    sizes = select(equal(imag(vectors), zero), absolute(real(vectors)), zero)
    rows = vectors.aval.ndim - 2
    largest = equal(sizes, broadcast(reduce_max(sizes, axes=(rows,), keepdims=True), sizes.aval.shape))
    among = convert(largest, dtype=sizes.aval.dtype)
    count = broadcast(total(among, axes=(rows,), keepdims=True), sizes.aval.shape)
    return select(largest, div(among, real(vectors) * count), zero)


def _vectors_vjp(context: VjpContext) -> Sequence[Any]:
    vectors, ct = context.result, context.ct
    zero = vectors.builder.full(0.0, real(ct).aval)
    along = total(vectors * ct, axes=(ct.aval.ndim - 2,), keepdims=True)
    lengths, phases = (broadcast(part(along), ct.aval.shape) for part in (real, imag))
    free = ct - like(lengths, ct) * conj(vectors) - make_complex(zero, phases * _phases(vectors))
    inside = _over_gaps(context, product(vectors, free, "ki,kj->ij"))
    return [_back(context, inside, vectors)]


def _vectors_jvp(context: JvpContext) -> Value | None:
    vectors = context.result
    moved = product(vectors, _over_gaps(context, _inside(context, vectors)), "ik,kj->ij")
    rows = (moved.aval.ndim - 2,)
    longer = total(real(conj(vectors) * moved), axes=rows, keepdims=True)
    turned = total(imag(moved) * _phases(vectors), axes=rows, keepdims=True)
    return moved - vectors * broadcast(make_complex(longer, turned), moved.aval.shape)


general_eigenvectors: Op = register(
    Op(
        "general_eigenvectors",
        _infer_vectors,
        lambda a: _evaluate(a, 1),
        lambda params, result, a: complex_text("np.linalg.eig({0})[1]", result),
        vjp=_vectors_vjp,
        jvp=_vectors_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: general_eigenvectors(c.operands[0]),
        flops=lambda result, a: cubed(a, 1) * 25,
        latex=r"\operatorname{{eigenvectors}} {0}",
        text="eig({0}).vectors",
    )
)
"""The right eigenvectors in columns of length 1, whose largest components are real, in the order of the values."""


# Both, in pairs of real numbers.


def _infer_parts(re: Aval, *im: Aval, vectors: bool) -> Aval:
    size, parts = int(re.shape[-1]), 1 + len(im)
    return Aval((re.shape[0], size * parts * (3 if vectors else 1) + EXTRA, re.shape[-1]), re.dtype)


def _evaluate_parts(*parts: Any, **params: Any) -> NoReturn:
    raise CompileError("general_spectrum: it stands in loop programs alone")


EXTRA: Final = 5
"""The rows after the matrices: the parts of the values, what a matrix was scaled and ordered by, and the state."""

general_spectrum: Final = Op("general_spectrum", _infer_parts, _evaluate_parts)
"""What the loops make of a matrix in one or two parts, ``[batch, n, n]``; see ``gradc.loops.algebra.spectrum``."""
