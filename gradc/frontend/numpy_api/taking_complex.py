"""Which of NumPy's functions take complex operands here. Ufuncs are not listed: their ops say what they take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gradc.errors import DtypeError
from gradc.ir.graph import Value

_NAMES: Final = frozenset(
    {
        "all", "allclose", "amax", "amin", "angle", "any", "append", "argmax", "argmin", "argpartition", "argsort",
        "array_equal", "array_equiv", "array_split", "astype", "atleast_1d", "atleast_2d", "atleast_3d", "average",
        "block", "broadcast_arrays", "broadcast_to", "clip", "column_stack", "concatenate", "convolve", "copy",
        "count_nonzero", "cross", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum",
        "delete", "diag", "diagflat", "diagonal", "diff", "dot", "dsplit",
        "dstack", "einsum", "expand_dims", "flip", "fliplr", "flipud", "hsplit", "hstack", "imag", "inner",
        "insert", "isclose", "iscomplex", "iscomplexobj", "isreal", "isrealobj", "kron",
        "lib.stride_tricks.sliding_window_view", "linalg.cholesky", "linalg.cond", "linalg.cross", "linalg.det",
        "linalg.diagonal", "linalg.eig", "linalg.eigh", "linalg.eigvals", "linalg.eigvalsh", "linalg.inv",
        "linalg.lstsq", "linalg.matmul", "linalg.matrix_norm", "linalg.matrix_power", "linalg.matrix_rank",
        "linalg.matrix_transpose", "linalg.multi_dot", "linalg.norm", "linalg.outer", "linalg.pinv", "linalg.qr",
        "linalg.slogdet", "linalg.solve", "linalg.svd", "linalg.svdvals", "linalg.tensordot", "linalg.tensorinv",
        "linalg.tensorsolve", "linalg.trace", "linalg.vecdot", "linalg.vector_norm", "lexsort", "matrix_transpose",
        "max", "mean", "median", "meshgrid", "min", "moveaxis", "nancumprod", "nancumsum", "nanmean", "nanmedian",
        "nanprod", "nanstd", "nansum", "nanvar", "ndim", "outer", "pad", "partition", "polyadd", "polymul",
        "polysub", "polyval", "prod", "ptp", "ravel", "real", "repeat", "reshape", "roll", "rollaxis", "roots",
        "rot90", "select", "shape", "size", "sort", "sort_complex", "split", "squeeze", "stack", "std", "sum",
        "swapaxes", "take", "take_along_axis", "tensordot", "tile", "trace", "transpose", "trapezoid", "tril",
        "around", "corrcoef", "cov", "ediff1d", "gradient", "interp", "linspace", "nan_to_num", "poly", "round", "sinc",
        "triu", "unstack", "vander", "var", "vdot", "vsplit", "vstack", "where",
    }
)  # fmt: skip

_OF_SCIPY: Final = frozenset({"scipy.signal.detrend", "scipy.special.erf", "scipy.special.erfc", "scipy.special.wofz"})


def check_complex(name: str, operands: Iterable[object]) -> None:
    """Raise DtypeError for a complex operand of a function that is told for real numbers alone."""
    if (
        name.removeprefix("np.") in _NAMES
        or name in _OF_SCIPY
        or name.startswith(("np.fft.", "scipy.fft.", "scipy.linalg."))
    ):
        return
    for x in operands:
        if isinstance(x, (list, tuple)):
            check_complex(name, x)
        elif isinstance(x, Value) and x.aval.dtype.kind == "c":
            raise DtypeError(f"{name}: of complex numbers ({x.aval}) is not supported; take .real, .imag or abs first")
