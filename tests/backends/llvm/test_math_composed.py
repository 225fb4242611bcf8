"""Functions that are made of our math functions, ``logistic``, ``softplus`` and one over a root: how exact they are."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import Entry, load
from gradc.backends.llvm.machine import host
from gradc.ir.aval import Aval
from gradc.ir.graph import Builder
from gradc.ir.target import Target
from gradc.loops.lowering.lower import lower
from gradc.ops.elementwise import div, logistic, softplus, sqrt
from tests.backends.llvm import math_samples

PAGE = Path(__file__).parents[3] / "docs" / "math.md"
UNFUSED = dataclasses.replace(host(), fma=False)
TARGETS = {"fused": host(), "unfused": UNFUSED}

FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "1 / (1 + exp(-z))": (logistic, lambda z: 1 / (1 + mp.exp(-z))),
    "log(1 + exp(z))": (softplus, lambda z: mp.log1p(mp.exp(z))),
    "1 / sqrt(z)": (lambda z: div(z.builder.full(1.0, z.aval), sqrt(z)), lambda z: 1 / mp.sqrt(z)),
}
"""In a graph, and in mpmath."""

FAR = {
    "1 / (1 + exp(-z))": [-4.157293796539307, -3.446331262588501, -1.9469538927078247, -1.139754, -3.44626468, -9.0108],
    "log(1 + exp(z))": [
        0.028284462168812752,
        0.007707327604293823,
        -0.4474557340145111,
        0.05297514674,
        -0.43620678,
        0.0236036479,
    ],
    "1 / sqrt(z)": [4.132122, 0.0009960722550315534],
}
"""Where errors are large: found among all numbers of f32, and among millions of f64."""


@cache
def documented() -> dict[tuple[str, str, bool], float]:
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    columns = [("f8", True), ("f4", True), ("f8", False), ("f4", False)]
    return {
        (name, *column): float(cell)
        for name, cells in rows
        if name in FUNCTIONS
        for column, cell in zip(columns, cells.split("|"), strict=True)
    }


@cache
def compiled(name: str, kind: str, length: int, target: Target) -> Entry:
    builder = Builder()
    z = builder.input("z", Aval((length,), np.dtype(kind)))
    program = lower(builder.freeze([FUNCTIONS[name][0](z)]))
    return load(emit(program, target), program)


def points(name: str, kind: str) -> np.ndarray:
    """All over the range, around what has large errors, and just below powers of two of ``exp(z)``."""
    dtype, random = np.dtype(kind), np.random.default_rng(0)
    end = 760 if kind == "f8" else 110
    spread = [random.uniform(-end, 40, 400), random.normal(size=400) * 3, random.uniform(-1, 1, 400)]
    spread += [z + random.normal(size=100) * 1e-3 for z in FAR[name]]
    spread += [-k * np.log(2) + random.uniform(0, 0.06, 30) for k in range(12)]
    z = np.concatenate([*spread, FAR[name]]).astype(dtype)
    return np.abs(z) if "sqrt" in name else z


@pytest.mark.parametrize("fused", TARGETS)
@pytest.mark.parametrize("kind", ["f8", "f4"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_at_most_those_in_the_docs(name: str, kind: str, fused: str) -> None:
    z = points(name, kind)
    (found,) = compiled(name, kind, z.size, TARGETS[fused])((z,))
    with mp.workprec(math_samples.PRECISION):
        errors = [
            math_samples.distance(FUNCTIONS[name][1](mp.mpf(float(x))), y, z.dtype)
            for x, y in zip(z, found, strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= documented()[name, kind, fused == "fused"], (errors[worst], z[worst])


def test_the_docs_keep_the_promise() -> None:
    assert {name for name, _, _ in documented()} == set(FUNCTIONS)
    assert max(documented().values()) <= 2.0


@pytest.mark.parametrize("kind", ["f8", "f4"])
def test_special_values(kind: str) -> None:
    z = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, np.finfo(kind).max, np.finfo(kind).min], kind)
    expected = {
        "1 / (1 + exp(-z))": [np.nan, 1, 0, 0.5, 0.5, 1, 0],
        "log(1 + exp(z))": [np.nan, np.inf, 0, np.log(2), np.log(2), z[5], 0],
        "1 / sqrt(z)": [np.nan, 0, np.nan, np.inf, -np.inf, 1 / np.sqrt(z[5]), np.nan],
    }
    for name, numbers in expected.items():
        (found,) = compiled(name, kind, z.size, host())((z,))
        np.testing.assert_array_equal(found, np.array(numbers, kind), name)
