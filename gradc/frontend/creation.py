"""Functions that make arrays, as they are during a trace: what they make can be written with traced values.

``np.empty`` gives zeros: what it holds before it is written is not specified by NumPy, so that zeros are one of its
meanings, and the only one that is the same each time.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError, TraceError
from gradc.frontend import arrayfunctions
from gradc.frontend.arrayfunctions import shape_of
from gradc.frontend.integers import require_fitting
from gradc.frontend.lines import refuse
from gradc.frontend.numpy_api import promote
from gradc.frontend.selected import Selected
from gradc.frontend.session import Session, holds_traced, is_traced
from gradc.frontend.sizes import Size
from gradc.frontend.tracer import Tracer, perform
from gradc.ir.aval import Dim, is_supported
from gradc.ir.graph import Value
from gradc.ops.shape import broadcast, iota, reshaped

Original = Callable[..., Any]
Handler = Callable[[Original, tuple[Any, ...], dict[str, Any]], Any]

# Kept from import on: while a function is traced, np.array and its like are the stand-ins.
_ARRAY: Final = np.array
_ZEROS_LIKE: Final = np.zeros_like


def _filled(number: float) -> Handler:
    def handler(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _make(_filled_arguments(*args, **kwargs), number)

    return handler


def _filled_arguments(
    shape: Any, dtype: Any = float, order: str = "C", *, device: Any = None, like: Any = None
) -> tuple[tuple[Dim, ...], np.dtype]:
    return shape_of(shape), np.dtype(float if dtype is None else dtype)


def _make(shape_and_dtype: tuple[tuple[Dim, ...], np.dtype], fill: Any) -> Any:
    shape, dtype = shape_and_dtype

    def make(session: Session) -> Value:
        if not is_supported(dtype):
            raise TraceError(f"an array of dtype {dtype} cannot be made while tracing; make it outside the function")
        return broadcast(promote.converted(session.lift(fill), dtype), shape)

    return _fresh(make)


def _fresh(make: Callable[[Session], Value], like: Any = None) -> Any:
    """A new array with memory of its own: in C order, or in the order of ``like``."""
    made = perform(make, array=True)
    if not isinstance(made, Tracer):  # several arrays, or something plain
        return made
    if isinstance(like, Tracer):
        made.storage.contiguous = like.storage.in_order(like.path) is True
    else:
        made.storage.contiguous = type(like) is not np.ndarray or like.flags.c_contiguous
    return made


def _full(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def arguments(
        shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None, like: Any = None
    ) -> Any:
        return shape_of(shape), fill_value, dtype

    shape, fill, dtype = arguments(*args, **kwargs)
    require_fitting(fill, dtype)

    def make(session: Session) -> Value:
        value = promote.strong(session.lift(fill))
        return broadcast(value if dtype is None else promote.astype(value, dtype), shape)

    return _fresh(make)


def _array(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.array``: always a new array here, since ``copy=True`` is its default."""

    def arguments(
        object: Any,
        dtype: Any = None,
        *,
        copy: bool | None = True,
        order: str | None = "K",
        subok: bool = False,
        ndmin: int = 0,
        like: Any = None,
    ) -> Any:
        return object, dtype, copy, ndmin

    x, dtype, copy, ndmin = arguments(*args, **kwargs)
    x = _read(x)
    if not holds_traced(x):
        return _plain(original, args, kwargs)
    if not copy and ndmin == 0:
        return _same(x, dtype)
    require_fitting(x, dtype)

    def make(session: Session) -> Value:
        value = promote.strong(session.lift(x))
        if dtype is not None:
            value = promote.astype(value, dtype)
        return reshaped(value, (1,) * (ndmin - value.aval.ndim) + value.aval.shape)

    return _fresh(make, x)


def _as_array(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.asarray``: the array itself where it is one of that dtype."""

    def arguments(
        a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: bool | None = None, like: Any = None
    ) -> Any:
        return a, dtype, copy

    x, dtype, copy = arguments(*args, **kwargs)
    x = _read(x)
    if isinstance(x, np.ndarray) and not is_traced(x):
        return original(*args, **kwargs)
    if not holds_traced(x):
        return _plain(original, args, kwargs)
    return _same(x, dtype) if not copy else _array(_ARRAY, (x, dtype), {})


def _read(x: Any) -> Any:
    """What an object that NumPy asks for an array gives; anything else as it is."""
    kind = type(x)
    known = issubclass(kind, (np.ndarray, np.generic, Tracer, Selected)) or not hasattr(kind, "__array__")
    return x if known else x.__array__()


def _of_iterable(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.fromiter``: the array of what an iterable gives."""

    def arguments(iter: Any, dtype: Any, count: int = -1, *, like: Any = None) -> Any:
        return iter, np.dtype(dtype), count

    iterable, dtype, count = arguments(*args, **kwargs)
    items = list(iterable if count < 0 else itertools.islice(iterable, count))
    if not holds_traced(items):
        return _plain(original, (items, dtype, count), {})
    if len(items) < count:
        raise ShapeError(f"np.fromiter: count={count} and the iterable has {len(items)} items")
    return _array(_ARRAY, (items, dtype), {})


def _same(x: Any, dtype: Any) -> Any:
    if isinstance(x, Tracer) and not x.scalar and (dtype is None or x.dtype == np.dtype(dtype)):
        return x
    return _array(_ARRAY, (x, dtype), {})


def _contiguous(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.ascontiguousarray``: the array itself or a copy, depending on its layout."""
    x = args[0]
    if not isinstance(x, Tracer):
        return _as_array(original, args, kwargs)
    if x.storage.contiguous and not x.path and len(args) == 1 and not kwargs:
        return x
    made = _array(_ARRAY, args, {**kwargs, "ndmin": 1})
    made.storage.contiguous = True
    made.storage.link(x.storage)
    return made


def _column_major(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.asfortranarray``: the array itself or a copy, depending on its layout."""
    x = args[0]
    if not isinstance(x, Tracer):
        return _as_array(original, args, kwargs)
    made = _array(_ARRAY, args, kwargs)
    made.storage.contiguous = made.ndim < 2
    made.storage.link(x.storage)
    return made


_KEPT: Final = frozenset({"A", "ALIGNED", "E", "ENSUREARRAY"})
"""What ``np.require`` may ask for that every traced array has."""

_LAYOUTS: Final[dict[str, Handler]] = {
    **dict.fromkeys(("C", "CONTIGUOUS", "C_CONTIGUOUS"), _contiguous),
    **dict.fromkeys(("F", "FORTRAN", "F_CONTIGUOUS"), _column_major),
}


def _required(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.require``: the array itself where it has that dtype and all that is asked for, otherwise a copy."""

    def arguments(a: Any, dtype: Any = None, requirements: Any = None, *, like: Any = None) -> Any:
        return a, dtype, [word.upper() for word in requirements or ()]

    x, dtype, asked = arguments(*args, **kwargs)
    x = _read(x)
    if not holds_traced(x):
        return original(*args, **kwargs) if isinstance(x, np.ndarray) else _plain(original, args, kwargs)
    layouts = [_LAYOUTS[word] for word in asked if word in _LAYOUTS]
    if len(set(layouts)) > 1:
        raise ShapeError("np.require: an array is asked for in C order and in Fortran's at once", as_numpy=True)
    made = _same(x, dtype)
    if made is not x or set(asked) <= _KEPT:
        return made
    if layouts and x.ndim:
        made = layouts[0](original, (made,), {})
    if not set(asked) <= {*_KEPT, *_LAYOUTS} and made is x:  # whether it owns its memory is not known
        made = _array(_ARRAY, (x,), {})
        made.storage.link(x.storage)
    return made


def _plain(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function whose arguments are known: NumPy's own result, as an array that can be written with traced values."""
    for x in (*args, *kwargs.values()):
        if type(x) is Size:
            raise refuse(
                f"np.{original.__name__} counts up to a number and the size {x} is symbolic; compile with a fixed size "
                f"(np.arange({x}) alone works: from 0 in steps of 1)"
            )
    made = original(*[_known(x) for x in args], **{name: _known(x) for name, x in kwargs.items() if name != "like"})
    if type(made) is not np.ndarray or not is_supported(made.dtype):
        return made
    traced = _fresh(lambda session: session.lift(made))
    traced.storage.contiguous = bool(made.flags.c_contiguous)
    return traced


def _arange(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.arange(n)``, whose end may be a symbolic size."""
    if len(args) == 1 and type(args[0]) is Size and not set(kwargs) - {"dtype"}:
        dim, dtype = args[0].dim, np.dtype(kwargs.get("dtype") or np.int64)
        return _fresh(lambda session: session.builder.apply(iota, dim=dim, dtype=dtype))
    return _plain(original, args, kwargs)


def _known(x: Any) -> Any:
    """A traced number that is static as a Python number."""
    return x.item() if isinstance(x, Tracer) and x.scalar else x


def _like(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.zeros_like(x)`` and the like dispatch on traced arrays, here in lists too; on others they make a new one."""
    if any(type(x) in (list, tuple) for x in args):
        args = tuple([_array(_ARRAY, (x,), {}) if type(x) in (list, tuple) and holds_traced(x) else x for x in args])
    if any(is_traced(x) for x in (*args, *kwargs.values())):
        return _fresh(lambda session: arrayfunctions.apply(session, original, args, kwargs), args[0] if args else None)
    return _plain(original, args, kwargs)


def _full_like(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    def arguments(a: Any, fill_value: Any, dtype: Any = None, **others: Any) -> Any:
        return fill_value, getattr(a, "dtype", None) if dtype is None else dtype

    require_fitting(*arguments(*args[:3], **kwargs))
    return _like(original, args, kwargs)


def _taken(original: Original, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``np.take``, which dispatches on its table alone and not on the index. An element of it is a number."""
    made: Any = _like(original, args, kwargs)
    is_number = is_traced(made) and not made.aval.shape and kwargs.get("out") is None
    return made[()] if is_number else made


CREATION: Final[dict[Original, Handler]] = {
    np.zeros: _filled(0),
    np.ones: _filled(1),
    np.empty: _filled(0),
    np.full: _full,
    np.array: _array,
    np.asarray: _as_array,
    np.asanyarray: _as_array,
    np.ascontiguousarray: _contiguous,
    np.asfortranarray: _column_major,
    np.require: _required,
    np.arange: _arange,
    np.eye: _plain,
    np.identity: _plain,
    np.tri: _plain,
    np.linspace: _like,
    np.zeros_like: _like,
    np.ones_like: _like,
    np.empty_like: lambda original, args, kwargs: _like(_ZEROS_LIKE, args, kwargs),
    np.full_like: _full_like,
    np.copy: _like,
    np.fromiter: _of_iterable,
    np.take: _taken,
}
"""What stands for each of these functions while its caller is traced."""
