"""recurrence_grad: value and gradient of recurrence (networks.py:40).

gradc 0.1.0. Needs only NumPy. Output is yours (0BSD).

x: f64[4]
k: float or f64[]
Returns L, (dL/dx, dL/dk).
"""
import numpy as np


@np.errstate(all="ignore")  # infinities and NaN are results here, not warnings
def recurrence_grad(x: np.ndarray, k: float) -> tuple[np.float64, tuple[np.ndarray, np.float64]]:
    x, k = _arguments(x, k)
    state = np.zeros(4)
    state[:1] = x[:1]                        # networks.py:42
    t1 = state[0]                            # networks.py:44
    state[1] = k * t1 + x[1]                 # networks.py:44
    t2 = state[1]                            # networks.py:44
    state[2] = k * t2 + x[2]                 # networks.py:44
    t3 = state[2]                            # networks.py:44
    state[3] = k * t3 + x[3]                 # networks.py:44
    L = np.sum(state * x[::-1])              # networks.py:45

    # Backward: d_q is dL/dq.
    d_x = np.zeros(4)
    d_x[::-1] = state
    d_state = x[::-1].copy()
    d_state[3] = 0.0
    t4 = x[0]
    d_state[2] += t4 * k
    t5 = d_state[2:3].copy()
    d_state[2] = 0.0
    d_state[1] += t5[0] * k
    t6 = d_state[1:2].copy()
    d_state[1] = 0.0
    d_state[0] += t6[0] * k
    d_k = t4 * t3 + t5[0] * t2 + t6[0] * t1  # dL/dstate * dstate/dk
    d_x[3:] += x[0::-1]
    d_x[2:3] += t5
    d_x[1:2] += t6
    d_x[:1] += d_state[:1]                   # dL/dstate * dstate/dx
    return L, (d_x, d_k)


def _arguments(x, k):
    """Check the arguments and take the arrays out of them."""
    _sizes = {}
    return (
        _array("x", x, np.float64, (4,), _sizes),
        _array("k", k, np.float64, (), _sizes),
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
