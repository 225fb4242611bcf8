"""The laws of a valid loop program. A program that keeps them never leaves its buffers.

 1  names     names are plain words, none reserved; no name in reach is declared again
 2  reach     every variable and buffer is declared before its use, and has the dtype of its declaration
 3  types     operands fit their primitive; indices and bounds are i64, conditions bool; stored is the buffer's dtype
 4  writes    only outputs, arena buffers, locals and parameters for writing are written
 5  bounds    every index lies in its axis for all values that its variables can have; one that is data is clamped
 6  loops     the step is positive; bounds are made of outer variables and sizes by + - * // % minimum maximum
 7  lanes     no iteration of a parallel or vector loop touches what another one writes, its own locals aside; it
              carries no state
 8  order     a reduction in lanes is over an enclosing seq loop of step 1, into one element; lanes is a power of two
              that divides the block; all reductions of a loop agree; nothing else in the loop names the buffer
 9  memory    arena buffers are aligned and inside the arena, constants have the bytes of their shape, locals are of
              fixed size and at most 128 kB a function
10  calls     a function is defined before it is called, once, and gets views of its parameters' shapes and dtypes;
              contraction letters are sound; strides are not negative; what is written is no operand
11  checks    a check's code has a message
12  carry     carried state is two buffers of one shape that the loop's body does not name
13  text      comments and messages are one line
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NoReturn, get_args

import numpy as np

from gradc.errors import VerifyError
from gradc.ir.aval import Dim, short_dtype, size_of
from gradc.loops.independence import conflict
from gradc.loops.program import (
    ALIGNMENT,
    BOOL,
    I64,
    PRIMITIVES,
    Accumulate,
    Apply,
    Buffer,
    Call,
    Check,
    Comment,
    Constant,
    Contraction,
    Expression,
    For,
    Function,
    If,
    Lanes,
    Let,
    Load,
    Local,
    LoopProgram,
    Reduction,
    Size,
    Statement,
    Store,
    Variable,
    View,
    contiguous_strides,
    expressions_of,
    statements_of,
    walk,
)
from gradc.loops.ranges import Ranges, loop_interval
from gradc.loops.text import block_lines

RESERVED: Final = frozenset((
    "program", "function", "begin", "arena", "message", "pass", "for", "in", "to", "step", "carry", "let", "if", "else",
    "local", "call", "check", "contract", "read", "write", "parallel", "vector", "lanes", "sequence", "blocks", "of",
    "true", "false", "inf", "nan", "not", "or", "xor", "and",
))  # fmt: skip
"""Words that name nothing."""

LOCAL_BYTES: Final = 128 * 1024
"""Stack memory of one function."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)
_BOUND_PRIMITIVES: Final = ("add", "sub", "mul", "floor_div", "mod", "minimum", "maximum")


def verify(program: LoopProgram) -> LoopProgram:
    """The program itself. Raises VerifyError naming the law that it breaks, and where."""
    _declarations(program)
    constants = {b.name: b for b in program.buffers if b.kind == "constant"}
    defined: dict[str, Function] = {}
    for function in program.functions:
        _name(function.name)
        if function.name in defined:
            _broken(10, f"function {function.name} is defined twice")
        scope = _Scope(program, dict(constants), dict.fromkeys(function.scalars, I64), Ranges(), dict(defined))
        for parameter in function.parameters:
            _name(parameter.name)
            if parameter.kind != "parameter" or parameter.name in scope.buffers:
                _broken(1, f"{parameter.name} cannot be a parameter of {function.name}")
            scope.buffers[parameter.name] = parameter
        _block(function.body, scope)
        _local_memory(function.body)
        defined[function.name] = function
    _block(program.body, _Scope(program, program.buffer, {}, Ranges(), defined))
    _local_memory(program.body)
    return program


@dataclass
class _Scope:
    """What is in reach at one place."""

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

    def inner(self) -> _Scope:
        return replace(
            self,
            buffers=dict(self.buffers),
            scalars=dict(self.scalars),
            depends=dict(self.depends),
            lets=dict(self.lets),
        )

    def declare(self, name: str) -> None:
        _name(name)
        if name in self.buffers or name in self.scalars:
            _broken(1, f"{name} is declared again where it is in reach")

    def loops_behind(self, *expressions: Expression) -> frozenset[str]:
        """The loop variables that expressions depend on, through lets too."""
        found: set[str] = set()
        for part in walk(*expressions):
            if isinstance(part, Variable):
                found |= self.depends.get(part.name, frozenset())
        return frozenset(found)


def _broken(law: int, problem: str, statement: Statement | None = None) -> NoReturn:
    place = f": {block_lines((statement,), 0)[0]}" if statement is not None else ""
    raise VerifyError(f"law {law}: {problem}{place}")


def _name(name: str) -> None:
    if not _NAME.fullmatch(name) or name in RESERVED or re.fullmatch(r"(inf|nan)_f\d+", name):
        _broken(1, f"{name!r} cannot be a name")


def _declarations(program: LoopProgram) -> None:
    _name(program.name)
    seen: set[str] = set()
    for buffer in program.buffers:
        _name(buffer.name)
        if buffer.name in seen:
            _broken(1, f"{buffer.name} is declared again where it is in reach")
        seen.add(buffer.name)
        if buffer.kind not in ("input", "output", "arena", "constant"):
            _broken(2, f"{buffer.name} is a {buffer.kind} outside of any function")
        _one_line(buffer.comment)
        if buffer.kind == "constant" and len(buffer.data) != buffer.bytes:
            _broken(9, f"{buffer.name}: {len(buffer.data)} bytes for {buffer.aval}")
        if buffer.kind == "arena":
            offset, end = buffer.offset, buffer.offset + buffer.bytes
            if isinstance(offset, int) and (offset % ALIGNMENT or offset < 0):
                _broken(9, f"{buffer.name}: the offset {offset} is not a multiple of {ALIGNMENT}")
            if isinstance(end, int) and isinstance(program.arena_bytes, int) and end > program.arena_bytes:
                _broken(9, f"{buffer.name} ends at {end}, the arena at {program.arena_bytes}")
    for message in program.messages:
        _one_line(message)


def _one_line(text: str) -> None:
    if text != text.strip() or len(text.splitlines()) > 1 or "  # " in text:
        _broken(13, f"{text!r} is not one line")


def _local_memory(block: tuple[Statement, ...]) -> None:
    total = 0
    for statement in statements_of(block):
        if isinstance(statement, Local):
            size = statement.buffer.bytes
            if not isinstance(size, int):
                _broken(
                    9, f"{statement.buffer.name} is local and {statement.buffer.aval} is not a fixed size", statement
                )
            total += size
    if total > LOCAL_BYTES:
        _broken(9, f"local buffers take {total} bytes, at most {LOCAL_BYTES} are allowed")


# Statements


def _block(block: tuple[Statement, ...], scope: _Scope) -> None:
    for statement in block:
        for expression in expressions_of(statement):
            _expression(expression, scope, statement)
        match statement:
            case For():
                _for(statement, scope)
            case Let(name=name, value=value):
                scope.declare(name)
                scope.scalars[name] = value.dtype
                scope.depends[name] = scope.loops_behind(value)
                if value.dtype.kind in "iub":
                    scope.ranges = scope.ranges.inside(name, scope.ranges.of(value))
                    scope.lets[name] = value
            case Store(buffer=name, index=index, value=value):
                _write(name, index, value.dtype, scope, statement)
            case Accumulate():
                _accumulate(statement, scope)
            case If(condition=condition, then=then, otherwise=otherwise):
                _condition(condition, statement)
                for branch, holds in ((then, True), (otherwise, False)):
                    inner = scope.inner()
                    inner.ranges = scope.ranges.where(condition, holds)
                    _block(branch, inner)
            case Local(buffer=local):
                scope.declare(local.name)
                if local.kind != "local":
                    _broken(2, f"{local.name} is declared as {local.kind}", statement)
                _one_line(local.comment)
                scope.buffers[local.name] = local
                scope.own = tuple(own | {local.name} for own in scope.own)
            case Call():
                _call(statement, scope)
            case Check(condition=condition, code=code, value=value):
                _condition(condition, statement)
                if value.dtype != I64:
                    _broken(3, f"the value told is {short_dtype(value.dtype)}", statement)
                if not 1 <= code <= len(scope.program.messages):
                    _broken(11, f"the code {code} has no message", statement)
            case Comment(text=text):
                _one_line(text)


def _for(loop: For, scope: _Scope) -> None:
    if loop.step < 1:
        _broken(6, "the step is not positive", loop)
    for bound in (loop.lo, loop.hi):
        if bound.dtype != I64:
            _broken(3, f"a bound is {short_dtype(bound.dtype)}", loop)
        for part in walk(bound):
            arithmetic = isinstance(part, Apply) and part.primitive in _BOUND_PRIMITIVES
            if not arithmetic and not isinstance(part, (Constant, Variable, Size)):
                _broken(6, "a bound is not made of outer variables and sizes", loop)
    inner = scope.inner()
    scope.declare(loop.var)
    inner.scalars[loop.var] = I64
    inner.depends[loop.var] = frozenset((loop.var,)) | scope.loops_behind(loop.lo, loop.hi)
    interval = loop_interval(scope.ranges.of(loop.lo), scope.ranges.of(loop.hi), loop.step)
    inner.ranges = scope.ranges.inside(loop.var, interval)
    inner.loops = (*scope.loops, loop)
    inner.own = (*scope.own, frozenset())
    if loop.mode != "seq" and loop.carry:
        _broken(7, "a loop that carries state runs in sequence", loop)
    for carry in loop.carry:
        first, second = (_buffer(name, scope, loop) for name in (carry.first, carry.second))
        same = (first.shape, first.dtype) == (second.shape, second.dtype)
        if carry.first == carry.second or not same or not (_writable(first, scope) and _writable(second, scope)):
            _broken(12, f"{carry.first} and {carry.second} cannot carry {carry.now}", loop)
        for name, buffer in ((carry.now, first), (carry.next, second)):
            inner.declare(name)
            inner.buffers[name] = buffer
        inner.read_only |= {carry.now}
        inner.hidden |= {carry.first, carry.second}
    if len({x for c in loop.carry for x in (c.first, c.second)}) != 2 * len(loop.carry):
        _broken(12, "two carried states share a buffer", loop)
    _reductions(loop)
    if interval[0] <= interval[1]:
        _block(loop.body, inner)
        if loop.mode != "seq":
            memory = conflict(loop, scope.buffers, scope.lets, scope.ranges)
            if memory:
                _broken(7, f"two iterations may meet in {memory}", loop)
    for carry in loop.carry:
        scope.declare(carry.now)
        scope.buffers[carry.now] = scope.buffers[carry.first]
        scope.read_only |= {carry.now}


def _reductions(loop: For) -> None:
    """Law 8, of what is accumulated in lanes over this loop."""
    inside = tuple(statements_of(loop.body))
    over = [s for s in inside if isinstance(s, Accumulate) and isinstance(s.order, Lanes) and s.order.over == loop.var]
    if not over:
        return
    if loop.mode != "seq" or loop.step != 1 or len({s.order for s in over}) > 1:
        _broken(8, "reductions over a loop agree in their lanes, and the loop is a seq loop of step 1", loop)
    targets = {s.buffer for s in over}
    for statement in inside:
        named = {p.buffer for p in walk(*expressions_of(statement)) if isinstance(p, Load)}
        if isinstance(statement, Store) or (isinstance(statement, Accumulate) and statement not in over):
            named.add(statement.buffer)
        if isinstance(statement, Call):
            named |= {view.buffer for view in statement.views}
        if named & targets:
            _broken(
                8, f"{', '.join(sorted(named & targets))} is reduced in lanes of {loop.var} and named here", statement
            )


def _accumulate(statement: Accumulate, scope: _Scope) -> None:
    if statement.op not in get_args(Reduction):
        _broken(3, f"{statement.op} does not accumulate", statement)
    _fits(statement.op, (statement.value, statement.value), statement)
    _write(statement.buffer, statement.index, statement.value.dtype, scope, statement)
    order = statement.order
    if not isinstance(order, Lanes):
        return
    loop = next((outer for outer in reversed(scope.loops) if outer.var == order.over), None)
    if loop is None:
        _broken(8, f"{order.over} is no enclosing loop", statement)
    if order.lanes < 1 or order.lanes & (order.lanes - 1) or order.block < 0 or order.block % order.lanes:
        _broken(8, f"{order.lanes} lanes in blocks of {order.block}", statement)
    inside = {outer.var for outer in scope.loops[scope.loops.index(loop) :]}
    if scope.loops_behind(*statement.index) & inside or statement.buffer in scope.own[scope.loops.index(loop)]:
        _broken(8, f"what is accumulated changes within the loop over {order.over}", statement)


def _condition(condition: Expression, statement: Statement) -> None:
    if condition.dtype != BOOL:
        _broken(3, f"the condition is {short_dtype(condition.dtype)}", statement)


# Accesses


def _buffer(name: str, scope: _Scope, statement: Statement) -> Buffer:
    if name not in scope.buffers or name in scope.hidden:
        _broken(2, f"the buffer {name} is not in reach", statement)
    return scope.buffers[name]


def _writable(buffer: Buffer, scope: _Scope) -> bool:
    return buffer.is_writable and buffer.name not in scope.read_only


def _write(name: str, index: tuple[Expression, ...], dtype: np.dtype, scope: _Scope, statement: Statement) -> None:
    buffer = _buffer(name, scope, statement)
    _place(name, buffer, index, scope, statement)
    if not buffer.is_writable or name in scope.read_only:
        _broken(4, f"{name} is not for writing", statement)
    if dtype != buffer.dtype:
        _broken(3, f"{short_dtype(dtype)} is written to {buffer.aval}", statement)
    behind = scope.loops_behind(*index)
    for loop, own in zip(scope.loops, scope.own, strict=True):
        if loop.mode != "seq" and name not in own and loop.var not in behind:
            _broken(7, f"iterations of the {loop.mode} loop over {loop.var} write one element", statement)


def _place(name: str, buffer: Buffer, index: tuple[Expression, ...], scope: _Scope, statement: Statement) -> None:
    lengths: tuple[Dim, ...] = buffer.shape
    if len(index) != len(lengths):
        if len(index) != 1:
            _broken(3, f"{name} has {len(lengths)} axes and {len(index)} indices", statement)
        lengths = (size_of(buffer.shape),)
    for position, length in zip(index, lengths, strict=True):
        if position.dtype != I64:
            _broken(3, f"an index of {name} is {short_dtype(position.dtype)}", statement)
        lo, hi = scope.ranges.of(position)
        if lo <= hi and isinstance(length, int) and not (0 <= lo and hi < length):
            _broken(5, f"an index of {name} runs from {lo} to {hi}, its axis has {length} elements", statement)


def _expression(root: Expression, scope: _Scope, statement: Statement) -> None:
    for part in walk(root):
        match part:
            case Variable(name=name, dtype=dtype):
                if name not in scope.scalars or scope.scalars[name] != dtype:
                    _broken(2, f"the {short_dtype(dtype)} variable {name} is not in reach", statement)
            case Load(buffer=name, index=index, dtype=dtype):
                buffer = _buffer(name, scope, statement)
                if dtype != buffer.dtype:
                    _broken(3, f"{short_dtype(dtype)} is loaded from {buffer.aval}", statement)
                _place(name, buffer, index, scope, statement)
            case Apply(primitive=primitive, arguments=arguments, dtype=dtype):
                _result(primitive, arguments, dtype, statement)


def _fits(primitive: str, arguments: Iterable[Expression], statement: Statement) -> None:
    rule = PRIMITIVES[primitive]
    dtypes = [a.dtype for a in arguments]
    if len(dtypes) != rule.arity or any(d.kind not in rule.kinds or d != dtypes[0] for d in dtypes):
        _broken(3, f"{primitive} does not take {', '.join(map(short_dtype, dtypes))}", statement)


def _result(primitive: str, arguments: tuple[Expression, ...], dtype: np.dtype, statement: Statement) -> None:
    if primitive not in PRIMITIVES:
        _broken(3, f"{primitive} is not a primitive", statement)
    if primitive == "select":
        mask, *arms = arguments
        if mask.dtype != BOOL or any(a.dtype != dtype for a in arms):
            _broken(3, "select does not fit its operands", statement)
        return
    _fits(primitive, arguments, statement)
    expected = BOOL if PRIMITIVES[primitive].to_bool else arguments[0].dtype
    if primitive != "convert" and dtype != expected:
        _broken(3, f"{primitive} does not give {short_dtype(dtype)}", statement)


# Calls


def _call(call: Call, scope: _Scope) -> None:
    callee = call.callee
    if isinstance(callee, Contraction):
        _contraction(callee, call, scope)
        return
    function = scope.functions.get(callee)
    if function is None:
        _broken(10, f"there is no function {callee} above", call)
    if len(function.parameters) != len(call.views) or len(function.scalars) != len(call.scalars):
        _broken(10, f"{callee} takes {len(function.parameters)} views and {len(function.scalars)} scalars", call)
    for view, parameter in zip(call.views, function.parameters, strict=True):
        _view(view, parameter.shape, parameter.dtype, parameter.writable, call, scope)
        if view.strides != contiguous_strides(parameter.shape):
            _broken(10, f"the view of {view.buffer} is not row-major of shape {parameter.shape}", call)
    _apart(call, [parameter.writable for parameter in function.parameters])


def _contraction(contraction: Contraction, call: Call, scope: _Scope) -> None:
    sizes = dict(contraction.sizes)
    words = (contraction.lhs, contraction.rhs, contraction.out)
    order = tuple(dict.fromkeys(contraction.lhs + contraction.rhs))
    if len(call.views) != 3 or tuple(sizes) != order or any(len(set(word)) != len(word) for word in words):
        _broken(10, "the letters do not fit", call)
    if any(sum(letter in word for word in words) < 2 for word in words for letter in word):
        _broken(10, "a letter stands in one operand alone", call)
    for view, word in zip(call.views, words, strict=True):
        shape = tuple(sizes[letter] for letter in word)
        _view(view, shape, contraction.dtype, view is call.views[2], call, scope)
    _apart(call, [False, False, True])


def _view(view: View, shape: tuple[Dim, ...], dtype: np.dtype, written: bool, call: Call, scope: _Scope) -> None:
    buffer = _buffer(view.buffer, scope, call)
    if buffer.dtype != dtype or len(view.strides) != len(shape):
        _broken(10, f"the view of {buffer.name} does not have {len(shape)} axes of {short_dtype(dtype)}", call)
    if written and (not buffer.is_writable or view.buffer in scope.read_only):
        _broken(4, f"{view.buffer} is not for writing", call)
    fixed = [d for d in (*shape, *view.strides, *buffer.shape) if isinstance(d, int)]
    if len(fixed) < len(shape) * 2 + len(buffer.shape) or 0 in shape:
        return
    if any(stride < 0 for stride in view.strides if isinstance(stride, int)):
        _broken(10, f"the view of {view.buffer} has a negative stride", call)
    reach = sum(int(stride) * (int(length) - 1) for stride, length in zip(view.strides, shape, strict=True))
    lo, hi = scope.ranges.of(view.offset)
    if lo <= hi and not (0 <= lo and hi + reach < int(size_of(buffer.shape))):
        _broken(5, f"the view of {view.buffer} runs from {lo} to {hi + reach}, {buffer.aval}", call)
    if written:
        behind = scope.loops_behind(view.offset)
        for loop, own in zip(scope.loops, scope.own, strict=True):
            if loop.mode != "seq" and view.buffer not in own and loop.var not in behind:
                _broken(7, f"iterations of the {loop.mode} loop over {loop.var} write one view", call)


def _apart(call: Call, written: list[bool]) -> None:
    names = [view.buffer for view in call.views]
    for name, writes in zip(names, written, strict=True):
        if writes and names.count(name) > 1:
            _broken(10, f"{name} is written and is another operand", call)
