"""Functions of ``scipy.special``, recognised by their place: SciPy is never imported."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradc.errors import DtypeError, TraceError
from gradc.frontend.numpy_api.axes import all_axes
from gradc.frontend.numpy_api.promote import broadcasted, common_dtype, converted, marker, operand_dtype, ufunc_of_scipy
from gradc.frontend.numpy_api.registry import implements
from gradc.frontend.numpy_api.special_complex import of_complex
from gradc.ir.graph import Value
from gradc.ir.op import Op
from gradc.ops import auxiliary_integrals, bessel, bessel_waves, error_functions, functions, gamma, integrals, normal
from gradc.ops import elementwise as ops
from gradc.ops import reduce as reductions
from gradc.ops.complex import is_complex
from gradc.ops.reduce import reduced_shape, spread
from gradc.ops.shape import reshaped


def as_special(name: str, x: Value) -> Value:
    """The operand of a ufunc of SciPy, in the dtype that the SciPy in use takes for it."""
    ufunc = ufunc_of_scipy(name)
    dtype = x.aval.dtype if ufunc is None else operand_dtype(ufunc, marker(x))
    if dtype.kind != "f":
        raise DtypeError(f"scipy.special.{name}: {x.aval} is not of a floating-point dtype")
    return converted(x, dtype)


@implements("scipy.special:expit", arrays=("x",))
def expit(x: Value) -> Value:
    """The logistic function."""
    return ops.logistic(as_special("expit", x))


@implements("scipy.special:ndtr", arrays=("x",))
def ndtr(x: Value) -> Value:
    """The distribution function of the standard normal distribution."""
    return functions.erfc(as_special("ndtr", x) * -math.sqrt(0.5)) * 0.5


@implements("scipy.special:log_ndtr", arrays=("x",))
def log_ndtr(x: Value) -> Value:
    """The logarithm of ``ndtr``."""
    return normal.log_ndtr(as_special("log_ndtr", x), n=0)


@implements("scipy.special:exp10", arrays=("x",))
def exp10(x: Value) -> Value:
    """``10**x``."""
    exponent = as_special("exp10", x)
    return ops.power(exponent.builder.full(10.0, exponent.aval), exponent)


def _one_op(name: str, op: Op) -> None:
    """A ufunc of SciPy that is one op."""

    def function(x: Value) -> Value:
        return of_complex(name, x) if is_complex(x) else op(as_special(name, x))

    function.__name__ = name
    implements(f"scipy.special:{name}", arrays=("x",))(function)


_one_op("erf", ops.erf)
_one_op("erfc", functions.erfc)
_one_op("expm1", ops.expm1)
_one_op("log1p", ops.log1p)
_one_op("exp2", functions.exp2)
_one_op("cbrt", functions.cbrt)
_one_op("gammaln", gamma.gammaln)
_one_op("digamma", gamma.digamma)  # psi is the same object
_one_op("erfcx", error_functions.erfcx)
_one_op("erfinv", error_functions.erfinv)
_one_op("erfcinv", error_functions.erfcinv)
_one_op("dawsn", auxiliary_integrals.dawsn)
_one_op("erfi", auxiliary_integrals.erfi)
for _name in ("spence", "exp1", "expi"):
    _one_op(_name, getattr(integrals, _name))
for _name in ("i0", "i1", "i0e", "i1e", "k0", "k1", "k0e", "k1e"):
    _one_op(_name, getattr(bessel, _name))
for _name in ("j0", "j1", "y0", "y1"):
    _one_op(_name, getattr(bessel_waves, _name))


@implements("scipy.special:sici", arrays=("x",))
def sici(x: Value) -> tuple[Value, Value]:
    """The sine and the cosine integral; the latter of negative numbers is that of their size."""
    operand = as_special("sici", x)
    return auxiliary_integrals.sine_integral(operand), auxiliary_integrals.cosine_integral(operand)


@implements("scipy.special:fresnel", arrays=("z",))
def fresnel(z: Value) -> tuple[Value, Value]:
    """Fresnel's integrals of ``sin(pi/2 t**2)`` and ``cos(pi/2 t**2)``."""
    operand = as_special("fresnel", z)
    return auxiliary_integrals.fresnel_sine(operand), auxiliary_integrals.fresnel_cosine(operand)


@implements(np.i0, arrays=("x",))
def i0(x: Value) -> Value:
    """The modified Bessel function of order 0; of integers in f64."""
    if x.aval.dtype.kind not in "fiub":
        raise DtypeError(f"np.i0: {x.aval} is not real; take .real first")
    x = x if x.aval.is_float else converted(x, np.dtype(np.float64))
    # NumPy's own is exp(x) over a root of x at infinity.
    return ops.select(ops.isfinite(x), bessel.i0(x), x.builder.full(math.nan, x.aval))


@implements("scipy.special:ndtri", arrays=("x",))
def ndtri(x: Value) -> Value:
    """The inverse of ``ndtr``: the quantiles of the standard normal distribution."""
    return error_functions.erfcinv(as_special("ndtri", x) * 2.0) * -math.sqrt(2.0)


@implements("scipy.special:zeta", arrays=("q",))
def zeta(x: Any, q: Value | None = None) -> Value:
    """Hurwitz's zeta function of ``q`` for an int ``x`` from 2 on: a derivative of digamma."""
    if not isinstance(x, (int, np.integer)) or x < 2 or q is None:
        raise TraceError(
            f"scipy.special.zeta: the first argument is an int from 2 on that is known, got {x!r}; "
            "write zeta(2, q) with q traced"
        )
    order = int(x) - 1
    return gamma.polygamma(_floating("zeta", q), n=order) * ((-1.0) ** (order + 1) / math.factorial(order))


@implements("scipy.special:polygamma", arrays=("x",))
def polygamma(n: Any, x: Value) -> Value:
    """The derivative of order ``n``, an int, of digamma. Raises TraceError for an order that is data."""
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool):
        raise TraceError(f"scipy.special.polygamma: the order is one int that is known, got {n!r}")
    operand = _floating("polygamma", x)
    return gamma.polygamma(operand, n=int(n)) if n else gamma.digamma(operand)


@implements("scipy.special:log_expit", arrays=("x",))
def log_expit(x: Value) -> Value:
    """The logarithm of the logistic function."""
    return -ops.softplus(-as_special("log_expit", x))


@implements("scipy.special:logit", arrays=("x",))
def logit(x: Value) -> Value:
    """``log(x / (1 - x))``; near 1/2 by log1p of ``2x - 1``, which is exact there."""
    p = as_special("logit", x)
    double = p * 2.0
    near = ops.less(ops.absolute(double - 1.0), p.builder.full(0.5, p.aval))
    return ops.select(near, ops.log1p(double - 1.0) - ops.log1p(1.0 - double), ops.log(p) - ops.log1p(-p))


def _floating(name: str, x: Value) -> Value:
    """``x`` itself. Raises DtypeError for other dtypes: SciPy's versions differ in what they make of integers."""
    if x.aval.dtype.kind != "f":
        raise DtypeError(f"scipy.special.{name}: {x.aval} is not of a floating-point dtype; convert it first")
    return x


@implements("scipy.special:logsumexp", arrays=("a", "b"))
def logsumexp(
    a: Value, axis: Any = None, b: Value | None = None, keepdims: Any = False, return_sign: Any = False
) -> Value | tuple[Value, Value]:
    """``log(sum(b * exp(a)))`` along axes, without overflow; of a negative sum NaN, or its size's and its sign."""
    if return_sign:
        return _weighed(a, axis, a.builder.full(1.0, a.aval) if b is None else b, keepdims, signed=True)
    if b is not None:
        return _weighed(a, axis, b, keepdims)[0]
    x, axes = _floating("logsumexp", a), all_axes("scipy.special.logsumexp", axis, a)
    return reductions.logsumexp(x, axes=axes, keepdims=bool(keepdims)) if axes else x


def _weighed(a: Value, axis: Any, b: Value, keepdims: Any, signed: bool = False) -> tuple[Value, Value]:
    """The logarithm of the sum, or of its size where it is ``signed``, and the sum's sign.

    The largest exponent with a weight is taken out first.
    """
    dtype = common_dtype(_floating("logsumexp", a), b)
    x, weights = broadcasted("scipy.special.logsumexp", converted(a, dtype), converted(b, dtype))
    axes = all_axes("scipy.special.logsumexp", axis, x)
    counts = ops.not_equal(weights, weights.builder.full(0.0, weights.aval))
    given = ops.select(counts, x, x.builder.full(-math.inf, x.aval))
    largest = reductions.reduce_max(given, axes=axes, keepdims=True)
    usable = ops.isfinite(largest)
    shift = ops.select(usable, largest, largest.builder.full(0.0, largest.aval))
    terms = weights * ops.exp(given - spread(shift, x.aval.shape, axes))
    total = reductions.reduce_sum(terms, axes=axes, keepdims=True)
    found = ops.log(ops.absolute(total) if signed else total) + shift, ops.sign(total)
    if keepdims:
        return found
    shape = reduced_shape(x.aval.shape, axes, False)
    return reshaped(found[0], shape), reshaped(found[1], shape)


@implements("scipy.special:softmax", arrays=("x",))
def softmax(x: Value, axis: Any = None) -> Value:
    """``exp(x) / sum(exp(x))`` along axes, without overflow."""
    return reductions.softmax(_floating("softmax", x), axes=all_axes("scipy.special.softmax", axis, x))


@implements("scipy.special:log_softmax", arrays=("x",))
def log_softmax(x: Value, axis: Any = None) -> Value:
    """``x - logsumexp(x)`` along axes, without the digits that both lose where they are large."""
    return reductions.log_softmax(_floating("log_softmax", x), axes=all_axes("scipy.special.log_softmax", axis, x))
