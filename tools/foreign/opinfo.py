"""Run the NumPy references of PyTorch's operators, on PyTorch's own sample inputs, through gradc.

python tools/foreign/opinfo.py [--backend llvm] [--samples 8] [--only NAME ...] [--output results.json]

PyTorch describes its operators in ``torch.testing._internal`` (which needs the package expecttest): sample inputs, and
for many a reference in NumPy; where there is none NumPy's function of the same name is taken. A sample is in scope
where the reference runs in plain NumPy on float64 and agrees with PyTorch. There gradc has to give the reference's
values and, where PyTorch differentiates the operator, the vector-Jacobian products of ``torch.autograd``.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import gradc
from gradc.errors import GradcError
from gradc.frontend import reach

VALUES, SLOPES = 1e-10, 1e-8
"""The relative agreement of values with NumPy's and of derivatives with PyTorch's, in units of the largest element."""

Outcome = tuple[str, str]
"""``ok``, ``wrong``, ``refused``, ``failed`` or ``outside``, and what there is to say."""


def reference(op: Any) -> Callable[..., Any] | None:
    """The operator in NumPy: PyTorch's reference, else the function of the same name."""
    found = getattr(op, "ref", None)
    if callable(found) and "torch" not in (getattr(found, "__module__", "") or "").split(".")[:1]:
        return found
    if callable(found) and getattr(found, "__name__", "") not in ("_NOTHING", "_NOT_GIVEN"):
        return found
    place: Any = np
    for part in op.name.split("."):
        place = getattr(place, part, None)
    if isinstance(place, type):
        return lambda *args: place(*args)  # a class is called by its name in a program
    return place if callable(place) else None


def plain(value: Any) -> Any:
    """A tensor, or a container of them, in NumPy."""
    if isinstance(value, torch.Tensor):
        return value.detach().numpy(force=True)
    if isinstance(value, torch.dtype):
        return np.dtype(str(value).removeprefix("torch."))
    if isinstance(value, list | tuple):
        return type(value)([plain(member) for member in value])
    return value


def flat(value: Any) -> list[Any]:
    """The arrays of a result."""
    if isinstance(value, list | tuple):
        return [leaf for member in value for leaf in flat(member)]
    return [value]


class Holes:
    """The arguments of a sample, with the floating-point arrays taken out as what is differentiated."""

    def __init__(self, sample: Any) -> None:
        self.tensors: list[torch.Tensor] = []
        self._args = self._taken((sample.input, *sample.args))
        self._kwargs = {name: self._taken(value) for name, value in sample.kwargs.items()}

    def _taken(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
            self.tensors.append(value.detach().clone())
            return _Hole(len(self.tensors) - 1)
        if isinstance(value, list | tuple) and type(value) in (list, tuple):
            return type(value)([self._taken(member) for member in value])
        return value

    def call(self, function: Callable[..., Any], arrays: Any, convert: Callable[[Any], Any] = lambda x: x) -> Any:
        def filled(value: Any) -> Any:
            if isinstance(value, _Hole):
                return arrays[value.position]
            if isinstance(value, list | tuple) and type(value) in (list, tuple):
                return type(value)([filled(member) for member in value])
            return convert(value)

        args = [filled(value) for value in self._args]
        return function(*args, **{name: filled(value) for name, value in self._kwargs.items()})


class _Hole:
    def __init__(self, position: int) -> None:
        self.position = position


def agree(found: Any, expected: Any, tolerance: float, *, dtypes: bool = True) -> str:
    """Empty where two results agree, else how they differ."""
    found, expected = flat(found), flat(expected)
    if len(found) != len(expected):
        return f"{len(found)} results for {len(expected)}"
    for a, b in zip(found, expected, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            return f"shape {a.shape} for {b.shape}"
        if dtypes and a.dtype != b.dtype:
            return f"dtype {a.dtype} for {b.dtype}"
        if a.dtype.kind in "biu" or b.dtype.kind in "biu":
            if not np.array_equal(a, b):
                return "other integers"
            continue
        finite = np.isfinite(b)
        scale = max(1.0, float(np.max(np.abs(b[finite]), initial=0)))
        if not np.array_equal(finite, np.isfinite(a)) or not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return "other non-finite elements"
        error = float(np.max(np.abs(a[finite] - b[finite]), initial=0)) / scale
        if error > tolerance:
            return f"off by {error:.1e}"
    return ""


def run(op: Any, sample: Any, backend: Any) -> Outcome:
    """One sample of one operator."""
    function = reference(op)
    if function is None:
        return "outside", "no reference"
    holes = Holes(sample)
    tensors = [tensor.requires_grad_(op.supports_autograd) for tensor in holes.tensors]
    try:
        truth = holes.call(op.op, tensors)
        arrays = [tensor.detach().numpy() for tensor in tensors]
        expected = holes.call(function, [array.copy() for array in arrays], plain)
    except Exception as error:  # noqa: BLE001, whatever PyTorch's or SciPy's code raises
        return "outside", f"the reference fails: {type(error).__name__}"
    if any(not isinstance(x, torch.Tensor) or x.is_sparse for x in flat(truth)):
        return "outside", "no dense tensors"
    if agree(expected, [plain(x) for x in flat(truth)], 1e-7, dtypes=False):
        return "outside", "the reference differs from PyTorch"
    if not arrays:
        return "outside", "no floating-point argument"

    def numpy_function(*values: Any) -> Any:
        return holes.call(function, values, plain)

    try:
        difference = agree(gradc.jit(numpy_function, backend=backend)(*arrays), expected, VALUES)
        if difference:
            return "wrong", f"value {difference}"
        results = flat(truth)
        if not all(x.dtype == torch.float64 and x.requires_grad for x in results):
            return "ok", "value"
        cts = [torch.from_numpy(np.random.default_rng(0).normal(size=tuple(x.shape))) for x in results]
        slopes = torch.autograd.grad(results, tensors, cts, allow_unused=True)
        wanted = [torch.zeros_like(t) if s is None else s for t, s in zip(tensors, slopes, strict=True)]
        out, pullback = gradc.vjp(numpy_function, *arrays, backend=backend)
        seeds = [c.numpy() for c in cts]
        ct = getattr(type(out), "_make", type(out))(seeds) if isinstance(out, list | tuple) else seeds[0]
        difference = agree(list(pullback(ct)), [plain(x) for x in wanted], SLOPES)
        return ("wrong", f"slope {difference}") if difference else ("ok", "value and slope")
    except GradcError as error:
        if "expected np.ndarray (got Tracer)" in str(error):
            return "outside", "the reference calls PyTorch"
        return "refused", f"{type(error).__name__}: {str(error).partition(';')[0][:150]}"
    except Exception as error:  # noqa: BLE001, it is what is looked for
        return "failed", f"{type(error).__name__}: {str(error)[:150]}"


def samples(op: Any, count: int) -> Iterator[Any]:
    """At most so many of an operator's samples, spread over all of them."""
    found = list(op.sample_inputs("cpu", torch.float64, requires_grad=False))
    step = max(1, len(found) // count) if count else 1
    yield from found[::step][: count or None]


def told(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--backend", default="llvm", choices=("llvm", "numpy", "reference"))
    parser.add_argument("--samples", type=int, default=8, help="for each operator; 0: all")
    parser.add_argument("--only", nargs="*", default=(), help="names of operators")
    parser.add_argument("--output", type=Path, help="a JSON file for all outcomes")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    reach._TOOLS |= {"torch"}  # every trace would walk through all of it, and no reference computes with it
    outcomes: dict[str, list[Outcome]] = {}
    for op in op_db:
        if options.only and op.name not in options.only:
            continue
        if torch.float64 not in op.supported_dtypes("cpu"):
            continue
        torch.manual_seed(0)
        label = f"{op.name}.{op.variant_test_name}".rstrip(".")
        outcomes[label] = [run(op, sample, options.backend) for sample in samples(op, options.samples)]
        for (kind, text), number in Counter(outcomes[label]).items():
            if kind in ("wrong", "refused", "failed"):
                told(f"{label}: {number} {kind}: {text}")
    total = Counter(kind for found in outcomes.values() for kind, _ in found)
    told(str(dict(total)))
    if options.output:
        options.output.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
