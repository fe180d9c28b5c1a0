"""Webhooks delivered: each message sent, received or finalized is posted, signed, to every registered URL.

One thread beside the server, so that a slow receiver never holds the world up. An answer other than 2xx is tried again
a few times, as a courier would; what stays undelivered is lost, and a sync has to find it.
"""

from __future__ import annotations

import json
import queue
import threading
import time
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.error import URLError

from .entities import Message, bad_input
from .paging import stamp
from .signing import Signer
from .world import World

TRIES = 4
_WAIT_SECONDS = 0.25  # before the second try; then ever longer
_ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Event:
    """What is posted: signed anew at each try, since its time stands under the signature."""

    identity: str
    body: bytes = field(repr=False)


def event_of(kind: str, message: Message) -> Event:
    """The event of a message, in the form in which Volt's are known: {"payload": {"event_type": …}}."""
    payload = {
        "event_type": kind,
        "id": message.id,
        "type": "mms" if message.media else "sms",
        "direction": "inbound" if message.from_number == message.contact.phone_number else "outbound",
        "from_number": message.from_number,
        "to_number": message.to_number,
        "text": message.body,
        "status": message.status,
        "sent_at": stamp(message.sent_at),
    }
    return Event(f"msg_{uuid.uuid4().hex}", json.dumps({"payload": payload}).encode())


class Courier:
    """Posts events. `delivered` and `lost` count tries that ended; `wait` returns when nothing is under way."""

    def __init__(self, world: World, signer: Signer, *, signs_tests: bool = True) -> None:
        self.world, self.signer, self.signs_tests = world, signer, signs_tests
        self.delivered = self.lost = 0
        self._queue: queue.Queue[Event | None] = queue.Queue()

    def note(self, kind: str, message: Message) -> None:
        """Something happened to a message; its event is on its way."""
        if self.world.ledger.webhooks:
            self._queue.put(event_of(kind, message))

    def vet(self, url: str) -> None:
        """The test request of a registration; raises Refused where it is not answered by a 2xx."""
        test = Event(f"test_{uuid.uuid4().hex}", b'{"payload": {"event_type": "webhook.test"}}')
        if not self.post(url, test, signed=self.signs_tests):
            raise bad_input("url did not answer the test request")

    def wait(self) -> None:
        """Until every event noted so far was delivered or given up."""
        self._queue.join()

    def work(self) -> None:
        """Deliver until `stop`."""
        while (event := self._queue.get()) is not None:
            for webhook in self.world.webhooks:
                self._deliver(webhook.url, event)
            self._queue.task_done()
        self._queue.task_done()

    def stop(self) -> None:
        """Deliver what was noted, then end."""
        self._queue.put(None)

    def _deliver(self, url: str, event: Event) -> None:
        for attempt in range(TRIES):
            if self.post(url, event):
                self.delivered += 1
                return
            time.sleep(_WAIT_SECONDS * 2**attempt)
        self.lost += 1

    def post(self, url: str, event: Event, *, signed: bool = True) -> bool:
        """One try; whether it was answered by a 2xx."""
        headers = {"Content-Type": "application/json"}
        if signed:
            headers |= self.signer.headers(event.body, event.identity, datetime.now(UTC))
        request = urllib.request.Request(url, event.body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS) as answer:  # noqa: S310
                return bool(200 <= answer.status < 300)
        except (URLError, OSError, ValueError):
            return False


@contextmanager
def delivering(world: World, signer: Signer, *, signs_tests: bool = True) -> Iterator[Courier]:
    """While the block lasts, the world's news are posted, and a registration is tested first.

    Nobody knows whether Volt signs that test: `signs_tests` is for both.
    """
    courier = Courier(world, signer, signs_tests=signs_tests)
    thread = threading.Thread(target=courier.work, name="volt-sandbox-courier", daemon=True)
    thread.start()
    world.ledger.watchers.append(courier.note)
    world.vet_webhook = courier.vet
    try:
        yield courier
    finally:
        world.ledger.watchers.remove(courier.note)
        world.vet_webhook = None
        courier.stop()
        thread.join(timeout=30)


__all__ = ["Courier", "Event", "delivering", "event_of"]
