"""The walls of the house: layers, lazy imports, small files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "gradc").rglob("*.py"))


def test_the_import_contracts_hold() -> None:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", ["networkx", "llvmlite", "jinja2", "rich", "click", "sympy", "scipy"])
def test_importing_gradc_leaves_the_dear_modules_alone(module: str) -> None:
    program = (
        "import sys, gradc; "
        "from gradc import Function, Kernel, aval, errors, grad, jit, value_and_grad, vjp; "
        f"sys.exit({module!r} in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_can_be_seen_at_once(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= 400, f"{length} lines want a second room"


def test_the_public_names_are_there() -> None:
    import gradc

    assert set(gradc.__all__) <= set(dir(gradc))
    for name in gradc.__all__:
        assert getattr(gradc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'gradient'"):
        _ = gradc.gradient
