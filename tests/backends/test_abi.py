"""The interface of C: names, their order, what is passed by value, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.abi import Interface, interface_of
from gradc.backends.c_names import Names, identifier, in_comment, require_symbol
from gradc.errors import ArgumentError


def interface(kernel: gradc.Kernel, name: str | None = None) -> Interface:
    runs, program = kernel._compiled.runs, kernel._compiled.program
    return interface_of(
        runs, kernel.signature, name=name or kernel.name, messages=program.messages, workspace=program.arena_bytes,
        flops=kernel.cost.flops,
    )  # fmt: skip


def network(w: Any, x: Any, y: Any, rate: Any, *, mode: str = "mean") -> Any:
    L = np.mean((w["out"] @ np.tanh(w["hidden"] @ x) - y) ** 2) * rate
    return L if mode == "mean" else 2 * L


def compiled(batch: str = "8") -> gradc.Kernel:
    weights = {"hidden": gradc.aval("f64[4,3]"), "out": gradc.aval("f64[1,4]")}
    x, y = gradc.aval(f"f64[3,{batch}]"), gradc.aval(f"f64[1,{batch}]")
    return gradc.value_and_grad(network).compile(weights, x, y, gradc.aval("f64[]"))


def test_nested_arguments_come_flat_in_the_users_order() -> None:
    found = interface(compiled())
    assert [a.name for a in found.inputs] == ["w_hidden", "w_out", "x", "y", "rate"]
    assert [a.path for a in found.inputs] == ['w["hidden"]', 'w["out"]', "x", "y", "rate"]
    assert [a.name for a in found.outputs] == ["L", "d_w_hidden", "d_w_out"]
    assert [a.position for a in found.outputs] == [0, 1, 2]
    assert not found.in_structs
    assert found.compiled_in == (("mode", "'mean'"),)
    assert found.sizes == ()


def test_symbolic_sizes_are_arguments() -> None:
    found = interface(compiled("batch"))
    assert found.sizes == (("batch", "batch"),)
    assert not isinstance(found.workspace, int)
    assert found.alignment == 64


def test_numbers_alone_come_in_structs() -> None:
    kernel = gradc.value_and_grad(lambda x, double: x * double, wrt=("x", "double"), name="product").compile(1.0, 2.0)
    found = interface(kernel)
    assert found.in_structs
    assert [a.name for a in found.inputs] == ["x", "double_"]
    assert [a.name for a in found.outputs] == ["L", "d_x", "d_double"]
    assert (found.workspace, found.alignment) == (0, 1)


def test_each_failed_check_has_a_status() -> None:
    kernel = gradc.jit(lambda x, k: x[k], name="pick").compile(gradc.aval("f64[5]"), gradc.aval("i64[2]"))
    (failure,) = interface(kernel).failures
    assert (failure.name, failure.status) == ("FAILED_1", 16)
    assert failure.message.startswith("index {} is out of bounds for axis 0 with size 5")


def test_the_digest_of_the_graph_tells_graphs_apart() -> None:
    one, same, other = interface(compiled()), interface(compiled()), interface(compiled("16"))
    assert one.graph == same.graph != other.graph
    assert len(one.graph) == 8


@pytest.mark.parametrize("name", ["int", "class", "exp", "sinf", "main", "errno", "a__b", "_x", "time", "std"])
def test_names_of_c_are_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="choose another name"):
        require_symbol(name)


@pytest.mark.parametrize("name", [3, None, b"step", "", "x" * 201])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ArgumentError, match="name="):
        require_symbol(name)
    require_symbol("x" * 200)


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("w['hidden']", "w_hidden"), ("double", "double_"), ("σ", "sigma"), ("Λ_1", "Lambda_1"), ("1st", "x_1st"),
        ("_", "x"), ("size_t", "size_t_"), ("é", "x"), ("a b\n*/", "a_b"), ("x" * 99, "x" * 40),
    ],
)  # fmt: skip
def test_names_from_outside_become_identifiers(wanted: str, name: str) -> None:
    assert identifier(wanted) == name


def test_names_are_given_out_once() -> None:
    names = Names(["workspace"])
    assert [names.take(n) for n in ("x", "x", "workspace", "x_2")] == ["x", "x_2", "workspace_2", "x_2_2"]


def test_nothing_from_outside_ends_a_comment() -> None:
    told = in_comment("*/ int x; /* ??/ \\\n end\\")
    assert told == "* / int x; / * ? ?/ \\ end"
