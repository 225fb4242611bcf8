"""Python integers where NumPy makes integers of a dtype of them: what a dtype cannot hold is an OverflowError there."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradc.frontend.lines import refuse
from gradc.frontend.session import is_traced
from gradc.ir.aval import short_dtype

_HOLDS_ALL = np.dtype(np.int64)


def require_fitting(x: Any, dtype: Any) -> None:
    """Ask the traced Python integers in ``x``, a number or nested lists, whether an integer dtype can hold them.

    They become static by it, but for int64, which holds all. Raises NumPy's OverflowError, or TraceError for an integer
    that is not known while tracing.
    """
    target = None if dtype is None else np.dtype(dtype)
    if target is None or target.kind not in "iu" or target == _HOLDS_ALL:
        return
    if isinstance(x, (list, tuple)):
        for item in x:
            require_fitting(item, target)
    elif is_traced(x) and x.scalar and x.aval.weak and x.aval.dtype.kind == "i":
        number = x.constant()
        if number is None:
            raise refuse(
                f"the Python int {x.aval} is not known while tracing and {short_dtype(target)} may not hold it; "
                f"convert what it was taken from with .astype(np.{target.name})"
            )
        target.type(int(number))
