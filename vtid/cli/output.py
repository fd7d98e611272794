"""What a command says: words for people, JSON for scripts, always one or the other on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from vtid.errors import VtidError


class Output:
    """Where a command writes.

    Args:
        as_json: write JSON to standard output and nothing else there.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # In a pipe a table is as wide as its words, so that nothing is cut off.
        self.out = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 10_000)
        self.err = Console(stderr=True, soft_wrap=True, highlight=False)

    def json(self, value: Any) -> None:
        """One JSON document."""
        data = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
        sys.stdout.write(data.decode() + "\n")
        sys.stdout.flush()

    def json_line(self, value: Any) -> None:
        """One line of JSON, for streams."""
        sys.stdout.write(msgspec.json.encode(value, enc_hook=str).decode() + "\n")
        sys.stdout.flush()

    def say(self, text: str) -> None:
        """A line for people; with --json it goes to standard error."""
        (self.err if self.as_json else self.out).print(_visible(text), markup=False)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table for people."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_plain(cell) for cell in row))
        self.out.print(table)

    def error(self, error: VtidError) -> None:
        """What went wrong: every problem, and what to do."""
        if self.as_json:
            self.json(
                {
                    "error": {
                        "code": error.code,
                        "message": error.message,
                        "errors": error.problems,
                        "suggested_action": error.suggestion,
                    }
                }
            )
            return
        self.err.print(f"[bold red]Error:[/] {_plain(error.message)}")
        if len(error.problems) > 1:  # a single one is in the message
            for problem in error.problems:
                self.err.print(f"  • {problem}", markup=False)
        if error.suggestion:
            self.err.print(f"  {error.suggestion}", markup=False)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(_visible(text))


def _visible(text: str) -> str:
    """Text that came from outside, such as the name of a file, with what would command the terminal written out."""
    return "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)
