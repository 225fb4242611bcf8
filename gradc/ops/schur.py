"""The Schur form ``a = Z @ T @ Z.H`` of square matrices of any kind: T upper triangular, Z unitary; complex always.

Axes before the last two are a batch. With ``P = Z.H @ da @ Z``: ``dZ = Z @ W`` and ``dT = upper(P - W @ T + T @ W)``,
where ``W = L - L.H`` and L is beneath the diagonal, with ``L @ T - T @ L = P`` there: what keeps T triangular to first
order. Columns of Z have an arbitrary phase, which stays as it is: ``Z.H @ dZ`` has the diagonal 0. L divides by
differences of eigenvalues, and is infinite or NaN where one is repeated. (Of the equation: M. Konstantinov, P. Petkov
and N. Christov, Nonlocal perturbation analysis of the Schur system of a matrix, 1994.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

import numpy as np

from gradc.errors import CompileError, MatrixError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, VjpContext, register
from gradc.ops.complex import conj, is_complex, real
from gradc.ops.general_spectra import complex_of
from gradc.ops.helpers import helper
from gradc.ops.linalg import (
    cubed,
    like,
    live_everywhere,
    lower_part,
    product,
    reach_everywhere,
    require_square,
    swapped,
)
from gradc.ops.orthogonal import upper_part
from gradc.ops.triangular_equations import sylvester

NOT_CONVERGED = "schur: the matrix is not finite, or the iteration for the eigenvalues did not converge"


def _evaluate(part: int) -> Callable[..., Any]:
    def evaluate(a: np.ndarray) -> Any:
        try:
            return helper("_schur")(a)[part]
        except np.linalg.LinAlgError:
            raise MatrixError(NOT_CONVERGED) from None

    return evaluate


def _infer(a: Aval) -> Aval:
    require_square("schur", a)
    return Aval(a.shape, complex_of(a.dtype))


def _below(context: Context, x: Value, *, transposed: bool) -> Value:
    """L by P, or the transpose of that."""
    form = schur_form(context.operands[0])
    return sylvester(-form, form, x, transposed=transposed, below=True)


def _turn(context: JvpContext) -> tuple[Value, Value, Value]:
    """Z, P, and W."""
    (a,), (tangent,) = context.operands, context.tangents
    assert tangent is not None
    vectors = schur_vectors(a)
    moved = product(like(tangent, vectors), vectors, "ik,kj->ij")
    inside = product(conj(vectors), moved, "ki,kj->ij")
    below = _below(context, inside, transposed=False)
    return vectors, inside, below - swapped(conj(below))


def _back(context: VjpContext, by_turn: Value, direct: Value | None) -> Sequence[Any]:
    """The cotangent of the matrix by those of W, and of P itself."""
    vectors = schur_vectors(context.operands[0])
    by_below = lower_part(by_turn - swapped(conj(by_turn)), -1)
    inside = _below(context, by_below, transposed=True)
    whole = inside if direct is None else inside + direct
    moved = product(product(conj(vectors), whole, "ik,kj->ij"), vectors, "ik,jk->ij")
    return [moved if is_complex(context.operands[0]) else real(moved)]


def _form_vjp(context: VjpContext) -> Sequence[Any]:
    ct, form = upper_part(context.ct), context.result
    return _back(context, product(form, ct, "ki,kj->ij") - product(ct, form, "ik,jk->ij"), ct)


def _form_jvp(context: JvpContext) -> Value | None:
    _, inside, turn = _turn(context)
    form = context.result
    return upper_part(inside - product(turn, form, "ik,kj->ij") + product(form, turn, "ik,kj->ij"))


def _vectors_vjp(context: VjpContext) -> Sequence[Any]:
    return _back(context, product(context.result, context.ct, "ki,kj->ij"), None)


def _vectors_jvp(context: JvpContext) -> Value | None:
    vectors, _, turn = _turn(context)
    return product(vectors, turn, "ik,kj->ij")


schur_form: Op = register(
    Op(
        "schur_form",
        _infer,
        _evaluate(0),
        "_schur({0})[0]",
        vjp=_form_vjp,
        jvp=_form_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: schur_form(c.operands[0]),
        flops=lambda result, a: cubed(a, 1) * 25,
        latex=r"\operatorname{{schur}} {0}",
        text="schur({0})",
    )
)
"""T, with the eigenvalues on its diagonal, and 0 beneath. An error where the iteration does not converge."""

schur_vectors: Op = register(
    Op(
        "schur_vectors",
        _infer,
        _evaluate(1),
        "_schur({0})[1]",
        vjp=_vectors_vjp,
        jvp=_vectors_jvp,
        live=live_everywhere,
        reach=reach_everywhere,
        batch=lambda c: schur_vectors(c.operands[0]),
        flops=lambda result, a: cubed(a, 1) * 25,
        latex=r"\operatorname{{schurvectors}} {0}",
        text="schur({0}).vectors",
    )
)
"""Z, with orthonormal columns whose phases are arbitrary."""


# Both, in pairs of real numbers.

EXTRA: Final = 3
"""The rows after the parts of T and of the transpose of Z: the parts of the eigenvalues, and the state."""


def _infer_parts(re: Aval, *im: Aval) -> Aval:
    return Aval((re.shape[0], 4 * int(re.shape[-1]) + EXTRA, re.shape[-1]), re.dtype)


def _evaluate_parts(*parts: Any) -> NoReturn:
    raise CompileError("schur_parts: it stands in loop programs alone")


schur_parts: Final = Op("schur_parts", _infer_parts, _evaluate_parts)
"""What the loops make of matrices in one or two parts, ``[batch, n, n]``; see ``gradc.loops.algebra.schur_form``."""
