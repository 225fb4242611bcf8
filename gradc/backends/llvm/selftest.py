"""``NAME_selftest``: calls the function with the inputs of a recording and compares what comes of it, as IR.

Inputs, results and workspace stand in memory that the caller gives, or on the stack where they are few.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import numpy as np

from gradc.backends.abi import OK, WORKSPACE, WRONG, Argument, Interface
from gradc.backends.llvm.library import number_type, struct_types
from gradc.backends.llvm.types import memory_type, number, suffix
from gradc.backends.recording import PERIOD, PHASE, STRIDE, Expected, Recording, count_of, memory_of, sample
from gradc.ir.aval import dim_value
from gradc.loops.language.program import ALIGNMENT

_FILL_FLOATS: Final = """
; element i is (1 + (%start + 5 i) mod 31) / 32, with %order added on the diagonals of matrices of so many rows
define internal void @NAME.fill.SUFFIX(ptr %data, i64 %count, i32 %start, i32 %order) nounwind {
entry:
  %square = mul i32 %order, %order
  %none = icmp eq i32 %order, 0
  %heavy = sitofp i32 %order to TYPE
  %empty = icmp eq i64 %count, 0
  br i1 %empty, label %end, label %body
body:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %r = phi i32 [ %start, %entry ], [ %r.next, %body ]
  %column = phi i32 [ 0, %entry ], [ %column.next, %body ]
  %place = phi i32 [ 0, %entry ], [ %place.next, %body ]
  %numerator = add i32 %r, 1
  %float = sitofp i32 %numerator to TYPE
  %value = fmul TYPE %float, 0.03125
  %is.first = icmp eq i32 %column, 0
  %added = select i1 %is.first, TYPE %heavy, TYPE 0.0
  %sum = fadd TYPE %value, %added
  %element = getelementptr inbounds TYPE, ptr %data, i64 %i
  store TYPE %sum, ptr %element
  %r.more = add i32 %r, STRIDE
  %r.over = icmp uge i32 %r.more, PERIOD
  %r.less = sub i32 %r.more, PERIOD
  %r.next = select i1 %r.over, i32 %r.less, i32 %r.more
  ; on the diagonal are elements 0, order + 1, 2 (order + 1), ... of each matrix
  %column.end = icmp eq i32 %column, %order
  %column.more = add i32 %column, 1
  %column.wrapped = select i1 %column.end, i32 0, i32 %column.more
  %place.more = add i32 %place, 1
  %place.end = icmp eq i32 %place.more, %square
  %place.next = select i1 %place.end, i32 0, i32 %place.more
  %column.next = select i1 %place.end, i32 0, i32 %column.wrapped
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %body, label %end
end:
  ret void
}
"""

_FILL_WHOLE: Final = """
; element i is (%start + 5 i) mod 31 mod 2, or 0 where %mask is
define internal void @NAME.fill.SUFFIX(ptr %data, i64 %count, i32 %start, i32 %mask) nounwind {
entry:
  %empty = icmp eq i64 %count, 0
  br i1 %empty, label %end, label %body
body:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %r = phi i32 [ %start, %entry ], [ %r.next, %body ]
  %value = and i32 %r, %mask
  %element = getelementptr inbounds TYPE, ptr %data, i64 %i
  %converted = CONVERT
  store TYPE %converted, ptr %element
  %r.more = add i32 %r, STRIDE
  %r.over = icmp uge i32 %r.more, PERIOD
  %r.less = sub i32 %r.more, PERIOD
  %r.next = select i1 %r.over, i32 %r.less, i32 %r.more
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %body, label %end
end:
  ret void
}
"""

_CLOSE: Final = """
; whether two numbers differ by at most %tolerance, are equal, or are both NaN
define internal i1 @NAME.close.SUFFIX(TYPE %x, TYPE %y, TYPE %tolerance) nounwind {
  %difference = fsub TYPE %x, %y
  %less = fcmp olt TYPE %difference, 0.0
  %negated = fneg TYPE %difference
  %distance = select i1 %less, TYPE %negated, TYPE %difference
  %near = fcmp ole TYPE %distance, %tolerance
  %equal = fcmp oeq TYPE %x, %y
  %x.nan = fcmp uno TYPE %x, 0.0
  %y.nan = fcmp uno TYPE %y, 0.0
  %both = and i1 %x.nan, %y.nan
  %some = or i1 %near, %equal
  %any = or i1 %some, %both
  ret i1 %any
}

; whether every %stride-th element is as recorded, and the sum of all, each times (1 + 5 i mod 31) / 32
define internal i1 @NAME.agrees.SUFFIX(
    ptr %data, i64 %count, i64 %stride, ptr %values, TYPE %tolerance, TYPE %total, TYPE %total.tolerance
) nounwind {
entry:
  %empty = icmp eq i64 %count, 0
  br i1 %empty, label %end, label %body
body:
  %i = phi i64 [ 0, %entry ], [ %i.next, %next ]
  %r = phi i32 [ 0, %entry ], [ %r.next, %next ]
  %until = phi i64 [ 0, %entry ], [ %until.next, %next ]
  %value = phi ptr [ %values, %entry ], [ %value.next, %next ]
  %sum = phi TYPE [ 0.0, %entry ], [ %sum.next, %next ]
  %good = phi i1 [ true, %entry ], [ %good.next, %next ]
  %element = getelementptr inbounds TYPE, ptr %data, i64 %i
  %x = load TYPE, ptr %element
  %numerator = add i32 %r, 1
  %float = sitofp i32 %numerator to TYPE
  %weight = fmul TYPE %float, 0.03125
  %term = fmul TYPE %x, %weight
  %sum.next = fadd TYPE %sum, %term
  %is.kept = icmp eq i64 %until, 0
  br i1 %is.kept, label %compare, label %next
compare:
  %recorded = load TYPE, ptr %value
  %is.close = call i1 @NAME.close.SUFFIX(TYPE %x, TYPE %recorded, TYPE %tolerance)
  %after = getelementptr inbounds TYPE, ptr %value, i64 1
  br label %next
next:
  %close = phi i1 [ true, %body ], [ %is.close, %compare ]
  %value.next = phi ptr [ %value, %body ], [ %after, %compare ]
  %from = phi i64 [ %until, %body ], [ %stride, %compare ]
  %until.next = sub i64 %from, 1
  %good.next = and i1 %good, %close
  %r.more = add i32 %r, STRIDE
  %r.over = icmp uge i32 %r.more, PERIOD
  %r.less = sub i32 %r.more, PERIOD
  %r.next = select i1 %r.over, i32 %r.less, i32 %r.more
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %body, label %end
end:
  %all.good = phi i1 [ true, %entry ], [ %good.next, %next ]
  %whole = phi TYPE [ 0.0, %entry ], [ %sum.next, %next ]
  %total.close = call i1 @NAME.close.SUFFIX(TYPE %whole, TYPE %total, TYPE %total.tolerance)
  %result = and i1 %all.good, %total.close
  ret i1 %result
}
"""

_SAME: Final = """
; whether every %stride-th element is the one recorded
define internal i1 @NAME.same.SUFFIX(ptr %data, i64 %count, i64 %stride, ptr %values) nounwind {
entry:
  %empty = icmp eq i64 %count, 0
  br i1 %empty, label %end, label %body
body:
  %i = phi i64 [ 0, %entry ], [ %i.next, %body ]
  %value = phi ptr [ %values, %entry ], [ %value.next, %body ]
  %good = phi i1 [ true, %entry ], [ %good.next, %body ]
  %element = getelementptr inbounds TYPE, ptr %data, i64 %i
  %x = load TYPE, ptr %element
  %recorded = load TYPE, ptr %value
  %equal = icmp eq TYPE %x, %recorded
  %good.next = and i1 %good, %equal
  %value.next = getelementptr inbounds TYPE, ptr %value, i64 1
  %i.next = add i64 %i, %stride
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %body, label %end
end:
  %result = phi i1 [ true, %entry ], [ %good.next, %body ]
  ret i1 %result
}
"""


def selftest_code(
    interface: Interface, recording: Recording, word: str, selector: str = "", *, apart: bool = False
) -> str:
    """The self-test and its helpers. ``word`` is the type of a ``size_t``.

    With a ``selector``, the function under test is the one that the function of that name chooses. ``apart`` puts all
    of it into sections of its own, by the names of ELF, which a linker leaves out where nothing calls it.
    """
    text = "\n".join(_SelfTest(interface, recording, word, selector).text())
    if not apart:
        return text
    own = f"{interface.name}_selftest"
    text = text.replace(" nounwind {", f' nounwind section ".text.{own}" {{')
    return re.sub(r"^(@.* constant .*)(, align \d+)$", rf'\1, section ".rodata.{own}"\2', text, flags=re.MULTILINE)


def selftest_of_all(name: str, tests: Mapping[str, int]) -> str:
    """``NAME_selftest``, which runs the self-tests of functions in order, until one fails.

    ``tests`` has the memory that each wants, in bytes; those of the first function's module are defined there.
    """
    memory = "ptr %memory" if any(tests.values()) else ""
    first = next(iter(tests))
    lines = [f"declare i32 @{own}_selftest({'ptr' if size else ''})" for own, size in tests.items() if own != first]
    lines += [f"define signext i32 @{name}_selftest({memory}) nounwind {{", ".entry:"]
    for k, (own, size) in enumerate(tests.items()):
        lines += [
            f"  %status.{k} = call signext i32 @{own}_selftest({'ptr %memory' if size else ''})",
            f"  %good.{k} = icmp eq i32 %status.{k}, {OK}",
            f"  br i1 %good.{k}, label %good.{k}.next, label %bad.{k}",
            f"bad.{k}:",
            f"  ret i32 %status.{k}",
            f"good.{k}.next:",
        ]
    return "\n".join([*lines, f"  ret i32 {OK}", "}"])


class _SelfTest:
    def __init__(self, interface: Interface, recording: Recording, word: str, selector: str) -> None:
        self._selector = selector
        self._interface = interface
        self._recording = recording
        self._word = word
        self._memory = memory_of(interface, recording)
        self._helpers: dict[str, None] = {}
        self._constants: list[str] = []
        self._lines: list[str] = []
        self._results: list[str] = []
        self._count = 0

    def text(self) -> list[str]:
        interface, memory, lines = self._interface, self._memory, self._lines
        if memory.on_stack:
            parameter = ""
            lines.append(f"  %memory = alloca [{memory.bytes} x i8], align {ALIGNMENT}")
        else:
            parameter = "ptr %memory"
            self._refuse_memory()
        arguments = self._inputs_in_struct() if interface.in_structs else self._inputs_by_themselves()
        workspace = self._value(f"getelementptr inbounds i8, ptr %memory, i64 {memory.workspace}")
        callee = self._value(f"call ptr @{self._selector}()") if self._selector else f"@{interface.name}"
        call = f"call signext i32 {callee}({', '.join([*arguments, f'ptr {workspace}'])})"
        status = self._value(call)
        good = self._value(f"icmp eq i32 {status}, {self._recording.status}")
        for expected in self._recording.results:
            agrees = self._agrees(expected)
            good = self._value(f"and i1 {good}, {agrees}")
        result = self._value(f"select i1 {good}, i32 {OK}, i32 {WRONG}")
        lines.append(f"  ret i32 {result}")
        head = f"define signext i32 @{interface.name}_selftest({parameter}) nounwind {{"
        return [*self._constants, "\n".join([head, ".entry:", *lines, "}"]), *self._helpers]

    def _refuse_memory(self) -> None:
        address = self._value(f"ptrtoint ptr %memory to {self._word}")
        low = self._value(f"and {self._word} {address}, {ALIGNMENT - 1}")
        missing = self._value("icmp eq ptr %memory, null")
        crooked = self._value(f"icmp ne {self._word} {low}, 0")
        bad = self._value(f"or i1 {missing}, {crooked}")
        self._lines += [f"  br i1 {bad}, label %refused, label %given", "refused:", f"  ret i32 {WORKSPACE}", "given:"]

    def _inputs_in_struct(self) -> list[str]:
        kinds = struct_types(self._interface)
        made = [self._value(f"alloca {kinds[side]}, align 8") for side in ("in", "out")]
        for place, argument in enumerate(self._interface.inputs):
            element = self._value(f"getelementptr inbounds {kinds['in']}, ptr {made[0]}, i32 0, i32 {place}")
            kind, value = memory_type(argument.dtype), self._number(argument, place)
            self._lines.append(f"  store {kind} {value}, ptr {element}")
        self._results = [
            self._value(f"getelementptr inbounds {kinds['out']}, ptr {made[1]}, i32 0, i32 {place}")
            for place in range(len(self._interface.outputs))
        ]
        return [f"ptr {name}" for name in made]

    def _inputs_by_themselves(self) -> list[str]:
        interface, recording = self._interface, self._recording
        arguments = [f"{self._word} {recording.sizes[symbol]}" for _, symbol in interface.sizes]
        for place, argument in enumerate(interface.inputs):
            if argument.is_number:
                value = self._number(argument, place)
                if argument.dtype.kind == "b":
                    value = "true" if value == "1" else "false"
                arguments.append(f"{number_type(argument)} {value}")
                continue
            pointer = self._value(f"getelementptr inbounds i8, ptr %memory, i64 {self._memory.inputs[place]}")
            start = PHASE * place % PERIOD
            if argument.dtype.kind == "f":
                shape = [dim_value(dim, recording.sizes) for dim in argument.aval.shape]
                last = recording.fill.order(shape)
            else:
                last = int(recording.fill.ones)
            self._helper(_FILL_FLOATS if argument.dtype.kind == "f" else _FILL_WHOLE, argument.dtype)
            of = f"ptr {pointer}, i64 {count_of(argument, recording)}, i32 {start}, i32 {last}"
            self._lines.append(f"  call void @{interface.name}.fill.{suffix(argument.dtype)}({of})")
            arguments.append(f"ptr {pointer}")
        self._results = [
            self._value(f"getelementptr inbounds i8, ptr %memory, i64 {place}") for place in self._memory.outputs
        ]
        return [*arguments, *[f"ptr {pointer}" for pointer in self._results]]

    def _number(self, argument: Argument, place: int) -> str:
        value = sample((), argument.dtype, place, self._recording.fill)[()]
        return str(int(value)) if argument.dtype.kind == "b" else number(value.item(), argument.dtype)

    def _agrees(self, expected: Expected) -> str:
        name, dtype = self._interface.name, expected.values.dtype
        position = [a.position for a in self._interface.outputs].index(expected.position)
        kind = memory_type(dtype)
        symbol = f"@{name}.recorded.{expected.position}"
        values = ", ".join(f"{kind} {_stored(v, dtype)}" for v in expected.values.tolist())
        array = f"[{len(expected.values)} x {kind}] [{values}]"
        self._constants.append(f"{symbol} = private unnamed_addr constant {array}, align {dtype.itemsize}")
        data = f"ptr {self._results[position]}, i64 {expected.count}, i64 {expected.stride}, ptr {symbol}"
        if dtype.kind != "f":
            self._helper(_SAME, dtype)
            return self._value(f"call i1 @{name}.same.{suffix(dtype)}({data})")
        self._helper(_CLOSE, dtype)
        bounds = (expected.tolerance, expected.total, expected.total_tolerance)
        rounded = [number(float(np.asarray(bound, dtype)), dtype) for bound in bounds]
        listed = ", ".join([data, *[f"{kind} {bound}" for bound in rounded]])
        return self._value(f"call i1 @{name}.agrees.{suffix(dtype)}({listed})")

    def _helper(self, template: str, dtype: np.dtype) -> None:
        kind = memory_type(dtype)
        words = {
            "NAME": self._interface.name, "SUFFIX": suffix(dtype), "TYPE": kind, "STRIDE": str(STRIDE),
            "PERIOD": str(PERIOD),             "CONVERT": {32: "add i32 %value, 0", 64: "zext i32 %value to i64"}.get(
                8 * dtype.itemsize, f"trunc i32 %value to {kind}"
            ),
        }  # fmt: skip
        self._helpers[re.sub("|".join(words), lambda found: words[found[0]], template)] = None

    def _value(self, instruction: str) -> str:
        self._count += 1
        name = f"%.{self._count}"
        self._lines.append(f"  {name} = {instruction}")
        return name


def _suffix(dtype: np.dtype) -> str:
    return suffix(dtype)


def _stored(value: float, dtype: np.dtype) -> str:
    return str(int(value)) if dtype.kind == "b" else number(value, dtype)
