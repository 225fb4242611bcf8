"""The types that a generated function says it takes and gives."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.backends.numpy import load


class Pair(NamedTuple):
    first: Any
    second: Any


def typed(function, *arguments):
    kernel = gradc.jit(function).compile(*arguments, backend="numpy", name="made")
    load(kernel.numpy_source, "made")  # the types are evaluated
    (made,) = [s for s in ast.parse(kernel.numpy_source).body if isinstance(s, ast.FunctionDef) and s.name == "made"]
    arguments = [*made.args.args, made.args.vararg]
    found = {a.arg: ast.unparse(a.annotation) for a in arguments if a is not None and a.annotation is not None}
    return found | {"return": ast.unparse(made.returns)}


CASES = {
    "numbers": (lambda x, n: x * n, (1.5, 2), {"x": "float", "n": "int", "return": "np.float64"}),
    "arrays": (lambda x: x + 1, (np.ones(2, np.float32),), {"x": "np.ndarray", "return": "np.ndarray"}),
    "containers": (
        lambda w: [w["a"] * w["b"][0], w["b"][1]],
        ({"a": np.ones(2), "b": (np.ones(2), 1.0)},),
        {
            "w": "dict[str, np.ndarray | tuple[np.ndarray, float]]",
            "return": "list[np.ndarray | np.float64]",
        },
    ),
    "a long tuple": (
        lambda *x: tuple(2.0 * v for v in x),
        (1.0, 1.0, 1.0, 1.0),
        {"x": "float", "return": "tuple[np.float64, ...]"},
    ),
    "compiled in": (
        lambda x, mode, flag: x,
        (1.0, "mean", None),
        {"x": "float", "mode": "str", "flag": "None", "return": "np.float64"},
    ),
    "a class of the user's": (
        lambda p: (p.first, p.second),
        (Pair(1.0, 2.0),),
        {"return": "tuple[np.float64, np.float64]"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_signature_is_typed(case):
    function, arguments, expected = CASES[case]
    assert typed(function, *arguments) == expected


def test_a_class_that_the_module_makes_is_named():
    assert typed(lambda x: Pair(x, x + 1), 1.0)["return"] == "Pair"


def test_defaults_stand_behind_types():
    def scaled(x, factor=2.0):
        return x * factor

    source = gradc.jit(scaled).compile(np.ones(3), 3.0, backend="numpy", name="made").numpy_source
    assert "def made(x: np.ndarray, factor: float = 2.0) -> np.ndarray:" in source
