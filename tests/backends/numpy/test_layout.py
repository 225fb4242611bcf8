"""Statements that are broken over lines mean what they did."""

from __future__ import annotations

import ast

import pytest

from gradc.backends.numpy.layout import COLUMNS, wrapped

A, B = "the_first_of_two_long_names", "the_second_of_two_long_names"

STATEMENTS = {
    "call": f"t = np.where({A} > {B}, {A} * {B}, {B} - {A})",
    "method of a call": f"t = np.broadcast_to({A} + {A} * {B} + {B}, (2, 2, 2)).copy()",
    "two calls": f"t = np.where({A}, {B}, 0.0) + np.where({B}, {A}, 1.0) * np.maximum({A}, {B})",
    "sum in brackets": f"t = ({A} + {B} + np.where({A} > 0.0, {A}, {B})) * {A}",
    "index in brackets": f"t = {A}[np.where({B} > 0, {B}, {A} + {A})] + {B}",
    "empty call in front": f"t = {A}.copy() + np.where({A} > {B}, {A}, {B}) + {B}",
    "tuple": f"return {A} + {B}, ({A} * {B}, np.where({A}, {B}, 0.0))",
    "targets": f"({A}_1, {A}_2), {B}_1 = a_function_with_a_name({A}, {B})",
    "text": f"raise ValueError('a, b and (c, d' + {A} + {B} + {A}.join({B}, {A}))",
}


@pytest.mark.parametrize("code", STATEMENTS.values(), ids=list(STATEMENTS))
def test_broken_statements_mean_the_same(code: str) -> None:
    assert len(code) + 4 > COLUMNS, "the statement is short enough to stand on a line"
    lines = wrapped(code)
    assert len(lines) > 1
    assert max(map(len, lines)) < len(code)
    assert ast.dump(ast.parse("\n".join(lines))) == ast.dump(ast.parse(code))
