"""Decompositions of complex matrices in pairs of real ones, as recurrences: column by column, as LAPACK has them.

Householder's reflections ``I - tau v v.H`` bring a column to one real number (LAPACK's ``zlarfg``), so that what is
left to be done is a decomposition of real matrices: of a triangle nothing, of a hermitian matrix its three diagonals,
of any other one its two. A determinant is the product of the pivots of an elimination.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np

from gradc.errors import CompileError
from gradc.ir.aval import Aval, SymbolicDim, size_of
from gradc.ir.graph import Builder, Value
from gradc.ir.node import Node
from gradc.ops import elementwise as ops
from gradc.ops import functions, singular, spectra
from gradc.ops.complex import complex_dtype
from gradc.ops.contraction import contract
from gradc.ops.control import Parts, scan
from gradc.ops.linalg import lower_part, swapped
from gradc.ops.orthogonal import upper_part
from gradc.ops.reduce import reduce_max, reduce_min, reduce_sum
from gradc.ops.rounding import copysign
from gradc.ops.shape import broadcast, reshaped
from gradc.passes.complex_functions import Pair, number, product, quotient
from gradc.passes.complex_matrices import conjugate, part
from gradc.passes.pipeline import rewrite_of_parts

# Recurrences over the columns of stacks of matrices.


def _fixed(node: Node, a: Pair) -> tuple[Pair, tuple[int, int, int]]:
    """The matrices with one axis before their own, and the sizes. Raises CompileError for a symbolic one."""
    shape = a.re.aval.shape
    if any(isinstance(d, SymbolicDim) for d in shape):
        raise CompileError(
            f"{node.op.name}: a stack of {a.re.aval.with_dtype(complex_dtype(a.re.aval.dtype))} has a symbolic size; "
            "compile with a fixed one, or choose backend='numpy'"
        )
    sizes = int(size_of(shape[:-2])), int(shape[-2]), int(shape[-1])
    return Pair(*[reshaped(x, sizes) for x in a]), sizes


def _repeated(step: Callable[[list[Value], Value], list[Value]], states: Sequence[Value], count: int) -> list[Value]:
    """The states after ``count`` steps; a step gets the states and its number."""
    builder, dtype = states[0].builder, states[0].aval.dtype
    if count < 2:
        return step(list(states), builder.constant(np.zeros((), dtype))) if count else list(states)
    inner = Builder(rewrite_of_parts())
    given = [inner.input(f"s{k}", x.aval) for k, x in enumerate(states)]
    now = inner.input("k", Aval((), dtype))
    body = inner.freeze(step(given, now))
    rows = builder.constant(np.arange(count, dtype=dtype))
    flat = scan(*states, rows, body=body, states=len(given), rows=1, count=count, backwards=False, pullback=None)
    parts = Parts(body, len(given), count)
    return [parts.state(flat, k) for k in range(len(given))]


def _places(like: Value, axis: int) -> Value:
    """The number of each element's row or column."""
    shape = like.aval.shape
    each = [1] * len(shape)
    each[axis] = int(shape[axis])
    return broadcast(like.builder.constant(np.arange(each[axis], dtype=like.aval.dtype).reshape(each)), shape)


def _there(mask: Value, x: Pair, axis: int) -> Pair:
    """The sum along an axis of what is under a mask: a row or a column."""
    zero = number(x.re, 0.0)
    return Pair(*[reduce_sum(ops.select(mask, each, zero), axes=(axis,), keepdims=False) for each in x])


def _times(x: Pair, y: Pair, letters: str) -> Pair:
    lhs, rhs, out = letters.replace("->", ",").split(",")

    def of(a: Value, b: Value) -> Value:
        return contract(a, b, lhs=lhs, rhs=rhs, out=out)

    return Pair(of(x.re, y.re) - of(x.im, y.im), of(x.re, y.im) + of(x.im, y.re))


def _less(x: Pair, y: Pair) -> Pair:
    return Pair(x.re - y.re, x.im - y.im)


# Reflections.


class _Reflection(NamedTuple):
    """``I - tau v v.H``, one for each matrix of a stack."""

    v: Pair
    tau: Pair

    def after(self, a: Pair) -> Pair:
        """``a @ H``."""
        moved = _scaled(_times(a, self.v, "bij,bj->bi"), self.tau)
        return _less(a, _times(moved, conjugate(self.v), "bi,bj->bij"))

    def before(self, a: Pair) -> Pair:
        """``H.H @ a``."""
        moved = _scaled(_times(conjugate(self.v), a, "bi,bij->bj"), conjugate(self.tau))
        return _less(a, _times(self.v, moved, "bi,bj->bij"))


def _scaled(x: Pair, factor: Pair) -> Pair:
    return product(x, Pair(*[broadcast(each, x.re.aval.shape) for each in factor]))


def _reflection(x: Pair, first: Value) -> _Reflection:
    """The one whose conjugate transpose brings the elements of vectors from ``first`` on to a real number there.

    The norm is that of elements divided by the largest, so that no square leaves the range of the dtype.
    """
    shape = x.re.aval.shape
    count = _places(x.re, 1)
    number_of = broadcast(first, shape)
    at, behind = ops.equal(count, number_of), ops.greater(count, number_of)
    zeros = number(x.re, 0.0)
    zero = number(_column(zeros), 0.0)
    taken = ops.logical_or(at, behind)
    sizes = [ops.select(taken, ops.absolute(each), zeros) for each in x]
    largest = reduce_max(ops.maximum(*sizes), axes=(1,), keepdims=True)
    unit = ops.select(ops.equal(largest, zero), number(largest, 1.0), largest)
    squares = [each / broadcast(unit, shape) for each in sizes]
    norm = unit * ops.sqrt(reduce_sum(squares[0] * squares[0] + squares[1] * squares[1], axes=(1,), keepdims=True))
    alpha = Pair(*[reshaped(each, (shape[0], 1)) for each in _there(at, x, 1)])
    rest = reduce_max(ops.select(behind, ops.maximum(*sizes), zeros), axes=(1,), keepdims=True)
    is_done = ops.logical_and(ops.equal(rest, zero), ops.equal(alpha.im, zero))
    beta = ops.select(is_done, number(norm, 1.0), -copysign(norm, alpha.re))
    tau = Pair((beta - alpha.re) / beta, -alpha.im / beta)
    divisor = Pair(ops.select(is_done, number(norm, 1.0), alpha.re - beta), alpha.im)
    below = quotient(x, Pair(*[broadcast(each, shape) for each in divisor]))
    v = Pair(
        ops.select(at, number(zeros, 1.0), ops.select(behind, below.re, zeros)), ops.select(behind, below.im, zeros)
    )
    return _Reflection(v, Pair(*[ops.select(is_done, zero, each) for each in tau]))


def _column(x: Value) -> Value:
    return part(x, 1, 0, 1)


def _identity(like: Pair, size: int) -> Pair:
    """One for each matrix of a stack."""
    shape = (int(like.re.aval.shape[0]), size, size)
    one = like.re.builder.constant(np.eye(size, dtype=like.re.aval.dtype))
    made = broadcast(one, shape)
    return Pair(made, number(made, 0.0))


def _nth(a: Pair, k: Value, axis: int) -> Pair:
    """The k-th row (axis 1) or column (axis 2)."""
    places = _places(a.re, axis)
    return _there(ops.equal(places, broadcast(k, places.aval.shape)), a, axis)


# QR.


def _triangle(a: Pair, rows: int, columns: int) -> tuple[Pair, Pair]:
    """The square factor and the matrix that its conjugate transpose makes upper triangular."""

    def step(states: list[Value], k: Value) -> list[Value]:
        r, q = Pair(*states[:2]), Pair(*states[2:])
        reflection = _reflection(_nth(r, k, 2), k)
        return [*reflection.before(r), *reflection.after(q)]

    found = _repeated(step, [*a, *_identity(a, rows)], columns)
    return Pair(*found[2:]), Pair(*found[:2])


def _all_q(node: Node, a: Pair) -> Pair:
    a, (_, rows, columns) = _fixed(node, a)
    return _triangle(a, rows, columns)[0]


def _first_columns(x: Pair, count: int) -> Pair:
    return Pair(*[part(each, 2, 0, count) for each in x])


def qr_q(node: Node, a: Pair) -> Pair:
    """The op ``qr_q``."""
    found = _first_columns(_all_q(node, a), int(node.aval.shape[-1]))
    return Pair(*[reshaped(each, node.aval.shape) for each in found])


def qr_complement(node: Node, a: Pair) -> Pair:
    """The op ``qr_complement``."""
    start, count = int(a.re.aval.shape[-1]), int(node.aval.shape[-1])
    return Pair(*[reshaped(part(each, 2, start, count), node.aval.shape) for each in _all_q(node, a)])


def qr_r(node: Node, a: Pair) -> Pair:
    """The op ``qr_r``, with a diagonal that is real."""
    a, (_, rows, columns) = _fixed(node, a)
    r = _square(_triangle(a, rows, columns)[1], columns)
    return Pair(*[reshaped(each, node.aval.shape) for each in r])


def _square(r: Pair, columns: int) -> Pair:
    top = Pair(*[upper_part(part(each, 1, 0, columns)) for each in r])
    return Pair(top.re, top.im - lower_part(top.im))


# Eigenvalues.


def _three_diagonals(node: Node, a: Pair) -> tuple[Pair, Value]:
    """The unitary matrix U, and the real symmetric one T, with ``U @ T @ U.H`` the matrix."""
    a, (count, size, _) = _fixed(node, Pair(lower_part(a.re), lower_part(a.im, -1)))
    mirrored = [ops_of(each) for each, ops_of in zip(a, (_symmetric, _skew), strict=True)]
    first = [*mirrored, *_identity(a, size)]

    def step(states: list[Value], k: Value) -> list[Value]:
        t, u = Pair(*states[:2]), Pair(*states[2:])
        reflection = _reflection(_nth(t, k, 2), k + 1.0)
        return [*reflection.after(reflection.before(t)), *reflection.after(u)]

    t, _, *u = _repeated(step, first, size - 1) if size > 1 else first
    three = t.builder.constant(np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= 1)
    return Pair(*u), ops.select(broadcast(three, (count, size, size)), t, number(t, 0.0))


def _turned(x: Value) -> Value:
    return swapped(lower_part(x, -1))


def _symmetric(x: Value) -> Value:
    return x + _turned(x)


def _skew(x: Value) -> Value:
    return x - _turned(x)


def eigenvalues(node: Node, a: Pair) -> Value:
    """The op ``eigenvalues``."""
    return reshaped(spectra.eigenvalues(_three_diagonals(node, a)[1]), node.aval.shape)


def eigenvectors(node: Node, a: Pair) -> Pair:
    """The op ``eigenvectors``."""
    u, t = _three_diagonals(node, a)
    return _together(node, u, spectra.eigenvectors(t))


def _together(node: Node, u: Pair, vectors: Value) -> Pair:
    """A complex matrix times a real one, in the shape of the node."""
    found = [contract(each, vectors, lhs="bij", rhs="bjk", out="bik") for each in u]
    return Pair(*[reshaped(each, node.aval.shape) for each in found])


# Singular values.


def _two_diagonals(node: Node, a: Pair) -> tuple[Pair, Value, Pair]:
    """U with orthonormal columns, a real matrix B, and a unitary V, with ``U @ B @ V.H`` the matrix."""
    a, (count, rows, columns) = _fixed(node, a)
    q = None
    if rows > columns:
        q, r = _triangle(a, rows, columns)
        a = _square(r, columns)

    def step(states: list[Value], k: Value) -> list[Value]:
        b, u, v = (Pair(*states[i : i + 2]) for i in (0, 2, 4))
        left = _reflection(_nth(b, k, 2), k)
        b = left.before(b)
        right = _reflection(conjugate(_nth(b, k, 1)), k + 1.0)
        return [*right.after(b), *left.after(u), *right.after(v)]

    both = _identity(a, columns)
    b, _, *rest = _repeated(step, [*a, *both, *both], columns)
    u, v = Pair(*rest[:2]), Pair(*rest[2:])
    numbers = np.arange(columns)
    two = b.builder.constant((numbers == numbers[:, None]) | (numbers == numbers[:, None] + 1))
    if q is not None:
        u = _times(_first_columns(q, columns), u, "bij,bjk->bik")
    return u, ops.select(broadcast(two, (count, columns, columns)), b, number(b, 0.0)), v


def singular_values(node: Node, a: Pair) -> Value:
    """The op ``singular_values``."""
    return reshaped(singular.singular_values(_two_diagonals(node, a)[1]), node.aval.shape)


def left_vectors(node: Node, a: Pair) -> Pair:
    """The op ``left_vectors``."""
    u, b, _ = _two_diagonals(node, a)
    return _together(node, u, singular.left_vectors(b))


def right_vectors(node: Node, a: Pair) -> Pair:
    """The op ``right_vectors``."""
    _, b, v = _two_diagonals(node, a)
    return _together(node, v, singular.right_vectors(b))


# Determinants.


def _pivots(node: Node, a: Pair) -> tuple[Value, Pair]:
    """The logarithm of the size of the determinant, and its phase; minus infinity and 0 of a singular matrix.

    Rows are exchanged as LAPACK does, so that the pivot has the largest sum of the sizes of its parts.
    """
    a, (count, size, _) = _fixed(node, a)

    def step(states: list[Value], k: Value) -> list[Value]:
        now, logarithm, phase = Pair(*states[:2]), states[2], Pair(*states[3:])
        column = _nth(now, k, 2)
        rows = _places(column.re, 1)
        left = ops.greater_equal(rows, broadcast(k, (count, size)))
        sizes = ops.select(left, ops.absolute(column.re) + ops.absolute(column.im), number(rows, -1.0))
        largest = broadcast(reduce_max(sizes, axes=(1,), keepdims=True), (count, size))
        places = ops.select(ops.equal(sizes, largest), rows, number(rows, float(size)))
        chosen = reduce_min(places, axes=(1,), keepdims=True)
        here = ops.equal(_places(now.re, 1), _spread(chosen, (count, size, size)))
        pivot_row, other_row = _there(here, now, 1), _nth(now, k, 1)
        rest = Pair(*[ops.select(here, _spread_rows(o, n), n) for o, n in zip(other_row, now, strict=True)])
        pivot = _there(ops.equal(rows, broadcast(k, (count, size))), pivot_row, 1)
        lost = reshaped(part(largest, 1, 0, 1), (count,))
        pivot = pivot._replace(re=ops.select(ops.isnan(lost), lost, pivot.re))
        length = functions.hypot(pivot.re, pivot.im)
        zero = number(length, 0.0)
        singular_ = ops.equal(length, zero)
        unit = ops.select(singular_, number(length, 1.0), length)
        sign = ops.select(ops.equal(reshaped(chosen, (count,)), broadcast(k, (count,))), unit, -unit)
        divisor = Pair(ops.select(singular_, number(length, 1.0), pivot.re), pivot.im)
        shape = (count, size)
        factors = quotient(_nth(rest, k, 2), Pair(*[_spread(reshaped(x, (count, 1)), shape) for x in divisor]))
        below = ops.greater(rows, broadcast(k, shape))
        factors = Pair(*[ops.select(below, x, number(x, 0.0)) for x in factors])
        turned = product(phase, Pair(*[x / sign for x in pivot]))
        return [*_less(rest, _times(factors, pivot_row, "bi,bj->bij")), logarithm + ops.log(length), *turned]

    zero = a.re.builder.full(0.0, Aval((count,), a.re.aval.dtype))
    found = _repeated(step, [*a, zero, number(zero, 1.0), zero], size)
    return found[2], Pair(*found[3:])


def _spread(x: Value, shape: tuple[int, ...]) -> Value:
    """A number for each matrix."""
    return broadcast(reshaped(x, (shape[0], *[1] * (len(shape) - 1))), shape)


def _spread_rows(row: Value, like: Value) -> Value:
    count, size = row.aval.shape
    return broadcast(reshaped(row, (count, 1, size)), like.aval.shape)


def log_abs_det(node: Node, a: Pair) -> Value:
    """The op ``log_abs_det``."""
    return reshaped(_pivots(node, a)[0], node.aval.shape)


def det_sign(node: Node, a: Pair) -> Pair:
    """The op ``det_sign``."""
    return Pair(*[reshaped(x, node.aval.shape) for x in _pivots(node, a)[1]])


def det(node: Node, a: Pair) -> Pair:
    """The op ``det``, by its logarithm, as NumPy has it."""
    logarithm, phase = _pivots(node, a)
    return Pair(*[reshaped(x * ops.exp(logarithm), node.aval.shape) for x in phase])


RULES: Final[dict[str, Callable[..., Value | Pair]]] = {
    rule.__name__: rule
    for rule in (
        qr_q, qr_r, qr_complement, eigenvalues, eigenvectors, singular_values, left_vectors, right_vectors,
        det, det_sign, log_abs_det,
    )
}  # fmt: skip
"""What computes each op, by its name."""
