"""A compiled kernel as a node of a PyTorch network: forward and backward come from one NumPy function.

Run it with ``python examples/torch_function.py``; it needs PyTorch. The kernel computes value and gradient at once, and
the backward pass hands on the gradient times that of what comes after.
"""

from __future__ import annotations

import numpy as np
import torch

import gradc


def energy(x, stiffness):
    """The energy of a chain of springs between points on a line."""
    return 0.5 * np.sum(stiffness * (x[1:] - x[:-1] - 1.0) ** 2)


value_and_gradient = gradc.value_and_grad(energy, wrt=("x", "stiffness"))


class Energy(torch.autograd.Function):
    """``energy`` for tensors of torch."""

    @staticmethod
    def forward(ctx, x, stiffness):
        value, gradients = value_and_gradient(x.detach(), stiffness.detach())
        ctx.save_for_backward(*map(torch.from_numpy, gradients))
        return torch.tensor(value, dtype=x.dtype)

    @staticmethod
    def backward(ctx, ct):
        d_x, d_stiffness = ctx.saved_tensors
        return ct * d_x, ct * d_stiffness


def relax(steps: int = 400) -> float:
    """Let the springs find their rest with an optimizer of torch; gives the energy that is left."""
    x = torch.tensor([0.0, 0.5, 3.0, 3.5], dtype=torch.float64, requires_grad=True)
    stiffness = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    optimizer = torch.optim.SGD([x], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        left = Energy.apply(x, stiffness)
        left.backward()
        optimizer.step()
    return float(left.detach())


if __name__ == "__main__":
    print(f"energy left: {relax():.1e}")
