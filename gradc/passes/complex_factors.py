"""Decompositions of complex matrices in pairs of real ones, as recurrences: column by column, as LAPACK has them.

Householder's reflections ``I - tau v v.H`` bring a column to one real number (LAPACK's ``zlarfg``), so that what is
left to be done is a decomposition of real matrices: of a triangle nothing, of a hermitian matrix its three diagonals,
of any other one its two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from gradc.ir.graph import Value
from gradc.ir.node import Node
from gradc.ops import elementwise as ops
from gradc.ops import singular, spectra
from gradc.ops.contraction import contract
from gradc.ops.linalg import lower_part, swapped
from gradc.ops.orthogonal import upper_part
from gradc.ops.reduce import reduce_max, reduce_sum
from gradc.ops.rounding import copysign
from gradc.ops.shape import broadcast, reshaped
from gradc.passes.complex_columns import fixed, less, nth, places_of, repeated, summed, times
from gradc.passes.complex_functions import Pair, number, product, quotient, raise_of
from gradc.passes.complex_matrices import conjugate, part

# Reflections.


class _Reflection(NamedTuple):
    """``I - tau v v.H``, one for each matrix of a stack."""

    v: Pair
    tau: Pair

    def after(self, a: Pair) -> Pair:
        """``a @ H``."""
        moved = _scaled(times(a, self.v, "bij,bj->bi"), self.tau)
        return less(a, times(moved, conjugate(self.v), "bi,bj->bij"))

    def before(self, a: Pair) -> Pair:
        """``H.H @ a``."""
        moved = _scaled(times(conjugate(self.v), a, "bi,bij->bj"), conjugate(self.tau))
        return less(a, times(self.v, moved, "bi,bj->bij"))


def _scaled(x: Pair, factor: Pair) -> Pair:
    return product(x, Pair(*[broadcast(each, x.re.aval.shape) for each in factor]))


def _reflection(x: Pair, first: Value) -> _Reflection:
    """The one whose conjugate transpose brings the elements of vectors from ``first`` on to a real number there.

    The norm is that of elements divided by the largest, so that no square leaves the range of the dtype. Small elements
    are raised first, which changes no reflection.
    """
    shape = x.re.aval.shape
    count = places_of(x.re, 1)
    number_of = broadcast(first, shape)
    at, behind = ops.equal(count, number_of), ops.greater(count, number_of)
    zeros = number(x.re, 0.0)
    zero = number(_column(zeros), 0.0)
    taken = ops.logical_or(at, behind)
    sizes = [ops.select(taken, ops.absolute(each), zeros) for each in x]
    up = broadcast(raise_of(reduce_max(ops.maximum(*sizes), axes=(1,), keepdims=True)), shape)
    x = Pair(*[each * up for each in x])
    sizes = [each * up for each in sizes]
    largest = reduce_max(ops.maximum(*sizes), axes=(1,), keepdims=True)
    unit = ops.select(ops.equal(largest, zero), number(largest, 1.0), largest)
    squares = [each / broadcast(unit, shape) for each in sizes]
    norm = unit * ops.sqrt(reduce_sum(squares[0] * squares[0] + squares[1] * squares[1], axes=(1,), keepdims=True))
    alpha = Pair(*[reshaped(each, (shape[0], 1)) for each in summed(at, x, 1)])
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


# QR.


def _triangle(a: Pair, rows: int, columns: int) -> tuple[Pair, Pair]:
    """The square factor and the matrix that its conjugate transpose makes upper triangular."""

    def step(states: list[Value], k: Value) -> list[Value]:
        r, q = Pair(*states[:2]), Pair(*states[2:])
        reflection = _reflection(nth(r, k, 2), k)
        return [*reflection.before(r), *reflection.after(q)]

    found = repeated(step, [*a, *_identity(a, rows)], columns)
    return Pair(*found[2:]), Pair(*found[:2])


def _all_q(node: Node, a: Pair) -> Pair:
    a, (_, rows, columns) = fixed(node, a)
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
    a, (_, rows, columns) = fixed(node, a)
    r = _square(_triangle(a, rows, columns)[1], columns)
    return Pair(*[reshaped(each, node.aval.shape) for each in r])


def _square(r: Pair, columns: int) -> Pair:
    top = Pair(*[upper_part(part(each, 1, 0, columns)) for each in r])
    return Pair(top.re, top.im - lower_part(top.im))


# Eigenvalues.


def _three_diagonals(node: Node, a: Pair) -> tuple[Pair, Value]:
    """The unitary matrix U, and the real symmetric one T, with ``U @ T @ U.H`` the matrix."""
    a, (count, size, _) = fixed(node, Pair(lower_part(a.re), lower_part(a.im, -1)))
    mirrored = [ops_of(each) for each, ops_of in zip(a, (_symmetric, _skew), strict=True)]
    first = [*mirrored, *_identity(a, size)]

    def step(states: list[Value], k: Value) -> list[Value]:
        t, u = Pair(*states[:2]), Pair(*states[2:])
        reflection = _reflection(nth(t, k, 2), k + 1.0)
        return [*reflection.after(reflection.before(t)), *reflection.after(u)]

    t, _, *u = repeated(step, first, size - 1) if size > 1 else first
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
    a, (count, rows, columns) = fixed(node, a)
    q = None
    if rows > columns:
        q, r = _triangle(a, rows, columns)
        a = _square(r, columns)

    def step(states: list[Value], k: Value) -> list[Value]:
        b, u, v = (Pair(*states[i : i + 2]) for i in (0, 2, 4))
        left = _reflection(nth(b, k, 2), k)
        b = left.before(b)
        right = _reflection(conjugate(nth(b, k, 1)), k + 1.0)
        return [*right.after(b), *left.after(u), *right.after(v)]

    both = _identity(a, columns)
    b, _, *rest = repeated(step, [*a, *both, *both], columns)
    u, v = Pair(*rest[:2]), Pair(*rest[2:])
    numbers = np.arange(columns)
    two = b.builder.constant((numbers == numbers[:, None]) | (numbers == numbers[:, None] + 1))
    if q is not None:
        u = times(_first_columns(q, columns), u, "bij,bjk->bik")
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


RULES: Final[dict[str, Callable[..., Value | Pair]]] = {
    rule.__name__: rule
    for rule in (
        qr_q, qr_r, qr_complement, eigenvalues, eigenvectors, singular_values, left_vectors, right_vectors,
    )
}  # fmt: skip
"""What computes each op, by its name."""
