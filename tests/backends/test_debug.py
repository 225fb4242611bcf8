"""The debugging backend gives what the reference gives, and tells where the first NaN of a result appeared."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import gradc
from gradc import config
from gradc.errors import NanError


def told(function: Any, *arguments: Any) -> str:
    with pytest.raises(NanError) as caught:
        function(*arguments)
    return str(caught.value)


def length(x: Any) -> Any:
    return np.sqrt(np.sum(x * x))


def test_the_adjoint_the_operands_and_the_line_are_told() -> None:
    assert re.fullmatch(
        r"d_x is NaN: mul\(inf, 0\.0\) at \[0\] of 2, on the way to dL/dx "
        r"\(test_debug\.py:\d+: return np\.sqrt\(np\.sum\(x \* x\)\)\)",
        told(gradc.grad(length, backend="debug"), np.zeros(2)),
    )


def test_a_nan_of_the_forward_sweep_has_no_adjoint() -> None:
    def loss(x: Any, w: Any) -> Any:
        shifted = np.log(x - 2.0)
        return np.sum(shifted * w)

    text = told(gradc.value_and_grad(loss, wrt=("x", "w"), backend="debug"), np.array([3.0, 1.5]), np.ones(2))
    assert text.startswith("result is NaN: log(-0.5) at [1] of 2 (test_debug.py:")
    assert text.endswith(": shifted = np.log(x - 2.0))")


def test_the_element_is_followed_through_what_works_element_by_element() -> None:
    """The first argument has a NaN too, at an element that the result takes nothing of."""

    def loss(x: Any, y: Any) -> Any:
        return (np.sqrt(y) * 2.0 + np.where(y < 0, 0.0, x))[2]

    text = told(gradc.jit(loss, backend="debug"), np.array([np.nan, 1.0, 1.0]), np.array([1.0, 1.0, -4.0]))
    assert "sqrt(-4.0) at [2] of 3" in text


def test_an_element_is_followed_through_what_only_copies() -> None:
    """Each array has other NaNs as well, which go elsewhere."""

    def moved(x: Any, y: Any, k: Any) -> Any:
        y = np.sqrt(y)
        y[1] = 3.0
        both = np.concatenate([x, y])[::-1].reshape(2, 3).T
        both = np.where(both > 100, x[0], both)
        return np.broadcast_to(both[k, 0], (2, 2)).sum()

    x, y = np.array([np.nan, 2.0, 1.0]), np.array([-9.0, -1.0, -4.0])
    text = told(gradc.jit(moved, backend="debug"), x, y, np.int64(2))
    assert "sqrt(-9.0) at [0] of 3" in text
    text = told(gradc.jit(moved, backend="debug"), x, y, np.int64(0))
    assert "sqrt(-4.0) at [2] of 3" in text
    assert gradc.jit(moved, backend="debug")(x, y, np.int64(1)) == 12.0


@pytest.mark.parametrize("wrapped", [gradc.jit, gradc.grad])
def test_arguments_and_constants_that_are_nan(wrapped: Any) -> None:
    given = told(wrapped(lambda x, y: np.sum(x * y), backend="debug"), np.ones(2), np.array([1.0, np.nan]))
    assert given.endswith("is NaN because the argument y is at [1]; look where it was made")
    hidden = np.array([1.0, np.nan])
    constant = told(wrapped(lambda x: np.sum(x * hidden), backend="debug"), np.ones(2))
    assert "a constant of the function is" in constant


def test_a_constant_that_is_chosen_for_a_nan_is_not_the_first() -> None:
    """The median of an array with a NaN is a NaN that is written down."""
    x = np.array([1.0, -2.0, 3.0])
    assert "sqrt(-2.0) at [1] of 3" in told(gradc.jit(lambda x: np.median(np.sqrt(x)), backend="debug"), x)

    def replaced(x: Any, y: Any) -> Any:
        return np.where(x > 0, np.sqrt(y), np.nan)

    given = told(gradc.jit(replaced, backend="debug"), np.array([np.nan, 1.0]), np.array([1.0, -1.0]))
    assert "the argument x is at [0]" in given

    def often(x: Any) -> Any:
        y = np.where(np.isnan(x), np.nan, 1.0)
        for _ in range(60):
            y = np.where(x > 3, x, y)
        return y

    given = told(gradc.jit(often, backend="debug"), np.array([1.0, np.nan]))
    assert "the argument x is at [1]" in given
    given = told(gradc.jit(replaced, backend="debug"), np.array([0.0, np.nan]), np.ones(2))
    assert "a constant of the function is" in given


def test_a_nan_that_no_result_depends_on_is_none() -> None:
    def loss(x: Any) -> Any:
        return np.sum(np.where(x > 0, np.log(x), 0.0))

    gradient = gradc.grad(loss, backend="debug")(np.array([2.0, -1.0, 0.0]))
    np.testing.assert_array_equal(gradient, [0.5, 0.0, 0.0])


def test_it_computes_what_the_reference_computes() -> None:
    def loss(w: Any, x: Any) -> Any:
        return np.sum(np.tanh(x @ w) ** 2) / x.shape[0]

    w, x = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(0, 2, 8).reshape(4, 2)
    given = gradc.aval("f64[2,3]"), gradc.aval("f64[n,2]")
    for kernel in (None, given):
        one, two = [gradc.value_and_grad(loss, backend=backend) for backend in ("reference", "debug")]
        if kernel is not None:
            one, two = one.compile(*kernel), two.compile(*kernel)
        for a, b in zip(one(w, x), two(w, x), strict=True):
            np.testing.assert_array_equal(a, b)


def test_complex_numbers_second_derivatives_and_the_knob() -> None:
    assert "NaN: " in told(gradc.jit(lambda z: z / z, backend="debug", stabilize="off"), 0j)
    with config.backend("debug"):
        text = told(gradc.hessian(length), np.zeros(2))
        assert "NaN" in text
    assert np.isnan(gradc.grad(length)(np.zeros(2))).all()


def test_other_operations_are_told_by_name() -> None:
    text = told(gradc.jit(lambda x: np.cumsum(x)[1:] @ x[1:], backend="debug"), np.array([np.inf, -np.inf, 1.0]))
    assert re.match(r"result is NaN: cumsum at \[1\] of 3 \(", text)


def test_it_is_an_error_of_floating_point() -> None:
    assert issubclass(NanError, FloatingPointError)
    with pytest.raises(gradc.errors.ArgumentError, match="debug"):
        gradc.jit(length, backend="trace")(np.ones(2))  # type: ignore[arg-type]
