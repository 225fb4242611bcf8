"""Objects that are called without Python in between: the base of Function and Kernel.

CPython calls an object of a type with the vectorcall flag through a pointer that stands in the object. ``Native`` is a
C type with room for that pointer and for the entries to try; a subclass has a ``__dict__``, weak references and the
garbage collector as any class. While the pointer is null CPython calls ``__call__``, which is written in Python, does
everything and is where a call ends that no entry fits: the pointer only makes calls faster.

``call_natively`` says so for a subclass. CPython sets the flag by itself only where ``__call__`` is not defined in
Python (and never for a class statement in 3.11), so it is set here. A subclass that has a ``__call__`` of its own does
not get it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from gradc.backends.llvm.entry.abi import HEAD, TYPE_FLAGS, function_address, known_interpreter

WAYS: Final = 4
"""Entries that are tried, one after the other, before a call goes to Python."""

SETTINGS: Final = 3
"""Settings that are compared before entries are tried."""

CALL: Final = HEAD
FALLBACK: Final = HEAD + 8
ENTRIES: Final = HEAD + 16
SETTING: Final = ENTRIES + 8 * WAYS
SETTING_WORDS: Final = 4
VERSION: Final = SETTING + 8 * SETTING_WORDS * SETTINGS
"""The version of the environment in which the settings were as they are compared; 0 at first."""

SIZE: Final = VERSION + 8

_VECTORCALL: Final = 1 << 11
_DEFAULT: Final = 1 << 18
_BASE_TYPE: Final = 1 << 10
_MEMBERS: Final = 72
_CALL: Final = 50
_SSIZE: Final = 19
_READ_ONLY: Final = 1


class _Member(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.POINTER(_Slot)),
    ]


_KEPT: Final[list[Any]] = []


def _make() -> type:
    """The C type. What its slots point to stays alive with this module."""
    members = (_Member * 2)(_Member(b"__vectorcalloffset__", _SSIZE, CALL, _READ_ONLY, None))
    slots = (_Slot * 3)(
        _Slot(_MEMBERS, ctypes.addressof(members)),
        _Slot(_CALL, function_address("PyVectorcall_Call")),
    )
    name = b"gradc.backends.llvm.entry.native.Native"
    spec = _Spec(name, SIZE, 0, _DEFAULT | _BASE_TYPE | _VECTORCALL, slots)
    _KEPT.extend([members, slots, name, spec])
    from_spec = ctypes.pythonapi["PyType_FromSpec"]
    from_spec.restype = ctypes.py_object
    from_spec.argtypes = [ctypes.POINTER(_Spec)]
    made: type = from_spec(ctypes.byref(spec))
    return made


if TYPE_CHECKING:

    class Native:
        """An object with a pointer that CPython calls; null at first."""

elif known_interpreter():
    Native = _make()
else:

    class Native:
        """An object that is called through ``__call__`` alone."""

        __slots__ = ()


def call_natively(cls: type) -> None:
    """Let CPython look for the pointer in objects of this class before it calls ``__call__``."""
    if known_interpreter():
        flags = ctypes.c_ulong.from_address(id(cls) + TYPE_FLAGS)
        if flags.value != cls.__flags__ or not issubclass(cls, Native):
            raise TypeError(f"{cls.__name__} is not laid out as a class of objects that are called natively")
        flags.value |= _VECTORCALL
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(cls))


def is_called_natively(cls: type) -> bool:
    """Whether CPython looks for the pointer in objects of this very class."""
    return bool(cls.__flags__ & _VECTORCALL) and issubclass(cls, Native)


def point(target: Native, dispatch: int, fallback: object, entries: Sequence[int], settings: Sequence[int]) -> None:
    """Have calls of an object tried on ``entries``, with ``fallback(target, ...)`` for those that fit none.

    The object is of a class that is called natively.
    ``dispatch`` is the address of the function that tries them. The caller keeps alive what the addresses belong to for
    as long as they stand here: ``fallback``, the entries and the settings (``SETTING_WORDS`` words each).
    """
    fields = (ctypes.c_size_t * ((SIZE - HEAD) // 8)).from_address(id(target) + HEAD)
    fields[0] = 0
    tried = [*entries, *[0] * WAYS][:WAYS]
    compared = [*settings, *[0] * SETTING_WORDS * SETTINGS][: SETTING_WORDS * SETTINGS]
    for position, word in enumerate([id(fallback), *tried, *compared, 0], 1):
        fields[position] = word
    fields[0] = dispatch
