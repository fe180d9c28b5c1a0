"""How a text reaches its people: the provider's verdicts, opt-outs, and a wave going out to its recipients."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from . import vocabulary as words
from .entities import Account, Contact, Message, Wave
from .ledger import Ledger

OPT_OUT_KEYWORDS = frozenset(word.rstrip(".").casefold() for word in words.OPT_OUTS)
# A provider accepts a few texts in one go: recipients of a wave share their times, and so do their inbox items.
BATCH = 4
BATCH_GAP = timedelta(milliseconds=250)


def fill(text: str, contact: Contact) -> str:
    """Put a contact's own words into a text; plain replacement, because anybody may write braces."""
    first = "there" if contact.name.startswith("+") else contact.name.split(" ")[0]
    material = contact.value("preferred_material") or "red brick"
    for slot, value in (("{contact.first_name}", first), ("{first}", first), ("{material}", material)):
        text = text.replace(slot, value)
    return text


def picture(rng: Random) -> list[str]:
    return [f"https://media.acmebrick.example/mms/{rng.getrandbits(64):016x}.jpg"]


def hear(ledger: Ledger, rng: Random, contact: Contact, text: str, at: datetime) -> Message:
    """An inbound text. Keywords change `blocked` at once; plain words do not: only a human would understand them."""
    media = picture(rng) if text == words.PICTURE else []
    message = ledger.receive(rng, contact, "" if media else fill(text, contact), media, at)
    keyword = message.body.rstrip(".").casefold()
    if keyword in OPT_OUT_KEYWORDS or keyword == words.OPT_IN.casefold():
        contact.blocked = keyword in OPT_OUT_KEYWORDS
        ledger.contact_changed(contact, at)
    return message


def accept(ledger: Ledger, rng: Random, message: Message) -> None:
    """The carrier takes the message; nothing is confirmed yet."""
    ledger.give_legacy_id(message, rng)
    ledger.set_status(message, *words.ACCEPTED, at=None)


def conclude(ledger: Ledger, rng: Random, message: Message, at: datetime, *, opted_out: bool | None = None) -> None:
    """The carrier's last word. `opted_out` is given where the contact's state today is not that of the time."""
    if message.status == "sending":
        accept(ledger, rng, message)
    if message.contact.blocked if opted_out is None else opted_out:
        ledger.set_status(message, "failed", words.FAILED_OPTED_OUT, at)
    elif rng.random() < 0.05:
        ledger.set_status(message, "failed", rng.choice(words.FAILURES), at)
    else:
        ledger.set_status(message, *words.SETTLED, at=at)


def recipients(ledger: Ledger, wave: Wave) -> list[Contact]:
    """Each contact once, though it may be on several of the lists; numbers never seen before become contacts."""
    chosen: dict[str, Contact] = {}
    for each in wave.lists or ():
        roster = ledger.rosters[each.account.id]
        chosen.update((contact.id, contact) for contact in roster.members(each))
    if wave.account is not None:  # only waves of one account name numbers
        for phone in wave.contact_numbers:
            contact = contact_for(ledger, wave.account, phone, wave.scheduled_at)
            chosen[contact.id] = contact
    return [contact for contact in chosen.values() if ledger.colleague(contact) is None]


def contact_for(ledger: Ledger, account: Account, phone: str, at: datetime) -> Contact:
    return ledger.contact(account, phone) or ledger.add_contact(account, phone, phone, [], at)


def send_wave(ledger: Ledger, rng: Random, wave: Wave, to: list[Contact], at: datetime) -> list[Message]:
    wave.state = "sent"
    return [
        ledger.send(rng, contact, fill(wave.body, contact), list(wave.media), at + number // BATCH * BATCH_GAP, wave)
        for number, contact in enumerate(to)
    ]
