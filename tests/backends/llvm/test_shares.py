"""Contractions in shares: which are shared, and that the bits are those of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from gradc import config
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.shares import Shares, scratch_elements, shares_of
from gradc.backends.llvm.matmul.ways import TilePlan
from gradc.backends.llvm.threads.pool import has_threads, pool
from gradc.ir.target import Target
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, View, contiguous_strides
from gradc.loops.language.verify import verify
from gradc.loops.shaping.scratch import reserve

AVX512 = Target("x86_64-unknown-linux-gnu", "", "", 512, 32, True)
CASES = {
    "the right operand is large": ("ij,jk->ik", {"i": 128, "j": 784, "k": 512}),
    "the left operand is large": ("ij,jk->ik", {"i": 2000, "j": 100, "k": 96}),
    "blocks of both operands": ("ij,jk->ik", {"i": 512, "j": 600, "k": 512}),
    "the left operand transposed": ("ji,jk->ik", {"i": 784, "j": 128, "k": 512}),
    "the right operand transposed": ("ij,kj->ik", {"i": 256, "j": 384, "k": 512}),
    "a batch": ("aij,ajk->aik", {"a": 6, "i": 130, "j": 65, "k": 131}),
    "a batch of short sums": ("aij,ajk->aik", {"a": 25, "i": 1000, "j": 10, "k": 10}),
    "a matrix and a vector": ("ij,j->i", {"i": 4000, "j": 500}),
    "a vector and a matrix": ("i,ij->j", {"i": 4000, "j": 512}),
}
KINDS = [np.dtype(np.float32), np.dtype(np.float64)]


@pytest.fixture(autouse=True)
def workers() -> Iterator[None]:
    """Three workers, whatever the number of processors."""
    if has_threads():
        pool().limit(3)
    yield
    if has_threads():
        pool().limit(config.processors() - 1)


def contraction(formula: str, sizes: dict[str, int], dtype: np.dtype) -> tuple[Contraction, list[tuple[int, ...]]]:
    """The contraction, and the shapes of its operands and its result."""
    (lhs, rhs), out = formula.split("->")[0].split(","), formula.split("->")[1]
    order = tuple((a, sizes[a]) for a in dict.fromkeys(lhs + rhs))
    return Contraction(lhs, rhs, out, order, dtype), [tuple(sizes[a] for a in word) for word in (lhs, rhs, out)]


def call_of(formula: str, sizes: dict[str, int], dtype: np.dtype) -> tuple[Call, tuple[Buffer, ...]]:
    made, shapes = contraction(formula, sizes, dtype)
    names = ("x", "y", "z")
    kinds = ("input", "input", "output")
    buffers = tuple(Buffer(n, dtype, s, k) for n, s, k in zip(names, shapes, kinds, strict=True))  # type: ignore[arg-type]
    views = tuple(View(n, contiguous_strides(s)) for n, s in zip(names, shapes, strict=True))
    return Call(made, views), buffers


def program(formula: str, sizes: dict[str, int], dtype: np.dtype, threads: int) -> LoopProgram:
    call, buffers = call_of(formula, sizes, dtype)
    whole = LoopProgram("p", buffers, (call,))
    return verify(reserve(whole, lambda c: scratch_elements(c, whole.buffer, host(), threads)))


def result(formula: str, sizes: dict[str, int], arrays: Sequence[np.ndarray], threads: int) -> tuple[np.ndarray, str]:
    made = program(formula, sizes, arrays[0].dtype, threads)
    ir = emit(made, host(), threads=threads)
    function = load(ir, made)
    return [function(arrays)[0] for _ in range(4)][-1], ir


@pytest.mark.skipif(not has_threads(), reason="parallel loops run in order on this system")
@pytest.mark.parametrize("dtype", KINDS, ids=["f32", "f64"])
@pytest.mark.parametrize(("formula", "sizes"), CASES.values(), ids=CASES.keys())
def test_shares_have_the_bits_of_the_whole(formula: str, sizes: dict[str, int], dtype: np.dtype) -> None:
    rng = np.random.default_rng(0)
    _, (left, right, _) = contraction(formula, sizes, dtype)
    arrays = [rng.normal(size=shape).astype(dtype) for shape in (left, right)]
    arrays[0][arrays[0] < -1.5] = -0.0
    arrays[1].reshape(-1)[::7] = 0.0
    whole, alone = result(formula, sizes, arrays, 1)
    assert "@gradc.parallel" not in alone
    for threads in (2, 3, 4):
        shared, ir = result(formula, sizes, arrays, threads)
        assert shared.tobytes() == whole.tobytes()
        assert threads != 2 or "@gradc.parallel" in ir


def shares(formula: str, sizes: dict[str, int], threads: int, room: int = 1 << 22) -> Shares | None:
    call, buffers = call_of(formula, sizes, KINDS[0])
    return shares_of(call, {buffer.name: buffer for buffer in buffers}, AVX512, threads, room)


def test_small_contractions_stay_whole() -> None:
    assert shares("ij,jk->ik", {"i": 64, "j": 64, "k": 64}, 2) is None


def test_one_thread_has_no_shares() -> None:
    assert shares("ij,jk->ik", {"i": 512, "j": 512, "k": 512}, 1) is None


def test_the_sum_is_not_shared() -> None:
    found = shares("ij,jk->ik", {"i": 7, "j": 100_000, "k": 11}, 2)
    assert found is None or found.letter != "j"


def test_the_letter_is_that_of_the_larger_operand() -> None:
    sizes = {"i": 128, "j": 784, "k": 512}
    found, turned = shares("ij,jk->ik", sizes, 2), shares("ij,jk->ik", {"i": 512, "j": 784, "k": 128}, 2)
    assert found is not None
    assert turned is not None
    assert (found.letter, turned.letter) == ("k", "i")
    assert dict(found.share.sizes) == {**sizes, "k": 512 // found.count}


def test_batches_are_shared_by_matrix() -> None:
    found = shares("aij,ajk->aik", {"a": 16, "i": 128, "j": 32, "k": 128}, 2)
    assert found is not None
    assert (found.letter, found.count % 2) == ("a", 0)


def test_shares_keep_the_blocks_of_the_whole_with_any_scratch_memory() -> None:
    sizes = {"i": 600, "j": 1500, "k": 600}
    kernel = kernel_of(call_of("ij,jk->ik", sizes, KINDS[0])[0], {}, AVX512)
    assert kernel is not None
    assert isinstance(kernel.plan, TilePlan)
    for room in (1 << 22, kernel.plan.scratch, 0):
        found = shares("ij,jk->ik", sizes, 2, room)
        assert found is not None
        assert isinstance(found.share.plan, TilePlan)
        assert found.count * found.scratch <= room
        if room:
            assert found.share.plan.depth == kernel.plan.depth


EPILOGUE = """\
program layer
input x: f32[256,300]
input w: f32[300,512]
input bias: f32[512]
input mask: f32[256,512]
output y: f32[256,512]
output z: f32[256,512]

begin
  z{0; 512, 1} = contract ij,jk->ik [i=256, j=300, k=512] f32 (x{0; 300, 1}, w{0; 512, 1}) then total of i, k:
    y[i, k] = select(mask[i, k] > 0.0_f32, total + bias[k], 0.0_f32)
"""


@pytest.mark.skipif(not has_threads(), reason="parallel loops run in order on this system")
def test_a_share_has_its_part_of_the_epilogue() -> None:
    rng = np.random.default_rng(0)
    whole = verify(parse_program(EPILOGUE))
    arrays = [rng.normal(size=tuple(map(int, x.shape))).astype(np.float32) for x in whole.inputs]
    expected = load(emit(whole, host()), whole)(arrays)
    made = verify(reserve(whole, lambda c: scratch_elements(c, whole.buffer, host(), 2)))
    ir = emit(made, host(), threads=2)
    assert "@gradc.parallel" in ir
    for got, wanted in zip(load(ir, made)(arrays), expected, strict=True):
        assert got.tobytes() == wanted.tobytes()
