"""Python's operators on traced arrays as machine code: what a long trace spends its time in.

``gradc.frontend.operators`` writes them in Python. An operation that is known by its place becomes an entry on the tape
and a new traced array there; here the same is done without Python in between, and whatever else is met goes on to the
method written in Python, which is called with the same arguments. Both leave the same tape.

Nothing that is looked at can change on the way: the new array and the frame, whose making may run the collector and
with it any code, are made before anything is read, and what is read is held by the trace.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any, Final

from gradc.backends.llvm.cache import kept_object
from gradc.backends.llvm.entry.abi import HEAD, TYPE, abi, function_address
from gradc.backends.llvm.jit import link
from gradc.frontend.again import Place
from gradc.frontend.operators import Methods
from gradc.frontend.session import Session
from gradc.frontend.tape import Kind, Tape

_API: Final = {
    "PyDict_GetItemWithError": "ptr (ptr, ptr)",
    "PyErr_Clear": "void ()",
    "PyEval_GetFrame": "ptr ()",
    "PyFrame_GetLasti": "i32 (ptr)",
    "PyList_Append": "i32 (ptr, ptr)",
    "PyList_SetSlice": "i32 (ptr, i64, i64, ptr)",
    "PyLong_AsLongLong": "i64 (ptr)",
    "PyLong_FromLongLong": "ptr (i64)",
    "PyObject_Vectorcall": "ptr (ptr, ptr, i64, ptr)",
    "PyType_GenericAlloc": "ptr (ptr, i64)",
    "Py_DecRef": "void (ptr)",
    "Py_IncRef": "void (ptr)",
}
_OBJECTS: Final = ("traced", "true", "none", "nowhere", "float")

_ONE_ARGUMENT: Final = 8
_NO_ARGUMENT: Final = 4
_MEMBER: Final = 40
"""Where the descriptor of a slot has the address of what describes it, and at 16 in that the offset stands."""
_OFFSET: Final = 16


class _Method(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


_KEPT: Final[list[Any]] = []
"""What the methods are made of: they stay for as long as the process."""


def in_machine_code(traced: type, methods: Methods) -> dict[str, Any]:
    """What takes the place of the methods of traced arrays; nothing where the layout of objects is not known."""
    offsets = _offsets(traced)
    if offsets is None:
        return {}
    library = _linked(traced, methods, offsets)
    made = {}
    descriptor = ctypes.pythonapi["PyDescr_NewMethod"]
    descriptor.restype = ctypes.py_object
    descriptor.argtypes = [ctypes.py_object, ctypes.POINTER(_Method)]
    for name, (form, _, _) in methods.items():
        flags = _NO_ARGUMENT if form == "unary" else _ONE_ARGUMENT
        method = _Method(name.encode(), library[_symbol(name)], flags, None)
        _KEPT.append(method)
        made[name] = descriptor(traced, ctypes.byref(method))
    _KEPT.append((library, methods))
    return made


def _linked(traced: type, methods: Methods, offsets: Mapping[str, int]) -> Any:
    objects: dict[str, object] = {"traced": traced, "true": True, "none": None, "nowhere": (), "float": float}
    for name, (_, what, method) in methods.items():
        objects |= {f"what.{name}": what, f"method.{name}": method}
    addresses = {f"gradc.{name}": id(value) for name, value in objects.items()}
    addresses |= {name: function_address(name) for name in _API}
    exports = [_symbol(name) for name in methods]
    return link(kept_object(_text(methods, offsets)), addresses, exports, "operators")


def _offsets(traced: type) -> dict[str, int] | None:
    """Where the slots of the classes stand that make up a trace: ``Class.slot``."""
    if abi() is None or not all(hasattr(ctypes.pythonapi, name) for name in (*_API, "PyDescr_NewMethod")):
        return None
    wanted = {
        traced: ("session", "known", "kind", "scalar", "memory", "way"),
        Session: ("frame", "places", "count", "tape"),
        Tape: ("entries",),
        Place: ("what", "left", "right", "other", "word", "kind"),
        Kind: ("scalar",),
    }
    labels = {traced: "Traced"}
    found = {}
    for kind, slots in wanted.items():
        for slot in slots:
            found[f"{labels.get(kind, kind.__name__)}.{slot}"] = offset = _offset(kind, slot)
            if not _stands_at(kind, slot, offset):
                return None
    return found


def _offset(kind: type, slot: str) -> int:
    member = ctypes.c_size_t.from_address(id(kind.__dict__[slot]) + _MEMBER).value
    return int(ctypes.c_ssize_t.from_address(member + _OFFSET).value)


def _stands_at(kind: type, slot: str, offset: int) -> bool:
    """Try the offset on an object: what is written to the slot has to stand there."""
    if not HEAD <= offset <= kind.__basicsize__ - 8:
        return False
    sample: Any = object.__new__(kind)
    content = object()
    setattr(sample, slot, content)
    return ctypes.c_size_t.from_address(id(sample) + offset).value == id(content)


def _symbol(name: str) -> str:
    return f"gradc.operator.{name}"


def _text(methods: Methods, offsets: Mapping[str, int]) -> str:
    """The module."""
    lines = [f"@gradc.{name} = external global i8" for name in _OBJECTS]
    for name, signature in _API.items():
        lines.append(f"declare {signature.replace(' ', f' @{name}', 1)}")
    written = [_SHARED, *[_FORM.format(form=form, body=body.strip()) for form, body in _BODIES.items()]]
    lines.append(_filled("\n".join(written), offsets))
    for name, (form, _, _) in methods.items():
        own = [f"ptr @gradc.{part}.{name}" for part in ("what", "method")]
        lines += [f"@gradc.{part}.{name} = external global i8" for part in ("what", "method")]
        lines += [
            f"define ptr @{_symbol(name)}(ptr %self, ptr %other) {{",
            f"  %result = call ptr @gradc.{form}(ptr %self, ptr %other, {', '.join(own)})",
            "  ret ptr %result",
            "}",
        ]
    return "\n".join(lines)


def _filled(text: str, offsets: Mapping[str, int]) -> str:
    """The text with ``x = Class.slot(y)`` written out: what the slot of an object holds."""
    lines = []
    for line in text.splitlines():
        target, equals, found = line.strip().partition(" = ")
        slot, bracket, value = found.partition("(")
        if equals and bracket and slot in offsets:
            lines += [
                f"  {target}.at = getelementptr i8, ptr {value[:-1]}, i64 {offsets[slot]}",
                f"  {target} = load ptr, ptr {target}.at",
            ]
        else:
            lines.append(line)
    return "\n".join(lines)


_SHARED: Final = f"""
; What the user's instruction did last, null where nothing is known: in another frame, the first time, of no session.
define internal ptr @gradc.place(ptr %session, ptr %frame, ptr %what) {{
  %unmade = icmp eq ptr %session, null
  br i1 %unmade, label %unknown, label %made
made:
  %running = Session.frame(%session)
  %here = icmp eq ptr %frame, %running
  br i1 %here, label %followed, label %unknown
followed:
  %instruction = call i32 @PyFrame_GetLasti(ptr %frame)
  %wide = sext i32 %instruction to i64
  %key = call ptr @PyLong_FromLongLong(i64 %wide)
  %keyed = icmp ne ptr %key, null
  br i1 %keyed, label %look, label %unknown
look:
  %places = Session.places(%session)
  %place = call ptr @PyDict_GetItemWithError(ptr %places, ptr %key)
  call void @Py_DecRef(ptr %key)
  %there = icmp ne ptr %place, null
  br i1 %there, label %found, label %unknown
found:
  %does = Place.what(%place)
  %same = icmp eq ptr %does, %what
  br i1 %same, label %known, label %unknown
known:
  ret ptr %place
unknown:
  call void @PyErr_Clear()
  ret ptr null
}}

; Whether an operand that is no traced array is the very one, or the same float. No place has a NaN or a zero.
define internal i1 @gradc.equal(ptr %one, ptr %two) {{
  %same = icmp eq ptr %one, %two
  br i1 %same, label %good, label %compare
good:
  ret i1 true
compare:
  %one.type.at = getelementptr i8, ptr %one, i64 {TYPE}
  %one.type = load ptr, ptr %one.type.at
  %two.type.at = getelementptr i8, ptr %two, i64 {TYPE}
  %two.type = load ptr, ptr %two.type.at
  %one.float = icmp eq ptr %one.type, @gradc.float
  %two.float = icmp eq ptr %two.type, @gradc.float
  %floats = and i1 %one.float, %two.float
  br i1 %floats, label %numbers, label %other
numbers:
  %one.at = getelementptr i8, ptr %one, i64 {HEAD}
  %two.at = getelementptr i8, ptr %two, i64 {HEAD}
  %x = load double, ptr %one.at
  %y = load double, ptr %two.at
  %equal = fcmp oeq double %x, %y
  ret i1 %equal
other:
  ret i1 false
}}

; Write a word and one or two integers to the tape, and make the array their result.
define internal ptr @gradc.record(ptr %session, ptr %place, ptr %made, ptr %first, ptr %second) {{
  %tape = Session.tape(%session)
  %entries = Tape.entries(%tape)
  %length.at = getelementptr i8, ptr %entries, i64 {HEAD}
  %length = load i64, ptr %length.at
  %count = Session.count(%session)
  %number = call i64 @PyLong_AsLongLong(ptr %count)
  %more = add i64 %number, 1
  %next = call ptr @PyLong_FromLongLong(i64 %more)
  %counted = icmp ne ptr %next, null
  br i1 %counted, label %write, label %failed
write:
  %word = Place.word(%place)
  %bad.word = call i32 @PyList_Append(ptr %entries, ptr %word)
  %bad.first = call i32 @PyList_Append(ptr %entries, ptr %first)
  %alone = icmp eq ptr %second, null
  br i1 %alone, label %written, label %write.second
write.second:
  %second.failed = call i32 @PyList_Append(ptr %entries, ptr %second)
  br label %written
written:
  %bad.second = phi i32 [ 0, %write ], [ %second.failed, %write.second ]
  %bad.some = or i32 %bad.word, %bad.first
  %bad = or i32 %bad.some, %bad.second
  %good = icmp eq i32 %bad, 0
  br i1 %good, label %fill, label %unwrite
fill:
  store ptr %next, ptr %count.at
  %own.session = Traced.session(%made)
  store ptr %session, ptr %own.session.at
  call void @Py_IncRef(ptr %session)
  %own.known = Traced.known(%made)
  store ptr %count, ptr %own.known.at
  %kind = Place.kind(%place)
  %own.kind = Traced.kind(%made)
  store ptr %kind, ptr %own.kind.at
  call void @Py_IncRef(ptr %kind)
  %scalar = Kind.scalar(%kind)
  %own.scalar = Traced.scalar(%made)
  store ptr %scalar, ptr %own.scalar.at
  call void @Py_IncRef(ptr %scalar)
  %own.memory = Traced.memory(%made)
  store ptr @gradc.none, ptr %own.memory.at
  call void @Py_IncRef(ptr @gradc.none)
  %own.way = Traced.way(%made)
  store ptr @gradc.nowhere, ptr %own.way.at
  call void @Py_IncRef(ptr @gradc.nowhere)
  ret ptr %made
unwrite:
  %unwritten = call i32 @PyList_SetSlice(ptr %entries, i64 %length, i64 {2**63 - 1}, ptr null)
  call void @Py_DecRef(ptr %next)
  br label %failed
failed:
  call void @Py_DecRef(ptr %made)
  ret ptr null
}}

; What is not known: the method that is written in Python.
define internal ptr @gradc.python(ptr %made, ptr %method, ptr %self, ptr %other) {{
  call void @Py_DecRef(ptr %made)
  %arguments = alloca [2 x ptr]
  %second = getelementptr ptr, ptr %arguments, i64 1
  store ptr %self, ptr %arguments
  store ptr %other, ptr %second
  %alone = icmp eq ptr %other, null
  %count = select i1 %alone, i64 1, i64 2
  %result = call ptr @PyObject_Vectorcall(ptr %method, ptr %arguments, i64 %count, ptr null)
  ret ptr %result
}}
"""

_FORM: Final = """
define internal ptr @gradc.{form}(ptr %self, ptr %other, ptr %what, ptr %method) {{
  %made = call ptr @PyType_GenericAlloc(ptr @gradc.traced, i64 0)
  %blank = icmp ne ptr %made, null
  br i1 %blank, label %begin, label %failed
begin:
  %frame = call ptr @PyEval_GetFrame()
  %session = Traced.session(%self)
  %place = call ptr @gradc.place(ptr %session, ptr %frame, ptr %what)
  %there = icmp ne ptr %place, null
  br i1 %there, label %known, label %python
known:
  %own = Traced.kind(%self)
  %left = Place.left(%place)
  %right = Place.right(%place)
  {body}
python:
  %answer = call ptr @gradc.python(ptr %made, ptr %method, ptr %self, ptr %other)
  ret ptr %answer
failed:
  ret ptr null
}}
"""
"""What all forms begin and end with. A place whose operands are these records them, all else is left to Python."""

_PLAIN: Final = f"""
  %class.at = getelementptr i8, ptr %other, i64 {TYPE}
  %class = load ptr, ptr %class.at
  %class.wanted = Place.other(%place)
  %class.fits = icmp eq ptr %class, %class.wanted
  %is.traced = icmp eq ptr %class, @gradc.traced
"""

_BINARY: Final = f"""
  {_PLAIN}
  %left.fits = icmp eq ptr %left, %own
  %fits = and i1 %left.fits, %class.fits
  br i1 %fits, label %operand, label %python
operand:
  %first = Traced.known(%self)
  br i1 %is.traced, label %array, label %plain
array:
  %kind = Traced.kind(%other)
  %right.fits = icmp eq ptr %kind, %right
  br i1 %right.fits, label %two, label %python
two:
  %second = Traced.known(%other)
  %result.two = call ptr @gradc.record(ptr %session, ptr %place, ptr %made, ptr %first, ptr %second)
  ret ptr %result.two
plain:
  %equal = call i1 @gradc.equal(ptr %other, ptr %right)
  br i1 %equal, label %one, label %python
one:
  %result.one = call ptr @gradc.record(ptr %session, ptr %place, ptr %made, ptr %first, ptr null)
  ret ptr %result.one
"""

_BODIES: Final = {
    "binary": _BINARY,
    "in_place": f"""
  %number = Traced.scalar(%self)
  %is.number = icmp eq ptr %number, @gradc.true
  br i1 %is.number, label %other.number, label %python
other.number:
  {_BINARY}
""",
    "reflected": f"""
  {_PLAIN}
  %right.fits = icmp eq ptr %right, %own
  %is.plain = xor i1 %is.traced, true
  %plain.fits = and i1 %class.fits, %is.plain
  %fits = and i1 %right.fits, %plain.fits
  br i1 %fits, label %operand, label %python
operand:
  %equal = call i1 @gradc.equal(ptr %other, ptr %left)
  br i1 %equal, label %one, label %python
one:
  %first = Traced.known(%self)
  %result = call ptr @gradc.record(ptr %session, ptr %place, ptr %made, ptr %first, ptr null)
  ret ptr %result
""",
    "unary": """
  %fits = icmp eq ptr %left, %own
  br i1 %fits, label %one, label %python
one:
  %first = Traced.known(%self)
  %result = call ptr @gradc.record(ptr %session, ptr %place, ptr %made, ptr %first, ptr null)
  ret ptr %result
""",
    "element": """
  %index.fits = icmp eq ptr %right, %other
  br i1 %index.fits, label %same, label %python
same:
  %array = Traced.known(%self)
  %number = call i64 @PyLong_AsLongLong(ptr %array)
  %wanted = call i64 @PyLong_AsLongLong(ptr %left)
  %fits = icmp eq i64 %number, %wanted
  br i1 %fits, label %one, label %python
one:
  %element = Place.other(%place)
  %result = call ptr @gradc.record(ptr %session, ptr %place, ptr %made, ptr %element, ptr null)
  ret ptr %result
""",
}
"""By form: where the operands are those of the place, record them. An element was taken from the same array before;
in place a number becomes another one, and an array is written."""
