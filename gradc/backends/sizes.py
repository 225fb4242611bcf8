"""Symbolic sizes become numbers when a kernel is called: bound from the inputs' shapes, put into params."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradc.errors import ArgumentError
from gradc.ir.aval import Aval, SymbolicDim, dim_value, shape_text
from gradc.ir.graph import Graph


def bind_sizes(graph: Graph, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The number of every symbolic size of ``graph``, read off the shapes of its inputs.

    Raises ArgumentError where a shape does not fit its aval, two shapes contradict each other,
    or a size stands alone in no shape.
    """
    if len(shapes) != len(graph.inputs):
        raise ArgumentError(f"the graph takes {len(graph.inputs)} inputs and was given {len(shapes)}")
    return read_sizes(graph.input_names, graph.input_avals, shapes)


def read_sizes(names: Sequence[str], avals: Sequence[Aval], shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The same for inputs of these names and avals."""
    sizes: dict[str, int] = {}
    symbols: set[str] = set()
    for name, aval, shape in zip(names, avals, shapes, strict=True):
        if len(shape) != len(aval.shape):
            raise ArgumentError(f"{name} has shape {shape_text(tuple(shape))}, expected {shape_text(aval.shape)}")
        for dim, number in zip(aval.shape, shape, strict=True):
            if isinstance(dim, SymbolicDim):
                symbols |= dim.symbols
                if dim.symbols == {str(dim)}:
                    sizes.setdefault(str(dim), number)
    for name in sorted(symbols):
        if name not in sizes:
            raise ArgumentError(
                f"the size {name} cannot be read off the shapes: no input has an axis of exactly that size"
            )
    for name, aval, shape in zip(names, avals, shapes, strict=True):
        _check_shape(name, aval, shape, sizes)
    return sizes


def _check_shape(name: str, aval: Aval, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    expected = tuple(dim_value(d, sizes) for d in aval.shape)
    if tuple(shape) != expected:
        where = ", ".join(f"{symbol} = {number}" for symbol, number in sorted(sizes.items()))
        given = f" with {where}" if aval.is_symbolic else ""
        raise ArgumentError(f"{name} has shape {shape_text(tuple(shape))}, expected {shape_text(aval.shape)}{given}")


def with_numbers(value: Any, sizes: dict[str, int]) -> Any:
    """A param with every symbolic size in it replaced by its number."""
    if isinstance(value, SymbolicDim):
        return value.evaluate(sizes)
    if isinstance(value, tuple):
        return tuple(with_numbers(item, sizes) for item in value)
    return value
