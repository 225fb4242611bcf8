"""The comparison with other tools: its workloads and gradients by hand are right, its command runs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
DEEP = ("lstm", "ode")
NAMES = (
    "backprop221", "mlp_small", "mlp_mnist", "cnn", "attention", "lstm", "ode", "elementwise_chain", "blackscholes",
    "rosenbrock", "ba", "logreg", "gmm", "gp_nll",
)  # fmt: skip


@pytest.fixture
def peers(monkeypatch):
    """The modules of the comparison."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import peers.by_hand
    import peers.reference
    import peers.tables
    import peers.workloads

    return peers


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "compare.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_workload_is_there(peers):
    assert sorted(peers.workloads.WORKLOADS) == sorted(NAMES)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.nightly) if n in DEEP else n for n in NAMES]
)  # fmt: skip
def test_references_agree_with_differences_and_gradients_by_hand(peers, name, tmp_path):
    work = peers.workloads.WORKLOADS[name]
    counts = peers.reference.make_reference(work, tmp_path / "reference.npz")
    assert counts["flops"] > 0
    assert counts["bytes"] > 0
    form = peers.by_hand.FORMS.get(name)
    if form is None:
        return
    doubles = peers.workloads.in_double(work.inputs())
    value, gradients = form(*doubles)
    with np.load(tmp_path / "reference.npz") as reference:
        np.testing.assert_allclose(value, reference["value"], rtol=1e-12)
        for k, gradient in enumerate(peers.workloads.leaves(gradients)):
            expected = reference[f"gradient{k}"]
            np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


def test_a_wrong_reference_is_refused(peers, tmp_path, monkeypatch):
    work = peers.workloads.WORKLOADS["rosenbrock"]
    moved = peers.reference._moved
    monkeypatch.setattr(peers.reference, "_moved", lambda tree, direction, step: moved(tree, direction, 1.1 * step))
    with pytest.raises(RuntimeError, match=r"the reference's slope .* and the difference .* disagree"):
        peers.reference.make_reference(work, tmp_path / "reference.npz")


def test_the_command_writes_tables(tmp_path):
    table = tmp_path / "table.md"
    done = run(
        "--workloads", "backprop221", "--peers", "gradc,numpy", "--rounds", "1", "--seconds", "0.01",
        "--markdown", str(table),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "backprop221, gradc: ok" in done.stderr
    written = table.read_text(encoding="utf-8")
    assert "| backprop221 |" in written
    assert "WRONG" not in written
    assert "level or ahead on 1 of 1" in written


def test_the_command_lists_and_refuses():
    listed = run("--list")
    assert listed.returncode == 0
    assert all(name in listed.stdout for name in NAMES)
    refused = run("--workloads", "gmn")
    assert refused.returncode == 2
    assert "'gmn' is not one of backprop221" in refused.stderr


def test_what_is_wrong_is_not_ranked(peers):
    rows = {
        "gradc": {"status": "ok", "seconds": 2.0, "first": 1.0, "peak": 10.0},
        "jax": {"status": "ok", "seconds": 3.0, "first": 4.0, "peak": 20.0},
        "torch": {"status": "wrong", "seconds": 1.0, "why": "off by 1"},
    }
    report = {"threads": 1, "peers": list(rows), "workloads": {"w": {"peers": rows, "floor": 1.0}}}
    verdict, times, first, peak = peers.tables.tables(report)
    assert verdict[2][0] == ["w", "2 s", "2.0", "jax", "3 s", "1.50"]
    assert times[2] == [["w", "2 s", "1.50", "WRONG"]]
    assert first[2] == [["w", "1 s", "4.00", "WRONG"]]
    assert peak[2] == [["w", "10", "20", "WRONG"]]
    assert peers.tables.faults(report) == ["w, torch: wrong: off by 1"]
