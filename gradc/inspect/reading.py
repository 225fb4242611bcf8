"""From a graph back to what the user wrote: every named value with its definition over other named values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    Apply,
    Expr,
    Number,
    Symbol,
    Table,
    add,
    coefficient_of,
    divide,
    factors_of,
    leaves,
    mul,
    narrow,
    negative,
    power,
    spread,
)
from gradc.inspect.laws import tidied
from gradc.inspect.places import element_of
from gradc.inspect.recognise import recognised
from gradc.ir.aval import Dim, SymbolicDim, broadcast_shapes, size_of
from gradc.ir.graph import CONSTANT, INPUT, Builder, Graph, Node

_LONG = 16
"""A definition of more symbols than this is told in parts, each with a name of its own."""

_SHARED = 6
"""So is one that is used twice and is longer than this."""


@dataclass
class Sizes:
    """The letters for how many elements are summed: ``n`` for the first count that occurs, then ``m``, ``n_3``, ..."""

    taken: frozenset[str] = frozenset()
    letters: dict[Dim, Symbol] = field(default_factory=dict)

    def symbol(self, count: Dim) -> Expr:
        """The symbol of a count; a symbolic size keeps its name, 1 is the number 1."""
        if count == 1:
            return ONE
        known = self.letters.get(count)
        if known is None:
            known = self.letters[count] = Symbol(self._letter(count), (), "size")
        return known

    def _letter(self, count: Dim) -> str:
        used = self.taken | {s.name for s in self.letters.values()}
        if isinstance(count, SymbolicDim) and str(count).isidentifier() and str(count) not in used:
            return str(count)
        candidates = ["n", "m", *(f"n_{k}" for k in range(2, len(used) + 4))]
        return next(c for c in candidates if c not in used)


@dataclass(frozen=True)
class Unit:
    """A call of one of the user's functions that is read as a known function of one argument."""

    helper: str
    function: str
    argument: int
    params: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Definition:
    """A named value: its definition as read, as written (a call of a helper as one), and its node."""

    symbol: Symbol
    expression: Expr
    written: Expr
    node: int


@dataclass(frozen=True)
class Reading:
    """The named values of a graph in order of computation; ``symbols`` maps nodes to the names they go by."""

    inputs: tuple[Symbol, ...]
    definitions: tuple[Definition, ...]
    symbols: Mapping[int, Symbol]
    constants: Mapping[Symbol, np.ndarray]
    sizes: Sizes


def read(graph: Graph, extra_names: Mapping[int, str], units: Mapping[int, Unit]) -> Reading:
    """Read a graph. ``extra_names`` are for nodes without a name, ``units`` the calls that are read as one function."""
    names = _unique_names(graph, extra_names)
    sizes = Sizes(frozenset(names.values()))
    symbols: dict[int, Symbol] = {}
    constants: dict[Symbol, np.ndarray] = {}
    definitions: list[Definition] = []
    readings: list[Expr] = [ONE] * len(graph.nodes)
    varying = _varying(graph)
    own = _Names("u", set(names.values()))
    for node in graph.nodes:
        if node.op is INPUT:
            symbols[node.id] = Symbol(names[node.id], node.aval.shape, "input")
            readings[node.id] = symbols[node.id]
            continue
        if node.op is CONSTANT and node.aval.shape:
            symbol = Symbol(names.get(node.id) or own.fresh("c"), node.aval.shape, "constant array")
            constants[symbol] = node.params["value"]
            readings[node.id] = symbol
            continue
        if sum(leaves(readings[i]) for i in node.operands) > _LONG:
            for i in node.operands:
                if varying[i] and i not in symbols and leaves(readings[i]) > _SHARED:
                    symbols[i] = Symbol(own.fresh("u"), graph.nodes[i].aval.shape)
                    definitions.append(Definition(symbols[i], readings[i], readings[i], i))
                    readings[i] = symbols[i]
        unit = units.get(node.id)
        if unit is not None:
            argument = readings[unit.argument]
            written: Expr = Apply(unit.helper, (argument,), node.aval.shape, (("helper", True),))
            expression: Expr = Apply(unit.function, (argument,), node.aval.shape, unit.params)
        else:
            written = expression_of(node, [readings[i] for i in node.operands], graph.nodes, sizes)
            written = tidied(written)
            expression = recognised(written)
        name = names.get(node.id)
        if name is None and varying[node.id] and _deserves_a_name(expression, len(graph.consumers[node.id])):
            name = own.fresh("u")
        if name is None or (not varying[node.id] and node.id not in graph.outputs):
            readings[node.id] = expression
            continue
        symbol = Symbol(name, node.aval.shape)
        symbols[node.id] = readings[node.id] = symbol
        definitions.append(Definition(symbol, expression, written, node.id))
    inputs = tuple(symbols[i] for i in graph.inputs)
    return Reading(inputs, tuple(definitions), symbols, constants, sizes)


def read_values(builder: Builder, node: int, given: Mapping[int, Expr], sizes: Sizes) -> Expr:
    """One value of a small graph as an expression, some of its nodes given."""
    readings: dict[int, Expr] = dict(given)
    for each in builder.nodes[: node + 1]:
        if each.id not in readings and each.op is not INPUT:
            readings[each.id] = expression_of(each, [readings[i] for i in each.operands], builder.nodes, sizes)
    return readings[node]


def _varying(graph: Graph) -> list[bool]:
    """Which nodes depend on an input."""
    varying = [False] * len(graph.nodes)
    for node in graph.nodes:
        varying[node.id] = node.op is INPUT or any(varying[i] for i in node.operands)
    return varying


def _deserves_a_name(expression: Expr, uses: int) -> bool:
    size = leaves(expression)
    return size > _LONG or (uses > 1 and size > _SHARED)


class _Names:
    """Fresh names that nobody uses."""

    def __init__(self, letter: str, taken: set[str]) -> None:
        self.letter = letter
        self.taken = taken
        self.counts: dict[str, int] = {}

    def fresh(self, letter: str) -> str:
        while True:
            self.counts[letter] = self.counts.get(letter, 0) + 1
            name = f"{letter}{self.counts[letter]}"
            if name not in self.taken:
                self.taken.add(name)
                return name


def _unique_names(graph: Graph, extra: Mapping[int, str]) -> dict[int, str]:
    """Every name once: inputs keep theirs, and a name that is given again and again is numbered."""
    names = {i: str(graph.nodes[i].params["name"]) for i in graph.inputs}
    taken = set(names.values())
    given = {**{i: n for i, n in extra.items() if i not in graph.names}, **graph.names}
    varying = _varying(graph)
    by_name: dict[str, list[int]] = {}
    for node, name in sorted(given.items()):
        if node not in names and (varying[node] or node in graph.outputs or graph.nodes[node].op is CONSTANT):
            by_name.setdefault(name, []).append(node)
    for name, nodes in by_name.items():
        if len(nodes) == 1 and name not in taken:
            names[nodes[0]] = name
            taken.add(name)
            continue
        count = 0
        for node in nodes:
            count += 1
            while f"{name}_{count}" in taken or f"{name}_{count}" in by_name:
                count += 1
            names[node] = f"{name}_{count}"
            taken.add(names[node])
    return names


# One node over the expressions of its operands


def expression_of(node: Node, parts: Sequence[Expr], nodes: Sequence[Node], sizes: Sizes) -> Expr:
    """The expression that a node stands for."""
    name, aval = node.op.name, node.aval
    if node.op is CONSTANT and not aval.shape:
        return _number(node.params["value"])
    if node.op is CONSTANT:
        return Apply(name, (), aval.shape, (("value", Table.of(node.params["value"])),))
    if name == "convert":
        if nodes[node.operands[0]].aval.dtype.kind == "b" and aval.dtype.kind != "b":
            return Apply("indicator", (parts[0],), aval.shape)
        if aval.dtype.kind in "fc" or aval.dtype.kind == nodes[node.operands[0]].aval.dtype.kind:
            return parts[0]
    if name == "dim_value":
        return sizes.symbol(node.params["dim"])
    if name == "broadcast_to":
        return parts[0] if isinstance(parts[0], Number) else spread(parts[0], aval.shape)
    if name in ("reshape", "transpose") and isinstance(filling := narrow(parts[0]), Number):
        return spread(filling, aval.shape)
    if name == "transpose" and node.params["axes"] == tuple(range(len(aval.shape))):
        return parts[0]
    if name == "reshape" and isinstance(parts[0], Apply) and ("keepdims", False) in parts[0].params:
        (x,), axes = parts[0].args, parts[0].param("axes")
        if aval.shape == tuple(1 if a in axes else d for a, d in enumerate(x.shape)):
            params = tuple(("keepdims", True) if p == ("keepdims", False) else p for p in parts[0].params)
            return Apply(parts[0].function, (x,), aval.shape, params)
    if name == "reshape" and not aval.shape and isinstance(parts[0], Apply) and parts[0].function == "slice":
        index = element_of(parts[0].param("starts"), parts[0].param("sizes"))
        if index is not None:
            return Apply("item", parts[0].args, (), (("index", index),))
    if name == "reduce_sum":
        return _sum(node, parts[0], nodes, sizes)
    if node.op.elementwise:
        inner = [narrow(p) for p in parts]
        arithmetic = _ARITHMETIC.get(name)
        made = arithmetic(*inner) if arithmetic else _function(name, inner, node.params)
        made = _mean(made, node, nodes, sizes) if name in ("div", "mul") else made
        return made if made.shape == aval.shape or isinstance(made, Number) else spread(made, aval.shape)
    shaped = [spread(p, nodes[i].aval.shape) for p, i in zip(parts, node.operands, strict=True)]
    return Apply(name, tuple(shaped), aval.shape, tuple(sorted(node.params.items())))


_ARITHMETIC: Mapping[str, Callable[..., Expr]] = {
    "add": add,
    "sub": lambda x, y: add(x, negative(y)),
    "mul": mul,
    "div": divide,
    "neg": negative,
    "pow": power,
}


def _function(name: str, args: Sequence[Expr], params: Mapping[str, Any]) -> Expr:
    return Apply(name, tuple(args), broadcast_shapes(*[a.shape for a in args]), tuple(sorted(params.items())))


def _number(value: Any) -> Expr:
    number = np.asarray(value)[()]
    if number.dtype.kind == "b":
        return Symbol(str(bool(number)), (), "constant")
    if not np.isfinite(number):
        name = "nan" if np.isnan(number) else "inf"
        return mul(MINUS_ONE if number < 0 else ONE, Symbol(name, (), "constant"))
    return Number(Fraction(str(number)))


def _sum(node: Node, part: Expr, nodes: Sequence[Node], sizes: Sizes) -> Expr:
    """A sum; numbers do not know how often they stand in it, so their shape is told."""
    shape = nodes[node.operands[0]].aval.shape
    if not part.shape and shape:
        axes = node.params["axes"]
        return mul(sizes.symbol(size_of(tuple(shape[a] for a in axes))), part)
    return Apply("reduce_sum", (part,), node.aval.shape, tuple(sorted(node.params.items())))


def _mean(made: Expr, node: Node, nodes: Sequence[Node], sizes: Sizes) -> Expr:
    """A sum divided by the number of its terms, with a letter for that number: ``1/n * sum``.

    1/2 stays 1/2: it is more often a factor of its own than the mean of two terms.
    """
    coefficient, rest = coefficient_of(made)
    sums = [f for f in factors_of(rest) if isinstance(f, Apply) and f.function == "reduce_sum"]
    if len(sums) != 1 or coefficient.numerator not in (1, -1):
        return made
    inside = sums[0].args[0].shape
    count = size_of(tuple(inside[a] for a in sums[0].param("axes")))
    if isinstance(count, int) and count > 2 and coefficient.denominator == count:
        sign = MINUS_ONE if coefficient < 0 else ONE
        return mul(sign, power(sizes.symbol(count), MINUS_ONE), rest)
    return made
