"""Steps of gradient descent as pure functions of NumPy: sgd, momentum, adam, adamw.

Each takes parameters and their gradients, pytrees of one structure, and returns new parameters of the same structure,
shapes and dtypes; nothing is written in place. They are traced like any other NumPy code, so that value, gradient and
update compile into one kernel:

    def train(w, state, x, y):
        value, grads = gradc.value_and_grad(loss)(w, x, y)
        w, state = gradc.optim.adam(w, grads, state, rate=1e-3)
        return value, w, state

    step = gradc.jit(train)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradc.errors import ArgumentError
from gradc.frontend.tree import TreeDef, flatten

__all__ = ["AdamState", "adam", "adam_state", "adamw", "momentum", "momentum_state", "sgd"]


class AdamState(NamedTuple):
    """What Adam remembers: the number of steps (a float, 0-d), running means of the gradients and of their squares."""

    steps: Any
    mean: Any
    square: Any


def sgd(w: Any, grads: Any, *, rate: Any) -> Any:
    """Gradient descent: ``w - rate * grads``. Raises ArgumentError where ``grads`` is not nested, shaped as ``w``."""
    return _updated(lambda p, g: p - rate * g, w, grads=grads)[0]


def momentum_state(w: Any) -> Any:
    """The velocity before the first step of ``momentum``: zeros like ``w``."""
    return _zeros(w)


def momentum(
    w: Any, grads: Any, velocity: Any, *, rate: Any, decay: Any = 0.9, nesterov: bool = False
) -> tuple[Any, Any]:
    """Gradient descent with momentum: ``(new parameters, new velocity)``.

    ``velocity`` becomes ``decay * velocity + grads``, and the parameters fall by ``rate`` times that; with
    ``nesterov`` by ``rate`` times ``grads + decay`` times the new velocity (I. Sutskever and others, On the importance
    of initialization and momentum in deep learning, 2013, in the form where the rate stands outside the velocity).
    Raises ArgumentError where ``grads`` or ``velocity`` is not nested and shaped as ``w`` is.
    """

    def step(p: Any, g: Any, v: Any) -> tuple[Any, Any]:
        v = decay * v + g
        return p - rate * (g + decay * v if nesterov else v), v

    new, velocity = _updated(step, w, grads=grads, velocity=velocity)
    return new, velocity


def adam_state(w: Any) -> AdamState:
    """The state before the first step of ``adam`` and ``adamw``: zeros like ``w``, and no steps."""
    dtypes = [leaf.dtype for leaf in map(np.asarray, flatten(w)[0]) if leaf.dtype.kind == "f"]
    return AdamState(np.zeros((), np.result_type(*dtypes) if dtypes else np.float64), _zeros(w), _zeros(w))


def adam(
    w: Any,
    grads: Any,
    state: AdamState,
    *,
    rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Any, AdamState]:
    """A step of Adam: ``(new parameters, new state)``; ``state`` begins as ``adam_state(w)``.

    D. Kingma and J. Ba, Adam: A Method for Stochastic Optimization, 2015, Algorithm 1. The corrections
    ``1 - beta ** steps`` are computed as ``-expm1(steps * log(beta))``, which loses no digits in f32. Raises
    ArgumentError for a beta outside 0 < beta < 1 and where ``grads`` or ``state`` is not nested and shaped as ``w`` is.
    """
    return adamw(w, grads, state, rate=rate, beta1=beta1, beta2=beta2, epsilon=epsilon, decay=0.0)


def adamw(
    w: Any,
    grads: Any,
    state: AdamState,
    *,
    rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    decay: Any = 0.01,
) -> tuple[Any, AdamState]:
    """A step of Adam in which the parameters also shrink by ``rate * decay`` of themselves: ``(parameters, state)``.

    I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, 2019, Algorithm 2 with a schedule of 1 and the
    decay multiplied by ``rate``. Otherwise as ``adam``.
    """
    if not isinstance(state, AdamState):
        raise ArgumentError(f"state={state!r:.60} is no AdamState; begin with adam_state(w), then pass what adam gives")
    steps = state.steps + 1
    mean_weight = -np.expm1(steps * _log_of("beta1", beta1))
    square_weight = -np.expm1(steps * _log_of("beta2", beta2))

    def step(p: Any, g: Any, mean: Any, square: Any) -> tuple[Any, Any, Any]:
        mean = beta1 * mean + (1 - beta1) * g
        square = beta2 * square + (1 - beta2) * (g * g)
        change = (mean / mean_weight) / (np.sqrt(square / square_weight) + epsilon)
        kept = p if isinstance(decay, (int, float)) and decay == 0 else p - rate * decay * p
        return kept - rate * change, mean, square

    new, mean, square = _updated(step, w, grads=grads, mean=state.mean, square=state.square)
    return new, AdamState(steps, mean, square)


def _log_of(name: str, beta: Any) -> float:
    if not isinstance(beta, (int, float)) or not 0 < beta < 1:
        raise ArgumentError(f"{name}={beta!r} is not a number between 0 and 1, both excluded")
    return math.log(beta)


def _updated(step: Callable[..., Any], w: Any, **others: Any) -> list[Any]:
    """``step`` applied leaf by leaf: a tree for each of its results, with the dtypes of the leaves of ``w``."""
    leaves, tree = flatten(w)
    columns = [leaves, *[_alike(other, leaves, tree, name) for name, other in others.items()]]
    results = [step(*row) for row in zip(*columns, strict=True)]
    rows = [result if isinstance(result, tuple) else (result,) for result in results]
    width = len(rows[0]) if rows else max(len(columns) - 1, 1)
    return [
        tree.unflatten([_as_dtype(row[k], leaf) for row, leaf in zip(rows, leaves, strict=True)]) for k in range(width)
    ]


def _alike(tree: Any, parameters: list[Any], wanted: TreeDef, name: str) -> list[Any]:
    leaves, found = flatten(tree)
    if found != wanted:
        raise ArgumentError(f"{name} is nested as {found} and the parameters as {wanted}; both have one structure")
    for leaf, parameter, path in zip(leaves, parameters, found.paths(name), strict=True):
        given, own = (getattr(x, "shape", ()) for x in (leaf, parameter))
        if given != own:
            raise ArgumentError(f"{path} has the shape {given} and its parameter {own}; both have one shape")
    return leaves


def _as_dtype(value: Any, leaf: Any) -> Any:
    """A value in the dtype of the parameter that it belongs to; a rate of f64 does not widen weights of f32."""
    wanted = getattr(leaf, "dtype", None)
    return value if wanted is None or value.dtype == wanted else value.astype(wanted)


def _zeros(w: Any) -> Any:
    leaves, tree = flatten(w)
    return tree.unflatten([np.zeros_like(leaf, dtype=np.asarray(leaf).dtype) for leaf in leaves])
