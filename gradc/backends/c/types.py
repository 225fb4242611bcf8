"""How dtypes, numbers and comments are written in C."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from gradc.backends.abi import C_TYPES
from gradc.backends.c_names import in_comment
from gradc.errors import CompileError
from gradc.ir.aval import short_dtype

_SHORT: Final = 9
"""Digits of a decimal that stands for a number; longer ones are in hexadecimal, which shows the bits."""


def c_type(dtype: np.dtype) -> str:
    """The C type of a dtype. Raises CompileError where there is none."""
    found = C_TYPES.get(dtype.name)
    if found is None:
        raise CompileError(
            f"C source has no {short_dtype(dtype)}; convert to one of f32, f64, integers or bool, "
            'or save with format="py"'
        )
    return found


def literal(value: bool | float, dtype: np.dtype) -> str:
    """A number as C reads it back, exactly."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if dtype.kind == "f":
        return _float(float(value), single=dtype.itemsize == 4)
    number = int(value)
    if dtype.kind == "u":
        return f"UINT64_C({number})" if number >= 2**32 else f"{number}u"
    if number == -(2**63):
        return "INT64_MIN"
    return f"INT64_C({number})" if abs(number) >= 2**31 else str(number)


def _float(value: float, *, single: bool) -> str:
    if math.isnan(value):
        return "(0.0f / 0.0f)" if single else "(0.0 / 0.0)"
    sign = "-" if math.copysign(1.0, value) < 0 else ""
    end = "f" if single else ""
    if math.isinf(value):
        return f"({sign}1.0{end} / 0.0{end})"
    size = abs(value)
    decimal = str(np.float32(size)) if single else repr(size)
    if len(decimal) > _SHORT:
        mantissa, exponent = size.hex().split("p")
        decimal = f"{mantissa.rstrip('0').rstrip('.')}p{exponent}"
    return f"{sign}{decimal}{end}"


def comment(text: str) -> str:
    """A comment, whatever the text is."""
    return f"/* {in_comment(text)} */"
