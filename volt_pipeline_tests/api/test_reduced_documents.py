"""Every operation without any of its fields is still one that Volt's published API allows."""

from __future__ import annotations

import pytest
from graphql import parse, validate

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.contract import published, selected
from volt_pipeline.api.documents import aliased, document, operations, query
from volt_pipeline.api.suspects import droppable

from .scripted import ScriptedVolt, data

QUERIES = [operation for operation in operations() if not document(operation).mutates]
EVERY = [(operation, field) for operation in operations() for field in sorted(selected(document(operation).node))]
EVERY = [(operation, field) for operation, field in EVERY if not field.startswith(("Query.", "Mutation."))]


@pytest.mark.parametrize(("operation", "field"), EVERY)
def test_an_operation_without_one_field_is_valid(operation: str, field: str) -> None:
    smaller = document(operation, frozenset({field}))
    assert validate(published(), parse(smaller.text)) == []
    left = selected(smaller.node)
    assert field not in left
    lost = selected(document(operation).node) - left - {field}
    assert {name.partition(".")[0] for name in lost}.isdisjoint({field.partition(".")[0]}), "its siblings stay"
    assert (smaller.keys, smaller.variables) == (document(operation).keys, document(operation).variables)
    if operation in QUERIES:
        many = aliased(operation, 3, frozenset({field}))
        assert validate(published(), parse(many.text)) == []
        assert selected(many.node) == left


@pytest.mark.parametrize("operation", operations())
def test_an_operation_without_all_it_can_miss_is_valid(operation: str) -> None:
    smaller = document(operation, droppable(operation))
    assert validate(published(), parse(smaller.text)) == []
    assert selected(smaller.node).isdisjoint(droppable(operation))
    nothing = document(operation, frozenset(field for owner, field in EVERY if owner == operation))
    assert validate(published(), parse(nothing.text)) == []
    assert "{__typename}" in nothing.text


def test_a_selection_left_empty_keeps_its_type() -> None:
    text = document("contact", frozenset({"List.id", "List.name"})).text
    assert "lists{__typename}" in text
    assert "__typename" not in document("contact", frozenset({"List.name"})).text


def test_a_fragment_that_is_no_longer_needed_is_left_out() -> None:
    assert "ContactColumns" in document("inbox").text
    assert "ContactColumns" not in document("inbox", frozenset({"InboxMessage.contact"})).text


def test_a_field_is_known_by_its_type() -> None:
    text = document("inbox", frozenset({"Account.name"})).text
    assert "name" in text.split("fragment ContactColumns")[1]
    assert "name" not in text.split("fragment AccountColumns")[1].split("}fragment")[0].replace("companyName", "")


@pytest.mark.parametrize("absent", ["Wave.sentBy", "Message.nonsense", "Nonsense.id", "nonsense", ""])
def test_a_field_that_is_not_there_is_no_error(absent: str) -> None:
    assert document("message", frozenset({absent})).text == document("message").text


def test_a_question_cannot_be_left_out() -> None:
    with pytest.raises(ValueError, match=r"Query\.message is the question itself"):
        document("message", frozenset({"Query.message"}))


def test_reduced_documents_are_made_once_and_leave_the_whole_one_alone() -> None:
    before = document("message").text
    without = frozenset({"Message.body"})
    assert document("message", without) is document("message", frozenset({"Message.body"}))
    assert aliased("message", 7, without) is aliased("message", 7, frozenset({"Message.body"}))
    assert aliased("message", 7, without) is not aliased("message", 7)
    document.cache_clear()
    assert document("message").text == before


def test_a_mutation_is_still_no_query() -> None:
    with pytest.raises(ValueError, match="is a mutation"):
        query("createMessage", frozenset({"Message.body"}))


async def test_the_smaller_question_is_what_travels(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(data(message={"id": "1"}), data(a0={"id": "1"}, a1={"id": "2"}))
    without = frozenset({"Message.body"})
    await client.query("message", {"id": "1"}, without=without)
    await client.query_each("message", [{"id": "1"}, {"id": "2"}], without=without)
    assert [asked.query for asked in volt.asked] == [
        document("message", without).text,
        aliased("message", 2, without).text,
    ]
    assert "body" not in volt.asked[0].query
