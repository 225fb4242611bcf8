"""Where IR text is collected: a module's declarations and functions, a function's instructions."""

from __future__ import annotations

from typing import Final

from gradc.ir.target import Target

INLINED: Final = 200
"""Calls of math functions that LLVM is told to inline; more of them stay calls, for inlined code is slow to compile."""


class Module:
    """The text of a module: constants, functions, carried helpers, declarations, attributes, metadata.

    ``inlined`` counts the calls of math functions that are to be inlined.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.inlined = 0
        self.globals: list[str] = []
        self.functions: list[str] = []
        self._declared: dict[str, None] = {}
        self._carried: dict[str, None] = {}
        self._kept: dict[str, None] = {}
        self._metadata: list[str] = []
        self._shared: dict[str, str] = {}

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

    def keep(self, symbol: str) -> None:
        """Let LLVM keep a carried function that nothing calls yet: the form for vectors of one that is called."""
        self._kept[symbol] = None

    def metadata(self, text: str) -> str:
        """A metadata node, ``!7``; ``{self}`` in the text is its own name. Equal ones are one, unless distinct."""
        if not text.startswith("distinct"):
            if text not in self._shared:
                self._shared[text] = self._numbered(text)
            return self._shared[text]
        return self._numbered(text)

    def _numbered(self, text: str) -> str:
        name = f"!{len(self._metadata)}"
        self._metadata.append(f"{name} = {text.replace('{self}', name)}")
        return name

    def text(self) -> str:
        """The whole module."""
        sections = [
            "\n".join(self.globals),
            *self.functions,
            *self._carried,
            "\n".join(self._declared),
            "attributes #0 = { nounwind willreturn memory(none) }",
            *self._math(),
            "\n".join(self._metadata),
        ]
        return "\n\n".join(section for section in sections if section) + "\n"

    def _math(self) -> list[str]:
        """The attributes of math functions (a loop is vectorised where they are inlined), and which ones to keep."""
        found = []
        if self.inlined:
            where = "alwaysinline" if self.inlined <= INLINED else "noinline"
            found.append(f"attributes #1 = {{ {where} nounwind willreturn memory(none) }}")
        if any(") #2 {" in text for text in self._carried):
            found.append("attributes #2 = { noinline nounwind willreturn memory(none) }")
        if self._kept:
            pointers = ", ".join(f"ptr @{symbol}" for symbol in self._kept)
            section = f'[{len(self._kept)} x ptr] [{pointers}], section "llvm.metadata"'
            found.append(f"@llvm.compiler.used = appending global {section}")
        return found


class Writer:
    """The instructions of one function, with unique local names. Allocas go to its entry block."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.entry: list[str] = []
        self.lines: list[str] = []
        self.block = ".entry"
        self._used: dict[str, int] = {}
        self._temporaries = 0

    def name(self, hint: str) -> str:
        """A local name that is not in use, for a value or a label (without ``%``)."""
        count = self._used.get(hint, 0)
        self._used[hint] = count + 1
        return hint if count == 0 else self.name(f"{hint}.{count}")

    def value(self, instruction: str) -> str:
        """Emit an instruction with a result; the name of the result."""
        self._temporaries += 1
        name = f"%.{self._temporaries}"
        self.lines.append(f"  {name} = {instruction}")
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
