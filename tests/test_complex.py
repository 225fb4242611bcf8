"""Complex numbers end to end: NumPy's values and dtypes, JAX's convention of gradients, and what is refused."""

from __future__ import annotations

import runpy
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import CompileError, DerivativeError, DtypeError
from gradc.request import BACKENDS


def numbers(*shape: int, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *shape])
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


Z, W = numbers(2, 3), numbers(2, 3, seed=1)
X = Z.real.copy()

FUNCTIONS = {
    "arithmetic": lambda z, w, x: z * w + z / w - (-z) * 2.0 + 3j * w + x,
    "powers": lambda z, w, x: z**2 + z**3 + z**-2 + z**0.5,
    "parts": lambda z, w, x: np.conj(z) * w + z.real + 1j * w.imag + np.abs(z) + np.angle(w) + z.conj(),
    "degrees": lambda z, w, x: np.angle(z, deg=True),
    "matmul": lambda z, w, x: z @ w.T + (x @ z.T),
    "vdot": lambda z, w, x: np.vdot(z, w),
    "vecdot": lambda z, w, x: np.linalg.vecdot(z, w),
    "einsum": lambda z, w, x: np.einsum("ij,ij->i", z, w),
    "mean": lambda z, w, x: np.mean(z, axis=0),
    "prod": lambda z, w, x: np.prod(w, axis=1),
    "where": lambda z, w, x: np.where(z == w, z, w * 1j),
    "moving": lambda z, w, x: np.concatenate([z[:, ::-1], w]).T.reshape(3, 4)[1:],
    "infinite": lambda z, w, x: np.isinf(z / 0.0) & np.isfinite(w) | np.isnan(z),
    "truth": lambda z, w, x: np.any(z) & np.all(np.isreal(x)) | np.iscomplex(w[0, 0]),
    "norm": lambda z, w, x: np.linalg.norm(z) + np.linalg.norm(w, axis=1) + np.linalg.norm(z[:, 0], 3),
    "counted": lambda z, w, x: np.linalg.norm(np.where(x > 0, z, 0), 0, axis=0) + np.linalg.norm(z, 1),
    "variance": lambda z, w, x: np.var(z, axis=1, ddof=1) + np.std(w),
    "close": lambda z, w, x: np.isclose(z, z + 1e-9) & ~np.isclose(z, w) & np.allclose(z, z * 1.0),
    "matrix power": lambda z, w, x: np.linalg.matrix_power(z[:, :2], 3),
    "square": lambda z, w, x: np.square(z) + np.reciprocal(w),
    "number": lambda z, w, x: z[0, 0] * (1 + 2j),
    "real number": lambda z, w, x: x * 1j,
    "covariance": lambda z, w, x: np.cov(z, w),
    "correlation": lambda z, w, x: np.corrcoef(z),
    "lines": lambda z, w, x: np.interp(x, [-1.0, 0.0, 2.0], z[0]).astype(z.dtype),
    "slopes": lambda z, w, x: np.gradient(z, 0.5, axis=1, edge_order=2),
    "steps": lambda z, w, x: np.linspace(z, w, 4) + np.ediff1d(z, to_end=1j)[:3],
    "sinc": lambda z, w, x: np.sinc(z) + np.sinc(w / 50),
    "rounded": lambda z, w, x: np.round(z, 1) + np.round(w),
    "replaced": lambda z, w, x: np.nan_to_num(z / np.where(x > 0, 0, 1)),
    "signs": lambda z, w, x: np.sign(z) + np.sign(np.where(x > 0, 0, z)) + np.sign(z.real / np.where(x > 0, 0, 1) + 0j),
    "characteristic": lambda z, w, x: np.poly(z[:, :2]) + np.poly(z[0, :2]),
}  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_dtypes_are_those_of_numpy(name: str, dtype: Any, backend: Any) -> None:
    function = FUNCTIONS[name]
    z, w, x = Z.astype(dtype), W.astype(dtype), X.astype(dtype(0).real.dtype)
    with np.errstate(all="ignore"):
        expected = function(z, w, x)
    actual = gradc.jit(function, backend=backend)(z, w, x)
    assert actual.dtype == expected.dtype
    assert np.shape(actual) == np.shape(expected)
    tolerance = 5e-15 if dtype is np.complex128 else 3e-6
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_have_the_convention_of_jax(backend: Any) -> None:
    """``dL/dx - i dL/dy`` of ``z = x + i y``: of |z|**2 it is 2 conj(z), of the imaginary part -i."""
    z = np.array([1 + 2j, -3 + 0.5j])
    for loss, expected in [
        (lambda z: np.sum(np.abs(z) ** 2), 2 * np.conj(z)),
        (lambda z: np.sum(z * np.conj(z)).real, 2 * np.conj(z)),
        (lambda z: np.sum(z.real), np.ones(2)),
        (lambda z: np.sum(z.imag), np.full(2, -1j)),
        (lambda z: np.sum((z**2).real), 2 * z),
        (lambda z: np.sum(np.abs(z)), np.conj(z) / np.abs(z)),
        (lambda z: np.sum(np.exp(z).real), np.exp(z)),
        (lambda z: np.sum(np.angle(z)), -1j / z),
    ]:
        gradient = gradc.grad(loss, backend=backend)(z)
        assert gradient.dtype == np.complex128
        np.testing.assert_allclose(gradient, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_are_differences_of_both_parts(backend: Any) -> None:
    def loss(z: Any, x: Any) -> Any:
        return np.sum(np.abs(np.exp(z * x) / (1 + z**2) - np.conj(z)) ** 2) + np.sum(np.angle(z) * x)

    gradients = gradc.grad(loss, wrt=(0, 1), backend=backend)(Z, X)
    h = 1e-6
    for k in np.ndindex(*Z.shape):
        step = np.zeros(Z.shape)
        step[k] = h
        by_re = (loss(Z + step, X) - loss(Z - step, X)) / (2 * h)
        by_im = (loss(Z + 1j * step, X) - loss(Z - 1j * step, X)) / (2 * h)
        by_x = (loss(Z, X + step) - loss(Z, X - step)) / (2 * h)
        np.testing.assert_allclose(gradients[0][k], by_re - 1j * by_im, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(gradients[1][k], by_x, rtol=1e-7, atol=1e-8)


def test_descending_along_the_conjugate_lowers_the_loss() -> None:
    """As docs/complex.md says."""
    step = gradc.value_and_grad(lambda z: np.sum(np.abs(z - (1 + 2j)) ** 2))
    z = np.zeros(3, complex)
    for _ in range(60):
        _, gradient = step(z)
        z = z - 0.2 * np.conj(gradient)
    np.testing.assert_allclose(z, np.full(3, 1 + 2j), rtol=1e-12)


def test_vjp_of_a_holomorphic_function_is_its_derivative_times_the_cotangent() -> None:
    out, pullback = gradc.vjp(lambda z: np.sin(z) * z, Z)
    np.testing.assert_allclose(out, np.sin(Z) * Z)
    np.testing.assert_allclose(pullback(W)[0], W * (np.cos(Z) * Z + np.sin(Z)), rtol=1e-13)
    _, tangent = gradc.jvp(lambda z: np.sin(z) * z, (Z,), (W,))
    np.testing.assert_allclose(tangent, W * (np.cos(Z) * Z + np.sin(Z)), rtol=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_slope_of_abs_at_zero_is_zero(backend: Any) -> None:
    gradient = gradc.grad(lambda z: np.sum(np.abs(z)), backend=backend)(np.array([0j, 3 + 4j]))
    np.testing.assert_allclose(gradient, [0, 0.6 - 0.8j], rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_branch_that_was_not_taken_contributes_zero(backend: Any) -> None:
    z = np.array([0j, 1 + 1j])
    gradient = gradc.grad(lambda z: np.sum(np.where(z == 0, 0.0, np.log(z)).real), backend=backend)(z)
    np.testing.assert_allclose(gradient, [0, 1 / (1 + 1j)], rtol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
def test_native_calls_give_numbers_and_arrays(backend: Any) -> None:
    """Several results that are one number each, of 16 bytes, side by side."""

    def parts(z: Any, s: Any) -> Any:
        return z * s, z[0] * s, np.abs(z), {"a": s * 2.0}

    kernel = gradc.jit(parts, backend=backend)
    for dtype in (np.complex64, np.complex128):
        z, s = Z[0].astype(dtype), dtype(2 + 1j)
        for _ in range(3):
            actual, expected = kernel(z, s), parts(z, s)
            for got, wanted in zip(actual[:3], expected[:3], strict=True):
                assert type(got) is type(wanted)
                np.testing.assert_allclose(got, wanted, rtol=1e-6)
            assert actual[3]["a"] == expected[3]["a"]


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_zeros_have_the_signs_that_numpy_gives_them(dtype: Any) -> None:
    """Also where a part is the zero that a real number lacks, or a constant."""
    parts = np.array([0.0, -0.0, 1.0, -2.0])
    z, w = (np.ravel(v).astype(dtype) for v in np.meshgrid(*[[complex(a, b) for a in parts for b in parts]] * 2))
    x, c = w.real.copy(), dtype(-1 - 2j)
    functions: list[Any] = [
        *(lambda z, w, x: z * w, lambda z, w, x: z + x, lambda z, w, x: x - z, lambda z, w, x: c * x),
        *(lambda z, w, x: x * -1j, lambda z, w, x: x + 2j, lambda z, w, x: -(z - w), lambda z, w, x: (-z) - w),
        *(lambda z, w, x: np.conj(z * w), lambda z, w, x: np.conj(z) * w, lambda z, w, x: z * z - w * w),
        *(lambda z, w, x: z + 0, lambda z, w, x: z - 0j, lambda z, w, x: 0 - z, lambda z, w, x: (-z) * w),
        *(lambda z, w, x: -2 * z + -2 * w, lambda z, w, x: (-z) / (w + 3), written_at_both_ends, added_to_zeros),
    ]
    for k, function in enumerate(functions):
        numpys = function(z, w, x)
        for backend in BACKENDS:
            ours = gradc.jit(function, backend=backend)(z, w, x)
            np.testing.assert_array_equal(ours, numpys)
            for part in ("real", "imag"):
                signs = [np.signbit(getattr(found, part)) for found in (ours, numpys)]
                np.testing.assert_array_equal(*signs, err_msg=f"{k} {part} {backend}")


def written_at_both_ends(z: Any, w: Any, x: Any) -> Any:
    first, last = np.zeros_like(z), np.zeros_like(z)
    first[:-1], last[1:] = z[1:], w[:-1]
    return first + last


def added_to_zeros(z: Any, w: Any, x: Any) -> Any:
    found = np.zeros_like(z)
    found[1:] += z[1:]
    found[:4] -= w[:4]
    return found


def test_a_product_over_a_symbolic_axis_is_refused() -> None:
    z, spec = numbers(3, 5), gradc.aval("c128[3,n]")
    told = r"reduce_prod: the length n of a product of c128\[3,n\] is symbolic; compile with a fixed one, or choose "
    line = r"backend='numpy' \(.*test_complex.py:\d+: .*np.prod\(z, axis=1\)"
    with pytest.raises(CompileError, match=told + line):
        gradc.jit(lambda z: np.prod(z, axis=1)).compile(spec)(z)
    for backend, axis in (("llvm", 0), ("numpy", 0), ("numpy", 1)):
        kernel = gradc.jit(lambda z, axis=axis: np.prod(z, axis=axis), backend=backend).compile(spec)
        np.testing.assert_allclose(kernel(z), np.prod(z, axis=axis), rtol=1e-14)


def test_donated_arrays_and_out() -> None:
    z = Z.copy()
    assert gradc.jit(lambda z: z * 2, donate="z")(z) is z
    np.testing.assert_array_equal(z, Z * 2)
    out = np.empty_like(Z)
    assert gradc.jit(lambda z: z * 2)(Z, out=out) is out
    np.testing.assert_array_equal(out, Z * 2)


@pytest.mark.parametrize("backend", BACKENDS)
def test_python_numbers_and_batches(backend: Any) -> None:
    assert gradc.jit(lambda z: z * 2, backend=backend)(1 + 2j) == 2 + 4j
    assert gradc.jit(lambda z: z * 2, backend=backend)(np.complex64(1 + 2j)).dtype == np.complex64
    batched = gradc.vmap(lambda z, w: np.sum(z * w))(Z, W)
    np.testing.assert_allclose(batched, np.sum(Z * W, axis=1))


def test_symbolic_sizes_on_llvm() -> None:
    kernel = gradc.jit(lambda z: np.sum(np.abs(z) ** 2) + z[0] * 1j).compile(gradc.aval("c128[n]"))
    for count in (1, 5):
        z = numbers(count)
        np.testing.assert_allclose(kernel(z), np.sum(np.abs(z) ** 2) + z[0] * 1j)


def test_recurrences_of_complex_numbers_run_on_llvm() -> None:
    def steps(z: Any, w: Any) -> Any:
        for _ in range(12):
            z = z * w + 1.0
        return np.sum(np.abs(z))

    np.testing.assert_allclose(gradc.grad(steps)(Z, W / 2), gradc.grad(steps, backend="numpy")(Z, W / 2), rtol=1e-12)


def test_saved_modules_compute_with_complex_numbers(tmp_path: Any) -> None:
    def loss(z: Any, w: Any) -> Any:
        return np.sum(np.abs(z * (2 + 1j) - w.real) ** 2)

    gradc.grad(loss).compile(Z, W).save(tmp_path / "saved.py")
    saved = runpy.run_path(str(tmp_path / "saved.py"))
    np.testing.assert_allclose(saved["loss_grad"](Z, W), gradc.grad(loss)(Z, W), rtol=1e-13)


def test_results_do_not_share_memory_with_arguments() -> None:
    for backend in BACKENDS:
        z = Z.copy()
        re, im, same = gradc.jit(lambda z: (z.real, z.imag, z * 1), backend=backend)(z)
        assert not any(np.shares_memory(z, r) for r in (re, im, same))


class TestRefusals:
    def test_the_gradient_of_a_complex_loss(self) -> None:
        with pytest.raises(DerivativeError, match=r"real result and the function gives c128\[\]; take its \.real"):
            gradc.grad(np.sum)(Z)

    def test_jacobians(self) -> None:
        with pytest.raises(DerivativeError, match="the Jacobian by complex numbers"):
            gradc.jacobian(lambda z: np.abs(z))(Z)
        with pytest.raises(DerivativeError, match="the Jacobian of complex numbers"):
            gradc.jacobian(lambda x: x * 1j)(X)
        with pytest.raises(DerivativeError, match="the Jacobian by complex numbers"):
            gradc.hessian(lambda z: np.sum(np.abs(z) ** 2))(Z)

    @pytest.mark.parametrize("name", ["nanmax", "correlate", "quantile", "real_if_close"])
    def test_functions_of_real_numbers(self, name: str) -> None:
        function: Any = np
        for part in name.split("."):
            function = getattr(function, part)
        with pytest.raises(DtypeError, match=r"of complex numbers \(c128\[2,3\]\) is not supported"):
            gradc.jit(lambda z: function(z, z) if name == "correlate" else function(z, 0))(Z)

    @pytest.mark.parametrize("function", [np.cbrt, np.fabs])
    def test_ufuncs_of_real_numbers(self, function: Any) -> None:
        with pytest.raises(DtypeError, match=r"np\.(cbrt|fabs) is not defined"):
            gradc.jit(lambda z: function(z))(Z)

    def test_writing_into_real_arrays(self) -> None:
        def write(z: Any) -> Any:
            a = np.zeros(3)
            a[:] = z[0]
            return a

        with pytest.raises(DtypeError, match=r"take .*real"):
            gradc.jit(write)(Z)

    @pytest.mark.parametrize("backend", BACKENDS)
    @pytest.mark.parametrize("function", [lambda z: z < 1j, lambda z: np.maximum(z, 0), lambda z: z >= z[::-1]])
    def test_the_order_is_numpys(self, function: Any, backend: Any) -> None:
        np.testing.assert_array_equal(gradc.jit(function, backend=backend)(Z), function(Z))

    def test_derivations(self) -> None:
        kernel = gradc.jit(lambda z: np.abs(z)).compile(Z)
        with pytest.raises(DerivativeError, match="derivations of complex numbers are not told"):
            kernel.explain()
