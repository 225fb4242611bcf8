"""Names come from outside: whatever they are, the generated code stays code of ours."""

from __future__ import annotations

import ast

import numpy as np
import pytest

import gradc.ops  # noqa: F401
from gradc.backends.numpy import flat_entry, load, render
from gradc.backends.numpy.naming import Names, identifier
from gradc.errors import CompileError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph
from gradc.ir.node import Origin
from gradc.ir.op import REGISTRY
from gradc.ir.signature import Argument, Branch, Leaf, Signature, Static, flat_signature

HOSTILE = [
    "class", "match", "np", "print", "a b", "1x", "", "_", "__import__", "x\nimport os", "x\rimport os", "x\u2028y",
    "'", '"""', "\\", "#", "{0}", "{{ 1 }}", "%s", "d_x", "t1", "\uff58", "\u00e9t\u00e9", "x" * 500, "_arguments",
    "\x00",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_identifier_is_one(name: str) -> None:
    made = identifier(name)
    assert made.isidentifier()
    assert made != "np"
    assert len(made) <= 50
    assert not made.startswith("_")


def test_names_that_python_folds_are_kept_apart() -> None:
    names = Names()
    assert names.take("x") == "x"
    assert names.take("\uff58") == "x2"


def test_the_first_value_with_a_name_of_the_user_keeps_it() -> None:
    names = Names()
    names.reserve(["h", "h2", "t1"])
    assert [names.take("h"), names.take_reserved("h"), names.take_reserved("h"), names.take_reserved("h2")] == [
        "h3", "h", "h4", "h2",
    ]  # fmt: skip
    assert names.numbered("t") == "t2"


def hostile_graph(name: str) -> Graph:
    builder = Builder()
    x = builder.input(name or "x", aval("f64[2]"))
    builder.origin = (Origin(f"{name}.py", 1, f"{name} = {name}"),)
    y = REGISTRY["exp"](x)
    builder.name(y, name)
    z = REGISTRY["logistic"](y)
    builder.tables.cotangents[y.id] = z.id
    return builder.freeze([y, z], [name, f"d_{name}"])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_data(name: str) -> None:
    graph = hostile_graph(name)
    signature = Signature(
        (Argument("w", Branch("dict", (name,), (Leaf(0),))),),
        Branch("dict", (name, f"{name}'"), (Leaf(0), Leaf(1))),
        function=name,
        origin=f"{name}.py:1",
        summary=name,
    )
    source = render(graph, signature, name="kernel")
    names = {node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    assert names == {"kernel", "_arguments", "_array", "_keys"}
    assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    x = np.array([0.5, -1.0])
    results = load(source, "kernel")({name: x})
    np.testing.assert_allclose(results[name], np.exp(x))
    np.testing.assert_allclose(flat_entry(graph, name="kernel")([x])[0], np.exp(x))


@pytest.mark.parametrize("name", ["class", "np", "_array", "a b"])
def test_an_argument_that_cannot_keep_its_name_is_refused(name: str) -> None:
    graph = hostile_graph("x")
    with pytest.raises(CompileError, match="cannot be the name of an argument"):
        render(graph, Signature((Argument(name, Leaf(0)),), Branch("tuple", (0, 1), (Leaf(0), Leaf(1)))), name="f")


@pytest.mark.parametrize("text", ["__import__('os')", "x", "1 +", "print"])
def test_a_default_or_a_static_value_has_to_be_a_literal(text: str) -> None:
    graph = hostile_graph("x")
    output = Branch("tuple", (0, 1), (Leaf(0), Leaf(1)))
    for argument in (Argument("mode", Static(text)), Argument("mode", Static("1"), default=text)):
        with pytest.raises(CompileError, match="is not a literal"):
            render(graph, Signature((Argument("x", Leaf(0)), argument), output), name="f")


@pytest.mark.parametrize("name", ["a b", "class", "_array", "_erf", "print", "", "__"])
def test_the_kernel_needs_an_identifier(name: str) -> None:
    graph = hostile_graph("x")
    with pytest.raises(CompileError, match="cannot be the name of a generated function; choose an identifier that"):
        render(graph, flat_signature(graph), name=name)


@pytest.mark.parametrize("size", ["class", "np", "x", "batch", "t1"])
def test_symbolic_sizes_may_have_any_name(size: str) -> None:
    builder = Builder()
    x = builder.input("x", aval(f"f64[{size},2]"))
    graph = builder.freeze([REGISTRY["broadcast_to"](builder.constant(2.0), shape=x.aval.shape), x])
    module = load(render(graph, flat_signature(graph, ("x",)), name="f"), "f")
    assert [r.shape for r in module(np.ones((3, 2)))] == [(3, 2), (3, 2)]


def test_a_kernel_that_runs_in_process_may_have_any_name() -> None:
    graph = hostile_graph("x")
    for name in HOSTILE:
        assert np.array_equal(flat_entry(graph, name=name)([np.zeros(2)])[0], np.ones(2))
