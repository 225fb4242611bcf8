"""Which frames are the user's: everything but gradc, NumPy, SciPy and Python's own library."""

from __future__ import annotations

import os
import sys
from types import FrameType
from typing import Final

import numpy as np

_HERE: Final = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_STANDARD_LIBRARY: Final = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED: Final = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)

_INTERNAL: Final[dict[str, bool]] = {}


def is_internal(file: str) -> bool:
    """Whether a file, as code objects name it, belongs to gradc, NumPy, SciPy or the standard library."""
    known = _INTERNAL.get(file)
    if known is None:
        known = _INTERNAL[file] = _classify(file)
    return known


def _classify(file: str) -> bool:
    if file.startswith("<frozen"):
        return True
    if file.startswith((_HERE, os.path.dirname(os.path.abspath(np.__file__)) + os.sep)):
        return True
    scipy = sys.modules.get("scipy")
    if scipy is not None and file.startswith(os.path.dirname(str(scipy.__file__)) + os.sep):
        return True
    return file.startswith(_STANDARD_LIBRARY) and not any(place in file for place in _INSTALLED)


def user_frame(frame: FrameType | None, root: FrameType | None = None) -> FrameType | None:
    """The innermost frame of the user's code at or above ``frame`` and below ``root``."""
    while frame is not None and frame is not root:
        if not is_internal(frame.f_code.co_filename):
            return frame
        frame = frame.f_back
    return None
