"""The words of a line of loop-program text, and the parts that all lines share: sizes, dtypes, shapes."""

from __future__ import annotations

import re
from typing import Final, NoReturn

import numpy as np

from gradc.errors import ParseError
from gradc.ir.aval import Aval, Dim, aval, maximum_dim, minimum_dim, symbol

_TOKEN: Final = re.compile(
    r"\s*(\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:_[a-z]+\d*)?|[A-Za-z_]\w*|->|//|[=!<>+*]=|[-+*/%<>=()\[\]{},:;])", re.ASCII
)


class Lexer:
    """The tokens of one line, read from left to right. ``where`` starts the messages of its errors."""

    def __init__(self, text: str, where: str) -> None:
        self._text, self._where = text, where
        self._tokens: list[str] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if not match:
                self.fail(f"{text[position:].strip()[:10]!r} is not a word of loop programs")
            self._tokens.append(match[1])
            position = match.end()
        self._next = 0

    def fail(self, problem: str) -> NoReturn:
        """Raise ParseError."""
        raise ParseError(f"{self._where}: {problem} in {self._text.strip()!r}")

    @property
    def peek(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    @property
    def second(self) -> str:
        """The token after the next."""
        return self._tokens[self._next + 1] if self._next + 1 < len(self._tokens) else ""

    def take(self) -> str:
        """The next token, passed."""
        token = self.peek
        if not token:
            self.fail("something is missing at the end")
        self._next += 1
        return token

    def accept(self, token: str) -> bool:
        """Pass the token if it comes next."""
        if self.peek != token:
            return False
        self._next += 1
        return True

    def expect(self, token: str) -> None:
        """Pass the token, which must come next."""
        if not self.accept(token):
            self.fail(f"{token!r} expected before {self.peek!r}" if self.peek else f"{token!r} expected at the end")

    def end(self) -> None:
        """The line must be used up."""
        if self.peek:
            self.fail(f"{self.peek!r} was not expected")

    def word(self) -> str:
        """A name."""
        if not (self.peek[:1].isalpha() or self.peek[:1] == "_"):
            self.fail(f"a name expected before {self.peek!r}" if self.peek else "a name expected at the end")
        return self.take()

    def integer(self) -> int:
        """An integer, perhaps negative."""
        sign = -1 if self.accept("-") else 1
        if not self.peek.isdigit():
            self.fail(f"an integer expected before {self.peek!r}" if self.peek else "an integer expected at the end")
        return sign * int(self.take())

    def dtype(self) -> np.dtype:
        """A short dtype name: ``f64``."""
        name = self.word()
        try:
            return aval(f"{name}[]").dtype
        except ParseError:
            self.fail(f"{name!r} is not a dtype")

    def aval(self) -> Aval:
        """A dtype and a shape: ``f64[2,batch]``."""
        dtype = self.dtype()
        self.expect("[")
        shape: list[Dim] = []
        while not self.accept("]"):
            shape.append(self.dim())
            if self.peek != "]":
                self.expect(",")
        return Aval(tuple(shape), dtype)

    def dim(self) -> Dim:
        """A size: integers, names, ``+ - * // %``, ``min(a, b)``, ``max(a, b)``."""
        total = self._product()
        while self.peek in ("+", "-"):
            total = total + self._product() if self.take() == "+" else total - self._product()
        return total

    def _product(self) -> Dim:
        product = self._factor()
        while self.peek in ("*", "//", "%"):
            match self.take():
                case "*":
                    product = product * self._factor()
                case "//":
                    product = product // self._factor()
                case _:
                    product = product % self._factor()
        return product

    def _factor(self) -> Dim:
        if self.peek == "-" or self.peek.isdigit():
            return self.integer()
        if self.accept("("):
            inner = self.dim()
            self.expect(")")
            return inner
        name = self.word()
        if name not in ("min", "max") or not self.accept("("):
            return symbol(name)
        left = self.dim()
        self.expect(",")
        right = self.dim()
        self.expect(")")
        return minimum_dim(left, right) if name == "min" else maximum_dim(left, right)
