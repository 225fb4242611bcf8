"""What an operator came to for operands of some kinds, so that promotion is worked out once in a trace.

NumPy's promotion and broadcasting depend on the abstract values of the operands alone, and on Python numbers by their
value. Where an operation on such operands became one node, applied to the operands as they are and to the constants
that Python numbers became, the same operation on operands of the same kinds becomes that node again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from gradc.frontend.numpy_api.ufuncs import ELEMENTWISE
from gradc.ir.aval import Aval
from gradc.ir.graph import CONSTANT, Value
from gradc.ir.op import Op
from gradc.ops.shape import broadcast_to

if TYPE_CHECKING:
    from gradc.frontend.session import Session, Traced

OPERATORS: Final = frozenset({"add", "sub", "mul", "truediv", "neg", "eq", "ne", "lt", "le", "gt", "ge"})

ALONE: Final = object()
"""What stands for the second operand of an operation that has one."""

REMEMBERED: Final[frozenset[Any]] = OPERATORS | ELEMENTWISE
"""Operators by name and ufuncs that depend on nothing but abstract values and Python numbers."""


class Outcome(NamedTuple):
    """One node: its op and abstract value, and the constant that a Python number became, met again at each use."""

    op: Op
    name: str
    commutative: bool
    aval: Aval
    constant: int
    met: tuple[int, ...]


def again(session: Session, traced: type[Traced], what: Any, left: Any, right: Any = ALONE) -> int:
    """The node of an operation that is known by its operands; -1 where it is not. ``traced`` is their class."""
    builder = session.builder
    nodes = builder.nodes
    first = second = -1
    one: Any = type(left)
    if one is traced:
        if left.session is not session:
            return -1
        first = left.known
        if first < 0:
            first = left.current().id
        one = id(nodes[first][4])
    elif one is float or one is int:
        one = (one, left)
    else:
        return -1
    other: Any = type(right)
    if other is traced:
        if right.session is not session:
            return -1
        second = right.known
        if second < 0:
            second = right.current().id
        other = id(nodes[second][4])
    elif other is float or other is int:
        other = (other, right)
    elif right is not ALONE:
        return -1
    outcome = session.outcomes.get((what, one, other))
    if outcome is None:
        return -1
    op, name, commutative, aval, constant, met = outcome
    for node in met:
        builder.note(node)
    if right is ALONE:
        return builder.again(op, (name, (first,)), (first,), aval)
    if first < 0:
        first = constant
    elif second < 0:
        second = constant
    ids = (first, second)
    return builder.again(op, (name, (second, first) if commutative and first > second else ids), ids, aval)


def learn(session: Session, traced: type[Traced], what: Any, operands: tuple[Any, ...], result: Value) -> None:
    """Remember what the operation came to, where it was one node of nothing else than its operands."""
    nodes = session.builder.nodes
    node = nodes[result.id]
    if what not in REMEMBERED or node.params or len(node.operands) != len(operands) or node.aval.weak:
        return
    key: list[Any] = [what]
    constant, met = -1, tuple[int, ...]()
    for x, used in zip(operands, node.operands, strict=True):
        if type(x) is traced:
            if x.session is not session or x.current().id != used:
                return
            key.append(id(nodes[used].aval))
        elif (type(x) is float or type(x) is int) and (x or type(x) is int):  # 0.0 and -0.0 are equal as keys
            constant, met = used, _number(session, used)
            if not met:
                return
            key.append((type(x), x))
        else:
            return
    key += [type(ALONE)] * (3 - len(key))
    session.outcomes[tuple(key)] = Outcome(node.op, node.op.name, node.op.commutative, node.aval, constant, met)


def _number(session: Session, node_id: int) -> tuple[int, ...]:
    """The nodes that a Python number became: a constant, and its broadcast; none for another node."""
    node = session.builder.nodes[node_id]
    if node.op is broadcast_to:
        inner = session.builder.nodes[node.operands[0]]
        return (node.operands[0], node_id) if inner.op is CONSTANT else ()
    return (node_id,) if node.op is CONSTANT and not node.aval.weak else ()
