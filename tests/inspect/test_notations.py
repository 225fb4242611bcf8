"""How names and expressions are printed in text, LaTeX and for sympy."""

from __future__ import annotations

import pytest
import sympy

from gradc.inspect.expression import (
    MINUS_ONE,
    ONE,
    TWO,
    Apply,
    Expr,
    Slope,
    Symbol,
    add,
    divide,
    mul,
    negative,
    number,
    power,
)
from gradc.inspect.functions import apply
from gradc.inspect.latex import Latex, latex_name
from gradc.inspect.sympy_text import Sympy, sympy_name
from gradc.inspect.text import Text

x, y, z = (Symbol(name) for name in "xyz")
W, V, v = Symbol("W", (2, 3)), Symbol("V", (2, 3)), Symbol("v", (3,))


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("w11_1", r"w_{11}^{(1)}"),
        ("w11", r"w_{11}"),
        ("y_hat", r"\hat{y}"),
        ("y1_hat", r"\hat{y}_{1}"),
        ("x_bar_2", r"\bar{x}_{2}"),
        ("alpha", r"\alpha"),
        ("sigma2", r"\sigma_{2}"),
        ("h_3", r"h_{3}"),
        ("w_new", r"w_{\text{new}}"),
        ("w1_new", r"w_{1}^{\text{new}}"),
        ("loss", r"\mathrm{loss}"),
        ("w['hidden']", r"w_{\text{hidden}}"),
        ("layers[0]['W1']", r"\mathrm{layers}_{0,\text{W1}}"),
        ("p.bias", r"p_{\text{bias}}"),
        ("σ", r"\sigma"),
        ("Ω1", r"\Omega_{1}"),
        ("w['50%_x{']", r"w_{\text{50\%\_x\{}}"),
    ],
)
def test_latex_names(name: str, printed: str) -> None:
    assert latex_name(name) == printed


def test_latex_names_are_overridden() -> None:
    assert Latex({"w11": r"w_{11}^{(1)}"})(Symbol("w11")) == r"w_{11}^{(1)}"
    assert Latex({"L": r"\mathcal L"})(Slope("L", "x")) == r"\frac{\partial \mathcal L}{\partial x}"


EXPRESSIONS: list[tuple[Expr, str, str, str]] = [
    (add(x, negative(add(y, z))), "x - (y + z)", r"x - \left(y + z\right)", "x - (y + z)"),
    (mul(add(x, y), z), "(x + y)·z", r"\left(x + y\right) \, z", "(x + y)*z"),
    (divide(x, mul(y, z)), "x/(y·z)", r"\frac{x}{y \, z}", "x/(y*z)"),
    (divide(ONE, add(ONE, x)), "1/(1 + x)", r"\frac{1}{1 + x}", "1/(1 + x)"),
    (power(add(x, y), TWO), "(x + y)²", r"{\left(x + y\right)}^{2}", "(x + y)**2"),
    (power(x, y), "x^y", "{x}^{y}", "x**y"),
    (mul(number(0.1), x), "0.1·x", r"0.1 \, x", "(1/10)*x"),
    (mul(number(0.5), x), "x/2", r"\frac{x}{2}", "x/2"),
    (mul(number(1.5), x), "1.5·x", r"1.5 \, x", "(3/2)*x"),
    (negative(x), "-x", "-x", "-x"),
    (mul(x, negative(y)), "-x·y", r"-x \, y", "-x*y"),
    (apply("exp", negative(x)), "exp(-x)", "e^{-x}", "exp(-x)"),
    (apply("log", add(ONE, x)), "log(1 + x)", r"\log \left(1 + x\right)", "log(1 + x)"),
    (apply("logistic", x), "σ(x)", r"\sigma\left(x\right)", "1/(1 + exp(-(x)))"),
    (apply("relu_prime", x), "ReLU'(x)", r"\mathrm{ReLU}'\left(x\right)", "relu_prime(x)"),
    (apply("indicator", apply("gt", x, y)), "[x > y]", r"\left[x > y\right]", "Piecewise((1, (x > y)), (0, True))"),
    (apply("abs", add(x, y)), "|x + y|", r"\left|x + y\right|", "Abs(x + y)"),
    (mul(Slope("L", "x"), Slope("x", "y")), "dL/dx · dx/dy", "", "dL_dx*dx_dy"),
    (power(apply("tanh", x), TWO), "tanh(x)²", r"\tanh^{2} x", "tanh(x)**2"),
    (power(apply("sqrt", x), TWO), "x", "x", "x"),
    (mul(apply("log", x), y), "log(x)·y", r"\left(\log x\right) \, y", "log(x)*y"),
    (mul(y, apply("log", x)), "y·log(x)", r"y \, \log x", "y*log(x)"),
    (add(x, number(1e-05)), "x + 1e-05", "x + 10^{-5}", "x + (1/100000)"),
    (power(x, MINUS_ONE), "1/x", r"\frac{1}{x}", "1/x"),
    (apply("log_ndtr", x, n=0), "log Φ(x)", r"\log \Phi\left(x\right)", "log(erfc(-(x)/sqrt(2))/2)"),
    (
        apply("log_ndtr", x, n=2),
        "(log Φ)^(2)(x)",
        r"\left(\log \Phi\right)^{(2)}\left(x\right)",
        "log_ndtr_2(x)",
    ),
]


@pytest.mark.parametrize(("expression", "text", "latex", "for_sympy"), EXPRESSIONS, ids=[e[1] for e in EXPRESSIONS])
def test_expressions(expression: Expr, text: str, latex: str, for_sympy: str) -> None:
    assert Text()(expression) == text
    assert not latex or Latex({})(expression) == latex
    assert Sympy()(expression) == for_sympy
    sympy.sympify(for_sympy)


def contraction(a: Expr, b: Expr, lhs: str, rhs: str, out: str) -> Expr:
    return Apply("contract", (a, b), (2, 2), (("lhs", lhs), ("out", out), ("rhs", rhs)))


@pytest.mark.parametrize(
    ("letters", "printed"),
    [
        (("ij", "jk", "ik"), "W @ V"),
        (("ij", "kj", "ik"), "W @ Vᵀ"),
        (("ji", "jk", "ik"), "Wᵀ @ V"),
        (("ij", "jk", "ki"), "Vᵀ @ Wᵀ"),
        (("ijk", "kl", "ijl"), "einsum(ijk,kl->ijl; W, V)"),
    ],
)
def test_matrix_products(letters: tuple[str, str, str], printed: str) -> None:
    assert Text()(contraction(W, V, *letters)) == printed


def test_products_with_vectors() -> None:
    assert Text()(contraction(W, v, "ij", "j", "i")) == "W @ v"
    assert Text()(contraction(v, W, "j", "ij", "i")) == "W @ v"
    assert Text()(contraction(v, v, "i", "j", "ij")) == "v @ vᵀ"
    assert Text()(contraction(v, v, "i", "i", "")) == "vᵀ @ v"


def test_elementwise_products_have_a_sign_of_their_own_beside_matrices() -> None:
    assert Text(has_matrices=True)(mul(x, W, V)) == "x·W ⊙ V"
    assert Text()(mul(x, W, V)) == "x·W·V"


@pytest.mark.parametrize("name", ["x", "w11", "y_hat", "z1", "h_12", "alpha", "dL_dz1", "w11_1"])
def test_plain_names_stay_plain_for_sympy(name: str) -> None:
    assert sympy_name(name) == name or name.startswith("dL")
    assert sympy.sympify(sympy_name(name)) == sympy.Symbol(name)


def test_no_name_means_something_else_to_sympy() -> None:
    odd = ["lambda", "if", "w['hidden']", "it's", "a\nb", 'say "no"', "back\\slash"]
    for name in [*(n for n in dir(sympy) if not n.startswith("_")), *odd]:
        assert sympy.sympify(sympy_name(name)) == sympy.Symbol(name)


def test_control_characters_are_escaped() -> None:
    assert Text()(Symbol("a\nb\x1b[0m")) == r"a\nb\x1b[0m"
    assert Text()(Slope("L", "a\nb")) == r"dL/da\nb"


@pytest.mark.parametrize(
    ("letters", "printed"),
    [
        (("ijk", "kl", "ijl"), r"\sum_{l} W_{ijl} V_{lk}"),
        (("ijk", "ij", "kji"), r"W_{kji} V_{kj}"),
        (("ij", "ij", "i"), r"\sum_{j} W_{ij} V_{ij}"),
    ],
)
def test_letters_in_latex_tell_the_order_of_the_axes(letters: tuple[str, str, str], printed: str) -> None:
    assert Latex({})(contraction(W, V, *letters)) == printed


def test_no_index_and_no_power_stands_twice_in_latex() -> None:
    first = Symbol("a_1", (2, 2, 2))
    assert Latex({})(contraction(first, W, "ijk", "kl", "ijl")) == r"\sum_{l} {a_{1}}_{ijl} W_{lk}"
    inverse = Apply("inverse", (W,), (2, 2))
    turned = Apply("transpose", (inverse,), (2, 2), (("axes", (1, 0)),))
    assert Latex({})(turned) == r"{\left(W^{-1}\right)}^{\mathsf T}"
    solved = Apply("triangular_solve", (W, v), (2,), (("transposed", False),))
    assert Latex({})(power(solved, TWO)) == r"{\left(W^{-1} v\right)}^{2}"


def test_the_branches_of_a_case_have_no_brackets() -> None:
    case = apply("select", apply("gt", x, y), negative(x), y)
    assert Latex({})(case) == r"\begin{cases} -x & x > y \\ y & \text{otherwise} \end{cases}"


def test_the_elements_of_an_array_row_by_row_are_told() -> None:
    rows = Apply("reshape", (Symbol("A", (2, 3)),), (6,), (("shape", (6,)),))
    piece = Apply("slice", (rows,), (3,), (("sizes", (3,)), ("starts", (1,)), ("steps", (2,))))
    assert Text()(piece) == "ravel(A)[1::2]"
    assert Latex({})(piece) == r"\operatorname{ravel}\left(A\right)_{[1::2]}"
