"""Measure which calls of NumPy, as they are written, JAX and autograd take: writes peers.json for docs/supported.md.

python tools/peers.py          in an environment with gradc's tests, JAX and autograd

The calls are the rows of ``tests/frontend/numpy_api/calls.txt``, each a plain NumPy or SciPy expression. A row counts
for the function that it begins with. It is taken where the value under ``jax.jit`` (in autograd, while it
differentiates) is NumPy's, and where the gradient of its floats is what central differences give; it is wrong where
something else comes out without an error. Rows without a number to differentiate count by their value.
"""

from __future__ import annotations

import json
import re
import signal
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
CALLS = ROOT / "tests" / "frontend" / "numpy_api" / "calls.txt"
DATA = Path(__file__).with_name("peers.json")
SECONDS = 20
"""A call that takes longer counts as one that is not taken."""


ROUNDED = ("np.round(x, 1)",)
"""Steps so close to each other that central differences see them."""


class TooSlowError(Exception):
    """A call took longer than SECONDS."""


def rows() -> list[tuple[str, str]]:
    """Each row with the name of the function that it begins with."""
    lines = CALLS.read_text(encoding="utf-8").splitlines()
    matches = [(re.match(r"((?:np|scipy)(?:\.\w+)+)\(", line), line) for line in lines if line not in ROUNDED]
    return [(found[1], line) for found, line in matches if found]


def listed(x: Any) -> list[Any]:
    """The arrays of a result, traced or not."""
    return [part for item in x for part in listed(item)] if isinstance(x, tuple | list) else [x]


class Row:
    """A row as a function of arrays, and the weighted sum of its floats, which is differentiated."""

    def __init__(self, row: str) -> None:
        from tests.frontend.numpy_api.test_breadth import Derivatives, extrapolated, plain

        self._case = Derivatives(row)
        self.function, self.inputs, self.wrt = self._case.function, self._case.inputs, self._case.wrt
        self.directions, self.is_smooth = self._case.directions, self._case.is_smooth
        self.expected = plain(row)
        self._floats = [k for k, part in enumerate(self.expected) if part.dtype == np.float64]
        self._extrapolated = extrapolated

    def total(self, *inputs: Any) -> Any:
        """By operators and methods alone, which every peer knows."""
        parts = listed(self.function(*inputs))
        terms = [(parts[k] * w).sum() for k, w in zip(self._floats, self._case.weights, strict=True)]
        return sum(terms[1:], terms[0])

    def slope(self) -> float:
        """The derivative along the directions by central differences."""
        return float(self._extrapolated(lambda t: self.total(*self._case.moved(t))))


def by_jax(case: Row) -> tuple[Any, Any]:
    """The value and the gradient by JAX."""
    import jax

    jax.config.update("jax_enable_x64", True)
    value = jax.jit(case.function)(*case.inputs)
    return value, jax.grad(case.total, case.wrt)(*case.inputs) if case.is_smooth else None


def by_autograd(case: Row) -> tuple[Any, Any]:
    """The value while autograd differentiates, and the gradient."""
    import autograd

    values: list[Any] = []

    def total(*inputs: Any) -> Any:
        values.append(case.function(*inputs))
        return case.total(*inputs)

    if not case.wrt:
        raise TypeError("autograd differentiates, and has nothing to differentiate here")
    if not case.is_smooth:
        autograd.make_vjp(lambda x: total(*case.inputs[: case.wrt[0]], x, *case.inputs[case.wrt[0] + 1 :]))(
            case.inputs[case.wrt[0]]
        )
        return boxes_opened(values[0]), None
    gradient = autograd.grad(total, case.wrt)(*case.inputs)
    return boxes_opened(values[0]), gradient


def boxes_opened(x: Any) -> Any:
    """A result without autograd's boxes."""
    if isinstance(x, tuple | list):
        return [boxes_opened(item) for item in x]
    while hasattr(x, "_value"):
        x = x._value
    if isinstance(x, np.ndarray) and x.dtype == object:
        return np.array([boxes_opened(item) for item in x.ravel()]).reshape(x.shape)
    return x


def outcome(case: Row, peer: Callable[[Row], tuple[Any, Any]]) -> str:
    """``taken``, ``refused`` or ``wrong``."""
    signal.alarm(SECONDS)
    try:
        value, gradient = peer(case)
        found = [np.asarray(x) for x in listed(value)]
        slope = None if gradient is None else sum(
            np.sum(np.asarray(g) * d) for g, d in zip(gradient, case.directions, strict=True))  # fmt: skip
    except Exception:  # noqa: BLE001, every refusal is one
        return "refused"
    finally:
        signal.alarm(0)
    same = len(found) == len(case.expected) and all(
        a.shape == e.shape and a.dtype != object and np.allclose(a, e, rtol=1e-5, atol=1e-6, equal_nan=True)
        for a, e in zip(found, case.expected, strict=True)
    )
    if same and slope is not None:
        wanted = case.slope()
        same = abs(slope - wanted) <= 1e-5 * (1 + abs(wanted))
    return "taken" if same else "wrong"


def measured() -> dict[str, dict[str, dict[str, int]]]:
    """How often each outcome was seen, by function and peer."""
    peers = {"JAX": by_jax, "autograd": by_autograd}
    functions: dict[str, dict[str, dict[str, int]]] = {}
    for name, row in rows():
        case = Row(row)
        for label, peer in peers.items():
            counts = functions.setdefault(name, {}).setdefault(label, {})
            found = outcome(case, peer)
            counts[found] = counts.get(found, 0) + 1
    return functions


def page(functions: dict[str, dict[str, dict[str, int]]]) -> str:
    """The data as JSON, a function a line."""
    versions = {"JAX": version("jax"), "autograd": version("autograd"), "NumPy": np.__version__}
    lines = [f"{json.dumps(name)}: {json.dumps(functions[name], sort_keys=True)}" for name in sorted(functions)]
    head = f'{{"versions": {json.dumps(versions)},\n"seconds": {SECONDS},\n"functions": {{\n'
    return head + ",\n".join(lines) + "\n}}\n"


def _too_slow(*_: Any) -> None:
    raise TooSlowError


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    signal.signal(signal.SIGALRM, _too_slow)
    DATA.write_text(page(measured()), encoding="utf-8")
