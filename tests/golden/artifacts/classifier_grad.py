"""classifier_grad: value and gradient of classifier (networks.py:25).

gradc 0.1.0. Needs only NumPy. Output is yours (0BSD).

layers[0]["W"]: f64[4,5]
layers[0]["b"]: f64[5]
layers[1]["W"]: f64[5,3]
layers[1]["b"]: f64[3]
x: f64[6,4]
labels: i64[6]
Returns L, [{"W": dL/dlayers[0]["W"], "b": dL/dlayers[0]["b"]}, {"W": dL/dlayers[1]["W"], "b": dL/dlayers[1]["b"]}].
"""
import numpy as np


@np.errstate(all="ignore")  # infinities and NaN are results here, not warnings
def classifier_grad(
    layers: list[dict[str, np.ndarray]], x: np.ndarray, labels: np.ndarray,
) -> tuple[np.float64, list[dict[str, np.ndarray]]]:
    layers_0_W, layers_0_b, layers_1_W, layers_1_b, x, labels = _arguments(layers, x, labels)
    h = np.tanh(x @ layers_0_W + layers_0_b)         # networks.py:28
    logits = h @ layers_1_W + layers_1_b             # networks.py:29
    largest = np.max(logits, axis=1, keepdims=True)  # networks.py:30
    shifted = logits - largest                       # networks.py:30
    weights = np.exp(shifted)                        # cannot overflow
    total = np.sum(weights, axis=1, keepdims=True)   # networks.py:30
    p = weights / total                              # networks.py:30 [softmax]
    t1 = np.arange(6)                                # networks.py:31
    t2 = (shifted - np.where(np.isfinite(largest), np.log(total), 0.0))[t1, labels]  # networks.py:31 [log-softmax]
    L = -(np.sum(t2) / 6.0)                          # networks.py:31

    # Backward: d_q is dL/dq.
    d_logits = 0.16666666666666666 * p
    np.add.at(d_logits, (t1, labels), -0.16666666666666666)
    t3 = d_logits @ layers_1_W.T * (1.0 - h * h)
    return (
        L,
        [
            {"W": x.T @ t3, "b": np.sum(t3, axis=0)},
            {"W": h.T @ d_logits, "b": np.sum(d_logits, axis=0)},
        ],
    )


def _arguments(layers, x, labels):
    """Check the arguments and take the arrays out of them."""
    _items("layers", layers, "list", 2)
    _keys("layers[0]", layers[0], ["W", "b"])
    _keys("layers[1]", layers[1], ["W", "b"])
    _sizes = {}
    return (
        _array('layers[0]["W"]', layers[0]["W"], np.float64, (4, 5), _sizes),
        _array('layers[0]["b"]', layers[0]["b"], np.float64, (5,), _sizes),
        _array('layers[1]["W"]', layers[1]["W"], np.float64, (5, 3), _sizes),
        _array('layers[1]["b"]', layers[1]["b"], np.float64, (3,), _sizes),
        _array("x", x, np.float64, (6, 4), _sizes),
        _array("labels", labels, np.int64, (6,), _sizes),
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


def _items(name, value, kind, count):
    """A list or a tuple of this length."""
    if not isinstance(value, {"list": list, "tuple": tuple}[kind]):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a {kind} of {count} items")
    if len(value) != count:
        raise ValueError(f"{name} has {len(value)} items, expected {count}")


def _keys(name, value, keys):
    """A dict with exactly these keys."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a dict with the keys {keys}")
    if value.keys() != set(keys):
        raise ValueError(f"{name} has the keys {list(value)}, expected {keys}")
