"""A function of a loop program as IR: statements to basic blocks, expressions to instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradc.backends.llvm.parts import Frame
from gradc.backends.llvm.primitives import emit_primitive
from gradc.backends.llvm.status import CODE_BITS, TOLD, status_of
from gradc.backends.llvm.types import constant_operand, memory_type, scalar_type
from gradc.backends.llvm.writer import Module, Writer
from gradc.errors import CompileError
from gradc.ir.aval import Dim
from gradc.loops.program import (
    SEQUENTIAL,
    Accumulate,
    Apply,
    Buffer,
    Call,
    Carry,
    Check,
    Comment,
    Constant,
    Expression,
    For,
    If,
    Let,
    Load,
    Local,
    Size,
    Statement,
    Store,
    Variable,
    View,
    contiguous_strides,
    walk,
)


def fixed(dim: Dim) -> int:
    """A size as a number. Raises CompileError where it is symbolic."""
    if not isinstance(dim, int):
        raise CompileError(
            f"the llvm backend needs fixed sizes, and {dim} is symbolic; "
            'compile with numbers in the shapes, or with backend="numpy"'
        )
    return dim


class FunctionEmitter:
    """Emits the body of one function. ``pointers`` maps buffer names to the pointers that hold them."""

    def __init__(
        self,
        module: Module,
        buffers: Mapping[str, Buffer],
        pointers: dict[str, str],
        scalars: dict[str, str],
        functions: Mapping[str, str],
        read_only: set[str],
        frame: Frame | None = None,
    ) -> None:
        self.writer = Writer(module)
        self._buffers = dict(buffers)
        self._pointers = pointers
        self._scalars = scalars
        self._functions = functions
        self._stable = read_only
        self._frame = frame if frame is not None else Frame()
        self._memo: list[dict[Expression, str]] = [{}]
        self._groups: list[str] = []
        self._own: list[set[str]] = []
        self._checks = False
        for name in (*pointers, *scalars):
            self.writer.name(name)
        self._buffers |= {name: local for name, (_, local) in self._frame.locals.items()}
        self._buffers |= {name: buffers[first] for name, (_, first) in self._frame.carried.items() if first in buffers}

    def body(self, block: tuple[Statement, ...]) -> list[str]:
        """The lines of the function's body, from the entry block to the return of the status."""
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
            case Call():
                self._call(statement)
            case Check():
                self._check(statement)
            case Comment(text=text):
                self.writer.comment(text)

    def _let(self, name: str, value: Expression) -> None:
        (result,) = self._expressions(value)
        named = self.writer.rename(result, name)
        self._scalars[name] = named
        if named != result and value in self._memo[-1]:
            self._memo[-1][value] = named
        if name in self._frame.scalars:
            place, dtype = self._frame.scalars[name]
            self._keep(place, scalar_type(dtype), named)

    def _accumulate(self, statement: Accumulate) -> None:
        if statement.order is not SEQUENTIAL and statement.order != SEQUENTIAL:
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
        if _is_number(told):
            status = str(status_of(check.code, int(told)))
        else:
            for bound, which in ((TOLD, "smin"), (-TOLD, "smax")):
                writer.module.declare(f"declare i64 @llvm.{which}.i64(i64, i64)")
                told = writer.value(f"call i64 @llvm.{which}.i64(i64 {told}, i64 {bound})")
            shifted = writer.value(f"shl i64 {told}, {CODE_BITS}")
            status = writer.value(f"or i64 {shifted}, {check.code}")
        self._raise_status(writer.value(f"select i1 {holds}, i64 0, i64 {status}"))

    def _local(self, local: Buffer) -> None:
        if local.name in self._frame.locals:
            return
        count = fixed(local.bytes) // local.dtype.itemsize
        name = self.writer.name(local.name)
        element = memory_type(local.dtype)
        self.writer.entry.append(f"  %{name} = alloca [{max(count, 1)} x {element}], align 64")
        self._buffers[local.name] = local
        self._pointers[local.name] = f"%{name}"
        for own in self._own:
            own.add(local.name)

    def _call(self, call: Call) -> None:
        if not isinstance(call.callee, str):
            raise CompileError("a contraction must be expanded before it is emitted")
        arguments = [f"ptr {self._view(view)}" for view in call.views]
        arguments += [f"i64 {s}" for s in self._expressions(*call.scalars)]
        symbol = self._functions[call.callee]
        self._raise_status(self.writer.value(f"call i64 {symbol}({', '.join(arguments)})"))

    def call_part(self, symbol: str, arguments: str) -> None:
        """Call a part of the kernel and keep its status."""
        self._raise_status(self.writer.value(f"call i64 {symbol}({arguments})"))

    def _raise_status(self, status: str) -> None:
        """The function's status becomes the larger of what it is and ``status``."""
        self._checks = True
        self.writer.module.declare("declare i64 @llvm.umax.i64(i64, i64)")
        before = self.writer.value("load i64, ptr %.status")
        after = self.writer.value(f"call i64 @llvm.umax.i64(i64 {before}, i64 {status})")
        self.writer.line(f"store i64 {after}, ptr %.status")

    def _loop(self, loop: For) -> None:
        writer = self.writer
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
        phis = [f"  %{index} = phi i64 [ {lo}, %{before} ], [ %{index}.next, %{last} ]"]
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
        independent = loop.mode != "seq"
        if independent:
            self._groups.append(writer.module.metadata("distinct !{}"))
            self._own.append(set())
        self._scope(loop.body)
        writer.line(f"%{index}.next = add nsw i64 %{index}, {loop.step}")
        again = writer.value(f"icmp slt i64 %{index}.next, {hi}")
        last = writer.block
        writer.line(f"br i1 {again}, label %{body}, label %{after}{self._loop_metadata(independent)}")
        writer.label(after)
        if independent:
            self._groups.pop()
            self._own.pop()
        return last

    def _bind_final(self, carry: Carry, pointer: str) -> None:
        self._bind(carry.now, carry.first, pointer)
        if carry.now in self._frame.carried:
            self._keep(self._frame.carried[carry.now][0], "ptr", pointer)

    def _bind(self, name: str, like: str, pointer: str) -> None:
        """Let ``name`` stand for the buffer ``like``, at another place."""
        self._buffers[name] = self._buffers[like]
        self._pointers[name] = pointer

    def _loop_metadata(self, independent: bool) -> str:
        if not independent:
            return ""
        module = self.writer.module
        parallel = module.metadata(f'!{{!"llvm.loop.parallel_accesses", {self._groups[-1]}}}')
        return f", !llvm.loop {module.metadata('distinct !{{self}, ' + parallel + '}')}"

    # Expressions

    def _expressions(self, *roots: Expression) -> list[str]:
        """The operands that hold the values of expressions, each distinct part computed once."""
        known: dict[Expression, str] = {}
        for part in walk(*roots):
            found = self._found(part)
            known[part] = found if found is not None else self._compute(part, known)
            if found is None and self._is_stable(part):
                self._memo[-1][part] = known[part]
        return [known[root] for root in roots]

    def _found(self, part: Expression) -> str | None:
        if isinstance(part, Constant):
            return constant_operand(part)
        if isinstance(part, Variable):
            return self._scalar(part.name)
        for scope in reversed(self._memo):
            if part in scope:
                return scope[part]
        return None

    def _is_stable(self, part: Expression) -> bool:
        """Whether the value cannot change while its variables stand: it reads nothing that is written."""
        if isinstance(part, Load) and part.buffer not in self._stable:
            return False
        return all(self._found(operand) is not None for operand in part.operands)

    def _compute(self, part: Expression, known: dict[Expression, str]) -> str:
        operands = tuple([known[o] for o in part.operands])
        match part:
            case Load(buffer=name):
                return self._load(name, self._address(name, operands))
            case Size(dim=dim):
                return str(fixed(dim))
            case Apply(primitive=primitive, arguments=arguments):
                return emit_primitive(self.writer, primitive, arguments[-1].dtype, part.dtype, operands)
        raise CompileError(f"{type(part).__name__} is not an expression that the llvm backend knows")

    # Memory

    def _scalar(self, name: str) -> str:
        """The value of a variable; one of an earlier part is read from the frame."""
        if name not in self._scalars:
            place, dtype = self._frame.scalars[name]
            local = f"%{self.writer.name(name)}"
            entry = self.writer.entry
            entry.append(f"  {local}.place = getelementptr inbounds i8, ptr %.frame, i64 {place}")
            entry.append(f"  {local} = load {scalar_type(dtype)}, ptr {local}.place")
            self._scalars[name] = local
        return self._scalars[name]

    def _pointer(self, name: str) -> str:
        """The pointer of a buffer; arena buffers and those of earlier parts are found when first used."""
        if name not in self._pointers:
            local = f"%{self.writer.name(name)}"
            entry, frame = self.writer.entry, self._frame
            if name in frame.carried:
                entry.append(f"  {local}.place = getelementptr inbounds i8, ptr %.frame, i64 {frame.carried[name][0]}")
                entry.append(f"  {local} = load ptr, ptr {local}.place")
            else:
                base, place = (
                    ("%.frame", frame.locals[name][0])
                    if name in frame.locals
                    else ("%.arena", fixed(self._buffers[name].offset))
                )
                entry.append(f"  {local} = getelementptr inbounds i8, ptr {base}, i64 {place}")
            self._pointers[name] = local
        return self._pointers[name]

    def _keep(self, place: int, kind: str, value: str) -> None:
        """Write a name that later parts use to the frame."""
        pointer = self.writer.value(f"getelementptr inbounds i8, ptr %.frame, i64 {place}")
        self.writer.line(f"store {kind} {value}, ptr {pointer}")

    def _store(self, name: str, index: list[str], value: str) -> None:
        self._write(name, self._address(name, index), value)

    def _load(self, name: str, place: str) -> str:
        dtype = self._buffers[name].dtype
        loaded = self.writer.value(f"load {memory_type(dtype)}, ptr {place}{self._access(name)}")
        return self.writer.value(f"icmp ne i8 {loaded}, 0") if dtype.kind == "b" else loaded

    def _write(self, name: str, place: str, value: str) -> None:
        dtype = self._buffers[name].dtype
        if dtype.kind == "b":
            value = self.writer.value(f"zext i1 {value} to i8")
        self.writer.line(f"store {memory_type(dtype)} {value}, ptr {place}{self._access(name)}")

    def _access(self, name: str) -> str:
        """What is known of an access: that it is independent of other iterations of the loops around it."""
        groups = [group for group, own in zip(self._groups, self._own, strict=True) if name not in own]
        if not groups:
            return ""
        listed = groups[0] if len(groups) == 1 else self.writer.module.metadata(f"!{{{', '.join(groups)}}}")
        return f", !llvm.access.group {listed}"

    def _address(self, name: str, index: Sequence[str]) -> str:
        """The pointer to an element."""
        buffer = self._buffers[name]
        strides = contiguous_strides(buffer.shape) if len(index) == len(buffer.shape) else (1,)
        return self._element(name, list(zip(index, strides, strict=True)), "0")

    def _view(self, view: View) -> str:
        """The pointer to a view's first element."""
        (offset,) = self._expressions(view.offset)
        return self._element(view.buffer, [], offset)

    def _element(self, name: str, terms: list[tuple[str, Dim]], offset: str) -> str:
        writer = self.writer
        total, fixed_part = ("", int(offset)) if _is_number(offset) else (offset, 0)
        for index, stride in terms:
            step = fixed(stride)
            if _is_number(index):
                fixed_part += int(index) * step
                continue
            scaled = index if step == 1 else writer.value(f"mul nsw i64 {index}, {step}")
            total = writer.value(f"add nsw i64 {total}, {scaled}") if total else scaled
        if total and fixed_part:
            total = writer.value(f"add nsw i64 {total}, {fixed_part}")
        place = total or str(fixed_part)
        base, element = self._pointer(name), memory_type(self._buffers[name].dtype)
        return base if place == "0" else writer.value(f"getelementptr inbounds {element}, ptr {base}, i64 {place}")


def _is_number(operand: str) -> bool:
    return not operand.startswith("%")
