"""Calling a generated library through ctypes, by its manifest alone."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

ALIGNMENT = 64
POISON = 0xA5


def aligned(size: int, offset: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Poisoned bytes at a multiple of 64, plus ``offset``, and the whole block around them."""
    block = np.full(size + 4 * ALIGNMENT, POISON, np.uint8)
    start = -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT - block.ctypes.data + ALIGNMENT + offset
    return block[start : start + size], block


class Library:
    """The shared library in a directory."""

    def __init__(self, folder: Path, name: str, function: str | None = None) -> None:
        self.manifest: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
        self.about: dict[str, Any] = next(f for f in self.manifest["functions"] if f["name"] == (function or f["name"]))
        self.code = ctypes.CDLL(str(folder / f"lib{name}.so"))
        self.function = getattr(self.code, self.about["name"])
        self.function.restype = ctypes.c_int

    def __call__(
        self, arrays: list[np.ndarray], *, without: tuple[str, ...] = (), workspace: Any = "own", **sizes: int
    ) -> tuple[int, list[np.ndarray | None]]:
        """The status and the results, those ``without`` not asked for. Checks that nothing else was written."""
        size = int(eval_size(self.about["workspace"]["bytes"], sizes))
        memory, block = aligned(size)
        given = memory.ctypes.data if isinstance(workspace, str) else workspace
        if self.about["convention"] == "structs":
            status, results = self._with_structs(arrays, given)
        else:
            status, results = self._with_pointers(arrays, without, given, sizes)
        memory[:] = POISON
        assert (block == POISON).all(), "the kernel wrote outside of its workspace"
        return status, results

    def _with_structs(self, arrays: list[np.ndarray], workspace: Any) -> tuple[int, list[np.ndarray | None]]:
        kinds = [
            np.dtype([(a["name"], a["dtype"]) for a in self.about[side]], align=True) for side in ("inputs", "outputs")
        ]
        given, results = np.zeros((), kinds[0]), np.zeros((), kinds[1])
        for argument, value in zip(self.about["inputs"], arrays, strict=True):
            given[argument["name"]] = value
        pointers = [ctypes.c_void_p(a.ctypes.data) for a in (given, results)]
        status = self.function(*pointers, ctypes.c_void_p(workspace))
        return status, [results[a["name"]] for a in self.about["outputs"]]

    def _with_pointers(
        self, arrays: list[np.ndarray], without: tuple[str, ...], workspace: Any, sizes: dict[str, int]
    ) -> tuple[int, list[np.ndarray | None]]:
        values: list[Any] = [ctypes.c_size_t(sizes[name]) for name in self.about["sizes"]]
        kept = []
        for argument, array in zip(self.about["inputs"], arrays, strict=True):
            array = np.ascontiguousarray(array, argument["dtype"])
            kept.append(array)
            number = argument["layout"] == "number"
            values.append(
                np.ctypeslib.as_ctypes_type(array.dtype)(array[()].item())
                if number
                else ctypes.c_void_p(array.ctypes.data)
            )
        results: list[np.ndarray | None] = []
        blocks = []
        for argument in self.about["outputs"]:
            shape = [int(eval_size(dim, sizes)) for dim in argument["shape"]]
            dtype = np.dtype(argument["dtype"])
            memory, block = aligned(int(np.prod(shape)) * dtype.itemsize, offset=dtype.itemsize)
            blocks.append((memory, block))
            wanted = argument["name"] not in without
            values.append(ctypes.c_void_p(memory.ctypes.data if wanted else None))
            results.append(None)
        status = self.function(*values, ctypes.c_void_p(workspace))
        for place, (argument, (memory, block)) in enumerate(zip(self.about["outputs"], blocks, strict=True)):
            if argument["name"] not in without:
                shape = [int(eval_size(dim, sizes)) for dim in argument["shape"]]
                results[place] = memory.view(argument["dtype"]).reshape(shape).copy()
                memory[:] = POISON
            assert (block == POISON).all(), f"the kernel wrote outside of {argument['name']}"
        return status, results


def eval_size(dim: int | str, sizes: dict[str, int]) -> int:
    """A size of a manifest as a number."""
    from gradc.loops.language.lexer import Lexer

    if isinstance(dim, int):
        return dim
    found = Lexer(dim, "a size").dim()
    return found if isinstance(found, int) else found.evaluate(sizes)


def flat(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in flat(child)]
    if isinstance(tree, list | tuple):
        return [leaf for child in tree for leaf in flat(child)]
    return [tree]


def bits(arrays: Sequence[Any]) -> list[bytes | None]:
    return [None if a is None else np.asarray(a).tobytes() for a in arrays]


def run_selftest(code: Any, folder: Path, name: str) -> int:
    text = (folder / f"{name}.h").read_text()
    macro = f"#define {name.upper()}_SELFTEST_SIZE"
    sizes = [int(line.split()[2]) for line in text.splitlines() if line.startswith(macro)]
    test = getattr(code, f"{name}_selftest")
    if not sizes:
        return int(test())
    memory, _ = aligned(sizes[0])
    return int(test(ctypes.c_void_p(memory.ctypes.data)))
