"""Every op through loop programs, against the oracle; special values, empty arrays, results that share a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

from gradc.errors import CompileError, IndexBoundsError
from gradc.ir.aval import Aval, aval, aval_of
from gradc.ir.graph import Builder, Graph, Origin, Value
from gradc.ir.op import REGISTRY, Op
from gradc.loops.language.program import Call, Check, For, LoopProgram
from gradc.loops.language.traversal import statements_of
from gradc.loops.lowering.lower import lower
from gradc.ops.contraction import contract, masked_contract
from gradc.ops.elementwise import exp, greater, logistic, logistic_bce, maximum, select, sin
from gradc.ops.index import gather, scatter
from gradc.ops.reduce import log_softmax, logsumexp, reduce_max, reduce_prod, reduce_sum, softmax
from gradc.ops.shape import broadcast_to, concatenate, reshape, slice_, transpose, update_slice
from gradc.transforms.adjoint import adjoint

Checker = Callable[..., LoopProgram]
Run = Callable[..., list[np.ndarray]]


def graph_of(function: Callable[..., Any], *arrays: Any) -> Graph:
    """The graph of a function of values with the avals of some arrays."""
    builder = Builder()
    inputs = [builder.input(f"x{k}", aval_of(a)) for k, a in enumerate(arrays)]
    results = function(*inputs)
    return builder.freeze(list(results) if isinstance(results, (tuple, list)) else [results])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def loops_of(program: LoopProgram) -> list[For]:
    return [s for s in statements_of(program.body) if isinstance(s, For)]


# Ops.


@pytest.mark.parametrize("name", ["neg", "exp", "sqrt", "tanh", "sin", "cos", "abs", "sign", "erf", "expm1", "log1p",
                                  "logistic", "softplus", "isfinite", "isnan", "log", "exp2", "log2", "log10",
                                  "cbrt", "tan", "sinh", "cosh", "arcsin", "arccos", "arctan", "arcsinh", "arccosh",
                                  "arctanh", "erfc"])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_functions_of_one_variable(name: str, dtype: str, check: Checker) -> None:
    x = np.concatenate([numbers(3, 7).ravel(), [0.0, -0.0, np.inf, -np.inf, np.nan, 30.0, -30.0]]).astype(dtype)
    x = x[:, None] * np.ones((1, 2), dtype)
    graph = graph_of(lambda v: REGISTRY[name](v), x)
    check(graph, [x], rtol=1e-14 if dtype == "float64" else 1e-6, atol=0)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "floor_div", "mod", "pow", "maximum", "minimum",
                                  "eq", "ne", "lt", "le", "gt", "ge", "logistic_bce", "hypot",
                                  "arctan2"])  # fmt: skip
def test_functions_of_two_variables(name: str, check: Checker) -> None:
    x, y = np.abs(numbers(4, 5)) + 0.1, numbers(4, 5, seed=1)
    x[0, 0] = y[0, 0] = 1.5
    y[1, 1] = np.nan
    check(graph_of(REGISTRY[name], x, y), [x, y])


@pytest.mark.parametrize("name", ["add", "sub", "mul", "floor_div", "mod", "maximum", "minimum", "lt", "eq"])
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8"])
def test_integers_wrap_and_divide_as_in_numpy(name: str, dtype: str, check: Checker) -> None:
    info = np.iinfo(dtype)
    x = np.array([0, 1, 5, 7, info.max, info.min, info.min], dtype)
    y = np.array([0, 3, 0, 2, info.max, 3, info.max], dtype)
    check(graph_of(REGISTRY[name], x, y), [x, y])


def test_conversions(check: Checker) -> None:
    x = np.array([-1.7, 0.0, 2.5, 100.9])
    dtypes = ["float32", "int64", "int8", "bool"]
    graph = graph_of(lambda v: [REGISTRY["convert"](v, dtype=np.dtype(d)) for d in dtypes], x)
    check(graph, [x])


@pytest.mark.parametrize("name", ["reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "logsumexp"])
@pytest.mark.parametrize("axes", [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions(name: str, axes: tuple[int, ...], keepdims: bool, check: Checker) -> None:
    x = numbers(3, 4, 18)
    check(graph_of(lambda v: REGISTRY[name](v, axes=axes, keepdims=keepdims), x), [x])
    narrow = x.astype(np.float32)
    check(graph_of(lambda v: REGISTRY[name](v, axes=axes, keepdims=keepdims), narrow), [narrow], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["reduce_any", "reduce_all"])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_logical_reductions(name: str, axes: tuple[int, ...], check: Checker) -> None:
    x = numbers(5, 3) > [[1.0, -3.0, 0.0]]
    check(graph_of(lambda v: REGISTRY[name](v, axes=axes, keepdims=False), x), [x])


@pytest.mark.parametrize("name", ["reduce_max", "reduce_min"])
def test_extrema_propagate_nan(name: str, run: Run) -> None:
    x = numbers(3, 40)
    x[1, 17] = np.nan
    x[2, :] = -np.inf
    (rows, columns) = run(graph_of(lambda v: [REGISTRY[name](v, axes=(a,), keepdims=False) for a in (1, 0)], x), [x])
    numpy = {"reduce_max": np.max, "reduce_min": np.min}[name]
    np.testing.assert_array_equal(rows, numpy(x, axis=1))
    np.testing.assert_array_equal(columns, numpy(x, axis=0))


def test_the_softmax_family_has_the_special_values_of_scipy(run: Run) -> None:
    x = numbers(6, 9)
    x[1] = -np.inf
    x[2, 3] = np.inf
    x[3, 4] = np.nan
    x[4] = 1e4
    x[5, 0] = -np.inf
    graph = graph_of(
        lambda v: [softmax(v, axes=(1,)), logsumexp(v, axes=(1,), keepdims=False), log_softmax(v, axes=(1,))], x
    )
    p, total, q = run(graph, [x])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(p, scipy.special.softmax(x, axis=1), rtol=1e-14)
        np.testing.assert_allclose(total, scipy.special.logsumexp(x, axis=1), rtol=1e-14)
        np.testing.assert_allclose(q, scipy.special.log_softmax(x, axis=1), rtol=1e-14)


def test_sums_of_small_floats_keep_their_digits(run: Run) -> None:
    x = np.random.default_rng(0).uniform(size=200_000).astype(np.float32)
    y = x.reshape(50_000, 4)
    graph = graph_of(
        lambda a, b: [reduce_sum(a, axes=(0,), keepdims=False), reduce_sum(b, axes=(0,), keepdims=False)], x, y
    )
    total, columns = run(graph, [x, y])
    np.testing.assert_allclose(total, x.astype(np.float64).sum(), rtol=6e-8)
    np.testing.assert_allclose(columns, y.astype(np.float64).sum(axis=0), rtol=6e-8)


@pytest.mark.parametrize("shape", [(30_001, 3), (2, 9_000, 2), (5_000, 2, 2)])
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1), (0, 1, 2)])
def test_long_sums_are_blocked(shape: tuple[int, ...], axes: tuple[int, ...], run: Run) -> None:
    axes = tuple(a for a in axes if a < len(shape))
    x = np.random.default_rng(0).uniform(size=shape)
    (total,) = run(graph_of(lambda v: reduce_sum(v, axes=axes, keepdims=True), x), [x])
    exact = np.sum(x.astype(np.longdouble), axis=axes, keepdims=True).astype(np.float64)
    np.testing.assert_allclose(total, exact, rtol=3e-15)


# Contractions.

_CONTRACTIONS = [
    ("ij", "jk", "ik"), ("ij", "jk", "ki"), ("ji", "jk", "ik"), ("ij", "kj", "ik"), ("bij", "bjk", "bik"),
    ("ij", "j", "i"), ("j", "jk", "k"), ("i", "j", "ij"), ("i", "i", ""), ("ij", "ij", "i"), ("ij", "ji", ""),
    ("abi", "ica", "bc"), ("", "", ""), ("i", "", "i"), ("bij", "jk", "bik"),
]  # fmt: skip


@pytest.mark.parametrize(("lhs", "rhs", "out"), _CONTRACTIONS)
@pytest.mark.parametrize("large", [False, True])
def test_contractions(lhs: str, rhs: str, out: str, large: bool, check: Checker) -> None:
    sizes = dict(zip("abcijk", (6, 5, 7, 9, 8, 10) if large else (2, 1, 3, 2, 2, 3), strict=True))
    a = numbers(*[sizes[c] for c in lhs])
    b = numbers(*[sizes[c] for c in rhs], seed=1)
    check(graph_of(lambda x, y: contract(x, y, lhs=lhs, rhs=rhs, out=out), a, b), [a, b])
    mask = a > 0
    graph = graph_of(lambda x, m, y: masked_contract(x, m, y, lhs=lhs, rhs=rhs, out=out), a, mask, b)
    check(graph, [a, mask, b])


def test_what_a_mask_hides_is_an_exact_zero(run: Run) -> None:
    a, b = np.ones((2, 2)), np.array([np.nan, np.inf])
    mask = np.array([[False, False], [True, False]])
    graph = graph_of(lambda x, m, y: masked_contract(x, m, y, lhs="ij", rhs="j", out="i"), a, mask, b)
    np.testing.assert_array_equal(run(graph, [a, mask, b])[0], [0.0, np.nan])


@pytest.mark.parametrize(("bad", "at"), [(np.nan, (4, 2)), (np.inf, (0, 10)), (-np.inf, (8, 0))])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_mask_hides_what_is_not_finite_in_a_large_contraction(
    bad: float, at: tuple[int, int], dtype: str, run: Run
) -> None:
    """Where the right operand is finite it is a plain product, else each masked term adds an exact 0."""
    a, b = numbers(6, 9).astype(dtype), numbers(9, 11, seed=1).astype(dtype)
    mask = a > 0.2
    graph = graph_of(lambda x, m, y: masked_contract(x, m, y, lhs="ij", rhs="jk", out="ik"), a, mask, b)
    for second in (b, np.where(np.arange(99).reshape(9, 11) == at[0] * 11 + at[1], bad, b).astype(dtype)):
        terms = np.where(mask[:, :, None], a[:, :, None] * second[None], 0)
        (found,) = run(graph, [np.where(mask, a, bad).astype(dtype), mask, second])
        bound = 16 * np.finfo(dtype).eps
        np.testing.assert_allclose(found, terms.sum(axis=1), rtol=bound, atol=bound)
    assert str(lower(graph)).count("contract ij,jk->ik") == 1


def test_transposed_and_sliced_operands_are_views(check: Checker) -> None:
    a, b = numbers(12, 9), numbers(20, 16)

    def function(x: Value, y: Value) -> Value:
        part = slice_(y, starts=(2, 1), sizes=(12, 5), steps=(1, 3))
        return contract(transpose(x, axes=(1, 0)), part, lhs="ij", rhs="jk", out="ik")

    program = check(graph_of(function, a, b), [a, b])
    assert [type(s) for s in program.body] == [Call]


def test_reversed_operands_are_copied(check: Checker) -> None:
    a, b = numbers(12, 9), numbers(9, 16)

    def function(x: Value, y: Value) -> Value:
        back = slice_(x, starts=(11, 8), sizes=(12, 9), steps=(-1, -1))
        return contract(back, y, lhs="ij", rhs="jk", out="ik")

    program = check(graph_of(function, a, b), [a, b])
    assert sum(isinstance(s, Call) for s in program.body) == 1
    assert len(loops_of(program)) == 2


# Moving elements.


def test_views_of_views_are_read_in_place(check: Checker) -> None:
    x = numbers(4, 6)

    def function(v: Value) -> Value:
        w = reshape(transpose(v, axes=(1, 0)), shape=(2, 3, 4))
        w = slice_(w, starts=(1, 2, 0), sizes=(2, 2, 2), steps=(-1, -2, 3))
        return sin(broadcast_to(reshape(w, shape=(4, 1, 2)), shape=(4, 3, 2)))

    assert not [b for b in check(graph_of(function, x), [x]).buffers if b.kind == "arena"]


def test_a_reshape_there_and_back_leaves_no_division(check: Checker) -> None:
    x = numbers(6, 10)
    program = check(graph_of(lambda v: exp(reshape(reshape(v, shape=(60,)), shape=(6, 10))), x), [x])
    assert "//" not in str(program)
    flat = check(graph_of(lambda v: exp(reshape(v, shape=(60,))), x), [x])
    assert "//" not in str(flat)


def test_concatenate_and_its_pieces(check: Checker) -> None:
    x, y = numbers(2, 3), numbers(2, 5)
    graph = graph_of(lambda a, b: concatenate(exp(a), b, a, axis=1), x, y)
    program = check(graph, [x, y])
    assert not [b for b in program.buffers if b.kind == "arena"]


@pytest.mark.parametrize("mode", ["set", "add"])
def test_writes_into_slices(mode: str, check: Checker) -> None:
    x, v = numbers(5, 7), numbers(2, 3)
    graph = graph_of(lambda a, b: update_slice(a, b, starts=(3, 1), steps=(-2, 2), mode=mode), x, v)
    check(graph, [x, v])


def test_a_chain_of_writes_works_in_one_array(check: Checker) -> None:
    v = numbers(50)

    def function(x: Value) -> Value:
        buffer = x.builder.full(0.0, x.aval)
        for k in range(50):
            element = slice_(x, starts=(k,), sizes=(1,), steps=(1,))
            buffer = update_slice(buffer, element * 2.0, starts=(49 - k,), steps=(1,), mode="set")
        return buffer

    program = check(graph_of(function, v), [v])
    assert program.arena_bytes == 0
    assert not loops_of(program)


def test_a_write_does_not_disturb_what_is_read_later(check: Checker) -> None:
    x, v = numbers(6), numbers(2)

    def function(a: Value, b: Value) -> list[Value]:
        base = exp(a)
        first = update_slice(base, b, starts=(0,), steps=(1,), mode="set")
        second = update_slice(base, b, starts=(4,), steps=(1,), mode="add")
        return [first, second, base + first]

    check(graph_of(function, x, v), [x, v])


def test_a_write_of_what_it_overwrites(check: Checker) -> None:
    x = numbers(8)

    def shifted(a: Value) -> Value:
        base = exp(a)
        rest = slice_(base, starts=(0,), sizes=(7,), steps=(1,))
        return update_slice(base, rest, starts=(1,), steps=(1,), mode="set")

    def doubled(a: Value) -> Value:
        base = scatter(exp(a), a, a.builder.constant(np.arange(8)), axes=(0,), mode="add")
        part = slice_(base, starts=(2,), sizes=(3,), steps=(1,))
        return update_slice(base, part * 2.0, starts=(2,), steps=(1,), mode="set")

    check(graph_of(shifted, x), [x])
    assert check(graph_of(doubled, x), [x]).arena_bytes == 0


# Indices that are data.


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
def test_gather_and_scatter(axes: tuple[int, ...], shape: tuple[int, ...], check: Checker) -> None:
    x = numbers(4, 3, 5)
    random = np.random.default_rng(1)
    indices = [np.asarray(random.integers(-x.shape[a], x.shape[a], size=shape)) for a in axes]

    def function(v: Value, *at: Value) -> list[Value]:
        found = gather(sin(v), *at, axes=axes)
        return [
            found,
            scatter(v, found, *at, axes=axes, mode="set"),
            scatter(v, found, *at, axes=axes, mode="add"),
        ]

    check(graph_of(function, x, *indices), [x, *indices])


@pytest.mark.parametrize("dtype", ["int8", "int32", "uint16"])
def test_indices_of_any_integer_dtype(dtype: str, check: Checker) -> None:
    x, index = numbers(5), np.array([4, 0, 2, 2], dtype)
    check(graph_of(lambda v, i: gather(v, i, axes=(0,)), x, index), [x, index])


def test_an_index_out_of_bounds_is_refused_with_the_line(run: Run) -> None:
    builder = Builder()
    x, index = builder.input("x", aval("f64[5]")), builder.input("i", aval("i64[2]"))
    builder.origin = (Origin("model.py", 3, "y = x[i]"),)
    graph = builder.freeze([gather(x, index, axes=(0,))])
    with pytest.raises(IndexBoundsError, match=r"index -6 is out of bounds for axis 0 with size 5 \(model.py:3: y = x"):
        run(graph, [np.arange(5.0), np.array([1, -6])])
    np.testing.assert_array_equal(run(graph, [np.arange(5.0), np.array([-5, 4])])[0], [0.0, 4.0])


def test_an_index_into_an_empty_axis_is_refused(run: Run) -> None:
    x, index = np.zeros((0, 3)), np.array([0])
    graph = graph_of(lambda v, i: gather(v, i, axes=(0,)), x, index)
    with pytest.raises(IndexBoundsError, match="index 0 is out of bounds for axis 0 with size 0"):
        run(graph, [x, index])
    value = np.ones((1, 3))
    graph = graph_of(lambda v, u, i: scatter(v, u, i, axes=(0,), mode="add"), x, value, index)
    with pytest.raises(IndexBoundsError, match=r"no index is in bounds of f64\[0,3\]"):
        lower(graph)


def test_constant_indices_that_count_need_no_check(check: Checker) -> None:
    x, label = numbers(6, 4), np.array([0, 1, -1, 3, 2, 2])
    graph = graph_of(lambda v, i: gather(v, v.builder.constant(np.arange(6)), i, axes=(0, 1)), x, label)
    program = check(graph, [x, label])
    assert sum(isinstance(s, Check) for s in statements_of(program.body)) == 1
    assert not [b for b in program.buffers if b.kind == "constant"]


# Empty arrays, single numbers, results.


def test_empty_arrays(check: Checker) -> None:
    x, y = np.zeros((0, 3)), numbers(3, 4)

    def function(a: Value, b: Value) -> list[Value]:
        return [
            exp(a),
            reduce_sum(a, axes=(0,), keepdims=False),
            reduce_prod(a, axes=(0, 1), keepdims=True),
            contract(a, b, lhs="ij", rhs="jk", out="ik"),
            contract(a, a, lhs="ij", rhs="ik", out="jk"),
            softmax(a, axes=(0,)),
            logsumexp(a, axes=(0,), keepdims=False),
            concatenate(a, transpose(b, axes=(1, 0)), axis=0),
            update_slice(transpose(b, axes=(1, 0)), a, starts=(0, 0), steps=(1, 1), mode="set"),
        ]

    check(graph_of(function, x, y), [x, y])


def test_numbers_stay_in_registers(check: Checker) -> None:
    x, y = np.float64(0.3), np.float64(-1.2)

    def function(a: Value, b: Value) -> list[Value]:
        z = a * b + sin(a)
        return [logistic_bce(z, b), logistic(z) * z]

    program = check(graph_of(function, x, y), [x, y])
    assert not loops_of(program)
    assert program.arena_bytes == 0


def test_results_are_copies(run: Run) -> None:
    x = numbers(3)
    constant = np.array([1.0, 2.0])

    def function(a: Value) -> list[Value]:
        doubled = a * 2.0
        c = a.builder.constant(constant)
        return [a, c, doubled, doubled, a, reshape(doubled, shape=(3, 1)), c]

    results = run(graph_of(function, x), [x])
    for result, expected in zip(results, [x, constant, x * 2, x * 2, x, (x * 2)[:, None], constant], strict=True):
        np.testing.assert_array_equal(result, expected)
    assert not any(np.shares_memory(a, b) for k, a in enumerate(results) for b in [x, constant, *results[:k]])


def test_what_is_written_in_place_is_not_a_result(check: Checker) -> None:
    x, v = numbers(4), numbers(1)

    def function(a: Value, b: Value) -> list[Value]:
        base = exp(a)
        once = update_slice(base, b, starts=(1,), steps=(1,), mode="set")
        twice = update_slice(once, b, starts=(2,), steps=(1,), mode="set")
        return [once, twice, twice]

    check(graph_of(function, x, v), [x, v])


# Names.


def test_names_are_plain_words_whatever_the_user_wrote(check: Checker) -> None:
    builder = Builder()
    hostile = ["w['a b']", "for", "i", "x]\n# evil", "1st", "ü", "w['a b']x"]
    inputs = [builder.input(name, aval("f64[2]")) for name in hostile]
    total = inputs[0]
    for value, name in zip(inputs[1:], ["let", "t1", "w_a_b", "z", "z\n", "sum"], strict=True):
        total = total + exp(value)
        builder.name(total, name)
    graph = builder.freeze([total, exp(total)], ["", "if"])
    arrays = [numbers(2, seed=k) for k in range(len(hostile))]
    check(graph, arrays)


# What is refused.


@pytest.mark.parametrize("dtype", ["c128", "f16"])
def test_dtypes_without_loops_are_refused(dtype: str) -> None:
    builder = Builder()
    x = builder.input("x", aval(f"{dtype}[2]"))
    with pytest.raises(CompileError, match="loops do not compute in"):
        lower(builder.freeze([x + x]))


def test_an_op_without_loops_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradc.ir.op.REGISTRY", dict(REGISTRY))
    strange = Op("strange", lambda x: Aval(x.shape, x.dtype), lambda x: x)
    pointwise = Op("pointwise", lambda x: Aval(x.shape, x.dtype), lambda x: x, elementwise=True)
    for op, message in ((strange, "strange has no loops"), (pointwise, "pointwise has no element rule")):
        builder = Builder()
        x = builder.input("x", aval("f64[2]"))
        with pytest.raises(CompileError, match=message):
            lower(builder.freeze([op(x)]))


# The printed program.


def _net() -> Graph:
    """The 2-2-1 net and its gradient, with the lines of a user."""
    builder = Builder()
    names = ["w11", "w12", "w21", "w22", "v1", "v2", "x1", "x2", "y"]
    w11, w12, w21, w22, v1, v2, x1, x2, y = (builder.input(n, aval("f64[]")) for n in names)
    zero = builder.full(0.0, y.aval)

    def line(number: int, name: str, text: str, value: Callable[[], Value]) -> Value:
        builder.origin = (Origin("net.py", number, f"{name} = {text}"),)
        made = value()
        builder.name(made, name)
        return made

    z1 = line(5, "z1", "w11 * x1 + w12 * x2", lambda: w11 * x1 + w12 * x2)
    z2 = line(6, "z2", "w21 * x1 + w22 * x2", lambda: w21 * x1 + w22 * x2)
    a1 = line(7, "a1", "np.maximum(z1, 0)", lambda: maximum(z1, zero))
    a2 = line(8, "a2", "np.maximum(z2, 0)", lambda: maximum(z2, zero))
    z = line(9, "z", "v1 * a1 + v2 * a2", lambda: v1 * a1 + v2 * a2)
    line(10, "y_hat", "sigmoid(z)", lambda: logistic(z))
    loss = line(11, "L", "bce(y_hat, y)", lambda: logistic_bce(z, y))
    weights = [w11, w12, w21, w22, v1, v2]
    cts = adjoint(builder, [loss], [builder.constant(1.0)], weights)
    return builder.freeze([loss, *cts], ["L", *(f"d_{n}" for n in names[:6])])


def test_the_program_of_a_small_net_reads_as_its_source(golden: Callable[[str, str], None], check: Checker) -> None:
    graph = _net()
    program = check(graph, numbers(9))
    golden("loops/net.loops", str(program))


def test_the_program_of_a_network_reads_as_its_source(golden: Callable[[str, str], None], check: Checker) -> None:
    builder = Builder()
    x, label = builder.input("x", aval("f32[8,20]")), builder.input("label", aval("i64[8]"))
    w1, b1 = builder.input("w['hidden']", aval("f32[20,16]")), builder.input("b", aval("f32[16]"))
    w2 = builder.input("w['out']", aval("f32[16,4]"))
    z = contract(x, w1, lhs="ij", rhs="jk", out="ik") + broadcast_to(b1, shape=(8, 16))
    h = select(greater(z, builder.full(0.0, z.aval)), z, builder.full(0.0, z.aval))
    logits = contract(h, w2, lhs="ij", rhs="jk", out="ik")
    picked = gather(logits, builder.constant(np.arange(8)), label, axes=(0, 1))
    loss = reduce_sum(logsumexp(logits, axes=(1,), keepdims=False) - picked, axes=(0,), keepdims=False) * 0.125
    for value, name in ((z, "z"), (h, "h"), (logits, "logits"), (loss, "loss")):
        builder.name(value, name)
    cts = adjoint(builder, [loss], [builder.constant(np.float32(1.0))], [w1, b1, w2])
    graph = builder.freeze([loss, *cts], ["loss", "d_w['hidden']", "d_b", "d_w['out']"])
    arrays = [numbers(*a.shape).astype("f4") if a.dtype.kind == "f" else np.arange(8) % 4 for a in graph.input_avals]
    program = check(graph, arrays, rtol=1e-5, atol=1e-6)
    golden("loops/network.loops", str(program))


def test_the_same_graph_gives_the_same_text() -> None:
    assert str(lower(_net())) == str(lower(_net()))


def test_softmax_is_one_pass_over_rows(check: Checker) -> None:
    x = numbers(5, 30)
    program = check(graph_of(lambda v: softmax(v, axes=(1,)), x), [x])
    outer = [s for s in program.body if isinstance(s, For)]
    assert len(outer) == 1
    assert str(program).count("exp(") == 1
    (row,) = [b for b in program.buffers if b.kind == "arena"]
    assert row.shape == (30,)


def test_reduce_max_of_a_column_and_its_row_share_a_nest(check: Checker) -> None:
    x = numbers(5, 30)
    graph = graph_of(lambda v: [reduce_max(v, axes=(a,), keepdims=False) for a in (0, 1)], x)
    program = check(graph, [x])
    assert sum(isinstance(s, For) for s in program.body) == 2
