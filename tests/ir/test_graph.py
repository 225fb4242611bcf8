"""Builder and Graph: hash-consing by bits, tables, pruning, replay."""

from __future__ import annotations

import networkx
import numpy as np
import pytest

from gradc.errors import GradcError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Origin, rebuild
from gradc.ir.text import print_graph
from gradc.ir.verify import verify
from gradc.ops.elementwise import add, exp, neg

HERE, THERE = Origin("a.py", 1, "first"), Origin("a.py", 2, "second")


def test_equal_nodes_are_one_node() -> None:
    builder = Builder()
    x, y = builder.input("x", aval("f64[]")), builder.input("y", aval("f64[]"))
    assert exp(x) == exp(x)
    assert x + y == y + x
    assert x - y != y - x


@pytest.mark.parametrize(
    ("left", "right"),
    [(True, 1), (1, 1.0), (0.0, -0.0), (1.0, np.float32(1)), (1, np.int32(1)), (np.zeros(2), np.zeros((2, 1)))],
)
def test_constants_that_differ_in_a_bit_or_in_type_differ(left: object, right: object) -> None:
    builder = Builder()
    assert builder.constant(left) != builder.constant(right)
    assert builder.constant(left) == builder.constant(left)


def test_nans_of_the_same_bits_are_one() -> None:
    builder = Builder()
    assert builder.constant(np.nan) == builder.constant(float("nan"))
    assert builder.constant(np.nan) != builder.constant(np.copysign(np.nan, -1))


def test_a_constant_is_a_copy_that_cannot_be_written() -> None:
    builder = Builder()
    array = np.ones(3)
    value = builder.constant(array)
    array[0] = 5
    stored = value.node.params["value"]
    assert stored[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        stored[0] = 2


def test_merged_nodes_unite_their_lines_and_keep_the_first_name() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[]"))
    builder.origin = (HERE,)
    first = exp(x)
    builder.name(first, "a")
    builder.origin = (THERE,)
    builder.name(exp(x), "b")
    graph = builder.freeze([first])
    assert graph.names == {1: "a"}
    assert graph.origins == {1: (HERE, THERE)}


def test_values_of_two_graphs_do_not_mix() -> None:
    x, y = Builder().input("x", aval("f64[]")), Builder().input("y", aval("f64[]"))
    with pytest.raises(GradcError, match="add: an operand belongs to another graph"):
        add(x, y)


def small() -> Graph:
    builder = Builder()
    x, _, z = (builder.input(n, aval("f64[2]")) for n in "xyz")
    unused = exp(z)
    builder.name(unused, "unused")
    square = x * x
    builder.name(square, "square")
    builder.tables.cotangents[square.id] = builder.full(1.0, square.aval).id
    return builder.freeze([square, neg(square), x], ["s", "n", "x"])


def test_what_no_output_needs_is_gone_and_inputs_stay() -> None:
    graph = small()
    verify(graph)
    assert [n.op.name for n in graph.nodes] == ["input", "input", "input", "mul", "neg"]
    assert graph.input_names == ("x", "y", "z")
    assert graph.names == {3: "square"}
    assert graph.cotangents == {}
    assert graph.consumers == ((3,), (), (), (4,), ())


def test_the_networkx_graph_has_ordered_operands() -> None:
    digraph = small().digraph
    assert isinstance(digraph, networkx.DiGraph)
    assert digraph.nodes[3]["operands"] == (0, 0)
    assert digraph.nodes[3]["op"] == "mul"
    assert sorted(digraph.edges) == [(0, 3), (3, 4)]
    assert list(networkx.topological_sort(digraph))
    with pytest.raises(networkx.NetworkXError, match="Frozen"):
        digraph.add_node(9)


def test_a_rebuild_without_laws_is_the_same_graph() -> None:
    graph = small()
    assert print_graph(rebuild(graph, None)) == print_graph(graph)


def test_replay_into_another_graph() -> None:
    builder = Builder()
    w = builder.input("w", aval("f64[2]"))
    doubled = w + w
    square, negative, x = small().replay(builder, [doubled, w, w])
    assert x == doubled
    assert (square, negative) == (doubled * doubled, neg(square))
    assert builder.tables.names[square.id] == "square"


def test_whether_a_value_depends_on_an_input() -> None:
    builder = Builder()
    x = builder.input("x", aval("f64[2]"))
    constant = builder.full(2.0, x.aval)
    assert builder.is_constant(exp(constant))
    assert not builder.is_constant(x * constant)
    assert builder.scalar(constant) == 2.0
    assert builder.scalar(exp(constant)) is None
