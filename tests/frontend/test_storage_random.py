"""Random in-place programs, views of views included, mean what NumPy means or are refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gradc.backends.reference import evaluate
from gradc.errors import TraceError
from gradc.frontend.tracing import Trace, trace

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


def run(x: Any, steps: Sequence[Step], *, own: bool = False) -> list[Any]:
    """A program: arrays are made, viewed and written, and ``x`` itself where it is ``own``.

    What NumPy itself refuses does nothing.
    """
    arrays = [np.zeros((3, 4)), x if own else x * 2]
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


def traced(function: Callable[[Any], Any], writable: Sequence[int] = ()) -> Trace | None:
    """The trace of a program; None where it is refused because its meaning depends on a layout."""
    try:
        return trace(function, (X,), writable=writable)
    except TraceError as error:
        refused = str(error)
    assert "may share memory with another one that is still in use" in refused
    return None


@given(STEPS)
def test_random_programs(steps: list[Step]) -> None:
    found = traced(lambda x: run(x, steps))
    if found is not None:
        results = evaluate(found.graph, [X])
        for result, expected in zip(results, run(X.copy(), steps), strict=True):
            np.testing.assert_array_equal(result, expected)


@given(STEPS)
def test_random_programs_that_write_into_their_argument(steps: list[Step]) -> None:
    found = traced(lambda x: run(x, steps, own=True), writable=[0])
    if found is None:
        return
    results = evaluate(found.graph, [X])
    for mine in (X.copy("C"), X.copy("F")):
        expected = run(mine, steps, own=True)
        for result, wanted in zip(results, expected, strict=False):
            np.testing.assert_array_equal(result, wanted)
        for _, output in found.updates:
            np.testing.assert_array_equal(results[output], mine)
        assert found.updates or np.array_equal(mine, X)
