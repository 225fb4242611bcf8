"""What made a piece of machine code: versions, and the sources that write it.

Under one version of gradc the sources of a checkout may change, so their digest counts too. It is taken from the files,
and what runs is what was imported: where a file changed after gradc was imported, nothing can be said of this process.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import gradc

SOURCES: Final = (
    "errors.py", "config.py", "compiler.py", "derived.py", "request.py", "ir", "ops", "transforms", "passes", "loops",
    "backends/sizes.py", "backends/math", "backends/llvm",
)  # fmt: skip
"""All that runs between a trace and its object file, in the package."""

CLOCK: Final = 50_000_000
"""Nanoseconds by which the times of files may lag behind the clock."""


@cache
def stamp() -> dict[str, str] | None:
    """The versions and the digest by name; None, with a warning, where the sources are not those that run."""
    import llvmlite
    import llvmlite.binding as binding

    digest = sources_digest(Path(gradc.__file__).parent, gradc._IMPORTED)
    if digest is None:
        warnings.warn(
            "gradc's own sources cannot be read or changed while it was running, so machine code is not kept in "
            "GRADC_CACHE_DIR; start the process anew",
            RuntimeWarning,
            stacklevel=4,
        )
        return None
    return {
        "gradc": gradc.__version__,
        "sources": digest,
        "llvmlite": llvmlite.__version__,
        "llvm": ".".join(map(str, binding.llvm_version_info)),
    }


def sources_digest(package: Path, imported: int) -> str | None:
    """The digest of the sources; None where there are none, or one changed after ``imported`` (ns)."""
    digest = hashlib.sha256()
    count = 0
    try:
        for file in _sources(package):
            content = file.read_bytes()
            if file.stat().st_ctime_ns > imported - CLOCK:
                return None
            digest.update(f"{file.relative_to(package).as_posix()} {len(content)}\n".encode())
            digest.update(content)
            count += 1
    except OSError:
        return None
    return digest.hexdigest() if count else None


def _sources(package: Path) -> Iterator[Path]:
    for part in SOURCES:
        place = package / part
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]
