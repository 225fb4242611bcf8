"""What is computed again is a cheapest choice: where it is known, against all choices, and against networkx."""

from __future__ import annotations

from itertools import combinations

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradc.passes.remat import Quantity, recomputed

X, Y, H, T, V = range(5)
"""Names of values: inputs, a value between, a transcendental, what is wanted."""


def there(cost: int = 0) -> Quantity:
    """A value that can only be read."""
    return Quantity((), None, cost)


def test_a_cheap_value_is_computed_again_and_a_dear_one_kept() -> None:
    assert recomputed({X: there(), V: Quantity((X,), 3, 10)}, [V]) == {V}
    assert recomputed({X: there(), V: Quantity((X,), 30, 10)}, [V]) == frozenset()


def test_what_reading_the_operands_costs_counts() -> None:
    assert recomputed({X: there(4), Y: there(4), V: Quantity((X, Y), 1, 10)}, [V]) == {V}
    assert recomputed({X: there(5), Y: there(5), V: Quantity((X, Y), 1, 10)}, [V]) == frozenset()


def test_the_cut_goes_through_the_narrowest_place_of_a_chain() -> None:
    """x -> h -> t -> v: t takes a transcendental and is the smallest to keep."""
    chain = {X: there(50), H: Quantity((X,), 2, 90), T: Quantity((H,), 80, 20), V: Quantity((T,), 5, 90)}
    assert recomputed(chain, [V]) == {V}
    assert recomputed({**chain, T: Quantity((H,), 8, 20), X: there(1)}, [V]) == {V, T, H}


def test_what_several_need_is_paid_for_once() -> None:
    """h costs 12 either way; two values that need it are cheap once it is had."""
    values = {X: there(), H: Quantity((X,), 12, 12), T: Quantity((H,), 1, 10), V: Quantity((H,), 1, 10)}
    assert recomputed(values, [T]) == frozenset()
    assert recomputed(values, [T, V]) == {T, V}


def test_of_equal_choices_the_one_that_computes_least() -> None:
    assert recomputed({X: there(), V: Quantity((X,), 10, 10)}, [V]) == frozenset()


def test_a_value_without_any_way_to_it_is_refused() -> None:
    with pytest.raises(ValueError, match="a wanted value can neither be computed nor be kept"):
        recomputed({V: Quantity((), None, None)}, [V])


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[int, Quantity], list[int]]:
    """Values that can all be kept, operands before what is made of them."""
    count = draw(st.integers(1, 7))
    costs = st.integers(0, 20)
    values = {
        name: Quantity(
            tuple(draw(st.lists(st.integers(0, name - 1), max_size=3, unique=True))) if name else (),
            draw(costs) if name else None,
            draw(costs),
        )
        for name in range(count)
    }
    return values, draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=3, unique=True))


def cost_of(values: dict[int, Quantity], wanted: list[int], again: frozenset[int]) -> int | None:
    """What a choice costs; None where a value is to be computed that cannot be."""
    total, needed, waiting = 0, set(), list(wanted)
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        value = values[name]
        cost = value.compute if name in again else value.keep
        if cost is None:
            return None
        total += cost
        waiting += value.operands if name in again else ()
    return total


@given(problems())
def test_no_other_choice_costs_less(problem: tuple[dict[int, Quantity], list[int]]) -> None:
    values, wanted = problem
    choices = [frozenset(c) for size in range(len(values) + 1) for c in combinations(values, size)]
    costs = [cost for c in choices if (cost := cost_of(values, wanted, c)) is not None]
    assert cost_of(values, wanted, recomputed(values, wanted)) == min(costs)


@given(problems())
def test_the_cut_is_that_of_networkx(problem: tuple[dict[int, Quantity], list[int]]) -> None:
    values, wanted = problem
    network = networkx.DiGraph()
    for name, value in values.items():
        network.add_edge("there", (name, "made"), **({} if value.compute is None else {"capacity": value.compute}))
        network.add_edge((name, "made"), (name, "had"), capacity=value.keep)
        for operand in value.operands:
            network.add_edge((operand, "had"), (name, "made"))
    for name in wanted:
        network.add_edge((name, "had"), "wanted")
    _, (_, late) = networkx.minimum_cut(network, "there", "wanted")
    assert recomputed(values, wanted) == {name for name in values if (name, "made") in late}
