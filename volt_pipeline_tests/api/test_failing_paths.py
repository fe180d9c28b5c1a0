"""Where inside an answer an error stood, which field that blames, and how the rest is read without it."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.contract import selected
from volt_pipeline.api.documents import document, operations
from volt_pipeline.api.errors import NotFound, Path, ServerError, TransientError, VoltError
from volt_pipeline.api.suspects import droppable, suspects
from volt_pipeline.catalog import STREAMS

from .executing import executing
from .scripted import TOKEN, Say, ScriptedVolt, failing, phone

ME = phone(0)
TALKS = [{"from": ME, "to": phone(number)} for number in range(1, 4)]


async def test_a_failing_conversation_tells_where(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(executing(("messages", 4, "body")))
    with pytest.raises(ServerError) as caught:
        await client.query("conversation", TALKS[0])
    assert caught.value.paths == (("messages", 4, "body"),)
    for reply in await client.query_each("conversation", TALKS):
        assert reply.error is not None
        assert reply.error.paths == (("messages", 4, "body"),)


async def test_a_conversation_is_read_without_the_field_that_fails(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(executing(("messages", 4, "body")))
    replies = await client.query_each("conversation", TALKS)
    assert replies[0].error is not None
    without = suspects("conversation", replies[0].error.paths)
    assert without == {"Message.body"}
    volt.says(executing(("messages", 4, "body")))
    whole = await client.query_each("conversation", TALKS, without=without)
    assert [reply.error for reply in whole] == [None] * 3
    assert all("body" not in message and message["id"] for reply in whole for message in reply.value["messages"])
    assert [len(asked.items) for asked in volt.asked] == [3]
    one = await client.query("conversation", TALKS[0], without=without)
    assert one.value == whole[0].value


async def test_an_inbox_is_read_without_the_field_that_fails(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(executing(("items", 3, "contact", "lists", 1, "name"), ("items", 2, "lastMessage")))
    with pytest.raises(ServerError) as caught:
        await client.query("inbox", {"from": ME})
    without = suspects("inbox", caught.value.paths)
    assert without == {"InboxMessage.lastMessage"}, "GraphQL stops at the first that nulls its parent"
    partial = (await client.query("inbox", {"from": ME}, without=without)).partial
    assert partial is not None
    assert partial.paths == (("items", 3, "contact", "lists", 1, "name"),)
    without |= suspects("inbox", partial.paths)
    reply = await client.query("inbox", {"from": ME}, without=without)
    assert (reply.partial, len(reply.value["items"])) == (None, 5)
    assert all(found["contact"]["lists"] == [{"id": "7"}] * 5 for found in reply.value["items"])


async def test_a_part_that_volt_leaves_null_is_placed(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(executing(("wave",), ("contact", "id")))
    reply = await client.query("message", {"id": "rf_1"})
    assert reply.error is None
    assert reply.partial is not None
    assert reply.partial.paths == (("wave",), ("contact", "id"))
    (many,) = await client.query_each("message", [{"id": "rf_1"}])
    assert many.partial is not None
    assert many.partial.paths == reply.partial.paths
    assert suspects("message", reply.partial.paths) == {"Message.wave", "Message.contact"}


async def test_each_alias_keeps_its_own_places_each_once(client: VoltClient, volt: ScriptedVolt) -> None:
    places: list[list[Any]] = [
        ["a0", "wave"],
        ["a1", "account", "id"],
        ["a1", "account", "id"],
        ["a1", "contact"],
        ["a2"],
        [],
        ["a7", "wave"],
    ]
    found: dict[str, Any] = {"a0": {"id": "0"}, "a1": {"id": "1"}, "a2": None}
    volt.says(Say({"data": found, "errors": [{"message": "not found", "path": path} for path in places]}))
    replies = await client.query_each("message", [{"id": str(number)} for number in range(3)])
    errors = [reply.partial or reply.error for reply in replies]
    assert [error and error.paths for error in errors] == [
        (("wave",),),
        (("account", "id"), ("contact",)),
        (),
    ]


async def test_an_error_that_names_no_place_has_none(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("gone", "NOT_FOUND", path=["message"], data={"message": None}))
    with pytest.raises(NotFound) as caught:
        await client.query("message", {"id": "1"})
    assert caught.value.paths == ()
    volt.says(failing("boom", data={"message": {"id": "1"}}))
    reply = await client.query("message", {"id": "1"})
    assert reply.partial is not None
    assert reply.partial.paths == ()


async def test_places_survive_pickling_and_doubt(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("boom", path=["createMessage", "status"], data=None))
    with pytest.raises(TransientError) as caught:
        await client.mutate("createMessage", {"to": phone(1), "from": ME, "body": "Hi"})
    assert caught.value.ambiguous
    again: VoltError = pickle.loads(pickle.dumps(caught.value))
    assert again.paths == caught.value.paths == (("status",),)


NO_PLACES: list[list[Any]] = [
    ["wave", TOKEN],
    [phone(1)],
    ["15550000001"],
    [15550000001],
    [-1],
    [True],
    [0.5],
    [None],
    [["wave"]],
    [{"wave": phone(1)}],
    ["DearJane"],
    ["wave", "name"],
    ["__typename"],
]


@pytest.mark.parametrize("place", NO_PLACES, ids=repr)
async def test_a_place_holds_only_our_names_and_positions(
    client: VoltClient, volt: ScriptedVolt, place: list[Any]
) -> None:
    errors = [{"message": "boom", "path": ["message", *found]} for found in (place, ["media", 2])]
    volt.says(Say({"data": {"message": {"id": "1"}}, "errors": errors}))
    reply = await client.query("message", {"id": "1"})
    assert reply.partial is not None
    assert reply.partial.paths == (("media", 2),)


BLAMED: list[tuple[str, Path, set[str]]] = [
    ("conversation", ("messages", 4, "body"), {"Message.body"}),
    ("conversation", ("messages", 4, "media", 0), {"Message.media"}),
    ("conversation", ("messages", 4, "wave"), {"Message.wave"}),
    ("conversation", ("messages", 4, "wave", "id"), {"Message.wave"}),
    ("conversation", ("messages", 4, "id"), set()),
    ("conversation", ("messages", 4), set()),
    ("conversation", ("messages",), set()),
    ("conversation", ("pageInfo", "totalItems"), set()),
    ("conversation", (), set()),
    ("conversation", ("nonsense", 4, "body"), set()),
    ("conversation", ("messages", 4, "body", "more"), set()),
    ("inbox", ("items", 3, "contact", "name"), {"Contact.name"}),
    ("inbox", ("items", 3, "contact", "phoneNumber"), set()),
    ("inbox", ("items", 3, "contact"), set()),
    ("inbox", ("items", 3, "contact", "lists", 0), {"Contact.lists"}),
    ("inbox", ("items", 3, "contact", "lists", 0, "name"), {"List.name"}),
    ("inbox", ("items", 3, "contact", "lists", 0, "id"), {"Contact.lists"}),  # a list that fails hides no contact
    ("inbox", ("items", 3, "contact", "customFields", 2, "value"), {"Contact.customFields"}),
    ("inbox", ("account",), set()),
    ("inbox", ("account", "organization", "isActive"), {"Organization.isActive"}),
    ("list", ("queryCustomFields", 0, "operator"), {"List.queryCustomFields"}),
    ("webhooks", (1, "url"), {"Webhook.url"}),
    ("webhooks", (1,), set()),
    ("createMessage", ("status",), {"Message.status"}),
]


@pytest.mark.parametrize(("operation", "path", "blamed"), BLAMED)
def test_a_path_blames_a_field_that_can_be_left_out(operation: str, path: Path, blamed: set[str]) -> None:
    assert suspects(operation, [path]) == blamed


def test_many_paths_blame_each_field_once() -> None:
    paths: list[Path] = [
        ("messages", 1, "body"),
        ("messages", 2, "body"),
        ("messages", 2, "id"),
        ("messages", 3, "wave"),
    ]
    assert suspects("conversation", paths) == {"Message.body", "Message.wave"}
    assert suspects("conversation", []) == frozenset()
    with pytest.raises(LookupError):
        suspects("nothing", paths)


def test_no_key_and_nothing_of_a_page_can_be_left_out() -> None:
    kept = {f"{stream.type_name}.id" for stream in STREAMS} | {"Contact.phoneNumber", "InboxMessage.contact"}
    for operation in operations():
        assert not droppable(operation) & kept
        assert not {field.partition(".")[0] for field in droppable(operation)} & {"PageInfo", "Inbox", "Conversation"}
        assert droppable(operation) <= selected(document(operation).node)


def test_every_column_that_is_no_key_can_be_left_out() -> None:
    """So a new column of the catalogue is covered by itself."""
    for stream in STREAMS:
        if stream.type_name:
            fields = {f"{stream.type_name}.{column.path.partition('.')[0]}" for column in stream.read}
            kept = {f"{stream.type_name}.id", "InboxMessage.contact", "Contact.phoneNumber"}
            assert fields - droppable(stream.query) <= kept
