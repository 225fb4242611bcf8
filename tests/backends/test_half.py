"""float16 on every backend: NumPy's values, each function in float32 and rounded, and derivatives in float16."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import CompileError
from gradc.request import BACKENDS

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16)
"""Every number of half precision, with the infinities and every NaN."""
MODERATE = np.array([-7.5, -1.25, -0.3, 0.1, 0.5, 1.0, 2.25, 6.0], np.float16)
POSITIVE = np.abs(MODERATE)

ROUNDED_ONCE = [
    np.negative, np.absolute, np.sign, np.sqrt, np.square, np.floor, np.ceil, np.rint, np.trunc, np.isnan, np.isfinite,
    np.reciprocal,
]  # fmt: skip
FUNCTIONS = [
    np.exp, np.log, np.log1p, np.expm1, np.tanh, np.sin, np.cos, np.exp2, np.log2, np.log10, np.cbrt, np.tan, np.sinh,
    np.cosh, np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh,
]  # fmt: skip
OF_TWO = [
    np.add, np.subtract, np.multiply, np.true_divide, np.floor_divide, np.remainder, np.maximum, np.minimum, np.hypot,
    np.arctan2, np.power, np.copysign, np.less, np.equal, np.logaddexp,
]  # fmt: skip


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def near(numbers: np.ndarray) -> np.ndarray:
    """The numbers, what lies in the middle of neighbours, and the numbers next to all of them."""
    finite = np.unique(numbers[np.isfinite(numbers)]).astype(np.float64)
    ends = np.append(finite, [65520.0, 65536.0, 1e30, np.inf, np.nan])
    middles = np.concatenate([ends, (finite[1:] + finite[:-1]) / 2])
    return np.concatenate([middles, np.nextafter(middles, np.inf), np.nextafter(middles, -np.inf)])


def assert_same_bits(actual: Any, expected: Any) -> None:
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(actual, expected)
    numbers = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(actual[numbers]), np.signbit(expected[numbers]))


def assert_within_one_unit(actual: Any, expected: Any) -> None:
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.dtype == expected.dtype == np.float16
    np.testing.assert_array_equal(np.isfinite(actual), np.isfinite(expected))
    finite = np.isfinite(expected)
    gap = np.abs(actual[finite].astype(float) - expected[finite].astype(float))
    assert (gap <= np.spacing(np.abs(expected[finite])).astype(float)).all()


@np.errstate(all="ignore")
def test_every_number_goes_in_and_out(backend: str) -> None:
    assert_same_bits(gradc.jit(lambda x: x.astype(np.float32), backend=backend)(EVERY), EVERY.astype(np.float32))
    assert_same_bits(gradc.jit(lambda x: x[::-1], backend=backend)(EVERY), EVERY[::-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_to_the_nearest_and_even(dtype: Any, backend: str) -> None:
    """From doubles as well it is done once: not to float32 first."""
    with np.errstate(all="ignore"):
        x = near(EVERY).astype(dtype)
        x = np.concatenate([x, -x, np.nextafter(x, dtype(np.inf)), np.array([1e-8, 3e-8, 5.9e-8, 0.0, -0.0], dtype)])
        assert_same_bits(gradc.jit(lambda x: x.astype(np.float16), backend=backend)(x), x.astype(np.float16))


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "i8", "u8", "?"])
def test_integers_become_halves(dtype: str, backend: str) -> None:
    x = np.array([0, 1, 2, 77, 127]).astype(dtype)
    if np.dtype(dtype).itemsize > 1:
        x = np.concatenate([x, np.array([2049, 2051, 32767]).astype(dtype)])
    assert_same_bits(gradc.jit(lambda x: x.astype(np.float16), backend=backend)(x), x.astype(np.float16))
    assert_same_bits(gradc.jit(lambda x: x * np.float16(1), backend=backend)(x), x * np.float16(1))


@np.errstate(all="ignore")
@pytest.mark.parametrize("ufunc", ROUNDED_ONCE, ids=lambda u: u.__name__)
def test_exact_functions_of_every_number(ufunc: np.ufunc, backend: str) -> None:
    assert_same_bits(gradc.jit(lambda x: ufunc(x), backend=backend)(EVERY), ufunc(EVERY))


@np.errstate(all="ignore")
@pytest.mark.parametrize("ufunc", FUNCTIONS, ids=lambda u: u.__name__)
def test_functions_of_every_number(ufunc: np.ufunc, backend: str) -> None:
    x = np.where(np.abs(EVERY) < 1000, EVERY, np.float16(1)) if ufunc in (np.sin, np.cos, np.tan) else EVERY
    assert_within_one_unit(gradc.jit(lambda x: ufunc(x), backend=backend)(x), ufunc(x))


@np.errstate(all="ignore")
@pytest.mark.parametrize("ufunc", OF_TWO, ids=lambda u: u.__name__)
def test_functions_of_two(ufunc: np.ufunc, backend: str) -> None:
    special = np.array([0, -0.0, 1, -2, 0.1, 3, 65504, 6e-8, np.inf, -np.inf, np.nan], np.float16)
    x, y = (side.reshape(-1) for side in np.meshgrid(special, special))
    expected = ufunc(x, y)
    actual = gradc.jit(lambda x, y: ufunc(x, y), backend=backend)(x, y)
    if expected.dtype == bool:
        np.testing.assert_array_equal(actual, expected)
    else:
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
        assert_within_one_unit(actual, expected)


def test_every_step_is_rounded(backend: str) -> None:
    def polynomial(x: Any) -> Any:
        return ((x * 3 + 1) * x - 0.7) * x / 3

    x = np.linspace(-3, 3, 1001).astype(np.float16)
    assert_same_bits(gradc.jit(polynomial, backend=backend)(x), polynomial(x))


REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda x: np.sum(x),
    "sum of rows": lambda x: np.sum(x, axis=1),
    "mean": lambda x: np.mean(x, axis=0),
    "max": lambda x: np.max(x, axis=0),
    "prod": lambda x: np.prod(x[:, :8], axis=1),
    "matmul": lambda x: x @ x.T,
    "var": lambda x: np.var(x),
    "cumsum": lambda x: np.cumsum(x, axis=1),
    "logsumexp": lambda x: np.log(np.sum(np.exp(x - np.max(x)))),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
}


@pytest.mark.parametrize("name", REDUCTIONS)
def test_sums_are_rounded_no_more_than_by_numpy(name: str, backend: str) -> None:
    """NumPy rounds between blocks of a sum, here it is rounded once: both are near to the sum in float64."""
    x = np.random.default_rng(0).uniform(0.2, 1.2, (6, 40)).astype(np.float16)
    expected = REDUCTIONS[name](x.astype(np.float64))
    actual = gradc.jit(REDUCTIONS[name], backend=backend)(x)
    assert actual.dtype == REDUCTIONS[name](x).dtype == np.float16
    allowed = 4e-3 if backend == "llvm" else 4e-2
    np.testing.assert_allclose(actual.astype(float), expected, rtol=allowed)
    np.testing.assert_allclose(actual.astype(float), REDUCTIONS[name](x).astype(float), rtol=4e-2)


def network(w: Any, v: Any, x: Any) -> Any:
    return np.mean(np.tanh(np.maximum(x @ w, 0) @ v) ** 2)


def test_derivatives_are_of_half_precision(backend: str) -> None:
    rng = np.random.default_rng(1)
    arguments = [rng.normal(size=shape).astype(np.float16) for shape in ((3, 4), (4, 2), (5, 3))]
    exact = gradc.value_and_grad(network, wrt=(0, 1))(*[a.astype(np.float64) for a in arguments])
    value, gradients = gradc.value_and_grad(network, wrt=(0, 1), backend=backend)(*arguments)
    assert value.dtype == np.float16
    np.testing.assert_allclose(float(value), exact[0], rtol=5e-3)
    for got, wanted in zip(gradients, exact[1], strict=True):
        assert got.dtype == np.float16
        np.testing.assert_allclose(got.astype(float), wanted, atol=5e-3 * np.abs(wanted).max())
    tangents = tuple(np.ones_like(a) for a in arguments)
    of_halves = gradc.Function(network, derivative="jvp", backend=backend)(*arguments, tangents=tangents)[1]
    moved = gradc.jvp(network, [a.astype(float) for a in arguments], [t.astype(float) for t in tangents])[1]
    assert of_halves.dtype == np.float16
    np.testing.assert_allclose(float(of_halves), moved, rtol=2e-2)


def test_second_order(backend: str) -> None:
    x = np.array([0.5, 1.0, 1.5], np.float16)
    hessian = gradc.hessian(lambda x: np.sum(np.sin(x) * x), backend=backend)(x)
    assert hessian.dtype == np.float16
    exact = 2 * np.cos(x.astype(float)) - x * np.sin(x.astype(float))
    np.testing.assert_allclose(hessian.astype(float), np.diag(exact), atol=4e-3)


def test_the_memory_of_arguments(backend: str) -> None:
    """Strided, reversed, Fortran order, unaligned, byte-swapped and read-only; of any shape."""
    step = gradc.jit(lambda x: x * 2 + 1, backend=backend)
    base = np.arange(24, dtype=np.float16).reshape(4, 6)
    raw = np.zeros(1 + base.nbytes, np.uint8)[1:].view(np.float16).reshape(4, 6)
    raw[...] = base
    locked = base.copy()
    locked.flags.writeable = False
    for x in (base[:, ::2], base[::-1], np.asfortranarray(base), raw, base.astype(">f2"), locked, base[:0], base[0, 0]):
        np.testing.assert_array_equal(step(x), x * np.float16(2) + np.float16(1))
    updated = gradc.jit(lambda x: x + 1, backend=backend)(np.float16(2))
    assert (type(updated), updated) == (np.float16, 3)


def test_the_standalone_module(tmp_path: Any) -> None:
    x = MODERATE.copy()
    kernel = gradc.grad(lambda x: np.sum(np.exp(x) * x)).compile(x)
    path = tmp_path / "halves.py"
    kernel.save(path)
    assert_within_one_unit(runpy.run_path(str(path))[kernel.name](x), kernel(x))


def test_c_has_halves_inside_of_a_function_alone(tmp_path: Any) -> None:
    """C99 has no such type. Inside, numbers are rounded by arithmetic, without a function of a library."""

    def inside(x: Any) -> Any:
        return (np.exp(x.astype(np.float16)) * 3).astype(np.float32)

    with pytest.raises(CompileError, match="x is f16, for which the C interface has no type; pass f32 and convert it"):
        gradc.jit(lambda x: x * 2).compile(MODERATE).save(tmp_path, format="c")
    kernel = gradc.jit(inside).compile(MODERATE.astype(np.float32))
    assert "extendhfsf2" not in kernel.llvm_ir + kernel.assembly
    np.testing.assert_allclose(kernel(MODERATE.astype(np.float32)), inside(MODERATE.astype(np.float32)), rtol=1e-3)
    kernel.save(tmp_path, format="c")


def test_loops_are_short_to_read() -> None:
    """What a conversion uses several times has a name."""
    kernel = gradc.jit(lambda x: np.exp(x) * 2).compile(MODERATE)
    assert len(str(kernel.loops)) < 12_000
