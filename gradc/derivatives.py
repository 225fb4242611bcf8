"""What makes a Function of a function: jit, and the derivatives grad, value_and_grad, vjp, jvp,
jacobian, hessian, hvp."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from gradc.errors import ArgumentError
from gradc.function import Function, Wrt
from gradc.request import Backend, Stabilize
from gradc.sparse import SparseFunction
from gradc.transforms.derivative import Derivative


def jit(
    function: Callable[..., Any] | None = None,
    *,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
    donate: Wrt = None,
    name: str | None = None,
) -> Any:
    """Compile a NumPy function as it is; also a decorator, with or without options. Returns a Function.

    ``donate`` names arguments, or gives their positions, whose arrays take the results that are nested as they are: the
    new parameters of a training step are written where the old ones stood, and the very arrays are returned. Each
    takes the first such result that is left. An argument that the function itself writes into (``w["a"] -= step``)
    takes none: its arrays hold afterwards what NumPy would have left in them. Raises ArgumentError where no result is
    left, for a donated array that is read-only and for one that shares memory with another argument.
    """
    options: dict[str, Any] = {"backend": backend, "stabilize": stabilize, "threads": threads, "name": name}
    if function is None:
        return functools.partial(jit, donate=donate, **options)
    return Function(function, donate=donate, **options)


def grad(
    function: Callable[..., Any],
    wrt: Wrt = None,
    *,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
    name: str | None = None,
) -> Function:
    """The gradient of a function with one scalar floating-point result.

    ``wrt`` is a name or a position (the result has the structure of that argument) or a tuple of them (a tuple of
    such); the first argument by default. ``argnums`` is an alias. With ``has_aux`` the function returns
    ``(loss, aux)`` and the gradient ``(gradient, aux)``. Raises DerivativeError for integer or boolean arrays.
    """
    return Function(
        function, derivative="grad", wrt=_one_choice(wrt, argnums), has_aux=has_aux, backend=backend,
        stabilize=stabilize, threads=threads, name=name,
    )  # fmt: skip


def value_and_grad(
    function: Callable[..., Any],
    wrt: Wrt = None,
    *,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
    name: str | None = None,
) -> Function:
    """``(value, gradient)`` of a function with one scalar floating-point result; arguments as for ``grad``.

    With ``has_aux`` it gives ``((loss, aux), gradient)``.
    """
    return Function(
        function, derivative="value_and_grad", wrt=_one_choice(wrt, argnums), has_aux=has_aux, backend=backend,
        stabilize=stabilize, threads=threads, name=name,
    )  # fmt: skip


def vjp(
    function: Callable[..., Any],
    *primals: Any,
    wrt: Wrt = None,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
) -> tuple[Any, ...]:
    """``(out, pullback)``: the value at the primals, and the map from cotangents of it to those of the primals.

    ``pullback(ct)`` takes a cotangent with the structure of ``out`` and gives a tuple with one entry for each
    primal, or what ``wrt`` selects, as in ``grad``; with ``out=`` it writes into the arrays of that. With ``has_aux``
    the result is ``(out, pullback, aux)``.
    """
    options: dict[str, Any] = {"backend": backend, "stabilize": stabilize, "threads": threads}
    out = Function(function, **options)(*primals)
    pulled = Function(function, derivative="vjp", wrt=_one_choice(wrt, argnums), has_aux=has_aux, **options)

    def pullback(ct: Any, *, out: Any = None) -> Any:
        return pulled(*primals, **{pulled.seed: ct, pulled.out: out})

    return (out[0], pullback, out[1]) if has_aux else (out, pullback)


def jvp(
    function: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    has_aux: bool = False,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
) -> tuple[Any, ...]:
    """``(out, tangent)``: the value at the primals, and its derivative along the tangents, by forward mode.

    ``primals`` are the arguments in order, ``tangents`` as many: each nested as its primal is, of the same dtypes and
    shapes, with None for what does not move. ``tangent`` has the structure of ``out``. With ``has_aux`` the function
    returns ``(out, aux)`` and the result is ``(out, tangent, aux)``. Raises ArgumentError for tangents that do not fit,
    DerivativeError for tangents of integer or boolean arrays.

    ``Function(function, derivative="jvp")`` keeps what it compiled from call to call.
    """
    _check_pairs(primals, tangents)
    pushed = Function(
        function, derivative="jvp", wrt=tuple(range(len(primals))), has_aux=has_aux, backend=backend,
        stabilize=stabilize, threads=threads,
    )  # fmt: skip
    found: tuple[Any, ...] = pushed(*primals, **{pushed.seed: tuple(tangents)})
    return found


def jacobian(
    function: Callable[..., Any],
    wrt: Wrt = None,
    *,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    sparse: bool = False,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
    name: str | None = None,
) -> Any:
    """The derivative of each element of the result by each element of an argument; arguments as for ``grad``.

    Each array of the result is replaced by the structure of ``wrt``, each array in there has the shape of the result's,
    then that of the argument's. With ``has_aux`` the function returns ``(out, aux)`` and the result is
    ``(jacobian, aux)``. Forward mode where the arguments have no more elements than the result, reverse mode otherwise.

    With ``sparse`` it is computed by its pattern: columns that share no row are one pass, or rows that share no column.
    Each block is a ``scipy.sparse.csc_array`` of all elements of the result by all elements of the argument.
    """
    return _maybe_sparse(
        function, "jacobian", sparse, wrt=_one_choice(wrt, argnums), has_aux=has_aux, backend=backend,
        stabilize=stabilize, threads=threads, name=name,
    )  # fmt: skip


def hessian(
    function: Callable[..., Any],
    wrt: Wrt = None,
    *,
    argnums: int | Sequence[int] | None = None,
    has_aux: bool = False,
    sparse: bool = False,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
    name: str | None = None,
) -> Any:
    """The second derivatives of a function with one scalar result; arguments as for ``grad``.

    The Jacobian of the gradient: the structure of ``wrt`` in each place of the structure of ``wrt``. With ``sparse``
    each block is a ``scipy.sparse.csc_array``, as for ``jacobian``.
    """
    return _maybe_sparse(
        function, "hessian", sparse, wrt=_one_choice(wrt, argnums), has_aux=has_aux, backend=backend,
        stabilize=stabilize, threads=threads, name=name,
    )  # fmt: skip


def _maybe_sparse(function: Callable[..., Any], derivative: Derivative, sparse: bool, **options: Any) -> Any:
    if not sparse:
        return Function(function, derivative=derivative, **options)
    kind: Derivative = "sparse_jacobian" if derivative == "jacobian" else "sparse_hessian"
    return SparseFunction(Function(function, derivative=kind, **options))


def hvp(
    function: Callable[..., Any],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    *,
    backend: Backend | None = None,
    stabilize: Stabilize | None = None,
    threads: int | None = None,
) -> tuple[Any, ...]:
    """The Hessian of a scalar function times a vector, which is never made: the derivative of the gradient along it.

    ``primals`` and ``tangents`` are those of ``jvp``. Gives a tuple with an entry for each primal, nested as it is, and
    None where its tangent is None: the Hessian is that by the primals that move.
    """
    _check_pairs(primals, tangents)
    moving = [k for k, tangent in enumerate(tangents) if tangent is not None]
    if not moving:
        raise ArgumentError("hvp: every tangent is None; give that of at least one argument")
    gradient = Function(function, derivative="grad", wrt=tuple(moving))
    _, products = jvp(gradient, primals, tangents, backend=backend, stabilize=stabilize, threads=threads)
    found = dict(zip(moving, products, strict=True))
    return tuple([found.get(k) for k in range(len(tangents))])


def _check_pairs(primals: Any, tangents: Any) -> None:
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (tuple, list)):
            raise ArgumentError(
                f"{name} is of type {type(given).__name__} and has to be a tuple, one entry per argument"
            )
    if len(primals) != len(tangents):
        raise ArgumentError(f"there are {len(primals)} primals and {len(tangents)} tangents; give None for no tangent")


def _one_choice(wrt: Wrt, argnums: int | Sequence[int] | None) -> Wrt:
    if wrt is not None and argnums is not None:
        raise ArgumentError(f"wrt={wrt!r} and argnums={argnums!r} are the same choice; give one of them")
    return wrt if argnums is None else argnums
