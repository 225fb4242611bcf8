"""Operators of traced arrays as machine code write the tape that those in Python write."""

from __future__ import annotations

import functools
import gc
import itertools
import operator
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import gradc
from gradc import config, errors
from gradc.backends.llvm import cache, entry
from gradc.backends.llvm.entry import abi, operators
from gradc.frontend.operators import LONG, MACHINE, Methods
from gradc.frontend.session import current_session
from gradc.frontend.tracer import Tracer
from gradc.frontend.tracing import trace

pytestmark = pytest.mark.skipif(abi.abi() is None, reason="for interpreters whose objects are known")

IN_PYTHON = type(lambda: 0)


@pytest.fixture(scope="module")
def methods() -> Methods:
    """The operators as they are written in Python, by what a trace that is long asks for."""
    asked: list[Methods] = []

    def ask(traced: type, methods: Methods) -> dict[str, Any] | None:
        asked.append(methods)
        return None

    kept, MACHINE[:] = MACHINE[:], [ask]
    try:
        trace(lambda x: functools.reduce(lambda y, _: y + x, range(LONG + 1), x), [np.float64(1.0)])
    finally:
        MACHINE[:] = kept
    assert len(asked) >= 1
    return asked[0]


@pytest.fixture(scope="module")
def machine(methods: Methods) -> dict[str, Any]:
    return operators.in_machine_code(Tracer, methods)


@pytest.fixture
def use(methods: Methods, machine: dict[str, Any]) -> Iterator[Callable[[str], None]]:
    """Have traced arrays use the operators that are written in Python, or those in machine code."""
    before = {name: Tracer.__dict__[name] for name in methods}
    ways = {"python": {name: method for name, (_, _, method) in methods.items()}, "machine": machine}

    def choose(way: str) -> None:
        for name, method in ways[way].items():
            setattr(Tracer, name, method)

    yield choose
    for name, method in before.items():
        setattr(Tracer, name, method)


def slope(rates: Any, u: Any, v: Any) -> Any:
    return rates[0] * u - rates[1] * u * v, rates[2] * u * v - rates[3] * v


def steps(rates: Any, start: Any) -> Any:
    u, v = start[0], start[-1]
    for _ in range(5):
        a, b = slope(rates, u, v)
        u, v = u + 0.1 * a, v + 0.1 * b
        u, v = -v, abs(u) - 1 / v
    return u + v * 2 - 2 * v


def changing(x: Any, y: Any) -> Any:
    """One instruction on operands of every kind, that is other ones each time."""
    total = x
    for k in (2, 2, 2.0, True, 2, 0, 0.0, -0.0, np.nan, 3.5, 7 / 2, 1000, 999 + 1, y, x, np.float32(2), np.int8(3)):
        total = total * k
        total = k - total
        total = (total > k) + total
    return total


def rows(x: Any) -> Any:
    total = 0.0
    for k in (0, 1, 1, -1, 300 - 298, 0):
        total = total + x[k] @ x[0] + x[k, 1] * x[1, 1] + x[0:2][1][0]
    return total


def written(x: Any) -> Any:
    y = x * 2
    for k in range(3):
        y[k] = y[k] + y[0] * y[1]
        y *= 2
        z = y + x
        y[:2] = z[1:]
    return y


def through_functions(x: Any) -> Any:
    parts = [x[0] * k for k in range(4)]
    total = sum(parts) + functools.reduce(operator.mul, parts)
    return max(map(operator.neg, [total])) + [p + q for p, q in itertools.pairwise(parts)][-1]


def complex_numbers(z: Any) -> Any:
    return [w * 1j + (2 - 1j) * w / 3 for w in (z, z, z * z)][-1]


def in_place(x: Any, y: Any, z: Any) -> Any:
    """Numbers and arrays without axes of the same kind at one instruction: the numbers stay, the arrays are written."""
    number, array = x[0], np.zeros(())
    alias = array
    found = []
    for total in (number, number, array, number, array, array):
        kept = total
        for step in (y, 0.5, 0.5, y):
            total += step
            total *= z
            total -= 1
        found.append(kept + total * 2)
    return sum(found) + alias + array


def python_floats(x: float, y: float) -> Any:
    total, i = 0.0, 0
    for _ in range(4):
        total += x * y - 0.5 / x
        total = -total + abs(y) + np.sin(total) * x + (total > y) * 2 + x**2 + (x > 0) // 1
        i += x < y
    return total + i


def integers(i: Any, n: Any) -> Any:
    total = i
    for _ in range(3):
        total = (total << 1) ^ (i & 3) | (total // n) + total % n - divmod(total, 2)[1]
        total = ~total + (total == i) + (total != 3) + n**2
    return total


PROGRAMS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (steps, (np.array([1.1, 0.4, 0.1, 0.4]), np.array([10.0, 5.0]))),
    (changing, (np.float64(1.5), np.float64(-2.0))),
    (changing, (np.ones(3, np.float32), 2.5)),
    (rows, (np.arange(9.0).reshape(3, 3),)),
    (written, (np.arange(3.0),)),
    (through_functions, (np.array([0.5]),)),
    (complex_numbers, (np.complex64(1 + 2j),)),
    (in_place, (np.array([1.5]), np.float64(2.0), np.float64(0.5))),
    (python_floats, (1.5, -2.0)),
    (integers, (np.arange(5), 3)),
]


@pytest.mark.parametrize(("function", "arguments"), PROGRAMS)
def test_the_trace_is_the_same(use: Any, function: Any, arguments: Any) -> None:
    digests, entries = [], []
    for way in ("python", "machine", "python", "machine"):
        use(way)

        def watched(*args: Any) -> Any:
            result = function(*args)
            session = current_session()
            assert session is not None
            entries.append((session.count, list(session.tape.entries)))
            return result

        digests.append(trace(function, arguments).written.digest())
        trace(watched, arguments)
    assert len(set(digests)) == 1
    assert entries[0] == entries[1] == entries[2] == entries[3]


def test_a_long_trace_gets_it_and_what_is_compiled_is_right(
    methods: Methods, use: Any, machine: dict[str, Any]
) -> None:
    use("python")
    kept, MACHINE[:] = MACHINE[:], [lambda traced, methods: machine]
    seen = []

    def recurrence(x: Any) -> Any:
        y = x
        for _ in range(LONG):
            seen.append(type(Tracer.__dict__["__add__"]))
            y = y * 0.5 + x
        return y

    try:
        value, slope_of = gradc.value_and_grad(recurrence)(np.float64(1.25))
    finally:
        MACHINE[:] = kept
    assert seen[0] is IN_PYTHON
    assert seen[-1] is not IN_PYTHON
    assert seen.index(type(machine["__add__"])) == LONG // 2
    assert value == 2.5
    assert slope_of == 2.0


@pytest.mark.parametrize(("function", "arguments"), PROGRAMS)
@pytest.mark.parametrize("way", ["python", "machine"])
def test_a_trace_computes_what_numpy_does(use: Any, way: str, function: Any, arguments: Any) -> None:
    use(way)
    copies = [np.array(x) if isinstance(x, np.ndarray) else x for x in arguments]
    with np.errstate(all="ignore"):
        wanted = function(*arguments)
        found = gradc.jit(function, backend="numpy")(*copies)
    np.testing.assert_array_equal(found, wanted)


def test_the_python_method_answers_what_is_not_known(use: Any) -> None:
    use("machine")

    def refused(x: Any) -> Any:
        for other in (1.0, 1.0, "a word"):
            x = x + other
        return x

    with pytest.raises(errors.GradcError, match="str is neither"):
        trace(refused, [np.ones(2)])
    with pytest.raises(TypeError):
        trace(lambda x: x.__add__(), [np.ones(2)])
    with pytest.raises(TypeError):
        Tracer.__add__(1.0, 2.0)  # type: ignore[operator]


@pytest.mark.parametrize("way", ["python", "machine"])
def test_an_array_of_no_trace_is_an_error(use: Any, way: str) -> None:
    use(way)
    for operation in (lambda x: x + 1.0, lambda x: 1.0 - x, lambda x: -x, lambda x: x[0]):
        with pytest.raises(AttributeError):
            operation(object.__new__(Tracer))


def test_values_of_other_traces_are_captured(use: Any) -> None:
    use("machine")
    slopes = [gradc.grad(lambda x: gradc.grad(lambda y: y * x * y + x * y)(x) * x)(2.0)]
    use("python")
    slopes.append(gradc.grad(lambda x: gradc.grad(lambda y: y * x * y + x * y)(x) * x)(2.0))
    assert slopes[0] == slopes[1] == 28.0


def test_arrays_are_given_back(use: Any) -> None:
    """Neither the new arrays stay nor what they hold."""
    use("machine")
    alive = []

    def many(x: Any) -> Any:
        y = x
        for _ in range(300):
            y = -(y * 2.0 + x[0]) - x[0]
            alive.append(weakref.ref(y))
        return y

    trace(many, [np.ones(3)])
    gc.collect()
    assert [ref() for ref in alive] == [None] * 300
    kinds = [sys.getrefcount(x) for x in ((), None, operators, Tracer)]
    for _ in range(5):
        trace(many, [np.ones(3)])
    gc.collect()
    grown = [sys.getrefcount(x) - before for x, before in zip(((), None, operators, Tracer), kinds, strict=True)]
    assert all(-50 < more < 300 for more in grown), grown  # 9,000 operations, each of which takes and gives back


def test_memory_that_runs_out(use: Any) -> None:
    """Every allocation of an operation fails once; what the tape says stays whole."""
    testing = pytest.importorskip("_testcapi")
    use("machine")
    failures = []

    def starved(x: Any, y: Any) -> Any:
        session = current_session()
        assert session is not None
        total = x
        for count in [*[-1] * 3, *range(12)]:
            before, length = session.count, len(session.tape.entries)
            if count >= 0:
                testing.set_nomemory(count, count + 1)
            try:
                total = total + y
            except MemoryError:
                failures.append(count)
                assert session.count == before
                assert len(session.tape.entries) == length
            finally:
                testing.remove_mem_hooks()
        return total

    made = gradc.jit(starved)
    result = made(np.float64(1.0), np.float64(2.0))
    assert failures
    assert result == 1.0 + 2.0 * (15 - len(failures))


def test_threads_that_trace_at_once(use: Any) -> None:
    use("machine")
    rates, start = PROGRAMS[0][1]
    wanted = trace(steps, (rates, start)).written.digest()
    found: list[str] = []

    def work() -> None:
        found.extend(trace(steps, (rates, start)).written.digest() for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 80


def test_an_unknown_layout_has_none(methods: Methods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "_OFFSET", 8)
    assert operators.in_machine_code(Tracer, methods) == {}
    monkeypatch.undo()
    monkeypatch.setattr(operators, "abi", lambda: None)
    assert operators.in_machine_code(Tracer, methods) == {}


def test_the_machine_code_is_kept_on_disk(methods: Methods, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with config.cache_dir(str(tmp_path)):
        assert operators.in_machine_code(Tracer, methods)
        monkeypatch.setattr(cache, "object_code", lambda *args, **kwargs: pytest.fail("compiled again"))
        assert operators.in_machine_code(Tracer, methods)
    with pytest.raises(pytest.fail.Exception):
        operators.in_machine_code(Tracer, methods)


def test_a_directory_open_to_others_stops_no_trace(methods: Methods, tmp_path: Any) -> None:
    tmp_path.chmod(0o777)
    with config.cache_dir(str(tmp_path)):
        with pytest.raises(errors.CompileError):
            operators.in_machine_code(Tracer, methods)
        assert entry._operators(Tracer, methods) is None
