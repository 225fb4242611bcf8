"""``x[mask]`` with a mask that is data: its size is not known, so it stays an array with a mask.

What is elementwise, and what reduces all of it, does not need the size: ``x[x > 0].sum()``, ``y[m] *= 2``,
``y[m] = np.log(x[m])``. Everything else is refused.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gradc.frontend.lines import refuse
from gradc.frontend.session import is_traced

_WHERE: Final = np.where
"""Kept from import on: during a trace there is a stand-in in its place."""

_REDUCTIONS: Final = frozenset({np.sum, np.prod, np.mean, np.var, np.std, np.any, np.all})
_EXTREMES: Final = {np.max: -np.inf, np.min: np.inf}


class Selected(np.lib.mixins.NDArrayOperatorsMixin):
    """The elements of ``whole`` where ``mask`` holds, both traced and of one shape.

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
        """``x[mask]``."""
        return cls(np.where(mask, x, np.ones((), x.dtype)), mask)

    @property
    def dtype(self) -> np.dtype:
        """That of the elements."""
        dtype: np.dtype = self.whole.dtype
        return dtype

    @property
    def ndim(self) -> int:
        """1: they stand in a row."""
        return 1

    def __getattr__(self, name: str) -> Any:
        function = _METHODS.get(name)
        if function is None:
            raise self.refusal()
        return lambda *args, **kwargs: self.__array_function__(function, (), (self, *args), kwargs)

    def astype(self, dtype: Any) -> Selected:
        """The elements in another dtype."""
        return Selected(self.whole.astype(dtype), self.mask)

    def copy(self) -> Selected:
        """The elements themselves: they are never written."""
        return self

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if method != "__call__" or (keywords and keywords != {"out": (self,)}):  # `x[mask] *= 2` has out=
            raise self.refusal()
        return Selected(ufunc(*[self.beside(x) for x in inputs]), self.mask)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        given = {name: x for name, x in kwargs.items() if not (name == "axis" and x in (None, 0, -1))}
        if len(args) == 2 and args[1] in (None, 0, -1):
            args = args[:1]
        if len(args) == 1 and function in _REDUCTIONS and "axis" not in given:
            return function(self.whole, where=self.mask, **given)
        if len(args) == 1 and function in _EXTREMES and self.dtype.kind == "f" and not given:
            return function(self.whole, where=self.mask, initial=_EXTREMES[function])
        if function is _WHERE and len(args) == 3 and not kwargs:
            return Selected(np.where(*[self.beside(x) for x in args]), self.mask)
        if function in (np.clip, np.nan_to_num, np.round):
            return Selected(function(*[self.beside(x) for x in args], **kwargs), self.mask)
        raise self.refusal()

    def beside(self, x: Any) -> Any:
        """Another operand in the shape of the whole: chosen by the same mask, or a number."""
        if isinstance(x, Selected):
            if x.mask is not self.mask and x.mask.current() != self.mask.current():
                raise refuse("two arrays chosen by different masks meet; their sizes depend on data")
            return x.whole
        if np.ndim(x) == 0:
            return x
        raise self.refusal()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self.refusal()

    def __iter__(self) -> Any:
        raise self.refusal()

    def __len__(self) -> int:
        raise self.refusal()

    def __getitem__(self, index: Any) -> Any:
        raise self.refusal()

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


def chosen_by(index: Any) -> Any:
    """The traced mask of booleans that an index is; None where it is something else, or is known."""
    item: Any = index[0] if type(index) is tuple and len(index) == 1 else index
    if not is_traced(item) or item.aval.dtype != np.dtype(bool):
        return None
    return item if item.session.concrete(item.current()) is None else None
