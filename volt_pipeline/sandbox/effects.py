"""What mutations really did, one line each, whatever became of the answer: tests compare it with what was believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, frozen=True)
class Effect:
    """One mutation that was carried out: its name, its arguments in snake_case (`from` is `from_`), what it made."""

    mutation: str
    arguments: dict[str, Any] = field(repr=False)
    id: str
