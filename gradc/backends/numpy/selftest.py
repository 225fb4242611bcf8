"""The self-test of a generated module: a call with inputs that a formula makes, against results that were recorded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradc.backends.numpy.boundary import key_text, literal_text, quoted
from gradc.backends.numpy.documentation import result_labels
from gradc.backends.numpy.expressions import dtype_text, number_text
from gradc.backends.numpy.layout import wrapped
from gradc.backends.recording import Fill, Recording
from gradc.errors import CompileError
from gradc.ir.aval import dim_value
from gradc.ir.graph import Graph
from gradc.ir.signature import KEYS_BY_NAME, Argument, Branch, Leaf, Signature, Static, Tree, leaves


def selftest(graph: Graph, signature: Signature, name: str, recording: Recording) -> list[str]:
    """The statements of ``_selftest``. Raises CompileError where the kernel fails on all inputs that were tried."""
    if recording.status:
        raise CompileError(f"{name} fails on every input that a self-test knows to make; save it without one")
    samples = _Samples(graph, recording)
    if signature.updates:
        raise CompileError(f"{name} writes into its arguments, which a self-test does not follow; save it without one")
    call = f"{name}({', '.join(part for a in signature.arguments for part in samples.argument(a))})"
    labels = result_labels(graph, signature)
    expected = {e.position: e for e in recording.results}
    lines = ["from types import SimpleNamespace", ""] if samples.has_fields else []
    lines += [*wrapped(f"result = {call}"), "recorded = ["]
    for index, steps in leaves(signature.output):
        e = expected[index]
        reached = "result" + "".join(f".{k}" if kind in KEYS_BY_NAME else f"[{key_text(k)}]" for kind, k in steps)
        values = ", ".join(number_text(value) or "np.nan" for value in e.values)
        row = f"({quoted(labels[index])}, {reached}, {e.stride}, [{values}], {e.tolerance:.1e}),"
        lines += [f"    {line}" for line in wrapped(row)]
    return [
        *lines,
        "]",
        "for label, value, stride, expected, tolerance in recorded:",
        "    found = np.asarray(value).reshape(-1)[::stride]",
        "    if not np.allclose(found, expected, rtol=0.0, atol=tolerance, equal_nan=True):",
        '        raise SystemExit(f"{label} is {found.tolist()} and {expected} was recorded")',
        f'print("{name}: {len(recording.results)} results are as recorded")',
    ]


class _Samples:
    """Writes the arguments of the recorded call."""

    def __init__(self, graph: Graph, recording: Recording) -> None:
        self._avals = graph.input_avals
        self._recording = recording
        self._count = 0
        self.has_fields = False

    def argument(self, argument: Argument) -> list[str]:
        """The argument as it stands in a call; the elements of ``*args`` and ``**kwargs`` one by one."""
        tree = argument.tree
        if argument.kind == "variadic positional" and isinstance(tree, Branch):
            return [self._text(child) for child in tree.children]
        if argument.kind == "variadic keyword" and isinstance(tree, Branch):
            return [f"{key}={self._text(child)}" for key, child in zip(tree.keys, tree.children, strict=True)]
        text = self._text(tree)
        return [f"{argument.name}={text}" if argument.kind == "keyword-only" else text]

    def _text(self, tree: Tree) -> str:
        if isinstance(tree, Leaf):
            return self._sample(tree.index)
        if isinstance(tree, Static):
            if tree.named:
                raise CompileError(f"{tree.text} is compiled in, which a self-test cannot pass; save without one")
            return literal_text(tree.text)
        children = [self._text(child) for child in tree.children]
        if tree.kind in KEYS_BY_NAME:
            self.has_fields = True
            fields = ", ".join(f"{key}={child}" for key, child in zip(tree.keys, children, strict=True))
            return f"SimpleNamespace({fields})"
        if tree.kind == "dict":
            return "{" + ", ".join(f"{key_text(k)}: {c}" for k, c in zip(tree.keys, children, strict=True)) + "}"
        inside = ", ".join(children)
        return f"[{inside}]" if tree.kind == "list" else f"({inside}{',' if len(children) == 1 else ''})"

    def _sample(self, index: int) -> str:
        aval = self._avals[index]
        shape = tuple(dim_value(dim, self._recording.sizes) for dim in aval.shape)
        number, self._count = self._count, self._count + 1
        return (
            f"_sample({number}, {shape}, {dtype_text(aval.dtype)}{_options(aval.dtype, shape, self._recording.fill)})"
        )


def _options(dtype: np.dtype, shape: Sequence[int], fill: Fill) -> str:
    if dtype.kind != "f":
        return "" if fill.ones else ", ones=False"
    order = fill.order(shape)
    return f", diagonal={order}" if order else ""
