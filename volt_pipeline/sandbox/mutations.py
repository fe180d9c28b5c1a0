"""The seven mutations, as changes of the ledger.

Each validates everything before it changes anything: a refused mutation leaves the world as it was, which is also why
only those that succeeded need to stand in the journal. Arguments arrive in snake_case, as plain JSON values.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

from .delivery import contact_for
from .entities import Account, Contact, ContactList, CustomField, ListRule, Message, Wave, Webhook, bad_input
from .ledger import Ledger
from .rosters import ALL, check

SENDER = "api@acmebrick.example"
E164 = re.compile(r"\+[1-9]\d{7,14}")
URL = re.compile(r"https?://[^\s/]+\S*")


class Mutations:
    """The mutations at one moment: made for a single change, with its time and its own generator."""

    def __init__(self, ledger: Ledger, rng: Random, at: datetime, custom_fields_mode: str) -> None:
        self.ledger = ledger
        self.rng = rng
        self.at = at
        self.custom_fields_mode = custom_fields_mode

    def apply(self, name: str, arguments: dict[str, Any]) -> Any:
        return MUTATIONS[name](self, **arguments)

    def create_message(self, to: str, from_: str, body: str, media: list[str] | None = None) -> Message:
        account = self.ledger.account(from_)
        _check_phone("to", to)
        if not body and not media:
            raise bad_input("body must not be empty")
        if to == account.primary_phone:
            raise bad_input("to must be another number than from")
        contact = contact_for(self.ledger, account, to, self.at)
        return self.ledger.send(self.rng, contact, body, list(media or ()), self.at)

    def create_or_update_contact(
        self,
        name: str,
        phone_number: str,
        account_phone: str,
        custom_fields: list[dict[str, str] | None],
        blocked: bool,
    ) -> Contact:
        account = self.ledger.account(account_phone)
        _check_phone("phoneNumber", phone_number)
        values = {entry["key"]: entry["value"] for entry in custom_fields if entry is not None}
        contact = contact_for(self.ledger, account, phone_number, self.at)
        types = self.ledger.field_types
        for key in values:
            types.setdefault(key, "string")
        if self.custom_fields_mode == "merge":
            values = {entry.key: entry.value for entry in contact.custom_fields} | values
        contact.name, contact.blocked = name, blocked
        contact.custom_fields = [CustomField(key, types[key], value) for key, value in values.items()]
        self.ledger.contact_changed(contact, self.at)
        return contact

    def create_or_update_list(self, primary_phone: str, list_query: dict[str, Any]) -> ContactList:
        account = self.ledger.account(primary_phone)
        roster = self.ledger.rosters[account.id]
        name = list_query["list_name"]
        source = list_query.get("query_source_list_name") or ALL
        rules = [ListRule(**rule) for rule in list_query.get("query_custom_fields") or ()]
        if not name or name == ALL:
            raise bad_input("listName must not be empty or the name of the All list")
        self.ledger.list_named(account, source)
        if roster.builds_on(source, name):
            raise bad_input("querySourceListName would make the list its own source")
        for rule in rules:
            check(rule, self.ledger.field_types)
        chosen = roster.lists.get(name) or ContactList(self.ledger.next_id(), account, SENDER, name, self.at, self.at)
        chosen.query_source_list_name = source
        chosen.query_name_search_term = list_query.get("query_name_search_term")
        chosen.query_custom_fields, chosen.members = rules, None
        chosen.last_updated_at = self.at
        roster.keep(chosen)
        return chosen

    def register_webhook(self, url: str) -> Webhook:
        if not URL.fullmatch(url):
            raise bad_input("url is not a valid URL")
        webhook = Webhook(self.ledger.next_id(), self.ledger.organization, url, self.at, self.at)
        self.ledger.webhooks[webhook.id] = webhook
        return webhook

    def delete_webhook(self, id_: str) -> Webhook | None:
        return self.ledger.webhooks.pop(id_, None)

    def schedule_message(self, primary_phone: str, message: dict[str, Any]) -> Wave:
        account = self.ledger.account(primary_phone)
        numbers = list(message["contact_numbers"])
        for number in numbers:
            _check_phone("contactNumbers", number)
        if not numbers:
            raise bad_input("contactNumbers must not be empty")
        return self._schedule(message, "Scheduled message", "contact", account, None, numbers, "scheduled")

    def schedule_wave(self, type_: str, status: str, wave: dict[str, Any], primary_phone: str | None = None) -> Wave:
        if type_ == "organization":
            return self._schedule(wave, wave["wave_name"], "group", None, self._lists(wave, None), [], status)
        if primary_phone is None:
            raise bad_input("primaryPhone is required for an account wave")
        account = self.ledger.account(primary_phone)
        return self._schedule(wave, wave["wave_name"], "account", account, self._lists(wave, account), [], status)

    def _lists(self, wave: dict[str, Any], account: Account | None) -> list[ContactList]:
        """The named lists of the account; for an organization's wave those of every account that has them."""
        names = list(dict.fromkeys(wave["list_names"]))
        if not names:
            raise bad_input("listNames must not be empty")
        if account is not None:
            return [self.ledger.list_named(account, name) for name in names]
        found = {name: [each for each in self.ledger.lists() if each.name == name] for name in names}
        for name, lists in found.items():
            if not lists:
                self.ledger.list_named(self.ledger.accounts[0], name)
        return [each for lists in found.values() for each in lists]

    def _schedule(
        self,
        job: dict[str, Any],
        name: str,
        type_: str,
        account: Account | None,
        lists: list[ContactList] | None,
        numbers: list[str],
        status: str,
    ) -> Wave:
        wave = Wave(
            id="",
            scheduled_at=_scheduled_time(job["scheduled_time"]),
            name=name,
            account=account,
            organization=self.ledger.organization,
            body=job["message_body"],
            media=[url for url in job.get("media") or () if url is not None],
            sent_by=SENDER,
            lists=lists,
            type=type_,
            state=status,
            contact_numbers=numbers,
        )
        wave.id = self.ledger.next_id()
        self.ledger.waves[wave.id] = wave
        if status == "scheduled":
            self.ledger.scheduled[wave.id] = wave
        return wave


MUTATIONS: dict[str, Callable[..., Any]] = {
    "createMessage": Mutations.create_message,
    "createOrUpdateContact": Mutations.create_or_update_contact,
    "createOrUpdateList": Mutations.create_or_update_list,
    "deleteWebhook": Mutations.delete_webhook,
    "registerWebhook": Mutations.register_webhook,
    "scheduleMessage": Mutations.schedule_message,
    "scheduleWave": Mutations.schedule_wave,
}


def _check_phone(argument: str, phone: str) -> None:
    if not E164.fullmatch(phone):
        raise bad_input(f"{argument} is not a valid phone number")


def _scheduled_time(text: str) -> datetime:
    try:
        if len(text) != len("YYYY-MM-DD HH:MM:SS"):
            raise ValueError(text)
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        raise bad_input("scheduledTime is not of the form YYYY-MM-DD HH:MM:SS") from None
