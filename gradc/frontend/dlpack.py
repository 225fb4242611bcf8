"""Arrays of other libraries, as NumPy arrays over the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.errors import ArgumentError


def is_foreign(leaf: Any) -> bool:
    """Whether a leaf is an array of another library: one that speaks DLPack and is not NumPy's."""
    return hasattr(type(leaf), "__dlpack__") and not isinstance(leaf, np.ndarray)


def shared(leaf: Any, path: str) -> np.ndarray:
    """The elements of such an array, not copied. Raises ArgumentError where NumPy cannot reach them."""
    try:
        return np.from_dlpack(leaf)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(leaf).__module__.partition('.')[0]}.{type(leaf).__name__}"
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise ArgumentError(
            f"argument {path} is a {kind} whose memory NumPy cannot read: {reason}; pass an array of a dtype that "
            "NumPy has, in the memory of the CPU and detached from gradients"
        ) from None
