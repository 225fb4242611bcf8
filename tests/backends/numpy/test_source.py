"""How graphs read as source, and that the source keeps dtypes, bits, memory and errors."""

from __future__ import annotations

import base64
import gc
import inspect
import linecache
import traceback
import warnings
from typing import Any

import numpy as np
import pytest

import gradc.ops
from gradc.backends.numpy import flat_entry, load, render
from gradc.backends.numpy.constants import array_text, embedded_text
from gradc.backends.numpy.contractions import contraction
from gradc.backends.reference import evaluate
from gradc.ir.aval import Aval, aval
from gradc.ir.graph import Builder, Value
from gradc.ir.op import REGISTRY
from gradc.ir.signature import flat_signature

op = REGISTRY


def body(outputs: list[Value], builder: Builder) -> list[str]:
    """The statements between the unpacking and the return, and the returned text."""
    graph = builder.freeze(outputs)
    source = render(graph, flat_signature(graph, tuple(graph.input_names)), name="f")
    lines = source.split("def f(", 1)[1].split("def _arguments")[0].splitlines()[2:]
    return [line.strip() for line in lines if line.strip()]


def test_logistic_loss_is_written_over_several_lines_and_shares_them() -> None:
    b = Builder()
    z, y = b.input("z", aval("f64[3]")), b.input("y", aval("f64[3]"))
    assert body([op["logistic_bce"](z, y), op["logistic"](z) - y, op["softplus"](z)], b) == [
        "e = np.exp(-np.abs(z))  # cannot overflow",
        "t1 = np.log1p(e)",
        "result = t1 + np.where(z >= 0, 1.0 - y, y) * np.abs(z)",
        "t2 = np.where(z >= 0, 1.0, e) / (1.0 + e) - y",
        "return [result, t2, t1 + np.maximum(z, 0.0)]",
    ]


def test_softmax_and_logsumexp_share_the_exponentials() -> None:
    b = Builder()
    x = b.input("x", aval("f32[3,4]"))
    assert body([op["softmax"](x, axes=(1,)), op["logsumexp"](x, axes=(1,), keepdims=False)], b) == [
        "largest = np.max(x, axis=1, keepdims=True)",
        "weights = np.exp(x - largest)  # cannot overflow",
        "total = np.sum(weights, axis=1, keepdims=True)",
        "result = weights / total",
        "t1 = np.where(np.isfinite(largest), np.log(total) + largest, largest)[:, 0]",
        "return [result, t1]",
    ]


def test_log_softmax_is_the_shifted_elements_less_a_logarithm() -> None:
    b = Builder()
    x = b.input("x", aval("f32[3,4]"))
    assert body([op["softmax"](x, axes=(1,)), op["log_softmax"](x, axes=(1,))], b) == [
        "largest = np.max(x, axis=1, keepdims=True)",
        "shifted = x - largest",
        "weights = np.exp(shifted)  # cannot overflow",
        "total = np.sum(weights, axis=1, keepdims=True)",
        "result = weights / total",
        "t1 = shifted - np.where(np.isfinite(largest), np.log(total), 0.0)",
        "return [result, t1]",
    ]


def test_numpy_broadcasts_and_results_have_their_exact_shape() -> None:
    b = Builder()
    x, r = b.input("x", aval("f64[2,3]")), b.input("r", aval("f64[3]"))
    spread = op["broadcast_to"](r, shape=(2, 3))
    assert body([x + spread, spread, b.full(0.5, x.aval), op["exp"](spread)], b) == [
        "result = x + r",
        "return [",
        "result, np.broadcast_to(r, (2, 3)).copy(), np.full((2, 3), 0.5),",
        "np.broadcast_to(np.exp(r), (2, 3)).copy(),",
        "]",
    ]


def test_a_mask_of_two_numbers_has_the_right_dtype() -> None:
    b = Builder()
    x = b.input("x", aval("f32[2]"))
    ones, zeros = b.full(1.0, x.aval), b.full(0.0, x.aval)
    relu_prime = op["select"](op["gt"](x, zeros), ones, zeros)
    assert body([relu_prime], b) == ["result = np.where(x > 0, np.float32(1.0), 0.0)", "return [result]"]


def test_writes_go_into_the_array_while_nothing_reads_the_old_contents() -> None:
    b = Builder()
    x, v, i = b.input("x", aval("f64[4]")), b.input("v", aval("f64[2]")), b.input("i", aval("i64[2]"))
    buffer = op["update_slice"](b.full(0.0, x.aval), v, starts=(1,), steps=(1,), mode="set")
    first = op["scatter"](buffer, v, i, axes=(0,), mode="add")
    b.name(first, "h")
    between = op["exp"](first)
    second = op["update_slice"](first, v, starts=(0,), steps=(2,), mode="add")
    assert body([between, second], b) == [
        "h = np.zeros(4)",
        "h[1:3] = v",
        "np.add.at(h, i, v)",
        "result = np.exp(h)",
        "h[::2] += v",
        "return [result, h]",
    ]


@pytest.mark.parametrize(
    ("letters", "text"),
    [
        ("ij,jk->ik", "{0} @ {1}"),
        ("ji,jk->ik", "{0}.T @ {1}"),
        ("ij,kj->ik", "{0} @ {1}.T"),
        ("ij,jk->ki", "{1}.T @ {0}.T"),
        ("i,i->", "{0} @ {1}"),
        ("i,j->ij", "np.outer({0}, {1})"),
        ("i,j->ji", "np.outer({1}, {0})"),
        ("ij,j->i", "{0} @ {1}"),
        ("i,ij->j", "{0} @ {1}"),
        ("i,ji->j", "{1} @ {0}"),
        ("bij,bjk->bik", "{0} @ {1}"),
        ("bij,bkj->bik", "{0} @ {1}.swapaxes(-1, -2)"),
        ("abij,jk->abik", "{0} @ {1}"),
        ("ij,i->ij", "{0} * {1}[:, None]"),
        (",ij->ij", "{0} * {1}"),
        ("ijk,kjl->il", "np.tensordot({0}, {1}, axes=([1, 2], [1, 0]))"),
        ("bij,bij->b", 'np.einsum("bij,bij->b", {0}, {1}, optimize=True)'),
    ],
)
def test_contractions_read_well_and_are_right(letters: str, text: str) -> None:
    operands, out = letters.split("->")
    lhs, rhs = operands.split(",")
    assert contraction(lhs, rhs, out) == text
    sizes = dict(zip("abijkl", (2, 3, 4, 5, 6, 7), strict=True))
    a, b = (np.random.default_rng(1).normal(size=[sizes[c] for c in own]) for own in (lhs, rhs))
    made = eval(text.format("a", "b"), {"np": np, "a": a, "b": b})  # noqa: S307
    np.testing.assert_allclose(made, np.einsum(letters, a, b), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_constants_are_exact_to_the_bit(dtype: str) -> None:
    kind = np.dtype(dtype)
    unsigned = f"u{kind.itemsize}"
    bits = np.random.default_rng(3).integers(0, 2 ** (8 * kind.itemsize), 400, dtype=unsigned)
    values = bits.view(kind)
    ordinary = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.1, 1 / 3, 1e-40, 5e-324, 1e300], np.float64)
    with np.errstate(all="ignore"):
        rest = ordinary.astype(kind)
    finite = values[np.isfinite(values)]
    for array in (values, rest, finite.reshape(-1, 1), finite[:0], *([v] * 2 for v in values[:20])):
        array = np.asarray(array, kind)
        again = eval(array_text(array), {"np": np})  # noqa: S307
        assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())
    if kind.itemsize > 2:
        pairs = np.concatenate([values[:20], rest])
        array = np.stack([pairs, pairs[::-1]], axis=-1).view(f"c{2 * kind.itemsize}")
        again = eval(array_text(array), {"np": np})  # noqa: S307
        assert (again.dtype, again.shape, again.tobytes()) == (array.dtype, array.shape, array.tobytes())
    for number in [*values[:60], *rest]:
        b = Builder()
        graph = b.freeze([b.constant(np.full(3, number))])
        (result,) = flat_entry(graph, name="f")([])
        assert result.tobytes() == np.full(3, number).tobytes()


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "bool"])
def test_integers_keep_their_dtype(dtype: str) -> None:
    b = Builder()
    x = b.input("x", Aval((2, 3), np.dtype(dtype)))
    outputs = [op["reduce_max"](x, axes=(0,), keepdims=False), op["eq"](x, x), op["convert"](x, dtype=np.dtype("f4"))]
    if dtype != "bool":
        outputs += [x + b.full(3, x.aval), op["reduce_sum"](x, axes=(1,), keepdims=True)]
        outputs += [op["reduce_prod"](x, axes=(0, 1), keepdims=False), b.full(2, x.aval)]
    else:
        outputs += [op["logical_not"](x), b.full(True, x.aval), op["select"](x, b.full(True, x.aval), x)]
    graph = b.freeze(outputs)
    given = [np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)]
    for actual, expected in zip(flat_entry(graph, name="f")(given), evaluate(graph, given), strict=True):
        assert actual.dtype == expected.dtype
        assert np.array_equal(actual, expected)


def test_an_index_out_of_range_raises() -> None:
    b = Builder()
    x, i = b.input("x", aval("f64[3]")), b.input("i", aval("i64[2]"))
    graph = b.freeze([op["gather"](x, i, axes=(0,))])
    entry = flat_entry(graph, name="f")
    assert np.array_equal(entry([np.arange(3.0), np.array([-1, 0])])[0], [2.0, 0.0])
    with pytest.raises(IndexError):
        entry([np.arange(3.0), np.array([0, 3])])


def test_nothing_warns() -> None:
    b = Builder()
    x = b.input("x", aval("f64[4]"))
    graph = b.freeze([op["log"](x), op["exp"](x), x / x, op["logistic"](x), op["erf"](x), op["sqrt"](x)])
    given = [np.array([0.0, -np.inf, np.nan, 1e308])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for actual, expected in zip(flat_entry(graph, name="f")(given), evaluate(graph, given), strict=True):
            np.testing.assert_allclose(actual, expected, rtol=1e-15)


def test_a_masked_entry_meets_infinity_with_an_exact_zero() -> None:
    b = Builder()
    a, mask, c = b.input("a", aval("f64[2,3]")), b.input("m", aval("bool[2,3]")), b.input("c", aval("f64[3,2]"))
    graph = b.freeze([op["masked_contract"](a, mask, c, lhs="ij", rhs="jk", out="ki")])
    entry = flat_entry(graph, name="f")
    for last in (1.0, np.inf, np.nan):
        given = [np.ones((2, 3)), np.array([[True, True, False], [True, False, False]]), np.ones((3, 2))]
        given[2][2] = last
        assert np.array_equal(entry(given)[0], [[2.0, 1.0], [2.0, 1.0]])


def test_debuggers_and_tracebacks_see_the_source() -> None:
    b = Builder()
    x, i = b.input("x", aval("f64[3]")), b.input("i", aval("i64[]"))
    graph = b.freeze([op["gather"](op["exp"](x), i, axes=(0,))])
    source = render(graph, flat_signature(graph, ("x", "i")), name="pick")
    function = load(source, "pick")
    assert inspect.getsource(inspect.unwrap(function)) in source
    with pytest.raises(IndexError) as caught:
        function(np.ones(3), 7)
    assert "np.exp(x)[i]" in "".join(traceback.format_tb(caught.tb))
    file = inspect.unwrap(function).__code__.co_filename
    assert file in linecache.cache
    del function, caught
    gc.collect()
    assert file not in linecache.cache


def unrolled(length: int) -> Any:
    b = Builder()
    x, h = b.input("x", aval("f64[2]")), b.input("h", aval("f64[2]"))
    state = h
    for _ in range(length):
        state = op["tanh"](state * x + h)
    return b.freeze([state])


def test_a_long_recurrence_is_written_without_recursion() -> None:
    graph = unrolled(5000)
    entry = flat_entry(graph, name="f")
    given = [np.array([0.5, -0.5]), np.array([0.1, 0.2])]
    np.testing.assert_allclose(entry(given)[0], evaluate(graph, given)[0], rtol=1e-12)


def test_many_arguments_are_taken_apart_over_several_lines() -> None:
    names = [f"argument_{k}" for k in range(12)]
    source = gradc.jit(lambda w: sum(w.values())).compile(dict.fromkeys(names, 1.0), backend="numpy").numpy_source
    lines = source.splitlines()
    start = lines.index("    (")
    end = next(k for k in range(start, len(lines)) if lines[k].startswith("    )"))
    assert lines[end] == "    ) = _arguments(w)"
    taken = " ".join(line.strip() for line in lines[start + 1 : end])
    assert taken == "".join(f"{name}, " for name in names).strip()


def test_the_text_of_a_constant_of_many_megabytes() -> None:
    """It takes time in proportion: by the square of its length it would not end."""
    value = np.arange(2_000_000, dtype=np.int64)
    lines = embedded_text("table", value).split('"""')[1].split()
    assert {len(line) for line in lines[:-1]} == {100}
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode("".join(lines)), "<i8"), value)
