"""Random graphs with symbolic sizes, and their gradients: one program gives what the oracle gives at every size."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gradc.backends.llvm.emit import emit
from gradc.backends.llvm.jit import load
from gradc.backends.llvm.machine import host
from gradc.backends.llvm.matmul.functions import runs_epilogue
from gradc.backends.reference import evaluate
from gradc.errors import DerivativeError
from gradc.ir.aval import Aval, Dim, aval, dim_value, symbol
from gradc.ir.graph import Builder, Graph, Value
from gradc.ir.op import REGISTRY
from gradc.loops.language.parse import parse_program
from gradc.loops.language.verify import verify
from gradc.loops.lowering.lower import lower
from gradc.loops.shaping.attach import with_epilogues
from gradc.transforms.adjoint import adjoint

N, M = symbol("n"), symbol("m")
SIZES = [{"n": n, "m": m} for n, m in ((1, 1), (5, 2), (17, 3), (2, 18), (0, 2), (3, 0))]
LARGEST = 3000
F64 = np.dtype("f8")
BINARY = ["add", "sub", "mul", "maximum", "minimum"]
UNARY = ["sin", "tanh", "abs", "neg", "logistic", "erf"]


class Grower:
    """Grows a graph of float64 values whose axes have fixed and symbolic sizes."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.builder = Builder()
        shapes = [(N, 3), (M, N), *[self.shape() for _ in range(self.number(0, 2))]]
        self.inputs = [self.builder.input(f"x{k}", Aval(shape, F64)) for k, shape in enumerate(shapes)]
        self.values = list(self.inputs)
        self.index = self.builder.input("index", aval("i64[n]"))

    def number(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))

    def pick(self, items: list[Any]) -> Any:
        return self.data.draw(st.sampled_from(items))

    def shape(self) -> tuple[Dim, ...]:
        return tuple(self.pick([1, 2, 3, N, N, M]) for _ in range(self.number(0, 3)))

    def value(self) -> Value:
        return self.pick(self.values)

    def like(self, x: Value) -> Value:
        return self.pick([v for v in self.values if v.aval.shape == x.aval.shape])

    def grow(self, steps: int) -> None:
        kinds = [
            self.mapped,
            self.paired,
            self.moved,
            self.sliced,
            self.reduced,
            self.joined,
            self.contracted,
            self.finished,
            self.indexed,
        ]
        for _ in range(steps):
            made = self.pick(kinds)(self.value())
            if made.aval.ndim <= 4 and dim_value(made.aval.size, {"n": 17, "m": 18}) <= LARGEST:
                self.values.append(made)

    def mapped(self, x: Value) -> Value:
        return REGISTRY[self.pick(UNARY)](x)

    def paired(self, x: Value) -> Value:
        if self.number(0, 3) == 0:
            return REGISTRY["select"](REGISTRY["lt"](x, self.like(x)), x, self.like(x))
        return REGISTRY[self.pick(BINARY)](x, self.like(x))

    def moved(self, x: Value) -> Value:
        shape = x.aval.shape
        kind = self.number(0, 2)
        if kind == 0:
            return REGISTRY["transpose"](x, axes=tuple(self.data.draw(st.permutations(range(len(shape))))))
        if kind == 1:
            return REGISTRY["broadcast_to"](x, shape=(self.pick([2, N]), *shape))
        size = x.aval.size
        shapes = [(size,), (1, size), shape[::-1]] + [(size // d, d) for d in (2, 3) if size % d == 0]
        shapes += [(size // shape[-1], shape[-1])] if len(shape) > 2 else []
        return REGISTRY["reshape"](x, shape=self.pick(shapes))

    def sliced(self, x: Value) -> Value:
        starts: list[Dim] = []
        sizes: list[Dim] = []
        steps: list[int] = []
        for length in x.aval.shape:
            if self.number(0, 1) and isinstance(length, int):
                size = self.number(1, length)
                starts, sizes, steps = [*starts, self.number(0, length - size)], [*sizes, size], [*steps, 1]
            elif self.number(0, 1):
                starts, sizes, steps = [*starts, length - 1], [*sizes, length], [*steps, -1]
            else:
                starts, sizes, steps = [*starts, 0], [*sizes, length], [*steps, 1]
        piece = REGISTRY["slice"](x, starts=tuple(starts), sizes=tuple(sizes), steps=tuple(steps))
        if self.number(0, 1):
            return piece
        value = REGISTRY[self.pick(UNARY)](piece)
        mode = self.pick(["set", "add"])
        return REGISTRY["update_slice"](x, value, starts=tuple(starts), steps=tuple(steps), mode=mode)

    def reduced(self, x: Value) -> Value:
        axes = tuple(a for a in range(x.aval.ndim) if self.number(0, 1))
        name = self.pick(["reduce_sum", "reduce_sum", "reduce_max", "reduce_min", "logsumexp", "softmax"])
        if name == "softmax":
            return REGISTRY[name](x, axes=axes)
        return REGISTRY[name](x, axes=axes, keepdims=bool(self.number(0, 1)))

    def joined(self, x: Value) -> Value:
        if not x.aval.shape:
            return REGISTRY["sin"](x)
        return REGISTRY["concatenate"](x, self.like(x), axis=self.number(0, x.aval.ndim - 1))

    def contracted(self, x: Value) -> Value:
        y = self.value()
        lhs = "abcd"[: x.aval.ndim]
        rhs = ""
        for k, length in enumerate(y.aval.shape):
            same = [c for c, d in zip(lhs, x.aval.shape, strict=True) if d == length and c not in rhs]
            rhs += self.pick(same) if same and self.number(0, 2) else "efgh"[k]
        free = [c for c in dict.fromkeys(lhs + rhs) if not (c in lhs and c in rhs) or self.number(0, 3) == 0]
        return REGISTRY["contract"](x, y, lhs=lhs, rhs=rhs, out="".join(self.data.draw(st.permutations(free))))

    def finished(self, x: Value) -> Value:
        """A product of any depth and something elementwise of it, with a value of its shape if there is one."""
        depth = [k for k, length in enumerate(x.aval.shape) if not isinstance(length, int)]
        if len(depth) != 1 or x.aval.ndim < 2:
            return REGISTRY["tanh"](x)
        lhs, rhs = (list(letters[: x.aval.ndim]) for letters in ("abcd", "efgh"))
        lhs[depth[0]] = rhs[depth[0]] = "k"
        out = "".join(letter for letter in lhs + rhs if letter != "k")
        product = REGISTRY["contract"](x, self.like(x), lhs="".join(lhs), rhs="".join(rhs), out=out)
        same = [v for v in self.values if v.aval.shape == product.aval.shape]
        return REGISTRY[self.pick(BINARY)](product, self.pick(same)) if same else self.mapped(product)

    def indexed(self, x: Value) -> Value:
        if not x.aval.shape:
            return REGISTRY["cos"](x)
        axis = self.number(0, x.aval.ndim - 1)
        length = x.aval.shape[axis]
        count = self.builder.apply(REGISTRY["iota"], dim=length, dtype=np.dtype(np.int64))
        spread = self.builder.apply(REGISTRY["dim_value"], dim=length, dtype=np.dtype(np.int64))
        data = REGISTRY["mod"](self.index, REGISTRY["broadcast_to"](spread, shape=(N,)))
        index = self.pick([count, data])
        found = REGISTRY["gather"](x, index, axes=(axis,))
        if self.number(0, 1):
            return found
        return REGISTRY["scatter"](x, found * 2.0, index, axes=(axis,), mode=self.pick(["set", "add"]))

    def graph(self) -> Graph:
        return self.builder.freeze([self.values[-1], *(self.value() for _ in range(self.number(0, 3)))])

    def gradient(self) -> Graph | None:
        """The gradients of the sum of the last value."""
        last = self.values[-1]
        total = REGISTRY["reduce_sum"](last, axes=tuple(range(last.aval.ndim)), keepdims=False)
        try:
            cts = adjoint(self.builder, [total], [self.builder.constant(np.ones(()))], self.inputs)
        except DerivativeError:
            return None
        return self.builder.freeze([total, *(ct for ct in cts if ct is not None)])


def assert_as_the_oracle(graph: Graph) -> None:
    lowered = verify(lower(graph))
    program = verify(with_epilogues(lowered, lambda call: runs_epilogue(call, lowered.buffer, host())))
    assert parse_program(str(program)) == program
    entry = load(emit(program, host()), program)
    for sizes in SIZES:
        rng = np.random.default_rng(0)
        arrays = []
        for own in graph.input_avals:
            shape = [dim_value(dim, sizes) for dim in own.shape]
            arrays.append(rng.normal(size=shape) if own.dtype == F64 else rng.integers(-9, 9, shape))
        with np.errstate(all="ignore"):
            try:
                expected = evaluate(graph, arrays)
            except (ValueError, IndexError, ZeroDivisionError):
                assert 0 in sizes.values()
                continue
        for ours, theirs in zip(entry(arrays), expected, strict=True):
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9)


SETTINGS = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@SETTINGS
@given(data=st.data(), steps=st.integers(1, 12))
def test_one_program_for_all_sizes(data: st.DataObject, steps: int) -> None:
    grower = Grower(data)
    grower.grow(steps)
    assert_as_the_oracle(grower.graph())


@SETTINGS
@given(data=st.data(), steps=st.integers(1, 8))
def test_gradients_too(data: st.DataObject, steps: int) -> None:
    grower = Grower(data)
    grower.grow(steps)
    graph = grower.gradient()
    if graph is not None:
        assert_as_the_oracle(graph)
