"""Sparse Jacobians and Hessians: equal to the dense ones, in fewer passes, as SciPy's arrays and in saved modules."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import numpy as np
import pytest

import gradc
from gradc.errors import DerivativeError, TraceError

sparse = pytest.importorskip("scipy.sparse", reason="SciPy is not installed")


@pytest.fixture(params=["llvm", "numpy", "reference"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


X = np.linspace(0.1, 1.0, 8)
MESH = (np.random.default_rng(0).uniform(size=(6, 8)) < 0.2) * np.random.default_rng(1).normal(size=(6, 8))


def differences(x):
    return x[1:] ** 2 - x[:-1] * x[1:]


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def loop(x):
    found = np.zeros(8)
    for k in range(8):
        found[k] = np.sin(x[k]) * x[(k + 1) % 8]
    return found


FUNCTIONS = {
    "differences": differences,
    "elementwise": lambda x: np.tanh(x) * 2,
    "mesh": lambda x: np.exp(MESH @ x),
    "pairs": lambda x: x[::2] * x[1::2],
    "sum": lambda x: np.sum(x**3),
    "loop": loop,
    "matrix": lambda x: np.outer(x[:2], x[2:]),
    "constant": lambda x: np.ones(3),
    "checkpoint": gradc.checkpoint(differences),
}


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_sparse_jacobians_are_the_dense_ones(function, backend: str) -> None:
    found = gradc.jacobian(function, sparse=True, backend=backend)(X)
    dense = gradc.jacobian(function, backend=backend)(X)
    assert isinstance(found, sparse.csc_array)
    assert found.shape == (np.size(function(X)), 8)
    np.testing.assert_allclose(found.toarray(), dense.reshape(found.shape), rtol=1e-12, atol=1e-14)


def test_only_the_pattern_is_stored(backend: str) -> None:
    assert gradc.jacobian(differences, sparse=True, backend=backend)(X).nnz == 14
    assert gradc.jacobian(gradc.checkpoint(differences), sparse=True, backend=backend)(X).nnz == 14
    assert gradc.jacobian(loop, sparse=True, backend=backend)(X).nnz == 16
    assert gradc.jacobian(FUNCTIONS["mesh"], sparse=True, backend=backend)(X).nnz == np.count_nonzero(MESH)
    assert gradc.hessian(rosenbrock, sparse=True, backend=backend)(X).nnz == 8 + 2 * 7


def test_sparse_hessians_are_the_dense_ones(backend: str) -> None:
    found = gradc.hessian(rosenbrock, sparse=True, backend=backend)(X)
    np.testing.assert_allclose(found.toarray(), gradc.hessian(rosenbrock)(X), rtol=1e-11, atol=1e-12)


def test_columns_that_share_no_row_are_one_pass() -> None:
    """The work grows with the colours, three here, and not with the size."""
    small, large = (gradc.jacobian(differences, sparse=True).compile(np.ones(n)).cost.flops for n in (100, 1000))
    assert large < 12 * small
    assert large < gradc.jacobian(differences).compile(np.ones(1000)).cost.flops / 50


def test_trees_of_blocks(backend: str) -> None:
    def function(w, x):
        return {"scaled": w["a"] * x, "energy": np.sum(w["a"] * x * x)}

    w = {"a": X + 1}
    found = gradc.jacobian(function, wrt=("w", "x"), sparse=True, backend=backend)(w, X)
    by_w, by_x = found["scaled"]
    np.testing.assert_allclose(by_w["a"].toarray(), np.diag(X))
    np.testing.assert_allclose(by_x.toarray(), np.diag(w["a"]))
    assert found["energy"][0]["a"].shape == (1, 8)
    np.testing.assert_allclose(found["energy"][1].toarray(), [2 * w["a"] * X])
    blocks = gradc.hessian(lambda w, x: function(w, x)["energy"], wrt=("w", "x"), sparse=True, backend=backend)(w, X)
    np.testing.assert_allclose(blocks[0]["a"][1].toarray(), np.diag(2 * X))
    assert blocks[0]["a"][0]["a"].nnz == 0


def test_auxiliary_results_come_along(backend: str) -> None:
    found, aux = gradc.jacobian(lambda x: (x * x, {"largest": np.max(x)}), has_aux=True, sparse=True, backend=backend)(
        X
    )
    np.testing.assert_allclose(found.toarray(), np.diag(2 * X))
    assert aux["largest"] == 1.0


def test_f32_stays_f32(backend: str) -> None:
    assert gradc.jacobian(differences, sparse=True, backend=backend)(X.astype(np.float32)).dtype == np.float32


def test_a_saved_module_has_the_pattern_as_constants(tmp_path) -> None:
    kernel = gradc.jacobian(differences, sparse=True, name="slopes").compile(X)
    kernel.save(tmp_path / "slopes.py")
    spec = importlib.util.spec_from_file_location("slopes", tmp_path / "slopes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    block = module.slopes(X)
    found = sparse.csc_array((block.data, block.indices, block.indptr), shape=tuple(block.shape))
    np.testing.assert_allclose(found.toarray(), gradc.jacobian(differences)(X), rtol=1e-14)
    again = kernel(X)
    np.testing.assert_array_equal(again.indptr, block.indptr)
    np.testing.assert_allclose(again.data, block.data, rtol=1e-14)


def test_scipy_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, numpy as np, gradc\n"
        "kernel = gradc.jacobian(lambda x: x * x, sparse=True).compile(np.ones(3))\n"
        "kernel(np.ones(3))\n"
        "assert 'scipy' not in sys.modules\n"
        "gradc.jacobian(lambda x: x * x, sparse=True)(np.ones(3))\n"
        "assert 'scipy.sparse' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_what_is_refused() -> None:
    with pytest.raises(TraceError, match="a sparse derivative is no array of a traced function; leave out sparse=True"):
        gradc.jit(lambda x: gradc.jacobian(differences, sparse=True)(x))(X)
    with pytest.raises(DerivativeError, match="a sparse derivative needs fixed sizes, and n is symbolic"):
        gradc.jacobian(lambda x: x * x, sparse=True).compile(gradc.aval("f64[n]"))
    with pytest.raises(DerivativeError, match="the gradient needs one scalar floating-point result"):
        gradc.hessian(differences, sparse=True)(X)
