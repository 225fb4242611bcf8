"""Where IR text is collected: a module's declarations and functions, a function's instructions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gradc.backends.llvm.math.library import Library
from gradc.backends.llvm.types import scalar_type, suffix, vector_type
from gradc.ir.target import Target


class Module:
    """The text of a module: constants, functions, carried helpers, declarations, attributes.

    ``math`` is what it has of the math functions.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.math = Library(target)
        self.globals: list[str] = []
        self.functions: list[str] = []
        self._declared: dict[str, None] = {}
        self._carried: dict[str, None] = {}

    def declare(self, line: str) -> None:
        """Declare a function of elsewhere, once."""
        self._declared[line] = None

    def carry(self, helper: str) -> None:
        """Define a helper function, once. Its ``declare`` lines become declarations of the module."""
        lines = helper.strip().splitlines()
        for line in lines:
            if line.startswith("declare "):
                self.declare(line)
        self._carried["\n".join(line for line in lines if not line.startswith("declare "))] = None

    def text(self) -> str:
        """The whole module."""
        for function in self.math.definitions():
            self.carry(function)
        sections = [
            "\n".join(self.globals),
            *self.functions,
            *self._carried,
            "\n".join(self._declared),
            "attributes #0 = { nounwind willreturn memory(none) }",
            "\n".join(self.math.attributes()),
        ]
        return "\n\n".join(section for section in sections if section) + "\n"


class Writer:
    """The instructions of one function, with unique local names. Allocas go to its entry block.

    ``lanes`` is how many elements the instructions of primitives work on at once.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.entry: list[str] = []
        self.lines: list[str] = []
        self.block = ".entry"
        self.lanes = 1
        self._used: dict[str, int] = {}
        self._temporaries = 0

    def name(self, hint: str) -> str:
        """A local name that is not in use, for a value or a label (without ``%``)."""
        count = self._used.get(hint, 0)
        self._used[hint] = count + 1
        return hint if count == 0 else self.name(f"{hint}.{count}")

    @contextmanager
    def in_lanes(self, lanes: int) -> Iterator[None]:
        """Emit for ``lanes`` elements at once."""
        before, self.lanes = self.lanes, lanes
        yield
        self.lanes = before

    def type(self, dtype: np.dtype) -> str:
        """The IR type of values of a dtype, one in each lane."""
        return vector_type(scalar_type(dtype), self.lanes)

    def suffix(self, dtype: np.dtype) -> str:
        """The type's part in an intrinsic's name: ``f64``, ``v8f64``."""
        return suffix(dtype) if self.lanes == 1 else f"v{self.lanes}{suffix(dtype)}"

    def number(self, text: str, dtype: np.dtype) -> str:
        """A number as an operand, in every lane."""
        return text if self.lanes == 1 else f"splat ({scalar_type(dtype)} {text})"

    def value(self, instruction: str) -> str:
        """Emit an instruction with a result; the name of the result."""
        self._temporaries += 1
        name = f"%.{self._temporaries}"
        self.lines.append(f"  {name} = {instruction}")
        return name

    def entry_value(self, instruction: str) -> str:
        """The same at the end of the entry block: for all that comes after."""
        self._temporaries += 1
        name = f"%.{self._temporaries}"
        self.entry.append(f"  {name} = {instruction}")
        return name

    def rename(self, result: str, hint: str) -> str:
        """Call the result of the last instruction as the user does; its name, unchanged where it is an older value."""
        head = f"  {result} = "
        if not self.lines or not self.lines[-1].startswith(head) or not result.startswith("%."):
            return result
        name = f"%{self.name(hint)}"
        self.lines[-1] = f"  {name} = {self.lines[-1][len(head) :]}"
        return name

    def line(self, instruction: str) -> None:
        """Emit an instruction without a result."""
        self.lines.append(f"  {instruction}")

    def label(self, name: str) -> None:
        """Begin a basic block; ``block`` is its name."""
        self.block = name
        self.lines.append(f"{name}:")

    def comment(self, text: str) -> None:
        """A line for the reader."""
        self.lines.append(f"  ; {text}")
