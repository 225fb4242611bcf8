"""How dtypes, numbers and names are written in LLVM IR."""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from gradc.errors import CompileError
from gradc.ir.aval import short_dtype
from gradc.loops.language.program import Constant

_SCALAR: Final = {
    np.dtype(name): written
    for name, written in {
        "float32": "float", "float64": "double", "bool": "i1",
        "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
        "uint8": "i8", "uint16": "i16", "uint32": "i32", "uint64": "i64",
    }.items()
}  # fmt: skip


def scalar_type(dtype: np.dtype) -> str:
    """The IR type of a scalar in a register. Raises CompileError for a dtype the backend lacks."""
    found = _SCALAR.get(dtype)
    if found is None:
        raise CompileError(
            f"the llvm backend has no {short_dtype(dtype)}; convert to one of f32, f64, integers or bool, "
            'or compile with backend="numpy"'
        )
    return found


def memory_type(dtype: np.dtype) -> str:
    """The IR type of an element in memory; a bool is a byte."""
    return "i8" if dtype.kind == "b" else scalar_type(dtype)


def suffix(dtype: np.dtype) -> str:
    """The type's part in an intrinsic's name: ``f64``, ``i32``."""
    return f"f{8 * dtype.itemsize}" if dtype.kind == "f" else f"i{8 * dtype.itemsize}"


def vector_type(element: str, lanes: int) -> str:
    """The IR type of ``lanes`` elements; of one, the element's."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


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
