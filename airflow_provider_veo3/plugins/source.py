"""Rows behind the Videos page: XComs joined with task instances, read from Airflow's tables.

No index of Airflow's orders XComs by time. Every query therefore begins at the DAG runs of DAGs with videos,
and reaches XComs through the run, which is the first column of their primary key. Only ``video_dags``,
which an API server calls once, searches all XComs for a key; until Airflow 3.3 there is an index on it.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import Text, and_, case, cast, exists, func, or_, select, true

from airflow_provider_veo3.links import MANIFEST_KEY, STORED_URIS_KEY
from airflow_provider_veo3.plugins.cards import Role, Row, role_of
from airflow_provider_veo3.plugins.spend import Report

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import Session

    from airflow_provider_veo3.plugins.cards import Card

T = TypeVar("T")

KEYS: Final = (MANIFEST_KEY, STORED_URIS_KEY)

RESULT_KEY: Final = "return_value"
"""XCom key of what a download returns: the files behind its ``stored_video_uris``."""

DOWNLOAD_OPERATOR: Final = "Veo3DownloadOperator"
"""Operator of the tasks that store videos."""

IDS_AT_ONCE: Final = 50
"""Generation ids looked for in one query."""

MOST_RECENT: Final = 5000
"""Rows that an overview of the last day reads at most."""

_ENDED: Final = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
"""States of a task that does nothing more by itself."""

_PLAIN: Final = re.compile(r"[ !#-\[\]-~]+")
"""Text that JSON writes as it is."""

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
"""Half of a surrogate pair, which no text in UTF-8 contains."""

_id: Final = XComModel.value["id"].as_string()
"""Id of a manifest; null where the value is none, or is text of JSON."""

_FACTS: Final[dict[str, ColumnElement[Any]]] = {
    **{name: XComModel.value[name] for name in ("id", "model", "credits_used")},
    # as text, which is quicker: nothing but the right text is a status or a time
    **{name: XComModel.value[name].as_string() for name in ("status", "accepted_at", "created_at")},
}
"""Fields of a manifest that its credits need; all are null where the value is text of JSON."""

_whole: Final = cast(XComModel.value, Text)
"""Text of a value."""

_searched: Final[ColumnElement[str]] = reduce(
    operator.add, (XComModel.value[name].as_string() for name in ("id", "prompt", "model", "status"))
)
"""Text of a manifest that a filter looks for, which is quicker to search than the whole value."""

_SQLITE_READS: Final = and_(func.json_valid(XComModel.value) == 1, ~_whole.contains("\\ud"))
"""Condition for a value that SQLite's functions read.

They fail on NaN and on half a surrogate pair, which Python writes and other databases refuse to store.
"""

_at: Final[ColumnElement[datetime]] = case(
    (XComModel.timestamp > DagRun.end_date, DagRun.end_date), else_=XComModel.timestamp
)
"""Time of a row, at the latest the end of its run: an XCom may be edited later."""


@dataclass(frozen=True)
class Limits:
    """Sizes of a page, and of what is read for it.

    :param cards: cards of a page.
    :param batch: rows read at once.
    :param rows: rows that one request reads; the next one continues there.
    :param first_runs: latest DAG runs whose rows are read before those of earlier ones.
    """

    cards: int = 24
    batch: int = 100
    rows: int = 1200
    first_runs: int = 32


DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Scope:
    """DAGs, run and task whose rows are read.

    :param dag_ids: DAGs that the user may read.
    :param needle: text that a manifest contains. If set, downloads are left out, and so may be manifests
        without the text.
    """

    dag_ids: frozenset[str]
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    needle: str | None = None

    def shows(self, what: Row | Card) -> bool:
        """Return whether a row or a card is in this scope."""
        return (
            what.dag_id in self.dag_ids
            and self.run_id in (None, what.run_id)
            and self.task_id in (None, what.task_id)
            and self.map_index in (None, what.map_index)
        )


@dataclass(frozen=True)
class Position:
    """Place of a row in the order of the page, newest first."""

    at: datetime
    dag_run_id: int
    task_id: str
    map_index: int
    key: str

    @classmethod
    def of(cls, row: Row) -> Position:
        """Return the position of a row."""
        return cls(row.at, *row.identity)


@dataclass(frozen=True)
class StoringTask:
    """Task instance of a download.

    :param state: state of the task instance; ``None`` before it is scheduled.
    """

    task_id: str
    map_index: int
    state: str | None

    @property
    def is_pending(self) -> bool:
        """Return whether the task is still to end, by itself."""
        return self.state not in _ENDED


class Source:
    """Reader of the rows behind the page.

    :param session: session of Airflow's database; it is neither written to nor closed here.
    :param limits: sizes of what is read.
    """

    def __init__(self, session: Session, limits: Limits = DEFAULT_LIMITS) -> None:
        self._session = session
        self.limits = limits
        self._is_sqlite = session.get_bind().dialect.name == "sqlite"

    def video_dags(self) -> set[str]:
        """Return the ids of all DAGs that have generated or stored videos."""
        return set(self._session.scalars(select(XComModel.dag_id).where(XComModel.key.in_(KEYS)).distinct()))

    def further_video_dags(self, known: Collection[str], since: datetime) -> set[str]:
        """Return the ids of other DAGs with videos, in runs not ended before a time."""
        has_videos = exists().where(XComModel.dag_run_id == DagRun.id, XComModel.key.in_(KEYS))
        conditions = (_active_since(since), DagRun.dag_id.not_in(known), has_videos)
        return set(self._session.scalars(select(DagRun.dag_id).where(*conditions).distinct()))

    def newest_first(self, scope: Scope, after: Position | None = None) -> Iterator[Row]:
        """Yield the rows of a scope, from the newest.

        A row is never newer than the end of its run. So all rows newer than the end of run N can be shown
        before any run that ended earlier is read.

        :param after: position to continue after.
        """
        bounds = self._bounds(scope, after)
        bound = next(bounds)
        while True:
            found = self._read(scope, after, bound)
            ready = found if bound is None else [row for row in found if row.at >= bound]
            yield from ready
            if ready:
                after = Position.of(ready[-1])
            if len(ready) == self.limits.batch:
                continue
            if bound is None:
                return
            bound = next(bounds)

    def _bounds(self, scope: Scope, after: Position | None) -> Iterator[datetime | None]:
        """Yield end times of earlier and earlier runs, then ``None``.

        Each has many times as many later runs as the one before, since most of the table is read for each.
        """
        runs: list[ColumnElement[bool]] = [DagRun.dag_id.in_(scope.dag_ids)]
        if scope.run_id is not None:
            runs.append(DagRun.run_id == scope.run_id)
        count = self.limits.first_runs
        if after is not None:
            later = select(func.count()).select_from(DagRun).where(*runs, _active_since(after.at))
            count += self._session.scalar(later) or 0
        while True:
            ended = select(DagRun.end_date).where(*runs)
            order = (case((DagRun.end_date.is_(None), 0), else_=1), DagRun.end_date.desc())
            row = self._session.execute(ended.order_by(*order).offset(count).limit(1)).first()
            if row is None:
                break
            if row[0] is not None:
                yield row[0]
            count *= 16
        yield None

    def _read(self, scope: Scope, after: Position | None, bound: datetime | None) -> list[Row]:
        """Return the next rows of the runs that have not ended before a bound."""
        conditions = _in_scope(scope)
        if bound is not None:
            conditions.append(_active_since(bound))
        if scope.since is not None:
            conditions.append(_at >= scope.since)
        if scope.until is not None:
            conditions.append(_at < scope.until)
        if after is not None:
            conditions.append(_older_than(after))
        if scope.needle is None:
            conditions.append(XComModel.key.in_(KEYS))
        else:
            searched = func.coalesce(self._read_safely(_searched), _whole)
            conditions += [XComModel.key == MANIFEST_KEY, _may_contain(scope.needle, searched)]
        order = [column.desc() for column in _order()]
        return self._with_files(self._rows(_select(*conditions).order_by(*order).limit(self.limits.batch)))

    def of_runs(self, dag_run_ids: Collection[int], generation_ids: Iterable[str]) -> list[Row]:
        """Return the rows of some runs about some generations."""
        return self._about(generation_ids, XComModel.dag_run_id.in_(dag_run_ids))

    def within(
        self, dag_ids: Collection[str], since: datetime, until: datetime, generation_ids: Iterable[str]
    ) -> list[Row]:
        """Return the rows of a span of time about some generations."""
        in_span = (DagRun.dag_id.in_(dag_ids), _active_since(since), _at >= since, _at <= until)
        return self._about(generation_ids, *in_span)

    def recent(self, dag_ids: Collection[str], since: datetime) -> list[Row]:
        """Return the latest rows of some DAGs, at most ``MOST_RECENT``."""
        conditions = (DagRun.dag_id.in_(dag_ids), _active_since(since), XComModel.key.in_(KEYS), _at >= since)
        return self._with_files(self._rows(_select(*conditions).order_by(_at.desc()).limit(MOST_RECENT)))

    def reports(self, scope: Scope) -> Iterator[Report]:
        """Yield what the manifests of a scope report, run by run; a thousand are in memory at a time."""
        conditions = [*_in_scope(scope), XComModel.key == MANIFEST_KEY]
        # the whole value, which is much slower to read, only where its fields cannot be read one by one
        whole = case((self._read_safely(_id).is_(None), XComModel.value))
        facts_read = map(self._read_safely, _FACTS.values())
        columns = (XComModel.dag_run_id, DagRun.dag_id, TaskInstance.operator, _at, whole, *facts_read)
        statement = _select(*conditions).with_only_columns(*columns).order_by(XComModel.dag_run_id)
        for found in self._session.execute(statement.execution_options(yield_per=1000)):
            dag_run_id, dag_id, operator_name, at, value, *fields = found
            facts = dict(zip(_FACTS, fields, strict=True)) if value is None else _parsed(value)
            if isinstance(facts, Mapping) and isinstance(facts.get("id"), str):
                yield Report(dag_run_id, dag_id, role_of(operator_name), at, facts)

    def storing_tasks(self, runs: Collection[tuple[str, str]]) -> dict[tuple[str, str], list[StoringTask]]:
        """Return the downloads of some runs, by DAG id and run id."""
        found: dict[tuple[str, str], list[StoringTask]] = {}
        if runs:
            columns = (TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index)
            statement = select(*columns, TaskInstance.state).where(
                TaskInstance.dag_id.in_({dag_id for dag_id, _ in runs}),
                TaskInstance.run_id.in_({run_id for _, run_id in runs}),
                TaskInstance.operator == DOWNLOAD_OPERATOR,
            )
            for dag_id, run_id, task_id, map_index, state in self._session.execute(statement):
                found.setdefault((dag_id, run_id), []).append(StoringTask(task_id, map_index, state))
        return found

    def stored_uri(self, dag_id: str, run_id: str, task_id: str, map_index: int, number: int) -> str | None:
        """Return the URI of a stored file from the XCom that names it."""
        conditions = (
            DagRun.dag_id == dag_id,
            DagRun.run_id == run_id,
            XComModel.task_id == task_id,
            XComModel.map_index == map_index,
            XComModel.key == RESULT_KEY,
        )
        for row in self._rows(_select(*conditions)):
            files = dict(replace(row, key=STORED_URIS_KEY).stored)
            return files[number]["uri"] if number in files else None
        return None

    def _read_safely(self, part: ColumnElement[T]) -> ColumnElement[T]:
        """Return a part of a value, null where the database fails to read it."""
        return case((_SQLITE_READS, part)) if self._is_sqlite else part

    def _about(self, generation_ids: Iterable[str], *conditions: ColumnElement[bool]) -> list[Row]:
        found: dict[tuple[Any, ...], Row] = {}
        all_ids = list(dict.fromkeys(generation_ids))
        an_id = self._read_safely(_id)
        for start in range(0, len(all_ids), IDS_AT_ONCE):
            ids = all_ids[start : start + IDS_AT_ONCE]
            mentioned = or_(*(_may_contain(each) for each in ids))
            # in this order: to search the text of a manifest for each id takes long, and few have no id
            sendable = [each for each in ids if not _SURROGATE.search(each)]
            named = or_(an_id.in_(sendable), and_(an_id.is_(None), mentioned))
            about = or_(
                and_(XComModel.key == MANIFEST_KEY, named), and_(XComModel.key == RESULT_KEY, mentioned)
            )
            for row in self._rows(_select(*conditions, about)):
                result = replace(row, key=STORED_URIS_KEY) if row.key == RESULT_KEY else row
                if not set(ids).isdisjoint(result.generation_ids):
                    found[result.identity] = result
        return list(found.values())

    def _with_files(self, rows: list[Row]) -> list[Row]:
        """Give the rows of downloads the files that they returned."""
        storing = [row for row in rows if row.role is Role.STORING]
        if not storing:
            return rows
        conditions = (
            XComModel.dag_run_id.in_({row.dag_run_id for row in storing}),
            XComModel.task_id.in_({row.task_id for row in storing}),
            XComModel.map_index.in_({row.map_index for row in storing}),
            XComModel.key == RESULT_KEY,
        )
        results = {row.identity[:3]: row.value for row in self._rows(_select(*conditions))}
        return [
            replace(row, value=results.get(row.identity[:3])) if row.role is Role.STORING else row
            for row in rows
        ]

    def _rows(self, statement: Select[Any]) -> list[Row]:
        return [_row(found) for found in self._session.execute(statement)]


def _select(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Return the query of rows, with the current attempt of their task."""
    if hasattr(XComModel, "task_instance_id"):  # Airflow 3.4, which keeps the XComs of every attempt
        of_task = XComModel.task_instance_id == TaskInstance.id
    else:
        names = ("dag_id", "task_id", "run_id", "map_index")
        of_task = and_(*(getattr(XComModel, name) == getattr(TaskInstance, name) for name in names))
    return (
        select(
            XComModel.dag_run_id,
            DagRun.dag_id,
            DagRun.run_id,
            XComModel.task_id,
            XComModel.map_index,
            XComModel.key,
            XComModel.value,
            _at.label("at"),
            TaskInstance.state,
            TaskInstance.operator,
        )
        .select_from(DagRun)
        .join(XComModel, XComModel.dag_run_id == DagRun.id)
        .join(TaskInstance, of_task)
        .where(*conditions)
    )


def _row(found: Any) -> Row:
    fields = found._mapping  # noqa: SLF001 - documented by SQLAlchemy
    return Row(**{**fields, "value": _parsed(fields["value"])})


def _parsed(value: Any) -> Any:
    """Return the parsed value of an XCom.

    Airflow 3.0 and 3.1 keep it as text of JSON, and once it is edited, as text of such text.

    A custom XCom backend leaves a reference here. It is not followed: a person who edits it could name the
    XCom of a DAG that is not theirs.
    """
    for _ in range(2):
        if not isinstance(value, str):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


def _order() -> tuple[Any, ...]:
    return (_at, XComModel.dag_run_id, XComModel.task_id, XComModel.map_index, XComModel.key)


def _older_than(position: Position) -> ColumnElement[bool]:
    """Return the condition for rows after a position, from its last column to its first."""
    values = (position.at, position.dag_run_id, position.task_id, position.map_index, position.key)
    pairs = list(zip(_order(), values, strict=True))
    column, value = pairs.pop()
    condition: ColumnElement[bool] = column < value
    for column, value in reversed(pairs):
        condition = or_(column < value, and_(column == value, condition))
    return condition


def _in_scope(scope: Scope) -> list[ColumnElement[bool]]:
    """Return the conditions of a scope, with runs not ended before its time."""
    conditions: list[ColumnElement[bool]] = [DagRun.dag_id.in_(scope.dag_ids)]
    for column, value in (
        (DagRun.run_id, scope.run_id),
        (XComModel.task_id, scope.task_id),
        (XComModel.map_index, scope.map_index),
    ):
        if value is not None:
            conditions.append(column == value)
    if scope.since is not None:
        conditions.append(_active_since(scope.since))
    return conditions


def _active_since(moment: datetime) -> ColumnElement[bool]:
    return or_(DagRun.end_date.is_(None), DagRun.end_date >= moment)


def _may_contain(text: str, where: ColumnElement[str] = _whole) -> ColumnElement[bool]:
    """Return a condition met by every value that contains a text, however written.

    :param where: text of the value, or the part of it that matters.
    """
    plain = max(_PLAIN.findall(text), key=len, default="")
    return where.icontains(plain, autoescape=True) if plain else true()
