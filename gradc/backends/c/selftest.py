"""``NAME_selftest`` in C: calls the function with the inputs of a recording and compares what comes of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradc.backends.abi import FIRST_FAILURE, OK, Argument, Interface
from gradc.backends.c.helpers import Helpers
from gradc.backends.c.layout import INDENT, indented
from gradc.backends.c.names import Spelling
from gradc.backends.c.types import c_type, literal
from gradc.backends.recording import PERIOD, PHASE, Expected, Recording, count_of, memory_of, sample
from gradc.ir.aval import dim_value
from gradc.loops.language.program import ALIGNMENT


class SelfTest:
    """Writes it: ``lines()``. ``own`` are the names of the arguments in the file."""

    def __init__(
        self,
        interface: Interface,
        recording: Recording,
        names: Spelling,
        own: Mapping[Argument, str],
        helpers: Helpers,
    ) -> None:
        self.interface = interface
        self.recording = recording
        self.names = names
        self.own = own
        self.helpers = helpers
        self.memory = memory_of(interface, recording)
        self.given = names.fresh("memory")
        self.workspace = self._workspace()

    def lines(self) -> list[str]:
        """The whole function."""
        interface, macro = self.interface, self.interface.macro
        parameter = "void" if self.memory.on_stack else f"void *{self.given}"
        head = f"{interface.name}_status {interface.name}_selftest({parameter})"
        lines = [] if self.memory.on_stack else self._refused()
        made, arguments, results = self._with_structs() if interface.in_structs else self._with_arrays()
        tables: list[str] = []
        comparisons = [self._compared(expected, results, tables) for expected in self.recording.results]
        call = f"{interface.name}({', '.join([*arguments, self.workspace])})"
        lines += [*tables, *made, f"if ({call} != {self._status()}) {{", *indented([f"return {macro}_WRONG;"]), "}"]
        if not comparisons:
            return [head, "{", *indented([*lines, f"return {macro}_OK;"]), "}"]
        first, *others = comparisons
        lines += [f"return {first}", *(f"{INDENT * 2}&& {other}" for other in others)]
        lines[-1] += f" ? {macro}_OK : {macro}_WRONG;"
        return [head, "{", *indented(lines), "}"]

    def _status(self) -> str:
        """The enumerator of what the recorded call returned."""
        status, interface = self.recording.status, self.interface
        failure = "OK" if status == OK else interface.failures[status - FIRST_FAILURE].name
        return f"{interface.macro}_{failure}"

    def _refused(self) -> list[str]:
        condition = f"{self.given} == NULL || (uintptr_t){self.given} % {ALIGNMENT} != 0"
        return [f"if ({condition}) {{", *indented([f"return {self.interface.macro}_WORKSPACE;"]), "}"]

    def _workspace(self) -> str:
        """The argument for it."""
        if self.interface.workspace == 0:
            return "NULL"
        return self.names.fresh("space") if self.memory.on_stack else self._place(self.memory.workspace)

    def _place(self, offset: int) -> str:
        return f"(void *)((unsigned char *){self.given} + {offset})" if offset else self.given

    def _with_structs(self) -> tuple[list[str], list[str], dict[int, str]]:
        """The lines before the call, its arguments before the workspace, and results by their position."""
        name = self.interface.name
        given, made = self.names.fresh("numbers"), self.names.fresh("results")
        members = [f".{a.name} = {self._number(a, place)}" for place, a in enumerate(self.interface.inputs)]
        lines = [f"const {name}_in {given} = {{{', '.join(members)}}};", f"{name}_out {made};", *self._space()]
        return lines, [f"&{given}", f"&{made}"], {a.position: f"{made}.{a.name}" for a in self.interface.outputs}

    def _with_arrays(self) -> tuple[list[str], list[str], dict[int, str]]:
        interface, memory, recording = self.interface, self.memory, self.recording
        arguments = [str(recording.sizes[symbol]) for _, symbol in interface.sizes]
        lines: list[str] = []
        fills: list[str] = []
        for place, argument in enumerate(interface.inputs):
            if argument.is_number:
                arguments.append(self._number(argument, place))
                continue
            own, count = self.own[argument], count_of(argument, recording)
            lines.append(self._array(argument, own, memory.inputs[place]))
            shape = [dim_value(dim, recording.sizes) for dim in argument.aval.shape]
            is_float = argument.dtype.kind == "f"
            last = recording.fill.order(shape) if is_float else int(recording.fill.ones)
            fill = self.helpers.name("fill", argument.dtype)
            fills.append(f"{fill}({own}, {count}, {PHASE * place % PERIOD}, {last});")
            arguments.append(own)
        results = {}
        for place, argument in enumerate(interface.outputs):
            own = self.own[argument]
            is_variable = argument.is_number and memory.on_stack
            lines.append(
                f"{argument.c_type} {own};" if is_variable else self._array(argument, own, memory.outputs[place])
            )
            results[argument.position] = own if is_variable else f"*{own}" if argument.is_number else own
            arguments.append(f"&{own}" if is_variable else own)
        return [*lines, *self._space(), *fills], arguments, results

    def _array(self, argument: Argument, own: str, offset: int) -> str:
        kind = argument.c_type
        if self.memory.on_stack:
            count = count_of(argument, self.recording)
            return f"{kind} {own}[{count}];" if count else f"{kind} {own}[1] = {{{literal(0, argument.dtype)}}};"
        return f"{kind} *const {own} = ({kind} *){self._place(offset)};"

    def _space(self) -> list[str]:
        """The workspace on the stack."""
        if not self.memory.on_stack or self.interface.workspace == 0:
            return []
        room = self.names.fresh("room")
        size = dim_value(self.interface.workspace, self.recording.sizes)
        aligned = f"{room} + ({ALIGNMENT} - (uintptr_t){room} % {ALIGNMENT}) % {ALIGNMENT}"
        return [f"unsigned char {room}[{size} + {ALIGNMENT}];", f"void *const {self.workspace} = {aligned};"]

    def _number(self, argument: Argument, place: int) -> str:
        return literal(sample((), argument.dtype, place, self.recording.fill).item(), argument.dtype)

    def _compared(self, expected: Expected, results: Mapping[int, str], tables: list[str]) -> str:
        """The condition that a result is as recorded, for which the numbers of an array become one of ``tables``."""
        dtype, data = expected.values.dtype, results[expected.position]
        argument = next(a for a in self.interface.outputs if a.position == expected.position)
        if argument.is_number:
            recorded = _rounded(expected.values.item(), dtype)
            if dtype.kind != "f":
                return f"{data} == {recorded}"
            return f"{self.helpers.name('close', dtype)}({data}, {recorded}, {_bound(expected.tolerance, dtype)})"
        table = self.names.fresh(f"recorded_{data}")
        values = ", ".join(_rounded(value, dtype) for value in expected.values.tolist()) or "0"
        tables.append(f"static const {c_type(dtype)} {table}[{max(len(expected.values), 1)}] = {{{values}}};")
        of = f"{data}, {expected.count}, {expected.stride}, {table}"
        if dtype.kind != "f":
            return f"{self.helpers.name('same', dtype)}({of})"
        near, total = _bound(expected.tolerance, dtype), _rounded(expected.total, dtype)
        return f"{self.helpers.name('agrees', dtype)}({of}, {near}, {total}, {_bound(expected.total_tolerance, dtype)})"


def _rounded(value: float, dtype: np.dtype) -> str:
    """A recorded number; a float to more digits than the tolerance leaves."""
    if dtype.kind != "f":
        return literal(value, dtype)
    return _decimal(value, dtype, 12 if dtype.itemsize == 8 else 7)


def _bound(tolerance: float, dtype: np.dtype) -> str:
    """A tolerance."""
    return _decimal(tolerance, dtype, 3)


def _decimal(value: float, dtype: np.dtype, digits: int) -> str:
    """A float to so many digits, unless that is larger than all there are."""
    text = f"{value:.{digits}g}"
    if not abs(float(text)) < np.finfo(dtype).max:
        return literal(np.asarray(value, dtype).item(), dtype)
    text = text if "." in text or "e" in text else f"{text}.0"
    return f"{text}f" if dtype.itemsize == 4 else text
