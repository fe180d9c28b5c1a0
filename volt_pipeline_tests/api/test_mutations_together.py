"""One mutation for several items in one document: sent once, each item told apart as far as Volt tells them apart."""

from __future__ import annotations

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.errors import ContractError, TooComplex, TransientError, VoltError

from .scripted import Say, ScriptedVolt, data, failing

ITEMS = [{"id": str(number)} for number in range(3)]


async def test_each_item_has_its_answer_in_order(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(data(**{f"a{number}": {"id": str(number)} for number in range(3)}))
    replies = await client.mutate_each("deleteWebhook", ITEMS)
    assert [reply.value for reply in replies] == ITEMS
    assert [asked.items for asked in volt.asked] == [ITEMS]


async def test_one_error_leaves_the_others_in_doubt(client: VoltClient, volt: ScriptedVolt) -> None:
    volt.says(failing("phoneNumber is wrong", "BAD_USER_INPUT", path=["a1"], data=None))
    errors = [reply.error for reply in await client.mutate_each("deleteWebhook", ITEMS)]
    assert all(isinstance(error, TransientError) and error.ambiguous for error in errors)
    blamed = [error for error in errors if isinstance(error, TransientError) and error.because]
    assert blamed == [errors[1]]
    assert isinstance(blamed[0].because, ContractError)
    assert [isinstance(error, TransientError) and error.beside for error in errors] == [True, False, True]
    assert len(volt.asked) == 1


@pytest.mark.parametrize(
    ("say", "kind", "ambiguous"),
    [
        (Say(b"", 502), TransientError, True),
        (Say(drop=True), TransientError, True),
        (failing("boom", data=None), TransientError, True),
        (failing("Query is too complex"), TooComplex, False),
        (failing("Query is too complex", data=None), TransientError, True),
    ],
    ids=["502", "dropped", "nobody blamed", "refused", "too complex, after it began"],
)
async def test_what_concerns_all_is_raised(
    client: VoltClient, volt: ScriptedVolt, say: Say, kind: type[VoltError], ambiguous: bool
) -> None:
    volt.says(say)
    with pytest.raises(VoltError) as caught:
        await client.mutate_each("deleteWebhook", ITEMS)
    assert type(caught.value) is kind
    assert getattr(caught.value, "ambiguous", False) is ambiguous
    assert len(volt.asked) == 1


async def test_what_the_document_does_not_have_is_never_sent(client: VoltClient, volt: ScriptedVolt) -> None:
    with pytest.raises(TypeError, match="has no variable force"):
        await client.mutate_each("deleteWebhook", [{"id": "1"}, {"id": "2", "force": True}])
    with pytest.raises(ValueError, match="contact is a query"):
        await client.mutate_each("contact", [{}])
    assert volt.asked == []
