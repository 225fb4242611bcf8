"""The function that a file of C is about: its arguments checked, its names, its statements."""

from __future__ import annotations

from gradc.backends.abi import Argument, Interface
from gradc.backends.c.layout import indented, words
from gradc.backends.c.names import Spelling
from gradc.backends.c.statements import Statements
from gradc.backends.c.types import c_type, literal
from gradc.backends.spare import Spare, rounded
from gradc.ir.aval import Dim, is_nonnegative
from gradc.loops.language.program import Buffer, Statement, Store
from gradc.loops.language.traversal import buffers_named
from gradc.loops.shaping.optional import Optional


class Entry:
    """Writes it: ``lines(body)`` for the statements of the program."""

    def __init__(
        self, optional: Optional, spare: Spare, interface: Interface, names: Spelling, statements: Statements
    ) -> None:
        self.optional = optional
        self.program = optional.program
        self.spare = spare
        self.interface = interface
        self.names = names
        self.statements = statements
        sides = ((interface.inputs, self.program.inputs), (interface.outputs, self.program.outputs))
        self.own = {a: names(buffers[a.position].name) for arguments, buffers in sides for a in arguments}
        """What arguments are called in the file."""
        self.sizes = [names(f"size {symbol}") for _, symbol in interface.sizes]

    def lines(self, body: tuple[Statement, ...]) -> list[str]:
        """The whole function."""
        interface, expressions = self.interface, self.statements.expressions
        expressions.in_place |= {b.name for b in self.program.inputs if not b.shape}
        before, after = self._results(body)
        written = [*before, *self.statements.block(body), *after]
        named = words(written)
        arena = [b for b in self.program.buffers if b.kind == "arena" and self.names(b.name) in named]
        pointers = [self._pointer(buffer, self._place(buffer.offset)) for buffer in arena]
        named |= words(pointers)
        parameters, checks = self._in_structs(named) if interface.in_structs else self._by_themselves(named)
        lines = [*checks, *pointers]
        if "status" in named:
            lines.append(f"{interface.name}_status status;")
        lines += [*([""] if lines else []), *written, f"return {interface.macro}_OK;"]
        head = f"{interface.name}_status {interface.name}({', '.join([*parameters, 'void *workspace'])})"
        return [head, "{", *indented(lines), "}"]

    def _in_structs(self, named: frozenset[str]) -> tuple[list[str], list[str]]:
        """The parameters before the workspace, and the first lines: everything is a number."""
        interface = self.interface
        parameters = [f"const {interface.name}_in *in", f"{interface.name}_out *out"]
        lines = [*self._return_if(["in == NULL || out == NULL"], "NULL_INPUT"), *self._check_workspace()]
        used = [a for a in interface.inputs if self.own[a] in named]
        return parameters, [*lines, *[f"const {a.c_type} {self.own[a]} = in->{a.name};" for a in used]]

    def _by_themselves(self, named: frozenset[str]) -> tuple[list[str], list[str]]:
        """The same for arguments that come one by one."""
        interface, own = self.interface, self.own
        outputs = [own[argument] for argument in interface.outputs]
        given = [self.names.fresh(f"{size}_size") for size in self.sizes]
        parameters = [f"size_t {name}" for name in given]
        updated = {a.place for a in interface.outputs}
        parameters += [
            f"{a.c_type} {own[a]}"
            if a.is_number
            else f"const {a.c_type} *{'' if a.name in updated else 'restrict '}{own[a]}"
            for a in interface.inputs
        ]
        parameters += [f"{a.c_type} *restrict {own[a]}" for a in interface.outputs]
        missing = [condition for condition in map(self._is_missing, interface.inputs) if condition]
        apart = [f"({condition})" if "&&" in condition and len(missing) > 1 else condition for condition in missing]
        checks = self._return_if([" || ".join(apart)], "NULL_INPUT")
        checks += self._return_if([" && ".join(f"{name} == NULL" for name in outputs)], "OK")
        checks += [*self._check_workspace(), *self._wanted(named), *self._spared(), *self._copied()]
        named |= words(checks)
        pairs = [(name, size) for name, size in zip(given, self.sizes, strict=True) if size in named]
        sizes = [f"const int64_t {size} = (int64_t){name};" for name, size in pairs]
        named |= words(sizes)
        unused = [*given, *[own[argument] for argument in interface.inputs]]
        return parameters, [*[f"(void){name};" for name in unused if name not in named], *sizes, *checks]

    def _return_if(self, conditions: list[str], status: str) -> list[str]:
        (condition,) = conditions
        if not condition:
            return []
        return [f"if ({condition}) {{", *indented([f"return {self.interface.macro}_{status};"]), "}"]

    def _is_missing(self, argument: Argument) -> str:
        """The condition for an input that should hold elements and is not there."""
        count = argument.aval.size
        if argument.is_number or count == 0:
            return ""
        if isinstance(count, int):
            return f"{self.own[argument]} == NULL"
        return f"{self.own[argument]} == NULL && {self._size(count)} != 0"

    def _check_workspace(self) -> list[str]:
        size = self.interface.workspace
        if size == 0:
            return ["(void)workspace;"]
        condition = f"workspace == NULL || (uintptr_t)workspace % {self.interface.alignment} != 0"
        if not isinstance(size, int) and not is_nonnegative(size - 1):
            condition = f"{self._size(size)} != 0 && ({condition})"
        return self._return_if([condition], "WORKSPACE")

    def _wanted(self, named: frozenset[str]) -> list[str]:
        """Which results the caller wants, where statements ask for it."""
        wanted = self.optional.wanted
        if not wanted or self.names(wanted) not in named:
            return []
        outputs = sorted(self.interface.outputs, key=lambda a: a.position)
        return [f"const bool {self.names(wanted)}[] = {{{', '.join(f'{self.own[a]} != NULL' for a in outputs)}}};"]

    def _spared(self) -> list[str]:
        """Memory for arrays that are written though nobody wants them."""
        lines = []
        for argument in self.interface.outputs:
            buffer, own = self.program.outputs[argument.position], self.own[argument]
            if argument.is_number or buffer.name not in self.optional.spared:
                continue
            place = self._place(rounded(self.program.arena_bytes) + self.spare.places[buffer.name], argument.c_type)
            if self.spare.on_stack:
                place = self.names.fresh(f"spare_{own}")
                count = max(int(buffer.bytes) // buffer.dtype.itemsize, 1)
                lines.append(f"{argument.c_type} {place}[{count}] = {{{literal(0, buffer.dtype)}}};")
            lines += [f"if ({own} == NULL) {{", *indented([f"{own} = {place};"]), "}"]
        return lines

    def _copied(self) -> list[str]:
        """Loops that give results in place of inputs what these hold, where the caller has other arrays for them."""
        lines = []
        inputs = {self.program.inputs[a.position].name: a for a in self.interface.inputs}
        for argument in self.interface.outputs:
            buffer, own = self.program.outputs[argument.position], self.own[argument]
            if not buffer.place:
                continue
            source, i = self.own[inputs[buffer.place]], self.names.fresh("i")
            head = f"int64_t {i} = 0; {i} < {self._size(argument.aval.size)}; {i}++"
            loop = [f"for ({head}) {{", *indented([f"{own}[{i}] = {source}[{i}];"]), "}"]
            lines += [f"if ({own} != {source}) {{", *indented(loop), "}"]
        return lines

    def _results(self, body: tuple[Statement, ...]) -> tuple[list[str], list[str]]:
        """Names results of one number; the lines before the statements and after them that this takes.

        They are members of the struct, or written through a pointer, if there is one: once, or after all else.
        """
        expressions = self.statements.expressions
        named = list(buffers_named(body))
        before, after = [], []
        for argument in self.interface.outputs:
            name, own = self.program.outputs[argument.position].name, self.own[argument]
            if not argument.is_number:
                continue
            expressions.in_place.add(name)
            if self.interface.in_structs:
                expressions.members[name] = f"out->{argument.name}"
            elif named.count(name) == 1 and any(isinstance(s, Store) and s.buffer == name for s in body):
                expressions.members[name] = f"*{own}"
                self.statements.guarded.add(name)
            else:
                local = expressions.members[name] = self.names.fresh(f"own_{own}")
                before.append(f"{argument.c_type} {local} = 0;")
                after += [f"if ({own} != NULL) {{", *indented([f"*{own} = {local};"]), "}"]
        return before, after

    def _size(self, dim: Dim) -> str:
        return self.statements.expressions.size(dim)

    def _pointer(self, buffer: Buffer, place: str) -> str:
        """A buffer in the workspace."""
        kind = c_type(buffer.dtype)
        return f"{kind} *const {self.names(buffer.name)} = ({kind} *){place};"

    def _place(self, offset: Dim, kind: str = "") -> str:
        """A place in the workspace, so many bytes after its start."""
        place = "workspace" if offset == 0 else f"(void *)((unsigned char *)workspace + {self._size(offset)})"
        return f"({kind} *){place}" if kind else place
