"""Indexing: every mixture of ints, slices, newaxes, ellipsis, integer arrays and masks, read and written."""

import itertools
import random

import numpy as np
import pytest

from gradc.errors import DtypeError, GradcError, IndexBoundsError, ShapeError, TraceError
from gradc.frontend.numpy_api.indexing import getitem, setitem
from gradc.ir.aval import aval, symbol

SHAPE = (3, 4, 5, 2)


def items(size):
    return [
        0, -1, size - 1, size, np.int64(1), np.array(1), slice(None), slice(1, None), slice(None, -1),
        slice(None, None, -1), slice(2, 0, -1), slice(0, 0), slice(-2, None, 2), None, Ellipsis, np.array([0, 1]),
        np.array([[1], [0]]),
        [0, -1], [], np.array([0]), np.array([True] * (size - 1) + [False]), np.ones((3, 4), bool),
    ]  # fmt: skip


def all_indices():
    chosen = random.Random(1)
    yield from itertools.product(items(3))
    yield from itertools.product(items(3), items(4))
    for _ in range(200):
        yield tuple(chosen.choice(items(chosen.choice((3, 4, 5)))) for _ in range(chosen.choice((3, 4, 5))))


def as_data(bench, index):
    """The index with its integer arrays traced."""
    return tuple(bench.input(i) if isinstance(i, np.ndarray) and i.dtype != bool and i.ndim else i for i in index)


@pytest.mark.parametrize("data", [False, True], ids=["static", "data"])
def test_reading(data, new_bench, same):
    x = np.arange(120.0).reshape(SHAPE)
    for index in all_indices():
        bench = new_bench()
        value = bench.input(x)
        key = as_data(bench, index) if data else index
        try:
            expected = x[index]
        except IndexError:
            with pytest.raises(GradcError):
                bench.run(getitem(value, key, bench.lift))
            continue
        same(bench.run(getitem(value, key, bench.lift))[0], expected)


@pytest.mark.parametrize("data", [False, True], ids=["static", "data"])
@pytest.mark.parametrize("mode", ["set", "add"])
def test_writing(mode, data, new_bench):
    x = np.arange(120.0).reshape(SHAPE)
    for number, index in enumerate(all_indices()):
        try:
            place = x[index]
        except IndexError:
            continue
        new = np.arange(1.0, place.size + 1).reshape(place.shape)
        value = (new, np.float64(7), new[..., :1])[number % 3 if place.ndim else 1]
        expected = x.copy()
        if mode == "set":
            expected[index] = value
        else:
            np.add.at(expected, index, value)
        bench = new_bench()
        base, key = bench.input(x), as_data(bench, index) if data else index
        written = setitem(base, key, bench.input(value), bench.lift, mode)
        np.testing.assert_array_equal(bench.run(written)[0], expected)


@pytest.mark.parametrize(
    "index", [0, -1, slice(1), ..., None, np.array([0, 2]), np.array([True, False, True]), [0, 2], (), 7]
)
def test_an_index_that_is_no_tuple(index, bench, same, sample):
    x = sample(3, 4)
    try:
        expected = x[index]
    except IndexError:
        with pytest.raises(IndexBoundsError):
            getitem(bench.input(x), index, bench.lift)
        return
    same(bench.run(getitem(bench.input(x), index, bench.lift))[0], expected)


def test_messages_have_the_sizes(bench, sample):
    x = bench.input(sample(3, 4))
    with pytest.raises(IndexBoundsError, match=r"index 4 is out of bounds for axis 1 of f64\[3,4\] with size 4"):
        getitem(x, (0, 4), bench.lift)
    with pytest.raises(IndexBoundsError, match="index -4 is out of bounds for axis 0"):
        getitem(x, np.array([0, -4]), bench.lift)
    with pytest.raises(IndexBoundsError, match="too many indices"):
        getitem(x, (0, 0, 0), bench.lift)
    with pytest.raises(IndexBoundsError, match="boolean index did not match"):
        getitem(x, np.array([True, False]), bench.lift)
    with pytest.raises(IndexBoundsError, match="single ellipsis"):
        getitem(x, (..., ...), bench.lift)
    with pytest.raises(DtypeError, match="float64"):
        getitem(x, np.array([0.0]), bench.lift)
    with pytest.raises(IndexBoundsError, match="too many indices"):
        getitem(x, (True, 0, 0, 0), bench.lift)
    with pytest.raises(TraceError, match="not an int"):
        getitem(x, slice(0, 1.5), bench.lift)
    with pytest.raises(ShapeError, match="step cannot be zero"):
        getitem(x, slice(None, None, 0), bench.lift)


def test_data_out_of_bounds_is_found_when_it_runs(bench, sample):
    taken = getitem(bench.input(sample(3)), bench.input(np.array([5])), bench.lift)
    with pytest.raises(IndexBoundsError, match="index 5"):
        bench.run(taken)


# Masks that are data.


def test_reading_by_a_traced_mask_is_refused_with_the_remedy(bench, sample):
    with pytest.raises(TraceError, match=r"np\.where"):
        getitem(bench.input(sample(3)), bench.input(np.array([True, False, True])), bench.lift)


@pytest.mark.parametrize("depth", [1, 2])
def test_writing_one_value_by_a_traced_mask(depth, bench, same, sample):
    x = sample(3, 4)
    mask = x[:, 0] > 0 if depth == 1 else x > 0
    for value in (np.float64(9.0), *([sample(4)] if depth == 1 else [])):
        expected = x.copy()
        expected[mask] = value
        written = setitem(bench.input(x), bench.input(mask), bench.input(value), bench.lift)
        same(bench.run(written)[0], expected)


def test_writing_many_values_by_a_traced_mask_is_refused(bench, sample):
    x = sample(4)
    with pytest.raises(TraceError, match=r"np\.where"):
        setitem(bench.input(x), bench.input(x > 0), bench.input(np.ones(2)), bench.lift)


# What is written is converted and broadcast.


def test_written_values_take_the_dtype_of_the_array(bench, same, sample):
    x = sample(4, dtype=int)
    expected = x.copy()
    expected[1:3] = np.array([1.9, -1.9])
    same(bench.run(setitem(bench.input(x), slice(1, 3), bench.input(np.array([1.9, -1.9])), bench.lift))[0], expected)
    with pytest.raises(DtypeError, match="out of bounds for int8"):
        setitem(bench.input(x.astype("i1")), 0, bench.lift(300, ""), bench.lift)
    for number in (float("nan"), float("inf"), 1j):
        with pytest.raises(DtypeError, match="does not go into i64"):
            setitem(bench.input(x), 0, bench.lift(number, ""), bench.lift)
    with pytest.raises(DtypeError, match="imaginary"):
        setitem(bench.input(x), 0, bench.input(np.array(1j)), bench.lift)


@pytest.mark.parametrize("value", [2.7, -3, 0, 2.0, 1e30])
def test_python_numbers_are_written_as_numpy_writes_them(value, dtype, bench, same, sample):
    x = sample(4, dtype=dtype)
    try:
        with np.errstate(over="ignore"):
            x[1] = value
    except OverflowError:
        with pytest.raises(DtypeError, match="out of bounds"):
            setitem(bench.input(x), 1, bench.lift(value, ""), bench.lift)
        return
    same(bench.run(setitem(bench.input(x), 1, bench.lift(value, ""), bench.lift))[0], x)


def test_a_value_that_does_not_fit_is_refused(bench, sample):
    with pytest.raises(ShapeError, match=r"could not broadcast f64\[3\] into the shape \(2,\)"):
        setitem(bench.input(sample(4)), slice(0, 2), bench.input(sample(3)), bench.lift)


@pytest.mark.parametrize(
    "index", [1, slice(None, None, -2), (slice(1, 3), np.array([0, 2, 0])), np.array([[0, 1], [1, 2]]), (..., None, 0)]
)
def test_gradients(index, gradient_agrees, sample):
    x = sample(3, 4)
    gradient_agrees(lambda bench, a: getitem(a, index, bench.lift), x)
    gradient_agrees(lambda bench, a, v: setitem(a, index, v, bench.lift), x, np.ones_like(x[index]))
    gradient_agrees(lambda bench, a, v: setitem(a, index, v, bench.lift, "add"), x, np.ones_like(x[index]))


# Symbolic sizes.


@pytest.mark.parametrize(
    "index",
    [
        slice(1, None), slice(None, -1), slice(1, -1), slice(2), slice(-2, None), slice(-3, -1), slice(1, 5),
        slice(None, None, 2), slice(None, None, -1), slice(1, None, 3), slice(-3, None, 2), slice(None, None, -2), -1,
        0,
    ],
    ids=str,
)  # fmt: skip
def test_symbolic_slices_are_right_for_every_size(index, new_bench, sample):
    for size in range(1 if isinstance(index, int) else 0, 7):
        bench = new_bench()
        x = bench.builder.input("x", aval("f64[n,2]"))
        bench.arrays.append(np.arange(2.0 * size).reshape(size, 2))
        result = getitem(x, index, bench.lift)
        np.testing.assert_array_equal(bench.run(result)[0], bench.arrays[0][index])


def test_equal_symbolic_sizes_look_equal(bench):
    x = bench.builder.input("x", aval("f64[n]"))
    later, earlier = getitem(x, slice(1, None), bench.lift), getitem(x, slice(None, -1), bench.lift)
    assert later.aval == earlier.aval
    n = symbol("n")
    assert getitem(x, slice(0, n), bench.lift) == x
    assert getitem(x, slice(0, n - 1), bench.lift).aval == earlier.aval


def test_bounds_whose_sign_depends_on_sizes_are_refused(bench):
    x = bench.builder.input("x", aval("f64[n]"))
    with pytest.raises(ShapeError, match="may be negative"):
        getitem(x, slice(None, symbol("n") - 4), bench.lift)
    with pytest.raises(ShapeError, match="negative step"):
        getitem(x, slice(4, None, -1), bench.lift)


# Functions that index.


def test_take(agrees, traced, sample):
    x = sample(2, 3, 4)
    agrees(np.take, x, [0, 2], axis=1)
    agrees(np.take, x, 1, axis=1)
    agrees(np.take, x, 7, axis=1)
    agrees(np.take, x, [0, -1], axis=-1)
    agrees(np.take, x, np.array([[0, 23]]))
    for mode in ("clip", "wrap"):
        agrees(np.take, x, [0, 9, -9, 3], axis=1, mode=mode)
    with pytest.raises(TraceError, match="mode='near'"):
        traced(np.take, x, [0, 9], mode="near")


def test_take_along_axis(agrees, sample):
    x = sample(2, 3, 4)
    agrees(np.take_along_axis, x, np.argsort(x, 1), 1)
    agrees(np.take_along_axis, x, np.argmax(x, 1, keepdims=True), 1)
    agrees(np.take_along_axis, x, np.argsort(x, None), None)
