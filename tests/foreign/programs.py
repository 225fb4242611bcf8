"""Random programs in the functions that NumPy and jax.numpy share, written once and run with either namespace.

A program takes three arrays and gives a number. Its values stay of the order of 1 and away from where functions are not
smooth, so that two right answers agree to rounding. The constants in it are random, so that they do not tie.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.foreign.steps import KINDS, Function, factored

MOST_ELEMENTS = 120


@dataclass(frozen=True)
class Step:
    """One line: ``function(xp, *operands)``, told by ``text``."""

    text: str
    function: Function
    operands: tuple[int, ...]


@dataclass(frozen=True)
class Program:
    """Steps over the inputs and over what came before; the result weighs the last few values."""

    inputs: tuple[np.ndarray, ...]
    steps: tuple[Step, ...]
    weights: tuple[tuple[int, np.ndarray], ...]

    def in_namespace(self, xp: Any) -> Callable[..., Any]:
        """The program over NumPy or jax.numpy."""

        def program(*inputs: Any) -> Any:
            values = list(inputs)
            for step in self.steps:
                values.append(step.function(xp, *[values[k] for k in step.operands]))
            return sum(xp.sum(weight * xp.sin(values[k])) for k, weight in self.weights)

        return program

    def __str__(self) -> str:
        shapes = ", ".join(str(x.shape) for x in self.inputs)
        lines = [
            f"x{len(self.inputs) + k} = {step.text.format(*[f'x{j}' for j in step.operands])}"
            for k, step in enumerate(self.steps)
        ]
        return "\n".join([f"inputs {shapes}", *lines, f"result of {[k for k, _ in self.weights]}"])


def program(seed: int, length: int = 12) -> Program:
    """A random program of about so many steps; the same for the same seed."""
    writer = _Writer(np.random.default_rng(seed))
    tries = 0
    while len(writer.steps) < length and tries < 20 * length:
        tries += 1
        writer.extend()
    return writer.finished()


class _Writer:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.values: list[np.ndarray] = []
        self.steps: list[Step] = []
        for _ in range(3):
            shape = tuple(int(d) for d in rng.choice([1, 2, 3, 4], rng.integers(0, 4)))
            self.values.append(np.asarray(rng.normal(size=shape)))
        self.inputs = tuple(self.values)

    def extend(self) -> None:
        """One step more, where what was drawn fits the values there are."""
        kind = KINDS[self.rng.choice(len(KINDS))] if self.rng.uniform() < 0.9 else factored
        recent = self.rng.permutation(len(self.values))[::-1] if self.rng.uniform() < 0.3 else self._recent()
        for text, function, operands in kind(self.rng, self.values, [int(k) for k in recent]):
            value = np.asarray(function(np, *[self.values[k] for k in operands]))
            if value.size and value.size <= MOST_ELEMENTS and value.ndim <= 4 and np.abs(value).max() < 50:
                self.steps.append(Step(text, function, tuple(operands)))
                self.values.append(value)

    def _recent(self) -> list[int]:
        """The values, late ones first, a little shuffled."""
        places = np.arange(len(self.values)) + self.rng.normal(scale=2.0, size=len(self.values))
        return [int(k) for k in np.argsort(-places)]

    def finished(self) -> Program:
        last = range(max(0, len(self.values) - 3), len(self.values))
        weights = tuple((k, np.asarray(self.rng.normal(size=self.values[k].shape))) for k in last)
        return Program(self.inputs, tuple(self.steps), weights)
