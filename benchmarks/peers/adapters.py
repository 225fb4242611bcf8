"""How each tool is asked for value and gradient of a workload.

An adapter takes the workload, its arguments and the number of threads, and gives two functions: one that computes, all
results complete when it returns, and one that turns what it gave into a value and a list of NumPy arrays. The first is
timed, the second is not. Where a tool has no version of a workload it raises UnavailableError.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from peers import by_hand, casadi_forms
from peers.workloads import Workload, leaves, mapped

Call = Callable[[], Any]
Extract = Callable[[Any], tuple[Any, list[np.ndarray]]]
Adapter = Callable[[Workload, tuple[Any, ...], int], tuple[Call, Extract]]


class UnavailableError(Exception):
    """A tool has no version of a workload."""


@dataclass(frozen=True)
class Peer:
    """A tool: what it is, the modules that have to be there, its adapter, whether a person derived the gradient."""

    about: str
    modules: tuple[str, ...]
    adapt: Adapter
    is_manual: bool = False


def _named(module: types.ModuleType, **more: Any) -> types.ModuleType:
    """A module with the names of another, and some more."""
    space = types.ModuleType(f"{module.__name__}_names")
    space.__dict__.update({name: value for name, value in vars(module).items() if not name.startswith("__")}, **more)
    return space


def _bound(loss: Callable[..., Any], xp: Any) -> Callable[..., Any]:
    def of_arrays(parameters: Any, *data: Any) -> Any:
        return loss(xp, parameters, *data)

    return of_arrays


def _plain(result: Any) -> tuple[Any, list[np.ndarray]]:
    value, gradients = result
    return value, [np.asarray(g) for g in leaves(gradients)]


def numpy_names() -> types.ModuleType:
    """NumPy, with SciPy's erf."""
    from scipy.special import erf

    return _named(np, erf=erf)


def _gradc(backend: str) -> Adapter:
    def adapt(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
        import gradc

        function = gradc.value_and_grad(_bound(w.loss, numpy_names()), backend=backend)
        return lambda: function(*args), _plain

    return adapt


def _autograd(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
    import autograd
    import autograd.numpy
    from autograd.scipy.special import erf

    function = autograd.value_and_grad(_bound(w.loss, _named(autograd.numpy, erf=erf)))
    return lambda: function(*args), _plain


def _jax(*, idiomatic: bool, on_device: bool) -> Adapter:
    def adapt(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
        import jax

        if idiomatic and w.idiomatic is None:
            raise UnavailableError("written in JAX as in NumPy")
        loss = w.idiomatic if idiomatic else w.loss
        space = jax if idiomatic else _named(jax.numpy, erf=jax.scipy.special.erf)
        function = jax.jit(jax.value_and_grad(_bound(loss, space)))
        if on_device:
            here = jax.block_until_ready(jax.device_put(args))
            return lambda: jax.block_until_ready(function(*here)), _plain
        return lambda: jax.tree.map(np.asarray, function(*args)), _plain

    return adapt


def _torch_names(dtype: np.dtype) -> types.ModuleType:
    """torch under NumPy's names, where they differ."""
    import torch

    def largest(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return torch.amax(x, dim=() if axis is None else axis, keepdim=keepdims)

    def softplus_or_logaddexp(x: Any, y: Any) -> Any:
        return torch.nn.functional.softplus(x) if isinstance(y, float) else torch.logaddexp(x, y)

    torch.set_default_dtype(getattr(torch, dtype.name))
    return _named(
        torch, max=largest, logaddexp=softplus_or_logaddexp,
        maximum=lambda x, y: torch.clamp_min(x, y) if isinstance(y, float) else torch.maximum(x, y),
        asarray=lambda x: torch.from_numpy(np.asarray(x, np.int64)),
        concatenate=lambda parts, axis=0: torch.cat(list(parts), dim=axis),
    )  # fmt: skip


def _torch(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
    import torch

    torch.set_num_threads(threads)
    space = _torch_names(w.dtype)

    def tensor(array: Any) -> Any:
        array = np.asarray(array)
        return torch.from_numpy(array.astype(np.int64) if array.dtype.kind == "i" else array.copy())

    parameters = mapped(lambda a: tensor(a).requires_grad_(), args[0])
    data = [mapped(tensor, a) for a in args[1:]]
    flat = leaves(parameters)

    def call() -> Any:
        value = w.loss(space, parameters, *data)
        return value, torch.autograd.grad(value, flat)

    return call, lambda result: (result[0].detach().numpy(), [g.numpy() for g in result[1]])


def _pytensor(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
    import pytensor
    import pytensor.tensor as pt

    pytensor.config.floatX = w.dtype.name
    space = _named(
        pt, asarray=pt.as_tensor, reshape=lambda x, shape: x.reshape(shape),
        swapaxes=lambda x, i, j: x.swapaxes(i, j),
        logaddexp=lambda x, y: pt.softplus(x) if isinstance(y, float) else pt.logaddexp(x, y),
        concatenate=lambda parts, axis=0: pt.concatenate(list(parts), axis=axis),
    )  # fmt: skip
    arrays = [np.asarray(a) for a in leaves(args)]
    symbols = [pt.tensor(dtype=a.dtype, shape=a.shape) for a in arrays]
    unused = iter(symbols)
    parameters, *data = mapped(lambda _: next(unused), args)
    value = w.loss(space, parameters, *data)
    gradients = pytensor.grad(value, symbols[: len(leaves(parameters))])
    function = pytensor.function(symbols, [value, *gradients], on_unused_input="ignore", trust_input=True)
    return lambda: function(*arrays), lambda result: (np.asarray(result[0]), [np.asarray(g) for g in result[1:]])


def _casadi(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
    """CasADi's C, compiled by gcc -O3, its arguments and results bound to buffers."""
    import casadi

    if w.name not in casadi_forms.FORMS:
        raise UnavailableError("not written for CasADi")
    symbols, value, gradients = casadi_forms.FORMS[w.name](casadi, *args)
    function = casadi.Function("peer", symbols, [casadi.densify(part) for part in (value, *gradients)])
    here = os.getcwd()
    os.chdir(os.environ["COMPARE_FOLDER"])  # generate() takes the name of a file alone
    try:
        function.generate("peer.c")
        flags = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, "-o", "peer.so", "peer.c", "-lm"], check=True, capture_output=True)
        external = casadi.external("peer", os.path.abspath("peer.so"))
    finally:
        os.chdir(here)
    buffers, run = external.buffer()
    inputs = [np.array(a, dtype=np.float64).ravel(order="F") for a in leaves(args)]
    outputs = [np.zeros(function.nnz_out(k)) for k in range(function.n_out())]
    for k, array in enumerate(inputs):
        buffers.set_arg(k, memoryview(array))
    for k, array in enumerate(outputs):
        buffers.set_res(k, memoryview(array))
    kept = buffers, inputs  # the buffers' addresses alone are bound

    def call() -> Any:
        run()
        return outputs, kept

    def extract(result: Any) -> tuple[Any, list[np.ndarray]]:
        (first, *rest), _ = result
        shapes = [np.shape(a) for a in leaves(args[0])]
        return first[0], [g.reshape(shape, order="F") for g, shape in zip(rest, shapes, strict=True)]

    return call, extract


def _manual(forms: dict[str, Callable[..., Any]]) -> Adapter:
    def adapt(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
        if w.name not in forms:
            raise UnavailableError("not written by hand")
        function = forms[w.name]
        return lambda: function(*args), _plain

    return adapt


def _numba(w: Workload, args: tuple[Any, ...], threads: int) -> tuple[Call, Extract]:
    from peers.numba_forms import form

    function = form(w.name, parallel=threads > 1)
    if function is None:
        raise UnavailableError("not written for numba")
    return lambda: function(*args), _plain


PEERS = {
    "gradc": Peer("gradc, LLVM backend", ("gradc", "scipy.special"), _gradc("llvm")),
    "gradc-numpy": Peer("gradc, NumPy backend", ("gradc", "scipy.special"), _gradc("numpy")),
    "numpy": Peer("derived by hand, in NumPy", (), _manual(by_hand.FORMS), is_manual=True),
    "numba": Peer("derived and fused by hand, in numba", ("numba",), _numba, is_manual=True),
    "jax": Peer("jit(value_and_grad), NumPy in and out", ("jax",), _jax(idiomatic=False, on_device=False)),
    "jax-device": Peer("the same with JAX's arrays", ("jax",), _jax(idiomatic=False, on_device=True)),
    "jax-idiom": Peer("with scan or convolutions", ("jax",), _jax(idiomatic=True, on_device=False)),
    "jax-idiom-device": Peer("the same with JAX's arrays", ("jax",), _jax(idiomatic=True, on_device=True)),
    "torch": Peer("eager, tensors in and out", ("torch",), _torch),
    "autograd": Peer("HIPS autograd", ("autograd.numpy", "autograd.scipy.special"), _autograd),
    "pytensor": Peer("PyTensor's default mode", ("pytensor", "pytensor.tensor"), _pytensor),
    "casadi": Peer("CasADi's C by gcc -O3, bound buffers", ("casadi",), _casadi),
}


def load(name: str) -> Peer:
    """The peer, its modules imported. Raises ImportError where one is not there."""
    peer = PEERS[name]
    for module in peer.modules:
        importlib.import_module(module)
    return peer
