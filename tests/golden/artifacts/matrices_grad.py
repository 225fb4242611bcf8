"""matrices_grad: value and gradient of matrices (networks.py:17).

gradc 0.1.0. Needs only NumPy. Output is yours (0BSD).

w["hidden"]: f64[2,2]
w["out"]: f64[1,2]
x: f64[2,5]
y: f64[1,5]
Returns L, {"hidden": dL/dw["hidden"], "out": dL/dw["out"]}.
"""
import numpy as np


@np.errstate(all="ignore")  # infinities and NaN are results here, not warnings
def matrices_grad(
    w: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray,
) -> tuple[np.float64, dict[str, np.ndarray]]:
    hidden, out, x, y = _arguments(w, x, y)
    z1 = hidden @ x                                       # networks.py:18
    a1 = np.maximum(z1, 0.0)                              # networks.py:19
    z2 = out @ a1                                         # networks.py:20
    e = np.exp(-np.abs(z2))                               # cannot overflow
    y_hat = np.where(z2 >= 0, 1.0, e) / (1.0 + e)         # networks.py:21: 1 / (1 + np.exp(-z2)) [stable-sigmoid]
    L = np.sum(np.log1p(e) + np.where(z2 >= 0, 1.0 - y, y) * np.abs(z2)) / 5.0  # networks.py:22

    # Backward: d_q is dL/dq.
    d_z2 = 0.2 * (y_hat - y)
    d_hidden = np.where(z1 > 0, out.T @ d_z2, 0.0) @ x.T  # dL/dz1 * dz1/dw["hidden"]
    return L, {"hidden": d_hidden, "out": d_z2 @ a1.T}


def _arguments(w, x, y):
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
