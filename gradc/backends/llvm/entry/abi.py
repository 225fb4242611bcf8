"""The layout of CPython's and NumPy's objects, as far as entries read it.

Every offset is tried on live objects before it is trusted. On interpreters that are not known (free-threaded builds,
other implementations, versions to come) ``abi()`` is None, and calls take the way through Python and ctypes.

What differs by version: from 3.12 on a reference count is the low half of its word, 3.14 keeps the hash of a tuple in
front of its items. 3.14 also has arguments on its stack without a reference where a variable of the caller's holds
them, which is as good: whoever takes the variable's value away keeps it in the frame until the call is over.
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Final

import numpy as np

HEAD: Final = 16
"""The bytes of a PyObject: reference count and type. What an object holds begins here: numbers, sizes, the data of an
array, the number of entries of a dict."""

TYPE: Final = 8
REFERENCES: Final = "i64" if sys.version_info < (3, 12) else "i32"
"""The type of the reference count, which stands at the head. From 3.12 on what is above its low half are flags."""
LIST_ITEMS: Final = 24
TUPLE_ITEMS: Final = tuple.__basicsize__
TUPLE_HASH: Final = HEAD + 8 if TUPLE_ITEMS == HEAD + 16 else 0
"""Where a tuple keeps its hash, -1 at first; 0 where it does not: from 3.14 on it does."""
TYPE_FLAGS: Final = 168
TYPE_ALLOCATE: Final = 304
"""Where a type has the function that makes objects of it, ``PyType_GetSlot``'s number ``_ALLOCATE``."""

DICT_VERSION: Final = HEAD + 8 if sys.version_info < (3, 13) else 0
"""Where a dict keeps a number that changes with it; 0 where it does not: from 3.13 on."""

ARRAY_DATA: Final = HEAD
ARRAY_NDIM: Final = HEAD + 8
ARRAY_SHAPE: Final = HEAD + 16
ARRAY_STRIDES: Final = HEAD + 24
ARRAY_BASE: Final = HEAD + 32
ARRAY_DTYPE: Final = HEAD + 40
ARRAY_FLAGS: Final = HEAD + 48
ARRAY_WEAK_REFERENCES: Final = HEAD + 56
ARRAY_HANDLER: Final = HEAD + 72
"""The capsule of the functions that gave an array its memory (NumPy's NEP 49)."""

HANDLER_CONTEXT: Final = 128
HANDLER_MALLOC: Final = 136
HANDLER_FREE: Final = 160
"""What stands in such a capsule, behind a name and the version: the context of its functions, and two of them."""

ARGUMENT_FLAGS: Final = (0x101, 0x101)
"""Flags of an array that is read: those that count, and those of them that have to be set: C-contiguous, aligned."""
RESULT_FLAGS: Final = (0x8000_0501, 0x501)
"""Flags of an array that is written: it is writeable too, and without the mark that has NumPy warn of writing."""

DTYPE_KIND: Final = HEAD + 8
DTYPE_BYTE_ORDER: Final = HEAD + 10
DTYPE_NUMBER: Final = HEAD + 12
DTYPE_SIZE: Final = HEAD + 24
BUILTIN_DTYPES: Final = 24
"""Numbers below belong to NumPy's own dtypes; others may call themselves floats and be stored in another way."""

_KNOWN: Final = ((3, 11), (3, 12), (3, 13), (3, 14))
_NUMPY_ABI: Final = 0x2000000
_NUMPY_TABLE: Final = {
    "PyArray_Scalar": 60, "PyArray_NewCopy": 85, "PyArray_New": 93, "PyArray_NewFromDescr": 94,
    "PyDataMem_GetHandler": 305,
}  # fmt: skip
_OWN_HANDLER: Final = 306
_ALLOCATE: Final = 47
_HANDLER: Final = b"default_allocator"
_PYTHON: Final = (
    "PyContextVar_Get", "PyDict_GetItemWithError", "PyDict_New", "PyDict_Next", "PyDict_SetItem", "PyErr_Clear",
    "PyErr_NoMemory", "PyEval_RestoreThread", "PyEval_SaveThread", "PyList_New", "PyLong_AsLongLongAndOverflow",
    "PyMem_Free", "PyMem_Malloc", "PyMem_RawFree", "PyMem_RawMalloc", "PyObject_Vectorcall",
    "PyTraceMalloc_Track", "PyTuple_New", "PyUnicode_Compare", "Py_DecRef", "Py_IncRef",
)  # fmt: skip
_OBJECTS: Final = {
    "Py_None": None, "PyDict_Type": dict, "PyFloat_Type": float, "PyList_Type": list, "PyLong_Type": int,
    "PyTuple_Type": tuple, "PyUnicode_Type": str, "PyArray_Type": np.ndarray, "gradc.memmap": np.memmap,
}  # fmt: skip


@dataclass(frozen=True)
class Abi:
    """Where entries find the functions and objects of CPython and NumPy: addresses by name."""

    addresses: dict[str, int]


@cache
def abi() -> Abi | None:
    """The addresses, or None where the layout of objects is not the one that this module states."""
    if not known_interpreter() or not _layout_holds():
        return None
    table = _numpy_table()
    if table is None or not all(hasattr(ctypes.pythonapi, name) for name in _PYTHON):
        return None
    addresses = {name: function_address(name) for name in _PYTHON}
    addresses |= {name: id(value) for name, value in _OBJECTS.items()}
    addresses |= {name: int(table[slot]) for name, slot in _NUMPY_TABLE.items()}
    capsule, allocator = _own_handler(table) or (id(None), id(None))
    return Abi(addresses | {"gradc.handler.own": capsule, "gradc.allocator": allocator})


@cache
def known_interpreter() -> bool:
    """Whether this is a CPython whose types are laid out as this module says: with a GIL, on a 64-bit machine."""
    return (
        sys.implementation.name == "cpython"
        and sys.version_info[:2] in _KNOWN
        and object.__basicsize__ == HEAD
        and ctypes.sizeof(ctypes.c_void_p) == 8
        and all(_word(kind, TYPE) == id(type(kind)) for kind in (int, np.ndarray))
        and all(_read(kind, TYPE_FLAGS, "L") == kind.__flags__ for kind in (int, type, np.ndarray))
    )


def function_address(name: str) -> int:
    """The address of a function of CPython's API."""
    address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    assert address is not None
    return address


def _numpy_table() -> ctypes.Array[ctypes.c_size_t] | None:
    """NumPy's table of C functions, None where its ABI is another."""
    get_pointer = ctypes.pythonapi["PyCapsule_GetPointer"]
    get_pointer.restype = ctypes.c_void_p
    get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    try:
        capsule = import_module("numpy._core._multiarray_umath")._ARRAY_API
    except (ImportError, AttributeError):
        return None
    table = (ctypes.c_size_t * (1 + _OWN_HANDLER)).from_address(get_pointer(capsule, None))
    if table[2] != id(np.ndarray) or table[3] != id(np.dtype):
        return None
    version = ctypes.PYFUNCTYPE(ctypes.c_uint)(int(table[0]))()
    return table if version == _NUMPY_ABI else None


def _own_handler(table: ctypes.Array[ctypes.c_size_t]) -> tuple[int, int] | None:
    """The capsule of NumPy's own memory functions and what is in it; None where arrays do not have it where we say."""
    capsule = ctypes.c_size_t.from_address(table[_OWN_HANDLER]).value
    if _word(np.empty(3), ARRAY_HANDLER) != capsule:
        return None
    get_pointer = ctypes.PYFUNCTYPE(ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p)
    allocator = get_pointer(function_address("PyCapsule_GetPointer"))(capsule, b"mem_handler")
    head = _HANDLER + bytes(HANDLER_CONTEXT - 1 - len(_HANDLER)) + b"\1"
    return (capsule, allocator) if ctypes.string_at(allocator, HANDLER_CONTEXT) == head else None


def _layout_holds() -> bool:
    """Try each offset on objects whose contents are known."""
    array = np.arange(6.0).reshape(2, 3)
    shape = _word(array, ARRAY_SHAPE)
    dtypes = [np.dtype(code) for code in ("?", "i1", "u2", "i4", "u8", "f4", "f8", ">f8")]
    numbers = [(1.5, "d"), (np.float64(1.5), "d"), (np.float32(1.5), "f"), (np.int64(-3), "q"), (np.int8(-3), "b")]
    pair, items = (array, shape), [array, shape]
    return (
        all(_word(value, TYPE) == id(type(value)) for value in (array, pair, items, 1.5, dtypes[0]))
        and _word(array, ARRAY_DATA) == array.ctypes.data
        and _read(array, ARRAY_NDIM, "i") == 2
        and _word(array, ARRAY_STRIDES) == shape + 16
        and _is_address(shape)
        and list((ctypes.c_int64 * 4).from_address(shape)) == [2, 3, 24, 8]
        and _word(array, ARRAY_BASE) == id(array.base)
        and _word(np.empty(0), ARRAY_BASE) == 0
        and _word(array, ARRAY_DTYPE) == id(array.dtype)
        and all(_layout_flags(x) == (x.flags.c_contiguous, x.flags.aligned) for x in (array, array.T, array[:, 1:]))
        and all(_describes(dtype) for dtype in dtypes)
        and all(_read(value, HEAD, code) == value for value, code in numbers)
        and _word(pair, HEAD) == _word(items, HEAD) == _word({1: 2, 3: 4}, HEAD) == 2
        and _word(pair, TUPLE_ITEMS) == id(array)
        and (not TUPLE_HASH or _hash_of_tuple_is_kept())
        and (not DICT_VERSION or _versions_of_dicts_change())
        and all(
            _word(kind, TYPE_ALLOCATE) == _type_slot(kind, _ALLOCATE) for kind in (np.float64, np.int32, np.float16)
        )
        and _references_are_counted()
        and _weak_references_are_seen()
        and _is_address(_word(items, LIST_ITEMS))
        and ctypes.c_size_t.from_address(_word(items, LIST_ITEMS)).value == id(array)
    )


def _is_address(word: int) -> bool:
    """Whether a word may be looked behind: it is no number, flag or null."""
    return word % 8 == 0 and word > 1 << 16


def _references_are_counted() -> bool:
    array = np.empty(0)
    code = {"i32": "i", "i64": "q"}[REFERENCES]
    before = _read(array, 0, code)
    held = [array] * 5
    return bool(_read(array, 0, code) == before + len(held))


def _weak_references_are_seen() -> bool:
    array = np.empty(0)
    before = _word(array, ARRAY_WEAK_REFERENCES)
    reference = weakref.ref(array)
    return before == 0 and _word(array, ARRAY_WEAK_REFERENCES) == id(reference)


def _versions_of_dicts_change() -> bool:
    changed: dict[bytes, bytes] = {}
    seen = []
    changes: list[Callable[[], object]] = [
        lambda: changed.update({b"a": b"1"}),
        lambda: changed.update({b"a": b"2"}),
        lambda: changed.setdefault(b"b", b""),
        lambda: changed.pop(b"b"),
        changed.clear,
    ]
    for change in changes:
        change()
        seen.append(_read(changed, DICT_VERSION, "q"))
        if _read(changed, DICT_VERSION, "q") != seen[-1]:
            return False
    return len(set(seen)) == len(seen) and 0 not in seen


def _hash_of_tuple_is_kept() -> bool:
    fresh = (np.empty(0).shape, "hash")
    before = _read(fresh, TUPLE_HASH, "q")
    return bool(before == -1 and hash(fresh) == _read(fresh, TUPLE_HASH, "q"))


def _layout_flags(array: np.ndarray) -> tuple[bool, bool]:
    flags = _read(array, ARRAY_FLAGS, "i")
    return bool(flags & 0x1), bool(flags & 0x100)


def _describes(dtype: np.dtype) -> bool:
    return (
        chr(_read(dtype, DTYPE_KIND, "B")) == dtype.kind
        and chr(_read(dtype, DTYPE_BYTE_ORDER, "B")) == dtype.byteorder
        and _read(dtype, DTYPE_NUMBER, "i") == dtype.num < BUILTIN_DTYPES
        and _word(dtype, DTYPE_SIZE) == dtype.itemsize
    )


def _type_slot(kind: type, number: int) -> int | None:
    get_slot = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_int)
    address: int | None = get_slot(function_address("PyType_GetSlot"))(kind, number)
    return address


_CTYPES: Final[dict[str, Any]] = {
    "b": ctypes.c_int8, "B": ctypes.c_uint8, "i": ctypes.c_int32, "q": ctypes.c_int64, "L": ctypes.c_ulong,
    "f": ctypes.c_float, "d": ctypes.c_double,
}  # fmt: skip


def _read(value: object, offset: int, code: str) -> Any:
    return _CTYPES[code].from_address(id(value) + offset).value


def _word(value: object, offset: int) -> int:
    return ctypes.c_size_t.from_address(id(value) + offset).value
