"""Modules over ctypes: the kernel's bits, the user's containers, and clear refusals."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, CompileError
from tests.artifacts.bindings.conftest import NAMES, Saved, flat

Bound = Callable[[str], Saved]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def function(saved: Saved) -> Callable[..., Any]:
    name = saved.kernel.name
    found: Callable[..., Any] = getattr(load(saved.folder / f"{name}.py"), name)
    return found


def described(results: Any) -> list[tuple[type, Any, Any, bytes]]:
    return [(type(leaf), leaf.dtype, leaf.shape, leaf.tobytes()) for leaf in flat(results)]


@pytest.mark.parametrize("name", NAMES)
def test_the_module_gives_the_kernels_bits(name: str, bound: Bound) -> None:
    saved = bound(name)
    found, expected = function(saved)(*saved.args), saved.kernel(*saved.args)
    assert described(found) == described(expected)
    assert repr(found) == repr(expected)  # the nesting too


@pytest.mark.parametrize("name", ["matrices", "classifier"])
def test_the_text(name: str, bound: Bound, golden: Callable[[str, str], None]) -> None:
    saved = bound(name)
    golden(f"bindings/{saved.kernel.name}.py", (saved.folder / f"{saved.kernel.name}.py").read_text())


def test_it_runs_where_only_numpy_is(bound: Bound) -> None:
    saved = bound("loss")
    program = (
        "import sys\nsys.modules['gradc'] = None\nimport loss_grad\n"
        "print(loss_grad.loss_grad(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0)[0])\n"
        "sys.exit([m for m in ('jinja2', 'networkx', 'llvmlite') if m in sys.modules] or 0)"
    )
    environment = os.environ | {"PYTHONPATH": str(saved.folder)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == saved.kernel(*saved.args)[0]


def test_arrays_with_gaps_are_copied(bound: Bound) -> None:
    saved = bound("matrices")
    w, x, y = saved.args
    wide = np.zeros((4, 10))
    wide[::2, ::2] = x
    bytes_ = np.zeros(y.nbytes + 1, np.uint8)
    unaligned = bytes_[1:].view(np.float64).reshape(y.shape)
    unaligned[:] = y
    given = ({"hidden": np.asfortranarray(w["hidden"]), "out": w["out"]}, wide[::2, ::2], unaligned)
    assert described(function(saved)(*given)) == described(saved.kernel(*saved.args))


def test_results_are_new_and_arguments_stay(bound: Bound) -> None:
    saved = bound("matrices")
    step = function(saved)
    before = [leaf.copy() for leaf in flat(saved.args)]
    first, second = step(*saved.args), step(*saved.args)
    assert not any(np.shares_memory(a, b) for a in flat(first) for b in [*flat(second), *flat(saved.args)])
    assert all((a == b).all() for a, b in zip(before, flat(saved.args), strict=True))


@pytest.mark.parametrize("batch", [0, 1, 40])
def test_sizes_are_read_off_the_arguments(batch: int, bound: Bound) -> None:
    saved = bound("regression")
    args = (saved.args[0], np.full((batch, 3), 0.25), np.full((batch, 2), 0.5))
    assert described(function(saved)(*args)) == described(saved.kernel(*args))


def test_threads_do_not_share_scratch_memory(bound: Bound) -> None:
    saved = bound("classifier")
    step = function(saved)
    inputs = [(saved.args[0], saved.args[1] * k, saved.args[2]) for k in range(64)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda args: described(step(*args)), inputs * 8))
    assert found == [described(saved.kernel(*args)) for args in inputs] * 8


def test_what_does_not_fit_is_refused(bound: Bound) -> None:
    saved = bound("matrices")
    step, (w, x, y) = function(saved), saved.args
    with pytest.raises(TypeError, match="x has dtype float32, expected float64"):
        step(w, x.astype(np.float32), y)
    with pytest.raises(TypeError, match="x has dtype >f8, expected float64"):
        step(w, x.astype(">f8"), y)
    with pytest.raises(ValueError, match=r"x has shape \(5, 2\), expected size 2 in axis 0"):
        step(w, x.T, y)
    with pytest.raises(ValueError, match="w has the keys"):
        step({"hidden": w["hidden"]}, x, y)
    saved = bound("regression")
    with pytest.raises(ValueError, match="expected batch = 7 in axis 0"):
        function(saved)(saved.args[0], saved.args[1], saved.args[2][:3])
    with pytest.raises(ValueError, match="mode is 'sum', and this module was compiled for 'mean'"):
        function(saved)(*saved.args, mode="sum")


def test_a_failed_check_is_an_exception(bound: Bound) -> None:
    saved = bound("classifier")
    layers, x, labels = saved.args
    with pytest.raises(IndexError, match="index is out of bounds for axis 1 with size 3"):
        function(saved)(layers, x, labels + 3)


def test_several_functions_share_a_module(tmp_path: Path, bound: Bound) -> None:
    first, second = bound("matrices"), bound("loss")
    library = gradc.Library("control").add(first.kernel, name="net").add(second.kernel, name="small")
    library.save(tmp_path, target="x86_64-linux", bindings=("python",))  # a version for each processor
    module = load(tmp_path / "control.py")
    status, expected = module.control_net(*first.args), first.kernel(*first.args)
    for found, wanted in zip(flat(status), flat(expected), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-15)
    assert module.control_small(*second.args)[0] == pytest.approx(second.kernel(*second.args)[0], rel=1e-13)
    assert "control_net_select" in (tmp_path / "control.py").read_text()


def reserved(threading: Any) -> Any:
    return threading * 2.0


def test_names_and_languages_that_cannot_be_are_refused(tmp_path: Path, bound: Bound) -> None:
    kernel = bound("loss").kernel
    with pytest.raises(ArgumentError, match="bindings='perl' is not one of "):
        kernel.save(tmp_path, format="lib", bindings=("perl",))
    with pytest.raises(ArgumentError, match="bindings='python' is no tuple of languages"):
        kernel.save(tmp_path, format="lib", bindings="python")
    with pytest.raises(ArgumentError, match=r"bindings=\('python',\) is for format=\"lib\", not for format=\"wasm\""):
        kernel.save(tmp_path, format="wasm", bindings=("python",))
    with pytest.raises(ArgumentError, match='call abi="c", not abi="casadi"'):
        kernel.save(tmp_path, format="lib", abi="casadi", bindings=("python",))
    single = gradc.grad(lambda a: a * a).compile(np.float32(1))
    with pytest.raises(ArgumentError, match="shared library, which cortex-m4 has none of"):
        single.save(tmp_path, format="lib", name="one", target="cortex-m4", bindings=("python",))
    with pytest.raises(CompileError, match="'threading' cannot be a name in a generated module"):
        gradc.jit(reserved).compile(1.0).save(tmp_path, format="lib", bindings=("python",))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["lambda", "None", "isinstance", "np", "threading", "_array", "numpy", "pathlib"])
def test_a_module_that_could_not_be_imported_is_refused(name: str, tmp_path: Path, bound: Bound) -> None:
    with pytest.raises((ArgumentError, CompileError), match=f"'{name}'"):
        bound("loss").kernel.save(tmp_path, format="lib", name=name, bindings=("python",))
    assert not list(tmp_path.iterdir())


def test_command_line_writes_bindings(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("def loss(x: float, y: float):\n    return (x * y - 1) ** 2\n")
    command = [sys.executable, "-m", "gradc", "compile", "net.py:loss", "--format", "lib", "-o", "build"]
    done = subprocess.run([*command, "--bindings", "perl"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "bindings='perl' is not one of" in done.stderr
    done = subprocess.run([*command, "--bindings", "python"], cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert float(load(tmp_path / "build" / "loss_grad.py").loss_grad(2.0, 3.0)[1]) == 30.0
