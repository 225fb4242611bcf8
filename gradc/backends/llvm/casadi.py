"""CasADi's calling convention around a function of C, as IR: what ``casadi.external`` loads.

    int NAME(const double **arg, double **res, long long *iw, double *w, int mem)

Matrices are dense and stored by columns; a vector is one column. A NULL input is zero, a NULL result is not wanted.
``w`` holds, from its first multiple of 64 on, zeros for inputs that are NULL, copies of what is stored row by row here,
and the workspace. See CasADi's documentation, "Syntax when calling external functions directly".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Final

from gradc.backends.abi import Interface
from gradc.backends.llvm.library import struct_types
from gradc.loops.language.program import ALIGNMENT

_DIMS: Final = 4

_COPY: Final = """
; element (i, j, k, l) of a row-major array from or to a place with other strides
define internal void @gradc.casadi.copy(
    ptr %rows, ptr %other, i64 %m, i64 %n, i64 %p, i64 %q, i64 %s, i64 %t, i64 %u, i64 %v, i1 %out
) noinline nounwind {
entry:
  %count.pq = mul i64 %p, %q
  %count.npq = mul i64 %n, %count.pq
  %count = mul i64 %m, %count.npq
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %j = phi i64 [ 0, %entry ], [ %j.next, %next ]
  %k = phi i64 [ 0, %entry ], [ %k.next, %next ]
  %l = phi i64 [ 0, %entry ], [ %l.next, %next ]
  %place = phi i64 [ 0, %entry ], [ %place.next, %next ]
  %more = icmp ult i64 %place, %count
  br i1 %more, label %body, label %end
body:
  %is = mul i64 %i, %s
  %jt = mul i64 %j, %t
  %ku = mul i64 %k, %u
  %lv = mul i64 %l, %v
  %ij = add i64 %is, %jt
  %kl = add i64 %ku, %lv
  %far = add i64 %ij, %kl
  %near.element = getelementptr inbounds double, ptr %rows, i64 %place
  %far.element = getelementptr inbounds double, ptr %other, i64 %far
  %source = select i1 %out, ptr %near.element, ptr %far.element
  %target = select i1 %out, ptr %far.element, ptr %near.element
  %value = load double, ptr %source
  store double %value, ptr %target
  br label %next
next:
  %place.next = add i64 %place, 1
  %l.more = add i64 %l, 1
  %l.over = icmp eq i64 %l.more, %q
  %l.next = select i1 %l.over, i64 0, i64 %l.more
  %k.step = zext i1 %l.over to i64
  %k.more = add i64 %k, %k.step
  %k.over = icmp eq i64 %k.more, %p
  %k.next = select i1 %k.over, i64 0, i64 %k.more
  %j.step = zext i1 %k.over to i64
  %j.more = add i64 %j, %j.step
  %j.over = icmp eq i64 %j.more, %n
  %j.next = select i1 %j.over, i64 0, i64 %j.more
  %i.step = zext i1 %j.over to i64
  %i.next = add i64 %i, %i.step
  br label %head
end:
  ret void
}

define internal void @gradc.casadi.clear(ptr %data, i64 %count) noinline nounwind {
entry:
  br label %head
head:
  %i = phi i64 [ 0, %entry ], [ %next, %body ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %body, label %end
body:
  %element = getelementptr inbounds double, ptr %data, i64 %i
  store double 0.0, ptr %element
  %next = add i64 %i, 1
  br label %head
end:
  ret void
}
"""


@dataclass(frozen=True, slots=True)
class Matrix:
    """An argument as CasADi sees it: ``rows`` by ``columns``, and where element (i, j, ...) of the array stands.

    One that ``is_empty`` is known to be 0 and has no elements.
    """

    name: str
    rows: int
    columns: int
    dims: tuple[int, ...]
    strides: tuple[int, ...]
    is_empty: bool = False

    @property
    def count(self) -> int:
        return self.rows * self.columns

    @property
    def loops(self) -> list[tuple[int, int]]:
        """Length and stride of each axis that has more than one element."""
        return [(d, s) for d, s in zip(self.dims, self.strides, strict=True) if d != 1]

    @property
    def can_be_copied(self) -> bool:
        """Whether it has few enough axes."""
        return len(self.loops) <= _DIMS

    @property
    def is_in_order(self) -> bool:
        """Whether the array row by row is the matrix column by column."""
        row_major = list(accumulate((1, *self.dims[:0:-1]), lambda x, y: x * y))[::-1] if self.dims else []
        return all(d == 1 or s == r for d, s, r in zip(self.dims, self.strides, row_major, strict=True))


def matrix(name: str, shape: Sequence[int]) -> Matrix:
    """A number, a vector as a column, or a matrix stored by columns."""
    rows, columns = (*shape, 1, 1)[:2]
    return Matrix(name, rows, columns, tuple(shape), (1, rows)[: len(shape)])


def block(name: str, result: Matrix, argument: Matrix) -> Matrix:
    """The Jacobian of a result by an argument: a row for each element of the one, a column for each of the other."""
    strides = (*result.strides, *(stride * result.count for stride in argument.strides))
    return Matrix(name, result.count, argument.count, (*result.dims, *argument.dims), strides, result.is_empty)


@dataclass(frozen=True)
class Convention:
    """A function of CasADi's convention: its name, what it calls, its matrices, and inputs that it does not read."""

    name: str
    callee: Interface
    inputs: tuple[Matrix, ...]
    outputs: tuple[Matrix, ...]
    ignored: tuple[Matrix, ...] = ()

    def jacobian(self, callee: Interface) -> Convention:
        """The convention of its Jacobian, whose blocks ``callee`` computes, but for those that are 0.

        CasADi gives it the results too, as inputs that it does not read and has derivative 0 by.
        """
        blocks = []
        for result in self.outputs:
            blocks += [block(f"jac_{result.name}_{given.name}", result, given) for given in self.inputs]
            for given in self.ignored:
                blocks.append(replace(block(f"jac_{result.name}_{given.name}", result, given), is_empty=True))
        results = tuple(replace(result, name=f"out_{result.name}", is_empty=False) for result in self.outputs)
        return Convention(f"jac_{self.name}", callee, self.inputs, tuple(blocks), (*self.ignored, *results))

    @property
    def computed(self) -> tuple[Matrix, ...]:
        """The outputs that have elements."""
        return tuple(output for output in self.outputs if not output.is_empty)

    @property
    def places(self) -> list[int]:
        """Where in the aligned part of ``w`` each array starts: zeros, copies of inputs and of results, workspace."""
        sizes = [max((m.count for m in self.inputs), default=0)]
        sizes += [0 if m.is_in_order else m.count for m in (*self.inputs, *self.computed)]
        rounded = [-(-8 * size // ALIGNMENT) * ALIGNMENT for size in sizes]
        return list(accumulate(rounded, initial=0))

    @property
    def work(self) -> int:
        """How many doubles ``w`` has."""
        workspace = self.callee.workspace
        assert isinstance(workspace, int), "sizes are fixed"
        total = self.places[-1] + workspace
        return (total + ALIGNMENT + 7) // 8 if total else 0


def casadi_code(functions: Sequence[Convention]) -> str:
    """The definitions of the functions and of what CasADi asks about each."""
    parts = [_COPY]
    for function in functions:
        parts += [_call(function), *_facts(function)]
    return "\n".join(parts)


class _Body:
    """Instructions with names of their own."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.allocas: list[str] = []

    def value(self, instruction: str) -> str:
        name = f"%.{len(self.lines)}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def pointer(self, array: str, place: int) -> str:
        """The pointer at a place of an array of pointers."""
        element = self.value(f"getelementptr inbounds ptr, ptr {array}, i64 {place}")
        return self.value(f"load ptr, ptr {element}")


def _call(function: Convention) -> str:
    body, places = _Body(), function.places
    base = "%w"
    if function.work:
        address = body.value("ptrtoint ptr %w to i64")
        low = body.value(f"sub i64 0, {address}")
        gap = body.value(f"and i64 {low}, {ALIGNMENT - 1}")
        base = body.value(f"getelementptr inbounds i8, ptr %w, i64 {gap}")
        body.lines.append(f"  call void @gradc.casadi.clear(ptr {base}, i64 {places[1] // 8})")
    given, wanted = [], []
    for k, item in enumerate(function.inputs):
        pointer = body.pointer("%arg", k)
        none = body.value(f"icmp eq ptr {pointer}, null")
        there = body.value(f"select i1 {none}, ptr {base}, ptr {pointer}")
        if not item.is_in_order:
            own = body.value(f"getelementptr inbounds i8, ptr {base}, i64 {places[1 + k]}")
            body.lines.append(f"  call void @gradc.casadi.copy(ptr {own}, ptr {there}, {_sizes(item)}, i1 false)")
            there = own
        given.append(there)
    for k, item in enumerate(function.computed):
        pointer = body.pointer("%res", function.outputs.index(item))
        own = pointer
        if not item.is_in_order:
            none = body.value(f"icmp eq ptr {pointer}, null")
            place = places[1 + len(function.inputs) + k]
            copy = body.value(f"getelementptr inbounds i8, ptr {base}, i64 {place}")
            own = body.value(f"select i1 {none}, ptr null, ptr {copy}")
        wanted.append((pointer, own))
    workspace = body.value(f"getelementptr inbounds i8, ptr {base}, i64 {places[-1]}")
    status = _called(body, function, given, [own for _, own in wanted], workspace)
    for k, (item, (pointer, own)) in enumerate(zip(function.computed, wanted, strict=True)):
        if not item.is_in_order:
            some = body.value(f"icmp ne ptr {pointer}, null")
            body.lines += [f"  br i1 {some}, label %copy.{k}, label %copied.{k}", f"copy.{k}:"]
            body.lines += [f"  call void @gradc.casadi.copy(ptr {own}, ptr {pointer}, {_sizes(item)}, i1 true)"]
            body.lines += [f"  br label %copied.{k}", f"copied.{k}:"]
    head = f"define i32 @{function.name}(ptr %arg, ptr %res, ptr %iw, ptr %w, i32 %mem) nounwind {{"
    return "\n".join([head, *body.allocas, *body.lines, f"  ret i32 {status}", "}"])


def _called(body: _Body, function: Convention, given: list[str], wanted: list[str], workspace: str) -> str:
    """Call the function of C; its status."""
    callee = function.callee
    if not callee.in_structs:
        arguments = []
        for argument, pointer in zip(callee.inputs, given, strict=True):
            number = argument.is_number
            arguments.append(f"double {body.value(f'load double, ptr {pointer}')}" if number else f"ptr {pointer}")
        arguments += [f"ptr {pointer}" for pointer in wanted]
        return body.value(f"call signext i32 @{callee.name}({', '.join([*arguments, f'ptr {workspace}'])})")
    kinds = struct_types(callee)
    body.allocas += [f"  %{side} = alloca {kinds[side]}, align 8" for side in ("in", "out")]
    for k, pointer in enumerate(given):
        value = body.value(f"load double, ptr {pointer}")
        member = body.value(f"getelementptr inbounds {kinds['in']}, ptr %in, i32 0, i32 {k}")
        body.lines.append(f"  store double {value}, ptr {member}")
    status = body.value(f"call signext i32 @{callee.name}(ptr %in, ptr %out, ptr {workspace})")
    for k, pointer in enumerate(wanted):
        member = body.value(f"getelementptr inbounds {kinds['out']}, ptr %out, i32 0, i32 {k}")
        value = body.value(f"load double, ptr {member}")
        some = body.value(f"icmp ne ptr {pointer}, null")
        body.lines += [f"  br i1 {some}, label %store.{k}, label %stored.{k}", f"store.{k}:"]
        body.lines += [f"  store double {value}, ptr {pointer}", f"  br label %stored.{k}", f"stored.{k}:"]
    return status


def _sizes(item: Matrix) -> str:
    loops = [*item.loops, *[(1, 0)] * (_DIMS - len(item.loops))]
    return ", ".join(f"i64 {n}" for n in (*(length for length, _ in loops), *(stride for _, stride in loops)))


def _facts(function: Convention) -> list[str]:
    """What CasADi asks: numbers, names and sparsities of arguments, sizes of work arrays; and its hooks, empty."""
    name = function.name
    inputs = (*function.inputs, *function.ignored)
    parts = [
        f"define i64 @{name}_n_in() nounwind {{\n  ret i64 {len(inputs)}\n}}",
        f"define i64 @{name}_n_out() nounwind {{\n  ret i64 {len(function.outputs)}\n}}",
        f"define double @{name}_default_in(i64 %i) nounwind {{\n  ret double 0.0\n}}",
        f"define i32 @{name}_checkout() nounwind {{\n  ret i32 0\n}}",
        f"define i32 @{name}_alloc_mem() nounwind {{\n  ret i32 0\n}}",
        f"define i32 @{name}_init_mem(i32 %mem) nounwind {{\n  ret i32 0\n}}",
        *[f"define void @{name}_{hook}(i32 %mem) nounwind {{\n  ret void\n}}" for hook in ("release", "free_mem")],
        *[f"define void @{name}_{hook}() nounwind {{\n  ret void\n}}" for hook in ("incref", "decref")],
        _work(function, len(inputs)),
    ]
    for side, items in (("in", inputs), ("out", function.outputs)):
        names = [f"@{name}.name.{side}.{k}" for k in range(len(items))]
        parts += [
            f'{symbol} = private unnamed_addr constant [{len(item.name) + 1} x i8] c"{item.name}\\00"'
            for symbol, item in zip(names, items, strict=True)
        ]
        parts.append(_chosen(f"{name}_name_{side}", names))
        dense = [f"@{name}.sparsity.{side}.{k}" for k in range(len(items))]
        parts += [_sparsity(symbol, item) for symbol, item in zip(dense, items, strict=True)]
        parts.append(_chosen(f"{name}_sparsity_{side}", dense))
    return parts


def _sparsity(symbol: str, item: Matrix) -> str:
    """Rows, columns, and 1 for a dense matrix; for an empty one, that no column has an element."""
    numbers = [item.rows, item.columns, *([0] * (item.columns + 1) if item.is_empty else [1])]
    listed = ", ".join(f"i64 {n}" for n in numbers)
    return f"{symbol} = private unnamed_addr constant [{len(numbers)} x i64] [{listed}], align 8"


def _chosen(name: str, symbols: Sequence[str]) -> str:
    """A function of a position that returns the address of the symbol there, NULL beyond. No table: it would be data
    that the loader writes."""
    lines, found = [], "null"
    for k, symbol in enumerate(symbols):
        lines += [f"  %is.{k} = icmp eq i64 %i, {k}", f"  %at.{k} = select i1 %is.{k}, ptr {symbol}, ptr {found}"]
        found = f"%at.{k}"
    return "\n".join([f"define ptr @{name}(i64 %i) nounwind {{", *lines, f"  ret ptr {found}", "}"])


def _work(function: Convention, inputs: int) -> str:
    sizes = {"arg": inputs, "res": len(function.outputs), "iw": 0, "w": function.work}
    lines = []
    for what, size in sizes.items():
        lines += [
            f"  %{what}.some = icmp ne ptr %{what}, null",
            f"  br i1 %{what}.some, label %{what}.store, label %{what}.next",
            f"{what}.store:",
            f"  store i64 {size}, ptr %{what}",
            f"  br label %{what}.next",
            f"{what}.next:",
        ]
    parameters = ", ".join(f"ptr %{what}" for what in sizes)
    return "\n".join([f"define i32 @{function.name}_work({parameters}) nounwind {{", *lines, "  ret i32 0", "}"])


def exported(function: Convention) -> list[str]:
    """The symbols that are defined for CasADi."""
    facts = (
        "n_in n_out default_in checkout alloc_mem init_mem release free_mem incref decref work name_in name_out "
        "sparsity_in sparsity_out"
    )
    return [function.name, *[f"{function.name}_{fact}" for fact in facts.split()]]
