"""A kernel as one file of C99, for the header that goes with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gradc import __version__
from gradc.backends.abi import Interface, own_names, without_doubles
from gradc.backends.c.aliases import without_aliases
from gradc.backends.c.entry import Entry
from gradc.backends.c.expressions import Expressions
from gradc.backends.c.helpers import Helpers, environment
from gradc.backends.c.layout import indented, words, wrapped
from gradc.backends.c.names import Spelling
from gradc.backends.c.selftest import SelfTest
from gradc.backends.c.statements import Callee, Statements
from gradc.backends.c.types import c_type, comment, literal
from gradc.backends.c.unused import without_unused
from gradc.backends.recording import Recording
from gradc.backends.spare import spare_of
from gradc.ir.target import Target
from gradc.loops.language.program import Buffer, Call, Check, Contraction, Function, LoopProgram, Statement
from gradc.loops.language.traversal import declared_names, statements_of
from gradc.loops.lowering.products import OrderOf, with_products
from gradc.loops.shaping.expand import expand
from gradc.loops.shaping.optional import Optional

_FUSED: Final = {
    "__builtin_fma(": "!defined(__FMA__) && !defined(__FP_FAST_FMA) && !defined(__aarch64__) && !defined(__riscv_d)",
    "__builtin_fmaf(": "!defined(__FMA__) && !defined(__FP_FAST_FMAF) && !defined(__ARM_FEATURE_FMA) "
    "&& !defined(__aarch64__) && !defined(__riscv_f)",
}
"""How compilers tell that a fused multiply-add is no instruction, by the function that needs it."""


_REFUSED: Final = (
    ("defined(__FAST_MATH__) || defined(_M_FP_FAST)", "results would differ: compile without -ffast-math"),
    (
        "defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__",
        "NaN and infinities would be lost: compile without -ffinite-math-only",
    ),
    ("defined(__ASSOCIATIVE_MATH__)", "sums would be reordered: compile without -fassociative-math"),
    ("defined(__RECIPROCAL_MATH__)", "quotients would be rounded otherwise: compile without -freciprocal-math"),
    ("defined(__NO_SIGNED_ZEROS__)", "signs of zeros would be lost: compile without -fno-signed-zeros"),
    (
        "FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16",
        "results would differ: compile for registers of the width of the types, as with -msse2 -mfpmath=sse",
    ),
)
"""How compilers tell that they were asked to change results, and what to say then.

A method of evaluation of 16 widens half precision alone. GCC before 12 and Clang do not tell all of it: pragmas of the
file ask for the opposite there.
"""

_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)

_NOT_FUSED: Final = (
    "made for a machine with fused multiply-adds: compile with -mfma, or make the file for another target"
)


def render(
    optional: Optional,
    interface: Interface,
    target: Target,
    order_of: OrderOf,
    recording: Recording | None = None,
) -> str:
    """The C source of a kernel for a target; with a ``recording``, of its self-test too.

    ``order_of`` tells in which order the target's kernels add up a contraction. Raises CompileError for what cannot
    be written in C.
    """
    program = expand(with_products(optional.program, target, order_of), target)
    return _File(replace(optional, program=program), interface, target, recording).text()


class _File:
    def __init__(self, optional: Optional, interface: Interface, target: Target, recording: Recording | None) -> None:
        self.optional = optional
        self.program = program = optional.program
        self.interface = interface
        self.target = target
        self.recording = recording
        self.names = _spelling(program, interface)
        self.helpers = Helpers(target)
        self.callees: dict[str, Callee] = {}
        self.constants = {b.name: b for b in program.buffers if b.kind == "constant"}

    def text(self) -> str:
        """The whole file."""
        functions = [self._function(function) for function in _callees_first(self.program)]
        functions += self._entry()
        named = words([line for lines in functions for line in lines])
        constants = [self._constant(b) for b in self.constants.values() if self.names(b.name) in named]
        helpers = self.helpers.definitions()
        fused = [condition for call, condition in _FUSED.items() if any(call in helper for helper in helpers)]
        sections = [*helpers, *constants, *("\n".join(wrapped(lines)) for lines in functions)]
        in_doubles = [section for section in sections if re.search(r"\bdouble\b", _COMMENT.sub("", section))]
        if in_doubles and not self.target.doubles:
            raise without_doubles(self.target.cpu, self.interface)
        template = environment().get_template("kernel.c.j2")
        return template.render(
            name=self.interface.name,
            graph=self.interface.graph,
            version=__version__,
            target=self.target,
            refused=[*_REFUSED, *((condition, _NOT_FUSED) for condition in fused)],
            doubles=bool(in_doubles),
            sections=sections,
        )

    def _failure(self, code: int) -> str:
        return f"{self.interface.macro}_{self.interface.failures[code - 1].name}"

    def _statements(self, buffers: dict[str, Buffer], scalars: Iterable[str] = ()) -> Statements:
        expressions = Expressions(self.names, self.helpers, buffers, set(scalars))
        return Statements(expressions, self.callees, self._failure)

    def _constant(self, buffer: Buffer) -> str:
        """A table, some numbers a line."""
        values = [literal(value, buffer.dtype) for value in buffer.array.reshape(-1).tolist()] or ["0"]
        rows = wrapped([f"    {', '.join(values[k : k + 64])}," for k in range(0, len(values), 64)])
        head = f"static const {c_type(buffer.dtype)} {self.names(buffer.name)}[{len(values)}] = {{"
        remark = [comment(buffer.comment)] if buffer.comment else []
        return "\n".join([*remark, head, *(f"    {row.strip()}" for row in rows), "};"])

    def _function(self, function: Function) -> list[str]:
        """An internal function, static."""
        buffers = self.constants | {b.name: b for b in function.parameters}
        statements = self._statements(buffers, function.scalars)
        body = statements.block(without_unused(without_aliases(function.body)))
        named = words(body)
        sizes = tuple(size for _, symbol in self.interface.sizes if (size := self.names(f"size {symbol}")) in named)
        fails = self._fails(function.body)
        name = f"{self.interface.name}_{function.name}"
        self.callees[function.name] = Callee(name, sizes, fails)
        parameters = [
            f"{'' if b.writable else 'const '}{c_type(b.dtype)} *restrict {self.names(b.name)}"
            for b in function.parameters
        ]
        parameters += [f"int64_t {self.names(s)}" for s in function.scalars]
        parameters += [f"int64_t {s}" for s in sizes]
        own = [self.names(n) for n in (*(b.name for b in function.parameters), *function.scalars)]
        lines = [f"(void){name};" for name in own if name not in named]
        status = f"{self.interface.name}_status"
        if "status" in named:
            lines.append(f"{status} status;")
        lines += [*body, *([f"return {self.interface.macro}_OK;"] if fails else [])]
        head = f"static {status if fails else 'void'} {name}({', '.join(parameters) or 'void'})"
        return [head, "{", *indented(lines), "}"]

    def _entry(self) -> list[list[str]]:
        """The function that the header declares, and its self-test."""
        statements = self._statements(dict(self.program.buffer))
        entry = Entry(self.optional, spare_of(self.optional), self.interface, self.names, statements)
        numbers = {self.program.inputs[a.position].name for a in self.interface.inputs if a.is_number}
        found = [entry.lines(without_unused(without_aliases(self.program.body, numbers)))]
        if self.recording is not None:
            found.append(SelfTest(self.interface, self.recording, self.names, entry.own, self.helpers).lines())
        return found

    def _fails(self, block: tuple[Statement, ...]) -> bool:
        return any(
            isinstance(s, Check) or (isinstance(s, Call) and isinstance(s.callee, str) and self.callees[s.callee].fails)
            for s in statements_of(block)
        )


def _spelling(program: LoopProgram, interface: Interface) -> Spelling:
    """The names of C: those of the interface, and others that do not meet them."""
    given = {f"size {symbol}": own for own, symbol in interface.sizes}
    for arguments, buffers in ((interface.inputs, program.inputs), (interface.outputs, program.outputs)):
        given |= {buffers[argument.position].name: argument.name for argument in arguments}
    declared = {*program.buffer, *declared_names(program.body)}
    for function in program.functions:
        declared |= {*declared_names(function.body), *function.scalars, *(b.name for b in function.parameters)}
    own = own_names(interface.name, len(interface.failures))
    return Spelling(declared, given, [*own, *(f"{interface.name}_{f.name}" for f in program.functions)])


def _callees_first(program: LoopProgram) -> list[Function]:
    """The internal functions that are called, each after those that it calls."""
    by_name = {function.name: function for function in program.functions}
    found: dict[str, Function] = {}

    def add(block: tuple[Statement, ...]) -> None:
        for statement in statements_of(block):
            if isinstance(statement, Call) and not isinstance(statement.callee, Contraction):
                function = by_name[statement.callee]
                if function.name not in found:
                    add(function.body)
                    found[function.name] = function

    add(program.body)
    return list(found.values())
