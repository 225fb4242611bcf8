"""Large nests in chunks: what is divided and how, and that nothing changes but the order of sums."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import For, LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.lowering.lower import lower
from gradc.loops.shaping.divide import Cut, divide
from tests.loops.test_lower_random import Grower

FINE = Cut(grain=1, row=1, share=1)


def divided(head: str, body: str, cut: Cut = FINE) -> LoopProgram:
    lines = "\n".join("  " + line for line in body.strip().splitlines())
    program = divide(parse_program(f"program p\n{head.strip()}\n\nbegin\n{lines}\n"), cut)
    assert parse_program(str(verify(program))) == program
    return program


def body_of(program: LoopProgram) -> str:
    return "\n".join(line[2:] for line in str(program).split("begin\n")[1].splitlines())


def test_independent_iterations_are_cut_in_equal_chunks() -> None:
    program = divided(
        "input x: f64[1000000]\noutput y: f64[1000000]",
        "for i in 0 to 1000000 vector:\n  y[i] = exp(x[i])",
        Cut(),
    )
    assert body_of(program) == (
        "for chunk in 0 to 64 parallel:\n"
        "  for i in chunk * 15680 to minimum(chunk * 15680 + 15680, 1000000) vector:\n"
        "    y[i] = exp(x[i])"
    )


def test_a_sum_is_summed_in_each_chunk_and_then_over_them() -> None:
    program = divided(
        "input x: f64[20000]\noutput y: f64[]",
        "local sum: f64[]\nsum[] = 1.0\nfor i in 0 to 20000:\n"
        "  sum[] += tanh(x[i]) in 8 lanes of i, blocks of 1024\ny[] = sum[]",
        Cut(),
    )
    assert body_of(program) == (
        "local sum: f64[]\n"
        "sum[] = 1.0\n"
        "for chunk in 0 to 5 parallel:\n"
        "  local sum_part: f64[]\n"
        "  sum_part[] = 0.0\n"
        "  for i in chunk * 4096 to minimum(chunk * 4096 + 4096, 20000):\n"
        "    sum_part[] += tanh(x[i]) in 8 lanes of i, blocks of 1024\n"
        "  sum_parts[chunk] = sum_part[]\n"
        "for chunk in 0 to 5:\n"
        "  sum[] += sum_parts[chunk] in sequence\n"
        "y[] = sum[]"
    )
    assert (program.buffer["sum_parts"].shape, program.arena_bytes) == ((5,), 40)


def test_an_array_of_sums_has_a_copy_in_each_chunk() -> None:
    program = divided(
        "input x: f64[6,3]\ninput place: i64[6]\noutput y: f64[2,2]",
        "for j in 0 to 4 vector:\n  y[j] = 0.0\nfor i in 0 to 6:\n  for j in 0 to 3:\n"
        "    y[minimum(maximum(place[i], 0), 1), j // 2] += x[i, j] in sequence",
        Cut(grain=40, row=1, share=1),
    )
    assert body_of(program).split("y[j] = 0.0\n")[1] == (
        "for chunk in 0 to 3 parallel:\n"
        "  for element in 0 to 4 vector:\n"
        "    y_parts[chunk * 4 + element] = 0.0\n"
        "  for i in chunk * 2 to chunk * 2 + 2:\n"
        "    for j in 0 to 3:\n"
        "      y_parts[chunk, minimum(maximum(place[i], 0), 1), j // 2] += x[i, j] in sequence\n"
        "for chunk in 0 to 3:\n"
        "  for element in 0 to 4 vector:\n"
        "    y[element] += y_parts[chunk * 4 + element] in sequence"
    )


def test_an_array_of_few_sums_is_local_to_each_chunk() -> None:
    program = divided(
        "input x: f64[6,2,2]\noutput y: f64[2,2]",
        "for j in 0 to 4 vector:\n  y[j] = 0.0\nfor i in 0 to 6:\n  for j in 0 to 2:\n    for k in 0 to 2:\n"
        "      y[j, k] += x[i, j, k] in sequence",
        Cut(grain=35, row=1, share=1),
    )
    assert body_of(program).split("y[j] = 0.0\n")[1] == (
        "for chunk in 0 to 3 parallel:\n"
        "  local y_part: f64[2,2]\n"
        "  for element in 0 to 4 vector:\n"
        "    y_part[element] = 0.0\n"
        "  for i in chunk * 2 to chunk * 2 + 2:\n"
        "    for j in 0 to 2:\n"
        "      for k in 0 to 2:\n"
        "        y_part[j, k] += x[i, j, k] in sequence\n"
        "  for element in 0 to 4 vector:\n"
        "    y_parts[chunk * 4 + element] = y_part[element]\n"
        "for chunk in 0 to 3:\n"
        "  for element in 0 to 4 vector:\n"
        "    y[element] += y_parts[chunk * 4 + element] in sequence"
    )


def test_a_row_of_scratch_becomes_the_chunks_own() -> None:
    program = divided(
        "input x: f64[4,8]\noutput y: f64[4,8]\narena row: f64[8] at 0\narena 64 bytes",
        "for i in 0 to 4:\n  for j in 0 to 8 vector:\n    row[j] = exp(x[i, j])\n"
        "  for j in 0 to 8 vector:\n    y[i, j] = row[7 - j]",
        Cut(grain=64, row=1),
    )
    assert body_of(program).startswith(
        "for chunk in 0 to 4 parallel:\n  local row: f64[8]\n  for i in chunk to chunk + 1:\n"
    )
    assert "row" not in program.buffer


def test_strips_of_rows_are_cut_between_strips_and_add_up_products_in_each_chunk() -> None:
    program = divided(
        "input x: f64[50,3]\ninput w: f64[3]\noutput y: f64[3]\narena z: f64[48] at 0\narena 384 bytes",
        "for j in 0 to 3 vector:\n  y[j] = 0.0\nfor strip in 0 to 48 step 8:\n"
        "  z{strip; 1} = contract ij,j->i [i=8, j=3] f64 (x{strip * 3; 3, 1}, w{0; 1})\n"
        "  y{0; 1} += contract i,ij->j [i=8, j=3] f64 (z{strip; 1}, x{strip * 3; 3, 1})",
        Cut(grain=20, row=1, share=1),
    )
    assert body_of(program).split("y[j] = 0.0\n")[1] == (
        "for chunk in 0 to 3 parallel:\n"
        "  for element in 0 to 3 vector:\n"
        "    y_parts[chunk, element] = 0.0\n"
        "  for strip in chunk * 16 to chunk * 16 + 16 step 8:\n"
        "    z{strip; 1} = contract ij,j->i [i=8, j=3] f64 (x{strip * 3; 3, 1}, w{0; 1})\n"
        "    y_parts{chunk * 3; 1} += contract i,ij->j [i=8, j=3] f64 (z{strip; 1}, x{strip * 3; 3, 1})\n"
        "for chunk in 0 to 3:\n"
        "  for element in 0 to 3 vector:\n"
        "    y[element] += y_parts[chunk, element] in sequence"
    )


@pytest.mark.parametrize("shape", ["[1]", "[3]", "[2,3]"])
def test_products_are_added_up_in_chunks_whatever_their_shape(shape: str) -> None:
    result = {"[1]": "j", "[3]": "j", "[2,3]": "kj"}[shape]
    columns = 1 if shape == "[1]" else 3
    left, right = ("ki", "d{first * 2; 1, 2}") if "k" in result else ("i", "d{first; 1}")
    out, sizes = ("y{0; 3, 1}", f"k=2, i=2, j={columns}") if "k" in result else ("y{0; 1}", f"i=2, j={columns}")
    head = f"input d: f64[19,2]\ninput x: f64[19,{columns}]\noutput y: f64{shape}"
    body = (
        f"for first in 1 to 18 step 2:\n"
        f"  {out} += contract {left},ij->{result} [{sizes}] f64 ({right}, x{{first * {columns}; {columns}, 1}})"
    )
    set_first = f"for j in 0 to {2 * 3 if 'k' in result else columns} vector:\n  y[j] = 0.5\n"
    program = parse_program(f"program p\n{head}\n\nbegin\n" + textwrap.indent(set_first + body, "  ") + "\n")
    chunked = divided(head, set_first + body)
    assert any(isinstance(s, For) and s.mode == "parallel" for s in chunked.body)
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=tuple(map(int, buffer.shape))) for buffer in program.inputs]
    (whole,) = load(emit(program, host()), program)(arrays)
    (in_order,) = load(emit(chunked, host()), chunked)(arrays)
    (on_threads,) = load(emit(chunked, host(), threads=3), chunked)(arrays)
    np.testing.assert_allclose(in_order, whole, rtol=1e-14)
    np.testing.assert_array_equal(on_threads, in_order)


STAYS = {
    "what an iteration reads of the one before": "for i in 1 to 64:\n  y[i] = y[i - 1] * 2.0",
    "scratch that is not set first": (
        "for i in 0 to 64:\n  y[i] = t[i // 2]\n  for j in 0 to 64 vector:\n    t[j] = x[j]"
    ),
    "scratch that is set in part": (
        "for i in 0 to 64:\n  for j in 0 to 63 vector:\n    t[j] = x[i]\n  y[i] = t[63 - i]"
    ),
    "scratch that is read later": (
        "for i in 0 to 64:\n  for j in 0 to 64 vector:\n    t[j] = x[i]\n  y[i] = t[i]\ny[0] = t[1]"
    ),
    "scratch that is read before it is set, in the setting loop": (
        "for i in 0 to 64:\n  for j in 0 to 64:\n    t[j] = x[i]\n    y[i] = t[63 - j]"
    ),
    "a sum that is read on the way": ("t[0] = 0.0\nfor i in 0 to 64:\n  t[0] += x[i] in sequence\n  y[i] = t[0]"),
    "two ways of combining": (
        "t[0] = 0.0\nfor i in 0 to 64:\n  t[0] += x[i] in sequence\n  t[0] max= x[i] in sequence"
    ),
    "elements written by data": ("for i in 0 to 64:\n  y[minimum(maximum(convert(x[i], i64), 0), 63)] = x[i]"),
    "products that are written over each other": (
        "for i in 0 to 8:\n  y{0; 1} = contract ij,j->i [i=8, j=8] f64 (x{0; 8, 1}, x{i; 1})"
    ),
    "products that another is made of": (
        "for i in 0 to 8:\n  t{0; 1} += contract ij,j->i [i=8, j=8] f64 (x{0; 8, 1}, x{i; 1})\n"
        "  y{i; 1} = contract ij,j->i [i=1, j=8] f64 (x{0; 8, 1}, t{0; 1})"
    ),
    "state that is carried": (
        "for i in 0 to 64 carry now, following = t, u:\n  for j in 0 to 64:\n    following[j] = now[j]"
    ),
    "bounds that are not known": "for i in 0 to 2:\n  for j in 0 to i:\n    y[0] = x[j]",
}


@pytest.mark.parametrize("body", STAYS.values(), ids=STAYS.keys())
def test_what_stays_in_order(body: str) -> None:
    head = "input x: f64[64]\noutput y: f64[64]\narena t: f64[64] at 0\narena u: f64[64] at 512\narena 1024 bytes"
    program = divided(head, body)
    assert not any(isinstance(s, For) and s.mode == "parallel" for s in program.body)


def test_small_nests_stay_as_they_are() -> None:
    program = divided("input x: f64[999]\noutput y: f64[999]", "for i in 0 to 999 vector:\n  y[i] = exp(x[i])", Cut())
    assert body_of(program) == "for i in 0 to 999 vector:\n  y[i] = exp(x[i])"


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), steps=st.integers(1, 12), derived=st.booleans())
def test_random_graphs_compute_the_same_in_chunks_on_any_number_of_threads(
    data: st.DataObject, steps: int, derived: bool
) -> None:
    grower = Grower(data)
    grower.grow(steps)
    program = lower(grower.gradient() if derived else grower.graph())
    chunked = divide(program, FINE)
    assert parse_program(str(verify(chunked))) == chunked
    whole = load(emit(program, host()), program)(grower.arrays)
    in_order = load(emit(chunked, host()), chunked)(grower.arrays)
    on_threads = load(emit(chunked, host(), threads=3), chunked)(grower.arrays)
    for one, chunks, threads in zip(whole, in_order, on_threads, strict=True):
        np.testing.assert_allclose(chunks, one, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(threads, chunks)
