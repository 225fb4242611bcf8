"""A symbolic size in the user's hands: what ``x.shape[0]`` is where the size is known only when the kernel is called.

With integers and other sizes it stays a size, which shapes and slices accept. With anything else it is a Python int in
the graph. A comparison that its value decides is refused: the graph would hold for some sizes only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

import numpy as np

from gradc.frontend.lines import refuse
from gradc.ir.aval import Dim, SymbolicDim

Lifted = Callable[["Size"], Any]

_NEEDED: Final = "compile with a fixed size, or write it without range(), int(), math and tests of the size"


class Size:
    """A symbolic size. ``traced`` makes the traced number of it, for arithmetic that leaves the sizes."""

    __array_priority__ = 1001.0
    __slots__ = ("dim", "traced")

    def __init__(self, dim: SymbolicDim, traced: Lifted) -> None:
        self.dim = dim
        self.traced = traced

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """What it is when the kernel is called."""
        return int

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        return getattr(ufunc, method)(*[_number(x) for x in inputs], **keywords)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*[_number(x) for x in args], **{name: _number(x) for name, x in kwargs.items()})

    def __index__(self) -> int:
        raise self._unknown("Python needs a number here")

    __int__ = __index__

    def __float__(self) -> float:
        raise self._unknown("float() or a function of math needs a number; NumPy's functions, as np.sqrt, do not")

    def __bool__(self) -> bool:
        raise self._unknown("whether it is 0 is not known")

    def _unknown(self, why: str) -> Exception:
        return refuse(f"the size {self.dim} is symbolic and {why}; {_NEEDED}")

    def __hash__(self) -> int:
        return hash(self.dim)

    def __repr__(self) -> str:
        return str(self.dim)

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b * a)

    def __floordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a // b)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b // a)

    def __mod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a % b)

    def __rmod__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: b % a)

    def __truediv__(self, other: Any) -> Any:
        return self._as_number() / _number(other)

    def __rtruediv__(self, other: Any) -> Any:
        return _number(other) / self._as_number()

    def __pow__(self, other: Any) -> Any:
        return self._as_number() ** _number(other)

    def __rpow__(self, other: Any) -> Any:
        return _number(other) ** self._as_number()

    def __neg__(self) -> Any:
        return self._with(-1, lambda a, b: a * b)

    def __pos__(self) -> Any:
        return self

    def __eq__(self, other: object) -> Any:
        return self._compared(other, "==", lambda d: d == 0)

    def __ne__(self, other: object) -> Any:
        return self._compared(other, "!=", lambda d: d != 0)

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, "<", lambda d: d < 0)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, "<=", lambda d: d <= 0)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, ">", lambda d: d > 0)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, ">=", lambda d: d >= 0)

    def _as_number(self) -> Any:
        return self.traced(self)

    def _with(self, other: Any, combine: Callable[[Any, Any], Any]) -> Any:
        if type(other) in (Size, int):
            return sized(combine(self.dim, plain_dim(other)), self.traced)
        return combine(self._as_number(), other)

    def _compared(self, other: Any, sign: str, decide: Callable[[int], bool]) -> bool:
        """The comparison where the difference is a number whatever the size is, or where the other is no integer."""
        if type(other) not in (Size, int):
            if other is None or isinstance(other, str):
                return sign == "!="
            self._undecided(f"{sign} {other}")
        difference = self.dim - plain_dim(other)
        if isinstance(difference, SymbolicDim):
            self._undecided(f"{sign} {other}")
        return decide(difference)

    def _undecided(self, comparison: str) -> NoReturn:
        raise self._unknown(f"whether it is {comparison} is not known")


def sized(dim: Any, traced: Lifted) -> Any:
    """A size as the user gets it: an int, or a Size."""
    return Size(dim, traced) if isinstance(dim, SymbolicDim) else dim


def plain_dim(x: Any) -> Dim:
    """A size as shapes hold it."""
    dim: Dim = x.dim if type(x) is Size else x
    return dim


def plain_dims(x: Any) -> Any:
    """A shape, or an index of slices, with sizes as shapes hold them."""
    if type(x) is Size:
        return x.dim
    if type(x) in (tuple, list):
        return type(x)([plain_dims(item) for item in x])
    if type(x) is slice:
        return slice(plain_dims(x.start), plain_dims(x.stop), plain_dims(x.step))
    return x


def _number(x: Any) -> Any:
    return x.traced(x) if type(x) is Size else x
