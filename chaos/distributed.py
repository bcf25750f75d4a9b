"""Distributed Airflow: CeleryExecutor on Redis, PostgreSQL, two workers, two triggerers."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from testbed.local_airflow import settings_as_env
from testbed.processes import free_ports
from testbed.servers import Postgres, Redis

if TYPE_CHECKING:
    from types import TracebackType

WORKERS: Final = ("worker-1", "worker-2")

WORKER: Final = (
    *("celery", "worker", "--skip-serve-logs", "--concurrency=4"),
    *("--without-gossip", "--without-mingle"),
)

DISTRIBUTED: Final[dict[str, tuple[str, ...]]] = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer-1": ("triggerer", "--skip-serve-logs"),
    "triggerer-2": ("triggerer", "--skip-serve-logs"),
    **{name: (*WORKER, f"--pid={name}.pid", f"--celery-hostname={name}@%h") for name in WORKERS},
}
"""Components of an Airflow with the CeleryExecutor."""

SETTINGS: Final = {
    "core.executor": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    "core.parallelism": "16",
    "celery.worker_enable_remote_control": "False",
    "celery.worker_prefetch_multiplier": "1",
    "celery.task_acks_late": "True",
    # Redis gives the messages of a dead worker to another after this time. It also gives a task that takes
    # longer to a second worker while the first still runs it, which is one of the faults under test.
    "celery_broker_transport_options.visibility_timeout": "25",
}


class Servers:
    """Context manager that runs PostgreSQL and Redis.

    :param logs: folder for their logs.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start both servers."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="veo3-chaos-servers-")))
        folder.chmod(0o755)  # PostgreSQL runs as another user, who must reach its folder in this one
        redis_port, postgres_port = free_ports(2)
        try:
            self._redis = Redis(self._logs, redis_port)
            self._stack.callback(self._redis.stop)
            self._postgres = Postgres(folder / "postgres", self._logs, postgres_port)
            self._stack.callback(self._postgres.stop)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both servers."""
        self._stack.close()

    def env(self) -> dict[str, str]:
        """Return Airflow's environment variables for these servers."""
        return settings_as_env(
            SETTINGS
            | {
                "database.sql_alchemy_conn": self._postgres.url,
                "celery.broker_url": self._redis.url,
                "celery.result_backend": f"db+{self._postgres.url}",
            }
        )
