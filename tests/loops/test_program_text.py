"""The text of loop programs: what is printed is read back, and what is not a program is refused with its line."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.errors import ParseError
from gradc.ir.aval import maximum_dim, symbol
from gradc.loops.language.expressions import apply, load_from
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import (
    BOOL,
    I64,
    PRIMITIVES,
    Buffer,
    Comment,
    Expression,
    For,
    LoopProgram,
    Store,
    b,
    constant,
    size,
    variable,
)

DTYPES = [np.dtype(name) for name in ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u8", "?")]
BUFFERS = tuple(Buffer(f"in_{dtype.name}", dtype, (3, 4), "input") for dtype in DTYPES)
OUTPUTS = tuple(Buffer(f"out_{dtype.name}", dtype, (), "output") for dtype in DTYPES)


def leaves(dtype: np.dtype) -> st.SearchStrategy[Expression]:
    numbers: st.SearchStrategy[bool | int | float]
    if dtype.kind == "f":
        numbers = st.floats(width=8 * dtype.itemsize)
    elif dtype.kind == "b":
        numbers = st.booleans()
    else:
        limits = np.iinfo(dtype)
        numbers = st.integers(int(limits.min), int(limits.max))
    made = numbers.map(lambda value: constant(value, dtype))
    if dtype == I64:
        made |= st.sampled_from([variable("i"), variable("j"), size(symbol("batch") * 2 + 1)])
    return made | st.just(load_from(f"in_{dtype.name}", dtype, (constant(1, I64), variable("j"))))


@st.composite
def expressions(draw: st.DrawFn, dtype: np.dtype, depth: int = 4) -> Expression:
    """Any expression of a dtype; nothing is folded, so that every form of text appears."""
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return draw(leaves(dtype))
    names = [n for n, p in PRIMITIVES.items() if (dtype == BOOL if p.to_bool else dtype.kind in p.kinds)]
    name = draw(st.sampled_from(names))
    primitive = PRIMITIVES[name]
    if name == "select":
        mask = draw(expressions(BOOL, depth - 1))
        return apply(name, (mask, *(draw(expressions(dtype, depth - 1)) for _ in range(2))), dtype)
    source = dtype
    if name == "convert" or (primitive.to_bool and primitive.kinds != "b"):
        source = draw(st.sampled_from([d for d in DTYPES if d.kind in primitive.kinds]))
    return apply(name, tuple(draw(expressions(source, depth - 1)) for _ in range(primitive.arity)), dtype)


@given(st.data())
def test_every_expression_is_read_back_as_the_same_object(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    value = data.draw(expressions(dtype))
    inner = For("j", size(0), size(4), (Store(f"out_{dtype.name}", (), value),))
    program = LoopProgram("p", BUFFERS + OUTPUTS, (For("i", size(0), size(3), (inner,)),))
    read = parse_program(str(program))
    assert read == program
    (loop,) = read.body
    assert isinstance(loop, For)
    assert isinstance(loop.body[0], For)
    assert loop.body[0].body[0].value is value


@given(st.lists(st.floats(allow_nan=True), max_size=20), st.sampled_from(["f4", "f8"]))
def test_constants_keep_their_bits(values: list[float], dtype: str) -> None:
    with np.errstate(over="ignore"):
        array = np.array(values, dtype)
    program = LoopProgram("p", (Buffer("c", array.dtype, array.shape, "constant", data=array.tobytes()),), ())
    assert parse_program(str(program)) == program


def test_sizes_offsets_and_remarks_are_read_back() -> None:
    batch = symbol("batch")
    shape = (batch * 3 - 1, (batch + 1) // 2, maximum_dim(batch, 7))
    buffers = (
        Buffer("x", np.dtype("f4"), shape, "input", comment="w['a'], net.py:3"),
        Buffer("t", np.dtype("f8"), (batch,), "arena", batch * 64),
    )
    program = LoopProgram("p", buffers, (Comment("z = x + y"),), messages=('say "no"',), arena_bytes=batch * 128)
    assert parse_program(str(program)) == program
    assert "input x: f32[3*batch - 1,((batch + 1) // 2),max(batch, 7)]  # w['a'], net.py:3" in str(program)


def test_operators_print_with_no_more_parentheses_than_they_need() -> None:
    i, j = variable("i"), variable("j")
    for expression, text in (
        ((i + 1) * j - i * (j + 2), "(i + 1) * j - i * (j + 2)"),
        (apply("sub", (i, apply("sub", (j, i), I64)), I64), "i - (j - i)"),
        (b.logical_not(b.logical_and(b.lt(i, j), b.eq(i, 0))), "not (i < j and i == 0)"),
        (b.logical_or(b.logical_not(b.lt(i, j)), b.gt(i, 3)), "not i < j or i > 3"),
        (b.floor_div(i * (i + 1), 2) % 3, "i * (i + 1) // 2 % 3"),
        (b.neg(b.constant(-0.5, "f4")), "neg(-0.5_f32)"),
    ):
        assert str(expression) == text


WRONG = [
    ("program\nbegin\n", "line 1: a name expected at the end in 'program'"),
    ("program p\ninput x f64[]\nbegin\n", "line 2: ':' expected before 'f64' in 'input x f64[]'"),
    ("program p\ninput x: f63[]\nbegin\n", "line 2: 'f63' is not a dtype in 'input x: f63[]'"),
    ("program p\nscratch x: f64[]\nbegin\n", "line 2: a declaration, a function or 'begin' expected"),
    ("program p\nconstant c: i64[2] = [1, x]\nbegin\n", "line 2: the values of the constant are not of its dtype"),
    ('program p\nmessage 2 "a"\nbegin\n', "line 2: message 1 and its text in quotes expected"),
    ("program p\n", "the text of the loop program ends too early"),
    ("program p\nbegin\n  let a = b\n", "line 3: b is not a variable in reach in 'let a = b'"),
    ("program p\nbegin\n  let a = 1 +\n", "line 3: a name expected at the end in 'let a = 1 +'"),
    ("program p\nbegin\n  let a = x[0]\n", "line 3: x is not a buffer in reach"),
    ("program p\nbegin\n  let a = sech(1.0)\n", "line 3: sech is not a primitive"),
    ("program p\nbegin\n  let a = exp(1.0, 2.0)\n", "line 3: exp takes 1 operands, got 2"),
    ("program p\nbegin\n  let a = 300_i8\n", "line 3: 300_i8 is not a number of its dtype"),
    ("program p\nbegin\n  let a = 1 ? 2\n", "line 3: '? 2' is not a word of loop programs"),
    ("program p\nbegin\n  let a = 1 2\n", "line 3: '2' was not expected"),
    ("program p\nbegin\n      let a = 1\n", "line 3: too deep an indentation"),
    ("program p\nbegin\n  for i in 0 to 4\n    pass\n", "line 3: ':' expected at the end"),
    (
        "program p\noutput y: f64[]\nbegin\n  y[] -= 1.0 in sequence\n",
        "line 4: a name expected before '=' in 'y[] -= 1.0 in sequence'",
    ),
    ("program p\noutput y: f64[]\nbegin\n  y[] * 1.0\n", "line 4: '*' is not an assignment"),
    ("program p\noutput y: f64[]\nbegin\n  y[] += 1.0\n", "line 4: 'in' expected at the end"),
    ("program p\nbegin\n  jump\n", "line 3: 'let' expected before 'jump'"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[m[:40] for _, m in WRONG])
def test_what_is_no_program_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_program(text)
    assert str(caught.value).startswith(message)


@given(st.text(alphabet="abi01 .:=[](){},+-*/%<>#\n_", max_size=80))
def test_noise_raises_parse_errors_alone(noise: str) -> None:
    text = f"program p\ninput a: f64[3]\noutput b: f64[3]\nbegin\n  {noise}"
    with contextlib.suppress(ParseError):
        parse_program(text)


def test_the_program_in_the_documentation_is_the_one_that_is_tested() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "loop-programs.md").read_text(encoding="utf-8")
    shown = page.split("```")[1].lstrip("\n")
    assert shown == (root / "tests" / "loops" / "programs" / "layer_norm.loops").read_text(encoding="utf-8")
