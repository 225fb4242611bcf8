"""Ops of one matrix as loop programs that are run, and what tests of decompositions ask of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.ir.aval import Aval, aval_of
from gradc.ir.graph import Builder, Value
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.lowering.lower import lower
from gradc.passes.split_complex import split_complex

Told = Callable[[Value], Sequence[Value]]


def compiled(of: Aval, told: Told) -> tuple[str, Callable[[Sequence[Any]], list[np.ndarray]]]:
    """The loop program of what is told of a matrix, verified and parsed back, as text and as machine code."""
    builder = Builder()
    program = lower(split_complex(builder.freeze(list(told(builder.input("a", of))))))
    verify(program)
    text = str(program)
    assert str(parse_program(text)) == text
    return text, load(emit(program, host()), program)


def found(a: np.ndarray, told: Told) -> list[np.ndarray]:
    """What is told of a real matrix."""
    return compiled(aval_of(a), told)[1]([a])


def without_vectors(a: np.ndarray, told: Told) -> np.ndarray:
    """The values by themselves."""
    text, run = compiled(aval_of(a), told)
    assert "orthonormal" not in text, "values take no vectors"
    return run([a])[0]


def assert_orthonormal(vectors: np.ndarray, bound: float) -> None:
    """Columns of length 1 that are orthogonal."""
    wide = vectors.astype(np.longdouble)
    assert float(np.abs(wide.T @ wide - np.eye(vectors.shape[1])).max()) <= bound


def assert_same_off_the_stack(
    monkeypatch: pytest.MonkeyPatch, decomposed: Callable[[np.ndarray], list[np.ndarray]]
) -> None:
    """Partial sums of large matrices stand beside the matrix, and are the same."""
    a = np.random.default_rng(8).normal(size=(20, 20))
    expected = decomposed(a)
    monkeypatch.setattr("gradc.loops.algebra.passes.LARGEST_PARTS", 0)
    for ours, same in zip(decomposed(a), expected, strict=True):
        assert np.array_equal(ours, same)


def not_finite(number: float) -> np.ndarray:
    """Two matrices, of which one has a number that is not finite."""
    a = np.stack([np.eye(3), np.eye(3)])
    a[1, 2, 1] = number
    return a
