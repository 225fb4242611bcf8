"""Functions and kernels as objects: attributes, copies, subclasses, and when their entries may be used."""

from __future__ import annotations

import contextvars
import copy
import functools
import gc
import inspect
import weakref

import numpy as np
import pytest

import gradc
from gradc import config
from gradc.backends.llvm.entry import abi, callee, native
from gradc.backends.llvm.entry.native import WAYS, call_natively, is_called_natively
from gradc.function import Function
from gradc.kernel import Kernel


def square(x):
    """The square of x."""
    return x * x


def test_the_first_calls_run_python_and_later_ones_do_not(watch) -> None:
    function = gradc.jit(square)
    watch.python(function, 2.0)
    watch.python(function, 2.0)
    assert watch.native(function, 3.0) == 9.0
    kernel = function.compile(2.0)
    watch.python(kernel, 2.0)
    watch.python(kernel, 2.0)
    assert watch.native(kernel, 3.0) == 9.0


def test_they_are_ordinary_objects(watch) -> None:
    function = gradc.grad(square)
    watch.warm(function, 2.0)
    assert (function.__name__, function.__doc__) == ("square", "The square of x.")
    assert (function.__module__, function.__wrapped__) == (square.__module__, square)
    assert list(inspect.signature(function).parameters) == ["x"]
    assert callable(function)
    assert isinstance(function, Function)
    assert repr(function) == "<gradc.Function square_grad: gradient of square>"
    function.mine = 5
    assert function.mine == 5
    assert function.__call__(3.0) == 6.0
    assert Function.__call__(function, 3.0) == 6.0
    assert watch.native(function, 3.0) == 6.0
    assert list(map(function, [1.0, 2.0])) == [2.0, 4.0]
    kernel = function.compile(1.0)
    watch.warm(kernel, 1.0)
    assert list(inspect.signature(kernel).parameters) == ["x"]


def test_they_are_collected_with_what_they_hold(watch) -> None:
    function = gradc.jit(lambda x: x + 1)
    kernel = function.compile(1.0)
    function.itself = function
    watch.warm(function, 1.0)
    watch.warm(kernel, 1.0)
    entries = [weakref.ref(function._ways.entries[0]), weakref.ref(kernel.entry)]
    gone = [weakref.ref(function), weakref.ref(kernel), *entries]
    del function, kernel
    gc.collect()
    assert [reference() for reference in gone] == [None] * 4


def test_copies_begin_without_entries(watch) -> None:
    function = gradc.jit(square)
    watch.warm(function, 2.0)
    twin = copy.copy(function)
    assert watch.python(twin, 3.0) == 9.0
    functools.update_wrapper(function, gradc.jit(square))
    assert watch.native(function, 3.0) == 9.0


def test_subclasses_are_called_as_they_say(watch) -> None:
    class Loud(Function):
        def __call__(self, *args, **kwargs):
            return "loud", super().__call__(*args, **kwargs)

    class Quiet(Function):
        pass

    loud, quiet = Loud(square), Quiet(square)
    for _ in range(4):
        assert loud(3.0) == ("loud", 9.0)
        assert quiet(3.0) == 9.0
    assert is_called_natively(Function)
    assert is_called_natively(Kernel)
    assert not is_called_natively(Loud)


def test_only_classes_of_the_right_layout_are_called_natively(watch) -> None:
    with pytest.raises(TypeError, match="not laid out"):
        call_natively(int)


def test_several_signatures_take_turns(watch) -> None:
    function = gradc.jit(square)
    sizes = range(2, 2 + WAYS)
    for _ in range(2):
        for size in sizes:
            function(np.ones(size))
    for _ in range(3):
        for size in sizes:
            assert watch.native(function, np.full(size, 3.0)).tolist() == [9.0] * size
    for size in range(2, 9):
        for _ in range(3):
            assert function(np.full(size, 3.0)).tolist() == [9.0] * size
    assert len(function._ways.entries) == WAYS


def test_a_call_inside_a_trace_becomes_part_of_it(watch) -> None:
    inner = gradc.jit(lambda x: x * 3.0)
    constant = np.array([1.0, 2.0])
    watch.warm(inner, constant)

    def outer(x):
        return np.sum(inner(x) * inner(constant))

    np.testing.assert_array_equal(gradc.grad(outer)(constant), [9.0, 18.0])
    assert "mul" in str(gradc.jit(lambda x: x + inner(constant)).trace(constant))
    watch.native(inner, constant)


def test_a_trace_that_raises_leaves_entries_in_use(watch) -> None:
    function = gradc.jit(square)
    watch.warm(function, 2.0)

    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        gradc.jit(broken)(1.0)
    watch.native(function, 2.0)


def test_settings_of_a_block_hold_inside_it(watch) -> None:
    seen = []

    def traced(x):
        seen.append(config.stabilize.value)
        return np.log(1 + np.exp(x))

    function = gradc.jit(traced)
    assert watch.warm(function, 1000.0) == 1000.0
    with config.stabilize("off"):
        assert watch.python(function, 1000.0) == np.inf
        function(1000.0)
        assert watch.native(function, 1000.0) == np.inf
        with config.backend("numpy"), np.errstate(over="ignore"):
            assert watch.python(function, 1000.0) == np.inf
    assert watch.python(function, 1000.0) == 1000.0
    assert watch.native(function, 1000.0) == 1000.0
    assert seen == ["safe", "off", "off"]


def test_settings_follow_the_context_not_the_thread(watch) -> None:
    function = gradc.jit(lambda x: np.log(1 + np.exp(x)), backend="llvm")
    with config.stabilize("off"):
        inside = contextvars.copy_context()
    watch.warm(function, 1000.0)
    assert inside.run(function, 1000.0) == np.inf
    assert function(1000.0) == 1000.0


def test_settings_of_the_environment(watch, monkeypatch: pytest.MonkeyPatch) -> None:
    function = gradc.jit(lambda x: np.log(1 + np.exp(x)))
    watch.warm(function, 1000.0)
    monkeypatch.setenv("GRADC_STABILIZE", "off")
    assert function(1000.0) == np.inf
    monkeypatch.delenv("GRADC_STABILIZE")
    assert function(1000.0) == 1000.0
    for _ in range(3):
        watch.native(function, 1000.0)
        monkeypatch.setenv("UNRELATED", "1")
        assert watch.native(function, 1000.0) == 1000.0
        monkeypatch.setenv("GRADC_STABILIZE", "safe")
        assert function(1000.0) == 1000.0
        watch.native(function, 1000.0)
        monkeypatch.setenv("GRADC_STABILIZE", "off")
        assert watch.python(function, 1000.0) == np.inf
        monkeypatch.delenv("GRADC_STABILIZE")
        for _ in range(2):
            assert function(1000.0) == 1000.0


def test_given_settings_ask_nobody(watch) -> None:
    function = gradc.jit(lambda x: np.log(1 + np.exp(x)), backend="llvm", stabilize="safe")
    watch.warm(function, 1000.0)
    with config.stabilize("off"), config.backend("numpy"):
        assert watch.native(function, 1000.0) == 1000.0


@pytest.mark.parametrize("backend", ["numpy", "reference"])
def test_other_backends_stay_in_python(watch, backend: str) -> None:
    function = gradc.jit(square, backend=backend)
    for _ in range(3):
        assert watch.python(function, 3.0) == 9.0


def test_an_unknown_interpreter_gets_the_same_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradc.backends.llvm.entry.load.abi", lambda: None)
    function = gradc.jit(square)
    for _ in range(4):
        assert function(3.0) == 9.0
    assert function.compile(3.0).entry is None


def test_the_layout_is_refused_where_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(abi.sys, "version_info", (3, 99, 0))
    assert not abi.known_interpreter.__wrapped__()


def test_room_for_what_stands_in_an_object(watch) -> None:
    assert native.SIZE == native.SETTING + 8 * native.SETTING_WORDS * native.SETTINGS + 8
    assert callee.Callee.__basicsize__ >= native.SIZE
