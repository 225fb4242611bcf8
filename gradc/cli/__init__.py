"""The command line ``gradc``: compile, show, explain and check a function of a file."""

from __future__ import annotations


def main() -> None:
    """Run the command line; exit code 0, 1 when a check fails, 2 when the request or the file is at fault."""
    from gradc.cli.commands import gradc

    gradc()
