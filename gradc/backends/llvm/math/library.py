"""The functions there are, and what a module carries of them.

A function is compiled for each number of lanes in which it is called. Short functions are inlined where there are few
calls; those of vectors of several registers only where there are 32, too; long functions never are, but for one. The
second path of a vector function, for arguments that are seldom met, is a function of its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, Literal

import numpy as np

from gradc.backends.llvm.math import remainder
from gradc.backends.llvm.math.ir import IrFormula
from gradc.backends.llvm.types import vector_type
from gradc.backends.math.formats import Format, format_of
from gradc.backends.math.functions import EXPANSIONS, LONG, PARAMETERS, SHORT
from gradc.ir.target import Target
from gradc.loops.language.expressions import PRIMITIVES

PARTED: Final = {"fmod": remainder}
"""Functions with a second path, for arguments that are seldom met."""

NAMES: Final = frozenset((*SHORT, *LONG, *PARTED))

INLINED: Final = 24
"""Calls of short functions that are inlined. Each one takes some milliseconds to compile."""

INLINED_WIDE: Final = 16
"""Registers of all calls of a short function with vectors of several that are inlined where there are 32 registers,
those of AVX-512: constants stay in registers, and values need not be stored. Where there are 16, some took longer."""

INLINED_LONG: Final = frozenset(("tan",))
"""Long functions whose first path is short enough to be inlined like that."""

STACK_BITS: Final = 128
"""What calls align the stack to. Wider registers are stored across lines of the cache unless a function aligns it:
``pow`` of f32, with 54 such accesses, took 1.5 times as long at three of four stack addresses."""

_VECTOR_CALL: Final = re.compile(r" = call <\d+ x \w+> @gradc\.")


def attributes_of(target: Target, lines: Iterable[str]) -> str:
    """The attributes of a function with these instructions. Vector math may become part of it: it aligns its stack."""
    realign = target.vector_bits > STACK_BITS and any(map(_VECTOR_CALL.search, lines))
    width = f'"prefer-vector-width"="{target.vector_bits}"'
    return f'nounwind "stackrealign" {width}' if realign else f"nounwind {width}"


class Library:
    """The math functions that a module for ``target`` calls."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._short_calls = 0
        self._called: Counter[tuple[str, Format, int]] = Counter()

    def call(self, name: str, dtype: np.dtype, operands: Sequence[str], lanes: int = 1) -> str:
        """The instruction that applies a function to numbers, or to vectors of ``lanes`` numbers."""
        form = format_of(dtype)
        self._called[name, form, lanes] += 1
        self._short_calls += name in SHORT and not self._is_wide(form, lanes)
        t = vector_type(form.type, lanes)
        return f"call {t} @{symbol(name, form, lanes)}({', '.join(f'{t} {operand}' for operand in operands)})"

    def definitions(self) -> list[str]:
        """The functions, each with the declarations of what it calls."""
        features = self._target.features
        fused, exponents = self._target.fma, ("+avx512f" in features, "+avx512vl" in features)
        found: dict[str, None] = {}
        for name, form, lanes in self._called:
            parted = PARTED.get(name)
            if parted is None:
                doubles, tables = self._target.doubles, self._target.holds_tables
                group = self._group(name, form, lanes)
                text = _definition(name, form, fused, lanes, group, exponents, doubles, tables)
                found.update(dict.fromkeys(text))
                continue
            found.update(dict.fromkeys(parted.definitions(name, form, fused)))
            if lanes > 1:
                found[parted.definition(name, form, fused, lanes)] = None
        return list(found)

    def attributes(self) -> list[str]:
        """The attribute groups of the functions."""
        plain = "nounwind willreturn memory(none)"
        found: list[str] = []
        if self._short_calls:
            inlined = self._short_calls <= INLINED
            found.append(f"attributes #1 = {{ {'alwaysinline' if inlined else 'noinline'} {plain} }}")
        groups = {self._group(*called) for called in self._called}
        if 2 in groups or any(name in PARTED for name, _, _ in self._called):
            found.append(f"attributes #2 = {{ noinline {plain} }}")
        if groups & {3, 4}:
            realign = '"stackrealign" ' if self._target.vector_bits > STACK_BITS else ""
            found.append(f"attributes #3 = {{ noinline {realign}{plain} }}")
        if 4 in groups:
            found.append(f"attributes #4 = {{ alwaysinline {plain} }}")
        return found

    def _group(self, name: str, form: Format, lanes: int) -> int:
        """The attributes of a function: of short ones, of long ones of numbers and of vectors, and of inlined ones."""
        if name in SHORT and not self._is_wide(form, lanes):
            return 1
        few = self._called[name, form, lanes] * lanes <= INLINED_WIDE * self._target.lanes(form.bits // 8)
        if few and lanes > 1 and name in SHORT.keys() | INLINED_LONG and self._target.holds_tables:
            return 4
        return 2 if lanes == 1 else 3

    def _is_wide(self, form: Format, lanes: int) -> bool:
        """Whether a vector takes several registers, so that its function is worth a call."""
        return lanes > self._target.lanes(form.bits // 8)


def symbol(name: str, form: Format, lanes: int = 1) -> str:
    """The global of a function, without ``@``."""
    return f"gradc.{name}.{form.name}" + (f".x{lanes}" if lanes > 1 else "")


@cache
def _definition(
    name: str,
    form: Format,
    fused: bool,
    lanes: int,
    group: int,
    exponents: tuple[bool, bool],
    doubles: bool,
    tables: bool,
) -> list[str]:
    found: list[str] = []
    parts: tuple[Literal["whole", "near", "far"], ...] = ("near", "far") if lanes > 1 and group > 2 else ("whole",)
    for part in parts:
        own, parameters = symbol(name, form, lanes), PARAMETERS[: PRIMITIVES[name].arity]
        wide, narrow = exponents
        formula = IrFormula(own, form, fused, parameters, lanes, wide, doubles, tables, part, narrow)
        result = (SHORT | LONG | EXPANSIONS)[name](formula, *formula.arguments)
        text = formula.text_apart(result) if part == "far" else formula.text(result, group)
        found += [*formula.looked_up, text]
        if not formula.has_far:
            break
    return found
