"""What follows from what is seen: state and evidence → next state. Pure, and the only place where it is decided.

    queued ──► attempting ──► accepted                      Volt said so
      ▲ │           │
      │ │           ├───────► queued, rejected              only with a proof of no effect
      │ ▼           ▼
      held       unknown ──► accepted                       exactly one text was found
                    │
                    └──────► needs_person ──► queued        a person says so
                                          └─► cancelled

The database keeps the same table (`volt_ops.outbox_transitions`) and refuses everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from volt_pipeline.sending.intents import State


class Evidence(StrEnum):
    """What was seen of an intent."""

    HELD = "held"  # something forbids it for now
    DUE = "due"  # what held it is over
    FORBIDDEN = "forbidden"  # something forbids it for good
    PERMITTED = "permitted"  # every check allows it, and a sender has claimed it
    SEEN_AFTER_PROOF = "seen after proof"  # a text like it came, although the last attempt proved to have no effect

    ACCEPTED = "accepted"  # Volt answered with the id of a message or wave
    NO_EFFECT = "no effect"  # proven: nothing was sent, HTTP 429, errors without data that may pass
    REFUSED = "refused"  # proven, and another try would be refused too
    DOUBT = "doubt"  # it may have been carried out: timeout, reset, 5xx, cut body, null data
    SENDER_GONE = "sender gone"  # whoever attempted it did not report back

    FOUND = "found"  # exactly one text in the conversation can be it
    NOT_FOUND = "not found"  # none, or several, and it is looked for again
    GIVEN_UP = "given up"  # none, or several, at the last look

    PERSON_RETRIES = "person retries"
    PERSON_ABANDONS = "person abandons"
    CANCELLED = "cancelled"


NEXT: Mapping[tuple[State, Evidence], State] = {
    ("queued", Evidence.HELD): "held",
    ("queued", Evidence.FORBIDDEN): "rejected",
    ("queued", Evidence.PERMITTED): "attempting",
    ("queued", Evidence.SEEN_AFTER_PROOF): "needs_person",
    ("queued", Evidence.CANCELLED): "cancelled",
    ("held", Evidence.DUE): "queued",
    ("held", Evidence.FORBIDDEN): "rejected",
    ("held", Evidence.CANCELLED): "cancelled",
    ("attempting", Evidence.ACCEPTED): "accepted",
    ("attempting", Evidence.NO_EFFECT): "queued",
    ("attempting", Evidence.REFUSED): "rejected",
    ("attempting", Evidence.DOUBT): "unknown",
    ("attempting", Evidence.SENDER_GONE): "unknown",
    ("unknown", Evidence.ACCEPTED): "accepted",  # the answer came after the sender was given up
    ("unknown", Evidence.FOUND): "accepted",
    ("unknown", Evidence.NOT_FOUND): "unknown",
    ("unknown", Evidence.GIVEN_UP): "needs_person",
    ("needs_person", Evidence.PERSON_RETRIES): "queued",
    ("needs_person", Evidence.PERSON_ABANDONS): "cancelled",
}
# What needs more than a sender's word: the database asks for it too.
NEEDS: Mapping[tuple[State, State], str] = {
    ("attempting", "queued"): "proof",
    ("attempting", "rejected"): "proof",
    ("needs_person", "queued"): "person",
    ("needs_person", "cancelled"): "person",
}


def follows(state: State, evidence: Evidence) -> State:
    """The next state; the same one where the evidence has no bearing on it (it came too late, say)."""
    return NEXT.get((state, evidence), state)
