"""An entry as the text of an LLVM module.

The entry walks the arguments without running any Python code, so nothing that it looks at can change on the way: types
are compared by identity, dicts are iterated instead of looked up, strings compared only where they are plain. It makes
the result arrays, which runs none either (arrays are not tracked by the collector), and calls the kernel. Containers,
whose making may run the collector, and with it any code, come after the arguments were last used. What the kernel reads
is held while other threads may run, and only then: the caller holds the arguments themselves.

Arenas up to ``STACK_ARENA`` bytes stand on the stack; others are taken from a list of the entry's and put back, both
with the GIL held, so there are as many as calls ever ran at once, and a call finds one that is warm.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gradc.backends.llvm.dims import Dims, countable_up_to
from gradc.backends.llvm.entry import abi
from gradc.backends.llvm.entry.apart import guard_apart
from gradc.backends.llvm.entry.helpers import ARENA_HEAD, DECLARATIONS, POSITIONAL_MASK, SHARED
from gradc.backends.llvm.entry.pack import read_copies
from gradc.backends.llvm.entry.plan import LONG, REQUIRED, Data, Fixed, Place, Plan, Result
from gradc.backends.llvm.entry.result import ResultWriter
from gradc.backends.llvm.entry.runtime import MISS, RECORD_ARENAS
from gradc.backends.llvm.entry.text import EntryText
from gradc.frontend.tree import TreeDef
from gradc.ir.aval import Aval, Dim, SymbolicDim
from gradc.loops.language.program import ALIGNMENT

STACK_ARENA: Final = 16384

PARAMETERS: Final = "gradc.parameters"
KERNEL: Final = "gradc.kernel"


def emit_entry(plan: Plan) -> tuple[str, str, dict[str, object]]:
    """The module, the name of the entry in it, and the Python objects that it names."""
    return _EntryWriter(plan).module()


class _EntryWriter:
    """Writes one entry, in the order in which it runs."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.text = EntryText()
        self.inputs: dict[int, str] = {}
        self.symbols: dict[str, str] = {}
        self.derived: list[tuple[SymbolicDim, str]] = []
        self.dims = Dims(self.text.value, self.symbols)
        self.given: dict[int, tuple[str, str]] = {}
        self.nested: list[str] = []
        self.arrays: list[tuple[int, str]] = []
        self.packed = "true"
        self.donated = {source: result for result, source in plan.donated.items()}

    def module(self) -> tuple[str, str, dict[str, object]]:
        symbol = f"{self.plan.name}.entry"
        text = self.text
        slots = self._bind()
        for position, place in enumerate(self.plan.places):
            value = text.load("ptr", text.at(slots, 8 * position))
            self._walk(place.tree, value, iter(place.leaves), direct=True)
        for dim, own in self.derived:
            text.guard(text.value(f"icmp eq i64 {own}, {self.dims.operand(dim)}"))
        self._guard_countable()
        given = {index: address for index, (_, address) in self.given.items()}
        guard_apart(text, self.plan, self.inputs, given, self.dims)
        held = [value for _, value in self.arrays]
        held += [value for value in self.nested if value not in held]
        room = len(held) + len(self.arrays)
        results = ResultWriter(text, self.plan, self.given, self.dims, room)
        pointers = results.allocate()
        if self.arrays:
            read_copies(text, self.arrays, held, self.inputs, self.packed, results.held)
        status = self._run(pointers)
        good = text.value(f"icmp eq i64 {status}, 0")
        text.branch(good, "finished")
        text.line("finished:", indent=False)
        if self.arrays:
            text.line(f"br i1 {self.packed}, label %done, label %release")
            text.line("release:", indent=False)
            text.line(f"call void @gradc.drop(ptr {results.held}, i64 {room})")
            text.line("br label %done")
            text.line("done:", indent=False)
        if self.plan.returns_last:
            text.line(f"call void @Py_IncRef(ptr {value})")
            text.line(f"ret ptr {value}")
        else:
            results.finish()
        text.line("missed:", indent=False)
        results.drop()
        text.line(f"ret ptr {MISS}")
        text.line("failed:", indent=False)
        results.drop()
        text.line("ret ptr null")
        text.line("miss:", indent=False)
        text.line(f"ret ptr {MISS}")
        kinds = ["ptr"] * (self.plan.inputs + len(self.plan.results) + 1) + ["i64"] * len(self.plan.symbols)
        kernel = f"declare i64 @{KERNEL}({', '.join(kinds)})"
        head = f"define ptr @{symbol}(ptr %record, ptr %args, i64 %nargsf, ptr %kwnames) {{"
        module = [DECLARATIONS, SHARED, kernel, *text.globals, *text.functions]
        module += [head, "begin:", *text.entry, *text.lines, "}"]
        return "\n".join(module), symbol, text.objects

    def _guard_countable(self) -> None:
        """Sizes of which a product could overflow are answered by Python, which counts without end."""
        plan, text = self.plan, self.text
        counts = [plan.arena, plan.work, *[aval.size * aval.dtype.itemsize for aval in plan.results]]
        if not any(isinstance(dim, SymbolicDim) for dim in counts):
            return
        largest = countable_up_to(counts)
        for symbol in plan.symbols:
            text.guard(text.value(f"icmp ule i64 {self.symbols[symbol]}, {largest}"))

    def _bind(self) -> str:
        """Where the arguments stand by place."""
        text, total = self.text, len(self.plan.places)
        text.globals.append(f"@{PARAMETERS} = external constant i8")
        own = text.alloca(f"[{max(total, 1)} x ptr]")
        nargs = text.value(f"and i64 %nargsf, {POSITIONAL_MASK}")
        if self.plan.positional == total:
            all_there = text.value(f"icmp eq i64 {nargs}, {total}")
            plain = text.value("icmp eq ptr %kwnames, null")
            direct = text.value(f"and i1 {all_there}, {plain}")
            text.line(f"br i1 {direct}, label %bound, label %bind")
        else:
            text.line("br label %bind")
        text.line("bind:", indent=False)
        slots = text.value(f"call ptr @gradc.bind(ptr @{PARAMETERS}, ptr %args, i64 {nargs}, ptr %kwnames, ptr {own})")
        fits = text.value(f"icmp ne ptr {slots}, null")
        text.line(f"br i1 {fits}, label %bound, label %miss")
        text.line("bound:", indent=False)
        if self.plan.positional == total:
            return text.value(f"phi ptr [ %args, %begin ], [ {slots}, %bind ]")
        return slots

    def _walk(self, tree: TreeDef, value: str, leaves: object, *, direct: bool) -> None:
        """Check one argument and collect what the kernel reads of it."""
        text = self.text
        if tree.is_leaf:
            leaf = next(leaves)  # type: ignore[call-overload]
            if isinstance(leaf, Fixed):
                self._fixed(leaf, value)
                return
            if isinstance(leaf, Data) and leaf.aval.shape and not leaf.aval.weak:
                self.arrays.append((leaf.index, value))
            if isinstance(leaf, Result):
                text.guard_type(value, "@PyArray_Type")
                self.given[leaf.index] = value, self._elements(leaf.aval, value, abi.RESULT_FLAGS, is_result=True)
            elif leaf.index in self.donated:
                text.guard_type(value, "@PyArray_Type")
                self.inputs[leaf.index] = self._elements(leaf.aval, value, abi.RESULT_FLAGS)
                self.given[self.donated[leaf.index]] = value, self.inputs[leaf.index]
            else:
                self.inputs[leaf.index] = self._data(leaf, value)
            if not direct:
                self.nested.append(value)
        elif tree.kind is None:
            text.guard(text.value(f"icmp eq ptr {value}, @Py_None"))
        else:
            for child, item in zip(tree.children, self.text.items(tree, value), strict=True):
                self._walk(child, item, leaves, direct=False)

    def _fixed(self, leaf: Fixed, value: str) -> None:
        text = self.text
        if type(leaf.value) is int:
            number = self._integer(value)
            text.guard(text.value(f"icmp eq i64 {number}, {leaf.value}"))
        else:
            text.guard_same(text.object("fixed", leaf.value), value)

    def _integer(self, value: str) -> str:
        """A Python integer as a number; larger ones are a miss."""
        text = self.text
        text.guard_type(value, "@PyLong_Type")
        overflow = text.alloca("i32")
        number = text.value(f"call i64 @PyLong_AsLongLongAndOverflow(ptr {value}, ptr {overflow})")
        text.guard(text.value(f"icmp eq i32 {text.load('i32', overflow)}, 0"))
        return number

    def _data(self, leaf: Data, value: str) -> str:
        """The address of the elements."""
        text, aval = self.text, leaf.aval
        if not aval.weak:
            return self._array(aval, value)
        if aval.dtype == np.float64:
            text.guard_type(value, "@PyFloat_Type")
            return text.at(value, abi.HEAD)
        place = text.alloca("i64")
        text.line(f"store i64 {self._integer(value)}, ptr {place}")
        return place

    def _array(self, aval: Aval, value: str) -> str:
        text, dtype = self.text, aval.dtype
        kind = text.load("ptr", text.at(value, abi.TYPE))
        is_array = text.value(f"icmp eq ptr {kind}, @PyArray_Type")
        if aval.shape:
            memmap, here = text.label("memmap"), text.label("array")
            text.line(f"br i1 {is_array}, label %{here}, label %{memmap}")
            text.line(f"{memmap}:", indent=False)
            is_memmap = text.value(f"icmp eq ptr {kind}, @gradc.memmap")
            fits = text.value(f"and i1 {is_memmap}, {self._layout(value, abi.ARGUMENT_FLAGS)}")
            text.branch(fits, here, "miss")
            text.line(f"{here}:", indent=False)
            address = self._elements(aval, value)
            self.packed = text.value(f"and i1 {self.packed}, {self._layout(value, abi.ARGUMENT_FLAGS)}")
            return address
        array, scalar, done = text.label("array"), text.label("scalar"), text.label("number")
        text.line(f"br i1 {is_array}, label %{array}, label %{scalar}")
        text.line(f"{scalar}:", indent=False)
        text.guard(text.value(f"icmp eq ptr {kind}, {text.object('scalar', dtype.type)}"))
        of_scalar = text.at(value, abi.HEAD)
        text.line(f"br label %{done}")
        scalar_end = text.block
        text.line(f"{array}:", indent=False)
        of_array = self._elements(aval, value, abi.ARGUMENT_FLAGS)
        text.line(f"br label %{done}")
        array_end = text.block
        text.line(f"{done}:", indent=False)
        return text.value(f"phi ptr [ {of_scalar}, %{scalar_end} ], [ {of_array}, %{array_end} ]")

    def _layout(self, value: str, flags: tuple[int, int]) -> str:
        """Whether an array has the flags: those that are looked at, and those of them that have to be set."""
        mask, wanted = flags
        own = self.text.load("i32", self.text.at(value, abi.ARRAY_FLAGS))
        return self.text.value(f"icmp eq i32 {self.text.value(f'and i32 {own}, {mask}')}, {wanted}")

    def _elements(
        self, aval: Aval, value: str, flags: tuple[int, int] | None = None, *, is_result: bool = False
    ) -> str:
        """The elements of an ndarray of the right dtype and shape, and of the right layout where ``flags`` say one.

        Arguments tell symbolic sizes.
        """
        text = self.text
        dtype = text.load("ptr", text.at(value, abi.ARRAY_DTYPE))
        text.guard_same(text.object("dtype", aval.dtype), dtype, compare="gradc.dtype")
        ndim = text.load("i32", text.at(value, abi.ARRAY_NDIM))
        text.guard(text.value(f"icmp eq i32 {ndim}, {len(aval.shape)}"))
        holds = "true" if flags is None else self._layout(value, flags)
        if aval.shape:
            sizes = text.load("ptr", text.at(value, abi.ARRAY_SHAPE))
            for axis, size in enumerate(aval.shape):
                own = text.load("i64", text.at(sizes, 8 * axis))
                expected = self.dims.operand(size) if is_result else self._expected(size, own)
                if expected != own:
                    fits = text.value(f"icmp eq i64 {own}, {expected}")
                    holds = text.value(f"and i1 {holds}, {fits}")
        text.guard(holds)
        return text.load("ptr", text.at(value, abi.ARRAY_DATA))

    def _expected(self, size: Dim, own: str) -> str:
        """What an axis of an argument has to measure; its own number where it tells a symbolic size."""
        if not isinstance(size, SymbolicDim):
            return str(size)
        if size.symbols == {str(size)}:
            return self.symbols.setdefault(str(size), own)
        self.derived.append((size, own))
        return own

    def _run(self, results: list[str]) -> str:
        """Call the kernel. Gives its status."""
        text, plan = self.text, self.plan
        arena, block = self._arena()
        pointers = [*[self.inputs[k] for k in range(plan.inputs)], *results, arena]
        arguments = [*[f"ptr {p}" for p in pointers], *[f"i64 {self.symbols[symbol]}" for symbol in plan.symbols]]
        status = self._called(f"call i64 @{KERNEL}({', '.join(arguments)})")
        if block:
            text.line(f"call void @gradc.arena.put(ptr {text.at('%record', RECORD_ARENAS)}, ptr {block})")
        return status

    def _arena(self) -> tuple[str, str]:
        """The arena, and the block that has to be put back; null, or nothing, where it is on the stack."""
        text, size = self.text, self.plan.arena
        if isinstance(size, int):
            return self._taken(str(size)) if size > STACK_ARENA else (self._on_stack(size), "")
        small, large, done = text.label("small"), text.label("large"), text.label("arena")
        needed = self.dims.operand(size)
        stack = self._on_stack(STACK_ARENA)
        text.branch(text.value(f"icmp ule i64 {needed}, {STACK_ARENA}"), small, large)
        text.line(f"{large}:", indent=False)
        taken, block = self._taken(needed)
        end = text.block
        text.line(f"br label %{done}")
        text.line(f"{small}:", indent=False)
        text.line(f"br label %{done}")
        text.line(f"{done}:", indent=False)
        found = [
            f"phi ptr [ {here}, %{small} ], [ {there}, %{end} ]" for here, there in ((stack, taken), ("null", block))
        ]
        return text.value(found[0]), text.value(found[1])

    def _on_stack(self, size: int) -> str:
        return self.text.alloca(f"[{size} x i8], align {ALIGNMENT}") if size else "null"

    def _taken(self, size: str) -> tuple[str, str]:
        """An idle block or a new one, and the aligned address in it."""
        text = self.text
        block = text.value(f"call ptr @gradc.arena.take(ptr {text.at('%record', RECORD_ARENAS)}, i64 {size})")
        text.unless_null(block)
        behind = text.value(f"ptrtoint ptr {text.at(block, ARENA_HEAD + ALIGNMENT - 1)} to i64")
        aligned = text.value(f"and i64 {behind}, {-ALIGNMENT}")
        return text.value(f"inttoptr i64 {aligned} to ptr"), block

    def _called(self, call: str) -> str:
        """The status of a call, while other threads run if it takes long."""
        text, work = self.text, self.plan.work
        if isinstance(work, int):
            return self._beside_others(call) if work >= LONG else text.value(call)
        long, short, done = text.label("long"), text.label("short"), text.label("done")
        is_long = text.value(f"icmp sge i64 {self.dims.operand(work)}, {LONG}")
        text.branch(is_long, long, short)
        ends = []
        for label in (long, short):
            text.line(f"{label}:", indent=False)
            status = self._beside_others(call) if label == long else text.value(call)
            ends.append(f"[ {status}, %{text.block} ]")
            text.line(f"br label %{done}")
        text.line(f"{done}:", indent=False)
        return text.value(f"phi i64 {', '.join(ends)}")

    def _beside_others(self, call: str) -> str:
        """The status of a call while other threads run: what it reads is held."""
        text = self.text
        for value in self.nested:
            text.line(f"call void @Py_IncRef(ptr {value})")
        thread = text.value("call ptr @PyEval_SaveThread()")
        status = text.value(call)
        text.line(f"call void @PyEval_RestoreThread(ptr {thread})")
        for value in self.nested:
            text.line(f"call void @Py_DecRef(ptr {value})")
        return status


def parameter_table(plan: Plan) -> tuple[list[int], list[object]]:
    """The words of the table that ``gradc.bind`` reads, and the objects whose addresses stand in it."""
    words = [plan.positional, plan.named, len(plan.places), sum(place.default is REQUIRED for place in plan.places)]
    kept: list[object] = []
    for place in plan.places:
        words += [id(place.name), _default(place)]
        kept += [place.name, place.default]
    return words, kept


def _default(place: Place) -> int:
    return 0 if place.default is REQUIRED else id(place.default)
