"""Every op, one row: value, vjp, jvp, second order and batches on every backend, against its meaning in mpmath.

A row gives the meaning of its op on object arrays of ``mpf`` of 60 digits. The exact vjp and its derivative are central
differences there, with steps so small that they are exact in double precision. The bound is 1e-12 of the sum of the
absolute terms. ``test_every_op_has_a_row`` keeps the table complete. Complex operands have rows of their own in
``test_complex.py``, with their derivatives.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special

import gradc.ops
from gradc.compiler import compiled_of
from gradc.ir.aval import aval, aval_of
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY, JvpContext
from gradc.ir.signature import flat_signature
from gradc.ops.elementwise import sign
from gradc.ops.helpers import helper
from gradc.ops.shape import broadcast, slice_
from gradc.request import BACKENDS, Request
from gradc.transforms.adjoint import adjoint
from gradc.transforms.batching import batch
from gradc.transforms.jacobian import jacobian
from gradc.transforms.pushforward import by_transposing, pushforward
from gradc.transforms.sparse import sparse_jacobian

BOUND = 1e-12
F64 = np.dtype(np.float64)


@dataclass(frozen=True)
class Row:
    """``exact`` is the op on object arrays of mpf (booleans and integers stay NumPy's). The derivative is its own, or
    0 where it is ``stopped``; by the inputs ``wrt``, by default all floats."""

    op: str
    inputs: tuple[Any, ...]
    exact: Callable[..., Any]
    params: dict[str, Any] = field(default_factory=dict)
    smooth: bool = True
    differentiable: bool = True
    up_to_signs: bool = False
    up_to_phases: bool = False
    special: Callable[..., Any] | None = None
    note: str = ""
    stopped: bool = False
    wrt: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.op}{'-' + self.note if self.note else ''}"


def elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    return np.frompyfunc(function, len(function.__code__.co_varnames[: function.__code__.co_argcount]), 1)


def numbers(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape)


def masks(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).uniform(size=shape) < 0.5


X, Y = numbers(2, 3), numbers(2, 3, seed=1)
POSITIVE = numbers(2, 3, seed=2, low=0.1, high=3.0)
UNIT = numbers(2, 3, seed=5, low=0.05, high=0.95)
M, N = masks(2, 3), masks(2, 3, seed=4)
mp = mpmath.mp


def logistic(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z))


def softplus(z: Any) -> Any:
    return mp.log(1 + mp.exp(z))


def logsumexp(x: Any) -> Any:
    return elementwise(lambda v: mp.log(v))(np.sum(elementwise(lambda v: mp.exp(v))(x), axis=1))


def softmax(x: Any) -> Any:
    e = elementwise(lambda v: mp.exp(v))(x)
    return e / np.sum(e, axis=1, keepdims=True)


def masked_contract(a: Any, mask: Any, b: Any) -> Any:
    return np.einsum("ij,jk->ik", np.where(mask, a, 0 * a), b, optimize=False)


def lower_gamma(a: Any, x: Any) -> Any:
    return mp.gammainc(a, 0, x, regularized=True)


def upper_gamma(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def incomplete_beta(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def airy(kind: str, slope: bool, scaled: bool, note: str) -> Row:
    """A row left of 0, near it or far to the right."""
    inputs = {"": X, "near": POSITIVE, "far": POSITIVE * 9, "left": POSITIVE * -9}[note]
    of, sign = {"ai": (mp.airyai, 1), "bi": (mp.airybi, -1)}[kind]

    def exact(x: Any) -> Any:
        factor = mp.exp(sign * 2 * x * mp.sqrt(x) / 3) if scaled and x > 0 else 1
        return of(x, derivative=int(slope)) * factor

    params = {"kind": kind, "slope": slope, "scaled": scaled}
    name = f"{kind}{'-slope' * slope}{'-scaled' * scaled}"
    return Row("airy", (inputs,), elementwise(exact), params, note=f"{name}-{note}".rstrip("-"))


def inverse_gamma(a: Any, p: Any) -> Any:
    """By Newton's method in the logarithm of x, from SciPy's."""
    at = mp.log(mp.mpf(float(scipy.special.gammaincinv(float(a), float(p)))))
    for _ in range(4):
        x = mp.exp(at)
        at -= (lower_gamma(a, x) - p) / mp.exp(a * at - x - mp.loggamma(a))
    return mp.exp(at)


def inverse_odds(a: Any, b: Any, p: Any) -> Any:
    """The same of the odds."""
    start = mp.mpf(float(scipy.special.betaincinv(float(a), float(b), float(p))))
    at = mp.log(start / (1 - start))
    for _ in range(4):
        x = 1 / (1 + mp.exp(-at))
        at -= (incomplete_beta(a, b, x) - p) * mp.beta(a, b) / (x**a * (1 - x) ** b)
    return mp.exp(at)


def recurring(x: Any, factor: Any) -> Any:
    columns = [x[:, 0]]
    for k in range(1, x.shape[1]):
        columns.append(x[:, k] + factor[:, k] * columns[-1])
    return np.stack(columns, axis=1)


def written(base: Any, value: Any, region: Any, add: bool) -> Any:
    result = np.array(base)
    if add:
        np.add.at(result, region, value)
    else:
        result[region] = value
    return result


def exact_lu(a: Any) -> tuple[Any, Any, Any]:
    """The factors, the order of rows, and the exchanges, by LAPACK's rule."""
    found, size = np.array(a), len(a)
    order, pivots = np.arange(size), np.zeros(size, np.int32)
    for k in range(size):
        chosen = k + max(range(size - k), key=lambda i: abs(found[k + i, k]))
        pivots[k] = chosen
        for rows in (found, order):
            rows[[k, chosen]] = rows[[chosen, k]]
        found[k + 1 :, k] = found[k + 1 :, k] / found[k, k]
        found[k + 1 :, k + 1 :] = found[k + 1 :, k + 1 :] - np.outer(found[k + 1 :, k], found[k, k + 1 :])
    return found, order, pivots


def exact_cholesky(a: Any) -> Any:
    """The factor by its defining equations, from the lower triangle."""
    n = len(a)
    factor = 0 * a
    for i in range(n):
        for j in range(i + 1):
            rest = a[i, j] - np.sum(factor[i, :j] * factor[j, :j])
            factor[i, j] = mp.sqrt(rest) if i == j else rest / factor[j, j]
    return factor


def exact_solve(factor: Any, b: Any, transposed: bool) -> Any:
    n = len(factor)
    lower = [[factor[i, j] if j <= i else mp.mpf(0) for j in range(n)] for i in range(n)]
    matrix = np.array(lower, object).T if transposed else np.array(lower, object)
    x = 0 * b
    for i in reversed(range(n)) if transposed else range(n):
        x[i] = (b[i] - np.sum(matrix[i][:, None] * x, axis=0)) / matrix[i, i]
    return x


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one matrix, of each matrix of a stack."""

    def stacked(a: Any, *rest: Any) -> Any:
        if a.ndim == 2:
            return function(a, *rest)
        return np.stack([stacked(*each) for each in zip(a, *rest, strict=True)])

    return stacked


def exact_inverse(a: Any) -> Any:
    """By elimination, the largest element of each column to the diagonal."""
    n = len(a)
    work = np.concatenate([np.array(a, object), np.array([[mp.mpf(i == j) for j in range(n)] for i in range(n)])], 1)
    for k in range(n):
        best = max(range(k, n), key=lambda i: abs(work[i, k]))
        work[[k, best]] = work[[best, k]]
        work[k] = work[k] / work[k, k]
        for i in range(n):
            if i != k:
                work[i] = work[i] - work[i, k] * work[k]
    return work[:, n:]


def exact_system(a: Any, b: Any, transposed: bool = False) -> Any:
    inverse = exact_inverse(a.T if transposed else a)
    if b.ndim == 1:
        return np.sum(inverse * b, axis=1)
    return np.sum(inverse[:, :, None] * b[None, :, :], axis=1)


def exact_det(a: Any) -> Any:
    """By Laplace's expansion along the first row, which divides by nothing."""
    if len(a) == 1:
        return a[0, 0]
    minors = [exact_det(np.delete(a[1:], j, axis=1)) for j in range(len(a))]
    return sum((-1) ** j * a[0, j] * minor for j, minor in enumerate(minors))


def exact_cofactors(a: Any) -> Any:
    n = len(a)
    found = 0 * a
    for i in range(n):
        for j in range(n):
            rest = np.delete(np.delete(a, i, axis=0), j, axis=1)
            found[i, j] = (-1) ** (i + j) * (exact_det(rest) if n > 1 else mp.mpf(1))
    return found


def exact_qr(a: Any) -> tuple[Any, Any]:
    """By Gram and Schmidt, with the signs of LAPACK: each column goes against the one that it is reflected from."""
    n = a.shape[1]
    q, r, rest = 0 * a, 0 * a[:n], np.array(a, object)
    signs = np.sign(np.diag(np.linalg.qr(a.astype(float), mode="r")))
    for j in range(n):
        r[j, j] = mp.mpf(float(signs[j])) * mp.sqrt(np.sum(rest[:, j] * rest[:, j]))
        q[:, j] = rest[:, j] / r[j, j]
        for k in range(j + 1, n):
            r[j, k] = np.sum(q[:, j] * rest[:, k])
            rest[:, k] = rest[:, k] - r[j, k] * q[:, j]
    return q, r


def exact_complement(a: Any) -> Any:
    """Householder's reflections of unit vectors."""
    m, n = a.shape
    whole, rest = np.array([[mp.mpf(i == j) for j in range(m)] for i in range(m)], object), np.array(a, object)
    for k in range(n):
        v = np.array(rest[:, k], object)
        v[:k] = mp.mpf(0)
        v[k] = v[k] + mp.sign(v[k]) * mp.sqrt(np.sum(v * v))
        for matrix, left in ((rest, True), (whole, False)):
            dots = np.sum(v[:, None] * matrix, axis=0) if left else np.sum(matrix * v, axis=1)
            outer = v[:, None] * dots[None, :] if left else dots[:, None] * v[None, :]
            matrix -= outer * (2 / np.sum(v * v))
    return whole[:, n:]


def exact_eigen(a: Any) -> tuple[Any, Any]:
    """Values and vectors by mpmath, from the lower triangle; the first row of the vectors is positive."""
    symmetric = np.tril(a) + np.tril(a, -1).T
    values, vectors = mp.eigsy(mp.matrix(symmetric.tolist()))
    return np.array(list(values), object), upright(np.array(vectors.tolist(), object))


def exact_general_eigen(a: Any) -> tuple[Any, Any]:
    """Values and vectors by mpmath in LAPACK's order, of length 1, the largest component real, with LAPACK's sign."""
    values, vectors = mp.eig(mp.matrix(a.tolist()))
    w, v = np.linalg.eig(a.astype(float))
    order = [min(range(len(values)), key=lambda k: abs(values[k] - complex(x))) for x in w]
    columns = []
    for j, k in enumerate(order):
        column = np.array([vectors[i, k] for i in range(len(a))], object)
        column = column / mp.sqrt(sum(abs(x) ** 2 for x in column))
        m = int(np.argmax(np.abs(v[:, j])))
        columns.append(column * (abs(column[m]) / column[m]) * mp.sign(float(v[m, j].real)))
    return np.array([values[k] for k in order], object), np.stack(columns, axis=1)


def exact_schur(a: Any) -> tuple[Any, Any]:
    """The sizes of the elements: eigenvectors by mpmath, in the order of the rounded form, made orthonormal."""
    values, vectors = mp.eig(mp.matrix(a.tolist()))
    found = np.diagonal(helper("_schur")(a.astype(float))[0])
    order = [min(range(len(values)), key=lambda k: abs(values[k] - complex(x))) for x in found]
    columns: list[Any] = []
    for k in order:
        column = np.array([vectors[i, k] for i in range(len(a))], object)
        for other in columns:
            column = column - other * np.sum(np.conj(other) * column)
        columns.append(column / mp.sqrt(sum(abs(x) ** 2 for x in column)))
    z = np.stack(columns, axis=1)
    moved = np.sum(a[:, :, None] * z[None], axis=1)
    form = np.sum(np.conj(z)[:, :, None] * moved[:, None, :], axis=0)
    return abs(np.triu(form)), abs(z)


def exact_sylvester(t: Any, u: Any, c: Any, transposed: bool, below: bool) -> Any:
    """A system of all elements of the unknown, of whole matrices; or of those beneath the diagonal."""
    t, u = (t.T, u.T) if transposed else (t, u)
    places = [(i, j) for i in range(len(t)) for j in range(len(u)) if i > j or not below]
    whole = [[(t[i, k] if j == m else 0) + (u[m, j] if i == k else 0) for k, m in places] for i, j in places]
    found = mp.lu_solve(mp.matrix(whole), mp.matrix([c[place] for place in places]))
    x = np.array(c * 0, object)
    for place, number in zip(places, found, strict=True):
        x[place] = number
    return x


def exact_root(t: Any) -> Any:
    """Of the whole matrix, by Newton's method from the root of its rounded triangle."""
    root = np.array(np.vectorize(mp.mpf)(helper("_triangular_root")(np.triu(t).astype(float))), object)
    for _ in range(7):
        root = root - exact_sylvester(root, root, np.sum(root[:, :, None] * root[None], axis=1) - t, False, False)
    return root


def exact_svd(a: Any) -> tuple[Any, Any, Any]:
    """By mpmath's eigenvalues of ``a.T @ a``; the first row of each set of vectors is positive."""
    values, right = exact_eigen(np.sum(a[:, :, None] * a[:, None, :], axis=0))
    s, right = elementwise(lambda x: mp.sqrt(x))(values)[::-1], right[:, ::-1]
    left = np.sum(a[:, :, None] * right[None], axis=1) / s
    return upright(left), s, right


def exact_pinv(a: Any) -> Any:
    """Of independent columns or rows."""
    if a.shape[0] < a.shape[1]:
        return exact_pinv(a.T).T
    return exact_system(np.sum(a[:, :, None] * a[:, None, :], axis=0), a.T)


def upright(vectors: Any) -> Any:
    """Columns whose first elements are positive."""
    return vectors * np.array([mp.sign(x) for x in vectors[0]], object)


SQUARE = numbers(4, 4, seed=1) + 2 * np.eye(4)[::-1]
STACK = numbers(2, 3, 3, seed=3) + 2 * np.eye(3)
PARTS = ((0, "form"), (1, "vectors"))
TRIANGLES = np.triu(numbers(2, 3, 3, seed=5)) * (1 - np.eye(3)) + np.diag([1.0, 2.5, 0.5])
OPTIONS = ("transposed", "below")
EQUATIONS = {
    "": (TRIANGLES[0], TRIANGLES[1] + np.eye(3), numbers(3, 3, seed=7)),
    "stack": (TRIANGLES, TRIANGLES[::-1] + np.eye(3), numbers(2, 3, 3, seed=7)),
    "oblong": (TRIANGLES[0], np.triu(numbers(2, 2, seed=6)) + 4 * np.eye(2), numbers(3, 2, seed=7)),
}
SYMMETRIC = SQUARE + 3 * np.diag([1.0, 2.0, 4.0, 7.0])
LARGER = numbers(5, 5, seed=4) + 2 * np.eye(5)[::-1]

ROWS_OF, COLUMNS_OF = np.array([[2, 0], [1, -1]]), np.array([[1, 1], [0, 2]])
ZEROS_AMONG = np.array([[0.5], [0.0], [2.0], [0.0], [1.5]])
REPEATED = np.array([2, 0, 2])

HALVES = np.array([0x3C00, 0xC000, 0x0001, 0x83FF, 0x7BFF, 0xFBFF], np.uint16)
"""The bits of numbers of half precision."""
FOURTHS = np.array([[1 + 2j, -1j, 3, 0.5], [0, 1, 2 - 1j, -4]])

ROWS = [
    Row("add", (X, Y), lambda x, y: x + y, special=np.add),
    Row("sub", (X, Y), lambda x, y: x - y, special=np.subtract),
    Row("mul", (X, Y), lambda x, y: x * y, special=np.multiply),
    Row("div", (X, Y), lambda x, y: x / y, special=np.true_divide),
    Row("neg", (X,), lambda x: -x, special=np.negative),
    Row("floor_div", (X, POSITIVE), elementwise(lambda x, y: mp.floor(x / y)), smooth=False),
    Row("mod", (X, POSITIVE), elementwise(lambda x, y: x - y * mp.floor(x / y)), smooth=False),
    Row("pow", (POSITIVE, Y), elementwise(lambda x, y: x**y)),
    Row("maximum", (X, Y), elementwise(lambda x, y: max(x, y)), smooth=False, special=np.maximum),
    Row("minimum", (X, Y), elementwise(lambda x, y: min(x, y)), smooth=False, special=np.minimum),
    Row("exp", (X,), elementwise(lambda x: mp.exp(x)), special=np.exp),
    Row("log", (POSITIVE,), elementwise(lambda x: mp.log(x)), special=np.log),
    Row("log1p", (POSITIVE,), elementwise(lambda x: mp.log(1 + x)), special=np.log1p),
    Row("expm1", (X,), elementwise(lambda x: mp.exp(x) - 1), special=np.expm1),
    Row("sqrt", (POSITIVE,), elementwise(lambda x: mp.sqrt(x)), special=np.sqrt),
    Row("tanh", (X,), elementwise(lambda x: mp.tanh(x)), special=np.tanh),
    Row("sin", (X,), elementwise(lambda x: mp.sin(x))),
    Row("cos", (X,), elementwise(lambda x: mp.cos(x))),
    Row("abs", (X,), abs, smooth=False, special=np.abs),
    Row("sign", (X,), elementwise(lambda x: mp.sign(x)), smooth=False, special=np.sign),
    Row("floor", (X,), elementwise(lambda x: mp.floor(x)), smooth=False, special=np.floor),
    Row("ceil", (X,), elementwise(lambda x: mp.ceil(x)), smooth=False, special=np.ceil),
    Row("trunc", (X,), elementwise(lambda x: mp.sign(x) * mp.floor(abs(x))), smooth=False, special=np.trunc),
    Row("rint", (X,), elementwise(lambda x: mp.nint(x)), smooth=False, special=np.rint),
    Row("round_half", (X,), lambda x: x.astype(float).astype(np.float16).astype(float), smooth=False, stopped=True),
    Row(
        "half_bits",
        (HALVES.view(np.float16).astype(np.float32),),
        lambda x: x.astype(np.float16).view(np.uint16),
        smooth=False,
    ),
    Row("half_value", (HALVES,), lambda x: x.view(np.float16).astype(float), smooth=False),
    Row("copysign", (X, Y), elementwise(lambda x, y: abs(x) * mp.sign(y)), smooth=False, special=np.copysign),
    Row("erf", (X,), elementwise(lambda x: mp.erf(x)), special=np.vectorize(math.erf, otypes=[float])),
    Row("erfc", (X,), elementwise(lambda x: mp.erfc(x)), special=np.vectorize(math.erfc, otypes=[float])),
    Row("exp2", (X,), elementwise(lambda x: mp.mpf(2) ** x), special=np.exp2),
    Row("log2", (POSITIVE,), elementwise(lambda x: mp.log(x, 2)), special=np.log2),
    Row("log10", (POSITIVE,), elementwise(lambda x: mp.log(x, 10)), special=np.log10),
    Row("cbrt", (X,), elementwise(lambda x: mp.sign(x) * mp.cbrt(abs(x))), special=np.cbrt),
    Row("hypot", (X, Y), elementwise(lambda x, y: mp.hypot(x, y)), special=np.hypot),
    Row("tan", (X / 2,), elementwise(lambda x: mp.tan(x))),
    Row("sinh", (X,), elementwise(lambda x: mp.sinh(x)), special=np.sinh),
    Row("cosh", (X,), elementwise(lambda x: mp.cosh(x)), special=np.cosh),
    Row("arcsin", (X / 2.1,), elementwise(lambda x: mp.asin(x)), special=np.arcsin),
    Row("arccos", (X / 2.1,), elementwise(lambda x: mp.acos(x)), special=np.arccos),
    Row("arctan", (X,), elementwise(lambda x: mp.atan(x)), special=np.arctan),
    Row("arcsinh", (X,), elementwise(lambda x: mp.asinh(x)), special=np.arcsinh),
    Row("arccosh", (POSITIVE + 1,), elementwise(lambda x: mp.acosh(x)), special=np.arccosh),
    Row("arctanh", (X / 2.1,), elementwise(lambda x: mp.atanh(x)), special=np.arctanh),
    Row("gammaln", (POSITIVE,), elementwise(lambda x: mp.loggamma(x))),
    Row("gammaln", (X * 3 - 7,), elementwise(lambda x: mp.re(mp.loggamma(x))), note="negative"),
    Row("digamma", (POSITIVE,), elementwise(lambda x: mp.digamma(x))),
    Row("digamma", (X * 3 - 7,), elementwise(lambda x: mp.digamma(x)), note="negative"),
    Row("polygamma", (POSITIVE,), elementwise(lambda x: mp.polygamma(1, x)), {"n": 1}),
    Row("polygamma", (X * 3 - 7,), elementwise(lambda x: mp.polygamma(1, x)), {"n": 1}, note="negative"),
    Row("polygamma", (POSITIVE,), elementwise(lambda x: mp.polygamma(4, x)), {"n": 4}, note="fourth"),
    Row("log_ndtr", (X,), elementwise(lambda x: mp.log(mp.ncdf(x))), {"n": 0}),
    Row("log_ndtr", (X * 4 - 14,), elementwise(lambda x: mp.npdf(x) / mp.ncdf(x)), {"n": 1}, note="slope"),
    Row(
        "log_ndtr",
        (X - 20,),
        elementwise(lambda x: -mp.npdf(x) * (x * mp.ncdf(x) + mp.npdf(x)) / mp.ncdf(x) ** 2),
        {"n": 2},
        note="far",
    ),
    Row("i0", (X,), elementwise(lambda x: mp.besseli(0, x))),
    Row("i1", (X,), elementwise(lambda x: mp.besseli(1, x))),
    Row("i0", (X * 20,), elementwise(lambda x: mp.besseli(0, x)), note="far"),
    Row("i1", (X * 20,), elementwise(lambda x: mp.besseli(1, x)), note="far"),
    Row("i0e", (X,), elementwise(lambda x: mp.besseli(0, x) * mp.exp(-abs(x)))),
    Row("i1e", (X,), elementwise(lambda x: mp.besseli(1, x) * mp.exp(-abs(x)))),
    Row("k0", (POSITIVE,), elementwise(lambda x: mp.besselk(0, x))),
    Row("k1", (POSITIVE,), elementwise(lambda x: mp.besselk(1, x))),
    Row("k0", (POSITIVE * 9,), elementwise(lambda x: mp.besselk(0, x)), note="far"),
    Row("k1", (POSITIVE * 9,), elementwise(lambda x: mp.besselk(1, x)), note="far"),
    Row("k0e", (POSITIVE,), elementwise(lambda x: mp.besselk(0, x) * mp.exp(x))),
    Row("k1e", (POSITIVE,), elementwise(lambda x: mp.besselk(1, x) * mp.exp(x))),
    Row("j0", (X,), elementwise(lambda x: mp.besselj(0, x))),
    Row("j1", (X,), elementwise(lambda x: mp.besselj(1, x))),
    Row("j0", (X * 9,), elementwise(lambda x: mp.besselj(0, x)), note="far"),
    Row("j1", (X * 9,), elementwise(lambda x: mp.besselj(1, x)), note="far"),
    Row("y0", (POSITIVE,), elementwise(lambda x: mp.bessely(0, x))),
    Row("y1", (POSITIVE,), elementwise(lambda x: mp.bessely(1, x))),
    Row("y0", (POSITIVE * 9,), elementwise(lambda x: mp.bessely(0, x)), note="far"),
    Row("y1", (POSITIVE * 9,), elementwise(lambda x: mp.bessely(1, x)), note="far"),
    *(
        airy(kind, slope, False, note)
        for kind in ("ai", "bi")
        for slope in (False, True)
        for note in ("", "far", "left")
    ),
    *(airy(kind, slope, True, note) for kind in ("ai", "bi") for slope in (False, True) for note in ("near", "far")),
    airy("bi", False, True, "left"),
    Row("gammainc", (POSITIVE, POSITIVE[::-1]), elementwise(lower_gamma), wrt=(1,)),
    Row("gammaincc", (POSITIVE, POSITIVE[::-1]), elementwise(upper_gamma), wrt=(1,)),
    Row("gammainc", (POSITIVE * 20 + 9, POSITIVE * 21 + 8), elementwise(lower_gamma), wrt=(1,), note="large"),
    Row("gammaincc", (POSITIVE * 20 + 9, POSITIVE * 21 + 8), elementwise(upper_gamma), wrt=(1,), note="large"),
    Row(
        "gamma_density",
        (POSITIVE * 8, POSITIVE[::-1] * 4),
        elementwise(lambda a, x: x ** (a - 1) * mp.exp(-x) / mp.gamma(a)),
        wrt=(1,),
    ),
    Row("gammaincinv", (POSITIVE, UNIT), elementwise(inverse_gamma), wrt=(1,)),
    Row("gammainccinv", (POSITIVE, UNIT), elementwise(lambda a, q: inverse_gamma(a, 1 - q)), wrt=(1,)),
    Row("beta_odds", (POSITIVE, POSITIVE[::-1], UNIT), elementwise(inverse_odds), wrt=(2,)),
    Row(
        "beta_odds_upper",
        (POSITIVE, POSITIVE[::-1], UNIT),
        elementwise(lambda a, b, q: inverse_odds(a, b, 1 - q)),
        wrt=(2,),
    ),
    Row("betainc", (POSITIVE, POSITIVE[::-1], UNIT), elementwise(incomplete_beta), wrt=(2,)),
    Row(
        "betaincc",
        (POSITIVE, POSITIVE[::-1], UNIT),
        elementwise(lambda a, b, x: 1 - incomplete_beta(a, b, x)),
        wrt=(2,),
    ),
    Row("betainc", (POSITIVE * 20, POSITIVE[::-1] * 9, UNIT), elementwise(incomplete_beta), wrt=(2,), note="large"),
    Row(
        "beta_density",
        (POSITIVE * 3, POSITIVE[::-1] * 5, UNIT),
        elementwise(lambda a, b, x: x ** (a - 1) * (1 - x) ** (b - 1) / mp.beta(a, b)),
        wrt=(2,),
    ),
    Row("spence", (POSITIVE,), elementwise(lambda x: mp.polylog(2, 1 - x))),
    Row("exp1", (POSITIVE,), elementwise(lambda x: mp.e1(x))),
    Row("expi", (X * 9,), elementwise(lambda x: mp.ei(x))),
    Row("dawsn", (X * 3,), elementwise(lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x))),
    Row("erfi", (X,), elementwise(lambda x: mp.erfi(x))),
    Row("sine_integral", (X * 4,), elementwise(lambda x: mp.si(x))),
    Row("cosine_integral", (X * 4,), elementwise(lambda x: mp.ci(abs(x)))),
    Row("fresnel_sine", (X,), elementwise(lambda x: mp.fresnels(x))),
    Row("fresnel_cosine", (X,), elementwise(lambda x: mp.fresnelc(x))),
    Row("erfcx", (X,), elementwise(lambda x: mp.erfc(x) * mp.exp(x * x))),
    Row("erfinv", (X / 2.1,), elementwise(lambda x: mp.erfinv(x))),
    Row("erfcinv", (X / 2.1 + 1,), elementwise(lambda x: mp.erfinv(1 - x))),
    Row("xlogy", (X, POSITIVE), elementwise(lambda x, y: x * mp.log(y))),
    Row("xlog1py", (X, POSITIVE), elementwise(lambda x, y: x * mp.log(1 + y))),
    Row("entr", (POSITIVE,), elementwise(lambda x: -x * mp.log(x))),
    Row("log_ratio", (POSITIVE, POSITIVE[::-1]), elementwise(lambda x, y: mp.log(x / y))),
    Row("rel_entr", (POSITIVE, POSITIVE[::-1]), elementwise(lambda x, y: x * mp.log(x / y))),
    Row("kl_div", (POSITIVE, POSITIVE[::-1]), elementwise(lambda x, y: x * mp.log(x / y) - x + y)),
    Row("arctan2", (X, Y), elementwise(lambda y, x: mp.atan2(y, x)), special=np.arctan2),
    Row("logistic", (X,), elementwise(logistic)),
    Row("softplus", (X,), elementwise(softplus)),
    Row("logistic_bce", (X, Y), elementwise(lambda z, y: softplus(z) - y * z)),
    Row("eq", (X, X + M), lambda x, y: x == y, smooth=False, special=np.equal),
    Row("ne", (X, X + M), lambda x, y: x != y, smooth=False, special=np.not_equal),
    Row("lt", (X, Y), lambda x, y: x < y, smooth=False, special=np.less),
    Row("le", (X, X + M), lambda x, y: x <= y, smooth=False, special=np.less_equal),
    Row("gt", (X, Y), lambda x, y: x > y, smooth=False, special=np.greater),
    Row("ge", (X, X + M), lambda x, y: x >= y, smooth=False, special=np.greater_equal),
    Row("logical_and", (M, N), np.logical_and, smooth=False),
    Row("logical_or", (M, N), np.logical_or, smooth=False),
    Row("logical_xor", (M, N), np.logical_xor, smooth=False),
    Row("bitwise_and", (ROWS_OF, COLUMNS_OF), np.bitwise_and, smooth=False),
    Row("bitwise_or", (ROWS_OF, COLUMNS_OF), np.bitwise_or, smooth=False),
    Row("bitwise_xor", (ROWS_OF, COLUMNS_OF), np.bitwise_xor, smooth=False),
    Row("integer_power", (COLUMNS_OF * 3 - 4, ROWS_OF + 1), np.power, smooth=False),
    Row("gcd", (ROWS_OF * 6, COLUMNS_OF * 15), np.gcd, smooth=False),
    Row("logical_not", (M,), np.logical_not, smooth=False),
    Row("isfinite", (X,), elementwise(lambda x: mp.isfinite(x)), smooth=False, special=np.isfinite),
    Row("isnan", (X,), elementwise(lambda x: mp.isnan(x)), smooth=False, special=np.isnan),
    Row("complex", (X, Y), lambda x, y: x.astype(float) + 1j * y.astype(float), smooth=False),
    Row("real", (X + 1j * Y,), lambda z: z.real),
    Row("imag", (X + 1j * Y,), lambda z: z.imag),
    Row("conj", (X + 1j * Y,), np.conj),
    Row("fft", (FOURTHS,), lambda z: np.fft.fft(z), {"axis": 1, "inverse": False, "norm": "backward"}),
    Row("select", (M, X, Y), np.where),
    Row("convert", (X,), lambda x: x, {"dtype": F64}),
    Row("convert", (M,), lambda x: x.astype(float), {"dtype": F64}, smooth=False, note="bool"),
    Row("reduce_sum", (X,), lambda x: np.sum(x, axis=1), {"axes": (1,), "keepdims": False}),
    Row("reduce_sum", (X,), lambda x: np.sum(x, keepdims=True), {"axes": (0, 1), "keepdims": True}, note="keepdims"),
    Row("reduce_prod", (X,), lambda x: np.prod(x, axis=1), {"axes": (1,), "keepdims": False}),
    Row("reduce_max", (X,), lambda x: np.max(x, axis=0), {"axes": (0,), "keepdims": False}, smooth=False),
    Row("reduce_min", (X,), lambda x: np.min(x, axis=1), {"axes": (1,), "keepdims": False}, smooth=False),
    Row("reduce_any", (M,), lambda x: np.any(x, axis=1), {"axes": (1,), "keepdims": False}, smooth=False),
    Row("reduce_all", (M,), lambda x: np.all(x, axis=0), {"axes": (0,), "keepdims": False}, smooth=False),
    Row("logsumexp", (X,), logsumexp, {"axes": (1,), "keepdims": False}),
    Row("softmax", (X,), softmax, {"axes": (1,)}),
    Row("log_softmax", (X,), lambda x: elementwise(lambda v: mp.log(v))(softmax(x)), {"axes": (1,)}),
    Row("contract", (X, numbers(3, 2)), lambda a, b: a @ b, {"lhs": "ij", "rhs": "jk", "out": "ik"}),
    Row(
        "contract", (X, numbers(4, 3)), lambda a, b: b @ a.T, {"lhs": "ij", "rhs": "kj", "out": "ki"}, note="transposed"
    ),
    Row("contract", (X[0], Y[0]), lambda a, b: np.sum(a * b), {"lhs": "i", "rhs": "i", "out": ""}, note="dot"),
    Row("contract", (X[0], Y[1]), lambda a, b: b[:, None] * a, {"lhs": "i", "rhs": "j", "out": "ji"}, note="outer"),
    Row("contract", (X, numbers(3)), lambda a, b: a @ b, {"lhs": "ij", "rhs": "j", "out": "i"}, note="vector"),
    Row(
        "contract",
        (numbers(2, 2, 3), numbers(2, 3, 2)),
        lambda a, b: np.stack([a[0] @ b[0], a[1] @ b[1]]),
        {"lhs": "bij", "rhs": "bjk", "out": "bik"},
        note="batched",
    ),
    Row(
        "contract",
        (numbers(2, 3, 2), numbers(3, 2)),
        lambda a, b: np.sum(a * b[None, :, :], axis=1).T,
        {"lhs": "bij", "rhs": "ij", "out": "jb"},
        note="shared",
    ),
    Row(
        "contract",
        (numbers(2, 3, 2), numbers(2, 2, 3)),
        lambda a, b: np.sum(a * b.transpose(0, 2, 1), axis=(1, 2)),
        {"lhs": "bij", "rhs": "bji", "out": "b"},
        note="two-letters",
    ),
    Row(
        "contract",
        (numbers(2, 3, 2), numbers(2, 2, 3)),
        lambda a, b: np.array([[np.sum(a[i] * b[:, j, :].T) for i in range(2)] for j in range(2)]),
        {"lhs": "ikl", "rhs": "ljk", "out": "ji"},
        note="tensordot",
    ),
    Row("masked_contract", (X, M, numbers(3, 2)), masked_contract, {"lhs": "ij", "rhs": "jk", "out": "ik"}),
    Row("gather", (numbers(3, 2), ROWS_OF), lambda x, i: x[i], {"axes": (0,)}),
    Row("gather", (numbers(2, 3), ROWS_OF), lambda x, i: x[:, i], {"axes": (1,)}, note="inner"),
    Row("gather", (numbers(3, 2, 3), ROWS_OF, COLUMNS_OF), lambda x, i, j: x[i, :, j], {"axes": (0, 2)}, note="apart"),
    Row("gather", (numbers(3, 2), np.int64(-1)), lambda x, i: x[i], {"axes": (0,)}, note="single"),
    Row(
        "scatter",
        (numbers(3, 2), numbers(3, 2, seed=5), REPEATED),
        lambda b, v, i: written(b, v, (i,), True),
        {"axes": (0,), "mode": "add"},
        note="add",
    ),
    Row(
        "scatter",
        (numbers(3, 2), numbers(3, 2, seed=5), REPEATED),
        lambda b, v, i: written(b, v, (i,), False),
        {"axes": (0,), "mode": "set"},
        note="set",
    ),
    Row(
        "scatter",
        (numbers(2, 3), numbers(2, 3, seed=5), REPEATED),
        lambda b, v, i: written(b, v, (slice(None), i), True),
        {"axes": (1,), "mode": "add"},
        note="inner",
    ),
    Row("broadcast_to", (X,), lambda x: np.broadcast_to(x, (2, 2, 3)), {"shape": (2, 2, 3)}),
    Row("broadcast_to", (X[:, :1],), lambda x: np.broadcast_to(x, (2, 3)), {"shape": (2, 3)}, note="stretched"),
    Row("reshape", (X,), lambda x: x.reshape(3, 2), {"shape": (3, 2)}),
    Row("reshape", (X[:1],), lambda x: x.reshape(3, 1), {"shape": (3, 1)}, note="ones"),
    Row("transpose", (numbers(2, 3, 2),), lambda x: x.transpose(2, 0, 1), {"axes": (2, 0, 1)}),
    Row("slice", (numbers(4, 3),), lambda x: x[1:3, ::-1], {"starts": (1, 2), "sizes": (2, 3), "steps": (1, -1)}),
    Row(
        "update_slice",
        (numbers(4, 3), numbers(2, 3, seed=6)),
        lambda b, v: written(b, v, (slice(0, 4, 2), slice(None)), False),
        {"starts": (0, 0), "steps": (2, 1), "mode": "set"},
        note="set",
    ),
    Row(
        "update_slice",
        (numbers(4, 3), numbers(4, 1, seed=6)),
        lambda b, v: written(b, v, (slice(None), slice(2, 3)), True),
        {"starts": (0, 2), "steps": (1, 1), "mode": "add"},
        note="add",
    ),
    Row("concatenate", (X, Y, X[:, :1]), lambda *xs: np.concatenate(xs, 1), {"axis": 1}),
    Row("cholesky", (numbers(4, 4) @ numbers(4, 4).T + 4 * np.eye(4),), exact_cholesky),
    Row("cholesky", (np.array([[2.0]]),), exact_cholesky, note="one"),
    *[Row("lu_factors", (numbers(n, n, seed=8),), lambda a: exact_lu(a)[0], note=f"{n}") for n in (1, 2, 4, 6)],
    Row("lu_factors", (numbers(2, 3, 3, seed=9),), each(lambda a: exact_lu(a)[0]), note="stack"),
    *[Row("lu_order", (numbers(n, n, seed=8),), lambda a: exact_lu(a)[1], smooth=False, note=f"{n}") for n in (1, 6)],
    *[Row("lu_pivots", (numbers(n, n, seed=8),), lambda a: exact_lu(a)[2], smooth=False, note=f"{n}") for n in (1, 6)],
    Row(
        "triangular_solve",
        (numbers(4, 4) + 4 * np.eye(4), numbers(4, 3)),
        lambda x, b: exact_solve(x, b, False),
        {"transposed": False},
    ),
    Row(
        "triangular_solve",
        (numbers(4, 4) + 4 * np.eye(4), numbers(4, 1)),
        lambda x, b: exact_solve(x, b, True),
        {"transposed": True},
        note="transposed",
    ),
    Row(
        "cholesky",
        (np.stack([np.eye(2) + X[:, :2] @ X[:, :2].T, np.eye(2) + Y[:, :2] @ Y[:, :2].T]),),
        each(exact_cholesky),
        note="stack",
    ),
    Row(
        "triangular_solve",
        (numbers(2, 3, 3, seed=7) + 3 * np.eye(3), numbers(2, 3, 2)),
        each(lambda x, b: exact_solve(x, b, True)),
        {"transposed": True},
        note="stack",
    ),
    Row(
        "triangular_solve",
        (numbers(4, 4) + 4 * np.eye(4), numbers(4)),
        lambda x, b: exact_solve(x, b[:, None], False)[:, 0],
        {"transposed": False},
        note="vector",
    ),
    Row("solve", (SQUARE, numbers(4, 3)), exact_system, {"transposed": False}),
    Row("solve", (SQUARE, numbers(4)), lambda a, b: exact_system(a, b, True), {"transposed": True}, note="transposed"),
    Row("solve", (STACK, numbers(2, 3, 2)), each(exact_system), {"transposed": False}, note="stack"),
    Row("solve", (LARGER, numbers(5, 2)), exact_system, {"transposed": False}, note="larger"),
    Row("inverse", (SQUARE,), exact_inverse, {"strict": True}),
    Row("inverse", (LARGER,), exact_inverse, {"strict": True}, note="larger"),
    Row("inverse", (STACK,), each(exact_inverse), {"strict": False}, note="stack"),
    Row("det", (SQUARE,), exact_det),
    Row("det", (LARGER,), exact_det, note="larger"),
    Row("det", (STACK,), lambda a: np.array([exact_det(x) for x in a]), note="stack"),
    Row("det", (np.array([[0.0, 1.0, 2.0], [0.0, 3.0, -1.0], [0.0, 0.5, 4.0]]),), exact_det, note="singular"),
    Row("log_abs_det", (SQUARE,), lambda a: mp.log(abs(exact_det(a)))),
    Row("log_abs_det", (STACK,), lambda a: np.array([mp.log(abs(exact_det(x))) for x in a]), note="stack"),
    Row("det_sign", (SQUARE,), lambda a: mp.sign(exact_det(a)), smooth=False),
    Row("cofactors", (SQUARE,), exact_cofactors),
    Row("cofactors", (STACK,), each(exact_cofactors), note="stack"),
    Row("cofactors", (numbers(2, 2, seed=8),), exact_cofactors, note="two"),
    Row("cofactors", (np.array([[2.0]]),), exact_cofactors, note="one"),
    Row("cumsum", (X,), lambda x: np.cumsum(x, axis=1), {"axis": 1, "reverse": False}),
    Row("cumsum", (X,), lambda x: np.cumsum(x[::-1], axis=0)[::-1], {"axis": 0, "reverse": True}, note="reverse"),
    Row("cumprod", (numbers(2, 5),), lambda x: np.cumprod(x, axis=1), {"axis": 1}),
    Row(
        "cumprod",
        (np.array([[0.5, 0.0, 2.0, 0.0, 1.5]]).T,),
        lambda x: np.cumprod(x, axis=0),
        {"axis": 0},
        note="zeros",
    ),
    Row("recurrence", (numbers(2, 4), numbers(2, 4, seed=1)), recurring, {"axis": 1, "reverse": False}),
    Row(
        "recurrence",
        (numbers(3, 2), numbers(3, 2, seed=1)),
        lambda x, f: recurring(x[::-1].T, f[::-1].T).T[::-1],
        {"axis": 0, "reverse": True},
        note="reverse",
    ),
    Row("argsort", (numbers(3, 7),), lambda x: np.argsort(x, axis=1), {"axis": 1}, smooth=False),
    Row("argsort", (numbers(5, 2, 2),), lambda x: np.argsort(x, axis=0), {"axis": 0}, smooth=False, note="first"),
    Row("argsort", (REPEATED,), lambda x: np.argsort(x, kind="stable"), {"axis": 0}, smooth=False, note="ties"),
    Row("stop_gradient", (X,), lambda x: x, smooth=False, special=np.positive, stopped=True),
    Row("recompute", (X,), lambda x: x),
    Row("eigenvalues", (SQUARE,), lambda a: exact_eigen(a)[0]),
    Row("eigenvalues", (STACK,), each(lambda a: exact_eigen(a)[0]), note="stack"),
    Row("eigenvectors", (SYMMETRIC,), lambda a: exact_eigen(a)[1], up_to_signs=True),
    Row("eigenvectors", (STACK,), each(lambda a: exact_eigen(a)[1]), up_to_signs=True, note="stack"),
    Row("general_eigenvalues", (SQUARE,), lambda a: exact_general_eigen(a)[0]),
    Row("general_eigenvalues", (STACK,), each(lambda a: exact_general_eigen(a)[0]), note="stack"),
    Row("general_eigenvectors", (SQUARE,), lambda a: exact_general_eigen(a)[1]),
    Row("general_eigenvectors", (STACK,), each(lambda a: exact_general_eigen(a)[1]), note="stack"),
    *[Row(f"schur_{part}", (SQUARE,), lambda a, k=k: exact_schur(a)[k], up_to_phases=True) for k, part in PARTS],
    *[
        Row(f"schur_{part}", (STACK,), each(lambda a, k=k: exact_schur(a)[k]), up_to_phases=True, note="stack")
        for k, part in PARTS
    ],
    *[
        Row(
            "sylvester",
            operands,
            each(lambda *x, o=options: exact_sylvester(*x, *o)),
            dict(zip(OPTIONS, options, strict=True)),
            note=f"{note}{options}",
        )
        for note, operands in EQUATIONS.items()
        for options in itertools.product((False, True), repeat=2)
        if note != "oblong" or not options[1]
    ],
    Row("triangular_root", (TRIANGLES[0],), exact_root),
    Row("triangular_root", (TRIANGLES,), each(exact_root), note="stack"),
    Row("singular_values", (SQUARE,), lambda a: exact_svd(a)[1]),
    Row("singular_values", (numbers(4, 2, seed=3),), lambda a: exact_svd(a)[1], note="tall"),
    Row("singular_values", (numbers(2, 3, 2, seed=4),), each(lambda a: exact_svd(a)[1]), note="stack"),
    Row("left_vectors", (SYMMETRIC,), lambda a: exact_svd(a)[0], up_to_signs=True),
    Row("left_vectors", (numbers(5, 2, seed=3),), lambda a: exact_svd(a)[0], up_to_signs=True, note="tall"),
    Row("left_vectors", (STACK,), each(lambda a: exact_svd(a)[0]), up_to_signs=True, note="stack"),
    Row("right_vectors", (SYMMETRIC,), lambda a: exact_svd(a)[2], up_to_signs=True),
    Row("right_vectors", (numbers(5, 2, seed=3),), lambda a: exact_svd(a)[2], up_to_signs=True, note="tall"),
    Row("right_vectors", (STACK,), each(lambda a: exact_svd(a)[2]), up_to_signs=True, note="stack"),
    Row("pseudo_inverse", (SQUARE,), exact_pinv, {"rtol": 1e-15}),
    Row("pseudo_inverse", (numbers(4, 2, seed=3),), exact_pinv, {"rtol": 1e-15}, note="tall"),
    Row("pseudo_inverse", (numbers(2, 2, 3, seed=4),), each(exact_pinv), {"rtol": 1e-15}, note="stack"),
    Row("qr_q", (numbers(5, 3, seed=2),), lambda a: exact_qr(a)[0]),
    Row("qr_q", (numbers(4, 2, seed=3),), lambda a: exact_qr(a)[0], note="tall"),
    Row("qr_q", (numbers(2, 3, 2, seed=4),), each(lambda a: exact_qr(a)[0]), note="stack"),
    Row("qr_r", (SQUARE,), lambda a: exact_qr(a)[1]),
    Row("qr_r", (numbers(4, 2, seed=3),), lambda a: exact_qr(a)[1], note="tall"),
    Row("qr_r", (numbers(2, 3, 2, seed=4),), each(lambda a: exact_qr(a)[1]), note="stack"),
    Row("qr_complement", (numbers(4, 2, seed=3),), exact_complement, differentiable=False),
    Row("qr_complement", (numbers(2, 4, 1, seed=4),), each(exact_complement), differentiable=False, note="stack"),
    Row("iota", (), lambda: np.array([mp.mpf(k) for k in range(4)], object), {"dim": 4, "dtype": F64}, smooth=False),
    Row("dim_value", (), lambda: mp.mpf(3), {"dim": 3, "dtype": F64}, smooth=False),
]


def test_every_op_has_a_row() -> None:
    assert gradc.ops.__all__
    assert set(REGISTRY) - {"input", "constant"} == {row.op for row in ROWS}


def run(graph: Graph, backend: str, inputs: list[Any]) -> list[np.ndarray]:
    compiled = compiled_of(graph, graph, flat_signature(graph), Request(backend=backend))  # type: ignore[arg-type]
    return compiled.entry([np.ascontiguousarray(x).reshape(np.shape(x)) for x in inputs])


def value_graph(row: Row) -> Graph:
    builder = Builder()
    operands = [builder.input(f"x{k}", aval_of(np.asarray(x))) for k, x in enumerate(row.inputs)]
    return builder.freeze([applied(row, builder, operands)])


def applied(row: Row, builder: Builder, operands: list[Value]) -> Value:
    """The op on operands."""
    result = builder.apply(REGISTRY[row.op], *operands, **row.params)
    return signed(result, result) if row.up_to_signs else result


def signed(x: Value, vectors: Value) -> Value:
    """Columns with the signs that make the first row of ``vectors`` positive."""
    shape = vectors.aval.shape
    sizes = (*shape[:-2], 1, shape[-1])
    first = slice_(vectors, starts=(0,) * len(shape), sizes=sizes, steps=(1,) * len(shape))
    return x * broadcast(sign(first), shape)


def floats(row: Row) -> list[int]:
    """The inputs by which the op is differentiated."""
    given = range(len(row.inputs)) if row.wrt is None else row.wrt
    return [k for k in given if row.differentiable and np.asarray(row.inputs[k]).dtype == F64]


def vjp_graph(row: Row) -> Graph:
    """Inputs and a cotangent to the cotangents of the floating-point inputs."""
    builder = Builder()
    operands = [builder.input(f"x{k}", aval_of(np.asarray(x))) for k, x in enumerate(row.inputs)]
    result = applied(row, builder, operands)
    ct = builder.input("ct", result.aval)
    wrt = [operands[k] for k in floats(row)]
    found = adjoint(builder, [result], [ct], wrt)
    return builder.freeze([builder.full(0.0, x.aval) if d is None else d for d, x in zip(found, wrt, strict=True)])


def jvp_graph(row: Row) -> Graph:
    """Inputs and tangents of the floating-point ones to the tangent of the result."""
    builder = Builder()
    operands = [builder.input(f"x{k}", aval_of(np.asarray(x))) for k, x in enumerate(row.inputs)]
    result = applied(row, builder, operands)
    wrt = [operands[k] for k in floats(row)]
    tangents = [builder.input(f"t{k}", x.aval) for k, x in enumerate(wrt)]
    (found,) = pushforward(builder, [result], wrt, tangents)
    return builder.freeze([builder.full(0.0, result.aval) if found is None else found])


def second_order_graph(row: Row, weights: list[np.ndarray], modes: str) -> Graph:
    """Inputs and a cotangent to the second derivative, of the product with the cotangent, along ``weights``.

    Three ways lead to it: the gradient of ``weights * vjp``, the vjp's own tangent, the gradient of the tangent.
    """
    first = jvp_graph(row) if modes == "reverse over forward" else vjp_graph(row)
    builder = Builder()
    count = len(row.inputs)
    inputs = [builder.input(f"x{k}", aval_of(np.asarray(x))) for k, x in enumerate(row.inputs)]
    ct = builder.input("ct", value_graph(row).output_avals[0])
    constants = [builder.constant(w) for w in weights]
    wrt = [inputs[k] for k in floats(row)]
    if modes == "reverse over forward":
        found = adjoint(builder, first.replay(builder, [*inputs, *constants]), [ct], wrt)
    elif modes == "forward over reverse":
        found = pushforward(builder, first.replay(builder, [*inputs, ct]), wrt, constants)
    else:
        found = adjoint(builder, first.replay(builder, [*inputs, ct]), constants, wrt)
    assert len(builder.inputs) == count + 1
    return builder.freeze([builder.full(0.0, x.aval) if d is None else d for d, x in zip(found, wrt, strict=True)])


def exact_inputs(row: Row) -> list[Any]:
    lift = np.frompyfunc(lambda v: mp.mpf(float(v)), 1, 1)
    return [np.asarray(lift(x), object) if k in floats(row) else x for k, x in enumerate(row.inputs)]


def exact_value(row: Row, inputs: list[Any]) -> np.ndarray:
    return np.asarray(row.exact(*inputs), object)


def moved(inputs: list[Any], *steps: tuple[int, int, Any]) -> list[Any]:
    result = [np.array(x) for x in inputs]
    for k, position, step in steps:
        result[k].reshape(-1)[position] += step
    return result


def slopes(row: Row) -> list[list[np.ndarray]]:
    """The exact derivative of the whole result by each element of each floating-point input."""
    return exact_slopes(str(row))


@functools.cache
def exact_slopes(row_id: str) -> list[list[np.ndarray]]:
    (row,) = (r for r in ROWS if str(r) == row_id)
    inputs = exact_inputs(row)
    h = mp.mpf(10) ** -25
    if row.stopped:
        return [[0 * exact_value(row, inputs)] * inputs[k].size for k in floats(row)]
    return [
        [
            (exact_value(row, moved(inputs, (k, p, h))) - exact_value(row, moved(inputs, (k, p, -h)))) / (2 * h)
            for p in range(inputs[k].size)
        ]
        for k in floats(row)
    ]


def assert_within(actual: np.ndarray, exact: Any, terms: Any, what: str) -> None:
    exact, terms = np.asarray(exact, object), np.asarray(terms, object)
    assert actual.shape == exact.shape, what
    for got, wanted, scale in zip(actual.reshape(-1), exact.reshape(-1), terms.reshape(-1), strict=True):
        assert abs(mp.mpf(float(got)) - wanted) <= BOUND * scale, f"{what}: {got} for {mp.nstr(wanted, 20)}"


@pytest.fixture(autouse=True)
def sixty_digits() -> Any:
    with mpmath.workdps(60):
        yield


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_value(row: Row, backend: str) -> None:
    graph = value_graph(row)
    (actual,) = run(graph, backend, list(row.inputs))
    expected = exact_value(row, exact_inputs(row))
    assert actual.dtype == graph.output_avals[0].dtype
    if row.up_to_phases:
        assert_within(np.abs(actual), expected, 1 + expected, "sizes")
    elif actual.dtype.kind == "c" and row.smooth:
        np.testing.assert_allclose(actual, expected.astype(complex), rtol=BOUND, atol=BOUND)
    elif actual.dtype.kind != "f":
        assert np.array_equal(actual, expected.astype(actual.dtype))
    else:
        assert_within(actual, expected, abs(expected) + abs(exact_scale(row)), "value")


def exact_scale(row: Row) -> Any:
    """The size of the terms of a sum: contractions and reductions may cancel."""
    if not row.op.startswith(("contract", "masked", "reduce_sum", "mod", "scatter", "update")):
        return 0
    return max([float(np.max(np.abs(x))) for k, x in enumerate(row.inputs) if k in floats(row)]) ** 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [r for r in ROWS if floats(r)], ids=str)
def test_vjp(row: Row, backend: str) -> None:
    if value_graph(row).output_avals[0].dtype != F64:
        return  # it is not a number, and has no cotangent
    inputs = exact_inputs(row)
    ct = numbers(*exact_value(row, inputs).shape, seed=9)
    actual = run(vjp_graph(row), backend, [*row.inputs, ct])
    for k, (got, columns) in enumerate(zip(actual, slopes(row), strict=True)):
        exact = [np.sum(column * ct) for column in columns]
        terms = [np.sum(abs(column * ct)) + mp.mpf(10) ** -30 for column in columns]
        assert_within(got.reshape(-1), exact, terms, f"cotangent {k}")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [r for r in ROWS if floats(r)], ids=str)
def test_jvp(row: Row, backend: str) -> None:
    if value_graph(row).output_avals[0].dtype != F64:
        return  # it is not a number, and has no tangent
    tangents = [numbers(*np.shape(row.inputs[k]), seed=13 + k) for k in floats(row)]
    (actual,) = run(jvp_graph(row), backend, [*row.inputs, *tangents])
    exact = terms = np.zeros(actual.shape, object)
    for columns, tangent in zip(slopes(row), tangents, strict=True):
        for column, t in zip(columns, tangent.reshape(-1), strict=True):
            exact = exact + column * t
            terms = terms + abs(column * t)
    assert_within(actual, exact, terms + mp.mpf(10) ** -30, "tangent")


@pytest.mark.parametrize("forward", [True, False], ids=["forward", "reverse"])
@pytest.mark.parametrize("row", [r for r in ROWS if floats(r)], ids=str)
def test_jacobian(row: Row, forward: bool) -> None:
    graph = value_graph(row)
    (out,) = graph.output_avals
    if out.dtype != F64:
        return  # it is not a number, and has no derivative
    blocks = run(jacobian(graph, floats(row), primals=1, forward=forward), "numpy", list(row.inputs))
    for block, columns, k in zip(blocks, slopes(row), floats(row), strict=True):
        assert block.shape == (*out.shape, *np.shape(row.inputs[k]))
        exact = np.stack([np.asarray(column, object) for column in columns], axis=-1).reshape(block.shape)
        scale = np.max(np.abs(exact)) + mp.mpf(10) ** -30
        assert_within(block, exact, np.full(block.shape, scale, object), f"block {k}")


@pytest.mark.parametrize("row", [r for r in ROWS if floats(r)], ids=str)
def test_sparse_jacobian(row: Row) -> None:
    """The pattern has every element that differs from 0, and what is computed together is taken apart again."""
    graph = value_graph(row)
    if graph.output_avals[0].dtype != F64:
        return
    blocks = run(sparse_jacobian(graph, floats(row), primals=1), "reference", list(row.inputs))
    expected = run(jacobian(graph, floats(row), primals=1), "reference", list(row.inputs))
    for k, full in enumerate(expected):
        data, indices, starts, shape = blocks[4 * k : 4 * k + 4]
        found = np.zeros(shape)
        for column in range(shape[1]):
            found[indices[starts[column] : starts[column + 1]], column] = data[starts[column] : starts[column + 1]]
        np.testing.assert_allclose(found, full.reshape(shape), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("row", [r for r in ROWS if floats(r)], ids=str)
def test_jvp_is_the_transpose_of_the_vjp(row: Row) -> None:
    """The rules of an op for both modes describe one matrix: the jvp made of the vjp alone is the jvp."""
    op = REGISTRY[row.op]
    if value_graph(row).output_avals[0].dtype != F64 or op.vjp is None:
        return  # it has no derivative, or both come of one partial derivative
    builder = Builder()
    operands = [builder.input(f"x{k}", aval_of(np.asarray(x))) for k, x in enumerate(row.inputs)]
    result = builder.apply(op, *operands, **row.params)
    tangents = [builder.input(f"t{k}", operands[k].aval) if k in floats(row) else None for k in range(len(operands))]
    active = tuple(t is not None for t in tangents)
    context = JvpContext(tuple(operands), result, row.params, active, tuple(False for _ in operands), tuple(tangents))
    found = by_transposing(builder, context)
    if row.up_to_signs and found is not None:
        found = signed(found, result)
    graph = builder.freeze([builder.full(0.0, result.aval) if found is None else found])
    inputs = [*row.inputs, *(numbers(*np.shape(row.inputs[k]), seed=13 + k) for k in floats(row))]
    assert len(graph.inputs) == len(inputs)
    (expected,), (actual,) = run(jvp_graph(row), "reference", inputs), run(graph, "reference", inputs)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@functools.cache
def exact_second_order(row_id: str) -> list[tuple[Any, Any]]:
    """The elements of the second derivative and the sizes of their terms, one input after the other."""
    (row,) = (r for r in ROWS if str(r) == row_id)
    inputs = exact_inputs(row)
    ct, weights = seeds(row)
    h = mp.mpf(10) ** -15
    directions = [(k, p, w) for k, ws in zip(floats(row), weights, strict=True) for p, w in enumerate(ws.reshape(-1))]
    ways = [[(i, q, sign * h * w) for i, q, w in directions] for sign in (1, -1)]
    found = []
    for k in floats(row):
        for p in range(np.size(row.inputs[k])):
            corners = [exact_value(row, moved(inputs, (k, p, step), *way)) for step in (h, -h) for way in ways]
            mixed = ct * (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * h * h)
            found.append((np.sum(mixed), mp.mpf(10) ** -20 + np.sum(abs(mixed)) + np.max(np.abs(ct))))
    return found


def seeds(row: Row) -> tuple[np.ndarray, list[np.ndarray]]:
    """A cotangent of the result, and tangents of the inputs."""
    shape = value_graph(row).output_avals[0].shape
    return numbers(*shape, seed=9), [numbers(*np.shape(row.inputs[k]), seed=11 + k) for k in floats(row)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("modes", ["reverse over reverse", "forward over reverse", "reverse over forward"])
@pytest.mark.parametrize("row", [r for r in ROWS if floats(r) and r.smooth], ids=str)
def test_second_order(row: Row, modes: str, backend: str) -> None:
    if value_graph(row).output_avals[0].dtype != F64:
        return  # complex results have their derivatives in test_complex.py
    ct, weights = seeds(row)
    actual = run(second_order_graph(row, weights, modes), backend, [*row.inputs, ct])
    elements = [element for got in actual for element in got.reshape(-1)]
    for element, (exact, terms) in zip(elements, exact_second_order(str(row)), strict=True):
        assert abs(mp.mpf(float(element)) - exact) <= BOUND * terms, f"{element} for {mp.nstr(exact, 20)}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [r for r in ROWS if r.inputs], ids=str)
def test_batch(row: Row, backend: str) -> None:
    """The op on a batch is the op on each of it, whichever operands differ: here the inputs, and the inputs flipped."""
    graph = value_graph(row)
    count = len(row.inputs)
    for flags in itertools.product((False, True), repeat=count):
        if not any(flags):
            continue
        each = [[np.flip(x) if flag else x for x, flag in zip(row.inputs, flags, strict=True)], list(row.inputs)]
        many = [np.stack(pair) if flag else pair[0] for *pair, flag in zip(*each, flags, strict=True)]
        batched = batch(graph, [0 if flag else None for flag in flags], 2, [0])
        (actual,) = run(batched, backend, many)
        # Conjugate values are of one size: rounding decides their order.
        expected = [run(graph, backend if row.up_to_phases else "reference", inputs)[0] for inputs in each]
        np.testing.assert_allclose(actual, np.stack(expected), rtol=1e-12, atol=1e-13, err_msg=str(flags))


SPECIAL = np.array(
    [0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, -1e-300, 1.0, -1.0, 710.0, -745.0, 5e-324]
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("row", [r for r in ROWS if r.special is not None], ids=str)
def test_special_values(row: Row, backend: str) -> None:
    grid = np.meshgrid(*[SPECIAL] * len(row.inputs))
    inputs = [np.ascontiguousarray(x).reshape(-1) for x in grid]
    assert row.special is not None
    with np.errstate(all="ignore"):
        expected = row.special(*inputs)
    builder = Builder()
    operands = [builder.input(f"x{k}", aval(f"f64[{x.size}]")) for k, x in enumerate(inputs)]
    graph = builder.freeze([builder.apply(REGISTRY[row.op], *operands, **row.params)])
    (actual,) = run(graph, backend, inputs)
    np.testing.assert_allclose(actual, expected, rtol=1e-14, atol=0)
    if expected.dtype != F64:
        return
    numbers_only = ~np.isnan(expected)
    if row.op in ("maximum", "minimum"):
        numbers_only &= expected != 0  # NumPy does not say which of 0 and -0 is the larger
    assert np.array_equal(np.signbit(actual[numbers_only]), np.signbit(expected[numbers_only]))
