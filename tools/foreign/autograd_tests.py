"""Run the tests of HIPS autograd with gradc in autograd's place.

python tools/foreign/autograd_tests.py DIRECTORY [pytest's options]

DIRECTORY is ``tests/`` of autograd's source distribution (``pip download --no-binary autograd autograd``). Its tests
are run as they are: ``autograd.numpy`` is NumPy, ``autograd.scipy`` SciPy, and the derivatives are gradc's, by the
backend that ``GRADC_BACKEND`` names. ``check_grads`` is autograd's criterion over gradc: both modes against central
differences, and once more for the derivatives themselves, up to the order asked for. A test that needs a mechanism of
autograd's own, such as its primitives and vector spaces, is skipped with that reason.
"""

from __future__ import annotations

import importlib
import itertools
import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pytest

import gradc

EPSILON, TOLERANCE = 1e-6, 1e-6
"""The step of central differences and the agreement asked for, absolute or relative: those of autograd's tests."""

RNG = np.random.default_rng(0)


# The vector space of a pytree of floating-point leaves.


def leaves(tree: Any) -> list[Any]:
    """The numbers and arrays of dicts, lists and tuples, in order."""
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in leaves(tree[key])]
    if isinstance(tree, list | tuple):
        return [leaf for member in tree for leaf in leaves(member)]
    return [tree]


def mapped(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The tree of what ``function`` gives for the leaves of trees of one structure."""
    if isinstance(tree, dict):
        return {key: mapped(function, value, *[other[key] for other in others]) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(mapped(function, *members) for members in zip(tree, *others, strict=True))
    return function(tree, *others)


def noise(tree: Any) -> Any:
    """Normal random numbers of the shapes and kinds of a tree's leaves."""

    def draw(leaf: Any) -> Any:
        array = np.asarray(leaf)
        value = RNG.standard_normal(array.shape)
        if array.dtype.kind == "c":
            value = value + 1j * RNG.standard_normal(array.shape)
        return value if array.shape else value[()]

    return mapped(draw, tree)


def inner(a: Any, b: Any) -> float:
    """The real inner product: the sum of the real parts of ``conj(a) * b``."""
    return float(
        sum(np.sum(np.real(np.conj(x) * y)) for x, y in zip(leaves(a), leaves(b), strict=True)),
    )


def close(a: float, b: float) -> bool:
    return bool(a == b or abs(a - b) < TOLERANCE or abs(a - b) / abs(a + b) < TOLERANCE)


def shift(tree: Any, direction: Any, factor: float) -> Any:
    return mapped(lambda x, v: x + factor * v, tree, direction)


def difference(function: Callable[..., Any], values: tuple[Any, ...], directions: tuple[Any, ...]) -> Any:
    """The central difference along directions."""
    above, below = (
        function(*[shift(x, v, sign * EPSILON / 2) for x, v in zip(values, directions, strict=True)])
        for sign in (1.0, -1.0)
    )
    return mapped(lambda a, b: (np.asarray(a) - b) / EPSILON, above, below)


def pull(function: Callable[..., Any], values: tuple[Any, ...], ct: Any) -> tuple[Any, ...]:
    """The cotangents of values."""
    cotangents: tuple[Any, ...] = gradc.vjp(function, *values)[1](ct)
    return cotangents


# autograd.test_util


def check_values(
    function: Callable[..., Any], values: tuple[Any, ...], modes: Sequence[str], order: int, name: str
) -> None:
    """Both modes of a function of some values against central differences, and of its derivatives to an order."""
    out = function(*values)
    directions = tuple(noise(value) for value in values)
    numeric = difference(function, values, directions)
    derivatives: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    count = len(values)
    if "fwd" in modes:
        forward = gradc.jit(lambda *both: gradc.jvp(function, both[:count], both[count:])[1])
        tangent = forward(*values, *directions)
        probe = noise(tangent)
        assert [np.shape(x) for x in leaves(tangent)] == [np.shape(x) for x in leaves(out)]
        a, b = inner(tangent, probe), inner(numeric, probe)
        assert close(a, b), f"jvp of {name} at {values}: {a}, central difference {b}"
        derivatives.append((forward, (*values, *directions)))
    if "rev" in modes:
        reverse = gradc.jit(lambda *both: pull(function, both[:count], both[count]))
        weights = noise(out)
        cotangents = reverse(*values, mapped(np.conj, weights))
        assert [np.shape(x) for x in leaves(cotangents)] == [np.shape(x) for x in leaves(values)]
        a, b = inner(mapped(np.conj, cotangents), directions), inner(weights, numeric)
        assert close(a, b), f"vjp of {name} at {values}: {a}, central difference {b}"
        derivatives.append((reverse, (*values, mapped(np.conj, weights))))
    if order > 1:
        for derivative, arguments in derivatives:
            check_values(derivative, arguments, modes, order - 1, f"a derivative of {name}")


def check_grads(
    function: Callable[..., Any],
    argnum: int | Sequence[int] = 0,
    modes: Sequence[str] = ("fwd", "rev"),
    order: int = 2,
) -> Callable[..., None]:
    chosen = (argnum,) if isinstance(argnum, int) else tuple(argnum)

    def check(*arguments: Any, **keywords: Any) -> None:
        def restricted(*values: Any) -> Any:
            full = list(arguments)
            for position, value in zip(chosen, values, strict=True):
                full[position] = value
            return function(*full, **keywords)

        values = tuple(arguments[position] for position in chosen)
        check_values(restricted, values, modes, order, getattr(function, "__name__", repr(function)))

    return check


def combo_check(function: Callable[..., Any], *options: Any, **more: Any) -> Callable[..., None]:
    def check(*choices: Any, **keywords: Any) -> None:
        named = [[(key, value) for value in values] for key, values in keywords.items()]
        for arguments in itertools.product(*choices):
            for pairs in itertools.product(*named):
                check_grads(function, *options, **more)(*arguments, **dict(pairs))

    return check


def check_equivalent(a: Any, b: Any) -> None:
    assert [np.shape(x) for x in leaves(a)] == [np.shape(x) for x in leaves(b)]
    probe = noise(a)
    assert close(inner(a, probe), inner(b, probe)), f"{a} is not {b}"


# autograd's operators


def chosen(argnum: Any, arguments: tuple[Any, ...]) -> Any:
    return arguments[argnum] if isinstance(argnum, int) else tuple(arguments[i] for i in argnum)


def restrict(function: Callable[..., Any], argnum: int, arguments: tuple[Any, ...], keywords: Any) -> Any:
    """The function of one of its arguments, the others held."""
    return lambda x: function(*arguments[:argnum], x, *arguments[argnum + 1 :], **keywords)


def operator(derivative: Callable[..., Any]) -> Callable[..., Any]:
    """An operator ``(function, argnum) -> (*arguments) -> result`` made of one for functions of one argument."""

    def made(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
        return lambda *arguments, **keywords: derivative(
            restrict(function, argnum, arguments, keywords), arguments[argnum]
        )

    return made


def ones(tree: Any) -> Any:
    return mapped(lambda leaf: np.ones_like(leaf), tree)


def make_vjp(function: Callable[..., Any], argnum: Any = 0) -> Callable[..., Any]:
    def made(*arguments: Any, **keywords: Any) -> Any:
        return core_make_vjp(restrict(function, argnum, arguments, keywords), arguments[argnum])

    return made


def core_make_vjp(function: Callable[..., Any], x: Any) -> Any:
    out, pullback = gradc.vjp(function, x)
    return lambda ct: pullback(ct)[0], out


make_jvp = operator(lambda f, x: lambda v: gradc.jvp(f, (x,), (v,)))
make_hvp = operator(lambda f, x: (lambda v: gradc.hvp(f, (x,), (v,)), gradc.grad(f)(x)))
elementwise_grad = operator(lambda f, x: pull(f, (x,), ones(f(x)))[0])
deriv = operator(lambda f, x: gradc.jvp(f, (x,), (ones(x),))[1])


def product(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """A tensor, the last argument, times the Jacobian, over the first axes of that."""

    def made(*given: Any) -> Any:
        jacobian = gradc.jacobian(restrict(function, argnum, given[:-1], {}))(given[argnum])
        return np.tensordot(given[-1], jacobian, np.ndim(given[-1]))

    return made


def hessian_product(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    """The Hessian times the last argument, whose axes stand for those of the argument."""

    def made(*given: Any) -> Any:
        held = restrict(function, argnum, given[:-1], {})
        return gradc.hvp(held, (given[argnum],), (given[-1],))

    return made


def make_ggnvp(
    function: Callable[..., Any], g: Callable[..., Any] = lambda x: 0.5 * np.sum(x**2, axis=-1), f_argnum: int = 0
) -> Callable[..., Any]:
    """The generalised Gauss-Newton product ``J' H J v`` of ``g(function(x))``."""

    def made(*arguments: Any) -> Any:
        held = restrict(function, f_argnum, arguments, {})

        def times(v: Any) -> Any:
            out, tangent = gradc.jvp(held, (arguments[f_argnum],), (v,))
            curved = gradc.hvp(g, (out,), (tangent,))
            return pull(held, (arguments[f_argnum],), curved)[0]

        return times

    return made


def grad_and_aux(function: Callable[..., Any], argnum: int = 0) -> Callable[..., Any]:
    return gradc.grad(function, argnum, has_aux=True)


def positional(made: Callable[..., Any]) -> Callable[..., Any]:
    """With autograd's name of the parameter that chooses the arguments."""
    return lambda function, argnum=0: made(function, tuple(argnum) if isinstance(argnum, list) else argnum)


def skipped(what: str) -> Callable[..., NoReturn]:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        pytest.skip(f"a mechanism of autograd's own: {what}")

    return refuse


def autograd_modules() -> dict[str, ModuleType]:
    """The modules that autograd's tests import."""
    found = {
        "autograd.numpy": np,
        "autograd.numpy.random": np.random,
        "autograd.numpy.linalg": np.linalg,
        "autograd.numpy.fft": np.fft,
    }
    for name in ("", ".linalg", ".special", ".signal", ".stats", ".misc", ".integrate"):
        found[f"autograd.scipy{name}"] = importlib.import_module(f"scipy{name}")
    for name in ("stats.multivariate_normal", "stats.norm", "stats.t", "stats.beta", "stats.gamma", "stats.dirichlet"):
        distribution = ModuleType(f"autograd.scipy.{name}")
        distribution.__dict__.update(vars_of(importlib.import_module("scipy.stats"), name.rpartition(".")[2]))
        found[distribution.__name__] = distribution
    top = {
        "grad": positional(gradc.grad), "value_and_grad": positional(gradc.value_and_grad),
        "jacobian": positional(gradc.jacobian), "hessian": positional(gradc.hessian),
        "holomorphic_grad": elementwise_grad, "elementwise_grad": elementwise_grad, "deriv": deriv,
        "make_jvp": make_jvp, "make_vjp": make_vjp, "make_hvp": make_hvp, "make_ggnvp": make_ggnvp,
        "tensor_jacobian_product": product, "vector_jacobian_product": product,
        "hessian_tensor_product": hessian_product, "hessian_vector_product": hessian_product,
        "grad_and_aux": grad_and_aux, "grad_named": lambda function, name: gradc.grad(function, name),
        "multigrad_dict": skipped("multigrad_dict"), "checkpoint": gradc.checkpoint,
        "dict": dict, "list": list, "tuple": tuple, "isinstance": isinstance, "type": type,
        "primitive": skipped("primitive"),
    }  # fmt: skip
    members: dict[str, dict[str, Any]] = {
        "autograd": top,
        "autograd.builtins": {name: top[name] for name in ("dict", "list", "tuple", "isinstance", "type")},
        "autograd.core": {
            "make_vjp": core_make_vjp, "vspace": skipped("vspace"), "primitive_vjps": {},
            "primitive": skipped("primitive"),
        },
        "autograd.differential_operators": top,
        "autograd.extend": {name: skipped(name) for name in ("primitive", "defvjp", "defjvp")},
        "autograd.misc": {"const_graph": skipped("const_graph"), "flatten": gradc.flatten},
        "autograd.tracer": {"primitive": skipped("primitive"), "isbox": skipped("isbox")},
        "autograd.wrap_util": {"unary_to_nary": unary_to_nary},
        "autograd.test_util": {
            "check_grads": check_grads, "check_equivalent": check_equivalent, "combo_check": combo_check,
            "scalar_close": close,
        },
    }  # fmt: skip
    for name, names in members.items():
        module = ModuleType(name)
        module.__dict__.update(names)
        found[name] = module
    for name, module in found.items():
        parent, _, child = name.rpartition(".")
        if parent in members:
            setattr(found[parent], child, module)
    return found


def vars_of(module: ModuleType, name: str) -> dict[str, Any]:
    """The methods of a distribution as the functions of a module."""
    distribution = getattr(module, name)
    methods = ("pdf", "cdf", "logpdf", "logcdf", "entropy", "sf", "logsf")
    return {method: getattr(distribution, method) for method in methods if hasattr(distribution, method)}


def unary_to_nary(made: Callable[..., Any]) -> Callable[..., Any]:
    """An operator of functions of one argument as one of functions of many, by the position of one."""

    def of_many(function: Callable[..., Any], argnum: int = 0, *more: Any, **named: Any) -> Callable[..., Any]:
        return lambda *arguments, **keywords: made(
            restrict(function, argnum, arguments, keywords), arguments[argnum], *more, **named
        )

    return of_many


REASONS = (
    ("is not supported on traced arrays|no ufunc", "functions that gradc does not have"),
    ("complex numbers|c128", "functions of complex numbers that gradc does not have"),
    ("needed as a plain array", "SciPy's Python code (scipy.stats and others), and conversions to plain arrays"),
    ("truth value", "decisions on traced numbers"),
    ("random draw", "random draws inside of the function"),
    ("one scalar floating-point result|has no cotangent", "gradients of what is not one number"),
    ("autograd|module 'numpy|unexpected keyword|float128|positional-only|is <class|NotImplementedError|== 'grad'",
     "autograd's own functions, signatures and types"),
)  # fmt: skip
"""What the errors of failed tests say, and what that means."""


class Tally:
    """Counts how tests ended, failed ones by their reasons."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.counts[self._ending(report)] += report.when == "call" or report.outcome == "skipped"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for ending, number in self.counts.most_common():
            terminalreporter.write_line(f"{number:5} {ending}")

    def _ending(self, report: pytest.TestReport) -> str:
        if report.outcome != "failed":
            return report.outcome
        message = getattr(getattr(report.longrepr, "reprcrash", None), "message", str(report.longrepr))
        found = (reason for pattern, reason in REASONS if re.search(pattern, message))
        return next(found, "other failures")


if __name__ == "__main__":
    sys.modules.update(autograd_modules())
    arguments = ["-c", os.devnull, "-p", "no:cacheprovider", *sys.argv[1:]]
    raise SystemExit(pytest.main(arguments, plugins=[Tally()]))
