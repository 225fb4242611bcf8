"""Every exception gradc raises: one lower-case sentence, the actual values, the user's line, the remedy."""

from __future__ import annotations

from numpy.linalg import LinAlgError


class GradcError(Exception):
    """Base of all errors of gradc.

    ``line`` is the user's source line as ``file.py:12: text``, or empty where there is none. ``as_numpy`` says that
    NumPy raises an error of the same builtin class there.
    """

    def __init__(self, message: str, *, line: str = "", as_numpy: bool = False) -> None:
        super().__init__(f"{message} ({line})" if line else message)
        self.line = line
        self.as_numpy = as_numpy


class ShapeError(GradcError, ValueError):
    """The shapes of the operands do not fit the operation."""


class DtypeError(GradcError, TypeError):
    """The dtypes of the operands do not fit the operation."""


class TraceError(GradcError, TypeError):
    """The function does something that a trace cannot keep with NumPy's meaning."""


class DerivativeError(GradcError, TypeError):
    """What was asked for has no derivative, or the choice of arguments is not valid."""


class ArgumentError(GradcError, TypeError):
    """A call or a compile request does not fit the function or the kernel's signature."""


class IndexBoundsError(GradcError, IndexError):
    """An index that is data lies outside its axis."""


class MatrixError(GradcError, LinAlgError):
    """A matrix is not what is asked of it: not positive definite, or singular."""


class DomainError(GradcError, ValueError):
    """A number is none that the operation is defined for, as an integer to a negative integer power."""


class NanError(GradcError, FloatingPointError):
    """A result is NaN, which the backend ``"debug"`` refuses: where that came from."""


class CompileError(GradcError, RuntimeError):
    """A backend cannot turn this graph into code."""


class VerifyError(GradcError, RuntimeError):
    """A graph or a loop program breaks one of the numbered laws of its form."""


class ParseError(GradcError, ValueError):
    """The text of a graph, an aval or a loop program does not follow its grammar."""


class ArtifactError(GradcError, ValueError):
    """A saved artifact cannot be loaded: it is not whole, not for this machine, or not safe from others."""


class PathError(GradcError, OSError):
    """A file or a directory cannot be read or written. ``errno``, ``strerror`` and ``filename`` are the system's."""

    def __init__(self, message: str, error: OSError) -> None:
        super().__init__(message)
        self.errno, self.strerror, self.filename = error.errno, error.strerror, error.filename

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.args[0], OSError(self.errno, self.strerror, self.filename))


class MissingPathError(PathError, FileNotFoundError):
    """A file or a directory is not there."""


class ClosedPathError(PathError, PermissionError):
    """A file or a directory may not be read or written."""


class NoDirectoryError(PathError, NotADirectoryError):
    """A file stands where a directory was expected."""


def path_error(message: str, error: OSError) -> PathError:
    """An error of the system as one of gradc's, of the same builtin class."""
    kinds: dict[type[OSError], type[PathError]] = {
        FileNotFoundError: MissingPathError,
        NotADirectoryError: NoDirectoryError,
        PermissionError: ClosedPathError,
    }
    return kinds.get(type(error), PathError)(message, error)
