"""The derivation of a function as written: chain rule by chain rule, every step of algebra with its law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradc.errors import ArgumentError, DerivativeError
from gradc.frontend.names import Call
from gradc.inspect.bridge import bridges, never_computed
from gradc.inspect.derivation import Derivation, Line, Step
from gradc.inspect.differentiate import Differentiation, is_elementwise
from gradc.inspect.expression import (
    ONE,
    ZERO,
    Add,
    Apply,
    Expr,
    Mul,
    Slope,
    Symbol,
    add,
    contains,
    factors_of,
    is_count,
    is_pointwise,
    leaves,
    mul,
    narrow,
    spread,
    terms_of,
    walk,
)
from gradc.inspect.facts import by_facts, facts_of
from gradc.inspect.functions import evaluate
from gradc.inspect.helpers import helpers_of
from gradc.inspect.laws import LINEAR, Law, Reason, Steps, in_final_order, simplified, tidied
from gradc.inspect.likeness import with_likeness
from gradc.inspect.reading import Definition, Reading, read
from gradc.inspect.shifts import without_shift
from gradc.inspect.sizes import Told, with_sizes
from gradc.ir.graph import Graph

_SHORT = 16
"""A result of up to this many symbols is put into the next chain rule; a longer one stays dL/dz there."""

_LONG_TALE = 40
"""In a derivation of more values every result but the shortest stays as it is: the steps are then alike."""

_MOST_STEPS = 400
"""The derivatives of further values between are left out of the telling (and said to be)."""

_LONGEST = 400
"""An expression of more symbols is not worked upon."""


def explain(
    graph: Graph,
    *,
    function: str = "",
    output: int = 0,
    wrt: Sequence[str] | None = None,
    calls: Sequence[Call] = (),
    inner_names: Mapping[int, str] | None = None,
    at: Mapping[str, Any] | Sequence[Any] | None = None,
    final: Graph | None = None,
) -> Derivation:
    """Tell the derivation of one output of a traced graph; of an array it is the derivative of the sum of its elements.

    ``graph`` is the trace as written. ``wrt`` are names of inputs, by default all of floating-point dtype. ``calls``
    are the calls of the user's own functions, ``inner_names`` the names that stand inside these. ``at`` gives the
    values of all inputs, in order or by name, to be filled in. ``final`` is the graph that runs, for the closing lines.
    Raises DerivativeError for names that are no inputs and for complex numbers, ArgumentError where values are missing.
    """
    _require_real(graph)
    values = _by_name(graph, at)
    told = with_sizes(Told(graph, tuple(calls), inner_names or {}), values)
    graph = told.graph
    node = graph.outputs[output]
    helpers = helpers_of(graph, told.calls, told.inner_names)
    reading = read(graph, {**helpers.names, node: _output_name(graph, output)}, helpers.units)
    targets = _targets(graph, wrt)
    teller = _Teller(graph, reading, node, targets, values, helpers.lines)
    steps = with_likeness(teller.steps())
    return Derivation(
        function=function,
        of=teller.of,
        forward=teller.forward(),
        steps=steps,
        sizes={symbol: count for count, symbol in reading.sizes.letters.items()},
        at=values,
        skipped=teller.skipped,
        never_computed=never_computed(steps, final),
        bridges=bridges(final, teller.of.name),
        kinks=_kinks(steps),
        constants=dict(reading.constants),
        wrt=tuple(graph.input_names[graph.inputs.index(i)] for i in targets),
    )


def _output_name(graph: Graph, output: int) -> str:
    """The name of an unnamed result: its path in the output where that is a name, else L."""
    path = graph.output_names[output]
    if path.isidentifier() and path != "result" and not path.startswith("out"):
        return path
    taken = {*graph.names.values(), *graph.input_names}
    return next(c for c in ("L", "J", "f", *(f"f{k}" for k in range(len(taken) + 1))) if c not in taken)


def _by_name(graph: Graph, at: Mapping[str, Any] | Sequence[Any] | None) -> dict[str, Any]:
    if at is None:
        return {}
    given = dict(at) if isinstance(at, Mapping) else dict(zip(graph.input_names, at, strict=False))
    missing = [name for name in graph.input_names if name not in given]
    if missing:
        raise ArgumentError(f"explain: at gives no value for {', '.join(missing)}")
    return {name: given[name] for name in graph.input_names}


def _require_real(graph: Graph) -> None:
    for node in graph.nodes:
        if node.aval.dtype.kind == "c":
            raise DerivativeError(
                f"explain: {node.op.name} gives {node.aval}, and derivations of complex numbers are not told; "
                "the numpy_source of the kernel shows the derivative"
            )


def _targets(graph: Graph, wrt: Sequence[str] | None) -> list[int]:
    by_name = dict(zip(graph.input_names, graph.inputs, strict=True))
    if wrt is None:
        return [i for i in graph.inputs if graph.nodes[i].aval.is_float or graph.nodes[i].aval.weak]
    unknown = [name for name in wrt if name not in by_name]
    if unknown:
        raise DerivativeError(f"{unknown[0]!r} is not an argument; choose among {', '.join(by_name)}")
    return [by_name[name] for name in wrt]


class _Teller:
    """Tells the steps of one graph, from the result backwards."""

    def __init__(
        self,
        graph: Graph,
        reading: Reading,
        node: int,
        targets: Sequence[int],
        at: Mapping[str, Any],
        lines: Mapping[int, str],
    ) -> None:
        self.graph = graph
        self.reading = reading
        self.at = at
        self.lines = lines
        self.of = reading.symbols[node]
        self.by_symbol = {d.symbol: d for d in reading.definitions}
        self.targets = {reading.symbols[i] for i in targets}
        self.order, self.users = self._order()
        self.values = self._values()
        self.results: dict[Symbol, Expr] = {}
        self.laws = [by_facts([f for d in reading.definitions[:_LONG_TALE] for f in facts_of(d.symbol, d.expression)])]
        self.skipped = 0

    def _order(self) -> tuple[list[Symbol], dict[Symbol, list[Definition]]]:
        """The values to differentiate with respect to, nearest the result first, and who uses each."""
        operands = {d.symbol: _symbols(d.expression) for d in self.reading.definitions}
        towards: set[Symbol] = set(self.targets)
        for definition in self.reading.definitions:
            if any(s in towards for s in operands[definition.symbol]):
                towards.add(definition.symbol)
        level: dict[Symbol, int] = {self.of: 0}
        users: dict[Symbol, list[Definition]] = {}
        for definition in reversed(self.reading.definitions):
            symbol = definition.symbol
            if symbol not in level or symbol not in towards:
                continue
            for operand in operands[symbol]:
                if operand in towards:
                    users.setdefault(operand, []).append(definition)
                    level[operand] = max(level.get(operand, 0), level[symbol] + 1)
        place = {s: k for k, s in enumerate((*self.reading.inputs, *self.by_symbol))}
        reached = [s for s in level if s != self.of and s in users]
        reached.sort(key=lambda s: (level[s], s.role != "input", place[s]))
        return reached, users

    def _values(self) -> dict[Expr, Any]:
        """The value of every name, where the inputs are given."""
        if not self.at:
            return {}
        values: dict[Expr, Any] = dict(self.reading.constants.items())
        for symbol in self.reading.inputs:
            given = np.asarray(self.at[symbol.name])
            values[symbol] = given if given.dtype.kind in "iub" and given.ndim else given.astype(np.float64)
        values.update({s: float(c) for c, s in self.reading.sizes.letters.items() if isinstance(c, int)})
        with np.errstate(all="ignore"):
            for definition in self.reading.definitions:
                values[definition.symbol] = evaluate(definition.expression, values)
        return values

    def forward(self) -> tuple[Line, ...]:
        """The definitions that the result needs, in order of computation."""
        needed = {self.of}
        lines: list[Line] = []
        for d in reversed(self.reading.definitions):
            if d.symbol in needed:
                needed |= _symbols(d.expression)
                value = self.values.get(d.symbol)
                lines.append(Line(d.symbol, d.written, d.expression, value, self._line(d.node)))
        return tuple(reversed(lines))

    def _line(self, node: int) -> str:
        origins = self.graph.origins.get(node)
        return self.lines.get(node) or (str(origins[0]) if origins else "")

    def steps(self) -> list[Step]:
        """One step for each value."""
        inner = [s for s in self.order if s.role != "input"]
        left_out = set(inner[_MOST_STEPS:])
        self.skipped = len(left_out)
        told = [self._step(symbol) for symbol in self.order if symbol not in left_out]
        return told + [self._trivial(s) for s in self.reading.inputs if s in self.targets and s not in self.users]

    def _trivial(self, wrt: Symbol) -> Step:
        """The derivative with respect to an argument that the result is, or does not depend on."""
        if wrt == self.of:
            result, reason = ONE, Reason("identity", "the result is {0} itself", (wrt,))
        else:
            result, reason = ZERO, Reason("independence", "{0} does not depend on {1}", (self.of, wrt))
        shaped = _shaped(result, wrt)
        value = self._value(shaped, wrt)
        slope = Slope(self.of.name, wrt.name, wrt.shape)
        return Step(0, slope, wrt, (), None, ((shaped, reason),), reason, value, "")

    def _step(self, wrt: Symbol) -> Step:
        users = sorted(self.users[wrt], key=lambda d: d.node)
        links: list[Expr] = []
        parts: list[Expr] = []
        reasons: list[Reason] = []
        for user in users:
            link, part, why = self._link(user, wrt)
            links += link
            parts += part
            reasons += [r for r in why if r not in reasons]
        chain = None if users == [self.by_symbol.get(self.of)] else (Add(tuple(links)) if len(links) > 1 else links[0])
        stages = _stages(parts, reasons, wrt, self.laws)
        self.results[wrt] = stages[-1][0]
        value = self._value(stages[-1][0], wrt)
        slope = Slope(self.of.name, wrt.name, wrt.shape)
        if value is not None:
            self.values[slope] = value
        return Step(
            0, slope, wrt, tuple(u.symbol for u in users), chain, stages, stages[0][1], value, self._line(users[0].node)
        )

    def _link(self, user: Definition, wrt: Symbol) -> tuple[list[Expr], list[Expr], list[Reason]]:
        """One path of the chain rule: as it is stated, with everything filled in, and the rules of it."""
        differentiation = Differentiation({user.expression: user.symbol}, self.reading.sizes)
        expression = user.expression
        shift = without_shift(user, wrt, self.users.get(user.symbol, ()))
        if shift is not None:
            expression, reason = shift
            differentiation.names[expression] = user.symbol
            differentiation.note(reason)
        outer = Slope(self.of.name, user.symbol.name, user.symbol.shape)
        shape = user.symbol.shape
        first = user.symbol == self.of
        ct: Expr = ONE if first else self._known(user.symbol, outer)
        if is_elementwise(expression, wrt) and wrt.shape == shape:
            slope = differentiation.slope(expression, wrt)
            part: list[Expr] = [slope if first else Mul((ct, slope))]
            through = Mul((outer, Slope(user.symbol.name, wrt.name, shape)))
            link = part if first else list[Expr]([through])
        else:
            link = differentiation.pull(expression, wrt, ONE if first else outer, shape)
            part = Differentiation(differentiation.names, self.reading.sizes).pull(expression, wrt, ct, shape)
        reasons = differentiation.reasons or [_definition_reason(user, wrt)]
        return link or [ZERO], part or [ZERO], reasons

    def _known(self, symbol: Symbol, slope: Slope) -> Expr:
        result = self.results.get(symbol)
        most = _SHORT if len(self.order) <= _LONG_TALE else 2
        if result is None or leaves(result) > most or not _plain(result):
            return slope
        return narrow(result)

    def _value(self, result: Expr, wrt: Symbol) -> Any:
        if not self.values:
            return None
        values = dict(self.values)
        values.update({s: float(c) for c, s in self.reading.sizes.letters.items() if isinstance(c, int)})
        try:
            with np.errstate(all="ignore"):
                return np.broadcast_to(np.asarray(evaluate(result, values)), np.shape(self.values[wrt]))
        except KeyError:
            return None


def _plain(result: Expr) -> bool:
    """Whether a result is made of what reads well within another expression."""
    return all(
        part.function in LINEAR or (is_pointwise(part.function) and part.function != "select")
        for part in walk(result)
        if isinstance(part, Apply)
    )


def _symbols(expression: Expr) -> set[Symbol]:
    return {e for e in walk(expression) if isinstance(e, Symbol)}


def _definition_reason(user: Definition, wrt: Symbol) -> Reason:
    """``z = v1·a1 + …``: the definition, as far as it concerns ``wrt``."""
    concerned = [t for t in terms_of(user.expression) if contains(t, wrt)]
    if sum(leaves(t) for t in concerned) > 8:
        return Reason("definition", "definition of {0}", (user.symbol,))
    dots = " + …" if len(concerned) < len(terms_of(user.expression)) else ""
    return Reason(
        "definition", "{0} = {1}" + dots, (user.symbol, add(*concerned)), "${0} = {1}" + (r" + \dots$" if dots else "$")
    )


def _stages(
    parts: list[Expr], reasons: list[Reason], wrt: Symbol, laws: Sequence[Law]
) -> tuple[tuple[Expr, Reason], ...]:
    """From the chain rule filled in to the result."""
    why = _joined(reasons)
    raw = Add(tuple(parts)) if len(parts) > 1 else parts[0]
    flat = add(*[tidied(mul(*factors_of(p))) for p in parts])
    steps: Steps = simplified(flat, laws) if leaves(flat) <= _LONGEST else []
    if not steps:
        return ((_shaped(in_final_order(flat), wrt), why),)
    trivial = any(is_count(f) for p in parts for f in factors_of(p))
    return ((flat if trivial else raw, why), *steps[:-1], (_shaped(in_final_order(steps[-1][0]), wrt), steps[-1][1]))


def _shaped(result: Expr, wrt: Symbol) -> Expr:
    return result if result.shape == wrt.shape else spread(result, wrt.shape)


def _joined(reasons: list[Reason]) -> Reason:
    """Several rules of one step as one reason."""
    if len(reasons) == 1:
        return reasons[0]
    texts: list[str] = []
    latexes: list[str] = []
    parts: list[Expr] = []
    for reason in reasons:
        shift = len(parts)
        text, latex = reason.text, reason.latex or reason.text
        for k in reversed(range(len(reason.parts))):
            text, latex = text.replace(f"{{{k}}}", f"{{{k + shift}}}"), latex.replace(f"{{{k}}}", f"{{{k + shift}}}")
        parts += reason.parts
        texts.append(text)
        latexes.append(latex)
    return Reason("; ".join(r.law for r in reasons), "; ".join(texts), tuple(parts), "; ".join(latexes))


def _kinks(steps: Sequence[Step]) -> tuple[str, ...]:
    """What is said about the points where a function has no derivative."""
    laws = {law for step in steps for _, reason in step.stages for law in reason.law.split("; ")}
    notes = {
        "derivative-of-relu": "ReLU'(0) = 0",
        "derivative-of-abs": "|u|' = 0 at 0",
        "extremum-rule": "a tie in max or min has slope 0 against a number and is shared evenly by two values",
        "vjp-of-reduce_max": "the largest elements share the slope evenly",
        "vjp-of-reduce_min": "the smallest elements share the slope evenly",
    }
    return tuple(note for law, note in notes.items() if law in laws)
