"""Reading expressions: operators by how tightly they bind, numbers by their dtype."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import numpy as np

from gradc.errors import DtypeError
from gradc.loops.language.expressions import (
    BOOL,
    PRIMITIVES,
    Expression,
    apply,
    constant,
    load_from,
    size,
    variable,
)
from gradc.loops.language.lexer import Lexer
from gradc.loops.language.program import Buffer
from gradc.loops.language.text import INFIX

_PRIMITIVE: Final = {word: (name, strength) for name, (word, strength) in INFIX.items()}
_NOT: Final = 4


class TermParser:
    """Reads expressions from a line; ``_buffers`` and ``_scalars`` are the names in reach."""

    def __init__(self) -> None:
        self._buffers: dict[str, Buffer] = {}
        self._scalars: dict[str, np.dtype] = {}

    def _index(self, line: Lexer) -> tuple[Expression, ...]:
        line.expect("[")
        return self._listed(line, "]")

    def _listed(self, line: Lexer, close: str) -> tuple[Expression, ...]:
        found: list[Expression] = []
        while not line.accept(close):
            found.append(self._expression(line))
            if line.peek != close:
                line.expect(",")
        return tuple(found)

    def _expression(self, line: Lexer, weakest: int = 0) -> Expression:
        left = self._operand(line)
        while line.peek in _PRIMITIVE:
            name, strength = _PRIMITIVE[line.peek]
            if strength < weakest:
                break
            line.take()
            right = self._expression(line, strength + 1)
            left = _applied(name, (left, right), line)
        return left

    def _operand(self, line: Lexer) -> Expression:
        if line.accept("("):
            inner = self._expression(line)
            line.expect(")")
            return inner
        if line.accept("not"):
            return _applied("logical_not", (self._expression(line, _NOT),), line)
        if line.accept("{"):
            dim = line.dim()
            line.expect("}")
            return size(dim)
        if line.peek == "-" or line.peek[:1].isdigit() or re.fullmatch(r"(inf|nan)(_f\d+)?|true|false", line.peek):
            return _number(line)
        name = line.word()
        if line.peek == "[":
            if name not in self._buffers:
                line.fail(f"{name} is not a buffer in reach")
            return load_from(name, self._buffers[name].dtype, self._index(line))
        if line.accept("("):
            return self._primitive(name, line)
        if name not in self._scalars:
            line.fail(f"{name} is not a variable in reach")
        return variable(name, self._scalars[name])

    def _primitive(self, name: str, line: Lexer) -> Expression:
        if name == "convert":
            operand = self._expression(line)
            line.expect(",")
            dtype = line.dtype()
            line.expect(")")
            return apply("convert", (operand,), dtype)
        if name not in PRIMITIVES:
            line.fail(f"{name} is not a primitive")
        return _applied(name, self._listed(line, ")"), line)


def _applied(name: str, operands: tuple[Expression, ...], line: Lexer) -> Expression:
    primitive = PRIMITIVES[name]
    if len(operands) != primitive.arity:
        line.fail(f"{name} takes {primitive.arity} operands, got {len(operands)}")
    return apply(name, operands, BOOL if primitive.to_bool else operands[-1].dtype)


def _number(line: Lexer) -> Expression:
    negative = line.accept("-")
    token = line.take()
    if token in ("true", "false"):
        return constant(token == "true", BOOL)
    digits, _, suffix = token.partition("_")
    is_float = not digits.isdigit()
    dtype = Lexer(suffix, "dtype").dtype() if suffix else np.dtype(np.float64 if is_float else np.int64)
    try:
        value = float(digits) if dtype.kind == "f" else int(digits)
        return constant(-value if negative else value, dtype)
    except (ValueError, OverflowError, DtypeError):
        line.fail(f"{token} is not a number of its dtype")


def constant_bytes(text: str, dtype: np.dtype, line: Lexer) -> bytes:
    """The values of a constant buffer, as they are listed or in hexadecimal."""
    text = text.strip()
    convert: Callable[[str], object] = {"b": lambda word: word == "true", "f": float}.get(dtype.kind, int)
    try:
        if text.startswith("hex "):
            return bytes.fromhex(text[4:])
        words = [word.strip() for word in text.strip("[]").split(",") if word.strip()]
        return np.array([convert(word) for word in words], dtype).tobytes()
    except (ValueError, OverflowError):
        line.fail("the values of the constant are not of its dtype")
