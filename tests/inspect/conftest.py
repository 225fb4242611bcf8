"""What the tests of explain share: the networks, and telling a plain function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gradc.frontend.tracing import trace
from gradc.frontend.tree import flatten
from gradc.inspect.derivation import Derivation
from gradc.inspect.explain import explain


@pytest.fixture
def tell() -> Callable[..., Derivation]:
    """``tell(function, *args, wrt=...)``: the derivation at these arguments."""

    def told(function: Callable[..., Any], *args: Any, at: bool = True, **options: Any) -> Derivation:
        traced = trace(function, args, {})
        values = flatten(args)[0]
        return explain(
            traced.graph,
            function=function.__name__,
            calls=traced.calls,
            inner_names=traced.inner_names,
            at=values if at else None,
            **options,
        )

    return told
