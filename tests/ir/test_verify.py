"""One broken graph for each law of a valid graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradc.errors import VerifyError
from gradc.ir.aval import Aval, aval
from gradc.ir.graph import Builder, Graph, Node
from gradc.ir.op import Op
from gradc.ir.verify import LAWS, verify
from gradc.ops.elementwise import exp, mul, neg
from gradc.ops.reduce import reduce_sum


def graph() -> Graph:
    builder = Builder()
    x, y = builder.input("x", aval("f64[batch]")), builder.input("y", aval("f64[batch]"))
    z = exp(x) * y
    builder.name(z, "z")
    return builder.freeze([reduce_sum(z, axes=(0,), keepdims=False)], ["L"])


def with_node(g: Graph, position: int, **changes: Any) -> Graph:
    nodes = list(g.nodes)
    nodes[position] = nodes[position]._replace(**changes)
    return replace(g, nodes=tuple(nodes))


def with_more(g: Graph, *nodes: Node, **changes: Any) -> Graph:
    return replace(g, nodes=(*g.nodes, *nodes), **changes)


def writeable(g: Graph) -> Graph:
    node = Node(5, g.nodes[0].op, (), {}, aval("f64[]"))
    from gradc.ir.graph import CONSTANT

    node = node._replace(op=CONSTANT, params={"value": np.array(1.0), "weak": False})
    return with_more(g, node, outputs=(4, 5), output_names=("L", "c"))


def unknown_symbol(g: Graph) -> Graph:
    from gradc.ops.shape import broadcast_to

    size = aval("f64[seq]").shape
    node = Node(5, broadcast_to, (4,), {"shape": size}, Aval(size, np.dtype("f8")))
    return with_more(g, node, outputs=(5,))


BREAKS: dict[int, Callable[[Graph], Graph]] = {
    1: lambda g: with_node(g, 2, operands=(3,)),
    2: lambda g: with_node(g, 2, op=Op("exp", exp.infer, exp.evaluate)),
    3: lambda g: with_node(g, 2, aval=aval("f32[batch]")),
    4: lambda g: with_node(g, 1, params={"index": 1, "name": "x", "aval": aval("f64[batch]")}),
    5: lambda g: replace(g, outputs=(4, 4), output_names=("L", "L")),
    6: lambda g: with_more(g, Node(5, exp, (0,), {}, g.nodes[2].aval), outputs=(4, 5), output_names=("L", "e")),
    7: lambda g: with_more(g, Node(5, neg, (0,), {}, g.nodes[2].aval)),
    8: lambda g: replace(g, cotangents={0: 4}),
    9: writeable,
    10: unknown_symbol,
}


def test_every_law_has_a_breach() -> None:
    assert [int(law.split()[0]) for law in LAWS] == list(BREAKS)


def test_a_valid_graph_passes() -> None:
    verify(graph())


@pytest.mark.parametrize("law", BREAKS)
def test_a_breach_is_told_with_its_law(law: int) -> None:
    with pytest.raises(VerifyError) as caught:
        verify(BREAKS[law](graph()))
    assert str(caught.value).startswith(f"law {LAWS[law - 1]}: ")


def test_the_node_is_printed() -> None:
    broken = with_node(graph(), 3, op=mul, aval=aval("f64[3]"))
    with pytest.raises(VerifyError) as caught:
        verify(broken)
    assert str(caught.value) == (
        "law 3 the aval of a node is what its op infers: %3 = mul %2 %1 : f64[3]  # z; inferred f64[batch]"
    )


def test_a_shape_error_is_told_too() -> None:
    broken = with_node(graph(), 1, params={"index": 1, "name": "y", "aval": aval("f64[7]")}, aval=aval("f64[7]"))
    with pytest.raises(VerifyError, match=r"mul: operands differ: f64\[batch\] and f64\[7\]"):
        verify(broken)


@pytest.mark.parametrize("table", ["names", "origins"])
def test_tables_speak_of_nodes(table: str) -> None:
    changes: dict[str, Any] = {table: {99: ()}}
    with pytest.raises(VerifyError, match=r"law 8 .*: a table speaks of %99, and the graph has 5 nodes"):
        verify(replace(graph(), **changes))
