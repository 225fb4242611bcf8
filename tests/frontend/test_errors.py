"""What a trace cannot keep is refused with one sentence, the user's line and a remedy, word for word."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.special
import scipy.stats

from gradc.errors import GradcError, IndexBoundsError, ShapeError, TraceError
from gradc.frontend.session import current_session
from gradc.frontend.tracing import trace

X = np.arange(1.0, 4.0)
TABLE = np.arange(5.0)

TRUTH = (
    "a truth value (if, while, assert, and, or, not) needs the number behind a traced bool[], unknown while tracing; "
    "use np.where(condition, a, b), np.maximum or np.minimum, which keep both branches, "
    "and &, | and ~ for and, or and not"
)
FLOAT = (
    "float() or a function of math needs the number behind a traced f64[], unknown while tracing; "
    "use NumPy's function: np.exp, np.sqrt, ..."
)


def if_(x: Any) -> Any:
    if x[0] > 0:
        return x
    return -x


def while_(x: Any) -> Any:
    while x.sum() < 10:
        x = x * 2
    return x


def and_(x: Any) -> Any:
    return x[0] > 0 and x


def chained(x: Any) -> Any:
    return 0 < x[0] < 5


def maximum(x: Any) -> Any:
    return max(x[0], x[1])


def float_(x: Any) -> Any:
    return float(x[0])


def math_(x: Any) -> Any:
    return math.exp(x[0])


def list_of_floats(x: Any) -> Any:
    return [float(k) for k in x]


def range_(x: Any) -> Any:
    return list(range(x[0]))


def data_as_size(x: Any) -> Any:
    return np.zeros(x[0].astype(int))


def contains(x: Any) -> Any:
    return 1.0 in x


def formatted(x: Any) -> Any:
    return f"{x[0]:.3f}"


def unsupported(x: Any) -> Any:
    return np.is_busday(x)


def unsupported_in_python(x: Any) -> Any:
    return scipy.linalg.leslie(x, x[1:])


def unsupported_and_decorated(x: Any) -> Any:
    return scipy.linalg.matrix_balance(x)


def unsupported_distribution(x: Any) -> Any:
    return scipy.stats.norm.entropy(x)


def unsupported_of_scipy(x: Any) -> Any:
    return scipy.special.struve(1, x)


def unsupported_method(x: Any) -> Any:
    return x.tobytes()


def unsupported_ufunc(x: Any) -> Any:
    return np.isnat(x)


def unknown_attribute(x: Any) -> Any:
    return x.no_such_thing


def as_key(x: Any) -> Any:
    return {x: 1}


def plain_table(x: Any) -> Any:
    return TABLE[x.astype(int)]


def plain_method(x: Any) -> Any:
    return TABLE[:3].dot(x)


def numpy_type(x: Any) -> Any:
    return np.longdouble(x[0])


def reinterpretation(x: Any) -> Any:
    return x.view(np.int64)


def length_of_number(x: Any) -> Any:
    return len(x[0])


def loop_over_number(x: Any) -> Any:
    return list(x[0])


def sized(x: Any) -> Any:
    x.shape = (3, 1)
    return x


PLAIN = (
    "a traced value is needed as a plain array here, and is not known while tracing; use NumPy's functions on it: "
    "np.dot(a, x) in place of a.dot(x), x.astype(np.float32) in place of np.float32(x), "
    "np.stack([x, y]) in place of [x, y] for a method of a ufunc"
)

ELSE = "write it with functions of docs/supported.md, or call it before and pass its result as an argument"

CASES: list[tuple[Callable[..., Any], int, str]] = [
    (if_, 1, TRUTH),
    (while_, 1, TRUTH),
    (and_, 1, TRUTH),
    (chained, 1, TRUTH),
    (maximum, 1, TRUTH),
    (float_, 1, FLOAT),
    (math_, 1, FLOAT),
    (list_of_floats, 1, FLOAT),
    (range_, 1, "Python needs an integer here and gets a traced f64[]; pass it as a Python int"),
    (
        data_as_size,
        1,
        (
            "a size, an axis, a range or a list's index needs the number behind a traced i64[], unknown while tracing; "
            "pass it as a Python int, which becomes static, or index an array with np.array([i])"
        ),
    ),
    (contains, 1, "`in` needs the numbers behind a traced array; use np.any(x == item), which stays traced"),
    (
        formatted,
        1,
        (
            "formatting needs the number behind a traced f64[], unknown while tracing; "
            "return it and print it after the call; its shape and dtype are known and can be printed"
        ),
    ),
    (unsupported, 1, f"np.is_busday is not supported on traced arrays; {ELSE}"),
    (unsupported_in_python, 1, f"scipy.linalg.leslie is not supported on traced arrays; {ELSE}"),
    (unsupported_and_decorated, 1, f"scipy.linalg.matrix_balance is not supported on traced arrays; {ELSE}"),
    (unsupported_distribution, 1, f"scipy.stats.norm.entropy is not supported on traced arrays; {ELSE}"),
    (unsupported_of_scipy, 1, f"scipy.special.struve is not supported on traced arrays; {ELSE}"),
    (
        unsupported_method,
        1,
        "ndarray.tobytes is not supported on a traced array; return the array, and store it after the call",
    ),
    (unsupported_ufunc, 1, f"np.isnat is not supported on traced arrays; {ELSE}"),
    (
        unknown_attribute,
        1,
        "a traced value cannot be used where a plain one is needed: a traced array has no attribute 'no_such_thing'",
    ),
    (
        as_key,
        1,
        (
            "a traced value cannot be a key of a dict or a member of a set: it is unknown while tracing; "
            "use a position in a list, or a Python int, which becomes static"
        ),
    ),
    (
        plain_table,
        1,
        (
            "a plain object is indexed by a traced value; write np.take(table, index, axis=0) for an array made "
            "outside the function, and np.concatenate for np.r_"
        ),
    ),
    (plain_method, 1, PLAIN),
    (numpy_type, 1, PLAIN),
    (
        reinterpretation,
        1,
        "view(dtype) reads the bytes of an array in another way; use astype, which converts values",
    ),
    (length_of_number, 1, "a number has no len(); its shape is ()"),
    (loop_over_number, 1, "a number cannot be iterated over; its shape is ()"),
]


@pytest.mark.parametrize(("function", "line", "message"), CASES, ids=lambda c: getattr(c, "__name__", None))
def test_the_message_and_the_line(function: Callable[..., Any], line: int, message: str) -> None:
    lines, start = inspect.getsourcelines(function)
    with pytest.raises(TraceError) as caught:
        trace(function, (X,))
    place = f"test_errors.py:{start + line}: {lines[line].strip()}"
    assert str(caught.value) == f"{message} ({place})"
    assert caught.value.line == place
    assert current_session() is None


def test_attributes_cannot_be_set() -> None:
    with pytest.raises(
        TraceError,
        match=r"x\.shape = \.\.\. is for arrays .* \(test_errors\.py:\d+: x\.shape = \(3, 1\)\)",
    ):
        trace(sized, (X,))


def test_errors_of_rules_get_the_line() -> None:
    def multiply(x: Any) -> Any:
        return x @ np.ones((2, 2))

    with pytest.raises(ShapeError) as caught:
        trace(multiply, (X,))
    start = multiply.__code__.co_firstlineno + 1
    assert str(caught.value) == (
        f"matmul: inner dimensions differ: f64[3] @ f64[2,2] (test_errors.py:{start}: return x @ np.ones((2, 2)))"
    )


def test_an_index_out_of_bounds_is_an_index_error() -> None:
    with pytest.raises(IndexBoundsError, match=r"index 5 is out of bounds for axis 0 of f64\[3\] with size 3"):
        trace(lambda x: x[5], (X,))


def test_the_line_is_the_innermost_one_of_the_users() -> None:
    def helper(z: Any) -> Any:
        return math.sqrt(z)

    def f(x: Any) -> Any:
        return helper(x[0])

    with pytest.raises(TraceError, match=r"\(test_errors\.py:\d+: return math\.sqrt\(z\)\)$"):
        trace(f, (X,))


def test_the_users_own_errors_pass_through() -> None:
    def f(x: Any) -> Any:
        raise TypeError("mine")

    with pytest.raises(TypeError, match=r"^mine$") as caught:
        trace(f, (X,))
    assert not isinstance(caught.value, GradcError)


def test_an_array_that_no_memory_holds_is_refused_where_it_is_made() -> None:
    def cube(x: np.ndarray) -> np.ndarray:
        return np.sin(x[:, None, None] * x[:, None] * x)

    with pytest.raises(ShapeError) as caught:
        trace(cube, (np.zeros(2**21),), {})
    line = inspect.getsourcelines(cube)[1] + 1
    assert str(caught.value) == (
        "f64[2097152,2097152,2097152] has more bytes than a machine has addresses; make arrays of fewer elements "
        f"(test_errors.py:{line}: return np.sin(x[:, None, None] * x[:, None] * x))"
    )


@pytest.mark.parametrize("masked", [np.ma.masked_array(X, mask=X > 2), np.ma.masked], ids=["array", "constant"])
def test_masks_of_arrays_from_outside_are_not_dropped(masked: Any) -> None:
    kind = type(masked).__name__
    with pytest.raises(GradcError) as caught:
        trace(lambda x: np.sum(x * masked), (X,), {})
    assert str(caught.value).startswith(
        f"a {kind} has a meaning of its own; pass np.asarray(...) of it (test_errors.py:"
    )
    with pytest.raises(GradcError, match="has a meaning of its own"):
        trace(lambda x: np.multiply(x, masked), (X,), {})
