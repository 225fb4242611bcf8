"""Matrices of complex numbers: what NumPy makes of them at the edges, on each backend, and how exact it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import gradc
from gradc.errors import CompileError, DtypeError, MatrixError, TraceError
from gradc.ir.graph import Builder
from gradc.ops.determinants import cofactors

BACKENDS = ("numpy", "llvm", "reference")
L = np.linalg


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def adjoint(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def by_eigenvectors(a: Any) -> Any:
    """The values, the matrix made of them again, and the products of vectors."""
    w, v = L.eigh(a)
    return w, (v * w[..., None, :]) @ adjoint(v), adjoint(v) @ v


def by_singular_vectors(a: Any) -> Any:
    u, s, vh = L.svd(a, full_matrices=False)
    return s, (u * s[..., None, :]) @ vh, adjoint(u) @ u, vh @ adjoint(vh)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "inv": L.inv,
    "solve": lambda a: L.solve(a, a[..., :1]),
    "det": L.det,
    "slogdet": lambda a: tuple(L.slogdet(a)),
    "cholesky": lambda a: L.cholesky(a @ adjoint(a) + np.eye(a.shape[-2])),
    "eigh": by_eigenvectors,
    "svd": by_singular_vectors,
    "qr": lambda a: tuple(L.qr(a)),
    "complete": lambda a: L.qr(a, "complete")[1],
    "pinv": L.pinv,
}
ANY_SHAPE = ("svd", "qr", "complete", "pinv")
UNITARY = L.qr(numbers(4, 4))[0]
SQUARE = {
    "one": numbers(1, 1),
    "none": np.zeros((0, 0), complex),
    "no matrix": np.zeros((0, 3, 3), complex),
    "stack": numbers(2, 3, 4, 4),
    "identity": np.eye(4, dtype=complex),
    "repeated values": UNITARY @ np.diag([1.0, 1.0, 2.0, 2.0]) @ adjoint(UNITARY),
    "single precision": numbers(6, 6).astype(np.complex64),
    "large": numbers(40, 40),
    "huge": numbers(3, 3) * 1e150,
    "tiny": numbers(3, 3) * 1e-150,
}
OTHER = {
    "tall": numbers(5, 3),
    "wide": numbers(3, 5),
    "column": numbers(4, 1),
    "nothing in rows": np.zeros((0, 3), complex),
    "nothing in columns": np.zeros((3, 0), complex),
    "zeros": np.zeros((4, 3), complex),
    "rank 1": np.outer(numbers(4), numbers(3)),
}
NOT_UNIQUE = (("qr", "zeros"), ("qr", "rank 1"), ("complete", "rank 1"), ("pinv", "rank 1"))
"""Rounding errors decide."""

CASES = [
    *[(f, m) for f in FUNCTIONS for m in SQUARE],
    *[(f, m) for f in ANY_SHAPE for m in OTHER if (f, m) not in NOT_UNIQUE],
]


def flat(result: Any) -> list[np.ndarray]:
    return [np.asarray(x) for x in result] if isinstance(result, tuple) else [np.asarray(result)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "matrix"), CASES, ids=lambda x: str(x))
def test_values_are_those_of_numpy(name: str, matrix: str, backend: Any) -> None:
    """Within 64 units in the last place of the largest, times the condition of the matrix where it is solved with."""
    a, function = {**SQUARE, **OTHER}[matrix], FUNCTIONS[name]
    if name == "cholesky" and matrix == "huge":
        a = a * 1e-100
    with np.errstate(all="ignore"):
        actual, expected = flat(gradc.jit(function, backend=backend)(a)), flat(function(a))
    condition = L.cond(a).max(initial=1.0) if name in ("inv", "solve", "pinv", "det") and L.matrix_rank(a).any() else 1
    bound = 64 * float(np.finfo(a.dtype).eps) * min(float(condition), 1e3)
    for got, wanted in zip(actual, expected, strict=True):
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=0, atol=bound * (np.abs(wanted).max(initial=0.0) or 1.0))


@pytest.mark.parametrize("name", ["qr", "svd", "eigh", "slogdet"])
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_subnormal_matrices_are_those_of_larger_ones(name: str, dtype: Any) -> None:
    """Whose elements are whole multiples of the smallest number; LAPACK loses digits of them, or all."""
    kind = np.finfo(dtype).dtype.type
    smallest = kind(np.finfo(dtype).smallest_subnormal)
    whole = np.round(numbers(3, 3) * 2.0**20).astype(dtype)
    small = (whole.real * smallest + 1j * (whole.imag * smallest)).astype(dtype)
    function = FUNCTIONS[name]
    found, expected = flat(gradc.jit(function)(small)), flat(function(whole.astype(complex)))
    if name == "slogdet":
        expected[1] = expected[1] + 3 * float(np.log2(float(smallest))) * np.log(2.0)
    for got, wanted in zip(found, expected, strict=True):
        is_small = name != "slogdet" and np.abs(got).max() < 0.5
        got = got.real / smallest + 1j * (got.imag / smallest) if is_small else got
        np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4 * max(float(np.abs(wanted).max()), 1e-2))


SINGULAR = np.array([[1, 2], [2, 4]], complex)


@pytest.mark.parametrize("backend", ["llvm", "reference"])
class TestSingular:
    """A matrix that has no inverse."""

    def test_determinants(self, backend: Any) -> None:
        assert gradc.jit(L.det, backend=backend)(SINGULAR) == 0
        sign, logarithm = gradc.jit(L.slogdet, backend=backend)(np.zeros((3, 3), complex))
        assert (sign, logarithm) == (0, -np.inf)

    def test_errors(self, backend: Any) -> None:
        with pytest.raises(MatrixError, match="inverse: the matrix is singular"):
            gradc.jit(L.inv, backend=backend)(SINGULAR)
        with pytest.raises(MatrixError, match="solve: the matrix is singular"):
            gradc.jit(L.solve, backend=backend)(SINGULAR, SINGULAR)
        with pytest.raises(MatrixError, match="cholesky: the matrix is not positive definite"):
            gradc.jit(L.cholesky, backend=backend)(-SINGULAR)
        if backend == "reference":
            return
        with pytest.raises(MatrixError, match="triangular_solve: the matrix is singular"):
            gradc.jit(lambda a: scipy.linalg.solve_triangular(np.tril(a) * 0 + 1j * np.triu(a, 1), a), backend=backend)(
                SINGULAR
            )

    @pytest.mark.parametrize("size", [2, 3])
    def test_the_gradient_of_a_small_determinant_is_its_cofactors(self, size: int, backend: Any) -> None:
        a = np.outer(numbers(size), numbers(size, seed=1))
        a[0] = a[1]
        cofactors = np.array(
            [
                [(-1) ** (i + j) * L.det(np.delete(np.delete(a, i, 0), j, 1)) for j in range(size)]
                for i in range(size)
            ]
        )  # fmt: skip
        gradient = gradc.grad(lambda a: L.det(a).real, backend=backend)(a)
        np.testing.assert_allclose(gradient, cofactors, atol=1e-14)

    def test_that_of_a_larger_one_is_nan(self, backend: Any) -> None:
        gradient = gradc.grad(lambda a: L.det(a).real, backend=backend)(np.zeros((4, 4), complex))
        assert np.isnan(gradient).all()


@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "pinv", "eigh", "svd"])
@pytest.mark.parametrize("bad", [np.nan, 1j * np.nan, np.inf])
def test_what_is_not_finite_gives_nan_or_an_error(name: str, bad: complex) -> None:
    a = numbers(3, 3)
    a[1, 1] = bad
    try:
        results = flat(gradc.jit(FUNCTIONS[name], backend="llvm")(a))
    except MatrixError:
        assert name in ("pinv", "eigh", "svd")
        return
    assert all(not np.isfinite(x).any() for x in results)


def test_squares_do_not_leave_the_range() -> None:
    a = numbers(3, 3)
    for scale in (1e200, 1e-200):
        r = gradc.jit(lambda a: L.qr(a)[1], backend="llvm")(a * scale)
        np.testing.assert_allclose(r / scale, L.qr(a)[1], rtol=0, atol=1e-14)
        np.testing.assert_allclose(gradc.jit(L.svdvals, backend="llvm")(a * scale) / scale, L.svdvals(a), rtol=1e-14)
        logarithm = gradc.jit(lambda a: L.slogdet(a)[1], backend="llvm")(a * scale)
        np.testing.assert_allclose(logarithm, L.slogdet(a)[1] + 3 * np.log(scale), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["c8", "c16"])
@pytest.mark.parametrize("shape", [(2, 2), (17, 17), (33, 20), (40, 40)])
def test_decompositions_are_backward_stable(shape: tuple[int, int], dtype: str) -> None:
    """Of matrices in several panels, as of real ones: within 4 units times the larger size, over the norm."""
    a = numbers(*shape).astype(dtype)
    h = (a @ adjoint(a)).astype(dtype)
    exact, bound = a.astype("c16"), 4 * max(shape) * float(np.finfo(dtype).eps)
    norm = L.norm(exact, 2)

    def orthonormal(x: np.ndarray) -> bool:
        return bool(np.abs(adjoint(x) @ x - np.eye(x.shape[1])).max() <= bound)

    (q, r), (u, s, vh), values = gradc.jit(lambda a: (L.qr(a), L.svd(a, False), L.svdvals(a.T)))(a)
    q, u, vh = (x.astype("c16") for x in (q, u, vh))
    assert all(map(orthonormal, (q, u, adjoint(vh))))
    assert not np.diag(r).imag.any()
    for found in (q @ r, (u * s) @ vh):
        assert np.abs(found - exact).max() <= bound * norm
    for found in (s, values):
        assert np.abs(found - L.svdvals(exact)).max() <= bound * norm
    w, v = gradc.jit(L.eigh)(h)
    v = v.astype("c16")
    assert orthonormal(v)
    assert np.abs(h @ v - v * w).max() <= bound * norm**2
    assert np.abs(gradc.jit(L.eigvalsh)(h) - w).max() <= bound * norm**2


def test_decompositions_of_known_matrices() -> None:
    """They are found as the function is compiled."""
    a = numbers(3, 3)
    kernel = gradc.jit(lambda x: x * np.abs(L.qr(a)[0]) + x * L.eigvalsh(a)).compile(2.0)
    np.testing.assert_allclose(kernel(2.0), 2 * np.abs(L.qr(a)[0]) + 2 * L.eigvalsh(a), rtol=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_derivative_of_repeated_eigenvalues(backend: Any) -> None:
    """Any function of all of them alike has one."""
    a = SQUARE["repeated values"]
    gradient = gradc.grad(lambda a: np.sum(L.eigvalsh(a) ** 3), backend=backend)(a)
    full = 3 * np.swapaxes(a @ a, 0, 1)
    expected = np.tril(full, -1) * 2 + np.diag(np.diag(full).real)
    np.testing.assert_allclose(gradient, expected, atol=1e-13)


def test_gradients_follow_the_convention() -> None:
    """``dL/dx - i dL/dy``: descent goes along the conjugate."""
    a, b = numbers(4, 4), numbers(4)

    def loss(a: Any) -> Any:
        return np.sum(np.abs(L.solve(a, b)) ** 2)

    value, gradient = gradc.value_and_grad(loss)(a)
    x = L.solve(a, b)
    np.testing.assert_allclose(gradient, -2 * np.outer(L.solve(a.T, np.conj(x)), x), rtol=1e-12)
    assert loss(a - 1e-6 * np.conj(gradient)) < value


def test_mapping() -> None:
    stack = numbers(3, 4, 4)
    for name in ("inv", "det", "eigh", "svd"):
        actual = flat(gradc.vmap(FUNCTIONS[name])(stack))
        for got, wanted in zip(actual, flat(FUNCTIONS[name](stack)), strict=True):
            np.testing.assert_allclose(got, wanted, atol=1e-12)


class TestRefused:
    def test_decompositions_of_a_stack_of_unknown_size_in_loops(self) -> None:
        with pytest.raises(CompileError, match=r"eigenvalues: a stack of c128\[n,3,3\] has a symbolic size"):
            gradc.jit(L.eigvalsh, backend="llvm").compile(gradc.aval("c128[n,3,3]"))(numbers(2, 3, 3))

    def test_transposed_systems_that_scipy_refuses_too(self) -> None:
        with pytest.raises(TraceError, match=r"transposed=True is not supported for complex numbers, c128\[3,3\]"):
            gradc.jit(lambda a, b: scipy.linalg.solve(a, b, transposed=True))(numbers(3, 3), numbers(3))

    def test_other_ops(self) -> None:
        with pytest.raises(DtypeError, match=r"cofactors: c128\[3,3\] is not of f32 or f64"):
            cofactors(Builder().input("a", gradc.aval("c128[3,3]")))


def test_systems_of_a_stack_of_unknown_size() -> None:
    kernel = gradc.jit(L.inv, backend="llvm").compile(gradc.aval("c128[n,3,3]"))
    a = numbers(5, 3, 3)
    np.testing.assert_allclose(kernel(a), L.inv(a), rtol=1e-12)
