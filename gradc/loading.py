"""Kernels from saved artifacts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradc.artifacts.files import require_path
from gradc.artifacts.record import call_of, compiled_from
from gradc.artifacts.seal import unsealed
from gradc.backends.llvm.machine import host
from gradc.errors import ArgumentError, ArtifactError, MissingPathError
from gradc.kernel import Kernel, of_compiled


def load(path: str | os.PathLike[str], *, name: str | None = None, classes: Sequence[type] = ()) -> Kernel:
    """The kernel of a saved library: ``path`` is its directory or its manifest, ``build/loss_grad.json``.

    ``name`` chooses among several libraries of a directory or functions of a library. Namedtuples and dataclasses of
    arguments and results are those of ``classes``, by name, else new ones with the same fields. The kernel has
    everything to inspect it, and computes the same bits as the library on the machine that it was made for. Raises
    ArtifactError for files that are not whole, not for this machine or writable by other users, ArgumentError for a
    name that is not there, MissingPathError (a FileNotFoundError) for a path. Nothing of the files is run or unpickled
    to find that out.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise ArgumentError(f"a kernel is loaded from the path of a saved library, not from {path!r}")
    require_path(path)
    manifest, files = unsealed(_manifest(Path(path), name))
    functions = _known(lambda: {entry["name"]: entry for entry in manifest["functions"]})
    if not functions:
        raise ArtifactError(f"{path} has no functions; save the kernel again")
    if name is None and len(functions) > 1:
        raise ArgumentError(f"{path} has the functions {', '.join(functions)}; choose one with name=")
    chosen = next(iter(functions)) if name not in functions else name
    if name is not None and name not in functions and name != manifest.get("library"):
        raise ArgumentError(f"{path} has no function {name!r}, only {', '.join(functions)}")
    _require_this_machine(manifest, path)
    text = files.get(f"{chosen}.gir")
    if text is None:
        raise ArtifactError(f"{path} has no graph of {chosen}; save the kernel again")
    record = _known(lambda: functions[chosen]["kernel"])
    if isinstance(record, dict) and "refusal" in record:
        raise ArtifactError(f"{path} cannot be loaded: {record['refusal']}")
    compiled = compiled_from(record, _known(lambda: text.decode()))
    call, slots, outputs = _known(lambda: call_of(compiled.signature, compiled.input_avals, classes))
    return of_compiled(compiled, call, slots, outputs)


def _manifest(path: Path, name: str | None) -> Path:
    """The manifest that ``path`` means."""
    if path.suffix == ".py":
        raise ArgumentError(f"{path} is a module; import it")
    if not path.is_dir():
        if not path.exists():
            raise MissingPathError(f"{path} is not there", FileNotFoundError(2, os.strerror(2), str(path)))
        return path if path.suffix == ".json" else path.with_name(f"{path.stem.removeprefix('lib')}.json")
    found = sorted(path.glob("*.json"))
    own = [file for file in found if file.stem == name]
    if own or len(found) == 1:
        return (own or found)[0]
    if not found:
        raise ArtifactError(f"{path} has no manifest of a saved kernel")
    raise ArgumentError(f"{path} has {', '.join(file.stem for file in found)}; choose one with name=")


def _require_this_machine(manifest: dict[str, Any], path: Any) -> None:
    """Raise where the machine that a library is for is another one, or has instructions that this one lacks."""
    target = _known(lambda: (str(manifest["target"]["triple"]), manifest["target"]["versions"][0]))
    triple, version = target
    own = host()
    if triple.split("-")[0] != own.triple.split("-")[0]:
        raise ArtifactError(f"{path} is for {triple} and this machine is {own.triple}; save the kernel here")
    wanted = {f for f in _known(lambda: version["features"].split(",")) if f.startswith("+")}
    missing = sorted(wanted - set(own.features.split(",")))
    if missing:
        raise ArtifactError(
            f"{path} is for {version.get('cpu')}, and this machine lacks {', '.join(f[1:] for f in missing[:5])}; "
            "save the kernel here"
        )


def _known(read: Any) -> Any:
    """What ``read`` finds in a manifest. Raises ArtifactError where that is of another form."""
    try:
        return read()
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ArtifactError(f"the manifest is not as gradc writes it: {error!r}") from None
