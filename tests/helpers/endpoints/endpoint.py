"""What an endpoint needs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Endpoint:
    """What an endpoint of AquaMind's API needs for a sensible answer.

    Attributes:
        path: Below `/api/v1/`.
        needs: The condition, in words.
        question: A query of one row and one column: whether the condition holds. `%(today)s` is the farm's last day.
    """

    path: str
    needs: str
    question: str

    @property
    def line(self) -> str:
        return f"| `{self.path}` | {self.needs} |"
