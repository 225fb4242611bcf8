"""numpy.fft in traced functions: NumPy's values and dtypes on every backend, and derivatives by transposition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import CompileError, DtypeError, ShapeError, TraceError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder
from gradc.ops.fourier import fft
from gradc.passes.complex_fourier import root_powers
from gradc.passes.split_complex import split_complex
from gradc.request import BACKENDS


def reals(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def numbers(*shape: int, seed: int = 0) -> Any:
    return reals(*shape, seed=seed) + 1j * reals(*shape, seed=seed + 100)


F = np.fft
CASES: dict[str, tuple[Callable[..., Any], Any]] = {
    "fft": (F.fft, numbers(3, 8)),
    "fft of real numbers": (F.fft, reals(3, 8)),
    "fft of integers": (F.fft, np.arange(6)),
    "fft cut": (lambda x: F.fft(x, 5), numbers(3, 8)),
    "fft padded": (lambda x: F.fft(x, n=11), numbers(3, 8)),
    "fft first axis": (lambda x: F.fft(x, axis=0), numbers(5, 2)),
    "fft middle axis": (lambda x: F.fft(x, axis=1, norm="ortho"), numbers(2, 6, 3)),
    "fft forward": (lambda x: F.fft(x, norm="forward"), numbers(7)),
    "ifft": (F.ifft, numbers(2, 9)),
    "ifft ortho": (lambda x: F.ifft(x, norm="ortho"), numbers(4)),
    "ifft forward": (lambda x: F.ifft(x, norm="forward"), numbers(1)),
    "rfft even": (F.rfft, reals(2, 8)),
    "rfft odd": (lambda x: F.rfft(x, 7, axis=0), reals(8, 2)),
    "irfft even": (F.irfft, numbers(2, 5)),
    "irfft odd": (lambda x: F.irfft(x, 9), numbers(2, 5)),
    "irfft padded": (lambda x: F.irfft(x, 14, norm="ortho"), numbers(2, 5)),
    "irfft cut": (lambda x: F.irfft(x, 6, axis=0), numbers(6, 2)),
    "irfft one": (lambda x: F.irfft(x, 1), numbers(1)),
    "hfft": (F.hfft, numbers(2, 5)),
    "hfft odd": (lambda x: F.hfft(x, 7, norm="forward"), numbers(2, 5)),
    "ihfft": (F.ihfft, reals(2, 7)),
    "ihfft ortho": (lambda x: F.ihfft(x, norm="ortho"), reals(2, 6)),
    "fft2": (F.fft2, numbers(2, 4, 6)),
    "ifft2": (lambda x: F.ifft2(x, s=(3, 8)), numbers(4, 6)),
    "fftn": (F.fftn, numbers(2, 3, 4)),
    "fftn axes": (lambda x: F.fftn(x, s=(5, -1), axes=(2, 0)), numbers(2, 3, 4)),
    "ifftn": (lambda x: F.ifftn(x, axes=(0, 1), norm="forward"), numbers(3, 4)),
    "rfft2": (F.rfft2, reals(4, 5)),
    "irfft2": (F.irfft2, numbers(4, 5)),
    "rfftn": (lambda x: F.rfftn(x, s=(4, 6), axes=(0, 2)), reals(3, 2, 7)),
    "irfftn": (lambda x: F.irfftn(x, s=(4, 7), axes=(0, 1)), numbers(4, 4, 2)),
    "fftshift": (F.fftshift, numbers(4, 5)),
    "ifftshift": (lambda x: F.ifftshift(x, axes=1), numbers(4, 5)),
    "filter": (lambda x: F.irfft(F.rfft(x) * np.exp(-F.rfftfreq(10, 0.5) ** 2).astype(x.dtype), 10), reals(3, 10)),
    "frequencies": (lambda x: x * F.fftfreq(6, d=0.1), reals(6)),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("single", [False, True], ids=["double", "single"])
@pytest.mark.parametrize("case", CASES)
def test_values_and_dtypes_are_those_of_numpy(case: str, single: bool, backend: Any) -> None:
    function, x = CASES[case]
    if single:
        x = x.astype({"f": np.float32, "c": np.complex64, "i": np.int32}[x.dtype.kind])
    expected = function(x)
    actual = gradc.jit(function, backend=backend)(x)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    bound = 8 * np.finfo(expected.dtype).eps * np.max(np.abs(expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=bound)


LENGTHS = [*range(1, 20), 31, 60, 64, 97, 100, 128, 243, 257, 263, 521, 1000, 1024, 1042, 2048, 4099]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("n", LENGTHS)
def test_loops_keep_the_bound_of_the_docs(n: int, dtype: Any) -> None:
    """Lengths by a matrix, in steps and by chirps: 8 eps of the largest term (docs/complex.md)."""
    x = numbers(2, n).astype(dtype)
    for transform in (np.fft.fft, lambda z: np.fft.ifft(z, norm="forward")):
        exact = transform(x.astype(np.clongdouble))
        assert np.max(np.abs(gradc.jit(transform)(x) - exact)) <= 8 * np.finfo(dtype).eps * np.max(np.abs(exact))


def test_roots_of_unity_are_symmetric_to_the_last_bit() -> None:
    half = np.sqrt(0.5)
    expected = [1, half + 1j * half, 1j, -half + 1j * half, -1, -half - 1j * half, -1j, half - 1j * half]
    np.testing.assert_array_equal(root_powers(np.arange(8), 8, 1), expected)
    for n in (12, 15, 100):
        roots = root_powers(np.arange(n), n, -1)
        np.testing.assert_array_equal(roots[1:], np.conj(roots[1:])[::-1])
        np.testing.assert_allclose(roots, np.exp(-2j * np.pi * np.arange(n) / n), atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [c for c in CASES if c not in ("fft of integers",)])
def test_derivatives(case: str, backend: Any) -> None:
    """All are linear: the tangent is the function of the tangent, and the cotangent pairs with it as ``Re(ct * t)``."""
    function, x = CASES[case]
    draw = numbers if x.dtype.kind == "c" else reals
    tangent = draw(*x.shape, seed=5)
    out, pushed = gradc.jvp(function, (x,), (tangent,), backend=backend)
    np.testing.assert_allclose(pushed, function(tangent), rtol=1e-12, atol=1e-13)
    ct = (numbers if out.dtype.kind == "c" else reals)(*out.shape, seed=7)
    _, pullback = gradc.vjp(function, x, backend=backend)
    (pulled,) = pullback(ct)
    assert pulled.dtype == x.dtype
    np.testing.assert_allclose(np.sum((pulled * tangent).real), np.sum((ct * pushed).real), rtol=1e-11, atol=1e-12)


def test_the_cotangent_of_irfft_leaves_out_imaginary_parts_that_count_for_nothing() -> None:
    gradient = gradc.grad(lambda z: np.sum(np.fft.irfft(z) * np.arange(6.0)))(numbers(4))
    assert gradient[0].imag == 0
    np.testing.assert_allclose(gradient[3].imag, 0, atol=1e-15)
    assert np.all(np.abs(gradient[1:3].imag) > 0.1)


def test_a_power_spectrum_has_the_gradient_of_parseval() -> None:
    """The sum of |fft(x)|**2 is n times that of x**2."""
    x = reals(2, 12)
    np.testing.assert_allclose(gradc.grad(lambda x: np.sum(np.abs(np.fft.fft(x)) ** 2))(x), 24 * x, rtol=1e-13)
    hessian = gradc.hessian(lambda x: np.sum(np.abs(np.fft.rfft(x)) ** 2))(x[0])
    assert hessian.shape == (12, 12)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


def test_batches_and_saved_modules(tmp_path: Any) -> None:
    x = numbers(3, 5)
    np.testing.assert_allclose(gradc.vmap(np.fft.fft)(x), np.fft.fft(x), rtol=1e-14)
    source = gradc.jit(lambda x: np.fft.ifft(x, axis=0), backend="numpy").compile(x).numpy_source
    assert "np.fft.ifft(x, axis=0)" in source


def test_symbolic_batches() -> None:
    kernel = gradc.jit(np.fft.fft).compile(gradc.aval("c128[n,6]"))
    for count in (0, 1, 4):
        x = numbers(count, 6)
        np.testing.assert_allclose(kernel(x), np.fft.fft(x), atol=1e-14)


class TestRefusals:
    def test_lengths(self) -> None:
        with pytest.raises(ShapeError, match=r"np.fft.fft: invalid number of data points \(0\) of c128\[4\]"):
            gradc.jit(lambda z: np.fft.fft(z, 0))(numbers(4))
        with pytest.raises(ShapeError, match="symbolic"):
            gradc.jit(np.fft.fft).compile(gradc.aval("c128[n]"))

    def test_norms_axes_and_sizes(self) -> None:
        with pytest.raises(TraceError, match=r"np.fft.fft: norm='half' is none of 'backward', 'ortho', 'forward'"):
            gradc.jit(lambda z: np.fft.fft(z, norm="half"))(numbers(4))
        with pytest.raises(ShapeError, match="axis 3 is out of bounds"):
            gradc.jit(lambda z: np.fft.fft(z, axis=3))(numbers(4))
        with pytest.raises(ShapeError, match="differ in length"):
            gradc.jit(lambda z: np.fft.fftn(z, s=(2,), axes=(0, 1)))(numbers(4, 4))

    def test_complex_numbers_where_real_ones_are_wanted(self) -> None:
        with pytest.raises(DtypeError, match=r"np.fft.rfft: of complex numbers \(c128\[4\]\) is not supported"):
            gradc.jit(np.fft.rfft)(numbers(4))

    def test_op_with_a_symbolic_length(self) -> None:
        builder = Builder()
        graph = builder.freeze([fft(builder.input("z", aval("c128[n]")), axis=0, inverse=False, norm="backward")])
        with pytest.raises(CompileError, match="the length n of the transform"):
            split_complex(graph)
