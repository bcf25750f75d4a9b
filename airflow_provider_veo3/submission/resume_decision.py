"""Counters and span of the decision to resume an earlier attempt.

They have the names that Airflow 3.3 and later uses for operators with its ``ResumableJobMixin``, so that one
dashboard shows the retries of all providers.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from airflow_provider_veo3 import metrics
from airflow_provider_veo3.api.models import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_veo3.airflow_names import Context

PREFIX: Final = "resumable_job"

COUNTERS: Final = {
    "reconnect": "reconnect_success",
    "already_succeeded": "already_succeeded",
    "terminal_resubmit": "terminal_resubmit",
    "fresh_submit": "fresh_submit",
}
"""Name of a decision's counter, by its name in the span."""


@dataclass(frozen=True)
class ResumeDecision:
    """Decision of one attempt, as Airflow's dashboards show it.

    :param tags: tags of the counters: ``operator`` and, where Airflow has teams, ``team_name``; ``None``
        sends nothing.
    """

    tags: Mapping[str, str] | None = None

    @classmethod
    def of(cls, context: Context, *, durable: bool) -> ResumeDecision:
        """Return the decision of a task, which is sent where Airflow keeps the task's state."""
        if not durable or context.get("task_state_store") is None:
            return cls()
        tags = {"operator": type(context["task"]).__name__}
        team = getattr(context["ti"], "stats_tags", {}).get("team_name")
        return cls({**tags, "team_name": team} if team else tags)

    @contextmanager
    def span(self, key: str) -> Iterator[None]:
        """Span the decision.

        :param key: key of the task's state that has the record.
        """
        if self.tags is None:
            yield
            return
        from opentelemetry import trace  # a dependency of each Airflow that keeps a task's state

        with trace.get_tracer(__name__).start_as_current_span(f"{PREFIX}.resume_decision") as span:
            span.set_attribute("operator", self.tags["operator"])
            span.set_attribute("resumable.external_id_key", key)
            yield

    def attempt(self) -> None:
        """Count an earlier attempt that may have paid for a generation."""
        self._count("reconnect_attempt")

    def resume(self, generation_id: str, status: Status) -> None:
        """Send that the generation of an earlier attempt is reused."""
        decision = "already_succeeded" if status is Status.COMPLETED else "reconnect"
        self._decide(decision, generation_id, status)

    def submit(self, failed_id: str | None) -> None:
        """Send that a new generation is submitted.

        :param failed_id: generation of an earlier attempt that failed; ``None`` without one.
        """
        if failed_id is None:
            self._decide("fresh_submit")
        else:
            self._decide("terminal_resubmit", failed_id, Status.FAILED)

    def _decide(self, decision: str, generation_id: str | None = None, status: Status | None = None) -> None:
        if self.tags is None:
            return
        from opentelemetry import trace

        span = trace.get_current_span()
        span.set_attribute("resumable.decision", decision)
        if generation_id is not None and status is not None:
            span.set_attribute("resumable.external_id", generation_id)
            span.set_attribute("resumable.prior_status", status.value)
        self._count(COUNTERS[decision])

    def _count(self, name: str) -> None:
        if self.tags is not None:
            metrics.count(f"{PREFIX}.{name}", **self.tags)
