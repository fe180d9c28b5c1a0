"""What assets and ops are given: one resource that opens the workplace when a run needs it, never at import."""

from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

from volt_pipeline import settings as environment
from volt_pipeline.activate.guard import Guard
from volt_pipeline.api.client import VoltClient
from volt_pipeline.defs import interrupts
from volt_pipeline.extract.reader import Observer
from volt_pipeline.refresh import RefreshReport, refresh
from volt_pipeline.registration import Registered, Webhook, delete, register
from volt_pipeline.report import PushReport, SyncReport
from volt_pipeline.send import SendReport, send, standing
from volt_pipeline.sending.permission import Limits
from volt_pipeline.sync import TABLES, first_cause, introduce, silent, sync
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.webhook_events import event_figures, has_news
from volt_pipeline.workplace import Workplace, warehouse, workplace

if TYPE_CHECKING:
    from volt_pipeline.warehouse.pushes import PushVerdict

# Pushes are planned by pandas, which is imported only where a push is meant: it takes half as long as Dagster.

Report = TypeVar("Report")
_REFRESH_REQUESTS = 4  # in flight for news: a sync may be at work beside them
VOLT_POOL = "volt_api"  # of the steps that ask Volt: an instance may limit how many do at once (docs/scaling.md)


@dataclass(frozen=True)
class Pipeline:
    """Volt and the warehouse, for one code location.

    Settings come from the environment of the process that runs the step; `demo` ignores what points to a real Volt
    or warehouse. `observe` is told of the progress.
    """

    demo: bool = False
    observe: Observer = silent

    @contextmanager
    def open(self, accounts: Collection[str] = ()) -> Iterator[Workplace]:
        """The workplace for these accounts (all configured ones when none is named)."""
        settings = environment.load(demo=self.demo)
        phones = environment.phones(",".join(accounts), "accounts") if accounts else ()
        with workplace(settings, phones) as place:
            yield place

    @contextmanager
    def open_warehouse(self) -> Iterator[Workplace]:
        """The warehouse alone, for steps that ask nothing of Volt."""
        settings = environment.load(demo=self.demo)
        with warehouse(settings) as url:
            yield Workplace(settings, "", "", url, ())

    def fan_out(self) -> tuple[str, ...]:
        """The accounts that get a run each; none where one run reads them all."""
        settings = environment.load(demo=self.demo)
        return settings.accounts if settings.fan_out else ()

    def rejects_of(self, run_id: str) -> list[tuple[str, str, int]]:
        """(stream, reason, count) of what this run could not store or read."""
        with self.open_warehouse() as place, psycopg.connect(conninfo(place.warehouse_url)) as connection:
            return connection.execute(query("rejects_of_run"), {"run_id": run_id}).fetchall()

    def sync(
        self, run_id: str, *, accounts: Collection[str] = (), tables: Collection[str] = TABLES, full: bool = False
    ) -> SyncReport:
        """Bring `tables` up to date; see `volt_pipeline.sync.sync`."""

        async def work(place: Workplace, volt: VoltClient) -> SyncReport:
            workers = place.settings.concurrency
            is_one_of_many = place.settings.fan_out and bool(accounts)
            if is_one_of_many:
                await introduce(volt, place.warehouse_url, place.settings.accounts, run_id=run_id)
            return await sync(
                volt,
                place.warehouse_url,
                place.phones,
                run_id=run_id,
                tables=tables,
                full=full,
                workers=workers,
                observe=self.observe,
                measure=not is_one_of_many,  # once, by the checks of marts_job
            )

        return self._asked_of_volt(accounts, work)

    def plan(self, run_id: str, export: str, accounts: Collection[str] = ()) -> PushReport:
        """Plan the push of one export; see `volt_pipeline.push.plan`."""
        from volt_pipeline.push import plan

        with self.open(accounts) as place:
            return plan(place.warehouse_url, place.phones, export, run_id=run_id)

    def push(
        self,
        run_id: str,
        export: str,
        accounts: Collection[str] = (),
        *,
        plan_id: str = "",
        exactly: bool = False,
        permitted: int | None = None,
    ) -> PushReport:
        """Push one export; see `volt_pipeline.push.push`."""
        from volt_pipeline.push import push

        async def work(place: Workplace, volt: VoltClient) -> PushReport:
            settings = place.settings
            return await push(
                volt,
                place.warehouse_url,
                place.phones,
                export,
                run_id=run_id,
                plan_id=plan_id,
                exactly=exactly,
                guard=Guard(settings.push_max_share, settings.push_max_shrink, permitted),
                observe=self.observe,
            )

        return self._asked_of_volt(accounts, work)

    def planned_export(self, plan_id: str) -> str:
        """Which export a stored plan is of."""
        from volt_pipeline.warehouse.pushes import find_plan

        with self.open_warehouse() as place:
            return find_plan(place.warehouse_url, plan_id).export

    def push_verdicts(self, run_id: str | None = None) -> "list[PushVerdict]":
        """How the pushes of a run ended; without a run, the last push of each export."""
        from volt_pipeline.warehouse.pushes import push_verdicts

        with self.open_warehouse() as place:
            return push_verdicts(place.warehouse_url, run_id)

    def send(self, run_id: str) -> SendReport:
        """Work the outbox off; see `volt_pipeline.send.send`."""

        async def work(place: Workplace, volt: VoltClient) -> SendReport:
            settings = place.settings
            return await send(
                volt,
                place.warehouse_url,
                place.phones,
                run_id=run_id,
                enabled=settings.send_enabled,
                limits=Limits(settings.send_per_run, settings.send_per_recipient),
                observe=self.observe,
            )

        return self._asked_of_volt((), work)

    def outbox(self) -> dict[str, int]:
        """How many intents are in which state."""
        with self.open_warehouse() as place:
            return standing(place.warehouse_url)

    def receives_events(self) -> bool:
        """Whether webhook events can come in at all: a key is named here, or the warehouse may be filled elsewhere."""
        settings = environment.load(demo=self.demo)
        return bool(settings.webhooks.key_files or settings.warehouse_url)

    def has_events(self) -> bool:
        """Whether a webhook event waits to be taken up, or was held for long enough."""
        with self.open_warehouse() as place:
            return has_news(place.warehouse_url, place.settings.webhooks.retention_days)

    def event_figures(self) -> dict[str, int | float]:
        """The last week's events in figures, and who found news first; see `warehouse.webhook_events`."""
        with self.open_warehouse() as place:
            return event_figures(place.warehouse_url)

    def refresh(self, run_id: str, *, linger: float = 0.0, longest: float = 300.0) -> RefreshReport:
        """Read again what webhook events hint at; see `volt_pipeline.refresh.refresh`."""

        async def work(place: Workplace, volt: VoltClient) -> RefreshReport:
            return await refresh(
                volt,
                place.warehouse_url,
                place.phones,
                run_id=run_id,
                retention_days=place.settings.webhooks.retention_days,
                linger=linger,
                longest=longest,
                observe=self.observe,
            )

        return self._asked_of_volt((), work, at_most=_REFRESH_REQUESTS)

    def register_webhook(self, url: str) -> Registered:
        """Have Volt post events to this URL; see `volt_pipeline.registration.register`."""

        async def work(place: Workplace, volt: VoltClient) -> Registered:
            allowed = place.settings.webhooks.allow_private
            return await register(volt, place.warehouse_url, url, allow_private=allowed)

        return self._asked_of_volt((), work)

    def delete_webhook(self, webhook_id: str) -> Webhook:
        """Have Volt forget a webhook; see `volt_pipeline.registration.delete`."""
        return self.ask(lambda volt: delete(volt, webhook_id))

    def ask(self, question: Callable[[VoltClient], Coroutine[Any, Any, Report]]) -> Report:
        """What Volt answers to one question that no warehouse is needed for."""

        async def work(_place: Workplace, volt: VoltClient) -> Report:
            return await question(volt)

        return self._asked_of_volt((), work)

    def _asked_of_volt(
        self,
        accounts: Collection[str],
        work: Callable[[Workplace, VoltClient], Coroutine[Any, Any, Report]],
        *,
        at_most: int | None = None,
    ) -> Report:
        async def connected(place: Workplace) -> Report:
            concurrency = min(place.settings.concurrency, at_most or place.settings.concurrency)
            async with VoltClient(place.api_url, place.api_token, concurrency=concurrency) as volt:
                return await work(place, volt)

        with self.open(accounts) as place:
            try:
                return interrupts.run(connected(place))
            except BaseExceptionGroup as group:
                raise first_cause(group) from None
