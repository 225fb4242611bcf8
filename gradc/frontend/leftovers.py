"""What a function that was traced leaves in caches: dicts, lists, attributes, globals and closures.

A traced value that depends on no argument becomes the array that it is, so that whoever finds it there later, in a
trace or without one, has what NumPy would have left. Others stay, and are refused when they are used.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradc.frontend.reach import ITEMS, Container, Walk, store
from gradc.frontend.session import Session, is_traced


def settle_leftovers(session: Session, function: Callable[..., Any], arguments: Sequence[Any]) -> None:
    """Replace what the trace has left anywhere that ``function`` and its static arguments can reach."""
    walk = _Settling(lambda x: False, session=session)
    walk.visit(function)
    walk.visit(list(arguments))


@dataclass(slots=True)
class _Settling(Walk):
    """Replaces traced values by the arrays that they are. ``memories`` are those arrays by their storage."""

    session: Session | None = None
    memories: dict[int, tuple[Any, np.ndarray | None]] = field(default_factory=dict)

    def _place(self, container: Container, key: Any, content: Any) -> None:
        settled = self._settled(content)
        if settled is not content:
            store(container, key, settled)
        self.visit(settled)

    def _member(self, kind: type, name: str, content: Any) -> None:
        if not name.startswith("__") and not isinstance(content, types.MemberDescriptorType):
            self._place(kind, name, content)

    def _each(self, container: Container) -> None:
        if not isinstance(container, dict):
            first = max(0, len(container) - ITEMS)
            places: Any = [(first + k, container[first + k]) for k in range(len(container) - first)]
        else:
            # What was put in last stands last.
            places = list(itertools.islice(reversed(container.items()), ITEMS))
            if any(self._settled(key) is not key for key, _ in places):
                every = [(self._settled(key), content) for key, content in container.items()]
                container.clear()
                container.update(every)
                places = every
        for key, content in places:
            self._place(container, key, content)

    def _settled(self, x: Any) -> Any:
        """``x`` with arrays in the place of traced values that are known."""
        if is_traced(x):
            return self._array(x) if x.session is self.session else x
        if not isinstance(x, tuple) or len(x) > ITEMS:
            return x
        items = [self._settled(item) for item in x]
        if all(item is old for item, old in zip(items, x, strict=True)):
            return x
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)

    def _array(self, x: Any) -> Any:
        storage = x.storage
        if id(storage) not in self.memories:
            assert self.session is not None
            found = self.session.concrete(storage.value, fixing=False)
            self.memories[id(storage)] = storage, None if found is None else np.array(found)
        array = self.memories[id(storage)][1]
        if array is None:
            return x
        for step in x.path:
            array = step.op.evaluate(array, **step.params)
        if not x.scalar:
            return array
        return array.item() if x.aval.weak else array[()]
