"""Eigenvalues of any square matrices as loops: residuals, NumPy's values, conjugate pairs, special matrices."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import gradc
from gradc.errors import MatrixError
from gradc.ir.aval import aval
from gradc.ops.general_spectra import general_eigenvalues, general_eigenvectors
from tests.loops.decompositions import compiled

SIZES = {"f8": (1, 2, 3, 5, 16, 33), "c16": (1, 2, 3, 8, 33), "f4": (3, 16), "c8": (3, 16)}


@functools.cache
def kernel(text: str):
    """The parts of values, vectors and values alone, by a matrix in its parts."""
    both = compiled(aval(text), lambda x: [general_eigenvalues(x), general_eigenvectors(x)])[1]
    return both, compiled(aval(text), lambda x: [general_eigenvalues(x)])[1]


def eigen(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values and the vectors; values alone are the same but for rounding."""
    a = np.ascontiguousarray(a)
    names = {"f8": "f64", "f4": "f32", "c16": "c128", "c8": "c64"}
    stored = np.stack([a.real, a.imag], -1) if a.dtype.kind == "c" else a
    both, alone = kernel(f"{names[a.dtype.str[1:]]}[{len(a)},{len(a)}]")
    w, v = (x[..., 0] + 1j * x[..., 1] for x in both([stored]))
    (values,) = (x[..., 0] + 1j * x[..., 1] for x in alone([stored]))
    assert_values(a, values)
    return w, v


def scale_of(a: np.ndarray) -> float:
    return float(np.linalg.norm(a.astype(complex), 2)) or 1.0


def assert_values(a: np.ndarray, w: np.ndarray) -> None:
    """Each is an eigenvalue of a matrix that differs by a few units times the size, over the norm."""
    bound = 4 * len(a) * float(np.finfo(a.dtype).eps) * scale_of(a)
    wide = a.astype(complex)
    for value in w:
        assert np.linalg.svd(wide - value * np.eye(len(a)), compute_uv=False)[-1] <= bound
    assert abs(w.sum() - np.trace(wide)) <= len(a) * bound


def assert_eigen(a: np.ndarray, w: np.ndarray, v: np.ndarray) -> None:
    eps = float(np.finfo(a.dtype).eps)
    wide = v.astype(complex)
    assert_values(a, w)
    assert np.abs(a.astype(complex) @ wide - wide * w).max() <= 4 * len(a) * eps * scale_of(a)
    assert np.abs(np.linalg.norm(wide, axis=0) - 1).max() <= 4 * eps
    sizes = np.abs(wide)
    assert (
        ((sizes == sizes.max(axis=0) * (1 + 2 * eps)) | (sizes >= sizes.max(axis=0) * (1 - 4 * eps))).any(axis=0).all()
    )
    largest = np.where(v.imag == 0, sizes, 0).max(axis=0)
    assert (largest >= sizes.max(axis=0) * (1 - 4 * eps)).all()
    if a.dtype.kind == "f":
        assert_conjugate(w, v)


def assert_conjugate(w: np.ndarray, v: np.ndarray) -> None:
    """Pairs beside each other, the positive imaginary part first; to the last bit."""
    first = np.flatnonzero(w.imag > 0)
    assert np.count_nonzero(w.imag) == 2 * len(first)
    assert np.array_equal(w[first + 1], np.conj(w[first]))
    assert np.array_equal(v[:, first + 1], np.conj(v[:, first]))
    assert not v[:, w.imag == 0].imag.any()


def drawn(size: int, dtype: str) -> np.ndarray:
    rng = np.random.default_rng(size)
    parts = rng.normal(size=(2, size, size))
    return (parts[0] + 1j * parts[1] if dtype[0] == "c" else parts[0]).astype(dtype)


@pytest.mark.parametrize(("dtype", "size"), [(dtype, size) for dtype in SIZES for size in SIZES[dtype]])
def test_eigen(dtype: str, size: int) -> None:
    a = drawn(size, dtype)
    w, v = eigen(a)
    assert_eigen(a, w, v)
    expected = np.linalg.eigvals(a.astype(complex))
    distance = np.abs(w[:, None] - expected).min(axis=1)
    assert distance.max() <= 100 * size * float(np.finfo(dtype).eps) * scale_of(a)


N = 9
RNG = np.random.default_rng(0)
SPREAD = 10.0 ** RNG.uniform(-8, 8, N)
BLOCKS = np.kron(np.eye(4), np.array([[1.0, 2.0], [-2.0, 1.0]]))
SIMILAR = RNG.normal(size=(8, 8))
SPECIAL = {
    "zeros": np.zeros((N, N)),
    "identity": np.eye(N),
    "ones": np.ones((16, 16)),
    "Jordan": 2 * np.eye(N) + np.eye(N, k=1),
    "Jordan, transposed": 2 * np.eye(N) + np.eye(N, k=-1),
    "nilpotent": np.eye(33, k=-1),
    "cycle": np.roll(np.eye(8), 1, 0),
    "two cycles": np.roll(np.eye(8), 2, 0),
    "upper triangle": np.triu(RNG.normal(size=(N, N))),
    "lower triangle": np.tril(RNG.normal(size=(N, N))),
    "symmetric": np.add(*[x + x.T for x in RNG.normal(size=(2, N, N))]),
    "skew": (lambda x: x - x.T)(RNG.normal(size=(N, N))),
    "orthogonal": np.linalg.qr(RNG.normal(size=(N, N)))[0],
    "rank 1": np.outer(RNG.normal(size=N), RNG.normal(size=N)),
    "few elements": RNG.normal(size=(16, 16)) * (RNG.uniform(size=(16, 16)) < 0.12),
    "badly scaled": RNG.normal(size=(N, N)) * SPREAD[:, None] / SPREAD,
    "graded": RNG.normal(size=(N, N)) * 10.0 ** -np.add.outer(np.arange(N), np.arange(N)),
    "Grcar": np.triu(np.tril(np.ones((33, 33)), 3)) - 2 * np.eye(33, k=-1),
    "repeated pairs": BLOCKS,
    "repeated pairs, turned": SIMILAR @ BLOCKS @ np.linalg.inv(SIMILAR),
    "two equal real values": np.array([[1.0, 1e-30], [0.0, 1.0]]),
    "nearly a pair": np.array([[1.0, 1.0], [1e-18, 1.0]]),
}


@pytest.mark.parametrize("dtype", ["f8", "c16"])
@pytest.mark.parametrize("name", SPECIAL)
def test_special_matrices(name: str, dtype: str) -> None:
    a = SPECIAL[name].astype(dtype)
    if dtype == "c16":
        a = a * np.exp(0.7j)
    assert_eigen(a, *eigen(a))


def test_what_permutations_isolate_is_exact() -> None:
    """Lower triangles, and more: rounding would move the values of this one by the ninth root of a unit."""
    order = RNG.permutation(N)
    a = (np.diag(np.arange(N) // 3) + np.eye(N, k=-1))[np.ix_(order, order)]
    w, _ = eigen(a)
    np.testing.assert_array_equal(np.sort(w.real), np.arange(N) // 3)
    assert not w.imag.any()


@pytest.mark.parametrize("dtype", ["f8", "c16"])
@pytest.mark.parametrize("scale", [1e-300, 1e-200, 1e200, 1e300])
def test_scales_that_leave_the_range(scale: float, dtype: str) -> None:
    a = drawn(5, dtype)
    w, v = gradc.jit(lambda a: tuple(np.linalg.eig(a)))(scale * a)
    assert_eigen(a, w / scale, v)


@pytest.mark.parametrize("dtype", ["f8", "c16"])
def test_many_small_matrices(dtype: str) -> None:
    """A stack of those that have few distinct elements: many repeated and defective eigenvalues."""
    a = np.random.default_rng(4).integers(-1, 2, (2000, 4, 4)).astype(dtype)
    w, v = gradc.jit(lambda a: tuple(np.linalg.eig(a)))(a)
    scales = np.linalg.norm(a, 2, axis=(1, 2))
    error = np.abs(a @ v - v * w[:, None, :]).max(axis=(1, 2))
    assert (error <= 16 * float(np.finfo(float).eps) * scales).all()
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, rtol=1e-15)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, complex(0, np.nan)])
def test_a_matrix_that_is_not_finite(number: complex) -> None:
    a = np.stack([np.eye(3), np.eye(3)]).astype("c16" if isinstance(number, complex) else "f8")
    a[1, 0, 2] = number
    for backend in ("numpy", "llvm", "reference"):
        with pytest.raises(np.linalg.LinAlgError) as caught:
            gradc.jit(np.linalg.eigvals, backend=backend)(a)
        if backend != "numpy":
            assert isinstance(caught.value, MatrixError)
            assert "eig: the matrix is not finite, or the iteration for the eigenvalues did not converge" in str(
                caught.value
            )


def test_one_matrix_is_reduced_once() -> None:
    compiled = gradc.jit(lambda a: tuple(np.linalg.eig(a))).compile(np.eye(3))
    assert str(compiled.loops).count("call spectrum_3_f64") == 1
    assert "values_3_f64" not in str(compiled.loops)


def test_a_stack_of_a_size_that_is_not_known() -> None:
    compiled = gradc.jit(np.linalg.eigvals).compile(gradc.aval("f64[n,3,3]"))
    a = np.random.default_rng(3).normal(size=(5, 3, 3))
    np.testing.assert_allclose(np.sort(compiled(a)), np.sort(np.linalg.eigvals(a).astype(complex)), rtol=1e-12)
