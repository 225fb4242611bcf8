"""The tiled matrix multiply: every transposition on ragged, narrow, large, batched shapes, for several machines."""

from __future__ import annotations

import ctypes
import dataclasses
import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import assembly, load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.pairs import pairs_up
from gradc.backends.llvm.matmul.plan import PANEL_BYTES
from gradc.backends.llvm.matmul.product import product_of
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.backends.llvm.matmul.turned import ragged
from gradc.backends.llvm.matmul.ways import DotPlan, TilePlan, parts
from gradc.ir.target import GENERIC, Target
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, View, contiguous_strides, whole
from gradc.loops.language.verify import verify
from gradc.loops.shaping.scratch import reserve

Run = Callable[..., list[np.ndarray]]

FORMS = ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik"]
AVX512 = Target("x86_64-unknown-linux-gnu", "skylake-avx512", "", 512, 32, True)
AVX2 = Target("x86_64-unknown-linux-gnu", "haswell", "", 256, 16, True)
PLAIN = dataclasses.replace(GENERIC, triple="x86_64-unknown-linux-gnu")
NEON = Target("aarch64-unknown-linux-gnu", "cortex-a72", "", 128, 32, True)


def program_of(form: str, sizes: dict[str, int], dtype: str, *, accumulate: bool = False) -> LoopProgram:
    lhs, rhs, out = form.replace("->", ",").split(",")
    kind = np.dtype(dtype)
    a, b, c = (
        Buffer(name, kind, tuple(sizes[letter] for letter in word), role)
        for name, word, role in (("a", lhs, "input"), ("b", rhs, "input"), ("c", out, "output"))
    )
    letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, out, letters, kind, accumulate), (whole(a), whole(b), whole(c)))
    return verify(LoopProgram("product", (a, b, c), (call,)))


def arrays_of(program: LoopProgram, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(tuple(map(int, x.shape))).astype(x.dtype) for x in program.inputs]


def chosen(form: str, sizes: dict[str, int], dtype: str, target: Target) -> TilePlan | DotPlan | None:
    """The kernel that a contraction of dense arrays gets."""
    program = program_of(form, sizes, dtype)
    (call,) = program.body
    assert isinstance(call, Call)
    kernel = kernel_of(call, program.buffer, target)
    return kernel.plan if kernel else None


def assert_is_einsum(form: str, arrays: list[np.ndarray], result: np.ndarray, depth: int) -> None:
    """Within ``depth`` roundings of the sum of absolute products, as any order of summation is."""
    wide = [a.astype(np.float64) for a in arrays]
    scale = np.einsum(form, *(np.abs(a) for a in wide), optimize=True)
    bound = (depth + 2) * np.finfo(result.dtype).eps / 2 * scale + depth * 1e-15 * scale
    assert np.all(np.abs(result - np.einsum(form, *wide, optimize=True)) <= bound)


def check(form: str, sizes: dict[str, int], dtype: str) -> None:
    program = program_of(form, sizes, dtype)
    arrays = arrays_of(program)
    (result,) = load(emit(program, host()), program)(arrays)
    out = form.split("->")[1]
    depth = int(np.prod([length for letter, length in sizes.items() if letter not in out and letter in form]))
    assert_is_einsum(form, arrays, result, depth)


SHAPES = [
    (1, 1, 1), (2, 2, 2), (3, 5, 7), (8, 32, 16), (9, 33, 17), (10, 128, 64), (128, 10, 64), (100, 100, 100),
    (31, 49, 5), (64, 65, 1), (5, 3, 1100), (200, 7, 600), (1, 50, 70), (50, 1, 70), (1, 1, 333), (4, 130, 90),
    (4, 18, 200), (6, 9, 150), (7, 33, 260), (33, 20, 50), (20, 64, 70), (16, 36, 57), (40, 24, 100),
    (35, 2, 133), (33, 3, 100), (34, 4, 7000), (40, 5, 64), (67, 8, 65), (260, 2, 700),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "x".join(map(str, s)))
@pytest.mark.parametrize("form", FORMS)
def test_every_transposition(form: str, shape: tuple[int, int, int]) -> None:
    for dtype in ("f4", "f8"):
        check(form, dict(zip("ikj", shape, strict=True)), dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("dtype", "shape"),
    [
        ("f4", (170, 700, 530)),
        ("f8", (301, 330, 520)),
        ("f4", (2100, 50, 270)),
        ("f4", (3, 700, 530)),
        ("f8", (1, 530, 700)),
    ],
)
def test_packed_and_blocked(form: str, dtype: str, shape: tuple[int, int, int]) -> None:
    check(form, dict(zip("ikj", shape, strict=True)), dtype)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("dtype", "shape"), [("f4", (170, 700, 1030)), ("f8", (301, 330, 820)), ("f4", (600, 700, 1100))]
)
def test_packed_in_scratch_memory(form: str, dtype: str, shape: tuple[int, int, int]) -> None:
    """Whole blocks of both operands are packed where the program has memory for them."""
    program = program_of(form, dict(zip("ikj", shape, strict=True)), dtype)
    reserved = verify(reserve(program, lambda call: scratch_elements(call, program.buffer, host())))
    assert reserved.arena_bytes > 0
    assert parse_program(str(reserved)) == reserved
    arrays = arrays_of(program)
    (result,) = load(emit(reserved, host()), reserved)(arrays)
    assert_is_einsum(form, arrays, result, shape[2])


def test_a_left_operand_with_gaps_in_both_directions_is_read_where_it_stands() -> None:
    """Every second element of every second row."""
    kind = np.dtype("f4")
    a, b = Buffer("a", kind, (400, 1200), "input"), Buffer("b", kind, (600, 500), "input")
    c = Buffer("c", kind, (200, 500), "output")
    form = Contraction("ij", "jk", "ik", (("i", 200), ("j", 600), ("k", 500)), kind)
    call = Call(form, (View("a", (2400, 2)), whole(b), whole(c)))
    program = LoopProgram("gaps", (a, b, c), (call,))
    reserved = verify(reserve(program, lambda call: scratch_elements(call, program.buffer, host())))
    x, y = arrays_of(program)
    (result,) = load(emit(reserved, host()), reserved)([x, y])
    assert_is_einsum("ij,jk->ik", [x[::2, ::2], y], result, 600)


def test_contractions_share_their_scratch_memory() -> None:
    program = program_of("ij,jk->ik", {"i": 300, "j": 600, "k": 400}, "f8")
    (call,) = program.body
    twice = dataclasses.replace(program, body=(call, call))
    needs = lambda call: 1000  # noqa: E731
    once, both = reserve(program, needs), reserve(twice, needs)
    assert once.arena_bytes == both.arena_bytes == 8000
    assert reserve(program, lambda call: 0) is program


@pytest.mark.parametrize("form", [
    "bij,bjk->bik", "bij,bkj->bik", "bji,bjk->bik", "bij,jk->bik", "ij,bjk->bik", "bij,bj->bi", "bi,bij->bj",
    "abij,abjk->abik", "aibj,bjk->aik", "ij,jk->ki", "aij,jk->aki", "i,j->ij", "i,j->ji", "bi,bj->bij", "i,i->",
    "bi,bi->b", "ijk,jkl->il", "ijk,klm->ijlm",
])  # fmt: skip
def test_batches_outer_products_and_joined_letters(form: str) -> None:
    sizes = {"a": 2, "b": 3, "i": 17, "j": 9, "k": 13, "l": 6, "m": 11}
    for dtype in ("f4", "f8"):
        check(form, {letter: sizes[letter] for letter in dict.fromkeys(form) if letter.isalpha()}, dtype)


@pytest.mark.parametrize("empty", "ijk")
def test_empty_arrays(empty: str) -> None:
    sizes = {"i": 4, "j": 5, "k": 6} | {empty: 0}
    check("ij,jk->ik", sizes, "f8")


@pytest.mark.parametrize(("form", "shape"), [
    ("ij,jk->ik", (9, 21, 30)), ("ij,kj->ik", (9, 21, 30)), ("ij,kj->ik", (2, 9, 40)), ("ij,jk->ik", (9, 21, 2500)),
    ("ij,kj->ik", (1, 3, 40000)), ("ji,jk->ik", (40, 9, 1100)), ("ji,kj->ik", (48, 17, 30)),
    ("ij,jk->ik", (37, 3, 5000)),
])  # fmt: skip
def test_accumulate_adds_to_what_is_there(form: str, shape: tuple[int, int, int]) -> None:
    sizes = dict(zip("ikj", shape, strict=True))
    program = program_of(form, sizes, "f8", accumulate=True)
    twice = dataclasses.replace(
        program,
        body=(
            dataclasses.replace(program.body[0], callee=dataclasses.replace(program.body[0].callee, accumulate=False)),
            program.body[0],
        ),
    )
    arrays = arrays_of(program)
    (result,) = load(emit(twice, host()), twice)(arrays)
    assert_is_einsum(form, [2 * arrays[0], arrays[1]], result, 2 * shape[2])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_reach_their_row_and_column_alone(form: str, bad: float, run: Run) -> None:
    program = program_of(form, {"i": 11, "j": 19, "k": 21}, "f4")
    for side, place in ((0, (3, 4)), (1, (5, 6))):
        arrays = [np.abs(a) for a in arrays_of(program)]
        arrays[side][place] = bad
        (result,) = run(program, *arrays)
        np.testing.assert_array_equal(np.isfinite(result), np.isfinite(np.einsum(form, *arrays)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(9, 33, 17), (1, 100, 100), (60, 1, 99), (40, 3, 70)])
def test_the_bits_do_not_depend_on_alignment(form: str, shape: tuple[int, int, int]) -> None:
    program = program_of(form, dict(zip("ikj", shape, strict=True)), "f4")
    entry = load(emit(program, host()), program)
    arrays = arrays_of(program)
    (expected,) = entry(arrays)
    for shift in (4, 12, 60):
        moved = []
        for array in arrays:
            block = np.empty(array.nbytes + 128, np.uint8)
            start = -block.ctypes.data % 64 + shift
            moved.append(block[start : start + array.nbytes].view(array.dtype).reshape(array.shape))
            moved[-1][...] = array
        assert entry(moved)[0].tobytes() == expected.tobytes()


def test_strided_views_stay_inside_their_matrices(run: Run) -> None:
    """Two halves of the columns of one result, from parts of larger matrices."""
    kind = np.dtype("f8")
    a, b = Buffer("a", kind, (9, 40), "input"), Buffer("b", kind, (20, 50), "input")
    c = Buffer("c", kind, (9, 26), "output")
    form = Contraction("ij", "jk", "ik", (("i", 9), ("j", 20), ("k", 13)), kind)
    from gradc.loops.language.program import size

    calls = tuple(
        Call(
            form,
            (
                View("a", (40, 1), size(20 * half)),
                View("b", (50, 1), size(7 + half)),
                View("c", (26, 1), size(13 * half)),
            ),
        )
        for half in (0, 1)
    )
    program = verify(LoopProgram("halves", (a, b, c), calls))
    x, y = arrays_of(program)
    (result,) = run(program, x, y)
    expected = np.hstack([x[:, :20] @ y[:, 7:20], x[:, 20:] @ y[:, 8:21]])
    np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-13)
    assert emit(program, host()).count("define internal void") == 1  # both halves share it


@pytest.mark.parametrize("target", [AVX512, AVX2, PLAIN, NEON], ids=["avx512", "avx2", "plain", "neon"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_other_targets(target: Target, dtype: str) -> None:
    """Every kind of kernel compiles for every machine, calls nothing, and runs where this machine can."""
    import llvmlite.binding as binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    for form, shape in itertools.product(FORMS, [(13, 37, 20), (1, 40, 50), (3, 6, 1), (33, 2, 50)]):
        program = program_of(form, dict(zip("ikj", shape, strict=True)), dtype)
        ir = emit(program, target)
        code = assembly(ir, target)
        assert "fma" not in code.replace("vfma", "").replace("fmadd", "").replace("fmla", "")
        if _runs_here(target):
            arrays = arrays_of(program)
            (result,) = load(ir, program)(arrays)
            assert_is_einsum(form, arrays, result, shape[2])


@pytest.mark.parametrize("target", [AVX512, AVX2, PLAIN, NEON], ids=["avx512", "avx2", "plain", "neon"])
@pytest.mark.parametrize("form", FORMS)
def test_the_inner_loop_of_a_square_product_keeps_its_sums_in_registers(target: Target, form: str) -> None:
    """Nothing in the loop over k is at a fixed place of the stack; a transposed panel is there, and is indexed."""
    import llvmlite.binding as binding

    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    for dtype in ("f4", "f8"):
        code = assembly(emit(program_of(form, {"i": 192, "j": 192, "k": 192}, dtype), target), target)
        loop = max(_loops(code), key=lambda lines: sum(bool(_PRODUCT.search(line)) for line in lines))
        tile = chosen(form, {"i": 192, "j": 192, "k": 192}, dtype, target)
        assert isinstance(tile, TilePlan)
        assert sum(bool(_PRODUCT.search(line)) for line in loop) >= tile.rows * tile.vectors
        assert [line for line in loop if _FIXED_PLACE.search(line)] == []


_PRODUCT = re.compile(r"\t(vfmadd|fmla|mulp)")
_FIXED_PLACE = re.compile(r"\(%r[sb]p\)|\[sp")


def _loops(code: str) -> list[list[str]]:
    """The innermost loops of x86 or ARM assembly: from a label to the next jump, which leads back to it."""
    found, label, lines = [], "", list[str]()
    for line in code.splitlines():
        if re.match(r"[.\w]+:", line):
            label, lines = line.partition(":")[0], []
        elif line.startswith("\t") and not line.startswith("\t."):
            lines.append(line)
            if line.endswith(f"\t{label}"):
                found.append(lines.copy())
    return found


@pytest.mark.parametrize(("columns", "vectors"), [(20, (16, 4)), (24, (16, 8)), (18, (16, 2)), (50, (16, 2))])
def test_the_last_vector_of_a_row_is_as_narrow_as_what_is_left(columns: int, vectors: tuple[int, ...]) -> None:
    ir = emit(program_of("ij,jk->ik", {"i": 9, "j": 30, "k": columns}, "f4"), AVX512)
    for lanes in vectors:
        assert f"@llvm.fma.v{lanes}f32" in ir
    assert "masked" not in ir


def _runs_here(target: Target) -> bool:
    here = host()
    same = target.triple.partition("-")[0] == here.triple.partition("-")[0]
    return same and target.vector_bits <= here.vector_bits and (here.fma or not target.fma)


def test_tiles_fit_the_registers() -> None:
    for target, shape, dtype in itertools.product(
        (AVX512, AVX2, PLAIN, NEON),
        [(1, 1000), (4, 9000), (2, 9), (7, 40), (100, 100), (64, 10), (300, 301)],
        ("f4", "f8"),
    ):
        plan = chosen("ij,jk->ik", {"i": shape[0], "k": shape[1], "j": 30}, dtype, target)
        assert isinstance(plan, TilePlan)
        in_one = plan.vectors * plan.lanes >= shape[1]
        pairs = plan.rows // 2 if in_one and pairs_up(plan.lanes, shape[1], np.dtype(dtype).itemsize) else 0
        others = 3 if pairs else 1
        assert plan.rows * plan.vectors - pairs + plan.vectors + others <= target.registers


def test_which_kernel() -> None:
    assert isinstance(chosen("ij,j->i", {"i": 50, "j": 60}, "f4", AVX512), DotPlan)
    assert isinstance(chosen("ji,j->i", {"i": 50, "j": 60}, "f4", AVX512), TilePlan)
    assert isinstance(chosen("i,i->", {"i": 60}, "f4", AVX512), DotPlan)


def test_tiles_of_a_batch_are_wide_where_that_reads_left_operands_once() -> None:
    sizes = {"b": 16, "i": 128, "j": 128, "k": 32}
    shapes = []
    for form, more in (("bij,bjk->bik", {}), ("ij,jk->ik", {}), ("bji,bjk->bik", {}), ("bij,bjk->bik", {"j": 129})):
        plan = chosen(form, {x: length for x, length in (sizes | more).items() if x in form}, "f8", AVX512)
        assert isinstance(plan, TilePlan)
        shapes.append((plan.rows, plan.vectors))
    assert shapes == [(4, 4), (8, 2), (8, 2), (8, 2)]


def test_few_long_rows_by_rows_are_dots_where_there_are_many_registers() -> None:
    sizes = {"i": 8, "j": 32, "k": 100}
    assert chosen("ij,kj->ik", sizes, "f4", AVX512) == DotPlan(4, 4, 16, 1, 32)
    assert isinstance(chosen("ij,kj->ik", sizes, "f4", AVX2), TilePlan)
    assert isinstance(chosen("ij,kj->ik", sizes | {"j": 31}, "f4", AVX512), TilePlan)
    assert isinstance(chosen("ij,kj->ik", sizes | {"i": 9}, "f4", AVX512), TilePlan)
    assert chosen("ij,kj->ik", sizes | {"i": 6}, "f8", NEON) == DotPlan(3, 4, 2, 1, 32)
    assert chosen("i,i->i", {"i": 60}, "f4", AVX512) is None
    assert chosen("ij,jk->ik", {"i": 5, "j": 6, "k": 7}, "i4", AVX512) is None


@pytest.mark.parametrize(("sizes", "dtype", "target", "packing", "tile"), [
    ((50, 60, 70), "f4", AVX512, "registers", (22, 1)),
    ((64, 60, 64), "f8", AVX512, "registers", (16, 1)),  # one piece of code for all rows
    ((128, 64, 10), "f8", AVX512, "registers", (16, 2)),  # the last columns of two rows are in one vector
    ((128, 512, 128), "f4", AVX512, "registers", (8, 1)),  # columns 2048 bytes apart
    ((192, 512, 192), "f4", AVX512, "transpose", None),  # and many rows
    ((64, 512, 64), "f8", AVX512, "transpose", None),  # 4096 bytes apart
    ((50, 60, 70), "f4", AVX2, "transpose", None),  # few registers
    ((50, 60, 70), "f4", NEON, "transpose", None),  # short ones
])  # fmt: skip
def test_tiles_transpose_the_right_operand_in_registers_where_those_are_many_and_columns_do_not_share_a_place(
    sizes: tuple[int, int, int], dtype: str, target: Target, packing: str, tile: tuple[int, int] | None
) -> None:
    plan = chosen("ij,kj->ik", dict(zip("ijk", sizes, strict=True)), dtype, target)
    assert isinstance(plan, TilePlan)
    assert plan.packing == packing
    assert tile is None or (plan.rows, plan.vectors) == tile


@pytest.mark.parametrize(("columns", "dtype", "aside"), [
    (36, "f4", (4, "registers")),  # four columns fill a quarter of a vector, a hundred rows six
    (40, "f4", None),
    (32, "f4", None),
    (36, "f8", None),  # half a vector takes half the time
])  # fmt: skip
def test_few_last_columns_are_in_vectors_along_the_rows_though_both_operands_are_dense_along_k(
    columns: int, dtype: str, aside: tuple[int, str] | None
) -> None:
    program = program_of("ij,kj->ik", {"i": 100, "j": 70, "k": columns}, dtype)
    (call,) = program.body
    assert isinstance(call, Call)
    kernel = kernel_of(call, program.buffer, AVX512)
    assert kernel is not None
    found = ragged(kernel.product, kernel.plan, AVX512)
    assert (found and (found[0].m.length, found[1].packing)) == aside


@pytest.mark.parametrize("form", ["ji,jk->ik", "ji,kj->ik"])
def test_few_columns_of_a_result_are_summed_as_rows_and_stored_transposed(form: str) -> None:
    """The sums of a row of the left operand fill vectors, those of 10 columns do not."""
    sizes = {"i": 128, "k": 10, "j": 64}
    program = program_of(form, sizes, "f4")
    (call,) = program.body
    assert isinstance(call, Call)
    kernel = kernel_of(call, program.buffer, AVX512)
    assert kernel is not None
    assert isinstance(kernel.plan, TilePlan)
    assert (kernel.product.m.length, kernel.product.n.length, kernel.plan.packing) == (10, 128, "none")


def test_columns_that_fill_at_most_half_a_vector_are_gathered_for_dots() -> None:
    sizes = {"i": 32, "k": 2, "j": 784}
    assert chosen("ij,jk->ik", sizes, "f4", AVX512) == DotPlan(4, 2, 16, 2, 784)
    assert isinstance(chosen("ij,jk->ik", sizes | {"i": 64, "k": 8}, "f4", AVX512), DotPlan)
    crowded = sizes | {"j": 1024, "k": 8}  # rows that share two places of a cache
    assert isinstance(chosen("ij,jk->ik", crowded, "f4", AVX512), DotPlan)
    for fewer in ({"i": 15}, {"i": 640, "k": 9}, {"j": 31}, {"k": 8}):
        assert isinstance(chosen("ij,jk->ik", sizes | fewer, "f4", AVX512), TilePlan)
    long = chosen("ij,jk->ik", sizes | {"k": 4, "j": 7000}, "f8", AVX512)
    assert isinstance(long, DotPlan)
    assert long.depth * 4 * 8 <= PANEL_BYTES


def test_a_large_left_operand_dense_along_its_rows_is_read_once_for_few_columns() -> None:
    program = program_of("ji,jk->ik", {"i": 1024, "k": 2, "j": 784}, "f4")
    (call,) = program.body
    assert isinstance(call, Call)
    kernel = kernel_of(call, program.buffer, AVX512)
    assert kernel is not None
    assert isinstance(kernel.plan, TilePlan)
    assert (kernel.product.m.length, kernel.plan.rows, kernel.plan.depth) == (2, 2, 784)


def test_letters_join_where_their_strides_do() -> None:
    """A batch of rows that share their right operand is one tall matrix."""
    kind = np.dtype("f8")
    form = Contraction("bij", "jk", "bik", (("b", 4), ("i", 5), ("j", 6), ("k", 7)), kind)
    dense = [contiguous_strides(shape) for shape in ((4, 5, 6), (6, 7), (4, 5, 7))]
    product = product_of(form, dense)
    assert product is not None
    assert (product.m.length, product.n.length, product.k.length, product.outer) == (20, 7, 6, ())


def test_parts_cover_a_range() -> None:
    for length, step in itertools.product(range(1, 30), range(1, 12)):
        covered = [
            i
            for part in parts(length, step)
            for start in range(part.start, part.stop, part.step)
            for i in range(start, start + part.step)
        ]
        assert covered == list(range(length))


def test_ir_is_the_same_every_time() -> None:
    program = program_of("ij,kj->ik", {"i": 20, "j": 30, "k": 40}, "f4")
    assert emit(program, AVX2) == emit(program, AVX2)
    assert "; f32[20,30] by [30,40]" in emit(program, AVX2)


def test_misaligned_results_are_written_whole() -> None:
    """A kernel called on bare addresses writes its matrix and nothing around it."""
    program = program_of("ij,jk->ik", {"i": 9, "j": 8, "k": 21}, "f4")
    entry = load(emit(program, host()), program)
    a, b = arrays_of(program)
    block = np.full(9 * 21 + 64, 7.0, np.float32)
    start = 31
    entry._call(a.ctypes.data, b.ctypes.data, block[start:].ctypes.data, ctypes.c_void_p(0))
    assert (block[:start] == 7).all()
    assert (block[start + 9 * 21 :] == 7).all()
    assert_is_einsum("ij,jk->ik", [a, b], block[start : start + 9 * 21].reshape(9, 21), 8)
