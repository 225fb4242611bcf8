"""Functions that rearrange axes: NumPy's values and errors, made of slice, reshape and transpose."""

import numpy as np
import pytest

from gradc.errors import ShapeError, TraceError
from gradc.ir.aval import aval, symbol

EVERY_SHAPE = [(2, 3, 4), (1, 3, 4), (1, 3, 1), (3,), (), (0, 2)]
SIMPLE = [
    np.ravel, np.squeeze, np.transpose, np.copy, np.flip, np.flipud, np.fliplr, np.matrix_transpose, np.atleast_1d,
    np.atleast_2d, np.atleast_3d,
]  # fmt: skip


@pytest.mark.parametrize("function", SIMPLE, ids=lambda f: f.__name__)
@pytest.mark.parametrize("shape", EVERY_SHAPE)
def test_without_arguments(function, shape, agrees, sample):
    agrees(function, sample(*shape))


@pytest.mark.parametrize("shape", [(6, 4), (-1,), -1, (2, -1, 2), (5,), (-1, -1), (0, -1), 24, (-2, -12), ()])
def test_reshape(shape, agrees, sample):
    agrees(np.reshape, sample(2, 3, 4), shape)


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (np.transpose, ((1, 2, 0),)), (np.transpose, ((-1, 0, 1),)), (np.transpose, ((1, 1, 0),)),
        (np.moveaxis, (0, -1)),         (np.moveaxis, ([0, 1], [-1, 0])), (np.moveaxis, (3, 0)),
        (np.moveaxis, ([0, 1], [0])), (np.swapaxes, (0, -1)),
        (np.swapaxes, (0, 3)), (np.expand_dims, (0,)), (np.expand_dims, ((0, -1),)), (np.expand_dims, (5,)),
        (np.expand_dims, ((0, 0),)), (np.squeeze, (0,)), (np.flip, (0,)), (np.flip, ((0, 2),)), (np.flip, (4,)),
        (np.broadcast_to, ((5, 2, 3, 4),)), (np.broadcast_to, ((3, 4),)), (np.broadcast_to, ((2, 3, 5),)),
    ],
)  # fmt: skip
def test_with_arguments(function, args, agrees, sample):
    agrees(function, sample(2, 3, 4), *args)


@pytest.mark.parametrize("turns", range(-2, 6))
def test_rot90(turns, agrees, sample):
    agrees(np.rot90, sample(2, 3, 4), turns)
    agrees(np.rot90, sample(2, 3, 4), turns, axes=(2, 0))


@pytest.mark.parametrize("function", [np.split, np.array_split], ids=lambda f: f.__name__)
@pytest.mark.parametrize("sections", [1, 2, 3, [1], [1, 2], [2, 1], [1, 5], [-1], [0, 0], 0])
def test_split(function, sections, agrees, sample):
    for axis in (0, 1, -1):
        agrees(function, sample(2, 3, 4), sections, axis=axis)


def test_split_by_direction(agrees, sample):
    agrees(np.vsplit, sample(4, 3), 2)
    agrees(np.hsplit, sample(4, 3), 3)
    agrees(np.hsplit, sample(4), 2)
    agrees(np.vsplit, sample(4), 2)


def test_broadcast_arrays(agrees, sample):
    agrees(np.broadcast_arrays, sample(3), sample(2, 1))
    agrees(np.atleast_2d, sample(3), sample(2, 1))


def test_orders_of_fortran(agrees, traced, sample):
    agrees(np.reshape, sample(2, 3), (3, 2), order="F")
    agrees(np.reshape, sample(2, 3, 4), (-1, 8), order="F")
    agrees(np.ravel, sample(2, 3), order="F")
    with pytest.raises(TraceError, match="order='A' depends on the layout"):
        traced(np.reshape, sample(2, 3), (3, 2), order="A")


def test_questions_about_an_array(traced, sample):
    x = sample(2, 3, dtype="f4")
    assert traced(np.shape, x) == (2, 3)
    assert traced(np.ndim, x) == 2
    assert traced(np.size, x) == 6
    assert traced(np.size, x, axis=1) == 3
    assert traced(np.iscomplexobj, x) is False


def test_views_are_made_of_slice_reshape_and_transpose(bench, sample):
    x = bench.input(sample(4, 6))
    for function, args in (
        (np.split, (2,)), (np.flip, ()), (np.rot90, (1,)), (np.swapaxes, (0, 1)), (np.squeeze, ()), (np.diagonal, ()),
        (np.reshape, ((2, 12),)), (np.expand_dims, (0,)), (np.atleast_3d, ()), (np.moveaxis, (0, 1)),
    ):  # fmt: skip
        bench.call(function, x, *args)
    assert {n.op.name for n in bench.builder.nodes} <= {"input", "slice", "reshape", "transpose"}


def test_symbolic_sizes(bench):
    batch = symbol("batch")
    x = bench.builder.input("x", aval("f64[batch,3,4]"))
    assert bench.call(np.reshape, x, (-1, 12)).aval.shape == (batch, 12)
    assert bench.call(np.reshape, x, (batch, -1)).aval.shape == (batch, 12)
    assert bench.call(np.reshape, x, (-1,)).aval.shape == (batch * 12,)
    assert bench.call(np.ravel, x).aval.shape == (batch * 12,)
    assert bench.call(np.transpose, x).aval.shape == (4, 3, batch)
    assert bench.call(np.flip, x).aval.shape == (batch, 3, 4)
    assert bench.call(np.expand_dims, x, 0).aval.shape == (1, batch, 3, 4)
    with pytest.raises(ShapeError, match="symbolic"):
        bench.call(np.split, x, 2)
    with pytest.raises(ShapeError, match=r"f64\[batch,3,4\]"):
        bench.call(np.reshape, x, (7, -1))
