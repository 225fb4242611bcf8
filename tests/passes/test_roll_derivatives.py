"""Rolling derivatives of derivatives: what a gradient reads of the forward steps are rows of their loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc import config
from gradc.frontend.tree import flatten
from gradc.kernel import Kernel
from gradc.loops.language.verify import verify
from gradc.passes.roll import is_rolled

WIDTH = 6


def recurrence(w, x):
    h = np.zeros(WIDTH)
    for t in range(x.shape[0]):
        h = np.tanh(w @ h + x[t])
    return np.sum(h * h)


def gated(w, x):
    """A recurrence with two states, a branch, and a loss of every step."""
    h, c, total = np.zeros(WIDTH), np.ones(WIDTH), 0.0
    for t in range(x.shape[0]):
        z = w @ h + x[t]
        c = c * np.where(z > 0, 1 / (1 + np.exp(-z)), 0.5) + 0.1 * np.sqrt(1 + z * z)
        h = np.tanh(c) * 0.9
        total = total + np.mean(h * x[t])
    return total


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape) * 0.4


def hvp(loss: Callable[..., Any]) -> Any:
    return gradc.jit(lambda w, x: gradc.hvp(loss, (w, x), (np.cos(w), None))[0])


def hvp_of_rows(loss: Callable[..., Any]) -> Any:
    return gradc.jit(lambda w, x: gradc.hvp(loss, (w, x), (np.cos(w), np.sin(x)))[0])


def gradient_of_gradient(loss: Callable[..., Any]) -> Any:
    return gradc.grad(lambda w, x: np.sum(gradc.grad(loss)(w, x) ** 2))


def gradient_inside(loss: Callable[..., Any]) -> Any:
    return gradc.jit(lambda w, x: np.sum(gradc.grad(loss)(w, x) * w) + loss(w, x))


def gradients_of_a_batch(loss: Callable[..., Any]) -> Any:
    batched = gradc.vmap(gradc.grad(loss), in_axes=(0, None))
    return gradc.jit(lambda w, x: batched(np.stack([w, 0.5 * w, 0.1 * w]), x))


def hessian(loss: Callable[..., Any]) -> Any:
    return gradc.hessian(loss)


DERIVATIVES = [hvp, hvp_of_rows, gradient_of_gradient, gradient_inside, gradients_of_a_batch, hessian]


def compiled(make: Callable[..., Any], loss: Callable[..., Any], steps: int, *, rolls: bool = True) -> Kernel:
    with config.roll(rolls):
        kernel: Kernel = make(loss).compile(numbers(WIDTH, WIDTH), numbers(steps, WIDTH, seed=1))
    assert is_rolled(kernel._compiled.runs) == rolls
    return kernel


@pytest.mark.parametrize(("make", "loss"), [*((make, recurrence) for make in DERIVATIVES), (hvp, gated)])
def test_it_is_what_the_steps_written_out_give(make, loss):
    w, x = numbers(WIDTH, WIDTH), numbers(130, WIDTH, seed=1)
    kernel = compiled(make, loss, 130)
    verify(kernel._compiled.program)
    with config.backend("reference"):  # which runs the graph as it is written
        expected = flatten(make(loss)(w, x))[0]
    got = flatten(kernel(w, x))[0]
    for mine, other in zip(got, expected, strict=True):
        assert np.max(np.abs(mine - other)) <= 1e-13 * np.max(np.abs(other))


@pytest.mark.parametrize("make", [hvp, gradient_of_gradient, gradient_inside, gradients_of_a_batch, hessian])
def test_its_size_does_not_depend_on_the_number_of_steps(make):
    found = [compiled(make, recurrence, steps)._compiled for steps in (128, 256)]
    assert len({len(made.runs.nodes) for made in found}) == 1
    lines = [len(made.llvm_ir.splitlines()) for made in found]
    assert max(lines) <= 1.06 * min(lines)


def test_a_branch_that_reaches_across_steps_keeps_the_reverse_of_the_reverse_written_out():
    made = gradient_of_gradient(gated).compile(numbers(WIDTH, WIDTH), numbers(100, WIDTH, seed=1))
    assert not is_rolled(made._compiled.runs)


def test_contributions_to_the_hessian_are_added_up_as_they_are_made():
    arenas = [compiled(hessian, recurrence, 128, rolls=r)._compiled.program.arena_bytes for r in (True, False)]
    assert arenas[0] <= 1.1 * arenas[1]


def test_a_branch_not_taken_stays_out_of_second_derivatives_too():
    def loss(w, x):
        h = w
        for t in range(x.shape[0]):
            h = np.where(x[t] > 0, h * x[t] + np.tanh(h), 0.5 * h + np.where(h > 0, np.sqrt(np.abs(h)), 0.0))
        return np.sum(h)

    w, x = np.array([1.0, 0.0, -2.0]), np.abs(numbers(130, 3, seed=1))

    def product(backend: Any) -> Any:
        return gradc.jit(lambda w, x: gradc.hvp(loss, (w, x), (np.ones(3), None))[0], backend=backend)

    got, expected = product("llvm")(w, x), product("reference")(w, x)
    assert np.isfinite(expected).all()
    assert got == pytest.approx(expected, rel=1e-12)


def test_a_sum_of_what_every_step_gave_is_a_state():
    def summed(w, x):
        h, seen = np.zeros(WIDTH), []
        for t in range(x.shape[0]):
            h = np.tanh(w @ h + x[t]) + 0.1 * h
            h = h / np.sqrt(1 + np.sum(h * h))
            seen.append(np.exp(-h))
        total = seen[0]
        for one in seen[1:]:
            total = total + one
        return total

    kernel = gradc.jit(summed).compile(numbers(WIDTH, WIDTH), numbers(200, WIDTH, seed=1))
    (loop,) = [node for node in kernel._compiled.runs.nodes if node.op.name == "scan"]
    assert loop.params["states"] == 2
    assert len(kernel._compiled.runs.nodes) < 60
