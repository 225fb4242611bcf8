"""What is refused names a remedy: here each is taken, works, and gives what NumPy gives.

A row is the function that is refused, its arguments, what the message says, and the function as the message advises.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.sparse
import scipy.special

import gradc
from gradc.errors import GradcError

X = np.array([0.5, -1.5, 2.0, 3.5])
Y = np.array([1.0, 2.0, -0.5, 0.25])
K = np.array([3, 1, 2, 0])
A = np.arange(12.0).reshape(3, 4) / 7
S = A[:, :3] @ A[:, :3].T + np.eye(3)
Z = X + 1j * Y
TABLE = np.array([1.0, 2.0, 4.0])
SPARSE = scipy.sparse.csr_array(A)


@dataclass(frozen=True)
class Row:
    """``meaning`` is what NumPy computes, of the arguments of the remedy; by default the remedy itself."""

    name: str
    refused: Callable[..., Any]
    arguments: tuple[Any, ...]
    message: str
    remedy: Callable[..., Any]
    remedied: tuple[Any, ...] | None = None
    meaning: Callable[..., Any] | None = None


def branch(x: Any) -> Any:
    return x if x > 0 else -x


def clamped(x: Any) -> Any:
    while x > 1:
        x = x / 2
    return x


def written(x: Any) -> Any:
    x[0] = 1.0
    return x


def written_copy(x: Any) -> Any:
    x = x.copy()
    x[0] = 1.0
    return x


def overwritten_view(x: Any) -> Any:
    windows = np.lib.stride_tricks.sliding_window_view(x, 2, writeable=True)
    windows[0] = 0
    return x


def put_before(x: Any) -> Any:
    x = x.copy()
    x[:2] = 0
    return x


def added_later(x: Any) -> Any:
    total = np.zeros(3, np.int64)
    total += x[:3]
    return total


def added_float(x: Any) -> Any:
    total = np.zeros(3)
    total += x[:3]
    return total


def power_of_n(x: Any, n: Any) -> Any:
    return x * 2**n


def distinct(k: Any) -> Any:
    return 1 + np.sum(np.diff(np.sort(k)) != 0)


def of_eigenvalues(a: Any, function: Any) -> Any:
    w, v = np.linalg.eigh(a)
    return (v * function(w)) @ v.T


def polar(a: Any) -> Any:
    u, s, vt = np.linalg.svd(a, full_matrices=False)
    return u @ vt, (vt.T * s) @ vt


def imaginary_part(x: Any) -> Any:
    y = x * (2 + 0j)
    y.imag = x
    return y


def errors_of_floats(x: Any) -> Any:
    with np.errstate(divide="raise", invalid="raise"):
        return 1 / x


def selected_and_written(x: Any) -> Any:
    chosen = x[x > 0]
    chosen[:] = 5.0
    return chosen.sum()


def indexed_sum(pairs: Any) -> Any:
    total = 0.0
    for (i, j), element in pairs:
        total += element * (i + j)
    return total


@dataclass
class Held:
    """An object that NumPy asks for an array."""

    data: Any

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.data)


ROWS = [
    Row("if", branch, (2.0,), "np.where", lambda x: np.where(x > 0, x, -x), meaning=branch),
    Row("while", clamped, (8.0,), "np.where", lambda x: np.where(x > 1, x / 2, x)),
    Row("float", lambda x: float(x) * 2, (2.0,), "float", lambda x: x * 2),
    Row("and", lambda x, y: (x > 0) and (y > 0), (2.0, 1.0), r"&, \| and ~ for and, or and not",
        lambda x, y: (x > 0) & (y > 0)),
    Row("an argument is written", written, (X,), "copy", written_copy),
    Row("where of one", lambda x: np.where(x > 0), (X,), r"np.where\(condition, x, y\)",
        lambda x: np.where(x > 0, x, 0)),
    Row("nonzero", lambda x: x[np.nonzero(x > 0)].sum(), (X,), r"np.where\(mask, x, 0\)",
        lambda x: np.where(x > 0, x, 0).sum(), meaning=lambda x: x[np.nonzero(x > 0)].sum()),
    Row("flatnonzero", lambda x: np.size(np.flatnonzero(x > 0)), (X,), "use the mask itself", lambda x: np.sum(x > 0),
        meaning=lambda x: np.flatnonzero(x > 0).size),
    Row("unique", lambda k: np.size(np.unique(k)), (K,), "use np.sort, and np.diff", distinct,
        meaning=lambda k: np.size(np.unique(k))),
    Row("intersection", lambda x, y: np.sum(np.intersect1d(x, y)), (X, X[1:]), "use np.isin",
        lambda x, y: np.sum(np.where(np.isin(x, y), x, 0)), meaning=lambda x, y: np.sum(np.intersect1d(x, y))),
    Row("zeros at the ends", lambda x: np.sum(np.trim_zeros(x)), (X,), "multiply with a mask",
        lambda x: np.sum(x * (x != 0)), meaning=lambda x: np.sum(np.trim_zeros(x))),
    Row("a mask that is data", lambda x: x[x > 0], (X,), r"np.where\(mask, x, 0\)",
        lambda x: np.where(x > 0, x, 0).sum(), meaning=lambda x: x[x > 0].sum()),
    Row("bincount", lambda k: np.bincount(k), (K,), "minlength", lambda k: np.bincount(k, minlength=4)),
    Row("histogram", lambda x, k: np.histogram(x, k[0])[0], (X, K), "as a Python number",
        lambda x, n: np.histogram(x, n)[0], (X, 3), meaning=lambda x, n: np.histogram(x, n)[0]),
    Row("function of a matrix", lambda a: scipy.linalg.funm(a, np.arctan), (S,), "np.linalg.eigh",
        lambda a: of_eigenvalues(a, np.arctan), meaning=lambda a: scipy.linalg.funm(a, np.arctan)),
    Row("polar", lambda a: scipy.linalg.polar(a), (S,), "np.linalg.svd", polar,
        meaning=lambda a: scipy.linalg.polar(a)),
    Row("eigenvalues of diagonals", lambda x, y: scipy.linalg.eigvals_banded(np.stack([x, y]), lower=True), (X, Y),
        "np.linalg.eigvalsh", lambda x, y: np.linalg.eigvalsh(np.diag(x) + np.diag(y[:3], -1) + np.diag(y[:3], 1)),
        meaning=lambda x, y: scipy.linalg.eigvals_banded(np.stack([x, y]), lower=True)),
    Row("choose of floats", lambda x: np.choose(x, [x, 2 * x]), (np.array([0.0, 1.0]),), "convert it",
        lambda x: np.choose(x.astype(int), [x, 2 * x])),
    Row("cast of complex", lambda z: z.astype(float), (Z,), "take .real first", lambda z: z.real.astype(float)),
    Row("nanmax of complex", lambda z: np.nanmax(z), (Z,), "take .real, .imag or abs", lambda z: np.nanmax(abs(z))),
    Row("rfft of complex", lambda z: np.fft.rfft(z), (Z,), "use np.fft.fft", lambda z: np.fft.fft(z)),
    Row("rfft of complex, real", lambda z: np.fft.rfft(z), (Z,), "take .real", lambda z: np.fft.rfft(z.real)),
    Row("fft of halves", lambda x: np.fft.fft(x), (X.astype(np.float16),), "convert it to float32",
        lambda x: np.fft.fft(x.astype(np.float32))),
    Row("int in a small dtype", lambda k: k + 300, (K.astype(np.int8),), "convert the array to a wider dtype",
        lambda k: k.astype(np.int32) + 300),
    Row("traced int in a small dtype", lambda k, n: k + n, (K.astype(np.int8), 5), r"pass np.int8\(n\)",
        lambda k, n: k + n, (K.astype(np.int8), np.int8(5))),
    Row("traced int, wider", lambda k, n: k + n, (K.astype(np.int8), 5), "convert the array to int64",
        lambda k, n: k.astype(np.int64) + n),
    Row("bits of floats", lambda x: x & 1, (X,), "convert them", lambda x: x.astype(int) & 1),
    Row("negative integer powers", lambda k: (k + 1) ** -1, (K,), "convert the base to float",
        lambda k: (k + 1).astype(float) ** -1),
    Row("int to a traced power", power_of_n, (X, 3), r"write float\(x\) \*\* n", lambda x, n: x * float(2) ** n),
    Row("prod of bools", lambda x: np.prod(x > 0, dtype=bool), (X,), "use np.all", lambda x: np.all(x > 0)),
    Row("cumsum of bools", lambda x: np.cumsum(x > 0, dtype=bool), (X,), "use dtype=int",
        lambda x: np.cumsum(x > 0, dtype=int)),
    Row("max of some", lambda x: np.max(x, where=x > 0), (X,), "give initial=",
        lambda x: np.max(x, where=x > 0, initial=-9.0)),
    Row("where without out", lambda x: np.log(x, where=x > 0), (X,), r"np.where\(condition, result, other\)",
        lambda x: np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0)),
    Row("concatenate of numbers", lambda x: np.concatenate([x[0], x[1]]), (X,), "use np.stack",
        lambda x: np.stack([x[0], x[1]])),
    Row("matmul of a number", lambda x: x @ 2.0, (X,), "use \\*", lambda x: x * 2.0),
    Row("order of memory", lambda a: np.ravel(a, order="K"), (A,), "use 'C' or 'F'", lambda a: np.ravel(a, order="F")),
    Row("windows are written", overwritten_view, (X,), "write into x", put_before),
    Row("windows without an axis", lambda a: np.lib.stride_tricks.sliding_window_view(a, 2), (A,), "give axis=",
        lambda a: np.lib.stride_tricks.sliding_window_view(a, 2, axis=1)),
    Row("outer of matrices", lambda a: np.linalg.outer(a, a), (A,), "use np.outer", lambda a: np.outer(a, a)),
    Row("solve of halves", lambda a: np.linalg.inv(a), (S.astype(np.float16),), "convert it first",
        lambda a: np.linalg.inv(a.astype(np.float32))),
    Row("qr in another mode", lambda a: np.linalg.qr(a, mode="raw"), (A,), "use 'reduced', 'complete' or 'r'",
        lambda a: np.linalg.qr(a, mode="reduced")[1]),
    Row("reshape without a copy", lambda a: np.reshape(a, -1, copy=False), (A,), "leave out copy=False",
        lambda a: np.reshape(a, -1)),
    Row("a cast that is not allowed", lambda x: np.add(x, 1, dtype=int), (X,), "convert the operands with astype",
        lambda x: np.add(x.astype(int), 1, dtype=int)),
    Row("einsum in a smaller dtype", lambda x: np.einsum("i->", x, dtype=np.float32), (X,), "write 'unsafe'",
        lambda x: np.einsum("i->", x, dtype=np.float32, casting="unsafe")),
    Row("another boundary", lambda a: scipy.signal.convolve2d(a, S, boundary="wrap", mode="valid"), (A,),
        "use np.pad first", lambda a: scipy.signal.convolve2d(np.pad(a, 1, "wrap"), S, mode="valid")),
    Row("assume_a", lambda a: scipy.linalg.solve(a, TABLE, assume_a="sym"), (S,), "use 'gen' or 'pos'",
        lambda a: scipy.linalg.solve(a, TABLE, assume_a="pos")),
    Row("weights of another method", lambda x: np.quantile(x, 0.5, weights=x), (np.abs(X),), "'inverted_cdf'",
        lambda x: np.quantile(x, 0.5, weights=x, method="inverted_cdf")),
    Row("weights along no axis", lambda a: np.quantile(a, 0.5, weights=Y, method="inverted_cdf"), (A,), "axis=",
        lambda a: np.quantile(a, 0.5, weights=np.abs(Y), axis=1, method="inverted_cdf")),
    Row("sort by fields", lambda x: np.sort(x, order="a"), (X,), "leave it out", lambda x: np.sort(x)),
    Row("another kind of sort", lambda x: np.sort(x, kind="bubble"), (X,), "use 'stable'",
        lambda x: np.sort(x, kind="stable")),
    Row("a dtype of integers in logsumexp", lambda k: scipy.special.logsumexp(k), (K,), "convert it first",
        lambda k: scipy.special.logsumexp(k.astype(float))),
    Row("floats into integers", added_later, (X,), "astype|float", added_float),
    Row("reduceat at data", lambda x, k: np.add.reduceat(x, k), (X, K), "make the indices outside of the function",
        lambda x, k: np.add.reduceat(x, K)),
    Row("where of data as an axis", lambda x, k: np.sum(x, axis=k[0]), (A, np.array([1])), "static|while tracing|axis",
        lambda x, axis: np.sum(x, axis=axis), (A, 1)),
    Row("too many steps", lambda x: np.vectorize(lambda v: v * v)(x), (np.ones(5000),), "for whole arrays",
        lambda x: x * x),
    Row("iterator over memory", lambda a: sum(v * v for v in np.nditer(a)), (A,), r"use x\.flat",
        lambda a: sum(v * v for v in a.flat)),
    Row("iterator with indices", lambda a: indexed_sum(np.nditer(a)), (A,), r"np\.ndenumerate\(x\)",
        lambda a: indexed_sum(np.ndenumerate(a))),
    Row("strides", lambda x: np.lib.stride_tricks.as_strided(x, (3, 2), (8, 8)), (X,), "sliding_window_view",
        lambda x: np.lib.stride_tricks.sliding_window_view(x, 2),
        meaning=lambda x: np.lib.stride_tricks.as_strided(x, (3, 2), (8, 8))),
    Row("a broadcast", lambda x: np.zeros(np.broadcast(x, x[:, None]).shape) + x, (X,), r"np\.broadcast_shapes",
        lambda x: np.zeros(np.broadcast_shapes(x.shape, x[:, None].shape)) + x),
    Row("the imaginary part is set", imaginary_part, (X,), r"write x = x\.real \+ 1j \* y", lambda x: 2 * x + 1j * x,
        meaning=imaginary_part),
    Row("the shape is set", lambda x: setattr(x, "shape", (2, 2)) or x, (X,), r"use x\.reshape",
        lambda x: x.reshape(2, 2)),
    Row("a polynomial", lambda x: np.poly1d(x)(0.5), (X,), r"use np\.polyval\(p, x\)", lambda x: np.polyval(x, 0.5),
        meaning=lambda x: np.poly1d(x)(0.5)),
    Row("a series", lambda x: np.polynomial.Polynomial(x)(0.5), (X,), r"use np\.polyval\(p, x\)",
        lambda x: np.polyval(x[::-1], 0.5), meaning=lambda x: np.polynomial.Polynomial(x)(0.5)),
    Row("an object that gives an array", lambda x: np.sin(Held(x)), (X,), r"convert the object first: np\.asarray\(x\)",
        lambda x: np.sin(np.asarray(Held(x)))),
    Row("a method of a ufunc and a list", lambda x, y: np.maximum.reduce([x, y]), (X, Y), r"np\.stack\(\[x, y\]\)",
        lambda x, y: np.maximum.reduce(np.stack([x, y]))),
    Row("a selection is written", selected_and_written, (X,), r"write np\.where\(mask, x, 0\)",
        lambda x: np.where(x > 0, 5.0, 0).sum(), meaning=selected_and_written),
    Row("text", lambda x: x * len(str(x)), (X,), "its shape and dtype are known and can be printed",
        lambda x: x * len(f"{x.shape} {x.dtype}")),
    Row("a key", lambda x: {x[0]: x}[x[0]], (X,), "a Python int, which becomes static", lambda x, n: {n: x}[n], (X, 3)),
    Row("errors of floats", errors_of_floats, (X,), r"look for them in the result with np\.isfinite",
        lambda x: np.where(np.isfinite(1 / x).all(), 1 / x, 0), meaning=errors_of_floats),
    Row("a sparse array", lambda x: SPARSE @ x, (X,), r"use a dense one: A\.toarray\(\) @ x",
        lambda x: SPARSE.toarray() @ x),
    Row("a sparse array on the right", lambda x: x[:3] @ SPARSE, (X,), "use a dense one",
        lambda x: x[:3] @ SPARSE.toarray()),
    Row("a matrix", lambda a: a.view(np.matrix) * a.T.view(np.matrix), (A,), "with @ for products", lambda a: a @ a.T),
    Row("an array of objects", lambda x: np.array([x[0], 1.0], dtype=object), (X,), "use a dtype of numbers",
        lambda x: np.array([x[0], 1.0], dtype=float)),
    Row("JSON", lambda x: len(json.dumps(x.tolist())) * x, (X,), "return it and write it after the call", lambda x: x),
    Row("bytes of a struct", lambda x: len(struct.pack("d", x[0])) * x, (X,), "write it after the call", lambda x: x),
    Row("integers beyond i64", lambda x: x * 2**63, (X,), "write it as a float", lambda x: x * float(2**63)),
]  # fmt: skip


def as_arrays(result: Any) -> list[np.ndarray]:
    return [np.asarray(part) for part in (result if isinstance(result, (tuple, list)) else (result,))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_remedy_works(row: Row) -> None:
    with pytest.raises(GradcError) as refusal:
        gradc.jit(row.refused)(*row.arguments)
    message = str(refusal.value).partition(" (test_remedies.py")[0]  # the line of the row has the words as well
    assert re.search(row.message, message), message
    given = row.arguments if row.remedied is None else row.remedied
    expected = as_arrays((row.meaning or row.remedy)(*given))
    found = as_arrays(gradc.jit(row.remedy)(*given))
    assert len(found) == len(expected)
    for got, wanted in zip(found, expected, strict=True):
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        np.testing.assert_allclose(got, wanted, rtol=1e-5 if wanted.dtype.itemsize <= 4 else 1e-12, atol=1e-12)
