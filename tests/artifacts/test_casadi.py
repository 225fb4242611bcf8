"""Libraries in CasADi's calling convention: called as CasADi does, by hand, and by CasADi where it is installed."""

from __future__ import annotations

import ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.errors import ArgumentError

CC = shutil.which("gcc") or shutil.which("clang")
A, X, S = np.arange(6.0).reshape(2, 3) / 10, np.array([0.1, 0.2, 0.3]), 2.0


def three(a: Any, x: Any, s: Any) -> Any:
    return {"y": np.tanh(a @ x) * s, "L": np.sum(x**2) + s, "M": a.T * s}


def loss(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(w @ x) ** 2)


def kernel() -> gradc.Kernel:
    return gradc.jit(three, name="fun").compile(gradc.aval("f64[2,3]"), gradc.aval("f64[3]"), gradc.aval("f64[]"))


class External:
    """A function of CasADi's convention in a library, called with arrays stored by columns."""

    def __init__(self, file: Path, name: str) -> None:
        code = ctypes.CDLL(str(file))
        self.function = getattr(code, name)
        long = ctypes.c_longlong
        self.counts = []
        for side in ("in", "out"):
            count = getattr(code, f"{name}_n_{side}")
            count.restype = long
            self.counts.append(count())
        self.names, self.shapes = [], []
        for side, count in zip(("in", "out"), self.counts, strict=True):
            told, sparsity = (getattr(code, f"{name}_{what}_{side}") for what in ("name", "sparsity"))
            told.restype, sparsity.restype = ctypes.c_char_p, ctypes.POINTER(long)
            self.names.append([told(long(k)).decode() for k in range(count)])
            found = [sparsity(long(k)) for k in range(count)]
            assert all(f[2] == 1 for f in found), "dense"
            assert told(long(count)) is None
            self.shapes.append([(f[0], f[1]) for f in found])
        sizes = [long() for _ in range(4)]
        assert getattr(code, f"{name}_work")(*map(ctypes.byref, sizes)) == 0
        self.sizes = [size.value for size in sizes]

    def __call__(self, *arrays: Any, without: tuple[int, ...] = ()) -> list[np.ndarray | None]:
        given = [None if a is None else np.asfortranarray(a, np.float64) for a in arrays]
        results = [np.full(shape, np.nan, order="F") for shape in self.shapes[1]]
        work = np.full(self.sizes[3] + 8, np.nan)
        pointers = [[0 if a is None else a.ctypes.data for a in given]]
        pointers.append([0 if k in without else r.ctypes.data for k, r in enumerate(results)])
        arg, res = ((ctypes.c_void_p * len(p))(*[n or None for n in p]) for p in pointers)
        assert self.function(arg, res, None, ctypes.c_void_p(work.ctypes.data), 0) == 0
        assert np.isnan(work[self.sizes[3] :]).all(), "it wrote behind its work array"
        return [None if k in without else r for k, r in enumerate(results)]


def test_matrices_are_stored_by_columns(tmp_path: Path) -> None:
    made = kernel()
    made.save(tmp_path, format="lib", abi="casadi")
    fun = External(tmp_path / "libfun.so", "fun")
    assert fun.names == [["a", "x", "s"], ["result", "L", "M"]]
    assert fun.shapes == [[(2, 3), (3, 1), (1, 1)], [(2, 1), (1, 1), (3, 2)]]
    expected = made(A, X, S)
    y, total, scaled = fun(A, X, S)
    assert y is not None
    assert scaled is not None
    assert y[:, 0].tobytes() == expected["y"].tobytes()
    assert total == expected["L"]
    np.testing.assert_array_equal(scaled, expected["M"])


def test_null_means_zero_and_not_wanted(tmp_path: Path) -> None:
    made = kernel()
    made.save(tmp_path, format="lib", abi="casadi")
    fun = External(tmp_path / "libfun.so", "fun")
    np.testing.assert_array_equal(fun(None, X, S)[2], np.zeros((3, 2)))
    assert fun(A, None, S)[1] == S
    y, total, scaled = fun(A, X, S, without=(0, 2))
    assert y is None
    assert scaled is None
    assert total == made(A, X, S)["L"]


def test_jacobian_has_a_block_for_each_pair(tmp_path: Path) -> None:
    kernel().save(tmp_path, format="lib", abi="casadi")
    jac = External(tmp_path / "libfun.so", "jac_fun")
    assert jac.counts == [6, 9]
    assert jac.names[1][:4] == ["jac_result_a", "jac_result_x", "jac_result_s", "jac_L_a"]
    blocks = dict(zip(jac.names[1], jac(A, X, S, None, None, None), strict=True))
    slope = S * (1 - np.tanh(A @ X) ** 2)
    np.testing.assert_allclose(blocks["jac_result_x"], slope[:, None] * A, rtol=1e-13)
    by_a = np.einsum("i,ik,l->ilk", slope, np.eye(2), X)  # element (k, l) of a is row k + 2 l of its columns
    np.testing.assert_allclose(blocks["jac_result_a"], by_a.reshape(2, 6), rtol=1e-13)
    moved = np.zeros((6, 6))
    for k in range(2):
        for j in range(3):
            moved[j + 3 * k, k + 2 * j] = S
    np.testing.assert_array_equal(blocks["jac_M_a"], moved)
    np.testing.assert_allclose(blocks["jac_L_x"], 2 * X[None, :])


def test_the_jacobian_of_a_gradient_is_the_hessian(tmp_path: Path) -> None:
    made = gradc.grad(loss, wrt="x", name="slope").compile(gradc.aval("f64[2,3]"), gradc.aval("f64[3]"))
    made.save(tmp_path, format="lib", abi="casadi")
    jac = External(tmp_path / "libslope.so", "jac_slope")
    by_x = jac(A, X, None)[1]
    expected = gradc.hessian(loss, "x")(A, X)
    np.testing.assert_allclose(by_x, expected, rtol=1e-12)


def test_numbers_alone_come_through(tmp_path: Path) -> None:
    made = gradc.value_and_grad(lambda w, x: np.sin(w * x) * w, wrt=("w", "x"), name="wave").compile(1.0, 2.0)
    made.save(tmp_path, format="lib", abi="casadi")
    wave = External(tmp_path / "libwave.so", "wave")
    value, (by_w, by_x) = made(1.0, 2.0)
    assert [r.item() for r in wave(1.0, 2.0) if r is not None] == [float(value), float(by_w), float(by_x)]
    assert wave.sizes[3] == 0 or wave.sizes[3] < 32
    assert wave(1.0, 2.0, without=(0, 1))[2] == by_x


def test_second_derivatives_by_results_are_empty(tmp_path: Path) -> None:
    made = gradc.jit(loss, name="cost").compile(gradc.aval("f64[2,3]"), gradc.aval("f64[3]"))
    made.save(tmp_path, format="lib", abi="casadi")
    code = ctypes.CDLL(str(tmp_path / "libcost.so"))
    sparsity = code.jac_jac_cost_sparsity_out
    sparsity.restype = ctypes.POINTER(ctypes.c_longlong)
    # Jacobians by w, x and out_result of the blocks by w and x, then zeros for what the first Jacobian did not read.
    assert list(sparsity(ctypes.c_longlong(0))[:3]) == [6, 6, 1]
    assert list(sparsity(ctypes.c_longlong(2))[:4]) == [6, 1, 0, 0]


@pytest.mark.skipif(CC is None, reason="there is no C compiler")
def test_header_compiles_and_nothing_is_undefined(tmp_path: Path) -> None:
    kernel().save(tmp_path, format="lib", abi="casadi")
    (tmp_path / "main.c").write_text(
        '#include "fun.h"\n#include "fun.h"\nint main(void) {\n    casadi_int w;\n'
        "    if (fun_work(0, 0, 0, &w) || w != FUN_SZ_W) return 1;\n    return fun_n_in() == FUN_SZ_ARG ? 0 : 2;\n}\n"
    )
    command = [str(CC), "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "main.c", "libfun.a", "-o", "main"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0
    if shutil.which("nm"):
        listed = subprocess.run(["nm", "-u", tmp_path / "fun.o"], capture_output=True, text=True, check=True)
        assert listed.stdout == ""


def test_a_header_with_many_blocks_can_be_read(tmp_path: Path) -> None:
    """The second Jacobian of seven results by nine arguments has a thousand blocks."""

    def net(w11: Any, w12: Any, w21: Any, w22: Any, v1: Any, v2: Any, x1: Any, x2: Any, y: Any) -> Any:
        L = (v1 * np.tanh(w11 * x1 + w12 * x2) + v2 * np.tanh(w21 * x1 + w22 * x2) - y) ** 2
        return L

    weights = ("w11", "w12", "w21", "w22", "v1", "v2")
    kernel = gradc.value_and_grad(net, wrt=weights).compile(*[1.0] * 9, name="net")
    kernel.save(tmp_path, format="lib", abi="casadi")
    lines = (tmp_path / "net.h").read_text().splitlines()
    assert max(len(line) for line in lines if line.startswith(("/*", " *"))) <= 100
    assert len(lines) < 100
    assert " * arg: w11, w12, w21, w22, v1, v2, x1, x2, y" in lines
    assert " * res: jac_jac_L_w11_w11 ... jac_jac_d_v2_y_out_d_v2 (1008, by name_out) */" in lines


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: gradc.jit(loss).compile(gradc.aval("f32[2,3]"), gradc.aval("f32[3]")),
            "takes f64 alone, and w is f32",
        ),
        (lambda: gradc.jit(loss).compile(gradc.aval("f64[n,3]"), gradc.aval("f64[3]")), "takes fixed sizes, and w is"),
        (lambda: gradc.jit(np.sum, name="total").compile(gradc.aval("f64[2,3,4]")), "takes vectors and matrices"),
    ],
)
def test_what_casadi_cannot_pass_is_refused(make: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=message):
        make().save(tmp_path, format="lib", abi="casadi")
    assert not list(tmp_path.iterdir())


def test_the_convention_is_for_libraries(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="abi='casadi' is for format=\"lib\""):
        kernel().save(tmp_path, format="ir", abi="casadi")
    with pytest.raises(ArgumentError, match="abi='rust' is not one of 'c', 'casadi'"):
        kernel().save(tmp_path, format="lib", abi="rust")


@pytest.mark.skipif(importlib.util.find_spec("casadi") is None, reason="CasADi is not installed")
def test_casadi_calls_it_and_differentiates_through_it(tmp_path: Path) -> None:
    import casadi

    made = gradc.value_and_grad(loss, name="fun").compile(gradc.aval("f64[2,3]"), gradc.aval("f64[3]"))
    made.save(tmp_path, format="lib", abi="casadi")
    fun = casadi.external("fun", str(tmp_path / "libfun.so"))
    w, x = casadi.MX.sym("w", 2, 3), casadi.MX.sym("x", 3)
    own = casadi.sumsqr(casadi.tanh(w @ x))
    gradient = casadi.gradient(own, w)
    value, slope = fun(w, x)
    for ours, theirs in (
        (value, own),
        (slope, gradient),
        (casadi.jacobian(casadi.vec(slope), w), casadi.jacobian(casadi.vec(gradient), w)),
        (casadi.jacobian(casadi.vec(slope), x), casadi.jacobian(casadi.vec(gradient), x)),
    ):
        both = casadi.Function("both", [w, x], [ours, theirs])(A, X)
        np.testing.assert_allclose(np.array(both[0]), np.array(both[1]), rtol=1e-13, atol=1e-15)


@pytest.mark.skipif(importlib.util.find_spec("casadi") is None, reason="CasADi is not installed")
def test_casadi_takes_hessians_of_a_value(tmp_path: Path) -> None:
    import casadi

    made = gradc.jit(loss, name="cost").compile(gradc.aval("f64[2,3]"), gradc.aval("f64[3]"))
    made.save(tmp_path, format="lib", abi="casadi")
    cost = casadi.external("cost", str(tmp_path / "libcost.so"))
    w, x = casadi.MX.sym("w", 2, 3), casadi.MX.sym("x", 3)
    for by in (w, x):
        ours, theirs = (casadi.hessian(value, by)[0] for value in (cost(w, x), casadi.sumsqr(casadi.tanh(w @ x))))
        both = casadi.Function("both", [w, x], [ours, theirs])(A, X)
        np.testing.assert_allclose(np.array(both[0]), np.array(both[1]), rtol=1e-12, atol=1e-15)
