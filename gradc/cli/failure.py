"""What goes wrong on the command line, as one line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from types import TracebackType

from rich_click import ClickException

from gradc.errors import GradcError


class Failure(ClickException):
    """The request or the user's file is at fault: one line on stderr, exit code 2."""

    exit_code = 2


class UserCode:
    """While the user's code runs, what it raises becomes a Failure with the line of ``file`` that raised it.

    What it prints goes to stderr: stdout is for what the command was asked for.
    gradc's own errors pass, since they say it better, and so does an error that never went through ``file``.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.prints = contextlib.redirect_stdout(sys.stderr)

    def __enter__(self) -> None:
        self.prints.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.prints.__exit__(kind, error, trace)
        if not isinstance(error, (Exception, SystemExit)) or isinstance(error, (GradcError, ClickException)):
            return
        lines = [frame for frame in traceback.extract_tb(trace) if Path(frame.filename) == self.file]
        if lines:
            place = f" ({self.file.name}:{lines[-1].lineno}: {lines[-1].line})"
            raise Failure(f"{type(error).__name__}: {one_line(error)}{place}") from error


def one_line(error: BaseException) -> str:
    """The message of an error with its line breaks taken out."""
    return " ".join(str(error).split())
