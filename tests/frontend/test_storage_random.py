"""Random in-place programs, views of views included, mean what NumPy means or are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradc.backends.reference import evaluate
from gradc.errors import TraceError
from gradc.frontend.tracing import trace

Step = tuple[str, int, int, int]

X = np.arange(1.0, 13.0).reshape(3, 4)

_PLACES: list[Any] = [
    slice(1, None), slice(None, None, -1), slice(None, None, 2), 0, -1, Ellipsis, (Ellipsis, 0), (slice(None), None),
    (slice(None), slice(0, 2)), (Ellipsis, slice(None, None, -1)), [0, 0], (slice(None), [1, 0]),
]  # fmt: skip
_MAKERS: list[Callable[[Any], Any]] = [
    lambda a: a.T, lambda a: a.reshape(-1), lambda a: a.ravel(), lambda a: a.copy(), lambda a: np.squeeze(a),
    lambda a: a[None], lambda a: np.asarray(a), lambda a: np.array(a), lambda a: a * 1, lambda a: a.flatten(),
    lambda a: np.flip(a), lambda a: np.moveaxis(a, 0, -1), lambda a: np.zeros_like(a),
    lambda a: a.reshape(a.shape[::-1]),
    lambda a: np.concatenate([a, a]), lambda a: np.atleast_2d(a), lambda a: np.split(a, 1)[0], lambda a: a.view(),
]  # fmt: skip

STEPS = st.lists(
    st.tuples(st.sampled_from(["view", "make", "set", "add", "scale"]), *[st.integers(0, 60)] * 3),
    min_size=3,
    max_size=9,
)


def run(x: Any, steps: Sequence[Step]) -> list[Any]:
    """A program: arrays are made, viewed and written; what NumPy itself refuses does nothing."""
    arrays = [np.zeros((3, 4)), x * 2]
    for kind, which, how, what in steps:
        target = arrays[which % len(arrays)]
        if target.ndim == 0:
            continue
        place = _PLACES[how % len(_PLACES)]
        try:
            if kind == "view":
                arrays.append(target[place])
            elif kind == "make":
                arrays.append(_MAKERS[how % len(_MAKERS)](target))
            elif kind == "set":
                target[place] = arrays[what % len(arrays)]
            elif kind == "add":
                target[place] += x[what % 3, what % 4]
            else:
                target *= what % 3 + 1
                arrays.append(target)
        except (ValueError, IndexError):
            continue
    return arrays


@given(STEPS)
def test_random_programs(steps: list[Step]) -> None:
    try:
        traced = trace(lambda x: run(x, steps), (X,))
    except TraceError as error:
        refused = str(error)
    else:
        refused = ""
    if refused:
        assert "may share memory with another one that is still in use" in refused
        return
    results = evaluate(traced.graph, [X])
    for result, expected in zip(results, run(X.copy(), steps), strict=True):
        np.testing.assert_array_equal(result, expected)
