"""The command line ``gradc``: compile, show, explain, report and check a function of a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0; 1 where a check fails; 2, with one line, where the request is at fault."""
    from gradc.cli.commands import run

    sys.exit(run(arguments))
