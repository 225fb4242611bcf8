"""What is packed, and in which blocks, on machines with large and with small first caches."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.ways import TilePlan
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, whole
from gradc.loops.language.verify import verify

LARGE_CACHES = Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 512, 32, True)
SMALL_CACHES = Target("x86_64-unknown-linux-gnu", "haswell", "", 256, 16, True)


def product(form: str, m: int, n: int, k: int, dtype: str) -> tuple[LoopProgram, Call]:
    lengths = {"i": m, "k": n, "j": k}
    lhs, rhs, out = form.replace("->", ",").split(",")
    buffers = [
        Buffer(name, np.dtype(dtype), tuple(lengths[x] for x in word), kind)
        for name, word, kind in (("a", lhs, "input"), ("b", rhs, "input"), ("c", out, "output"))
    ]
    letters = tuple((x, lengths[x]) for x in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, out, letters, np.dtype(dtype)), tuple(whole(b) for b in buffers))
    return verify(LoopProgram("product", tuple(buffers), (call,))), call


def plan_of(form: str, m: int, n: int, k: int, dtype: str, target: Target) -> TilePlan:
    program, call = product(form, m, n, k, dtype)
    kernel = kernel_of(call, program.buffer, target)
    assert kernel is not None
    assert isinstance(kernel.plan, TilePlan)
    return kernel.plan


@pytest.mark.parametrize(
    ("sizes", "dtype", "small", "large"),
    [
        ((64, 64, 64), "f4", "none", "none"),
        ((128, 128, 128), "f4", "copy", "none"),
        ((64, 128, 784), "f4", "copy", "none"),
        ((32, 128, 784), "f4", "none", "none"),
        ((256, 256, 256), "f8", "copy", "none"),
        ((512, 512, 512), "f8", "copy", "copy"),
    ],
)
def test_panels_of_what_a_first_cache_cannot_hold_are_packed_for_many_rows(sizes, dtype, small, large):
    assert plan_of("ij,jk->ik", *sizes, dtype, SMALL_CACHES).packing == small
    assert plan_of("ij,jk->ik", *sizes, dtype, LARGE_CACHES).packing == large


@pytest.mark.parametrize(("sizes", "dtype"), [((512, 512, 512), "f4"), ((256, 256, 256), "f8"), ((64, 128, 784), "f8")])
def test_a_left_operand_that_is_dense_along_its_rows_is_packed_where_a_second_cache_is_small(sizes, dtype):
    chosen = plan_of("ji,jk->ik", *sizes, dtype, SMALL_CACHES)
    assert chosen.packs_blocks
    assert chosen.height * chosen.depth * np.dtype(dtype).itemsize <= 400 * 1024
    assert not plan_of("ij,jk->ik", *sizes, dtype, SMALL_CACHES).packs_blocks
    assert not plan_of("ji,jk->ik", *sizes, dtype, LARGE_CACHES).packs_blocks


def adds_in_each_loop(ir: str) -> list[int]:
    return [block.count("llvm.fma") for block in ir.split("\n\n") for block in block.split(":\n")]


def test_an_iteration_takes_several_terms_where_multiply_adds_are_fused():
    program, _ = product("ij,jk->ik", 60, 64, 60, "f4")
    chosen = plan_of("ij,jk->ik", 60, 64, 60, "f4", SMALL_CACHES)
    sums = chosen.rows * chosen.vectors
    assert sums == 12
    assert max(adds_in_each_loop(emit(program, SMALL_CACHES))) == 2 * sums
    unfused = dataclasses.replace(SMALL_CACHES, fma=False)
    products = [block.count("= fmul") for block in emit(program, unfused).split(":\n")]
    assert max(products) == sums
