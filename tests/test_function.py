"""The public objects: signatures, choices, composition, results without aliases, errors that leave nothing behind."""

from __future__ import annotations

import inspect
import threading
import warnings
from typing import NamedTuple

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, DerivativeError, DtypeError, ShapeError, TraceError

BACKENDS = ("llvm", "numpy", "reference")


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param


def loss(w, x, y):
    h = np.maximum(x @ w["hidden"] + w["bias"], 0)
    return np.mean((h @ w["out"] - y) ** 2)


def network() -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    w = {"hidden": rng.normal(size=(3, 4)), "bias": rng.normal(size=4), "out": rng.normal(size=4)}
    return w, rng.normal(size=(5, 3)), rng.normal(size=5)


def by_hand(w, x, y):
    z = x @ w["hidden"] + w["bias"]
    h = np.maximum(z, 0)
    r = 2 * (h @ w["out"] - y) / y.size
    d_z = np.outer(r, w["out"]) * (z > 0)
    return {"hidden": x.T @ d_z, "bias": d_z.sum(0), "out": h.T @ r}


def assert_tree(found, expected, rtol=1e-12) -> None:
    assert list(found) == list(expected)
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=rtol)


def test_value_and_gradient_of_nested_arguments(backend: str) -> None:
    w, x, y = network()
    step = gradc.value_and_grad(loss, wrt="w", backend=backend)
    value, gradient = step(w, x, y)
    assert isinstance(value, np.float64)
    assert value == pytest.approx(loss(w, x, y), rel=1e-13)
    assert_tree(gradient, by_hand(w, x, y))


def test_wrt_is_a_name_a_position_or_a_tuple(backend: str) -> None:
    w, x, y = network()
    options = {"backend": backend}
    assert_tree(gradc.grad(loss, **options)(w, x, y), by_hand(w, x, y))
    assert_tree(gradc.grad(loss, wrt=0, **options)(w, x, y), by_hand(w, x, y))
    by_x = gradc.grad(loss, "x", **options)(w, x, y)
    (again,) = gradc.grad(loss, wrt=("x",), **options)(w, x, y)
    np.testing.assert_array_equal(by_x, again)
    by_y, by_w = gradc.grad(loss, argnums=(2, 0), **options)(w, x, y)
    assert by_y.shape == y.shape
    assert_tree(by_w, by_hand(w, x, y))
    with pytest.raises(ArgumentError, match="wrt='x' and argnums=1 are the same choice"):
        gradc.grad(loss, wrt="x", argnums=1)
    with pytest.raises(DerivativeError, match=r"wrt='q' is not an argument of loss\(w, x, y\); choose among w, x, y"):
        gradc.grad(loss, wrt="q")(w, x, y)
    with pytest.raises(DerivativeError, match=r"wrt=1\.5 is neither the name nor the position"):
        gradc.grad(loss, wrt=1.5)(*network())
    with pytest.raises(DerivativeError, match="wrt=3 is out of range for the 3 arguments"):
        gradc.grad(loss, wrt=3)(w, x, y)


def test_auxiliary_results(backend: str) -> None:
    def with_aux(w, x):
        z = w * x
        return np.sum(z), {"z": z, "largest": np.max(z)}

    w, x = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    (value, aux), gradient = gradc.value_and_grad(with_aux, has_aux=True, backend=backend)(w, x)
    assert value == 1.0
    assert aux["largest"] == 3.0
    np.testing.assert_array_equal(aux["z"], w * x)
    np.testing.assert_array_equal(gradient, x)
    gradient, aux = gradc.grad(with_aux, has_aux=True, backend=backend)(w, x)
    np.testing.assert_array_equal(gradient, x)
    with pytest.raises(DerivativeError, match=r"does not return a pair; return \(loss, aux\)"):
        gradc.grad(lambda w: np.sum(w), has_aux=True, backend=backend)(w)


def test_vjp(backend: str) -> None:
    def layer(w, x):
        return {"z": w @ x, "norm": np.sum(x * x)}

    w, x = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0, 2.0])
    out, pullback = gradc.vjp(layer, w, x, backend=backend)
    np.testing.assert_array_equal(out["z"], w @ x)
    ct = {"z": np.array([1.0, 10.0]), "norm": 3.0}
    by_w, by_x = pullback(ct)
    np.testing.assert_array_equal(by_w, np.outer(ct["z"], x))
    np.testing.assert_array_equal(by_x, w.T @ ct["z"] + 6 * x)
    _, only_x = gradc.vjp(layer, w, x, wrt="x", backend=backend)
    np.testing.assert_array_equal(only_x(ct), by_x)
    with pytest.raises(ArgumentError):
        pullback({"z": np.zeros(3), "norm": 0.0})


def test_gradients_of_gradients(backend: str) -> None:
    cube = gradc.grad(gradc.grad(lambda x: x**3 * np.sin(x), backend=backend), backend=backend)
    x = 0.7
    assert cube(x) == pytest.approx(6 * x * np.sin(x) + 6 * x**2 * np.cos(x) - x**3 * np.sin(x), rel=1e-13)

    def norm_of_gradient(v):
        return np.sum(gradc.grad(lambda u: np.sum(np.tanh(u) ** 2))(v) ** 2)

    v = np.array([0.3, -0.5])
    found = gradc.grad(norm_of_gradient, backend=backend)(v)
    step = 1e-6
    for k in range(2):
        e = step * np.eye(2)[k]
        expected = (norm_of_gradient(v + e) - norm_of_gradient(v - e)) / (2 * step)
        assert found[k] == pytest.approx(expected, rel=1e-8)


def test_an_inner_gradient_sees_the_outer_variable(backend: str) -> None:
    """The perturbations of the two levels must not be confused: d/dx (x * d/dy (x + y)) = 1."""

    def outer(x):
        inner = gradc.grad(lambda y: x + y)
        return x * inner(1.0)

    assert gradc.grad(outer, backend=backend)(2.0) == 1.0

    def product(x):
        return gradc.grad(lambda y: x * y * y)(3.0) * x

    assert gradc.grad(product, backend=backend)(2.0) == pytest.approx(2 * 2 * 3.0 * 2.0)


def test_vjp_and_jit_inside_a_trace(backend: str) -> None:
    def outer(x):
        out, pullback = gradc.vjp(np.tanh, x)
        (ct,) = pullback(out)
        return np.sum(gradc.jit(np.exp)(ct))

    x = np.array([0.2, -0.4])
    t = np.tanh(x)
    slope = (1 - t**2) ** 2 - 2 * t**2 * (1 - t**2)
    expected = np.exp(t * (1 - t**2)) * slope
    np.testing.assert_allclose(gradc.grad(outer, backend=backend)(x), expected, rtol=1e-12)


def test_one_kernel_for_one_signature() -> None:
    calls = []

    @gradc.jit(backend="numpy")
    def double(x):
        calls.append(x.aval)
        return 2 * x

    for value in (np.zeros(3), np.ones(3), 1.0, 2.5, np.float32(1), np.zeros((3, 1))):
        np.testing.assert_array_equal(double(value), 2 * value)
    assert [str(aval) for aval in calls] == ["f64[3]", "~f64[]", "f32[]", "f64[3,1]"]


def test_an_int_that_python_needs_is_guarded(backend: str) -> None:
    def powers(x, n):
        total = 0.0
        for k in range(n):
            total = total + x**k
        return total * n

    compiled = gradc.jit(powers, backend=backend)
    for n in (1, 4, 2, 4):
        assert compiled(3.0, n) == powers(3.0, n)
    assert gradc.grad(powers, backend=backend)(3.0, 3) == pytest.approx(3 * (1 + 2 * 3.0))


def test_many_values_of_a_guarded_int_are_warned_of() -> None:
    repeat = gradc.jit(lambda x, count: sum([x] * count), backend="reference")
    for n in range(1, 9):
        assert repeat(2.0, n) == 2.0 * n
    with pytest.warns(UserWarning, match="compiled again for each value of count"):
        assert repeat(2.0, 9) == 18.0


def test_static_arguments(backend: str) -> None:
    def reduce(x, how="sum", scale=None, square=False):
        y = x * x if square else x
        y = y if scale is None else y * scale
        return np.sum(y) if how == "sum" else np.mean(y)

    x = np.array([1.0, 2.0, 3.0])
    gradient = gradc.grad(reduce, backend=backend)
    np.testing.assert_array_equal(gradient(x), np.ones(3))
    np.testing.assert_allclose(gradient(x, how="mean", square=True), 2 * x / 3, rtol=1e-15)
    np.testing.assert_array_equal(gradient(x, scale=2.0), np.full(3, 2.0))


def test_integers_and_truth_values_are_no_targets(backend: str) -> None:
    def picked(x, index):
        return np.sum(x["values"][index] * 2)

    x = {"values": np.arange(4.0), "count": np.arange(3)}
    index = np.array([0, 2, 2])
    with pytest.raises(DerivativeError, match=r"x\['count'\] is i64\[3\], and there is no derivative by integers"):
        gradc.grad(picked, backend=backend)(x, index)
    gradient = gradc.grad(picked, backend=backend)({"values": x["values"]}, index)
    np.testing.assert_array_equal(gradient["values"], [2.0, 0.0, 4.0, 0.0])
    with pytest.raises(DerivativeError, match=r"index is i64\[3\]"):
        gradc.grad(picked, wrt="index", backend=backend)(x, index)
    assert gradc.grad(lambda n: n * n, backend=backend)(3) == 6.0


def test_an_index_outside_raises_and_the_next_call_works(backend: str) -> None:
    take = gradc.jit(lambda x, i: x[i] * 2.0, backend=backend)
    x = np.arange(4.0)
    np.testing.assert_array_equal(take(x, np.array([0, -1])), [0.0, 6.0])
    for wrong in ([4, 0], [0, -5]):
        with pytest.raises(IndexError, match=r"out of bounds for axis 0 with size 4"):
            take(x, np.array(wrong))
    np.testing.assert_array_equal(take(x, np.array([1, 2])), [2.0, 4.0])


def test_a_table_from_outside_is_read_at_indices_that_are_data(backend: str) -> None:
    table = np.arange(10.0).reshape(5, 2) * 2
    look_up = gradc.jit(lambda k: np.take(table, k, axis=0), backend=backend)
    np.testing.assert_array_equal(look_up(np.array([3, 0])), table[[3, 0]])
    with pytest.raises(TraceError, match=r"write np.take\(table, index, axis=0\)"):
        gradc.jit(lambda k: table[k], backend=backend)(np.array([3, 0]))


def test_constant_results_and_unused_arguments(backend: str) -> None:
    w, x = np.ones((2, 2)), np.ones(3)
    by_w, by_x = gradc.grad(lambda w, x: np.sum(x * 2), wrt=("w", "x"), backend=backend)(w, x)
    np.testing.assert_array_equal(by_w, np.zeros((2, 2)))
    np.testing.assert_array_equal(by_x, [2.0, 2.0, 2.0])
    np.testing.assert_array_equal(gradc.grad(lambda x: 3.0, backend=backend)(x), np.zeros(3))


def test_results_alias_nothing(backend: str) -> None:
    constant = np.array([1.0, 2.0])
    compiled = gradc.jit(lambda x: (x, x, constant, x.T, x[:1]), backend=backend)
    x = np.array([3.0, 4.0])
    results = compiled(x)
    for result in results:
        result += 100.0
    np.testing.assert_array_equal(x, [3.0, 4.0])
    np.testing.assert_array_equal(constant, [1.0, 2.0])
    for first, second in zip(results, compiled(x), strict=True):
        assert not np.shares_memory(first, second)
    np.testing.assert_array_equal(compiled(x)[2], [1.0, 2.0])


def test_layouts_at_the_boundary(backend: str) -> None:
    compiled = gradc.jit(lambda x: x * 2.0, backend=backend)
    base = np.arange(24.0).reshape(4, 6)
    read_only = base.copy()
    read_only.setflags(write=False)
    unaligned = np.frombuffer(b"x" + base.tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 6)
    for x in (base[::2, ::-3], base.T, np.asfortranarray(base), read_only, unaligned, base.astype(">f8"), base[:0]):
        np.testing.assert_array_equal(compiled(x), x * 2.0)


def test_bad_arguments_are_named(backend: str) -> None:
    compiled = gradc.jit(loss, backend=backend)
    w, x, y = network()
    with pytest.raises(ArgumentError, match=r"argument w\['bias'\]: an array of dtype object"):
        compiled({**w, "bias": np.array([None] * 4)}, x, y)
    with pytest.raises(ArgumentError, match=r"loss\(w, x, y\): missing a required argument: 'y'"):
        compiled(w, x)
    with pytest.raises(ShapeError, match=r"f64\[5,2\].*test_function.py:\d+: h = np.maximum"):
        compiled(w, x[:, :2], y)
    with pytest.raises(DtypeError, match=r"None is neither an array nor a number.* \(test_function.py:\d+: h = "):
        compiled(w, None, y)
    assert compiled(w, x, y) == pytest.approx(loss(w, x, y))


def test_a_kernel_checks_what_it_was_compiled_for(backend: str) -> None:
    w, x, y = network()
    kernel = gradc.value_and_grad(loss).compile(w, x, y, backend=backend)
    assert kernel(w, x, y)[0] == pytest.approx(loss(w, x, y))
    with pytest.raises(ArgumentError, match=r"argument x is f64\[4,3\] and the kernel is compiled for f64\[5,3\]"):
        kernel(w, x[:4], y)
    with pytest.raises(ArgumentError, match=r"argument x is f32\[5,3\] and the kernel is compiled for f64\[5,3\]"):
        kernel(w, x.astype(np.float32), y)
    with pytest.raises(ArgumentError, match="nested otherwise"):
        kernel({"hidden": w["hidden"]}, x, y)
    assert kernel.name == "loss_grad"
    assert list(inspect.signature(kernel).parameters) == ["w", "x", "y"]


def test_a_python_int_that_does_not_fit(backend: str) -> None:
    kernel = gradc.jit(lambda x: x).compile(np.int8(3), backend=backend)
    assert kernel(5) == 5
    with pytest.raises(ArgumentError, match=r"argument x is 300 and the kernel is compiled for i8\[\]"):
        kernel(300)


def test_symbolic_sizes() -> None:
    w, x, y = network()
    avals = {key: gradc.aval(f"f64[{','.join(map(str, value.shape))}]") for key, value in w.items()}
    for backend in ("llvm", "numpy", "reference"):
        kernel = gradc.value_and_grad(loss).compile(
            avals, gradc.aval("f64[batch,3]"), gradc.aval("f64[batch]"), backend=backend
        )
        for batch in (1, 2, 5):
            value, gradient = kernel(w, x[:batch], y[:batch])
            assert value == pytest.approx(loss(w, x[:batch], y[:batch]))
            assert_tree(gradient, by_hand(w, x[:batch], y[:batch]))
        with pytest.raises(ArgumentError, match="with batch = 5"):
            kernel(w, x, y[:4])


def test_integer_labels_of_a_symbolic_batch() -> None:
    def cross_entropy(z, labels):
        logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
        return -np.mean(logp[np.arange(z.shape[0]), labels])

    step = gradc.value_and_grad(cross_entropy)
    avals = gradc.aval("f64[batch,3]"), gradc.aval("i64[batch]")
    rng = np.random.default_rng(0)
    for backend in ("llvm", "numpy", "reference"):
        kernel = step.compile(*avals, backend=backend)
        for batch in (1, 4, 7):
            z, labels = 300 * rng.normal(size=(batch, 3)), rng.integers(0, 3, batch)
            value, gradient = kernel(z, labels)
            expected, slope = step(z, labels)
            assert value == pytest.approx(expected, rel=1e-14)
            np.testing.assert_allclose(gradient, slope, rtol=1e-13, atol=1e-16)


def test_names_of_generated_functions() -> None:
    step = gradc.value_and_grad(loss)
    w, x, y = network()
    assert step.compile(w, x, y, name="my_step").name == "my_step"
    with pytest.raises(ArgumentError, match=r"^name='class' is a keyword of Python; choose another name$"):
        gradc.grad(loss, name="class")
    for wrong in ("a b", "x'); import os #", "näme", ""):
        with pytest.raises(ArgumentError, match="is not an identifier"):
            gradc.grad(loss, name=wrong)
    with pytest.raises(ArgumentError, match="backend='cuda' is not one of 'llvm', 'numpy', 'reference'"):
        gradc.grad(loss, backend="cuda")
    with pytest.raises(ArgumentError, match="stabilize=True is not one of"):
        gradc.grad(loss, stabilize=True)


def test_a_function_called_like_a_builtin(backend: str) -> None:
    assert gradc.jit(abs, backend=backend)(-2.0) == 2.0
    assert gradc.jit(abs).compile(-2.0).name == "abs_"


def test_a_function_of_numpy_itself(backend: str) -> None:
    x = np.array([1.0, 2.0])
    kernel = gradc.jit(np.sum).compile(x, backend=backend)
    assert [kernel(x), kernel(2 * x), kernel(3 * x)] == [3.0, 6.0, 9.0]
    with pytest.raises(ArgumentError, match="at=3 is neither the arguments in order nor a dict"):
        kernel.explain(at=3)


class Params(NamedTuple):
    scale: float
    rest: tuple


def test_containers_and_kinds_of_parameters(backend: str) -> None:
    def function(first, /, *others, scale=2.0, **named):
        return first.scale * scale * sum(others) + first.rest[0] * named["last"]

    gradient = gradc.grad(function, wrt=(0, 2, "scale", "named"), backend=backend)
    by_first, by_other, by_scale, by_named = gradient(Params(3.0, (5.0,)), 1.0, 2.0, last=7.0)
    assert by_first == Params(6.0, (7.0,))
    assert (by_other, by_scale, by_named) == (6.0, 9.0, {"last": 5.0})


def test_ten_threads_get_ten_right_answers(backend: str) -> None:
    compiled = gradc.value_and_grad(lambda x: np.sum(np.sin(x) * x), backend=backend)
    failures = []

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=50 + seed % 3)
        for _ in range(20):
            value, gradient = compiled(x)
            if not (np.isclose(value, np.sum(np.sin(x) * x)) and np.allclose(gradient, np.sin(x) + x * np.cos(x))):
                failures.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_function_that_raises_leaves_nothing_behind(backend: str) -> None:
    zeros = np.zeros

    def broken(x):
        np.zeros(3)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        gradc.grad(broken, backend=backend)(1.0)
    assert np.zeros is zeros
    assert gradc.grad(lambda x: x * x, backend=backend)(2.0) == 4.0


def test_results_of_single_precision_stay_single(backend: str) -> None:
    x = np.linspace(-2, 2, 7, dtype=np.float32)
    value, gradient = gradc.value_and_grad(lambda x: np.sum(np.tanh(x) * 0.5 + x / 3), backend=backend)(x)
    assert value.dtype == gradient.dtype == np.float32
    np.testing.assert_allclose(gradient, 0.5 * (1 - np.tanh(x) ** 2) + np.float32(1 / 3), rtol=1e-5)


def test_no_warning_escapes_from_stable_formulas(backend: str) -> None:
    def naive(z, y):
        s = 1 / (1 + np.exp(-z))
        return -(y * np.log(s) + (1 - y) * np.log(1 - s))

    step = gradc.value_and_grad(naive, wrt=("z", "y"), backend=backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for z, y, value, slope in ((1000.0, 0.0, 1000.0, 1.0), (1000.0, 1.0, 0.0, 0.0),
                                   (-1000.0, 0.0, 0.0, 0.0), (-1000.0, 1.0, 1000.0, -1.0)):  # fmt: skip
            found, (by_z, by_y) = step(z, y)
            assert (found, by_z, by_y) == (value, slope, -z)
    assert np.isnan(step(np.nan, 0.0)[0])
    assert np.isnan(step(1.0, np.nan)[0])


@pytest.mark.parametrize("target", [True, np.tanh, {"a": True, "b": "relu"}], ids=str)
def test_a_target_without_numbers_is_refused(target) -> None:
    with pytest.raises(DerivativeError, match=r"flag holds no numbers but a .*; name another argument with wrt"):
        gradc.grad(lambda flag, x: x * x)(target, 2.0)
    assert gradc.grad(lambda w: w["x"] ** 2)({"x": 2.0, "kind": "square"}) == {"x": 4.0, "kind": None}
