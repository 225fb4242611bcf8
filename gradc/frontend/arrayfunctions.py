"""NEP 18: NumPy's functions on traced arrays."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import TraceError
from gradc.frontend import callables, ufuncs
from gradc.frontend.numpy_api import promote
from gradc.frontend.numpy_api.einsum import rearranges
from gradc.frontend.numpy_api.registry import Implementation, lookup
from gradc.frontend.refusals import refusal
from gradc.frontend.session import Session, holds_traced, is_traced
from gradc.frontend.sizes import Size, plain_dims
from gradc.frontend.writers import WRITERS
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ops.shape import broadcast

_DIAG: Final = np.diag
_EINSUM: Final = np.einsum
_RAVEL: Final = np.ravel
_PAD: Final = np.pad
_WHERE: Final = np.where
"""Kept from import on: during a trace there are stand-ins in their places."""

VIEWS: Final = frozenset(
    {
        np.transpose, np.matrix_transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.reshape, np.ravel, np.squeeze,
        np.expand_dims, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.flip, np.fliplr, np.flipud,
        np.rot90, np.broadcast_to, np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.diagonal,
        np.diag, np.real, np.imag, np.trim_zeros, np.lib.stride_tricks.sliding_window_view, np.linalg.diagonal,
        np.linalg.matrix_transpose, getattr(np, "unstack", None),
    }
)  # fmt: skip
"""Functions whose results share memory with an argument, always or where the layout allows it."""

GIVE_ARRAYS: Final = frozenset({np.where, np.select, np.copy, np.tensordot})
"""Functions that give an array, not a number, where the result has no axes (views do always)."""


def viewed(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The traced arrays that the function's results may be views of."""
    if kwargs.get("copy"):
        return ()
    if function not in VIEWS or (function is _DIAG and args and np.ndim(args[0]) != 2):
        return tuple([x for x in args if is_traced(x)]) if function is _EINSUM and rearranges(args) else ()
    return tuple([x for x in args if is_traced(x)])


def flattens(function: Any) -> bool | None:
    """Whether the function gives what np.ravel does, a view of memory that is in order; None: a view in any layout."""
    return None if function is _EINSUM else function is _RAVEL


def apply(session: Session, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What ``function(*args, **kwargs)`` gives: a Value, a list or tuple of them, or something plain.

    Raises TraceError for a function that is not supported on traced values.
    """
    own = _OWN.get(function)
    return _recorded(session, function, args, kwargs) if own is None else own(session, *args, **kwargs)


def _recorded(session: Session, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    record = lookup(function)
    if record is None or (function is _WHERE and len(args) == 1):
        found = ufuncs.evaluated(session, function, args, kwargs)
        if found is not None:
            return _lifted(session, found)
    if record is None:
        name = f"{function.__module__.replace('numpy', 'np')}.{function.__name__}"
        raise TraceError(refusal(function.__name__, name))
    if holds_traced(args[1:]) or holds_traced(tuple(kwargs.values())):
        args, kwargs = _plain(record, args, kwargs)
    if kwargs.get("out") is None and not _positional_out(record, args):
        return record.call(session.lift, args, {name: x for name, x in kwargs.items() if name != "out"})
    first, given, out = _apart(record, args, kwargs)
    return ufuncs.written(out, record.call(session.lift, first, given), record.name)


def _plain(
    record: Implementation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments with plain numbers for traced ones where a function takes a number: axes, shapes, counts."""
    operands = record.arrays | record.sequences | record.nested | {"out"}
    names: list[str] = []
    for name, parameter in record.signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            return args, kwargs
        names.append(name)

    def plain(name: str, x: Any) -> Any:
        number = name in record.counts and is_traced(x) and x.aval.ndim == 0
        return x if name in operands and not number else _number(x, name)

    listed = [plain(name, x) for name, x in zip(names, args, strict=False)]
    return (*listed, *args[len(listed) :]), {name: plain(name, x) for name, x in kwargs.items()}


def _number(x: Any, name: str) -> Any:
    if is_traced(x):
        known = x.constant()
        if known is None:
            raise TraceError(f"{name}= has to be known while tracing; pass it as a Python number, which becomes static")
        return known.item() if known.ndim == 0 else known
    return type(x)([_number(item, name) for item in x]) if type(x) in (list, tuple) else plain_dims(x)


def _positional_out(record: Implementation, args: tuple[Any, ...]) -> bool:
    """Whether an array to write to stands among the positional arguments."""
    parameters = record.signature.parameters
    if "out" not in parameters or parameters["out"].kind is inspect.Parameter.KEYWORD_ONLY:
        return False
    place = list(parameters).index("out")
    return len(args) > place and args[place] is not None


def _apart(
    record: Implementation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any], Any]:
    """The arguments that have to stand in order, those by name, and the array to write to."""
    if "out" in kwargs:
        given = dict(kwargs)
        return args, given, given.pop("out")
    place = list(record.signature.parameters).index("out")
    return (*args[:place], None, *args[place + 1 :]), kwargs, args[place]


def _lifted(session: Session, found: Any) -> Any:
    if isinstance(found, (np.ndarray, np.generic)) and found.dtype != object:
        return session.lift(found)
    if type(found) in (tuple, list):
        return type(found)([_lifted(session, item) for item in found])
    return found


# What concerns memory, shapes and types, and not values.


def _fill_like(number: float) -> Callable[..., Value]:
    def like(session: Session, a: Any, dtype: Any = None, *rest: Any, **keywords: Any) -> Value:
        return _full_like(session, a, number, dtype, *rest, **keywords)

    return like


def _full_like(
    session: Session,
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    *,
    shape: Any = None,
    device: Any = None,
) -> Value:
    aval = session.lift(a).aval
    wanted = aval.shape if shape is None else shape_of(shape)
    kind = np.dtype(aval.dtype if dtype is None else dtype)
    return broadcast(promote.astype(session.lift(fill_value), kind), wanted)


def shape_of(shape: Any) -> tuple[Any, ...]:
    """A shape as functions take it, a size or a sequence of sizes, as a tuple; symbolic sizes stay."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list, np.ndarray)) else (shape,)
    return tuple([d.dim if type(d) is Size else operator.index(d) for d in sizes])


def _copy(session: Session, a: Any, order: str = "K", subok: bool = False) -> Any:
    return session.lift(a)


def _aval(session: Session, x: Any) -> Aval:
    return session.lift(x).aval


def _pad(session: Session, array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    if callable(mode):
        return callables.padded(session, array, pad_width, mode, **kwargs)
    return _recorded(session, _PAD, (array, pad_width, mode), kwargs)


def _indices_from(function: Any) -> Callable[..., Any]:
    """``np.tril_indices_from`` and others, which look at the shape alone."""
    return lambda session, arr, *args, **kwargs: function(np.broadcast_to(0, _shape(arr)), *args, **kwargs)


def _result_type(session: Session, *given: Any) -> np.dtype:
    values = [x if isinstance(x, (np.dtype, type, str)) else session.lift(x) for x in given]
    markers = [promote.marker(x) if isinstance(x, Value) else np.dtype(x) for x in values]
    return np.result_type(*[m(0) if isinstance(m, type) else m for m in markers])


def _shape(a: Any) -> Any:
    return a.shape if hasattr(a, "shape") else (len(a), *_shape(a[0])) if len(a) else (0,)


def _size(session: Session, a: Any, axis: Any = None) -> Any:
    if isinstance(axis, tuple):
        return math.prod(_shape(a)[k] for k in axis)
    return a.size if axis is None else _shape(a)[axis]


def _aliases(function: Any) -> Callable[..., bool]:
    """``np.shares_memory`` and ``np.may_share_memory``, which asks whether two arrays overlap with what is between."""

    def asked(session: Session, a: Any, b: Any, max_work: Any = None) -> bool:
        if not is_traced(a) or not is_traced(b) or a.scalar or b.scalar:
            return False
        if a.storage is not b.storage:
            if a.storage.is_linked(b.storage):
                raise TraceError(
                    f"{_told(function)}: whether a view or a copy was made depends on the layout in memory; "
                    "copy one of them first: x = x.copy()"
                )
            return False
        views = a.storage.views(a.path, b.path)
        if views is not None and np.shares_memory(*views):
            return True
        if views is None or (function is np.may_share_memory and a.storage.in_order(()) is None):
            raise TraceError(
                f"{_told(function)}: the layout in memory is not known; copy the array first: x = x.copy()"
            )
        return bool(function(*views))

    return asked


def _told(function: Any) -> str:
    return f"np.{function.__name__}"


_OWN: Final[dict[Any, Callable[..., Any]]] = {
    **WRITERS,
    np.apply_along_axis: callables.along_axis,
    np.apply_over_axes: callables.over_axes,
    np.piecewise: callables.piecewise,
    np.zeros_like: _fill_like(0),
    np.ones_like: _fill_like(1),
    np.full_like: _full_like,
    np.empty_like: _fill_like(0),
    np.copy: _copy,
    np.shape: lambda session, a: _shape(a),
    np.ndim: lambda session, a: _aval(session, a).ndim,
    np.size: _size,
    np.pad: _pad,
    **{f: _indices_from(f) for f in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from)},
    np.result_type: _result_type,
    np.iscomplexobj: lambda session, x: _aval(session, x).dtype.kind == "c",
    np.isrealobj: lambda session, x: _aval(session, x).dtype.kind != "c",
    np.shares_memory: _aliases(np.shares_memory),
    np.may_share_memory: _aliases(np.may_share_memory),
}
