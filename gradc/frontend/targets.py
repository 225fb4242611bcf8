"""Which arguments are differentiated: the parameters that ``wrt`` names, their leaves, and what these have to be."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gradc.errors import DerivativeError
from gradc.frontend.layout import Call, leaf_aval
from gradc.frontend.tracing import is_static
from gradc.frontend.tree import LEAF, NONE, TreeDef


def select_parameters(
    wrt: str | int | Sequence[str | int] | None, call: Call, label: str
) -> list[tuple[str, int | None]]:
    """The parameters that ``wrt`` names, by name or position; an element of ``*args`` has a position in it.

    The default is the first. Raises DerivativeError for a name or a position that is not there.
    """
    entries: list[tuple[str, int | None]] = []
    for name, tree in call.trees:
        if call.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            entries.extend((name, k) for k in range(len(tree.children)))
        else:
            entries.append((name, None))
    several = isinstance(wrt, Iterable) and not isinstance(wrt, str)
    chosen: tuple[Any, ...] = (0,) if wrt is None else tuple(wrt) if several else (wrt,)  # type: ignore[arg-type]
    names = [name for name, _ in entries]
    if not chosen or not entries:
        raise DerivativeError(f"wrt={wrt!r} names no argument of {label}{call.signature}")
    return [_selected(choice, entries, names, f"{label}{call.signature}") for choice in chosen]


def _selected(
    choice: str | int, entries: list[tuple[str, int | None]], names: list[str], label: str
) -> tuple[str, int | None]:
    if isinstance(choice, str):
        if choice not in names:
            raise DerivativeError(f"wrt={choice!r} is not an argument of {label}; choose among {', '.join(names)}")
        return (choice, None)
    if isinstance(choice, bool) or not isinstance(choice, int):
        raise DerivativeError(f"wrt={choice!r} is neither the name nor the position of an argument of {label}")
    if not -len(entries) <= choice < len(entries):
        raise DerivativeError(f"wrt={choice} is out of range for the {len(entries)} arguments of {label}")
    return entries[choice]


def leaves_of(call: Call, target: tuple[str, int | None]) -> tuple[range, TreeDef]:
    """The positions of the leaves of a parameter (or of one element of ``*args``), and its structure."""
    name, element = target
    start = 0
    for own, tree in call.trees:
        if own == name:
            if element is not None:
                start += sum(child.num_leaves for child in tree.children[:element])
                tree = tree.children[element]
            return range(start, start + tree.num_leaves), tree
        start += tree.num_leaves
    raise DerivativeError(f"{name!r} is not an argument")


def without_leaves(tree: TreeDef, kept: Iterator[bool]) -> TreeDef:
    """The tree with None in place of the leaves that are not kept."""
    if tree.is_leaf:
        return LEAF if next(kept) else NONE
    if not tree.children:
        return tree
    return TreeDef(tree.kind, tree.keys, tuple([without_leaves(child, kept) for child in tree.children]))


def differentiable(leaf: Any, path: str) -> Any:
    """A leaf as a target: Python ints become floats, static values stay, integer and boolean arrays are refused."""
    if is_static(leaf):
        return leaf
    aval = leaf_aval(leaf, path)
    if aval.dtype.kind in "fc":
        return leaf
    if aval.weak:
        return float(leaf) if type(leaf) is int else leaf * 1.0
    raise DerivativeError(
        f"{path} is {aval}, and there is no derivative by integers or truth values; "
        f"convert it to a float, or leave it out of wrt"
    )
