"""``lu``, ``lu_factor`` and ``lu_solve`` of ``scipy.linalg``, over Values."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.decompositions import matrix
from gradc.frontend.numpy_api.linalg import solved, systems_of
from gradc.frontend.numpy_api.notation import Array, composed
from gradc.ir.graph import CONSTANT
from gradc.ops import elimination
from gradc.ops.complex import conjugated, real_dtype
from gradc.ops.cumulative import argsort
from gradc.ops.linalg import swapped, triangular_solve
from gradc.ops.orthogonal import upper_part


def _square(name: str, a: Any, *, wide: bool = False) -> Any:
    """One matrix, or a stack. Raises ShapeError for one with more rows than columns, or without elements."""
    a, rows, columns = matrix(f"scipy.linalg.{name}", a)
    if rows != columns and not (wide and rows < columns):
        raise ShapeError(f"scipy.linalg.{name}: {a.value.aval} has not as many columns as rows, which is not supported")
    if not rows:
        raise ShapeError(f"scipy.linalg.{name}: {a.value.aval} has no elements")
    return a


@composed("scipy.linalg:lu", arrays=("a",))
def lu(
    a: Any, permute_l: Any = False, overwrite_a: Any = False, check_finite: Any = True, p_indices: Any = False
) -> Any:
    """The permutation and the factors with ``a = P @ L @ U``; with ``permute_l`` they are ``P @ L`` and U.

    Rows are exchanged as LAPACK does; with ``p_indices`` the permutation is the numbers of rows. It has no derivative.
    Raises ShapeError for more rows than columns.
    """
    a = _square("lu", a, wide=True)
    size = int(a.shape[-2])
    square = a[..., :size].value
    packed, order = elimination.lu_factors(square), elimination.lu_order(square)
    ones = elimination.with_ones(packed)
    upper: Any = Array(upper_part(packed))
    if int(a.shape[-1]) > size:
        rest = elimination.in_order(a[..., size:].value, order)
        beside = Array(triangular_solve(ones, rest, transposed=False))
        upper = np.concatenate([upper, beside], axis=-1)
    if permute_l:
        return Array(elimination.out_of_order(ones, order)), upper
    if p_indices:
        places: Any = Array(argsort(order, axis=order.aval.ndim - 1))
        return places.astype(np.int32), Array(ones), upper
    rows: Any = np.arange(size)
    permutation = (rows[:, None] == Array(order)[..., None, :]).astype(real_dtype(a.dtype))
    return permutation, Array(ones), upper


@composed("scipy.linalg:lu_factor", arrays=("a",))
def lu_factor(a: Any, overwrite_a: Any = False, check_finite: Any = True) -> Any:
    """Both factors in one matrix, and LAPACK's pivots, for ``lu_solve``. There is no warning for a singular matrix."""
    a = _square("lu_factor", a)
    return Array(elimination.lu_factors(a.value)), Array(elimination.lu_pivots(a.value))


@composed("scipy.linalg:lu_solve", sequences=("lu_and_piv",), arrays=("b",))
def lu_solve(lu_and_piv: Any, b: Any, trans: Any = 0, overwrite_b: Any = False, check_finite: Any = True) -> Any:
    """The solution of ``a @ x = b``, of the transpose or the conjugate transpose, with what ``lu_factor`` gives of one.

    Raises TraceError for factors that are neither ``lu_factor``'s, in the same function, nor known while tracing.
    """
    name = "scipy.linalg.lu_solve"
    packed, pivots = (x.value for x in lu_and_piv)
    if packed.aval.ndim != 2 or b.ndim not in (1, 2):
        raise ShapeError(f"{name}: {packed.aval} and {b.value.aval} are not one matrix and a vector or columns")
    if trans not in (0, 1, 2):
        raise TraceError(f"{name}: trans={trans!r} is none of 0, 1, 2")
    made_here = packed.node.op is elimination.lu_factors and pivots.node.op is elimination.lu_pivots
    if made_here and packed.node.operands == pivots.node.operands:
        a = packed.builder.value(packed.node.operands[0])
    elif packed.node.op is CONSTANT and pivots.node.op is CONSTANT:
        a = packed.builder.constant(_made_of(packed.node.params["value"], pivots.node.params["value"]))
    else:
        raise TraceError(
            f"{name}: the factors {packed.aval} are neither those that scipy.linalg.lu_factor gave in the same "
            "function nor known while tracing; give the matrix, and factor it in the function"
        )
    a = conjugated(a) if trans == 2 else a
    return Array(solved(name, a, b.value, systems_of(swapped(a) if trans else a)))


def _made_of(packed: np.ndarray, pivots: np.ndarray) -> Any:
    """The matrix with these factors."""
    found = (np.tril(packed, -1) + np.eye(len(packed), dtype=packed.dtype)) @ np.triu(packed)
    for k in range(len(packed) - 1, -1, -1):
        found[[k, pivots[k]]] = found[[pivots[k], k]]
    return found
