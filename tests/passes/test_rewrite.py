"""The pattern language and the rule sets made of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradc.errors import GradcError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Origin, Value
from gradc.ops.elementwise import absolute, convert, exp, logical_not, mul, sign, tanh
from gradc.ops.shape import broadcast_to, reshape
from gradc.passes.pattern import formula, infix, match, operation, variables, variables_of, variants
from gradc.passes.pipeline import builder_rewrite
from gradc.passes.rewrite import Rules, equality, leaves_reach, procedure

a, b, x = variables("a b x")
log = operation("log")


def inputs(builder: Builder, names: str = "x y", kind: str = "f64[3]") -> list[Value]:
    return [builder.input(name, aval(kind)) for name in names.split()]


def test_a_pattern_reads_like_mathematics() -> None:
    assert str(1 / (1 + log(-x))) == "1 / (1 + log(-x))"
    assert str((a - b) * 2 - x) == "((a - b) * 2) - x"
    assert variables_of(a * (b + a)) == {"a", "b"}
    with pytest.raises(GradcError, match="no op is named 'sinus'"):
        operation("sinus")


def test_commutative_operands_match_both_ways() -> None:
    assert [str(p) for p in variants(a + b * 2)] == ["a + (b * 2)", "(b * 2) + a", "a + (2 * b)", "(2 * b) + a"]
    assert len(list(variants(a - b))) == 1
    assert len(list(variants(x + x))) == 1


def test_a_variable_is_the_same_value_wherever_it_stands() -> None:
    builder = Builder()
    p, q = inputs(builder)
    found: dict[str, int] = {}
    assert match(builder, a * a, (p * p).id, found)
    assert found == {"a": p.id}
    assert not match(builder, a * a, (p * q).id, {})


@pytest.mark.parametrize("kind", ["f32[3]", "f64[]", "i64[2,2]", "c128[3]", "u8[1]"])
def test_a_number_matches_constants_of_any_dtype_through_broadcasts(kind: str) -> None:
    builder = Builder()
    (value,) = inputs(builder, "x", kind)
    assert match(builder, a + 1, (value + 1).id, {})
    assert not match(builder, a + 1, (value + 2).id, {})


def test_truth_is_not_the_number_one() -> None:
    builder = Builder()
    one, yes = builder.constant(1.0), builder.constant(True)
    assert not match(builder, (a + 1).operands[1], yes.id, {})
    assert match(builder, (a + 1).operands[1], one.id, {})


def test_a_law_that_drops_a_variable_needs_a_condition() -> None:
    with pytest.raises(GradcError, match="the law lossy drops b without a condition on its leaves"):
        equality("lossy", (a + b) - b, a)
    assert equality("asked", (a + b) - b, a, when=lambda builder, found: False)


def test_a_law_begins_with_an_operation() -> None:
    with pytest.raises(GradcError, match="the left side of the law odd is not an operation"):
        equality("odd", x, x + 0)


def test_a_law_that_changes_the_shape_is_caught() -> None:
    @procedure("wrong", "exp(x) -> reshape(x)", "exp")
    def wrong(builder: Builder, op: Any, ids: tuple[int, ...], params: dict[str, Any]) -> Value:
        return reshape(Value(builder, ids[0]), shape=(3, 1))

    builder = Builder(Rules(wrong))
    (value,) = inputs(builder, "x")
    with pytest.raises(GradcError, match=r"the law wrong \(exp\(x\) -> reshape\(x\)\) gives f64\[3,1\] for f64\[3\]"):
        exp(value)


def test_laws_are_tried_in_order_and_logged_outermost_first() -> None:
    rules = Rules(
        equality("first", operation("exp")(-x), 1 / operation("exp")(x), logged=True),
        equality("second", 1 / operation("exp")(x), operation("tanh")(x), logged=True),
        equality("third", operation("exp")(-x), x, logged=True),
    )
    builder = Builder(rules)
    builder.origin = (Origin("net.py", 3, "e = np.exp(-x)"),)
    (value,) = inputs(builder, "x")
    assert formula(builder, exp(-value).id) == "tanh(x)"
    assert [(f.law, f.before, f.after, f.origins) for f in builder.fired] == [
        ("first", "exp(-x)", "tanh(x)", builder.origin),
        ("second", "1.0 / exp(x)", "tanh(x)", builder.origin),
    ]
    assert rules.names == ("first", "second", "third")


def test_a_long_formula_is_cut() -> None:
    builder = Builder()
    (value,) = inputs(builder, "x")
    deep = value
    for _ in range(50):
        deep = exp(deep)
    assert formula(builder, deep.id) == "exp(exp(exp(exp(exp(...)))))"


@pytest.mark.parametrize(
    ("op", "operands", "text"),
    [
        ("add", ["a", "b * c"], "a + (b * c)"),
        ("neg", ["a - b"], "-(a - b)"),
        ("neg", ["exp(a - b)"], "-exp(a - b)"),
        ("mul", ["f(a, b)", "w['x y']"], "f(a, b) * w['x y']"),
        ("maximum", ["a + b", "0.0"], "maximum(a + b, 0.0)"),
    ],
)
def test_parentheses_stand_where_they_are_needed(op: str, operands: list[str], text: str) -> None:
    assert infix(op, operands) == text


def test_leaves_reach_element_by_element() -> None:
    builder = Builder()
    p, q = inputs(builder)
    scalar = builder.input("s", aval("f64[]"))
    spread = broadcast_to(scalar, shape=(3,))

    def reach(source: Value, target: Value) -> bool:
        return leaves_reach(builder, source.id, target.id)

    assert reach(p, exp(p) * q)
    assert reach(tanh(p) + 1.0, p)
    assert reach(builder.full(2.0, p.aval), q)
    assert reach(spread * p, spread + exp(p))
    assert not reach(q, p)
    assert not reach(p * q, p)
    assert not reach(p, sign(p))
    assert not reach(p, mul(convert(convert(p, dtype=np.dtype(bool)), dtype=np.dtype("f8")), q))
    assert not reach(broadcast_to(reshape(p, shape=(3, 1)), shape=(3, 3)), broadcast_to(p, shape=(3, 3)))


def test_leaves_of_a_huge_expression_are_not_searched_for() -> None:
    builder = Builder()
    p, q = inputs(builder)
    long = p
    for _ in range(3000):
        long = tanh(long) + exp(long)
    assert not leaves_reach(builder, long.id, (tanh(long) * q).id)


@pytest.mark.parametrize("level", ["off", "safe", "aggressive"])
@pytest.mark.parametrize("kind", ["c64[3]", "c128[3]", "i32[3]", "u8[3]", "f16[3]", "f32[3]"])
def test_every_dtype_passes_through_the_laws(level: str, kind: str) -> None:
    """What has no form for a dtype is left as written instead of failing."""
    builder = Builder(builder_rewrite(level))
    p, q = inputs(builder, "x y", kind)
    for made in (-(p - q), p * -q, p + p, 0 - p, -(3 * p), 2 * (p + p)):
        assert made.aval.dtype == p.aval.dtype
    if p.aval.is_float:
        s = 1 / (1 + exp(-p))
        loss = -(q * operation_of("log")(s) + (1 - q) * operation_of("log")(1 - s))
        root = operation_of("sqrt")(p * p)
        assert loss.aval == root.aval == p.aval
        if kind.startswith("c"):
            assert root.node.op is operation_of("sqrt")
    if kind == "u8[3]":
        assert formula(builder, absolute(-p).id) == "abs(-x)"


def operation_of(name: str) -> Any:
    from gradc.ir.op import REGISTRY

    return REGISTRY[name]


def test_a_mask_is_not_a_number() -> None:
    builder = Builder(builder_rewrite("safe"))
    (m,) = inputs(builder, "m", "bool[3]")
    assert logical_not(logical_not(m)) == m
