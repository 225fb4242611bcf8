"""Random programs give what JAX gives for the same source in float64: value, gradient, both modes, second order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from tests.foreign.programs import Program, program

jax = pytest.importorskip("jax", reason="JAX is not installed: there is nothing to compare with")
jax.config.update("jax_enable_x64", True)

TOLERANCE = 1e-9
"""Of the largest element: rounding grows along a program, and the two add in other orders."""


def by_gradc(made: Program, directions: tuple[np.ndarray, ...], backend: Any) -> dict[str, Any]:
    function = made.in_namespace(np)
    every = tuple(range(len(made.inputs)))
    value, slopes = gradc.value_and_grad(function, every, backend=backend)(*made.inputs)
    slope = gradc.grad(function, every)
    return {
        "value": value,
        "gradient": slopes,
        "jvp": gradc.jvp(function, made.inputs, directions, backend=backend)[1],
        "forward over reverse": gradc.hvp(function, made.inputs, directions, backend=backend),
        "reverse over reverse": gradc.grad(
            lambda *x: sum(np.sum(v * g) for v, g in zip(directions, slope(*x), strict=True)), every, backend=backend
        )(*made.inputs),
    }


def by_jax(made: Program, directions: tuple[np.ndarray, ...]) -> dict[str, Any]:
    """The same by JAX, in one compilation: operation by operation takes ten times as long.

    The gradient moved along the directions is the value's slope and the second derivative by both ways.
    """
    function = made.in_namespace(jax.numpy)
    both = jax.value_and_grad(function, tuple(range(len(made.inputs))))
    (value, slopes), (moved, second) = jax.jit(lambda x, v: jax.jvp(both, x, v))(
        tuple(map(jax.numpy.asarray, made.inputs)), tuple(map(jax.numpy.asarray, directions))
    )
    return {
        "value": value,
        "gradient": slopes,
        "jvp": moved,
        "forward over reverse": second,
        "reverse over reverse": second,
    }


def differences(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """What of the results differs, and by how much of the largest element."""
    told = []
    for name, wanted in expected.items():
        pairs = zip(_listed(found[name]), _listed(wanted), strict=True)
        for k, (a, b) in enumerate(pairs):
            a, b = np.asarray(a), np.asarray(b)
            error = np.max(np.abs(a - b), initial=0) / max(1.0, np.max(np.abs(b), initial=0))
            if a.shape != b.shape or not error <= TOLERANCE:
                told.append(f"{name}[{k}] by {error:.1e}")
    return told


def _listed(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, tuple | list) else (x,)


def check(seed: int, backend: str, length: int) -> None:
    made = program(seed, length)
    rng = np.random.default_rng(seed)
    directions = tuple(np.asarray(rng.normal(size=x.shape)) for x in made.inputs)
    told = differences(by_gradc(made, directions, backend), by_jax(made, directions))
    assert not told, f"{', '.join(told)} in program {seed} on {backend}:\n{made}"


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
@pytest.mark.parametrize("seed", range(8))
def test_random_programs_agree_with_jax(seed: int, backend: str) -> None:
    check(seed, backend, 12)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1000, 3000))
def test_many_random_programs_agree_with_jax(seed: int) -> None:
    check(seed, ("llvm", "numpy", "reference")[seed % 3], 8 + seed % 20)
