"""Each law of canonicalize, movement and fold: fires, gives the form expected, and keeps the value, NaN included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Value
from gradc.ir.op import REGISTRY
from gradc.ir.verify import verify
from gradc.passes.pattern import formula
from gradc.passes.pipeline import CANONICAL
from gradc.passes.rewrite import Rules


def ops(names: str) -> list[Any]:
    return [REGISTRY[name] for name in names.split()]


absolute, maximum, minimum, power, select, exp, neg = ops("abs maximum minimum pow select exp neg")
both, either, differ, negated, greater = ops("logical_and logical_or logical_xor logical_not gt")
broadcast_to, reshape, transpose, slice_, update_slice, convert, concatenate = ops(
    "broadcast_to reshape transpose slice update_slice convert concatenate"
)
gather, scatter, total, largest, anywhere, contract = ops("gather scatter reduce_sum reduce_max reduce_any contract")


class Case(NamedTuple):
    """``inputs`` as ``name:aval`` separated by spaces, the function, and the formula that must come out."""

    law: str
    inputs: str
    function: Callable[..., Value]
    expected: str


X, XY, XM, MN = "x:f64[7]", "x:f64[7] y:f64[7]", "x:f64[7] y:f64[7] m:bool[7]", "m:bool[7] n:bool[7]"
M = "m:bool[7]"
A = "a:f64[2,3]"


ROWS = "v:f64[3] j:i64[3] x:f64[3,4]"
XV = "x:f64[7] v:f64[3]"


def x_at(x: Value) -> Value:
    """Every other element of x from the third on."""
    return slice_(x, starts=(2,), sizes=(3,), steps=(2,))


def written(x: Value, v: Value) -> Value:
    """x with v there."""
    return update_slice(x, v, starts=(2,), steps=(2,), mode="set")


def padded(v: Value, start: int) -> Value:
    """Seven zeros with v from ``start`` on."""
    zeros = v.builder.full(0.0, v.aval.with_shape((7,)))
    return update_slice(zeros, v, starts=(start,), steps=(1,), mode="set")


def part(x: Value, starts: tuple[int, ...], sizes: tuple[int, ...]) -> Value:
    return slice_(x, starts=starts, sizes=sizes, steps=(1,) * len(starts))


def rows_of(v: Value, j: Value, x: Value, *, rows: Sequence[int] = range(3), read: bool = True) -> Value:
    """Zeros of the shape of x with an element of v in each row, at the place that j says; x is read there too."""
    counter = v.builder.constant(np.array(rows))
    if read:
        gather(x, counter, j, axes=(0, 1))
    zeros = v.builder.full(False if v.aval.dtype == bool else 0.0, x.aval.with_dtype(v.aval.dtype))
    return scatter(zeros, v, counter, j, axes=(0, 1), mode="add")


def truth(m: Value, value: bool) -> Value:
    return m.builder.full(value, m.aval)


CASES = (
    Case("add-zero", X, lambda x: x + 0.0, "x"),
    Case("add-zero", X, lambda x: 0.0 + x, "x"),
    Case("subtract-zero", X, lambda x: x - 0.0, "x"),
    Case("zero-minus", X, lambda x: 0.0 - x, "-x"),
    Case("multiply-by-one", X, lambda x: 1.0 * x, "x"),
    Case("multiply-by-minus-one", X, lambda x: x * -1.0, "-x"),
    Case("divide-by-one", X, lambda x: x / 1.0, "x"),
    Case("divide-by-minus-one", X, lambda x: x / -1.0, "-x"),
    Case("extreme-of-one", X, lambda x: maximum(x, x), "x"),
    Case("extreme-of-one", X, lambda x: minimum(x, x), "x"),
    Case("double-negation", X, lambda x: neg(neg(x)), "x"),
    Case("negated-difference", XY, lambda x, y: -(x - y), "y - x"),
    Case("add-negative", XY, lambda x, y: x + (-y), "x - y"),
    Case("add-negative", XY, lambda x, y: (-x) + y, "y - x"),
    Case("subtract-negative", XY, lambda x, y: x - (-y), "x + y"),
    Case("negative-minus", XY, lambda x, y: (-x) - y, "-(x + y)"),
    Case("negatives-multiply", XY, lambda x, y: (-x) * (-y), "x * y"),
    Case("negative-factor", XY, lambda x, y: x * (-y), "-(y * x)"),
    Case("negatives-divide", XY, lambda x, y: (-x) / (-y), "x / y"),
    Case("negative-numerator", XY, lambda x, y: (-x) / y, "-(x / y)"),
    Case("negative-denominator", XY, lambda x, y: x / (-y), "-(x / y)"),
    Case("absolute-of-negative", X, lambda x: absolute(-x), "abs(x)"),
    Case("absolute-twice", X, lambda x: absolute(absolute(x)), "abs(x)"),
    Case("negative-constant", X, lambda x: -(-3.0 * x), "3.0 * x"),
    Case("negative-constant", XY, lambda x, y: y - -3.0 * x, "y + (3.0 * x)"),
    Case("power-of-two", X, lambda x: 0.5 * (2.0 * x), "x"),
    Case("power-of-two", X, lambda x: 2.0 * (x / 2.0), "x"),
    Case("power-of-two", X, lambda x: (3.0 * x) / 4.0, "0.75 * x"),
    Case("common-power-of-two", XY, lambda x, y: 2.0 * x + 2.0 * y, "2.0 * (x + y)"),
    Case("common-power-of-two", XY, lambda x, y: -4.0 * x - -4.0 * y, "-4.0 * (x - y)"),
    Case("double", X, lambda x: x + x, "2.0 * x"),
    Case("square", X, lambda x: power(x, x.builder.full(2.0, x.aval)), "x * x"),
    Case("first-power", X, lambda x: power(x, x.builder.full(1.0, x.aval)), "x"),
    Case("reciprocal-power", X, lambda x: power(x, x.builder.full(-1.0, x.aval)), "1.0 / x"),
    Case("known-mask", XY, lambda x, y: select(x.builder.full(True, aval("bool[7]")), x, y), "x"),
    Case("known-mask", XY, lambda x, y: select(x.builder.full(False, aval("bool[7]")), x, y), "y"),
    Case("equal-branches", XM, lambda x, y, m: select(m, x, x), "x"),
    Case("negated-mask", XM, lambda x, y, m: select(negated(m), x, y), "select(m, y, x)"),
    Case("mask-twice", XM, lambda x, y, m: select(m, select(m, x, y), -y), "select(m, x, -y)"),
    Case("mask-twice", XM, lambda x, y, m: select(m, x, select(m, -x, y)), "select(m, x, y)"),
    Case("not-twice", M, lambda m: negated(negated(m)), "m"),
    Case("and-true", M, lambda m: both(m, truth(m, True)), "m"),
    Case("or-false", M, lambda m: either(truth(m, False), m), "m"),
    Case("xor-false", M, lambda m: differ(m, truth(m, False)), "m"),
    Case("xor-true", M, lambda m: differ(m, truth(m, True)), "logical_not(m)"),
    Case("and-itself", M, lambda m: both(m, m), "m"),
    Case("or-itself", M, lambda m: either(m, m), "m"),
    Case("absorption", MN, lambda m, n: both(m, either(n, m)), "m"),
    Case("absorption", MN, lambda m, n: either(both(n, m), m), "m"),
    Case("and-repeated", MN, lambda m, n: both(m, both(n, m)), "logical_and(n, m)"),
    Case("or-repeated", MN, lambda m, n: either(either(m, n), n), "logical_or(m, n)"),
    Case("and-false", M, lambda m: both(m, truth(m, False)), "False"),
    Case("or-true", M, lambda m: either(truth(m, True), m), "True"),
    Case("contradiction", M, lambda m: both(negated(m), m), "False"),
    Case("excluded-middle", M, lambda m: either(m, negated(m)), "True"),
    Case("same-shape", A, lambda a: reshape(a, shape=(2, 3)), "a"),
    Case("same-shape", A, lambda a: broadcast_to(a, shape=(2, 3)), "a"),
    Case("broadcast-twice", X, lambda x: broadcast_to(broadcast_to(x, shape=(2, 7)), shape=(3, 2, 7)), "x"),
    Case("reshape-twice", A, lambda a: reshape(reshape(a, shape=(6,)), shape=(3, 2)), "reshape(a)"),
    Case("reshape-twice", A, lambda a: reshape(reshape(a, shape=(6,)), shape=(2, 3)), "a"),
    Case("leading-ones", X, lambda x: broadcast_to(reshape(x, shape=(1, 7)), shape=(2, 7)), "x"),
    Case("moved-scalar", "s:f64[]", lambda s: transpose(broadcast_to(s, shape=(2, 3)), axes=(1, 0)), "s"),
    Case("moved-scalar", "s:f64[]", lambda s: reshape(broadcast_to(s, shape=(1,)), shape=()), "s"),
    Case("transpose-identity", A, lambda a: transpose(a, axes=(0, 1)), "a"),
    Case("transpose-twice", A, lambda a: transpose(transpose(a, axes=(1, 0)), axes=(1, 0)), "a"),
    Case("whole-slice", A, lambda a: slice_(a, starts=(0, 0), sizes=(2, 3), steps=(1, 1)), "a"),
    Case("added-to-slice", XV, lambda x, v: written(x, x_at(x) + v), "update_slice(x, v)"),
    Case("added-to-slice", XV, lambda x, v: written(x, v + x_at(x)), "update_slice(x, v)"),
    Case("added-to-slice", XV, lambda x, v: written(x, x_at(x) - v), "update_slice(x, -v)"),
    Case("added-to-zeros", XV, lambda x, v: padded(v, 0) + padded(v, 2), "update_slice(update_slice(0.0, v), v)"),
    Case("added-to-zeros", XV, lambda x, v: padded(v, 1) - padded(v, 3), "update_slice(update_slice(0.0, v), -v)"),
    Case(
        "slice-twice",
        X,
        lambda x: slice_(slice_(x, starts=(6,), sizes=(3,), steps=(-2,)), starts=(1,), sizes=(2,), steps=(1,)),
        "slice(x)",
    ),
    Case(
        "slices-side-by-side",
        A,
        lambda a: concatenate(part(a, (0, 0), (2, 1)), part(a, (0, 1), (2, 2)), axis=1),
        "a",
    ),
    Case(
        "slices-side-by-side",
        X,
        lambda x: concatenate(x, *[part(x, (k,), (2,)) for k in (1, 3, 0, 2)], axis=0),
        "concatenate(x, slice(x), slice(x))",
    ),
    Case(
        "rows-side-by-side",
        A,
        lambda a: concatenate(*[reshape(part(a, (k, 1), (1, 2)), shape=(2, 1)) for k in (0, 1)], axis=0),
        "reshape(slice(a))",
    ),
    Case("negative-converted", "x:f32[7]", lambda x: convert(-x, dtype=np.dtype("f8")), "-convert(x)"),
    Case("one-in-each-row", ROWS, lambda v, j, x: total(rows_of(v, j, x), axes=(1,), keepdims=False), "v"),
    Case("one-in-each-row", ROWS, lambda v, j, x: total(rows_of(v, j, x), axes=(1,), keepdims=True), "reshape(v)"),
    Case(
        "one-in-each-row",
        ROWS,
        lambda v, j, x: anywhere(rows_of(greater(v, v), j, x), axes=(1,), keepdims=False),
        "gt(v, v)",
    ),
    Case("gather-all", X, lambda x: gather(x, x.builder.constant(np.arange(7)), axes=(0,)), "x"),
    Case("convert-identity", X, lambda x: convert(x, dtype=np.dtype("f8")), "x"),
    Case(
        "convert-twice",
        "i:i32[7]",
        lambda i: convert(convert(i, dtype=np.dtype("i8")), dtype=np.dtype("f8")),
        "convert(i)",
    ),
    Case("broadcast-last", "s:f64[]", lambda s: exp(broadcast_to(s, shape=(4,))), "exp(s)"),
    Case("broadcast-last", "s:f64[]", lambda s: 1.0 - broadcast_to(s, shape=(4,)), "1.0 - s"),
    Case("sum-of-negative", A, lambda a: total(-a, axes=(0,), keepdims=False), "-reduce_sum(a, axes=(0,))"),
    Case("nothing-to-reduce", "x:f64[1,3]", lambda x: largest(x, axes=(0,), keepdims=False), "reshape(x)"),
    Case("nothing-to-reduce", A, lambda a: total(a, axes=(), keepdims=False), "a"),
    Case(
        "repeated-terms",
        "s:f64[]",
        lambda s: total(broadcast_to(s, shape=(2, 3)), axes=(0, 1), keepdims=False),
        "s * 6.0",
    ),
    Case(
        "repeated-choices", "s:f64[]", lambda s: largest(broadcast_to(s, shape=(2, 3)), axes=(1,), keepdims=True), "s"
    ),
    Case(
        "repeated-choices", "m:bool[]", lambda m: anywhere(broadcast_to(m, shape=(5,)), axes=(0,), keepdims=False), "m"
    ),
    Case(
        "product-with-ones",
        A,
        lambda a: contract(a.builder.full(1.0, aval("f64[4,2]")), a, lhs="ik", rhs="kj", out="ij"),
        "reduce_sum(a, axes=(0,))",
    ),
    Case(
        "product-with-ones",
        A,
        lambda a: contract(a, a.builder.full(1.0, aval("f64[2,4,3]")), lhs="kj", rhs="kij", out="jki"),
        "reshape(transpose(a))",
    ),
    Case("fold", X, lambda x: x * (x.builder.full(2.0, x.aval) + 1.0), "x * 3.0"),
    Case("uniform-constant", "x:f64[1]", lambda x: x - x.builder.constant(np.array([2.0])), "x - 2.0"),
    Case("uniform-constant", "x:f64[3]", lambda x: x * x.builder.constant(np.full(3, 2.0)), "x * 2.0"),
)

LAST_DIGIT = {"reciprocal-power", "repeated-terms"}
"""The right side is rounded once, the left side more often, or as the platform's pow does it."""

RULES = Rules([replace(law, logged=True) for table in CANONICAL for law in table])


def arrays(specification: str) -> list[np.ndarray]:
    """Numbers with both infinities, NaN and zero among them."""
    made = []
    for k, item in enumerate(specification.split()):
        a = aval(item.split(":")[1])
        count = int(np.prod(a.shape))
        if a.dtype.kind == "f":
            values = np.resize(np.roll([1.5, -2.25, 0.0, np.inf, np.nan, -np.inf, 3.0e-5], 2 * k), count)
        else:
            values = np.resize(np.roll([1, 0, 0, 1, 1], k), count)
        made.append(values.astype(a.dtype).reshape(a.shape))
    return made


def built(case: Case, rewrite: Any) -> tuple[Builder, Value]:
    builder = Builder(rewrite)
    inputs = [builder.input(name, aval(text)) for name, text in (item.split(":") for item in case.inputs.split())]
    return builder, case.function(*inputs)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.law}: {case.expected}")
def test_law(case: Case) -> None:
    plain, written = built(case, None)
    builder, value = built(case, RULES)
    assert case.law in [fired.law for fired in builder.fired]
    assert formula(builder, value.id) == case.expected
    graph = builder.freeze([value])
    verify(graph)
    (expected,), (found,) = evaluate(plain.freeze([written]), arrays(case.inputs)), evaluate(graph, arrays(case.inputs))
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=3e-16 if case.law in LAST_DIGIT else 0, atol=0)


def test_every_law_has_a_case() -> None:
    assert set(RULES.names) == {case.law for case in CASES}


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - x,
        lambda x: x / x,
        lambda x: 0.0 * x,
        lambda x: x / 2.0,
        lambda x: 3.0 * (5.0 * x),
        lambda x: -(3.0 * x),
        lambda x: exp(-x),
    ],
)
def test_what_would_lose_a_nan_or_a_digit_stays(function: Callable[[Value], Value]) -> None:
    case = Case("", X, function, "")
    plain, written = built(case, None)
    builder, value = built(case, RULES)
    assert formula(builder, value.id) == formula(plain, written.id)


@pytest.mark.parametrize("function", [
    lambda v, j, x: total(rows_of(v, j, x, read=False), axes=(1,), keepdims=False),
    lambda v, j, x: total(rows_of(v, j, x, rows=(0, 2, 2)), axes=(1,), keepdims=False),
    lambda v, j, x: total(rows_of(v, j, x), axes=(0,), keepdims=False),
    lambda v, j, x: total(rows_of(v, j, x), axes=(0, 1), keepdims=False),
])  # fmt: skip
def test_sums_of_what_is_written_elsewhere_stay(function: Callable[..., Value]) -> None:
    """Where nothing else checks the places, a row has several elements, or all of them are summed."""
    case = Case("", ROWS, function, "")
    plain, written = built(case, None)
    builder, value = built(case, RULES)
    assert formula(builder, value.id) == formula(plain, written.id)


def test_a_sum_of_equal_integers_wraps_around() -> None:
    function = lambda k: total(broadcast_to(k, shape=(300,)), axes=(0,), keepdims=False)  # noqa: E731
    builder, value = built(Case("repeated-terms", "k:i8[]", function, ""), RULES)
    assert formula(builder, value.id) == "k * 44"
    (found,) = evaluate(builder.freeze([value]), [np.int8(3)])
    assert found == np.full(300, 3, np.int8).sum(dtype=np.int8)


def test_a_select_is_not_moved_through_arithmetic() -> None:
    case = Case("", XM, lambda x, y, m: select(m, x, x.builder.full(0.0, x.aval)) * y, "")
    builder, value = built(case, RULES)
    assert formula(builder, value.id) == "select(m, x, 0.0) * y"


def test_a_large_constant_is_not_unrolled() -> None:
    builder = Builder(RULES)
    large = builder.full(2.0, aval("f64[1000,1000]"))
    value = exp(large + 1.0)
    assert value.node.op is broadcast_to
    assert max(n.params["value"].size for n in builder.nodes if n.op.name == "constant") == 1


def test_symbolic_sizes_are_left_alone() -> None:
    builder = Builder(RULES)
    x = builder.input("x", aval("f64[batch,3]"))
    value = total(builder.full(1.0, x.aval), axes=(0,), keepdims=False)
    assert value.node.op is total
    assert formula(builder, (x + 0.0).id) == "x"
    assert formula(builder, reshape(reshape(x, shape=(x.aval.size,)), shape=x.aval.shape).id) == "x"
