"""Functions under ``functools.cache`` and ``lru_cache``: what they keep is never a value of a trace.

With arguments that are known the function is called outside of the trace. It gives and keeps plain arrays, as it does
without a trace, and what it has kept before it gives again. With traced numbers, which NumPy's numbers would be keys
for, the results are kept for as long as the trace lasts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from gradc.frontend.session import Session, aside, current_session, is_traced
from gradc.frontend.sizes import Size

_CACHED: Final = type(functools.lru_cache(lambda: None))


def is_cached(x: object) -> bool:
    """Whether ``x`` is a function that keeps its results, or a static or class method that does."""
    return type(x) is _CACHED or (isinstance(x, (staticmethod, classmethod)) and type(x.__func__) is _CACHED)


def keeping(original: Any) -> Any:
    """What stands for such a function while one that calls it is traced."""
    if isinstance(original, (staticmethod, classmethod)):
        return type(original)(keeping(original.__func__))

    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        session = current_session()
        if session is None:
            return original(*args, **kwargs)
        given = tuple([_known(x) for x in args])
        named = {name: _known(x) for name, x in kwargs.items()}
        if not _is_traced((*given, *named.values())):
            with aside(session, getattr(original, "__qualname__", repr(original))):
                return original(*given, **named)
        return _of_this_trace(session, original, given, named)

    for name in ("cache_info", "cache_clear", "cache_parameters"):
        setattr(stand_in, name, getattr(original, name))
    return stand_in


def _of_this_trace(session: Session, original: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    kept = session.kept
    key = (id(original), _key(args), tuple([(name, _key(x)) for name, x in kwargs.items()]))
    if key not in kept:
        function: Callable[..., Any] = original.__wrapped__
        kept[key] = function(*args, **kwargs)
    return kept[key]


def _known(x: Any) -> Any:
    """A traced number that is known, which becomes static, as NumPy has it."""
    if not is_traced(x) or not x.scalar:
        return x
    known = x.plain()
    return x if known is None else known


def _is_traced(x: Any) -> bool:
    if isinstance(x, (tuple, frozenset)):
        return any(map(_is_traced, x))
    return is_traced(x) or type(x) is Size


def _key(x: Any) -> Any:
    """What stands for an argument in a key. Raises TraceError for an array, which is none in NumPy either."""
    if is_traced(x):
        if not x.scalar:
            hash(x)
        return (Session, id(x.session), x.current().id)
    return (type(x), *map(_key, x)) if isinstance(x, tuple) else (type(x), x)
