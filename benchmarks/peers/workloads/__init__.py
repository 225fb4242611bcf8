"""What is timed: fourteen gradients, from fifty flops to half a billion.

A workload is ``loss(xp, parameters, *data)``, written with the names of NumPy in ``xp``; its gradient is taken by the
parameters. ``xp`` is NumPy with ``erf`` for gradc and the reference, ``jax.numpy`` for JAX, and for torch a module that
gives torch's functions NumPy's names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Tree = Any
"""Nested dicts, lists and tuples of arrays."""


@dataclass(frozen=True)
class Workload:
    """One gradient.

    inputs      makes the parameters and the data, the same ones each time
    loss        the function, written with the names of NumPy
    idiomatic   the same function as a user of JAX writes it, where that differs: ``idiomatic(jax, parameters, *data)``
    """

    name: str
    about: str
    dtype: np.dtype
    inputs: Callable[[], tuple[Any, ...]]
    loss: Callable[..., Any]
    idiomatic: Callable[..., Any] | None = None


WORKLOADS: dict[str, Workload] = {}


def workload(
    name: str,
    about: str,
    dtype: str,
    inputs: Callable[[], tuple[Any, ...]],
    idiomatic: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the decorated loss as a workload."""

    def register(loss: Callable[..., Any]) -> Callable[..., Any]:
        WORKLOADS[name] = Workload(name, about, np.dtype(dtype), inputs, loss, idiomatic)
        return loss

    return register


def leaves(tree: Tree) -> list[Any]:
    """The arrays of a tree; those of a dict in the order of its keys."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, (list, tuple)):
        return [leaf for part in tree for leaf in leaves(part)]
    return [tree]


def mapped(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The tree with ``function`` applied to each array."""
    if isinstance(tree, dict):
        return {key: mapped(function, tree[key]) for key in sorted(tree)}
    if isinstance(tree, (list, tuple)):
        return type(tree)(mapped(function, part) for part in tree)
    return function(tree)


def in_double(tree: Tree) -> Tree:
    """The tree with its floating-point arrays in double precision."""
    return mapped(lambda a: a.astype(np.float64) if np.asarray(a).dtype.kind == "f" else a, tree)


def log_softmax(xp: Any, z: Any) -> Any:
    """The logarithms of the probabilities that scores along the last axis mean."""
    shifted = z - xp.max(z, axis=-1, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=-1, keepdims=True))


def sigmoid(xp: Any, z: Any) -> Any:
    """As a textbook writes it."""
    return 1.0 / (1.0 + xp.exp(-z))


def gelu(xp: Any, u: Any) -> Any:
    """Hendrycks and Gimpel's approximation by tanh (arXiv:1606.08415)."""
    return 0.5 * u * (1.0 + xp.tanh((2.0 / np.pi) ** 0.5 * (u + 0.044715 * u * u * u)))


from peers.workloads import networks, recurrences, science, statistics  # noqa: E402, F401  (they register themselves)
