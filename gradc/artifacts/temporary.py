"""Files written aside: they appear under their names in one step, and what killed processes left of them is removed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterable
from typing import Final

if sys.platform != "win32":
    import fcntl

_NAME: Final = re.compile(r"\..+\.gradc-[0-9a-f]{16}\.tmp")


class Temporary:
    """A whole file beside its ``target``, to be put under that name or dropped.

    Its process holds a lock on it until then: one that nobody holds a lock on is left over.
    """

    def __init__(self, content: bytes, target: str) -> None:
        """Write the file to disk. Raises OSError, and leaves no trace then."""
        self.target = target
        self.path, self._descriptor = _created(target)
        try:
            with os.fdopen(os.dup(self._descriptor), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if os.path.exists(target):
                shutil.copymode(target, self.path)
            if sys.platform == "win32":  # where a file that is open keeps its name
                self._close()
        except BaseException:
            self.drop()
            raise

    def put(self) -> None:
        """Give the file its name, replacing what was there in one step. Raises OSError, and leaves no trace then."""
        try:
            os.replace(self.path, self.target)
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove the file where it is not in place."""
        self._close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _created(target: str) -> tuple[str, int]:
    """A new locked file beside ``target``: its path and descriptor."""
    folder = os.path.dirname(target)
    if not stat.S_ISDIR(os.stat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
    while True:
        path = os.path.join(folder, f".{os.path.basename(target)}.gradc-{secrets.token_hex(8)}.tmp")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if sys.platform == "win32":
            return path, descriptor
        with contextlib.suppress(OSError):  # some file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # another process took it for left over, before it was locked


def remove_leftovers(folders: Iterable[str]) -> None:
    """Remove the temporary files in directories whose processes are gone. What cannot be removed stays."""
    if sys.platform == "win32":
        return
    for folder in folders:
        for name in os.listdir(folder):
            if _NAME.fullmatch(name):
                with contextlib.suppress(OSError):
                    _remove_unless_held(os.path.join(folder, name))


def _remove_unless_held(path: str) -> None:
    """Remove a file that no process has a lock on. Raises OSError for one that is held."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    finally:
        os.close(descriptor)
