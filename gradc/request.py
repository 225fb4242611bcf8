"""What is asked of the compiler: which derivative of what, where it runs and under which name."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from gradc.errors import ArgumentError
from gradc.transforms.derivative import Derivative

Backend = Literal["llvm", "numpy", "reference", "debug"]
Stabilize = Literal["off", "safe", "aggressive"]
Format = Literal["py", "lib", "c", "ir", "wasm"]
BACKENDS: Final[tuple[Backend, ...]] = ("llvm", "numpy", "reference")
"""Those that give what NumPy gives, NaN and all. ``"debug"`` gives the same, and refuses results that are NaN."""
STABILIZE: Final[tuple[Stabilize, ...]] = get_args(Stabilize)
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
"""What a kernel is saved as."""
ABIS: Final = ("c", "casadi")
"""How the function of a C library is called."""


@dataclass(frozen=True)
class Request:
    """What to make of a trace: which derivative, of which inputs, where it runs and under which name.

    ``wrt`` are positions of inputs of the trace; the first ``primals`` outputs are differentiated. Large kernels of the
    LLVM backend run on at most ``threads`` threads. ``donate`` are pairs of an input and the result that is written
    into its memory.
    """

    derivative: Derivative = "value"
    wrt: tuple[int, ...] = ()
    primals: int = 1
    backend: Backend = "llvm"
    stabilize: Stabilize = "safe"
    name: str = "kernel"
    threads: int = 1
    donate: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if type(self.threads) is not int or self.threads < 1:
            raise ArgumentError(f"threads={self.threads!r} is not a whole number from 1 on")
        _one_of("backend", self.backend, get_args(Backend))
        _one_of("stabilize", self.stabilize, STABILIZE)


_ENDINGS: Final = {"grad": "grad", "value_and_grad": "grad"}
"""What the name of a generated function ends in, where that is not its derivative."""


def chosen_name(name: str | None, label: str, derivative: Derivative) -> str:
    """The name of the generated function. Raises ArgumentError for one that Python could not define."""
    if name is not None:
        if not isinstance(name, str):
            raise ArgumentError(f"name={name!r} is no string; give the name of the generated function")
        if keyword.iskeyword(name):
            raise ArgumentError(f"name={name!r} is a keyword of Python; choose another name")
        if not name.isidentifier() or not name.isascii():
            raise ArgumentError(f"name={name!r} is not an identifier; choose ASCII letters, digits and underscores")
        return name
    own = label if label.isidentifier() and label.isascii() and not keyword.iskeyword(label) else "kernel"
    if own.startswith("_") or hasattr(builtins, own):
        own = f"{own.lstrip('_') or 'kernel'}_"
    return own if derivative == "value" else f"{own}_{_ENDINGS.get(derivative, derivative)}"


def _one_of(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ArgumentError(f"{name}={value!r} is not one of {', '.join(map(repr, choices))}")
