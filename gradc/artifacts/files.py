"""Writing files: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from typing import Final

from gradc.errors import ArgumentError
from gradc.request import Format

_HEADERS: Final[dict[Format, bytes]] = {
    "c": b"For source in C99.",
    "ir": b"As LLVM IR,",
    "wasm": b"Runs as WebAssembly",
    "lib": b"Runs on",
}
"""The words in the head of a header by which it is known whose it is."""

_WRITTEN_BY_HAND: Final = (".c", ".h", ".hpp", ".mjs", ".py")
"""Endings of files that gradc writes and people do too; those of gradc's say so in their head."""

_HEAD: Final = 4096


def write_file(content: bytes, target: str) -> None:
    """Write a file, replacing what was there in one step.

    Whoever reads it sees the old content or the new, never a part; a failure leaves no trace. Raises OSError where the
    directory is missing or cannot be written.
    """
    _replace(_written(content, target), target)


def write_files(contents: Mapping[str, bytes], folder: str | os.PathLike[str], format: Format) -> None:
    """Write files by their names into a directory, which is made where it is missing, as are folders in names.

    All are written aside before the first appears under its name, and those of two processes appear one after the
    other. Raises ArgumentError where ``folder`` is a file, and where a file of another ``format`` or one that gradc did
    not write would be replaced; OSError where the directory cannot be written.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError(f"files are saved into a directory, not into {folder!r}")
    path = os.path.abspath(os.fspath(folder))
    if os.path.exists(path) and not os.path.isdir(path):
        raise ArgumentError(f"{os.fspath(folder)!r} is a file; give a directory")
    os.makedirs(path, exist_ok=True)
    targets = {os.path.join(path, name): content for name, content in contents.items()}
    aside: dict[str, str] = {}
    try:
        for target, content in targets.items():
            if os.path.isdir(target):
                raise ArgumentError(f"{target!r} is a directory")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _require_own(target, content, format)
            aside[target] = _written(content, target)
        with _alone_in(path):
            for target, content in targets.items():
                _require_own(target, content, format)
            for target, temporary in aside.items():
                _replace(temporary, target)
    finally:
        for temporary in aside.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


@contextlib.contextmanager
def _alone_in(folder: str) -> Iterator[None]:
    """Wait until no other process puts files into a directory, and let none do so meanwhile, where the system can."""
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, PermissionError):
        yield
        return
    try:
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _require_own(target: str, content: bytes, format: Format) -> None:
    """Raise ArgumentError where ``content`` would replace a file that is no earlier form of it."""
    if not target.endswith(_WRITTEN_BY_HAND):
        return
    try:
        with open(target, "rb") as file:
            old = file.read(_HEAD)
    except FileNotFoundError:
        return
    if old and b"gradc" not in old:
        raise ArgumentError(f"{target!r} is not of gradc's making and would be replaced; choose another place or name=")
    found = _format_of(target, old)
    if found is not None and found != _format_of(target, content[:_HEAD]):
        raise ArgumentError(
            f'{target!r} is that of format="{found}", and format="{format}" would replace it by another; '
            "choose another directory or name="
        )


def _format_of(target: str, head: bytes) -> Format | None:
    """The format that a header or a module of Python belongs to; None for other files."""
    if target.endswith(".py"):
        return "py" if b"Needs only NumPy." in head else "lib"
    if not target.endswith(".h"):
        return None
    words = b" ".join(word for word in head.split() if word != b"*")
    return next((form for form, mark in _HEADERS.items() if mark in words), None)


def _written(content: bytes, target: str) -> str:
    """A new file beside ``target`` with the content, on disk."""
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    temporary = os.path.join(folder, f".{os.path.basename(target)}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            shutil.copymode(target, temporary)
    except BaseException:
        _remove(temporary)
        raise
    return temporary


def _replace(temporary: str, target: str) -> None:
    try:
        os.replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
