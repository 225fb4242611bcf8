"""Symbolic sizes get local names: a size may be called ``class`` or as a variable of the user's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gradc.backends.numpy.naming import Names
from gradc.ir.aval import Aval, SymbolicDim
from gradc.ir.graph import Graph


def with_local_symbols(graph: Graph, names: Names) -> tuple[Graph, dict[str, str]]:
    """The graph with every symbolic size renamed to a free local name, and the names by symbol."""
    local = {symbol: names.take(symbol, "n") for symbol in graph.symbols}
    if all(symbol == name for symbol, name in local.items()):
        return graph, local
    nodes = tuple(
        n._replace(aval=renamed(n.aval, local), params={k: renamed(v, local) for k, v in n.params.items()})
        for n in graph.nodes
    )
    return replace(graph, nodes=nodes), local


def renamed(value: Any, local: dict[str, str]) -> Any:
    """A param, an aval or a size with the symbols in it renamed."""
    if isinstance(value, SymbolicDim):
        return SymbolicDim({tuple(_atom(a, local) for a in monomial): c for monomial, c in value.terms})
    if isinstance(value, Aval):
        return replace(value, shape=renamed(value.shape, local))
    if isinstance(value, tuple):
        return tuple(renamed(item, local) for item in value)
    return value


def _atom(atom: Any, local: dict[str, str]) -> Any:
    if isinstance(atom, str):
        return local[atom]
    operation, left, right = atom
    return (operation, renamed(left, local), renamed(right, local))
