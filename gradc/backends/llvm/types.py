"""How dtypes, numbers and names are written in LLVM IR."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradc.errors import CompileError
from gradc.ir.aval import short_dtype
from gradc.loops.program import Constant

_SCALAR: Final = {
    "float32": "float", "float64": "double", "bool": "i1",
    "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "uint8": "i8", "uint16": "i16", "uint32": "i32", "uint64": "i64",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Packed:
    """A vector of elements of a dtype, in a register."""

    element: np.dtype
    lanes: int

    @property
    def kind(self) -> str:
        return self.element.kind


Kind = np.dtype | Packed
"""What an operand in a register is: a scalar, or a vector."""


def scalar_type(dtype: Kind) -> str:
    """The IR type of an operand in a register. Raises CompileError for a dtype the backend lacks."""
    if isinstance(dtype, Packed):
        return f"<{dtype.lanes} x {scalar_type(dtype.element)}>"
    found = _SCALAR.get(dtype.name)
    if found is None:
        raise CompileError(
            f"the llvm backend has no {short_dtype(dtype)}; convert to one of f32, f64, integers or bool, "
            'or compile with backend="numpy"'
        )
    return found


def memory_type(dtype: np.dtype) -> str:
    """The IR type of an element in memory; a bool is a byte."""
    return "i8" if dtype.kind == "b" else scalar_type(dtype)


def mask_type(dtype: Kind) -> str:
    """The IR type of the truth of a comparison of two operands."""
    return f"<{dtype.lanes} x i1>" if isinstance(dtype, Packed) else "i1"


def suffix(dtype: Kind) -> str:
    """The type's part in an intrinsic's name: ``f64``, ``i32``, ``v8f32``."""
    if isinstance(dtype, Packed):
        return f"v{dtype.lanes}{suffix(dtype.element)}"
    return f"f{8 * dtype.itemsize}" if dtype.kind == "f" else f"i{8 * dtype.itemsize}"


def number(value: bool | float, dtype: np.dtype) -> str:
    """A number as an IR operand. Floats whose decimal form is not short and exact are written in hexadecimal."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind == "f":
        if abs(value) < 2**20 and float(value * 1024).is_integer():
            return repr(float(value))
        return f"0x{struct.pack('>d', float(value)).hex().upper()}"
    return str(int(value))


def constant_operand(constant: Constant) -> str:
    """A constant expression as an IR operand."""
    return number(constant.value, constant.dtype)


def symbol_name(name: str) -> str:
    """A global's name, of words and dots."""
    return f"@{name}"
