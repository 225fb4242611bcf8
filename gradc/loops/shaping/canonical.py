"""Statements under other names: which of them are the same but for the buffers and variables that they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

from gradc.loops.language.expressions import Expression, Load, Variable, rewrite, variable, walk
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Check,
    Choose,
    For,
    If,
    Lanes,
    Let,
    Local,
    Statement,
    Store,
    View,
)
from gradc.loops.language.traversal import expressions_of, statements_of


class Canonical(NamedTuple):
    """A statement whose names are numbered, and the names that it had.

    ``buffers`` and ``scalars`` are those from outside, ``own`` what it declares for itself and for those after it.
    """

    statement: Statement
    buffers: tuple[str, ...]
    scalars: tuple[str, ...]
    own: tuple[str, ...]


def canonical(statement: Statement, buffers: Mapping[str, Buffer]) -> Canonical:
    """The statement with names by the order in which they come; ``buffers`` are those of the kernel.

    Names of buffers tell dtype and shape, so that equal canonical statements do the same to buffers that are alike.
    """
    own = _declared(statement)
    images: dict[str, str] = {name: f"v{position}" for position, name in enumerate(own)}
    outer: list[str] = []
    scalars: list[str] = []
    for name in _named(statement):
        if name in images:
            continue
        buffer = buffers.get(name)
        if buffer is None:
            images[name] = f"s{len(scalars)}"
            scalars.append(name)
        else:
            images[name] = f"b{len(outer)} {buffer.aval}"
            outer.append(name)
    return Canonical(Renamed(images).statement(statement), tuple(outer), tuple(scalars), own)


def _declared(statement: Statement) -> tuple[str, ...]:
    """The names that a statement declares, in order."""
    found: dict[str, None] = {}
    for inner in statements_of((statement,)):
        match inner:
            case For(var=name, carry=carry):
                found.update(dict.fromkeys([name, *(n for c in carry for n in (c.now, c.next))]))
            case Let(name=name) | Choose(name=name):
                found[name] = None
            case Local(buffer=local):
                found[local.name] = None
            case Call(epilogue=epilogue) if epilogue is not None:
                found.update(dict.fromkeys([epilogue.element, *epilogue.index]))
    return tuple(found)


def _named(statement: Statement) -> list[str]:
    """The names that a statement uses, in order."""
    found: list[str] = []
    for inner in statements_of((statement,)):
        match inner:
            case Store(buffer=name) | Accumulate(buffer=name):
                found.append(name)
            case Call(views=views):
                found += [view.buffer for view in views]
            case For(carry=carry):
                found += [name for c in carry for name in (c.first, c.second)]
            case Choose(buffers=names):
                found += names
        for part in walk(*expressions_of(inner)):
            if isinstance(part, Load):
                found.append(part.buffer)
            elif isinstance(part, Variable):
                found.append(part.name)
    return found


@dataclass
class Renamed:
    """Writes statements with the ``names`` of buffers and variables changed; others keep theirs."""

    names: dict[str, str]
    images: dict[Expression, Expression] = field(default_factory=dict)

    def block(self, block: tuple[Statement, ...]) -> tuple[Statement, ...]:
        """The statements under their new names."""
        return tuple([self.statement(statement) for statement in block])

    def statement(self, statement: Statement) -> Statement:
        """A statement, and those in it, under their new names."""
        match statement:
            case For(var=var, body=body, carry=carry):
                return replace(
                    statement,
                    var=self._of(var),
                    lo=self._moved(statement.lo),
                    hi=self._moved(statement.hi),
                    body=self.block(body),
                    carry=tuple(
                        replace(c, **{word: self._of(getattr(c, word)) for word in ("now", "next", "first", "second")})
                        for c in carry
                    ),
                )
            case Let(name=name, value=value):
                return Let(self._of(name), self._moved(value))
            case Store(buffer=buffer, index=index, value=value):
                return Store(self._of(buffer), self._all(index), self._moved(value))
            case Accumulate(buffer=buffer, index=index, value=value, order=order):
                over = replace(order, over=self._of(order.over)) if isinstance(order, Lanes) else order
                return replace(
                    statement, buffer=self._of(buffer), index=self._all(index), value=self._moved(value), order=over
                )
            case If(condition=condition, then=then, otherwise=otherwise):
                return If(self._moved(condition), self.block(then), self.block(otherwise))
            case Local(buffer=local):
                return Local(replace(local, name=self._of(local.name), comment=""))
            case Choose(name=name, buffers=buffers, index=at):
                return Choose(self._of(name), tuple(map(self._of, buffers)), self._moved(at))
            case Check(condition=condition, value=value):
                return replace(statement, condition=self._moved(condition), value=self._moved(value))
            case Call():
                return self._call(statement)
        return statement

    def _call(self, call: Call) -> Call:
        epilogue = call.epilogue
        if epilogue is not None:
            epilogue = replace(
                epilogue,
                element=self._of(epilogue.element),
                index=tuple(map(self._of, epilogue.index)),
                body=cast("tuple[Let | Store, ...]", self.block(epilogue.body)),
            )
        return Call(call.callee, tuple(map(self._view, call.views)), self._all(call.scalars), epilogue)

    def _view(self, view: View) -> View:
        return View(self._of(view.buffer), view.strides, self._moved(view.offset))

    def _of(self, name: str) -> str:
        return self.names.get(name, name)

    def _all(self, expressions: tuple[Expression, ...]) -> tuple[Expression, ...]:
        return tuple([self._moved(expression) for expression in expressions])

    def _moved(self, expression: Expression) -> Expression:
        for part in walk(expression):
            if isinstance(part, Variable) and part not in self.images:
                self.images[part] = variable(self._of(part.name), part.dtype)
        return rewrite(expression, self.images, self.names)
