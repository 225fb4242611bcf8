"""Schur forms, and functions of matrices by them, as programs use them: values, derivatives, cuts, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import gradc
from gradc.errors import MatrixError, ShapeError, TraceError

BACKENDS = ("numpy", "llvm", "reference")
RNG = np.random.default_rng(8)
A, T, U = RNG.normal(size=(3, 4, 4))
C = A + 1j * T
SPD = A @ A.T + np.eye(4)


def sqrtm(a: Any) -> Any:
    return scipy.linalg.sqrtm(a)


def logm(a: Any) -> Any:
    return scipy.linalg.logm(a)


def signm(a: Any) -> Any:
    return scipy.linalg.signm(a)


def cube_root(a: Any) -> Any:
    return scipy.linalg.fractional_matrix_power(a, 1 / 3)


def schur(a: Any) -> Any:
    return scipy.linalg.schur(a, output="complex")


FUNCTIONS = (sqrtm, logm, signm, cube_root)
JORDAN = 2 * np.eye(4) + np.eye(4, k=1)
NEAR = np.eye(4) + 1e-9 * A
REPEATED = np.diag([3.0, 3.0, 1.0, 5.0]) + np.eye(4, k=2)
STACKS = {
    "real": np.stack([A, SPD, JORDAN, NEAR, np.eye(4), REPEATED, 1e-150 * SPD]),
    "complex": np.stack([C, 1j * C, 1e-150 * C, 1e100 * C, C @ SPD]),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", STACKS)
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.filterwarnings("ignore:.*logm")
def test_values(function: Callable[..., Any], kind: str, backend: Any) -> None:
    stack = STACKS[kind]
    found = gradc.jit(function, backend=backend)(stack)
    assert found.dtype == (stack.dtype if function is signm else np.complex128)
    for a, one in zip(stack, found, strict=True):
        expected = function(a)
        # The logarithm of 1 + x has the digits that are left in the sum; an exponential of a large number loses those
        # before the point.
        scale = max(np.abs(expected).max(), 1.0 if function is logm else 0.0)
        size = np.abs(np.log(np.abs(a).max())) if function in (logm, cube_root) else 1
        assert np.abs(one - expected).max() <= 1e-13 * max(1, size) * scale


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("function", "kind"), [(sqrtm, "real"), (sqrtm, "complex"), (signm, "real"), (logm, "real")])
@pytest.mark.filterwarnings("ignore:.*logm")
def test_derivatives(function: Callable[..., Any], kind: str, backend: Any) -> None:
    """Along a tangent they are a block of the function of ``[[a, t], [0, a]]``; cotangents are their transposes."""
    stack = np.stack([a for a in STACKS[kind] if 1e-9 < np.abs(a).max() < 1e9])
    t, ct = np.random.default_rng(9).normal(size=(2, *stack.shape)).astype(stack.dtype)
    found = gradc.jit(lambda a, t: gradc.jvp(function, (a,), (t,))[1], backend=backend)(stack, t)
    for a, along, one in zip(stack, t, found, strict=True):
        whole = function(np.block([[a, along], [np.zeros_like(a), a]]))
        np.testing.assert_allclose(one, whole[:4, 4:], rtol=0, atol=1e-10 * max(1, np.abs(whole).max()))
    gradient = gradc.grad(lambda a: np.sum(ct * function(a)).real, backend=backend)(stack)
    assert np.sum(gradient * t).real == pytest.approx(np.sum(ct * found).real, rel=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [sqrtm, logm])
@pytest.mark.filterwarnings("ignore:.*logm")
def test_second_derivatives(function: Callable[..., Any], backend: Any) -> None:
    """The mixed one is a block of the function of a matrix of four times the size; also where values are repeated."""
    stack = np.stack([SPD, 2 * np.eye(4), JORDAN])
    t, u = np.stack([T] * 3), np.stack([U] * 3)

    def along(a: Any) -> Any:
        return gradc.jvp(function, (a,), (t,))[1]

    found = gradc.jit(lambda a: gradc.jvp(along, (a,), (u,))[1], backend=backend)(stack)
    o = np.zeros((4, 4))
    for a, one in zip(stack, found, strict=True):
        whole = function(np.block([[a, T, U, o], [o, a, o, U], [o, o, a, T], [o, o, o, a]]))
        np.testing.assert_allclose(one, whole[:4, 12:], rtol=0, atol=1e-9 * np.abs(whole).max())
    gradient = gradc.grad(lambda a: np.sum(along(a)).real, backend=backend)(stack)
    assert np.sum(gradient * u).real == pytest.approx(np.sum(found).real, rel=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
class TestSchur:
    @pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "c16"])
    def test_form_and_vectors(self, dtype: str, backend: Any) -> None:
        a = (C if dtype[0] == "c" else A).astype(dtype)
        form, vectors = gradc.jit(schur, backend=backend)(np.stack([a, np.eye(4, dtype=dtype), 0 * a]))
        wide = np.dtype("c8" if a.dtype.itemsize // (1 + (dtype[0] == "c")) == 4 else "c16")
        assert form.dtype == vectors.dtype == wide
        eps = float(np.finfo(dtype).eps)
        turned = np.conj(np.swapaxes(vectors, 1, 2))
        assert not np.tril(form, -1).any()
        np.testing.assert_allclose(vectors @ form @ turned, [a, np.eye(4), 0 * a], atol=40 * eps)
        np.testing.assert_allclose(turned @ vectors, [np.eye(4)] * 3, atol=40 * eps)

    @pytest.mark.parametrize("a", [A, C])
    def test_the_derivative_keeps_the_form_and_the_phases(self, a: np.ndarray, backend: Any) -> None:
        t = T.astype(a.dtype)
        pair, moved = gradc.jit(lambda a, t: gradc.jvp(schur, (a,), (t,)), backend=backend)(a, t)
        (form, z), (of_form, of_z) = pair, moved
        turn = np.conj(z.T) @ of_z
        assert not np.tril(of_form, -1).any()
        np.testing.assert_allclose(turn, -np.conj(turn.T), atol=1e-13)
        np.testing.assert_allclose(np.diagonal(turn), 0, atol=1e-13)
        change = of_z @ form @ np.conj(z.T) + z @ of_form @ np.conj(z.T) + z @ form @ np.conj(of_z.T)
        np.testing.assert_allclose(change, t, atol=1e-12)

    @pytest.mark.parametrize("a", [A, C])
    def test_gradients_are_those_of_what_has_no_phase(self, a: np.ndarray, backend: Any) -> None:
        """First and second ones against differences."""

        def loss(a: Any) -> Any:
            form, vectors = schur(a)
            return np.sum(np.abs(vectors) ** 4 * np.abs(form) ** 2)

        t, u, h = T.astype(a.dtype), U.astype(a.dtype), 1e-4
        value, gradient = (gradc.jit(f, backend=backend) for f in (loss, gradc.grad(loss)))

        def difference(function: Callable[[Any], Any], along: np.ndarray) -> Any:
            steps = ((1, 45.0), (2, -9.0), (3, 1.0))
            return sum(w * (function(a + n * h * along) - function(a - n * h * along)) for n, w in steps) / (60 * h)

        assert np.sum(gradient(a) * t).real == pytest.approx(difference(value, t), rel=1e-7)
        second = gradc.jit(lambda a: gradc.jvp(gradc.grad(loss), (a,), (u,))[1], backend=backend)(a)
        np.testing.assert_allclose(second, difference(gradient, u), rtol=1e-6, atol=1e-6)

    def test_repeated_values_have_no_derivative(self, backend: Any) -> None:
        gradient = gradc.grad(lambda a: np.sum(np.abs(schur(a)[1]) ** 4), backend=backend)(np.eye(2))
        assert not np.isfinite(gradient).all()

    def test_a_matrix_that_is_not_finite(self, backend: Any) -> None:
        with pytest.raises(np.linalg.LinAlgError, match="not finite") as caught:
            gradc.jit(schur, backend=backend)(np.array([[1.0, np.nan], [0.0, 1.0]]))
        assert backend == "numpy" or isinstance(caught.value, MatrixError)


SPECIAL = {
    "Jordan": 2 * np.eye(9) + np.eye(9, k=1),
    "Jordan, transposed": 2 * np.eye(9) + np.eye(9, k=-1),
    "nilpotent": np.eye(16, k=-1),
    "cycle": np.roll(np.eye(8), 1, 0),
    "skew": A - A.T,
    "rank 1": np.outer(A[0], A[1]),
    "triangle": np.triu(A),
    "graded": RNG.normal(size=(9, 9)) * 10.0 ** -np.add.outer(np.arange(9), np.arange(9)),
    "tiny": 1e-300 * A,
    "huge": 1e300 * A,
    "one": np.array([[-3.0]]),
    "none": np.zeros((0, 0)),
    "many": RNG.normal(size=(40, 40)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SPECIAL)
def test_schur_forms_of_special_matrices(name: str, backend: Any) -> None:
    a = SPECIAL[name]
    form, vectors = gradc.jit(schur, backend=backend)(a)
    unit = np.abs(a).max(initial=0.0) or 1.0
    turned = np.conj(vectors.T)
    assert not np.tril(form, -1).any()
    np.testing.assert_allclose(vectors @ (form / unit) @ turned, a / unit, atol=4e-15 * max(len(a), 4))
    np.testing.assert_allclose(turned @ vectors, np.eye(len(a)), atol=1e-15 * max(len(a), 4))


@pytest.mark.parametrize("backend", BACKENDS)
class TestCuts:
    """Negative eigenvalues of real matrices are taken as if they were above the cut, as SciPy takes them."""

    def test_roots(self, backend: Any) -> None:
        for a in (-np.eye(3), np.diag([-4.0, 1.0]), A[:3, :3] @ np.diag([-1.0, -2.0, 3.0]) @ np.linalg.inv(A[:3, :3])):
            found = gradc.jit(sqrtm, backend=backend)(a)
            np.testing.assert_allclose(found @ found, a, atol=1e-12)
            assert np.sum(np.diagonal(found)).imag > 0.5
            np.testing.assert_allclose(gradc.jit(sqrtm, backend=backend)(a), scipy.linalg.sqrtm(a), atol=1e-11)

    def test_logarithms(self, backend: Any) -> None:
        found = gradc.jit(logm, backend=backend)(np.diag([-1.0, 2.0, -0.0 - 3.0]))
        np.testing.assert_allclose(np.diagonal(found), [1j * np.pi, np.log(2), np.log(3) + 1j * np.pi], atol=1e-14)

    def test_singular_matrices(self, backend: Any) -> None:
        """A root may exist; a logarithm does not, and neither do derivatives."""
        a = np.diag([4.0, 0.0, 0.0])
        np.testing.assert_array_equal(gradc.jit(sqrtm, backend=backend)(a), np.diag([2.0, 0.0, 0.0]))
        assert not np.isfinite(gradc.jit(logm, backend=backend)(a)).all()
        assert not np.isfinite(gradc.grad(lambda a: np.sum(sqrtm(a)).real, backend=backend)(a)).all()

    def test_what_roots_do_not_bring_near_1_has_no_logarithm(self, backend: Any) -> None:
        found = gradc.jit(logm, backend=backend)(np.array([[1.0, 1e12], [0.0, 2.0]]))
        assert np.isnan(found).any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_powers(backend: Any) -> None:
    """A known integer is a product; the power is differentiated by the exponent too."""

    def power(a: Any, t: Any) -> Any:
        return scipy.linalg.fractional_matrix_power(a, t)

    product = gradc.jit(lambda a: scipy.linalg.fractional_matrix_power(a, -2.0), backend=backend)(A)
    assert product.dtype == np.float64
    np.testing.assert_allclose(product, np.linalg.matrix_power(A, -2), rtol=1e-11)
    found = gradc.jit(power, backend=backend)(SPD, 0.7)
    np.testing.assert_allclose(found, scipy.linalg.fractional_matrix_power(SPD, 0.7), rtol=1e-12, atol=1e-13)
    slope = gradc.jit(lambda t: gradc.jvp(lambda t: power(SPD, t), (t,), (1.0,))[1], backend=backend)(0.7)
    np.testing.assert_allclose(slope, scipy.linalg.logm(SPD) @ found, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("function", [sqrtm, logm, signm])
def test_stacks_and_half_the_precision(function: Callable[..., Any]) -> None:
    stack = np.stack([SPD, 2 * np.eye(4), A @ A])
    found = gradc.jit(function, backend="reference")(stack)
    np.testing.assert_allclose(gradc.vmap(function)(stack), found, rtol=1e-12, atol=1e-13)
    single = gradc.jit(function)(SPD.astype("f4"))
    assert single.dtype == ("f4" if function is signm else "c8")
    np.testing.assert_allclose(single, found[0], rtol=0, atol=1e-5 * np.abs(found[0]).max())


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_branch_that_is_not_taken(backend: Any) -> None:
    """The derivative of a root at 0 is infinite."""

    def loss(a: Any, x: Any) -> Any:
        return np.sum(np.where(x > 0, x, sqrtm(a).real))

    gradient = gradc.grad(loss, wrt="a", backend=backend)(np.zeros((2, 2)), np.ones((2, 2)))
    np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (
            lambda a: scipy.linalg.schur(a),
            TraceError,
            "output='real' is not supported on traced arrays; use output='complex'",
        ),
        (
            lambda a: scipy.linalg.schur(a, "imaginary"),
            TraceError,
            "output='imaginary' is neither 'real' nor 'complex'",
        ),
        (lambda a: scipy.linalg.schur(a, "complex", sort="lhp"), TraceError, "sort='lhp' is not supported"),
        (lambda a: scipy.linalg.sqrtm(a[:2]), ShapeError, r"sqrtm: f64\[2,4\] is not square"),
        (lambda a: scipy.linalg.logm(a, disp=False), TraceError, "logm: disp=False is not supported"),
    ],
)
def test_refused(function: Callable[..., Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("(", r"\(")):
        gradc.jit(function)(A)


def test_one_matrix_has_one_form() -> None:
    compiled = gradc.jit(gradc.value_and_grad(lambda a: np.sum(sqrtm(a)).real)).compile(np.eye(3))
    assert str(compiled.loops).count("call schur_3_f64") == 1
    assert gradc.jit(schur, backend="numpy").compile(np.eye(3)).numpy_source.count("_schur(") == 2
