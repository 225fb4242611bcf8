"""Avals and sizes: arithmetic checked against numbers, printing against parsing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.errors import DtypeError, ParseError, ShapeError, TraceError
from gradc.ir.aval import (
    Aval,
    Dim,
    SymbolicDim,
    aval,
    aval_of,
    broadcast_shapes,
    ceildiv,
    dim_value,
    is_nonnegative,
    maximum_dim,
    minimum_dim,
    size_of,
    symbol,
)

SIZES = {"batch": 7, "seq": 4}
ALL_SIZES = [{"batch": batch, "seq": seq} for batch in (0, 1, 3, 8) for seq in (0, 1, 5)]

atoms: st.SearchStrategy[Dim] = st.one_of(st.integers(0, 5), st.sampled_from([symbol("batch"), symbol("seq")]))


def combined(inner: st.SearchStrategy[Dim]) -> st.SearchStrategy[Any]:
    return st.tuples(st.sampled_from(["+", "-", "*", "//", "%", "min", "max", "ceildiv"]), inner, inner)


def computed(operation: str, a: Any, b: Any) -> Any:
    if operation in ("//", "%", "ceildiv") and not isinstance(b, SymbolicDim) and b == 0:
        b = 1
    return {
        "+": lambda: a + b,
        "-": lambda: a - b,
        "*": lambda: a * b,
        "//": lambda: a // b,
        "%": lambda: a % b,
        "min": lambda: minimum_dim(a, b),
        "max": lambda: maximum_dim(a, b),
        "ceildiv": lambda: ceildiv(a, b),
    }[operation]()


@given(st.recursive(atoms, combined, max_leaves=8))
def test_arithmetic_on_sizes_is_that_of_their_numbers(tree: Any) -> None:
    def value(node: Any, numbers: bool) -> Any:
        if not isinstance(node, tuple):
            return dim_value(node, SIZES) if numbers else node
        left, right = value(node[1], numbers), value(node[2], numbers)
        if node[0] in ("//", "%", "ceildiv") and dim_value(right, SIZES) == 0:
            right = 1
        return computed(node[0], left, right)

    assert dim_value(value(tree, False), SIZES) == value(tree, True)


@given(st.recursive(atoms, combined, max_leaves=8))
def test_what_is_at_least_0_by_its_form_is(tree: Any) -> None:
    def value(node: Any) -> Any:
        if not isinstance(node, tuple):
            return node
        left, right = value(node[1]), value(node[2])
        if node[0] in ("//", "%", "ceildiv") and any(is_zero(right, sizes) for sizes in ALL_SIZES):
            right = 1
        return computed(node[0], left, right)

    dim = value(tree)
    if is_nonnegative(dim):
        assert all(dim_value(dim, sizes) >= 0 for sizes in ALL_SIZES)


def is_zero(dim: Dim, sizes: dict[str, int]) -> bool:
    return dim_value(dim, sizes) == 0


def test_sizes_are_at_least_0() -> None:
    batch, seq = symbol("batch"), symbol("seq")
    assert is_nonnegative(batch * seq + 2)
    assert is_nonnegative((batch + 1) // 8 * 8)
    assert is_nonnegative((batch + 7) // 8 * 8 - batch)
    assert is_nonnegative((batch + 3) // 4 * 64 - batch * 13)
    assert not is_nonnegative((batch + 3) // 4 * 64 - batch * 17)
    assert not is_nonnegative(batch - 1)
    assert not is_nonnegative((batch - 9) // 2)
    assert minimum_dim(batch, batch * 4) == batch
    assert maximum_dim(batch, batch + seq) == batch + seq
    assert 0 % batch == 0
    assert (batch * 6 + seq * 4).content == 2
    assert (batch * 6 - 3).parts == (batch * 6, -3)


def test_equal_sizes_are_equal() -> None:
    batch, seq = symbol("batch"), symbol("seq")
    assert batch * 2 + seq == seq + batch + batch
    assert hash(batch * 2 + seq) == hash(seq + batch + batch)
    assert batch - batch == 0
    assert (batch * seq) // seq == batch
    assert (batch * 6) // 2 == batch * 3
    assert (batch * seq) % seq == 0
    assert batch != seq


def test_a_size_has_no_number_and_no_truth() -> None:
    with pytest.raises(TraceError, match="the size batch is symbolic and Python needs a number here"):
        range(symbol("batch"))
    with pytest.raises(TraceError, match="the truth of the symbolic size batch is not known"):
        bool(symbol("batch"))


@pytest.mark.parametrize("text", ["f64[]", "f32[batch,784]", "i64[10]", "~f64[]", "bool[2,3]", "c128[n]"])
def test_an_aval_prints_as_it_is_written(text: str) -> None:
    assert str(aval(text)) == text


@pytest.mark.parametrize(
    "text", ["f64", "f64[", "f65[2]", "f64[2.5]", "f64[-1]", "f64[2x]", "", "object[2]", "f64[2]]"]
)
def test_text_that_is_no_aval_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        aval(text)


def test_avals_of_values() -> None:
    assert str(aval_of(1.5)) == "~f64[]"
    assert str(aval_of(2)) == "~i64[]"
    assert str(aval_of(True)) == "bool[]"
    assert str(aval_of(np.float32(1))) == "f32[]"
    assert aval_of(np.zeros((2, 3), ">f4")) == aval("f32[2,3]")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "NoneType is neither an array nor a number"),
        ("text", "str is neither an array nor a number"),
        (np.array([None]), "an array of dtype object cannot be compiled"),
        (np.array("text"), "an array of dtype <U4 cannot be compiled"),
    ],
)
def test_what_has_no_aval_is_refused(value: object, message: str) -> None:
    with pytest.raises(DtypeError, match=message):
        aval_of(value)


@given(st.lists(st.lists(st.sampled_from([1, 2, 3]), max_size=4).map(tuple), min_size=1, max_size=3))
def test_shapes_broadcast_as_in_numpy(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError):
            broadcast_shapes(*shapes)
    else:
        assert broadcast_shapes(*shapes) == expected


def test_a_symbolic_size_never_stretches() -> None:
    batch = symbol("batch")
    assert broadcast_shapes((batch, 3), (1, 3), (3,)) == (batch, 3)
    with pytest.raises(ShapeError, match=r"shapes \(batch,\) and \(7,\) do not broadcast together"):
        broadcast_shapes((batch,), (7,))


def test_zero_stretches_nothing_but_one() -> None:
    assert broadcast_shapes((0,), (1,)) == (0,)
    with pytest.raises(ShapeError):
        broadcast_shapes((0,), (2,))


def test_sizes_of_shapes() -> None:
    assert size_of(()) == 1
    assert size_of((2, symbol("n"), 3)) == symbol("n") * 6
    assert Aval((0, 5), np.dtype("f8")).size == 0


@pytest.mark.parametrize("text", [None, 3, np.zeros(2), "f64", "f64[-1]", "float[2]"])
def test_what_is_no_abstract_value_is_refused(text: object) -> None:
    with pytest.raises(ParseError, match=r"is not an abstract value|is neither a non-negative integer nor a name"):
        aval(text)
