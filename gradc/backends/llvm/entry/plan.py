"""What a call of a kernel looks like: which argument stands where, how it is nested, what each leaf has to be."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradc.frontend.given import Given
from gradc.frontend.layout import Call
from gradc.frontend.tree import LEAF, TreeDef, is_named_tuple
from gradc.ir.aval import Aval, Dim, SymbolicDim, symbol
from gradc.ir.signature import Leaf, Static

REQUIRED: Final = inspect.Parameter.empty

LONG: Final = 30_000
"""Operations and bytes of a call (some 10 microseconds) from which on other threads run beside it."""

_LONGEST: Final = 2**63


@dataclass(frozen=True)
class Data:
    """A leaf that is input ``index`` of the kernel. Weak avals take Python numbers, others arrays and NumPy scalars."""

    index: int
    aval: Aval


@dataclass(frozen=True, eq=False)
class Fixed:
    """A leaf that was compiled in: the argument has to be this object, or this string, or this integer."""

    value: Any


@dataclass(frozen=True)
class Result:
    """A leaf that is an array for result ``index`` of the kernel."""

    index: int
    aval: Aval


@dataclass(frozen=True, eq=False)
class Place:
    """One argument: its name where it may be given by name, its default, how it is nested, what its leaves are."""

    name: str | None
    default: Any
    tree: TreeDef
    leaves: tuple[Data | Fixed | Result, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """A call: ``positional`` of the places may come by position, those from ``named`` on by name.

    ``outputs`` is the structure of the result and ``results`` the avals of its leaves. With ``returns_last`` the result
    is the argument of the last place, which has an array for each leaf. ``donated`` are the results that are written
    into the array of an input: its number by that of the result. ``arena`` are bytes, and ``work`` operations
    and bytes: with ``LONG`` of them other threads run while the kernel does.
    """

    name: str
    places: tuple[Place, ...]
    positional: int
    named: int
    inputs: int
    outputs: TreeDef
    results: tuple[Aval, ...]
    arena: Dim
    work: Dim
    returns_last: bool
    donated: Mapping[int, int]

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbolic sizes that the kernel takes, sorted."""
        shapes = [leaf.aval.shape for place in self.places for leaf in place.leaves if isinstance(leaf, Data)]
        dims = [dim for shape in shapes for dim in shape if isinstance(dim, SymbolicDim)]
        return tuple(sorted(frozenset().union(*[dim.symbols for dim in dims])))


def plan_call(
    call: Call,
    slots: Sequence[Leaf | Static],
    inputs: Sequence[Aval],
    outputs: TreeDef,
    results: Sequence[Aval],
    *,
    name: str,
    arena: Dim,
    work: Dim,
    given: Given | None = None,
    donated: Mapping[int, int] | None = None,
) -> Plan | None:
    """The plan of a kernel, None where an entry cannot tell whether a call is the kernel's.

    ``call`` is the call that the kernel was compiled for, ``slots`` what each of its leaves has become, ``inputs`` and
    ``results`` are the avals of the kernel, ``outputs`` is the structure of what it returns. With ``given`` the calls
    have ``out``, nested as that is.
    """
    told = _leaves(call.leaves, slots, inputs)
    if told is None or not all(map(_is_plain, [outputs, *[tree for _, tree in call.trees]])):
        return None
    if not _can_read_sizes(inputs):
        return None
    own = {}
    start = 0
    for parameter, tree in call.trees:
        own[parameter] = tree, told[start : start + tree.num_leaves]
        start += tree.num_leaves
    placed = _places(call.signature.parameters, own)
    if placed is None:
        return None
    places, positional, named = placed
    if given is not None:
        if not _is_plain(given.structure):
            return None
        into = tuple([Result(index, results[index]) for index in given.places])
        places = (*places, Place(given.name, REQUIRED, given.structure, into))
    return Plan(
        name, places, positional, named, len(inputs), outputs, tuple(results), arena, work,
        returns_last=given is not None and given.is_whole, donated=donated or {},
    )  # fmt: skip


def _can_read_sizes(avals: Sequence[Aval]) -> bool:
    """Whether each symbolic size is that of an axis."""
    dims = {dim for aval in avals for dim in aval.shape if isinstance(dim, SymbolicDim)}
    return all(symbol(name) in dims for dim in dims for name in dim.symbols)


def _leaves(
    leaves: Sequence[Any], slots: Sequence[Leaf | Static], avals: Sequence[Aval]
) -> tuple[Data | Fixed, ...] | None:
    told: list[Data | Fixed] = []
    for leaf, slot in zip(leaves, slots, strict=True):
        if isinstance(slot, Leaf):
            aval = avals[slot.index]
            if aval.weak and aval.dtype not in (np.float64, np.int64):
                return None
            if aval.weak != _is_number(leaf):
                return None
            told.append(Data(slot.index, aval))
        elif _is_comparable(leaf):
            told.append(Fixed(leaf))
        else:
            return None
    return tuple(told)


def _is_comparable(leaf: Any) -> bool:
    """Whether an entry can tell that another leaf is as good: by identity, but integers and strings by value."""
    if type(leaf) is int:
        return -_LONGEST <= leaf < _LONGEST
    return type(leaf) in (str, bool) or not isinstance(leaf, (int, str))


def _is_number(leaf: Any) -> bool:
    """Whether a leaf is a Python number or stands for one."""
    return leaf.weak if isinstance(leaf, Aval) else type(leaf) in (int, float)


def _places(
    parameters: Mapping[str, inspect.Parameter], own: dict[str, tuple[TreeDef, tuple[Data | Fixed, ...]]]
) -> tuple[tuple[Place, ...], int, int] | None:
    """Places in order: by position only, by both, the elements of ``*args``, by name only."""
    by_position: list[Place] = []
    by_name: list[Place] = []
    only = 0
    in_front = True
    for name, parameter in parameters.items():
        if name not in own:
            in_front = in_front and parameter.kind is not parameter.POSITIONAL_OR_KEYWORD
            if parameter.kind is parameter.POSITIONAL_ONLY:
                return None
            continue
        tree, leaves = own[name]
        place = Place(name, parameter.default, tree, leaves)
        if parameter.kind is parameter.POSITIONAL_ONLY:
            by_position.append(Place(None, parameter.default, tree, leaves))
            only += 1
        elif parameter.kind is parameter.VAR_POSITIONAL:
            if tree.children and not in_front:
                return None
            by_position.extend(_elements(place, [None] * len(tree.children)))
        elif parameter.kind is parameter.VAR_KEYWORD:
            # The order of several is part of the signature, and places do not know it.
            if len(tree.children) > 1:
                return None
            by_name.extend(_elements(place, tree.keys))
        else:
            first = parameter.kind is parameter.POSITIONAL_OR_KEYWORD and in_front
            (by_position if first else by_name).append(place)
    return (*by_position, *by_name), len(by_position), only


def _elements(place: Place, names: Sequence[str | None]) -> Iterator[Place]:
    start = 0
    for name, tree in zip(names, place.tree.children, strict=True):
        yield Place(name, REQUIRED, tree, place.leaves[start : start + tree.num_leaves])
        start += tree.num_leaves


def _is_plain(tree: TreeDef) -> bool:
    """Whether a structure is made of dicts, lists, tuples and named tuples alone."""
    known = tree.kind in (dict, list, tuple, None) or is_named_tuple(tree.kind)
    return tree == LEAF or (known and all(map(_is_plain, tree.children)))
