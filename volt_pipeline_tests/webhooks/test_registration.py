"""Registering, listing and deleting webhooks: one registration a URL, and Volt's test request answered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from volt_pipeline.api.errors import VoltError
from volt_pipeline.registration import RegistrationFailed, delete, list_webhooks, register
from volt_pipeline.sandbox.courier import Courier, delivering
from volt_pipeline.sandbox.disturbances import reset
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.signing import Signer
from volt_pipeline.webhooks.addresses import AddressRefused
from volt_pipeline_tests.syncing import client, new_world
from volt_pipeline_tests.warehouse.loading import ask
from volt_pipeline_tests.webhooks.hinting import until
from volt_pipeline_tests.webhooks.receiving import Post, receiving

ELSEWHERE = "https://hooks.example.com/volt"


@pytest.fixture
def volt() -> Iterator[Sandbox]:
    with running(new_world(accounts=1, contacts=3)) as sandbox:
        yield sandbox


@pytest.fixture
def receiver(warehouse_url: str, signer: Signer) -> Iterator[Post]:
    """A receiver that looks for registrations all the time."""
    with receiving(warehouse_url, signer, watch_seconds=0.05) as post:
        yield post


@pytest.fixture(params=[True, False], ids=["signed test", "unsigned test"])
def courier(request: pytest.FixtureRequest, volt: Sandbox, signer: Signer) -> Iterator[Courier]:
    """Volt delivers, and tests a registration: nobody knows whether that request is signed."""
    with delivering(volt.world, signer, signs_tests=request.param) as courier:
        yield courier


def attempts(post: Post) -> list[tuple[object, ...]]:
    columns = "noticed_at IS NOT NULL, closed_at IS NOT NULL, outcome"
    return ask(post.warehouse, f"SELECT {columns} FROM volt_ops.webhook_registrations ORDER BY id")


async def test_a_registration_and_the_first_event(volt: Sandbox, courier: Courier, receiver: Post) -> None:
    url = f"{receiver.url}/volt"
    async with client(volt) as asking:
        done = await register(asking, receiver.warehouse, url, allow_private=True)
        assert (done.webhook.url, done.is_new, list(done.duplicates)) == (url, True, [])
        again = await register(asking, receiver.warehouse, url.upper().replace("/VOLT", "/volt"), allow_private=True)
        assert (again.webhook, again.is_new) == (done.webhook, False)
        assert await list_webhooks(asking) == [done.webhook]
    assert len(volt.world.webhooks) == 1
    assert attempts(receiver) == [(True, True, "registered")]
    message = volt.world.hear(volt.world.contacts[0], "news")
    courier.wait()
    assert (courier.delivered, courier.lost) == (1, 0)
    ((last,),) = receiver.kept("convert_from(body, 'UTF8')::jsonb")[-1:]
    assert last["payload"]["id"] == message.id
    tests = ask(receiver.warehouse, "SELECT count(*) FROM volt_ops.webhook_events WHERE body LIKE '%webhook.test%'")
    assert tests == [(1 if courier.signs_tests else 0,)]


async def test_an_unsigned_request_is_answered_only_while_a_registration_is_open(
    volt: Sandbox, receiver: Post, signer: Signer
) -> None:
    answers = []

    def ask_unsigned(_url: str) -> None:
        answers.append(receiver.request(b"a test")[0])
        answers.append(receiver.request(b"a test", {"X-Respond-Flow-Signature": "bm8="})[0])

    assert receiver.request(b"a test") == (401, b"")
    volt.world.vet_webhook = ask_unsigned
    async with client(volt) as asking:
        await register(asking, receiver.warehouse, f"{receiver.url}/volt", allow_private=True)
    assert answers == [200, 401]
    await until(lambda: receiver.request(b"a test") == (401, b""))
    assert receiver.kept() == []


async def test_without_a_receiver_nothing_is_asked_of_volt(volt: Sandbox, warehouse_url: str) -> None:
    async with client(volt) as asking:
        with pytest.raises(RegistrationFailed, match=r"^No receiver is up.*webhooks serve"):
            await register(asking, warehouse_url, "http://127.0.0.1:9/volt", allow_private=True, notice_seconds=0.2)
    assert volt.world.webhooks == []
    columns = "SELECT outcome, closed_at IS NOT NULL FROM volt_ops.webhook_registrations"
    assert ask(warehouse_url, columns) == [("refused", True)]


async def test_a_url_that_does_not_answer_is_not_registered(volt: Sandbox, courier: Courier, receiver: Post) -> None:
    async with client(volt) as asking:
        with pytest.raises(RegistrationFailed, match=r"has not registered.*must reach the receiver"):
            await register(asking, receiver.warehouse, f"{receiver.url}/elsewhere", allow_private=True)
    assert attempts(receiver) == [(True, True, "refused")]


@pytest.mark.parametrize("took_effect", [True, False])
async def test_a_lost_answer_is_looked_up(volt: Sandbox, receiver: Post, took_effect: bool) -> None:
    volt.faults.disturb(reset(), times=1, when=lambda asked: asked.is_mutation, after_effect=took_effect)
    async with client(volt) as asking:
        registering = register(asking, receiver.warehouse, f"{receiver.url}/volt", allow_private=True)
        if took_effect:
            assert (await registering).is_new
        else:
            with pytest.raises(RegistrationFailed, match="has not registered"):
                await registering
    assert attempts(receiver) == [(True, True, "registered" if took_effect else "unknown")]


async def test_an_address_that_is_not_public_is_refused_before_anything_else(volt: Sandbox, warehouse_url: str) -> None:
    async with client(volt) as asking:
        for url in ("http://hooks.example.com/volt", "https://127.0.0.1/volt", "https://localhost/volt"):
            with pytest.raises(AddressRefused):
                await register(asking, warehouse_url, url)
    assert volt.requests == []
    assert ask(warehouse_url, "SELECT count(*) FROM volt_ops.webhook_registrations") == [(0,)]


async def test_duplicates_are_told(volt: Sandbox, warehouse_url: str) -> None:
    ids = [volt.world.mutate("registerWebhook", {"url": url}).id for url in (ELSEWHERE, ELSEWHERE, "http://odd/")]
    async with client(volt) as asking:
        done = await register(asking, warehouse_url, ELSEWHERE, allow_private=True)
        assert (done.webhook.id, done.is_new) == (ids[0], False)
        assert [webhook.id for webhook in done.duplicates] == [ids[1]]
        assert (await delete(asking, ids[1])).url == ELSEWHERE
        assert [webhook.id for webhook in await list_webhooks(asking)] == [ids[0], ids[2]]
        with pytest.raises(RegistrationFailed, match=f"Volt holds no webhook '{ids[1]}'"):
            await delete(asking, ids[1])
        volt.faults.revoked = "401"
        with pytest.raises(VoltError):
            await list_webhooks(asking)
