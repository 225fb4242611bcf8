"""ndarray's methods, told as NumPy's functions, which dispatch on traced arrays."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np

from gradc.frontend.session import refuse

_SAME_NAME: Final = frozenset(
    "all any argmax argmin argpartition argsort choose compress cumprod cumsum diagonal nonzero repeat round "
    "searchsorted std trace".split()
)
"""Methods that are the NumPy function of their name with the array first."""


class ArrayMethods:
    """The methods and attributes of ndarray that a traced array has beyond operators and indexing."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not hasattr(np.ndarray, name):
            raise AttributeError(f"a traced array has no attribute {name!r}")
        if name in _SAME_NAME:
            function = getattr(np, name)
            return lambda *args, **kwargs: function(self, *args, **kwargs)
        raise refuse(f"ndarray.{name} is not supported on a traced array; write it with functions of NumPy")

    @property
    def T(self) -> Any:  # noqa: N802
        return np.transpose(self)  # type: ignore[call-overload]

    @property
    def mT(self) -> Any:  # noqa: N802
        return np.swapaxes(self, -1, -2)  # type: ignore[call-overload]

    @property
    def real(self) -> Any:
        return self if self.dtype.kind != "c" else np.real(self)  # type: ignore[attr-defined]

    @property
    def imag(self) -> Any:
        return np.zeros_like(self) if self.dtype.kind != "c" else np.imag(self)  # type: ignore[attr-defined]

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.sum(self, axis, dtype, out, **keywords)  # type: ignore[call-overload]

    def prod(self, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.prod(self, axis, dtype, out, **keywords)  # type: ignore[call-overload]

    def mean(self, axis: Any = None, dtype: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.mean(self, axis, dtype, out, **keywords)  # type: ignore[call-overload]

    def var(self, axis: Any = None, dtype: Any = None, out: Any = None, ddof: float = 0, **keywords: Any) -> Any:
        return np.var(self, axis, dtype, out, ddof, **keywords)  # type: ignore[call-overload]

    def max(self, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.max(self, axis, out, **keywords)  # type: ignore[call-overload]

    def min(self, axis: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.min(self, axis, out, **keywords)  # type: ignore[call-overload]

    def clip(self, min: Any = None, max: Any = None, out: Any = None, **keywords: Any) -> Any:
        return np.clip(self, min, max, out, **keywords)  # type: ignore[call-overload]

    def dot(self, b: Any, out: Any = None) -> Any:
        return np.dot(self, b, out) if out is not None else np.dot(self, b)  # type: ignore[call-overload]

    def conj(self) -> Any:
        return np.conjugate(self)  # type: ignore[call-overload]

    conjugate = conj

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
        wanted = shape[0] if len(shape) == 1 else shape
        keywords: dict[str, Any] = {} if order == "C" else {"order": order}
        return np.reshape(self if not copy else self.copy(), wanted, **keywords)  # type: ignore[attr-defined]

    def ravel(self, order: str = "C") -> Any:
        return np.ravel(self) if order == "C" else np.ravel(self, order)  # type: ignore[call-overload]

    def flatten(self, order: str = "C") -> Any:
        return np.ravel(self.copy()) if order == "C" else np.ravel(self.copy(), order)  # type: ignore[attr-defined]

    def transpose(self, *axes: Any) -> Any:
        if not axes or axes == (None,):
            return np.transpose(self)  # type: ignore[call-overload]
        return np.transpose(self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes)  # type: ignore[call-overload]

    def swapaxes(self, axis1: Any, axis2: Any) -> Any:
        return np.swapaxes(self, axis1, axis2)  # type: ignore[call-overload]

    def squeeze(self, axis: Any = None) -> Any:
        return np.squeeze(self, axis)  # type: ignore[call-overload]

    def take(self, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
        keywords: dict[str, Any] = {} if mode == "raise" else {"mode": mode}
        return np.take(self, indices, axis, out, **keywords)  # type: ignore[call-overload]

    def view(self, dtype: Any = None) -> Any:
        if dtype is not None:
            raise refuse("view(dtype) reads the bytes of an array in another way; use astype, which converts values")
        return self[...]  # type: ignore[index]

    def fill(self, value: Any) -> None:
        self[...] = value  # type: ignore[index]

    def item(self, *index: Any) -> Any:
        return self._known("item()").item(*index)  # type: ignore[attr-defined]

    def tolist(self) -> Any:
        return self._known("tolist()").tolist()  # type: ignore[attr-defined]

    def __copy__(self) -> Self:
        return self.copy()  # type: ignore[attr-defined, no-any-return]

    def __deepcopy__(self, memo: Any) -> Self:
        return self.copy()  # type: ignore[attr-defined, no-any-return]
