"""Which arguments are differentiated: the parameters that ``wrt`` names, their leaves, and what these have to be."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from gradc.errors import ArgumentError, DerivativeError
from gradc.frontend.given import told
from gradc.frontend.layout import Call, leaf_aval
from gradc.frontend.tracing import is_static
from gradc.frontend.tree import LEAF, NONE, TreeDef, tuple_of


def parameters_of(call: Call) -> list[tuple[str, int | None]]:
    """The parameters of a call in order; each element of ``*args`` is one, with its position there."""
    entries: list[tuple[str, int | None]] = []
    for name, tree in call.trees:
        if call.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL:
            entries.extend((name, k) for k in range(len(tree.children)))
        else:
            entries.append((name, None))
    return entries


def select_parameters(
    wrt: str | int | Sequence[str | int] | None, call: Call, label: str, option: str = "wrt"
) -> list[tuple[str, int | None]]:
    """The parameters that ``wrt`` names, by name or position; an element of ``*args`` has a position in it.

    The default is the first. Raises DerivativeError for a name or a position that is not there, or ArgumentError where
    another ``option`` names them.
    """
    entries = parameters_of(call)
    several = isinstance(wrt, Iterable) and not isinstance(wrt, str)
    chosen: tuple[Any, ...] = (0,) if wrt is None else tuple(wrt) if several else (wrt,)  # type: ignore[arg-type]
    names = [name for name, _ in entries]
    if not chosen or not entries:
        raise _error(option, wrt, f"names no argument of {label}{call.signature}")
    return [_selected(choice, entries, names, f"{label}{call.signature}", option) for choice in chosen]


def _error(option: str, choice: Any, problem: str) -> ArgumentError | DerivativeError:
    return (DerivativeError if option == "wrt" else ArgumentError)(f"{option}={choice!r} {problem}")


def _selected(
    choice: str | int, entries: list[tuple[str, int | None]], names: list[str], label: str, option: str
) -> tuple[str, int | None]:
    if isinstance(choice, str):
        if choice not in names:
            raise _error(option, choice, f"is not an argument of {label}; choose among {', '.join(names)}")
        return (choice, None)
    if isinstance(choice, bool) or not isinstance(choice, int):
        raise _error(option, choice, f"is neither the name nor the position of an argument of {label}")
    if not -len(entries) <= choice < len(entries):
        raise _error(option, choice, f"is out of range for the {len(entries)} arguments of {label}")
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


def differentiable(leaf: Any, path: str, remedy: str = "leave it out of wrt") -> Any:
    """A leaf as a target: Python ints become floats, static values stay, integer and boolean arrays are refused."""
    if is_static(leaf):
        return leaf
    aval = leaf_aval(leaf, path)
    if aval.dtype.kind in "fc":
        return leaf
    if aval.weak:
        return float(leaf) if type(leaf) is int else leaf * 1.0
    raise DerivativeError(
        f"{path} is {aval}, and there is no derivative by integers or truth values; convert it to a float, or {remedy}"
    )


class CompressedColumns(NamedTuple):
    """A sparse matrix: its elements column by column, their rows, where each column starts and the last one ends, and
    the numbers of rows and columns. The last three depend on no argument."""

    data: Any
    indices: Any
    indptr: Any
    shape: Any


COMPRESSED = TreeDef(CompressedColumns, CompressedColumns._fields, (LEAF,) * 4)
"""The structure of a block of a sparse derivative."""

Target = tuple[str, int | None]
"""A parameter, or an element of one of ``*args``."""


def matched_tangents(call: Call, targets: Sequence[Target], *, single: bool) -> list[tuple[int, int]]:
    """Which leaf each tangent of a call belongs to: positions of the primal and of the tangent, in the tangents' order.

    The last parameter of ``call`` holds the tangents: a tuple with an entry for each target, or the entry itself where
    ``single``. An entry is nested as its target is; None, for all of it or for parts, is for what does not move. Raises
    ArgumentError where it is nested otherwise.
    """
    name, given = call.trees[-1]
    primal = call.without_last()
    wanted = [(*leaves_of(primal, target), _path(target)) for target in targets]
    entries = given.children
    if single:
        entries = (given,)
    elif given.kind not in (tuple, list) or len(entries) != len(wanted):
        listed = ", ".join(path for _, _, path in wanted)
        raise ArgumentError(f"{name} is {told(given)} and has to be a tuple with a tangent for each of {listed}")
    pairs: list[tuple[int, int]] = []
    tangent = len(primal.leaves)
    for k, (entry, (positions, tree, path)) in enumerate(zip(entries, wanted, strict=True)):
        own = name if single else f"{name}[{k}]"
        for position in leaf_positions(entry, tree, positions.start, own, path, "does not move"):
            pairs.append((position, tangent))
            tangent += 1
    return pairs


def _path(target: Target) -> str:
    return target[0] if target[1] is None else f"{target[0]}[{target[1]}]"


def leaf_positions(given: TreeDef, wanted: TreeDef, start: int, path: str, primal: str, without: str) -> Iterator[int]:
    """For each leaf of ``given`` the position of the leaf of ``wanted``, whose first one is at ``start``.

    None in ``given`` is for what has no leaf there. Raises ArgumentError where they are nested differently; ``path``
    and ``primal`` say what the two are, ``without`` what None means.
    """
    if given == NONE:
        return
    if given.is_leaf and wanted.is_leaf:
        yield start
        return
    if given.is_leaf or wanted.is_leaf or given.kind is not wanted.kind or set(given.keys) != set(wanted.keys):
        raise ArgumentError(
            f"{path} is {told(given)} and {primal} is {told(wanted)}; nest it as the argument is, "
            f"with None for what {without}"
        )
    starts = {}
    for key, child in zip(wanted.keys, wanted.children, strict=True):
        starts[key] = start, child
        start += child.num_leaves
    for key, child in zip(given.keys, given.children, strict=True):
        at, own = starts[key]
        yield from leaf_positions(child, own, at, f"{path}[{key!r}]", f"{primal}[{key!r}]", without)


def checked_tangent(tangent: Any, path: str, primal: Any, primal_path: str) -> Any:
    """A tangent for a primal leaf. Raises ArgumentError unless it has the dtype and shape of its primal."""
    if is_static(primal):
        raise DerivativeError(f"{path}: {primal_path} is {primal!r} and does not move; give None for its tangent")
    found, wanted = leaf_aval(tangent, path), leaf_aval(primal, primal_path)
    if found.weak and found.dtype.kind in "if" and wanted.shape == found.shape == ():
        return float(tangent) if type(tangent) is int else tangent
    if found.dtype != wanted.dtype or found.shape != wanted.shape:
        raise ArgumentError(
            f"{path} is {found} and {primal_path} is {wanted}; a tangent has the dtype and shape of its primal"
        )
    return tangent


def result_tree(derivative: str, values: TreeDef, gradients: TreeDef, *, has_aux: bool) -> TreeDef:
    """The structure of what a derivative gives; ``gradients`` is that of the gradients of one result."""
    if derivative == "value":
        return values
    if derivative == "value_and_grad":
        return tuple_of(values, gradients)
    if derivative == "jvp":
        out, *aux = values.children if has_aux else (values,)
        return tuple_of(out, out, *aux)
    found = gradients
    blocks = in_each_leaf(gradients, COMPRESSED) if derivative.startswith("sparse") else gradients
    if derivative.endswith("jacobian"):
        found = in_each_leaf(values.children[0] if has_aux else values, blocks)
    elif derivative.endswith("hessian"):
        found = in_each_leaf(gradients, blocks)
    return tuple_of(found, values.children[1]) if has_aux and derivative != "vjp" else found


def in_each_leaf(tree: TreeDef, inner: TreeDef) -> TreeDef:
    """The tree with another in the place of each leaf."""
    if tree.is_leaf:
        return inner
    return TreeDef(tree.kind, tree.keys, tuple([in_each_leaf(child, inner) for child in tree.children]))
