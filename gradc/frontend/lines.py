"""The user's line, for messages."""

from __future__ import annotations

import sys
from types import FrameType

from gradc.errors import TraceError
from gradc.frontend.bytecode import origin_of
from gradc.frontend.caught import note
from gradc.frontend.frames import is_internal, user_frame
from gradc.ir.graph import Origin


def refuse(message: str, *, as_numpy: bool = False) -> TraceError:
    """A TraceError at the user's line that is running. ``as_numpy`` says that NumPy raises a TypeError here too."""
    frame = sys._getframe(1)
    error = TraceError(message, line=line_text(user_frame(frame)), as_numpy=as_numpy)
    note(error, frame)
    return error


def raised_at(error: BaseException) -> str:
    """The innermost line of the user's that an error came through."""
    line = ""
    traceback = error.__traceback__
    while traceback is not None:
        if not is_internal(traceback.tb_frame.f_code.co_filename):
            line = line_text(traceback.tb_frame, traceback.tb_lineno)
        traceback = traceback.tb_next
    return line


def line_text(frame: FrameType | None, number: int | None = None) -> str:
    """A frame's line as messages show it."""
    if frame is None:
        return ""
    return told(origin_of(frame.f_code, number or frame.f_lineno, frame.f_globals))


def told(origin: Origin) -> str:
    """A place in a file as messages show it: ``model.py:12: h = x @ w``."""
    return f"{origin}: {origin.text}" if origin.text else str(origin)
