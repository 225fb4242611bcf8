"""The seal of a manifest: digests by which a reader knows that a directory is whole and as it was written.

The manifest lists the SHA-256 of every other file, and ends with that of itself, so that a truncated, corrupted or
exchanged file is found before anything in it is looked at. It tells damage from what was written, not friend from foe:
whoever can write the directory can write a seal, and so such directories are refused.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gradc.errors import ArtifactError

SEAL: Final = "sha256"
MOST_BYTES: Final = 1 << 30
"""A manifest or a file beside it is not larger."""

_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


def sealed(
    manifest: Mapping[str, Any], files: Mapping[str, bytes], bindings: Mapping[str, bytes] | None = None
) -> bytes:
    """The manifest as JSON, with the digests of files by name and its own.

    ``bindings`` are listed apart: programs take them elsewhere, and what the files make is whole without them.
    """
    groups = {"files": files} | ({"bindings": bindings} if bindings else {})
    digests = {
        group: {name: digest_of(content) for name, content in sorted(of.items())} for group, of in groups.items()
    }
    whole = {**manifest, **digests}
    return (json.dumps({**whole, SEAL: _own_digest(whole)}, indent=2) + "\n").encode()


def listed(path: Path) -> dict[str, str]:
    """The digests of the files that the manifest at ``path`` lists, bindings among them; none where it is not whole."""
    try:
        manifest = _parsed(path.read_bytes(), path)
    except (OSError, ArtifactError):
        return {}
    if manifest.pop(SEAL) != _own_digest(manifest):
        return {}
    digests = {**manifest["files"], **manifest.get("bindings", {})}
    return {name: digest for name, digest in digests.items() if _stands_below(name)}


def _stands_below(name: str) -> bool:
    """Whether a file of that name is in the directory or a folder of it."""
    return bool(name) and not os.path.isabs(name) and all(part not in ("", ".", "..") for part in name.split("/"))


def unsealed(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The manifest at ``path`` and the files that it lists, by name, all of them as they were written.

    Raises ArtifactError where one is missing, is not whole, or can be written by others; FileNotFoundError where there
    is no manifest.
    """
    _require_private(path.parent)
    manifest = _parsed(_read(path), path)
    own = {key: value for key, value in manifest.items() if key != SEAL}
    if manifest.get(SEAL) != _own_digest(own):
        raise ArtifactError(f"{path} is not as it was written; save the kernel again")
    files = {}
    for name, digest in manifest["files"].items():
        if os.path.basename(name) != name or name in ("", ".", ".."):
            raise ArtifactError(f"{path} lists {name!r:.60}, which is no file beside it")
        content = _read(path.parent / name)
        if digest_of(content) != digest:
            raise ArtifactError(f"{path.parent / name} is not as it was written; save the kernel again")
        files[name] = content
    return manifest, files


def _parsed(content: bytes, path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(content)
    except (ValueError, RecursionError):
        raise ArtifactError(f"{path} is no manifest of gradc, or not a whole one") from None
    if not isinstance(manifest, dict) or SEAL not in manifest or not isinstance(manifest.get("files"), dict):
        raise ArtifactError(f"{path} is no manifest of gradc, or not a whole one")
    return manifest


def _read(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            _require_private(path, os.fstat(file.fileno()))
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing; save the kernel again") from None
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read: {error.strerror or error}") from None
    if len(content) > MOST_BYTES:
        raise ArtifactError(f"{path} has more than {MOST_BYTES} bytes")
    return content


def _require_private(path: Path, found: os.stat_result | None = None) -> None:
    """Raise for a file or directory that others may write: they could put a kernel of theirs there."""
    if os.name != "posix":
        return
    try:
        found = found or os.stat(path)
    except OSError as error:
        raise FileNotFoundError(error.errno, error.strerror, str(path)) from None
    if found.st_uid not in (0, os.geteuid()):
        raise ArtifactError(f"{path} belongs to another user (id {found.st_uid}), whose kernels are not run; copy it")
    if found.st_mode & _OTHERS_WRITE:
        raise ArtifactError(
            f"{path} can be written by other users (mode {stat.S_IMODE(found.st_mode):o}), and a kernel in it is run; "
            f"close it with `chmod go-w {path}`"
        )


def digest_of(content: bytes) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _own_digest(manifest: Mapping[str, Any]) -> str:
    try:
        return digest_of(json.dumps(manifest, sort_keys=True).encode())
    except RecursionError:
        return ""
