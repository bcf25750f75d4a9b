"""The operator that lists what an account has generated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_veo3.airflow_names import BaseOperator
from airflow_provider_veo3.exceptions import counted, logged_by_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from airflow_provider_veo3.airflow_names import Context
    from airflow_provider_veo3.parameters import Number, Text


class Veo3ListGenerationsOperator(BaseOperator):
    """List generations of the account, no matter who submitted them, and return their ids.

    Returns a list of ids, the oldest first, as their links are the first to end; it is empty where there is
    none. Its ``.output`` feeds a :class:`~airflow_provider_veo3.operators.download.Veo3DownloadOperator`, or
    is expanded over; links live 24 hours from when a generation finished. It only reads: it costs no credits,
    and may be retried. The whole history is read, a request per 100 generations, unless it comes in order of
    time and ``since``, ``until`` or ``limit`` end it sooner.

    A window holds what was created, that is submitted, from ``since`` on and before ``until``. A time is ISO
    8601 text such as ``{{ data_interval_start }}`` renders to, or a ``datetime``, both UTC unless they say
    otherwise; or a ``timedelta``, which counts back from now. A time or model that the
    history does not list does not exclude a generation.

    :param status: ``pending``, ``processing``, ``completed`` or ``failed``; ``None`` for all. Default
        ``completed``. (templated)
    :param since: where the window begins. Default ``None``: with the account. (templated)
    :param until: where it ends. Default ``None``: now. (templated)
    :param model: only those of this model; the ending of an id, ``-001`` or ``-preview``, does not count,
        since the API spells it in both ways. Default ``None``: of any. (templated)
    :param limit: at most so many, the newest, 1 to 1000000. Default ``None``: all. (templated)
    :param veo3_conn_id: Airflow connection of type ``veo3``. Default ``veo3_default``. (templated)
    :raises Veo3ValidationError: a parameter is not acceptable; no request was sent.
    :raises Veo3ApiError: the history could not be read.
    """

    template_fields: Sequence[str] = ("status", "since", "until", "model", "limit", "veo3_conn_id")
    ui_color = "#e4e0f7"

    def __init__(
        self,
        *,
        status: Text | None = "completed",
        since: Text | datetime | timedelta | None = None,
        until: Text | datetime | timedelta | None = None,
        model: Text | None = None,
        limit: Number | None = None,
        veo3_conn_id: str = "veo3_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.status = status
        self.since = since
        self.until = until
        self.model = model
        self.limit = limit
        self.veo3_conn_id = veo3_conn_id

    @logged_by_sentence()
    def execute(self, context: Context) -> list[str]:  # noqa: ARG002 - Airflow's
        """Read the history as far as it is needed."""
        from datetime import UTC, datetime

        from airflow_provider_veo3.api.retries import Retries
        from airflow_provider_veo3.history.pages import reading_flow
        from airflow_provider_veo3.history.query import parse_query, select
        from airflow_provider_veo3.hooks.veo3 import Veo3Hook

        query = parse_query(
            status=self.status,
            since=self.since,
            until=self.until,
            model=self.model,
            limit=self.limit,
            now=datetime.now(UTC),
        )
        hook = Veo3Hook(self.veo3_conn_id)
        found = hook.get_conn().run(reading_flow(select(query), hook.settings.base_url, Retries()))
        window = (query.since or "the beginning", query.until or "now")
        self.log.info("%s, created from %s to %s.", counted(len(found), "generation"), *window)
        return [generation.id for generation in found]
