"""What NumPy lacks: functions whose values, here and in saved modules, are those of helpers in ``gradc.templates``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import numpy as np


def helper_text(name: str) -> str:
    """The source of a helper."""
    text: str = _file(name).read_text(encoding="utf-8")
    return text


def _file(name: str) -> Any:
    return resources.files("gradc.templates") / "numpy" / "helpers" / f"{name}.py.j2"


@cache
def helper(name: str) -> Callable[..., Any]:
    """The function that saved modules carry as ``name``."""
    text = helper_text(name)
    called = set(re.findall(r"\b_[a-z]\w*(?=\()", text)) - {name}
    namespace: dict[str, Any] = {"np": np, **{other: helper(other) for other in sorted(called)}}
    exec(compile(text, str(_file(name)), "exec"), namespace)  # noqa: S102 - a file of ours
    found: Callable[..., Any] = namespace[name]
    return found


def evaluated(name: str) -> Callable[..., Any]:
    """The op's meaning, by the function that saved modules carry as ``name``."""

    def evaluate(*operands: Any, **params: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.asarray(helper(name)(*[np.asarray(x) for x in operands], **params))

    return evaluate
