"""What the tests use of Airflow's insides where these differ between Airflow 3.0 and the newest.

Nothing here imports Airflow by itself: the tests' environment is settled first.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk import DAG

CHECKOUT = Path(__file__).resolve().parents[2]
AIRFLOW = tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])

needs_task_state = pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="task state store: Airflow 3.3; else see test_before_task_state"
)
needs_sensor_in_triggerer = pytest.mark.skipif(
    AIRFLOW < (3, 3), reason="start_from_trigger: Airflow 3.3; else see test_start_in_worker"
)

XCOMS_PER_ATTEMPT = AIRFLOW >= (3, 4)
"""Whether XComs are kept with their attempt: nobody can pull those of a task that waits for its retry."""

_UPATH = "ignore:in a future version of UPath this will be set to None:PendingDeprecationWarning"
_FORMS = (  # of forms that were cut
    "ignore:Unclosed file <tempfile.SpooledTemporaryFile:ResourceWarning",
    r"ignore:unclosed file <_io.FileIO name=\d+ mode='rb.':ResourceWarning",
)
_STATUS = "ignore:.HTTP_422_UNPROCESSABLE_ENTITY. is deprecated"
LIBRARY_WARNINGS = {
    (3, 0): [
        _UPATH,
        "ignore:Using Connection.get_connection_from_secrets from .airflow.models.:DeprecationWarning",
        "ignore:The .airflow.models.abstractoperator.NotMapped. class is deprecated:DeprecationWarning",
        *_FORMS,
    ],
    (3, 1): [_UPATH, _STATUS, *_FORMS],
    (3, 2): [
        _UPATH,
        _STATUS,
        "ignore:SelectableGroups dict interface is deprecated:DeprecationWarning",
        *_FORMS,
    ],
}
"""What the libraries of an Airflow version say about that Airflow's own use of them."""


def connection_class() -> Any:
    """Airflow's connection, which can be made from JSON."""
    if AIRFLOW == (3, 0):
        from airflow.models.connection import Connection
    else:
        from airflow.sdk import Connection
    return Connection


def dag_serialization() -> Any:
    """The class that turns DAGs into JSON and back."""
    from airflow.serialization import serialized_objects

    found = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    # it remembers that the scheduler, which may have been in this process too, needs no links
    found._load_operator_extra_links = True
    return found


def import_string(path: str) -> Any:
    """Import a class as a triggerer does."""
    try:
        from airflow.sdk._shared.module_loading import import_string as by_path
    except ImportError:
        from airflow.utils.module_loading import import_string as by_path
    return by_path(path)


def carried_by_serde(kwargs: dict[str, Any]) -> list[Any]:
    """What arrives of a trigger's arguments by the serialization that Airflow uses since 3.2."""
    if AIRFLOW < (3, 2):
        return []
    from airflow.sdk.serde import deserialize, serialize

    return [deserialize(json.loads(json.dumps(serialize(kwargs))))]


def clear_secrets_backends_cache() -> None:
    """Forget the secrets backends that were made; before Airflow 3.3 they are made for each look."""
    if AIRFLOW >= (3, 3):
        from airflow.sdk.configuration import clear_secrets_backends_cache

        clear_secrets_backends_cache()


def collect_metrics(factory: Callable[[], Any] | None) -> None:
    """Send what is counted to what the factory makes, as Airflow does when a process begins; or to nobody."""
    if AIRFLOW >= (3, 3):
        from airflow.sdk.observability import stats

        stats.initialize(factory=factory or stats_loggers()[0], export_legacy_names=False)
        return
    from airflow_provider_veo3.airflow_names import Stats

    client = getattr(Stats.instance, "statsd", None)  # one that Airflow has made by itself meanwhile
    if client is not None:
        client.close()
    Stats.instance = None
    Stats.factory = staticmethod(factory or stats_loggers()[0])


def stats_loggers() -> tuple[type, Callable[[], Any]]:
    """Airflow's class for metrics that nobody collects, and what makes a client of statsd as configured."""
    if AIRFLOW < (3, 2):
        from airflow.metrics.base_stats_logger import NoStatsLogger
        from airflow.metrics.statsd_logger import get_statsd_logger
        from airflow.stats import Stats

        return NoStatsLogger, functools.partial(get_statsd_logger, Stats)
    from airflow.sdk._shared.observability.metrics.base_stats_logger import NoStatsLogger
    from airflow.sdk.observability.metrics.statsd_logger import get_statsd_logger

    return NoStatsLogger, get_statsd_logger


def filesystems() -> Any:
    """Airflow's module that knows what serves which scheme."""
    if AIRFLOW == (3, 0):
        import airflow.io as module
    else:
        from airflow.sdk.io import fs as module
    return module


def dag_bag(path: Path, **options: Any) -> Any:
    """Return what Airflow reads from a DAG file, or from all in a folder."""
    if AIRFLOW < (3, 2):
        from airflow.models.dagbag import DagBag
    else:
        from airflow.dag_processing.dagbag import DagBag

    return DagBag(str(path), **options)


def read_dags(path: Path) -> dict[str, DAG]:
    """Read DAG files as Airflow does; what they do may neither fail nor be warned of."""
    bag = dag_bag(path)
    assert bag.import_errors == {}
    warned = [warning for found in bag.captured_warnings.values() for warning in found]
    if AIRFLOW < (3, 3):  # where Airflow and its libraries warn of themselves
        ours = tuple(f"{CHECKOUT / folder}{os.sep}" for folder in ("example_dags", "airflow_provider_veo3"))
        warned = [warning for warning in warned if warning.startswith(ours)]
    assert warned == []
    return bag.dags


def register(dag: DAG, bundle: str) -> None:
    """Write a DAG to the database as a DAG processor does."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    if AIRFLOW == (3, 0):  # where a DAG without a file cannot be written
        dag.relative_fileloc = "tests.py"
    parsed = LazyDeserializedDAG(data=dag_serialization().to_dict(dag))
    known = inspect.signature(update_dag_parsing_results_in_db).parameters
    duration = {"parse_duration": None} if "parse_duration" in known else {}
    with create_session() as session:
        update_dag_parsing_results_in_db(
            bundle, None, [parsed], {}, warnings=set(), session=session, **duration
        )


def sdk_task_instance(ti: TaskInstance) -> Any:
    """Tell a worker which task instance it is to run."""
    from airflow.sdk.api.datamodels._generated import TaskInstance as SdkTaskInstance

    version_id = {}
    if "dag_version_id" in SdkTaskInstance.model_fields:  # Airflow 3.1
        version_id["dag_version_id"] = UUID(str(ti.dag_version_id))
    return SdkTaskInstance(
        id=UUID(str(ti.id)),
        task_id=ti.task_id,
        dag_id=ti.dag_id,
        run_id=ti.run_id,
        try_number=ti.try_number,
        map_index=ti.map_index,
        **version_id,
    )


def next_try(ti: TaskInstance) -> int:
    """Return the number of a task instance's next attempt."""
    # Airflow 3.4 makes the row of a retry, and numbers it, when the attempt before has failed
    is_numbered = AIRFLOW >= (3, 4) and ti.state == "up_for_retry"
    return ti.try_number if is_numbered else ti.try_number + 1


def last_xcom(session: Any, ti: TaskInstance, key: str) -> Any:
    """Return what the last attempt of a task instance pushed.

    Since Airflow 3.4, an XCom is pulled from the retry as soon as the attempt before has failed.
    """
    if not XCOMS_PER_ATTEMPT:
        return ti.xcom_pull(task_ids=ti.task_id, key=key, map_indexes=ti.map_index, session=session)
    from airflow.models.xcom import XComModel

    pushed = XComModel.get_many(
        run_id=ti.run_id,
        key=key,
        task_ids=ti.task_id,
        dag_ids=ti.dag_id,
        map_indexes=ti.map_index,
        try_number=next_try(ti) - 1,
    )
    found = session.execute(pushed).scalars().one_or_none()
    return None if found is None else XComModel.deserialize_value(found)


def rendered_fields(session: Any, run_id: str) -> list[Any]:
    """Return the task ids of a run with the rendered fields that the UI shows of them."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    fields: Any = RenderedTaskInstanceFields
    if AIRFLOW < (3, 4):
        statement = select(fields.task_id, fields.rendered_fields).where(fields.run_id == run_id)
    else:  # where they are an attempt's
        attempt = fields.task_instance_id == TaskInstance.id
        statement = select(TaskInstance.task_id, fields.rendered_fields).join(TaskInstance, attempt)
        statement = statement.where(TaskInstance.run_id == run_id)
    return list(session.execute(statement))


def dags_of_the_api() -> dict[str, Any]:
    """Return the argument by which functions of the public API find DAGs since Airflow 3.4; none before."""
    if AIRFLOW < (3, 4):
        return {}
    from airflow.models.dagbag import DBDagBag

    return {"dag_bag": DBDagBag()}


def set_xcom(session: Any, key: str, value: Any, **of: Any) -> None:
    """Store an XCom as the API server does for a task."""
    from airflow.models.xcom import XComModel

    if AIRFLOW < (3, 2):  # where storing one makes it JSON once more
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(XComModel, "serialize_value", lambda value, **_: value)
            XComModel.set(key, value, session=session, **of)
    else:
        XComModel.set(key, value, serialize=False, session=session, **of)


def date_xcom(session: Any, at: datetime, key: str, **of: Any) -> None:
    """Change when an XCom was stored."""
    from sqlalchemy import update

    stored, conditions = _stored_xcoms(of)
    session.execute(update(stored).where(*conditions, stored.key == key).values(timestamp=at))


def delete_xcoms(session: Any, **of: Any) -> None:
    """Delete XComs as Airflow does when an attempt begins."""
    from sqlalchemy import delete

    stored, conditions = _stored_xcoms(of)
    session.execute(delete(stored).where(*conditions))


def _stored_xcoms(of: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Return the model of stored XComs, and the conditions for those of some current attempts."""
    from airflow.models import xcom
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    stored: Any = xcom.XComModel
    owner: Any = stored
    if AIRFLOW >= (3, 4):  # where XComModel is a view of old and new XComs, and the new ones name the attempt
        stored, owner = xcom.XComModelV2, TaskInstance
    conditions = [getattr(owner, name) == given for name, given in of.items()]
    if owner is TaskInstance:
        conditions = [stored.task_instance_id.in_(select(TaskInstance.id).where(*conditions))]
    return stored, conditions


def supervisor() -> Any:
    """Airflow's module that runs tasks, with one API server for all of them: one takes seconds to make."""
    from airflow.sdk.execution_time import supervisor

    if AIRFLOW == (3, 0):
        _as_in_processes_of_its_own()
    if AIRFLOW < (3, 3):
        _with_errors_in_contexts()
    if not hasattr(supervisor.in_process_api_server, "cache_info"):  # Airflow 3.3 keeps it itself
        supervisor.in_process_api_server = functools.lru_cache(maxsize=1)(supervisor.in_process_api_server)
    return supervisor


@functools.cache
def _with_errors_in_contexts() -> None:
    """Let callbacks find the error of a task in their context, as they do in a worker."""
    from airflow.sdk.execution_time import task_runner

    finalize = task_runner.finalize

    def with_error(ti: Any, state: Any, context: Any, log: Any, error: BaseException | None = None) -> None:
        if error is not None:
            context["exception"] = error
        finalize(ti, state, context, log, error)

    task_runner.finalize = with_error


def _without_messages_to_the_supervisor(_: object, __: str, event: dict[str, Any]) -> dict[str, Any]:
    from structlog import DropEvent

    if event["event"] == "Sending request":
        raise DropEvent
    return event


@functools.cache
def _as_in_processes_of_its_own() -> None:
    """Let Airflow 3.0 run tasks in this process as it does in others, and as fast."""
    import structlog
    from airflow.sdk.api.client import TaskInstanceOperations
    from airflow.sdk.execution_time.comms import TaskRescheduleStartDate

    asked = TaskInstanceOperations.get_reschedule_start_date

    def get_reschedule_start_date(*args: Any, **kwargs: Any) -> TaskRescheduleStartDate:
        # the way through a socket is what makes a time of this text
        return TaskRescheduleStartDate(start_date=asked(*args, **kwargs).start_date)

    TaskInstanceOperations.get_reschedule_start_date = get_reschedule_start_date
    # Logging is not set up here. As it comes it draws frames around tracebacks, for seconds, and shows the
    # messages to the supervisor, of which one asks it to mask a secret.
    structlog.configure(
        [
            _without_messages_to_the_supervisor,
            *structlog.get_config()["processors"][:-1],
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ]
    )


def run_task(ti: Any, task: Any) -> Any:
    """Run one attempt of a task in this process."""
    return supervisor().run_task_in_process(ti=ti, task=task)


def run_trigger(trigger: Any, ti: Any) -> Any:
    """Run a trigger in this process, with what a triggerer offers it, to its first event."""
    module = supervisor()
    cls = module.InProcessTestSupervisor
    if hasattr(cls, "run_trigger_in_process"):  # Airflow 3.1
        return cls.run_trigger_in_process(trigger=trigger, ti=ti)

    import psutil
    import structlog

    one = cls(
        id=ti.id,
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger(logger_name="task").bind(),
        client=cls._api_client(),
    )
    one.comms = module.InProcessSupervisorComms(supervisor=one)

    async def first() -> Any:
        return await anext(trigger.run(), None)

    with module.set_supervisor_comms(one.comms):
        return asyncio.run(first())
