"""Modules that test themselves, in a process that has NumPy alone."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError, CompileError


class Weights(NamedTuple):
    hidden: Any
    out: Any


def loss(w, x, y, *, scale=1.0):
    return np.mean((np.tanh(x @ w.hidden) @ w.out * scale - y) ** 2)


def picked(table, place, names):
    return {"row": table[place], "all": np.sum(table, axis=0), "names": [names["a"], names["b"]]}


def solved(a, b):
    return np.linalg.solve(a, b), np.linalg.cholesky(a @ a.T)


def everything(*rows, **named):
    return [row * named["factor"] for row in rows]


CASES = {
    "a network": (
        gradc.value_and_grad(loss),
        (Weights(np.ones((3, 4)), np.ones(4)), np.ones((6, 3)), np.ones(6)),
        {},
        3,
    ),
    "any batch": (
        gradc.value_and_grad(loss),
        (Weights(np.ones((3, 4)), np.ones(4)), gradc.aval("f64[n,3]"), gradc.aval("f64[n]")),
        {"scale": 2.0},
        3,
    ),
    "indices": (gradc.jit(picked), (np.ones((5, 2), "f4"), np.array([1, 3]), {"a": 1, "b": np.array(True)}), {}, 4),
    "matrices": (gradc.jit(solved), (np.eye(3), np.ones(3)), {}, 2),
    "many arguments": (gradc.jit(everything), (1.0, np.ones(2)), {"factor": 2.0}, 2),
}


ALONE = """
import runpy, sys
sys.path.insert(0, ".")
sys.modules["gradc"] = None  # importing gradc would raise from here on
runpy.run_module("made", run_name="__main__")
"""


def run(folder):
    return subprocess.run([sys.executable, "-I", "-c", ALONE], cwd=folder, capture_output=True, text=True)


@pytest.mark.parametrize("style", ["readable", "fast"])
@pytest.mark.parametrize("case", CASES)
def test_a_module_tests_itself(case, style, tmp_path):
    function, arguments, named, count = CASES[case]
    function.compile(*arguments, backend="numpy", name="made", **named).save(
        tmp_path / "made.py", style=style, selftest=True
    )
    done = run(tmp_path)
    assert (done.returncode, done.stdout) == (0, f"made: {count} results are as recorded\n"), done.stderr


def test_a_wrong_result_is_found(tmp_path):
    function, arguments, named, _ = CASES["a network"]
    function.compile(*arguments, backend="numpy", name="made", **named).save(tmp_path / "made.py", selftest=True)
    source = (tmp_path / "made.py").read_text()
    (tmp_path / "made.py").write_text(re.sub(r"= np\.tanh\(", "= 1.0001 * np.tanh(", source, count=1))
    done = run(tmp_path)
    assert done.returncode == 1
    assert re.match(r"L is \[[0-9.]+\] and \[[0-9.]+\] was recorded", done.stderr)


def test_a_module_without_one_has_none(tmp_path):
    gradc.jit(lambda x: x * 2.0).compile(1.0, backend="numpy", name="made").save(tmp_path / "made.py")
    assert "def _selftest" not in (tmp_path / "made.py").read_text()


def test_what_it_cannot_call_is_refused(tmp_path):
    kernel = gradc.jit(lambda x, f: f(x)).compile(1.0, np.tanh, backend="numpy", name="made")
    with pytest.raises(CompileError, match="tanh is compiled in, which a self-test cannot pass; save without one"):
        kernel.save(tmp_path / "made.py", selftest=True)
    with pytest.raises(ArgumentError, match='selftest=True is for format="py"'):
        kernel.save(tmp_path / "made", format="c", selftest=True)
