"""Systems of equations with any square matrix, and inverses. Axes before the last two are a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import MatrixError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import JvpContext, Op, VjpContext, register
from gradc.ops.linalg import (
    batched_system,
    cubed,
    live_columns,
    live_everywhere,
    product,
    reach_columns,
    reach_everywhere,
    require_sides,
    require_square,
    system_jvp,
    transposed_text,
)

# Solving.


def _infer_solve(a: Aval, b: Aval, *, transposed: bool) -> Aval:
    require_square("solve", a)
    require_sides("solve", a, b)
    return Aval(b.shape, b.dtype)


def _evaluate_solve(a: np.ndarray, b: np.ndarray, *, transposed: bool) -> Any:
    matrix = np.swapaxes(a, -1, -2) if transposed else a
    try:
        return np.linalg.solve(matrix, b[:, None])[:, 0] if b.ndim == 1 else np.linalg.solve(matrix, b)
    except np.linalg.LinAlgError:
        raise MatrixError("solve: the matrix is singular") from None


def _numpy_solve(params: dict[str, Any], result: Aval, a: Aval, b: Aval) -> str:
    return f"np.linalg.solve({transposed_text(a) if params['transposed'] else '{0}'}, {{1}})"


def _solve_vjp(context: VjpContext) -> Sequence[Any]:
    """The cotangent of the right-hand side is a system with the transpose, solved with the same factors."""
    a, b = context.operands
    transposed = context.params["transposed"]
    by_b = solve(a, context.ct, transposed=not transposed)
    rows, columns = (context.result, by_b) if transposed else (by_b, context.result)
    letters = "i,j->ij" if b.aval.ndim == 1 else "ik,jk->ij"
    return [-product(rows, columns, letters) if context.active[0] else None, by_b if context.active[1] else None]


solve: Op = register(
    Op(
        "solve",
        _infer_solve,
        _evaluate_solve,
        _numpy_solve,
        vjp=_solve_vjp,
        jvp=lambda context: system_jvp(solve, context, lambda a: a),
        live=live_columns,
        reach=reach_columns,
        batch=lambda c: batched_system(solve, c),
        flops=lambda result, a, b, transposed: cubed(a, 3) * 2 + b.size * a.shape[-1] * 2,
        latex=lambda params: r"{0}^{{-\mathsf T}} {1}" if params["transposed"] else r"{0}^{{-1}} {1}",
        text=lambda params: "solve({0}ᵀ, {1})" if params["transposed"] else "solve({0}, {1})",
    )
)
"""``inverse(a) @ b``, or with the transpose of ``a`` where ``transposed``. A singular matrix is an error."""


# Inverses.


def _infer_inverse(a: Aval, *, strict: bool) -> Aval:
    require_square("inverse", a)
    return Aval(a.shape, a.dtype)


def _evaluate_inverse(a: np.ndarray, *, strict: bool) -> Any:
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        if strict:
            raise MatrixError("inverse: the matrix is singular") from None
    singular = (np.linalg.slogdet(a)[0] == 0)[..., None, None]
    found = np.linalg.inv(np.where(singular, np.eye(a.shape[-1], dtype=a.dtype), a))
    return np.where(singular, a.dtype.type(np.nan), found)


def _inverse_vjp(context: VjpContext) -> Sequence[Any]:
    inverted = context.result
    return [-product(product(inverted, context.ct, "ki,kj->ij"), inverted, "ik,jk->ij")]


def _inverse_jvp(context: JvpContext) -> Value | None:
    inverted, (tangent,) = context.result, context.tangents
    assert tangent is not None
    return -product(product(inverted, tangent, "ik,kj->ij"), inverted, "ik,kj->ij")


inverse: Op = register(
    Op(
        "inverse",
        _infer_inverse,
        _evaluate_inverse,
        lambda params, result, a: "np.linalg.inv({0})" if params["strict"] else "_inverse({0})",
        vjp=_inverse_vjp,
        jvp=_inverse_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: inverse(c.operands[0], **c.params),
        flops=lambda result, a, strict: cubed(a, 1) * 2,
        latex=r"{0}^{{-1}}",
        text="inverse({0})",
    )
)
"""The inverse. Of a singular matrix it is an error where ``strict``, NaN in every element otherwise."""
