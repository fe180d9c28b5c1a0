"""Pages that go wrong over HTTP: each fault really happens, and is gone once it is switched off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from volt_pipeline.sandbox.entities import Contact
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World

from .conftest import ask, new_world
from .test_reads import CONVERSATION, INBOX, inbox, pages, talk

SIZE = 7


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with running(new_world(inbox_page=SIZE, conversation_page=SIZE)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(small: Sandbox) -> Iterator[Sandbox]:
    """A world of short pages that no test changes; afterwards it must page as before."""
    phone = small.world.accounts[0].primary_phone
    before = inbox(small, phone)
    yield small
    small.faults = Faults()
    assert inbox(small, phone) == before


@pytest.fixture
def phone(sandbox: Sandbox) -> str:
    return sandbox.world.accounts[0].primary_phone


def regular(world: World) -> Contact:
    mine = [each for each in world.contacts if each.account is world.accounts[0]]
    return max(mine, key=lambda each: len(world.ledger.conversations[each.id]))


def walk(sandbox: Sandbox, phone: str, most: int = 9) -> list[Any]:
    """Pages of an inbox as a stubborn client reads them: it follows nextPage while there is one."""
    found: list[Any] = []
    before = None
    while len(found) < most:
        answer = ask(sandbox, INBOX, before=before, **{"from": phone})
        found.append(answer["data"]["inbox"] or answer["errors"])
        before = found[-1]["pageInfo"]["nextPage"] if isinstance(found[-1], dict) else None
        if before is None:
            break
    return found


def keys(items: list[Any]) -> list[str]:
    return [item["contact"]["id"] if item["contact"] else "" for item in items]


def test_pages_are_counted_per_walk_and_announced_before_they_are_made(sandbox: Sandbox, phone: str) -> None:
    told: list[tuple[str, int]] = []
    sandbox.faults.before_page = lambda root, number: told.append((root, number))
    contact = regular(sandbox.world)
    count = len(list(pages(sandbox, INBOX, "inbox", **{"from": phone})))
    assert told == [("inbox", number) for number in range(1, count + 1)]
    told.clear()
    read = talk(sandbox, phone, contact.phone_number)
    assert told == [("conversation", number) for number in range(1, -(-len(read) // SIZE) + 1)]
    inbox(sandbox, phone)
    sandbox.faults.before_page = None
    told.clear()
    inbox(sandbox, phone)
    assert told == []


def test_a_page_may_list_its_items_oldest_first(sandbox: Sandbox, phone: str) -> None:
    right = [page["items"] for page in pages(sandbox, INBOX, "inbox", **{"from": phone})]
    sandbox.faults.oldest_first = True
    assert [page["items"] for page in pages(sandbox, INBOX, "inbox", **{"from": phone})] == [
        items[::-1] for items in right
    ]


def test_a_page_may_be_shuffled(sandbox: Sandbox, phone: str) -> None:
    right = [keys(page["items"]) for page in pages(sandbox, INBOX, "inbox", **{"from": phone})]
    sandbox.faults.shuffled = True
    wrong = [keys(page["items"]) for page in pages(sandbox, INBOX, "inbox", **{"from": phone})]
    assert wrong != right
    assert [sorted(page) for page in wrong] == [sorted(page) for page in right]


def test_a_walk_may_begin_at_the_oldest(sandbox: Sandbox, phone: str) -> None:
    right = inbox(sandbox, phone)
    contact = regular(sandbox.world)
    messages = talk(sandbox, phone, contact.phone_number)
    sandbox.faults.from_the_oldest = True
    assert inbox(sandbox, phone)[0]["lastMessageTime"] == right[-1]["lastMessageTime"]
    assert [item["lastMessageTime"] for item in inbox(sandbox, phone)] == [
        item["lastMessageTime"] for item in reversed(right)
    ]
    assert {each["id"] for each in talk(sandbox, phone, contact.phone_number)} == {each["id"] for each in messages}


def test_a_walk_may_be_in_no_order_and_still_lose_nothing(sandbox: Sandbox, phone: str) -> None:
    right = inbox(sandbox, phone)
    sandbox.faults.in_no_order = True
    wrong = inbox(sandbox, phone)
    assert wrong != right
    assert sorted(keys(wrong)) == sorted(keys(right))


def test_an_item_may_stand_on_two_pages(sandbox: Sandbox, phone: str) -> None:
    right = [keys(page["items"]) for page in pages(sandbox, INBOX, "inbox", **{"from": phone})]
    sandbox.faults.repeated_item = True
    wrong = list(pages(sandbox, INBOX, "inbox", **{"from": phone}))
    assert keys(wrong[0]["items"]) == right[0]
    for number in range(1, len(right)):
        assert keys(wrong[number]["items"]) == [right[number - 1][-1], *right[number]]
    assert {page["pageInfo"]["totalItems"] for page in wrong} == {sum(map(len, right))}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_page_in_the_middle_may_be_empty(sandbox: Sandbox, phone: str, number: int) -> None:
    right = [keys(page["items"]) for page in pages(sandbox, INBOX, "inbox", **{"from": phone})]
    sandbox.faults.empty_page = number
    wrong = list(pages(sandbox, INBOX, "inbox", **{"from": phone}))
    assert wrong[number - 1]["pageInfo"]["hasNextPage"] is True
    assert [keys(page["items"]) for page in wrong] == [*right[: number - 1], [], *right[number - 1 :]]


def test_a_cursor_may_repeat_forever(sandbox: Sandbox, phone: str) -> None:
    sandbox.faults.stuck_cursor = 2
    found = walk(sandbox, phone)
    assert len(found) == 9
    assert len({page["pageInfo"]["nextPage"] for page in found}) == 1
    assert all(page["pageInfo"]["hasNextPage"] for page in found)
    assert all(page == found[1] for page in found[2:])


def test_cursors_may_go_in_circles(sandbox: Sandbox, phone: str) -> None:
    sandbox.faults.looping_cursors = (3, 2)
    found = walk(sandbox, phone)
    cursors = [page["pageInfo"]["nextPage"] for page in found]
    assert cursors[0] != cursors[1]
    assert cursors == [cursors[0], cursors[1]] * 4 + [cursors[0]]
    assert found[3] == found[1]
    assert found[4] == found[2]


def test_cursors_may_expire(sandbox: Sandbox, phone: str) -> None:
    sandbox.faults.cursors_expire_after = 2
    found = walk(sandbox, phone)
    assert len(found) == 3
    assert found[2][0]["message"] == "Invalid cursor"
    contact = regular(sandbox.world)
    body = ask(sandbox, CONVERSATION, to=contact.phone_number, **{"from": phone})
    assert body["data"]["conversation"]["pageInfo"]["nextPage"]


def test_the_next_cursor_may_be_lost_or_hidden(sandbox: Sandbox, phone: str) -> None:
    sandbox.faults.lost_cursor = 2
    lost = walk(sandbox, phone)
    assert len(lost) == 2
    assert (lost[1]["pageInfo"]["hasNextPage"], lost[1]["pageInfo"]["nextPage"]) == (True, None)
    sandbox.faults = Faults(hidden_next_page=2)
    shown = walk(sandbox, phone)
    assert [page["pageInfo"]["hasNextPage"] for page in shown[:3]] == [True, False, True]
    assert shown[1]["pageInfo"]["nextPage"]


def test_cursors_that_name_a_time_only_skip_what_is_tied(sandbox: Sandbox, phone: str) -> None:
    right = inbox(sandbox, phone)
    assert right[SIZE - 1]["lastMessageTime"] == right[SIZE]["lastMessageTime"]
    sandbox.faults.cursors_by_time = True
    wrong = list(pages(sandbox, INBOX, "inbox", **{"from": phone}))
    read = [key for page in wrong for key in keys(page["items"])]
    assert keys(right)[SIZE] not in read
    assert wrong[0]["pageInfo"]["totalItems"] == len(right) > len(read) == len(set(read))


@pytest.mark.parametrize("off", [3, -2, -10_000])
def test_totals_may_be_off(sandbox: Sandbox, phone: str, off: int) -> None:
    contact = regular(sandbox.world)
    sandbox.faults.totals_off = {phone: off, (phone, contact.phone_number): -off}
    items = inbox(sandbox, phone)
    shown = next(pages(sandbox, INBOX, "inbox", **{"from": phone}))["pageInfo"]["totalItems"]
    assert shown == max(0, len(items) + off)
    messages = talk(sandbox, phone, contact.phone_number)
    asked = {"to": contact.phone_number, "from": phone}
    shown = next(pages(sandbox, CONVERSATION, "conversation", **asked))["pageInfo"]["totalItems"]
    assert shown == max(0, len(messages) - off)
    other = sandbox.world.accounts[1].primary_phone
    found = list(pages(sandbox, INBOX, "inbox", **{"from": other}))
    assert found[0]["pageInfo"]["totalItems"] == sum(len(page["items"]) for page in found)


def test_the_world_may_move_between_two_pages() -> None:
    world = new_world(inbox_page=SIZE)
    with running(world) as sandbox:
        phone = world.accounts[0].primary_phone
        right = inbox(sandbox, phone)
        lowest = [world.ledger.rosters[world.accounts[0].id].contacts[key] for key in keys(right)[-3:] if key]

        def jump(root: str, number: int) -> None:
            if number == 3:
                for contact in lowest:
                    world.hear(contact, "me again")

        sandbox.faults.before_page = jump
        missed = {contact.id for contact in lowest}
        read = keys(inbox(sandbox, phone))
        assert not missed & set(read)
        sandbox.faults = Faults()
        assert set(keys(inbox(sandbox, phone))[: len(lowest)]) == missed


def test_a_walk_that_began_without_faults_goes_on_with_them(sandbox: Sandbox, phone: str) -> None:
    walking = pages(sandbox, INBOX, "inbox", **{"from": phone})
    first = next(walking)["items"]
    sandbox.faults.repeated_item = True
    assert next(walking)["items"][0] == first[-1]
