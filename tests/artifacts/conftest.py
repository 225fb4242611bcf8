"""Kernels of the functions in ``networks.py``, with arguments for them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from tests.artifacts.libraries import Library


class Sample(NamedTuple):
    """A kernel and arguments that it takes."""

    kernel: gradc.Kernel
    args: tuple[Any, ...]


def _networks() -> ModuleType:
    spec = importlib.util.spec_from_file_location("networks", Path(__file__).parent / "networks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).normal(size=shape)


def _layers() -> list[dict[str, np.ndarray]]:
    return [{"W": _normal(4, 5), "b": _normal(5)}, {"W": _normal(5, 3), "b": _normal(3)}]


def _any_batch() -> tuple[Any, ...]:
    weights = {"a": gradc.aval("f64[3,2]"), "b": gradc.aval("f64[2]")}
    return (weights, gradc.aval("f64[batch,3]"), gradc.aval("f64[batch,2]"))


@pytest.fixture(scope="session")
def sample() -> Callable[..., Sample]:
    """``sample("loss")``: the kernel of value and gradient, on the reference backend or another, and arguments."""
    networks = _networks()
    regression = ({"a": _normal(3, 2), "b": _normal(2)}, _normal(7, 3), _normal(7, 2))
    arguments: dict[str, tuple[Any, ...]] = {
        "loss": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0),
        "matrices": ({"hidden": _normal(2, 2), "out": _normal(1, 2)}, _normal(2, 5), np.ones((1, 5))),
        "classifier": (_layers(), _normal(6, 4), np.array([0, 2, 1, 1, 0, 2])),
        "regression": regression,
        "recurrence": (_normal(4), 0.5),
    }
    wrt = {"loss": ("w11", "w12", "w21", "w22", "v1", "v2"), "recurrence": ("x", "k")}

    def make(name: str, backend: str = "reference") -> Sample:
        function = gradc.value_and_grad(getattr(networks, name), wrt=wrt.get(name, 0), backend=backend, threads=1)
        given = _any_batch() if name == "regression" else arguments[name]
        return Sample(function.compile(*given), arguments[name])

    return make


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, sample: Callable[..., Any]) -> Callable[[str], Any]:
    """``saved("loss")``: directory, library, LLVM kernel and arguments."""
    made: dict[str, Any] = {}

    def make(name: str) -> Any:
        if name not in made:
            kernel, args = sample(name, backend="llvm")
            folder = tmp_path_factory.mktemp(name)
            kernel.save(folder, format="lib")
            made[name] = (folder, Library(folder, kernel.name), kernel, args)
        return made[name]

    return make
