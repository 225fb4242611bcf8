"""The functions that a derivation knows by name: their derivative as a textbook states it, their value.

An elementwise op that is not listed here is differentiated by its own record; listing it only makes it read better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    TWO,
    Apply,
    Expr,
    Number,
    Slope,
    Symbol,
    add,
    children,
    divide,
    mul,
    negative,
    number,
    power,
    record_of,
)
from gradc.inspect.laws import Reason
from gradc.ir.aval import SymbolicDim, broadcast_shapes

U: Final = Symbol("u", (), "pattern")
"""Stands for the argument in a derivative."""

V: Final = Symbol("v", (), "pattern")
"""Stands for the second argument, where there is one."""

R: Final = Symbol("r", (), "pattern")
"""Stands for the result in a derivative."""

PI: Final = Symbol("pi", (), "constant")


def apply(name: str, *args: Expr, **params: Any) -> Apply:
    """An elementwise function of expressions."""
    return Apply(name, args, broadcast_shapes(*[a.shape for a in args]), tuple(sorted(params.items())))


@dataclass(frozen=True)
class Derivative:
    """The derivative of an elementwise function for each argument, over ``U``, ``V`` and the result ``R``."""

    slopes: tuple[Expr, ...]
    reason: Reason


def _one(name: str, slope: Expr, text: str, latex: str) -> tuple[str, Derivative]:
    return name, Derivative((slope,), Reason(f"derivative-of-{name}", text, (), latex))


DERIVATIVES: Final[Mapping[str, Derivative]] = dict([
    _one("exp", R, "(e^u)' = e^u", r"$(e^u)' = e^u$"),
    _one("log", power(U, MINUS_ONE), "(log u)' = 1/u", r"$(\log u)' = 1/u$"),
    _one("log1p", power(add(ONE, U), MINUS_ONE), "(log(1 + u))' = 1/(1 + u)", r"$(\log(1 + u))' = 1/(1 + u)$"),
    _one("expm1", apply("exp", U), "(e^u - 1)' = e^u", r"$(e^u - 1)' = e^u$"),
    _one("sqrt", divide(number(0.5), R), "(√u)' = 1/(2√u)", r"$(\sqrt{u})' = 1/(2\sqrt{u})$"),
    _one("tanh", add(ONE, negative(power(R, TWO))), "tanh' = 1 - tanh²", r"$\tanh' = 1 - \tanh^2$"),
    _one("sin", apply("cos", U), "sin' = cos", r"$\sin' = \cos$"),
    _one("cos", negative(apply("sin", U)), "cos' = -sin", r"$\cos' = -\sin$"),
    _one("logistic", mul(R, add(ONE, negative(R))), "σ' = σ(1 - σ)", r"$\sigma' = \sigma (1 - \sigma)$"),
    _one("softplus", apply("logistic", U), "(log(1 + e^u))' = σ(u)", r"$(\log(1 + e^u))' = \sigma(u)$"),
    _one("relu", apply("relu_prime", U), "ReLU'(u) = [u > 0]", r"$\mathrm{ReLU}'(u) = [u > 0]$"),
    _one("abs", apply("sign", U), "|u|' = sign u", r"$|u|' = \operatorname{sign} u$"),
    _one(
        "erf",
        mul(TWO, power(PI, number(-0.5)), apply("exp", negative(power(U, TWO)))),
        "erf'(u) = 2/√π · e^(-u²)",
        r"$\operatorname{erf}'(u) = \tfrac{2}{\sqrt{\pi}} e^{-u^2}$",
    ),
    _one(
        "erfc",
        mul(number(-2.0), power(PI, number(-0.5)), apply("exp", negative(power(U, TWO)))),
        "erfc'(u) = -2/√π · e^(-u²)",
        r"$\operatorname{erfc}'(u) = -\tfrac{2}{\sqrt{\pi}} e^{-u^2}$",
    ),
    _one("gammaln", apply("digamma", U), "gammaln' = digamma", r"$(\log |\Gamma|)' = \psi$"),
    _one("digamma", apply("polygamma", U, n=1), "digamma'(u) = polygamma(1, u)", r"$\psi' = \psi^{(1)}$"),
    _one("sinh", apply("cosh", U), "sinh' = cosh", r"$\sinh' = \cosh$"),
    _one("cosh", apply("sinh", U), "cosh' = sinh", r"$\cosh' = \sinh$"),
    _one("tan", add(ONE, power(R, TWO)), "tan' = 1 + tan²", r"$\tan' = 1 + \tan^2$"),
    _one(
        "arctan",
        power(add(ONE, power(U, TWO)), MINUS_ONE),
        "arctan'(u) = 1/(1 + u²)",
        r"$\arctan'(u) = 1/(1 + u^2)$",
    ),
    _one(
        "arcsin",
        power(add(ONE, negative(power(U, TWO))), number(-0.5)),
        "arcsin'(u) = 1/√(1 - u²)",
        r"$\arcsin'(u) = 1/\sqrt{1 - u^2}$",
    ),
    _one(
        "arccos",
        negative(power(add(ONE, negative(power(U, TWO))), number(-0.5))),
        "arccos'(u) = -1/√(1 - u²)",
        r"$\arccos'(u) = -1/\sqrt{1 - u^2}$",
    ),
    _one(
        "arcsinh",
        power(add(ONE, power(U, TWO)), number(-0.5)),
        "arsinh'(u) = 1/√(1 + u²)",
        r"$\operatorname{arsinh}'(u) = 1/\sqrt{1 + u^2}$",
    ),
    _one(
        "arccosh",
        power(add(power(U, TWO), MINUS_ONE), number(-0.5)),
        "arcosh'(u) = 1/√(u² - 1)",
        r"$\operatorname{arcosh}'(u) = 1/\sqrt{u^2 - 1}$",
    ),
    _one(
        "arctanh",
        power(add(ONE, negative(power(U, TWO))), MINUS_ONE),
        "artanh'(u) = 1/(1 - u²)",
        r"$\operatorname{artanh}'(u) = 1/(1 - u^2)$",
    ),
])  # fmt: skip

CONSTANT_ALMOST_EVERYWHERE: Final = frozenset({
    "sign", "floor_div", "relu_prime", "eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor",
    "logical_not", "isfinite", "isnan", "indicator", "winner", "stop_gradient",
})  # fmt: skip
"""Functions whose derivative is 0 wherever they have one."""


def _winner(u: Any, v: Any) -> Any:
    return np.heaviside(np.subtract(u, v), 0.5)


_VALUES: Final[Mapping[str, Callable[..., Any]]] = {
    "relu": lambda u: np.maximum(u, 0.0),
    "relu_prime": lambda u: np.where(np.asarray(u) > 0, 1.0, 0.0),
    "indicator": lambda m: np.where(m, 1.0, 0.0),
    "winner": _winner,
}
"""Functions that are no ops. ``winner(u, v)`` is the slope of max(u, v) in u: 1, 0, and 1/2 where they tie."""


def evaluate(expression: Expr, values: Mapping[Expr, Any]) -> Any:
    """The number (or array) that an expression stands for, given those of its symbols. KeyError for one not given."""
    known = values.get(expression)
    if known is not None:
        return known
    match expression:
        case Number(value):
            return float(value)
        case Symbol(name, role="constant"):
            return {"pi": np.pi, "inf": np.inf, "nan": np.nan}[name]
        case Symbol() | Slope():
            raise KeyError(expression.name if isinstance(expression, Symbol) else f"d{expression.of}/d{expression.wrt}")
        case Apply():
            return _applied(expression, [evaluate(a, values) for a in expression.args])
    parts = [evaluate(p, values) for p in children(expression)]
    result = parts[0]
    for part in parts[1:]:
        result = _COMBINED[type(expression).__name__](result, part)
    return result


_COMBINED: Final[Mapping[str, Callable[[Any, Any], Any]]] = {"Add": np.add, "Mul": np.multiply, "Power": np.power}


def _applied(expression: Apply, args: list[Any]) -> Any:
    name = expression.function
    if name == "item":
        return np.asarray(args[0])[expression.param("index")]
    if name == "others":
        return _others(np.asarray(args[0]), expression.param("axes"))
    if name == "constant":
        return expression.param("value").array
    if name in _VALUES:
        return _VALUES[name](*args)
    op = record_of(name)
    assert op is not None
    params = dict(expression.params)
    if op.elementwise:
        arrays = [np.asarray(a) for a in args]
        return op.evaluate(*np.broadcast_arrays(*arrays), **params)
    shapes = [a.shape for a in expression.args]
    sized = [
        np.broadcast_to(np.asarray(a), _fixed(shape)) if not _symbolic(shape) else np.asarray(a)
        for a, shape in zip(args, shapes, strict=True)
    ]
    return op.evaluate(*sized, **params)


def _others(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """For each element the product of the others along some axes: of those before it, times that of those behind."""
    x = np.moveaxis(x, axes, range(len(axes)))
    rows = x.reshape(-1, *x.shape[len(axes) :])
    if not rows.size:
        return x
    behind = np.cumprod(rows[:0:-1], axis=0)[::-1]
    before = np.cumprod(rows[:-1], axis=0)
    ones = np.ones((1, *rows.shape[1:]))
    product = np.concatenate([ones, before]) * np.concatenate([behind, ones])
    return np.moveaxis(product.reshape(x.shape), range(len(axes)), axes)


def _symbolic(shape: tuple[Any, ...]) -> bool:
    return any(isinstance(d, SymbolicDim) for d in shape)


def _fixed(shape: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(int(d) for d in shape)
