"""The receiving process, put together: keys from pinned files, the server, and the warehouse behind it.

Composes `webhooks/` and `warehouse/`. It holds no token and asks nothing of Volt.
"""

from __future__ import annotations

from collections.abc import Callable

from volt_pipeline.settings import WebhookSettings
from volt_pipeline.warehouse.webhook_events import EventShelf
from volt_pipeline.webhooks.keys import Keys
from volt_pipeline.webhooks.receiver import Receiver
from volt_pipeline.webhooks.server import serve
from volt_pipeline.webhooks.signature import Verifier


def build_receiver(settings: WebhookSettings, warehouse_url: str, keys: Keys) -> Receiver:
    """A receiver that keeps events in this warehouse, which must be prepared."""
    verifier = Verifier(keys, settings.hash_name, settings.padding_name, settings.encoding, settings.tolerance)
    return Receiver(verifier, EventShelf(warehouse_url, settings.retention_days), rate=settings.rate)


def receive(
    settings: WebhookSettings,
    warehouse_url: str,
    keys: Keys,
    *,
    host: str,
    port: int,
    on_ready: Callable[[str], None],
) -> None:
    """Receive until SIGINT or SIGTERM. `on_ready` is told the URL once. Raises OSError for a port that is taken."""
    serve(build_receiver(settings, warehouse_url, keys), host=host, port=port, on_ready=on_ready)
