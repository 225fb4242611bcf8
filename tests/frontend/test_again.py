"""Operations that are known by their operands give the trace that working them out gives."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import gradc
from gradc.frontend import again, tracer
from gradc.frontend.session import Session, current_session
from gradc.frontend.tape import Tape
from gradc.frontend.tracing import trace
from gradc.ir.text import print_graph

VECTOR = np.linspace(-1.0, 1.0, 5)
MATRIX = np.arange(12.0).reshape(3, 4)


def smooth(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def slope(rates: Any, u: Any, v: Any) -> Any:
    return rates[0] * u - rates[1] * u * v, rates[2] * u * v - rates[3] * v


def stepped(rates: Any, start: Any) -> Any:
    u, v = start[0], start[-1]
    for _ in range(4):
        a, b = slope(rates, u, v)
        u, v = u + 0.1 * a, v + 0.1 * b
    return u + v * 2 - 2 * v


def gated(w: Any, x: Any) -> Any:
    h, c = np.zeros(2), np.zeros(2)
    for t in range(3):
        z = np.concatenate([x[t], h]) @ w
        c = c * smooth(z[:2]) + smooth(z[2:4]) * np.tanh(z[-2:])
        h = np.tanh(c) * z[1] + z[::-1][:2]
    return np.sum(h)


def numbers(x: Any) -> Any:
    y = x
    for k in (2, 2.0, True, 0, 0.0, -0.0, np.nan, 3, 3.0, 2, 0, -0.0, np.float32(2), np.nan):
        y = y * k + k - (k - y) / 2
        y = np.maximum(y, k) + np.add(k, y) + y**2 + y**2 + (y > k) + (k == y)
    return y


def kinds(i: Any, f: Any, g: Any, z: Any, b: Any) -> Any:
    found = []
    for one in (i, f, g, z, b):
        for other in (i, f, g, z, b, i, f):
            found += [one + other, one * other, one + other, other * one]
    return [one + one for one in found]


def python_numbers(a: Any, n: Any, x: Any) -> Any:
    return [
        a * n,
        a * n,
        a * 2,
        a * 2,
        n * 2,
        n * 2,
        -a,
        -a,
        a < n,
        a < n,
        [1] * 2,
        a / n,
        n / n,
        n / n,
        x * a,
        x * a,
        n - x,
        n - x,
        x * x,
        x * x,
    ]


def written(x: Any) -> Any:
    buffer = np.zeros(4)
    view = buffer[1:3]
    for k in range(3):
        buffer[k] = x[k] * 2
        buffer[k] += x[k] * 2
        view += buffer[k] + x[0]
        buffer *= 2
        s = buffer[0]
        s += buffer[0] + buffer[0]
    return buffer + view[0] + s


def nested(x: Any, y: Any) -> Any:
    def inner(u: Any) -> Any:
        return np.sum(u * y * 2 + u * y * 2) + y[0] * u[0] + y[0] * u[0]

    return gradc.grad(inner)(x) * y + x * y + x * y


def spread(m: Any, v: Any) -> Any:
    return (m + v[:4]) * (m + v[:4]) + m[0] + m[0] + m[0, 1] * m[0, 1] * m[:, 1][2] + 2 * m + 2 * m


CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "scalars": (stepped, (VECTOR[:4], VECTOR)),
    "vectors": (gated, (np.ones((4, 6)), np.ones((3, 2)))),
    "numbers": (numbers, (VECTOR,)),
    "numbers and a scalar": (lambda x: numbers(x[1]), (VECTOR,)),
    "numbers and integers": (lambda k: [k + 1, k + 1, k * 2.0, 3 - k, 3 - k, k // 2, k // 2], (np.arange(3),)),
    "dtypes": (kinds, (np.arange(3), np.ones(3, "f4"), np.ones(3), np.ones(3, complex), np.ones(3, bool))),
    "Python numbers": (python_numbers, (2.5, 3, VECTOR)),
    "writes": (written, (VECTOR,)),
    "traces in traces": (nested, (VECTOR, VECTOR + 1)),
    "broadcasts": (spread, (MATRIX, VECTOR)),
    "symbolic sizes": (lambda x: np.sum(x[1:] * x[:-1] + x[0] * 2 + x[0] * 2 + 2 * x[1:]), (gradc.aval("f64[n]"),)),
}


def told(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
    found = trace(function, arguments)
    return [print_graph(found.graph), dict(found.inner_names), found.calls, dict(found.constants), dict(found.guards)]


def work_everything_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "operation", lambda *known: None)
    monkeypatch.setattr(again, "call", lambda *known: None)
    monkeypatch.setattr(tracer, "item", lambda *known: None)


@pytest.mark.parametrize("case", CASES)
def test_a_trace_is_the_same_where_everything_is_worked_out(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, arguments = CASES[case]
    taken: list[int] = []
    original = Tape.made

    def counted(self: Tape, *known: Any) -> None:
        taken.append(1)
        original(self, *known)

    monkeypatch.setattr(Tape, "made", counted)
    own = told(function, arguments)
    assert taken
    taken.clear()
    work_everything_out(monkeypatch)
    assert told(function, arguments) == own
    assert not taken


def test_operations_are_worked_out_once_for_operands_of_one_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    worked: list[Any] = []
    original = again._worked_out

    def counted(session: Session, what: Any, *rest: Any) -> Any:
        worked.append(what)
        return original(session, what, *rest)

    monkeypatch.setattr(again, "_worked_out", counted)

    def loss(x: Any, y: Any) -> Any:
        for _ in range(50):
            x = x * y + 0.5 * x - y
        return x

    traced = trace(loss, (VECTOR, VECTOR))
    assert worked == ["mul", "mul", "add", "sub"]
    assert len(traced.graph.nodes) == 204
    assert worked == ["mul", "mul", "add", "sub"] * 2


def test_an_array_has_a_memory_when_it_is_asked_for() -> None:
    def function(x: Any) -> Any:
        b = x * 2
        a = x * 2
        assert a.memory is b.memory is None
        view = a[1:]
        assert view.memory is a.memory is not None
        before, other = a.known, b.known
        view[0] = 7.0
        assert a.known < 0 <= b.known == other
        assert a.current() != b.current()
        assert a.known > before
        b += 1
        return a, b

    assert current_session() is None
    graph = trace(function, (VECTOR,)).graph
    assert [graph.names[i] for i in graph.outputs] == ["a", "b"]


VARIANTS: list[tuple[Any, ...]] = [
    (operator.mul, "x", "y"),
    (operator.mul, "y", "x"),
    (operator.mul, "x", "x"),
    (operator.add, "x", "y"),
    (operator.mul, "x", 2.0),
    (operator.mul, "x", 2),
    (operator.mul, "x", 2.0000000000000004),
    (operator.mul, 2.0, "x"),
    (operator.pow, "x", 3),
    (operator.pow, "x", 3.0),
    (operator.getitem, "x", 0),
    (operator.getitem, "x", 1),
    (operator.getitem, "x", -1),
    (operator.getitem, "x", slice(1)),
    (operator.gt, "x", "y"),
    (operator.ge, "x", "y"),
    (np.exp, "x"),
    (np.exp, "y"),
    (np.expm1, "x"),
    (np.sum, "x"),
    (np.sum, "x", 0),
    (np.sum, "x", None, np.float32),
    (np.mean, "x"),
    (np.dot, "x", "y"),
    (np.dot, "y", "x"),
]
"""Calls that one line makes with these arguments, so that nothing but the call tells the traces apart."""


def test_other_operations_have_other_digests() -> None:
    def digest(call: Any, *given: Any) -> str:
        def function(x: Any, y: Any) -> Any:
            known = {"x": x, "y": y}
            return call(*[known[a] if isinstance(a, str) else a for a in given])

        return trace(function, (VECTOR, VECTOR)).written.digest()

    digests = {digest(*variant): variant for variant in VARIANTS}
    assert len(digests) == len(VARIANTS)
    assert [digest(*variant) for variant in VARIANTS] == list(digests)


def test_a_digest_asks_for_no_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a function whose machine code is on disk is traced, and nothing is made of its trace."""
    made: list[int] = []
    original = Tape.made
    monkeypatch.setattr(Tape, "made", lambda self, *known: (made.append(1), original(self, *known))[1])

    def loss(x: Any, y: Any) -> Any:
        for k in range(20):
            x = np.tanh(x * y[k % 3]) + 0.5 * x
        return np.sum(x)

    traced = trace(loss, (VECTOR, VECTOR))
    assert traced.written.digest()
    assert not made
    assert len(traced.graph.nodes) > 80
    assert len(made) > 80


def test_a_ufunc_of_three_operands_is_known_the_second_time() -> None:
    of = scipy.special.radian
    found = gradc.jit(lambda d, m, s: of(d, m, s) + of(d, m, s) * of(m, d, s))(30.0, 20.0, 10.0)
    assert found == pytest.approx(of(30.0, 20.0, 10.0) * (1 + of(20.0, 30.0, 10.0)), rel=1e-15)


def test_the_trace_is_the_same_however_often_the_code_ran() -> None:
    """CPython rewrites instructions that run often, and frames stand elsewhere then."""

    def named(x: Any) -> Any:
        for k in range(3):
            size = abs(x[k])
            largest = np.maximum(size, x[0])
            x = x + largest * x.sum() - x[k]
        return x

    traces = [trace(named, [VECTOR]) for _ in range(12)]
    assert len({found.written.digest() for found in traces}) == 1
    texts = [print_graph(found.graph) for found in traces]
    assert set(texts) == {texts[0]}
    assert "size" in texts[0]


def test_lists_that_are_operands_are_looked_at_every_time() -> None:
    """Equal lists may hold other things, and one list may change."""

    def changed(x: Any) -> Any:
        weights, sums = [1.0, 2.0], []
        for k in range(4):
            sums.append(x + weights)
            weights[0] = k + 5.0
        return sums

    x = np.array([1.0, 2.0])
    for found, wanted in zip(gradc.jit(changed)(x), changed(x), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("x", [np.array([True, False]), np.array([3, 4])])
def test_equal_lists_of_other_classes_are_others(x: np.ndarray) -> None:
    def each(x: Any) -> Any:
        return [x * other for other in ([True, False], [1, 0], [1.0, 0.0], [True, False], (True, False), (1, 0))]

    for found, wanted in zip(gradc.jit(each)(x), each(x), strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert found.dtype == wanted.dtype


@pytest.mark.parametrize("order", [(0, 1, 0, 1), (1, 0, 1, 0)])
def test_truth_values_of_python_and_of_numpy_at_one_place(order: tuple[int, ...]) -> None:
    """Python adds its own as integers, NumPy's are joined by ``or``."""

    def sums(x: Any, a: float, b: float) -> Any:
        pairs = [(x[0] < x[1], x[1] < x[2]), (a < b, b > a)]
        return [pairs[k][0] + pairs[k][1] for k in order]

    given = np.array([1.0, 2.0, 3.0]), 1.0, 2.0
    assert [np.asarray(s).item() for s in gradc.jit(sums)(*given)] == [s + 0 for s in sums(*given)]
