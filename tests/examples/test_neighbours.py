"""gradc beside SciPy and PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

Example = Callable[[str], ModuleType]


def test_scipy_fits_nested_parameters(example: Example) -> None:
    made = example("scipy_minimize")
    w, reached = made.fit()
    x = np.linspace(-3.0, 3.0, 80)
    assert reached < 1e-4
    assert made.loss(w, x, np.sin(x)) == pytest.approx(reached, rel=1e-9)


def test_a_kernel_is_a_node_of_a_torch_network(example: Example) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    made = example("torch_function")
    x = torch.tensor([0.0, 0.5, 3.0, 3.5], dtype=torch.float64, requires_grad=True)
    stiffness = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(made.Energy.apply, (x, stiffness))
    assert made.relax() < 1e-20
