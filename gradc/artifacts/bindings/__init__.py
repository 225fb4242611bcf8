"""Bindings: the functions of a C library for other languages, each written beside the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gradc.artifacts.bindings.bound import Bound
from gradc.artifacts.bindings.cpp import cpp_files
from gradc.artifacts.bindings.python import python_files
from gradc.artifacts.bindings.rust import rust_files
from gradc.errors import ArgumentError

_WRITERS: Final[dict[str, Callable[[Sequence[Bound], str], dict[str, str]]]] = {
    "cpp": cpp_files,
    "python": python_files,
    "rust": rust_files,
}
BINDINGS: Final = tuple(_WRITERS)
"""The languages, by the names that ``bindings=`` and ``--bindings`` know them by."""


def require_bindings(wanted: Sequence[str]) -> None:
    """Raise ArgumentError for a language that there are no bindings for."""
    if isinstance(wanted, str) or not all(isinstance(language, str) for language in wanted):
        raise ArgumentError(f'bindings={wanted!r} is no tuple of languages; write bindings=("{BINDINGS[0]}",)')
    for language in wanted:
        if language not in _WRITERS:
            raise ArgumentError(f"bindings={language!r} is not one of {', '.join(map(repr, BINDINGS))}")


def binding_files(functions: Sequence[Bound], name: str, wanted: Sequence[str], archive: bytes) -> dict[str, bytes]:
    """The files, by name, with which programs in the languages call the library ``name``.

    A crate has a copy of the static library ``archive``, so that it can be moved. Raises CompileError for names
    that a language could not have.
    """
    require_bindings(wanted)
    files: dict[str, str] = {}
    for language in dict.fromkeys(wanted):
        files |= _WRITERS[language](functions, name)
    copies = {f"{name}-rs/lib{name}.a": archive} if "rust" in wanted else {}
    return {file: text.encode() for file, text in files.items()} | copies
