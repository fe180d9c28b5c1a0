"""What an attempt came to, read from Volt's reply or error."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import AuthError, ContractError, NotFound, Proof, RateLimited, ServerError, VoltError
from volt_pipeline.sending.intents import Intent
from volt_pipeline.sending.transitions import Evidence

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=1), timedelta(hours=1)
MOST_REFUSALS = 5  # of an error in words that are not known here: it may pass, but not for ever


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reason` may be shown. `stop` says why nothing else should be attempted now; "" where others may fare better."""

    evidence: Evidence
    reason: str = ""
    object_id: str | None = None  # of the message or wave
    proof: Proof | None = None
    due_at: datetime | None = None
    stop: str = ""


def of_reply(intent: Intent, reply: Reply) -> Outcome:
    """An answer with an id is Volt's word; an answer with none says nothing."""
    found = identity(reply.value)
    if found:
        return Outcome(Evidence.ACCEPTED, object_id=found)
    what = "message" if intent.kind == "message" else "wave"
    return Outcome(Evidence.DOUBT, f"Volt's answer names no {what}")


def of_error(intent: Intent, error: VoltError, now: datetime) -> Outcome:
    """A proof of no effect sends the intent back, or ends it; everything else is a doubt."""
    said = getattr(error, "because", None) or error
    if error.proof is None:
        # A token that is refused without a proof would put every other intent in doubt too.
        stop = str(said) if isinstance(said, AuthError) or error.whole else ""
        return Outcome(Evidence.DOUBT, f"no clear answer: {error.message}", stop=stop)
    if error.proof == "refused":
        if isinstance(said, AuthError) or (isinstance(said, ContractError) and said.whole):
            return _again(intent, error, now, stop=str(said))  # not for the intent's sake: all others fare alike
        if isinstance(said, NotFound | ContractError):
            return Outcome(Evidence.REFUSED, f"refused by Volt: {said.message}", proof=error.proof)
        if isinstance(said, ServerError) and intent.tries >= MOST_REFUSALS:
            reason = f"refused by Volt {intent.tries} times: {said.message}"
            return Outcome(Evidence.REFUSED, reason, proof=error.proof)
        return _again(intent, error, now)
    # Nothing left, or Volt is being asked too much: the same would befall the next one.
    return _again(intent, error, now, stop=str(said) if isinstance(said, RateLimited) or error.whole else "")


def _again(intent: Intent, error: VoltError, now: datetime, stop: str = "") -> Outcome:
    wait = max(backoff(intent.tries), timedelta(seconds=error.retry_after or 0))
    words = f"not sent, to be tried again: {error.message}"
    return Outcome(Evidence.NO_EFFECT, words, proof=error.proof, due_at=now + wait, stop=stop)


def backoff(tries: int) -> timedelta:
    """How long to wait after so many tries: 1, 2, 4, … minutes, an hour at most."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(max(tries - 1, 0), 16)))


def identity(value: Any) -> str | None:
    """The id of an object that Volt showed, None where it shows none."""
    found = value.get("id") if isinstance(value, dict) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) and str(found) else None
