"""Questions about types and attributes in a traced function have NumPy's answers; ``type`` is Python's in all else."""

from __future__ import annotations

import numbers
import typing
from collections import abc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.frontend.tracing import trace

Same = Callable[..., Any]
X = np.arange(1.0, 4.0)


class Holder:
    pass


class Counting(type):
    made = 0

    def __call__(cls, *args: Any) -> Any:
        Counting.made += 1
        return type.__call__(cls, *args)


class Counted(metaclass=Counting):
    def __init__(self, x: Any) -> None:
        self.x = x


def by_type(x: Any, n: Any) -> Any:
    kinds = [type(x), type(x[0]), type(x * 2), type(n), type(0.5 * n), type(x.shape[0]), type(x[x > 1]), type(x.flat)]
    expected = [np.ndarray, np.float64, np.ndarray, int, float, int, np.ndarray, np.flatiter]
    assert all(kind is wanted for kind, wanted in zip(kinds, expected, strict=True)), kinds
    assert [*map(type, (x, n))] == [np.ndarray, int]
    assert {np.ndarray: "array", list: "list"}[type(x)] == "array"
    if type(x) in (np.ndarray, list) and issubclass(type(x), np.ndarray) and isinstance(x, type(x + 1)):
        return x * 2
    return x


def test_the_type_of_a_traced_array_is_the_one_numpy_has(same: Same) -> None:
    same(by_type, X, 3)
    assert "type" not in globals()


def by_type_itself(x: Any) -> Any:
    class Meta(type):
        def __new__(mcs, name: str, bases: Any, scope: Any) -> Any:
            return type.__new__(mcs, name, bases, {**scope, "factor": 3})

    class Scaled(metaclass=Meta):
        pass

    made = type("Made", (Holder,), {"shift": 1.5})
    assert type(Holder) is type
    assert type == type(made)  # noqa: E721 - equality is what is tested
    assert type(Scaled) is Meta
    assert type(Meta) is type
    assert isinstance(int, type)
    assert not isinstance(x, type)
    assert isinstance(Meta, type)
    assert issubclass(Meta, type)
    assert not issubclass(int, type)
    assert type.mro(int) == [int, object]
    assert isinstance(int, type | None)
    assert {type: 1}[type(int)] == 1
    assert type.__name__ == "type"
    assert repr(type) == "<class 'type'>"
    match int:
        case type():
            return Counted(x).x * Scaled.factor + made.shift
    return x


def test_type_is_type_in_all_else(same: Same) -> None:
    before = Counting.made
    same(by_type_itself, X)
    assert Counting.made == before + 2
    assert "type" not in globals()
    by_type_itself(X)


def test_a_global_named_type_is_the_users(same: Same, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "type", lambda x: 2.5)
    same(lambda x: x * type(x), X)
    assert globals()["type"](0) == 2.5


class Picky(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return np.ndim(x) == 1


class Vector(metaclass=Picky):
    pass


def asked(x: Any, c: Any, n: Any) -> list[Any]:
    s = x[0]
    values = (x, s, c, n)
    kinds = [
        abc.Iterable, abc.Sized, abc.Container, abc.Hashable, abc.Sequence, typing.SupportsIndex, typing.SupportsFloat,
        numbers.Number, numbers.Real, numbers.Integral, np.ndarray, np.floating, np.generic, float, int, object, Vector,
        (list, np.ndarray), (str, (float, int)), int | float, typing.Union[list, np.float64], Holder,  # noqa: UP007
    ]  # fmt: skip
    names = ["__len__", "__iter__", "shape", "dtype", "sum", "real", "is_integer", "path", "kind", "aval", "no_such"]
    found: list[Any] = [isinstance(value, kind) for kind in kinds for value in values]
    found += [hasattr(value, name) for name in names for value in values]
    found += [getattr(value, name, None) is None for name in names for value in values]
    found += [getattr(c, "ndim", 7), getattr(x, "ndim"), getattr(x, "known", 3)]  # noqa: B009 - as people write it
    return found


def test_traced_arrays_and_numbers_are_asked_as_those_of_numpy() -> None:
    seen: list[Any] = []

    def function(x: Any, c: Any, n: Any) -> Any:
        seen.append(asked(x, c, n))
        return x * c * n

    trace(function, (X, 2.0, 3))
    assert seen[0] == asked(X, 2.0, 3)
    for name in ("isinstance", "hasattr", "getattr"):
        assert name not in globals()


def test_an_attribute_that_a_number_has_not_is_an_attribute_error(same: Same) -> None:
    def function(x: Any, c: Any) -> Any:
        try:
            return x * getattr(c, "shape")[0]  # noqa: B009 - as people write it
        except AttributeError:
            return x * c

    same(function, X, 2.0)


def test_protocols_with_attributes_are_asked_as_before() -> None:
    @typing.runtime_checkable
    class Shaped(typing.Protocol):
        shape: Any

    seen: list[bool] = []

    def function(x: Any) -> Any:
        seen.append(isinstance(x, Shaped))
        return x

    trace(function, (X,))
    assert seen[0]
