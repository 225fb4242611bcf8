"""Each law of the verifier, broken once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gradc.errors import VerifyError
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import ZERO, Apply, Buffer, Check, LoopProgram, Store, b, constant, variable
from gradc.loops.language.verify import verify

HEAD = """program p
input x: f64[4,5]
input place: i64[4]
input flag: bool[4]
output y: f64[4]
output w: f64[4,5]
arena t: f64[4] at 0
arena u: f64[4] at 64
constant c: f64[2] = [1.0, 2.0]
arena 128 bytes
message 1 "index {} is out of range"
"""
FUNCTION = """
function f(read a: f64[4], write r: f64[4], k):
  for i in 0 to 4:
    r[i] = a[i]
"""


def program(body: str, function: str = FUNCTION) -> LoopProgram:
    lines = "\n".join("  " + line for line in body.splitlines())
    return parse_program(f"{HEAD}{function}\nbegin\n{lines}\n")


BROKEN = [
    ("let x = 1", "law 1: x is declared again where it is in reach"),
    ("let t1 = 1\nlet t1 = 2", "law 1: t1 is declared again where it is in reach"),
    ("for i in 0 to 4:\n  for i in 0 to 4:\n    y[i] = 0.0", "law 1: i is declared again where it is in reach"),
    ("let lanes = 1", "law 1: 'lanes' cannot be a name"),
    ("c[0] = 1.0", "law 4: c is not for writing: c[0] = 1.0"),
    ("x[0, 0] = 1.0", "law 4: x is not for writing: x[0, 0] = 1.0"),
    ("y[0] = 1", "law 3: i64 is written to f64[4]: y[0] = 1"),
    ("y[0] = x[0, 0] + convert(x[0, 1], f32)", "law 3: add does not take f64, f32: y[0] = "),
    ("y[0] = exp(1)", "law 3: exp does not take i64: y[0] = exp(1)"),
    ("y[0] = select(x[0, 0], 1.0, 2.0)", "law 3: select does not fit its operands"),
    ("if x[0, 0]:\n  pass", "law 3: the condition is f64: if x[0, 0]:"),
    ("w[0, 0, 0] = 1.0", "law 3: w has 2 axes and 3 indices: w[0, 0, 0] = 1.0"),
    ("y[flag[0]] = 1.0", "law 3: an index of y is bool"),
    ("y[4] = 1.0", "law 5: an index of y runs from 4 to 4, its axis has 4 elements: y[4] = 1.0"),
    ("w[20] = 1.0", "law 5: an index of w runs from 20 to 20, its axis has 20 elements"),
    ("for i in 0 to 5:\n  y[i] = 1.0", "law 5: an index of y runs from 0 to 4, its axis has 4 elements"),
    ("for i in 0 to 4:\n  y[i] = x[i, i - 1]", "law 5: an index of x runs from -1 to 2, its axis has 5 elements"),
    ("for i in 0 to 4:\n  y[place[i]] = 1.0", "law 5: an index of y runs from -9223372036854775808 to"),
    ("for i in 0 to 4 step 0:\n  y[i] = 1.0", "law 6: the step is not positive"),
    ("for i in 0 to place[0]:\n  pass", "law 6: a bound is not made of outer variables and sizes"),
    ("for i in 0.0 to 4:\n  pass", "law 3: a bound is f64"),
    ("for i in 0 to 4 vector:\n  y[0] = x[i, 0]", "law 7: iterations of the vector loop over i write one element"),
    ("for i in 0 to 3 parallel:\n  y[i] = 1.0\n  y[i + 1] = 2.0", "law 7: two iterations may meet in y"),
    ("for i in 0 to 4 vector:\n  t[i] = t[3 - i]", "law 7: two iterations may meet in the arena"),
    ("for i in 0 to 4 vector:\n  y[i // 2] = 1.0", "law 7: two iterations may meet in y"),
    (
        "for i in 0 to 4:\n  for k in 0 to i:\n    for j in 0 to 4 vector:\n      w[i, j] = w[k, j + 1]",
        "law 7: two iterations may meet in w",
    ),
    (
        "for i in 0 to 4:\n  for k in 0 to i:\n    for j in 0 to 5 vector:\n      w[i * 4 + j] = w[k * 4 + j]",
        "law 7: two iterations may meet in w",
    ),
    ("for i in 0 to 4 vector carry n, m = t, u:\n  m[i] = n[i]", "law 7: a loop that carries state runs in sequence"),
    ("for i in 0 to 4:\n  y[0] += x[i, 0] in 8 lanes of k", "law 8: k is no enclosing loop"),
    ("for i in 0 to 4:\n  y[0] += x[i, 0] in 6 lanes of i", "law 8: 6 lanes in blocks of 0"),
    ("for i in 0 to 4:\n  y[0] += x[i, 0] in 8 lanes of i, blocks of 12", "law 8: 8 lanes in blocks of 12"),
    (
        "for i in 0 to 4:\n  y[i] += x[i, 0] in 8 lanes of i",
        "law 8: what is accumulated changes",
    ),
    ("for i in 0 to 4:\n  y[0] += y[i] in 8 lanes of i", "law 8: y is reduced in lanes of i and named here"),
    (
        "for i in 0 to 4:\n  y[0] += x[i, 0] in 8 lanes of i\n  t[0] += x[i, 0] in 4 lanes of i",
        "law 8: reductions over a loop agree in their lanes",
    ),
    (
        "y[0] = 1.0\nrequire {n} > 0 else 1",
        "law 11: a check that stops the kernel comes after other statements: require {n} > 0 else 1",
    ),
    ("for i in 0 to 4:\n  require i > 0 else 1", "law 11: a check that stops the kernel comes after other statements"),
    ("require {n} > 0 else 2", "law 11: the code 2 has no message"),
    ("local big: f64[20000]", "law 9: local buffers take 160000 bytes, at most 131072 are allowed"),
    ("local s: f64[n]", "law 9: s is local and f64[n] is not a fixed size: local s: f64[n]"),
    ("call g(x{0; 1})", "law 10: there is no function g above: call g(x{0; 1})"),
    ("call f(x{0; 1}, y{0; 1})", "law 10: f takes 2 views and 1 scalars"),
    ("call f(x{0; 5}, y{0; 1}; 0)", "law 10: the view of x is not row-major of shape (4,)"),
    ("call f(x{17; 1}, y{0; 1}; 0)", "law 5: the view of x runs from 17 to 20, f64[4,5]"),
    ("call f(x{0; 1}, c{0; 1}; 0)", "law 4: c is not for writing"),
    ("call f(y{0; 1}, y{0; 1}; 0)", "law 10: y is written and is another operand"),
    ("t{0; 1} = contract i,i->i [i=4] f64 (x{0; 1}, t{0; 1})", "law 10: t is written and is another operand"),
    ("y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; -1})", "law 10: the view of x has a negative stride"),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, w{0; 1}) then z of i:\n  w[0, i] = z",
        "law 10: the epilogue writes an operand, or reads the result where it need not be complete",
    ),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; 1}) then z of i:\n  t[i] = z + y[0]",
        "law 10: the epilogue writes an operand, or reads the result where it need not be complete",
    ),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; 1}) then z of i:\n  t[0] = z",
        "law 7: iterations of the vector loop over i write one element",
    ),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; 1}) then z of i:\n  u[i] = z + u[3 - i]",
        "law 7: two iterations may meet in the arena",
    ),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; 1}) then z of i:\n  t[i + 1] = z",
        "law 5: an index of t runs from 1 to 4",
    ),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; 1}) then z of i:\n  t[i] += z in sequence",
        "law 10: an epilogue is made of lets and stores",
    ),
    (
        "y{0; 1} = contract ij,j->i [i=4, j=5] f64 (x{0; 5, 1}, x{0; 1}) then z of i, j:\n  t[i] = z",
        "law 10: i, j do not name the place of an element",
    ),
    ("y{0; 1} = contract ij,j->i [j=5, i=4] f64 (x{0; 5, 1}, x{0; 1})", "law 10: the letters do not fit"),
    (
        "y{0; 1} = contract ij,k->i [i=4, j=5, k=1] f64 (x{0; 5, 1}, x{0; 1})",
        "law 10: a letter stands in one operand",
    ),
    ("check flag[0] else 2", "law 11: the code 2 has no message: check flag[0] else 2"),
    ("check place[0] else 1", "law 3: the condition is i64"),
    ("for s in 0 to 4 carry n, m = t, t:\n  pass", "law 12: t and t cannot carry n"),
    ("for s in 0 to 4 carry n, m = t, c:\n  pass", "law 12: t and c cannot carry n"),
    ("for s in 0 to 4 carry n, m = t, u:\n  y[0] = t[0]", "law 2: the buffer t is not in reach: y[0] = t[0]"),
    ("for s in 0 to 4 carry n, m = t, u:\n  n[0] = 1.0", "law 4: n is not for writing"),
    ("for k in 0 to 2:\n  choose n = t, w at k", "law 14: n stands for buffers of several shapes or dtypes"),
    ("for k in 0 to 2:\n  choose n = t, m at k", "law 14: n does not stand for buffers of the kernel"),
    ("local m: f64[4]\nfor k in 0 to 2:\n  choose n = t, m at k", "law 14: n does not stand for buffers of the kernel"),
    (
        "for s in 0 to 4 carry n, m = t, u:\n  choose p = t, y at 0",
        "law 14: p does not stand for buffers of the",
    ),
    ("for k in 0 to 3:\n  choose n = t, u at k", "law 5: the place of a choice runs from 0 to 2, of 2"),
    ("choose n = t, u at place[0]", "law 5: the place of a choice runs from -9223372036854775808 to"),
    ("choose n = t, u at 0.0", "law 3: the place of a choice is f64"),
    (
        "for k in 0 to 2 parallel:\n  choose n = t, u at k",
        "law 14: n is chosen in a loop whose iterations may",
    ),
    ("choose t = t, u at 0", "law 1: t is declared again where it is in reach"),
    ("choose n = t, u at 0\nn[0] = 1.0", "law 2: the buffer n is not in reach: n[0] = 1.0"),
    (
        "choose n = t, u at 0\ny{0; 1} = contract i,i->i [i=4] f64 (x{0; 1}, n{0; 1})",
        "law 2: the buffer n is not in reach",
    ),
    ("for k in 0 to 2:\n  choose n = t, u at k\n  call f(t{0; 1}, n{0; 1}; 0)", "law 10: n is written and is another"),
    (
        "for k in 0 to 2:\n  choose n = t, u at k\n  choose m = y, u at k\n  call f(m{0; 1}, n{0; 1}; 0)",
        "law 10: n is written and is another operand",
    ),
    (
        "for k in 0 to 2:\n  choose n = t, u at k\n  choose m = u, t at 1 - k\n  call f(m{0; 1}, n{0; 1}; 0)",
        "law 10: n is written and is another operand",
    ),
    ("for k in 0 to 2:\n  choose n = t, c at k", "law 14: n stands for buffers of several shapes or dtypes"),
]


@pytest.mark.parametrize(("body", "message"), BROKEN, ids=[message[:30] + body[:20] for body, message in BROKEN])
def test_a_broken_law_is_named_with_its_place(body: str, message: str) -> None:
    with pytest.raises(VerifyError) as caught:
        verify(program(body))
    assert str(caught.value).startswith(message)


KEPT = [
    "for i in 0 to 4:\n  for j in 0 to 5:\n    w[i * 5 + j] = x[i, j]",
    "for i in 0 to 4:\n  if 1 <= i and i < 4:\n    y[i] = x[i - 1, 0]",
    "for i in 0 to 4:\n  if i == 0 or 4 <= i:\n    pass\n  else:\n    y[i] = x[i, 0]",
    "for i in 0 to 4 vector:\n  w[i, 0] = x[i, 1]\n  w[i, 1] = x[i, 0]",
    "for i in 0 to 4 vector:\n  for j in 0 to 5:\n    w[i * 5 + j] = x[i, j]",
    "for i in 0 to 2 vector:\n  y[i] = 1.0\n  y[i + 2] = 2.0",
    "for i in 0 to 4 vector:\n  local s: f64[2]\n  s[0] = x[i, 0]\n  y[i] = s[0]",
    "for i in 0 to 4:\n  let p = minimum(maximum(place[i], 0), 3)\n  y[p] += 1.0 in sequence",
    "for i in 4 to 4:\n  y[i] = 1.0",
    "for i in 0 to 4:\n  for k in 0 to i:\n    for j in 0 to 5 vector:\n      w[i, j] = w[k, j]",
    "call f(x{5; 1}, y{0; 1}; 3)",
    "for k in 0 to 2:\n  choose n = t, u at k\n  choose m = u, t at k\n  call f(n{0; 1}, m{0; 1}; k)",
    "choose n = t, y at 1\ncall f(x{0; 1}, n{0; 1}; 0)",
    "for i in 0 to 4:\n  y[i] = 0.0\nfor i in 0 to 4:\n  let t1 = x[i, 0]\n  y[i] = t1",
]


@pytest.mark.parametrize("body", KEPT)
def test_what_keeps_the_laws_passes(body: str) -> None:
    made = program(body)
    assert verify(made) is made


def test_laws_of_declarations() -> None:
    good = program("pass")
    arena, constants = good.buffer["u"], good.buffer["c"]

    def changed(old: Buffer, new: Buffer) -> LoopProgram:
        return replace(good, buffers=tuple(new if buffer is old else buffer for buffer in good.buffers))

    for made, message in (
        (changed(arena, replace(arena, offset=8)), "law 9: u: the offset 8 is not a multiple of 64"),
        (changed(arena, replace(arena, offset=128)), "law 9: u ends at 160, the arena at 128"),
        (changed(constants, replace(constants, data=b"12345678")), "law 9: c: 8 bytes for f64[2]"),
        (changed(arena, replace(arena, name="t")), "law 1: t is declared again where it is in reach"),
        (changed(arena, replace(arena, comment="two\nlines")), "law 13: 'two\\nlines' is not one line"),
        (changed(arena, replace(arena, name="a b")), "law 1: 'a b' cannot be a name"),
        (replace(good, name="1p"), "law 1: '1p' cannot be a name"),
    ):
        with pytest.raises(VerifyError) as caught:
            verify(made)
        assert str(caught.value) == message


def test_laws_that_text_cannot_break() -> None:
    good = program("pass")
    odd = Apply(np.dtype("f8"), "sech", (constant(1.0, "f8"),))
    for statement, message in (
        (Store("y", (ZERO,), variable("v", "f8")), "law 2: the f64 variable v is not in reach: y[0] = v"),
        (Store("y", (ZERO,), odd), "law 3: sech is not a primitive: y[0] = sech(1.0)"),
        (
            Check(b.constant(True, "?"), 1, constant(1, "i4")),
            "law 3: the value told is i32: check true else 1 of 1_i32",
        ),
    ):
        with pytest.raises(VerifyError) as caught:
            verify(replace(good, body=(statement,)))
        assert str(caught.value) == message


def placed(outputs: str, body: str) -> LoopProgram:
    return parse_program(f"program p\ninput w: f64[4]\ninput x: f64[3]\n{outputs}\nbegin\n  {body}\n")


def test_an_output_in_place_of_an_input_is_all_that_is_named() -> None:
    good = placed("output y: f64[4] in place of w", "y[0] = y[1] + x[0]")
    assert verify(good) is good
    assert parse_program(str(good)) == good


@pytest.mark.parametrize(
    ("outputs", "body", "message"),
    [
        ("output y: f64[4] in place of w", "y[0] = w[1]", "law 9: w is named although y stands in its place"),
        ("output y: f64[4] in place of x", "y[0] = 1.0", "law 9: y stands in place of x, which is no input of"),
        ("output y: f64[4] in place of z", "y[0] = 1.0", "law 9: y stands in place of z, which is no input of"),
        (
            "output y: f64[4] in place of w\noutput z: f64[4] in place of w",
            "y[0] = 1.0",
            "law 9: w is named although y stands in its place",
        ),
    ],
)
def test_an_output_in_the_wrong_place_is_found(outputs: str, body: str, message: str) -> None:
    with pytest.raises(VerifyError) as error:
        verify(placed(outputs, body))
    assert message in str(error.value)


SCRATCH = """
function f(read a: f64[4], write r: f64[4], write s: f64[9], k):
  r{0; 1} = contract i,i->i [i=4] f64 (a{0; 1}, a{0; 1}) using VIEW
"""


def test_a_function_may_have_scratch_memory_as_a_parameter_to_write() -> None:
    call = "call f(x{0; 1}, y{0; 1}, w{0; 1}; 0)"
    made = program(call, SCRATCH.replace("VIEW", "s{0; 1}"))
    assert verify(made) is made
    for view, parameter in (("s{1; 1}", "s"), ("a{0; 1}", "a")):
        with pytest.raises(VerifyError, match=f"law 10: {parameter} cannot be scratch memory: it is no block"):
            verify(program(call, SCRATCH.replace("VIEW", view)))
