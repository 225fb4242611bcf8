"""The memory of the compared gradients: arenas hold little more than what lives at one time, and nothing twice."""

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import gradc
from gradc.loops.language.parse import parse_program
from gradc.loops.language.program import ALIGNMENT

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NAMES = (
    "backprop221", "mlp_small", "mlp_mnist", "cnn", "attention", "lstm", "ode", "elementwise_chain", "blackscholes",
    "rosenbrock", "ba", "logreg", "gmm", "gp_nll",
)  # fmt: skip


def loops_of(name, monkeypatch):
    """The text of a workload's loop program."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    from peers.adapters import numpy_names
    from peers.workloads import WORKLOADS

    work = WORKLOADS[name]
    return gradc.value_and_grad(lambda p, *data: work.loss(numpy_names(), p, *data)).compile(*work.inputs()).loops


def statements(text):
    """The words of each statement of the kernel, in order."""
    body = text[text.rindex("\nbegin\n") :].splitlines()[2:]
    found = []
    for line in body:
        if line.startswith("  ") and not line.startswith("   ") and not line.lstrip().startswith("#"):
            found.append(set())
        if not line.lstrip().startswith("#"):
            found[-1] |= set(re.findall(r"\w+", line))
    return found


def lifetimes(text):
    """The place of each array of the arena, and the first and the last statement that names it."""
    words, found = statements(text), []
    for buffer in parse_program(text).buffers:
        positions = [k for k, names in enumerate(words) if buffer.name in names]
        if buffer.kind == "arena" and positions:
            start = int(buffer.offset)
            stop = start + -(-int(buffer.bytes) // ALIGNMENT) * ALIGNMENT
            found.append((start, stop, positions[0], positions[-1]))
    return found, len(words)


def largest_live(arrays, count):
    """The most bytes that hold something during one statement."""
    largest = 0
    for position in range(count):
        end = total = 0
        for start, stop, first, last in sorted(arrays):
            if first <= position <= last:
                total += max(0, stop - max(start, end))
                end = max(end, stop)
        largest = max(largest, total)
    return largest


@pytest.mark.parametrize("name", NAMES)
def test_the_arena_is_little_more_than_what_lives_at_one_time(name, monkeypatch):
    text = loops_of(name, monkeypatch)
    arrays, count = lifetimes(text)
    size = parse_program(text).arena_bytes
    assert int(size) <= 1.2 * largest_live(arrays, count)
    for one, other in combinations(arrays, 2):
        live_together = one[2] <= other[3] and other[2] <= one[3]
        if live_together and one[0] < other[1] and other[0] < one[1]:
            assert one[:2] == other[:2], "one array is made in the place of the other"
            assert one[3] <= other[2] or other[3] <= one[2] or name == "logreg", "a strip makes it in the same loop"


def test_scratch_memory_of_products_stands_where_nothing_lives_yet():
    """The first product needs packed blocks, the last arrays live when they are gone."""

    def loss(w, v, x):
        return np.sum(np.tanh(np.tanh(x @ w) @ v))

    x, w, v = np.ones((512, 600)), np.ones((600, 512)), np.ones((512, 512))
    text = gradc.grad(loss, wrt=(0, 1)).compile(w, v, x).loops
    arrays, count = lifetimes(text)
    assert int(parse_program(text).arena_bytes) <= 1.05 * largest_live(arrays, count)
