"""The expression builder, intervals, and what is known of iterations."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.errors import DtypeError
from gradc.loops.language.expressions import apply, rewrite
from gradc.loops.language.program import I64, Buffer, Expression, b, constant, variable, walk
from gradc.loops.language.ranges import Ranges

P, Q = variable("i"), variable("j")
X = Buffer("x", np.dtype("f8"), (3, 4), "input")


def test_equal_forms_are_one_object_and_unlike_numbers_are_not() -> None:
    assert b.load(X, (P, Q)) is b.load(X, (variable("i"), Q))
    assert constant(1.0, "f8") is not constant(1, "i8")
    assert constant(0.0, "f8") is not constant(-0.0, "f8")
    assert constant(True, "?") is not constant(1, "i8")
    assert constant(np.nan, "f8") is constant(np.nan, "f8")
    assert constant(0.1, "f4").value == float(np.float32(0.1))


def test_threads_make_one_object_of_one_form() -> None:
    made: list[Expression] = []
    ready = threading.Barrier(8)

    def work() -> None:
        ready.wait()
        made.append(b.mul(b.add(variable("thread"), 17), 19))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (P + 0, "i"),
        (0 + P, "i"),
        (2 + P, "i + 2"),
        (P + 1 + 2, "i + 3"),
        (P - 3 + 3, "i"),
        (P - P, "0"),
        (5 - P, "5 - i"),
        (P * 1, "i"),
        (4 * P, "i * 4"),
        (P * 0, "0"),
        (P // 1, "i"),
        (P % 1, "0"),
        (constant(7, I64) // 2 - 1, "2"),
        (constant(-7, I64) % 3, "2"),
        (b.minimum(3, 5) + P, "i + 3"),
        (b.select(b.lt(2, 3), P, Q), "i"),
        (b.convert(P, "i8"), "i"),
        (b.clamp(b.from_end(P, 4), 4), "minimum(maximum(select(i < 0, i + 4, i), 0), 3)"),
    ],
)
def test_index_arithmetic_folds(made: Expression, text: str) -> None:
    assert str(made) == text


def test_floats_do_not_fold() -> None:
    x = b.load(X, (0, 0))
    assert str(b.add(x, 0.0)) == "x[0, 0] + 0.0"
    assert str(b.mul(x, 1.0)) == "x[0, 0] * 1.0"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: b.add(P, b.load(X, (0, 0))), "add does not take i64 and f64"),
        (lambda: b.exp(P), "exp does not take i64"),
        (lambda: b.div(P, Q), "div does not take i64 and i64"),
        (lambda: b.select(P, 1, 2), "select takes a bool and two values of one dtype, got i64, i64, i64"),
        (lambda: b.load(X, (0, 0, 0)), "x has 2 axes and is read with 3 indices"),
        (lambda: b.load(X, (constant(1, "i4"), 0)), "an index is i64, got i32: convert it"),
        (lambda: b.fma(P, Q, P), "fma takes floats of one dtype, got i64 and i64"),
        (lambda: constant(0.5, "i8"), "the constant 0.5 is not a value of i64"),
    ],
)
def test_dtypes_that_do_not_fit_are_refused(make: Callable[[], Expression], message: str) -> None:
    with pytest.raises(DtypeError) as caught:
        make()
    assert str(caught.value) == message


def test_a_shared_part_is_walked_once_however_deep() -> None:
    value: Expression = b.load(X, (0, 0))
    for _ in range(3000):
        value = b.mul(value, value)
    assert sum(1 for _ in walk(value)) == 3002
    other = b.load(X, (1, 1))
    replaced = rewrite(value, {b.load(X, (0, 0)): other})
    assert sum(1 for _ in walk(replaced)) == 3002


OPERATIONS: dict[str, Callable[[int, int], int]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "floor_div": lambda x, y: x // y if y else 0,
    "mod": lambda x, y: x % y if y else 0,
    "minimum": min,
    "maximum": max,
}


@st.composite
def formulas(draw: st.DrawFn, depth: int = 3) -> Expression:
    if depth == 0:
        return draw(st.sampled_from([P, Q]) | st.integers(-9, 9).map(lambda k: constant(k, I64)))
    if draw(st.booleans()):
        comparison = draw(st.sampled_from(["lt", "le", "gt", "ge", "eq"]))
        left, right, one, two = (draw(formulas(depth - 1)) for _ in range(4))
        return apply("select", (apply(comparison, (left, right), np.dtype("?")), one, two), I64)
    name = draw(st.sampled_from(sorted(OPERATIONS)))
    return apply(name, (draw(formulas(depth - 1)), draw(formulas(depth - 1))), I64)


def value_of(expression: Expression, i: int, j: int) -> int:
    values: dict[Expression, int] = {P: i, Q: j}
    compare = {"lt": int.__lt__, "le": int.__le__, "gt": int.__gt__, "ge": int.__ge__, "eq": int.__eq__}
    for part in walk(expression):
        if part in values:
            continue
        operands = [values[o] for o in part.operands]
        name = getattr(part, "primitive", "")
        if name == "select":
            values[part] = operands[1] if operands[0] else operands[2]
        elif name in compare:
            values[part] = int(compare[name](*operands))
        else:
            values[part] = OPERATIONS[name](*operands) if name else getattr(part, "value")  # noqa: B009
    return values[expression]


@given(formulas(), st.integers(-5, 5), st.integers(0, 4), st.integers(-5, 5), st.integers(0, 4))
def test_an_interval_holds_every_value(formula: Expression, i: int, more_i: int, j: int, more_j: int) -> None:
    lo, hi = Ranges().inside("i", (i, i + more_i)).inside("j", (j, j + more_j)).of(formula)
    for at_i in range(i, i + more_i + 1):
        for at_j in range(j, j + more_j + 1):
            assert lo <= value_of(formula, at_i, at_j) <= hi


def test_conditions_narrow_what_they_compare() -> None:
    at = Ranges().inside("i", (0, 10)).inside("j", (-5, 5))
    both = b.logical_and(b.ge(P + Q, 0), b.lt(P + Q, 4))
    assert at.where(both).of(P + Q) == (0, 3)
    assert at.where(both, holds=False).of(P + Q) == (-5, 15)
    assert at.where(b.logical_or(b.lt(P, 2), b.gt(P, 7)), holds=False).of(P) == (2, 7)
    assert at.where(b.logical_not(b.lt(Q, 0))).of(Q) == (0, 5)
    assert at.where(b.gt(3, P)).of(P) == (0, 2)


@pytest.mark.parametrize(("lo", "hi", "step"), [(0, 10, 1), (0, 10, 4), (3, 11, 4), (5, 5, 2), (-3, 4, 3)])
def test_the_interval_of_a_loop_is_what_range_gives(lo: int, hi: int, step: int) -> None:
    found = Ranges().of_loop(constant(lo, I64), constant(hi, I64), step)
    numbers = range(lo, hi, step)
    if numbers:
        assert found == (numbers[0], numbers[-1])
    else:
        assert found[0] > found[1]


@pytest.mark.parametrize(("factor", "last"), [(16, 45), (8, 45), (4, 36), (12, 48)])
def test_loops_that_begin_at_multiples_of_their_step_end_at_such(factor: int, last: int) -> None:
    """From ``factor * i + 5`` to ``minimum(factor * i + 21, 49)`` in steps of 8."""
    at = Ranges().inside("i", (0, 4))
    start = b.add(b.mul(P, factor), 5)
    found = at.of_loop(start, b.minimum(b.add(start, 16), 49), 8)
    numbers = [n for p in range(5) for n in range(factor * p + 5, min(factor * p + 21, 49), 8)]
    assert max(numbers) <= found[1] == last
