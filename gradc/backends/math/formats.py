"""The binary formats that the functions are written for, bit by bit."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

import numpy as np


@dataclass(frozen=True, slots=True)
class Format:
    """An IEEE 754 binary format: its name, its type in LLVM, and the layout of its bits."""

    name: str
    type: str
    integer: str
    bits: int
    mantissa: int
    dtype: np.dtype

    @property
    def bias(self) -> int:
        """What is added to the exponent in its field."""
        return (1 << (self.bits - self.mantissa - 2)) - 1

    @property
    def smallest_normal(self) -> float:
        return float(2.0 ** (1 - self.bias))

    @property
    def epsilon(self) -> float:
        """The distance from 1 to the next number."""
        return float(2.0**-self.mantissa)

    @property
    def rounder(self) -> float:
        """Added to a much smaller number, it leaves that number rounded to an integer in the sum's last bits."""
        return float(1.5 * 2.0**self.mantissa)

    def bits_of(self, value: float) -> int:
        """The bit pattern of a number, as an integer."""
        code, size = ("d", "Q") if self.bits == 64 else ("f", "I")
        return int(struct.unpack(f"<{size}", struct.pack(f"<{code}", value))[0])


F64: Final = Format("f64", "double", "i64", 64, 52, np.dtype(np.float64))
F32: Final = Format("f32", "float", "i32", 32, 23, np.dtype(np.float32))


def format_of(dtype: np.dtype) -> Format:
    """The format of f32 or f64."""
    return F64 if dtype.itemsize == 8 else F32
