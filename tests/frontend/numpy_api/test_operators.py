"""Python's operators: with arrays as the ufuncs, with two Python numbers as Python."""

import operator

import numpy as np
import pytest

from gradc.errors import DtypeError
from gradc.frontend.numpy_api.operators import OPERATORS
from gradc.ir.aval import aval
from gradc.ops import elementwise as ops
from gradc.ops.shape import dim_value

PYTHON = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "truediv": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod,
}  # fmt: skip


@pytest.mark.parametrize("name", PYTHON)
@pytest.mark.parametrize(("x", "y"), [(7, 2), (-7, 2), (7.5, 2), (7, -2.5), (2.5, 0.5)])
def test_python_numbers_stay_python_numbers(name, x, y, bench, same):
    result = OPERATORS[name](bench.input(x), bench.input(y))
    assert result.aval.weak
    same(bench.run(result)[0], PYTHON[name](x, y))


def test_a_mixed_python_number_gives_way_to_an_array(bench):
    scale = OPERATORS["mul"](bench.input(3), bench.input(0.5))
    result = OPERATORS["mul"](bench.input(np.ones(2, np.float32)), scale)
    assert result.aval.dtype == np.float32


@pytest.mark.parametrize("name", [*PYTHON, "pow"])
def test_arrays_are_as_in_numpy(name, bench, sample, same):
    x, y = np.abs(sample(3, dtype="f4")), sample(3)
    function = getattr(operator, name)
    same(bench.run(OPERATORS[name](bench.input(x), bench.input(y)))[0], function(x, y))
    same(bench.run(OPERATORS[name](bench.lift(2.0, ""), bench.input(x)))[0], function(2.0, x))


@pytest.mark.parametrize("name", ["neg", "pos", "abs"])
def test_one_operand(name, bench, sample, same):
    x = sample(3, dtype="f4")
    same(bench.run(OPERATORS[name](bench.input(x)))[0], getattr(operator, name)(x))
    number = OPERATORS[name](bench.input(-2.5))
    assert number.aval.weak
    assert bench.run(number)[0] == getattr(operator, name)(-2.5)


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
def test_comparisons(name, bench, sample, same):
    x, y = sample(6, dtype=int), sample(6, dtype=int)
    same(bench.run(OPERATORS[name](bench.input(x), bench.input(y)))[0], getattr(operator, name)(x, y))


@pytest.mark.parametrize("name", ["eq", "ne", "lt", "le", "gt", "ge"])
@pytest.mark.parametrize(("x", "y"), [(3, 2), (2, 2), (2, 2.5)])
def test_comparisons_of_python_numbers(name, x, y, bench):
    for other in (bench.input(y), bench.lift(y, "")):
        result = OPERATORS[name](bench.input(x), other)
        assert str(result.aval) == "bool[]"
        assert bench.run(result)[0] == getattr(operator, name)(x, y)


def test_masks(bench, sample, same):
    x, y = sample(6, dtype=bool), sample(6, dtype=bool)
    a, b = bench.input(x), bench.input(y)
    same(bench.run(OPERATORS["and"](a, b))[0], x & y)
    same(bench.run(OPERATORS["or"](a, b))[0], x | y)
    same(bench.run(OPERATORS["xor"](a, b))[0], x ^ y)
    same(bench.run(OPERATORS["invert"](a))[0], ~x)


def test_the_square_root_shortcut_is_numpys(bench, same):
    x = np.array([-0.0, -np.inf, 4.0])
    result = OPERATORS["pow"](bench.input(x), bench.lift(0.5, ""))
    assert result.node.op is ops.sqrt
    with np.errstate(invalid="ignore"):
        same(bench.run(result)[0], x**0.5)


@pytest.mark.parametrize("exponent", [-2, 0, 1, 3])
def test_python_ints_to_python_ints(exponent, bench, same):
    result = OPERATORS["pow"](bench.input(3), bench.lift(exponent, ""))
    assert result.aval.weak
    same(bench.run(result)[0], 3**exponent)


def test_python_ints_to_traced_python_ints_are_refused(bench):
    with pytest.raises(DtypeError, match="may be an int or a float"):
        OPERATORS["pow"](bench.input(3), bench.input(2))


def test_a_size_is_a_python_int(bench):
    x = bench.builder.input("x", aval("f32[batch,3]"))
    size = bench.builder.apply(dim_value, dim=x.aval.shape[0], dtype=np.dtype(np.int64), weak=True)
    result = OPERATORS["truediv"](x, size)
    assert str(result.aval) == "f32[batch,3]"
    bench.arrays.append(np.ones((4, 3), np.float32))
    np.testing.assert_array_equal(bench.run(result)[0], np.full((4, 3), 0.25, np.float32))
