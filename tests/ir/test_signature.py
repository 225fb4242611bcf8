"""The plain description of a call: its leaves, their paths, and what does not fit a graph."""

from __future__ import annotations

import pytest

import gradc.ops  # noqa: F401 - registers what `+` applies
from gradc.errors import CompileError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph
from gradc.ir.signature import Argument, Branch, Leaf, Signature, Static, flat_signature


def two_inputs() -> Graph:
    builder = Builder()
    x, y = builder.input("x", aval("f64[]")), builder.input("y", aval("f64[]"))
    return builder.freeze([x + y])


def test_leaves_have_paths() -> None:
    tree = Branch(
        "namedtuple", ("first", "rest"), (Leaf(1), Branch("list", (0,), (Branch("dict", ("k",), (Leaf(0),)),)))
    )
    signature = Signature((Argument("w", tree), Argument("mode", Static("'a'"))), Leaf(0))
    first, inner = ("namedtuple", "first"), (("namedtuple", "rest"), ("list", 0), ("dict", "k"))
    assert list(signature.input_paths()) == [(1, "w", (first,)), (0, "w", inner)]
    signature.check(2, 1)


def test_a_flat_signature_takes_inputs_and_gives_a_list() -> None:
    signature = flat_signature(two_inputs(), ("a", "b"))
    signature.check(2, 1)
    assert [argument.name for argument in signature.arguments] == ["a", "b"]
    assert signature.output == Branch("list", (0,), (Leaf(0),))


@pytest.mark.parametrize(
    ("arguments", "output", "message"),
    [
        (
            (Argument("x", Leaf(0)),),
            Leaf(0),
            "the arguments hold the inputs [0], and the graph has 2, each wanted once",
        ),
        ((Argument("x", Leaf(0)), Argument("y", Leaf(0))), Leaf(0), "the arguments hold the inputs [0, 0]"),
        ((Argument("x", Leaf(0)), Argument("y", Leaf(1))), Leaf(1), "the result holds the outputs [1]"),
    ],
)
def test_a_signature_that_does_not_fit_is_refused(arguments: tuple[Argument, ...], output: Leaf, message: str) -> None:
    with pytest.raises(CompileError) as caught:
        Signature(arguments, output).check(2, 1)
    assert message in str(caught.value)
