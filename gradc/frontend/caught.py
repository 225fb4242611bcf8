"""Refusals that the user's code catches: it would go on where NumPy goes another way, so they end the trace after all.

NumPy's and SciPy's own code catches some and falls back on what it does for other arrays; that is left to it. Who
caught an exception can be read off its traceback, which ends at that frame. Where it ends in this package, compiled
code called that and has made an error of its own of the refusal; whether an except clause of the user's stood around
the call is remembered from when it was raised.
"""

from __future__ import annotations

import dis
import functools
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Final

from gradc.errors import GradcError, IndexBoundsError, ShapeError
from gradc.frontend.frames import is_internal, user_frame

NOTED: Final[ContextVar[Refusals | None]] = ContextVar("gradc_refusals", default=None)
"""The refusals of the present trace."""

_WENT_ON: Final = "the function caught this and went on, which may be another way than NumPy's"


@dataclass(slots=True)
class Refusals:
    """What was refused in a trace, and whether an except clause of the user's stood around it.

    ``root`` is the frame below which the user's code runs.
    """

    root: FrameType
    noted: list[tuple[GradcError, bool]] = field(default_factory=list)

    def caught(self, *, symbolic: bool) -> GradcError | None:
        """The first refusal that the user's code caught, in a trace that is over.

        Errors of shapes and of indices are NumPy's too; unless sizes are ``symbolic``, when it may have none.
        """
        for error, guarded in self.noted:
            if isinstance(error, IndexBoundsError) or (isinstance(error, ShapeError) and not symbolic):
                continue
            if _is_caught(error, guarded):
                told = str(error).removesuffix(f" ({error.line})")
                return type(error)(f"{told}; {_WENT_ON}", line=error.line)
        return None

    def take(self, error: GradcError | None, inner: Refusals) -> None:
        """Remember an error that a trace inside of this one ends with, if it is a refusal of the inner trace."""
        self.noted += [entry for entry in inner.noted if entry[0] is error]


def note(error: GradcError, frame: FrameType | None) -> None:
    """Remember that ``error`` is raised at or above ``frame`` because a trace cannot keep what NumPy does."""
    refusals = NOTED.get()
    if refusals is None or error.as_numpy or any(error is other for other, _ in refusals.noted):
        return
    guarded = False
    frame = user_frame(frame, refusals.root)
    while frame is not None and not guarded:
        guarded = _has_clause(frame.f_code, frame.f_lasti)
        frame = user_frame(frame.f_back, refusals.root)
    refusals.noted.append((error, guarded))


def _is_caught(error: GradcError, guarded: bool) -> bool:
    traceback = error.__traceback__
    if traceback is None:
        return guarded
    code = traceback.tb_frame.f_code
    if not is_internal(code.co_filename):
        return True
    return guarded and not _has_clause(code, traceback.tb_lasti)


def _has_clause(code: CodeType, offset: int) -> bool:
    """Whether an except clause, or a with statement, stands around the instruction at ``offset``."""
    return any(start <= offset < end for start, end in _clauses(code))


@functools.lru_cache(maxsize=512)
def _clauses(code: CodeType) -> tuple[tuple[int, int], ...]:
    """The instructions that except clauses and with statements stand around, as offsets of first and last."""
    program: Any = dis.Bytecode(code)
    names = {instruction.offset: instruction.opname for instruction in program}
    entries = program.exception_entries
    return tuple([(e.start, e.end) for e in entries if names.get(e.target) == "PUSH_EXC_INFO"])
