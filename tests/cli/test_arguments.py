"""Where the arguments of a function come from: --spec, example_args, annotations, defaults, scalars."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gradc.cli.arguments import Arguments, arguments_of, describe
from gradc.cli.failure import Failure
from gradc.cli.source import load
from gradc.ir.aval import aval

Write = Callable[[str], Callable[..., Arguments]]


@pytest.fixture
def arguments(net: Path) -> Callable[..., Arguments]:
    """``arguments(source, *specs)``: the arguments of the function f of a file with this text."""

    def of(source: str, *specs: str) -> Arguments:
        (net / "file.py").write_text(source, encoding="utf-8")
        return arguments_of(load("file.py:f"), specs)

    return of


def test_specs_make_trees(arguments: Callable[..., Arguments]) -> None:
    specs = [
        "w.hidden[0] = f64[4,2]", "w.hidden[1]=f64[4]", "w['out put'].bias=f32[]", 'w["x=y"]=f64[1]', "flag=True",
        "n=3", "mode='mean'", "x=f64[batch, 2]",
    ]  # fmt: skip
    values = arguments("def f(w, flag, n, mode, x): ...", *specs).values
    assert values == {
        "w": {
            "hidden": [aval("f64[4,2]"), aval("f64[4]")],
            "out put": {"bias": aval("f32[]")},
            "x=y": aval("f64[1]"),
        },
        "flag": True,
        "n": 3,
        "mode": "mean",
        "x": aval("f64[batch,2]"),
    }


def test_a_list_of_specs_starts_at_zero(arguments: Callable[..., Arguments]) -> None:
    values = arguments("def f(w): ...", "w[0]=f64[]", "w[2]=f64[]").values
    assert values["w"] == {0: aval("f64[]"), 2: aval("f64[]")}


def test_a_dtype_is_for_floats_alone(arguments: Callable[..., Arguments]) -> None:
    found = arguments("def f(w, x, n=3, rate=0.5): ...", "w.a=f64[4,2]", "w.k=i32[4]").in_dtype(np.dtype(np.float32))
    assert found.values["w"] == {"a": aval("f32[4,2]"), "k": aval("i32[4]")}
    assert found.values["x"] == aval("f32[]")
    assert found.values["n"] == 3
    assert type(found.values["rate"]) is np.float32


@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_annotations(arguments: Callable[..., Arguments], future: str) -> None:
    found = arguments(f'{future}def f(x: "f64[2,3]", scale: float, other: list, n: int = 3): ...')
    assert found.values == {"x": aval("f64[2,3]"), "scale": aval("f64[]"), "other": aval("f64[]"), "n": 3}
    assert found.sources == {"x": "annotation", "scale": "annotation", "other": "assumed", "n": "default"}
    assert found.guessed == ("other",)


@pytest.mark.parametrize("text", ["gradc.aval('f64[2,batch]')", "'f64[2,batch]'"])
def test_an_aval_as_an_annotation(arguments: Callable[..., Arguments], text: str) -> None:
    found = arguments(f"import gradc\ndef f(x: {text}): ...")
    assert (found.values, found.sources) == ({"x": aval("f64[2,batch]")}, {"x": "annotation"})


def test_the_order_of_what_is_believed(arguments: Callable[..., Arguments]) -> None:
    source = "def f(a: float, b: float, c: float = 1.0, d=2.0, e=None): ...\ndef example_args(): return (5.0, 6.0)\n"
    found = arguments(source, "a=f64[2]")
    assert found.sources == {
        "a": "--spec", "b": "example_args", "c": "annotation", "d": "default", "e": "default",
    }  # fmt: skip
    assert found.values["b"] == 6.0


def test_an_example_for_another_function_is_not_taken(arguments: Callable[..., Arguments]) -> None:
    assert arguments("def f(x): ...\ndef example_args(): return {'y': 1.0}\n").sources == {"x": "assumed"}
    assert arguments("def f(x): ...\ndef example_args(): return (1.0, 2.0)\n").sources == {"x": "assumed"}


def test_an_example_of_the_wrong_kind(arguments: Callable[..., Arguments]) -> None:
    with pytest.raises(Failure, match=r"example_args of file.py returns a list, not a tuple or a dict"):
        arguments("def f(x): ...\ndef example_args(): return [1.0]\n")


def test_an_example_that_raises(arguments: Callable[..., Arguments]) -> None:
    with pytest.raises(Failure, match=r"ZeroDivisionError: division by zero \(file.py:2: def example_args"):
        arguments("def f(x): ...\ndef example_args(): return 1 / 0\n")


def test_every_kind_of_parameter(arguments: Callable[..., Arguments]) -> None:
    source = "def f(a, /, b, *rest, c, **more): ...\n"
    call = arguments(source, "rest[0]=f64[1]", "rest[1]=f64[2]", "more.d=f64[3]").bound()
    assert call.args == (aval("f64[]"), aval("f64[]"), aval("f64[1]"), aval("f64[2]"))
    assert call.kwargs == {"c": aval("f64[]"), "d": aval("f64[3]")}


def test_what_can_be_differentiated(arguments: Callable[..., Arguments]) -> None:
    source = "import numpy as np\ndef f(a, b, c, d, e, g): ...\ndef example_args():\n    "
    source += "return 1, np.arange(3), {'u': 1.0, 'v': np.ones(2)}, None, True, (np.ones(2), np.arange(2))\n"
    assert arguments(source).differentiable() == ("a", "c")


def test_files_beside_the_file_can_be_imported(arguments: Callable[..., Arguments], net: Path) -> None:
    (net / "beside_the_file.py").write_text("SIZE = 4\n", encoding="utf-8")
    found = arguments("from beside_the_file import SIZE\ndef f(x): ...\ndef example_args(): return (SIZE,)\n")
    assert found.values == {"x": 4}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5, [("x", "float")]),
        (True, [("x", "bool")]),
        ("mean", [("x", "'mean'")]),
        (None, []),
        (np.float32(1), [("x", "f32[]")]),
        ([np.ones(2), {"k": 1}], [("x[0]", "f64[2]"), ("x[1]['k']", "int")]),
    ],
)
def test_how_arguments_are_described(value: object, said: list[tuple[str, str]]) -> None:
    assert list(describe("x", value)) == said
