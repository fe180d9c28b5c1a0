"""When a row that failed is tried again: at once in the next push, then ever later, and not for ever."""

from __future__ import annotations

from datetime import datetime, timedelta

from volt_pipeline.activate.rows import Failure

FIRST_WAIT = timedelta(minutes=30)
LONGEST_WAIT = timedelta(hours=24)
MOST_TRIES = 8


def waits(failure: Failure, digest: str, now: datetime) -> str:
    """Why the row is not tried now; "" when it is due. A row that the export has changed since is a new one."""
    if failure.digest != digest:
        return ""
    if failure.tries >= MOST_TRIES:
        return f"given up after {failure.tries} tries, until its row in the export changes: {failure.reason}"
    if failure.tries <= 1 or failure.outcome == "unknown":  # a fresh reading finds out
        return ""
    due = failure.at + min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failure.tries - 2))
    if now < due:
        return f"tried again from {due:%Y-%m-%d %H:%M} UTC on, after {failure.tries} failures: {failure.reason}"
    return ""
