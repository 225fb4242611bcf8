"""The last columns of two rows in one vector: how many multiply-adds that takes, what reaches what, and other rows."""

from __future__ import annotations

import re

import llvmlite.binding as binding
import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import assembly, load_object, object_code
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import kernel_of
from gradc.backends.llvm.matmul.ways import TilePlan
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call, Contraction, LoopProgram, whole
from gradc.loops.language.verify import verify

LINUX = "x86_64-unknown-linux-gnu"
AVX512 = Target(LINUX, "skylake-avx512", "", 512, 32, True)
AVX2 = Target(LINUX, "haswell", "", 256, 16, True)
TARGETS = pytest.mark.parametrize(
    ("target", "needs"),
    [pytest.param(AVX512, ("avx512f", "avx512vl"), id="avx512"), pytest.param(AVX2, ("avx2", "fma"), id="avx2")],
)


def product(dtype: str, rows: int, columns: int, depth: int, *, transposed: str = "") -> LoopProgram:
    lhs, rhs = "ji" if "A" in transposed else "ij", "kj" if "B" in transposed else "jk"
    sizes, kind = {"i": rows, "j": depth, "k": columns}, np.dtype(dtype)
    a, b, c = (
        Buffer(name, kind, tuple(sizes[letter] for letter in word), role)
        for name, word, role in (("a", lhs, "input"), ("b", rhs, "input"), ("c", "ik", "output"))
    )
    letters = tuple((letter, sizes[letter]) for letter in dict.fromkeys(lhs + rhs))
    call = Call(Contraction(lhs, rhs, "ik", letters, kind), (whole(a), whole(b), whole(c)))
    return verify(LoopProgram("product", (a, b, c), (call,)))


def run(program: LoopProgram, target: Target, needs: tuple[str, ...], *arrays: np.ndarray) -> np.ndarray:
    has = binding.get_host_cpu_features()
    if not (host().triple.startswith("x86_64") and all(has.get(feature) for feature in needs)):
        pytest.skip("this processor lacks the instructions")
    (result,) = load_object(object_code(emit(program, target), target), program)(arrays)
    return result


@TARGETS
@pytest.mark.parametrize(("dtype", "columns"), [("f8", 10), ("f4", 20)])
def test_two_rows_share_a_multiply_add(target: Target, needs: tuple[str, ...], dtype: str, columns: int) -> None:
    """The inner loop has one for every two rows beside those of whole vectors, and keeps its sums in registers."""
    program = product(dtype, 64, columns, 128)
    (call,) = program.body
    assert isinstance(call, Call)
    kernel = kernel_of(call, program.buffer, target)
    assert kernel is not None
    plan = kernel.plan
    assert isinstance(plan, TilePlan)
    assert (plan.rows % 2, plan.vectors) == (0, -(-columns // plan.lanes))
    loop = max(_loops(assembly(emit(program, target), target)), key=len)
    products = sum("\tvfmadd" in line for line in loop)
    assert products % (plan.rows * (plan.vectors - 1) + plan.rows // 2) == 0
    assert products > 0
    assert [line for line in loop if re.search(r"\(%r[sb]p\)", line)] == []


def _loops(code: str) -> list[list[str]]:
    """The innermost loops: from a label to the next jump, which leads back to it."""
    found, label, lines = [], "", list[str]()
    for line in code.splitlines():
        if re.match(r"[.\w]+:", line):
            label, lines = line.partition(":")[0], []
        elif line.startswith("\t") and not line.startswith("\t."):
            lines.append(line)
            if line.endswith(f"\t{label}"):
                found.append(lines.copy())
    return found


@TARGETS
@pytest.mark.parametrize("transposed", ["", "A", "B", "AB"])
@pytest.mark.parametrize("rows", [1, 2, 3, 16, 21])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_any_number_of_rows(target: Target, needs: tuple[str, ...], dtype: str, rows: int, transposed: str) -> None:
    """Small integers, whose sums are exact."""
    rng = np.random.default_rng(rows)
    for columns, depth in ((10, 30), (12, 50), (20, 1), (36, 33), (50, 64)):
        program = product(dtype, rows, columns, depth, transposed=transposed)
        a, b = (rng.integers(-9, 9, [int(d) for d in x.shape]).astype(dtype) for x in program.inputs)
        left, right = a.T if "A" in transposed else a, b.T if "B" in transposed else b
        np.testing.assert_array_equal(run(program, target, needs, a, b), left @ right)


@TARGETS
@pytest.mark.parametrize(("dtype", "columns"), [("f8", 10), ("f4", 20)])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row_and_column(
    target: Target, needs: tuple[str, ...], dtype: str, columns: int, bad: float
) -> None:
    program = product(dtype, 12, columns, 30)
    for side, place in ((0, (5, 7)), (0, (8, 29)), (1, (3, columns - 1)), (1, (9, columns - 2))):
        arrays = [np.ones([int(d) for d in x.shape], dtype) for x in program.inputs]
        arrays[side][place] = bad
        finite = np.isfinite(run(program, target, needs, *arrays))
        expected = np.ones((12, columns), bool)
        expected[(place[0], slice(None)) if side == 0 else (slice(None), place[1])] = False
        np.testing.assert_array_equal(finite, expected)
