"""Pytrees: nested dicts, lists, tuples, namedtuples, dataclasses and None around leaves."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gradc.errors import ArgumentError
from gradc.ir.aval import Aval


class TreeDef:
    """The structure of a pytree without its leaves; hashable and comparable.

    ``kind`` is the container's type (``None`` for the tree None, ``object`` for a leaf); ``keys`` are the dict keys,
    field names or positions of ``children``.
    """

    __slots__ = ("_hash", "children", "keys", "kind", "num_leaves")

    def __init__(self, kind: type | None, keys: tuple[Any, ...] = (), children: tuple[TreeDef, ...] = ()) -> None:
        self.kind = kind
        self.keys = keys
        self.children = children
        self.num_leaves: int = 1 if kind is object else sum([c.num_leaves for c in children])
        self._hash = hash((kind, keys, children))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, TreeDef)
            and self._hash == other._hash
            and self.kind is other.kind
            and self.keys == other.keys
            and self.children == other.children
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        """Made anew in another process, where strings hash otherwise."""
        return TreeDef, (self.kind, self.keys, self.children)

    def __repr__(self) -> str:
        return f"TreeDef({self})"

    def __str__(self) -> str:
        return repr(self.unflatten(["*"] * self.num_leaves)).replace("'*'", "*")

    @property
    def is_leaf(self) -> bool:
        return self.kind is object

    def unflatten(self, leaves: Sequence[Any]) -> Any:
        """The tree of this structure with the given leaves, in the order of ``flatten``.

        Raises ArgumentError when their number differs.
        """
        if len(leaves) != self.num_leaves:
            raise ArgumentError(f"the tree has {self.num_leaves} leaves and {len(leaves)} were given")
        return self._unflatten(iter(leaves))

    def _unflatten(self, leaves: Iterator[Any]) -> Any:
        kind = self.kind
        if kind is object:
            return next(leaves)
        if kind is None:
            return None
        children = [child._unflatten(leaves) for child in self.children]
        if kind is list:
            return children
        if kind is tuple:
            return tuple(children)
        if issubclass(kind, dict):
            return kind(zip(self.keys, children, strict=True))
        if issubclass(kind, tuple):
            return kind(*children)
        # A dataclass is filled without its __init__: conversions and checks in there are for the user's own calls.
        made = object.__new__(kind)
        for name, child in zip(self.keys, children, strict=True):
            object.__setattr__(made, name, child)
        return made

    def paths(self, root: str) -> list[str]:
        """How each leaf is reached from ``root``, as Python writes it: ``w['hidden'][0].bias``."""
        found: list[str] = []
        self._collect(root, found)
        return found

    def _collect(self, root: str, found: list[str]) -> None:
        kind = self.kind
        if kind is object:
            found.append(root)
            return
        by_name = kind is not None and not issubclass(kind, dict) and kind not in (list, tuple)
        for key, child in zip(self.keys, self.children, strict=True):
            child._collect(f"{root}.{key}" if by_name else f"{root}[{key!r}]", found)


def is_named_tuple(kind: Any) -> bool:
    """Whether a class is what ``namedtuple`` or ``NamedTuple`` make, nothing added to how its objects are made or laid
    out: they are tuples in memory, of another type.
    """
    return (
        type(kind) is type
        and kind.__bases__ == (tuple,)
        and getattr(kind.__new__, "__globals__", {}).get("_tuple_new") is tuple.__new__
        and getattr(kind, "__init__", None) is object.__init__
        and not kind.__dictoffset__
        and not kind.__weakrefoffset__
    )


LEAF = TreeDef(object)
"""The structure of a tree that is one leaf."""

NONE = TreeDef(None)
"""The structure of None, which has no leaves."""


def tuple_of(*trees: TreeDef) -> TreeDef:
    """The structure of a tuple of trees."""
    return TreeDef(tuple, tuple(range(len(trees))), trees)


def flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeDef]:
    """The leaves of a pytree, left to right (dicts in insertion order), and its structure.

    Whatever is not a container listed in this module is a leaf (an Aval too), and whatever ``is_leaf`` says is one.
    Raises ArgumentError for a container that holds itself.
    """
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves, is_leaf)
    except RecursionError:
        raise ArgumentError(f"a {type(tree).__name__} is nested too deeply, or contains itself") from None


def _flatten(tree: Any, leaves: list[Any], is_leaf: Callable[[Any], bool] | None) -> TreeDef:
    kind = type(tree)
    if is_leaf is not None and is_leaf(tree):
        leaves.append(tree)
        return LEAF
    if tree is None:
        return NONE
    if kind is tuple or kind is list:
        return TreeDef(kind, tuple(range(len(tree))), tuple([_flatten(child, leaves, is_leaf) for child in tree]))
    if isinstance(tree, dict):
        kept = OrderedDict if issubclass(kind, OrderedDict) else dict
        return TreeDef(kept, tuple(tree), tuple([_flatten(child, leaves, is_leaf) for child in tree.values()]))
    if isinstance(tree, tuple) and hasattr(kind, "_fields"):
        return TreeDef(kind, tuple(kind._fields), tuple([_flatten(child, leaves, is_leaf) for child in tree]))
    if dataclasses.is_dataclass(kind) and not isinstance(tree, Aval):
        names = tuple([f.name for f in dataclasses.fields(kind) if hasattr(tree, f.name)])
        return TreeDef(kind, names, tuple([_flatten(getattr(tree, name), leaves, is_leaf) for name in names]))
    leaves.append(tree)
    return LEAF
