"""The results of an entry: arrays made in front of the kernel's call, then scalars and containers around them.

Arrays that the caller gave are written in place of new ones. They are held from the end of the kernel's call on, for
what makes containers may run code that takes them out of the caller's.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gradc.backends.llvm.dims import Dims
from gradc.backends.llvm.entry import abi
from gradc.backends.llvm.entry.plan import Plan
from gradc.backends.llvm.entry.reuse import MOST_BYTES, ReuseWriter, bytes_of, can_reuse, has_number_behind_head
from gradc.backends.llvm.entry.text import EntryText
from gradc.frontend.tree import TreeDef
from gradc.ir.aval import Aval, Dim, SymbolicDim, symbol


class ResultWriter:
    """Writes the making of results. Whatever is made and not handed on stands in a row of owned objects.

    ``given`` are the arrays of the caller's by number of the result, each with the address of its elements. The row
    has room for ``held`` objects that are held while the kernel runs.
    """

    def __init__(
        self, text: EntryText, plan: Plan, given: Mapping[int, tuple[str, str]], dims: Dims, held: int
    ) -> None:
        self.text = text
        self.tree = plan.outputs
        self.avals = plan.results
        self.given = given
        self.dims = dims
        self.reuses = can_reuse(plan) and not given
        self.small = "true"
        self.sizes = "".join(f", i64 {dims.operand(symbol(name))}" for name in plan.symbols)
        if self.reuses:
            text.functions += ReuseWriter(plan, text).lines
        self.count = len(plan.results) + _containers(plan.outputs)
        self.room = self.count + held + self.reuses
        self.row = f"[{max(self.room, 1)} x ptr]"
        self.owned = text.alloca(self.row)
        self.handler = "null"
        self._pointers: list[str] = []
        self._leaf = 0
        self._container = len(plan.results)

    def allocate(self) -> list[str]:
        """Find a result to use again, or make the arrays; scalars get room on the stack.

        Gives where the kernel writes each.
        """
        text = self.text
        text.line(f"store {self.row} zeroinitializer, ptr {self.owned}")
        self.held = text.at(self.owned, 8 * self.count)
        if not self.reuses:
            self._find_handler()
            self._pointers = [self._place(position, aval) for position, aval in enumerate(self.avals)]
            return self._pointers
        places = text.alloca(f"[{len(self.avals)} x ptr]")
        self._know_sizes()
        text.line(f"br i1 {self.small}, label %find, label %new")
        text.line("find:", indent=False)
        found = text.value(f"call ptr @gradc.find(ptr %record, ptr {places}{self.sizes})")
        text.line(f"store ptr {found}, ptr {self._at(self.room - 1)}")
        text.line(f"br i1 {text.value(f'icmp eq ptr {found}, null')}, label %new, label %placed")
        text.line("new:", indent=False)
        self._find_handler()
        for position, aval in enumerate(self.avals):
            text.line(f"store ptr {self._place(position, aval)}, ptr {text.at(places, 8 * position)}")
        text.line("br label %placed")
        text.line("placed:", indent=False)
        self._pointers = [text.load("ptr", text.at(places, 8 * position)) for position in range(len(self.avals))]
        return self._pointers

    def _know_sizes(self) -> None:
        """Compute the sizes of all results, and whether they are small, where that holds for all that follows."""
        total: Dim = 0
        for aval in self.avals:
            for size in (*aval.shape, bytes_of(aval)):
                self.dims.operand(size)
            total = total + bytes_of(aval)
        if isinstance(total, SymbolicDim):
            self.small = self.text.value(f"icmp ule i64 {self.dims.operand(total)}, {MOST_BYTES}")

    def _find_handler(self) -> None:
        """Ask for the functions that give memory, where an array is made."""
        if any(aval.shape and position not in self.given for position, aval in enumerate(self.avals)):
            self.handler = self.text.value("call ptr @gradc.handler()")

    def _place(self, position: int, aval: Aval) -> str:
        """Where the kernel writes one result: in the caller's array, on the stack, or in a new array."""
        text = self.text
        if position in self.given:
            return self.given[position][1]
        if not aval.shape:
            return text.alloca("i64" if aval.dtype.itemsize <= 8 else "[2 x i64]")
        dtype = text.object("dtype", np.dtype(aval.dtype.char))
        size = self.dims.operand(bytes_of(aval))
        array = text.value(
            f"call ptr @gradc.new(ptr {self.handler}, ptr {dtype}, i32 {aval.dtype.num}, i32 {aval.ndim}, "
            f"ptr {self._shape(position, aval)}, i64 {size})"
        )
        self._own(position, array)
        return text.load("ptr", text.at(array, abi.ARRAY_DATA))

    def _scalar(self, aval: Aval, number: str) -> str:
        """A new scalar of NumPy with the number at an address."""
        text = self.text
        if not has_number_behind_head(aval):
            return text.value(
                f"call ptr @PyArray_Scalar(ptr {number}, ptr {text.object('dtype', aval.dtype)}, ptr null)"
            )
        made = self._new(text.object("scalar", aval.dtype.type), 0)
        text.unless_null(made)
        bits = f"i{8 * aval.dtype.itemsize}"
        text.line(f"store {bits} {text.load(bits, number)}, ptr {text.at(made, abi.HEAD)}")
        return made

    def _new(self, kind: str, count: int) -> str:
        """A new object of a type, with room for a count of items; null where there is none."""
        make = self.text.load("ptr", self.text.at(kind, abi.TYPE_ALLOCATE))
        return self.text.value(f"call ptr {make}(ptr {kind}, i64 {count})")

    def _shape(self, position: int, aval: Aval) -> str:
        """Where the shape of a result stands."""
        text = self.text
        row = f"[{aval.ndim} x i64]"
        if not aval.is_symbolic:
            text.globals.append(
                f"@gradc.shape.{position} = private constant {row} [{', '.join(f'i64 {size}' for size in aval.shape)}]"
            )
            return f"@gradc.shape.{position}"
        shape = text.alloca(row)
        for axis, size in enumerate(aval.shape):
            text.line(f"store i64 {self.dims.operand(size)}, ptr {text.at(shape, 8 * axis)}")
        return shape

    def finish(self) -> None:
        """Return the result that is used again, or put one together and return it."""
        text = self.text
        if self.reuses:
            reused = text.load("ptr", self._at(self.room - 1))
            text.line(f"br i1 {text.value(f'icmp eq ptr {reused}, null')}, label %build, label %again")
            text.line("again:", indent=False)
            text.line(f"ret ptr {reused}")
            text.line("build:", indent=False)
        for position, (array, _) in self.given.items():
            text.line(f"call void @Py_IncRef(ptr {array})")
            text.line(f"store ptr {array}, ptr {self._at(position)}")
        result = self._handed_on(self._built(self.tree))
        if self.reuses:
            text.line(f"br i1 {self.small}, label %keep, label %kept")
            text.line("keep:", indent=False)
            text.line(f"call void @gradc.keep(ptr %record, ptr {result})")
            text.line("br label %kept")
            text.line("kept:", indent=False)
        text.line(f"ret ptr {result}")

    def drop(self) -> None:
        """Let go of everything that is owned."""
        self.text.line(f"call void @gradc.drop(ptr {self.owned}, i64 {self.room})")

    def _built(self, tree: TreeDef) -> int | None:
        """The place of the finished object, None for None."""
        if tree.is_leaf:
            place, self._leaf = self._leaf, self._leaf + 1
            if not self.avals[place].shape and place not in self.given:
                self._own(place, self._scalar(self.avals[place], self._pointers[place]))
            return place
        if tree.kind is None:
            return None
        children = [self._built(child) for child in tree.children]
        place, self._container = self._container, self._container + 1
        if tree.kind is dict:
            self._dict(place, tree, children)
        else:
            self._sequence(place, tree, children)
        return place

    def _sequence(self, place: int, tree: TreeDef, children: list[int | None]) -> None:
        text = self.text
        if tree.kind in (tuple, list):
            name = "PyTuple_New" if tree.kind is tuple else "PyList_New"
            made = text.value(f"call ptr @{name}(i64 {len(children)})")
        else:
            made = self._new(text.object("kind", tree.kind), len(children))
        self._own(place, made)
        if tree.kind not in (tuple, list) and abi.TUPLE_HASH:
            text.line(f"store i64 -1, ptr {text.at(made, abi.TUPLE_HASH)}")
        if not children:
            return
        items = text.at(made, abi.TUPLE_ITEMS)
        if tree.kind is list:
            items = text.load("ptr", text.at(made, abi.LIST_ITEMS))
        for position, child in enumerate(children):
            text.line(f"store ptr {self._handed_on(child)}, ptr {text.at(items, 8 * position)}")

    def _dict(self, place: int, tree: TreeDef, children: list[int | None]) -> None:
        text = self.text
        made = text.value("call ptr @PyDict_New()")
        self._own(place, made)
        for key, child in zip(tree.keys, children, strict=True):
            value = "@Py_None" if child is None else text.load("ptr", self._at(child))
            failed = text.value(f"call i32 @PyDict_SetItem(ptr {made}, ptr {text.object('key', key)}, ptr {value})")
            good = text.label("set")
            text.branch(text.value(f"icmp eq i32 {failed}, 0"), good, "failed")
            text.line(f"{good}:", indent=False)
            if child is not None:
                text.line(f"call void @Py_DecRef(ptr {self._handed_on(child)})")

    def _own(self, place: int, value: str) -> None:
        self.text.unless_null(value)
        self.text.line(f"store ptr {value}, ptr {self._at(place)}")

    def _handed_on(self, place: int | None) -> str:
        """The object, no longer owned here."""
        text = self.text
        if place is None:
            text.line("call void @Py_IncRef(ptr @Py_None)")
            return "@Py_None"
        value = text.load("ptr", self._at(place))
        text.line(f"store ptr null, ptr {self._at(place)}")
        return value

    def _at(self, place: int) -> str:
        return self.text.at(self.owned, 8 * place)


def _containers(tree: TreeDef) -> int:
    if tree.is_leaf or tree.kind is None:
        return 0
    return 1 + sum(map(_containers, tree.children))
