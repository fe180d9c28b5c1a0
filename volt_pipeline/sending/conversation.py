"""A conversation as it stands at Volt now: what is in it before an attempt, and what has come since.

Volt does not promise the order of its pages. One page is enough where it is seen to be newest first, or is the only
one; else all are read, and where that does not end, nothing is sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import ContractError, NotFound
from volt_pipeline.sending.intents import Intent, normalised

MOST_PAGES = 40
# What tells nothing here, and may be broken: Volt may then not show the rest of the message.
_UNNEEDED = frozenset(
    f"Message.{name}"
    for name in ["account", "organization", "contact", "wave", "legacyId", "status", "statusDescription", "confirmedAt"]
)
_NO_DIGIT = re.compile(r"\D+", re.ASCII)
# A text that was sent after the snapshot is no older than what stood in it; carriers' clocks differ a little.
SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Text:
    """One message of a conversation; `at` is None where Volt names no time that can be read."""

    id: str
    to: str = field(repr=False)
    sender: str = field(repr=False)
    body: str = field(repr=False)
    media: bool
    at: datetime | None


async def read(
    volt: VoltClient, account_phone: str, contact_phone: str, known: Collection[str] | None = None
) -> list[Text]:
    """The newest texts: at least one page; with `known` ids, at least all that came after those.

    Raises VoltError; ContractError where the pages have no order that can be relied on, and no end.
    """
    found: list[Text] = []
    asked: dict[str, Any] = {"from": account_phone, "to": contact_phone}
    for _ in range(MOST_PAGES):
        try:
            value = (await volt.query("conversation", asked, without=_UNNEEDED)).value
        except NotFound:  # they have never been texted
            return found
        if not isinstance(value, dict):
            raise ContractError("conversation", "Volt shows no conversation, and does not say that there is none")
        page = [_text(each) for each in value.get("messages") or () if isinstance(each, dict)]
        found += page
        info = value.get("pageInfo") or {}
        if not info.get("hasNextPage"):
            return found
        reaches = True if known is None else any(each.id in known for each in page)
        if reaches and _newest_first(found):
            return found
        asked["before"] = info.get("nextPage")
    raise ContractError("conversation", f"the conversation shows no order, and no end within {MOST_PAGES} pages")


def _newest_first(texts: Sequence[Text]) -> bool:
    times = [each.at for each in texts if each.at is not None]
    return len(times) > 1 and times[0] > times[-1] and all(left >= right for left, right in pairwise(times))


def _text(message: Mapping[str, Any]) -> Text:
    return Text(
        id=str(message.get("id") or ""),
        to=str(message.get("toNumber") or ""),
        sender=str(message.get("fromNumber") or ""),
        body=str(message.get("body") or ""),
        media=any(message.get("media") or ()),
        at=_time(message.get("sentAt")),
    )


def _time(said: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(said or "").strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def same_phone(written: str, phone: str) -> bool:
    """Whether Volt means this phone (E.164), however it writes it, with the country code or without."""
    shown, meant = (_NO_DIGIT.sub("", each) for each in (written, phone))
    return shown == meant or (len(shown) >= 10 and meant.endswith(shown))


def top(texts: Sequence[Text]) -> datetime | None:
    """The newest time among them."""
    return max((each.at for each in texts if each.at is not None), default=None)


def likely(intent: Intent, texts: Sequence[Text]) -> list[str]:
    """The ids of the texts that may be this intent: to the same person, in the same words, not there before.

    Whether another intent has claimed one is the outbox's to know.
    """
    words, before = normalised(intent.body), intent.snapshot or frozenset()
    return [
        each.id
        for each in texts
        if each.id
        and each.id not in before
        and same_phone(each.to, intent.to_phone or "")
        and not same_phone(each.sender, intent.to_phone or "")
        and each.media == bool(intent.media)
        and normalised(each.body) == words
        and (each.at is None or intent.snapshot_top is None or each.at >= intent.snapshot_top - SKEW)
    ]
