"""regression_grad: value and gradient of regression (networks.py:34).

gradc 0.1.0. Needs only NumPy. Output is yours (0BSD).

w["a"]: f64[3,2]
w["b"]: f64[2]
x: f64[batch,3]
y: f64[batch,2]
scale: float or f64[]
mode: 'mean', compiled in
Returns L, {"a": dL/dw["a"], "b": dL/dw["b"]}.
"""
import numpy as np


@np.errstate(all="ignore")  # infinities and NaN are results here, not warnings
def regression_grad(
    w: dict[str, np.ndarray], x: np.ndarray, y: np.ndarray, *, scale: float = 2.0,
    mode: str = "mean",
) -> tuple[np.float64, dict[str, np.ndarray]]:
    a, b, x, y, scale = _arguments(w, x, y, scale, mode)
    batch = x.shape[0]
    t1 = np.tanh(x @ a + b)            # networks.py:35
    residual = (t1 - y) * scale        # networks.py:35
    squares = residual * residual      # networks.py:36
    L = np.sum(squares) / (2 * batch)  # networks.py:37

    # Backward: d_q is dL/dq.
    t2 = 2.0 * (residual / (2 * batch)) * scale * (1.0 - t1 * t1)
    return L, {"a": x.T @ t2, "b": np.sum(t2, axis=0)}


def _arguments(w, x, y, scale, mode):
    """Check the arguments and take the arrays out of them."""
    _keys("w", w, ["a", "b"])
    _static("mode", mode, "mean")
    _sizes = {}
    return (
        _array('w["a"]', w["a"], np.float64, (3, 2), _sizes),
        _array('w["b"]', w["b"], np.float64, (2,), _sizes),
        _array("x", x, np.float64, ("batch", 3), _sizes),
        _array("y", y, np.float64, ("batch", 2), _sizes),
        _array("scale", scale, np.float64, (), _sizes),
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


def _static(name, value, expected):
    """A value that was compiled in: no other one may be given."""
    if type(value) is not type(expected) or value != expected:
        raise ValueError(f"{name} is {value!r}, and this module was compiled for {expected!r}")
