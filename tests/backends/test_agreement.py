"""NumPy's backend and LLVM's agree: within ``UNITS`` units in the last place of the sum of absolute terms.

What a result is made of is found by going through the graph once: each op adds the terms that it sums, by absolute
value, and passes on those of its operands times the size of its partial derivatives. A unit of a result is the
machine epsilon times that sum; docs/numbers.md states the bound.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradc
from gradc.backends.reference import evaluate
from gradc.compiler import Compiled
from gradc.ir.graph import CONSTANT, INPUT, Builder, Graph, Node
from gradc.transforms.derivative import differentiate

UNITS = 1
PAGE = Path(__file__).parents[2] / "docs" / "numbers.md"


def perceptron(p, x, labels):
    h = x
    for w, bias in p[:-1]:
        h = np.maximum(h @ w + bias, 0.0)
    w, bias = p[-1]
    z = h @ w + bias
    z = z - np.max(z, axis=1, keepdims=True)
    z = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(z[np.arange(len(labels)), labels])


def block(p, x):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    h = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + 1e-5) * p["scale"]
    scores = (h @ p["query"]) @ (h @ p["key"]).T / 4.0
    weights = np.exp(scores) / np.sum(np.exp(scores), axis=-1, keepdims=True)
    return np.mean((x + weights @ (h @ p["value"])) ** 2)


def regression(p, x, y):
    margin = y * (x @ p["w"] + p["bias"])
    return np.mean(np.logaddexp(-margin, 0.0)) + 0.005 * (p["w"] @ p["w"])


def chain(p, x):
    u = p["w"] * x + p["b"]
    t = np.tanh(1.5 * (0.5 * u * (1.0 + np.tanh(0.8 * (u + 0.045 * u**3)))) - 0.25)
    q = np.log1p(np.exp(t * x))
    return np.mean(q * np.sin(q) + np.cos(t))


def slices(p):
    x = p["x"]
    rise, gap = x[1:] - x[:-1] * x[:-1], 1.0 - x[:-1]
    return np.sum(100.0 * rise * rise + gap * gap)


def recurrence(p, xs):
    h = np.zeros(8, xs.dtype)
    total = 0.0
    for x in xs:
        h = 1 / (1 + np.exp(-(p["w"] @ h + x)))
        total = total + np.sum(h * h)
    return total


def _inputs(dtype: np.dtype) -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return rng.normal(size=shape).astype(dtype)

    layers = [(draw(m, n) / dtype.type(m**0.5), draw(n)) for m, n in ((64, 32), (32, 16), (16, 10))]
    widths = {name: draw(16, 16) / dtype.type(4) for name in ("query", "key", "value")}
    return {
        "perceptron": (perceptron, (layers, draw(37, 64), rng.integers(0, 10, 37))),
        "block": (block, ({**widths, "scale": draw(16)}, draw(24, 16))),
        "regression": (
            regression,
            ({"w": draw(50), "bias": draw()}, draw(3000, 50), np.sign(draw(3000)).astype(dtype)),
        ),
        "chain": (chain, ({"w": draw(5000), "b": draw(5000)}, draw(5000))),
        "slices": (slices, ({"x": draw(4097)},)),
        "recurrence": (recurrence, ({"w": draw(8, 8)}, draw(12, 8))),
    }


NETWORKS = sorted(_inputs(np.dtype(np.float64)))


class Terms:
    """The sums of absolute terms of a graph's nodes, node by node, in double precision."""

    def __init__(self, graph: Graph, inputs: Sequence[np.ndarray]) -> None:
        self.values: list[np.ndarray] = []
        self.sums: list[np.ndarray] = []
        given = iter(inputs)
        for node in graph.nodes:
            if node.op in (INPUT, CONSTANT):
                value = np.asarray(next(given) if node.op is INPUT else node.params["value"])
                self.values.append(value)
                self.sums.append(np.zeros(value.shape))
                continue
            operands = [self.values[k] for k in node.operands]
            self.values.append(np.asarray(node.op.evaluate(*operands, **node.params)))
            self.sums.append(self._own(node, operands) + self._passed(graph, node, operands))

    def _own(self, node: Node, operands: list[np.ndarray]) -> np.ndarray:
        """What the op itself sums, by absolute value."""
        value = self.values[node.id]
        if value.dtype.kind != "f":
            return np.zeros(value.shape)
        sizes = [np.abs(o.astype(np.float64)) if o.dtype.kind == "f" else o for o in operands]
        if node.op.name in ("add", "sub"):
            return np.asarray(sizes[0] + sizes[1])
        if node.op.name in ("reduce_sum", "contract"):
            return np.asarray(node.op.evaluate(*sizes, **node.params))
        if node.op.name == "logistic_bce":
            return np.asarray(np.logaddexp(sizes[0], 0.0) + sizes[0] * sizes[1])
        return np.zeros(value.shape) if node.op.linear else np.abs(value.astype(np.float64))

    def _passed(self, graph: Graph, node: Node, operands: list[np.ndarray]) -> np.ndarray:
        """The terms of the operands, times the sizes of the partial derivatives."""
        sums = [self.sums[k] for k in node.operands]
        shape = self.values[node.id].shape
        if self.values[node.id].dtype.kind != "f":
            return np.zeros(shape)
        name, params = node.op.name, node.params
        if node.op.elementwise:
            return self._by_partials(graph, node, operands, sums)
        if name == "contract":
            left, right = (np.abs(o.astype(np.float64)) for o in operands)
            evaluate_ = node.op.evaluate
            return np.asarray(evaluate_(sums[0], right, **params) + evaluate_(left, sums[1], **params))
        if name in ("softmax", "log_softmax", "logsumexp", "reduce_max", "reduce_min"):
            largest = np.max(sums[0], axis=params["axes"], keepdims=params.get("keepdims", True))
            return np.asarray(2.0 * largest * (np.abs(self.values[node.id]) if name == "softmax" else 1.0))
        assert node.op.linear, f"{name}: the test does not know how it passes terms on"
        moved = [s if o.dtype.kind == "f" else o for s, o in zip(sums, operands, strict=True)]
        return np.asarray(node.op.evaluate(*moved, **params))

    def _by_partials(self, graph: Graph, node: Node, operands: list[np.ndarray], sums: list[np.ndarray]) -> np.ndarray:
        floats = [k for k, operand in enumerate(operands) if operand.dtype.kind == "f" and sums[k].any()]
        if not floats:
            return np.zeros(self.values[node.id].shape)
        builder = Builder()
        inputs = [builder.input(f"x{k}", graph.nodes[i].aval) for k, i in enumerate(node.operands)]
        alone = builder.freeze([builder.apply(node.op, *inputs, **node.params)])
        slopes = differentiate(alone, "vjp", floats, primals=1)
        partials = evaluate(slopes, [*operands, np.ones_like(self.values[node.id])])
        return np.asarray(sum(np.abs(p) * sums[k] for k, p in zip(floats, partials, strict=True)))


def _results(kernel: Any, arguments: tuple[Any, ...]) -> list[np.ndarray]:
    compiled: Compiled = kernel._compiled
    return compiled.entry(kernel.inputs(kernel._bind(arguments, {})))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_numpy_and_llvm_agree(name, kind):
    dtype = np.dtype(kind)
    function, arguments = _inputs(dtype)[name]
    native = gradc.value_and_grad(function).compile(*arguments)
    plain = gradc.value_and_grad(function, backend="numpy").compile(*arguments)
    terms = Terms(native.graph, native.inputs(native._bind(arguments, {})))
    unit = np.finfo(dtype).eps
    for position, one, other in zip(
        native.graph.outputs, _results(native, arguments), _results(plain, arguments), strict=True
    ):
        apart = np.abs(one.astype(np.float64) - other)
        assert (apart <= UNITS * unit * terms.sums[position]).all()
        assert np.isfinite(one).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_wrong_digit_is_seen(name):
    """The bound is tight enough to tell a result whose last digits are wrong: no sum of terms is out of proportion."""
    function, arguments = _inputs(np.dtype(np.float64))[name]
    kernel = gradc.value_and_grad(function).compile(*arguments)
    terms = Terms(kernel.graph, kernel.inputs(kernel._bind(arguments, {})))
    value = float(_results(kernel, arguments)[0])
    assert UNITS * np.finfo(np.float64).eps * float(terms.sums[kernel.graph.outputs[0]]) < 1e-11 * abs(value)


def test_the_page_states_the_bound():
    assert f"at most {UNITS} unit" in PAGE.read_text(encoding="utf-8")


SAME_BITS = """
import hashlib, sys
import numpy as np
sys.path.insert(0, {folder!r})
import gradc
from test_agreement import NETWORKS, _inputs, _results
for kind in ("f4", "f8"):
    for name in NETWORKS:
        function, arguments = _inputs(np.dtype(kind))[name]
        kernel = gradc.value_and_grad(function).compile(*arguments)
        shift = int(sys.argv[1])
        given = []
        for array in kernel.inputs(kernel._bind(arguments, {{}})):
            room = np.empty(array.nbytes + 64 + shift * array.itemsize, np.uint8)
            place = -room.ctypes.data % 64 + shift * array.itemsize
            moved = room[place : place + array.nbytes].view(array.dtype).reshape(array.shape)
            moved[...] = array
            given.append(moved)
        digest = hashlib.sha256(kernel.llvm_ir.encode())
        for result in kernel._compiled.entry(given):
            digest.update(result.tobytes())
        print(name, kind, digest.hexdigest())
"""


def test_llvm_gives_the_same_bits_in_every_process_and_at_every_alignment():
    program = SAME_BITS.format(folder=str(Path(__file__).parent))
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, shift],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, shift in (("0", "0"), ("1", "1"), ("random", "3"))
    ]
    assert len(runs[0].splitlines()) == 2 * len(NETWORKS)
    assert runs[0] == runs[1] == runs[2]
