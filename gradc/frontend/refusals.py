"""What is said of a function that is not known: its name, and what to write instead."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import FrameType, FunctionType
from typing import Any, Final

from gradc.frontend.frames import is_internal

_DEPENDS: Final = "the shape of the result depends on data; "

_REFUSALS: Final = {
    "nonzero flatnonzero argwhere": _DEPENDS + "use the mask itself, as in np.where(mask, x, 0)",
    "unique unique_all unique_counts unique_inverse unique_values": _DEPENDS
    + "use np.sort, and np.diff to tell repeats",
    "intersect1d setdiff1d setxor1d union1d": _DEPENDS + "use np.isin, which gives a mask",
    "trim_zeros": _DEPENDS + "slice the array, or multiply with a mask",
    "orth null_space": _DEPENDS + "use the vectors of np.linalg.svd, as many as you know are needed",
    "hessenberg qz ordqz": "the triangular form with vectors of its own is scipy.linalg.schur(a, output='complex')",
    "funm": "of a symmetric matrix it is made of w, v = np.linalg.eigh(a), as (v * f(w)) @ v.T with the function f",
    "polar": "it is made of u, s, vt = np.linalg.svd(a, full_matrices=False), as u @ vt and (vt.T * s) @ vt",
    "eig_banded": "use np.linalg.eigh of the whole matrix",
    "eigvals_banded": "use np.linalg.eigvalsh of the whole matrix",
    "ldl": "use np.linalg.cholesky for positive definite matrices",
    "rq qr_multiply": "use np.linalg.qr",
    "poly1d Polynomial Chebyshev Hermite HermiteE Laguerre Legendre": "polynomials are arrays of coefficients here; "
    "use np.polyval(p, x), np.polyadd, np.polymul, np.polyder, with the highest power first",
    "array2string array_repr array_str": "print after the function has returned",
    "save savez savez_compressed savetxt": "return the array, and save it after the call",
}
"""Functions that have no meaning in a trace, and what to write instead."""

_ELSE: Final = "write it with functions of docs/supported.md, or call it before and pass its result as an argument"


_LIBRARIES: Final = frozenset({"numpy", "scipy"})


def refusal(name: str, called: str) -> str:
    """The message for the function ``called`` as the user writes it; ``name`` is its own name."""
    for names, remedy in _REFUSALS.items():
        if name in names.split():
            return f"{called}: {remedy}"
    return f"{called} is not supported on traced arrays; {_ELSE}"


@dataclass(frozen=True)
class Called:
    """A function of a library: its own name, as one writes it, and itself."""

    name: str
    written: str
    function: Any


def calling(frame: FrameType | None) -> Called | None:
    """The function of NumPy or SciPy, told in Python, that the user's code called and that ``frame`` is in.

    None where the user's code asked itself.
    """
    found = None
    while frame is not None and is_internal(frame.f_code.co_filename):
        found = _shown(frame) or found
        frame = frame.f_back
    return found


def _shown(frame: FrameType) -> Called | None:
    """The public function that runs in a frame, or that a decorator calls there."""
    module, name = str(frame.f_globals.get("__name__", "")), frame.f_code.co_name
    if name == "__init__":
        name = type(frame.f_locals.get("self")).__name__
    called = _distribution(module, name, frame.f_locals.get("self")) or _public(module, name)
    if called is not None or module.partition(".")[0] not in _LIBRARIES:
        return called
    decorated = [frame.f_locals[name] for name in frame.f_code.co_freevars if name in frame.f_locals]
    shown = [_public(x.__module__, x.__name__) for x in decorated if isinstance(x, FunctionType)]
    return next(filter(None, shown), None)


def _distribution(module: str, name: str, owner: Any) -> Called | None:
    """A method of a distribution of scipy.stats: ``scipy.stats.norm.pdf``."""
    own = getattr(owner, "name", None)
    if not module.startswith("scipy.stats.") or name.startswith("_") or not isinstance(own, str):
        return None
    return Called(name, f"scipy.stats.{own}.{name}", getattr(type(owner), name, None))


def _public(module: str, name: str) -> Called | None:
    """The function of this name in the nearest module that shows it to all."""
    parts = module.split(".")
    if parts[0] not in _LIBRARIES:
        return None
    while parts:
        function = getattr(sys.modules.get(".".join(parts)), name, None)
        if callable(function) and not any(part.startswith("_") for part in parts):
            return Called(name, f"{'.'.join(parts).replace('numpy', 'np', 1)}.{name}", function)
        parts.pop()
    return None
