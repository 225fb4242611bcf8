"""Random graphs of all ops and their gradients, of fixed and of symbolic sizes: C gives the bits of machine code."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.errors import GradcError
from gradc.ir.aval import dim_value
from gradc.ir.graph import Graph
from gradc.loops.lowering.lower import lower
from tests.backends.c.conftest import COMPILERS, CheckError, build, call, same_bits, source_of
from tests.loops import test_lower_random as fixed
from tests.loops import test_symbolic_random as symbolic

SETTINGS = settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow], deadline=None)
EVERY = settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow], deadline=None)

pytestmark = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler")


def assert_same_bits(graph: Graph) -> None:
    program = lower(graph)
    entry = load(emit(program, host()), program)
    source, interface = source_of(program)
    with tempfile.TemporaryDirectory() as folder:
        library = build(source, interface, Path(folder), COMPILERS[0])
    for sizes in symbolic.SIZES if graph.symbols else [{}]:
        rng = np.random.default_rng(0)
        arrays = []
        for own in graph.input_avals:
            shape = [dim_value(dim, sizes) for dim in own.shape]
            arrays.append(rng.normal(size=shape) if own.dtype.kind == "f" else rng.integers(-3, 4, shape))
        arrays = [np.asarray(array, own.dtype) for array, own in zip(arrays, graph.input_avals, strict=True)]
        try:
            expected = entry(arrays)
        except GradcError:
            with pytest.raises(CheckError):
                call(library, interface, arrays)
            continue
        assert same_bits(call(library, interface, arrays), expected), source


def check_values(data: st.DataObject, steps: int) -> None:
    grower = data.draw(st.sampled_from([fixed.Grower, symbolic.Grower]))(data)
    grower.grow(steps)
    assert_same_bits(grower.graph())


def check_gradients(data: st.DataObject, steps: int) -> None:
    grower = data.draw(st.sampled_from([fixed.Grower, symbolic.Grower]))(data)
    grower.grow(steps)
    graph = grower.gradient()
    assume(graph is not None)
    assert graph is not None
    assert_same_bits(graph)


@SETTINGS
@given(data=st.data(), steps=st.integers(1, 12))
def test_values(data: st.DataObject, steps: int) -> None:
    check_values(data, steps)


@SETTINGS
@given(data=st.data(), steps=st.integers(1, 8))
def test_gradients(data: st.DataObject, steps: int) -> None:
    check_gradients(data, steps)


@pytest.mark.nightly
@EVERY
@given(data=st.data(), steps=st.integers(1, 12))
def test_many_values(data: st.DataObject, steps: int) -> None:
    check_values(data, steps)


@pytest.mark.nightly
@EVERY
@given(data=st.data(), steps=st.integers(1, 8))
def test_many_gradients(data: st.DataObject, steps: int) -> None:
    check_gradients(data, steps)
