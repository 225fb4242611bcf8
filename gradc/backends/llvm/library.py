"""A kernel as a function of C: the checks of its arguments around it, as IR, and the object file.

``gradc.backends.abi`` says how it is called. The module has no undefined symbols and no data that is written; all of
its functions but the user's are internal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gradc.backends.abi import FIRST_FAILURE, NULL_INPUT, OK, WORKSPACE, Argument, Interface
from gradc.backends.llvm.assemble import assembled, is_resolved, with_constants_in_code, with_resolved_constants
from gradc.backends.llvm.dims import Dims
from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.machine import parse, pointer_bits, target_machine, tidy
from gradc.backends.llvm.narrow import without_wide_arithmetic
from gradc.backends.llvm.status import CODE_BITS
from gradc.backends.llvm.symbols import kernel_symbol
from gradc.backends.llvm.types import memory_type, scalar_type, symbol_name
from gradc.backends.spare import rounded, spare_of
from gradc.ir.aval import Dim, is_nonnegative
from gradc.ir.target import Target
from gradc.loops.language.program import ALIGNMENT, LoopProgram
from gradc.loops.shaping.optional import Optional

NO_CALLS: Final = '"no-builtins" "no-stack-arg-probe"'
"""Attributes of functions by which a compiler adds no calls to them."""

SELDOM: Final = '!prof !{!"branch_weights", i32 1, i32 2000}'
"""A condition that seldom holds: each part of it is a branch of its own, which costs nothing where it is not taken."""

SPARE_ALIGNMENT: Final = 16
"""Of memory for results that nobody wants: that of the stack, which a short call has no time to move."""


@dataclass(frozen=True, slots=True)
class Code:
    """The text of a module, and what it may use."""

    ir: str
    target: Target


def kernel_code(program: Optional, interface: Interface, symbol: str, target: Target) -> Code:
    """The kernel, and the function ``symbol`` of C that calls it."""
    wrapped = _Wrapper(program, interface, symbol, target).text()
    return Code(f"{emit(program.program, target, embedded=True)}\n{wrapped}\n", target)


def object_file(codes: Sequence[Code]) -> bytes:
    """The object file of modules for one machine, whose processors the first one suits all.

    The functions of the others are for processors with more instructions, and say so one by one.
    """
    module, target = _linked(codes), codes[0].target
    return with_resolved_constants(module, target) if is_resolved(target) else _emitted(module, target)


def object_and_assembly(codes: Sequence[Code]) -> tuple[bytes, str]:
    """The same, and the assembly that LLVM makes of it."""
    module, target = _linked(codes), codes[0].target
    assembly = str(target_machine(target).emit_assembly(module.clone()))  # emitting changes a module
    if is_resolved(target):
        return assembled(with_constants_in_code(assembly), target), assembly
    return _emitted(module, target), assembly


def _emitted(module: Any, target: Target) -> bytes:
    return bytes(target_machine(target).emit_object(module))


def _linked(codes: Sequence[Code]) -> Any:
    """The modules as one."""
    base = codes[0].target
    whole = None
    for code in codes:
        module = parse(_attributed(code, alone=code.target == base), code.target)
        tidy(module, code.target)
        if whole is None:
            whole = module
        else:
            whole.link_in(module)
    return whole


def module_text(code: Code) -> str:
    """The text of a module as a compiler reads it, with its machine.

    Every function names its processor, for a linker that optimises compiles it among others for another one.
    """
    machine = target_machine(code.target)
    head = f'target datalayout = "{machine.target_data}"\ntarget triple = "{machine.triple}"\n\n'
    return head + _attributed(code, alone=False, alien=True)


def bitcode(code: Code) -> bytes:
    """The same as bitcode."""
    return bytes(parse(_attributed(code, alone=False, alien=True), code.target).as_bitcode())


def _attributed(code: Code, *, alone: bool, alien: bool = False) -> str:
    """The text, every function of it without calls that nobody wrote, and with the instructions it may use.

    Among ``alien`` code that has a C library they may copy memory by its functions: else they were not inlined there.
    """
    attributes = '"no-stack-arg-probe"' if alien and "-none-" not in code.target.triple else NO_CALLS
    if not alone:
        attributes += f' "target-cpu"="{code.target.cpu}"'
        attributes += f' "target-features"="{code.target.features}"' if code.target.features else ""
    ir = code.ir
    if pointer_bits(code.target) == 32 and not code.target.triple.startswith("wasm"):
        ir = without_wide_arithmetic(ir)
    text = re.sub(r"(?<! #\d)((?: section \"[^\"]*\")?) \{$", rf" {attributes}\1 {{", ir, flags=re.MULTILINE)
    return re.sub(r"^(attributes #\d+ = \{.*) \}$", rf"\1 {attributes} }}", text, flags=re.MULTILINE)


_COPY: Final = """; the elements of an array go to another one, unless that is the same
define internal void @NAME.copyBITS(ptr %to, ptr %from, i64 %count) nounwind {
begin:
  %same = icmp eq ptr %to, %from
  %none = icmp eq i64 %count, 0
  %skip = or i1 %same, %none
  br i1 %skip, label %end, label %next
next:
  %i = phi i64 [ 0, %begin ], [ %i.next, %next ]
  %source = getelementptr inbounds iBITS, ptr %from, i64 %i
  %element = load iBITS, ptr %source
  %target = getelementptr inbounds iBITS, ptr %to, i64 %i
  store iBITS %element, ptr %target
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %next, label %end
end:
  ret void
}
"""


class _Wrapper:
    """Writes the function that C calls."""

    def __init__(self, program: Optional, interface: Interface, symbol: str, target: Target) -> None:
        self._symbol = symbol
        self._program: LoopProgram = program.program
        self._optional = program
        self._interface = interface
        self._target = target
        self._spare = spare_of(program)
        self._lines: list[str] = []
        self._count = 0
        word = f"i{pointer_bits(target)}"
        self._word = word
        self._dims = Dims(self._value, {symbol: f"%{name}.size" for name, symbol in interface.sizes})

    def text(self) -> str:
        """The definition."""
        interface, lines = self._interface, self._lines
        self._label(".entry")
        for name, _ in interface.sizes:
            widened = f"zext i32 %{name} to i64" if self._word == "i32" else f"add i64 %{name}, 0"
            lines.append(f"  %{name}.size = {widened}")
        pointers = self._in_structs() if interface.in_structs else self._by_themselves()
        copies = self._copies(pointers)
        call = f"call i64 {symbol_name(kernel_symbol(self._program))}({', '.join(self._arguments(pointers))})"
        lines.append(f"  %.status = {call}")
        if not self._program.messages:
            lines.append(f"  ret i32 {OK}")
        else:
            lines += [
                "  %.failed = icmp ne i64 %.status, 0",
                "  %.code = trunc i64 %.status to i32",
                f"  %.low = and i32 %.code, {2**CODE_BITS - 1}",
                f"  %.failure = add i32 %.low, {FIRST_FAILURE - 1}",
                f"  %.result = select i1 %.failed, i32 %.failure, i32 {OK}",
                "  ret i32 %.result",
            ]
        attributes = f'nounwind "prefer-vector-width"="{self._target.vector_bits}"'
        head = f"define signext i32 @{self._symbol}({', '.join(parameters(interface, self._word))}) {attributes} {{"
        return "\n".join([*copies, head, *lines, "}"])

    def _copies(self, pointers: dict[str, str]) -> list[str]:
        """Have results in place of inputs hold these where the caller gave other arrays; the functions that do it."""
        widths = set()
        for buffer in self._program.outputs:
            if buffer.place:
                bits = 8 * buffer.dtype.itemsize
                widths.add(bits)
                count = self._dims.operand(buffer.aval.size)
                places = f"ptr {pointers[buffer.name]}, ptr {pointers[buffer.place]}"
                self._lines.append(f"  call void @{self._symbol}.copy{bits}({places}, i64 {count})")
        return [_COPY.replace("NAME", self._symbol).replace("BITS", str(bits)) for bits in sorted(widths)]

    def _in_structs(self) -> dict[str, str]:
        """The pointer of each buffer in the two structs, after a check of theirs."""
        kinds = struct_types(self._interface)
        self._refuse(["%in", "%out"], NULL_INPUT)
        self._check_workspace()
        pointers = {}
        sides = (
            ("in", self._interface.inputs, self._program.inputs),
            ("out", self._interface.outputs, self._program.outputs),
        )
        for side, arguments, buffers in sides:
            for place, argument in enumerate(arguments):
                element = f"getelementptr inbounds {kinds[side]}, ptr %{side}, i32 0, i32 {place}"
                pointers[buffers[argument.position].name] = self._value(element)
        return pointers

    def _by_themselves(self) -> dict[str, str]:
        """The pointer of each buffer where arguments come one by one, after their checks."""
        inputs = {self._program.inputs[a.position].name: a for a in self._interface.inputs}
        outputs = {self._program.outputs[a.position].name: a for a in self._interface.outputs}
        arrays = [a for a in inputs.values() if not a.is_number and a.aval.size != 0]
        self._refuse([f"%{a.name}" for a in arrays], NULL_INPUT, [a.aval.size for a in arrays])
        self._stop_without_results()
        self._check_workspace()
        pointers = {}
        for name, argument in inputs.items():
            pointers[name] = self._number(argument) if argument.is_number else f"%{argument.name}"
        absent = {name: self._value(f"icmp eq ptr %{a.name}, null") for name, a in outputs.items()}
        if self._optional.wanted:
            pointers[self._optional.wanted] = self._wanted([absent[b.name] for b in self._program.outputs])
        base = self._spare_memory()
        for name, argument in outputs.items():
            pointers[name] = f"%{argument.name}"
            if base and name in self._spare.places:
                offset = self._dims.operand(self._spare.places[name])
                spare = self._value(f"getelementptr inbounds i8, ptr {base}, i64 {offset}")
                pointers[name] = self._value(f"select i1 {absent[name]}, ptr {spare}, ptr %{argument.name}")
        return pointers

    def _number(self, argument: Argument) -> str:
        """Memory with a number that came by value."""
        kind = memory_type(argument.dtype)
        place = self._alloca(kind)
        value = f"%{argument.name}"
        if argument.dtype.kind == "b":
            value = self._value(f"zext i1 {value} to i8")
        self._lines.append(f"  store {kind} {value}, ptr {place}")
        return place

    def _wanted(self, absent: Sequence[str]) -> str:
        """Memory with a bool for each output: whether its pointer is not NULL."""
        place = self._alloca(f"[{len(absent)} x i8]")
        for position, none in enumerate(absent):
            wanted = self._value(f"select i1 {none}, i8 0, i8 1")
            element = self._value(f"getelementptr inbounds i8, ptr {place}, i64 {position}")
            self._lines.append(f"  store i8 {wanted}, ptr {element}")
        return place

    def _spare_memory(self) -> str:
        """Where memory for results begins that are not wanted; empty where none is needed."""
        if self._spare.bytes == 0:
            return ""
        if self._spare.on_stack:
            memory = self._alloca(f"[{self._spare.bytes} x i8]", SPARE_ALIGNMENT)
            # LLVM would take what it knows to be its own stack apart, and choose an address for each element.
            return self._value(f'call ptr asm "", "=r,0"(ptr {memory})')
        behind = self._dims.operand(rounded(self._program.arena_bytes))
        return self._value(f"getelementptr inbounds i8, ptr %workspace, i64 {behind}")

    def _arguments(self, pointers: dict[str, str]) -> list[str]:
        buffers = (*self._program.inputs, *self._program.outputs)
        sizes = [f"i64 %{name}.size" for name, _ in self._interface.sizes]
        return [*[f"ptr {pointers[b.name]}" for b in buffers], "ptr %workspace", *sizes]

    def _refuse(self, pointers: Sequence[str], status: int, sizes: Sequence[Dim] = ()) -> None:
        """Return ``status`` where a pointer is NULL; where its array has elements, if ``sizes`` are given."""
        faults = []
        for k, pointer in enumerate(pointers):
            fault = self._value(f"icmp eq ptr {pointer}, null")
            if sizes and not isinstance(sizes[k], int):
                some = self._value(f"icmp ne i64 {self._dims.operand(sizes[k])}, 0")
                fault = self._value(f"and i1 {fault}, {some}")
            faults.append(fault)
        self._return_if(faults, status, f"refused.{status}")

    def _stop_without_results(self) -> None:
        """Return at once where no result is wanted."""
        wanted = [self._value(f"icmp ne ptr %{a.name}, null") for a in self._interface.outputs]
        some = self._any(wanted)
        none = self._value(f"xor i1 {some}, true")
        self._return_if([none], OK, "nothing.wanted")

    def _check_workspace(self) -> None:
        """Return where the workspace is missing or not aligned, if there is to be one."""
        if self._interface.workspace == 0:
            return
        address = self._value(f"ptrtoint ptr %workspace to {self._word}")
        low = self._value(f"and {self._word} {address}, {ALIGNMENT - 1}")
        crooked = self._value(f"icmp ne {self._word} {low}, 0")
        missing = self._value("icmp eq ptr %workspace, null")
        bad = self._any([missing, crooked])
        size = self._interface.workspace
        if not isinstance(size, int) and not is_nonnegative(size - 1):
            some = self._value(f"icmp ne i64 {self._dims.operand(size)}, 0")
            bad = self._value(f"and i1 {bad}, {some}")
        self._return_if([bad], WORKSPACE, f"refused.{WORKSPACE}")

    def _return_if(self, faults: Sequence[str], status: int, label: str) -> None:
        if not faults:
            return
        fault = self._any(faults)
        self._lines.append(f"  br i1 {fault}, label %{label}, label %{label}.not, {SELDOM}")
        self._label(label)
        self._lines.append(f"  ret i32 {status}")
        self._label(f"{label}.not")

    def _any(self, conditions: Sequence[str]) -> str:
        found = conditions[0]
        for condition in conditions[1:]:
            found = self._value(f"or i1 {found}, {condition}")
        return found

    def _alloca(self, kind: str, alignment: int = 8) -> str:
        self._count += 1
        name = f"%.{self._count}"
        self._lines.insert(1, f"  {name} = alloca {kind}, align {alignment}")
        return name

    def _value(self, instruction: str) -> str:
        self._count += 1
        name = f"%.{self._count}"
        self._lines.append(f"  {name} = {instruction}")
        return name

    def _label(self, name: str) -> None:
        self._lines.append(f"{name}:")


def struct_types(interface: Interface) -> dict[str, str]:
    """The IR types of the two structs, ``in`` and ``out``."""
    sides = {"in": interface.inputs, "out": interface.outputs}
    return {side: f"{{ {', '.join(memory_type(a.dtype) for a in members)} }}" for side, members in sides.items()}


def parameters(interface: Interface, word: str) -> list[str]:
    """The parameters of the function, ``word`` being the type of a ``size_t``."""
    if interface.in_structs:
        return ["ptr %in", "ptr %out", "ptr %workspace"]
    found = [f"{word} %{name}" for name, _ in interface.sizes]
    found += [f"{number_type(a)} %{a.name}" if a.is_number else f"ptr %{a.name}" for a in interface.inputs]
    return [*found, *[f"ptr %{a.name}" for a in interface.outputs], "ptr %workspace"]


def number_type(argument: Argument) -> str:
    """The type of a number that is passed by value, with how C extends it."""
    dtype = argument.dtype
    if dtype.kind == "f" or dtype.itemsize == 8:
        return scalar_type(dtype)
    return f"{scalar_type(dtype)} {'signext' if dtype.kind == 'i' or dtype.itemsize == 4 else 'zeroext'}"
