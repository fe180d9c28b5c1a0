"""What became of a write whose answer does not say: judged by a reading made afterwards. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.rows import Export, Outcome, Wish, Write
from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import NotFound, TransientError, VoltError

Doubt = Literal["blamed", "beside", "lost"]
"""Volt's error names this row; it names another row of the document, or none; there was no answer at all."""


def doubt_of(error: VoltError | None, *, together: bool) -> Doubt | None:
    """In what way an error leaves open whether the row was written; None where it does not.

    `together`: the error is that of a whole document of several rows.
    """
    if not (isinstance(error, TransientError) and error.ambiguous):
        return None
    if error.because is None:
        return "beside" if error.beside else "lost"
    return "beside" if together else "blamed"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reading says about a doubtful write. `undone`: it was certainly not carried out, and may be sent anew."""

    outcome: Outcome
    reason: str
    after: Mapping[str, Any] | None = None
    undone: bool = False

    @classmethod
    def of(cls, kind: Export[Wish], write: Write[Wish], error: VoltError, doubt: Doubt, reading: Reply) -> Verdict:
        if unread(reading) is not None:
            return cls("unknown", f"{error} It could not be read back.")
        now = reading.value
        wrong = [] if now is None else kind.differences(write.variables, now)
        if now is not None and not wrong:
            said = "Volt's answer was lost; read back, the row is as it was meant"
            return cls("sent", "; ".join(filter(None, (write.decision.reason, said))), now)
        if now is not None and (harm := set(wrong) - set(kind.differences(write.variables, write.before or {}))):
            return cls("failed", f"what Volt holds now differs from what was meant: {', '.join(sorted(harm))}", now)
        if doubt == "lost":
            return cls("unknown", f"{error} Read back, it had not happened yet.")
        if doubt == "blamed":
            cause = error.because if isinstance(error, TransientError) else None
            return cls("failed", str(cause or error))
        return cls("failed", str(error), undone=True)


def unread(reading: Reply) -> VoltError | None:
    """Why a reading says nothing; a contact that does not exist was read well."""
    return reading.partial if reading.error is None or isinstance(reading.error, NotFound) else reading.error


def afterwards(kind: Export[Wish], write: Write[Wish], attempt: Attempt, reading: Reply) -> Attempt:
    """The attempt, beside what a reading shows after a document with a wrong answer."""
    if attempt.outcome not in ("sent", "failed"):
        return attempt
    if unread(reading) is not None or reading.value is None:
        said = "read again, Volt does not show it"
    elif wrong := kind.differences(write.variables, reading.value):
        said = f"read again, it differs in: {', '.join(wrong)}"
        if attempt.outcome == "sent":
            tries = write.row.tries + 1
            return replace(attempt, outcome="failed", tries=tries, reason=said, after=reading.value)
    elif attempt.outcome == "sent":
        return attempt
    else:
        said = "read again, it is as it was meant"
    return replace(attempt, reason="; ".join(filter(None, (attempt.reason, said))))
