"""Classes of NumPy's that a trace meets: ``np.ndenumerate`` is told, others are refused.

These walk through arrays in the order of memory, hold plain arrays, or make errors of what happens to numbers.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np

from gradc.frontend.frames import is_internal
from gradc.frontend.lines import refuse
from gradc.frontend.refusals import refusal
from gradc.frontend.session import current_session, holds_traced, is_traced

_REFUSED: Final = {
    "errstate": "np.errstate(...='raise') makes errors of divisions by zero, overflows and NaN, which a compiled "
    "function does not raise; leave it out, and look for them in the result with np.isfinite",
    "nditer": "np.nditer walks in the order of memory, which a trace does not know; use x.flat, np.ndenumerate(x) or "
    "np.ndindex(x.shape)",
    "broadcast": "np.broadcast holds plain arrays; use np.broadcast_arrays(x, y), or "
    "np.broadcast_shapes(x.shape, y.shape)",
    "as_strided": "np.lib.stride_tricks.as_strided reads memory by strides, which a trace does not know; use "
    "np.lib.stride_tricks.sliding_window_view, or an array of indices",
}


def enumerated(x: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """``np.ndenumerate`` of a traced array: each index with its element, read when it is its turn."""
    for index in np.ndindex(*x.shape):
        yield index, x[index]


def _raising(given: list[Any]) -> bool:
    """Whether arguments of ``np.errstate`` ask the user's own code for errors."""
    return ("raise" in given or "call" in given) and not is_internal(sys._getframe(2).f_code.co_filename)


def standing_for(
    original: type, told: Callable[..., Any], concerns: Callable[[list[Any]], bool] = holds_traced
) -> type:
    """A class that is the original to everyone, but calls ``told`` for traced arrays, or arguments that it concerns."""

    class _Standing(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if current_session() is not None and concerns([*args, *kwargs.values()]):
                return told(*args, **kwargs)
            return original(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return subclass is cls or issubclass(subclass, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    return _Standing(original.__name__, (), {"__doc__": original.__doc__})


def _refusing(name: str) -> Callable[..., Any]:
    def told(*args: Any, **kwargs: Any) -> Any:
        raise refuse(_REFUSED.get(name) or refusal(name, f"np.{name}"))

    return told


def _as_strided(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def stand_in(x: Any, *args: Any, **kwargs: Any) -> Any:
        if current_session() is not None and is_traced(x):
            raise refuse(_REFUSED["as_strided"])
        return original(x, *args, **kwargs)

    return stand_in


class ImportsInside:
    """Compiled modules look at ``numpy.broadcast`` as they are imported, and refuse a class of another size.

    On ``sys.meta_path`` while functions are traced: as soon as one of them imports a module, the original stands there
    again. From then on ``np.broadcast`` of a traced array is refused as a plain array is wanted.
    """

    def find_spec(self, *_: Any) -> None:
        """No module is found here."""
        np.broadcast = _BROADCAST  # type: ignore[misc]


_BROADCAST: Final = np.broadcast


def iterators() -> list[tuple[dict[str, Any], str, Any]]:
    """Where each is at home: the namespace, its name, and what stands for it."""
    tricks = vars(np.lib.stride_tricks)
    return [
        (vars(np), "ndenumerate", standing_for(np.ndenumerate, enumerated)),
        (vars(np), "errstate", standing_for(np.errstate, _refusing("errstate"), _raising)),
        (vars(np), "nditer", standing_for(np.nditer, _refusing("nditer"))),
        (vars(np), "poly1d", standing_for(np.poly1d, _refusing("poly1d"))),
        (vars(np), "broadcast", standing_for(np.broadcast, _refusing("broadcast"))),
        (tricks, "as_strided", _as_strided(tricks["as_strided"])),
    ]
