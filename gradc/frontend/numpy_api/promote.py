"""NumPy 2's promotion (NEP 50) over Values, made explicit: conversions and broadcasts are nodes of their own.

What dtypes meet in what is asked of NumPy itself: ``ufunc.resolve_dtypes`` and ``np.result_type``, where a weak Value
(a Python number) stands as its Python type.
"""

from __future__ import annotations

import math
import sys
from functools import cache
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Dim, broadcast_shapes, is_supported, short_dtype
from gradc.ir.graph import Builder, Value
from gradc.ir.op import Op
from gradc.ops.elementwise import convert, not_equal
from gradc.ops.shape import broadcast, dim_value

Marker = np.dtype | type

_WEAK: dict[str, type] = {"i": int, "f": float, "c": complex}
_BOOL = np.dtype(bool)


def marker(x: Value) -> Marker:
    """What stands for ``x`` in NumPy's promotion: its dtype, or ``int``, ``float``, ``complex`` for a Python number."""
    aval = x.aval
    return _WEAK[aval.dtype.kind] if aval.weak else aval.dtype


@cache
def operand_dtype(ufunc: np.ufunc, *markers: Marker) -> np.dtype:
    """The dtype of the operands in the loop that NumPy chooses; among Python numbers alone, that of their arrays.

    Raises DtypeError where there is no loop, or none whose operands have one dtype.
    """
    if all(isinstance(m, type) for m in markers):
        markers = tuple(map(np.dtype, markers))
    listed = " and ".join(map(_text, markers))
    try:
        dtypes = ufunc.resolve_dtypes((*markers, *(None,) * ufunc.nout))[: len(markers)]
    except TypeError as error:
        raise DtypeError(f"np.{ufunc.__name__} is not defined for {listed}: {error}", as_numpy=True) from None
    if len(set(dtypes)) > 1:
        raise DtypeError(f"np.{ufunc.__name__}: {listed} meet in no common dtype; convert one of them first")
    return dtypes[0]


def ufunc_of_scipy(name: str) -> np.ufunc | None:
    """The ufunc ``scipy.special.name`` of the SciPy in use; during a trace a stand-in is in its place."""
    held = getattr(sys.modules.get("scipy.special"), name, None)
    held = getattr(held, "__wrapped__", held)
    return held if isinstance(held, np.ufunc) else None


def _text(marker: Marker) -> str:
    return marker.__name__ if isinstance(marker, type) else short_dtype(marker)


def common_dtype(*values: Value) -> np.dtype:
    """``np.result_type`` of the values."""
    return np.result_type(*[m(0) if isinstance(m := marker(x), type) else m for x in values])


def astype(x: Value, dtype: Any) -> Value:
    """``x.astype(dtype)``: strong, and ``x`` itself where nothing changes. Raises DtypeError for complex to real."""
    target = np.dtype(dtype)
    if x.aval.dtype == target and not x.aval.weak:
        return x
    if not is_supported(target):
        raise DtypeError(f"{x.aval} cannot be converted to {target} while tracing; use a dtype of numbers or bool")
    if x.aval.dtype.kind == "c" and target.kind not in "cb":
        raise DtypeError(f"converting {x.aval} to {short_dtype(target)} drops the imaginary part; take .real first")
    if target == _BOOL:
        return truth(x)
    return convert(x, dtype=target)


def strong(x: Value) -> Value:
    """``x`` as an array: a Python number becomes one of its NumPy dtype."""
    return converted(x, x.aval.dtype) if x.aval.weak else x


def truth(x: Value) -> Value:
    """``x`` as booleans: what is not 0 is true, NaN too."""
    if x.aval.dtype == _BOOL:
        return x
    return not_equal(x, x.builder.full(0, x.aval))


def python_constant(x: Value) -> Any:
    """The Python number that ``x`` holds, or None where it holds an array or is not known while tracing."""
    node = x.node
    return node.params["value"].item() if node.op.name == "constant" and x.aval.weak else None


def fits(number: int, dtype: np.dtype) -> bool:
    """Whether an integer can be held by an integer dtype."""
    info = np.iinfo(dtype)
    return info.min <= number <= info.max


def python_number(x: Value) -> Value:
    """A NumPy number as the Python number that its ``item()`` is; booleans stay as they are."""
    if x.aval.weak or x.aval.dtype == _BOOL:
        return x
    if x.aval.dtype == np.dtype(np.uint64):
        raise DtypeError(f"item(): a Python int of {x.aval} may not fit into i64; compute with the array itself")
    return convert(x, dtype=np.dtype({"f": np.float64, "c": np.complex128}.get(x.aval.dtype.kind, np.int64)), weak=True)


def python_integer(x: Value) -> Value:
    """Python's True and False as the integers that they are in arithmetic."""
    return convert(x, dtype=np.dtype(np.int64), weak=True)


def converted(x: Value, dtype: np.dtype) -> Value:
    """``x`` as an operand of a loop of ``dtype``, or to be written into it. A Python number becomes a constant at once.

    Raises DtypeError for a Python number that the dtype cannot hold, or might not (NumPy's OverflowError, TypeError).
    """
    aval = x.aval
    if aval.dtype == dtype and not aval.weak:
        return x
    number = python_constant(x)
    if number is not None:
        return x.builder.once((x.id, dtype), lambda: _constant(x.builder, number, dtype))
    if aval.weak and aval.dtype.kind == "i" and dtype.kind in "iu" and dtype != aval.dtype:
        raise DtypeError(
            f"a traced Python int meets an array of {short_dtype(dtype)}, which may not hold it; "
            f"pass np.{dtype.name}(n), or convert the array to int64 first"
        )
    if x.node.op is dim_value and dtype.kind == "f":
        return x.builder.apply(dim_value, dim=x.node.params["dim"], dtype=dtype)
    return truth(x) if dtype == _BOOL else convert(x, dtype=dtype)


def _constant(builder: Builder, number: Any, dtype: np.dtype) -> Value:
    with np.errstate(all="ignore"):
        return builder.constant(np.asarray(_as_held_by(number, dtype)).astype(dtype))


def _as_held_by(number: Any, dtype: np.dtype) -> Any:
    """A Python number as NumPy takes it into ``dtype``. Raises DtypeError where it does not."""
    if isinstance(number, complex) and dtype.kind != "c":
        raise DtypeError(f"the complex number {number} does not go into {short_dtype(dtype)}; take its .real")
    if dtype.kind in "iu":
        if not math.isfinite(number):
            raise DtypeError(f"{number} does not go into {short_dtype(dtype)}; convert the array to float first")
        if not fits(int(number), dtype):
            raise DtypeError(
                f"Python integer {int(number)} out of bounds for {dtype.name}; convert the array to a wider dtype"
            )
        return int(number)
    # NumPy makes a double of a Python int before it rounds further.
    return float(number) if isinstance(number, int) and dtype.kind in "fc" else number


def _weakly(x: Value, dtype: np.dtype) -> Value:
    """A Python number as one of another type that stays weak: an int among floats."""
    if x.aval.dtype == dtype:
        return x
    number = python_constant(x)
    if number is None:
        return convert(x, dtype=dtype, weak=True)
    return x.builder.constant(dtype.type(number).item(), weak=True)


def common_shape(name: str, *values: Value) -> tuple[Dim, ...]:
    """The shape to which the values broadcast together. Raises ShapeError with the avals."""
    shapes = [v.aval.shape for v in values]
    first = shapes[0]
    if shapes.count(first) == len(shapes):
        return first
    try:
        return broadcast_shapes(*shapes)
    except ShapeError:
        listed = " and ".join(str(v.aval) for v in values)
        raise ShapeError(
            f"{name}: {listed} do not broadcast together; sizes must be equal or 1, counted from the last axis"
        ) from None


def broadcasted(name: str, *values: Value) -> list[Value]:
    """The values broadcast together."""
    shape = common_shape(name, *values)
    return [v if v.aval.shape is shape else broadcast(v, shape) for v in values]


def elementwise(op: Op, ufunc: np.ufunc, *operands: Value) -> Value:
    """``op`` with the promotion and broadcasting of ``ufunc``. Two Python numbers stay one.

    Raises DtypeError where NumPy has no loop or gradc no op for it, ShapeError where shapes do not broadcast.
    """
    avals = [x.aval for x in operands]
    dtype = operand_dtype(ufunc, *[_WEAK[a.dtype.kind] if a.weak else a.dtype for a in avals])
    first = avals[0]
    if first.dtype is dtype and avals.count(first) == len(avals):
        return op(*operands)
    convert_to = _weakly if all(a.weak for a in avals) else converted
    ready = [
        x if a.dtype is dtype and not a.weak else convert_to(x, dtype) for x, a in zip(operands, avals, strict=True)
    ]
    return op(*broadcasted(f"np.{ufunc.__name__}", *ready))


def as_number(x: Any) -> Any:
    """An object of a subclass of Python's numbers as its number; anything else as it is."""
    kind = type(x)
    if kind in (bool, int, float, complex) or isinstance(x, np.generic):
        return x
    plain: Any = next((number for number in (int, float, complex) if issubclass(kind, number)), None)
    return x if plain is None else plain(x)
