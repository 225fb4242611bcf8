"""Products of matrices with a size of the call: any number of rows, any depth, in tiles and dots."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import Entry, load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.plan import copied_from, packed_from, plan
from gradc.backends.llvm.matmul.product import product_of
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.backends.llvm.matmul.turned import turned, turned_below
from gradc.backends.llvm.matmul.ways import DotPlan, TilePlan
from gradc.ir.aval import Dim, symbol
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, whole
from gradc.loops.language.verify import verify
from gradc.loops.shaping.scratch import reserve

N = symbol("n")
AVX512 = Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 512, 32, True)
SIZES = (0, 1, 2, 3, 7, 33, 128, 1000, 1025, 2500)

Sizes = dict[str, Dim]


def program_of(form: str, sizes: Sizes, dtype: str, *, accumulate: bool = False) -> LoopProgram:
    lhs, rhs, out = form.replace("->", ",").split(",")
    kind = np.dtype(dtype)
    a, b, c = (
        Buffer(name, kind, tuple(sizes[letter] for letter in word), role)
        for name, word, role in (("a", lhs, "input"), ("b", rhs, "input"), ("c", out, "output"))
    )
    letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, out, letters, kind, accumulate), (whole(a), whole(b), whole(c)))
    return verify(LoopProgram("product", (a, b, c), (call,)))


def plan_of(program: LoopProgram) -> TilePlan | DotPlan | None:
    (call,) = program.body
    assert isinstance(call, Call)
    assert isinstance(call.callee, Contraction)
    kernel = kernel_of(call, program.buffer, host())
    return kernel.plan if kernel else None


def compiled(form: str, sizes: Sizes, dtype: str) -> Entry:
    program = program_of(form, sizes, dtype)
    return load(emit(program, host()), program)


def arrays_of(form: str, sizes: Sizes, size: int, dtype: str) -> list[np.ndarray]:
    rng = np.random.default_rng(size)
    words = form.split("->")[0].split(",")
    shapes = [[size if sizes[letter] is N else int(sizes[letter]) for letter in word] for word in words]
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


def assert_is_einsum(form: str, arrays: list[np.ndarray], result: np.ndarray) -> None:
    """Within as many roundings of the sum of absolute products as there are products."""
    wide = [a.astype(np.float64) for a in arrays]
    scale = np.einsum(form, *(np.abs(a) for a in wide))
    depth = arrays[0].size / max(result.size, 1) + max(arrays[0].shape)
    bound = (depth + 2) * np.finfo(result.dtype).eps / 2 * scale + depth * 1e-15 * scale
    assert np.all(np.abs(result - np.einsum(form, *wide)) <= bound)


FORMS: list[tuple[str, Sizes, type | None]] = [
    ("ij,jk->ik", {"i": N, "j": 37, "k": 19}, TilePlan),
    ("ij,jk->ik", {"i": N, "j": 300, "k": 10}, TilePlan),
    ("ij,jk->ik", {"i": N, "j": 37, "k": 700}, TilePlan),
    ("ij,kj->ik", {"i": N, "j": 37, "k": 19}, TilePlan),
    ("ij,kj->ik", {"i": N, "j": 300, "k": 50}, TilePlan),
    ("ji,jk->ik", {"i": 37, "j": N, "k": 19}, TilePlan),
    ("ji,jk->ik", {"i": 100, "j": N, "k": 128}, TilePlan),
    ("ji,jk->ik", {"i": 3, "j": N, "k": 700}, TilePlan),
    ("ji,jk->ik", {"i": 2, "j": N, "k": 700}, TilePlan),
    ("ij,j->i", {"i": N, "j": 50}, DotPlan),
    ("ij,i->j", {"i": N, "j": 50}, TilePlan),
    ("ij,i->j", {"i": N, "j": 1000}, TilePlan),
    ("bij,bjk->bik", {"b": N, "i": 5, "j": 40, "k": 6}, TilePlan),
    ("bij,jk->bik", {"b": N, "i": 5, "j": 40, "k": 9}, TilePlan),
    ("ij,jk->ik", {"i": N, "j": 75, "k": 2}, DotPlan),
    ("bij,jk->bik", {"b": N, "i": 5, "j": 40, "k": 2}, DotPlan),
    ("bij,bik->jk", {"b": N, "i": 5, "j": 40, "k": 6}, TilePlan),
    ("ji,jk->ik", {"i": N, "j": 20, "k": 30}, None),
    ("ij,kj->ik", {"i": 20, "j": N, "k": 30}, None),
    ("ij,kj->ik", {"i": N, "j": 30, "k": N}, None),
]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("form", "sizes", "kind"), FORMS, ids=[f"{k}:{form}" for k, (form, _, _) in enumerate(FORMS)])
def test_every_number_of_rows_and_every_depth(form: str, sizes: Sizes, kind: type | None, dtype: str) -> None:
    chosen = plan_of(program_of(form, sizes, dtype))
    assert type(chosen) is (kind or type(None))
    entry = compiled(form, sizes, dtype)
    for size in SIZES if kind else SIZES[:7]:
        arrays = arrays_of(form, sizes, size, dtype)
        (result,) = entry(arrays)
        assert_is_einsum(form, arrays, result)


@pytest.mark.parametrize(
    ("form", "sizes"),
    [
        ("ij,jk->ik", {"i": N, "j": 37, "k": 19}),
        ("ij,kj->ik", {"i": N, "j": 37, "k": 19}),
        ("ji,jk->ik", {"i": 37, "j": N, "k": 19}),
        ("ij,j->i", {"i": N, "j": 50}),
        ("ji,jk->ik", {"i": 40, "j": N, "k": 3}),
        ("ij,jk->ik", {"i": N, "j": 100, "k": 10}),
        ("ij,kj->ik", {"i": N, "j": 100, "k": 9}),
        ("ij,jk->ik", {"i": N, "j": 1100, "k": 12}),
        ("ji,jk->ik", {"i": 100, "j": N, "k": 10}),
        ("ji,jk->ik", {"i": 36, "j": N, "k": 13}),
        ("ji,jk->ik", {"i": 100, "j": N, "k": 30}),
    ],
)
@pytest.mark.parametrize("size", [9, 33, 1000, 2500])
def test_the_same_bits_as_of_the_kernel_of_one_size(form: str, sizes: Sizes, size: int) -> None:
    arrays = arrays_of(form, sizes, size, "f4")
    fixed: Sizes = {letter: size if length is N else length for letter, length in sizes.items()}
    (ours,), (theirs,) = compiled(form, sizes, "f4")(arrays), compiled(form, fixed, "f4")(arrays)
    assert ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize(("form", "sizes"), [
    ("ij,jk->ik", {"i": N, "j": 784, "k": 10}),  # groups of rows
    ("ij,kj->ik", {"i": N, "j": 784, "k": 10}),
    ("ji,jk->ik", {"i": 784, "j": N, "k": 10}),  # any depth
])  # fmt: skip
def test_few_columns_are_summed_in_vectors_along_the_rows(form: str, sizes: Sizes) -> None:
    """Of f32 and 16 lanes, 10 columns leave 6 of a vector empty."""
    ir = emit(program_of(form, sizes, "f4"), AVX512)
    assert re.search("a tile of 10 rows by (16|32) columns", ir)


@pytest.mark.parametrize(("rows", "columns", "both"), [(784, 8, False), (784, 10, True), (784, 30, True)])
def test_a_left_operand_too_large_to_read_column_by_column_is_told_by_its_depth(
    rows: int, columns: int, both: bool
) -> None:
    call = program_of("ji,jk->ik", {"i": rows, "j": N, "k": columns}, "f4").body[0]
    assert isinstance(call, Call)
    assert isinstance(call.callee, Contraction)
    product = product_of(call.callee, [view.strides for view in call.views[:3]])
    assert product is not None
    most = turned_below(product, AVX512)
    assert (most is not None) == both
    for depth in (most - 1, most) if most is not None else (100, 100_000):
        known = product.with_lengths(depth)
        assert (turned(known, AVX512) is known) == (depth == most)


def test_what_a_tile_is_added_to_is_loaded_before_any_of_it_is_stored() -> None:
    """Rows lie side by side, and a masked load waits for a store that it would meet if it were whole."""
    program = program_of("ij,jk->ik", {"i": 4, "j": 8, "k": 10}, "f4", accumulate=True)
    lines = emit(program, AVX512).splitlines()
    stores = [k for k, line in enumerate(lines) if "call void @llvm.masked.store" in line]
    loads = [k for k, line in enumerate(lines) if "@llvm.masked.load" in line and "= call" in line]
    assert (len(stores), len(loads)) == (4, 8 + 4)
    assert max(loads) < min(stores)


PACKED: list[tuple[str, Sizes, tuple[int, ...]]] = [
    ("ij,jk->ik", {"i": N, "j": 700, "k": 530}, (7, 100, 128, 333, 1000)),
    ("ij,kj->ik", {"i": N, "j": 700, "k": 530}, (7, 128, 130, 333, 1000)),
    ("ji,jk->ik", {"i": 700, "j": N, "k": 530}, (0, 1, 7, 600, 1000)),
]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(("form", "sizes", "lengths"), PACKED)
def test_long_products_pack_whole_blocks(form: str, sizes: Sizes, lengths: tuple[int, ...], dtype: str) -> None:
    program = reserved(program_of(form, sizes, dtype))
    (call,) = program.body
    assert isinstance(call, Call)
    assert isinstance(call.callee, Contraction)
    product = product_of(call.callee, [view.strides for view in call.views[:3]])
    assert product is not None
    packed = packed_from(product, host())
    assert packed is not None
    entry = load(emit(program, host()), program)
    for size in lengths:
        arrays = arrays_of(form, sizes, size, dtype)
        (result,) = entry(arrays)
        assert_is_einsum(form, arrays, result)
        if size >= packed[0]:
            known: Sizes = {letter: size if length is N else length for letter, length in sizes.items()}
            single = reserved(program_of(form, known, dtype))
            (expected,) = load(emit(single, host()), single)(arrays)
            assert result.tobytes() == expected.tobytes()


@pytest.mark.parametrize("registers", [16, 32])
def test_panels_are_copied_for_the_rows_for_which_one_kernel_copies_them(registers: int) -> None:
    target = dataclasses.replace(host(), registers=registers)
    call = program_of("ij,jk->ik", {"i": N, "j": 784, "k": 200}, "f4").body[0]
    assert isinstance(call, Call)
    assert isinstance(call.callee, Contraction)
    product = product_of(call.callee, [view.strides for view in call.views[:3]])
    assert product is not None
    copied, packed, whole = copied_from(product, target), packed_from(product, target), plan(product, target)
    assert copied is not None
    assert packed is not None
    assert isinstance(whole, TilePlan)
    least, way = copied
    assert least < packed[0]
    assert (way.packing, whole.packing) == ("copy", "none")
    assert way.depth == whole.depth
    for rows, packing in ((least - 1, "none"), (least, "copy"), (packed[0] - 1, "copy")):
        single = plan(product.with_lengths(rows), target)
        assert isinstance(single, TilePlan)
        assert (single.packing, single.packs_blocks) == (packing, False)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rows_for_which_panels_are_copied(dtype: str) -> None:
    sizes: Sizes = {"i": N, "j": 784, "k": 200}
    entry = compiled("ij,jk->ik", sizes, dtype)
    for size in (1, 47, 48, 127, 128, 131, 400):
        arrays = arrays_of("ij,jk->ik", sizes, size, dtype)
        (result,) = entry(arrays)
        assert_is_einsum("ij,jk->ik", arrays, result)


def test_without_scratch_memory_nothing_is_packed_whole() -> None:
    sizes: Sizes = {"i": N, "j": 700, "k": 530}
    for size in (100, 333):
        arrays = arrays_of("ij,jk->ik", sizes, size, "f4")
        (result,) = compiled("ij,jk->ik", sizes, "f4")(arrays)
        assert_is_einsum("ij,jk->ik", arrays, result)


def reserved(program: LoopProgram) -> LoopProgram:
    return verify(reserve(program, lambda call: scratch_elements(call, program.buffer, host())))


def test_no_products_leave_0() -> None:
    (result,) = compiled("ji,jk->ik", {"i": 5, "j": N, "k": 7}, "f8")([np.ones((0, 5)), np.ones((0, 7))])
    np.testing.assert_array_equal(result, np.zeros((5, 7)))
