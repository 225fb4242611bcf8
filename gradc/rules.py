"""Saying how a part of a function is differentiated: stop_gradient, custom_derivative, checkpoint."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

from gradc.errors import ArgumentError, DerivativeError, TraceError
from gradc.frontend.binding import signature_of
from gradc.frontend.given import told
from gradc.frontend.layout import leaf_aval
from gradc.frontend.session import Session, is_traced
from gradc.frontend.targets import leaf_positions
from gradc.frontend.tracer import perform
from gradc.frontend.tracing import Trace, current_trace, is_static, trace
from gradc.frontend.tree import flatten
from gradc.ir.aval import Aval
from gradc.ir.graph import Graph, Value
from gradc.ir.node import node_key
from gradc.ops import regions
from gradc.transforms.transposition import Sides, pullbacks_of, pushforward_of

_KEPT_GRAPHS: Final = 256

F = TypeVar("F", bound=Callable[..., Any])


def stop_gradient(x: Any) -> Any:
    """``x`` itself, an array, a number or a container of them, with derivative 0 at every order."""
    leaves, tree = flatten(x)
    return tree.unflatten([_stopped(leaf) if is_traced(leaf) else leaf for leaf in leaves])


def _stopped(leaf: Any) -> Any:
    def make(session: Session) -> Value:
        value = session.lift(leaf)
        return regions.stop_gradient(value) if value.aval.is_float else value

    return perform(make)


def checkpoint(function: F) -> F:
    """The same function, whose inner values are not kept for the reverse pass but computed again from its arguments.

    It takes less memory and more time. Also a decorator.
    """
    return cast(F, _Checkpoint(function))


def custom_derivative(
    function: Callable[..., Any] | None = None,
    *,
    vjp: Callable[..., Any] | None = None,
    jvp: Callable[..., Any] | None = None,
) -> Any:
    """The same function with derivatives of your own, which are NumPy functions too. A decorator.

    ``vjp(ct, out, *args)`` gives a tuple with the cotangent of each argument, None where there is none; ``ct`` and
    ``out`` are nested as the result is. ``jvp(tangents, out, *args)`` gives the tangent of the result; ``tangents`` has
    an entry for each argument, None for what is not of floating point. Each is linear in its first argument. One of
    them is enough: the other is its transpose. Higher derivatives are those of the rules.

    Raises ArgumentError where a rule gives other structures, dtypes or shapes, DerivativeError where one that has to be
    transposed is not linear, TraceError where the function or a rule uses a traced value from around it.
    """
    if vjp is None and jvp is None:
        raise ArgumentError("custom_derivative: give a rule, vjp= or jvp=")
    if function is None:
        return functools.partial(custom_derivative, vjp=vjp, jvp=jvp)
    return _Custom(function, vjp, jvp)


class _Region:
    """A function whose calls stay whole in a graph. Outside of a trace it is the function itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not callable(function):
            raise ArgumentError(f"{type(function).__name__} is not a function; give one of arrays")
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.label = getattr(function, "__name__", type(function).__name__)
        self.__signature__ = signature_of(function)
        self._graphs: dict[Any, Graph] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if current_trace() is None:
            return self.function(*args, **kwargs)
        source = trace(self.function, args, kwargs)
        rule = self.rule(source, args, kwargs)
        body = self.shared(source.graph)
        leaves = [leaf for leaf in flatten((args, kwargs))[0] if not is_static(leaf)]

        def make(session: Session) -> list[Value]:
            operands = [session.lift(x) for x in (*leaves, *source.captures)]
            params = {"body": body, "name": self.label, "rule": rule}
            count, start = len(source.graph.outputs), len(session.builder.nodes)
            results = [session.builder.apply(regions.call, *operands, **params, index=k) for k in range(count)]
            session.recorder.called(self.label, [x.id for x in operands], [x.id for x in results], start)
            return results

        return source.out_tree.unflatten(perform(make))

    def rule(self, source: Trace, args: Sequence[Any], kwargs: dict[str, Any]) -> regions.Rule | None:
        raise NotImplementedError

    def shared(self, graph: Graph) -> Graph:
        """The one graph for all that are alike, so that calls of it are alike: the steps of a recurrence."""
        key = (tuple([node_key(n.op, n.operands, n.params) for n in graph.nodes]), graph.outputs)
        if len(self._graphs) > _KEPT_GRAPHS:
            self._graphs.clear()
        return self._graphs.setdefault(key, graph)


class _Checkpoint(_Region):
    def rule(self, source: Trace, args: Sequence[Any], kwargs: dict[str, Any]) -> regions.Rule | None:
        return None


class _Custom(_Region):
    def __init__(
        self, function: Callable[..., Any], vjp: Callable[..., Any] | None, jvp: Callable[..., Any] | None
    ) -> None:
        super().__init__(function)
        self.vjp, self.jvp = vjp, jvp

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            bound = inspect.signature(self).bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self.label}{inspect.signature(self)}: {error}") from None
        if bound.kwargs:
            raise ArgumentError(f"{self.label}: a function with rules takes no keyword-only arguments")
        return super().__call__(*bound.args)

    def rule(self, source: Trace, args: Sequence[Any], kwargs: dict[str, Any]) -> regions.Rule | None:
        self._require_closed(source, self.label)
        sides = Sides(source.graph)
        pushforward = None if self.jvp is None else self._pushforward(self.jvp, source, args)
        pullback = None if self.vjp is None else self._pullback(self.vjp, source, args)
        try:
            if pullback is None:
                assert pushforward is not None
                pullbacks = pullbacks_of(pushforward, sides)
            else:
                pullbacks = sides.pullbacks(*pullback)
            if pushforward is None:
                pushforward = pushforward_of(pullbacks, sides)
        except DerivativeError as error:
            raise DerivativeError(f"{self.label}: {error}") from None
        shared = tuple([None if p is None else self.shared(p) for p in pullbacks])
        return regions.Rule(sides.places, self.shared(pushforward), shared)

    def _pullback(self, rule: Callable[..., Any], source: Trace, args: Sequence[Any]) -> tuple[Graph, list[int]]:
        """The rule as a graph, and the operand that each of its results is a cotangent of."""
        made = self._traced(rule, _floats_of(source), source, args)
        trees = [flatten(arg)[1] for arg in args]
        given = made.out_tree
        if given.kind not in (tuple, list) or len(given.children) != len(trees):
            raise ArgumentError(
                f"{self.label}: the vjp rule gives {told(given)} and has to give a tuple of {len(trees)}, "
                "with a cotangent or None for each argument"
            )
        leaves = flatten(tuple(args))[0]
        names = [*inspect.signature(self).parameters]
        positions: list[int] = []
        start = 0
        for k, (child, tree) in enumerate(zip(given.children, trees, strict=True)):
            name = names[k] if k < len(names) else f"argument {k}"
            positions += leaf_positions(child, tree, start, f"the cotangent of {name}", name, "has no cotangent")
            start += tree.num_leaves
        for position, aval in zip(positions, made.graph.output_avals, strict=True):
            self._check(aval, leaf_aval(leaves[position], ""), "vjp", "the argument")
        data = [k for k, leaf in enumerate(leaves) if not is_static(leaf)]
        return made.graph, [data.index(position) for position in positions]

    def _pushforward(self, rule: Callable[..., Any], source: Trace, args: Sequence[Any]) -> Graph:
        leaves, tree = flatten(tuple(args))
        moving = [None if is_static(x) or not leaf_aval(x, "").is_float else _strong(leaf_aval(x, "")) for x in leaves]
        made = self._traced(rule, tree.unflatten(moving), source, args)
        if made.out_tree != source.out_tree:
            raise ArgumentError(
                f"{self.label}: the jvp rule gives {told(made.out_tree)} and the function {told(source.out_tree)}; "
                "a tangent is nested as its value is"
            )
        for aval, wanted in zip(made.graph.output_avals, source.graph.output_avals, strict=True):
            self._check(aval, wanted, "jvp", "the result")
        return made.graph

    def _traced(self, rule: Callable[..., Any], seed: Any, source: Trace, args: Sequence[Any]) -> Trace:
        out = source.out_tree.unflatten([_strong(aval) for aval in source.graph.output_avals])
        made = trace(rule, (seed, out, *args))
        self._require_closed(made, getattr(rule, "__name__", "the rule"))
        return made

    def _require_closed(self, source: Trace, label: str) -> None:
        if source.captures:
            raise TraceError(
                f"{label} uses a traced value from around it, by which {self.label} would not be differentiated; "
                "pass it as an argument"
            )

    def _check(self, found: Aval, wanted: Aval, rule: str, what: str) -> None:
        if found.shape != wanted.shape or found.dtype != wanted.dtype:
            raise ArgumentError(f"{self.label}: the {rule} rule gives {found} where {what} is {wanted}")


def _floats_of(source: Trace) -> Any:
    """Cotangents of the results: None for those that have none."""
    avals = source.graph.output_avals
    return source.out_tree.unflatten([_strong(a) if a.is_float else None for a in avals])


def _strong(aval: Aval) -> Aval:
    return Aval(aval.shape, aval.dtype)
