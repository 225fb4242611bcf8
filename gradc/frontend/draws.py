"""Random numbers drawn while tracing are refused: each call of the compiled function would get the same ones.

But for generators that the function makes of a known seed, whose numbers are the same in every call in NumPy too.
"""

from __future__ import annotations

import functools
import operator
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from gradc.errors import TraceError
from gradc.frontend.frames import is_internal
from gradc.frontend.lines import refuse
from gradc.frontend.session import current_session

StandIn = Callable[..., Any]

GENERATORS: Final = (np.random.Generator, np.random.RandomState, random.Random)
_DEFAULT: Final = np.random.default_rng
"""Kept from import on: during a trace there is a stand-in in its place."""
_RANDOM: Final = (
    "a random draw while tracing would be the same number in every call of the compiled function; "
    "draw outside and pass the numbers as an argument"
)


def _is_draw(depth: int = 2) -> bool:
    return current_session() is not None and not is_internal(sys._getframe(depth).f_code.co_filename)


def refused(original: StandIn) -> StandIn:
    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if _is_draw():
            if original is _DEFAULT:
                return original(_seed(args, kwargs))
            raise refuse(_RANDOM)
        return original(*args, **kwargs)

    return stand_in


def _seed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """The integer of which a generator is made; one that is traced becomes fixed. Raises TraceError for another."""
    given = (*args, *kwargs.values())
    if len(given) != 1 or not isinstance(given[0], (int, np.integer)):
        raise refuse(_RANDOM)
    return operator.index(given[0])


def refused_always(original: StandIn) -> StandIn:
    """For a method that draws from a generator of its own choice, whoever calls it."""

    @functools.wraps(original)
    def stand_in(*args: Any, **kwargs: Any) -> Any:
        if current_session() is not None:
            raise refuse(_RANDOM)
        return original(*args, **kwargs)

    return stand_in


def refused_class(original: type) -> type:
    """A class that makes generators of known seeds alone while tracing, and is otherwise the original to everyone."""

    class _Refusing(type):
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            if _is_draw():
                if original is GENERATORS[0]:
                    raise refuse(_RANDOM)
                return original(_seed(args, kwargs))
            return original(*args, **kwargs)

        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, original)

        def __subclasscheck__(cls, subclass: type) -> bool:
            return issubclass(subclass, original)

        def __getattr__(cls, name: str) -> Any:
            return getattr(original, name)

    return _Refusing(original.__name__, (), {"__doc__": original.__doc__})


class RefusedGenerator:
    """Stands for a random generator that the traced function can reach."""

    def __init__(self, original: Any) -> None:
        self._original = original

    def __getattr__(self, name: str) -> Any:
        if _is_draw():
            raise refuse(_RANDOM)
        return getattr(self._original, name)


@contextmanager
def unchanged(generators: Sequence[Any]) -> Iterator[None]:
    """Watch generators that no stand-in can take the place of.

    Raises TraceError, and puts their states back, where one was drawn from.
    """
    before = [_state(x) for x in generators]
    yield
    drawn = [(x, state) for x, state in zip(generators, before, strict=True) if _text(_state(x)) != _text(state)]
    for x, state in drawn:
        _restore(x, state)
    if drawn:
        raise TraceError(_RANDOM)


def _state(x: Any) -> Any:
    if isinstance(x, random.Random):
        return x.getstate()
    return x.bit_generator.state if isinstance(x, np.random.Generator) else x.get_state(legacy=False)


def _restore(x: Any, state: Any) -> None:
    if isinstance(x, random.Random):
        x.setstate(state)
    elif isinstance(x, np.random.Generator):
        x.bit_generator.state = state
    else:
        x.set_state(state)


def _text(state: Any) -> Any:
    """A state as something that compares: its arrays as bytes."""
    if isinstance(state, dict):
        return {name: _text(x) for name, x in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state
