"""New arrays and scalars of entries are those that NumPy makes: memory, flags, handler, what tracemalloc sees."""

from __future__ import annotations

import ctypes
import gc
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.lib import tracemalloc_domain

import gradc
from gradc.backends.llvm.entry import abi
from gradc.backends.llvm.entry.arrays import TRACE_DOMAIN

SHAPES = [(1,), (3,), (2, 1), (1, 3), (2, 3), (1, 1), (0,), (0, 3), (2, 0), (2, 3, 4), (1, 2, 1), (700,)]
handler_name = np._core.multiarray.get_handler_name


@pytest.fixture
def other_handler() -> Iterator[None]:
    """Memory from a handler that is not NumPy's own while a test runs: its functions under another name."""
    if abi.abi() is None:
        pytest.skip("entries are for interpreters whose objects are known")
    table = abi._numpy_table()
    found = None if table is None else abi._own_handler(table)
    assert table is not None
    assert found is not None
    record = ctypes.create_string_buffer(ctypes.string_at(found[1], abi.HANDLER_FREE + 8))
    record[: len(b"other_allocator") + 1] = b"other_allocator\0"
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    name = ctypes.create_string_buffer(b"mem_handler")
    capsule = make(abi.function_address("PyCapsule_New"))(
        ctypes.addressof(record), ctypes.cast(name, ctypes.c_char_p), None
    )
    exchange = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(int(table[304]))
    before = exchange(capsule)
    yield
    exchange(before)
    gc.collect()
    _ALIVE.extend([record, name])


_ALIVE: list[object] = []


@pytest.mark.parametrize("shape", SHAPES)
def test_arrays_are_as_numpy_makes_them(watch, shape: tuple[int, ...]) -> None:
    function = gradc.jit(lambda x: (x + 1, [x * 2]))
    x = np.arange(float(np.prod(shape))).reshape(shape)
    watch.warm(function, x)
    held = [watch.native(function, x) for _ in range(5)]
    for first, (second,) in held:
        np.testing.assert_array_equal(first, x + 1)
        np.testing.assert_array_equal(second, x * 2)
        wanted = np.empty(shape)
        for array in (first, second):
            assert array.flags == wanted.flags
            assert array.dtype is wanted.dtype
            assert (array.strides, array.base, handler_name(array)) == (wanted.strides, None, handler_name(wanted))
        first.resize(1000, refcheck=False)
        assert first.size == 1000


@pytest.mark.parametrize("code", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u8", "?", "c8", "c16"])
def test_scalars_are_as_numpy_makes_them(watch, code: str) -> None:
    function = gradc.jit(lambda x: (x[0], x[1]))
    x = np.array([1, 100], code)
    watch.warm(function, x)
    held = [watch.native(function, x) for _ in range(5)]
    for first, second in held:
        assert type(first) is type(second) is x.dtype.type
        assert (first, second) == (x[0], x[1])


def test_tracemalloc_sees_new_arrays(watch) -> None:
    function = gradc.jit(lambda x: x + 1)
    x = np.ones(1000)
    watch.warm(function, x)
    assert tracemalloc_domain == TRACE_DOMAIN

    def traced() -> int:
        taken = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, tracemalloc_domain)])
        return sum(trace.size for trace in taken.traces)

    tracemalloc.start()
    try:
        before = traced()
        held = [function(x) for _ in range(4)]
        assert traced() - before == 4 * x.nbytes
        del held
        assert traced() == before
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("other_handler")
def test_another_handler_gives_the_memory(watch) -> None:
    function = gradc.jit(lambda x: x + 1)
    x = np.ones(1000)
    watch.warm(function, x)
    assert handler_name(np.empty(3)) == handler_name(watch.native(function, x)) == "other_allocator"


def test_a_handler_that_lies_elsewhere_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then arrays are made by ``PyArray_New`` alone."""
    if abi.abi() is None:
        pytest.skip("entries are for interpreters whose objects are known")
    table = abi._numpy_table()
    assert table is not None
    assert abi._own_handler(table) is not None
    monkeypatch.setattr(abi, "ARRAY_HANDLER", abi.ARRAY_WEAK_REFERENCES)
    assert abi._own_handler(table) is None
    known = abi.abi.__wrapped__()
    assert known is not None
    assert known.addresses["gradc.handler.own"] == id(None)
