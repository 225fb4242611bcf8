"""The parts of complex numbers over Values; real numbers are complex ones without an imaginary part."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.frontend.numpy_api.comparisons import everywhere
from gradc.frontend.numpy_api.promote import converted, marker, operand_dtype, strong
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import complex as ops
from gradc.ops import elementwise, functions


@implements(np.isreal, arrays=("x",))
def isreal(x: Value) -> Value:
    """Whether the imaginary part is 0."""
    return elementwise.equal(imag(x), x.builder.full(0, imag(x).aval)) if ops.is_complex(x) else everywhere(x, True)


@implements(np.iscomplex, arrays=("x",))
def iscomplex(x: Value) -> Value:
    """Whether the imaginary part is not 0."""
    return elementwise.logical_not(isreal(x))


@implements(np.isrealobj, arrays=("x",))
def isrealobj(x: Value) -> bool:
    """Whether the dtype is real."""
    return not ops.is_complex(x)


@implements(np.conjugate, arrays=("x",))
def conjugate(x: Value) -> Value:
    """The numbers with their imaginary parts negated; real numbers themselves."""
    return ops.conj(strong(x)) if ops.is_complex(x) else strong(x)


@implements(np.real, arrays=("val",))
def real(val: Value) -> Value:
    """The real parts; real numbers themselves."""
    return ops.real(val) if ops.is_complex(val) else strong(val)


@implements(np.real_if_close, arrays=("a",))
def real_if_close(a: Value, tol: Any = 100) -> Value:
    """Real numbers themselves. Of complex ones the dtype would depend on data."""
    return strong(a)


@implements(np.imag, arrays=("val",))
def imag(val: Value) -> Value:
    """The imaginary parts; of real numbers zeros."""
    return ops.imag(val) if ops.is_complex(val) else val.builder.full(0, val.aval)


@implements(np.angle, arrays=("z",))
def angle(z: Value, deg: Any = False) -> Value:
    """The angle in radians, or degrees; of real numbers 0, or pi for negative ones."""
    if ops.is_complex(z):
        turned = functions.arctan2(ops.imag(z), ops.real(z))
    else:
        x = converted(z, operand_dtype(np.arctan2, int, marker(z)))
        turned = functions.arctan2(x.builder.full(0, x.aval), x)
    return turned * (180 / math.pi) if deg else turned
