"""The order in which several operands are contracted."""

from __future__ import annotations

import itertools
import random

import pytest

from gradc.frontend.numpy_api.orders import EXACT, Order, contraction_order, multiplications


def cost_of(terms: list[str], out: str, sizes: dict[str, int], order: Order) -> int:
    """The multiplications of an order, which is checked to contract everything."""
    live = {number: frozenset(term) for number, term in enumerate(terms)}
    total = 0
    for number, (first, second) in enumerate(order, len(terms)):
        left, right = live.pop(first), live.pop(second)
        kept = frozenset(out).union(*live.values())
        total += multiplications(left, right, kept, sizes)
        live[number] = (left | right) & kept
    assert list(live.values()) == [frozenset(out)]
    return total


def every_order(count: int) -> list[Order]:
    """All orders of pairs."""

    def extended(order: Order, live: tuple[int, ...]) -> list[Order]:
        if len(live) == 1:
            return [order]
        found = []
        for pair in itertools.combinations(live, 2):
            rest = tuple(number for number in live if number not in pair)
            found += extended([*order, pair], (*rest, count + len(order)))
        return found

    return extended([], tuple(range(count)))


def best(subscripts: str, sizes: dict[str, int]) -> int:
    left, _, out = subscripts.partition("->")
    terms = left.split(",")
    return cost_of(terms, out, sizes, contraction_order(terms, out, sizes))


@pytest.mark.parametrize(
    ("subscripts", "sizes", "expected"),
    [
        # a chain of matrices, from the left 7,500, from the right 75,000
        ("ij,jk,kl->il", {"i": 10, "j": 100, "k": 5, "l": 50}, 7_500),
        # Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, section 15.2
        ("ab,bc,cd,de,ef,fg->ag", dict(zip("abcdefg", (30, 35, 15, 5, 10, 20, 25), strict=True)), 15_125),
        # four matrices change the basis of a tensor one axis after the other
        ("ea,fb,abcd,gc,hd->efgh", dict.fromkeys("abcdefgh", 10), 400_000),
        # a vector at the end of a chain of matrices comes first
        ("ij,jk,kl,l->i", dict.fromkeys("ijkl", 50), 7_500),
        # what only one operand has is summed first
        ("ij,k->", {"i": 20, "j": 30, "k": 7}, 1),
        ("ij,jk->ik", {"i": 2, "j": 3, "k": 4}, 24),
    ],
)
def test_known_orders(subscripts: str, sizes: dict[str, int], expected: int) -> None:
    assert best(subscripts, sizes) == expected


@pytest.mark.parametrize("seed", range(40))
def test_no_order_is_cheaper(seed: int) -> None:
    choose = random.Random(seed)
    terms = ["".join(choose.sample("abcdef", choose.randint(1, 3))) for _ in range(choose.randint(2, 5))]
    present = sorted(set("".join(terms)))
    out = "".join(choose.sample(present, choose.randint(0, min(3, len(present)))))
    sizes = {letter: choose.randint(1, 20) for letter in present}
    found = cost_of(terms, out, sizes, contraction_order(terms, out, sizes))
    assert found == min(cost_of(terms, out, sizes, order) for order in every_order(len(terms)))


def test_many_operands_take_the_cheapest_pair_first() -> None:
    letters = "abcdefghijklm"
    terms = [f"{one}{other}" for one, other in itertools.pairwise(letters)]
    sizes = dict.fromkeys(letters, 6) | {"m": 1}
    order = contraction_order(terms, "am", sizes)
    assert len(terms) > EXACT
    assert order[0] == (10, 11)
    assert cost_of(terms, "am", sizes, order) == 11 * 36
