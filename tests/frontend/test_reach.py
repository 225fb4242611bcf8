"""What a function can reach is found wherever code keeps it: attributes, slots, namespaces, queues, contexts."""

from __future__ import annotations

import collections
import contextvars
import functools
import secrets
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy import zeros

from gradc.errors import TraceError
from gradc.frontend.tracing import trace

Same = Callable[..., Any]
X = np.arange(1.0, 4.0)
GENERATOR = np.random.default_rng(0)


def test_generators_are_found_where_code_keeps_them() -> None:
    class Slotted:
        __slots__ = ("rng",)

        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)

    class Noisy:
        rng = np.random.default_rng(0)

    def by_attribute(x: Any) -> Any:
        return x + by_attribute.rng.normal()  # type: ignore[attr-defined]

    by_attribute.rng = Noisy.rng  # type: ignore[attr-defined]
    slotted, namespace = Slotted(), types.SimpleNamespace(rng=Noisy.rng)
    queue, users = collections.deque([Noisy.rng]), collections.UserDict(rng=Noisy.rng)
    frozen, draw = types.MappingProxyType({"rng": Noisy.rng}), Noisy.rng.normal
    context = contextvars.ContextVar("rng", default=Noisy.rng)
    functions: dict[str, Callable[[Any], Any]] = {
        "attribute of a function": by_attribute,
        "attribute of a class": lambda x: x + Noisy.rng.normal(),
        "slot": lambda x: x + slotted.rng.normal(),
        "namespace": lambda x: x + namespace.rng.normal(),
        "deque": lambda x: x + queue[0].normal(),
        "dict of the library": lambda x: x + users["rng"].normal(),
        "mapping": lambda x: x + frozen["rng"].normal(),
        "context": lambda x: x + context.get().normal(),
        "partial": functools.partial(lambda rng, x: x + rng.normal(), Noisy.rng),
        "method": lambda x: x + draw(),
        "by name": lambda x: x + globals()["GENERATOR"].normal(),
        "secrets": lambda x: x + secrets.randbelow(3),
    }
    before = slotted.rng.bit_generator.state, Noisy.rng.bit_generator.state
    for name, function in functions.items():
        with pytest.raises(TraceError, match="a random draw while tracing"):
            trace(function, (X,))
        assert type(Noisy.rng) is np.random.Generator, name
    assert (slotted.rng.bit_generator.state, Noisy.rng.bit_generator.state) == before
    assert namespace.rng is queue[0] is users["rng"] is vars(by_attribute)["rng"] is Noisy.rng


def test_functions_in_namespaces_make_arrays_that_can_be_written(same: Same) -> None:
    namespace = types.SimpleNamespace(make=zeros)

    def function(x: Any) -> Any:
        made = namespace.make(3)
        made[0] = x[0]
        return made

    same(function, X)
    assert namespace.make is np.zeros
