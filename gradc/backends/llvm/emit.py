"""A loop program as the text of an LLVM module.

The kernel is ``i64 @NAME.kernel(ptr inputs..., ptr outputs..., ptr arena, i64 symbolic sizes...)``; it gives 0, or
which check failed (``gradc.backends.llvm.status``). The names of a module have a dot in them, so they never meet a C
function's.

LLVM's passes take time that grows with the square of a function's size, so a long kernel is cut into parts of at most
``NESTS`` loop nests, internal functions that run one after the other; scalars and small buffers that live across
parts stand in a frame.

With several threads, each parallel loop of the kernel is a task, an internal function of one iteration, which
``gradc.parallel`` calls for all of them (``gradc.backends.llvm.threads``). A task finds the kernel's parameters and the
frame in a context.
"""

from __future__ import annotations

import math
from typing import Final

from gradc.backends.llvm.dims import size_arguments, size_parameters
from gradc.backends.llvm.function import FunctionEmitter, Functions
from gradc.backends.llvm.math.library import attributes_of
from gradc.backends.llvm.matmul.functions import MatmulFunctions, kernel_of
from gradc.backends.llvm.matmul.shares import share_contractions
from gradc.backends.llvm.parts import Frame, is_task, split
from gradc.backends.llvm.symbols import EMBEDDED, constant_symbol, kernel_symbol
from gradc.backends.llvm.tasks import Tasks
from gradc.backends.llvm.types import memory_type, number, symbol_name
from gradc.backends.llvm.writer import Module
from gradc.ir.target import Target
from gradc.loops.language.program import ALIGNMENT, Buffer, Call, Check, Constant, For, Function, LoopProgram, Statement
from gradc.loops.language.traversal import nested, statements_of
from gradc.loops.shaping.expand import expand
from gradc.loops.shaping.terms import with_terms_apart
from gradc.loops.shaping.zeros import without_signs_of_zeros

MOST_INLINED: Final = 1000
"""A kernel that takes so many steps at most is part of the function of C that calls it."""


def emit(program: LoopProgram, target: Target, *, threads: int = 1, embedded: bool = False) -> str:
    """The module of a verified program, whose parallel loops run on at most so many threads.

    An ``embedded`` one is for a file that has all it needs: the kernel is internal, every constant stands in it, and an
    output may be NULL where the program does not write it. Raises CompileError for dtypes that the backend lacks.
    """
    program = expand(program, target, lambda call, buffers: kernel_of(call, buffers, target) is not None)
    if threads > 1:
        program = share_contractions(program, target, threads)
    if _is_short(program.body):
        program = without_signs_of_zeros(with_terms_apart(program))
    module = Module(target)
    for buffer in program.buffers:
        if buffer.kind == "constant":
            module.globals.append(_constant(program, buffer, embedded))
    symbols = {f.name: symbol_name(f"{program.name}.function.{f.name}") for f in program.functions}
    functions = Functions(program.name, symbols, MatmulFunctions(module, program.name, target), program.symbols)
    for function in program.functions:
        _emit_function(module, program, function, functions, target)
    _emit_kernel(module, program, functions, target, threads, embedded)
    return module.text()


def _emit_kernel(
    module: Module, program: LoopProgram, functions: Functions, target: Target, threads: int, embedded: bool
) -> None:
    parameters = [_pointer(b, maybe_null=embedded) for b in (*program.inputs, *program.outputs)]
    parameters.append((f"ptr noalias align {ALIGNMENT} %.arena", f"scratch memory: {program.arena_bytes} bytes"))
    sizes = size_parameters(program.symbols)
    head = f"{'internal ' if embedded else ''}i64 {symbol_name(kernel_symbol(program))}"
    pieces, frame = split(program, tasks=threads > 1)
    if len(pieces) == 1 and not (threads > 1 and is_task(pieces[0][-1])):
        lines = _kernel_emitter(module, program, functions, None).body(pieces[0])
        inline = embedded and _is_short(program.body)
        module.functions.append(_definition(head, [*parameters, *sizes], target, lines, inline=inline))
        return
    main = _kernel_emitter(module, program, functions, None)
    main.writer.entry.append(f"  %.frame = alloca [{max(frame.bytes, 1)} x i8], align {ALIGNMENT}")
    parameters_of_parts = [*parameters, (f"ptr noalias align {ALIGNMENT} %.frame", "what lives across parts")]
    arguments = [f"ptr {parameter.rsplit(' ', 1)[1]}" for parameter, _ in parameters_of_parts]
    arguments += size_arguments(program.symbols)
    parameters_of_parts += sizes
    stops = any(isinstance(statement, Check) and statement.stops for statement in program.body)
    tasks = Tasks(program.name, arguments, threads)
    for position, piece in enumerate(pieces, 1):
        emitter = _kernel_emitter(module, program, functions, frame)
        if threads > 1 and is_task(loop := piece[-1]):
            assert isinstance(loop, For), "a task is a loop"
            lines = emitter.body((*piece[:-1], *loop.body), index=loop.var)
            task, own = tasks.task(position), [*parameters_of_parts, (f"i64 %{loop.var}", "the iteration")]
            module.functions += [_definition(f"internal i64 {task}", own, target, lines), tasks.run(position)]
            main.call_tasks(tasks, position, loop)
            continue
        part = symbol_name(f"{program.name}.part.{position}")
        module.functions.append(_definition(f"internal i64 {part}", parameters_of_parts, target, emitter.body(piece)))
        main.call_part(part, ", ".join(arguments), stops=stops and position == 1)
    if any(threads > 1 and is_task(piece[-1]) for piece in pieces):
        tasks.end(main.writer)
    module.functions.append(_definition(head, [*parameters, *sizes], target, main.body(())))


def _is_short(block: tuple[Statement, ...]) -> bool:
    """Whether a kernel takes so few steps that a call of it counts."""
    return not any(isinstance(statement, Call) for statement in statements_of(block)) and _steps(block) <= MOST_INLINED


def _steps(block: tuple[Statement, ...]) -> float:
    """How many statements run; infinite where a loop has no constant bounds."""
    total = 0.0
    for statement in block:
        inner = math.fsum(map(_steps, nested(statement)))
        if isinstance(statement, For):
            lo, hi = statement.lo, statement.hi
            inner *= (hi.value - lo.value) if isinstance(lo, Constant) and isinstance(hi, Constant) else math.inf
        total += 1.0 + inner
    return total


def _definition(
    head: str, parameters: list[tuple[str, str]], target: Target, lines: list[str], *, inline: bool = False
) -> str:
    """A function: its parameters, one a line with what they are, its attributes, its body.

    Internal ones are never part of their callers, but for those to ``inline``.
    """
    listed = [
        f"    {text}{',' if position < len(parameters) else ''}{f'  ; {remark}' if remark else ''}"
        for position, (text, remark) in enumerate(parameters, 1)
    ]
    noinline = "noinline " if head.startswith("internal") and not inline else ""
    attributes = f"{'alwaysinline ' if inline else noinline}{attributes_of(target, lines)}"
    return "\n".join([f"define {head}(", *listed, f") {attributes} {{", *lines, "}"])


def _kernel_emitter(module: Module, program: LoopProgram, functions: Functions, frame: Frame | None) -> FunctionEmitter:
    pointers = {b.name: f"%{b.name}" for b in program.buffers if b.kind in ("input", "output")}
    pointers |= {b.name: symbol_name(constant_symbol(program, b)) for b in program.buffers if b.kind == "constant"}
    read_only = {b.name for b in program.buffers if not b.is_writable}
    return FunctionEmitter(module, program.buffer, pointers, {}, read_only, functions, frame)


def _emit_function(
    module: Module, program: LoopProgram, function: Function, functions: Functions, target: Target
) -> None:
    constants = {b.name: b for b in program.buffers if b.kind == "constant"}
    buffers = constants | {b.name: b for b in function.parameters}
    pointers = {b.name: f"%{b.name}" for b in function.parameters}
    pointers |= {name: symbol_name(constant_symbol(program, b)) for name, b in constants.items()}
    read_only = {b.name for b in buffers.values() if not b.is_writable}
    scalars = {s: f"%{s}" for s in function.scalars}
    emitter = FunctionEmitter(module, buffers, pointers, scalars, read_only, functions)
    parameters = [_pointer(b) for b in function.parameters] + [(f"i64 %{s}", "") for s in function.scalars]
    parameters += size_parameters(program.symbols)
    head = f"internal i64 {functions.symbols[function.name]}"
    module.functions.append(_definition(head, parameters, target, emitter.body(function.body)))


def _pointer(buffer: Buffer, *, maybe_null: bool = False) -> tuple[str, str]:
    """A pointer parameter with what is known of it, and a remark for the reader."""
    length = buffer.bytes
    access = "" if buffer.is_writable else " readonly"
    or_null = "_or_null" if maybe_null and buffer.kind == "output" else ""
    known = f" dereferenceable{or_null}({length})" if isinstance(length, int) and length else ""
    remark = f"{buffer.aval}  {buffer.comment}".rstrip()
    return f"ptr noalias{access}{known} align {buffer.dtype.itemsize} %{buffer.name}", remark


def _constant(program: LoopProgram, buffer: Buffer, embedded: bool) -> str:
    symbol = symbol_name(constant_symbol(program, buffer))
    element = memory_type(buffer.dtype)
    kind = f"[{len(buffer.data) // buffer.dtype.itemsize} x {element}]"
    if len(buffer.data) > EMBEDDED and embedded:
        data = "".join(f"\\{byte:02X}" for byte in buffer.data)
        return f'{symbol} = private unnamed_addr constant [{len(buffer.data)} x i8] c"{data}", align {ALIGNMENT}'
    if len(buffer.data) > EMBEDDED:
        return f"{symbol} = external constant {kind}, align {buffer.dtype.itemsize}"
    values = ", ".join(
        f"{element} {int(v) if buffer.dtype.kind == 'b' else number(v, buffer.dtype)}"
        for v in buffer.array.reshape(-1).tolist()
    )
    return f"{symbol} = private unnamed_addr constant {kind} [{values}], align {ALIGNMENT}"
