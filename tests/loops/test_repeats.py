"""Repeated nests: one function for all of them, code of one length, the same bits, and what stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load, object_code
from gradc.backends.llvm.machine import host
from gradc.frontend.tree import flatten
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import Call, Choose, Let, Local, LoopProgram, Statement
from gradc.loops.language.traversal import statements_of
from gradc.loops.language.verify import verify
from gradc.loops.shaping.repeats import with_repeats


def layers(count: int, width: int = 32, batch: int = 16, dtype: str = "f8") -> tuple[Callable[..., Any], Any]:
    """The loss of a network of equal layers, and arguments."""
    rng = np.random.default_rng(count)
    ws = [(rng.normal(size=(width, width)) / np.sqrt(width)).astype(dtype) for _ in range(count)]
    bs = [rng.normal(size=width).astype(dtype) for _ in range(count)]
    x = rng.normal(size=(batch, width)).astype(dtype)

    def loss(ws, bs, x):
        h = x
        for w, b in zip(ws, bs, strict=True):
            h = np.maximum(h @ w + b, 0)
        return np.mean(h * h)

    return loss, (ws, bs, x)


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def choices(program: LoopProgram) -> list[Choose]:
    return [s for s in statements_of(program.body) if isinstance(s, Choose)]


def nowhere(statement: Statement) -> bool:
    return False


def both_ways(function: Callable[..., Any], *arguments: Any) -> tuple[list[bytes], list[bytes], LoopProgram]:
    """What the kernel gives with repeats and without, and its program with them."""
    kernel = gradc.value_and_grad(function, wrt=(0, 1), threads=1).compile(*arguments)
    compiled = kernel._compiled
    inputs = [np.asarray(leaf) for argument in arguments for leaf in flatten(argument)[0]]
    plain = verify(compiled.lowered(host()))
    rolled = verify(compiled.program)
    results = [[r.tobytes() for r in load(emit(p, host()), p)(inputs)] for p in (rolled, plain)]
    return results[0], results[1], rolled


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_equal_layers_are_one_function_with_the_same_bits(dtype):
    loss, arguments = layers(24, dtype=dtype)
    got, expected, program = both_ways(loss, *arguments)
    assert got == expected
    assert parse_program(str(program)) == program
    assert [f.name for f in program.functions] == ["repeated", "repeated_2"]
    chosen = {choice.name: choice.buffers for choice in choices(program)}
    assert chosen["d_bs_k"] == tuple(f"d_bs_{k}" for k in reversed(range(23)))


def test_layers_under_names_of_their_own_are_found_too():
    rng = np.random.default_rng(0)
    net = [{"W": rng.normal(size=(24, 24)) / 5, "b": rng.normal(size=24)} for _ in range(30)]

    def loss(net, x):
        h = x
        for layer in net:
            h = h + np.tanh(h @ layer["W"] + layer["b"]) / (1 + np.abs(layer["b"]))
        return np.sum(h * h)

    got, expected, program = both_ways(loss, net, rng.normal(size=(8, 24)))
    assert got == expected
    assert choices(program)


def test_layers_with_rows_that_are_normalised():
    rng = np.random.default_rng(1)
    ws, gains = list(rng.normal(size=(20, 24, 24)) / 5), list(rng.normal(size=(20, 24)))

    def loss(ws, gains, x):
        h = x
        for w, gain in zip(ws, gains, strict=True):
            z = h @ w
            z = (z - np.mean(z, axis=1, keepdims=True)) / np.sqrt(1e-3 + np.var(z, axis=1, keepdims=True))
            h = np.maximum(z * gain, 0.1 * z)
        return np.sum(h * h)

    got, expected, program = both_ways(loss, ws, gains, rng.normal(size=(8, 24)))
    assert got == expected
    assert choices(program)


def test_a_step_may_have_local_sums_and_scalars_of_its_own():
    def scaled(ws, x):
        h = x
        for w in ws:
            z = np.tanh(h @ w)
            h = z / np.sqrt(np.mean(z * z))
        return h

    ws, x = list(numbers(20, 24, 24)), numbers(8, 24)
    compiled = gradc.jit(scaled, threads=1).compile(ws, x)._compiled
    program = verify(compiled.program)
    (function,) = program.functions
    assert any(isinstance(statement, Local) for statement in function.body)
    assert any(isinstance(statement, Let) for statement in function.body)
    plain = compiled.lowered(host())
    results = [load(emit(p, host()), p)([*ws, x])[0].tobytes() for p in (program, plain)]
    assert results[0] == results[1]


def object_bytes(kernel: Any) -> int:
    return len(object_code(kernel._compiled.llvm_ir))


def test_the_code_of_equal_layers_hardly_grows_with_their_number():
    """A layer more takes a pointer for each of its arguments and results, in tables that are filled by vectors."""
    sizes = {}
    for count in (10, 50, 200):
        loss, arguments = layers(count)
        sizes[count] = object_bytes(gradc.value_and_grad(loss, wrt=(0, 1), threads=1).compile(*arguments))
    assert sizes[50] < 1.2 * sizes[10]
    assert sizes[200] - sizes[10] < 18 * (200 - 10)


@pytest.mark.parametrize("gradient", [False, True])
def test_the_code_of_a_recurrence_on_large_states_does_not_grow_with_its_steps(gradient):
    def loss(w, u, x):
        h = np.zeros((64, 128), np.float32)
        for t in range(x.shape[0]):
            h = np.tanh(h @ w + x[t] @ u)
        return np.mean(h * h)

    rng = np.random.default_rng(0)
    w, u = (rng.normal(size=shape).astype("f4") / 12 for shape in ((128, 128), (16, 128)))
    function = gradc.value_and_grad(loss, wrt=(0, 1), threads=1) if gradient else gradc.jit(loss, threads=1)
    sizes = set()
    for steps in (16, 64, 256):
        x = rng.normal(size=(steps, 64, 16)).astype("f4")
        sizes.add(object_bytes(function.compile(w, u, x)))
    assert max(sizes) <= 1.02 * min(sizes)


def chain(count: int, step: str, distance: int = 512) -> LoopProgram:
    """``count`` times a step from one array, ``a``, to the next, ``b``; ``k`` is its number."""
    arenas = "\n".join(f"arena a_{k}: f64[8,8] at {distance * k}" for k in range(count + 1))
    steps = "\n".join(step.format(a=f"a_{k}", b=f"a_{k + 1}", k=k) for k in range(count))
    head = f"program p\ninput x: f64[8,8]\noutput y: f64[8,8]\n{arenas}\narena {distance * count + 512} bytes"
    return parse_program(f"{head}\n\nbegin\n{copy('x', 'a_0')}\n{steps}\n{copy(f'a_{count}', 'y')}\n")


def copy(source: str, target: str) -> str:
    return f"  for i in 0 to 8:\n    for j in 0 to 8 vector:\n      {target}[i, j] = {source}[i, j]"


PRODUCT = (
    "  {b}{{0; 8, 1}} = contract ij,jk->ik [i=8, j=8, k=8] f64 ({a}{{0; 8, 1}}, x{{0; 8, 1}})\n"
    "  for i in 0 to 8:\n    for j in 0 to 8 vector:\n      {b}[i, j] = tanh({b}[i, j]) * 0.5"
)


def test_a_chain_of_steps_becomes_a_loop():
    program = chain(12, PRODUCT)
    made = verify(with_repeats(program, nowhere))
    (function,) = made.functions
    assert [p.name for p in function.parameters] == ["a_k", "x", "a_k_2"] or len(function.parameters) == 3
    x = np.random.default_rng(0).normal(size=(8, 8))
    results = [load(emit(p, host()), p)([x])[0].tobytes() for p in (program, made)]
    assert results[0] == results[1]


@pytest.mark.parametrize(
    ("step", "distance"),
    [
        (PRODUCT.replace("0.5", "0.{k}5"), 512),  # the numbers differ
        (PRODUCT, 256),  # what a step reads and what it writes lie in the same memory, in part
        ("  let s_{k} = x[0, 0]\n" + PRODUCT.replace("0.5", "s_0"), 512),  # a scalar from outside
        ("  for i in 0 to 4:\n    {b}[i] = {a}[i]", 512),  # too little to do
    ],
)
def test_steps_that_differ_or_do_little_stay_as_they_are(step, distance):
    program = chain(12, step, distance=distance)
    assert with_repeats(program, nowhere) is program


def test_few_steps_and_steps_that_shall_stay_do():
    assert with_repeats(few := chain(3, PRODUCT), nowhere) is few
    assert with_repeats(many := chain(12, PRODUCT), lambda statement: isinstance(statement, Call)) is many


def test_the_arena_is_laid_out_for_the_steps():
    asked: list[tuple[int, int]] = []

    def lay_out(program: LoopProgram, steps: Sequence[tuple[int, int]]) -> LoopProgram:
        asked.extend(steps)
        return program

    with_repeats(chain(12, PRODUCT), nowhere, lay_out)
    assert len(asked) in (11, 12)
    assert all(last - first == 1 for first, last in asked)
