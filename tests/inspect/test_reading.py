"""Reading a graph back: known functions in every form people write them, helpers, names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gradc.inspect.derivation import Derivation
from gradc.inspect.text import Text
from tests.inspect import networks

Tell = Callable[..., Derivation]
text = Text()


@pytest.mark.parametrize(
    ("function", "read"),
    [
        (lambda u: 1 / (1 + np.exp(-u)), "σ(u)"),
        (lambda u: 1.0 / (np.exp(-u) + 1.0), "σ(u)"),
        (lambda u: np.exp(u) / (1 + np.exp(u)), "σ(u)"),
        (lambda u: 1 / (1 + np.exp(-(2 * u + 1))), "σ(2·u + 1)"),
        (lambda u: 1 / (1 + np.exp(u)), "σ(-u)"),
        (lambda u: np.log(1 + np.exp(u)), "softplus(u)"),
        (lambda u: np.log1p(np.exp(u)), "softplus(u)"),
        (lambda u: np.maximum(u, 0), "ReLU(u)"),
        (lambda u: np.maximum(0.0, u), "ReLU(u)"),
        (lambda u: np.where(u > 0, u, 0), "ReLU(u)"),
        (lambda u: u * (u > 0), "ReLU(u)"),
        (lambda u: (np.exp(u) - np.exp(-u)) / (np.exp(u) + np.exp(-u)), "tanh(u)"),
        (lambda u: u**0.5, "sqrt(u)"),
        (lambda u: np.maximum(u, 1), "max(u, 1)"),
        (lambda u: 1 / (2 + np.exp(-u)), "1/(2 + exp(-u))"),
    ],
)
def test_known_functions_are_recognised(tell: Tell, function: Callable[[float], float], read: str) -> None:
    assert text(tell(function, 0.7).forward[-1].expression) == read


def test_a_helper_is_a_unit_however_stably_it_is_written(tell: Tell) -> None:
    def helped(z: np.ndarray) -> np.ndarray:
        s = networks.stable_sigmoid(z)
        return np.sum(s * s)

    derivation = tell(helped, np.linspace(-2.0, 2.0, 5))
    assert text(derivation.forward[0].written) == "stable_sigmoid(z)"
    assert [(line.symbol.name, text(line.expression)) for line in derivation.forward] == [("s", "σ(z)"), ("L", "Σ s²")]
    assert derivation.json()[-1]["law"] == "σ' = σ(1 - σ)"


def test_a_helper_that_only_bears_the_name_is_told_as_it_is(tell: Tell) -> None:
    def sigmoid(z: float) -> float:
        return z / (1 + np.abs(z))

    def helped(z: float) -> float:
        s = sigmoid(z)
        return s * s

    assert text(tell(helped, 0.5).forward[0].expression) == "z/(1 + |z|)"


def test_the_names_inside_a_helper_are_told(tell: Tell) -> None:
    def layer(w: float, x: float) -> float:
        inner = w * x
        return np.tanh(inner) + inner

    def helped(w: float, x: float) -> float:
        out = layer(w, x)
        return out * out

    assert [line.symbol.name for line in tell(helped, 0.5, 0.25).forward] == ["inner", "out", "L"]


def test_a_name_given_again_is_numbered(tell: Tell) -> None:
    def twice(h: float) -> float:
        h = np.tanh(h)
        h = np.sin(h)
        return h

    assert [line.symbol.name for line in tell(twice, 0.5).forward] == ["h_1", "h_2"]


def test_a_count_has_a_letter_that_the_user_does_not(tell: Tell) -> None:
    def mean(n: np.ndarray) -> np.ndarray:
        return np.mean(n)

    derivation = tell(mean, np.ones(7))
    assert {symbol.name: count for symbol, count in derivation.sizes.items()} == {"m": 7}
    assert derivation.json()[0]["result"] == "1/m"
    assert derivation.json()[0]["sympy"] == "(1/7)"


def test_a_long_line_without_names_is_told_in_parts(tell: Tell) -> None:
    def one_line(a: float, b: float, c: float) -> float:
        return np.tanh(a * b + b * c + c * a) * np.exp(a * a + b * b + c * c) + np.sin(a * b * c) * np.cos(a + b + c)

    derivation = tell(one_line, 0.1, 0.2, 0.3)
    assert derivation.forward[0].symbol.name == "u1"
    assert all(len(text(line.expression)) < 120 for line in derivation.forward)


def test_long_decimals_stay_as_they_are_and_fold_to_short_numbers(tell: Tell) -> None:
    def turns(large: float) -> float:
        arc = large * 2 * np.pi * 6
        small = arc / (2 * np.pi)
        return small

    derivation = tell(turns, 1.0)
    assert [text(line.expression) for line in derivation.forward] == [
        "37.69911184307752·large",
        "arc/6.283185307179586",
    ]
    assert [r["result"] for r in derivation.json()] == ["1/6.283185307179586", "6"]


def test_symbolic_sizes_become_numbers_where_values_are_given() -> None:
    import gradc

    def mean(x: np.ndarray) -> np.ndarray:
        return np.mean(networks.sigmoid(x) ** 2)

    kernel = gradc.value_and_grad(mean).compile(gradc.aval("f64[batch]"), backend="numpy")
    assert kernel.explain().json()[-1]["result"] == "2·σ(x)²·(1 - σ(x))/batch"
    derivation = kernel.explain(at=(np.array([0.5, -1.0, 2.0]),))
    assert {symbol.name: count for symbol, count in derivation.sizes.items()} == {"n": 3}
    assert derivation.json()[-1]["value"] is not None


def test_a_half_of_a_sum_of_two_is_no_mean(tell: Tell) -> None:
    def half(x):
        return 0.5 * np.sum(x**2)

    assert "L = 1/2 Σ x²" in tell(half, np.array([1.0, 2.0])).text()


def test_the_rule_of_an_op_is_told_by_numpys_name(tell: Tell) -> None:
    def peak(x):
        return np.max(x) * np.min(x)

    derivation = tell(peak, np.array([1.0, 2.0, 3.0]))
    assert "the rule of max; the rule of min" in derivation.text()
    assert "reduce_" not in derivation.latex()
    assert r"\text{the rule of max; the rule of min}" in derivation.latex()


def test_axes_that_come_and_go_are_told(tell: Tell) -> None:
    def distances(a):
        first = a[:, 0]
        return np.sum(np.exp(first[:, None] - first[None, :]))

    derivation = tell(distances, np.arange(6.0).reshape(3, 2))
    assert "first = a[:, 0]" in derivation.text()
    assert "Σ exp(first[:, None] - first)" in derivation.text()
    assert r"{\mathrm{first}}_{[:, \text{None}]} - \mathrm{first}" in derivation.latex()


def test_a_state_that_starts_at_zero_is_told_as_zero(tell: Tell) -> None:
    def step(w, x):
        h = np.zeros(2)
        h = np.tanh(w @ h + x)
        return np.sum(h)

    derivation = tell(step, np.eye(2) + 1, np.ones(2))
    assert "h = tanh(w @ 0 + x)" in derivation.text()
    assert "ones" not in derivation.text()
    assert r"\mathbf{0}" in derivation.latex()
    assert r"0 \mathbf{1}" not in derivation.latex()


def test_a_product_passes_that_of_the_others(tell: Tell) -> None:
    def product(x):
        return np.prod(x, axis=0).sum()

    derivation = tell(product, np.array([[2.0, 0.0], [3.0, 5.0], [4.0, 0.0]]))
    (step,) = derivation.steps
    assert text(step.result) == "(Π of the others in x)"
    assert step.value.tolist() == [[12, 0], [8, 0], [6, 0]]
    assert r"\prod_{i' \neq i} x_{i'j}" in derivation.latex()


def test_a_rule_may_hold_a_constant_array(tell: Tell) -> None:
    def factored(s):
        lower = np.linalg.cholesky(s)
        return np.sum(np.log(np.diag(lower)))

    derivation = tell(factored, np.array([[2.0, 0.5], [0.5, 1.0]]))
    lines = derivation.text()
    assert "Σ log(diag(lower))" in lines
    assert "= diag(1/diag(lower))" in lines
    assert "tril(lowerᵀ @ " in lines


def test_a_term_that_is_the_result_has_no_slope_of_the_result_by_itself(tell: Tell) -> None:
    def ridge(w, x):
        margin = x @ w
        return np.sum(np.tanh(margin)) + 0.5 * np.sum(w**2)

    told = tell(ridge, np.ones(2), np.ones((3, 2))).text()
    assert "dL/dL" not in told
    assert "= Xᵀ @ dL/dmargin + w".replace("X", "x") in told


def test_a_branch_without_slope_adds_nothing(tell: Tell) -> None:
    def unit(v):
        size = np.linalg.norm(v)
        return np.sum(v**3) / size

    assert "+ 0" not in tell(unit, np.array([1.0, 2.0])).text()


def test_the_slope_of_softmax_and_cross_entropy_of_one_sample(tell: Tell) -> None:
    def cross_entropy(z, t):
        e = np.exp(z)
        p = e / np.sum(e)
        return -np.sum(t * np.log(p))

    derivation = tell(cross_entropy, np.array([0.1, 0.7]), np.array([0.25, 0.75]))
    assert {s.wrt.name: text(s.result) for s in derivation.steps}["z"] == "(Σ t)·p - t"


def test_a_trace_of_a_product_is_told_by_matrices(tell: Tell) -> None:
    def trace(a, b):
        return np.einsum("ij,ji->", a, b)

    derivation = tell(trace, np.ones((2, 3)), np.ones((3, 2)))
    assert {s.wrt.name: text(s.result) for s in derivation.steps} == {"a": "bᵀ", "b": "aᵀ"}


def test_what_a_law_computes_is_told_without_the_names_of_ops() -> None:
    import gradc

    def gated(w, x):
        gate = networks.sigmoid(w @ x)
        return np.sum((1 - gate) * np.tanh(x) + gate)

    closing = gradc.value_and_grad(gated).compile(np.ones((2, 2)), np.ones(2)).explain().text().splitlines()[-1]
    assert "; gate is σ(u) by exp(-|u|), which cannot overflow [stable-sigmoid, " in closing
    assert "; 1 - gate is σ(-u) by exp(-|u|), which cannot overflow [one-minus-sigmoid, " in closing
    assert "contract" not in closing
