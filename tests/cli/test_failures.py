"""What is wrong with a request is said in one line; the exit code is 2."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Gradc = Callable[..., object]

CASES = {
    "no colon": (["show", "net.py"], "'net.py' is not FILE:FUNC; write for example net.py:loss"),
    "no file": (["show", "missing.py:loss"], "there is no file missing.py"),
    "no function": (["show", "net.py:lost"], "net.py has no function 'lost'; did you mean 'loss'?"),
    "far from any function": (["show", "net.py:zzz"], "net.py has no function 'zzz'; its functions are loss, nested,"),
    "no such option": (["show", "net.py:loss", "--emitt", "graph"], "No such option"),
    "no such choice": (["show", "net.py:loss", "--emit", "tree"], "'tree' is not one of 'graph', 'derivation'"),
    "no output": (["compile", "net.py:loss"], "Missing option '-o'"),
    "spec without aval": (["show", "net.py:loss", "--spec", "y"], "--spec 'y' is not NAME=AVAL"),
    "spec of a bad aval": (["show", "net.py:loss", "--spec", "y=f65[2]"], "'f65[2]' is not an abstract value"),
    "spec without sizes": (["show", "net.py:loss", "--spec", "y=f64"], "write f64[] for a number"),
    "spec of a dict": (
        ["show", "net.py:loss", "--spec", "y={'a': f64[2]}"],
        "what holds arrays takes a --spec for each of them, such as 'y.hidden=f64[4,2]' in a dict or 'y[0]=f64[4,2]'",
    ),
    "spec of no argument": (
        ["show", "net.py:loss", "--spec", "q=f64[2]"],
        "--spec 'q=f64[2]': loss has no argument 'q', only w11, w12, w21, w22, v1, v2, x1, x2, y",
    ),
    "spec given twice": (["show", "net.py:loss", "--spec", "y=f64[]", "--spec", "y=f64[]"], "was given already"),
    "spec below an array": (
        ["show", "net.py:nested", "--spec", "w=f64[]", "--spec", "w.out=f64[]"],
        "--spec 'w.out=f64[]'",
    ),
    "wrt of no argument": (
        ["show", "net.py:annotated", "--wrt", "x,q"],
        "--wrt q: annotated has no argument 'q', only x, scale",
    ),
    "shapes that do not fit": (
        ["show", "net.py:wrong_shapes", "--spec", "x=f64[2,3]", "--spec", "y=f64[2,3]"],
        "f64[2,3]",
    ),
    "a scalar where none will do": (
        ["show", "net.py:nested"],
        "w, x taken for f64[]: if that is wrong, give --spec 'w=f64[...]' --spec 'x=f64[...]'",
    ),
    "a branch on data": (["show", "net.py:branching"], "return x if x > 0 else -x"),
    "an error of the user's own": (
        ["show", "net.py:failing", "--spec", "x=f64[]"],
        'KeyError: \'b\' (net.py:42: return {"a": x}["b"])',
    ),
    "no example": (["explain", "net.py:kinked", "--at", "example"], "net.py has no example_args that fits kinked"),
    "at something else": (["explain", "net.py:loss", "--at", "1,2"], "--at 1,2: write --at example"),
    "empty output": (["compile", "net.py:loss", "-o", ""], "write '-o .' for the working directory"),
    "name that is no identifier": (["compile", "net.py:loss", "-o", "x.py", "--name", "a b"], "is not an identifier"),
    "output over the file itself": (
        ["compile", "net.py:loss", "-o", "../{folder}/net.py"],
        "is the file of loss itself",
    ),
    "a tolerance below zero": (["check", "net.py:loss", "--tolerance", "-1"], "--tolerance -1.0: give a number from 0"),
    "a tolerance that is none": (
        ["check", "net.py:loss", "--tolerance", "nan"],
        "--tolerance nan: give a number from 0",
    ),
    "after without a graph": (
        ["show", "net.py:loss", "--emit", "numpy", "--after", "trace"],
        "--after chooses among graphs",
    ),
}


def test_a_name_that_cannot_be_has_nothing_to_do_with_what_is_assumed(gradc: Gradc, net: Path) -> None:
    outcome = gradc("compile", "net.py:loss", "-o", "x.py", "--name", "größe")
    assert outcome.err.endswith("name='größe' is not an identifier; choose ASCII letters, digits and underscores\n")


@pytest.mark.parametrize(("arguments", "message"), CASES.values(), ids=CASES.keys())
def test_the_message(gradc: Gradc, net: Path, arguments: list[str], message: str) -> None:
    outcome = gradc(*(argument.replace("{folder}", net.name) for argument in arguments))
    assert outcome.code == 2
    assert outcome.out == ""
    *notes, last = outcome.err.splitlines()
    assert message in last
    assert all(line.startswith("gradc: ") for line in (*notes, last))
    assert "Traceback" not in outcome.err


def test_a_syntax_error_is_shown_with_its_line(gradc: Gradc, net: Path) -> None:
    (net / "net.py").write_text("def loss(x):\n    return x +\n", encoding="utf-8")
    outcome = gradc("show", "net.py:loss")
    assert (outcome.code, outcome.err) == (2, "gradc: net.py:2: invalid syntax\n")


def test_a_file_that_raises_on_import(gradc: Gradc, net: Path) -> None:
    (net / "net.py").write_text("import numpy as np\nlimit = [][1]\n", encoding="utf-8")
    outcome = gradc("show", "net.py:loss")
    assert (outcome.code, outcome.err) == (2, "gradc: IndexError: list index out of range (net.py:2: limit = [][1])\n")


def test_a_file_that_is_not_python(gradc: Gradc, net: Path) -> None:
    for content in (b"\x00\xff\xfe", b"a\0b"):
        (net / "net.py").write_bytes(content)
        outcome = gradc("show", "net.py:loss")
        assert outcome.code == 2
        assert "None" not in outcome.err


def test_what_the_file_prints_goes_to_stderr(gradc: Gradc, net: Path) -> None:
    text = "print('loading')\n\ndef square(x):\n    print('in', x.shape)\n    return x * x\n"
    (net / "net.py").write_text(text, encoding="utf-8")
    outcome = gradc("explain", "net.py:square", "--format", "json")
    assert json.loads(outcome.out)[0]["name"] == "dL/dx"
    assert "loading\n" in outcome.err
    assert "in ()\n" in outcome.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk(net: Path) -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "gradc", "show", "net.py:loss"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "gradc: No space left on device"
    assert "Traceback" not in done.stderr


PATHS = {
    "missing/loss_grad.py": "missing/loss_grad.py cannot be written: No such file or directory",
    "taken.py": "'taken.py' is a directory",
    "loss_grad.txt": "a standalone module needs a name that ends in .py: 'loss_grad.txt'",
}


@pytest.mark.parametrize(("path", "message"), PATHS.items())
def test_a_path_that_cannot_be_written(gradc: Gradc, net: Path, path: str, message: str) -> None:
    (net / "taken.py").mkdir()
    before = sorted(net.rglob("*"))
    outcome = gradc("compile", "net.py:loss", "-o", path)
    assert outcome.code == 2
    assert outcome.err.splitlines()[-1] == f"gradc: {message}"
    assert sorted(p for p in net.rglob("*") if "__pycache__" not in p.parts) == before


@pytest.mark.parametrize("command", [["show", "net.py:loss", "--emit", "derivation"], ["check", "net.py:annotated"]])
def test_a_reader_that_has_enough(net: Path, command: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gradc", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert all(line.startswith("gradc: ") for line in complaints.splitlines() if line)
