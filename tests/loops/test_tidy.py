"""Inlining keeps the meaning: loads stay on their side of a write, nothing enters a loop, names do not hide others."""

from __future__ import annotations

import numpy as np

from gradc.ir.graph import Builder
from gradc.loops.language.program import Accumulate, Buffer, Check, For, Let, Statement, Store, b
from gradc.loops.language.text import block_lines
from gradc.loops.lowering.names import Names
from gradc.loops.lowering.tidy import spell, tidy

A = Buffer("a", np.dtype(np.float64), (4,), "arena")
ZERO = b.constant(0)


def text(*body: Statement, spoken: frozenset[str] = frozenset()) -> list[str]:
    return block_lines(tidy(body, set(spoken)), 0)


def let(name: str, value: object) -> Let:
    return Let(name, value)  # type: ignore[arg-type]


def test_a_scalar_used_once_stands_where_it_is_used() -> None:
    first = let("x", b.load(A, (0,)))
    second = let("y", b.mul(first.variable, 2.0))
    assert text(first, second, Store("a", (ZERO,), second.variable)) == ["a[0] = a[0] * 2.0"]


def test_what_is_spoken_of_keeps_its_name() -> None:
    first = let("x", b.load(A, (0,)))
    lines = text(first, Store("a", (ZERO,), first.variable), spoken=frozenset({"x"}))
    assert lines == ["let x = a[0]", "a[0] = x"]


def test_unused_scalars_go_and_so_does_what_only_they_need() -> None:
    first = let("x", b.load(A, (0,)))
    second = let("y", b.exp(first.variable))
    assert text(first, second, Store("a", (ZERO,), b.constant(1.0, float))) == ["a[0] = 1.0"]


def test_a_load_stays_before_the_write() -> None:
    old = let("old", b.load(A, (0,)))
    body = (old, Store("a", (ZERO,), b.constant(1.0, float)), Store("a", (b.constant(1),), old.variable))
    assert text(*body) == ["let old = a[0]", "a[0] = 1.0", "a[1] = old"]
    body = (old, Accumulate("add", "a", (ZERO,), b.constant(1.0, float)), Store("a", (b.constant(1),), old.variable))
    assert text(*body)[0] == "let old = a[0]"


def test_nothing_is_moved_into_a_loop() -> None:
    dear = let("dear", b.exp(b.load(A, (0,))))
    loop = For("i", ZERO, b.constant(4), (Store("a", (b.constant(1),), dear.variable),))
    assert text(dear, loop)[0] == "let dear = exp(a[0])"


def test_a_scalar_used_twice_in_one_statement_keeps_its_name() -> None:
    first = let("x", b.load(A, (0,)))
    square = Store("a", (ZERO,), b.mul(first.variable, first.variable))
    assert text(first, square) == ["let x = a[0]", "a[0] = x * x"]


def test_checks_are_completed_too() -> None:
    number = let("n", b.load(Buffer("k", np.dtype(np.int64), (1,), "input"), (0,)))
    assert text(number, Check(b.constant(False, bool), 1, number.variable)) == ["check false else 1 of k[0]"]


def test_tall_expressions_are_cut() -> None:
    body: list[Statement] = [let("x0", b.load(A, (0,)))]
    for k in range(40):
        last = body[-1]
        assert isinstance(last, Let)
        body.append(let(f"x{k + 1}", b.exp(last.variable)))
    last = body[-1]
    assert isinstance(last, Let)
    lines = text(*body, Store("a", (ZERO,), last.variable))
    assert 3 < len(lines) < 12
    assert max(line.count("exp") for line in lines) < 10


def test_names_are_given_anew_in_each_nest_and_never_hide_one_in_reach() -> None:
    names = Names(Builder().freeze([]))
    names.buffer("t2")

    def nest() -> For:
        inner = let(names.let(-1, ["i", "j"], speak=False), b.load(A, (0,)))
        outer = let(names.let(-1, ["i"], speak=False), b.load(A, (1,)))
        after = let(names.let(-1, ["i"], speak=False), b.add(outer.variable, outer.variable))
        loop = For("j", ZERO, b.constant(4), (inner, Store("a", (ZERO,), b.mul(inner.variable, outer.variable))))
        return For("i", ZERO, b.constant(4), (outer, loop, after, Store("a", (ZERO,), after.variable)))

    lines = block_lines(spell((nest(), nest()), names), 0)
    half = len(lines) // 2
    assert lines[:half] == lines[half:]
    assert [line.strip() for line in lines[:half]] == [
        "for i in 0 to 4:", "let t1 = a[1]", "for j in 0 to 4:", "let t3 = a[0]", "a[0] = t3 * t1",
        "let t4 = t1 + t1", "a[0] = t4",
    ]  # fmt: skip
