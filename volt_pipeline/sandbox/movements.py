"""How the world moves on its own: people write, stores answer, carriers report, somebody reads the inbox.

Each movement draws from a generator of its own, seeded by the world's seed and the movement's number, so a journal
need hold no more of it than that it happened and when.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from random import Random

from . import vocabulary as words
from .delivery import accept, conclude, fill, hear, recipients, send_wave
from .entities import Contact, CustomField, Message
from .ledger import Ledger

SHARING_A_TIME = 3


def tick(ledger: Ledger, rng: Random, now: datetime) -> None:
    """One short moment: some texts settle, due waves go out, perhaps somebody writes, reads or is edited."""
    _settle_some(ledger, rng, now)
    _send_what_is_due(ledger, rng, now)
    if rng.random() < 0.45:
        _somebody_writes(ledger, rng, now)
    if rng.random() < 0.35:
        _the_store_writes(ledger, rng, now)
    if rng.random() < 0.3:
        _somebody_reads(ledger, rng)
    if rng.random() < 0.06:
        _somebody_is_edited(ledger, rng, now)


def move(ledger: Ledger, rng: Random, share: float, now: datetime) -> list[Message]:
    """Exactly one new message in `share` of all conversations (rounded up, at least one).

    Talks between our own stores stay as they are: one message there would be news in two conversations.
    """
    talks = [contact for contact in ledger.contacts if ledger.conversations[contact.id]]
    eligible = [contact for contact in talks if ledger.colleague(contact) is None]
    wanted = max(1, math.ceil(share * len(talks) - 1e-9))
    written = []
    for number, contact in enumerate(rng.sample(eligible, min(wanted, len(eligible)))):
        at = now + timedelta(microseconds=number // SHARING_A_TIME)
        if contact.blocked or rng.random() < 0.5:
            text = fill(rng.choice(words.OUTBOUND_TEXTS), contact)
            written.append(ledger.send(rng, contact, text, [], at))
        else:
            written.append(hear(ledger, rng, contact, rng.choice(words.INBOUND_TEXTS), at))
    return written


def settle(ledger: Ledger, rng: Random, now: datetime) -> None:
    """Every text on its way gets its last word."""
    for message in list(ledger.pending.values()):
        conclude(ledger, rng, message, now)


def _settle_some(ledger: Ledger, rng: Random, now: datetime) -> None:
    for message in list(ledger.pending.values()):
        chance = rng.random()
        if message.status == "sending" and chance < 0.6:
            accept(ledger, rng, message)
        elif message.status == "sent" and chance < 0.55:
            conclude(ledger, rng, message, now)


def _send_what_is_due(ledger: Ledger, rng: Random, now: datetime) -> None:
    for wave in list(ledger.scheduled.values()):
        if wave.scheduled_at <= now:
            del ledger.scheduled[wave.id]
            send_wave(ledger, rng, wave, [each for each in recipients(ledger, wave) if not each.blocked], now)


def _anyone(ledger: Ledger, rng: Random) -> Contact | None:
    contact = rng.choice(ledger.contacts) if ledger.contacts else None
    return None if contact is None or ledger.colleague(contact) else contact


def _somebody_writes(ledger: Ledger, rng: Random, now: datetime) -> None:
    contact = _anyone(ledger, rng)
    if contact is None:
        return
    if contact.blocked:
        if rng.random() < 0.2:  # a blocked contact's texts are not processed, except the one that ends the block
            hear(ledger, rng, contact, words.OPT_IN, now)
    elif rng.random() < 0.03:
        hear(ledger, rng, contact, rng.choice(words.OPT_OUTS), now)
    else:
        hear(ledger, rng, contact, rng.choice(words.INBOUND_TEXTS), now)


def _the_store_writes(ledger: Ledger, rng: Random, now: datetime) -> None:
    account = rng.choice(ledger.accounts)
    latest = [item for _, _, item in ledger.inboxes[account.id].entries[-10:]]
    waiting = [item.contact for item in latest if item.is_unread and item.contact is not None]
    contact = rng.choice(waiting) if waiting else _anyone(ledger, rng)
    if contact is not None and not contact.blocked and ledger.colleague(contact) is None:
        ledger.send(rng, contact, fill(rng.choice(words.OUTBOUND_TEXTS), contact), [], now)


def _somebody_reads(ledger: Ledger, rng: Random) -> None:
    inbox = ledger.inboxes[rng.choice(ledger.accounts).id]
    unread = [item for _, _, item in inbox.entries[-25:] if item.is_unread]
    if unread:
        rng.choice(unread).is_unread = False


def _somebody_is_edited(ledger: Ledger, rng: Random, now: datetime) -> None:
    contact = _anyone(ledger, rng)
    if contact is None:
        return
    if rng.random() < 0.3:
        contact.name = f"{contact.name.split(' ')[0]} {rng.choice(words.LAST_NAMES)}"
    else:
        contact.custom_fields = _with_one_more_purchase(contact, now)
    ledger.contact_changed(contact, now)


def _with_one_more_purchase(contact: Contact, now: datetime) -> list[CustomField]:
    purchases = int(float(contact.value("purchases") or 0)) + 1
    news = {"purchases": str(purchases), "last_purchase": now.date().isoformat()}
    kept = [entry for entry in contact.custom_fields if entry.key not in news]
    return [*kept, *(CustomField(key, words.FIELD_TYPES[key], value) for key, value in news.items())]
