"""NumPy's functions that write into an array given to them: put, place, putmask, fill_diagonal, copyto and the like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gradc.errors import ShapeError
from gradc.frontend import ufuncs
from gradc.frontend.numpy_api import indexing
from gradc.frontend.numpy_api.choices import in_mode
from gradc.frontend.numpy_api.notation import Array
from gradc.frontend.numpy_api.registry import lookup
from gradc.frontend.numpy_api.taking import positions_along
from gradc.frontend.session import Session, Traced, is_traced
from gradc.ops import index as indices_ops
from gradc.ops.shape import broadcast


def _target(a: Any, name: str) -> Traced:
    return a if is_traced(a) else ufuncs.written(a, None, name)


def _array(session: Session, x: Any) -> Any:
    return Array(session.lift(x))


def _value(session: Session, x: Any) -> Any:
    """The value of an array; where it has no elements it is a plain one."""
    return x.value if isinstance(x, Array) else session.lift(x)


def _copyto(session: Session, dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    target = _target(dst, "np.copyto")
    value = session.lift(src)
    if where is not True:
        selecting = lookup(np.where)
        assert selecting is not None
        value = selecting.call(session.lift, (where, value, target), {})
    target.assign(broadcast(value, target.aval.shape))


def _put(session: Session, a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """At places counted row by row; the values are used again and again."""
    target = _target(a, "np.put")
    whole = _array(session, target)
    index: Any = in_mode("np.put", np.ravel(_array(session, ind).astype(np.int64)), whole.size, mode)
    values: Any = np.resize(_array(session, v).astype(whole.dtype), index.shape)
    flat = indexing.setitem(_flat(whole), _value(session, index), _value(session, values), session.lift)
    target.assign(_shaped(flat, whole))


def _putmask(session: Session, a: Any, mask: Any, values: Any) -> None:
    """Where a mask holds; the values run along all elements, again and again."""
    target = _target(a, "np.putmask")
    whole, chosen = _array(session, target), _array(session, mask).astype(bool)
    if chosen.shape != whole.shape:
        raise ShapeError(f"np.putmask: the mask {chosen.value.aval} does not have the shape of {whole.value.aval}")
    new: Any = np.resize(_array(session, values).astype(whole.dtype), whole.shape)
    target.assign(np.where(chosen, new, whole).value)


def _place(session: Session, arr: Any, mask: Any, vals: Any) -> None:
    """Where a mask holds; the values run along these elements, again and again."""
    target = _target(arr, "np.place")
    whole, chosen = _array(session, target), np.ravel(_array(session, mask).astype(bool))
    values: Any = np.ravel(_array(session, vals).astype(whole.dtype))
    if chosen.size != whole.size or not values.size:
        raise ShapeError(f"np.place: the mask or the values do not fit {whole.value.aval}")
    number = (np.cumsum(chosen) - chosen) % values.size
    target.assign(np.where(chosen.reshape(whole.shape), values[number].reshape(whole.shape), whole).value)


def _fill_diagonal(session: Session, a: Any, val: Any, wrap: bool = False) -> None:
    """The elements at equal places of all axes; the values run along them, again and again."""
    target = _target(a, "np.fill_diagonal")
    whole = _array(session, target)
    sizes = [int(d) for d in whole.shape]
    if len(sizes) < 2 or (len(sizes) > 2 and len(set(sizes)) != 1):
        raise ShapeError(f"np.fill_diagonal: {whole.value.aval} needs two axes, or more of one size")
    if len(sizes) == 2:
        step, end = sizes[1] + 1, None if wrap else sizes[1] * sizes[1]
    else:
        step, end = 1 + sum(sizes[0] ** k for k in range(1, len(sizes))), None
    places = np.arange(whole.size)[:end:step]
    values: Any = np.resize(_array(session, val).astype(whole.dtype), (places.size,))
    flat = indexing.setitem(_flat(whole), places, _value(session, values), session.lift)
    target.assign(_shaped(flat, whole))


def _put_along_axis(session: Session, arr: Any, indices: Any, values: Any, axis: Any) -> None:
    """For each place of ``indices`` the element there, its position along the axis replaced."""
    target = _target(arr, "np.put_along_axis")
    whole = session.lift(target)
    if axis is None:
        flat: Any = np.ravel(_array(session, target))
        positions = positions_along("np.put_along_axis", flat.value, session.lift(indices), 0)
        base = flat.value
    else:
        base, positions = whole, positions_along("np.put_along_axis", whole, session.lift(indices), axis)
    shape = positions[0].aval.shape
    new = broadcast(_array(session, values).astype(base.aval.dtype).value, shape)
    made = indices_ops.scatter(base, new, *positions, axes=tuple(range(base.aval.ndim)), mode="set")
    target.assign(Array(made).reshape(whole.aval.shape).value)


def _flat(whole: Any) -> Any:
    return whole.reshape(whole.size).value


def _shaped(flat: Any, like: Any) -> Any:
    return Array(flat).reshape(like.shape).value


def _nan_to_num(session: Session, x: Any, copy: Any = True, *args: Any, **kwargs: Any) -> Any:
    """Numbers in the places of NaN and the infinities; without ``copy`` in the array itself."""
    record = lookup(np.nan_to_num)
    assert record is not None
    result = record.call(session.lift, (x, True, *args), kwargs)
    return result if copy or np.ndim(x) == 0 else ufuncs.written(x, result, "np.nan_to_num")


WRITERS: Final[dict[Any, Callable[..., Any]]] = {
    np.nan_to_num: _nan_to_num,
    np.copyto: _copyto,
    np.put: _put,
    np.putmask: _putmask,
    np.place: _place,
    np.fill_diagonal: _fill_diagonal,
    np.put_along_axis: _put_along_axis,
}
