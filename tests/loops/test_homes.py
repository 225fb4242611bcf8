"""Parts of a stored concatenation that others read are stored where they stand in it, and once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import gradc
from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Value
from gradc.loops.language.program import LoopProgram
from gradc.loops.language.traversal import statements_of
from gradc.loops.lowering.lower import lower
from gradc.ops.elementwise import exp, sin
from gradc.ops.reduce import reduce_sum
from gradc.ops.shape import concatenate, reshape, slice_, update_slice

Checker = Callable[..., LoopProgram]
Function = Callable[..., list[Value]]


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def arrays(program: LoopProgram) -> list[tuple[int, ...]]:
    """The shapes of the arrays in the arena that are larger than one element."""
    return sorted(b.shape for b in program.buffers if b.kind == "arena" and b.shape)  # type: ignore[type-var]


def lowered(check: Checker, function: Function, *inputs: np.ndarray) -> LoopProgram:
    builder = Builder()
    values = [builder.input(f"x{k}", aval_of(x)) for k, x in enumerate(inputs)]
    return check(builder.freeze(function(*values)), inputs)


def shifted(x: Value, count: int) -> Value:
    """The elements from ``count`` on along the first axis."""
    shape = (int(x.aval.shape[0]) - count, *x.aval.shape[1:])
    return slice_(x, starts=(count,) + (0,) * (len(shape) - 1), sizes=shape, steps=(1,) * len(shape))


def squares(x: Value) -> Value:
    return reduce_sum(x * x, axes=tuple(range(x.aval.ndim)), keepdims=False)


def test_a_stencil_stores_each_state_once() -> None:
    def loss(u):  # type: ignore[no-untyped-def]
        for _ in range(3):
            new = u.copy()
            new[1:-1] += 0.1 * (u[2:] - 2.0 * u[1:-1] + u[:-2])
            u = new
        return np.sum(u * u)

    u = numbers(300)
    kernel = gradc.jit(loss).compile(u)
    assert kernel(u) == pytest.approx(loss(u), rel=1e-13)
    assert arrays(lower(kernel.graph)) == [(300,)] * 3


def test_a_part_is_read_where_it_stands(check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        part = exp(sin(x))
        joined = concatenate(y, part, y, axis=0)
        return [squares(joined), shifted(part, 1) * shifted(joined, 7)]

    program = lowered(check, function, numbers(20), numbers(3))
    assert arrays(program) == [(26,)]


@pytest.mark.parametrize("axis", [0, 1])
def test_a_part_along_each_axis(axis: int, check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        part = exp(sin(x))
        joined = concatenate(y, part, axis=axis)
        return [squares(joined), shifted(part, 1) * shifted(joined, 1 + 2 * (1 - axis))] if axis == 0 else [
            squares(joined), squares(shifted(part, 1))
        ]  # fmt: skip

    border = (2, 5) if axis == 0 else (6, 2)
    assert arrays(lowered(check, function, numbers(6, 5), numbers(*border))) == [(8, 5) if axis == 0 else (6, 7)]


def test_concatenations_in_concatenations_are_written_once(check: Checker) -> None:
    def function(x: Value, y: Value, z: Value) -> list[Value]:
        part = exp(sin(x))
        inner = concatenate(y, part, y, axis=1)
        outer = concatenate(z, inner, z, axis=0)
        return [squares(outer), squares(shifted(inner, 2)), squares(shifted(part, 3))]

    program = lowered(check, function, numbers(6, 5), numbers(6, 1), numbers(2, 7))
    assert arrays(program) == [(10, 7)]


def test_a_part_of_another_shape_stays_by_itself(check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        part = exp(sin(x))
        joined = concatenate(reshape(part, shape=(1, 20)), y, axis=0)
        return [squares(joined), shifted(part, 1)]

    assert arrays(lowered(check, function, numbers(20), numbers(1, 20))) == [(2, 20), (20,)]


def test_two_concatenations_of_one_part(check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        part = exp(sin(x))
        one, other = concatenate(y, part, axis=0), concatenate(part, y, part, axis=0)
        return [squares(one), squares(other), shifted(part, 1)]

    program = lowered(check, function, numbers(20), numbers(3))
    assert sorted(shape for shape in arrays(program)) == [(23,), (43,)]


def test_a_result_keeps_an_array_of_its_own(check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        part = exp(sin(x))
        joined = concatenate(y, part, axis=0)
        return [joined, part, shifted(part, 1) * shifted(joined, 4)]

    assert arrays(lowered(check, function, numbers(20), numbers(3))) == []


def test_a_concatenation_that_is_written_over_leaves_its_parts(check: Checker) -> None:
    """The part is read after the write."""

    def function(x: Value, y: Value, v: Value) -> list[Value]:
        part = exp(sin(x))
        joined = concatenate(y, part, axis=0)
        written = update_slice(joined, sin(v), starts=(5,), steps=(3,), mode="set")
        return [squares(written), shifted(part, 1) * shifted(written, 4)]

    lowered(check, function, numbers(20), numbers(3), numbers(4))


def test_a_part_that_is_written_over_stays_by_itself(check: Checker) -> None:
    def function(x: Value, y: Value, v: Value) -> list[Value]:
        part = exp(sin(x))
        written = update_slice(part, sin(v), starts=(5,), steps=(3,), mode="add")
        joined = concatenate(y, part, axis=0)
        return [squares(joined), squares(written), shifted(written, 1) * shifted(joined, 4)]

    lowered(check, function, numbers(20), numbers(3), numbers(4))


def test_a_small_part_of_a_large_concatenation_stays_by_itself(check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        part = exp(sin(x))
        joined = concatenate(y, part, axis=0)
        return [squares(joined), shifted(part, 1) * shifted(joined, 31)]

    assert (10,) in arrays(lowered(check, function, numbers(10), numbers(30)))


def test_parts_of_symbolic_rows() -> None:
    def loss(x, y):  # type: ignore[no-untyped-def]
        part = np.exp(np.sin(x))
        joined = np.concatenate([y, part, y], axis=1)
        return np.sum(joined[:, 1:] * joined[:, :-1]) + np.sum(part[:, 1:] * part[:, :-1])

    kernel = gradc.value_and_grad(loss, (0, 1)).compile(gradc.aval("f64[batch,5]"), gradc.aval("f64[batch,2]"))
    for rows in (0, 1, 7, 33):
        x, y = numbers(rows, 5), numbers(rows, 2, seed=1)
        value, slopes = kernel(x, y)
        assert value == pytest.approx(loss(x, y), rel=1e-12, abs=1e-14)
        expected = gradc.grad(loss, (0, 1), backend="numpy")(x, y)
        for ours, theirs in zip(slopes, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_no_part_is_copied_into_its_place(check: Checker) -> None:
    def function(x: Value, y: Value) -> list[Value]:
        a, b = exp(sin(x)), exp(sin(y))
        joined = concatenate(a, b, axis=0)
        return [squares(joined), shifted(a, 1) * shifted(b, 1)]

    program = lowered(check, function, numbers(20), numbers(20, seed=1))
    assert arrays(program) == [(40,)]
    assert not any("= concatenate" in str(s).split("]")[-1] for s in statements_of(program.body))
