"""What is told is true: every result, every step between, and every string for sympy has the value of the gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gradc.backends.reference import evaluate as run
from gradc.frontend.tracing import trace
from gradc.frontend.tree import flatten
from gradc.inspect.derivation import Derivation
from gradc.inspect.explain import explain
from gradc.inspect.expression import Symbol, walk
from gradc.inspect.functions import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Value
from gradc.ops.elementwise import (
    absolute,
    cos,
    erf,
    exp,
    greater,
    log,
    log1p,
    logistic,
    maximum,
    minimum,
    power,
    select,
    sin,
    softplus,
    sqrt,
    tanh,
)
from gradc.ops.functions import (
    arccos,
    arccosh,
    arcsin,
    arcsinh,
    arctan,
    arctan2,
    arctanh,
    cbrt,
    cosh,
    erfc,
    exp2,
    hypot,
    log2,
    log10,
    sinh,
    tan,
)
from gradc.ops.gamma import digamma, gammaln
from gradc.transforms.derivative import differentiate
from tests.inspect import networks, programs, test_shifts

random = np.random.default_rng(7)
SCALARS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0)
WEIGHTS = {"W1": random.normal(size=(3, 4)), "b1": random.normal(size=4), "W2": random.normal(size=(4, 2))}
WEIGHTS["b2"] = random.normal(size=2)
X = random.normal(size=(5, 3))


def check(graph: Graph, derivation: Derivation, values: list[object]) -> None:
    """The told derivatives of the inputs are those of the adjoint, and all stages of a step are equal."""
    names = list(graph.input_names)
    wrt = [names.index(name) for name in derivation.wrt]
    gradients = run(differentiate(graph, "grad", wrt, primals=1), values)
    told = {step.wrt.name: step for step in derivation.steps}
    for name, gradient in zip(derivation.wrt, gradients, strict=True):
        if name in told:
            np.testing.assert_allclose(told[name].value, gradient, rtol=1e-9, atol=1e-9)
        else:
            np.testing.assert_array_equal(gradient, 0)
    known = {line.symbol: np.asarray(line.value) for line in derivation.forward}
    for symbol in {e for line in derivation.forward for e in symbols_of(line.expression)}:
        if symbol.role == "input":
            known[symbol] = np.asarray(derivation.at[symbol.name])
    known |= derivation.constants
    known |= {symbol: float(count) for symbol, count in derivation.counts.items()}
    for step in derivation.steps:
        known[step.slope] = step.value
        for stage, reason in step.stages:
            with np.errstate(all="ignore"):
                value = np.broadcast_to(evaluate(stage, known), np.shape(step.value))
            np.testing.assert_allclose(value, step.value, rtol=1e-7, atol=1e-9, err_msg=f"{step.slope} {reason}")


def symbols_of(expression: object) -> list[Symbol]:
    return [e for e in walk(expression) if isinstance(e, Symbol)]


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (networks.loss, SCALARS),
        (networks.loss_with_helpers, SCALARS),
        (networks.cost, (*SCALARS[:6], random.normal(size=5), random.normal(size=5), np.array([1.0, 0, 1, 1, 0]))),
        (
            networks.matrix_loss,
            ({"hidden": random.normal(size=(2, 2)), "out": random.normal(size=(1, 2))}, X[:2].T[:2], X[:2, 2:].T > 0),
        ),
        (networks.classifier, (WEIGHTS, X, np.eye(2)[[0, 1, 1, 0, 1]])),
        (networks.labelled, (WEIGHTS, X, np.array([0, 1, 1, 0, 1]))),
        (networks.recurrence, (0.9, 0.1, 0.5)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_networks(function: Callable[..., object], args: tuple[object, ...]) -> None:
    traced = trace(function, args, {})
    values = [np.asarray(v) for v in flatten(args)[0]]
    derivation = explain(traced.graph, calls=traced.calls, inner_names=traced.inner_names, at=values)
    check(traced.graph, derivation, values)


UNARY: list[Callable[[Value], Value]] = [
    exp,
    tanh,
    sin,
    cos,
    erf,
    erfc,
    exp2,
    sinh,
    cosh,
    arctan,
    arcsinh,
    lambda u: tan(0.5 * tanh(u)),
    lambda u: arcsin(0.9 * tanh(u)),
    lambda u: arccos(0.9 * tanh(u)),
    lambda u: arctanh(0.9 * tanh(u)),
    lambda u: arccosh(1.5 + u * u),
    lambda u: cbrt(1.0 + u * u),
    lambda u: gammaln(1.5 + u * u),
    lambda u: digamma(1.5 + u * u),
    lambda u: log2(1.0 + u * u),
    lambda u: log10(1.0 + u * u),
    logistic,
    softplus,
    absolute,
    lambda u: -u,
    lambda u: log(1.0 + u * u),
    lambda u: log1p(u * u),
    lambda u: sqrt(1.0 + u * u),
    lambda u: 1.0 / (1.0 + exp(-u)),
    lambda u: maximum(u, u.builder.full(0.0, u.aval)),
    lambda u: minimum(u, u.builder.full(0.25, u.aval)),
    lambda u: power(u, u.builder.full(3.0, u.aval)),
    lambda u: 1.0 / (1.5 + sin(u)),
    lambda u: 0.3 * u - 2.0,
]
BINARY: list[Callable[[Value, Value], Value]] = [
    lambda u, v: u + v,
    lambda u, v: u - v,
    lambda u, v: u * v,
    lambda u, v: u / (1.0 + v * v),
    maximum,
    minimum,
    hypot,
    arctan2,
    lambda u, v: select(greater(u, v), u * v, sin(v)),
    lambda u, v: power(1.0 + u * u, v),
    lambda u, v: u * log(1.1 + sin(v)) + (1.0 - u) * log(1.2 - sin(v)),
]
STEPS = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.booleans()), max_size=9)


def random_graph(steps: list[tuple[int, int, int, bool]]) -> Graph:
    """A scalar function of a, b, c; each step applies an operation to earlier values and may be named."""
    builder = Builder()
    values = [builder.input(name, aval("f64[]")) for name in ("a", "b", "c")]
    every = [*UNARY, *BINARY]
    for k, (which, first, second, named) in enumerate(steps):
        operation = every[which % len(every)]
        u, v = values[first % len(values)], values[-1 - second % len(values)]
        value = operation(u) if operation in UNARY else operation(u, v)
        if named:
            builder.name(value, f"q{k}")
        values.append(value)
    return builder.freeze([values[-1] + 0.5 * values[len(values) // 2]])


@settings(max_examples=150)
@given(STEPS, st.tuples(*[st.floats(-1.5, 1.5)] * 3))
def test_random_functions(steps: list[tuple[int, int, int, bool]], point: tuple[float, float, float]) -> None:
    graph = random_graph(steps)
    values = [np.asarray(round(p, 2) + off) for p, off in zip(point, (0.0012, -0.0023, 0.0034), strict=True)]
    with np.errstate(all="ignore"):
        results = run(differentiate(graph, "value_and_grad", (0, 1, 2), primals=1), values)
    assume(all(np.isfinite(r) and abs(r) < 1e4 for r in results))
    derivation = explain(graph, at=values)
    check(graph, derivation, values)
    by_sympy(derivation, values)
    by_differences(graph, derivation, values)
    assert derivation.text()
    assert derivation.latex()


def by_sympy(derivation: Derivation, values: list[np.ndarray]) -> None:
    """What sympy reads has the value that is told."""
    known = {line.symbol.name: float(line.value) for line in derivation.forward}
    known |= dict(zip("abc", map(float, values), strict=True))
    for record in derivation.json():
        read = sympy.sympify(record["sympy"]).subs(known)
        prime = sympy.Function("relu_prime")
        number = complex(read.replace(prime, lambda u: sympy.Integer(1 if u > 0 else 0)).evalf())
        assert number.real == pytest.approx(record["value"], rel=1e-7, abs=1e-9), record
        known[record["name"].replace("/", "_")] = record["value"]


def by_differences(graph: Graph, derivation: Derivation, values: list[np.ndarray]) -> None:
    """What is told of the inputs is the slope of the function."""
    told = {step.wrt.name: float(step.value) for step in derivation.steps}
    step = 1e-6
    for position, name in enumerate(graph.input_names):
        ends = []
        for sign in (1, 0, -1):
            moved = list(values)
            moved[position] = values[position] + sign * step
            ends.append(float(run(graph, moved)[0]))
        if abs(ends[0] - 2 * ends[1] + ends[2]) > 1e-3 * step * max(1.0, *map(abs, ends)):
            continue  # a jump or a kink
        slope = (ends[0] - ends[2]) / (2 * step)
        scale = max(1.0, abs(slope), abs(ends[0]) / 1e-3)
        assert told.get(name, 0.0) == pytest.approx(slope, abs=1e-4 * scale)


SHIFTS = [
    (function, (test_shifts.Z,))
    for function in (
        test_shifts.named_exp,
        test_shifts.added_axis,
        test_shifts.one_row,
        test_shifts.used_elsewhere,
        test_shifts.other_axis,
    )
]


@pytest.mark.parametrize(
    ("program", "args"), programs.PROGRAMS + SHIFTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_programs(program: Callable[..., object], args: tuple[object, ...]) -> None:
    traced = trace(program, args, {})
    values = [np.array(v) for v in flatten(args)[0]]
    derivation = explain(traced.graph, calls=traced.calls, inner_names=traced.inner_names, at=values)
    check(traced.graph, derivation, values)
    assert derivation.text()
    assert derivation.latex()
    for record in derivation.json():
        sympy.sympify(record["sympy"])
