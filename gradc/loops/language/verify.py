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
14  choices   what a name may stand for are buffers of the kernel, of one shape and dtype; only calls of internal
              functions name it; no loop around it is parallel or vector
"""

from __future__ import annotations

from itertools import takewhile
from typing import Final, get_args

from gradc.ir.aval import short_dtype
from gradc.loops.language.call_laws import check_call, check_choice
from gradc.loops.language.declarations import check_declarations, one_line
from gradc.loops.language.independence import conflict
from gradc.loops.language.program import (
    BOOL,
    I64,
    Accumulate,
    Apply,
    Call,
    Check,
    Choose,
    Comment,
    Constant,
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
    walk,
)
from gradc.loops.language.ranges import Ranges
from gradc.loops.language.reach import (
    Scope,
    broken,
    buffer_in_reach,
    check_expression,
    check_fits,
    check_name,
    check_write,
)
from gradc.loops.language.traversal import expressions_of, statements_of

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
            case Choose():
                check_choice(statement, scope)
            case Call():
                check_call(statement, scope, _block)
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
    interval = scope.ranges.of_loop(loop.lo, loop.hi, loop.step)
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
