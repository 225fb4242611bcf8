"""Tracing: a plain NumPy function, called once with traced arrays, becomes a graph.

Traces nest. Each has a builder of its own with inputs of its own, so that the gradient inside
``grad(lambda w: w * x)(x)`` does not take ``w`` for the ``x`` around it. What an inner trace uses of an outer one
becomes an input of the inner graph, after those of its arguments: ``Trace.captures`` are the outer values to feed it.
"""

from __future__ import annotations

import enum
import struct
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from gradc.errors import ArgumentError, DtypeError, GradcError, TraceError
from gradc.frontend.arguments import check_arguments, paths_of
from gradc.frontend.caught import NOTED, Refusals
from gradc.frontend.effects import check_stable, surroundings
from gradc.frontend.held import attribute_with_data
from gradc.frontend.intercept import intercepted
from gradc.frontend.leftovers import settle_leftovers
from gradc.frontend.lines import raised_at
from gradc.frontend.names import Call
from gradc.frontend.selected import Selected
from gradc.frontend.session import Session, Traced, current_session, enter, is_traced, leave
from gradc.frontend.storage import Storage
from gradc.frontend.tracer import Tracer, perform
from gradc.frontend.tree import TreeDef, flatten
from gradc.frontend.written import Parts, Written
from gradc.ir.aval import Aval, aval_of
from gradc.ir.collector import without_collector
from gradc.ir.graph import Graph, Value

_STATIC = (bool, str, bytes, type(None), type(Ellipsis), slice, np.dtype, type, enum.Enum)


@dataclass(frozen=True, eq=False)
class Trace:
    """A function as a graph, as written.

    ``graph`` has one input for each leaf of the arguments that is not static, in their order, then one for each of
    ``captures``; its outputs are the leaves of ``out_tree``, then new values of arguments that are not among them.
    ``updates`` are pairs of an input that the function has written into and the output that has its new value.
    ``guards`` maps positions of inputs to the Python
    integers that became static: for other values the function has to be traced again. The graph is put in order when
    somebody asks for it.
    """

    written: Written
    in_tree: TreeDef
    out_tree: TreeDef
    input_paths: tuple[str, ...]
    guards: Mapping[int, int]
    captures: tuple[Traced, ...]
    updates: tuple[tuple[int, int], ...]

    @property
    def graph(self) -> Graph:
        """The function as written."""
        return self.written.ordered().graph

    @property
    def constants(self) -> Mapping[int, str]:
        """The nodes of arrays from outside, with the name the user's code has for them."""
        return self.written.ordered().constants

    @property
    def inner_names(self) -> Mapping[int, str]:
        """Names that helpers gave to values which have none further out."""
        return self.written.ordered().inner_names

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of helpers, outermost first."""
        return self.written.ordered().calls


def trace(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    *,
    writable: Collection[int] = (),
) -> Trace:
    """Call ``function`` with traced arrays for the arrays and numbers among its arguments, and record what it does.

    Leaves of the arguments, which are pytrees, are arrays, numbers, abstract values (``gradc.aval("f64[batch,3]")``),
    traced values of a trace around this one, or static: bools, strings, None, callables. The function may write into
    the leaves at the positions ``writable``. Raises ArgumentError naming
    the path of a leaf that is none of these, TraceError where NumPy's meaning cannot be kept.
    """
    named = {} if kwargs is None else dict(kwargs)
    if current_session() is not None:
        return _trace(function, args, named, writable)
    static = [leaf for leaf in flatten((tuple(args), named))[0] if callable(leaf)]
    before = surroundings(function, static)
    found = _trace(function, args, named, writable)
    changed = before.changed()
    if changed:
        after = surroundings(function, static)
        try:
            check_stable(found, lambda: _trace(function, args, named, writable), changed)
        except TraceError:
            after = before
            raise
        finally:
            after.put_back()
    return found


def _trace(
    function: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any], writable: Collection[int]
) -> Trace:
    leaves, in_tree = flatten((tuple(args), named))
    paths = paths_of(function, args, named)
    session = Session(current_session())
    traced, input_paths, own = [], [], []
    for position, (leaf, path) in enumerate(zip(leaves, paths, strict=True)):
        if is_static(leaf, path):
            traced.append(leaf)
        else:
            own.append(_input(session, leaf, path, writable=position in writable))
            traced.append(own[-1])
            input_paths.append(path)
    arguments, keywords = in_tree.unflatten(traced)
    try:
        with without_collector():
            try:
                returned = _run(session, function, arguments, keywords)
            finally:
                settle_leftovers(session, function, [leaf for leaf in traced if not is_traced(leaf)])
            check_arguments(function, (traced, paths, in_tree), arguments, keywords)
            return _finished(session, returned, in_tree, own, tuple(input_paths))
    finally:
        session.ended = True


def is_static(leaf: Any, path: str = "") -> bool:
    """Whether a leaf of the arguments is part of the signature: a bool, a string, a callable, a dtype.

    False for arrays, numbers, abstract and traced values. Raises ArgumentError for anything else, and for a callable
    that holds data: it is the same object after that has changed.
    """
    if is_traced(leaf) or isinstance(leaf, Aval):
        return False
    if isinstance(leaf, _STATIC):
        return True
    if callable(leaf) and not isinstance(leaf, np.generic):
        held = attribute_with_data(leaf)
        if held:
            raise ArgumentError(
                f"{f'argument {path}: ' if path else ''}{type(leaf).__name__} holds data in {held}, and a compiled "
                "function would not see it change; make its class a dataclass, or pass its data as arguments"
            )
        return True
    what = f"argument {path}: " if path else ""
    for plain in (int, float, complex):
        if isinstance(leaf, plain) and type(leaf) is not plain and not isinstance(leaf, np.generic):
            kind = type(leaf).__name__
            raise ArgumentError(f"{what}a {kind} has a meaning of its own; pass {plain.__name__}(...) of it")
    try:
        aval_of(leaf)
    except DtypeError as error:
        raise ArgumentError(
            f"{what}{error}; arguments are arrays, numbers, and containers of them "
            "(dict, list, tuple, namedtuple, dataclass)"
        ) from None
    return False


def current_trace() -> Session | None:
    """The trace that this thread is in, or None."""
    return current_session()


def lift(x: Any) -> Value:
    """``x`` (traced value, array, number) as a Value of the present trace. Raises TraceError outside of one."""
    return _present().lift(x)


def wrap(value: Value) -> Tracer:
    """A Value of the present trace as a traced array."""
    return Tracer(_present(), Storage(value), scalar=not value.aval.shape)


def inline(graph: Graph, inputs: Sequence[Any], name: str = "") -> list[Tracer]:
    """Make the nodes of ``graph`` again in the present trace, from traced values, arrays or numbers.

    Gives one traced array for each output. The graph's names stay inside, as those of a helper do; with a ``name`` it
    is recorded as the call of one. Raises TraceError outside of a trace.
    """

    def make(session: Session) -> list[Value]:
        lifted = [_fitted(session.lift(x), aval) for x, aval in zip(inputs, graph.input_avals, strict=True)]
        recorder, tables = session.recorder, session.builder.tables
        start, outer = len(session.builder.nodes), tables.names
        tables.names = {}
        try:
            results = graph.replay(session.builder, lifted)
        finally:
            for node, own in tables.names.items():
                recorder.give(node, len(recorder.stack), own)
            tables.names = outer
        if name:
            recorder.called(name, [v.id for v in lifted], [v.id for v in results], start)
        return results

    replayed: list[Tracer] = perform(make)
    return replayed


def _fitted(value: Value, aval: Aval) -> Value:
    if value.aval.shape != aval.shape or value.aval.dtype != aval.dtype:
        raise ArgumentError(f"a graph traced for {aval} is given {value.aval}")
    return value


def _present() -> Session:
    session = current_session()
    if session is None:
        raise GradcError("there is no trace at this place")
    return session


def _input(session: Session, leaf: Any, path: str, *, writable: bool) -> Tracer:
    aval = leaf if isinstance(leaf, Aval) else leaf.aval if isinstance(leaf, Tracer) else aval_of(leaf)
    if type(leaf) is int and not -(2**63) <= leaf < 2**63:
        raise ArgumentError(f"argument {path}: the integer {leaf} does not fit into i64; pass a float")
    value = session.builder.input(path, aval)
    scalar = not aval.shape and not isinstance(leaf, np.ndarray)
    if type(leaf) is int:
        session.known[value.id] = leaf
    elif isinstance(leaf, Tracer):
        session.sources[value.id] = leaf.frozen()
        scalar = leaf.scalar
    refusal = f"this writes into the argument {path}, which is the caller's; copy it first: x = x.copy()"
    return Tracer(session, Storage(value, refusal="" if scalar or writable else refusal), scalar=scalar)


def _run(session: Session, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The function's result. Whatever happens, the thread is as before."""
    follower = session.follower
    follower.root = sys._getframe()
    outer, refusals, refusal = NOTED.get(), Refusals(follower.root), None
    token, noted = enter(session), NOTED.set(refusals)
    try:
        given = [args, kwargs]
        with intercepted(function, given) as called:
            returned = called(*given[0], **given[1])
        _check_caught(session, refusals, None)
        follower.finish()
        return returned
    except Exception as error:
        refusal = _refusal_of(error)
        if outer is not None:
            outer.take(refusal, refusals)
        if refusal is error:
            raise
        _check_caught(session, refusals, error)
        if refusal is None:
            raise
        raise refusal from (None if refusal is error.__cause__ else error)
    finally:
        follower.abandon()
        NOTED.reset(noted)
        leave(token)
        refusals.noted.clear()
        del refusals, refusal  # they hold this frame, which would hold the arguments until the collector comes


def _check_caught(session: Session, refusals: Refusals, error: Exception | None) -> None:
    """Raise a refusal that the function has caught; it has raised ``error`` since, or has returned."""
    if refusals.noted:
        builder = session.builder
        caught = refusals.caught(symbolic=any(builder.nodes[i].aval.is_symbolic for i in builder.inputs))
        if caught is not None:
            raise caught from error


def _refusal_of(error: Exception) -> GradcError | None:
    """The refusal behind an error that a function has raised while it was traced; None for an error of its own."""
    if isinstance(error, GradcError):
        return error
    if not isinstance(error, (TypeError, ValueError, AttributeError, struct.error)):
        return None
    if isinstance(error.__cause__, GradcError):  # NumPy turns the error of a conversion into one of its own
        return error.__cause__
    said = str(error)
    if isinstance(error, AttributeError) and is_traced(error.obj):
        said = f"a traced array has no attribute {error.name!r}"
    elif "__array__ method not producing an array" in said:
        said = f"{said}; convert the object first: np.asarray(x)"
    elif "is not JSON serializable" in said or isinstance(error, struct.error):
        said = f"{said}; return it and write it after the call"
    elif "Tracer" not in said:
        return None
    return TraceError(f"a traced value cannot be used where a plain one is needed: {said}", line=raised_at(error))


def _finished(
    session: Session, returned: Any, in_tree: TreeDef, inputs: Sequence[Tracer], input_paths: tuple[str, ...]
) -> Trace:
    leaves, out_tree = flatten(returned)
    results = list[int]()
    for leaf, path in zip(leaves, out_tree.paths("result"), strict=True):
        if isinstance(leaf, Selected):
            raise leaf.refusal()
        results.append(_result(session, leaf, path))
    given = []
    updates = []
    for position, (own, path) in enumerate(zip(inputs, input_paths, strict=True)):
        if own.storage.version:
            returned_as = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Tracer) and leaf.is_all_of(own)]
            updates.append((position, returned_as[0] if returned_as else len(results)))
            if not returned_as:
                results.append(session.number(own.current()))
                given.append(f"{path}_new")
    positions = {node: position for position, node in enumerate(session.tape.builder.inputs)}
    trace = Trace(
        written=Written(Parts(session.tape, session.constants, results, out_tree, given)),
        in_tree=in_tree,
        out_tree=out_tree,
        input_paths=input_paths,
        guards=MappingProxyType({positions[node]: number for node, number in session.guards.items()}),
        captures=tuple(session.capture_order),
        updates=tuple(updates),
    )
    if not session.tape.entries:
        session.tape.builder.rest()
    return trace


def _result(session: Session, leaf: Any, path: str) -> int:
    """The number of what the function returns at a place."""
    if isinstance(leaf, Tracer) and leaf.session is session and leaf.known >= 0:
        return leaf.known
    try:
        return session.number(session.lift(leaf))
    except DtypeError as error:
        raise ArgumentError(f"the function must return arrays and numbers, and {path} is not one: {error}") from None
