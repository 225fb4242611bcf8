"""The function that a file of C is about: its arguments checked, its names, its statements."""

from __future__ import annotations

import re

from gradc.backends.abi import Argument, Interface
from gradc.backends.c.layout import indented
from gradc.backends.c.names import Spelling
from gradc.backends.c.statements import Statements
from gradc.backends.c.types import c_type
from gradc.ir.aval import Dim
from gradc.loops.program import Buffer, LoopProgram, Statement, Store
from gradc.loops.traversal import buffers_named


class Entry:
    """Writes it: ``lines(body)`` for the statements of the program."""

    def __init__(self, program: LoopProgram, interface: Interface, names: Spelling, statements: Statements) -> None:
        self.program = program
        self.interface = interface
        self.names = names
        self.statements = statements
        self.head: list[str] = []
        self.tail: list[str] = []

    def lines(self, body: tuple[Statement, ...]) -> list[str]:
        """The whole function."""
        interface, names = self.interface, self.names
        self._name_results(body)
        expressions = self.statements.expressions
        inputs = [b for b in self.program.inputs if not b.shape]
        expressions.in_place |= {b.name for b in inputs}
        written = [*self.head, *self.statements.block(body), *self.tail]
        text = "\n".join(written)
        checks, parameters = self._parameters(text)
        lines = [*checks]
        if interface.in_structs:
            used = [a for a in interface.inputs if _mentions(text, a.name)]
            lines += [f"const {a.c_type} {a.name} = in->{a.name};" for a in used]
        arena = [b for b in self.program.buffers if b.kind == "arena" and _mentions(text, names(b.name))]
        lines += [self._scratch(buffer) for buffer in arena]
        if any(line.lstrip().startswith("status =") for line in written):
            lines.append(f"{interface.name}_status status;")
        lines += [*([""] if lines else []), *written, f"return {interface.macro}_OK;"]
        head = f"{interface.name}_status {interface.name}({', '.join(parameters)})"
        return [head, "{", *indented(lines), "}"]

    def _parameters(self, text: str) -> tuple[list[str], list[str]]:
        """The lines that check arguments and name sizes, and the parameters."""
        interface, macro = self.interface, self.interface.macro
        lines: list[str] = []
        if interface.in_structs:
            parameters = [f"const {interface.name}_in *in", f"{interface.name}_out *out"]
            missing = ["in == NULL", "out == NULL"]
        else:
            parameters, missing = [], []
            for own, _ in interface.sizes:
                given = self.names.fresh(f"{own}_size")
                parameters.append(f"size_t {given}")
                lines.append(f"const int64_t {own} = (int64_t){given};")
            for argument in interface.inputs:
                if argument.is_number:
                    parameters.append(f"{argument.c_type} {argument.name}")
                    continue
                parameters.append(f"const {argument.c_type} *restrict {argument.name}")
                missing += self._missing(argument)
            parameters += [f"{a.c_type} *restrict {a.name}" for a in interface.outputs]
            lines += [f"(void){a.name};" for a in interface.inputs if not _mentions(text + "".join(missing), a.name)]
        parameters.append("void *workspace")
        if missing:
            lines += [f"if ({' || '.join(missing)}) {{", *indented([f"return {macro}_NULL_INPUT;"]), "}"]
        if interface.workspace == 0:
            return [*lines, "(void)workspace;"], parameters
        condition = f"workspace == NULL || (uintptr_t)workspace % {interface.alignment} != 0"
        return [*lines, f"if ({condition}) {{", *indented([f"return {macro}_WORKSPACE;"]), "}"], parameters

    def _missing(self, argument: Argument) -> list[str]:
        """The condition for an input that should hold elements and is not there."""
        count = argument.aval.size
        if isinstance(count, int):
            return [f"{argument.name} == NULL"] if count else []
        return [f"({argument.name} == NULL && {self._size(count)} != 0)"]

    def _size(self, dim: Dim) -> str:
        return self.statements.expressions.size(dim)

    def _name_results(self, body: tuple[Statement, ...]) -> None:
        """Results of one element: members of the struct, or written through a pointer, if there is one."""
        expressions = self.statements.expressions
        named = list(buffers_named(body))
        for argument in self.interface.outputs:
            if not argument.is_number:
                continue
            name = self.program.outputs[argument.position].name
            expressions.in_place.add(name)
            if self.interface.in_structs:
                expressions.members[name] = f"out->{argument.name}"
                continue
            if named.count(name) == 1 and any(isinstance(s, Store) and s.buffer == name for s in body):
                expressions.members[name] = f"*{argument.name}"
                self.statements.guarded.add(name)
                continue
            local = expressions.members[name] = self.names.fresh(f"own_{argument.name}")
            self.head.append(f"{argument.c_type} {local};")
            self.tail += [f"if ({argument.name} != NULL) {{", *indented([f"*{argument.name} = {local};"]), "}"]

    def _scratch(self, buffer: Buffer) -> str:
        """The pointer of a buffer in the workspace."""
        kind = c_type(buffer.dtype)
        place = "workspace"
        if buffer.offset != 0:
            place = f"((unsigned char *)workspace + {self._size(buffer.offset)})"
        return f"{kind} *const {self.names(buffer.name)} = ({kind} *)(void *){place};".replace(
            "(void *)workspace", "workspace"
        )


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"\b{name}\b", text) is not None
