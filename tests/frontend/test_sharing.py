"""``np.shares_memory`` of traced arrays: by the elements that two views have in common, as in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import TraceError
from gradc.frontend.tracing import trace

X = np.arange(6.0)
A = X.reshape(2, 3)

PAIRS: list[Callable[[Any], tuple[Any, Any]]] = [
    lambda a: (a[:2], a[2:]),
    lambda a: (a[:3], a[2:]),
    lambda a: (a[::2], a[1::2]),
    lambda a: (a[::-1], a[5:]),
    lambda a: (a, a.reshape(2, 3)),
    lambda a: (a.reshape(2, 3)[0], a[3:]),
    lambda a: (a.reshape(2, 3)[:, 0], a[3:4]),
    lambda a: (a.reshape(2, 3).T[1], a[1:2]),
    lambda a: (a, a.copy()),
    lambda a: (a, a * 1),
    lambda a: (a, np.ravel(a)),
    lambda a: (a[:0], a),
    lambda a: (a, np.zeros(6)),
    lambda a: (np.broadcast_to(a[:1], (3, 1)), a[1:]),
    lambda a: (np.broadcast_to(a[:1], (3, 1)), a[:1]),
    lambda a: (a[0], a),
    lambda a: (a[..., None], a[2:]),
    lambda a: (a[[0, 1]], a),
]


@pytest.mark.parametrize("asked", [np.shares_memory, np.may_share_memory])
@pytest.mark.parametrize("pair", PAIRS)
def test_views_share_what_they_have_in_common(pair: Callable[[Any], Any], asked: Callable[..., bool]) -> None:
    answers: list[bool] = []

    def function(x: Any) -> Any:
        answers.append(asked(*pair(x.copy())))
        return x

    function(X)
    trace(function, (X,))
    assert answers[0] == answers[1]


def test_a_branch_on_it() -> None:
    def function(x: Any) -> Any:
        y = x.copy()
        left, right = y[:3], y[3:]
        if np.shares_memory(left, right):
            left = left.copy()
        left += right
        return y

    np.testing.assert_array_equal(gradc.jit(function)(X), function(X))


def test_what_depends_on_a_layout_is_refused() -> None:
    with pytest.raises(TraceError, match=r"^np\.shares_memory: whether a view or a copy .* first: x = x\.copy\(\) \("):
        trace(lambda a: (lambda y: y * np.shares_memory(y, y.reshape(6)))(np.array(a)), (A,))
    with pytest.raises(TraceError, match=r"^np\.may_share_memory: the layout in memory is not known"):
        trace(lambda a: a * np.may_share_memory(a[:, 0], a[:, 1]), (A,))
