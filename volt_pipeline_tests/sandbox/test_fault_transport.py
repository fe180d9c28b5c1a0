"""Requests that go wrong on their way: what the client meets, and what has become of the world meanwhile."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.faults import Asked, Faults
from volt_pipeline.sandbox.server import Recorded, Sandbox, running
from volt_pipeline.sandbox.world import World

from .conftest import ask

QUERY = "query hooks { webhooks { id url } }"
MUTATION = 'mutation register { registerWebhook(url: "https://example.com/a") { id url } }'


class Answer:
    """One POST as the wire shows it; urllib would hide the half of it."""

    def __init__(self, sandbox: Sandbox, query: str = QUERY, timeout: float = 20) -> None:
        target = urlsplit(sandbox.url)
        connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=timeout)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {sandbox.token}"}
        try:
            connection.request("POST", target.path, json.dumps({"query": query}), headers)
            response = connection.getresponse()
            self.status, self.headers, self.body = response.status, response.headers, response.read()
        finally:
            connection.close()


@pytest.fixture(autouse=True)
def _unharmed(sandbox: Sandbox) -> Iterator[None]:
    """Whatever was on: once it is off, the server answers rightly."""
    yield
    sandbox.faults = Faults()
    assert "errors" not in ask(sandbox, QUERY)


STATUSES: list[tuple[Disturbance, int, str, bytes]] = [
    (disturbances.http_error(), 500, "text/plain", b"Internal Server Error"),
    (disturbances.http_error(503, b"{}", "application/json"), 503, "application/json", b"{}"),
    (disturbances.bad_gateway(), 502, "text/html", b"<h1>502 Bad Gateway</h1>"),
    (disturbances.html(), 200, "text/html", b"<!doctype html>"),
    (disturbances.too_many_requests(), 429, "text/plain", b"Too Many Requests"),
    (disturbances.rate_limited(), 200, "application/json", b'"extensions":{"code":"RATE_LIMITED"}'),
    (
        disturbances.graphql_error("No", data=None),
        200,
        "application/json",
        b'{"errors":[{"message":"No"}],"data":null}',
    ),
    (disturbances.empty_body(), 200, "application/json", b""),
    (disturbances.null_data(), 200, "application/json", b'{"data":null}'),
    (disturbances.not_an_object(), 200, "application/json", b'["data"]'),
    (disturbances.redirect("/elsewhere"), 302, "", b""),
]


@pytest.mark.parametrize(("disturbance", "status", "media_type", "body"), STATUSES)
def test_answers_may_be_others(
    sandbox: Sandbox, disturbance: Disturbance, status: int, media_type: str, body: bytes
) -> None:
    sandbox.faults.disturb(disturbance, times=1)
    met = Answer(sandbox)
    assert met.status == status
    assert (met.headers["Content-Type"] or "").startswith(media_type)
    assert body in met.body
    assert bool(body) == bool(met.body)
    assert sandbox.requests == [Recorded("hooks", ["webhooks"], status)]
    assert Answer(sandbox).body == b'{"data":{"webhooks":[]}}'


def test_retry_after_may_be_seconds_a_date_or_nonsense(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.too_many_requests(7), times=1)
    sandbox.faults.disturb(disturbances.too_many_requests(disturbances.http_date(90)), times=1)
    sandbox.faults.disturb(disturbances.too_many_requests("soon"), times=1)
    seconds, date, words = (Answer(sandbox).headers["Retry-After"] for _ in range(3))
    assert (seconds, words) == ("7", "soon")
    assert 80 < parsedate_to_datetime(date).timestamp() - time.time() <= 90
    assert date.endswith("GMT")


def test_a_redirect_names_its_place(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.redirect("https://example.com/login", 307))
    met = Answer(sandbox)
    assert (met.status, met.headers["Location"]) == (307, "https://example.com/login")


def test_json_may_end_in_the_middle(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.half_json())
    met = Answer(sandbox)
    assert met.status == 200
    assert met.body == b'{"data":{"webhooks":[]}}'[:12]


def test_the_connection_may_end_before_the_body(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.cut(), times=1)
    with pytest.raises(http.client.IncompleteRead) as torn:
        Answer(sandbox)
    assert (torn.value.partial, torn.value.expected) == (b'{"data":{"we', 12)
    assert sandbox.requests == [Recorded("hooks", ["webhooks"], 200)]


def test_the_connection_may_be_reset(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.reset(), times=1)
    with pytest.raises(ConnectionResetError):
        Answer(sandbox)
    assert sandbox.requests == [Recorded("hooks", ["webhooks"], 0)]


def test_an_answer_may_be_long_in_coming(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.stall(0.3), times=1)
    began = time.monotonic()
    assert Answer(sandbox).body == b'{"data":{"webhooks":[]}}'
    assert time.monotonic() - began >= 0.3


def test_an_answer_may_come_in_drips(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.drip(0.3, pieces=5), times=1)
    began = time.monotonic()
    assert Answer(sandbox, timeout=0.2).body == b'{"data":{"webhooks":[]}}'  # each piece comes in time
    assert time.monotonic() - began >= 0.3


# --- mutations ------------------------------------------------------------------------------------------------

LOSSES = [
    disturbances.http_error(),
    disturbances.cut(),
    disturbances.half_json(),
    disturbances.reset(),
    disturbances.null_data(),
    disturbances.stall(30),
]


@pytest.mark.parametrize("after_effect", [False, True])
@pytest.mark.parametrize("disturbance", LOSSES)
def test_an_answer_may_be_lost_before_or_after_the_effect(
    sandbox: Sandbox, disturbance: Disturbance, after_effect: bool
) -> None:
    sandbox.faults.disturb(disturbance, times=1, after_effect=after_effect)
    with suppress(OSError, http.client.HTTPException):
        assert b"https://example.com/a" not in Answer(sandbox, MUTATION, timeout=0.3).body
    assert len(sandbox.world.webhooks) == after_effect
    assert b"https://example.com/a" in Answer(sandbox, MUTATION).body
    assert len(sandbox.world.webhooks) == after_effect + 1


def test_a_mutation_that_is_only_late_has_its_effect_once(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.stall(0.1), times=1)
    assert b"https://example.com/a" in Answer(sandbox, MUTATION).body
    assert len(sandbox.world.webhooks) == 1


def test_a_client_that_gives_up_is_recorded_as_without_an_answer(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.stall(30), times=1)
    with pytest.raises(TimeoutError):
        Answer(sandbox, MUTATION, timeout=0.1)
    deadline = time.monotonic() + 10
    while not sandbox.requests:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert sandbox.requests == [Recorded("register", ["registerWebhook"], 0)]


# --- which requests -------------------------------------------------------------------------------------------


def test_every_kth_request_may_be_struck(sandbox: Sandbox) -> None:
    trouble = sandbox.faults.disturb(disturbances.http_error(), every=3)
    assert [Answer(sandbox).status for _ in range(7)] == [200, 200, 500, 200, 200, 500, 200]
    assert trouble.hits == 2


def test_requests_may_be_chosen_by_what_they_ask(sandbox: Sandbox) -> None:
    asked: list[Asked] = []

    def is_meant(one: Asked) -> bool:
        asked.append(one)
        return "registerWebhook" in one.root_fields

    sandbox.faults.disturb(disturbances.http_error(), times=2, when=is_meant)
    sandbox.faults.disturb(disturbances.bad_gateway(), when=lambda one: one.operation == "hooks")
    assert [Answer(sandbox, text).status for text in (QUERY, MUTATION, MUTATION, MUTATION)] == [502, 500, 500, 200]
    assert [one.is_mutation for one in asked[:2]] == [False, True]
    sandbox.faults.troubles.clear()
    assert Answer(sandbox).status == 200


def test_what_is_refused_anyway_is_not_counted(sandbox: Sandbox) -> None:
    sandbox.faults.disturb(disturbances.bad_gateway(), times=1)
    assert Answer(sandbox, "{ nothing }").status == 400
    assert Answer(sandbox).status == 502


def test_bytes_may_be_rewritten(sandbox: Sandbox) -> None:
    sandbox.faults.rewrite = lambda asked, right: b"\xef\xbb\xbf" + right.replace(b"[]", b"NaN")
    assert Answer(sandbox).body == b'\xef\xbb\xbf{"data":{"webhooks":NaN}}'


def test_no_noise_and_no_lost_connections_in_a_row(sandbox: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    broken = [disturbances.reset(), disturbances.cut()] * 5
    for disturbance in broken:
        sandbox.faults.disturb(disturbance, times=1)
    for _ in broken:
        with pytest.raises((OSError, http.client.HTTPException)):
            Answer(sandbox)
    assert Answer(sandbox).status == 200
    assert capfd.readouterr().err == ""


def test_one_connection_serves_on_after_faults_that_leave_it_whole(sandbox: Sandbox) -> None:
    target = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=20)
    headers = {"Authorization": f"Bearer {sandbox.token}"}
    sandbox.faults.disturb(disturbances.half_json(), times=1)
    sandbox.faults.disturb(disturbances.empty_body(), times=1)
    held: list[socket.socket | None] = []
    for _ in range(3):
        connection.request("POST", target.path, json.dumps({"query": QUERY}), headers)
        connection.getresponse().read()
        held.append(connection.sock)
    assert held[0] is held[2] is not None
    connection.close()


# --- too complex ----------------------------------------------------------------------------------------------


def test_the_limit_of_root_fields_may_change_while_the_server_runs(sandbox: Sandbox, world: World) -> None:
    two = "{ a: webhooks { id } b: webhooks { id } }"
    refusal: Any = {"errors": [{"message": "Query is too complex", "extensions": {"code": "QUERY_TOO_COMPLEX"}}]}
    sandbox.faults.max_root_fields = 1
    assert ask(sandbox, two) == refusal
    assert "data" in ask(sandbox, QUERY)
    sandbox.faults.max_root_fields = 2
    assert "data" in ask(sandbox, two)
    with running(world, max_root_fields=1, faults=Faults(max_root_fields=2)) as strict:
        assert ask(strict, two) == refusal


def test_repeated_roots_may_be_refused(sandbox: Sandbox) -> None:
    sandbox.faults.refuse_repeated_roots = True
    assert "errors" in ask(sandbox, "{ a: webhooks { id } b: webhooks { id } }")
    assert ask(sandbox, '{ webhooks { id } wave(id: "1") { id } }')["data"] == {"webhooks": [], "wave": None}
