"""Whether a person may be texted: Volt's `blocked`, what the marts know, our own ledger, and words said since.

The marts are built now and then, so the words that a person has said are read once more, raw and fresh: the same
folding and the same keywords as in dbt (macro `folded_text`, seed `consent_keywords`), which a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

# What counts where the seed cannot be read; a test keeps it equal to the seed.
KEYWORDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("STOP", "REMOVE", "OPT OUT", "OPTOUT", "UNSUBSCRIBE", "CANCEL", "QUIT", "STOPALL", "END", "REVOKE"), "opt_out"
    ),
    **dict.fromkeys(("START", "UNSTOP"), "opt_in"),
    "YES": "opt_in_if_out",
}

SUPPRESSED = "suppressed: the recipient stands in volt_ops.suppressions, or was forgotten"

_MARKS = re.compile(
    "[\u0001-\u0008\u000e-\u001f!-/:-@\\[-`{-~\u007f-\u009f\u00a1-\u00a9\u00ab-\u00b4\u00b6-\u00b9\u00bb-\u00bf\u200b-\u200f"
    "\u2010-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u206f\u2190-\u2bff\u3001-\u303f\ufe00-\ufe0f\ufeff\U0001f000-\U0001faff]"
)
_SPACES = re.compile("[\\s\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_NEVER = datetime.max.replace(tzinfo=UTC)  # a word without a time counts as the last one said


@dataclass(frozen=True, slots=True)
class Said:
    """An inbound text; `at` is None where Volt names no time."""

    body: str = field(repr=False)
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of one recipient at this moment. None: that source says nothing of them.

    `blocked` is Volt's fresh word; `readable` is false where Volt could not say it. `said` are inbound texts, in any
    order.
    """

    blocked: bool | None = None
    readable: bool = True
    can_text: bool | None = None
    consent: str | None = None
    suppressed: bool = False
    said: Sequence[Said] = ()


def folded(body: str) -> str:
    """The whole text in upper case, without punctuation, symbols and outer space: "Stop!! 🛑" is STOP."""
    return _SPACES.sub(" ", _MARKS.sub("", body)).strip(" ").upper()


def opted_out(said: Iterable[Said], keywords: Mapping[str, str] = KEYWORDS) -> bool:
    """Whether the last word on consent among these texts was one to stop; in the same instant, stop is the last."""
    out = False
    words = [(text.at or _NEVER, effect == "opt_out", effect) for text in said if (effect := _effect(text, keywords))]
    for _, stops, _effect_of in sorted(words):
        out = stops
    return out


def _effect(text: Said, keywords: Mapping[str, str]) -> str:
    effect = keywords.get(folded(text.body), "none")
    return "" if effect == "none" else effect


def objection(standing: Standing, keywords: Mapping[str, str] = KEYWORDS) -> str:
    """Why this person must not be texted; "" when they may be."""
    if standing.suppressed:
        return SUPPRESSED
    if standing.blocked:
        return "suppressed: the contact is blocked in Volt"
    if standing.consent == "opt_out":
        return "suppressed: the contact has opted out"
    if standing.can_text is False:
        return "suppressed: volt_marts.contacts says that the contact cannot be texted"
    if opted_out(standing.said, keywords):
        return "suppressed: the contact has asked to stop since the marts were built"
    return ""
