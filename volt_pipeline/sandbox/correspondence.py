"""What has been written before the sandbox starts: dialogues, waves and their replies, opt-outs, and a few oddities.

The oddities are the cases in which a sync goes wrong quietly: inbox items with one and the same time across the edge
of a page, an item whose contact is gone, one message that stands in two conversations.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from . import vocabulary as words
from .delivery import accept, conclude, fill, hear, picture, recipients, send_wave
from .entities import Account, Contact, ContactList, InboxItem, Message, Wave
from .ledger import Ledger

HISTORY = timedelta(days=540)
LONGEST = 200
UNSETTLED = timedelta(minutes=45)  # texts younger than this may still be on their way
WAVE_AGES = (timedelta(days=180), timedelta(days=75), timedelta(days=20), timedelta(minutes=25))
ORGANIZATION_WAVE_AGE = timedelta(days=11)
TIE = 6


def correspond(ledger: Ledger, rng: Random, now: datetime, inbox_page: int) -> None:
    people = [contact for contact in ledger.contacts if ledger.colleague(contact) is None]
    first_of = {contact.account.id: contact for contact in reversed(people)}
    opted_out_at: dict[str, datetime] = {}
    for contact in people:
        length = min(LONGEST, 1 + int(rng.lognormvariate(2.4, 1.1)))
        if first_of[contact.account.id] is contact:
            length = LONGEST  # each store has a regular whose conversation takes several pages
        last = _converse(ledger, rng, contact, length, now)
        if rng.random() < 0.06:
            opted_out_at[contact.id] = _leave(ledger, rng, contact, last, now)
    for wave, at in _waves(ledger, now):
        _campaign(ledger, rng, wave, at, opted_out_at, now)
    if len(ledger.accounts) > 1:
        _text_a_colleague(ledger, rng, now)
    for account in ledger.accounts:
        _settle_the_inbox(ledger, rng, account, inbox_page, now)
    lost = ledger.inboxes[ledger.accounts[0].id]
    lost.put(InboxItem(ledger.next_id(), None, "Thanks, bye", False, now - timedelta(days=33, minutes=7)))
    for message in list(ledger.messages.values())[::397]:
        message.organization = None


def _converse(ledger: Ledger, rng: Random, contact: Contact, length: int, now: datetime) -> datetime:
    """Write about `length` messages in threads of the store's opening hours; returns the last one's time."""
    zone = ZoneInfo(contact.account.time_zone)
    starts = sorted(now - HISTORY * rng.random() ** 2 for _ in range(max(1, length // 3)))
    written, last = 0, now - HISTORY
    for start in starts:
        at = max(_opening_hour(rng, start, zone), last + timedelta(minutes=3))
        at = at if at < now else max(start, last + timedelta(microseconds=1))
        for number, line in enumerate(rng.choice(words.THREADS)):
            at += _pause(rng, line[0]) if number else timedelta()
            if written and (at >= now or written >= length):
                return last
            at = min(at, now)
            _write(ledger, rng, contact, line, at, now)
            written, last = written + 1, at
    return last


def _pause(rng: Random, hand: str) -> timedelta:
    chance = rng.random()
    if chance < 0.015:
        return timedelta()  # two texts in the very same microsecond: order must come from more than the time
    if hand == "A" or chance < 0.2:
        return timedelta(seconds=rng.uniform(2, 8))
    return timedelta(seconds=rng.uniform(20, 2400))


def _opening_hour(rng: Random, at: datetime, zone: ZoneInfo) -> datetime:
    local = at.astimezone(zone)
    return local.replace(hour=rng.randrange(8, 18)).astimezone(at.tzinfo)


def _write(ledger: Ledger, rng: Random, contact: Contact, line: str, at: datetime, now: datetime) -> None:
    hand, text = line[0], line[1:]
    if hand == "<":
        hear(ledger, rng, contact, text, at)
        return
    media = picture(rng) if rng.random() < 0.02 else []
    _age(ledger, rng, ledger.send(rng, contact, fill(text, contact), media, at), now)


def _age(ledger: Ledger, rng: Random, message: Message, now: datetime, *, opted_out: bool = False) -> None:
    """Give a past text the status it has by now; only the youngest may still be on their way."""
    if now - message.sent_at < UNSETTLED and rng.random() < 0.4:
        if rng.random() < 0.7:
            accept(ledger, rng, message)
        return
    delay = timedelta(seconds=rng.uniform(0.4, 12))
    conclude(ledger, rng, message, min(message.sent_at + delay, now), opted_out=opted_out)


def _leave(ledger: Ledger, rng: Random, contact: Contact, last: datetime, now: datetime) -> datetime:
    """The contact wants no more texts, says so by keyword or in plain words, and some come back later."""
    at = min(last + timedelta(hours=1), now)
    if rng.random() < 0.2:
        hear(ledger, rng, contact, rng.choice(words.PLAIN_WORDS_OUT), at)
        return at
    hear(ledger, rng, contact, rng.choice(words.OPT_OUTS), at)
    if at + timedelta(days=2) < now:
        reply = ledger.send(rng, contact, words.OPT_OUT_REPLY[1:], [], at + timedelta(seconds=3))
        _age(ledger, rng, reply, now)
        if rng.random() < 0.2:
            hear(ledger, rng, contact, words.OPT_IN, at + timedelta(days=1))
            return now
    return at


def _waves(ledger: Ledger, now: datetime) -> list[tuple[Wave, datetime]]:
    sent = []
    for account in ledger.accounts:
        lists = ledger.rosters[account.id].lists
        for (name, target, body, media), age in zip(words.WAVES, WAVE_AGES, strict=True):
            wave = _wave(ledger, name, account, body, [lists[target]], now - age)
            wave.media = list(media)
            sent.append((wave, now - age))
    name, target, body = words.ORGANIZATION_WAVE
    at = now - ORGANIZATION_WAVE_AGE
    everywhere = [ledger.rosters[account.id].lists[target] for account in ledger.accounts]
    return [*sent, (_wave(ledger, name, None, body, everywhere, at), at)]


def _wave(
    ledger: Ledger, name: str, account: Account | None, body: str, lists: list[ContactList], at: datetime
) -> Wave:
    return Wave(
        id=ledger.next_id(),
        scheduled_at=at.replace(microsecond=0),
        name=name,
        account=account,
        organization=ledger.organization,
        body=body,
        media=[],
        sent_by=ledger.accounts[0].created_by,
        lists=lists,
        type="account" if account else "group",
    )


def _campaign(
    ledger: Ledger, rng: Random, wave: Wave, at: datetime, opted_out_at: dict[str, datetime], now: datetime
) -> None:
    ledger.waves[wave.id] = wave

    def may_text(contact: Contact) -> bool:
        # A few are texted after they opted out: somebody imported a list. A warehouse must be able to show it.
        return at < opted_out_at.get(contact.id, now) or rng.random() < 0.08

    chosen = [contact for contact in recipients(ledger, wave) if may_text(contact)]
    for message in send_wave(ledger, rng, wave, chosen, at):
        _age(ledger, rng, message, now)
        reply_at = message.sent_at + timedelta(minutes=rng.expovariate(1 / 90))
        if rng.random() > 0.14 or reply_at >= now:
            continue
        contact = message.contact
        if rng.random() < 0.15 and ledger.conversations[contact.id][-1][0] < reply_at:
            hear(ledger, rng, contact, "STOP", reply_at)
            opted_out_at[contact.id] = reply_at
        else:
            hear(ledger, rng, contact, rng.choice(words.WAVE_REPLIES), reply_at)


def _text_a_colleague(ledger: Ledger, rng: Random, now: datetime) -> None:
    ours, theirs = ledger.accounts[:2]
    contact = ledger.contact(ours, theirs.primary_phone)
    if contact is not None:
        text = "Can you spare two pallets of thin brick until Monday?"
        message = ledger.send(rng, contact, text, [], now - timedelta(days=2, hours=1))
        conclude(ledger, rng, message, message.sent_at + timedelta(seconds=2))


def _settle_the_inbox(ledger: Ledger, rng: Random, account: Account, inbox_page: int, now: datetime) -> None:
    """Share one time among the items across the first page's edge, and leave only recent inbound texts unread."""
    inbox = ledger.inboxes[account.id]
    edge = max(0, len(inbox.entries) - inbox_page)
    low, high = max(0, edge - TIE // 2), edge + TIE // 2
    tied = [item.contact for _, _, item in inbox.entries[low:high] if item.contact is not None]
    at = max((ledger.conversations[contact.id][-1][0] for contact in tied), default=now)
    for contact in tied:
        if ledger.colleague(contact) is None:
            ledger.retime(ledger.conversations[contact.id][-1][2], at)
    for _, _, item in inbox.entries:
        item.is_unread &= now - item.last_message_time < timedelta(days=4) and rng.random() < 0.6
