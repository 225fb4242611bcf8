"""What programs that call a library are written from: its manifest, and numbers as literals that lose no bit."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from tests.artifacts.bindings.conftest import Saved, flat


class About:
    """The one function of a library, as its manifest has it, and arguments in C's order."""

    def __init__(self, saved: Saved) -> None:
        name = saved.kernel.name
        found = json.loads((saved.folder / f"{name}.json").read_text())["functions"][0]
        self.name: str = name
        self.macro = name.upper()
        self.inputs: list[dict[str, Any]] = found["inputs"]
        self.outputs: list[dict[str, Any]] = found["outputs"]
        self.in_structs = found["convention"] == "structs"
        self.sizes = dict.fromkeys(found["sizes"], 7)
        self._args = saved.args

    def arguments(self) -> list[Any]:
        """The leaves of the arguments; the default of an argument that is left out is one too."""
        return [*flat(self._args), *([2.0] if self.sizes else [])]


def literal(number: Any) -> str:
    """A number in C, C++, Rust or JavaScript; hexadecimal only where C and C++ read it."""
    if isinstance(number, bool | np.bool_):
        return "true" if number else "false"
    return float(number).hex() if isinstance(number, float | np.floating) else str(number)


def hexadecimal(number: Any) -> str:
    return float(number).hex()
