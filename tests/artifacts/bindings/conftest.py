"""Libraries with bindings, saved once for all tests of a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.artifacts.bindings import BINDINGS

NAMES = ("loss", "matrices", "classifier", "regression", "recurrence", "typed")


class Saved(NamedTuple):
    """A library with all bindings, the kernel that it was made of, arguments for it."""

    folder: Path
    kernel: gradc.Kernel
    args: tuple[Any, ...]


def typed(x: Any, n: Any, flags: Any, rate: Any, on: Any) -> Any:
    return {
        "scaled": np.where(flags, x * rate, x),
        "picked": x[n],
        "count": np.sum(n) + 1,
        "both": np.logical_and(flags, on),
    }


def _typed() -> tuple[gradc.Kernel, tuple[Any, ...]]:
    x = np.linspace(-2, 2, 5, dtype=np.float32)
    args = (x, np.array([4, 0], np.int16), np.array([True, False, True, True, False]), np.float32(0.3), np.True_)
    return gradc.jit(typed, name="typed").compile(*args), args


@pytest.fixture(scope="session")
def bound(tmp_path_factory: pytest.TempPathFactory, sample: Callable[..., Any]) -> Callable[[str], Saved]:
    """``bound("loss")``: that library."""
    made: dict[str, Saved] = {}

    def make(name: str) -> Saved:
        if name not in made:
            kernel, args = _typed() if name == "typed" else sample(name, backend="llvm")
            folder = tmp_path_factory.mktemp(name)
            kernel.save(folder, format="lib", bindings=BINDINGS)
            made[name] = Saved(folder, kernel, args)
        return made[name]

    return make


def flat(tree: Any) -> list[Any]:
    """The leaves of a result, in order."""
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in flat(child)]
    if isinstance(tree, list | tuple):
        return [leaf for child in tree for leaf in flat(child)]
    return [tree]
