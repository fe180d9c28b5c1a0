"""The named statements of the `.sql` files beside this module: SQL lives in SQL, not in strings between Python."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def _all() -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted(Path(__file__).parent.glob("*.sql")):
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        found |= dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))
    return found


def query(name: str) -> str:
    """The statement called `name`; KeyError when there is none."""
    return _all()[name]
