"""The laws of a valid loop program. A program that keeps them never leaves its buffers.

 1  names     names are plain words, none reserved; no name in reach is declared again
 2  reach     every variable and buffer is declared before its use, and has the dtype of its declaration
 3  types     operands fit their primitive; indices and bounds are i64, conditions bool; stored is the buffer's dtype
 4  writes    only outputs, arena buffers, locals and parameters for writing are written
 5  bounds    every index lies in its axis for all values that its variables can have; one that is data is clamped
 6  loops     the step is positive; bounds are made of outer variables and sizes by + - * // % minimum maximum
 7  lanes     no iteration of a parallel or vector loop touches what another one writes, its own locals and what it
              reduces in lanes aside; it carries no state
 8  order     a reduction in lanes is over an enclosing loop of step 1, into one element; lanes is a power of two
              that divides the block; all reductions of a loop agree; nothing else in the loop names the buffer
 9  memory    arena buffers are aligned and inside the arena, constants have the bytes of their shape, locals are of
              fixed size and at most 128 kB a function; an output in place of an input has its dtype and shape, no
              other output stands there, and nothing names that input
10  calls     a function is defined before it is called, once, and gets views of its parameters' shapes and dtypes;
              contraction letters are sound; strides are not negative; what is written is no operand; an epilogue is
              lets and stores that are a lawful nest, writes no operand and does not load from the result
11  checks    a check's code has a message; one that stops the kernel comes before all else
12  carry     carried state is two buffers of one shape that the loop's body does not name
13  text      comments and messages are one line
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final, get_args

import numpy as np

from gradc.ir.aval import Dim, short_dtype, size_of
from gradc.loops.accesses import meet, share
from gradc.loops.declarations import check_declarations, one_line
from gradc.loops.epilogue import unfused
from gradc.loops.independence import conflict
from gradc.loops.program import (
    BOOL,
    I64,
    Accumulate,
    Apply,
    Call,
    Check,
    Comment,
    Constant,
    Contraction,
    Epilogue,
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
    walk,
    whole,
)
from gradc.loops.ranges import Ranges, loop_interval
from gradc.loops.reach import (
    Scope,
    broken,
    buffer_in_reach,
    check_expression,
    check_fits,
    check_name,
    check_write,
)
from gradc.loops.traversal import expressions_of, statements_of

LOCAL_BYTES: Final = 128 * 1024
"""Stack memory of one function."""

_BOUND_PRIMITIVES: Final = ("add", "sub", "mul", "floor_div", "mod", "minimum", "maximum")


def verify(program: LoopProgram) -> LoopProgram:
    """The program itself. Raises VerifyError naming the law that it breaks, and where."""
    check_declarations(program)
    constants = {b.name: b for b in program.buffers if b.kind == "constant"}
    defined: dict[str, Function] = {}
    for function in program.functions:
        check_name(function.name)
        if function.name in defined:
            broken(10, f"function {function.name} is defined twice")
        scope = Scope(program, dict(constants), dict.fromkeys(function.scalars, I64), Ranges(), dict(defined))
        for parameter in function.parameters:
            check_name(parameter.name)
            if parameter.kind != "parameter" or parameter.name in scope.buffers:
                broken(1, f"{parameter.name} cannot be a parameter of {function.name}")
            scope.buffers[parameter.name] = parameter
        _block(function.body, scope)
        _local_memory(function.body)
        defined[function.name] = function
    _block(program.body, Scope(program, dict(program.buffer), {}, _required(program), defined))
    _local_memory(program.body)
    return program


def _required(program: LoopProgram) -> Ranges:
    """What the checks that stop the kernel leave of sizes; the law about them."""
    ranges = Ranges()
    leading = list(takewhile(lambda s: isinstance(s, Check) and s.stops, program.body))
    for block in (program.body[len(leading) :], *(function.body for function in program.functions)):
        for statement in statements_of(block):
            if isinstance(statement, Check) and statement.stops:
                broken(11, "a check that stops the kernel comes after other statements", statement)
    for check in leading:
        assert isinstance(check, Check), "what was taken are checks"
        ranges = ranges.where(check.condition)
    return ranges


def _local_memory(block: tuple[Statement, ...]) -> None:
    total = 0
    for statement in statements_of(block):
        if isinstance(statement, Local):
            size = statement.buffer.bytes
            if not isinstance(size, int):
                broken(
                    9, f"{statement.buffer.name} is local and {statement.buffer.aval} is not a fixed size", statement
                )
            total += size
    if total > LOCAL_BYTES:
        broken(9, f"local buffers take {total} bytes, at most {LOCAL_BYTES} are allowed")


# Statements


def _block(block: tuple[Statement, ...], scope: Scope) -> None:
    for statement in block:
        for expression in expressions_of(statement):
            check_expression(expression, scope, statement)
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
                check_write(name, index, value.dtype, scope, statement)
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
                    broken(2, f"{local.name} is declared as {local.kind}", statement)
                one_line(local.comment)
                scope.buffers[local.name] = local
                scope.own = tuple(own | {local.name} for own in scope.own)
            case Call():
                _call(statement, scope)
            case Check(condition=condition, code=code, value=value):
                _condition(condition, statement)
                if value.dtype != I64:
                    broken(3, f"the value told is {short_dtype(value.dtype)}", statement)
                if not 1 <= code <= len(scope.program.messages):
                    broken(11, f"the code {code} has no message", statement)
            case Comment(text=text):
                one_line(text)


def _for(loop: For, scope: Scope) -> None:
    if loop.step < 1:
        broken(6, "the step is not positive", loop)
    for bound in (loop.lo, loop.hi):
        if bound.dtype != I64:
            broken(3, f"a bound is {short_dtype(bound.dtype)}", loop)
        for part in walk(bound):
            arithmetic = isinstance(part, Apply) and part.primitive in _BOUND_PRIMITIVES
            if not arithmetic and not isinstance(part, (Constant, Variable, Size)):
                broken(6, "a bound is not made of outer variables and sizes", loop)
    inner = scope.inner()
    scope.declare(loop.var)
    inner.scalars[loop.var] = I64
    inner.depends[loop.var] = frozenset((loop.var,)) | scope.loops_behind(loop.lo, loop.hi)
    interval = loop_interval(scope.ranges.of(loop.lo), scope.ranges.of(loop.hi), loop.step)
    inner.ranges = scope.ranges.inside(loop.var, interval)
    inner.loops = (*scope.loops, loop)
    inner.own = (*scope.own, frozenset())
    if loop.mode != "seq" and loop.carry:
        broken(7, "a loop that carries state runs in sequence", loop)
    for carry in loop.carry:
        pair = (carry.first, carry.second)
        first, second = (buffer_in_reach(name, scope, loop) for name in pair)
        if (
            carry.first == carry.second
            or (first.shape, first.dtype) != (second.shape, second.dtype)
            or not all(scope.may_write(name) for name in pair)
        ):
            broken(12, f"{carry.first} and {carry.second} cannot carry {carry.now}", loop)
        for name, buffer in ((carry.now, first), (carry.next, second)):
            inner.declare(name)
            inner.buffers[name] = buffer
        inner.read_only |= {carry.now}
        inner.hidden |= {carry.first, carry.second}
    if len({x for c in loop.carry for x in (c.first, c.second)}) != 2 * len(loop.carry):
        broken(12, "two carried states share a buffer", loop)
    _reductions(loop)
    if interval[0] <= interval[1]:
        _block(loop.body, inner)
        if loop.mode != "seq":
            memory = conflict(loop, scope.buffers, scope.lets, scope.ranges)
            if memory:
                broken(7, f"two iterations may meet in {memory}", loop)
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
    if loop.step != 1 or len({s.order for s in over}) > 1:
        broken(8, "reductions over a loop agree in their lanes, and the loop's step is 1", loop)
    targets = {s.buffer for s in over}
    for statement in inside:
        named = {p.buffer for p in walk(*expressions_of(statement)) if isinstance(p, Load)}
        if isinstance(statement, Store) or (isinstance(statement, Accumulate) and statement not in over):
            named.add(statement.buffer)
        if isinstance(statement, Call):
            named |= {view.buffer for view in statement.views}
        if named & targets:
            broken(
                8, f"{', '.join(sorted(named & targets))} is reduced in lanes of {loop.var} and named here", statement
            )


def _accumulate(statement: Accumulate, scope: Scope) -> None:
    if statement.op not in get_args(Reduction):
        broken(3, f"{statement.op} does not accumulate", statement)
    check_fits(statement.op, (statement.value, statement.value), statement)
    order = statement.order
    over = order.over if isinstance(order, Lanes) else ""
    check_write(statement.buffer, statement.index, statement.value.dtype, scope, statement, over)
    if not isinstance(order, Lanes):
        return
    loop = next((outer for outer in reversed(scope.loops) if outer.var == order.over), None)
    if loop is None:
        broken(8, f"{order.over} is no enclosing loop", statement)
    if order.lanes < 1 or order.lanes & (order.lanes - 1) or order.block < 0 or order.block % order.lanes:
        broken(8, f"{order.lanes} lanes in blocks of {order.block}", statement)
    inside = {outer.var for outer in scope.loops[scope.loops.index(loop) :]}
    if scope.loops_behind(*statement.index) & inside or statement.buffer in scope.own[scope.loops.index(loop)]:
        broken(8, f"what is accumulated changes within the loop over {order.over}", statement)


def _condition(condition: Expression, statement: Statement) -> None:
    if condition.dtype != BOOL:
        broken(3, f"the condition is {short_dtype(condition.dtype)}", statement)


# Calls


def _call(call: Call, scope: Scope) -> None:
    callee = call.callee
    if isinstance(callee, Contraction):
        _contraction(callee, call, scope)
        if call.epilogue is not None:
            _epilogue(call.epilogue, callee, call, scope)
        return
    if call.epilogue is not None:
        broken(10, "only a contraction has an epilogue", call)
    function = scope.functions.get(callee)
    if function is None:
        broken(10, f"there is no function {callee} above", call)
    if len(function.parameters) != len(call.views) or len(function.scalars) != len(call.scalars):
        broken(10, f"{callee} takes {len(function.parameters)} views and {len(function.scalars)} scalars", call)
    for view, parameter in zip(call.views, function.parameters, strict=True):
        _view(view, parameter.shape, parameter.dtype, parameter.writable, call, scope)
        if view.strides != contiguous_strides(parameter.shape):
            broken(10, f"the view of {view.buffer} is not row-major of shape {parameter.shape}", call)
    _apart(call, [parameter.writable for parameter in function.parameters], scope)


def _contraction(contraction: Contraction, call: Call, scope: Scope) -> None:
    sizes = dict(contraction.sizes)
    words = (contraction.lhs, contraction.rhs, contraction.out)
    order = tuple(dict.fromkeys(contraction.lhs + contraction.rhs))
    if len(call.views) not in (3, 4) or tuple(sizes) != order or any(len(set(word)) != len(word) for word in words):
        broken(10, "the letters do not fit", call)
    if any(sum(letter in word for word in words) < 2 for word in words for letter in word):
        broken(10, "a letter stands in one operand alone", call)
    for view, word in zip(call.views[:3], words, strict=True):
        shape = tuple(sizes[letter] for letter in word)
        _view(view, shape, contraction.dtype, view is call.views[2], call, scope)
    for scratch in call.views[3:]:
        buffer = buffer_in_reach(scratch.buffer, scope, call)
        if buffer.kind != "arena" or buffer.dtype != contraction.dtype or scratch != whole(buffer):
            broken(10, f"{scratch.buffer} cannot be scratch memory: it is no block of the arena", call)
        if any(loop.mode != "seq" for loop in scope.loops):
            broken(7, f"iterations of a loop share {scratch.buffer} as scratch memory", call)
    _apart(call, [False, False, True, True][: len(call.views)], scope)


def _epilogue(epilogue: Epilogue, contraction: Contraction, call: Call, scope: Scope) -> None:
    """The loop nest that it is keeps the laws, and may run as soon as an element is there."""
    if len(epilogue.index) != len(contraction.out) or not contraction.out:
        broken(10, f"{', '.join(epilogue.index)} do not name the place of an element", call)
    if not all(isinstance(statement, (Let, Store)) for statement in epilogue.body):
        broken(10, "an epilogue is made of lets and stores", call)
    bare, nest = unfused(call)
    _block((nest,), scope.inner())
    written = {s.buffer for s in epilogue.body if isinstance(s, Store)}
    loaded = {p.buffer for s in epilogue.body for p in walk(*expressions_of(s)) if isinstance(p, Load)}
    operands = {view.buffer for position, view in enumerate(bare.views) if position != 2}
    if meet(written, operands, scope.buffers) or meet(loaded, {bare.views[2].buffer}, scope.buffers):
        broken(10, "the epilogue writes an operand, or reads the result where it need not be complete", call)


def _view(view: View, shape: tuple[Dim, ...], dtype: np.dtype, written: bool, call: Call, scope: Scope) -> None:
    buffer = buffer_in_reach(view.buffer, scope, call)
    if buffer.dtype != dtype or len(view.strides) != len(shape):
        broken(10, f"the view of {buffer.name} does not have {len(shape)} axes of {short_dtype(dtype)}", call)
    if written and not scope.may_write(view.buffer):
        broken(4, f"{view.buffer} is not for writing", call)
    fixed = [d for d in (*shape, *view.strides, *buffer.shape) if isinstance(d, int)]
    if len(fixed) < len(shape) * 2 + len(buffer.shape) or 0 in shape:
        return
    if any(stride < 0 for stride in view.strides if isinstance(stride, int)):
        broken(10, f"the view of {view.buffer} has a negative stride", call)
    reach = sum(int(stride) * (int(length) - 1) for stride, length in zip(view.strides, shape, strict=True))
    lo, hi = scope.ranges.of(view.offset)
    if lo <= hi and not (0 <= lo and hi + reach < int(size_of(buffer.shape))):
        broken(5, f"the view of {view.buffer} runs from {lo} to {hi + reach}, {buffer.aval}", call)
    if written:
        behind = scope.loops_behind(view.offset)
        for loop, own in zip(scope.loops, scope.own, strict=True):
            if loop.mode != "seq" and view.buffer not in own and loop.var not in behind:
                broken(7, f"iterations of the {loop.mode} loop over {loop.var} write one view", call)


def _apart(call: Call, written: list[bool], scope: Scope) -> None:
    """What a call writes is no other operand, not by sharing the arena either."""
    buffers = [scope.buffers[view.buffer] for view in call.views]
    for position, writes in enumerate(written):
        for other in range(len(buffers)):
            if writes and other != position and share(buffers[position], buffers[other]):
                broken(10, f"{call.views[position].buffer} is written and is another operand", call)
