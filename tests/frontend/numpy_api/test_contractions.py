"""Products of matrices and einsum: NumPy's values, dtypes, shapes and errors."""

import numpy as np
import pytest

from gradc.errors import ShapeError, TraceError
from gradc.frontend.numpy_api.einsum import contraction
from gradc.ir.aval import aval
from gradc.ir.graph import Builder

SHAPES = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)),
    ((1, 2, 3), (5, 3, 4)), ((7, 1, 2, 3), (5, 3, 4)), ((2, 3), (2, 3)), ((3,), (4,)), ((), (3,)), ((), ()),
    ((2, 0), (0, 3)), ((5, 2, 3), (3,)), ((3,), (5, 3, 2)),
]  # fmt: skip


@pytest.mark.parametrize(
    "function", [np.matmul, np.dot, np.inner, np.vdot, np.outer, np.vecdot], ids=lambda f: f.__name__
)
@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_shapes_and_dtypes(function, left, right, agrees, sample):
    for dtype in ("f8", "f4", "i8", "i1", "?"):
        agrees(function, sample(*left, dtype=dtype), sample(*right, dtype=dtype), ulp=16)


def test_promotion(agrees, sample):
    agrees(np.matmul, sample(2, 3), sample(3, 4, dtype="f4"), ulp=16)
    agrees(np.dot, sample(2, 3, dtype="f4"), 2, ulp=4)  # NumPy makes an int64 array of the 2
    agrees(np.outer, sample(2, dtype="f4"), sample(3, dtype=int), ulp=4)


def test_matmul_names_both_operands(traced, sample):
    with pytest.raises(ShapeError, match=r"matmul: inner dimensions differ: f64\[2,3\] @ f64\[2,3\]"):
        traced(np.matmul, sample(2, 3), sample(2, 3))
    with pytest.raises(ShapeError, match=r"use \* for scalars"):
        traced(np.matmul, sample(2, 3), 2.0)


@pytest.mark.parametrize("axes", [2, 1, 0, ([0], [1]), ([1, 0], [0, 1]), (0, 1), 4, ([0, 1], [0]), (5, 0)])
def test_tensordot(axes, agrees, sample):
    agrees(np.tensordot, sample(3, 3), sample(3, 3), axes, ulp=16)
    agrees(np.tensordot, sample(3, 3, 3), sample(3, 3), axes=axes, ulp=16)


EINSUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ji,jk", (3, 2), (3, 4)), ("ba", (2, 3)), ("ii", (3, 3)),
    ("ii->i", (3, 3)), ("iii->i", (3, 3, 3)), ("iijj->ij", (2, 2, 3, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)),
    ("ij->j", (2, 3)), ("i,i", (3,), (3,)), ("i,j->ij", (3,), (4,)), ("i,j->ji", (3,), (4,)), (",->", (), ()),
    ("ij,ij->ij", (2, 3), (2, 3)), ("ij,ji->ij", (2, 3), (3, 2)), ("ij,j->ij", (2, 3), (3,)), (",ij->ij", (), (2, 3)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)), ("...ij,jk", (5, 2, 3), (3, 4)), ("b...,b...->...", (5, 2), (5, 1)),
    ("...->...", (2, 3)), ("i...->...", (2, 3)), ("ij...->ji...", (2, 3, 4)), ("...i,...i", (2, 3), (2, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("iij,jk->ik", (2, 2, 3), (3, 4)), ("i,i,i->", (3,), (3,), (3,)),
    ("ij,jk,kl,lm,m->i", (2, 3), (3, 4), (4, 5), (5, 2), (2,)), ("ij,jk->k", (2, 3), (3, 4)),
    ("ij,kl->", (2, 3), (3, 4)),
    ("ij,jk", (2, 1), (3, 4)), ("i j , jk -> ik", (2, 3), (3, 4)), ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    ("i,j,k,l,m,n,o,p->", *[(2,)] * 8),
]  # fmt: skip
WRONG = [
    ("ij,jk", (2, 5), (3, 4)), ("ij", (2, 3, 4)), ("ij,jk", (2, 3)), ("ij->ii", (2, 3)), ("ij->ijk", (2, 3)),
    ("ii", (1, 3)), ("ii,i", (3, 1), (3,)), ("$i->i", (3,)), ("...i->i", (2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUMS + WRONG, ids=lambda c: c[0])
def test_einsum(case, agrees, sample):
    subscripts, *shapes = case
    agrees(np.einsum, subscripts, *[sample(*s) for s in shapes], ulp=32)
    for dtype in (int, bool):
        agrees(np.einsum, subscripts, *[sample(*s, dtype=dtype) for s in shapes])


@pytest.mark.parametrize("case", [c for c in EINSUMS if len(c) < 5], ids=lambda c: c[0])
def test_einsum_gradients(case, gradient_agrees, sample):
    subscripts, *shapes = case
    gradient_agrees(lambda bench, *xs: bench.call(np.einsum, subscripts, *xs), *[sample(*s) for s in shapes])


def test_subscripts_as_lists(agrees, traced, sample):
    agrees(np.einsum, sample(2, 3), [0, 1])
    agrees(np.einsum, sample(2, 3), [1, 0])
    agrees(np.einsum, sample(2, 3), [0, 1], sample(3, 4), [1, 7], [7, 0], ulp=4)
    agrees(np.einsum, sample(2, 3, 3), [Ellipsis, 0, 0], [Ellipsis, 0])
    with pytest.raises(TraceError, match="must take turns"):
        traced(np.einsum, sample(2, 3), sample(2, 3))


def test_the_cheapest_order_is_taken():
    """A chain that is 1,000 times cheaper from the right is contracted from the right."""
    builder = Builder()
    shapes = [(10, 100), (100, 100), (100, 1)]
    values = [builder.input(str(k), aval(f"f64[{a},{b}]")) for k, (a, b) in enumerate(shapes)]
    contraction("test", values, ["ij", "jk", "kl"], "il")
    contracts = [n for n in builder.nodes if n.op.name == "contract"]
    assert contracts[0].operands in ((1, 2), (2, 1))


def test_symbolic_sizes_go_through(bench, sample):
    x = bench.builder.input("x", aval("f64[batch,3]"))
    bench.arrays.append(sample(5, 3))
    result = bench.call(np.matmul, x, sample(3, 2))
    assert str(result.aval) == "f64[batch,2]"
    assert str(bench.call(np.einsum, "bi,bj->ij", x, x).aval) == "f64[3,3]"
    np.testing.assert_allclose(bench.run(result)[0], bench.arrays[0] @ bench.arrays[1])


@pytest.mark.parametrize("offset", [-3, -1, 0, 1, 2, 4])
def test_diagonals(offset, agrees, sample):
    agrees(np.diagonal, sample(3, 4), offset)
    agrees(np.diagonal, sample(2, 3, 4), offset, 1, 2)
    agrees(np.diagonal, sample(2, 3, 4), offset, 2, 0)
    agrees(np.trace, sample(3, 4), offset, ulp=4)


def test_vdot_conjugates_the_first(traced):
    z = np.array([1 + 2j, 3 - 1j])
    assert traced(np.vdot, z, z * 1j) == np.vdot(z, z * 1j) == 15j
