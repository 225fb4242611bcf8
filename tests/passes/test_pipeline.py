"""The levels as a whole: textbook losses end to end, names, logs, and the pass contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradc.backends.reference import evaluate
from gradc.errors import ArgumentError, VerifyError
from gradc.ir.aval import aval
from gradc.ir.graph import Builder, Graph, Origin, Value
from gradc.ir.op import REGISTRY
from gradc.ir.verify import verify
from gradc.passes.pattern import formula
from gradc.passes.pipeline import LEVELS, PASSES, builder_rewrite, simplify
from gradc.transforms.adjoint import adjoint


def ops(names: str) -> list[Any]:
    return [REGISTRY[name] for name in names.split()]


exp, log, select, greater, convert, negated = ops("exp log select gt convert logical_not")
broadcast_to, total, contract = ops("broadcast_to reduce_sum contract")

Loss = Callable[[Value, Value], Value]
AT = Origin("net.py", 10, "y_hat = 1 / (1 + np.exp(-z))")


def sigmoid(z: Value) -> Value:
    z.builder.origin = (AT,)
    s = 1.0 / (1.0 + exp(-z))
    z.builder.name(s, "y_hat")
    z.builder.origin = ()
    return s


def summed(x: Value) -> Value:
    return total(x, axes=tuple(range(x.aval.ndim)), keepdims=False) if x.aval.shape else x


def mean(x: Value) -> Value:
    return summed(x) / float(np.prod(x.aval.shape))


def broadcast(y: Value, z: Value) -> Value:
    return broadcast_to(y, shape=z.aval.shape) if y.aval.shape != z.aval.shape else y


def one_sum(z: Value, y: Value) -> Value:
    s, y = sigmoid(z), broadcast(y, z)
    return -summed(y * log(s) + (1.0 - y) * log(1.0 - s))


def two_products(z: Value, y: Value) -> Value:
    s, y = sigmoid(z), broadcast(y, z)
    return mean(-y * log(s) - (1.0 - y) * log(1.0 - s))


def two_sums(z: Value, y: Value) -> Value:
    s, y = sigmoid(z), broadcast(y, z)
    return -(mean(y * log(s)) + mean((1.0 - y) * log(1.0 - s)))


def scaled(z: Value, y: Value) -> Value:
    s, y = sigmoid(z), broadcast(y, z)
    n = float(np.prod(z.aval.shape))
    return summed(y * log(s) + (1.0 - y) * log(1.0 - s)) * (-1.0 / n)


def labels_inside(z: Value, y: Value) -> Value:
    s = sigmoid(z)
    return mean(-(broadcast(y, z) * log(s)) - broadcast(1.0 - y, z) * log(1.0 - s))


LOSSES: tuple[Loss, ...] = (one_sum, two_products, two_sums, scaled, labels_inside)


def gradient(loss: Loss, z: str, y: str, level: str = "safe") -> tuple[Builder, Value, Value]:
    builder = Builder(builder_rewrite(level))
    inputs = [builder.input("z", aval(z)), builder.input("y", aval(y))]
    value = loss(*inputs)
    (d_z,) = adjoint(builder, [value], [builder.full(1.0, value.aval)], inputs[:1])
    assert d_z is not None
    return builder, value, d_z


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("z", "y"), [("f64[]", "f64[]"), ("f64[4]", "f64[4]"), ("f64[2,2]", "f64[2]"), ("f64[4]", "f64[]")]
)
def test_the_adjoint_of_a_naive_loss_reads_s_minus_y(loss: Loss, z: str, y: str) -> None:
    builder, _, d_z = gradient(loss, z, y)
    text = formula(builder, d_z.id).replace("(", "").replace(")", "").replace("1.0 * ", "")
    assert text.removeprefix("0.25 * ").removesuffix(" * 0.25") == "y_hat - y"


@pytest.mark.parametrize(
    "logits",
    [lambda z: -z, lambda z: 3.0 * z, lambda z: z * -2.0, lambda z: z - 1.0, lambda z: 1.0 - z, lambda z: z / 4.0],
)
def test_the_pair_is_found_whatever_the_logits_are(logits: Callable[[Value], Value]) -> None:
    builder, value, _ = gradient(lambda z, y: one_sum(logits(z), y), "f64[4]", "f64[4]")
    names = [n.op.name for n in builder.freeze([value]).nodes]
    assert names.count("logistic_bce") == 1
    assert "softplus" not in names


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("z", [1000.0, -1000.0, 800.0, -800.0])
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_a_naive_loss_is_exact_far_out(loss: Loss, z: float, y: float) -> None:
    builder, value, d_z = gradient(loss, "f64[]", "f64[]")
    graph = builder.freeze([value, d_z])
    verify(graph)
    found = evaluate(graph, [np.float64(z), np.float64(y)])
    wrong = (z > 0) != (y == 1)
    np.testing.assert_array_equal(found, [abs(z) if wrong else 0.0, np.sign(z) if wrong else 0.0])


@pytest.mark.parametrize("labels", [1.0, 0.0, [0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
def test_labels_may_be_constants(labels: Any) -> None:
    z = np.array([1000.0, -1000.0, 3.0, -3.0])

    def loss(z: Value, _: Value) -> Value:
        y = broadcast(z.builder.constant(np.array(labels)), z)
        return one_sum(z, y)

    builder, value, d_z = gradient(loss, "f64[4]", "f64[]")
    assert "bce-of-sigmoid" in [fired.law for fired in builder.fired]
    found = evaluate(builder.freeze([value, d_z]), [z, np.float64(0)])
    assert np.isfinite(found[0])
    np.testing.assert_allclose(found[1], np.clip(1 / (1 + np.exp(-np.clip(z, -700, 700))), 0, 1) - labels, atol=1e-15)


@pytest.mark.parametrize("kind", ["i64", "bool"])
def test_labels_may_be_integers_or_a_mask(kind: str) -> None:
    def loss(z: Value, y: Value) -> Value:
        s = sigmoid(z)
        one_minus_y = negated(y) if kind == "bool" else y.builder.full(1, y.aval) - y
        here, there = (convert(v, dtype=np.dtype("f8")) for v in (y, one_minus_y))
        return -summed(here * log(s) + there * log(1.0 - s))

    builder, value, d_z = gradient(loss, "f64[4]", f"{kind}[4]")
    graph = builder.freeze([value, d_z])
    assert [n.op.name for n in graph.nodes].count("logistic_bce") == 1
    z = np.array([1000.0, -1000.0, 3.0, 0.0])
    found = evaluate(graph, [z, np.array([0, 1, 1, 0]).astype("i8" if kind == "i64" else bool)])
    assert found[0] == pytest.approx(2000 + np.log1p(np.exp(-3.0)) + np.log(2.0), rel=1e-15)


def test_labels_may_widen_the_loss() -> None:
    """f32 logits and i64 labels make an f64 loss in NumPy; the pair is found through the conversions."""

    def loss(z: Value, y: Value) -> Value:
        s = sigmoid(z)
        logs = [convert(log(p), dtype=np.dtype("f8")) for p in (s, 1.0 - s)]
        here, there = (convert(v, dtype=np.dtype("f8")) for v in (y, y.builder.full(1, y.aval) - y))
        return -mean(here * logs[0] + there * logs[1])

    builder, value, d_z = gradient(loss, "f32[4]", "i64[4]")
    graph = builder.freeze([value, d_z])
    assert [n.op.name for n in graph.nodes].count("softplus") == 0
    assert str(d_z.aval) == "f32[4]"
    found = evaluate(graph, [np.array([1000.0, -1000.0, 90.0, 0.0], np.float32), np.array([0, 1, 1, 0])])
    assert found[0] == pytest.approx((2000 + np.exp(-90.0) + np.log(2.0)) / 4, rel=1e-15)
    np.testing.assert_allclose(found[1], np.array([1.0, -1.0, 0.0, 0.5]) / 4, atol=1e-7)


def test_unsigned_labels_wrap_around_as_in_numpy() -> None:
    def loss(z: Value, y: Value) -> Value:
        s = sigmoid(z)
        here, there = (convert(v, dtype=np.dtype("f8")) for v in (y, y.builder.full(1, y.aval) - y))
        return -summed(here * log(s) + there * log(1.0 - s))

    builder, value, _ = gradient(loss, "f64[2]", "u8[2]")
    (found,) = evaluate(builder.freeze([value]), [np.array([0.0, 1.0]), np.array([1, 2], np.uint8)])
    softplus = np.log1p(np.exp([0.0, -1.0, 1.0]))
    assert found == pytest.approx(softplus[0] + 2 * softplus[1] + 255 * softplus[2])


def test_a_matrix_product_below_the_loss() -> None:
    """The names of the user survive, and the sigmoid is one node that value and gradient share."""
    builder = Builder(builder_rewrite("safe"))
    w, x, y = (builder.input(n, aval(a)) for n, a in (("w", "f64[3]"), ("x", "f64[3,5]"), ("y", "f64[5]")))
    z = contract(w, x, lhs="a", rhs="ab", out="b")
    builder.name(z, "z")
    value = two_products(z, y)
    (d_w,) = adjoint(builder, [value], [builder.constant(1.0)], [w])
    assert d_w is not None
    graph = builder.freeze([value, d_w])
    (named,) = [i for i, name in graph.names.items() if name == "y_hat"]
    assert graph.nodes[named].op.name == "logistic"
    assert AT in graph.origins[named]
    assert graph.names[graph.nodes[named].operands[0]] == "z"


def test_what_fired_is_told_in_the_words_of_the_user() -> None:
    builder, _, _ = gradient(one_sum, "f64[4]", "f64[4]")
    first, second, *_, last = builder.freeze([]).fired
    assert (first.law, first.before, first.after) == ("stable-sigmoid", "1.0 / (1.0 + exp(-z))", "logistic(z)")
    assert first.origins == (AT,)
    assert (second.law, second.before) == ("log-sigmoid", "log(y_hat)")
    assert (last.law, last.after) == ("bce-of-sigmoid", "logistic_bce(z, y)")


def naive_graph() -> Graph:
    builder = Builder()
    z, y = builder.input("z", aval("f64[4]")), builder.input("y", aval("f64[4]"))
    return builder.freeze([one_sum(z, y)], ["L"])


@pytest.mark.parametrize("level", LEVELS)
def test_simplifying_again_gives_the_graph_itself(level: str) -> None:
    once = simplify(naive_graph(), stabilize=level, check=True)
    assert simplify(once, stabilize=level) is once
    assert [p.name for p in PASSES[level]] == ["canonicalize" if level == "off" else "stabilize"]


def test_stages_can_be_seen() -> None:
    seen: list[tuple[str, int]] = []
    graph = simplify(naive_graph(), stabilize="safe", after=lambda name, g: seen.append((name, len(g.nodes))))
    assert seen == [("stabilize", len(graph.nodes))]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match="stabilize='fast' is not a level; it is one of 'off', 'safe', 'aggressive'"
    ):
        simplify(naive_graph(), stabilize="fast")


def test_a_broken_graph_is_found() -> None:
    graph = naive_graph()
    broken = Graph(
        nodes=graph.nodes[:-1], inputs=graph.inputs, outputs=graph.outputs, output_names=graph.output_names,
        names={}, origins={}, cotangents={},
    )  # fmt: skip
    with pytest.raises(VerifyError, match="law 5 every output is a node"):
        simplify(broken, check=True)


def test_a_branch_not_taken_keeps_its_exact_zero() -> None:
    def loss(z: Value, y: Value) -> Value:
        positive = greater(z, z.builder.full(0.0, z.aval))
        return summed(select(positive, log(z), z.builder.full(0.0, z.aval)) * y)

    builder, value, d_z = gradient(loss, "f64[3]", "f64[3]")
    z, y = np.array([0.0, 2.0, -1.0]), np.array([1.0, 1.0, 1.0])
    found = evaluate(builder.freeze([value, d_z]), [z, y])
    np.testing.assert_array_equal(found[1], [0.0, 0.5, 0.0])
