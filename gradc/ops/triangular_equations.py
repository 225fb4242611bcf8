"""Sylvester's equation and square roots, of matrices that are upper triangular where they are evaluated.

Values come by substitution, from what is on and above the diagonals. Derivatives are those of the functions of whole
matrices: tangents may be anything, also beneath the diagonals. So a function of any matrix ``a`` is one of
``Z.H @ a @ Z``, with the vectors Z of its Schur form held fixed, to any order of derivative, also where eigenvalues are
repeated and Z itself has none. Axes before the last two are a batch.

``d x = sylvester(t, u, dc - dt @ x - x @ du)``, and ``r @ dr + dr @ r = dt`` for the root r of t (Higham, Functions of
Matrices, 2008, sections B.14 and 6.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn

import numpy as np

from gradc.errors import CompileError, ShapeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import BatchContext, JvpContext, Op, VjpContext, register
from gradc.ops.helpers import evaluated
from gradc.ops.linalg import cubed, live_everywhere, product, reach_everywhere, require_square
from gradc.ops.reduce import reduce_any
from gradc.ops.shape import broadcast, reshaped, slice_, spread_over_batch

# Sylvester's equation.


def _infer_sylvester(t: Aval, u: Aval, c: Aval, *, transposed: bool, below: bool) -> Aval:
    require_square("sylvester", t)
    require_square("sylvester", u)
    fits = c.shape == (*t.shape[:-1], u.shape[-1]) and t.shape[:-2] == u.shape[:-2]
    if not fits or not t.dtype == u.dtype == c.dtype or (below and t.shape != u.shape):
        raise ShapeError(f"sylvester: the right-hand side {c} does not fit {t} and {u}")
    return Aval(c.shape, c.dtype)


def _sylvester_text(params: dict[str, Any], result: Aval, *operands: Aval) -> str:
    chosen = "".join(f", {name}=True" for name in ("transposed", "below") if params[name])
    return f"_sylvester({{0}}, {{1}}, {{2}}{chosen})"


def _sylvester_vjp(context: VjpContext) -> Sequence[Any]:
    """The adjoint is the equation with the transposes."""
    t, u, _ = context.operands
    x, params = context.result, context.params
    by_c = sylvester(t, u, context.ct, transposed=not params["transposed"], below=params["below"])
    one, other = (x, by_c) if params["transposed"] else (by_c, x)
    return [
        -product(one, other, "ik,jk->ij") if context.active[0] else None,
        -product(other, one, "ki,kj->ij") if context.active[1] else None,
        by_c if context.active[2] else None,
    ]


def _sylvester_jvp(context: JvpContext) -> Value | None:
    t, u, _ = context.operands
    of_t, of_u, right = context.tangents
    x, transposed = context.result, context.params["transposed"]
    terms = []
    if of_t is not None:
        terms.append(product(of_t, x, "ki,kj->ij" if transposed else "ik,kj->ij"))
    if of_u is not None:
        terms.append(product(x, of_u, "ik,jk->ij" if transposed else "ik,kj->ij"))
    for term in terms:
        right = -term if right is None else right - term
    return None if right is None else sylvester(t, u, right, **context.params)


def _live_sylvester(mask: Value, context: VjpContext) -> Sequence[Value | None]:
    """Every element of the unknown may depend upon every element of the others."""
    last = (mask.aval.ndim - 2, mask.aval.ndim - 1)
    alive = reduce_any(mask, axes=last, keepdims=True)
    return [broadcast(alive, x.aval.shape) for x in context.operands]


def _batch_sylvester(c: BatchContext) -> Value:
    return sylvester(*spread_over_batch(c), **c.params)


sylvester: Op = register(
    Op(
        "sylvester",
        _infer_sylvester,
        evaluated("_sylvester"),
        _sylvester_text,
        vjp=_sylvester_vjp,
        jvp=_sylvester_jvp,
        live=_live_sylvester,
        reach=reach_everywhere,
        batch=_batch_sylvester,
        flops=lambda result, t, u, c, transposed, below: c.size * (t.shape[-1] + u.shape[-1]),
        latex=r"\operatorname{{sylvester}}\left({0}, {1}, {2}\right)",
        text="sylvester({0}, {1}, {2})",
    )
)
"""``x`` of ``t @ x + x @ u = c``, or of ``t.T @ x + x @ u.T = c`` where ``transposed``.

With ``below`` x is 0 on and above its diagonal, and the equation holds beneath it. Where an eigenvalue of ``t`` is one
of ``-u`` the result is infinite or NaN.
"""


# Square roots.


def _infer_root(t: Aval) -> Aval:
    require_square("triangular_root", t)
    return Aval(t.shape, t.dtype)


def _root_of(root: Value, right: Value, *, transposed: bool) -> Value:
    return sylvester(root, root, right, transposed=transposed, below=False)


def _root_jvp(context: JvpContext) -> Value | None:
    (tangent,) = context.tangents
    assert tangent is not None
    return _root_of(context.result, tangent, transposed=False)


triangular_root: Op = register(
    Op(
        "triangular_root",
        _infer_root,
        evaluated("_triangular_root"),
        "_triangular_root({0})",
        vjp=lambda context: [_root_of(context.result, context.ct, transposed=True)],
        jvp=_root_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: triangular_root(c.operands[0]),
        flops=lambda result, t: cubed(t, 3) * 2,
        latex=r"{0}^{{1/2}}",
        text="root({0})",
    )
)
"""The principal square root, whose eigenvalues have no negative real parts (Björck and Hammarling, A Schur method for
the square root of a matrix, 1983). Of real matrices NaN where a diagonal element is negative; -0 is taken for 0."""


# Both, in pairs of real numbers or in real ones.


def _refused(*operands: Any, **params: Any) -> NoReturn:
    raise CompileError("sylvester_parts: it stands in loop programs alone")


def _infer_sylvester_parts(t: Aval, *rest: Aval, parts: int, transposed: bool, below: bool) -> Aval:
    rows, columns = int(t.shape[-1]), int(rest[-1].shape[-1])
    return Aval((t.shape[0], parts * (2 * rows + columns), max(rows, columns)), t.dtype)


sylvester_parts: Final = Op("sylvester_parts", _infer_sylvester_parts, _refused)
"""What the loops make of the parts of t, u and c, ``[batch, ...]``: first the rows of the parts of the unknown."""


def _infer_root_parts(*parts: Aval) -> Aval:
    t = parts[0]
    return Aval((t.shape[0], len(parts) * int(t.shape[-1]), t.shape[-1]), np.dtype(t.dtype))


root_parts: Final = Op("root_parts", _infer_root_parts, _refused)
"""What the loops make of the parts of a triangle: the rows of the parts of its root."""


def solution_of(found: Value, result: Aval, parts: int) -> list[Value]:
    """The parts of the unknown, or of the root, that begin what the loops make."""
    rows, columns = (int(d) for d in result.shape[-2:])
    count = found.aval.shape[0]
    return [
        reshaped(slice_(found, starts=(0, part * rows, 0), sizes=(count, rows, columns), steps=(1, 1, 1)), result.shape)
        for part in range(parts)
    ]
