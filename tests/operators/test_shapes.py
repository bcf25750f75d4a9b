"""Every shape of submitting and waiting gives the same result, manifest, error and Airflow state."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.connections import use_connection

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from airflow_provider_veo3.emulator import Emulator
    from tests.support.task_runs import Ended

KINDS = ("text-to-video", "image-to-video", "first-last-frame")
SENSOR_MODES = ("poke", "reschedule", "deferrable")
SOME_SHAPES = {(kind, False, False) for kind in KINDS} | {
    ("text-to-video", True, False),
    ("image-to-video", True, True),
}
QUICK = 0.02
MANIFEST_KEYS = {
    "version",
    "id",
    "type",
    "model",
    "status",
    "credits_used",
    "credits_remaining",
    "map_index",
    "created_at",
    "completed_at",
    "samples",
}
ASKED_KEYS = {
    "prompt",
    "negative_prompt",
    "duration_seconds",
    "aspect_ratio",
    "generate_audio",
    "enhance_prompt",
    "person_generation",
    "extra_options",
    "seed",
    "samples_expected",
    "accepted_at",
}
"""What a generating task adds of its request."""


@dataclass(frozen=True)
class Case:
    """What the API does, and what must come of it.

    :param waiting: error class and state of the tasks that submit and wait.
    :param sensing: the same of the sensors.
    :param submitting: the same of the tasks that submit only; where it is not a success, nobody waits.
    :param faults: injected for the status of each generation that is waited for.
    :param words: what each prompt says.
    :param says: what each error says.
    :param every_kind: whether all twelve shapes wait; else two that differ in everything.
    """

    waiting: tuple[str | None, str] = (None, "success")
    sensing: tuple[str | None, str] = (None, "success")
    submitting: tuple[str | None, str] = (None, "success")
    settings: dict[str, Any] = field(default_factory=dict)
    faults: tuple[dict[str, Any], ...] = ()
    on_acceptance: tuple[dict[str, Any], ...] = ()
    connection: dict[str, Any] = field(default_factory=dict)
    timeout: float = 3600
    words: str = ""
    says: str = ""
    every_kind: bool = True


def waited_out(**fault: Any) -> Case:
    """The API is in trouble for two looks of each wait; nobody may notice."""
    return Case(faults=({"endpoint": "status", "times": 2, **fault},), every_kind=False)


def refused(name: str) -> dict[str, Any]:
    return {
        "waiting": (name, "failed"),
        "sensing": (name, "failed"),
    }


UNAUTHORIZED = {"success": False, "error": "Invalid API key", "code": "INVALID_API_KEY"}

CASES = {
    "completed": Case(),
    "completed_slowly": Case(settings={"processing_seconds": 0.3, "pending_seconds": 0.1}, every_kind=False),
    "failed": Case(
        ("Veo3GenerationFailedError", "up_for_retry"),
        ("Veo3SensorFailedError", "failed"),
        on_acceptance=({"kind": "fail_generation", "error": "The renderer fell over"},),
        says="The renderer fell over",
    ),
    "refused_for_content": Case(
        **refused("Veo3GenerationRefusedError"),
        settings={"policy_when": "generation", "failed_error": "object"},
        words="prohibited content",
        every_kind=False,
    ),
    "timeout": Case(
        ("Veo3GenerationTimeoutError", "up_for_retry"),
        ("Veo3SensorTimeoutError", "failed"),
        settings={"processing_seconds": 3600},
        timeout=0.1,
        says="Veo3DownloadOperator",
    ),
    "timeout_in_trouble": Case(
        ("Veo3GenerationTimeoutError", "up_for_retry"),
        ("Veo3SensorTimeoutError", "failed"),
        faults=({"kind": "status", "status": 503, "endpoint": "status", "times": None},),
        timeout=0.1,
        says="at the deadline",
        every_kind=False,
    ),
    "unknown_id": Case(
        **refused("Veo3GenerationNotFoundError"),
        faults=({"kind": "lose_task", "endpoint": "status", "times": None},),
        every_kind=False,
    ),
    "key_refused_while_waiting": Case(
        **refused("Veo3AuthenticationError"),
        faults=({"kind": "status", "status": 401, "body": UNAUTHORIZED, "endpoint": "status"},),
    ),
    "key_refused": Case(
        **refused("Veo3AuthenticationError"),
        submitting=("Veo3AuthenticationError", "failed"),
        connection={"password": "veo3_unknown_key"},
    ),
    "no_credits": Case(
        **refused("Veo3InsufficientCreditsError"),
        submitting=("Veo3InsufficientCreditsError", "failed"),
        connection={"password": "veo3_poor_key"},
        says="190 credits and the account has 100",
    ),
    "refused_at_once_for_content": Case(
        **refused("Veo3ContentPolicyError"),
        submitting=("Veo3ContentPolicyError", "failed"),
        words="prohibited content",
    ),
    "too_many_requests": waited_out(kind="status", status=429, headers={"X-RateLimit-Retry-After": "0"}),
    "server_error": waited_out(kind="status", status=502),
    "cut": waited_out(kind="disconnect_before"),
    "cut_in_the_body": waited_out(kind="disconnect_mid_body"),
    "web_page": waited_out(kind="html_instead"),
    "garbage": waited_out(kind="garbage"),
    "redirect": waited_out(kind="redirect", location="https://elsewhere.invalid/maintenance"),
    "page_of_a_gateway": waited_out(kind="status", status=404, body={"message": "no Route matched"}),
}


def generating(kind: str, pictures: dict[str, str], **options: Any) -> Any:
    from airflow_provider_veo3.operators.generate import (
        Veo3FirstLastFrameOperator,
        Veo3ImageToVideoOperator,
        Veo3TextToVideoOperator,
    )

    match kind:
        case "text-to-video":
            return Veo3TextToVideoOperator(**options)
        case "image-to-video":
            return Veo3ImageToVideoOperator(image=pictures["first"], **options)
        case _:
            frames = {"first_frame": pictures["first"], "last_frame": pictures["last"]}
            return Veo3FirstLastFrameOperator(**frames, **options)


def shapes(name: str, case: Case, pictures: dict[str, str]) -> DAG:
    """A DAG with the shapes of generating tasks and three sensors, each on its own generation."""
    from airflow.sdk import DAG

    from airflow_provider_veo3.sensors.generation import Veo3GenerationSensor

    defaults = {
        "retries": 1,
        "retry_delay": timedelta(days=1),
        "timeout": case.timeout,
        "poll_interval": QUICK,
        "poke_interval": QUICK,
    }
    with DAG(f"matrix_{name}", default_args=defaults) as dag:
        for kind in KINDS:
            for wait, deferrable in product((False, True), repeat=2):
                if not case.every_kind and (kind, wait, deferrable) not in SOME_SHAPES:
                    continue
                task_id = (
                    f"{'wait' if wait else 'submit'}_{kind}_{'deferrable' if deferrable else 'blocking'}"
                )
                generating(
                    kind,
                    pictures,
                    task_id=task_id,
                    prompt=f"<{task_id}> {case.words}",
                    wait_for_completion=wait,
                    deferrable=deferrable,
                )
        for kind, mode in zip(KINDS, SENSOR_MODES, strict=True):
            Veo3GenerationSensor(
                task_id=f"sense_{mode}",
                generation_id=dag.get_task(f"submit_{kind}_blocking").output,
                deferrable=mode == "deferrable",
                mode="poke" if mode == "deferrable" else mode,
            )
    return dag


@pytest.mark.parametrize("name", CASES)
def test_every_shape_agrees(
    name: str, emulator: Emulator, pictures: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.support.task_runs import Run

    case = CASES[name]
    if name == "unknown_id":  # else two minutes long a list that lags
        monkeypatch.setattr("airflow_provider_veo3.polling.wait.LISTING_LAG", 0.0)
    emulator.configure(**case.settings)
    emulator.add_key("veo3_poor_key", credits=100)
    use_connection(monkeypatch, emulator, **case.connection)
    dag = shapes(name, case, pictures)
    waiting = [task for task in dag.task_ids if task.startswith("wait_")]
    sensed = [f"submit_{kind}_blocking" for kind in KINDS]
    rules = [
        emulator.inject({**fault, "prompt_contains": f"<{task}>"})
        for fault in case.faults + case.on_acceptance
        for task in waiting + sensed
    ]

    ended = Run(dag).finish()

    accepted = {task["prompt"].split(">")[0].lstrip("<"): task for task in emulator.ledger()["tasks"]}
    submitting = case.submitting == (None, "success")
    for task_id, end in ended.items():
        group = task_id.split("_")[0]
        error, state = {"submit": case.submitting, "wait": case.waiting, "sense": case.sensing}[group]
        assert (end.error_name, end.state) == (error, state), f"{task_id}: {end.error}"
        if error is not None:
            assert case.says in str(end.error)
            assert end.value is None
        if group != "sense":
            check_generating(end, accepted.get(task_id), emulator, waited=group == "wait")
    generating_tasks = 12 if case.every_kind else len(SOME_SHAPES)
    assert len(ended) == generating_tasks + (len(SENSOR_MODES) if submitting else 0)
    assert len(accepted) == (generating_tasks if submitting else 0)
    for mode, task_id in zip(SENSOR_MODES, sensed, strict=True) if submitting else ():
        check_sensor(ended[f"sense_{mode}"], ended[task_id], accepted[task_id])
    for task_id, end in ended.items():
        assert len(end.triggers) <= 1
        if task_id.startswith("wait_"):
            assert len(end.triggers) == (submitting and task_id.endswith("deferrable"))
    if any(
        fault.get("times") == 2 for fault in case.faults
    ):  # the first look meets trouble, so that there is something to wait for
        assert [len(ended[f"sense_{mode}"].triggers) for mode in SENSOR_MODES] == [0, 0, 1]
        assert [ended[f"sense_{mode}"].rounds > 1 for mode in SENSOR_MODES] == [False, True, True]
    met = {rule["id"]: rule["met"] for rule in emulator.faults()}
    assert all(met[rule] for rule in rules), "a fault was injected that nobody met"


def check_generating(
    end: Ended, accepted: dict[str, Any] | None, emulator: Emulator, *, waited: bool
) -> None:
    if accepted is None:
        assert end.manifest is None
        return
    manifest = end.manifest
    assert set(manifest) == MANIFEST_KEYS | ASKED_KEYS
    assert manifest["version"] == 1
    assert (manifest["prompt"], manifest["samples_expected"]) == (accepted["prompt"], 1)
    assert manifest["id"] == accepted["id"]
    assert manifest["type"] == accepted["type"]
    assert manifest["model"] == accepted["model"] == "veo-3.1-fast-generate-001"
    assert manifest["credits_used"] == 190
    assert manifest["credits_remaining"] % 190 == 10**6 % 190
    if end.error is not None:
        assert accepted["id"] in str(end.error)
        assert manifest["status"] == ("failed" if accepted["status"] == "failed" else "pending")
        return
    assert end.value == accepted["id"]
    assert manifest["status"] == ("completed" if waited else "pending")
    assert (manifest["completed_at"] is not None) is waited
    assert manifest["samples"] == (1 if waited else None)
    if waited:
        assert manifest["created_at"][:19] == accepted["created"][:19]
        assert manifest["completed_at"][:19] == accepted["finished"][:19]


def check_sensor(end: Ended, submitted: Ended, accepted: dict[str, Any]) -> None:
    if end.error is not None:
        assert submitted.value in str(end.error)
        has_failed = accepted["status"] == "failed"
        assert (end.manifest or {}).get("status") == ("failed" if has_failed else None)
        return
    assert end.value == submitted.value == accepted["id"]
    assert set(end.manifest) == MANIFEST_KEYS
    expected = {"version": 1, "id": accepted["id"], "type": accepted["type"], "model": accepted["model"]}
    assert expected.items() <= end.manifest.items()
    assert end.manifest["status"] == "completed"
    assert end.manifest["credits_used"] == 190
    assert end.manifest["completed_at"][:19] == accepted["finished"][:19]
