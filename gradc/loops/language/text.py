"""The text of a loop program. ``gradc.loops.language.parse`` reads it back to an equal program."""

from __future__ import annotations

import json
import math
from typing import Final

import numpy as np

from gradc.errors import VerifyError
from gradc.ir.aval import short_dtype
from gradc.loops.language.expressions import BOOL, I64, Apply, Constant, Expression, Load, Size, Variable
from gradc.loops.language.program import (
    ZERO,
    Accumulate,
    Buffer,
    Call,
    Check,
    Choose,
    Comment,
    Contraction,
    Epilogue,
    For,
    Function,
    If,
    Lanes,
    Let,
    Local,
    LoopProgram,
    Order,
    Statement,
    Store,
    View,
)

INFIX: Final = {
    "logical_or": ("or", 1), "logical_xor": ("xor", 2), "logical_and": ("and", 3),
    "eq": ("==", 5), "ne": ("!=", 5), "lt": ("<", 5), "le": ("<=", 5), "gt": (">", 5), "ge": (">=", 5),
    "add": ("+", 6), "sub": ("-", 6),
    "mul": ("*", 7), "div": ("/", 7), "floor_div": ("//", 7), "mod": ("%", 7),
}  # fmt: skip
"""Primitives with an operator: its text and how tightly it binds. All group to the left; comparisons do not chain."""

ASSIGN: Final = {
    "add": "+=", "mul": "*=", "minimum": "min=", "maximum": "max=", "logical_and": "and=", "logical_or": "or=",
}  # fmt: skip
"""How an Accumulate of each reduction is written."""

INDENT: Final = "  "
_LISTED: Final = 16


def program_text(program: LoopProgram) -> str:
    """The program as text, one declaration or statement a line."""
    lines = [f"program {program.name}"]
    lines += [_declaration(buffer) for buffer in program.buffers]
    if program.arena_bytes != 0:
        lines.append(f"arena {program.arena_bytes} bytes")
    lines += [f"message {code} {json.dumps(text)}" for code, text in enumerate(program.messages, 1)]
    for function in program.functions:
        lines += ["", f"{_signature(function)}:", *block_lines(function.body, 1)]
    lines += ["", "begin", *block_lines(program.body, 1)]
    return "\n".join(lines) + "\n"


def block_lines(block: tuple[Statement, ...], depth: int) -> list[str]:
    """The lines of a block; an empty block is the word ``pass``."""
    if not block:
        return [f"{INDENT * depth}pass"]
    return [line for statement in block for line in _statement(statement, depth)]


def expression_text(expression: Expression) -> str:
    """An expression as text."""
    return _text(expression, 0)


def constant_text(constant: Constant) -> str:
    """A number with its dtype, which i64, f64 and bool do not need: ``3``, ``0.5``, ``true``, ``0.5_f32``."""
    value = constant.value
    if constant.dtype == BOOL:
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        digits = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    else:
        digits = repr(value)
    plain = constant.dtype == I64 or constant.dtype == np.float64
    return digits if plain else f"{digits}_{short_dtype(constant.dtype)}"


def _text(expression: Expression, outer: int) -> str:
    match expression:
        case Constant():
            return constant_text(expression)
        case Variable(name=name):
            return name
        case Size(dim=dim):
            return f"{{{dim}}}"
        case Load(buffer=buffer, index=index):
            return f"{buffer}{_index(index)}"
        case Apply(primitive="convert", arguments=(operand,)):
            return f"convert({_text(operand, 0)}, {short_dtype(expression.dtype)})"
        case Apply(primitive="logical_not", arguments=(operand,)):
            return _wrapped(f"not {_text(operand, 4)}", 4, outer)
        case Apply(primitive=primitive, arguments=arguments) if primitive in INFIX:
            word, strength = INFIX[primitive]
            left, right = arguments
            chain = strength + 1 if strength == 5 else strength
            return _wrapped(f"{_text(left, chain)} {word} {_text(right, strength + 1)}", strength, outer)
        case Apply(primitive=primitive, arguments=arguments):
            return f"{primitive}({', '.join(_text(a, 0) for a in arguments)})"
    raise VerifyError(f"{type(expression).__name__} is not an expression of loop programs")


def _wrapped(text: str, strength: int, outer: int) -> str:
    return f"({text})" if strength < outer else text


def _index(index: tuple[Expression, ...]) -> str:
    return f"[{', '.join(_text(i, 0) for i in index)}]"


def _declaration(buffer: Buffer) -> str:
    line = f"{buffer.kind} {buffer.name}: {buffer.aval}"
    if buffer.kind == "arena":
        line += f" at {buffer.offset}"
    if buffer.place:
        line += f" in place of {buffer.place}"
    if buffer.kind == "constant":
        line += f" = {_data(buffer)}"
    return line + _remark(buffer)


def _remark(buffer: Buffer) -> str:
    return f"  # {buffer.comment}" if buffer.comment else ""


def _data(buffer: Buffer) -> str:
    values = buffer.array.reshape(-1)
    if values.size > _LISTED or bool(np.isnan(values).any() if values.dtype.kind == "f" else False):
        return f"hex {buffer.data.hex()}"
    return f"[{', '.join(str(v).lower() for v in values.tolist())}]"


def _signature(function: Function) -> str:
    parameters = [f"{'write' if p.writable else 'read'} {p.name}: {p.aval}" for p in function.parameters]
    return f"function {function.name}({', '.join([*parameters, *function.scalars])})"


def _view(view: View) -> str:
    strides = ", ".join(str(s) for s in view.strides)
    return f"{view.buffer}{{{_text(view.offset, 0)}; {strides}}}"


def _order(order: Order) -> str:
    if not isinstance(order, Lanes):
        return "in sequence"
    block = f", blocks of {order.block}" if order.block else ""
    return f"in {order.lanes} lanes of {order.over}{block}"


def _statement(statement: Statement, depth: int) -> list[str]:
    pad = INDENT * depth
    match statement:
        case For():
            return [f"{pad}{_for_head(statement)}:", *block_lines(statement.body, depth + 1)]
        case Let(name=name, value=value):
            return [f"{pad}let {name} = {_text(value, 0)}"]
        case Store(buffer=buffer, index=index, value=value):
            return [f"{pad}{buffer}{_index(index)} = {_text(value, 0)}"]
        case Accumulate(op=op, buffer=buffer, index=index, value=value, order=order):
            return [f"{pad}{buffer}{_index(index)} {ASSIGN[op]} {_text(value, 0)} {_order(order)}"]
        case If(condition=condition, then=then, otherwise=otherwise):
            lines = [f"{pad}if {_text(condition, 0)}:", *block_lines(then, depth + 1)]
            return [*lines, f"{pad}else:", *block_lines(otherwise, depth + 1)] if otherwise else lines
        case Local(buffer=local):
            return [f"{pad}local {local.name}: {local.aval}{_remark(local)}"]
        case Choose(name=name, buffers=buffers, index=at):
            return [f"{pad}choose {name} = {', '.join(buffers)} at {_text(at, 0)}"]
        case Call(epilogue=Epilogue(element=element, index=index, body=body)):
            head = f"{pad}{_call(statement)} then {element} of {', '.join(index)}:"
            return [head, *block_lines(body, depth + 1)]
        case Call():
            return [f"{pad}{_call(statement)}"]
        case Check(condition=condition, code=code, value=value, stops=stops):
            told = "" if value is ZERO else f" of {_text(value, 0)}"
            return [f"{pad}{'require' if stops else 'check'} {_text(condition, 0)} else {code}{told}"]
        case Comment(text=text):
            return [f"{pad}# {text}"]


def _for_head(loop: For) -> str:
    head = f"for {loop.var} in {_text(loop.lo, 0)} to {_text(loop.hi, 0)}"
    if loop.step != 1:
        head += f" step {loop.step}"
    if loop.mode != "seq":
        head += f" {loop.mode}"
    for carry in loop.carry:
        head += f" carry {carry.now}, {carry.next} = {carry.first}, {carry.second}"
    return head


def _call(call: Call) -> str:
    views = [_view(view) for view in call.views]
    callee = call.callee
    if isinstance(callee, Contraction):
        sizes = ", ".join(f"{letter}={length}" for letter, length in callee.sizes)
        assign = "+=" if callee.accumulate else "="
        formula = f"{callee.lhs},{callee.rhs}->{callee.out}"
        scratch = f" using {views[3]}" if len(views) > 3 else ""
        kind = short_dtype(callee.dtype)
        return f"{views[2]} {assign} contract {formula} [{sizes}] {kind} ({views[0]}, {views[1]}){scratch}"
    scalars = "; " + ", ".join(_text(s, 0) for s in call.scalars) if call.scalars else ""
    return f"call {callee}({', '.join(views)}{scalars})"
