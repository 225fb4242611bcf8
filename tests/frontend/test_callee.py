"""A frame's own calls of a function are told from those of compiled code that it has called."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest

from gradc.frontend.callee import calls_itself

SEEN: list[bool] = []


def zeros(*args: Any, **kwargs: Any) -> list[int]:
    SEEN.append(calls_itself(sys._getframe(1), zeros, "zeros"))
    return [0]


class Module:
    zeros = staticmethod(zeros)


class Holder:
    def __init__(self) -> None:
        self.make = zeros

    def run(self) -> Any:
        return self.make(3)


np = Module()
made = zeros
TABLE = {"np": np, "zeros": zeros}


def plain() -> Any:
    return np.zeros(3)


def nested() -> Any:
    return made((1, len(made(2)))), np.zeros(np.zeros(1)[0])


def over_lines() -> Any:
    x = np.zeros(
        (3, 1),
        *(1, 2),
        dtype=float,
    )
    return x if x else made(k for k in range(3))


def by_variables() -> Any:
    local = made

    def inner() -> Any:
        return local(3)

    return inner(), [made(k) for k in range(2)], Holder().run()


def by_expression() -> Any:
    return TABLE["np"].zeros(3)  # type: ignore[attr-defined]


@pytest.mark.parametrize("function", [plain, nested, over_lines, by_variables, by_expression])
def test_its_own_calls(function: Any) -> None:
    SEEN.clear()
    function()
    assert SEEN
    assert all(SEEN)


def by_compiled_code() -> Any:
    list(map(zeros, [1, 2]))
    sorted([2, 1], key=zeros)
    functools.reduce(zeros, [1, 2, 3])
    return functools.partial(zeros)(3), max(1, 2, key=zeros)


def test_calls_of_compiled_code() -> None:
    SEEN.clear()
    by_compiled_code()
    assert len(SEEN) > 5
    assert not any(SEEN)
