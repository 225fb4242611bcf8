"""Statements of loop programs as lines of C."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gradc.backends.c.expressions import Expressions
from gradc.backends.c.layout import indented
from gradc.backends.c.operators import UNARY
from gradc.backends.c.types import c_type, comment, literal
from gradc.errors import CompileError
from gradc.loops.language.expressions import apply, load_from
from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Apply,
    Buffer,
    Call,
    Check,
    Choose,
    Comment,
    Constant,
    Contraction,
    Expression,
    For,
    If,
    Lanes,
    Let,
    Local,
    Statement,
    Store,
    View,
    constant,
    variable,
    walk,
)
from gradc.loops.language.traversal import expressions_of

_LARGE: Final = 24
"""Parts of a statement beyond which those that it has twice get names."""

_SIMPLE: Final = 5
"""Parts of the end of a loop beyond which it is computed before."""

_SMALL: Final = 64
"""Elements of arrays that are 0 from the start: compilers warn where they do not see that a program sets them."""

_ASSIGN: Final = {"add": "+", "mul": "*"}


@dataclass(frozen=True, slots=True)
class Callee:
    """What a call of an internal function needs: its C name, the symbolic sizes that it takes, whether it may fail."""

    name: str
    sizes: tuple[str, ...]
    fails: bool


class Statements:
    """Writes the statements of one function; ``failure`` gives the status of a failed check."""

    def __init__(self, expressions: Expressions, callees: Mapping[str, Callee], failure: Callable[[int], str]) -> None:
        self.expressions = expressions
        self.names = expressions.names
        self._callees = callees
        self._failure = failure
        self.guarded: set[str] = set()
        """Results of one element whose pointer may be NULL."""

    def block(self, statements: Sequence[Statement]) -> list[str]:
        """The lines of a block."""
        lines: list[str] = []
        position = 0
        while position < len(statements):
            statement = statements[position]
            following = statements[position + 1] if position + 1 < len(statements) else None
            position += 1
            if isinstance(statement, Local) and (
                _sets(following, statement.buffer) or _clears(following, statement.buffer)
            ):
                lines += self._local(statement.buffer, following)
                position += 1
            else:
                lines += self._statement(statement)
        return lines

    def _statement(self, statement: Statement) -> list[str]:
        if isinstance(statement, For):
            return self._loop(statement)
        before = self._shared(statement)
        lines = [*before, *self._simple(statement)]
        self.expressions.short.clear()
        return lines

    def _simple(self, statement: Statement) -> list[str]:
        text = self.expressions.text
        match statement:
            case Let(name=name, value=value):
                line = f"const {c_type(value.dtype)} {self.names(name)} = {text(value)};"
                self.expressions.learn(name, value)
                return [line]
            case Store(buffer=name, index=index, value=value):
                return self._guard(name, f"{self._place(name, index)} = {text(value)};")
            case Accumulate():
                return self._guard(statement.buffer, self._accumulate(statement))
            case If():
                return self._if(statement)
            case Local(buffer=local):
                return self._local(local, None)
            case Choose():
                return self._choose(statement)
            case Call():
                return self._call(statement)
            case Check(condition=Apply(primitive="logical_not", arguments=(failed,)), code=code):
                return self._refused(text(failed), code)
            case Check(condition=condition, code=code):
                return self._refused(f"!{text(condition, UNARY)}", code)
            case Comment(text=remark):
                return [comment(remark)] if remark else []
        raise CompileError(f"{type(statement).__name__} is not a statement that can be written in C")

    def _refused(self, condition: str, code: int) -> list[str]:
        return [f"if ({condition}) {{", *indented([f"return {self._failure(code)};"]), "}"]

    def _place(self, name: str, index: tuple[Expression, ...]) -> str:
        return self.expressions.place(name, index)

    def _guard(self, name: str, line: str) -> list[str]:
        if name not in self.guarded:
            return [line]
        return [f"if ({self.names(name)} != NULL) {{", *indented([line]), "}"]

    def _accumulate(self, statement: Accumulate) -> str:
        if isinstance(statement.order, Lanes):
            raise CompileError("an accumulation in lanes must be expanded before it is written in C")
        op, name, index, value = statement.op, statement.buffer, statement.index, statement.value
        dtype = value.dtype
        place = self._place(name, index)
        if op in _ASSIGN and (dtype.kind == "f" or (dtype.kind == "u" and dtype.itemsize >= 4)):
            return f"{place} {_ASSIGN[op]}= {self.expressions.text(value)};"
        combined = apply(op, (load_from(name, dtype, index), value), dtype)
        return f"{place} = {self.expressions.text(combined)};"

    def _if(self, statement: If) -> list[str]:
        lines = [f"if ({self.expressions.text(statement.condition)}) {{"]
        self.expressions.short.clear()
        lines += indented(self.block(statement.then))
        if statement.otherwise:
            lines += ["} else {", *indented(self.block(statement.otherwise))]
        return [*lines, "}"]

    def _loop(self, loop: For) -> list[str]:
        expressions, name = self.expressions, self.names(loop.var)
        lines = []
        for carry in loop.carry:
            for own, first in ((carry.now, carry.first), (carry.next, carry.second)):
                expressions.buffers[own] = expressions.buffers[first]
                expressions.in_place.discard(own)
                kind = c_type(expressions.buffers[first].dtype)
                lines.append(f"{kind} *{self.names(own)} = {self.pointer(first)};")
        lo, hi = loop.lo, loop.hi
        if isinstance(lo, Constant) and isinstance(hi, Constant) and lo.value >= hi.value and not loop.carry:
            return lines
        expressions.plain.add(loop.var)
        expressions.natural.discard(loop.var)
        if expressions.is_natural(loop.lo):
            expressions.natural.add(loop.var)
        step = f"{name}++" if loop.step == 1 else f"{name} += {loop.step}"
        stop = expressions.text(loop.hi)
        if _tree_size((loop.hi,)) > _SIMPLE:
            last = self.names.fresh(f"{name}_stop")
            lines.append(f"const int64_t {last} = {stop};")
            stop = last
        head = f"int64_t {name} = {expressions.text(loop.lo)}; {name} < {stop}; {step}"
        body = self.block(loop.body)
        for carry in loop.carry:
            now, following = self.names(carry.now), self.names(carry.next)
            kind = c_type(expressions.buffers[carry.first].dtype)
            last = self.names.fresh(f"last_{now}")
            body += [f"{kind} *const {last} = {now};", f"{now} = {following};", f"{following} = {last};"]
        return [*lines, f"for ({head}) {{", *indented(body), "}"]

    def _choose(self, choice: Choose) -> list[str]:
        """A table of pointers, and the one at the index."""
        expressions, name = self.expressions, self.names(choice.name)
        buffers = [expressions.buffers[one] for one in choice.buffers]
        listed = ", ".join(self.pointer(buffer.name) for buffer in buffers)
        expressions.buffers[choice.name] = buffers[0]
        expressions.in_place.discard(choice.name)
        const = "" if all(buffer.is_writable for buffer in buffers) else "const "
        kind, table = f"{const}{c_type(buffers[0].dtype)}", self.names.fresh(f"{name}_table")
        return [
            f"{kind} *const {table}[{len(buffers)}] = {{{listed}}};",
            f"{kind} *const {name} = {table}[{expressions.text(choice.index)}];",
        ]

    def _local(self, local: Buffer, following: Statement | None) -> list[str]:
        expressions = self.expressions
        expressions.buffers[local.name] = local
        head = f"{c_type(local.dtype)} {self.names(local.name)}"
        expressions.in_place.discard(local.name)
        if local.shape:
            count = int(local.bytes) // local.dtype.itemsize
            is_set = following is not None or count <= _SMALL
            start = f" = {{{literal(0, local.dtype)}}}" if is_set else ""
            return [f"{head}[{max(count, 1)}]{start};"]
        if not isinstance(following, Store):
            expressions.in_place.add(local.name)
            return [f"{head} = {literal(0, local.dtype)};"]
        before = self._shared(following)
        line = f"{head} = {expressions.text(following.value)};"
        expressions.short.clear()
        expressions.in_place.add(local.name)
        return [*before, line]

    def _call(self, call: Call) -> list[str]:
        if isinstance(call.callee, Contraction):
            raise CompileError("a contraction must be expanded before it is written in C")
        callee = self._callees[call.callee]
        arguments = [self.view(view) for view in call.views]
        arguments += [self.expressions.text(scalar) for scalar in call.scalars]
        arguments += callee.sizes
        text = f"{callee.name}({', '.join(arguments)})"
        if not callee.fails:
            return [f"{text};"]
        return [f"status = {text};", "if (status != 0) {", *indented(["return status;"]), "}"]

    def pointer(self, name: str) -> str:
        """The address of a buffer's first element."""
        if name in self.expressions.in_place:
            return f"&{self.expressions.element(name, '')}".removeprefix("&*")
        return self.names(name)

    def view(self, view: View) -> str:
        """The address of a view's first element."""
        base = self.pointer(view.buffer)
        return base if view.offset is ZERO else f"{base} + {self.expressions.text(view.offset)}"

    # Parts that a large statement has twice

    def _shared(self, statement: Statement) -> list[str]:
        """Lets for them, in C; their names stand for them until the statement is written."""
        roots = expressions_of(statement)
        if isinstance(statement, (If, For)) or _tree_size(roots) <= _LARGE:
            return []
        parts = list(walk(*roots))
        uses = Counter(operand for part in parts for operand in part.operands)
        uses.update(roots)
        lines = []
        for part in parts:
            if uses[part] > 1 and isinstance(part, Apply) and _tree_size((part,)) > 3:
                text = self.expressions.text(part)
                name = self.names.fresh("part")
                lines.append(f"const {c_type(part.dtype)} {name} = {text};")
                self.expressions.short[part] = name
        return lines


def _sets(statement: Statement | None, local: Buffer) -> bool:
    """Whether a statement gives a local its first value."""
    return (
        isinstance(statement, Store)
        and not local.shape
        and statement.buffer == local.name
        and not any(getattr(part, "buffer", None) == local.name for part in walk(statement.value))
    )


def _clears(statement: Statement | None, local: Buffer) -> bool:
    """Whether a statement is a loop that sets all of a local array to 0."""
    match statement:
        case For(
            var=var, lo=lo, hi=Constant(value=count), body=(Store(buffer=name, index=(index,), value=value),), step=1
        ):
            zero = constant(0, local.dtype)
            own = name == local.name and index is variable(var) and value is zero
            return own and lo is ZERO and local.shape == (count,)
    return False


def _tree_size(roots: Sequence[Expression]) -> int:
    """Parts of expressions, each counted as often as it would be written."""
    sizes: dict[Expression, int] = {}
    for part in walk(*roots):
        sizes[part] = 1 + sum(sizes[operand] for operand in part.operands)
    return sum(sizes[root] for root in roots)
