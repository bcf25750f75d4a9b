"""The distributed Airflow: CeleryExecutor on Redis, PostgreSQL, two workers, two triggerers."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from chaos.airflow import as_env
from chaos.servers import Postgres, Redis
from testbed.local_airflow import free_ports

if TYPE_CHECKING:
    from types import TracebackType

EXECUTORS: Final = ("worker-1", "worker-2")

WORKER: Final = (
    *("celery", "worker", "--skip-serve-logs", "--concurrency=4"),
    *("--without-gossip", "--without-mingle"),
)

COMPONENTS: Final[dict[str, tuple[str, ...]]] = {
    "api-server": ("api-server",),
    "dag-processor": ("dag-processor",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer-1": ("triggerer", "--skip-serve-logs"),
    "triggerer-2": ("triggerer", "--skip-serve-logs"),
    **{name: (*WORKER, f"--pid={name}.pid", f"--celery-hostname={name}@%h") for name in EXECUTORS},
}

SETTINGS: Final = {
    "core.executor": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    "core.parallelism": "16",
    "celery.worker_enable_remote_control": "False",
    "celery.worker_prefetch_multiplier": "1",
    "celery.task_acks_late": "True",
    # A worker that died keeps its messages for so long; a task that takes longer is given to a second worker
    # while the first still runs it, which is part of the game.
    "celery_broker_transport_options.visibility_timeout": "25",
}


class BackEnd:
    """PostgreSQL and Redis, alive inside ``with``.

    :param logs: where their logs stay.
    """

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start both."""
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="veo3-chaos-servers-")))
        folder.chmod(0o755)  # PostgreSQL, another user, must reach its folder in it
        redis_port, postgres_port = free_ports(2)
        try:
            self._redis = Redis(self._logs, redis_port)
            self._stack.callback(self._redis.stop)
            self._postgres = Postgres(folder / "postgres", postgres_port)
            self._stack.callback(self._postgres.stop)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End both."""
        self._stack.close()

    def env(self) -> dict[str, str]:
        """What Airflow must know of them."""
        return as_env(
            SETTINGS
            | {
                "database.sql_alchemy_conn": self._postgres.url,
                "celery.broker_url": self._redis.url,
                "celery.result_backend": f"db+{self._postgres.url}",
            }
        )
