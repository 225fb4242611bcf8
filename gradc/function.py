"""Function: a NumPy function, or a derivative of one, that compiles when it is called."""

from __future__ import annotations

import functools
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from gradc import config
from gradc.backends.llvm.entry.callee import Callee
from gradc.compiler import compile_trace
from gradc.derived import derive
from gradc.errors import ArgumentError, DerivativeError, TraceError
from gradc.frontend.binding import Binder, has_values_for_defaults, signature_of, with_seed
from gradc.frontend.donation import donated_pairs
from gradc.frontend.layout import (
    Call,
    call_key,
    check_leaves,
    describe_call,
    describe_tree,
    origin_of,
    slots_of,
    unhashable,
)
from gradc.frontend.session import is_traced
from gradc.frontend.targets import (
    checked_tangent,
    differentiable,
    leaves_of,
    matched_tangents,
    parameters_of,
    result_tree,
    select_parameters,
    without_leaves,
)
from gradc.frontend.tracing import Trace, current_trace, inline, is_static, trace
from gradc.frontend.tree import TreeDef, tuple_of
from gradc.ir.collector import without_collector
from gradc.ir.graph import Graph
from gradc.ir.signature import Leaf, Signature, Static
from gradc.kernel import NOT_GIVEN, Kernel
from gradc.request import Backend, Request, Stabilize, chosen_name
from gradc.transforms.derivative import DERIVATIVES, Derivative
from gradc.transforms.specialize import specialized

Wrt = str | int | Sequence[str | int] | None

_KEPT_SIGNATURES: Final = 256
_GUARD_WARNING: Final = 8
_SUMMARIES: Final[dict[Derivative, str]] = {
    "value": "value",
    "grad": "gradient",
    "value_and_grad": "value and gradient",
    "vjp": "vector-Jacobian product",
    "jvp": "value and Jacobian-vector product",
    "jacobian": "Jacobian",
    "hessian": "Hessian",
    "sparse_jacobian": "Jacobian in compressed columns",
    "sparse_hessian": "Hessian in compressed columns",
}
_SEEDS: Final[dict[str, tuple[str, str]]] = {"vjp": ("ct", "cotangent"), "jvp": ("tangents", "directions")}
"""The parameter for cotangents or tangents, and what it is called where the function has one of that name."""


_NO_TANGENT: Final = "give None for its tangent"


class Function(Callee, native=True):
    """A NumPy function, or a derivative of one, that compiles on the first call for each signature.

    A signature is the nesting of the arguments, dtype and shape of the arrays, and the values of bools, strings and
    other things that are not data. Inside another trace it becomes part of that graph.

    Each call takes ``out=``: arrays for the results, nested as the result is, with None for new ones. Where there is
    an array for each result, ``out`` itself is returned. A function that has a parameter named ``out`` takes
    ``results=`` instead.

    With ``derivative="vjp"`` it takes a cotangent as ``ct=`` and with ``derivative="jvp"`` tangents as ``tangents=``:
    a tuple with one for each of ``wrt``, which is every argument by default. ``seed`` is what this parameter is called,
    ``out`` that for the results.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        derivative: Derivative = "value",
        wrt: Wrt = None,
        has_aux: bool = False,
        backend: Backend | None = None,
        stabilize: Stabilize | None = None,
        threads: int | None = None,
        donate: Wrt = None,
        name: str | None = None,
    ) -> None:
        if not callable(function):
            raise ArgumentError(f"{type(function).__name__} is not a function; give one of arrays")
        if derivative not in DERIVATIVES:
            raise ArgumentError(f"derivative={derivative!r} is not one of {', '.join(map(repr, DERIVATIVES))}")
        functools.update_wrapper(self, function, updated=())
        own = signature_of(function)
        self._function = function
        self._label = getattr(function, "__name__", type(function).__name__)
        self._wrt = wrt
        self._donate = donate
        self._has_aux = has_aux
        self.seed = next((name for name in _SEEDS.get(derivative, ()) if name not in own.parameters), "")
        self.out = "results" if "out" in own.parameters else "out"
        self.__signature__ = with_seed(own, self.seed) if self.seed else own
        self._bind = Binder(self.__signature__, self._label, defaults=has_values_for_defaults(function))
        self._derivative = derivative
        self._name = chosen_name(name, self._label, derivative)
        self._backend, self._stabilize, self._threads = backend, stabilize, threads
        self._open = [knob for own, knob in ((backend, config.backend), (stabilize, config.stabilize)) if own is None]
        self._uses_threads = False
        self._request()
        self._kernels: OrderedDict[Any, list[tuple[dict[int, Any], Kernel]]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        out = kwargs.pop(self.out, NOT_GIVEN)
        call = self._bound(args, kwargs)
        present = current_trace()
        if present is not None:
            if out is not NOT_GIVEN and out is not None:
                raise TraceError(
                    f"{self._label}: a call that is traced writes no {self.out}=; use what it returns",
                    line=present.line(),
                )
            return self._inline(self._prepared(call))
        sources, threads = [knob.source() for knob in self._open], config.threads.source()
        kernel = self._kernel(call)
        self._uses_threads = self._uses_threads or (self._threads is None and kernel.uses_threads)
        return kernel.answer(call, self, [*sources, threads] if self._uses_threads else sources, out)

    def trace(self, *args: Any, **kwargs: Any) -> Graph:
        """The graph of the function as written, for arguments or abstract values."""
        return self._trace(self._primal(self._prepared(self._bound(args, kwargs))))[0].graph

    def compile(
        self,
        *args: Any,
        backend: Backend | None = None,
        stabilize: Stabilize | None = None,
        threads: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> Kernel:
        """Compile ahead of time for arguments or abstract values (``gradc.aval("f64[2,batch]")``).

        ``backend``, ``stabilize``, ``threads`` and ``name`` override those of the function.
        """
        call = self._prepared(self._bound(args, kwargs))
        return self._compile(call, self._request(backend, stabilize, threads, name))[1]

    def __reduce__(self) -> Any:
        """By its name where it is found under that, as a decorated function is, else by the function it was made of."""
        name = getattr(self, "__qualname__", "")
        found: Any = sys.modules.get(self.__module__)
        for part in name.split("."):
            found = getattr(found, part, None)
        if found is self:
            return name
        options: dict[str, Any] = {
            "derivative": self._derivative,
            "wrt": self._wrt,
            "has_aux": self._has_aux,
            "backend": self._backend,
            "stabilize": self._stabilize,
            "threads": self._threads,
            "donate": self._donate,
            "name": self._name,
        }
        return functools.partial(Function, **options), (self._function,)

    def __repr__(self) -> str:
        return f"<gradc.Function {self._name}: {_SUMMARIES[self._derivative]} of {self._label}>"

    def _request(
        self,
        backend: Backend | None = None,
        stabilize: Stabilize | None = None,
        threads: int | None = None,
        name: str | None = None,
    ) -> Request:
        """What is compiled now: the given choices, else the function's own, else what ``gradc.config`` says."""
        own = self._settings()
        return Request(
            derivative=self._derivative,
            backend=backend or own[0],
            stabilize=stabilize or own[1],
            threads=own[2] if threads is None else threads,
            name=self._name if name is None else chosen_name(name, self._label, self._derivative),
        )

    def _bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The call, its cotangent or tangents last."""
        call = self._bind(args, kwargs)
        return call.with_last(self.seed) if self.seed else call

    def _prepared(self, call: Call) -> Call:
        """The call with the Python ints that are differentiated made floats. Raises for what has no derivative."""
        check_leaves(call)
        if self._derivative == "value":
            return call
        leaves, paths = list(call.leaves), call.paths
        if self._derivative == "jvp":
            for position, tangent in self._tangents(call):
                leaves[position] = differentiable(leaves[position], paths[position], _NO_TANGENT)
                leaves[tangent] = checked_tangent(leaves[tangent], paths[tangent], leaves[position], paths[position])
            return Call(call.signature, call.trees, tuple(leaves))
        chosen = self._derivative != "vjp" or self._wrt is not None
        for target in self._targets(call):
            positions = leaves_of(call, target)[0]
            if chosen and positions and all(is_static(leaves[k]) for k in positions):
                raise DerivativeError(
                    f"{target[0]} holds no numbers but a {type(leaves[positions[0]]).__name__}, and there is no "
                    f"derivative by it; name another argument with wrt"
                )
            for position in positions:
                leaves[position] = differentiable(leaves[position], paths[position])
        return Call(call.signature, call.trees, tuple(leaves))

    def _targets(self, call: Call) -> list[tuple[str, int | None]]:
        primal = self._primal(call)
        wrt = self._wrt
        if wrt is None and self.seed:
            wrt = tuple(range(len(parameters_of(primal))))
        return select_parameters(wrt, primal, self._label)

    def _tangents(self, call: Call) -> list[tuple[int, int]]:
        """Positions of the leaves that move, and of their tangents."""
        return matched_tangents(call, self._targets(call), single=self._is_single)

    @property
    def _is_single(self) -> bool:
        """Whether ``wrt`` is one argument, so that there is no tuple around what belongs to it."""
        return isinstance(self._wrt, (str, int)) or (self._wrt is None and not self.seed)

    def _primal(self, call: Call) -> Call:
        return call.without_last() if self.seed else call

    def _settings(self) -> tuple[Backend, Stabilize, int]:
        """Backend, level and threads: the function's own, else what ``gradc.config`` says now."""
        backend = self._backend or cast(Backend, config.backend.value)
        stabilize = self._stabilize or cast(Stabilize, config.stabilize.value)
        return backend, stabilize, config.threads_now() if self._threads is None else self._threads

    def _key(self, call: Call) -> tuple[Any, ...]:
        return (self._settings(), *call_key(call))

    def _kernel(self, call: Call) -> Kernel:
        """The kernel for a call, compiled where there is none yet."""
        key = self._key(call)
        kernel = self._known(key, call)
        if kernel is not None:
            return kernel
        prepared = self._prepared(call)
        own = self._key(prepared)
        kernel = self._known(own, prepared)
        if kernel is None:
            with without_collector():
                guards, kernel = self._compile(prepared, self._request())
            with self._lock:
                kept = self._kernels.setdefault(own, [])
                kept.append((guards, kernel))
                self._kernels.move_to_end(own)
                if len(kept) > _GUARD_WARNING:
                    self._warn_of_guards(call, kept)
        with self._lock:
            self._kernels.setdefault(key, self._kernels.get(own, []))
            while len(self._kernels) > _KEPT_SIGNATURES:
                self._kernels.popitem(last=False)
        return kernel

    def _known(self, key: tuple[Any, ...], call: Call) -> Kernel | None:
        try:
            known = self._kernels.get(key, ())
        except (TypeError, ValueError):  # a memoryview that can be written
            raise unhashable(call) from None
        for guards, kernel in known:
            if not guards or all(call.leaves[position] == value for position, value in guards.items()):
                return kernel
        return None

    def _warn_of_guards(self, call: Call, kept: list[tuple[dict[int, Any], Kernel]]) -> None:
        del kept[:1]
        names = ", ".join(sorted({call.paths[position] for guards, _ in kept for position in guards}))
        warnings.warn(
            f"{self._label} is compiled again for each value of {names}, which Python needs as a number; "
            "pass an array, or keep the value fixed",
            stacklevel=4,
        )

    def _trace(self, call: Call) -> tuple[Trace, list[int]]:
        """The trace of the function, and the positions of the leaves that are data."""
        args, kwargs = call.arguments()
        data = [k for k, leaf in enumerate(call.leaves) if not is_static(leaf)]
        writable = {k for target in self._donated(call) for k in leaves_of(call, target)[0]}
        return trace(self._function, args, kwargs, writable=writable), data

    def _donated(self, call: Call) -> list[tuple[str, int | None]]:
        """The arguments that are donated."""
        return [] if self._donate is None else select_parameters(self._donate, call, self._label, "donate")

    def _compile(self, call: Call, request: Request) -> tuple[dict[int, Any], Kernel]:
        """A kernel, and the values of the ints that it was specialised for, by leaf."""
        primal = self._primal(call)
        source, data = self._trace(primal)
        guards = {data[position]: value for position, value in source.guards.items()}
        slots = slots_of(call, guards)
        wanted = self._wrt_inputs(call, slots)
        full = replace(request, wrt=wanted, primals=self._primals(source))
        outputs = self._output_tree(call, source, slots)
        updated = [(slots[data[position]], result) for position, result in source.updates]
        updates = tuple([(slot.index, result) for slot, result in updated if isinstance(slot, Leaf)])

        def describe(results: int) -> Signature:
            leaves = iter([Leaf(k) for k in range(results)])
            return describe_call(
                call,
                slots,
                describe_tree(outputs, leaves),
                updates=updates,
                function=self._label,
                origin=origin_of(self._function),
                summary=_SUMMARIES[request.derivative],
            )

        draft = specialized(source.written.draft, source.guards)
        if self._donate is not None:
            full = replace(full, donate=donated_pairs(call, self._donated(call), slots, draft.graph, outputs, updates))
        compiled = compile_trace(draft, describe, full)
        return guards, Kernel(compiled, call, slots, outputs, source, fills_defaults=self._bind.defaults, out=self.out)

    def _inline(self, call: Call) -> Any:
        """The derivative as part of the graph that is being traced."""
        primal = self._primal(call)
        source, data = self._trace(primal)
        slots = slots_of(call, {})
        wanted = self._wrt_inputs(call, slots)
        request = replace(self._request(), wrt=wanted, primals=self._primals(source))
        graph = source.graph if request.derivative == "value" else derive(source.graph, request, final=False)
        count = len(data)
        values = [call.leaves[k] for k, slot in enumerate(slots) if isinstance(slot, Leaf)]
        results: list[Any] = inline(graph, [*values[:count], *source.captures, *values[count:]], self._label)
        for position, result in source.updates:
            leaf, path = call.leaves[data[position]], call.paths[data[position]]
            if not is_traced(leaf):
                raise TraceError(
                    f"{self._label} writes into {path}, which is an array from outside of the function that is traced; "
                    "pass a copy of it that is made inside: x = x.copy()"
                )
            leaf[...] = results[result]
            results[result] = leaf
        outputs = self._output_tree(call, source, slots)
        return outputs.unflatten(results[: outputs.num_leaves])

    def _wrt_inputs(self, call: Call, slots: Sequence[Leaf | Static]) -> tuple[int, ...]:
        """The graph's inputs under ``wrt``, each once."""
        if self._derivative == "value":
            return ()
        if self._derivative == "jvp":
            found = [slots[k] for k, _ in self._tangents(call)]
        else:
            found = [slots[k] for target in self._targets(call) for k in leaves_of(call, target)[0]]
        return tuple([slot.index for slot in found if isinstance(slot, Leaf)])

    def _primals(self, source: Trace) -> int:
        """How many of the results are differentiated: all, or those of the first of the pair that has_aux means."""
        if not self._has_aux:
            return source.out_tree.num_leaves
        if source.out_tree.kind is not tuple or len(source.out_tree.children) != 2:
            raise DerivativeError(
                f"{self._label} was said to have auxiliary results and does not return a pair; return (loss, aux)"
            )
        return source.out_tree.children[0].num_leaves

    def _output_tree(self, call: Call, source: Trace, slots: Sequence[Leaf | Static]) -> TreeDef:
        trees = []
        for target in self._targets(call) if self._derivative not in ("value", "jvp") else ():
            positions, tree = leaves_of(call, target)
            trees.append(without_leaves(tree, iter([isinstance(slots[k], Leaf) for k in positions])))
        gradients = trees[0] if self._is_single and trees else tuple_of(*trees)
        return result_tree(self._derivative, source.out_tree, gradients, has_aux=self._has_aux)
