"""Donated arguments: which results take their memory, and what their arrays have to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from gradc.errors import ArgumentError
from gradc.frontend.given import may_share, overlaps_itself
from gradc.frontend.layout import Call
from gradc.frontend.targets import leaves_of
from gradc.frontend.tree import TreeDef
from gradc.ir.graph import Graph
from gradc.ir.signature import Leaf, Static


def donated_pairs(
    call: Call,
    targets: Sequence[tuple[str, int | None]],
    slots: Sequence[Leaf | Static],
    graph: Graph,
    outputs: TreeDef,
    updates: Sequence[tuple[int, int]] = (),
) -> tuple[tuple[int, int], ...]:
    """For each array of the donated arguments ``targets``, its input and the result that takes its memory.

    ``updates`` are those that the function itself writes into: such an argument takes no other result, and its other
    arrays keep what they hold. Else an argument takes the first result, or part of the result, that has its nesting,
    dtypes and shapes and that no other takes. Raises ArgumentError where there is none.
    """
    pairs: list[tuple[int, int]] = list(updates)
    written = {source for source, _ in updates}
    taken: set[int] = {result for _, result in updates}
    for target in targets:
        positions, tree = leaves_of(call, target)
        own = [slots[k] for k in positions]
        inputs = [slot.index if isinstance(slot, Leaf) else None for slot in own]
        if not written.isdisjoint(inputs):
            continue
        for part, start in _parts(outputs, 0):
            results = range(start, start + part.num_leaves)
            if part == tree and taken.isdisjoint(results) and _alike(inputs, results, graph):
                break
        else:
            raise ArgumentError(
                f"{target[0]} is donated, and no result that is left has its nesting, dtypes and shapes; "
                f"return the new {target[0]} or write into it, or do not donate it"
            )
        taken.update(results)
        for source, result in zip(inputs, results, strict=True):
            if source is not None and not graph.input_avals[source].weak:
                pairs.append((source, result))
    return tuple(pairs)


def donated_arrays(
    call: Call, slots: Sequence[Leaf | Static], results: Mapping[int, int], name: str
) -> dict[int, np.ndarray]:
    """The arrays of a call that are written, by number of the result; ``results`` are those by number of the input.

    Numbers, which cannot be written, are left out. Raises ArgumentError for an array that is read-only or has several
    elements in one place, and for one that shares memory with another argument.
    """
    found: dict[int, np.ndarray] = {}
    others: list[tuple[np.ndarray, str, bool]] = []
    for leaf, slot, path in zip(call.leaves, slots, call.paths, strict=True):
        if not isinstance(leaf, np.ndarray):
            continue
        result = results.get(slot.index) if isinstance(slot, Leaf) else None
        donated = result is not None
        if result is not None:
            if not leaf.flags.writeable:
                raise ArgumentError(f"{path} is donated to {name} and read-only; pass an array that can be written")
            if overlaps_itself(leaf):
                raise ArgumentError(f"{path} is donated to {name} and has several elements in one place; pass a copy")
        for other, other_path, other_donated in others:
            if (donated or other_donated) and may_share(leaf, other):
                first, second = (path, other_path) if donated else (other_path, path)
                raise ArgumentError(f"{first} is donated to {name} and shares memory with {second}; pass a copy of one")
        others.append((leaf, path, donated))
        if result is not None:
            found[result] = leaf
    return found


def _parts(tree: TreeDef, start: int) -> Iterator[tuple[TreeDef, int]]:
    """A tree and everything in it, outer first, each with the number of its first leaf."""
    yield tree, start
    for child in tree.children:
        yield from _parts(child, start)
        start += child.num_leaves


def _alike(inputs: Sequence[int | None], results: range, graph: Graph) -> bool:
    """Whether results have the dtypes and shapes of inputs, and none of these is compiled in."""
    for source, result in zip(inputs, results, strict=True):
        if source is None:
            return False
        own, made = graph.input_avals[source], graph.output_avals[result]
        if (own.dtype, own.shape) != (made.dtype, made.shape):
            return False
    return True
