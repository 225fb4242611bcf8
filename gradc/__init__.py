"""gradc compiles a network, written as an ordinary NumPy function, to its gradient: as code to read, own and ship."""

from __future__ import annotations

import importlib
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradc import errors, optim
    from gradc.derivatives import grad, hessian, hvp, jacobian, jit, jvp, value_and_grad, vjp
    from gradc.function import Function
    from gradc.ir.aval import Aval, aval
    from gradc.kernel import Kernel
    from gradc.library import Library
    from gradc.loading import load
    from gradc.mapping import vmap
    from gradc.rules import checkpoint, custom_derivative, stop_gradient
    from gradc.vector import flatten

__version__ = "0.1.0"

__all__ = [
    "Aval",
    "Function",
    "Kernel",
    "Library",
    "aval",
    "checkpoint",
    "custom_derivative",
    "errors",
    "flatten",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "load",
    "optim",
    "stop_gradient",
    "value_and_grad",
    "vjp",
    "vmap",
]

_IMPORTED = time.time_ns()
"""When: a source that was changed after this may differ from the module that runs."""

_HERE = os.path.dirname(os.path.abspath(__file__))
if not os.path.isdir(os.path.join(_HERE, "templates")):
    # A checkout: templates/ stands beside this package, and gradc.templates is found there, installed or not.
    __path__.append(os.path.dirname(_HERE))

_HOME = {
    "Aval": "gradc.ir.aval",
    "aval": "gradc.ir.aval",
    "Kernel": "gradc.kernel",
    "Library": "gradc.library",
    "Function": "gradc.function",
    "flatten": "gradc.vector",
    "load": "gradc.loading",
    "vmap": "gradc.mapping",
    **dict.fromkeys(("checkpoint", "custom_derivative", "stop_gradient"), "gradc.rules"),
    **dict.fromkeys(("grad", "hessian", "hvp", "jacobian", "jit", "jvp", "value_and_grad", "vjp"), "gradc.derivatives"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for, so that ``import gradc`` costs next to nothing."""
    if name in ("errors", "optim"):
        return importlib.import_module(f"gradc.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'gradc' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
