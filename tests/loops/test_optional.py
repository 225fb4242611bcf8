"""Results that are not wanted: what gets a condition, what needs spare memory, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.loops.language.program import If, LoopProgram
from gradc.loops.language.verify import verify
from gradc.loops.shaping.optional import with_optional_results


def program_of(function: object, *specs: str) -> LoopProgram:
    kernel = gradc.jit(function, threads=1, name="kernel").compile(*map(gradc.aval, specs))
    return kernel._compiled.program


def two(x, y):
    return {"product": x @ y, "other": y @ x}


def test_each_of_two_products_has_its_condition() -> None:
    program = program_of(two, "f64[40,30]", "f64[30,40]")
    found = with_optional_results(program)
    verify(found.program)
    assert found.wanted == "wanted"
    assert found.spared == ()
    assert [type(s) for s in found.program.body] == [If, If]
    assert found.program.inputs[-1].shape == (2,)


@pytest.mark.parametrize("wanted", [(True, True), (True, False), (False, True)])
def test_wanted_results_keep_their_bits(wanted: tuple[bool, bool]) -> None:
    program = program_of(two, "f64[40,30]", "f64[30,40]")
    x, y = np.linspace(0, 1, 1200).reshape(40, 30), np.linspace(-1, 1, 1200).reshape(30, 40)
    expected = load(emit(program, host()), program)([x, y])
    found = with_optional_results(program).program
    results = load(emit(found, host()), found)([x, y, np.array(wanted)])
    for result, right, some in zip(results, expected, wanted, strict=True):
        if some:
            assert result.tobytes() == right.tobytes()


def test_what_several_results_need_has_no_condition() -> None:
    def both(x, y):
        h = np.tanh(x @ y)
        return h @ x, h @ h

    found = with_optional_results(program_of(both, "f64[40,30]", "f64[30,40]"))
    verify(found.program)
    conditions = [s for s in found.program.body if isinstance(s, If)]
    assert len(conditions) == 2
    assert not isinstance(found.program.body[0], If)


def test_a_result_that_another_is_made_of_needs_memory() -> None:
    def chain(x, y):
        h = x @ y
        return h, h @ x

    found = with_optional_results(program_of(chain, "f64[40,30]", "f64[30,40]"))
    verify(found.program)
    assert len(found.spared) == 1


def test_one_result_is_never_spared() -> None:
    found = with_optional_results(program_of(lambda x: np.tanh(x), "f64[400]"))
    assert (found.wanted, found.spared) == ("", ())


def update(w, m, g):
    step = 0.9 * m + 0.1 * np.tanh(g)
    return w - 0.01 * step, step, np.sum(step**2)


@pytest.mark.parametrize(
    "wanted", [(True, True, True), (True, False, True), (False, True, False), (False, False, True)]
)
def test_a_nest_that_fills_large_results_needs_no_memory(wanted: tuple[bool, ...]) -> None:
    program = program_of(update, "f64[30,40]", "f64[30,40]", "f64[30,40]")
    found = with_optional_results(program)
    verify(found.program)
    assert [found.program.buffer[name].shape for name in found.spared] == [()]
    draw = np.random.default_rng(1).normal
    inputs = [draw(size=(30, 40)) for _ in range(3)]
    expected = load(emit(program, host()), program)(inputs)
    results = load(emit(found.program, host()), found.program)([*inputs, np.array(wanted)])
    for result, right, some in zip(results, expected, wanted, strict=True):
        if some:
            assert result.tobytes() == right.tobytes()
