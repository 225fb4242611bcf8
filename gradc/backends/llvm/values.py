"""Scalars, pointers and memory of one function: expressions to instructions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradc.backends.llvm.dims import Dims
from gradc.backends.llvm.parts import Frame
from gradc.backends.llvm.primitives import emit_primitive
from gradc.backends.llvm.status import CODE_BITS, TOLD, status_of
from gradc.backends.llvm.types import constant_operand, memory_type, scalar_type
from gradc.backends.llvm.writer import Module, Writer
from gradc.errors import CompileError
from gradc.ir.aval import Dim
from gradc.loops.language.program import (
    I64,
    Apply,
    Buffer,
    Constant,
    Expression,
    Load,
    Size,
    Variable,
    View,
    b,
    contiguous_strides,
    walk,
)


class ValueEmitter:
    """Emits expressions and accesses. ``pointers`` maps buffer names to the pointers that hold them.

    An expression that reads nothing written (``read_only`` names what is not) is computed once in a block and the
    blocks in it; any other once in a statement.
    """

    def __init__(
        self,
        module: Module,
        buffers: Mapping[str, Buffer],
        pointers: dict[str, str],
        scalars: dict[str, str],
        read_only: set[str],
        frame: Frame | None = None,
    ) -> None:
        self.writer = Writer(module)
        self._dims = Dims(self.writer.entry_value)
        self._buffers = dict(buffers)
        self._pointers = pointers
        self._scalars = scalars
        self._read_only = read_only
        self._frame = frame if frame is not None else Frame()
        self._memo: list[dict[Expression, str]] = [{}]
        self._checks = False
        for name in (*pointers, *scalars):
            self.writer.name(name)
        self._buffers |= {name: local for name, (_, local) in self._frame.locals.items()}
        self._buffers |= {name: buffers[first] for name, (_, first) in self._frame.carried.items() if first in buffers}

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
        if isinstance(part, Load) and part.buffer not in self._read_only:
            return False
        return all(self._found(operand) is not None for operand in part.operands)

    def _compute(self, part: Expression, known: dict[Expression, str]) -> str:
        operands = tuple([known[o] for o in part.operands])
        match part:
            case Load(buffer=name):
                return self._load(name, self._address(name, operands))
            case Size(dim=dim):
                return self._dims.operand(dim)
            case Apply(primitive=primitive, arguments=arguments):
                folded = _folded(primitive, part.dtype, operands)
                if folded is not None:
                    return folded
                return emit_primitive(self.writer, primitive, arguments[-1].dtype, part.dtype, operands)
        raise CompileError(f"{type(part).__name__} is not an expression that the llvm backend knows")

    def _let(self, name: str, value: Expression) -> None:
        (result,) = self._expressions(value)
        named = self.writer.rename(result, name)
        self._scalars[name] = named
        if named != result and value in self._memo[-1]:
            self._memo[-1][value] = named
        if name in self._frame.scalars:
            place, dtype = self._frame.scalars[name]
            self._keep(place, scalar_type(dtype), named)

    # Checks

    def _status(self, code: int, told: str) -> str:
        """The status that tells a number, or one number in each lane."""
        writer, i64 = self.writer, np.dtype(np.int64)
        if is_number(told):
            return str(status_of(code, int(told)))
        for bound, which in ((TOLD, "minimum"), (-TOLD, "maximum")):
            told = emit_primitive(writer, which, i64, i64, (told, str(bound)))
        shifted = writer.value(f"shl {writer.type(i64)} {told}, {writer.number(str(CODE_BITS), i64)}")
        return writer.value(f"or {writer.type(i64)} {shifted}, {writer.number(str(code), i64)}")

    def _raise_status(self, status: str) -> None:
        """The function's status becomes the larger of what it is and ``status``."""
        self._checks = True
        self.writer.module.declare("declare i64 @llvm.umax.i64(i64, i64)")
        before = self.writer.value("load i64, ptr %.status")
        after = self.writer.value(f"call i64 @llvm.umax.i64(i64 {before}, i64 {status})")
        self.writer.line(f"store i64 {after}, ptr %.status")

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
                    else ("%.arena", self._dims.operand(self._buffers[name].offset))
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
        loaded = self.writer.value(f"load {memory_type(dtype)}, ptr {place}")
        return self.writer.value(f"icmp ne i8 {loaded}, 0") if dtype.kind == "b" else loaded

    def _write(self, name: str, place: str, value: str) -> None:
        dtype = self._buffers[name].dtype
        if dtype.kind == "b":
            value = self.writer.value(f"zext i1 {value} to i8")
        self.writer.line(f"store {memory_type(dtype)} {value}, ptr {place}")

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
        total, fixed_part = ("", int(offset)) if is_number(offset) else (offset, 0)
        for index, stride in terms:
            if is_number(index) and isinstance(stride, int):
                fixed_part += int(index) * stride
                continue
            if index == "0":
                continue
            step = self._dims.operand(stride)
            scaled = index if step == "1" else writer.value(f"mul nsw i64 {index}, {step}")
            total = writer.value(f"add nsw i64 {total}, {scaled}") if total else scaled
        if total and fixed_part:
            total = writer.value(f"add nsw i64 {total}, {fixed_part}")
        place = total or str(fixed_part)
        base, element = self._pointer(name), memory_type(self._buffers[name].dtype)
        return base if place == "0" else writer.value(f"getelementptr inbounds {element}, ptr {base}, i64 {place}")


def _folded(primitive: str, dtype: np.dtype, operands: Sequence[str]) -> str | None:
    """A sum or product of numbers, which places must be for LLVM to see that a small buffer fits in registers."""
    if dtype != I64 or primitive not in ("add", "sub", "mul"):
        return None
    if all(map(is_number, operands)):
        result = getattr(b, primitive)(*[int(operand) for operand in operands])
        return constant_operand(result) if isinstance(result, Constant) else None
    return operands[0] if primitive != "mul" and operands[1] == "0" else None


def is_number(operand: str) -> bool:
    """Whether an operand is a number, not a name."""
    return not operand.startswith("%")
