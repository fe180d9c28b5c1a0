"""The sandbox's rate limits: how many pass, when, and what the others are told."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

from volt_pipeline.sandbox.rate_limits import FixedWindow, RateLimit, TokenBucket
from volt_pipeline.sandbox.server import Recorded, Sandbox


class Hand:
    now = 100.0

    def passed(self, limit: RateLimit, times: int, seconds: float = 0.0) -> int:
        """How many of so many requests passed, `seconds` after the last ones."""
        self.now += seconds
        return sum(limit.admits() for _ in range(times))


def test_a_window_lets_so_many_pass_and_begins_anew() -> None:
    hand = Hand()
    limit = FixedWindow(3, 2.0, clock=lambda: hand.now)
    assert [hand.passed(limit, 5, seconds) for seconds in (0.0, 1.9, 0.1, 20.0)] == [3, 0, 3, 3]


def test_a_bucket_fills_with_time_up_to_its_burst() -> None:
    hand = Hand()
    limit = TokenBucket(10, burst=5, clock=lambda: hand.now)
    assert [hand.passed(limit, 9, seconds) for seconds in (0.0, 0.125, 0.375, 64.0)] == [5, 1, 4, 5]


def test_what_does_not_pass_is_told_and_not_carried_out(sandbox: Sandbox) -> None:
    target = urlsplit(sandbox.url)
    mutation = 'mutation register { registerWebhook(url: "https://example.com/a") { id url } }'
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {sandbox.token}"}
    told = []
    for retry_after in (None, 7):
        sandbox.faults.rate_limit = FixedWindow(0, retry_after=retry_after)
        connection = http.client.HTTPConnection(str(target.hostname), target.port, timeout=20)
        connection.request("POST", target.path, json.dumps({"query": mutation}), headers)
        response = connection.getresponse()
        told.append((response.status, response.headers["Retry-After"]))
        connection.close()
    assert told == [(429, None), (429, "7")]
    assert len(sandbox.world.webhooks) == 0
    assert sandbox.requests == [Recorded("register", ["registerWebhook"], 429)] * 2
