"""The text of one entry as it grows: values with fresh names, guards, and the Python objects that it names."""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.backends.llvm.entry import abi
from gradc.frontend.tree import TreeDef

_BUILTINS: Final[dict[type | None, str]] = {dict: "@PyDict_Type", list: "@PyList_Type", tuple: "@PyTuple_Type"}


class EntryText:
    """Lines of a function. ``entry`` holds what stands at its head, ``objects`` the Python objects by symbol.

    ``functions`` are others of the module. Those that are written as ``part`` name the same objects.
    """

    def __init__(self, whole: EntryText | None = None) -> None:
        self.lines: list[str] = []
        self.entry: list[str] = []
        self.functions: list[str] = []
        self.globals: list[str] = [] if whole is None else whole.globals
        self.objects: dict[str, object] = {} if whole is None else whole.objects
        self.block = "begin"
        self._count = 0
        self._symbols: dict[tuple[str, int], str] = {} if whole is None else whole._symbols

    def part(self) -> EntryText:
        """The text of another function of the module."""
        return EntryText(self)

    def line(self, text: str, *, indent: bool = True) -> None:
        """Add a line; a label is not indented, and begins a block."""
        if not indent:
            self.block = text.removesuffix(":")
        self.lines.append(f"  {text}" if indent else text)

    def label(self, word: str) -> str:
        """A fresh label."""
        self._count += 1
        return f"{word}.{self._count}"

    def value(self, text: str) -> str:
        """The result of an instruction."""
        self._count += 1
        name = f"%v{self._count}"
        self.line(f"{name} = {text}")
        return name

    def alloca(self, kind: str) -> str:
        """Memory of this call."""
        self._count += 1
        name = f"%m{self._count}"
        self.entry.append(f"  {name} = alloca {kind}")
        return name

    def at(self, pointer: str, offset: int) -> str:
        """The address some bytes further on."""
        return self.value(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer

    def load(self, kind: str, address: str) -> str:
        """What stands at an address."""
        return self.value(f"load {kind}, ptr {address}")

    def object(self, word: str, value: object) -> str:
        """The symbol of a Python object, which has to outlive the entry.

        Of dtypes that are equal it is NumPy's own, so that the text does not tell where they came from.
        """
        if isinstance(value, np.dtype):
            value = np.dtype(value.str)
        found = self._symbols.get((word, id(value)))
        if found is None:
            name = f"gradc.{word}.{len(self.objects)}"
            self.objects[name] = value
            self.globals.append(f"@{name} = external global i8")
            found = self._symbols[word, id(value)] = f"@{name}"
        return found

    def branch(self, condition: str, good: str, other: str = "missed") -> None:
        """Go on at one of two labels."""
        self.line(f"br i1 {condition}, label %{good}, label %{other}")

    def guard(self, condition: str) -> None:
        """Miss unless a condition holds. Nothing is owned yet."""
        here = self.label("fits")
        self.branch(condition, here, "miss")
        self.line(f"{here}:", indent=False)

    def guard_type(self, value: str, wanted: str) -> None:
        """Miss unless an object is of exactly this type."""
        kind = self.load("ptr", self.at(value, abi.TYPE))
        self.guard(self.value(f"icmp eq ptr {kind}, {wanted}"))

    def guard_same(self, wanted: str, found: str, *, compare: str = "gradc.same") -> None:
        """Miss unless an object is the wanted one, or is as good by ``compare``."""
        one, other, good = self.value(f"icmp eq ptr {found}, {wanted}"), self.label("other"), self.label("same")
        self.branch(one, good, other)
        self.line(f"{other}:", indent=False)
        equal = self.value(f"call i1 @{compare}(ptr {wanted}, ptr {found})")
        self.branch(equal, good, "miss")
        self.line(f"{good}:", indent=False)

    def unless_null(self, value: str) -> None:
        """Fail where a pointer is null: an exception is set."""
        null, here = self.value(f"icmp eq ptr {value}, null"), self.label("made")
        self.line(f"br i1 {null}, label %failed, label %{here}")
        self.line(f"{here}:", indent=False)

    def items(self, tree: TreeDef, value: str, *, same_keys: bool = False) -> list[str]:
        """What a dict, list, tuple or named tuple holds; a miss unless it is one of this size and these keys.

        With ``same_keys`` the keys of a dict have to be the very objects.
        """
        count = len(tree.children)
        self.guard_type(value, _BUILTINS.get(tree.kind) or self.object("kind", tree.kind))
        size = self.load("i64", self.at(value, abi.HEAD))
        self.guard(self.value(f"icmp eq i64 {size}, {count}"))
        if tree.kind is list:
            items = self.load("ptr", self.at(value, abi.LIST_ITEMS)) if count else ""
            return [self.load("ptr", self.at(items, 8 * k)) for k in range(count)]
        if tree.kind is not dict:
            return [self.load("ptr", self.at(value, abi.TUPLE_ITEMS + 8 * k)) for k in range(count)]
        position, key, item = self.alloca("i64"), self.alloca("ptr"), self.alloca("ptr")
        self.line(f"store i64 0, ptr {position}")
        found = []
        for own in tree.keys:
            more = self.value(f"call i32 @PyDict_Next(ptr {value}, ptr {position}, ptr {key}, ptr {item})")
            self.guard(self.value(f"icmp ne i32 {more}, 0"))
            if same_keys:
                self.guard(self.value(f"icmp eq ptr {self.load('ptr', key)}, {self.object('key', own)}"))
            else:
                self.guard_same(self.object("key", own), self.load("ptr", key))
            found.append(self.load("ptr", item))
        return found
