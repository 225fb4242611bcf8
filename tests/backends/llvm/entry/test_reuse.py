"""Results that are used again: only those that nobody can tell from new ones."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.backends.llvm.entry.reuse import KEPT, MOST_BYTES


def both(x):
    return np.sum(x), {"twice": x * 2.0, "parts": [x + 1.0, np.max(x)]}


def expected(x: np.ndarray) -> Any:
    return np.sum(x), {"twice": x * 2.0, "parts": [x + 1.0, np.max(x)]}


def numbers(result: Any) -> list[Any]:
    value, rest = result
    return [value.item(), rest["twice"].tolist(), rest["parts"][0].tolist(), rest["parts"][1].item()]


def warmed(watch, shape: str = "2,3") -> Callable[..., Any]:
    """The function, or its kernel for symbolic sizes."""
    function = gradc.jit(both)
    made = function if shape == "2,3" else function.compile(gradc.aval(f"f64[{shape}]"), backend="llvm")
    for _ in range(3):
        watch.warm(made, np.ones((2, 3)))
    return made


of_every_size = pytest.mark.parametrize("shape", ["2,3", "n,3", "n,m"])


def assert_new(result: Any, x: np.ndarray) -> None:
    """The numbers are right, and everything is as it is when it is made."""
    assert numbers(result) == numbers(expected(x))
    value, rest = result
    assert (type(result), type(value), type(rest), list(rest)) == (tuple, np.float64, dict, ["twice", "parts"])
    assert (type(rest["parts"]), len(rest["parts"]), type(rest["parts"][1])) == (list, 2, np.float64)
    for array in (rest["twice"], rest["parts"][0]):
        assert (type(array), array.shape, array.dtype, array.strides) == (np.ndarray, (2, 3), np.float64, (24, 8))
        flags = array.flags
        assert (flags.owndata, flags.writeable, flags.c_contiguous, flags.aligned, array.base) == (True,) * 4 + (None,)


@of_every_size
def test_what_nobody_holds_is_used_again(watch, shape: str) -> None:
    function = warmed(watch, shape)
    x = np.ones((2, 3))
    seen = {id(watch.native(function, x)[1]["twice"]) for _ in range(20)}
    assert len(seen) <= KEPT
    result = None
    addresses = set()
    for _ in range(20):
        result = watch.native(function, x)
        addresses.add(result[1]["twice"].ctypes.data)
    assert len(addresses) <= KEPT
    assert_new(result, x)


HELD: dict[str, Callable[[Any], Any]] = {
    "all": lambda result: result,
    "a container": lambda result: result[1],
    "a container inside": lambda result: result[1]["parts"],
    "an array": lambda result: result[1]["twice"],
    "an array inside": lambda result: result[1]["parts"][0],
    "a scalar": lambda result: result[0],
    "a scalar inside": lambda result: result[1]["parts"][1],
    "a view": lambda result: result[1]["twice"][1:, ::2],
    "a transposed view of a view": lambda result: result[1]["twice"][1:].T,
    "a buffer": lambda result: memoryview(result[1]["twice"]),
    "a buffer of a scalar": lambda result: memoryview(result[0]),
    "an iterator": lambda result: result[1]["twice"].flat,
    "an iterator of a dict": lambda result: iter(result[1].items()),
    "a view of a dict": lambda result: result[1].values(),
    "an array over a buffer": lambda result: np.frombuffer(result[1]["twice"]),
    "an array of the interface": lambda result: np.asarray(memoryview(result[1]["parts"][0])),
    "what ctypes has": lambda result: result[1]["twice"].ctypes,
    "a bound method": lambda result: result[1]["twice"].sum,
    "a closure": lambda result: lambda: result,
    "a container of the caller's": lambda result: {"mine": [result[1]["parts"][0]]},
    "through DLPack": lambda result: np.from_dlpack(result[1]["twice"]),
    "an nditer": lambda result: np.nditer(result[1]["twice"]),
}


def contents(held: Any) -> Any:
    """The numbers in something held."""
    if callable(held):
        return contents(held())
    if isinstance(held, dict):
        return [contents(value) for value in held.values()]
    if isinstance(held, (tuple, list, type({}.values()))):
        return [contents(value) for value in held]
    if isinstance(held, (np.ndarray, np.generic, memoryview)):
        return np.asarray(held).copy().tolist()
    if isinstance(held, (np.flatiter, np.nditer)):
        return contents(held.base if isinstance(held, np.flatiter) else held.operands[0])
    if hasattr(held, "_arr"):
        return contents(held._arr)
    return None


@of_every_size
@pytest.mark.parametrize("keep", HELD.values(), ids=HELD.keys())
def test_what_somebody_holds_stays(watch, shape: str, keep: Callable[[Any], Any]) -> None:
    function = warmed(watch, shape)
    held = []
    for step in range(6):
        held.append(keep(function(np.full((2, 3), float(step)))))
        for other in range(4):
            x = np.full((2, 3), 100.0 + other)
            assert_new(watch.native(function, x), x)
    if keep is HELD["an iterator of a dict"]:
        held = [lambda pairs=pairs: dict(pairs) for pairs in held]
    for step, kept in enumerate(held):
        fresh = keep(expected(np.full((2, 3), float(step))))
        if keep is HELD["an iterator of a dict"]:
            fresh = dict(fresh)
        assert contents(kept) == contents(fresh)


def delete(result: Any) -> None:
    del result[1]["twice"]


def reorder(result: Any) -> None:
    result[1]["twice"] = result[1].pop("twice")


def view_inside(result: Any) -> None:
    result[1]["twice"] = result[1]["twice"][:, :]


def in_another_shape(result: Any) -> None:
    result[1]["twice"].resize((3, 2), refcheck=False)


def smaller(result: Any) -> None:
    result[1]["twice"].resize((1, 1), refcheck=False)


CHANGED: dict[str, Callable[[Any], None]] = {
    "read-only": lambda result: result[1]["twice"].setflags(write=False),
    "another shape": in_another_shape,
    "less memory": smaller,
    "a key gone": delete,
    "another order": reorder,
    "a key more": lambda result: result[1].update(more=1),
    "equal keys": lambda result: (result[1].clear(), result[1].update({str(b"twice", "ascii"): 1, "parts": 2})),
    "a list longer": lambda result: result[1]["parts"].append(0),
    "a list shorter": lambda result: result[1]["parts"].clear(),
    "another array": lambda result: result[1].update(twice=np.ones((3, 2))),
    "an array of another dtype": lambda result: result[1].update(twice=np.ones((2, 3), "f4")),
    "an array in Fortran order": lambda result: result[1].update(twice=np.ones((2, 3), order="F")),
    "an array like it": lambda result: result[1].update(twice=np.ones((2, 3))),
    "a view": view_inside,
    "a number": lambda result: result[1]["parts"].__setitem__(1, 1.0),
    "another scalar": lambda result: result[1]["parts"].__setitem__(1, np.float32(1)),
    "a scalar like it": lambda result: result[1]["parts"].__setitem__(1, np.float64(1)),
    "None": lambda result: result[1].update(twice=None),
    "itself": lambda result: result[1].update(twice=result),
    "a subclass": lambda result: result[1].update(twice=np.ones((2, 3)).view(np.matrix)),
    "one twice": lambda result: result[1]["parts"].__setitem__(0, result[1]["twice"]),
}


@of_every_size
@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED.keys())
def test_what_was_changed_is_not_given_out(watch, shape: str, change: Callable[[Any], None]) -> None:
    function = warmed(watch, shape)
    for step in range(8):
        x = np.full((2, 3), float(step))
        result = watch.native(function, x)
        assert_new(result, x)
        change(result)
        del result
        assert_new(watch.native(function, x + 1.0), x + 1.0)


@of_every_size
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["shape", "strides", "dtype"])
def test_arrays_that_were_set_otherwise_are_not_given_out(watch, shape: str, name: str) -> None:
    function = warmed(watch, shape)
    values = {"shape": (3, 2), "strides": (8, 16), "dtype": np.int64}
    for step in range(8):
        x = np.full((2, 3), float(step))
        result = watch.native(function, x)
        setattr(result[1]["twice"], name, values[name])
        del result
        assert_new(watch.native(function, x), x)


@of_every_size
def test_weak_references_end_what_is_kept(watch, shape: str) -> None:
    """An array with a weak reference is not used again, and goes when newer results are kept."""
    function = warmed(watch, shape)
    x = np.ones((2, 3))
    ended: list[int] = []
    references = []
    for step in range(6):
        array = function(x * step)[1]["twice"]
        references.append(weakref.ref(array, lambda _, step=step: ended.append(step)))
        del array
        assert_new(function(x), x)
    for reference in references:
        if reference() is not None:
            step = references.index(reference)
            assert reference().tolist() == (2.0 * x * step).tolist()
    assert len(ended) >= len(references) - KEPT


def test_few_and_small_results_are_kept(watch) -> None:
    function = warmed(watch)
    many = [function(np.ones((2, 3))) for _ in range(20)]
    alive = [weakref.ref(result[1]["twice"]) for result in many]
    del many
    gc.collect()
    assert sum(reference() is not None for reference in alive) <= KEPT
    size = MOST_BYTES // 8 + 1
    large = gradc.jit(lambda x: {"y": x * 2.0})
    watch.warm(large, np.ones(size))
    reference = weakref.ref(watch.native(large, np.ones(size))["y"])
    assert reference() is None


def test_a_function_inside_its_own_result_is_collected(watch) -> None:
    function = warmed(watch)
    result = function(np.ones((2, 3)))
    result[1]["function"] = function
    gone = weakref.ref(function)
    del function, result
    gc.collect()
    assert gone() is None


def test_finalizers_inside_a_result_may_call(watch) -> None:
    """Letting go of a kept result runs code of the user's, and so does the end of the function."""
    answers = []

    class Last:
        def __init__(self, function: gradc.Function) -> None:
            self.function = function

        def __del__(self) -> None:
            for step in range(4):
                x = np.full((2, 3), float(step))
                answers.append(numbers(self.function(x)) == numbers(expected(x)))

    function = warmed(watch)
    x = np.ones((2, 3))
    for _ in range(5):
        result = function(x)
        result[1]["last"] = Last(function)
        del result
        kept = [function(x) for _ in range(4)]
        for one in kept:
            assert_new(one, x)
    result = function(x)
    result[1]["last"] = Last(function)
    del function, result, kept, one
    gc.collect()
    assert len(answers) == 24
    assert all(answers)


@of_every_size
def test_threads_get_results_of_their_own(watch, shape: str) -> None:
    """Each thread holds some results and drops others, and hands some to the next."""
    function = warmed(watch, shape)
    handed: list[tuple[float, Any]] = []
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            held = []
            for step in range(300):
                value = float(number * 1000 + step)
                result = function(np.full((2, 3), value))
                if step % 3 == 0:
                    held.append((value, result))
                if step % 7 == 0:
                    handed.append((value, result))
                if step % 5 == 0 and handed:
                    held.append(handed.pop())
                del held[:-8]
                for own, kept in held:
                    assert numbers(kept) == numbers(expected(np.full((2, 3), own)))
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_failed_checks_leave_kept_results_right(watch) -> None:
    take = gradc.jit(lambda x, i: {"taken": x[i] * 2.0})
    x, good, bad = np.arange(4.0), np.array([1, 2]), np.array([4, 0])
    watch.warm(take, x, good)
    for _ in range(5):
        held = take(x, good)
        with pytest.raises(IndexError):
            take(x, bad)
        assert held["taken"].tolist() == [2.0, 4.0]
        assert take(x, good[::-1].copy())["taken"].tolist() == [4.0, 2.0]
        assert held["taken"].tolist() == [2.0, 4.0]


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i8", "u2", "?"])
def test_scalars_and_single_arrays_of_each_dtype(watch, dtype: str) -> None:
    for shape in ((), (3,), (0,)):
        function = gradc.jit(lambda x: x)
        watch.warm(function, np.zeros(shape, dtype))
        held = []
        for step in range(6):
            held.append(watch.native(function, np.full(shape, step % 2, dtype)))
            assert watch.native(function, np.full(shape, 1, dtype)).tolist() == np.full(shape, 1, dtype).tolist()
        for step, result in enumerate(held):
            assert (result.tolist(), result.dtype) == (np.full(shape, step % 2, dtype).tolist(), np.dtype(dtype))


class Pair(NamedTuple):
    first: Any
    second: Any


@pytest.mark.parametrize("kind", [tuple, Pair._make])
def test_hashes_of_tuples_are_those_of_their_numbers(watch, kind: Callable[[Any], Any]) -> None:
    function = gradc.jit(lambda x: kind((x * 2.0, x + 1.0)))
    watch.warm(function, 1.0)
    for step in range(8):
        assert hash(watch.native(function, float(step))) == hash((2.0 * step, step + 1.0))
        assert watch.native(function, float(step)) in {(2.0 * step, step + 1.0)}


def test_results_of_symbolic_sizes_are_used_again_where_the_sizes_are_the_same(watch) -> None:
    kernel = gradc.jit(lambda x: {"y": x * 2.0, "sum": x.sum(axis=0)}).compile(gradc.aval("f64[n,4]"), backend="llvm")
    watch.warm(kernel, np.ones((3, 4)))
    for rows in (3, 1, 7, 0, 3, 1, 33, 200, 2):
        x = np.arange(4.0 * rows).reshape(rows, 4)
        objects = set()
        for _ in range(8):
            result = watch.native(kernel, x)
            np.testing.assert_array_equal(result["y"], x * 2.0)
            np.testing.assert_array_equal(result["sum"], x.sum(axis=0))
            new = np.empty((rows, 4))
            assert result["y"].shape == new.shape
            assert result["y"].strides == new.strides
            assert result["y"].flags == new.flags
            objects.add(id(result["sum"]))
        if 0 < x.nbytes <= MOST_BYTES - 32:
            assert len(objects) <= KEPT


def test_results_that_are_large_at_run_time_are_not_kept(watch) -> None:
    kernel = gradc.jit(lambda x: {"y": x * 2.0}).compile(gradc.aval("f64[n]"), backend="llvm")
    watch.warm(kernel, np.ones(3))
    for size, kept in ((MOST_BYTES // 8, True), (MOST_BYTES // 8 + 1, False)):
        reference = weakref.ref(watch.native(kernel, np.ones(size))["y"])
        assert (reference() is not None) is kept
