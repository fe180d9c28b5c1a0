"""From hints to what is read again: each message, conversation and contact once, however many events name it.

Only what is ours is read: accounts that are synced, numbers known to be theirs, contacts that they hold. What else an
event names leads nowhere, and is told as the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from volt_pipeline.batch import Target
from volt_pipeline.event import Hint

_MOST_ACCOUNTS = 5  # that share a contact: an event whose own number is unknown may concern any of them


@dataclass(frozen=True)
class Known:
    """What the warehouse knows of the numbers and ids that some hints name. `accounts`: the synced ones, id → phone."""

    accounts: Mapping[str, str]
    numbers: Mapping[str, str]  # our own numbers → account id
    messages: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # id → account id, contact's phone
    holders: Mapping[str, Sequence[str]] = field(default_factory=dict)  # contact's phone → account ids


@dataclass(frozen=True)
class Aim:
    """What one hint leads to: targets as extraction reads them."""

    message: Target | None = None
    conversations: tuple[Target, ...] = ()
    contacts: tuple[Target, ...] = ()

    @property
    def targets(self) -> set[tuple[str, Target]]:
        """Each with its kind, as `extract.targets.read_targets` names them."""
        found = {("conversation", target) for target in self.conversations}
        found |= {("contact", target) for target in self.contacts}
        return found | ({("message", self.message)} if self.message else set())


class Stray(Exception):
    """A hint that leads to nothing of ours; the text says why."""


def aim(hint: Hint, known: Known) -> Aim:
    """What to read again for a hint. Raises Stray when it is nothing of ours.

    A message that is held is asked by its id. Anything else is news of a conversation: its newest page is read. Who
    wrote to us may have changed by it (a STOP blocks): the contact is asked too.
    """
    message = None
    if place := known.messages.get(hint.message_id):
        account_id, phone = place
        if account_id in known.accounts:
            message = Target(account_id, hint.message_id, phone)
    talks = _talks(hint, known)
    if message is None and not talks:
        if hint.from_number in known.numbers or hint.to_number in known.numbers:
            raise Stray("its account is not among those that are synced here")
        if hint.from_number and hint.to_number:
            raise Stray("neither of its numbers is known to be ours")
        raise Stray("it names a message that is not held, and not the two numbers of it")
    wrote = hint.direction != "outbound" and hint.event_type not in ("message.sent", "message.finalized")
    conversations = () if message else talks
    contacts = talks if wrote else ()
    return Aim(message, conversations, contacts)


def _talks(hint: Hint, known: Known) -> tuple[Target, ...]:
    """The conversations that stand between these two numbers: two where both are ours."""
    if not (hint.from_number and hint.to_number):
        return ()
    found = []
    for ours, theirs in ((hint.to_number, hint.from_number), (hint.from_number, hint.to_number)):
        account_id = known.numbers.get(ours)
        if account_id in known.accounts and known.numbers.get(theirs) != account_id:
            found.append(Target(str(account_id), f"{account_id}|{theirs}", theirs))
    if found or hint.from_number in known.numbers or hint.to_number in known.numbers:
        return tuple(found)
    # A pool number that is not learned yet: whose contact is the other side?
    return tuple(
        Target(account_id, f"{account_id}|{theirs}", theirs)
        for theirs in (hint.from_number, hint.to_number)
        for account_id in known.holders.get(theirs, ())[:_MOST_ACCOUNTS]
        if account_id in known.accounts
    )
