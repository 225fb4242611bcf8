"""Sparse derivatives as arrays of scipy.sparse, which is imported here, when one is computed, and nowhere else."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from gradc.errors import ArgumentError, TraceError
from gradc.frontend.targets import CompressedColumns
from gradc.frontend.tracing import current_trace
from gradc.frontend.tree import flatten
from gradc.function import Function
from gradc.kernel import Kernel


class SparseFunction:
    """A sparse Jacobian or Hessian: called, it gives a ``scipy.sparse.csc_array`` in the place of each block.

    A block is a matrix whose rows are the elements of the result and whose columns are those of the argument, both
    counted row by row. ``compile`` gives a kernel without SciPy, whose results are ``CompressedColumns``.
    """

    def __init__(self, function: Function) -> None:
        self.function = function
        self.__name__ = getattr(function, "__name__", "function")
        self.__doc__ = function.__doc__
        self.__signature__ = inspect.signature(function)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        present = current_trace()
        if present is not None:
            raise TraceError(
                f"{self.__name__}: a sparse derivative is no array of a traced function; leave out sparse=True",
                line=present.line(),
            )
        array = _csc_array()
        leaves, tree = flatten(self.function(*args, **kwargs), lambda x: isinstance(x, CompressedColumns))
        return tree.unflatten([_matrix(array, x) if isinstance(x, CompressedColumns) else x for x in leaves])

    def compile(self, *args: Any, **kwargs: Any) -> Kernel:
        """Compile ahead of time, as ``Function.compile``; what the kernel gives are compressed columns."""
        return self.function.compile(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<gradc.SparseFunction of {self.function!r}>"


def _matrix(array: Callable[..., Any], block: CompressedColumns) -> Any:
    rows, columns = (int(n) for n in block.shape)
    return array((block.data, block.indices, block.indptr), shape=(rows, columns))


def _csc_array() -> Callable[..., Any]:
    try:
        from scipy.sparse import csc_array
    except ImportError:
        raise ArgumentError(
            "sparse=True gives arrays of scipy.sparse and SciPy is not installed; "
            "install it, or call what compile() gives, whose results are compressed columns"
        ) from None
    made: Callable[..., Any] = csc_array
    return made
