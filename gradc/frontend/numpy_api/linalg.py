"""Functions of ``numpy.linalg`` over Values: factors, systems of equations, inverses, determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.frontend.numpy_api.promote import astype, common_dtype
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.aval import broadcast_shapes
from gradc.ir.graph import Value
from gradc.ops import determinants, systems
from gradc.ops import linalg as factors
from gradc.ops.complex import real_part
from gradc.ops.linalg import swapped
from gradc.ops.shape import broadcast, reshaped, transpose

_SLOGDET: Any = type(np.linalg.slogdet(np.eye(1)))
"""NumPy's named pair of a sign and a logarithm."""


@implements(np.linalg.cholesky, arrays=("a",))
def cholesky(a: Value, *, upper: Any = False) -> Value:
    """The triangular factor of positive definite matrices, of which only that triangle is read."""
    a = matrices("np.linalg.cholesky", a)
    return swapped(factors.cholesky(swapped(a))) if upper else factors.cholesky(a)


@implements(np.linalg.solve, arrays=("a", "b"))
def solve(a: Value, b: Value) -> Value:
    """The solution of ``a @ x = b``; as in NumPy 2, ``b`` is a vector where it has one axis, else columns.

    Raises ShapeError for sizes that do not fit, MatrixError when it runs for a singular matrix.
    """
    return solved("np.linalg.solve", a, b, systems_of(a))


@implements(np.linalg.inv, arrays=("a",))
def inv(a: Value) -> Value:
    """The inverse of each matrix. Raises MatrixError when it runs for a singular one."""
    return systems.inverse(matrices("np.linalg.inv", a), strict=True)


@implements(np.linalg.det, arrays=("a",))
def det(a: Value) -> Value:
    """The determinant of each matrix."""
    a = matrices("np.linalg.det", a)
    return determinants.det(a) if a.aval.shape[-1] else _of_nothing(a, 1.0)


@implements(np.linalg.slogdet, arrays=("a",))
def slogdet(a: Value) -> Any:
    """The sign and the logarithm of the size of each matrix's determinant, as NumPy's named pair."""
    a = matrices("np.linalg.slogdet", a)
    if not a.aval.shape[-1]:
        return _SLOGDET(_of_nothing(a, 1.0), real_part(_of_nothing(a, 0.0)))
    return _SLOGDET(determinants.det_sign(a), determinants.log_abs_det(a))


def _of_nothing(a: Value, number: float) -> Value:
    return a.builder.full(number, a.aval.with_shape(a.aval.shape[:-2]))


def matrices(name: str, a: Value) -> Value:
    """A stack of square matrices of floats; integers become f64. Raises ShapeError, DtypeError."""
    if a.aval.ndim < 2:
        raise ShapeError(f"{name}: {a.aval} is no matrix; it needs at least two axes")
    if a.aval.shape[-1] != a.aval.shape[-2]:
        raise ShapeError(f"{name}: {a.aval} is not square; the last two axes must be equal")
    return floating(name, a)


def floating(name: str, x: Value) -> Value:
    """``x`` in f32, f64 or complex numbers; integers become f64. Raises DtypeError."""
    if x.aval.dtype.kind in "iub":
        return astype(x, np.float64)
    if x.aval.dtype.kind not in "fc" or x.aval.dtype.itemsize < 4:
        raise DtypeError(f"{name}: {x.aval} is not of f32, f64, c64 or c128; convert it first")
    return x


class System:
    """A matrix, or a stack of them, as an op solves with it: ``apply(b)`` for right-hand sides of the same batch."""

    def __init__(self, matrix: Value, op: Any, transposed: bool) -> None:
        self.matrix, self.op, self.transposed = matrix, op, transposed

    def solve(self, matrix: Value, b: Value) -> Value:
        """The solution with ``matrix``, which is this system's, converted and broadcast."""
        solution: Value = self.op(matrix, b, transposed=self.transposed)
        return solution


def systems_of(a: Value) -> System:
    """``a`` as a system: a factor of cholesky is triangular, and a transpose is solved with what it transposes."""
    node, transposed = a.node, False
    if node.op is transpose and node.params["axes"] == swapped_axes(a.aval.ndim):
        node, transposed = a.builder.nodes[node.operands[0]], True
    op = factors.triangular_solve if node.op is factors.cholesky else systems.solve
    return System(a.builder.value(node.id), op, transposed)


def swapped_axes(ndim: int) -> tuple[int, ...]:
    """The axes in order but for the last two, which are exchanged."""
    return (*range(ndim - 2), ndim - 1, ndim - 2)


def solved(name: str, a: Value, b: Value, system: System) -> Value:
    """The solution of ``a @ x = b`` in NumPy's dtype and shape, ``system`` being ``a``. Raises ShapeError, DtypeError.

    Where one matrix meets a stack of right-hand sides, it is factored once: the stack becomes columns.
    """
    matrices(name, a)
    if not b.aval.shape:
        raise ShapeError(f"{name}: the right-hand side {b.aval} needs at least one axis")
    dtype = common_dtype(floating(name, a), floating(name, b))
    matrix, sides = astype(system.matrix, dtype), astype(b, dtype)
    size = a.aval.shape[-1]
    if (sides.aval.shape[-2] if sides.aval.ndim > 1 else sides.aval.shape[0]) != size:
        raise ShapeError(f"{name}: the right-hand side {b.aval} does not fit {a.aval}")
    if sides.aval.ndim == 1:
        if matrix.aval.ndim == 2:
            return system.solve(matrix, sides)
        columns = broadcast(reshaped(sides, (size, 1)), (*matrix.aval.shape[:-1], 1))
        return reshaped(system.solve(matrix, columns), matrix.aval.shape[:-1])
    if matrix.aval.ndim == 2 and sides.aval.ndim > 2:
        return _all_columns(system, matrix, sides)
    batch = _common_batch(name, a, b)
    matrix = broadcast(matrix, (*batch, size, size))
    return system.solve(matrix, broadcast(sides, (*batch, *sides.aval.shape[-2:])))


def _common_batch(name: str, a: Value, b: Value) -> tuple[Any, ...]:
    try:
        return broadcast_shapes(a.aval.shape[:-2], b.aval.shape[:-2])
    except ShapeError:
        raise ShapeError(f"{name}: the stacks {a.aval} and {b.aval} do not broadcast together") from None


def _all_columns(system: System, matrix: Value, sides: Value) -> Value:
    """One matrix for a stack of right-hand sides, which stand beside each other."""
    ndim = sides.aval.ndim
    there = (ndim - 2, *range(ndim - 2), ndim - 1)
    moved = transpose(sides, axes=there)
    columns: Any = 1
    for length in moved.aval.shape[1:]:
        columns = columns * length
    found = system.solve(matrix, reshaped(moved, (moved.aval.shape[0], columns)))
    back = (*range(1, ndim - 1), 0, ndim - 1)
    return transpose(reshaped(found, moved.aval.shape), axes=back)
