"""The cyclic collector rests while a function is traced and compiled, and runs again whatever happens."""

import gc

import numpy as np
import pytest

import gradc
from gradc.ir.collector import without_collector


def test_it_rests_inside_and_runs_again():
    with without_collector():
        assert not gc.isenabled()
        with without_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_it_stays_off_where_it_was_off():
    gc.disable()
    try:
        with without_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_it_rests_while_a_function_is_traced_and_runs_after_an_error_in_it():
    seen = []

    def fails(x):
        seen.append(gc.isenabled())
        raise KeyError("no such parameter")

    with pytest.raises(KeyError):
        gradc.grad(fails)(np.ones(3))
    assert seen == [False]
    assert gc.isenabled()
