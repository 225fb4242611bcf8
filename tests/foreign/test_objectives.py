"""The objectives of ADBench: values are NumPy's, derivatives those of the complex step, on every backend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradc
from tests.foreign import objectives
from tests.foreign.objectives import Objective

STEP = 1e-30

BACKENDS = ("llvm", "numpy", "reference")


def along(objective: Objective, directions: tuple[np.ndarray, ...]) -> Any:
    """The derivative along directions by the complex step, which neither rounds nor cancels."""
    function, inputs, wrt = objective
    moved = list(inputs)
    for position, direction in zip(wrt, directions, strict=True):
        moved[position] = inputs[position] + 1j * STEP * direction
    return np.imag(function(*moved)) / STEP


def columns(objective: Objective) -> list[np.ndarray]:
    """The Jacobian by each differentiated input, column by column."""
    _, inputs, wrt = objective
    found = []
    for position in wrt:
        own = []
        for place in np.ndindex(inputs[position].shape):
            directions = [np.zeros(inputs[k].shape) for k in wrt]
            directions[wrt.index(position)][place] = 1.0
            own.append(along(objective, tuple(directions)))
        rows = own[0].shape
        found.append(np.stack(own, axis=-1).reshape(*rows, *inputs[position].shape))
    return found


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("build", [objectives.mixture, objectives.memory], ids=lambda build: build.__name__)
def test_gradients(build: Any, backend: Any) -> None:
    objective = build()
    function, inputs, wrt = objective
    value, slopes = gradc.value_and_grad(function, wrt, backend=backend)(*inputs)
    assert value == pytest.approx(function(*inputs), rel=1e-13)
    for found, expected in zip(slopes, columns(objective), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


JACOBIANS = {
    "bundle adjustment": objectives.adjustment,
    "hand": objectives.hand,
    "hand, complicated": lambda: objectives.hand(complicated=True),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("build", JACOBIANS.values(), ids=JACOBIANS)
def test_jacobians(build: Any, backend: Any) -> None:
    objective = build()
    function, inputs, wrt = objective
    values = gradc.jit(function, backend=backend)(*inputs)
    np.testing.assert_allclose(values, function(*inputs), rtol=1e-12, atol=1e-12)
    found = gradc.jacobian(function, wrt, backend=backend)(*inputs)
    for block, expected in zip(found, columns(objective), strict=True):
        np.testing.assert_allclose(block, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_the_jacobian_of_bundle_adjustment_is_sparse() -> None:
    pytest.importorskip("scipy.sparse", reason="SciPy is not installed: sparse results are its arrays")
    objective = objectives.adjustment(cameras=4, points=12, seen=40)
    function, inputs, wrt = objective
    found = gradc.jacobian(function, wrt, sparse=True)(*inputs)
    for block, expected, most in zip(found, columns(objective), (11, 3, 1), strict=True):
        flat = expected.reshape(expected.shape[0], -1)
        np.testing.assert_allclose(block.toarray(), flat, rtol=0, atol=1e-11 * np.abs(flat).max())
        assert np.diff(block.tocsr().indptr).max() <= most


def test_a_memory_of_1024_steps_is_code_of_one_step() -> None:
    def kernel(steps: int) -> tuple[Any, Objective]:
        objective = objectives.memory(steps, features=14)
        function, inputs, wrt = objective
        return gradc.value_and_grad(function, wrt, backend="llvm").compile(*inputs), objective

    short, _ = kernel(64)
    long, objective = kernel(1024)
    function, inputs, wrt = objective
    value, slopes = long(*inputs)
    assert value == pytest.approx(function(*inputs), rel=1e-12)
    rng = np.random.default_rng(0)
    directions = tuple(rng.normal(size=inputs[k].shape) for k in wrt)
    told = sum(np.sum(slope * direction) for slope, direction in zip(slopes, directions, strict=True))
    assert told == pytest.approx(along(objective, directions), rel=1e-10)
    assert len(long.llvm_ir) < 1.1 * len(short.llvm_ir)
