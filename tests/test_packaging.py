"""What is installed is what stands in the checkout."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from setuptools import find_packages

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_package_is_listed() -> None:
    found = {"gradc", "gradc.templates"} | {f"gradc.{name}" for name in find_packages(str(ROOT / "gradc"))}
    assert PROJECT["tool"]["setuptools"]["packages"] == sorted(found)


def test_every_folder_with_modules_is_a_package() -> None:
    for module in (ROOT / "gradc").rglob("*.py"):
        assert (module.parent / "__init__.py").exists(), f"{module.parent} has no __init__.py"


@pytest.mark.parametrize("name", ["casadi", "scipy", "sympy", "mpmath", "hypothesis"])
def test_what_tests_skip_without_comes_with_dev(name: str) -> None:
    wanted = PROJECT["project"]["optional-dependencies"]["dev"]
    assert any(re.match(rf"{name}>=\d", requirement) for requirement in wanted)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy of the tracked sources so that the checkout stays clean."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in ("gradc", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    program = f"from setuptools import build_meta; build_meta.build_wheel({str(copy / 'dist')!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return next((copy / "dist").glob("*.whl"))


def test_the_wheel_holds_modules_templates_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "gradc").rglob("*.py")}
    templates = {f"gradc/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "templates").rglob("*.j2")}
    assert templates
    assert modules | templates | {"gradc/templates/__init__.py", "gradc/py.typed"} <= names
    assert any(name.endswith("/LICENSE") for name in names)


def test_the_version_is_said_once(wheel: Path) -> None:
    import gradc

    assert wheel.name.split("-")[1] == gradc.__version__
    assert f"## {gradc.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
