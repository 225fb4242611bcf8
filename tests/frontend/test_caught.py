"""A refusal that the function catches ends the trace all the same; errors that NumPy raises too are the function's."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import DerivativeError, GradcError, TraceError
from gradc.frontend.tracing import trace

Same = Callable[..., Any]
X = np.arange(1.0, 4.0)
WENT_ON = "; the function caught this and went on, which may be another way than NumPy's"


def number(x: Any) -> Any:
    try:
        return float(x[0]) * x
    except TypeError:
        return x * 2


def suppressed(x: Any) -> Any:
    with contextlib.suppress(TypeError):
        x = x * float(x[0])
    return x


def everything(x: Any) -> Any:
    try:
        return x if x[0] > 0 else -x
    except Exception:  # noqa: BLE001 - as people write it
        return x * 2


def converted_by_numpy(x: Any) -> Any:
    try:
        return X.dot(x) * x
    except TypeError:
        return x * 2


def in_a_helper(x: Any) -> Any:
    try:
        return first(x) * x
    except (TypeError, ValueError):
        return x * 2


def first(x: Any) -> float:
    return float(x[0])


def in_a_generator(x: Any) -> Any:
    def numbers() -> Any:
        try:
            yield float(x[0])
        except TypeError:
            yield 2.0

    return sum(numbers()) * x


def unsupported(x: Any) -> Any:
    try:
        return np.unique(x)
    except TypeError:
        return x


def unsupported_parameter(x: Any) -> Any:
    try:
        return np.reshape(x, -1, copy=False)
    except TypeError:
        return x


def unsupported_method(x: Any) -> Any:
    try:
        return np.frombuffer(x.tobytes())
    except TypeError:
        return x


def written(x: Any) -> Any:
    try:
        x[0] = 3.0
    except TypeError:
        x = x * 2
    return x


def drawn(x: Any) -> Any:
    try:
        return x + np.random.default_rng().normal()
    except TypeError:
        return x


def another_error(x: Any) -> Any:
    try:
        return x * float(x[0])
    except TypeError:
        raise RuntimeError("not a number") from None


def under_a_cache(x: Any) -> Any:
    @functools.cache
    def factor() -> float:
        return float(x[0])

    try:
        return x * factor()
    except TypeError:
        return x


def inside_a_gradient(x: Any) -> Any:
    def loss(u: Any) -> Any:
        try:
            return np.sum(u) * float(u[0])
        except TypeError:
            return np.sum(u * 2)

    return gradc.grad(loss)(x)


def around_a_gradient(x: Any) -> Any:
    try:
        return gradc.grad(lambda u: float(u[0]))(x)
    except TypeError:
        return x * 2


CAUGHT: list[tuple[Callable[..., Any], int, str]] = [
    (number, 2, "float() or a function of math needs the number behind a traced f64[]"),
    (suppressed, 2, "float() or a function of math needs the number behind a traced f64[]"),
    (everything, 2, "a truth value (if, while, assert, and, or, not) needs the number behind a traced bool[]"),
    (converted_by_numpy, 2, "a traced value is needed as a plain array here"),
    (in_a_generator, 3, "float() or a function of math needs the number behind a traced f64[]"),
    (unsupported, 2, "np.unique: the shape of the result depends on data"),
    (unsupported_parameter, 2, "np.reshape: whether a view is possible depends on the layout in memory"),
    (unsupported_method, 2, "ndarray.tobytes is not supported on a traced array"),
    (written, 2, "this writes into the argument x, which is the caller's"),
    (drawn, 2, "a random draw while tracing"),
    (another_error, 2, "float() or a function of math needs the number behind a traced f64[]"),
    (under_a_cache, 3, "float() or a function of math needs the number behind a traced f64[]"),
    (inside_a_gradient, 3, "float() or a function of math needs the number behind a traced f64[]"),
    (around_a_gradient, 2, "float() or a function of math needs the number behind a traced f64[]"),
]


@pytest.mark.parametrize(("function", "line", "message"), CAUGHT, ids=lambda c: getattr(c, "__name__", None))
def test_a_refusal_that_is_caught_ends_the_trace(function: Callable[..., Any], line: int, message: str) -> None:
    lines, start = inspect.getsourcelines(function)
    with pytest.raises(TraceError) as caught:
        trace(function, (X,))
    place = f"test_caught.py:{start + line}: {lines[line].strip()}"
    said = str(caught.value)
    assert said.startswith(message)
    assert said.endswith(f"{WENT_ON} ({place})")
    assert caught.value.line == place


def test_the_line_is_that_of_the_refusal() -> None:
    with pytest.raises(TraceError, match=r"another way than NumPy's \(test_caught\.py:\d+: return float\(x\[0\]\)\)$"):
        trace(in_a_helper, (X,))


def sizes(x: Any) -> Any:
    try:
        return np.zeros(len(x[0])) + x
    except TypeError:
        return x * 2


def iterated(x: Any) -> Any:
    try:
        return sum(x[0])
    except TypeError:
        return x * 3


def missing(x: Any) -> Any:
    try:
        return x.values
    except AttributeError:
        return x * 4 if hasattr(x, "tobytes") and not hasattr(x, "iloc") else x


def outside(x: Any) -> Any:
    try:
        return x[7]
    except IndexError:
        return x * 5


def misfit(x: Any) -> Any:
    try:
        return np.ones((2, 2)) @ x
    except ValueError:
        return x * 6


def number_of_many(x: Any) -> Any:
    try:
        return float(x) * x
    except TypeError:
        return x * 7


def key(x: Any) -> Any:
    try:
        return {x: 1}
    except TypeError:
        return x * 8


def cast_in_place(x: Any) -> Any:
    counts = np.zeros(3, int)
    try:
        counts += x
    except TypeError:
        return counts - x
    return counts


def undefined(x: Any) -> Any:
    try:
        return x << 1
    except TypeError:
        return x * 9


def number_written(x: Any) -> Any:
    y = x[0]
    try:
        y[...] = 0.0
    except TypeError:
        return x * 10
    return y


def index(x: Any) -> Any:
    try:
        return [1.0, 2.0][x[0]]
    except TypeError:
        return x * 11


def cast(x: Any) -> Any:
    try:
        return x.astype(int, casting="safe")
    except TypeError:
        return x * 12


def own(x: Any) -> Any:
    try:
        raise TypeError("mine")
    except TypeError:
        return x * 13


@pytest.mark.parametrize(
    "function",
    [
        sizes, iterated, missing, outside, misfit, number_of_many, key, cast_in_place, undefined, number_written, index,
        cast, own,
    ],
)  # fmt: skip
def test_errors_that_numpy_raises_too_can_be_caught(function: Callable[..., Any], same: Same) -> None:
    same(function, X)


def test_numpys_own_fallbacks_are_left_to_it(same: Same) -> None:
    def function(x: Any) -> Any:
        try:
            return np.array_equal(np.zeros(2), [1.0]) + np.linalg.norm([x[0], x[1]]) + np.mean(list(x)) + x
        except ZeroDivisionError:
            return x

    same(function, X)


def test_what_was_caught_before_is_told_and_not_what_came_of_it() -> None:
    def function(x: Any) -> Any:
        try:
            scale = float(x[0])
        except TypeError:
            scale = None
        return x * np.array(scale.real)

    with pytest.raises(TraceError, match=r"^float\(\) .* \(test_caught\.py:\d+: scale = float") as caught:
        trace(function, (X,))
    assert isinstance(caught.value.__cause__, AttributeError)


def test_the_librarys_other_errors_can_be_caught(same: Same) -> None:
    def function(x: Any) -> Any:
        try:
            return gradc.grad(lambda u: u * 2)(x)  # no scalar
        except DerivativeError:
            return x * 3

    trace(function, (X,))


def test_an_error_after_the_trace_is_no_concern_of_it() -> None:
    try:
        trace(lambda x: float(x[0]), (X,))
    except GradcError:
        graph = trace(lambda x: x * 2, (X,)).graph
    assert graph.nodes[-1].op.name == "mul"


def test_shapes_of_symbolic_sizes_may_fit_when_the_kernel_is_called() -> None:
    def function(x: Any, y: Any) -> Any:
        try:
            return x + y
        except ValueError:
            return x

    with pytest.raises(GradcError, match=WENT_ON):
        trace(function, (gradc.aval("f64[n]"), gradc.aval("f64[m]")))
