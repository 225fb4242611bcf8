"""From a trace to the graph that a backend is given: the derivative, simplified, its recurrences rolled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gradc import config
from gradc.errors import DerivativeError
from gradc.ir.collector import without_collector
from gradc.ir.graph import Graph
from gradc.passes.fills import gather_writes
from gradc.passes.halves import has_half
from gradc.passes.pipeline import builder_rewrite, simplify
from gradc.passes.release import release
from gradc.passes.roll import Step, roll
from gradc.passes.split_complex import has_complex
from gradc.request import Request
from gradc.transforms.derivative import ALL_ELEMENTS, FORWARD, differentiate
from gradc.transforms.recurrence import with_pullback


def gathered(trace: Graph, request: Request) -> Graph:
    """The trace as the backend takes it: for machine code, arrays that are filled piece by piece are their pieces."""
    sparse = request.derivative not in ("value", *FORWARD)
    return gather_writes(trace, sparse=sparse) if request.backend == "llvm" else trace


def derived(trace: Graph, request: Request) -> Graph:
    """The graph that the backend is given."""
    with without_collector():
        trace = gathered(trace, request)
        rolls = request.backend == "llvm" and config.roll.value and not (has_complex(trace) or has_half(trace))
        runs = _rolled(trace, request) if rolls else None
        return derive(trace, request) if runs is None else runs


def _rolled(trace: Graph, request: Request) -> Graph | None:
    """The simplified derivative with recurrences as loops; None where there is none.

    A reverse pass is made of the rolled trace, each loop with the derivative of its step. A forward pass goes the same
    way as the recurrence: its steps are rolled with the steps.
    """
    level = request.stabilize

    def simplified(body: Graph) -> Graph:
        return simplify(release(body), stabilize=level, check=config.verify.value)

    def finish(body: Graph, states: int, rows: int, active: Sequence[bool], pulled: Sequence[bool]) -> Step | None:
        if not any(active):
            return Step(simplified(body), None)
        made = with_pullback(body, states, rows, active, pulled, builder_rewrite(level), simplified)
        return None if made is None else Step(*made)

    if trace.symbols:
        return None
    if request.derivative in ("value", *FORWARD):
        written = differentiate(trace, request.derivative, request.wrt, primals=request.primals)
        derivative = roll(written, finish)
        if derivative is written:
            return None
    elif request.derivative in ALL_ELEMENTS:
        written = derive(trace, request)
        derivative = roll(written, finish)
        if derivative is written:
            return written
    else:
        rolled = roll(trace, finish, request.wrt, request.primals)
        if rolled is trace:
            return None
        try:
            derivative = differentiate(
                rolled, request.derivative, request.wrt, primals=request.primals, rewrite=builder_rewrite(level)
            )
        except DerivativeError:  # a branch that is not taken reaches into a loop
            return None
    if config.dump.value:
        derive(trace, request)  # whose stages are for reading
    return simplify(release(derivative), stabilize=level)


def derive(trace: Graph, request: Request, *, final: bool = True) -> Graph:
    """The simplified graph of the requested derivative. Unless it is ``final``, it may be differentiated again.

    The trace is simplified as it is made again for the adjoint, not before: a value that a law does without, such as
    ``y_hat`` in the loss, is found there under the user's name when the adjoint wants it.
    """
    level = request.stabilize
    dump = _Dump(request.name) if config.dump.value else None
    derivative = differentiate(
        trace, request.derivative, request.wrt, primals=request.primals, rewrite=builder_rewrite(level)
    )
    if dump is not None:
        dump("trace", trace)
        dump(request.derivative, derivative)
    released = release(derivative) if final else derivative
    return simplify(released, stabilize=level, check=config.verify.value, after=dump)


class _Dump:
    """Writes every stage of a compilation as text into the directory of GRADC_DUMP."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.count = 0

    def __call__(self, stage: str, graph: Graph) -> None:
        folder = Path(config.dump.value)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.name}.{self.count:02d}.{stage}.gir"
        file.write_text(f"{graph}\n", encoding="utf-8")
        self.count += 1
