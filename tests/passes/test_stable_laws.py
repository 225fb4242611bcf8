"""Each law of stabilize and entropy: fires, gives the form expected, is near the real value and gradient, keeps NaN."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY
from gradc.ir.verify import verify
from gradc.passes.pattern import formula
from gradc.passes.pipeline import builder_rewrite
from gradc.passes.rewrite import Rules
from gradc.passes.stabilize import AGGRESSIVE, SAFE
from gradc.transforms.adjoint import adjoint

BOUND = 8
"""Units in the last place of the sum of absolute terms, as the head of stabilize.py promises."""


def ops(names: str) -> list[Any]:
    return [REGISTRY[name] for name in names.split()]


absolute, exp, expm1, log, log1p, maximum, sqrt, tanh = ops("abs exp expm1 log log1p maximum sqrt tanh")
logistic, softplus, softmax, logsumexp, convert = ops("logistic softplus softmax logsumexp convert")
broadcast_to, reshape, transpose, slice_, gather = ops("broadcast_to reshape transpose slice gather")
total, largest = ops("reduce_sum reduce_max")


class Case(NamedTuple):
    """``inputs`` as ``name:aval``, the function, the formula that must come out (empty: a long one), the points."""

    law: str
    inputs: str
    function: Callable[..., Value]
    expected: str
    points: Sequence[Sequence[float]]


EDGES = [-1000.0, -800.0, -40.0, -1.5, -1e-9, 0.0, 0.3, 40.0, 800.0, 1000.0]
LABELS = [0.0, 1.0, 1.0, 0.0, 0.25, 0.5, 1.0, 0.0, 1.0, 0.0]
Z, ZY = "z:f64[10]", "z:f64[10] y:f64[10]"
SMALL = [-0.9, -0.5, -1e-3, -1e-9, -1e-17, 0.0, 1e-20, 1e-6, 0.5, 0.9]
ROWS = [-1000.0, 1000.0, 0.0, 1.0, 2.0, 3.0]
R, RY = "x:f64[2,3]", "x:f64[2,3] y:f64[2,3]"


NONZERO = [1.0, 2.0, 3.0, -4.0, 5.0, 0.5, 7.0, 8.0, 9.0, 10.0]


def row_sum(x: Value, axes: tuple[int, ...], keepdims: bool = True) -> Value:
    summed = total(x, axes=axes, keepdims=keepdims)
    return broadcast_to(summed, shape=x.aval.shape)


def shifted(x: Value) -> Value:
    return x - broadcast_to(largest(x, axes=(1,), keepdims=True), shape=x.aval.shape)


def naive_softmax(x: Value) -> Value:
    return exp(x) / row_sum(exp(x), (1,))


def naive_loss(z: Value, y: Value) -> Value:
    s = 1.0 / (1.0 + exp(-z))
    return -(y * log(s) + (1.0 - y) * log(1.0 - s))


def picked(p: Value) -> Value:
    rows, columns = (p.builder.constant(np.array(i)) for i in ([0, 1], [1, 2]))
    return gather(p, rows, columns, axes=(0, 1))


CASES = (
    Case("stable-sigmoid", Z, lambda z: 1.0 / (1.0 + exp(-z)), "logistic(z)", [EDGES]),
    Case("stable-sigmoid", Z, lambda z: 1.0 / (exp(z) + 1.0), "logistic(-z)", [EDGES]),
    Case("stable-sigmoid", ZY, lambda z, y: 1.0 / (1.0 + exp(-(z - y))), "logistic(z - y)", [EDGES, LABELS]),
    Case("stable-sigmoid", Z, lambda z: exp(z) / (1.0 + exp(z)), "logistic(z)", [EDGES]),
    Case("stable-sigmoid", Z, lambda z: 1.0 / (1.0 + 1.0 / exp(z)), "logistic(z)", [EDGES]),
    Case("stable-swish", Z, lambda z: z / (1.0 + exp(-z)), "z * logistic(z)", [EDGES]),
    Case("stable-swish", ZY, lambda z, y: y / (1.0 + exp(z)), "y * logistic(-z)", [EDGES, LABELS]),
    Case("sigmoid-of-tanh", Z, lambda z: 0.5 * (1.0 + tanh(z / 2.0)), "logistic(z)", [EDGES]),
    Case("sigmoid-of-tanh", Z, lambda z: (tanh(0.5 * z) + 1.0) / 2.0, "logistic(z)", [EDGES]),
    Case("sigmoid-of-tanh", Z, lambda z: 0.5 + 0.5 * tanh(z * 0.5), "logistic(z)", [EDGES]),
    Case("sigmoid-of-tanh", Z, lambda z: tanh(z * 0.5) / 2.0 + 0.5, "logistic(z)", [EDGES]),
    Case("one-minus-sigmoid", Z, lambda z: 1.0 - logistic(z), "logistic(-z)", [EDGES]),
    Case("one-minus-sigmoid", Z, lambda z: logistic(z) - 1.0, "-logistic(-z)", [EDGES]),
    Case(
        "one-minus-sigmoid",
        Z,
        lambda z: 1.0 - slice_(logistic(z), starts=(1,), sizes=(2,), steps=(3,)),
        "logistic(-slice(z))",
        [EDGES],
    ),
    Case("odds", Z, lambda z: logistic(z) / (1.0 - logistic(z)), "exp(z)", [np.clip(EDGES, -700, 700)]),
    Case("odds", Z, lambda z: (1.0 - logistic(z)) / logistic(z), "exp(-z)", [np.clip(EDGES, -700, 700)]),
    Case("log-sigmoid", Z, lambda z: log(1.0 / (1.0 + exp(-z))), "-softplus(-z)", [EDGES]),
    Case("log-sigmoid", Z, lambda z: log(1.0 - 1.0 / (1.0 + exp(-z))), "-softplus(z)", [EDGES]),
    Case("log-sigmoid", Z, lambda z: log(reshape(logistic(z), shape=(2, 5))), "-softplus(-reshape(z))", [EDGES]),
    Case("softplus", Z, lambda z: log(1.0 + exp(z)), "softplus(z)", [EDGES]),
    Case("softplus", Z, lambda z: log1p(exp(-z)), "softplus(-z)", [EDGES]),
    Case(
        "softplus",
        Z,
        lambda z: maximum(z, z.builder.full(0.0, z.aval)) + log1p(exp(-absolute(z))),
        "softplus(z)",
        [[z or 1e-9 for z in EDGES]],
    ),
    Case("softplus-difference", Z, lambda z: softplus(z) - softplus(-z), "z", [EDGES]),
    Case("softplus-difference", Z, lambda z: softplus(-z) - softplus(z), "-z", [EDGES]),
    Case("log1p", Z, lambda x: log(1.0 + x), "log1p(z)", [SMALL]),
    Case("log1p", Z, lambda x: log(1.0 - x), "log1p(-z)", [SMALL]),
    Case("expm1", Z, lambda x: exp(x) - 1.0, "expm1(z)", [SMALL]),
    Case("expm1", Z, lambda x: 1.0 - exp(x), "-expm1(z)", [SMALL]),
    Case("log-of-exp", Z, lambda x: log(exp(x)), "z", [EDGES]),
    Case("log-of-exp", Z, lambda x: log(1.0 + (exp(x) - 1.0)), "z", [EDGES]),
    Case("reciprocal-exp", Z, lambda x: 1.0 / exp(x), "exp(-z)", [np.clip(EDGES, -700, 700)]),
    Case("bce-of-sigmoid", ZY, naive_loss, "logistic_bce(z, y)", [EDGES, LABELS]),
    Case(
        "bce-of-sigmoid",
        ZY,
        lambda z, y: -y * log(logistic(z)) - (1.0 - y) * log(1.0 - logistic(z)),
        "logistic_bce(z, y)",
        [EDGES, LABELS],
    ),
    Case(
        "bce-of-sigmoid",
        ZY,
        lambda z, y: -((1.0 - y) * log(logistic(z)) + y * log(1.0 - logistic(z))),
        "logistic_bce(-z, y)",
        [EDGES, LABELS],
    ),
    Case(
        "bce-of-sigmoid",
        "z:f64[10] y:f64[10] c:f64[10]",
        lambda z, y, c: -(c * y) * log(logistic(z)) - c * ((1.0 - y) * log(1.0 - logistic(z))),
        "c * logistic_bce(z, y)",
        [EDGES, LABELS, [3.0] * 10],
    ),
    Case("bce-of-logits", ZY, lambda z, y: log(1.0 + exp(z)) - y * z, "logistic_bce(z, y)", [EDGES, LABELS]),
    Case(
        "bce-of-logits",
        ZY,
        lambda z, y: maximum(z, z.builder.full(0.0, z.aval)) - z * y + log(1.0 + exp(-absolute(z))),
        "logistic_bce(z, y)",
        [[z or 1e-9 for z in EDGES], LABELS],
    ),
    Case("softplus-reflection", Z, lambda z: log(1.0 + exp(z)) - z, "softplus(-z)", [EDGES]),
    Case("softplus-reflection", Z, lambda z: z - log(1.0 + exp(z)), "-softplus(-z)", [EDGES]),
    Case("softplus-reflection", Z, lambda z: z + log(1.0 + exp(-z)), "softplus(z)", [EDGES]),
    Case(
        "cancel",
        ZY,
        lambda z, y: (1.0 - y) * logistic(z) - y * logistic(-z),
        "logistic(z) - y",
        [EDGES, LABELS],
    ),
    Case(
        "cancel",
        "z:f64[10] y:f64[10] c:f64[10]",
        lambda z, y, c: (c * y) * logistic(-z) - logistic(z) * c * (1.0 - y),
        "-(c * (logistic(z) - y))",
        [EDGES, LABELS, [3.0] * 10],
    ),
    Case(
        "softmax-gradient",
        RY,
        lambda x, y: row_sum(0.25 * y, (1,)) * softmax(x, axes=(1,)) - 0.25 * y,
        "0.25 * ((reduce_sum(y, axes=(1,)) * softmax(x, axes=(1,))) - y)",
        [ROWS, LABELS[:6]],
    ),
    Case(
        "softmax-gradient",
        RY,
        lambda x, y: (y * -0.25) + row_sum(0.25 * y, (1,)) * softmax(x, axes=(1,)),
        "0.25 * ((reduce_sum(y, axes=(1,)) * softmax(x, axes=(1,))) - y)",
        [ROWS, LABELS[:6]],
    ),
    Case("softmax", R, naive_softmax, "softmax(x, axes=(1,))", [ROWS]),
    Case("softmax", R, lambda x: exp(x) / row_sum(exp(x), (0,), False), "softmax(x, axes=(0,))", [ROWS]),
    Case("softmax", R, lambda x: exp(x) / row_sum(exp(x), (0, 1), False), "softmax(x, axes=(0, 1))", [ROWS]),
    Case(
        "softmax",
        R,
        lambda x: exp(x) / broadcast_to(reshape(total(exp(x), axes=(1,), keepdims=False), shape=(2, 1)), shape=(2, 3)),
        "softmax(x, axes=(1,))",
        [ROWS],
    ),
    Case("softmax", R, lambda x: exp(x - row_lse(x)), "softmax(x, axes=(1,))", [ROWS]),
    Case("softmax-shift", R, lambda x: naive_softmax(shifted(x)), "softmax(x, axes=(1,))", [ROWS]),
    Case("softmax-shift", R, lambda x: log(naive_softmax(shifted(x))), "log_softmax(x, axes=(1,))", [ROWS]),
    Case("softmax-shift", R, lambda x: shifted(x) - row_lse(shifted(x)), "log_softmax(x, axes=(1,))", [ROWS]),
    Case("log-softmax", R, lambda x: x - row_lse(x), "log_softmax(x, axes=(1,))", [ROWS]),
    Case("log-softmax", R, lambda x: x - log(row_sum(exp(x), (0,))), "log_softmax(x, axes=(0,))", [ROWS]),
    Case("log-softmax", R, lambda x: log(naive_softmax(x)), "log_softmax(x, axes=(1,))", [ROWS]),
    Case(
        "log-softmax",
        R,
        lambda x: log(picked(naive_softmax(x))),
        "gather(log_softmax(x, axes=(1,)), ..., ..., axes=(0, 1))",
        [ROWS],
    ),
    Case(
        "log-softmax",
        R,
        lambda x: log(transpose(naive_softmax(x), axes=(1, 0))),
        "transpose(log_softmax(x, axes=(1,)))",
        [ROWS],
    ),
    Case("logsumexp", R, lambda x: log(total(exp(x), axes=(1,), keepdims=False)), "logsumexp(x, axes=(1,))", [ROWS]),
    Case("logsumexp", R, lambda x: log(row_sum(exp(x), (0,))), "logsumexp(x, axes=(0,))", [ROWS]),
    Case(
        "log-of-quotient",
        R,
        lambda x: log(total(exp(x), axes=(0, 1), keepdims=False) / 6.0),
        f"logsumexp(x, axes=(0, 1)) - {np.log(6.0)}",
        [ROWS],
    ),
    Case("log-of-quotient", ZY, lambda z, y: log(exp(-z) / (1.0 + y)), "-(z + log1p(y))", [EDGES, LABELS]),
    Case("log-of-quotient", ZY, lambda z, y: log((1.0 + y) / logistic(z)), "log1p(y) + softplus(-z)", [EDGES, LABELS]),
    Case("log-of-product", ZY, lambda z, y: log(0.5 * exp(z - y)), f"{np.log(0.5)} + (z - y)", [EDGES, LABELS]),
    Case("log-of-product", ZY, lambda z, y: log(logistic(z) * (1.0 + y)), "log1p(y) - softplus(-z)", [EDGES, LABELS]),
    Case("log-add-exp", ZY, lambda z, y: log(exp(z) + exp(y)), "", [EDGES, LABELS]),
    Case("log-add-exp", ZY, lambda z, y: log(exp(-y) + (2.0 + exp(z))), "", [EDGES, LABELS]),
    Case("log-add-exp", ZY, lambda z, y: log(exp(-y) + exp(z) + 1.0), "", [EDGES, LABELS]),
    Case(
        "softmax",
        R,
        lambda x: transpose(exp(x), axes=(1, 0)) / broadcast_to(total(exp(x), axes=(1,), keepdims=False), shape=(3, 2)),
        "transpose(softmax(x, axes=(1,)))",
        [ROWS],
    ),
    Case("root-power", Z, lambda x: REGISTRY["pow"](x * x, x.builder.full(0.5, x.aval)), "abs(z)", [NONZERO]),
    Case("logsumexp-shift", R, lambda x: shifted_lse(x, False), "logsumexp(x, axes=(1,))", [ROWS]),
    Case("logsumexp-shift", R, lambda x: shifted_lse(x, True), "logsumexp(x, axes=(1,))", [ROWS]),
    Case(
        "root-of-square",
        Z,
        lambda x: sqrt(x * x),
        "abs(z)",
        [[-1e200, -3.0, 1e-200, 2.0, 5.0, 7.0, 1.0, 2.0, 3.0, 4.0]],
    ),
    Case(
        "cancelled-quotient",
        Z,
        lambda x: (exp(x) / x) * x,
        "exp(z)",
        [NONZERO],
    ),
    Case(
        "cancelled-product",
        Z,
        lambda x: (tanh(x) * x) / x,
        "tanh(z)",
        [NONZERO],
    ),
)


PROBABILITIES = {"log-add-exp", "softmax"}
"""Gradients that are parts of 1: the exponent of a small one is a difference, whose last digit is a relative error."""

LOGGED = Rules([replace(law, logged=True) for law in builder_rewrite("safe").laws])


def row_lse(x: Value) -> Value:
    return broadcast_to(logsumexp(x, axes=(1,), keepdims=True), shape=x.aval.shape)


def shifted_lse(x: Value, keepdims: bool) -> Value:
    m = largest(x, axes=(1,), keepdims=keepdims)
    inner = x - broadcast_to(reshape(m, shape=(2, 1)), shape=(2, 3))
    return m + log(total(exp(inner), axes=(1,), keepdims=keepdims))


def built(case: Case, rewrite: Any) -> tuple[Builder, list[Value], Value]:
    builder = Builder(rewrite)
    inputs = [builder.input(name, aval(text)) for name, text in (item.split(":") for item in case.inputs.split())]
    return builder, inputs, case.function(*inputs)


def with_gradient(case: Case, rewrite: Any) -> Graph:
    """Value, and the gradient of its weighted sum."""
    builder, inputs, value = built(case, rewrite)
    weights = np.linspace(1.0, 2.0, int(np.prod(value.aval.shape))).reshape(value.aval.shape)
    found = adjoint(builder, [value], [builder.constant(weights)], inputs)
    return builder.freeze(
        [value, *[builder.full(0.0, i.aval) if g is None else g for g, i in zip(found, inputs, strict=True)]]
    )


def arrays(case: Case) -> list[np.ndarray]:
    shapes = [aval(item.split(":")[1]).shape for item in case.inputs.split()]
    return [np.array(p, np.float64).reshape(shape) for p, shape in zip(case.points, shapes, strict=True)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.law}: {case.expected}")
def test_law(case: Case, real: Any) -> None:
    builder, _, value = built(case, LOGGED)
    assert case.law in [fired.law for fired in builder.fired]
    assert formula(builder, value.id) == case.expected or not case.expected
    stable = with_gradient(case, builder_rewrite("safe"))
    verify(stable)
    points = arrays(case)
    found, exact = evaluate(stable, points), real(with_gradient(case, None), points)
    for f, e, t in zip(found, exact, real.terms(stable, points), strict=True):
        for got, want, terms in zip(*(np.ravel(a) for a in (f, e, t)), strict=True):
            unit = 1.0 if case.law in PROBABILITIES else np.finfo(float).tiny
            allowed = BOUND * np.finfo(float).eps * max(terms, mpmath.mpf(unit))
            assert abs(mpmath.mpf(float(got)) - want) <= allowed, (got, float(want), float(terms))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.law}: {case.expected}")
def test_a_nan_survives(case: Case) -> None:
    """An element that is NaN as written, because a leaf is, stays NaN."""
    plain, _, written = built(case, None)
    builder, _, value = built(case, builder_rewrite("safe"))
    before, after = plain.freeze([written]), builder.freeze([value])
    met = False
    for k, array in enumerate(arrays(case)):
        for position in range(array.size):
            points = [np.zeros_like(a) + 0.5 for a in arrays(case)]
            points[k].reshape(-1)[position] = np.nan
            (expected,), (found,) = evaluate(before, points), evaluate(after, points)
            assert np.isnan(found[np.isnan(expected)]).all()
            met = met or bool(np.isnan(expected).any())
    assert met


def test_divided_by_size() -> None:
    builder = Builder(LOGGED)
    x = builder.input("x", aval("f64[batch]"))
    size = REGISTRY["dim_value"]
    n = builder.apply(size, dim=x.aval.shape[0], dtype=np.dtype("f8"))
    for sign, expected in ((1.0, "x / batch"), (-1.0, "-(x / batch)")):
        scaled = broadcast_to(builder.constant(sign) / n, shape=x.aval.shape) * x
        assert formula(builder, scaled.id) == expected
        assert builder.fired[-1].law == "divided-by-size"
        (found,) = evaluate(builder.freeze([scaled]), [np.array([1.0, np.nan, 7.0])])
        np.testing.assert_array_equal(found, np.array([1.0, np.nan, 7.0]) / (3.0 * sign))
    assert formula(builder, (broadcast_to(builder.constant(2.0) / n, shape=x.aval.shape) * x).id).endswith("* x")


def test_every_law_has_a_case() -> None:
    assert set(Rules(SAFE).names) == {case.law for case in CASES} | {"divided-by-size"}


@pytest.mark.parametrize(
    ("law", "function", "expected"),
    [
        ("itself-minus-itself", lambda x: x - x, "0.0"),
        ("itself-over-itself", lambda x: x / x, "1.0"),
        ("zero-factor", lambda x: 0.0 * x, "0.0"),
        ("exp-of-log", lambda x: exp(log(x)), "z"),
    ],
)
def test_laws_that_lose_a_nan_are_aggressive(law: str, function: Callable[[Value], Value], expected: str) -> None:
    case = Case(law, Z, function, expected, [])
    builder, _, value = built(case, builder_rewrite("aggressive"))
    assert formula(builder, value.id) == expected
    assert [fired.law for fired in builder.fired] == [law]
    for level in ("off", "safe"):
        builder, _, value = built(case, builder_rewrite(level))
        assert formula(builder, value.id) != expected


def test_every_aggressive_law_is_tested() -> None:
    assert set(Rules(AGGRESSIVE).names) == {"itself-minus-itself", "itself-over-itself", "zero-factor", "exp-of-log"}


@pytest.mark.parametrize(
    "function",
    [
        lambda z: log(maximum(logistic(z), z.builder.full(1e-7, z.aval))),
        lambda z: log(logistic(z) + 1e-7),
        lambda z: exp(log(z)),
        lambda z: exp(z) * exp(-z),
        lambda z: exp(z) / (2.0 + exp(z)),
        lambda z: (1.0 / z) * z,
        lambda z: (z / 0.0) * 0.0,
        lambda z: (z * 0.0) / 0.0,
        lambda z: (z / np.inf) * np.inf,
        lambda z: sqrt(z * z * z),
    ],
)
def test_what_means_something_else_stays(function: Callable[[Value], Value]) -> None:
    case = Case("", Z, function, "", [])
    plain, _, written = built(case, None)
    builder, _, value = built(case, builder_rewrite("safe"))
    assert formula(builder, value.id) == formula(plain, written.id)
    assert not builder.fired


def test_a_shift_by_the_largest_of_everything_keeps_its_nan() -> None:
    """A NaN in one row makes every row NaN as written, and must go on doing so."""
    case = Case(
        "", R, lambda x: naive_softmax(x - broadcast_to(largest(x, axes=(0, 1), keepdims=True), shape=(2, 3))), "", []
    )
    builder, _, value = built(case, builder_rewrite("safe"))
    (found,) = evaluate(builder.freeze([value]), [np.array([[np.nan, 1.0, 2.0], [0.0, 1.0, 2.0]])])
    assert np.isnan(found).all()


def test_off_keeps_the_formula() -> None:
    case = Case("", ZY, naive_loss, "", [])
    builder, _, value = built(case, builder_rewrite("off"))
    assert [n.op.name for n in builder.freeze([value]).nodes].count("log") == 2
    assert not builder.fired


def test_adding_infinite_exponentials() -> None:
    """As ``np.logaddexp`` has it: equal infinities, opposite ones, and NaN beside an infinity."""
    case = Case("", "z:f64[6] y:f64[6]", lambda z, y: log(exp(z) + exp(y)), "", [])
    builder, _, value = built(case, builder_rewrite("safe"))
    z = np.array([-np.inf, -np.inf, np.inf, np.inf, np.nan, np.inf])
    y = np.array([-np.inf, 3.0, np.inf, -np.inf, np.inf, np.nan])
    (found,) = evaluate(builder.freeze([value]), [z, y])
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(found, np.logaddexp(z, y))
