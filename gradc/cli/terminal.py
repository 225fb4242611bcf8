"""Where text goes: results to stdout, plain and exact unless it is a terminal; what was assumed to stderr."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text


def note(message: str) -> None:
    """One line about what the command assumed or did."""
    Console(stderr=True, highlight=False).print(Text(f"gradc: {message}", style="dim"), soft_wrap=True)


def show(text: str, language: str = "text") -> None:
    """Print text as it is; in colours on a terminal."""
    console = Console()
    if not console.is_terminal:
        sys.stdout.write(text if text.endswith("\n") else text + "\n")
        return
    theme = "ansi_dark"
    coloured = Syntax(text, language, theme=theme, background_color="default").highlight(text)
    console.print(coloured, soft_wrap=True, end="" if coloured.plain.endswith("\n") else "\n")


def show_table(table: Table) -> None:
    """Print a table; without lines and colours where it goes to a file or another program."""
    console = Console()
    if not console.is_terminal:
        table.box = None
        table.pad_edge = False
        console = Console(width=200, no_color=True, highlight=False)
    console.print(table)
