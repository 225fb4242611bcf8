"""Mathematical functions of one number as C functions, by the formulas that machine code has.

A formula is recorded operation by operation and then written: what is used once stands where it is used.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gradc.backends.c.layout import indented, wrapped
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
from gradc.backends.c.types import comment, literal
from gradc.backends.math import tables
from gradc.backends.math.formats import F32, F64, Format
from gradc.backends.math.formula import Formula
from gradc.backends.math.term import Number, Term
from gradc.errors import CompileError

_TYPES: Final = {"double": "double", "float": "float", "i64": "uint64_t", "i32": "uint32_t", "i1": "bool"}
_SUFFIX: Final = {"double": "f64", "float": "f32"}
_ARITHMETIC: Final = {
    "fadd": ("+", SUM), "fsub": ("-", SUM), "fmul": ("*", PRODUCT), "fdiv": ("/", PRODUCT),
    "add": ("+", SUM), "sub": ("-", SUM), "mul": ("*", PRODUCT), "udiv": ("/", PRODUCT),
}  # fmt: skip
_BITS: Final = {"and": "&", "or": "|", "xor": "^", "shl": "<<", "lshr": ">>"}
_LOGIC: Final = {"and": ("&&", AND), "or": ("||", OR), "xor": ("!=", EQUALITY)}
_COMPARISONS: Final = {"olt": "<", "ole": "<=", "ogt": ">", "oge": ">=", "oeq": "==", "une": "!=", "uno": "!="}
_CALLS: Final = {"fma": "fma", "fabs": "abs", "copysign": "copysign", "sqrt": "sqrt"}

_LONGEST: Final = 76
"""Characters of an expression beyond which it has a name of its own."""

Shown = tuple[str, int]
"""A text, and how tightly its operator binds."""


@dataclass(slots=True)
class _Value:
    """What an operation on operands of type ``source`` gives; operands are keys of values, or literals."""

    op: str
    operands: tuple[str, ...]
    kind: str
    source: str
    name: str = ""


@dataclass(slots=True)
class _Loop:
    """Steps that are written once: the names of what they change, with its first values, and the next ones."""

    count: int
    left: str
    names: list[str]
    first: list[str]
    next: list[str]
    steps: list[_Step]


_Step = tuple[str, "str | _Loop"]
"""What is to be written next: a comment, a value, a loop, or the end of the function where a condition holds."""


class CFormula(Formula):
    """A formula that is written in C."""

    def __init__(
        self,
        name: str,
        form: Format,
        fused: bool,
        parameters: Sequence[str] = ("x",),
        doubles: bool = True,
        tables: bool = False,
    ) -> None:
        super().__init__(name, form, fused, doubles, tables)
        self._numbers = itertools.count(1)
        self._used = dict.fromkeys(parameters, 1)
        self._given = dict.fromkeys(parameters, form.type)
        self._values: dict[str, _Value] = {}
        self._steps: list[_Step] = []
        self._loops: list[_Loop] = []
        self._results: dict[str, str] = {}
        self.looked_up: dict[str, Sequence[float]] = {}
        """The tables that the function looks numbers up in, by the names that they have in C."""

    @property
    def arguments(self) -> list[Term]:
        return [Term(self, name, kind) for name, kind in self._given.items()]

    # Recording

    def comment(self, text: str) -> None:
        self._steps.append(("comment", text.replace("%", "")))

    def operand(self, value: Term | Number, kind: str) -> str:
        if isinstance(value, Term):
            return value.operand
        if kind in _SUFFIX:
            form = F64 if kind == "double" else F32
            return literal(float(form.dtype.type(value)), form.dtype)
        bits = int(kind[1:])
        number = int(value) % 2**bits
        return str(number) if bits == 1 or number < 1024 else f"UINT{bits}_C({number:#x})"

    def apply(self, operation: str, operands: Sequence[Term | Number], kind: str, result: str) -> Term:
        return self._record(operation, [self.operand(operand, kind) for operand in operands], result, kind)

    def call(self, name: str, *arguments: Term) -> Term:
        kind = arguments[0].kind
        return self._record(name, [argument.operand for argument in arguments], kind, kind)

    def cast(self, instruction: str, x: Term, kind: str) -> Term:
        return self._record(instruction, [x.operand], kind, x.kind)

    def select(self, mask: Term, x: Term | float, y: Term | float) -> Term:
        kind = x.kind if isinstance(x, Term) else y.kind if isinstance(y, Term) else self.form.type
        return self._record("select", [mask.operand, self.operand(x, kind), self.operand(y, kind)], kind, kind)

    def _record(self, op: str, operands: Sequence[str], kind: str, source: str) -> Term:
        key = f"t{next(self._numbers)}"
        self._values[key] = _Value(op, tuple(operands), kind, source)
        self._steps.append(("value", key))
        return Term(self, key, kind)

    def rename(self, term: Term, name: str) -> Term:
        value = self._values.get(term.operand)
        if value is not None and not value.name:
            value.name = self._unique(name)
        return term

    def _unique(self, name: str) -> str:
        count = self._used.get(name, 0)
        self._used[name] = count + 1
        return f"{name}_{count + 1}" if count else name

    def repeat(self, count: int, first: Sequence[Term], step: Callable[..., Sequence[Term]]) -> list[Term]:
        """What ``count`` steps make of some numbers: a loop that counts down."""
        left, names = self._unique("left"), [self._unique("found") for _ in first]
        state = [Term(self, name, x.kind) for name, x in zip(names, first, strict=True)]
        outer, self._steps = self._steps, []
        found = step(Term(self, left, self.form.type), *state)
        loop = _Loop(count, left, names, [x.operand for x in first], [x.operand for x in found], self._steps)
        self._loops.append(loop)
        self._steps = [*outer, ("loop", loop)]
        return state

    def done_if(self, holds: Term, result: Term) -> None:
        self._results[holds.operand] = result.operand
        self._steps.append(("done", holds.operand))

    def lookup(self, name: str, table: Sequence[float], index: Term) -> Term:
        own = f"{name}_{self.form.name}"
        self.looked_up[own] = table
        return self._record(own, [(index & (len(table) - 1)).operand], self.form.type, index.kind)

    def row(self, table: str, index: Term, columns: int) -> list[Term]:
        own = f"{table}_{self.form.name}"
        self.looked_up[own] = tables.TWO_OVER_PI[self.form.name]
        first = index * columns
        return [
            self._record(own, [(first + k if k else first).operand], self.form.type, index.kind) for k in range(columns)
        ]

    # Writing

    def text(self, result: Term | str) -> str:
        """The function that gives ``result``, a value or the text of one."""
        kind = _TYPES[self.form.type]
        parameters = ", ".join(f"{kind} {name}" for name in self._given)
        body = wrapped(indented(self._body(result.operand if isinstance(result, Term) else result)))
        return "\n".join([f"static {kind} {self.name}({parameters})", "{", *body, "}"])

    def _body(self, result: str) -> list[str]:
        roots = [result, *self._results, *self._results.values()]
        roots += [key for loop in self._loops for key in (*loop.first, *loop.next)]
        needed = self._needed(roots)
        uses = Counter(operand for key in needed for operand in self._values[key].operands)
        uses.update(roots)
        shown: dict[str, Shown] = {name: (name, ATOM) for name in self._given}
        numbers = itertools.count(1)

        def lines_of(steps: Sequence[_Step]) -> list[str]:
            lines: list[str] = []
            for what, key in steps:
                if isinstance(key, _Loop):
                    lines += loop_of(key)
                elif what == "comment":
                    lines.append(comment(key))
                elif what == "done":
                    early = shown[self._results[key]][0]
                    lines += [f"if ({shown[key][0]}) {{", *indented([f"return {early};"]), "}"]
                elif key in needed:
                    value = self._values[key]
                    shown[key] = self._shown(value, shown)
                    if key != result and (value.name or uses[key] > 1 or len(shown[key][0]) > _LONGEST):
                        name = value.name or f"t{next(numbers)}"
                        lines.append(f"const {_TYPES[value.kind]} {name} = {shown[key][0]};")
                        shown[key] = name, ATOM
            return lines

        def loop_of(loop: _Loop) -> list[str]:
            def text(key: str) -> str:
                return shown.get(key, (key, ATOM))[0]

            kind = _TYPES[self.form.type]
            lines = [f"{kind} {name} = {text(first)};" for name, first in zip(loop.names, loop.first, strict=True)]
            body = lines_of(loop.steps)
            *others, last = zip(loop.names, loop.next, strict=True)
            body += [f"const {kind} next_{name} = {text(key)};" for name, key in others]
            body.append(f"{last[0]} = {text(last[1])};")
            body += [f"{name} = next_{name};" for name, _ in others]
            count, one = (self.operand(number, self.form.type) for number in (loop.count, 1.0))
            head = f"for ({kind} {loop.left} = {count}; {loop.left} >= {one}; {loop.left} -= {one}) {{"
            return [*lines, head, *indented(body), "}"]

        return [*lines_of(self._steps), f"return {shown.get(result, (result, ATOM))[0]};"]

    def _needed(self, roots: Sequence[str]) -> set[str]:
        """The values that some are made of."""
        found: set[str] = set()
        stack = list(roots)
        while stack:
            key = stack.pop()
            if key in self._values and key not in found:
                found.add(key)
                stack += self._values[key].operands
        return found

    def _shown(self, value: _Value, shown: dict[str, Shown]) -> Shown:
        """The expression of a value."""

        def text(position: int, strength: int) -> str:
            operand = value.operands[position]
            found, own = shown.get(operand, (operand, UNARY if operand.startswith("-") else ATOM))
            return wrapped_in(found, own, strength)

        op, suffix = value.op, _SUFFIX.get(value.source, "")
        if op in self.looked_up:
            return f"{op}[{text(0, 0)}]", ATOM
        if op in _ARITHMETIC:
            sign, strength = _ARITHMETIC[op]
            return f"{text(0, strength)} {sign} {text(1, strength + 1)}", strength
        if op == "fneg":
            inner = text(0, UNARY)
            return f"-({inner})" if inner.startswith("-") else f"-{inner}", UNARY
        if op == "xor" and value.kind == "i1" and value.operands[1] == "1":
            return f"!{text(0, ATOM)}", UNARY
        if op in _LOGIC and value.kind == "i1":
            sign, strength = _LOGIC[op]
            least = SUM if sign == "!=" else EQUALITY
            return f"{text(0, least)} {sign} {text(1, least)}", strength
        if op in _BITS:
            return f"{text(0, ATOM)} {_BITS[op]} {text(1, ATOM)}", OR
        if op in _COMPARISONS:
            return f"{text(0, SUM)} {_COMPARISONS[op]} {text(1, SUM)}", RELATION
        if op == "select":
            return f"{text(0, EQUALITY)} ? {text(1, EQUALITY)} : {text(2, EQUALITY)}", TERNARY
        if op in _CALLS:
            arguments = ", ".join(text(k, 0) for k in range(len(value.operands)))
            return f"{_CALLS[op]}_{suffix or _SUFFIX[value.kind]}({arguments})", ATOM
        if op == "bitcast":
            name = f"bits_{suffix}" if suffix else f"from_bits_{_SUFFIX[value.kind]}"
            return f"{name}({text(0, 0)})", ATOM
        if op == "trunc" and value.kind == "i1":
            return f"({text(0, ATOM)} & 1) != 0", EQUALITY
        if op in ("trunc", "zext", "fpext", "fptrunc"):
            return f"({_TYPES[value.kind]}){text(0, UNARY)}", UNARY
        raise CompileError(f"the operation {op} of {self.name} cannot be written in C")
