"""Writing files: whole or not at all, and without what an earlier save left."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from gradc.artifacts.seal import digest_of, listed
from gradc.artifacts.temporary import Temporary, remove_leftovers
from gradc.errors import ArgumentError, path_error
from gradc.request import Format

_HEADERS: Final[dict[Format, bytes]] = {
    "c": b"For source in C99.",
    "ir": b"As LLVM IR,",
    "wasm": b"Runs as WebAssembly",
    "lib": b"Runs on",
}
"""The words in the head of a header by which it is known whose it is."""

_WRITTEN_BY_HAND: Final = (".c", ".h", ".hpp", ".json", ".mjs", ".py")
"""Endings of files that gradc writes and people do too; those of gradc's say so in their head."""

_HEAD: Final = 4096


def write_file(content: bytes, target: str) -> None:
    """Write a file, replacing what was there in one step.

    Whoever reads it sees the old content or the new, never a part; a failure leaves no trace. Raises PathError where
    the directory is missing or cannot be written.
    """
    with _told(target):
        temporary = Temporary(content, target)
        remove_leftovers([os.path.dirname(target)])
        temporary.put()


def write_files(
    contents: Mapping[str, bytes], folder: str | os.PathLike[str], format: Format, *, earlier: Collection[str] = ()
) -> None:
    """Write files by their names into a directory, which is made where it is missing, as are folders in names.

    All are written aside before the first appears under its name, and those of two processes appear one after the
    other. What the manifest that is replaced lists is removed where it is not among the new files, and so are
    ``earlier`` ones that have no header of their own. Raises ArgumentError where ``folder`` is no name of a directory,
    where a file of another ``format`` or one that gradc did not write would be replaced, or one that was changed would
    be removed; PathError where the directory cannot be written.
    """
    with _told(folder):
        _write_files(contents, folder, format, earlier)


def _write_files(
    contents: Mapping[str, bytes], folder: str | os.PathLike[str], format: Format, earlier: Collection[str]
) -> None:
    if not isinstance(folder, (str, os.PathLike)):
        raise ArgumentError(f"files are saved into a directory, not into {folder!r}")
    require_path(folder)
    path = os.path.abspath(os.fspath(folder))
    if os.path.exists(path) and not os.path.isdir(path):
        raise ArgumentError(f"{os.fspath(folder)!r} is a file; give a directory")
    os.makedirs(path, exist_ok=True)
    targets = {os.path.join(path, name): content for name, content in contents.items()}
    aside: list[Temporary] = []
    try:
        for target, content in targets.items():
            if os.path.isdir(target):
                raise ArgumentError(f"{target!r} is a directory")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _require_own(target, content, format)
            aside.append(Temporary(content, target))
        remove_leftovers({os.path.dirname(target) for target in targets})
        with _alone_in(path):
            for target, content in targets.items():
                _require_own(target, content, format)
            stale = [*_stale(Path(path), contents), *_unclaimed(set(earlier) - set(contents), path)]
            *others, last = sorted(aside, key=lambda temporary: temporary.target.endswith(".json"))
            for temporary in others:
                temporary.put()
            _remove(stale, path)
            last.put()  # the manifest: until now the one before says what there was
    finally:
        for temporary in aside:
            temporary.drop()


@contextlib.contextmanager
def _told(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise PathError for errors of the system: what was to be written, and what the system said of which path."""
    try:
        yield
    except OSError as error:
        name = error.filename
        known = {
            FileNotFoundError: f"there is no directory {name}; make it first",
            NotADirectoryError: f"{name} is no directory",
        }
        told = f"{(error.strerror or str(error)).lower()}{f' ({name})' if name else ''}"
        raise path_error(f"{path} cannot be written: {known.get(type(error), told)}", error) from None


def require_path(path: str | os.PathLike[str]) -> None:
    """Raise ArgumentError for the empty path, which would be the working directory, and for one that cannot be."""
    if not os.fspath(path):
        raise ArgumentError("the path is empty; write '.' for the working directory")
    if "\0" in os.fspath(path):
        raise ArgumentError(f"the path {os.fspath(path)!r} has a character that no path has")


def _stale(folder: Path, contents: Mapping[str, bytes]) -> list[str]:
    """The files that the manifest which is replaced lists and the new ones do not replace.

    Raises ArgumentError for one that is not as it was written.
    """
    own = {name for name in contents if name.endswith(".json")}
    former = {file: digest for name in own for file, digest in listed(folder / name).items() if file not in contents}
    found = {file: digest for file, digest in former.items() if (folder / file).is_file()}
    if not found:
        return []
    others = {file for other in folder.glob("*.json") if other.name not in own for file in listed(other)}
    for file, digest in found.items():
        if file not in others and digest_of((folder / file).read_bytes()) != digest:
            raise ArgumentError(
                f"{str(folder / file)!r} belongs to what was saved here before, would be removed, and was changed "
                "since; move it away or choose another directory"
            )
    return [file for file in found if file not in others]


def _unclaimed(names: Collection[str], folder: str) -> list[str]:
    """The files beside which no header of their own stands."""
    return [name for name in names if not os.path.exists(os.path.join(folder, f"{Path(name).stem}.h"))]


def _remove(names: Collection[str], folder: str) -> None:
    """Remove files of a directory, and folders in it that have no others."""
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))
        for parent in Path(name).parents[:-1]:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(folder, parent))


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
