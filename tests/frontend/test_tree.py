from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest

from gradc.errors import ArgumentError
from gradc.frontend.tree import LEAF, NONE, flatten
from gradc.ir.aval import aval


class Layer(NamedTuple):
    weight: Any
    bias: Any


@dataclass(frozen=True, slots=True)
class Model:
    layers: list[Layer]
    scale: float

    def __post_init__(self) -> None:
        assert not isinstance(self.scale, str), "is not run for a tree that is put together again"


TREES = [
    1.0,
    None,
    [],
    {},
    (1, [2, (3,)], {"a": 4, "b": None}),
    {"b": 1, "a": 2},
    Layer(1, [2]),
    Model([Layer(1, 2), Layer(3, 4)], 5.0),
    OrderedDict(z=1, y=[2]),
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_unflatten_undoes_flatten(tree: Any) -> None:
    leaves, structure = flatten(tree)
    again = structure.unflatten(leaves)
    assert again == tree
    assert type(again) is type(tree)
    assert structure.num_leaves == len(leaves)


def test_leaves_come_in_insertion_order() -> None:
    assert flatten({"b": 1, "a": (2, [3])})[0] == [1, 2, 3]


def test_paths_are_python() -> None:
    tree = {"hidden": [Layer(1, 2)], 3: Model([], 1.0), "it's": (4,), "none": None}
    assert flatten(tree)[1].paths("w") == [
        "w['hidden'][0].weight",
        "w['hidden'][0].bias",
        "w[3].scale",
        'w["it\'s"][0]',
    ]


def test_structures_compare_and_hash() -> None:
    one, other = flatten({"a": [1, 2]})[1], flatten({"a": [3.0, "x"]})[1]
    assert one == other
    assert hash(one) == hash(other)
    assert one != flatten({"a": (1, 2)})[1]
    assert one != flatten({"b": [1, 2]})[1]
    assert one != flatten([1, 2])[1]
    assert flatten(1)[1] == LEAF
    assert flatten(None)[1] == NONE
    assert repr(one) == "TreeDef({'a': [*, *]})"


def test_the_wrong_number_of_leaves_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"^the tree has 2 leaves and 1 were given$"):
        flatten([1, 2])[1].unflatten([1])


def test_a_dataclass_is_put_together_without_its_init() -> None:
    structure = flatten(Model([], 1.0))[1]
    assert structure.unflatten(["a string"]).scale == "a string"


def test_is_leaf_stops_the_descent() -> None:
    leaves, _ = flatten([(1, 2), (3, 4)], is_leaf=lambda x: isinstance(x, tuple))
    assert leaves == [(1, 2), (3, 4)]


def test_an_aval_is_a_leaf() -> None:
    assert flatten([aval("f64[2]")])[0] == [aval("f64[2]")]


def test_a_container_that_holds_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ArgumentError, match="a list is nested too deeply, or contains itself"):
        flatten(loop)
