"""Results of earlier calls that nobody holds any more, used again for the next one.

Making and freeing a few small arrays takes longer than a small kernel. So an entry with small results keeps its last
two, and gives one out again, with new numbers in it, when that cannot be told from a new one:

- every container, array and scalar of it is referred to once, by the entry or by the container around it: no variable,
  view, buffer, iterator, other container or other thread has it;
- the containers hold what they held, dicts in their order;
- each array owns its memory and has the dtype, shape, strides and flags of a new one, and no weak reference.

A call takes a reference before other threads may run, so no other call gets the same one. What is kept stands in a list
that the garbage collector sees (``gradc.backends.llvm.entry.load.Kept``); before that goes, its address is taken out of
the entry's record.
"""

from __future__ import annotations

import ctypes
from typing import Final

import numpy as np

from gradc.backends.llvm.dims import Dims
from gradc.backends.llvm.entry import abi
from gradc.backends.llvm.entry.plan import Plan
from gradc.backends.llvm.entry.text import EntryText
from gradc.frontend.tree import TreeDef
from gradc.ir.aval import Aval, Dim, SymbolicDim, dim_value, size_of

KEPT: Final = 2
"""The results that an entry keeps: a loop that holds one while it makes the next needs two."""

MOST_BYTES: Final = 4096
MOST_LEAVES: Final = 32

BY_COLUMNS: Final = 0x2
"""The flag of arrays whose columns are contiguous."""

RECORD_RESULTS: Final = 24
"""Where the address of the list stands in a record, or 0."""

KEEP: Final = f"""\
; Keep a new result in front of the last one. Letting go of the oldest may run any code.
define void @gradc.keep(ptr %record, ptr %result) {{
  %list.at = getelementptr i8, ptr %record, i64 {RECORD_RESULTS}
  %list = load ptr, ptr %list.at
  %none = icmp eq ptr %list, null
  br i1 %none, label %done, label %keep
keep:
  %items.at = getelementptr i8, ptr %list, i64 {abi.LIST_ITEMS}
  %items = load ptr, ptr %items.at
  %first = load ptr, ptr %items
  %second.at = getelementptr ptr, ptr %items, i64 1
  %second = load ptr, ptr %second.at
  call void @Py_IncRef(ptr %result)
  store ptr %result, ptr %items
  store ptr %first, ptr %second.at
  call void @Py_DecRef(ptr %second)
  br label %done
done:
  ret void
}}
"""


def can_reuse(plan: Plan) -> bool:
    """Whether the results of a plan are small, or may be, and such that they can be told from shared ones."""
    if len(plan.results) > MOST_LEAVES:
        return False
    if any(not aval.shape and not has_number_behind_head(aval) for aval in plan.results):
        return False
    fixed = sum(dim_value(bytes_of(aval), {}) for aval in plan.results if not aval.is_symbolic)
    return len(plan.results) > 0 and fixed <= MOST_BYTES and not _has_empty_tuple(plan.outputs)


def bytes_of(aval: Aval) -> Dim:
    """What the elements of a result take."""
    return aval.size * aval.dtype.itemsize


def has_number_behind_head(aval: Aval) -> bool:
    """Whether scalars of NumPy of this dtype are objects of their own, with the number behind their head."""
    return aval.dtype.kind in "iuf"


def _has_empty_tuple(tree: TreeDef) -> bool:
    """There is only one of it, which everybody has."""
    return (tree.kind is tuple and not tree.children) or any(map(_has_empty_tuple, tree.children))


class ReuseWriter:
    """Writes the function that looks for a result to use again: its text, and the objects that it names."""

    def __init__(self, plan: Plan, text: EntryText) -> None:
        self.text = text.part()
        self.results = iter(enumerate(plan.results))
        text = self.text
        given = [f"%size.{k}" for k in range(len(plan.symbols))]
        self.dims = Dims(text.value, dict(zip(plan.symbols, given, strict=True)))
        sizes = "".join(f", i64 {size}" for size in given)
        self._check(plan.outputs, "%result")
        text.line("ret i1 true")
        text.line("miss:", indent=False)
        text.line("ret i1 false")
        head = f"define internal i1 @gradc.is.free(ptr %result, ptr %elements{sizes}) {{"
        self.lines = [head, "begin:", *text.entry, *text.lines, "}", _FIND.replace("SIZES", sizes)]

    def _check(self, tree: TreeDef, value: str) -> None:
        """Go on where an object and all in it belongs to nobody else and is as a new one; note where to write."""
        text = self.text
        if tree.kind is None:
            text.guard(text.value(f"icmp eq ptr {value}, @Py_None"))
            return
        count = text.load(abi.REFERENCES, value)
        text.guard(text.value(f"icmp eq {abi.REFERENCES} {count}, 1"))
        if not tree.is_leaf:
            items = text.items(tree, value, same_keys=True)
            if tree.kind not in (dict, list) and abi.TUPLE_HASH:
                text.line(f"store i64 -1, ptr {text.at(value, abi.TUPLE_HASH)}")
            for child, item in zip(tree.children, items, strict=True):
                self._check(child, item)
            return
        position, aval = next(self.results)
        if aval.shape:
            self._check_array(aval, value)
            elements = text.load("ptr", text.at(value, abi.ARRAY_DATA))
        else:
            text.guard_type(value, text.object("scalar", aval.dtype.type))
            elements = text.at(value, abi.HEAD)
        text.line(f"store ptr {elements}, ptr {text.at('%elements', 8 * position)}")

    def _check_array(self, aval: Aval, value: str) -> None:
        text = self.text
        new = np.empty([2 if isinstance(size, SymbolicDim) else int(size) for size in aval.shape], aval.dtype.char)
        flags = ctypes.c_int32.from_address(id(new) + abi.ARRAY_FLAGS).value
        text.guard_type(value, "@PyArray_Type")
        own = text.load("i32", text.at(value, abi.ARRAY_FLAGS))
        if aval.is_symbolic:
            # Columns are contiguous, too, where a size is 1: shape and strides tell that.
            own, flags = text.value(f"and i32 {own}, {~BY_COLUMNS}"), flags & ~BY_COLUMNS
        holds = text.value(f"icmp eq i32 {own}, {flags}")
        for kind, offset, wanted in (
            ("ptr", abi.ARRAY_DTYPE, text.object("dtype", new.dtype)),
            ("i32", abi.ARRAY_NDIM, str(new.ndim)),
            ("ptr", abi.ARRAY_BASE, "null"),
            ("ptr", abi.ARRAY_WEAK_REFERENCES, "null"),
        ):
            found = text.load(kind, text.at(value, offset))
            holds = text.value(f"and i1 {holds}, {text.value(f'icmp eq {kind} {found}, {wanted}')}")
        text.guard(holds)
        holds = "true"
        strides = [size_of(aval.shape[axis + 1 :]) * new.itemsize for axis in range(new.ndim)]
        for field, numbers in ((abi.ARRAY_SHAPE, aval.shape), (abi.ARRAY_STRIDES, strides)):
            row = text.load("ptr", text.at(value, field))
            for axis, number in enumerate(numbers):
                found = text.load("i64", text.at(row, 8 * axis))
                same = text.value(f"icmp eq i64 {found}, {self.dims.operand(number)}")
                holds = text.value(f"and i1 {holds}, {same}")
        text.guard(holds)


_FIND: Final = f"""\
; A kept result that nobody else has, with a new reference, and the addresses of its elements. Null where there is none.
define internal ptr @gradc.find(ptr %record, ptr %elementsSIZES) {{
  %list.at = getelementptr i8, ptr %record, i64 {RECORD_RESULTS}
  %list = load ptr, ptr %list.at
  %none = icmp eq ptr %list, null
  br i1 %none, label %no, label %kept
kept:
  %items.at = getelementptr i8, ptr %list, i64 {abi.LIST_ITEMS}
  %items = load ptr, ptr %items.at
  br label %next
next:
  %k = phi i64 [ 0, %kept ], [ %k.next, %one ]
  %more = icmp ult i64 %k, {KEPT}
  br i1 %more, label %one, label %no
one:
  %k.next = add i64 %k, 1
  %at = getelementptr ptr, ptr %items, i64 %k
  %result = load ptr, ptr %at
  %free = call i1 @gradc.is.free(ptr %result, ptr %elementsSIZES)
  br i1 %free, label %take, label %next
take:
  call void @Py_IncRef(ptr %result)
  ret ptr %result
no:
  ret ptr null
}}"""
