"""vmap: a function of single values as a function of arrays of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gradc.errors import ArgumentError
from gradc.frontend.binding import signature_of
from gradc.frontend.given import told
from gradc.frontend.layout import leaf_aval
from gradc.frontend.tracing import inline, is_static, trace
from gradc.frontend.tree import TreeDef, flatten
from gradc.function import Function
from gradc.ir.aval import Aval, Dim
from gradc.request import Backend, Stabilize
from gradc.transforms.batching import batch

Axes = Any
"""An axis, None, or a container of those that is nested as an argument is, as far down as it goes."""


def vmap(
    function: Callable[..., Any],
    in_axes: Axes = 0,
    out_axes: Axes = 0,
    *,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
    name: str | None = None,
) -> Function:
    """The function applied to each element along an axis of its arguments, in one graph without a loop.

    ``in_axes`` is the axis of every argument, or a tuple with one entry for each positional argument: an axis, None for
    what is the same in all applications, or a container of those, nested as the argument is. Arguments given by name
    are mapped along axis 0. ``out_axes`` is the axis of the results, or nested as they are; None is for results that
    are the same in all applications. Raises ArgumentError for axes that are not there or differ in size.

    It composes with every derivative: ``vmap(grad(loss), in_axes=(None, 0))`` gives a gradient for each sample.
    """
    mapped = _Mapped(function, in_axes, out_axes)
    return Function(mapped, backend=backend, stabilize=stabilize, threads=threads, name=name)


class _Mapped:
    """Called by a trace: traces the function for one element, and makes the graph for all part of the trace."""

    def __init__(self, function: Callable[..., Any], in_axes: Axes, out_axes: Axes) -> None:
        if not callable(function):
            raise ArgumentError(f"{type(function).__name__} is not a function; give one of arrays")
        self.function = function
        self.in_axes = in_axes
        self.out_axes = out_axes
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self.__signature__ = signature_of(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, tree = flatten((args, kwargs))
        axes = [
            None if axis is None or is_static(leaf) else _place(leaf, axis, path)
            for leaf, (axis, path) in zip(leaves, self._axes(tree), strict=True)
        ]
        size = _size(leaves, axes, [path for _, path in self._axes(tree)])
        single = [leaf if axis is None else _without(leaf, axis) for leaf, axis in zip(leaves, axes, strict=True)]
        own, named = tree.unflatten(single)
        source = trace(self.function, own, named)
        data = [k for k, leaf in enumerate(leaves) if not is_static(leaf)]
        out_axes = [axis for axis, _ in spread_axes(self.out_axes, source.out_tree, "out_axes", "the result")]
        graph = batch(source.graph, [*(axes[k] for k in data), *(None for _ in source.captures)], size, out_axes)
        results = inline(graph, [*(leaves[k] for k in data), *source.captures], self.__name__)
        return source.out_tree.unflatten(results)

    def _axes(self, tree: TreeDef) -> list[tuple[int | None, str]]:
        """The axis of each leaf of ``(args, kwargs)``, and its path."""
        positional, named = tree.children
        names = [*self.__signature__.parameters, *(f"argument {k}" for k in range(len(positional.children)))]
        entries = self.in_axes
        if isinstance(entries, (tuple, list)):
            if len(entries) != len(positional.children):
                raise ArgumentError(
                    f"in_axes has {len(entries)} entries and {self.__name__} is called with "
                    f"{len(positional.children)} positional arguments; give one for each, None for what is not mapped"
                )
        else:
            entries = [entries] * len(positional.children)
        found: list[tuple[int | None, str]] = []
        for entry, child, path in zip(entries, positional.children, names, strict=False):
            found += spread_axes(entry, child, "in_axes", path)
        for key, child in zip(named.keys, named.children, strict=True):
            found += spread_axes(0, child, "in_axes", key)
        return found


def spread_axes(axes: Axes, tree: TreeDef, name: str, path: str) -> Iterator[tuple[int | None, str]]:
    """The axis for each leaf of ``tree``, and the path of the leaf. Raises ArgumentError where they do not fit."""
    if axes is None or (isinstance(axes, int) and not isinstance(axes, bool)):
        for own in tree.paths(path):
            yield axes, own
        return
    given = flatten(axes, lambda x: x is not axes)[1]
    if given.is_leaf or given.kind is not tree.kind or set(given.keys) != set(tree.keys):
        what = f"{axes!r}" if given.is_leaf else told(given)
        raise ArgumentError(f"{name} is {what} for {path}, which is {told(tree)}; give an axis, None, or nest it alike")
    entries = (
        axes
        if isinstance(axes, dict)
        else dict(zip(given.keys, flatten(axes, lambda x: x is not axes)[0], strict=True))
    )
    for key, child in zip(tree.keys, tree.children, strict=True):
        yield from spread_axes(entries[key], child, name, f"{path}[{key!r}]")


def _place(leaf: Any, axis: int, path: str) -> int:
    """The axis counted from the first. Raises ArgumentError where the leaf has none such."""
    aval = leaf_aval(leaf, path)
    if not -aval.ndim <= axis < aval.ndim:
        raise ArgumentError(
            f"{path} is {aval} and has no axis {axis} to map; give None in in_axes for what is the same"
        )
    return axis % aval.ndim


def _size(leaves: Sequence[Any], axes: Sequence[int | None], paths: Sequence[str]) -> Dim:
    """The size of the mapped axes. Raises ArgumentError where they differ, or there are none."""
    found: tuple[Dim, str] | None = None
    for leaf, axis, path in zip(leaves, axes, paths, strict=True):
        if axis is None:
            continue
        aval = leaf_aval(leaf, path)
        if found is None:
            found = aval.shape[axis], f"{path} is {aval} and has {aval.shape[axis]} along axis {axis}"
        elif aval.shape[axis] != found[0]:
            raise ArgumentError(
                f"{found[1]}, {path} is {aval} and has {aval.shape[axis]} along axis {axis}; mapped axes have one size"
            )
    if found is None:
        raise ArgumentError("in_axes maps no argument; give the axis of at least one")
    return found[0]


def _without(leaf: Any, axis: int) -> Aval:
    """What one application sees of a leaf."""
    aval = leaf_aval(leaf, "")
    return Aval((*aval.shape[:axis], *aval.shape[axis + 1 :]), aval.dtype)
