"""Kernels with arguments of many kinds, and with several layers."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradc

NAMES = ["loss", "matrices", "classifier", "regression", "recurrence"]
"""The functions of networks.py that most artifacts are tried with."""


def typed(x: Any, n: Any, flags: Any, rate: Any, on: Any) -> Any:
    return {
        "scaled": np.where(flags, x * rate, x),
        "picked": x[n],
        "count": np.sum(n) + 1,
        "both": np.logical_and(flags, on),
    }


def typed_kernel() -> tuple[gradc.Kernel, tuple[Any, ...]]:
    x = np.linspace(-2, 2, 5, dtype=np.float32)
    args = (x, np.array([4, 0], np.int16), np.array([True, False, True, True, False]), np.float32(0.3), np.True_)
    return gradc.jit(typed, name="typed").compile(*args), args


def wide(w: Any, x: Any, y: Any) -> Any:
    h = np.tanh(x @ w["a"])
    return np.mean((h @ w["b"] - y) ** 2)


def wide_kernel() -> tuple[gradc.Kernel, tuple[Any, ...]]:
    draw = np.random.default_rng(3).normal
    args = ({"a": draw(size=(24, 40)), "b": draw(size=(40, 5))}, draw(size=(32, 24)), draw(size=(32, 5)))
    return gradc.value_and_grad(wide).compile(*args), args
