"""Elementwise ops: operands of one shape; one partial derivative each gives the vjp.

Kinks: against a constant a tie of ``maximum`` and ``minimum`` gives the variable slope 0, between two variables
it is shared evenly; ``abs'(0) = 0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradc.errors import DtypeError, ShapeError
from gradc.ir.aval import Aval
from gradc.ir.graph import Value
from gradc.ir.op import Context, JvpContext, Op, Taken, VjpContext, register
from gradc.ops.complex import converted_back, magnitude_partial, real_dtype

Partials = Callable[[Context], Sequence[Any]]


def _same(name: str, avals: tuple[Aval, ...]) -> Aval:
    first = avals[0]
    for other in avals[1:]:
        if other.shape != first.shape or other.dtype != first.dtype:
            listed = " and ".join(map(str, avals))
            error = ShapeError if other.shape != first.shape else DtypeError
            raise error(f"{name}: operands differ: {listed}")
    return first


def elementwise(
    name: str,
    evaluate: Callable[..., Any],
    numpy: str,
    partials: Partials | None = None,
    *,
    kinds: str = "fc",
    gives_bool: bool = False,
    gives_real: bool = False,
    keeps_weak: bool = False,
    **fields: Any,
) -> Op:
    """Enter an op of operands of one shape and dtype, of the ``kinds`` given. The result is strong, unless
    ``keeps_weak`` and every operand is weak; of complex operands it is real where the op ``gives_real``."""

    def infer(*avals: Aval) -> Aval:
        first = _same(name, avals)
        if first.dtype.kind not in kinds:
            raise DtypeError(f"{name}: {first} has a dtype for which this op is not defined")
        if gives_bool:
            return Aval(first.shape, np.dtype(bool))
        dtype = real_dtype(first.dtype) if gives_real else first.dtype
        if not first.weak and dtype is first.dtype:
            return first
        return Aval(first.shape, dtype, keeps_weak and all(a.weak for a in avals))

    return register(Op(name, infer, evaluate, numpy, partials=partials, elementwise=True, **fields))


# Arithmetic. A partial is a Value, None (zero), 1, -1, or a function of the cotangent where that saves a rounding.


def _pow_partials(context: Context) -> Sequence[Any]:
    x, y = context.operands
    exponent = x.builder.scalar(y)
    if exponent is not None:
        c = exponent.item()
        by_x: Any = {0: None, 1: 1, 2: x * 2.0}.get(c, power(x, x.builder.full(c - 1, y.aval)) * c if c else None)
        return [by_x, _log_power(x, y, context) if context.active[1] else None]
    zero = x.builder.full(0.0, x.aval)
    slope = select(equal(y, zero), zero, y * power(x, y - 1.0))
    return [slope, _log_power(x, y, context) if context.active[1] else None]


def _log_power(x: Value, y: Value, context: Context) -> Value:
    """``x**y * log(x)``, with its limit 0 where x is 0."""
    zero = x.builder.full(0.0, x.aval)
    return select(equal(x, zero), zero, context.result * log(x))


def _evaluate_pow(x: Any, y: Any) -> Any:
    return np.power(x, y)


def _extremum_partials(first_wins: Callable[..., Value], no_worse: Callable[..., Value]) -> Partials:
    def partials(context: Context) -> Sequence[Any]:
        x, y = context.operands
        shared = not (context.constant[0] or context.constant[1])

        def part(this: Value, other: Value) -> Callable[[Value], Taken]:
            def of(ct: Value) -> Taken:
                zero = ct.builder.full(0.0, ct.aval)
                wins = first_wins(this, other)
                if not shared:
                    return Taken(select(wins, ct, zero), wins, strict=False)
                tied = select(equal(this, other), ct * 0.5, zero)
                return Taken(select(wins, ct, tied), no_worse(this, other), strict=False)

            return of

        return [part(x, y), part(y, x)]

    return partials


def _evaluate_div(x: Any, y: Any) -> Any:
    return np.true_divide(x, y)


add = elementwise(
    "add", np.add, "{0} + {1}", lambda c: [1, 1], kinds="fciu", commutative=True, latex="{0} + {1}", keeps_weak=True
)
sub = elementwise("sub", np.subtract, "{0} - {1}", lambda c: [1, -1], kinds="fciu", latex="{0} - {1}", keeps_weak=True)
mul = elementwise(
    "mul",
    np.multiply,
    "{0} * {1}",
    lambda c: [c.operands[1], c.operands[0]],
    kinds="fciu",
    commutative=True,
    latex=r"{0} \, {1}",
    keeps_weak=True,
)
div = elementwise(
    "div",
    _evaluate_div,
    "{0} / {1}",
    lambda c: [lambda ct: ct / c.operands[1], lambda ct: -(ct * c.result / c.operands[1])],
    latex=r"\frac{{{0}}}{{{1}}}",
    keeps_weak=True,
)
neg = elementwise("neg", np.negative, "-{0}", lambda c: [-1], kinds="fciu", latex="-{0}", keeps_weak=True)
floor_div = elementwise(
    "floor_div", np.floor_divide, "{0} // {1}", lambda c: [None, None], kinds="fiu", keeps_weak=True
)
mod = elementwise(
    "mod",
    np.remainder,
    "{0} % {1}",
    lambda c: [1, lambda ct: -(ct * floor_div(c.operands[0], c.operands[1]))],
    kinds="fiu",
    keeps_weak=True,
)
power = elementwise(
    "pow", _evaluate_pow, "{0} ** {1}", _pow_partials, kinds="fciu", latex="{{{0}}}^{{{1}}}", keeps_weak=True
)
maximum = elementwise(
    "maximum",
    np.maximum,
    "np.maximum({0}, {1})",
    _extremum_partials(lambda x, y: greater(x, y), lambda x, y: greater_equal(x, y)),
    kinds="fiub",
    commutative=True,
    latex=r"\max\left({0}, {1}\right)",
    text="max({0}, {1})",
)
minimum = elementwise(
    "minimum",
    np.minimum,
    "np.minimum({0}, {1})",
    _extremum_partials(lambda x, y: less(x, y), lambda x, y: less_equal(x, y)),
    kinds="fiub",
    commutative=True,
    latex=r"\min\left({0}, {1}\right)",
    text="min({0}, {1})",
)

# Functions of one variable.

exp = elementwise("exp", np.exp, "np.exp({0})", lambda c: [c.result], latex=r"e^{{{0}}}")
log = elementwise("log", np.log, "np.log({0})", lambda c: [lambda ct: ct / c.operands[0]], latex=r"\log {0}")
log1p = elementwise(
    "log1p",
    np.log1p,
    "np.log1p({0})",
    lambda c: [lambda ct: ct / (1.0 + c.operands[0])],
    latex=r"\log\left(1 + {0}\right)",
)
expm1 = elementwise("expm1", np.expm1, "np.expm1({0})", lambda c: [exp(c.operands[0])], latex=r"e^{{{0}}} - 1")
sqrt = elementwise("sqrt", np.sqrt, "np.sqrt({0})", lambda c: [lambda ct: ct * 0.5 / c.result], latex=r"\sqrt{{{0}}}")
tanh = elementwise("tanh", np.tanh, "np.tanh({0})", lambda c: [1.0 - c.result * c.result], latex=r"\tanh {0}")
sin = elementwise("sin", np.sin, "np.sin({0})", lambda c: [cos(c.operands[0])], latex=r"\sin {0}")
cos: Op = elementwise("cos", np.cos, "np.cos({0})", lambda c: [-sin(c.operands[0])], latex=r"\cos {0}")


def _abs_partials(c: Context) -> Sequence[Any]:
    (x,) = c.operands
    return [sign(x) if x.aval.dtype.kind != "c" else magnitude_partial(x, c.result)]


absolute = elementwise(
    "abs",
    np.abs,
    "np.abs({0})",
    _abs_partials,
    kinds="fciu",
    gives_real=True,
    latex=r"\left|{0}\right|",
    text="|{0}|",
    keeps_weak=True,
)
sign: Op = elementwise(
    "sign", np.sign, "np.sign({0})", lambda c: [None], kinds="fiu", latex=r"\operatorname{{sign}} {0}"
)


def _evaluate_erf(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), x.dtype)


erf = elementwise(
    "erf",
    _evaluate_erf,
    "_erf({0})",
    lambda c: [exp(-(c.operands[0] * c.operands[0])) * (2.0 / math.sqrt(math.pi))],
    kinds="f",
    captures=("scipy.special:erf",),
    latex=r"\operatorname{{erf}} {0}",
    text="erf({0})",
)


# The logistic family. Every form evaluates exp at a non-positive argument, so nothing overflows.


def _decay(z: Any) -> Any:
    return np.exp(-np.abs(z))


def _evaluate_logistic(z: Any) -> Any:
    e = _decay(z)
    return np.where(z >= 0, np.ones_like(e), e) / (1 + e)


def _evaluate_softplus(z: Any) -> Any:
    return np.log1p(_decay(z)) + np.maximum(z, np.zeros_like(z))


def _evaluate_logistic_bce(z: Any, y: Any) -> Any:
    return np.log1p(_decay(z)) + np.where(z >= 0, 1 - y, y) * np.abs(z)


def _loops_decay(b: Any, z: Any) -> Any:
    return b.exp_unit(b.neg(b.abs(z)))


def _loops_logistic(b: Any, z: Any) -> Any:
    return logistic_by_decay(b, b.ge(z, 0.0), _loops_decay(b, z))


def logistic_by_decay(b: Any, holds: Any, e: Any) -> Any:
    """``1 / (1 + e)``, or where it does not hold ``e / (1 + e)``: the numerator less ``e / (1 + e)`` of it."""
    # What the quotient is off counts e times as much so; it is itself up to 2.4 units off below powers of two.
    numerator = b.select(holds, 1.0, e)
    return b.fma(b.neg(numerator), b.div(e, b.add(1.0, e)), numerator)


def _loops_softplus(b: Any, z: Any) -> Any:
    return b.add(b.log1p_unit(_loops_decay(b, z)), b.maximum(z, 0.0))


def _loops_logistic_bce(b: Any, z: Any, y: Any) -> Any:
    side = b.select(b.ge(z, 0.0), b.sub(1.0, y), y)
    return b.add(b.log1p_unit(_loops_decay(b, z)), b.mul(side, b.abs(z)))


logistic: Op = elementwise(
    "logistic",
    _evaluate_logistic,
    "np.where({0} >= 0, 1.0, np.exp(-np.abs({0}))) / (1.0 + np.exp(-np.abs({0})))",
    lambda c: [c.result * logistic(-c.operands[0])],
    kinds="f",
    loops=_loops_logistic,
    captures=("scipy.special:expit",),
    latex=r"\sigma\left({0}\right)",
    text="σ({0})",
)
softplus = elementwise(
    "softplus",
    _evaluate_softplus,
    "np.log1p(np.exp(-np.abs({0}))) + np.maximum({0}, 0.0)",
    lambda c: [logistic(c.operands[0])],
    kinds="f",
    loops=_loops_softplus,
    latex=r"\log\left(1 + e^{{{0}}}\right)",
    text="softplus({0})",
)
logistic_bce = elementwise(
    "logistic_bce",
    _evaluate_logistic_bce,
    "np.log1p(np.exp(-np.abs({0}))) + np.where({0} >= 0, 1.0 - {1}, {1}) * np.abs({0})",
    lambda c: [logistic(c.operands[0]) - c.operands[1], -c.operands[0]],
    kinds="f",
    loops=_loops_logistic_bce,
    latex=r"-\left[{1} \log \sigma\left({0}\right) + (1 - {1}) \log\left(1 - \sigma\left({0}\right)\right)\right]",
    text="cross_entropy({1}, σ({0}))",
)

# Comparisons and logic.


def _comparison(
    name: str, evaluate: Callable[..., Any], symbol: str, latex: str, kinds: str = "fiub", **fields: Any
) -> Op:
    return elementwise(
        name, evaluate, f"{{0}} {symbol} {{1}}", kinds=kinds, gives_bool=True, latex=f"{{0}} {latex} {{1}}", **fields
    )


equal = _comparison("eq", np.equal, "==", "=", "fciub", commutative=True)
not_equal = _comparison("ne", np.not_equal, "!=", r"\ne", "fciub", commutative=True)
less: Op = _comparison("lt", np.less, "<", "<")
less_equal: Op = _comparison("le", np.less_equal, "<=", r"\le")
greater: Op = _comparison("gt", np.greater, ">", ">")
greater_equal: Op = _comparison("ge", np.greater_equal, ">=", r"\ge")
logical_and = elementwise(
    "logical_and", np.logical_and, "{0} & {1}", kinds="b", commutative=True, latex=r"{0} \land {1}"
)
logical_or = elementwise("logical_or", np.logical_or, "{0} | {1}", kinds="b", commutative=True, latex=r"{0} \lor {1}")
logical_xor = elementwise(
    "logical_xor", np.logical_xor, "{0} ^ {1}", kinds="b", commutative=True, latex=r"{0} \oplus {1}"
)
logical_not = elementwise("logical_not", np.logical_not, "~{0}", kinds="b", latex=r"\lnot {0}")
isfinite = elementwise("isfinite", np.isfinite, "np.isfinite({0})", gives_bool=True)
isnan = elementwise("isnan", np.isnan, "np.isnan({0})", gives_bool=True)


# Selection and conversion.


def _infer_select(mask: Aval, a: Aval, b: Aval) -> Aval:
    if mask.dtype != np.dtype(bool) or mask.shape != a.shape:
        raise ShapeError(f"select: the mask {mask} does not fit the branches {a} and {b}")
    _same("select", (a, b))
    return Aval(a.shape, a.dtype)


def _select_vjp(context: VjpContext) -> Sequence[Any]:
    """Each branch receives the cotangent with the mask of the elements for which it was taken."""
    mask, ct = context.operands[0], context.ct
    zero = ct.builder.full(0.0, ct.aval)
    return [
        None,
        Taken(select(mask, ct, zero), mask, strict=True) if context.active[1] else None,
        Taken(select(mask, zero, ct), logical_not(mask), strict=True) if context.active[2] else None,
    ]


def _select_jvp(context: JvpContext) -> Value:
    mask, a, _ = context.operands
    zero = a.builder.full(0.0, a.aval)
    of_a, of_b = (zero if t is None else t for t in context.tangents[1:])
    return select(mask, of_a, of_b)


select = register(
    Op(
        "select",
        _infer_select,
        lambda mask, a, b: np.where(mask, a, b),
        "np.where({0}, {1}, {2})",
        vjp=_select_vjp,
        jvp=_select_jvp,
        elementwise=True,
        latex=r"\begin{{cases}} {1} & {0} \\ {2} & \text{{otherwise}} \end{{cases}}",
    )
)


def _infer_convert(x: Aval, *, dtype: np.dtype, weak: bool = False) -> Aval:
    """``weak`` is given where a Python number becomes another, an int a float."""
    if x.dtype.kind == "c" and dtype.kind != "c":
        raise DtypeError(f"convert: {x} has imaginary parts, which {dtype} does not hold; take the real part first")
    return Aval(x.shape, dtype, weak)


def _convert_vjp(context: VjpContext) -> Sequence[Any]:
    source = context.operands[0].aval
    numbers = source.dtype.kind in "fc" and context.ct.aval.dtype.kind in "fc"
    return [converted_back(context.ct, source.dtype) if numbers else None]


convert = register(
    Op(
        "convert",
        _infer_convert,
        lambda x, dtype, weak=False: np.asarray(x).astype(dtype),
        lambda params, result, x: f"{{0}}.astype(np.{params['dtype'].name})",
        vjp=_convert_vjp,
        linear=True,
        elementwise=True,
        loops=lambda b, x, dtype, weak=False: b.convert(x, dtype),
        flops=lambda result, *avals, **params: 0,
        latex="{0}",
    )
)
