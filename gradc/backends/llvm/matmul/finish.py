"""Epilogues in vectors: what is made of a tile's sums while they are in registers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradc.backends.llvm.matmul.code import Code
from gradc.backends.llvm.primitives import emit_primitive
from gradc.backends.llvm.types import constant_operand
from gradc.loops.language.epilogue import Finish
from gradc.loops.language.program import BOOL, Apply, Constant, Expression, Variable, variable, walk

VECTORS: Final = frozenset((
    "add", "sub", "mul", "div", "fma", "neg", "abs", "sqrt", "floor", "minimum", "maximum", "isnan", "select",
    "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor",
    "exp", "exp_unit", "log", "log1p", "log1p_unit", "expm1", "tanh", "erf",
))  # fmt: skip
"""The primitives on floats and masks that vectors may be given to in epilogues."""


@dataclass(frozen=True, slots=True)
class VectorFinish:
    """The values that are stored, of the variables of ``gradc.loops.language.epilogue.Finish``.

    loads, scalars  how many there are
    keeps           whether the sums are stored too
    """

    values: tuple[Expression, ...]
    loads: int
    scalars: int
    keeps: bool

    def emit(self, code: Code, total: str, loads: Mapping[int, str], scalars: Mapping[int, str]) -> list[str]:
        """The values as vectors, for a vector of sums, of elements and of scalars in all lanes."""
        dtype = code.dtype
        known: dict[Expression, str] = {variable("the element", dtype): total}
        known |= {variable(f"load {position}", dtype): value for position, value in loads.items()}
        known |= {variable(f"scalar {position}", dtype): value for position, value in scalars.items()}
        for part in walk(*self.values):
            if isinstance(part, Constant):
                known[part] = constant_operand(part)
            elif isinstance(part, Apply):
                operands = tuple([known[o] for o in part.arguments])
                source = part.arguments[-1].dtype
                with code.writer.in_lanes(code.lanes):
                    known[part] = emit_primitive(code.writer, part.primitive, source, part.dtype, operands)
        with code.writer.in_lanes(code.lanes):
            values = [(value, known[value]) for value in self.values]
            return [code.writer.number(v, e.dtype) if isinstance(e, Constant) else v for e, v in values]


def vector_finish(finish: Finish, dtype: np.dtype, *, keeps: bool) -> VectorFinish | None:
    """The epilogue in vectors of a dtype; None where it computes in another, or with what vectors are not given to."""
    for part in walk(*finish.values):
        match part:
            case Variable(dtype=kind) if kind == dtype:
                continue
            case Constant(dtype=kind, value=value) if kind == dtype and not math.isnan(value):
                continue
            case Apply(primitive=primitive, dtype=kind) if primitive in VECTORS and kind in (dtype, BOOL):
                continue
        return None
    return VectorFinish(finish.values, len(finish.loads), len(finish.scalars), keeps)
