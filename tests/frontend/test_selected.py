"""Elements and rows that a mask of data chooses: what does not need their number has NumPy's meaning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import ShapeError, TraceError
from gradc.request import BACKENDS

_DRAW = np.random.default_rng(0)
X = _DRAW.normal(size=(5, 3, 2))
Y = _DRAW.normal(size=5)
Z = _DRAW.normal(size=(5, 3))

PROGRAMS = """
x[m] += 1
x[m] *= 2 * x[m]
x[m] = x[m] * 3
x[m] -= y[m][:, None, None]
x[x[:, 0, 0] > 0] += 1
x[m, :] = -1.0
x[m, 1] = 2.0
x[m, 1] += 2.0
x[m, 1:] = y[0]
x[m, ..., 0] = 3.0
x[m, None] = 3.0
x[(m,)] = 5.0
x[m, 0, 1] = 7.0
x[m, 0] -= x[m, 1]
x[m, 1] = x[m, 0] + np.array([1.0, 2.0])
x[m, :, 0] = x[m, :, 1]
x[m] = np.ones((3, 2))
x[m, 0] = np.array([1.0, 2.0])
x[m] = x[m].mean(0)
x[M, 1] += 2
x[M] *= 2
x[M] = x[M][:, ::-1]
x[0][z[0] > 0] = 1.0
x[:, 0][m] *= 3.0
x[:, k] = 0.0
x[:, k] += 1.0
x[..., k, :] *= y[1]
x[:, k] = x[:, k] * 3
x[:, k] = np.ones((5, 1, 1))
x[:, k] = x[:, k].mean(0)
x[:, k, 0:1] -= 2.0
x[1, k] = 5.0
x[1, k, 0] += 5.0
x[0:2, k] = y[0]
x[None, m] += 1.0
x[m, :, None] += 1.0
x[:, :, None][:, k] += 1.0
z[:, k] = np.array([1, 2, 3, 4, 5])[:, None]; r = z
a = (10 * z).astype(int); a[:, k] = 2.7; r = a
a = (10 * z).astype(int); a[:, k] += 2; r = a
r = x[:, k].sum()
r = x[:, k].sum(0).sum(0)
r = x[:, k].sum(axis=0, keepdims=True).max(axis=1)
r = x[:, k].max(axis=1)
r = x[:, k].mean(axis=(0, 1), keepdims=True)
r = x[:, k].std(axis=1, keepdims=True)
r = x[:, k].sum(axis=(1, 2))
r = x[:, k].min(axis=2).sum(axis=1)
r = (z[:, k] + z[0][k]).sum(axis=0).sum()
r = (z[0][k] + z[:, k]).sum(axis=1)
r = (z[0][k] * z[:, k]).max(axis=0).sum()
r = (z[:, k] * y[:, None]).sum(1)
r = (y[:, None] - z[:, k]).sum(1)
r = x[None, M].sum()
r = (y[0] - y[m]).sum()
r = (y.sum() * y[m]).sum()
r = (z[0] - z[m]).sum(0)
r = (np.ones(3) - z[m]).sum(0)
r = np.maximum(z[0], z[m]).sum(0)
r = x[m].mean(0)
r = x[m].any()
r = x[m].sum(axis=(0, 2))
r = x[m].sum(axis=0, keepdims=True)
r = x[m].sum(keepdims=True)
r = x[M].sum(keepdims=True)
r = z[M].sum(keepdims=True)
r = x[M].std(0, keepdims=True)
r = x[M].max(axis=0)
r = x[m].max(initial=9.0)
r = x[m].var(ddof=1)
r = x[m].prod(axis=(0, 1))
r = x[m].sum(1).sum()
r = x[m].min(axis=1).sum(0)
r = x[m].mean(axis=-1).max(axis=0)
r = (x[m] ** 2).sum(axis=(1, 2)).min()
r = x[m, 0][:, 1].sum()
r = x[m, 1, 0].sum()
r = (x[m] * np.array([1.0, 2.0])).sum()
r = (x[m] - y[m][:, None, None]).sum()
r = np.where(x[m] > 0, x[m], 0.0).sum()
r = np.clip(x[m], -0.5, 0.5).sum() + x[m].clip(0.0, 1.0).sum() + np.round(x[m], 1).sum()
r = x[0, 0, 0][x[0, 0, 0] > -9].sum()
r = x[0, 0, 0][x[0, 0, 0] > -9].sum(keepdims=True)
a = x[m]; b = a; b *= 2; r = a.sum()
a = x[m]; b = a.copy(); b *= 2; r = a.sum()
a = x[m]; m[2:] = False; r = a.sum()
a = x[m]; x[:2] = 9.0; r = a.sum()
a = (10 * x).astype(int); a[m] //= 3; r = a
a = x.astype(np.float32); a[m] *= np.float64(1.5); r = a
"""
"""``m``, ``k`` and ``M`` are masks of the first axis, of the second and of both. The result is ``r``, or else x as
it was written."""


def program(text: str) -> Callable[..., Any]:
    code = compile(text, text, "exec")

    def function(x: Any, y: Any, z: Any) -> Any:
        names = {"x": x.copy(), "y": y, "z": z.copy(), "m": y > 0, "M": z > 0, "k": z[1] > 0}
        exec(code, {"np": np}, names)  # noqa: S102
        return names.get("r", names["x"])

    return function


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", PROGRAMS.strip().splitlines())
def test_value(text: str, backend: str) -> None:
    function = program(text)
    found, expected = gradc.jit(function, backend=backend)(X, Y, Z), function(X, Y, Z)
    assert (np.shape(found), np.asarray(found).dtype) == (np.shape(expected), np.asarray(expected).dtype)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    "text", [t for t in PROGRAMS.strip().splitlines() if not any(word in t for word in ("any", "//", "float32"))]
)
def test_gradient(text: str) -> None:
    function = program(text)
    weights = _DRAW.normal(size=np.shape(function(X, Y, Z)))

    def total(*given: Any) -> Any:
        return np.sum(weights * function(*given))

    inputs, directions = (X, Y, Z), [_DRAW.normal(size=part.shape) for part in (X, Y, Z)]
    slopes = gradc.grad(total, (0, 1, 2))(*inputs)
    above, below = (total(*[x + h * v for x, v in zip(inputs, directions, strict=True)]) for h in (1e-5, -1e-5))
    found = sum(np.sum(slope * v) for slope, v in zip(slopes, directions, strict=True))
    assert found == pytest.approx((above - below) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_of_a_symbolic_number_of_rows(rows: int) -> None:
    def function(x: Any, y: Any) -> Any:
        x = x.copy()
        x[y > 0] += 1
        x[y > 1, 0] *= y[y > 1]
        return x, x[y > 0].sum(0)

    for backend in BACKENDS:
        kernel = gradc.jit(function, backend=backend).compile(gradc.aval("f64[n,3]"), gradc.aval("f64[n]"))
        x, y = _DRAW.normal(size=(rows, 3)), np.array([0.5, -1.0, 2.0, 3.0])[:rows]
        for found, expected in zip(kernel(x, y), function(x, y), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-14)


REFUSED = """
x[m] = y[m]
x[m] += np.ones((2, 3, 2))
x[m] = x[y > 1]
r = x[m] @ x[m].T
r = np.matmul(x[m], x[m]).sum()
r = np.vecdot(z[m], z[m]).sum()
r = np.add.reduce(x[m]).sum()
r = np.divmod(x[m], 2.0)[0].sum()
r = np.sum(x[m], where=x[m] > 0)
r = x[m][0].sum()
r = x[m][::2].sum()
r = x[m][..., 0].sum()
r = len(x[m])
r = x[m]
r = x[1, :, k].sum()
x[:, :, m] = 1.0
r = x[:, k][:, 0].sum()
r = x[m, k].sum()
r = np.sort(x[m]).sum()
"""


@pytest.mark.parametrize("text", REFUSED.strip().splitlines())
def test_what_needs_the_number_of_rows_is_refused(text: str) -> None:
    with pytest.raises(TraceError, match=r"depends? on data"):
        gradc.jit(program(text))(X, Y, Z)


def test_rows_of_another_length_are_refused() -> None:
    for text in ("x[m] += y", "x[m, :1] += x[m]", "x[m, :1] = x[m]"):
        with pytest.raises(ShapeError):
            gradc.jit(program(text))(X, Y, Z)
