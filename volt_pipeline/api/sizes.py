"""How many items a document may hold, learned for each operation from what Volt refuses as too complex.

A refused size is halved at once, or goes back to the last one that worked if that is larger. After a number of full
documents one more item is tried. No size is tried again that was refused twice, and a refusal of fewer items counts for
more items too; so the trials end, at one item below where Volt refuses.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PROVEN = 20  # full documents that work, before one more item is tried


@dataclass(slots=True)
class Size:
    """The items that one operation's documents may hold: `now`, and never more than `most`."""

    most: int
    now: int
    works: int = 0  # the largest that is known to work
    proven: int = 0  # full documents that worked since the size last changed
    refused: tuple[int, ...] = ()  # the two smallest refused, a size that was refused twice counting twice

    def fits(self, asked: int) -> None:
        """A document of so many items was answered."""
        self.works = max(self.works, asked)
        if asked != self.now or self.now >= self.most:
            return
        self.proven += 1
        if self.proven >= PROVEN:
            self.now, self.proven = self.now + 1, 0

    def too_many(self, asked: int) -> None:
        """A document of so many items was refused."""
        if self.works >= asked:
            self.works = 0  # items differ: what worked for others did not for these
        self.refused = tuple(sorted((*self.refused, asked))[:2])
        if len(self.refused) == 2:
            self.most = min(self.most, max(1, self.refused[1] - 1))
        self.now = min(self.now, self.most, max(self.works, (asked + 1) // 2))
        self.proven = 0


@dataclass(slots=True)
class Learned:
    """What a client learned about operations, for its life."""

    batch: int  # the most items in a document
    sizes: dict[str, Size] = field(default_factory=dict)
    works: set[str] = field(default_factory=set)  # operations that have given a value, so the token may use them

    def size(self, operation: str) -> int:
        known = self.sizes.get(operation)
        return known.now if known else self.batch

    def fits(self, operation: str, asked: int) -> None:
        if operation in self.sizes:  # one that was never refused is as large as may be
            self.sizes[operation].fits(asked)

    def too_many(self, operation: str, asked: int) -> None:
        self.sizes.setdefault(operation, Size(self.batch, self.batch)).too_many(asked)
