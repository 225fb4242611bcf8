"""Contractions in every layout and dtype, and sums in lanes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from gradc.ir.target import GENERIC
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import (
    Buffer,
    Call,
    Contraction,
    For,
    LoopProgram,
    Store,
    View,
    b,
    size,
    variable,
    whole,
)
from gradc.loops.shaping.expand import expand

Run = Callable[..., list[np.ndarray]]

FORMS = [
    "ij,jk->ik", "ij,kj->ik", "ji,jk->ik", "ji,kj->ik", "ij,jk->ki", "ij,j->i", "ij,i->j", "i,i->", "ij,ij->",
    "ij,ji->", "i,j->ij", "bij,bjk->bik", "bij,bkj->ikb", "bi,bi->b", "bi,bi->bi", "aibj,bjk->aik", ",i->i", ",->",
    "ijk,k->ij",
]  # fmt: skip
SIZES = [
    {"i": 3, "j": 4, "k": 5, "a": 2, "b": 2},
    {"i": 9, "j": 71, "k": 67, "a": 3, "b": 2},
    {"i": 66, "j": 10, "k": 1, "a": 1, "b": 4},
    {"i": 0, "j": 3, "k": 2, "a": 1, "b": 1},
    {"i": 8, "j": 0, "k": 6, "a": 1, "b": 1},
]


def contraction(form: str, sizes: dict[str, int], dtype: str, accumulate: bool = False) -> LoopProgram:
    lhs, rhs, out = form.replace("->", ",").split(",")
    shape = {word: tuple(sizes[letter] for letter in word) for word in (lhs, rhs, out)}
    a, c = Buffer("a", np.dtype(dtype), shape[lhs], "input"), Buffer("c", np.dtype(dtype), shape[rhs], "input")
    y = Buffer("y", np.dtype(dtype), shape[out], "output")
    letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, out, letters, np.dtype(dtype), accumulate), (whole(a), whole(c), whole(y)))
    return LoopProgram("contraction", (a, c, y), (call,))


def values(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    kind = np.dtype(dtype).kind
    if kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return (rng.random(shape) < 0.2) if kind == "b" else rng.integers(0, 50, shape).astype(dtype)


@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "x".join(map(str, s.values())))
@pytest.mark.parametrize("form", FORMS)
def test_contraction_is_einsum(form: str, sizes: dict[str, int], run: Run) -> None:
    rng = np.random.default_rng(1)
    for dtype in ("f8", "f4") if sizes["j"] == 71 else ("f8",):
        program = contraction(form, sizes, dtype)
        arrays = [values(rng, tuple(map(int, x.shape)), dtype) for x in program.inputs]
        (y,) = run(program, *arrays)
        expected = np.einsum(form, *(a.astype("f8") for a in arrays))
        scale = np.einsum(form, *(np.abs(a.astype("f8")) for a in arrays))
        assert np.all(np.abs(y - expected) <= 4 * np.finfo(dtype).eps * np.sqrt(sizes["j"] + 1) * scale)


@pytest.mark.parametrize("dtype", ["i4", "u8", "i1", "?"])
@pytest.mark.parametrize("form", ["ij,jk->ik", "ji,kj->ik", "ij,j->i"])
def test_integers_wrap_and_bools_are_any_of_and(form: str, dtype: str, run: Run) -> None:
    sizes = {"i": 9, "j": 71, "k": 67}
    program = contraction(form, sizes, dtype)
    rng = np.random.default_rng(2)
    arrays = [values(rng, tuple(map(int, x.shape)), dtype) for x in program.inputs]
    np.testing.assert_array_equal(run(program, *arrays)[0], np.einsum(form, *arrays))


def test_equal_contractions_share_one_function() -> None:
    program = contraction("ij,jk->ik", SIZES[0], "f8")
    twice = LoopProgram("twice", program.buffers, program.body * 2)
    assert len(expand(twice, GENERIC).functions) == 1


def test_views_have_offsets_and_any_strides(run: Run) -> None:
    """Row blocks of a tall matrix times a broadcast row, added to what is there."""
    dtype = np.dtype("f8")
    a, row = Buffer("a", dtype, (6, 5), "input"), Buffer("row", dtype, (5,), "input")
    y = Buffer("y", dtype, (3, 4), "output")
    t = variable("t")
    form = Contraction("ij", "kj", "ik", (("i", 3), ("j", 5), ("k", 4)), dtype, accumulate=True)
    i, j = variable("i"), variable("j")
    clear = For("i", size(0), size(3), (For("j", size(0), size(4), (Store("y", (i, j), b.constant(1.0, dtype)),)),))
    call = Call(form, (View("a", (10, 1), t * 5), View("row", (0, 1)), whole(y)))
    program = LoopProgram("row_blocks", (a, row, y), (clear, For("t", size(0), size(2), (call,))))
    rng = np.random.default_rng(3)
    x, r = rng.standard_normal((6, 5)), rng.standard_normal(5)
    (result,) = run(program, x, r)
    np.testing.assert_allclose(result, 1 + np.repeat((x[::2] @ r + x[1::2] @ r)[:, None], 4, axis=1), rtol=1e-13)


def lanes_by_hand(terms: np.ndarray, lanes: int, block: int) -> float:
    """The order that ``Lanes`` states, in plain Python."""
    total = 0.0
    for start in range(0, len(terms), block or len(terms) or 1):
        partial = [0.0] * lanes
        for k, term in enumerate(terms[start : start + (block or len(terms))]):
            partial[k % lanes] += term
        while len(partial) > 1:
            half = len(partial) // 2
            partial = [partial[k] + partial[k + half] for k in range(half)]
        total += partial[0]
    return total


@pytest.mark.parametrize(("length", "lanes", "block"), [
    *itertools.product([0, 1, 7, 8, 100], [1, 4, 8], [0]), (100, 4, 16), (96, 8, 32), (5, 8, 16), (1000, 32, 64),
])  # fmt: skip
def test_sums_in_lanes_have_the_stated_order(length: int, lanes: int, block: int, run: Run) -> None:
    blocks = f", blocks of {block}" if block else ""
    program = parse_program(
        f"program total\ninput x: f64[{length}]\noutput y: f64[]\n\nbegin\n  y[] = 0.0\n"
        f"  for k in 0 to {length}:\n    y[] += x[k] in {lanes} lanes of k{blocks}\n"
    )
    x = np.random.default_rng(length).standard_normal(length) * 10.0 ** np.arange(length).clip(0, 12)
    assert run(program, x)[0] == lanes_by_hand(x, lanes, block)


@pytest.mark.parametrize(("assign", "dtype", "reduce"), [
    ("min=", "f8", np.min), ("max=", "f4", np.max), ("min=", "i2", np.min), ("max=", "u4", np.max),
    ("*=", "f8", np.prod), ("and=", "?", np.all), ("or=", "?", np.any), ("+=", "i8", np.sum),
])  # fmt: skip
def test_every_reduction_works_in_lanes(assign: str, dtype: str, reduce: Callable[..., object], run: Run) -> None:
    x = values(np.random.default_rng(4), (37,), dtype)
    short = {"f8": "f64", "f4": "f32", "i2": "i16", "u4": "u32", "?": "bool", "i8": "i64"}[dtype]
    program = parse_program(
        f"program total\ninput x: {short}[37]\noutput y: {short}[]\n\nbegin\n  y[] = x[0]\n"
        f"  for k in 1 to 37:\n    y[] {assign} x[k] in 4 lanes of k\n"
    )
    np.testing.assert_allclose(run(program, x)[0], reduce(x), rtol=1e-14)


def test_nan_passes_through_extrema_in_lanes(run: Run) -> None:
    text = (
        "program total\ninput x: f64[20]\noutput y: f64[]\n\nbegin\n  y[] = inf\n"
        "  for k in 0 to 20:\n    y[] min= x[k] in 8 lanes of k\n"
    )
    for place in (0, 7, 8, 16, 19):
        x = np.arange(20.0)
        x[place] = np.nan
        assert np.isnan(run(parse_program(text), x)[0])
