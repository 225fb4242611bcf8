"""Where Python or NumPy needs a plain number or array of a traced one.

It is there for constants, and for what depends on Python integers alone, which become static by it; everything else is
refused with the remedy.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, Final

from gradc.errors import ShapeError
from gradc.frontend.bytecode import subscript_use
from gradc.frontend.frames import user_frame
from gradc.frontend.lines import refuse
from gradc.frontend.numpy_api.registry import lookup
from gradc.frontend.refusals import calling, refusal
from gradc.frontend.session import require_session
from gradc.frontend.ufuncs import PLAIN_TARGET

_PLAIN: Final = (
    "a traced value is needed as a plain array here, and is not known while tracing; use NumPy's functions on it: "
    "np.dot(a, x) in place of a.dot(x), x.astype(np.float32) in place of np.float32(x), "
    "np.stack([x, y]) in place of [x, y] for a method of a ufunc"
)
_PLAIN_TABLE: Final = (
    "a plain object is indexed by a traced value; write np.take(table, index, axis=0) for an array made outside the "
    "function, and np.concatenate for np.r_"
)

_SHOW_VALUES: Final = frozenset(
    {
        "IPython", "_pydevd_bundle", "_pytest", "bdb", "debugpy", "gradc", "logging", "pdb", "pprint", "pydevd",
        "reprlib", "rich", "traceback", "unittest",
    }
)  # fmt: skip
"""Packages and modules that show values to people."""

_OF_ONE_ELEMENT: Final = ("float()", "int()", "complex()")


def _inside_a_library(frame: FrameType | None) -> None:
    """Raise TraceError where not the user's code but a function of NumPy or SciPy that it called asks for numbers."""
    if frame is not None and str(frame.f_globals.get("__name__", "")).startswith("scipy.sparse._"):
        raise refuse("a sparse array of SciPy meets a traced array; use a dense one: A.toarray() @ x")
    called = calling(frame)
    if called is not None and lookup(called.function) is None:
        raise refuse(refusal(called.name, called.written))


class Conversions:
    """Python's conversions of a traced array; the class has ``constant()``, the array where it is known."""

    __slots__ = ()

    def __array__(self: Any, dtype: Any = None, copy: Any = None) -> Any:
        array = self.constant()
        if array is None:
            _inside_a_library(sys._getframe(1))
            use = subscript_use(user_frame(sys._getframe(1)))
            raise refuse(PLAIN_TARGET if use == "store" else _PLAIN_TABLE if use == "load" else _PLAIN)
        return array if dtype is None else array.astype(dtype)

    def _known(
        self: Any, what: str, remedy: str = "compute with NumPy functions and let the value stay an array"
    ) -> Any:
        array = self.constant()
        if array is None:
            _inside_a_library(sys._getframe(2))
            # Of several elements NumPy gives no number either.
            several = what.startswith(_OF_ONE_ELEMENT) and self.size != 1
            message = f"{what} needs the number behind a traced {self.aval}, unknown while tracing; {remedy}"
            raise refuse(message, as_numpy=several)
        return array

    def __bool__(self: Any) -> bool:
        remedy = (
            "use np.where(condition, a, b), np.maximum or np.minimum, which keep both branches, "
            "and &, | and ~ for and, or and not"
        )
        return bool(self._known("a truth value (if, while, assert, and, or, not)", remedy))

    def __float__(self: Any) -> float:
        if self.constant() is None and subscript_use(user_frame(sys._getframe(1))) == "store":
            raise refuse(PLAIN_TARGET)
        return float(self._known("float() or a function of math", "use NumPy's function: np.exp, np.sqrt, ..."))

    def __int__(self: Any) -> int:
        return int(self._known("int()", "use x.astype(int), or pass the number as a Python int, which becomes static"))

    def __complex__(self: Any) -> complex:
        return complex(self._known("complex()"))

    def __index__(self: Any) -> int:
        if self.dtype.kind not in "iu" or self.ndim:
            raise refuse(
                f"Python needs an integer here and gets a traced {self.aval}; pass it as a Python int", as_numpy=True
            )
        remedy = "pass it as a Python int, which becomes static, or index an array with np.array([i])"
        return int(self._known("a size, an axis, a range or a list's index", remedy))

    def __hash__(self: Any) -> int:
        known = self.constant() if self.scalar else None
        if known is None:
            raise refuse(
                "a traced value cannot be a key of a dict or a member of a set: it is unknown while tracing; "
                "use a position in a list, or a Python int, which becomes static",
                as_numpy=not self.scalar,
            )
        return hash(known.item())

    def __contains__(self: Any, item: object) -> bool:
        raise refuse("`in` needs the numbers behind a traced array; use np.any(x == item), which stays traced")

    def item(self: Any, *index: Any) -> Any:
        known = self.constant()
        if known is not None:
            return known.item(*index)
        if not index and self.size != 1:
            error = ShapeError(f"item() needs an index where an array has not one element, and this is {self.aval}")
            raise require_session().located(error)
        place = index[0] if len(index) == 1 else index or 0
        element = self[place] if type(place) is tuple else self.copy().reshape(-1)[place]
        return element.python_number()

    def __bytes__(self: Any) -> bytes:
        return bytes(self._known("bytes()", "return the array, and take its bytes after the call"))

    def __reduce_ex__(self: Any, protocol: Any) -> Any:
        remedy = "return the array, and pickle it after the call; copies are made by x.copy() and the module copy"
        self._known("pickling", remedy)
        return self.plain().__reduce_ex__(protocol)

    def __str__(self: Any) -> str:
        return str(self._told("str() or print()"))

    def __format__(self: Any, specification: str) -> str:
        return format(self._told("formatting"), specification)

    def __repr__(self: Any) -> str:
        return repr(_Shown(self) if self.session.ended else self._told("repr()"))

    def _told(self: Any, what: str) -> Any:
        """What text of it is made of: itself where it is known, for tools that show values what it stands for."""
        module = str(sys._getframe(2).f_globals.get("__name__", ""))
        if module.partition(".")[0] in _SHOW_VALUES:
            return _Shown(self)
        self._known(what, "return it and print it after the call; its shape and dtype are known and can be printed")
        return self.plain()


class _Shown:
    """A traced array as tools show it."""

    def __init__(self, array: Any) -> None:
        self.text = "<a traced value of a trace that has ended>" if array.session.ended else f"<traced {array.aval}>"

    def __repr__(self) -> str:
        return self.text
