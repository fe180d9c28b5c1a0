"""The journal that makes a world outlive its process.

Seed, sizes and starting time stand in the first line; after it one short line per movement or mutation, in order.
Replaying them rebuilds the very same world, so nothing else has to be stored. One process writes to a journal at a
time; a line that appears from elsewhere is noticed and refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

Entry = list[Any]


class Journal:
    def __init__(self, path: Path) -> None:
        self.path = path
        self._size = path.stat().st_size if path.exists() else 0

    def header(self) -> dict[str, Any] | None:
        """The first line, or None where nothing has been written (completely) yet."""
        self._drop_a_torn_line()
        if not self._size:
            return None
        with self.path.open("rb") as lines:
            header = self._parse(1, lines.readline())
        if not isinstance(header, dict):
            raise ValueError(f"{self.path} is not a journal of the sandbox: its first line is no header")
        return header

    def entries(self) -> Iterator[Entry]:
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if number > 1:
                    yield self._parse(number, line)

    def append(self, line: dict[str, Any] | Entry, *, durable: bool) -> None:
        """Add a line; `durable` waits for the disk, so that what has been answered is never forgotten."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as out:
            if out.tell() != self._size:
                raise ValueError(f"{self.path} is being written by another sandbox")
            self._size += out.write(orjson.dumps(line) + b"\n")
            out.flush()
            if durable:
                os.fsync(out.fileno())

    def _drop_a_torn_line(self) -> None:
        """A crash can leave half a line at the end: its mutation was never answered."""
        if not self._size:
            return
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole != len(content):
            os.truncate(self.path, whole)
            self._size = whole

    def _parse(self, number: int, line: bytes) -> Any:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            raise ValueError(f"{self.path}, line {number}: not a line of the sandbox's journal") from None
