"""``same(function, *args)``: the traced function gives what NumPy gives, bit for bit."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.frontend.intercept import INSTALLED
from gradc.frontend.session import current_session
from gradc.frontend.tracing import Trace, is_static, trace
from gradc.frontend.tree import flatten


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Any:
    """After each test no trace is open and nothing is replaced."""
    yield
    assert current_session() is None
    assert len(INSTALLED) == 0


@pytest.fixture
def same() -> Callable[..., Trace]:
    def check(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Trace:
        traced = trace(function, args, kwargs)
        leaves = [leaf for leaf in flatten((args, kwargs))[0] if not is_static(leaf)]
        results = evaluate(traced.graph, [np.array(leaf) for leaf in leaves])
        expected, tree = flatten(function(*copy.deepcopy(args), **copy.deepcopy(kwargs)))
        assert tree == traced.out_tree
        for position, (result, wanted) in enumerate(zip(results, expected, strict=True)):
            assert result.dtype == np.asarray(wanted).dtype, f"dtype of result {position}"
            np.testing.assert_array_equal(result, wanted, err_msg=f"result {position}", strict=False)
            assert result.shape == np.shape(wanted), f"shape of result {position}"
        return traced

    return check
