"""NumPy's own notation over Values: functions of NumPy that are told in others are written here as a user writes them.

``Array`` stands for a Value. It has Python's operators and indexing, and NumPy's functions dispatch on it to the
registry, with NumPy's promotion and broadcasting.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.numpy_api import indexing
from gradc.frontend.numpy_api.operators import OPERATORS
from gradc.frontend.numpy_api.promote import astype
from gradc.frontend.numpy_api.registry import implements, lookup
from gradc.ir.aval import Aval, Dim
from gradc.ir.graph import Builder, Value

Told = TypeVar("Told", bound=Callable[..., Any])

_NUMBERS: Final = (int, float, complex)


class Array(np.lib.mixins.NDArrayOperatorsMixin):
    """A Value as NumPy writes it. Never written in place."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    @property
    def shape(self) -> tuple[Dim, ...]:
        return self.value.aval.shape

    @property
    def dtype(self) -> np.dtype:
        return self.value.aval.dtype

    @property
    def ndim(self) -> int:
        return self.value.aval.ndim

    @property
    def size(self) -> Any:
        return self.value.aval.size

    @property
    def T(self) -> Array:  # noqa: N802
        return Array(lookup_function(np.transpose)(self.value))

    @property
    def is_float(self) -> bool:
        """Whether the dtype is a floating-point one."""
        return self.value.aval.is_float

    def astype(self, dtype: Any) -> Array:
        """The elements in another dtype."""
        return Array(astype(self.value, dtype))

    def reshape(self, *shape: Any) -> Array:
        """The elements in another shape."""
        return Array(lookup_function(np.reshape)(self.value, shape[0] if len(shape) == 1 else shape))

    def __getitem__(self, index: Any) -> Array:
        return Array(indexing.getitem(self.value, _plain(index), self._lift))

    def __len__(self) -> int:
        raise TypeError("an Array has no len(); its sizes may be symbolic")

    def __iter__(self) -> Any:
        raise TypeError("an Array is not iterated over; its sizes may be symbolic")

    def _lift(self, x: Any, role: str = "") -> Value:
        return lifted(self.value.builder, x)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or keywords:
            return NotImplemented
        values = [self._lift(x) for x in inputs]
        name = _OPERATORS.get(ufunc)
        if name is not None:
            return Array(OPERATORS[name](*values))
        return told(lookup_function(ufunc)(*values))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        record = lookup(function)
        if record is None:
            raise TraceError(f"np.{function.__name__} is not supported on traced arrays")
        return told(record.call(self._lift, args, kwargs))


_OPERATORS: Final = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.true_divide: "truediv", np.power: "pow",
    np.negative: "neg", np.absolute: "abs",
}  # fmt: skip
"""The ufuncs that Python's operators call, which keep Python numbers weak among themselves."""


def lookup_function(function: Any) -> Callable[..., Any]:
    """What NumPy's ``function`` means over Values."""
    record = lookup(function)
    assert record is not None, function
    return record.function


def lifted(builder: Builder, x: Any) -> Value:
    """``x`` as a Value: an Array, a Value, a plain array, a Python number."""
    if isinstance(x, Array):
        return x.value
    if isinstance(x, Value):
        return x
    return builder.constant(np.asarray(x) if isinstance(x, (list, tuple)) else x, weak=type(x) in _NUMBERS)


def filled(like: Array, number: float, dtype: Any = None) -> Array:
    """A number in the place of every element of ``like``, in its dtype or another."""
    kind = like.dtype if dtype is None else np.dtype(dtype)
    return Array(like.value.builder.full(number, Aval(like.shape, kind)))


def told(x: Any) -> Any:
    """Values, in tuples and lists too, as Arrays."""
    if isinstance(x, Value):
        return Array(x)
    return _rebuilt(x, told) if isinstance(x, (list, tuple)) else x


def untold(x: Any) -> Any:
    """Arrays, in tuples and lists too, as Values."""
    if isinstance(x, Array):
        return x.value
    return _rebuilt(x, untold) if isinstance(x, (list, tuple)) else x


def _rebuilt(x: Any, item: Callable[[Any], Any]) -> Any:
    """A list or tuple, which may have names, of what ``item`` makes of each of its members."""
    items = [item(member) for member in x]
    return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)


def _plain(index: Any) -> Any:
    if isinstance(index, Array):
        return index.value
    return tuple([_plain(item) for item in index]) if type(index) is tuple else index


def composed(
    *targets: Callable[..., Any] | str,
    arrays: tuple[str, ...] = (),
    sequences: tuple[str, ...] = (),
    nested: tuple[str, ...] = (),
    counts: tuple[str, ...] = (),
    methods: tuple[str, ...] = (),
    keeps_weak: bool = False,
) -> Callable[[Told], Told]:
    """``implements`` for a function that is written over Arrays; it stays callable over Arrays."""

    def enter(function: Told) -> Told:
        @functools.wraps(function)
        def over_values(*args: Any, **kwargs: Any) -> Any:
            given = {name: told(x) for name, x in kwargs.items()}
            return untold(function(*[told(x) for x in args], **given))

        kinds = {"arrays": arrays, "sequences": sequences, "nested": nested, "counts": counts}
        implements(*targets, **kinds, methods=methods, keeps_weak=keeps_weak)(over_values)
        return function

    return enter
