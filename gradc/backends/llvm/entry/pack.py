"""Arguments that the kernel cannot read as they lie in memory: it reads copies, which are held until it has run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gradc.backends.llvm.entry import abi
from gradc.backends.llvm.entry.text import EntryText

PACK: Final = f"""\
; Hold all %total objects in %kept. The first %count are arrays: of what is not contiguous or not aligned a copy is held
; behind them, whose elements replace those in %data. Copying may let other threads run. False with an exception set
; where there is no memory.
define i1 @gradc.pack(ptr %objects, i64 %total, ptr %data, i64 %count, ptr %kept) {{
  br label %next
next:
  %k = phi i64 [ 0, %0 ], [ %k.next, %hold ]
  %more = icmp ult i64 %k, %total
  br i1 %more, label %hold, label %look
hold:
  %object.at = getelementptr ptr, ptr %objects, i64 %k
  %object = load ptr, ptr %object.at
  call void @Py_IncRef(ptr %object)
  %kept.at = getelementptr ptr, ptr %kept, i64 %k
  store ptr %object, ptr %kept.at
  %k.next = add i64 %k, 1
  br label %next
look:
  %j = phi i64 [ 0, %next ], [ %j.next, %looked ]
  %left = icmp ult i64 %j, %count
  br i1 %left, label %one, label %done
one:
  %j.next = add i64 %j, 1
  %own.at = getelementptr ptr, ptr %objects, i64 %j
  %own = load ptr, ptr %own.at
  %flags.at = getelementptr i8, ptr %own, i64 {abi.ARRAY_FLAGS}
  %flags = load i32, ptr %flags.at
  %layout = and i32 %flags, {abi.ARGUMENT_FLAGS[0]}
  %ready = icmp eq i32 %layout, {abi.ARGUMENT_FLAGS[1]}
  br i1 %ready, label %looked, label %copy
copy:
  %made = call ptr @PyArray_NewCopy(ptr %own, i32 0)
  %none = icmp eq ptr %made, null
  br i1 %none, label %no, label %replace
replace:
  %behind = add i64 %total, %j
  %place = getelementptr ptr, ptr %kept, i64 %behind
  store ptr %made, ptr %place
  %elements.at = getelementptr i8, ptr %made, i64 {abi.ARRAY_DATA}
  %elements = load ptr, ptr %elements.at
  %data.at = getelementptr ptr, ptr %data, i64 %j
  store ptr %elements, ptr %data.at
  br label %looked
looked:
  br label %look
done:
  ret i1 true
no:
  ret i1 false
}}

define void @gradc.drop(ptr %kept, i64 %count) {{
  br label %next
next:
  %k = phi i64 [ 0, %0 ], [ %k.next, %one ]
  %more = icmp ult i64 %k, %count
  br i1 %more, label %one, label %done
one:
  %k.next = add i64 %k, 1
  %at = getelementptr ptr, ptr %kept, i64 %k
  %object = load ptr, ptr %at
  store ptr null, ptr %at
  call void @Py_DecRef(ptr %object)
  br label %next
done:
  ret void
}}
"""


def read_copies(
    text: EntryText,
    arrays: Sequence[tuple[int, str]],
    held: Sequence[str],
    inputs: dict[int, str],
    packed: str,
    room: str,
) -> None:
    """Unless ``packed``, replace the elements in ``inputs`` of those ``arrays`` (index, object) that need a copy.

    Other threads may run while copies are made, so everything that was taken out of containers is held: ``held`` are
    the arrays and all such objects, ``room`` is for references to them and to a copy of each array.
    """
    count = len(arrays)
    objects, data = text.alloca(f"[{len(held)} x ptr]"), text.alloca(f"[{count} x ptr]")
    before = text.block
    text.line(f"br i1 {packed}, label %packed, label %strided")
    text.line("strided:", indent=False)
    for position, value in enumerate(held):
        text.line(f"store ptr {value}, ptr {text.at(objects, 8 * position)}")
    for position, (index, _) in enumerate(arrays):
        text.line(f"store ptr {inputs[index]}, ptr {text.at(data, 8 * position)}")
    arguments = f"ptr {objects}, i64 {len(held)}, ptr {data}, i64 {count}, ptr {room}"
    copied = text.value(f"call i1 @gradc.pack({arguments})")
    text.line(f"br i1 {copied}, label %copied, label %failed")
    text.line("copied:", indent=False)
    copies = [text.load("ptr", text.at(data, 8 * position)) for position in range(count)]
    text.line("br label %packed")
    text.line("packed:", indent=False)
    for (index, _), copy in zip(arrays, copies, strict=True):
        inputs[index] = text.value(f"phi ptr [ {inputs[index]}, %{before} ], [ {copy}, %copied ]")
