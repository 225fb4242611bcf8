"""The derivation of the networks, word for word in golden files, and its results where they are promised."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
import scipy.special
import sympy

import gradc
from gradc.errors import ArgumentError, DerivativeError
from gradc.inspect.derivation import Derivation
from tests.inspect import networks, programs

Tell = Callable[..., Derivation]
SCALARS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 1, 2, 1)
WEIGHTS = ["w11", "w12", "w21", "w22", "v1", "v2"]
X = np.arange(1.0, 11.0).reshape(2, 5) / 10
HIDDEN = {"hidden": np.array([[0.1, 0.2], [0.3, 0.4]]), "out": np.array([[0.5, 0.6]])}
LAYERS = {"W1": np.full((2, 3), 0.1), "b1": np.zeros(3), "W2": np.full((3, 2), 0.2), "b2": np.array([0.1, -0.1])}

TEXTBOOK = {
    "dL/dy_hat": "(y_hat - y)/(y_hat*(1 - y_hat))",
    "dL/dz": "y_hat - y",
    "dL/dv1": "(y_hat - y)*a1",
    "dL/da1": "(y_hat - y)*v1",
    "dL/dz1": "(y_hat - y)*v1*relu_prime(z1)",
    "dL/dw11": "(y_hat - y)*v1*relu_prime(z1)*x1",
}


@pytest.mark.parametrize("function", [networks.loss, networks.loss_with_helpers])
def test_the_results_are_those_of_the_textbook(tell: Tell, function: Callable[..., object]) -> None:
    records = {r["name"]: r for r in tell(function, *SCALARS, wrt=WEIGHTS).json()}
    for name, expected in TEXTBOOK.items():
        assert records[name]["sympy"] == expected
        assert sympy.sympify(records[name]["sympy"]) == sympy.sympify(expected)
    plain = {name: records[name]["result"].replace("·", " ") for name in TEXTBOOK}
    assert plain == {
        "dL/dy_hat": "(y_hat - y)/(y_hat (1 - y_hat))",
        "dL/dz": "y_hat - y",
        "dL/dv1": "(y_hat - y) a1",
        "dL/da1": "(y_hat - y) v1",
        "dL/dz1": "(y_hat - y) v1 ReLU'(z1)",
        "dL/dw11": "(y_hat - y) v1 ReLU'(z1) x1",
    }


def test_the_steps_of_the_first_derivative(tell: Tell) -> None:
    first = tell(networks.loss, *SCALARS, wrt=WEIGHTS).json()[0]
    assert first["name"] == "dL/dy_hat"
    assert [step["law"] for step in first["steps"]] == [
        "(log u)' = 1/u",
        "common denominator",
        "multiply out",
        "±y·y_hat cancel",
    ]
    assert first["line"] == "networks.py:13"
    assert first["value"] == pytest.approx(-1.40252, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "function", "args", "wrt"),
    [
        ("scalar", networks.loss, SCALARS, WEIGHTS),
        ("helpers", networks.loss_with_helpers, SCALARS, WEIGHTS),
        ("cost", networks.cost, (*SCALARS[:6], X[0], X[1], np.array([1.0, 0, 1, 1, 0])), WEIGHTS),
        ("matrix", networks.matrix_loss, (HIDDEN, X, np.array([[1.0, 0, 1, 1, 0]])), None),
        ("classifier", networks.classifier, (LAYERS, X.T, np.eye(2)[[0, 1, 1, 0, 1]]), None),
        ("labelled", networks.labelled, (LAYERS, X.T, np.array([0, 1, 1, 0, 1])), None),
        ("attention", programs.attention, (programs.M, programs.M + 0.1, programs.M), None),
        ("recurrence", networks.recurrence, (0.9, 0.1, 0.5), None),
    ],
)
def test_golden_text(
    tell: Tell,
    golden: Callable[[str, str], None],
    name: str,
    function: Callable[..., object],
    args: tuple[object, ...],
    wrt: list[str] | None,
) -> None:
    golden(f"inspect/{name}.txt", tell(function, *args, wrt=wrt).text())


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (networks.loss, SCALARS),
        (networks.matrix_loss, (HIDDEN, X, np.array([[1.0, 0, 1, 1, 0]]))),
        (networks.labelled, (LAYERS, X.T, np.array([0, 1, 1, 0, 1]))),
        (programs.attention, (programs.M, programs.M + 0.1, programs.M)),
        (networks.recurrence, (0.9, 0.1, 0.5)),
    ],
)
def test_records_have_every_field_and_sympy_reads_them(
    tell: Tell, function: Callable[..., object], args: tuple[object, ...]
) -> None:
    records = json.loads(json.dumps(tell(function, *args).json()))
    assert records
    for record in records:
        assert {"name", "of", "wrt", "chain", "steps", "result", "law", "line", "sympy"} <= record.keys()
        assert isinstance(sympy.sympify(record["sympy"]), sympy.Expr)


def test_golden_latex_and_json(tell: Tell, golden: Callable[[str, str], None]) -> None:
    derivation = tell(networks.loss, *SCALARS, wrt=WEIGHTS)
    names = {f"w{k}": rf"w_{{{k}}}^{{(1)}}" for k in (11, 12, 21, 22)}
    golden("inspect/scalar.tex", derivation.latex(names, document=True))
    golden("inspect/scalar.json", json.dumps(derivation.json(), indent=1, ensure_ascii=False) + "\n")


def test_latex_environments_and_braces_close(tell: Tell) -> None:
    for function, args in ((networks.loss, SCALARS), (networks.classifier, (LAYERS, X.T, np.eye(2)[[0, 1, 1, 0, 1]]))):
        text = tell(function, *args).latex()
        assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") == 3
        for row in text.splitlines():
            plain = row.replace(r"\{", "").replace(r"\}", "")
            assert plain.count("{") == plain.count("}"), row
            assert plain.count("$") % 2 == 0, row
            assert row.count(r"\left") == row.count(r"\right"), row


def test_without_values_no_numbers_are_told(tell: Tell) -> None:
    derivation = tell(networks.loss, *SCALARS, at=False, wrt=["v1"])
    assert "value" not in derivation.text()
    assert all(record["value"] is None for record in derivation.json())


def test_the_closing_line_bridges_to_the_code_that_runs() -> None:
    kernel = gradc.value_and_grad(networks.loss, wrt="w11").compile(*map(float, SCALARS), backend="numpy")
    last = kernel.explain().text().splitlines()[-1]
    assert last.startswith("In code: step 1 is never computed; ")
    assert "L is log1p(exp(-|z|)) + where(z >= 0, 1 - y, y)·|z| [bce-of-sigmoid, networks.py:13]" in last


def test_unknown_arguments_are_refused(tell: Tell) -> None:
    with pytest.raises(DerivativeError, match=r"'w13' is not an argument; choose among w11, w12"):
        tell(networks.loss, *SCALARS, wrt=["w13"])


def test_missing_values_are_refused() -> None:
    from gradc.frontend.tracing import trace
    from gradc.inspect.explain import explain

    with pytest.raises(ArgumentError, match=r"at gives no value for w12, w21"):
        explain(trace(networks.loss, SCALARS, {}).graph, at={"w11": 0.1})


def test_a_result_that_does_not_depend_on_an_argument(tell: Tell) -> None:
    def constant(x: float, y: float) -> float:
        return x * 0 + 1.5 * y

    assert [(r["name"], r["result"], r["law"]) for r in tell(constant, 2.0, 3.0).json()] == [
        ("dL/dy", "1.5", "L = 1.5·y"),
        ("dL/dx", "0", "L does not depend on x"),
    ]


def test_a_result_that_is_an_argument(tell: Tell) -> None:
    def same(x: float) -> float:
        return x

    assert [(r["name"], r["result"], r["law"]) for r in tell(same, 2.0).json()] == [
        ("dx/dx", "1", "the result is x itself")
    ]


def test_a_step_of_gradient_descent_in_numbers(tell: Tell) -> None:
    lines = tell(networks.loss, *SCALARS, wrt=WEIGHTS).text(rate=0.5).splitlines()
    assert "Gradient descent: w_new = w_old - rate·dL/dw for each w of w11, w12, w21, w22, v1, v2." in lines
    assert "  w11 = 0.1 - 0.5·(-0.1435) = 0.1717" in lines


def test_names_from_outside_cannot_break_the_lines(tell: Tell) -> None:
    def named(w: dict[str, float]) -> float:
        return w["a\nb"] * w["$50%_{\x1b[0m"]

    derivation = tell(named, {"a\nb": 2.0, "$50%_{\x1b[0m": 3.0})
    assert all(line.isprintable() for line in derivation.text().splitlines())
    assert all(line.isprintable() for line in derivation.latex().splitlines())
    assert r"\$50\%\_\{" in derivation.latex()
    json.dumps(derivation.json())


def test_an_op_with_a_derivative_by_one_of_its_operands_alone() -> None:
    a, x = np.array([2.0, 3.5]), np.array([0.5, 4.0])
    kernel = gradc.grad(lambda x, a: np.sum(scipy.special.gammainc(a, x))).compile(x, a)
    told = str(kernel.explain())
    assert "gamma_density" in told
