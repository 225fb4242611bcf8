"""Python's operators on traced arrays.

Each looks first at what the same instruction did last: on operands of the same kinds it does the same, which is one
entry on the tape. These methods are what a trace of many small operations spends its time in.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import numpy as np

from gradc.frontend.again import ALONE
from gradc.frontend.items import ITEM
from gradc.frontend.numpy_api import promote
from gradc.frontend.selected import Selected
from gradc.frontend.sizes import Size
from gradc.frontend.tape import TracedBase
from gradc.ir.graph import Value

_BINARY: Final = (
    "add",
    "sub",
    "mul",
    "truediv",
    "floordiv",
    "mod",
    "pow",
    "matmul",
    "and",
    "or",
    "xor",
    "lshift",
    "rshift",
)
_COMPARISONS: Final = ("eq", "ne", "lt", "le", "gt", "ge")
COMPARISONS: Final = frozenset(_COMPARISONS)
OF_INTEGERS: Final = frozenset({*_BINARY, "neg", "pos", "abs", "invert"} - {"and", "or", "xor", "matmul"})
"""Operators for which Python's True and False are integers."""
_NUMBERS: Final = frozenset({bool, int, float, complex})
_UNARY: Final = ("neg", "pos", "abs", "invert")

_OPERANDS: Final = frozenset({int, float, bool, complex, list, tuple, range, Size, Value})
"""Classes of operands that are no arrays, and are taken as NumPy takes them."""

Class = TypeVar("Class", bound=type)


_ORDER: Final = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le"}


def is_left_to(x: Any, scalar: bool, name: str, *, weak: bool = False) -> bool:
    """Whether the operator ``name`` with an array, or with a number, is one of the class of ``x``, as NumPy has it.

    ``weak`` is whether the number is Python's.
    """
    kind = type(x)
    if kind in _OPERANDS or issubclass(kind, (np.ndarray, np.generic, TracedBase)):
        return False
    if kind is Selected or getattr(kind, "__array_ufunc__", kind) is None:
        return True
    if not hasattr(kind, "__array_ufunc__") and getattr(kind, "__array_priority__", 0) > 0:
        return True
    if not scalar:
        return False
    reflected = f"__{_ORDER.get(name, name if name in ('eq', 'ne') else f'r{name}')}__"
    own = getattr(kind, reflected, None)
    if issubclass(kind, (int, float, complex)):  # as of an IntEnum: NumPy takes the number, Python asks it
        return weak and all(own is not getattr(number, reflected, None) for number in _NUMBERS)
    return name in ("eq", "ne") or own is not getattr(object, reflected, None)


def as_integers(bools: Collection[int], operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """Operands of arithmetic with integers for Python's True and False, where nothing of NumPy's is among them.

    ``bools`` are the nodes that Python's comparisons made: NumPy's own are added as ``or``.
    """
    traced = [x for x in operands if isinstance(x, TracedBase)]
    own = {id(x) for x in traced if x.scalar and x.dtype == bool and x.current().id in bools}  # type: ignore[attr-defined]
    if not own or any(type(x) not in _NUMBERS for x in operands if not isinstance(x, TracedBase)):
        return operands
    if not all(id(x) in own or x.aval.weak for x in traced):  # type: ignore[attr-defined]
        return operands
    return tuple([x.python_number(promote.python_integer) if id(x) in own else x for x in operands])


Methods = Mapping[str, tuple[str, Any, Callable[..., Any]]]
"""Methods by name: their form (binary, reflected, in_place, unary, element), what stands for them at a place, and
themselves."""

LONG: Final = 4096
"""After so many values a trace is worth machine code."""

MACHINE: Final[list[Callable[[type, Methods], dict[str, Any] | None]]] = []
"""What makes machine code of methods: it gives what takes their place, or None where it has to be asked later."""


def with_operators(traced: Class) -> Class:
    """Give the class of traced arrays Python's operators; its ``operate``, ``update`` and ``taken`` do what is new."""
    methods: dict[str, tuple[str, Any, Callable[..., Any]]] = {}

    def in_machine_code() -> None:
        makers, MACHINE[:] = MACHINE[:], []  # another thread finds none meanwhile
        for make in makers:
            faster = make(traced, methods)
            if faster is None:
                MACHINE.append(make)
            for special, method in (faster or {}).items():
                setattr(traced, special, method)

    for name in _UNARY:
        methods[f"__{name}__"] = ("unary", name, _unary(traced, name, in_machine_code))
    for name in (*_BINARY, *_COMPARISONS):
        methods[f"__{name}__"] = ("binary", name, _forward(traced, name, in_machine_code))
    for name in _BINARY:
        methods[f"__r{name}__"] = ("reflected", name, _reflected(traced, name, in_machine_code))
        methods[f"__i{name}__"] = ("in_place", name, _in_place(name, _forward(traced, name, in_machine_code, depth=2)))
    methods["__getitem__"] = ("element", ITEM, _getitem(traced))
    made = {special: method for special, (_, _, method) in methods.items()}
    made["__divmod__"], made["__rdivmod__"] = _divmod, _rdivmod
    for special, method in made.items():
        method.__name__ = special
        method.__qualname__ = f"{traced.__name__}.{special}"
        setattr(traced, special, method)
    return traced


def _forward(traced: Any, name: str, is_long: Callable[[], None], depth: int = 1) -> Callable[..., Any]:
    # What is called at every operation stands in the closure: a look-up in a module costs more.
    frame_of, bare = sys._getframe, object.__new__

    def method(self: Any, other: Any) -> Any:
        session = self.session
        frame = frame_of(depth)
        if frame is session.frame or session.follow(frame):
            place = session.places.get(frame.f_lasti)
            if (
                place is not None
                and place.what is name
                and place.left is self.kind
                and (kind := type(other)) is place.other
                and (other.kind is place.right if kind is traced else other == place.right)
            ):
                if kind is traced:
                    session.record((place.word, self.known, other.known))
                else:
                    session.record((place.word, self.known))
                made = bare(traced)
                made.session = session
                made.known = count = session.count
                session.count = count + 1
                if not count % LONG:
                    is_long()
                made.kind = kind = place.kind
                made.scalar = kind.scalar
                made.memory = None
                made.way = ()
                return made
        return self.operate(name, self, other, frame)

    return method


def _reflected(traced: Any, name: str, is_long: Callable[[], None]) -> Callable[..., Any]:
    frame_of, bare = sys._getframe, object.__new__

    def method(self: Any, other: Any) -> Any:
        session = self.session
        frame = frame_of(1)
        if frame is session.frame or session.follow(frame):
            place = session.places.get(frame.f_lasti)
            if (
                place is not None
                and place.what is name
                and place.right is self.kind
                and (kind := type(other)) is place.other
                and kind is not traced
                and other == place.left
            ):
                session.record((place.word, self.known))
                made = bare(traced)
                made.session = session
                made.known = count = session.count
                session.count = count + 1
                if not count % LONG:
                    is_long()
                made.kind = kind = place.kind
                made.scalar = kind.scalar
                made.memory = None
                made.way = ()
                return made
        return self.operate(name, other, self, frame)

    return method


def _unary(traced: Any, name: str, is_long: Callable[[], None]) -> Callable[..., Any]:
    frame_of, bare = sys._getframe, object.__new__

    def method(self: Any) -> Any:
        session = self.session
        frame = frame_of(1)
        if frame is session.frame or session.follow(frame):
            place = session.places.get(frame.f_lasti)
            if place is not None and place.what is name and place.left is self.kind:
                session.record((place.word, self.known))
                made = bare(traced)
                made.session = session
                made.known = count = session.count
                session.count = count + 1
                if not count % LONG:
                    is_long()
                made.kind = kind = place.kind
                made.scalar = kind.scalar
                made.memory = None
                made.way = ()
                return made
        return self.operate(name, self, ALONE, frame)

    return method


def _getitem(traced: Any) -> Callable[..., Any]:
    frame_of, bare = sys._getframe, object.__new__

    def method(self: Any, index: Any) -> Any:
        session = self.session
        frame = frame_of(1)
        if frame is session.frame or session.follow(frame):
            place = session.places.get(frame.f_lasti)
            if place is not None and place.what is ITEM and place.left == self.known and place.right is index:
                session.record((place.word, place.other))
                made = bare(traced)
                made.session = session
                made.known = session.count
                session.count += 1
                made.kind = kind = place.kind
                made.scalar = kind.scalar
                made.memory = None
                made.way = ()
                return made
        return self.taken(index, frame)

    return method


def _in_place(name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        if self.scalar:  # a number: what comes of it is another one
            return forward(self, other)
        return self.update(name, other, sys._getframe(1))

    return method


def _divmod(self: Any, other: Any) -> Any:
    return self // other, self % other


def _rdivmod(self: Any, other: Any) -> Any:
    return other // self, other % self
