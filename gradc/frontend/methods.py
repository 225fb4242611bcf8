"""ndarray's methods, told as NumPy's functions, which dispatch on traced arrays."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import numpy as np

from gradc.frontend.lines import refuse

_SAME_NAME: Final = frozenset(
    {
        "all", "any", "argmax", "argmin", "argpartition", "argsort", "choose", "cumprod", "cumsum",
        "diagonal", "nonzero", "repeat", "round", "searchsorted", "std", "trace",
    }
)  # fmt: skip
"""Methods that are the NumPy function of their name with the array first."""
_LONGEST_LIST: Final = 4096
"""How many numbers ``tolist()`` gives at most."""

_MEMORY: Final = "a trace does not know how an array lies in memory; np.ascontiguousarray(x) gives one in order"
_INSTEAD: Final = {
    "flags strides": _MEMORY,
    "base data ctypes": "np.shares_memory(x, y) says whether two arrays share memory",
    "dump dumps tobytes tofile": "return the array, and store it after the call",
    "resize": "use np.resize, which gives a new array, or x.reshape",
    "setflags": "whether an array can be written is not traced; x.copy() gives one that can",
}
_ELSE: Final = "write it with functions of NumPy"
"""What to write instead of attributes and methods that are refused."""

_SETTERS: Final = {
    "real": "write x = y + 1j * x.imag, or x[...] = y where x is real",
    "imag": "write x = x.real + 1j * y",
    "dtype": "use x.astype, which converts values",
    "strides": _MEMORY,
    "data": "write x[...] = y",
}
"""Attributes that NumPy lets one assign to, and what to write instead."""

Class = TypeVar("Class", bound=type)


class Flat:
    """``x.flat``: the elements one after the other, to read and to write."""

    def __init__(self, base: Any) -> None:
        self.base = base

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What NumPy would have here."""
        return np.flatiter

    def __getitem__(self, index: Any) -> Any:
        return np.ravel(self.base).copy()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        np.put(self.base, np.arange(self.base.size)[index], value)

    def __iter__(self) -> Any:
        return iter(np.ravel(self.base))

    def __len__(self) -> int:
        return len(np.ravel(self.base))

    def copy(self) -> Any:
        """The elements as a vector."""
        return np.ravel(self.base).copy()


class ArrayMethods:
    """The methods and attributes of ndarray that a traced array has beyond operators and indexing."""

    __slots__ = ()

    @property
    def T(self: Any) -> Any:  # noqa: N802
        return np.transpose(self)

    @property
    def mT(self: Any) -> Any:  # noqa: N802
        return np.swapaxes(self, -1, -2)

    @property
    def real(self: Any) -> Any:
        return self if self.dtype.kind != "c" else np.real(self)

    @property
    def imag(self: Any) -> Any:
        return np.zeros_like(self) if self.dtype.kind != "c" else np.imag(self)

    def sum(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.sum(self, axis, dtype, out, **keywords)

    def prod(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.prod(self, axis, dtype, out, **keywords)

    def mean(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.mean(self, axis, dtype, out, **keywords)

    def var(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, **keywords: Any) -> Any:
        return np.var(self, axis, dtype, out, ddof, **keywords)

    def max(self: Any, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.max(self, axis, out, **keywords)

    def min(self: Any, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.min(self, axis, out, **keywords)

    def clip(self: Any, min: Any = None, max: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.clip(self, min, max, out, **keywords)

    def dot(self: Any, b: Any, out: Any = None) -> Any:
        return np.dot(self, b, out) if out is not None else np.dot(self, b)

    def conj(self: Any) -> Any:
        return self if self.dtype.kind != "c" else np.conjugate(self)

    conjugate = conj

    def reshape(self: Any, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        wanted = shape[0] if len(shape) == 1 else shape
        keywords: dict[str, Any] = {} if order == "C" else {"order": order}
        return np.reshape(self if not copy else self.copy(), wanted, **keywords)

    def ravel(self: Any, order: Any = "C") -> Any:
        return np.ravel(self) if order == "C" else np.ravel(self, order)

    def flatten(self: Any, order: Any = "C") -> Any:
        return np.ravel(self.copy()) if order == "C" else np.ravel(self.copy(), order)

    def transpose(self: Any, *axes: Any) -> Any:
        if not axes or axes == (None,):
            return np.transpose(self)
        return np.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)

    def swapaxes(self: Any, axis1: Any, axis2: Any) -> Any:
        return np.swapaxes(self, axis1, axis2)

    @property
    def flat(self: Any) -> Flat:
        return Flat(self)

    @flat.setter
    def flat(self: Any, values: Any) -> None:
        np.put(self, np.arange(self.size), values)

    def tolist(self: Any) -> Any:
        known = self.constant()
        if known is not None:
            return known.tolist()
        if not self.ndim:
            return self.item()
        if self.size > _LONGEST_LIST:
            raise refuse(f"tolist() of {self.aval} is more than {_LONGEST_LIST} numbers; compute with the array itself")
        return [row.tolist() for row in self]

    def __array_namespace__(self: Any, *, api_version: str | None = None) -> Any:
        return np

    def compress(self: Any, condition: Any, axis: Any = None) -> Any:
        return np.compress(condition, self, axis)

    def sort(self: Any, axis: int = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> None:
        self[...] = np.sort(self, axis, kind, order)

    def partition(self: Any, kth: Any, axis: int = -1, kind: Any = "introselect", order: Any = None) -> None:
        self[...] = np.partition(self, kth, axis, kind, order)

    def put(self: Any, indices: Any, values: Any, mode: Any = "raise") -> None:
        np.put(self, indices, values, mode)

    def squeeze(self: Any, axis: Any = None) -> Any:
        return np.squeeze(self, axis)

    def take(self: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
        keywords: dict[str, Any] = {} if mode == "raise" else {"mode": mode}
        return np.take(self, indices, axis, out, **keywords)

    def view(self: Any, dtype: Any = None) -> Any:
        if isinstance(dtype, type) and issubclass(dtype, np.ndarray) and dtype is not np.ndarray:
            raise refuse(f"a traced array is no np.{dtype.__name__}; use plain arrays, with @ for products of matrices")
        if dtype is not None and dtype is not np.ndarray:
            raise refuse("view(dtype) reads the bytes of an array in another way; use astype, which converts values")
        return self[...]

    def fill(self: Any, value: Any) -> None:
        self[...] = value

    def __round__(self: Any, ndigits: int | None = None) -> Any:
        made = np.round(self, ndigits or 0)
        if not self.scalar:
            return made
        if ndigits is None:
            return made.astype(int).python_number()
        return made.python_number() if self.aval.weak else made

    def __copy__(self: Any) -> Any:
        return self.copy()

    def __deepcopy__(self: Any, memo: Any) -> Any:
        return self.copy()


def _function(name: str) -> property:
    function = getattr(np, name)
    return property(lambda array: lambda *args, **kwargs: function(array, *args, **kwargs))


def _refused(name: str) -> property:
    """What refuses: a method when it is called, so that ``hasattr`` sees it; an attribute when it is read."""
    instead = next((text for names, text in _INSTEAD.items() if name in names.split()), _ELSE)

    def call(*args: Any, **kwargs: Any) -> Any:
        raise refuse(f"ndarray.{name} is not supported on a traced array; {instead}")

    return property((lambda array: call) if callable(getattr(np.ndarray, name)) else call)


def with_all_attributes(traced: Class) -> Class:
    """Give the class of traced arrays what ndarray has and it has not: a function of NumPy's, or a refusal.

    These are attributes of the class. With a ``__getattr__`` CPython could not look up any attribute quickly.
    """
    for name in dir(np.ndarray):
        if not name.startswith("__") and not hasattr(traced, name):
            setattr(traced, name, _function(name) if name in _SAME_NAME else _refused(name))
    for name in {*dir(np.float64), *dir(np.int64), *dir(float), *dir(int)}:
        if not name.startswith("__") and not hasattr(traced, name):
            setattr(traced, name, _of_numbers(name))
    for name in _SETTERS:
        setattr(traced, name, getattr(traced, name).setter(_unset(name)))
    return traced


def _of_numbers(name: str) -> property:
    """What numbers have, and arrays have not."""

    def read(number: Any) -> Any:
        if not hasattr(number.__class__, name):
            raise AttributeError(
                f"{number.__class__.__name__!r} object has no attribute {name!r}", name=name, obj=number
            )
        return refusing

    def refusing(*args: Any, **kwargs: Any) -> Any:
        raise refuse(f"{name}() needs the number behind a traced one; compute with NumPy functions")

    return property(read)


def _unset(name: str) -> Any:
    def assign(array: Any, content: Any) -> None:
        raise refuse(f"x.{name} = ... is not supported on a traced array; {_SETTERS[name]}")

    return assign
