"""The laws of calls in a loop program, by their numbers in ``language.verify``: contractions, internal functions,
and what a chosen name stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gradc.ir.aval import Dim, short_dtype, size_of
from gradc.loops.language.accesses import meet, share
from gradc.loops.language.epilogue import unfused
from gradc.loops.language.program import (
    I64,
    Buffer,
    Call,
    Choose,
    Contraction,
    Epilogue,
    Let,
    Load,
    Statement,
    Store,
    View,
    contiguous_strides,
    walk,
    whole,
)
from gradc.loops.language.reach import Scope, broken, buffer_in_reach
from gradc.loops.language.traversal import expressions_of

CheckBlock = Callable[[tuple[Statement, ...], Scope], None]


def check_choice(choice: Choose, scope: Scope) -> None:
    """Law 14, where a name is chosen; it stands for a parameter of sorts from here on."""
    scope.declare(choice.name)
    known = {name: buffer for name, buffer in scope.program.buffer.items() if scope.buffers.get(name) == buffer}
    if not choice.buffers or not set(choice.buffers) <= known.keys() - scope.hidden:
        broken(14, f"{choice.name} does not stand for buffers of the kernel", choice)
    chosen = [known[name] for name in choice.buffers]
    if len({(buffer.shape, buffer.dtype) for buffer in chosen}) > 1:
        broken(14, f"{choice.name} stands for buffers of several shapes or dtypes", choice)
    if choice.index.dtype != I64:
        broken(3, f"the place of a choice is {short_dtype(choice.index.dtype)}", choice)
    lo, hi = scope.ranges.of(choice.index)
    if lo <= hi and not (0 <= lo and hi < len(chosen)):
        broken(5, f"the place of a choice runs from {lo} to {hi}, of {len(chosen)}", choice)
    if any(loop.mode != "seq" for loop in scope.loops):
        broken(14, f"{choice.name} is chosen in a loop whose iterations may run side by side", choice)
    writable = all(buffer.is_writable for buffer in chosen)
    scope.buffers[choice.name] = Buffer(choice.name, chosen[0].dtype, chosen[0].shape, "parameter", writable=writable)
    scope.hidden |= {choice.name}
    scope.chosen[choice.name] = choice


def check_call(call: Call, scope: Scope, check_block: CheckBlock) -> None:
    """Law 10, and those about what a call reads and writes. An epilogue is checked by ``check_block``."""
    callee = call.callee
    if isinstance(callee, Contraction):
        _contraction(callee, call, scope)
        if call.epilogue is not None:
            _epilogue(call.epilogue, callee, call, scope, check_block)
        return
    if call.epilogue is not None:
        broken(10, "only a contraction has an epilogue", call)
    function = scope.functions.get(callee)
    if function is None:
        broken(10, f"there is no function {callee} above", call)
    if len(function.parameters) != len(call.views) or len(function.scalars) != len(call.scalars):
        broken(10, f"{callee} takes {len(function.parameters)} views and {len(function.scalars)} scalars", call)
    named = scope.inner()
    named.hidden -= set(scope.chosen)
    for view, parameter in zip(call.views, function.parameters, strict=True):
        _view(view, parameter.shape, parameter.dtype, parameter.writable, call, named)
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
        given = buffer.kind == "arena" or (buffer.kind == "parameter" and scope.may_write(buffer.name))
        if not given or buffer.dtype != contraction.dtype or scratch != whole(buffer):
            broken(10, f"{scratch.buffer} cannot be scratch memory: it is no block of the arena", call)
        if any(loop.mode != "seq" for loop in scope.loops):
            broken(7, f"iterations of a loop share {scratch.buffer} as scratch memory", call)
    _apart(call, [False, False, True, True][: len(call.views)], scope)


def _epilogue(epilogue: Epilogue, contraction: Contraction, call: Call, scope: Scope, check_block: CheckBlock) -> None:
    """The loop nest that it is keeps the laws, and may run as soon as an element is there."""
    if len(epilogue.index) != len(contraction.out) or not contraction.out:
        broken(10, f"{', '.join(epilogue.index)} do not name the place of an element", call)
    if not all(isinstance(statement, (Let, Store)) for statement in epilogue.body):
        broken(10, "an epilogue is made of lets and stores", call)
    bare, nest = unfused(call)
    check_block((nest,), scope.inner())
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


def _apart(call: Call, written: Sequence[bool], scope: Scope) -> None:
    """What a call writes is no other operand, not by sharing the arena either, whatever chosen names stand for."""
    for position, writes in enumerate(written):
        for other, view in enumerate(call.views):
            if writes and other != position and _may_share(call.views[position].buffer, view.buffer, scope):
                broken(10, f"{call.views[position].buffer} is written and is another operand", call)


def _may_share(one: str, other: str, scope: Scope) -> bool:
    left, right = (_stands_for(name, scope) for name in (one, other))
    choices = scope.chosen.get(one), scope.chosen.get(other)
    if choices[0] is not None and choices[1] is not None and choices[0].index == choices[1].index:
        return any(share(mine, others) for mine, others in zip(left, right, strict=False))
    return any(share(mine, others) for mine in left for others in right)


def _stands_for(name: str, scope: Scope) -> list[Buffer]:
    """The buffers that a name may stand for, in the order of their choice."""
    choice = scope.chosen.get(name)
    return [scope.buffers[name]] if choice is None else [scope.program.buffer[b] for b in choice.buffers]
