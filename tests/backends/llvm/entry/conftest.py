"""What the tests of entries share: whether a call went through Python."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from gradc.backends.llvm.entry.abi import abi
from gradc.function import Function
from gradc.kernel import Kernel

CODES = {Function.__call__.__code__, Kernel.__call__.__code__}


class Watch:
    """Calls things, and says whether that ran Python's part of the call."""

    def passes(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[Any, int]:
        """The result, and how often ``__call__`` ran."""
        count = 0

        def profile(frame: Any, event: str, argument: object) -> None:
            nonlocal count
            count += event == "call" and frame.f_code in CODES

        sys.setprofile(profile)
        try:
            result = action(*args, **kwargs)
        finally:
            sys.setprofile(None)
        return result, count

    def native(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The result of a call that must not run Python."""
        result, count = self.passes(action, *args, **kwargs)
        assert count == 0, "the call went through Python"
        return result

    def python(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The result of a call that must run Python."""
        result, count = self.passes(action, *args, **kwargs)
        assert count > 0, "the call did not go through Python"
        return result

    def warm(self, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call as often as it takes to get an entry, then once natively."""
        for _ in range(2):
            action(*args, **kwargs)
        return self.native(action, *args, **kwargs)


@pytest.fixture
def watch() -> Watch:
    if abi() is None:
        pytest.skip("entries are for interpreters whose objects are known")
    return Watch()
