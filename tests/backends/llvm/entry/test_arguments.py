"""Which calls an entry answers, and that those which it does not answer end as they do without it."""

from __future__ import annotations

import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError

W = {"hidden": np.arange(6.0).reshape(2, 3), "rest": [np.array([1.0, -2.0, 0.5]), (np.array(3.0),)]}
X = np.array([0.25, -1.5])


def loss(w, x, scale=2.0):
    h = np.tanh(x @ w["hidden"] + w["rest"][0])
    return np.sum(h * h) * scale + w["rest"][1][0] * np.sum(x)


def step() -> gradc.Function:
    return gradc.value_and_grad(loss, wrt=("w", "x"))


def assert_same(found: Any, expected: Any) -> None:
    """Equal bit by bit, nested alike, of the same types."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif expected is not None:
        assert (found.dtype, found.shape, found.tobytes()) == (expected.dtype, expected.shape, expected.tobytes())


def test_nested_arguments_and_results(watch) -> None:
    function = step()
    expected = function(W, X)
    assert_same(watch.warm(function, W, X), expected)
    assert_same(watch.native(function, x=X, w=W), expected)
    assert_same(watch.native(function, W, x=X, scale=2.0), expected)
    assert_same(watch.native(function, W, X, 3.0), step()(W, X, 3.0))
    assert_same(watch.native(function, *[W], **{"".join("x"): X}), expected)


class Layer(NamedTuple):
    w: Any
    b: Any = None


class Pair(NamedTuple):
    first: Any
    second: Any


class Checked(tuple):
    """One whose making is the user's own."""

    __slots__ = ()
    _fields = ("first", "second")

    def __new__(cls, first, second):
        return super().__new__(cls, (first, second))


def test_named_tuples(watch) -> None:
    """Those of the user and those of NumPy, as arguments and as results."""

    def function(layer, x):
        return Layer(layer.w @ x), Pair(np.sum(x), [layer.b, np.linalg.eigh(layer.w)])

    compiled = gradc.jit(function)
    layer, x = Layer(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array(5.0)), np.array([1.0, -1.0])
    expected = compiled(layer, x)
    for _ in range(3):
        found = watch.warm(compiled, layer, x)
        assert_same(found, expected)
    assert repr(found[0]) == "Layer(w=array([ 1., -2.]), b=None)"
    assert found[1].second[1].eigenvalues is found[1][1][1][0]
    with pytest.raises(ArgumentError, match="nested otherwise"):
        compiled.compile(layer, x)(Pair(*layer), x)


def test_named_tuples_that_are_made_in_another_way_are_made_by_python(watch) -> None:
    function = gradc.jit(lambda x: Checked(x + 1.0, x * 2.0))
    for _ in range(3):
        found = watch.python(function, 3.0)
        assert (type(found), found) == (Checked, (4.0, 6.0))


def test_results_are_new_and_writable(watch) -> None:
    function = gradc.jit(lambda x: {"a": x + 1, "b": [x, (x * 2, None)], "c": (), "d": []})
    x = np.arange(3.0)
    watch.warm(function, x)
    first, second = watch.native(function, x), watch.native(function, x)
    assert first["b"][1][1] is None
    assert (first["c"], first["d"]) == ((), [])
    assert first["d"] is not second["d"]
    first["a"] += 100.0
    first["b"][0][:] = -1
    np.testing.assert_array_equal(x, np.arange(3.0))
    assert_same(second, function(x))
    assert second["a"].flags.owndata


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize("shape", [(), (0,), (4,), (2, 3), (1, 2, 1)])
def test_dtypes_and_shapes(watch, dtype: str, shape: tuple[int, ...]) -> None:
    function = gradc.jit(lambda x: (x, [x]))
    x = np.ones(shape, dtype)
    expected = function(x)
    assert_same(watch.warm(function, x), expected)
    if not shape:
        assert_same(watch.native(function, x[()]), expected)


def test_numbers_of_python_and_of_numpy_are_kept_apart(watch) -> None:
    function = gradc.jit(lambda x, n: (x * np.float32(2), n + x))
    watch.warm(function, 1.5, 3)
    assert watch.native(function, 2.5, -4)[1] == -1.5
    for x, n in (
        (np.float64(1.5), 3),
        (1.5, 3.0),
        (True, 3),
        (1.5, True),
        (np.array(1.5), 3),
        (1, 3),
        (1.5, np.int64(3)),
    ):
        fresh = gradc.jit(lambda x, n: (x * np.float32(2), n + x))
        assert_same(watch.python(function, x, n), fresh(x, n))


def test_integers_that_do_not_fit(watch) -> None:
    function = gradc.jit(lambda n: n + 1)
    watch.warm(function, 1)
    assert watch.native(function, 2**62) == 2**62 + 1
    assert watch.native(function, -(2**63)) == -(2**63) + 1
    for large in (2**63, -(2**63) - 1, 10**30):
        with pytest.raises(ArgumentError, match=f"{large}"):
            function(large)


def test_bits_of_nan_and_signs_of_zero_arrive(watch) -> None:
    function = gradc.jit(lambda x: (x, -x))
    (odd,) = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF))
    watch.warm(function, 1.0)
    assert watch.native(function, odd)[0].tobytes() == struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF)
    assert watch.native(function, -0.0)[0].tobytes() == struct.pack("<d", -0.0)
    watch.warm(function, np.ones(2))
    assert watch.native(function, np.array([odd, -0.0]))[0].tobytes() == np.array([odd, -0.0]).tobytes()


def test_layouts(watch) -> None:
    function = gradc.jit(lambda x: x * 2.0)
    base = np.arange(24.0).reshape(4, 6)
    watch.warm(function, base)
    read_only = base.copy()
    read_only.setflags(write=False)
    watch.native(function, read_only)
    watch.native(function, np.frombuffer(base.tobytes()).reshape(4, 6))
    watch.native(function, base[:].view())
    unaligned = np.frombuffer(b"x" + base.tobytes(), np.uint8)[1:].view(np.float64).reshape(4, 6)
    wide = np.arange(48.0).reshape(8, 6)
    for x in (np.asfortranarray(base), unaligned, wide[::2], base[::-1], np.broadcast_to(1.0, (4, 6))):
        held = sys.getrefcount(x)
        np.testing.assert_array_equal(watch.native(function, x), x * 2.0)
        np.testing.assert_array_equal(watch.python(gradc.jit(lambda x: x * 2.0), x), x * 2.0)
        assert sys.getrefcount(x) == held
    for _ in range(3):
        np.testing.assert_array_equal(watch.python(function, base.astype(">f8")), base * 2.0)


def test_an_equal_dtype_that_is_another_object(watch) -> None:
    function = gradc.jit(lambda x: x + x)
    watch.warm(function, np.arange(3))
    same = np.dtype("i8", metadata={"unit": "m"})
    for dtype in (np.longlong, same):
        assert_same(watch.native(function, np.arange(3, dtype=dtype)), np.arange(0, 6, 2))
    with pytest.raises(ArgumentError):
        function(np.arange(3).astype("M8[s]"))


def test_subclasses_of_arrays(watch, tmp_path) -> None:
    function = gradc.jit(lambda x: x + 1.0)
    watch.warm(function, np.ones(3))
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(3,))
    np.testing.assert_array_equal(watch.native(function, mapped), np.ones(3))
    np.testing.assert_array_equal(watch.python(function, np.memmap(tmp_path / "x", np.float64)[::-1]), np.ones(3))
    with pytest.raises(ArgumentError, match="MaskedArray has a meaning of its own"):
        function(np.ma.masked_array(np.ones(3)))


WARM = [step(), step().compile(W, X)]


def outcome(action: Callable[..., Any], *args: Any) -> tuple[Any, tuple[type, str] | None]:
    """The result, or the error."""
    try:
        return action(*args), None
    except (gradc.errors.GradcError, LookupError, TypeError, ValueError) as error:
        return None, (type(error), str(error))


NESTINGS: dict[str, Any] = {
    "one more": {**W, "more": X},
    "one less": {"hidden": W["hidden"]},
    "another order": {"rest": W["rest"], "hidden": W["hidden"]},
    "another key": {"hidden": W["hidden"], "Rest": W["rest"]},
    "a tuple": {"hidden": W["hidden"], "rest": tuple(W["rest"])},
    "a longer list": {"hidden": W["hidden"], "rest": [*W["rest"], 1.0]},
    "a list inside": {"hidden": W["hidden"], "rest": [W["rest"][0], [W["rest"][1][0]]]},
    "an empty tuple": {"hidden": W["hidden"], "rest": [W["rest"][0], ()]},
    "None inside": {"hidden": W["hidden"], "rest": None},
    "another dtype": {"hidden": W["hidden"].astype("f4"), "rest": W["rest"]},
    "another shape": {"hidden": W["hidden"].T.copy(), "rest": W["rest"]},
    "a string": {"hidden": "W", "rest": W["rest"]},
    "an object": {"hidden": object(), "rest": W["rest"]},
    "an ordered dict": OrderedDict(W),
    "a list": list(W.values()),
    "None": None,
    "a number": 3,
    "nothing": {},
}


@pytest.mark.parametrize("w", NESTINGS.values(), ids=NESTINGS.keys())
def test_other_nestings_end_as_they_do_without_an_entry(watch, w) -> None:
    for warm in WARM:
        watch.warm(warm, W, X)
        found, refusal = outcome(warm, w, X)
        expected, reason = outcome(type(warm).__call__, warm, w, X)
        assert refusal == reason
        assert_same(found, expected)
        assert_same(watch.warm(warm, W, X), type(warm).__call__(warm, W, X))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((W,), {}), ((W, X, 2.0, 1), {}), ((W, X), {"w": W}), ((W, X), {"nothing": 1}), ((), {"x": X})],
    ids=["none", "too few", "too many", "twice", "unknown", "by name"],
)
def test_wrong_arguments(watch, args, kwargs) -> None:
    function = step()
    watch.warm(function, W, X)
    with pytest.raises(ArgumentError) as native:
        function(*args, **kwargs)
    with pytest.raises(ArgumentError) as plain:
        step()(*args, **kwargs)
    assert str(native.value) == str(plain.value)


def test_many_arguments_that_fit_nothing(watch) -> None:
    function = gradc.jit(lambda *xs: sum(xs))
    watch.warm(function, 1.0, 2.0)
    assert function(*[1.0] * 40) == 40.0
    with pytest.raises(ArgumentError, match="unexpected keyword argument"):
        function(1.0, 2.0, **{f"k{n}": n for n in range(40)})


def test_kinds_of_parameters(watch) -> None:
    def written(first, /, second, *others, scale=2.0, **named):
        return first * second + scale * sum(others) + sum(named.values())

    function = gradc.jit(written)
    watch.warm(function, 1.0, 2.0, 3.0, 4.0)
    assert watch.native(function, 1.0, 2.0, 3.0, 4.0, scale=1.0) == 9.0
    assert watch.warm(function, 1.0, 2.0, 3.0, first=5.0) == 2.0 + 6.0 + 5.0
    assert watch.warm(function, 1.0, second=2.0) == 2.0
    assert watch.native(function, 1.0, 2.0) == 2.0
    for _ in range(3):
        assert function(1.0, 2.0, a=1.0, b=2.0) == 5.0
        assert function(1.0, 2.0, b=1.0, a=2.0) == 5.0
    for wrong in ({"first": 1.0}, {"second": 1.0, "first": 3.0}):
        with pytest.raises(ArgumentError):
            gradc.jit(lambda first, /, second: first + second)(**wrong)
    with pytest.raises(ArgumentError, match="multiple values for argument 'second'"):
        function(1.0, 2.0, second=2.0)


def test_static_arguments(watch) -> None:
    def reduce(x, how="sum", square=False, power=1, after=None):
        y = (x * x if square else x) ** sum(1 for _ in range(power))
        total = np.sum(y) if how == "sum" else np.mean(y)
        return total if after is None else after(total)

    x = np.array([1.0, 2.0, 4.0])
    function = gradc.jit(reduce)
    assert watch.warm(function, x) == 7.0
    assert watch.native(function, x, str(b"sum", "ascii"), False, 1) == 7.0
    assert watch.python(function, x, "mean") == pytest.approx(7 / 3)
    assert watch.python(function, x, "sum", True) == 21.0
    assert watch.python(function, x, power=2) == 21.0
    assert watch.python(function, x, power=2) == 21.0
    assert watch.native(function, x, power=2) == 21.0
    assert watch.native(function, x, power=1) == 7.0
    assert watch.warm(function, x, after=np.sqrt) == np.sqrt(7.0)
    assert watch.python(function, x, square=0) == 7.0
    assert watch.python(function, x, power=True) == 7.0


def test_an_index_outside_raises_and_the_next_call_is_right(watch) -> None:
    take = gradc.jit(lambda x, i: x[i] * 2.0)
    x = np.arange(4.0)
    watch.warm(take, x, np.array([0, -1]))
    for wrong in ([4, 0], [0, -5]):
        with pytest.raises(IndexError, match="out of bounds for axis 0 with size 4"):
            take(x, np.array(wrong))
        np.testing.assert_array_equal(watch.native(take, x, np.array([1, 2])), [2.0, 4.0])


def test_the_cotangent_of_a_pullback(watch) -> None:
    x = np.array([1.0, 2.0])
    _, pullback = gradc.vjp(lambda x: x * x, x)
    for _ in range(2):
        pullback(np.ones(2))
    (found,) = watch.native(pullback, np.array([1.0, 10.0]))
    np.testing.assert_array_equal(found, [2.0, 40.0])
