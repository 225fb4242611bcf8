"""Functions that put arrays together."""

import numpy as np
import pytest

from gradc.errors import ShapeError
from gradc.ir.aval import aval, symbol

JOINS = [np.concatenate, np.stack, np.vstack, np.hstack, np.column_stack]


@pytest.mark.parametrize("function", JOINS, ids=lambda f: f.__name__)
def test_lists(function, agrees, sample):
    for arrays in (
        [sample(2, 3), sample(2, 3)],
        [sample(3), sample(3, dtype="f4")],
        [sample(2, 3), sample(1, 3)],
        [sample(2, 3, dtype=int), sample(2, 3, dtype="f4")],
        [sample(3)],
        [sample(2), sample(3)],
        [sample(2, 2, 2), sample(2, 2, 2)],
        [sample(), sample()],
        [sample(3), sample(2, 3)],
    ):
        agrees(function, arrays)


@pytest.mark.parametrize("function", JOINS, ids=lambda f: f.__name__)
def test_an_array_is_the_list_of_its_rows(function, agrees, traced, sample):
    agrees(function, sample(3, 2, 2))
    with pytest.raises(ShapeError, match="at least one array"):
        traced(function, [])


@pytest.mark.parametrize("function", [np.concatenate, np.stack], ids=lambda f: f.__name__)
def test_axis_and_dtype(function, agrees, sample):
    for axis in (0, 1, -1, 5):
        agrees(function, [sample(2, 3), sample(2, 3)], axis=axis)
    agrees(function, [sample(2, 3), sample(2, 3)], dtype="f4")
    agrees(np.concatenate, [sample(2, 3), sample(4)], axis=None)


def test_append(agrees, sample):
    agrees(np.append, sample(3), sample(2))
    agrees(np.append, sample(3, dtype="f4"), 5)
    agrees(np.append, sample(2, 3), sample(1, 3), axis=0)


@pytest.mark.parametrize("shift", [1, -1, 0, 5, (1, 2)])
@pytest.mark.parametrize("axis", [None, 1, (0, 1), (0, 1, 2)])
def test_roll(shift, axis, agrees, sample):
    agrees(np.roll, sample(2, 3, 4), shift, axis=axis)


@pytest.mark.parametrize("reps", [2, (2, 1), (1, 2, 3, 1), (2,), 0])
def test_tile(reps, agrees, sample):
    agrees(np.tile, sample(2, 3, 4), reps)
    agrees(np.tile, sample(), reps)


def test_repeat(agrees, traced, sample):
    for repeats in (2, 0, [3]):
        agrees(np.repeat, sample(2, 3), repeats)
        agrees(np.repeat, sample(2, 3), repeats, axis=1)
    agrees(np.repeat, sample(2, 3), [1, 0, 2], axis=1)
    agrees(np.repeat, sample(2, 3), [0, 1, 2, 3, 4, 5])
    with pytest.raises(ShapeError, match="2 repeats for"):
        traced(np.repeat, sample(2, 3), [1, 2], axis=1)


@pytest.mark.parametrize("order", [0, 1, 2, 5])
def test_diff(order, agrees, sample):
    agrees(np.diff, sample(2, 3, 4), order)
    agrees(np.diff, sample(2, 3, 4), order, axis=0)
    agrees(np.diff, sample(4, dtype=bool), order)
    agrees(np.diff, sample(4, dtype="f4"), order, prepend=0.0)
    agrees(np.diff, sample(2, 4), order, prepend=1.0, append=sample(2, 2))


@pytest.mark.parametrize(
    ("function", "args"),
    [(np.roll, (2, 1)), (np.tile, ((2, 2),)), (np.repeat, (2, 0)), (np.diff, (2,)), (np.append, (1.0,))],
)
def test_gradients(function, args, gradient_agrees, sample):
    gradient_agrees(lambda bench, x: bench.call(function, x, *args), sample(3, 4))


def test_symbolic_sizes(bench):
    batch = symbol("batch")
    x = bench.builder.input("x", aval("f64[batch,3]"))
    assert bench.call(np.concatenate, [x, x]).aval.shape == (2 * batch, 3)
    assert bench.call(np.stack, [x, x], axis=1).aval.shape == (batch, 2, 3)
    assert bench.call(np.tile, x, (2, 1)).aval.shape == (2 * batch, 3)
    assert bench.call(np.repeat, x, 3, axis=0).aval.shape == (3 * batch, 3)
