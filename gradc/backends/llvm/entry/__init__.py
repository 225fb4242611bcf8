"""The way from a Python call to a kernel's machine code without Python in between.

``native`` is the type that Function and Kernel derive from, ``plan`` says what a call looks like, ``emit`` writes its
checks, unboxing and results as IR, ``runtime`` the parts that all entries share, ``load`` links them, and ``abi`` holds
what is known of the layout of CPython's and NumPy's objects. Where nothing is known, calls stay in Python.

``operators`` is the other way round: Python's operators on traced arrays, for traces that are long.
"""

from __future__ import annotations

import sys
from typing import Any

from gradc.errors import CompileError
from gradc.frontend.operators import MACHINE, Methods


def _operators(traced: type, methods: Methods) -> dict[str, Any] | None:
    """The operators of traced arrays in machine code, where LLVM is loaded: it is not for this alone."""
    if "llvmlite.binding" not in sys.modules:
        return None
    from gradc.backends.llvm.entry.operators import in_machine_code

    try:
        return in_machine_code(traced, methods)
    except CompileError:  # GRADC_CACHE_DIR is open to others: a trace needs nothing of it, and what is compiled says so
        return None


MACHINE.append(_operators)
