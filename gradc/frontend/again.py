"""Operations that are met again: what they give is known by what they are given, so nothing is worked out at once.

NumPy's promotion and broadcasting depend on the abstract values of the operands alone, and on plain arguments by their
value. So the kind of the result is worked out once, on inputs of a graph of its own, and from then on a traced value of
that kind is given and an entry on the tape says what it is. Errors are left to the way that works everything out.

What an instruction of the user's did last stands at its ``Place``, where operators look first.

When the tape is settled the operation is worked out on its operands. Where it became one node of nothing but those and
the constants that Python numbers became, the same operation on operands of the same kinds becomes that node again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from gradc.frontend import arrayfunctions, ufuncs
from gradc.frontend.bytecode import Site
from gradc.frontend.numpy_api.einsum import rearranges
from gradc.frontend.numpy_api.operators import OPERATORS
from gradc.frontend.numpy_api.registry import lookup
from gradc.frontend.numpy_api.ufuncs import ELEMENTWISE
from gradc.frontend.session import Session
from gradc.frontend.tape import Kind, Tape
from gradc.ir.aval import Aval
from gradc.ir.graph import CONSTANT, Value
from gradc.ir.op import Op
from gradc.ops.shape import broadcast_to

if TYPE_CHECKING:
    from gradc.frontend.tracer import Tracer

_EINSUM: Final = np.einsum

ALONE: Final = object()
"""What stands for the second operand of an operation that has one."""

FUNCTIONS: Final = frozenset(
    {
        np.concatenate, np.cumsum, np.dot, np.einsum, np.inner, np.max, np.mean, np.min, np.outer, np.prod, np.stack,
        np.std, np.sum, np.trace, np.var, np.vdot,
    }
)  # fmt: skip
"""Functions whose results, arrays of their own, are of a kind that depends on the kinds of arrays and on what is plain.

The operators and all ufuncs are such too; np.einsum is where it sums anything, and gives views elsewhere.
"""

_ONE_NODE: Final[frozenset[Any]] = ELEMENTWISE | {
    "add", "sub", "mul", "truediv", "neg", "eq", "ne", "lt", "le", "gt", "ge",
}  # fmt: skip
"""What becomes the same node again: it looks at nothing but abstract values and Python numbers."""

_OF_FLOATS: Final = frozenset({"add", "sub", "mul", "truediv", "neg", "pos", "abs"})
"""Operators that make a Python float of Python floats whatever their values."""

_PLAIN: Final = frozenset({bool, str, type(None), type})


class Place:
    """What an instruction did last: an operation, the kinds or Python numbers it was applied to, and what came of it.

    ``other`` is the type of the operand that is not the traced one, or not the first.
    """

    __slots__ = ("kind", "left", "other", "right", "what", "word")

    def __init__(self, what: Any, left: Any, right: Any, other: Any, word: int, kind: Kind) -> None:
        self.what = what
        self.left = left
        self.right = right
        self.other = other
        self.word = word
        self.kind = kind


class Outcome:
    """What an operation on arguments of some kinds gives. ``words`` are those of the tape by site."""

    __slots__ = ("args", "kind", "node", "what", "words")

    def __init__(self, what: Any, args: Any, kind: Kind) -> None:
        self.what = what
        self.args = args
        self.kind = kind
        self.node: _OneNode | None = None
        self.words: dict[int, int] = {}

    def told(self) -> list[Any]:
        """All of it, in plain data."""
        record = None if type(self.what) is str else lookup(self.what)
        return [record.name if record else str(self.what), repr(self.args)]


class _OneNode(NamedTuple):
    """An op on the traced operands and, at the position ``place``, on a constant, which is met with its broadcast."""

    op: Op
    params: dict[str, Any]
    aval: Aval
    place: int
    constant: int
    met: tuple[int, ...]


class _Slot(NamedTuple):
    """Stands for a traced argument: the how-manieth it is."""

    position: int


class Operation:
    """The word of an operation of known outcome."""

    __slots__ = ("outcome", "site", "takes")

    def __init__(self, site: Site, outcome: Outcome, takes: int) -> None:
        self.site = site
        self.outcome = outcome
        self.takes = takes

    def settle(self, tape: Tape, given: Sequence[int]) -> None:
        builder, image, outcome = tape.builder, tape.image, self.outcome
        builder.origin = self.site.origin
        ids = [image[number] for number in given]
        node = outcome.node
        if node is None:
            operands = [Value(builder, i) for i in ids]
            result = _worked_out(tape.session, outcome.what, _filled(outcome.args, operands))
            assert result.aval is outcome.kind.aval, f"{outcome.what} gives {result.aval}, not {outcome.kind.aval}"
            if outcome.what in _ONE_NODE:
                outcome.node = _learnt(outcome.args, ids, result)
            tape.made(result.id, self.site)
            return
        for constant in node.met:
            builder.note(constant)
        if node.place >= 0:
            ids.insert(node.place, node.constant)
        tape.made(builder.again(node.op, node.params, tuple(ids), node.aval), self.site)

    def told(self) -> Any:
        return ["operation", *self.site, *self.outcome.told()]


def operation(
    session: Session, traced: type[Tracer], what: Any, operands: tuple[Any, ...], frame: FrameType | None
) -> Tracer | None:
    """The result of an operator or ufunc, by name or itself; None where it has to be worked out.

    ``traced`` is the class of traced arrays.
    """
    found = _outcome(session, traced, what, operands, {})
    site = None if found is None else session.follower.locate(frame)
    if found is None or site is None:
        return None
    outcome, numbers = found
    word = _word(session, outcome, site, len(numbers))
    if len(operands) > 2 or not all(_stands_at_place(traced, x) for x in operands):
        session.record((word, *numbers))
        return fresh(session, traced, outcome.kind)
    left, right = operands if len(operands) == 2 else (*operands, ALONE)
    one, two = [x.kind if type(x) is traced else x for x in (left, right)]
    other = type(right if type(left) is traced else left)
    assert session.frame is not None
    session.places[session.frame.f_lasti] = Place(what, one, two, other, word, outcome.kind)
    session.record((word, *numbers))
    return fresh(session, traced, outcome.kind)


def met(
    session: Session, traced: type[Tracer], what: Any, operands: tuple[Any, ...], frame: FrameType
) -> Tracer | None:
    """The result of a ufunc of one traced operand, where the user's instruction did the same last; None elsewhere."""
    if frame is not session.frame or len(operands) != 1:
        return None
    place, operand = session.places.get(frame.f_lasti), operands[0]
    if place is None or place.what is not what or type(operand) is not traced or place.left is not operand.kind:
        return None
    session.record((place.word, operand.known))
    return fresh(session, traced, place.kind)


def call(
    session: Session,
    traced: type[Tracer],
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    frame: FrameType | None,
) -> Tracer | None:
    """The result of a call of a function; None where it has to be worked out."""
    if function is _EINSUM and rearranges(args):
        return None
    found = _outcome(session, traced, function, args, kwargs)
    site = None if found is None else session.follower.locate(frame)
    if found is None or site is None:
        return None
    outcome, numbers = found
    session.record((_word(session, outcome, site, len(numbers)), *numbers))
    return fresh(session, traced, outcome.kind)


_bare: Final = object.__new__


def fresh(session: Session, traced: type[Tracer], kind: Kind) -> Tracer:
    """The traced array of the entry that was just recorded, with no memory until it is asked for."""
    made = _bare(traced)
    made.session = session
    made.known = session.count
    session.count += 1
    made.kind = kind
    made.scalar = kind.scalar
    made.memory = None
    made.way = ()
    return made


def _outcome(
    session: Session, traced: type[Tracer], what: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Outcome, list[int]] | None:
    """What an operation gives, and the numbers of the traced arrays that it takes."""
    operands = list[Any]()
    key = _key(session, traced, (args, kwargs) if kwargs else args, operands)
    if key is None:
        return None
    numbers = [x.known for x in operands]
    outcome = session.outcomes.get((what, key))
    if outcome is None:
        kinds = [x.kind for x in operands]
        if not all(_is_told_by_kind(what, kind.aval) for kind in kinds):
            return None
        positions = iter(range(len(operands)))
        pattern = _told(traced, (args, kwargs), lambda: _Slot(next(positions)))
        aval = _foreseen(what, pattern, [kind.aval for kind in kinds])
        if aval is None:
            return None
        outcome = session.outcomes[what, key] = Outcome(what, pattern, session.kind_of(aval))
    return outcome, numbers


def _key(session: Session, traced: type[Tracer], x: Any, operands: list[Any]) -> Any:
    """What stands for an argument in a key; None where it has something in it that nothing stands for.

    The traced values in it are added to ``operands``. Neither 0.0 and -0.0, which are equal, nor NaN has a key.
    """
    kind = type(x)
    if kind is traced:
        if x.session is not session or x.kind is None:
            return None
        operands.append(x)
        return x.kind
    if kind is tuple or kind is list:
        parts: Sequence[Any] = x
    elif kind is dict:
        parts = [part for item in x.items() for part in item]
    elif kind in _PLAIN or kind is int or (kind is float and (x < 0.0 or x > 0.0)):
        return (kind, x)
    else:
        return None
    keys: list[Any] = [kind]
    for part in parts:
        key = _key(session, traced, part, operands)
        if key is None:
            return None
        keys.append(key)
    return tuple(keys)


def _told(traced: type[Tracer], x: Any, slot: Callable[[], _Slot]) -> Any:
    """Arguments with a slot in the place of each traced one."""
    kind = type(x)
    if kind is traced:
        return slot()
    if kind is tuple or kind is list:
        return kind([_told(traced, part, slot) for part in x])
    return {name: _told(traced, part, slot) for name, part in x.items()} if kind is dict else x


def _filled(x: Any, operands: Sequence[Value]) -> Any:
    kind = type(x)
    if kind is _Slot:
        return operands[x.position]
    if kind is tuple or kind is list:
        return kind([_filled(part, operands) for part in x])
    return {name: _filled(part, operands) for name, part in x.items()} if kind is dict else x


def _worked_out(session: Session, what: Any, arguments: tuple[Any, dict[str, Any]]) -> Value:
    args, kwargs = arguments
    if type(what) is str:
        result = OPERATORS[what](*[session.lift(x) for x in args])
    elif isinstance(what, np.ufunc):
        result = ufuncs.apply(session, what, "__call__", args, kwargs)
    else:
        result = arrayfunctions.apply(session, what, args, kwargs)
    assert isinstance(result, Value)
    return result


def _foreseen(what: Any, pattern: Any, avals: Sequence[Aval]) -> Aval | None:
    """The abstract value of what an operation gives for inputs of these; None where that is an error or no array."""
    if isinstance(what, np.ufunc) and lookup(what) is None:
        return None
    session = Session(None)
    inputs = [session.builder.input(f"x{k}", aval) for k, aval in enumerate(avals)]
    try:
        result = _worked_out(session, what, _filled(pattern, inputs))
    except Exception:  # noqa: BLE001  whatever it is, working it out on the operands themselves tells it with the user's line
        return None
    return result.aval


def _is_told_by_kind(what: Any, aval: Aval) -> bool:
    """Whether what an operation gives depends on no more of an operand: of Python's integers it may be the value."""
    return not aval.weak or (aval.dtype.kind == "f" and (what in _OF_FLOATS or isinstance(what, np.ufunc)))


def _stands_at_place(traced: type[Tracer], x: Any) -> bool:
    """Whether a place tells of an operand.

    Lists change, and equal ones may hold other things, as ``[True]`` and ``[1]``. Single truth values are of one kind
    whether Python compared or NumPy, but only Python's are added as integers.
    """
    if type(x) is traced:
        return not (x.scalar and x.aval.dtype == np.bool_)
    return type(x) not in (list, tuple, dict)


def _word(session: Session, outcome: Outcome, site: Site, takes: int) -> int:
    word = outcome.words.get(id(site))  # the word keeps the site, and with it its id
    if word is None:
        word = outcome.words[id(site)] = session.tape.word(Operation(site, outcome, takes))
    return word


def _learnt(pattern: tuple[Any, dict[str, Any]], ids: Sequence[int], result: Value) -> _OneNode | None:
    """The result as a node of the operands in their order and of one constant; None where it is something else."""
    op, operands, params, aval = result.node[1:]
    args, _ = pattern
    place, met = -1, tuple[int, ...]()
    if len(operands) != len(args):
        return None
    for position, (x, operand) in enumerate(zip(args, operands, strict=True)):
        if type(x) is _Slot:
            if ids[x.position] != operand:
                return None
        else:
            place, met = position, _number(result, operand)
            if not met:
                return None
    return _OneNode(op, params, aval, place, operands[place] if place >= 0 else -1, met)


def _number(result: Value, node_id: int) -> tuple[int, ...]:
    """The nodes that a Python number became: a constant, and its broadcast; none for another node."""
    nodes = result.builder.nodes
    node = nodes[node_id]
    if node.op is broadcast_to:
        inner = nodes[node.operands[0]]
        return (node.operands[0], node_id) if inner.op is CONSTANT else ()
    return (node_id,) if node.op is CONSTANT and not node.aval.weak else ()
