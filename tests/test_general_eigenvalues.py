"""Eigenvalues of matrices that are not symmetric, and zeros of polynomials, as programs use them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import gradc
from gradc.errors import DtypeError, MatrixError, ShapeError, TraceError

BACKENDS = ("numpy", "llvm", "reference")
RNG = np.random.default_rng(6)
A, T = RNG.normal(size=(2, 4, 4))
P = np.array([2.0, -3.0, 0.5, 1.0, -4.0])


def sorted_pairs(x: np.ndarray) -> np.ndarray:
    return x[np.lexsort((x.imag, np.round(x.real, 9)))]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("dtype", "expected"), [("f4", "c8"), ("f8", "c16"), ("i8", "c16"), ("?", "c16"), ("c8", "c8"), ("c16", "c16")]
)
def test_results_are_always_complex(dtype: str, expected: str, backend: Any) -> None:
    """Of real matrices with real eigenvalues too."""
    a = np.array([[2, 1], [0, 1]]).astype(dtype)
    w, v = gradc.jit(lambda a: tuple(np.linalg.eig(a)), backend=backend)(a)
    assert (w.dtype, v.dtype) == (np.dtype(expected),) * 2
    assert gradc.jit(np.linalg.eigvals, backend=backend)(a).dtype == expected
    assert gradc.jit(np.roots, backend=backend)(np.array([1, 1, 1]).astype(dtype)).dtype == expected


@pytest.mark.parametrize("backend", BACKENDS)
class TestPolynomials:
    def test_zeros(self, backend: Any) -> None:
        found = gradc.jit(np.roots, backend=backend)(P)
        np.testing.assert_allclose(sorted_pairs(found), sorted_pairs(np.roots(P)), rtol=1e-13)

    def test_last_coefficients_that_are_0_give_zeros_that_are_exactly_0(self, backend: Any) -> None:
        found = gradc.jit(np.roots, backend=backend)(np.array([1.0, -3.0, 2.0, 0.0, 0.0, 0.0]))
        assert np.count_nonzero(found) == 2
        np.testing.assert_allclose(np.sort(found.real), [0, 0, 0, 1, 2], atol=1e-15)

    @pytest.mark.parametrize("p", [[0.0, 1.0, 2.0], [0.0, 0.0, 1.0], [0.0, 0.0], [0.0, 0.0, 0.0]])
    def test_a_first_coefficient_that_is_0_is_an_error(self, p: list[float], backend: Any) -> None:
        with pytest.raises(np.linalg.LinAlgError):
            gradc.jit(np.roots, backend=backend)(np.array(p))

    def test_few_coefficients(self, backend: Any) -> None:
        assert gradc.jit(np.roots, backend=backend)(np.array([3.0])).shape == (0,)
        np.testing.assert_array_equal(gradc.jit(np.roots, backend=backend)(np.array([2.0, 3.0])), [-1.5 + 0j])

    def test_derivatives_are_those_of_an_implicit_function(self, backend: Any) -> None:
        """A coefficient of ``x**k`` moves a zero by ``-x**k / p'(x)``."""
        t = RNG.normal(size=5)
        x, moved = gradc.jit(lambda p, t: gradc.jvp(np.roots, (p,), (t,)), backend=backend)(P, t)
        np.testing.assert_allclose(moved, -np.polyval(t, x) / np.polyval(np.polyder(P), x), rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
class TestDerivatives:
    def test_functions_of_all_eigenvalues(self, backend: Any) -> None:
        """``trace(f(A))`` has the gradient ``f'(A).T``, also where values are repeated."""
        for a in (A, np.diag([2.0, 2.0, 1.0]), np.array([[1.0, 2.0], [-2.0, 1.0]])):
            gradient = gradc.grad(lambda a: np.sum(np.linalg.eigvals(a) ** 3).real, backend=backend)(a)
            np.testing.assert_allclose(gradient, 3 * (a @ a).T, rtol=1e-11, atol=1e-12)

    def test_a_matrix_function(self, backend: Any) -> None:
        """A square root by eigenvectors: its derivative solves Sylvester's equation."""

        def root(a: Any) -> Any:
            w, v = np.linalg.eig(a)
            return ((v * np.sqrt(w)) @ np.linalg.inv(v)).real

        a = A @ A + 3 * np.eye(4)
        found, change = gradc.jit(lambda a, t: gradc.jvp(root, (a,), (t,)), backend=backend)(a, T)
        np.testing.assert_allclose(found @ found, a, rtol=0, atol=1e-12)
        np.testing.assert_allclose(change @ found + found @ change, T, rtol=0, atol=1e-12)
        gradient = gradc.grad(lambda a: np.sum(T * root(a)), backend=backend)(a)
        expected = scipy.linalg.solve_sylvester(found.T, found.T, T)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-12)

    def test_vectors_keep_their_length_and_phase(self, backend: Any) -> None:
        v, change = gradc.jit(lambda a, t: gradc.jvp(lambda a: np.linalg.eig(a)[1], (a,), (t,)), backend=backend)(A, T)
        np.testing.assert_allclose(np.sum(np.conj(v) * change, axis=0).real, 0, atol=1e-13)
        largest = np.argmax(np.abs(v), axis=0)
        assert not v[largest, range(4)].imag.any()
        np.testing.assert_allclose(change[largest, range(4)].imag, 0, atol=1e-13)

    def test_repeated_values_have_no_derivative_of_vectors(self, backend: Any) -> None:
        gradient = gradc.grad(lambda a: np.sum(np.abs(np.linalg.eig(a)[1]) ** 4), backend=backend)(np.eye(2))
        assert not np.isfinite(gradient).all()

    @pytest.mark.parametrize("turned", [np.eye(3), A[:3, :3]])
    def test_a_defective_matrix_has_none(self, turned: np.ndarray, backend: Any) -> None:
        """Not even of a symmetric function, for which the formula gives a finite number that is wrong.

        Where rounding splits the values, the matrix is not defective, and the gradient is right to half its digits.
        """
        a = turned @ np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]) @ np.linalg.inv(turned)
        gradient = gradc.grad(lambda a: np.sum(np.linalg.eigvals(a) ** 2).real, backend=backend)(a)
        assert np.isnan(gradient).all() or np.abs(gradient - 2 * a.T).max() < 1e-6
        assert np.isnan(gradient).all() or not np.array_equal(turned, np.eye(3))

    def test_a_matrix_that_is_badly_scaled_has_one(self, backend: Any) -> None:
        """Its vectors are nearly parallel, but its values are apart."""
        a = np.array([[1.0, 1e20], [1e-20, 2.0]])
        gradient = gradc.grad(lambda a: np.linalg.eigvals(a)[0].real, backend=backend)(a)
        w = np.linalg.eigvals(a)[0]
        slope = np.array([[w - 2, 1e-20], [1e20, w - 1]]) / (2 * w - 3)
        np.testing.assert_allclose(gradient, slope, rtol=1e-12)

    def test_a_branch_that_is_not_taken(self, backend: Any) -> None:
        def loss(a: Any, x: Any) -> Any:
            return np.sum(np.where(x > 0, x, np.abs(np.linalg.eig(a)[1]) ** 4))

        gradient = gradc.grad(loss, backend=backend)(np.eye(2), np.ones((2, 2)))
        np.testing.assert_array_equal(gradient, np.zeros((2, 2)))


def test_mapping() -> None:
    stack = RNG.normal(size=(3, 4, 4))
    np.testing.assert_allclose(gradc.vmap(np.linalg.eigvals)(stack), gradc.jit(np.linalg.eigvals)(stack), rtol=1e-14)


def test_saved_modules_give_complex_numbers() -> None:
    source = gradc.jit(lambda a: np.linalg.eigvals(a), backend="numpy").compile(A.astype("f4")).numpy_source
    assert "np.linalg.eigvals(a).astype(np.complex64)" in source


class TestRefused:
    def test_what_scipy_offers_beside(self) -> None:
        for options, words in (
            ({"b": np.eye(4)}, "a second matrix"),
            ({"left": True}, "left=True"),
            ({"homogeneous_eigvals": True}, "homogeneous_eigvals=True"),
        ):
            with pytest.raises(TraceError, match=f"scipy.linalg.eig: {words} is not supported on traced arrays"):
                gradc.jit(lambda a, options=options: scipy.linalg.eig(a, **options)[0])(A)

    def test_shapes_and_dtypes(self) -> None:
        with pytest.raises(ShapeError, match=r"np.linalg.eigvals: f64\[2,3\] is not square"):
            gradc.jit(np.linalg.eigvals)(np.ones((2, 3)))
        with pytest.raises(ShapeError, match=r"np.linalg.eig: f64\[3\] is no matrix"):
            gradc.jit(lambda a: np.linalg.eig(a)[0])(np.ones(3))
        with pytest.raises(DtypeError, match=r"f16\[2,2\]"):
            gradc.jit(np.linalg.eigvals)(np.ones((2, 2), np.float16))

    def test_a_matrix_of_a_size_that_is_not_known(self) -> None:
        with pytest.raises((ShapeError, TraceError), match=r"np\.linalg\.eigvals"):
            gradc.jit(np.linalg.eigvals).compile(gradc.aval("f64[n,n]"))


def test_matrix_errors_name_the_line() -> None:
    with pytest.raises(MatrixError, match=r"np\.linalg\.eigvals"):
        gradc.jit(lambda a: np.linalg.eigvals(a))(np.full((2, 2), np.nan))
