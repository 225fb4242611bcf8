"""loss_grad: value and gradient of loss (networks.py:6). gradc 0.1.0. Needs only NumPy. Output is yours (0BSD).

w11 ... y: float or f64[]
Returns L, (dL/dw11, dL/dw12, dL/dw21, dL/dw22, dL/dv1, dL/dv2).
"""
import numpy as np


@np.errstate(all="ignore")  # infinities and NaN are results here, not warnings
def loss_grad(
    w11: float, w12: float, w21: float, w22: float, v1: float, v2: float, x1: float, x2: float,
    y: float,
) -> tuple[np.float64, tuple[np.float64, ...]]:
    w11, w12, w21, w22, v1, v2, x1, x2, y = _arguments(w11, w12, w21, w22, v1, v2, x1, x2, y)
    z1 = w11 * x1 + w12 * x2                                    # networks.py:7
    z2 = w21 * x1 + w22 * x2                                    # networks.py:8
    a1 = np.maximum(z1, 0.0)                                    # networks.py:9
    a2 = np.maximum(z2, 0.0)                                    # networks.py:10
    z = v1 * a1 + v2 * a2                                       # networks.py:11
    e = np.exp(-np.abs(z))                                      # cannot overflow
    y_hat = np.where(z >= 0, 1.0, e) / (1.0 + e)                # networks.py:12: 1 / (1 + np.exp(-z)) [stable-sigmoid]
    L = np.log1p(e) + np.where(z >= 0, 1.0 - y, y) * np.abs(z)  # networks.py:13 [bce-of-sigmoid]

    # Backward: d_q is dL/dq.
    d_z = y_hat - y
    d_z2 = np.where(z2 > 0, d_z * v2, 0.0)                      # dL/da2 * da2/dz2
    d_z1 = np.where(z1 > 0, d_z * v1, 0.0)                      # dL/da1 * da1/dz1
    return L, (d_z1 * x1, d_z1 * x2, d_z2 * x1, d_z2 * x2, d_z * a1, d_z * a2)


def _arguments(w11, w12, w21, w22, v1, v2, x1, x2, y):
    """Check the arguments and take the arrays out of them."""
    _sizes = {}
    return (
        _array("w11", w11, np.float64, (), _sizes),
        _array("w12", w12, np.float64, (), _sizes),
        _array("w21", w21, np.float64, (), _sizes),
        _array("w22", w22, np.float64, (), _sizes),
        _array("v1", v1, np.float64, (), _sizes),
        _array("v2", v2, np.float64, (), _sizes),
        _array("x1", x1, np.float64, (), _sizes),
        _array("x2", x2, np.float64, (), _sizes),
        _array("y", y, np.float64, (), _sizes),
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
