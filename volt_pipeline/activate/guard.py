"""When a push stops and asks: it would touch too much, or the export has lost too many of its rows. Pure.

A mistake in one model (a join that drops rows, a column that changed its meaning) is seen here before it reaches
people.
"""

from __future__ import annotations

from dataclasses import dataclass

from volt_pipeline.errors import ExplainedError

FEW_WRITES = 50  # so many are never too many: a fresh, small warehouse has to begin somewhere
FEW_ROWS = 20  # so many may go missing from a small export


class PushAsks(ExplainedError):
    """The push wants a person's word (--yes-i-mean-it) before it writes that much."""


@dataclass(frozen=True)
class Guard:
    """`most_share` of the contacts known may be written, `most_shrink` of the last push's rows may be missing.

    `permitted` is a person's word: up to so many writes, whatever the shares.
    """

    most_share: float = 0.5
    most_shrink: float = 0.3
    permitted: int | None = None

    def most_writes(self, known: int) -> int:
        """How many rows one run may write."""
        return max(FEW_WRITES, int(self.most_share * known)) if self.permitted is None else self.permitted

    def check(self, export: str, *, writes: int, known: int, rows: int, last_rows: int | None) -> None:
        """Raises PushAsks where a plan goes too far. `last_rows`: how many the export had at its last push."""
        if writes > self.most_writes(known):
            raise PushAsks(self.too_many(export, writes, known))
        lost = (last_rows or 0) - rows
        if self.permitted is None and rows and lost >= FEW_ROWS and lost > self.most_shrink * (last_rows or 0):
            raise PushAsks(
                f"The export of {export} has {rows:,} rows, and had {last_rows:,} at its last push: more than "
                f"{self.most_shrink:.0%} are gone (VOLT_PUSH_MAX_SHRINK). Nothing was written. Look at "
                f"volt_exports.export_{export}; if it is right, push with --yes-i-mean-it {max(writes, 1)}."
            )

    def too_many(self, export: str, writes: int, known: int) -> str:
        """What the push says when it would write too much."""
        if self.permitted is not None:
            return (
                f"The push of {export} would write {writes:,} rows, and --yes-i-mean-it permits {self.permitted:,}. "
                "Look at `volt-pipeline push --dry-run`, and permit that many if it is right."
            )
        return (
            f"The push of {export} would write {writes:,} rows, more than {self.most_share:.0%} of the {known:,} that "
            "Volt is known to hold (VOLT_PUSH_MAX_SHARE). Look at `volt-pipeline push --dry-run`; if it is right, "
            f"push with --yes-i-mean-it {writes}."
        )
