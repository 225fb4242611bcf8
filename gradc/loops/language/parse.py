"""Reading the text of a loop program back: ``parse_program(str(program)) == program``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Final, cast, get_args

from gradc.errors import ParseError
from gradc.ir.aval import Dim
from gradc.loops.language.expressions import I64
from gradc.loops.language.lexer import Lexer
from gradc.loops.language.program import (
    SEQUENTIAL,
    ZERO,
    Accumulate,
    Buffer,
    Call,
    Carry,
    Check,
    Choose,
    Comment,
    Contraction,
    Epilogue,
    For,
    Function,
    If,
    Kind,
    Lanes,
    Let,
    Local,
    LoopProgram,
    Mode,
    Order,
    Reduction,
    Statement,
    Store,
    View,
)
from gradc.loops.language.terms import TermParser, constant_bytes
from gradc.loops.language.text import ASSIGN, INDENT

_REDUCTION: Final = {word: cast(Reduction, name) for name, word in ASSIGN.items()}


def parse_program(text: str) -> LoopProgram:
    """The program that a text means. Raises ParseError with the line; does not verify."""
    return _Parser(text).program()


class _Parser(TermParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self._lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        self._at = 0

    def program(self) -> LoopProgram:
        head = self._line()
        head.expect("program")
        name = head.word()
        buffers: list[Buffer] = []
        functions: list[Function] = []
        messages: list[str] = []
        arena_bytes: Dim = 0
        while self._word() != "begin":
            match self._word():
                case "arena" if ":" not in self._raw():
                    line = self._line()
                    line.take()
                    arena_bytes = line.dim()
                    line.expect("bytes")
                case "message":
                    messages.append(self._message(len(messages) + 1))
                case "function":
                    self._buffers = {b.name: b for b in buffers if b.kind == "constant"}
                    functions.append(self._function())
                case kind if kind in get_args(Kind):
                    buffers.append(self._declaration(cast(Kind, kind)))
                case _:
                    self._line().fail("a declaration, a function or 'begin' expected")
        self._at += 1
        self._buffers, self._scalars = {b.name: b for b in buffers}, {}
        body = self._block(1)
        if self._at < len(self._lines):
            self._line().fail("nothing expected after the body")
        return LoopProgram(name, tuple(buffers), body, tuple(functions), tuple(messages), arena_bytes)

    # Lines

    def _raw(self) -> str:
        if self._at >= len(self._lines):
            raise ParseError("the text of the loop program ends too early")
        return self._lines[self._at][1]

    def _word(self) -> str:
        """The first word of the next line."""
        return re.split(r"[^\w#]", self._raw().strip(), maxsplit=1)[0]

    def _line(self, text: str | None = None) -> Lexer:
        """The next line, passed; ``text`` in place of all of it."""
        raw = self._raw()
        number = self._lines[self._at][0]
        self._at += 1
        return Lexer(raw if text is None else text, f"line {number}")

    def _remarked(self) -> tuple[Lexer, str]:
        """The next line without its remark, and the remark."""
        code, _, remark = self._raw().partition("  # ")
        return self._line(code), remark

    # Declarations

    def _declaration(self, kind: Kind) -> Buffer:
        values = ""
        if kind == "constant":
            code, _, remark = self._raw().partition("  # ")
            code, _, values = code.partition(" = ")
            line = self._line(code)
        else:
            line, remark = self._remarked()
        line.take()
        name = line.word()
        line.expect(":")
        aval = line.aval()
        offset: Dim = 0
        if kind == "arena":
            line.expect("at")
            offset = line.dim()
        place = line.word() if kind == "output" and all(map(line.accept, ("in", "place", "of"))) else ""
        line.end()
        data = constant_bytes(values, aval.dtype, line) if kind == "constant" else b""
        return Buffer(name, aval.dtype, aval.shape, kind, offset, data, comment=remark, place=place)

    def _message(self, code: int) -> str:
        match = re.fullmatch(rf'message {code} (".*")', self._raw().strip())
        line = self._line("message")
        if not match:
            line.fail(f"message {code} and its text in quotes expected")
        try:
            return str(json.loads(match[1]))
        except json.JSONDecodeError:
            line.fail("a text in quotes expected")

    def _function(self) -> Function:
        line = self._line()
        line.expect("function")
        name = line.word()
        line.expect("(")
        parameters: list[Buffer] = []
        scalars: list[str] = []
        while not line.accept(")"):
            word = line.word()
            if word in ("read", "write") and line.peek not in (",", ")"):
                buffer_name = line.word()
                line.expect(":")
                aval = line.aval()
                parameters.append(Buffer(buffer_name, aval.dtype, aval.shape, "parameter", writable=word == "write"))
            else:
                scalars.append(word)
            if line.peek != ")":
                line.expect(",")
        line.expect(":")
        line.end()
        self._buffers |= {p.name: p for p in parameters}
        self._scalars = dict.fromkeys(scalars, I64)
        return Function(name, tuple(parameters), tuple(scalars), self._block(1))

    # Statements

    def _depth(self) -> int:
        raw = self._raw()
        return (len(raw) - len(raw.lstrip())) // len(INDENT)

    def _block(self, depth: int) -> tuple[Statement, ...]:
        scalars, buffers = dict(self._scalars), dict(self._buffers)
        statements: list[Statement] = []
        if self._at < len(self._lines) and self._word() == "pass" and self._depth() == depth:
            self._at += 1
        while self._at < len(self._lines) and self._depth() >= depth:
            if self._depth() > depth:
                self._line().fail("too deep an indentation")
            if self._word() == "else":
                break
            statements.append(self._statement(depth))
        self._scalars, self._buffers = scalars, buffers
        return tuple(statements)

    def _statement(self, depth: int) -> Statement:
        raw = self._raw().strip()
        if raw.startswith("#"):
            self._at += 1
            return Comment(raw[1:].strip())
        match self._word():
            case "for":
                return self._for(depth)
            case "if":
                return self._if(depth)
            case "local":
                line, remark = self._remarked()
                line.take()
                name = line.word()
                line.expect(":")
                aval = line.aval()
                line.end()
                self._buffers[name] = Buffer(name, aval.dtype, aval.shape, "local", comment=remark)
                return Local(self._buffers[name])
        line = self._line()
        statement = self._simple(line)
        if isinstance(statement, Call) and line.accept("then"):
            statement = self._epilogue(line, statement, depth)
        else:
            line.end()
        return statement

    def _simple(self, line: Lexer) -> Statement:
        if line.peek in ("check", "require"):
            stops = line.take() == "require"
            condition = self._expression(line)
            line.expect("else")
            code = line.integer()
            return Check(condition, code, self._expression(line) if line.accept("of") else ZERO, stops)
        if line.second == "[":
            return self._assignment(line)
        if line.second == "{":
            return self._contraction(line)
        if line.accept("call"):
            return self._call(line)
        if line.accept("choose"):
            return self._choose(line)
        line.expect("let")
        name = line.word()
        line.expect("=")
        value = self._expression(line)
        self._scalars[name] = value.dtype
        return Let(name, value)

    def _for(self, depth: int) -> For:
        line = self._line()
        line.expect("for")
        var = line.word()
        line.expect("in")
        lo = self._expression(line)
        line.expect("to")
        hi = self._expression(line)
        step = line.integer() if line.accept("step") else 1
        mode = cast(Mode, line.take()) if line.peek in ("parallel", "vector") else "seq"
        carries: list[Carry] = []
        while line.accept("carry"):
            now = line.word()
            line.expect(",")
            following = line.word()
            line.expect("=")
            first = line.word()
            line.expect(",")
            carries.append(Carry(now, following, first, line.word()))
        line.expect(":")
        line.end()
        outer = dict(self._scalars), dict(self._buffers)
        for carry in carries:
            state = self._buffers.get(carry.first)
            if state is None:
                line.fail(f"{carry.first} is not a buffer")
            self._buffers |= {carry.now: state, carry.next: state}
        self._scalars[var] = I64
        body = self._block(depth + 1)
        self._scalars, self._buffers = outer
        self._buffers |= {c.now: self._buffers[c.first] for c in carries}
        return For(var, lo, hi, body, step, mode, tuple(carries))

    def _if(self, depth: int) -> If:
        line = self._line()
        line.expect("if")
        condition = self._expression(line)
        line.expect(":")
        line.end()
        then = self._block(depth + 1)
        if self._at < len(self._lines) and self._word() == "else" and self._depth() == depth:
            line = self._line()
            line.expect("else")
            line.expect(":")
            line.end()
            return If(condition, then, self._block(depth + 1))
        return If(condition, then)

    def _assignment(self, line: Lexer) -> Store | Accumulate:
        name = line.word()
        index = self._index(line)
        assign = line.take()
        if assign in ("min", "max", "and", "or"):
            line.expect("=")
            assign += "="
        value = self._expression(line)
        if assign == "=":
            return Store(name, index, value)
        if assign not in _REDUCTION:
            line.fail(f"{assign!r} is not an assignment")
        return Accumulate(_REDUCTION[assign], name, index, value, self._order(line))

    def _order(self, line: Lexer) -> Order:
        line.expect("in")
        if line.accept("sequence"):
            return SEQUENTIAL
        lanes = line.integer()
        line.expect("lanes")
        line.expect("of")
        over = line.word()
        block = 0
        if line.accept(","):
            line.expect("blocks")
            line.expect("of")
            block = line.integer()
        return Lanes(over, lanes, block)

    def _contraction(self, line: Lexer) -> Call:
        out = self._view(line)
        accumulate = line.take() == "+="
        line.expect("contract")
        left = _letters(line)
        line.expect(",")
        right = _letters(line)
        line.expect("->")
        result = _letters(line)
        line.expect("[")
        sizes = []
        while not line.accept("]"):
            letter = line.word()
            line.expect("=")
            sizes.append((letter, line.dim()))
            if line.peek != "]":
                line.expect(",")
        dtype = line.dtype()
        line.expect("(")
        lhs = self._view(line)
        line.expect(",")
        rhs = self._view(line)
        line.expect(")")
        scratch = (self._view(line),) if line.accept("using") else ()
        return Call(Contraction(left, right, result, tuple(sizes), dtype, accumulate), (lhs, rhs, out, *scratch))

    def _epilogue(self, line: Lexer, call: Call, depth: int) -> Call:
        contraction = call.callee
        if not isinstance(contraction, Contraction):
            line.fail("only a contraction is followed by 'then'")
        element = line.word()
        line.expect("of")
        index = [line.word()]
        while line.accept(","):
            index.append(line.word())
        line.expect(":")
        line.end()
        outer = dict(self._scalars)
        self._scalars |= {element: contraction.dtype, **dict.fromkeys(index, I64)}
        body = self._block(depth + 1)
        self._scalars = outer
        return replace(call, epilogue=Epilogue(element, tuple(index), cast("tuple[Let | Store, ...]", body)))

    def _call(self, line: Lexer) -> Call:
        name = line.word()
        line.expect("(")
        views: list[View] = []
        while line.peek not in (")", ";"):
            views.append(self._view(line))
            if line.peek not in (")", ";"):
                line.expect(",")
        scalars = self._listed(line, ")") if line.accept(";") else ()
        if not scalars:
            line.accept(")")
        return Call(name, tuple(views), scalars)

    def _choose(self, line: Lexer) -> Choose:
        name = line.word()
        line.expect("=")
        buffers = [line.word()]
        while line.accept(","):
            buffers.append(line.word())
        line.expect("at")
        return Choose(name, tuple(buffers), self._expression(line))

    def _view(self, line: Lexer) -> View:
        name = line.word()
        line.expect("{")
        offset = self._expression(line)
        line.expect(";")
        strides = []
        while not line.accept("}"):
            strides.append(line.dim())
            if line.peek != "}":
                line.expect(",")
        return View(name, tuple(strides), offset)


def _letters(line: Lexer) -> str:
    return line.word() if line.peek[:1].isalpha() else ""
