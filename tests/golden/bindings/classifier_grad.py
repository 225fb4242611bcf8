"""classifier_grad: value and gradient of classifier (networks.py:25).

gradc 0.1.0. Needs NumPy and libclassifier_grad.so beside it. Output is yours (0BSD).

layers[0]["W"]: f64[4,5]
layers[0]["b"]: f64[5]
layers[1]["W"]: f64[5,3]
layers[1]["b"]: f64[3]
x: f64[6,4]
labels: i64[6]
Returns L, [{"W": dL/dlayers[0]["W"], "b": dL/dlayers[0]["b"]}, {"W": dL/dlayers[1]["W"], "b": dL/dlayers[1]["b"]}].
"""
import ctypes
import threading
from pathlib import Path

import numpy as np

_library = ctypes.CDLL(str(Path(__file__).with_name("libclassifier_grad.so")))


def classifier_grad(
    layers: list[dict[str, np.ndarray]], x: np.ndarray, labels: np.ndarray,
) -> tuple[np.float64, list[dict[str, np.ndarray]]]:
    (
        layers_0_W, layers_0_b, layers_1_W, layers_1_b, x, labels,
    ) = _classifier_grad_arguments(layers, x, labels)
    layers_0_W = _dense(layers_0_W)
    layers_0_b = _dense(layers_0_b)
    layers_1_W = _dense(layers_1_W)
    layers_1_b = _dense(layers_1_b)
    x = _dense(x)
    labels = _dense(labels)
    L = np.empty((), np.float64)
    d_layers_0_W = np.empty((4, 5), np.float64)
    d_layers_0_b = np.empty(5, np.float64)
    d_layers_1_W = np.empty((5, 3), np.float64)
    d_layers_1_b = np.empty(3, np.float64)
    status = _classifier_grad(
        _at(layers_0_W), _at(layers_0_b), _at(layers_1_W), _at(layers_1_b), _at(x), _at(labels),
        _at(L), _at(d_layers_0_W), _at(d_layers_0_b), _at(d_layers_1_W), _at(d_layers_1_b),
        _scratch.address(768),
    )
    if status:
        kind, message = _classifier_grad_failures[status]
        raise kind(message)
    return L[()], [{"W": d_layers_0_W, "b": d_layers_0_b}, {"W": d_layers_1_W, "b": d_layers_1_b}]


_classifier_grad = _library.classifier_grad
_classifier_grad.restype = ctypes.c_int
_classifier_grad.argtypes = [
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
    ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p,
    ctypes.c_void_p, ctypes.c_void_p,
]
_classifier_grad_failures = {
    16: (IndexError, "index is out of bounds for axis 1 with size 3 (networks.py:31: return -np.mean(np.log(p[np.arange(len(x)), labels])))"),
}


def _classifier_grad_arguments(layers, x, labels):
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


def _at(array):
    """Where the elements begin in memory."""
    return array.__array_interface__["data"][0]


def _dense(array):
    """The array, or a copy of it that is row-major without gaps."""
    return array if array.flags.c_contiguous and array.flags.aligned else np.array(array, order="C")


class _Scratch(threading.local):
    """Scratch memory of a thread, as much as the largest call has needed."""

    size = -1

    def address(self, size):
        """Where ``size`` bytes begin, at a multiple of 64."""
        if self.size < size:
            self.block = np.empty(size + 64, np.uint8)
            self.start = _at(self.block) + -_at(self.block) % 64
            self.size = size
        return self.start


_scratch = _Scratch()
