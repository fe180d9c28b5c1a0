"""`volt-pipeline send …`: work the outbox off, look at it, and decide what only a person may."""

from __future__ import annotations

from typing import Annotated

import typer

from volt_pipeline import settings as environment
from volt_pipeline.settings import SettingsError

app = typer.Typer(
    help="Send what waits in volt_ops.outbox, each text at most once; look at it, and decide what only a person may.",
    invoke_without_command=True,
)

IntentId = Annotated[int, typer.Argument(metavar="ID", help="The intent, as `send list` names it.")]
Most = Annotated[int, typer.Option("--most", help="Show so many at most.", min=1)]


@app.callback()
def _send(context: typer.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    from volt_pipeline.door.jobs import at_work, run_send
    from volt_pipeline.door.send_desk import show_send

    settings = environment.load()
    with at_work(settings):
        _end(show_send(settings, run_send(settings)))


@app.command("list")
def list_(most: Most = 50) -> None:
    """What is not over: what needs a person first. Exit code 1 while a text is in doubt."""
    from volt_pipeline.door.send_desk import show_list

    _end(show_list(environment.load(), most))


@app.command()
def preview(most: Most = 50) -> None:
    """What waits, before it goes: segments, recipients, their local time, the cost. Asks nothing of Volt."""
    from volt_pipeline.door.send_preview import show_preview

    _end(show_preview(environment.load(), most))


@app.command()
def resolve(
    intent_id: IntentId,
    retry: Annotated[bool, typer.Option("--retry", help="Send it (again): it goes back into the queue.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Never send it (again).")] = False,
    why: Annotated[str, typer.Option("--why", help="For the record.")] = "",
) -> None:
    """Say what is known of a text in doubt and what is not; decide it with --retry or --abandon."""
    from volt_pipeline.door.send_desk import resolve as decide

    if retry and abandon:
        raise SettingsError("--retry and --abandon exclude each other: give one.")
    decision = "retry" if retry else "abandon" if abandon else ""
    _end(decide(environment.load(), intent_id, decision=decision, why=why))


@app.command()
def cancel(intent_id: IntentId) -> None:
    """Take back an intent that is queued or held."""
    from volt_pipeline.door.send_desk import cancel as take_back

    _end(take_back(environment.load(), intent_id))


@app.command("kill-switch")
def kill_switch(
    position: Annotated[str, typer.Argument(metavar="on|off", help="on stops all sending, off lets it go on.")],
    why: Annotated[str, typer.Option("--why", help="For the record.")] = "",
) -> None:
    """Stop all sending from this warehouse, from the next text on, or let it go on."""
    from volt_pipeline.door.send_desk import switch

    if position not in ("on", "off"):
        raise SettingsError(f"The kill switch is on or off, not {position!r}.")
    _end(switch(environment.load(), position == "on", why))


def _end(well: bool) -> None:
    if not well:
        raise typer.Exit(1)
