"""What a command was asked for: a function, its arguments, a derivative; said back in one line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gradc.cli.arguments import Arguments, arguments_of
from gradc.cli.failure import Failure, UserCode, one_line
from gradc.cli.source import Target, load
from gradc.cli.terminal import note
from gradc.errors import GradcError
from gradc.ir.aval import aval
from gradc.transforms.derivative import Derivative

if TYPE_CHECKING:
    from gradc.function import Function
    from gradc.kernel import Kernel


@dataclass(frozen=True)
class Request:
    """A function of a file, the arguments to compile it for, and which derivative in which of them."""

    target: Target
    arguments: Arguments
    derivative: Derivative
    wrt: tuple[str, ...]

    def compile(self, **options: Any) -> Kernel:
        """The kernel. Where it fails on scalars that were only assumed, the Failure shows the --spec to give."""
        from gradc.request import chosen_name

        chosen_name(options.get("name"), self.target.name, self.derivative)  # whatever is assumed
        call = self.arguments.bound()
        try:
            with UserCode(self.target.path):
                function = self._function()
                return function.compile(*call.args, **call.kwargs, **self._tangents(function.seed), **options)
        except (GradcError, Failure) as error:
            if not self.arguments.guessed:
                raise
            guessed = self.arguments.guessed
            message = error.format_message() if isinstance(error, Failure) else one_line(error)
            specs = " ".join(f"--spec '{name}=f64[...]'" for name in guessed)
            raise Failure(f"{message}; {', '.join(guessed)} taken for f64[]: if that is wrong, give {specs}") from error

    def _tangents(self, parameter: str) -> dict[str, Any]:
        """Tangents are like what they belong to."""
        if self.derivative != "jvp":
            return {}
        values = tuple(self.arguments.values[name] for name in self.wrt)
        return {parameter: values[0] if len(values) == 1 else values}

    def _function(self) -> Function:
        from gradc.function import Function

        wrt = self.wrt[0] if len(self.wrt) == 1 else self.wrt
        return Function(self.target.function, derivative=self.derivative, wrt=wrt or None)


def request(
    target: str,
    specs: Sequence[str],
    wrt: str | None,
    derivative: Derivative,
    *,
    every: bool = False,
    dtype: str | None = None,
) -> Request:
    """Load, decide, and say on stderr what was assumed.

    With a ``dtype`` every floating-point argument is taken in that precision.
    Without --wrt the derivative is with respect to the first argument, with ``every`` to all of floating point.
    """
    loaded = load(target)
    arguments = arguments_of(loaded, specs)
    if dtype is not None:
        arguments = arguments.in_dtype(aval(f"{dtype}[]").dtype)
    note(f"{loaded.name} of {arguments.described() or 'no arguments'}")
    if derivative == "value":
        note("value, no derivative")
        return Request(loaded, arguments, derivative, ())
    chosen = _wrt(loaded, arguments, wrt, every=every)
    default = "every argument of floating point" if every else "the first argument"
    note(f"{derivative} with respect to {', '.join(chosen)}" + ("" if wrt else f": {default}; --wrt chooses others"))
    return Request(loaded, arguments, derivative, chosen)


def _wrt(target: Target, arguments: Arguments, wrt: str | None, *, every: bool) -> tuple[str, ...]:
    names = list(target.signature.parameters)
    if wrt is not None:
        chosen = tuple(part.strip() for part in wrt.split(",") if part.strip())
        chosen = tuple(names[int(c)] if c.isdigit() and int(c) < len(names) else c for c in chosen)
        for name in chosen:
            if name not in names:
                raise Failure(f"--wrt {name}: {target.name} has no argument {name!r}, only {', '.join(names)}")
    else:
        chosen = arguments.differentiable() if every else tuple(names[:1])
    if not chosen:
        raise Failure(f"{target.name} has no argument to differentiate with respect to")
    return chosen
