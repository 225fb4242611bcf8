"""Functions of ``scipy.special``, recognised by their place: SciPy is never imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import DtypeError
from gradc.frontend.numpy_api.axes import all_axes
from gradc.frontend.numpy_api.promote import astype, converted
from gradc.frontend.numpy_api.registry import implements
from gradc.ir.graph import Value
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops.reduce import spread

_F32 = np.dtype(np.float32)
_F64 = np.dtype(np.float64)


def _as_special(x: Value) -> Value:
    """The operand of a ufunc of SciPy that has loops for float32 and float64: what float32 holds exactly but is no
    Python number is float32."""
    kind = x.aval.dtype.kind
    if kind == "c":
        raise DtypeError(f"scipy.special functions of complex numbers ({x.aval}) are not supported")
    narrow = not x.aval.weak and np.can_cast(x.aval.dtype, _F32, "safe")
    return converted(x, _F32 if narrow else _F64)


@implements("scipy.special:expit", arrays=("x",))
def expit(x: Value) -> Value:
    """The logistic function."""
    return ops.logistic(_as_special(x))


@implements("scipy.special:erf", arrays=("x",))
def erf(x: Value) -> Value:
    """The error function."""
    return ops.erf(_as_special(x))


@implements("scipy.special:log_expit", arrays=("x",))
def log_expit(x: Value) -> Value:
    """The logarithm of the logistic function."""
    return -ops.softplus(-_as_special(x))


@implements("scipy.special:logit", arrays=("x",))
def logit(x: Value) -> Value:
    """``log(x / (1 - x))``; near 1/2 by log1p of ``2x - 1``, which is exact there."""
    p = _as_special(x)
    double = p * 2.0
    near = ops.less(ops.absolute(double - 1.0), p.builder.full(0.5, p.aval))
    return ops.select(near, ops.log1p(double - 1.0) - ops.log1p(1.0 - double), ops.log(p) - ops.log1p(-p))


def _as_array(x: Value) -> Value:
    """The operand of a function of SciPy in Python: integers become float64."""
    if x.aval.dtype.kind == "c":
        raise DtypeError(f"scipy.special functions of complex numbers ({x.aval}) are not supported")
    return astype(x, x.aval.dtype if x.aval.dtype.kind == "f" else _F64)


@implements("scipy.special:logsumexp", arrays=("a",))
def logsumexp(a: Value, axis: Any = None, keepdims: Any = False) -> Value:
    """``log(sum(exp(a)))`` along axes, without overflow."""
    x, axes = _as_array(a), all_axes("scipy.special.logsumexp", axis, a)
    return reductions.logsumexp(x, axes=axes, keepdims=bool(keepdims)) if axes else x


@implements("scipy.special:softmax", arrays=("x",))
def softmax(x: Value, axis: Any = None) -> Value:
    """``exp(x) / sum(exp(x))`` along axes, without overflow."""
    return reductions.softmax(_as_array(x), axes=all_axes("scipy.special.softmax", axis, x))


@implements("scipy.special:log_softmax", arrays=("x",))
def log_softmax(x: Value, axis: Any = None) -> Value:
    """``x - logsumexp(x)`` along axes."""
    operand, axes = _as_array(x), all_axes("scipy.special.log_softmax", axis, x)
    total = logsumexp(operand, axes, keepdims=True)
    return operand - spread(total, operand.aval.shape, axes)
