"""Generated source becomes a function that debuggers, tracebacks and ``inspect.getsource`` can read."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable
from typing import Any, Final

_COUNTER: Final = itertools.count()


def load(source: str, name: str) -> Callable[..., Any]:
    """The function ``name`` of a module of ours, given as source and run in a namespace of its own.

    The source is entered into ``linecache`` under a name of its own, for as long as the function lives.
    """
    file = f"<gradc {name} {next(_COUNTER)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {"__name__": f"gradc.generated.{name}"}
    exec(compile(source, file, "exec"), namespace)  # noqa: S102 - source that this package has rendered
    function: Callable[..., Any] = namespace[name]
    weakref.finalize(function, linecache.cache.pop, file, None)
    return function
