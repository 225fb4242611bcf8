"""Python's operators over Values: as the ufuncs, but two Python numbers stay a Python number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from gradc.errors import DtypeError
from gradc.frontend.numpy_api import bits, comparisons, ufuncs
from gradc.frontend.numpy_api.contractions import matmul
from gradc.frontend.numpy_api.promote import elementwise, python_constant, strong
from gradc.frontend.numpy_api.registry import lookup
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops

Operator = Callable[..., Value]


def _arithmetic(ufunc: np.ufunc, op: Any) -> Operator:
    record = lookup(ufunc)
    assert record is not None
    of_arrays = record.function

    def operator(x: Value, y: Value) -> Value:
        if x.aval.weak and y.aval.weak:
            return elementwise(op, ufunc, x, y)
        result: Value = of_arrays(x, y)
        return result

    return operator


def _power(x: Value, y: Value) -> Value:
    """``x ** y``. NumPy's own shortcuts for arrays are kept: ``x ** 0.5`` is a root, ``x ** 2`` of bools a square."""
    exponent = python_constant(y)
    if exponent == 2 and type(exponent) is int and x.aval.dtype == np.dtype(bool) and x.aval.shape:
        return ufuncs.square(x)
    if exponent == 0.5 and x.aval.is_float and x.aval.shape:
        return ops.sqrt(x)
    if x.aval.weak and y.aval.weak:
        return _number_power(x, y, exponent)
    return strong(ufuncs.power(x, y))


def _number_power(x: Value, y: Value, exponent: Any) -> Value:
    integers = x.aval.dtype.kind == "i" and y.aval.dtype.kind == "i"
    if not integers:
        return ufuncs.power(x, y)
    if exponent is None:
        raise DtypeError(
            "a Python int to the power of a traced Python int may be an int or a float; write float(x) ** n"
        )
    if exponent < 0:
        x = ops.convert(x, dtype=np.dtype(np.float64), weak=True)
    return ufuncs.power(x, y)


def _negative(x: Value) -> Value:
    return elementwise(ops.neg, np.negative, x)


def _positive(x: Value) -> Value:
    return x if x.aval.weak else ufuncs.positive(x)


def _of(ufunc: np.ufunc) -> Operator:
    record = lookup(ufunc)
    assert record is not None
    return record.function


OPERATORS: Final[Mapping[str, Operator]] = {
    "add": _arithmetic(np.add, ops.add),
    "sub": _arithmetic(np.subtract, ops.sub),
    "mul": _arithmetic(np.multiply, ops.mul),
    "truediv": _arithmetic(np.true_divide, ops.div),
    "floordiv": _arithmetic(np.floor_divide, ops.floor_div),
    "mod": _arithmetic(np.remainder, ops.mod),
    "pow": _power,
    "matmul": matmul,
    "neg": _negative,
    "pos": _positive,
    "abs": ufuncs.magnitude,
    "invert": bits.invert,
    "eq": comparisons.equal,
    "ne": comparisons.not_equal,
    "lt": comparisons.less,
    "le": comparisons.less_equal,
    "gt": comparisons.greater,
    "ge": comparisons.greater_equal,
    "and": _of(np.bitwise_and),
    "or": _of(np.bitwise_or),
    "xor": _of(np.bitwise_xor),
    "lshift": bits.left_shift,
    "rshift": bits.right_shift,
}
"""By the name of the special method without underscores: ``OPERATORS["add"](x, y)``."""
