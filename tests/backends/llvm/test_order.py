"""The stated order of a contraction's sums is the one that its kernel adds up in: loops in that order give its bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.order import sum_order
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.ir.aval import dim_value, symbol
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, whole
from gradc.loops.lowering.products import with_products
from gradc.loops.shaping.scratch import reserve

FORMS = [
    "ij,jk->ik", "ij,kj->ik", "ji,jk->ik", "ji,kj->ik", "ij,jk->ki", "ij,j->i", "ij,i->j", "i,i->", "ij,ij->",
    "i,j->ij", "bij,bjk->bik", "bij,bkj->bik", "bi,bi->b", "aibj,bjk->aik", "bij,bik->jk",
]  # fmt: skip
SIZES = [
    {"i": 3, "j": 4, "k": 5, "a": 2, "b": 2},
    {"i": 9, "j": 71, "k": 67, "a": 3, "b": 2},
    {"i": 33, "j": 1, "k": 40, "a": 1, "b": 4},
    {"i": 5, "j": 2100, "k": 19, "a": 1, "b": 3},
    {"i": 35, "j": 57, "k": 36, "a": 1, "b": 2},
    {"i": 37, "j": 2101, "k": 3, "a": 2, "b": 2},
    {"i": 7, "j": 70, "k": 10, "a": 2, "b": 2},
]
BATCH = symbol("batch")


def product(form: str, sizes: dict[str, Any], dtype: str) -> LoopProgram:
    return products(form, [(sizes, dtype)])


def products(form: str, cases: Sequence[tuple[dict[str, Any], str]]) -> LoopProgram:
    """Products of one form, of several sizes and dtypes, one after the other."""
    lhs, rhs, out = form.replace("->", ",").split(",")
    buffers: list[Buffer] = []
    calls: list[Call] = []
    for k, (sizes, name) in enumerate(cases):
        dtype = np.dtype(name)
        a, c, y = (
            Buffer(f"{letter}{k}", dtype, tuple(sizes[letter] for letter in word), kind)
            for letter, word, kind in (("a", lhs, "input"), ("c", rhs, "input"), ("y", out, "output"))
        )
        letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
        calls.append(Call(Contraction(lhs, rhs, out, letters, dtype), (whole(a), whole(c), whole(y))))
        buffers += (a, c, y)
    program = LoopProgram("product", tuple(sorted(buffers, key=lambda buffer: buffer.kind)), tuple(calls))
    return reserve(program, lambda call: scratch_elements(call, program.buffer, host(), 1))


def assert_same_bits(program: LoopProgram, sizes: dict[str, int]) -> None:
    loops = with_products(program, host(), lambda call: sum_order(call, program.buffer, host()))
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal([dim_value(d, sizes) for d in x.shape]).astype(x.dtype) for x in program.inputs]
    for array in arrays:
        array[rng.random(array.shape) < 0.3] = -0.0
    expected = load(emit(program, host()), program)(arrays)
    assert [y.tobytes() for y in load(emit(loops, host()), loops)(arrays)] == [y.tobytes() for y in expected]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("sizes", SIZES, ids=lambda s: "x".join(map(str, s.values())))
@pytest.mark.parametrize("form", FORMS)
def test_fixed_sizes(form: str, sizes: dict[str, int], dtype: str) -> None:
    assert_same_bits(product(form, dict(sizes), dtype), {})


@pytest.mark.parametrize("form", ["ij,jk->ik", "ij,kj->ik", "ji,jk->ik"])
def test_packed_blocks(form: str) -> None:
    assert_same_bits(product(form, {"i": 160, "j": 700, "k": 150}, "f8"), {})


@pytest.mark.parametrize("rows", [1, 7, 300])
@pytest.mark.parametrize("form", ["ij,jk->ik", "ij,kj->ik", "ji,jk->ik", "ij,j->i"])
def test_symbolic_rows(form: str, rows: int) -> None:
    assert_same_bits(product(form, {"i": BATCH, "j": 600, "k": 140}, "f8"), {"batch": rows})


@pytest.mark.parametrize("depth", [0, 1, 5, 1025, 3000])
@pytest.mark.parametrize(("form", "rows"), [("ji,jk->ik", 140), ("ij,jk->ik", 2), ("ij,jk->ik", 3), ("ij,j->i", 9)])
def test_symbolic_depth(form: str, rows: int, depth: int) -> None:
    assert_same_bits(product(form, {"i": rows, "j": BATCH, "k": 136}, "f8"), {"batch": depth})


@pytest.mark.parametrize("size", [0, 1, 33, 1030])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("sizes", [{"i": BATCH, "j": 1100, "k": 9}, {"i": 70, "j": BATCH, "k": 10}])
@pytest.mark.parametrize("form", ["ij,jk->ik", "ji,jk->ik"])
def test_symbolic_sizes_and_few_columns(form: str, sizes: dict[str, Any], dtype: str, size: int) -> None:
    assert_same_bits(product(form, sizes, dtype), {"batch": size})


@pytest.mark.parametrize("n", [40, 10])
def test_epilogue(n: int) -> None:
    program = parse_program(
        f"program p\ninput a: f64[5,3]\ninput w: f64[3,{n}]\ninput c: f64[{n}]\noutput h: f64[5,{n}]\n\nbegin\n"
        f"  h{{0; {n}, 1}} = contract ij,jk->ik [i=5, j=3, k={n}] f64 (a{{0; 3, 1}}, w{{0; {n}, 1}}) then z of i, k:\n"
        "    let s = z + c[k]\n    h[i, k] = maximum(s, 0.0) * s\n"
    )
    assert_same_bits(program, {})
