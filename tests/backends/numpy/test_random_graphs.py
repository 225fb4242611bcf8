"""Random graphs: the rendered source gives what the reference gives, dtype and shape included, and aliases nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import gradc.ops  # noqa: F401
from gradc.backends.numpy import flat_entry, load, render
from gradc.backends.reference import evaluate
from gradc.ir.aval import Aval, broadcast_shapes
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY
from gradc.ir.signature import flat_signature

UNARY = ["neg", "exp", "tanh", "sin", "abs", "sign", "logistic", "softplus", "erf", "expm1"]
BINARY = ["add", "sub", "mul", "div", "maximum", "minimum", "logistic_bce"]
COMPARISONS = ["lt", "ge", "eq", "ne"]
NAMES = ["z1", "h", "x", "e", "np", "class", "a b", "t1", "sum", "\u00e9", 'q"\nimport os #', "_arguments"]


class Random:
    """Makes a graph of random ops over a few random inputs."""

    def __init__(self, seed: int, size: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.builder = Builder()
        self.dtype = np.dtype(self.rng.choice(["float32", "float64"]))
        self.values: list[Value] = []
        self.arrays: list[np.ndarray] = []
        for k in range(3):
            shape = tuple(int(d) for d in self.rng.choice([1, 2, 3], self.rng.integers(0, 3)))
            self.values.append(self.builder.input(f"x{k}", Aval(shape, self.dtype)))
            self.arrays.append(np.asarray(self.rng.normal(size=shape), self.dtype))
        self.graph = self.grown(size)

    def pick(self) -> Value:
        return self.values[self.rng.integers(len(self.values))]

    def choice(self, items: list[Any]) -> Any:
        return items[self.rng.integers(len(items))]

    def grown(self, size: int) -> Graph:
        for _ in range(size):
            kinds = [self.unary, self.binary, self.chosen, self.moved, self.reduced, self.indexed, self.numbered]
            made = self.choice([*kinds, self.contracted])()
            if made is None or made.aval.size > 200:  # type: ignore[operator]
                continue
            if self.rng.uniform() < 0.3:
                self.builder.name(made, self.choice(NAMES))
            self.values.append(made)
        outputs = [self.pick() for _ in range(self.rng.integers(1, 5))] + self.values[-1:]
        for ct, primal in zip(self.values[::-3], self.values, strict=False):
            if ct.aval.shape == primal.aval.shape:
                self.builder.tables.cotangents.setdefault(primal.id, ct.id)
        return self.builder.freeze(outputs)

    def unary(self) -> Value:
        return REGISTRY[self.choice(UNARY)](self.pick())

    def together(self, *values: Value) -> list[Value] | None:
        try:
            shape = broadcast_shapes(*(v.aval.shape for v in values))
        except ValueError:
            return None
        return [v if v.aval.shape == shape else REGISTRY["broadcast_to"](v, shape=shape) for v in values]

    def binary(self) -> Value | None:
        pair = self.together(self.pick(), self.pick())
        return REGISTRY[self.choice(BINARY)](*pair) if pair else None

    def chosen(self) -> Value | None:
        four = self.together(self.pick(), self.pick(), self.pick(), self.pick())
        if four is None:
            return None
        mask = REGISTRY[self.choice(COMPARISONS)](four[0], four[1])
        zero = self.builder.full(0.0, four[2].aval)
        return REGISTRY["select"](mask, four[2], self.choice([four[3], zero]))

    def contracted(self) -> Value | None:
        a, b = self.pick(), self.pick()
        letters = list("ijkl")
        if a.aval.ndim > 4 or b.aval.ndim > 4:
            return None
        lhs = "".join(self.rng.permutation(letters)[: a.aval.ndim])
        rhs = "".join(self.rng.permutation(letters)[: b.aval.ndim])
        sizes = dict(zip(lhs + rhs, a.aval.shape + b.aval.shape, strict=True))
        if any(sizes[c] != d for c, d in zip(lhs, a.aval.shape, strict=True)):
            return None
        alone = [c for c in sizes if (c in lhs) != (c in rhs)]
        both = [c for c in sizes if c in lhs and c in rhs and self.rng.uniform() < 0.3]
        out = "".join(self.rng.permutation(alone + both))
        # Finite operands, and 1 added: BLAS pads with zeros, and einsum adds to 0, so NaN and -0 may differ.
        a, b = (REGISTRY["select"](REGISTRY["isfinite"](v), v, self.builder.full(0.5, v.aval)) for v in (a, b))
        made = REGISTRY["contract"](a, b, lhs=lhs, rhs=rhs, out=out)
        axes = tuple(int(axis) for axis in self.rng.permutation(len(out)))
        return self.choice([made, REGISTRY["transpose"](made, axes=axes)]) + 1.0

    def numbered(self) -> Value:
        x = self.pick()
        number = self.builder.full(float(self.choice([0.0, -0.0, 1.0, 0.1, np.inf, np.nan, 1e-3])), x.aval)
        ones = self.builder.full(1.0, x.aval)
        return self.choice([lambda: x + number, lambda: ones / number, lambda: number, lambda: x * number])()

    def moved(self) -> Value:
        x = self.pick()
        kind = self.rng.integers(5)
        shape = x.aval.shape
        if kind == 0:
            return REGISTRY["transpose"](x, axes=tuple(int(a) for a in self.rng.permutation(len(shape))))
        if kind == 1:
            return REGISTRY["reshape"](x, shape=self.choice([(x.aval.size,), (1, *shape), (*shape, 1)]))
        if kind == 2 and shape and 1 in shape:
            return REGISTRY["reshape"](x, shape=tuple(d for d in shape if d != 1))
        if kind == 3:
            return REGISTRY["broadcast_to"](x, shape=(2, *shape))
        starts = tuple(int(self.rng.integers(max(int(d), 1))) for d in shape)  # type: ignore[arg-type]
        sizes = tuple(int(self.rng.integers(0, d - s + 1)) for d, s in zip(shape, starts, strict=True))  # type: ignore[operator]
        return REGISTRY["slice"](x, starts=starts, sizes=sizes, steps=(1,) * len(shape))

    def reduced(self) -> Value | None:
        x = self.pick()
        axes = tuple(a for a in range(x.aval.ndim) if self.rng.uniform() < 0.5)
        if any(x.aval.shape[a] == 0 for a in axes):
            return None
        keepdims = bool(self.rng.uniform() < 0.5)
        name = self.choice(["reduce_sum", "reduce_max", "reduce_prod", "logsumexp", "softmax"])
        if name == "softmax":
            return REGISTRY[name](x, axes=axes)
        return REGISTRY[name](x, axes=axes, keepdims=keepdims)

    def indexed(self) -> Value | None:
        x = self.pick()
        if not x.aval.shape or x.aval.shape[0] == 0:
            return None
        length = int(x.aval.shape[0])  # type: ignore[arg-type]
        shape = self.choice([(), (2,), (2, 1)])
        index = self.builder.constant(self.rng.integers(-length, length, shape))
        taken = REGISTRY["gather"](x, index, axes=(0,))
        kind = self.rng.integers(4)
        if kind == 0:
            return taken
        mode = self.choice(["set", "add"])
        base = self.choice([x, self.builder.full(0.0, x.aval), REGISTRY["exp"](x)])
        if kind == 1:
            return REGISTRY["scatter"](base, taken, index, axes=(0,), mode=mode)
        row = REGISTRY["slice"](x, starts=(0,) * x.aval.ndim, sizes=(1, *x.aval.shape[1:]), steps=(1,) * x.aval.ndim)
        starts = (length - 1,) + (0,) * (x.aval.ndim - 1)
        once = REGISTRY["update_slice"](base, row, starts=starts, steps=(1,) * x.aval.ndim, mode=mode)
        return REGISTRY["update_slice"](once, row, starts=(0,) * x.aval.ndim, steps=(1,) * x.aval.ndim, mode="add")


def same(actual: Any, expected: np.ndarray) -> None:
    assert np.asarray(actual).dtype == expected.dtype
    assert np.shape(actual) == expected.shape
    tolerance = 1e-4 if expected.dtype == np.float32 else 1e-10
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)


@settings(max_examples=400)
@given(st.integers(0, 2**32), st.integers(1, 25))
def test_source_and_reference_agree(seed: int, size: int) -> None:
    made = Random(seed, size)
    expected = evaluate(made.graph, made.arrays)
    before = [a.copy() for a in made.arrays]
    actual = flat_entry(made.graph, name="kernel")(made.arrays)
    source = render(made.graph, flat_signature(made.graph), name="kernel")
    checked = load(source, "kernel")(*made.arrays)
    fast = load(render(made.graph, flat_signature(made.graph), name="kernel", style="fast"), "kernel")(*made.arrays)
    for one, two, three, wanted in zip(actual, checked, fast, expected, strict=True):
        same(one, wanted)
        same(two, wanted)
        same(three, wanted)
    for array, copy in zip(made.arrays, before, strict=True):
        assert np.array_equal(array, copy)
    for results in (actual, [r for r in fast if isinstance(r, np.ndarray)]):
        own = [r for r in results if r.size]
        for k, result in enumerate(own):
            assert not any(np.shares_memory(result, other) for other in [*made.arrays, *own[:k]])
            assert result.flags.writeable
    again = flat_entry(made.graph, name="kernel")(made.arrays)
    for one, two in zip(actual, again, strict=True):
        assert np.array_equal(one, two, equal_nan=True)
