"""What a kernel computed for inputs that a few lines of code make again: a library tests itself with it anywhere.

Element i of input k is (1 + r) / 32 with r = (3 k + 5 i) mod 31 for floats, r mod 2 for integers and bools; so the
numbers are exact in every format. Where a check on the data needs it, integers are 0, or n is added on the diagonals of
n x n matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gradc.backends.abi import FIRST_FAILURE, OK, Argument, Interface
from gradc.errors import CompileError
from gradc.ir.aval import dim_value
from gradc.loops.language.program import ALIGNMENT

PERIOD: Final = 31
STRIDE: Final = 5
PHASE: Final = 3

SYMBOLIC: Final = 3
"""What each symbolic size is."""

KEPT: Final = 16
"""Elements of a result that are recorded, evenly spread, besides a sum of all."""

TOLERANCE: Final = {8: 2.0**-30, 4: 2.0**-12}
"""What a result may be off by on another machine, by the bytes of its dtype, relative to the largest element."""

ON_STACK: Final = 4096
"""The most bytes that a self-test puts on the stack."""

_CODE_BITS: Final = 16

Run = Callable[[Sequence[np.ndarray]], tuple[int, list[np.ndarray]]]
"""A kernel: inputs, in the order of the graph, to its status and outputs."""


@dataclass(frozen=True, slots=True)
class Fill:
    """How inputs are made: whether integers may be 1, and whether matrices get a heavy diagonal."""

    ones: bool
    diagonal: bool

    def order(self, shape: Sequence[int]) -> int:
        """The n that is added on diagonals; 0 for none."""
        square = len(shape) >= 2 and shape[-1] == shape[-2]
        return shape[-1] if self.diagonal and square else 0


@dataclass(frozen=True)
class Expected:
    """The elements ``0, stride, 2 stride, ...`` of a result, and how far they may be off.

    ``total`` is the sum of all elements of a float result, each times (1 + r) / 32 for r as in input 0, added up one
    after the other in its own dtype.
    """

    position: int
    count: int
    stride: int
    values: np.ndarray
    tolerance: float
    total: float
    total_tolerance: float


@dataclass(frozen=True)
class Recording:
    """A call: symbolic sizes, how its inputs were made, and what came of it; no results where the status is not 0."""

    sizes: dict[str, int]
    fill: Fill
    status: int
    results: tuple[Expected, ...]


def remainders(count: int, number: int) -> np.ndarray:
    """The r of the first ``count`` elements of input ``number``."""
    return (PHASE * number + STRIDE * np.arange(count)) % PERIOD


def sample(shape: Sequence[int], dtype: np.dtype, number: int, fill: Fill) -> np.ndarray:
    """Input ``number`` of a recorded call."""
    r = remainders(int(np.prod(shape)), number)
    if dtype.kind != "f":
        return np.asarray((r % 2) * fill.ones, dtype).reshape(shape)
    array = ((1 + r) / 32).reshape(shape)
    order = fill.order(shape)
    return np.asarray(array + order * np.eye(order) if order else array, dtype)


def record(interface: Interface, run: Run) -> Recording:
    """What the kernel does with the first inputs that it takes without a failed check and with finite results.

    Where there are none, those without a failed check; else the status of the last. Raises CompileError where its
    arrays do not fit into memory.
    """
    try:
        return _record(interface, run)
    except MemoryError as error:
        raise CompileError(
            f"{interface.name} cannot be run for its self-test: {str(error) or 'out of memory'}; "
            "make sizes symbolic, for which it takes small ones"
        ) from None


def _record(interface: Interface, run: Run) -> Recording:
    sizes = {symbol: SYMBOLIC for _, symbol in interface.sizes}
    best: Recording | None = None
    for fill in _fills():
        made: dict[int, np.ndarray] = {}
        for number, argument in enumerate(interface.inputs):
            shape = [dim_value(dim, sizes) for dim in argument.aval.shape]
            made[argument.position] = sample(shape, argument.dtype, number, fill)
        status, outputs = run([made[k] for k in range(len(made))])
        if status:
            code = (status & (2**_CODE_BITS - 1)) + FIRST_FAILURE - 1
            best = best or Recording(sizes, fill, code, ())
            continue
        found = Recording(sizes, fill, OK, tuple(_expected(k, array) for k, array in enumerate(outputs)))
        if all(np.isfinite(array).all() for array in outputs):
            return found
        if best is None or best.status:
            best = found
    assert best is not None, "there is a way to fill inputs"
    return best


def _fills() -> Iterator[Fill]:
    for ones, diagonal in ((True, False), (False, False), (True, True), (False, True)):
        yield Fill(ones, diagonal)


def _expected(position: int, array: np.ndarray) -> Expected:
    flat = array.ravel()
    stride = max(1, -(-flat.size // KEPT))
    values = flat[::stride].copy()
    if array.dtype.kind != "f":
        return Expected(position, flat.size, stride, values, 0.0, 0.0, 0.0)
    with np.errstate(all="ignore"):
        weights = ((1 + remainders(flat.size, 0)) / 32).astype(array.dtype)
        terms = flat * weights
        total = float(np.cumsum(terms)[-1]) if flat.size else 0.0
        finite = np.abs(flat[np.isfinite(flat)])
        largest = float(finite.max()) if finite.size else 0.0
        relative = TOLERANCE[array.dtype.itemsize]
        return Expected(
            position, flat.size, stride, values, relative * largest, total, relative * largest * max(1, flat.size)
        )


@dataclass(frozen=True, slots=True)
class Memory:
    """Where a self-test keeps what it works on: places in bytes of inputs and results, the workspace behind them."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    workspace: int
    bytes: int

    @property
    def on_stack(self) -> bool:
        """Whether the caller gives no memory for it."""
        return self.bytes <= ON_STACK


def memory_of(interface: Interface, recording: Recording) -> Memory:
    """The memory of the self-test of a recording."""
    end = 0
    places = []
    for argument in (*interface.inputs, *interface.outputs):
        places.append(end)
        size = 0 if interface.in_structs else count_of(argument, recording) * argument.dtype.itemsize
        end += -(-size // ALIGNMENT) * ALIGNMENT
    count = len(interface.inputs)
    total = end + dim_value(interface.workspace, recording.sizes)
    return Memory(tuple(places[:count]), tuple(places[count:]), end, total)


def count_of(argument: Argument, recording: Recording) -> int:
    """How many elements an argument has in a recorded call."""
    return dim_value(argument.aval.size, recording.sizes)
