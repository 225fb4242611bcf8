"""How the arguments of a call become the inputs of a graph: binding, leaves, checks, and the way back."""

from __future__ import annotations

import ast
import enum
import inspect
import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradc.errors import ArgumentError
from gradc.frontend.tracer import Tracer
from gradc.frontend.tracing import is_static
from gradc.frontend.tree import TreeDef
from gradc.ir.aval import Aval, SymbolicDim, aval_of, dim_value
from gradc.ir.signature import Argument, Branch, Leaf, Signature, Static, Tree


@dataclass(frozen=True)
class Call:
    """A call's arguments by parameter, defaults filled in, taken apart into leaves.

    ``trees`` are the parameters that hold something, with the structure of each; ``leaves`` run through them in order.
    """

    signature: inspect.Signature
    trees: tuple[tuple[str, TreeDef], ...]
    leaves: tuple[Any, ...]

    @property
    def paths(self) -> list[str]:
        """The way to each leaf: ``w['hidden']``."""
        return [path for name, tree in self.trees for path in tree.paths(name)]

    def without_last(self) -> Call:
        """The call without its last parameter."""
        count = len(self.leaves) - self.trees[-1][1].num_leaves
        return Call(self.signature, self.trees[:-1], self.leaves[:count])

    def with_last(self, name: str) -> Call:
        """The same call with one parameter moved to the end."""
        start = 0
        moved: list[Any] = []
        rest: list[Any] = []
        for own, tree in self.trees:
            (moved if own == name else rest).extend(self.leaves[start : start + tree.num_leaves])
            start += tree.num_leaves
        trees = sorted(self.trees, key=lambda entry: entry[0] == name)
        return Call(self.signature, tuple(trees), tuple(rest + moved))

    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """``args`` and ``kwargs`` to call the function with."""
        remaining = iter(self.leaves)
        values = {name: tree.unflatten([next(remaining) for _ in range(tree.num_leaves)]) for name, tree in self.trees}
        bound = inspect.BoundArguments(self.signature, OrderedDict(values))
        return bound.args, bound.kwargs


def call_key(call: Call) -> tuple[Any, ...]:
    """What tells calls apart: the structure, type, dtype and shape of data, the values of what is static."""
    kinds: list[Any] = []
    for leaf in call.leaves:
        kind = type(leaf)
        if kind is np.ndarray or kind is np.memmap or issubclass(kind, np.generic):
            kinds += (leaf.dtype, leaf.shape)
        elif kind is float or kind is int:
            kinds.append(kind)
        elif kind is slice:
            kinds += (kind, leaf.start, leaf.stop, leaf.step)
        else:
            kinds += (kind, leaf)
    return (call.trees, tuple(kinds))


def check_leaves(call: Call) -> None:
    """Raise ArgumentError, with its path, for the first leaf that is neither data nor part of a signature."""
    for leaf, path in zip(call.leaves, call.paths, strict=True):
        if not is_static(leaf, path):
            leaf_aval(leaf, path)


def unhashable(call: Call) -> ArgumentError:
    """What is wrong with a call whose key cannot be looked up. Raises it for a leaf that is not of the right kind."""
    check_leaves(call)
    static = [(leaf, path) for leaf, path in zip(call.leaves, call.paths, strict=True) if is_static(leaf)]
    leaf, path = next((leaf, path) for leaf, path in static if not _has_hash(leaf))
    return ArgumentError(
        f"argument {path}: {type(leaf).__name__} is not data, and has no hash by which a kernel could be found; "
        "pass what it holds as arguments, or give its class a __hash__"
    )


def _has_hash(leaf: Any) -> bool:
    try:
        hash(leaf.__reduce__() if isinstance(leaf, slice) else leaf)
    except (TypeError, ValueError):
        return False
    return True


def leaf_aval(leaf: Any, path: str) -> Aval:
    """The abstract value of a leaf. Raises ArgumentError that names its path."""
    if isinstance(leaf, Aval):
        return leaf
    if isinstance(leaf, Tracer):
        return leaf.aval
    try:
        return aval_of(leaf)
    except TypeError as error:
        raise ArgumentError(f"argument {path}: {error}") from None


def origin_of(function: Callable[..., Any]) -> str:
    """Where a function is defined: ``net.py:4``, empty where there is no source."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{os.path.basename(code.co_filename)}:{code.co_firstlineno}" if code is not None else ""


# The call as data, for generated code.


def describe_tree(tree: TreeDef, slots: Iterator[Leaf | Static]) -> Tree:
    """A structure as plain data, with what stands in each leaf."""
    if tree.is_leaf:
        return next(slots)
    if tree.kind is None:
        return Static("None")
    children = tuple([describe_tree(child, slots) for child in tree.children])
    kind = tree.kind
    if issubclass(kind, dict):
        return Branch("dict", tree.keys, children)
    if kind is list or kind is tuple:
        return Branch("list" if kind is list else "tuple", tree.keys, children)
    flavour = "namedtuple" if issubclass(kind, tuple) else "dataclass"
    return Branch(flavour, tree.keys, children, kind.__name__)  # type: ignore[arg-type]


def static_slot(value: Any) -> Static:
    """A static value as text: a literal, or the name by which generated code knows it (its helper ``_named``)."""
    text = repr(value)
    if literal_text(value) is not None:
        return Static(text)
    if isinstance(value, slice):
        return Static(text, named=True)
    name = value.name if isinstance(value, (enum.Enum, np.dtype)) else type(value).__name__
    return Static(getattr(value, "__name__", name), named=True)


def slots_of(call: Call, guards: dict[int, Any]) -> list[Leaf | Static]:
    """What each leaf of the call becomes: an input of the graph, or a value that is compiled in."""
    slots: list[Leaf | Static] = []
    count = 0
    for position, leaf in enumerate(call.leaves):
        if is_static(leaf) or position in guards:
            slots.append(static_slot(leaf))
        else:
            slots.append(Leaf(count))
            count += 1
    return slots


def literal_text(value: Any) -> str | None:
    """The literal of a value, None where it has none."""
    if value is inspect.Parameter.empty:
        return None
    try:
        return repr(value) if ast.literal_eval(repr(value)) == value else None
    except (ValueError, SyntaxError, TypeError):
        return None


def describe_call(
    call: Call,
    slots: Sequence[Leaf | Static],
    output: Tree,
    *,
    updates: tuple[tuple[int, int], ...] = (),
    **facts: str,
) -> Signature:
    """The signature of a kernel; ``slots[k]`` is what leaf k of the arguments has become."""
    remaining = iter(slots)
    arguments = []
    for name, tree in call.trees:
        parameter = call.signature.parameters[name]
        described = describe_tree(tree, remaining)
        arguments.append(Argument(name, described, parameter.kind.description, literal_text(parameter.default)))
    return Signature(tuple(arguments), output, updates=updates, **facts)


# Arguments of a kernel.


def as_input(leaf: Any, aval: Aval, path: str, sizes: dict[str, int]) -> np.ndarray:
    """The leaf as a contiguous, aligned array of the kernel's aval; ``sizes`` gathers the symbolic ones.

    Raises ArgumentError where dtype or shape differ.
    """
    found = leaf_aval(leaf, path)
    if found.dtype != aval.dtype and not (found.weak and aval.shape == () and _fits(found.dtype, aval.dtype)):
        raise ArgumentError(f"argument {path} is {found} and the kernel is compiled for {aval}")
    if len(found.shape) != aval.ndim:
        raise ArgumentError(f"argument {path} is {found} and the kernel is compiled for {aval}")
    for own, wanted in zip(found.shape, aval.shape, strict=True):
        if isinstance(wanted, SymbolicDim):
            for name in wanted.symbols:
                if wanted == SymbolicDim({(name,): 1}):
                    sizes.setdefault(name, int(own))
            if wanted.symbols <= sizes.keys() and own == dim_value(wanted, sizes):
                continue
            known = ", ".join(f"{name} = {sizes[name]}" for name in sorted(wanted.symbols) if name in sizes)
            raise ArgumentError(f"argument {path} is {found} and the kernel is compiled for {aval} with {known}")
        if own != wanted:
            raise ArgumentError(f"argument {path} is {found} and the kernel is compiled for {aval}")
    try:
        return np.require(leaf, aval.dtype, ("C", "A"))
    except OverflowError:
        raise ArgumentError(f"argument {path} is {leaf} and the kernel is compiled for {aval}") from None


def _fits(found: np.dtype, wanted: np.dtype) -> bool:
    """Whether a Python number of one dtype may stand for a number of another."""
    return "biufc".index(found.kind) <= "biufc".index(wanted.kind)
