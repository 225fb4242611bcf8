"""Scans as loops: one step's code for any number of steps, in programs that keep the laws and read back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.reference import evaluate
from gradc.errors import IndexBoundsError
from gradc.kernel import Kernel
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.passes import periods
from gradc.passes.roll import is_rolled


@pytest.fixture(autouse=True)
def _short_recurrences_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "LEAST_SAVED", 20)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def checked(function: Callable[..., Any], *arguments: Any, wrt: Any = 0) -> Kernel:
    """The kernel of a rolled gradient: its program keeps the laws, reads back, and gives what its graph gives."""
    kernel: Kernel = gradc.value_and_grad(function, wrt=wrt).compile(*arguments)
    graph = kernel._compiled.runs
    assert is_rolled(graph)
    program = verify(kernel._compiled.program)
    assert parse_program(str(program)) == program
    inputs = [np.asarray(a) for a in arguments]
    for got, expected in zip(kernel._compiled.entry(inputs), evaluate(graph, inputs), strict=True):
        assert got == pytest.approx(expected, rel=1e-12, abs=1e-12)
    return kernel


def pendulum(steps: int) -> Callable[..., Any]:
    """Semi-implicit Euler steps of scalars against measurements."""

    def loss(theta, data):
        u, v, total = theta[0], theta[1], 0.0
        for t in range(steps):
            v = v - 0.1 * theta[2] * np.sin(u)
            u = u + 0.1 * v
            total = total + (u - data[t]) ** 2
        return total / steps

    return loss


def gated(steps: int) -> Callable[..., Any]:
    """A gated recurrence on vectors, with a matrix of weights."""

    def loss(w, x):
        h, c = np.zeros(4), np.ones(4)
        total = 0.0
        for t in range(steps):
            z = np.concatenate([x[t], h]) @ w
            gate = 1 / (1 + np.exp(-z[:4]))
            c = gate * c + (1 - gate) * np.tanh(z[4:])
            h = np.tanh(c)
            total = total + np.sum(h * x[t, 0])
        return total

    return loss


@pytest.mark.parametrize(("made", "weights", "row"), [(pendulum, (3,), ()), (gated, (7, 8), (3,))])
def test_code_size_is_flat_in_the_number_of_steps(made, weights, row):
    lines = set()
    for steps in (64, 256):  # both without a rest in vectors
        kernel = checked(made(steps), numbers(*weights), numbers(steps, *row, seed=1))
        lines.add((len(kernel.loops.splitlines()), len(kernel.llvm_ir.splitlines())))
    assert len(lines) == 1


def test_steps_of_single_precision():
    checked(gated(20), numbers(7, 8).astype(np.float32), numbers(20, 3, seed=1).astype(np.float32))


def test_a_step_with_large_arrays_has_its_scratch_in_the_arena():
    def loss(w, x):
        h = np.zeros(3000)
        for t in range(12):
            z = np.tanh(w * h + x[t])
            h = z / np.sqrt(1 + np.sum(z * z)) + 0.1 * np.mean(z)
        return np.sum(h * h)

    kernel = checked(loss, numbers(3000), numbers(12, 3000, seed=1))
    assert any(b.kind == "arena" and b.shape == (3000,) for b in kernel._compiled.program.buffers)


def test_a_step_with_a_table_of_numbers():
    table = numbers(100, seed=3)

    def loss(w, x):
        h = w
        for t in range(12):
            h = np.tanh(h * table + x[t]) + h
        return np.sum(h)

    kernel = checked(loss, numbers(100), numbers(12, 100, seed=1))
    assert [b.data for b in kernel._compiled.program.buffers if b.kind == "constant" and b.shape == (100,)] == [
        table.tobytes()
    ]


def test_an_index_out_of_bounds_in_a_step_is_told_with_its_line():
    def loss(w, x, where):
        h = w
        for t in range(12):
            h = np.tanh(h * x[where[t]]) + h * h
        return np.sum(h)

    where = np.arange(12) % 5
    kernel = checked(loss, numbers(4), numbers(5, 4, seed=1), where)
    where[7] = 9
    with pytest.raises(IndexBoundsError, match=r"index 9 is out of bounds for axis 0 with size 5 .*h \* x\[where"):
        kernel(numbers(4), numbers(5, 4), where)


def test_names_in_steps_and_outside_may_be_alike():
    def loss(now, states):
        i, j, emitted = now, np.array([[1.0, 2.0], [3.0, 5.0]]), []
        for t in range(12):
            i = np.tanh(j @ i * now) + states[t]
            emitted.append(np.sum(i))
        return np.sum(i) + sum(emitted) + np.sum(j @ now)

    checked(loss, numbers(2), numbers(12, 2, seed=1))


def test_a_linear_recurrence_whose_cotangents_are_numbers():
    def loss(x):
        total = np.zeros(2)
        for t in range(12):
            total = total * 0.5 + x[t] * 3.0 - 1.0
        return np.sum(total)

    kernel = gradc.value_and_grad(loss).compile(numbers(12, 2))
    expected = gradc.value_and_grad(loss, backend="numpy")(numbers(12, 2))
    value, gradient = kernel(numbers(12, 2))
    assert value == pytest.approx(expected[0], rel=1e-14)
    assert gradient == pytest.approx(expected[1], rel=1e-14)
