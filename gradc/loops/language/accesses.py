"""What statements read and write, and whether that is the same memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gradc.ir.aval import is_nonnegative
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Choose,
    Contraction,
    For,
    Let,
    Load,
    Local,
    Statement,
    Store,
    Variable,
    walk,
)
from gradc.loops.language.traversal import declared_names, expressions_of, nested, statements_of


def reads_of(statement: Statement) -> set[str]:
    """The buffers and scalars from outside of a statement that it reads or adds to."""
    found: set[str] = set()
    for inner in statements_of((statement,)):
        for part in walk(*expressions_of(inner)):
            if isinstance(part, Load):
                found.add(part.buffer)
            elif isinstance(part, Variable):
                found.add(part.name)
        match inner:
            case Accumulate(buffer=buffer):
                found.add(buffer)
            case Call(callee=Contraction(accumulate=adds), views=views):
                found |= {view.buffer for view in (views[:3] if adds else views[:2])}
            case Call(views=views):
                found |= {view.buffer for view in views}
            case For(carry=carry):
                found |= {name for carried in carry for name in (carried.first, carried.second)}
            case Choose(buffers=names):
                found.update(names)
    return found - _own(statement)


def writes_of(statement: Statement) -> set[str]:
    """The buffers that a statement writes, and the scalars and buffers that it declares for those after it."""
    found: set[str] = set()
    for inner in statements_of((statement,)):
        match inner:
            case Store(buffer=name) | Accumulate(buffer=name) | Let(name=name):
                found.add(name)
            case Local(buffer=local):
                found.add(local.name)
            case Call(callee=Contraction(), views=views):
                found |= {view.buffer for view in views[2:]}
            case Call(views=views):
                found |= {view.buffer for view in views}
            case For(carry=carry):
                found |= {name for carried in carry for name in (carried.first, carried.second, carried.now)}
            case Choose(buffers=names):
                found.update(names)
    return found - _own(statement)


def _own(statement: Statement) -> set[str]:
    """The names that are known inside of a statement alone."""
    own = {statement.var} if isinstance(statement, For) else set()
    if isinstance(statement, Call) and statement.epilogue is not None:
        own = {statement.epilogue.element, *statement.epilogue.index}
    for block in nested(statement):
        own |= declared_names(block)
    return own


def share(one: Buffer, other: Buffer) -> bool:
    """Whether two buffers may have memory in common: symbolic places lie apart where their form tells."""
    if one.kind != "arena" or other.kind != "arena":
        return one == other
    return not _ends_before(one, other) and not _ends_before(other, one)


def _ends_before(one: Buffer, other: Buffer) -> bool:
    return is_nonnegative(other.offset - (one.offset + one.bytes))


def meet(some: Iterable[str], others: Iterable[str], buffers: Mapping[str, Buffer]) -> bool:
    """Whether any of some names, and any of others, are one or lie in the same memory."""
    listed = list(others)
    return any(
        one == other or (one in buffers and other in buffers and share(buffers[one], buffers[other]))
        for one in some
        for other in listed
    )
