"""matrices_grad: value and gradient of matrices (networks.py:17).

gradc 0.1.0. Needs NumPy and libmatrices_grad.so beside it. Output is yours (0BSD).

w["hidden"]: f64[2,2]
w["out"]: f64[1,2]
x: f64[2,5]
y: f64[1,5]
Returns L, {"hidden": dL/dw["hidden"], "out": dL/dw["out"]}.
"""
import ctypes
from pathlib import Path

import numpy as np

_library = ctypes.CDLL(str(Path(__file__).with_name("libmatrices_grad.so")))


def matrices_grad(
    w: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray,
) -> tuple[np.float64, dict[str, np.ndarray]]:
    w_hidden, w_out, x, y = _matrices_grad_arguments(w, x, y)
    w_hidden = _dense(w_hidden)
    w_out = _dense(w_out)
    x = _dense(x)
    y = _dense(y)
    L = np.empty((), np.float64)
    d_w_hidden = np.empty((2, 2), np.float64)
    d_w_out = np.empty((1, 2), np.float64)
    status = _matrices_grad(
        _at(w_hidden), _at(w_out), _at(x), _at(y), _at(L), _at(d_w_hidden), _at(d_w_out), None,
    )
    if status:
        raise RuntimeError(f"matrices_grad: status {status}")
    return L[()], {"hidden": d_w_hidden, "out": d_w_out}


_matrices_grad = _library.matrices_grad
_matrices_grad.restype = ctypes.c_int
_matrices_grad.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
]


def _matrices_grad_arguments(w, x, y):
    """Check the arguments and take the arrays out of them."""
    _keys("w", w, ["hidden", "out"])
    _sizes = {}
    return (
        _array('w["hidden"]', w["hidden"], np.float64, (2, 2), _sizes),
        _array('w["out"]', w["out"], np.float64, (1, 2), _sizes),
        _array("x", x, np.float64, (2, 5), _sizes),
        _array("y", y, np.float64, (1, 5), _sizes),
    )


def _array(name, value, dtype, shape, sizes):
    """The argument as an array of exactly this dtype and shape; a name in the shape stands for one size everywhere."""
    if type(value) in (bool, int, float, complex) and np.can_cast(type(value), dtype, "same_kind"):
        value = np.asarray(value, dtype)
    array = np.asarray(value)
    if array.dtype != dtype:
        raise TypeError(f"{name} has dtype {array.dtype}, expected {np.dtype(dtype)}")
    if array.ndim != len(shape):
        raise ValueError(f"{name} has shape {array.shape}, expected {len(shape)} axes: {list(shape)}")
    for axis, (size, expected) in enumerate(zip(array.shape, shape)):
        known = sizes.setdefault(expected, size) if isinstance(expected, str) else expected
        if size != known:
            text = f"{expected} = {known}" if isinstance(expected, str) else f"size {known}"
            raise ValueError(f"{name} has shape {array.shape}, expected {text} in axis {axis}")
    return array[()]


def _keys(name, value, keys):
    """A dict with exactly these keys."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a dict with the keys {keys}")
    if value.keys() != set(keys):
        raise ValueError(f"{name} has the keys {list(value)}, expected {keys}")


def _at(array):
    """Where the elements begin in memory."""
    return array.__array_interface__["data"][0]


def _dense(array):
    """The array, or a copy of it that is row-major without gaps."""
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")
