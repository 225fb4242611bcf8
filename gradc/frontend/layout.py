"""How the arguments of a call become the inputs of a graph: binding, leaves, checks, and the way back."""

from __future__ import annotations

import ast
import inspect
import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradc.errors import ArgumentError, DerivativeError
from gradc.frontend.tracer import Tracer
from gradc.frontend.tracing import is_static
from gradc.frontend.tree import LEAF, NONE, TreeDef, flatten
from gradc.ir.aval import Aval, SymbolicDim, aval_of, dim_value
from gradc.ir.signature import Argument, Branch, Leaf, Signature, Static, Tree

_OF_NUMPY = (np.ufunc, type(np.sum))


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


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a callable; a ufunc takes its operands alone, ``x0, x1, ...``."""
    if not isinstance(function, np.ufunc):
        try:
            return inspect.signature(function)
        except (ValueError, TypeError):
            pass
    count = getattr(function, "nin", 1)
    return inspect.Signature([inspect.Parameter(f"x{k}", inspect.Parameter.POSITIONAL_ONLY) for k in range(count)])


def has_values_for_defaults(function: Callable[..., Any]) -> bool:
    """Whether the defaults of a function are values. Those of NumPy's own functions may mean "not given"."""
    innermost = inspect.unwrap(function, stop=lambda f: isinstance(f, _OF_NUMPY))
    return not isinstance(innermost, _OF_NUMPY) and hasattr(innermost, "__code__")


def bind(
    signature: inspect.Signature, label: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, defaults: bool = True
) -> Call:
    """Bind a call to a signature, its ``defaults`` filled in. Raises ArgumentError as Python would raise TypeError."""
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as error:
        raise ArgumentError(f"{label}{signature}: {error}") from None
    if defaults:
        bound.apply_defaults()
    leaves: list[Any] = []
    trees = []
    for name, value in bound.arguments.items():
        found, tree = flatten(value)
        leaves.extend(found)
        trees.append((name, tree))
    return Call(signature, tuple(trees), tuple(leaves))


def call_key(call: Call) -> tuple[Any, ...]:
    """What a kernel is compiled for: the structure, the abstract values of data, the values of what is static."""
    kinds: list[Any] = []
    for leaf, path in zip(call.leaves, call.paths, strict=True):
        if is_static(leaf, path):
            kinds.append(("static", type(leaf), leaf))
        else:
            kinds.append(leaf_aval(leaf, path))
    return (call.trees, tuple(kinds))


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


def with_cotangent(signature: inspect.Signature, name: str) -> inspect.Signature:
    """The signature with a keyword-only cotangent at the end."""
    parameters = list(signature.parameters.values())
    ct = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY)
    at = next((k for k, p in enumerate(parameters) if p.kind is p.VAR_KEYWORD), len(parameters))
    return signature.replace(parameters=[*parameters[:at], ct, *parameters[at:]])


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
    """A static value as text: a literal, or the name of a callable."""
    text = repr(value)
    if literal_text(value) is not None:
        return Static(text)
    return Static(getattr(value, "__name__", type(value).__name__), named=True)


def literal_text(value: Any) -> str | None:
    """The literal of a value, None where it has none."""
    if value is inspect.Parameter.empty:
        return None
    try:
        return repr(value) if ast.literal_eval(repr(value)) == value else None
    except (ValueError, SyntaxError, TypeError):
        return None


def describe_call(call: Call, slots: Sequence[Leaf | Static], output: Tree, **facts: str) -> Signature:
    """The signature of a kernel; ``slots[k]`` is what leaf k of the arguments has become."""
    remaining = iter(slots)
    arguments = []
    for name, tree in call.trees:
        parameter = call.signature.parameters[name]
        described = describe_tree(tree, remaining)
        arguments.append(Argument(name, described, parameter.kind.description, literal_text(parameter.default)))
    return Signature(tuple(arguments), output, **facts)


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
