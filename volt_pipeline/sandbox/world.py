"""The world the sandbox serves: a seeded company that texts, moves and can be changed.

    world = World.create(seed=1, accounts=3, contacts=120, now=datetime.now(UTC))
    world.tick(world.clock())

Its state is a pure function of the parameters and of the changes made since, in order; that is what makes a journal
(and a failing test) reproducible. All access from several threads goes through `lock`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from . import movements
from .alterations import Alterations
from .effects import Effect
from .entities import Account, Contact, ContactList, Message, Organization, Wave, Webhook
from .interventions import Interventions
from .journal import Journal
from .ledger import Ledger
from .mutations import Mutations
from .paging import MICROSECOND, from_micros, micros
from .population import populate
from .snapshot import Tables, filed_messages, named_waves, reachable_lists, shown, snapshot

FORMAT = 1
MODES = ("merge", "replace")


class World(Interventions):
    """Made by `World.create`. Lists that it hands out are copies; what is in them is the world itself."""

    def __init__(self, parameters: dict[str, Any], began: datetime, shown: datetime) -> None:
        self.parameters = parameters
        self.inbox_page: int = parameters["inbox_page"]
        self.conversation_page: int = parameters["conversation_page"]
        self.lock = threading.RLock()
        self._time = began
        self._offset = shown - datetime.now(UTC)
        self._changes = 0
        self._journal: Journal | None = None
        self.effects: list[Effect] = []  # of the mutations asked of this object, not of those in its journal
        self.vet_webhook: Callable[[str], None] | None = None  # raises Refused for a URL that is not to be registered
        rng = Random(parameters["seed"])
        self.ledger: Ledger = populate(rng, parameters["accounts"], parameters["contacts"], began, self.inbox_page)
        self.fingerprint = rng.getrandbits(32)  # differs when the way a world is invented has changed

    @classmethod
    def create(
        cls,
        *,
        seed: int = 1,
        accounts: int = 3,
        contacts: int = 120,
        now: datetime,
        journal: Path | None = None,
        inbox_page: int = 25,
        conversation_page: int = 50,
        custom_fields_mode: str = "merge",
    ) -> World:
        """A new world as of `now`, or, where the journal already holds one, that world as it was left.

        A journal of a world with other parameters is a ValueError: two worlds in one file would be neither.
        """
        parameters = {
            "format": FORMAT,
            "seed": seed,
            "accounts": accounts,
            "contacts": contacts,
            "inbox_page": inbox_page,
            "conversation_page": conversation_page,
            "custom_fields_mode": custom_fields_mode,
        }
        _check(parameters, now)
        now = now.astimezone(UTC)  # days are taken from it, and a journal keeps no zone
        if journal is None:
            return cls(parameters, now, now)
        book = Journal(journal)
        header = book.header()
        if header is not None:
            return cls._reopen(book, header, parameters, now)
        world = cls(parameters, now, now)
        book.append({**parameters, "began": micros(now), "fingerprint": world.fingerprint}, durable=True)
        world._journal = book
        return world

    @classmethod
    def _reopen(cls, book: Journal, header: dict[str, Any], parameters: dict[str, Any], now: datetime) -> World:
        held = {key: header.get(key) for key in parameters}
        if held != parameters:
            differing = ", ".join(
                f"{key} is {held[key]!r}, asked for {parameters[key]!r}"
                for key in parameters
                if held[key] != parameters[key]
            )
            raise ValueError(f"{book.path} holds another world ({differing}); remove it to start afresh")
        world = cls(parameters, from_micros(header["began"]), now)
        if world.fingerprint != header.get("fingerprint"):
            raise ValueError(f"{book.path} holds a world invented by another version; remove it to start afresh")
        for kind, at, *rest in book.entries():
            world._change(kind, from_micros(at), *rest)
        world._journal = book
        return world

    # --- time and change --------------------------------------------------------------------------------------

    def clock(self) -> datetime:
        """What time it is in this world: `now` when it was made, and running on from there."""
        return datetime.now(UTC) + self._offset

    def tick(self, now: datetime) -> None:
        """One movement: texts settle, due waves go out, perhaps somebody writes or is edited."""
        self._change("tick", now)

    def move(self, share: float, now: datetime) -> list[Message]:
        """One new message in each of `share` of the conversations (rounded up, at least one); returns them."""
        moved: list[Message] = self._change("move", now, share)
        return moved

    def settle(self, now: datetime) -> None:
        """Every message that is still on its way becomes final."""
        self._change("settle", now)

    def mutate(self, name: str, arguments: dict[str, Any]) -> Any:
        """One of the contract's mutations by its name; raises Refused and changes nothing where Volt would."""
        if name == "registerWebhook" and self.vet_webhook is not None:
            self.vet_webhook(arguments["url"])
        result = self._change(name, self.clock(), arguments)
        self.effects.append(Effect(name, arguments, getattr(result, "id", "")))
        return result

    def _change(self, kind: str, now: datetime, *rest: Any) -> Any:
        with self.lock:
            # Time never stands still or runs backwards, whatever the callers' clocks do: order depends on it.
            at = max(now.astimezone(UTC), self._time + MICROSECOND)
            rng = Random(f"{self.parameters['seed']}/{self._changes}")
            result = self._apply(kind, rng, at, *rest)
            self._changes += 1
            self._time = at
            if kind == "move":
                self._time = max(message.sent_at for message in result) if result else at
            if self._journal is not None:
                durable = kind not in ("tick", "move", "settle")
                self._journal.append([kind, micros(at), *rest], durable=durable)
            return result

    def _apply(self, kind: str, rng: Random, at: datetime, *rest: Any) -> Any:
        if kind == "tick":
            return movements.tick(self.ledger, rng, at)
        if kind == "move":
            return movements.move(self.ledger, rng, rest[0], at)
        if kind == "settle":
            return movements.settle(self.ledger, rng, at)
        if kind in Alterations.NAMES:
            return Alterations(self.ledger, rng, at).apply(kind, rest[0])
        return Mutations(self.ledger, rng, at, self.parameters["custom_fields_mode"]).apply(kind, rest[0])

    # --- what there is ----------------------------------------------------------------------------------------

    @property
    def organization(self) -> Organization:
        return self.ledger.organization

    @property
    def accounts(self) -> list[Account]:
        return list(self.ledger.accounts)

    @property
    def contacts(self) -> list[Contact]:
        with self.lock:
            return list(self.ledger.contacts)

    @property
    def messages(self) -> list[Message]:
        with self.lock:
            return list(self.ledger.messages.values())

    @property
    def waves(self) -> list[Wave]:
        """All waves, also drafts and scheduled ones that no message leads to yet."""
        with self.lock:
            return list(self.ledger.waves.values())

    @property
    def lists(self) -> list[ContactList]:
        with self.lock:
            return list(self.ledger.lists())

    @property
    def webhooks(self) -> list[Webhook]:
        with self.lock:
            return list(self.ledger.webhooks.values())

    def lists_of(self, contact: Contact) -> list[ContactList]:
        with self.lock:
            return list(self.ledger.rosters[contact.account.id].lists_of(contact))

    def size(self, chosen: ContactList) -> int:
        with self.lock:
            return self.ledger.rosters[chosen.account.id].size(chosen)

    def expected_counts(self) -> dict[str, int]:
        """How many of each a complete sync holds, when all it is told is the accounts' primary phones.

        Contacts count when an inbox shows them, waves when a message names them, lists when they are All, a contact
        or a wave that counts names them, or a list that counts is built on them. `inbox_items` is the inboxes' own
        total and so includes the item whose contact is gone; `conversations` are those that can be read.
        """
        with self.lock:
            ledger = self.ledger
            contacts, waves = shown(ledger), named_waves(ledger)
            return {
                "organizations": 1,
                "accounts": len(ledger.accounts),
                "contacts": len(contacts),
                "messages": len(filed_messages(ledger)),
                "waves": len(waves),
                "lists": len(reachable_lists(ledger, contacts, waves)),
                "inbox_items": sum(len(inbox.entries) for inbox in ledger.inboxes.values()),
                "conversations": len(contacts),
                "webhooks": len(ledger.webhooks),
            }

    def snapshot(self, *, everything: bool = False) -> Tables:
        """The world as plain tables, in Volt's values (times as strings): what a complete sync must have read.

            {"contacts": {id: {"name": …, "account_id": …}}, "messages": …, "waves": …, "lists": …, "webhooks": …,
             "organizations": …, "accounts": …, "memberships": {(contact_id, list_id)}, "wave_lists": {(wave, list)},
             "inbox": {(account_id, phone): (last_message_time, last_message, is_unread)}}

        It holds what `expected_counts` counts; with `everything` also what no sync can find. Inbox items without a
        contact are left out.
        """
        with self.lock:
            return snapshot(self.ledger, everything=everything)


def _check(parameters: dict[str, Any], now: datetime) -> None:
    if now.utcoffset() is None:
        raise ValueError("now must be an aware datetime")
    if parameters["custom_fields_mode"] not in MODES:
        raise ValueError(f"custom_fields_mode must be one of {', '.join(MODES)}")
    for key in ("accounts", "contacts", "inbox_page", "conversation_page"):
        if parameters[key] < 1:
            raise ValueError(f"{key} must be at least 1")
