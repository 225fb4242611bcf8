"""``.gir``: what is printed is read back to the same graph, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gradc.errors import GradcError, ParseError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Origin
from gradc.ir.op import REGISTRY, Op
from gradc.ir.parse import parse_graph
from gradc.ir.text import print_graph
from gradc.ir.verify import verify
from gradc.ops import elementwise, reduce, shape

TEXT = """gir 1
%0 = input index=0 name="w['hidden']" : f64[2,batch]
%1 = constant 1.0 : f64[]
%2 = broadcast_to %1 shape=(2, {batch}) : f64[2,batch]
%3 = add %0 %2 : f64[2,batch]  # z1 at net.py:5 "z1 = w['hidden'] + 1"
%4 = reduce_sum %3 axes=(0, 1) keepdims=False : f64[]  # "a sum" cotangent of %3 at "a b.py":6 "a \\"b\\"", net.py:7 ""
return %4 as "L", %3 as "z"
"""


def test_the_text_of_a_graph_reads_back() -> None:
    graph = parse_graph(TEXT)
    assert print_graph(graph) == TEXT == str(graph)
    assert graph.names == {3: "z1", 4: "a sum"}
    assert graph.cotangents == {3: 4}
    assert graph.origins[4] == (Origin("a b.py", 6, 'a "b"'), Origin("net.py", 7, ""))
    assert graph.output_names == ("L", "z")
    assert graph.symbols == ("batch",)


def constants(array: np.ndarray, *, weak: bool = False) -> Graph:
    builder = Builder()
    return builder.freeze([builder.constant(array, weak=weak)])


def read_back(array: np.ndarray) -> np.ndarray:
    graph = parse_graph(print_graph(constants(array)))
    verify(graph)
    value: np.ndarray = graph.nodes[0].params["value"]
    return value


DTYPES = ["f2", "f4", "f8", "c8", "c16", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


@given(
    st.sampled_from(DTYPES).flatmap(
        lambda d: hnp.arrays(np.dtype(d), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    )
)
def test_every_bit_of_a_constant_comes_back(array: np.ndarray) -> None:
    found = read_back(array)
    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


@pytest.mark.parametrize("bits", [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FFFFFFFFFFFFFFF])
def test_each_nan_is_one_of_its_own(bits: int) -> None:
    array = np.array(bits, np.uint64).view(np.float64)
    assert read_back(array).tobytes() == array.tobytes()
    lines = {str(constants(np.array(b, np.uint64).view(np.float64))) for b in (0x7FF8000000000000, bits)}
    assert len(lines) == 1 + (bits != 0x7FF8000000000000)


def test_signed_zeros_differ() -> None:
    assert print_graph(constants(np.array(0.0))) != print_graph(constants(np.array(-0.0)))
    assert print_graph(constants(np.array(np.nan))) == print_graph(constants(np.array(np.nan)))


def test_a_weak_constant_stays_weak() -> None:
    graph = parse_graph(print_graph(constants(np.array(2.0), weak=True)))
    assert str(graph.nodes[0].aval) == "~f64[]"
    assert graph.nodes[0].params["weak"] is True


def test_a_large_constant_is_written_as_bytes() -> None:
    array = np.arange(1000, dtype=np.float32) / 3
    text = print_graph(constants(array))
    assert "base64" in text
    np.testing.assert_array_equal(read_back(array), array)


@pytest.mark.parametrize(
    "dim",
    [
        "batch",
        "2*batch + 1",
        "batch*seq - 3",
        "-1*batch + seq",
        "(batch // 2)",
        "((batch + 1) % 3)*seq",
        "min(batch, seq)",
        "max(2*batch, (seq // 2) + 1)",
    ],
)
def test_a_symbolic_size_reads_back(dim: str) -> None:
    text = f'gir 1\n%0 = input index=0 name="x" : f32[{dim},3]\nreturn %0 as "y"\n'
    graph = parse_graph(text)
    again = parse_graph(print_graph(graph))
    assert again.nodes[0].aval == graph.nodes[0].aval
    assert print_graph(again) == print_graph(graph)


@given(st.text(), st.text(), st.text(), st.integers(0, 10**6))
def test_no_name_or_line_can_break_the_text(name: str, file: str, line_text: str, line: int) -> None:
    builder = Builder()
    builder.origin = (Origin(file, line, line_text),)
    x = builder.input(name, aval("f64[]"))
    y = elementwise.exp(x)
    builder.name(y, name)
    graph = builder.freeze([y], [name])
    again = parse_graph(print_graph(graph))
    assert again.names == graph.names
    assert again.origins == graph.origins
    assert again.input_names == graph.input_names
    assert again.output_names == graph.output_names


def test_params_of_all_kinds_read_back() -> None:
    builder = Builder()
    x = builder.input("x", aval("i32[3,4]"))
    y = shape.slice_(elementwise.convert(x, dtype=np.dtype("f4")), starts=(2, 0), sizes=(2, 4), steps=(-1, 1))
    z = shape.update_slice(y, y, starts=(0, 0), steps=(1, 1), mode="add")
    graph = builder.freeze([reduce.reduce_sum(z, axes=(), keepdims=True)])
    again = parse_graph(print_graph(graph))
    verify(again)
    assert [n.params for n in again.nodes] == [n.params for n in graph.nodes]


def test_a_parameter_without_a_text_is_refused() -> None:
    op = Op("odd", lambda x, **params: x, lambda x, **params: x)
    builder = Builder()
    graph = builder.freeze([builder.apply(op, builder.input("x", aval("f64[]")), odd=1j)])
    with pytest.raises(GradcError, match="a parameter of type complex has no text"):
        print_graph(graph)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a graph begins with the line 'gir 1'"),
        ("gir 2\n", "a graph begins with the line 'gir 1'"),
        ("gir 1\n", "a graph ends with a return line"),
        ("gir 1\n%1 = constant 1.0 : f64[]\nreturn", "line 2 of a graph: the next node is %0"),
        ("gir 1\n%0 = frobnicate : f64[]\nreturn", "line 2 of a graph: no op is named 'frobnicate'"),
        ("gir 1\n%0 = exp %0 : f64[]\nreturn", "line 2 of a graph: %0 is used before it is made"),
        ("gir 1\n%0 = constant 1.0 : f65[]\nreturn", "'f65[]' is not an abstract value"),
        ("gir 1\n%0 = constant one : f64[]\nreturn", "could not convert string to float: 'one'"),
        ("gir 1\n%0 = constant [1.0] : f64[2]\nreturn", "the elements of the constant do not fill its shape"),
        ('gir 1\n%0 = constant base64 "AAAA" : f64[2]\nreturn', "line 2 of a graph: buffer size must be"),
        ("gir 1\n%0 = constant 1.0 : f64[] !\nreturn", "'!' is no part of a graph"),
        ("gir 1\nreturn\n%0 = constant 1.0 : f64[]", "nothing may follow the return line"),
        ("gir 1\n%0 = constant 1.0 : f64[] f64\nreturn", "'f64' is not expected"),
        ("gir 1\n%0 = constant 1.0 : f64[batch]\nreturn", "a constant has no symbolic sizes"),
        ("gir 1\n%0 = constant 300 : u8[]\nreturn", "300 out of bounds for uint8"),
        ("gir 1\n%0 = constant `ls` : f64[]\nreturn", "no part of a graph"),
    ],
)
def test_a_text_that_is_no_graph_is_refused(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_graph(text)
    assert message in str(caught.value)


def test_every_op_name_can_be_read() -> None:
    assert all(name.replace("_", "a").isidentifier() for name in REGISTRY)
