"""The reading laws, one test each, and what none of them may do."""

from __future__ import annotations

import pytest

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    TWO,
    Apply,
    Expr,
    Mul,
    Symbol,
    add,
    divide,
    mul,
    negative,
    number,
    power,
)
from gradc.inspect.facts import by_facts, facts_of
from gradc.inspect.functions import apply
from gradc.inspect.laws import (
    Steps,
    cancel,
    common_denominator,
    common_factor,
    constants_out,
    in_final_order,
    in_order,
    like_terms,
    simplified,
)
from gradc.inspect.polynomial import multiplied_out, quotient, ratio
from gradc.inspect.text import Text

a, b, c, x, y = (Symbol(name) for name in "abcxy")
rows = Symbol("rows", (4, 3))
text = Text()


def told(steps: Steps) -> list[tuple[str, str]]:
    return [(text(e), why.text.replace("{0}", text(why.parts[0]) if why.parts else "")) for e, why in steps]


def minus(left: Expr, right: Expr) -> Expr:
    return add(left, negative(right))


def test_cancel_equal_factors() -> None:
    assert told(cancel(divide(mul(a, x, x), mul(b, x)))) == [("a·x/b", "x cancels")]


def test_cancel_a_sum_against_its_opposite() -> None:
    assert told(cancel(divide(minus(x, y), minus(y, x)))) == [("-1", "y - x cancels")]


def test_cancel_by_polynomial_division() -> None:
    assert told(cancel(divide(minus(mul(x, x), mul(y, y)), add(x, y)))) == [("x - y", "x + y cancels")]


def test_cancel_leaves_what_has_no_common_factor() -> None:
    assert cancel(divide(add(x, ONE), add(x, TWO))) == []
    assert cancel(divide(a, b)) == []


def test_like_terms_add_up() -> None:
    assert told(like_terms(add(mul(TWO, x), y, mul(x, number(3))))) == [("5·x + y", "like terms")]


def test_opposite_terms_cancel() -> None:
    assert told(like_terms(add(mul(x, y), a, mul(MINUS_ONE, y, x)))) == [("a", "±x·y cancel")]


def test_common_factor_comes_out() -> None:
    assert told(common_factor(add(mul(a, x), mul(b, x)))) == [("x·(a + b)", "common factor x")]
    assert told(common_factor(add(divide(a, x), divide(b, x)))) == [("(a + b)/x", "common denominator")]
    assert common_factor(add(a, b)) == []


def test_powers_of_no_number_stay_beside_a_common_factor() -> None:
    assert told(common_factor(add(mul(power(a, x), x, b), mul(x, y)))) == [("x·(a^x·b + y)", "common factor x")]


def test_common_denominator_multiplies_out_and_cancels() -> None:
    fractions = minus(divide(y, x), divide(minus(ONE, y), minus(ONE, x)))
    assert told(common_denominator(fractions)) == [
        ("[y·(1 - x) - (1 - y)·x]/(x·(1 - x))", "common denominator"),
        ("(y - y·x - x + y·x)/(x·(1 - x))", "multiply out"),
        ("(y - x)/(x·(1 - x))", "±y·x cancel"),
    ]


def test_common_denominator_is_left_where_it_does_not_pay() -> None:
    assert common_denominator(add(divide(a, x), divide(b, y))) == []


def test_constants_come_out_of_sums() -> None:
    summed = Apply("reduce_sum", (mul(number(3), rows),), (), (("axes", (0, 1)), ("keepdims", False)))
    assert text(constants_out(summed) or ONE) == "3 Σ rows"
    assert constants_out(Apply("reduce_sum", (rows,), (), summed.params)) is None


def test_signs_stand_where_one_writes_them() -> None:
    assert text(in_order(negative(minus(a, b)))) == "b - a"
    assert text(in_final_order(mul(x, add(negative(a), b)))) == "x·(b - a)"
    assert text(in_order(negative(add(a, b)))) == "-(a + b)"


def test_a_quotient_is_read_by_its_definition() -> None:
    s, e = Symbol("s"), Symbol("e")
    law = by_facts(list(facts_of(s, power(add(ONE, e), MINUS_ONE))))
    assert [text(form) for form, _ in law(mul(a, power(add(ONE, e), number(-2))))] == ["s·a/(1 + e)"]
    assert [text(form) for form, _ in law(mul(a, s, e))] == ["(1 - s)·a"]


def test_a_quotient_is_read_through_a_sum() -> None:
    e, p = Symbol("e", (4, 3)), Symbol("p", (4, 3))
    total = Apply("reduce_sum", (e,), (4, 1), (("axes", (1,)), ("keepdims", True)))
    weighted = Apply("reduce_sum", (mul(rows, e),), (4, 1), total.params)
    law = by_facts(list(facts_of(p, divide(e, total))))
    assert [text(form) for form, _ in law(divide(weighted, total))] == ["Σ_j p·rows"]


def test_a_shape_is_kept_when_what_had_it_falls_away() -> None:
    (last, _), *_ = simplified(divide(mul(x, rows), rows))
    assert last.shape == (4, 3)
    assert text(last) == "x"


@pytest.mark.parametrize("part", [apply("log", divide(x, x)), apply("exp", minus(x, x))])
def test_what_stands_inside_a_function_is_left_as_written(part: Expr) -> None:
    assert simplified(mul(a, part)) == []


def test_polynomials_divide_and_compare() -> None:
    square = mul(add(x, y), add(x, y))
    assert [text(t) for t in multiplied_out(square) or ()] == ["x²", "x·y", "y·x", "y²"]
    assert quotient(add(mul(x, x), mul(TWO, x, y), mul(y, y)), add(x, y)) == add(x, y)
    assert quotient(add(x, ONE), y) is None
    assert ratio(add(mul(TWO, x), TWO), add(ONE, x)) == 2
    assert ratio(x, y) is None
    assert multiplied_out(Mul((add(*[Symbol(f"s{k}") for k in range(30)]), add(x, y)))) is None
