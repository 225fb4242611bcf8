"""The functions behind ``gradc.call`` and the entries, as IR: binding, comparing, falling back, arenas."""

from __future__ import annotations

from typing import Final

from gradc.backends.llvm.entry import abi

ON_STACK: Final = 16
"""Arguments of a call that goes to Python for which no memory is asked for."""

ARENA_HEAD: Final = 64
"""The bytes in front of an arena: the link to the next idle one, its size, and room to align."""

ARENA_ROOM: Final = 8
"""Where the size stands."""

POSITIONAL_MASK: Final = 2**63 - 1
"""``nargsf`` without the bit that lets the callee write in front of the arguments."""

DECLARATIONS: Final = """\
@Py_None = external global i8
@PyDict_Type = external global i8
@PyFloat_Type = external global i8
@PyList_Type = external global i8
@PyLong_Type = external global i8
@PyTuple_Type = external global i8
@PyUnicode_Type = external global i8
@PyArray_Type = external global i8
@gradc.memmap = external global i8
@gradc.handler.own = external global i8
@gradc.allocator = external global i8
declare i32 @PyContextVar_Get(ptr, ptr, ptr)
declare ptr @PyDict_GetItemWithError(ptr, ptr)
declare ptr @PyDict_New()
declare i32 @PyDict_Next(ptr, ptr, ptr, ptr)
declare i32 @PyDict_SetItem(ptr, ptr, ptr)
declare void @PyErr_Clear()
declare ptr @PyErr_NoMemory()
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare ptr @PyList_New(i64)
declare i64 @PyLong_AsLongLongAndOverflow(ptr, ptr)
declare void @PyMem_Free(ptr)
declare ptr @PyMem_Malloc(i64)
declare void @PyMem_RawFree(ptr)
declare ptr @PyMem_RawMalloc(i64)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare i32 @PyTraceMalloc_Track(i32, i64, i64)
declare ptr @PyTuple_New(i64)
declare i32 @PyUnicode_Compare(ptr, ptr)
declare void @Py_DecRef(ptr)
declare void @Py_IncRef(ptr)
declare ptr @PyArray_NewCopy(ptr, i32)
declare ptr @PyArray_Scalar(ptr, ptr, ptr)
declare ptr @PyArray_New(ptr, i32, ptr, i32, ptr, ptr, i32, i32, ptr)
declare ptr @PyArray_NewFromDescr(ptr, ptr, i32, ptr, ptr, ptr, i32, ptr)
declare ptr @PyDataMem_GetHandler()
"""
"""The API as entries and this module name it."""

EXPORTS: Final = (
    "gradc.call", "gradc.bind", "gradc.same", "gradc.dtype", "gradc.apart", "gradc.pack", "gradc.drop", "gradc.keep",
    "gradc.handler", "gradc.new", "gradc.arena.take", "gradc.arena.put", "gradc.arena.free",
)  # fmt: skip

SHARED: Final = """\
declare ptr @gradc.bind(ptr, ptr, i64, ptr, ptr)
declare i1 @gradc.same(ptr, ptr)
declare i1 @gradc.dtype(ptr, ptr)
declare i1 @gradc.apart(ptr, ptr, i64, i64)
declare i1 @gradc.pack(ptr, i64, ptr, i64, ptr)
declare void @gradc.drop(ptr, i64)
declare void @gradc.keep(ptr, ptr)
declare ptr @gradc.handler()
declare ptr @gradc.new(ptr, ptr, i32, i32, ptr, i64)
declare ptr @gradc.arena.take(ptr, i64)
declare void @gradc.arena.put(ptr, ptr)
"""
"""What entries use of this module."""


def dtype_check() -> str:
    """Whether elements are stored as those of one of NumPy's own dtypes in native byte order are."""
    compared = []
    for name, offset, kind in (
        ("kind", abi.DTYPE_KIND, "i8"),
        ("order", abi.DTYPE_BYTE_ORDER, "i8"),
        ("size", abi.DTYPE_SIZE, "i64"),
    ):
        for side in ("found", "wanted"):
            compared += [
                f"  %{side}.{name}.at = getelementptr i8, ptr %{side}, i64 {offset}",
                f"  %{side}.{name} = load {kind}, ptr %{side}.{name}.at",
            ]
        compared.append(f"  %same.{name} = icmp eq {kind} %found.{name}, %wanted.{name}")
    return "\n".join(
        [
            "define i1 @gradc.dtype(ptr %found, ptr %wanted) {",
            *compared,
            f"  %number.at = getelementptr i8, ptr %found, i64 {abi.DTYPE_NUMBER}",
            "  %number = load i32, ptr %number.at",
            f"  %own = icmp ult i32 %number, {abi.BUILTIN_DTYPES}",
            "  %kind.order = and i1 %same.kind, %same.order",
            "  %stored = and i1 %kind.order, %same.size",
            "  %result = and i1 %stored, %own",
            "  ret i1 %result",
            "}",
        ]
    )


MISS_CALL: Final = f"""\
; Call fallback(self, *args, **kwargs): the arguments have to stand behind self in memory.
define internal ptr @gradc.miss(ptr %fallback, ptr %self, ptr %args, i64 %nargsf, ptr %kwnames) noinline {{
  %few = alloca [{ON_STACK + 1} x ptr]
  %positional = and i64 %nargsf, {POSITIONAL_MASK}
  %plain = icmp eq ptr %kwnames, null
  br i1 %plain, label %counted, label %keywords
keywords:
  %size.at = getelementptr i8, ptr %kwnames, i64 {abi.HEAD}
  %size = load i64, ptr %size.at
  br label %counted
counted:
  %named = phi i64 [ 0, %0 ], [ %size, %keywords ]
  %count = add i64 %positional, %named
  %fits = icmp ule i64 %count, {ON_STACK}
  br i1 %fits, label %copy, label %allocate
allocate:
  %words = add i64 %count, 1
  %bytes = mul i64 %words, 8
  %many = call ptr @PyMem_Malloc(i64 %bytes)
  %none = icmp eq ptr %many, null
  br i1 %none, label %memory, label %copy
memory:
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
copy:
  %block = phi ptr [ %few, %counted ], [ %many, %allocate ]
  store ptr %self, ptr %block
  br label %next
next:
  %k = phi i64 [ 0, %copy ], [ %k.next, %one ]
  %more = icmp ult i64 %k, %count
  br i1 %more, label %one, label %ready
one:
  %from = getelementptr ptr, ptr %args, i64 %k
  %value = load ptr, ptr %from
  %k.next = add i64 %k, 1
  %to = getelementptr ptr, ptr %block, i64 %k.next
  store ptr %value, ptr %to
  br label %next
ready:
  %with.self = add i64 %positional, 1
  %result = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %block, i64 %with.self, ptr %kwnames)
  br i1 %fits, label %done, label %free
free:
  call void @PyMem_Free(ptr %block)
  br label %done
done:
  ret ptr %result
}}
"""

BIND: Final = f"""\
; Where the arguments stand by parameter: in %slots, or as they came where that is the same. Null where Python would
; raise, and for more. The table: how many parameters may come by position, from which on they may come by name, how
; many there are, how many have no default, then name and default of each (null without one).
define ptr @gradc.bind(ptr %table, ptr %args, i64 %nargs, ptr %kwnames, ptr %slots) {{
  %positional = load i64, ptr %table
  %by.name.at = getelementptr i64, ptr %table, i64 1
  %by.name = load i64, ptr %by.name.at
  %total.at = getelementptr i64, ptr %table, i64 2
  %total = load i64, ptr %total.at
  %required.at = getelementptr i64, ptr %table, i64 3
  %required = load i64, ptr %required.at
  %rows = getelementptr i64, ptr %table, i64 4
  %many = icmp ugt i64 %nargs, %positional
  %none.named = icmp eq ptr %kwnames, null
  br i1 %many, label %no, label %counted
counted:
  br i1 %none.named, label %enough, label %with.names
with.names:
  %names.size.at = getelementptr i8, ptr %kwnames, i64 {abi.HEAD}
  %names.size = load i64, ptr %names.size.at
  br label %enough
enough:
  %names.count = phi i64 [ 0, %counted ], [ %names.size, %with.names ]
  %all = add i64 %nargs, %names.count
  %few = icmp ult i64 %all, %required
  br i1 %few, label %no, label %there
there:
  br i1 %none.named, label %copy, label %as.came
as.came:
  %complete = icmp eq i64 %all, %total
  %nameable = icmp uge i64 %nargs, %by.name
  %may.be = and i1 %complete, %nameable
  br i1 %may.be, label %in.order, label %copy
in.order:
  %o = phi i64 [ %nargs, %as.came ], [ %o.next, %in.place ]
  %o.more = icmp ult i64 %o, %total
  br i1 %o.more, label %in.order.one, label %came
in.order.one:
  %o.row = mul i64 %o, 2
  %o.parameter.at = getelementptr ptr, ptr %rows, i64 %o.row
  %o.parameter = load ptr, ptr %o.parameter.at
  %o.from = sub i64 %o, %nargs
  %o.offset = mul i64 %o.from, 8
  %o.byte = add i64 %o.offset, {abi.TUPLE_ITEMS}
  %o.name.at = getelementptr i8, ptr %kwnames, i64 %o.byte
  %o.name = load ptr, ptr %o.name.at
  %o.same = icmp eq ptr %o.parameter, %o.name
  br i1 %o.same, label %in.place, label %copy
in.place:
  %o.next = add i64 %o, 1
  br label %in.order
came:
  ret ptr %args
copy:
  br label %copy.next
copy.next:
  %k = phi i64 [ 0, %copy ], [ %k.next, %copied ]
  %k.more = icmp ult i64 %k, %total
  br i1 %k.more, label %copy.one, label %names
copy.one:
  %given = icmp ult i64 %k, %nargs
  br i1 %given, label %copy.given, label %copied
copy.given:
  %from = getelementptr ptr, ptr %args, i64 %k
  %argument = load ptr, ptr %from
  br label %copied
copied:
  %first = phi ptr [ null, %copy.one ], [ %argument, %copy.given ]
  %to = getelementptr ptr, ptr %slots, i64 %k
  store ptr %first, ptr %to
  %k.next = add i64 %k, 1
  br label %copy.next
names:
  br i1 %none.named, label %defaults, label %named
named:
  %size.at = getelementptr i8, ptr %kwnames, i64 {abi.HEAD}
  %size = load i64, ptr %size.at
  br label %name
name:
  %j = phi i64 [ 0, %named ], [ %j.next, %take ]
  %j.more = icmp ult i64 %j, %size
  br i1 %j.more, label %search, label %defaults
search:
  %j.offset = mul i64 %j, 8
  %j.byte = add i64 %j.offset, {abi.TUPLE_ITEMS}
  %name.at = getelementptr i8, ptr %kwnames, i64 %j.byte
  %name.own = load ptr, ptr %name.at
  br label %compare
compare:
  %i = phi i64 [ %by.name, %search ], [ %i.next, %other ]
  %i.more = icmp ult i64 %i, %total
  br i1 %i.more, label %compare.one, label %no
compare.one:
  %i.row = mul i64 %i, 2
  %parameter.at = getelementptr ptr, ptr %rows, i64 %i.row
  %parameter = load ptr, ptr %parameter.at
  %equal = call i1 @gradc.same(ptr %parameter, ptr %name.own)
  br i1 %equal, label %take.once, label %other
other:
  %i.next = add i64 %i, 1
  br label %compare
take.once:
  %slot = getelementptr ptr, ptr %slots, i64 %i
  %before = load ptr, ptr %slot
  %unset = icmp eq ptr %before, null
  br i1 %unset, label %take, label %no
take:
  %v = add i64 %nargs, %j
  %value.at = getelementptr ptr, ptr %args, i64 %v
  %value = load ptr, ptr %value.at
  store ptr %value, ptr %slot
  %j.next = add i64 %j, 1
  br label %name
defaults:
  %d = phi i64 [ 0, %names ], [ 0, %name ], [ %d.next, %d.set ]
  %d.more = icmp ult i64 %d, %total
  br i1 %d.more, label %default, label %yes
default:
  %d.slot = getelementptr ptr, ptr %slots, i64 %d
  %d.value = load ptr, ptr %d.slot
  %d.missing = icmp eq ptr %d.value, null
  br i1 %d.missing, label %fill, label %d.set
fill:
  %d.row = mul i64 %d, 2
  %d.place = add i64 %d.row, 1
  %default.at = getelementptr ptr, ptr %rows, i64 %d.place
  %own.default = load ptr, ptr %default.at
  %no.default = icmp eq ptr %own.default, null
  br i1 %no.default, label %no, label %store
store:
  store ptr %own.default, ptr %d.slot
  br label %d.set
d.set:
  %d.next = add i64 %d, 1
  br label %defaults
yes:
  ret ptr %slots
no:
  ret ptr null
}}
"""

SAME: Final = f"""\
; Whether two objects are one, or two plain strings of the same characters.
define i1 @gradc.same(ptr %wanted, ptr %found) {{
  %one = icmp eq ptr %wanted, %found
  br i1 %one, label %yes, label %strings
strings:
  %wanted.type.at = getelementptr i8, ptr %wanted, i64 {abi.TYPE}
  %wanted.type = load ptr, ptr %wanted.type.at
  %found.type.at = getelementptr i8, ptr %found, i64 {abi.TYPE}
  %found.type = load ptr, ptr %found.type.at
  %wanted.plain = icmp eq ptr %wanted.type, @PyUnicode_Type
  %found.plain = icmp eq ptr %found.type, @PyUnicode_Type
  %plain = and i1 %wanted.plain, %found.plain
  br i1 %plain, label %characters, label %no
characters:
  %order = call i32 @PyUnicode_Compare(ptr %wanted, ptr %found)
  %equal = icmp eq i32 %order, 0
  ret i1 %equal
yes:
  ret i1 true
no:
  ret i1 false
}}
"""

ARENAS: Final = f"""\
; The first idle arena of the list if it is large enough, else a new one. Null with an exception set where there is no
; memory.
define ptr @gradc.arena.take(ptr %list, i64 %bytes) {{
  %idle = load ptr, ptr %list
  %none = icmp eq ptr %idle, null
  br i1 %none, label %new, label %pop
pop:
  %next = load ptr, ptr %idle
  store ptr %next, ptr %list
  %room.at = getelementptr i8, ptr %idle, i64 {ARENA_ROOM}
  %room = load i64, ptr %room.at
  %fits = icmp uge i64 %room, %bytes
  br i1 %fits, label %take, label %small
take:
  ret ptr %idle
small:
  call void @PyMem_RawFree(ptr %idle)
  br label %new
new:
  %size = add i64 %bytes, {2 * ARENA_HEAD}
  %made = call ptr @PyMem_RawMalloc(i64 %size)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %memory, label %done
memory:
  %error = call ptr @PyErr_NoMemory()
  ret ptr null
done:
  %made.room = getelementptr i8, ptr %made, i64 {ARENA_ROOM}
  store i64 %bytes, ptr %made.room
  ret ptr %made
}}

; Give a block back to the list; null is none.
define void @gradc.arena.put(ptr %list, ptr %block) {{
  %none = icmp eq ptr %block, null
  br i1 %none, label %done, label %put
put:
  %next = load ptr, ptr %list
  store ptr %next, ptr %block
  store ptr %block, ptr %list
  br label %done
done:
  ret void
}}

define void @gradc.arena.free(ptr %list) {{
  br label %next
next:
  %idle = load ptr, ptr %list
  %none = icmp eq ptr %idle, null
  br i1 %none, label %done, label %one
one:
  %rest = load ptr, ptr %idle
  store ptr %rest, ptr %list
  call void @PyMem_RawFree(ptr %idle)
  br label %next
done:
  ret void
}}
"""
