"""The number that a kernel returns: 0, or which check failed and the value that it tells."""

from __future__ import annotations

from typing import Final

from gradc.errors import DomainError, GradcError, IndexBoundsError, MatrixError, ShapeError

CODE_BITS: Final = 16
"""The low bits hold the code, the others the value."""

TOLD: Final = 2**46
"""Values beyond are told as this one."""


_OF_MATRICES: Final = (
    "cholesky: ",
    "triangular_solve: ",
    "solve: ",
    "inverse: ",
    "eig: ",
    "eigh: ",
    "svd: ",
    "schur: ",
)
"""How messages about matrices begin."""


def status_of(code: int, value: int) -> int:
    """The status of a failed check."""
    return min(max(value, -TOLD), TOLD) << CODE_BITS | code


def message_of(status: int, messages: tuple[str, ...]) -> str:
    """What the status means, in words."""
    code, value = status & (2**CODE_BITS - 1), status >> CODE_BITS
    told = str(value) if abs(value) < TOLD else f"beyond {value}"
    return messages[code - 1].replace("{}", told)


def failure(status: int, messages: tuple[str, ...]) -> GradcError:
    """The exception for a failed check: about the matrix of a decomposition, an axis, a power, or an index."""
    message = message_of(status, messages)
    if message.startswith(("reduce_max: ", "reduce_min: ")):
        return ShapeError(message)
    if message.startswith("power: "):
        return DomainError(message)
    return MatrixError(message) if message.startswith(_OF_MATRICES) else IndexBoundsError(message)
