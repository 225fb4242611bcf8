"""A gradient against finite differences of the function as written, in the widest float that NumPy has."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradc.frontend.tree import flatten
from gradc.ir.aval import Aval, aval_of, dim_value

STEPS = (2.0**-10, 2.0**-16, 2.0**-22)
"""Of the outermost difference, relative; two halvings follow, and extrapolation leaves an error of order step**6.
The first is best where the function is smooth; where a kink is that near, a smaller step stays on one side of it."""

SETTLED = 1e-12
"""The relative error of the extrapolation below which a smaller step is not tried."""

NEAREST = 2.0**-4
"""Steps do not get smaller than for an entry of this size: they would drown in rounding."""

ENTRIES = 64
"""The most entries of one array that are checked; beyond, they are chosen at random."""

SYMBOLIC = 3
"""What a symbolic size is for the check."""


@dataclass(frozen=True)
class Row:
    """The check of one array.

    ``error`` is the largest difference and ``rounding`` what the differences themselves may be off by, relative to the
    largest entry of the gradient; ``gradient`` and ``reference`` are the entries that differ most.
    """

    path: str
    aval: Aval
    checked: int
    error: float
    rounding: float
    gradient: float
    reference: float


def concrete(value: Any, rng: np.random.Generator) -> Any:
    """The tree with numbers in place of avals: floats from 0.1 to 0.9, where most functions are smooth; integers 0."""
    leaves, tree = flatten(value, lambda leaf: isinstance(leaf, Aval))
    return tree.unflatten([_drawn(leaf, rng) if isinstance(leaf, Aval) else leaf for leaf in leaves])


def _drawn(aval: Aval, rng: np.random.Generator) -> np.ndarray:
    sizes = {s: SYMBOLIC for dim in aval.shape if not isinstance(dim, int) for s in dim.symbols}
    shape = tuple(dim_value(dim, sizes) for dim in aval.shape)
    if aval.is_float:
        return np.asarray(rng.uniform(0.1, 0.9, shape), aval.dtype)
    return np.zeros(shape, aval.dtype)


def compare(
    function: Callable[..., Any],
    call: inspect.BoundArguments,
    wrt: Sequence[str],
    gradients: Sequence[Any],
    rng: np.random.Generator,
) -> Iterator[Row]:
    """A row for each array of the arguments ``wrt``, whose gradients are given in the same order."""
    names = list(call.arguments)
    trees = {name: flatten(value) for name, value in call.arguments.items()}

    def result(leaves: dict[str, list[Any]]) -> np.longdouble:
        arguments = {name: trees[name][1].unflatten(leaves[name]) for name in names}
        bound = inspect.BoundArguments(call.signature, arguments)
        return np.longdouble(function(*bound.args, **bound.kwargs))

    precision = _widest(result, {name: trees[name][0] for name in names})
    for name, gradient in zip(wrt, gradients, strict=True):
        leaves, tree = trees[name]
        own = flatten(gradient)[0]
        for position, (path, leaf, found) in enumerate(zip(tree.paths(name), leaves, own, strict=True)):

            def at(changed: Any, name: str = name, position: int = position) -> np.longdouble:
                leaves = {n: [_as(precision, leaf) for leaf in trees[n][0]] for n in names}
                leaves[name][position] = _as(precision, changed)
                return result(leaves)

            with np.errstate(all="ignore"):
                noise = 4 * np.finfo(precision).eps * np.abs(at(leaf))
                yield _row(path, leaf, np.asarray(found), at, noise, rng)


def _widest(
    result: Callable[[dict[str, list[Any]]], np.longdouble], leaves: dict[str, list[Any]]
) -> type[np.floating[Any]]:
    """longdouble, or double where a function of SciPy in there knows nothing wider."""
    try:
        result({name: [_as(np.longdouble, leaf) for leaf in own] for name, own in leaves.items()})
    except TypeError:
        return np.float64
    return np.longdouble


def _as(precision: type, leaf: Any) -> Any:
    """A floating-point leaf in another precision; others as they are."""
    if isinstance(leaf, (float, np.ndarray, np.generic)) and np.asarray(leaf).dtype.kind == "f":
        return np.asarray(leaf, precision)[()]
    return leaf


def _row(
    path: str,
    leaf: Any,
    gradient: np.ndarray,
    at: Callable[[Any], np.longdouble],
    noise: np.longdouble,
    rng: np.random.Generator,
) -> Row:
    size = gradient.size
    chosen = np.arange(size) if size <= ENTRIES else np.sort(rng.choice(size, ENTRIES, replace=False))
    point = np.asarray(leaf, np.longdouble)
    slopes = [_slope(at, point, int(k), noise) for k in chosen]
    references = np.array([slope for slope, _ in slopes], np.longdouble)
    found = gradient.ravel()[chosen].astype(np.longdouble)
    if not size:
        return Row(path, aval_of(leaf), 0, 0.0, 0.0, 0.0, 0.0)
    differences = np.abs(found - references)
    worst = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
    scale = float(np.max(np.abs(references))) or 1.0
    error, rounding = float(differences[worst]) / scale, float(slopes[worst][1]) / scale
    return Row(path, aval_of(leaf), len(chosen), error, rounding, float(found[worst]), float(references[worst]))


def _slope(
    at: Callable[[Any], np.longdouble], point: np.ndarray, entry: int, noise: np.longdouble
) -> tuple[np.longdouble, np.longdouble]:
    """The slope by the step whose extrapolation settles best, and what rounding may do to it."""
    scale = np.maximum(np.abs(point.ravel()[entry]), NEAREST)
    best = None
    for step in STEPS:
        slope, unsettled = _extrapolated(at, point, entry, step * scale)
        rounding = noise / (step / 4 * scale)
        doubt = unsettled + rounding
        if best is None or doubt < best[0]:
            best = (doubt, slope, rounding)
        if unsettled <= rounding + SETTLED * np.abs(slope):
            break
    assert best is not None
    return best[1], best[2]


def _extrapolated(
    at: Callable[[Any], np.longdouble], point: np.ndarray, entry: int, step: np.longdouble
) -> tuple[np.longdouble, np.longdouble]:
    """Central differences at steps h, h/2, h/4 extrapolated to h = 0 (Richardson), and how far the last stage moved."""
    estimates = []
    for halvings in range(3):
        h = step / 2**halvings
        estimates.append((at(_moved(point, entry, h)) - at(_moved(point, entry, -h))) / (2 * h))
    first = [(4 * b - a) / 3 for a, b in itertools.pairwise(estimates)]
    last = np.longdouble((16 * first[1] - first[0]) / 15)
    return last, np.abs(last - first[1])


def _moved(point: np.ndarray, entry: int, by: np.longdouble) -> Any:
    moved = point.copy()
    moved.flat[entry] += by
    return moved if moved.ndim else moved[()]
