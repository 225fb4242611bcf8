"""The registry: every function has a record whose parameters are NumPy's."""

import inspect
import operator

import numpy as np
import pytest

from gradc.errors import DtypeError, TraceError
from gradc.frontend.numpy_api import lookup, supported
from gradc.frontend.numpy_api.registry import records

FUNCTIONS = [operator.attrgetter(name.removeprefix("np."))(np) for name in supported() if name.startswith("np.")]


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_parameters_are_numpys(function):
    record = lookup(function)
    if record.is_ufunc:
        assert len(record.parameters) == function.nin
        return
    known = set(record.signature.parameters)
    if "kwargs" in known:
        known |= {
            "optimize",
            "dtype",
            "casting",
            "order",
            "constant_values",
            "end_values",
            "stat_length",
            "reflect_type",
            "min",
            "max",
        }  # the last two by name since NumPy 2.1
    if record.name == "np.reshape":
        known |= {"shape", "newshape"}  # the second was its name in NumPy 2.0
    assert set(record.parameters) <= known
    assert record.arrays <= known
    assert record.sequences <= known
    try:
        numpys = list(inspect.signature(function).parameters)
    except ValueError:
        return
    ours = inspect.signature(record.function).parameters.values()
    ordered = [p.name for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD and p.name in numpys]
    assert [p for p in numpys if p in ordered] == ordered


def test_what_is_not_implemented_has_no_record():
    assert lookup(np.unique) is None
    assert lookup(len) is None


def test_functions_that_are_not_ufuncs_make_arrays_of_python_numbers(bench):
    assert not bench.call(np.reshape, 2.0, (1,)).aval.weak
    assert bench.call(np.dot, np.ones(2, np.float32), 2.0).aval.dtype == np.float64
    assert bench.call(np.multiply, np.ones(2, np.float32), 2.0).aval.dtype == np.float32
    assert bench.call(np.where, np.ones(2, bool), np.ones(2, np.float32), 2.0).aval.dtype == np.float32


def test_none_is_no_array(bench):
    with pytest.raises(DtypeError):
        bench.call(np.dot, np.ones(3), None)
    assert bench.call(np.clip, np.ones(3), None, None).aval.shape == (3,)


def test_wrong_calls_are_told_in_numpys_words(traced, sample):
    with pytest.raises(TraceError, match=r"np.sum: missing a required argument: 'a'"):
        traced(np.sum, axis=0)
    with pytest.raises(TraceError, match=r"np.sum: the parameter axes="):
        traced(np.sum, sample(3), axes=0)
    with pytest.raises(TraceError, match=r"np.exp: too many positional arguments"):
        traced(np.exp, sample(3), sample(3), sample(3))


def test_defaults_given_explicitly_are_no_refusal(traced, sample):
    x = sample(3)
    assert traced(np.mean, x, where=inspect.signature(np.mean).parameters["where"].default) == x.mean()
    assert traced(np.stack, [x, x], casting="same_kind").shape == (2, 3)
    no_value = inspect.signature(np.sum).parameters["keepdims"].default
    assert traced(np.sum, x, keepdims=no_value).shape == ()


def test_parameters_are_numpys_where_numpy_hides_its_signature():
    """Built-in functions of NumPy before 2.4 have none: then ours must have its order."""
    for function, leading in ((np.where, 3), (np.concatenate, 2), (np.dot, 2), (np.inner, 2), (np.vdot, 2)):
        parameters = inspect.signature(lookup(function).function).parameters.values()
        assert len([p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]) == leading


def test_arguments_are_bound_as_the_signature_binds_them() -> None:
    plain = 0
    for record in records():
        signature, names = record.signature, [*record.signature.parameters, "nothing_of_this_name"]
        for count in range(len(names) + 1):
            given = tuple(range(count))
            for keywords in ({}, {name: name for name in names[count:]}, *({name: name} for name in names)):
                bound = record._plainly_bound(given, keywords)
                if bound is not None:
                    plain += 1
                    assert bound == signature.bind(*given, **keywords).arguments
    assert plain > 1000
