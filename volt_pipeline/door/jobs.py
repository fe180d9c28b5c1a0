"""The one run path: the command line executes the Dagster jobs in process, on the same instance as the UI.

Dagster is imported where it is needed, `at_work` above all: it takes a second, in which the servers can start.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from volt_pipeline.door.console import INTERRUPTED, progress
from volt_pipeline.errors import ExplainedError
from volt_pipeline.settings import Settings
from volt_pipeline.workplace import local_servers, workplace

if TYPE_CHECKING:
    import dagster as dg

_INSTANCE_SETTINGS = Path(__file__).parents[2] / "dagster.yaml"
DBT_STEP = "dbt_models"  # as defs/dbt.py names it


@dataclass
class JobEnd:
    """How a job ended: its run, what each failed step said, and where (for --debug).

    `dbt_seconds` is how long the marts took, None where they were left out.
    """

    run_id: str
    well: bool
    failures: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)
    dbt_seconds: float | None = None


@contextmanager
def at_work(settings: Settings) -> Iterator[None]:
    """What jobs need is there for the block: the local servers, which are not stopped before all is told, and Dagster.

    Raises what keeps a server from starting.
    """
    with local_servers(settings, meanwhile=lambda: import_module("volt_pipeline.defs.location")):
        yield


def run_sync(
    settings: Settings, *, accounts: Sequence[str] = (), full: bool = False, with_dbt: bool = True, demo: bool = False
) -> JobEnd:
    """Execute `sync_job`; without dbt, its raw part."""
    config = {"ops": {"volt_raw": {"config": {"accounts": list(accounts), "full": full}}}}
    return _run(settings, "sync_job", config, with_dbt=with_dbt, demo=demo)


def run_push(
    settings: Settings,
    *,
    export: str | None = None,
    dry_run: bool = False,
    apply: str = "",
    permitted: int | None = None,
    demo: bool = False,
) -> JobEnd:
    """Execute `push_job`, for one export or both, or for one stored plan; a dry run ends with its plans."""
    config = {"only": export or "", "dry_run": dry_run, "apply": apply, "permitted": permitted}
    return _run(settings, "push_job", {"ops": {"plan": {"config": config}}}, with_dbt=False, demo=demo)


def run_send(settings: Settings) -> JobEnd:
    """Execute `send_job`."""
    return _run(settings, "send_job", {}, with_dbt=False, demo=False)


def _run(settings: Settings, job: str, config: dict[str, Any], *, with_dbt: bool, demo: bool) -> JobEnd:
    from volt_pipeline.defs.location import build
    from volt_pipeline.defs.resources import Pipeline

    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with ExitStack() as stack:
        stack.enter_context(workplace(settings))  # up for the whole job, not for each step
        instance = stack.enter_context(open_instance(settings))
        observe = stack.enter_context(progress())
        log = stack.enter_context((settings.home / "jobs.log").open("a", encoding="utf-8"))
        stack.enter_context(redirect_stdout(log))  # dbt tells its story there
        definitions = build(Pipeline(demo, observe), with_dbt=with_dbt)
        result = definitions.resolve_job_def(job).execute_in_process(
            run_config={**config, **quiet}, instance=instance, raise_on_error=False
        )
        dbt_seconds = step_seconds(instance, result.run_id, DBT_STEP)
    failures: list[Any] = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    failures = failures or [event.job_failure_data for event in result.all_events if event.is_job_failure]
    traces = [failure.error.to_string() for failure in failures if failure.error]
    return JobEnd(result.run_id, result.success, list(map(_words, failures)), traces, dbt_seconds)


def step_seconds(instance: dg.DagsterInstance, run_id: str, step: str) -> float | None:
    """How long a step took; None where it was not taken, or did not end."""
    times = [(each.start_time, each.end_time) for each in instance.get_run_step_stats(run_id, [step])]
    return next((end - start for start, end in times if start and end), None)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Dagster's instance: DAGSTER_HOME, or VOLT_HOME/dagster with this project's dagster.yaml."""
    import dagster as dg

    logging.getLogger("alembic").setLevel(logging.WARNING)
    if "DAGSTER_HOME" not in os.environ:
        home = settings.dagster_home
        home.mkdir(parents=True, exist_ok=True)
        if _INSTANCE_SETTINGS.exists():
            shutil.copyfile(_INSTANCE_SETTINGS, home / "dagster.yaml")
        os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def _words(failure: Any) -> str:
    """What the step said, or the job between its steps, without Dagster's frame around it."""
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    said = getattr(failure, "user_failure_data", None)  # of a step
    if said and said.description:
        return str(said.description)
    name = (error and error.cls_name) or "an error"
    if name == "DagsterExecutionInterruptedError":
        return INTERRUPTED
    if name in {explained.__name__ for explained in _below(ExplainedError)}:
        return re.sub(rf"^[\w.]*{name}: ", "", str(error.message).strip())
    # Any other text may hold what a row holds: a phone, a message.
    return f"Something unexpected happened ({name}). Run it again with --debug before the command."


def _below(cls: type[Exception]) -> Iterator[type[Exception]]:
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)
