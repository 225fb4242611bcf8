"""Results that the caller gives with ``out=``: what they have to be, and how they are filled.

``out`` is nested as the result is. A leaf is an array that the result is written into; None for a leaf or for all of a
container asks for new ones. As with NumPy's own ``out``, an array may share memory with an argument: the result is what
it would be if it did not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.lib.array_utils import byte_bounds

from gradc.errors import ArgumentError
from gradc.frontend.tree import LEAF, NONE, TreeDef, flatten
from gradc.ir.aval import Aval, aval_of

_WORK: Final = 100_000
"""Steps after which two interleaved arrays count as sharing memory."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a call has as ``name=value``.

    ``structure`` is that of ``value``, ``places`` the number of the result that each of its leaves is for, and
    ``arrays`` what was given for each result, with its path. ``is_whole`` is whether nothing is left out: then
    ``value`` itself is what the call returns.
    """

    name: str
    value: Any
    structure: TreeDef
    places: tuple[int, ...]
    arrays: tuple[tuple[np.ndarray | None, str], ...]
    is_whole: bool

    def fill(self, results: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Copy the results into the arrays. Gives the arrays, and the results for which there is none.

        Raises ArgumentError, before anything is written, for an array of another dtype or shape, one that is read-only,
        and for arrays that share memory.
        """
        pairs = list(zip(self.arrays, results, strict=True))
        for (array, path), result in pairs:
            if array is not None:
                _check(array, aval_of(result), path)
        _check_apart([entry for entry in self.arrays if entry[0] is not None])
        for (array, _), result in pairs:
            if array is not None:
                np.copyto(array, result)
        return [result if array is None else array for (array, _), result in pairs]


def given_results(value: Any, tree: TreeDef, name: str) -> Given:
    """``value`` against the structure of a result. Raises ArgumentError where it is nested otherwise."""
    leaves, structure = flatten(value)
    paths = tree.paths(name)
    places: list[int] = []
    is_whole = _match(structure, tree, 0, name, places)
    arrays: list[np.ndarray | None] = [None] * len(paths)
    for place, leaf in zip(places, leaves, strict=True):
        if type(leaf) not in (np.ndarray, np.memmap):
            raise ArgumentError(
                f"{paths[place]} is a {type(leaf).__name__} and results are written into arrays; "
                "pass an ndarray, or None for a new one"
            )
        arrays[place] = leaf
    return Given(name, value, structure, tuple(places), tuple(zip(arrays, paths, strict=True)), is_whole)


def _match(found: TreeDef, wanted: TreeDef, start: int, path: str, places: list[int]) -> bool:
    """Add the number of the result for each leaf of ``found``; ``start`` is that of the first one of ``wanted``.

    Gives whether nothing is left out.
    """
    if found == NONE:
        return wanted == NONE
    if found == LEAF and wanted == LEAF:
        places.append(start)
        return True
    if found.kind is not wanted.kind or set(found.keys) != set(wanted.keys):
        raise ArgumentError(f"{path} is {told(found)} where the result has {told(wanted)}; nest it as the result is")
    starts = {}
    for key, child in zip(wanted.keys, wanted.children, strict=True):
        starts[key] = child, start
        start += child.num_leaves
    whole = True
    for key, child in zip(found.keys, found.children, strict=True):
        whole &= _match(child, *starts[key], f"{path}[{key!r}]", places)
    return whole


def told(tree: TreeDef) -> str:
    """What a structure is, in an error: ``a dict of 2 ('w', 'b')``."""
    if tree == LEAF:
        return "one array"
    if tree.kind is None:
        return "None"
    keys = ", ".join(map(repr, tree.keys))
    return f"a {tree.kind.__name__} of {len(tree.children)}" + (f" ({keys})" if issubclass(tree.kind, dict) else "")


def _check(array: np.ndarray, result: Aval, path: str) -> None:
    if array.dtype != result.dtype or array.shape != result.shape:
        order = " in the other byte order" if not array.dtype.isnative else ""
        raise ArgumentError(
            f"{path} is {aval_of(array)}{order} and the result is {result}; "
            "pass an array like it, or None for a new one"
        )
    if not array.flags.writeable:
        raise ArgumentError(f"{path} is read-only; pass an array that can be written, or None for a new one")
    if overlaps_itself(array):
        raise ArgumentError(
            f"{path} has several elements in one place; pass an array of its own, or None for a new one"
        )


def overlaps_itself(array: np.ndarray) -> bool:
    """Whether elements may share memory: never where each stride steps over all that lies within it."""
    reach = array.itemsize
    for stride, size in sorted((abs(stride), size) for stride, size in zip(array.strides, array.shape, strict=True)):
        if size > 1:
            if stride < reach:
                return array.size > 0
            reach += stride * (size - 1)
    return False


def _check_apart(arrays: Iterable[tuple[Any, str]]) -> None:
    """Raise for two arrays with an element in common: those whose extents meet are looked at closely."""
    open_ones: list[tuple[int, np.ndarray, str]] = []
    for start, end, array, path in sorted(
        [(*byte_bounds(array), array, path) for array, path in arrays if array.size], key=lambda entry: entry[:2]
    ):
        open_ones = [entry for entry in open_ones if entry[0] > start]
        for _, other, other_path in open_ones:
            if may_share(array, other):
                raise ArgumentError(
                    f"{other_path} and {path} share memory, and each is a result; pass arrays of their own"
                )
        open_ones.append((end, array, path))


def may_share(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays have an element in common, or are interleaved so much that it takes long to tell."""
    try:
        return np.shares_memory(one, other, max_work=_WORK)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True
