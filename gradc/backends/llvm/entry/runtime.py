"""What all entries share, as the text of an LLVM module that is linked once in a process and never freed.

``gradc.call`` is what CPython calls for an object of ``native.Native``: it passes by compiled code while a function is
traced or a setting differs from the one that the entries were compiled under, tries the entries one after the other,
and calls the object's fallback when none fits. An entry is

    ptr entry(ptr record, ptr args, i64 nargsf, ptr kwnames)

with arguments as CPython's vectorcall has them; it gives the result, null with an exception set, or ``MISS``. Its
``record`` is four words: its address, how many calls are in it, its idle arenas, and the list of the results that may
be used again. They are only touched with the GIL held. Code is unloaded only while the count is 0.
"""

from __future__ import annotations

from typing import Final

from gradc.backends.llvm.entry import abi, native
from gradc.backends.llvm.entry.apart import APART
from gradc.backends.llvm.entry.arrays import NEW
from gradc.backends.llvm.entry.helpers import ARENAS, BIND, DECLARATIONS, MISS_CALL, SAME, dtype_check
from gradc.backends.llvm.entry.pack import PACK
from gradc.backends.llvm.entry.reuse import KEEP

MISS: Final = "inttoptr (i64 1 to ptr)"
"""What an entry gives for arguments that do not fit it."""

RECORD_CALLS: Final = 8
RECORD_ARENAS: Final = 16
RECORD_WORDS: Final = 4


def text() -> str:
    """The module."""
    cells = ["@gradc.traces = external global i64", "@gradc.environment = external global ptr"]
    shared = [MISS_CALL, BIND, SAME, dtype_check(), APART, PACK, KEEP, NEW, ARENAS]
    return "\n".join([DECLARATIONS, *cells, _call(), *shared])


def _call() -> str:
    """Settings, then entries, then Python.

    What the environment says is looked up again only when the dict of its variables has changed.
    """
    lines = [
        "define ptr @gradc.call(ptr %self, ptr %args, i64 %nargsf, ptr %kwnames) {",
        "  %found = alloca ptr",
        "  %environ = load ptr, ptr @gradc.environment",
        f"  %version.at = getelementptr i8, ptr %environ, i64 {abi.DICT_VERSION}",
        "  %version = load i64, ptr %version.at",
        f"  %seen.at = getelementptr i8, ptr %self, i64 {native.VERSION}",
        "  %seen = load i64, ptr %seen.at",
        f"  %unchanged = {'icmp eq i64 %version, %seen' if abi.DICT_VERSION else 'icmp ne i64 %seen, %seen'}",
        "  %traces = load i64, ptr @gradc.traces",
        "  %tracing = icmp ne i64 %traces, 0",
        "  br i1 %tracing, label %python, label %setting.0",
    ]
    for k in range(native.SETTINGS):
        offset = native.SETTING + 8 * native.SETTING_WORDS * k
        words = [_field(f"{name}.{k}", offset + 8 * n) for n, name in enumerate(("variable", "chosen", "key", "text"))]
        following = f"setting.{k + 1}" if k + 1 < native.SETTINGS else "settled"
        lines += [
            f"setting.{k}:",
            *words[0],
            f"  %open.{k} = icmp ne ptr %variable.{k}, null",
            f"  br i1 %open.{k}, label %variable.read.{k}, label %{following}",
            f"variable.read.{k}:",
            f"  %failed.{k} = call i32 @PyContextVar_Get(ptr %variable.{k}, ptr null, ptr %found)",
            f"  %readable.{k} = icmp eq i32 %failed.{k}, 0",
            f"  br i1 %readable.{k}, label %variable.same.{k}, label %clear",
            f"variable.same.{k}:",
            f"  %now.{k} = load ptr, ptr %found",
            f"  %unset.{k} = icmp eq ptr %now.{k}, null",
            f"  br i1 %unset.{k}, label %variable.compare.{k}, label %variable.drop.{k}",
            f"variable.drop.{k}:",
            f"  call void @Py_DecRef(ptr %now.{k})",
            f"  br label %variable.compare.{k}",
            f"variable.compare.{k}:",
            *words[1],
            f"  %as.chosen.{k} = icmp eq ptr %now.{k}, %chosen.{k}",
            f"  br i1 %as.chosen.{k}, label %environment.{k}, label %python",
            f"environment.{k}:",
            f"  br i1 %unchanged, label %{following}, label %environment.read.{k}",
            f"environment.read.{k}:",
            *words[2],
            *words[3],
            f"  %set.{k} = call ptr @PyDict_GetItemWithError(ptr %environ, ptr %key.{k})",
            f"  %as.set.{k} = icmp eq ptr %set.{k}, %text.{k}",
            f"  br i1 %as.set.{k}, label %{following}, label %python",
        ]
    lines += ["settled:", "  store i64 %version, ptr %seen.at", "  br label %entry.0"]
    for k in range(native.WAYS):
        following = f"entry.{k + 1}" if k + 1 < native.WAYS else "python"
        lines += [
            f"entry.{k}:",
            *_field(f"record.{k}", native.ENTRIES + 8 * k),
            f"  %there.{k} = icmp ne ptr %record.{k}, null",
            f"  br i1 %there.{k}, label %enter.{k}, label %python",
            f"enter.{k}:",
            f"  %count.{k} = getelementptr i8, ptr %record.{k}, i64 {RECORD_CALLS}",
            f"  %before.{k} = load i64, ptr %count.{k}",
            f"  %more.{k} = add i64 %before.{k}, 1",
            f"  store i64 %more.{k}, ptr %count.{k}",
            f"  %code.{k} = load ptr, ptr %record.{k}",
            f"  %result.{k} = call ptr %code.{k}(ptr %record.{k}, ptr %args, i64 %nargsf, ptr %kwnames)",
            f"  %after.{k} = load i64, ptr %count.{k}",
            f"  %fewer.{k} = sub i64 %after.{k}, 1",
            f"  store i64 %fewer.{k}, ptr %count.{k}",
            f"  %missed.{k} = icmp eq ptr %result.{k}, {MISS}",
            f"  br i1 %missed.{k}, label %{following}, label %hit.{k}",
            f"hit.{k}:",
            f"  ret ptr %result.{k}",
        ]
    lines += [
        "clear:",
        "  call void @PyErr_Clear()",
        "  br label %python",
        "python:",
        *_field("fallback", native.FALLBACK),
        "  %answer = call ptr @gradc.miss(ptr %fallback, ptr %self, ptr %args, i64 %nargsf, ptr %kwnames)",
        "  ret ptr %answer",
        "}",
    ]
    return "\n".join(lines)


def _field(name: str, offset: int) -> list[str]:
    return [
        f"  %{name}.at = getelementptr i8, ptr %self, i64 {offset}",
        f"  %{name} = load ptr, ptr %{name}.at",
    ]
