"""Determinants, their signs and logarithms, and their derivatives. Axes before the last two are a batch.

The derivative of a determinant by the matrix is the matrix of cofactors, ``det(a) * inverse(a).T`` where there is an
inverse; it is finite for every matrix, and so computed. Up to three rows cofactors are polynomials that are written
out, right at every order; beyond, their own derivative goes through the inverse, and is NaN where there is none.
(Magnus and Neudecker, Matrix Differential Calculus, chapter 8.) Cofactors of more than three rows of complex numbers
go through the inverse too. The determinant of a complex matrix has a phase in the place of the sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, VjpContext, register
from gradc.ops.complex import imag, is_complex, make_complex, real_dtype, real_part
from gradc.ops.linalg import cubed, like, live_everywhere, product, reach_everywhere, require_square, swapped
from gradc.ops.reduce import spread, total
from gradc.ops.shape import broadcast, concatenate, reshaped, slice_
from gradc.ops.systems import inverse

LARGEST_POLYNOMIAL = 3
"""Up to this size the derivative of the cofactors is a polynomial that is written out."""


def _infer_number(name: str, *, real: bool = False) -> Any:
    def infer(a: Aval) -> Aval:
        require_square(name, a)
        if a.shape[-1] == 0:
            raise ShapeError(f"{name}: {a} has no elements")
        return Aval(a.shape[:-2], real_dtype(a.dtype) if real else a.dtype)

    return infer


def _over_matrices(x: Value, like: Value) -> Value:
    """A number for each matrix, repeated over its elements."""
    return broadcast(reshaped(x, (*x.aval.shape, 1, 1)), like.aval.shape)


def _live_number(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    return [_over_matrices(mask, context.operands[0])]


def _evaluate_det(a: np.ndarray) -> Any:
    with np.errstate(all="ignore"):
        return np.linalg.det(a)


def _evaluate_part_of_slogdet(part: int) -> Any:
    def evaluate(a: np.ndarray) -> Any:
        with np.errstate(all="ignore"):
            return np.linalg.slogdet(a)[part]

    return evaluate


def _det_vjp(context: VjpContext) -> Sequence[Any]:
    (a,) = context.operands
    return [_over_matrices(context.ct, a) * _slope_of_det(context)]


def _log_abs_det_vjp(context: VjpContext) -> Sequence[Any]:
    (a,) = context.operands
    return [_over_matrices(like(context.ct, a), a) * _turned_inverse(a)]


def _det_jvp(context: JvpContext) -> Value | None:
    return _sum_of_products(context, _slope_of_det(context))


def _log_abs_det_jvp(context: JvpContext) -> Value | None:
    (a,) = context.operands
    found = _sum_of_products(context, _turned_inverse(a))
    assert found is not None
    return real_part(found)


def _turned_inverse(a: Value) -> Value:
    return swapped(inverse(a, strict=False))


def _slope_of_det(context: Context) -> Value:
    """The cofactors: of complex numbers written out up to three rows, and by the inverse beyond."""
    (a,) = context.operands
    if not is_complex(a):
        return cofactors(a)
    size = int(a.aval.shape[-1])
    if size > LARGEST_POLYNOMIAL:
        return _over_matrices(context.result, a) * _turned_inverse(a)
    return _written_cofactors(a, size)


def _written_cofactors(a: Value, size: int) -> Value:
    """The cofactors of a matrix with up to three rows, as polynomials."""
    if size == 1:
        return a.builder.full(1.0, a.aval)
    if size == 2:
        signs = a.builder.constant(np.array([[1, -1], [-1, 1]], a.aval.dtype))
        return broadcast(signs, a.aval.shape) * _shifted(a, 1, 1)
    a11, a22, a12, a21 = (_shifted(a, *place) for place, _ in _MINORS)
    return a11 * a22 - a12 * a21


def _sign_vjp(context: VjpContext) -> Sequence[Any]:
    """Of a phase; a sign does not change. ``d phase = i phase Im(trace(inverse(a) @ da))``."""
    (a,) = context.operands
    if not is_complex(a):
        return [None]
    along = imag(context.ct * context.result)
    turning = make_complex(along.builder.full(0.0, along.aval), along)
    return [_over_matrices(turning, a) * _turned_inverse(a)]


def _sign_jvp(context: JvpContext) -> Value | None:
    (a,) = context.operands
    if not is_complex(a):
        return None
    found = _sum_of_products(context, _turned_inverse(a))
    assert found is not None
    along = imag(found)
    return make_complex(along.builder.full(0.0, along.aval), along) * context.result


def _sum_of_products(context: JvpContext, slope: Value) -> Value | None:
    (tangent,), ndim = context.tangents, slope.aval.ndim
    assert tangent is not None
    return total(slope * tangent, axes=(ndim - 2, ndim - 1), keepdims=False)


det: Op = register(
    Op(
        "det",
        _infer_number("det"),
        _evaluate_det,
        "np.linalg.det({0})",
        vjp=_det_vjp,
        jvp=_det_jvp,
        batch=lambda c: det(c.operands[0]),
        live=_live_number,
        reach=reach_everywhere,
        flops=lambda result, a: cubed(a, 3) * 2,
        latex=r"\det {0}",
        text="det({0})",
    )
)
"""The determinant; 0 of a singular matrix."""

log_abs_det: Op = register(
    Op(
        "log_abs_det",
        _infer_number("log_abs_det", real=True),
        _evaluate_part_of_slogdet(1),
        "np.linalg.slogdet({0})[1]",
        vjp=_log_abs_det_vjp,
        jvp=_log_abs_det_jvp,
        batch=lambda c: log_abs_det(c.operands[0]),
        live=_live_number,
        reach=reach_everywhere,
        flops=lambda result, a: cubed(a, 3) * 2,
        latex=r"\log \left|\det {0}\right|",
        text="log(abs(det({0})))",
    )
)
"""The logarithm of the size of the determinant, where that may overflow; -inf of a singular matrix."""

det_sign: Op = register(
    Op(
        "det_sign",
        _infer_number("det_sign"),
        _evaluate_part_of_slogdet(0),
        "np.linalg.slogdet({0})[0]",
        vjp=_sign_vjp,
        jvp=_sign_jvp,
        batch=lambda c: det_sign(c.operands[0]),
        live=_live_number,
        flops=lambda result, a: cubed(a, 3) * 2,
        latex=r"\operatorname{{sign}} \det {0}",
        text="sign(det({0}))",
    )
)
"""The sign of the determinant: 1, -1, or 0 of a singular matrix; a complex number of size 1 where the matrix is."""


# Cofactors.


def _infer_cofactors(a: Aval) -> Aval:
    require_square("cofactors", a)
    if a.dtype.kind == "c":
        raise DtypeError(f"cofactors: {a} is not of f32 or f64")
    return Aval(a.shape, a.dtype)


def _evaluate_cofactors(a: np.ndarray) -> Any:
    """By singular values, which need no inverse; NaN of a matrix that is not finite."""
    broken = ~np.isfinite(a).all(axis=(-2, -1))[..., None, None]
    left, sizes, right = np.linalg.svd(np.where(broken, a.dtype.type(1), a))
    others = [np.prod(np.delete(sizes, k, axis=-1), axis=-1) for k in range(a.shape[-1])]
    signs = np.linalg.slogdet(left)[0] * np.linalg.slogdet(right)[0]
    found = (left * (signs[..., None] * np.stack(others, axis=-1))[..., None, :]) @ right
    return np.where(broken, a.dtype.type(np.nan), found)


def _change_of_cofactors(context: Context, change: Value | None) -> Value | None:
    """Cofactors are the gradient of the determinant, so their derivative is symmetric: its own vjp and jvp."""
    (a,) = context.operands
    size = int(a.aval.shape[-1])
    if size == 1 or change is None:
        return None
    if size == 2:
        return cofactors(change)
    if size == LARGEST_POLYNOMIAL:
        parts = [(_shifted(a, *this), _shifted(change, *that)) for this, that in _MINORS]
        (a11, c22), (a22, c11), (a12, c21), (a21, c12) = parts
        return (a11 * c22 + a22 * c11) - (a12 * c21 + a21 * c12)
    inverted = swapped(inverse(a, strict=False))
    last = (a.aval.ndim - 2, a.aval.ndim - 1)
    trace = spread(total(inverted * change, axes=last, keepdims=False), a.aval.shape, last)
    turned = product(product(context.result, change, "ij,kj->ik"), inverted, "ij,jk->ik")
    return trace * context.result - turned


_MINORS = (((1, 1), (2, 2)), ((2, 2), (1, 1)), ((1, 2), (2, 1)), ((2, 1), (1, 2)))
"""A cofactor of three rows is a difference of products of elements this far on, counted in a circle."""


def _shifted(x: Value, rows: int, columns: int) -> Value:
    return _turned(_turned(x, x.aval.ndim - 2, rows), x.aval.ndim - 1, columns)


def _turned(x: Value, axis: int, by: int) -> Value:
    """The elements along an axis moved towards its start, in a circle."""
    shape = x.aval.shape
    length = int(shape[axis])

    def part(start: int, size: int) -> Value:
        starts = tuple(start if a == axis else 0 for a in range(len(shape)))
        sizes = tuple(size if a == axis else d for a, d in enumerate(shape))
        return slice_(x, starts=starts, sizes=sizes, steps=(1,) * len(shape))

    return concatenate(part(by, length - by), part(0, by), axis=axis)


cofactors: Op = register(
    Op(
        "cofactors",
        _infer_cofactors,
        _evaluate_cofactors,
        "_cofactors({0})",
        vjp=lambda context: [_change_of_cofactors(context, context.ct)],
        jvp=lambda context: _change_of_cofactors(context, context.tangents[0]),
        batch=lambda c: cofactors(c.operands[0]),
        live=live_everywhere,
        reach=reach_everywhere,
        flops=lambda result, a: cubed(a, 1) * 2,
        latex=r"\operatorname{{cof}} {0}",
        text="cofactors({0})",
    )
)
"""The derivative of the determinant by each element of the matrix, for every matrix."""
