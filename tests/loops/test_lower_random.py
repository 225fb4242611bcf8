"""Random graphs of all ops, and their gradients: loop programs give what the oracle gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradc.ir.aval import aval_of
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY
from gradc.transforms.adjoint import adjoint

BINARY = ["add", "sub", "mul", "maximum", "minimum"]
UNARY = ["sin", "cos", "tanh", "abs", "neg", "logistic", "softplus", "erf"]
COMPARISONS = ["lt", "ge", "ne"]
NAMES = ["z", "h", "i", "t1", "s1", "x0", "w['a']", "let", "sum"]
LARGEST = 2000

Pick = Callable[[list[Any]], Any]


class Grower:
    """Grows a graph of float64 values. Every choice is drawn by hypothesis, so that failures shrink."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.builder = Builder()
        self.values: list[Value] = []
        self.arrays: list[np.ndarray] = []
        for k in range(self.number(1, 3)):
            shape = tuple(self.pick([1, 2, 3, 5, 17]) for _ in range(self.number(0, 3)))
            self.arrays.append(np.asarray(np.random.default_rng(k).normal(size=shape)))
            self.values.append(self.builder.input(f"x{k}", aval_of(self.arrays[-1])))
        self.arrays.append(np.array([3, -1, 0, 2]))
        self.index = self.builder.input("index", aval_of(self.arrays[-1]))

    def number(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))

    def pick(self, items: list[Any]) -> Any:
        return self.data.draw(st.sampled_from(items))

    def some(self, count: int) -> tuple[int, ...]:
        """Some of the axes below ``count``, sorted."""
        return tuple(a for a in range(count) if self.data.draw(st.booleans()))

    def value(self) -> Value:
        return self.pick(self.values)

    def like(self, x: Value) -> Value:
        return self.pick([v for v in self.values if v.aval.shape == x.aval.shape])

    def grow(self, steps: int) -> None:
        kinds = [
            self.mapped, self.paired, self.chosen, self.moved, self.sliced, self.reduced, self.joined, self.contracted,
            self.indexed, self.spread,
        ]  # fmt: skip
        for _ in range(steps):
            made = self.pick(kinds)(self.value())
            if made.aval.size <= LARGEST and made.aval.ndim <= 4:
                self.values.append(made)
                if self.number(0, 3) == 0:
                    self.builder.name(made, self.pick(NAMES))

    def mapped(self, x: Value) -> Value:
        return REGISTRY[self.pick(UNARY)](x)

    def paired(self, x: Value) -> Value:
        return REGISTRY[self.pick(BINARY)](x, self.like(x))

    def chosen(self, x: Value) -> Value:
        return REGISTRY["select"](REGISTRY[self.pick(COMPARISONS)](x, self.like(x)), x, self.like(x))

    def moved(self, x: Value) -> Value:
        shape = x.aval.shape
        kind = self.number(0, 2)
        if kind == 0:
            order = self.data.draw(st.permutations(range(len(shape))))
            return REGISTRY["transpose"](x, axes=tuple(order))
        if kind == 1 and len(shape) < 4:
            return REGISTRY["broadcast_to"](x, shape=(self.number(1, 3), *shape))
        size = int(x.aval.size)
        shapes = [(size,), (1, size), shape[::-1]] + [(d, size // d) for d in (2, 3) if size % d == 0]
        return REGISTRY["reshape"](x, shape=self.pick(shapes))

    def part(self, x: Value) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        starts, sizes, steps = [], [], []
        for length in x.aval.shape:
            step = self.pick([1, 2, -1, -2])
            size = self.number(1, -(-int(length) // abs(step)))
            span = (size - 1) * abs(step)
            first = self.number(0, int(length) - 1 - span)
            starts.append(first if step > 0 else first + span)
            sizes.append(size)
            steps.append(step)
        return tuple(starts), tuple(sizes), tuple(steps)

    def sliced(self, x: Value) -> Value:
        starts, sizes, steps = self.part(x)
        piece = REGISTRY["slice"](x, starts=starts, sizes=sizes, steps=steps)
        if self.number(0, 1):
            return piece
        value = REGISTRY[self.pick(UNARY)](piece)
        return REGISTRY["update_slice"](x, value, starts=starts, steps=steps, mode=self.pick(["set", "add"]))

    def spread(self, x: Value) -> Value:
        """Parts of a value written into zeros along one axis, one after the other."""
        if not x.aval.shape:
            return REGISTRY["exp"](REGISTRY["sin"](x))
        axis = self.number(0, x.aval.ndim - 1)
        length = int(x.aval.shape[axis])
        shape = tuple(length + 3 if a == axis else d for a, d in enumerate(x.aval.shape))
        total = self.builder.full(0.0, x.aval.with_shape(shape))
        for _ in range(self.number(1, 4)):
            size = self.number(1, length)
            sizes = tuple(size if a == axis else d for a, d in enumerate(x.aval.shape))
            first, to = self.number(0, length - size), self.number(0, length + 3 - size)
            one = (1,) * x.aval.ndim
            part = REGISTRY["slice"](
                REGISTRY[self.pick(UNARY)](x), starts=tuple(first * (a == axis) for a in range(len(one))), sizes=sizes,
                steps=one,
            )  # fmt: skip
            starts, mode = tuple(to * (a == axis) for a in range(len(one))), self.pick(["set", "add"])
            total = REGISTRY["update_slice"](total, part, starts=starts, steps=one, mode=mode)
        return total

    def reduced(self, x: Value) -> Value:
        axes = self.some(x.aval.ndim)
        name = self.pick(
            ["reduce_sum", "reduce_max", "reduce_min", "logsumexp", "softmax", "log_softmax", "reduce_prod"]
        )
        if name in ("softmax", "log_softmax"):
            return REGISTRY[name](x, axes=axes)
        made = REGISTRY[name](x, axes=axes, keepdims=bool(self.number(0, 1)))
        return REGISTRY["tanh"](made) if name == "reduce_prod" else made

    def joined(self, x: Value) -> Value:
        if not x.aval.shape:
            return REGISTRY["sin"](x)
        return REGISTRY["concatenate"](x, self.like(x), x, axis=self.number(0, x.aval.ndim - 1))

    def contracted(self, x: Value) -> Value:
        y = self.value()
        lhs = "abcd"[: x.aval.ndim]
        rhs = ""
        for k, length in enumerate(y.aval.shape):
            same = [c for c, d in zip(lhs, x.aval.shape, strict=True) if d == length and c not in rhs]
            rhs += self.pick(same) if same and self.number(0, 2) else "efgh"[k]
        free = [c for c in dict.fromkeys(lhs + rhs) if not (c in lhs and c in rhs) or self.number(0, 3) == 0]
        out = "".join(self.data.draw(st.permutations(free)))
        if self.number(0, 2):
            return REGISTRY["contract"](x, y, lhs=lhs, rhs=rhs, out=out)
        mask = REGISTRY["gt"](x, self.builder.full(0.0, x.aval))
        return REGISTRY["masked_contract"](x, mask, y, lhs=lhs, rhs=rhs, out=out)

    def indexed(self, x: Value) -> Value:
        axes = self.some(x.aval.ndim)
        if not axes:
            return REGISTRY["cos"](x)
        indices = []
        for a in axes:
            length = int(x.aval.shape[a])
            constant = self.builder.constant(np.arange(4) % length)
            indices.append(
                self.pick([constant, REGISTRY["mod"](self.index, self.builder.full(length, self.index.aval))])
            )
        found = REGISTRY["gather"](x, *indices, axes=axes)
        if self.number(0, 1):
            return found
        value = self.pick([found, found * 2.0])
        return REGISTRY["scatter"](x, value, *indices, axes=axes, mode=self.pick(["set", "add"]))

    def graph(self) -> Graph:
        outputs = [self.values[-1], *(self.value() for _ in range(self.number(0, 3)))]
        return self.builder.freeze(outputs)

    def gradient(self) -> Graph:
        """The gradients of the sum of the last value with respect to the float inputs."""
        last = self.values[-1]
        total = REGISTRY["reduce_sum"](last, axes=tuple(range(last.aval.ndim)), keepdims=False)
        inputs = self.values[: len(self.arrays) - 1]
        one = self.builder.constant(np.ones(()))
        cts = adjoint(self.builder, [total], [one], inputs)
        return self.builder.freeze([total, *(ct for ct in cts if ct is not None)])


def close_to_oracle(check: Callable[..., Any], graph: Graph, arrays: list[np.ndarray]) -> None:
    check(graph, arrays, rtol=1e-9, atol=1e-9)


SETTINGS = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@SETTINGS
@given(data=st.data(), steps=st.integers(1, 14))
def test_loop_programs_agree_with_the_oracle(data: st.DataObject, steps: int, check: Callable[..., Any]) -> None:
    grower = Grower(data)
    grower.grow(steps)
    close_to_oracle(check, grower.graph(), grower.arrays)


@SETTINGS
@given(data=st.data(), steps=st.integers(1, 8))
def test_gradients_agree_with_the_oracle(data: st.DataObject, steps: int, check: Callable[..., Any]) -> None:
    grower = Grower(data)
    grower.grow(steps)
    close_to_oracle(check, grower.gradient(), grower.arrays)
