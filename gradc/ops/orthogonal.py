"""The factors of QR, of matrices with no more columns than rows. Axes before the last two are a batch.

The factors are those of Householder's reflections as LAPACK has them, so that the diagonal of R may be negative; what
is below it is 0. Derivatives: Walter and Lehmann, Algorithmic differentiation of linear algebra functions, 2018; with
``C = da @ inverse(R)`` and ``W = Q.H @ C``, and skew the skew-hermitian matrix that has W's elements below the
diagonal and the imaginary parts of those on it, ``dR = (W - skew) @ R`` and ``dQ = C - Q @ (W - skew)``. They exist
where the columns are independent. The diagonal of R is real.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import DerivativeError, ShapeError
from gradc.ir.aval import Aval, Dim, SymbolicDim
from gradc.ir.graph import Value
from gradc.ir.op import JvpContext, Op, VjpContext, register
from gradc.ops.complex import conj, conjugated, is_complex
from gradc.ops.linalg import (
    hermitian,
    live_everywhere,
    lower_part,
    of_real_diagonal,
    product,
    reach_everywhere,
    require_floating,
    swapped,
    triangular_solve,
)


def require_tall(name: str, a: Aval) -> None:
    """Raises ShapeError, DtypeError for what is no stack of matrices of floats with no more columns than rows."""
    if a.ndim < 2:
        raise ShapeError(f"{name}: {a} is not a matrix")
    if any(isinstance(d, SymbolicDim) for d in a.shape[-2:]):
        raise ShapeError(f"{name}: {a} has a symbolic size; compile with a fixed one")
    if int(a.shape[-1]) > int(a.shape[-2]):
        raise ShapeError(f"{name}: {a} has more columns than rows")
    require_floating(name, a)


def squared(a: Aval, share: int) -> Dim:
    """The rows of a matrix times the square of its columns, times ``share``, for each one of a stack."""
    size: Dim = a.size
    return size * int(a.shape[-1]) * share


def upper_part(x: Value) -> Value:
    """The elements on and above the diagonal, 0 below."""
    return swapped(lower_part(swapped(x)))


def over_r(x: Value, r: Value, *, transposed: bool) -> Value:
    """``x @ inverse(r)``, or with the transpose of the upper triangle ``r``."""
    return swapped(triangular_solve(swapped(r), swapped(x), transposed=transposed))


def _change(tangent: Value, q: Value, r: Value) -> tuple[Value, Value]:
    """``da @ inverse(R)``, and ``dR @ inverse(R)``."""
    moved = over_r(tangent, r, transposed=False)
    inside = product(conjugated(q), moved, "ki,kj->ij")
    below = lower_part(inside, -1)
    if is_complex(inside):
        return moved, of_real_diagonal(inside) + (inside - lower_part(inside)) + swapped(conj(below))
    return moved, inside - below + swapped(below)


def _back(ct: Value | None, inside: Value, q: Value, r: Value) -> Value:
    """``(ct + conj(Q) @ both) @ inverse(R).T``; both is hermitian with the lower triangle of ``conj(inside)``."""
    turned = product(conjugated(q), hermitian(conjugated(inside)), "ik,kj->ij")
    return over_r(turned if ct is None else ct + turned, r, transposed=True)


# The orthonormal factor.


def _infer_q(a: Aval) -> Aval:
    require_tall("qr_q", a)
    return Aval(a.shape, a.dtype)


def _evaluate(**keywords: Any) -> Callable[..., Any]:
    def evaluate(a: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return np.linalg.qr(a, **keywords)

    return evaluate


def _q_vjp(context: VjpContext) -> Sequence[Any]:
    (a,), q = context.operands, context.result
    return [_back(context.ct, -product(context.ct, q, "ki,kj->ij"), q, qr_r(a))]


def _q_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), q = context.operands, context.tangents, context.result
    assert tangent is not None
    moved, upper = _change(tangent, q, qr_r(a))
    return moved - product(q, upper, "ik,kj->ij")


qr_q: Op = register(
    Op(
        "qr_q",
        _infer_q,
        lambda a: _evaluate()(a)[0],
        "np.linalg.qr({0})[0]",
        vjp=_q_vjp,
        jvp=_q_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: qr_q(c.operands[0]),
        flops=lambda result, a: squared(a, 4),
        latex=r"\operatorname{{Q}}\left({0}\right)",
        text="qr({0}).Q",
    )
)
"""The factor with orthonormal columns, of the shape of the matrix."""


# The triangular factor.


def _infer_r(a: Aval) -> Aval:
    require_tall("qr_r", a)
    return Aval((*a.shape[:-2], a.shape[-1], a.shape[-1]), a.dtype)


def _r_vjp(context: VjpContext) -> Sequence[Any]:
    (a,), r = context.operands, context.result
    return [_back(None, product(r, upper_part(context.ct), "ik,jk->ij"), qr_q(a), r)]


def _r_jvp(context: JvpContext) -> Value | None:
    (a,), (tangent,), r = context.operands, context.tangents, context.result
    assert tangent is not None
    _, upper = _change(tangent, qr_q(a), r)
    return product(upper, r, "ik,kj->ij")


qr_r: Op = register(
    Op(
        "qr_r",
        _infer_r,
        _evaluate(mode="r"),
        "np.linalg.qr({0}, mode='r')",
        vjp=_r_vjp,
        jvp=_r_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: qr_r(c.operands[0]),
        flops=lambda result, a: squared(a, 2),
        latex=r"\operatorname{{R}}\left({0}\right)",
        text="qr({0}).R",
    )
)
"""The upper triangular factor, square."""


# What completes the orthonormal factor.


def _infer_complement(a: Aval) -> Aval:
    require_tall("qr_complement", a)
    rows, columns = (int(d) for d in a.shape[-2:])
    return Aval((*a.shape[:-1], rows - columns), a.dtype)


def _no_derivative(context: Any) -> list[Any]:
    """Raises DerivativeError; of what has no elements there is nothing to derive."""
    if 0 in context.operands[0].aval.shape:
        return [None]
    raise DerivativeError(
        f"qr_complement: the columns that complete an orthonormal basis of {context.operands[0].aval} are one choice "
        "of many and have no derivative; use mode='reduced' or full_matrices=False"
    )


qr_complement: Op = register(
    Op(
        "qr_complement",
        _infer_complement,
        lambda a: _evaluate(mode="complete")(a)[0][..., a.shape[-1] :],
        lambda params, result, a: f"np.linalg.qr({{0}}, mode='complete')[0][..., {a.shape[-1]}:]",
        vjp=_no_derivative,
        jvp=lambda c: _no_derivative(c)[0],
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: qr_complement(c.operands[0]),
        flops=lambda result, a: squared(a, 4),
        latex=r"\operatorname{{Q}}_\perp\left({0}\right)",
        text="qr({0}).complement",
    )
)
"""Columns that complete the orthonormal factor to a square one. They are not unique, and have no derivative."""
