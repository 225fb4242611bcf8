"""Writing a generated module to disk: whole or not at all."""

from __future__ import annotations

import os

from gradc.artifacts.files import require_path, write_file
from gradc.errors import ArgumentError


def save_module(source: str, path: str | os.PathLike[str]) -> None:
    """Write ``source`` to ``path``, replacing what was there in one step.

    Whoever reads the file sees the old text or the new, never a part; a failure leaves no trace. The bytes are those
    of ``source`` in UTF-8 with ``\\n`` at the ends of lines, on every system. Raises ArgumentError for a name that does
    not end in ``.py`` and PathError where the directory cannot be written.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"a module is saved to a path, not to {path!r}")
    require_path(path)
    target = os.path.abspath(os.fspath(path))
    if not target.endswith(".py"):
        raise ArgumentError(f"a standalone module needs a name that ends in .py: {os.fspath(path)!r}")
    if os.path.isdir(target):
        raise ArgumentError(f"{os.fspath(path)!r} is a directory")
    write_file(source.encode(), target)
