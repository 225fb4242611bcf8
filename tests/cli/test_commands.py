"""The commands, on the 2-2-1 network and a few functions around it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gradc as package
from gradc.cli.source import load

Gradc = Callable[..., object]
EMITS = ("graph", "derivation", "final", "numpy", "loops", "llvm", "asm", "c", "dot")
WEIGHTS = "w11,w12,w21,w22,v1,v2"


def test_the_version(gradc: Gradc) -> None:
    assert package.__version__ in gradc("--version").out


@pytest.mark.parametrize("command", ["compile", "show", "explain", "check"])
def test_help(gradc: Gradc, command: str) -> None:
    assert command in gradc("--help").out
    outcome = gradc(command, "--help")
    assert outcome.code == 0
    assert "FILE:FUNC" in outcome.out


def test_python_dash_m(net: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "gradc", "show", "net.py:annotated"], capture_output=True, text=True, check=True
    )
    assert "def annotated_grad(x: np.ndarray, scale: float)" in done.stdout


def test_compile_writes_a_module_that_runs(gradc: Gradc, net: Path) -> None:
    outcome = gradc("compile", "net.py:loss", "-o", "step.py", "--wrt", WEIGHTS, "--name", "step")
    assert outcome.code == 0
    assert outcome.out == ""
    assert "gradc: wrote step.py" in outcome.err
    spec = importlib.util.spec_from_file_location("step", net / "step.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    value, gradients = module.step(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0)
    assert value == pytest.approx(np.log1p(np.exp(-0.91)), rel=1e-14)
    assert gradients[4] == pytest.approx((1 / (1 + np.exp(-0.91)) - 1) * 0.5, rel=1e-12)


def test_compile_writes_c_source(gradc: Gradc, net: Path) -> None:
    outcome = gradc("compile", "net.py:loss", "-o", "build", "--wrt", WEIGHTS, "--format", "c")
    assert outcome.code == 0
    assert f"gradc: wrote {Path('build') / 'loss_grad'}.c and .h" in outcome.err
    assert sorted(file.name for file in (net / "build").iterdir()) == ["loss_grad.c", "loss_grad.h"]


def test_compile_writes_the_same_bytes_again(gradc: Gradc, net: Path) -> None:
    for name in ("one.py", "two.py"):
        gradc("compile", "net.py:nested", "--spec", "w.hidden=f64[4,2]", "--spec", "w.out=f64[4]", "--spec", "x=f64[2]",
              "-o", name)  # fmt: skip
    assert (net / "one.py").read_bytes() == (net / "two.py").read_bytes()


def test_compile_writes_a_forward_derivative(gradc: Gradc, net: Path) -> None:
    assert gradc("compile", "net.py:loss", "-o", "push.py", "--wrt", "v1,v2", "--derivative", "jvp").code == 0
    spec = importlib.util.spec_from_file_location("push", net / "push.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    value, tangent = module.loss_jvp(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1.0, 2.0, 1.0, tangents=(2.0, 0.0))
    assert value == pytest.approx(np.log1p(np.exp(-0.91)), rel=1e-14)
    assert tangent == pytest.approx(2 * (1 / (1 + np.exp(-0.91)) - 1) * 0.5, rel=1e-12)


@pytest.mark.parametrize(
    ("derivative", "told"),
    [("jacobian", "Jacobian of"), ("hessian", "Hessian of"), ("sparse_hessian", "Hessian in compressed columns of")],
)
def test_derivatives_by_each_element(gradc: Gradc, derivative: str, told: str) -> None:
    outcome = gradc("show", "net.py:loss", "--wrt", "w11,v1", "--derivative", derivative)
    assert outcome.code == 0
    assert f"{told} loss (net.py:" in outcome.out
    assert f"def loss_{derivative}(" in outcome.out
    assert f"gradc: {derivative} with respect to w11, v1" in outcome.err


def test_what_was_assumed_is_said(gradc: Gradc) -> None:
    said = gradc("show", "net.py:loss", "--emit", "final").err
    assert said.splitlines() == [
        "gradc: loss of w11, w12, w21, w22, v1, v2, x1, x2, y: float (example_args)",
        "gradc: value_and_grad with respect to w11: the first argument; --wrt chooses others",
    ]
    said = gradc("show", "net.py:annotated", "--emit", "final", "--derivative", "grad").err
    assert "annotated of x: f64[2,3]; scale: f64[] (annotation)" in said
    assert "grad with respect to x: the first argument" in said
    assert "kinked of x: f64[] (assumed)" in gradc("show", "net.py:kinked", "--emit", "final").err
    assert "value, no derivative" in gradc("show", "net.py:kinked", "--emit", "final", "--derivative", "value").err
    specs = ["--spec", "w.hidden=f64[4,2]", "--spec", "w['out']=f64[4]", "--spec", "x=f64[2]"]
    said = gradc("show", "net.py:nested", "--emit", "final", *specs).err
    assert "w['hidden']: f64[4,2]; w['out']: f64[4]; x: f64[2] (--spec)" in said
    said = gradc("show", "net.py:rows", "--emit", "final", "--spec", "x=f64[3]", "--spec", "count=3").err
    assert "rows of x: f64[3]; count: int (--spec)" in said


def test_a_name_that_was_chosen_is_said(gradc: Gradc, tmp_path: Path) -> None:
    """C has no names with other letters than those of ASCII."""
    (tmp_path / "model.py").write_text("def größe(x):\n    return x * x\n", encoding="utf-8")
    outcome = gradc("compile", f"{tmp_path / 'model.py'}:größe", "--format", "c", "-o", str(tmp_path / "c"))
    said = "größe as kernel_grad, in ASCII letters, digits and underscores; --name chooses others"
    assert f"gradc: {said}\n" in outcome.err
    outcome = gradc(
        "compile", f"{tmp_path / 'model.py'}:größe", "--format", "c", "-o", str(tmp_path / "c"), "--name", "g"
    )
    assert " as " not in outcome.err


def test_the_same_forms_as_the_kernel_has(gradc: Gradc, net: Path) -> None:
    function = load("net.py:annotated").function
    kernel = package.value_and_grad(function, wrt="x").compile(package.aval("f64[2,3]"), package.aval("f64[]"))
    expected = {
        "graph": str(kernel.trace), "derivation": str(kernel.derivation), "final": str(kernel.graph),
        "numpy": kernel.numpy_source, "loops": kernel.loops, "llvm": kernel.llvm_ir, "asm": kernel.assembly,
        "c": kernel.c_source,
    }  # fmt: skip
    for emit, text in expected.items():
        assert gradc("show", "net.py:annotated", "--emit", emit).out == text.rstrip("\n") + "\n"


@pytest.mark.parametrize("emit", EMITS)
def test_every_form_is_plain_where_it_is_piped(gradc: Gradc, emit: str) -> None:
    outcome = gradc("show", "net.py:loss", "--emit", emit)
    assert outcome.code == 0
    assert outcome.out
    assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="there is no pseudo-terminal")
def test_a_terminal_adds_colour_and_nothing_else(net: Path) -> None:
    import pty

    command = [sys.executable, "-m", "gradc", "show", "net.py:loss"]
    plain = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        pieces = []
        with contextlib.suppress(OSError):  # Linux says EIO where the other side has closed
            while piece := terminal.read1():
                pieces.append(piece)
    assert process.wait() == 0
    printed = b"".join(pieces).decode().replace("\r\n", "\n")
    assert "\x1b[" in printed
    assert re.sub(r"\x1b\[[0-9;]*m", "", printed) == plain


def test_an_encoding_without_greek_letters(net: Path) -> None:
    command = [sys.executable, "-m", "gradc", "explain", "net.py:loss"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    told = subprocess.run(command, capture_output=True, check=True, env=environment).stdout.decode("ascii")
    assert "y_hat = 1/(1 + exp(-z)) = \\u03c3(z)" in told


@pytest.mark.parametrize("after", ["trace", "canonicalize", "stabilize", "derivation", "final"])
def test_a_stage_can_be_chosen(gradc: Gradc, after: str) -> None:
    assert gradc("show", "net.py:loss", "--emit", "graph", "--after", after).out


def test_the_stages_differ_as_they_should(gradc: Gradc) -> None:
    written, stable = (
        gradc("show", "net.py:loss", "--emit", "graph", "--after", s).out for s in ("trace", "stabilize")
    )
    assert "logistic" not in written
    assert "logistic" in stable
    outcome = gradc("show", "net.py:loss", "--emit", "graph", "--after", "stabilize", "--stabilize", "off")
    assert outcome.code == 2


def test_dot_is_a_digraph_of_the_nodes(gradc: Gradc) -> None:
    drawn = gradc("show", "net.py:annotated", "--emit", "dot").out
    assert drawn.startswith("digraph gradc {\n")
    assert drawn.endswith("}\n")
    assert 'label="x\\nf64[2,3]", shape=box' in drawn
    assert len(re.findall(r"^  n\d+ \[label=", drawn, re.M)) == len(set(re.findall(r"\bn\d+\b", drawn)))


@pytest.mark.parametrize("format_", ["text", "latex", "json"])
def test_explain(gradc: Gradc, format_: str) -> None:
    outcome = gradc("explain", "net.py:loss", "--wrt", WEIGHTS, "--at", "example", "--format", format_)
    assert outcome.code == 0
    assert {"text": "dL/dy_hat", "latex": r"\hat", "json": '"sympy"'}[format_] in outcome.out


def test_explain_takes_every_argument_by_default(gradc: Gradc) -> None:
    outcome = gradc("explain", "net.py:loss", "--format", "json")
    assert "every argument of floating point; --wrt chooses others" in outcome.err
    assert {"w11", "v2", "x1", "y"} <= {step["wrt"] for step in json.loads(outcome.out)}


def test_explain_takes_shapes_without_numbers(gradc: Gradc) -> None:
    outcome = gradc(
        "explain", "net.py:nested", "--spec", "w.hidden=f64[4,2]", "--spec", "w.out=f64[4]", "--spec", "x=f64[2]"
    )
    assert outcome.code == 0
    assert "dL/dw['hidden']" in outcome.out


def test_explain_fills_in_the_numbers_of_the_example(gradc: Gradc) -> None:
    told = gradc("explain", "net.py:loss", "--wrt", WEIGHTS, "--at", "example").out
    for number in ("0.91", "0.7130", "0.3383", "-1.4025", "-0.2870", "-0.1435"):
        assert number in told


@pytest.mark.parametrize("backend", ["llvm", "numpy", "reference"])
def test_check_finds_a_right_gradient_right(gradc: Gradc, backend: str) -> None:
    outcome = gradc("check", "net.py:loss", "--backend", backend)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["argument", "aval", "checked", "worst", "error", "gradient", "there", "differences"]
    assert [line.split()[0] for line in lines[1:]] == [*WEIGHTS.split(","), "x1", "x2", "y"]
    assert all(line.split()[-1] == "ok" for line in lines[1:])


def test_check_draws_numbers_for_shapes(gradc: Gradc) -> None:
    outcome = gradc(
        "check", "net.py:nested", "--spec", "w.hidden=f64[20,5]", "--spec", "w.out=f64[20]", "--spec", "x=f64[5]"
    )
    assert outcome.code == 0
    assert [line.split()[:3] for line in outcome.out.splitlines()[1:]] == [
        ["w['hidden']", "f64[20,5]", "64"],
        ["w['out']", "f64[20]", "20"],
        ["x", "f64[5]", "5"],
    ]


def test_check_gives_symbolic_sizes_a_number(gradc: Gradc) -> None:
    outcome = gradc("check", "net.py:kinked", "--spec", "x=f64[batch,2]")
    assert outcome.code == 0
    assert outcome.out.splitlines()[1].split()[:3] == ["x", "f64[3,2]", "6"]


def test_check_in_single_precision(gradc: Gradc) -> None:
    specs = ["--spec", "w.hidden=f32[4,2]", "--spec", "w.out=f32[4]", "--spec", "x=f32[2]"]
    assert gradc("check", "net.py:nested", *specs).code == 0
    assert gradc("check", "net.py:nested", *specs, "--tolerance", "1e-12").code == 1


def test_check_finds_a_difference(gradc: Gradc) -> None:
    # By convention ReLU'(0) = 0; differences across the kink give 1/2.
    outcome = gradc("check", "net.py:at_the_kink")
    assert outcome.code == 1
    assert outcome.out.splitlines()[1].split() == ["x", "float", "1", "1.0e+00", "0", "0.5", "wrong"]
    assert "the gradient of at_the_kink is not that of finite differences in x" in outcome.err
    assert gradc("check", "net.py:at_the_kink", "--tolerance", "1").code == 0


def test_report_is_a_page_with_the_lines_of_the_function(gradc, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    written = gradc("report", "net.py:loss", "-o", str(out))
    assert (written.code, written.out) == (0, "")
    page = out.read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "def loss(w11, w12, w21, w22, v1, v2, x1, x2, y):" in page
    assert gradc("report", "net.py:loss").out == page


def test_report_is_not_written_where_it_cannot_be(gradc, net: Path, tmp_path: Path) -> None:
    before = (tmp_path / "net.py").read_text(encoding="utf-8")
    for place, message in [("net.py", "write to another"), ("none/report.html", "cannot be written"), ("", "is empty")]:
        refused = gradc("report", "net.py:loss", "-o", place)
        assert refused.code == 2
        assert message in refused.err
    assert (tmp_path / "net.py").read_text(encoding="utf-8") == before
