"""The command `volt-pipeline`: the door for people and schedulers without Dagster's UI.

`sync` and `push` execute the same Dagster jobs that the UI and the schedules run. Exit code 0 only when all went
well; what goes wrong is told in one sentence, with a traceback only under --debug.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from volt_pipeline import settings as environment
from volt_pipeline.door.send_commands import app as send
from volt_pipeline.door.webhook_commands import app as webhooks
from volt_pipeline.errors import ExplainedError
from volt_pipeline.settings import SettingsError

if TYPE_CHECKING:
    from volt_pipeline.door.jobs import JobEnd  # imported where it is needed: --help is for people who wait

app = typer.Typer(
    name="volt-pipeline",
    help="Keeps a Postgres warehouse and Volt (business text messaging) in step, both ways.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(send, name="send")
app.add_typer(webhooks, name="webhooks")

_STARTED = time.monotonic()
_debug = False


@app.callback()
def _options(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False) -> None:
    global _debug
    _debug = debug


@app.command()
def demo() -> None:
    """Sync an invented Volt into the embedded Postgres, push a small CRM back, and show what came of it."""
    from volt_pipeline.door.showing import show_demo

    _end(show_demo())


@app.command()
def sync(
    full: Annotated[bool, typer.Option("--full", help="Read everything again.")] = False,
    account: Annotated[
        list[str] | None, typer.Option(help="Only this account (its primary phone); repeatable.")
    ] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Only the raw tables: leave dbt out.")] = False,
) -> None:
    """Bring the warehouse up to date with Volt: raw tables, marts, verdict."""
    settings = environment.load()
    from volt_pipeline.door.jobs import at_work, run_sync
    from volt_pipeline.door.showing import show_sync

    with at_work(settings):
        end = _traced(run_sync(settings, accounts=account or [], full=full, with_dbt=not raw))
        _end(show_sync(settings, end, since=_STARTED))


@app.command()
def push(
    export: Annotated[str | None, typer.Argument(help="contacts or lists; both when left out.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say and keep what would be written; write nothing.")
    ] = False,
    apply: Annotated[str, typer.Option("--apply", metavar="PLAN", help="Push exactly this plan of a dry run.")] = "",
    permitted: Annotated[
        int | None,
        typer.Option("--yes-i-mean-it", metavar="N", min=1, help="Permit up to N writes, whatever their share."),
    ] = None,
) -> None:
    """Push what stands in volt_exports to Volt, by createOrUpdateContact and createOrUpdateList."""
    from volt_pipeline.door.jobs import at_work, run_push
    from volt_pipeline.door.showing import show_plans, show_push

    if export not in (None, "contacts", "lists"):
        raise SettingsError(f"There is no export {export!r}; it is contacts, lists, or nothing for both.")
    if apply and (dry_run or export):
        raise SettingsError("--apply names a plan, which says by itself what is pushed: give it alone.")
    settings = environment.load()
    with at_work(settings):
        end = _traced(run_push(settings, export=export, dry_run=dry_run, apply=apply, permitted=permitted))
        _end(show_plans(settings, end) if dry_run else show_push(settings, end))


@app.command()
def status() -> None:
    """What is held, how complete it is, what is in quarantine, and how the last runs ended."""
    from volt_pipeline.door.showing import show_status

    _end(show_status(environment.load()))


@app.command()
def rejects(
    retry: Annotated[bool, typer.Option("--retry", help="Read again what is in quarantine.")] = False,
) -> None:
    """Show what could not be stored or read (volt_ops.rejects), and try it again."""
    from volt_pipeline.door.jobs import at_work, run_sync
    from volt_pipeline.door.showing import make_rejects_due, show_rejects, show_sync

    settings = environment.load()
    if not retry:
        _end(show_rejects(settings))
    elif make_rejects_due(settings):
        with at_work(settings):
            _end(show_sync(settings, _traced(run_sync(settings, with_dbt=False)), since=_STARTED))


@app.command()
def report(
    opened: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Another file than report.html under VOLT_HOME.")
    ] = None,
) -> None:
    """Draw the picture of what is held: one HTML page on the marts, and on how far to trust them."""
    from volt_pipeline.door.drawing import draw_report

    draw_report(environment.load(), output, opened=opened)


@app.command()
def forget(
    phone: Annotated[str, typer.Argument(metavar="PHONE", help="Like +15555554321; - reads it from standard input.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    ahead: Annotated[
        bool, typer.Option("--ahead", help="Also when nothing is held: keep them out from now on.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="They are a customer again: let the next sync store them.")
    ] = False,
) -> None:
    """Erase a person from the warehouse, and keep the next syncs from bringing them back."""
    from volt_pipeline.door.forget import run_forget

    run_forget(
        environment.load(), phone, yes=yes, ahead=ahead, undo=undo, confirm=lambda text: typer.confirm(text, err=True)
    )


@app.command()
def doctor() -> None:
    """Check the settings, the token, Volt and the warehouse, and say what to mend."""
    from volt_pipeline.door.doctor import examine

    _end(examine())


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8020,
    seed: Annotated[int, typer.Option(help="Another seed, another world.")] = 1,
    accounts: Annotated[int, typer.Option(help="Accounts in the world.", min=1)] = 3,
    contacts: Annotated[int, typer.Option(help="Contacts an account.", min=1)] = 120,
    latency_ms: Annotated[float, typer.Option(help="Wait before each answer.", min=0)] = 0,
    tick_seconds: Annotated[float, typer.Option(help="How often the world moves; 0 never.", min=0)] = 5,
    journal: Annotated[Path | None, typer.Option(help="Keep the world in this file.")] = None,
    webhook_keys: Annotated[
        Path | None, typer.Option(help="Deliver webhooks, signed with keys that are made and kept in this directory.")
    ] = None,
    webhook_scheme: Annotated[str, typer.Option(help="How they are signed: rsa or ed25519.")] = "rsa",
    ready_file: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve an invented Volt on this machine, for trying things out."""
    from volt_pipeline.sandbox.courier import delivering
    from volt_pipeline.sandbox.server import TOKEN, serve
    from volt_pipeline.sandbox.signing import Signer
    from volt_pipeline.sandbox.world import World

    try:
        signer = Signer.kept_in(webhook_keys, webhook_scheme) if webhook_keys else None
        world = World.create(seed=seed, accounts=accounts, contacts=contacts, now=datetime.now(UTC), journal=journal)
    except ValueError as error:
        raise _sandbox_error(str(error)) from None

    def ready(url: str) -> None:
        phones = ",".join(account.primary_phone for account in world.accounts)
        typer.echo(f"An invented Volt answers at {url}. To sync it from another terminal:\n")
        typer.echo(f"export VOLT_API_URL={url}\nexport VOLT_API_TOKEN={TOKEN}\nexport VOLT_ACCOUNTS={phones}")
        if signer:
            typer.echo(f"export VOLT_WEBHOOK_PUBLIC_KEY_FILE={signer.public_file}  # for: volt-pipeline webhooks serve")
        if ready_file:
            partial = ready_file.with_suffix(".partial")
            partial.write_text(url, encoding="utf-8")
            partial.replace(ready_file)

    try:
        with delivering(world, signer) if signer else nullcontext():
            serve(world, port=port, latency_ms=latency_ms, tick_seconds=tick_seconds, on_ready=ready)
    except OSError as error:
        raise _sandbox_error(f"Port {port} cannot be opened ({error.strerror}); name another with --port.") from None


def _sandbox_error(sentence: str) -> ExplainedError:
    from volt_pipeline.workplace import SandboxError  # which brings the database in

    return SandboxError(sentence)


def _traced(end: JobEnd) -> JobEnd:
    """The same, after its tracebacks under --debug: a job reports its errors, it does not raise them."""
    if _debug:
        for trace in end.traces:
            typer.echo(trace, err=True)
    return end


def _end(well: bool) -> None:
    if not well:
        raise typer.Exit(1)


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(143)  # so that shared servers are let go on the way out


def main() -> None:
    """Run the command line; exit code 1 and one sentence for whatever goes wrong."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        app()
    except ExplainedError as error:
        _fail(error, str(error))
    except KeyboardInterrupt:
        from volt_pipeline.door.console import INTERRUPTED

        _fail(None, INTERRUPTED)
    except Exception as error:
        _fail(
            error,
            f"Something unexpected happened ({type(error).__name__}). Run it again with --debug before the command.",
        )


def _fail(error: BaseException | None, sentence: str) -> NoReturn:
    from volt_pipeline.door.console import complain

    if _debug and error is not None:
        raise error
    complain(sentence)
    sys.exit(1)
