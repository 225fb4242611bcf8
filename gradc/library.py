"""Library: several kernels as one C library, under one prefix and with one workspace."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

from gradc.backends.abi import MACROS
from gradc.backends.c_names import require_symbol
from gradc.compiler import Compiled
from gradc.errors import ArgumentError
from gradc.kernel import Kernel

_MORE: Final = ("in", "out", "status", "function", "select", "selftest", "avx2", "avx512", "workspace")
"""What stands behind a function's name in names that come with it."""


class Library:
    """Kernels that become functions of one C library.

        Library("control").add(step).add(cost, name="loss").save("build")

    makes ``control.h``, ``libcontrol.a`` and so on with the functions ``control_step_grad`` and ``control_loss``, the
    workspace ``CONTROL_WORKSPACE_SIZE``, which is large enough for each of them, and ``control_selftest``, which tests
    all. Raises ArgumentError for a name that C could not have.
    """

    def __init__(self, name: str) -> None:
        require_symbol(name)
        self.name = name
        self._kernels: dict[str, Compiled] = {}

    def add(self, kernel: Kernel, *, name: str | None = None) -> Library:
        """Add a kernel (``function.compile(...)``) as ``PREFIX_NAME``, by default under the kernel's own name.

        Returns the library. Raises ArgumentError for what is no kernel, and for a name that is taken.
        """
        if not isinstance(kernel, Kernel):
            raise ArgumentError(
                f"a library is made of kernels, not of {kernel!r}; compile it first, for arguments or their shapes"
            )
        own = kernel.name if name is None else name
        symbol = f"{self.name}_{own}"
        require_symbol(symbol)
        for other in ("", *self._kernels):
            if _names(own) & _names(other) or self._is_macro(own, other) or self._is_macro(other, own):
                raise ArgumentError(
                    f"{symbol} clashes with what the library {self.name} has already; choose another name"
                )
        self._kernels[own] = kernel._compiled
        return self

    def _is_macro(self, own: str, other: str) -> bool:
        """Whether the function ``own`` is called as a macro or a status of ``other`` is: in capitals."""
        macros = f"{self.name}_{other}_".upper() if other else f"{self.name}_".upper()
        symbol = f"{self.name}_{own}"
        return symbol.startswith(macros) and (
            symbol.removeprefix(macros) in MACROS or symbol.removeprefix(macros).startswith("FAILED_")
        )

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        target: str | None = None,
        cpu: str | None = None,
        bindings: Sequence[str] = (),
    ) -> None:
        """Write the library into the directory ``path``, for this machine or another, with ``bindings`` for languages.

        Files and errors are those of ``Kernel.save(path, format="lib")``. Raises ArgumentError for an empty library.
        """
        from gradc.artifacts.library import save_functions

        if not self._kernels:
            raise ArgumentError(f"the library {self.name} has no functions; add a kernel first")
        named = {f"{self.name}_{own}": compiled for own, compiled in self._kernels.items()}
        save_functions(named, path, name=self.name, target=target, cpu=cpu, bindings=bindings)

    def __repr__(self) -> str:
        return f"<gradc.Library {self.name}: {', '.join(self._kernels) or 'no functions'}>"


def _names(own: str) -> set[str]:
    """The names that a function called ``own`` brings along, as macros see them; empty for the library's."""
    stem = own.lower()
    return {stem, *(f"{stem}_{more}".lstrip("_") for more in _MORE)} - {""}
