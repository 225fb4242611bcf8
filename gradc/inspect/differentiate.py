"""Differentiation of expressions: the slope of an elementwise one, and the cotangent through any.

Both note the rules that they use. An op without a rule here is differentiated by its own record, on a graph of that one
op, so that what is told is never less than what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    TWO,
    ZERO,
    Add,
    Apply,
    Expr,
    Mul,
    Number,
    Power,
    Shape,
    Symbol,
    add,
    children,
    contains,
    divide,
    is_pointwise,
    mul,
    negative,
    number,
    numerator_and_denominator,
    power,
    rebuilt,
    spread,
    substituted,
)
from gradc.inspect.functions import CONSTANT_ALMOST_EVERYWHERE, DERIVATIVES, R, U, apply
from gradc.inspect.laws import Reason
from gradc.inspect.mixing import arrays, contraction, scalars, total, turned, unreduced
from gradc.inspect.reading import Sizes, read_values
from gradc.ir.aval import Aval, size_of
from gradc.ir.graph import Builder, Value
from gradc.ir.op import REGISTRY, Op, Taken, VjpContext
from gradc.ops.regions import call

_RECIPROCAL = Reason("reciprocal-rule", "(1/u)' = -u'/u²", (), r"$(1/u)' = -u'/u^2$")
_QUOTIENT = Reason("quotient-rule", "(u/v)' = (u'v - uv')/v²", (), r"$(u/v)' = (u'v - uv')/v^2$")
_PRODUCT = Reason("product-rule", "(uv)' = u'v + uv'", (), r"$(uv)' = u'v + uv'$")
_POWER = Reason("power-rule", "(uⁿ)' = n·uⁿ⁻¹·u'", (), r"$(u^n)' = n u^{n-1} u'$")
_EXPONENTIAL = Reason(
    "exponential-rule", "(u^v)' = u^v·(v' log u + v·u'/u)", (), r"$(u^v)' = u^v (v' \log u + v u'/u)$"
)
_SELECT = Reason("branch-rule", "each branch by itself; the one not taken gives 0")
_EXTREMUM = Reason("extremum-rule", "max and min pass the slope of the one that wins; a tie is shared")
_MATRIX = (
    Reason("matrix-left", "A @ B: δ @ Bᵀ for A", (), r"$AB$: $\delta B^{\mathsf T}$ for $A$"),
    Reason("matrix-right", "A @ B: Aᵀ @ δ for B", (), r"$AB$: $A^{\mathsf T} \delta$ for $B$"),
)
_OTHERS = Reason("product-of-others", "one factor varies: the product of the others")
_PICKED = Reason("placed-back", "what is picked goes back to its place")
_WRITTEN = Reason("written-over", "what is written over has no effect")
_STRUCTURE = {
    "slice": _PICKED,
    "gather": _PICKED,
    "update_slice": _WRITTEN,
    "scatter": _WRITTEN,
    "concatenate": Reason("parts", "each part has its piece"),
}
_SILENT = ("reshape", "transpose")
_SPREAD = Reason("broadcast-rule", "shared by all: sum")


class Differentiation:
    """One differentiation with its notes. ``names`` maps whole definitions to the symbols that they define."""

    def __init__(self, names: dict[Expr, Symbol], sizes: Sizes) -> None:
        self.names = names
        self.sizes = sizes
        self.reasons: list[Reason] = []

    def note(self, reason: Reason) -> None:
        """Remember a rule that was used, once."""
        if reason not in self.reasons:
            self.reasons.append(reason)

    # The slope of an elementwise expression

    def slope(self, expression: Expr, wrt: Symbol) -> Expr:
        """The derivative of an elementwise expression with respect to one of its symbols, element by element."""
        if expression == wrt:
            return ONE
        if not contains(expression, wrt):
            return ZERO
        match expression:
            case Add(terms):
                return add(*[self.slope(t, wrt) for t in terms])
            case Mul():
                return self._product(expression, wrt)
            case Power():
                return self._power(expression, wrt)
            case Apply():
                slopes = self._slopes(expression, wrt)
                inner = [
                    self.slope(a, wrt) if s != ZERO else ZERO for a, s in zip(expression.args, slopes, strict=True)
                ]
                if expression.function == "select":
                    return _selected(expression.args[0], inner[1], inner[2])
                return add(*[mul(s, i) for s, i in zip(slopes, inner, strict=True) if i != ZERO])
        return ZERO

    def _product(self, product: Mul, wrt: Symbol) -> Expr:
        above, below = numerator_and_denominator(product)
        if contains(above, wrt) and contains(below, wrt):
            self.note(_QUOTIENT)
            top = add(mul(self.slope(above, wrt), below), negative(mul(above, self.slope(below, wrt))))
            return divide(top, power(below, TWO))
        moving = [k for k, f in enumerate(product.factors) if contains(f, wrt)]
        if len(moving) > 1:
            self.note(_PRODUCT)
        terms = []
        for k in moving:
            others = product.factors[:k], product.factors[k + 1 :]
            terms.append(mul(*others[0], self.slope(product.factors[k], wrt), *others[1]))
        return add(*terms)

    def _power(self, expression: Power, wrt: Symbol) -> Expr:
        base, exponent = expression.base, expression.exponent
        if not contains(exponent, wrt):
            self.note(_RECIPROCAL if exponent == MINUS_ONE else _POWER)
            lower = add(exponent, MINUS_ONE)
            return mul(exponent, power(base, lower), self.slope(base, wrt))
        self.note(_EXPONENTIAL)
        by_exponent = mul(apply("log", base), self.slope(exponent, wrt))
        by_base = mul(exponent, divide(self.slope(base, wrt), base))
        return mul(self.names.get(expression, expression), add(by_exponent, by_base))

    def _slopes(self, expression: Apply, wrt: Symbol) -> Sequence[Expr]:
        """The partial derivative of a function for each argument (for select: whether it has one)."""
        name, args = expression.function, expression.args
        if name in CONSTANT_ALMOST_EVERYWHERE:
            return [ZERO] * len(args)
        known = DERIVATIVES.get(name)
        if known is not None:
            self.note(known.reason)
            result = self.names.get(expression, expression)
            return [substituted(s, {U: args[0], R: result}) for s in known.slopes]
        if name == "select":
            self.note(_SELECT)
            return [ZERO, ONE, ONE]
        if name in ("maximum", "minimum"):
            self.note(_EXTREMUM)
            return [_wins(u, v) if name == "maximum" else _wins(v, u) for u, v in (args, args[::-1])]
        if name == "convert":
            return [ONE]
        return self._by_record(expression, wrt)

    def _by_record(self, expression: Apply, wrt: Symbol) -> Sequence[Expr]:
        """The partial derivatives as the op's record gives them."""
        op = REGISTRY[expression.function]
        self.note(Reason(f"partials-of-{op.name}", f"the partial derivatives of {op.name}"))
        builder = Builder()
        number_type = np.dtype(np.float64)
        operands = tuple(builder.input(f"u{k}", Aval((), number_type)) for k in range(len(expression.args)))
        result = builder.apply(op, *operands, **dict(expression.params))
        wanted = tuple(contains(arg, wrt) for arg in expression.args)
        ct = builder.input("ct", Aval((), number_type))
        context = VjpContext(operands, result, dict(expression.params), wanted, (False,) * len(operands), ct)
        if op.partials is None:
            made = _cotangents(op, context)
        else:
            made = [p(ct) if callable(p) else p for p in op.partials(context)]
        given = dict(zip([*(o.id for o in operands), ct.id], [*expression.args, ONE], strict=True))
        return [_as_expression(builder, m, given, self.sizes) for m in made]

    # The cotangent through any expression

    def pull(self, expression: Expr, wrt: Symbol, ct: Expr, shape: Shape) -> list[Expr]:
        """What the cotangent ``ct`` of ``expression`` (whose shape is ``shape``) contributes to that of ``wrt``."""
        if expression == wrt:
            return [ct]
        if not contains(expression, wrt):
            return []
        if is_elementwise(expression, wrt):
            slope = self.slope(expression, wrt)
            return [self.gathered(mul(ct, slope), shape, wrt.shape)] if slope != ZERO else []
        match expression:
            case Add(terms):
                moving = [t for t in terms if contains(t, wrt)]
                return [c for t in moving for c in self.pull(t, wrt, self.gathered(ct, shape, t.shape), t.shape)]
            case Mul(factors):
                found = []
                for k, factor in enumerate(factors):
                    if contains(factor, wrt):
                        rest = mul(ct, *factors[:k], *factors[k + 1 :])
                        found += self.pull(factor, wrt, self.gathered(rest, shape, factor.shape), factor.shape)
                return found
            case Power():
                return self._through(expression, (expression.base, expression.exponent), wrt, ct, shape)
            case Apply() if is_pointwise(expression.function):
                return self._through(expression, expression.args, wrt, ct, shape)
            case Apply():
                found = []
                for k, (arg, passed) in enumerate(zip(expression.args, self._passed(expression, ct), strict=True)):
                    if contains(arg, wrt) and passed is not None:
                        if expression.function == "contract":
                            self.note(_MATRIX[k])
                        found += self.pull(arg, wrt, passed, arg.shape)
                return found
        return []

    def _through(self, expression: Expr, args: Sequence[Expr], wrt: Symbol, ct: Expr, shape: Shape) -> list[Expr]:
        """Through an elementwise function of arguments that mix elements."""
        found = []
        for k, arg in enumerate(args):
            if not contains(arg, wrt):
                continue
            hole = Symbol(f"argument {k}", arg.shape, "pattern")
            opened = _with_part(expression, k, hole)
            names = {opened: self.names[expression]} if expression in self.names else {}
            inner = Differentiation(names, self.sizes)
            slope = substituted(inner.slope(opened, hole), {hole: arg})
            if slope == ZERO:
                continue
            for reason in inner.reasons:
                self.note(reason)
            found += self.pull(arg, wrt, self.gathered(mul(ct, slope), shape, arg.shape), arg.shape)
        return found

    def gathered(self, ct: Expr, shape: Shape, target: Shape) -> Expr:
        """The cotangent of what was broadcast from ``target`` to ``shape``: the sum over the repeated places."""
        if shape == target:
            return ct
        self.note(_SPREAD)
        lead = len(shape) - len(target)
        stretched = [lead + k for k, d in enumerate(target) if d == 1 and shape[lead + k] != 1]
        ct = self._summed(ct, shape, tuple(range(lead)), keepdims=False)
        inner = tuple(k - lead for k in stretched)
        return self._summed(ct, shape[lead:], inner, keepdims=True)

    def _summed(self, ct: Expr, shape: Shape, axes: tuple[int, ...], *, keepdims: bool) -> Expr:
        if not axes:
            return ct
        if not ct.shape:
            return mul(self.sizes.symbol(size_of(tuple(shape[a] for a in axes))), ct)
        return total(spread(ct, shape), axes, keepdims=keepdims)

    def _passed(self, expression: Apply, ct: Expr) -> Sequence[Expr | None]:
        """The cotangents of the arguments of a function that mixes elements."""
        name, args = expression.function, expression.args
        if name == "reduce_sum":
            return [unreduced(ct, args[0].shape, expression.param("axes"), expression.param("keepdims"))]
        if name == "reduce_prod":
            self.note(_OTHERS)
            axes, keepdims = expression.param("axes"), expression.param("keepdims")
            others = Apply("others", args, args[0].shape, (("axes", axes),))
            return [mul(unreduced(ct, args[0].shape, axes, keepdims), others)]
        if name == "broadcast_to":
            return [self.gathered(ct, expression.shape, args[0].shape)]
        if name == "contract":
            lhs, rhs, out = (expression.param(k) for k in ("lhs", "rhs", "out"))
            ct = spread(ct, expression.shape)
            return [
                contraction(ct, args[1], out, rhs, lhs, args[0].shape),
                contraction(args[0], ct, lhs, out, rhs, args[1].shape),
            ]
        if name == "transpose":
            axes = expression.param("axes")
            back = tuple(axes.index(axis) for axis in range(len(axes)))
            return [mul(*scalars(ct), turned(mul(*arrays(ct)), back))]
        if name == "item":
            self.note(_STRUCTURE["slice"])
            shape, index = args[0].shape, expression.param("index")
            value = Apply("reshape", (ct,), (1,) * len(shape), (("shape", (1,) * len(shape)),))
            params = (("mode", "set"), ("starts", index), ("steps", (1,) * len(shape)))
            return [Apply("update_slice", (spread(ZERO, shape), value), shape, params)]
        return self._by_vjp(expression, ct)

    def _by_vjp(self, expression: Apply, ct: Expr) -> Sequence[Expr | None]:
        """The cotangents as the op's record gives them."""
        op = call if expression.function == call.name else REGISTRY[expression.function]
        if op.name not in _SILENT:
            self.note(_STRUCTURE.get(op.name) or _own_rule(str(dict(expression.params).get("name", op.name))))
        builder = Builder()
        kinds = [
            np.dtype(np.int64) if _is_index(op.name, k) else np.dtype(np.float64) for k in range(len(expression.args))
        ]
        operands = tuple(
            builder.input(f"u{k}", Aval(a.shape, kind))
            for k, (a, kind) in enumerate(zip(expression.args, kinds, strict=True))
        )
        params = dict(expression.params)
        result = builder.apply(op, *operands, **params)
        seed = builder.input("ct", Aval(expression.shape, np.dtype(np.float64)))
        active = tuple(kind.kind == "f" for kind in kinds)
        values = _cotangents(op, VjpContext(operands, result, params, active, (False,) * len(operands), seed))
        given: dict[int, Expr] = {o.id: a for o, a in zip(operands, expression.args, strict=True)}
        given[seed.id] = spread(ct, expression.shape)
        given[result.id] = self.names.get(expression, expression)
        return [None if v is None else _as_expression(builder, v, given, self.sizes) for v in values]


def _own_rule(op: str) -> Reason:
    """The rule of an op by the name that NumPy has for it."""
    told = f"the rule of {op.removeprefix('reduce_')}"
    return Reason(f"vjp-of-{op}", told, latex=told.replace("_", r"\_"))


def _wins(larger: Expr, smaller: Expr) -> Expr:
    """1 where the one is larger. Against a number a tie counts 0, between two values that vary it counts 1/2."""
    if isinstance(larger, Number) or isinstance(smaller, Number):
        return apply("indicator", apply("gt", larger, smaller))
    return apply("winner", larger, smaller)


def _cotangents(op: Op, context: VjpContext) -> list[Any]:
    """What an op's vjp gives, without the masks of branches not taken: these hold 0 there already."""
    made: list[Any] = list(op.vjp(context)) if op.vjp is not None else [None] * len(context.operands)
    return [m.value if isinstance(m, Taken) else m for m in made]


def _is_index(name: str, operand: int) -> bool:
    return (name == "gather" and operand > 0) or (name == "scatter" and operand > 1)


def _as_expression(builder: Builder, made: object, given: dict[int, Expr], sizes: Sizes) -> Expr:
    if made is None:
        return ZERO
    if not isinstance(made, Value):
        return number(float(str(made)))
    return read_values(builder, made.id, given, sizes)


def _selected(mask: Expr, taken: Expr, other: Expr) -> Expr:
    return ZERO if taken == other == ZERO else apply("select", mask, taken, other)


def is_elementwise(expression: Expr, wrt: Symbol) -> bool:
    """Whether every element of the expression depends on one element of ``wrt`` (or on the only one there is)."""
    if not contains(expression, wrt):
        return True
    if isinstance(expression, Apply) and not is_pointwise(expression.function):
        return False
    return all(is_elementwise(c, wrt) for c in children(expression))


def _with_part(expression: Expr, place: int, part: Expr) -> Expr:
    parts = children(expression)
    return rebuilt(expression, (*parts[:place], part, *parts[place + 1 :]))
