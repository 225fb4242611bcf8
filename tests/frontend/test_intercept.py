# ruff: noqa: NPY002 - the legacy generator is among what is refused
"""The stand-ins: they reach what a function can name, pass through for others, and leave nothing behind."""

from __future__ import annotations

import functools
import random
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.spatial
import scipy.special
import scipy.stats
from numpy import array, full, zeros
from scipy.special import expit, logsumexp, softmax

import gradc
from gradc.errors import TraceError
from gradc.frontend import intercept
from gradc.frontend.intercept import INSTALLED
from gradc.frontend.numpy_api import registry
from gradc.frontend.tracing import trace
from gradc.ir.aval import aval

Same = Callable[..., Any]
X = np.arange(1.0, 4.0)
GENERATOR = np.random.default_rng(0)
GENERATORS = {"here": [np.random.default_rng(1)]}


def by_module(x: Any) -> Any:
    buf = np.zeros(3)
    buf[0] = x[0]
    return buf


def imported(x: Any) -> Any:
    buf = zeros(3)
    buf[0] = x[0]
    return buf, array([x[1], 2.0]), full((2,), x[2])


def by_helper(x: Any) -> Any:
    return imported(x)[0] + 1


def in_closure() -> Callable[[Any], Any]:
    from numpy import zeros as made

    def f(x: Any) -> Any:
        buf = made(3)
        buf[0] = x[0]
        return buf

    return f


class Holder:
    def __init__(self) -> None:
        self.make = zeros

    def __call__(self, x: Any) -> Any:
        buf = self.make(3)
        buf[1:] = self.helper(x)[1:]
        return buf

    @staticmethod
    def helper(x: Any) -> Any:
        buf = zeros(3)
        buf[2] = x[2]
        return buf


@pytest.mark.parametrize(
    "function",
    [by_module, imported, by_helper, in_closure(), Holder(), Holder().__call__, functools.partial(by_helper)],
)
def test_arrays_made_inside_can_be_written(function: Callable[..., Any], same: Same) -> None:
    same(function, X)
    assert np.zeros is zeros
    assert type(zeros(3)) is np.ndarray


def test_functions_of_other_modules(same: Same) -> None:
    helpers = types.ModuleType("users_helpers")
    helpers.__file__ = "users_helpers.py"
    code = "from numpy import zeros\ndef fill(x):\n    b = zeros(3)\n    b[1] = x[0]\n    return b\n"
    exec(compile(code, "users_helpers.py", "exec"), vars(helpers))  # noqa: S102 - a module of the user's
    same(lambda x: helpers.fill(x) * 2, X)
    assert helpers.zeros is np.zeros


def creations(x: Any) -> Any:
    made = [
        np.zeros(3), np.ones((3,)), np.empty(3), np.full(3, 2.0), np.array([1.0, 2.0, 3.0]),
        np.asarray([1.0, 2.0, 3.0]), np.arange(3.0), np.linspace(0, 1, 3), np.eye(3)[0], np.identity(3)[1],
        np.tri(3)[2], np.zeros_like(X), np.ones_like(X), np.empty_like(x), np.full_like(X, x[0]), np.copy(X),
        np.array(X), np.full(3, x[0]),
    ]  # fmt: skip
    for buf in made:
        buf[...] = buf * 0 + x
        buf[0] = x[1]
    return made


def test_every_function_that_makes_an_array(same: Same) -> None:
    same(creations, X)


def conversions(x: Any) -> Any:
    return [
        np.array(x), np.array([x, x]), np.array([[x[0], 1], [2, x[1]]]), np.array(x[0]), np.asarray(x),
        np.asarray(x[0]), np.array((x[0], x[1]), dtype=np.float32), np.array(x, dtype=int), np.array(x, ndmin=2),
        np.asanyarray([x[0]]), np.ascontiguousarray(x), np.array([np.float32(1), 2.0]) * x[0],
        np.array([x[:0], x[:0]]), np.array([[x]]),
    ]  # fmt: skip


def test_arrays_of_traced_values(same: Same) -> None:
    same(conversions, X)


def test_python_sees_the_numbers_of_constants(same: Same) -> None:
    def f(x: Any) -> Any:
        table = np.arange(3) * 2
        mask = np.ones(3, dtype=bool)
        mask[1] = False
        weights = np.tril(np.ones((3, 3)))
        total = 0.0
        for k in np.arange(3):
            if table[k] > 2 or weights.sum() < 0:
                total += x[k] * float(table[k])
        return total, x[mask], weights @ x, len(table), table.tolist()[2] * x, np.cumsum(np.ones(3)) * x

    same(f, X)


def test_compiled_code_gets_plain_arrays(same: Same) -> None:
    def f(x: Any) -> Any:
        (plain,) = map(np.zeros, [3])
        assert type(plain) is np.ndarray
        tree = scipy.spatial.cKDTree(np.eye(3))  # Cython, which makes arrays with np.empty
        return x[tree.query(np.ones(3))[1]] + plain

    same(f, X)


def test_scipys_functions(same: Same) -> None:
    def f(x: Any) -> Any:
        return softmax(x), logsumexp(x), expit(x), scipy.special.log_softmax(x), scipy.special.erf(x)

    traced = trace(f, (X,))
    assert [n.op.name for n in traced.graph.nodes if n.op.name in ("softmax", "logsumexp", "logistic", "erf")] != []
    assert softmax is scipy.special.softmax
    np.testing.assert_allclose(softmax(X).sum(), 1.0)


def test_a_ufunc_of_scipy_is_known_by_a_name_that_no_stand_in_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(registry._BY_FUNCTION, scipy.special.erf, raising=False)
    namespace = types.ModuleType("namespace")
    namespace.__dict__["erf"] = scipy.special.erf

    traced = trace(lambda x: namespace.erf(x), (X,))
    assert [n.op.name for n in traced.graph.nodes if n.op.name == "erf"] == ["erf"]


DRAWS: dict[str, Callable[[Any], Any]] = {
    "module": lambda x: x + np.random.normal(size=3),
    "seed": lambda x: np.random.seed(0) or x,
    "global": lambda x: x + GENERATOR.normal(size=3),
    "container": lambda x: x + GENERATORS["here"][0].normal(size=3),
    "made": lambda x: x + np.random.default_rng().normal(size=3),
    "class": lambda x: x + np.random.RandomState().normal(size=3),
    "made of a generator": lambda x: x + np.random.Generator(np.random.PCG64(0)).normal(size=3),
    "seeded by nothing": lambda x: x + np.random.default_rng(seed=None).normal(size=3),
    "python": lambda x: x + random.random(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_random_draws_are_refused(name: str) -> None:
    state = GENERATOR.bit_generator.state
    legacy = np.random.get_state()[1].tolist()
    with pytest.raises(
        TraceError, match=r"^a random draw while tracing .*; draw outside and pass .* \(test_intercept\.py:\d+: "
    ):
        trace(DRAWS[name], (X,))
    assert GENERATOR.bit_generator.state == state
    assert np.random.get_state()[1].tolist() == legacy
    assert isinstance(GENERATOR, np.random.Generator)
    assert isinstance(GENERATORS["here"][0], np.random.Generator)
    GENERATOR.normal()


SEEDED: list[Callable[[Any], Any]] = [
    lambda x: x + np.random.default_rng(7).normal(size=3),
    lambda x: x * np.random.default_rng(seed=np.int64(7)).permutation(3),
    lambda x: x + np.random.RandomState(7).randn(3),
    lambda x: x * random.Random(7).random(),
]


@pytest.mark.parametrize("function", SEEDED)
def test_generators_made_of_a_seed_draw_what_they_draw_in_every_call(function: Callable[[Any], Any]) -> None:
    np.testing.assert_allclose(gradc.jit(function)(X), function(X), rtol=1e-15)


def test_a_seed_may_be_an_argument() -> None:
    def function(x: Any, seed: int) -> Any:
        return x + np.random.default_rng(seed).normal(size=3)

    compiled = gradc.jit(function)
    for seed in (1, 2):
        np.testing.assert_allclose(compiled(X, seed), function(X, seed), rtol=1e-15)
    with pytest.raises(TraceError, match="a random draw"):
        compiled(X, X)


def test_generators_of_objects_and_closures_are_refused() -> None:
    class Noisy:
        def __init__(self) -> None:
            self.rng = np.random.default_rng(0)

        def __call__(self, x: Any) -> Any:
            return x + self.rng.normal(size=3)

    noisy = Noisy()
    rng = noisy.rng
    for function in (noisy, lambda x: x * rng.uniform()):
        with pytest.raises(TraceError, match="a random draw while tracing"):
            trace(function, (X,))
    assert noisy.rng is rng
    assert type(rng) is np.random.Generator


def test_generators_that_nothing_can_stand_in_for_are_watched() -> None:
    rng, legacy, python = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
    held = (rng, legacy, python)
    functions = [
        lambda x: x + held[0].normal(size=3),
        lambda x: x + held[1].normal(size=3),
        lambda x: x + held[2].random(),
        lambda x, generator=rng: x + generator.normal(),
        lambda x: x + scipy.stats.norm.rvs(size=3),
    ]
    first = rng.bit_generator.state, python.getstate(), legacy.get_state()[2], np.random.get_state()[2]
    for function in functions:
        with pytest.raises(TraceError, match="a random draw while tracing"):
            trace(function, (X,))
    assert (rng.bit_generator.state, python.getstate(), legacy.get_state()[2], np.random.get_state()[2]) == first
    trace(lambda x: x * len(held), (X,))


def test_a_function_that_raises_leaves_nothing_behind() -> None:
    def f(x: Any) -> Any:
        buf = zeros(3)
        buf[0] = x[0]
        raise KeyError("halfway")

    with pytest.raises(KeyError, match="halfway"):
        trace(f, (X,))
    assert len(INSTALLED) == 0
    assert zeros is np.zeros
    assert sys.modules[__name__].__dict__["zeros"] is np.zeros
    trace(by_module, (X,))


def test_what_the_user_replaces_meanwhile_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = object()

    def f(x: Any) -> Any:
        monkeypatch.setitem(globals(), "full", mine)
        return full_again(x)

    def full_again(x: Any) -> Any:
        return full if full is not mine else x

    trace(f, (X,))
    assert globals()["full"] is mine


def test_other_threads_see_numpy_itself() -> None:
    inside, done = threading.Event(), threading.Event()
    seen: list[Any] = []

    def f(x: Any) -> Any:
        buf = zeros(3)
        buf[0] = x[0]
        inside.set()
        assert done.wait(10)
        return buf

    def other() -> None:
        assert inside.wait(10)
        seen.extend([zeros(2), np.zeros(2), np.random.normal(), GENERATOR.normal(), np.array([1.0])])
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    trace(f, (X,))
    thread.join()
    assert [type(x) for x in seen] == [np.ndarray, np.ndarray, float, float, np.ndarray]


def test_threads_that_trace_at_once_leave_nothing_behind() -> None:
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []
    graphs: list[str] = []

    def f(x: Any, fail: bool) -> Any:
        buf = zeros(3)
        for k in range(3):
            buf[k] = np.array([x[k], 1.0])[0]
        if fail:
            raise KeyError("halfway")
        return buf

    def work(number: int) -> None:
        barrier.wait()
        for k in range(20):
            try:
                graphs.append(str(trace(f, (X, (k + number) % 3 == 0)).graph))
            except KeyError:
                pass
            except BaseException as error:  # noqa: BLE001 - shown by the test
                failures.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(set(graphs)) == 1
    assert len(INSTALLED) == 0
    assert zeros is np.zeros


def test_nested_traces_count_their_places() -> None:
    def inner(x: Any) -> Any:
        return by_module(x)

    def f(x: Any) -> Any:
        trace(inner, (aval("f64[3]"),))
        buf = zeros(3)
        buf[0] = x[0]
        return buf

    trace(f, (X,))
    assert zeros is np.zeros


def test_a_failure_half_way_leaves_nothing_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    stand_in = intercept._Known.stand_in

    def failing(self: Any, original: Any) -> Any:
        asked.append(original)
        if len(asked) > 1:
            raise RuntimeError("no stand-in")
        return stand_in(self, original)

    makers = {"zeros": np.zeros, "ones": np.ones}
    before = dict(makers)
    monkeypatch.setattr(intercept._Known, "stand_in", failing)
    with pytest.raises(RuntimeError, match="no stand-in"):
        trace(lambda x: x + makers["zeros"](3) + makers["ones"](3), (np.ones(3),))
    assert makers == before
    assert np.zeros is before["zeros"]
    assert len(INSTALLED) == 0


COMPILED_MODULE_INSIDE = """
import sys
import numpy as np
import gradc
finders, broadcast = list(sys.meta_path), np.broadcast

def function(x):
    from scipy.special import erf
    return np.sum(erf(x))

value, slope = gradc.value_and_grad(function)(np.zeros(3))
assert value == 0 and np.allclose(slope, 2 / np.sqrt(np.pi)), slope
assert np.broadcast is broadcast and sys.meta_path == finders
"""


def test_a_compiled_module_may_be_imported_inside_first() -> None:
    """It compares the size of ``numpy.broadcast`` with that of the class that it was compiled for."""
    done = subprocess.run([sys.executable, "-c", COMPILED_MODULE_INSIDE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
