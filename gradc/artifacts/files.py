"""Writing files: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Mapping

from gradc.errors import ArgumentError


def write_file(content: bytes, target: str) -> None:
    """Write a file, replacing what was there in one step.

    Whoever reads it sees the old content or the new, never a part; a failure leaves no trace. Raises OSError where the
    directory is missing or cannot be written.
    """
    _replace(_written(content, target), target)


def write_files(contents: Mapping[str, bytes], folder: str | os.PathLike[str]) -> None:
    """Write files by their names into a directory, which is made where it is missing, as are folders in names.

    All are written aside before the first appears under its name. Raises ArgumentError where ``folder`` is a file and
    OSError where the directory cannot be written.
    """
    if not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError(f"files are saved into a directory, not into {folder!r}")
    path = os.path.abspath(os.fspath(folder))
    if os.path.exists(path) and not os.path.isdir(path):
        raise ArgumentError(f"{os.fspath(folder)!r} is a file; give a directory")
    os.makedirs(path, exist_ok=True)
    aside: dict[str, str] = {}
    try:
        for name, content in contents.items():
            target = os.path.join(path, name)
            if os.path.isdir(target):
                raise ArgumentError(f"{target!r} is a directory")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            aside[target] = _written(content, target)
        for target, temporary in aside.items():
            _replace(temporary, target)
    finally:
        for temporary in aside.values():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


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
