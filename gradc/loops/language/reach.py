"""What is in reach at a place of a loop program, and whether expressions and accesses there keep the laws."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn

import numpy as np

from gradc.errors import VerifyError
from gradc.ir.aval import Dim, short_dtype, size_of
from gradc.loops.language.program import (
    BOOL,
    I64,
    PRIMITIVES,
    Apply,
    Buffer,
    Choose,
    Expression,
    For,
    Function,
    Load,
    LoopProgram,
    Statement,
    Variable,
    walk,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.text import block_lines

RESERVED: Final = frozenset((
    "program", "function", "begin", "arena", "message", "pass", "for", "in", "to", "step", "carry", "let", "if", "else",
    "local", "choose", "call", "check", "require", "contract", "then", "read", "write", "parallel", "vector", "lanes",
    "sequence", "blocks", "of", "true", "false", "inf", "nan", "not", "or", "xor", "and",
))  # fmt: skip
"""Words that name nothing."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)


@dataclass
class Scope:
    """What is in reach at one place.

    loops      the loops around it, outermost first; ``own`` the locals that each one's body declares
    read_only  carried state that is not for writing here; ``hidden`` the buffers that hold it
    depends    the loop variables behind each let
    lets       the values of integer lets
    chosen     the choices in reach, by their names
    """

    program: LoopProgram
    buffers: dict[str, Buffer]
    scalars: dict[str, np.dtype]
    ranges: Ranges
    functions: dict[str, Function]
    loops: tuple[For, ...] = ()
    own: tuple[frozenset[str], ...] = ()
    read_only: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    depends: dict[str, frozenset[str]] = field(default_factory=dict)
    lets: dict[str, Expression] = field(default_factory=dict)
    chosen: dict[str, Choose] = field(default_factory=dict)

    def inner(self) -> Scope:
        """The scope of a block in this one."""
        return replace(
            self,
            buffers=dict(self.buffers),
            scalars=dict(self.scalars),
            depends=dict(self.depends),
            lets=dict(self.lets),
            chosen=dict(self.chosen),
        )

    def declare(self, name: str) -> None:
        """Law 1, for a name that is declared here."""
        check_name(name)
        if name in self.buffers or name in self.scalars:
            broken(1, f"{name} is declared again where it is in reach")

    def may_write(self, name: str) -> bool:
        """Law 4, for a buffer in reach."""
        return self.buffers[name].is_writable and name not in self.read_only

    def loops_behind(self, *expressions: Expression) -> frozenset[str]:
        """The loop variables that expressions depend on, through lets too."""
        found: set[str] = set()
        for part in walk(*expressions):
            if isinstance(part, Variable):
                found |= self.depends.get(part.name, frozenset())
        return frozenset(found)


def broken(law: int, problem: str, statement: Statement | None = None) -> NoReturn:
    """Raise VerifyError."""
    place = f": {block_lines((statement,), 0)[0]}" if statement is not None else ""
    raise VerifyError(f"law {law}: {problem}{place}")


def check_name(name: str) -> None:
    """Law 1, for the form of a name."""
    if not _NAME.fullmatch(name) or name in RESERVED or re.fullmatch(r"(inf|nan)_f\d+", name):
        broken(1, f"{name!r} cannot be a name")


def buffer_in_reach(name: str, scope: Scope, statement: Statement) -> Buffer:
    """Law 2, for a buffer; the buffer."""
    if name not in scope.buffers or name in scope.hidden:
        broken(2, f"the buffer {name} is not in reach", statement)
    return scope.buffers[name]


def check_write(
    name: str, index: tuple[Expression, ...], dtype: np.dtype, scope: Scope, statement: Statement, over: str = ""
) -> None:
    """Laws 2 to 5 and 7, for an element that is written, or reduced in lanes of the loop ``over``."""
    buffer = buffer_in_reach(name, scope, statement)
    check_place(name, buffer, index, scope, statement)
    if not scope.may_write(name):
        broken(4, f"{name} is not for writing", statement)
    if dtype != buffer.dtype:
        broken(3, f"{short_dtype(dtype)} is written to {buffer.aval}", statement)
    behind = scope.loops_behind(*index)
    for loop, own in zip(scope.loops, scope.own, strict=True):
        if loop.mode != "seq" and name not in own and loop.var not in behind and loop.var != over:
            broken(7, f"iterations of the {loop.mode} loop over {loop.var} write one element", statement)


def check_place(name: str, buffer: Buffer, index: tuple[Expression, ...], scope: Scope, statement: Statement) -> None:
    """Laws 3 and 5, for the index of an element."""
    lengths: tuple[Dim, ...] = buffer.shape
    if len(index) != len(lengths):
        if len(index) != 1:
            broken(3, f"{name} has {len(lengths)} axes and {len(index)} indices", statement)
        lengths = (size_of(buffer.shape),)
    for position, length in zip(index, lengths, strict=True):
        if position.dtype != I64:
            broken(3, f"an index of {name} is {short_dtype(position.dtype)}", statement)
        lo, hi = scope.ranges.of(position)
        if lo <= hi and isinstance(length, int) and not (0 <= lo and hi < length):
            broken(5, f"an index of {name} runs from {lo} to {hi}, its axis has {length} elements", statement)


def check_expression(root: Expression, scope: Scope, statement: Statement) -> None:
    """Laws 2, 3 and 5, for an expression."""
    for part in walk(root):
        match part:
            case Variable(name=name, dtype=dtype):
                if name not in scope.scalars or scope.scalars[name] != dtype:
                    broken(2, f"the {short_dtype(dtype)} variable {name} is not in reach", statement)
            case Load(buffer=name, index=index, dtype=dtype):
                buffer = buffer_in_reach(name, scope, statement)
                if dtype != buffer.dtype:
                    broken(3, f"{short_dtype(dtype)} is loaded from {buffer.aval}", statement)
                check_place(name, buffer, index, scope, statement)
            case Apply(primitive=primitive, arguments=arguments, dtype=dtype):
                _result(primitive, arguments, dtype, statement)


def check_fits(primitive: str, arguments: Iterable[Expression], statement: Statement) -> None:
    """Law 3, for the operands of a primitive."""
    rule = PRIMITIVES[primitive]
    dtypes = [a.dtype for a in arguments]
    if len(dtypes) != rule.arity or any(d.kind not in rule.kinds or d != dtypes[0] for d in dtypes):
        broken(3, f"{primitive} does not take {', '.join(map(short_dtype, dtypes))}", statement)


def _result(primitive: str, arguments: tuple[Expression, ...], dtype: np.dtype, statement: Statement) -> None:
    if primitive not in PRIMITIVES:
        broken(3, f"{primitive} is not a primitive", statement)
    if primitive == "select":
        mask, *arms = arguments
        if mask.dtype != BOOL or any(a.dtype != dtype for a in arms):
            broken(3, "select does not fit its operands", statement)
        return
    check_fits(primitive, arguments, statement)
    expected = BOOL if PRIMITIVES[primitive].to_bool else arguments[0].dtype
    if primitive != "convert" and dtype != expected:
        broken(3, f"{primitive} does not give {short_dtype(dtype)}", statement)
