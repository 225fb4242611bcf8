"""``x[mask]`` with a mask that is data: its size is not known, so it stays an array with a mask.

The mask may be one of elements, rows or columns. What is elementwise, what reduces it, and what takes parts of its rows
does not need the size: ``x[x > 0].sum()``, ``y[m] *= 2``, ``y[m] = np.log(x[m])``. Everything else is refused.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any, Final, NamedTuple

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
    """The elements, rows or columns of ``whole`` where ``mask`` holds, both traced; ``after`` axes come after its own.

    Elsewhere ``whole`` holds 1, where most functions are finite; nothing there is ever seen.
    """

    def __init__(self, whole: Any, mask: Any, after: int) -> None:
        self.whole = whole
        self.mask = mask
        self.after = after

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What NumPy would have here."""
        return np.ndarray

    @classmethod
    def of(cls, x: Any, mask: Any, after: int) -> Selected:
        """What the mask chooses of ``x``; what is written into either of them later is not seen."""
        return cls(np.where(_spread(mask, after), x, np.ones((), x.dtype)), mask.copy(), after)

    @property
    def before(self) -> int:
        """How many axes come before those of the mask."""
        before: int = self.whole.ndim - self.mask.ndim - self.after
        return before

    @property
    def dtype(self) -> np.dtype:
        """That of the elements."""
        dtype: np.dtype = self.whole.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """1 and the axes that the mask is not of."""
        ndim: int = self.whole.ndim - self.mask.ndim + 1
        return ndim

    def __getattr__(self, name: str) -> Any:
        function = _METHODS.get(name)
        if function is None:
            raise self.refusal()
        return lambda *args, **kwargs: self.__array_function__(function, (), (self, *args), kwargs)

    def astype(self, dtype: Any) -> Selected:
        """The elements in another dtype."""
        return self._like(self.whole.astype(dtype))

    def copy(self) -> Selected:
        """The same elements, of which ``+=`` changes one alone."""
        return self._like(self.whole)

    def _like(self, whole: Any) -> Selected:
        return Selected(whole, self.mask, self.after)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or ufunc.signature is not None or ufunc.nout > 1:
            raise self.refusal()
        operands = [self.beside(x) for x in inputs]
        if not keywords:
            return self._like(ufunc(*operands))
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
            return self._like(np.where(*[self.beside(x) for x in args]))
        if function in _ELEMENTWISE:
            return self._like(function(*[self.beside(x) for x in args], **kwargs))
        raise self.refusal()

    def _reduced(self, function: Any, axis: Any, given: dict[str, Any]) -> Any:
        """Over axes that the mask is not of what is chosen again, over its own too what has a size that is known."""
        named = range(self.ndim) if axis is None else axis if type(axis) is tuple else (axis,)
        if any(type(a) is not int or not -self.ndim <= a < self.ndim for a in named):
            raise self.refusal()
        axes, more = {a % self.ndim for a in named}, self.mask.ndim - 1
        others = [a + more * (a > self.before) for a in sorted(axes) if a != self.before]
        if self.before not in axes:
            gone = 0 if given.get("keepdims") else len([a for a in others if a > self.before])
            return Selected(function(self.whole, axis=tuple(others), **given), self.mask, self.after - gone)
        if function in _EXTREMES:
            given = {"initial": _EXTREMES[function], **given}
            if self.dtype.kind != "f":
                raise self.refusal()
        own = range(self.before, self.before + more + 1)
        every = None if len(axes) == self.ndim else (*others, *own)
        found = function(self.whole, axis=every, where=_spread(self.mask, self.after), **given)
        if not given.get("keepdims"):
            return found
        return found.reshape((*found.shape[: self.before], 1, *found.shape[self.before + more + 1 :]))

    def beside(self, x: Any) -> Any:
        """Another operand beside the whole: chosen by the same mask, or what belongs to every row."""
        if isinstance(x, Selected):
            if x.mask is not self.mask and x.mask.current() != self.mask.current():
                raise refuse("two arrays chosen by different masks meet; their sizes depend on data")
            if x.after != self.after:
                raise self.refusal()
            return x.whole
        if np.ndim(x) <= self.after or (self.mask.ndim == 1 and np.shape(x)[-1 - self.after] == 1):
            return x
        raise self.refusal()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.refusal()

    def __iter__(self) -> Any:
        raise self.refusal()

    def __len__(self) -> int:
        raise self.refusal()

    def __getitem__(self, index: Any) -> Any:
        """Parts of rows, ``x[mask][:, 0]``."""
        items = index if type(index) is tuple else (index,)
        every = type(items[0]) is slice and items[0] == slice(None) if items else False
        if not every or self.before or not all(type(part) in _BASIC for part in items):
            raise self.refusal()
        whole = self.whole[(*(slice(None),) * self.mask.ndim, *items[1:])]
        return Selected(whole, self.mask, whole.ndim - self.mask.ndim)

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


def _spread(mask: Any, after: int) -> Any:
    """A mask with axes after it."""
    return mask[(..., *(None,) * after)] if after else mask


class Choice(NamedTuple):
    """An index with a mask that is data."""

    mask: Any
    before: int
    """How many axes come before those of the mask."""
    parts: tuple[Any, ...] | None
    """The index of what it is a mask of; None for the array itself."""

    def of(self, array: Any) -> tuple[Any, Any, int]:
        """The part of an array that it is a mask of, the mask, and how many axes come after."""
        whole = array if self.parts is None else array[self.parts]
        return whole, self.mask, whole.ndim - self.before - self.mask.ndim


def chosen_by(index: Any, array: Any) -> Choice | None:
    """An index of an array with a traced mask of booleans; None for another one, and for a mask that is known."""
    items = index if type(index) is tuple else (index,)
    at = next((k for k, part in enumerate(items) if is_traced(part)), None)
    if at is None:
        return None
    mask: Any = items[at]
    first, last = items[:at], items[at + 1 :]
    if mask.aval.dtype != np.dtype(bool) or not all(type(part) in _BASIC for part in (*first, *last)):
        return None
    shape = array.aval.shape
    taken = len([part for part in (*first, *last) if type(part) in (int, slice)]) + mask.aval.ndim
    if Ellipsis in first:
        k = first.index(Ellipsis)
        first = (*first[:k], *(slice(None),) * (len(shape) - taken), *first[k + 1 :])
    kinds = {type(part) for part in first}
    if not kinds <= {int} and int in kinds | {type(part) for part in last}:
        return None  # then the axis of what is chosen may come first
    start = len([part for part in first if part is not None])
    if mask.aval.shape != (shape[start : start + mask.aval.ndim] if mask.aval.shape else shape):
        return None
    if mask.session.concrete(mask.current()) is not None:
        return None
    parts = (*first, *(slice(None),) * mask.aval.ndim, *last) if first or last else None
    return Choice(mask, 0 if int in kinds else len(first), parts)


def _plain_or_traced(value: Any) -> Any:
    return value if is_traced(value) else np.asarray(value)


def write(array: Any, choice: Choice, value: Any) -> None:
    """``array[index] = value``, of which value may be Selected."""
    whole, mask, after = choice.of(array)
    if not isinstance(value, Selected):
        if not choice.before:
            whole[mask] = value
            return
        value = _plain_or_traced(value).astype(whole.dtype)
    whole.assign(np.where(_spread(mask, after), Selected(whole, mask, after).beside(value), whole))
