"""A private directory of entries on disk that several processes use at once.

An entry is a file of bytes under a name. It is read only where nobody but its owner, who is this user, can have written
it, and only where its length and its SHA-256 digest, which covers the name, are right. It appears whole or not at all.
The directory is opened once for each access and judged through the open descriptor, so that exchanging it between the
judgement and the access gains nothing. Where the disk refuses, there are no entries: one warning, no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import stat
import struct
import threading
import time
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

from gradc.errors import CompileError

MOST_BYTES: Final = 256 * 2**20
"""When the entries take more than this, the ones not used for longest are removed."""

KEPT: Final = 0.75
"""The part of MOST_BYTES that such a removal leaves."""

ABANDONED: Final = 3600
"""Seconds after which an unfinished file is of a process that died."""

_MAGIC: Final = b"gradc entry 1\n"
_FRAME: Final = struct.Struct(f"<{len(_MAGIC)}sQ32s")
_OURS: Final = re.compile(r"(?P<entry>[0-9a-f]{64}\.entry)|[0-9a-f]{64}\.[0-9a-f]{16}\.unfinished")
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class _Damaged(Exception):  # noqa: N818
    """A file is not what was written."""


class _File(NamedTuple):
    used: float
    size: int
    name: str


@cache
def store(path: str) -> Store:
    """The store in the directory of an absolute path: one for each in a process."""
    return Store(path)


class Store:
    """Entries in the directory ``path``, which is made, for this user alone, where it is missing.

    ``get`` and ``put`` raise CompileError where another user owns the directory or may write into it. Keys are 64
    hexadecimal digits. Threads may share a store.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self._bytes: int | None = None

    def get(self, key: str) -> bytes | None:
        """The entry of a key. None where there is none, or one that is damaged, which is removed."""
        name = f"{key}.entry"
        try:
            with self._opened() as directory:
                try:
                    return self._read(directory, name)
                except FileNotFoundError:
                    return None
                except _Damaged:
                    _remove(directory, name)
                    self._tell("an entry was damaged; it is removed and compiled anew")
        except OSError as error:
            self._tell(f"it cannot be used: {error.strerror or error}")
        return None

    def put(self, key: str, content: bytes) -> None:
        """Keep an entry; an earlier one of the key is replaced."""
        if len(content) > MOST_BYTES * KEPT:
            return
        frame = _FRAME.pack(_MAGIC, len(content), _digest(f"{key}.entry", content))
        try:
            with self._opened() as directory:
                _write(directory, key, frame + content)
                self._bound(directory, len(frame) + len(content))
        except OSError as error:
            self._tell(f"it cannot be used: {error.strerror or error}")

    def discard(self, key: str) -> None:
        """Remove an entry that is of no use."""
        with contextlib.suppress(OSError), self._opened() as directory:
            _remove(directory, f"{key}.entry")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """A descriptor of the directory, judged."""
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        try:
            directory = os.open(self.path, flags)
        except FileNotFoundError:
            os.makedirs(self.path, 0o700, exist_ok=True)
            directory = os.open(self.path, flags)
        try:
            _require_private(os.fstat(directory), "directory", self.path, 0o700)
            yield directory
        finally:
            os.close(directory)

    def _read(self, directory: int, name: str) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with open(os.open(name, flags, dir_fd=directory), "rb") as file:
            _require_private(os.fstat(file.fileno()), "entry", os.path.join(self.path, name), 0o600)
            content = _unframed(name, file.read())
            with contextlib.suppress(OSError):
                os.utime(file.fileno())
        return content

    def _bound(self, directory: int, written: int) -> None:
        """Remove the oldest where there is too much: of what was there at the first look, and what is written since.

        What other processes write meanwhile is seen at the next look, so the bound is one of order.
        """
        with self._lock:
            self._bytes = None if self._bytes is None else self._bytes + written
            if self._bytes is None or self._bytes > MOST_BYTES:
                self._bytes = _sweep(directory)

    def _tell(self, what: str) -> None:
        """Warn, once in a process for each reason."""
        with self._lock:
            if what in self._told:
                return
            self._told.add(what)
        warnings.warn(f"the cache directory {self.path} (GRADC_CACHE_DIR): {what}", RuntimeWarning, stacklevel=4)


def _write(directory: int, key: str, content: bytes) -> None:
    """A file of its own first, then its name, at once. No fsync: what a crash leaves half written has no digest."""
    unfinished = f"{key}.{secrets.token_hex(8)}.unfinished"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    file = os.open(unfinished, flags, 0o600, dir_fd=directory)
    try:
        with open(file, "wb") as stream:
            stream.write(content)
        os.replace(unfinished, f"{key}.entry", src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(unfinished, dir_fd=directory)
        raise


def _unframed(name: str, content: bytes) -> bytes:
    """What was put. Raises _Damaged for anything else than what ``put`` wrote under this name."""
    if len(content) < _FRAME.size:
        raise _Damaged
    magic, length, digest = _FRAME.unpack_from(content)
    body = content[_FRAME.size :]
    if magic != _MAGIC or length != len(body) or digest != _digest(name, body):
        raise _Damaged
    return body


def _digest(name: str, content: bytes) -> bytes:
    digest = hashlib.sha256(name.encode())
    digest.update(content)
    return digest.digest()


def _require_private(found: os.stat_result, kind: str, path: str, mode: int) -> None:
    if found.st_uid != os.geteuid():
        raise CompileError(
            f"the cache {kind} {path} belongs to another user (id {found.st_uid}), whose code is not run; "
            "set GRADC_CACHE_DIR to a directory of your own that is closed to others (chmod 700)"
        )
    if found.st_mode & _OTHERS_WRITE:
        close = f"close it with `chmod {mode:o} {path}`, or " if not found.st_mode & stat.S_ISVTX else ""
        raise CompileError(
            f"the cache {kind} {path} can be written by other users (mode {stat.S_IMODE(found.st_mode):o}), and code "
            f"in it is run; {close}set GRADC_CACHE_DIR to a directory of your own (chmod 700)"
        )


def _sweep(directory: int) -> int:
    """Remove abandoned files, and the oldest entries where all are too large; the bytes that stay."""
    entries = []
    for file, is_entry in _files(directory):
        if is_entry:
            entries.append(file)
        elif file.used < time.time() - ABANDONED:
            _remove(directory, file.name)
    total = sum(file.size for file in entries)
    if total > MOST_BYTES:
        for file in sorted(entries):
            if total <= MOST_BYTES * KEPT:
                break
            _remove(directory, file.name)
            total -= file.size
    return total


def _files(directory: int) -> Iterator[tuple[_File, bool]]:
    """The files that a store wrote, and whether they are entries. Others are left alone."""
    with os.scandir(directory) as found:
        for item in found:
            ours = _OURS.fullmatch(item.name)
            if ours is None:
                continue
            with contextlib.suppress(FileNotFoundError):
                facts = item.stat(follow_symlinks=False)
                yield _File(facts.st_mtime, facts.st_size, item.name), bool(ours["entry"])


def _remove(directory: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)
