"""In which order to contract several operands, two at a time.

A contraction of two costs one multiplication for each combination of the letters that they have, those aside that only
one of them has and nothing else needs: these are summed first. What a set of operands contracts to does not depend on
how it is done, so the cheapest way to each set is built from those of its parts (dynamic programming over subsets). For
many operands there are too many sets: then the cheapest pair comes first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Final

EXACT: Final = 9
"""The most operands for which all orders are compared: 3^n splits of subsets, some 10,000."""

Order = list[tuple[int, int]]
"""Which two terms to contract, one pair after the other; each result is a new term, numbered on from the operands."""


def contraction_order(terms: Sequence[str], out: str, sizes: Mapping[str, int]) -> Order:
    """The order that takes the fewest multiplications, or, for more than ``EXACT`` terms, a good one.

    ``terms`` are the letters of the operands, ``out`` those of the result, ``sizes`` the length of each letter's axis.
    """
    found = _best if len(terms) <= EXACT else _greedy
    return found([frozenset(term) for term in terms], frozenset(out), sizes)


def multiplications(left: frozenset[str], right: frozenset[str], kept: frozenset[str], sizes: Mapping[str, int]) -> int:
    """What it costs to contract two terms to the letters ``kept``."""
    letters = (left & (right | kept)) | (right & (left | kept))
    return math.prod(sizes[letter] for letter in letters)


def _best(terms: list[frozenset[str]], out: frozenset[str], sizes: Mapping[str, int]) -> Order:
    count = len(terms)
    if count < 2:
        return []
    everything = (1 << count) - 1
    letters = {1 << k: term for k, term in enumerate(terms)}
    cost = dict.fromkeys(letters, 0)
    split: dict[int, int] = {}
    for size in range(2, count + 1):
        for members in combinations(range(count), size):
            subset = sum(1 << k for k in members)
            others = [terms[k] for k in range(count) if not subset >> k & 1]
            kept = out.union(*others)
            letters[subset] = kept.intersection(frozenset().union(*(terms[k] for k in members)))
            lowest = subset & -subset
            part = subset
            while part := (part - 1) & subset:
                if not part & lowest:
                    continue
                rest = subset ^ part
                total = cost[part] + cost[rest] + multiplications(letters[part], letters[rest], kept, sizes)
                if subset not in cost or total < cost[subset]:
                    cost[subset], split[subset] = total, part
    numbers = {1 << k: k for k in range(count)}
    order: Order = []
    waiting = [everything]
    while waiting:
        subset = waiting[-1]
        parts = (split[subset], subset ^ split[subset])
        missing = [part for part in parts if part not in numbers]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        if subset not in numbers:
            numbers[subset] = count + len(order)
            order.append((numbers[parts[0]], numbers[parts[1]]))
    return order


def _greedy(terms: list[frozenset[str]], out: frozenset[str], sizes: Mapping[str, int]) -> Order:
    live = dict(enumerate(terms))
    order: Order = []
    while len(live) > 1:
        cheapest: tuple[int, int, int] | None = None
        for first, second in combinations(live, 2):
            kept = out.union(*(term for number, term in live.items() if number not in (first, second)))
            candidate = multiplications(live[first], live[second], kept, sizes), first, second
            cheapest = min(cheapest, candidate) if cheapest else candidate
        assert cheapest is not None, "two terms make a pair"
        _, first, second = cheapest
        left, right = live.pop(first), live.pop(second)
        live[len(terms) + len(order)] = (left | right) & out.union(*live.values())
        order.append((first, second))
    return order
