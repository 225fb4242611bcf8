"""``Kernel.save``: which artifact is written, and which choices belong to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from gradc.compiler import Compiled
from gradc.errors import ArgumentError
from gradc.request import ABIS, FORMATS, Format

_CHOICES: Final[dict[Format, tuple[str, ...]]] = {
    "py": ("style", "selftest"),
    "lib": ("name", "target", "cpu", "abi", "bindings"),
    "c": ("name", "target", "cpu"),
    "ir": ("name", "target", "cpu"),
    "wasm": ("name",),
}
"""What can be chosen for each format."""


def save(
    compiled: Compiled, path: str | os.PathLike[str], format: Format, own: str, choices: Mapping[str, Any]
) -> None:
    """Write an artifact of a kernel called ``own``. ``choices`` are None where nothing is chosen.

    Raises ArgumentError for choices that are not known or that the format does not have.
    """
    if format not in FORMATS:
        raise ArgumentError(f"format={format!r} is not one of {', '.join(map(repr, FORMATS))}")
    given = {choice: value for choice, value in choices.items() if value is not None}
    for choice, value in given.items():
        if choice not in _CHOICES[format]:
            others = " and ".join(f'"{other}"' for other, known in _CHOICES.items() if choice in known)
            raise ArgumentError(f'{choice}={value!r} is for format={others}, not for format="{format}"; leave it out')
    name = given.pop("name", own)
    abi = given.pop("abi", "c")
    if abi not in ABIS:
        raise ArgumentError(f"abi={abi!r} is not one of {', '.join(map(repr, ABIS))}")
    if format == "py":
        from gradc.artifacts.standalone import save_module

        save_module(compiled.module(given.get("style", "readable"), selftest=given.get("selftest", False)), path)
    elif format == "c":
        from gradc.artifacts.source import save_source

        save_source(compiled, path, name=name, **given)
    elif format == "ir":
        from gradc.artifacts.intermediate import save_ir

        save_ir(compiled, path, name=name, **given)
    elif format == "wasm":
        from gradc.artifacts.wasm import save_wasm

        save_wasm(compiled, path, name=name)
    elif abi == "casadi":
        if "bindings" in given:
            raise ArgumentError(f'bindings={given["bindings"]!r} call abi="c", not abi="casadi"; leave one of them out')
        from gradc.artifacts.casadi import save_casadi

        save_casadi(compiled, path, name=name, **given)
    else:
        from gradc.artifacts.library import save_library

        save_library(compiled, path, name=name, **given)
