"""An element that is taken as a slice of one is written as an index, from whichever side the slice runs."""

from __future__ import annotations

import numpy as np
import pytest

import gradc

V = np.arange(5.0)


@pytest.mark.parametrize("place", range(5))
def test_an_element_of_a_reversed_array(place: int) -> None:
    assert gradc.jit(lambda v: v[::-1][place], backend="numpy")(V) == V[::-1][place]


def test_the_last_element_of_a_slice_that_runs_back() -> None:
    assert gradc.jit(lambda v: v[::-1][:1].sum() + v[::-2][:1], backend="numpy")(V) == V[-1] * 2
