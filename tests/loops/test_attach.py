"""Which loop nests become epilogues of the contraction before them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.epilogue import unfused
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Call, For, LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.shaping.attach import with_epilogues

HEAD = """\
program layer
input x: f64[6,8]
input m: f64[8,5]
input bias: f64[5]
output y: f64[6,5]
output s: f64[5]
arena z: f64[6,5] at 0
arena u: f64[6,5] at 256
arena q: f64[6,5] at 128
arena 512 bytes

begin
  z{0; 5, 1} = contract ij,jk->ik [i=6, j=8, k=5] f64 (x{0; 8, 1}, m{0; 5, 1})
"""

BIAS = """\
  for i in 0 to 6:
    for j in 0 to 5 vector:
      y[i, j] = maximum(z[i, j] + bias[j], 0.0)
"""


def attached(text: str) -> LoopProgram:
    program = verify(parse_program(HEAD + text))
    made = verify(with_epilogues(program, lambda call: True))
    assert parse_program(str(made)) == made
    return made


def first(program: LoopProgram) -> Call:
    call = program.body[0]
    assert isinstance(call, Call)
    return call


def test_a_bias_and_an_activation() -> None:
    """Nothing else reads z, so it has no array: the contraction works in y."""
    program = attached(BIAS)
    assert str(program).partition("begin\n")[2] == (
        "  y{0; 5, 1} = contract ij,jk->ik [i=6, j=8, k=5] f64 (x{0; 8, 1}, m{0; 5, 1}) then total of i, j:\n"
        "    y[i, j] = maximum(total + bias[j], 0.0)\n"
    )
    assert "z" not in program.buffer


def test_a_result_that_is_read_again_is_kept() -> None:
    program = attached(BIAS + "  for i in 0 to 5:\n    s[i] = z[0, i]\n")
    assert first(program).views[2].buffer == "z"
    assert first(program).epilogue is not None
    assert len(program.body) == 2


def test_sums_over_rows_stay_a_nest_over_what_is_stored() -> None:
    program = attached("""\
  for i in 0 to 5 vector:
    s[i] = 0.0
  for i in 0 to 6:
    for j in 0 to 5 vector:
      let t = z[i, j] * bias[j]
      y[i, j] = t
      s[j] += t * 2.0 in sequence
""")
    assert first(program).epilogue is not None
    assert str(program).endswith("""\
  for i in 0 to 6:
    for j in 0 to 5 vector:
      s[j] += y[i, j] * 2.0 in sequence
""")


@pytest.mark.parametrize(
    "text",
    [
        # sums of what is not stored
        "  for i in 0 to 6:\n    for j in 0 to 5 vector:\n      y[i, j] = z[i, j]\n      s[j] += z[i, j] in sequence\n",
        # another element
        "  for i in 0 to 6:\n    for j in 0 to 5 vector:\n      y[i, j] = z[i, j] + z[0, j]\n",
        "  for i in 0 to 6:\n    for j in 0 to 5 vector:\n      y[i, j] = z[5 - i, j]\n",
        # part of the result
        "  for i in 0 to 6:\n    for j in 0 to 4 vector:\n      y[i, j] = z[i, j]\n",
        "  for i in 0 to 6 step 2:\n    for j in 0 to 5 vector:\n      y[i, j] = z[i, j]\n",
        # row by row: the loop over columns is not all of a row's work
        "  for i in 0 to 6:\n    let t = z[i, 0]\n    for j in 0 to 5 vector:\n      y[i, j] = z[i, j] - t\n",
        # memory that it reads in another place
        "  for i in 0 to 6:\n    for j in 0 to 5:\n      u[i, j] = z[i, j] + u[5 - i, j]\n",
        # what it reads lies in the memory of the result
        "  for i in 0 to 6:\n    for j in 0 to 5:\n      y[i, j] = z[i, j] + q[i, j]\n",
    ],
)
def test_what_is_no_epilogue(text: str) -> None:
    assert first(attached(text)).epilogue is None


IN_THE_WAY = {
    "writes what the nest reads": ("s[0] = 2.0", "y[i, j] = z[i, j] * s[0]"),
    "names what the nest uses": ("let t = bias[0]", "y[i, j] = z[i, j] * t"),
    "reads what the nest writes": ("s[0] = y[0, 0]", "y[i, j] = z[i, j]"),
    "writes what the nest writes": ("y[0, 0] = 1.0", "y[i, j] = z[i, j]"),
}


@pytest.mark.parametrize("name", IN_THE_WAY)
def test_the_contraction_moves_down_where_its_epilogue_cannot_move_up(name: str) -> None:
    """Unless what is in the way writes an operand of the contraction too."""
    between, stored = IN_THE_WAY[name]
    nest = f"  for i in 0 to 6:\n    for j in 0 to 5 vector:\n      {stored}\n"
    _, call = attached(f"  {between}\n{nest}").body
    assert isinstance(call, Call)
    assert call.epilogue is not None
    text = HEAD.replace("(x{0; 8, 1}", "(u{0; 0, 0}") + f"  {between}\n  u[0, 0] = 3.0\n{nest}"
    program = verify(with_epilogues(parse_program(text), lambda call: True))
    assert first(program).epilogue is None


def test_an_operand_is_not_written_over() -> None:
    """u dies with the contraction, so what follows may lie in its memory; during the contraction it may not."""
    text = HEAD.replace("(x{0; 8, 1}", "(u{0; 0, 0}") + BIAS.replace("y[i, j]", "u[i, j]")
    program = verify(with_epilogues(parse_program(text), lambda call: True))
    assert first(program).epilogue is None


def test_the_backend_decides() -> None:
    program = parse_program(HEAD + BIAS)
    assert with_epilogues(program, lambda call: False) is program


def test_the_meaning_is_a_nest_after_the_contraction() -> None:
    call, nest = unfused(first(attached(BIAS)))
    assert call.epilogue is None
    assert isinstance(nest, For)
    program = attached(BIAS)
    apart = verify(replace(program, body=(call, nest)))
    rng = np.random.default_rng(0)
    x, m, bias = rng.standard_normal((6, 8)), rng.standard_normal((8, 5)), rng.standard_normal(5)
    for each in (program, apart):
        y, _ = load(emit(each, host()), each)([x, m, bias])
        np.testing.assert_allclose(y, np.maximum(x @ m + bias, 0), rtol=1e-13, atol=1e-14)


def test_a_training_step_has_its_biases_activations_and_masks_in_the_contractions() -> None:
    def loss(w1, b1, w2, b2, w3, x, y):
        h1 = np.maximum(x @ w1 + b1, 0)
        h2 = np.tanh(h1 @ w2 + b2)
        return np.mean((h2 @ w3 - y) ** 2)

    rng = np.random.default_rng(0)
    shapes = {"w1": (20, 30), "b1": (30,), "w2": (30, 12), "b2": (12,), "w3": (12, 9), "x": (16, 20), "y": (16, 9)}
    arrays = {name: rng.standard_normal(shape) / 4 for name, shape in shapes.items()}
    wrt = ("w1", "b1", "w2", "b2", "w3")
    step = gradc.value_and_grad(loss, wrt=wrt)
    kernel = step.compile(**arrays)
    assert kernel.loops.count(" then total") == 4
    value, grads = kernel(**arrays)
    expected = gradc.value_and_grad(loss, wrt=wrt, backend="numpy")(**arrays)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    for got, wanted in zip(grads, expected[1], strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-14)
