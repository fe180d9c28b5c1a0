"""What a person at a terminal sees: progress while it works, tables when it is done, one sentence when it fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from volt_pipeline.extract.reader import Observer  # importing it brings the whole client in

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

INTERRUPTED = "Interrupted. What was committed stands; the next run goes on from there."

_PLAIN_SECONDS = 5.0  # between two lines of one stage, when nobody watches


@contextmanager
def progress() -> Iterator[Observer]:
    """An observer: bars with counts when a person watches, a plain line now and then when not."""
    told = _Retries()
    log = logging.getLogger("volt_pipeline.api")
    log.addHandler(told)
    log.setLevel(logging.INFO)
    try:
        with _observer() as observe:
            yield observe
    finally:
        log.removeHandler(told)


class _Retries(logging.Handler):
    """Says now and then that Volt is asked again: a sync that waits for Volt should not look dead."""

    _last = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        now = time.monotonic()
        if now - self._last >= _PLAIN_SECONDS:
            self._last = now
            err.print(record.getMessage(), markup=False)


@contextmanager
def _observer() -> Iterator[Observer]:
    if not err.is_terminal:
        yield _plain()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        tasks: dict[str, int] = {}

        def observe(stage: str, done: int, known: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None)
            bars.update(tasks[stage], completed=done, total=known or None)  # type: ignore[arg-type]

        yield observe


def _plain() -> Observer:
    told: dict[str, float] = {}

    def observe(stage: str, done: int, known: int) -> None:
        now = time.monotonic()
        if done and (now - told.get(stage, 0.0) >= _PLAIN_SECONDS or done == known):
            told[stage] = now
            err.print(f"{stage}: {done:,}" + (f" of {known:,}" if known else ""))

    return observe


def say(text: str) -> None:
    out.print(text, markup=False)


def headline(text: str) -> None:
    out.print(f"\n[bold]{text}[/bold]")


def complain(text: str) -> None:
    err.print(f"[bold red]Error:[/bold red] {_literal(text)}")


def _literal(text: str) -> str:
    return text.replace("[", "\\[")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table; numbers stand right."""
    listed = [list(row) for row in rows]
    made = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for position, name in enumerate(columns):
        numeric = any(isinstance(row[position], int | float) for row in listed)
        made.add_column(name, justify="right" if numeric else "left", header_style="dim", no_wrap=numeric)
    for row in listed:
        made.add_row(*(_literal(_shown(value)) for value in row))
    out.print(made)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
