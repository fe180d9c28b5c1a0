"""Dagster's CeleryRunLauncher, and one thing more: it notices a worker that is gone.

Celery keeps the last word of a task. Of a worker that was killed, or whose machine is lost, that word stays "started"
for ever, so Dagster would believe the run alive until `max_runtime_seconds`. So the worker itself is asked whether it
holds the task. Named in `deploy/celery/dagster.yaml`; nothing else imports this module or Celery.
"""

import warnings
from typing import Any

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

# dagster_celery declares its task anew for every launch; the first declaration serves.
warnings.filterwarnings("ignore", "Task name 'execute_job' is already registered")
_TRIES, _PATIENCE = 3, 5.0  # seconds; a worker answers within milliseconds, and through all of its work
_HELD = ("active", "reserved")


class WatchfulCeleryRunLauncher(CeleryRunLauncher):
    """Takes the same configuration."""

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """As Celery says, but FAILED for a task that it calls started and that its worker does not hold."""
        task_id = run.tags.get(DAGSTER_CELERY_TASK_ID_TAG)
        if task_id is None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "The run was never handed to Celery.")
        found = super().check_run_worker_health(run)
        if found.status is not WorkerStatus.RUNNING or self._is_held(task_id):
            return found
        again = super().check_run_worker_health(run)  # it may have ended between the two questions
        if again.status is not WorkerStatus.RUNNING:
            return again
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "Its Celery worker is gone, or was started anew without this run."
        )

    def _is_held(self, task_id: str) -> bool:
        told: Any = self.celery.AsyncResult(task_id).info  # of a started task: who started it
        if not isinstance(told, dict) or "hostname" not in told:
            return True  # not to be known
        worker = told["hostname"]
        for _ in range(_TRIES):
            asked = self.celery.control.inspect(destination=[worker], timeout=_PATIENCE, limit=1)
            if (answer := asked.query_task(task_id)) is not None:
                state, *_ = answer.get(worker, {}).get(task_id, ("unknown",))
                return state in _HELD
        return False
