"""What one sync may have to live through; once it is over, nothing of it may be seen in the warehouse."""

from __future__ import annotations

from collections.abc import Callable

from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.entities import Contact
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.world import World

Trouble = Callable[[Faults, World, Contact], object]  # the contact is who is met by it, where it is one


def _switch(**values: object) -> Trouble:
    return lambda faults, _world, _contact: vars(faults).update(values)


def _disturb(disturbance: Disturbance, every: int) -> Trouble:
    return lambda faults, _world, _contact: faults.disturb(disturbance, every=every, times=4)


def _null(kind: str, field: str) -> Trouble:
    """Of the contact, or of its last message."""

    def begin(faults: Faults, world: World, contact: Contact) -> None:
        faults.null_fields.add((kind, _last(world, contact) if kind == "Message" else contact.id, field))

    return begin


def _last(world: World, contact: Contact) -> str:
    return world.ledger.conversations[contact.id][-1][1]


def _talk(contact: Contact) -> tuple[str, str]:
    return (contact.account.primary_phone, contact.phone_number)


TROUBLES: dict[str, Trouble] = {
    "resets": _disturb(disturbances.reset(), 3),
    "half JSON": _disturb(disturbances.half_json(), 2),
    "rate limits": _disturb(disturbances.rate_limited(), 4),
    "too complex": _switch(refuse_repeated_roots=True),
    "oldest first": _switch(oldest_first=True),
    "shuffled": _switch(shuffled=True, repeated_item=True),
    "in no order": _switch(in_no_order=True),
    "from the oldest": _switch(from_the_oldest=True, empty_page=2),
    "stuck cursor": _switch(stuck_cursor=2),
    "looping cursors": _switch(looping_cursors=(3, 2)),
    "expiring cursors": _switch(cursors_expire_after=1),
    "lost cursor": _switch(lost_cursor=1),
    "hidden page": _switch(hidden_next_page=1),
    "cursors by time": _switch(cursors_by_time=True),
    "totals off": lambda faults, _world, contact: faults.totals_off.update({_talk(contact): 2, _talk(contact)[0]: -1}),
    "no status": _null("Message", "status"),
    "no body": _null("Message", "body"),
    "no name": _null("Contact", "name"),
    "no last message": _null("InboxMessage", "lastMessage"),
    "failing message": lambda faults, world, contact: faults.failing_messages.add(_last(world, contact)),
    "failing contact": lambda faults, _world, contact: faults.failing_contacts.add(contact.id),
    "failing conversation": lambda faults, _world, contact: faults.failing_conversations.add(_talk(contact)),
    "no time": lambda faults, world, contact: faults.patch("Message", "sentAt", "soon", of=_last(world, contact)),
    "no id": lambda faults, world, contact: faults.patch("Message", "id", None, of=_last(world, contact)),
    "far future": lambda faults, _world, contact: faults.patch(
        "InboxMessage", "lastMessageTime", "9999-12-31T00:00:00Z", of=contact.id
    ),
    "revoked": _switch(revoked="null"),
}
