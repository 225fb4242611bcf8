"""Arguments that nobody plans for: members of enums, subclasses of numbers, slices, and objects without a hash."""

from __future__ import annotations

import enum
import functools
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import gradc
from gradc.errors import ArgumentError

X = np.arange(6.0).reshape(2, 3)


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


class Mode(enum.Enum):
    SUM = "sum"
    MEAN = "mean"


class Metres(float):
    pass


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
def test_a_member_of_an_enum_is_static_and_a_number_where_it_is_one(backend: Any) -> None:
    seen = []

    def scaled(x: Any, size: Size, mode: Mode) -> Any:
        seen.append(size)
        y = x * size + Size.LARGE
        return y.sum(axis=size - Size.SMALL) if mode is Mode.SUM else y.mean(axis=0)

    function = gradc.jit(scaled, backend=backend)
    for size, mode in [(Size.SMALL, Mode.SUM), (Size.LARGE, Mode.SUM), (Size.LARGE, Mode.MEAN)] * 2:
        expected = scaled(X, size, mode)
        np.testing.assert_array_equal(function(X, size, mode), expected)
    assert len(seen) == 9
    assert all(type(size) is Size for size in seen)


def test_a_module_knows_the_member_of_an_enum_the_dtype_and_the_slice_it_was_compiled_for(tmp_path: Path) -> None:
    def taken(x: Any, mode: Any, dtype: Any, part: Any) -> Any:
        return (x.sum() if mode is Mode.SUM else x.mean()) * x[0, part].astype(dtype)

    given = Mode.SUM, np.dtype("f4"), slice(1, 3)
    kernel = gradc.jit(taken, backend="numpy").compile(X, *given, name="taken")
    names: dict[str, Any] = {}
    exec(kernel.numpy_source, names)  # noqa: S102 - our own text
    np.testing.assert_array_equal(names["taken"](X, *given), taken(X, *given))
    for position, other, message in [
        (0, Mode.MEAN, "mode is 'MEAN', and this module was compiled for SUM"),
        (1, np.dtype("f8"), "dtype is 'float64', and this module was compiled for float32"),
        (2, slice(0, 2), "part is 'slice(0, 2, None)', and this module was compiled for slice(1, 3, None)"),
    ]:
        wrong = [*given[:position], other, *given[position + 1 :]]
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            names["taken"](X, *wrong)


def test_a_module_takes_no_callable_that_has_no_name() -> None:
    """What it holds cannot be told from what another one holds."""
    kernel = gradc.jit(lambda x, f: f(x), backend="numpy").compile(X, functools.partial(np.power, 2.0), name="applied")
    names: dict[str, Any] = {}
    exec(kernel.numpy_source, names)  # noqa: S102 - our own text
    with pytest.raises(ValueError, match=r"^f is functools\.partial.*, and this module was compiled for partial$"):
        names["applied"](X, functools.partial(np.power, 3.0))


def test_slices_are_static() -> None:
    function = gradc.grad(lambda x, part: np.sum(x[part] ** 2))
    for part in (slice(0, 1), slice(1, 2), slice(None, None, -1)):
        expected = np.zeros_like(X)
        expected[part] = 2 * X[part]
        np.testing.assert_array_equal(function(X, part), expected)


class Unhashable:
    __hash__ = None  # type: ignore[assignment]

    def __call__(self, x: Any) -> Any:
        return x


NO_HASH = (
    "argument k: Unhashable is not data, and has no hash by which a kernel could be found; "
    "pass what it holds as arguments, or give its class a __hash__"
)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (Metres(2.0), "argument k: a Metres has a meaning of its own; pass float(...) of it"),
        (Unhashable(), NO_HASH),
    ],
)
def test_what_is_refused(argument: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{re.escape(message)}$"):
        gradc.jit(lambda x, k: x)(X, argument)


def test_a_function_and_its_name_are_what_they_should_be() -> None:
    with pytest.raises(ArgumentError, match=r"^int is not a function; give one of arrays$"):
        gradc.grad(3)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"^name=3 is no string; give the name of the generated function$"):
        gradc.jit(np.sin, name=3)  # type: ignore[arg-type]


def test_a_memoryview_is_no_array() -> None:
    with pytest.raises(ArgumentError, match=r"^argument x: memoryview is neither an array nor a number"):
        gradc.grad(lambda x: np.sum(x))(memoryview(np.zeros(3)))


NOT_GIVEN = object()


def scaled(x: Any, y: Any = NOT_GIVEN, *, by: float = 2.0) -> Any:
    return x * by if y is NOT_GIVEN else x * y * by


def test_a_default_that_says_not_given_is_not_given() -> None:
    function = gradc.jit(scaled)
    assert [function(3.0), function(3.0, 4.0), function(3.0, y=5.0), function(3.0, by=1.0)] == [6.0, 24.0, 30.0, 3.0]
    assert gradc.grad(scaled, (0, 1))(3.0, 4.0) == (8.0, 6.0)
    kernel = function.compile(3.0)
    assert kernel(3.0) == pickle.loads(pickle.dumps(kernel))(3.0) == 6.0  # noqa: S301
    with pytest.raises(ArgumentError, match="argument y: object is neither an array nor a number"):
        function(3.0, object())


def test_defaults_of_functions_of_scipy() -> None:
    a = np.array([[2.0, 1.0], [0.5, 3.0]])
    for function in (scipy.linalg.sqrtm, scipy.linalg.logm, scipy.linalg.signm):
        np.testing.assert_allclose(gradc.jit(function)(a), function(a), rtol=1e-13, atol=1e-14)


def test_defaults_count_where_a_trace_is_the_first_to_import_their_binding() -> None:
    program = (
        "import numpy as np, gradc\n"
        "from gradc.frontend.tracing import trace\n"
        "trace(lambda x: np.sum(gradc.grad(lambda u: u * u)(x)), (2.0,))\n"
        "print(gradc.grad(lambda x, *more, scale=2.0: x * scale, 'scale')(3.0))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "3.0\n", done.stderr


class Meters(float):
    """A float that says nothing else of operators."""


class Stubborn(float):
    def __radd__(self, other: Any) -> Any:
        return 77.0


class Choice(enum.IntEnum):
    FIRST = 1
    SECOND = 2


@pytest.mark.parametrize("other", [Meters(2.0), Stubborn(2.0), Choice.FIRST, Choice.SECOND])
def test_operands_of_subclasses_of_numbers(other: Any) -> None:
    """NumPy takes them as arrays, Python as numbers; ``==`` with an element was False whatever they were."""

    def each(x: Any, single: Any, a: float, n: int) -> Any:
        found = []
        for left in (x, single, x[0], single[1], a, n):
            found += [left + other, other * left, left - other, left / other, left**other]
            found += [left == other, left != other, left < other, other <= left]
        return [np.asarray(y) * np.float32(1) for y in found]

    given = np.array([1.0, 2.0]), np.array([1.0, 2.0], np.float32), 2.0, 3
    for found, wanted in zip(gradc.jit(each)(*given), each(*given), strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype
