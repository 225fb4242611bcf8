"""Epilogues run where the sums of a tile are stored, with the bits of a loop nest after the contraction."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import kernel_of, runs_epilogue
from gradc.backends.llvm.matmul.shares import scratch_elements
from gradc.loops.language.epilogue import unfused
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Call, LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.shaping.scratch import reserve

BODIES = {
    "bias and relu": "y[i, k] = maximum(z + bias[k], 0.0_{t})",
    "mask": "y[i, k] = select(other[i, k] > 0.0_{t}, z, 0.0_{t})",
    "by row": "y[i, k] = (z - row[i]) / 3.0_{t} * scalar[]",
    "two results": "let t = z * 0.5_{t} + bias[k]\nw[i, k] = t\ny[i, k] = abs(t)",
    "accumulate": "y[i, k] = other[i, k] + z",
    "in place": "c[i, k] = minimum(neg(z), bias[k])",
    "tanh": "y[i, k] = tanh(z + bias[k])",
    "logistic": "let e = exp(neg(abs(z)))\ny[i, k] = select(z >= 0.0_{t}, 1.0_{t}, e) / (1.0_{t} + e)",
    "log": "y[i, k] = log(z * z + 1.0_{t}) + sqrt(abs(z))",
}

PROGRAM = """\
program product
input a: {t}[{lhs}]
input b: {t}[{rhs}]
input bias: {t}[{k}]
input row: {t}[{i}]
input other: {t}[{i},{k}]
input scalar: {t}[]
output c: {t}[{i},{k}]
output y: {t}[{i},{k}]
output w: {t}[{i},{k}]

begin
  c{{0; {k}, 1}} {assign} contract {form} [{sizes}] {t} (a{{0; {lhs_steps}}}, b{{0; {rhs_steps}}}) then z of i, k:
{body}
"""


def program_of(form: str, sizes: dict[str, int], t: str, body: str, assign: str = "=") -> LoopProgram:
    lhs, rhs, _ = form.replace("->", ",").split(",")
    letters = ", ".join(f"{letter}={sizes[letter]}" for letter in dict.fromkeys(lhs + rhs))
    text = PROGRAM.format(
        t=t,
        i=sizes["i"],
        k=sizes["k"],
        form=form,
        assign=assign,
        sizes=letters,
        lhs=",".join(str(sizes[x]) for x in lhs),
        rhs=",".join(str(sizes[x]) for x in rhs),
        lhs_steps=f"{sizes[lhs[1]]}, 1",
        rhs_steps=f"{sizes[rhs[1]]}, 1",
        body="\n".join(f"    {line}" for line in body.format(t=t).splitlines()),
    )
    return verify(parse_program(text))


def reserved(program: LoopProgram) -> LoopProgram:
    return verify(reserve(program, lambda call: scratch_elements(call, program.buffer, host())))


def results(program: LoopProgram, written: Sequence[str]) -> dict[str, np.ndarray]:
    """The results that a program writes, on random arrays."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(tuple(map(int, x.shape))).astype(x.dtype) for x in program.inputs]
    found = load(emit(program, host()), program)(arrays)
    return {x.name: value for x, value in zip(program.outputs, found, strict=True) if x.name in written}


def assert_same_bits(program: LoopProgram) -> None:
    (call,) = program.body
    assert isinstance(call, Call)
    assert call.epilogue is not None
    assert runs_epilogue(call, program.buffer, host())
    apart = verify(dataclasses.replace(program, body=unfused(call)))
    written = {*re.findall(r"^    ([cyw])\[", str(program), re.MULTILINE), "c"}
    fused, expected = results(program, sorted(written)), results(apart, sorted(written))
    for name, value in expected.items():
        assert np.isfinite(value).all()
        assert fused[name].tobytes() == value.tobytes(), name


FORMS = ["ij,jk->ik", "ji,jk->ik", "ij,kj->ik", "ji,kj->ik"]


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("t", ["f32", "f64"])
def test_every_body(name: str, t: str) -> None:
    """On a ragged product whose vectors are whole, narrow and masked."""
    assert_same_bits(program_of("ij,jk->ik", {"i": 13, "j": 40, "k": 45}, t, BODIES[name]))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(13, 3, 10), (33, 1100, 20), (33, 1536, 20), (5, 40, 64), (2, 9, 700)], ids=str)
def test_every_transposition(form: str, shape: tuple[int, int, int]) -> None:
    """A sum in one block, and in several, equal ones or not, of which only the last is followed by the epilogue."""
    program = program_of(form, dict(zip("ijk", shape, strict=True)), "f32", BODIES["two results"])
    (call,) = program.body
    assert isinstance(call, Call)
    if runs_epilogue(call, program.buffer, host()):
        assert_same_bits(program)
    else:
        assert shape[0] <= 5, "only products of few rows are dots"
        assert "kj" in form


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("t", "shape"), [("f32", (170, 1100, 530)), ("f64", (301, 820, 330))])
@pytest.mark.parametrize("name", ["bias and relu", "by row", "in place", "tanh"])
def test_packed_blocks(form: str, t: str, shape: tuple[int, int, int], name: str) -> None:
    program = reserved(program_of(form, dict(zip("ijk", shape, strict=True)), t, BODIES[name]))
    (call,) = program.body
    assert isinstance(call, Call)
    assert len(call.views) == 4
    assert_same_bits(program)


def test_a_result_that_is_added_to() -> None:
    text = str(program_of("ij,jk->ik", {"i": 9, "j": 20, "k": 33}, "f64", BODIES["bias and relu"], "+="))
    fill = "  for i in 0 to 9:\n    for k in 0 to 33 vector:\n      c[i, k] = other[i, k]\n"
    program = verify(parse_program(text.replace("begin\n", f"begin\n{fill}")))
    *_, call = program.body
    assert isinstance(call, Call)
    apart = verify(dataclasses.replace(program, body=(program.body[0], *unfused(call))))
    fused, expected = results(program, "cy"), results(apart, "cy")
    assert all(fused[name].tobytes() == expected[name].tobytes() for name in "cy")


def test_a_batch_with_one_bias_and_a_mask_of_its_own() -> None:
    """The rows of the batch are one matrix for the product and for the mask."""
    program = verify(
        parse_program("""\
program batch
input a: f32[4,6,17]
input b: f32[17,40]
input bias: f32[40]
input mask: f32[4,6,40]
output c: f32[4,6,40]

begin
  c{0; 240, 40, 1} = contract bij,jk->bik [b=4, i=6, j=17, k=40] f32 (a{0; 102, 17, 1}, b{0; 40, 1}) then z of n, i, k:
    c[n, i, k] = select(mask[n, i, k] > 0.0_f32, z + bias[k], 0.0_f32)
""")
    )
    assert_same_bits(program)
    (call,) = program.body
    assert isinstance(call, Call)
    kernel = kernel_of(call, program.buffer, host())
    assert kernel is not None
    assert kernel.product.m.length == 24
    assert kernel.finish is not None
    assert not kernel.finish.keeps


@pytest.mark.parametrize(
    "body",
    [
        "y[i, k] = select(isfinite(z), z, 0.0_f32)",  # no vectors of it
        "y[i, k] = convert(convert(z, f64), f32)",
        "y[i, k] = convert(k, f32) * z",
        "y[i, k] = z + other[i, 44 - k]",
        "y[i, k] = maximum(z, nan_f32)",
    ],
)
def test_what_vectors_cannot_do_is_a_nest_after_the_contraction(body: str) -> None:
    program = program_of("ij,jk->ik", {"i": 13, "j": 40, "k": 45}, "f32", body)
    (call,) = program.body
    assert isinstance(call, Call)
    assert not runs_epilogue(call, program.buffer, host())
    apart = dataclasses.replace(program, body=unfused(call))
    assert results(program, "y")["y"].tobytes() == results(apart, "y")["y"].tobytes()


def test_nan_and_infinity_are_those_of_the_nest() -> None:
    """maximum keeps a NaN on either side, as NumPy does; a comparison with one does not hold."""
    program = program_of("ij,jk->ik", {"i": 13, "j": 4, "k": 45}, "f32", BODIES["bias and relu"])
    masked = program_of("ij,jk->ik", {"i": 13, "j": 4, "k": 45}, "f32", BODIES["mask"])
    rng = np.random.default_rng(0)
    for fused in (program, masked):
        arrays = [rng.standard_normal(tuple(map(int, x.shape))).astype(x.dtype) for x in fused.inputs]
        for array in arrays[:5]:
            array.flat[3::11] = np.nan
            array.flat[4::13] = -np.inf
        (call,) = fused.body
        assert isinstance(call, Call)
        apart = dataclasses.replace(fused, body=unfused(call))
        got, expected = (load(emit(p, host()), p)(arrays)[1] for p in (fused, apart))
        assert np.isnan(got).any()
        np.testing.assert_array_equal(got, expected)


def test_scalars_and_shifted_views_are_found_in_the_names_around() -> None:
    """A scalar may be called what it likes; a variable in an index is part of where a view begins, and no scalar."""
    text = str(program_of("ij,jk->ik", {"i": 13, "j": 40, "k": 45}, "f32", "y[i, k] = z"))
    text = text.replace("y[i, k] = z\n", "y[i, k] = z * element + bias[k + first]\n")
    text = text.replace("bias: f32[45]", "bias: f32[47]")
    text = text.replace("begin\n", "begin\n  let element = scalar[] * 2.0_f32\n  let first = 2\n")
    program = verify(parse_program(text))
    *lets, call = program.body
    assert isinstance(call, Call)
    assert runs_epilogue(call, program.buffer, host())
    apart = verify(dataclasses.replace(program, body=(*lets, *unfused(call))))
    assert results(program, "y")["y"].tobytes() == results(apart, "y")["y"].tobytes()


def test_the_epilogue_stands_in_the_tile() -> None:
    """The sums are not stored, loaded and stored again."""
    program = program_of("ij,jk->ik", {"i": 8, "j": 64, "k": 32}, "f32", "c[i, k] = maximum(z + bias[k], 0.0_f32)")
    function = emit(program, host()).split("define internal")[1]
    after_the_loop = function.split(".end:")[1]
    assert "store" not in function.split(".end:")[0]
    assert after_the_loop.count("store ") == after_the_loop.count("select ")
    assert "load <16 x float>, ptr %out" not in after_the_loop
