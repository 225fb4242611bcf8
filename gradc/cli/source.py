"""FILE:FUNC: the user's function out of the user's file."""

from __future__ import annotations

import difflib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gradc.cli.failure import Failure, UserCode
from gradc.ir.graph import Graph


@dataclass(frozen=True)
class Target:
    """A function of a file; ``example`` is the file's ``example_args``, where it has one."""

    path: Path
    name: str
    function: Callable[..., Any]
    example: Callable[[], Any] | None

    @property
    def signature(self) -> inspect.Signature:
        return inspect.signature(self.function)


def load(target: str) -> Target:
    """Import FILE and find FUNC in it. Raises Failure where the text, the file or the function is not right."""
    file, separator, name = target.rpartition(":")
    if not separator or not file or not name:
        raise Failure(f"{target!r} is not FILE:FUNC; write for example net.py:loss")
    path = Path(file).resolve()
    if not path.is_file():
        raise Failure(f"there is no file {file}")
    module = _imported(path, file)
    function = getattr(module, name, None)
    if not callable(function):
        raise Failure(f"{file} has no function {name!r}{_hint(module, name)}")
    example = getattr(module, "example_args", None)
    return Target(path, name, function, example if callable(example) else None)


def _imported(path: Path, shown: str) -> ModuleType:
    try:
        compile(path.read_bytes(), str(path), "exec")
    except SyntaxError as error:
        line = f":{error.lineno}" if error.lineno else ""
        raise Failure(f"{shown}{line}: {error.msg}") from error
    except (ValueError, OSError) as error:
        raise Failure(f"{shown} is not a Python file: {error}") from error
    spec = importlib.util.spec_from_loader(path.stem, importlib.machinery.SourceFileLoader(path.stem, str(path)))
    if spec is None:
        raise Failure(f"{shown} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    # As for ``python FILE``: modules beside the file can be imported, and the file is known by its name.
    sys.path.insert(0, str(path.parent))
    sys.modules.setdefault(path.stem, module)
    with UserCode(path):
        spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _hint(module: ModuleType, name: str) -> str:
    own = [n for n, f in vars(module).items() if inspect.isfunction(f) and f.__module__ == module.__name__]
    close = difflib.get_close_matches(name, own, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; its functions are {', '.join(own)}" if own else "; it has no functions"


def lines_of(target: Target, trace: Graph) -> list[tuple[str, int, str]]:
    """The lines of the function, of its file those around it that the trace met too, and the lines met elsewhere."""
    met = {(origin.file, origin.line): origin.text for own in trace.origins.values() for origin in own}
    shown, numbers = target.path.name, [line for file, line in met if file == target.path.name]
    try:
        lines, first = inspect.getsourcelines(target.function)
        numbers += [first, first + len(lines) - 1]
        text = target.path.read_text(encoding="utf-8").splitlines()
    except (OSError, TypeError, UnicodeDecodeError):  # a function that no line of the file defines
        return [(file, line, text) for (file, line), text in sorted(met.items())]
    whole = [(shown, k, text[k - 1]) for k in range(min(numbers), min(max(numbers), len(text)) + 1)]
    return whole + [(file, line, text) for (file, line), text in sorted(met.items()) if file != shown]
