"""Python integers become static where Python needs a number, and only there; other leaves are static or refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.errors import ArgumentError, DtypeError, TraceError
from gradc.frontend.tracing import is_static, trace
from gradc.ir.aval import aval

Same = Callable[..., Any]
X = np.arange(6.0)


def test_an_integer_that_is_only_computed_with_stays_an_input(same: Same) -> None:
    traced = same(lambda x, n: (x * n + n / 2, n * 2, n), X, 3)
    assert traced.guards == {}
    assert traced.graph.input_avals[1] == aval("~i64[]")


USES: list[Callable[[Any, int], Any]] = [
    lambda x, n: sum(x[k] for k in range(n)),
    lambda x, n: x[n],
    lambda x, n: x[n:],
    lambda x, n: x[-n :: n - 1],
    lambda x, n: x.reshape(n, -1),
    lambda x, n: np.reshape(x, (n, 6 // n)),
    lambda x, n: np.zeros(n) + x[0],
    lambda x, n: np.zeros((n, 2)) + x[0],
    lambda x, n: np.full(n, x[1]),
    lambda x, n: np.ones(n + 1) * x[0],
    lambda x, n: np.arange(n) * x[0],
    lambda x, n: np.eye(n) * x[0],
    lambda x, n: x.reshape(2, 3).sum(axis=n - 2),
    lambda x, n: np.sum(x.reshape(2, 3), axis=n - 1),
    lambda x, n: np.expand_dims(x, n - 2),
    lambda x, n: np.stack([x, x], axis=n - 1),
    lambda x, n: np.split(x, n),
    lambda x, n: x if n > 1 else -x,
    lambda x, n: x * (1.0 / float(n)),
    lambda x, n: [x][n - 2] * int(n),
    lambda x, n: x * "ab".count("b") * [1.0, 2.0, 3.0][n],
    lambda x, n: np.full_like(x, 2.0)[n] * x[0],
    lambda x, n: sum([x] * n),
    lambda x, n: np.stack(n * (x,)),
    lambda x, n: x * len("ab" * n),
]


@pytest.mark.parametrize("function", USES)
def test_an_integer_that_python_needs_is_guarded(function: Callable[[Any, int], Any], same: Same) -> None:
    traced = same(function, X, 2)
    assert traced.guards == {1: 2}


def test_guards_are_by_position_among_the_inputs() -> None:
    def f(w: Any, flag: bool, sizes: dict[str, int], x: Any) -> Any:
        return x.reshape(sizes["rows"], -1) * w * sizes["scale"]

    traced = trace(f, (2.0, True, {"scale": 5, "rows": 3}, X))
    assert traced.input_paths == ("w", "sizes['scale']", "sizes['rows']", "x")
    assert traced.graph.input_names == traced.input_paths
    assert traced.guards == {2: 3}


def test_an_abstract_integer_cannot_become_static() -> None:
    with pytest.raises(
        TraceError, match=r"a size, an axis, a range or a list's index needs the number behind a traced"
    ):
        trace(lambda x, n: np.zeros(n) + x, (aval("f64[]"), aval("~i64[]")))


def test_bools_strings_none_and_callables_are_static(same: Same) -> None:
    def f(x: Any, flag: bool, mode: str, nothing: None, function: Callable[..., Any], kind: type) -> Any:
        assert flag is True
        assert mode == "up"
        assert nothing is None
        return function(x).astype(kind)

    traced = same(f, X, True, "up", None, np.sin, np.float32)
    assert traced.input_paths == ("x",)


def test_numpys_scalars_are_traced(same: Same) -> None:
    same(lambda x, s, b: (x * s, s + 1, np.where(b, x, s)), X.astype(np.float32), np.float32(2), np.bool_(True))


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.array(["a"]), "argument w['k']: an array of dtype <U1 cannot be compiled"),
        (np.array([None]), "argument w['k']: an array of dtype object cannot be compiled"),
        (object(), "argument w['k']: object is neither an array nor a number"),
        ({1, 2}, "argument w['k']: set is neither an array nor a number"),
        (np.random.default_rng(0), "argument w['k']: Generator is neither an array nor a number"),
        (2**70, "argument w['k']: the integer 1180591620717411303424 does not fit into i64; pass a float"),
        (np.ma.array([1.0]), "argument w['k']: a MaskedArray has a meaning of its own; pass np.asarray(...) of it"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_other_leaves_are_refused_by_path(leaf: Any, message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        trace(lambda w: w["k"], ({"k": leaf},))
    assert str(caught.value).startswith(message)


def test_is_static() -> None:
    assert is_static(True)
    assert is_static("x")
    assert is_static(np.sum)
    assert not is_static(1)
    assert not is_static(aval("f64[2]"))
    assert not is_static(np.float32(1))


def test_arguments_by_keyword_and_defaults(same: Same) -> None:
    def f(x: Any, /, *rest: Any, scale: float = 1.0, **more: Any) -> Any:
        return x * scale + rest[0] + more["shift"]

    traced = same(f, X, 2.0, scale=3.0, shift=np.ones(6))
    assert traced.input_paths == ("x", "rest[0]", "scale", "more['shift']")


def test_results_are_pytrees(same: Same) -> None:
    traced = same(lambda x: {"a": (x, 1.0), "b": [x * 2, None, np.ones(2)]}, X)
    assert traced.graph.output_names == ("result['a'][0]", "result['a'][1]", "result['b'][0]", "result['b'][2]")


def test_a_result_that_is_no_array_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"^the function must return arrays and numbers, and result\[1\] is not one"
    ):
        trace(lambda x: (x, "text"), (X,))


def test_none_and_strings_in_arithmetic_are_refused() -> None:
    with pytest.raises(DtypeError, match="None is neither an array nor a number; compare with `is None`"):
        trace(lambda x: x == None, (X,))  # noqa: E711 - as users write it
    with pytest.raises(DtypeError, match="a str is neither an array nor a number"):
        trace(lambda x: x + "1", (X,))


def test_symbolic_sizes(same: Same) -> None:
    def f(x: Any) -> Any:
        h = x @ np.ones((3, 2))
        buf = np.zeros((x.shape[0], 2))
        buf += h
        return buf.sum(axis=0) / x.shape[0], np.zeros_like(x), x.reshape(-1, 3, 1)

    traced = trace(f, (aval("f64[batch,3]"),))
    assert [str(a) for a in traced.graph.output_avals] == ["f64[2]", "f64[batch,3]", "f64[batch,3,1]"]
    with pytest.raises(TraceError, match="the size batch is symbolic and Python needs a number here"):
        trace(lambda x: [x for _ in range(x.shape[0])], (aval("f64[batch,3]"),))
    with pytest.raises(TraceError, match=r"len\(\) needs a fixed size"):
        trace(lambda x: len(x) * x, (aval("f64[batch,3]"),))


class _Scaled:
    """A callable with data: the same object whatever the data."""

    def __init__(self, scale: Any) -> None:
        self.scale = scale

    def __call__(self, x: Any) -> Any:
        return x * self.scale

    def apply(self, x: Any) -> Any:
        return x * self.scale


class _InSlot:
    __slots__ = ("scale",)

    def __init__(self) -> None:
        self.scale = {"of": [2.0]}

    def __call__(self, x: Any) -> Any:
        return x * self.scale["of"][0]


@pytest.mark.parametrize(
    ("held", "where"),
    [
        (_Scaled(2.0), "scale"),
        (_Scaled(np.ones(6)), "scale"),
        (_Scaled({"deep": [1, np.float32(2)]}), "scale"),
        (_InSlot(), "scale"),
        (_Scaled(2.0).apply, "__self__.scale"),
        (np.ones(6).dot, "__self__"),
    ],
)
def test_a_callable_that_holds_data_is_refused(held: Callable[..., Any], where: str) -> None:
    """It would be taken for the same function after its data has changed."""
    with pytest.raises(ArgumentError, match=rf"argument function: \w+ holds data in {where}, and .*a dataclass"):
        trace(lambda x, function: function(x), (X, held))


@pytest.mark.parametrize(
    "plain", [_Scaled("name"), _Scaled(None), _Scaled(np.sin), _Scaled, _Scaled("name").apply, np.vectorize(abs)]
)
def test_a_callable_that_holds_no_data_is_static(plain: Callable[..., Any]) -> None:
    assert is_static(plain)
