"""Saved modules: as golden files, executed, in a process without gradc, refused arguments, whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.artifacts.standalone import save_module
from gradc.backends.numpy import load, render
from gradc.errors import ArgumentError
from gradc.ir.aval import Aval, aval, symbol
from gradc.ir.graph import Builder
from gradc.ir.signature import flat_signature
from tests.artifacts.kernels import NAMES


def flat(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for child in tree.values() for leaf in flat(child)]
    if isinstance(tree, list | tuple):
        return [leaf for child in tree for leaf in flat(child)]
    return [tree]


@pytest.mark.parametrize("name", NAMES)
def test_golden_module_computes_what_the_reference_does(
    name: str, sample: Callable[[str], Any], golden: Callable[[str, str], None]
) -> None:
    kernel, args = sample(name)
    golden(f"artifacts/{name}_grad.py", kernel.numpy_source)
    module = load(kernel.numpy_source, kernel.name)
    for actual, expected in zip(flat(module(*args)), flat(kernel(*args)), strict=True):
        assert (np.shape(actual), actual.dtype, type(actual)) == (np.shape(expected), expected.dtype, type(expected))
        np.testing.assert_allclose(actual, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", NAMES)
def test_lines_are_short(name: str, sample: Callable[[str], Any]) -> None:
    assert max(map(len, sample(name).kernel.numpy_source.splitlines())) <= 120


def test_module_runs_without_gradc(tmp_path: Path, sample: Callable[[str], Any]) -> None:
    kernel, args = sample("loss")
    kernel.save(tmp_path / "module.py")
    program = (
        "import sys; sys.modules.update(gradc=None, jinja2=None, networkx=None, llvmlite=None)\n"
        "import warnings; warnings.simplefilter('error')\n"
        f"import module; value, grads = module.{kernel.name}(*{args!r})\n"
        "print(float(value), [float(g) for g in grads])"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    value, grads = kernel(*args)
    assert ran.stdout.strip() == f"{float(value)} {[float(g) for g in grads]}"


def test_module_is_the_same_in_every_process() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import networks, gradc, numpy as np\n"
        "k = gradc.value_and_grad(networks.matrices).compile("
        "{'hidden': np.ones((2, 2)), 'out': np.ones((1, 2))}, np.ones((2, 5)), np.ones((1, 5)))\n"
        "sys.stdout.write(k.numpy_source)"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    sources = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(sources) == 1
    assert "    w: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray," in sources.pop()


@pytest.mark.parametrize("batch", [0, 1, 33])
def test_one_module_for_every_batch(batch: int, sample: Callable[[str], Any]) -> None:
    kernel, (w, _, _) = sample("regression")
    module = load(kernel.numpy_source, kernel.name)
    x, y = np.full((batch, 3), 0.25), np.full((batch, 2), 0.5)
    for actual, expected in zip(flat(module(w, x, y)), flat(kernel(w, x, y)), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-13)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda w, x, y: (w, x, y[:-1]), ValueError, "y has shape (6, 2), expected batch = 7 in axis 0"),
        (lambda w, x, y: (w, x[:, :2], y), ValueError, "x has shape (7, 2), expected size 3 in axis 1"),
        (lambda w, x, y: (w, x[0], y), ValueError, "x has shape (3,), expected 2 axes: ['batch', 3]"),
        (lambda w, x, y: (w, x.astype("f4"), y), TypeError, "x has dtype float32, expected float64"),
        (lambda w, x, y: (w, None, y), TypeError, "x has dtype object, expected float64"),
        (lambda w, x, y: ([1], x, y), TypeError, "w is a list, expected a dict with the keys ['a', 'b']"),
        (lambda w, x, y: ({"a": w["a"]}, x, y), ValueError, "w has the keys ['a'], expected ['a', 'b']"),
        (lambda w, x, y: ({**w, "b": 1.0}, x, y), ValueError, 'w["b"] has shape (), expected 1 axes: [2]'),
    ],
)
def test_unfit_arguments_are_refused_by_name(
    change: Callable[..., Any], error: type[Exception], message: str, sample: Callable[[str], Any]
) -> None:
    kernel, args = sample("regression")
    module = load(kernel.numpy_source, kernel.name)
    with pytest.raises(error) as caught:
        module(*change(*args))
    assert str(caught.value) == message
    with pytest.raises(ValueError, match="mode is 'sum', and this module was compiled for 'mean'"):
        module(*args, mode="sum")


def test_a_computed_size_is_checked_too() -> None:
    builder = Builder()
    ct, x = (
        builder.input("ct", Aval((2 * symbol("batch") + 1,), np.dtype(float))),
        builder.input("x", aval("f64[batch]")),
    )
    graph = builder.freeze([ct, x])
    module = load(render(graph, flat_signature(graph, ("ct", "x")), name="f"), "f")
    assert [r.size for r in module(np.ones(7), np.ones(3))] == [7, 3]
    with pytest.raises(ValueError, match=r"ct has shape \(6,\), expected size 7"):
        module(np.ones(6), np.ones(3))


def test_results_are_the_callers_own(sample: Callable[[str], Any]) -> None:
    kernel, args = sample("classifier")
    module = load(kernel.numpy_source, kernel.name)
    first, second = flat(module(*args)), flat(module(*args))
    for one, two in zip(first, second, strict=True):
        if one.ndim:
            one[...] = 7.0
            assert not np.shares_memory(one, two)
    for one, two in zip(flat(module(*args)), second, strict=True):
        assert np.array_equal(one, two)


def with_table(dtype: str) -> tuple[str, np.ndarray]:
    """A module that gives back a constant of 300 elements, and the constant."""
    bits = np.random.default_rng(5).integers(0, 2 if dtype == "bool" else 256, (300, np.dtype(dtype).itemsize), "u1")
    table = bits.view(dtype).reshape(20, 15)
    kernel = gradc.jit(lambda k: np.take(table, k, axis=0), name="look_up").compile(
        gradc.aval("i64[20]"), backend="numpy"
    )
    return kernel.numpy_source, table


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_large_constants_are_embedded_to_the_bit(dtype: str) -> None:
    source, table = with_table(dtype)
    assert max(map(len, source.splitlines())) <= 120
    found = load(source, "look_up")(np.arange(20))
    assert (found.dtype, found.tobytes()) == (table.dtype, table.tobytes())


def test_a_corrupted_character_of_a_large_constant_is_noticed_on_import(tmp_path: Path) -> None:
    source, _ = with_table("float32")
    head = '"float32", (20, 15),\n    "'
    start, end = source.index(head) + len(head), source.rindex('"""')
    places = range(start, end, 3)
    noticed = 0
    for place in places:
        for character in "A9*":
            damaged = source[:place] + character + source[place + 1 :]
            if damaged == source or source[place] in '\n", ':
                continue
            with pytest.raises(ImportError, match=r"constant CONSTANT in gradc\.generated\.look_up is damaged"):
                load(damaged, "look_up")
            noticed += 1
    assert noticed > 1000
    for damaged in (source.replace("(20, 15),\n", "(15, 20),\n"), source.replace('"float32", (20', '"int32", (20')):
        with pytest.raises(ImportError, match="is damaged"):
            load(damaged, "look_up")
    (tmp_path / "look_up.py").write_text(source[: end - 3] + "\n" + source[end:])
    ran = subprocess.run(
        [sys.executable, "-c", "import look_up"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stderr.splitlines()[-1] == (
        "ImportError: the constant CONSTANT in look_up is damaged: its SHA-256 differs; write the module again"
    )


def test_save_replaces_the_file_whole_or_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "module.py"
    save_module("first = 1\n", target)
    save_module("second = '\u00e9'\n", target)
    assert target.read_bytes() == "second = '\u00e9'\n".encode()

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_module("third = 3\n", target)
    assert target.read_bytes() == "second = '\u00e9'\n".encode()
    assert os.listdir(tmp_path) == ["module.py"]


def test_save_refuses_what_is_not_a_module(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"ends in \.py"):
        save_module("", tmp_path / "module.txt")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(ArgumentError, match="is a directory"):
        save_module("", tmp_path / "folder.py")


def test_what_is_no_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="saved to a path, not to None"):
        save_module("", None)
    with pytest.raises(FileNotFoundError) as missing:
        save_module("", tmp_path / "nowhere" / "x.py")
    assert missing.value.filename == str(tmp_path / "nowhere")
