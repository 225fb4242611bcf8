"""The arena: nothing that lives at the same time overlaps, and little is wasted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.ir.aval import Dim, aval, aval_of, dim_value, symbol
from gradc.ir.graph import Builder, Graph, Value
from gradc.loops.language.program import ALIGNMENT, LoopProgram
from gradc.loops.lowering.fuse import fuse
from gradc.loops.lowering.lower import lower
from gradc.loops.lowering.stages import plan
from gradc.loops.lowering.storage import assign
from gradc.loops.shaping.buffers import Arena, Lifetime, largest_live, lay_out
from gradc.ops.contraction import contract
from gradc.ops.elementwise import exp, tanh
from gradc.ops.shape import slice_, transpose
from gradc.transforms.adjoint import adjoint

N, M = symbol("n"), symbol("m")
LIFETIMES = st.lists(
    st.builds(
        lambda size, first, length: Lifetime(size, first, first + length),
        st.integers(0, 2000), st.integers(0, 30), st.integers(0, 12),
    ),
    max_size=40,
)  # fmt: skip


def overlap(one: Lifetime, other: Lifetime) -> bool:
    return one.first <= other.last and other.first <= one.last


def apart(arena: Arena, k: int, one: Lifetime, n: int, other: Lifetime) -> bool:
    """Whether the slots of arrays k and n do not overlap."""
    first, second = arena.offsets[k], arena.offsets[n]
    return first + one.slot <= second or second + other.slot <= first


@given(LIFETIMES)
def test_what_lives_together_stands_apart(lifetimes: list[Lifetime]) -> None:
    arena = lay_out(lifetimes)
    for k, one in enumerate(lifetimes):
        assert arena.offsets[k] % ALIGNMENT == 0
        assert arena.offsets[k] + one.slot <= arena.bytes
        for n, other in enumerate(lifetimes[:k]):
            if overlap(one, other):
                assert (
                    arena.offsets[k] + one.slot <= arena.offsets[n] or arena.offsets[n] + other.slot <= arena.offsets[k]
                )
    assert largest_live(lifetimes) <= arena.bytes <= sum(life.slot for life in lifetimes)


ROWS = st.sampled_from([1, N, N, N * M, N * 2 + 1])


@given(LIFETIMES, st.lists(ROWS, min_size=40, max_size=40))
def test_places_of_symbolic_arrays(lifetimes: list[Lifetime], rows: list[Dim]) -> None:
    several = [life._replace(bytes=life.bytes * count) for life, count in zip(lifetimes, rows, strict=False)]
    arena = lay_out(several)
    for sizes in ({"n": n, "m": m} for n, m in ((0, 0), (1, 1), (7, 3), (64, 5))):
        starts = [dim_value(offset, sizes) for offset in arena.offsets]
        ends = [start + dim_value(life.bytes, sizes) for start, life in zip(starts, several, strict=True)]
        assert all(start % ALIGNMENT == 0 for start in starts)
        assert max(ends, default=0) <= dim_value(arena.bytes, sizes)
        for k, one in enumerate(several):
            for n, other in enumerate(several[:k]):
                if overlap(one, other):
                    assert (
                        ends[k] <= starts[n] or ends[n] <= starts[k] or 0 in (ends[k] - starts[k], ends[n] - starts[n])
                    )


def test_a_narrow_mask_does_not_have_rows_counted_in_more() -> None:
    rows, mask = Lifetime(N * 160, 0, 1), Lifetime(N * 21, 0, 1)
    assert str(lay_out([rows, mask]).bytes) == "1472*((n + 7) // 8)"
    assert str(lay_out([mask]).bytes) == "1344*((n + 63) // 64)"


def test_a_place_of_rows_is_taken_again() -> None:
    lifetimes = [Lifetime(N * 40, k, k + 1) for k in range(50)]
    assert str(lay_out(lifetimes).bytes) == "640*((n + 7) // 8)"
    assert lay_out([Lifetime(N * 128, 0, 1), Lifetime(100, 0, 1)]).offsets == [128, 0]


@given(LIFETIMES)
def test_a_place_is_handed_over_once(lifetimes: list[Lifetime]) -> None:
    taken: list[tuple[int, int]] = []

    def may_take(dying: int, born: int) -> bool:
        assert lifetimes[dying].last == lifetimes[born].first
        assert lifetimes[dying].slot == lifetimes[born].slot
        taken.append((dying, born))
        return True

    arena = lay_out(lifetimes, may_take)
    assert len({dying for dying, _ in taken}) == len(taken)
    for dying, born in taken:
        assert arena.offsets[dying] == arena.offsets[born]
    for k, one in enumerate(lifetimes):
        for n, other in enumerate(lifetimes[:k]):
            if overlap(one, other) and (n, k) not in taken and (k, n) not in taken:
                handed = (
                    min(one.last, other.last) == max(one.first, other.first) and arena.offsets[k] == arena.offsets[n]
                )
                apart = (
                    arena.offsets[k] + one.slot <= arena.offsets[n] or arena.offsets[n] + other.slot <= arena.offsets[k]
                )
                assert apart or handed


def test_equal_arrays_in_a_row_take_turns() -> None:
    lifetimes = [Lifetime(640, k, k + 1) for k in range(50)]
    assert lay_out(lifetimes).bytes == largest_live(lifetimes) == 2 * 640


def test_gaps_that_touch_become_one() -> None:
    lifetimes = [Lifetime(64, 0, 1), Lifetime(64, 0, 2), Lifetime(64, 0, 1), Lifetime(192, 3, 4)]
    assert lay_out(lifetimes).bytes == 192


def chain(length: int, size: int) -> Graph:
    """A chain of matrix products with an activation between."""
    builder = Builder()
    h = builder.input("x", aval(f"f64[{size},{size}]"))
    w = builder.input("w", aval(f"f64[{size},{size}]"))
    for _ in range(length):
        h = tanh(contract(h, w, lhs="ij", rhs="jk", out="ik"))
    return builder.freeze([h])


def ratio(graph: Graph) -> float:
    """The arena over the largest live set of a graph without composite ops."""
    stages = plan(graph)
    storages = assign(stages, fuse(stages))
    scratch = [s.lifetime for s in {*storages.of.values(), *storages.partial.values()} if s.output is None]
    return storages.arena_bytes / largest_live(scratch)


def test_the_arena_of_a_chain_holds_two_of_its_values() -> None:
    square = 12 * 12 * 8
    assert lower(chain(40, 12)).arena_bytes == 2 * square
    assert ratio(chain(40, 12)) <= 1.0


def test_the_arena_of_a_gradient_is_near_its_largest_live_set() -> None:
    graph = chain(20, 12)
    builder = Builder()
    inputs = [builder.input(n, a) for n, a in zip(graph.input_names, graph.input_avals, strict=True)]
    (h,) = graph.replay(builder, inputs)
    cts = adjoint(builder, [h], [builder.full(1.0, h.aval)], inputs)
    assert ratio(builder.freeze([c for c in cts if c is not None])) <= 1.05


def graph_of(function: Callable[..., Value], *arrays: np.ndarray) -> Graph:
    builder = Builder()
    return builder.freeze([function(*(builder.input(f"x{k}", aval_of(a)) for k, a in enumerate(arrays)))])


def places(program: LoopProgram) -> list[int]:
    return [int(b.offset) for b in program.buffers if b.kind == "arena"]


@pytest.mark.parametrize("backwards", [False, True])
def test_in_place_only_where_elements_are_read_just_before_they_are_written(
    backwards: bool, check: Callable[..., LoopProgram]
) -> None:
    x = np.random.default_rng(0).normal(size=(9, 9))

    def function(a: Value) -> Value:
        product = contract(a, a, lhs="ij", rhs="jk", out="ik")
        if backwards:
            product = slice_(product, starts=(8, 8), sizes=(9, 9), steps=(-1, -1))
        squashed = tanh(product)
        return contract(squashed, a, lhs="ij", rhs="jk", out="ik")

    first, second = places(check(graph_of(function, x), [x]))
    assert (first == second) is not backwards


def test_a_transposed_read_is_not_in_place(check: Callable[..., LoopProgram]) -> None:
    x = np.random.default_rng(0).normal(size=(9, 9))

    def function(a: Value) -> Value:
        product = contract(a, a, lhs="ij", rhs="jk", out="ik")
        both = exp(product * 0.01) + transpose(product, axes=(1, 0))
        return contract(both, a, lhs="ij", rhs="jk", out="ik")

    first, second = places(check(graph_of(function, x), [x]))
    assert first != second


def test_what_a_later_stage_reads_stays() -> None:
    """Two uses of a value: its place is handed over at the last one, not at the first."""
    x = np.zeros((9, 9))

    def function(a: Value) -> Value:
        product = contract(a, a, lhs="ij", rhs="jk", out="ik")
        again = contract(tanh(product), a, lhs="ij", rhs="jk", out="ik")
        return contract(exp(again + product), a, lhs="ij", rhs="jk", out="ik")

    first, second, third, fourth = places(lower(graph_of(function, x)))
    assert len({first, second, third}) == 3
    assert fourth in (first, third)
