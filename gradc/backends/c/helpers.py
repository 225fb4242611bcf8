"""What a file carries with it: small functions that C lacks, or that its library has and the file does without."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from gradc.backends.c.library import function_text
from gradc.backends.c.types import c_type
from gradc.errors import CompileError
from gradc.ir.target import Target

if TYPE_CHECKING:
    from jinja2 import Environment

_KINDS: Final = {"f": "float", "i": "signed", "u": "unsigned", "b": "bool"}
_CALL: Final = re.compile(r"\b(\w+?)_([bfiu])(8|16|32|64)\(")
_FILES: Final = ("helpers.c.j2", "selftest.c.j2")


@dataclass(frozen=True, slots=True)
class Kind:
    """A dtype as the templates of helpers see it.

    ``f`` ends its numbers, ``bits`` is the unsigned type of its size, ``wide`` the one in which its integers wrap.
    """

    type: str
    suffix: str
    f: str = ""
    bits: str = ""
    wide: str = ""
    mantissa: int = 0


def suffix_of(dtype: np.dtype) -> str:
    """How the helpers of a dtype end."""
    return f"{dtype.kind}{8 * dtype.itemsize}"


@cache
def _kind(suffix: str) -> Kind:
    letter, bits = suffix[0], int(suffix[1:])
    unsigned = f"uint{bits}_t"
    if letter == "f":
        end, mantissa = ("f", 23) if bits == 32 else ("", 52)
        return Kind(c_type(np.dtype(f"f{bits // 8}")), suffix, end, unsigned, mantissa=mantissa)
    return Kind(c_type(np.dtype(f"{letter}{bits // 8}")), suffix, "", unsigned, f"uint{max(bits, 32)}_t")


class Helpers:
    """The helpers that a file for a target calls."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._called: dict[str, None] = {}

    def name(self, helper: str, dtype: np.dtype) -> str:
        """The C name of a helper on a dtype, which the file has from then on."""
        name = f"{helper}_{suffix_of(dtype)}"
        self._called[name] = None
        return name

    def definitions(self) -> list[str]:
        """Their texts, each after those that it calls."""
        found: dict[str, str] = {}

        def add(name: str) -> None:
            if name not in found:
                helper, _, suffix = name.rpartition("_")
                fused, tables = self._has_fma(suffix), self._target.holds_tables
                function = function_text(helper, suffix, fused, self._target.doubles, tables)
                if function is not None:
                    found.update(function.tables)
                text = function.function if function is not None else self._text(name)
                for match in _CALL.finditer(text):
                    if match.group(0)[:-1] != name:
                        add(match.group(0)[:-1])
                found[name] = text

        for name in sorted(self._called):
            add(name)
        return list(found.values())

    def _has_fma(self, suffix: str) -> bool:
        """Whether a fused multiply-add is an instruction, for f64 on machines that compute in it."""
        return self._target.fma and (suffix == "f32" or self._target.doubles)

    def _text(self, name: str) -> str:
        helper, _, suffix = name.rpartition("_")
        if helper == "fma" and not self._has_fma(suffix):
            helper = "multiply_add"
        kind = "float" if suffix[0] == "f" else "integer"
        names = [f"{helper}_{word}" for word in (_KINDS[suffix[0]], kind)]
        macro = next((found for n in names if (found := _macro(n))), None)
        if macro is None:
            raise CompileError(f"{helper} of {suffix} cannot be written in C yet")
        return str(macro(_kind(suffix))).strip("\n")


@cache
def _macro(name: str) -> Any:
    """The macro of a template, None where there is none."""
    modules = [environment().get_template(file).module for file in _FILES]
    return next((found for module in modules if (found := getattr(module, name, None))), None)


@cache
def environment() -> Environment:
    """The templates of C files."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def source(name: str) -> Any:
        return (resources.files("gradc.templates") / "c" / name).read_text(encoding="utf-8")

    return Environment(
        loader=FunctionLoader(source),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
