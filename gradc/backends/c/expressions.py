"""Scalar expressions as C expressions that keep their bits.

Float arithmetic is C's, whose order parentheses keep. Arithmetic on integers that are data wraps, by helpers where C
leaves it undefined; what loop variables and sizes make never leaves i64 and is plain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from gradc.backends.c.helpers import Helpers
from gradc.backends.c.names import Spelling
from gradc.backends.c.operators import (
    AND,
    ATOM,
    EQUALITY,
    OR,
    PRODUCT,
    RELATION,
    SUM,
    TERNARY,
    UNARY,
    wrapped_in,
)
from gradc.backends.c.sizes import size_text
from gradc.backends.c.types import c_type, literal
from gradc.errors import CompileError
from gradc.ir.aval import Dim, is_nonnegative
from gradc.loops.language.program import (
    BOOL,
    I64,
    Apply,
    Buffer,
    Constant,
    Expression,
    Load,
    Size,
    Variable,
    b,
    contiguous_strides,
    size,
)

_INFIX: Final = {
    "add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "div": ("/", PRODUCT),
    "eq": ("==", EQUALITY), "ne": ("!=", EQUALITY),
    "lt": ("<", RELATION), "le": ("<=", RELATION), "gt": (">", RELATION), "ge": (">=", RELATION),
}  # fmt: skip

_LOGIC: Final = {
    "add": "||", "maximum": "||", "logical_or": "||", "mul": "&&", "minimum": "&&", "logical_and": "&&",
    "logical_xor": "!=", "eq": "==", "ne": "!=",
}  # fmt: skip
"""Operators between bools."""

_BITS: Final = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}

_ORDERED_BOOLS: Final = {"lt": ("!", "&&", ""), "le": ("!", "||", ""), "gt": ("", "&&", "!"), "ge": ("", "||", "!")}
"""Comparisons of bools: what stands before the left one, between, and before the right one."""

_POWERS: Final = {2.0: "square", 3.0: "cube", -1.0: "inverse", -2.0: "inverse_square"}


class Expressions:
    """Writes expressions of one function. ``buffers`` grows as locals are declared."""

    def __init__(self, names: Spelling, helpers: Helpers, buffers: Mapping[str, Buffer], scalars: set[str]) -> None:
        self.names = names
        self.helpers = helpers
        self.buffers = dict(buffers)
        self.plain: set[str] = set(scalars)
        """Names of integers that loop variables and sizes make: their arithmetic stays within i64."""
        self.natural: set[str] = set()
        """Those of them that are not negative."""
        self.in_place: set[str] = set()
        """Buffers of one element that are variables, not pointers."""
        self.members: dict[str, str] = {}
        """What such a buffer is called, if not by its name."""
        self.short: dict[Expression, str] = {}
        """Parts that have a name in the statement that is being written."""

    # Integers

    def learn(self, name: str, value: Expression) -> None:
        """What a let makes of its name."""
        self.plain.discard(name)
        self.natural.discard(name)
        if value.dtype == I64 and self.is_plain(value):
            self.plain.add(name)
            if self.is_natural(value):
                self.natural.add(name)

    def is_plain(self, part: Expression) -> bool:
        """Whether an integer is made of loop variables, sizes and numbers."""
        match part:
            case Constant() | Size():
                return True
            case Variable(name=name):
                return name in self.plain
            case Apply(primitive="add" | "sub" | "mul" | "neg" | "floor_div" | "mod" | "minimum" | "maximum"):
                return part.dtype == I64 and all(self.is_plain(operand) for operand in part.operands)
            case Apply(primitive="select", arguments=(_, left, right)):
                return part.dtype == I64 and self.is_plain(left) and self.is_plain(right)
        return False

    def is_natural(self, part: Expression) -> bool:
        """Whether a plain integer shows that it is not negative."""
        match part:
            case Constant(value=value):
                return value >= 0
            case Size(dim=dim):
                return is_nonnegative(dim)
            case Variable(name=name):
                return name in self.natural
            case Apply(primitive="add" | "mul" | "floor_div" | "minimum", arguments=(left, right)):
                return self.is_natural(left) and self.is_natural(right)
            case Apply(primitive="mod", arguments=(_, right)):
                return self.is_natural(right)
            case Apply(primitive="maximum", arguments=(left, right)):
                return self.is_natural(left) or self.is_natural(right)
            case Apply(primitive="select", arguments=(_, left, right)):
                return self.is_natural(left) and self.is_natural(right)
        return False

    # Text

    def text(self, part: Expression, outer: int = 0) -> str:
        """An expression; in parentheses where it binds less tightly than ``outer``."""
        if part in self.short:
            return self.short[part]
        text, strength = self._text(part)
        return wrapped_in(text, strength, outer)

    def size(self, dim: Dim) -> str:
        """A size."""
        return size_text(dim, lambda symbol: self.names(f"size {symbol}"), lambda name: self.helpers.name(name, I64))

    def place(self, name: str, index: tuple[Expression, ...]) -> str:
        """An element of a buffer."""
        if name in self.in_place:
            return self.element(name, "")
        return self.element(name, self.text(self.flat(name, index)))

    def element(self, name: str, index: str) -> str:
        """The same, for an index that is text; empty for a variable."""
        return f"{self.names(name)}[{index}]" if index else self.members.get(name) or self.names(name)

    def flat(self, name: str, index: tuple[Expression, ...]) -> Expression:
        """An index that counts elements row by row."""
        shape = self.buffers[name].shape
        if len(index) == 1 and len(shape) == 1:
            return index[0]
        strides = contiguous_strides(shape) if len(index) == len(shape) else (1,)
        total: Expression = b.constant(0)
        for i, stride in zip(index, strides, strict=True):
            total = b.add(total, b.mul(i, size(stride)))
        return total

    def _text(self, part: Expression) -> tuple[str, int]:
        match part:
            case Constant(value=value, dtype=dtype):
                text = literal(value, dtype)
                return text, UNARY if text.startswith("-") else ATOM
            case Variable(name=name):
                return self.names(name), ATOM
            case Size(dim=dim):
                name = self.size(dim)
                return name, ATOM if name.isidentifier() else PRODUCT
            case Load(buffer=name, index=index):
                return self.place(name, index), ATOM
            case Apply(primitive="select", arguments=(mask, left, right)):
                return f"{self.text(mask, OR)} ? {self.text(left, OR)} : {self.text(right, OR)}", TERNARY
            case Apply(primitive="convert", arguments=(operand,)):
                return self._convert(operand, part.dtype)
            case Apply(primitive=primitive, arguments=arguments):
                kind = arguments[-1].dtype.kind
                if kind == "b":
                    return self._logic(primitive, arguments)
                if kind == "f":
                    return self._float(primitive, arguments)
                return self._integer(primitive, arguments)
        raise CompileError(f"{type(part).__name__} is not an expression that can be written in C")

    def _call(self, helper: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        name = self.helpers.name(helper, arguments[-1].dtype)
        return f"{name}({', '.join(self.text(a) for a in arguments)})", ATOM

    def _infix(self, primitive: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        word, strength = _INFIX[primitive]
        left, right = arguments
        chain = strength + 1 if strength in (EQUALITY, RELATION) else strength
        return f"{self.text(left, chain)} {word} {self.text(right, strength + 1)}", strength

    def _float(self, primitive: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        if primitive in _INFIX:
            return self._infix(primitive, arguments)
        match primitive, arguments:
            case "neg", (operand,):
                text = self.text(operand, UNARY)
                return f"-({text})" if text.startswith("-") else f"-{text}", UNARY
            case "pow", (base, Constant(value=exponent)) if exponent in _POWERS:
                return self._call(_POWERS[float(exponent)], (base,))
        return self._call(primitive, arguments)

    def _integer(self, primitive: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        dtype = arguments[-1].dtype
        if primitive in ("eq", "ne", "lt", "le", "gt", "ge"):
            return self._infix(primitive, arguments)
        if primitive in _BITS:
            left, right = arguments
            return f"({self.text(left, ATOM)} {_BITS[primitive]} {self.text(right, ATOM)})", ATOM
        plain = dtype == I64 and all(self.is_plain(a) for a in arguments)
        if primitive in ("add", "sub", "mul") and (plain or (dtype.kind == "u" and dtype.itemsize >= 4)):
            return self._sum(primitive, arguments) if plain else self._infix(primitive, arguments)
        if primitive == "neg" and plain:
            return f"-{self.text(arguments[0], ATOM)}", UNARY
        if primitive in ("floor_div", "mod") and plain:
            left, right = arguments
            if isinstance(right, Constant) and right.value > 0 and self.is_natural(left):
                word = "/" if primitive == "floor_div" else "%"
                return f"{self.text(left, PRODUCT)} {word} {self.text(right, UNARY)}", PRODUCT
        return self._call(primitive, arguments)

    def _sum(self, primitive: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        """Index arithmetic, as people write it: ``8 * i + j - 1``."""
        left, right = arguments
        if primitive == "mul" and isinstance(right, Constant) and not isinstance(left, Constant):
            return f"{self.text(right, UNARY)} * {self.text(left, UNARY)}", PRODUCT
        if primitive == "add" and isinstance(right, Constant) and -(2**63) < right.value < 0:
            return f"{self.text(left, SUM)} - {literal(-right.value, I64)}", SUM
        if primitive == "add":
            return f"{self.text(left, SUM)} + {self.text(right, SUM)}", SUM
        return self._infix(primitive, arguments)

    def _logic(self, primitive: str, arguments: tuple[Expression, ...]) -> tuple[str, int]:
        if primitive == "logical_not":
            return f"!{self.text(arguments[0], UNARY)}", UNARY
        left, right = arguments
        if primitive in _ORDERED_BOOLS:
            before, word, after = _ORDERED_BOOLS[primitive]
            text = f"{before}{self.text(left, UNARY)} {word} {after}{self.text(right, UNARY)}"
            return text, OR if word == "||" else AND
        word = _LOGIC[primitive]
        if word in ("==", "!="):
            return f"{self.text(left, ATOM)} {word} {self.text(right, ATOM)}", EQUALITY
        strength = OR if word == "||" else AND
        return f"{self._operand(left, word)} {word} {self._operand(right, word)}", strength

    def _operand(self, part: Expression, word: str) -> str:
        """An operand of ``word``; the other of ``&&`` and ``||`` stands in parentheses."""
        text, strength = (self.short[part], ATOM) if part in self.short else self._text(part)
        fits = strength > AND or (strength == (OR if word == "||" else AND))
        return text if fits else f"({text})"

    def _convert(self, operand: Expression, dtype: np.dtype) -> tuple[str, int]:
        """NumPy's cast. A float beyond i64 saturates; beyond a narrower integer it wraps."""
        source = operand.dtype
        if dtype == BOOL:
            zero = "0.0f" if source == np.float32 else "0.0" if source.kind == "f" else "0"
            return f"{self.text(operand, EQUALITY + 1)} != {zero}", EQUALITY
        if source.kind == "f" and dtype.kind in "iu":
            wide = "u64" if dtype == np.uint64 else "i64"
            text, strength = self._call(f"to_{wide}", (operand,))
            return (text, strength) if dtype.itemsize == 8 else (f"({c_type(dtype)}){text}", UNARY)
        return f"({c_type(dtype)}){self.text(operand, UNARY)}", UNARY
