"""`volt-pipeline webhooks …`: receive events, and register, list or delete webhooks at Volt."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from volt_pipeline import settings as environment
from volt_pipeline.settings import SettingsError

app = typer.Typer(help="Receive Volt's events, and register where it sends them.", no_args_is_help=True)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8030,
) -> None:
    """Receive events at POST /volt and keep them in volt_ops.webhook_events; until it is told to stop."""
    from volt_pipeline.door.console import say
    from volt_pipeline.reception import receive
    from volt_pipeline.webhooks.keys import load_keys
    from volt_pipeline.workplace import warehouse

    settings = environment.load_receiver()
    keys = load_keys(settings.webhooks.key_files)  # without one, nothing is opened
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # a stranger's garbage is worth no line each

    def ready(url: str) -> None:
        say(f"Receiving events at {url}/volt, verified by {' or '.join(keys.fingerprints)}.")

    with warehouse(settings) as warehouse_url:
        try:
            receive(settings.webhooks, warehouse_url, keys, host=host, port=port, on_ready=ready)
        except OSError as error:
            raise SettingsError(
                f"{host}, port {port}, cannot be opened ({error.strerror}); name another with --host and --port."
            ) from None


@app.command()
def register(url: Annotated[str, typer.Argument(help="Where the receiver is reached, https://…/volt.")]) -> None:
    """Have Volt post events to a URL; a URL that is registered already is left as it is."""
    from volt_pipeline.defs.resources import Pipeline
    from volt_pipeline.door.console import say

    done = Pipeline().register_webhook(url)
    state = "is registered now" if done.is_new else "was registered already"
    say(f"{done.webhook.url} {state}, as webhook {done.webhook.id}.")
    if done.duplicates:
        ids = ", ".join(webhook.id for webhook in done.duplicates)
        say(f"Volt holds it more than once, and sends each event as often. Delete the others: {ids}.")


@app.command("list")
def list_() -> None:
    """The webhooks that Volt holds."""
    from volt_pipeline.defs.resources import Pipeline
    from volt_pipeline.door.console import say, table
    from volt_pipeline.registration import list_webhooks

    found = Pipeline().ask(list_webhooks)
    if found:
        table(("id", "url", "created"), [(each.id, each.url, each.created_at) for each in found])
    else:
        say("Volt holds no webhooks.")


@app.command()
def delete(webhook_id: Annotated[str, typer.Argument(metavar="ID", help="As `webhooks list` shows it.")]) -> None:
    """Have Volt forget a webhook."""
    from volt_pipeline.defs.resources import Pipeline
    from volt_pipeline.door.console import say

    gone = Pipeline().delete_webhook(webhook_id)
    say(f"Webhook {gone.id} ({gone.url}) is deleted.")
