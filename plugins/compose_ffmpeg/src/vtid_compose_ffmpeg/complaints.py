"""What is wrong with a document, gathered until all is known."""

from __future__ import annotations

from vtid.sdk import InvalidInput, Problem


class Complaints:
    """Problems, and warnings of what was done otherwise than asked."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def add(self, place: str, message: str, code: str = "invalid") -> None:
        """Something that must be mended."""
        self.problems.append(Problem(place, message, code))

    def warn(self, place: str, message: str) -> None:
        """Something that a person should know."""
        self.warnings.append(f"{place}: {message}")

    def raise_any(self) -> None:
        """Raises `InvalidInput` with all problems, if there are any."""
        if self.problems:
            raise InvalidInput(str(self.problems[0]), problems=self.problems)
