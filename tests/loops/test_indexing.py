"""The normal form of indices means what the arithmetic says, and undoes what reshapes do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gradc.ir.aval import dim_value, size_of, symbol
from gradc.loops.language.program import Apply, Constant, Expression, Size, Variable, variable
from gradc.loops.lowering.indexing import (
    AnyIndex,
    Axis,
    Datum,
    Index,
    Quotient,
    axes_of,
    axis,
    datum,
    express,
    flat_index,
    is_data,
    is_split,
    strides_of,
)

SHAPE = (4, 1, 6, 5)
N, M = symbol("n"), symbol("m")
AXES = [axis(k, d) for k, d in enumerate(SHAPE)]


def value(expression: Expression, axes: dict[str, int]) -> int:
    match expression:
        case Constant(value=number):
            return int(number)
        case Variable(name=name):
            return axes[name]
        case Size(dim=dim):
            return dim_value(dim, axes)
        case Apply(primitive=primitive, arguments=(left, right)):
            x, y = value(left, axes), value(right, axes)
            return {"add": x + y, "sub": x - y, "mul": x * y, "floor_div": x // (y or 1), "mod": x % (y or 1)}[
                primitive
            ]
    raise AssertionError(expression)


def named(atom: Axis | Datum) -> Expression:
    assert isinstance(atom, Axis)
    return variable(f"i{atom.position}")


STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "mul", "div", "mod", "axis", "number", "sub"]), st.integers(1, 12)), max_size=8
)


@given(STEPS)
def test_arithmetic_keeps_its_meaning(steps: list[tuple[str, int]]) -> None:
    """The same steps on an index and on numbers: whatever the normal form did, the values agree, within the range."""

    def steps_on(start: Any, axes: list[Any]) -> Any:
        result = start
        for kind, number in steps:
            match kind:
                case "add":
                    result = result + axes[number % 4] * number
                case "sub":
                    result = number - result
                case "axis":
                    result = result + axes[number % 4]
                case "number":
                    result = result + number
                case "mul":
                    result = result * number
                case "div":
                    result = result // number
                case _:
                    result = result % number
        return result

    index = steps_on(AXES[0], AXES)
    for point in itertools.product(*map(range, SHAPE)):
        expected = steps_on(point[0], list(point))
        if isinstance(index, int):
            assert index == expected
        else:
            assert index.range[0] <= expected <= index.range[1]
            assert value(express(index, named), {f"i{k}": i for k, i in enumerate(point)}) == expected


SYMBOLIC = (N, 3, N * 2)
SYMBOLIC_AXES = [axis(k, d) for k, d in enumerate(SYMBOLIC)]
SYMBOLIC_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "mul", "div", "mod", "axis", "number", "sub"]),
        st.sampled_from([1, 2, 3, 6, N, N * 2, N * 3, N * 6, N * 2 - 1]),
        st.integers(0, 2),
    ),
    max_size=8,
)


@given(SYMBOLIC_STEPS)
def test_arithmetic_with_symbolic_sizes_keeps_its_meaning(steps: list[tuple[str, Any, int]]) -> None:
    def steps_on(start: Any, axes: list[Any], number_of: Callable[[Any], Any]) -> Any:
        result = start
        for kind, size_or_number, which in steps:
            number = number_of(size_or_number)
            match kind:
                case "add":
                    result = result + axes[which] * number
                case "sub":
                    result = number - result
                case "axis":
                    result = result + axes[which]
                case "number":
                    result = result + number
                case "mul":
                    result = result * number
                case "div":
                    result = result // number
                case _:
                    result = result % number
        return result

    index = steps_on(SYMBOLIC_AXES[0], SYMBOLIC_AXES, lambda number: number)
    for n in (1, 2, 3):
        sizes = {"n": n}
        for point in itertools.product(*[range(dim_value(d, sizes)) for d in SYMBOLIC]):
            expected = steps_on(point[0], list(point), partial(dim_value, sizes=sizes))
            if not isinstance(index, Index):
                assert dim_value(index, sizes) == expected
                continue
            if index.range is not None:
                assert dim_value(index.range[0], sizes) <= expected <= dim_value(index.range[1], sizes)
            assert value(express(index, named), {f"i{k}": i for k, i in enumerate(point)} | sizes) == expected


def test_there_and_back_with_symbolic_sizes() -> None:
    for shape in [(N, 4), (N, 2, 3), (5, N), (3, N, 2), (N, M), (N, M, 2), (N * 2, 3)]:
        own = tuple(axis(k, d) for k, d in enumerate(shape))
        assert unflattened(flat_index(own, shape), shape) == own
        flat = (size_of(shape),)
        assert flat_index(unflattened(flat_index(own, shape), flat), flat) == flat_index(own, shape)
    i, j = axis(0, N), axis(1, 6)
    assert unflattened(i * 6 + j, (N * 2, 3)) == (i * 2 + j // 3, j % 3)


def unflattened(flat: AnyIndex, shape: tuple[int, ...]) -> tuple[AnyIndex, ...]:
    result = []
    for length in reversed(shape):
        result.append(flat % length)
        flat = flat // length
    return tuple(reversed(result))


SHAPES = st.lists(st.sampled_from([1, 2, 3, 4, 6, 12]), min_size=1, max_size=4).map(tuple)


@given(SHAPES, SHAPES)
def test_there_and_back_is_the_axes_themselves(shape: tuple[int, ...], other: tuple[int, ...]) -> None:
    own = tuple(axis(k, d) for k, d in enumerate(shape))
    assert unflattened(flat_index(own, shape), shape) == own
    if math.prod(shape) == math.prod(other):
        there = unflattened(flat_index(own, shape), other)
        assert flat_index(there, other) == flat_index(own, shape)
        assert unflattened(flat_index(there, other), shape) == own


def test_a_reversed_symbolic_axis_counts_from_its_end() -> None:
    backwards = -1 - axis(1, N)
    assert backwards // N == -1
    assert backwards % N == N - 1 - axis(1, N)
    assert (backwards + N * axis(0, M)) // N == axis(0, M) - 1


def test_merging_and_splitting_axes() -> None:
    i, j = axis(0, 4), axis(1, 6)
    assert unflattened(i * 6 + j, (24,)) == (i * 6 + j,)
    k = axis(0, 24)
    assert isinstance(k, Index)
    assert unflattened(k, (4, 6)) == (Index({Quotient(k, 6): 1}, 0), k % 6)
    assert is_split(unflattened(k, (4, 6)))
    assert not is_split((flat_index(unflattened(k, (4, 6)), (4, 6)),))


def test_axes_of_one_element_are_zero() -> None:
    assert axis(3, 1) == 0


def test_what_is_known_of_an_index() -> None:
    i, j = axis(0, 4), axis(1, 6)
    assert axes_of((i, j * 2 + 1)) == {0, 1}
    assert axes_of((axis(2, 24) // 5,)) == {2}
    assert strides_of(i * 12 + j * -1 + 5, 2) == ([12, -1], 5)
    assert strides_of(7, 1) == ([0], 7)
    assert strides_of(axis(0, 24) // 5, 1) is None
    number = datum(3, (i,), 10, 0)
    assert is_data((j, number + 1))
    assert not is_data((i, j))
    assert axes_of((number,)) == {0}


def test_indices_read_as_a_person_writes_them() -> None:
    i, j = axis(0, 4), axis(1, 6)
    assert str(express(i * 6 + j + 2, named)) == "i0 * 6 + i1 + 2"
    assert str(express(5 - j, named)) == "5 - i1"
    assert str(express(i * 2 - j + 1, named)) == "i0 * 2 - i1 + 1"
    assert str(express(axis(0, 24) // 6, named)) == "i0 // 6"
    assert str(express(axis(0, 3) * N + axis(1, N) - 2, named)) == "i0 * {n} + i1 + -2"
    assert str(express(N - 1 - axis(1, N), named)) == "{n - 1} - i1"
    assert str(express(axis(0, 3) - axis(1, 4) * N, named)) == "i0 - i1 * {n}"
