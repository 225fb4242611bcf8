"""``x[mask]`` with a mask that is data: its size is not known, so it stays an array with a mask.

The mask may be one of elements or of rows. What is elementwise, what reduces all of it or rows of it, and what takes
parts of its rows does not need the size: ``x[x > 0].sum()``, ``y[m] *= 2``, ``y[m] = np.log(x[m])``. Everything else is
refused.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any, Final

import numpy as np

from gradc.frontend.lines import refuse
from gradc.frontend.session import is_traced

_WHERE: Final = np.where
"""Kept from import on, as the functions below: during a trace there are stand-ins in their places."""

_REDUCTIONS: Final = frozenset({np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all})
_EXTREMES: Final = {np.max: -np.inf, np.min: np.inf}
_ELEMENTWISE: Final = frozenset({np.clip, np.nan_to_num, np.round, np.around})
_BASIC: Final = (int, slice, type(None), EllipsisType)


class Selected(np.lib.mixins.NDArrayOperatorsMixin):
    """The elements or rows of ``whole`` where ``mask`` holds, both traced; the mask is of its first axes.

    Elsewhere ``whole`` holds 1, where most functions are finite; nothing there is ever seen.
    """

    def __init__(self, whole: Any, mask: Any) -> None:
        self.whole = whole
        self.mask = mask

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What NumPy would have here."""
        return np.ndarray

    @classmethod
    def of(cls, x: Any, mask: Any) -> Selected:
        """``x[mask]``; what is written into either of them later is not seen."""
        return cls(np.where(over_rows(mask, x.ndim), x, np.ones((), x.dtype)), mask.copy())

    @property
    def dtype(self) -> np.dtype:
        """That of the elements."""
        dtype: np.dtype = self.whole.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """1 and the axes of a row."""
        ndim: int = self.whole.ndim - self.mask.ndim + 1
        return ndim

    def __getattr__(self, name: str) -> Any:
        function = _METHODS.get(name)
        if function is None:
            raise self.refusal()
        return lambda *args, **kwargs: self.__array_function__(function, (), (self, *args), kwargs)

    def astype(self, dtype: Any) -> Selected:
        """The elements in another dtype."""
        return Selected(self.whole.astype(dtype), self.mask)

    def copy(self) -> Selected:
        """The same elements, of which ``+=`` changes one alone."""
        return Selected(self.whole, self.mask)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or ufunc.signature is not None or ufunc.nout > 1:
            raise self.refusal()
        operands = [self.beside(x) for x in inputs]
        if not keywords:
            return Selected(ufunc(*operands), self.mask)
        if keywords.keys() != {"out"} or keywords["out"][0] is not self:  # `x[mask] *= 2` has out=
            raise self.refusal()
        written = self.whole.copy()
        ufunc(*operands, out=(written,))
        self.whole = written
        return self

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function in _REDUCTIONS or function in _EXTREMES:
            axis = kwargs.get("axis", args[1] if len(args) == 2 else None)
            given = {name: x for name, x in kwargs.items() if name != "axis"}
            if len(args) <= 2 and not given.keys() & {"where", "out"}:
                return self._reduced(function, axis, given)
        if function is _WHERE and len(args) == 3 and not kwargs:
            return Selected(np.where(*[self.beside(x) for x in args]), self.mask)
        if function in _ELEMENTWISE:
            return Selected(function(*[self.beside(x) for x in args], **kwargs), self.mask)
        raise self.refusal()

    def _reduced(self, function: Any, axis: Any, given: dict[str, Any]) -> Any:
        """Over axes of rows elements again, over the first axis too what has a size that is known."""
        named = range(self.ndim) if axis is None else axis if type(axis) is tuple else (axis,)
        if any(type(a) is not int or not -self.ndim <= a < self.ndim for a in named):
            raise self.refusal()
        axes, more = {a % self.ndim for a in named}, self.mask.ndim - 1
        of_rows = tuple(sorted(a + more for a in axes if a))
        if 0 not in axes:
            return Selected(function(self.whole, axis=of_rows, **given), self.mask)
        if function in _EXTREMES:
            given = {"initial": _EXTREMES[function], **given}
            if self.dtype.kind != "f":
                raise self.refusal()
        every = None if len(axes) == self.ndim else (*range(more + 1), *of_rows)
        found = function(self.whole, axis=every, where=over_rows(self.mask, self.whole.ndim), **given)
        return found.reshape((1, *found.shape[more + 1 :])) if given.get("keepdims") else found

    def beside(self, x: Any) -> Any:
        """Another operand beside the whole: chosen by the same mask, or what belongs to every row."""
        if isinstance(x, Selected):
            if x.mask is not self.mask and x.mask.current() != self.mask.current():
                raise refuse("two arrays chosen by different masks meet; their sizes depend on data")
            if x.ndim != self.ndim:
                raise self.refusal()
            return x.whole
        if np.ndim(x) < self.ndim:
            return x
        raise self.refusal()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.refusal()

    def __iter__(self) -> Any:
        raise self.refusal()

    def __len__(self) -> int:
        raise self.refusal()

    def __getitem__(self, index: Any) -> Any:
        """All of the first axis, ``x[mask][:, 0]``."""
        items = index if type(index) is tuple else (index,)
        every = type(items[0]) is slice and items[0] == slice(None) if items else False
        if not every or not all(type(part) in _BASIC for part in items):
            raise self.refusal()
        return Selected(self.whole[_after_mask(self.mask, items[1:])], self.mask)

    def __setitem__(self, index: Any, value: Any) -> None:
        raise self.refusal()

    def refusal(self) -> Exception:
        """What is raised for everything that needs the size."""
        return refuse(
            f"the shape of an array indexed by the traced mask {self.mask.aval} depends on data; "
            "write np.where(mask, x, 0) and reduce that, or make the mask outside"
        )


_METHODS: Final = {
    "sum": np.sum, "prod": np.prod, "mean": np.mean, "var": np.var, "std": np.std, "any": np.any, "all": np.all,
    "max": np.max, "min": np.min, "clip": np.clip, "round": np.round,
}  # fmt: skip


def over_rows(mask: Any, ndim: int) -> Any:
    """A mask of the first axes beside an array of ``ndim`` axes."""
    return mask[(..., *(None,) * (ndim - mask.ndim))] if ndim > mask.ndim else mask


def _after_mask(mask: Any, items: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*(slice(None),) * mask.ndim, *items)


def chosen_by(index: Any, array: Any) -> tuple[Any, Any] | None:
    """The traced mask of booleans that an index begins with, and the index of the parts that it is a mask of.

    The latter is None for the array itself. None for another index, and for a mask that is known.
    """
    items = index if type(index) is tuple and index else (index,)
    mask: Any = items[0]
    if not is_traced(mask) or mask.aval.dtype != np.dtype(bool) or not all(type(part) in _BASIC for part in items[1:]):
        return None
    shape = array.aval.shape
    if mask.aval.shape != (shape[: mask.aval.ndim] if mask.aval.shape else shape):
        return None
    if mask.session.concrete(mask.current()) is not None:
        return None
    return mask, _after_mask(mask, items[1:]) if items[1:] else None
