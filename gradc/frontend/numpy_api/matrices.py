"""Functions of ``numpy.linalg`` and ``scipy.linalg`` told in products, systems and inverses, over Values."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.frontend.numpy_api.axes import one_axis, require_size
from gradc.frontend.numpy_api.notation import composed
from gradc.frontend.numpy_api.registry import of_numpy

# Other names: numpy.linalg's functions work on the last axes.


@composed(np.linalg.matmul, arrays=("x1", "x2"))
def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product."""
    return x1 @ x2


@composed(np.linalg.vecdot, arrays=("x1", "x2"))
def vecdot(x1: Any, x2: Any, *, axis: Any = -1) -> Any:
    """The inner products of vectors along an axis."""
    return np.vecdot(np.moveaxis(x1, axis, -1), np.moveaxis(x2, axis, -1))


@composed(np.linalg.trace, arrays=("x",))
def trace(x: Any, *, offset: Any = 0, dtype: Any = None) -> Any:
    """The sums of the diagonals of matrices."""
    return np.trace(x, offset, axis1=-2, axis2=-1, dtype=dtype)


@composed(np.linalg.diagonal, arrays=("x",))
def diagonal(x: Any, *, offset: Any = 0) -> Any:
    """The diagonals of matrices."""
    return np.diagonal(x, offset, axis1=-2, axis2=-1)


@composed(np.linalg.matrix_transpose, arrays=("x",))
def matrix_transpose(x: Any) -> Any:
    """The last two axes exchanged."""
    return np.matrix_transpose(x)


@composed(np.linalg.outer, arrays=("x1", "x2"))
def outer(x1: Any, x2: Any) -> Any:
    """The products of all elements of two vectors."""
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(f"np.linalg.outer: {x1.value.aval} and {x2.value.aval} must be vectors; use np.outer")
    return np.outer(x1, x2)


@composed(np.linalg.cross, arrays=("x1", "x2"))
def cross(x1: Any, x2: Any, *, axis: Any = -1) -> Any:
    """The vector product of vectors of three elements."""
    if x1.shape[axis] != 3 or x2.shape[axis] != 3:
        raise ShapeError(f"np.linalg.cross: {x1.value.aval} and {x2.value.aval} must have 3 elements along axis {axis}")
    return np.cross(x1, x2, axis=axis)


@composed(np.linalg.tensordot, arrays=("x1", "x2"))
def tensordot(x1: Any, x2: Any, *, axes: Any = 2) -> Any:
    """The sum over pairs of axes."""
    return np.tensordot(x1, x2, axes)


@composed(*of_numpy("matvec"), arrays=("x1", "x2"))
def matvec(x1: Any, x2: Any) -> Any:
    """Matrices times vectors, along the last axes."""
    _same_inner("np.matvec", x1, x2, -1)
    return (x1 @ x2[..., None])[..., 0]


@composed(*of_numpy("vecmat"), arrays=("x1", "x2"))
def vecmat(x1: Any, x2: Any) -> Any:
    """Vectors times matrices, along the last axes; complex vectors are conjugated."""
    _same_inner("np.vecmat", x1, x2, -2)
    return (np.conj(x1)[..., None, :] @ x2)[..., 0, :]


def _same_inner(name: str, x1: Any, x2: Any, axis: int) -> None:
    matrix, vector = (x1, x2) if axis == -1 else (x2, x1)
    if matrix.ndim < 2 or vector.ndim < 1 or matrix.shape[axis] != vector.shape[-1]:
        raise ShapeError(f"{name}: inner dimensions differ: {x1.value.aval} and {x2.value.aval}")


# Products of several matrices.


def _square(name: str, a: Any) -> int:
    if a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name}: {a.value.aval} is not square; the last two axes must be equal")
    return require_size(name, a.shape[-1], "its rows are counted")


@composed(np.linalg.matrix_power, arrays=("a",))
def matrix_power(a: Any, n: Any) -> Any:
    """Matrices to a power that is an int, by squaring; of a negative one their inverses."""
    size, power = _square("np.linalg.matrix_power", a), operator.index(n)
    if power == 0:
        return np.broadcast_to(np.eye(size, dtype=a.dtype), tuple(a.shape)) + np.zeros((), a.dtype)
    if power < 0:
        a, power = np.linalg.inv(a), -power
    if power == 3:
        return (a @ a) @ a
    found = None
    while power:
        power, odd = divmod(power, 2)
        if odd:
            found = a if found is None else found @ a
        a = a @ a if power else a
    return found


@composed(np.linalg.multi_dot, sequences=("arrays",))
def multi_dot(arrays: Any) -> Any:
    """The product of matrices in the order that needs the fewest multiplications; the ends may be vectors."""
    listed = list(arrays)
    if len(listed) < 2:
        raise ShapeError("np.linalg.multi_dot: needs at least two arrays")
    first, last = listed[0].ndim == 1, listed[-1].ndim == 1
    terms = [x[None, :] if x.ndim == 1 and k == 0 else x[:, None] if x.ndim == 1 else x for k, x in enumerate(listed)]
    if any(x.ndim != 2 for x in terms):
        raise ShapeError("np.linalg.multi_dot: all arrays must be matrices, the first and the last may be vectors")
    sizes = [d if isinstance(d, int) else 64 for d in (terms[0].shape[0], *(x.shape[1] for x in terms))]
    splits = _chain(sizes)

    def multiplied(i: int, j: int) -> Any:
        """The product of the terms from i up to j."""
        if j - i == 1:
            return terms[i]
        return multiplied(i, splits[i, j]) @ multiplied(splits[i, j], j)

    product = multiplied(0, len(terms))
    product = product[0] if first else product
    return product[..., 0] if last else product


def _chain(sizes: Sequence[int]) -> dict[tuple[int, int], int]:
    """Where to split the product of the terms from i up to j, of which term k is ``sizes[k]`` by ``sizes[k + 1]``."""
    count = len(sizes) - 1
    cost = {(k, k + 1): 0 for k in range(count)}
    splits: dict[tuple[int, int], int] = {}
    for length in range(2, count + 1):
        for i in range(count - length + 1):
            j = i + length
            totals = {k: cost[i, k] + cost[k, j] + sizes[i] * sizes[k] * sizes[j] for k in range(i + 1, j)}
            splits[i, j] = min(totals, key=lambda k: totals[k])
            cost[i, j] = totals[splits[i, j]]
    return splits


# Systems of tensors.


@composed(np.linalg.tensorsolve, arrays=("a", "b"))
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """The tensor ``x`` with ``tensordot(a, x, x.ndim) == b``."""
    if axes is not None:
        moved = [k for k in range(a.ndim) if k not in axes]
        a = np.transpose(a, (*moved, *axes))
    shape = tuple(a.shape[b.ndim :])
    size = math.prod(require_size("np.linalg.tensorsolve", d, "its unknowns are counted") for d in shape)
    if size * size != math.prod(require_size("np.linalg.tensorsolve", d, "its unknowns are counted") for d in a.shape):
        raise ShapeError(f"np.linalg.tensorsolve: {a.value.aval} is no square system for {b.value.aval}")
    return np.linalg.solve(a.reshape((size, size)), np.ravel(b)).reshape(shape)


@composed(np.linalg.tensorinv, arrays=("a",))
def tensorinv(a: Any, ind: Any = 2) -> Any:
    """The inverse of the map from the axes behind ``ind`` to those before."""
    count = operator.index(ind)
    if count <= 0:
        raise ShapeError(f"np.linalg.tensorinv: ind must be positive, not {count}")
    shape = (*a.shape[count:], *a.shape[:count])
    size = math.prod(require_size("np.linalg.tensorinv", d, "its unknowns are counted") for d in a.shape[count:])
    return np.linalg.inv(a.reshape((-1, size))).reshape(shape)


@composed(np.linalg.matrix_norm, arrays=("x",))
def matrix_norm(x: Any, *, keepdims: Any = False, ord: Any = "fro") -> Any:
    """The norms of the matrices in the last two axes."""
    return np.linalg.norm(x, ord, axis=(-2, -1), keepdims=keepdims)


@composed(np.linalg.vector_norm, arrays=("x",))
def vector_norm(x: Any, *, axis: Any = None, keepdims: Any = False, ord: Any = 2) -> Any:
    """The norms of vectors along axes, of all elements where there is none."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    places = [one_axis("np.linalg.vector_norm", k, x.ndim, str(x.value.aval)) for k in axes]
    rest = [k for k in range(x.ndim) if k not in places]
    flat = np.transpose(x, (*rest, *places)).reshape((*(x.shape[k] for k in rest), -1 if x.size else 0))
    found = np.linalg.norm(flat, ord, axis=-1)
    return found.reshape(tuple(1 if k in places else d for k, d in enumerate(x.shape))) if keepdims else found


# scipy.linalg


@composed("scipy.linalg:block_diag", arrays=("arrs",))
def block_diag(*arrs: Any) -> Any:
    """The matrix that has matrices on its diagonal."""
    blocks = [np.atleast_2d(a) for a in arrs]
    if any(x.ndim != 2 for x in blocks):
        raise ShapeError("scipy.linalg.block_diag: the arrays must be matrices, vectors or numbers")
    width = sum(int(x.shape[1]) for x in blocks)
    rows, start = [], 0
    for x in blocks:
        columns = int(x.shape[1])
        rows.append(np.pad(x, ((0, 0), (start, width - start - columns))))
        start += columns
    return np.concatenate(rows, axis=0) if rows else np.zeros((1, 0))


_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0, 129060195264000.0,
    10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0, 960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
"""The coefficients of the numerator of the [13/13] Padé approximant of exp."""

_SQUARINGS = 8
"""How often a matrix may be halved: up to a norm of 2**8 times the radius of the approximant."""


@composed("scipy.linalg:expm", arrays=("A",))
def expm(A: Any) -> Any:
    """The exponential of matrices, by a Padé approximant of degree 13, scaling and squaring.

    How often a matrix is halved depends on its norm, which is data: every count up to the most is at hand and one is
    chosen; a matrix with a 1-norm above 1300 gives NaN. (Higham, The scaling and squaring method, 2005.)
    """
    size = _square("scipy.linalg.expm", A)
    a = A if A.dtype.kind in "fc" else A.astype(np.float64)
    norm = np.max(np.sum(np.abs(a), axis=-2), axis=-1)
    limit = 5.371920351148152 if norm.dtype == np.float64 else 3.925724783138660
    halvings = np.ceil(np.log2(np.maximum(norm / limit, norm.dtype.type(1.0))))
    scaled = a * np.exp2(-np.minimum(halvings, float(_SQUARINGS)))[..., None, None]
    identity = np.eye(size, dtype=a.dtype)
    b = [a.dtype.type(c) for c in _PADE]
    a2 = scaled @ scaled
    a4 = a2 @ a2
    a6 = a4 @ a2
    odd = scaled @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * identity)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * identity
    found = np.linalg.solve(even - odd, even + odd)
    for k in range(_SQUARINGS):
        found = np.where((halvings > k)[..., None, None], found @ found, found)
    return np.where((halvings > _SQUARINGS)[..., None, None], a.dtype.type(math.nan), found)


def _vector(name: str, x: Any) -> Any:
    """The vector itself. Raises ShapeError for more axes, of which SciPy's versions make different matrices."""
    if x.ndim > 1:
        raise ShapeError(f"scipy.linalg.{name}: {x.value.aval} is not one vector; give its rows one by one")
    return np.ravel(x)


@composed("scipy.linalg:toeplitz", arrays=("c", "r"))
def toeplitz(c: Any, r: Any = None) -> Any:
    """The matrix that is constant along diagonals, from its first column and first row."""
    column = _vector("toeplitz", c)
    row = np.conj(column) if r is None else _vector("toeplitz", r)
    n, m = int(column.shape[0]), int(row.shape[0])
    values = np.concatenate([column[::-1], row[1:]])
    return values[np.arange(n - 1, -1, -1)[:, None] + np.arange(m)]


@composed("scipy.linalg:circulant", arrays=("c",))
def circulant(c: Any) -> Any:
    """The matrix whose columns are a vector turned by one place each."""
    column = _vector("circulant", c)
    n = int(column.shape[0])
    return column[(np.arange(n)[:, None] - np.arange(n)) % n]


@composed("scipy.linalg:hankel", arrays=("c", "r"))
def hankel(c: Any, r: Any = None) -> Any:
    """The matrix that is constant along the other diagonals, from its first column and last row."""
    column = np.ravel(c)
    n = int(column.shape[0])
    row = np.zeros(n, column.dtype) if r is None else np.ravel(r)
    values = np.concatenate([column, row[1:]])
    return values[np.arange(n)[:, None] + np.arange(int(row.shape[0]))]


@composed("scipy.linalg:companion", arrays=("a",))
def companion(a: Any) -> Any:
    """The matrix whose characteristic polynomial has these coefficients, over the first of them."""
    if a.ndim != 1 or a.shape[0] < 2:
        raise ShapeError(f"scipy.linalg.companion: {a.value.aval} is not one vector of at least two elements")
    size = int(a.shape[0]) - 1
    first = -a[1:] / a[0]
    return np.concatenate([first[None, :], np.eye(size - 1, size, dtype=first.dtype)])


@composed("scipy.linalg:norm", arrays=("a",))
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: Any = False, check_finite: Any = True) -> Any:
    """As ``np.linalg.norm``."""
    if a.dtype.kind not in "fc":
        raise DtypeError(f"scipy.linalg.norm: {a.value.aval} is not of a floating-point dtype; convert it first")
    return np.linalg.norm(a, ord, axis=axis, keepdims=keepdims)
