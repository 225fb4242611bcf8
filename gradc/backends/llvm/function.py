"""A function of a loop program as IR: statements to basic blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from gradc.backends.llvm.batches import can_batch, few_steps
from gradc.backends.llvm.dims import size_arguments
from gradc.backends.llvm.matmul.functions import MatmulFunctions
from gradc.backends.llvm.parts import Frame
from gradc.backends.llvm.primitives import emit_primitive
from gradc.backends.llvm.tasks import Tasks
from gradc.backends.llvm.types import memory_type, symbol_name
from gradc.backends.llvm.vectors import VectorEmitter
from gradc.backends.llvm.writer import Module
from gradc.errors import CompileError
from gradc.loops.language.epilogue import linear_terms
from gradc.loops.language.program import (
    Accumulate,
    Buffer,
    Call,
    Carry,
    Check,
    Choose,
    Comment,
    Constant,
    For,
    If,
    Lanes,
    Let,
    Local,
    Statement,
    Store,
    Variable,
    View,
)
from gradc.loops.language.traversal import statements_of


@dataclass(frozen=True, slots=True)
class Functions:
    """What a function may call: the program's internal functions by name, and kernels of contractions.

    ``name`` is the program's, ``sizes`` are the symbolic sizes that every function has as parameters.
    """

    name: str
    symbols: Mapping[str, str]
    matmuls: MatmulFunctions
    sizes: tuple[str, ...] = ()


class FunctionEmitter(VectorEmitter):
    """Emits the body of one function, with calls of ``functions``."""

    def __init__(
        self,
        module: Module,
        buffers: Mapping[str, Buffer],
        pointers: dict[str, str],
        scalars: dict[str, str],
        read_only: set[str],
        functions: Functions,
        frame: Frame | None = None,
    ) -> None:
        super().__init__(module, buffers, pointers, scalars, read_only, frame)
        self._functions = functions
        self._loops: list[tuple[str, int]] = []
        self._table: dict[str, int] = {}

    def body(self, block: tuple[Statement, ...], *, index: str = "") -> list[str]:
        """The lines of the function's body, from the entry block to the return of the status.

        ``index`` is the loop variable that the function has as a parameter.
        """
        if index:
            self._scalars[index] = f"%{self.writer.name(index)}"
        self._list_pointers(block)
        self._block(block)
        writer = self.writer
        if self._checks:
            status = writer.value("load i64, ptr %.status")
            writer.line(f"ret i64 {status}")
            writer.entry += ["  %.status = alloca i64", "  store i64 0, ptr %.status"]
        else:
            writer.line("ret i64 0")
        return [".entry:", *writer.entry, *writer.lines]

    # Statements

    def _block(self, block: tuple[Statement, ...]) -> None:
        for statement in block:
            self._statement(statement)

    def _scope(self, block: tuple[Statement, ...]) -> None:
        """A block of its own: what it computes is not known after it."""
        self._memo.append({})
        self._block(block)
        self._memo.pop()

    def _statement(self, statement: Statement) -> None:
        match statement:
            case For():
                self._loop(statement)
            case Let(name=name, value=value):
                self._let(name, value)
            case Store(buffer=buffer, index=index, value=value):
                *indices, stored = self._expressions(*index, value)
                self._store(buffer, indices, stored)
            case Accumulate():
                self._accumulate(statement)
            case If():
                self._if(statement)
            case Local(buffer=local):
                self._local(local)
            case Choose():
                self._choose(statement)
            case Call():
                self._call(statement)
            case Check():
                self._check(statement)
            case Comment(text=text):
                self.writer.comment(text)

    def _accumulate(self, statement: Accumulate) -> None:
        if isinstance(statement.order, Lanes):
            raise CompileError("an accumulation in lanes must be expanded before it is emitted")
        *indices, term = self._expressions(*statement.index, statement.value)
        dtype = statement.value.dtype
        place = self._address(statement.buffer, indices)
        before = self._load(statement.buffer, place)
        after = emit_primitive(self.writer, statement.op, dtype, dtype, (before, term))
        self._write(statement.buffer, place, after)

    def _if(self, statement: If) -> None:
        writer = self.writer
        (condition,) = self._expressions(statement.condition)
        then, otherwise, after = (writer.name(label) for label in ("then", "else", "after"))
        has_else = bool(statement.otherwise)
        writer.line(f"br i1 {condition}, label %{then}, label %{otherwise if has_else else after}")
        for label, block in ((then, statement.then), (otherwise, statement.otherwise)):
            if block or label == then:
                writer.label(label)
                self._scope(block)
                writer.line(f"br label %{after}")
        writer.label(after)

    def _check(self, check: Check) -> None:
        writer = self.writer
        holds, told = self._expressions(check.condition, check.value)
        status = self._status(check.code, told)
        if check.stops:
            self._stop_unless(holds, status)
        else:
            self._raise_status(writer.value(f"select i1 {holds}, i64 0, i64 {status}"))

    def _stop_unless(self, condition: str, status: str) -> None:
        """Return a status unless a condition holds."""
        writer = self.writer
        go_on, stop = (writer.name(label) for label in ("holds", "stop"))
        writer.line(f"br i1 {condition}, label %{go_on}, label %{stop}")
        writer.label(stop)
        writer.line(f"ret i64 {status}")
        writer.label(go_on)

    def _local(self, local: Buffer) -> None:
        if self._frame.locals.get(local.name, (0, None))[1] is local:
            self._buffers[local.name] = local
            self._pointers.pop(local.name, None)
            return
        count = int(local.bytes) // local.dtype.itemsize
        name = self.writer.name(local.name)
        element = memory_type(local.dtype)
        self.writer.entry.append(f"  %{name} = alloca [{max(count, 1)} x {element}], align 64")
        self._buffers[local.name] = local
        self._pointers[local.name] = f"%{name}"

    def _choose(self, choice: Choose) -> None:
        """Let a name stand for one of several buffers, by their places in the arena or in the table of pointers."""
        writer = self.writer
        (index,) = self._expressions(choice.index)
        if _in_arena(choice, self._buffers):
            place = self._listed(index, [int(self._buffers[name].offset) for name in choice.buffers])
            pointer = writer.value(f"getelementptr inbounds i8, ptr %.arena, i64 {place}")
        else:
            place = self._listed(index, [self._table[name] for name in choice.buffers])
            pointer = writer.value(f"getelementptr inbounds ptr, ptr %.pointers, i64 {place}")
            pointer = writer.value(f"load ptr, ptr {pointer}")
        self._bind(choice.name, choice.buffers[0], pointer)

    def _listed(self, index: str, numbers: list[int]) -> str:
        """One of several numbers: in a table of constants, unless they lie at equal distances."""
        writer = self.writer
        distances = {later - before for before, later in pairwise(numbers)}
        if len(distances) <= 1:
            moved = writer.value(f"mul nsw i64 {index}, {max(distances, default=0)}")
            return writer.value(f"add nsw i64 {moved}, {numbers[0]}")
        table = symbol_name(f"{self._functions.name}.places.{len(writer.module.globals)}")
        listed = ", ".join(f"i32 {number}" for number in numbers)
        writer.module.globals.append(f"{table} = private unnamed_addr constant [{len(numbers)} x i32] [{listed}]")
        entry = writer.value(f"getelementptr inbounds i32, ptr {table}, i64 {index}")
        narrow = writer.value(f"load i32, ptr {entry}")
        return writer.value(f"sext i32 {narrow} to i64")

    def _list_pointers(self, block: tuple[Statement, ...]) -> None:
        """Make the table of pointers of which choices in a block take theirs, in the order of the kernel's buffers."""
        choices = [s for s in statements_of(block) if isinstance(s, Choose) and not _in_arena(s, self._buffers)]
        named = {name for choice in choices for name in choice.buffers}
        self._table = {name: place for place, name in enumerate(n for n in self._buffers if n in named)}
        if not named:
            return
        pointers = [self._pointer(name) for name in self._table]
        self.writer.entry.append(f"  %.pointers = alloca [{len(pointers)} x ptr]")
        for place, pointer in enumerate(pointers):
            entry = self.writer.entry_value(f"getelementptr inbounds ptr, ptr %.pointers, i64 {place}")
            self.writer.entry.append(f"  store ptr {pointer}, ptr {entry}")

    def _call(self, call: Call) -> None:
        pointers = [self._view(view) for view in call.views]
        if not isinstance(call.callee, str):
            ahead = self._distance(call.views[0]), self._distance(call.views[1])
            kernel = self._functions.matmuls.kernel(call, self._buffers, ahead)
            epilogue = kernel.epilogue
            others = [self._view(view) for view in (*epilogue.loads, *epilogue.stores)] if epilogue else []
            scalars = self._expressions(*epilogue.scalars) if epilogue else []
            self.writer.line(self._functions.matmuls.call(kernel, pointers, self._dims.operand, others, scalars))
            return
        arguments = [f"ptr {pointer}" for pointer in pointers]
        arguments += [f"i64 {s}" for s in self._expressions(*call.scalars)]
        arguments += size_arguments(self._functions.sizes)
        symbol = self._functions.symbols[call.callee]
        self._raise_status(self.writer.value(f"call i64 {symbol}({', '.join(arguments)})"))

    def _distance(self, view: View) -> int:
        """How many elements after a view the same call has its view in the next iteration of the loop around it."""
        if not self._loops:
            return 0
        var, step = self._loops[-1]
        return step * sum(
            factor for term, factor in linear_terms(view.offset) if isinstance(term, Variable) and term.name == var
        )

    def call_part(self, symbol: str, arguments: str, *, stops: bool) -> None:
        """Call a part of the kernel and keep its status; with ``stops`` return it where it is not 0."""
        status = self.writer.value(f"call i64 {symbol}({arguments})")
        if stops:
            self._stop_unless(self.writer.value(f"icmp eq i64 {status}, 0"), status)
        self._raise_status(status)

    def call_tasks(self, tasks: Tasks, position: int, loop: For) -> None:
        """Have the pool do all iterations of a parallel loop, and keep their status."""
        (count,) = self._expressions(loop.hi)
        self._raise_status(tasks.call(self.writer, position, count))

    def _loop(self, loop: For) -> None:
        writer = self.writer
        steps = few_steps(loop)
        if steps is not None:
            for step in steps:
                self._scalars[loop.var] = str(step)
                self._scope(loop.body)
            return
        if can_batch(loop) and self.writer.module.target.vectors:
            rest = self._batches(loop)
            if rest is None:
                return
            loop = rest
        lo, hi = self._expressions(loop.lo, loop.hi)
        known = isinstance(loop.lo, Constant) and isinstance(loop.hi, Constant)
        if known and int(lo) >= int(hi):
            for carry in loop.carry:
                self._bind_final(carry, self._pointer(carry.first))
            return
        starts = [(self._pointer(carry.first), self._pointer(carry.second)) for carry in loop.carry]
        index, body, after = (writer.name(f"{loop.var}{part}") for part in ("", ".body", ".end"))
        before = writer.block
        if known:
            writer.line(f"br label %{body}")
        else:
            runs = writer.value(f"icmp slt i64 {lo}, {hi}")
            writer.line(f"br i1 {runs}, label %{body}, label %{after}")
        writer.label(body)
        head = len(writer.lines)
        for carry in loop.carry:
            self._bind(carry.now, carry.first, f"%{index}.{carry.now}")
            self._bind(carry.next, carry.second, f"%{index}.{carry.next}")
        self._scalars[loop.var] = f"%{index}"
        last = self._iterate(loop, index, body, after, hi)
        phis = [f"  %{index} = phi i64 [ {lo}, %{before} ], [ %{index}.step, %{last} ]"]
        for carry, (first, second) in zip(loop.carry, starts, strict=True):
            now, following = f"%{index}.{carry.now}", f"%{index}.{carry.next}"
            phis.append(f"  {now} = phi ptr [ {first}, %{before} ], [ {following}, %{last} ]")
            phis.append(f"  {following} = phi ptr [ {second}, %{before} ], [ {now}, %{last} ]")
        writer.lines[head:head] = phis
        finals = [f"%{index}.{carry.next}" for carry in loop.carry]
        if not known:
            finals = [
                writer.value(f"phi ptr [ {first}, %{before} ], [ {final}, %{last} ]")
                for final, (first, _) in zip(finals, starts, strict=True)
            ]
        for carry, final in zip(loop.carry, finals, strict=True):
            self._bind_final(carry, final)

    def _iterate(self, loop: For, index: str, body: str, after: str, hi: str) -> str:
        """The body of a loop, and the branch that runs it again; the block that the branch is in."""
        writer = self.writer
        self._loops.append((loop.var, loop.step))
        self._scope(loop.body)
        self._loops.pop()
        writer.line(f"%{index}.step = add nsw i64 %{index}, {loop.step}")
        again = writer.value(f"icmp slt i64 %{index}.step, {hi}")
        last = writer.block
        writer.line(f"br i1 {again}, label %{body}, label %{after}")
        writer.label(after)
        return last

    def _bind_final(self, carry: Carry, pointer: str) -> None:
        self._bind(carry.now, carry.first, pointer)
        if carry.now in self._frame.carried:
            self._keep(self._frame.carried[carry.now][0], "ptr", pointer)

    def _bind(self, name: str, like: str, pointer: str) -> None:
        """Let ``name`` stand for the buffer ``like``, at another place."""
        self._buffers[name] = self._buffers[like]
        self._pointers[name] = pointer


def _in_arena(choice: Choose, buffers: Mapping[str, Buffer]) -> bool:
    """Whether all that a name may stand for has a place in the arena that fits an i32."""
    found = [buffers[name] for name in choice.buffers]
    return all(x.kind == "arena" and isinstance(x.offset, int) and x.offset < 2**31 for x in found)
