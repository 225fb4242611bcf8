"""Walking over the statements of a loop program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Check,
    Choose,
    Epilogue,
    Expression,
    For,
    Function,
    If,
    Let,
    Load,
    Local,
    LoopProgram,
    Statement,
    Store,
    Variable,
    rewrite,
    walk,
)


def nested(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The blocks inside a statement."""
    if isinstance(statement, For):
        return (statement.body,)
    if isinstance(statement, If):
        return (statement.then, statement.otherwise)
    if isinstance(statement, Call) and statement.epilogue is not None:
        return (statement.epilogue.body,)
    return ()


def statements_of(block: tuple[Statement, ...]) -> Iterator[Statement]:
    """Every statement of a block and of the blocks in it, outer first."""
    for statement in block:
        yield statement
        for inner in nested(statement):
            yield from statements_of(inner)


def expressions_of(statement: Statement) -> tuple[Expression, ...]:
    """The expressions that stand directly in a statement."""
    match statement:
        case For(lo=lo, hi=hi):
            return (lo, hi)
        case Let(value=value):
            return (value,)
        case Store(index=index, value=value) | Accumulate(index=index, value=value):
            return (*index, value)
        case If(condition=condition):
            return (condition,)
        case Check(condition=condition, value=value):
            return (condition, value)
        case Call(views=views, scalars=scalars):
            return (*(view.offset for view in views), *scalars)
        case Choose(index=index):
            return (index,)
        case _:
            return ()


def uses_of(body: tuple[Statement, ...]) -> Counter[Expression]:
    """How often each variable stands in the statements; a part that a statement shares counts once."""
    uses: Counter[Expression] = Counter()
    for statement in statements_of(body):
        expressions = expressions_of(statement)
        uses.update(e for e in expressions if isinstance(e, Variable))
        for part in walk(*expressions):
            uses.update(o for o in part.operands if isinstance(o, Variable))
    return uses


def buffers_named(block: tuple[Statement, ...]) -> Iterator[str]:
    """The buffers that the statements of a block, and of the blocks in it, read or write."""
    for statement in statements_of(block):
        yield from (part.buffer for part in walk(*expressions_of(statement)) if isinstance(part, Load))
        match statement:
            case Store(buffer=name) | Accumulate(buffer=name):
                yield name
            case Call(views=views):
                yield from (view.buffer for view in views)
            case For(carry=carry):
                for state in carry:
                    yield from (state.first, state.second)
            case Choose(buffers=names):
                yield from names


def declared_names(block: tuple[Statement, ...]) -> set[str]:
    """The names that a block declares."""
    found: set[str] = set()
    for statement in statements_of(block):
        match statement:
            case For(var=name, carry=carry):
                found.add(name)
                for carried in carry:
                    found |= {carried.now, carried.next}
            case Let(name=name) | Choose(name=name):
                found.add(name)
            case Local(buffer=local):
                found.add(local.name)
            case Call(epilogue=Epilogue(element=element, index=index)):
                found |= {element, *index}
    return found


def with_expressions(statement: Statement, replaced: dict[Expression, Expression]) -> Statement:
    """A statement with expressions replaced, in the blocks inside it too; ``replaced`` is filled as by ``rewrite``."""

    def new(root: Expression) -> Expression:
        return rewrite(root, replaced)

    def block(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
        return tuple([with_expressions(inner, replaced) for inner in statements])

    match statement:
        case For(lo=lo, hi=hi, body=body):
            return replace(statement, lo=new(lo), hi=new(hi), body=block(body))
        case If(condition=condition, then=then, otherwise=otherwise):
            return If(new(condition), block(then), block(otherwise))
        case Let(value=value):
            return replace(statement, value=new(value))
        case Store(index=index, value=value) | Accumulate(index=index, value=value):
            return replace(statement, index=tuple(map(new, index)), value=new(value))
        case Check(condition=condition, value=value):
            return replace(statement, condition=new(condition), value=new(value))
        case Call(views=views, scalars=scalars):
            moved = tuple(replace(view, offset=new(view.offset)) for view in views)
            after = statement.epilogue
            if after is not None:
                body = cast("tuple[Let | Store, ...]", block(after.body))  # each stays what it is
                after = replace(after, body=body)
            return replace(statement, views=moved, scalars=tuple(map(new, scalars)), epilogue=after)
    return statement


def buffers_in(function: Function, program: LoopProgram) -> dict[str, Buffer]:
    """The buffers that an internal function may name: constants, its parameters, its locals."""
    found = {buffer.name: buffer for buffer in program.buffers if buffer.kind == "constant"}
    found |= {parameter.name: parameter for parameter in function.parameters}
    return found | {s.buffer.name: s.buffer for s in statements_of(function.body) if isinstance(s, Local)}
