"""Kernels from the cache: the same bits without LLVM's code generation, and never under a key that is not theirs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc import compiler, config, derived
from gradc.backends.llvm import cache, jit, stamp
from gradc.backends.llvm.machine import host
from gradc.errors import CompileError, IndexBoundsError
from gradc.function import Function
from gradc.ir.graph import Builder
from gradc.kernel import Kernel
from gradc.passes import periods
from gradc.passes.roll import is_rolled

MADE = {"runs", "final", "derivation", "loops_of", "program", "llvm_ir"}
"""What a hit makes when it is asked for."""

MADE_BY = {"gradc": "0", "sources": "0", "llvmlite": "0", "llvm": "0"}

FRESH = """
import hashlib, json, sys
import numpy as np
import gradc
from gradc.backends.llvm import jit, stamp

generated = []
original = jit.object_code
jit.object_code = lambda ir: generated.append(1) or original(ir)
from gradc.backends.llvm import cache
stamp.sources_digest = lambda package, imported: "sources"

TABLE = np.linspace(0.0, 1.0, 3000)

def loss(w, x):
    h = np.tanh(x @ w)
    return np.mean(np.exp(h) * TABLE[:7] ) + np.sum(TABLE * TABLE[0])

w, x = np.linspace(-1, 1, 35).reshape(5, 7), np.linspace(0, 2, 20).reshape(4, 5)
value, slope = gradc.value_and_grad(loss)(w, x)
lazy = "gradc.loops.lowering.lower" in sys.modules
print(json.dumps([value.hex(), hashlib.sha256(slope.tobytes()).hexdigest(), len(generated), lazy]))
"""


def loss(w: np.ndarray, x: np.ndarray) -> Any:
    return np.mean(np.tanh(x @ w) ** 2)


W, X = np.linspace(-1, 1, 12).reshape(3, 4), np.linspace(0, 2, 6).reshape(2, 3)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, switched on. The sources count as unchanged, even where they are edited while tests run."""
    monkeypatch.setattr(cache, "stamp", lambda: MADE_BY)
    monkeypatch.setenv("GRADC_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The modules that LLVM made code for."""
    seen: list[str] = []

    def counted(ir: str) -> bytes:
        seen.append(ir)
        return jit.object_code(ir)

    monkeypatch.setattr(cache, "object_code", counted)
    return seen


def run(kernel: Kernel, *arrays: np.ndarray) -> list[bytes]:
    """The bits of the results. A new kernel each time: a Compiled keeps its entry."""
    return [result.tobytes() for result in kernel._compiled.entry(arrays)]


def compiled(function: Callable[..., Any] = loss, *arrays: np.ndarray, **options: Any) -> Kernel:
    return gradc.value_and_grad(function, **options).compile(*(arrays or (W, X)))


def key_of(kernel: Kernel, made_by: dict[str, str] = MADE_BY) -> str:
    return cache.key_of(kernel._compiled.source, repr(kernel._compiled.request), made_by)


def test_a_hit_gives_the_same_bits_and_generates_no_code(folder: Path, generated: list[str]) -> None:
    first = run(compiled(), W, X)
    assert len(generated) == 1
    assert len(list(folder.iterdir())) == 1
    hit = compiled()
    assert run(hit, W, X) == first
    assert vars(hit._compiled).keys() & MADE == set()
    assert len(generated) == 1
    with config.cache_dir(""):
        assert run(compiled(), W, X) == first


def polar(z: np.ndarray) -> Any:
    return np.sum(np.abs(z * z + 1j)), z.conj() * 2


def picked(x: np.ndarray, k: np.ndarray) -> Any:
    return np.sum(x[k] ** 2)


KINDS: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "value": (lambda: gradc.jit(loss), (W, X)),
    "gradient": (lambda: gradc.value_and_grad(loss, wrt=("w", "x")), (W, X)),
    "pushforward": (lambda: partial(Function(loss, derivative="jvp"), tangents=(W, X)), (W, X)),
    "pullback": (lambda: partial(Function(renamed, derivative="vjp"), ct=2.0), (W, X)),
    "hessian": (lambda: gradc.hessian(loss), (W, X)),
    "complex": (lambda: gradc.jit(polar), (np.array([1 + 2j, -3j]),)),
    "complex inside": (lambda: gradc.jit(lambda x: np.abs(np.exp(1j * x) + 1)), (X,)),
    "checks": (lambda: gradc.value_and_grad(picked), (X[0], np.array([0, 2, 0]))),
    "rules": (lambda: gradc.grad(lambda w: np.sum(gradc.checkpoint(np.tanh)(w) * doubled(w))), (W,)),
    "numbers": (lambda: gradc.value_and_grad(lambda a, n: a * n), (2, 3.5)),
}


@gradc.custom_derivative(vjp=lambda ct, out, x: (3.0 * ct,))
def doubled(x: np.ndarray) -> Any:
    return 2.0 * x


def bits(result: Any) -> Any:
    if isinstance(result, (tuple, list)):
        return [bits(part) for part in result]
    return type(result), np.asarray(result).dtype, np.asarray(result).tobytes()


def shown(kernel: Kernel) -> list[Any]:
    return [kernel.cost, str(kernel.graph), kernel.loops, kernel.llvm_ir, kernel.assembly, kernel.numpy_source]


@pytest.mark.parametrize("kind", KINDS)
def test_a_hit_differentiates_simplifies_and_lowers_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    make, arguments = KINDS[kind]
    function = make()
    expected = [bits(function(*arguments)) for _ in range(4)]

    def ran(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a pass ran")

    for name in ("differentiate", "simplify", "roll", "release", "gather_writes"):
        monkeypatch.setattr(derived, name, ran)
    for name in ("differentiate", "derive", "derived", "split_complex"):
        monkeypatch.setattr(compiler, name, ran)
    if kind != "rules":  # a function with a rule is a graph in the trace
        monkeypatch.setattr(Builder, "freeze", ran)
    hit = make()
    assert [bits(hit(*arguments)) for _ in range(4)] == expected
    ((_, kernel),) = next(iter(getattr(hit, "func", hit)._kernels.values()))
    assert vars(kernel._compiled).keys() & MADE == set()
    assert repr(kernel)
    assert kernel.signature


def test_a_hit_is_verified_where_that_is_asked_for(folder: Path) -> None:
    run(compiled(), W, X)
    with config.verify(True):
        assert "runs" in vars(compiled()._compiled)


def test_a_kernel_without_loops_of_recurrences_is_another(folder: Path, generated: list[str]) -> None:
    run(compiled(), W, X)
    with config.roll(False):
        run(compiled(), W, X)
    assert len(generated) == 2


def test_a_constant_that_is_computed_while_compiling_is_kept_with_the_code(folder: Path, generated: list[str]) -> None:
    table = np.linspace(0.0, 1.0, 5000)

    def lookup(k: np.ndarray) -> Any:
        return np.flip(np.sqrt(table + k[0] * 0))[k] + (np.cumsum(table[::-1]) + k[0] * 0)[k]

    k = np.array([3, 4999])
    first = run(gradc.jit(lookup).compile(k), k)
    assert run(gradc.jit(lookup).compile(k), k) == first
    expected = np.sqrt(table)[::-1][k] + np.cumsum(table[::-1])[k]
    np.testing.assert_allclose(np.frombuffer(first[0]), expected, rtol=1e-15)
    assert len(generated) == 1


def test_a_hit_shows_everything_that_a_miss_shows(folder: Path) -> None:
    miss = compiled()
    run(miss, W, X)
    hit = compiled()
    run(hit, W, X)
    assert shown(hit) == shown(miss)


def test_a_fresh_process_gets_the_same_bits_without_lowering(tmp_path: Path) -> None:
    def fresh(directory: str) -> list[Any]:
        environment = os.environ | {"GRADC_CACHE_DIR": directory}
        command = [sys.executable, "-W", "error", "-c", FRESH]
        found: list[Any] = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)
        return found

    none, miss, hit = fresh(""), fresh(str(tmp_path / "cache")), fresh(str(tmp_path / "cache"))
    assert none[:2] == miss[:2] == hit[:2]
    assert miss[2:] == [1, True]
    assert hit[2:] == [0, False]


def test_no_directory_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generated: list[str]) -> None:
    monkeypatch.delenv("GRADC_CACHE_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    assert run(compiled(), W, X) == run(compiled(), W, X)
    assert list(tmp_path.iterdir()) == []


# Keys.


def renamed(w: np.ndarray, x: np.ndarray) -> Any:
    inner = np.tanh(x @ w) ** 2
    return np.mean(inner)


def test_each_part_of_a_key_changes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    own = compiled()
    key = key_of(own)
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert key_of(compiled()) == key
    others = {
        "shape": compiled(loss, W, X[:1]),
        "dtype": compiled(loss, W.astype("f4"), X.astype("f4")),
        "argument": compiled(loss, wrt=("w", "x")),
        "derivative": gradc.jit(loss).compile(W, X),
        "stabilize": compiled(loss, stabilize="off"),
        "name": compiled(loss, name="other"),
        "names of values and lines": compiled(renamed),
        "op": compiled(lambda w, x: np.mean(np.sin(x @ w) ** 2)),
        "param": compiled(lambda w, x: np.mean(np.tanh(x @ w) ** 3)),
    }
    keys = {what: key_of(kernel) for what, kernel in others.items()}
    for part in MADE_BY:
        keys[part] = key_of(own, MADE_BY | {part: "1"})
    machine = host()
    for part, value in {"triple": "x", "cpu": "x", "features": "x", "vector_bits": 64, "registers": 4}.items():
        changed = type(machine)(**{f: getattr(machine, f) for f in machine.__slots__} | {part: value})
        monkeypatch.setattr(cache, "host", lambda changed=changed: changed)
        keys[part] = key_of(own)
    assert len({key, *keys.values()}) == 1 + len(keys), keys


def test_every_bit_of_a_constant_counts() -> None:
    def with_constant(constant: np.ndarray) -> str:
        return key_of(gradc.jit(lambda x: np.sum(x * constant), name="f").compile(np.ones_like(constant)))

    large = np.linspace(0, 1, 5000)
    changed = large.copy()
    changed[4321] = np.nextafter(changed[4321], 2)
    zeros, negative = np.zeros(3), -np.zeros(3)
    keys = [with_constant(c) for c in (large, changed, large.reshape(50, 100), zeros, negative, np.zeros(3, "f4"))]
    assert len(set(keys)) == len(keys)
    assert with_constant(large) == keys[0]


def test_the_stamp_tells_the_versions_and_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite

    monkeypatch.setattr(stamp, "sources_digest", lambda package, imported: "digest")
    made_by = stamp.stamp.__wrapped__()
    assert made_by is not None
    assert set(made_by) == set(MADE_BY)
    assert (made_by["gradc"], made_by["llvmlite"], made_by["sources"]) == (
        gradc.__version__,
        llvmlite.__version__,
        "digest",
    )
    assert re.fullmatch(r"\d+\.\d+\.\d+", made_by["llvm"])


def test_the_digest_covers_every_module_between_a_graph_and_its_code() -> None:
    program = (
        "import sys, gradc.compiler, gradc.loops.lowering.lower, gradc.backends.llvm.cache, gradc.backends.llvm.emit\n"
        "print(*[m.__file__ for n, m in sorted(sys.modules.items()) if n.startswith('gradc.')], sep='\\n')"
    )
    listed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    package = Path(gradc.__file__).parent
    covered = set(stamp._sources(package))
    used = {Path(file) for file in listed.split() if Path(file).read_bytes().strip()}
    assert {file for file in used - covered if file != package / "backends" / "__init__.py"} == set()


def sources(place: Path) -> Path:
    for part in stamp.SOURCES:
        file = place / part if part.endswith(".py") else place / part / "one.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"# {part}\n")
    return place


def test_the_digest_of_sources_tells_every_change(tmp_path: Path) -> None:
    package = sources(tmp_path)
    later = time.time_ns() + 10**12
    digests = {stamp.sources_digest(package, later)}
    for change in (
        lambda: (package / "ir" / "one.py").write_text("# IR\n"),
        lambda: (package / "ops" / "one.py").rename(package / "ops" / "two.py"),
        lambda: (package / "loops" / "inner").mkdir() or (package / "loops" / "inner" / "new.py").write_text(""),
        lambda: (package / "backends" / "llvm" / "one.py").unlink(),
    ):
        change()
        digests.add(stamp.sources_digest(package, later))
    assert len(digests) == 5
    assert None not in digests
    assert stamp.sources_digest(package, later) in digests


def test_sources_that_changed_after_the_import_or_are_missing_have_no_digest(tmp_path: Path) -> None:
    package = sources(tmp_path)
    assert stamp.sources_digest(package, time.time_ns() + 10**12) is not None
    assert stamp.sources_digest(package, time.time_ns() - 10**12) is None
    assert stamp.sources_digest(tmp_path / "nowhere", time.time_ns() + 10**12) is None


def test_without_a_digest_nothing_is_kept_and_that_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "sources_digest", lambda package, imported: None)
    monkeypatch.setattr(cache, "stamp", stamp.stamp.__wrapped__)
    monkeypatch.setenv("GRADC_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.warns(RuntimeWarning, match="machine code is not kept in GRADC_CACHE_DIR"):
        run(compiled(), W, X)
    assert not (tmp_path / "cache").exists()


# What an entry holds.


def test_large_constants_come_from_the_graph_and_small_ones_with_the_code(folder: Path, generated: list[str]) -> None:
    rng = np.random.default_rng(0)
    large, small, flags = rng.normal(size=40_000), rng.normal(size=50), rng.random(9000) > 0.5

    def lookup(k: np.ndarray, j: np.ndarray) -> Any:
        zero = k[0] * 0
        return (large + zero)[k] + (small + zero)[j] + np.where((flags > zero)[k % 9000], 1.0, 2.0)

    arguments = np.array([3, 39_999, 8999]), np.array([0, 49, 7])
    first = run(gradc.jit(lookup).compile(*arguments), *arguments)
    (entry,) = folder.iterdir()
    assert entry.stat().st_size < large.nbytes / 4  # the flags, made numbers while compiling, are with the code
    assert run(gradc.jit(lookup).compile(*arguments), *arguments) == first
    expected = large[arguments[0]] + small[arguments[1]] + np.where(flags[arguments[0] % 9000], 1.0, 2.0)
    assert np.frombuffer(first[0]).tolist() == expected.tolist()
    assert len(generated) == 1


def test_a_rolled_recurrence_is_kept(folder: Path, generated: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "LEAST_SAVED", 20)
    table = np.linspace(0.0, 1.0, 3000)

    def repeated(steps: int) -> Callable[..., Any]:
        def recurrence(w: np.ndarray, x: np.ndarray) -> Any:
            h = w
            for t in range(steps):
                h = np.tanh(h * table + x[t]) + h
            return np.sum(h)

        return recurrence

    w, x = np.linspace(-1.0, 1.0, 3000), np.linspace(0.0, 1.0, 20)
    first = compiled(repeated(12), w, x)
    bits = run(first, w, x)
    assert is_rolled(first._compiled.runs)
    assert run(compiled(repeated(12), w, x), w, x) == bits
    assert len(generated) == 1
    assert run(compiled(repeated(13), w, x), w, x) != bits
    assert len(generated) == 2


def test_a_check_tells_the_same_words(folder: Path, generated: list[str]) -> None:
    def pick(x: np.ndarray, k: np.ndarray) -> Any:
        return np.sum(x[k])

    def message() -> str:
        with pytest.raises(IndexBoundsError) as caught:
            run(gradc.jit(pick).compile(np.ones(5), np.array([0, 1])), np.ones(5), np.array([0, 7]))
        return str(caught.value)

    assert message() == message()
    assert len(generated) == 1


@pytest.mark.parametrize("name", ["tanh", "main", "memset"])
def test_a_kernel_may_be_called_as_a_function_of_the_c_library(folder: Path, generated: list[str], name: str) -> None:
    first = run(compiled(name=name), W, X)
    assert run(compiled(name=name), W, X) == first == run(compiled(name="plain"), W, X)
    assert len(generated) == 2


def test_many_kernels_from_one_entry_live_side_by_side(folder: Path, generated: list[str]) -> None:
    kernels = [compiled() for _ in range(20)]
    assert len({tuple(run(kernel, W, X)) for kernel in kernels}) == 1
    del kernels[::2]
    assert len({tuple(run(kernel, W, X)) for kernel in kernels}) == 1
    assert len(generated) == 1


# What goes wrong.


@pytest.mark.filterwarnings("ignore:the cache directory .* damaged")
def test_a_damaged_entry_is_compiled_anew(folder: Path, generated: list[str]) -> None:
    first = run(compiled(), W, X)
    (entry,) = folder.iterdir()
    right = entry.read_bytes()
    entry.write_bytes(right[: len(right) // 2])
    assert run(compiled(), W, X) == first
    assert len(generated) == 2
    assert entry.read_bytes() == right
    assert run(compiled(), W, X) == first
    assert len(generated) == 2


def test_an_entry_that_does_not_link_here_is_compiled_anew(folder: Path, generated: list[str]) -> None:
    kernel = compiled()
    program, facts = kernel._compiled.program, cache.Facts((), (), (0, 0))
    foreign = kernel.llvm_ir + "\ndeclare void @no_such_function_here()\n"
    foreign = foreign.replace("entry:\n", "entry:\n  call void @no_such_function_here()\n", 1)
    assert "call void @no_such" in foreign
    content = cache.packed(program, facts, jit.object_code(foreign), kernel._compiled.source)
    place = kernel._compiled.place
    assert place is not None
    place.store.put(place.key, content)
    with config.cache_dir(""):
        expected = run(compiled(), W, X)
    assert run(compiled(), W, X) == expected
    assert len(generated) == 1
    assert run(compiled(), W, X) == expected
    assert len(generated) == 1


def test_a_directory_that_others_can_write_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(CompileError, match=f"{folder} can be written by other users .*chmod 700 {folder}"):
        _ = compiled()._compiled.entry
    assert list(folder.iterdir()) == []


def test_a_directory_that_cannot_be_used_is_told_and_compiling_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRADC_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with pytest.warns(RuntimeWarning, match="cannot be used: Not a directory") as told:
        first = run(compiled(), W, X)
    assert len(told) == 1
    assert run(compiled(), W, X) == first


def test_processes_that_compile_one_function_at_once(tmp_path: Path) -> None:
    environment = os.environ | {"GRADC_CACHE_DIR": str(tmp_path / "cache")}
    command = [sys.executable, "-W", "error", "-c", FRESH]
    started = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) for _ in range(3)]
    results = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len({json.loads(result)[1] for result in results}) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_relative_directory_in_one_that_is_gone_is_told_and_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with config.cache_dir("kernels"), pytest.warns(RuntimeWarning, match="kernels .*it cannot be used"):
        assert gradc.jit(lambda x: x + 1.25)(1.0) == 2.25
