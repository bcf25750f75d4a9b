"""The metrics that a statsd server receives while tasks run."""

from __future__ import annotations

import re
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_provider_veo3 import metrics
from tests.support.airflow_versions import (
    collect_metrics,
    needs_sensor_in_triggerer,
    needs_task_state,
    stats_loggers,
)
from tests.support.runs import CUT_AFTER, SUBMIT_ONLY, TASK, WAIT, start
from tests.support.waits import HOUR, outcome, submit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended, Run

FAST = "veo-3.1-fast-generate-001"
ABOUT = f",type=text-to-video,model={FAST}"


class Statsd:
    """A statsd server that only receives."""

    def __init__(self, server: socket.socket) -> None:
        self._server = server

    def lines(self, family: str = "veo3.") -> list[str]:
        """Return the lines of a family received since the last call.

        A datagram to this machine has arrived when its sender continues.
        """
        lines: list[str] = []
        self._server.setblocking(False)
        while True:
            try:
                lines.append(self._server.recv(65536).decode())
            except BlockingIOError:
                mine = f"airflow.{family}"
                return [line.removeprefix("airflow.") for line in lines if line.startswith(mine)]

    def counted(self, family: str = "veo3.") -> Counter[str]:
        """Return the sums of the counters, and the number of gauges and timings."""
        sums: Counter[str] = Counter()
        for line in self.lines(family):
            name, value, kind = re.split(r"[:|]", line)[:3]
            sums[name] += int(value) if kind == "c" else 1
        return sums


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statsd]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        options = {"statsd_on": True, "statsd_host": "127.0.0.1", "statsd_port": server.getsockname()[1]}
        for name, value in {**options, "statsd_influxdb_enabled": True}.items():
            monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
        loggers: list[Any] = []

        def factory() -> Any:
            loggers.append(stats_loggers()[1]())
            return loggers[-1]

        collect_metrics(factory)
        yield Statsd(server)
        collect_metrics(None)
        for logger in loggers:  # a task's process would end here
            logger.statsd.close()


def run(**options: Any) -> Ended:
    """Make the only attempt of a task that waits."""
    return start(**{**WAIT, "retries": 0, **options}).finish()[TASK]


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_generation_is_counted_once_however_often_it_is_polled(
    emulator: Emulator, statsd: Statsd, deferrable: bool
) -> None:
    emulator.inject({"kind": "status", "status": 503, "endpoint": "status", "times": 2})
    ended = run(deferrable=deferrable)
    assert ended.state == "success"
    assert statsd.counted() == {
        f"veo3.generations.submitted{ABOUT}": 1,
        f"veo3.credits.spent{ABOUT}": 190,
        "veo3.credits.remaining,conn_id=veo3_default": 1,
        f"veo3.generations.completed{ABOUT}": 1,
        f"veo3.generation.seconds{ABOUT}": 1,
        "veo3.requests,endpoint=text-to-video,purpose=call,answer=2xx": 1,
        "veo3.requests,endpoint=status,purpose=poll,answer=5xx": 2,
        "veo3.requests,endpoint=status,purpose=poll,answer=2xx": 1,
    }


def test_the_balance_and_the_time_have_their_values(emulator: Emulator, statsd: Statsd) -> None:
    emulator.configure(processing_seconds=0.5)
    run()
    values = dict(line.split(":") for line in statsd.lines())
    assert values["veo3.credits.remaining,conn_id=veo3_default"] == f"{10**6 - 190}|g"
    value, kind = values[f"veo3.generation.seconds{ABOUT}"].split("|")
    assert kind == "ms"
    assert float(value) == pytest.approx(500, abs=2), "by the API's clock, in milliseconds"


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [
        ({"kind": "fail_generation", "error": "Internal error"}, {}, "vendor"),
        ({"kind": "fail_generation", "error": "It violates the content policy"}, {}, "content_policy"),
        (None, {"timeout": 0.1}, "timeout"),
        ({"kind": "status", "status": 402, "endpoint": "text-to-video"}, {}, "no_credits"),
        ({"kind": "status", "status": 401, "endpoint": "text-to-video"}, {}, "key"),
        ({"kind": "status", "status": 422, "endpoint": "text-to-video"}, {}, "refused"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("deferrable", [False, True])
def test_each_failure_has_its_reason_tag(
    emulator: Emulator,
    statsd: Statsd,
    *,
    fault: dict[str, Any] | None,
    options: dict[str, Any],
    reason: str,
    deferrable: bool,
) -> None:
    if fault is None:
        emulator.configure(processing_seconds=HOUR)
    else:
        emulator.inject(fault)
    ended = run(deferrable=deferrable, **options)
    assert ended.state == "failed"
    counted = statsd.counted()
    failures = {name: number for name, number in counted.items() if "generations.failed" in name}
    assert failures == {f"veo3.generations.failed,reason={reason}{ABOUT}": 1}
    assert not any("completed" in name for name in counted)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"deferrable": True},
        pytest.param({"start_from_trigger": True}, marks=needs_sensor_in_triggerer),
        pytest.param({"start_from_trigger": True, "retries": 1}, marks=needs_sensor_in_triggerer),
    ],
    ids=str,
)
@pytest.mark.parametrize("skips", [False, True])
@pytest.mark.parametrize(("end", "reason"), [("success", None), ("failed", "vendor"), ("timeout", "timeout")])
def test_a_sensor_counts_the_end_of_its_wait_with_and_without_a_worker(
    emulator: Emulator,
    statsd: Statsd,
    *,
    end: str,
    reason: str | None,
    skips: bool,
    options: dict[str, Any],
) -> None:
    from tests.support.sensor_runs import finish, run_of

    generation_id, more = outcome(end, emulator)
    statsd.lines()
    options = {"start_from_trigger": False, **options, **more}
    runs = run_of(f"metrics_{len(options)}_{end}_{skips}", generation_id, soft_fail=skips, **options)
    if options["start_from_trigger"]:
        finish(runs)
    else:
        runs.attempt("wait")
    counted = statsd.counted()
    ends = {name.partition(",type")[0]: n for name, n in counted.items() if "generations" in name}
    assert ends == {f"veo3.generations.{f'failed,reason={reason}' if reason else 'completed'}": 1}
    assert all("purpose=poll" in name for name in counted if "requests" in name)


def test_rate_limited_requests_are_counted(emulator: Emulator, statsd: Statsd) -> None:
    limited = {"kind": "status", "status": 429, "headers": {"Retry-After": "0"}}
    emulator.inject({**limited, "endpoint": "text-to-video", "times": 2})
    emulator.inject({**limited, "endpoint": "status", "times": 1})
    assert run().state == "success"
    counted = statsd.counted()
    assert counted["veo3.rate_limited,endpoint=text-to-video"] == 2
    assert counted["veo3.rate_limited,endpoint=status"] == 1
    assert counted["veo3.requests,endpoint=text-to-video,purpose=call,answer=429"] == 2
    assert counted[f"veo3.generations.submitted{ABOUT}"] == 1


def test_a_second_attempt_counts_the_generation_it_reuses(emulator: Emulator, statsd: Statsd) -> None:
    emulator.configure(processing_seconds=HOUR)
    attempts = start(**WAIT, timeout=0.1)
    assert attempts.attempt(TASK).state == "up_for_retry"
    assert statsd.counted()[f"veo3.generations.submitted{ABOUT}"] == 1
    (task,) = emulator.ledger()["tasks"]
    emulator.force(task["id"], "complete")
    assert attempts.attempt(TASK).state == "success"
    counted = statsd.counted()
    assert counted[f"veo3.generations.reattached{ABOUT}"] == 1
    assert counted[f"veo3.generations.completed{ABOUT}"] == 1
    assert not any("submitted" in name or "credits" in name for name in counted)


@needs_task_state
@pytest.mark.usefixtures("_soon")
def test_an_acceptance_found_by_a_later_attempt_is_counted_then(emulator: Emulator, statsd: Statsd) -> None:
    emulator.inject(CUT_AFTER)
    emulator.inject({"kind": "status", "status": 400, "endpoint": "history"})
    attempts = start(**SUBMIT_ONLY)
    assert attempts.attempt(TASK).error_name == "Veo3NoAnswerError"
    assert not any("submitted" in name or "credits" in name for name in statsd.counted())
    assert attempts.attempt(TASK).state == "success"
    counted = statsd.counted()
    assert counted[f"veo3.generations.submitted{ABOUT}"] == 1
    assert counted[f"veo3.credits.spent{ABOUT}"] == 190
    assert counted[f"veo3.generations.reattached{ABOUT}"] == 1


@pytest.mark.usefixtures("_soon")
def test_an_acceptance_whose_response_was_lost_is_counted(emulator: Emulator, statsd: Statsd) -> None:
    emulator.inject(CUT_AFTER)
    assert run().state == "success"
    counted = statsd.counted()
    assert counted[f"veo3.generations.submitted{ABOUT}"] == 1
    assert counted[f"veo3.credits.spent{ABOUT}"] == 190
    assert counted["veo3.requests,endpoint=text-to-video,purpose=call,answer=none"] == 1
    assert counted["veo3.requests,endpoint=history,purpose=call,answer=2xx"] >= 1


def test_bytes_are_counted_when_they_are_written(emulator: Emulator, statsd: Statsd, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    from airflow_provider_veo3.operators.download import Veo3DownloadOperator
    from tests.support.task_runs import Run

    generation_id = submit()
    statsd.lines()
    for number, expected in ((1, 4096), (2, 0)):
        with DAG(f"metrics_stored_{number}") as dag:
            Veo3DownloadOperator(task_id="store", generation_id=generation_id, destination=str(tmp_path))
        assert Run(dag).finish()["store"].state == "success"
        assert statsd.counted()["veo3.bytes.stored"] == expected


def test_an_error_in_metrics_reaches_no_task(emulator: Emulator) -> None:
    class BrokenLogger(stats_loggers()[0]):  # type: ignore[misc]
        @classmethod
        def incr(cls, *args: Any, **kwargs: Any) -> None:
            if args[0].startswith("veo3"):
                raise RuntimeError("the collector is on fire")

        timing = gauge = incr  # type: ignore[assignment]

    collect_metrics(BrokenLogger)
    try:
        assert run().state == "success"
    finally:
        collect_metrics(None)


def test_tags_take_no_unchecked_value_from_the_network(statsd: Statsd, airflow_db: None) -> None:
    strange = {"type": "text,to=video", "model": "m" * 65}
    metrics.ended("completed", None, {**strange, "created_at": "2026-01-02", "completed_at": "yesterday"})
    metrics.ended(
        "completed", None, {"created_at": "2026-01-02T00:00:01+00:00", "completed_at": "2026-01-02"}
    )
    assert statsd.lines() == [
        "veo3.generations.completed,type=other,model=other:1|c",
        "veo3.generations.completed,type=unknown,model=unknown:1|c",
    ]


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans that end during a test."""
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())  # possible once in a process
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


def decisions(spans: InMemorySpanExporter) -> list[dict[str, Any]]:
    """Return the attributes of the finished decisions, and forget them."""
    finished = [span for span in spans.get_finished_spans() if span.name == "resumable_job.resume_decision"]
    spans.clear()
    return [dict(span.attributes or {}) for span in finished]


def resumable(attempts: Run, statsd: Statsd, spans: InMemorySpanExporter) -> tuple[Any, ...]:
    """Make an attempt; return its counters, the decision, and the decision's further attributes."""
    statsd.lines()
    attempts.attempt(TASK)
    counted = statsd.counted("resumable_job.")
    (described,) = decisions(spans)
    assert described.pop("operator") == "Veo3TextToVideoOperator"
    assert described.pop("resumable.external_id_key") == "veo3_submission"
    assert all(name.endswith(",operator=Veo3TextToVideoOperator") for name in counted)
    names = {name.split(".")[1].partition(",")[0]: number for name, number in counted.items()}
    return names, described.pop("resumable.decision"), described


@needs_task_state
def test_a_decision_to_resume_is_sent_under_airflow_s_names(
    emulator: Emulator, statsd: Statsd, spans: InMemorySpanExporter
) -> None:
    emulator.configure(processing_seconds=HOUR)
    attempts = start(**WAIT, timeout=0.1)
    assert resumable(attempts, statsd, spans) == ({"fresh_submit": 1}, "fresh_submit", {})
    (task,) = emulator.ledger()["tasks"]
    described = {"resumable.external_id": task["id"]}
    assert resumable(attempts, statsd, spans) == (
        {"reconnect_attempt": 1, "reconnect_success": 1},
        "reconnect",
        {**described, "resumable.prior_status": "processing"},
    )
    emulator.force(task["id"], "complete")
    assert resumable(attempts, statsd, spans) == (
        {"reconnect_attempt": 1, "already_succeeded": 1},
        "already_succeeded",
        {**described, "resumable.prior_status": "completed"},
    )


@needs_task_state
@pytest.mark.usefixtures("_soon")
def test_a_failed_generation_that_is_submitted_again_is_a_decision(
    emulator: Emulator, statsd: Statsd, spans: InMemorySpanExporter
) -> None:
    emulator.inject({"kind": "fail_generation", "error": "Internal error"})
    attempts = start(**WAIT, timeout=0.1)
    assert resumable(attempts, statsd, spans)[1] == "fresh_submit"
    (task,) = emulator.ledger()["tasks"]
    assert resumable(attempts, statsd, spans) == (
        {"reconnect_attempt": 1, "terminal_resubmit": 1},
        "terminal_resubmit",
        {"resumable.external_id": task["id"], "resumable.prior_status": "failed"},
    )


@needs_task_state
def test_a_decision_that_fails_counts_as_an_attempt_only(
    emulator: Emulator, statsd: Statsd, spans: InMemorySpanExporter
) -> None:
    emulator.configure(processing_seconds=HOUR)
    attempts = start(**WAIT, timeout=0.1)
    resumable(attempts, statsd, spans)
    emulator.inject({"kind": "status", "status": 404, "endpoint": "status"})
    attempts.attempt(TASK)
    assert [name.partition(",")[0] for name in statsd.counted("resumable_job.")] == [
        "resumable_job.reconnect_attempt"
    ]
    (described,) = decisions(spans)
    assert "resumable.decision" not in described


def test_a_task_without_a_record_sends_no_decision(
    emulator: Emulator, statsd: Statsd, spans: InMemorySpanExporter
) -> None:
    start(**WAIT, durable=False).attempt(TASK)
    assert statsd.lines("resumable_job.") == []
    assert decisions(spans) == []
