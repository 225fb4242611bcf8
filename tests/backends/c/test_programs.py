"""Loop programs in C: every kind of statement and expression gives the bits of machine code."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradc.ir.aval import dim_value
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import PRIMITIVES, Buffer, Expression, For, LoopProgram, Store, b, size, variable
from tests.backends.llvm import math_samples
from tests.backends.llvm.test_order import FORMS, SIZES, products

Check = Callable[..., str]

PROGRAMS = sorted((Path(__file__).parents[2] / "loops" / "programs").glob("*.loops"))
DTYPES = {"f": ["f4", "f8"], "i": ["i1", "i2", "i4", "i8"], "u": ["u1", "u2", "u4", "u8"], "b": ["?"]}


def values(shape: tuple[int, ...], dtype: np.dtype, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, *shape])
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    return rng.integers(0, 2 if dtype.kind == "b" else 3, shape).astype(dtype)


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda p: p.stem)
def test_programs_by_hand(path: Path, check: Check) -> None:
    program = parse_program(path.read_text(encoding="utf-8"))
    sizes = dict.fromkeys(program.symbols, 3)
    arrays = [values(tuple(dim_value(d, sizes) for d in b.shape), b.dtype, k) for k, b in enumerate(program.inputs)]
    if path.stem == "cholesky":
        arrays = [arrays[0] @ arrays[0].T + np.eye(8)]
    check(program, arrays)


def samples(dtype: np.dtype) -> np.ndarray:
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "f":
        tiny, most = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        special = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, 7.25, -700.5, 1e-9, tiny, -tiny, most, np.inf, -np.inf, np.nan]
        return np.array([*special, *np.random.default_rng(3).normal(size=20) * 10], dtype)
    limits = np.iinfo(dtype)
    chosen = {limits.min, limits.max, 0, 1, 2, 3, 7, 100, *([-1, -2, -7, -100] if dtype.kind == "i" else [])}
    return np.array(sorted(chosen), dtype)


def elementwise(formulas: dict[str, Callable[..., Expression]], arrays: list[np.ndarray]) -> LoopProgram:
    """A loop that applies each formula to the elements of some arrays."""
    i = variable("i")
    inputs = [Buffer(f"x{k}", a.dtype, a.shape, "input") for k, a in enumerate(arrays)]
    results = {name: formula(*[b.load(x, (i,)) for x in inputs]) for name, formula in formulas.items()}
    outputs = [Buffer(f"{name}_y", value.dtype, arrays[0].shape, "output") for name, value in results.items()]
    stores = tuple(Store(f"{name}_y", (i,), value) for name, value in results.items())
    loop = For("i", size(0), size(arrays[0].size), stores, mode="vector")
    return LoopProgram("elementwise", (*inputs, *outputs), (loop,))


def pairs(values: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(a).ravel() for a in np.meshgrid(values, values)]


@pytest.mark.parametrize("dtype", [d for group in DTYPES.values() for d in group])
def test_primitives(dtype: str, check: Check) -> None:
    kind = np.dtype(dtype).kind
    arrays = pairs(samples(np.dtype(dtype)))
    formulas: dict[str, Callable[..., Expression]] = {}
    for name, primitive in PRIMITIVES.items():
        if kind in primitive.kinds and name not in ("convert", "select", "fma", *math_samples.NUMPY):
            count = primitive.arity
            formulas[name] = lambda x, y, name=name, count=count: getattr(b, name)(*(x, y, y, x)[:count])
    for other in (d for group in DTYPES.values() for d in group):
        if other != dtype:
            formulas[f"to_{other.replace('?', 'bool')}"] = lambda x, _, other=other: b.convert(x, other)
    formulas["chosen"] = lambda x, y: b.select(b.eq(x, y), x, y)
    if kind == "f":
        formulas["fmod"] = b.fmod
        formulas["fused"] = lambda x, y: b.fma(x, y, y)
        formulas |= {f"pow_{e}": lambda x, _, e=e: b.pow(x, float(e)) for e in (2, 3)}
        formulas |= {f"pow_minus_{e}": lambda x, _, e=e: b.pow(x, -float(e)) for e in (1, 2)}
    if kind == "i":
        for by in (1, 8, 3, -1, 0):
            word = str(by).replace("-", "minus_")
            formulas[f"over_{word}"] = lambda x, _, by=by: b.floor_div(x, by)
            formulas[f"mod_{word}"] = lambda x, _, by=by: b.mod(x, by)
    check(elementwise(formulas, arrays), arrays)


def function_samples(dtype: np.dtype) -> np.ndarray:
    """Numbers of all sizes, and what is special."""
    rng = np.random.default_rng(5)
    limits = np.finfo(dtype)
    wide = np.ldexp(rng.uniform(-2, 2, 400), rng.integers(limits.minexp - 20, limits.maxexp, 400))
    ranges = [rng.uniform(-most, most, 400) for most in (1.0, 3.0, 20.0, 700.0)]
    return np.concatenate([samples(dtype), np.concatenate([wide, *ranges]).astype(dtype)])


FUNCTIONS = sorted(set(math_samples.NUMPY) - {"fmod"})


@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_functions(dtype: str, check: Check) -> None:
    x = function_samples(np.dtype(dtype))
    arrays = [x, np.random.default_rng(6).permutation(x)]
    formulas = {name: lambda *x, name=name: getattr(b, name)(*x[: PRIMITIVES[name].arity]) for name in FUNCTIONS}
    formulas["exp_unit"] = lambda x, _: b.exp_unit(b.neg(b.abs(x)))  # of positive numbers it is nothing
    check(elementwise(formulas, arrays), arrays)


@pytest.mark.parametrize("form", FORMS)
def test_contractions(form: str, check: Check) -> None:
    program = products(form, list(itertools.product(SIZES, ("f8", "f4"))))
    arrays = [values(tuple(map(int, x.shape)), x.dtype, k) for k, x in enumerate(program.inputs)]
    check(program, arrays)
